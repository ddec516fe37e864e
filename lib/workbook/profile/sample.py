"""Which rows are read of a large table, and what a bounded sample of values tells: quantiles, histograms, frequent values."""

import datetime
import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from workbook.catalog import Column, Table
from workbook.names import mysql_path, quote_mysql
from workbook.profile.measures import VALUE_KINDS, kind_of, plain
from workbook.profile.personal import looks_personal, shape
from workbook.profile.result import Histogram, Value
from workbook.servers import Session

# Values read of a table for quantiles and frequent values: the error of a quantile's rank stays under two per cent.
VALUES_READ = 4_000
_BLOCKS = 100
_SEED = 42
_BARS = 24
_TOP = 10
# The last second of the year 9999, the last that Python can tell.
_LAST_SECOND = 253_402_300_799
QUANTILES = (("p01", 0.01), ("p05", 0.05), ("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p95", 0.95), ("p99", 0.99))
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")


def whole_key(table: Table) -> Column | None:
    """The whole-number column that leads the primary key, along which blocks of rows can be read; None without one."""
    key = table.primary_key
    if key is None or not key.columns[0]:
        return None
    column = table.column[key.columns[0]]
    return column if column.data_type in _INTEGERS else None


def sample_condition(session: Session, table: Table, wanted: int, rows: int) -> str:
    """A condition that picks about `wanted` of the `rows` of `table`, the same ones each time.

    Blocks of neighbouring rows, spread evenly over a whole-number primary key, so that a table of any size costs the
    same; every row is looked at (and few are taken) where there is no such key, or its values leave such gaps that the
    blocks hold too little.
    """
    column = whole_key(table)
    if column is not None:
        name, path = quote_mysql(column.name), mysql_path(*table.path)
        ends = session.rows(f"SELECT MIN({name}) AS low, MAX({name}) AS high FROM {path}")[0]
        if ends["low"] is not None:
            ranges = _blocks(session, path, name, int(ends["low"]), int(ends["high"]), wanted)
            condition = "(" + " OR ".join(ranges) + ")"
            held = session.scalar(f"SELECT COUNT(*) FROM {path} WHERE {condition}")
            if held >= wanted / 2:
                return condition
    return f"RAND({_SEED}) < {min(1.0, wanted / max(1, rows)):.9f}"


def _blocks(session: Session, path: str, name: str, low: int, high: int, wanted: int) -> list[str]:
    """Half-open ranges of the key, each from an evenly spread start over as many rows as a block holds."""
    count = min(_BLOCKS, high - low + 1)
    size = math.ceil(wanted / count)
    # Each start lies anywhere in its part of the key: even steps would meet the rhythm of data that has one.
    chance = random.Random(_SEED)
    bounds = [low + (high - low + 1) * place // count for place in range(count + 1)]
    starts = [chance.randrange(begin, end) for begin, end in pairwise(bounds)]
    found = session.rows(
        " UNION ALL ".join(
            f"SELECT {start} AS low, (SELECT {name} FROM {path} WHERE {name} >= {start} ORDER BY {name}"
            f" LIMIT 1 OFFSET {size}) AS high"
            for start in starts
        )
    )
    ranges = []
    for start, row, following in zip(starts, found, [*starts[1:], None], strict=True):
        ends = [int(end) for end in (row["high"], following) if end is not None]
        ranges.append(f"({name} >= {start}" + (f" AND {name} < {min(ends)})" if ends else ")"))
    return ranges


def quantiles(kind: str, seen: Sequence[Any]) -> dict[str, Any]:
    """Quantiles by nearest rank of the values that are not NULL; only for kinds with an order that means something."""
    ordered = _ordered(kind, seen)
    if not ordered:
        return {}
    return {name: plain(ordered[min(len(ordered) - 1, int(share * len(ordered)))]) for name, share in QUANTILES}


def histogram(kind: str, seen: Sequence[Any]) -> Histogram | None:
    """Counts of the values in equal steps from the smallest to the largest; None where they are fewer than three."""
    numbers = [number for value in _ordered(kind, seen) if (number := _number(kind, value)) is not None]
    if len(numbers) < 3 or numbers[0] == numbers[-1]:
        return None
    bars = min(_BARS, max(5, math.isqrt(len(numbers))))
    low, step = numbers[0], (numbers[-1] / bars - numbers[0] / bars)
    if not math.isfinite(step) or step <= 0:
        return None
    counts = [0] * bars
    for number in numbers:
        counts[min(bars - 1, int(number / step - low / step))] += 1
    # Two parts, because the whole span of doubles is no double.
    edges = [low * (1 - place / bars) + numbers[-1] * (place / bars) for place in range(bars + 1)]
    return Histogram(tuple(_edge(kind, edge) for edge in edges), tuple(counts))


def frequent(kind: str, seen: Sequence[Any], masked: bool) -> tuple[Value, ...]:
    """The most frequent values, or shapes where the column is masked; nothing for values that hardly repeat."""
    known = [value for value in seen if value is not None]
    if masked:
        return tuple(Value(text, count) for text, count in Counter(shape(value) for value in known).most_common(_TOP))
    counted = Counter(known)
    if kind in ("float",) or (known and len(counted) > 0.9 * len(known) and len(known) > _TOP):
        return ()
    return tuple(Value(shown(value), count) for value, count in counted.most_common(_TOP))


def shown(value: Any) -> Any:
    """A value as the profile shows it: by its shape where it is plainly personal in a column that otherwise is not."""
    return shape(value) if looks_personal(value) else plain(value)


def _ordered(kind: str, seen: Sequence[Any]) -> list[Any]:
    known = [value for value in seen if value is not None]
    if kind in ("number", "float", "bits", "year"):
        return sorted(known)
    if kind == "date":
        # Text of one width sorts as the dates do; zero and partial dates are counted elsewhere.
        return sorted(value for value in known if "-00" not in value and not value.startswith("0000"))
    if kind == "time":
        return sorted(known, key=_seconds)
    return []


def _number(kind: str, value: Any) -> float | None:
    if kind == "date":
        try:
            return datetime.datetime.fromisoformat(value).replace(tzinfo=datetime.UTC).timestamp()
        except ValueError:
            return None
    return _seconds(value) if kind == "time" else float(value)


def _edge(kind: str, edge: float) -> Any:
    if kind != "date":
        return edge
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=min(edge, _LAST_SECOND))
    return moment.isoformat(sep=" ", timespec="seconds")


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.lstrip("-").split(":")
    size = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return -size if text.startswith("-") else size


def sampled_columns(table: Table) -> list[Column]:
    """The columns whose values are worth reading: all but long ones, documents and shapes."""
    return [column for column in table.columns if kind_of(column) in VALUE_KINDS]
