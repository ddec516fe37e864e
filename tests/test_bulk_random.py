"""Random rows of random tables arrive byte for byte, by either driver, in whatever chunks."""

import os
import random
import time

import pytest

from conftest import Scratch
from random_tables import random_table
from test_bulk import copied, table_on_both
from workbook.catalog import Table
from workbook.names import mysql_path, quote_mysql
from workbook.sandbox import lifecycle
from workbook.servers import SESSION_SQL_MODE
from workbook.wire import drivers


def rows_as_bytes(scratch: Scratch, role: str, table: Table) -> list[tuple[object, ...]]:
    """All rows, every value as the hexadecimal of its bytes, in an order that both sides share."""
    columns = ", ".join(
        f"HEX(CONCAT(CAST({quote_mysql(column.name)} AS DOUBLE)))"
        if column.data_type == "float"
        else f"HEX(CONCAT({quote_mysql(column.name)}))"
        for column in table.columns
    )
    run = scratch.execute if role == "source" else scratch.execute_target_root
    return sorted(run(f"SELECT {columns} FROM {mysql_path(*table.path)}"), key=repr)


def carried(scratch: Scratch, dice: random.Random, tables: int, rows: int) -> int:
    """Make, copy and compare so many tables; how many rows there were."""
    seen = 0
    for number in range(tables):
        database = scratch.database()
        made = random_table(dice, "`t``%s`", rows)
        connection = lifecycle.root_connection(scratch.state, "source", database=database)
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION sql_mode = '{SESSION_SQL_MODE}'")
            for statement in (made.create, *made.inserts):
                cursor.execute(statement)
        table = table_on_both(scratch, database, "t`%s")
        driver = dice.choice(drivers()) if tables < 20 else drivers()[number % len(drivers())]
        copied(scratch, table, dice.choice([7, 31, 1000]), driver)
        here, there = rows_as_bytes(scratch, "source", table), rows_as_bytes(scratch, "target", table)
        assert here == there, (driver, made.create)
        if not made.keyless:
            sums = [
                server.rows(f"CHECKSUM TABLE {mysql_path(*table.path)}")[0]["Checksum"]
                for server in (scratch.source, scratch.target)
            ]
            assert sums[0] == sums[1], (driver, made.create)
        seen += len(here)
        scratch.drop_database(database)
    return seen


def test_random_rows_of_random_tables_arrive_byte_for_byte(scratch: Scratch) -> None:
    seed = int(os.environ.get("SEED", 20261124))
    print(f"SEED={seed}")
    assert carried(scratch, random.Random(seed), 8, 60) > 200


@pytest.mark.soak
def test_a_hundred_thousand_random_rows_arrive_byte_for_byte(scratch: Scratch) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    dice = random.Random(seed)
    rows = 0
    while rows < 100_000:
        rows += carried(scratch, dice, 20, 400)
