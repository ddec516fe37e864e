"""How a chunk is copied: the SELECT that reads its rows exactly, and the LOAD DATA that stores them as they were."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbook.bulk.chunks import Chunk
from workbook.bulk.masking import Token
from workbook.bulk.pump import Job
from workbook.catalog import Column, Table
from workbook.mapping.flow import DIRECT, Flow, kept_table
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


@dataclass(frozen=True)
class Way:
    """What becomes of a table's rows on the way: the mapping's `flow`, columns that are utf8mb4 on the target by choice,
    the table's path there, and the tokens of masked columns; all columns by their source names."""

    flow: Flow = DIRECT
    converted: Collection[str] = ()
    target: tuple[str, str] | None = None
    tokens: Mapping[str, Token] = field(default_factory=dict)


# As it stands, under the same name.
STRAIGHT = Way()


def hidden_key(chunk: Chunk, way: Way) -> bool:
    """Whether the bounds of a chunk hold values that the target must not see."""
    return not way.tokens.keys().isdisjoint(chunk.key)


def select_expression(column: Column, way: Way = STRAIGHT) -> str:
    """How a column is read so that its text is exact."""
    name = quote_mysql(column.name)
    mask = dict(way.flow.masks).get(column.name)
    if mask is not None and mask.kind == "null":
        return "NULL"
    if mask is not None and mask.kind == "constant":
        return f"IF({name} IS NULL, NULL, {mysql_string(mask.value)})"
    if column.data_type == "float":
        return f"CAST({name} AS DOUBLE)"  # the text protocol prints six digits of a FLOAT
    if column.data_type in ("bit", "enum", "set"):
        # Of an ENUM the number tells the empty error value from a member that is empty.
        return f"CAST({name} AS UNSIGNED)"
    # Tokens are made of one form of a text, so that they are the same in columns of all character sets.
    text = column.name in way.tokens and column.charset is not None
    return f"CONVERT({name} USING utf8mb4)" if text or column.name in way.converted else name


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
    way: Way = STRAIGHT,
) -> Job:
    """What a worker needs to copy `chunk`; `noted` and `known` are the chunk ledger's statements."""
    columns = kept_table(table, way.flow).stored_columns
    return Job(
        # A label stands in messages, where values that are masked or left out have no place.
        label=chunk.named if hidden_key(chunk, way) else str(chunk),
        select=select(table, chunk, way),
        load=load(table, way),
        free_text=tuple(number for number, column in enumerate(columns) if column.data_type not in _PLAIN),
        choices=tuple(number for number, column in enumerate(columns) if column.data_type == "enum"),
        batch=_batch(columns),
        noted=noted,
        known=known,
        # A generated column notes each value that it rounds, as it did on the source.
        notes=not any(column.generated for column in table.columns),
        masks=tuple(
            (number, way.tokens[column.name]) for number, column in enumerate(columns) if column.name in way.tokens
        ),
    )


def select(table: Table, chunk: Chunk, way: Way = STRAIGHT) -> str:
    """The SELECT of a chunk's rows, in the order of the primary key: the target appends, it does not search."""
    columns = kept_table(table, way.flow).stored_columns
    expressions = ", ".join(select_expression(column, way) for column in columns)
    part = f" PARTITION ({quote_mysql(chunk.partition)})" if chunk.partition is not None else ""
    where, values = chunk.where()
    condition = where % tuple(literal(value) for value in values) if values else ""
    if way.flow.where:
        condition = f"{condition} AND ({way.flow.where})" if condition else f" WHERE ({way.flow.where})"
    order = (
        " ORDER BY " + ", ".join(quote_mysql(name) for name in table.primary_key.columns) if table.primary_key else ""
    )
    return f"SELECT {expressions} FROM {mysql_path(*table.path)}{part}{condition}{order}"


def load(table: Table, way: Way = STRAIGHT) -> str:
    """The LOAD DATA for a table; its file's name is a word only, the client sends the rows as they come."""
    places, settings = [], []
    for number, column in enumerate(kept_table(table, way.flow).stored_columns):
        expression = load_expression(column, f"@v{number}")
        name = quote_mysql(way.flow.column(column.name))
        places.append(name if expression is None else f"@v{number}")
        if expression is not None:
            settings.append(f"{name} = {expression}")
    return (
        f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {mysql_path(*(way.target or table.path))} CHARACTER SET binary"
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
