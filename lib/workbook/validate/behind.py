"""The warehouse lags by design: rows that changed on Cloud SQL after it was loaded are told from wrong ones by the binlog."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from workbook.bulk.chunks import chunkable_key
from workbook.catalog import Table
from workbook.errors import WorkbookError
from workbook.servers import Server
from workbook.validate.binlog import Path, Reader, Touched, Wanted
from workbook.validate.binlog_rows import Unreadable
from workbook.validate.canonical import encode
from workbook.validate.encoding import Field
from workbook.validate.fence import Fence
from workbook.validate.locate import Search
from workbook.validate.rows import Located
from workbook.validate.touched import cascaded, cascades_told, judge, place

if TYPE_CHECKING:
    from workbook.validate.locate import Keys
    from workbook.validate.result import TableVerdict

# Python's names of the character sets in which a key is told from its bytes.
_CODECS = {"utf8mb4": "utf-8", "utf8mb3": "utf-8", "utf8": "utf-8", "ascii": "ascii", "latin1": "cp1252"}
_MOST_KEYS = 1_000_000


@dataclass(frozen=True)
class Late:
    """Rows that differ and changed after the load: how many, whether no other row differs, and why it cannot be told."""

    rows: int = 0
    alone: bool = False
    unknown: str = ""

    @property
    def said(self) -> str:
        """The same in words."""
        if self.unknown and self.alone:
            return (
                f"the table changed on Cloud SQL after the warehouse was loaded, and which rows is not known ({self.unknown}):"
                " load it, then validate again"
            )
        if self.unknown:
            return f"whether rows changed on Cloud SQL since the warehouse was loaded is not known: {self.unknown}"
        if not self.rows:
            return ""
        return f"{self.rows:,} rows changed on Cloud SQL after the warehouse was loaded: load it, then validate again"


class Behind:
    """What changed on Cloud SQL since the warehouse was loaded from the state `loaded` (a GTID set; empty: not known).

    `tables` as they are on Cloud SQL; those of `merged` show the state beside them. The binlog is read when the first row differs, and on from there later.
    """

    def __init__(
        self,
        target: Server,
        fence: Fence,
        tables: Mapping[Path, Table],
        loaded: str,
        merged: Mapping[Path, str] = MappingProxyType({}),
    ):
        others = {state: Behind(target, fence, tables, state) for state in {*merged.values()} - {loaded}}
        self._others = {path: others[state] for path, state in merged.items() if state in others}
        self._target, self._fence, self._tables = target, fence, tables
        self._upto = loaded
        self._lock = threading.Lock()
        self._reader = Reader({path: _wanted(table) for path, table in tables.items()}, judge(tables))
        self._known = bool(loaded)
        self.why = ""

    def told(self, path: Path, fields: Sequence[Field], search: Search, wrong: Keys | None) -> tuple[Located, Late]:
        """What a search found, without the rows that changed since; `path` and `fields` as on Cloud SQL.

        Rows that are `wrong` on Cloud SQL are no rows that the warehouse only lacks yet.
        """
        import numpy as np

        if path in self._others:
            return self._others[path].told(path, fields, search, wrong)
        if not self._known:
            return search.located(), Late()
        changed, unknown, any_may = self._changed(path, fields)
        if any_may:
            excused = wrong is None
            return search.located(), Late(len(search.odd) if excused else 0, excused, unknown)
        late = np.intersect1d(search.odd, changed)
        if wrong is not None:
            late = np.setdiff1d(late, wrong)
        if not len(late):
            return search.located(), Late(0, False, unknown)
        located = search.without(late)
        alone = search.all_counted and not (located.missing or located.extra or located.changed)
        return located, Late(len(late), alone, unknown)

    def _changed(self, path: Path, fields: Sequence[Field]) -> tuple[Keys, str, bool]:
        """The hashes of the keys of rows that changed since; why they cannot be told, and whether each row may be one."""
        import numpy as np

        none = np.array([], dtype=np.uint64)
        with self._lock:
            self._read()
            touched = self._reader.found.get(path, Touched())
            if self.why or touched.full:
                return none, self.why or touched.full, not self.why
            try:
                found = _hashes(self._tables[path], touched, fields)
            except (Unreadable, UnicodeDecodeError) as error:
                return none, f"its keys cannot be told from the binlog: {error}", True
        return np.array(sorted(found), dtype=np.uint64), "", False

    def _read(self) -> None:
        """Read on. What the source has by now is waited for, since rows of it may be set against the warehouse too."""
        if self.why:
            return
        try:
            self._fence.wait(self._fence.mark().source)
            now = place(self._target)
            if now.why:
                self.why = now.why
            elif now.gtids != self._upto:
                self._reader.read(self._target, self._upto)
                self._upto = now.gtids
                if not cascades_told(self._target):
                    cascaded(self._tables, self._reader.found)
        except (Unreadable, WorkbookError) as error:
            self.why = str(error) if isinstance(error, Unreadable) else error.found


def not_yet(base: TableVerdict, states: Mapping[str, str], late: Late) -> TableVerdict:
    """The verdict on a hop of which only rows differ that changed on Cloud SQL after the load."""
    columns = {name: "sampled" if state == "proven" else state for name, state in states.items()}
    return replace(base, verdict="incomparable", columns=columns, why=late.said, behind=late.rows)


def _wanted(table: Table) -> Wanted:
    names = [column.name for column in table.columns]
    key = chunkable_key(table) if table.key else ()
    return Wanted(len(names), tuple(names.index(name) for name in key), _MOST_KEYS)


def _hashes(table: Table, touched: Touched, fields: Sequence[Field]) -> set[int]:
    """The first 64 bits of the hash of each key, as the servers know it."""
    if touched.layout is None:
        return set()
    columns = [table.column[name] for name in table.key]
    values = touched.layout.values(columns)
    # As the servers hash a key: in the order of the columns.
    order = [(table.key.index(item.name), item.rule.name) for item in fields if item.key]
    found = set()
    for raw in touched.keys:
        made = [
            value.decode(_CODECS[column.charset]) if isinstance(value, bytes) and column.charset in _CODECS else value
            for column, value in zip(columns, values(raw), strict=True)
        ]
        encoded = b"".join(encode(rule, made[number], "shared") for number, rule in order)
        found.add(int.from_bytes(hashlib.sha256(encoded).digest()[:8], "big"))
    return found
