"""A validation that is killed or loses its servers, and is run again: the same verdict, and what was proven is not read again."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from migration import Migration
from outages import kill_server
from test_kills import scratch_of_a_module, settings_for
from workbook import params
from workbook.catalog import read_catalog
from workbook.errors import TransientError
from workbook.mapping import generate, load_mapping
from workbook.sandbox import lifecycle
from workbook.validate import resume, walk
from workbook.validate.content import Servers, compare_table
from workbook.validate.result import TableVerdict
from workbook.validate.resume import Notes

SCRIPT = Path(__file__).with_name("validation_process.py")
FILL = """INSERT /*+ SET_VAR(cte_max_recursion_depth = 100000) */ INTO {name} WITH RECURSIVE n (i) AS
          (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT {values} FROM n"""
SOURCE = (
    "CREATE TABLE parent (id INT PRIMARY KEY, word VARCHAR(40), born DATE)",
    FILL.format(name="parent", rows=300, values="i, CONCAT('é', i), IF(i = 5, '0000-00-00', '2000-01-01' + INTERVAL i DAY)"),
    """CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, parent INT, word VARCHAR(40), amount DECIMAL(12,4), score DOUBLE,
       FOREIGN KEY (parent) REFERENCES parent (id))""",
    FILL.format(name="big", rows=6000, values="i, 1 + i MOD 300, CONCAT('ü', i), i / 7, i / 3"),
    "CREATE TABLE by_text (word VARCHAR(40) PRIMARY KEY, v INT)",
    FILL.format(name="by_text", rows=2500, values="CONCAT('k', i), i"),
    "CREATE TABLE keyless (v INT NOT NULL, w VARCHAR(9), KEY (v))",
    FILL.format(name="keyless", rows=2000, values="i DIV 2, 'x'"),
    "CREATE TRIGGER louder BEFORE INSERT ON parent FOR EACH ROW SET NEW.word = UPPER(NEW.word)",
    "CREATE VIEW some AS SELECT id, word FROM parent WHERE id < 9",
    "CREATE PROCEDURE more(n INT) INSERT INTO keyless VALUES (n, 'more')",
)  # fmt: skip
DAMAGE = (
    "UPDATE big SET word = CONCAT(word, ' ') WHERE id IN (17, 4444, 5999)",
    "DELETE FROM by_text WHERE word = 'k77'",
    "INSERT INTO keyless VALUES (3, 'x')",
)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a thousand rows, each noted at once."""
    monkeypatch.setattr(walk, "_MOST", 1000)
    monkeypatch.setattr(walk, "_FEWEST", 1000)
    monkeypatch.setattr(resume, "_WRITE_SECONDS", 0.0)


# --- One table, without a warehouse -------------------------------------------------------------------------------------


def next_second() -> None:
    """Wait for it: when a table was written to is known to the second, and what was read in that second is not used."""
    time.sleep(1.02 - time.time() % 1)


class Interrupted(Exception):
    """What ends a comparison from within."""


class Table:
    """A table on source and target, compared by validations that may end early."""

    def __init__(self, scratch: Scratch, *statements: str):
        self.scratch = scratch
        self.database = scratch.database()
        scratch.execute_target_root(f"CREATE DATABASE {self.database}")
        for statement in statements:
            for run in (scratch.execute, scratch.execute_target_root):
                run(statement, self.database)
        self.scratch.execute("ANALYZE TABLE t", self.database)
        next_second()
        self.settings = scratch.settings([self.database])
        self.runs = 0

    def compare(self, stop_after: int | None = None, **rules: str) -> tuple[TableVerdict | None, str, int]:
        """The verdict (None: it ended early), what was taken up, and how many chunks were read on both sides."""
        catalog = read_catalog(self.scratch.source, [self.database])
        (item,) = generate(catalog, None, True).in_scope
        self.runs += 1
        notes = Notes(self.scratch.folder / "ledger.sqlite", "test", f"run {self.runs}")
        before = self._sent()
        calls = iter(range(stop_after)) if stop_after is not None else None

        def pause() -> None:
            if calls is not None and next(calls, None) is None:
                raise Interrupted

        found = None
        servers = Servers(self.scratch.source, self.scratch.target, None, pause, notes)
        try:
            (found,) = compare_table(servers, catalog.table[item.path], item, self.settings)
            notes.ended(found.verdict != "incomparable")
        except Interrupted:
            pass
        return found, notes.said(), self._sent() - before

    def _sent(self) -> int:
        sides = (self.scratch.source, self.scratch.target)
        return sum("_XOR" in item.sql or "SUM(" in item.sql for side in sides for item in side.statements)


KEYED = ("CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(40), amount DECIMAL(12,4))",
         FILL.format(name="t", rows=6000, values="i * 3, CONCAT('é', i), i / 7"))  # fmt: skip
KEYLESS = (
    "CREATE TABLE t (v BIGINT NOT NULL, w VARCHAR(9), KEY (v))",
    FILL.format(name="t", rows=6000, values="i DIV 2, 'x'"),
)
BY_TEXT = ("CREATE TABLE t (k VARBINARY(40), d DECIMAL(9,2), v INT, PRIMARY KEY (k, d))",
           FILL.format(name="t", rows=6000, values="UNHEX(SHA2(i MOD 7, 256)), i / 100, i"))  # fmt: skip


@pytest.mark.parametrize("made", [KEYED, KEYLESS, BY_TEXT], ids=["numbers", "keyless", "bytes and decimals"])
def test_chunks_that_were_read_are_not_read_again(scratch: Scratch, made: tuple[str, ...]) -> None:
    table = Table(scratch, *made)
    assert table.compare(stop_after=4)[0] is None
    found, said, read = table.compare()
    assert found is not None
    assert (found.verdict, found.rows_source, found.rows_target) == ("same", 6000, 6000)
    assert said.startswith("from the run of run 1, which did not end: 0 tables taken up whole, 1 in part")
    # Six or seven chunks on two sides, of which four were read before on either.
    assert 4 <= read <= 7
    # What a validation that has ended knew is not used: the next one proves everything anew.
    assert table.compare()[1:] == ("", read + 8)


def test_what_was_taken_up_of_several_runs_is_named(scratch: Scratch) -> None:
    table = Table(scratch, *KEYED)
    table.compare(stop_after=2)
    table.compare(stop_after=2)
    scratch.execute_target_root("UPDATE t SET amount = 1 WHERE id IN (3, 18000)", table.database)
    # The target has moved: what it showed is of no use any more, what the source showed still is.
    found, said, _ = table.compare()
    assert found is not None
    assert (found.verdict, found.changed) == ("different", 2)
    assert said == (
        "from the run of run 1, run 2, which did not end: 0 tables taken up whole, 1 in part;"
        " 1 tables read again where the server or the table has changed since"
    )
    assert {dict(row.key)["id"] for row in found.samples} == {"3", "18000"}


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize("logged", [1, 0], ids=["in the binlog", "past the binlog"])
def test_a_chunk_that_was_proven_and_changed_since_is_read_again(scratch: Scratch, role: str, logged: int) -> None:
    table = Table(scratch, *KEYED)
    assert table.compare(stop_after=4)[0] is None
    with (
        lifecycle.root_connection(scratch.state, role, database=table.database) as connection,
        connection.cursor() as c,
    ):
        c.execute(f"SET SESSION sql_log_bin = {logged}")
        c.execute("UPDATE t SET word = 'other' WHERE id = 6")
        connection.commit()
    found, said, _ = table.compare()
    assert found is not None
    assert (found.verdict, found.changed) == ("different", 1)
    assert [dict(row.key) for row in found.samples] == [{"id": "6"}]
    assert "1 tables read again" in said


def test_what_was_read_under_another_mapping_is_not_used(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(scratch, *KEYED)
    table.compare(stop_after=4)
    monkeypatch.setattr(resume, "ENCODING_VERSION", 0)
    found, said, read = table.compare()
    assert found is not None
    assert (found.verdict, said) == ("same", "")
    assert read >= 12


@pytest.mark.parametrize("role", ["source", "target"])
def test_a_lost_connection_is_incomparable_and_the_next_run_goes_on(scratch: Scratch, role: str) -> None:
    table = Table(scratch, *KEYED)
    run: Callable[..., Any] = scratch.execute if role == "source" else scratch.execute_target_root
    user = getattr(scratch, role).user
    done = 0

    def cut() -> None:
        nonlocal done
        done += 1
        if done == 4:
            for (thread,) in run(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s AND ID <> CONNECTION_ID()", None, (user,)
            ):
                run(f"KILL {thread}")

    catalog = read_catalog(scratch.source, [table.database])
    (item,) = generate(catalog, None, True).in_scope
    notes = Notes(scratch.folder / "ledger.sqlite", "test", "cut")
    servers = Servers(scratch.source, scratch.target, None, cut, notes)
    try:
        (found,) = compare_table(servers, catalog.table[item.path], item, table.settings)
    except TransientError:
        # The end of the session tells of it once more.
        pass
    else:
        assert (found.verdict, found.columns["word"]) == ("incomparable", "incomparable")
        assert "cannot be reached" in found.why
    notes.ended(False)
    again, said, read = table.compare()
    assert again is not None
    assert again.verdict == "same"
    assert said.startswith("from the run of cut, which did not end")
    assert read < 12


# --- A whole validation as a process that is killed ---------------------------------------------------------------------


@dataclass
class Killable:
    """A damaged copy, and validations of it as processes."""

    scratch: Scratch
    params: Path
    process: "subprocess.Popen[str]"
    runs: int = 0

    def run(self, after: int | None = None, late: float = 0.0) -> tuple[int, dict[str, Any], int]:
        """A validation, killed `late` ms after so many statements: its exit status, its result and its statements."""
        self.runs += 1
        folder = self.scratch.folder / "reports" / f"run{self.runs}"
        folder.mkdir(parents=True)
        order = {"params": str(self.params), "run_dir": str(folder), "after": after, "late": late}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        file = folder / "validate.json"
        result = json.loads(file.read_text()) if file.exists() else {}
        return status, result, int((folder / "statements").read_text()) if status == 0 else 0

    def left(self) -> list[str]:
        """What of a replay stands on the target."""
        databases = self.scratch.execute_target_root("SHOW DATABASES LIKE '\\_workbook-replay%'")
        accounts = self.scratch.execute_target_root("SELECT User FROM mysql.user WHERE User LIKE '\\_workbook%'")
        return [name for (name,) in (*databases, *accounts)]


@pytest.fixture(scope="module")
def killable(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    with scratch_of_a_module(sandbox, tmp_path_factory.mktemp("resume")) as scratch:
        database = scratch.database()
        for statement in SOURCE:
            scratch.execute(statement, database)
        scratch.execute("ANALYZE TABLE big, by_text, keyless", database)
        file = settings_for(scratch, [database])
        settings = params.load(file)
        catalog = read_catalog(scratch.source, [database])
        assert settings.mapping_path
        Migration(scratch, settings, catalog, load_mapping(settings.mapping_path, catalog, emulated=True)).whole()
        for statement in DAMAGE:
            scratch.execute_target_root(statement, database)
        environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
        with subprocess.Popen(
            [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            yield Killable(scratch, file, process)


@pytest.fixture(scope="module")
def undisturbed(killable: Killable) -> tuple[dict[str, Any], int]:
    """What a validation finds that nobody disturbs, and how many statements it takes."""
    status, result, statements = killable.run()
    assert (status, result["verdict"]) == (0, "different")
    assert {(item["object"].split(".")[-1], item["rows"]) for item in result["findings"] if item["hop"] == "source-target"} == {
        ("big", 3), ("by_text", 1), ("keyless", 1)
    }  # fmt: skip
    return told(result), statements


def told(result: dict[str, Any]) -> dict[str, Any]:
    """What a validation says, without its times and what it took up."""
    kept = {name: result[name] for name in ("verdict", "hops", "objects", "relations", "interactions", "findings")}
    kept["tables"] = [{name: of for name, of in table.items() if name != "seconds"} for table in result["tables"]]
    kept["columns"] = result["coverage"]["columns"]
    return kept


def killed(killable: Killable, undisturbed: tuple[dict[str, Any], int], kills: int, seed: int) -> None:
    """Kill as often at random points, run again each time; every third time the run again is killed too."""
    dice = random.Random(seed)
    expected, statements = undisturbed
    resumed = done = 0
    while done < kills:
        for _ in range(1 + (done % 3 == 2)):
            status, _, _ = killable.run(dice.randrange(1, statements), dice.choice([0, 0, dice.uniform(0, 80)]))
            # It may be over before its time has come.
            assert status in (0, -9)
            done += status == -9
        status, result, _ = killable.run()
        assert status == 0
        assert told(result) == expected
        assert killable.left() == []
        resumed += bool(result["coverage"]["resumed"])
    print(f"{done} kills, {resumed} runs took up what was proven")
    assert resumed


def test_a_validation_killed_at_random_points_ends_with_the_same_verdict(
    killable: Killable, undisturbed: tuple[dict[str, Any], int]
) -> None:
    killed(killable, undisturbed, kills=3, seed=5)


@pytest.mark.soak
def test_a_validation_killed_twenty_times_ends_with_the_same_verdict_each_time(
    killable: Killable, undisturbed: tuple[dict[str, Any], int]
) -> None:
    killed(killable, undisturbed, kills=20, seed=int(os.environ.get("SEED", "20")))


@pytest.mark.soak
@pytest.mark.parametrize("role", ["source", "target"])
def test_a_server_that_dies_meanwhile_costs_what_was_not_read_yet(role: str, tmp_path: Path) -> None:
    state = lifecycle.up(tmp_path / "sandbox", sample=False)
    try:
        scratch = Scratch(state, tmp_path)
        table = Table(scratch, *KEYED)
        assert table.compare(stop_after=4)[0] is None
        kill_server(state, role)
        found, said, read = table.compare()
        assert found is not None
        assert (found.verdict, found.rows_target) == ("same", 6000)
        assert "1 in part" in said
        assert read <= 7
    finally:
        lifecycle.down(tmp_path / "sandbox")
