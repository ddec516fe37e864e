"""No false alarms: clean copies of random schemas are the same, and no pair of values makes the classifier stumble."""

import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Scratch
from migration import Migration
from random_tables import random_table
from workbook.catalog import Column
from workbook.names import quote_mysql
from workbook.sandbox import lifecycle
from workbook.servers import SESSION_SQL_MODE
from workbook.validate.cells import Cell
from workbook.validate.classify import LOOKED, classify
from workbook.validate.content import Servers, compare_table
from workbook.validate.evidence import Evidence
from workbook.validate.rows import compare
from workbook.validate.settings import compared
from workbook.validate.signs import GENERAL, signs_of


def clean_copy(scratch: Scratch, dice: random.Random, tables: int, rows: int, schemas: int = 1) -> None:
    """Migrate databases of random tables and validate them: everything must be the same."""
    databases = [scratch.database() for _ in range(schemas)]
    made = {
        name: [random_table(dice, quote_mysql(f"t{number} `%"), rows) for number in range(tables)] for name in databases
    }
    for name, random_tables in made.items():
        connection = lifecycle.root_connection(scratch.state, "source", database=name)
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION sql_mode = '{SESSION_SQL_MODE}'")
            for table in random_tables:
                for statement in (table.create, *table.inserts):
                    cursor.execute(statement)
    migration = Migration.of(scratch, databases).whole()
    found = migration.validate()
    alarms = [(item.defect, item.object, item.column, item.explanation) for item in found.findings]
    if found.verdict != "same":
        unmet = [item for item in found.criteria.items if item.status != "met"]
        unlike = [item for item in (*found.tables, *found.objects, *found.interactions) if item.verdict != "same"]
        pytest.fail(f"{found.verdict}: {unmet}; {alarms}; {unlike}; {found.selftest.missed}; {made}")
    assert alarms == []
    assert found.repairs == ()
    # Between the two servers alone rows are hashed by other texts.
    servers = Servers(scratch.source, scratch.target, None)
    for item in migration.mapping.in_scope:
        (alone,) = compare_table(servers, migration.catalog.table[item.path], item, migration.settings)
        assert (alone.verdict, alone.why) == ("same", ""), made
    for name in databases:
        scratch.drop_database(name)


def test_random_clean_copies_raise_no_alarm(scratch: Scratch) -> None:
    seed = int(os.environ.get("SEED", 20261124))
    print(f"SEED={seed}")
    clean_copy(scratch, random.Random(seed), 2, 30, schemas=2)


@pytest.mark.soak
def test_copies_of_a_thousand_random_schemas_raise_no_alarm(sandbox: dict, tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    dice = random.Random(seed)
    end = time.monotonic() + 60 * float(os.environ.get("MINUTES", "30"))
    copied = 0
    while copied < 1000 and time.monotonic() < end:
        scratch = Scratch(sandbox, tmp_path)
        try:
            # Ten at once: most of what one costs is the same for ten.
            clean_copy(scratch, dice, 1 + copied // 10 % 3, 20, schemas=10)
        finally:
            scratch.close()
        copied += 10
        print(f"SEED={seed}: {copied} random schemas, no false alarm", flush=True)
    assert copied


TEXT = Column(
    "v", 2, "varchar", "varchar(60)", True, None, False, None, "utf8mb4", "utf8mb4_bin", None, None, False, False,
    None, 60, 240, None, None, None, "",
)  # fmt: skip
COLUMNS = [
    replace(TEXT, data_type=kind, type=kind + detail, precision=precision, scale=scale)
    for kind, detail, precision, scale in (
        ("varchar", "(60)", None, None), ("longtext", "", None, None), ("enum", "('a','b','')", None, None),
        ("set", "('a','b')", None, None), ("int", "", 10, 0), ("tinyint", "(1)", 3, 0), ("bigint", " unsigned", 20, 0),
        ("decimal", "(65,30)", 65, 30), ("float", "", 12, None), ("double", "", 22, None), ("bit", "(64)", 64, None),
        ("year", "", None, None), ("date", "", None, None), ("datetime", "(6)", None, None), ("timestamp", "", None, None),
        ("time", "(6)", None, None), ("json", "", None, None), ("blob", "", None, None), ("point", "", None, None),
    )
]  # fmt: skip
AWKWARD = [
    None, "", " ", "\0", "abc", "ABC ", "Zoë", "ZoÃ«", "😀?", "\ud800"[:0], "NULL", "\\N", "0", "-0", "1", "2", "255", "-129", "1e400",
    "9" * 70, "0." + "1" * 40, "5e-324", "7p1000", "36028797018963967p969", "xpy", "0000-00-00", "2020-02-31", "0001-01-01",
    "9999-12-31 23:59:59.999999", "-838:59:59.000000", "838:59:59", "-62135596800000000", "253402300799999999", "a,b", "a",
    "{}", '{"a": 1}', '{"a": 1.0}', "[" * 2000, "NaN", '"x"', "00", "0", "zz", "00000000" "0101000000" + "00" * 16,
    "e6100000" "0101000000" + "ff" * 16, "ab00", "AB", "\ufffd", "é", "e\u0301", "１", "²", "∞",
]  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.type)
def test_no_pair_of_values_makes_a_sign_stumble(column: Column) -> None:
    dice = random.Random(column.type)
    values = AWKWARD + ["".join(dice.choices("abzß日😀 0159.-:p,\\'\u0301\0", k=dice.randrange(12))) for _ in range(40)]
    for before in values:
        for after in values:
            if before != after:
                cell = Cell(column, before, after)
                assert all(signs_of(cell).values())
                assert len(signs_of(cell, GENERAL)) <= 1


def test_a_change_that_nothing_explains_is_unknown_and_says_how_many_rows_were_looked_at() -> None:
    from workbook.catalog import Index, IndexPart, Table

    key = replace(TEXT, name="id", data_type="int", type="int", charset=None)
    primary = Index("PRIMARY", True, "BTREE", True, (IndexPart("id", None, None, False),), "")
    table = Table("d", "t", "InnoDB", "", 9, 9, 9, None, "", "", "", (key, TEXT), (primary,), (), (), ())
    rows = LOOKED * 2
    before = [(f"{number};", f"=3:a{number % 10}z;") for number in range(rows)]
    after = [(f"{number};", f"=3:q{number % 10}y;") for number in range(rows)]
    (found,) = classify(table, ["id", "v"], compare(["id", "v"], ["id"], before, after, 5), Evidence(), rows)
    assert (found.number, found.column, found.rows, found.looked, found.total) == (0, "v", LOOKED, LOOKED, rows)


def test_settings_that_mean_the_same_are_no_difference() -> None:
    here = {"time_zone": "SYSTEM", "system_time_zone": "UTC", "sql_mode": "A,B", "group_concat_max_len": "1024"}
    there = {
        "time_zone": "+00:00",
        "system_time_zone": "CET",
        "sql_mode": "B,A,NO_AUTO_CREATE_USER",
        "group_concat_max_len": "9999",
    }
    assert {item.verdict for item in compared(here, there, ())} == {"same"}
    other = {**there, "sql_mode": "ANSI", "group_concat_max_len": "10"}
    assert {item.name: item.verdict for item in compared(here, other, ["sql_mode"])} == {
        "time_zone": "same",
        "sql_mode": "tolerated",
        "group_concat_max_len": "different",
    }
