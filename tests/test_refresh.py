"""The nightly refresh: a copy aside, proven, swapped in under constant readers; the copy before it, and the way back."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pymysql
import pytest

from conftest import Scratch
from migration import Notes
from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.names import mysql_path, quote_mysql
from workbook.refresh import go_back, refresh
from workbook.refresh.copies import Copies
from workbook.refresh.result import RefreshResult

HOSTILE = "sh%s `op' é"


@dataclass
class Nights:
    """A database of generations on the source: every row of every table says to which it belongs."""

    scratch: Scratch
    databases: list[str]
    notes: Notes = field(default_factory=Notes)
    keys: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = self.scratch.settings(
            self.databases, bulk={"mode": "refresh", "swap_patience_s": 20, **self.keys}
        )

    def age(self) -> None:
        """The next generation, at one moment."""
        root = self.scratch
        statements = [f"UPDATE {mysql_path(*path)} SET g = g + 1" for path in self.tables()]
        with root.source.session() as session:
            session.execute("START TRANSACTION")
            for statement in statements:
                session.execute(statement.replace("%", "%%"), ())
            session.execute("COMMIT")

    def tables(self) -> list[tuple[str, str]]:
        return [table.path for table in read_catalog(self.scratch.source, self.databases).tables]

    def night(self) -> RefreshResult:
        scratch = self.scratch
        catalog = read_catalog(scratch.source, self.databases)
        mapping = generate(catalog, None, True)
        return refresh(
            scratch.source, scratch.target, catalog, mapping, self.settings, self.notes, set(self.notes.objects)
        )

    def back(self) -> None:
        go_back(self.scratch.target, self.settings, self.notes, say=lambda line: None)

    def clean(self) -> None:
        for copy in Copies(self.scratch.target, self.settings.environment).all():
            for name in copy.databases.values():
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
def nights(scratch: Scratch) -> Iterator[Nights]:
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
            print(result.passage)
    return readers


def test_no_reader_errs_or_sees_a_mix_of_old_and_new_while_copies_are_swapped_in(nights: Nights) -> None:
    readers = swapped_under_readers(nights, 3)
    print(readers.seen)
    assert readers.wrong == []
    assert set(readers.seen) == set(KINDS)
    assert readers.generations == {1, 2, 3, 4}
