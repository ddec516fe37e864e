"""Starts the BigQuery emulator with DuckDB's spatial extension taken from PyPI, so that it downloads nothing.

It parses a statement a dozen times to see whether it creates, drops or changes something. One that only reads is spared
half of them: a query on a small table takes half the time.

It would copy a table whole after each change, for FOR SYSTEM_TIME AS OF: the service does nothing of the kind, and the copies
took more than half of a load's time and most of the memory. It keeps no past here, and a query that asks for it is refused.

For the same reason a transaction is DuckDB's own, unless its script handles errors: that would not go on after one, as
BigQuery's does.

Run as `python -m workbook.sandbox.bigquery_emulator PORT GRPC_PORT PROJECT`.
"""

import gc
import logging
import re
import sys
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from bqemulator.api.routes import upload
from bqemulator.cli import main
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.domain.events import TableDataChanged
from bqemulator.jobs import executor
from bqemulator.scripting.interpreter import ScriptInterpreter
from bqemulator.versioning.snapshots import SnapshotManager
from duckdb_extensions import import_extension

from workbook.sandbox import emulated_snapshots

_READS = re.compile(r"[\s(]*(SELECT|WITH)\b", re.I)
# What looks for changes in a statement, and the place of the statement among its arguments.
_FOR_CHANGES = {
    "sync_created_schema": 0,
    "sync_created_table": 0,
    "sync_created_view": 0,
    "sync_dropped_object": 0,
    "detect_drop_routine": 0,
    "_reject_dml_on_immutable": 1,
    "_capture_dml_snapshots": 1,
}


class _Script(ScriptInterpreter):
    """A script whose transactions are DuckDB's."""

    _copies = True

    async def run(self, source: str) -> Any:
        self._copies = re.search(r"\bEXCEPTION\b", source, re.I) is not None
        return await super().run(source)

    async def _handle_txn_statement(self, op: str) -> None:
        if op == "BEGIN" and self._active_txn is None and not self._copies:
            self._ctx.engine.execute("BEGIN TRANSACTION")
        await super()._handle_txn_statement(op)

    async def _snapshot_dml_targets(self, sql: str) -> None:
        if self._copies:
            await super()._snapshot_dml_targets(sql)

    async def _drop_txn_snapshots(self) -> None:
        if not self._ended("COMMIT"):
            await super()._drop_txn_snapshots()

    async def _restore_txn_snapshots(self) -> None:
        if not self._ended("ROLLBACK"):
            await super()._restore_txn_snapshots()

    def _ended(self, word: str) -> bool:
        if self._copies or self._active_txn is None:
            return False
        self._active_txn = None
        self._ctx.engine.execute(word)
        return True


def _unless_it_reads(look: Callable[..., Any], place: int) -> Callable[..., Any]:
    async def nothing() -> None:
        return None

    def instead(*given: Any) -> Any:
        if not _READS.match(given[place]):
            return look(*given)
        return nothing() if iscoroutinefunction(look) else None

    return instead


def _own_rows(load: Callable[..., Any]) -> Callable[..., Any]:
    """A load that says how many rows it loaded, as the service does, and not how many the table has then."""

    async def instead(project: str, job_id: str, config: dict[str, Any], context: Any) -> Any:
        told, before = executor._parse_load_job_config(project, config), 0
        if told.write_disposition != "WRITE_TRUNCATE" and context.catalog.get_table(
            told.project_id, told.dataset_id, told.table_id
        ):
            before = executor._refresh_load_row_count(told, context)
        job = await load(project, job_id, config, context)
        rows = int(job.statistics["load"]["outputRows"]) - before
        return job.model_copy(update={"statistics": {"load": {"outputRows": str(rows)}}})

    return instead


def _changed(manager: SnapshotManager, *table: str) -> None:
    manager._events.publish(TableDataChanged(*table))


def _no_past(manager: SnapshotManager, project: str, dataset: str, table: str, moment: Any) -> None:
    raise InvalidQueryError(f"FOR SYSTEM_TIME AS OF: the sandbox keeps no past of {dataset}.{table}, BigQuery does")


def start(port: str, grpc_port: str, project: str) -> None:
    """Serve until the process is stopped; data lives in memory."""
    logging.disable(logging.INFO)
    import_extension("spatial")
    # Google's client says nothing else of a file under 5 MB that it sends in one piece; the service takes that.
    upload._PERMITTED_MEDIA_CONTENT_TYPES += ("*/*",)  # type: ignore[assignment]
    upload.execute_load_job = _own_rows(upload.execute_load_job)
    for name, place in _FOR_CHANGES.items():
        setattr(executor, name, _unless_it_reads(getattr(executor, name), place))
    SnapshotManager.record_change = _changed  # type: ignore[assignment]
    SnapshotManager.resolve_time_travel = _no_past  # type: ignore[assignment, method-assign]
    executor.ScriptInterpreter = _Script  # type: ignore[misc]
    emulated_snapshots.install()
    # Syntax trees are many small objects that die young: the collector looks through them in vain.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
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
