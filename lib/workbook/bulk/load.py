"""The bulk load: hindrances away, one snapshot, chunks to workers, hindrances back."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as ReadOnly
from dataclasses import replace

from workbook import plan
from workbook.bulk.copy import Way
from workbook.bulk.crew import Copied, Crew
from workbook.bulk.cutting import Cutter
from workbook.bulk.defer import Restoring, defer_hindrances
from workbook.bulk.fleet import Fleet
from workbook.bulk.landing import IN_PLACE, Landing
from workbook.bulk.ledger import ChunkLedger
from workbook.bulk.result import BulkResult, LoadedTable
from workbook.bulk.salts import Tokens, cuttable, mark, seals_of, tokens_of
from workbook.bulk.snapshot import Snapshot, position, take
from workbook.bulk.throttle import Throttle
from workbook.bulk.watch import Watch
from workbook.catalog import Catalog, Table
from workbook.errors import Refused
from workbook.mapping import Mapping, TableMap
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.progress import Progress
from workbook.schema import converted_columns
from workbook.servers import Server, connect_replica, retried
from workbook.wire import Driver


def load(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    journal: plan.Journal,
    owned: set[str],
    landing: Landing = IN_PLACE,
) -> BulkResult:
    """Load all rows of the tables in scope from one consistent picture of the source.

    A load that was interrupted goes on with the chunks that are missing where the source has not changed since (its
    executed GTID set is the same); otherwise it starts again, because rows of two moments would not fit together.
    Rows that the target holds in these tables are the workbook's own (the schema phase refuses any other table) and
    are replaced. Servers and workers that are lost meanwhile are waited for and replaced (`bulk.patience_s`). A
    `landing` aside takes the rows in other databases, which are the caller's to make and to take away; one of some
    tables only leaves all others alone.
    """
    items = [item for item in mapping.in_scope if landing.takes(item.path)]
    tables = [cuttable(catalog.table[item.path], item.flow) for item in items]
    there = {item.path: landing.path(item.target_path) for item in items}
    # Before anything is touched: a salt may be missing.
    tokens = {item.path: tokens_of(catalog.table[item.path], item, settings) for item in items}
    if settings.bulk.runner == "beam":
        _refuse_salts(tokens)
    choices = mark(items, tokens, landing.only)
    seals = {table.path: seal for table in tables if (seal := seals_of(table, tokens[table.path]))}
    ledger = ChunkLedger(target, landing.ledger(settings.environment), seals)
    started = time.monotonic()
    # The workers start their interpreters while the hindrances go.
    crew: Crew | Fleet = (
        Fleet(source, target, settings, ledger, driver_of(settings))
        if settings.bulk.runner == "beam"
        else Crew(source, target, settings.bulk.workers, driver_of(settings), settings.bulk.patience_s)
    )
    try:
        deferred, planned = defer_hindrances(source, target, catalog, mapping, owned, landing)
        # Only now is it known that these tables are the workbook's own, to be emptied by a rollback.
        for path in () if landing.aside else there.values():
            name = mysql_path(*path)
            if landing.only is not None and f"rows of {name}" in owned:
                continue  # whoever brought them before takes them away
            journal.confirm(journal.intend(f"rows of {name}", f"TRUNCATE TABLE {name}"))
        ledger.create(journal)

        def open_transactions() -> None:
            crew.open_transactions()
            landing.witness()

        snapshot = take(source, open_transactions)
        if isinstance(crew, Fleet):
            snapshot = replace(snapshot, how="where the source stood still for all workers")
        resumed, why = _resumable(ledger, snapshot, choices)
        if not resumed:
            ledger.begin(snapshot, choices)
            _empty(target, there.values())
        left_out = _left_out(source, items)
        ways = {
            item.path: Way(
                item.flow,
                converted_columns(catalog.table[item.path], item.target),
                there[item.path],
                tokens[item.path],
            )
            for item in items
        }
        cutter = Cutter(source, ledger, tables, ledger.planned() if resumed else {}, settings.bulk, ways)
        if isinstance(crew, Fleet):
            cutter.assume(crew.pace)
            crew.announce(journal)
            crew.weigh({table.path: table.data_bytes for table in tables})
        throttle = Throttle(settings, source, connect_replica(settings), crew.hold_to, say)
        watch = Watch(source, say)
        with Restoring(target, planned, settings.bulk.workers) as restoring:
            copied = _copy(crew, cutter, snapshot, source, restoring, (throttle.beat, watch.beat), there)
            crew.close()
            rows_ended = time.monotonic()
        landing.landed(snapshot)
        retried(lambda: restoring.restore_all(owned), tries=8)
    finally:
        crew.close()
    retried(lambda: _raise_counters(target, tables, there), tries=8)
    with target.session() as session:
        ledger.complete(session)
    kept = cutter.kept()
    return BulkResult(
        snapshot=snapshot,
        resumed=resumed,
        why=why,
        tables=tuple(_loaded(table, copied, kept, left_out.get(table.path)) for table in tables),
        copied=tuple(copied),
        deferred=deferred,
        not_in_snapshot=tuple(mysql_path(*table.path) for table in tables if table.engine.lower() != "innodb"),
        row_seconds=rows_ended - started,
        index_seconds=time.monotonic() - rows_ended,
        driver=crew.driver,
        indexes=tuple(restoring.built),
        throttled=tuple(throttle.changes),
        losses=tuple(crew.losses),
        history_highest=watch.history_highest,
        pipeline=crew.ran(copied) if isinstance(crew, Fleet) else None,
    )


def _refuse_salts(tokens: ReadOnly[tuple[str, str], Tokens]) -> None:
    for path, columns in tokens.items():
        if columns:
            raise Refused(
                f"The mapping masks {next(iter(columns))!r} of {'.'.join(path)} with a salt, and bulk.runner is beam.",
                "Orders for workers on other machines are kept on the target, where no salt belongs.",
                "Load from one machine (bulk.runner: local), or take the mask out of the mapping.",
            )


def driver_of(settings: Settings) -> Driver | None:
    """The driver of the settings; None for the fastest that is installed."""
    return None if settings.bulk.driver == "auto" else settings.bulk.driver


def say(line: str) -> None:
    """A line for the log of the run."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _resumable(ledger: ChunkLedger, snapshot: Snapshot, choices: str) -> tuple[bool, str]:
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
    if before.get("mark", "") != choices:
        return False, "an interrupted load is begun again: filters, masks or names of the mapping have changed since"
    return True, "an interrupted load goes on: the source has not changed since"


def _empty(target: Server, paths: Iterable[tuple[str, str]]) -> None:
    with target.session() as session:
        session.execute("SET SESSION foreign_key_checks = 0")
        for path in paths:
            session.execute(f"TRUNCATE TABLE {mysql_path(*path)}")


def _left_out(source: Server, items: Iterable[TableMap]) -> dict[tuple[str, str], int]:
    """The rows that filters leave out, by table, as the source stands."""
    return {
        item.path: int(
            source.scalar(f"SELECT COUNT(*) FROM {mysql_path(*item.path)} WHERE NOT IFNULL(({item.flow.where}), 0)")
        )
        for item in items
        if item.flow.where
    }


def _copy(
    crew: Crew | Fleet,
    cutter: Cutter,
    snapshot: Snapshot,
    source: Server,
    restoring: Restoring,
    beats: Sequence[Callable[[], None]],
    there: dict[tuple[str, str], tuple[str, str]],
) -> list[Copied]:
    """Have all chunks copied, and the indexes of each table begun as soon as its last row is there."""

    def rejoin(enter: Callable[[], None]) -> bool:
        if not _stands(source, snapshot):
            return False
        enter()
        # Still so afterwards: then nothing happened in between that the new transaction could see.
        return _stands(source, snapshot)

    copied: list[Copied] = []
    for table in cutter.loaded_already():
        restoring.table_loaded(there[table.path])
    with Progress("Loading rows", cutter.expected_rows(), "rows") as progress:

        def beat() -> None:
            cutter.ahead()
            for each in beats:
                each()
            show()

        def show() -> None:
            under_way = sum(member.so_far[0] for member in crew.members if member.task is not None)
            progress.total = cutter.expected_rows()
            rows = sum(item.rows for item in copied) + sum(cutter.kept().values())
            progress.set(min(rows + under_way, progress.total), _in_hand(crew, cutter))

        for each in beats:
            each()
        for item in crew.run(iter(cutter), rejoin, beat):
            copied.append(item)
            if cutter.learn(item):
                restoring.table_loaded(there[item.chunk.path])
            show()
        progress.total = cutter.expected_rows()
        progress.set(progress.total)
    return copied


def _in_hand(crew: Crew | Fleet, cutter: Cutter) -> str:
    """The tables that are being loaded, each with how far it is."""
    shares: dict[tuple[str, str], int] = {}
    for member in crew.members:
        if member.task is not None:
            path = member.task.chunk.path
            shares[path] = shares.get(path, 0) + member.so_far[0]
    return ", ".join(f"{path[1]} {cutter.share(path, rows):.0%}" for path, rows in shares.items())


def _stands(source: Server, snapshot: Snapshot) -> bool:
    """Whether the source is where it stood when the snapshot was taken."""
    with source.session() as session:
        file, place, gtids = position(session)
    # A server that was started again writes to a new file, and has the same transactions nevertheless.
    return gtids == snapshot.gtids if snapshot.gtids else (file, place) == (snapshot.file, snapshot.position)


def _raise_counters(target: Server, tables: Sequence[Table], there: dict[tuple[str, str], tuple[str, str]]) -> None:
    """TRUNCATE resets AUTO_INCREMENT, and a counter may stand above the largest row: set it to the source's."""
    with target.session() as session:
        for table in tables:
            if table.auto_increment is not None and any(column.auto_increment for column in table.columns):
                session.execute(
                    f"ALTER TABLE {mysql_path(*there[table.path])} AUTO_INCREMENT = {int(table.auto_increment)}"
                )


def _loaded(
    table: Table, copied: Sequence[Copied], kept: dict[tuple[str, str], int], left_out: int | None
) -> LoadedTable:
    own = [item for item in copied if item.chunk.path == table.path]
    return LoadedTable(
        database=table.database,
        table=table.name,
        rows=sum(item.rows for item in own),
        resumed_rows=kept.get(table.path, 0),
        bytes=sum(item.bytes for item in own),
        chunks=len(own),
        seconds=sum(item.ended - item.started for item in own),
        left_out=left_out,
    )
