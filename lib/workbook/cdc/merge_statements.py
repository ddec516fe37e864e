"""The GoogleSQL of the stream's end: the log of changes, and the MERGE of its newest into raw and clean tables; nothing connects."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from google.cloud.bigquery import SchemaField

from workbook.catalog import Table
from workbook.mapping import cleaning
from workbook.mapping.objects import TableMap
from workbook.names import quote_bigquery
from workbook.warehouse.statements import Place, column_text
from workbook.warehouse.streamed import Leg

# https://cloud.google.com/bigquery/docs/clustered-tables#limitations
_CLUSTERED = {"STRING", "INT64", "NUMERIC", "BIGNUMERIC", "BOOL", "DATE", "DATETIME", "TIMESTAMP"}
_MOST_CLUSTERS = 4
UPSERT, DELETE, TRUNCATE = "upsert", "delete", "truncate"
OPS = {b"u": UPSERT, b"d": DELETE, b"t": TRUNCATE}


@dataclass(frozen=True)
class Marks:
    """The columns of the log that say what a change is, by a prefix that no column of the table has."""

    prefix: str

    def __getattr__(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def schema(self) -> list[SchemaField]:
        """Their fields, in order."""
        return [
            SchemaField(f"{self.prefix}{name}", kind, mode="REQUIRED", description=text) for name, kind, text in _MARKS
        ]


_MARKS = (
    (
        "op",
        "STRING",
        "upsert: the row as it stood after the change; delete: its key alone; truncate: all rows are gone",
    ),
    ("at", "TIMESTAMP", "when the source committed the change; the log is partitioned by its day"),
    ("gtid", "STRING", "the source's transaction"),
    ("file", "INT64", "the order of changes on the source: the number of its binlog file,"),
    ("pos", "INT64", "the position in it,"),
    ("within", "INT64", "and the number within the transaction"),
    ("seq", "INT64", "the order in which changes were committed on Cloud SQL"),
)
MARKS = tuple(name for name, _, _ in _MARKS)


def marks(mapped: TableMap) -> Marks:
    """The marks of a table's log."""
    prefix = "_cdc_"
    while any(column.warehouse_name.lower().startswith(prefix) for column in mapped.columns):
        prefix = f"_{prefix}"
    return Marks(prefix)


def log_name(place: Place) -> str:
    """dataset.table of the log of a table's changes."""
    return f"{place.raw}__changes"


def log_schema(mapped: TableMap, table: Table) -> list[SchemaField]:
    """The schema of the log: the marks, then the columns of the raw table."""
    columns = [
        SchemaField(column.warehouse_name, cleaning.raw_type(column), description=column_text(column, table))
        for column in mapped.columns
    ]
    return [*marks(mapped).schema(), *columns]


def log_clusters(mapped: TableMap, table: Table) -> list[str]:
    """The columns of the key by which the log is clustered."""
    columns = [mapped.column[name] for name in table.key]
    return [column.warehouse_name for column in columns if cleaning.raw_type(column) in _CLUSTERED][:_MOST_CLUSTERS]


def loaded_since(place: Place, first: int, last: int, days: tuple[float, float]) -> str:
    """The SELECT that counts what the log holds of a stretch of changes committed between two moments (Unix seconds)."""
    mark = marks(place.mapped)
    return (
        f"SELECT COUNT(*) AS number FROM {place.quoted(log_name(place))}\n"
        f"WHERE {_committed(mark, *days)}\n  AND {quote_bigquery(mark.seq)} BETWEEN {first:d} AND {last:d}"
    )


def mergeable(mapped: TableMap, table: Table) -> bool:
    """Whether a changed row changes the one row of the clean table that has its key: else that is made anew."""
    cleaned_key = any(mapped.column[name].clean for name in table.key)
    return not (cleaned_key or cleaning.sets_aside(mapped) or mapped.orphans)


def merge(place: Place, table: Table, leg: Leg, clean: bool) -> str:
    """The MERGE of a leg's waiting changes into its raw or its clean table.

    A change counts where it is the last one of its key. After a TRUNCATE only what came later is left, so rows without a
    change go; otherwise only partitions are read in which changed rows were or are.
    """
    mapped, mark = place.mapped, marks(place.mapped)
    emptied = leg.truncated > leg.merged
    since = leg.truncated if emptied else leg.merged
    key = [quote_bigquery(mapped.column[name].warehouse_name) for name in table.key]
    columns = [quote_bigquery(column.warehouse_name) for column in mapped.columns]
    op = quote_bigquery(mark.op)
    newest = ", ".join(f"{quote_bigquery(name)} DESC" for name in (mark.file, mark.pos, mark.within, mark.seq))
    seq = quote_bigquery(mark.seq)
    picked = (
        f"SELECT *\n    FROM {place.quoted(log_name(place))}\n    WHERE {_committed(mark, leg.first or 0, leg.last or 0)}\n"
        f"      AND {seq} > {since:d} AND {seq} <= {leg.pending:d} AND {op} != '{TRUNCATE}'\n"
        f"    QUALIFY ROW_NUMBER() OVER (PARTITION BY {', '.join(key)} ORDER BY {newest}) = 1"
    )
    values = [
        f"{cleaning.clean_expression(column)} AS {name}" if clean and column.clean else name
        for column, name in zip(mapped.columns, columns, strict=True)
    ]
    conditions = [f"kept.{name} = fresh.{name}" for name in key]
    if not emptied:
        conditions += _partitions(mapped, leg)
    listed = ", ".join(columns)
    parts = [
        f"MERGE {place.quoted(place.clean if clean else place.raw)} AS kept",
        f"USING (\n  SELECT {op}, {', '.join(values)}\n  FROM (\n    {picked}\n  )\n) AS fresh",
        f"ON {' AND '.join(conditions)}",
        f"WHEN MATCHED AND fresh.{op} = '{DELETE}' THEN DELETE",
        f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{name} = fresh.{name}' for name in columns)}",
        f"WHEN NOT MATCHED AND fresh.{op} = '{UPSERT}' THEN INSERT ({listed})"
        f" VALUES ({', '.join(f'fresh.{name}' for name in columns)})",
    ]
    if emptied:
        parts.append("WHEN NOT MATCHED BY SOURCE THEN DELETE")
    return "\n".join(parts)


def _committed(mark: Marks, first: float, last: float) -> str:
    """The condition on whole days, which alone are read of the log."""
    at = quote_bigquery(mark.at)
    begin = datetime.fromtimestamp(first, UTC).date()
    end = datetime.fromtimestamp(last, UTC).date() + timedelta(days=1)
    return f"{at} >= TIMESTAMP '{begin} 00:00:00+00' AND {at} < TIMESTAMP '{end} 00:00:00+00'"


def _partitions(mapped: TableMap, leg: Leg) -> list[str]:
    """The condition on partitions in which changed rows were or are, as literals; none where there are no partitions."""
    if mapped.partition_by is None:
        return []
    column = mapped.column[mapped.partition_by]
    name, kind = f"kept.{quote_bigquery(column.warehouse_name)}", cleaning.raw_type(column)
    ranges = []
    if leg.low is not None and leg.high is not None:
        ranges.append(f"{name} BETWEEN {_literal(kind, leg.low)} AND {_literal(kind, leg.high)}")
    if leg.nulls or not ranges:
        ranges.append(f"{name} IS NULL")
    return [f"({' OR '.join(ranges)})"]


def _literal(kind: str, number: int) -> str:
    """A DATE by its day since 1970, a DATETIME or TIMESTAMP by its microsecond."""
    if kind == "DATE":
        return f"DATE '{(date(1970, 1, 1) + timedelta(days=number)).isoformat()}'"
    moment = (datetime(1970, 1, 1) + timedelta(microseconds=number)).isoformat(sep=" ", timespec="microseconds")
    return f"DATETIME '{moment}'" if kind == "DATETIME" else f"TIMESTAMP '{moment}+00'"
