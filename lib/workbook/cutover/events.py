"""Events at the cutover: one fires on the server that opens where it fired on the one that closes, and never on both."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from workbook.accounts import Accounts
from workbook.errors import Refused
from workbook.names import mysql_account, mysql_path
from workbook.plan import Step
from workbook.schema.code import quoted_account
from workbook.servers import Server, Session

Path = tuple[str, str]
#: The word in `cutover.despite` that passes over events which would not fire any more.
DESPITE = "events"
ON = "ON"
#: One of these lets a login make code in the name of others; the first that the server knows is the one to grant.
_ANY_DEFINER = ("SET_ANY_DEFINER", "SET_USER_ID", "SUPER")


@dataclass(frozen=True)
class Event:
    """An event, with the settings that it was written under."""

    database: str
    name: str
    definer: tuple[str, str]
    settings: tuple[tuple[str, str], ...]

    @property
    def path(self) -> Path:
        """Its database and name."""
        return self.database, self.name

    def step(self, status: str) -> Step:
        """The step that switches it ENABLE or DISABLE; nothing else of it changes."""
        name = mysql_path(self.database, self.name)
        # Without its definer the event would become that of whoever alters it. In backticks, since under the event's own
        # sql_mode a backslash between quotes may be a letter.
        definer = quoted_account("@".join(self.definer))
        return Step("event", name, f"ALTER DEFINER = {definer} EVENT {name} {status}", None, self.settings)


@dataclass(frozen=True)
class Clock:
    """What a server does by itself: its events, the paths of those that are enabled, and its scheduler: ON, OFF, DISABLED.

    Enabled are only those that this server fires: not those of a replica (REPLICA_SIDE_DISABLED, SLAVESIDE_DISABLED).
    """

    events: Mapping[Path, Event]
    enabled: frozenset[Path]
    scheduler: str

    @property
    def firing(self) -> frozenset[Path]:
        """The paths of the events that fire."""
        return self.enabled if self.scheduler == ON else frozenset()

    def before(self, off: Iterable[Event], scheduler: bool) -> "Clock":
        """As it was before these events were switched off, or the scheduler."""
        enabled = self.enabled | {event.path for event in off if event.path in self.events}
        return replace(self, enabled=enabled, scheduler=ON if scheduler else self.scheduler)


@dataclass(frozen=True)
class Handover:
    """What fires where, when applications go `to` a side. `origin` and `destination` are as they are when both are open.

    `names` are the databases of the origin with their names on the destination.
    """

    to: str
    origin: Clock
    destination: Clock
    names: Mapping[str, str]

    @cached_property
    def wanted(self) -> frozenset[Path]:
        """The destination's events that are to be enabled when it is open: what the origin does not know stays as it was."""
        here, there = self.origin, self.destination
        known = {self._there(path): path in here.firing for path in here.events}
        if self.to == "source" and here.scheduler != ON:
            # Nobody chose for each event of a server that fires none.
            known = {}
        return frozenset(path for path in there.events if known.get(path, path in there.enabled))

    def missing(self, left: Collection[Path]) -> list[Path]:
        """Events that fire on the origin and are not on the destination, under its names; but for those that were `left` out."""
        found = {self._there(path) for path in self.origin.firing}
        return sorted(found - self.destination.events.keys() - set(left))

    @property
    def silent(self) -> list[Path]:
        """Events that fire on the origin and would not on the destination, whose scheduler is not at work."""
        if self.destination.scheduler == ON:
            return []
        return sorted({self._there(path) for path in self.origin.firing} & self.wanted)

    def refuse(self, left: Collection[Path], despite: Collection[str]) -> list[str]:
        """What will be of the events, in words. Raises Refused where one would not fire any more, and nobody said it may."""
        missing, silent = self.missing(left), self.silent
        origin = "source" if self.to == "target" else "target"
        if missing and DESPITE not in despite:
            make = (
                "Make them there (workbook run schema, while the stream stands still)"
                if self.to == "target"
                else "Make them there, with DISABLE at their end (SHOW CREATE EVENT tells how)"
            )
            raise Refused(
                f"{len(missing)} events fire on the {origin} and are not on the {self.to}: {_named(missing)}.",
                "Nobody would do their work any more.",
                f"{make}; or disable them on the {origin}, or go without them (cutover.despite: [{DESPITE}]); then run again.",
            )
        if silent and self.to == "target" and DESPITE not in despite:
            raise Refused(
                f"The target's event scheduler is {self.destination.scheduler}, and {len(silent)} events are to fire"
                f" there: {_named(silent)}.",
                "They would never fire, and nobody would be told.",
                "Switch it on (on Cloud SQL: gcloud sql instances patch INSTANCE --database-flags=event_scheduler=on, with"
                " all other flags of the instance; elsewhere: SET PERSIST event_scheduler = ON), or go without them"
                f" (cutover.despite: [{DESPITE}]); then run again.",
            )
        fires = self.destination.scheduler == ON and self.wanted
        words = [f"{len(self.wanted)} events will fire there"] if fires else []
        words += [f"{len(missing)} events are not there and will not fire: {_named(missing)}"] if missing else []
        if silent:
            state = self.destination.scheduler
            words.append(f"the event scheduler there is {state}: {len(silent)} events will not fire: {_named(silent)}")
        return words

    def _there(self, path: Path) -> Path:
        return self.names.get(path[0], path[0]), path[1]


def read_clock(session: Session, databases: Collection[str]) -> Clock:
    """The events of these databases and the scheduler, as they are."""
    rows = session.rows(
        "SELECT EVENT_SCHEMA AS d, EVENT_NAME AS n, DEFINER AS definer, STATUS AS status, SQL_MODE AS m, TIME_ZONE AS z,"
        " CHARACTER_SET_CLIENT AS c, COLLATION_CONNECTION AS k FROM information_schema.EVENTS"
    )
    events, enabled = {}, set()
    for row in rows:
        if row["d"] in databases:
            user, _, host = str(row["definer"]).rpartition("@")
            settings = (
                ("sql_mode", str(row["m"])),
                ("time_zone", str(row["z"])),
                ("character_set_client", str(row["c"])),
                ("collation_connection", str(row["k"])),
            )
            event = Event(row["d"], row["n"], (user, host), settings)
            events[event.path] = event
            enabled |= {event.path} if row["status"] == "ENABLED" else set()
    return Clock(events, frozenset(enabled), str(session.scalar("SELECT @@GLOBAL.event_scheduler")))


def elsewhere(session: Session, databases: Collection[str]) -> list[str]:
    """Events of other databases that fire and name one of these: they may write there, and are not the cutover's to stop."""
    names = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in databases) or r"\Z\A\w", re.IGNORECASE)
    rows = session.rows(
        "SELECT EVENT_SCHEMA AS d, EVENT_NAME AS n, EVENT_DEFINITION AS body FROM information_schema.EVENTS"
        " WHERE STATUS = 'ENABLED'"
    )
    return [
        f"event {mysql_path(row['d'], row['n'])}"
        for row in rows
        if row["d"] not in databases and names.search(str(row["body"]))
    ]


def refuse_others(server: Server, accounts: Accounts, events: Iterable[Event]) -> None:
    """Raise Refused, with the GRANT, where the login may not switch these events and leave them their definers."""
    user, host = accounts.login
    foreign = [item for item in events if item.definer[0] != user or item.definer[1].lower() != host.lower()]
    if not foreign:
        return
    held = {grant.privilege for grant in accounts.holds if grant.level == "global"}
    known = {str(row["Privilege"]).upper() for row in server.rows("SHOW PRIVILEGES")}
    missing = [] if held.intersection(_ANY_DEFINER) else [next(name for name in _ANY_DEFINER if name in known)]
    definers = {item.definer for item in foreign}
    if "SYSTEM_USER" not in held and any(_is_system(accounts, definer) for definer in definers):
        missing.append("SYSTEM_USER")
    if "ALLOW_NONEXISTENT_DEFINER" in known - held and definers - accounts.names:
        missing.append("ALLOW_NONEXISTENT_DEFINER")
    if missing:
        login, names = mysql_account(*accounts.login), _named([item.path for item in foreign])
        owners = ", ".join(mysql_account(*definer) for definer in sorted(definers)[:3])
        raise Refused(
            f"{len(foreign)} events on the {server.role} belong to {owners}: {names}; the workbook's login lacks"
            f" {', '.join(missing)}.",
            "It could not switch them and leave them their definers, so that they would fire on the wrong side.",
            f"GRANT {', '.join(missing)} ON *.* TO {login}; or, where nobody may grant that, make the login their definer"
            f" (ALTER DEFINER = {login} EVENT …); then run again.",
        )


def _is_system(accounts: Accounts, definer: tuple[str, str]) -> bool:
    account = accounts.by_key.get(definer)
    return account is not None and any(
        grant.level == "global" and grant.privilege == "SYSTEM_USER" for grant in account.grants
    )


def _named(paths: Collection[Path]) -> str:
    names = [mysql_path(*path) for path in paths]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
