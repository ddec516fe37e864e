"""What is asked of the target within the night's snapshot: checksums of key ranges, row counts, the highest watermark."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pymysql
from pymysql.converters import decoders
from pymysql.cursors import DictCursor

from workbook.bulk.chunks import Chunk
from workbook.catalog import Table
from workbook.incremental.state import Bounds, Sum
from workbook.mapping import TableMap
from workbook.names import mysql_path, quote_mysql, with_values
from workbook.servers import Server, Session
from workbook.validate.encoding import fields
from workbook.validate.sums import Reading, mysql_sums
from workbook.validate.walk import Cutter
from workbook.warehouse.extract import EVERYWHERE, Reader, Where

# Beyond so many ranges their checksums are no help: the state of a table would be megabytes.
MOST_RANGES = 40_000


class SnapshotSession(Session):
    """A session on a connection of the snapshot, which otherwise hands out bytes."""

    def __init__(self, server: Server, reader: Reader):
        self.server = server
        self.reader = reader
        self.connection: Any = reader.connection

    def rows(self, sql: str, values: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """All rows as dictionaries."""
        started, kept = time.time(), (self.connection.decoders, self.connection.use_unicode)
        self.connection.decoders, self.connection.use_unicode = decoders, True
        try:
            with self.connection.cursor(DictCursor) as cursor:
                cursor.execute(sql, None if values is None else tuple(values))
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            raise self.server.explained(error, "reading the snapshot") from None
        finally:
            self.connection.decoders, self.connection.use_unicode = kept
            self.server.record(sql, started)

    def scalar(self, sql: str, values: Sequence[Any] | None = None) -> Any:
        """The first value of the first row, or None."""
        found = self.rows(sql, values)
        return next(iter(found[0].values())) if found else None


def count(session: Session, table: Table) -> int:
    """How many rows a table has."""
    return int(session.scalar(f"SELECT COUNT(*) FROM {mysql_path(*table.path)}"))


def sums_of(session: Session, table: Table, mapped: TableMap, known: Sequence[Bounds] = ()) -> dict[Bounds, Sum]:
    """The checksums of a table by key ranges: those of the `known` bounds, and new ones behind them. Empty for too many."""
    reading = Reading(session, table.path, fields(table, mapped))
    cutter, found = Cutter(session, table), dict[Bounds, Sum]()
    # The last known range is open, and may have grown: it is cut anew.
    for chunk in cutter.chunks([high for _, high in known if high is not None]):
        started = time.monotonic()
        digests, _ = mysql_sums(reading, bool(table.key), chunk, shared=False)
        found[chunk.lower, chunk.upper] = (digests["exact"].rows, digests["exact"].pieces)
        cutter.took(digests["exact"].rows, time.monotonic() - started)
        if len(found) > MOST_RANGES:
            return {}
    return found


def changed_ranges(before: Mapping[Bounds, Sum | None], now: Mapping[Bounds, Sum]) -> list[Bounds]:
    """The ranges of now that are not as they were."""
    return [bounds for bounds, found in now.items() if before.get(bounds) != found]


def where_of(table: Table, ranges: Sequence[Bounds]) -> list[Where]:
    """The clauses of the rows of some ranges."""
    return [Chunk(*table.path, number, table.key, low, high).where() for number, (low, high) in enumerate(ranges, 1)]


def watermark_of(session: Session, table: Table, name: str) -> str | None:
    """The highest watermark as text; of times the highest that is not in the future, so that a mistaken one hides nothing."""
    column = quote_mysql(name)
    past = "" if _whole(table, name) else f" WHERE {column} <= UTC_TIMESTAMP(6)"
    found = session.scalar(f"SELECT CAST(MAX({column}) AS CHAR) AS w FROM {mysql_path(*table.path)}{past}")
    return None if found is None else str(found)


def beyond(table: Table, name: str, watermark: str | None, lookback: float) -> Where:
    """The clause of the rows that may have changed since the highest watermark was that one; those without any, too."""
    if watermark is None:
        return EVERYWHERE
    column = with_values(quote_mysql(name))
    if _whole(table, name):
        return f" WHERE ({column} >= %s OR {column} IS NULL)", [int(watermark) - int(lookback)]
    # The text first: a number of seconds taken off a text would be compared as one.
    low = "CAST(%s AS DATETIME(6)) - INTERVAL %s SECOND"
    # IS NULL finds zero dates too, but not beside an OR.
    return f" WHERE ({column} >= {low} OR {column} IS NULL OR {column} = '0000-00-00')", [watermark, lookback]


def _whole(table: Table, name: str) -> bool:
    return table.column[name].data_type.endswith("int")
