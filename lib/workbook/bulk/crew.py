"""The crew of workers, seen from the process that leads the load: who is busy with what, and who is lost."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import pymysql

from workbook.bulk.chunks import Chunk
from workbook.bulk.pump import Job, Moved
from workbook.bulk.worker import Start
from workbook.errors import TransientError, WorkbookError
from workbook.servers import Server
from workbook.wire import Driver, drivers

_BEAT_SECONDS = 0.25
# A worker that dies this often in a row on one chunk is not unlucky.
_TRIES = 5


@dataclass(frozen=True)
class Task:
    """A chunk, and what a worker needs to copy it."""

    chunk: Chunk
    job: Job


@dataclass(frozen=True)
class Copied:
    """What copying a chunk came to: rows, bytes as sent, their checksum, when (Unix seconds) and by whom."""

    chunk: Chunk
    rows: int
    bytes: int
    checksum: str
    started: float
    ended: float
    worker: int = 0


@dataclass
class Member:
    """A worker as the crew sees it. `so_far` are rows and bytes of the chunk in hand."""

    number: int
    pipe: Connection
    process: "subprocess.Popen[bytes]"
    task: Task | None = None
    so_far: tuple[int, int] = (0, 0)
    pace: float | None = field(default=None)


class Crew:
    """As many worker processes as asked for, each busy with one chunk at a time; those that are lost are replaced.

    `rejoin` opens the shared snapshot for a worker that lost it, and says whether it is still the same picture: the
    source must not have changed since. Otherwise the others go on without that worker.
    """

    def __init__(self, source: Server, target: Server, count: int, driver: Driver | None = None, patience: float = 60):
        self.driver: Driver = driver or drivers()[0]
        self._servers = {"source": source, "target": target}
        self._start = Start(source.address(), target.address(), self.driver, patience)
        self._patience = patience
        self._failed: dict[Chunk, int] = {}
        self._total: float | None = None
        self.losses: list[str] = []
        self.members = [self._hired(number) for number in range(1, count + 1)]

    def _hired(self, number: int) -> Member:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", "from workbook.bulk.worker import main; main()", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Not a member of our process group: Ctrl-C is for us, and ends them by the pipe's end.
                start_new_session=True,
            )
        member = Member(number, Connection(ours.detach()), process)
        # One that has died already is noticed when it is asked for something.
        with contextlib.suppress(OSError):
            member.pipe.send(self._start)
        return member

    def open_transactions(self) -> None:
        """Have every worker open its transaction; returns when all have."""
        for member in self.members:
            self._ask_to_open(member)
        for member in self.members:
            self._opened(member)

    @staticmethod
    def _ask_to_open(member: Member) -> None:
        try:
            member.pipe.send("snapshot")
        except OSError:
            raise _gone(member) from None

    def _opened(self, member: Member) -> None:
        try:
            word, *rest = member.pipe.recv()
        except (EOFError, OSError):
            raise _gone(member) from None
        if word != "open":
            raise self._explained(word, rest)

    def hold_to(self, rate: float | None) -> None:
        """Hold all workers together to so many bytes a second; 0 holds them, None lets them run."""
        self._total = rate
        self._share()

    def _share(self) -> None:
        busy = [member for member in self.members if member.task is not None]
        for member in busy:
            pace = self._total if not self._total else self._total / len(busy)
            if pace != member.pace:
                member.pace = pace
                with contextlib.suppress(OSError):
                    member.pipe.send(("pace", pace))

    def run(
        self, tasks: Iterator[Task], rejoin: Callable[[Callable[[], None]], bool], beat: Callable[[], None]
    ) -> Iterator[Copied]:
        """Hand out the tasks, one at a time to each worker, and yield what they return; `beat` is called in between.

        Raises what a worker refused, TransientError where all workers are lost.
        """
        again: list[Task] = []
        exhausted = False
        while True:
            for member in self.members:
                if member.task is None and (again or not exhausted):
                    task = again.pop() if again else next(tasks, None)
                    if task is None:
                        exhausted = True
                    else:
                        self._hand(member, task)
            busy = {member.pipe: member for member in self.members if member.task is not None}
            if not busy:
                return
            self._share()
            for pipe in wait(list(busy), _BEAT_SECONDS):
                assert isinstance(pipe, Connection)
                member = busy[pipe]
                copied = self._hear(member, again, rejoin)
                if copied is not None:
                    yield copied
            beat()

    def _hand(self, member: Member, task: Task) -> None:
        member.task, member.so_far = task, (0, 0)
        # The pace first: the worker begins as soon as it has its task.
        self._share()
        # A worker that has died is noticed when it is listened to.
        with contextlib.suppress(OSError):
            member.pipe.send(task.job)

    def _hear(self, member: Member, again: list[Task], rejoin: Callable[[Callable[[], None]], bool]) -> Copied | None:
        task = member.task
        assert task is not None
        try:
            word, *rest = member.pipe.recv()
        except (EOFError, OSError):
            word, rest = "gone", []
        if word == "progress":
            member.so_far = (rest[0], rest[1])
            return None
        member.task = None
        if word == "moved":
            moved: Moved = rest[0]
            return Copied(
                task.chunk, moved.rows, moved.bytes, moved.checksum, moved.started, moved.ended, member.number
            )
        if word not in ("gone", "lost"):
            raise self._explained(word, rest)
        self._failed[task.chunk] = self._failed.get(task.chunk, 0) + 1
        if self._failed[task.chunk] >= _TRIES:
            raise self._explained(word, rest) if word == "lost" else _gone(member)
        again.append(task)
        self._bring_back(member, word, rest, rejoin)
        return None

    def _bring_back(
        self, member: Member, word: str, rest: list[Any], rejoin: Callable[[Callable[[], None]], bool]
    ) -> None:
        """Put the worker, or another in its place, back into the snapshot; without it where that is not possible."""
        deadline = time.monotonic() + self._patience
        what = "its connection to the source" if word == "lost" else "its process"
        place = self.members.index(member)
        while True:
            try:
                if word == "gone":
                    self._dismiss(member)
                    member = self.members[place] = self._hired(member.number)

                def enter(member: Member = member) -> None:
                    self._ask_to_open(member)
                    self._opened(member)

                if rejoin(enter):
                    self.losses.append(f"worker {member.number} lost {what} and came back into the same snapshot")
                    return
                break
            except TransientError as error:
                if time.monotonic() > deadline:
                    raise error
                if member.process.poll() is not None:
                    word = "gone"
                time.sleep(0.3)
        self._dismiss(member)
        del self.members[place]
        self.losses.append(f"worker {member.number} lost {what}; the source had changed, so the others went on alone")
        if not self.members:
            raise TransientError(
                "No worker is left that sees the snapshot: the source has changed since it was taken.",
                "Rows of another moment would not fit to those that are loaded.",
                "Run the phase again: it takes a new snapshot and starts again.",
            )

    def _explained(self, word: str, rest: list[Any]) -> WorkbookError:
        if word == "refused":
            error = rest[0]
            assert isinstance(error, WorkbookError)
            return error
        role, code, text = rest
        return self._servers[role].explained(pymysql.err.OperationalError(code, text), "loading rows")

    def _dismiss(self, member: Member) -> None:
        member.pipe.close()
        member.process.kill()
        member.process.wait()

    def close(self) -> None:
        """End all workers, whatever they do; what they have not committed is rolled back by the server."""
        for member in self.members:
            self._dismiss(member)
        self.members = []


def _gone(member: Member) -> TransientError:
    return TransientError(
        f"Worker {member.number} of the bulk load ended without a word.",
        "Its chunk was not committed; what others committed stays.",
        "Look for a lack of memory on this machine, then run the phase again: it goes on where it stopped.",
    )
