"""The assessment: each check fires where it should and is silent where it should be; code is searched, not text."""

import dataclasses
import itertools
import json
import secrets
from typing import Any

import pytest

from workbook.assess import AssessResult, Evidence, assess, checks_for, judge, plot_readiness, plot_segments
from workbook.assess.checks import markdown
from workbook.assess.code import dynamic, line_of, phrase, tokens
from workbook.assess.evidence import Plugin, Seen
from workbook.catalog import Account, Catalog, Column, Database, Event, Routine, Table, Trigger, View, read_catalog
from workbook.servers import Server

_numbers = itertools.count(1)


def catalog(**given: Any) -> Catalog:
    """A catalog for tests that need no server."""
    values: dict[str, Any] = {
        "server": "source", "version": "9.7.4", "flavour": "mysql", "variables": {"partial_revokes": "OFF"},
        "gtid_executed": "", "databases": (Database("shop", "utf8mb4", "utf8mb4_0900_ai_ci"),), "tables": (),
        "views": (), "routines": (), "triggers": (), "events": (),
        "accounts": (Account("app", "%", "caching_sha2_password", False, True, False, False),),
    }  # fmt: skip
    return Catalog(**{**values, **given})


def table(name: str, engine: str = "InnoDB", columns: tuple[Column, ...] = ()) -> Table:
    return Table("shop", name, engine, "", 0, 0, 0, None, "", "", "", columns, (), (), (), ())


def counter() -> Column:
    return Column("id", 1, "int", "int", False, None, False, None, None, None, None, None, False, True, None, None, None,
                  None, None, None, "")  # fmt: skip


def procedure(body: str, sql_mode: str = "", kind: str = "PROCEDURE", definer: str = "app@%") -> Catalog:
    routine = Routine("shop", "p", kind, definer, "DEFINER", "SQL", False, "", sql_mode, "", "", "", body, "")
    return catalog(routines=(routine,), tables=(table("orders"), table("log", "MyISAM"), table("lines")))


def trigger(body: str) -> Catalog:
    made = Trigger("shop", "t", "orders", "AFTER", "INSERT", 1, "app@%", "", "", "", body)
    return catalog(triggers=(made,), tables=(table("orders"), table("log", "MyISAM"), table("lines")))


def event(body: str, definer: str = "app@%") -> Catalog:
    return catalog(events=(Event("shop", "e", definer, "ENABLED", "SYSTEM", "", "", "", "", "", body, ""),))


def view(definition: str, definer: str = "app@%") -> Catalog:
    return catalog(views=(View("shop", "v", definition, "NONE", definer, "DEFINER", "", "", ()),))


def seen(text: str) -> Evidence:
    return Evidence(statements=(Seen("shop", text, 3),))


NOTHING = Evidence()
Case = tuple[str, Catalog, Evidence]

FIRES: list[Case] = [
    ("engine", catalog(tables=(table("t", "MyISAM"),)), NOTHING),
    ("engine", catalog(tables=(table("t", "MEMORY"),)), NOTHING),
    ("engine", catalog(tables=(table("t", "ARCHIVE"),)), NOTHING),
    ("engine", catalog(tables=(table("t", "CSV"),)), NOTHING),
    ("engine-without-rows", catalog(tables=(table("t", "FEDERATED"),)), NOTHING),
    ("engine-without-rows", catalog(tables=(table("t", "MRG_MYISAM"),)), NOTHING),
    ("engine-without-rows", catalog(tables=(table("t", ""),)), NOTHING),
    ("engine-without-rows", catalog(tables=(table("t", "MyISAM", (counter(),)),)), NOTHING),
    ("super", catalog(), Evidence(static_privileges=(("app@%", "SUPER"),))),
    ("file", catalog(), Evidence(static_privileges=(("app@%", "FILE"),))),
    ("dynamic-privilege", catalog(), Evidence(dynamic_privileges=(("app@%", "TELEMETRY_LOG_ADMIN"),))),
    ("wildcard-grant", catalog(), Evidence(schema_grants=(("app@%", "shop%"),))),
    ("wildcard-grant", catalog(), Evidence(schema_grants=(("app@%", "my_shop"),))),
    ("wildcard-grant", catalog(), Evidence(schema_grants=(("app@%", "my\\_shop"),))),
    ("definer", view("select 1", "gone@localhost"), NOTHING),
    ("definer", procedure("SELECT 1", definer="app@localhost"), NOTHING),
    ("definer", event("SELECT 1", "o'brien@%"), NOTHING),
    ("load-data", catalog(), seen("LOAD DATA INFILE ? INTO TABLE `t`")),
    ("load-data", catalog(), seen("LOAD DATA CONCURRENT INFILE ? INTO TABLE `t`")),
    ("load-data", procedure("BEGIN SET @s = \"LOAD DATA INFILE '/x' INTO TABLE t\"; PREPARE q FROM @s; END"), NOTHING),
    ("into-outfile", procedure("BEGIN SELECT a INTO/**/OUTFILE '/x' FROM t; END"), NOTHING),
    ("into-outfile", event("SELECT 1 into\n dumpfile '/x'"), NOTHING),
    ("into-outfile", procedure("BEGIN SELECT 1 /*!50000 INTO OUTFILE '/x' */ FROM t; END"), NOTHING),
    ("into-outfile", catalog(), seen("SELECT * FROM `t` INTO OUTFILE ?")),
    ("load-file", view("select load_file('/etc/passwd') AS `x`"), NOTHING),
    ("load-file", trigger("SET NEW.a = LOAD_FILE (NEW.b)"), NOTHING),
    ("load-file", catalog(), seen("SELECT `LOAD_FILE` (?)")),
    ("create-table-select", procedure("BEGIN CREATE TABLE x AS SELECT 1; END"), NOTHING),
    ("create-table-select", procedure("BEGIN CREATE TABLE IF NOT EXISTS x (a INT) (SELECT 1); END"), NOTHING),
    ("create-table-select", catalog(), seen("CREATE TABLE `x` SELECT * FROM `y`")),
    ("mixed-engines", procedure("BEGIN UPDATE orders SET a = 1; INSERT INTO log VALUES (1); END"), NOTHING),
    ("mixed-engines", procedure("BEGIN DELETE FROM `shop`.`orders`; REPLACE LOW_PRIORITY INTO shop.log VALUES (1); END"), NOTHING),
    ("mixed-engines", trigger("INSERT INTO log VALUES (NEW.id)"), NOTHING),
    ("temporary-table", procedure("BEGIN START TRANSACTION; CREATE TEMPORARY TABLE x (a INT); COMMIT; END"), NOTHING),
    ("temporary-table", procedure("BEGIN SET autocommit = 0; DROP TEMPORARY TABLE x; END"), NOTHING),
    ("temporary-table", procedure("BEGIN IF 1 THEN CREATE TEMPORARY TABLE x (a INT); END IF; END", kind="FUNCTION"), NOTHING),
    ("plugin", catalog(), Evidence(plugins=(Plugin("audit_log", "ACTIVE", "audit_log.so"),))),
    ("plugin", catalog(), seen("INSTALL PLUGIN `x` SONAME ?")),
    ("plugin", procedure("BEGIN INSTALL COMPONENT 'file://c'; END"), NOTHING),
    ("protocol-plugin", catalog(), Evidence(plugins=(Plugin("mysqlx", "ACTIVE", None),))),
    ("protocol-plugin", catalog(), Evidence(plugins=(Plugin("clone", "ACTIVE", "mysql_clone.so"),))),
    ("protocol-plugin", catalog(), Evidence(plugins=(Plugin("daemon_memcached", "ACTIVE", "libmemcached.so"),))),
    ("validate-password", catalog(), Evidence(components=("file://component_validate_password",))),
    ("validate-password", catalog(), Evidence(plugins=(Plugin("validate_password", "ACTIVE", "validate_password.so"),))),
]  # fmt: skip

SILENT: list[Case] = [
    ("engine", catalog(tables=(table("t"), table("f", "FEDERATED"))), NOTHING),
    ("engine-without-rows", catalog(tables=(table("t"), table("m", "MyISAM"))), NOTHING),
    ("super", catalog(), Evidence(static_privileges=(("app@%", "FILE"),))),
    ("file", catalog(), Evidence(static_privileges=(("app@%", "SUPER"),))),
    ("dynamic-privilege", catalog(), Evidence(dynamic_privileges=(("app@%", "ROLE_ADMIN"),))),
    ("wildcard-grant", catalog(), Evidence(schema_grants=(("app@%", "shop"),))),
    ("wildcard-grant", catalog(variables={"partial_revokes": "ON"}), Evidence(schema_grants=(("app@%", "my_shop"),))),
    ("definer", view("select 1", "app@%"), NOTHING),
    ("load-data", catalog(), seen("LOAD DATA LOCAL INFILE ? INTO TABLE `t`")),
    ("load-data", procedure("BEGIN /* LOAD DATA INFILE */ SELECT 'LOAD DATA INFILE'; END"), NOTHING),
    ("into-outfile", procedure("BEGIN SELECT a INTO @outfile FROM t; END"), NOTHING),
    ("into-outfile", procedure("BEGIN -- SELECT 1 INTO OUTFILE '/x'\n# INTO OUTFILE\nSELECT 'INTO OUTFILE', `INTO` OUTFILE FROM t; END"), NOTHING),
    ("into-outfile", procedure("BEGIN SELECT 'it\\'s INTO OUTFILE', \"\"\" INTO OUTFILE\"; END"), NOTHING),
    ("into-outfile", procedure("BEGIN SELECT '\\', ' INTO OUTFILE '; END", sql_mode="NO_BACKSLASH_ESCAPES"), NOTHING),
    ("into-outfile", procedure('BEGIN SELECT a AS "INTO OUTFILE" FROM t; END', sql_mode="ANSI_QUOTES"), NOTHING),
    ("load-file", view("select `shop`.`load_file` AS `load_file`, 'load_file(1)' AS `b`"), NOTHING),
    ("load-file", procedure("BEGIN SELECT load_file_2('x'), `load_file`(1); END"), NOTHING),
    ("create-table-select", procedure("BEGIN CREATE TABLE x (a INT); SELECT 1; END"), NOTHING),
    ("create-table-select", procedure("BEGIN CREATE TEMPORARY TABLE x AS SELECT 1; END"), NOTHING),
    ("mixed-engines", procedure("BEGIN UPDATE orders SET a = 1; SELECT * FROM log; INSERT INTO `lines` VALUES (1) ON DUPLICATE KEY UPDATE a = 1; END"), NOTHING),
    ("mixed-engines", procedure("BEGIN SELECT a FROM orders FOR UPDATE; SELECT REPLACE(a, INSERT('log', 1, 1, ''), 1) FROM log; END"), NOTHING),
    ("mixed-engines", trigger("INSERT INTO `lines` VALUES (NEW.id)"), NOTHING),
    ("temporary-table", procedure("BEGIN CREATE TEMPORARY TABLE x (a INT); START TRANSACTION; COMMIT; DROP TEMPORARY TABLE x; END"), NOTHING),
    ("temporary-table", procedure("BEGIN START TRANSACTION; CREATE TABLE x (a INT); END"), NOTHING),
    ("plugin", catalog(), Evidence(plugins=(Plugin("InnoDB", "ACTIVE", None), Plugin("x", "DISABLED", "x.so")))),
    ("plugin", catalog(), seen("SELECT `INSTALL` , `PLUGIN` FROM `t`")),
    ("protocol-plugin", catalog(), Evidence(plugins=(Plugin("mysqlx", "DISABLED", None), Plugin("InnoDB", "ACTIVE", None)))),
    ("validate-password", catalog(), Evidence(components=("file://component_query_attributes",))),
]  # fmt: skip


def found(result: AssessResult, check: str) -> list[str]:
    return [finding.object for finding in result.findings if finding.check == check]


@pytest.mark.parametrize(("check", "held", "evidence"), FIRES, ids=[f"{it[0]}-{n}" for n, it in enumerate(FIRES)])
def test_a_check_names_what_it_looks_for(check: str, held: Catalog, evidence: Evidence) -> None:
    assert found(judge(held, evidence), check)


@pytest.mark.parametrize(("check", "held", "evidence"), SILENT, ids=[f"{it[0]}-{n}" for n, it in enumerate(SILENT)])
def test_a_check_is_silent_where_there_is_nothing(check: str, held: Catalog, evidence: Evidence) -> None:
    result = judge(held, evidence)
    assert found(result, check) == []
    assert check in result.checks_run


def test_every_check_is_one_row_with_all_that_is_said_of_it() -> None:
    checks = checks_for("8.4")
    assert {check.number for check in checks} == set(range(40))
    assert len({check.id for check in checks}) == len(checks)
    for check in checks:
        assert f"`{check.id}`" in markdown()
        assert check.why
        assert check.todo
        # Who mends a finding of severity mend is named, and nobody mends a decision; only then is it automatic.
        assert (check.mended_by is not None) == (check.severity == "mend") == (check.effort == "automatic")


def test_the_verdict_is_bad_only_for_a_blocker_that_no_phase_mends() -> None:
    assert judge(catalog(tables=(table("t", "MyISAM"),)), NOTHING).verdict == "ok"
    blocked = judge(catalog(tables=(table("t", "FEDERATED"), table("m", "MEMORY"))), NOTHING)
    assert blocked.verdict == "blocker"
    assert blocked.findings[0].severity == "blocker"


def test_a_check_whose_evidence_is_missing_is_skipped_with_the_reason_and_still_searches_the_rest() -> None:
    evidence = Evidence(missing={"statements": "performance_schema is off"})
    result = judge(view("select load_file('/x')"), evidence)
    assert found(result, "load-file")
    assert "load-file" not in result.checks_run
    assert [skipped.why for skipped in result.checks_skipped if skipped.check == "load-file"] == [
        "performance_schema is off"
    ]
    unread = judge(dataclasses.replace(view("select 1", "x@y"), accounts=None), NOTHING)
    assert "definer" in [skipped.check for skipped in unread.checks_skipped]
    assert set(result.checks_run).isdisjoint(skipped.check for skipped in result.checks_skipped)
    assert {*result.checks_run, *(it.check for it in result.checks_skipped)} == {
        check.id for check in checks_for("8.4") if check.applies("8.4", "mysql")
    }


def test_a_plain_mysql_target_is_not_judged_by_the_rules_of_cloud_sql() -> None:
    result = judge(catalog(tables=(table("t", "MyISAM"),)), NOTHING, "mysql")
    assert {finding.check for finding in result.findings} == {"keyless"}
    assert "engine" in [skipped.check for skipped in result.checks_skipped]
    assert found(judge(view("select 1", "x@y"), NOTHING, "mysql"), "definer") == ["view shop.v"]


def test_a_finding_shows_the_line_without_the_content_of_strings() -> None:
    body = "BEGIN\n  SET @a = 1;\n  SELECT 'secret' AS a, x INTO OUTFILE '/tmp/secret' FROM t;\nEND"
    [finding] = [it for it in judge(procedure(body), NOTHING).findings if it.check == "into-outfile"]
    assert finding.detail == "INTO OUTFILE, line 3: SELECT '…' AS a, x INTO OUTFILE '…' FROM t;"
    prepared = 'BEGIN\n SET @s = \'SELECT "secret" INTO OUTFILE "/x"\';\n PREPARE q FROM @s; END'
    [finding] = [it for it in judge(procedure(prepared), NOTHING).findings if it.check == "into-outfile"]
    assert finding.detail == "INTO OUTFILE in a string that is prepared, line 2: SET @s = '…';"


def test_code_is_read_as_mysql_reads_it() -> None:
    assert [token.text for token in tokens("a--1\n-- b\n#c\n/* d */`e``f` 'g''h' \"i\" /*! j */ 1e3 @k")] == [
        "a", "-", "-", "1", "e`f", "g'h", "i", "j", "1e3", "@k",
    ]  # fmt: skip
    assert [token.line for token in tokens("a\n'x\ny'\nb")] == [1, 2, 4]
    for unclosed in ("'abc", '"abc', "`abc", "/* abc", "'abc\\", "--", "\\", "\0", "😀 é"):
        assert isinstance(tokens(unclosed), list)
    assert list(phrase(tokens("x INTO y"), "INTO", "OUTFILE")) == []
    assert dynamic(tokens("SELECT 'INTO OUTFILE'")) == []
    long = "SELECT " + "x, " * 3000 + "LOAD_FILE('a') " + "y " * 3000
    at = next(token for token in tokens(long) if token.text == "LOAD_FILE")
    assert len(line_of(long, tokens(long), at)) < 200


def test_the_result_is_the_contract_and_hostile_names_stay_text() -> None:
    odd = "<script>alert('x')</script>`%s"
    result = judge(catalog(tables=(table(odd, "MyISAM"),), views=(
        View("shop", odd, f"select load_file('/x') AS `{odd}`", "NONE", f"{odd}@%", "DEFINER", "", "", ()),)), NOTHING)  # fmt: skip
    plain = json.loads(json.dumps(result.asdict()))
    assert {"verdict", "findings", "checks_run", "checks_skipped", "target_version", "segments", "work"} == set(plain)
    assert set(plain["findings"][0]) == {"check", "severity", "object", "detail", "mended_by"}
    assert f"table shop.{odd}" in [finding["object"] for finding in plain["findings"]]
    assert "<script>" not in result._repr_html_()
    assert "<script>" not in plot_readiness(result).to_json()
    assert "<script>" not in plot_segments(result).to_json()


def test_readiness_counts_each_object_once_by_its_worst_finding() -> None:
    result = judge(catalog(
        tables=(table("a", "MyISAM"), table("b"), table("c")),
        views=(View("shop", "v", "select load_file('/x')", "NONE", "gone@%", "DEFINER", "", "", ()),)), NOTHING)  # fmt: skip
    assert result.readiness()["table"] == {"ready": 0, "mend": 1, "decide": 2}
    assert result.readiness()["view"] == {"ready": 0, "mend": 1}


def test_the_checks_hold_on_a_real_server(scratch: Any) -> None:
    database = scratch.database(f"assess's `{secrets.token_hex(2)}` %d")
    account = scratch.account("'assess''s'@'10.0.0.%'")
    scratch.execute(f"CREATE USER {account}")
    scratch.execute(f"GRANT FILE, SUPER ON *.* TO {account}")
    scratch.execute(f"GRANT TELEMETRY_LOG_ADMIN, ROLE_ADMIN ON *.* TO {account}")
    scratch.execute(f"GRANT SELECT ON `assess\\_%`.* TO {account}")
    for statement in (
        "CREATE TABLE `log <b>` (a INT) ENGINE = MyISAM",
        "CREATE TABLE cache (a INT) ENGINE = MEMORY",
        "CREATE TABLE orders (a INT)",
        "CREATE DEFINER = 'gone'@'%' VIEW `v``w` AS SELECT LOAD_FILE('/x') AS a",
        "CREATE TRIGGER both_of_them AFTER INSERT ON orders FOR EACH ROW INSERT INTO `log <b>` VALUES (NEW.a)",
        "CREATE PROCEDURE writes() BEGIN\n -- not INTO DUMPFILE\n SELECT 'INTO DUMPFILE' INTO OUTFILE '/tmp/x'; END",
        "CREATE PROCEDURE makes() BEGIN CREATE TABLE x AS SELECT 1 AS a; START TRANSACTION; CREATE TEMPORARY TABLE y (a INT); END",
    ):
        scratch.execute(statement, database)
    with pytest.raises(Exception, match="secure-file-priv"):
        scratch.execute("LOAD DATA INFILE '/nowhere' INTO TABLE cache", database)
    result = assess(scratch.source, read_catalog(scratch.source, [database]), "cloud-sql")
    assert result.verdict == "ok"
    assert result.checks_skipped == ()
    assert json.loads(json.dumps(result.asdict()))["work"]["automatic"]["checks"] >= 6
    expected = {
        "engine": [f"table {database}.cache", f"table {database}.log <b>"],
        "engine-without-rows": [],
        "definer": [f"view {database}.v`w"],
        "load-data": [f"statement of an application in {database}"],
        "load-file": [f"view {database}.v`w"],
        "into-outfile": [f"procedure {database}.writes"],
        "create-table-select": [f"procedure {database}.makes"],
        "temporary-table": [f"procedure {database}.makes"],
        "mixed-engines": [f"trigger {database}.both_of_them"],
    }
    assert {check: found(result, check) for check in expected} == expected
    mine = {it.check: it.detail for it in result.findings if it.object == "account assess's@10.0.0.%"}
    assert set(mine) == {"super", "file", "dynamic-privilege", "wildcard-grant", "federation-password"}
    assert mine["dynamic-privilege"] == "holds TELEMETRY_LOG_ADMIN"
    assert "<b>" not in result._repr_html_()


def test_an_account_that_may_read_little_gets_checks_skipped_and_not_passed(scratch: Any) -> None:
    database = scratch.database()
    account = scratch.account("'assess_reader'@'%'")
    word = secrets.token_urlsafe(12)
    scratch.execute(f"CREATE USER {account} IDENTIFIED BY '{word}'")
    scratch.execute(f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `{database}`.* TO {account}")
    reader = Server("source", scratch.source.host, scratch.source.port, "assess_reader", word)
    result = assess(reader, read_catalog(reader, [database]), "cloud-sql")
    skipped = {it.check: it.why for it in result.checks_skipped}
    assert {"super", "file", "dynamic-privilege", "wildcard-grant", "definer", "load-data", "validate-password"} <= set(
        skipped
    )
    assert "assess_reader" in skipped["super"]
    assert word not in json.dumps(result.asdict()) + result._repr_html_()
    assert "Skipped: these are not passed" in result._repr_html_()
