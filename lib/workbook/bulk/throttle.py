"""Holding the load back: a limit in MB/s, a pause while the source is busy or a replica lags, changed while it runs.

The limits stand in the params; a file laid beside them changes them while a load runs. It holds any of the keys of
`LIMITS`, as YAML; what it does not hold is as in the params, and taking it away brings the params back.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from workbook.errors import TransientError, WorkbookError
from workbook.params import Settings
from workbook.servers import Server

_LOOK_SECONDS = 1.0
LIMITS = {
    "limit_mb_s": "MB/s of all workers together",
    "max_threads_running": "pause while more threads than this run on the source, our own workers among them",
    "max_replica_lag_s": "pause while the replica is further behind than this, or stands still",
    "pause": "true: pause until it is false or gone",
}


@dataclass(frozen=True)
class Change:
    """A change of the throttle: when (Unix seconds), the limit in MB/s (None: no limit, 0: paused), and why."""

    at: float
    limit_mb_s: float | None
    why: str


def throttle_file(settings: Settings) -> Path:
    """The file that changes the limits of a running load: `bulk.throttle_file`, or ENVIRONMENT.throttle.yaml beside the params."""
    name = settings.bulk.throttle_file or f"{settings.environment}.throttle.yaml"
    return (settings.folder / name).resolve()


def parsed(text: str) -> dict[str, float | None]:
    """The limits of a throttle file. Raises ValueError that says what is wrong."""
    content = yaml.safe_load(text) or {}
    if not isinstance(content, dict):
        raise ValueError("it holds no keys")
    for key, value in content.items():
        if key not in LIMITS:
            raise ValueError(f"unknown key {key!r}; it knows {', '.join(LIMITS)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good = isinstance(value, bool) if key == "pause" else value is None or (number and value >= 0)
        if not good:
            raise ValueError(f"{key} is {value!r}")
    return content


class Throttle:
    """Looks once a second at the file, the source and the replica, and tells the crew what pace it may keep.

    `hold_to` takes bytes a second, 0 for a pause, None for no limit; `say` takes a line for the log.
    """

    def __init__(
        self,
        settings: Settings,
        source: Server,
        replica: Server | None,
        hold_to: Callable[[float | None], None],
        say: Callable[[str], None],
    ):
        self.file = throttle_file(settings)
        self.changes: list[Change] = []
        self._params = {key: getattr(settings.bulk, key) for key in LIMITS if key != "pause"}
        self._limits: Mapping[str, Any] = self._params
        self._read: tuple[float, int] | None = None
        self._source, self._replica = source, replica
        self._hold_to, self._say = hold_to, say
        self._looked = 0.0
        self._now: tuple[float | None, str] = (None, "")

    def beat(self) -> None:
        """Look, where the last look is long enough ago."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._read_file()
        reason = self._reason_to_pause()
        limit = self._limits.get("limit_mb_s")
        wanted = (0.0, reason) if reason else (limit, "" if limit is None else f"held to {limit:g} MB/s")
        if wanted != self._now:
            self._now = wanted
            rate, why = wanted
            self.changes.append(Change(time.time(), rate, why or "no limit"))
            self._say(f"Throttle: {why or 'no limit'}")
            self._hold_to(None if rate is None else rate * 1e6)
        self._looked = time.monotonic()

    def _read_file(self) -> None:
        try:
            state = self.file.stat()
            mark = (state.st_mtime_ns, state.st_size)
            if mark == self._read:
                return
            self._read = mark
            self._limits = {**self._params, **parsed(self.file.read_text(encoding="utf-8"))}
        except FileNotFoundError:
            self._read, self._limits = None, self._params
        except (OSError, ValueError, yaml.YAMLError) as error:
            # A slip of the pen must not stop a load, nor set it free.
            self._say(f"Throttle: {self.file.name} is passed over, the limits stay: {str(error).splitlines()[0]}")

    def _reason_to_pause(self) -> str:
        if self._limits.get("pause"):
            return f"paused by {self.file.name}"
        try:
            most = self._limits.get("max_threads_running")
            if most is not None:
                row = self._source.rows("SHOW GLOBAL STATUS LIKE 'Threads_running'")[0]
                if (running := int(row["Value"])) > most:
                    return f"paused: {running} threads run on the source, more than {most:g}"
            longest = self._limits.get("max_replica_lag_s")
            if longest is not None:
                lag = replica_lag(self._replica or self._source)
                if lag == float("inf"):
                    return "paused: replication stands still"
                if lag is not None and lag > longest:
                    return f"paused: the replica is {lag:g} s behind, more than {longest:g}"
        except TransientError as error:
            # What is lost will be noticed where rows are read and written.
            self._say(f"Throttle: could not look: {error.found}")
            return self._now[1] if self._now[0] == 0 else ""
        return ""


def replica_lag(server: Server) -> float | None:
    """Seconds that a replica is behind; infinite where it stands still, None where the server is no replica."""
    rows: list[dict[str, Any]] = []
    for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
        try:
            rows = server.rows(statement)
            break
        except TransientError:
            raise
        except WorkbookError:  # the name of another version
            continue
    if not rows:
        return float("inf") if server.role == "replica" else None
    behind = rows[0].get("Seconds_Behind_Source", rows[0].get("Seconds_Behind_Master"))
    return float("inf") if behind is None else float(behind)
