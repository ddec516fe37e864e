"""A copy that is not read yet, proven against the picture of the source that it was made from."""

import contextlib
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from workbook.catalog import Catalog
from workbook.mapping import Mapping, TableMap
from workbook.params import Settings
from workbook.progress import Progress
from workbook.servers import Server, Session
from workbook.validate.content import Servers, compare_in
from workbook.validate.result import TableVerdict

Path = tuple[str, str]
# A witness waits as long as the load takes.
_WAIT_SECONDS = 7 * 24 * 3600


class Witnesses:
    """Sessions on the source that see what the load sees, however the source changes meanwhile: they open their
    transactions at the same moment, and are asked when the rows have arrived."""

    def __init__(self, source: Server, count: int):
        self.source = source
        self._stack = contextlib.ExitStack()
        self._free: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._sessions = []
        for _ in range(count):
            session = self._stack.enter_context(source.session())
            session.execute(f"SET SESSION wait_timeout = {_WAIT_SECONDS}")
            session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
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
    """The verdict of every table in scope: each value of each row, hashed in the snapshot with its filter and masks, and
    at the `place` of its table on the target. Incomparable where a witness lost its connection, and its picture with it.
    """
    items = sorted(mapping.in_scope, key=lambda item: -catalog.table[item.path].data_bytes)
    weights = {item.path: max(catalog.table[item.path].rows_estimate, 1) for item in items}
    servers = Servers(witnesses.source, target, None)
    with (
        Progress("Proving the copy", sum(weights.values()), "rows") as progress,
        ThreadPoolExecutor(settings.validate_.workers, thread_name_prefix="proof") as pool,
    ):

        def prove(item: TableMap) -> TableVerdict:
            database, name = place(item.target_path)
            there = replace(item, flow=replace(item.flow, database=database, table=name))
            with witnesses.one() as source, target.session() as session:
                (verdict,) = compare_in(source, session, servers, catalog.table[item.path], there, settings)
            return verdict

        futures = [(item, pool.submit(prove, item)) for item in items]
        verdicts = []
        for item, future in futures:
            verdicts.append(future.result())
            progress.advance(weights[item.path], item.name)
    return tuple(verdicts)
