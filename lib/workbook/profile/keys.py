"""Candidate keys of a table, and its references: declared foreign keys, and columns that look like one."""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from workbook.catalog import Catalog, Column, Table
from workbook.names import mysql_path, quote_mysql
from workbook.profile.measures import kind_of
from workbook.profile.result import ColumnProfile, Reference

# Pairs that the sample does not rule out and that the server is asked about.
PAIRS_ASKED = 8
_KEY_KINDS = ("number", "bits", "year", "date", "time", "choice", "text", "bytes")
TableNames = Mapping[str, Mapping[str, Sequence[Table]]]
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")


def single_keys(profiles: Mapping[str, ColumnProfile]) -> tuple[tuple[str, ...], ...]:
    """Columns without NULLs in which every row differs, also to the collation."""
    return tuple(
        (name,)
        for name, column in profiles.items()
        if column.rows and not column.nulls and column.kind in _KEY_KINDS
        and column.distinct == column.rows
        and column.distinct_collated in (None, column.rows)
    )  # fmt: skip


def possible_pairs(
    columns: Sequence[Column], seen: Mapping[str, Sequence[Any]], profiles: Mapping[str, ColumnProfile], rows: int
) -> list[tuple[Column, Column]]:
    """Pairs of columns that could be a key: no NULLs, enough distinct values, and no double in the sample `seen`.

    Columns that are key-like by type come first; at most PAIRS_ASKED pairs.
    """
    usable = [
        column
        for column in columns
        if column.name in seen and kind_of(column) in _KEY_KINDS and not profiles[column.name].nulls
    ]
    found: list[tuple[Column, Column]] = []
    for one, other in combinations(usable, 2):
        if (profiles[one.name].distinct or 0) * (profiles[other.name].distinct or 0) < rows:
            continue
        pairs = list(zip(seen[one.name], seen[other.name], strict=True))
        if len(set(pairs)) == len(pairs):
            found.append((one, other))
    found.sort(key=lambda pair: sum(kind_of(column) not in ("number", "choice", "date") for column in pair))
    return found[:PAIRS_ASKED]


def table_names(catalog: Catalog) -> TableNames:
    """Tables by database and name, in words and in the singular too."""
    names: dict[str, dict[str, list[Table]]] = {}
    for table in catalog.tables:
        words = _words(table.name)
        if words:
            for form in _singulars(words[-1]):
                names.setdefault(table.database, {}).setdefault(" ".join([*words[:-1], form]), []).append(table)
    return names


def references_of(table: Table, names: TableNames) -> list[Reference]:
    """The references of a table, uncounted: its foreign keys, then columns that look like one."""
    declared = [
        Reference(
            table.database,
            table.name,
            key.columns,
            key.parent_database,
            key.parent_table,
            key.parent_columns,
            True,
            key.name,
        )
        for key in table.foreign_keys
    ]
    covered = {name for key in table.foreign_keys for name in key.columns}
    likely = [
        reference
        for column in table.columns
        if column.name not in covered and (reference := _looks_like(table, column, names))
    ]
    return declared + likely


def count_orphans(reference: Reference, condition: str) -> tuple[str, str]:
    """Two SELECTs over the rows that `condition` picks: those with a whole reference, and those of them without a parent.

    `condition` names columns of the child without a qualifier, so it is applied inside a derived table.
    """
    child = mysql_path(reference.database, reference.table)
    listed = ", ".join(quote_mysql(name) for name in dict.fromkeys(reference.columns))
    rows = child if condition == "TRUE" else f"(SELECT {listed} FROM {child} WHERE {condition})"
    whole = " AND ".join(f"c.{quote_mysql(name)} IS NOT NULL" for name in reference.columns)
    joined = " AND ".join(
        f"p.{quote_mysql(parent)} = c.{quote_mysql(name)}"
        for name, parent in zip(reference.columns, reference.parent_columns, strict=True)
    )
    parent = mysql_path(reference.parent_database, reference.parent_table)
    counted = f"SELECT COUNT(*) FROM {rows} AS c WHERE {whole}"
    return counted, f"{counted} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {joined})"


def _looks_like(table: Table, column: Column, names: TableNames) -> Reference | None:
    """A reference that the name of `column` promises and its type allows, to a table of the same database.

    customer_id, customerId, billing_customer_id and country_code point at the one-column key (id, code) of customers,
    customer, countries; parent_id points at the key of its own table.
    """
    words = _words(column.name)
    if len(words) < 2 or table.key == (column.name,):
        return None
    for parent in _before(words, names.get(table.database, {})):
        key = parent.primary_key
        if key is None or len(key.columns) != 1 or not key.columns[0]:
            continue
        target = parent.column[key.columns[0]]
        if (parent.path, target.name) == (table.path, column.name):
            continue
        wanted = _words(target.name)
        if words[-len(wanted) :] == wanted and _comparable(column, target):
            return Reference(
                table.database, table.name, (column.name,), parent.database, parent.name, (target.name,), False, None
            )
    if words == ["parent", "id"] and len(table.key) == 1 and _comparable(column, table.column[table.key[0]]):
        return Reference(table.database, table.name, (column.name,), table.database, table.name, table.key, False, None)
    return None


def _before(words: list[str], tables: Mapping[str, Sequence[Table]]) -> list[Table]:
    """Tables whose name, in singular or plural, is what stands before the last word; longest name first."""
    found: list[Table] = []
    for start in range(len(words) - 1):
        name = " ".join(words[start:-1])
        if name in tables:
            found += tables[name]
    return found


def _singulars(word: str) -> list[str]:
    forms = [word]
    if word.endswith("ies"):
        forms.append(word[:-3] + "y")
    if word.endswith(("ses", "xes", "ches", "shes")):
        forms.append(word[:-2])
    if word.endswith("s"):
        forms.append(word[:-1])
    return forms


def _words(name: str) -> list[str]:
    return re.sub(r"[\W_]+", " ", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)).lower().split()


def _comparable(column: Column, target: Column) -> bool:
    """Whether values of both can be compared by an index: whole numbers, or text of one collation, or bytes."""
    if column.data_type in _INTEGERS:
        return target.data_type in _INTEGERS
    if kind_of(column) == "text":
        return kind_of(target) == "text" and column.collation == target.collation
    return kind_of(column) == "bytes" and kind_of(target) == "bytes"
