"""What has been applied, kept on the target beside the rows and committed with them: position, shadows, dead letters."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbook.bulk.ledger import SCHEMA
from workbook.cdc.change import NOWHERE, Change, Order, Path, from_dict
from workbook.errors import Refused
from workbook.names import mysql_path, mysql_string
from workbook.plan import Journal
from workbook.servers import Server
from workbook.wire import Wire

#: One row a stream: how far the target is, in the source's own terms.
APPLIED = mysql_path(SCHEMA, "cdc_applied")
#: A table of the source whose rows only say how far the stream is: the cutover writes them.
SENTINEL = (SCHEMA, "cutover_sentinel")
_TRIED = 500  # dead letters at once
RETRYABLE, PERMANENT, UNREAD = "retryable", "permanent", "unread"
#: Why a table that came into scope after the load is not followed.
LATE = "it came into scope after the load, or left it for a while, so rows are missing: workbook cdc add DATABASE.TABLE -p FILE"


@dataclass(frozen=True)
class Position:
    """How far a stream is applied. `offset` is what Debezium goes on from, `order` that of the last change applied."""

    offset: Mapping[str, Any] = field(default_factory=dict)
    order: Order = NOWHERE
    applied: int = 0
    stale: int = 0
    committed: float = 0.0  # when the source committed the last change applied (Unix seconds)
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    intent: str | None = None  # the statement of a barrier that was begun

    @property
    def gtids(self) -> str:
        """The executed GTIDs of the source that are applied."""
        return str(self.offset.get("gtids") or "")


@dataclass(frozen=True)
class Stopped:
    """A table that is not followed any more, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class DeadLetter:
    """A change that the target refused: of which kind, with the error, and how often it was tried."""

    number: int
    kind: str
    path: Path
    change: Change
    error: str
    tries: int
    at: str


class Ledger:
    """The ledger of one stream (an environment) in the schema `_workbook` of the target."""

    def __init__(self, stream: str):
        self.stream = stream
        self.shadow = mysql_path(SCHEMA, f"cdc_shadow_{stream}")
        self.dead = mysql_path(SCHEMA, f"cdc_dead_{stream}")
        self.tables = mysql_path(SCHEMA, f"cdc_tables_{stream}")
        self._mine = f"stream = {mysql_string(stream)}"

    def create(self, target: Server, journal: Journal, paths: Iterable[Path]) -> None:
        """Make the tables where they are not there, and give each table of `paths` its number."""
        statements = (
            (f"database {mysql_path(SCHEMA)}", f"CREATE DATABASE IF NOT EXISTS {mysql_path(SCHEMA)}", None),
            (
                f"table {APPLIED}",
                f"CREATE TABLE IF NOT EXISTS {APPLIED} (stream VARCHAR(64) PRIMARY KEY, gtids LONGTEXT NOT NULL,"
                " file BIGINT NOT NULL, pos BIGINT NOT NULL, within BIGINT NOT NULL, source_offset JSON NOT NULL,"
                " applied BIGINT NOT NULL, stale BIGINT NOT NULL, committed DOUBLE NOT NULL, snapshot JSON NOT NULL,"
                " intent LONGTEXT, changed_at DATETIME(6) NOT NULL)",
                f"DELETE FROM {APPLIED} WHERE {self._mine}",
            ),
            (
                f"table {self.tables}",
                f"CREATE TABLE IF NOT EXISTS {self.tables} (number SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,"
                " source_database VARCHAR(64) COLLATE utf8mb4_bin NOT NULL, source_table VARCHAR(64) COLLATE utf8mb4_bin"
                " NOT NULL, stopped TEXT, UNIQUE KEY (source_database, source_table))",
                f"DROP TABLE IF EXISTS {self.tables}",
            ),
            (
                f"table {self.shadow}",
                f"CREATE TABLE IF NOT EXISTS {self.shadow} (number SMALLINT UNSIGNED, hash BINARY(16),"
                " file BIGINT NOT NULL, pos BIGINT NOT NULL, within BIGINT NOT NULL, gone BOOLEAN NOT NULL,"
                " PRIMARY KEY (number, hash))",
                f"DROP TABLE IF EXISTS {self.shadow}",
            ),
            (
                f"table {self.dead}",
                f"CREATE TABLE IF NOT EXISTS {self.dead} (letter BIGINT AUTO_INCREMENT PRIMARY KEY,"
                " kind VARCHAR(9) NOT NULL, source_database VARCHAR(64) COLLATE utf8mb4_bin NOT NULL, source_table"
                " VARCHAR(64) COLLATE utf8mb4_bin NOT NULL, hash BINARY(16), event LONGTEXT NOT NULL, error TEXT NOT NULL,"
                " tries INT NOT NULL, at DATETIME NOT NULL, KEY (kind))",
                f"DROP TABLE IF EXISTS {self.dead}",
            ),
        )
        with target.session() as session:
            for name, statement, undo in statements:
                number = journal.intend(name, undo)
                session.execute(statement)
                journal.confirm(number)
            for database, table in paths:
                session.execute(
                    f"INSERT IGNORE INTO {self.tables} (source_database, source_table) VALUES (%s, %s)",
                    (database, table),
                )

    def begin(self, target: Server, snapshot: Mapping[str, Any]) -> None:
        """Start the stream anew at a snapshot of the bulk load: what was known of changes before it is forgotten."""
        offset = {key: snapshot[name] for key, name in (("file", "file"), ("pos", "position"), ("gtids", "gtids"))}
        with target.session() as session:
            session.execute("START TRANSACTION")
            for table in (self.shadow, self.dead):
                session.execute(f"DELETE FROM {table}")
            session.execute(f"UPDATE {self.tables} SET stopped = NULL")
            session.execute(
                f"REPLACE INTO {APPLIED} VALUES (%s, %s, 0, 0, 0, %s, 0, 0, 0, %s, NULL, UTC_TIMESTAMP(6))",
                (self.stream, offset["gtids"], json.dumps(offset), json.dumps(dict(snapshot))),
            )
            session.execute("COMMIT")

    def exists(self, target: Server) -> bool:
        """Whether the stream's tables are on the target."""
        there = target.scalar(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN (%s, %s)",
            (SCHEMA, "cdc_applied", f"cdc_tables_{self.stream}"),
        )
        return int(there) == 2

    def position(self, target: Server) -> Position | None:
        """How far the stream is; None where it was never begun."""
        rows = target.rows(f"SELECT * FROM {APPLIED} WHERE stream = %s", (self.stream,))
        return _position(rows[0]) if rows else None

    def numbers(self, target: Server) -> dict[Path, int]:
        """The number of each table."""
        rows = target.rows(f"SELECT number, source_database, source_table FROM {self.tables}")
        return {(row["source_database"], row["source_table"]): row["number"] for row in rows}

    def stopped(self, target: Server) -> tuple[Stopped, ...]:
        """The tables that are not followed any more."""
        rows = target.rows(f"SELECT * FROM {self.tables} WHERE stopped IS NOT NULL ORDER BY number")
        return tuple(Stopped((row["source_database"], row["source_table"]), row["stopped"]) for row in rows)

    def leave_out(self, target: Server, paths: Iterable[Path]) -> tuple[Path, ...]:
        """Of a stream that has begun: do not follow those of `paths`, all tables in scope, that came since, until they are
        added; and forget those that left the scope, which are told: changes pass them by from here on.

        Raises Refused where none of those that are followed is left.
        """
        scope, known = set(paths), self.numbers(target)
        stopped = {item.path: item.reason for item in self.stopped(target)}
        followed = known.keys() - stopped.keys()
        if followed and not followed & scope:
            raise Refused(
                f"None of the {len(followed)} tables that this stream follows is in the mapping's scope any more.",
                "All changes would pass them by.",
                "Look whether the params name the right mapping, then start again.",
            )
        gone = tuple(sorted(followed - scope))
        late = [path for path, reason in stopped.items() if reason == LATE and path not in scope]
        with target.session() as session:
            session.execute("START TRANSACTION")
            for path in sorted(scope - known.keys()):
                session.execute(
                    f"INSERT INTO {self.tables} (source_database, source_table, stopped) VALUES (%s, %s, %s)",
                    (*path, LATE),
                )
            for path in (*gone, *late):
                for table in (self.shadow, self.tables):
                    session.execute(f"DELETE FROM {table} WHERE number = %s", (known[path],))
            session.execute("COMMIT")
        return gone

    def take_up(self, target: Server, paths: Iterable[Path]) -> None:
        """Follow tables that stood still from here on: their rows are those of the stream's position."""
        numbers = self.numbers(target)
        with target.session() as session:
            session.execute("START TRANSACTION")
            for path in paths:
                session.execute(f"DELETE FROM {self.shadow} WHERE number = %s", (numbers[path],))
                session.execute(f"DELETE FROM {self.dead} WHERE source_database = %s AND source_table = %s", path)
                session.execute(f"UPDATE {self.tables} SET stopped = NULL WHERE number = %s", (numbers[path],))
            session.execute("COMMIT")

    def followed(self, target: Server) -> frozenset[Path]:
        """The tables that are followed."""
        return frozenset(self.numbers(target).keys() - {item.path for item in self.stopped(target)})

    def letters(self, target: Server, most: int = 1 << 62) -> tuple[DeadLetter, ...]:
        """The first dead letters, in the order in which they came."""
        return tuple(
            DeadLetter(
                row["letter"],
                row["kind"],
                (row["source_database"], row["source_table"]),
                from_dict(json.loads(row["event"])),
                row["error"],
                row["tries"],
                str(row["at"]),
            )
            for row in target.rows(f"SELECT * FROM {self.dead} ORDER BY letter LIMIT {most}")
        )

    def dead_count(self, target: Server) -> int:
        """How many dead letters there are."""
        return int(target.scalar(f"SELECT COUNT(*) FROM {self.dead}"))

    def dismiss(self, target: Server, numbers: Iterable[int]) -> None:
        """Take dead letters away that a person has done with."""
        for number in numbers:
            target.execute(f"DELETE FROM {self.dead} WHERE letter = %s", (number,))

    # What follows runs on the applier's own connection, inside of its transaction.

    def lock(self, wire: Wire) -> Order:
        """Lock the stream for this transaction; the order of the last change applied."""
        rows = wire.rows(f"SELECT file, pos, within FROM {APPLIED} WHERE {self._mine} FOR UPDATE")
        file, pos, within = (int(value or 0) for value in rows[0])
        return file, pos, within

    def shadows(self, wire: Wire, keys: Iterable[tuple[int, bytes]]) -> dict[tuple[int, bytes], Order]:
        """The order of the last change applied to each of these keys, locked; those never changed are left out."""
        found: dict[tuple[int, bytes], Order] = {}
        for part in _parts(sorted(keys), 2000):
            places = ", ".join(f"({number}, 0x{key.hex()})" for number, key in part)
            rows = wire.rows(
                f"SELECT number, hash, file, pos, within FROM {self.shadow} WHERE (number, hash) IN ({places}) FOR UPDATE"
            )
            for number, key, *order in rows:
                file, pos, within = (int(value or 0) for value in order)
                found[int(number or 0), key or b""] = file, pos, within
        return found

    def cast_shadows(self, wire: Wire, shadows: Iterable[tuple[int, bytes, Order, bool]]) -> None:
        """Note the last change of each key."""
        for part in _parts(sorted(shadows), 2000):
            rows = ",".join(
                f"({number},0x{key.hex()},{order[0]},{order[1]},{order[2]},{int(gone)})"
                for number, key, order, gone in part
            )
            wire.run(
                f"INSERT INTO {self.shadow} VALUES {rows} AS fresh ON DUPLICATE KEY UPDATE file = fresh.file,"
                " pos = fresh.pos, within = fresh.within, gone = fresh.gone"
            )

    def note(
        self,
        wire: Wire,
        order: Order,
        applied: int,
        stale: int,
        committed: float,
        offset: Mapping[str, Any] | None = None,
        intent: str | None = None,
    ) -> None:
        """Note how far the stream is now; counts come on top of those before, and `order` never goes back."""
        file, pos, within = order
        wire.run(
            f"UPDATE {APPLIED} SET file = {file}, pos = {pos}, within = {within}, applied = applied + {applied},"
            f" stale = stale + {stale}, committed = GREATEST(committed, {committed!r}),"
            f" intent = {'NULL' if intent is None else mysql_string(intent)}, changed_at = UTC_TIMESTAMP(6)"
            f" WHERE {self._mine}"
        )
        if offset is not None:
            # Who was cut off while another went on must not lead back to messages that are acknowledged.
            ahead = (
                " AND (COALESCE(source_offset->>'$.epoch', 0) + 0, COALESCE(source_offset->>'$.number', 0) + 0)"
                f" < ({int(offset['epoch'])}, {int(offset['number'])})"
                if "number" in offset
                else ""
            )
            wire.run(
                f"UPDATE {APPLIED} SET source_offset = {mysql_string(json.dumps(offset))},"
                f" gtids = {mysql_string(str(offset.get('gtids') or ''))} WHERE {self._mine}{ahead}"
            )

    def bury(self, wire: Wire, change: Change, key: bytes | None, kind: str, error: str) -> None:
        """Note a change that the target refused."""
        database, table = map(mysql_string, change.path)
        event = mysql_string(json.dumps(change.asdict(), ensure_ascii=False))
        wire.run(
            f"INSERT INTO {self.dead} (kind, source_database, source_table, hash, event, error, tries, at) VALUES"
            f" ({mysql_string(kind)}, {database}, {table}, {'NULL' if key is None else f'0x{key.hex()}'}, {event},"
            f" {mysql_string(error[:2000])}, 1, UTC_TIMESTAMP())"
        )

    def bury_once(self, wire: Wire, change: Change, kind: str, error: str) -> None:
        """Note what was delivered and cannot be applied, once however often it is delivered."""
        database, table = map(mysql_string, change.path)
        known = wire.rows(
            f"SELECT 1 FROM {self.dead} WHERE kind = {mysql_string(kind)} AND source_database = {database}"
            f" AND source_table = {table} LIMIT 1"
        )
        if not known:
            self.bury(wire, change, None, kind, error)

    def raise_dead(self, wire: Wire, kinds: Sequence[str], after: int = 0) -> list[tuple[int, Change]]:
        """Some dead letters of these kinds to try again, locked, the oldest after this number first."""
        chosen = ", ".join(map(mysql_string, kinds))
        rows = wire.rows(
            f"SELECT letter, event FROM {self.dead} WHERE kind IN ({chosen}) AND letter > {after}"
            f" ORDER BY letter LIMIT {_TRIED} FOR UPDATE"
        )
        return [(int(letter or 0), from_dict(json.loads(event or b"{}"))) for letter, event in rows]

    def forget(self, wire: Wire, letters: Iterable[int]) -> None:
        """Take dead letters away that were applied or that a later change has made void."""
        if chosen := ", ".join(map(str, letters)):
            wire.run(f"DELETE FROM {self.dead} WHERE letter IN ({chosen})")

    def tried(self, wire: Wire, letter: int, error: str) -> None:
        """Note that a dead letter was tried in vain."""
        wire.run(
            f"UPDATE {self.dead} SET tries = tries + 1, error = {mysql_string(error[:2000])} WHERE letter = {letter}"
        )

    def stop(self, wire: Wire, path: Path, reason: str) -> None:
        """Follow a table no more."""
        database, table = map(mysql_string, path)
        wire.run(
            f"UPDATE {self.tables} SET stopped = {mysql_string(reason)}"
            f" WHERE source_database = {database} AND source_table = {table}"
        )


def _position(row: Mapping[str, Any]) -> Position:
    return Position(
        json.loads(row["source_offset"]),
        (row["file"], row["pos"], row["within"]),
        row["applied"],
        row["stale"],
        row["committed"],
        json.loads(row["snapshot"]),
        row["intent"],
    )


def _parts(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
