"""What a cell of text, a document, bytes or a geometry shows of a defect: one function each, None where it does not."""

import json
import math
import re
import struct
import unicodedata
from typing import Any

from workbook.validate.cells import Cell

_CODECS = ("latin-1", "cp1252", "cp1250", "cp1251", "cp437", "cp850", "mac_roman", "koi8_r")
_TOKENS = {"null", "<null>", "(null)", "\\n", "none", "nil", "nan", "n/a", "na", "~", "undefined"}
_REPLACEMENTS = ("?", "??", "???", "????", "\ufffd", "\ufffd" * 2, "\ufffd" * 4, "", "□", "_")


def _both(cell: Cell) -> tuple[str, str] | None:
    return None if cell.before is None or cell.after is None else (cell.before, cell.after)


def text_cut(cell: Cell) -> str | None:
    """The text ends early; with the place, in characters and bytes."""
    both = _both(cell)
    if both is None or not both[1]:
        return None
    before, after = both
    # A cut between the bytes of a character leaves a piece of it, or a mark in its place.
    whole = after.rstrip("\ufffd?") if not before.startswith(after) else after
    if not whole or len(whole) >= len(before) or not before.startswith(whole):
        return None
    return f"cut after {len(after)} characters ({len(after.encode())} bytes)"


def mojibake(cell: Cell) -> str | None:
    """The bytes of one character set were read as those of another."""
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


def characters_replaced(cell: Cell) -> str | None:
    """Characters that a narrower character set lacks are gone, or became a mark."""
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


def space_lost(cell: Cell) -> str | None:
    """Spaces, tabs or line breaks at the ends differ."""
    both = _both(cell)
    if both is None or both[0] == both[1]:
        return None
    before, after = (text.rstrip("\0") for text in both)
    if before.rstrip() == after.rstrip():
        return "spaces at the end are gone" if len(both[1]) < len(both[0]) else "spaces at the end came"
    if before.strip() == after.strip():
        return "spaces at the start or the end differ"
    return None


def form_changed(cell: Cell) -> str | None:
    """The same characters, composed otherwise."""
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


def case_changed(cell: Cell) -> str | None:
    """The same letters in another case, or without accents."""
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


def null_token(cell: Cell) -> str | None:
    """A word that some tool takes for NULL."""
    for text, other, way in ((cell.before, cell.after, "became NULL"), (cell.after, cell.before, "stands for NULL")):
        if other is None and text is not None and text.strip().lower() in _TOKENS:
            return f"the text {text!r} {way}"
    return None


def member_changed(cell: Cell) -> str | None:
    """What stands in the place of a member of an ENUM."""
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


def set_changed(cell: Cell) -> str | None:
    """What became of the members of a SET."""
    both = _both(cell)
    if both is None:
        return None
    one, other = (set(filter(None, text.split(","))) for text in both)
    if other < one:
        return "members are gone"
    if both[1].isdigit():
        return "the bits stand in the place of the members"
    return "members came" if one < other else "other members"


def document_number(cell: Cell) -> str | None:
    """The same document but for the type of a number."""
    values = _documents(cell)
    if values is None or _same(*values, exact=True) or not _same(*values, exact=False):
        return None
    return "a number is written as another type, such as 1 for 1.0"


def document_changed(cell: Cell) -> str | None:
    """What else became of a document."""
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


def binary_changed(cell: Cell) -> str | None:
    """What became of bytes, given in hexadecimal."""
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


def geometry_changed(cell: Cell) -> str | None:
    """What became of a geometry, given in MySQL's own form in hexadecimal."""
    both = _both(cell)
    if both is None:
        return "a geometry became NULL" if cell.after is None else "NULL became a geometry"
    before, after = (text.lower() for text in both)
    if not all(re.fullmatch(r"(?:[0-9a-f]{2}){4,}", text) for text in (before, after)):
        return "another shape"
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
