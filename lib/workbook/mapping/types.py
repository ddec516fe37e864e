"""The type map: one table from MySQL columns to BigQuery types, first match wins, each rule with its loss and its encoding.

Every value has one canonical text that MySQL, GoogleSQL and Python agree on; validate/README.md writes it down, and
`ENCODING_VERSION` is its version. `exact` tells more where MySQL can hold more, zero and partial dates; for every other
value it is `shared`, so that one hash of a row serves all hops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbook.catalog import Column
from workbook.errors import Refused, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

ENCODING_VERSION = 2
Loss = Literal["none", "representation", "value"]


@dataclass(frozen=True)
class TypeRule:
    """One row of the type map. In the expressions `{c}` stands for the quoted column.

    `extract` selects what goes into an Arrow array of the type that `arrow_call` makes: pyarrow's function and its values; `exact`, `shared` (both MySQL) and `google` give the
    canonical text, NULL for NULL; `proof` counts in MySQL the rows that would lose something (None: none can). Where
    `proof` is false, `exact` is `shared`. `alone` is a cheaper text that two columns of one definition on servers of one
    kind have in common: as exact, but written by the server itself.
    """

    name: str
    what: str
    when: Callable[[Column, bool], bool]
    warehouse_type: str
    arrow_call: tuple[str | int, ...]
    extract: str
    exact: str
    shared: str
    google: str
    loss: Loss
    loss_text: str
    proof: str | None = None
    alone: str | None = None

    @property
    def arrow(self) -> "pa.DataType":
        """The type of the Arrow array."""
        import pyarrow as pa  # here: a validation without a warehouse never needs it, and it takes long to import

        function, *values = self.arrow_call
        kind: pa.DataType = getattr(pa, str(function))(*values)
        return kind

    @property
    def free(self) -> bool:
        """Whether the canonical text may hold any character, so that only its length tells where it ends."""
        return self.name == "text"


def _types(*names: str) -> Callable[[Column, bool], bool]:
    return lambda column, emulated: column.data_type in names


def _never(column: Column, emulated: bool) -> bool:
    return False


def _integer_digits(column: Column) -> int:
    return (column.precision or 10) - (column.scale or 0)


def _fits_numeric(column: Column, emulated: bool) -> bool:
    return column.data_type == "decimal" and _integer_digits(column) <= 29 and (column.scale or 0) <= 9


def _fits_bignumeric(column: Column, emulated: bool) -> bool:
    # The emulator's engine holds 38 digits in all: there these columns travel as text.
    return (
        column.data_type == "decimal" and not emulated and _integer_digits(column) <= 38 and (column.scale or 0) <= 38
    )


# A date that BigQuery can hold: no zero part, a day that the month has, a year from 1 on.
_VALID = "(YEAR({c}) > 0 AND MONTH({c}) > 0 AND DAY({c}) BETWEEN 1 AND DAY(LAST_DAY({c})))"
_DAYS = f"IF({_VALID}, TO_DAYS({{c}}) - 719528, NULL)"
_MICROS = f"IF({_VALID}, TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', {{c}}), NULL)"
# DIV 1, because MariaDB keeps the fraction in TIME_TO_SEC.
_TIME_MICROS = (
    "((ABS(TIME_TO_SEC({c})) DIV 1 * 1000000 + MICROSECOND({c})) * IF({c} < CAST('00:00:00' AS TIME), -1, 1))"
)
_WHOLE = "CAST({c} + 0 AS CHAR)"
_BITS = "CAST(CAST({c} AS UNSIGNED) AS CHAR)"
_DECIMAL = "IF(LOCATE('.', {c} + 0) > 0, TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM CAST({c} + 0 AS CHAR))), CAST({c} + 0 AS CHAR))"
# With a point always there, it need not be looked for. Not for 65 digits before it, where there is no room for one more.
_SHORT_DECIMAL = "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM CAST({c} + 0.0 AS CHAR)))"
_PLAIN = "{c}"
_TEXT = "CONVERT({c} USING utf8mb4)"
_LONG_TEXT = "SHA2(CONVERT({c} USING utf8mb4), 256)"
_HEX = "LOWER(HEX({c}))"
_LONG_BYTES = "SHA2({c}, 256)"

_G_WHOLE = "CAST({c} AS STRING)"
_G_NUMERIC = (
    "IF(STRPOS(CAST({c} AS STRING), '.') > 0, RTRIM(RTRIM(CAST({c} AS STRING), '0'), '.'), CAST({c} AS STRING))"
)


def _mysql_float() -> str:
    """Mantissa and exponent of a double, exact: multiplying by powers of two loses nothing.

    The exponent comes from a logarithm, which engines may round differently where it is close to a whole number: at
    powers of two, which are common. The small addend moves that place to numbers that nobody writes. Tiny numbers are
    scaled in two halves, because 2^1128 is no double.
    """
    k = "CAST(FLOOR(LOG2(ABS({c})) + 1e-9) - 54 AS SIGNED)"
    tiny = f"{{c}} * POW(2.0, 600) * POW(2.0, -{k} - 600)"
    return (
        f"CASE WHEN ABS({{c}}) > 1e-280 THEN CONCAT(CAST({{c}} * POW(2.0, -{k}) AS SIGNED), 'p', {k})"
        f" WHEN {{c}} = 0 THEN '0' ELSE CONCAT(CAST({tiny} AS SIGNED), 'p', {k}) END"
    )


def _mysql_float_alone() -> str:
    """For common sizes the shortest decimal number that is read as this double and no other, at half the cost.

    MySQL writes at most 22 characters: between these bounds sign, point and 17 digits have room, beyond them not always.
    """
    return f"IF(ABS({{c}}) BETWEEN 1e-1 AND 1e15, CAST({{c}} + 0e0 AS CHAR), {_mysql_float()})"


def _google_float() -> str:
    """The same in GoogleSQL; what MySQL cannot hold is itself."""
    k = "CAST(FLOOR(LN(ABS({c})) / LN(2) + 1e-9) - 54 AS INT64)"
    half = f"DIV({k}, 2)"
    m = f"CAST({{c}} / POW(2.0, {half}) / POW(2.0, {k} - {half}) AS INT64)"
    return (
        "CASE WHEN {c} = 0 THEN '0' WHEN IS_NAN({c}) OR IS_INF({c}) THEN CAST({c} AS STRING)"
        f" ELSE CONCAT(CAST({m} AS STRING), 'p', CAST({k} AS STRING)) END"
    )


def _or_text(number: str) -> str:
    """A date as its number; one that BigQuery has not as the text MySQL shows."""
    return f"IFNULL(CAST({number} AS CHAR), CAST({{c}} AS CHAR))"


_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_LONG_TEXTS = ("tinytext", "text", "mediumtext", "longtext")
_LONG_BINARIES = ("tinyblob", "blob", "mediumblob", "longblob")
_GEOMETRIES = (
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geomcollection",
    "geometrycollection",
)
_NO_LOSS = "nothing is lost"
_NO_ZERO = "zero, partial and impossible dates become NULL"

RULES: tuple[TypeRule, ...] = (
    TypeRule("unsigned-64", "BIGINT UNSIGNED", lambda c, e: c.data_type == "bigint" and c.unsigned, "NUMERIC",
             ("decimal128", 20, 0), "{c} + 0", _WHOLE, _WHOLE, _G_NUMERIC, "none", _NO_LOSS, alone=_PLAIN),
    TypeRule("integer", "TINYINT to BIGINT, signed or not", _types(*_INTEGERS), "INT64",
             ("int64",), "{c} + 0", _WHOLE, _WHOLE, _G_WHOLE, "none", _NO_LOSS, alone=_PLAIN),
    TypeRule("year", "YEAR", _types("year"), "INT64",
             ("int64",), "{c} + 0", _WHOLE, _WHOLE, _G_WHOLE, "none", _NO_LOSS, alone=_PLAIN),
    TypeRule("bits-64", "BIT(64)", lambda c, e: c.data_type == "bit" and (c.precision or 1) > 63, "NUMERIC",
             ("decimal128", 20, 0), "CAST({c} AS UNSIGNED)", _BITS, _BITS, _G_NUMERIC, "representation", "bits become a number"),
    TypeRule("bits", "BIT(1) to BIT(63)", _types("bit"), "INT64",
             ("int64",), "CAST({c} AS UNSIGNED)", _BITS, _BITS, _G_WHOLE, "representation", "bits become a number"),
    TypeRule("numeric", "DECIMAL with up to 29 digits before and 9 after the point", _fits_numeric, "NUMERIC",
             ("decimal128", 38, 9), "{c} + 0", _SHORT_DECIMAL, _SHORT_DECIMAL, _G_NUMERIC, "none", _NO_LOSS, alone=_PLAIN),
    TypeRule("bignumeric", "DECIMAL with up to 38 digits before and 38 after the point", _fits_bignumeric, "BIGNUMERIC",
             ("decimal256", 76, 38), "{c} + 0", _SHORT_DECIMAL, _SHORT_DECIMAL, _G_NUMERIC, "none", _NO_LOSS, alone=_PLAIN),
    TypeRule("decimal-text", "any wider DECIMAL; on the local emulator any that needs BIGNUMERIC", _types("decimal"), "STRING",
             ("string",), "CAST({c} + 0 AS CHAR)", _DECIMAL, _DECIMAL, _G_NUMERIC, "representation", "the number becomes text", alone=_PLAIN),
    TypeRule("float", "FLOAT and DOUBLE", _types("float", "double"), "FLOAT64",
             ("float64",), "CAST({c} AS DOUBLE)", _mysql_float(), _mysql_float(), _google_float(), "none", _NO_LOSS,
             alone=_mysql_float_alone()),
    TypeRule("date", "DATE", _types("date"), "DATE",
             ("date32",), _DAYS, _or_text(_DAYS), f"CAST({_DAYS} AS CHAR)", "CAST(UNIX_DATE({c}) AS STRING)",
             "value", _NO_ZERO, f"{{c}} IS NOT NULL AND NOT {_VALID}", alone=_PLAIN),
    TypeRule("datetime", "DATETIME", _types("datetime"), "DATETIME",
             ("timestamp", "us"), _MICROS, _or_text(_MICROS), f"CAST({_MICROS} AS CHAR)",
             "CAST(DATETIME_DIFF({c}, DATETIME '1970-01-01 00:00:00', MICROSECOND) AS STRING)",
             "value", _NO_ZERO, f"{{c}} IS NOT NULL AND NOT {_VALID}", alone=_PLAIN),
    TypeRule("timestamp", "TIMESTAMP", _types("timestamp"), "TIMESTAMP",
             ("timestamp", "us", "UTC"), _MICROS, _or_text(_MICROS), f"CAST({_MICROS} AS CHAR)", "CAST(UNIX_MICROS({c}) AS STRING)",
             "value", _NO_ZERO, f"{{c}} IS NOT NULL AND NOT {_VALID}", alone=_PLAIN),
    TypeRule("time-micros", "TIME", _types("time"), "INT64",
             ("int64",), _TIME_MICROS, f"CAST({_TIME_MICROS} AS CHAR)", f"CAST({_TIME_MICROS} AS CHAR)", _G_WHOLE,
             "representation", "the time becomes microseconds, so that negative and long times fit", alone=_PLAIN),
    TypeRule("text", "CHAR, VARCHAR, ENUM and SET", _types("char", "varchar", "enum", "set"), "STRING",
             ("string",), _TEXT, _TEXT, _TEXT, "{c}", "representation", "collation and length limit are not enforced"),
    TypeRule("long-text", "TINYTEXT to LONGTEXT", _types(*_LONG_TEXTS), "STRING",
             ("large_string",), _TEXT, _LONG_TEXT, _LONG_TEXT, "TO_HEX(SHA256({c}))", "none", _NO_LOSS),
    TypeRule("json-text", "JSON", _types("json"), "STRING",
             ("large_string",), "CAST({c} AS CHAR)", "SHA2(CAST({c} AS CHAR), 256)", "SHA2(CAST({c} AS CHAR), 256)",
             "TO_HEX(SHA256({c}))", "none", "nothing is lost: the exact text; the rule `json` makes it JSON in the clean table"),
    TypeRule("bytes", "BINARY and VARBINARY", _types("binary", "varbinary"), "BYTES",
             ("binary",), "{c}", _HEX, _HEX, "TO_HEX({c})", "none", _NO_LOSS),
    TypeRule("long-bytes", "TINYBLOB to LONGBLOB, VECTOR", _types(*_LONG_BINARIES, "vector"), "BYTES",
             ("large_binary",), "{c}", _LONG_BYTES, _LONG_BYTES, "TO_HEX(SHA256({c}))", "none", _NO_LOSS),
    TypeRule("geometry-bytes", "GEOMETRY and its family", _types(*_GEOMETRIES), "BYTES",
             ("large_binary",), "CAST({c} AS BINARY)", "SHA2(CAST({c} AS BINARY), 256)", "SHA2(CAST({c} AS BINARY), 256)",
             "TO_HEX(SHA256({c}))", "representation", "MySQL's own form: four bytes SRID, little-endian, then WKB"),
    # From here on: chosen by name in the mapping only.
    TypeRule("bool", "TINYINT(1) that holds 0 and 1 alone", _never, "BOOL",
             ("bool_",), "{c} + 0", _WHOLE, _WHOLE, "CAST(CAST({c} AS INT64) AS STRING)", "none", _NO_LOSS, "{c} NOT IN (0, 1)", alone=_PLAIN),
    TypeRule("time", "TIME from 00:00 to 23:59:59 alone", _never, "TIME",
             ("time64", "us"), _TIME_MICROS, f"CAST({_TIME_MICROS} AS CHAR)", f"CAST({_TIME_MICROS} AS CHAR)",
             "CAST(TIME_DIFF({c}, TIME '00:00:00', MICROSECOND) AS STRING)", "none", _NO_LOSS,
             "{c} < CAST('00:00:00' AS TIME) OR {c} >= CAST('24:00:00' AS TIME)", alone=_PLAIN),
    TypeRule("temporal-text", "DATE, DATETIME, TIMESTAMP as text, zero dates included", _never, "STRING",
             ("string",), "CAST({c} AS CHAR)", "CAST({c} AS CHAR)", "CAST({c} AS CHAR)", "{c}", "representation", "the date becomes text", alone=_PLAIN),
)  # fmt: skip

# Which rules a person may choose for a column instead of the first match, by MySQL type.
ALTERNATIVES = {
    "bool": ("tinyint",),
    "time": ("time",),
    "temporal-text": ("date", "datetime", "timestamp"),
    "decimal-text": ("decimal",),
}


def rule_for(column: Column, emulated: bool) -> TypeRule:
    """The first rule that matches `column`; `emulated` where the warehouse is the local emulator.

    Raises Refused for a type that no rule knows: there is no silent fallback.
    """
    for rule in RULES:
        if rule.when(column, emulated):
            return rule
    raise Refused(
        f"No rule of the type map knows the type {column.type} of column {column.name!r}.",
        "It would have to be guessed what becomes of its values.",
        "Leave the table out of scope in the mapping, or add a rule to mapping/types.py.",
    )


def rule_named(name: str, column: Column) -> TypeRule:
    """The rule that a mapping names for `column`. Raises UsageError where there is none or it does not suit the type."""
    for rule in RULES:
        if rule.name == name:
            if rule.when(column, False) or rule.when(column, True) or column.data_type in ALTERNATIVES.get(name, ()):
                return rule
            raise UsageError(
                f"The mapping gives column {column.name!r} of type {column.type} the type rule {name!r}.",
                f"That rule is for {rule.what}.",
                "Take the rule away, or name one that suits; params/README.md lists them.",
            )
    raise UsageError(
        f"The mapping names the type rule {name!r}.",
        "There is no such rule, so the column would have no type.",
        f"Name one of: {', '.join(rule.name for rule in RULES)}.",
    )


def markdown() -> str:
    """The type map as a Markdown table, for the README."""
    lines = ["| rule | MySQL | BigQuery | loss |", "| --- | --- | --- | --- |"]
    for rule in RULES:
        chosen = " (by name only)" if rule.when is _never else ""
        lines.append(f"| `{rule.name}`{chosen} | {rule.what} | {rule.warehouse_type} | {rule.loss}: {rule.loss_text} |")
    return "\n".join(lines)
