"""The self-test of a validation: every damage that it plants is found, and a comparison that is blind is caught by it."""

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Scratch
from migration import Migration
from values import table_of_boundaries
from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.validate import encoding, sums
from workbook.validate.encoding import fields
from workbook.validate.selftest import SelfTest, Subject, self_test

KEYLESS = ("CREATE TABLE clicks (what VARCHAR(20), n INT NOT NULL)", "INSERT INTO clicks VALUES ('a', 1), ('a', 1), ('b', 2), (NULL, 3), ('', 4)")  # fmt: skip
ROUNDED = ("CREATE TABLE rounded (id INT PRIMARY KEY, d DOUBLE(10,4), f FLOAT(7,3) NOT NULL, e ENUM('only') NOT NULL, v VARCHAR(0))", "INSERT INTO rounded VALUES (1, 0.5, 0.1, 'only', ''), (2, 12345.6789, 99.999, 'only', NULL)")  # fmt: skip
HOSTILE = ("CREATE TABLE `t``\"é%s` (`order` INT PRIMARY KEY, `a``b %s` VARCHAR(9) NOT NULL, workbook_row_hash INT, CHECK (workbook_row_hash > 5))", "INSERT INTO `t``\"é%s` VALUES (1, 'x', 6), (2, '', NULL), (3, 'yy', 7)")  # fmt: skip


@pytest.fixture(scope="module")
def migrated(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    """A finished copy that all tests of this module look at."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("selftest"))
    try:
        yield _made(scratch)
    finally:
        scratch.close()


def _made(scratch: Scratch) -> Migration:
    database = scratch.database("self`test %s")
    for statement in (*table_of_boundaries(), *KEYLESS, *ROUNDED, *HOSTILE):
        scratch.execute(statement, database)
    for table in scratch.source.rows(f"SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}'"):  # fmt: skip
        scratch.execute(f"ANALYZE TABLE `{table['name'].replace('`', '``')}`", database)
    return Migration.of(scratch, [database]).whole()


def test_what_is_planted_in_columns_of_every_type_is_found_and_nothing_stays(migrated: Migration) -> None:
    found = migrated.validate()
    assert found.verdict == "same", (found.findings, found.selftest.why, found.selftest.missed)
    test = found.selftest
    assert test.why == ()
    assert test.missed == ()
    assert test.passed
    on_target = {item.rule for item in test.planted if item.place == "target"}
    in_scope = {column.rule for item in migrated.mapping.in_scope for column in item.columns if column.name != "order"}
    assert on_target - {"row"} == in_scope
    assert {item.place for item in test.planted} == {"target", "warehouse"}
    assert {item.what for item in test.planted} == {"value changed", "NULL changed", "row taken away"}
    left = migrated.scratch.execute_target_root("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'workbook_selftest%'")  # fmt: skip
    assert left == []


def test_a_comparison_that_does_not_see_a_type_makes_the_verdict_incomparable(
    migrated: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = encoding.mysql_text

    def blind(field: encoding.Field, kind: encoding.Kind, *cast: bool) -> str:
        return "'x'" if field.rule.name == "float" else seen(field, kind, *cast)

    monkeypatch.setattr(encoding, "mysql_text", blind)
    found = migrated.validate()
    assert {item.rule for item in found.selftest.missed} == {"float"}
    assert not found.selftest.passed
    assert found.verdict != "same"


def test_a_warehouse_that_answers_with_other_sums_is_caught(
    migrated: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "workbook.validate.selftest.google_sides", lambda *arguments: [sums.Side({"shared": sums.Digest()})] * 2
    )
    missed = migrated.validate().selftest.missed
    assert missed
    assert {item.place for item in missed} == {"warehouse"}


def test_where_nothing_could_be_planted_the_reason_stands_in_the_verdict() -> None:
    assert SelfTest(()).passed
    assert not SelfTest((), ("t on the target: no privilege",)).passed


def test_a_row_without_a_key_that_would_become_another_one_is_damaged_otherwise(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute_target_root(f"CREATE DATABASE {database}")
    scratch.execute_target_root("CREATE TABLE t (a TINYINT, b TINYINT)", database)
    # One less of each is the row below it.
    scratch.execute_target_root("INSERT INTO t VALUES (4, 1), (3, 1), (2, 1), (1, 1), (4, 0), (9, 9)", database)
    catalog = read_catalog(scratch.target, [database])
    (item,) = generate(catalog, None, True).in_scope
    table = catalog.table[item.path]
    found = self_test(scratch.target, scratch.warehouse, [Subject(table, table.path, fields(table, item), "")])
    assert found.missed == ()
    assert {(damage.column, damage.what) for damage in found.planted} >= {("a", "value changed"), ("a", "NULL changed")}


def test_a_row_of_the_warehouse_that_would_become_another_one_counts_as_no_damage(scratch: Scratch) -> None:
    database = scratch.database()
    for statement in ("CREATE TABLE flags (b BOOLEAN)", "INSERT INTO flags VALUES (0), (1)", "ANALYZE TABLE flags"):
        scratch.execute(statement, database)
    made = Migration.of(scratch, [database]).whole()
    found = made.validate()
    assert (found.verdict, found.selftest.missed) == ("same", ()), found.selftest
    assert {item.place for item in found.selftest.planted} == {"target", "warehouse"}


def test_a_number_that_is_text_in_the_warehouse_is_damaged_by_its_value(scratch: Scratch) -> None:
    database = scratch.database()
    values = ("0", "12.5", "-0.0000000001", "1" * 30, "10")
    scratch.execute("CREATE TABLE sums (id INT PRIMARY KEY, d DECIMAL(65,30))", database)
    for number, value in enumerate(values):
        scratch.execute(f"INSERT INTO sums VALUES ({number}, {value})", database)
    found = Migration.of(scratch, [database]).whole().validate()
    assert (found.verdict, found.selftest.missed) == ("same", ()), found.selftest
    assert "decimal-text" in {item.rule for item in found.selftest.planted if item.place == "warehouse"}
