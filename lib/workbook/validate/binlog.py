"""A server's binlog from a GTID set on to its end, as the replication protocol sends it: the keys of the rows that changed.

Own code, because the figure asks for it: the libraries decode every value of every row, at some thousand rows a second,
and only keys are wanted here.
"""

import struct
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pymysql

from workbook.gtids import GtidSet
from workbook.servers import Server
from workbook.validate.binlog_rows import Layout, Unreadable, wires

_DUMP_GTID, _NON_BLOCK = 0x1E, 0x01
_HEADER = struct.Struct("<IBIIIH")
_HEAD = _HEADER.size
_QUERY, _FORMAT, _TABLE, _INCIDENT, _PARTIAL, _PAYLOAD = 2, 15, 19, 26, 39, 40
_ROWS = {30: "inserted", 31: "updated", 32: "deleted"}
_PIECE = 1 << 18
Path = tuple[str, str]


@dataclass
class Touched:
    """What a binlog says of one table: raw keys of rows, how many rows each kind of event had, and its layout.

    `full` says why this is not all there is to know, so that only the table itself can tell.
    """

    keys: set[bytes] = field(default_factory=set)
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    layout: Layout | None = None
    full: str = ""

    @property
    def events(self) -> int:
        """How many rows were touched, each as often as it was."""
        return self.inserted + self.updated + self.deleted


@dataclass(frozen=True)
class Wanted:
    """A table that is looked for: how many columns it has, and the places of its key's columns (none: no key)."""

    columns: int
    key: tuple[int, ...]
    most: int  # keys; beyond them the table is better read whole


class Reader:
    """Reads events and gathers what they say of the `wanted` tables; `statement` judges each that is no row event.

    It is given the database in which the statement ran and its text, and answers with the tables that it may have
    changed and why: they are to be read whole.
    """

    def __init__(self, wanted: Mapping[Path, Wanted], statement: Callable[[str, str | None], Mapping[Path, str]]):
        self.found: dict[Path, Touched] = {}
        self.events = 0
        self._wanted = wanted
        self._statement = statement
        self._tables: dict[bytes, tuple[Wanted, Touched] | None] = {}
        self._maps: dict[bytes, tuple[Wanted, Touched] | None] = {}

    def read(self, server: Server, since: str) -> None:
        """Read all that was executed beyond the set `since`. Raises Unreadable where the server has not all of it any more."""
        for kind, body, at, end in _events(server, since):
            self._take(kind, body, at, end)

    def _take(self, kind: int, body: bytes, at: int, end: int) -> None:
        self.events += 1
        if kind in _ROWS:
            known = self._tables.get(body[at : at + 6])
            if known is not None:
                self._rows(kind, known, body, at, end)
        elif kind == _TABLE:
            # Most transactions name the same tables with the same bytes.
            said = body[at + 6 : end]
            if said not in self._maps:
                self._maps[said] = self._named(said)
            self._tables[body[at : at + 6]] = self._maps[said]
        elif kind == _QUERY:
            self._query(body, at, end)
        elif kind == _PAYLOAD:
            inner = _unpacked(body[at:end])
            place = 0
            while place < len(inner):
                _, within, _, size, _, _ = _HEADER.unpack_from(inner, place)
                self._take(within, inner, place + _HEAD, place + size)
                place += size
        elif kind == _PARTIAL:
            known = self._tables.get(body[at : at + 6])
            if known is not None:
                known[1].full = known[1].full or "its binlog holds parts of JSON values (binlog_row_value_options)"
        elif kind == _INCIDENT:
            raise Unreadable("the binlog says that it is not complete (an incident event)")

    def _named(self, said: bytes) -> tuple[Wanted, Touched] | None:
        """The table that an event names, where it is one that is wanted."""
        at = 2
        size = said[at]
        database = said[at + 1 : at + 1 + size].decode()
        at += size + 2
        size = said[at]
        table = said[at + 1 : at + 1 + size].decode()
        at += size + 2
        wanted = self._wanted.get((database, table))
        if wanted is None:
            return None
        touched = self.found.setdefault((database, table), Touched())
        count, at = _length(said, at)
        types = said[at : at + count]
        size, at = _length(said, at + count)
        if count != wanted.columns:
            touched.full = touched.full or "its binlog has other columns than the catalogue"
        elif not wanted.key:
            touched.full = touched.full or "it has no key by which its rows could be asked for"
        else:
            touched.layout = Layout(wires(types, said[at : at + size]), wanted.key)
        return wanted, touched

    def _rows(self, kind: int, known: tuple[Wanted, Touched], body: bytes, at: int, end: int) -> None:
        wanted, touched = known
        name = _ROWS[kind]
        if touched.full or touched.layout is None:
            # That it was touched still counts.
            setattr(touched, name, getattr(touched, name) + 1)
            return
        at += 8 + int.from_bytes(body[at + 8 : at + 10], "little")
        count, at = _length(body, at)
        bitmap = (count + 7) // 8
        images = 2 if name == "updated" else 1
        for _ in range(images):
            present = int.from_bytes(body[at : at + bitmap], "little") & ((1 << count) - 1)
            at += bitmap
            if present != (1 << count) - 1:
                touched.full = "its binlog holds parts of rows (binlog_row_image is not FULL)"
                setattr(touched, name, getattr(touched, name) + 1)
                return
        try:
            rows = touched.layout.keys(body, at, end, images, touched.keys)
        except Unreadable as error:
            touched.full, rows = f"its binlog holds {error}", 1
        setattr(touched, name, getattr(touched, name) + rows)
        if len(touched.keys) > wanted.most:
            touched.full = "so many of its rows were touched that reading all of them is quicker"
            touched.keys.clear()

    def _query(self, body: bytes, at: int, end: int) -> None:
        size, status = body[at + 8], int.from_bytes(body[at + 11 : at + 13], "little")
        at += 13 + status
        database, text = body[at : at + size], body[at + size + 1 : end]
        if text in (b"BEGIN", b"COMMIT"):
            return
        try:
            told = text.decode()
        except UnicodeDecodeError:
            told = None
        for path, why in self._statement(database.decode("utf-8", "replace"), told).items():
            touched = self.found.setdefault(path, Touched())
            touched.full = touched.full or why


def _events(server: Server, since: str) -> Iterator[tuple[int, bytes, int, int]]:
    """Each event as its type, and where its body lies in which bytes."""
    connection = server.raw(autocommit=True, read_timeout=120)
    with closing(connection):
        try:
            _ask(connection, since)
            yield from _received(connection)
        except pymysql.MySQLError as error:
            raise Unreadable(
                f"the binlog could not be read: {server.explained(error, 'reading the binlog').found}"
            ) from None
        except OSError as error:
            raise Unreadable(f"the binlog could not be read: {error}") from None


def _ask(connection: Any, since: str) -> None:
    wanted = GtidSet.parse(since)
    if wanted.tagged:
        raise Unreadable("its GTIDs carry tags, which the protocol's older form cannot name")
    name = str(uuid.uuid4())
    with connection.cursor() as cursor:
        # Under one name two readers would end each other.
        cursor.execute(
            "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', @replica_uuid = %s, @slave_uuid = %s",
            (name, name),
        )
    wire = wanted.wire()
    head = struct.pack("<HIIQI", _NON_BLOCK, uuid.uuid4().int & 0x3FFFFFFF | 0x40000000, 0, 4, len(wire))
    connection._execute_command(_DUMP_GTID, head + wire)


def _received(connection: Any) -> Iterator[tuple[int, bytes, int, int]]:
    """The events out of packets, taken from the socket in large pieces: a packet at a time would cost more than its event."""
    source = connection._rfile
    held, at, long, checksum = b"", 0, b"", 0
    while True:
        while len(held) - at < 4 or len(held) - at < 4 + int.from_bytes(held[at : at + 3], "little"):
            more = source.read1(_PIECE)
            if not more:
                raise Unreadable("the server ended the connection while its binlog was read")
            held, at = held[at:] + more, 0
        size = int.from_bytes(held[at : at + 3], "little")
        first, end = at + 4, at + 4 + size
        at = end
        if size == 0xFFFFFF or long:
            # A packet holds 16 MB; what is longer goes on in the next.
            long += held[first:end]
            if size == 0xFFFFFF:
                continue
            body, start, stop, long = long, 0, len(long), b""
        else:
            body, start, stop = held, first, end
        status = body[start]
        if status == 0xFF:
            code = int.from_bytes(body[start + 1 : start + 3], "little")
            text = body[start + 3 : stop].decode("utf-8", "replace")
            raise Unreadable(_told(code, text[6:] if text.startswith("#") else text))
        if status == 0xFE and stop - start < 9:
            return
        kind = body[start + 5]
        if kind == _FORMAT:
            # The first event of each file says whether those that follow end with a checksum.
            checksum = 4 if body[stop - 5] == 1 else 0
        yield kind, body, start + 1 + _HEAD, stop - checksum


def _told(code: int, text: str) -> str:
    if code == 1236 and ("purged" in text or "Could not find" in text or "not in the master's binlog" in text):
        return "binlogs that are needed were purged"
    if code in (1045, 1227, 1142):
        return f"the account may not read the binlog (REPLICATION SLAVE): {text[:200]}"
    return f"the server would not send its binlog ({code}: {text[:200]})"


def _unpacked(body: bytes) -> bytes:
    """The events within a compressed transaction."""
    # Imported here: few servers compress, and the import takes a moment.
    import pyarrow as pa

    at, kind, size = 0, 255, 0
    while True:
        name, at = _length(body, at)
        if name == 0:
            break
        long, at = _length(body, at)
        value, _ = _length(body, at)
        at += long
        kind, size = (value if name == 2 else kind), (value if name == 3 else size)
    if kind == 255:
        return body[at:]
    if kind != 0:
        raise Unreadable(f"the binlog holds transactions compressed in a way ({kind}) that is not known")
    return bytes(pa.Codec("zstd").decompress(body[at:], size, asbytes=True))


def _length(body: bytes, at: int) -> tuple[int, int]:
    """A number of the protocol's variable length, and the place behind it."""
    first = body[at]
    if first < 251:
        return first, at + 1
    size = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(body[at + 1 : at + 1 + size], "little"), at + 1 + size
