"""Where each column of a mart comes from: through the marts and the clean tables, back to the columns of the source.

Values are followed, not conditions: a column that only decides which rows there are is no origin of another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlglot
from sqlglot import exp
from sqlglot.lineage import Node
from sqlglot.lineage import lineage as columns_lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from workbook.mapping import Mapping as TableMapping
from workbook.mapping.objects import TableMap
from workbook.marts.files import HISTORY, Mart, Marts
from workbook.marts.references import Reference


@dataclass(frozen=True, order=True)
class Place:
    """A column of a table of a layer."""

    layer: str
    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.layer}.{self.table}.{self.column}"


@dataclass(frozen=True, order=True)
class SourceColumn:
    """A column of the source, and the cleaning rules on its way to the clean table."""

    database: str
    table: str
    column: str
    rules: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.database}.{self.table}.{self.column}"


@dataclass(frozen=True)
class Origin:
    """Where a column comes from: what its query reads, and what stands on the source behind that."""

    read: tuple[Place, ...] = ()
    source: tuple[SourceColumn, ...] = ()


@dataclass(frozen=True)
class Lineage:
    """The origin of each column by mart; `unknown` are marts whose query could not be followed, and why."""

    origins: Mapping[tuple[str, str], Origin] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)

    def of(self, mart: str, column: str) -> Origin:
        """The origin of a column; an empty one where it is computed of nothing, or not known."""
        return self.origins.get((mart, column), Origin())


def lineage(marts: Marts, mapping: TableMapping) -> Lineage:
    """The lineage of all columns of all marts."""
    tables = {table.warehouse_name: table for table in mapping.in_scope}
    schema: dict[str, dict[str, dict[str, str]]] = {"raw": {}, "clean": {}, "marts": {}}
    for name, table in tables.items():
        columns = {column.warehouse_name: "STRING" for column in table.columns}
        schema["raw"][name] = schema["clean"][name] = columns
    for mart in marts.marts:
        schema["marts"][mart.name] = dict.fromkeys(mart.columns, "STRING")
    origins: dict[tuple[str, str], Origin] = {}
    unknown: dict[str, str] = {}
    for mart in marts.marts:
        try:
            found = _followed(mart, schema)
        except (sqlglot.errors.SqlglotError, ValueError, KeyError, RecursionError) as error:
            unknown[mart.name] = f"its query could not be followed: {str(error).splitlines()[0][:200]}"
            continue
        for column in mart.columns:
            named = mart.header.key if column == mart.header.history else (column,)
            read = tuple(dict.fromkeys(place for name in named for place in found.get(name.lower(), ())))
            behind = [one for place in read for one in _behind(place, tables, marts, origins)]
            origins[mart.name, column] = Origin(read, tuple(sorted(dict.fromkeys(behind))))
    return Lineage(origins, unknown)


def _followed(mart: Mart, schema: dict[str, dict[str, dict[str, str]]]) -> dict[str, tuple[Place, ...]]:
    """What the query of a mart reads for each of its columns, by their names in lower case."""
    needed = {
        layer: {one.table: schema[layer].get(one.table, {}) for one in mart.reads if one.layer == layer}
        for layer in schema
    }
    needed = {layer: tables for layer, tables in needed.items() if tables}
    tree: Any = qualify(
        sqlglot.parse_one(mart.sql, dialect="bigquery"),
        dialect="bigquery",
        schema=cast(dict[str, object], needed),
        validate_qualify_columns=False,
        identify=False,
    )
    scope = build_scope(tree)
    if not isinstance(scope, Scope):
        raise ValueError("it is no SELECT")
    found = {}
    for name in tree.named_selects:
        node = columns_lineage(name, tree, schema=needed, scope=scope, dialect="bigquery", copy=False)
        found[name.lower()] = tuple(sorted(dict.fromkeys(_leaves(node, needed))))
    return found


def _leaves(node: Node, schema: Mapping[str, Mapping[str, Mapping[str, str]]]) -> list[Place]:
    found = []
    for one in node.walk():
        if one.downstream or not isinstance(one.expression, exp.Table):
            continue
        table = one.expression
        reference = Reference(table.db, table.name)
        column = sqlglot.parse_one(one.name).name
        columns = schema.get(reference.layer, {}).get(reference.table, {})
        # sqlglot folds the names of columns, as BigQuery tells none apart by its case.
        spelled = next((name for name in columns if name.lower() == column.lower()), None)
        if spelled is not None:
            found.append(Place(reference.layer, reference.table, spelled))
    return found


def _behind(
    place: Place, tables: Mapping[str, TableMap], marts: Marts, origins: Mapping[tuple[str, str], Origin]
) -> Sequence[SourceColumn]:
    """The columns of the source that a column of a layer holds."""
    if place.layer == "marts":
        mart = marts.named[place.table]
        if place.column in HISTORY and mart.header.history is not None:
            return ()
        return origins.get((place.table, place.column), Origin()).source
    table = tables.get(place.table)
    if table is None:
        return ()
    return [
        SourceColumn(
            table.database,
            table.name,
            column.name,
            table.cleaned(column) if place.layer == "clean" else (),
        )
        for column in table.columns
        if column.warehouse_name == place.column
    ]
