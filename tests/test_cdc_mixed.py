"""The sample shop under its applications and worse, while it is loaded, handed over and followed, with kills and without.

`MINUTES`, `RATE` (row changes a second), `KILLS` and `SEED` say how much; figures are printed, none is asserted.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
import pytest

from conftest import Scratch
from outages import kill_server
from stream import Stream
from test_cdc import KINDS_CHANGES, MOST, run
from test_cdc_pubsub import Emulator
from test_cdc_warehouse import apart, merged
from workbook.errors import TransientError
from workbook.phases import open_phase
from workbook.sandbox import lifecycle, workload
from workbook.servers import SESSION_SQL_MODE

# The shop's applications make so much of the changes; the rest is what shops seldom do.
_SHOPPING = 0.8
_BIG = 5_000
_WORSE = (
    MOST
    + f"""
SET SESSION cte_max_recursion_depth = {_BIG};
CREATE TABLE big (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 0, word VARCHAR(40));
INSERT INTO big (id, word) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {_BIG})
 SELECT n, CONCAT('word ', n) FROM c;
CREATE TABLE beats (id BIGINT PRIMARY KEY AUTO_INCREMENT, at DOUBLE NOT NULL);
"""
)
_ALL_TYPES = [
    text for text in KINDS_CHANGES.split(";\n") if text.strip().startswith("INSERT") and "(id, dn" not in text
]


@dataclass
class Writers:
    """Everybody who writes to the source until `end`, and comes back when it does; what they did."""

    state: dict[str, Any]
    database: str
    rate: float
    dice: random.Random
    followed: bool = False  # from when on definitions may change
    done: dict[str, int] = field(default_factory=dict)
    failed: list[BaseException] = field(default_factory=list)

    def start(self) -> Writers:
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._for_ever, args=(work,), daemon=True)
            for work in (self._shop, self._worse, self._beat)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
        if self.failed:
            raise self.failed[0]

    def _for_ever(self, work: Callable[[], None]) -> None:
        while not self._ended.is_set():
            try:
                work()
            except (TransientError, pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError):
                time.sleep(0.2)
            except BaseException as error:
                self.failed.append(error)
                return

    def _connection(self, database: str | None = None) -> pymysql.Connection[Any]:
        return lifecycle.root_connection(self.state, "source", database=database)

    def _count(self, kind: str, changes: int = 1) -> None:
        self.done[kind] = self.done.get(kind, 0) + changes

    def _shop(self) -> None:
        # In short pieces, so that the end is soon heard of.
        for kind, changes in workload.run(
            self._connection, self.rate * _SHOPPING, 3, self.dice.randrange(1 << 30), lambda text: None
        ).items():
            self._count(f"shop: {kind}", changes)

    def _beat(self) -> None:
        with self._connection(self.database) as connection, connection.cursor() as cursor:
            while not self._ended.is_set():
                cursor.execute("INSERT INTO beats (at) VALUES (%s)", (time.time(),))
                connection.commit()
                time.sleep(0.05)

    def _worse(self) -> None:
        with self._connection(self.database) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION sql_mode = '{SESSION_SQL_MODE}'")
            begun, told, n = time.monotonic(), 0, 100 + self.done.get("rounds", 0)
            while not self._ended.is_set():
                n += 1
                self._count("rounds")
                for every, kind, statements in self._acts(n):
                    if n % every:
                        continue
                    connection.begin()
                    for statement in statements:
                        told += max(0, cursor.execute(statement))
                    connection.commit()
                    self._count(kind)
                wait = begun + told / (self.rate * (1 - _SHOPPING)) - time.monotonic()
                self._ended.wait(max(0.02, min(wait, 1.0)))

    def _acts(self, n: int) -> Iterator[tuple[int, str, list[str]]]:
        """What is done each so many rounds, and its statements, which are one transaction unless they are definitions."""
        a, b, free = f"p{n}a", f"p{n}b", 1000 + n * 10
        yield 1, "across tables", [
            f"INSERT INTO parent VALUES ({free}, '{a}'), ({free + 1}, '{b}')",
            f"INSERT INTO child VALUES ({free}, {free}), ({free + 1}, {free}), ({free + 2}, {free + 1})",
            f"INSERT INTO grandchild VALUES ({free}, {free}), ({free + 1}, {free + 2})",
            f"INSERT INTO words VALUES ('Wort {n} ß', {n})",
            f"INSERT INTO keyless VALUES ({n % 7}, 'k{n % 5}', {n}/3, '[{n}, 0.1]'), ({n % 7}, 'k{n % 5}', {n}/3, NULL)",
        ]  # fmt: skip
        yield 2, "keys that cascade", [
            f"UPDATE parent SET id = id + 100000000 WHERE id = {free}",
            f"DELETE FROM parent WHERE id = {free + 1}",
            f"UPDATE words SET word = 'WORT {n} SS' WHERE n = {n}",
        ]  # fmt: skip
        yield 3, "rows that go", [
            "DELETE FROM parent WHERE id > 100000000 ORDER BY id LIMIT 1",
            "DELETE FROM keyless ORDER BY a, b LIMIT 3",
            "UPDATE keyless SET f = f + 1 WHERE a = 3 LIMIT 2",
        ]  # fmt: skip
        x, y = ("a", "b") if n // 4 % 2 else ("b", "a")
        yield 4, "unique swaps", [
            f"UPDATE seats SET seat = 'x{n}' WHERE id = 1",
            f"UPDATE seats SET seat = '{x}', other = {n} WHERE id = 2",
            f"UPDATE seats SET seat = '{y}' WHERE id = 1",
            f"REPLACE INTO seats VALUES (3, 'c{n}', {n})",
        ]  # fmt: skip
        yield 25, "all types", [
            *_ALL_TYPES,
            "UPDATE kinds SET t = CONCAT(t, '!'), j = JSON_SET(j, '$.z', 1) WHERE t IS NOT NULL ORDER BY id DESC LIMIT 2",
            "UPDATE kinds SET id = -id WHERE id > 0 ORDER BY id LIMIT 1",
            "DELETE FROM kinds WHERE id < 0 ORDER BY id LIMIT 1",
        ]  # fmt: skip
        yield 700, "big transactions", [f"UPDATE big SET n = n + 1, word = CONCAT('round ', {n}, ' of ', id)"]
        if self.followed:
            yield 40, "TRUNCATE", ["TRUNCATE TABLE emptied"]
            yield 8, "what is emptied", [f"REPLACE INTO emptied (id, v) VALUES ({n}, {n}), ({n + 1}, {n})"]
            yield 300, "columns added", [f"ALTER TABLE emptied ADD COLUMN `c {n}` VARCHAR(9) DEFAULT 'é'"]
            yield 450, "columns renamed", self._renamed(n)
            yield 120, "bare statements", [f"INSERT INTO emptied (id, v) VALUES ({-n}, NULL)"]

    def _renamed(self, n: int) -> list[str]:
        with self._connection(self.database) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'emptied'"
                " AND COLUMN_NAME LIKE 'c %%' ORDER BY ORDINAL_POSITION",
                (self.database,),
            )
            names = [name for (name,) in cursor.fetchall()]
        if not names:
            return []
        gone = [f"ALTER TABLE emptied DROP COLUMN `{names[0]}`"] if len(names) > 3 else []
        return [*gone, f"ALTER TABLE emptied RENAME COLUMN `{names[-1]}` TO `c é {n}`"]


@dataclass
class Beats:
    """How late each beat of the source is seen on the target, in seconds, looked for twenty times a second."""

    scratch: Scratch
    database: str
    late: list[float] = field(default_factory=list)

    def start(self) -> Beats:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        seen: int | None = None
        while not self._ended.is_set():
            with (
                contextlib.suppress(pymysql.MySQLError, OSError),
                self.scratch.target_root_connection(self.database) as cursor,
            ):
                while not self._ended.wait(0.05):
                    if seen is None:
                        cursor.execute("SELECT COALESCE(MAX(id), 0) FROM beats")
                        ((seen,),) = cursor.fetchall()
                    cursor.execute("SELECT id, at FROM beats WHERE id > %s ORDER BY id", (seen,))
                    now = time.time()
                    for number, at in cursor.fetchall():
                        self.late.append(now - at)
                        seen = number
                    cursor.connection.commit()

    def share(self, share: float) -> float:
        found = sorted(self.late)
        return found[min(len(found) - 1, int(len(found) * share))]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scratch]:
    """Servers of this test's own, with the sample shop."""
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    # The engine runs for long here: code that is compiled well pays.
    monkeypatch.setenv("WORKBOOK_JAVA_OPTIONS", "")
    folder = tmp_path / "sandbox"
    scratch = Scratch(lifecycle.up(folder, scale=float(os.environ.get("SCALE", "1"))), tmp_path)
    try:
        yield scratch
    finally:
        scratch.close()
        lifecycle.down(folder)


@contextlib.contextmanager
def followed(shop: Scratch, **cdc: Any) -> Iterator[tuple[Stream, Writers]]:
    """The shop and a database beside it, loaded into target and warehouse while everybody writes."""
    database = shop.database("worse")
    run(shop, database, _WORSE)
    dice = random.Random(int(os.environ.get("SEED", "1")))
    writers = Writers(shop.state, database, float(os.environ.get("RATE", "1000")), dice).start()
    try:
        time.sleep(3)
        stream = Stream.of(
            shop, ["shop", database], cdc={"warehouse": True, "patience_s": 300, "merge_seconds": 86_400, **cdc}
        )
        if cdc.get("warehouse", True):
            stream.migration.warehouse()
        open_phase("cdc", {"params_file": str(stream.file)})
        yield stream, writers
    finally:
        writers.end()


def whole(stream: Stream, warehouse: bool) -> None:
    """The target has all of the source; so has the warehouse, but for the table whose definition changed."""
    assert [(letter.error, letter.path) for letter in stream.ledger.letters(stream.target)] == []
    assert stream.ledger.stopped(stream.target) == ()
    apart_now = stream.differences()
    for path, verdict in apart_now.items():
        print(path, verdict.why, verdict.rows_source, verdict.rows_target, verdict.samples[:4], flush=True)
    assert not apart_now
    if warehouse:
        began = time.monotonic()
        done = merged(stream, merge_gb=100)
        print(f"merged in {time.monotonic() - began:.0f} s: {done}", flush=True)
        names = stream.settings.warehouse.dataset, stream.settings.warehouse.raw_dataset
        # Tables without a key, and the one whose columns changed, wait for the next load.
        left = {"emptied", "keyless", "click_log", "newsletter_import"}
        waiting = {item.warehouse_name for item in stream.migration.mapping.in_scope if item.path[1] in left}
        assert not apart(stream, {f"{name}.{table}" for name in names for table in waiting})


@pytest.mark.soak
def test_the_shop_arrives_whole_under_a_mixed_workload(shop: Scratch) -> None:
    with followed(shop) as (stream, writers):
        process = stream.command("cdc", "run")
        try:
            stream.wait_for(lambda: stream.told().get("applied", 0) > 0, 120)
            stream.wait_for(lambda: (stream.told().get("lag_seconds") or 9) < 1, 300)
            writers.followed = True
            beats, before, began = Beats(shop, writers.database).start(), stream.told()["applied"], time.monotonic()
            ends = began + 60 * float(os.environ.get("MINUTES", "10"))
            while time.monotonic() < ends:
                assert process.poll() is None, process.communicate()[0]
                assert not writers.failed
                time.sleep(5)
                print(json.dumps({n: stream.told()[n] for n in ("applied", "lag_seconds", "pace", "dead")}), flush=True)
            beats.end()
            took, applied = time.monotonic() - began, stream.told()["applied"] - before
        finally:
            writers.end()
        stream.caught_up(300)
        process.terminate()
        assert process.wait(60) == 0
        print(f"{applied:,} changes in {took:.0f} s ({applied / took:,.0f}/s); of {len(beats.late):,} beats")
        print({share: round(beats.share(share), 3) for share in (0.5, 0.9, 0.99, 0.999, 1.0)}, writers.done, flush=True)
        assert beats.late
        whole(stream, warehouse=True)


@pytest.mark.soak
@pytest.mark.parametrize("transport", ["direct", "pubsub"])
def test_the_shop_arrives_whole_through_random_kills_under_a_mixed_workload(
    shop: Scratch, transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    kills, emulator = int(os.environ.get("KILLS", "100")), Emulator(tmp_path / "pubsub.log")
    keys: dict[str, Any] = {"warehouse": False}
    parts = ["engine", "applier", "target", "source"]
    if transport == "pubsub":
        emulator.start()
        keys |= {"transport": "pubsub", "pubsub_endpoint": emulator.endpoint}
        parts.append("emulator")
    done: dict[str, int] = {}
    try:
        with followed(shop, **keys) as (stream, writers):
            process = stream.command("cdc", "run")
            # The first start reads definitions as they are then: they must not change before it is through.
            stream.wait_for((stream.folder / "history.complete").exists, 300)
            writers.followed = True
            dice = random.Random(int(os.environ.get("SEED", "1")))
            while sum(done.values()) < kills:
                # One in two strikes before the last one's damage is mended.
                if dice.random() < 0.5:
                    applied, deadline = stream.told().get("applied", 0), time.monotonic() + 300
                    while stream.told().get("applied", 0) <= applied and process.poll() is None:
                        assert time.monotonic() < deadline, stream.told()
                        time.sleep(0.1)
                time.sleep(dice.uniform(0, 3))
                assert process.poll() is None, process.communicate()[0]
                part = dice.choice(parts)
                done[part] = done.get(part, 0) + 1
                if part == "engine":
                    with contextlib.suppress(ProcessLookupError, IndexError, KeyError):
                        os.kill(stream.told()["engine"][0], signal.SIGKILL)
                elif part == "applier":
                    process.kill()
                    process.wait()
                    process = stream.command("cdc", "run")
                elif part == "emulator":
                    emulator.kill()
                    emulator.start()
                else:
                    kill_server(shop.state, part)
                if sum(done.values()) % 20 == 0:
                    print(done, {name: stream.told().get(name) for name in ("applied", "lag_seconds")}, flush=True)
            writers.end()
            stream.caught_up(600)
            process.terminate()
            assert process.wait(60) == 0
            print(f"{transport}: {done}, {writers.done}", flush=True)
            whole(stream, warehouse=False)
    finally:
        if emulator.process is not None:
            emulator.kill()
