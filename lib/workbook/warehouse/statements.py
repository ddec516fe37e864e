"""The GoogleSQL statements and schemas of the warehouse, made of a mapping and the catalog; nothing here connects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from google.cloud.bigquery import SchemaField, TimePartitioning

from workbook.catalog import Table
from workbook.mapping import cleaning
from workbook.mapping.objects import ColumnMap, TableMap
from workbook.names import bigquery_path, quote_bigquery
from workbook.params_warehouse import Warehouse

# https://cloud.google.com/bigquery/quotas#table_limits
_COLUMN_DESCRIPTION = 1_024
_TABLE_DESCRIPTION = 16_384
LABEL = ("made_by", "migration-workbook")


@dataclass(frozen=True)
class Place:
    """Where a table goes: the raw copy, the clean table, and the rows set aside, each with its plain and quoted path."""

    project: str
    raw_dataset: str
    dataset: str
    mapped: TableMap

    @property
    def raw(self) -> str:
        """dataset.table of the raw copy."""
        return f"{self.raw_dataset}.{self.mapped.warehouse_name}"

    @property
    def clean(self) -> str:
        """dataset.table of the clean table."""
        return f"{self.dataset}.{self.mapped.warehouse_name}"

    @property
    def rejected(self) -> str:
        """dataset.table of the rows set aside."""
        return f"{self.raw_dataset}.{self.mapped.rejected_name}"

    def raw_path(self, mapped: TableMap) -> str:
        """The raw copy of any table, quoted."""
        return self.quoted(replace(self, mapped=mapped).raw)

    def quoted(self, name: str) -> str:
        """One of the three as GoogleSQL writes it, with the project."""
        return bigquery_path(self.project, *name.split(".", 1))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The tables that are made."""
        return (self.raw, self.clean, self.rejected) if cleaning.sets_aside(self.mapped) else (self.raw, self.clean)


@dataclass(frozen=True)
class Layout:
    """What a statement that makes a table says beside its columns."""

    labels: Mapping[str, str]
    partitioning: TimePartitioning | None
    clustering: Sequence[str]


def layout(mapped: TableMap) -> Layout:
    """The layout of a clean table."""
    return Layout(dict([LABEL]), partitioning(mapped), clustering(mapped))


def place_of(mapped: TableMap, project: str, warehouse: Warehouse) -> Place:
    """Where a mapped table goes by the params."""
    return Place(project, warehouse.raw_dataset, warehouse.dataset, mapped)


def column_texts(mapped: TableMap, table: Table) -> dict[str, str]:
    """The descriptions of the clean table's columns by their names."""
    return {column.warehouse_name: column_text(column, table, mapped.cleaned(column)) for column in mapped.columns}


def raw_schema(mapped: TableMap, table: Table) -> list[SchemaField]:
    """The schema of the raw table. All columns take NULL: dates that BigQuery cannot hold become it."""
    return [
        SchemaField(column.warehouse_name, cleaning.raw_type(column), description=column_text(column, table))
        for column in mapped.columns
    ]


def create_clean(place: Place, table: Table) -> str:
    """The statement that makes (or makes anew) the clean table of the raw one; columns are described afterwards."""
    mapped = place.mapped
    parts = [f"CREATE OR REPLACE TABLE {place.quoted(place.clean)}"]
    if mapped.partition_by:
        parts.append(f"PARTITION BY {_partition(mapped, mapped.partition_by)}")
    if mapped.cluster_by:
        parts.append(f"CLUSTER BY {', '.join(quote_bigquery(name) for name in clustering(mapped))}")
    parts.append(_options(table_text(table)))
    parts.append(f"AS\n{cleaning.clean_select(mapped, place.quoted(place.raw), place.raw_path)}")
    return "\n".join(parts)


def create_rejected(place: Place, table: Table) -> str | None:
    """The statement that makes the table of rows set aside; None where no rule sets any aside."""
    select = cleaning.rejected_select(place.mapped, place.quoted(place.raw), place.raw_path)
    if select is None:
        return None
    text = f"Rows of {table.database}.{table.name} that cleaning set aside, and the rule that did it."
    return f"CREATE OR REPLACE TABLE {place.quoted(place.rejected)}\n{_options(text)}\nAS\n{select}"


def count_rejected(place: Place) -> str:
    """The SELECT of (rule, number) over the rows set aside."""
    mark = quote_bigquery(cleaning.rejected_column(place.mapped))
    return (
        f"SELECT {mark} AS rule, COUNT(*) AS number\nFROM {place.quoted(place.rejected)}\nGROUP BY rule\nORDER BY rule"
    )


def drop_table(place: Place, name: str) -> str:
    """The statement that takes a table away where it is there."""
    return f"DROP TABLE IF EXISTS {place.quoted(name)}"


def drop_dataset(project: str, dataset: str) -> str:
    """The statement that takes a dataset away where it is there and holds nothing any more."""
    return f"DROP SCHEMA IF EXISTS {bigquery_path(project, dataset)}"


def partitioning(mapped: TableMap) -> TimePartitioning | None:
    """How the clean table is partitioned, as the API says it."""
    if mapped.partition_by is None:
        return None
    return TimePartitioning(mapped.partition_unit.upper(), mapped.column[mapped.partition_by].warehouse_name)


def clustering(mapped: TableMap) -> list[str]:
    """The columns that the clean table is clustered by, by their warehouse names."""
    return [mapped.column[name].warehouse_name for name in mapped.cluster_by]


def column_text(column: ColumnMap, table: Table, cleaned: Sequence[str] = ()) -> str:
    """The description of a column: its comment on the source, where it comes from, and the rules that clean it."""
    source = table.column[column.name]
    origin = f"{table.database}.{table.name}.{column.name}, {source.type}"
    rules = f"; cleaned: {', '.join(cleaned)}"[:400] if cleaned else ""
    return _within(source.comment, f"[{origin[:400]}{rules}]", _COLUMN_DESCRIPTION)


def table_text(table: Table) -> str:
    """The description of a table: its comment on the source, and where it comes from."""
    return _within(table.comment, f"[MySQL table {table.database}.{table.name}]", _TABLE_DESCRIPTION)


def _within(comment: str, origin: str, limit: int) -> str:
    room = limit - len(origin) - 1
    return f"{comment[:room]} {origin}" if comment else origin


def _partition(mapped: TableMap, name: str) -> str:
    column = mapped.column[name]
    kind = cleaning.clean_type(column)
    quoted = quote_bigquery(column.warehouse_name)
    if kind == "DATE" and mapped.partition_unit == "day":
        return quoted
    return f"{kind}_TRUNC({quoted}, {mapped.partition_unit.upper()})"


def _options(description: str) -> str:
    name, value = LABEL
    return (
        f"OPTIONS (\n  description = {cleaning.google_string(description)},\n"
        f"  labels = [({cleaning.google_string(name)}, {cleaning.google_string(value)})]\n)"
    )
