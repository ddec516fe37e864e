"""JSON that the source writes in part (PARTIAL_JSON): Debezium passes it over without a word, the binlog's list of events tells."""

import json
import re
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from workbook.cdc.change import Path as TablePath
from workbook.errors import TerminalError
from workbook.names import mysql_string
from workbook.servers import Server

#: The file beside those of the stream that says how far it was read; without it reading begins where the stream stands.
READ_SO_FAR = "partial.json"
_PARTIAL, _MAP, _COMPRESSED = "Update_rows_partial", "Table_map", "Transaction_payload"
_BEGINS = ("gtid", "anonymous_gtid")
_TABLE = re.compile(r"table_id: (\d+)(?: \((.*)\))?", re.DOTALL)
_PAGE = 2000
# So long it is read at a stretch, once a second: while changes flow, and where all of them are applied.
_BUSY_SECONDS, _IDLE_SECONDS = 0.1, 2.0


class PartialJson:
    """Reads on through the events of the source's binlog. How far is kept beside the stream's files: a start goes on there.

    `current` says whether nothing was left to read when it last looked.
    """

    def __init__(self, source: Server, tables: Collection[TablePath], folder: Path):
        self._source = source
        self._names = {f"{database}.{table}" for database, table in tables}
        self._file = folder / READ_SO_FAR
        self._place: tuple[str, int] | None = None
        # Where the transaction begins that is read: a start must know the tables that it names.
        self._begin: tuple[str, int] | None = None
        self._maps: dict[str, str] = {}
        self.current = not tables

    def look(self, offset: Mapping[str, Any], idle: bool) -> None:
        """Read on, from `offset` where nothing was read yet; for longer where nothing else is to be done.

        Raises TerminalError where a table was changed in a way that did not arrive, now and at every later start.
        """
        if not self._names:
            return
        if self._place is None:
            self._place = self._noted() or (str(offset.get("file")), int(offset.get("pos") or 4))
            self._begin = self._place
        until = time.monotonic() + (_IDLE_SECONDS if idle else _BUSY_SECONDS)
        while self._more() and time.monotonic() < until:
            pass
        self._note()

    def _more(self) -> bool:
        """Read a page; whether there is another."""
        assert self._place is not None
        file, place = self._place
        size = _PAGE
        with self._source.session() as session:
            files = [str(row["Log_name"]) for row in session.rows("SHOW BINARY LOGS")]
            if file not in files:
                raise TerminalError(
                    f"The source has purged {file} before it was looked through for JSON that was written in part.",
                    "Such changes do not arrive, so whether the rows are the same is not known.",
                    "Load again (workbook run bulk_load, then workbook cdc run), with a longer binlog_expire_logs_seconds.",
                )
            while True:
                rows = session.rows(f"SHOW BINLOG EVENTS IN {mysql_string(file)} FROM {place} LIMIT {size}")
                reached = self._read(file, rows)
                if len(rows) < size or reached > place:
                    break
                size *= 4  # the events of a compressed transaction are listed at one place
        self._place = file, max(place, reached)
        self.current = False
        if len(rows) == size:
            return True
        if file != files[-1]:
            self._place = self._begin = files[files.index(file) + 1], 4
            return True
        self.current = True
        return False

    def _read(self, file: str, rows: Collection[Mapping[str, Any]]) -> int:
        """Look through events; where the next page begins, so that no compressed transaction is cut."""
        begin = reached = 0
        compressed = False
        for row in rows:
            kind, place = str(row["Event_type"]), int(row["Pos"])
            if kind.lower().startswith(_BEGINS):
                begin, compressed = place, False
                self._begin = file, place
                self._maps.clear()
            elif kind == _COMPRESSED:
                compressed = True
            elif kind in (_MAP, _PARTIAL) and (found := _TABLE.match(str(row["Info"]))):
                number, name = found.groups()
                if kind == _MAP:
                    self._maps[number] = name or ""
                elif self._maps.get(number) in self._names:
                    raise _partial(self._maps[number], f"{file}:{place}")
            reached = begin if compressed else place
        return reached

    def _noted(self) -> tuple[str, int] | None:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            return str(content["file"]), int(content["pos"])
        except (OSError, ValueError, KeyError):
            return None

    def _note(self) -> None:
        if self._begin is not None:
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps({"file": self._begin[0], "pos": self._begin[1]}), encoding="utf-8")
            part.rename(self._file)


def _partial(table: str, place: str) -> TerminalError:
    return TerminalError(
        f"The source wrote JSON of {table} in part (PARTIAL_JSON), at {place}.",
        "Debezium passes such changes over, so these rows differ from now on.",
        "Set binlog_row_value_options = '' on the source and in its sessions, then load again"
        " (workbook run bulk_load, then workbook cdc run).",
    )
