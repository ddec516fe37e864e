"""The source's definitions as the mapping carries them over: in the target's names, without what is left out.

What stands on an excluded column goes with it and is named; code that names something renamed or excluded is held back,
and so is what stands on it, because text cannot be rewritten with certainty. A view's text is the server's own, with every
name in full, so there a database may have another name.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from workbook.catalog import Catalog, Column, Table
from workbook.errors import Refused
from workbook.mapping.flow import DIRECT, Flow, carried_key, carried_table
from workbook.mapping.objects import Mapping as MappingInForce
from workbook.names import mysql_path, quote_mysql
from workbook.plan import Left
from workbook.schema.definitions import Definitions, Scope, TablePath
from workbook.schema.hold import held_back
from workbook.schema.table import Part, TableDefinition
from workbook.schema.tokens import Token, closing, tokens_of
from workbook.schema.wanted import MAPPING

# Literals as the catalogue prints them, with a backslash before each quote or without, and names.
_NAME_IN_EXPRESSION = re.compile(r"\\'(?:\\\\\\'|\\\\|\\[^'\\]|[^\\])*\\'|'(?:[^'\\]|''|\\.)*'|`((?:[^`]|``)+)`", re.S)


def carried(source: Definitions, mapping: MappingInForce) -> Definitions:
    """`source` as it is wanted on the target, before Cloud SQL's rules. Raises Refused where a foreign key would lose
    the index that it points at."""
    flows = {path: mapping.tables[path].flow for path in source.tables}
    if not mapping.databases and all(flow == DIRECT for flow in flows.values()):
        return source
    paths = {path: mapping.tables[path].target_path for path in source.tables}
    left: list[Left] = []
    texts, changes = {}, {}
    for path in source.tables:
        definition, words = _table(source, path, flows, paths, left)
        texts[paths[path]] = definition.create(paths[path][0])
        changes[paths[path]] = words
    catalog = _catalog(source.catalog, flows, mapping)
    _refuse_bare_parents(catalog, {paths[path] for path, flow in flows.items() if flow.excluded})
    named = lambda path: (mapping.target_database(path[0]), path[1])  # noqa: E731
    code = tuple(
        replace(
            item,
            database=mapping.target_database(item.database),
            table=item.table and paths[item.database, item.table][1],
            uses=tuple(
                (kind, *(paths.get((database, name)) or named((database, name)))) for kind, database, name in item.uses
            ),
        )
        for item in held_back(source, flows, dict(mapping.databases))
    )
    return replace(
        source,
        scope=Scope(tuple(map(mapping.target_database, source.scope.databases)), tuple(paths.values())),
        catalog=catalog,
        tables=texts,
        members={
            (*paths[key[0], key[1]], flows[key[0], key[1]].column(key[2])): members
            for key, members in source.members.items()
            if key[2] not in flows[key[0], key[1]].excluded
        },
        code=code,
        changes={paths[path]: words for path, words in source.changes.items() if path in paths},
        carried=changes,
        left=(*source.left, *left),
        choices={paths[path]: rules for path, rules in source.choices.items()},
    )


def _table(
    source: Definitions,
    path: TablePath,
    flows: Mapping[TablePath, Flow],
    paths: Mapping[TablePath, TablePath],
    left: list[Left],
) -> tuple[TableDefinition, tuple[str, ...]]:
    """The definition of a table in the target's names, and in words what became of it; what goes is added to `left`."""
    table, flow, facts = source.split[path], flows[path], source.catalog.table[path]
    gone = {name.lower() for name in flow.excluded}
    masked = {name.lower() for name, _ in flow.masks}
    kept_facts = carried_table(facts, flow)
    indexes_kept = {index.name for index in kept_facts.indexes}
    words = [f"it is called {mysql_path(*path)} on the source"] if paths[path] != path else []
    words += [f"column {name!r} is left out" for name in flow.excluded]
    words += [f"column {old!r} becomes {new!r}" for old, new in flow.renamed]
    words += [f"column {name!r} {mask.said}" for name, mask in flow.masks]
    words += [f"only rows where {flow.where}"] if flow.where else []

    def leave(kind: str, part: Part, why: str) -> None:
        left.append(Left(kind, mysql_path(*paths[path], part.name), why, by=MAPPING))

    def kept(kind: str, parts: Iterable[Part]) -> Iterable[Part]:
        for part in parts:
            behind = _names_behind(part, kind)
            if kind == "index" and part.name not in indexes_kept:
                leave(kind, part, "it holds a column that the mapping excludes")
            elif kind == "check" and (lost := behind & (gone | masked)):
                what = "excludes" if lost & gone else "masks"
                leave(kind, part, f"it speaks of {sorted(lost)[0]!r}, which the mapping {what}")
            else:
                yield _renamed(part, kind, flow)

    keys = {key.name: key for key in facts.foreign_keys}
    foreign_keys = []
    for part in table.foreign_keys:
        key = keys[part.name]
        parent = (key.parent_database, key.parent_table)
        above = flows.get(parent, DIRECT)
        if gone.intersection(map(str.lower, key.columns)) or set(above.excluded) & set(key.parent_columns):
            leave("foreign key", part, "it holds a column that the mapping excludes, on one end or both")
        elif parent in flows:
            foreign_keys.append(_renamed_key(part, path[0], flow, above, paths[parent], parent))
        else:
            leave("foreign key", part, f"its parent table {mysql_path(*parent)} is out of scope; it comes when it does")
    made = replace(
        table,
        name=paths[path][1],
        columns=tuple(_renamed(part, "column", flow) for part in table.columns if part.name.lower() not in gone),
        primary_key=table.primary_key and _renamed(table.primary_key, "index", flow),
        indexes=tuple(kept("index", table.indexes)),
        foreign_keys=tuple(foreign_keys),
        checks=tuple(kept("check", table.checks)),
        changes=(),
    )
    return made, tuple(words)


def _names_behind(part: Part, kind: str) -> set[str]:
    """The columns that a part of a table names, in lower case: all names but its own."""
    names = [token.identifier.lower() for token in tokens_of(part.text) if token.kind == "name"]
    return set(names[1:] if part.name != "PRIMARY" and kind != "column" else names)


def _renamed(part: Part, kind: str, flow: Flow) -> Part:
    """A part with the target's column names; the name of an index or a check stays."""
    if not flow.renamed:
        return part
    tokens = list(tokens_of(part.text))
    first = 1 if part.name != "PRIMARY" and kind != "column" else 0
    seen = 0
    for place, token in enumerate(tokens):
        if token.kind == "name":
            if seen >= first:
                tokens[place] = replace_name(token, _column(flow, token.identifier))
            seen += 1
    name = flow.column(part.name) if kind == "column" else part.name
    return replace(part, name=name, text="".join(token.text for token in tokens))


def _renamed_key(part: Part, database: str, child: Flow, parent: Flow, new: TablePath, old: TablePath) -> Part:
    """A foreign key with the target's names of both ends."""
    tokens = list(tokens_of(part.text))
    names = [place for place, token in enumerate(tokens) if token.kind == "name"]
    refers = next(place for place, token in enumerate(tokens) if token.word == "REFERENCES")
    opening = next(place for place in range(refers, len(tokens)) if tokens[place].text == "(")
    end = closing(tokens, opening)
    for place in names[1:]:
        name = tokens[place].identifier
        if place < refers:
            tokens[place] = replace_name(tokens[place], _column(child, name))
        elif opening < place < end:
            tokens[place] = replace_name(tokens[place], _column(parent, name))
    between = mysql_path(*new) if old[0] != database else quote_mysql(new[1])
    text = "".join(token.text for token in tokens[: refers + 1]) + f" {between} "
    return replace(part, text=text + "".join(token.text for token in tokens[opening:]))


def replace_name(token: Token, name: str) -> Token:
    """A token that stands for another name."""
    return replace(token, text=quote_mysql(name))


def _column(flow: Flow, name: str) -> str:
    lowered = {old.lower(): new for old, new in flow.renamed}
    return lowered.get(name.lower(), name)


def _catalog(catalog: Catalog, flows: Mapping[TablePath, Flow], mapping: MappingInForce) -> Catalog:
    def database(name: str) -> str:
        return mapping.target_database(name)

    tables = []
    for table in catalog.tables:
        flow = flows.get(table.path)
        if flow is None:
            tables.append(replace(table, database=database(table.database)))
            continue
        made = carried_table(table, flow)
        above = [flows.get((key.parent_database, key.parent_table), DIRECT) for key in table.foreign_keys]
        keys = tuple(
            replace(carried_key(key, flow, parent), parent_database=database(key.parent_database))
            for key, parent in zip(table.foreign_keys, above, strict=True)
            if (key.parent_database, key.parent_table) in flows
            and not set(flow.excluded) & set(key.columns)
            and not set(parent.excluded) & set(key.parent_columns)
        )
        tables.append(replace(made, foreign_keys=keys, columns=_expressions(made, flow)))
    return replace(
        catalog,
        databases=tuple(replace(item, name=database(item.name)) for item in catalog.databases),
        tables=tuple(tables),
        views=tuple(replace(item, database=database(item.database)) for item in catalog.views),
        routines=tuple(replace(item, database=database(item.database)) for item in catalog.routines),
        triggers=tuple(replace(item, database=database(item.database)) for item in catalog.triggers),
        events=tuple(replace(item, database=database(item.database)) for item in catalog.events),
    )


def _expressions(table: Table, flow: Flow) -> tuple[Column, ...]:
    """The columns with the target's names in what they are computed from."""

    def renamed(text: str | None) -> str | None:
        if text is None or not flow.renamed:
            return text
        return _NAME_IN_EXPRESSION.sub(
            lambda found: quote_mysql(_column(flow, found[1].replace("``", "`"))) if found[1] else found[0], text
        )

    return tuple(
        replace(
            column,
            expression=renamed(column.expression),
            default=renamed(column.default) if column.default_is_expression else column.default,
        )
        for column in table.columns
    )


def _refuse_bare_parents(catalog: Catalog, changed: Collection[TablePath]) -> None:
    """Raise Refused where a foreign key points at columns whose index went with an excluded column."""
    for table in catalog.tables:
        for key in table.foreign_keys:
            parent = catalog.table.get((key.parent_database, key.parent_table))
            if (
                parent is not None
                and parent.path in changed
                and not any(index.columns[: len(key.columns)] == key.parent_columns for index in parent.indexes)
            ):
                raise Refused(
                    f"The foreign key {mysql_path(*table.path, key.name)} points at {mysql_path(*parent.path)}, whose index"
                    " for it holds a column that the mapping excludes.",
                    "MySQL wants an index at the parent's end, so the key could not be made.",
                    "Leave the column in the mapping, or exclude the child's column too.",
                )
