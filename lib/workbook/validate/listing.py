"""The files beside the result that hold everything: each table, each column with its statistics, and the rows that differ."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from workbook.validate.alike import TableHops, alike_rows, differing_share
from workbook.validate.drilldown import FINDINGS
from workbook.validate.heatmap import TABLES
from workbook.validate.statistics import SIDES, ColumnStatistics, TableStatistics
from workbook.validate.table_face import COLUMNS, ROWS

if TYPE_CHECKING:
    from workbook.validate.result import Finding

_FIGURES = ("nulls", "unreal", "distinct", "low", "high", "total")


def files_of(
    tables: Sequence[TableHops],
    statistics: Mapping[tuple[str, str], TableStatistics],
    findings: "Sequence[Finding]",
) -> dict[str, str]:
    """The content of each file by its name; that of rows only where some are listed."""
    made = {
        TABLES: _csv(_tables(tables)),
        COLUMNS: _csv(_columns(tables, statistics)),
        FINDINGS: _csv(_findings(findings)),
        ROWS: _csv(_rows(tables)),
    }
    return {name: text for name, text in made.items() if text.count("\n") > 1 or name in (TABLES, COLUMNS)}


def _tables(tables: Sequence[TableHops]) -> Iterable[Sequence[object]]:
    yield (
        "segment", "database", "table", "hop", "verdict", "rows_before", "rows_after", "missing", "extra", "changed",
        "rows_alike", "rows_of", "why",
    )  # fmt: skip
    for table in tables:
        for hop, found in table.hops.items():
            alike = alike_rows(found)
            yield (
                table.segment, *table.path, hop, found.verdict, found.rows_source, found.rows_target, found.missing,
                found.extra, found.changed, alike and alike.rows, alike and alike.of, found.why,
            )  # fmt: skip


def _columns(
    tables: Sequence[TableHops], statistics: Mapping[tuple[str, str], TableStatistics]
) -> Iterable[Sequence[object]]:
    yield (
        "database", "table", "column", "source_target", "target_warehouse", "source_warehouse", "share_differing",
        *(f"{figure}_{side}" for figure in _FIGURES for side in SIDES), "figures_unlike",
    )  # fmt: skip
    for table in tables:
        counted = statistics.get(table.path)
        columns = {column.name: column for column in counted.columns} if counted else {}
        for name in table.states:
            shares = [share for found in table.hops.values() if (share := differing_share(found, name)) is not None]
            column = columns.get(name)
            figures = [
                getattr(column.sides.get(side), figure, None) if column else None
                for figure in _FIGURES
                for side in SIDES
            ]
            unlike = [f"{side} {figure}" for side in SIDES for figure in column.unlike(side)] if column else []
            states = [
                table.hops[hop].columns.get(name) if hop in table.hops else None
                for hop in ("source-target", "target-warehouse", "source-warehouse")
            ]
            yield (*table.path, name, *states, max(shares, default=None), *figures, ", ".join(unlike))


def _figure(column: ColumnStatistics, figure: str, side: str) -> object:
    value = getattr(column.sides.get(side), figure, None)
    hidden = column.personal and figure in ("low", "high") and column.family not in ("text", "bytes")
    return "masked" if hidden and value is not None else value


def _findings(findings: "Sequence[Finding]") -> Iterable[Sequence[object]]:
    yield "number", "defect", "hop", "object", "column", "rows", "of_looked_at", "differ_here", "explanation", "repair"
    for item in findings:
        yield (
            item.id, item.defect, item.hop, item.object, item.column, item.rows, item.looked, item.total, item.explanation, item.repair,
        )  # fmt: skip


def _rows(tables: Sequence[TableHops]) -> Iterable[Sequence[object]]:
    yield "database", "table", "hop", "row_is", "key", "columns_that_differ"
    for table in tables:
        for hop, found in table.hops.items():
            for row in found.listed:
                yield (*table.path, hop, row.kind, row.key, row.columns)


def _csv(lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for line in lines:
        writer.writerow([_harmless(cell) for cell in line])
    return text.getvalue()


def _harmless(cell: object) -> object:
    """A text that a spreadsheet would take for a formula is marked as text."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{cell}"
    return cell
