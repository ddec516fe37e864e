"""The nightly refresh: a copy aside, proven, swapped in under constant readers; the copy before it, and the way back."""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
import pytest

from conftest import Scratch
from outages import pid_alive, pid_of, start_server
from test_flow import CODE, LETTERS, ORDERS, PEOPLE, Route
from workbook import params
from workbook.catalog import read_catalog
from workbook.errors import Refused, TransientError, UsageError, VerdictFailed, WorkbookError
from workbook.mapping import merge
from workbook.names import mysql_path, quote_mysql
from workbook.phases import open_phase
from workbook.phases.context import Phase
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.previous import to_previous_copy
from workbook.phases.rollback import rollback
from workbook.refresh import load_or_refresh
from workbook.refresh import run as refreshing
from workbook.refresh import swap as swapping
from workbook.refresh.copies import aside_name, post_database
from workbook.refresh.gate import ranked
from workbook.refresh.result import RefreshResult
from workbook.schema import apply_schema, check_schema, plan_schema

HOSTILE = "sh%s `op' é"


class Nights:
    """A database of generations on the source: every row of every table says to which it belongs.

    Each night is the phase as its notebook runs it, in this process or in one of its own.
    """

    def __init__(self, scratch: Scratch, databases: list[str], **keys: Any):
        self.scratch, self.databases = scratch, databases
        self.mapping = scratch.folder / "mapping.yaml"
        bulk = {"mode": "refresh", "swap_patience_s": 120, **keys}
        self.params = scratch.params(databases, mapping=str(self.mapping), bulk=bulk)
        self.settings = params.load(self.params)

    def age(self) -> None:
        """The next generation, at one moment."""
        with self.scratch.source.session() as session:
            session.execute("START TRANSACTION")
            for path in self.tables():
                session.execute(f"UPDATE {mysql_path(*path)} SET g = g + 1".replace("%", "%%"), ())
            session.execute("COMMIT")

    def tables(self) -> list[tuple[str, str]]:
        return [table.path for table in read_catalog(self.scratch.source, self.databases).tables]

    def phase(self, name: str) -> Phase:
        self.mapping.write_text(merge(None, read_catalog(self.scratch.source, self.databases), None, True))
        folder = self.scratch.folder / "reports" / "run"
        folder.mkdir(parents=True, exist_ok=True)
        return open_phase(name, {"params_file": str(self.params), "run_dir": str(folder)})

    def night(self) -> RefreshResult:
        phase = self.phase("bulk_load")
        result = load_or_refresh(
            phase.source, phase.target, phase.catalog, phase.mapping, phase.settings, phase.journal, phase.owned()
        )
        assert isinstance(result, RefreshResult)
        phase.finish(result)
        return result

    def schema(self) -> None:
        phase = self.phase("schema")
        planned = plan_schema(phase.source, phase.target, phase.catalog, phase.mapping, phase.owned())
        apply_schema(planned, phase.target, phase.journal, phase.owned())
        phase.finish(check_schema(planned, phase.target, phase.owned()))

    def night_that_dies(self, where: str, name: str) -> None:
        """A night in a process of its own, which ends as by the out-of-memory killer when it comes to a function."""
        child = os.fork()
        if child == 0:
            setattr(sys.modules[where], name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
            self.night()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL

    def back(self) -> None:
        to_previous_copy(self.settings, say=lambda line: None)

    def aside(self) -> list[str]:
        """The databases on the target that are copies."""
        rows = self.scratch.target.rows("SELECT SCHEMA_NAME AS n FROM information_schema.SCHEMATA")
        starts = tuple(f"{name[:40]}" for name in self.databases)
        return sorted(row["n"] for row in rows if row["n"].startswith(starts) and row["n"] not in self.databases)

    def clean(self) -> None:
        for name in self.aside():
            self.scratch.execute_target_root(f"DROP DATABASE IF EXISTS {quote_mysql(name)}")


FAMILY = """
CREATE TABLE zebra (id INT PRIMARY KEY, g INT NOT NULL, name VARCHAR(40), KEY (name), FULLTEXT (name));
CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, g INT NOT NULL, zebra INT, CONSTRAINT born FOREIGN KEY (zebra) REFERENCES zebra (id));
CREATE TABLE `a%s ``lone` (g INT NOT NULL, note VARCHAR(20));
CREATE TABLE parts (id INT, g INT NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (50), PARTITION high VALUES LESS THAN MAXVALUE);
INSERT INTO zebra WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200) SELECT n, 1, CONCAT('z', n) FROM c;
INSERT INTO child (g, zebra) SELECT 1, id FROM zebra;
INSERT INTO `a%s ``lone` SELECT 1, 'n' FROM zebra;
INSERT INTO parts SELECT id, 1 FROM zebra;
CREATE VIEW seen AS SELECT zebra.g AS g, child.g AS h FROM child JOIN zebra ON zebra.id = child.zebra;
CREATE TRIGGER born_late BEFORE INSERT ON child FOR EACH ROW SET NEW.g = NEW.g;
"""


@pytest.fixture
def nights(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
    database = scratch.database(HOSTILE)
    scratch.script(FAMILY, database)
    made = Nights(scratch, [database])
    try:
        yield made
    finally:
        made.clean()


def generations(nights: Nights) -> set[Any]:
    """The generations that the tables of the target hold."""
    found = set()
    for path in nights.tables():
        found |= {row["g"] for row in nights.scratch.target.rows(f"SELECT DISTINCT g FROM {mysql_path(*path)}")}
    return found


READER = "'night reader'@'%'"


@dataclass
class Readers:
    """Readers that never pause, each on a connection of its own; what they saw, and what should not have been."""

    nights: Nights
    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    generations: set[int] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)

    def _connected(self) -> "pymysql.Connection[Any]":
        _, host, port, _, _ = self.nights.scratch.target.login()
        return pymysql.connect(
            host=host,
            port=port,
            user="night reader",
            password="r",
            database=HOSTILE,
            autocommit=True,
            charset="utf8mb4",
        )

    def _read(self, kind: str, number: int) -> None:
        choose = random.Random(number)
        with self._connected() as connection, connection.cursor() as cursor:

            def generations(statement: str) -> set[int]:
                cursor.execute(statement)
                return {value for row in cursor.fetchall() for value in row}

            if kind == "prepared":
                cursor.execute(f"PREPARE s FROM 'SELECT DISTINCT {JOINED}'")
            while not self._stop.is_set():
                try:
                    found = self._once(kind, choose, generations)
                except pymysql.MySQLError as error:
                    self.wrong.append(f"{kind}: {error}")
                    cursor.execute("ROLLBACK")
                    continue
                if len(found) != 1:
                    self.wrong.append(f"{kind} saw {found}")
                self.seen[kind] += 1
                time.sleep(0.005)
                self.generations |= found

    def _once(self, kind: str, choose: random.Random, generations: Callable[[str], set[int]]) -> set[int]:
        if kind == "join":
            return generations(f"SELECT DISTINCT {JOINED}")
        if kind == "join backwards":
            return generations(
                "SELECT DISTINCT l.g, c.g FROM zebra AS z STRAIGHT_JOIN child AS c STRAIGHT_JOIN `a%s ``lone` AS l"
                " WHERE z.id = c.zebra AND z.id < 5"
            )
        if kind == "view":
            return generations("SELECT DISTINCT g, h FROM seen")
        if kind == "prepared":
            return generations("EXECUTE s")
        for statement in READINGS[kind]:
            generations(statement)
        found = set()
        for table in TABLES if kind == "in order" else choose.sample(TABLES, len(TABLES)):
            found |= generations(f"SELECT DISTINCT g FROM {table}")
            if kind == "slow":
                time.sleep(0.03)
        generations("COMMIT")
        if kind != "in order":
            # Who reads the tables in any order leaves a moment in which nobody is inside, now and then.
            time.sleep(choose.uniform(0.3, 0.9))
        return found

    @contextmanager
    def reading(self, kinds: Sequence[str]) -> Iterator["Readers"]:
        threads = [threading.Thread(target=self._read, args=(kind, n)) for n, kind in enumerate(kinds)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(20)


TABLES = ("zebra", "child", "`a%s ``lone`", "parts")
JOINED = "z.g, c.g, p.g FROM child AS c JOIN zebra AS z ON z.id = c.zebra JOIN parts AS p ON p.id = z.id"
# How a transaction begins; it then reads every table once, in any order.
READINGS = {
    "repeatable read": ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION"),
    "read committed": ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"),
    "serializable": ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION READ ONLY"),
    "snapshot": ("START TRANSACTION WITH CONSISTENT SNAPSHOT",),
    "slow": ("START TRANSACTION WITH CONSISTENT SNAPSHOT",),
    "in order": ("START TRANSACTION",),
}
KINDS = ("join", "join backwards", "view", "prepared", *READINGS, "in order")


def open_to_reader(nights: Nights) -> None:
    """An account that may read tables by their names alone, and one of them by its columns."""
    run = nights.scratch.execute_target_root
    nights.scratch.account(READER)
    run(f"CREATE USER {READER} IDENTIFIED BY 'r'")
    for table in ("zebra", "child", "`a%s ``lone`", "seen"):
        run(f"GRANT SELECT ON {quote_mysql(HOSTILE)}.{table} TO {READER}")
    run(f"GRANT SELECT (id, g) ON {quote_mysql(HOSTILE)}.parts TO {READER}")


def swapped_under_readers(nights: Nights, times: int) -> Readers:
    assert nights.night().verdict == "ok"
    open_to_reader(nights)
    with Readers(nights).reading(KINDS) as readers:
        for _ in range(times):
            nights.age()
            result = nights.night()
            assert result.verdict == "ok"
            assert result.passage is not None
            assert result.passage.unguarded == ""
    return readers


def test_no_reader_errs_or_sees_a_mix_of_old_and_new_while_copies_are_swapped_in(nights: Nights) -> None:
    readers = swapped_under_readers(nights, 2)
    assert readers.wrong == []
    assert set(readers.seen) == set(KINDS)
    assert readers.generations == {1, 2, 3}


def triggers(nights: Nights) -> list[str]:
    """The triggers of the target, with their tables."""
    rows = nights.scratch.target.rows(
        "SELECT CONCAT(TRIGGER_NAME, ' on ', EVENT_OBJECT_TABLE) AS t FROM information_schema.TRIGGERS"
        " WHERE EVENT_OBJECT_SCHEMA = %s",
        (nights.databases[0],),
    )
    return [row["t"] for row in rows]


def test_the_copy_before_and_the_phases_before_are_met_again_whatever_the_nights_changed(nights: Nights) -> None:
    before = target_fingerprint(nights.scratch.target)
    nights.schema()
    empty = target_fingerprint(nights.scratch.target)
    with pytest.raises(UsageError, match="No copy before"):
        nights.back()
    nights.night()
    run = nights.scratch.execute
    run("ALTER TABLE parts ADD COLUMN extra INT DEFAULT 7, ADD KEY (g)", HOSTILE)
    run("ALTER TABLE child ADD COLUMN extra INT", HOSTILE)
    run("DROP TABLE `a%s ``lone`", HOSTILE)
    run(
        "CREATE TABLE arrived (id INT PRIMARY KEY, g INT, zebra INT, FOREIGN KEY (zebra) REFERENCES zebra (id))",
        HOSTILE,
    )
    run("INSERT INTO arrived VALUES (1, 1, 1)", HOSTILE)
    nights.age()
    second = nights.night()
    assert second.appeared == [(HOSTILE, "arrived")]
    assert set(second.changed) == {(HOSTILE, "parts"), (HOSTILE, "child")}
    assert triggers(nights) == ["born_late on child"]
    assert second.vanished == [(HOSTILE, "a%s `lone")]
    assert generations(nights) == {2}
    # One copy is kept, and the one that vanished from the source is in it.
    assert second.swapped is not None
    (kept,) = nights.aside()
    assert [kept] == list(second.swapped.databases.values())
    assert nights.scratch.target.scalar(f"SELECT COUNT(*) FROM {mysql_path(kept, 'a%s `lone')}") == 200
    nights.back()
    assert nights.scratch.target.scalar(f"SELECT SUM(g) FROM {mysql_path(HOSTILE, 'a%s `lone')}") == 200
    assert triggers(nights) == ["born_late on child"]
    nights.back()
    assert generations(nights) == {2}
    assert triggers(nights) == ["born_late on child"]
    # What had come goes, what had gone comes back, and the way back has been gone halfway when all is taken back.
    run("DROP TABLE arrived", HOSTILE)
    run("CREATE TABLE `a%s ``lone` (g INT NOT NULL, other INT)", HOSTILE)
    third = nights.night()
    assert (third.appeared, third.vanished) == ([(HOSTILE, "a%s `lone")], [(HOSTILE, "arrived")])
    nights.back()
    assert len(nights.scratch.target.rows(f"SELECT * FROM {mysql_path(HOSTILE, 'arrived')}")) == 1
    rollback(nights.settings, "schema", say=lambda line: None)
    assert differences(empty, target_fingerprint(nights.scratch.target)) == []
    rollback(nights.settings, "start", say=lambda line: None)
    assert differences(before, target_fingerprint(nights.scratch.target)) == []
    assert nights.aside() == []


def damage_behind_the_load(patch: pytest.MonkeyPatch, scratch: Scratch, statement: str, database: str) -> None:
    """Run a statement on the new copy of a database as soon as its rows have arrived."""
    load = refreshing.load

    def load_and_damage(*arguments: Any) -> Any:
        loaded = load(*arguments)
        scratch.execute_target_root(statement, aside_name(database, "new"))
        return loaded

    patch.setattr(refreshing, "load", load_and_damage)


DEATHS = (
    # Where it dies, and the generation that is read then: the one of the night before, or the new one.
    ("workbook.refresh.run", "compare_aside", 1),
    ("workbook.refresh.swap", "pass_through", 1),
    ("workbook.refresh.run", "plan_again", 4),
)


def test_nights_that_are_killed_or_go_wrong_leave_a_whole_copy_and_the_next_goes_on(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.night()
    for where, name, generation in DEATHS:
        nights.age()
        nights.night_that_dies(where, name)
        assert generations(nights) == {generation}
    with monkeypatch.context() as patch:
        damage_behind_the_load(patch, nights.scratch, "DELETE FROM parts WHERE id = 3", HOSTILE)
        nights.age()
        with pytest.raises(VerdictFailed, match="different"):
            nights.night()
    assert generations(nights) == {4}
    assert nights.night().verdict == "ok"
    assert generations(nights) == {5}
    assert triggers(nights) == ["born_late on child"]
    assert len(nights.aside()) == 1
    nights.back()
    assert generations(nights) == {4}


def test_a_copy_that_is_filtered_renamed_and_masked_on_the_way_is_proven_so_and_swapped_in(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(scratch, tmp_path, monkeypatch, bulk={"mode": "refresh", "swap_patience_s": 120})
    # Without the function, whose answer's heading names its database: what calls answer is no matter of a refresh.
    scratch.script(CODE.rpartition("\n;;\n")[0], route.database)
    migration = route.migration
    migration.catalog = read_catalog(scratch.source, [route.database])
    migration.mapping = route.read()
    migration.schema()

    def night(tables: dict[str, Any] | None = None) -> RefreshResult:
        migration.catalog = read_catalog(scratch.source, [route.database])
        migration.mapping = route.read(tables)
        made = load_or_refresh(
            scratch.source,
            scratch.target,
            migration.catalog,
            migration.mapping,
            migration.settings,
            migration.notes,
            migration.notes.objects,
        )
        assert isinstance(made, RefreshResult)
        return made

    def shown_triggers() -> set[str]:
        return {row[0] for row in scratch.execute_target_root(f"SHOW TRIGGERS FROM {quote_mysql(route.new)}")}

    first = night()
    assert first.verdict == "ok"
    people = next(table for table in first.proof if table.table == PEOPLE)
    assert (people.verdict, people.rows_target, people.columns["name"]) == ("same", 266, "tolerated")
    # Another night: rows leave by the filter and others come by it, hidden and shown values change.
    scratch.execute(f"UPDATE {quote_mysql(LETTERS)} SET gone = 1 WHERE mail LIKE 'P1%'", route.database)
    scratch.execute(f"UPDATE {ORDERS} SET gone = id MOD 3 < 2", route.database)
    scratch.execute(f"UPDATE {quote_mysql(PEOPLE)} SET name = CONCAT('neu ', id) WHERE id < 9", route.database)
    before = route.there("people`s", "id, name")
    with monkeypatch.context() as patch:
        damage_behind_the_load(patch, scratch, "UPDATE `people``s` SET name = 'f' WHERE id = 4", route.new)
        wrong = {table.table: table for table in night().proof if table.verdict != "same"}
    assert [(table.changed, table.columns["name"]) for table in wrong.values()] == [(1, "different")]
    assert route.there("people`s", "id, name") == before
    # A name that the mapping changes since then: the table of the old name goes with the copy before.
    tables = route.tables()
    tables[PEOPLE]["target"] = {"name": "persons"}
    tables[ORDERS]["columns"] = {"total": {"target": "sum `%"}}
    with pytest.raises(Refused, match=r"`of_orders` is on the target.*names the column 'total'"):
        night(tables)
    scratch.execute_target_root("DROP VIEW of_orders", route.new)
    assert shown_triggers() == {"on_orders"}
    third = night(tables)
    assert third.verdict == "ok"
    assert (third.appeared, third.vanished) == ([(route.new, "persons")], [(route.new, "people`s")])
    assert third.changed == ((route.new, ORDERS), (route.new, LETTERS))
    assert len(route.there(ORDERS, "`sum ``%`")) == 140
    migration.warehouse()
    result = migration.validate()
    assert result.verdict == "same", "\n".join(map(str, result.findings))
    assert shown_triggers() == set()


def test_who_sits_in_a_transaction_is_named_and_left_in_peace(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
    database = scratch.database()
    scratch.script(FAMILY, database)
    nights = Nights(scratch, [database], swap_patience_s=1.5)
    nights.night()
    nights.age()
    try:
        with scratch.target.raw() as sitting, sitting.cursor() as cursor:
            cursor.execute(f"SELECT MAX(g) FROM {quote_mysql(database)}.child")
            with pytest.raises(TransientError, match=rf"connection {sitting.thread_id()} of admin@127.0.0.1"):
                nights.night()
            cursor.execute(f"SELECT MAX(g) FROM {quote_mysql(database)}.zebra")
            assert cursor.fetchone() == (1,)
        assert triggers(nights) == ["born_late on child"]
    finally:
        nights.clean()


def test_databases_of_the_longest_names_point_at_each_other_before_and_after(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
    one, other = (scratch.database(("lang`e %s " * 7)[:63] + end) for end in "ab")
    scratch.script("CREATE TABLE parent (id INT PRIMARY KEY, g INT);\nINSERT INTO parent VALUES (1, 1);\n", one)
    above = mysql_path(one, "parent")
    scratch.execute(f"CREATE TABLE child (id INT PRIMARY KEY, g INT, FOREIGN KEY (id) REFERENCES {above} (id))", other)
    scratch.execute("INSERT INTO child VALUES (1, 1)", other)
    nights = Nights(scratch, [one, other])
    try:
        for generation in (1, 2):
            assert nights.night().verdict == "ok"
            assert generations(nights) == {generation}
            nights.age()
        (key,) = read_catalog(scratch.target, [one, other]).table[other, "child"].foreign_keys
        assert (key.parent_database, key.parent_table) == (one, "parent")
        outside = f"CREATE TABLE mine (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES {above} (id))"
        scratch.execute_target_root(outside, other)
        with pytest.raises(Refused, match=r"`mine`.*points at 'parent'"):
            nights.night()
        assert generations(nights) == {2}
    finally:
        nights.clean()
        # The child's goes first.
        scratch.drop_database(other)


def test_a_database_of_the_same_name_or_a_disk_that_is_too_small_is_refused_before_a_row_moves(nights: Nights) -> None:
    nights.night()
    theirs = aside_name(HOSTILE, "new")
    nights.scratch.execute_target_root(f"CREATE DATABASE {quote_mysql(theirs)}")
    with pytest.raises(Refused, match="not one of this workbook's copies"):
        nights.night()
    nights.scratch.execute_target_root(f"DROP DATABASE {quote_mysql(theirs)}")
    bulk = nights.settings.bulk.model_copy(update={"target_disk_gb": 0.0001})
    small = nights.settings.model_copy(update={"bulk": bulk})
    phase = nights.phase("bulk_load")
    with pytest.raises(Refused, match=r"of the target's 0\.0001 GB are in use"):
        load_or_refresh(phase.source, phase.target, phase.catalog, phase.mapping, small, phase.journal, phase.owned())


def test_names_of_copies_fit_and_differ_and_the_post_comes_last() -> None:
    names = ["é" * 64, "é" * 63 + "a", "x" * 64, "shop", "shop_2", "~" * 64, "\uff5e" * 64]
    for mark in ("new", "20261124020000"):
        made = {aside_name(name, mark) for name in names}
        assert len(made) == len(names)
        assert max(map(len, made)) <= 64
    for count in range(1, len(names) + 1):
        post = post_database(names[:count])
        assert len(post) <= 64
        assert all(name.encode() < post.encode() for name in names[:count])


def test_gates_close_in_the_order_in_which_transactions_come_to_the_tables() -> None:
    a, b, c, d = (("s", name) for name in "abcd")
    ways = {(c, a): 5, (a, b): 3, (b, a): 1, (c, b): 1}
    assert ranked([a, b, c, d], ways) == {c: 0, d: 0, a: 1, b: 2}
    circle = ranked([a, b], {(a, b): 1, (b, a): 1})
    assert circle == {a: 0, b: 0}


@pytest.mark.soak
def test_a_target_that_is_killed_at_any_moment_of_a_swap_holds_a_whole_copy(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Names of letters alone: of others MySQL 9.7 itself loses the files when it dies within a RENAME (error 1812).
    monkeypatch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
    database = scratch.database("killed_nights")
    scratch.script(FAMILY.replace("`a%s ``lone`", "lone"), database)
    nights, folder = Nights(scratch, [database]), Path(scratch.state["params"]).parent
    nights.night()
    read, passing, pass_through = {1}, threading.Event(), swapping.pass_through

    def noted(*arguments: Any) -> Any:
        passing.set()
        return pass_through(*arguments)

    def kill(pid: int, delay: float) -> None:
        passing.wait(120)
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(swapping, "pass_through", noted)
    try:
        for generation in range(2, 10):
            nights.age()
            passing.clear()
            pid = pid_of(folder, "target")
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
            killer = threading.Thread(target=kill, args=(pid, random.uniform(0, 0.6)))
            killer.start()
            with suppress(WorkbookError):
                nights.night()
            killer.join()
            while pid_alive(pid):
                time.sleep(0.02)
            start_server(scratch.state, "target", command)
            assert generations(nights) in (read, {generation})
            read = generations(nights)
        nights.age()
        assert nights.night().verdict == "ok"
        assert generations(nights) == {10}
        assert triggers(nights) == ["born_late on child"]
        assert len(nights.aside()) == 1
    finally:
        nights.clean()


@pytest.mark.soak
def test_no_reader_errs_or_sees_a_mix_for_as_long_as_one_looks(nights: Nights) -> None:
    ends = time.monotonic() + 60 * float(os.environ.get("MINUTES", "30")) / 10
    assert nights.night().verdict == "ok"
    open_to_reader(nights)
    swaps = 0
    with Readers(nights).reading(KINDS) as readers:
        while (time.monotonic() < ends or swaps < 5) and not readers.wrong:
            nights.age()
            nights.night()
            swaps += 1
    print(f"{swaps} swaps under {sum(readers.seen.values()):,} reads, of which {len(readers.wrong)} went wrong")
    assert readers.wrong == []
    assert readers.generations >= set(range(2, swaps + 1))
