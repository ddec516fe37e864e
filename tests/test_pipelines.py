"""Pipelines: registered and found, judged before they move, moved for real and back, and proven or said not to be."""

import configparser
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
import pytest
import yaml

from conftest import Scratch
from workbook import cli, faces, params
from workbook.accounts.hosts import host_matches
from workbook.catalog import read_catalog
from workbook.errors import Refused, UsageError, VerdictFailed
from workbook.mapping import load_mapping
from workbook.names import mysql_account, mysql_path, quote_mysql
from workbook.phases.ledger import Ledger
from workbook.phases.pipelines import move, settings_of
from workbook.phases.rollback import rollback
from workbook.phases.run import run
from workbook.pipelines import check_pipelines, discover, load_register
from workbook.pipelines.moving import plan_moves
from workbook.pipelines.order import order_of
from workbook.pipelines.readiness import PipelinesResult
from workbook.pipelines.register import Address, Register
from workbook.pipelines.settings import render
from workbook.pipelines.standing import Standing
from workbook.pipelines.statements import needs_of
from workbook.pipelines.trial import compare, plan_on
from workbook.rehearsal.writer import settings_in

PROCESS = Path(__file__).with_name("pipeline_process.py")
DESK, CLERK = 'desk\'s "100%" ü', "clerk"
PASSWORD = "never-to-be-shown-1"
SEGMENTS = {"people": {"customers": "customers"}, "sales": {"orders": "orders", "order audit": "order_audit"}}


def pipeline(name: str, **keys: Any) -> dict[str, Any]:
    """A pipeline of a register, with what is given laid over what most have."""
    return {
        "name": name,
        "owner": "the team",
        "account": CLERK,
        "kind": "application",
        "direction": "reads",
        "segments": ["people"],
        "connection": {"form": "env"},
        "smoke": "SELECT 1",
        **keys,
    }


def register_of(*pipelines: dict[str, Any], **keys: Any) -> Register:
    return Register.model_validate({"pipelines": pipelines, **keys})


@dataclass
class Office:
    """A scratch database that is the same on both sides, with two accounts, a register, and an order desk that can be put to work."""

    scratch: Scratch
    database: str
    settings: params.Settings
    file: Path
    capsys: pytest.CaptureFixture[str]
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def desk_file(self) -> Path:
        return self.file.parent / "desk.env"

    def register(self, *pipelines: dict[str, Any], **keys: Any) -> None:
        content = {"pipelines": [self.desk(), self.report(), *pipelines], **keys}
        (self.file.parent / "pipelines.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    def desk(self, **keys: Any) -> dict[str, Any]:
        secret = self.file.parent / "desk.password"
        connection = {"form": "env", "file": "desk.env", "database": self.database, "password": f"file:{secret}"}
        smoke = "SELECT id, name FROM customers"
        both = {"direction": "both", "segments": ["sales"], "reads": ["people"]}
        return pipeline("desk", account=DESK, connection=connection, smoke=smoke, **{**both, **keys})

    def report(self, **keys: Any) -> dict[str, Any]:
        connection = {"form": "yaml", "database": self.database}
        return pipeline(
            "report", segments=["sales"], connection=connection, **{"smoke": "SELECT COUNT(*) FROM orders", **keys}
        )

    def start(self) -> None:
        """Put the order desk to work on the side that its settings point to, the source at first."""
        self.desk_file.write_text(settings_of(self.settings, "desk", "source").text)
        with (self.file.parent / "desk.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, str(PROCESS), str(self.desk_file)], stdout=log, stderr=log)
        self.processes.append(process)
        deadline = time.monotonic() + 20
        while not self.orders("source"):
            assert process.poll() is None, (self.file.parent / "desk.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def orders(self, side: str) -> int:
        run = self.scratch.execute if side == "source" else self.scratch.execute_target_root
        return int(run(f"SELECT COUNT(*) FROM {mysql_path(self.database, 'orders')}")[0][0])

    def move(self, *names: str, to: str, wait: float = 20, despite: tuple[str, ...] = (), leave: bool = False) -> None:
        move(self.settings, names, to, wait, despite, leave, self.said.append)

    def standing(self, name: str) -> Standing:
        return Ledger(self.settings.environment).pipelines().get(name, Standing())

    def command(self, *words: str) -> tuple[int, str]:
        """Exit status and what was said of a command, given as on the command line."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["pipelines", *words, "-p", str(self.file)])
        said = self.capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    def result(self) -> PipelinesResult:
        catalog = read_catalog(self.scratch.source, [self.database])
        assert self.settings.mapping_path is not None
        mapping = load_mapping(self.settings.mapping_path, catalog, emulated=True)
        register = load_register(self.settings.pipelines_path)
        return check_pipelines(self.scratch.source, self.scratch.target, catalog, mapping, register, {})

    def check(self, result: PipelinesResult, name: str, check: str) -> tuple[str, str]:
        found = next(item for item in result.ready if item.pipeline == name)
        one = next(item for item in found.checks if item.name == check)
        return one.verdict, one.detail


@pytest.fixture
def office(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Office]:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    database = scratch.database()
    home = quote_mysql(database)
    scratch.execute_target_root(f"CREATE DATABASE {home}")
    desk, clerk = (scratch.account(mysql_account(user, "%")) for user in (DESK, CLERK))
    for run_on in (scratch.execute, scratch.execute_target_root):
        run_on(f"CREATE TABLE {home}.customers (id INT PRIMARY KEY, name VARCHAR(40), secret VARCHAR(40))")
        run_on(
            f"CREATE TABLE {home}.orders (id INT AUTO_INCREMENT PRIMARY KEY, customer_id INT NOT NULL, note TEXT,"
            f" FOREIGN KEY (customer_id) REFERENCES {home}.customers (id))"
        )
        run_on(f"CREATE TABLE {home}.`order audit` (id INT PRIMARY KEY)")
        run_on(f"INSERT INTO {home}.customers VALUES (1, 'Ann', 's'), (2, 'Bo', NULL)")
        for account in (desk, clerk):
            run_on(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
        run_on(f"GRANT SELECT, INSERT ON {home}.orders TO {desk}")
        run_on(f"GRANT SELECT (id, name) ON {home}.customers TO {desk}")
        run_on(f"GRANT SELECT ON {home}.* TO {clerk}")
    mapping = {
        "version": 1,
        "segments": {
            name: {
                "priority": number,
                "scope": "in",
                "tables": {database: {table: {"warehouse": {"name": to}} for table, to in tables.items()}},
            }
            for number, (name, tables) in enumerate(SEGMENTS.items(), 1)
        },
    }
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(mapping))
    file = scratch.params([database], mapping="mapping.yaml", pipelines="pipelines.yaml")
    (tmp_path / "desk.password").write_text(PASSWORD)
    made = Office(scratch, database, params.load(file), file, capsys)
    made.register()
    try:
        yield made
    finally:
        for process in made.processes:
            process.terminate()
            process.wait(20)


def test_a_pipeline_that_keeps_writing_moves_to_the_target_and_back_proven_both_times(office: Office) -> None:
    office.start()
    office.move("desk", to="shadow")
    assert office.standing("desk").words == "shadow"
    status, told = office.command("move", "desk", "--to", "target", "--wait", "20", "--despite", "order")
    assert status == 0, told
    assert office.standing("desk").words == "target"
    assert office.standing("desk").before["state"] == "shadow"
    source, target = office.orders("source"), office.orders("target")
    deadline = time.monotonic() + 20
    while office.orders("target") == target:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert office.orders("source") == source, "nothing of it may reach the source any more"
    (shown,) = (line for line in office.command("status")[1].splitlines() if "desk" in line)
    assert [word.strip() for word in shown.split("│")[2:4]] == ["target", "yes"]
    assert [word.strip() for word in shown.split("│")[5:8]] == ["shadow", "0", "1"]
    # What the copy would be loaded over, or taken away, is at work there.
    with pytest.raises(Refused, match="desk"):
        run(office.settings, office.file, {}, ["bulk_load"])
    with pytest.raises(Refused, match=r"writing statements on the target since"):
        office.move("desk", to="source")
    assert office.standing("desk").state == "target"
    office.move("desk", to="source", leave=True)
    assert office.standing("desk").words == "source"
    assert office.orders("source") > source
    assert PASSWORD not in told + "".join(office.said) + office.desk_file.read_text()
    assert "a value nobody may see" not in told + "".join(office.said)


def test_a_move_that_is_not_proven_says_so_with_status_1_and_both_ways_on(office: Office) -> None:
    status, told = office.command("move", "report", "--to", "target", "--wait", "0")
    assert status == 1, told
    for part in ("missing: 0 statements that read on the target", "Why it matters:", "restart it", "--to source"):
        assert part in told
    assert office.standing("report").words == "target (not proven)"
    # A statement that fails is no activity.
    with _connected(office) as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.MySQLError, match="Unknown column"):
            cursor.execute(f"SELECT gone FROM {mysql_path(office.database, 'orders')}")
        with pytest.raises(VerdictFailed, match="missing: 0 statements that read"):
            office.move("report", to="target", wait=0)
    # It reads its new settings after all: the same command finds the proof.
    connection = pymysql.connect(
        host="127.0.0.1", port=office.scratch.target.port, user=CLERK, password=PASSWORD, database=office.database
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM orders")
        cursor.fetchall()
        office.move("report", to="target")
    assert office.standing("report").words == "target"
    assert office.standing("report").before["state"] == "source", "the way back is the one of the first attempt"
    with pytest.raises(VerdictFailed, match="connections on the target"), _connected(office):
        office.move("report", to="retired", wait=0)
    office.move("report", to="retired")
    assert office.standing("report").words == "retired"


def _connected(office: Office) -> "pymysql.Connection[Any]":
    return pymysql.connect(host="127.0.0.1", port=office.scratch.target.port, user=CLERK, password=PASSWORD)


def test_reads_that_differ_are_no_shadow(office: Office) -> None:
    home = mysql_path(office.database, "orders")
    office.scratch.execute(f"INSERT INTO {home} (customer_id, note) VALUES (1, 'late and secret')")
    with pytest.raises(VerdictFailed, match="1 rows only on the source, 1 only on the target") as raised:
        office.move("report", to="shadow")
    assert "secret" not in str(raised.value)
    assert office.standing("report").words == "shadow (not proven)"
    with pytest.raises(Refused, match="smoke: 1 rows"):
        office.move("report", to="target")


def test_what_is_missing_for_a_pipeline_is_found_and_nothing_is_written(office: Office) -> None:
    home = quote_mysql(office.database)
    desk = mysql_account(DESK, "%")
    ready = office.result()
    assert {item.pipeline: item.verdict for item in ready.ready} == {"desk": "ok", "report": "ok"}
    office.scratch.execute_target_root(f"REVOKE INSERT ON {home}.orders FROM {desk}")
    office.scratch.execute_target_root(f"REVOKE SELECT (name) ON {home}.customers FROM {desk}")
    office.scratch.execute_target_root(f"ALTER USER {mysql_account(CLERK, '%')} ACCOUNT LOCK")
    result = office.result()
    verdict, detail = office.check(result, "desk", "privileges")
    assert verdict == "failed"
    assert f"INSERT on {office.database}.orders" in detail
    assert f"SELECT on {office.database}.customers" in detail
    assert office.check(result, "report", "account")[0] == "failed"
    assert result.verdict == "blocker"
    with pytest.raises(Refused, match="privileges: held on the source"):
        office.move("desk", to="target", despite=("order",))
    assert office.standing("desk") == Standing()
    assert not office.desk_file.exists()
    office.scratch.execute_target_root(f"DROP USER {desk}")
    assert office.check(office.result(), "desk", "account") == ("failed", f"{DESK}@% is not on the target")


def test_roles_count_as_held_only_where_a_login_has_them(office: Office) -> None:
    role = office.scratch.account("'order role'@'%'")
    home, clerk = quote_mysql(office.database), mysql_account(CLERK, "%")
    for run_on in (office.scratch.execute, office.scratch.execute_target_root):
        run_on(f"CREATE ROLE {role}")
        run_on(f"GRANT SELECT ON {home}.* TO {role}")
        run_on(f"GRANT {role} TO {clerk}")
        run_on(f"REVOKE SELECT ON {home}.* FROM {clerk}")
        run_on(f"SET DEFAULT ROLE {role} TO {clerk}")
    assert office.check(office.result(), "report", "privileges")[0] == "ok"
    office.scratch.execute_target_root(f"SET DEFAULT ROLE NONE TO {clerk}")
    assert office.check(office.result(), "report", "privileges")[0] == "failed"


def test_an_account_is_looked_for_under_the_host_that_the_mapping_chooses(office: Office) -> None:
    named = office.scratch.account(mysql_account(CLERK, "app.internal"))
    office.scratch.execute(f"CREATE USER {named} IDENTIFIED BY '{PASSWORD}'")
    office.scratch.execute(f"GRANT SELECT ON {quote_mysql(office.database)}.* TO {named}")
    office.register({**office.report(), "name": "named", "account": f"{CLERK}@app.internal"})
    assert office.check(office.result(), "named", "account")[0] == "failed"
    file = office.file.parent / "mapping.yaml"
    file.write_text(file.read_text() + 'accounts: {hosts: {app.internal: "%"}}\n')
    assert office.check(office.result(), "named", "account") == ("ok", f"{CLERK}@% can log in")
    assert office.check(office.result(), "named", "privileges")[0] == "ok"


def test_statements_of_its_sessions_are_planned_on_the_target_without_their_values(office: Office) -> None:
    office.start()
    statements = next(item for item in office.result().ready if item.pipeline == "desk").trials
    own = {trial["statement"].split(" ")[0]: trial["verdict"] for trial in statements if trial["certain"]}
    assert own == {"INSERT": "planned", "SELECT": "planned"}
    assert all("may see" not in trial["statement"] for trial in statements)
    office.scratch.execute_target_root(f"ALTER TABLE {mysql_path(office.database, 'orders')} DROP COLUMN note")
    result = office.result()
    assert office.check(result, "desk", "statements")[0] == "failed"
    page = result._repr_html_() + json.dumps(result.asdict(), default=str)
    assert "Unknown column" in page
    for hidden in ("a value nobody may see", PASSWORD, "Ann"):
        assert hidden not in page


def test_planning_writes_nothing_whatever_the_statement_is(office: Office) -> None:
    scratch, home = office.scratch, office.database
    scratch.execute_target_root(
        f"CREATE FUNCTION {mysql_path(home, 'noted')}(a INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA"
        f" BEGIN INSERT INTO {mysql_path(home, 'order audit')} VALUES (a); RETURN a; END"
    )
    trials = {
        "SELECT * FROM customers WHERE id = noted(1)": "parsed",
        "INSERT INTO customers VALUES (9, 'x', NULL)": "planned",
        "REPLACE INTO customers VALUES (1, noted(2), NULL)": "planned",
        "UPDATE customers SET name = 'x'": "planned",
        "DELETE FROM customers": "planned",
        "/* why */ TRUNCATE TABLE `order audit`": "parsed",
        "LOCK TABLES customers WRITE": "parsed",
        "ANALYZE TABLE customers": "parsed",
        "SELEC 1": "failed",
        "SELECT gone FROM customers": "failed",
        "SELECT '%s %' FROM customers": "planned",
    }
    assert {sql: plan_on(scratch.target, sql, home).verdict for sql in trials} == trials
    assert "SELEC" not in plan_on(scratch.target, "SELEC 1", home).detail
    assert scratch.execute_target_root(f"SELECT id, name FROM {mysql_path(home, 'customers')}") == [
        (1, "Ann"),
        (2, "Bo"),
    ]
    assert scratch.execute_target_root(f"SELECT * FROM {mysql_path(home, 'order audit')}") == []


def test_answers_are_compared_in_any_order_unless_the_query_orders_them(office: Office) -> None:
    scratch, home = office.scratch, office.database

    def verdict(query: str) -> str:
        return compare(scratch.source, scratch.target, query, home).verdict

    turned = f"SELECT id FROM customers ORDER BY IF(@@port = {scratch.source.port}, id, -id)"
    assert verdict(turned) == "different"
    assert verdict(f"SELECT * FROM ({turned} LIMIT 9) AS d") == "same"
    assert verdict("SELECT NOW(6), id FROM customers") == "same"
    assert verdict("SELECT UUID()") == "incomparable"
    assert verdict(f"SELECT * FROM ({turned} LIMIT 9) AS d LIMIT 1") == "incomparable"
    assert verdict("SELECT id FROM nowhere") == "incomparable"
    assert verdict("SELECT @@port") == "different"
    assert verdict("INSERT INTO customers VALUES (8, 'x', 'y')") == "incomparable"
    scratch.execute_target_root(f"DROP TABLE {mysql_path(home, 'order audit')}")
    assert verdict("SELECT id FROM `order audit`") == "different"


def test_whoever_works_with_the_source_unregistered_is_named(office: Office) -> None:
    scratch = office.scratch
    stranger = "str<b>anger"
    account = scratch.account(mysql_account(stranger, "%"))
    scratch.execute(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
    scratch.execute(f"GRANT ALL ON {quote_mysql(office.database)}.* TO {account}")
    scratch.execute(
        f"CREATE EVENT {mysql_path(office.database, 'tidy')} ON SCHEDULE EVERY 1 DAY DO DELETE FROM orders WHERE 0",
        office.database,
    )
    port, opened = scratch.source.port, []
    for user, program in ((stranger, "cron.pl"), (CLERK, "excel"), (CLERK, "report")):
        opened.append(pymysql.connect(host="127.0.0.1", port=port, user=user, password=PASSWORD, program_name=program))
    with opened[0].cursor() as cursor:
        cursor.execute(f"INSERT INTO {mysql_path(office.database, 'order audit')} VALUES (7)")
    register = register_of(office.report(program="report"))
    catalog = read_catalog(scratch.source, [office.database])
    found = discover(scratch.source, catalog, register)
    unregistered = {(item.kind, item.name): item for item in found.unregistered}
    assert unregistered["account", stranger].writes
    assert ("program", "excel") in unregistered
    assert ("program", "report") not in unregistered
    assert ("event", f"{office.database}.tidy") in unregistered
    assert found.verdict == "decide"
    assert "<b>" not in faces.without_style(found._repr_html_()).replace(faces.STYLE, "")
    ignored = [{"account": stranger, "why": "leaves"}, {"event": f"{office.database}.tidy", "why": "moves later"}]
    left = discover(scratch.source, catalog, register_of(office.report(program="report"), ignored=ignored))
    assert not {"str<b>anger", f"{office.database}.tidy"} & {item.name for item in left.unregistered}
    for connection in opened:
        connection.close()


def test_readers_move_before_writers_writers_together_and_children_no_later_than_parents(office: Office) -> None:
    catalog = read_catalog(office.scratch.source, [office.database])
    assert office.settings.mapping_path is not None
    mapping = load_mapping(office.settings.mapping_path, catalog, emulated=True)
    register = register_of(
        pipeline("crm", account="crm", direction="both", segments=["people"]),
        pipeline("till", account="till", direction="writes", segments=["sales"], reads=["people"]),
        pipeline("web", account="web", direction="writes", segments=["sales"]),
        pipeline("figures", segments=["sales"]),
    )
    order = order_of(register, mapping, catalog)
    assert order.groups == (("figures",), ("till", "web"), ("crm",))
    reasons = {rule.why for rule in order.rules if rule.then == "crm"}
    assert any("sales.orders refers to people.customers" in why for why in reasons)
    result = PipelinesResult(discover(office.scratch.source, catalog, register), (), order, {}, register)
    assert {name for trace in result.plot().data for name in trace.text} == set(register.named)


def test_the_order_is_kept_unless_it_is_passed_over_by_name(office: Office) -> None:
    with pytest.raises(
        Refused, match=r"order: report must be on the target first \(it reads sales, which desk writes\)"
    ):
        office.move("desk", to="target")
    with pytest.raises(VerdictFailed):
        office.move("report", "desk", to="target", wait=0)
    with pytest.raises(Refused, match="desk must be on the source first"):
        office.move("report", to="source")


def test_a_rollback_under_a_pipeline_that_works_on_the_target_is_refused(office: Office) -> None:
    ledger = Ledger(office.settings.environment)
    ledger.end(ledger.begin("schema", "a-run", {}), "done", {}, None)
    ledger.end_move(ledger.begin_move("desk", "target", {}), True, [])
    with pytest.raises(Refused, match="desk"):
        rollback(office.settings, "start")


def test_a_file_that_no_move_wrote_is_never_overwritten(office: Office) -> None:
    office.desk_file.write_text("DB_PASSWORD=mine\n")
    with pytest.raises(Refused, match="was not written by a move"):
        office.move("desk", to="target", despite=("order",))
    assert office.desk_file.read_text() == "DB_PASSWORD=mine\n"
    assert office.standing("desk") == Standing()


# --- settings, read back by the readers of each form -----------------------------------------------------------------

HOSTILE = {"user": 'o\'brien "100%" `x` $HOME ü', "database": "my `db`; é #1"}
PLAIN = {"user": "o_brien", "database": "my-db"}
REFERENCE = "file:/run/secrets/x"


def rendered(form: str, user: str, database: str, host: str = "10.20.0.5") -> str:
    connection = {"form": form, "database": database, "password": REFERENCE}
    item = register_of(pipeline("p", account=f"{user}@%", connection=connection)).pipeline("p")
    return render(item, "target", Address(host=host, port=3307)).text


def test_env_settings_are_what_a_shell_reads(tmp_path: Path) -> None:
    path = tmp_path / "p.env"
    path.write_text(rendered("env", **HOSTILE), encoding="utf-8")
    command = ["bash", "-c", f"set -a; . {path}; env -0"]
    answer = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    found = dict(line.split("=", 1) for line in answer.stdout.decode().split("\0") if "=" in line)
    assert (found["DB_HOST"], found["DB_PORT"]) == ("10.20.0.5", "3307")
    assert (found["DB_USER"], found["DB_DATABASE"]) == (HOSTILE["user"], HOSTILE["database"])
    assert found["DB_PASSWORD_FROM"] == REFERENCE
    assert settings_in(path)["DB_USER"] == HOSTILE["user"]


@pytest.mark.parametrize("form", ["url", "jdbc"])
def test_url_settings_are_percent_encoded(form: str) -> None:
    first = rendered(form, **HOSTILE, host="fd00::5").splitlines()[1]
    name, _, value = first.partition("=")
    assert name == {"url": "DATABASE_URL", "jdbc": "jdbc.url"}[form]
    parts = urlsplit(value.strip("'").removeprefix("jdbc:"))
    assert (parts.hostname, parts.port, unquote(parts.path)) == ("fd00::5", 3307, f"/{HOSTILE['database']}")
    user = unquote(parts.username or "") if form == "url" else parse_qs(parts.query)["user"][0]
    assert user == HOSTILE["user"]
    assert parts.password is None


def test_yaml_and_ini_settings_are_what_their_readers_read() -> None:
    section = yaml.safe_load(rendered("yaml", **HOSTILE))["database"]
    assert section == {"host": "10.20.0.5", "port": 3307, **HOSTILE, "password_from": REFERENCE}
    reader = configparser.ConfigParser()
    reader.read_string(rendered("ini", **PLAIN))
    assert dict(reader["database"]) == {"host": "10.20.0.5", "port": "3307", **PLAIN, "password_from": REFERENCE}


def test_an_option_file_connects(office: Office, tmp_path: Path) -> None:
    connection = {"form": "my.cnf", "section": "client", "database": office.database, "password": REFERENCE}
    item = register_of(pipeline("p", connection=connection)).pipeline("p")
    path = tmp_path / "p.cnf"
    path.write_text(render(item, "target", Address(host="127.0.0.1", port=office.scratch.target.port)).text)
    with pymysql.connect(read_default_file=str(path), password=PASSWORD) as found, found.cursor() as cursor:
        cursor.execute("SELECT DATABASE(), USER()")
        row = cursor.fetchone()
    assert row is not None
    assert (row[0], row[1].partition("@")[0]) == (office.database, CLERK)


@pytest.mark.parametrize("form", ["ini", "my.cnf"])
def test_a_name_that_a_form_cannot_hold_is_refused(form: str) -> None:
    with pytest.raises(Refused, match="The user of the pipeline p holds"):
        rendered(form, **HOSTILE)


@pytest.mark.parametrize("form", ["env", "url", "jdbc", "ini", "yaml", "my.cnf"])
def test_a_line_break_in_a_name_is_refused_in_every_form(form: str) -> None:
    with pytest.raises(Refused, match="control character"):
        rendered(form, "two\nlines", "d")


# --- bad registers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"acount": "x"}, ("pipelines p: unknown key acount", "Did you mean account?")),
        ({"kind": "robot"}, ("pipelines p: kind",)),
        ({"owner": None}, ("pipelines p: owner",)),
        ({"segments": []}, ("pipelines p: segments: names no segment",)),
        ({"name": "a/../b"}, ("name: must be letters",)),
        ({"smoke": "DELETE FROM t"}, ("smoke: must begin with one of",)),
        ({"smoke": "SELECT 1; DROP TABLE t"}, ("smoke: must be one statement",)),
        ({"smoke": "SELECT 1 INTO OUTFILE '/tmp/x'"}, ("smoke: must neither lock",)),
        ({"smoke": "SELECT 1 FROM t FOR UPDATE"}, ("smoke: must neither lock",)),
        ({"connection": {"form": "envv"}}, ("pipelines p: form",)),
        ({"connection": {"form": "env", "fil": "x"}}, ("unknown key fil", "Did you mean file?")),
        ({"connection": {"form": "env", "password": "hunter2"}}, ("password: is no reference",)),
        ({"connection": {"form": "env", "names": {"host": "A B"}}}, ("gives host a name",)),
    ],
)
def test_a_bad_register_is_told_in_three_parts(tmp_path: Path, change: dict[str, Any], words: tuple[str, ...]) -> None:
    path = tmp_path / "pipelines.yaml"
    path.write_text(yaml.safe_dump({"pipelines": [{**pipeline("p"), **change}]}))
    with pytest.raises(UsageError) as raised:
        load_register(path)
    for word in (*words, "Why it matters:", "What to do:"):
        assert word in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pipelines: [", "is not YAML"),
        ("- a", "holds no keys"),
        ("pipeline: []", "Did you mean pipelines?"),
        ("ignored: [{why: x}]", "name one of account, event and replica"),
    ],
)
def test_a_register_that_is_none_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "pipelines.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        load_register(path)


def test_two_pipelines_of_one_name_or_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipelines.yaml"
    path.write_text(yaml.safe_dump({"pipelines": [pipeline("p"), pipeline("p")]}))
    with pytest.raises(UsageError, match="'p' twice"):
        load_register(path)
    same = {"form": "env", "file": "x.env"}
    both = [pipeline("p", connection=same), pipeline("q", account="other", connection=same)]
    path.write_text(yaml.safe_dump({"pipelines": both}))
    with pytest.raises(UsageError, match="to two pipelines"):
        load_register(path)
    path.write_text(yaml.safe_dump({"pipelines": [pipeline("p", program="x"), pipeline("q")]}))
    with pytest.raises(UsageError, match="p and q share an account: give each its `program`"):
        load_register(path)
    path.write_text(yaml.safe_dump({"pipelines": [pipeline("p", program="x"), pipeline("q", program="y")]}))
    assert set(load_register(path).named) == {"p", "q"}


def test_bad_words_on_the_command_line_are_told(office: Office) -> None:
    status, told = office.command("move", "dsk", "--to", "target")
    assert status == 2, told
    assert "Did you mean desk?" in told
    assert "What to do:" in told
    with pytest.raises(UsageError, match="There is no state 'moon'"):
        office.move("desk", to="moon")
    with pytest.raises(UsageError, match="There is no check 'luck'"):
        office.move("desk", to="target", despite=("luck",))
    with pytest.raises(UsageError, match="There are no settings towards 'shadow'"):
        settings_of(office.settings, "desk", "shadow")
    office.register(pipeline("x", account="x", segments=["slaes"]))
    with pytest.raises(UsageError, match=r"Did you mean sales\?"):
        office.move("desk", to="target")


def test_no_register_is_told(office: Office) -> None:
    office.file.write_text(office.file.read_text().replace("pipelines: pipelines.yaml\n", ""))
    with pytest.raises(UsageError, match="The params name no register"):
        settings_of(params.load(office.file), "desk", "target")


def test_what_left_the_source_cannot_be_shadowed() -> None:
    with pytest.raises(UsageError, match="cannot go to shadow"):
        plan_moves(["p"], "shadow", register_of(pipeline("p")), {"p": Standing("target")})


# --- pure --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("%", "db.example", True),
        ("localhost", "127.0.0.1", True),
        ("10.1.%", "10.1.2.3", True),
        ("10.1.%", "10.2.2.3", False),
        ("192.168.0.0/255.255.0.0", "192.168.7.1", True),
        ("192.168.0.0/255.255.0.0", "10.0.0.1", False),
        ("192.168.0.0/255.255.0.0", "a name", False),
    ],
)
def test_host_patterns_are_matched_as_the_server_does(pattern: str, host: str, matches: bool) -> None:
    assert host_matches(pattern, host) is matches


@pytest.mark.parametrize(
    ("sql", "needs"),
    [
        ("SELECT * FROM t JOIN o.u USING (i)", {"SELECT d.t", "SELECT o.u"}),
        ("WITH c AS (SELECT 1 FROM z) SELECT * FROM c", {"SELECT d.z"}),
        ("INSERT INTO t SELECT * FROM u", {"INSERT d.t", "SELECT d.u"}),
        ("INSERT INTO t (x) VALUES (1) ON DUPLICATE KEY UPDATE x = 2", {"INSERT d.t", "UPDATE d.t"}),
        ("REPLACE INTO `t` VALUES (1)", {"INSERT d.t", "DELETE d.t"}),
        ("UPDATE t a JOIN u b ON a.i = b.i SET a.x = 1", {"SELECT d.t", "UPDATE d.t", "SELECT d.u"}),
        ("DELETE a FROM t a JOIN u USING (i) WHERE 1", {"SELECT d.t", "DELETE d.t", "SELECT d.u"}),
        ("DELETE FROM t", {"DELETE d.t"}),
        ("CALL o.`p q`(1)", {"EXECUTE o.p q"}),
        ("CALL p(1)", {"EXECUTE d.p"}),
    ],
)
def test_the_privileges_that_a_statement_needs(scratch: Scratch, sql: str, needs: set[str]) -> None:
    catalog = read_catalog(scratch.source, [scratch.database()])
    found = needs_of(sql, "d", catalog)
    assert found is not None
    assert {f"{need.privilege} {need.database}.{need.name}" for need in found} == needs


def test_a_statement_that_is_not_understood_needs_what_is_not_known(scratch: Scratch) -> None:
    assert (
        needs_of("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "d", read_catalog(scratch.source, [scratch.database()]))
        is None
    )
