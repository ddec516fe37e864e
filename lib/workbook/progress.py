"""How far a long step is: live in JupyterLab, lines in the log of a headless run, and its last state in the report."""

import os
import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any

from workbook import faces
from workbook.faces import Html, badge, bare, escape, human_count, human_seconds, percent

_SHOW_EVERY = 0.25
_LOG_EVERY = 5.0
# The estimate of the end follows the pace of the last half minute, not of the whole run: loads slow down as they go.
_WINDOW = 30.0
_SECONDS = "seconds"


class Progress:
    """A step with a known or unknown (`total` None) amount of work, counted in `unit`; used as a context manager.

    Where nothing but the seconds of a wait can be counted, the unit is `seconds`, and there is no pace.
    Safe to advance from several threads. An exception inside is shown as "stopped" and passed on.
    """

    def __init__(self, title: str, total: float | None = None, unit: str = "rows"):
        self.title = title
        self.total = total
        self.unit = unit
        self.done = 0.0
        self.note = ""
        self.state = "waiting"
        self._lock = threading.Lock()
        self._started = self._ended = time.monotonic()
        self._shown = self._logged = 0.0
        self._samples: deque[tuple[float, float]] = deque()
        self._display: Any = None

    def __enter__(self) -> "Progress":
        self._started = self._ended = time.monotonic()
        self._logged = self._started
        self._samples.append((self._started, 0.0))
        self.state = "running"
        if _kernel() is not None:
            from IPython.display import display

            self._display = display(Html(self._markup()), display_id=True)
        self._shown = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._ended = time.monotonic()
            self.state = "done" if kind is None else "stopped"
            self._show()
            self._log()

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Add `amount` to what is done; `note` says what is being worked on."""
        with self._lock:
            self._move(self.done + amount, note)

    def set(self, done: float, note: str = "") -> None:
        """Say how much is done in all."""
        with self._lock:
            self._move(done, note)

    @property
    def seconds(self) -> float:
        """Seconds since the start, up to the end once it has ended."""
        return (time.monotonic() if self.state == "running" else self._ended) - self._started

    def line(self) -> str:
        """The state in one line of plain text."""
        parts = [f"{self.title}: {self._amount()}"]
        if self.state == "running":
            left = self._seconds_left()
            parts += [f"{human_count(self._pace())} {self.unit}/s"] if self.unit != _SECONDS else []
            parts += [f"{human_seconds(left)} left"] if left is not None else []
        else:
            took = f"{self.state} after {human_seconds(self.seconds)}"
            if self.unit == _SECONDS:
                parts = [f"{self.title}: {took}"]
            else:
                parts += [took, f"{human_count(self._mean())} {self.unit}/s"]
        return ", ".join(part for part in [*parts, self.note] if part)

    def _repr_html_(self) -> str:
        return self._markup()

    def _move(self, done: float, note: str) -> None:
        self.done = done
        self.note = note or self.note
        now = time.monotonic()
        if not self._samples or now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, done))
            while len(self._samples) > 2 and now - self._samples[0][0] > _WINDOW:
                self._samples.popleft()
        if now - self._shown >= _SHOW_EVERY:
            self._show()
        if now - self._logged >= _LOG_EVERY:
            self._log()

    def _show(self) -> None:
        self._shown = time.monotonic()
        if self._display is not None:
            self._display.update(Html(self._markup()))

    def _log(self) -> None:
        self._logged = time.monotonic()
        # Titles and notes hold names of tables, which may hold line breaks.
        said = "".join(letter if letter.isprintable() else "?" for letter in self.line())
        line = f"{time.strftime('%H:%M:%S')} {said}\n"
        path = os.environ.get("WORKBOOK_LOG")
        try:
            if path:
                # One short write in append mode: lines of several processes do not run into each other.
                with open(path, "a", encoding="utf-8", errors="backslashreplace") as log:
                    log.write(line)
                return
            _write(line)
        except OSError:
            # A full disk or a closed terminal must not stop a load for the sake of a line in its log.
            return

    def _share(self) -> float | None:
        if not self.total:
            return None
        return min(1.0, max(0.0, self.done / self.total))

    def _amount(self) -> str:
        share = self._share()
        counted = human_seconds(self.done) if self.unit == _SECONDS else f"{human_count(self.done)} {self.unit}"
        if share is None:
            return counted
        return f"{percent(share)} ({human_count(self.done)} of {human_count(self.total or 0)} {self.unit})"

    def _mean(self) -> float:
        return self.done / self.seconds if self.seconds > 0 else 0.0

    def _pace(self) -> float:
        since, then = self._samples[0] if self._samples else (self._started, 0.0)
        elapsed = time.monotonic() - since
        return (self.done - then) / elapsed if elapsed > 0 else 0.0

    def _seconds_left(self) -> float | None:
        pace = self._pace()
        return max(0.0, self.total - self.done) / pace if self.total and pace > 0 else None

    def _markup(self) -> str:
        share = self._share()
        # Without a value the bar moves to and fro, which only a running step may do.
        value = (
            f' value="{share:.4f}" max="1"' if share is not None else "" if self.state == "running" else ' value="1"'
        )
        label = escape(self.title)
        if self.state == "done" and self.unit == _SECONDS:
            says = f"in {human_seconds(self.seconds)}"
        elif self.state == "done":
            says = (
                f"{escape(self._amount() if share not in (None, 1.0) else f'{human_count(self.done)} {self.unit}')} in "
            )
            says += f"{human_seconds(self.seconds)} ({human_count(self._mean())} {escape(self.unit)}/s)"
        elif self.state == "stopped":
            says = f"stopped at {escape(percent(share) if share is not None else self._amount())} after {human_seconds(self.seconds)}"
        else:
            says = str(escape(self.line().removeprefix(f"{self.title}: ")))
        mark = bare(badge(self.state)) if self.state in ("done", "stopped") else ""
        note = f"<span>{escape(self.note, limit=200)}</span>" if self.note and self.state == "stopped" else ""
        plain = faces.attribute(f"Progress: {self.title}")
        return (
            f'{faces.STYLE}<div class="wb"><div class="wb-progress"><strong>{label}</strong>'
            f'<progress{value} aria-label="{plain}"></progress>{mark}<span>{says}</span>{note}</div></div>'
        )


def _kernel() -> object | None:
    """The notebook kernel that this process is, if it is one."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return getattr(shell, "kernel", None)


def _write(line: str) -> None:
    if _kernel() is None:
        sys.stderr.write(line)
        sys.stderr.flush()
        return
    # In a kernel sys.stderr is an output of the notebook, and so is file descriptor 2; ipykernel keeps the one that
    # the process was started with, which is where a headless run's log goes.
    kept = getattr(sys.stderr, "_original_stdstream_copy", None)
    if isinstance(kept, int) and kept >= 0:
        os.write(kept, line.encode("utf-8", "backslashreplace"))
