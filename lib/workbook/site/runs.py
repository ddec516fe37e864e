"""Runs as their folders tell them, and what differs from one to the next."""

import datetime
import math
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbook.faces import human_seconds
from workbook.site import signatures
from workbook.site.signatures import Signed


@dataclass(frozen=True)
class Phase:
    """One phase of a run; `page`, `notebook` and `result` are names of files in the run's folder that exist."""

    name: str
    status: str
    verdict: str
    seconds: float | None
    page: str | None = None
    notebook: str | None = None
    result: str | None = None
    error: tuple[str, str, str] | None = None

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def says(self) -> str:
        """The word that tells most about the phase: its verdict, or its status where that is bad or is all there is."""
        return self.verdict if self.verdict and self.status in ("", "ok", "failed") else self.status or "unknown"


@dataclass(frozen=True)
class Validation:
    """What validate.json says, in short: `unlike` names the tables that are not the same, by hop.

    `similarity` is, by hop, the share of rows that are alike, over the tables of which it is known.
    """

    verdict: str
    tables: int
    unlike: Mapping[str, str]
    rows: Mapping[str, tuple[int, int]]
    unlike_count: int
    similarity: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run; `broken` says why its record could not be read, and is empty where it could."""

    folder: str
    run_id: str
    environment: str = ""
    status: str = "broken"
    started: datetime.datetime | None = None
    seconds: float | None = None
    git_commit: str = ""
    params_sha256: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    validation: Validation | None = None
    broken: str = ""
    signed: Signed = field(default_factory=Signed)
    error: tuple[str, str, str] | None = None
    late_seconds: float = 0.0
    rows_loaded: int | None = None
    lag_seconds: float | None = None

    @property
    def good(self) -> bool:
        return self.status == "ok"

    def measured(self, rows_loaded: int | None, lag_seconds: float | None) -> "Run":
        """The same with what its results hold."""
        return replace(self, rows_loaded=rows_loaded, lag_seconds=lag_seconds)

    @property
    def late(self) -> bool:
        """Whether it began later than its schedule wanted, by more than a schedule may take."""
        return self.late_seconds >= 300

    @property
    def order(self) -> tuple[str, str]:
        """Sorts runs by their start; the folder's name begins with it too."""
        return (self.started.strftime("%Y%m%dT%H%M%S") if self.started else self.folder[:15].rstrip("Z"), self.folder)


@dataclass(frozen=True)
class Change:
    """One thing that differs from the run before: `before` and `now` are verdicts where `is_verdict`."""

    subject: str
    before: str
    now: str
    is_verdict: bool = False
    detail: str = ""


def read(
    record: Mapping[str, Any], folder: Path, validation: Validation | None = None, signed: Signed | None = None
) -> Run:
    """The run that `record` (the content of run.json) tells of, in `folder`. Raises ValueError for what is no record."""
    if not isinstance(record, Mapping):
        raise ValueError("it holds no object")
    phases = record.get("phases", [])
    if not isinstance(phases, list) or not all(isinstance(phase, Mapping) for phase in phases):
        raise ValueError('its "phases" are no list of objects')
    started, ended = _instant(record.get("started")), _instant(record.get("ended"))
    versions = record.get("versions")
    there = _files(folder)
    return Run(
        folder=folder.name,
        run_id=words(record.get("run_id")) or folder.name,
        environment=words(record.get("environment")) or "unnamed",
        status=words(record.get("status")) or "unknown",
        started=started,
        seconds=(ended - started).total_seconds() if started and ended else None,
        git_commit=words(record.get("git_commit")),
        params_sha256=words(record.get("params_sha256")),
        versions={str(name): words(version) for name, version in versions.items()}
        if isinstance(versions, Mapping)
        else {},
        phases=tuple(_phase(phase, there) for phase in phases),
        validation=validation,
        signed=signatures.read(folder) if signed is None else signed,
        error=_error(record.get("error")),
        late_seconds=number(record.get("late_seconds")) or 0.0,
    )


def before(runs: Iterable[Run]) -> dict[str, Run]:
    """For the folder of each of `runs`, given oldest first, the run before it of the same environment."""
    found: dict[str, Run] = {}
    latest: dict[str, Run] = {}
    for run in runs:
        if not run.broken:
            if run.environment in latest:
                found[run.folder] = latest[run.environment]
            latest[run.environment] = run
    return found


def changes(then: Run, now: Run) -> list[Change]:
    """What differs in `now` from `then`: phases, tables, rows, duration."""
    found = []
    earlier = {phase.name: phase for phase in then.phases}
    for phase in now.phases:
        known = earlier.get(phase.name)
        if known and known.says != phase.says:
            found.append(Change(phase.label, known.says, phase.says, is_verdict=True))
    if then.validation and now.validation:
        found += _validation_changes(then.validation, now.validation)
    if then.seconds and now.seconds and abs(now.seconds - then.seconds) > max(1.0, 0.2 * then.seconds):
        ratio = now.seconds / then.seconds
        # A run of other phases takes another time: that says nothing.
        if [phase.name for phase in then.phases] == [phase.name for phase in now.phases]:
            speed = f"{ratio:.1f} times as long" if ratio > 1 else f"{ratio:.0%} of the time"
            found.append(Change("duration", human_seconds(then.seconds), human_seconds(now.seconds), detail=speed))
    return found


def _validation_changes(then: Validation, now: Validation) -> list[Change]:
    found = [
        Change(table, then.unlike.get(table, "same"), now.unlike.get(table, "same"), is_verdict=True)
        for table in sorted(set(then.unlike) | set(now.unlike))
        if then.unlike.get(table, "same") != now.unlike.get(table, "same")
    ]
    if then.tables != now.tables:
        found.append(Change("tables compared", f"{then.tables:,}", f"{now.tables:,}"))
    for hop, (rows, _) in now.rows.items():
        if hop in then.rows and then.rows[hop][0] != rows:
            earlier = then.rows[hop][0]
            found.append(Change(f"rows, {hop}", f"{earlier:,}", f"{rows:,}", detail=f"{rows - earlier:+,}"))
    return found


def _phase(record: Mapping[str, Any], there: Collection[str]) -> Phase:
    return Phase(
        name=words(record.get("name")) or "unnamed",
        status=words(record.get("status")),
        verdict=words(record.get("verdict")),
        seconds=number(record.get("seconds")),
        page=_file(record.get("html"), there),
        notebook=_file(record.get("notebook"), there),
        result=_file(record.get("result"), there),
        error=_error(record.get("error")),
    )


def _error(record: object) -> tuple[str, str, str] | None:
    if not isinstance(record, Mapping):
        return None
    return words(record.get("found")), words(record.get("why")), words(record.get("todo"))


def number(value: object) -> float | None:
    """A finite number, or None."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def _file(name: object, there: Collection[str]) -> str | None:
    """The name of a file in the run's folder; a record must not lead a reader anywhere else."""
    if not isinstance(name, str):
        return None
    last = name.rpartition("/")[2]
    return last if last in there else None


def _instant(text: object) -> datetime.datetime | None:
    try:
        instant = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return instant.astimezone(datetime.UTC) if instant.tzinfo else instant.replace(tzinfo=datetime.UTC)


def words(value: object) -> str:
    """A value as text; empty for none."""
    return "" if value is None else str(value)
