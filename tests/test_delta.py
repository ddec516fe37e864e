"""The delta validation: only what was touched since is read, with the same guarantee; what cannot be told is read in full."""

import json
from collections.abc import Iterator

import pytest

from conftest import Scratch
from migration import Migration
from workbook.validate.delta import Earlier
from workbook.validate.result import Validation

SHOP = [
    "CREATE TABLE people (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), score DOUBLE)",
    """INSERT INTO people (name, score) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900)
       SELECT CONCAT('Zoë ', n), n / 7 FROM c""",
    """CREATE TABLE orders (person INT, place VARCHAR(20) CHARACTER SET latin1, amount DECIMAL(12,4), PRIMARY KEY (place, person),
       FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE)""",
    "INSERT INTO orders SELECT id, CONCAT('é', id), id / 3 FROM people",
    "CREATE TABLE clicks (what VARCHAR(20), at DATETIME(3))",
    "INSERT INTO clicks VALUES ('twice', '2024-01-01'), ('twice', '2024-01-01'), ('once', NULL)",
    "CREATE TABLE quiet (id INT PRIMARY KEY)",
    "INSERT INTO quiet SELECT id FROM people",
]


class Proven:
    """A migration that was proven in full, and deltas that go on from there."""

    def __init__(self, migration: Migration):
        self.migration = migration
        self.scratch = migration.scratch
        (self.database,) = migration.settings.source.databases
        self.first = migration.validate()
        assert self.first.verdict == "same", self.first.findings
        settings = migration.settings
        wanted = settings.validate_.model_copy(update={"mode": "delta"})
        migration.settings = settings.model_copy(update={"validate_": wanted})
        self.earlier = self.earlier_of(self.first, "first")

    @staticmethod
    def earlier_of(found: Validation, run: str) -> Earlier:
        """What the ledger and validate.json would hand to the next validation."""
        notes = json.loads(json.dumps(found.notes_when_good))
        return Earlier({**notes["proof"], "run": run}, json.loads(json.dumps(found.asdict(), default=str)), "")

    def both(self, *statements: str) -> None:
        for statement in statements:
            self.scratch.execute(statement, self.database)
            self.scratch.execute_target_root(statement, self.database)

    def delta(self, earlier: Earlier | None = None) -> Validation:
        return self.migration.validate(earlier or self.earlier)


@pytest.fixture(scope="module")
def proven(sandbox: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proven]:
    """A finished copy, proven once; each test of the module starts from what the one before left, alike on both sides."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("delta"))
    try:
        database = scratch.database()
        for statement in SHOP:
            scratch.execute(statement, database)
        yield Proven(Migration.of(scratch, [database]).whole())
    finally:
        scratch.close()


def hop(found: Validation, table: str, which: str = "source-target") -> object:
    return next(item for item in found.tables if (item.table, item.hop) == (table, which))


def test_nothing_touched_is_the_same_without_reading_a_row(proven: Proven) -> None:
    before = len(proven.scratch.target.statements)
    found = proven.delta()
    assert found.verdict == "same"
    assert found.proof.why == ""
    assert found.proof.whole == ()
    assert {(table.proof, table.proven_in, table.touched) for table in found.tables} == {("delta", "first", 0)}
    assert hop(found, "people").rows_source == 900
    assert found.asdict()["coverage"]["proof"]["run"] == "first"
    assert not [
        item.sql
        for item in list(proven.scratch.target.statements)[before:]
        if "SHA2" in item.sql and f"`{proven.database}`.`people`" in item.sql
    ]
