"""All runs of a reports folder, and what earlier builds have found in their large files, which are not read again."""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbook.site import shell, signatures
from workbook.site.runs import Run, Validation, number, read, words
from workbook.site.signatures import Signed

# More tables than this that are not "same" are counted, not named.
_NAMED_TABLES = 300
_FILE = "runs.json"
_PLAIN = re.compile(r"[a-z0-9-]+")
# What an earlier version kept.
_OUTDATED = "validations.json"


class Memory:
    """What is remembered of runs by their folder's name: of each file its stamp and what was found in it."""

    def __init__(self, path: Path | None = None):
        self._path = path
        self._known = self._load()
        self._written = json.dumps(self._known)

    def of(self, path: Path, find: Callable[[Path], Any]) -> Any:
        """What `find` finds in a file, from memory where the file was not touched; None where it is not there or is broken."""
        try:
            state = path.stat()
        except OSError:
            return None
        # The time of the last change of the entry itself is not set back by those who set the other one back.
        stamp = [state.st_mtime_ns, state.st_ctime_ns, state.st_size]
        files = self._known.setdefault(path.parent.name, {})
        about = f"{path.name} {find.__name__}"
        kept = files.get(about)
        if not (isinstance(kept, list) and len(kept) == 2 and kept[0] == stamp):
            try:
                kept = [stamp, find(path)]
            except (OSError, ValueError, TypeError, AttributeError, RecursionError):
                # The run's own page says that its phase has no result; the index goes on without.
                return None
            files[about] = kept
        return kept[1]

    def shown(self, name: str, state: str) -> bool:
        """Whether the page of a run, or of that name, was made for this state already; from now on it counts as made."""
        files = self._known.setdefault(name, {})
        before, files["shown"] = files.get("shown"), state
        return bool(before == state)

    def save(self, names: set[str]) -> None:
        """Write it down, without the runs and pages that are gone."""
        self._known = {name: files for name, files in self._known.items() if name in names}
        text = json.dumps(self._known, separators=(",", ":"))
        if self._path is not None and text != self._written:
            shell.write(self._path, text)
            (self._path.parent / _OUTDATED).unlink(missing_ok=True)

    def _load(self) -> dict[str, dict[str, Any]]:
        try:
            known = json.loads(self._path.read_bytes()) if self._path else {}
        except (OSError, ValueError):
            known = {}
        if not isinstance(known, dict):
            return {}
        return {name: files for name, files in known.items() if isinstance(files, dict)}


def remembered(reports: Path) -> Memory:
    """The memory of a reports folder."""
    return Memory(reports / "assets" / _FILE)


def read_all(reports: Path, memory: Memory | None = None) -> list[Run]:
    """Every run under `reports`, oldest first; a run whose record is broken is among them and says so."""
    memory = memory or Memory()
    found = [
        read_run(path.parent, memory) for path in reports.glob("*/run.json") if not path.parent.name.startswith(".")
    ]
    return sorted(found, key=lambda run: run.order)


def read_run(folder: Path, memory: Memory | None = None) -> Run:
    """The run of a folder."""
    memory = memory or Memory()
    try:
        record = json.loads((folder / "run.json").read_bytes())
        signed = (
            signatures.read(folder, lambda path: str(memory.of(path, signatures.digest) or ""))
            if _signed(folder)
            else Signed()
        )
        made = read(record, folder, _validation(memory.of(folder / "validate.json", _summary)), signed)
    except FileNotFoundError:
        return Run(folder.name, folder.name, broken="The folder holds no run.json.")
    except (OSError, ValueError, RecursionError) as error:
        return Run(folder.name, folder.name, broken=f"run.json cannot be read: {error}")
    loaded, lag = memory.of(folder / "bulk_load.json", _loaded), memory.of(folder / "cdc.json", _lag)
    return made.measured(loaded, lag)


def run_before(run: Run, reports: Path) -> Run | None:
    """The run before of the same environment: by the names of the folders, so that no more are read than need be."""
    names = (entry.name for entry in os.scandir(reports) if not entry.name.startswith("."))
    for name in sorted((name for name in names if name < run.folder), reverse=True):
        # The name of one environment may end as another's does, so the record decides; most are passed over unread.
        if _PLAIN.fullmatch(run.environment) and f"-{run.environment}-" not in name:
            continue
        other = read_run(reports / name)
        if not other.broken and other.environment == run.environment:
            return other
    return None


def _signed(folder: Path) -> bool:
    return (folder / signatures.FILE).is_file()


def _validation(kept: Mapping[str, Any] | None) -> Validation | None:
    if kept is None:
        return None
    return Validation(
        kept["verdict"],
        kept["tables"],
        kept["unlike"],
        {hop: (rows[0], rows[1]) for hop, rows in kept["rows"].items()},
        kept["unlike_count"],
        kept["similarity"],
    )


def _summary(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_bytes())
    unlike: dict[str, str] = {}
    rows: dict[str, list[int]] = {}
    alike: dict[str, list[float]] = {}
    count = 0
    tables = record.get("tables") or []
    for table in tables:
        hop = words(table.get("hop")).replace("-", " → ")
        here, there = int(table.get("rows_source") or 0), int(table.get("rows_target") or 0)
        total = rows.setdefault(hop, [0, 0])
        total[0] += here
        total[1] += there
        if (share := number(table.get("similarity"))) is not None and here + there:
            sums = alike.setdefault(hop, [0.0, 0.0])
            sums[0] += share * (here + there)
            sums[1] += here + there
        if table.get("verdict") != "same":
            count += 1
            if len(unlike) < _NAMED_TABLES:
                name = f"{words(table.get('database'))}.{words(table.get('table'))} ({hop})"
                unlike[name] = words(table.get("verdict"))
    return {
        "verdict": words(record.get("verdict")),
        "tables": len(tables),
        "unlike": unlike,
        "rows": rows,
        "unlike_count": count,
        "similarity": {hop: sums[0] / sums[1] for hop, sums in alike.items()},
    }


def _loaded(path: Path) -> int | None:
    rows = number(json.loads(path.read_bytes()).get("rows"))
    return None if rows is None else int(rows)


def _lag(path: Path) -> float | None:
    """The greatest lag in what a following process has noted, or the lag at its end."""
    status = json.loads(path.read_bytes()).get("status") or {}
    points = [number(point[1]) for point in status.get("history") or []]
    known = [point for point in (*points, number(status.get("lag_seconds"))) if point is not None]
    return max(known, default=None)
