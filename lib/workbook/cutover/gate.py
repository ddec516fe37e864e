"""Closing a server to all but the workbook, by what its login may do, and opening it again as it was."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbook.accounts import Accounts, read_accounts
from workbook.accounts.able import database_of, in_any_way
from workbook.accounts.hosts import host_matches
from workbook.bulk.ledger import SCHEMA
from workbook.cutover.events import ON, Event, Handover, elsewhere, read_clock, refuse_others
from workbook.errors import Refused, TransientError, WorkbookError
from workbook.names import mysql_account
from workbook.pipelines.traffic import WRITING
from workbook.plan import carry_out
from workbook.servers import PROGRAM, Server, Session

READ_ONLY, LOCKS = "read only", "locked accounts"
_SYSTEM = {"mysql", "sys", "information_schema", "performance_schema", SCHEMA}
#: Privileges with which rows can change: EXECUTE, since a routine writes with its definer's.
_WRITES = {
    "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "TRIGGER", "EVENT", "EXECUTE", "REFERENCES",
    "CREATE VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "LOCK TABLES",
}  # fmt: skip
#: Who holds one of these writes to a server that is read only.
_PASSES = {"SUPER", "CONNECTION_ADMIN"}
_NO_SUCH_THREAD = 1094
_GONE_SECONDS = 30.0


@dataclass(frozen=True)
class Gate:
    """How a server is closed: by `way`, with the accounts that are locked and the events that are switched off.

    `writers` are all accounts that can write: their sessions end. `passing` is what cannot be kept out. Where applications
    come, events that `fires` names are switched on besides, and those of `rests` off.
    """

    role: str
    way: str
    locks: tuple[tuple[str, str], ...] = ()
    writers: tuple[tuple[str, str], ...] = ()
    events: tuple[Event, ...] = ()
    scheduler: bool = False
    read_only_before: bool = False
    passing: tuple[str, ...] = ()
    fires: tuple[Event, ...] = ()
    rests: tuple[Event, ...] = ()

    def asdict(self) -> dict[str, Any]:
        """Plain values, for the ledger."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Gate":
        """A gate from its plain values."""
        content = dict(plain)
        for name in ("locks", "writers"):
            content[name] = tuple((user, host) for user, host in content[name])
        for name in ("events", "fires", "rests"):
            content[name] = tuple(map(_event, content.get(name, ())))
        content["passing"] = tuple(content["passing"])
        return cls(**content)

    def joined(self, earlier: "Gate | None") -> "Gate":
        """With what an earlier, interrupted closing has done: what is closed already does not show any more."""
        if earlier is None:
            return self
        return Gate(
            self.role,
            earlier.way,
            tuple(dict.fromkeys((*earlier.locks, *self.locks))),
            tuple(dict.fromkeys((*earlier.writers, *self.writers))),
            tuple(dict.fromkeys((*earlier.events, *self.events))),
            earlier.scheduler or self.scheduler,
            earlier.read_only_before,
            self.passing,
        )

    def opening(self, handover: Handover) -> "Gate":
        """With what its opening for applications switches: `handover` says which events are to be enabled there."""
        clock, wanted = handover.destination, handover.wanted
        enabled = clock.enabled - {event.path for event in self.events}
        # Under a scheduler that is off nothing fires, and whoever switches it on is to find them as they were.
        rests = enabled - wanted if clock.scheduler == ON else frozenset()
        return replace(
            self,
            fires=tuple(clock.events[path] for path in sorted(wanted - enabled)),
            rests=tuple(clock.events[path] for path in sorted(rests)),
        )

    @property
    def said(self) -> str:
        """How it is closed, in words."""
        words = [f"the {self.role} is read only" if self.way == READ_ONLY else f"writers on the {self.role} are locked"]
        words += [f"{len(self.locks)} accounts locked"] if self.locks else []
        words += ["the event scheduler is off"] if self.scheduler else []
        words += [f"{len(self.events)} events off"] if self.events else []
        words += [f"{', '.join(self.passing)} cannot be kept out"] if self.passing else []
        return "; ".join(words)


def plan_gate(server: Server, databases: Collection[str]) -> Gate:
    """How `server` can be closed for writes to `databases`. Raises Refused, with the GRANT that is missing, where it cannot."""
    accounts = read_accounts(server)
    held = {grant.privilege for grant in accounts.holds if grant.level == "global"}
    with server.session() as session:
        everything = {
            str(row["name"])
            for row in session.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")
            if row["name"] not in _SYSTEM
        }
        read_only = session.scalar("SELECT @@GLOBAL.read_only") == 1
        clock = read_clock(session, databases)
        passing = elsewhere(session, databases) if clock.scheduler == ON else []
    events = tuple(clock.events[path] for path in sorted(clock.firing))
    alone = everything <= set(databases)
    switches = "SYSTEM_VARIABLES_ADMIN" in held or "SUPER" in held
    way = READ_ONLY if alone and switches and held & _PASSES else LOCKS
    writers = tuple(sorted(account.key for account in _writers(accounts, databases)))
    locks = []
    for key in writers:
        account = accounts.by_key[key]
        everywhere = {grant.privilege for grant in account.grants if grant.level == "global"}
        if way == READ_ONLY and not everywhere & _PASSES:
            continue
        if "SYSTEM_USER" in everywhere and "SYSTEM_USER" not in held:
            passing.append(account.name)
        else:
            locks.append(key)
    _refuse_unable(server, accounts, held, bool(locks), way)
    return Gate(
        server.role,
        way,
        tuple(locks),
        writers,
        () if alone and switches else events,
        bool(events) and alone and switches,
        read_only,
        tuple(passing),
    )


def plan_handover(
    to: str, origin: Server, destination: Server, databases: Mapping[str, list[str]], closed: Mapping[str, Gate]
) -> Handover:
    """Which events fire on which side when applications go `to` one. `databases` and what is `closed` go by the role."""
    clocks = []
    for server in (origin, destination):
        with server.session() as session:
            clock = read_clock(session, databases[server.role])
        gate = closed.get(server.role)
        clocks.append(clock.before(gate.events, gate.scheduler) if gate else clock)
    names = dict(zip(databases[origin.role], databases[destination.role], strict=True))
    return Handover(to, clocks[0], clocks[1], names)


def refuse_foreign(server: Server, gate: Gate) -> None:
    """Raise Refused, with the GRANT, where the login may not switch the events of a gate in their definers' names."""
    if switched := (*gate.events, *gate.fires, *gate.rests):
        refuse_others(server, read_accounts(server), switched)


def close(server: Server, gate: Gate, grace: float, say: Callable[[str], None]) -> None:
    """Close a server; what is closed already stays so. What is under way gets `grace` seconds to commit."""
    _switch(server, gate.events, "DISABLE")
    with server.session() as session:
        if gate.scheduler:
            session.execute("SET PERSIST event_scheduler = OFF")
        _wait_for_events(session, gate, grace)
        if gate.way == READ_ONLY:
            _wait_for_transactions(session, grace)
            _lock(session, gate.locks, "LOCK")
            session.execute(f"SET SESSION lock_wait_timeout = {max(1, int(grace) + 5)}")
            session.execute("SET PERSIST read_only = ON")
            _end_sessions(session, gate.locks, 0.0)
        else:
            _lock(session, gate.locks, "LOCK")
            _end_sessions(session, gate.locks, grace)
    say(gate.said)


def open_up(server: Server, gate: Gate) -> None:
    """Open a server for applications, with the events that are to fire there."""
    _switch(server, gate.rests, "DISABLE")
    _open(server, gate, gate.scheduler)
    _switch(server, gate.fires, "ENABLE")


def open_again(server: Server, gate: Gate, events: bool = True) -> None:
    """Take back what closed the server; without `events` these stay off."""
    _open(server, gate, events and gate.scheduler)
    _switch(server, gate.events if events else (), "ENABLE")


def _open(server: Server, gate: Gate, scheduler: bool) -> None:
    with server.session() as session:
        if gate.way == READ_ONLY and not gate.read_only_before:
            session.execute("SET GLOBAL read_only = OFF")
            session.execute("RESET PERSIST IF EXISTS read_only")
        _lock(session, gate.locks, "UNLOCK")
        if scheduler:
            session.execute("SET GLOBAL event_scheduler = ON")
            session.execute("RESET PERSIST IF EXISTS event_scheduler")


def end_writers(server: Server, gate: Gate) -> int:
    """End the sessions of accounts that can write nothing here any more: they would not notice by themselves."""
    with server.session() as session:
        return _end_sessions(session, gate.writers, 0.0)


def refuse_hidden_writers(server: Server) -> None:
    """Raise Refused where others write with the workbook's own login, or writes come in by other doors."""
    with server.session() as session:
        user, _, host = str(session.scalar("SELECT CURRENT_USER()")).rpartition("@")
        kinds = ", ".join(f"'statement/sql/{kind}'" for kind in sorted(WRITING))
        rows = session.rows(
            "SELECT t.PROCESSLIST_ID AS id, t.PROCESSLIST_HOST AS host, SUM(s.COUNT_STAR) AS n,"
            " MAX(a.ATTR_VALUE) AS program FROM performance_schema.threads t"
            " JOIN performance_schema.events_statements_summary_by_thread_by_event_name s USING (THREAD_ID)"
            " LEFT JOIN performance_schema.session_connect_attrs a ON a.PROCESSLIST_ID = t.PROCESSLIST_ID AND"
            " a.ATTR_NAME = 'program_name' WHERE t.TYPE = 'FOREGROUND' AND t.PROCESSLIST_USER = %s"
            f" AND s.EVENT_NAME IN ({kinds}) GROUP BY t.PROCESSLIST_ID, t.PROCESSLIST_HOST",
            (user,),
        )
        others = [
            row
            for row in rows
            if row["n"] and row["program"] != PROGRAM and host_matches(host, str(row["host"] or "localhost"))
        ]
        replicas = [
            row
            for row in session.rows("SHOW REPLICA STATUS")
            if row.get("Replica_SQL_Running") == "Yes" or row.get("Replica_IO_Running") == "Yes"
        ]
        prepared = session.rows("XA RECOVER CONVERT XID")
    if others:
        named = ", ".join(f"{row['id']} ({row['program'] or 'of an unnamed program'})" for row in others[:5])
        raise Refused(
            f"Sessions of others write on the {server.role} with the workbook's own login {user}@{host}: {named}.",
            "The workbook cannot keep its own login out, so their writes would go on after the last change was taken over.",
            "Give them an account of their own (or the workbook), end these sessions, then run again.",
        )
    if replicas:
        raise Refused(
            f"The {server.role} is itself a replica that is at work.",
            "What it replicates passes every lock here.",
            "Cut over from where the writes happen, or stop its replication (STOP REPLICA), then run again.",
        )
    if prepared:
        raise Refused(
            f"On the {server.role} {len(prepared)} XA transactions are prepared, the first is {prepared[0].get('data')}.",
            "They could be committed after the last change was taken over.",
            "End them (XA RECOVER shows them; XA COMMIT or XA ROLLBACK), then run again.",
        )


def _refuse_unable(server: Server, accounts: Accounts, held: Collection[str], locks: bool, way: str) -> None:
    missing = ["PROCESS"] if "PROCESS" not in held else []
    if way == LOCKS or locks:
        missing += ["CREATE USER"] if "CREATE USER" not in held else []
        missing += ["CONNECTION_ADMIN"] if not _PASSES.intersection(held) else []
    if "XA_RECOVER_ADMIN" not in held:
        missing.append("XA_RECOVER_ADMIN")
    if missing:
        raise Refused(
            f"The workbook's login on the {server.role} lacks {', '.join(missing)}.",
            "Others could not be kept from writing while the last changes are taken over.",
            f"GRANT {', '.join(missing)} ON *.* TO {mysql_account(*accounts.login)}; then run again.",
        )


def _writers(accounts: Accounts, databases: Collection[str]) -> Iterable[Any]:
    for account in accounts.accounts:
        if account.is_role or account.locked or account.key == accounts.login or account.user.startswith("mysql."):
            continue
        able = in_any_way(account, accounts, databases).perhaps
        for place, privileges in able.items():
            here = not place or database_of(place) in databases
            # A privilege on columns is written with them in brackets.
            if here and any(item.partition(" (")[0] in _WRITES for item in privileges):
                yield account
                break


def _event(plain: Mapping[str, Any]) -> Event:
    user, host = plain["definer"]
    settings = tuple((name, value) for name, value in plain["settings"])
    return Event(plain["database"], plain["name"], (user, host), settings)


def _switch(server: Server, events: Sequence[Event], status: str) -> None:
    if not events:
        return
    rows = server.rows("SELECT EVENT_SCHEMA AS d, EVENT_NAME AS n FROM information_schema.EVENTS")
    there = {(row["d"], row["n"]) for row in rows}
    # Each changes the session's settings, so that nothing else is sent through it.
    with server.session() as session:
        for event in events:
            # One that has fired for the last time is gone by itself.
            if event.path in there:
                carry_out(session, event.step(status))


def _lock(session: Session, accounts: Sequence[tuple[str, str]], word: str) -> None:
    if accounts:
        named = ", ".join(mysql_account(*key) for key in accounts).replace("%", "%%")
        session.execute(f"ALTER USER IF EXISTS {named} ACCOUNT {word}", ())


def _wait_for_events(session: Session, gate: Gate, seconds: float) -> None:
    """Wait until the events that run now have come to their end, for so long; what runs on then is ended."""
    databases = {event.database for event in gate.events}
    if not databases and not gate.scheduler:
        return
    deadline = time.monotonic() + seconds
    while running := [
        int(row["id"])
        for row in session.rows(
            "SELECT PROCESSLIST_ID AS id, PROCESSLIST_DB AS d FROM performance_schema.threads"
            " WHERE NAME = 'thread/sql/event_worker' AND PROCESSLIST_ID IS NOT NULL"
        )
        if gate.scheduler or row["d"] in databases
    ]:
        if time.monotonic() > deadline + _GONE_SECONDS:
            raise TransientError(
                f"On the {session.server.role} {len(running)} events run on, the first as thread {running[0]}.",
                "They could write on.",
                "A long rollback holds them (SHOW PROCESSLIST tells); wait for its end, then run again.",
            )
        if time.monotonic() > deadline:
            for number in running:
                _kill(session, number)
        time.sleep(0.02)


def _kill(session: Session, number: int) -> None:
    try:
        session.execute(f"KILL {number}")
    except WorkbookError as error:
        if error.code != _NO_SUCH_THREAD:
            raise


def _wait_for_transactions(session: Session, seconds: float) -> None:
    """Wait until the transactions that are open now have ended, for so long at most."""
    waiting = set(_transactions(session))
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        time.sleep(0.02)
        waiting &= set(_transactions(session))


def _transactions(session: Session) -> list[tuple[int, str]]:
    """The transactions that are open now, by thread and number; those of the workbook's own login hold nobody up."""
    own, _, _ = str(session.scalar("SELECT CURRENT_USER()")).rpartition("@")
    rows = session.rows(
        "SELECT x.trx_mysql_thread_id AS thread, x.trx_id AS number FROM information_schema.INNODB_TRX x"
        " JOIN performance_schema.threads t ON t.PROCESSLIST_ID = x.trx_mysql_thread_id WHERE t.PROCESSLIST_USER <> %s",
        (own,),
    )
    return [(int(row["thread"]), str(row["number"])) for row in rows]


def _end_sessions(session: Session, accounts: Sequence[tuple[str, str]], grace: float) -> int:
    """End all sessions of these accounts, those in a transaction after `grace` seconds; how many there were.

    Raises TransientError where one does not go away.
    """
    if not accounts:
        return 0
    own, _, host = str(session.scalar("SELECT CURRENT_USER()")).rpartition("@")
    began, ended, first = time.monotonic(), set[int](), set(_transactions(session))
    while True:
        # A transaction that was open at the beginning gets its time, none that began later.
        first &= set(_transactions(session))
        busy = {thread for thread, _ in first}
        left = []
        for row in session.rows(
            "SELECT PROCESSLIST_ID AS id, PROCESSLIST_USER AS user, PROCESSLIST_HOST AS host"
            " FROM performance_schema.threads WHERE TYPE = 'FOREGROUND' AND PROCESSLIST_USER IS NOT NULL"
        ):
            user, place = str(row["user"]), str(row["host"] or "localhost")
            if (user == own and host_matches(host, place)) or not any(
                user == name and host_matches(pattern, place) for name, pattern in accounts
            ):
                continue
            left.append(int(row["id"]))
        spent = time.monotonic() - began
        if not left:
            return len(ended)
        if spent > grace + _GONE_SECONDS:
            raise TransientError(
                f"On the {session.server.role} {len(left)} sessions of locked accounts do not end, the first is {left[0]}.",
                "They could write on.",
                "A long rollback holds them (SHOW PROCESSLIST tells); wait for its end, then run again.",
            )
        for number in left:
            if number not in busy or spent >= grace:
                _kill(session, number)
                ended.add(number)
        time.sleep(0.01)
