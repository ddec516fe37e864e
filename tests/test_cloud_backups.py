"""Backups that Cloud SQL takes of itself: before anything is written, once a run, found again after a kill, ours alone let go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cloud_sql_server import Answer, CloudSql, breaches, cloud_sql_server, refusal
from conftest import Scratch
from migration import Migration
from test_kills import SCRIPT, run_phase, settings_for
from test_repair import validated
from workbook import params
from workbook.backups.api import Admin
from workbook.backups.backup import NOT_BY_US, Backup, Register, Taken
from workbook.backups.take import back_up
from workbook.cli import main
from workbook.cutover.state import State
from workbook.errors import Refused, TerminalError, TransientError, UsageError
from workbook.params_cloud_sql import CloudSql as Section
from workbook.phases import open_phase
from workbook.phases.backed_up import backed_up, wanted
from workbook.phases.ledger import Ledger
from workbook.phases.order import PHASES, REPAIR, phase_named
from workbook.phases.repair import repair
from workbook.phases.rollback import rollback
from workbook.phases.standing import standing
from workbook.phases.status import print_status
from workbook.progress import Progress

CONTENT: dict[str, Any] = {
    "environment": "night",
    "source": {"url": "mysql://root@127.0.0.1:1", "databases": ["shop"]},
    "target": {"url": "mysql://root@127.0.0.1:2"},
    "warehouse": {"project": "local-project", "dataset": "shop"},
}
INSTANCE = "my-project:europe-west4:shop"
INSERT, LIST, GET, DELETE, OPERATION = (
    "sql.backupRuns.insert", "sql.backupRuns.list", "sql.backupRuns.get", "sql.backupRuns.delete", "sql.operations.get",
)  # fmt: skip


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    # A call that may pass is made again after half a second and more.
    monkeypatch.setattr("workbook.servers.time.sleep", lambda seconds: None)
    return tmp_path / "reports"


@pytest.fixture
def api() -> Iterator[CloudSql]:
    with cloud_sql_server() as state:
        yield state
        # Whoever it was, nobody had to log in on loopback.
        assert all("authorization" not in {name.lower() for name in headers} for headers in state.headers)


class Alone:
    """An environment with backups, and no servers but the API."""

    def __init__(self, api: CloudSql, folder: Path, **keys: Any):
        section = {"instance": INSTANCE, "backups": True, "endpoint": api.url, "wait_s": 60, **keys}
        self.settings = params.from_values({**CONTENT, "cloud_sql": section}, folder, "the test")
        self.ledger = Ledger(self.settings.environment)

    def take(self, run: str, phase: str = "schema", writers: Any = ()) -> Taken:
        return back_up(self.settings, self.ledger, run, phase, writers)

    @property
    def register(self) -> Register:
        return Register(self.ledger)


@pytest.fixture
def alone(api: CloudSql, tmp_path: Path) -> Alone:
    return Alone(api, tmp_path)


class OneTable:
    """A database of one table on the source, and a params file with backups by the API."""

    def __init__(self, scratch: Scratch, api: CloudSql, **keys: Any):
        self.scratch, self.api = scratch, api
        self.database = scratch.database()
        scratch.execute("CREATE TABLE t (id INT PRIMARY KEY)", self.database)
        self.file = settings_for(scratch, [self.database])
        content = yaml.safe_load(self.file.read_text())
        content["cloud_sql"] = {"instance": INSTANCE, "backups": True, "endpoint": api.url, "wait_s": 60, **keys}
        self.file.write_text(yaml.safe_dump(content))
        self.settings = params.load(self.file)
        self.ledger = Ledger(self.settings.environment)

    def there(self) -> bool:
        """Whether the target holds the database."""
        sql = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
        return bool(self.scratch.target.scalar(sql, (self.database,)))

    def process(self, folder: Path) -> subprocess.Popen[bytes]:
        folder.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, str(SCRIPT), "schema", str(self.file), str(folder)]
        return subprocess.Popen(words, stderr=subprocess.DEVNULL)


@pytest.fixture
def one(scratch: Scratch, api: CloudSql) -> OneTable:
    return OneTable(scratch, api)


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


# A real phase on real servers.


def test_the_backup_is_there_before_the_first_write_and_the_run_shows_it(
    one: OneTable, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []
    one.api.on_insert = lambda: seen.append((one.there(), list(one.ledger.phases())))
    assert command("run", "schema", "-p", str(one.file)) == 0
    assert seen == [(False, [])], "the API was asked while the target was as before, and no phase had begun"
    assert one.there()
    (run,) = one.api.of()
    (folder,) = reports.glob(f"*-{one.settings.environment}-????")
    for word in (one.settings.environment, folder.name, "before schema"):
        assert word in run["description"]
    (backup,) = Register(one.ledger).backups
    assert (backup.id, backup.state, backup.run, backup.phase) == (run["id"], "kept", folder.name, "schema")
    assert (backup.window, backup.bytes) == ((run["startTime"], run["endTime"]), 1234567890)
    assert "Backup of shop before schema: done after" in (folder / "run.log").read_text()
    page = (folder / "04_schema.html").read_text()
    assert run["id"] in page
    assert "gcloud sql backups restore" in page
    password = params.mysql_address(one.settings.target, one.settings.folder)[3]
    assert password
    for path in folder.iterdir():
        assert password not in path.read_text(), path
    capsys.readouterr()
    assert command("status", "-p", str(one.file)) == 0
    told = capsys.readouterr().out
    assert f"backup {run['id']}" in told
    assert "1.2 GB billed at most" in " ".join(told.split())
    assert f"    {backup.in_place}\n" in told, "in one piece, to be copied"


def test_the_same_run_again_takes_no_second_one_and_the_next_run_does(one: OneTable, tmp_path: Path) -> None:
    first, second = tmp_path / "reports" / "one", tmp_path / "reports" / "two"
    assert run_phase(one.scratch, one.file, "schema", run_dir=first) == 0
    assert run_phase(one.scratch, one.file, "schema", run_dir=first) == 0
    assert len(one.api.of()) == 1
    assert run_phase(one.scratch, one.file, "schema", run_dir=second) == 0
    assert [backup.run for backup in Register(one.ledger).kept] == ["one", "two"]
    assert one.api.calls.count(INSERT) == 2


def test_a_run_that_was_killed_while_it_waited_finds_its_backup_again(one: OneTable, tmp_path: Path) -> None:
    one.api.held = True
    process = one.process(tmp_path / "reports" / "killed")
    assert one.api.asked.wait(120)
    while OPERATION not in one.api.calls and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not one.there()
    assert not one.ledger.phases()
    (asked,) = Register(one.ledger).backups
    assert (asked.state, asked.operation) == ("taking", "operation-0")
    one.api.held = False
    # Other backups stand before it in the list, on more than one page of it.
    for _ in range(5):
        one.api.add()
    assert run_phase(one.scratch, one.file, "schema", run_dir=tmp_path / "reports" / "again") == 0
    assert one.there()
    assert one.api.calls.count(INSERT) == 1
    (backup,) = Register(one.ledger).backups
    assert (backup.id, backup.state, backup.run) == (one.api.of()[0]["id"], "kept", "again")


def test_a_refused_backup_refuses_the_phase_before_anything_is_written(
    one: OneTable, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one.api.answers = [
        Answer(INSERT, *refusal(403, "The client is not authorized to make this request.", "notAuthorized"))
    ]
    assert command("run", "schema", "-p", str(one.file)) == 3
    told = capsys.readouterr().err
    for word in ("cloudsql.backupRuns.create", "roles/cloudsql.editor", "Why it matters", "What to do"):
        assert word in told
    assert not one.there()
    assert not one.ledger.phases()
    assert not Register(one.ledger).backups
    (folder,) = reports.glob(f"*-{one.settings.environment}-????")
    assert json.loads((folder / "run.json").read_text())["status"] == "error"


def test_an_instance_that_is_not_there_is_refused_before_a_run_begins(
    scratch: Scratch, api: CloudSql, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = OneTable(scratch, api, instance="my-project:europe-west4:nobody")
    assert command("run", "schema", "-p", str(one.file)) == 3
    assert "no instance nobody in the project my-project" in capsys.readouterr().err
    assert not list(reports.glob("*-????"))
    assert not one.there()


def test_without_the_switch_and_for_phases_that_only_read_nothing_is_asked(
    scratch: Scratch, api: CloudSql, tmp_path: Path
) -> None:
    one = OneTable(scratch, api)
    for kind in PHASES:
        if not kind.changes_target:
            assert backed_up(one.settings, one.ledger, kind, "r") is None
    off = OneTable(scratch, api, backups=False)
    assert run_phase(scratch, off.file, "schema", run_dir=tmp_path / "reports" / "off") == 0
    assert api.calls == []


def test_every_phase_that_changes_the_target_has_one_before_it() -> None:
    changing = {kind.name for kind in (*PHASES, REPAIR) if kind.changes_target}
    assert changing == {"schema", "accounts", "bulk_load", "cdc", "cutover", "repair"}


def test_a_cutover_that_goes_on_and_the_way_back_do_not_wait_for_one(alone: Alone) -> None:
    cutover = phase_named("cutover")
    assert backed_up(alone.settings, alone.ledger, cutover, "first") is not None
    State(attempt={"to": "target", "outcome": None}).save(alone.ledger)
    assert backed_up(alone.settings, alone.ledger, cutover, "goes on") is None
    State(master="target").save(alone.ledger)
    back = alone.settings.cutover.model_copy(update={"to": "source"})
    assert backed_up(alone.settings.model_copy(update={"cutover": back}), alone.ledger, cutover, "back") is None
    assert len(alone.register.backups) == 1
    # Nor is the API asked whether it is there: without it a cutover goes on.
    assert not wanted(alone.settings.model_copy(update={"cutover": back}), alone.ledger, cutover)


def test_a_repair_has_one_before_it(scratch: Scratch, api: CloudSql) -> None:
    one = OneTable(scratch, api, backups=False)
    scratch.execute("INSERT INTO t VALUES (1), (2)", one.database)
    phase = open_phase("map", {"params_file": str(one.file)})
    Migration(scratch, one.settings, phase.catalog, phase.mapping).whole()
    scratch.execute_target_root("DELETE FROM t WHERE id = 2", one.database)
    validated(one.file)
    seen: list[Any] = []
    api.on_insert = lambda: seen.append(scratch.execute_target_root("SELECT id FROM t", one.database))
    repair(params.load(one.file, {"cloud_sql.backups": True}), ["all"], lambda line: None)
    assert seen == [[(1,)]]
    assert len(scratch.execute_target_root("SELECT id FROM t", one.database)) == 2
    (backup,) = Register(one.ledger).kept
    assert backup.phase == "repair"
    # What a repair keeps of the rows before would be found by others on this server.
    rollback(one.settings, "validate", lambda line: None)
    assert scratch.execute_target_root("SELECT id FROM t", one.database) == [(1,)]


# Taking, by the API alone.


@pytest.mark.parametrize("status", [0, 503])
def test_what_had_been_asked_for_when_the_answer_was_lost_is_found(api: CloudSql, alone: Alone, status: int) -> None:
    api.answers = [Answer(INSERT, status, {}, done=True)]
    taken = alone.take("r")
    assert api.calls.count(INSERT) == 1, "it had been done: it is not asked for again"
    assert api.ids() == [taken.backup.id]


def test_an_api_that_is_away_or_has_too_much_to_do_is_asked_again(api: CloudSql, alone: Alone) -> None:
    api.answers = [
        Answer(INSERT, *refusal(503, "try later", "backendError")),
        Answer(INSERT, *refusal(429, "slowly", "rateLimitExceeded")),
        Answer(INSERT, *refusal(403, "slowly", "rateLimitExceeded")),
        Answer(OPERATION, 0, {}),
        Answer(OPERATION, 502, {}),
        Answer(GET, 500, {}),
    ]
    alone.take("r")
    assert api.answers == []
    assert len(api.of()) == 1


@pytest.mark.parametrize("status", [403, 409])
def test_an_instance_that_is_about_something_else_is_waited_for(api: CloudSql, alone: Alone, status: int) -> None:
    busy = refusal(status, "Operation failed because another operation was already in progress.", "operationInProgress")
    api.answers = [Answer(INSERT, *busy) for _ in range(9)]
    alone.take("r")
    assert api.calls.count(INSERT) == 10


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(403, "It is disabled.", "accessNotConfigured"), ["services enable sqladmin.googleapis.com --project=my-project"]),
        ((403, {"error": {"code": 403, "message": "x", "details": [{"reason": "SERVICE_DISABLED"}]}}), ["not enabled"]),
        (refusal(403, "no", "forbidden"), ["cloudsql.backupRuns.create", "roles/cloudsql.editor", "my-project"]),
        (refusal(404, "no", "instanceDoesNotExist"), ["no instance shop", "cloud_sql.instance"]),
        (refusal(400, "The instance is\nnot running.", "invalidState"), ["The instance is not running."]),
        ((400, "<html>"), ["HTTP status 400"]),
    ],
)  # fmt: skip
def test_each_refusal_is_told_in_three_parts(api: CloudSql, alone: Alone, answer: Any, words: list[str]) -> None:
    api.answers = [Answer(INSERT, *answer)]
    with pytest.raises(Refused) as caught:
        alone.take("r")
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_status == 3
    assert "nothing is written" in caught.value.why
    assert not alone.register.backups, "there is nothing to go back to, nor to look for"


def test_an_api_that_stays_away_refuses_in_the_end(api: CloudSql, alone: Alone) -> None:
    api.answers = [Answer(INSERT, *refusal(503, "The service is unavailable.", "backendError")) for _ in range(20)]
    with pytest.raises(Refused, match="The service is unavailable"):
        alone.take("r")
    assert api.of() == []


def test_a_backup_that_fails_is_no_backup_and_the_next_run_asks_anew(api: CloudSql, alone: Alone) -> None:
    api.ends_with = {"code": "INTERNAL_ERROR", "message": "disk\nwent away"}
    with pytest.raises(Refused, match=r"ended with an error \(INTERNAL_ERROR: disk went away\)"):
        alone.take("r")
    assert not alone.register.backups
    api.ends_with = None
    assert alone.take("r").backup.id == api.ids()[0]


def test_one_that_failed_while_nobody_waited_does_not_stand_in_the_way(api: CloudSql, alone: Alone) -> None:
    lost = Backup("schema", "r", INSTANCE, "left", "2026-01-01T00:00:00+00:00")
    alone.register.put(lost)
    api.add("FAILED", description="left")
    assert alone.take("r").backup.description != "left"
    assert [backup.state for backup in alone.register.backups] == ["kept"]


def test_a_wait_has_an_end_and_what_is_under_way_is_found_by_the_next_run(api: CloudSql, tmp_path: Path) -> None:
    api.held = True
    with pytest.raises(Refused, match=r"still under way after 0.2 seconds"):
        Alone(api, tmp_path, wait_s=0.2).take("r")
    api.held = False
    taken = Alone(api, tmp_path).take("later")
    assert "was cut off" in taken.why
    assert (len(api.of()), taken.backup.run) == (1, "later")


def test_what_was_asked_for_before_others_wrote_stands_for_no_later_state(api: CloudSql, alone: Alone) -> None:
    api.held = True
    waiting = params.from_values(
        {**CONTENT, "cloud_sql": {**alone.settings.cloud_sql.model_dump(), "wait_s": 0.2}}, Path(), "the test"
    )
    with pytest.raises(Refused):
        back_up(waiting, alone.ledger, "r", "schema", [["accounts", "a", "2026", "done"]])
    api.held = False
    taken = alone.take("s", writers=[["accounts", "b", "2026", "done"]])
    assert [backup.id for backup in alone.register.kept] == api.ids(), "it is a restore point all the same"
    assert taken.backup.id == api.ids()[1]


def test_what_was_asked_for_long_ago_stands_for_no_later_state(api: CloudSql, alone: Alone) -> None:
    api.add(description="left")
    alone.register.put(Backup("schema", "r", INSTANCE, "left", "2026-01-01T00:00:00+00:00"))
    assert alone.take("s").backup.description != "left"
    assert len(alone.register.kept) == 2


def test_only_so_many_of_ours_stay_and_those_of_others_are_never_touched(api: CloudSql, tmp_path: Path) -> None:
    api.instances["my-project:other"] = []
    by_hand = api.add()["id"]
    nightly = api.add(type="AUTOMATED")["id"]
    elsewhere = Alone(api, tmp_path, instance="my-project:europe-west4:other").take("r0").backup
    two = Alone(api, tmp_path, keep=2)
    alike = api.add(description="migration workbook: night, before schema of r9")["id"]
    taken = [two.take(f"r{number}") for number in range(1, 5)]
    ids = [one.backup.id for one in taken]
    assert [one.dropped for one in taken] == [(), (), (ids[0],), (ids[1],)]
    assert sorted(api.ids()) == sorted([by_hand, nightly, alike, *ids[2:]])
    assert api.ids("other") == [elsewhere.id], "another instance has its own"
    assert [one.id for one in two.register.kept] == [elsewhere.id, *ids[2:]]
    assert api.calls.count(DELETE) == 2


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(api: CloudSql, tmp_path: Path) -> None:
    only = Alone(api, tmp_path, keep=1)
    first = only.take("r1").backup
    api.of()[0]["description"] = "the auditor's, do not touch"
    taken = only.take("r2")
    assert "left alone" in taken.remarks[0]
    assert api.ids() == [first.id, taken.backup.id]
    assert DELETE not in api.calls
    assert [one.id for one in only.register.kept] == [taken.backup.id]


def test_one_that_is_gone_is_forgotten_and_one_that_stays_is_tried_again(api: CloudSql, tmp_path: Path) -> None:
    only = Alone(api, tmp_path, keep=1)
    first = only.take("r1").backup
    del api.of()[0]
    assert only.take("r2").dropped == (first.id,)
    api.answers = [Answer(DELETE, *refusal(403, "no", "notAuthorized"))]
    third = only.take("r3")
    assert "could not be deleted" in third.remarks[0]
    assert "cloudsql.backupRuns.delete" in third.remarks[0]
    assert len(only.register.kept) == 2
    only.take("r4")
    assert len(api.ids()) == 1


# Params, login, faces.


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ({"backups": True}, "backups need an instance"),
        ({"instance": "shop"}, "must look like project:region:instance"),
        ({"instance": "p:r:-x; rm -rf /"}, "must look like project:region:instance"),
        ({"instance": INSTANCE, "keep": 0}, "cloud_sql.keep"),
        ({"instance": INSTANCE, "location": "EU "}, "must be a region"),
        ({"endpoint": "http://api.example"}, "must be https"),
        ({"endpoint": "https://me:topsecret@api.example"}, "must hold no login"),
        ({"endpoint": "sqladmin"}, "must look like https://host"),
        ({"backup": True}, "did you mean backups"),
    ],
)
def test_what_the_params_may_not_say_is_named(tmp_path: Path, section: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError) as caught:
        params.from_values({**CONTENT, "cloud_sql": section}, tmp_path, "the test")
    assert word in caught.value.found
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "told"), [("10.20.0.5", False), ("ABC.sql.goog", False), ("127.0.0.1", False), ("10.20.0.6", True)]
)
def test_a_target_with_another_address_than_the_instances_is_told(
    api: CloudSql, tmp_path: Path, host: str, told: bool
) -> None:
    alone = Alone(api, tmp_path)
    target = alone.settings.target.model_copy(update={"url": f"mysql://root@{host}:3306"})
    alone.settings = alone.settings.model_copy(update={"target": target})
    taken = alone.take("r")
    assert bool(taken.remarks) == told
    assert ("the backup of another server" in taken._repr_html_()) == told


def test_the_login_of_the_machine_is_used_and_stands_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    class Tokens(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.dumps({"access_token": "ya29.topsecret", "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            pass

    tokens = HTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{tokens.server_address[1]}"
    login = {"type": "service_account", "client_email": "x@y", "private_key": private.decode(), "token_uri": place}
    (tmp_path / "key.json").write_text(json.dumps(login))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # Only a stand-in is on loopback, so that no login goes there; here one does.
    monkeypatch.setattr(Section, "anonymous", False)
    with cloud_sql_server() as api:
        alone = Alone(api, tmp_path)
        alone.take("r1")
        assert {headers.get("authorization") for headers in api.headers} == {"Bearer ya29.topsecret"}
        api.answers = [Answer(INSERT, *refusal(403, "no", "notAuthorized"))]
        with pytest.raises(Refused) as caught:
            alone.take("r2")
    tokens.shutdown()
    said = [
        str(caught.value),
        *capfd.readouterr(),
        *(path.read_bytes().decode("latin-1") for path in tmp_path.glob("reports/*")),
    ]
    assert len(said) > 3
    assert "topsecret" not in "".join(said)
    assert "PRIVATE KEY" not in "".join(said)
    tokens.server_close()
    with pytest.raises(TransientError, match="cannot be reached") as away:
        Admin(alone.settings.cloud_sql)._once("GET", api.url, "none")
    assert "PRIVATE KEY" not in str(away.value)


def test_only_loopback_is_asked_without_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key.json"
    key.write_text('{"type": "service_account", "private_key": "topsecret", "client_email": "x", "token_uri": "y"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    for endpoint in (None, "https://sqladmin.psc.example"):
        section = Section(instance=INSTANCE, backups=True, endpoint=endpoint)  # type: ignore[call-arg]
        assert not section.anonymous
        with pytest.raises(TerminalError, match="No credentials") as caught:
            Admin(section)
        assert "topsecret" not in str(caught.value)


def test_nothing_is_imported_for_the_api_where_there_are_no_backups() -> None:
    words = "import sys, workbook.phases.run, workbook.phases.standing; sys.exit('workbook.backups.api' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], env=dict(os.environ)).returncode == 0


def test_status_and_start_show_the_cost_and_every_way_back_quoted(
    api: CloudSql, alone: Alone, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = Backup(
        "bulk_load", "20260101T000000Z-night-0000", "example.com:it's:europe-west4:shop", "d", "2026", state="kept",
        id="17", window=("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"), version="MYSQL_8_4",
    )  # fmt: skip
    alone.register.put(nasty)
    alone.register.put(replace(nasty, description="unfinished", state="taking", id="18"))
    print_status(alone.settings)
    told = capsys.readouterr().out
    page = standing(alone.settings).restore_points()
    project = "--project='example.com:it'\"'\"'s'"
    restore = "gcloud sql backups restore 17 --restore-instance={} --backup-instance=shop"
    assert f"    {restore.format('shop')} '--project=example.com:it'\"'\"'s'\n" in told
    assert restore.format("shop-before-bulk-load") in told
    assert (
        "gcloud sql instances create shop-before-bulk-load --database-version=MYSQL_8_4 --region=europe-west4" in told
    )
    assert f"gcloud sql instances describe shop {project}" in told
    assert "gcloud sql instances clone shop shop-before-bulk-load --point-in-time=2026-01-01T00:00:00Z" in told
    assert "is lost" in told
    assert " ".join(NOT_BY_US.split()) in " ".join(told.split())
    assert "the API does not say" in told
    assert " 18 " not in told
    assert restore.format("shop") in page
    assert NOT_BY_US.split(":")[0] in page
    assert "the API does not say" in page


def test_seconds_of_a_wait_have_no_pace() -> None:
    with Progress("Waiting", None, "seconds") as progress:
        progress.set(75, "running")
        assert progress.line() == "Waiting: 1 min 15 s, running"
    assert progress.line().startswith("Waiting: done after ")
    assert "/s" not in progress.line()
    assert "seconds/s" not in progress._repr_html_()


def test_the_stand_in_knows_the_api_by_its_own_description() -> None:
    run = {"$ref": "BackupRun"}
    assert breaches({"description": "x", "location": "eu"}, run, "run", sent=True) == []
    assert breaches({"descriptions": "x"}, run, "run") == ["run has no descriptions"]
    assert breaches({"id": 1}, run, "run") == ["run.id is no string"]
    assert breaches({"status": "FINE"}, run, "run") == ["run.status is none of its values: FINE"]
    assert breaches({"maxChargeableBytes": "1"}, run, "run", sent=True) == ["run.maxChargeableBytes is only read"]
