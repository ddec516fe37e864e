"""Every check of the assessment finds what it is for: on a real server where it can hold the case, else on what was read."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from conftest import Scratch
from test_assess import FIRES as FIRST
from test_assess import NOTHING, catalog, found, procedure, table, view
from workbook.assess import Evidence, assess, checks_for, judge
from workbook.assess.evidence import Tablespace
from workbook.catalog import (
    Account,
    Catalog,
    Check,
    Column,
    ForeignKey,
    Index,
    IndexPart,
    Partition,
    read_catalog,
)


def column(name: str, data_type: str = "int", **given: Any) -> Column:
    values: dict[str, Any] = {
        "position": 1, "type": data_type, "nullable": False, "default": None, "default_is_expression": False,
        "on_update": None, "charset": None, "collation": None, "generated": None, "expression": None, "invisible": False,
        "auto_increment": False, "srid": None, "length": None, "octets": None, "precision": None, "scale": None,
        "fraction": None, "comment": "",
    }  # fmt: skip
    return Column(name=name, data_type=data_type, **{**values, **given})


def holding(*columns: Column, name: str = "t", **given: Any) -> Catalog:
    """A catalog with one table."""
    return catalog(tables=(dataclasses.replace(table(name, columns=columns), **given),))


def index(*parts: tuple[str, int | None], name: str = "PRIMARY", unique: bool = True) -> Index:
    return Index(name, unique, "BTREE", True, tuple(IndexPart(of, None, prefix, False) for of, prefix in parts), "")


def account(host: str = "%", plugin: str = "caching_sha2_password") -> Catalog:
    return catalog(accounts=(Account("app", host, plugin, False, True, False, False),))


def setting(**variables: str) -> Catalog:
    return catalog(variables=variables)


def old(held: Catalog, version: str = "5.7.44") -> Catalog:
    """The same on an older server."""
    return dataclasses.replace(held, version=version)


def maria(held: Catalog, **given: Any) -> Catalog:
    """The same on MariaDB."""
    return dataclasses.replace(held, version="10.11.18-MariaDB", flavour="mariadb", **given)


KEY = ForeignKey("fk", ("a",), "shop", "parent", ("b",), "NO ACTION", "CASCADE")
PARENT = dataclasses.replace(
    table("parent", columns=(column("b"),)), indexes=(index(("b", None), name="i", unique=False),)
)
CHILD = dataclasses.replace(table("child", columns=(column("a"),)), foreign_keys=(KEY,))
FAR = dataclasses.replace(
    table("child", columns=(column("a"),)), foreign_keys=(dataclasses.replace(KEY, parent_database="crm"),)
)

# What the real server of the sandbox cannot hold (an older version, a plugin, a key ring, TLS) is tried on what was read.
READ: list[tuple[str, Catalog, Evidence, str]] = [
    ("loadable-function", catalog(), Evidence(functions=("metaphon",)), "function metaphon"),
    ("encryption", holding(column("a"), options="ENCRYPTION='Y'"), NOTHING, "table shop.t"),
    ("encryption", holding(column("a")), Evidence(tablespaces=(Tablespace("shop/t", False, "./shop/t.ibd", True),)), "table shop.t"),
    ("encryption", holding(column("a"), name="in/out é"), Evidence(tablespaces=(Tablespace("shop/in@002fout@0020@00e9", False, "", True),)), "table shop.in/out é"),
    ("tablespace", holding(column("a")), Evidence(tablespaces=(Tablespace("shop/t#p#p0", False, "/fast/shop/t#p#p0.ibd", False),)), "table shop.t"),
    ("mixed-parent", catalog(tables=(dataclasses.replace(PARENT, engine="MyISAM"), CHILD)), NOTHING, "foreign key shop.child.fk"),
    ("group-by-order", procedure("BEGIN SET @s = 'SELECT a FROM t GROUP BY f(a) DESC'; PREPARE q FROM @s; END"), NOTHING, "procedure shop.p"),
    ("bare-dot", procedure("BEGIN SET @s = 'SELECT a FROM .t'; PREPARE q FROM @s; END"), NOTHING, "procedure shop.p"),
    ("removed-variable-in-code", procedure("BEGIN SET SESSION tx_isolation = 'SERIALIZABLE'; END"), NOTHING, "procedure shop.p"),
    ("removed-variable-in-code", procedure("BEGIN SELECT @@SESSION.tx_isolation; END"), NOTHING, "procedure shop.p"),
    ("removed-mode", maria(procedure("BEGIN END", sql_mode="EMPTY_STRING_IS_NULL")), NOTHING, "procedure shop.p"),
    ("fips", setting(ssl_fips_mode="STRICT"), NOTHING, "variable ssl_fips_mode"),
    ("tagged-gtid", catalog(gtid_executed="3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:nightly:1-3"), NOTHING, "variable gtid_executed"),
    ("native-password", account(plugin="mysql_native_password"), NOTHING, "account app@%"),
    ("other-plugin", account(plugin="authentication_ldap_simple"), NOTHING, "account app@%"),
    ("folded-server", setting(lower_case_table_names="1"), NOTHING, "variable lower_case_table_names"),
    ("page-size", setting(innodb_page_size="32768"), NOTHING, "variable innodb_page_size"),
    ("no-flag", setting(require_secure_transport="ON"), NOTHING, "variable require_secure_transport"),
    ("old-tls", setting(tls_version="TLSv1,TLSv1.1,TLSv1.2"), NOTHING, "variable tls_version"),
    ("time-zone", setting(time_zone="SYSTEM", system_time_zone="CET"), NOTHING, "variable time_zone"),
    ("replication-settings", setting(log_bin="OFF"), NOTHING, "variable log_bin"),
    ("replication-settings", setting(gtid_mode="ON_PERMISSIVE"), NOTHING, "variable gtid_mode"),
    ("reserved-word", old(holding(column("rank"))), NOTHING, "column shop.t.rank"),
    ("reserved-word", old(dataclasses.replace(view("select rank from t"), tables=holding(column("rank")).tables)), NOTHING, "view shop.v"),
    ("removed-function", procedure("BEGIN SELECT PASSWORD('x'); END"), NOTHING, "procedure shop.p"),
    ("removed-function", holding(column("a", generated="STORED", expression="des_encrypt(`b`)")), NOTHING, "table shop.t"),
    ("removed-syntax", procedure("BEGIN SELECT SQL_CACHE a FROM t; END"), NOTHING, "procedure shop.p"),
    ("group-by-order", old(view("select a from t group by a desc")), NOTHING, "view shop.v"),
    ("removed-mode", procedure("BEGIN END", sql_mode="NO_AUTO_CREATE_USER"), NOTHING, "procedure shop.p"),
    ("removed-variable", catalog(), Evidence(customised=(("query_cache_size", "global"),)), "variable query_cache_size"),
    ("foreign-key-name", catalog(tables=(dataclasses.replace(CHILD, name="c" * 60),)), NOTHING, f"foreign key shop.{'c' * 60}.fk"),
    ("long-member", holding(column("a", "enum", type=f"enum('{'x' * 300}')")), NOTHING, "column shop.t.a"),
    ("foreign-partition", holding(column("a"), engine="MyISAM", partitions=(Partition("p", None, "HASH", "a", None),)), NOTHING, "table shop.t"),
    ("index-too-wide", holding(column("a", "varchar", length=255, octets=1020), row_format="Compact", indexes=(index(("a", None)),)), NOTHING, "index shop.t.PRIMARY"),
    ("partition-date", holding(column("a"), partitions=(Partition("p", None, "RANGE COLUMNS", "`a`", "'2020/01/01'"),)), NOTHING, "table shop.t"),
    ("nonstandard-key", catalog(tables=(PARENT, CHILD)), NOTHING, "foreign key shop.child.fk"),
    ("partition-prefix", holding(column("a", "varchar"), partitions=(Partition("p", None, "KEY", "`a`", None),), indexes=(index(("a", 10)),)), NOTHING, "table shop.t"),
    ("long-default", holding(column("a", "text", default="x")), NOTHING, "column shop.t.a"),
    ("old-name", holding(column("a"), name="#mysql50#a.b"), NOTHING, "table shop.#mysql50#a.b"),
    ("rounding-counter", holding(column("a", "double", auto_increment=True)), NOTHING, "column shop.t.a"),
    ("changed-cast", old(holding(column("a", generated="STORED", expression="cast(`b` as char)"))), NOTHING, "column shop.t.a"),
    ("wide-row", holding(*(column(f"c{n}", "char", octets=255) for n in range(33))), NOTHING, "table shop.t"),
    ("other-database", catalog(tables=(FAR,)), NOTHING, "foreign key shop.child.fk"),
    ("cascade", old(catalog(tables=(CHILD,)), "8.4.6"), NOTHING, "foreign key shop.child.fk"),
    ("bare-dot", old(view("select a from .t")), NOTHING, "view shop.v"),
    ("newer-type", holding(column("a", "vector")), NOTHING, "column shop.t.a"),
    ("sequence", maria(catalog(), sequences=(("shop", "s"),)), NOTHING, "sequence shop.s"),
    ("sequence", maria(procedure("BEGIN SELECT NEXT VALUE FOR s; END")), NOTHING, "procedure shop.p"),
    ("system-versioning", maria(catalog()), Evidence(versioned=("shop.t",)), "table shop.t"),
    ("returning", maria(procedure("BEGIN DELETE FROM t RETURNING id; END")), NOTHING, "procedure shop.p"),
    ("package", maria(procedure("AS BEGIN END", kind="PACKAGE BODY")), NOTHING, "package body shop.p"),
    ("generated-column", maria(holding(column("a", generated="STORED", expression="nvl2(`b`, 1, 2)"))), NOTHING, "column shop.t.a"),
    ("aria", maria(holding(column("a"), engine="Aria")), NOTHING, "table shop.t"),
    ("native-type", maria(holding(column("a", "char", native="uuid"))), NOTHING, "column shop.t.a"),
    ("json-text", maria(holding(column("a", "longtext"), checks=(Check("a", "json_valid(`a`)", True),))), NOTHING, "table shop.t"),
    ("mariadb-form", maria(procedure("BEGIN ALTER TABLE t ADD COLUMN IF NOT EXISTS b INT; END")), NOTHING, "procedure shop.p"),
    ("mariadb-form", maria(procedure("BEGIN EXECUTE IMMEDIATE 'SELECT 1'; END")), NOTHING, "procedure shop.p"),
    ("mariadb-function", maria(procedure("BEGIN SELECT JSON_DETAILED(a) FROM t; END")), NOTHING, "procedure shop.p"),
    ("mariadb-collation", maria(holding(column("a", "varchar", native="varchar(9) COLLATE utf8mb4_uca1400_ai_ci"))), NOTHING, "table shop.t"),
    ("mariadb-login", maria(account(plugin="ed25519")), NOTHING, "account app@%"),
]  # fmt: skip

# On the real server: settings, each with the value that is put back, and the objects of one database.
SETTINGS: list[tuple[str, str, str]] = [
    ("sql-mode", "sql_mode", "''"),
    ("time-zone", "time_zone", "'+14:00'"),
    ("log-flush", "innodb_flush_log_at_trx_commit", "0"),
    ("server-charset", "character_set_server", "'latin1'"),
    ("memory-tables", "tmp_table_size", "134217728"),
    ("packet", "max_allowed_packet", "134217728"),
    ("replication-settings", "binlog_row_image", "'MINIMAL'"),
    ("replication-settings", "binlog_expire_logs_seconds", "3600"),
    ("custom-variable", "innodb_print_ddl_logs", "ON"),
    ("local-infile", "local_infile", "OFF"),
]
OBJECTS = {
    "folded-names": "table {d}.same",
    "account-tables": "procedure {d}.grants",
    "system-schema": "view {d}.locks",
    "event-scheduler": "event {d}.tick",
    "utf8mb3": "table {d}.old_text",
    "zero-default": "column {d}.old_text.since",
    "dollar-name": "procedure {d}.dollars",
    "full-text-name": "table {d}.fts_0123456789abcdef",
    "keyless": "table {d}.old_text",
    "other-database": "view {d}.elsewhere",
    "nonstandard-key": "foreign key {d}.child.to_parent",
    "removed-syntax": "procedure {d}.follows",
    "removed-function": "procedure {d}.hashes",
    "server-charset": "database {d}",
    "host-name": "account seeded@app.example.com",
    "local-account": "account seeded@localhost",
    "federation-password": "account seeded@localhost",
    "backup-admin": "account seeded@localhost",
    "tablespace": "tablespace workbook_seed",
    "resource-group": "resource group workbook_seed",
}


@pytest.mark.parametrize(
    ("check", "held", "evidence", "named"), READ, ids=[f"{it[0]}-{n}" for n, it in enumerate(READ)]
)
def test_a_check_names_what_this_machines_server_cannot_hold(
    check: str, held: Catalog, evidence: Evidence, named: str
) -> None:
    assert named in found(judge(held, evidence), check)


def test_every_check_has_a_case_on_a_server_or_on_what_was_read() -> None:
    tried = {case[0] for case in (*FIRST, *READ)} | {case[0] for case in SETTINGS} | OBJECTS.keys()
    assert tried == {check.id for check in checks_for("8.4")}


def test_a_check_of_another_version_or_source_is_neither_run_nor_skipped() -> None:
    vector = holding(column("a", "vector"))
    assert found(judge(vector, NOTHING, "cloud-sql", "8.4"), "newer-type")
    later = judge(vector, NOTHING, "cloud-sql", "9")
    assert not {"newer-type", "sequence"} & {*later.checks_run, *(it.check for it in later.checks_skipped)}
    native = account(plugin="mysql_native_password")
    assert found(judge(native, NOTHING, "cloud-sql", "8.0"), "native-password") == []
    assert found(judge(old(holding(column("manual"))), NOTHING, "cloud-sql", "9"), "reserved-word") == []
    assert found(judge(procedure("BEGIN SELECT MD5(a); END"), NOTHING, "cloud-sql", "8.4"), "removed-function") == []
    assert found(judge(procedure("BEGIN SELECT MD5(a); END"), NOTHING, "cloud-sql", "9"), "removed-function")


def test_a_finding_belongs_to_the_segment_of_its_table_and_has_its_effort() -> None:
    tables = (PARENT, CHILD, table("cache", "MEMORY"))
    result = judge(
        dataclasses.replace(catalog(tables=tables), accounts=account("db.example.com").accounts),
        NOTHING,
        segments={("shop", "child"): "orders", ("shop", "parent"): "orders", ("shop", "cache"): "sessions"},
    )
    assert result.by_segment()["orders"]["decide"] >= 1
    assert result.by_segment()["sessions"]["mend"] == 1
    assert result.by_segment()["accounts"]["decide"] == 1
    assert result.work()["automatic"] == {"checks": 1, "findings": 1}
    page = result._repr_html_()
    assert "In a minute" in page
    assert "the phase schema" in page


def test_an_order_after_a_group_is_not_taken_for_the_groups_own() -> None:
    for body in (
        "BEGIN SELECT a FROM (SELECT a FROM t GROUP BY a) x ORDER BY a DESC; END",
        "BEGIN SELECT a FROM t GROUP BY a; SELECT b FROM t ORDER BY b DESC; END",
        "BEGIN SELECT GROUP_CONCAT(a ORDER BY a DESC) FROM t GROUP BY b WITH ROLLUP; END",
    ):
        assert found(judge(procedure(body), NOTHING), "group-by-order") == []


@pytest.fixture
def seeded(scratch: Scratch) -> Any:
    """A database that holds one of each, and a second one that a view leads into."""
    database, other = scratch.database(), scratch.database()
    for host in ("app.example.com", "localhost"):
        name = scratch.account(f"'seeded'@'{host}'")
        scratch.execute(f"CREATE USER {name} IDENTIFIED BY 'x'")
    scratch.execute("GRANT BACKUP_ADMIN ON *.* TO 'seeded'@'localhost'")
    scratch.execute(f"CREATE TABLE `{other}`.far (a INT PRIMARY KEY)")
    for statement in (
        f"ALTER DATABASE `{database}` CHARACTER SET latin1",
        "CREATE TABLE `Same` (a INT PRIMARY KEY)",
        "CREATE TABLE `same` (a INT PRIMARY KEY)",
        "CREATE TABLE fts_0123456789abcdef (`$money` INT PRIMARY KEY)",
        "CREATE TABLE old_text (a VARCHAR(9) CHARACTER SET utf8mb3, since DATE NOT NULL DEFAULT '0000-00-00')",
        "CREATE TABLE parent (a INT PRIMARY KEY, b INT, KEY (b))",
        "SET SESSION restrict_fk_on_non_standard_key = OFF",
        "CREATE PROCEDURE grants() UPDATE mysql.user SET Super_priv = 'Y'",
        "CREATE VIEW locks AS SELECT * FROM performance_schema.metadata_locks",
        f"CREATE VIEW elsewhere AS SELECT * FROM `{other}`.far",
        "CREATE EVENT tick ON SCHEDULE EVERY 1 DAY DO DELETE FROM parent",
        "CREATE PROCEDURE dollars() SELECT 1 AS $a",
        "CREATE PROCEDURE hashes() SELECT MD5('x')",
        "CREATE PROCEDURE follows() BEGIN SET @s = 'SHOW SLAVE STATUS'; PREPARE q FROM @s; EXECUTE q; END",
    ):
        scratch.execute(statement, database)
    with scratch.source.session() as session:
        session.execute("SET SESSION restrict_fk_on_non_standard_key = OFF")
        session.execute(
            f"CREATE TABLE `{database}`.child (a INT PRIMARY KEY, b INT,"
            f" CONSTRAINT to_parent FOREIGN KEY (b) REFERENCES `{database}`.parent (b))"
        )
    scratch.execute("CREATE TABLESPACE workbook_seed ADD DATAFILE 'workbook_seed.ibd'")
    scratch.execute("CREATE RESOURCE GROUP workbook_seed TYPE = USER")
    before = {name: scratch.execute(f"SELECT @@GLOBAL.{name}")[0][0] for _, name, _ in SETTINGS}
    try:
        for _, name, value in SETTINGS:
            scratch.execute(f"SET GLOBAL {name} = {value}")
        yield database
    finally:
        for name, was in before.items():
            scratch.execute(f"SET GLOBAL {name} = %s", values=(was,))
        scratch.execute("DROP RESOURCE GROUP workbook_seed")
        scratch.execute("DROP TABLESPACE workbook_seed")


def test_what_a_real_server_can_hold_is_found_there_and_named(scratch: Scratch, seeded: str) -> None:
    result = assess(scratch.source, read_catalog(scratch.source, [seeded]), "cloud-sql", "9")
    assert result.checks_skipped == ()
    missing = {check: named for check, named in OBJECTS.items() if named.format(d=seeded) not in found(result, check)}
    assert missing == {}
    assert f"column {seeded}.fts_0123456789abcdef.$money" in found(result, "dollar-name")
    for check, variable, _ in SETTINGS:
        assert f"variable {variable}" in found(result, check), check


def test_a_clean_source_has_no_finding_above_a_note(scratch: Scratch) -> None:
    database = scratch.database("assessclean")
    for statement in (
        "CREATE TABLE customer (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(200) NOT NULL, born DATE)",
        "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer BIGINT UNSIGNED, total DECIMAL(12, 2), FOREIGN KEY (customer) REFERENCES customer (id))",
        "CREATE VIEW totals AS SELECT customer, SUM(total) AS total FROM orders GROUP BY customer",
        "CREATE PROCEDURE rise(IN share DECIMAL(5, 2)) UPDATE orders SET total = total * share",
        "CREATE TRIGGER stamped BEFORE INSERT ON orders FOR EACH ROW SET NEW.total = IFNULL(NEW.total, 0)",
    ):
        scratch.execute(statement, database)
    name = scratch.account("'clean'@'%'")
    scratch.execute(f"CREATE USER {name} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.* TO {name}")
    # Accounts are the server's, not the database's: those of other tests on this server are not looked at.
    whole = read_catalog(scratch.source, [database])
    assert whole.accounts is not None
    own = dataclasses.replace(whole, accounts=tuple(it for it in whole.accounts if it.user in ("clean", "root")))
    for version in ("8.0", "8.4", "9"):
        result = assess(scratch.source, own, "cloud-sql", version)
        above = [it for it in result.findings if it.severity != "note"]
        assert above == []
        assert result.verdict == "ok"
