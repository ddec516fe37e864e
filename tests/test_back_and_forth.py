"""From every phase back to every earlier one and forward again: servers as they were there, and nothing of others touched."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

import rollback_process
from conftest import Scratch
from workbook import params
from workbook.accounts import check_accounts, plan_accounts
from workbook.assess import assess
from workbook.catalog import read_catalog
from workbook.cdc import rendered, set_up
from workbook.errors import Refused
from workbook.incremental import load_night
from workbook.mapping import gaps, merge
from workbook.mapping.generate import guess_segments
from workbook.names import quote_mysql
from workbook.phases import open_phase
from workbook.phases.cdc import catch_up, state_folder
from workbook.phases.context import Phase
from workbook.phases.fingerprint import differences, target_fingerprint, warehouse_fingerprint
from workbook.phases.ledger import Ledger
from workbook.phases.order import PHASES, START
from workbook.phases.rollback import rollback
from workbook.pipelines import check_pipelines, load_register
from workbook.plan import apply
from workbook.profile import profile_tables
from workbook.refresh import load_or_refresh
from workbook.schema import apply_schema, check_schema, plan_schema
from workbook.validate.run import validate_copy

DATABASE = 'to & fro %s `it\'s "ü"'
ACCOUNT, ROLE, STRANGER = "'cl`erk \"ö\"%'@'%'", "'re''aders'@'%'", "'somebody'@'10.1.%'"
# Two tables, one of them without a key, of which the other is followed; code that leans on them; rows that are hard to carry.
SOURCE = r"""
CREATE TABLE `or``ders, %s` (`id "x"` INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, `nä%me` VARCHAR(40), at DATETIME(6), zero DATE,
 doc JSON, raw VARBINARY(20), size ENUM('','ü','b,c'), twice INT AS (LENGTH(raw) * 2) STORED, KEY `by n``ame` (`nä%me`))
;;
CREATE TABLE parts (id INT PRIMARY KEY, of_order INT UNSIGNED, v INT,
 CONSTRAINT `f k` FOREIGN KEY (of_order) REFERENCES `or``ders, %s` (`id "x"`) ON DELETE CASCADE, CHECK (v < 1000))
;;
CREATE TABLE keyless (what VARCHAR(20), f FLOAT)
;;
INSERT INTO `or``ders, %s` (`nä%me`, at, zero, doc, raw, size) VALUES ('Zoë 😀\t\\ ''x''', '2024-01-01 00:00:00.000001',
 '0000-00-00', '{"n": 1.0, "ü": [null]}', 0x00FF27, 'ü'), (NULL, NULL, NULL, NULL, NULL, ''), ('%s %d', '0001-01-01', '9999-12-31', '[]', '', NULL)
;;
INSERT INTO parts VALUES (1, 1, 10), (2, 1, 20), (3, NULL, NULL)
;;
INSERT INTO keyless VALUES ('twice', 0.1), ('twice', 0.1), (NULL, -0.0)
;;
CREATE VIEW `v %s` AS SELECT `id "x"`, `nä%me` FROM `or``ders, %s` WHERE `nä%me` <> '%s'
;;
CREATE TRIGGER `tr``ig` BEFORE INSERT ON parts FOR EACH ROW SET NEW.v = NEW.v + 1
;;
CREATE FUNCTION `f%n`() RETURNS INT DETERMINISTIC RETURN (SELECT COUNT(*) FROM keyless)
"""
CHANGES = """
INSERT INTO parts VALUES (4, 2, 40);
DELETE FROM `or``ders, %s` WHERE `id "x"` = 1;
UPDATE keyless SET f = 2 WHERE what IS NULL;
"""
THEIRS = "their rows"
WRITING = ("schema", "accounts", "bulk_load", "warehouse", "cdc")
NAMES = [phase.name for phase in PHASES if phase.name != "cutover"]


@dataclass
class Way:
    """One environment that goes to and fro. `seen` is the state of both servers at the end of each phase when it was first reached."""

    scratch: Scratch
    file: Path
    settings: params.Settings
    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    at: str = START
    went: list[tuple[str, str]] = field(default_factory=list)

    def state(self) -> dict[str, str]:
        """Target and warehouse as they are now, and the rows of somebody else's table among the clean ones."""
        theirs = self.scratch.google(
            f"SELECT * FROM {self.scratch.table_path(self.settings.warehouse.dataset, 'theirs')}"
        )
        return {
            **target_fingerprint(self.scratch.target),
            **warehouse_fingerprint(self.scratch.warehouse, self.settings),
            THEIRS: repr(theirs),
        }

    def forward(self, to: str) -> None:
        """Run the phases between here and there that write, and the last; each must leave what it left the first time."""
        for name in NAMES[_place(self.at) + 1 : _place(to) + 1]:
            # Without a mapping there is no way on; it outlasts the way back.
            if name not in (*WRITING, to) and (name != "map" or name in self.seen):
                continue
            self.run(name)
            if name not in self.seen:
                self.seen[name] = self.state()
            # What the phase itself notes is the state of the servers that it writes to.
            for server, after in (Ledger(self.settings.environment).phases()[name].after or {}).items():
                known = {key: value for key, value in self.seen[name].items() if _server(key) == server}
                assert differences(known, after) == [], (self.at, name)
        self.at = to

    def back(self, to: str, killed_at: float | None = None) -> None:
        """Back to the end of `to`, where all must be as it was there; after a rollback that was killed at that share of its statements."""
        if killed_at is not None:
            ledger = Ledger(self.settings.environment)
            steps = [step for name in NAMES[_place(to) + 1 :] for step in ledger.to_undo(name, "target")]
            killed(self.file, to, int(killed_at * len(steps)))
        rollback(self.settings, to, say=lambda line: None)
        assert differences(self.seen[to], self.state()) == [], (self.at, to)
        self.went.append((self.at, to))
        self.at = to

    def run(self, name: str) -> None:
        """One phase, by what its notebook calls."""
        folder = self.scratch.folder / "reports" / "run"
        folder.mkdir(parents=True, exist_ok=True)
        phase = open_phase(name, {"params_file": str(self.file), "run_dir": str(folder)})
        phase.finish(_RUNS[name](phase))


def killed(file: Path, to: str, statements: int) -> None:
    """A rollback in a process of its own, which is killed after so many statements."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(300)
            rollback_process.main(str(file), to, str(statements))
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), status
    assert os.WTERMSIG(status) == signal.SIGKILL


def _server(key: str) -> str:
    """The server that an object of a state is on."""
    return "warehouse" if key.startswith(("warehouse ", "dataset ")) else "nobody" if key == THEIRS else "target"


def _map(phase: Phase) -> Any:
    phase.keep_mapping(merge(phase.settings.mapping_path, phase.catalog, phase.result_of("profile"), phase.emulated))
    return gaps(phase.mapping, phase.catalog, phase.result_of("profile"))


def _schema(phase: Phase) -> Any:
    planned = plan_schema(phase.source, phase.target, phase.catalog, phase.mapping, phase.owned())
    apply_schema(planned, phase.target, phase.journal, phase.owned())
    return check_schema(planned, phase.target, phase.owned())


def _accounts(phase: Phase) -> Any:
    about = phase.target, phase.catalog, phase.mapping, phase.owned()
    planned = plan_accounts(phase.source, *about)
    apply(planned, phase.target, phase.journal)
    return check_accounts(planned, phase.target, phase.catalog, phase.mapping, phase.owned())


def _validate(phase: Phase) -> Any:
    return validate_copy(
        phase.source, phase.target, phase.warehouse, phase.catalog, phase.mapping, phase.settings, phase.owned(),
        phase.notes(), phase.earlier_proof(),
    )  # fmt: skip


@dataclass(frozen=True)
class SetUp:
    """The stream made ready, nothing followed yet."""

    verdict: str

    def asdict(self) -> dict[str, Any]:
        return {}


def _cdc(phase: Phase) -> Any:
    about = phase.source, phase.target, phase.catalog, phase.mapping, phase.settings
    return SetUp(set_up(*about, phase.journal, state_folder(phase.settings)).verdict)


_RUNS: dict[str, Any] = {
    "profile": lambda phase: profile_tables(phase.source, phase.catalog, phase.settings.profile),
    "assess": lambda phase: assess(
        phase.source, phase.catalog, phase.settings.target.flavour, phase.settings.target.version, phase.segments
    ),
    "map": _map,
    "schema": _schema,
    "accounts": _accounts,
    "bulk_load": lambda phase: load_or_refresh(
        phase.source, phase.target, phase.catalog, phase.mapping, phase.settings, phase.journal, phase.owned()
    ),
    "warehouse": lambda phase: load_night(
        phase.target, phase.warehouse, phase.target_catalog(), phase.mapping, phase.settings, phase.journal, phase.owned()
    ),
    "validate": _validate,
    "cdc": _cdc,
    "pipelines": lambda phase: check_pipelines(
        phase.source, phase.target, phase.catalog, phase.mapping, load_register(phase.settings.pipelines_path),
        phase.ledger.pipelines(),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def way(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """A source with a little of everything, and on both destinations what somebody else has there."""
    folder = tmp_path_factory.mktemp("to and fro")
    scratch = Scratch(sandbox, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_REPORTS", str(folder / "reports"))
        try:
            yield made(scratch)
        finally:
            scratch.close()


def made(scratch: Scratch) -> Way:
    database = scratch.database(DATABASE)
    scratch.script(SOURCE.strip(), database)
    account, role, stranger = (scratch.account(name) for name in (ACCOUNT, ROLE, STRANGER))
    for statement in (
        f"CREATE ROLE {role}",
        f"CREATE USER {account} IDENTIFIED BY 'never-to-be-shown-2'",
        f"GRANT SELECT ON {quote_mysql(database)}.* TO {role}",
        f"GRANT INSERT, UPDATE (v) ON {quote_mysql(database)}.parts TO {account}",
        f"GRANT {role} TO {account}",
    ):
        scratch.execute(statement)
    # A database of the same name, with what is not the workbook's in it.
    for statement in (
        f"CREATE DATABASE {quote_mysql(database)}",
        f"CREATE TABLE {quote_mysql(database)}.`th``eirs` (id INT PRIMARY KEY, v VARCHAR(20))",
        f"INSERT INTO {quote_mysql(database)}.`th``eirs` VALUES (7, 'é %s')",
        f"CREATE VIEW {quote_mysql(database)}.`their view` AS SELECT * FROM {quote_mysql(database)}.`th``eirs`",
        f"CREATE USER {stranger} IDENTIFIED BY 'never-to-be-shown-3'",
        f"GRANT SELECT ON {quote_mysql(database)}.`th``eirs` TO {stranger}",
    ):
        scratch.execute_target_root(statement)
    register = {"name": "clerks", "owner": "the team", "account": 'cl`erk "ö"%', "kind": "application"}
    segment = guess_segments(read_catalog(scratch.source, [database]))[database, "parts"]
    register |= {"direction": "writes", "segments": [segment], "connection": {"form": "env"}, "smoke": "SELECT 1"}
    # Whoever else was seen at work on this server is another test's.
    others = scratch.execute("SELECT DISTINCT USER FROM performance_schema.accounts WHERE USER IS NOT NULL")
    ignored = [{"account": user, "why": "another test's"} for (user,) in others if user != register["account"]]
    (scratch.folder / "pipelines.yaml").write_text(
        yaml.safe_dump({"pipelines": [register], "ignored": ignored}, allow_unicode=True)
    )
    file = scratch.params([database], bulk={"workers": 1}, pipelines="pipelines.yaml")
    content = yaml.safe_load(file.read_text())
    content["warehouse"]["mode"] = "incremental"
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    way = Way(scratch, file, params.load(file))
    dataset = way.settings.warehouse.dataset
    scratch.google(f"CREATE SCHEMA {quote_google(scratch, dataset)}")
    scratch.google(f"CREATE TABLE {scratch.table_path(dataset, 'theirs')} AS SELECT 7 AS id, 'é' AS v")
    way.seen[START] = way.state()
    return way


def quote_google(scratch: Scratch, dataset: str) -> str:
    return f"`{scratch.warehouse.project}.{dataset}`"


def test_from_every_phase_back_to_every_earlier_one_and_forward_again(way: Way) -> None:
    """Down where the next name is an earlier one, up otherwise; a number: the rollback is killed at that share of its statements."""
    for name in NAMES:
        way.forward(name)
    for before, name in pairwise((START, *WRITING)):
        assert differences(way.seen[before], way.seen[name]) != []
    for step in (
        "cdc", "validate", "warehouse", "bulk_load", "accounts", "schema", "map",
        "cdc", ("assess", 0.6), "cdc", "schema", "cdc", "accounts", "cdc", "bulk_load",
        "warehouse", "accounts", "warehouse", ("schema", 0.2), "warehouse", "profile",
        "bulk_load", START, "bulk_load", "schema", "accounts", START,
    ):  # fmt: skip
        to, killed_at = step if isinstance(step, tuple) else (step, None)
        if _place(to) > _place(way.at):
            way.forward(to)
        else:
            way.back(to, killed_at)
    # What writes nothing leaves the state of the phase before it.
    states = {"profile": START, "assess": START, "map": START, "validate": "warehouse", "pipelines": "cdc"}
    assert {(states.get(later, later), states.get(to, to)) for later, to in way.went} >= {
        (later, to) for place, later in enumerate(WRITING) for to in (START, *WRITING[:place])
    }
    assert {place for pair in way.went for place in pair} == {START, *NAMES}


def test_changes_that_came_since_close_the_way_to_the_rows_of_before_and_leave_those_further_back(way: Way) -> None:
    """The stream has applied changes and a night has taken them to the warehouse: what is not kept cannot be had back."""
    way.forward("warehouse")
    way.scratch.script(CHANGES.strip() + "\n", DATABASE)
    folder = way.scratch.folder / "reports" / "run"
    phase = open_phase("cdc", {"params_file": str(way.file), "run_dir": str(folder)})
    phase.finish(catch_up(phase, rendered(phase.source, phase.mapping, phase.settings)))
    way.run("warehouse")
    now = way.state()
    assert len(differences(way.seen["warehouse"], now)) > 3
    for to in ("warehouse", "bulk_load"):
        with pytest.raises(Refused, match="changes of the source were applied"):
            rollback(way.settings, to, say=lambda line: None)
        assert differences(now, way.state()) == []
    way.back("accounts")
    way.back(START)


def _place(name: str) -> int:
    return -1 if name == START else NAMES.index(name)
