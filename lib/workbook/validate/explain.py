"""From located differences to named defects with rows to show: the servers are asked, then the classifier decides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbook.catalog import Table
from workbook.validate.classify import classify
from workbook.validate.evidence import Reader, gather
from workbook.validate.rows import Located, RowDifference, shown


@dataclass(frozen=True)
class TableDefect:
    """A defect in one column of a table (None: in whole rows) on a hop: `rows` of the `looked` show it, of `total`.

    `kind` is changed, missing or extra; `samples` are rows that show it, with this column alone.
    """

    number: int
    column: str | None
    kind: str
    rows: int
    looked: int
    total: int
    evidence: str
    samples: tuple[RowDifference, ...]


def explained(
    table: Table,
    names: Sequence[str],
    located: Located,
    hashed: frozenset[int],
    before: Reader,
    after: Reader,
    rows_before: int | None,
    samples: int,
) -> tuple[TableDefect, ...]:
    """The defects of the differing rows of a table; `hashed` are the places of columns known by their hash alone."""
    evidence = gather(table, names, hashed, located, before, after)
    found = []
    for item in classify(table, names, located, evidence, rows_before):
        rows = shown(names, table.key, item.differences[:samples], samples)
        if item.column is not None:
            rows = tuple(
                replace(row, columns=tuple(change for change in row.columns if change[0] == item.column))
                for row in rows
            )
        found.append(
            TableDefect(item.number, item.column, item.kind, item.rows, item.looked, item.total, item.evidence, rows)
        )
    return tuple(found)
