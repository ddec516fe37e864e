"""Starts the BigQuery emulator with DuckDB's spatial extension taken from PyPI, so that it downloads nothing.

Run as `python -m workbook.sandbox.bigquery_emulator PORT GRPC_PORT PROJECT`.
"""

import logging
import sys

from bqemulator.cli import main
from duckdb_extensions import import_extension


def start(port: str, grpc_port: str, project: str) -> None:
    """Serve until the process is stopped; data lives in memory."""
    logging.disable(logging.INFO)
    import_extension("spatial")
    sys.argv = [
        "bqemulator",
        "start",
        "--rest-port",
        port,
        "--grpc-port",
        grpc_port,
        "--project",
        project,
        "--log-level",
        "error",
    ]
    main()


if __name__ == "__main__":
    start(*sys.argv[1:4])
