"""Cutting tables into chunks: key ranges that together hold every row once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from workbook.catalog import Table
from workbook.names import mysql_path, quote_mysql, with_values
from workbook.servers import Session

# Keys of these types compare with a bound value exactly as the index orders them. An ENUM, for one, is ordered by its
# number but compared as text, so a table keyed by one is read in a single chunk.
_CHUNKABLE = {
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "bigint",
    "decimal",
    "char",
    "varchar",
    "binary",
    "varbinary",
    "year",
}
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Chunk:
    """The rows of a table whose key is above `lower` and at most `upper`; None is open. `number` counts from 1."""

    database: str
    table: str
    number: int
    key: tuple[str, ...]
    lower: Key | None
    upper: Key | None

    @property
    def path(self) -> tuple[str, str]:
        """Database and table."""
        return self.database, self.table

    def __str__(self) -> str:
        if self.lower is None and self.upper is None:
            return f"{mysql_path(*self.path)}, all rows"
        return f"{mysql_path(*self.path)}, key ({', '.join(self.key)}) above {self.lower} up to {self.upper}"

    def where(self) -> tuple[str, list[Any]]:
        """The WHERE clause (empty for all rows) with places for its values, and the values."""
        conditions, values = [], []
        if self.lower is not None:
            condition, bound = _beyond(self.key, self.lower, ">")
            conditions.append(condition)
            values += bound
        if self.upper is not None:
            # Up to and including: not beyond, written so that the index serves it.
            condition, bound = _beyond(self.key, self.upper, "<")
            equal = " AND ".join(f"{with_values(quote_mysql(name))} = %s" for name in self.key)
            conditions.append(f"({condition} OR ({equal}))")
            values += [*bound, *self.upper]
        return (" WHERE " + " AND ".join(conditions) if conditions else ""), values


def chunkable_key(table: Table) -> tuple[str, ...]:
    """The key by which the table can be cut, or nothing where it is one chunk."""
    if not table.key or not all(table.column[name].data_type in _CHUNKABLE for name in table.key):
        return ()
    return table.key


def cut(session: Session, table: Table, rows: int) -> list[Chunk]:
    """The chunks of a table, of about `rows` rows each, found by walking its key index in `session`'s snapshot."""
    key = chunkable_key(table)
    bounds: list[Key] = []
    # The estimate may be far off, so a table is taken whole only where it is small by a wide margin.
    if key and table.rows_estimate > rows // 2:
        columns = with_values(", ".join(quote_mysql(name) for name in key))
        source = with_values(f"SELECT {', '.join(quote_mysql(name) for name in key)} FROM {mysql_path(*table.path)}")
        while True:
            condition, values = _beyond(key, bounds[-1], ">") if bounds else ("TRUE", [])
            found = session.rows(f"{source} WHERE {condition} ORDER BY {columns} LIMIT 1 OFFSET {rows - 1}", values)
            if not found:
                break
            bounds.append(tuple(found[0].values()))
    edges: Sequence[Key | None] = [None, *bounds, None]
    return [
        Chunk(table.database, table.name, number, key, lower, upper)
        for number, (lower, upper) in enumerate(pairwise(edges), 1)
    ]


def _beyond(key: Sequence[str], bound: Key, sign: str) -> tuple[str, list[Any]]:
    """`key` beyond `bound` in the order of the key: a > x OR (a = x AND b > y) …, which the range optimizer understands."""
    parts, values = [], []
    for place in range(len(key)):
        equal = [f"{with_values(quote_mysql(name))} = %s" for name in key[:place]]
        parts.append("(" + " AND ".join([*equal, f"{with_values(quote_mysql(key[place]))} {sign} %s"]) + ")")
        values += [*bound[:place], bound[place]]
    return "(" + " OR ".join(parts) + ")", values
