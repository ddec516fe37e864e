"""The throttle of the bulk load: it holds its limit, pauses for a busy source and a lagging replica, and obeys its file."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Scratch
from migration import Migration
from workbook.bulk.result import BulkResult
from workbook.bulk.throttle import Throttle, parsed, replica_lag, throttle_file
from workbook.names import mysql_path


def made(scratch: Scratch, megabytes: float, **bulk: object) -> Migration:
    """A migration whose one table sends about so many MB."""
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000))", database)
    scratch.execute(
        f"INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {int(megabytes * 1000)})"
        " SELECT /*+ SET_VAR(cte_max_recursion_depth = 1000000) */ n, REPEAT('x', 994) FROM c",
        database,
    )
    scratch.execute("ANALYZE TABLE t", database)
    migration = Migration.of(scratch, [database], bulk=bulk)
    migration.schema()
    return migration


def while_loading(migration: Migration, action: Callable[[], None]) -> BulkResult:
    """The load's result; `action` runs beside it."""
    thread = threading.Thread(target=action)
    thread.start()
    try:
        return migration.bulk()
    finally:
        thread.join()


def sent(scratch: Scratch, migration: Migration) -> int:
    """Rows that have arrived, of chunks that are complete."""
    path = mysql_path(migration.catalog.databases[0].name, "t")
    return int(scratch.target.scalar(f"SELECT COUNT(*) FROM {path}"))


def pace(result: BulkResult) -> float:
    """MB/s from the first byte to the last."""
    start, end = min(item.started for item in result.copied), max(item.ended for item in result.copied)
    return sum(item.bytes for item in result.copied) / 1e6 / (end - start)


def test_the_limit_is_held_by_all_workers_together(scratch: Scratch) -> None:
    result = made(scratch, 6, limit_mb_s=2, workers=3).bulk()
    assert result.throttled[0].limit_mb_s == 2
    assert len({item.worker for item in result.copied}) > 1
    # Above is a limit that is not held; below, an unthrottled load of this size would end in half the time.
    assert pace(result) <= 2 * 1.15
    assert result.rows == 6000


def test_a_file_pauses_a_running_load_and_lets_it_go_on_at_another_pace(scratch: Scratch) -> None:
    migration = made(scratch, 8, limit_mb_s=1.5, chunk_rows=400)
    file = throttle_file(migration.settings)
    standing: list[int] = []

    def change() -> None:
        while not sent(scratch, migration):
            time.sleep(0.05)
        file.write_text("pause: true\n")
        time.sleep(2.5)  # it is looked at every second
        standing.append(sent(scratch, migration))
        time.sleep(1)
        standing.append(sent(scratch, migration))
        file.write_text("limit_mb_s: 500\n")

    try:
        result = while_loading(migration, change)
    finally:
        file.unlink(missing_ok=True)
    assert standing[0] == standing[1] < 8000
    assert [change.limit_mb_s for change in result.throttled] == [1.5, 0, 500]
    assert f"paused by {file.name}" in result.throttled[1].why
    assert result.rows == 8000


def test_a_busy_source_pauses_the_load_until_it_is_quiet(scratch: Scratch) -> None:
    migration = made(scratch, 4, limit_mb_s=1.5, max_threads_running=8)

    def be_busy() -> None:
        sleepers = [threading.Thread(target=lambda: scratch.execute("SELECT SLEEP(2.5)")) for _ in range(9)]
        for sleeper in sleepers:
            sleeper.start()
        for sleeper in sleepers:
            sleeper.join()

    result = while_loading(migration, be_busy)
    paused = next(change for change in result.throttled if change.limit_mb_s == 0)
    assert "threads run on the source, more than 8" in paused.why
    assert result.throttled[-1].limit_mb_s == 1.5
    assert result.rows == 4000


def test_a_replica_that_stands_still_pauses_the_load_and_one_that_keeps_up_does_not(scratch: Scratch) -> None:
    """The source itself is made a replica of the target, which is never started."""
    assert replica_lag(scratch.source) is None
    migration = made(scratch, 1, max_replica_lag_s=5)
    port = scratch.state["servers"]["target"]["port"]
    scratch.execute(f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port}")
    held: list[float | None] = []
    try:
        throttle = Throttle(migration.settings, scratch.source, None, held.append, lambda line: None)
        throttle.beat()
        assert held == [0]
        assert throttle.changes[0].why == "paused: replication stands still"
    finally:
        scratch.execute("RESET REPLICA ALL")
    time.sleep(1.1)
    throttle.beat()
    assert held == [0, None]


@pytest.mark.parametrize("text", ["limit: 3", "limit_mb_s: -1", "pause: 3", "max_threads_running: lots", "- a", "{"])
def test_a_slip_in_the_file_leaves_the_limits_as_they_are(scratch: Scratch, tmp_path: Path, text: str) -> None:
    settings = scratch.settings(["x"], bulk={"limit_mb_s": 3, "throttle_file": str(tmp_path / "throttle.yaml")})
    (tmp_path / "throttle.yaml").write_text(text)
    held: list[float | None] = []
    said: list[str] = []
    Throttle(settings, scratch.source, None, held.append, said.append).beat()
    assert held == [3e6]
    assert "throttle.yaml is passed over" in said[0]


def test_an_empty_file_changes_nothing() -> None:
    assert parsed("") == {}
