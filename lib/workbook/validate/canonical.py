"""The canonical encoding in Python: the reference that the SQL of both servers is tested against, and its documentation.

Nothing here reads a server. Values come as Python has them: int, Decimal, float, str, bytes, date, datetime, timedelta;
dates that Python has not (0000-00-00, 2019-02-31) as the text MySQL shows.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from workbook.mapping.types import ENCODING_VERSION, RULES
from workbook.validate.encoding import Kind

NULL = b"~;"
_EPOCH = date(1970, 1, 1)
# As in the SQL of `types._float`: below this share under a power of two the exponent is already the next one's.
_ROUNDED_UP = 2**-1e-9


@dataclass(frozen=True)
class Form:
    """How the values of some type rules are written: in words, as a function to text, and by an example.

    The function gives None for a value that the form has no text for: it then is NULL in the shared encoding, and in the
    exact one its text as MySQL shows it.
    """

    rules: tuple[str, ...]
    what: str
    text: Callable[[Any], str | bytes | None]
    example: Any


def whole(value: int) -> str:
    """Decimal digits."""
    return str(int(value))


def decimal(value: Decimal | str) -> str:
    """Digits and a point, without trailing zeros and without a trailing point."""
    text = format(Decimal(value), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def double(value: float) -> str:
    """`mantissa p exponent` with a mantissa of about 2^54 to 2^55; raises ValueError for what MySQL cannot hold."""
    if value == 0:
        return "0"
    mantissa, exponent = _frexp(abs(value))
    power = exponent - 1 + (mantissa >= _ROUNDED_UP) - 54
    scaled = Fraction(value) / Fraction(2) ** power
    if scaled.denominator != 1:
        raise ValueError(f"{value!r} has more bits than a double")
    return f"{scaled.numerator}p{power}"


def _frexp(value: float) -> tuple[float, int]:
    import math

    if not math.isfinite(value):
        raise ValueError(f"MySQL holds no {value!r}")
    return math.frexp(value)


def days(value: date | str) -> str | None:
    """Days since 1970-01-01."""
    found = value if isinstance(value, date) else _parsed(value)
    return None if found is None else str((found - _EPOCH).days)


def microseconds(value: datetime | str) -> str | None:
    """Microseconds since 1970-01-01 00:00:00; an aware datetime in UTC."""
    if isinstance(value, str):
        day, _, time = value.partition(" ")
        found, parts = _parsed(day), re.fullmatch(r"(\d+):(\d+):(\d+)(?:\.(\d{1,6}))?", time or "00:00:00")
        if found is None or parts is None:
            return None
        hours, minutes, seconds = (int(part) for part in parts.groups()[:3])
        since = timedelta((found - _EPOCH).days, seconds, int((parts[4] or "").ljust(6, "0")), 0, minutes, hours)
    else:
        since = (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value) - datetime(1970, 1, 1)
    return str(since // timedelta(microseconds=1))


def duration(value: timedelta | int) -> str:
    """Microseconds of a TIME, negative ones and more than a day among them."""
    return str(value // timedelta(microseconds=1) if isinstance(value, timedelta) else int(value))


def text(value: str | bytes) -> bytes:
    """The bytes of a free text; bytes as they are (a character set that has no single way into Unicode)."""
    return value if isinstance(value, bytes) else value.encode("utf-8")


def digest(value: str | bytes) -> str:
    """The SHA-256 of a long text or of long bytes, in lower-case hexadecimal."""
    return hashlib.sha256(text(value)).hexdigest()


FORMS: tuple[Form, ...] = (
    Form(("integer", "unsigned-64", "year", "bool", "bits", "bits-64"), "decimal digits, no leading zeros, `-` if negative", whole, -42),
    Form(("numeric", "bignumeric", "decimal-text"), "the same with a point, no trailing zeros, no trailing point, no `-0`", decimal, Decimal("-1.50")),
    Form(("float",), "`mantissa p exponent`: the value is mantissa × 2^exponent, exactly; the exponent is"
         " ⌊log₂ of the absolute value + 10⁻⁹⌋ − 54; 0 and −0 are `0`; a FLOAT is widened to a DOUBLE first", double, 0.1),
    Form(("date",), "days since 1970-01-01, whole", days, date(2024, 2, 29)),
    Form(("datetime",), "microseconds since 1970-01-01 00:00:00, whole, without a zone", microseconds, datetime(2024, 2, 29, 12, 30, 0, 5)),
    Form(("timestamp",), "microseconds since 1970-01-01 00:00:00 UTC, whole", microseconds, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    Form(("time-micros", "time"), "microseconds, whole, from −3020399000000 to 3020399000000", duration, -timedelta(hours=25, microseconds=1)),
    Form(("temporal-text",), "the text that MySQL shows", str, "0000-00-00"),
    Form(("text",), "free text in UTF-8, told apart by its length: `=`, the number of bytes, `:`, the bytes", text, "größe"),
    Form(("bytes",), "lower-case hexadecimal", lambda value: value.hex(), b"\x00\xff"),
    Form(("long-text", "json-text"), "SHA-256 of the UTF-8 text (of JSON as MySQL prints it), lower-case hexadecimal", digest, ""),
    Form(("long-bytes", "geometry-bytes"), "SHA-256 of the bytes, lower-case hexadecimal", digest, b"\x00"),
)  # fmt: skip
_FORM = {rule: form for form in FORMS for rule in form.rules}


def encode(rule: str, value: Any, kind: Kind = "exact") -> bytes:
    """The bytes of one value of a column of the type rule `rule`; None is NULL. Raises KeyError for an unknown rule."""
    form = _FORM[rule]
    if value is None:
        return NULL
    found = form.text(value)
    if found is None:
        if kind == "shared":
            return NULL
        found = str(value)
    if isinstance(found, bytes):
        return b"=%d:%b;" % (len(found), found)
    return found.encode("ascii") + b";"


def encode_row(rules: Sequence[str], values: Sequence[Any], kind: Kind = "exact") -> bytes:
    """The bytes of a row: its values one after the other."""
    return b"".join(encode(rule, value, kind) for rule, value in zip(rules, values, strict=True))


def row_hash(encoded: bytes) -> bytes:
    """The 16 bytes that stand for a row: the first half of the SHA-256 of its encoding."""
    return hashlib.sha256(encoded).digest()[:16]


def markdown() -> str:
    """The encoding as a Markdown table, for the README of this folder."""
    lines = [
        f"Version {ENCODING_VERSION}.",
        "",
        "| MySQL | rules | canonical text | example | its bytes |",
        "| --- | --- | --- | --- | --- |",
    ]
    what = {rule.name: rule.what for rule in RULES}
    for form in FORMS:
        kinds = "; ".join(what[rule] for rule in form.rules)
        encoded = encode(form.rules[0], form.example).decode()
        shown = encoded if len(encoded) < 40 else encoded[:12] + "…" + encoded[-5:]
        example = form.example if isinstance(form.example, Decimal | date) else repr(form.example)
        names = ", ".join(f"`{rule}`" for rule in form.rules)
        lines.append(f"| {kinds} | {names} | {form.what} | `{example}` | `{shown}` |")
    return "\n".join(lines)


def _parsed(text: str) -> date | None:
    """The date of a text; None where BigQuery has no such date."""
    try:
        return date(*(int(part) for part in text.split("-")))
    except ValueError:
        return None
