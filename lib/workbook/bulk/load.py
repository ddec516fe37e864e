"""The bulk load: hindrances away, one snapshot, chunks to workers, hindrances back."""

import time
from collections import defaultdict
from collections.abc import Sequence

from workbook import plan
from workbook.bulk.chunks import Chunk, cut
from workbook.bulk.copy import Copied
from workbook.bulk.defer import defer_hindrances, restore_hindrances
from workbook.bulk.ledger import ChunkLedger
from workbook.bulk.result import BulkResult, LoadedTable
from workbook.bulk.snapshot import Snapshot, take
from workbook.bulk.worker import Task, Workers
from workbook.catalog import Catalog, Table
from workbook.mapping import Mapping
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.progress import Progress
from workbook.schema import converted_columns
from workbook.servers import Server


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
    ledger = ChunkLedger(target, settings.environment)
    started = time.monotonic()
    # The workers start their interpreters while the hindrances go.
    workers = Workers(source, target, settings.bulk.workers)
    try:
        deferred = defer_hindrances(source, target, catalog, mapping, owned)
        # Only now is it known that these tables are the workbook's own, to be emptied by a rollback.
        for table in tables:
            name = mysql_path(*table.path)
            journal.confirm(journal.intend(f"rows of {name}", f"TRUNCATE TABLE {name}"))
        ledger.create(journal)
        snapshot = take(source, workers.open_transactions)
        resumed, why = _resumable(ledger, snapshot)
        if not resumed:
            ledger.begin(snapshot)
            _empty(target, tables)
        chunks, kept = _chunks(source, ledger, tables, settings.bulk.chunk_rows, resumed)
        converted = {item.path: converted_columns(catalog.table[item.path], item.target) for item in mapping.in_scope}
        copied = _copy(workers, catalog, ledger, chunks, converted)
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


def _copy(
    workers: "Workers",
    catalog: Catalog,
    ledger: ChunkLedger,
    chunks: Sequence[Chunk],
    converted: dict[tuple[str, str], tuple[str, ...]],
) -> list[Copied]:
    parts: dict[tuple[str, str], int] = defaultdict(int)
    for chunk in chunks:
        parts[chunk.path] += 1
    # Rows are known only when they arrive; until then the server's estimate, spread over the chunks, stands for them.
    expected = {path: max(catalog.table[path].rows_estimate, 1) / count for path, count in parts.items()}
    total = sum(expected[chunk.path] for chunk in chunks)
    copied = []
    with Progress("Loading rows", total, "rows") as progress:
        tasks = [Task(catalog.table[chunk.path], chunk, ledger.done(chunk), converted[chunk.path]) for chunk in chunks]
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
