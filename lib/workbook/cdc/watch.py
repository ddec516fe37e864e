"""Watching while changes flow: whether the target has caught up, how long the source keeps its binlog, what would be lost."""

import time
from pathlib import Path

from workbook.catalog import Catalog
from workbook.cdc.ledger import Ledger, Position
from workbook.cdc.partial import PartialJson
from workbook.cdc.readiness import odd_sessions
from workbook.cdc.status import Report
from workbook.errors import TerminalError, WorkbookError
from workbook.mapping import Mapping as MappingInForce
from workbook.servers import Server

_LOOK_SECONDS, _SESSIONS_SECONDS = 1.0, 5.0


class Watch:
    """Looks at both servers from time to time, and writes what it finds into the report."""

    def __init__(
        self,
        source: Server,
        target: Server,
        ledger: Ledger,
        mapping: MappingInForce,
        catalog: Catalog,
        report: Report,
        folder: Path,
    ):
        self._source, self._target, self._ledger, self._report = source, target, ledger, report
        self._looked = self._sessions = 0.0
        self._documents = {
            item.path
            for item in mapping.in_scope
            if item.path in catalog.table
            and any(column.data_type == "json" for column in catalog.table[item.path].columns)
        }
        self._folder = folder
        self._partial: PartialJson | None = None

    @property
    def proven(self) -> bool:
        """Whether all that the source had written by the last look was looked through for what does not arrive."""
        return self._partial is not None and self._partial.current

    def look(self) -> None:
        """Look, where it is time again. Raises TerminalError where changes would be lost from now on."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            position = self._look()
            if now - self._sessions >= _SESSIONS_SECONDS:
                self._sessions = now
                self._refuse_odd_sessions()
            if position is not None:
                if self._partial is None:
                    # What is not followed may be written in any way.
                    documents = self._documents & self._ledger.followed(self._target)
                    self._partial = PartialJson(self._source, documents, self._folder)
                self._partial.look(position.offset, self._report.caught_up)
        except TerminalError as error:
            if error.code == 0:
                raise
        except WorkbookError:
            # A server that is away is waited for where changes are applied.
            self._report.unreachable()
        self._report.write()

    def _look(self) -> Position | None:
        position = self._ledger.position(self._target)
        if position is None:
            return None
        dead = self._ledger.dead_count(self._target)
        with self._source.session() as session:
            executed = session.gtids()
            behind = session.scalar("SELECT GTID_SUBTRACT(%s, %s)", (executed, position.gtids))
            kept = session.scalar("SELECT @@GLOBAL.binlog_expire_logs_seconds")
        self._report.looked(position, dead, self._ledger.stopped(self._target), str(behind or ""), int(kept or 0))
        return position

    def _refuse_odd_sessions(self) -> None:
        try:
            found = odd_sessions(self._source)
        except WorkbookError:
            return  # readiness has said that they cannot be seen
        if found:
            row = found[0]
            raise TerminalError(
                f"Session {row['id']} of {row['user']}@{row['host']} on the source has {row['name']} = {row['value']}.",
                "Its changes arrive in part or not at all, and no later event tells.",
                "Have its application keep the default, and run `workbook cdc run` again; tables that it has changed"
                " since must be compared (workbook run validate) or loaded again.",
            )
