"""What slows a bulk load down or gets in its way, taken away from empty tables; planning the schema brings it back."""

from collections.abc import Collection

from workbook.names import mysql_path, quote_mysql
from workbook.plan import Plan, Step
from workbook.schema.definitions import Definitions, TablePath
from workbook.schema.rules import first_column
from workbook.schema.table import Part, TableDefinition


def deferral_plan(target: Definitions, tables: Collection[TablePath]) -> Plan:
    """The steps that drop triggers, foreign keys and secondary indexes of `tables`, which must be empty and ours.

    Kept are the primary key, the unique key that takes its place, one index for an AUTO_INCREMENT column, and the
    indexes that foreign keys of other tables point at. The steps have no undo of their own: the schema's plan, made
    again, adds whatever is missing.
    """
    chosen = [path for path in tables if path in target.tables]
    steps = [
        Step(
            "trigger",
            mysql_path(item.database, item.name),
            f"DROP TRIGGER IF EXISTS {mysql_path(item.database, item.name)}",
            None,
        )
        for item in target.code
        if item.kind == "trigger" and (item.database, item.table) in chosen
    ]
    # A parent's index can only go after the keys that need it, so all keys go first.
    for path in chosen:
        keys = target.split[path].foreign_keys
        if keys:
            dropped = ", ".join(f"DROP FOREIGN KEY {quote_mysql(key.name)}" for key in keys)
            steps.append(Step("foreign keys", mysql_path(*path), f"ALTER TABLE {mysql_path(*path)} {dropped}", None))
    for path in chosen:
        indexes = _deferrable(target, path, chosen)
        if indexes:
            dropped = ", ".join(f"DROP INDEX {quote_mysql(index.name)}" for index in indexes)
            steps.append(Step("indexes", mysql_path(*path), f"ALTER TABLE {mysql_path(*path)} {dropped}", None))
    return Plan("schema", tuple(steps))


def _deferrable(target: Definitions, path: TablePath, chosen: Collection[TablePath]) -> list[Part]:
    table = target.split[path]
    kept = {_key_in_place_of_primary(target, path), _counter_index(target, path, table)}
    needed = [
        key.parent_columns
        for child in target.catalog.tables
        if child.path not in chosen
        for key in child.foreign_keys
        if (key.parent_database, key.parent_table) == path
    ]
    for index in target.catalog.table[path].indexes:
        if any(index.columns[: len(columns)] == columns for columns in needed):
            kept.add(index.name)
    return [index for index in table.indexes if index.name not in kept]


def _key_in_place_of_primary(target: Definitions, path: TablePath) -> str | None:
    """The unique key that names a row where there is no primary key: InnoDB clusters the rows by it."""
    table = target.catalog.table[path]
    if table.primary_key is not None or not table.key:
        return None
    return next(index.name for index in table.indexes if index.unique and index.columns == table.key)


def _counter_index(target: Definitions, path: TablePath, table: TableDefinition) -> str | None:
    counter = next((column.name for column in target.catalog.table[path].columns if column.auto_increment), None)
    if counter is None or (table.primary_key and first_column(table.primary_key) == counter):
        return None
    return next((index.name for index in table.indexes if first_column(index) == counter), None)
