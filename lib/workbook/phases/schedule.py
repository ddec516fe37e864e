"""A nightly run for cron, systemd, Cloud Run or Composer: one at a time, with a limit, absolute paths and kept status."""

import getpass
import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import yaml

from workbook.errors import UsageError
from workbook.params import CHECKOUT, Settings
from workbook.phases.order import phase_named

# What is left to end in after the limit: the notebook is saved, the kernel ends, the record is written.
GRACE_SECONDS = 300
# A clock that is a little fast must not make a run a day late.
_EARLY = timedelta(minutes=5)
# cron cuts or refuses longer commands.
_CRON_LONGEST = 990
_HOME = "/workbook"  # the checkout in the image of Cloud Run
_REPORTS = "/reports"


@dataclass(frozen=True)
class Schedule:
    """What runs when: `phases` (all that lead to a validated copy where none is named) every day at `hour`:`minute`.

    `zone` is a time zone's name, or empty for the machine's. `image`, `region` and `reports_share` (NFS, host:/path)
    are for Cloud Run.
    """

    settings: Settings
    params_file: Path
    reports: Path
    hour: int
    minute: int
    phases: tuple[str, ...] = ()
    limit: timedelta = timedelta(hours=6)
    zone: str = ""
    image: str = ""
    region: str = ""
    reports_share: str = ""

    @property
    def name(self) -> str:
        """The name of the unit, job or DAG."""
        return "-".join(["workbook", self.settings.environment, *(name.replace("_", "-") for name in self.phases)])[:63]

    @property
    def at(self) -> str:
        """The time of day, with the zone where one is named: what `run --due` takes."""
        return f"{self.hour:02}:{self.minute:02} {self.zone}".strip()

    @property
    def seconds(self) -> int:
        """The limit in seconds."""
        return int(self.limit.total_seconds())

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the params take secrets from."""
        found = re.findall(r'"env:([^"]+)"', json.dumps(self.settings.model_dump(mode="json")))
        return tuple(dict.fromkeys(found))

    def command(self, program: str, params_file: str, reports: str) -> list[str]:
        """The words of the run."""
        return [program, "run", *self.phases, "-p", params_file, "--reports", reports, "--due", self.at]

    def local_command(self) -> list[str]:
        """The words of the run on this machine, with absolute paths."""
        program = Path(sys.executable).with_name("workbook")
        return self.command(str(program), str(self.params_file.resolve()), str(self.reports))


def time_of_day(text: str) -> tuple[int, int]:
    """Hour and minute of HH:MM. Raises UsageError."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
    if not found:
        raise UsageError(
            f"{text!r} is no time of day.", "A schedule needs an hour and a minute.", "Write for example --at 02:00."
        )
    return int(found[1]), int(found[2])


def phase_names(names: Sequence[str]) -> list[str]:
    """The names as the order of phases has them. Raises UsageError for one that does not exist."""
    return [phase_named(name).name for name in names]


def time_limit(text: str) -> timedelta:
    """A limit such as 90m, 6h or 3600s. Raises UsageError for another form, and for a limit of a day or more."""
    found = re.fullmatch(r"(\d+)([smh])", text.strip())
    limit = timedelta(seconds=int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]) if found else timedelta()
    if not timedelta() < limit < timedelta(days=1):
        raise UsageError(
            f"{text!r} is no limit for a daily run.",
            "A run that hangs would keep every later night from running.",
            "Write for example --limit 6h; it must be less than 24h.",
        )
    return limit


def time_zone(name: str) -> str:
    """The name of a time zone, which may be empty. Raises UsageError where there is none of that name."""
    if name and name not in available_timezones():
        raise UsageError(
            f"There is no time zone {name!r}.",
            "The hour would be another one.",
            "Write for example --zone Europe/Vienna.",
        )
    return name


def due_before(text: str, moment: datetime) -> datetime:
    """When a run that starts at `moment` was due: the last time before it that the clock showed HH:MM [ZONE]."""
    clock, _, zone = text.strip().partition(" ")
    hour, minute = time_of_day(clock)
    here = moment.astimezone(ZoneInfo(time_zone(zone.strip())) if zone.strip() else None)
    due = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if due > here + _EARLY:
        # A day less by the calendar, so that the hour stays where clocks are put forward.
        day = here.date() - timedelta(days=1)
        due = due.replace(year=day.year, month=day.month, day=day.day)
        if not zone.strip():
            due = due.replace(tzinfo=None).astimezone()
    return due.astimezone(moment.tzinfo)


def crontab(schedule: Schedule) -> dict[str, str]:
    """The crontab line. The workbook itself lets one run of an environment through at a time, and records who had to go."""
    if schedule.zone:
        raise UsageError(
            f"cron knows no time zone {schedule.zone!r}, only the machine's.",
            "The run would begin at another hour.",
            "Leave --zone out and give the machine's hour, or take --as systemd.",
        )
    line = (
        f"cd {shlex.quote(str(schedule.reports))} && find . -maxdepth 1 -name cron.log -size +1024k -exec mv -f {{}} cron.log.1 \\; ;"
        f" timeout -k {GRACE_SECONDS} {schedule.seconds} {shlex.join(schedule.local_command())} >> cron.log 2>&1;"
        ' status=$?; echo "$(date -u +%FT%TZ) exit $status" >> cron.log'
    )
    # In a crontab a bare % ends the command.
    line = f"{schedule.minute} {schedule.hour} * * * {line.replace('%', chr(92) + '%')}"
    if len(line) > _CRON_LONGEST:
        raise UsageError(
            f"The line is {len(line)} characters long.",
            f"cron takes commands of about {_CRON_LONGEST}.",
            "Put params and reports where paths are shorter, or take --as systemd.",
        )
    return {"crontab": line + "\n"}


def systemd(schedule: Schedule) -> dict[str, str]:
    """A service and its timer; a night that the machine slept through is made up for. The journal keeps the log."""
    words = " ".join(_systemd_word(word) for word in schedule.local_command())
    service = f"""[Unit]
Description=Migration workbook, {schedule.settings.environment}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User={getpass.getuser()}
WorkingDirectory={_systemd_path(schedule.reports)}
# Passwords that the params take from env:, one NAME=value a line, readable by root alone.
EnvironmentFile=-/etc/workbook/{schedule.settings.environment}.env
ExecStart={words}
# At the limit the run is told to stop, writes its record and ends.
TimeoutStartSec={schedule.seconds}
TimeoutStopSec={GRACE_SECONDS}
KillMode=mixed
"""
    timer = f"""[Unit]
Description=Migration workbook, {schedule.settings.environment}, every day at {schedule.at}

[Timer]
OnCalendar=*-*-* {schedule.hour:02}:{schedule.minute:02}:00{f" {schedule.zone}" if schedule.zone else ""}
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{schedule.name}.service": service, f"{schedule.name}.timer": timer}


def cloud_run(schedule: Schedule) -> dict[str, str]:
    """A Cloud Run job, and the commands that make it and have Cloud Scheduler run it."""
    _require(schedule, image="--image", reports_share="--reports-share", region="--region")
    host, _, path = schedule.reports_share.partition(":")
    if not host or not path.startswith("/"):
        raise UsageError(
            f"{schedule.reports_share!r} is no NFS share.",
            "Reports and ledger must outlive the container, and SQLite needs a file system.",
            "Write host:/path, for example that of a Filestore share.",
        )
    project = schedule.settings.warehouse.project
    account = f"{schedule.name[:30].rstrip('-')}@{project}.iam.gserviceaccount.com"
    command = schedule.command("workbook", _in_image(schedule.params_file), _REPORTS)
    # Cloud Run itself leaves a task ten seconds to end; the limit is the run's own, and the job's comes after it.
    command = ["timeout", f"--kill-after={GRACE_SECONDS}", str(schedule.seconds), *command]
    container = {
        "image": schedule.image,
        "command": command[:1],
        "args": command[1:],
        "env": [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": name.lower().replace("_", "-"), "key": "latest"}}}
            for name in schedule.variables
        ],
        "resources": {"limits": {"cpu": "2", "memory": "4Gi"}},
        "volumeMounts": [{"name": "reports", "mountPath": _REPORTS}],
    }
    task = {
        "serviceAccountName": account,
        # Another try would begin where this one was killed without anybody having looked.
        "maxRetries": 0,
        "timeoutSeconds": str(schedule.seconds + 2 * GRACE_SECONDS),
        "containers": [{key: value for key, value in container.items() if value}],
        "volumes": [{"name": "reports", "nfs": {"server": host, "path": path}}],
    }
    job = {
        "apiVersion": "run.googleapis.com/v1",
        "kind": "Job",
        "metadata": {"name": schedule.name, "labels": {"cloud.googleapis.com/location": schedule.region}},
        "spec": {"template": {"spec": {"parallelism": 1, "taskCount": 1, "template": {"spec": task}}}},
    }
    words = {
        "schedule": f"{schedule.minute} {schedule.hour} * * *",
        "time-zone": schedule.zone or "Etc/UTC",
        "uri": f"https://run.googleapis.com/v2/projects/{project}/locations/{schedule.region}/jobs/{schedule.name}:run",
        "oauth-service-account-email": account,
    }
    options = "".join(f" \\\n  --{key}={shlex.quote(value)}" for key, value in words.items())
    place = f"--project={shlex.quote(project)}"
    region = shlex.quote(schedule.region)
    commands = f"""#!/bin/sh
# Makes the job and its trigger every day at {schedule.at}, or brings both up to date.
# The account {account} needs roles/run.invoker on the job, and what params/README.md lists.
set -eu
gcloud run jobs replace {schedule.name}.yaml --region={region} {place}
trigger() {{
gcloud scheduler jobs "$1" http {schedule.name} --location={region} {place} --http-method=POST{options}
}}
trigger update || trigger create
"""
    return {
        f"{schedule.name}.yaml": yaml.safe_dump(job, sort_keys=False, allow_unicode=True),
        f"{schedule.name}.sh": commands,
    }


def composer(schedule: Schedule) -> dict[str, str]:
    """A DAG for Composer that runs the Cloud Run job of the same name (--as cloud-run makes it)."""
    _require(schedule, region="--region")
    project, region = schedule.settings.warehouse.project, schedule.region
    dag = f'''"""The nightly run of the migration workbook in the environment {schedule.settings.environment}, as a Cloud Run job."""

from datetime import timedelta

import pendulum
from airflow import DAG
from airflow.providers.google.cloud.operators.cloud_run import CloudRunExecuteJobOperator

with DAG(
    dag_id={schedule.name!r},
    schedule={f"{schedule.minute} {schedule.hour} * * *"!r},
    start_date=pendulum.datetime(2025, 1, 1, tz={(schedule.zone or "UTC")!r}),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(seconds={schedule.seconds + 3 * GRACE_SECONDS}),
    tags=["workbook", {schedule.settings.environment!r}],
) as dag:
    # The job's own limit ends it and leaves its record. No other try: a night that failed is looked at first.
    CloudRunExecuteJobOperator(
        task_id="run",
        project_id={project!r},
        region={region!r},
        job_name={schedule.name!r},
        retries=0,
        deferrable=True,
    )
'''
    return {f"{schedule.name.replace('-', '_')}.py": dag}


FORMS: Mapping[str, Callable[[Schedule], dict[str, str]]] = {
    "cron": crontab,
    "systemd": systemd,
    "cloud-run": cloud_run,
    "composer": composer,
}


def render(schedule: Schedule, form: str) -> dict[str, str]:
    """The files of a schedule by their names. Raises UsageError for a form that does not exist or lacks an option."""
    if form not in FORMS:
        raise UsageError(
            f"There is no schedule as {form!r}.", "Nothing was made.", f"Write one of: {', '.join(FORMS)}."
        )
    return FORMS[form](schedule)


def _require(schedule: Schedule, **options: str) -> None:
    missing = [option for field, option in options.items() if not getattr(schedule, field)]
    if missing:
        raise UsageError(
            f"The schedule lacks {', '.join(missing)}.",
            "Where the job runs, from which image, and where its reports stay, is not to be guessed.",
            "See workbook schedule --help.",
        )


def _in_image(params_file: Path) -> str:
    path = params_file.resolve()
    if not path.is_relative_to(CHECKOUT):
        raise UsageError(
            f"The params file {params_file} is not in the checkout.",
            f"The image holds the checkout in {_HOME}, and nothing beside it.",
            "Put it under params/, without passwords in it.",
        )
    return f"{_HOME}/{path.relative_to(CHECKOUT).as_posix()}"


def _systemd_word(word: str) -> str:
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if re.search(r"[^\w@%+=:,./-]", word) else word


def _systemd_path(path: Path) -> str:
    return str(path).replace("%", "%%")
