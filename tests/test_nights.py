"""Night after night over a target that goes on changing: each morning the warehouse is what its rows demand under the rules."""

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from test_incremental import Nights, killed
from workbook.mapping import Dedupe, Mapping, Reject

TABLES = """
CREATE TABLE readers (id INT PRIMARY KEY, email VARCHAR(60), score VARCHAR(9), seen DATETIME(3) NOT NULL, KEY (seen))
;;
CREATE TABLE loans (reader INT, `no` SMALLINT, title VARCHAR(40), fee DECIMAL(8,2), PRIMARY KEY (reader, `no`))
;;
CREATE TABLE visits (at DATETIME, who VARCHAR(20))
"""
SPELLINGS = [" Ada@x.example", "ada@X.example", "bob@y.example ", None, "N/A", "eve@z.example", "nobody"]


class Library:
    """Tables that change, the mapping that cleans them, and what the clean tables must hold."""

    def __init__(self, made: Nights, seed: int):
        self.made, self.random = made, random.Random(seed)
        self.names = {"readers": "readers", "loans": "loans", "visits": "visits"}
        self.next = 1

    def sql(self, statement: str, rows: list[tuple[Any, ...]] | None = None) -> None:
        with self.made.scratch.target_root_connection(self.made.database) as cursor:
            cursor.execute("SET SESSION autocommit = 1")
            if rows is None:
                cursor.execute(statement)
            elif rows:
                cursor.executemany(statement, rows)

    def day(self) -> None:
        """What an ordinary day does."""
        roll, new = self.random, range(self.next, self.next + self.random.randint(5, 40))
        self.next = new.stop
        readers, loans, visits = (self.names[name] for name in ("readers", "loans", "visits"))
        self.sql(
            f"INSERT INTO {readers} (id, email, score, seen) VALUES (%s, %s, %s, UTC_TIMESTAMP(3))",
            [(n, roll.choice(SPELLINGS), str(roll.randint(0, 99))) for n in new],
        )
        self.sql(
            f"INSERT INTO {loans} (reader, `no`, title, fee) VALUES (%s, %s, %s, %s)",
            [(n, k, f"Zoë {k}😀", roll.randint(0, 999) / 100) for n in new for k in range(roll.randint(0, 3))],
        )
        old = [roll.randrange(1, self.next) for _ in range(6)]
        self.sql(
            f"UPDATE {readers} SET email = %s, seen = UTC_TIMESTAMP(3) WHERE id = %s",
            [(roll.choice(SPELLINGS), n) for n in old],
        )
        self.sql(f"UPDATE {loans} SET fee = fee + 1 WHERE reader = %s", [(n,) for n in old])
        self.sql(f"DELETE FROM {loans} WHERE reader = %s", [(n,) for n in old[:2]])
        self.sql(f"DELETE FROM {readers} WHERE id = %s", [(n,) for n in old[:2]])
        if roll.random() < 0.5:
            self.sql(f"INSERT INTO {visits} VALUES (UTC_TIMESTAMP(), %s)", [(roll.choice("abc"),)])

    def mapping(self) -> Mapping:
        made = self.made.mapping()
        tables = dict(made.tables)
        for path, table in tables.items():
            rules = {"email": ("trim", "lower", "null_tokens", {"email": {"else": "reject"}}), "score": ("number",)}
            columns = tuple(replace(column, clean=rules.get(column.name, ())) for column in table.columns)
            if table.name == self.names["readers"]:
                tables[path] = replace(
                    table, columns=columns, watermark="seen", lookback=5.0, dedupe=Dedupe(("email",), "last", ("id",)),
                    reject=(Reject("too low", "score < 10"),),
                )  # fmt: skip
        return replace(made, tables=tables)

    def morning(self) -> None:
        """Compare the clean tables with what this test makes of the target's rows by itself."""
        for name in self.names.values():
            rows = self.made.scratch.execute_target_root(f"SELECT * FROM {name}", self.made.database)
            wanted = readers_of(rows) if name == self.names["readers"] else rows
            found = [tuple(row.values()) for row in self.made.rows(name)]
            assert sorted(map(plain, found)) == sorted(map(plain, wanted)), name
            raw = self.made.scratch.google(f"SELECT COUNT(*) FROM {self.made.path(name, raw=True)}")
            assert raw == [(len(rows),)]


def readers_of(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The clean readers: no address that is none, none with a low score, of the same address the last."""
    kept: dict[Any, tuple[Any, ...]] = {}
    for id, email, score, *more in sorted(rows):
        clean = None if email in (None, "N/A") else email.strip().lower()
        if (clean is not None and "@" not in clean) or (score is not None and int(score) < 10):
            continue
        kept[("", id) if clean is None else clean] = (id, clean, Decimal(score), *more)
    return list(kept.values())


def plain(row: tuple[Any, ...]) -> str:
    return repr([str(float(value)) if type(value).__name__ == "Decimal" else str(value) for value in row])


def simulate(made: Nights, nights: int, events: dict[int, Callable[[Library], None]]) -> None:
    library = Library(made, seed=nights)
    ways: set[str] = set()
    for night in range(1, nights + 1):
        library.day()
        event = events.get(night)
        if event is not None:
            event(library)
        if event is skipped:
            continue
        ways |= set(made.ways(library.mapping()).values())
        library.morning()
    assert {"full", "binlog", "watermark"} <= ways
    # Started a second time, the night finds nothing to do but for rows at the edge of the watermark.
    again = made.ways(library.mapping())
    assert set(again.values()) <= {"unchanged", "watermark"}
    library.morning()


def skipped(library: Library) -> None:
    library.day()


def new_column(library: Library) -> None:
    library.sql("ALTER TABLE loans ADD COLUMN shelf VARCHAR(9) DEFAULT 'A'")


def widened(library: Library) -> None:
    library.sql("ALTER TABLE loans MODIFY fee DECIMAL(12,2)")


def renamed(library: Library) -> None:
    library.sql("RENAME TABLE visits TO doorbell")
    library.names["visits"] = "doorbell"


def crashed(library: Library) -> None:
    killed(library.made)
    library.day()


def refreshed(library: Library) -> None:
    """A bulk load makes a table anew, as a refresh does."""
    library.sql("CREATE TABLE loans__new LIKE loans")
    library.sql("INSERT INTO loans__new SELECT * FROM loans")
    library.sql("RENAME TABLE loans TO loans__old, loans__new TO loans")
    library.sql("DROP TABLE loans__old")


def test_four_nights_with_a_new_column_and_a_rename_leave_what_the_rows_demand(scratch: Any) -> None:
    simulate(Nights(scratch, TABLES), 4, {2: new_column, 3: renamed})


@pytest.mark.soak
def test_thirty_nights_leave_what_the_rows_demand_each_morning(scratch: Any) -> None:
    events = {
        4: new_column, 7: widened, 9: crashed, 12: skipped, 15: renamed, 18: refreshed, 21: crashed, 24: skipped,
        27: refreshed,
    }  # fmt: skip
    simulate(Nights(scratch, TABLES), 30, events)
