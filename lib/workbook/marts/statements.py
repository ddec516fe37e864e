"""The GoogleSQL that makes marts, keeps histories and tests both; nothing here connects."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from google.cloud.bigquery import SchemaField, TimePartitioning
from google.cloud.bigquery.table import ColumnReference, ForeignKey, PrimaryKey, TableConstraints, TableReference

from workbook.mapping.cleaning import google_string
from workbook.marts.files import Mart, Marts, MartTest
from workbook.marts.references import Reference, put_in_place
from workbook.names import bigquery_path, quote_bigquery
from workbook.params_warehouse import Warehouse
from workbook.warehouse.statements import LABEL

BEGINNING = "TIMESTAMP '0001-01-01 00:00:00+00'"
END = "TIMESTAMP '9999-12-31 00:00:00+00'"


@dataclass(frozen=True)
class Places:
    """Where layers lie. Marts in `aside` are read where they were built tonight, the others where they were left."""

    project: str
    warehouse: Warehouse
    aside: frozenset[str] = frozenset()

    def mart(self, name: str) -> str:
        """dataset.table of a mart."""
        return f"{self.warehouse.marts_dataset}.{name}"

    def built(self, name: str) -> str:
        """dataset.table that a mart is built in, before it is tested."""
        return f"{self.warehouse.raw_dataset}.{name}__mart"

    def quoted(self, name: str) -> str:
        """dataset.table as GoogleSQL writes it, with the project."""
        return bigquery_path(self.project, *name.split(".", 1))

    def of(self, one: Reference) -> str:
        """A reference as GoogleSQL writes it."""
        if one.layer == "marts":
            return self.quoted(self.built(one.table) if one.table in self.aside else self.mart(one.table))
        dataset = self.warehouse.raw_dataset if one.layer == "raw" else self.warehouse.dataset
        return self.quoted(f"{dataset}.{one.table}")


def query(item: Mart | MartTest, places: Places) -> str:
    """The query of a mart or a test, its tables in their places."""
    return put_in_place(item.sql, places.of)


def rows_of(mart: Mart, places: Places, moment: datetime, held: Collection[str] | None) -> str:
    """The query of all rows of a mart; `held` are the columns of the one that is there (None: there is none).

    A history goes on from that one: versions that changed or went end at `moment`, and new ones begin.
    """
    select = query(mart, places)
    if mart.header.history is None:
        return select
    return _first(mart, select) if held is None else _next(mart, select, places, _timestamp(moment), held)


def create(mart: Mart, places: Places, select: str, types: Mapping[str, str]) -> str:
    """The statement that builds a mart aside of a query whose columns have these types, by their names in lower case."""
    header = mart.header
    parts = [f"CREATE OR REPLACE TABLE {places.quoted(places.built(mart.name))}"]
    if header.partition_by:
        parts.append(f"PARTITION BY {_partition(header.partition_by, header.partition_unit, types)}")
    if header.cluster_by:
        parts.append(f"CLUSTER BY {', '.join(map(quote_bigquery, header.cluster_by))}")
    labels = ", ".join(f"({google_string(key)}, {google_string(value)})" for key, value in all_labels(mart).items())
    parts.append(f"OPTIONS (description = {google_string(header.description)}, labels = [{labels}])")
    return "\n".join([*parts, f"AS\n{select}"])


def drop(places: Places, name: str) -> str:
    """The statement that takes a table (dataset.table) away where it is there."""
    return f"DROP TABLE IF EXISTS {places.quoted(name)}"


def count_versions(mart: Mart, places: Places, moment: datetime) -> str:
    """The statement that counts what the night did to a history: versions that began, and that ended."""
    at = _timestamp(moment)
    return (
        f"SELECT COUNTIF(valid_from = {at}) AS began, COUNTIF(valid_to = {at}) AS ended"
        f" FROM {places.quoted(places.built(mart.name))}"
    )


def tests(mart: Mart, places: Places) -> list[tuple[str, str]]:
    """What must hold of a mart, in words, with the query that finds the rows for which it does not."""
    header, table = mart.header, places.quoted(places.built(mart.name))
    found = []
    keys = [(mart.key, "")] if mart.key else []
    if header.history is not None:
        keys.append((header.key, " of now"))
    keys += [((column,), "") for column in header.unique]
    for columns, of_now in keys:
        listed = ", ".join(map(quote_bigquery, columns))
        present = " AND ".join(f"{quote_bigquery(column)} IS NOT NULL" for column in columns)
        found.append(
            (
                f"{', '.join(columns)} tells rows{of_now} apart",
                f"SELECT {listed}, COUNT(*) AS number FROM {table} WHERE {present}{' AND is_current' if of_now else ''}"
                f" GROUP BY {listed} HAVING COUNT(*) > 1",
            )
        )
    for column in dict.fromkeys((*mart.key, *(header.key if header.history else ()), *header.not_null)):
        found.append((f"{column} is never NULL", f"SELECT * FROM {table} WHERE {quote_bigquery(column)} IS NULL"))
    for column, values in header.values.items():
        allowed = ", ".join(_literal(value) for value in values)
        found.append(
            (
                f"{column} is one of {', '.join(map(str, values))}",
                f"SELECT {quote_bigquery(column)} FROM {table} WHERE {quote_bigquery(column)} NOT IN ({allowed})",
            )
        )
    for column, place in header.references.items():
        other, theirs = place.split(".")
        quoted = quote_bigquery(column)
        found.append(
            (
                f"{column} is in {place}",
                f"SELECT {quoted} FROM {table} AS here WHERE {quoted} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
                f" {places.of(Reference('marts', other))} AS there WHERE there.{quote_bigquery(theirs)} = here.{quoted})",
            )
        )
    return found


def count_failing(queries: Sequence[str]) -> str:
    """One statement that counts the rows of several queries, by their place in the list."""
    return "\nUNION ALL\n".join(
        f"SELECT {number} AS number, COUNT(*) AS failing FROM (\n{sql}\n)" for number, sql in enumerate(queries)
    )


def all_labels(mart: Mart) -> dict[str, str]:
    """The labels of a mart's table."""
    return {**mart.header.labels, **dict([LABEL])}


def partitioning(mart: Mart) -> TimePartitioning | None:
    """How a mart is partitioned, as the API says it."""
    header = mart.header
    return TimePartitioning(header.partition_unit.upper(), header.partition_by) if header.partition_by else None


def described(mart: Mart, schema: Sequence[SchemaField]) -> list[SchemaField]:
    """The schema with the descriptions of the columns, whatever case they are written in."""
    texts = {name.lower(): text for name, text in mart.columns.items()}
    return [
        SchemaField.from_api_repr({**field.to_api_repr(), "description": texts[field.name.lower()][:1024]})
        for field in schema
    ]


def keys(mart: Mart, marts: Marts, places: Places) -> TableConstraints | None:
    """The keys of a mart, none of which BigQuery enforces: its own, and those that lead to the key of another mart."""
    foreign = []
    for column, place in mart.header.references.items():
        other, theirs = place.split(".")
        if marts.named[other].key == (theirs,):
            table = TableReference.from_string(f"{places.project}.{places.mart(other)}")
            foreign.append(ForeignKey(f"{mart.name}_{column}", table, [ColumnReference(column, theirs)]))
    if not mart.key and not foreign:
        return None
    return TableConstraints(PrimaryKey(list(mart.key)) if mart.key else None, foreign)


def _first(mart: Mart, select: str) -> str:
    columns = [f"today.{quote_bigquery(name)}" for name in mart.header.columns]
    return (
        f"SELECT {_version(mart, BEGINNING)} AS {quote_bigquery(str(mart.header.history))}, {', '.join(columns)},\n"
        f"  {BEGINNING} AS valid_from, {END} AS valid_to, TRUE AS is_current\nFROM (\n{select}\n) AS today"
    )


def _next(mart: Mart, select: str, places: Places, moment: str, held: Collection[str]) -> str:
    header, live = mart.header, places.quoted(places.mart(mart.name))
    known = {name.lower() for name in held}
    kept = [name for name in header.columns if name.lower() in known]
    version, keys = quote_bigquery(str(header.history)), [quote_bigquery(name) for name in header.key]
    same = " AND ".join(f"held.{name} IS NOT DISTINCT FROM today.{name}" for name in map(quote_bigquery, kept))
    since = f"IF(held.{keys[0]} IS NULL AND gone.{keys[0]} IS NULL, {BEGINNING}, {moment})"
    columns, past = [], []
    for name in header.columns:
        quoted = quote_bigquery(name)
        if name in kept:
            columns.append(f"IF(side = 'held', held.{quoted}, today.{quoted}) AS {quoted}")
            past.append(quoted)
        else:
            # Nobody knows what it was before the column was there.
            columns.append(f"IF(side = 'today' OR ({same}), today.{quoted}, NULL) AS {quoted}")
            past.append("NULL")
    return (
        f"SELECT IF(side = 'held', held.{version}, {_version(mart, since)}) AS {version}, {', '.join(columns)},\n"
        f"  IF(side = 'held', held.valid_from, {since}) AS valid_from,\n"
        f"  IF(side = 'held' AND NOT ({same}), {moment}, {END}) AS valid_to,\n"
        f"  side = 'today' OR ({same}) AS is_current\n"
        f"FROM (\n{select}\n) AS today\n"
        f"FULL JOIN (SELECT * FROM {live} WHERE is_current) AS held ON {_equal('held', keys)}\n"
        f"LEFT JOIN (SELECT DISTINCT {', '.join(keys)} FROM {live} WHERE NOT is_current) AS gone ON {_equal('gone', keys)}\n"
        "CROSS JOIN UNNEST(['held', 'today']) AS side\n"
        f"WHERE IF(side = 'held', held.{keys[0]} IS NOT NULL, today.{keys[0]} IS NOT NULL AND NOT ({same}))\n"
        f"UNION ALL\nSELECT {version}, {', '.join(past)}, valid_from, valid_to, is_current FROM {live} WHERE NOT is_current"
    )


def _equal(other: str, columns: Sequence[str]) -> str:
    return " AND ".join(f"{other}.{name} = today.{name}" for name in columns)


def _version(mart: Mart, since: str) -> str:
    """A number for the version of a key that begins then: the same wherever and whenever the history is made."""
    key = ", ".join(f"today.{quote_bigquery(name)}" for name in mart.header.key)
    return f"FARM_FINGERPRINT(CONCAT(TO_JSON_STRING(STRUCT({key})), ' ', CAST(UNIX_MICROS({since}) AS STRING)))"


def _partition(column: str, unit: str, types: Mapping[str, str]) -> str:
    kind = types[column.lower()]
    if kind == "DATE" and unit == "day":
        return quote_bigquery(column)
    return f"{kind}_TRUNC({quote_bigquery(column)}, {unit.upper()})"


def _timestamp(moment: datetime) -> str:
    return f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S.%f}+00'"


def _literal(value: str | int | bool) -> str:
    return google_string(value) if isinstance(value, str) else str(value).upper()
