"""A differing cell: the canonical texts of both ends, read as the values that they stand for."""

import math
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Literal

from workbook.catalog import Column

Family = Literal[
    "int", "decimal", "float", "date", "moment", "time", "year", "bit", "text", "enum", "set", "json", "bytes", "geometry"
]  # fmt: skip
DAY = 86_400_000_000  # microseconds
_FAMILIES: dict[str, Family] = {
    "tinyint": "int", "smallint": "int", "mediumint": "int", "int": "int", "bigint": "int", "decimal": "decimal",
    "float": "float", "double": "float", "date": "date", "datetime": "moment", "timestamp": "moment", "time": "time",
    "year": "year", "bit": "bit", "char": "text", "varchar": "text", "tinytext": "text", "text": "text",
    "mediumtext": "text", "longtext": "text", "enum": "enum", "set": "set", "json": "json", "binary": "bytes",
    "varbinary": "bytes", "tinyblob": "bytes", "blob": "bytes", "mediumblob": "bytes", "longblob": "bytes",
    "vector": "bytes",
}  # fmt: skip
_TEMPORAL = re.compile(r"(\d+)-(\d+)-(\d+)(?:[ T](\d+):(\d+):(\d+)(?:\.(\d+))?)?")
_TIME = re.compile(r"(-?)(\d+):(\d+):(\d+)(?:\.(\d+))?")


def family_of(column: Column) -> Family:
    """What kind of values a column holds."""
    return _FAMILIES.get(column.data_type, "geometry")


@dataclass(frozen=True)
class Cell:
    """A value before and after, as text; None is NULL. Bytes and geometries are hexadecimal digits.

    `seen` is False where only the hashes of the values are known.
    """

    column: Column
    before: str | None
    after: str | None
    seen: bool = True

    @property
    def family(self) -> Family:
        """What kind of values the column holds."""
        return family_of(self.column)

    @cached_property
    def numbers(self) -> tuple[Decimal | None, Decimal | None]:
        """Both values as exact numbers; None where one is none."""
        return number(self.before), number(self.after)

    @cached_property
    def moments(self) -> tuple[int | None, int | None]:
        """Both values as microseconds (of a TIME: since midnight); None where one is no such moment."""
        if self.family == "time":
            return duration(self.before), duration(self.after)
        unit = DAY if self.family == "date" else 1
        return moment(self.before, unit), moment(self.after, unit)


def number(text: str | None) -> Decimal | None:
    """The number of a canonical text: digits, or a mantissa and a power of two."""
    if text is None:
        return None
    mantissa, power, exponent = text.partition("p")
    try:
        if power:
            return Decimal(math.ldexp(int(mantissa), int(exponent)))
        found = Decimal(text.strip())
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return found if found.is_finite() else None


def moment(text: str | None, unit: int = 1) -> int | None:
    """Microseconds since 1970 of a canonical date or datetime: its text, or the count in `unit`; None for zero dates."""
    if text is None:
        return None
    if re.fullmatch(r"-?\d+", text):
        return int(text) * unit
    found = _TEMPORAL.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - 719_163
    except ValueError:
        return None
    fraction = int((found[7] or "").ljust(6, "0")[:6])
    return days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction


def is_partial(text: str | None) -> bool:
    """Whether a text is a date with a zero part, or one that its month does not have."""
    return text is not None and moment(text) is None and _TEMPORAL.match(text) is not None


def duration(text: str | None) -> int | None:
    """Microseconds of a canonical TIME."""
    if text is None:
        return None
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    found = _TIME.match(text)
    if found is None:
        return None
    whole = (int(found[2]) * 60 + int(found[3])) * 60 + int(found[4])
    micros = whole * 1_000_000 + int((found[5] or "").ljust(6, "0")[:6])
    return -micros if found[1] else micros


def spelled(micros: int) -> str:
    """A difference of time in words: +2:00 h, -1 day."""
    sign = "+" if micros > 0 else "-"
    size = abs(micros)
    if size % DAY == 0:
        return f"{sign}{size // DAY} day" + ("s" if size // DAY > 1 else "")
    minutes = size // 60_000_000
    return f"{sign}{minutes // 60}:{minutes % 60:02} h"
