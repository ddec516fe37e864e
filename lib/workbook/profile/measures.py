"""The measures of a column, by the kind of its type, and the one aggregate statement that takes them all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbook.catalog import Column, Table
from workbook.names import mysql_path, quote_mysql

KINDS: Mapping[str, tuple[str, ...]] = {
    "number": ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal"),
    "float": ("float", "double"),
    "bits": ("bit",),
    "year": ("year",),
    "date": ("date", "datetime", "timestamp"),
    "time": ("time",),
    "choice": ("enum", "set"),
    "text": ("char", "varchar"),
    "bytes": ("binary", "varbinary"),
    "long text": ("tinytext", "text", "mediumtext", "longtext"),
    "long bytes": ("tinyblob", "blob", "mediumblob", "longblob"),
    "document": ("json",),
    "vector": ("vector",),
    "shape": (
        "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
        "geomcollection", "geometrycollection",
    ),
}  # fmt: skip
_KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}
# Columns measured in one statement: each COUNT(DISTINCT) may take 16 MB of the source's memory (tmp_table_size).
COLUMNS_A_STATEMENT = 24
VALUE_KINDS = ("number", "float", "bits", "year", "date", "time", "choice", "text", "bytes")

# A day that a calendar has. LAST_DAY knows months also of impossible days, because of ALLOW_INVALID_DATES.
_REAL = "(YEAR({c}) > 0 AND MONTH({c}) > 0 AND DAY({c}) BETWEEN 1 AND DAY(LAST_DAY({c})))"
_ZERO = "({c} = 0)"
# 96 bits of a hash in place of the value: the server keeps 12 bytes a value instead of four a possible character.
_HASH = "COUNT(DISTINCT UNHEX(LEFT(SHA2({value}, 256), 24)))"
# Squares of larger doubles overflow, and the server answers with an error instead of a figure.
_TAME = "CASE WHEN ABS({c}) < 1e150 THEN {c} + 0e0 END"
_LONG = ("long text", "long bytes", "document", "vector", "shape", "other")
_CHARACTERS = ("text", "long text")
_PLACEHOLDERS = "'n/a', 'na', 'null', 'none', 'nil', 'nan', '-', '--', '?', 'unknown', 'tbd', '#n/a'"


@dataclass(frozen=True)
class Measure:
    """A figure of a column: its name in ColumnProfile, the kinds it suits, and its SQL with {c} for the quoted column."""

    name: str
    kinds: tuple[str, ...]
    sql: str


MEASURES: tuple[Measure, ...] = (
    Measure("nulls", (*KINDS, "other"), "SUM({c} IS NULL)"),
    Measure("distinct", ("number", "float", "year", "date", "time"), "COUNT(DISTINCT {c})"),
    Measure("distinct", ("bits", "choice"), "COUNT(DISTINCT {c} + 0)"),
    Measure("distinct", ("text", "bytes"), _HASH.format(value="{c}")),
    Measure("minimum", ("number", "year"), "MIN({c})"),
    Measure("maximum", ("number", "year"), "MAX({c})"),
    # FLOAT is printed with six digits; as a double it keeps all.
    Measure("minimum", ("float",), "MIN({c} + 0e0)"),
    Measure("maximum", ("float",), "MAX({c} + 0e0)"),
    Measure("minimum", ("bits",), "MIN({c} + 0)"),
    Measure("maximum", ("bits",), "MAX({c} + 0)"),
    # Dates travel as text: Python has no year 0 and no month 0.
    Measure("minimum", ("date",), f"CAST(MIN(CASE WHEN {_REAL} THEN {{c}} END) AS CHAR)"),
    Measure("maximum", ("date",), f"CAST(MAX(CASE WHEN {_REAL} THEN {{c}} END) AS CHAR)"),
    Measure("minimum", ("time",), "CAST(MIN({c}) AS CHAR)"),
    Measure("maximum", ("time",), "CAST(MAX({c}) AS CHAR)"),
    Measure("minimum", ("choice", "text"), "LEFT(CONVERT(MIN({c}) USING utf8mb4), 200)"),
    Measure("maximum", ("choice", "text"), "LEFT(CONVERT(MAX({c}) USING utf8mb4), 200)"),
    Measure("minimum", ("bytes",), "HEX(LEFT(MIN({c}), 32))"),
    Measure("maximum", ("bytes",), "HEX(LEFT(MAX({c}), 32))"),
    Measure("mean", ("number", "year"), "AVG({c})"),
    Measure("mean", ("bits",), "AVG({c} + 0)"),
    Measure("mean", ("float",), f"AVG({_TAME})"),
    Measure("deviation", ("number", "year"), "STDDEV_POP({c})"),
    Measure("deviation", ("bits",), "STDDEV_POP({c} + 0)"),
    Measure("deviation", ("float",), f"STDDEV_POP({_TAME})"),
    Measure("negatives", ("number", "float"), "SUM({c} < 0)"),
    Measure("negatives", ("time",), "SUM({c} < CAST('00:00:00' AS TIME))"),
    Measure("over_24h", ("time",), "SUM({c} >= CAST('24:00:00' AS TIME))"),
    Measure("zero_dates", ("date",), f"SUM({_ZERO})"),
    Measure("partial_dates", ("date",), f"SUM(NOT {_ZERO} AND (YEAR({{c}}) = 0 OR MONTH({{c}}) = 0 OR DAY({{c}}) = 0))"),
    Measure("impossible_dates", ("date",), "SUM(YEAR({c}) > 0 AND MONTH({c}) > 0 AND DAY({c}) > DAY(LAST_DAY({c})))"),
    Measure("choice_errors", ("choice",), "SUM({c} + 0 = 0)"),
    Measure("min_chars", _CHARACTERS, "MIN(CHAR_LENGTH({c}))"),
    Measure("max_chars", _CHARACTERS, "MAX(CHAR_LENGTH({c}))"),
    Measure("mean_chars", _CHARACTERS, "AVG(CHAR_LENGTH({c}))"),
    Measure("min_bytes", ("text", "bytes", *_LONG), "MIN(LENGTH({c}))"),
    Measure("max_bytes", ("text", "bytes", *_LONG), "MAX(LENGTH({c}))"),
    Measure("mean_bytes", ("text", "bytes", *_LONG), "AVG(LENGTH({c}))"),
    Measure("non_ascii", ("text", "long text"), "SUM(LENGTH(CONVERT({c} USING utf8mb4)) <> CHAR_LENGTH({c}))"),
    # By length: to most collations a space equals the empty text.
    Measure("empty", ("text", "bytes", "long text", "long bytes"), "SUM(LENGTH({c}) = 0)"),
    Measure("spaces", ("text",), "SUM(LENGTH(TRIM({c})) <> LENGTH({c}))"),
    Measure("placeholders", ("text",), f"SUM(CHAR_LENGTH({{c}}) < 12 AND LOWER(TRIM(CONVERT({{c}} USING utf8mb4))) IN ({_PLACEHOLDERS}))"),
)  # fmt: skip

# What is read of a value for quantiles and frequent values.
_VALUE = {
    "date": "CAST({c} AS CHAR)",
    "time": "CAST({c} AS CHAR)",
    "bits": "{c} + 0",
    "float": "{c} + 0e0",
    "text": "LEFT(CONVERT({c} USING utf8mb4), 200)",
    "choice": "CONVERT({c} USING utf8mb4)",
    "bytes": "LEFT({c}, 33)",
}


def kind_of(column: Column) -> str:
    """The kind of a column, which decides its measures; "other" for a type that the table does not know."""
    return _KIND_OF.get(column.data_type, "other")


def measures_of(column: Column, unique: bool = False) -> dict[str, str]:
    """The SQL of each measure of `column`, by the measure's name; `unique` where a key says that every value differs."""
    kind = kind_of(column)
    name = quote_mysql(column.name)
    found = {measure.name: measure.sql.replace("{c}", name) for measure in MEASURES if kind in measure.kinds}
    if column.type.lower().startswith("tinyint(1)"):
        found["not_bool"] = f"SUM({name} NOT IN (0, 1))"
    if unique:
        found.pop("distinct", None)
    elif kind == "text" and folds(column):
        # Where trailing spaces do not count, the weight string still has them.
        value = f"RTRIM({name})" if pads(column) else name
        found["distinct_collated"] = _HASH.format(value=f"WEIGHT_STRING({value})")
    return found


def unique_columns(table: Table) -> set[str]:
    """Columns without NULLs that are unique by themselves: their distinct values need no counting."""
    return {
        index.columns[0]
        for index in table.indexes
        if index.unique
        and len(index.parts) == 1
        and index.parts[0].column
        and index.parts[0].prefix is None
        and not table.column[index.columns[0]].nullable
    }


def folds(column: Column) -> bool:
    """Whether the collation takes different texts for equal."""
    return column.collation is not None and (not column.collation.endswith("_bin") or pads(column))


def pads(column: Column) -> bool:
    """Whether trailing spaces do not count in comparisons: in every collation but those of UCA 9.0.0 and `binary`."""
    return column.collation is not None and "_0900_" not in column.collation and column.collation != "binary"


def aggregate(table: Table, columns: Sequence[Column], condition: str) -> tuple[str, list[tuple[str, str]]]:
    """One SELECT with the row count and every measure of `columns`, and what its columns m0, m1, … hold.

    `condition` picks the rows. The names of the table never stand as aliases.
    """
    alone = unique_columns(table)
    wanted = [
        (column.name, name, sql)
        for column in columns
        for name, sql in measures_of(column, column.name in alone).items()
    ]
    listed = ", ".join(f"{sql} AS m{place}" for place, (_, _, sql) in enumerate(wanted))
    statement = f"SELECT COUNT(*) AS n{', ' if listed else ''}{listed} FROM {mysql_path(*table.path)} WHERE {condition}"
    return statement, [(column, name) for column, name, _ in wanted]


def values(table: Table, columns: Sequence[Column], condition: str, limit: int) -> str:
    """One SELECT of the values of `columns` as v0, v1, …, of at most `limit` rows."""
    listed = ", ".join(
        f"{_VALUE.get(kind_of(column), '{c}').replace('{c}', quote_mysql(column.name))} AS v{place}"
        for place, column in enumerate(columns)
    )
    return f"SELECT {listed} FROM {mysql_path(*table.path)} WHERE {condition} LIMIT {int(limit)}"


def distinct_pairs(table: Table, pairs: Sequence[tuple[Column, Column]], condition: str) -> str:
    """One SELECT of the number of distinct pairs as p0, p1, …, as the collations compare."""
    listed = ", ".join(
        f"COUNT(DISTINCT {_compared(one)}, {_compared(other)}) AS p{place}" for place, (one, other) in enumerate(pairs)
    )
    return f"SELECT {listed} FROM {mysql_path(*table.path)} WHERE {condition}"


def _compared(column: Column) -> str:
    name = quote_mysql(column.name)
    if kind_of(column) in ("text", "bytes"):
        value = f"RTRIM({name})" if pads(column) else name
        weighed = f"WEIGHT_STRING({value})" if column.collation else name
        return f"UNHEX(LEFT(SHA2({weighed}, 256), 24))"
    return f"{name} + 0" if kind_of(column) in ("bits", "choice") else name


def plain(value: Any) -> Any:
    """A value as JSON holds it: decimals as text, bytes as hexadecimal text of the first 32."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return bytes(value[:32]).hex() + ("…" if len(value) > 32 else "")
    return str(value)
