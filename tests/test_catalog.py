"""The catalog: everything a server holds, in a few queries however much that is."""

import pytest

from conftest import Scratch
from workbook.catalog import read_catalog
from workbook.errors import Refused
from workbook.servers import Server


def test_the_number_of_queries_does_not_grow_with_the_number_of_tables(scratch: Scratch) -> None:
    small, large = scratch.database(), scratch.database()
    scratch.execute("CREATE TABLE one (id INT PRIMARY KEY)", small)
    for number in range(60):
        scratch.execute(f"CREATE TABLE t{number} (id INT PRIMARY KEY, v INT, KEY (v))", large)
    counts = []
    for database in (small, large):
        server = Server(
            "source",
            scratch.source.host,
            scratch.source.port,
            "root",
            scratch.state["servers"]["source"]["root_password"],
        )
        read_catalog(server, [database])
        counts.append(len(server.statements))
    assert counts[0] == counts[1]


def test_a_table_is_read_with_all_its_parts(scratch: Scratch) -> None:
    database = scratch.database("cat`a\"l'og é")
    scratch.execute(
        "CREATE TABLE `par``ent` (a INT UNSIGNED, b VARCHAR(20) CHARACTER SET latin1, PRIMARY KEY (a, b))", database
    )
    scratch.execute(
        """CREATE TABLE `select` (
          id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
          `sp ace` DECIMAL(12,3) DEFAULT '1.500' COMMENT 'it''s <b>',
          a INT UNSIGNED, b VARCHAR(20) CHARACTER SET latin1,
          g INT GENERATED ALWAYS AS (`sp ace` + 1) STORED,
          hidden INT INVISIBLE DEFAULT 3,
          stamp TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
          p POINT NOT NULL SRID 4326,
          KEY `k%s` (b(5) DESC, a) INVISIBLE, KEY f ((a * 2)), SPATIAL KEY (p),
          CONSTRAINT ch CHECK (a > 0) NOT ENFORCED,
          CONSTRAINT fk FOREIGN KEY (a, b) REFERENCES `par``ent` (a, b) ON DELETE CASCADE)""",
        database,
    )
    catalog = read_catalog(scratch.source, [database])
    table = catalog.table[database, "select"]
    assert table.key == ("id",)
    assert table.column["id"].unsigned
    assert table.column["id"].auto_increment
    assert table.column["sp ace"].default == "1.500"
    assert table.column["sp ace"].comment == "it's <b>"
    assert (table.column["g"].generated, table.column["hidden"].invisible) == ("STORED", True)
    assert table.column["stamp"].on_update == "CURRENT_TIMESTAMP(3)"
    assert table.column["stamp"].fraction == 3
    assert table.column["p"].srid == 4326
    assert [column.name for column in table.stored_columns] == [c.name for c in table.columns if c.name != "g"]
    index = next(index for index in table.indexes if index.name == "k%s")
    assert not index.visible
    assert (index.parts[0].prefix, index.parts[0].descending, index.parts[1].prefix) == (5, True, None)
    assert next(i for i in table.indexes if i.name == "f").parts[0].expression
    assert next(i for i in table.indexes if i.kind == "SPATIAL").parts[0].prefix is None
    assert table.checks[0].enforced is False
    key = table.foreign_keys[0]
    assert (key.columns, key.parent_table, key.on_delete) == (("a", "b"), "par`ent", "CASCADE")


def test_a_table_without_a_primary_key_is_named_by_a_whole_unique_key_or_not_at_all(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE u (a INT NOT NULL, b INT, UNIQUE KEY x (b), UNIQUE KEY y (a))", database)
    scratch.execute("CREATE TABLE k (a VARCHAR(50) NOT NULL, UNIQUE KEY x (a(10)))", database)
    catalog = read_catalog(scratch.source, [database])
    assert catalog.table[database, "u"].key == ("a",)
    assert catalog.table[database, "k"].key == ()


def test_a_database_that_is_not_there_is_refused_by_name(scratch: Scratch) -> None:
    with pytest.raises(Refused, match="no database 'nowhere'"):
        read_catalog(scratch.source, ["nowhere"])


def test_what_the_account_may_not_see_is_refused_rather_than_left_behind(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute("CREATE PROCEDURE secret() SELECT 1", database)
    account = scratch.account("'peeker'@'%'")
    scratch.execute(f"CREATE USER {account} IDENTIFIED BY 'pw'")
    scratch.execute(f"GRANT SELECT, EXECUTE ON `{database}`.* TO {account}")
    server = Server("source", scratch.source.host, scratch.source.port, "peeker", "pw")
    with pytest.raises(Refused, match="may not read the body of procedure"):
        read_catalog(server, [database])
