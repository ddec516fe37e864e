"""Reading what becomes of tables on the way from a mapping file: each choice checked against the catalog, and all together."""

import difflib
import re
from collections.abc import Iterable
from collections.abc import Mapping as ReadOnly
from typing import Any

from ruamel.yaml.comments import CommentedMap

from workbook.catalog import Catalog, Table
from workbook.mapping.filters import why_refused
from workbook.mapping.flow import KINDS, Flow, Mask, kept_table, token_length, uses, why_not_computed, why_not_masked
from workbook.mapping.nodes import Reader
from workbook.mapping.objects import TableMap
from workbook.mapping.target import TargetRules

_NAME_LENGTH = 64  # https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html
_OWN = ("_workbook", "information_schema", "mysql", "performance_schema", "sys")
_REFERENCE = re.compile(r"(env|file|secret-manager):\S.*", re.S)
Path = tuple[str, str]


def databases(reader: Reader, content: CommentedMap, catalog: Catalog) -> dict[str, str]:
    """The databases that have another name on the target. Raises UsageError for a name that is unknown or taken."""
    node = reader.mapping(content, "target", "the mapping")
    nodes = reader.mapping(node, "databases", "target of the mapping")
    known = [database.name for database in catalog.databases]
    found: dict[str, str] = {}
    for old in nodes:
        if old not in known:
            _unknown(reader, nodes, old, known, "databases of the mapping", "database")
        new = _new_name(reader, nodes, old, f"database {old!r}")
        if new != old:
            found[old] = new
    for old, new in found.items():
        others = [found.get(name, name) for name in known if name != old]
        if new.lower() in (*_OWN, *(name.lower() for name in others)):
            reader.fail(
                nodes,
                old,
                f"the database {old!r} becomes {new!r}, which another database is called",
                "The objects of both would be one heap, and privileges on one would reach the other.",
                "Give it a name of its own.",
            )
    return found


def flow(
    reader: Reader, node: CommentedMap, table: Table, where: str, databases: ReadOnly[str, str], rules: TargetRules
) -> Flow:
    """What becomes of one table on the way. Raises UsageError with the line of what cannot be."""
    target = reader.mapping(node, "target", where)
    name = _new_name(reader, target, "name", where) if target.get("name") is not None else table.name
    condition = reader.text(node, "where", where)
    if condition is not None and (why := why_refused(condition, table.column)):
        reader.fail(
            node,
            "where",
            f"the filter of {where} cannot be used: {why}",
            "It decides which rows move, on several connections and at several times, and must always decide alike.",
            "Write one condition over the table's own columns, of the functions that params/README.md names.",
        )
    nodes = reader.mapping(node, "columns", where)
    excluded: list[str] = []
    renamed: list[tuple[str, str]] = []
    masks: list[tuple[str, Mask]] = []
    for column in nodes:
        place = f"column {column!r} of {where}"
        inner = reader.mapping(nodes, column, place)
        chosen = [key for key in ("exclude", "target", "mask") if inner.get(key) is not None]
        if not chosen:
            continue
        if column not in table.column:
            _unknown(reader, nodes, column, list(table.column), where, "column")
        if inner.get("exclude") is not None:
            if inner["exclude"] is not True or len(inner) > 1:
                reader.fail(
                    inner,
                    "exclude",
                    f"exclude of {place} is not true, or does not stand alone",
                    "A column that does not move can be nothing else.",
                    "Write exclude: true and nothing beside it, or take it away.",
                )
            excluded.append(column)
        if inner.get("target") is not None and (new := _new_name(reader, inner, "target", place)) != column:
            renamed.append((column, new))
        if inner.get("mask") is not None:
            masks.append((column, _mask(reader, inner, table, column, place, rules)))
    made = Flow(
        database=databases.get(table.database),
        table=name if name != table.name else None,
        where=condition,
        excluded=tuple(excluded),
        renamed=tuple(renamed),
        masks=tuple(masks),
    )
    _refuse_parts(reader, nodes, table, made, where)
    return made


def refuse_clashes(
    reader: Reader,
    segments: CommentedMap,
    catalog: Catalog,
    scope: Iterable[Path],
    tables: ReadOnly[Path, TableMap],
) -> None:
    """Raise UsageError where two tables get one name, or the ends of a foreign key are masked otherwise."""
    moving = [tables[path] for path in scope]
    taken = {(view.database, view.name.lower()): f"the view {view.database}.{view.name}" for view in catalog.views}
    for table in sorted(moving, key=lambda table: table.flow.table is not None):
        place = (table.database, table.target_path[1].lower())
        if table.flow.table is not None and place in taken:
            reader.fail(
                segments,
                table.segment,
                f"table {table.database}.{table.name} becomes {table.flow.table!r}, which {taken[place]} is called",
                "Tables and views of a database share their names, with large letters and small.",
                "Give it another name: target: {name: …}.",
            )
        taken[place] = f"the table {table.database}.{table.name}"
    by_path = {table.path: table for table in moving}
    for table in moving:
        for key in kept_table(catalog.table[table.path], table.flow).foreign_keys:
            parent = by_path.get((key.parent_database, key.parent_table))
            if parent is None or set(parent.flow.excluded) & set(key.parent_columns):
                continue
            for child, above in zip(key.columns, key.parent_columns, strict=True):
                own, other = dict(table.flow.masks).get(child), dict(parent.flow.masks).get(above)
                if own != other and not (own is not None and own.kind == "null"):
                    reader.fail(
                        segments,
                        table.segment,
                        f"the foreign key {key.name!r} leads from {table.name}.{child} to {parent.name}.{above}, and"
                        " they are not masked alike",
                        "No row would find its parent.",
                        "Give both columns the same `mask`, with the same salt and length.",
                    )


def _mask(reader: Reader, node: CommentedMap, table: Table, column: str, place: str, rules: TargetRules) -> Mask:
    inner = reader.mapping(node, "mask", place)
    where = f"mask of {place}"
    reader.known_keys(inner, "mask", where)
    kind = "null" if "kind" in inner and inner["kind"] is None else reader.text(inner, "kind", where, KINDS)
    facts = table.column[column]
    salt = reader.text(inner, "salt", where) or ""
    wrong = None
    if kind is None:
        wrong = f"has no kind; known are {', '.join(KINDS)}"
    elif kind == "sha256" and not _REFERENCE.fullmatch(salt):
        # What stands there may be the salt itself, so it is not repeated.
        wrong = "has no salt by reference (env:NAME, file:PATH or secret-manager:projects/P/secrets/S)"
    elif (kind == "constant") != ("value" in inner) or (kind != "sha256" and ({"salt", "length"} & set(inner))):
        wrong = "has keys that its kind does not take: salt and length are of sha256, value is of constant"
    if wrong is not None:
        reader.fail(
            node,
            "mask",
            f"the {where} {wrong}",
            "What is to be hidden would be seen, or could be guessed.",
            "Write for example mask: {kind: sha256, salt: env:WORKBOOK_SALT}.",
        )
    assert kind is not None
    length = int(reader.number(inner, "length", where, token_length(facts), 1, 64)) if kind == "sha256" else 0
    value: Any = inner.get("value", "")
    if not isinstance(value, str):
        reader.fail(inner, "value", f"value of the {where} is no text", "It is put into text.", "Put it in quotes.")
    mask = Mask(kind, salt, length, value)
    if why := why_not_masked(mask, facts, table, rules.moves(facts.charset)):
        reader.fail(
            node,
            "mask",
            f"the {where} ({kind}) does not suit it: {why}",
            "The load would be refused half-way, or values would become one that were not.",
            "Choose another kind or length, exclude the column, or widen it on the source.",
        )
    return mask


def _refuse_parts(reader: Reader, nodes: CommentedMap, table: Table, made: Flow, where: str) -> None:
    """Raise UsageError where a choice breaks what the table is made of."""
    changed = {*made.excluded, *(old for old, _ in made.renamed)}
    primary = table.primary_key.columns if table.primary_key else ()
    for name in changed:
        why = None
        if name in made.excluded and name in primary:
            why = "is part of the primary key, by which rows are told apart"
        elif any(uses(part.expression, name) for part in table.partitions):
            why = "decides on the partition of a row"
        if why:
            reader.fail(
                nodes,
                name,
                f"column {name!r} of {where} is excluded or renamed, and {why}",
                "The table on the target would be another one.",
                "Leave it as it is; it can be renamed or dropped on the target after the cutover.",
            )
    if made.excluded and len(made.excluded) == len(table.columns):
        reader.fail(
            nodes, made.excluded[0], f"{where} excludes all columns", "Nothing is left.", "Take it out of scope."
        )
    names: dict[str, str] = {}
    for column in kept_table(table, made).columns:
        new = made.column(column.name)
        if new.lower() in names:
            line = column.name if column.name in nodes else names[new.lower()]
            reader.fail(
                nodes,
                line,
                f"columns {names[new.lower()]!r} and {column.name!r} of {where} are both {new!r} on the target",
                "A table holds a name once, however its letters are written.",
                "Give one of them another name, or exclude it.",
            )
        names[new.lower()] = column.name
    if why := why_not_computed(made, table):
        reader.fail(
            nodes,
            next(iter(nodes)),
            f"{where}: {why}",
            "Its values would be made of masks, or could not be made at all.",
            "Write exclude: true under it too; it can be added on the target later.",
        )


def _new_name(reader: Reader, node: CommentedMap, key: str, where: str) -> str:
    name = reader.text(node, key, where) or ""
    if not name or len(name) > _NAME_LENGTH or name != name.rstrip(" ") or any(not 0 < ord(x) < 0x10000 for x in name):
        reader.fail(
            node,
            key,
            f"the name on the target of {where} is {name[:80]!r}",
            f"MySQL's names have 1 to {_NAME_LENGTH} letters of the basic plane and no space at their end.",
            "Write another name.",
        )
    return name


def _unknown(reader: Reader, node: CommentedMap, name: str, known: list[str], where: str, what: str) -> None:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    reader.fail(
        node,
        name,
        f"{where} changes the {what} {name!r}, which the source does not have"
        + (f" (did you mean {near[0]}?)" if near else ""),
        "What was to be hidden, left out or renamed would go as it is.",
        f"Name a {what} of the source, or take the line away.",
    )
