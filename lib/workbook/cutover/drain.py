"""Draining: a row written on the closed server comes out at the other end, and with it all that was written before."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbook.bulk.snapshot import position
from workbook.cdc import SENTINEL, Ledger
from workbook.errors import TerminalError, TransientError
from workbook.gtids import GtidSet
from workbook.names import mysql_path
from workbook.servers import Server

_TABLE = mysql_path(*SENTINEL)
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Drained:
    """That all of a GTID set of one server is applied on the other: how long it took, and what had been applied by then.

    `changes` counts those applied so far.
    """

    gtids: str
    seconds: float
    changes: int

    def asdict(self) -> dict[str, Any]:
        """Plain values, for the ledger."""
        return asdict(self)


def prepare(server: Server) -> None:
    """Make the table of the sentinels where it is not there."""
    with server.session() as session:
        session.execute(f"CREATE DATABASE IF NOT EXISTS {mysql_path(SENTINEL[0])}")
        session.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (token CHAR(32) PRIMARY KEY, at DATETIME(6) NOT NULL)")


def drain(origin: Server, destination: Server, ledger: Ledger, seconds: float, ended: Callable[[], str]) -> Drained:
    """Write a sentinel on `origin` and wait until the stream has applied all before it on `destination`.

    `ended` says why the stream has ended, or nothing while it runs. Raises TransientError where it takes longer than
    `seconds`, TerminalError where the stream has ended or has not applied everything.
    """
    with origin.session() as session:
        wanted = session.gtids()
        # The engine names a transaction only when the next one has begun, and this one is the next.
        session.execute(f"INSERT INTO {_TABLE} VALUES (%s, UTC_TIMESTAMP(6))", (secrets.token_hex(16),))
    began, before = time.monotonic(), GtidSet.parse(wanted)
    while True:
        reached = ledger.position(destination)
        if reached is not None and GtidSet.parse(reached.gtids).holds(before):
            break
        if why := ended():
            raise TerminalError(
                f"The stream from the {origin.role} has ended: {why}",
                f"The last changes have not reached the {destination.role}.",
                "Mend the cause (workbook cdc status tells), then run the cutover again.",
            )
        if time.monotonic() - began > seconds:
            missing = before.without(GtidSet.parse(reached.gtids)) if reached is not None else before
            raise TransientError(
                f"After {seconds:g} s the {destination.role} still lacks transactions of the {origin.role}:"
                f" {str(missing)[:200]}.",
                "Opened now, it would lack their changes.",
                "See workbook cdc status for the lag; raise cutover.drain_s, or wait for a quieter time, then run again.",
            )
        time.sleep(_LOOK_SECONDS)
    refuse_refused(ledger, destination)
    return Drained(wanted, time.monotonic() - began, reached.applied)


def refuse_refused(ledger: Ledger, destination: Server) -> None:
    """Raise TerminalError where changes were refused, or a table is not followed any more."""
    dead, stopped = ledger.dead_count(destination), ledger.stopped(destination)
    if dead or stopped:
        words = [f"{dead} dead letters wait"] if dead else []
        words += [f"{mysql_path(*item.path)} is not followed ({item.reason})" for item in stopped[:3]]
        raise TerminalError(
            f"The stream has not applied everything: {'; '.join(words)}.",
            f"The {destination.role} lacks these changes.",
            "Mend it first (workbook cdc replay-dead-letters; workbook cdc add for a table that stands still), then run again.",
        )


def standing(server: Server) -> Mapping[str, Any]:
    """Where a server's binlog stands, in the words of a bulk load's snapshot. Raises TerminalError where it has none."""
    with server.session() as session:
        file, place, gtids = position(session)
        taken = str(session.scalar("SELECT UTC_TIMESTAMP(6)"))
    if file is None or not gtids:
        raise TerminalError(
            f"The {server.role} shows no binlog position or no GTID set.",
            "What is written there could not be brought back.",
            "Switch its binlog and GTIDs on (on Cloud SQL: point-in-time recovery), or set cutover.reverse to none.",
        )
    return {"file": file, "position": place, "gtids": gtids, "taken": taken, "how": "at a cutover"}
