"""Where keys are gone from a table: counts by stretches of the key on both sides, so that few keys need be read.

For tables whose key is one column of whole numbers. A stretch is named by its number nearest to zero, `key - key MOD size`,
which both sides work out alike, below zero too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbook.catalog import Table
from workbook.mapping import TableMap
from workbook.names import bigquery_rows, mysql_path, quote_bigquery, quote_mysql, with_values
from workbook.servers import Session
from workbook.warehouse.extract import Where

_RULES = ("integer", "unsigned-64")
# Below so many rows their keys are read sooner than counted.
_ROWS = 5_000_000
# So many stretches are asked for, and of so many the keys are read; beyond that reading all is simpler.
_STRETCHES, _MOST = 20_000, 5_000
# Ranges in one SELECT.
_RANGES = 200
# Keys are added up by what they leave over: the sum of a stretch stays a whole number of 64 bits.
_PRIME = 1_000_003
Counts = Mapping[int, tuple[int, int]]  # by stretch: the rows, and the sum of what their keys leave over


@dataclass(frozen=True)
class Stretches:
    """The stretches of a table's key, `size` numbers each."""

    table: Table
    mapped: TableMap
    size: int

    @property
    def _column(self) -> str:
        return quote_mysql(self.table.key[0])

    @property
    def _name(self) -> str:
        return quote_bigquery(self.mapped.column[self.table.key[0]].warehouse_name)

    def on_target(self, session: Session) -> Counts:
        """What the target holds."""
        key = self._column
        return counts(
            session.rows(
                f"SELECT {key} - {key} MOD {self.size} AS b, COUNT(*) AS n, SUM({key} MOD {_PRIME}) AS s"
                f" FROM {mysql_path(*self.table.path)} GROUP BY b"
            )
        )

    def in_warehouse(self, raw: str, night: str, known: str) -> str:
        """The GoogleSQL of what the raw table will hold once the night's rows are in the place of those that are `known`."""
        return (
            f"SELECT k - MOD(k, {self.size}) AS b, COUNT(*) AS n, SUM(MOD(k, {_PRIME})) AS s FROM (SELECT t.{self._name} AS k"
            f" FROM {raw} AS t WHERE NOT {known} UNION ALL SELECT {self._name} FROM {bigquery_rows(night)}) GROUP BY b"
        )

    def wheres(self, unlike: Sequence[int]) -> Iterator[Where]:
        """The clauses of the target's rows in these stretches."""
        ranges: list[tuple[int, int]] = []
        unsigned = self.table.column[self.table.key[0]].unsigned
        for start in sorted(unlike):
            # Both sides of zero are one stretch.
            low = start - self.size + 1 if start < 0 or (start == 0 and not unsigned) else start
            high = start + self.size - 1 if start >= 0 else start
            if ranges and ranges[-1][1] + 1 == low:
                ranges[-1] = ranges[-1][0], high
            else:
                ranges.append((low, high))
        for at in range(0, len(ranges), _RANGES):
            some = ranges[at : at + _RANGES]
            clause = " OR ".join([f"{with_values(self._column)} BETWEEN %s AND %s"] * len(some))
            yield f" WHERE {clause}", [bound for pair in some for bound in pair]

    def condition(self, unlike: Sequence[int]) -> str:
        """The GoogleSQL condition on a table `t` that its key lies in one of these stretches."""
        starts = ", ".join(map(str, sorted(unlike)))
        return f"t.{self._name} - MOD(t.{self._name}, {self.size}) IN ({starts})"


def stretches(session: Session, table: Table, mapped: TableMap, rows: int) -> Stretches | None:
    """How the key of a table of so many rows is cut; None where it is no single whole number, or the rows are few."""
    if rows < max(1, _ROWS) or len(table.key) != 1 or mapped.column[table.key[0]].rule not in _RULES:
        return None
    column = quote_mysql(table.key[0])
    (found,) = session.rows(f"SELECT MIN({column}) AS low, MAX({column}) AS high FROM {mysql_path(*table.path)}")
    return Stretches(table, mapped, max(1, (int(found["high"]) - int(found["low"])) // _STRETCHES))


def counts(rows: Sequence[Mapping[str, Any]]) -> Counts:
    """The answer of either side by stretch."""
    return {int(row["b"]): (int(row["n"]), int(row["s"])) for row in rows}


def unlike(here: Counts, there: Counts) -> list[int] | None:
    """The stretches that differ; None where so many do that reading every key is simpler."""
    found = [start for start in {*here, *there} if here.get(start) != there.get(start)]
    return found if len(found) <= _MOST else None
