"""The cutover and the way back on real servers, under a writer that never stops: how long it waits, and that nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Scratch
from stream import Stream
from workbook.cutover import Cutover, CutoverResult, State
from workbook.errors import Refused, VerdictFailed
from workbook.names import mysql_path
from workbook.phases import open_phase
from workbook.phases.cutover import abort, cut_over, finish, print_status
from workbook.phases.ledger import Ledger
from workbook.phases.pipelines import settings_of
from workbook.phases.rollback import rollback
from workbook.phases.run import run
from workbook.rehearsal.outage import Acknowledged, outage, read_log
from workbook.rehearsal.writer import Job, command
from workbook.sandbox import lifecycle

PASSWORD = "never-to-be-shown-2"
TABLES = """
CREATE TABLE numbers (id INT AUTO_INCREMENT PRIMARY KEY, number INT NOT NULL, at DATETIME(6), KEY (number));
CREATE TABLE totals (id INT PRIMARY KEY, highest INT NOT NULL, written INT NOT NULL);
CREATE TABLE audit (id BIGINT AUTO_INCREMENT PRIMARY KEY, number INT NOT NULL, KEY (number));
CREATE TABLE keyless (a INT, b VARCHAR(20));
CREATE TABLE `ä %s "x" ``尺` (`select` INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) UNIQUE);
INSERT INTO totals VALUES (1, 0, 0);
INSERT INTO keyless VALUES (1, 'x'), (1, 'x');
INSERT INTO `ä %s "x" ``尺` (v) VALUES ('a'), ('b')
"""


@dataclass
class Site:
    """A migrated scratch database with its stream, a pipeline that writes without a pause, and its log."""

    stream: Stream
    database: str
    writer: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        return self.stream.file.parent

    @property
    def log(self) -> Path:
        return self.folder / "acknowledged"

    def start(self) -> None:
        """Put the writer to work on the source."""
        settings = self.folder / "numbers.env"
        settings.write_text(settings_of(self.stream.settings, "numbers", "source").text)
        job = Job(
            settings,
            self.log,
            self.folder / "ended",
            (
                "INSERT INTO numbers (number, at) VALUES (%(number)s, NOW(6))",
                "UPDATE totals SET highest = %(number)s, written = written + 1",
            ),
            "SELECT COUNT(*) FROM numbers WHERE number = %(number)s",
        )
        words = command(job.save(self.folder / "numbers.json"))
        with (self.folder / "writer.log").open("ab") as log:
            self.writer = subprocess.Popen(words, stdout=log, stderr=log)
        self.wait_for_more(20)

    def end(self) -> None:
        """Have the writer stop after the write that it is at."""
        (self.folder / "ended").touch()
        assert self.writer is not None
        assert self.writer.wait(30) == 0, (self.folder / "writer.log").read_text()

    def acknowledged(self) -> tuple[Acknowledged, ...]:
        return read_log(self.log).acknowledged

    def wait_for_more(self, count: int, seconds: float = 30) -> None:
        wanted, deadline = len(self.acknowledged()) + count, time.monotonic() + seconds
        while len(self.acknowledged()) < wanted:
            assert self.writer is None or self.writer.poll() is None, (self.folder / "writer.log").read_text()
            assert time.monotonic() < deadline, "the writer does not get on"
            time.sleep(0.05)

    def outage(self, port: int, since: float) -> float:
        """The longest wait of the writer between two acknowledged writes, over the switch to `port` that began then."""
        found = outage(read_log(self.log), port, since)
        assert found is not None
        return found.gap

    def cut_over(self, to: str = "target", **overrides: Any) -> CutoverResult:
        phase = open_phase(
            "cutover", {"params_file": str(self.stream.file), "overrides": {"cutover.to": to, **overrides}}
        )
        result = cut_over(phase)
        phase.finish(result)
        return result

    def rows(self, side: str, sql: str) -> list[tuple[Any, ...]]:
        scratch = self.stream.migration.scratch
        run = scratch.execute if side == "source" else scratch.execute_target_root
        return list(run(sql, self.database))

    @property
    def state(self) -> State:
        return State.read(Ledger(self.stream.settings.environment))

    def written_once(self, side: str) -> None:
        """Each acknowledged number is there exactly once, with the one row that the trigger wrote for it."""
        wanted = read_log(self.log).numbers
        for table in ("numbers", "audit"):
            found = Counter(row[0] for row in self.rows(side, f"SELECT number FROM {table}"))
            assert not wanted - found.keys(), f"{len(wanted - found.keys())} lost in {table} of the {side}"
            assert not found.keys() - wanted, f"{len(found.keys() - wanted)} of nobody in {table} of the {side}"
            assert max(found.values()) == 1, f"doubled in {table} of the {side}"
        ((highest, written),) = self.rows(side, "SELECT highest, written FROM totals")
        assert highest == written == len(wanted)


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for runs, the ledger and the engine's files."""
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "reports"


@pytest.fixture
def site(scratch: Scratch) -> Iterator[Site]:
    database = scratch.database()
    scratch.script(TABLES.strip() + "\n", database)
    scratch.execute(
        "CREATE TRIGGER `no %s ``t` AFTER INSERT ON numbers FOR EACH ROW INSERT INTO audit (number) VALUES (NEW.number)",
        database,
    )
    account = scratch.account("'numbers ü'@'%'")
    scratch.execute(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
    scratch.execute(f"GRANT SELECT, INSERT, UPDATE ON {mysql_path(database)}.* TO {account}")
    (scratch.folder / "numbers.password").write_text(PASSWORD)
    stream = Stream.of(scratch, [database], pipelines="pipelines.yaml")
    stream.migration.accounts()
    # An account moves with its password or waits locked; which one is for the accounts phase to say.
    scratch.execute_target_root(f"ALTER USER {account} IDENTIFIED BY '{PASSWORD}' ACCOUNT UNLOCK")
    register = {
        "pipelines": [
            {
                "name": "numbers",
                "owner": "the team",
                "account": "numbers ü",
                "kind": "application",
                "direction": "both",
                "segments": [segment.name for segment in stream.migration.mapping.segments if segment.scope == "in"],
                "connection": {
                    "form": "env",
                    "file": "numbers.env",
                    "database": database,
                    "password": f"file:{scratch.folder / 'numbers.password'}",
                },
                "smoke": "SELECT number FROM audit ORDER BY number",
            }
        ]
    }
    (scratch.folder / "pipelines.yaml").write_text(yaml.safe_dump(register, allow_unicode=True))
    made = Site(stream, database)
    open_phase("cdc", {"params_file": str(stream.file)})
    stream.set_up()
    try:
        yield made
    finally:
        if made.writer is not None:
            made.writer.kill()
            made.writer.wait()
        scratch.execute("SET GLOBAL read_only = OFF")
        scratch.execute("RESET PERSIST")
        for run in (scratch.execute, scratch.execute_target_root):
            run("DROP DATABASE IF EXISTS _workbook")


def test_a_writer_that_never_stops_goes_over_and_comes_back_with_nothing_lost_or_doubled(
    site: Site, reports: Path
) -> None:
    process = site.stream.command("cdc", "run")
    try:
        site.stream.wait_for(lambda: site.stream.told().get("state") == "running")
        site.start()
        began = time.monotonic()
        result = site.cut_over()
        site.wait_for_more(50)
        target, source = (site.stream.migration.scratch.state["servers"][role]["port"] for role in ("target", "source"))
        there = site.outage(target, began)
        assert result.window is not None
        print(f"over: {there:.2f} s without a write, by its writer; {result.window:.2f} s by our clock")
        for name, noted in result.steps.items():
            print(f"  {name}: {noted['seconds']:.2f} s, {noted['said']}")
        assert site.state.master == "target"
        # Back by the notebook, which leaves its page.
        began = time.monotonic()
        assert run(site.stream.settings, site.stream.file, {"cutover.to": "source"}, ["cutover"]) == 0
        (page,) = reports.glob("*/11_cutover.html")
        assert "Cutover" in page.read_text()
        told = json.loads((page.parent / "cutover.json").read_text())
        site.wait_for_more(50)
        back = site.outage(source, began)
        print(f"back: {back:.2f} s without a write, by its writer")
        assert (told["outcome"], site.state.master) == ("done", "source")
        site.end()
        site.stream.caught_up()
        site.written_once("source")
        site.written_once("target")
        assert not site.stream.differences()
    finally:
        process.terminate()
        print(process.communicate()[0][-3000:])
    assert json.loads(json.dumps(result.asdict()))["outcome"] == "done"
    assert PASSWORD not in page.read_text() + (page.parent / "11_cutover.ipynb").read_text()


def test_what_stops_a_cutover_takes_it_back_and_what_kills_it_is_gone_on_with(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """A difference, a hidden writer, a kill before the doors open and one after; then the end of the way back."""
    stream, scratch = site.stream, site.stream.migration.scratch
    process = stream.command("cdc", "run")

    def killed(step: str) -> None:
        """A cutover whose process is killed where it begins a step."""
        pid = os.fork()
        if not pid:
            setattr(Cutover, f"_{step}", lambda self: os.kill(os.getpid(), signal.SIGKILL))
            site.cut_over()
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL

    def as_before() -> None:
        assert scratch.execute("SELECT @@GLOBAL.read_only")[0][0] == 0
        for execute in (scratch.execute, scratch.execute_target_root):
            assert execute("SELECT account_locked FROM mysql.user WHERE User = 'numbers ü'")[0][0] == "N"
        assert stream.target.scalar("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
                                    (site.database,)) == 0  # fmt: skip
        assert scratch.execute(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'cdc_shadow%%'"
        ) == [(0,)]
        assert (site.state.master, site.state.stream, site.state.under_way) == ("source", "forward", False)
        site.wait_for_more(20)

    try:
        stream.wait_for(lambda: stream.told().get("state") == "running")
        site.start()
        scratch.execute_target_root("UPDATE keyless SET b = 'X' LIMIT 1", site.database)
        with pytest.raises(VerdictFailed, match=r"1 of 5 tables were not the same: .*keyless"):
            site.cut_over()
        as_before()
        scratch.execute_target_root("UPDATE keyless SET b = 'x'", site.database)
        with lifecycle.root_connection(scratch.state, "source", database=site.database) as hidden:
            with hidden.cursor() as cursor:
                cursor.execute("DELETE FROM keyless WHERE a = 17")
            with pytest.raises(Refused, match="own login"):
                site.cut_over()
        as_before()

        killed("prove")
        assert scratch.execute("SELECT @@GLOBAL.read_only")[0][0] == 1
        assert print_status(stream.settings, False) == 1
        assert "cutover abort" in capsys.readouterr().out.replace("\n", " ")
        with pytest.raises(Refused, match="cutover is under way"):
            run(stream.settings, stream.file, {}, ["bulk_load"])
        abort(stream.settings, stream.said.append)
        as_before()

        killed("move")
        with pytest.raises(Refused, match="there is no abort any more"):
            abort(stream.settings, stream.said.append)
        assert site.cut_over().outcome == "done"
        site.wait_for_more(20)
        capsys.readouterr()
        assert print_status(stream.settings, True) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["master"], told["stream"], told["closed"]) == ("target", "reverse", ["source"])
        with pytest.raises(Refused, match="taken over"):
            run(stream.settings, stream.file, {}, ["bulk_load"])
        with pytest.raises(Refused, match="taken over"):
            rollback(stream.settings, "start")
        site.end()
        site.written_once("target")
        process.terminate()
        process.wait(60)
        finish(stream.settings, stream.said.append)
        for execute in (scratch.execute, scratch.execute_target_root):
            assert list(execute("SHOW DATABASES LIKE '\\_workbook'")) == []
        with pytest.raises(Refused, match="way back was given up"):
            site.cut_over("source")
    finally:
        process.terminate()
        print(process.communicate()[0][-3000:])
