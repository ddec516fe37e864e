"""The nightly refresh: a copy aside, proven, swapped in under constant readers; the copy before it, and the way back."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

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
            self.databases, bulk={"mode": "refresh", "swap_patience_s": 30, **self.keys}
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


def test_basic(nights: Nights) -> None:
    first = nights.night()
    assert first.verdict == "ok", first
    assert generations(nights) == {1}
    nights.age()
    second = nights.night()
    assert second.verdict == "ok"
    assert generations(nights) == {2}
    print(second.passage, second.swapped)
    nights.back()
    assert generations(nights) == {1}
    nights.back()
    assert generations(nights) == {2}
