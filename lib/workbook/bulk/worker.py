"""The life of a worker: a process that holds one connection into the shared snapshot and one to the target.

It imports little, because each worker is a fresh interpreter, and it ends with the process that started it, whatever
it is doing. Its words to the crew: ("open",), ("moved", Moved), ("progress", rows, bytes), ("lost", role, why),
("failed", role, code, text) and ("refused", error).
"""

import contextlib
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from workbook.bulk.pump import Job, Moved, Valve, move
from workbook.errors import TerminalError, WorkbookError
from workbook.wire import Address, Driver, Loader, Wire, WireError, reader, writer


@dataclass(frozen=True)
class Start:
    """What a worker is told first."""

    source: Address
    target: Address
    driver: Driver
    patience: float  # seconds that a lost target is waited for


class Worker:
    """One worker, at its end of the pipe to the crew."""

    def __init__(self, pipe: Connection):
        self._pipe = pipe
        self._sending = threading.Lock()
        self._heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._valve = Valve()
        start = pipe.recv()
        assert isinstance(start, Start)
        self._start = start
        self._source: Wire | None = None
        self._target: Loader | None = None

    def live(self) -> None:
        """Do what is asked until the pipe closes."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            message = self._heard.get()
            try:
                if message == "snapshot":
                    self._open_snapshot()
                    self._say("open")
                else:
                    self._say("moved", self._moved(message))
            except WireError as error:
                if error.role == "source" and error.lost:
                    self._drop_source()
                    self._say("lost", error.role, error.code, error.text)
                else:
                    self._say("failed", error.role, error.code, error.text)
            except WorkbookError as error:
                self._say("refused", error)
            except Exception as error:
                self._say(
                    "refused",
                    TerminalError(
                        f"A worker of the bulk load failed: {type(error).__name__}: {error}",
                        "Its chunk was not committed; what others committed stays.",
                        "Mend the cause, then run the phase again: it goes on where it stopped.",
                    ),
                )

    def _listen(self) -> None:
        """Hear the crew while a chunk is on its way. The pipe ends with the crew's process, and so does this one."""
        try:
            while True:
                message = self._pipe.recv()
                if isinstance(message, tuple):
                    self._valve.set(message[1])
                else:
                    self._heard.put(message)
        except (EOFError, OSError):
            os._exit(0)

    def _say(self, *words: Any) -> None:
        with self._sending:
            try:
                self._pipe.send(words)
            except OSError:
                os._exit(0)

    def _open_snapshot(self) -> None:
        if self._source is None:
            self._source = reader(self._start.source, self._start.driver)
        self._source.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def _drop_source(self) -> None:
        if self._source is not None:
            with contextlib.suppress(Exception):
                self._source.close()
        self._source = None

    def _moved(self, job: Job) -> Moved:
        """Move a chunk; a target that is lost on the way is waited for, and the chunk moved again unless it arrived."""
        assert self._source is not None
        give_up = time.monotonic() + self._start.patience
        while True:
            try:
                if self._target is None:
                    self._target = writer(self._start.target)
                    if job.known is not None and (done := self._target.rows(job.known)):
                        # The answer to COMMIT was lost, not the COMMIT.
                        rows, size, checksum = (value or b"" for value in done[0])
                        now = time.time()
                        return Moved(int(rows), int(size), checksum.decode(), now, now)
                return move(job, self._source, self._target, self._valve, self._tell)
            except WireError as error:
                if error.role != "target" or not error.passing or time.monotonic() > give_up:
                    raise
                if error.lost:
                    self._drop_target()
                time.sleep(0.3)
            except WorkbookError:
                # What the connection was left with is not known.
                self._drop_target()
                raise

    def _drop_target(self) -> None:
        if self._target is not None:
            with contextlib.suppress(Exception):
                self._target.close()
        self._target = None

    def _tell(self, rows: int, size: int) -> None:
        self._say("progress", rows, size)


def main() -> None:
    """Where the process begins; its one argument is the number of its end of the pipe."""
    Worker(Connection(int(sys.argv[1]))).live()
