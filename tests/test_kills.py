"""An apply that is killed at any statement is finished by running it again, or taken back whole."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from account_population import DATABASES, people_on, population
from conftest import Scratch
from workbook import params
from workbook.catalog import read_catalog
from workbook.mapping import merge
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.ledger import Ledger
from workbook.phases.rollback import rollback

CASES = Path(__file__).parent / "cases"
SCHEMAS = ("migration/films", "migration/staff", "schema/code", "schema/keys", "schema/wider")
SCRIPT = Path(__file__).with_name("apply_phase.py")
ROLLBACK = Path(__file__).with_name("rollback_process.py")


class Killable:
    """A phase as a process that can be killed, with what its target looked like before."""

    def __init__(self, scratch: Scratch, settings_file: Path, phase: str, back: str):
        self.scratch = scratch
        self.params = settings_file
        self.settings = params.load(settings_file)
        self.phase = phase
        self.back = back  # what a rollback goes back to
        self.before = self.state()

    def run(self, *kill: str) -> int:
        """Run the phase; its exit status, which is -9 where it was killed."""
        return run_phase(self.scratch, self.params, self.phase, *kill)

    def state(self) -> dict[str, str]:
        """The fingerprint of the target."""
        return target_fingerprint(self.scratch.target)

    def take_back(self) -> None:
        """Back to before the phase, which the rollback proves by itself; proven here against what was noted at first."""
        rollback(self.settings, self.back, say=lambda line: None)
        assert differences(self.before, self.state()) == []

    def steps_back(self) -> int:
        """How many undo statements a rollback would run on the target now."""
        return len(Ledger(self.settings.environment).to_undo(self.phase, "target"))

    def take_back_killed(self, where: str) -> None:
        """Back to before the phase by a process that is killed there, and once more after it."""
        command = [sys.executable, str(ROLLBACK), str(self.params), self.back, where]
        answer = subprocess.run(command, capture_output=True, text=True)
        assert answer.returncode == -9, answer.stderr[-3000:]
        self.take_back()

    def whole(self, least: int) -> dict[str, str]:
        """The state that an apply leaves which nobody disturbs; at least so many objects are not as before."""
        assert self.run() == 0
        state = self.state()
        assert len(differences(self.before, state)) >= least
        self.take_back()
        return state


def run_phase(scratch: Scratch, settings_file: Path, phase: str, *kill: str, run_dir: Path | None = None) -> int:
    folder = run_dir or scratch.folder / "reports" / "run"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(SCRIPT), phase, str(settings_file), str(folder), *kill]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode in (0, -9), answer.stderr[-3000:]
    return answer.returncode


@contextmanager
def scratch_of_a_module(sandbox: dict[str, Any], folder: Path) -> Iterator[Scratch]:
    """A scratch whose runs and ledger are its own."""
    scratch = Scratch(sandbox, folder)
    before = os.environ.get("WORKBOOK_REPORTS")
    os.environ["WORKBOOK_REPORTS"] = str(folder / "reports")
    try:
        yield scratch
    finally:
        if before is None:
            del os.environ["WORKBOOK_REPORTS"]
        else:
            os.environ["WORKBOOK_REPORTS"] = before
        scratch.close()


def settings_for(scratch: Scratch, databases: list[str], rules: str = "") -> Path:
    """A params file with a generated mapping."""
    mapping = scratch.folder / "mapping.yaml"
    text = merge(None, read_catalog(scratch.source, databases), None, True)
    mapping.write_text(text.replace("version: 1", f"version: 1\n{rules}", 1))
    return scratch.params(databases, mapping=str(mapping))


@pytest.fixture(scope="module")
def schemas(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    """Several schemas on the source, nothing of them on the target."""
    with scratch_of_a_module(sandbox, tmp_path_factory.mktemp("kills")) as scratch:
        databases = []
        for name in SCHEMAS:
            databases.append(scratch.database(f"killed_{Path(name).name}"))
            scratch.script((CASES / name / "source.sql").read_text(encoding="utf-8"), databases[-1])
        rules = "target: {to_utf8mb4: [utf8mb3], keyless: invisible-key}"
        yield Killable(scratch, settings_for(scratch, databases, rules), "schema", "start")


@pytest.fixture(scope="module")
def accounts(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    """Roles and users on the source, one without a password, and the schema on the target that they work with."""
    with scratch_of_a_module(sandbox, tmp_path_factory.mktemp("killed_accounts")) as scratch:
        roles, people = population(9, roles=6, users=24, twins=2)
        with people_on(scratch, roles, people):
            empty = scratch.account("'wbe empty'@'%'")
            scratch.execute(f"CREATE USER {empty}")
            settings_file = settings_for(scratch, list(DATABASES))
            assert run_phase(scratch, settings_file, "schema") == 0
            killable = Killable(scratch, settings_file, "accounts", "schema")
            yield killable
            rollback(killable.settings, "start", say=lambda line: None)


@pytest.fixture(scope="module")
def whole(schemas: Killable) -> dict[str, str]:
    """The state that an apply of the schema leaves which nobody disturbs."""
    return schemas.whole(least=100)


@pytest.fixture(scope="module")
def whole_accounts(accounts: Killable) -> dict[str, str]:
    """The state that an apply of the accounts leaves which nobody disturbs."""
    return accounts.whole(least=30)


def killed(phase: Killable, whole: dict[str, str], kills: int, seed: int) -> None:
    """Kill as often, run again, take back; every second time the run again is killed too."""
    chooser = random.Random(seed)
    done = 0
    while done < kills:
        for _ in range(1 + done % 2):
            moment = chooser.choice(("before", "after", *(str(chooser.uniform(0, 20)) for _ in range(2))))
            # A statement may be over before its time has come.
            done += phase.run(str(chooser.random()), moment) == -9
        assert phase.run() == 0
        assert differences(whole, phase.state()) == []
        phase.take_back()


def test_an_apply_killed_at_random_statements_is_finished_by_running_it_again(
    schemas: Killable, whole: dict[str, str]
) -> None:
    killed(schemas, whole, kills=2, seed=9)


def test_an_apply_that_was_killed_is_taken_back_whole(schemas: Killable, whole: dict[str, str]) -> None:
    assert schemas.run("0.7", "before") == -9
    assert differences(schemas.before, schemas.state()) != []
    schemas.take_back()


@pytest.mark.parametrize("where", ["half", "proving"])
def test_a_rollback_that_was_killed_is_ended_and_proven_by_running_it_again(
    schemas: Killable, whole: dict[str, str], where: str
) -> None:
    assert schemas.run() == 0
    schemas.take_back_killed(str(schemas.steps_back() // 2) if where == "half" else where)


def rollbacks_killed(phase: Killable, whole: dict[str, str], kills: int, seed: int) -> None:
    """Run, kill the rollback at a random statement, roll back again, as often."""
    chooser = random.Random(seed)
    for _ in range(kills):
        assert phase.run() == 0
        assert differences(whole, phase.state()) == []
        phase.take_back_killed(str(chooser.randrange(phase.steps_back())))


@pytest.mark.soak
def test_rollbacks_of_a_schema_killed_ten_times_are_ended_each_time(schemas: Killable, whole: dict[str, str]) -> None:
    rollbacks_killed(schemas, whole, kills=10, seed=31)


@pytest.mark.soak
def test_rollbacks_of_accounts_killed_ten_times_are_ended_each_time(
    accounts: Killable, whole_accounts: dict[str, str]
) -> None:
    rollbacks_killed(accounts, whole_accounts, kills=10, seed=32)


@pytest.mark.soak
def test_an_apply_killed_twenty_times_is_finished_and_taken_back_each_time(
    schemas: Killable, whole: dict[str, str]
) -> None:
    killed(schemas, whole, kills=20, seed=20)


def test_accounts_killed_at_a_random_statement_are_finished_by_running_again(
    accounts: Killable, whole_accounts: dict[str, str]
) -> None:
    killed(accounts, whole_accounts, kills=1, seed=3)


def test_accounts_that_were_killed_are_taken_back_whole(accounts: Killable, whole_accounts: dict[str, str]) -> None:
    assert accounts.run("0.4", "after") == -9
    assert differences(accounts.before, accounts.state()) != []
    accounts.take_back()


@pytest.mark.soak
def test_accounts_killed_twenty_times_are_finished_and_taken_back_each_time(
    accounts: Killable, whole_accounts: dict[str, str]
) -> None:
    killed(accounts, whole_accounts, kills=20, seed=20)
