"""Statistics side by side: a line a column, a figure that differs stands out, and the histograms of the sides lie on one another."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from workbook import faces
from workbook.validate.hops import SIDE_TITLES
from workbook.validate.statistics import SIDES, ColumnStatistics, Number, TableStatistics

_WIDTH, _HEIGHT = 96, 30
_LETTERS = {"source": "S", "target": "C", "warehouse": "B"}
# What the figures are called, by family; "total" of a length is its sum.
FIGURES = {"nulls": "NULLs", "distinct": "Distinct", "low": "Lowest", "high": "Highest", "total": "Sum"}
# The columns of a table's drill-down.
HEADS = {"histogram": "Histogram", "nulls": "NULLs", "distinct": "Distinct", "range": "From … to", "total": "Sum"}


def figures_of(column: ColumnStatistics, tolerated: Mapping[str, bool]) -> dict[str, object]:
    """The cells of a column: each figure once where all sides have it, else by side; `tolerated` sides differ by a rule."""
    unlike = {side: column.unlike(side) for side in SIDES}
    cells: dict[str, object] = {
        name: _cell(column, (name,), unlike, tolerated) for name in ("nulls", "distinct", "total")
    }
    cells["range"] = _cell(column, ("low", "high"), unlike, tolerated)
    cells["histogram"] = _histogram(column)
    if column.sides and column.sides[next(iter(column.sides))].unreal:
        cells["nulls"] = faces.Html(f"{cells['nulls']} {_unreal(column)}")
    return cells


def shown(value: Number | None, column: ColumnStatistics, figure: str) -> str:
    """A figure as people write it: moments as dates, lengths as they are."""
    if value is None:
        return "–"
    if column.personal and figure in ("low", "high") and column.family not in ("text", "bytes"):
        return "masked"
    if figure in ("low", "high") and column.family == "moment" and isinstance(value, int):
        return _moment(value, column.rule)
    if isinstance(value, float):
        return f"{value:.10g}"
    return f"{value:,}" if isinstance(value, int) or abs(value.adjusted()) < 40 else str(value)


def unlike_figures(statistics: Sequence[TableStatistics]) -> faces.Html:
    """Every figure that is not the source's, with how far it is off: a bar to either side of nothing."""
    rows: list[dict[str, object]] = []
    compared = 0
    for table in statistics:
        compared += table.figures
        for column in table.columns:
            for side in SIDES:
                for figure in column.unlike(side):
                    rows.append(_off(table, column, side, figure))
    uncounted = [f"{'.'.join(table.path)}: {table.why}" for table in statistics if ": " in table.why]
    if not rows:
        said = (
            f"All {compared:,} figures of {len(statistics):,} tables are the source's."
            if compared
            else "No statistics were taken."
        )
        return faces.stack(faces.text(said), *(faces.text(why, muted=True) for why in uncounted[:5]))
    rows.sort(key=lambda row: -float(str(row["size"])))
    heads = {
        "column": "Column",
        "side": "On",
        "figure": "Figure",
        "source": "Source",
        "there": "There",
        "off": "Off by",
    }
    return faces.stack(
        faces.text(f"{len(rows):,} of {compared:,} figures are not the source's, the farthest off first."),
        faces.table(rows, heads, limit=100, caption="Figures that differ from the source's"),
        *(faces.text(why, muted=True) for why in uncounted[:5]),
    )


def _off(table: TableStatistics, column: ColumnStatistics, side: str, figure: str) -> dict[str, object]:
    one, other = (getattr(column.sides[name], figure) for name in ("source", side))
    if figure == "bins":
        moved = sum(abs(a - b) for a, b in zip(one, other, strict=True))
        share = moved / max(sum(one) + sum(other), 1)
        said: tuple[object, object] = _histogram(column), ""
        words = f"{moved:,} values in other bins"
    else:
        share = _relative(one, other)
        said = shown(one, column, figure), shown(other, column, figure)
        words = _apart(one, other, column, figure)
    return {
        "column": f"{'.'.join(table.path)}.{column.name}",
        "side": SIDE_TITLES[side],
        "figure": {"bins": "Histogram", "unreal": "Zero dates"}.get(figure, FIGURES.get(figure, figure)),
        "source": said[0],
        "there": said[1],
        "off": faces.Html(f"{faces.bare(faces.diverging(share))} {faces.escape(words)}"),
        "size": abs(share),
    }


def _apart(one: Number | None, other: Number | None, column: ColumnStatistics, figure: str) -> str:
    if one is None or other is None:
        return ""
    apart = Decimal(str(other)) - Decimal(str(one))
    if column.family == "moment" and figure in ("low", "high"):
        return (
            str(timedelta(**{"days" if column.rule == "date" else "microseconds": int(apart)}))
            if abs(apart) < 10**14
            else ""
        )
    return f"{apart:+,}" if abs(apart.adjusted()) < 40 else f"{apart:+}"


def _relative(one: Number | None, other: Number | None) -> float:
    """How far off a figure is, from -1 to 1."""
    if one is None or other is None:
        return 1.0
    apart, size = float(other) - float(one), max(abs(float(one)), abs(float(other)))
    return max(-1.0, min(1.0, apart / size)) if size else 0.0


def _cell(
    column: ColumnStatistics, figures: Sequence[str], unlike: Mapping[str, Sequence[str]], tolerated: Mapping[str, bool]
) -> faces.Html:
    """One figure, or the two of a range: once where all sides have the same, else a line for each side."""
    known = {
        side: values
        for side, found in column.sides.items()
        if None not in (values := tuple(getattr(found, figure) for figure in figures))
    }
    if not known:
        return faces.Html("")
    lengths = {"text": " chars", "bytes": " bytes"}.get(column.family, "") if figures[0] in ("low", "total") else ""
    written = {
        side: " … ".join(shown(value, column, figure) for value, figure in zip(values, figures, strict=True)) + lengths
        for side, values in known.items()
    }
    if not any(set(figures) & set(unlike[side]) for side in known):
        return faces.Html(f'<span class="wb-short">{faces.escape(next(iter(written.values())))}</span>')
    parts = []
    for side, text in written.items():
        kind = "" if not set(figures) & set(unlike[side]) else "wb-ruled" if tolerated.get(side) else "wb-unlike"
        parts.append(f'<div class="wb-short {kind}"><small>{_LETTERS[side]}</small> {faces.escape(text)}</div>')
    return faces.Html("".join(parts))


def _unreal(column: ColumnStatistics) -> str:
    count = next(iter(column.sides.values())).unreal
    return f'<div class="wb-muted wb-short">+ {count:,} zero dates</div>'


def _histogram(column: ColumnStatistics) -> faces.Html:
    """The source as ground, the others as lines above it; what the sides have not in common is filled."""
    sides = {side: found.bins for side, found in column.sides.items() if found.bins}
    if not sides:
        return faces.Html("")
    most = max(max(bars) for bars in sides.values()) or 1
    count = max(len(bars) for bars in sides.values())
    first = next(iter(sides))
    parts = [f'<path class="s" d="{_outline(sides[first], most)}"/>']
    for side, mark in (("target", "t"), ("warehouse", "w")):
        if side in sides and side != first:
            if sides[side] != sides[first]:
                parts.append(_between(sides[first], sides[side], most))
            parts.append(f'<path class="{mark}" d="{_outline(sides[side], most, closed=False)}"/>')
    said = "; ".join(f"{SIDE_TITLES[side]} {', '.join(map(str, bars))}" for side, bars in sides.items())
    alike = len(set(sides.values())) == 1
    about = f"{count} bins, {'alike on all sides' if alike else 'not alike'}" + ("" if alike else f": {said}")
    return faces.Html(
        f'<svg class="wb-hist" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{faces.attribute(about)}">{"".join(parts)}</svg>'
    )


def _outline(bars: Sequence[int], most: int, closed: bool = True) -> str:
    width = _WIDTH / len(bars)
    tops = [_top(bar, most) for bar in bars]
    path = f"M0 {_HEIGHT}" if closed else f"M0 {tops[0]:g}"
    for place, top in enumerate(tops):
        path += f"V{top:g}H{(place + 1) * width:g}"
    return path + (f"V{_HEIGHT}Z" if closed else "")


def _between(one: Sequence[int], other: Sequence[int], most: int) -> str:
    width = _WIDTH / len(one)
    pieces = []
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            high, low = sorted((_top(a, most), _top(b, most)))
            # A difference that is too small to be seen is made to be.
            pieces.append(f"M{place * width:g} {high:g}h{width:g}V{max(low, high + 2.5):g}h-{width:g}Z")
    return f'<path class="o" d="{"".join(pieces)}"/>'


def _top(bar: int, most: int) -> float:
    return round(_HEIGHT - (_HEIGHT - 2) * bar / most, 1)


def _moment(value: int, rule: str) -> str:
    try:
        if rule == "date":
            return str(date(1970, 1, 1) + timedelta(value))
        if rule in ("time", "time-micros"):
            hours, rest = divmod(abs(value), 3_600_000_000)
            return f"{'-' * (value < 0)}{hours:02}:{rest // 60_000_000:02}:{rest % 60_000_000 / 1e6:02g}"
        return str(datetime(1970, 1, 1) + timedelta(microseconds=value))
    except OverflowError:
        return f"{value:,}"
