"""Watching while changes flow: whether the target has caught up, how long the source keeps its binlog, what would be lost."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from workbook.catalog import Catalog
from workbook.cdc.change import Mark
from workbook.cdc.ledger import Ledger
from workbook.cdc.readiness import odd_sessions
from workbook.cdc.status import Report
from workbook.errors import TerminalError, WorkbookError
from workbook.mapping import Mapping as MappingInForce
from workbook.servers import Server

_LOOK_SECONDS, _SESSIONS_SECONDS = 1.0, 5.0
_PARTIAL = "Update_rows_partial"
_PAGE = 2000


class Watch:
    """Looks at both servers from time to time, and writes what it finds into the report."""

    def __init__(
        self, source: Server, target: Server, ledger: Ledger, mapping: MappingInForce, catalog: Catalog, report: Report
    ):
        self._source, self._target, self._ledger, self._report = source, target, ledger, report
        self._looked = self._sessions = 0.0
        self._json = any(
            column.data_type == "json"
            for item in mapping.in_scope
            if item.path in catalog.table
            for column in catalog.table[item.path].columns
        )
        self._unproven: Mapping[str, Any] | None = None

    def look(self) -> None:
        """Look, where it is time again. Raises TerminalError where changes would be lost from now on."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            self._look()
            if now - self._sessions >= _SESSIONS_SECONDS:
                self._sessions = now
                self._refuse_odd_sessions()
            self.prove()
        except TerminalError as error:
            if error.code == 0:
                raise
        except WorkbookError:
            # A server that is away is waited for where changes are applied.
            self._report.unreachable()
        self._report.write()

    def prove(self) -> None:
        """Look closely at transactions that brought no row. Raises TerminalError where they hold changes."""
        if self._unproven is not None:
            self._refuse_partial(self._unproven)
            self._unproven = None

    def marks(self, marks: Sequence[Mark], before: Mapping[str, Any]) -> None:
        """Note transactions that brought no row: they may hold changes that Debezium does not read."""
        if self._json and self._unproven is None and any(mark.kind == "end" and not mark.events for mark in marks):
            self._unproven = before

    def _look(self) -> None:
        position = self._ledger.position(self._target)
        if position is None:
            return
        dead = self._ledger.dead_count(self._target)
        with self._source.session() as session:
            executed = session.gtids()
            behind = session.scalar("SELECT GTID_SUBTRACT(%s, %s)", (executed, position.gtids))
            kept = session.scalar("SELECT @@GLOBAL.binlog_expire_logs_seconds")
        self._report.looked(position, dead, self._ledger.stopped(self._target), str(behind or ""), int(kept or 0))

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

    def _refuse_partial(self, offset: Mapping[str, Any]) -> None:
        """Look through the binlog since then for JSON that was changed in part, which Debezium passes over."""
        file, place = str(offset.get("file")), int(offset.get("pos") or 4)
        with self._source.session() as session:
            rows = session.rows(f"SHOW BINLOG EVENTS IN '{file}' FROM {max(place, 4)} LIMIT {_PAGE}")
        partial = next((row for row in rows if str(row["Event_type"]) == _PARTIAL), None)
        if partial is not None:
            raise TerminalError(
                f"The source wrote JSON in part (PARTIAL_JSON) at {file}:{partial['Pos']}.",
                "Debezium passes such changes over, so these rows differ from now on.",
                "Set binlog_row_value_options = '' on the source and in its sessions, then load the tables again.",
            )
