"""The bulk load: every byte, every row once, whatever the keys; a chunk that is not exact is refused."""

from typing import Any

import pytest

from conftest import Scratch
from values import table_of_boundaries
from workbook.bulk.chunks import cut
from workbook.bulk.copy import job
from workbook.bulk.pump import measure, move
from workbook.catalog import Table, read_catalog
from workbook.errors import TerminalError
from workbook.names import mysql_path, quote_mysql
from workbook.servers import SESSION_SQL_MODE, Server
from workbook.wire import Driver, drivers, reader, writer


def table_on_both(scratch: Scratch, database: str, name: str) -> Table:
    """The table's catalog entry, after its definition was made on the target too."""
    definition = scratch.source.rows(f"SHOW CREATE TABLE {mysql_path(database, name)}")[0]["Create Table"]
    scratch.execute_target_root(f"CREATE DATABASE IF NOT EXISTS {quote_mysql(database)}")
    scratch.execute_target_root(definition, database)
    # Statistics lag behind inserts, and cutting goes by them.
    scratch.execute(f"ANALYZE TABLE {mysql_path(database, name)}")
    return read_catalog(scratch.source, [database]).table[database, name]


def copied(scratch: Scratch, table: Table, rows: int, driver: Driver | None = None) -> int:
    """Copy a table in chunks of so many rows; how many there were."""
    driver = driver or drivers()[0]
    source, target = reader(scratch.source.address(), driver), writer(scratch.target.address())
    with scratch.source.session() as session:
        chunks = cut(session, table, rows)
    try:
        for chunk in chunks:
            task = job(table, chunk)
            moved = move(task, source, target)
            there = reader(scratch.target.address(), driver)
            assert table.key == () or measure(task, there).checksum == moved.checksum
            there.close()
    finally:
        source.close()
        target.close()
    return len(chunks)


def checksums(scratch: Scratch, table: Table) -> tuple[Any, Any]:
    statement = f"CHECKSUM TABLE {mysql_path(*table.path)}"
    return tuple(server.rows(statement)[0]["Checksum"] for server in (scratch.source, scratch.target))  # type: ignore[return-value]


@pytest.mark.parametrize("driver", ["mysqlclient", "pymysql"])
def test_every_type_at_its_boundaries_arrives_as_the_same_bytes(scratch: Scratch, driver: Driver) -> None:
    if driver not in drivers():
        pytest.skip("mysqlclient is not installed")
    database = scratch.database()
    for statement in table_of_boundaries():
        scratch.execute(statement, database)
    table = table_on_both(scratch, database, "boundaries")
    copied(scratch, table, 1000, driver)
    columns = ", ".join(f"HEX(CONCAT({quote_mysql(column.name)}))" for column in table.columns)
    statement = f"SELECT id, {columns} FROM {mysql_path(*table.path)} ORDER BY id"
    before, after = scratch.source.rows(statement), scratch.target.rows(statement)
    assert len(before) > 80
    assert [
        (a, b)
        for one, other in zip(before, after, strict=True)
        for a, b in zip(one.items(), other.items(), strict=True)
        if a != b
    ] == []
    here, there = checksums(scratch, table)
    assert here == there


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id INT PRIMARY KEY", "{n} - 300"),
        ("id BIGINT UNSIGNED PRIMARY KEY", "18446744073709551615 - {n}"),
        ("a INT, b VARCHAR(30), PRIMARY KEY (a, b)", "{n} DIV 100, CONCAT('k%', {n} MOD 100)"),
        ("id VARCHAR(40) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY", "CONCAT('é`\"', {n})"),
        ("id BINARY(16) PRIMARY KEY", "UNHEX(LEFT(SHA2({n}, 256), 32))"),
        ("id DECIMAL(20,5) PRIMARY KEY", "{n} / 7"),
        ("id INT NOT NULL", "{n} MOD 3"),
        ("`sp%s ace``` INT PRIMARY KEY", "{n}"),
        ("id ENUM('b','a') , n INT, PRIMARY KEY (id, n)", "ELT(1 + {n} MOD 2, 'a', 'b'), {n}"),
        ("d DATE PRIMARY KEY", "'2000-01-01' + INTERVAL {n} DAY"),
    ],
    ids=["negative", "unsigned", "composite", "text", "uuid", "decimal", "keyless", "hostile", "enum", "date"],
)
def test_chunks_hold_every_row_once_whatever_the_key(scratch: Scratch, key: str, value: str) -> None:
    database = scratch.database()
    scratch.execute(f"CREATE TABLE `t%s ``q` ({key}, payload VARCHAR(20))", database)
    scratch.execute(
        f"INSERT INTO `t%s ``q` WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 600)"
        f" SELECT {value.format(n='n')}, CONCAT('row', n) FROM c",
        database,
    )
    table = table_on_both(scratch, database, "t%s `q")
    copied(scratch, table, 37)
    assert scratch.target.scalar(f"SELECT COUNT(*) FROM {mysql_path(*table.path)}") == 600
    here, there = checksums(scratch, table)
    assert here == there


def test_a_long_table_with_a_chunkable_key_is_cut(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY)", database)
    scratch.execute(
        "INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900) SELECT n FROM c",
        database,
    )
    table = table_on_both(scratch, database, "t")
    assert copied(scratch, table, 100) == 10


def test_a_row_that_the_target_changes_or_refuses_fails_its_chunk_by_name_and_leaves_nothing(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", database)
    scratch.execute("INSERT INTO t VALUES (1, 'short'), (2, 'rather long')", database)
    table = table_on_both(scratch, database, "t")
    scratch.execute_target_root("ALTER TABLE t MODIFY v VARCHAR(5)", database)
    with pytest.raises(TerminalError, match=r"Of 2 rows of .*`t`, all rows, the target took 2, with 1 warnings"):
        copied(scratch, table, 100)
    assert scratch.target.scalar(f"SELECT COUNT(*) FROM {mysql_path(*table.path)}") == 0
    scratch.execute_target_root("ALTER TABLE t MODIFY v VARCHAR(20)", database)
    scratch.execute_target_root("INSERT INTO t VALUES (2, 'mine')", database)
    with pytest.raises(TerminalError, match="the target took 1"):
        copied(scratch, table, 100)
    assert scratch.target.rows(f"SELECT * FROM {mysql_path(*table.path)}") == [{"id": 2, "v": "mine"}]


def test_a_value_larger_than_a_packet_is_refused_or_arrives_whole(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB)", database)
    scratch.execute("INSERT INTO t VALUES (1, REPEAT(0x5c00090a, 4000000))", database)
    table = table_on_both(scratch, database, "t")
    copied(scratch, table, 100)
    expression = f"SELECT SHA2(v, 256) FROM {mysql_path(*table.path)}"
    assert scratch.source.scalar(expression) == scratch.target.scalar(expression)


def test_the_session_lets_zero_dates_and_key_zero_through() -> None:
    assert "NO_AUTO_VALUE_ON_ZERO" in SESSION_SQL_MODE
    assert "NO_ZERO_DATE" not in SESSION_SQL_MODE
    assert "STRICT" not in SESSION_SQL_MODE


def test_a_password_outside_latin_1_opens_every_kind_of_connection(scratch: Scratch) -> None:
    name, password = "pass word", "pä$$ w€rd-語"
    account = scratch.account(f"'{name}'@'127.0.0.1'")
    scratch.execute(f"CREATE USER {account} IDENTIFIED BY %s", values=(password,))
    asked = "SELECT CURRENT_USER()"
    server = Server("source", scratch.source.host, scratch.source.port, name, password)
    assert server.scalar(asked) == f"{name}@127.0.0.1"
    for wire in (*(reader(server.address(), driver) for driver in drivers()), writer(server.address())):
        assert wire.rows(asked) == [(f"{name}@127.0.0.1".encode(),)]
        wire.close()
