"""A table as it is wanted on the target: the source's definition after Cloud SQL's rules and the mapping's choices."""

from collections.abc import Mapping
from dataclasses import dataclass

from workbook.catalog import Table
from workbook.errors import Refused
from workbook.names import mysql_path
from workbook.schema.choices import Chosen, chosen
from workbook.schema.definitions import Definitions, TablePath
from workbook.schema.rules import adapted
from workbook.schema.table import TableDefinition

CLOUD_SQL = "Cloud SQL"
MAPPING = "the mapping"


@dataclass(frozen=True)
class Wanted:
    """A table as it is to be: its definition, its catalog entry, and each change with whose rule it is.

    `hindrances` say what does not fit.
    """

    table: TableDefinition
    facts: Table
    changes: tuple[tuple[str, str], ...]  # in words, and by whom: CLOUD_SQL or MAPPING
    hindrances: tuple[str, ...]

    @property
    def by(self) -> str:
        """Whose rules changed it, in words; empty where none did."""
        return " and ".join(sorted({by for _, by in self.changes}))


def wanted(source: Definitions, path: TablePath) -> Wanted:
    """The table of the source at `path` as the target is to hold it."""
    taken = adapted(source.split[path], source.members_of(path))
    changes = [(change, MAPPING) for change in source.carried.get(path, ())]
    changes += [(change, CLOUD_SQL) for change in taken.changes]
    facts = source.catalog.table[path]
    rules = source.choices.get(path)
    made = Chosen(taken.table, facts) if rules is None else chosen(taken.table, facts, rules)
    changes += [(change, MAPPING) for change in made.changes]
    return Wanted(made.table, made.facts, tuple(changes), made.hindrances)


def refuse_choices(source: Definitions, target: Definitions, tables: Mapping[TablePath, Wanted]) -> None:
    """Raise Refused where what the mapping chose cannot be: it does not fit, or it parts what belongs together."""
    hindrances = [f"{mysql_path(*path)}: {what}" for path, table in tables.items() for what in table.hindrances]
    if hindrances:
        raise Refused(
            f"Not all fits once it is utf8mb4, as the mapping wants it. {_first(hindrances)}",
            "A unique index over a part of the text would refuse other rows, and a shorter column would cut values.",
            "Make the index or the column shorter on the source, or leave these tables as they are:"
            " `target: {to_utf8mb4: []}` under each in the mapping.",
        )
    unknown = {
        f"{column.collation} (for {source.catalog.table[path].column[column.name].collation})"
        for path, table in tables.items()
        for column in table.facts.columns
        if target.collations and column.collation and column.collation.lower() not in target.collations
    }
    if unknown:
        raise Refused(
            f"The target knows no collation {_first(sorted(unknown))}",
            "How its texts sort and which of them count as equal would have to be guessed.",
            "Name one of the target's under `target: {collations: {old: new}}` in the mapping.",
        )
    parted = list(_parted(tables))
    if parted:
        raise Refused(
            f"The mapping makes one end of a foreign key utf8mb4 and not the other. {_first(parted)}",
            "MySQL wants both ends in one character set and collation (error 3780).",
            "Give both tables the same `target` in the mapping.",
        )


def refuse_keyless(target: Definitions, tables: Mapping[TablePath, Wanted]) -> None:
    """Raise Refused where the target's settings would refuse a table without a primary key, or add one unasked."""
    without = [mysql_path(*path) for path, table in tables.items() if table.table.primary_key is None]
    variables = target.catalog.variables
    for setting, what in (
        ("sql_require_primary_key", "refuse"),
        ("sql_generate_invisible_primary_key", "add a column to"),
    ):
        new = [name for name in without if name not in {mysql_path(*path) for path in target.tables}]
        if new and variables.get(setting, "OFF").upper() == "ON":
            raise Refused(
                f"The target runs with {setting}=ON and would {what} {len(new)} tables without a primary key:"
                f" {_first(new)}",
                "They would be missing, or other than the mapping says.",
                "Write `target: {keyless: invisible-key}` in the mapping for tables without any key, give the others a"
                f" primary key on the source, or take the flag {setting} off while the schema is made.",
            )


def _parted(tables: Mapping[TablePath, Wanted]) -> list[str]:
    found = []
    for path, table in tables.items():
        kept = {part.name for part in table.table.foreign_keys}
        for key in table.facts.foreign_keys:
            parent = tables.get((key.parent_database, key.parent_table))
            if parent is None or key.name not in kept:
                continue
            for child, above in zip(key.columns, key.parent_columns, strict=True):
                one, other = table.facts.column[child], parent.facts.column[above]
                if one.collation != other.collation:
                    found.append(f"{mysql_path(*path, key.name)}: {one.collation} points at {other.collation}")
    return found


def _first(items: list[str]) -> str:
    return f"{items[0]}" + (f"; and {len(items) - 1} more ({'; '.join(items[1:5])})." if len(items) > 1 else ".")
