"""How the stream stands: lag split by its stretches, pace, dead letters; written each second for others to read."""

import json
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbook import faces
from workbook.cdc.apply import Outcome
from workbook.cdc.change import Change
from workbook.cdc.ledger import Position, Stopped
from workbook.cdc.merge_result import WarehouseStatus

_POINTS = 900
_STILL_SECONDS = 10.0


@dataclass(frozen=True)
class Status:
    """The stream at one moment. `state`: running, stopped, failed, or none where it was never begun.

    Lag is in seconds: as a whole, from the source's commit to the engine, and from there to the target's commit.
    """

    state: str
    caught_up: bool
    lag_seconds: float | None
    applied: int
    stale: int
    dead: int
    position: Mapping[str, Any]
    reason: str = ""
    lag_source: float = 0.0
    lag_target: float = 0.0
    pace: float = 0.0  # changes a second
    behind: str = ""  # GTIDs that the source has executed and the target not
    binlog_seconds: int = 0  # how long the source keeps its binlog; 0 for ever
    stopped_tables: tuple[Mapping[str, str], ...] = ()
    history: tuple[tuple[float, float, float], ...] = field(default=(), repr=False)  # Unix seconds, lag, pace
    warehouse: WarehouseStatus | None = None  # where changes go on into it

    def troubles(self, max_lag: float) -> tuple[str, ...]:
        """What is not as it should be, in words."""
        found = []
        if self.state != "running":
            found.append(f"it is {self.state}" + (f": {self.reason}" if self.reason else ""))
        if self.lag_seconds is not None and self.lag_seconds > max_lag:
            found.append(f"it is {self.lag_seconds:,.1f} s behind, and {max_lag:,.0f} are allowed")
        if self.dead:
            found.append(f"{self.dead} dead letters wait: workbook cdc dead-letters -p FILE")
        found += [f"{item['table']} is not followed: {item['reason']}" for item in self.stopped_tables]
        if self.warehouse and self.warehouse.failure:
            found.append(f"the last merge into the warehouse failed: {self.warehouse.failure}")
        return tuple(found)

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def prometheus(self, stream: str) -> str:
        """The status in the text form that Prometheus reads."""
        label = f'{{stream="{stream}"}}'
        lines = []
        for name, kind, text, value in (
            ("up", "gauge", "Whether the stream runs", int(self.state == "running")),
            ("caught_up", "gauge", "Whether the target has all that the source has", int(self.caught_up)),
            ("lag_seconds", "gauge", "How far the target is behind", self.lag_seconds),
            ("lag_source_seconds", "gauge", "From the source's commit to the engine", self.lag_source),
            ("lag_target_seconds", "gauge", "From the engine to the target's commit", self.lag_target),
            ("applied_total", "counter", "Changes applied", self.applied),
            ("stale_total", "counter", "Changes that came again", self.stale),
            ("dead_letters", "gauge", "Changes that the target refused", self.dead),
            ("stopped_tables", "gauge", "Tables that are not followed any more", len(self.stopped_tables)),
        ):
            if value is not None:
                lines += [f"# HELP workbook_cdc_{name} {text}", f"# TYPE workbook_cdc_{name} {kind}"]
                lines.append(f"workbook_cdc_{name}{label} {value}")
        return "\n".join(lines) + "\n"

    def _repr_html_(self) -> str:
        lag = "unknown" if self.lag_seconds is None else faces.human_seconds(self.lag_seconds)
        return faces.stack(
            faces.boxes(
                ("Stream", faces.badge(self.state)),
                ("Caught up", faces.badge("yes" if self.caught_up else "no")),
                ("Lag", lag),
                ("Changes applied", f"{self.applied:,}"),
                ("Came again (stale)", f"{self.stale:,}"),
                ("Dead letters", f"{self.dead:,}"),
                ("At", f"{self.position.get('file')}:{self.position.get('pos')}"),
                *((("Warehouse behind", faces.human_seconds(self.warehouse.lag_seconds)),) if self.warehouse else ()),
            ),
            faces.text(self.reason) if self.reason else None,
            faces.table(
                [dict(item) for item in self.stopped_tables],
                {"table": "Table", "reason": "Why it is not followed any more"},
                caption="Tables that stand still",
            )
            if self.stopped_tables
            else None,
        )


class Report:
    """What the running stream knows of itself; `write` puts it where `workbook cdc status` looks."""

    def __init__(self, folder: Path, stream: str):
        self._folder, self._stream = folder, stream
        self._points: deque[tuple[float, float, float]] = deque(maxlen=_POINTS)
        self._recent: deque[tuple[float, int]] = deque(maxlen=200)
        self._state, self._reason = "running", ""
        self._position = Position()
        self._dead = 0
        self._stopped: tuple[Stopped, ...] = ()
        self._behind, self._kept = "unknown", 0
        self._behind_since = self._heard_since = 0.0
        self._lags = (0.0, 0.0)
        self._place: tuple[Any, ...] = ()
        self._message: tuple[Any, ...] | None = None  # over Pub/Sub: the last one applied
        self._beats = 0  # how often the engine of now was heard again at the same place
        self._last_at = 0.0
        self.outcome = Outcome()
        self.caught_up = False
        self.engines: list[int] = []

    def started(self, pid: int) -> None:
        """An engine was started."""
        self.engines.append(pid)
        self._place, self._message, self._beats = (), None, 0
        self.write()

    def tables(self, stopped: Sequence[Stopped], dead: int, position: Position) -> None:
        """What the ledger says at a start."""
        self._stopped, self._dead, self._position = tuple(stopped), dead, position

    def applied(self, changes: Sequence[Change], outcome: Outcome, offset: Mapping[str, Any], read_at: float) -> None:
        """A batch is committed on the target."""
        now = time.time()
        self.outcome += outcome
        self._message = _message(offset)
        if "snapshot" not in offset:  # there the engine still reads definitions
            self._heard(offset, now)
        if changes:
            self._last_at = changes[-1].at
            self._lags = max(0.0, read_at - changes[-1].at), now - read_at
            self._recent.append((now, len(changes)))
            self._points.append((now, max(0.0, now - changes[0].at), self._pace(now)))
            self.caught_up = False

    def looked(self, position: Position, dead: int, stopped: Sequence[Stopped], behind: str, kept: int) -> None:
        """What the watch found."""
        self._position, self._dead, self._stopped = position, dead, tuple(stopped)
        now = time.time()
        if behind != self._behind:
            self._behind_since = now
        self._behind, self._kept = behind, kept
        # A pipeline elsewhere applies what the engine sends: heartbeats show by their numbers.
        if self._message is not None and _message(position.offset) != self._message:
            self._heard(position.offset, now)
        self._message = _message(position.offset)
        # The engine's position names a transaction without rows in scope only when another has begun. Where nothing
        # moves on either side for two heartbeats, the rest is such a transaction; the ledger waits for the engine's word.
        # An engine that was not heard twice there may still be on its way.
        still = self._beats > 0 and now - max(self._behind_since, self._heard_since) > _STILL_SECONDS
        self.caught_up = not behind or (still and behind.count(":") == 1 and "-" not in behind.partition(":")[2])
        if not self._recent or now - self._recent[-1][0] > 1:
            self._points.append((now, self._lag(now) or 0.0, self._pace(now)))

    def _heard(self, offset: Mapping[str, Any], now: float) -> None:
        place = offset.get("gtids"), offset.get("file"), offset.get("pos")
        self._beats = self._beats + 1 if place == self._place else 0
        if place != self._place:
            self._place, self._heard_since = place, now

    def unreachable(self) -> None:
        """A server could not be asked."""
        self.caught_up, self._behind = False, "unknown"

    def end(self, state: str, reason: str) -> None:
        """The stream has ended."""
        self._state, self._reason = state, reason
        self.write()

    def _pace(self, now: float) -> float:
        recent = [(at, count) for at, count in self._recent if now - at < 5]
        return sum(count for _, count in recent) / 5

    def _lag(self, now: float) -> float | None:
        if self.caught_up:
            return 0.0
        return max(0.0, now - self._last_at) if self._last_at else None

    @property
    def status(self) -> Status:
        """The stream as it stands."""
        now, position = time.time(), self._position
        return Status(
            state=self._state,
            caught_up=self.caught_up,
            lag_seconds=self._lag(now),
            applied=position.applied,
            stale=position.stale,
            dead=self._dead,
            position={name: position.offset.get(name) for name in ("file", "pos", "gtids")},
            reason=self._reason,
            lag_source=self._lags[0],
            lag_target=self._lags[1],
            pace=self._pace(now),
            behind=self._behind,
            binlog_seconds=self._kept,
            stopped_tables=shown(self._stopped),
            history=tuple(self._points),
        )

    def write(self) -> None:
        """Put the status where others read it, whole or not at all."""
        status = self.status
        content = {"pid": os.getpid(), "engine": self.engines[-1:], "at": time.time(), **status.asdict()}
        for name, text in (("status.json", json.dumps(content)), ("metrics.prom", status.prometheus(self._stream))):
            part = self._folder / f"{name}.part"
            part.write_text(text, encoding="utf-8")
            part.replace(self._folder / name)


def _message(offset: Mapping[str, Any]) -> tuple[Any, ...]:
    return offset.get("epoch"), offset.get("number")


def shown(stopped: Sequence[Stopped]) -> tuple[Mapping[str, str], ...]:
    """Tables that are not followed any more, as the status shows them."""
    return tuple({"table": ".".join(item.path), "reason": item.reason} for item in stopped)
