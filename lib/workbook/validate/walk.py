"""Walking a table in chunks of bearable length on both servers at once: the source leads, the target follows its cuts."""

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

from workbook.bulk.chunks import Chunk, Key, chunkable_key, next_bound
from workbook.catalog import Table
from workbook.names import mysql_path, quote_mysql
from workbook.servers import Session
from workbook.validate.encoding import Kind
from workbook.validate.resume import NOTHING, Noted
from workbook.validate.sums import Digest, Reading, Side, mysql_sums

# A query of a chunk shall take about so long, and read no more rows than can be set side by side in a moment.
_SECONDS = 0.25
_FEWEST, _MOST = 1_000, 20_000
# Where the first chunk is larger than this, it is cut by what the rows weigh.
_FIRST_BYTES = 4_000_000
# Whole numbers are cut by reckoning where at least one of so many is there, and by walking the index elsewhere.
_SPARSE = 4
_WHOLE = {"tinyint", "smallint", "mediumint", "int", "bigint"}


class Cutter:
    """Cuts a table into chunks, each aimed at a time by how long the last one took (`took`)."""

    def __init__(self, session: Session, table: Table):
        self._session = session
        self._table = table
        self._key = chunkable_key(table)
        each = max(table.data_bytes // max(table.rows_estimate, 1), 1)
        self._rows = min(max(_FIRST_BYTES // each, _FEWEST), _MOST)

    def took(self, rows: int, seconds: float) -> None:
        """Tell what the last chunk took."""
        if rows and seconds:
            fitting = int(rows * _SECONDS / seconds)
            self._rows = min(max(fitting, self._rows // 2, _FEWEST), self._rows * 2, _MOST)

    def chunks(self, cut: Sequence[Key | None] = ()) -> Iterator[Chunk]:
        """The chunks, from the lowest key to the highest; each is cut when it is asked for, behind those `cut` before."""
        lower: Key | None = None
        number = 0
        for number, upper in enumerate(cut, 1):
            yield Chunk(self._table.database, self._table.name, number, self._key, lower, upper)
            if upper is None:
                return
            lower = upper
        # The estimate may be far off, so a table is taken whole only where it is small by a wide margin.
        bounds = self._bounds(lower) if self._key and self._table.rows_estimate > self._rows // 2 else iter(())
        for upper in bounds:
            number += 1
            yield Chunk(self._table.database, self._table.name, number, self._key, lower, upper)
            lower = upper
        yield Chunk(self._table.database, self._table.name, number + 1, self._key, lower, None)

    def _bounds(self, bound: Key | None) -> Iterator[Key]:
        if len(self._key) == 1 and self._table.column[self._key[0]].data_type in _WHOLE:
            name = quote_mysql(self._key[0])
            (ends,) = self._session.rows(
                f"SELECT MIN({name}) AS low, MAX({name}) AS high FROM {mysql_path(*self._table.path)}"
            )
            low, high = ends["low"], ends["high"]
            if low is None:
                return
            spread = (int(high) - int(low) + 1) / max(self._table.rows_estimate, 1)
            if spread <= _SPARSE:
                last = int(low) - 1 if bound is None else int(bound[0])
                while (last := last + max(int(self._rows * spread), 1)) < int(high):
                    yield (last,)
                return
        while True:
            bound = next_bound(self._session, self._table, self._key, bound, self._rows)
            if bound is None:
                return
            yield bound


@dataclass
class Tally:
    """A side while it is read."""

    keyed: bool
    shared: bool = True
    noted: Noted = NOTHING
    total: dict[Kind, Digest] = field(default_factory=lambda: {"exact": Digest(), "shared": Digest()})
    chunks: dict[int, tuple[Chunk, Digest]] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)

    def read(self, reading: Reading, chunk: Chunk) -> int:
        """Add a chunk, known or read now; how many rows were read."""
        known = self.noted.find(chunk)
        digests, losses = known or mysql_sums(reading, self.keyed, chunk, self.shared)
        if known is None:
            self.noted.keep(chunk, (digests, losses))
        for kind, digest in digests.items():
            self.total[kind] = self.total[kind].plus(digest, self.keyed)
        self.chunks[chunk.number] = (chunk, digests["exact"])
        for name, count in losses.items():
            self.losses[name] = self.losses.get(name, 0) + count
        return 0 if known else digests["exact"].rows

    def side(self) -> Side:
        """All that was read."""
        return Side(self.total, self.chunks, losses=self.losses)


def walk_alone(
    reading: Reading,
    table: Table,
    keyed: bool,
    pause: Callable[[], None] = lambda: None,
    planned: Callable[[Chunk], None] = lambda chunk: None,
    shared: bool = True,
    noted: Noted = NOTHING,
) -> Side:
    """Read a table in its own order, `table` as it is where it is read; `planned` hears of each chunk before it is read."""
    tally, cutter = Tally(keyed, shared, noted), Cutter(reading.session, table)
    for chunk in cutter.chunks(noted.bounds()):
        if noted.find(chunk) is None:
            pause()
        planned(chunk)
        started = time.monotonic()
        rows = tally.read(reading, chunk)
        cutter.took(rows, time.monotonic() - started)
    return tally.side()


def walk_both(
    source: tuple[Reading, Table],
    target: tuple[Reading, Table],
    keyed: bool,
    pause: Callable[[], None],
    attempted: Callable[[Callable[[], Side]], Side | str],
    alike: bool,
    shared: bool,
    noted: tuple[Noted, Noted] = (NOTHING, NOTHING),
) -> tuple[Side | str, Side | str]:
    """Read a table on both servers at once; a side that cannot be read is the reason why.

    `alike`: both order their keys in the same way, so that the target follows the source's cuts and chunks compare.
    `shared`: the sides will be compared with the warehouse too. `noted`: what is known of either.
    """
    cuts: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()

    def lead() -> Side:
        try:
            return walk_alone(*source, keyed, pause, cuts.put, shared, noted[0])
        finally:
            cuts.put(None)

    def follow() -> Side:
        tally = Tally(keyed, shared, noted[1])
        for chunk in iter(cuts.get, None):
            tally.read(target[0], chunk)
        return tally.side()

    def alone() -> Side:
        return walk_alone(*target, keyed, pause, shared=shared, noted=noted[1])

    with ThreadPoolExecutor(2) as pool:
        leading = pool.submit(attempted, lead)
        following = pool.submit(attempted, follow if alike else alone)
        here, there = leading.result(), following.result()
    if isinstance(here, str) and alike and not isinstance(there, str):
        # It followed cuts that ended early.
        there = attempted(alone)
    return here, there


def joined(chunks: Sequence[Chunk], rows: Sequence[int], most: int) -> list[Chunk]:
    """Neighbouring chunks as one, of at most about `most` rows."""
    ends, total = [], 0
    for count in rows:
        total += count
        ends.append(total // max(most, 1))
    groups = [
        [chunk for chunk, _ in group] for _, group in groupby(zip(chunks, ends, strict=True), lambda pair: pair[1])
    ]
    return [
        Chunk(first.database, first.table, first.number, first.key, first.lower, group[-1].upper)
        for group in groups
        for first in group[:1]
    ]
