"""The bulk load while writes go on: the copy is the source as it stood at the noted GTID set, no more and no less."""

import contextlib
import json
import random
import re
import threading
import time
from typing import Any

import pymysql
import pytest

from conftest import Scratch
from migration import Migration
from workbook.bulk import snapshot
from workbook.bulk.chunks import cut
from workbook.bulk.cutting import Cutter
from workbook.bulk.ledger import ChunkLedger
from workbook.catalog import read_catalog
from workbook.errors import Refused
from workbook.names import mysql_path
from workbook.params import Bulk
from workbook.sandbox import lifecycle

ACCOUNTS, SUM = 400, 400_000


class Writer(threading.Thread):
    """One application that moves amounts between accounts, one transaction a move; the moves follow from a seed."""

    def __init__(self, scratch: Scratch, database: str, pause: float = 0.0):
        super().__init__(daemon=True)
        self._scratch, self._database, self._pause = scratch, database, pause
        self.stopped = threading.Event()
        self.moves = 0
        self.seconds = 0.0

    def run(self) -> None:
        connection = lifecycle.root_connection(self._scratch.state, "source", database=self._database)
        started = time.monotonic()
        with connection, connection.cursor() as cursor:
            while not self.stopped.wait(self._pause):
                one, other, amount = move(self.moves)
                cursor.execute("START TRANSACTION")
                cursor.execute(
                    f"UPDATE accounts SET amount = amount + IF(id = {one}, -{amount}, {amount}) WHERE id IN ({one}, {other})"
                )
                cursor.execute(f"INSERT INTO moves VALUES ({self.moves}, {one}, {other}, {amount})")
                cursor.execute("COMMIT")
                self.moves += 1
        self.seconds = time.monotonic() - started


def move(number: int) -> tuple[int, int, int]:
    """The accounts and the amount of one move."""
    dice = random.Random(number)
    one, other = dice.sample(range(ACCOUNTS), 2)
    return one, other, dice.randrange(1, 50)


def last_gtid(gtids: str) -> int:
    """The number of the last transaction of a set of one server's."""
    assert gtids.count(":") == 1, gtids
    return int(re.split(r"[:-]", gtids)[-1])


def busy_source(scratch: Scratch) -> Migration:
    database = scratch.database()
    scratch.execute("CREATE TABLE accounts (id INT PRIMARY KEY, amount INT NOT NULL, fill VARCHAR(500), KEY (amount))", database)  # fmt: skip
    scratch.execute("CREATE TABLE moves (id INT PRIMARY KEY, one INT, other INT, amount INT)", database)
    rows = ", ".join(f"({number}, {SUM // ACCOUNTS}, REPEAT('x', 500))" for number in range(ACCOUNTS))
    scratch.execute(f"INSERT INTO accounts VALUES {rows}", database)
    scratch.execute("ANALYZE TABLE accounts, moves", database)
    made = Migration.of(scratch, [database], bulk={"chunk_rows": 40, "limit_mb_s": 0.15})
    made.schema()
    return made


def moved_so_far(scratch: Scratch, made: Migration, before: str, snapshot: Any) -> int:
    """The moves on the target are exactly those up to the noted GTID set, and the accounts are what they made them."""
    database = made.catalog.databases[0].name
    moves = last_gtid(snapshot.gtids) - last_gtid(before)
    arrived = scratch.execute_target_root("SELECT id, one, other, amount FROM moves ORDER BY id", database)
    assert arrived == [(number, *move(number)) for number in range(moves)]
    amounts = dict.fromkeys(range(ACCOUNTS), SUM // ACCOUNTS)
    for number in range(moves):
        one, other, amount = move(number)
        amounts[one] -= amount
        amounts[other] += amount
    assert dict(scratch.execute_target_root("SELECT id, amount FROM accounts", database)) == amounts
    return moves


def test_while_writes_go_on_the_copy_is_the_source_at_the_noted_gtid_set(scratch: Scratch) -> None:
    made = busy_source(scratch)
    before = str(scratch.source.scalar("SELECT @@GLOBAL.gtid_executed"))
    writer = Writer(scratch, made.catalog.databases[0].name)
    writer.start()
    while writer.moves < 20:
        pass
    try:
        result = made.bulk()
    finally:
        writer.stopped.set()
        writer.join()
    assert result.snapshot.how == "under a global read lock"
    moves = moved_so_far(scratch, made, before, result.snapshot)
    assert 20 <= moves < writer.moves


@pytest.mark.soak
def test_a_long_load_under_a_writer_at_full_speed_is_the_source_at_the_noted_gtid_set(scratch: Scratch) -> None:
    for _ in range(5):
        made = busy_source(scratch)
        before = str(scratch.source.scalar("SELECT @@GLOBAL.gtid_executed"))
        writer = Writer(scratch, made.catalog.databases[0].name)
        writer.start()
        while writer.moves < 1000:
            time.sleep(0.01)
        try:
            result = made.bulk()
        finally:
            writer.stopped.set()
            writer.join()
        assert 1000 <= moved_so_far(scratch, made, before, result.snapshot) < writer.moves
        # Three rows a move.
        print(f"{3 * writer.moves / writer.seconds:,.0f} rows written a second, {writer.seconds:.0f} s")


def test_without_the_locking_privilege_the_picture_is_as_exact(scratch: Scratch) -> None:
    made = busy_source(scratch)
    database = made.catalog.databases[0].name
    account = scratch.account("'reader'@'%'")
    scratch.execute(f"CREATE USER {account} IDENTIFIED BY 'a long secret'")
    scratch.execute(f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, SHOW_ROUTINE, CREATE TEMPORARY TABLES, REPLICATION CLIENT, PROCESS ON *.* TO {account}")  # fmt: skip
    password = scratch.folder / "reader.password"
    password.write_text("a long secret")
    port = scratch.state["servers"]["source"]["port"]
    from workbook.servers import connect_source

    settings = scratch.settings(
        [database],
        source={"url": f"mysql://reader@127.0.0.1:{port}", "password": f"file:{password}", "databases": [database]},
        bulk={"chunk_rows": 40, "limit_mb_s": 0.15},
    )
    made.scratch.source, made.settings = connect_source(settings), settings
    before = str(scratch.source.scalar("SELECT @@GLOBAL.gtid_executed"))
    # With pauses: an account without the privilege needs a moment of quiet.
    writer = Writer(scratch, database, pause=0.1)
    writer.start()
    while writer.moves < 5:
        pass
    try:
        result = made.bulk()
    finally:
        writer.stopped.set()
        writer.join()
    assert result.snapshot.how.startswith("without a lock (the privilege RELOAD is missing), at attempt")
    assert 5 <= moved_so_far(scratch, made, before, result.snapshot) < writer.moves


def test_a_statement_that_runs_long_keeps_the_lock_away_and_the_picture_is_taken_without_it(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_LOCK_SECONDS", 1)
    monkeypatch.setattr(snapshot, "_LOCK_PAUSE_SECONDS", 0.1)
    made = busy_source(scratch)
    connection = lifecycle.root_connection(scratch.state, "source", database=made.catalog.databases[0].name)
    number = connection.thread_id()

    def run_long() -> None:
        with contextlib.suppress(pymysql.MySQLError), connection.cursor() as cursor:
            cursor.execute("SELECT SLEEP(60) FROM accounts LIMIT 1")

    thread = threading.Thread(target=run_long)
    thread.start()
    try:
        while not scratch.execute(f"SELECT 1 FROM information_schema.processlist WHERE id = {number} AND state = 'User sleep' AND time > 1"):  # fmt: skip
            time.sleep(0.05)
        result = made.bulk()
    finally:
        scratch.execute(f"KILL {number}")
        thread.join()
    assert "a statement runs longer than 1 s" in result.snapshot.how
    assert result.rows == ACCOUNTS


def test_a_table_is_cut_by_its_partitions_and_cutting_goes_on_where_it_was_left(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute(
        "CREATE TABLE t (id INT, d INT, v VARCHAR(300), PRIMARY KEY (id, d)) PARTITION BY LIST (d)"
        " (PARTITION `a'%s` VALUES IN (0), PARTITION none VALUES IN (7), PARTITION b VALUES IN (1, 2))",
        database,
    )
    scratch.execute(
        "INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900)"
        " SELECT n, n MOD 3, REPEAT('x', 300) FROM c",
        database,
    )
    scratch.execute("ANALYZE TABLE t", database)
    table = read_catalog(scratch.source, [database]).table[database, "t"]
    ledger = ChunkLedger(scratch.target, "test-cutting")

    class Unheard:
        def intend(self, object: str, undo: str | None, server: str = "target") -> int:
            return 0

        def confirm(self, number: int) -> None:
            pass

        def cancel(self, number: int) -> None:
            pass

    ledger.create(Unheard())
    try:
        scratch.target.execute(f"DELETE FROM {ledger.chunks}")
        settings = Bulk(chunk_rows=100)  # type: ignore[call-arg]
        cutter = Cutter(scratch.source, ledger, [table], {}, settings)
        first = [next(cutter).chunk for _ in range(4)]
        # Killed here: what was noted and not loaded comes first, then the rest of the same partition, then the others.
        rest = [task.chunk for task in Cutter(scratch.source, ledger, [table], ledger.planned(), settings)]
        assert rest[:4] == first
        chunks = rest
        assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))
        assert list(dict.fromkeys(chunk.partition for chunk in chunks)) == ["a'%s", "none", "b"]
        counted = 0
        for chunk in chunks:
            where, values = chunk.where()
            counted += scratch.source.scalar(
                f"SELECT COUNT(*) FROM {mysql_path(*table.path)} PARTITION (`{chunk.partition}`)".replace("%", "%%")
                + where,
                values,
            )
        assert counted == 900
        assert [noted.chunk for noted in ledger.planned()[table.path]] == chunks
        assert json.dumps([str(chunk) for chunk in chunks])
    finally:
        for name in (ledger.chunks, ledger.loads):
            scratch.target.execute(f"DROP TABLE IF EXISTS {name}")


def test_a_keyless_table_is_cut_by_an_index_without_nulls_and_rows_alike_stay_together(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE t (a INT, d INT NOT NULL, v INT, KEY (a), KEY (v, d), KEY (d))", database)
    scratch.execute(
        "INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900)"
        " SELECT n, n MOD 10, n FROM c",
        database,
    )
    scratch.execute("ANALYZE TABLE t", database)
    table = read_catalog(scratch.source, [database]).table[database, "t"]
    with scratch.source.session() as session:
        chunks = cut(session, table, 100)
        counts = []
        for chunk in chunks:
            where, values = chunk.where()
            counts.append(session.scalar(f"SELECT COUNT(*) FROM {mysql_path(*table.path)}" + where, values or None))
    assert chunks[0].key == ("d",)
    assert len(chunks) > 3
    assert sum(counts) == 900
    assert all(count % 90 == 0 for count in counts)


def test_a_source_that_never_stands_still_is_refused_where_it_cannot_be_held(scratch: Scratch) -> None:
    from workbook.bulk import snapshot

    account = scratch.account("'reader'@'%'")
    scratch.execute(f"CREATE USER {account} IDENTIFIED BY 'a long secret'")
    scratch.execute(f"GRANT SELECT, REPLICATION CLIENT ON *.* TO {account}")
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT)", database)
    server = type(scratch.source)("source", scratch.source.host, scratch.source.port, "reader", "a long secret")
    opened: list[int] = []

    def open_transactions() -> None:
        opened.append(1)
        scratch.execute("INSERT INTO t VALUES ()", database)

    with pytest.raises(Refused, match="changed during each of 3 attempts"):
        snapshot.take(server, open_transactions, tries=3)
    assert len(opened) == 3
