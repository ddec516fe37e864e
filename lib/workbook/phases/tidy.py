"""Letting old runs and restore points go: what is kept, and why, is decided first; then the folders and entries go."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from workbook.errors import UsageError
from workbook.params import Settings
from workbook.phases.context import GOOD
from workbook.phases.ledger import Ledger, reports_folder
from workbook.phases.order import PHASES
from workbook.site.signatures import FILE as SIGNATURES

# A run without an end that is younger may be a notebook in which somebody works.
_UNDER_WAY = timedelta(days=1)
_STAMP = "%Y%m%dT%H%M%SZ"
# A folder that is being taken away; the index does not look into those that begin with a dot.
_GOING = ".going-"


@dataclass(frozen=True)
class OldRun:
    """A run as its folder tells."""

    folder: Path
    started: datetime
    record: dict[str, Any]


@dataclass(frozen=True)
class Tidying:
    """Which runs of an environment go, and which old ones stay, with why."""

    going: tuple[Path, ...]
    staying: tuple[tuple[Path, str], ...]


def plan_tidying(settings: Settings, at: datetime) -> Tidying:
    """What goes by the params' `retention` at that moment; nothing where it is not set."""
    retention = settings.retention
    if retention.runs is None and retention.days is None:
        return Tidying((), ())
    runs = _runs(settings)
    needed = _needed(runs, Ledger(settings.environment), at)
    going, staying = [], []
    for place, run in enumerate(runs):
        if retention.runs is not None and place < retention.runs:
            continue
        if retention.days is not None and at - run.started < timedelta(days=retention.days):
            continue
        if run.folder.name in needed:
            staying.append((run.folder, needed[run.folder.name]))
        else:
            going.append(run.folder)
    return Tidying(tuple(going), tuple(staying))


def tidy(settings: Settings, say: Callable[[str], None]) -> Tidying:
    """Let go what `plan_tidying` names, and the ledger's entries of those runs that no rollback needs any more.

    The caller holds the lock of the environment. Raises OSError where a folder cannot be removed.
    """
    reports = reports_folder()
    for left in reports.glob(f"{_GOING}*-{settings.environment}-????"):
        shutil.rmtree(left)
    found = plan_tidying(settings, datetime.now(UTC))
    for folder in found.going:
        # Gone at once for whoever reads; a kill on the way leaves nothing that looks like a run.
        hidden = folder.with_name(_GOING + folder.name)
        folder.rename(hidden)
        shutil.rmtree(hidden)
    if found.going:
        kept = settings.bulk.keep_copies + 2
        entries = Ledger(settings.environment).forget([folder.name for folder in found.going], kept)
        say(f"Let go: {len(found.going)} old runs, {entries} entries of the ledger")
    return found


def print_tidying(settings: Settings) -> None:
    """Print what would go, and the old runs that stay with why. Raises UsageError where the params keep all."""
    if settings.retention.runs is None and settings.retention.days is None:
        raise UsageError(
            "The params keep every run.",
            "There is nothing to let go.",
            "Set retention.runs or retention.days, here or with --set retention.runs=30.",
        )
    found = plan_tidying(settings, datetime.now(UTC))
    console = Console()
    for folder, why in found.staying:
        console.print(escape(f"stays  {folder.name}: {why}"))
    for folder in found.going:
        console.print(escape(f"goes   {folder.name}"))
    console.print(f"{len(found.going)} runs would go; --yes lets them.")


def _runs(settings: Settings) -> list[OldRun]:
    """The runs of the environment, latest first; a folder whose record cannot be read is nobody's, and left alone."""
    found = []
    for path in reports_folder().glob(f"*-{settings.environment}-????/run.json"):
        try:
            record = json.loads(path.read_bytes())
            started = datetime.strptime(path.parent.name.split("-")[0], _STAMP).replace(tzinfo=UTC)
            # The name of one environment may end as another's does.
            if record["environment"] == settings.environment and isinstance(record["phases"], list):
                found.append(OldRun(path.parent, started, record))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda run: run.folder.name, reverse=True)


def _needed(runs: Sequence[OldRun], ledger: Ledger, at: datetime) -> dict[str, str]:
    """The runs that stay however old they are, each with why."""
    found: dict[str, str] = {}

    def keep(run: OldRun | None, why: str) -> None:
        if run is not None:
            found.setdefault(run.folder.name, why)

    keep(next((run for run in runs if run.record.get("status") == "ok"), None), "the latest good run")
    for kind in PHASES:
        latest = [run for run in runs if (run.folder / f"{kind.name}.json").exists()]
        keep(next(iter(latest), None), f"the latest result of {kind.name}")
        keep(next((run for run in latest if _verdict(run, kind.name) in GOOD), None), f"the latest good {kind.name}")
    referred = ledger.referred([run.folder.name for run in runs])
    for run in runs:
        if (run.folder / SIGNATURES).exists() or ledger.signatures(run.folder.name):
            keep(run, "it is signed")
        if run.folder.name in referred:
            keep(run, "the ledger refers to it")
        if run.record.get("ended") is None and at - run.started < _UNDER_WAY:
            keep(run, "it may be under way")
    return found


def _verdict(run: OldRun, phase: str) -> Any:
    return next((item.get("verdict") for item in run.record["phases"] if item.get("name") == phase), None)
