"""A load of the table `t` into BigQuery by others, run by the interpreter of the peer: `PEER URL PROJECT DATASET FOLDER`.

PEER is dlt or pandas-gbq, URL the MySQL database for SQLAlchemy, FOLDER takes what the peer notes. Google's client finds
the emulator by BIGQUERY_EMULATOR_HOST.
"""

import os
import sys

from google.auth.credentials import AnonymousCredentials

# The more rows at a time the faster, and the more memory.
DLT_ROWS, PANDAS_ROWS = 100_000, 500_000


def load_by_dlt(url: str, project: str, dataset: str, folder: str) -> None:
    """Arrow tables from the server, one Parquet file of them to the warehouse."""
    # It keeps notes beside the table as JSON lines. The service takes them compressed, the emulator does not.
    os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.common.configuration.specs import GcpServiceAccountCredentials
    from dlt.sources.sql_database import sql_table
    from sqlalchemy import Double, Table

    def floats(table: Table) -> None:
        """A DOUBLE stays one; else each value would become a decimal."""
        for column in table.columns:
            if isinstance(column.type, Double):
                column.type = Double()

    credentials = GcpServiceAccountCredentials()
    credentials.project_id = project
    credentials._set_default_credentials(AnonymousCredentials())
    credentials.resolve()
    destination = dlt.destinations.bigquery(credentials=credentials, location="US")
    pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination=destination, dataset_name=dataset)
    table = sql_table(url, "t", backend="pyarrow", chunk_size=DLT_ROWS, table_adapter_callback=floats)
    pipeline.run(table, loader_file_format="parquet")


def load_by_pandas(url: str, project: str, dataset: str, folder: str) -> None:
    """Frames from a cursor on the server, each appended by a load job of its own; decimals become floats, as pandas does."""
    import pandas
    import pandas_gbq
    from sqlalchemy import create_engine

    with create_engine(url).connect().execution_options(stream_results=True) as connection:
        for frame in pandas.read_sql("SELECT * FROM t", connection, chunksize=PANDAS_ROWS):
            pandas_gbq.to_gbq(
                frame,
                f"{dataset}.t",
                project,
                if_exists="append",
                api_method="load_parquet",
                credentials=AnonymousCredentials(),
                location="US",
                progress_bar=False,
            )


if __name__ == "__main__":
    {"dlt": load_by_dlt, "pandas-gbq": load_by_pandas}[sys.argv[1]](*sys.argv[2:])
