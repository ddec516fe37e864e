"""Rows that a unique key tells apart on the source and would not under the collation that the mapping chose."""

from collections.abc import Collection

from workbook.catalog import Index, Table
from workbook.errors import Refused
from workbook.mapping.target import WIDE, TargetRules
from workbook.names import mysql_path, quote_mysql
from workbook.schema.definitions import Definitions, TablePath
from workbook.servers import Server, Session


def refuse_collisions(source: Server, definitions: Definitions, tables: Collection[TablePath]) -> None:
    """Raise Refused where rows of `tables` would collide: at the end of a load it would be too late to find out."""
    found = []
    with source.session() as session:
        for path in tables:
            rules = definitions.choices.get(path)
            if rules is None:
                continue
            table = definitions.catalog.table[path]
            for index in table.indexes:
                if (
                    index.unique
                    and _compares_otherwise(table, index, rules)
                    and _collides(session, table, index, rules)
                ):
                    found.append(f"{mysql_path(*path)}, unique key {index.name!r}")
    if found:
        raise Refused(
            f"Rows that differ on the source would be equal by the collation that the mapping chose: {found[0]}"
            + (f"; and {len(found) - 1} more ({'; '.join(found[1:5])})." if len(found) > 1 else "."),
            "The unique key could not be made once the rows are there, or rows would be refused.",
            f"Name another collation under `target: {{collations: …}}`, for example {WIDE}_bin, or mend the rows.",
        )


def _compares_otherwise(table: Table, index: Index, rules: TargetRules) -> bool:
    """Whether a text of the index gets a collation of other rules: those of utf8mb3 and ascii keep theirs by name."""
    for name in filter(None, index.columns):
        column = table.column[name]
        if column.charset is None or not rules.moves(column.charset):
            continue
        old = (column.collation or "").partition("_")[2]
        if column.charset == "latin1" or rules.collation(column.charset, column.collation or "") != f"{WIDE}_{old}":
            return True
    return False


def _collides(session: Session, table: Table, index: Index, rules: TargetRules) -> bool:
    groups, known = [], []
    for part in index.parts:
        if part.column is None:
            # An expression: its value cannot be named here.
            return False
        column = table.column[part.column]
        text = quote_mysql(column.name)
        known.append(f"{text} IS NOT NULL")
        if column.charset is not None and rules.moves(column.charset):
            collation = rules.collation(column.charset, column.collation or "")
            text = f"CONVERT({text} USING {WIDE}) COLLATE {collation}"
        groups.append(text if part.prefix is None else f"LEFT({text}, {part.prefix})")
    statement = (
        f"SELECT 1 FROM {mysql_path(*table.path)} WHERE {' AND '.join(known)}"
        f" GROUP BY {', '.join(groups)} HAVING COUNT(*) > 1 LIMIT 1"
    )
    return session.scalar(statement) is not None
