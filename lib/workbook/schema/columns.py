"""How the columns of a table differ between source and target, in words."""

import re
from collections.abc import Sequence

from workbook.catalog import Column
from workbook.schema.alike import alike_expressions
from workbook.schema.definitions import Definitions, TablePath
from workbook.schema.table import INTRODUCERS, normal_type
from workbook.schema.tokens import normal, normal_name, tokens_of

_LITERAL = re.compile(rf"\b(?:{'|'.join((*INTRODUCERS, '_utf8'))})(?=\\?')", re.I)


def column_differences(
    source: Definitions, target: Definitions, path: TablePath, here: Sequence[Column]
) -> list[tuple[str, str]]:
    """(column, what differs), one by one, where a column is missing, extra, moved or defined otherwise on the target.

    `here` are the columns as they are wanted.
    """
    there = target.catalog.table[path].column
    found = []
    for column in here:
        other = there.get(column.name)
        if other is None:
            found.append((column.name, "is missing on the target"))
            continue
        differences = _differences(column, other, source.loose)
        key = (*path, column.name)
        if source.members.get(key) != target.members.get(key) and "type" not in " ".join(differences):
            differences.append("its members differ where the server prints ?")
        found += [(column.name, what) for what in differences]
    names = [column.name for column in here]
    found += [(name, "is on the target only") for name in there if name not in names]
    order = [name for name in there if name in names]
    if not found and order != names:
        moved = next(name for name, other in zip(names, order, strict=True) if name != other)
        found.append((moved, "stands at another place"))
    return found


def _differences(source: Column, target: Column, loose: bool) -> list[str]:
    found = []
    here, there = normal_type(source.type), normal_type(target.type)
    if here != there:
        found.append(f"type {source.type} became {target.type}" + (" (narrower)" if _narrower(source, target) else ""))
    for what, one, other in (
        ("character set", normal_name(source.charset or ""), normal_name(target.charset or "")),
        ("collation", normal_name(source.collation or ""), normal_name(target.collation or "")),
        ("NULL allowed", source.nullable, target.nullable),
        ("default", _default(source), _default(target)),
        ("default is an expression", source.default_is_expression, target.default_is_expression),
        ("ON UPDATE", _expression(source.on_update), _expression(target.on_update)),
        ("generated", source.generated, target.generated),
        ("expression", _expression(source.expression), _expression(target.expression)),
        ("invisible", source.invisible, target.invisible),
        ("AUTO_INCREMENT", source.auto_increment, target.auto_increment),
        ("SRID", source.srid, target.srid),
        ("comment", source.comment, target.comment),
    ):
        if one != other and not (loose and what in ("default", "expression") and _alike(what, source, target)):
            found.append(f"{what} {_word(one)} became {_word(other)}")
    return found


def _alike(what: str, source: Column, target: Column) -> bool:
    if what == "expression":
        return alike_expressions(source.expression, _unescaped(target.expression))
    if source.default_is_expression:
        return alike_expressions(source.default, _unescaped(target.default))
    if source.data_type not in ("binary", "varbinary"):
        return False
    # MariaDB's information_schema shows a question mark (3F) for each byte that is no text.
    pattern = re.sub("..", lambda pair: ".." if pair[0] == "3F" else pair[0], (source.default or "")[2:])
    return re.fullmatch("0x" + pattern, target.default or "") is not None


def _unescaped(text: str | None) -> str | None:
    """An expression from MySQL's information_schema, which escapes quotes and backslashes once more than SQL does."""
    return None if text is None else re.sub(r"\\(.)", r"\1", text, flags=re.S)


def _default(column: Column) -> str | tuple[str, ...] | None:
    return _expression(column.default) if column.default_is_expression else column.default


def _expression(text: str | None) -> tuple[str, ...] | None:
    # The catalogue prints quotes with backslashes before them; of literals see Part.normal.
    return None if text is None else normal(tokens_of(_LITERAL.sub("", text)))


def _narrower(source: Column, target: Column) -> bool:
    sizes = (
        (source.octets, target.octets),
        (source.length, target.length),
        (source.precision, target.precision),
        (source.scale, target.scale),
        (source.fraction, target.fraction),
    )
    return any(one is not None and other is not None and other < one for one, other in sizes)


def _word(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value)[:120] if isinstance(value, tuple) else repr(value)[:120]
