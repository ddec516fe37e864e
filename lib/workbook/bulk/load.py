"""The bulk load: hindrances away, one snapshot, chunks to workers, hindrances back."""

import multiprocessing
import queue
import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from workbook import plan
from workbook.bulk.chunks import Chunk, cut
from workbook.bulk.copy import Copied, copy_chunk, reader, writer
from workbook.bulk.defer import defer_hindrances, restore_hindrances
from workbook.bulk.ledger import ChunkLedger
from workbook.bulk.result import BulkResult, LoadedTable
from workbook.bulk.snapshot import Snapshot, take
from workbook.catalog import Catalog, Table
from workbook.errors import TerminalError, TransientError, WorkbookError
from workbook.mapping import Mapping
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.progress import Progress
from workbook.servers import Server


@dataclass(frozen=True)
class _Task:
    table: Table
    chunk: Chunk
    done: str


def load(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    journal: plan.Journal,
    owned: set[str],
) -> BulkResult:
    """Load all rows of the tables in scope from one consistent picture of the source.

    A load that was interrupted goes on with the chunks that are missing where the source has not changed since (its
    executed GTID set is the same); otherwise it starts again, because rows of two moments would not fit together.
    Rows that the target holds in these tables are the workbook's own (the schema phase refuses any other table) and
    are replaced.
    """
    tables = [catalog.table[item.database, item.name] for item in mapping.in_scope]
    for table in tables:
        name = mysql_path(*table.path)
        journal.confirm(journal.intend(f"rows of {name}", f"TRUNCATE TABLE {name}"))
    ledger = ChunkLedger(target, settings.environment)
    ledger.create(journal)
    deferred = defer_hindrances(source, target, catalog, mapping, owned)
    started = time.monotonic()
    workers = _Workers(source, target, settings.bulk.workers)
    try:
        snapshot = take(source, workers.open_transactions)
        resumed, why = _resumable(ledger, snapshot)
        if not resumed:
            ledger.begin(snapshot)
            _empty(target, tables)
        chunks, kept = _chunks(source, ledger, tables, settings.bulk.chunk_rows, resumed)
        copied = _copy(workers, catalog, ledger, chunks)
    finally:
        workers.close()
    rows_ended = time.monotonic()
    restore_hindrances(source, target, catalog, mapping, owned)
    _raise_counters(target, tables)
    with target.session() as session:
        ledger.complete(session)
    return BulkResult(
        snapshot=snapshot,
        resumed=resumed,
        why=why,
        tables=tuple(_loaded(table, copied, kept) for table in tables),
        copied=tuple(copied),
        deferred=deferred,
        not_in_snapshot=tuple(mysql_path(*table.path) for table in tables if table.engine.lower() != "innodb"),
        row_seconds=rows_ended - started,
        index_seconds=time.monotonic() - rows_ended,
    )


def _resumable(ledger: ChunkLedger, snapshot: Snapshot) -> tuple[bool, str]:
    known = ledger.state()
    if known is None:
        return False, "first load"
    state, before = known
    if state == "complete":
        return False, "a complete load is replaced"
    if not snapshot.gtids:
        return False, "an interrupted load is begun again: without GTIDs nothing proves that the source stood still"
    if before["gtids"] != snapshot.gtids:
        return False, "an interrupted load is begun again: the source has changed since"
    return True, "an interrupted load goes on: the source has not changed since"


def _empty(target: Server, tables: Sequence[Table]) -> None:
    with target.session() as session:
        session.execute("SET SESSION foreign_key_checks = 0")
        for table in tables:
            session.execute(f"TRUNCATE TABLE {mysql_path(*table.path)}")


def _chunks(
    source: Server, ledger: ChunkLedger, tables: Sequence[Table], rows: int, resumed: bool
) -> tuple[list[Chunk], dict[tuple[str, str], int]]:
    """The chunks that are still to be loaded, largest tables first, and the rows kept of an interrupted load."""
    known = ledger.planned() if resumed else {}
    kept: dict[tuple[str, str], int] = defaultdict(int)
    chunks: list[Chunk] = []
    with source.session() as session:
        for table in sorted(tables, key=lambda table: -table.data_bytes):
            if table.path not in known:
                new = cut(session, table, rows)
                ledger.plan(new)
                chunks += new
                continue
            for chunk, done, loaded in known[table.path]:
                kept[table.path] += loaded
                if not done:
                    chunks.append(chunk)
    return chunks, kept


def _copy(workers: "_Workers", catalog: Catalog, ledger: ChunkLedger, chunks: Sequence[Chunk]) -> list[Copied]:
    parts: dict[tuple[str, str], int] = defaultdict(int)
    for chunk in chunks:
        parts[chunk.path] += 1
    # Rows are known only when they arrive; until then the server's estimate, spread over the chunks, stands for them.
    expected = {path: max(catalog.table[path].rows_estimate, 1) / count for path, count in parts.items()}
    total = sum(expected[chunk.path] for chunk in chunks)
    copied = []
    with Progress("Loading rows", total, "rows") as progress:
        tasks = [_Task(catalog.table[chunk.path], chunk, ledger.done(chunk)) for chunk in chunks]
        for item in workers.run(tasks):
            copied.append(item)
            progress.advance(expected[item.chunk.path], f"{item.chunk.table} {item.chunk.number}")
    return copied


def _raise_counters(target: Server, tables: Sequence[Table]) -> None:
    """TRUNCATE resets AUTO_INCREMENT, and a counter may stand above the largest row: set it to the source's."""
    with target.session() as session:
        for table in tables:
            if table.auto_increment is not None and any(column.auto_increment for column in table.columns):
                session.execute(f"ALTER TABLE {mysql_path(*table.path)} AUTO_INCREMENT = {int(table.auto_increment)}")


def _loaded(table: Table, copied: Sequence[Copied], kept: dict[tuple[str, str], int]) -> LoadedTable:
    own = [item for item in copied if item.chunk.path == table.path]
    return LoadedTable(
        database=table.database,
        table=table.name,
        rows=sum(item.rows for item in own),
        resumed_rows=kept.get(table.path, 0),
        bytes=sum(item.bytes for item in own),
        chunks=len(own),
        seconds=sum(item.ended - item.started for item in own),
    )


class _Workers:
    """Processes that each hold one connection to the source, inside the shared snapshot, and one to the target."""

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

    def run(self, tasks: Sequence[_Task]) -> "Any":
        """Hand out the tasks, one at a time to each worker, and yield what they return."""
        waiting: queue.SimpleQueue[_Task] = queue.SimpleQueue()
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
    def _hand_out(pipe: Connection, waiting: "queue.SimpleQueue[_Task]") -> bool:
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
    try:
        reading, writing = reader(source), writer(target)
        while True:
            message = pipe.recv()
            if message == "snapshot":
                with reading.cursor() as cursor:
                    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                pipe.send("open")
            else:
                pipe.send(copy_chunk(message.table, message.chunk, reading, writing, message.done, number))
    except (EOFError, KeyboardInterrupt):
        return
    except WorkbookError as error:
        pipe.send(error)
    except Exception as error:
        detail = traceback.format_exception_only(error)[-1].strip()
        server = source if "reading" not in locals() else target
        pipe.send(
            server.explained(error, "loading rows")
            if type(error).__module__.startswith("pymysql")
            else TerminalError(
                f"A worker of the bulk load failed: {detail}",
                "Its chunk was not committed; what others committed stays.",
                "Mend the cause, then run the phase again: it goes on where it stopped.",
            )
        )
