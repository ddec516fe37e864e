"""What a validation that did not end has read: the digests of chunks, beside the reports, used again while nothing moved.

A digest is used again only where it is provably still that of the rows: the server stands where it stood (its executed GTID
set, or binlog position, is the one of the snapshot that was read), the table was not written to past the binlog either,
and the statement that would be sent is the same to the byte: encoding, columns, filter, key. The warehouse answers for a
whole table in one job and is always asked again.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from workbook.bulk.chunks import Chunk, Key, chunkable_key
from workbook.bulk.ledger import key_of, plain_key
from workbook.bulk.standing import standing
from workbook.catalog import Table
from workbook.errors import WorkbookError
from workbook.mapping.types import ENCODING_VERSION
from workbook.servers import Session
from workbook.validate.encoding import Kind, mysql_digest, needs_both
from workbook.validate.sums import Digest, Reading

# So often the chunks that were read are written down; a kill loses as much.
_WRITE_SECONDS = 1.0
Read = tuple[Mapping[Kind, Digest], Mapping[str, int]]
Bounds = tuple[Key | None, Key | None]

_metadata = sa.MetaData()
_chunks = sa.Table(
    "validated_chunks",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("statement", sa.String, nullable=False, index=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),  # the server's clock when its snapshot was opened
    sa.Column("lower", sa.JSON),
    sa.Column("upper", sa.JSON),
    sa.Column("digests", sa.JSON, nullable=False),
    sa.Column("losses", sa.JSON, nullable=False),
)


@dataclass(frozen=True)
class State:
    """A server at the moment of a snapshot: what names its state, empty where nothing proves it, and its clock."""

    name: str = ""
    at: str = ""


def open_snapshot(session: Session, noting: bool = True) -> State:
    """Open the transaction in which a table is read; with `noting`, the state that it shows."""
    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    before = _state(session) if noting else ""
    at = str(session.scalar("SELECT UTC_TIMESTAMP()"))
    session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    return State(before, at) if noting and before == _state(session) else State()


def _state(session: Session) -> str:
    """What names the state of a server; empty where a change might not show in it."""
    try:
        stands = standing(session)
        number = "server_uuid" if session.flavour == "mysql" else "server_id"
        return f"{session.scalar(f'SELECT @@GLOBAL.{number}')} {stands.question} {' '.join(stands.values)}"
    except WorkbookError:
        return ""


class Noted:
    """A table on one side: the chunks that were read before, those that are read now. This one knows and keeps nothing."""

    def bounds(self) -> Sequence[Key | None]:
        """The upper bounds of known chunks that follow one another from the lowest key; None where they hold all rows."""
        return ()

    def find(self, chunk: Chunk) -> Read | None:
        """What was read of a chunk; None where it is not known."""
        return None

    def keep(self, chunk: Chunk, read: Read) -> None:
        """Note what was read of a chunk."""


NOTHING = Noted()


class Notes:
    """The notes of an environment's validations that did not end, in the SQLite file of the ledger."""

    def __init__(self, file: Path, environment: str, run_id: str):
        self.environment, self.run_id = environment, run_id
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any]] = []
        self._written = time.monotonic()
        self._tables: list[_Table] = []
        self._engine = sa.create_engine(f"sqlite:///{file}", connect_args={"timeout": 30})
        _metadata.create_all(self._engine)

    def of(
        self, name: tuple[str, str], reading: Reading, table: Table, state: State, keyed: bool, shared: bool
    ) -> Noted:
        """The notes on the source's table `name` as it is read on one side, in a snapshot of that state."""
        if not state.name:
            return NOTHING
        statement = _statement(reading, chunkable_key(table), keyed, shared)
        with self._engine.connect() as connection:
            query = sa.select(_chunks).where(
                _chunks.c.environment == self.environment, _chunks.c.statement == statement
            )
            rows = [dict(row) for row in connection.execute(query.order_by(_chunks.c.id)).mappings()]
        touched = _touched(reading) if rows else ""
        good = [row for row in rows if row["state"] == state.name and touched < row["at"]]
        known = {
            (key_of(row["lower"]), key_of(row["upper"])): _Known(row["run_id"], _read(row["digests"]), row["losses"])
            for row in good
        }
        made = _Table(self, statement, state, name, known, left={row["run_id"] for row in rows if not good})
        with self._lock:
            self._tables.append(made)
        return made

    def write(self, row: dict[str, Any]) -> None:
        """Note a chunk, together with those of the last moment."""
        with self._lock:
            self._waiting.append({"environment": self.environment, "run_id": self.run_id, **row})
            if time.monotonic() - self._written < _WRITE_SECONDS:
                return
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            with self._engine.begin() as connection:
                connection.execute(_chunks.insert(), self._waiting)
        self._waiting, self._written = [], time.monotonic()

    def ended(self, proven: bool) -> None:
        """Forget the notes, since the validation has ended; where it could not read a table (not `proven`) keep them."""
        with self._lock:
            if not proven:
                self._flush()
                return
            self._waiting = []
            with self._engine.begin() as connection:
                connection.execute(_chunks.delete().where(_chunks.c.environment == self.environment))

    def said(self) -> str:
        """What was taken up of which run, in words; empty where nothing was there to be."""
        tables: dict[tuple[str, str], list[_Table]] = {}
        for side in self._tables:
            tables.setdefault(side.name, []).append(side)
        found = list(tables.values())
        runs = {run for side in self._tables for run in side.used or side.left}
        if not runs:
            return ""
        used = [sides for sides in found if any(side.used for side in sides)]
        part = [sides for sides in used if any(side.read for side in sides)]
        moved = [sides for sides in found if any(side.left for side in sides)]
        told = []
        if used:
            told.append(f"{len(used) - len(part)} tables taken up whole, {len(part)} in part")
        if moved:
            told.append(f"{len(moved)} tables read again where the server or the table has changed since")
        return f"from the run of {', '.join(sorted(runs))}, which did not end: {'; '.join(told)}"


@dataclass(frozen=True)
class _Known:
    run_id: str
    digests: Mapping[Kind, Digest]
    losses: Mapping[str, int]


@dataclass
class _Table(Noted):
    """The notes on a table on one side."""

    notes: Notes
    statement: str
    state: State
    name: tuple[str, str]
    known: Mapping[Bounds, _Known]
    left: set[str]  # runs whose notes on it are of no use any more
    used: set[str] = field(default_factory=set)
    read: int = 0

    def bounds(self) -> Sequence[Key | None]:
        return list(self._chain())

    def _chain(self) -> Iterator[Key | None]:
        # Runs that were cut otherwise may have noted several chunks from one bound on: any of them will do.
        after: dict[Key | None, Key | None] = dict(self.known.keys())
        upper: Key | None = None
        while upper in after:
            yield (upper := after[upper])
            if upper is None:
                return

    def find(self, chunk: Chunk) -> Read | None:
        found = self.known.get((chunk.lower, chunk.upper))
        if found is None:
            return None
        self.used.add(found.run_id)
        return found.digests, found.losses

    def keep(self, chunk: Chunk, read: Read) -> None:
        self.read += 1
        digests, losses = read
        row = {
            "statement": self.statement,
            "state": self.state.name,
            "at": self.state.at,
            "lower": plain_key(chunk.lower),
            "upper": plain_key(chunk.upper),
            # As text: without a key they are sums, beyond what SQLite counts.
            "digests": {kind: [digest.rows, *map(str, digest.pieces)] for kind, digest in digests.items()},
            "losses": dict(losses),
        }
        self.notes.write(row)


def noted_of(
    notes: Notes | None,
    sides: Sequence[tuple[Reading, Table]],
    states: Sequence[State],
    keyed: bool,
    shared: bool,
) -> tuple[Noted, Noted]:
    """What is noted of a table on source and target."""
    if notes is None:
        return NOTHING, NOTHING
    name = sides[0][1].path
    source, target = (
        notes.of(name, reading, table, state, keyed, shared)
        for (reading, table), state in zip(sides, states, strict=True)
    )
    return source, target


def _read(digests: Mapping[Kind, Sequence[Any]]) -> dict[Kind, Digest]:
    return {kind: Digest(int(rows), tuple(map(int, pieces))) for kind, (rows, *pieces) in digests.items()}


def _statement(reading: Reading, key: Sequence[str], keyed: bool, shared: bool) -> str:
    """What names the statements by which a table is read on this side: all that decides what they answer."""
    address = reading.session.server
    parts = (
        ENCODING_VERSION,
        (address.role, address.host, address.port, reading.session.version),
        reading.path,
        reading.only,
        tuple(key),
        (keyed, shared, needs_both(reading.fields)),
        [(item.name, item.rule.name, item.rule.proof, item.stands) for item in reading.fields],
        [mysql_digest(reading.fields, kind) for kind in ("exact", "shared")],
    )
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _touched(reading: Reading) -> str:
    """When the table was last written to by the server's own memory, which knows of writes that no binlog tells; else empty.

    It tells to the second and forgets at a restart.
    """
    session = reading.session
    if session.flavour == "mysql" and int(session.version.split(".")[0]) >= 8:
        session.execute("SET SESSION information_schema_stats_expiry = 0")
    found = session.scalar(
        "SELECT UPDATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s", reading.path
    )
    return str(found or "")
