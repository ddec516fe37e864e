"""Driving the calls of a replay on one side: each in a transaction rolled back, under a limit of time, its effects read."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.converters import encoders

from workbook.catalog import Table
from workbook.mapping.types import rule_for
from workbook.names import mysql_path
from workbook.schema.definitions import TablePath
from workbook.servers import Server
from workbook.validate.encoding import Field, mysql_hash, mysql_value
from workbook.validate.replay_calls import Call
from workbook.validate.rows import decoded

Path = tuple[str, ...]
Sums = tuple[int, ...]  # rows, and their hashes added up
# The clock and the dice of every call: a leap day, so that nothing comes out alike by chance.
_FIXED = "SET SESSION timestamp = 1709214323.654321, rand_seed1 = 123456789, rand_seed2 = 987654321, last_insert_id = 0"
_MOST_ROWS = 2000
_LOST = (2006, 2013, 2055, 1317, 1053, 3024)
# Answers that come from the stage and not from the code: nothing was proven.
_UNHEARD = {
    1044, 1045, 1049, 1054, 1142, 1143, 1146, 1205, 1213, 1227, 1290, 1305, 1356, 1370, 1410, 1419, 1449, 3879, *_LOST,
}  # fmt: skip
_SIGNALLED = 1644


@dataclass(frozen=True)
class Effect:
    """What one call did: by place (a result's row and column, a table's row and column, an error) the value there.

    `unheard` says why it proves nothing; `through` whether it ran to an end that its author meant.
    """

    values: Mapping[Path, str | None] = field(default_factory=dict)
    unheard: str = ""
    through: bool = False

    @property
    def wrote(self) -> bool:
        """Whether rows of a table are not what they were."""
        return any(path[0] in ("row", "row without a key", "sum") for path in self.values)


@dataclass
class Watched:
    """A table of the scratch copy with its encoded columns and what it held before any call."""

    name: str
    table: Table
    fields: tuple[Field, ...]
    sums: Sums = ()
    rows: Mapping[Path, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, path: TablePath, table: Table) -> "Watched":
        """A table, which stands for the one at `path`, with all its columns, the generated ones too."""
        fields = tuple(
            Field(item.name, "", rule_for(item, True), item.name in table.key, item.charset) for item in table.columns
        )
        return cls(".".join(path), table, fields)

    def summed(self, number: int) -> str:
        """One row: the number given, how many rows there are and the sum of their hashes."""
        hashed = f"CAST(CONV(HEX(LEFT({mysql_hash(self.fields, 'exact')}, 7)), 16, 10) AS UNSIGNED)"
        return f"SELECT {number}, COUNT(*), SUM({hashed}) FROM {mysql_path(*self.table.path)}"

    def listed(self) -> str:
        """All its rows, encoded."""
        values = ", ".join(mysql_value(item, "exact") for item in self.fields)
        return f"SELECT {values} FROM {mysql_path(*self.table.path)} LIMIT {_MOST_ROWS}"


class Driver:
    """One side of a replay: the scratch copy as it stands, and a connection that is made anew where it was lost.

    `detailed` where every row that a call changed is to be read, and not only the sums of its table.
    """

    def __init__(self, server: Server, tables: Mapping[TablePath, Table], seconds: float, detailed: bool = False):
        self._server = server
        self._seconds = seconds
        self._detailed = detailed
        self._connection: pymysql.Connection[Any] | None = None
        self.watched = {path: Watched.of(path, table) for path, table in tables.items()}
        for chosen in _batches(list(self.watched.values())):
            for watched, sums in zip(chosen, self._sums(chosen), strict=True):
                watched.sums = sums
        if detailed:
            for watched in self.watched.values():
                watched.rows = self._rows(watched)

    def close(self) -> None:
        """Leave the connection."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def run(self, call: Call, tables: Sequence[TablePath]) -> Effect:
        """Carry out one call, read what it did to `tables`, and take it back."""
        values: dict[Path, str | None] = {}
        unheard, through = "", True
        connection = self._open()
        try:
            with connection.cursor() as cursor:
                cursor.execute(_FIXED)
                for name, value in call.settings:
                    cursor.execute(f"SET SESSION {name} = %s", (value,))
            with limited(self._server, connection, self._seconds) as late:
                try:
                    for place, (statement, given) in enumerate(call.statements):
                        values.update(answered(connection, place, statement, given, call.ordered))
                except pymysql.MySQLError as error:
                    code, text = told(error)
                    through = code == _SIGNALLED
                    values["error",] = f"{code}: {text}"
                    if late or code in _LOST:
                        self.close()
                        return Effect({}, f"it ran longer than {self._seconds:g} s and was stopped" if late else text)
                    if code in _UNHEARD:
                        unheard = text
            chosen = [self.watched[path] for path in tables if path in self.watched]
            for batch in _batches(chosen):
                for watched, sums in zip(batch, self._sums(batch), strict=True):
                    if sums != watched.sums:
                        values.update(self._changes(watched, sums))
            with connection.cursor() as cursor:
                cursor.execute("ROLLBACK")
        except pymysql.MySQLError as error:
            self.close()
            return Effect({}, told(error)[1])
        return Effect(values, unheard, through and not unheard)

    def settle(self, tables: Sequence[TablePath], wrote: bool) -> bool:
        """Put counters back; whether all is as it was before (not so where a call committed)."""
        self.close()
        chosen = [self.watched[path] for path in tables if path in self.watched]
        if wrote:
            with self._open().cursor() as cursor:
                for watched in chosen:
                    if any(column.auto_increment for column in watched.table.columns):
                        cursor.execute(f"ALTER TABLE {mysql_path(*watched.table.path)} AUTO_INCREMENT = 1")
        return all(
            sums == watched.sums
            for batch in _batches(chosen)
            for watched, sums in zip(batch, self._sums(batch), strict=True)
        )

    def _open(self) -> "pymysql.Connection[Any]":
        if self._connection is None:
            # Every call begins a transaction; values come as the text that the server sends.
            self._connection = self._server.raw(autocommit=False, conv=dict(encoders))
        return self._connection

    def _sums(self, chosen: Sequence[Watched]) -> list[Sums]:
        statement = " UNION ALL ".join(watched.summed(number) for number, watched in enumerate(chosen))
        with self._open().cursor() as cursor:
            cursor.execute(f"{statement} ORDER BY 1")
            return [(int(rows), int(hashes or 0)) for _, rows, hashes in cursor.fetchall()]

    def _rows(self, watched: Watched) -> dict[Path, str | None]:
        with self._open().cursor() as cursor:
            cursor.execute(watched.listed())
            found = [tuple(text(value) or "" for value in row) for row in cursor.fetchall()]
        rows: dict[Path, str | None] = {}
        counts: dict[Path, int] = {}
        kind = "row" if watched.table.key else "row without a key"
        for row in sorted(found):
            key = tuple(shown(value) for value, item in zip(row, watched.fields, strict=True) if item.key)
            if not key:
                # Of a table without a key a row is named by all that it holds.
                key = tuple(shown(value) for value in row)
                counts[key] = counts.get(key, 0) + 1
                key = (*key, f"no. {counts[key]}")
            for value, item in zip(row, watched.fields, strict=True):
                rows[kind, watched.name, " | ".join(key), item.name] = decoded(value)
        return rows

    def _changes(self, watched: Watched, sums: Sums) -> dict[Path, str | None]:
        """How a table is not what it was: the rows that changed, or by how much its sums did."""
        if not self._detailed:
            moved = [now - before for now, before in zip(sums, watched.sums, strict=True)]
            return {("sum", watched.name): " ".join(map(str, moved))}
        now = self._rows(watched)
        changed: dict[Path, str | None] = {
            path: value for path, value in now.items() if path not in watched.rows or watched.rows[path] != value
        }
        for path in watched.rows.keys() - now.keys():
            changed[(*path[:3], "")] = "deleted"
        return changed


def answered(
    connection: "pymysql.Connection[Any]", place: int, statement: str, values: Sequence[Any], ordered: bool
) -> dict[Path, str | None]:
    """All that a statement answers: the rows of each of its results, or how many rows it touched."""
    found: dict[Path, str | None] = {}
    with connection.cursor() as cursor:
        touched = cursor.execute(statement, tuple(values))
        number = 0
        while True:
            name = f"result {place + 1}.{number + 1}"
            if cursor.description is None:
                found["count", name] = str(touched)
            else:
                rows = [tuple(text(value) for value in row) for row in cursor.fetchmany(_MOST_ROWS)]
                titles = [str(item[0]) for item in cursor.description]
                found["columns", name] = " | ".join(titles)
                if not ordered:
                    rows.sort(key=lambda row: tuple((value is None, value or "") for value in row))
                for line, row in enumerate(rows, 1):
                    for column, (title, value) in enumerate(zip(titles, row, strict=True), 1):
                        found["answer", name, f"row {line}", f"{column}: {title}"] = value
            if not cursor.nextset():
                return found
            touched = cursor.rowcount
            number += 1


@contextmanager
def limited(server: Server, connection: "pymysql.Connection[Any]", seconds: float) -> Iterator[list[bool]]:
    """Kill the connection, from another one, when its time is over; the list then holds a word of it.

    MAX_EXECUTION_TIME does not hold within stored code, and a handler there may swallow what interrupts a statement.
    """
    number = int(connection.thread_id())
    late: list[bool] = []

    def stop() -> None:
        late.append(True)
        with suppress(Exception), server.raw(autocommit=True) as other, other.cursor() as cursor:
            cursor.execute(f"KILL {number}")

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def told(error: pymysql.MySQLError) -> tuple[int, str]:
    """Number and text of a server's error."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    return code, str(error.args[1])[:300] if len(error.args) > 1 else str(error)[:300]


def text(value: Any) -> str | None:
    """A value as text; bytes that are no text in hexadecimal."""
    if value is None:
        return None
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return f"0x{value.hex()}"
    return str(value)


def shown(encoded: str) -> str:
    """An encoded value of a key, for people."""
    value = decoded(encoded)
    return "NULL" if value is None else value


def _batches(chosen: Sequence[Watched], size: int = 40) -> Iterator[Sequence[Watched]]:
    for start in range(0, len(chosen), size):
        yield chosen[start : start + size]
