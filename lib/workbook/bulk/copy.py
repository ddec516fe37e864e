"""How a chunk is copied: the SELECT that reads its rows exactly, and the LOAD DATA that stores them as they were."""

from collections.abc import Collection, Sequence
from typing import Any

from workbook.bulk.chunks import Chunk
from workbook.bulk.pump import Job
from workbook.catalog import Column, Table
from workbook.names import mysql_path, mysql_string, quote_mysql

# Their text never holds a tab, a newline or a backslash.
_PLAIN = {
    "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit", "year",
    "date", "datetime", "timestamp", "time", "enum", "set",
}  # fmt: skip
# A batch holds about this much, so that memory stays the same whatever the rows are.
_BATCH_BYTES, _BATCH_ROWS = 1 << 20, 1000
# The pieces by which the lengths of values are known in advance; what may be longer is read row by row.
_LONG = 1 << 16


def select_expression(column: Column, converted: bool = False) -> str:
    """How a column is read so that its text is exact; `converted` where it is utf8mb4 on the target by choice."""
    name = quote_mysql(column.name)
    if column.data_type == "float":
        return f"CAST({name} AS DOUBLE)"  # the text protocol prints six digits of a FLOAT
    if column.data_type in ("bit", "enum", "set"):
        # Of an ENUM the number tells the empty error value from a member that is empty.
        return f"CAST({name} AS UNSIGNED)"
    return f"CONVERT({name} USING utf8mb4)" if converted else name


def load_expression(column: Column, variable: str) -> str | None:
    """What a column is set to from a user variable; None where the text can go straight into it."""
    if column.data_type in ("bit", "enum", "set"):
        return f"CAST({variable} AS UNSIGNED)"
    if column.data_type == "json":
        return f"CONVERT({variable} USING utf8mb4)"
    return None


def job(
    table: Table,
    chunk: Chunk,
    noted: tuple[str, str] | None = None,
    known: str | None = None,
    converted: Collection[str] = (),
    into: tuple[str, str] | None = None,
) -> Job:
    """What a worker needs to copy `chunk`; `noted` and `known` are the chunk ledger's statements. The text of columns in
    `converted` is sent as utf8mb4. `into` is the table on the target where it has another path."""
    columns = table.stored_columns
    return Job(
        label=str(chunk),
        select=select(table, chunk, converted),
        load=load(table, into),
        free_text=tuple(number for number, column in enumerate(columns) if column.data_type not in _PLAIN),
        choices=tuple(number for number, column in enumerate(columns) if column.data_type == "enum"),
        batch=_batch(columns),
        noted=noted,
        known=known,
        # A generated column notes each value that it rounds, as it did on the source.
        notes=len(columns) == len(table.columns),
    )


def select(table: Table, chunk: Chunk, converted: Collection[str] = ()) -> str:
    """The SELECT of a chunk's rows, in the order of the primary key: the target appends, it does not search."""
    expressions = ", ".join(select_expression(column, column.name in converted) for column in table.stored_columns)
    part = f" PARTITION ({quote_mysql(chunk.partition)})" if chunk.partition is not None else ""
    where, values = chunk.where()
    condition = where % tuple(literal(value) for value in values) if values else ""
    order = (
        " ORDER BY " + ", ".join(quote_mysql(name) for name in table.primary_key.columns) if table.primary_key else ""
    )
    return f"SELECT {expressions} FROM {mysql_path(*table.path)}{part}{condition}{order}"


def load(table: Table, into: tuple[str, str] | None = None) -> str:
    """The LOAD DATA for a table (into the path `into`, or its own), with a %s for the file's name."""
    places, settings = [], []
    for number, column in enumerate(table.stored_columns):
        expression = load_expression(column, f"@v{number}")
        places.append(quote_mysql(column.name) if expression is None else f"@v{number}")
        if expression is not None:
            settings.append(f"{quote_mysql(column.name)} = {expression}")
    return (
        f"LOAD DATA LOCAL INFILE %s INTO TABLE {mysql_path(*(into or table.path))} CHARACTER SET binary"
        r" FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'"
        f" ({', '.join(places)})" + (f" SET {', '.join(settings)}" if settings else "")
    )


def literal(value: Any) -> str:
    """A key's value as SQL: bytes as they are, text in quotes, numbers bare."""
    if isinstance(value, bytes):
        return f"_binary 0x{value.hex()}" if value else "_binary ''"
    if isinstance(value, str):
        return mysql_string(value)
    return str(value)


def _batch(columns: Sequence[Column]) -> int:
    """Rows read at a time."""
    longest = sum(column.octets or 32 for column in columns)
    if any((column.octets or 0) > _LONG or column.data_type in ("json", "geometry") for column in columns):
        return 1
    return max(1, min(_BATCH_ROWS, 4 * _BATCH_BYTES // max(longest, 1)))
