"""The signs of each defect in a single cell, as a table: what a cell must show for the defect to be named, most specific first."""

from collections.abc import Callable, Iterable, Sequence

from workbook.validate import number_signs as numbers
from workbook.validate import text_signs as texts
from workbook.validate.cells import Cell, Family

# What a cell shows, in words that are the same for cells alike: they are counted. None: not this defect.
Sign = Callable[[Cell], str | None]
_TEXTS: tuple[Family, ...] = ("text", "enum", "set")
_NUMBERS: tuple[Family, ...] = ("int", "decimal", "float", "year", "bit")
_TIMES: tuple[Family, ...] = ("date", "moment", "time")
# Most specific first: the first sign that a cell shows names it.
SIGNS: tuple[tuple[int, Sequence[Family], Sign], ...] = (
    (7, (*_TEXTS, *_NUMBERS, "bytes"), numbers.null_and_empty),
    (8, _TEXTS, texts.null_token),
    (6, _TEXTS, texts.form_changed),
    (4, _TEXTS, texts.space_lost),
    (2, _TEXTS, texts.mojibake),
    (3, _TEXTS, texts.characters_replaced),
    (5, _TEXTS, texts.case_changed),
    (1, ("text",), texts.text_cut),
    (22, ("year",), numbers.year_changed),
    (24, ("int",), numbers.truth_value),
    (15, ("int", "decimal"), numbers.wrapped),
    (13, ("float",), numbers.last_bit),
    (14, ("float",), numbers.drifted),
    (12, ("int", "decimal"), numbers.through_double),
    (11, ("decimal", "float"), numbers.rounded),
    (19, ("date", "moment"), numbers.partial_date),
    (20, ("date", "moment"), numbers.clamped),
    (21, ("time",), numbers.long_time),
    (16, ("moment", "time"), numbers.fraction_lost),
    (17, _TIMES, numbers.shifted_stamp),
    (18, ("moment",), numbers.shifted_clock),
    (28, ("json",), texts.document_number),
)
# What a change of such a column is where no sign says more.
GENERAL: tuple[tuple[int, Sequence[Family], Sign], ...] = (
    (23, ("bit",), numbers.bits_changed),
    (25, ("enum",), texts.member_changed),
    (26, ("set",), texts.set_changed),
    (27, ("json",), texts.document_changed),
    (29, ("bytes",), texts.binary_changed),
    (30, ("geometry",), texts.geometry_changed),
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
