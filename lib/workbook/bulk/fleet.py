"""A fleet in the place of a crew: workers of a Beam pipeline, on this machine or on many, seen from the one who waits."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pymysql

from workbook import errors
from workbook.beam import options
from workbook.beam.login import logins
from workbook.beam.ran import Ran, ran
from workbook.beam.running import Running
from workbook.bulk.crew import Copied, Member, Task
from workbook.bulk.ledger import ChunkLedger
from workbook.bulk.orders import OrderBook, Orders, Path, shared_out
from workbook.bulk.standing import Standing, moved, standing
from workbook.errors import WorkbookError
from workbook.params import Settings
from workbook.plan import Journal
from workbook.servers import Server, retried
from workbook.wire import Driver, drivers

MODULE = "workbook.bulk.pipeline"
# Chunks are cut before any is loaded, so their length in time goes by what one connection has shown elsewhere.
_PACE_BYTES = 8 << 20
_LOOK_SECONDS = 0.5


class Fleet:
    """Copies chunks with a Beam pipeline, and answers like a crew.

    One shard is one connection to each server; there are `beam.connections` of them at most. Machines share no snapshot:
    the source must stand still, which is proven before, at each chunk and after. Raises UsageError where Beam is not
    installed or the params do not do for it.
    """

    def __init__(self, source: Server, target: Server, settings: Settings, ledger: ChunkLedger, driver: Driver | None):
        self.driver: Driver = driver or drivers()[0]
        self.losses: list[str] = []
        self.members: list[Member] = []
        self.pace: float = _PACE_BYTES
        self.connections = settings.beam.connections
        self.arguments: tuple[str, ...] = ()
        self.workers: tuple[str, ...] = ()
        self._source, self._target, self._settings, self._ledger = source, target, settings, ledger
        self._book = OrderBook(target, ledger)
        options.installed()
        asked = self._arguments(self.connections)
        self._logins = logins(settings)
        self._standing: Standing
        self._rate: float | None = None
        self._sizes: Mapping[Path, int] = {}
        # A source that is busy is refused before anything is touched: Beam takes seconds to read its options.
        self.open_transactions()
        self._running = Running(MODULE, asked)
        try:
            self._prove_standing()
        except BaseException:
            self.close()
            raise

    @property
    def _job(self) -> str:
        plain = re.sub(r"[^a-z0-9-]", "-", self._ledger.environment.lower())
        return f"workbook-bulk-load-{plain}".rstrip("-")

    def _arguments(self, shards: int) -> tuple[str, ...]:
        return options.arguments(self._settings, self._job, shards)

    def open_transactions(self) -> None:
        """Note where the source stands. Raises Refused where nothing would prove that it stays there."""
        with self._source.session() as session:
            self._standing = standing(session)

    def announce(self, journal: Journal) -> None:
        """Tell the journal what will be made on the target beside the chunk ledger."""
        self._book.announce(journal)

    def weigh(self, sizes: Mapping[Path, int]) -> None:
        """The bytes of the tables, by which shards become alike."""
        self._sizes = sizes

    def hold_to(self, rate: float | None) -> None:
        """Hold all workers together to so many bytes a second; each takes it up with its next chunk."""
        self._rate = rate
        if self.arguments:
            self._book.hold_to(rate, self.connections)

    def run(
        self, tasks: Iterator[Task], rejoin: Callable[[Callable[[], None]], bool], beat: Callable[[], None]
    ) -> Iterator[Copied]:
        """Cut all chunks, hand them to a pipeline and yield what it has copied; `beat` is called in between.

        Raises Refused where the source does not stand still, and what stopped a worker for good.
        """
        handed = list(tasks)
        self._prove_standing()
        if not handed:
            return
        self.connections = min(self.connections, len(handed))
        chosen = shared_out([task.chunk.path for task in handed], self._sizes, self.connections)
        self._book.write(handed, chosen, self.connections)
        self.arguments = self._arguments(self.connections)
        self.hold_to(self._rate)
        # By the target's clock, which notes when chunks are loaded.
        began = float(self._target.scalar("SELECT UNIX_TIMESTAMP(NOW(3))"))
        self._running.begin(self.arguments, self._orders().asdict())
        waiting = {
            (*task.chunk.path, task.chunk.number): (task, shard) for task, shard in zip(handed, chosen, strict=True)
        }
        latest: dict[int, float] = {}
        while True:
            ended = self._running.ended is not None
            yield from self._copied(waiting, latest, began)
            if ended:
                break
            beat()
            time.sleep(_LOOK_SECONDS)
        self._account(len(waiting))
        self._prove_standing()
        self._book.forget()

    def _orders(self) -> Orders:
        source, target = self._logins
        return Orders(
            source, target, self._book.orders, self._book.shards, self._ledger.chunks, self.connections,
            self.driver, self._settings.bulk.patience_s, self._standing,
        )  # fmt: skip

    def _copied(
        self, waiting: dict[tuple[str, str, int], tuple[Task, int]], latest: dict[int, float], began: float
    ) -> Iterator[Copied]:
        """What the ledger says is loaded and was not said before. A shard's chunks follow each other."""
        rows = retried(lambda: self._ledger.loaded_since(max([began, *latest.values()])), tries=6)
        if rows and len(latest) < self.connections:
            latest |= {shard: at for shard, at in self._book.begun().items() if shard not in latest}
        for row in rows:
            found = waiting.pop((row["source_database"], row["source_table"], row["number"]), None)
            if found is None:
                continue
            task, shard = found
            ended = float(row["at"])
            yield Copied(
                task.chunk, int(row["loaded_rows"]), int(row["loaded_bytes"]), row["checksum"],
                min(latest.get(shard, ended), ended), ended, shard + 1,
            )  # fmt: skip
            latest[shard] = ended

    def _account(self, missing: int) -> None:
        """Raise what kept the pipeline from copying everything, if anything did."""
        shards = retried(self._book.workers)
        self.workers = tuple(sorted({row["worker"] for row in shards.values() if row["worker"]}))
        again = [number + 1 for number, row in shards.items() if row["tries"] > 1]
        self.losses += [
            f"shard {number} was begun again by Beam, and went on behind what it had loaded" for number in again
        ]
        for row in shards.values():
            if row["error"] and missing:
                raise self._explained(json.loads(row["error"]))
        if missing:
            raise self._running.failed(
                f"The Beam pipeline ended with status {self._running.ended} and {missing:,} chunks missing."
            )

    def _explained(self, error: dict[str, Any]) -> WorkbookError:
        if "kind" in error:
            kind: type[WorkbookError] = getattr(errors, error["kind"])
            return kind(error["found"], error["why"], error["todo"])
        server = self._source if error["role"] == "source" else self._target
        return server.explained(pymysql.err.OperationalError(error["code"], error["text"]), "loading rows")

    def _prove_standing(self) -> None:
        def holds() -> bool:
            with self._source.session() as session:
                return self._standing.holds(lambda sql: [tuple(row.values()) for row in session.rows(sql)])

        if not retried(holds):
            raise moved()

    def ran(self, copied: Sequence[Copied]) -> Ran:
        """How the pipeline ran, for the report."""
        seconds = max((item.ended for item in copied), default=0) - min((item.started for item in copied), default=0)
        pace = sum(item.bytes for item in copied) / 1e6 / seconds if seconds else None
        return ran(self._settings, self._job, "bulk_load", self.connections, self.workers, self.arguments, pace)

    def close(self) -> None:
        """End the pipeline, whatever it does; what it has not committed is rolled back by the server."""
        self._running.close()
