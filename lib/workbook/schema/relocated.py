"""The source's tables as they are to be in other databases, for a copy that is made aside and comes in by a RENAME."""

from collections.abc import Mapping
from dataclasses import replace

from workbook.catalog import Table
from workbook.names import quote_mysql
from workbook.schema.definitions import Definitions, Scope, TablePath
from workbook.schema.tokens import code_of, tokens_of


def relocated(definitions: Definitions, databases: Mapping[str, str]) -> Definitions:
    """The tables of `definitions` under the new names of their `databases`, and nothing else.

    Foreign keys lead to their parents' new places. Triggers cannot move between databases with their table, and other
    code names tables where they end up: both stay out.
    """

    def there(path: TablePath) -> TablePath:
        return databases.get(path[0], path[0]), path[1]

    catalog = definitions.catalog
    chosen = tuple(dict.fromkeys(path[0] for path in definitions.tables))
    return replace(
        definitions,
        scope=Scope(tuple(databases.get(name, name) for name in chosen), tuple(map(there, definitions.tables))),
        catalog=replace(
            catalog,
            databases=tuple(
                replace(item, name=databases.get(item.name, item.name))
                for item in catalog.databases
                if item.name in chosen
            ),
            tables=tuple(_moved(table, databases) for table in catalog.tables if table.path in definitions.tables),
            views=(),
            routines=(),
            triggers=(),
            events=(),
        ),
        tables={there(path): _pointing(text, databases) for path, text in definitions.tables.items()},
        members={(*there(key[:2]), key[2]): members for key, members in definitions.members.items()},
        code=(),
        changes={there(path): changes for path, changes in definitions.changes.items()},
        left=(),
        choices={there(path): rules for path, rules in definitions.choices.items()},
        carried={there(path): words for path, words in definitions.carried.items()},
    )


def _moved(table: Table, databases: Mapping[str, str]) -> Table:
    keys = tuple(
        replace(key, parent_database=databases.get(key.parent_database, key.parent_database))
        for key in table.foreign_keys
    )
    return replace(table, database=databases.get(table.database, table.database), foreign_keys=keys)


def _pointing(statement: str, databases: Mapping[str, str]) -> str:
    """The statement with the databases of the parents replaced, where it names them: it does for those of others."""
    code = code_of(tokens_of(statement))
    edits = [
        (code[place + 1].start, code[place + 1].end, quote_mysql(databases[code[place + 1].identifier]))
        for place in range(len(code) - 3)
        if code[place].word == "REFERENCES" and code[place + 2].text == "." and code[place + 1].identifier in databases
    ]
    for start, end, text in reversed(edits):
        statement = statement[:start] + text + statement[end:]
    return statement
