"""Rows by the keys that a binlog named: the touched rows of a table, read on both servers some thousands at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

from workbook.bulk.chunks import Chunk
from workbook.catalog import Table
from workbook.names import quote_mysql
from workbook.validate.binlog import Touched
from workbook.validate.binlog_rows import Layout, Wire
from workbook.validate.sums import Reading, Side
from workbook.validate.walk import Tally

# Beyond some megabytes of conditions the server would read the whole table instead.
_KEYS_A_QUERY, _PARTS_A_QUERY = 5_000, 2_000
_RUN = 4  # so many keys that follow each other are a range


@dataclass(frozen=True)
class Keyed(Chunk):
    """The rows of some keys, written as literals; `whole` where they are whole numbers in their order."""

    keys: tuple[str, ...] = ()
    whole: bool = False

    def where(self) -> tuple[str, list[object]]:
        """The WHERE clause: one column, or several as a tuple, is one of the keys."""
        names = ", ".join(map(quote_mysql, self.key))
        if not self.whole:
            return f" WHERE {f'({names})' if len(self.key) > 1 else names} IN ({', '.join(self.keys)})", []
        # Keys that follow each other are read as one range, for a fifth of what looking each of them up costs.
        parts, alone = [], []
        for run in _runs(self.keys):
            if len(run) < _RUN:
                alone += run
            else:
                parts.append(f"{names} BETWEEN {run[0]} AND {run[-1]}")
        if alone:
            parts.append(f"{names} IN ({', '.join(alone)})")
        return f" WHERE ({' OR '.join(parts)})", []


def keyed_chunks(table: Table, touched: Iterable[Touched]) -> tuple[Keyed, ...]:
    """The touched rows of a table, in the order of their keys where those are numbers, so that neighbours are read together."""
    columns = [table.column[name] for name in table.key]
    raw: dict[tuple[Wire, ...], tuple[Layout, set[bytes]]] = {}
    for one in touched:
        if one.layout is not None:
            _, keys = raw.setdefault(one.layout.of_key, (one.layout, set()))
            keys |= one.keys
    literals: set[str] = set()
    for layout, keys in raw.values():
        literals.update(map(layout.literals(columns), keys))
    whole = len(columns) == 1 and columns[0].data_type.endswith("int")
    ordered = iter(sorted(literals, key=int) if whole else sorted(literals))
    size = max(_PARTS_A_QUERY // len(columns), 1) if len(columns) > 1 else _KEYS_A_QUERY
    return tuple(
        Keyed(table.database, table.name, number, table.key, None, None, None, part, whole)
        for number, part in enumerate(_parts(ordered, size), 1)
    )


def _parts(keys: Iterator[str], size: int) -> Iterator[tuple[str, ...]]:
    while part := tuple(islice(keys, size)):
        yield part


def _runs(keys: Sequence[str]) -> Iterator[list[str]]:
    """Whole numbers in their order, those that follow each other together."""
    run: list[str] = []
    for key in keys:
        if run and int(key) != int(run[-1]) + 1:
            yield run
            run = []
        run.append(key)
    if run:
        yield run


def read_keyed(
    readings: tuple[Reading, Reading],
    chunks: Sequence[Chunk],
    pause: Callable[[], None],
    attempted: Callable[[Callable[[], Side]], Side | str],
) -> tuple[Side | str, Side | str]:
    """The digests of the same chunks on both servers; a side that cannot be read is the reason why."""

    def read(reading: Reading) -> Side:
        tally = Tally(True, False)
        for chunk in chunks:
            pause()
            tally.read(reading, chunk)
        return tally.side()

    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(attempted, partial(read, reading)) for reading in readings)
        return one.result(), other.result()
