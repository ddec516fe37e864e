"""A copy that is not read yet, proven against the picture of the source that it was made from."""

import contextlib
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from workbook.bulk.chunks import cut
from workbook.bulk.salts import tokens_of
from workbook.catalog import Catalog, Table
from workbook.mapping import Mapping, TableMap
from workbook.mapping.flow import DIRECT, carried_table, kept_table
from workbook.params import Settings
from workbook.progress import Progress
from workbook.servers import Server, Session
from workbook.validate import rows as rowwise
from workbook.validate.content import CHUNK_ROWS, looked_at
from workbook.validate.encoding import fields, on_target
from workbook.validate.masked import has_tokens, masked_rows, masked_side
from workbook.validate.result import TableVerdict
from workbook.validate.sums import bucket_count, differing, mysql_side

Path = tuple[str, str]
_HOP = "source-target"
# A witness waits as long as the load takes.
_WAIT_SECONDS = 7 * 24 * 3600


class Witnesses:
    """Sessions on the source that see what the load sees, however the source changes meanwhile: they open their
    transactions at the same moment, and are asked when the rows have arrived."""

    def __init__(self, source: Server, count: int):
        self._stack = contextlib.ExitStack()
        self._free: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._sessions = []
        for _ in range(count):
            session = self._stack.enter_context(source.session())
            session.execute(f"SET SESSION wait_timeout = {_WAIT_SECONDS}")
            session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if session.flavour == "mariadb":
                # It knows no hint against merging.
                session.execute("SET SESSION optimizer_switch = 'derived_merge=off'")
            self._sessions.append(session)
            self._free.put(session)

    def open(self) -> None:
        """Open the transactions, in the place of earlier ones."""
        for session in self._sessions:
            session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    @contextlib.contextmanager
    def one(self) -> Iterator[Session]:
        """A witness that nobody else asks."""
        session = self._free.get()
        try:
            yield session
        finally:
            self._free.put(session)

    def close(self) -> None:
        """End the sessions; one whose connection is lost has ended already."""
        with contextlib.suppress(Exception):
            self._stack.close()


def compare_aside(
    witnesses: Witnesses,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    place: Callable[[Path], Path],
) -> tuple[TableVerdict, ...]:
    """The verdict of every table in scope: each value of each row, hashed in the snapshot with its filter
    and masks, and at the `place` of its table on the target.

    Raises TransientError where a witness lost its connection: its picture of the source is gone.
    """
    items = sorted(mapping.in_scope, key=lambda item: -catalog.table[item.path].data_bytes)
    weights = {item.path: max(catalog.table[item.path].rows_estimate, 1) for item in items}
    with (
        Progress("Proving the copy", sum(weights.values()), "rows") as progress,
        ThreadPoolExecutor(settings.validate_.workers, thread_name_prefix="proof") as pool,
    ):

        def prove(item: TableMap) -> TableVerdict:
            with witnesses.one() as source, target.session() as session:
                return _compared(source, session, catalog.table[item.path], item, place(item.target_path), settings)

        futures = [(item, pool.submit(prove, item)) for item in items]
        verdicts = []
        for item, future in futures:
            verdicts.append(future.result())
            progress.advance(weights[item.path], item.name)
    return tuple(verdicts)


def _compared(
    source: Session, target: Session, whole: Table, mapped: TableMap, place: Path, settings: Settings
) -> TableVerdict:
    flow = mapped.flow
    # The key that names a row is one that the target has too.
    table = kept_table(whole, flow)
    columns = fields(table, mapped, tokens_of(table, mapped, settings))
    columns_there = on_target(columns, flow)
    buckets, only = bucket_count(table.rows_estimate), flow.where or ""
    # Where the key may be ordered otherwise on the other side, each side is cut in its own order.
    own_order = (
        source.flavour == "mariadb"
        or flow != DIRECT
        or any(mapped.target.moves(table.column[name].charset) for name in table.key)
    )
    there = replace(carried_table(whole, flow), database=place[0], name=place[1])
    chunks = cut(source, whole, CHUNK_ROWS)
    side, rows = (masked_side, masked_rows) if has_tokens(columns) else (mysql_side, rowwise.mysql_rows)
    one = side(source, table.path, columns, buckets, chunks, only)
    chunks_there = cut(target, there, CHUNK_ROWS) if own_order else chunks
    other = mysql_side(target, place, columns_there, buckets, chunks_there)
    masked = dict(flow.masks)
    states = {item.name: "tolerated" if item.name in masked else "proven" for item in columns}
    verdict = TableVerdict(table.database, table.name, _HOP, "same", one.rows, other.rows, states)
    chosen = differing(one.buckets["exact"], other.buckets["exact"])
    if not chosen:
        return replace(verdict, similarity=1.0)
    looked = looked_at(chosen, one.buckets["exact"], other.buckets["exact"])
    located = rowwise.compare(
        [item.name for item in columns],
        table.key,
        rows(source, table.path, columns, buckets, looked, "exact", only),
        rowwise.mysql_rows(target, place, columns_there, buckets, looked, "exact"),
        settings.validate_.samples,
    )
    return replace(
        verdict,
        verdict="different",
        columns={**verdict.columns, **dict.fromkeys(located.columns, "different")},
        missing=located.missing,
        extra=located.extra,
        changed=located.changed,
        samples=located.rows,
        why="" if looked == chosen else "at least: too many rows differ to look at each of them",
    )
