"""What the local emulator does not do by itself, kept out of the way of the real service."""

from collections.abc import Sequence

from google.cloud import bigquery

from workbook.names import bigquery_path
from workbook.params_warehouse import Warehouse
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.statements import Layout

# The API's own names of types, and the others that mean the same.
_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


class BigQuery:
    """The real service: it does all that the statements say."""

    def forgotten(self, made: bigquery.Table, layout: Layout) -> list[str]:
        """Set on `made`, just created by a statement, what that statement said and the service forgot; the properties set."""
        return []

    def cost(self, bytes_said: int | None) -> int | None:
        """The bytes that a job was said to read or to have read; None where the service does not know."""
        return bytes_said

    def estimate(self, jobs: Jobs, sql: str, tables: Sequence[str], during: str) -> int:
        """The bytes that a statement over `tables` (dataset.table) would read, by a dry run."""
        return jobs.estimate(sql, during)

    def in_the_way(self, there: bigquery.Table, schema: Sequence[bigquery.SchemaField]) -> bool:
        """Whether a table must be dropped before a load job of that schema can replace it."""
        return False


class Emulator(BigQuery):
    """The emulator forgets the partitions, clusters and labels of CREATE TABLE AS."""

    def forgotten(self, made: bigquery.Table, layout: Layout) -> list[str]:
        made.labels = dict(layout.labels)
        made.time_partitioning = layout.partitioning
        made.clustering_fields = list(layout.clustering) or None
        return ["labels", "time_partitioning", "clustering_fields"]

    def cost(self, bytes_said: int | None) -> int | None:
        """The emulator says 0 of whatever it is asked."""
        return None

    def estimate(self, jobs: Jobs, sql: str, tables: Sequence[str], during: str) -> int:
        """What the tables hold as text, all of it: the emulator's dry run checks a statement and says that it reads nothing."""
        jobs.estimate(sql, during)
        paths = [bigquery_path(jobs.client.project, *name.split(".", 1)) for name in tables]
        parts = [f"(SELECT COALESCE(SUM(LENGTH(TO_JSON_STRING(held))), 0) FROM {path} AS held)" for path in paths]
        return int(jobs.run(f"SELECT {' + '.join(parts)} AS number", during)[0]["number"])

    def in_the_way(self, there: bigquery.Table, schema: Sequence[bigquery.SchemaField]) -> bool:
        """The emulator keeps the columns of a table that a load job truncates."""
        return [field.name for field in there.schema] != [field.name for field in schema] or [
            _NAMES.get(field.field_type, field.field_type) for field in there.schema
        ] != [_NAMES.get(field.field_type, field.field_type) for field in schema]


def dialect_of(warehouse: Warehouse) -> BigQuery:
    """The real service, or the emulator where the params give its endpoint."""
    return BigQuery() if warehouse.endpoint is None else Emulator()
