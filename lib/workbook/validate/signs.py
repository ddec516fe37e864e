"""The signs of each defect in a single cell, as a table: what a cell must show for the defect to be named, most specific first."""

import json
import math
import re
import struct
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from workbook.validate.cells import DAY, Cell, Family, is_partial, spelled

# What a cell shows, in words that are the same for cells alike: they are counted. None: not this defect.
Sign = Callable[[Cell], str | None]
_TEXTS: tuple[Family, ...] = ("text", "enum", "set")
_NUMBERS: tuple[Family, ...] = ("int", "decimal", "float", "year", "bit")
_TIMES: tuple[Family, ...] = ("date", "moment", "time")
_CODECS = ("latin-1", "cp1252", "cp1250", "cp1251", "cp437", "cp850", "mac_roman", "koi8_r")
_TOKENS = {"null", "<null>", "(null)", "\\n", "none", "nil", "nan", "n/a", "na", "~", "undefined"}
_REPLACEMENTS = ("?", "??", "???", "????", "\ufffd", "\ufffd" * 2, "\ufffd" * 4, "", "□", "_")
_ROUNDINGS = (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN, ROUND_CEILING, ROUND_FLOOR)
# Days at which the calendars of types and libraries begin or end, and names for them.
_LOWEST = {(1, 1, 1), (1000, 1, 1), (1582, 10, 15), (1601, 1, 1), (1677, 9, 21), (1677, 9, 22), (1753, 1, 1), (1900, 1, 1),
           (1901, 12, 13), (1901, 12, 14), (1970, 1, 1), (1969, 12, 31)}  # fmt: skip
_HIGHEST = {(2037, 12, 31), (2038, 1, 18), (2038, 1, 19), (2079, 6, 6), (2105, 12, 31), (2106, 2, 7), (2261, 12, 31),
            (2262, 4, 11), (9999, 12, 31)}  # fmt: skip


def _both(cell: Cell) -> tuple[str, str] | None:
    return None if cell.before is None or cell.after is None else (cell.before, cell.after)


def _text_cut(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None or not both[1]:
        return None
    before, after = both
    # A cut between the bytes of a character leaves a piece of it, or a mark in its place.
    whole = after.rstrip("\ufffd?") if not before.startswith(after) else after
    if not whole or len(whole) >= len(before) or not before.startswith(whole):
        return None
    return f"cut after {len(after)} characters ({len(after.encode())} bytes)"


def _mojibake(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None or (both[0].isascii() and both[1].isascii()):
        return None
    before, after = both
    for codec in _CODECS:
        if _read_as(before, codec) == after:
            return f"its UTF-8 was read as {codec}"
        if _read_as(after, codec) == before:
            return f"its {codec} was read as UTF-8"
        if _read_as(_read_as(before, codec) or "", codec) == after:
            return f"its UTF-8 was read as {codec} twice"
    for one in _CODECS[1:]:
        for other in _CODECS:
            if one != other and _as(before, one, other) == after:
                return f"its {one} was read as {other}"
    if "\ufffd" in after and _as(before, "latin-1", "utf-8", "replace") == after:
        return "its latin-1 was read as UTF-8"
    return None


def _read_as(text: str, codec: str) -> str | None:
    """The UTF-8 bytes of a text read as single bytes; the five that cp1252 lacks are control characters, as in MySQL."""
    try:
        return text.encode().decode(codec)
    except UnicodeDecodeError:
        if codec != "cp1252":
            return None
    return "".join(
        bytes([byte]).decode("cp1252" if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "latin-1")
        for byte in text.encode()
    )


def _as(text: str, codec: str, read: str, errors: str = "strict") -> str | None:
    try:
        return text.encode(codec).decode(read, errors)
    except UnicodeError:
        return None


def _replaced(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None or both[0].isascii():
        return None
    before, after = both
    for what, pattern in (
        ("four-byte characters", "[\U00010000-\U0010ffff]"),
        ("characters beyond cp1252", "[^\x00-\xff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"),
        ("characters beyond latin1", "[^\x00-\xff]"),
        ("characters beyond ASCII", "[^\x00-\x7f]"),
    ):
        first = re.search(pattern, before)
        if first is None:
            continue
        if first.start() and before[: first.start()] == after:
            return f"cut at the first of the {what}"
        for mark in _REPLACEMENTS:
            if re.sub(pattern, mark, before) == after:
                return f"{what} became {mark!r}" if mark else f"{what} are gone"
    return None


def _space(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None or both[0] == both[1]:
        return None
    before, after = (text.rstrip("\0") for text in both)
    if before.rstrip() == after.rstrip():
        return "spaces at the end are gone" if len(both[1]) < len(both[0]) else "spaces at the end came"
    if before.strip() == after.strip():
        return "spaces at the start or the end differ"
    return None


def _form(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None:
        return None
    for form in ("NFC", "NFKC"):
        if unicodedata.normalize(form, both[0]) == unicodedata.normalize(form, both[1]):
            after = next(
                (name for name in ("NFC", "NFD", "NFKC") if unicodedata.is_normalized(name, both[1])), "another form"
            )
            return f"the same characters in another form, now {after}"
    return None


def _case(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None:
        return None
    if both[0].casefold() == both[1].casefold():
        return "letters in another case"
    if _folded(both[0]) == _folded(both[1]):
        return "letters without their accents, or in another case"
    return None


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).replace("ß", "ss")


def _empty(cell: Cell) -> str | None:
    if cell.before is None and (cell.after == "" or (cell.numbers[1] == 0 and cell.family in _NUMBERS)):
        return "NULL became " + ("empty" if cell.after == "" else "0")
    if cell.before == "" and cell.after is None:
        return "empty became NULL"
    return None


def _token(cell: Cell) -> str | None:
    for text, other, way in ((cell.before, cell.after, "became NULL"), (cell.after, cell.before, "stands for NULL")):
        if other is None and text is not None and text.strip().lower() in _TOKENS:
            return f"the text {text!r} {way}"
    return None


def _wrapped(cell: Cell) -> str | None:
    one, other = cell.numbers
    if one is None or other is None or one == other:
        return None
    if cell.family == "decimal":
        digits = str(abs(other)).replace(".", "")
        if digits and set(digits) == {"9"} and abs(one) > abs(other) and (one < 0) == (other < 0):
            return f"everything beyond became {other}"
        return "negative numbers became 0" if one < 0 and other == 0 else None
    if one != int(one) or other != int(other):
        return None
    for bits in (7, 8, 15, 16, 23, 24, 31, 32, 63, 64):
        high, low = 2**bits - 1, -(2**bits)
        if (other == high and one > high) or (other == low and one < low):
            return f"everything beyond became {other}"
    for bits in (8, 16, 24, 32, 64):
        inside = -(2 ** (bits - 1)) <= other < 2**bits
        if inside and (int(one) - int(other)) % 2**bits == 0:
            return f"only the lower {bits} bits are left"
    return "negative numbers became 0" if one < 0 and other == 0 else None


def _through_double(cell: Cell) -> str | None:
    one, other = cell.numbers
    if one is None or other is None or one == other or len(one.as_tuple().digits) <= 15:
        return None
    near = float(one)
    if not math.isfinite(near):
        return None
    scale = max(cell.column.scale or 0, 0)
    with localcontext() as context:
        context.prec = 120
        for text in (near, repr(near), f"{near:.15g}", f"{near:.14g}", f"{near:.16g}"):
            found = Decimal(text)
            if other in (
                found,
                found.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP),
                found.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_EVEN),
            ):
                return "about 16 digits are right, as many as a double holds"
    return None


def _rounded(cell: Cell) -> str | None:
    one, other = cell.numbers
    if one is None or other is None or one == other or one.adjusted() > 66:
        return None
    with localcontext() as context:
        context.prec = 120
        for places in range(30):
            step = Decimal(1).scaleb(-places)
            for rounding in _ROUNDINGS:
                found = one.quantize(step, rounding)
                if found == other or (cell.family == "float" and float(found) == float(other)):
                    how = "cut" if rounding == ROUND_DOWN else "rounded"
                    return f"{how} to {places} places" if places else f"{how} to whole numbers"
    return None


def _last_bit(cell: Cell) -> str | None:
    one, other = cell.numbers
    if one is None or other is None or cell.column.data_type != "double":
        return None
    x, y = float(one), float(other)
    return "the next double" if y in (math.nextafter(x, math.inf), math.nextafter(x, -math.inf)) else None


def _drifted(cell: Cell) -> str | None:
    one, other = cell.numbers
    if one is None or other is None or one == other:
        return None
    x, y = float(one), float(other)
    if abs(x) < 3e38 and struct.unpack("f", struct.pack("f", x))[0] == y:
        return "as single precision holds it"
    off = abs(x - y) / max(abs(x), abs(y))
    return f"off by a share of 1e{math.floor(math.log10(off))}" if 0 < off < 2e-5 else None


def _fraction(cell: Cell) -> str | None:
    one, other = cell.moments
    if one is None or other is None:
        return None
    if one == other:
        return "the same moment, written with other digits of the fraction"
    for digits in range(6):
        step = 10 ** (6 - digits)
        if other in (one // step * step, (one + step // 2) // step * step, -(-one // step) * step):
            return f"{digits} digits of the fraction are left" if digits else "whole seconds are left"
    if cell.family == "moment" and other == one // DAY * DAY:
        return "the day alone is left"
    return None


def _shifted(cell: Cell) -> str | None:
    one, other = cell.moments
    if one is None or other is None:
        return None
    by = other - one
    # Zones lie within 14 hours of UTC, and a mistaken sign doubles that.
    if cell.family == "date":
        return f"shifted by {spelled(by)}" if abs(by) == DAY else None
    zone = by != 0 and abs(by) <= 28 * 3_600_000_000 and by % 900_000_000 == 0
    return f"shifted by {spelled(by)}" if zone else None


def _shifted_stamp(cell: Cell) -> str | None:
    return None if cell.column.data_type == "datetime" else _shifted(cell)


def _shifted_clock(cell: Cell) -> str | None:
    return _shifted(cell) if cell.column.data_type == "datetime" else None


def _partial(cell: Cell) -> str | None:
    if is_partial(cell.before) and not is_partial(cell.after):
        return f"a zero or partial date became {'NULL' if cell.after is None else 'another date'}"
    if is_partial(cell.after):
        what = "NULL" if cell.before is None else "a partial date" if is_partial(cell.before) else "a date"
        return f"{what} became a zero or partial date"
    return None


def _clamped(cell: Cell) -> str | None:
    one, other = cell.moments
    if one is None or other is None or cell.family == "time":
        return None
    day = _day(other)
    if (day in _LOWEST and one < other) or (day in _HIGHEST and one > other):
        return f"everything beyond became {day[0]:04}-{day[1]:02}-{day[2]:02}"
    return None


def _day(micros: int) -> tuple[int, int, int]:
    try:
        found = date.fromordinal(micros // DAY + 719_163)
    except (ValueError, OverflowError):
        return (0, 0, 0)
    return found.year, found.month, found.day


def _long_time(cell: Cell) -> str | None:
    one, other = cell.moments
    if one is None or 0 <= one < DAY:
        return None
    what = "a negative time" if one < 0 else "a time over 24 hours"
    if other is None:
        return f"{what} became NULL"
    if other == abs(one):
        return f"{what} lost its sign"
    return f"{what} became one within a day" if 0 <= other < DAY else f"{what} became another"


def _year(cell: Cell) -> str | None:
    one, other = cell.numbers
    if one is None or one == other:
        return None
    if one == 0:
        return f"0000 became {'NULL' if other is None else other}"
    if other is None:
        return None
    if other == 0:
        return "a year became 0000"
    return "only the last two digits agree" if one % 100 == other % 100 else None


def _truth(cell: Cell) -> str | None:
    one, other = cell.numbers
    narrow = cell.column.type.lower().startswith(("tinyint(1)", "tinyint"))
    if not narrow or one is None or one in (0, 1) or other not in (0, 1):
        return None
    return f"other numbers than 0 and 1 became {other}"


def _member(cell: Cell) -> str | None:
    both = _both(cell)
    members = _members(cell.column.type)
    if both is None:
        return None
    if both[1].isdigit() and both[1] not in members:
        return "the number of the member stands in its place"
    if both[1] == "":
        return "a member became empty"
    return "another member of the list" if both[1] in members else "no member of the source's list"


def _members(kind: str) -> list[str]:
    return [found.replace("''", "'") for found in re.findall(r"'((?:[^']|'')*)'", kind)]


def _set_member(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None:
        return None
    one, other = (set(filter(None, text.split(","))) for text in both)
    if other < one:
        return "members are gone"
    if both[1].isdigit():
        return "the bits stand in the place of the members"
    return "members came" if one < other else "other members"


def _json_number(cell: Cell) -> str | None:
    values = _documents(cell)
    if values is None or _same(*values, exact=True) or not _same(*values, exact=False):
        return None
    return "a number is written as another type, such as 1 for 1.0"


def _json(cell: Cell) -> str | None:
    if cell.before is None or cell.after is None:
        return "a document became NULL" if cell.after is None else "NULL became a document"
    values = _documents(cell)
    if values is None:
        return "the text is no document any more"
    return "only order and spaces differ" if _same(*values, exact=True) else "another value in the document"


class _Number(str):
    """A number of a document as it is written."""


def _documents(cell: Cell) -> tuple[Any, Any] | None:
    both = _both(cell)
    try:
        return (
            None if both is None else tuple(json.loads(text, parse_float=_Number, parse_int=_Number) for text in both)
        )
    except (ValueError, RecursionError):
        return None


def _same(one: Any, other: Any, exact: bool) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key], exact) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b, exact) for a, b in zip(one, other, strict=True))
    texts = (str(one), str(other))
    if isinstance(one, _Number) and isinstance(other, _Number):
        return texts[0] == texts[1] or (not exact and float(texts[0]) == float(texts[1]))
    return type(one) is type(other) and bool(one == other)


def _bytes(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None:
        return None
    before, after = (
        bytes.fromhex(text) if re.fullmatch(r"(?:[0-9a-fA-F]{2})*", text) else text.encode() for text in both
    )
    if before.rstrip(b"\0 ") == after.rstrip(b"\0 "):
        return "the padding at the end differs"
    if len(after) < len(before) and before.startswith(after):
        return f"cut after {len(after)} bytes"
    if before.decode("latin-1").encode() == after:
        return "bytes were read as latin-1 and written as UTF-8"
    if (
        before.decode("utf-8", "replace").encode() == after
        or before.decode("ascii", "replace").replace("\ufffd", "?").encode() == after
    ):
        return "bytes that are no text were replaced"
    if before.hex().encode() == after.lower():
        return "hexadecimal digits stand in the place of the bytes"
    return "other bytes of the same length" if len(before) == len(after) else "other bytes"


def _geometry(cell: Cell) -> str | None:
    both = _both(cell)
    if both is None:
        return "a geometry became NULL" if cell.after is None else "NULL became a geometry"
    before, after = (text.lower() for text in both)
    if before[8:] == after[8:]:
        return f"the SRID {_srid(before)} became {_srid(after)}"
    if before[8:] == after:
        return "the SRID is gone"
    one, other = _doubles(before), _doubles(after)
    if len(one) > 1 and sorted(one) == sorted(other) and one != other:
        return "the axes are exchanged"
    near = len(one) == len(other) > 0 and all(
        math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-4) for a, b in zip(one, other, strict=True)
    )
    return "the coordinates are rounded" if near else "another shape"


def _srid(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text[:8]), "little")


def _doubles(text: str) -> list[float]:
    """The coordinates of a point (after SRID, byte order and type); of other shapes as many as stand at the same places."""
    body = bytes.fromhex(text)[9:]
    start = len(body) % 8
    return [struct.unpack("<d", body[place : place + 8])[0] for place in range(start, len(body) - 7, 8)]


def _bits(cell: Cell) -> str | None:
    one, other = cell.numbers
    if one is None or one == other:
        return None
    if other is None:
        return "bits became NULL"
    width = cell.column.precision or 1
    bits = bin(int(one))[2:].zfill(width)
    if int(bits[::-1], 2) == other:
        return "the bits are in reverse order"
    if int.from_bytes(int(one).to_bytes((width + 7) // 8, "big"), "little") == other:
        return "the bytes are in reverse order"
    if other in (48, 49) and one in (0, 1):
        return "the code of the digit stands in the place of the bit"
    return "a truth value stands in the place of the bits" if one > 1 and other in (0, 1) else "other bits"


# Most specific first: the first sign that a cell shows names it.
SIGNS: tuple[tuple[int, Sequence[Family], Sign], ...] = (
    (7, (*_TEXTS, *_NUMBERS, "bytes"), _empty),
    (8, _TEXTS, _token),
    (6, _TEXTS, _form),
    (4, _TEXTS, _space),
    (2, _TEXTS, _mojibake),
    (3, _TEXTS, _replaced),
    (5, _TEXTS, _case),
    (1, ("text",), _text_cut),
    (22, ("year",), _year),
    (24, ("int",), _truth),
    (15, ("int", "decimal"), _wrapped),
    (13, ("float",), _last_bit),
    (14, ("float",), _drifted),
    (12, ("int", "decimal"), _through_double),
    (11, ("decimal", "float"), _rounded),
    (19, ("date", "moment"), _partial),
    (20, ("date", "moment"), _clamped),
    (21, ("time",), _long_time),
    (16, ("moment", "time"), _fraction),
    (17, _TIMES, _shifted_stamp),
    (18, ("moment",), _shifted_clock),
    (28, ("json",), _json_number),
)
# What a change of such a column is where no sign says more.
GENERAL: tuple[tuple[int, Sequence[Family], Sign], ...] = (
    (23, ("bit",), _bits),
    (25, ("enum",), _member),
    (26, ("set",), _set_member),
    (27, ("json",), _json),
    (29, ("bytes",), _bytes),
    (30, ("geometry",), _geometry),
)


def signs_of(cell: Cell, table: Iterable[tuple[int, Sequence[Family], Sign]] = SIGNS) -> dict[int, str]:
    """All defects that a cell shows, with what it shows, most specific first."""
    if not cell.seen:
        return {}
    found = {}
    for number, families, sign in table:
        if cell.family in families:
            shown = sign(cell)
            if shown is not None:
                found[number] = shown
    return found
