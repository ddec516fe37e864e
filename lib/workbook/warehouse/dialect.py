"""What the local emulator does not do by itself, kept out of the way of the real service."""

from google.cloud import bigquery

from workbook.params import Warehouse
from workbook.warehouse import statements


class BigQuery:
    """The real service: it does all that the statements say."""

    def forgotten(self, made: bigquery.Table, place: statements.Place) -> list[str]:
        """Set on `made`, just created by a statement, what that statement said and the service forgot; the properties set."""
        return []


class Emulator(BigQuery):
    """The emulator forgets the partitions, clusters and labels of CREATE TABLE AS."""

    def forgotten(self, made: bigquery.Table, place: statements.Place) -> list[str]:
        made.labels = dict([statements.LABEL])
        made.time_partitioning = statements.partitioning(place.mapped)
        made.clustering_fields = statements.clustering(place.mapped) or None
        return ["labels", "time_partitioning", "clustering_fields"]


def dialect_of(warehouse: Warehouse) -> BigQuery:
    """The real service, or the emulator where the params give its endpoint."""
    return BigQuery() if warehouse.endpoint is None else Emulator()
