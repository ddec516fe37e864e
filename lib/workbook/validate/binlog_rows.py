"""The keys of rows out of a binlog's row events: all that is not of the key is passed over, unread.

A row is a bitmap of NULLs and its values one after the other; how long each is follows from the types that the event of
the table tells. For each bitmap that is met the way through a row is worked out once, so that a row costs about a
microsecond, where decoding it would cost a hundred.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from workbook.catalog import Column
from workbook.names import mysql_string

# Types of the protocol, with bytes that a value has, or (negative) bytes that its length has.
_FIXED = {1: 1, 2: 2, 9: 3, 3: 4, 8: 8, 4: 4, 5: 8, 13: 1, 10: 3, 14: 3, 11: 3, 12: 8, 7: 4, 6: 0}
_NO_META = {1, 2, 9, 3, 8, 13, 10, 14, 11, 12, 7, 6}
_LONG = {
    252,
    245,
    255,
    242,
    249,
    250,
    251,
}  # BLOB, JSON, GEOMETRY, VECTOR and their like: the metadata is the length's bytes
_FRACTION = {17: 4, 18: 5, 19: 3}  # TIMESTAMP, DATETIME, TIME with a fraction: whole seconds take so many bytes
_TWO_BYTES = {15, 16, 246, 254, 253, 247, 248}
_BYTES_OF_DIGITS = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
Value = int | str | bytes


class Unreadable(Exception):
    """What a binlog holds cannot be told, with the reason in words."""


@dataclass(frozen=True)
class Wire:
    """A column as an event tells it: its type and what goes with it."""

    type: int
    meta: bytes

    @property
    def size(self) -> int:
        """The bytes of a value; where they vary, minus the bytes of its length."""
        kind, meta = self.type, self.meta
        if kind in _FRACTION:
            return _FRACTION[kind] + (meta[0] + 1) // 2
        if kind in _LONG:
            return -meta[0]
        if kind in (15, 253):
            return -1 if int.from_bytes(meta, "little") <= 255 else -2
        if kind == 16:
            return (meta[0] + 8 * meta[1] + 7) // 8
        if kind == 246:
            return _decimal_size(meta[0], meta[1])
        if kind == 254:
            if meta[0] in (247, 248):
                return meta[1]
            return -1 if ((((meta[0] & 0x30) ^ 0x30) << 4) | meta[1]) <= 255 else -2
        if kind in _FIXED:
            return _FIXED[kind]
        raise Unreadable(f"a column of the type {kind}, which is not known")


def wires(types: bytes, meta: bytes) -> list[Wire]:
    """The columns of a table out of the types and the metadata of its event."""
    found, at = [], 0
    for kind in types:
        size = 0 if kind in _NO_META else 2 if kind in _TWO_BYTES else 1
        found.append(Wire(kind, meta[at : at + size]))
        at += size
    return found


@dataclass(frozen=True)
class _Way:
    """The way through a row: after each `fixed` bytes comes a value with its length before it; then `tail` bytes.

    `keys`: for each column of the key after how many of those values it begins, how far behind that, and its size.
    """

    steps: tuple[tuple[int, int], ...]
    tail: int
    keys: tuple[tuple[int, int, int], ...]


@dataclass
class Layout:
    """How the rows of one table lie in events of one kind; `key` are the places of the key's columns among all."""

    columns: Sequence[Wire]
    key: Sequence[int]
    _ways: dict[bytes, _Way] = field(default_factory=dict)

    def keys(self, body: bytes, at: int, end: int, images: int, found: set[bytes]) -> int:
        """Add the keys of all rows between `at` and `end`; how many rows there are. An update has two images a row."""
        bitmap, ways, count = (len(self.columns) + 7) // 8, self._ways, 0
        while at < end:
            nulls = body[at : at + bitmap]
            way = ways.get(nulls)
            if way is None:
                way = ways[nulls] = self._way(nulls)
            at += bitmap
            if len(way.keys) == 1 and way.keys[0][0] == 0 and way.keys[0][2] > 0:
                ((_, offset, size),) = way.keys
                found.add(body[at + offset : at + offset + size])
                for fixed, length in way.steps:
                    at += fixed
                    at += length + (body[at] if length == 1 else int.from_bytes(body[at : at + length], "little"))
            else:
                bases = [at]
                for fixed, length in way.steps:
                    at += fixed
                    at += length + int.from_bytes(body[at : at + length], "little")
                    bases.append(at)
                found.add(b"".join(_slice(body, bases[base] + offset, size) for base, offset, size in way.keys))
            at += way.tail
            count += 1
        if at != end:
            raise Unreadable("a row that does not end where its event ends")
        return count // images

    def _way(self, nulls: bytes) -> _Way:
        steps: list[tuple[int, int]] = []
        keys: dict[int, tuple[int, int, int]] = {}
        run = 0
        for place, column in enumerate(self.columns):
            if nulls[place // 8] >> (place % 8) & 1:
                if place in self.key:
                    raise Unreadable("a row whose key is NULL")
                continue
            size = column.size
            if place in self.key:
                keys[place] = (len(steps), run, size)
            if size >= 0:
                run += size
            else:
                steps.append((run, -size))
                run = 0
        return _Way(tuple(steps), run, tuple(keys[place] for place in self.key))

    @property
    def of_key(self) -> tuple[Wire, ...]:
        """The columns of the key: raw keys of layouts that have the same are the same."""
        return tuple(self.columns[place] for place in self.key)

    def literals(self, columns: Sequence[Column]) -> Callable[[bytes], str]:
        """What makes a literal of a key, for a list of `IN (…)`."""
        values = self.values(columns)
        if len(columns) == 1:
            (column,) = columns
            return lambda raw: _literal(column, values(raw)[0])
        return lambda raw: f"({', '.join(map(_literal, columns, values(raw)))})"

    def values(self, columns: Sequence[Column]) -> "Callable[[bytes], tuple[Value, ...]]":
        """What makes values of a key: whole numbers; text and bytes as bytes; decimals, dates and moments as MySQL shows them."""
        makers = [_maker(column, self.columns[place]) for column, place in zip(columns, self.key, strict=True)]
        if len(makers) == 1:
            return lambda raw: (makers[0](raw),)
        sizes = [wire.size for wire in self.of_key]

        def of_all(raw: bytes) -> tuple[Value, ...]:
            at, parts = 0, []
            for make, size in zip(makers, sizes, strict=True):
                long = size if size > 0 else -size + int.from_bytes(raw[at : at - size], "little")
                parts.append(make(raw[at : at + long]))
                at += long
            return tuple(parts)

        return of_all


def _slice(body: bytes, at: int, size: int) -> bytes:
    if size > 0:
        return body[at : at + size]
    return body[at : at - size + int.from_bytes(body[at : at - size], "little")]


def _literal(column: Column, value: Value) -> str:
    if isinstance(value, bytes):
        return f"_{column.charset} x'{value.hex()}'" if column.charset else f"x'{value.hex()}'"
    return str(value) if isinstance(value, int) or column.data_type == "decimal" else mysql_string(value)


def _maker(column: Column, wire: Wire) -> Callable[[bytes], Value]:
    kind, meta = column.data_type, wire.meta
    if kind in ("tinyint", "smallint", "mediumint", "int", "bigint"):
        signed = not column.unsigned
        return lambda raw: int.from_bytes(raw, "little", signed=signed)
    if kind == "year":
        return lambda raw: 1900 + raw[0] if raw[0] else 0
    if kind == "decimal":
        return lambda raw: _decimal(raw, meta[0], meta[1])
    prefix = -wire.size
    if kind in ("char", "varchar", "varbinary") and prefix > 0:
        return lambda raw: raw[prefix:]
    if kind == "binary" and prefix > 0:
        # The zeros that it is filled up with are not in the event.
        return lambda raw: raw[prefix:].ljust(column.length or 0, bytes(1))
    if kind == "date" and wire.size == 3:
        return _date
    if kind == "datetime" and wire.type == 18:
        return _datetime
    if kind == "timestamp" and wire.type == 17:
        return _timestamp
    raise Unreadable(f"keys of the type {column.type}, which are not told from it")


def _date(raw: bytes) -> str:
    packed = int.from_bytes(raw, "little")
    return f"{packed >> 9:04}-{packed >> 5 & 15:02}-{packed & 31:02}"


def _datetime(raw: bytes) -> str:
    packed = int.from_bytes(raw[:5], "big") - 0x8000000000
    days, clock = packed >> 17, packed & 0x1FFFF
    months, day = days >> 5, days & 31
    return (
        f"{months // 13:04}-{months % 13:02}-{day:02} {clock >> 12:02}:{clock >> 6 & 63:02}:{clock & 63:02}"
        f".{_micros(raw[5:]):06}"
    )


def _timestamp(raw: bytes) -> str:
    (seconds,) = struct.unpack(">I", raw[:4])
    if not seconds and not _micros(raw[4:]):
        return "0000-00-00 00:00:00"
    return f"{datetime(1970, 1, 1) + timedelta(seconds=seconds, microseconds=_micros(raw[4:]))}"


def _micros(raw: bytes) -> int:
    return int.from_bytes(raw, "big") * int(10 ** (6 - 2 * len(raw)))


def _decimal_size(precision: int, scale: int) -> int:
    whole = precision - scale
    return whole // 9 * 4 + _BYTES_OF_DIGITS[whole % 9] + scale // 9 * 4 + _BYTES_OF_DIGITS[scale % 9]


def _decimal(raw: bytes, precision: int, scale: int) -> str:
    """A DECIMAL out of groups of nine digits, of which the first bit is the sign; a negative one has all bits turned."""
    negative = not raw[0] & 0x80
    plain = bytes([raw[0] ^ 0x80]) + raw[1:]
    if negative:
        plain = bytes(byte ^ 0xFF for byte in plain)
    whole, at, digits = precision - scale, 0, []
    for count in [*filter(None, [whole % 9]), *[9] * (whole // 9)]:
        size = _BYTES_OF_DIGITS[count]
        digits.append(f"{int.from_bytes(plain[at : at + size], 'big'):0{count}}")
        at += size
    before, after = "".join(digits) or "0", []
    for count in [*[9] * (scale // 9), *filter(None, [scale % 9])]:
        size = _BYTES_OF_DIGITS[count]
        after.append(f"{int.from_bytes(plain[at : at + size], 'big'):0{count}}")
        at += size
    return ("-" if negative else "") + before + ("." + "".join(after) if scale else "")
