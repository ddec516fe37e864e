"""Values on their way to the target: from Debezium's form, or from the source's own bytes, to SQL that stores them exactly.

What an event cannot carry exactly is told by `doubtful`; such a row is read from the source instead.
"""

import base64
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from workbook.bulk.masking import Token
from workbook.catalog import Column
from workbook.mapping.flow import Mask
from workbook.names import mysql_string

NULL = "NULL"
# Character sets whose every text Java and MySQL read alike. Text of others is taken from the source as bytes.
_SAFE_CHARSETS = {"utf8mb4", "utf8mb3", "utf8", "ascii", "latin1"}
#: Those in which Java reads every byte as MySQL does: a text in a key cannot be read again, for it says which row it is.
KEY_CHARSETS = _SAFE_CHARSETS | {
    "cp932", "gb2312", "cp1250", "cp1251", "cp1257", "cp850", "cp852", "koi8r", "latin2", "latin5", "latin7",
}  # fmt: skip
_TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
_BINARIES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_SHAPES = {
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection",
    "geometrycollection",
}  # fmt: skip
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
# Inside of JSON MySQL keeps dates, times and bytes as values of their own, which Debezium prints otherwise; and of a
# long whole number it does not say whether it was a DOUBLE.
_ODD_IN_JSON = re.compile(r'"(-?\d{1,4}[-:]\d\d|base64:)|="|\d{8}|\ufffd')
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal() - _EPOCH_DAY
_FIRST_DAY = date.min.toordinal() - _EPOCH_DAY
_DAY_MICROS = 86_400_000_000


class Undecodable(ValueError):
    """A value that is not of the form that its column's type has in events."""


Encode = Callable[[Any], str]
Doubt = Callable[[Any], bool]


@dataclass(frozen=True)
class Way:
    """How one column travels: `encode` makes SQL of an event's value, `doubtful` says that it must not be trusted,
    `from_bytes` makes SQL of what the source's own SELECT gives (bulk/copy.py)."""

    name: str
    target: str
    encode: Encode
    doubtful: Doubt
    from_bytes: Callable[[bytes | None], str]


def way(column: Column, target: str, mask: Mask | None, token: Token | None) -> Way:
    """How a column of the source travels to the column `target`. Raises Undecodable for a type that has no form here."""
    encode, doubtful = _form(column)
    from_bytes = _from_bytes(column)
    if mask is not None and mask.kind == "null":
        return Way(column.name, target, lambda value: NULL, never, lambda value: NULL)
    if mask is not None and mask.kind == "constant":
        constant = mysql_string(mask.value)
        return Way(
            column.name,
            target,
            lambda value: NULL if value is None else constant,
            never,
            lambda value: NULL if value is None else constant,
        )
    if token is not None:
        masked = _masked(token)
        plain = _plain_bytes(column)
        return Way(
            column.name,
            target,
            lambda value: NULL if value is None else masked(plain(value)),
            doubtful,
            lambda value: NULL if value is None else masked(value),
        )
    return Way(column.name, target, lambda value: NULL if value is None else encode(value), doubtful, from_bytes)


def _masked(token: Token) -> Callable[[bytes], str]:
    return lambda value: _hexadecimal(token.of(value))


def _plain_bytes(column: Column) -> Callable[[Any], bytes]:
    """The bytes of a value as the bulk load's SELECT gives them to the mask."""
    if column.data_type in _TEXTS:
        return lambda value: value.encode()
    fill = (column.length or 0) if column.data_type == "binary" else 0
    return lambda value: base64.b64decode(value).ljust(fill, b"\0")


def _form(column: Column) -> tuple[Encode, Doubt]:
    kind = column.data_type
    if kind in _INTEGERS:
        # A column that the source added as BOOL comes as true, whatever number it holds.
        return (lambda value: "0" if value is False else _integer(value)), lambda value: value is True
    if kind == "decimal":
        return _decimal, never
    if kind in ("float", "double"):
        return _floating, never
    if kind == "bit":
        return _bits, never
    if kind == "year":
        # The stored byte counts from 1900, and Debezium counts so for YEAR 0000 too, which is the byte 0.
        return (lambda value: _integer(0 if value == 1900 else value)), (
            lambda value: value is not None and not 1900 <= int(value) <= 2155
        )
    if kind in _TEXTS:
        doubtful = _garbled if column.charset in _SAFE_CHARSETS else _filled
        return mysql_string, doubtful
    if kind in _BINARIES:
        return _base64, never
    if kind == "enum":
        return _enum(members(column.type))
    if kind == "set":
        return _set(members(column.type))
    if kind == "json":
        # MySQL compares what JSON means, so the text may be Debezium's.
        return _json, lambda value: value is not None and _ODD_IN_JSON.search(value) is not None
    if kind == "date":
        return _date, lambda value: value in (None, 0)
    if kind == "datetime":
        return (_moment_millis if (column.fraction or 0) <= 3 else _moment_micros), lambda value: value in (None, 0)
    if kind == "timestamp":
        return _timestamp, lambda value: value is None or value.startswith("1970-01-01T00:00:00")
    if kind == "time":
        return _time, never
    if kind in _SHAPES:
        return _shape, never
    if kind == "vector":
        return _vector, never
    raise Undecodable(f"a {column.type} has no form in events")


def _from_bytes(column: Column) -> Callable[[bytes | None], str]:
    """SQL of a value as the bulk load reads it: the stored bytes of text, the text of all else."""
    kind = column.data_type
    if kind in _TEXTS or kind in _BINARIES or kind in _SHAPES or kind == "vector":
        return lambda value: NULL if value is None else _hexadecimal(value)
    if kind == "json":
        return lambda value: NULL if value is None else f"CONVERT({_hexadecimal(value)} USING utf8mb4)"
    if kind in ("float", "double"):
        return lambda value: NULL if value is None else _floating(float(value))
    if kind in ("date", "datetime", "timestamp", "time"):
        return lambda value: NULL if value is None else f"'{value.decode()}'"
    return lambda value: NULL if value is None else value.decode()


def members(column_type: str) -> tuple[str, ...]:
    """The members of an ENUM or SET, from the type as the catalogue prints it."""
    inner = column_type[column_type.index("(") + 1 : column_type.rindex(")")]
    return tuple(text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", inner))


def never(value: Any) -> bool:
    return False


def _filled(value: Any) -> bool:
    return value is not None


def _garbled(value: Any) -> bool:
    return value is not None and _UNREADABLE in value


def _integer(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Undecodable(f"{type(value).__name__} in the place of a whole number")
    return str(value)


_DECIMAL = re.compile(r"-?\d+(\.\d+)?(E[+-]?\d+)?")


def _decimal(value: Any) -> str:
    text = str(value)
    if not _DECIMAL.fullmatch(text):
        raise Undecodable("no decimal number")
    # A number with an exponent would be a DOUBLE; Java writes small ones so.
    return format(_exact(text), "f") if "E" in text else text


def _exact(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


def _floating(value: Any) -> str:
    text = repr(float(value))
    # Without an exponent it would be a DECIMAL, and -0.0 would lose its sign.
    return text if "e" in text else f"{text}e0"


def _bits(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(int.from_bytes(base64.b64decode(value), "little"))


def _hexadecimal(value: bytes) -> str:
    return f"0x{value.hex()}" if value else "''"


def _base64(value: Any) -> str:
    return _hexadecimal(base64.b64decode(value))


def _enum(names: tuple[str, ...]) -> tuple[Encode, Doubt]:
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(names, 1)}
    # The number, as the bulk load does: the text would be compared by the column's collation.
    return (lambda value: str(numbers.get(value, 0))), (
        lambda value: value is not None and (not value or value not in numbers)
    )


def _set(names: tuple[str, ...]) -> tuple[Encode, Doubt]:
    bits: Mapping[str, int] = {name: 1 << number for number, name in enumerate(names)}

    def encode(value: Any) -> str:
        return str(sum(bits[name] for name in value.split(","))) if value else "0"

    def doubtful(value: Any) -> bool:
        return bool(value) and any(name not in bits for name in value.split(","))

    return encode, doubtful


def _json(value: Any) -> str:
    return mysql_string(value)


@lru_cache(20_000)
def _day(days: int) -> str:
    if not _FIRST_DAY <= days <= _LAST_DAY:
        raise Undecodable("a day that no calendar has")
    return date.fromordinal(days + _EPOCH_DAY).isoformat()


def _date(value: Any) -> str:
    return f"'{_day(value)}'"


def _moment_micros(value: Any) -> str:
    days, rest = divmod(value, _DAY_MICROS)
    seconds, micros = divmod(rest, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"'{_day(days)} {hour:02}:{minute:02}:{second:02}.{micros:06}'"


def _moment_millis(value: Any) -> str:
    return _moment_micros(value * 1000)


_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,9})?)Z")


def _timestamp(value: Any) -> str:
    found = _TIMESTAMP.fullmatch(value)
    if not found:
        raise Undecodable("no moment in UTC")
    return f"'{found[1]} {found[2][:15]}'"


def _time(value: Any) -> str:
    sign = "-" if value < 0 else ""
    seconds, micros = divmod(abs(value), 1_000_000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"'{sign}{hours:02}:{minute:02}:{second:02}.{micros:06}'"


def _shape(value: Any) -> str:
    # A column of a shape takes the server's own form: the SRID in four bytes, then WKB.
    return _hexadecimal(struct.pack("<I", value.get("srid") or 0) + base64.b64decode(value["wkb"]))


def _vector(value: Any) -> str:
    return _hexadecimal(struct.pack(f"<{len(value)}f", *value))
