"""Cutting tables into chunks: key ranges that together hold every row once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from workbook.catalog import Index, Table
from workbook.names import mysql_path, quote_mysql, with_values
from workbook.servers import Session

# Keys of these types compare with a bound value exactly as the index orders them. An ENUM, for one, is ordered by its
# number but compared as text, and a FLOAT is not what its text says, so a table keyed by one is read in a single chunk.
_CHUNKABLE = {
    "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "char", "varchar", "binary", "varbinary", "year",
    "date", "datetime", "timestamp",
}  # fmt: skip
# Read as text: Python has no date for 0000-00-00 or 2019-02-31, and a YEAR is a number already.
_AS_TEXT = {"date", "datetime", "timestamp"}
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Chunk:
    """The rows of a table whose key is above `lower` and at most `upper`; None is open. `number` counts from 1.

    With a `partition`, only its rows.
    """

    database: str
    table: str
    number: int
    key: tuple[str, ...]
    lower: Key | None
    upper: Key | None
    partition: str | None = None

    @property
    def path(self) -> tuple[str, str]:
        """Database and table."""
        return self.database, self.table

    @property
    def named(self) -> str:
        """The chunk without the values of its bounds."""
        return f"{mysql_path(*self.path)}, chunk {self.number}"

    def __str__(self) -> str:
        where = mysql_path(*self.path) + (f", partition {quote_mysql(self.partition)}" if self.partition else "")
        if self.lower is None and self.upper is None:
            return f"{where}, all rows"
        return f"{where}, key ({', '.join(self.key)}) above {self.lower} up to {self.upper}"

    def where(self) -> tuple[str, list[Any]]:
        """The WHERE clause (empty for all rows) with places for its values, and the values."""
        conditions, values = [], []
        if self.lower is not None:
            condition, bound = _beyond(self.key, self.lower, ">")
            conditions.append(condition)
            values += bound
        if self.upper is not None:
            # Up to and including: not beyond, written so that the index serves it.
            if len(self.key) == 1:
                conditions.append(f"{with_values(quote_mysql(self.key[0]))} <= %s")
                values.append(self.upper[0])
            else:
                condition, bound = _beyond(self.key, self.upper, "<")
                equal = " AND ".join(f"{with_values(quote_mysql(name))} = %s" for name in self.key)
                conditions.append(f"({condition} OR ({equal}))")
                values += [*bound, *self.upper]
        return (" WHERE " + " AND ".join(conditions) if conditions else ""), values


def chunkable_key(table: Table) -> tuple[str, ...]:
    """The columns by which the table can be cut, or nothing where it is one chunk.

    The key that names its rows; a keyless table is cut by an index without NULLs, where it has one: rows alike in it
    then stay together.
    """
    if table.key:
        return table.key if _serves(table, table.key) else ()
    for index in table.indexes:
        if _whole(table, index) and _serves(table, index.columns):
            return index.columns
    return ()


def cut(session: Session, table: Table, rows: int) -> list[Chunk]:
    """The chunks of a table, of about `rows` rows each, found by walking its key index."""
    key = chunkable_key(table)
    bounds: list[Key] = []
    # The estimate may be far off, so a table is taken whole only where it is small by a wide margin.
    if key and table.rows_estimate > rows // 2:
        while True:
            bound = next_bound(session, table, key, bounds[-1] if bounds else None, rows)
            if bound is None:
                break
            bounds.append(bound)
    edges: Sequence[Key | None] = [None, *bounds, None]
    return [
        Chunk(table.database, table.name, number, key, lower, upper)
        for number, (lower, upper) in enumerate(pairwise(edges), 1)
    ]


def next_bound(
    session: Session,
    table: Table,
    key: Sequence[str],
    lower: Key | None,
    rows: int,
    partition: str | None = None,
    only: str | None = None,
) -> Key | None:
    """The key of the row that stands `rows` rows above `lower` in the order of the key; None beyond the last row.

    `only` is a condition that the rows meet: a key of others is never seen.
    """
    chosen = ", ".join(
        f"CAST({quote_mysql(name)} AS CHAR) AS {quote_mysql(name)}"
        if table.column[name].data_type in _AS_TEXT
        else quote_mysql(name)
        for name in key
    )
    part = f" PARTITION ({quote_mysql(partition)})" if partition is not None else ""
    condition, values = _beyond(key, lower, ">") if lower is not None else ("TRUE", [])
    if only:
        condition += f" AND ({with_values(only)})"
    # The names in ORDER BY are the table's columns, not what the SELECT made of them.
    order = ", ".join(f"{quote_mysql(table.name)}.{quote_mysql(name)}" for name in key)
    found = session.rows(
        f"SELECT {with_values(chosen)} FROM {with_values(mysql_path(*table.path) + part)} WHERE {condition}"
        f" ORDER BY {with_values(order)} LIMIT 1 OFFSET {max(rows, 1) - 1}",
        values,
    )
    return tuple(found[0].values()) if found else None


def _whole(table: Table, index: Index) -> bool:
    return all(part.column and part.prefix is None and not table.column[part.column].nullable for part in index.parts)


def _serves(table: Table, columns: Sequence[str]) -> bool:
    return all(table.column[name].data_type in _CHUNKABLE for name in columns)


def _beyond(key: Sequence[str], bound: Key, sign: str) -> tuple[str, list[Any]]:
    """`key` beyond `bound` in the order of the key: a > x OR (a = x AND b > y) …, which the range optimizer understands."""
    parts, values = [], []
    for place in range(len(key)):
        equal = [f"{with_values(quote_mysql(name))} = %s" for name in key[:place]]
        parts.append("(" + " AND ".join([*equal, f"{with_values(quote_mysql(key[place]))} {sign} %s"]) + ")")
        values += [*bound[:place], bound[place]]
    return "(" + " OR ".join(parts) + ")", values
