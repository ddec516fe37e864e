"""Nightly runs: what is printed for cron, systemd, Cloud Run and Composer, and what a night that goes wrong leaves."""

import ast
import json
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest
import yaml

from conftest import Scratch
from workbook import params
from workbook.errors import UsageError
from workbook.phases import schedule as schedules
from workbook.phases.run import only_one
from workbook.phases.schedule import Schedule, due_before, render

CLOUD = params.CHECKOUT / "params" / "cloud.example.yaml"


def example(reports: Path, **keys: Any) -> Schedule:
    return Schedule(params.load(CLOUD), CLOUD, reports, 2, 30, **keys)


def in_the_cloud(reports: Path) -> Schedule:
    return example(
        reports,
        phases=("bulk_load", "validate"),
        zone="Europe/Vienna",
        image="europe-docker.pkg.dev/my-project/workbook/workbook:1",
        region="europe-west4",
        reports_share="10.0.0.2:/workbook",
    )


def test_systemd_takes_the_units_with_names_that_are_hostile(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on PATH: the units were not verified")
    reports = tmp_path / 'rep"orts of 100% $HOME \\'
    reports.mkdir()
    files = render(example(reports, zone="Europe/Vienna"), "systemd")
    assert sorted(files) == ["workbook-production.service", "workbook-production.timer"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in files)],
        capture_output=True,
        text=True,
    )
    # Of the machine's own units it may complain too.
    assert not [line for line in answer.stderr.splitlines() if "workbook-" in line], answer.stderr
    calendar = next(line for line in files["workbook-production.timer"].splitlines() if line.startswith("OnCalendar="))
    answer = subprocess.run(["systemd-analyze", "calendar", calendar.removeprefix("OnCalendar=")], capture_output=True)
    assert answer.returncode == 0


def test_cloud_run_gets_a_job_with_secrets_by_reference_and_its_trigger(tmp_path: Path) -> None:
    files = render(in_the_cloud(tmp_path), "cloud-run")
    job = yaml.safe_load(files["workbook-production-bulk-load-validate.yaml"])
    task = job["spec"]["template"]["spec"]["template"]["spec"]
    (container,) = task["containers"]
    words = container["command"] + container["args"]
    assert words[:2] == ["timeout", "--kill-after=300"]
    assert words[3:6] == ["workbook", "run", "bulk_load"]
    assert "/workbook/params/cloud.example.yaml" in words
    assert words[-2:] == ["--due", "02:30 Europe/Vienna"]
    assert int(words[2]) + 300 < int(task["timeoutSeconds"])
    reference = {"secretKeyRef": {"name": "source-password", "key": "latest"}}
    assert container["env"] == [{"name": "SOURCE_PASSWORD", "valueFrom": reference}]
    script = files["workbook-production-bulk-load-validate.sh"]
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert "--schedule='30 2 * * *'" in script
    assert "--time-zone=Europe/Vienna" in script


def test_composer_gets_a_dag_that_never_runs_twice_at_once(tmp_path: Path) -> None:
    (text,) = render(in_the_cloud(tmp_path), "composer").values()
    tree = ast.parse(text)
    calls = {call.func.id: call for call in ast.walk(tree) if isinstance(call, ast.Call) and hasattr(call.func, "id")}
    dag = {word.arg: word.value for word in calls["DAG"].keywords}
    assert ast.literal_eval(dag["schedule"]) == "30 2 * * *"
    assert ast.literal_eval(dag["max_active_runs"]) == 1
    assert ast.literal_eval(dag["catchup"]) is False
    job = {word.arg: word.value for word in calls["CloudRunExecuteJobOperator"].keywords}
    assert ast.literal_eval(job["job_name"]) == "workbook-production-bulk-load-validate"


@pytest.mark.parametrize(
    ("form", "keys", "found"),
    [
        ("cloud-run", {}, "--image, --reports-share, --region"),
        ("cloud-run", {"image": "i", "region": "r", "reports_share": "here"}, "no NFS share"),
        ("composer", {}, "--region"),
        ("cron", {"zone": "Europe/Vienna"}, "no time zone"),
        ("windows", {}, "no schedule as"),
    ],
)
def test_what_a_schedule_lacks_is_named(tmp_path: Path, form: str, keys: dict[str, Any], found: str) -> None:
    with pytest.raises(UsageError, match=found):
        render(example(tmp_path, **keys), form)


@pytest.mark.parametrize("limit", ["24h", "0m", "6", "-1h", "six hours"])
def test_a_limit_that_would_meet_the_next_night_is_refused(limit: str) -> None:
    with pytest.raises(UsageError):
        schedules.time_limit(limit)


def test_a_line_that_cron_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cron takes commands"):
        render(example(tmp_path / ("long " * 200)), "cron")


@pytest.mark.parametrize(
    ("at", "started", "due"),
    [
        ("02:00 UTC", "2026-03-01T02:00:05", "2026-03-01T02:00:00"),
        ("02:00 UTC", "2026-03-01T09:30:00", "2026-03-01T02:00:00"),
        ("23:30 UTC", "2026-03-01T00:10:00", "2026-02-28T23:30:00"),
        ("02:00 UTC", "2026-03-01T01:59:30", "2026-03-01T02:00:00"),  # a clock that is fast is not a day late
        ("23:30 Europe/Vienna", "2026-03-29T21:40:00", "2026-03-29T21:30:00"),  # summer time began that morning
        ("23:30 Europe/Vienna", "2026-03-29T08:00:00", "2026-03-28T22:30:00"),
    ],
)
def test_a_late_run_knows_when_it_was_due(at: str, started: str, due: str) -> None:
    moment = datetime.fromisoformat(started).replace(tzinfo=UTC)
    assert due_before(at, moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


class Nights:
    """Scheduled runs of a small database, with reports of their own."""

    def __init__(self, scratch: Scratch):
        self.scratch = scratch
        self.database = scratch.database()
        scratch.execute("CREATE TABLE t (id INT PRIMARY KEY)", self.database)
        self.params = scratch.params([self.database])
        self.environment = yaml.safe_load(self.params.read_text())["environment"]
        self.reports = scratch.folder / "reports"
        self.reports.mkdir()

    def command(self, *words: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "workbook.cli",
            "run",
            *words,
            "-p",
            str(self.params),
            "--reports",
            str(self.reports),
        ]

    def line(self, *phases: str, limit: timedelta) -> str:
        """The crontab line without its five fields, as cron hands it to sh."""
        made = Schedule(params.load(self.params), self.params, self.reports, 2, 0, phases, limit)
        return render(made, "cron")["crontab"].split(" ", 5)[5].replace("\\%", "%")

    def last(self) -> dict[str, Any]:
        path = max(self.reports.glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
        record: dict[str, Any] = json.loads(path.read_text())
        return record

    def processes(self) -> list[psutil.Process]:
        """What still runs of these nights: every process below a run has the place of its log in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if str(self.reports) in process.environ().get("WORKBOOK_LOG", ""):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def await_kernel(self, run: "subprocess.Popen[Any]") -> None:
        """Wait until the first notebook of a run is under way."""
        deadline = time.monotonic() + 90
        while not self.processes():
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def nights(scratch: Scratch) -> Nights:
    return Nights(scratch)


def test_the_clock_ends_a_run_that_hangs_and_the_next_night_goes_on(nights: Nights) -> None:
    (nights.reports / "cron.log").write_text("x" * 1_100_000)
    line = nights.line("profile", "assess", limit=timedelta(hours=1))
    with nights.scratch.source_root_connection(nights.database) as cursor:
        # Whoever reads the table waits for it.
        cursor.execute("LOCK TABLES t WRITE")
        shell = subprocess.Popen(["sh", "-c", line], env={"PATH": "/usr/bin:/bin"}, cwd="/")
        nights.await_kernel(shell)
        (clock,) = [child for child in psutil.Process(shell.pid).children() if child.name() == "timeout"]
        # What its alarm clock does at the limit.
        clock.send_signal(signal.SIGALRM)
        assert shell.wait(60) == 0
    record = nights.last()
    assert record["status"] == "error"
    assert record["ended"]
    assert "SIGTERM" in record["error"]["found"]
    assert record["due"].endswith(":00:00Z")
    assert [phase["status"] for phase in record["phases"]] == ["error", "skipped"]
    assert "SIGTERM" in record["phases"][0]["error"]["found"]
    page = (nights.reports / record["run_id"] / "index.html").read_text()
    assert "was told to stop (SIGTERM)" in page
    assert nights.processes() == []
    log = (nights.reports / "cron.log").read_text()
    assert log.strip().endswith("exit 124")
    # The log of before was put aside, so that both together stay small.
    assert len(log) < 100_000
    assert (nights.reports / "cron.log.1").stat().st_size == 1_100_000
    subprocess.run(nights.command("profile"), check=True, capture_output=True)
    assert nights.last()["status"] == "ok"


def test_a_night_that_meets_another_is_on_record_and_leaves_it_alone(nights: Nights) -> None:
    with only_one(nights.reports, nights.environment):
        answer = subprocess.run([*nights.command("profile"), "--due", "02:00"], capture_output=True, text=True)
    assert answer.returncode == 3
    record = nights.last()
    assert record["status"] == "error"
    assert "is under way" in record["error"]["found"]
    assert [phase["status"] for phase in record["phases"]] == ["skipped"]
    assert "is under way" in (nights.reports / "index.html").read_text()
    # By hand there is somebody who reads the answer.
    with only_one(nights.reports, nights.environment):
        assert subprocess.run(nights.command("profile"), capture_output=True).returncode == 3
    assert len(list(nights.reports.glob("*/run.json"))) == 1


def test_ctrl_c_ends_the_record_too(nights: Nights) -> None:
    process = subprocess.Popen(nights.command("profile"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    nights.await_kernel(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 3
    assert process.stderr
    assert "told to stop (SIGINT)" in process.stderr.read()
    assert nights.last()["ended"]
    assert nights.last()["phases"][0]["status"] == "error"
    assert nights.processes() == []


def test_a_zone_has_its_own_hour() -> None:
    moment = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)
    assert due_before("02:00 Europe/Vienna", moment).astimezone(ZoneInfo("Europe/Vienna")).hour == 2
