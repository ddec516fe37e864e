"""Code that the mapping's renames and exclusions would break is held back: found by the names that stand in its text."""

import re
from collections.abc import Mapping
from dataclasses import replace

from workbook.mapping.flow import DIRECT, Flow
from workbook.names import mysql_path, quote_mysql
from workbook.schema.definitions import Code, Definitions, TablePath
from workbook.schema.tokens import Token, code_of, text_of, tokens_of

# Each of them takes the columns of a table as they come.
_AS_THEY_COME = ("INSERT", "REPLACE", "NATURAL")


def held_back(source: Definitions, flows: Mapping[TablePath, Flow], databases: Mapping[str, str]) -> tuple[Code, ...]:
    """The code of the source, each piece with the reason why it is held back, if there is one; views of renamed
    databases with the new name in their text. What stands on held code is held too."""
    found = [_carried(item, source, flows, databases) for item in source.code]
    while True:
        gone = {
            item.name.lower(): item for item in found if item.held and item.kind in ("view", "function", "procedure")
        }
        again = [item if item.held else _behind(item, gone) for item in found]
        if again == found:
            return tuple(found)
        found = again


def _carried(item: Code, source: Definitions, flows: Mapping[TablePath, Flow], databases: Mapping[str, str]) -> Code:
    named = names_in(item)
    for path, flow in flows.items():
        if flow == DIRECT or not _touches(item, path, named):
            continue
        why = _why(item, path, flow, named)
        if why:
            return replace(item, held=why)
    if item.kind == "view":
        moved = _moved(item.statement, databases, source)
        if moved is None:
            return replace(item, held="it names a database that has another name on the target as something else too")
        return replace(item, statement=moved)
    for old, new in databases.items():
        if old.lower() in named:
            return replace(item, held=f"it names the database {old!r}, which is {new!r} on the target")
    return item


def _touches(item: Code, path: TablePath, named: set[str]) -> bool:
    """Whether a piece of code works with a table; of a view the server says so."""
    if item.kind == "view" and item.uses:
        return any((database, name) == path for _, database, name in item.uses)
    return (item.database, item.table) == path or path[1].lower() in named


def _why(item: Code, path: TablePath, flow: Flow, named: set[str]) -> str | None:
    table = mysql_path(*path)
    if flow.table is not None and path[1].lower() in named:
        return f"it names the table {table}, which is {flow.table!r} on the target"
    renamed = next((pair for pair in flow.renamed if pair[0].lower() in named), None)
    if renamed:
        return f"it names the column {renamed[0]!r} of {table}, which is {renamed[1]!r} on the target"
    gone = next((name for name in flow.excluded if name.lower() in named), None)
    if gone:
        return f"it names the column {gone!r} of {table}, which the mapping excludes"
    tokens = code_of(tokens_of(item.statement, item.sql_mode))
    if (flow.excluded or flow.renamed) and item.kind != "view" and path[1].lower() in named:
        own = item.kind == "trigger" and sum(token.identifier.lower() == path[1].lower() for token in tokens) == 1
        star = any(token.text == "*" for token in tokens)
        if not own and (star or any(token.word in _AS_THEY_COME for token in tokens)):
            return f"it may take the columns of {table} as they come, and the target has others"
    return None


def _behind(item: Code, gone: Mapping[str, Code]) -> Code:
    """A piece of code with the reason, where it names something that is held back."""
    named = names_in(item)
    for name, other in gone.items():
        if name in named and other.key != item.key:
            return replace(item, held=f"it names the {other.kind} {other.name!r}, which is held back")
    return item


def names_in(item: Code) -> set[str]:
    """All that could be a name in the text, in lower case, also within its strings: statements are made of those."""
    found: set[str] = set()
    for token in tokens_of(item.statement, item.sql_mode):
        if token.kind in ("name", "word"):
            found.add(token.identifier.lower())
        elif token.kind == "string" and item.kind != "view":
            inner = token.text[1:-1]
            found.update(word.lower() for word in re.findall(r"[\w$]+", inner))
            found.update(name.replace("``", "`").lower() for name in re.findall(r"`((?:[^`]|``)+)`", inner))
    return found


def _moved(statement: str, databases: Mapping[str, str], source: Definitions) -> str | None:
    """The text of a view with the new names of databases; None where an old one may mean something else as well.

    The server prints names of relations and functions with their database before them, and dots in no other way but
    behind an alias.
    """
    if not databases:
        return statement
    known = {table.path for table in source.catalog.tables} | {view.path for view in source.catalog.views}
    known |= {(routine.database, routine.name) for routine in source.catalog.routines}
    tokens: list[Token] = list(tokens_of(statement))
    places = [place for place, token in enumerate(tokens) if token.kind not in ("space", "comment")]
    for number, place in enumerate(places):
        token = tokens[place]
        old = token.identifier
        if token.kind != "name" or old not in databases or (number and tokens[places[number - 1]].text == "."):
            continue
        following = [tokens[other] for other in places[number + 1 : number + 3]]
        if len(following) < 2 or following[0].text != "." or (old, following[1].identifier) not in known:
            return None
        tokens[place] = replace(token, text=quote_mysql(databases[old]))
    return text_of(tokens)
