"""Copying one chunk: raw rows from the source's snapshot through a pipe into LOAD DATA on the target, to the byte."""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.converters import conversions
from pymysql.cursors import SSCursor

from workbook.bulk.chunks import Chunk
from workbook.catalog import Column, Table
from workbook.errors import TerminalError
from workbook.names import mysql_path, mysql_string, quote_mysql, with_values
from workbook.servers import Server

_BATCH = 2000
# Their text never holds a tab, a newline or a backslash.
_PLAIN = {
    "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit", "year",
    "date", "datetime", "timestamp", "time", "enum", "set",
}  # fmt: skip
_ENCODERS = {kind: encoder for kind, encoder in conversions.items() if not isinstance(kind, int)}


@dataclass(frozen=True)
class Copied:
    """What copying a chunk came to: rows, bytes as sent, and when (Unix seconds)."""

    chunk: Chunk
    rows: int
    bytes: int
    started: float
    ended: float
    worker: int = 0


def reader(source: Server) -> "pymysql.Connection[Any]":
    """A connection that hands every value on as the bytes the source stores."""
    connection = source.raw(use_unicode=False, conv=_ENCODERS, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION character_set_results = NULL")
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    return connection


def writer(target: Server) -> "pymysql.Connection[Any]":
    """A connection for LOAD DATA: checks off that the source has already passed."""
    connection = target.raw(autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION foreign_key_checks = 0, unique_checks = 0")
    return connection


def select_expression(column: Column, converted: bool = False) -> str:
    """How a column is read so that its text is exact; `converted` where it is utf8mb4 on the target by choice."""
    name = quote_mysql(column.name)
    if column.data_type == "float":
        return f"CAST({name} AS DOUBLE)"  # the text protocol prints six digits of a FLOAT
    if column.data_type in ("bit", "enum", "set"):
        # Of an ENUM the number tells the empty error value from a member that is empty.
        return f"CAST({name} AS UNSIGNED)"
    return f"CONVERT({name} USING utf8mb4)" if converted else name


def load_expression(column: Column, variable: str) -> str | None:
    """What a column is set to from a user variable; None where the text can go straight into it."""
    if column.data_type in ("bit", "enum", "set"):
        return f"CAST({variable} AS UNSIGNED)"
    if column.data_type == "json":
        return f"CONVERT({variable} USING utf8mb4)"
    return None


def statements(table: Table, chunk: Chunk, converted: Collection[str] = ()) -> tuple[str, list[Any], str]:
    """The SELECT with its values, and the LOAD DATA with a %s for the file name."""
    columns = table.stored_columns
    path = mysql_path(*table.path)
    where, values = chunk.where()
    order = (
        " ORDER BY " + ", ".join(quote_mysql(name) for name in table.primary_key.columns) if table.primary_key else ""
    )
    read = f"SELECT {', '.join(select_expression(column, column.name in converted) for column in columns)} FROM {path}"
    select = with_values(read) + where + with_values(order) if values else read + order
    places, settings = [], []
    for number, column in enumerate(columns):
        expression = load_expression(column, f"@v{number}")
        places.append(quote_mysql(column.name) if expression is None else f"@v{number}")
        if expression is not None:
            settings.append(f"{quote_mysql(column.name)} = {expression}")
    load = (
        f"LOAD DATA LOCAL INFILE %s INTO TABLE {path} CHARACTER SET binary"
        r" FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'"
        f" ({', '.join(places)})" + (f" SET {', '.join(settings)}" if settings else "")
    )
    return select, values, load


def copy_chunk(
    table: Table,
    chunk: Chunk,
    source: "pymysql.Connection[Any]",
    target: "pymysql.Connection[Any]",
    done: str | None = None,
    worker: int = 0,
    converted: Collection[str] = (),
) -> Copied:
    """Copy the rows of `chunk` and, in the same transaction, run `done` (the chunk ledger's statement, with a %s each
    for rows and bytes). The text of columns in `converted` is sent as utf8mb4.

    Raises TerminalError where a row was refused, changed or lost on the way, with the key range; nothing of the chunk
    is then on the target.
    """
    select, values, load = statements(table, chunk, converted)
    started = time.time()
    feed = _Feed(table, source, select, values)
    with tempfile.TemporaryDirectory(prefix="workbook-") as folder:
        pipe = os.path.join(folder, "rows")
        os.mkfifo(pipe, 0o600)
        thread = threading.Thread(target=feed.into, args=(pipe,), daemon=True)
        thread.start()
        try:
            with target.cursor() as cursor:
                # A generated column notes each value that it rounds, as it did on the source.
                generated = len(table.stored_columns) < len(table.columns)
                cursor.execute(f"SET SESSION sql_notes = {int(not generated)}")
                cursor.execute(load.replace("%s", mysql_string(pipe), 1))
                loaded = cursor.rowcount
                warnings = _count(cursor)
                thread.join()
                feed.raise_failure()
                _check(cursor, chunk, feed, loaded, warnings)
                if done is not None and cursor.execute(done, (feed.rows, feed.bytes)) != 1:
                    # A worker whose parent was killed may have finished its last chunk after all.
                    raise TerminalError(
                        f"{chunk} was loaded by another worker meanwhile.",
                        "Its rows would be there twice, so this copy of them is not committed.",
                        "Run the phase again: it goes on with the chunks that are missing.",
                    )
            target.commit()
        except BaseException:
            with contextlib.suppress(pymysql.MySQLError, OSError):
                target.rollback()
            _release(pipe, thread)
            raise
    return Copied(chunk, feed.rows, feed.bytes, started, time.time(), worker)


class _Feed:
    """Reads rows and writes them as LOAD DATA takes them, in a thread beside the statement that reads the pipe."""

    def __init__(self, table: Table, connection: "pymysql.Connection[Any]", select: str, values: list[Any]):
        self._connection = connection
        self._select = select
        self._values = values
        columns = table.stored_columns
        self._free_text = [number for number, column in enumerate(columns) if column.data_type not in _PLAIN]
        self._enums = [number for number, column in enumerate(columns) if column.data_type == "enum"]
        self.rows = 0
        self.bytes = 0
        self.empty_enums = 0
        self._failure: BaseException | None = None

    def into(self, pipe: str) -> None:
        """Write all rows into the pipe; a failure is kept for the thread that waits."""
        try:
            # Unbuffered would be a system call a row.
            with open(pipe, "wb", buffering=1 << 20) as output, self._connection.cursor(SSCursor) as cursor:
                cursor.execute(self._select, self._values or None)
                while rows := cursor.fetchmany(_BATCH):
                    self._write(output, rows)
        except BaseException as error:
            self._failure = error

    def _write(self, output: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        lines = []
        free_text, enums = self._free_text, self._enums
        for row in rows:
            values = list(row)
            for number in free_text:
                value = values[number]
                if value is not None:
                    if b"\\" in value:
                        value = value.replace(b"\\", b"\\\\")
                    if b"\t" in value:
                        value = value.replace(b"\t", b"\\t")
                    if b"\n" in value:
                        value = value.replace(b"\n", b"\\n")
                    values[number] = value
            for number in enums:
                if values[number] == b"0":
                    self.empty_enums += 1
            lines.append(b"\t".join([b"\\N" if value is None else value for value in values]))
        lines.append(b"")
        text = b"\n".join(lines)
        self.rows += len(rows)
        self.bytes += len(text)
        output.write(text)

    def raise_failure(self) -> None:
        """Raise what stopped the reading, if anything did: the pipe then ended early and rows are missing."""
        if self._failure is not None:
            raise self._failure


def _count(cursor: Any) -> int:
    cursor.execute("SHOW COUNT(*) WARNINGS")
    return int(cursor.fetchone()[0])


def _check(cursor: Any, chunk: Chunk, feed: _Feed, loaded: int, warnings: int) -> None:
    """LOAD DATA LOCAL turns errors into warnings, so rows and warnings are counted."""
    # The empty error value of an ENUM warns each time it is stored, though it is stored as it was.
    if loaded == feed.rows and warnings == feed.empty_enums:
        return
    cursor.execute("SHOW WARNINGS LIMIT 64")
    first = next(
        (text for _, code, text in cursor.fetchall() if code != 1265 or not feed.empty_enums), "no warning shown"
    )
    raise TerminalError(
        f"Of {feed.rows:,} rows of {chunk}, the target took {loaded:,}, with {warnings:,} warnings: {first}",
        "A row would be missing, or its value would not be the source's.",
        "Mend the cause on the source or leave the table out of scope in the mapping; then run the phase again.",
    )


def _release(pipe: str, thread: threading.Thread) -> None:
    """Let a writer go that still waits for a reader of the pipe."""
    while thread.is_alive():
        with contextlib.suppress(OSError):
            os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
        thread.join(0.1)
