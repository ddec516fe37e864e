"""Who works with the source and stands in no register: accounts, programs and hosts, events, replicas."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from workbook import faces
from workbook.accounts.hosts import host_matches
from workbook.catalog import Catalog
from workbook.errors import WorkbookError
from workbook.pipelines.register import Ignored, Pipeline, Register
from workbook.pipelines.traffic import WRITING, Connected, Traffic, read_traffic
from workbook.servers import Server

_SYSTEM = ("mysql.session", "mysql.sys", "mysql.infoschema", "mariadb.sys", "event_scheduler")


@dataclass(frozen=True)
class Sighting:
    """Something that works with the source. `state` is registered, ignored, own (the workbook), quiet or unregistered."""

    kind: str  # account, program, event or replica
    name: str
    state: str
    writes: bool
    detail: str


@dataclass(frozen=True)
class Discovery:
    """All that was seen since the server started, `uptime` seconds ago; `lost` accounts were too many to be counted."""

    sightings: tuple[Sighting, ...]
    uptime: int
    lost: int

    @property
    def unregistered(self) -> tuple[Sighting, ...]:
        """What nobody registered."""
        return tuple(item for item in self.sightings if item.state == "unregistered")

    @property
    def verdict(self) -> str:
        """ok, decide where something is unregistered, incomparable where not all could be seen."""
        return "decide" if self.unregistered else "incomparable" if self.lost else "ok"

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"verdict": self.verdict, **asdict(self)}

    def _repr_html_(self) -> str:
        counts = Counter(item.state for item in self.sightings)
        rank = ("unregistered", "registered", "ignored", "own")
        loud = sorted((item for item in self.sightings if item.state in rank), key=lambda item: rank.index(item.state))
        columns = {"kind": "Kind", "name": "Name", "state": "State", "writes": "Writes", "detail": "What was seen"}
        quiet = [item for item in self.sightings if item.state == "quiet"]
        return faces.stack(
            faces.boxes(
                ("Unregistered", counts["unregistered"], self.verdict),
                ("Registered and seen", counts["registered"]),
                ("Ignored by the register", counts["ignored"]),
                ("Never seen", len(quiet)),
                ("The server has watched for", faces.human_seconds(self.uptime)),
            ),
            faces.text(
                f"{self.lost:,} more accounts were connected than performance_schema could count: this list is not whole."
            )
            if self.lost
            else None,
            faces.table([_shown(item) for item in loud], columns, caption="Seen on the source"),
            faces.details(
                f"{len(quiet)} accounts and events that were never seen at work since the server started",
                faces.table([_shown(item) for item in quiet], columns),
            )
            if quiet
            else None,
        )


def discover(source: Server, catalog: Catalog, register: Register) -> Discovery:
    """Everything that works with the source, set against the register. Raises TerminalError where it cannot be seen."""
    traffic = read_traffic(source)
    return Discovery(
        (
            *_accounts(traffic, catalog, register, source.user),
            *_programs(traffic, register),
            *_events(catalog, register),
            *_replicas(source, traffic, register),
        ),
        traffic.uptime,
        traffic.lost,
    )


def _accounts(traffic: Traffic, catalog: Catalog, register: Register, own: str) -> Iterable[Sighting]:
    hosts: dict[str, set[str]] = defaultdict(set)
    ran: dict[str, Counter[str]] = defaultdict(Counter)
    for user, host in traffic.connections.keys() | traffic.statements.keys():
        hosts[user].add(host)
        ran[user].update(traffic.statements.get((user, host), {}))
    # An account that performance_schema has no statistics of may be at work all the same.
    for session in traffic.sessions:
        hosts[session.user].add(session.host)
    for user in sorted(hosts.keys() - set(_SYSTEM)):
        for state, group in _by_state(user, hosts[user], register, own).items():
            writes = {kind: count for kind, count in ran[user].items() if kind in WRITING}
            detail = (
                f"from {_listed(sorted(group))}: {sum(ran[user].values()):,} statements,"
                f" {sum(writes.values()):,} that write" + (f" ({', '.join(sorted(writes))})" if writes else "")
            )
            names = (
                _named(user, group, register)
                if state == "registered"
                else _why(user, register)
                if state == "ignored"
                else ""
            )
            yield Sighting("account", user, state, bool(writes), detail + (f"; {names}" if names else ""))
    for account in catalog.accounts or ():
        known = any(pipeline.key[0] == account.user for pipeline in register.pipelines) or _why(account.user, register)
        if account.user in hosts or account.is_role or account.locked or account.user in _SYSTEM or known:
            continue
        yield Sighting("account", account.name, "quiet", False, "can log in; was not seen since the server started")


def _by_state(user: str, hosts: set[str], register: Register, own: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for host in hosts:
        if any(p.key[0] == user and host_matches(p.key[1], host) for p in register.pipelines):
            found["registered"].add(host)
        elif any(_means(item, user, host) for item in register.ignored):
            found["ignored"].add(host)
        else:
            found["own" if user == own else "unregistered"].add(host)
    return found


def _programs(traffic: Traffic, register: Register) -> Iterable[Sighting]:
    """Programs at work under a registered account that the register does not tell from each other."""
    sessions: dict[str, list[Connected]] = defaultdict(list)
    for session in traffic.sessions:
        sessions[session.user].append(session)
    users: dict[str, list[Pipeline]] = defaultdict(list)
    for pipeline in register.pipelines:
        users[pipeline.key[0]].append(pipeline)
    for user, pipelines in users.items():
        known = {pipeline.program for pipeline in pipelines}
        for program in sorted({session.program for session in sessions[user]}):
            here = [session for session in sessions[user] if session.program == program]
            hosts = _listed(sorted({session.host for session in here}))
            writes = any(kind in WRITING for session in here for kind in session.statements)
            state = "registered" if program in known or None in known else "unregistered"
            detail = f"{len(here)} sessions of the account {user} from {hosts}"
            yield Sighting("program", program or "(unnamed)", state, writes, detail)


def _events(catalog: Catalog, register: Register) -> Iterable[Sighting]:
    scheduler = catalog.variables.get("event_scheduler", "?")
    for event in catalog.events:
        name = f"{event.database}.{event.name}"
        ignored = next((item.why for item in register.ignored if item.event == name), None)
        awake = event.status.upper() == "ENABLED"
        state = "ignored" if ignored is not None else "unregistered" if awake else "quiet"
        detail = f"{event.schedule}; {event.status.lower()}, the scheduler is {scheduler}; runs as {event.definer}"
        yield Sighting("event", name, state, True, detail + (f"; {ignored}" if ignored else ""))


def _replicas(source: Server, traffic: Traffic, register: Register) -> Iterable[Sighting]:
    dumping = [session for session in traffic.sessions if session.command.startswith("Binlog Dump")]
    try:
        rows = source.rows("SHOW REPLICAS")
    except WorkbookError:
        try:
            rows = source.rows("SHOW SLAVE HOSTS")
        except WorkbookError:
            rows = []
    for row in rows:
        name = str(row.get("Server_Id", row.get("Server_id", "?")))
        why = next((item.why for item in register.ignored if item.replica == name), None)
        detail = f"{row.get('Host') or 'host not told'}, port {row.get('Port')}"
        yield Sighting(
            "replica", name, "unregistered" if why is None else "ignored", False, f"{detail}; {why}" if why else detail
        )
    # Whoever reads the binlog without saying who he is: change capture does, and so did replicas of old.
    users = sorted({session.user for session in dumping} - {source.user})
    if len(dumping) > len(rows) and users:
        yield Sighting("replica", "(not told)", "unregistered", False, f"reads the binlog as {_listed(users)}")


def _means(item: Ignored, user: str, host: str) -> bool:
    if item.account is None:
        return False
    if item.account == user:
        return True
    name, at, pattern = item.account.rpartition("@")
    return bool(at) and name == user and host_matches(pattern, host)


def _why(user: str, register: Register) -> str:
    named = (item for item in register.ignored if item.account is not None)
    return next(
        (item.why for item in named if item.account == user or (item.account or "").rpartition("@")[0] == user), ""
    )


def _named(user: str, hosts: set[str], register: Register) -> str:
    names = [
        pipeline.name
        for pipeline in register.pipelines
        if pipeline.key[0] == user and any(host_matches(pipeline.key[1], host) for host in hosts)
    ]
    return f"pipeline {', '.join(names)}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _shown(item: Sighting) -> dict[str, object]:
    return {**asdict(item), "state": faces.badge(item.state)}
