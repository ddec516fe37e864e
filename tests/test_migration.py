"""Whole migrations through the command line and through papermill: run, judge, kill, take back."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Scratch
from workbook.params import CHECKOUT
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.order import PHASES, PhaseKind
from workbook.servers import Server

DEFAULT = [kind for kind in PHASES if kind.by_default]

CASES = Path(__file__).parent / "cases" / "migration"
SECRET = "pl4nted-s3cret-value"


class Migration:
    """A database that a test brings, its params file and its reports folder."""

    def __init__(self, scratch: Scratch, name: str):
        self.scratch = scratch
        self.database = scratch.database(f'{name} of ô`ld "books"')
        self.reports = scratch.folder / "reports"
        for account in ("'librarian'@'%'",):
            scratch.account(account)
        scratch.script((CASES / name / "source.sql").read_text(encoding="utf-8"), self.database)
        # The target's administrator gets the planted password, which the params only refer to.
        scratch.execute_target_root(f"ALTER USER admin@'%' IDENTIFIED BY '{SECRET}' RETAIN CURRENT PASSWORD")
        self.params = scratch.params([self.database], bulk={"workers": 2, "chunk_rows": 100})
        content = yaml.safe_load(self.params.read_text())
        content["target"]["password"] = "env:WORKBOOK_TEST_TARGET_PASSWORD"
        self.environment = content["environment"]
        self.params.write_text(yaml.safe_dump(content, allow_unicode=True))

    @property
    def variables(self) -> dict[str, str]:
        return {**os.environ, "WORKBOOK_REPORTS": str(self.reports), "WORKBOOK_TEST_TARGET_PASSWORD": SECRET}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "workbook.cli", *words]

    def workbook(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words), env=self.variables, capture_output=True, text=True, cwd=self.scratch.folder
        )

    def runs(self) -> list[Path]:
        return sorted((path.parent for path in self.reports.glob("*/run.json")), key=lambda path: path.stat().st_mtime)

    def result(self, phase: str) -> dict[str, Any]:
        """The latest result of a phase."""
        path = max(self.reports.glob(f"*/{phase}.json"), key=lambda path: path.stat().st_mtime)
        return json.loads(path.read_text(encoding="utf-8"))

    def target(self) -> Server:
        state = self.scratch.state["servers"]["target"]
        return Server("target", "127.0.0.1", state["port"], "root", state["root_password"])


@pytest.fixture(scope="module")
def migration(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    """The library, on its way; the tests of this module are its stages, in order."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("migration"))
    try:
        yield Migration(scratch, "library")
    finally:
        scratch.execute_target_root("ALTER USER admin@'%' DISCARD OLD PASSWORD")
        scratch.execute_target_root(
            f"ALTER USER admin@'%' IDENTIFIED BY '{(Path(sandbox['params']).parent / 'target.password').read_text()}'"
        )
        scratch.execute_target_root("DROP DATABASE IF EXISTS _workbook")
        scratch.close()


@pytest.fixture(scope="module")
def before(migration: Migration) -> dict[str, str]:
    """The target's state before anything was done, with a table of somebody else's on it."""
    migration.scratch.database("somebody else's")
    migration.scratch.execute_target_root("CREATE DATABASE IF NOT EXISTS `somebody else's`")
    migration.scratch.execute_target_root("CREATE TABLE mine (id INT PRIMARY KEY)", "somebody else's")
    migration.scratch.execute_target_root("INSERT INTO mine VALUES (7)", "somebody else's")
    return target_fingerprint(migration.target())


def test_a_database_brought_as_plain_sql_migrates_and_every_file_of_the_contract_is_there(
    migration: Migration, before: dict[str, str]
) -> None:
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        # What ps would show, all the while.
        while not ended.wait(0.2):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().decode("utf-8", "replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = migration.workbook("run", "-p", str(migration.params))
    finally:
        ended.set()
        watcher.join()
    assert answer.returncode == 0, answer.stderr
    run = migration.runs()[-1]
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "ok"
    assert [phase["name"] for phase in record["phases"]] == [phase.name for phase in DEFAULT]
    for phase, kind in zip(record["phases"], DEFAULT, strict=True):
        assert phase["status"] == "ok", phase
        assert phase["verdict"] in ("ok", "same")
        for file in (phase["notebook"], phase["html"], phase["result"]):
            assert (run / file).exists(), file
        assert phase["notebook"] == f"{kind.stem}.ipynb"
    validated = migration.result("validate")
    assert validated["verdict"] == "same"
    assert [hop["verdict"] for hop in validated["hops"]] == ["same"] * 3
    assert len(validated["tables"]) == 9
    assert (migration.reports / "index.html").exists()
    # The planted password is nowhere: not in a report, a log, an answer, a process list.
    assert any("papermill" in line or "ipykernel" in line for line in seen)
    assert not [line for line in seen if SECRET in line]
    assert SECRET not in answer.stdout + answer.stderr
    for path in migration.reports.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    # A customer's name stays text.
    pages = list(run.glob("*.html"))
    assert not [page for page in pages if "<script>alert(1)" in page.read_text(encoding="utf-8")]


def test_status_names_what_was_done(migration: Migration) -> None:
    answer = migration.workbook("status", "-p", str(migration.params))
    assert answer.returncode == 0
    assert "validate" in answer.stdout
    assert "All phases are done" in answer.stdout


def test_a_changed_cell_ends_the_validation_with_1_and_is_named(migration: Migration) -> None:
    damage = "UPDATE `mem``bers` SET fines = fines + 0.0001 WHERE `member id` = 33"
    migration.scratch.execute_target_root(damage, migration.database)
    answer = migration.workbook("run", "validate", "-p", str(migration.params))
    migration.scratch.execute_target_root(damage.replace("+", "-"), migration.database)
    assert answer.returncode == 1, answer.stderr
    found = migration.result("validate")
    finding = next(item for item in found["findings"] if item["hop"] == "source-target")
    assert (finding["object"], finding["column"]) == (f"{migration.database}.mem`bers", "fines")
    table = next(item for item in found["tables"] if item["verdict"] == "different")
    assert table["samples"][0]["key"] == {"member id": "33"}
    # The run is red and its report exists.
    run = migration.runs()[-1]
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert "fines" in (run / "08_validate.html").read_text(encoding="utf-8")


def test_a_rollback_to_a_phase_never_done_or_unknown_is_refused(migration: Migration) -> None:
    answer = migration.workbook("rollback", "cutting", "-p", str(migration.params))
    assert answer.returncode == 2
    assert "There is no phase 'cutting'" in answer.stderr
    answer = migration.workbook("rollback", "schema", "-p", str(migration.params), "--set", "environment=another")
    assert answer.returncode == 2
    assert "Nothing was done yet" in answer.stderr


def test_rollback_leaves_the_target_as_it_was_before_object_by_object(
    migration: Migration, before: dict[str, str]
) -> None:
    answer = migration.workbook("rollback", "map", "-p", str(migration.params))
    assert answer.returncode == 0, answer.stderr
    assert differences(before, target_fingerprint(migration.target())) == []
    assert migration.scratch.execute_target_root("SELECT * FROM mine", "somebody else's") == [(7,)]
    # Tables of other environments, of other tests, may lie in the workbook's own schema; none of this one does.
    own = migration.scratch.execute_target_root(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_workbook' AND TABLE_NAME LIKE %s",
        values=(f"%{migration.environment}",),
    )
    assert own == []
    datasets = {item.dataset_id for item in migration.scratch.warehouse.list_datasets()}
    content = yaml.safe_load(migration.params.read_text())
    assert not datasets & {content["warehouse"]["dataset"], content["warehouse"]["dataset"] + "_raw"}


def by_papermill(migration: Migration, kind: PhaseKind, folder: Path) -> None:
    """Run one phase as those do who schedule papermill themselves."""
    words = ["papermill", str(kind.notebook), str(folder / f"{kind.stem}.ipynb"), "-f", str(migration.params)]
    words[0] = str(Path(sys.executable).with_name(words[0]))
    answer = subprocess.run(words, env=migration.variables, capture_output=True, text=True, cwd=folder)
    assert answer.returncode == 0, answer.stderr[-3000:]


def test_by_papermill_and_with_a_bulk_load_killed_at_random_moments_the_copy_is_the_same(
    migration: Migration, tmp_path: Path
) -> None:
    # The first by the workbook's own command, the others each by a papermill of its own.
    answer = migration.workbook("run", *(kind.name for kind in DEFAULT[:5]), "-p", str(migration.params))
    assert answer.returncode == 0, answer.stderr
    chooser = random.Random(4)
    kills = 0
    for _ in range(9):
        process = subprocess.Popen(
            migration.command("run", "bulk_load", "-p", str(migration.params)),
            env=migration.variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        # From the moment the workers are connected, anywhere in the load.
        connected = "SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_USER = 'admin'"
        while migration.scratch.execute_target_root(connected)[0][0] < 2 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(chooser.uniform(0.0, 0.8))
        # The kernel and its workers are killed with their parent, as by the out-of-memory killer or a power cut.
        kills += process.poll() is None
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if migration.reports.as_posix().encode() in (path / "environ").read_bytes():
                    os.kill(int(path.name), signal.SIGKILL)
            except (OSError, ValueError):
                continue
        process.wait()
        if kills == 3:
            break
    assert kills == 3, "the load was over before it could be killed"
    for kind in DEFAULT[5:]:
        by_papermill(migration, kind, tmp_path)
    assert migration.result("validate")["verdict"] == "same"
    assert SECRET not in "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.ipynb"))


def test_a_run_that_was_killed_is_on_record_as_an_error(migration: Migration) -> None:
    states = [json.loads((run / "run.json").read_text()) for run in migration.runs()]
    assert [state["status"] for state in states if state["ended"] is None] == ["error"] * 3


def test_the_crontab_line_runs_as_it_stands(migration: Migration) -> None:
    answer = migration.workbook("schedule", "-p", str(migration.params), "--at", "02:05", "profile")
    assert answer.returncode == 0, answer.stderr
    minute, hour, *rest = answer.stdout.strip().split(" ", 5)
    assert (minute, hour, rest[:3]) == ("5", "2", ["*", "*", "*"])
    # cron hands the line to sh with a backslash before % taken away.
    line = rest[3].replace("\\%", "%")
    subprocess.run(["sh", "-c", line], env={**migration.variables, "PATH": "/usr/bin:/bin"}, check=True, cwd="/")
    log = (migration.reports / "cron.log").read_text()
    assert "01_profile: ok" in log
    assert log.strip().endswith("exit 0")


def test_the_notebooks_are_clean_documents() -> None:
    for kind in PHASES:
        cells = json.loads(kind.notebook.read_text(encoding="utf-8"))["cells"]
        assert not [cell for cell in cells if cell.get("outputs")], kind.notebook
        assert sum("parameters" in cell["metadata"].get("tags", []) for cell in cells) == 1
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        for cell in [text for text in code if not text.startswith("params_file")]:
            assert len([line for line in cell.splitlines() if line.strip()]) <= 12, cell
            assert not any(cell.lstrip().startswith(word) for word in ("def ", "for ", "try:", "class ")), cell
        assert "What good looks like" in "".join(cells[0]["source"]), kind.notebook
    assert (CHECKOUT / "notebooks").exists()
