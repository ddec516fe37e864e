"""The fence: rows in flight are told from wrong ones by waiting until the target has applied what the source had executed."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workbook.bulk.ledger import SCHEMA
from workbook.errors import WorkbookError
from workbook.gtids import GtidSet
from workbook.names import mysql_path
from workbook.servers import Server, Session
from workbook.validate.resume import open_snapshot

APPLIED = mysql_path(SCHEMA, "cdc_applied")
_LOOK_SECONDS = 0.02
# How the target's position is known, in words for the report.
WAYS = {
    "replication": "by the target's own GTID set, as a replica of the source",
    "ledger": "by the applied GTID sets that change capture notes on the target",
    "": "by patience: nothing says how far the target is, so a row counts as wrong once neither side moved between looks",
}


@dataclass(frozen=True)
class Mark:
    """Where both servers stood."""

    source: str
    target: str


class Fence:
    """What is known of how the source's changes reach the target; shared by all tables of a validation."""

    def __init__(self, source: Server, target: Server, environment: str, patience: float):
        self._source, self._target, self._environment = source, target, environment
        self._patience = patience
        self._lock = threading.Lock()
        self._stuck = ""
        self.idle = False  # where patience must do: whether a look at one table saw nothing come to agree
        self.began = self.mark()
        with source.session() as here, target.session() as there:
            self._origin = _uuid(here)
            self.way = self._known(there)
            applied = self._applied(there)
        executed = GtidSet.parse(self.began.source)
        # What the target lacks below the highest that it has is not under way: it was never sent.
        self._never = [executed.without(one).without(executed.beyond(one)) for one in applied]

    def mark(self) -> Mark:
        """Where both servers stand now."""
        with self._source.session() as here, self._target.session() as there:
            return Mark(here.gtids(), there.gtids())

    @property
    def still(self) -> bool:
        """Whether nothing was under way since the beginning: both servers stand where they stood, and all is applied."""
        if not self.began.source or self.mark() != self.began:
            return False
        return not self.way or not self.missing(self.began.source)

    def missing(self, gtids: str) -> bool:
        """Whether the target has not yet applied all of a GTID set of the source."""
        with self._target.session() as there:
            return self._missing(there, GtidSet.parse(gtids))

    def wait(self, gtids: str) -> str:
        """Wait until the target has applied a GTID set of the source; why it has not, or nothing where it has.

        Where nothing tells, nothing is waited for. Once it took too long nobody waits as long again.
        """
        if not self.way:
            return ""
        wanted, end = GtidSet.parse(gtids), time.monotonic() + (0.0 if self._stuck else self._patience)
        with self._target.session() as there:
            while self._missing(there, wanted):
                if time.monotonic() > end:
                    with self._lock:
                        self._stuck = f"the target had not applied the source's changes after {self._patience:g} s"
                    return self._stuck
                time.sleep(_LOOK_SECONDS)
        with self._lock:
            self._stuck = ""
        return ""

    @contextmanager
    def snapshots(
        self, opened: Callable[[Session], object] = lambda session: open_snapshot(session, False)
    ) -> Iterator[tuple[Session, Session, str]]:
        """A picture of the source, and then one of the target that has all of it; why not, or nothing.

        `opened` has a session see one picture of its server.
        """
        with self._source.session() as here, self._target.session() as there:
            opened(here)
            why = self.wait(here.gtids())
            opened(there)
            yield here, there, why

    def _missing(self, there: Session, wanted: GtidSet) -> bool:
        applied = self._applied(there)
        for number, one in enumerate(applied):
            left = wanted
            if self.way == "replication":
                left = wanted.among({self._origin, *one.runs})
            if number < len(self._never):
                left = left.without(self._never[number])
            if left.without(one):
                return True
        return False

    def _known(self, there: Session) -> str:
        for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
            try:
                channels = there.rows(statement)
            except WorkbookError:  # the older name, or no privilege to look
                continue
            follows = {str(row.get("Source_UUID") or row.get("Master_UUID") or "").lower() for row in channels}
            if channels and (self._origin in follows or self._origin in GtidSet.parse(there.gtids()).runs):
                return "replication"
            break
        return "ledger" if self._noted(there) else ""

    def _applied(self, there: Session) -> list[GtidSet]:
        """What is applied; by each of the streams where there are several."""
        if self.way == "replication":
            return [GtidSet.parse(there.gtids())]
        return [GtidSet.parse(text) for text in self._noted(there)] if self.way else []

    def _noted(self, there: Session) -> list[str]:
        try:
            rows = there.rows(f"SELECT gtids FROM {APPLIED} WHERE stream = %s", (self._environment,))
        except WorkbookError:
            return []
        # What other environments bring to this target says nothing of this one's tables.
        return [str(row["gtids"]) for row in rows]


def _uuid(session: Session) -> str:
    return str(session.scalar("SELECT @@server_uuid") or "").lower() if session.flavour == "mysql" else ""
