"""Validation while the source is written to and the changes are on their way: no false alarm, and what is wrong is found."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conftest import Scratch
from migration import Migration
from workload import TABLES, Workload


@pytest.fixture
def migrated(scratch: Scratch) -> Migration:
    database = scratch.database()
    for statement in TABLES:
        scratch.execute(statement, database)
    return Migration.of(scratch, [database]).whole()


@contextmanager
def replicated(scratch: Scratch) -> Iterator[None]:
    """The target as a replica of the source from now on; all before counts as applied."""
    server = scratch.state["servers"]["source"]
    executed = scratch.execute("SELECT @@GLOBAL.gtid_executed")[0][0].replace("\n", "")
    (missing,) = scratch.execute_target_root("SELECT GTID_SUBTRACT(%s, @@GLOBAL.gtid_executed)", values=(executed,))[0]
    if missing:
        scratch.execute_target_root("SET GLOBAL gtid_purged = %s", values=("+" + missing.replace("\n", ""),))
    scratch.execute_target_root(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %s, SOURCE_USER = 'root', SOURCE_PASSWORD = %s,"
        " SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1",
        values=(server["port"], server["root_password"]),
    )
    scratch.execute_target_root("START REPLICA")
    try:
        yield
    finally:
        scratch.execute_target_root("STOP REPLICA")
        scratch.execute_target_root("RESET REPLICA ALL")


def test_under_replication_nothing_is_a_false_alarm_and_what_is_planted_is_found(migrated: Migration) -> None:
    scratch = migrated.scratch
    (database,) = migrated.settings.source.databases
    with replicated(scratch), Workload(scratch, database) as workload:
        time.sleep(0.5)
        clean = migrated.validate()
        scratch.execute_target_root("SET sql_log_bin = 0")
        for damage in DAMAGE:
            scratch.execute_target_root(damage, database)
        damaged = migrated.validate()
    print(workload.per_second, clean.asdict()["coverage"]["second_look"], [(t.table,t.hop,t.verdict,t.why) for t in clean.tables])
    print([f for f in clean.findings])
    print(damaged.asdict()["coverage"]["second_look"], [(t.table,t.hop,t.verdict,t.why, t.changed,t.missing,t.extra) for t in damaged.tables])
    assert 0
DAMAGE = [
    "UPDATE parents SET word = 'wrong' WHERE id = 77",
    "UPDATE named SET n = -5 WHERE place = 'é901'",
    "DELETE FROM clicks WHERE what = 'old' LIMIT 1",
]
