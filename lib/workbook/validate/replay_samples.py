"""A few rows of each table that a replay comes to, read from the target, with the parents that they point at."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from workbook.catalog import Column, Table
from workbook.errors import WorkbookError
from workbook.names import mysql_path, quote_mysql, with_values
from workbook.schema.definitions import TablePath
from workbook.servers import Session
from workbook.validate.replay_calls import Sample, made_up

_ROWS = 8  # from each end of a table
_HELD = 3
_PARENTS = 60
_FAMILIES = 4
_SIBLINGS = 24
_CUT = 2000  # characters or bytes of a long value
_WHOLE = 65536  # bytes of a value that cannot be cut
_LONG = ("tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob")
_DOCUMENTS = ("json", "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
              "geomcollection", "geometrycollection", "vector")  # fmt: skip
Row = dict[str, Any]


def read_samples(session: Session, tables: Mapping[TablePath, tuple[Table, Table]]) -> dict[TablePath, Sample]:
    """A sample of each table, by its path. `tables` holds the wanted table and the one that is on the target.

    Some rows are held back, to be inserted later: they break no unique key, since the table holds them beside the rest.
    """
    rows: dict[TablePath, list[Row]] = {}
    for path, (one, other) in tables.items():
        try:
            rows[path] = _ends(session, path, one, other)
        except WorkbookError:
            # What cannot be read is made up; the content of the table is judged elsewhere.
            rows[path] = []
    samples = {}
    for path, (one, _) in tables.items():
        found = rows[path]
        held = [row for number, row in enumerate(found) if number % 4 == 1][:_HELD]
        filled = [row for row in found if row not in held]
        made = made_up(one)
        samples[path] = Sample(one, tuple(filled) or made.filled, tuple(held) or made.held, made_up=not found)
    for path, both in tables.items():
        for key in both[0].foreign_keys:
            if (key.parent_database, key.parent_table) in tables and not samples[path].made_up:
                samples[path] = _with_siblings(session, samples[path], both, key.columns)
    for _ in range(2):
        for path, (one, _) in tables.items():
            for key in one.foreign_keys:
                parent = (key.parent_database, key.parent_table)
                if parent in tables:
                    samples[parent] = _with_parents(
                        session, samples[parent], tables[parent], samples[path], key.columns, key.parent_columns
                    )
    return samples


def _with_siblings(session: Session, child: Sample, tables: tuple[Table, Table], columns: tuple[str, ...]) -> Sample:
    """The sample of a child with all rows of a few parents, so that what counts or sums them has more than one."""
    few = list(dict.fromkeys(tuple(row.get(name) for name in columns) for row in child.filled))[:_FAMILIES]
    found = _matching(session, tables, columns, [values for values in few if None not in values], _SIBLINGS)
    more = [row for row in found if row not in child.filled and row not in child.held]
    return replace(child, filled=(*child.filled, *more))


def _ends(session: Session, path: TablePath, wanted: Table, there: Table) -> list[Row]:
    chosen = _shared(wanted, there)
    order = [quote_mysql(name) for name in there.key]
    found: list[Row] = []
    for direction in ("", " DESC") if order else ("",):
        ordered = " ORDER BY " + ", ".join(f"{name}{direction}" for name in order) if order else ""
        limit = _ROWS if order else 2 * _ROWS
        found += [row for row in _read(session, path, chosen, "", ordered, limit) if row not in found]
    return found


def _with_parents(
    session: Session,
    parent: Sample,
    tables: tuple[Table, Table],
    child: Sample,
    columns: tuple[str, ...],
    above: tuple[str, ...],
) -> Sample:
    """The sample of a parent with the rows that the child's rows point at."""
    if parent.made_up or child.made_up:
        return parent
    wanted = {tuple(row.get(name) for name in columns) for row in (*child.filled, *child.held)}
    known = {tuple(row.get(name) for name in above) for row in parent.filled}
    missing = [values for values in wanted - known if None not in values]
    if not missing or len(parent.filled) > _PARENTS:
        return parent
    found = _matching(session, tables, above, missing, _PARENTS)
    # What is held back stays so: a child of it has no parent on the copy.
    rows = [row for row in found if row not in parent.filled and row not in parent.held]
    return replace(parent, filled=(*parent.filled, *rows))


def _matching(
    session: Session,
    tables: tuple[Table, Table],
    names: tuple[str, ...],
    wanted: Collection[tuple[Any, ...]],
    limit: int,
) -> list[Row]:
    """Rows of the target's table that hold one of the wanted combinations in the named columns; none where they cannot be read."""
    if not wanted:
        return []
    one = " AND ".join(f"{with_values(quote_mysql(name))} = %s" for name in names)
    where = " WHERE (" + " OR ".join(f"({one})" for _ in wanted) + ")"
    given = [value for values in wanted for value in values]
    try:
        return _read(session, tables[1].path, _shared(*tables), where, "", limit, given)
    except WorkbookError:
        return []


def _shared(wanted: Table, there: Table) -> list[Column]:
    return [column for column in wanted.stored_columns if column.name in there.column]


def _read(
    session: Session,
    path: TablePath,
    columns: Collection[Column],
    where: str,
    ordered: str,
    limit: int,
    values: Collection[Any] = (),
) -> list[Row]:
    listed = ", ".join(
        f"LEFT({quote_mysql(column.name)}, {_CUT}) AS {quote_mysql(column.name)}"
        if column.data_type in _LONG
        else quote_mysql(column.name)
        for column in columns
    )
    whole = " AND ".join(
        f"COALESCE(LENGTH({quote_mysql(column.name)}), 0) <= {_WHOLE}"
        for column in columns
        if column.data_type in _DOCUMENTS
    )
    bound = f"{' AND' if where else ' WHERE'} ({whole})" if whole else ""
    statement = (
        with_values(f"SELECT {listed} FROM {mysql_path(*path)}")
        + where
        + with_values(f"{bound}{ordered} LIMIT {limit}")
    )
    return session.rows(statement, tuple(values))
