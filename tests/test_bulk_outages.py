"""The bulk load under kills and cuts: client, worker, source, target, network, full disk; each time it goes on, exact."""

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pymysql
import pytest
import yaml

from conftest import Scratch
from migration import Migration
from outages import Proxy, full_disk, kill_server, pid_of
from workbook.bulk.copy import job
from workbook.bulk.ledger import ChunkLedger
from workbook.bulk.pump import measure
from workbook.catalog import read_catalog
from workbook.errors import TransientError, WorkbookError
from workbook.mapping import generate
from workbook.names import mysql_path
from workbook.wire import drivers, reader

KINDS = ("client", "worker", "source", "target", "network")
NUMBERS = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})"
TABLES = {
    "parent": (
        "id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), KEY (name)",
        "SELECT n, CONCAT('näme ', n MOD 100) FROM c",
    ),
    "child": (
        "id BIGINT UNSIGNED PRIMARY KEY, parent INT NOT NULL, v VARBINARY(200), KEY (v(20)),"
        " FOREIGN KEY (parent) REFERENCES parent (id)",
        "SELECT 18446744073709551615 - n, n, REPEAT(UNHEX(SHA2(n, 256)), 5) FROM c",
    ),
    "texts": (
        "a VARCHAR(40) COLLATE utf8mb4_0900_ai_ci, b INT, v TEXT, PRIMARY KEY (a, b)",
        "SELECT CONCAT('k%', n MOD 70), n, REPEAT(SHA2(n, 256), 3) FROM c",
    ),
    "parts": (
        "id INT, d DATE, v VARCHAR(100), PRIMARY KEY (id, d)",
        "SELECT n, '2020-01-01' + INTERVAL n MOD 900 DAY, REPEAT('x', n MOD 100) FROM c",
    ),
    "keyless": ("d INT NOT NULL, v VARCHAR(60), KEY (d)", "SELECT n MOD 500, SHA2(n MOD 1000, 224) FROM c"),
}
PARTITIONS = (
    " PARTITION BY RANGE (YEAR(d)) (PARTITION p20 VALUES LESS THAN (2021), PARTITION `p'21` VALUES LESS THAN (2022),"
    " PARTITION pmax VALUES LESS THAN MAXVALUE)"
)


def workers_of(pid: int) -> list[psutil.Process]:
    """The workers that a load's process has started. A server that a test started again is its child too."""
    try:
        return [one for one in psutil.Process(pid).children() if any("bulk.worker" in word for word in one.cmdline())]
    except psutil.Error:
        return []


class Course:
    """A load over a network that can be cut, in a process that can be killed, again and again until it is done."""

    def __init__(self, scratch: Scratch, rows: int, **bulk: Any):
        self.scratch = scratch
        self.proxies = {role: Proxy(scratch.state["servers"][role]["port"]) for role in ("source", "target")}
        database = scratch.database()
        for name, (columns, filling) in TABLES.items():
            scratch.execute(f"CREATE TABLE {name} ({columns}){PARTITIONS if name == 'parts' else ''}", database)
            with_numbers = f"INSERT INTO {name} " + NUMBERS.format(rows=rows) + " " + filling
            scratch.execute("SET GLOBAL cte_max_recursion_depth = 10000000")
            scratch.execute(with_numbers, database)
        scratch.execute(f"ANALYZE TABLE {', '.join(TABLES)}", database)
        self.migration = Migration.of(scratch, [database], bulk={"chunk_rows": max(rows // 12, 1), **bulk})
        self.migration.schema()
        content = yaml.safe_load(Path(scratch.state["params"]).read_text())
        given = scratch.params([database])
        content = yaml.safe_load(given.read_text())
        content["environment"] = self.migration.settings.environment
        content["bulk"] = {"chunk_rows": max(rows // 12, 1), **bulk}
        for role, proxy in self.proxies.items():
            user = content[role]["url"].split("//")[1].split("@")[0]
            content[role]["url"] = f"mysql://{user}@127.0.0.1:{proxy.port}"
        given.write_text(yaml.safe_dump(content))
        self.params = given
        self.told = scratch.folder / "told.jsonl"
        self.attempts = 0

    def attempt(self) -> int:
        """Start a load in a process of its own, which tells its end; its id."""
        self.attempts += 1
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            from workbook import params as params_room
            from workbook.bulk.load import load
            from workbook.servers import connect_source, connect_target

            sys.stderr = (self.scratch.folder / "client.log").open("a")
            settings = params_room.load(self.params)
            made = self.migration
            result = load(
                connect_source(settings), connect_target(settings), made.catalog, made.mapping, settings, made.notes,
                made.notes.objects,
            )  # fmt: skip
            with self.told.open("a") as told:
                told.write(json.dumps({"resumed": result.resumed, "why": result.why, "losses": result.losses}) + "\n")
            code = 0
        except TransientError as error:
            with self.told.open("a") as told:
                told.write(json.dumps({"error": str(error)}) + "\n")
            code = 3
        except WorkbookError as error:
            with self.told.open("a") as told:
                told.write(json.dumps({"terminal": str(error)}) + "\n")
            code = 4
        except BaseException as error:
            with self.told.open("a") as told:
                told.write(json.dumps({"broken": repr(error)}) + "\n")
        finally:
            os._exit(code)

    def hit(self, kind: str, pid: int, dice: random.Random) -> None:
        """Kill or cut what `kind` names."""
        if kind == "client":
            os.kill(pid, signal.SIGKILL)
        elif kind == "worker":
            workers = workers_of(pid)
            if workers:
                dice.choice(workers).kill()
        elif kind == "network":
            self.proxies[dice.choice(["source", "target"])].cut()
        else:
            kill_server(self.scratch.state, kind)

    def under_way(self) -> bool:
        """Whether some chunks are loaded and others are not."""
        ledger = ChunkLedger(self.scratch.target, self.migration.settings.environment)
        try:
            rows = self.scratch.execute_target_root(f"SELECT COUNT(*), COUNT(loaded_rows) FROM {ledger.chunks}")
        except pymysql.MySQLError:  # not there yet
            return False
        return 0 < rows[0][1] < rows[0][0]

    def run(self, kinds: list[str], dice: random.Random, under_way: bool = False) -> list[dict[str, Any]]:
        """Load until it is done, hit once for each kind at a random moment; what the attempts told.

        With `under_way`, only while some chunks are loaded and others are not.
        """
        left = list(kinds)
        while True:
            pid = self.attempt()
            done = threading.Event()
            ended: list[int] = []
            threading.Thread(target=lambda pid=pid, ended=ended, done=done: (ended.append(os.waitpid(pid, 0)[1]), done.set()), daemon=True).start()  # fmt: skip
            while not done.wait(dice.uniform(0.05, 0.9)):
                if left and not done.is_set() and (not under_way or self.under_way()):
                    self.hit(left.pop(0), pid, dice)
            code = os.waitstatus_to_exitcode(ended[0])
            if code == 0 and not left:
                return [json.loads(line) for line in self.told.read_text().splitlines()]
            told = self.told.read_text() if self.told.exists() else ""
            assert code in (0, 3, -signal.SIGKILL), f"exit status {code}: {told[-3000:]}"
            assert self.attempts < 4 * len(kinds) + 6

    def prove(self) -> None:
        """Every row is there once, and each chunk holds on the target what was sent."""
        scratch, made = self.scratch, self.migration
        for table in made.catalog.tables:
            statement = f"CHECKSUM TABLE {mysql_path(*table.path)}"
            counted = f"SELECT COUNT(*) FROM {mysql_path(*table.path)}"
            assert scratch.source.scalar(counted) == scratch.target.scalar(counted), table.name
            here, there = scratch.source.rows(statement)[0], scratch.target.rows(statement)[0]
            assert here["Checksum"] == there["Checksum"], table.name
        ledger = ChunkLedger(scratch.target, made.settings.environment)
        wire = reader(scratch.target.address(), drivers()[0])
        for path, noted in ledger.planned().items():
            table = made.catalog.table[path]
            for chunk in noted:
                assert chunk.loaded
                there_now = measure(job(table, chunk.chunk), wire)
                assert there_now.rows == chunk.rows
                if table.key:
                    assert there_now.checksum == chunk.checksum, str(chunk.chunk)
            assert sum(chunk.rows for chunk in noted) == scratch.target.scalar(
                f"SELECT COUNT(*) FROM {mysql_path(*path)}"
            )
        wire.close()
        there = {table.path: table for table in read_catalog(scratch.target, [made.catalog.databases[0].name]).tables}
        for table in made.catalog.tables:
            assert {index.name for index in there[table.path].indexes} == {index.name for index in table.indexes}
            assert len(there[table.path].foreign_keys) == len(table.foreign_keys)

    def close(self) -> None:
        for proxy in self.proxies.values():
            proxy.close()


@pytest.fixture
def courses(scratch: Scratch) -> Iterator[list[Course]]:
    made: list[Course] = []
    yield made
    for course in made:
        course.close()


def test_a_load_goes_on_after_each_kind_of_outage_exact_and_without_a_chunk_twice(
    scratch: Scratch, courses: list[Course]
) -> None:
    course = Course(scratch, 8_000, limit_mb_s=2, patience_s=30)
    courses.append(course)
    dice = random.Random(7)
    kinds = list(KINDS)
    told = course.run(kinds, dice, under_way=True)
    assert any(item.get("resumed") for item in told), told
    course.prove()


@pytest.mark.soak
def test_fifty_random_kills(scratch: Scratch, courses: list[Course]) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    dice = random.Random(seed)
    hits = 0
    end = time.monotonic() + 60 * float(os.environ.get("MINUTES", "30"))
    while hits < 50 and time.monotonic() < end:
        kinds = [dice.choice(KINDS) for _ in range(5)]
        course = Course(scratch, dice.randrange(5_000, 25_000), limit_mb_s=3, patience_s=30)
        courses.append(course)
        course.run(kinds, dice)
        course.prove()
        hits += len(kinds)
        scratch.drop_database(course.migration.catalog.databases[0].name)
    assert hits >= 50


def test_a_disk_that_fills_up_on_the_target_stops_the_load_by_name_and_it_goes_on_when_there_is_room(
    scratch: Scratch,
) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB)", database)
    scratch.execute(
        f"INSERT INTO t {NUMBERS.format(rows=400)} SELECT n, REPEAT(UNHEX(SHA2(n, 256)), 4000) FROM c", database
    )
    scratch.execute("ANALYZE TABLE t", database)
    made = Migration.of(scratch, [database], bulk={"chunk_rows": 20, "patience_s": 1})
    made.schema()
    # Started again, the server meets the limit as an error; and its binlog begins anew, below the limit.
    kill_server(scratch.state, "target")
    pid = pid_of(Path(scratch.state["params"]).parent, "target")
    with full_disk(pid, 36 << 20), pytest.raises(WorkbookError, match="full"):
        made.bulk()
    loaded = scratch.target.scalar(f"SELECT COUNT(*) FROM {mysql_path(database, 't')}")
    assert 0 < loaded < 400
    result = made.bulk()
    assert result.resumed
    assert 0 < sum(table.resumed_rows for table in result.tables) < 400
    statement = f"CHECKSUM TABLE {mysql_path(database, 't')}"
    assert scratch.source.rows(statement)[0]["Checksum"] == scratch.target.rows(statement)[0]["Checksum"]


def test_where_the_source_has_changed_a_lost_worker_does_not_join_another_picture(scratch: Scratch) -> None:
    """The others go on alone; nothing of the later moment arrives."""
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))", database)
    scratch.execute(f"INSERT INTO t {NUMBERS.format(rows=900)} SELECT n, REPEAT('x', 200) FROM c", database)
    scratch.execute("ANALYZE TABLE t", database)
    made = Migration.of(scratch, [database], bulk={"chunk_rows": 50, "limit_mb_s": 0.12})
    made.schema()

    def disturb() -> None:
        while not (workers := workers_of(os.getpid())) or not scratch.target.scalar(
            f"SELECT COUNT(*) FROM {mysql_path(database, 't')}"
        ):
            time.sleep(0.05)
        scratch.execute("INSERT INTO t VALUES (100000, 'late'), (-1, 'late')", database)
        scratch.execute("UPDATE t SET v = 'late'", database)
        workers[0].kill()

    thread = threading.Thread(target=disturb)
    thread.start()
    result = made.bulk()
    thread.join()
    assert any("the others went on alone" in loss for loss in result.losses)
    assert scratch.target.scalar(f"SELECT COUNT(*) FROM {mysql_path(database, 't')}") == 900
    assert not scratch.target.scalar(f"SELECT COUNT(*) FROM {mysql_path(database, 't')} WHERE v = 'late'")
    assert generate(made.catalog, None, True)
