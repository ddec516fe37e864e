"""Some tables of a scope alone, as if nothing else were to be planned: for tables that come after the others."""

from collections.abc import Collection
from dataclasses import replace

from workbook.schema.definitions import Definitions, Scope, TablePath


def narrowed(definitions: Definitions, tables: Collection[TablePath]) -> Definitions:
    """The definitions of these tables without any code. Their foreign keys still lead to the tables that stay away."""
    chosen = {path: text for path, text in definitions.tables.items() if path in tables}
    return replace(
        definitions,
        scope=Scope(tuple(dict.fromkeys(path[0] for path in chosen)), tuple(chosen)),
        tables=chosen,
        members={key: members for key, members in definitions.members.items() if key[:2] in chosen},
        code=(),
        left=(),
        beside=frozenset(definitions.tables.keys() - chosen.keys()),
    )
