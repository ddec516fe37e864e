"""Validation while the source is written to and the changes are on their way: no false alarm, and what is wrong is found."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from conftest import Scratch
from migration import Migration
from workbook.validate.content import Servers, compare_table
from workbook.validate.fence import Fence
from workbook.validate.result import TableVerdict, Validation
from workload import TABLES, Workload

DAMAGE = [
    "UPDATE parents SET word = 'wrong' WHERE id = 77",
    "DELETE FROM moving WHERE id = 850",
    "UPDATE named SET n = -5 WHERE place = 'é850'",
    "INSERT INTO clicks VALUES ('ghost', 1)",
]


def started(scratch: Scratch) -> Migration:
    """A copy that is loaded into Cloud SQL."""
    database = scratch.database()
    for statement in TABLES:
        scratch.execute(statement, database)
    moving = Migration.of(scratch, [database], validate={"fence_s": 120})
    moving.schema()
    moving.bulk()
    return moving


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


def verdicts(found: Validation, hop: str) -> dict[str, str]:
    return {table.table: table.verdict for table in found.tables if table.hop == hop}


def test_under_replication_nothing_is_a_false_alarm_and_what_is_planted_is_found(scratch: Scratch) -> None:
    migrated = started(scratch)
    (database,) = migrated.settings.source.databases
    with replicated(scratch):
        migrated.warehouse()
        with Workload(scratch, database) as workload:
            time.sleep(0.3)
            clean = migrated.validate()
            for damage in DAMAGE:
                scratch.execute_target_root(damage, database)
            raw = scratch.table_path(migrated.settings.warehouse.raw_dataset, "parents")
            scratch.google(f"UPDATE {raw} SET word = 'wrong' WHERE id = 5")
            damaged = migrated.validate()
    assert workload.rows > 1000
    # In flight is no finding; the warehouse is behind by design, which is neither the same nor a difference.
    assert set(verdicts(clean, "source-target").values()) == {"same"}, clean.findings
    assert {finding.defect for finding in clean.findings} <= {"could not be compared"}, clean.findings
    assert {item.verdict for item in clean.relations} | {item.verdict for item in clean.objects} <= {
        "same",
        "tolerated",
    }
    assert verdicts(clean, "target-warehouse")["parents"] == "same"
    behind = {table.table: table.behind for table in clean.tables if table.hop == "target-warehouse"}
    assert all(behind[name] > 0 for name in ("moving", "named", "clicks"))
    assert verdicts(clean, "target-warehouse")["named"] == "incomparable"
    assert "after the warehouse was loaded" in next(table.why for table in clean.tables if table.behind)
    second = clean.asdict()["coverage"]["second_look"]
    assert second["wrong"] == second["unsettled"] == 0
    assert second["agreed"] == second["rows"]
    assert "replica" in second["way"] or not second["rows"]
    # What was planted is found with its row, and nothing else is.
    assert set(verdicts(damaged, "source-target").values()) == {"different"}
    found = {table.table: table for table in damaged.tables if table.hop == "source-target"}
    assert {name: (one.changed, one.missing, one.extra) for name, one in found.items()} == {
        "parents": (1, 0, 0),
        "moving": (0, 1, 0),
        "named": (1, 0, 0),
        "clicks": (0, 0, 1),
    }
    assert dict(found["parents"].samples[0].key) == {"id": "77"}
    assert dict(found["moving"].samples[0].key) == {"id": "850"}
    assert dict(found["named"].samples[0].key) == {"place": "é850", "day": "2026-06-28"}
    lake = {table.table: table for table in damaged.tables if table.hop == "source-warehouse"}
    assert (lake["parents"].verdict, lake["parents"].changed) == ("different", 1)
    assert dict(lake["parents"].samples[0].key) == {"id": "5"}


def test_change_captures_ledger_is_the_fence_where_there_is_no_replica(scratch: Scratch) -> None:
    migrated = started(scratch)
    (database,) = migrated.settings.source.databases
    environment = migrated.settings.environment
    root = scratch.execute_target_root
    with scratch.source.session() as session:
        applied = session.gtids()
    root("CREATE DATABASE IF NOT EXISTS _workbook")
    root("DROP TABLE IF EXISTS _workbook.cdc_applied")
    root("CREATE TABLE _workbook.cdc_applied (stream VARCHAR(64) PRIMARY KEY, gtids LONGTEXT)")
    try:
        root("INSERT INTO _workbook.cdc_applied VALUES (%s, %s)", values=(environment, applied))
        fence = Fence(scratch.source, scratch.target, environment, 0.2)
        assert fence.way == "ledger"
        scratch.execute("UPDATE parents SET word = 'new' WHERE id < 4", database)
        root("UPDATE parents SET word = 'wrong' WHERE id = 9", database)

        def compared() -> TableVerdict:
            item = migrated.mapping.tables[database, "parents"]
            servers = Servers(scratch.source, scratch.target, None, fence=fence)
            (found,) = compare_table(servers, migrated.catalog.table[item.path], item, migrated.settings)
            return found

        # The ledger says that the target is behind: what differs is neither wrong nor the same.
        found = compared()
        assert (found.verdict, found.again.unsettled if found.again else 0) == ("incomparable", 4)
        assert "had not applied" in found.why
        # Applied, and noted in the ledger: what still differs is wrong.
        root("UPDATE parents SET word = 'new' WHERE id < 4", database)
        with scratch.source.session() as session:
            root("UPDATE _workbook.cdc_applied SET gtids = %s", values=(session.gtids(),))
        found = compared()
        assert (found.verdict, found.changed, dict(found.samples[0].key)) == ("different", 1, {"id": "9"})
    finally:
        root("DROP TABLE _workbook.cdc_applied")


def test_without_a_fence_a_row_is_wrong_once_it_stood_still(scratch: Scratch) -> None:
    migrated = started(scratch)
    (database,) = migrated.settings.source.databases
    fence = Fence(scratch.source, scratch.target, "nobody", 0.2)
    assert fence.way == ""
    scratch.execute("UPDATE parents SET word = 'soon' WHERE id = 4", database)
    scratch.execute("UPDATE parents SET word = 'never' WHERE id = 5", database)
    # An applier of which nothing is known brings one of the two a moment later.
    bring = "UPDATE parents SET word = 'soon' WHERE id = 4"
    applier = threading.Timer(1.0, lambda: scratch.execute_target_root(bring, database))
    applier.start()
    try:
        item = migrated.mapping.tables[database, "parents"]
        servers = Servers(scratch.source, scratch.target, None, fence=fence)
        (found,) = compare_table(servers, migrated.catalog.table[item.path], item, migrated.settings)
    finally:
        applier.join()
    assert (found.verdict, found.changed, dict(found.samples[0].key)) == ("different", 1, {"id": "5"})
    assert found.again is not None
    assert (found.again.agreed, found.again.wrong) == (1, 1)
