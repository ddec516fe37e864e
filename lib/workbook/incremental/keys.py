"""Keys of rows from MySQL to BigQuery: which of them both sides tell apart alike, and key ranges as GoogleSQL conditions."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workbook.bulk.chunks import Key, chunkable_key
from workbook.catalog import Table
from workbook.incremental.state import Bounds
from workbook.mapping import TableMap
from workbook.mapping.cleaning import google_string
from workbook.mapping.types import RULES
from workbook.names import quote_bigquery
from workbook.validate.binlog import Touched
from workbook.validate.binlog_rows import Unreadable
from workbook.validate.canonical import encode
from workbook.warehouse.extract import ParquetFile, as_arrow

_RULE = {rule.name: rule for rule in RULES}
# Python's names of the character sets in which a key is told from its bytes.
_CODECS = {"utf8mb4": "utf-8", "utf8mb3": "utf-8", "utf8": "utf-8", "ascii": "ascii", "latin1": "cp1252"}
_LITERALS: dict[str, Callable[[object], str]] = {
    "integer": str,
    "year": str,
    "unsigned-64": lambda value: f"NUMERIC '{value}'",
    "numeric": lambda value: f"NUMERIC '{value}'",
    "date": lambda value: f"DATE {google_string(str(value))}",
    "datetime": lambda value: f"DATETIME {google_string(str(value))}",
    "timestamp": lambda value: f"TIMESTAMP {google_string(f'{value}+00:00')}",
    "bytes": lambda value: f"FROM_HEX('{value.hex() if isinstance(value, bytes) else ''}')",
}
# Keys by these rules are equal in BigQuery where they are in the binlog: text to the byte.
_EQUAL = {*_LITERALS, "text"}


def why_not_equal(mapped: TableMap, table: Table) -> str:
    """Why rows cannot be found in the warehouse by their key; nothing where they can."""
    if not table.key:
        return "it has no key"
    if not chunkable_key(table) or any(
        mapped.column[name].rule not in _EQUAL for name in table.key if name in mapped.column
    ):
        return "BigQuery does not tell its keys apart as MySQL does"
    if any(name not in mapped.column for name in table.key):
        return "a column of its key is not in the warehouse"
    return ""


def ordered_alike(mapped: TableMap, table: Table) -> bool:
    """Whether both sides have the keys in the same order, so that a range of them is the same rows."""
    return (
        bool(table.key)
        and not why_not_equal(mapped, table)
        and all(mapped.column[name].rule in _LITERALS for name in table.key)
    )


def matching(mapped: TableMap, table: Table, keys: str) -> str:
    """The condition on a table `t` of the warehouse that the table at the quoted path `keys` has its key."""
    names = [quote_bigquery(mapped.column[name].warehouse_name) for name in table.key]
    return f"EXISTS (SELECT 1 FROM {keys} AS k WHERE {' AND '.join(f'k.{name} = t.{name}' for name in names)})"


def within(mapped: TableMap, table: Table, ranges: Sequence[Bounds]) -> str:
    """The condition on a table `t` of the warehouse that its key lies in one of the ranges: above the first, up to the second."""
    joined: list[Bounds] = []
    for low, high in ranges:
        if joined and joined[-1][1] == low and low is not None:
            joined[-1] = joined[-1][0], high
        else:
            joined.append((low, high))
    return " OR ".join(f"({_one_range(mapped, table, low, high)})" for low, high in joined)


def _one_range(mapped: TableMap, table: Table, low: Key | None, high: Key | None) -> str:
    parts = [f"({_beyond(mapped, table, low)})"] if low is not None else []
    parts += [f"NOT ({_beyond(mapped, table, high)})"] if high is not None else []
    return " AND ".join(parts) or "TRUE"


def _beyond(mapped: TableMap, table: Table, bound: Key) -> str:
    columns = [mapped.column[name] for name in table.key]
    names = [f"t.{quote_bigquery(column.warehouse_name)}" for column in columns]
    values = [_LITERALS[column.rule](value) for column, value in zip(columns, bound, strict=True)]
    return " OR ".join(
        "("
        + " AND ".join([*(f"{names[at]} = {values[at]}" for at in range(place)), f"{names[place]} > {values[place]}"])
        + ")"
        for place in range(len(bound))
    )


def keys_file(touched: Touched, mapped: TableMap, table: Table, path: Path) -> ParquetFile:
    """The keys that a binlog names as a Parquet file of the key's columns. Raises Unreadable where one cannot be told."""
    columns = [table.column[name] for name in table.key]
    rules = [_RULE[mapped.column[name].rule] for name in table.key]
    assert touched.layout is not None
    values: list[list[bytes]] = [[] for _ in columns]
    make = touched.layout.values(columns)
    for raw in touched.keys:
        for place, value in enumerate(make(raw)):
            values[place].append(_as_extracted(rules[place].name, columns[place].charset, value))
    arrays = [as_arrow(tuple(column), rule.arrow) for column, rule in zip(values, rules, strict=True)]
    names = [mapped.column[name].warehouse_name for name in table.key]
    pq.write_table(pa.table(arrays, names=names), path)
    return ParquetFile(path, len(touched.keys), path.stat().st_size)


def _as_extracted(rule: str, charset: str | None, value: object) -> bytes:
    """A value of a key as the extraction gives it for the rule."""
    if isinstance(value, bytes):
        if rule == "bytes":
            return value
        if charset not in _CODECS:
            raise Unreadable(f"a key in the character set {charset}")
        return value.decode(_CODECS[charset]).encode()
    encoded = encode(rule, value, "shared").removesuffix(b";")
    if encoded == b"~":
        raise Unreadable("a key that BigQuery cannot hold")
    return encoded
