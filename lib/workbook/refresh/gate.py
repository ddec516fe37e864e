"""The gates: readers of the target are held at the tables' doors for the moment of a swap, and none is turned away.

RENAME TABLE takes its locks one after the other and holds those that it has while it waits for the next. A transaction
that reads two of the tables could wait for a lock that the RENAME holds, while the RENAME waits for one of its own: the
server ends such a deadlock at the reader's cost (error 1213). So every table gets a gate first: a connection that holds
the lock of this one table and waits for nothing that a reader has. A reader may wait there, but nobody waits in a
circle. A transaction that is inside already and comes to a closed gate is let through, and those who come anew are held;
where this has no end within a second, all gates open, and are tried again later. Only when all are closed, and no reader
is inside, does the RENAME begin; it walks from gate to gate, and each opens as it arrives.

A gate is LOCK TABLES on its table and then on the post, a table of ours that another connection holds: so it stands
still with the first lock in its hands. Had it ended, it would have locked parents and children of its table as well.
"""

import contextlib
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pymysql

from workbook.errors import TransientError, WorkbookError
from workbook.names import mysql_path, mysql_string, with_values
from workbook.servers import Server, Session

Path = tuple[str, str]
# Seconds that one try may hold readers up, and the longest pause between tries.
_CLOSING_SECONDS, _LONGEST_PAUSE = 1.0, 3.0
# The walk from gate to gate finds every one closed by ourselves.
_WALK_SECONDS = 5
_LOCK_WAIT = 1205
_LOCKS = "FROM performance_schema.metadata_locks AS l JOIN performance_schema.threads AS w ON w.THREAD_ID = l.OWNER_THREAD_ID"
# InnoDB's times are in the zone of the machine, whatever the session's.
_SERVER_ZONE = "SET SESSION time_zone = 'SYSTEM'"


@dataclass(frozen=True)
class Passage:
    """How a swap went: seconds that readers were held, seconds of the RENAME itself, seconds and tries waited before.

    `unguarded` says why there were no gates, where there were none; `waited_for` names connections that were in the way.
    """

    held_seconds: float
    rename_seconds: float
    waited_seconds: float
    tries: int
    gates: int
    unguarded: str
    waited_for: tuple[str, ...]


class Gates:
    """A gate for each table, on connections of their own; open until they are closed.

    The name of the table `post` comes after all `paths`: the server takes locks in the order of names.
    """

    def __init__(self, target: Server, control: Session, paths: Sequence[Path], post: Path):
        self._target, self._control, self._post = target, control, post
        self._pool = ThreadPoolExecutor(max(len(paths), 1), thread_name_prefix="gates")
        self._connections: dict[Path, pymysql.Connection[Any]] = {}
        self._standing: dict[Path, Future[None]] = {}
        self._ways: Counter[tuple[Path, Path]] = Counter()
        self._stuck: set[Path] = set()
        self._holder = _connected(target, 1)
        try:
            _run(self._holder, f"LOCK TABLES {mysql_path(*post)} WRITE")
            for path in paths:
                self._connections[path] = _connected(target, _WALK_SECONDS)
        except BaseException:
            self.dismiss()
            raise

    @property
    def ids(self) -> set[int]:
        """The connections, as the server numbers them."""
        return {connection.thread_id() for connection in self._connections.values()}

    def close(self) -> bool:
        """Close all gates; whether all closed in time. Those that did stay closed until `open`.

        One after the other, because two that wait at once can close a circle: a reader inside the first table that wants
        the second, and one inside the second that wants the first, each behind a gate that waits for the other. Tables
        that transactions come to later close later: who is inside goes on to the end, and nobody comes after.
        """
        deadline = time.monotonic() + _CLOSING_SECONDS
        levels = ranked(self._connections, self._ways)
        open_still = deque(sorted(self._connections, key=lambda path: levels[path]))
        while open_still:
            path = open_still.popleft()
            statement = f"LOCK TABLES {mysql_path(*path)} WRITE, {mysql_path(*self._post)} WRITE"
            self._standing[path] = self._pool.submit(_run, self._connections[path], statement)
            while not self._all_stand():
                for future in self._standing.values():
                    if future.done():
                        future.result()
                if time.monotonic() > deadline:
                    return False
                # Let through who is inside already; those who come anew are held by the gates that stay closed.
                for each in self._stuck & set(self._standing):
                    self.open(each)
                    open_still.append(each)
                time.sleep(0.001)
        return True

    def _all_stand(self) -> bool:
        """Whether all gates have the lock of their table, and stand before the post.

        Notes the ways of those who are inside one table and wait at the gate of another: they are stuck until it opens.
        """
        standing = 0
        inside: dict[int, set[Path]] = {}
        waiting: dict[int, set[Path]] = {}
        for row in self._control.rows(
            "SELECT w.PROCESSLIST_ID AS id, l.OBJECT_SCHEMA AS d, l.OBJECT_NAME AS t, l.LOCK_STATUS AS s,"
            f" w.PROCESSLIST_ID IN ({self._ours}) AS ours {_LOCKS}"
            " WHERE l.OBJECT_TYPE = 'TABLE' AND w.PROCESSLIST_ID IS NOT NULL"
        ):
            path, granted = (row["d"], row["t"]), row["s"] == "GRANTED"
            if row["ours"]:
                standing += path == self._post and not granted
            elif path in self._connections:
                (inside if granted else waiting).setdefault(row["id"], set()).add(path)
        ways = [(held, path) for who, paths in waiting.items() for path in paths for held in inside.get(who, ())]
        self._ways.update(ways)
        self._stuck = {path for _, path in ways}
        return standing == len(self._standing) and not ways

    @property
    def _ours(self) -> str:
        return ", ".join(map(str, self.ids)) or "NULL"

    def open(self, path: Path | None = None) -> None:
        """Open one gate, or all that are closed or closing."""
        for each in [path] if path is not None else list(self._standing):
            standing = self._standing.pop(each, None)
            if standing is not None and not standing.done():
                self._control.execute(f"KILL QUERY {self._connections[each].thread_id()}")
                standing.exception()

    def dismiss(self) -> None:
        """Let everybody through and end the connections."""
        with contextlib.suppress(WorkbookError):
            self.open()
        for connection in (self._holder, *self._connections.values()):
            with contextlib.suppress(pymysql.MySQLError):
                connection.close()
        self._pool.shutdown()


def ranked(paths: Collection[Path], ways: Mapping[tuple[Path, Path], int]) -> dict[Path, int]:
    """How late transactions come to each table, from 0, by the `ways` (from, to) that were seen and how often."""
    levels = dict.fromkeys(paths, 0)
    # As many rounds as a way can be long: ways that go round in a circle end too.
    for _ in levels:
        for (before, after), count in ways.items():
            if count > ways.get((after, before), 0):
                levels[after] = max(levels[after], min(levels[before] + 1, len(levels)))
    return levels


def pass_through(
    target: Server,
    statement: str,
    leaving: Sequence[Path],
    post: Path,
    before: Sequence[str],
    patience: float,
    since: str,
    say: Callable[[str], None],
) -> Passage:
    """Run the RENAME `statement` at a moment when no reader is inside the tables `leaving`.

    `before` are statements that each need one table for a moment, run just before. Transactions that began before `since` (of `clock`)
    are waited for: their picture is older than the tables that come in, which they could not read (error
    1412). Raises TransientError after `patience` seconds, with the connections that were in the way; then nothing is
    changed.
    """
    started = time.monotonic()
    with target.session() as control:
        control.execute(_SERVER_ZONE)
        unguarded = _why_unguarded(control, len(leaving))
        gates = None if unguarded else Gates(target, control, leaving, post)
        seen: dict[str, None] = {}
        tries, pause, left = 0, 0.25, list(before)
        try:
            while True:
                tries += 1
                blockers = _older_transactions(control, since)
                if not blockers:
                    passed = _tried(control, target, gates, statement, left)
                    if passed:
                        held, renamed = passed
                        waited = time.monotonic() - started - held
                        count = len(leaving) if gates else 0
                        return Passage(held, renamed, max(waited, 0.0), tries, count, unguarded, tuple(seen))
                    blockers = _inside(control, leaving, gates.ids if gates else set())
                for blocker in blockers:
                    if blocker not in seen:
                        say(f"The swap waits for {blocker}")
                        seen[blocker] = None
                if time.monotonic() - started > patience:
                    raise _blocked(patience, blockers or list(seen))
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
        finally:
            if gates:
                gates.dismiss()


def clock(target: Server) -> str:
    """The target's time as it notes the beginning of transactions."""
    with target.session() as session:
        session.execute(_SERVER_ZONE)
        return str(session.scalar("SELECT NOW()"))


def mark(target: Server) -> str:
    """This moment as the name of a copy."""
    return re.sub(r"\D", "", clock(target))


def _tried(
    control: Session, target: Server, gates: Gates | None, statement: str, before: list[str]
) -> tuple[float, float] | None:
    """Seconds that readers were held and that the RENAME took; None where somebody was in the way.

    What is run of `before` is taken out of it.
    """
    renaming = _connected(target, _WALK_SECONDS if gates else 1)
    try:
        while before:
            with _connected(target, 1) as alone:
                _run(alone, before[-1])
            before.pop()
        begun = time.monotonic()
        if gates and not gates.close():
            return None
        started = time.monotonic()
        with ThreadPoolExecutor(1, thread_name_prefix="rename") as pool:
            done = pool.submit(_run, renaming, statement)
            try:
                if gates:
                    _walk(control, gates, renaming.thread_id(), done)
            finally:
                # However it ends: those who wait at a gate must not wait for us.
                if gates:
                    gates.open()
            done.result()
        ended = time.monotonic()
        return ended - begun, ended - started
    except pymysql.MySQLError as error:
        if error.args[:1] == (_LOCK_WAIT,):
            return None
        raise target.explained(error, "swapping the tables") from None
    finally:
        if gates:
            gates.open()
        renaming.close()


def _walk(control: Session, gates: Gates, connection: int, done: "Future[None]") -> None:
    """Open the gate that the RENAME stands at, until it has passed them all.

    Behind it the door is shut: its own lock is the first in the queue, and those who wait come after it.
    """
    while not done.done():
        for row in control.rows(
            f"SELECT l.OBJECT_SCHEMA AS d, l.OBJECT_NAME AS t {_LOCKS} WHERE w.PROCESSLIST_ID = {connection}"
            " AND l.LOCK_STATUS = 'PENDING' AND l.OBJECT_TYPE = 'TABLE'"
        ):
            gates.open((row["d"], row["t"]))


def _connected(target: Server, lock_wait: int) -> "pymysql.Connection[Any]":
    connection = target.raw(autocommit=True)
    _run(connection, f"SET SESSION lock_wait_timeout = {lock_wait}")
    return connection


def _run(connection: "pymysql.Connection[Any]", statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _why_unguarded(session: Session, tables: int) -> str:
    """Why there can be no gates; empty where there can."""
    if not int(session.scalar("SELECT @@GLOBAL.performance_schema")):
        return "performance_schema is off on the target"
    instrument = "wait/lock/metadata/sql/mdl"
    watched = session.scalar(
        f"SELECT ENABLED = 'YES' FROM performance_schema.setup_instruments WHERE NAME = {mysql_string(instrument)}"
    )
    if not watched:
        return f"the instrument {instrument} is off in the target's performance_schema"
    free = int(session.scalar("SELECT @@GLOBAL.max_connections")) - int(
        session.rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0]["Value"]
    )
    if tables > free // 2:
        return f"{tables} tables need a connection each, and the target has {free} left"
    return ""


def _older_transactions(session: Session, since: str) -> list[str]:
    """Transactions whose picture of the data may be older than the tables that come in."""
    rows = session.rows(
        "SELECT x.trx_mysql_thread_id AS id, p.USER AS user, p.HOST AS host,"
        " TIMESTAMPDIFF(SECOND, x.trx_started, NOW()) AS seconds"
        " FROM information_schema.INNODB_TRX AS x LEFT JOIN information_schema.PROCESSLIST AS p"
        " ON p.ID = x.trx_mysql_thread_id WHERE x.trx_mysql_thread_id <> 0"
        f" AND x.trx_started <= {mysql_string(since)}"
    )
    return [f"{_who(row)}: a transaction that is older than the new copy" for row in rows]


def _inside(session: Session, paths: Sequence[Path], ours: set[int]) -> list[str]:
    """Who holds a lock on one of the tables, as far as the server tells."""
    if not int(session.scalar("SELECT @@GLOBAL.performance_schema")):
        return []
    listed = ", ".join(f"({mysql_string(database)}, {mysql_string(name)})" for database, name in paths)
    rows = session.rows(
        with_values(
            "SELECT w.PROCESSLIST_ID AS id, w.PROCESSLIST_USER AS user, w.PROCESSLIST_HOST AS host,"
            " MAX(w.PROCESSLIST_TIME) AS seconds, MIN(l.OBJECT_SCHEMA) AS d, MIN(l.OBJECT_NAME) AS t"
            f" {_LOCKS} WHERE l.LOCK_STATUS = 'GRANTED' AND (l.OBJECT_SCHEMA, l.OBJECT_NAME) IN ({listed})"
            " AND w.PROCESSLIST_ID <> CONNECTION_ID() GROUP BY 1, 2, 3"
        ),
        (),
    )
    return [f"{_who(row)}: it holds {mysql_path(row['d'], row['t'])}" for row in rows if int(row["id"]) not in ours]


def _who(row: Mapping[str, Any]) -> str:
    user, host = row["user"] or "unknown", row["host"] or "unknown"
    return f"connection {row['id']} of {user}@{host.partition(':')[0]}, for {row['seconds']} s"


def _blocked(patience: float, blockers: Sequence[str]) -> TransientError:
    names = "; ".join(blockers[:3]) if blockers else "somebody whom the server does not name"
    return TransientError(
        f"For {patience:g} seconds there was no moment to swap the tables. In the way: {names}.",
        "Readers inside the tables are neither ended nor shown half a copy, so the copy that they read stays in place.",
        "End that connection (KILL, or its application), then run again; bulk.swap_patience_s waits longer.",
    )
