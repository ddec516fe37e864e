"""Cutting tables while they are loaded: chunks of a length in time, from the pace that their table has shown."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from workbook.bulk.chunks import Chunk, Key, chunkable_key, next_bound
from workbook.bulk.copy import STRAIGHT, Way, job
from workbook.bulk.crew import Copied, Task
from workbook.bulk.ledger import ChunkLedger, Noted
from workbook.catalog import Table
from workbook.params import Bulk
from workbook.servers import Server, retried

# The first chunk of a table, of whose pace nothing is known, and the smallest worth a transaction.
_FIRST_BYTES, _LEAST_BYTES = 8 << 20, 1 << 20
# A table smaller than this by both measures is one chunk; the server's estimates may be off by half.
_SMALL_BYTES, _SMALL_ROWS = 4 << 20, 20_000


@dataclass
class _Progress:
    """How far a table is: what is left to cut, what is on its way, and its pace in rows a second and worker."""

    table: Table
    units: deque[str | None] = field(default_factory=deque)
    cut: bool = False
    lower: Key | None = None
    number: int = 0
    waiting: set[Chunk] = field(default_factory=set)
    handed_rows: float = 0.0
    pace: float | None = None
    rows: int = 0
    kept_rows: int = 0


class Cutter:
    """The tasks of a load, largest tables first; what an interrupted load had planned comes before what is new.

    Chunks are cut a little ahead of the workers, so that nobody waits for the cutting. A table need not be known whole:
    its chunks are noted in the ledger in the order of its key, and the last one is open.
    """

    def __init__(
        self,
        source: Server,
        ledger: ChunkLedger,
        tables: Sequence[Table],
        known: Mapping[tuple[str, str], Sequence[Noted]],
        settings: Bulk,
        ways: Mapping[tuple[str, str], Way] | None = None,
    ):
        self._source, self._ledger, self._settings = source, ledger, settings
        self._ways = ways or {}
        self._ready: deque[Task] = deque()
        self._progress: dict[tuple[str, str], _Progress] = {}
        small = []
        for table in sorted(tables, key=lambda table: -table.data_bytes):
            state = self._progress[table.path] = _Progress(table)
            if table.path in known:
                self._take_up(state, known[table.path])
            elif not chunkable_key(table) or (
                table.data_bytes < _SMALL_BYTES and table.rows_estimate < min(_SMALL_ROWS, settings.chunk_rows // 2)
            ):
                state.number, state.cut = 1, True
                small.append(Chunk(*table.path, 1, chunkable_key(table), None, None))
            else:
                state.units.extend(_units(table))
        retried(lambda: ledger.plan(small))
        self._whole = {chunk.path: chunk for chunk in small}

    def __iter__(self) -> Iterator[Task]:
        return self

    def __next__(self) -> Task:
        if not self._ready:
            self._cut_one()
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def ahead(self) -> None:
        """Cut what the workers will ask for next."""
        while len(self._ready) < self._settings.workers and self._cut_one():
            pass

    def assume(self, bytes_a_second: float) -> None:
        """Cut by this pace of a worker where none has shown yet: for those who cut all before they load any."""
        for state in self._progress.values():
            if state.pace is None and state.table.data_bytes:
                state.pace = bytes_a_second * max(state.table.rows_estimate, 1) / state.table.data_bytes

    def learn(self, copied: Copied) -> bool:
        """Take note of a chunk that was copied; whether its table is now loaded whole."""
        state = self._progress[copied.chunk.path]
        state.waiting.discard(copied.chunk)
        state.rows += copied.rows
        seconds = copied.ended - copied.started
        if copied.rows and seconds > 0.02:
            latest = copied.rows / seconds
            state.pace = latest if state.pace is None else (state.pace + latest) / 2
        return self._loaded(state)

    def loaded_already(self) -> Iterable[Table]:
        """Tables of which an interrupted load had brought every row."""
        return [state.table for state in self._progress.values() if self._loaded(state)]

    def kept(self) -> dict[tuple[str, str], int]:
        """Rows kept of an interrupted load, by table."""
        return {path: state.kept_rows for path, state in self._progress.items() if state.kept_rows}

    def expected_rows(self) -> float:
        """Rows of all tables, as far as they are known: counted where a table is loaded, estimated otherwise."""
        return sum(
            state.rows + state.kept_rows
            if self._loaded(state)
            else max(state.table.rows_estimate, state.rows + state.kept_rows)
            for state in self._progress.values()
        )

    def share(self, path: tuple[str, str], so_far: int) -> float:
        """How much of a table is loaded, from 0 to 1, with `so_far` rows on their way."""
        state = self._progress[path]
        return min(1.0, (state.rows + state.kept_rows + so_far) / max(state.table.rows_estimate, 1))

    def _loaded(self, state: _Progress) -> bool:
        return state.cut and not state.units and not state.waiting and state.table.path not in self._whole

    def _take_up(self, state: _Progress, known: Sequence[Noted]) -> None:
        for noted in known:
            state.number = max(state.number, noted.chunk.number)
            if noted.loaded:
                state.kept_rows += noted.rows
            else:
                self._hold_ready(state, noted.chunk)
        if any(noted.chunk.partition is None and noted.chunk.upper is None for noted in known):
            state.cut = True
            return
        begun = {noted.chunk.partition for noted in known}
        ended = {noted.chunk.partition for noted in known if noted.chunk.upper is None}
        # The partition that was being cut goes on behind its last bound; the others follow.
        going = [unit for unit in begun if unit not in ended]
        state.units.extend([*going, *(unit for unit in _units(state.table) if unit not in begun)])
        for noted in known:
            if noted.chunk.partition in going:
                state.lower = noted.chunk.upper
        state.cut = not state.units

    def _hold_ready(self, state: _Progress, chunk: Chunk) -> None:
        state.waiting.add(chunk)
        way = self._ways.get(chunk.path, STRAIGHT)
        task = job(state.table, chunk, self._ledger.noted(chunk), self._ledger.known(chunk), way)
        self._ready.append(Task(chunk, task))

    def _cut_one(self) -> bool:
        """Make one more chunk ready; whether there was one."""
        for state in self._progress.values():
            if state.table.path in self._whole:
                self._hold_ready(state, self._whole.pop(state.table.path))
                return True
            if state.units:
                self._hold_ready(state, self._next_chunk(state))
                return True
        return False

    def _next_chunk(self, state: _Progress) -> Chunk:
        table, unit, rows, lower = state.table, state.units[0], self._rows(state), state.lower
        key = chunkable_key(table)
        only = self._ways.get(table.path, STRAIGHT).flow.where

        def bound() -> Key | None:
            with self._source.session() as session:
                return next_bound(session, table, key, lower, rows, unit, only)

        upper = retried(bound, tries=6)
        state.number += 1
        state.handed_rows += rows
        chunk = Chunk(*table.path, state.number, key, lower, upper, unit)
        retried(lambda: self._ledger.plan([chunk]), tries=6)
        state.lower = upper
        if upper is None:
            state.units.popleft()
            state.cut = not state.units
        return chunk

    def _rows(self, state: _Progress) -> int:
        """How many rows the next chunk of a table should have."""
        table = state.table
        row_bytes = max(table.data_bytes / max(table.rows_estimate, 1), 20)
        wanted = _FIRST_BYTES / row_bytes if state.pace is None else state.pace * self._settings.chunk_seconds
        least = max(1.0, _LEAST_BYTES / row_bytes)
        left = table.rows_estimate - state.handed_rows - state.kept_rows
        if left > 0:
            # Towards the end smaller, so that all workers end together.
            wanted = min(wanted, max(left / (2 * self._settings.workers), least))
        return max(1, min(int(max(wanted, least)), self._settings.chunk_rows))


def _units(table: Table) -> list[str | None]:
    """What a table is cut in: its partitions, each with the key's order of its own, or itself."""
    names = list(dict.fromkeys(partition.name for partition in table.partitions))
    return [*names] if names else [None]
