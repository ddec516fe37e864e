"""Running statements and load jobs on BigQuery, every failure explained in three parts."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import requests
from google.api_core.exceptions import (
    Conflict,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    RetryError,
    ServerError,
    TooManyRequests,
    Unauthorized,
)
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from workbook.catalog import Table
from workbook.errors import TerminalError, TransientError, WorkbookError
from workbook.servers import retried
from workbook.warehouse import statements
from workbook.warehouse.extract import ParquetFile

Result = TypeVar("Result")
_REACH_SECONDS = 30.0


class Jobs:
    """Jobs of one client in one location. Its methods raise WorkbookErrors only."""

    def __init__(self, client: bigquery.Client, location: str):
        self.client = client
        self.location = location

    def run(
        self, sql: str, during: str, values: Mapping[str, str | Sequence[str]] | None = None
    ) -> list[dict[str, Any]]:
        """The rows of one statement, or of a script; `values` are texts or lists of texts for its @names."""
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "STRING", value)
                if isinstance(value, str)
                else bigquery.ArrayQueryParameter(name, "STRING", list(value))
                for name, value in (values or {}).items()
            ]
        )

        def ask() -> list[dict[str, Any]]:
            return [dict(row) for row in self.client.query(sql, location=self.location, job_config=config).result()]

        return self._explained(during, ask)

    def load(
        self,
        file: ParquetFile,
        place: statements.Place,
        table: Table,
        first: bool,
        laid_out: bool = False,
        name: str | None = None,
    ) -> int:
        """Load a Parquet file into the raw table, replacing it with the `first` one; the rows loaded.

        `laid_out` partitions and clusters it as the clean table is. `name`: into another table of the same columns, as
        dataset.table.
        """
        name = name or place.raw
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE
            if first
            else bigquery.WriteDisposition.WRITE_APPEND,
            schema=statements.raw_schema(place.mapped, table),
        )
        if first:
            config.destination_table_description = statements.table_text(table)
            if laid_out:
                config.time_partitioning = statements.partitioning(place.mapped)
                config.clustering_fields = statements.clustering(place.mapped) or None

        def load() -> int:
            with file.path.open("rb") as content:
                job: Any = self.client.load_table_from_file(
                    content,
                    f"{place.project}.{name}",
                    rewind=True,
                    location=self.location,
                    job_config=config,
                )
                return int(job.result().output_rows or 0)

        during = f"loading {name}"
        # An append that is tried again after a lost answer could load its rows twice.
        return retried(lambda: self._explained(during, load)) if first else self._explained(during, load)

    def append(self, file: ParquetFile, name: str, schema: Sequence[bigquery.SchemaField], identity: str) -> int:
        """Append a Parquet file to a table (dataset.table); the rows loaded. A second time under one identity is nothing."""
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            schema=list(schema),
        )

        def load() -> int:
            for attempt in itertools.count(1):
                job: Any
                try:
                    with file.path.open("rb") as content:
                        job = self.client.load_table_from_file(
                            content,
                            f"{self.client.project}.{name}",
                            rewind=True,
                            job_id=f"{identity}-{attempt}",
                            location=self.location,
                            job_config=config,
                        )
                except Conflict:
                    # Sent before: what came of it counts, and only where it failed another is sent.
                    job = self.client.get_job(f"{identity}-{attempt}", location=self.location)
                    job.reload()
                    if job.state == "DONE" and job.error_result:
                        continue
                return int(job.result().output_rows or 0)
            raise AssertionError("unreachable")

        return self._explained(f"appending to {name}", load)

    def change(self, sql: str, during: str) -> int:
        """Run a statement that changes rows; how many it changed."""

        def run() -> int:
            job = self.client.query(sql, location=self.location)
            job.result()
            return int(job.num_dml_affected_rows or 0)

        return self._explained(during, run)

    def estimate(self, sql: str, during: str) -> int:
        """The bytes that BigQuery says a statement would read, by a dry run; the statement is checked and not run."""
        return self.dry_run(sql, during)[0]

    def dry_run(self, sql: str, during: str) -> tuple[int, list[bigquery.SchemaField]]:
        """The bytes that BigQuery says a query would read, and the columns that it would give; it is checked and not run."""
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)

        def ask() -> tuple[int, list[bigquery.SchemaField]]:
            job = self.client.query(sql, location=self.location, job_config=config)
            return int(job.total_bytes_processed or 0), list(job.schema or [])

        return self._explained(during, ask)

    def measured(self, sql: str, during: str) -> tuple[list[dict[str, Any]], int]:
        """The rows of one statement, and the bytes that it read."""

        def ask() -> tuple[list[dict[str, Any]], int]:
            job = self.client.query(sql, location=self.location)
            rows = [dict(row) for row in job.result()]
            return rows, int(job.total_bytes_processed or 0)

        return self._explained(during, ask)

    def copy(self, name: str, to: str) -> None:
        """Put a table (dataset.table) at once into the place of another, with its columns and its layout."""
        config = bigquery.CopyJobConfig(write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE)
        project = self.client.project

        def copy() -> None:
            self.client.copy_table(
                f"{project}.{name}", f"{project}.{to}", location=self.location, job_config=config
            ).result()

        self._explained(f"putting {name} into the place of {to}", copy)

    def make_table(self, table: bigquery.Table) -> None:
        """Make a table as it is described; one of its name that is there stays."""
        self._explained(f"making {table.table_id}", lambda: self.client.create_table(table, exists_ok=True))

    def dataset(self, name: str) -> bigquery.Dataset | None:
        """A dataset, or None where there is none of that name."""

        def get() -> bigquery.Dataset | None:
            try:
                # The first call of a load: the client would go on trying for ten minutes where there is no server.
                retry = bigquery.DEFAULT_RETRY.with_timeout(_REACH_SECONDS)
                return self.client.get_dataset(f"{self.client.project}.{name}", retry=retry)
            except NotFound:
                return None

        return self._explained(f"looking for the dataset {name}", get)

    def make_dataset(self, name: str, description: str) -> None:
        """Make a dataset in the location."""
        made = bigquery.Dataset(f"{self.client.project}.{name}")
        made.location = self.location
        made.description = description
        made.labels = dict([statements.LABEL])
        self._explained(f"making the dataset {name}", lambda: self.client.create_dataset(made, exists_ok=True))

    def tables(self, dataset: str) -> set[str]:
        """The names of all tables and views of a dataset."""
        return self._explained(
            f"listing the dataset {dataset}",
            lambda: {item.table_id for item in self.client.list_tables(f"{self.client.project}.{dataset}")},
        )

    def table(self, name: str) -> bigquery.Table:
        """A table by dataset.table."""
        return self._explained(f"looking at {name}", lambda: self.client.get_table(f"{self.client.project}.{name}"))

    def update(self, table: bigquery.Table, fields: list[str]) -> None:
        """Change the named properties of a table."""
        self._explained(f"describing {table.table_id}", lambda: self.client.update_table(table, fields))

    def _explained(self, during: str, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except (GoogleAPICallError, RetryError, GoogleAuthError, requests.RequestException) as error:
            raise explained(error, during) from None


def explained(error: Exception, during: str) -> WorkbookError:
    """An error of the BigQuery client in three parts."""
    # The message repeats the address of the request before and the location and job after what is of interest.
    text = str(getattr(error, "message", "") or error).split("prettyPrint=false: ")[-1].split("\n\nLocation:")[0][:400]
    if isinstance(error, Unauthorized | Forbidden | GoogleAuthError):
        return TerminalError(
            f"BigQuery refuses while {during}: {text}",
            "The warehouse cannot be written without it.",
            "Grant the account BigQuery Data Editor on the datasets and BigQuery Job User on the project; then run again.",
        )
    if isinstance(error, TooManyRequests | ServerError | RetryError | requests.RequestException):
        return TransientError(
            f"BigQuery does not answer as it should while {during}: {text}",
            "The step did not finish.",
            "Run the phase again: it replaces what it had begun.",
        )
    return TerminalError(
        f"BigQuery fails while {during}: {text}",
        "The step did not finish.",
        "Mend the cause named above, then run the phase again: it replaces what it had begun.",
    )
