"""Runs as their folders tell them, and what differs from one to the next."""

import datetime
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbook.faces import human_seconds
from workbook.site import signatures
from workbook.site.signatures import Signed

# More tables than this that are not "same" are counted, not named.
_NAMED_TABLES = 300


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
    """What validate.json says, in short: `unlike` names the tables that are not the same, by hop."""

    verdict: str
    tables: int
    unlike: Mapping[str, str]
    rows: Mapping[str, tuple[int, int]]
    unlike_count: int


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

    @property
    def good(self) -> bool:
        return self.status == "ok"

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


def read(record: Mapping[str, Any], folder: Path, validation: Validation | None = None) -> Run:
    """The run that `record` (the content of run.json) tells of, in `folder`. Raises ValueError for what is no record."""
    if not isinstance(record, Mapping):
        raise ValueError("it holds no object")
    phases = record.get("phases", [])
    if not isinstance(phases, list) or not all(isinstance(phase, Mapping) for phase in phases):
        raise ValueError('its "phases" are no list of objects')
    started, ended = _instant(record.get("started")), _instant(record.get("ended"))
    versions = record.get("versions")
    return Run(
        folder=folder.name,
        run_id=_words(record.get("run_id")) or folder.name,
        environment=_words(record.get("environment")) or "unnamed",
        status=_words(record.get("status")) or "unknown",
        started=started,
        seconds=(ended - started).total_seconds() if started and ended else None,
        git_commit=_words(record.get("git_commit")),
        params_sha256=_words(record.get("params_sha256")),
        versions={str(name): _words(version) for name, version in versions.items()}
        if isinstance(versions, Mapping)
        else {},
        phases=tuple(_phase(phase, folder) for phase in phases),
        validation=validation,
        signed=signatures.read(folder),
        error=_error(record.get("error")),
        late_seconds=_number(record.get("late_seconds")) or 0.0,
    )


def read_all(reports: Path, remembered: dict[str, Any]) -> list[Run]:
    """Every run under `reports`, oldest first; a run whose record is broken is among them and says so.

    `remembered` holds what an earlier call found in the (large) validation results, and is brought up to date.
    """
    found = []
    seen = set()
    for path in sorted(reports.glob("*/run.json")):
        folder = path.parent
        if folder.name.startswith("."):
            continue
        seen.add(folder.name)
        try:
            found.append(read(json.loads(path.read_bytes()), folder, _remembered(folder, remembered)))
        except (OSError, ValueError, RecursionError) as error:
            found.append(Run(folder.name, folder.name, broken=f"run.json cannot be read: {error}"))
    for gone in set(remembered) - seen:
        del remembered[gone]
    return sorted(found, key=lambda run: run.order)


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


def _phase(record: Mapping[str, Any], folder: Path) -> Phase:
    return Phase(
        name=_words(record.get("name")) or "unnamed",
        status=_words(record.get("status")),
        verdict=_words(record.get("verdict")),
        seconds=_number(record.get("seconds")),
        page=_file(record.get("html"), folder),
        notebook=_file(record.get("notebook"), folder),
        result=_file(record.get("result"), folder),
        error=_error(record.get("error")),
    )


def _error(record: object) -> tuple[str, str, str] | None:
    if not isinstance(record, Mapping):
        return None
    return _words(record.get("found")), _words(record.get("why")), _words(record.get("todo"))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _file(name: object, folder: Path) -> str | None:
    """The name of a file in the run's folder; a record must not lead a reader anywhere else."""
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    last = Path(name).name
    return last if last and (folder / last).is_file() else None


def _remembered(folder: Path, remembered: dict[str, Any]) -> Validation | None:
    path = folder / "validate.json"
    try:
        state = path.stat()
    except OSError:
        remembered.pop(folder.name, None)
        return None
    stamp = [state.st_mtime_ns, state.st_size]
    kept = remembered.get(folder.name)
    if not isinstance(kept, dict) or kept.get("stamp") != stamp:
        try:
            kept = {"stamp": stamp, **_summary(json.loads(path.read_bytes()))}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            # The run's own page says that its phase has no result; the index goes on without.
            return None
        remembered[folder.name] = kept
    return Validation(
        kept["verdict"],
        kept["tables"],
        kept["unlike"],
        {hop: (rows[0], rows[1]) for hop, rows in kept["rows"].items()},
        kept["unlike_count"],
    )


def _summary(record: Mapping[str, Any]) -> dict[str, Any]:
    unlike: dict[str, str] = {}
    rows: dict[str, list[int]] = {}
    count = 0
    tables = record.get("tables") or []
    for table in tables:
        hop = _words(table.get("hop")).replace("-", " → ")
        total = rows.setdefault(hop, [0, 0])
        total[0] += int(table.get("rows_source") or 0)
        total[1] += int(table.get("rows_target") or 0)
        if table.get("verdict") != "same":
            count += 1
            if len(unlike) < _NAMED_TABLES:
                unlike[f"{_words(table.get('database'))}.{_words(table.get('table'))} ({hop})"] = _words(
                    table.get("verdict")
                )
    return {
        "verdict": _words(record.get("verdict")),
        "tables": len(tables),
        "unlike": unlike,
        "rows": rows,
        "unlike_count": count,
    }


def _instant(text: object) -> datetime.datetime | None:
    try:
        instant = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return instant.astimezone(datetime.UTC) if instant.tzinfo else instant.replace(tzinfo=datetime.UTC)


def _words(value: object) -> str:
    return "" if value is None else str(value)
