"""Rehearsing a cutover on the stand-ins: it goes through under writers that never stop, and leaves all as it was."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from conftest import Scratch
from stream import Stream
from workbook.catalog import read_catalog
from workbook.cutover import Cutover, State
from workbook.errors import Refused, UsageError
from workbook.mapping import generate
from workbook.names import mysql_path
from workbook.phases import open_phase, rehearse
from workbook.phases.cutover import abort
from workbook.phases.ledger import Ledger
from workbook.phases.rehearse import refuse_unready, run_rehearsal
from workbook.phases.rehearsed import CLEAR, NOTE, clear, refuse_elsewhere, way_back
from workbook.phases.run import run
from workbook.rehearsal.outage import Acknowledged, Log, outage, read_log, tally
from workbook.rehearsal.places import choose
from workbook.rehearsal.standing import differences, standing

ORDERS = 'o %s "x" `尺'
TABLES = """
CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE seen (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE `o %s "x" ``尺` (`i %d` BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, `note '%` VARCHAR(40) CHARACTER SET latin1 UNIQUE, number INT NOT NULL CHECK (number > 0), half INT AS (number / 2), at TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6), FOREIGN KEY (customer) REFERENCES customers (id));
CREATE TABLE keyless (a INT, b VARCHAR(20));
INSERT INTO customers (name) VALUES ('Ada'), ('Zoë');
INSERT INTO `o %s "x" ``尺` (customer, `note '%`, number) VALUES (1, 'a', 1), (2, NULL, 7);
INSERT INTO keyless VALUES (1, 'x'), (1, 'x')
"""


@dataclass
class Stage:
    """A migrated scratch database of the sandbox, addressed as the sandbox's, with its stream set up."""

    stream: Stream
    database: str

    @property
    def state(self) -> State:
        return State.read(Ledger(self.stream.settings.environment))

    @property
    def file(self) -> Path:
        return self.stream.file

    def rows(self, side: str, sql: str) -> list[tuple[Any, ...]]:
        scratch = self.stream.migration.scratch
        return list((scratch.execute if side == "source" else scratch.execute_target_root)(sql, self.database))

    def standings(self) -> dict[str, dict[str, str]]:
        scratch = self.stream.migration.scratch
        return {role: dict(standing(getattr(scratch, role), [self.database])) for role in ("source", "target")}

    def as_before(self, before: dict[str, dict[str, str]]) -> None:
        """Nothing of the rehearsal is left, and both sides are as they were."""
        for role, now in self.standings().items():
            assert not differences(role, before[role], now)
        for side in ("source", "target"):
            assert self.rows(side, f"SELECT `i %d`, `note '%` FROM {mysql_path(ORDERS)} ORDER BY 1") == [
                (1, "a"),
                (2, None),
            ]
            assert self.rows(side, "SELECT * FROM seen") == []
            assert self.rows(side, "SELECT User FROM mysql.user WHERE User LIKE 'workbook\\_rehearsal%'") == []
        state = self.state
        assert (state.master, state.stream, state.under_way, state.gates) == ("source", "forward", False, {})
        assert Ledger(self.stream.settings.environment).noted(NOTE) is None
        assert not {item.state for item in Ledger(self.stream.settings.environment).pipelines().values()} - {"source"}


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: dict[str, Any]) -> Iterator[Path]:
    """A folder for runs and the ledger; the sandbox of the tests is the one that `sandbox:` means."""
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("WORKBOOK_SANDBOX", str(Path(sandbox["params"]).parent))
    return tmp_path / "reports"


def of_the_sandbox(scratch: Scratch, database: str) -> dict[str, Any]:
    target = yaml.safe_load(Path(scratch.state["params"]).read_text())["target"]
    return {
        "source": {"url": "sandbox:source", "databases": [database]},
        "target": {"url": "sandbox:target", "flavour": "cloud-sql", "version": target["version"]},
        "cutover": {"rehearse_s": 2},
    }


@pytest.fixture
def stage(scratch: Scratch) -> Iterator[Stage]:
    database = scratch.database()
    scratch.script(TABLES.strip() + "\n", database)
    scratch.execute(
        "CREATE TRIGGER `no %s ``t` AFTER INSERT ON customers FOR EACH ROW INSERT INTO seen (name) VALUES (NEW.name)",
        database,
    )
    scratch.execute("CREATE EVENT `e %s` ON SCHEDULE EVERY 1 YEAR STARTS '2040-01-01' DO DELETE FROM seen", database)
    account = scratch.account("'app ü'@'%'")
    scratch.execute(f"CREATE USER {account} IDENTIFIED BY 'never-to-be-shown-3'")
    scratch.execute(f"GRANT SELECT, INSERT ON {mysql_path(database)}.* TO {account}")
    stream = Stream.of(scratch, [database], **of_the_sandbox(scratch, database))
    stream.migration.accounts()
    scratch.execute_target_root(f"ALTER USER {account} IDENTIFIED BY 'never-to-be-shown-3' ACCOUNT UNLOCK")
    open_phase("cdc", {"params_file": str(stream.file)})
    stream.set_up()
    try:
        yield Stage(stream, database)
    finally:
        scratch.execute("SET GLOBAL read_only = OFF")
        scratch.execute("RESET PERSIST")
        for execute in (scratch.execute, scratch.execute_target_root):
            for (user,) in execute("SELECT User FROM mysql.user WHERE User LIKE 'workbook\\_rehearsal%'"):
                execute(f"DROP USER '{user}'@'%'")
            execute("DROP DATABASE IF EXISTS _workbook")


def test_a_rehearsal_goes_over_and_back_beside_the_stream_and_leaves_all_as_it_was(stage: Stage, reports: Path) -> None:
    stream = stage.stream
    following = stream.command("cdc", "run")
    try:
        stream.wait_for(lambda: stream.told().get("state") == "running")
        before = stage.standings()
        process = stream.command("cutover", "rehearse", "--json")
        told = process.communicate()[0]
        assert process.returncode == 0, told[-5000:]
        found = json.loads(told.splitlines()[-1])
        print("\n".join(found["said"]))
        over, back = found["switches"]
        assert [(item["to"], item["side"], item["outcome"]) for item in (over, back)] == [
            ("target", "target", "done"),
            ("source", "source", "done"),
        ]
        for item in (over, back):
            assert (item["lost"], item["doubled"]) == (0, 0)
            assert item["outage_s"] > 0
            assert {step["name"] for step in item["steps"]} >= {"freeze", "prove", "open", "flow", "work"}
        assert 0 < over["acknowledged"] < back["acknowledged"]
        # The larger one first; customers fires a trigger, keyless has no key.
        assert [item["table"] for item in found["writers"]] == [[stage.database, ORDERS], [stage.database, "seen"]]
        assert found["as_before"] is True
        stage.as_before(before)
        assert following.poll() is None
        assert not stream.differences()
        (page,) = reports.glob("*/11_rehearsal.html")
        assert "Writes a second over the two switches" in page.read_text()
    finally:
        following.terminate()
        print(following.communicate()[0][-2000:])


def test_a_lost_write_is_found_and_the_exit_status_says_so(stage: Stage, reports: Path) -> None:
    """One acknowledged row is deleted on the target by somebody else; the stream is not at work, and is not afterwards."""
    before = stage.standings()
    process = stage.stream.command("cutover", "rehearse", "--set", "cutover.rehearse_s=5")
    assert process.stdout is not None
    lines: list[str] = []
    passwords: set[str] = set()
    for line in process.stdout:
        lines.append(line)
        if "Writing on the target" in line:
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    passwords.add(child.environ().get("WORKBOOK_REHEARSAL_PASSWORD", ""))
            key, table = "`i %d`", mysql_path(ORDERS)
            first = stage.rows("target", f"SELECT MIN({key}) FROM {table} WHERE {key} > 2")[0][0]
            stage.rows("target", f"DELETE FROM {table} WHERE {key} = {first}")
    told = "".join(lines)
    assert process.wait() == 1, told[-5000:]
    assert "1 lost, 0 doubled" in told
    assert "not every acknowledged write is there exactly once" in " ".join(told.split())
    stage.as_before(before)
    (password,) = passwords - {""}
    for path in [
        *reports.rglob("*.json"),
        *reports.rglob("*.html"),
        *reports.rglob("*.ipynb"),
        *reports.rglob("*.log"),
    ]:
        assert password not in path.read_text(errors="replace"), path


def killed_while(stage: Stage, where: type, method: str, when: Callable[..., bool]) -> None:
    """A rehearsal whose process is killed where it begins what `method` does."""
    pid = os.fork()
    if not pid:
        plain = getattr(where, method)

        def kill(self: Any, *words: Any) -> Any:
            if when(*words):
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(self, *words)

        setattr(where, method, kill)
        rehearse.rehearse(open_phase("rehearsal", {"params_file": str(stage.file)}))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_what_is_cut_off_has_a_way_back_before_the_opening_and_after_it(stage: Stage) -> None:
    settings, said = stage.stream.settings, stage.stream.said
    following = stage.stream.command("cdc", "run")
    try:
        stage.stream.wait_for(lambda: stage.stream.told().get("state") == "running")
        before = stage.standings()
        killed_while(stage, Cutover, "_prove", lambda *words: True)
        with pytest.raises(Refused, match="not what applications write to just now"):
            refuse_unready(settings)
        with pytest.raises(Refused, match="has not come back"):
            clear(settings, said.append)
        lines = way_back(stage.state)
        assert "cutover abort" in lines[0]
        assert "--clear" in lines[1]
        assert len(lines) == 2
        abort(settings, said.append)
        # Nobody is left who writes.
        orders = f"SELECT COUNT(*) FROM {mysql_path(ORDERS)}"
        written = stage.rows("source", orders)
        time.sleep(1)
        assert stage.rows("source", orders) == written
        assert written[0][0] > 2
        clear(settings, said.append)
        stage.as_before(before)
        with pytest.raises(UsageError, match="No rehearsal has left anything"):
            clear(settings, said.append)

        killed_while(stage, rehearse._Rehearsal, "_stay", lambda side: side == "target")
        lines = way_back(stage.state)
        assert "workbook run cutover --set pipelines=null --set cutover.to=source -p FILE" in lines[0]
        assert run(settings, stage.file, {"pipelines": None, "cutover.to": "source"}, ["cutover"]) == 0
        assert way_back(stage.state) == [f"Then take away what it has added: {CLEAR}"]
        clear(settings, said.append)
        stage.as_before(before)
    finally:
        following.terminate()
        print(following.communicate()[0][-2000:])


def test_it_is_refused_where_it_would_switch_servers_of_others(
    scratch: Scratch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = scratch.database()
    for keys, named in (
        ({}, "The source and the target of the params are not the sandbox's"),
        ({"source": of_the_sandbox(scratch, database)["source"]}, "The target of the params is not the sandbox's"),
    ):
        file = scratch.params([database], **keys)
        settings = scratch.settings([database], **keys)
        for attempt in (
            lambda s=settings: refuse_elsewhere(s),
            lambda s=settings, f=file: run_rehearsal(s, f, {}, False, print),
            lambda s=settings: clear(s, print),
        ):
            with pytest.raises(Refused, match=named) as refusal:
                attempt()
            assert "sandbox:source" in refusal.value.todo
    assert not capsys.readouterr().out


def test_it_is_refused_where_a_cutover_could_not_begin_or_come_back(scratch: Scratch) -> None:
    database = scratch.database()
    settings = scratch.settings([database], **of_the_sandbox(scratch, database))
    with pytest.raises(Refused, match="never set up") as refusal:
        refuse_unready(settings)
    assert "workbook run cdc" in refusal.value.todo
    none = settings.cutover.model_copy(update={"reverse": "none"})
    with pytest.raises(Refused, match="without a way back"):
        refuse_unready(settings.model_copy(update={"cutover": none}))


def test_no_row_is_written_where_it_could_not_be_taken_away_without_a_trace(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.script(
        """
CREATE TABLE fired (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(40));
CREATE TABLE named (id VARCHAR(40) PRIMARY KEY);
CREATE TABLE narrow (id TINYINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(40));
CREATE TABLE figures (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(10));
CREATE TRIGGER t AFTER DELETE ON fired FOR EACH ROW SET @x = 1
""".strip(),
        database,
    )
    catalog = read_catalog(scratch.source, [database])
    with pytest.raises(Refused) as refusal:
        choose(scratch.source, scratch.target, catalog, generate(catalog, None, True), (), 2)
    for name, why in (
        ("fired", "triggers"),
        ("named", "AUTO_INCREMENT"),
        ("narrow", "could run out"),
        ("figures", "no text column"),
    ):
        assert f"{mysql_path(database, name)}: " in refusal.value.found
        assert why in refusal.value.found


def test_the_outage_is_the_longest_wait_of_the_switch_and_refusals_are_timed_to_the_first_success() -> None:
    known = [(1.0, 1, 10), (1.1, 2, 10), (9.0, 3, 10), (9.1, 4, 10), (11.1, 5, 20), (11.2, 6, 20), (11.9, 7, 20)]
    log = Log(tuple(Acknowledged(at, number, port, number) for at, number, port in known), (9.05, 9.6, 10.0, 11.5))
    found = outage(log, 20, since=9.02)
    assert found is not None
    assert (round(found.gap, 3), found.began, found.ended) == (2.0, 9.1, 11.1)
    assert round(found.refused or 0, 3) == round(11.1 - 9.05, 3)
    assert outage(log, 30, since=9.02) is None
    assert outage(Log(log.acknowledged), 20, since=9.02).refused is None  # type: ignore[union-attr]


def test_a_half_written_line_is_no_write_and_a_number_twice_is_doubled(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a 1.5 1 3306 7\nr 1.6 2 1290\na 1.7 2 3306 8\na 1.8 3 33")
    log = read_log(path)
    assert (sorted(log.numbers), log.refused) == ([1, 2], (1.6,))
    found = tally(log.numbers, Counter({1: 2, 5: 1}))
    assert (found.acknowledged, found.lost, found.doubled) == (2, (2,), (1,))
