"""The worker processes of the bulk load: each holds one connection into the shared snapshot and one to the target.

A worker imports little, because each is a fresh interpreter.
"""

import multiprocessing
import queue
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from workbook.bulk.chunks import Chunk
from workbook.bulk.copy import Copied, copy_chunk, reader, writer
from workbook.catalog import Table
from workbook.errors import TerminalError, TransientError, WorkbookError
from workbook.servers import Server


@dataclass(frozen=True)
class Task:
    """A chunk to copy, the chunk ledger's statement that notes it, and the columns that become utf8mb4."""

    table: Table
    chunk: Chunk
    done: str
    converted: tuple[str, ...] = ()


class Workers:
    """As many processes as asked for, each busy with one chunk at a time."""

    def __init__(self, source: Server, target: Server, count: int):
        # A fresh interpreter a worker: a notebook's kernel has threads, which a fork would tear.
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(1, count + 1):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, source, target, number), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def open_transactions(self) -> None:
        """Have every worker open its transaction; returns when all have."""
        for pipe in self._pipes:
            pipe.send("snapshot")
        for pipe in self._pipes:
            self._receive(pipe)

    def run(self, tasks: Sequence[Task]) -> Iterator[Copied]:
        """Hand out the tasks, one at a time to each worker, and yield what they return."""
        waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            waiting.put(task)
        busy = [pipe for pipe in self._pipes if self._hand_out(pipe, waiting)]
        while busy:
            for pipe in wait(busy):
                assert isinstance(pipe, Connection)
                yield self._receive(pipe)
                if not self._hand_out(pipe, waiting):
                    busy.remove(pipe)

    @staticmethod
    def _hand_out(pipe: Connection, waiting: "queue.SimpleQueue[Task]") -> bool:
        if waiting.empty():
            return False
        pipe.send(waiting.get())
        return True

    def _receive(self, pipe: Connection) -> Any:
        try:
            answer = pipe.recv()
        except (EOFError, OSError):
            raise TransientError(
                "A worker of the bulk load ended without a word.",
                "Its chunk was not committed; what others committed stays.",
                "Look for a lack of memory on this machine, then run the phase again: it goes on where it stopped.",
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """End all workers, whatever they do; what they have not committed is rolled back by the server."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join(10)


def _work(pipe: Connection, source: Server, target: Server, number: int) -> None:
    """The life of a worker: open a snapshot when told, copy chunks when given, end when the pipe is closed."""
    at = source
    try:
        reading = reader(source)
        at = target
        writing = writer(target)
        while True:
            message = pipe.recv()
            if message == "snapshot":
                with reading.cursor() as cursor:
                    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                pipe.send("open")
            else:
                done = copy_chunk(
                    message.table, message.chunk, reading, writing, message.done, number, message.converted
                )
                pipe.send(done)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except WorkbookError as error:
        pipe.send(error)
    except Exception as error:
        detail = traceback.format_exception_only(error)[-1].strip()
        pipe.send(
            at.explained(error, "loading rows")
            if type(error).__module__.startswith("pymysql")
            else TerminalError(
                f"A worker of the bulk load failed: {detail}",
                "Its chunk was not committed; what others committed stays.",
                "Mend the cause, then run the phase again: it goes on where it stopped.",
            )
        )
