"""MariaDB as a source: its own types, objects and accounts through every phase, on a real MariaDB server."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from conftest import Scratch
from migration import Migration
from random_tables import random_table
from test_bulk_random import rows_as_bytes
from test_flow import PEOPLE, Route
from workbook.accounts import check_accounts, plan_accounts
from workbook.assess import assess, checks_for
from workbook.catalog import Column, read_catalog
from workbook.catalog.mariadb import as_mysql, collation_of
from workbook.errors import TerminalError
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.order import PHASES
from workbook.plan import apply
from workbook.sandbox import lifecycle, shop
from workbook.schema import check_schema, plan_schema
from workbook.schema.alike import alike_checks, alike_expressions, alike_views
from workbook.schema.mariadb_code import foreign
from workbook.schema.tokens import code_of, tokens_of
from workbook.servers import SESSION_SQL_MODE, Server
from workbook.validate.encoding import fields
from workbook.validate.sums import Reading
from workbook.validate.walk import walk_alone
from workbook.wire import drivers

CASE = Path(__file__).parent / "cases" / "mariadb" / "observatory" / "source.sql"
WORKBOOK = [sys.executable, "-m", "workbook.cli"]


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The sandbox with MariaDB as its source, by its command. WORKBOOK_TEST_MARIADB names one that is up."""
    given = os.environ.get("WORKBOOK_TEST_MARIADB")
    folder = Path(given) if given else tmp_path_factory.mktemp("mariadb") / "sb"
    try:
        if not given:
            words = ["sandbox", "up", "--source", "mariadb", "--no-sample", "--json", "--dir", str(folder)]
            answer = subprocess.run([*WORKBOOK, *words], capture_output=True, text=True)
            assert answer.returncode == 0, answer.stderr
            assert json.loads(answer.stdout)["source"]["url"].startswith("mariadb://")
        state = lifecycle.read_state(folder)
        assert state, f"no sandbox in {folder}"
        yield state
    finally:
        if not given:
            lifecycle.down(folder)


@pytest.fixture
def there(mariadb: dict[str, Any], tmp_path: Path) -> Iterator[Scratch]:
    """Servers and databases for one test, MariaDB the source."""
    made = Scratch(mariadb, tmp_path)
    try:
        yield made
    finally:
        made.close()


def root(state: dict[str, Any], role: str) -> Server:
    """A server of the sandbox as its root."""
    server = state["servers"][role]
    return Server("target", "127.0.0.1", server["port"], "root", server["root_password"])


def test_a_mariadb_database_goes_through_all_phases_validates_same_and_is_taken_back(
    mariadb: dict[str, Any], there: Scratch
) -> None:
    database = there.database('obs"erv`a`ry')
    there.execute('ALTER DATABASE `obs"erv``a``ry` COLLATE utf8mb4_uca1400_ai_ci')
    for account in ("'astronomer'@'%'", "'night_job'@'localhost'"):
        there.account(account)
    there.execute("DROP ROLE IF EXISTS watchers")
    there.execute_target_root("DROP ROLE IF EXISTS watchers")
    there.script(CASE.read_text(encoding="utf-8"), database)
    params = there.params([database], bulk={"workers": 2, "chunk_rows": 100})
    reports = there.folder / "reports"
    before = target_fingerprint(root(mariadb, "target"))
    (position,) = there.execute("SELECT @@GLOBAL.gtid_binlog_pos")

    def workbook(*words: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "WORKBOOK_REPORTS": str(reports)}
        return subprocess.run([*WORKBOOK, *words, "-p", str(params)], env=variables, capture_output=True, text=True)

    def result(phase: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(next(reports.glob(f"*/{phase}.json")).read_text(encoding="utf-8"))
        return found

    answer = workbook("run")
    assert answer.returncode == 0, answer.stderr
    assert [phase["name"] for phase in result("run")["phases"]] == [phase.name for phase in PHASES if phase.by_default]
    validated = result("validate")
    assert validated["verdict"] == "same"
    assert [hop["verdict"] for hop in validated["hops"]] == ["same"] * 3
    assert len(validated["tables"]) == 3 * 8
    # Nothing was skipped: every column of every hop is proven, or tolerated by a rule that says so.
    states = {state for table in validated["tables"] for state in table["columns"].values()}
    assert states == {"proven", "tolerated"}
    assert [item["verdict"] for item in validated["objects"] if item["kind"] == "sequence"] == ["tolerated"]
    assert validated["snapshot"]["source"].count("-") == 2, "MariaDB's GTID position, domain-server-sequence"
    # Nothing was written to the source, not even to its binlog.
    assert result("bulk_load")["snapshot"]["gtids"] == validated["snapshot"]["source"] == position[0]
    _shows_what_became_otherwise(result("schema"), result("accounts"))
    _holds_the_same_text(there, database)
    taken_back = workbook("rollback", "map")
    assert taken_back.returncode == 0, taken_back.stderr
    assert differences(before, target_fingerprint(root(mariadb, "target"))) == []
    there.execute("DROP ROLE watchers")


def _shows_what_became_otherwise(schema: dict[str, Any], accounts: dict[str, Any]) -> None:
    assert schema["second_plan"]["steps"] == []
    left = " | ".join(f"{item['kind']} {item['name']}: {item['why']}" for item in schema["plan"]["left"])
    for said in (
        "plate no`: MySQL has no sequences", "loses its default nextval", "uuid becomes char(36)",
        "inet4 becomes varchar(15)", "inet6 becomes varchar(39)", "no longer COMPRESSED", "no longer SYSTEM VERSIONED",
        "utf8mb4_uca1400_swedish_ai_ci becomes utf8mb4_sv_0900_ai_ci", "ENGINE=Aria becomes InnoDB",
        "ENGINE=MyISAM becomes InnoDB", "the CHECK 'sane' becomes", "no WITHOUT OVERLAPS", "the period `shift` is left out",
        "partitions by SYSTEM_TIME are left out", "(ROW START) becomes a timestamp(6)", "(ROW END) becomes a datetime(6)", "unique by its SHA-256",
        "view `obs\"erv``a``ry`.`before_today`: MySQL cannot take it", "counts`: MySQL cannot take it",
    ):  # fmt: skip
        assert said in left, said
    assert sorted(accounts["to_reset"]) == ["'astronomer'@'%'", "'night_job'@'localhost'"]


def _holds_the_same_text(there: Scratch, database: str) -> None:
    """What applications read is what they read before: JSON to the letter, and the rows of today alone."""
    for statement in (
        "SELECT settings, address4, address6, LENGTH(notes) FROM `instru``ments` ORDER BY CAST(id AS CHAR)",
        "SELECT HEX(raw), HEX(var_raw), document FROM boundaries ORDER BY id",
        "SELECT id, item, price FROM prices ORDER BY id",
        "SELECT id, name, since, until FROM staff ORDER BY id",
    ):
        assert there.execute(statement, database) == there.execute_target_root(statement, database), statement
    there.execute_target_root("INSERT INTO boundaries (id) VALUES (-1)", database)
    row = there.execute_target_root("SELECT HEX(raw), HEX(var_raw), mood FROM boundaries WHERE id = -1", database)
    assert row == [("41FF004200000000", "4142", "sad")]
    with pytest.raises(pymysql.err.OperationalError, match="boundaries_chk_1"):
        there.execute_target_root("UPDATE boundaries SET document = '{' WHERE id = 1", database)
    with pytest.raises(pymysql.err.IntegrityError, match="whole"):
        there.execute_target_root("INSERT INTO boundaries (id, huge) VALUES (-2, 'spaces ')", database)
    there.execute_target_root("DELETE FROM boundaries WHERE id < 0", database)


def test_every_collation_of_mariadb_has_one_in_mysql(there: Scratch) -> None:
    known = {row[0] for row in there.execute_target_root("SELECT COLLATION_NAME FROM information_schema.COLLATIONS")}
    theirs = there.execute(
        "SELECT COALESCE(FULL_COLLATION_NAME, COLLATION_NAME), CHARACTER_SET_NAME"
        " FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
    )
    assert len(theirs) > 1_000
    chosen = {name: (collation_of(name)[0], charset) for name, charset in theirs}
    assert {name: nearest for name, (nearest, _) in chosen.items() if nearest not in known} == {}
    # Within its character set, so that the bytes stay what they are.
    assert {name: nearest for name, (nearest, charset) in chosen.items() if not nearest.startswith(charset)} == {}


@pytest.mark.parametrize(
    ("mariadb", "mysql"),
    [
        ("utf8mb4_uca1400_ai_ci", "utf8mb4_0900_ai_ci"),
        ("utf8mb4_uca1400_nopad_as_cs", "utf8mb4_0900_as_cs"),
        ("utf8mb4_uca1400_as_ci", "utf8mb4_0900_as_ci"),
        ("uca1400_german2_nopad_ai_ci", "utf8mb4_de_pb_0900_ai_ci"),
        ("utf8mb4_uca1400_spanish2_as_cs", "utf8mb4_es_trad_0900_as_cs"),
        ("utf8mb4_uca1400_sinhala_ai_cs", "utf8mb4_0900_as_cs"),
        ("utf8mb3_uca1400_polish_ai_ci", "utf8mb3_unicode_520_ci"),
        ("utf8mb4_general_nopad_ci", "utf8mb4_0900_ai_ci"),
        ("utf8mb4_nopad_bin", "utf8mb4_0900_bin"),
        ("latin1_nopad_bin", "latin1_bin"),
        ("latin1_swedish_nopad_ci", "latin1_swedish_ci"),
        ("utf8mb4_croatian_mysql561_ci", "utf8mb4_croatian_ci"),
        ("utf8mb4_general_ci", "utf8mb4_general_ci"),
    ],
)
def test_a_collation_becomes_the_nearest(mariadb: str, mysql: str) -> None:
    nearest, why = collation_of(mariadb)
    assert nearest == mysql
    assert bool(why) == (mariadb != mysql and "croatian" not in mariadb and mariadb != "utf8mb4_nopad_bin")


def column(kind: str, default: str | None, **more: Any) -> Column:
    fields: dict[str, Any] = dict.fromkeys(
        ("on_update", "charset", "collation", "generated", "expression", "srid", "length", "octets", "precision", "scale",
         "fraction")
    )  # fmt: skip
    fields |= {"data_type": kind.partition("(")[0], "type": kind, "nullable": True, "default_is_expression": False}
    fields |= {"position": 1, "invisible": False, "auto_increment": False, "comment": ""}
    return Column(name="c", default=default, **{**fields, **more})


@pytest.mark.parametrize(
    ("kind", "printed", "default", "expression"),
    [
        ("int(11)", "NULL", None, False),
        ("int(11)", "7", "7", False),
        ("varchar(9)", "'it''s \\\\ x'", "it's \\ x", False),
        ("varchar(9)", "'NULL'", "NULL", False),
        ("varchar(9)", "concat('a','b')", "concat('a','b')", True),
        ("varchar(9)", "version()", None, False),
        ("varchar(9)", "'nextval('", "nextval(", False),
        ("bigint(20)", "nextval(`s`.`q`)", None, False),
        ("text", "'abc'", "'abc'", True),
        ("bit(5)", "b'101'", "b'101'", False),
        ("datetime(3)", "current_timestamp(3)", "CURRENT_TIMESTAMP(3)", True),
        ("timestamp", "current_timestamp()", "CURRENT_TIMESTAMP", True),
        ("varbinary(9)", "'AB'", "0x4142", False),
    ],
)
def test_a_default_reads_as_mysql_shows_it(kind: str, printed: str, default: str | None, expression: bool) -> None:
    made = as_mysql(column(kind, printed, length=9))
    assert (made.default, made.default_is_expression) == (default, expression)


@pytest.mark.parametrize(
    ("mariadb", "mysql", "alike"),
    [
        ("`a` + 1 * 2 > 3 and `b` not like 'x%'", "(((`a` + (1 * 2)) > 3) and (not((`b` like _utf8mb4'x%'))))", True),
        ("(`a` + 1) * 2", "((`a` + 1) * 2)", True),
        ("`a` + 1 * 2", "((`a` + 1) * 2)", False),
        ("`a` > 1 or `b` > 2 and `c` > 3", "((`a` > 1) or ((`b` > 2) and (`c` > 3)))", True),
        ("`a` > 1 or `b` > 2 and `c` > 3", "(((`a` > 1) or (`b` > 2)) and (`c` > 3))", False),
        ("concat(`a`,' x')", "concat(`a`,_utf8mb4' x')", True),
        ("concat(`a`,' x')", "concat(`a`,_utf8mb4'x')", False),
        ("!(`a` <= 4)", "(`a` > 4)", True),
        (
            "case when `a` is null then 'n' else `a` end",
            "(case when (`a` is null) then _utf8mb4'n' else `a` end)",
            True,
        ),
    ],
)
def test_expressions_are_compared_by_what_they_mean(mariadb: str, mysql: str, alike: bool) -> None:
    assert alike_expressions(mariadb, mysql) is alike
    assert alike_checks(f"CONSTRAINT `c` CHECK ({mariadb})", f"CONSTRAINT `c` CHECK {mysql}") is alike


def test_views_that_differ_in_a_column_or_a_check_option_are_not_alike() -> None:
    head = "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY INVOKER VIEW `d`.`v` AS "
    one = head + "select `d`.`t`.`a` AS `a` from `d`.`t` where `d`.`t`.`a` > 1"
    assert alike_views(one, head + "select `d`.`t`.`a` AS `a` from `d`.`t` where (`d`.`t`.`a` > 1)")
    assert not alike_views(one, one + " WITH CASCADED CHECK OPTION")
    assert not alike_views(one, one.replace("INVOKER", "DEFINER"))
    assert not alike_views(one, one.replace("> 1", "> 2"))


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("CREATE PROCEDURE p() FOR i IN 1..3 DO SELECT i; END FOR", "FOR … IN"),
        ("CREATE PROCEDURE p() INSERT INTO t VALUES (1) RETURNING id", "RETURNING"),
        ("CREATE FUNCTION f(a UUID) RETURNS INT RETURN 1", "type that MySQL has not"),
        ("CREATE FUNCTION f(a INT) RETURNS INET6 RETURN NULL", "type that MySQL has not"),
        ("CREATE VIEW v AS SELECT JSON_DETAILED(a) FROM t", "JSON_DETAILED()"),
        ("CREATE VIEW v AS SELECT NEXT VALUE FOR s", "sequence"),
        ("CREATE PROCEDURE p() EXECUTE IMMEDIATE 'SELECT 1'", "EXECUTE IMMEDIATE"),
        ("CREATE PROCEDURE p() SELECT 'RETURNING', `uuid`, t.decode(1), UUID() FROM t FOR UPDATE", None),
    ],
)
def test_code_that_mysql_would_not_understand_is_left_out_with_the_reason(statement: str, why: str | None) -> None:
    found = foreign(code_of(tokens_of(statement)))
    assert (why in (found or "")) if why else found is None


def test_accounts_move_without_gaining_anything(there: Scratch) -> None:
    database = there.database()
    there.execute("CREATE TABLE t (id INT PRIMARY KEY, s INT)", database)
    roles = ("reads all", "writes", "clash")
    for role in roles:
        there.execute(f"DROP ROLE IF EXISTS `{role}`")
    statements = f"""
        CREATE USER {there.account("'na`ti''ve'@'%'")} IDENTIFIED BY 'secret one' REQUIRE X509 PASSWORD EXPIRE INTERVAL 30 DAY
        CREATE USER {there.account("'ed'@'10.%'")} IDENTIFIED VIA ed25519 USING PASSWORD('secret two') ACCOUNT LOCK
        CREATE USER {there.account("'both'@'%'")} IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('x')
        CREATE USER {there.account("'dba'@'%'")} IDENTIFIED BY 'secret three' WITH MAX_STATEMENT_TIME 5
        CREATE USER {there.account("'clash'@'%'")} IDENTIFIED BY 'secret four'
        CREATE ROLE `reads all`
        CREATE ROLE `writes`
        CREATE ROLE clash
        GRANT SELECT ON `{database}`.* TO `reads all`
        GRANT ALL ON `{database}`.t TO `writes`
        GRANT `reads all` TO `writes`
        GRANT DELETE ON `{database}`.* TO clash
        GRANT clash TO 'ed'@'10.%'
        GRANT `writes` TO 'ed'@'10.%' WITH ADMIN OPTION
        SET DEFAULT ROLE `writes` FOR 'ed'@'10.%'
        GRANT ALL ON *.* TO 'dba'@'%' WITH GRANT OPTION
        GRANT BINLOG MONITOR, PROCESS ON *.* TO 'both'@'%'
        GRANT UPDATE (s), DELETE HISTORY ON `{database}`.t TO 'na`ti''ve'@'%'
        GRANT INSERT ON `{database}`.* TO PUBLIC
    """
    try:
        for statement in statements.strip().splitlines():
            there.execute(statement.strip(), database)
        moving = Migration.of(there, [database])
        moving.schema()
        arguments = (moving.catalog, moving.mapping, moving.notes.objects)
        planned = plan_accounts(there.source, there.target, *arguments)
        apply(planned, there.target, moving.notes)
        judged = check_accounts(planned, there.target, *arguments)
        assert judged.verdict == "ok", [item for item in judged.objects if item.verdict == "different"]
        grants = {
            name: "; ".join(row[0] for row in there.execute_target_root(f"SHOW GRANTS FOR {name}"))
            for name in ("'ed'@'10.%'", "'both'@'%'", "'clash'@'%'", "'writes'@'%'", "'na`ti''ve'@'%'", "'dba'@'%'")
        }
        assert "clash" not in grants["'ed'@'10.%'"]
        assert "`writes`@`%`" in grants["'ed'@'10.%'"]
        assert "`reads all`@`%`" in grants["'writes'@'%'"]
        assert "DELETE" not in grants["'clash'@'%'"]
        assert "PROCESS" in grants["'both'@'%'"]
        assert "REPLICATION CLIENT" not in grants["'both'@'%'"], "MySQL's privilege is more than half of it"
        assert "UPDATE (`s`)" in grants["'na`ti''ve'@'%'"]
        assert "INSERT" not in grants["'na`ti''ve'@'%'"], "what PUBLIC holds is nobody's own"
        assert "SUPER" not in grants["'dba'@'%'"]
        assert "SELECT, INSERT" in grants["'dba'@'%'"]
        left = " | ".join(f"{item.name}: {item.why}" for item in planned.left)
        for said in ("no plugin ed25519", "also log in by unix_socket", "DELETE HISTORY", "granted to everybody",
                     "a role of the same name is left out", "MAX_STATEMENT_TIME 5"):  # fmt: skip
            assert said in left, said
        text = json.dumps(judged.asdict()) + repr(planned) + planned._repr_html_()
        assert "*" + "0" * 40 not in text
        hashes = there.execute("SELECT authentication_string FROM mysql.user WHERE authentication_string <> ''")
        assert not [value for (value,) in hashes if value in text or value.encode().hex().upper() in text]
        there.execute(f"REVOKE INSERT ON `{database}`.* FROM PUBLIC")
    finally:
        for role in roles:
            there.execute(f"DROP ROLE IF EXISTS `{role}`")
            there.execute_target_root(f"DROP ROLE IF EXISTS `{role}`")


def test_the_sample_shop_lives_on_mariadb_too_and_its_content_is_the_same(
    mariadb: dict[str, Any], there: Scratch
) -> None:
    def connect() -> pymysql.Connection[Any]:
        return lifecycle.root_connection(mariadb, "source")

    shop.drop(connect)
    there.drop_database(shop.DATABASE)
    try:
        counts = shop.load(connect, 0.01, say=lambda text: None)
        moving = Migration.of(there, [shop.DATABASE])
        moving.schema()
        moving.accounts()
        assert moving.bulk().rows == sum(counts.values())
        arguments = (moving.catalog, moving.mapping, moving.notes.objects)
        again = plan_schema(there.source, there.target, *arguments)
        judged = check_schema(again, there.target, moving.notes.objects)
        assert (judged.verdict, again.steps) == ("ok", ()), [i for i in judged.objects if i.verdict == "different"]
        assert (
            check_accounts(plan_accounts(there.source, there.target, *arguments), there.target, *arguments).verdict
            == "ok"
        )
        with there.source.session() as source, there.target.session() as target:
            for table in moving.catalog.tables:
                encoded = fields(table, moving.mapping.tables[table.path])
                sides = [
                    walk_alone(Reading(side, table.path, encoded), table, bool(table.key)) for side in (source, target)
                ]
                assert sides[0].rows == counts[table.name]
                assert sides[0].total == sides[1].total, table.name
    finally:
        shop.drop(connect)
        shop.drop(lambda: lifecycle.root_connection(mariadb, "target"))


def _carried(there: Scratch, dice: random.Random, tables: int, rows: int) -> int:
    """Make, copy and compare so many random tables of MariaDB; how many rows there were."""
    seen = 0
    for _ in range(tables):
        database = there.database()
        made = random_table(dice, "`t``%s`", rows, "mariadb")
        connection = lifecycle.root_connection(there.state, "source", database=database)
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION sql_mode = '{SESSION_SQL_MODE}'")
            for statement in (made.create, *made.inserts):
                cursor.execute(statement)
        migration = Migration.of(there, [database], bulk={"driver": dice.choice(drivers()), "chunk_rows": dice.choice([7, 1000])})  # fmt: skip
        migration.schema()
        migration.bulk()
        table = migration.catalog.table[database, "t`%s"]
        assert rows_as_bytes(there, "source", table) == rows_as_bytes(there, "target", table), made.create
        seen += len(rows_as_bytes(there, "target", table))
        there.drop_database(database)
    return seen


def test_random_rows_of_random_tables_of_mariadb_arrive_byte_for_byte(there: Scratch) -> None:
    assert _carried(there, random.Random(20261124), 4, 60) > 100


@pytest.mark.soak
def test_many_random_rows_of_random_tables_of_mariadb_arrive_byte_for_byte(there: Scratch) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    dice, seen = random.Random(seed), 0
    while seen < 20_000:
        seen += _carried(there, dice, 10, 400)
    print(f"{seen:,} rows")


def test_an_interrupted_load_goes_on_while_mariadb_stands_still_and_only_then(there: Scratch) -> None:
    database = there.database()
    there.execute("CREATE TABLE t (id UUID PRIMARY KEY DEFAULT UUID(), mood ENUM('😀', 'b'))", database)
    there.execute("INSERT INTO t (mood) SELECT 1 FROM seq_1_to_500", database)
    moving = Migration.of(there, [database], bulk={"workers": 1, "chunk_rows": 100})
    moving.schema()
    assert moving.bulk().rows == 500
    interrupted = (
        f"UPDATE _workbook.`load_{moving.settings.environment}` SET state = 'loading'",
        f"UPDATE _workbook.`chunks_{moving.settings.environment}` SET loaded_rows = NULL WHERE number = 1",
    )
    for statement in interrupted:
        there.execute_target_root(statement)
    # MariaDB orders a uuid otherwise than its text, so the rows of its first chunk are named one by one.
    for (row,) in there.execute("SELECT id FROM t ORDER BY id LIMIT 100", database):
        there.execute_target_root("DELETE FROM t WHERE id = %s", database, (row,))
    gone_on = moving.bulk()
    assert (gone_on.resumed, gone_on.rows) == (True, 500)
    assert [(table.rows, table.resumed_rows) for table in gone_on.tables] == [(100, 400)]
    there.execute_target_root(interrupted[0])
    there.execute("INSERT INTO t (mood) VALUES (2)", database)
    again = moving.bulk()
    assert (again.resumed, again.rows) == (False, 501)


def test_a_time_beyond_what_mysql_holds_is_refused_by_name(there: Scratch) -> None:
    database = there.database()
    there.execute("CREATE TABLE spans (id INT PRIMARY KEY, span TIME(6))", database)
    there.execute("INSERT INTO spans VALUES (1, '838:59:59.999999')", database)
    moving = Migration.of(there, [database])
    moving.schema()
    with pytest.raises(TerminalError, match=r"spans.*'span'"):
        moving.bulk()


def test_a_schema_that_is_there_needs_no_second_plan_and_a_change_on_the_target_is_named(there: Scratch) -> None:
    database = there.database()
    there.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT CHECK (a > 0 AND a + 1 * 2 < 9), b INT AS (a * 2 + 1) VIRTUAL,"
        " c VARCHAR(20) DEFAULT CONCAT('x', 1 + 2))",
        database,
    )
    moving = Migration.of(there, [database])
    moving.schema()
    arguments = (moving.catalog, moving.mapping, moving.notes.objects)
    planned = plan_schema(there.source, there.target, *arguments)
    assert planned.steps == ()
    there.execute_target_root("ALTER TABLE t DROP CHECK t_chk_1, ADD CONSTRAINT t_chk_2 CHECK (a > 0)", database)
    judged = check_schema(planned, there.target, moving.notes.objects)
    assert judged.verdict == "different"
    assert [item.name for item in judged.objects if item.verdict == "different"] == [
        f"`{database}`.`t`.`t_chk_1`", f"`{database}`.`t`.`t_chk_2`"
    ]  # fmt: skip


def test_the_assessment_names_what_mysql_has_not(there: Scratch) -> None:
    database = there.database("assessed")
    name = there.account("'assessed'@'%'")
    there.execute(f"CREATE USER {name} IDENTIFIED VIA unix_socket")
    for statement in (
        "CREATE SEQUENCE counter",
        "CREATE TABLE kept (a INT PRIMARY KEY) WITH SYSTEM VERSIONING",
        "CREATE TABLE crashed (a INT PRIMARY KEY) ENGINE = Aria",
        "CREATE TABLE typed (a UUID PRIMARY KEY, b INET6, c JSON, d VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci)",
        "CREATE TABLE dialect (a INT PRIMARY KEY, b INT AS (NVL2(a, 1, 2)))",
        "CREATE PROCEDURE gives() DELETE FROM typed WHERE a = 1 RETURNING a",
        "CREATE PROCEDURE draws() SELECT NEXT VALUE FOR counter",
        "CREATE PROCEDURE asks() SELECT * FROM kept FOR SYSTEM_TIME ALL",
        "CREATE PROCEDURE adds() ALTER TABLE typed ADD COLUMN IF NOT EXISTS e INT",
        "CREATE PROCEDURE calls() SELECT JSON_DETAILED(c) FROM typed",
    ):
        there.execute(statement, database)
    connection = lifecycle.root_connection(there.state, "source", database=database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'ORACLE'")
        cursor.execute("CREATE PACKAGE tools AS FUNCTION one RETURN INT; END")
    result = assess(there.source, read_catalog(there.source, [database]), "cloud-sql", "8.4")
    found = {(it.check, it.object) for it in result.findings}
    expected = {
        ("sequence", "sequence assessed.counter"),
        ("sequence", "procedure assessed.draws"),
        ("system-versioning", "table assessed.kept"),
        ("system-versioning", "procedure assessed.asks"),
        ("generated-column", "column assessed.dialect.b"),
        ("aria", "table assessed.crashed"),
        ("native-type", "column assessed.typed.a"),
        ("native-type", "column assessed.typed.b"),
        ("json-text", "table assessed.typed"),
        ("mariadb-collation", "table assessed.typed"),
        ("returning", "procedure assessed.gives"),
        ("mariadb-form", "procedure assessed.adds"),
        ("mariadb-function", "procedure assessed.calls"),
        ("mariadb-login", "account assessed@%"),
        ("package", "package assessed.tools"),
    }
    assert expected - found == set()
    own = {check.id for check in checks_for("8.4") if check.sources == ("mariadb",)}
    assert own == {check for check, _ in expected}


def test_a_clean_mariadb_source_has_no_finding_above_a_note(there: Scratch) -> None:
    database = there.database()
    # The default sql_mode of MariaDB, under which most code there was made.
    connection = lifecycle.root_connection(there.state, "source", database=database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = DEFAULT")
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_general_ci)")
        cursor.execute("CREATE PROCEDURE p() INSERT INTO t (id) VALUES (1)")
    catalog = read_catalog(there.source, [database])
    assert "NO_AUTO_CREATE_USER" in catalog.routines[0].sql_mode
    result = assess(there.source, catalog, "cloud-sql", "8.4")
    # The sandbox itself loads the plugin, for other tests.
    above = [it for it in result.findings if it.severity != "note" and it.object != "plugin ed25519"]
    assert above == []
    assert result.checks_skipped == ()


def test_rows_are_filtered_renamed_and_masked_on_the_way_from_mariadb(
    there: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(there, tmp_path, monkeypatch)
    route.migration.mapping = route.read()
    route.migration.whole()
    result = route.migration.validate()
    assert result.verdict == "same", result.findings
    people = next(table for table in result.tables if table.table == PEOPLE and table.hop == "source-target")
    assert people.rows_target == 266
    assert "133 rows left out by the filter" in people.why
