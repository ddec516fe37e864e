"""The documents: every command in them is one that runs, and their tables are the code's own."""

import os
import re
import shlex
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import Lab
from workbook import documentation
from workbook.params import CHECKOUT
from workbook.phases.order import PHASES

WORKBOOK = ".venv/bin/workbook"
SANDBOX = [f"{WORKBOOK} sandbox up --scale 0.1", f"{WORKBOOK} sandbox down"]
PHASE_COMMANDS = [
    f"{WORKBOOK} run profile assess map -p params/local.yaml",
    f"{WORKBOOK} run validate -p params/local.yaml",
    f"{WORKBOOK} repair -p params/local.yaml",
    f"{WORKBOOK} run pipelines -p params/local.yaml",
    f"{WORKBOOK} pipelines settings web-shop -p params/local.yaml",
    f"{WORKBOOK} pipelines move dashboard --to shadow -p params/local.yaml",
    f"{WORKBOOK} pipelines status -p params/local.yaml",
    f"{WORKBOOK} sign -p params/local.yaml",
    f"{WORKBOOK} status -p params/local.yaml",
    f"{WORKBOOK} schedule -p params/local.yaml --at 02:00",
    f"{WORKBOOK} site",
    f"{WORKBOOK} rollback map -p params/local.yaml",
]
# The demo is this command between a sandbox that comes up and one that goes down, so the demo's test is its test.
WHOLE = f"{WORKBOOK} run -p params/local.yaml"
PAPERMILL = ".venv/bin/papermill notebooks/01_profile.ipynb /tmp/out.ipynb -f params/local.yaml"
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The commands of the README, one a line of its sh blocks, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("path", documentation.READMES, ids=lambda path: path.parent.name)
def test_the_tables_of_the_readmes_are_the_codes_own(path: Path) -> None:
    assert documentation.written(path) == path.read_text(encoding="utf-8"), "run python -m workbook.documentation"


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert README.count("\n") < 120
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (CHECKOUT / link).exists(), link


def test_the_readme_names_every_phase() -> None:
    for kind in PHASES:
        assert f"`{kind.stem}`" in README


def test_conda_users_get_the_packages_of_pyproject() -> None:
    environment = yaml.safe_load((CHECKOUT / "environment.yml").read_text())
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert pip == ["-e .[all]"]
    extras = re.fullmatch(r"migration-workbook\[(.*)\]", project["optional-dependencies"]["all"][0])
    assert extras
    assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()
    python = next(item for item in environment["dependencies"] if str(item).startswith("python="))
    assert python.removeprefix("python=") == project["requires-python"].removeprefix(">=")


def test_make_without_a_target_prints_what_there_is_to_do() -> None:
    answer = subprocess.run(["make"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    for target in ("make demo", "make test", "make lab", "make clean"):
        assert target in answer.stdout


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab and its sandbox, as `make lab` starts them; gone afterwards."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    with made.log.open("w") as output:
        process = subprocess.Popen(
            ["make", "lab"], cwd=CHECKOUT, env=made.environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 180
            while "/lab" not in made.log.read_text():
                assert process.poll() is None, made.log.read_text()[-3000:]
                assert time.monotonic() < deadline, made.log.read_text()[-3000:]
                time.sleep(0.5)
            yield made
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
    assert not (made.folder / "sandbox").exists(), "make lab must take its sandbox down"


def test_every_command_of_the_readme_is_one_of_the_tested() -> None:
    assert set(commands()) == {"make demo", "make test", "make lab", *SANDBOX, WHOLE, *PHASE_COMMANDS, PAPERMILL}


def test_the_notebooks_run_by_hand_one_after_the_other(lab: Lab) -> None:
    # Not the last: after a cutover the commands of the README mean another master. tests/test_cutover.py carries it out.
    notebooks = [str(kind.notebook) for kind in PHASES if kind.name != "cutover"]
    lab.run(
        shlex.join([".venv/bin/pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", *notebooks])
    )


def test_the_commands_run_as_the_readme_says_over_the_copy_that_is_there(lab: Lab) -> None:
    for line in PHASE_COMMANDS[:-1]:
        lab.run(line)
    lab.run(PAPERMILL)


def test_the_rollback_of_the_readme_proves_the_state(lab: Lab) -> None:
    lab.run(PHASE_COMMANDS[-1])
