"""Change capture: how many row changes a second reach the target while the source goes on writing, and how late they are.

Source, engine, applier and target share this machine. Published figures of others are shown as such; a naive applier, a
statement and a transaction for each change, runs side by side with ours on the same changes.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from bench.contest import Case, Contender, Measured, Options
from bench.measure import clocked
from bench.tables import SHAPES
from workbook.cdc import Follower
from workbook.cdc.apply import Applier
from workbook.cdc.change import Change, read
from workbook.cdc.tables import TablePlan
from workbook.phases import open_phase
from workbook.sandbox import lifecycle
from workbook.wire import Wire, writer

# What `--rows` asks for is meant for the bulk load; a stream is measured on a fifth of it.
_SHARE = 0.2
WANTED, PUBLISHED = (
    10_000,
    2_300,
)  # row changes a second: our goal, and Debezium's JDBC sink into MySQL by its own figures
LAG_RATE, LAG_GOAL, LAG_SECONDS = 1_000, 2.0, 30
_A_TRANSACTION = 20
_WARM_SHARE = 0.2
_NAIVE_SHARE = 10  # one at a time takes too long for all
_CASES = ("sustained", "applier", "lag", "pubsub")


def cases(options: Options, say: Callable[[str], None]) -> Iterator[Case]:
    """The whole way under load, the applier alone, and the lag at a usual pace, on two servers of the bench's own."""
    wanted = [name for name in _CASES if not options.cases or f"stream {name}" in options.cases]
    if not wanted:
        return
    # The tests know how a stream is made; nothing of them is needed where other benches run alone.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    os.environ["WORKBOOK_JAVA_OPTIONS"] = ""
    from conftest import Scratch
    from stream import Stream

    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as name:
        os.environ["WORKBOOK_REPORTS"] = f"{name}/reports"
        folder = Path(name)
        state = lifecycle.up(folder / "sandbox", sample=False, say=say)
        scratch = Scratch(state, folder)
        try:
            changes = int(options.rows * _SHARE)
            scratch.execute("SET PERSIST cte_max_recursion_depth = 4294967295")

            def made(name: str, **cdc: Any) -> _Ground:
                database = scratch.database(name)
                say(f"stream: a table of {changes:,} rows on both servers")
                for statement in SHAPES[0].statements(changes):
                    scratch.execute(statement, database)
                ground = _Ground(Stream.of(scratch, [database], cdc=cdc), state, database, changes, say)
                ground.begin()
                return ground

            ground = made("stream")
            if "sustained" in wanted:
                yield ground.sustained()
            if "lag" in wanted:
                yield ground.lag()
            if "pubsub" in wanted:
                if endpoint := state["pubsub"]["endpoint"]:
                    yield made("published", transport="pubsub", pubsub_endpoint=endpoint).beside(ground)
                else:
                    say("  MISSING  stream pubsub: no emulator of Pub/Sub")
            # The last: it puts the stream back to its beginning.
            if "applier" in wanted:
                yield ground.applier()
        finally:
            scratch.close()
            lifecycle.down(folder / "sandbox")


class _Ground:
    """A loaded copy, and what is done to its source."""

    def __init__(self, stream: Any, state: dict[str, Any], database: str, changes: int, say: Callable[[str], None]):
        self._stream, self._state, self._changes, self._say = stream, state, changes, say
        self._database = database
        self._servers = [entry["pid"] for entry in state["processes"] if entry["name"] in ("source", "target")]
        self._round = 0
        self._recorded: list[Change] = []

    def begin(self) -> None:
        """The first start reads all definitions; nobody is timed with it."""
        open_phase("cdc", {"params_file": str(self._stream.file)})
        self._stream.start()
        self._stream.caught_up(300)
        self._stream.stop()

    def sustained(self) -> Case:
        """All changes of a round against the goal."""
        wanted = Contender(f"the goal: {WANTED:,} changes/s", lambda: Measured(self._changes / WANTED), 1.0)
        ours = Contender("ours, engine to commit", self._followed)
        return Case("stream", "stream sustained", ours, (wanted,), self._changes, 0)

    def beside(self, direct: "_Ground") -> Case:
        """The same over Pub/Sub, whose emulator is a process of this machine too, and without it."""
        ours = Contender("ours, over the emulator of Pub/Sub", self._followed)
        return Case("stream", "stream pubsub", ours, (Contender("ours, direct", direct._followed),), self._changes, 0)

    def _followed(self) -> Measured:
        """From the first change on the source to the last one's commit on the target.

        By a `cdc run` that has followed a share of so many changes before: Java compiles while it runs, once in days.
        """
        process = self._stream.command("cdc", "run")
        try:
            self._stream.wait_for(
                lambda: process.poll() is not None or self._stream.told().get("pid") == process.pid, 60
            )
            if process.poll() is not None:
                raise RuntimeError(f"`workbook cdc run` has ended: {process.communicate()[0][-600:]}")
            self._write(int(self._changes * _WARM_SHARE))
            self._stream.caught_up(600)
            running = psutil.Process(process.pid)
            with clocked(self._servers) as said:
                began = _cpu_with_children(running)
                self._write(self._changes)
                # Each look costs connections, which the servers should not be busy with.
                self._stream.caught_up(900, pause=0.5)
                run = said(_cpu_with_children(running) - began)
        finally:
            process.terminate()
            process.wait(60)
        self._proven()
        return run

    def applier(self) -> Case:
        """The applier alone, on changes that the engine read before, against one statement and commit for each."""
        self._record()

        def by(work: Callable[[Applier, Sequence[Change]], None], changes: Sequence[Change]) -> Measured:
            self._stream.ledger.begin(self._stream.target, self._snapshot)
            follower: Follower = self._stream.make()
            applier = follower.applier()
            try:
                with clocked(self._servers) as said:
                    began = time.process_time()
                    work(applier, changes)
                    run = said(time.process_time() - began)
            finally:
                follower.disconnect()
            share = len(self._recorded) / len(changes)
            return Measured(run.seconds * share, run.client_cpu * share, run.server_cpu * share)

        def batches(applier: Applier, changes: Sequence[Change]) -> None:
            size = self._stream.settings.cdc.batch_rows
            for start in range(0, len(changes), size):
                applier.apply(changes[start : start + size], {"file": "none", "pos": 0, "gtids": ""})

        naive = self._recorded[::1][: len(self._recorded) // _NAIVE_SHARE]
        count = len(self._recorded)
        peers = (
            Contender("row by row, a commit each", lambda: by(self._row_by_row, naive), 0.1),
            Contender(f"Debezium's JDBC sink, {PUBLISHED:,}/s as published", lambda: Measured(count / PUBLISHED), 0.5),
        )
        return Case(
            "stream",
            "stream applier",
            Contender("ours, applier alone", lambda: by(batches, self._recorded)),
            peers,
            count,
            0,
        )

    def lag(self) -> Case:
        """The lag that 99 of 100 changes stay under, at a usual pace."""

        def ours() -> Measured:
            self._stream.start()
            self._stream.caught_up(120)
            began = time.time()
            try:
                self._write(LAG_RATE * LAG_SECONDS, LAG_RATE)
                self._stream.caught_up(120)
                points = [tuple(point) for point in self._stream.told()["history"] if point[0] > began]
            finally:
                self._stream.stop()
            lags = sorted(lag for _, lag, _ in points)
            return Measured(lags[min(len(lags) - 1, int(len(lags) * 0.99))])

        goal = Contender(f"the goal: {LAG_GOAL:.0f} s", lambda: Measured(LAG_GOAL), 1.0)
        ours_too = Contender(f"ours, 99% of batches at {LAG_RATE:,}/s", ours)
        return Case("stream", "stream lag", ours_too, (goal,), LAG_RATE * LAG_SECONDS, 0)

    def _record(self) -> None:
        """Let the engine read so many changes, keep them, and apply them as well."""
        self._write(self._changes)
        follower: Follower = self._stream.make()
        position = self._stream.ledger.position(self._stream.target)
        self._snapshot = dict(position.snapshot)
        engine = follower.engine()
        try:
            while len(self._recorded) < self._changes:
                for batch in engine.take(30, 10_000):
                    self._recorded += [item for item in map(read, batch.lines) if isinstance(item, Change)]
        finally:
            engine.end()
        self._say(f"stream: {len(self._recorded):,} changes recorded")

    def _row_by_row(self, applier: Applier, changes: Sequence[Change]) -> None:
        (plan,) = applier.plans.values()
        wire = writer(self._stream.target.address())
        try:
            for change in changes:
                _one(wire, plan, change)
        finally:
            wire.close()

    def _write(self, changes: int, rate: int | None = None) -> None:
        """Change rows on the source, a few in each transaction, as fast as it takes them or at a pace."""
        self._round += 1
        rows, done, threads = self._changes, 0, []
        lock, began = threading.Lock(), time.monotonic()

        def work() -> None:
            nonlocal done
            with lifecycle.root_connection(self._state, "source", database=self._database) as connection:
                cursor = connection.cursor()
                while True:
                    with lock:
                        low, done = done, done + _A_TRANSACTION
                    if low >= changes:
                        return
                    if rate is not None:
                        time.sleep(max(0.0, began + low / rate - time.monotonic()))
                    low = low * 7919 % max(1, rows - _A_TRANSACTION)
                    cursor.execute(
                        "UPDATE t SET c2 = c2 + 1, c4 = CONCAT('round ', %s) WHERE id > %s AND id <= %s",
                        (f"{self._round}-{done}", low, low + _A_TRANSACTION),
                    )
                    connection.commit()

        for _ in range(2):
            threads.append(threading.Thread(target=work))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _proven(self) -> None:
        if wrong := self._stream.differences():
            raise RuntimeError(f"the target is not what the source is: {wrong}")


def _one(wire: Wire, plan: TablePlan, change: Change) -> None:
    """A change as the plain way would have it: a statement, and a commit."""
    assert change.after is not None
    values = ",".join(plan.values(change.after))
    wire.run(f"INSERT INTO {plan.name} ({plan.columns}) VALUES ({values}){plan.upsert}")
    wire.run("COMMIT")


def _cpu_with_children(process: psutil.Process) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))
