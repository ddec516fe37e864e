"""What a cell of a number or a time shows of a defect: one function each, None where it does not."""

import math
import struct
from datetime import date
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

from workbook.validate.cells import DAY, Cell, is_partial, spelled

_NUMBERS = ("int", "decimal", "float", "year", "bit")
_ROUNDINGS = (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN, ROUND_CEILING, ROUND_FLOOR)
_DIGITS = 65  # of a DECIMAL
# Days at which the calendars of types and libraries begin or end.
_LOWEST = {(1, 1, 1), (1000, 1, 1), (1582, 10, 15), (1601, 1, 1), (1677, 9, 21), (1677, 9, 22), (1753, 1, 1), (1900, 1, 1),
           (1901, 12, 13), (1901, 12, 14), (1970, 1, 1), (1969, 12, 31)}  # fmt: skip
_HIGHEST = {(2037, 12, 31), (2038, 1, 18), (2038, 1, 19), (2079, 6, 6), (2105, 12, 31), (2106, 2, 7), (2261, 12, 31),
            (2262, 4, 11), (9999, 12, 31)}  # fmt: skip


def null_and_empty(cell: Cell) -> str | None:
    """NULL became empty or 0, or empty became NULL."""
    if cell.before is None and (cell.after == "" or (cell.numbers[1] == 0 and cell.family in _NUMBERS)):
        return "NULL became " + ("empty" if cell.after == "" else "0")
    if cell.before == "" and cell.after is None:
        return "empty became NULL"
    return None


def wrapped(cell: Cell) -> str | None:
    """The number was held to the end of a range, or only its lower bits are left."""
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


def through_double(cell: Cell) -> str | None:
    """As many digits are right as a double holds."""
    one, other = cell.numbers
    if one is None or other is None or one == other or len(one.as_tuple().digits) <= 15 or one.adjusted() > _DIGITS:
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


def rounded(cell: Cell) -> str | None:
    """The number has fewer places."""
    one, other = cell.numbers
    if one is None or other is None or one == other or one.adjusted() > _DIGITS:
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


def last_bit(cell: Cell) -> str | None:
    """The double is the one next to it."""
    one, other = cell.numbers
    if one is None or other is None or cell.column.data_type != "double":
        return None
    x, y = float(one), float(other)
    return "the next double" if y in (math.nextafter(x, math.inf), math.nextafter(x, -math.inf)) else None


def drifted(cell: Cell) -> str | None:
    """The number is near, as far as single precision or six digits go."""
    one, other = cell.numbers
    if one is None or other is None or one == other:
        return None
    x, y = float(one), float(other)
    if abs(x) < 3e38 and struct.unpack("f", struct.pack("f", x))[0] == y:
        return "as single precision holds it"
    off = abs(x - y) / max(abs(x), abs(y))
    return f"off by a share of 1e{math.floor(math.log10(off))}" if 0 < off < 2e-5 else None


def fraction_lost(cell: Cell) -> str | None:
    """The time has fewer digits of the fraction."""
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


def shifted_stamp(cell: Cell) -> str | None:
    """A TIMESTAMP, DATE or TIME moved by a step that zones make."""
    return None if cell.column.data_type == "datetime" else _shifted(cell)


def shifted_clock(cell: Cell) -> str | None:
    """A DATETIME moved by a step that zones make."""
    return _shifted(cell) if cell.column.data_type == "datetime" else None


def partial_date(cell: Cell) -> str | None:
    """A zero or partial date came or went."""
    if is_partial(cell.before) and not is_partial(cell.after):
        return f"a zero or partial date became {'NULL' if cell.after is None else 'another date'}"
    if is_partial(cell.after):
        what = "NULL" if cell.before is None else "a partial date" if is_partial(cell.before) else "a date"
        return f"{what} became a zero or partial date"
    return None


def clamped(cell: Cell) -> str | None:
    """The date was held to the end of a calendar."""
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


def long_time(cell: Cell) -> str | None:
    """A TIME that is no time of day became another."""
    one, other = cell.moments
    if one is None or 0 <= one < DAY:
        return None
    what = "a negative time" if one < 0 else "a time over 24 hours"
    if other is None:
        return f"{what} became NULL"
    if other == abs(one):
        return f"{what} lost its sign"
    return f"{what} became one within a day" if 0 <= other < DAY else f"{what} became another"


def year_changed(cell: Cell) -> str | None:
    """The year 0000 was lost, or only two digits of the year agree."""
    one, other = cell.numbers
    if one is None or one == other:
        return None
    if one == 0:
        return f"0000 became {'NULL' if other is None else other}"
    if other is None:
        return None
    if other == 0:
        return "a year became 0000"
    return "only the last two digits agree" if int(one) % 100 == int(other) % 100 else None


def truth_value(cell: Cell) -> str | None:
    """A small number became 0 or 1."""
    one, other = cell.numbers
    narrow = cell.column.type.lower().startswith(("tinyint(1)", "tinyint"))
    if not narrow or one is None or one in (0, 1) or other not in (0, 1):
        return None
    return f"other numbers than 0 and 1 became {other}"


def bits_changed(cell: Cell) -> str | None:
    """What became of the bits."""
    one, other = cell.numbers
    if one is None or one == other:
        return None
    if other is None:
        return "bits became NULL"
    width = cell.column.precision or 1
    if not 0 <= one < 2**width:
        return "other bits"
    bits = bin(int(one))[2:].zfill(width)
    if int(bits[::-1], 2) == other:
        return "the bits are in reverse order"
    if int.from_bytes(int(one).to_bytes((width + 7) // 8, "big"), "little") == other:
        return "the bytes are in reverse order"
    if other in (48, 49) and one in (0, 1):
        return "the code of the digit stands in the place of the bit"
    return "a truth value stands in the place of the bits" if one > 1 and other in (0, 1) else "other bits"
