"""The life of a shard on a worker of a Beam pipeline: one connection to each server, one chunk after the other.

A shard is done again where its worker was lost. What it had committed is in the chunk ledger, so it goes on behind that;
and while two workers hold the same shard, a lock on the target lets one of them copy at a time.
"""

import contextlib
import hashlib
import json
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from workbook.beam.login import Login
from workbook.bulk.orders import Orders, read
from workbook.bulk.pump import Job, Valve, move
from workbook.bulk.standing import moved
from workbook.errors import TransientError, WorkbookError
from workbook.names import mysql_string
from workbook.params import LOOPBACK
from workbook.wire import Address, Loader, Wire, WireError, drivers, reader, writer


@dataclass(frozen=True)
class Finished:
    """What a shard came to in this try: chunks, rows, bytes."""

    chunks: int = 0
    rows: int = 0
    bytes: int = 0


def copy_shard(orders: Orders, number: int) -> Finished:
    """Copy the chunks of a shard that are not on the target yet.

    What another try cannot mend is noted beside the orders, for the one who waits, and ends the shard quietly: Beam
    would try it again, to no avail. What may pass is raised, once it has lasted longer than the orders' patience.
    """
    with _Shard(orders, number) as shard:
        try:
            return shard.work()
        except WireError as error:
            shard.note({"role": error.role, "code": error.code, "text": error.text})
            if error.passing:
                raise
        except WorkbookError as error:
            kind = type(error).__name__
            shard.note({"kind": kind, "found": error.found, "why": error.why, "todo": error.todo})
            if isinstance(error, TransientError):
                raise
    return Finished()


class _Shard:
    def __init__(self, orders: Orders, number: int):
        self._orders, self._number = orders, number
        self._driver = orders.driver if orders.driver in drivers() else drivers()[-1]
        self._source: Wire | None = None
        self._target: Loader | None = None
        self._valve = Valve()

    def __enter__(self) -> "_Shard":
        return self

    def __exit__(self, *_: object) -> None:
        self._drop("source")
        self._drop("target")

    def work(self) -> Finished:
        """Copy what is left, in the order of its places."""
        give_up = time.monotonic() + self._orders.patience
        chunks = rows = size = 0
        begun = False
        while True:
            try:
                target = self._opened()
                if not begun:
                    self._begin(target)
                    begun = True
                for job in self._left(target):
                    self._take_up_pace(target)
                    done = move(job, self._fresh_snapshot(), target, self._valve)
                    chunks, rows, size = chunks + 1, rows + done.rows, size + done.bytes
                    give_up = time.monotonic() + self._orders.patience
                return Finished(chunks, rows, size)
            except WireError as error:
                if not error.passing or time.monotonic() > give_up:
                    raise
                if error.lost:
                    self._drop(error.role)
                time.sleep(0.3)

    def note(self, error: dict[str, Any]) -> None:
        """Leave word of what went wrong, where that is still possible."""
        with contextlib.suppress(WireError, WorkbookError):
            target = self._target or writer(_address(self._orders.target))
            target.run("ROLLBACK")
            self._set(target, f"error = {mysql_string(json.dumps(error))}")
            target.run("COMMIT")

    def _opened(self) -> Loader:
        """The connection to the target, which holds the lock of this shard."""
        if self._target is None:
            self._target = writer(_address(self._orders.target))
            name = hashlib.sha256(f"{self._orders.shards} {self._number}".encode()).hexdigest()[:40]
            if (
                self._target.rows(f"SELECT GET_LOCK('workbook-{name}', {max(int(self._orders.patience), 1)})")[0][0]
                != b"1"
            ):
                raise TransientError(
                    f"Another worker still holds shard {self._number}.",
                    "Two workers would copy the same chunks.",
                    "Wait until the pipeline before this one has ended, then run the phase again.",
                )
        return self._target

    def _begin(self, target: Wire) -> None:
        who = mysql_string(f"{socket.gethostname()}:{os.getpid()}")
        self._set(target, f"worker = {who}, begun_at = UTC_TIMESTAMP(3), tries = tries + 1, error = NULL")
        target.run("COMMIT")

    def _set(self, target: Wire, values: str) -> None:
        target.run(f"UPDATE {self._orders.shards} SET {values} WHERE shard = {self._number}")

    def _left(self, target: Wire) -> list[Job]:
        rows = target.rows(
            f"SELECT job FROM {self._orders.orders} JOIN {self._orders.chunks} USING (source_database, source_table,"
            f" number) WHERE shard = {self._number} AND loaded_rows IS NULL ORDER BY place"
        )
        target.run("COMMIT")
        return [read(row[0] or b"") for row in rows]

    def _take_up_pace(self, target: Wire) -> None:
        """Keep to the pace that the one who waits has set; a pause is sat out between chunks."""
        while True:
            pace = target.rows(f"SELECT pace FROM {self._orders.shards} WHERE shard = {self._number}")[0][0]
            target.run("COMMIT")
            self._valve.set(None if pace is None else float(pace))
            if pace is None or float(pace) > 0:
                return
            time.sleep(1)

    def _fresh_snapshot(self) -> Wire:
        """The source, in a transaction that sees what all the others see. Raises Refused where it has changed."""
        if self._source is None:
            self._source = reader(_address(self._orders.source), self._driver)
        self._source.run("COMMIT")
        self._source.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        if not self._orders.standing.holds(self._source.rows):
            raise moved()
        return self._source

    def _drop(self, role: str) -> None:
        wire = self._source if role == "source" else self._target
        if wire is not None:
            with contextlib.suppress(Exception):
                wire.close()
        if role == "source":
            self._source = None
        else:
            self._target = None


def _address(login: Login) -> Address:
    host, port, user, password = login.resolved()
    return Address(login.role, host, port, user, password, host not in LOOPBACK, login.instance, login.public)
