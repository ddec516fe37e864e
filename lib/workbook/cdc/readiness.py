"""Whether the source's changes can be followed: each hindrance by name, with the statement that mends it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from workbook import faces
from workbook.catalog import Catalog
from workbook.catalog.objects import version_number
from workbook.errors import Refused, WorkbookError
from workbook.mapping import Mapping as MappingInForce
from workbook.names import mysql_path
from workbook.schema import compare_schema
from workbook.servers import Server

BLOCKED, DECIDE, OK, UNKNOWN = "blocked", "decide", "ok", "incomparable"
# Debezium's documentation of the MySQL connector names these; LOCK TABLES is for snapshots alone.
_GRANTS = ("SELECT", "RELOAD", "SHOW DATABASES", "REPLICATION SLAVE", "REPLICATION CLIENT")
_RETENTION_LEAST = 24 * 3600
# From here on InnoDB leaves cascades to the server, which logs them.
_LOGS_CASCADES = (9, 6, 0)


@dataclass(frozen=True)
class Finding:
    """One check: what was found, and the statement for the source that mends it (empty: none does)."""

    check: str
    state: str
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Evidence:
    """What is known of the source: global variables, the account's privileges, settings of other sessions that differ,
    seconds since the bulk load's picture, the tables in scope, and XA transactions: how many were prepared since the server
    started, and how many are (None: cannot be seen)."""

    variables: Mapping[str, str]
    grants: tuple[str, ...]
    sessions: tuple[Mapping[str, Any], ...] | None
    account: str
    flavour: str
    version: str
    purged: bool | None
    snapshot: Mapping[str, Any] | None
    since: float
    keyless: tuple[str, ...]
    filtered_keyless: tuple[str, ...]
    cascading: tuple[str, ...]
    changed: tuple[str, ...] | None = None
    xa_used: int = 0
    xa_open: int | None = 0
    begun: bool = False


@dataclass(frozen=True)
class Readiness:
    """The verdict (ok, blocked, or incomparable where something could not be read) and every check."""

    findings: tuple[Finding, ...]
    silent_cascades: bool = field(default=False)

    @property
    def verdict(self) -> str:
        states = {finding.state for finding in self.findings}
        return BLOCKED if BLOCKED in states else UNKNOWN if UNKNOWN in states else OK

    def refuse(self) -> None:
        """Raise Refused where the changes cannot be followed."""
        bad = [finding for finding in self.findings if finding.state in (BLOCKED, UNKNOWN)]
        if bad:
            mends = "; ".join(finding.mend for finding in bad if finding.mend)
            raise Refused(
                f"The changes of the source cannot be followed: {'; '.join(finding.found for finding in bad)}.",
                "Changes would be lost without a word.",
                f"Mend it on the source, then try again: {mends}" if mends else "See lib/workbook/cdc/README.md.",
            )

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"verdict": self.verdict, "checks": [asdict(finding) for finding in self.findings]}

    def _repr_html_(self) -> str:
        order = (BLOCKED, UNKNOWN, DECIDE, OK)
        return faces.stack(
            faces.boxes(
                ("Readiness", faces.badge(self.verdict)),
                *((state, sum(item.state == state for item in self.findings)) for state in order),
            ),
            faces.table(
                [
                    {
                        "check": item.check,
                        "state": faces.badge(item.state),
                        "found": item.found,
                        "mend": faces.code(item.mend) if item.mend else "",
                    }
                    for item in sorted(self.findings, key=lambda item: order.index(item.state))
                ],
                {"check": "Check", "state": "State", "found": "What was found", "mend": "What mends it, on the source"},
                caption="Can the source's changes be followed?",
            ),
        )


def readiness(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: MappingInForce,
    snapshot: Mapping[str, Any] | None,
    begun: bool,
) -> Readiness:
    """Look at the source, and judge. `begun`: changes are being applied already, so definitions may be on their way."""
    evidence = gather(source, target, catalog, mapping, snapshot, begun)
    findings = tuple(found for check in CHECKS for found in check(evidence))
    return Readiness(findings, silent_cascades(evidence.version, evidence.variables))


def silent_cascades(version: str, variables: Mapping[str, str]) -> bool:
    """Whether rows that foreign keys change are missing from the binlog."""
    native = variables.get("innodb_native_foreign_keys", "OFF").upper() in ("ON", "1")
    return version_number(version) < _LOGS_CASCADES or native


def gather(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: MappingInForce,
    snapshot: Mapping[str, Any] | None,
    begun: bool,
) -> Evidence:
    """Read what the checks judge by."""
    with source.session() as session:
        grants = tuple(str(next(iter(row.values()))) for row in session.rows("SHOW GRANTS"))
        account = str(session.scalar("SELECT CURRENT_USER()"))
        sessions: tuple[Mapping[str, Any], ...] | None
        try:
            sessions = odd_sessions(source)
        except WorkbookError:
            sessions = None
        xa_used = sum(int(row["Value"]) for row in session.rows("SHOW GLOBAL STATUS LIKE 'Com_xa_prepare'"))
        xa_open: int | None
        try:
            xa_open = len(session.rows("XA RECOVER CONVERT XID"))
        except WorkbookError:
            xa_open = None
        purged: bool | None = None
        since = 0.0
        if snapshot and snapshot.get("gtids") and catalog.flavour == "mysql":
            purged = not session.scalar("SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, %s)", (snapshot["gtids"],))
            since = float(
                session.scalar("SELECT TIMESTAMPDIFF(SECOND, %s, UTC_TIMESTAMP(6))", (snapshot["taken"],)) or 0
            )
    tables = [catalog.table[item.path] for item in mapping.in_scope if item.path in catalog.table]
    changed: tuple[str, ...] | None = ()
    if snapshot is not None and not begun:
        changed = tuple(
            f"{item.kind} {item.name}"
            for item in compare_schema(source, target, catalog, mapping)
            if item.verdict == "different" and item.kind in ("table", "column")
        )
    filters = {item.path for item in mapping.in_scope if item.flow.where}
    acting = {"CASCADE", "SET NULL"}
    return Evidence(
        variables=catalog.variables,
        grants=grants,
        sessions=sessions,
        account=account,
        flavour=catalog.flavour,
        version=catalog.version,
        purged=purged,
        snapshot=snapshot,
        since=since,
        keyless=tuple(mysql_path(*table.path) for table in tables if not table.key),
        filtered_keyless=tuple(mysql_path(*table.path) for table in tables if not table.key and table.path in filters),
        cascading=tuple(
            mysql_path(*table.path)
            for table in tables
            for key in table.foreign_keys
            if {key.on_delete.upper(), key.on_update.upper()} & acting
        ),
        changed=changed,
        xa_used=xa_used,
        xa_open=xa_open,
        begun=begun,
    )


def odd_sessions(source: Server) -> tuple[Mapping[str, Any], ...]:
    """Sessions whose own binlog settings would leave something out of the binlog's rows."""
    return tuple(
        source.rows(
            "SELECT t.PROCESSLIST_USER AS user, t.PROCESSLIST_HOST AS host, t.PROCESSLIST_ID AS id,"
            " v.VARIABLE_NAME AS name, v.VARIABLE_VALUE AS value FROM performance_schema.variables_by_thread v"
            " JOIN performance_schema.threads t USING (THREAD_ID) WHERE (v.VARIABLE_NAME = 'binlog_row_image' AND"
            " v.VARIABLE_VALUE <> 'FULL') OR (v.VARIABLE_NAME = 'binlog_row_value_options' AND v.VARIABLE_VALUE <> '')"
            " OR (v.VARIABLE_NAME = 'binlog_format' AND v.VARIABLE_VALUE <> 'ROW')"
            " OR (v.VARIABLE_NAME = 'sql_log_bin' AND v.VARIABLE_VALUE = 'OFF')"
        )
    )


Check = Callable[[Evidence], Iterable[Finding]]


def _variable(name: str, good: str, why: str, mend: str) -> Check:
    def check(evidence: Evidence) -> Iterable[Finding]:
        value = evidence.variables.get(name.lower())
        if value is None and good == "":
            value = ""
        if value is None:
            yield Finding(name, UNKNOWN, f"{name} is not known to this server, so {why} is not certain")
        elif value.upper() == good:
            yield Finding(name, OK, f"{name} is {value or 'empty'}")
        else:
            yield Finding(name, BLOCKED, f"{name} is {value}, not {good or 'empty'}: {why}", mend)

    return check


def _flavour(evidence: Evidence) -> Iterable[Finding]:
    if evidence.flavour != "mysql":
        yield Finding(
            "flavour",
            BLOCKED,
            "the source is MariaDB, whose connector the engine does not carry: only MySQL's binlog is read",
        )


def _grants(evidence: Evidence) -> Iterable[Finding]:
    held = " ".join(evidence.grants).upper()
    everything = "ALL PRIVILEGES ON *.*" in held
    # Grants by roles show as the role alone, so what is not seen is asked for, not refused.
    missing = [name for name in _GRANTS if not everything and not re.search(rf"\b{name}\b[^*]*ON \*\.\*", held)]
    if "SELECT" in missing and re.search(r"\bSELECT\b", held):
        missing.remove("SELECT")
    if missing:
        user, _, host = evidence.account.rpartition("@")
        yield Finding(
            "privileges",
            BLOCKED,
            f"the account {evidence.account} lacks {', '.join(missing)}",
            f"GRANT {', '.join(missing)} ON *.* TO '{user}'@'{host}';",
        )
    else:
        yield Finding("privileges", OK, "the account may read the binlog")


def _sessions(evidence: Evidence) -> Iterable[Finding]:
    if evidence.sessions is None:
        yield Finding(
            "sessions",
            DECIDE,
            "settings of other sessions cannot be seen: one with a MINIMAL row image or PARTIAL_JSON would go unnoticed until its change",
            "GRANT SELECT ON performance_schema.* TO CURRENT_USER();",
        )
    for row in evidence.sessions or ():
        yield Finding(
            "sessions",
            BLOCKED,
            f"session {row['id']} of {row['user']}@{row['host']} has {row['name']} = {row['value']}: its changes would arrive in part or not at all",
            f"KILL {row['id']};  -- after its application sets the default",
        )
    if evidence.sessions == ():
        yield Finding("sessions", OK, "no session has binlog settings of its own that leave something out")


def _position(evidence: Evidence) -> Iterable[Finding]:
    if evidence.snapshot is None:
        yield Finding(
            "position",
            BLOCKED,
            "no complete bulk load is noted, so there is no position to go on from: run bulk_load first",
        )
    elif not evidence.snapshot.get("gtids"):
        yield Finding("position", BLOCKED, "the bulk load noted no GTID set: switch GTIDs on, then load again")
    elif evidence.purged:
        yield Finding(
            "position",
            BLOCKED,
            "the source has purged binlog since the bulk load's position: changes in between are gone. Load again",
        )
    else:
        yield Finding(
            "position", OK, f"the binlog is there from the bulk load's position on ({evidence.since / 3600:,.1f} h)"
        )


def _retention(evidence: Evidence) -> Iterable[Finding]:
    seconds = int(evidence.variables.get("binlog_expire_logs_seconds") or 0)
    seconds = seconds or int(float(evidence.variables.get("expire_logs_days") or 0) * 86400)
    # The stream may stand still for as long again as the load took so far, twice over, and for a day at least.
    needed = max(_RETENTION_LEAST, 3 * evidence.since)
    if seconds == 0 or seconds >= needed:
        kept = "for ever" if seconds == 0 else f"for {seconds / 3600:,.0f} h"
        yield Finding("retention", OK, f"binlogs are kept {kept}; needed are {needed / 3600:,.0f} h")
    else:
        yield Finding(
            "retention",
            DECIDE,
            f"binlogs are kept for {seconds / 3600:,.1f} h, and {needed / 3600:,.0f} h are needed for a stream that stands still",
            f"SET PERSIST binlog_expire_logs_seconds = {int(max(needed, 7 * 86400))};",
        )


def _definitions(evidence: Evidence) -> Iterable[Finding]:
    if evidence.changed:
        yield Finding(
            "definitions",
            BLOCKED,
            "definitions have changed between the bulk load and the first start, which reads those of today:"
            f" {', '.join(evidence.changed[:5])}. Run schema and bulk_load again",
        )
    else:
        yield Finding("definitions", OK, "source and target have the same columns")


def _xa(evidence: Evidence) -> Iterable[Finding]:
    if evidence.xa_open and not evidence.begun:
        yield Finding(
            "XA",
            BLOCKED,
            f"{evidence.xa_open} XA transactions are prepared: one from before the bulk load's picture would never arrive."
            " End them (XA RECOVER shows them), then load again",
        )
    if evidence.xa_used:
        yield Finding(
            "XA",
            DECIDE,
            f"{evidence.xa_used:,} XA transactions were prepared since the source started: Debezium hands their rows on then,"
            " and those of one that is rolled back afterwards stay on the target. Validate in full before the cutover",
            "-- in the application: XA COMMIT … ONE PHASE, where it has one resource",
        )
    elif evidence.xa_open is None:
        yield Finding(
            "XA", DECIDE, "prepared XA transactions cannot be seen", "GRANT XA_RECOVER_ADMIN ON *.* TO CURRENT_USER();"
        )
    elif not evidence.xa_open:
        yield Finding("XA", OK, "no XA transaction was prepared since the source started")


def _keyless(evidence: Evidence) -> Iterable[Finding]:
    for name in evidence.filtered_keyless:
        yield Finding(
            "keys", BLOCKED, f"{name} has no key and a filter: whether a changed row was inside cannot be told"
        )
    for name in evidence.keyless:
        if name not in evidence.filtered_keyless:
            yield Finding(
                "keys",
                DECIDE,
                f"{name} has no key: its changes are applied one by one, and each searches the whole table",
                f"ALTER TABLE {name} ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY;",
            )
    if not evidence.keyless:
        yield Finding("keys", OK, "every table has a key")


def _cascades(evidence: Evidence) -> Iterable[Finding]:
    if not silent_cascades(evidence.version, evidence.variables) or not evidence.cascading:
        return
    if evidence.variables.get("binlog_transaction_compression", "OFF").upper() == "ON":
        yield Finding(
            "cascades",
            BLOCKED,
            "cascades are not in the binlog, and in compressed transactions a new key cannot be told from a deletion",
            "SET PERSIST binlog_transaction_compression = OFF;",
        )
    else:
        names = ", ".join(dict.fromkeys(evidence.cascading))
        yield Finding(
            "cascades", OK, f"cascades into {names} are not in the binlog: the target's foreign keys repeat them"
        )


CHECKS: Sequence[Check] = (
    _flavour,
    _variable(
        "log_bin", "ON", "there is nothing to read", "-- in the server's configuration: log_bin = ON, then restart"
    ),
    _variable("binlog_format", "ROW", "statements are no rows", "SET PERSIST binlog_format = ROW;"),
    _variable("binlog_row_image", "FULL", "columns would be missing", "SET PERSIST binlog_row_image = FULL;"),
    _variable(
        "binlog_row_value_options", "", "JSON would arrive in part", "SET PERSIST binlog_row_value_options = '';"
    ),
    _variable(
        "gtid_mode",
        "ON",
        "what was applied is kept as a set of GTIDs",
        "SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE;"
        " SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;",
    ),
    _grants,
    _sessions,
    _position,
    _retention,
    _definitions,
    _xa,
    _keyless,
    _cascades,
)
