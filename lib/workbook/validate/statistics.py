"""Statistics of a column that all sides can take: what is counted, its SQL for MySQL and GoogleSQL, and what comes back.

Numbers and moments are counted as the numbers of the type map (days, microseconds), so that bounds of histograms are
exact and mean the same on every side. Of texts and bytes lengths are counted, for their values are nobody's business here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

from workbook.names import quote_bigquery, quote_mysql
from workbook.validate.encoding import Field

SIDES = ("source", "target", "warehouse")
BINS = 12
# Columns counted in one statement: each COUNT(DISTINCT) may take 16 MB of a server's memory.
COLUMNS_A_STATEMENT = 24
_NUMBERS = ("unsigned-64", "integer", "year", "bits-64", "bits", "numeric", "bignumeric", "decimal-text", "bool")
_FAMILIES = {
    **dict.fromkeys(_NUMBERS, "number"),
    "float": "float",
    **dict.fromkeys(("date", "datetime", "timestamp", "time-micros", "time"), "moment"),
    **dict.fromkeys(("text", "long-text", "json-text", "temporal-text"), "text"),
    **dict.fromkeys(("bytes", "long-bytes", "geometry-bytes"), "bytes"),
}
# Distinct values of these would cost more than they tell.
_LONG = ("long-text", "json-text", "long-bytes", "geometry-bytes")
HALF = 1_000_000_000
Number = int | float | Decimal


@dataclass(frozen=True)
class Figures:
    """What was counted of a column on one side. `nulls` are NULLs; `unreal` are dates that no calendar has.

    `low`, `high` and `total` are of the numbers, of moments as days or microseconds, of texts and bytes of their lengths;
    a total is exact but for doubles. `bins` count the values below each bound and from the last one on.
    """

    nulls: int
    distinct: int | None = None
    low: Number | None = None
    high: Number | None = None
    total: Number | None = None
    unreal: int | None = None
    bins: tuple[int, ...] = ()


@dataclass(frozen=True)
class ColumnStatistics:
    """A column on all sides that were counted; `bounds` part the bins of the histogram. `masked`: a mask hides its values.

    `personal`: its name promises what is personal, so that its lowest and highest value are not shown.
    """

    name: str
    family: str
    rule: str
    sides: Mapping[str, Figures] = field(default_factory=dict)
    bounds: tuple[Number, ...] = ()
    masked: bool = False
    personal: bool = False

    def unlike(self, side: str) -> tuple[str, ...]:
        """The figures of a side that are not the source's. Dates that no calendar has are NULL in the warehouse, by rule."""
        source, other = self.sides.get("source"), self.sides.get(side)
        if source is None or other is None or side == "source":
            return ()
        found = []
        nulls = source.nulls + (source.unreal or 0) if side == "warehouse" else source.nulls
        if other.nulls != nulls:
            found.append("nulls")
        for name in ("distinct", "low", "high", "total", "bins"):
            one, two = getattr(source, name), getattr(other, name)
            if one is None or two is None or (name == "bins" and not (one and two)):
                continue
            if side == "warehouse" and source.unreal and name == "distinct":
                continue
            if one != two and not (self.family == "float" and name == "total" and _close(one, two)):
                found.append(name)
        if side == "target" and other.unreal != source.unreal:
            found.append("unreal")
        return tuple(found)


@dataclass(frozen=True)
class TableStatistics:
    """The rows of a table on all sides, and its columns; `why` says what was left out, or kept a side from being counted."""

    path: tuple[str, str]
    rows: Mapping[str, int] = field(default_factory=dict)
    columns: tuple[ColumnStatistics, ...] = ()
    why: str = ""

    @property
    def figures(self) -> int:
        """How many figures were set side by side."""
        return sum(
            sum(getattr(column.sides[side], name) not in (None, ()) for name in Figures.__dataclass_fields__)
            for column in self.columns
            for side in column.sides
            if side != "source"
        )

    @property
    def unlike(self) -> int:
        """How many of them are not the source's."""
        return sum(len(column.unlike(side)) for column in self.columns for side in SIDES)


def family_of(item: Field) -> str:
    """Which figures suit a column."""
    return _FAMILIES[item.rule.name]


def mysql_figures(chosen: Sequence[Field], distinct: bool) -> list[tuple[str, str, str]]:
    """Column, figure and its SQL on source or target; `distinct` where values are few enough to be told apart."""
    found = []
    for item in chosen:
        if item.token is not None:
            continue
        column = item.stands or quote_mysql(item.name)
        value, family = _mysql_value(item), family_of(item)
        found.append((item.warehouse_name, "nulls", f"COUNT(*) - COUNT({column})"))
        if item.rule.name in ("date", "datetime", "timestamp"):
            found.append((item.warehouse_name, "unreal", f"COUNT({column}) - COUNT({value})"))
        if distinct and item.rule.name not in _LONG:
            counted = f"UNHEX(LEFT(SHA2({column}, 256), 24))" if family in ("text", "bytes") else value
            found.append((item.warehouse_name, "distinct", f"COUNT(DISTINCT {counted})"))
        found += [(item.warehouse_name, "low", f"MIN({value})"), (item.warehouse_name, "high", f"MAX({value})")]
        if family != "moment":
            found.append((item.warehouse_name, "total", f"SUM({value})"))
    return found


def google_figures(chosen: Sequence[Field], distinct: bool) -> list[tuple[str, str, str]]:
    """The same of a raw table of the warehouse."""
    found = []
    for item in chosen:
        if item.token is not None:
            continue
        column, family = quote_bigquery(item.warehouse_name), family_of(item)
        value = _google_value(item)
        found.append((item.warehouse_name, "nulls", f"COUNTIF({column} IS NULL)"))
        if distinct and item.rule.name not in (*_LONG, "decimal-text"):
            found.append((item.warehouse_name, "distinct", f"COUNT(DISTINCT {column})"))
        if value is None:
            continue
        found += [(item.warehouse_name, "low", f"MIN({value})"), (item.warehouse_name, "high", f"MAX({value})")]
        if family != "moment":
            if item.rule.warehouse_type in ("INT64", "BOOL") and family == "number":
                # A sum of INT64 would run over where MySQL's does not: it is taken in two halves.
                found.append((item.warehouse_name, "upper", f"SUM(DIV({value}, {HALF}))"))
                found.append((item.warehouse_name, "lower", f"SUM(MOD({value}, {HALF}))"))
            else:
                found.append((item.warehouse_name, "total", f"SUM({value})"))
    return found


def _mysql_value(item: Field) -> str:
    """The number that stands for a value: itself, days, microseconds, or its length."""
    column = item.stands or quote_mysql(item.name)
    family = family_of(item)
    if family == "text":
        return f"CHAR_LENGTH({item.rule.extract.replace('{c}', column) if 'CAST' in item.rule.extract else column})"
    if family == "bytes":
        return f"LENGTH({item.rule.extract.replace('{c}', column)})"
    return ("{c} + 0" if item.rule.name == "decimal-text" else item.rule.extract).replace("{c}", column)


def _google_value(item: Field) -> str | None:
    """The same in the warehouse; None for numbers that are text there."""
    column = quote_bigquery(item.warehouse_name)
    family = family_of(item)
    if item.rule.name == "decimal-text":
        return None
    if family == "text":
        return f"CHAR_LENGTH({column})"
    if family == "bytes":
        return f"BYTE_LENGTH({column})"
    if item.rule.name == "bool":
        return f"CAST({column} AS INT64)"
    if item.rule.name in ("date", "datetime", "timestamp", "time"):
        return item.rule.google.removeprefix("CAST(").removesuffix(" AS STRING)").replace("{c}", column)
    return column


def bounds_of(low: Number | None, high: Number | None) -> tuple[Number, ...]:
    """Bounds that part what lies between two values into bins, exact in their own kind; none where there is nothing to part."""
    if low is None or high is None or not low < high:
        return ()
    if isinstance(low, int) and isinstance(high, int):
        return tuple(dict.fromkeys(low + (high - low) * part // BINS for part in range(1, BINS) if part))
    if isinstance(low, float) or isinstance(high, float):
        first, last = float(low), float(high)
        if not (abs(first) < 1e300 and abs(last) < 1e300):
            return ()
        return tuple(dict.fromkeys(first + (last - first) * (part / BINS) for part in range(1, BINS)))
    with localcontext() as context:
        context.prec = 80
        places = max(
            -exponent
            for exponent in (Decimal(low).as_tuple().exponent, Decimal(high).as_tuple().exponent)
            if isinstance(exponent, int)
        )
        unit = Decimal(1).scaleb(-max(places, 0))
        step = (Decimal(high) - Decimal(low)) / BINS
        return tuple(dict.fromkeys((Decimal(low) + step * part).quantize(unit) for part in range(1, BINS)))


def mysql_bins(item: Field, bounds: Sequence[Number]) -> list[str]:
    """How many values lie from each bound on, on source or target."""
    value = _mysql_value(item)
    return [f"SUM(({value}) >= {_literal(bound)})" for bound in bounds]


def google_bins(item: Field, bounds: Sequence[Number]) -> list[str]:
    """The same in the warehouse."""
    value = _google_value(item)
    if value is None:
        return []
    typed = {"NUMERIC": "NUMERIC '{}'", "BIGNUMERIC": "BIGNUMERIC '{}'"}.get(item.rule.warehouse_type, "{}")
    return [f"COUNTIF({value} >= {typed.format(_literal(bound))})" for bound in bounds]


def bins(values: int, above: Sequence[Any]) -> tuple[int, ...]:
    """Counts of bins, given the number of values and how many lie from each bound on."""
    steps = [values, *(int(count or 0) for count in above), 0]
    return tuple(steps[place] - steps[place + 1] for place in range(len(steps) - 1))


def plain(value: Any) -> Number | None:
    """A figure as a server answers it: whole numbers as int, others as an exact Decimal or a double."""
    if value is None or isinstance(value, int | float):
        return value
    found = Decimal(value.decode() if isinstance(value, bytes) else str(value))
    if found == found.to_integral_value():
        return int(found)
    return found.normalize()


def _literal(bound: Number) -> str:
    return f"{bound:f}" if isinstance(bound, Decimal) else f"{bound!r}" if isinstance(bound, int) else f"{bound:.17e}"


def _close(one: Number, other: Number) -> bool:
    """Sums of doubles depend on the order of the rows."""
    return abs(float(one) - float(other)) <= 1e-9 * max(abs(float(one)), abs(float(other)))
