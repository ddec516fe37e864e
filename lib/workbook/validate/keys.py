"""Rows by their keys: from the canonical text of a key to a condition that finds the row on a MySQL server."""

import re
from collections.abc import Sequence

from workbook.catalog import Column, Table
from workbook.names import mysql_string, quote_mysql
from workbook.validate.encoding import Kind
from workbook.validate.rows import Encoded, decoded

_NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year"}
_TEXTS = {"char", "varchar"}
_BYTES = {"binary", "varbinary"}
_DATES = {"date", "datetime", "timestamp"}
# Their texts come back as they are from any bytes.
_PLAIN_CHARSETS = {"ascii", "latin1", "utf8", "utf8mb3", "utf8mb4"}


def literal(column: Column, text: str, kind: Kind) -> str | None:
    """A canonical text as a literal that an index on the column can look up; None for types where it is no such thing."""
    if column.data_type in _NUMBERS:
        return text if re.fullmatch(r"-?\d+(\.\d+)?", text) else None
    if column.data_type in _TEXTS and column.charset in _PLAIN_CHARSETS:
        if not text.isascii() and column.charset != "utf8mb4":
            # What the column's character set does not hold is no error then, and no row.
            return f"CONVERT(_utf8mb4 x'{text.encode().hex()}' USING {column.charset})"
        if text.isprintable():
            return mysql_string(text)
        return f"_utf8mb4 x'{text.encode().hex()}'"
    if column.data_type in _BYTES:
        return f"x'{text}'" if re.fullmatch(r"(?:[0-9A-Fa-f]{2})*", text) else None
    if column.data_type in _DATES:
        if not re.fullmatch(r"-?\d+", text):
            # What BigQuery has no date for stands as it is.
            return mysql_string(text) if kind == "exact" else None
        unit = "DAY" if column.data_type == "date" else "MICROSECOND"
        start = "DATE '1970-01-01'" if column.data_type == "date" else "TIMESTAMP '1970-01-01 00:00:00'"
        return f"{start} + INTERVAL {text} {unit}"
    return None


def one_row(table: Table, key: Encoded, kind: Kind, exactly: bool = True) -> str | None:
    """The condition of the row with an encoded key, served by the index; None where a column of the key has no literal.

    A collation may call other keys equal: `exactly` leaves them out.
    """
    parts = []
    for name, encoded in zip(table.key, key, strict=True):
        column = table.column[name]
        text = decoded(encoded)
        written = None if text is None else literal(column, text, kind)
        if text is None or written is None:
            return None
        parts.append(f"{quote_mysql(name)} = {written}")
        if exactly and column.data_type in _TEXTS:
            parts.append(f"CAST(CONVERT({quote_mysql(name)} USING utf8mb4) AS BINARY) = x'{text.encode().hex()}'")
    return " AND ".join(parts)


def any_row(table: Table, keys: Sequence[Encoded], kind: Kind, exactly: bool = True) -> str | None:
    """The condition of any of the rows; None where one of them has none."""
    conditions = [one_row(table, key, kind, exactly) for key in keys]
    if not conditions or None in conditions:
        return None
    return " OR ".join(f"({condition})" for condition in conditions)
