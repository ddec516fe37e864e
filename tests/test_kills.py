"""An apply that is killed at any statement is finished by running it again, or taken back whole."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from workbook import params
from workbook.catalog import read_catalog
from workbook.mapping import merge
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.rollback import rollback

CASES = Path(__file__).parent / "cases"
SCHEMAS = ("migration/films", "migration/staff", "schema/code", "schema/keys", "schema/wider")
SCRIPT = Path(__file__).with_name("apply_schema.py")


class Schemas:
    """Several schemas on the source, and the phase that makes them on the target, as a process."""

    def __init__(self, scratch: Scratch):
        self.scratch = scratch
        databases = []
        for name in SCHEMAS:
            databases.append(scratch.database(f"killed_{Path(name).name}"))
            scratch.script((CASES / name / "source.sql").read_text(encoding="utf-8"), databases[-1])
        mapping = scratch.folder / "mapping.yaml"
        text = merge(None, read_catalog(scratch.source, databases), None, True)
        mapping.write_text(
            text.replace("version: 1", "version: 1\ntarget: {to_utf8mb4: [utf8mb3], keyless: invisible-key}", 1)
        )
        self.params = scratch.params(databases, mapping=str(mapping))
        self.settings = params.load(self.params)
        self.reports = scratch.folder / "reports"
        self.before = self.state()

    def run(self, *kill: str) -> int:
        """Run the phase; its exit status, which is -9 where it was killed."""
        folder = self.reports / "run"
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(SCRIPT), str(self.params), str(folder), *kill]
        answer = subprocess.run(command, capture_output=True, text=True)
        assert answer.returncode in (0, -9), answer.stderr[-3000:]
        return answer.returncode

    def state(self) -> dict[str, str]:
        """The fingerprint of the target."""
        return target_fingerprint(self.scratch.target)

    def take_back(self) -> None:
        """Back to the start, which the rollback proves by itself; proven here against what was noted at first."""
        rollback(self.settings, "start", say=lambda line: None)
        assert differences(self.before, self.state()) == []


@pytest.fixture(scope="module")
def schemas(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Schemas]:
    """The schemas on the source, nothing of them on the target."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("kills"))
    before = os.environ.get("WORKBOOK_REPORTS")
    os.environ["WORKBOOK_REPORTS"] = str(scratch.folder / "reports")
    try:
        yield Schemas(scratch)
    finally:
        if before is None:
            del os.environ["WORKBOOK_REPORTS"]
        else:
            os.environ["WORKBOOK_REPORTS"] = before
        scratch.close()


@pytest.fixture(scope="module")
def whole(schemas: Schemas) -> dict[str, str]:
    """The state that an apply leaves which nobody disturbs."""
    assert schemas.run() == 0
    state = schemas.state()
    assert len(differences(schemas.before, state)) > 100
    schemas.take_back()
    return state


def killed(schemas: Schemas, whole: dict[str, str], kills: int, seed: int) -> None:
    """Kill as often, run again, take back; every second time the run again is killed too."""
    chooser = random.Random(seed)
    done = 0
    while done < kills:
        for _ in range(1 + done % 2):
            moment = chooser.choice(("before", "after", *(str(chooser.uniform(0, 20)) for _ in range(2))))
            # A statement may be over before its time has come.
            done += schemas.run(str(chooser.random()), moment) == -9
        assert schemas.run() == 0
        assert differences(whole, schemas.state()) == []
        schemas.take_back()


def test_an_apply_killed_at_random_statements_is_finished_by_running_it_again(
    schemas: Schemas, whole: dict[str, str]
) -> None:
    killed(schemas, whole, kills=2, seed=9)


def test_an_apply_that_was_killed_is_taken_back_whole(schemas: Schemas, whole: dict[str, str]) -> None:
    assert schemas.run("0.7", "before") == -9
    assert differences(schemas.before, schemas.state()) != []
    schemas.take_back()


@pytest.mark.soak
def test_an_apply_killed_twenty_times_is_finished_and_taken_back_each_time(
    schemas: Schemas, whole: dict[str, str]
) -> None:
    killed(schemas, whole, kills=20, seed=20)
