"""What the mapping has changed in a table by choice: text becomes utf8mb4, a keyless table gets an invisible key.

Wider characters make indexes and rows longer. What that comes to is worked out here, because the server would shorten
an index or turn a VARCHAR into TEXT without a word, where the sql_mode is not strict.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workbook.catalog import Column, Index, IndexPart, Table
from workbook.mapping.target import INVISIBLE_KEY, WIDE, TargetRules
from workbook.names import quote_mysql
from workbook.schema.table import Part, TableDefinition
from workbook.schema.tokens import code_of, split_at_commas, text_of, tokens_of

# Tried on MySQL 9.7 with pages of 16 KB: bytes of one part of an index, and of all its parts, without the NULL bits.
KEY_BYTES = 3072
_SHORT_KEY_BYTES = {"COMPACT": 767, "REDUNDANT": 767}
ROW_BYTES = 65_535
_WIDTH = 4
_KEEPS_ITS_BYTES = ("utf8mb3", "ascii")
# As ALTER TABLE … CONVERT TO does it: a text of as many characters must find room.
_WIDER = {"tinytext": "text", "text": "mediumtext", "mediumtext": "longtext"}
_OCTETS = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215, "longtext": 4_294_967_295}
_FIXED_BYTES = {
    "tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8, "float": 4, "double": 8, "year": 1, "date": 3,
    "time": 6, "datetime": 8, "timestamp": 7, "enum": 2, "set": 8, "bit": 8, "decimal": 30,
}  # fmt: skip
# What lies outside of the row leaves a length and a pointer in it.
_POINTER_BYTES = 12


@dataclass(frozen=True)
class Chosen:
    """A table after the choices: its definition, its columns and default collation as the catalog will show them, and
    in words what was changed and what stands in the way."""

    table: TableDefinition
    facts: Table
    changes: tuple[str, ...] = ()
    hindrances: tuple[str, ...] = ()


def chosen(table: TableDefinition, facts: Table, rules: TargetRules) -> Chosen:
    """`table`, whose catalog entry is `facts`, after the choices of the mapping."""
    return _keyed(_widened(Chosen(table, facts), rules), rules)


def converted_columns(facts: Table, rules: TargetRules) -> tuple[str, ...]:
    """The columns whose bytes are others on the target: the source converts them as they are read."""
    return tuple(
        column.name
        for column in facts.columns
        if rules.moves(column.charset) and column.charset not in (*_KEEPS_ITS_BYTES, "utf8")
    )


def widened_column(column: Column, rules: TargetRules) -> Column:
    """A column as it is on the target: utf8mb4 where the mapping says so."""
    if column.charset is None or not rules.moves(column.charset):
        return column
    collation = rules.collation(column.charset, column.collation or "")
    data_type = _wider_type(column)
    if data_type in _OCTETS:
        octets: int | None = _OCTETS[data_type]
    else:
        octets = None if column.length is None else column.length * _WIDTH
    kind = column.type if data_type == column.data_type else data_type
    return replace(column, charset=WIDE, collation=collation, octets=octets, data_type=data_type, type=kind)


def _wider_type(column: Column) -> str:
    if column.charset in (*_KEEPS_ITS_BYTES, "utf8"):
        return column.data_type
    return _WIDER.get(column.data_type, column.data_type)


def _widened(made: Chosen, rules: TargetRules) -> Chosen:
    if not rules.to_utf8mb4:
        return made
    facts = made.facts
    columns = tuple(widened_column(column, rules) for column in facts.columns)
    moved = [column for column in facts.columns if rules.moves(column.charset)]
    names = {column.name for column in moved}
    options = _options(made.table, rules)
    if not moved and options == made.table.options:
        return made
    by_name = {column.name: column for column in columns}
    parts = tuple(_written(part, by_name[part.name]) if part.name in names else part for part in made.table.columns)
    changes = [_in_words(facts, columns, moved)] if moved else []
    table = replace(made.table, columns=parts, options=options)
    wide = replace(facts, columns=columns, collation=moved_collation(facts.collation, rules))
    table, more, hindrances = _fitted(table, wide, names)
    return Chosen(table, wide, (*changes, *more), (*hindrances, *_too_long(wide, names)))


def _in_words(facts: Table, columns: Sequence[Column], moved: Sequence[Column]) -> str:
    charsets = sorted({column.charset or "" for column in moved})
    collations = {
        (old.collation, new.collation) for old, new in zip(facts.columns, columns, strict=True) if old in moved
    }
    listed = ", ".join(sorted(f"{old} becomes {new}" for old, new in collations))
    types = sorted(
        f"{new.name!r} becomes {new.type}"
        for old, new in zip(facts.columns, columns, strict=True)
        if old.data_type != new.data_type
    )
    widened = f"; so that every text finds room, {', '.join(types)}" if types else ""
    # Of utf8mb3 the collations of the same name sort and compare as they did; those of other sets may not.
    others = [name for name in charsets if name not in ("utf8mb3", "utf8")]
    compared = (
        f"; what was {' and '.join(others)} may sort and compare otherwise, also in unique keys" if others else ""
    )
    return f"{' and '.join(charsets)} becomes {WIDE} in {len(moved)} columns ({listed}){widened}{compared}"


def _options(table: TableDefinition, rules: TargetRules) -> tuple[tuple[str, str], ...]:
    """The options with the table's default character set and collation as they become."""
    charset = table.option.get("DEFAULT CHARSET") or table.option.get("CHARSET")
    if not rules.moves(charset):
        return table.options
    assert charset is not None
    collation = table.option.get("COLLATE")
    kept = [(name, value) for name, value in table.options if name not in ("DEFAULT CHARSET", "CHARSET", "COLLATE")]
    kept.append(("DEFAULT CHARSET", WIDE))
    return (*kept, ("COLLATE", rules.collation(charset, collation or default_collation(charset))))


def moved_collation(collation: str, rules: TargetRules) -> str:
    """A default collation as it becomes; its character set is the first word of its name."""
    return rules.collation(collation.partition("_")[0], collation)


def default_collation(charset: str) -> str:
    """The collation that MySQL means where a convertible character set is named alone."""
    return {"latin1": "latin1_swedish_ci"}.get(charset.lower(), f"{charset.lower()}_general_ci")


def _written(part: Part, column: Column) -> Part:
    """The text of a column with another type, character set and collation: they stand behind the type."""
    tokens = list(tokens_of(part.text))
    place = next(place for place, token in enumerate(tokens) if token.kind == "name") + 1
    while tokens[place].kind == "space":
        place += 1
    end = place + 1
    if end < len(tokens) and tokens[end].text == "(":
        depth = 0
        while True:
            depth += (tokens[end].kind == "symbol") * ((tokens[end].text == "(") - (tokens[end].text == ")"))
            end += 1
            if depth == 0:
                break
    kind = column.data_type if column.data_type in _OCTETS else text_of(tokens[place:end])
    rest = code_of(tokens[end:])
    skipped = 0
    for words in (("CHARACTER", "SET"), ("COLLATE",)):
        if tuple(token.word for token in rest[skipped : skipped + len(words)]) == words:
            skipped += len(words) + 1
    start = rest[skipped].start if skipped < len(rest) else None
    behind = "" if start is None else " " + text_of(token for token in tokens[end:] if token.start >= start)
    name = text_of(tokens[:place])
    return Part(part.name, f"{name}{kind} CHARACTER SET {WIDE} COLLATE {column.collation}{behind}")


def _fitted(table: TableDefinition, wide: Table, moved: set[str]) -> tuple[TableDefinition, list[str], list[str]]:
    """The table with indexes that fit: prefixes are shortened where that changes nothing but speed."""
    row_format = table.option.get("ROW_FORMAT", "").upper()
    limit = _SHORT_KEY_BYTES.get(row_format, KEY_BYTES)
    changes: list[str] = []
    hindrances: list[str] = []
    touched = [
        index
        for index in wide.indexes
        if index.kind not in ("FULLTEXT", "SPATIAL") and moved.intersection(index.columns)
    ]
    longest = max((_part_bytes(wide, part) for index in touched for part in index.parts), default=0)
    if limit < KEY_BYTES and longest > limit:
        options = tuple(item for item in table.options if item[0] != "ROW_FORMAT")
        table = replace(table, options=(*options, ("ROW_FORMAT", "DYNAMIC")))
        changes.append(f"ROW_FORMAT={row_format} becomes DYNAMIC: an index of {longest:,} bytes is over its {limit}")
        limit = KEY_BYTES
    texts = {part.name: part for part in table.indexes}
    for index in touched:
        sizes = [_part_bytes(wide, part) for part in index.parts]
        if sum(sizes) <= KEY_BYTES:
            continue
        prefixes = _prefixes(wide, index, sizes, moved)
        needed = _for_a_key(wide, index)
        if index.unique or needed or prefixes is None or index.name not in texts:
            kind = "unique index" if index.unique else "index"
            why = f", which the foreign key {needed!r} needs whole" if needed else ""
            hindrances.append(f"{kind} {index.name!r} would take {sum(sizes):,} bytes of {KEY_BYTES:,}{why}")
            continue
        texts[index.name] = _with_prefixes(texts[index.name], prefixes)
        listed = ", ".join(f"{name!r} to {length} characters" for name, length in prefixes.items())
        changes.append(
            f"index {index.name!r} would take {sum(sizes):,} bytes of {KEY_BYTES:,}, so it is shortened: {listed}"
        )
    return replace(table, indexes=tuple(texts[part.name] for part in table.indexes)), changes, hindrances


def _part_bytes(wide: Table, part: IndexPart) -> int:
    """The bytes of a part of an index; of an expression they are not known, and the server has the last word."""
    if part.column is None:
        return 0
    column = wide.column[part.column]
    width = _WIDTH if column.charset == WIDE else 3 if column.charset in ("utf8mb3", "utf8") else 1
    if part.prefix is not None:
        return part.prefix * (width if column.charset else 1)
    return _bytes(column)


def _bytes(column: Column) -> int:
    if column.data_type in _FIXED_BYTES:
        return _FIXED_BYTES[column.data_type]
    outside = column.data_type in _OCTETS or column.data_type.endswith("blob")
    return column.octets if column.octets is not None and not outside else 0


def _prefixes(wide: Table, index: Index, sizes: Sequence[int], moved: set[str]) -> dict[str, int] | None:
    """The longest text of the index cut down so that all fits; None where that is not enough."""
    places = [place for place, part in enumerate(index.parts) if part.column in moved]
    place = max(places, key=lambda place: sizes[place])
    room = KEY_BYTES - (sum(sizes) - sizes[place])
    name = index.parts[place].column
    return {name: room // _WIDTH} if name is not None and room >= _WIDTH else None


def _for_a_key(wide: Table, index: Index) -> str | None:
    """The foreign key that stands on this index, where one does."""
    return next((key.name for key in wide.foreign_keys if index.columns[: len(key.columns)] == key.columns), None)


def _with_prefixes(part: Part, prefixes: dict[str, int]) -> Part:
    """The text of an index with other prefix lengths."""
    tokens = list(tokens_of(part.text))
    opening = next(place for place, token in enumerate(tokens) if token.text == "(" and token.kind == "symbol")
    end = len(tokens) - next(place for place, token in enumerate(reversed(tokens)) if token.text == ")") - 1
    written = []
    for run in split_at_commas(tokens[opening + 1 : end]):
        code = code_of(run)
        name = code[0].identifier if code[0].kind == "name" else ""
        if name in prefixes:
            descending = " DESC" if code[-1].word == "DESC" else ""
            written.append(f"{quote_mysql(name)}({prefixes[name]}){descending}")
        else:
            written.append(text_of(run))
    return Part(part.name, text_of(tokens[: opening + 1]) + ",".join(written) + text_of(tokens[end:]))


def _too_long(wide: Table, moved: set[str]) -> Iterable[str]:
    """Columns and rows that the server would turn into something else, or refuse."""
    for column in wide.columns:
        if column.name in moved and column.data_type == "varchar" and (column.length or 0) * _WIDTH > ROW_BYTES:
            yield f"column {column.name!r} of {column.length:,} characters would be over {ROW_BYTES:,} bytes"
            return
    stored = [column for column in wide.columns if column.generated != "VIRTUAL"]
    total = sum(_bytes(column) or _POINTER_BYTES for column in stored) + 2 * sum(
        column.data_type in ("varchar", "varbinary") for column in stored
    )
    if total > ROW_BYTES:
        yield f"its row would be about {total:,} bytes of {ROW_BYTES:,}"


def _keyed(made: Chosen, rules: TargetRules) -> Chosen:
    facts = made.facts
    if rules.keyless != "invisible-key" or facts.key or facts.primary_key:
        return made
    problem = _why_no_key(facts)
    if problem:
        return replace(made, changes=(*made.changes, f"it stays without a key: {problem}"))
    name = quote_mysql(INVISIBLE_KEY)
    column = Part(INVISIBLE_KEY, f"{name} bigint unsigned NOT NULL AUTO_INCREMENT INVISIBLE")
    table = replace(
        made.table,
        columns=(column, *made.table.columns),
        primary_key=Part("PRIMARY", f"PRIMARY KEY ({name})"),
    )
    key = Column(
        name=INVISIBLE_KEY, position=0, data_type="bigint", type="bigint unsigned", nullable=False, default=None,
        default_is_expression=False, on_update=None, charset=None, collation=None, generated=None, expression=None,
        invisible=True, auto_increment=True, srid=None, length=None, octets=None, precision=20, scale=0,
        fraction=None, comment="",
    )  # fmt: skip
    change = (
        f"an invisible primary key {INVISIBLE_KEY!r} is added, so that changes find their row; Datastream cannot"
        " backfill tables whose primary key is invisible"
    )
    keyed = replace(facts, columns=(key, *facts.columns))
    return replace(made, table=table, facts=keyed, changes=(*made.changes, change))


def _why_no_key(facts: Table) -> str | None:
    counter = next((column.name for column in facts.columns if column.auto_increment), None)
    if counter is not None:
        return f"it counts in {counter!r} already, and a table has one AUTO_INCREMENT column"
    if facts.partitions:
        return "a primary key of a partitioned table must hold the columns it is partitioned by"
    if any(column.name.lower() == INVISIBLE_KEY for column in facts.columns):
        return f"it has a column {INVISIBLE_KEY!r} already"
    return None
