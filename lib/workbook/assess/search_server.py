"""Searches in what the server itself is set to: variables, accounts, tablespaces, files."""

import re
from collections.abc import Callable, Iterator

from workbook.assess.code import Token, phrase
from workbook.assess.evidence import RESERVED, Evidence, table_of
from workbook.assess.search import Code, Finder, Hit, Search, all_code, code
from workbook.assess.words import CLOUD_SQL_FLAGS, PLACES
from workbook.catalog import Account, Catalog

_TAGGED = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?::[0-9-]+)*:([a-z_]\w*)", re.I)
_ADDRESS = re.compile(r"[0-9.%_/]+|[0-9a-f:%_/]*:[0-9a-f:%_/]*", re.I)
_OFFSET = re.compile(r"([+-])(\d\d?):(\d\d)")
_ACCOUNT_TABLES = "|".join(
    ("USER", "DB", "TABLES_PRIV", "COLUMNS_PRIV", "PROCS_PRIV", "PROXIES_PRIV", "GLOBAL_GRANTS", "ROLE_EDGES",
     "DEFAULT_ROLES", "GLOBAL_PRIV", "ROLES_MAPPING")
)  # fmt: skip
_CARRIED_PLUGINS = ("caching_sha2_password", "mysql_native_password", "sha256_password", "", "mysql_no_login")
_MEBIBYTE = 1 << 20


def variable(name: str, bad: Callable[[str], bool], says: str) -> Search:
    """The global variable `name` where its value is `bad`; `says` holds {value}."""

    def find(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
        value = catalog.variables.get(name)
        if value is not None and bad(value):
            yield Hit("variable", name, says.format(value=value or "empty"))

    return find


def joined(*searches: Search) -> Search:
    """What any of `searches` finds."""
    return lambda catalog, evidence: (hit for search in searches for hit in search(catalog, evidence))


def above(bytes: int) -> Callable[[str], bool]:
    """Whether a value is a number greater than that."""
    return lambda value: value.isdigit() and int(value) > bytes


def loadable_functions(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Functions that a library brought, and code that brings one."""
    for name in evidence.functions:
        yield Hit("function", name, "comes from a library of the server")
    yield from code("CREATE FUNCTION … SONAME", _soname)(catalog, evidence)


_soname: Finder = lambda piece: (  # noqa: E731
    token for found in (piece.tokens, piece.prepared) for token in phrase(found, "SONAME")
)


def encrypted(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Tables and tablespaces with encryption at rest by InnoDB or MariaDB."""
    named = set()
    for table in catalog.tables:
        if re.search(r"encrypt(?:ion|ed)\W*=\W*(?:y|yes|1)\b", table.options, re.I):
            named.add(table.path)
            yield Hit("table", f"{table.database}.{table.name}", "has a clause for encryption")
    for space in evidence.tablespaces:
        if space.encrypted and space.general:
            yield Hit("tablespace", space.name, "is encrypted")
        elif space.encrypted and (path := table_of(space.name)) in catalog.table and path not in named:
            yield Hit("table", f"{path[0]}.{path[1]}", "is encrypted")


def placed(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """General tablespaces, and tables whose file was put into a directory of its own."""
    for space in evidence.tablespaces:
        if space.general:
            yield Hit("tablespace", space.name, "is a general tablespace")
        elif space.path.startswith("/") and (path := table_of(space.name)) in catalog.table:
            yield Hit("table", f"{path[0]}.{path[1]}", "its file was given a directory of its own")


def resource_groups(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Resource groups that somebody made, and code that uses one."""
    for name in evidence.resource_groups:
        yield Hit("resource group", name, "was made on the source")
    yield from code("RESOURCE GROUP", _resource_group)(catalog, evidence)


_resource_group: Finder = lambda piece: (  # noqa: E731
    token
    for found in (piece.tokens, piece.prepared)
    for token in phrase(found, "SET|CREATE|ALTER|DROP", "RESOURCE", "GROUP")
)


def tagged_gtids(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """GTIDs with a tag among those that were executed."""
    for tag in sorted(set(_TAGGED.findall(catalog.gtid_executed))):
        yield Hit("variable", "gtid_executed", f"holds transactions with the tag {tag}")


def plugin(*names: str) -> Search:
    """Accounts that log in by one of these plugins."""
    return lambda catalog, evidence: (
        Hit("account", account.name, f"logs in by {account.plugin}")
        for account in _people(catalog)
        if account.plugin in names and not account.is_role
    )


def other_plugins(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Accounts that log in by a plugin whose secrets do not move."""
    for account in _people(catalog):
        if account.plugin not in _CARRIED_PLUGINS:
            yield Hit("account", account.name, f"logs in by {account.plugin}")


def host_names(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Accounts whose host is a name, of which the server would have to ask a name server."""
    for account in _people(catalog):
        if account.host.lower() not in ("localhost", "") and not _ADDRESS.fullmatch(account.host):
            yield Hit("account", account.name, f"may come from {account.host!r}, which is no address")


def local_accounts(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Accounts that may come from the server's own machine alone."""
    for account in _people(catalog):
        if account.host.lower() == "localhost" and not account.is_role:
            yield Hit("account", account.name, "may come from the server's own machine only")


def _people(catalog: Catalog) -> Iterator[Account]:
    return (account for account in catalog.accounts or () if account.user not in RESERVED)


def account_tables(piece: Code) -> Iterator[Token]:
    """Statements that write to the tables of accounts."""
    for found in (piece.tokens, piece.prepared):
        for place, token in enumerate(found[:-2]):
            mysql = token.text.lower() == "mysql" and token.kind in ("word", "name") and found[place + 1].word == "."
            table = re.fullmatch(_ACCOUNT_TABLES, found[place + 2].text.upper()) if mysql else None
            before = [other.word for other in found[max(0, place - 3) : place]]
            if table and {"INSERT", "UPDATE", "DELETE", "REPLACE", "INTO"} & set(before):
                yield token


def system_schemas(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Objects whose code names a schema of the server; what applications send is not looked at."""
    for piece in all_code(catalog, Evidence()):
        for place, token in enumerate(piece.tokens[:-1]):
            named = token.kind in ("word", "name") and token.text.lower() in ("mysql", "sys", "performance_schema")
            first = place == 0 or piece.tokens[place - 1].word != "."
            if named and first and piece.tokens[place + 1].word == ".":
                yield piece.said(token, f"names {token.text}")
                break


def folded_names(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Names that are one in lower case."""
    seen: dict[tuple[str, str], str] = {}
    for table in catalog.tables:
        key = (table.database.lower(), table.name.lower())
        name = f"{table.database}.{table.name}"
        if key in seen:
            yield Hit("table", name, f"is {seen[key]} too where names are folded to lower case")
        seen.setdefault(key, name)


def bad_zone(value: str) -> bool:
    """Whether a time zone is an offset beyond what Cloud SQL takes, -12:59 to +13:00."""
    found = _OFFSET.fullmatch(value)
    if not found:
        return False
    minutes = int(found[2]) * 60 + int(found[3])
    return minutes > (13 * 60 if found[1] == "+" else 12 * 60 + 59)


def zone(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """A server whose own time is not UTC, in a zone that Cloud SQL must be given by a flag, or cannot be given."""
    value = catalog.variables.get("time_zone", "SYSTEM")
    system = catalog.variables.get("system_time_zone", "UTC")
    if bad_zone(value):
        yield Hit("variable", "time_zone", f"{value} lies outside of -12:59 to +13:00")
    elif value.upper() == "SYSTEM" and system.upper() not in ("UTC", "GMT", ""):
        yield Hit("variable", "time_zone", f"is the machine's own, {system}; Cloud SQL's machine runs in UTC")
    elif value.upper() not in ("SYSTEM", "UTC", "+00:00", "+0:00", "GMT"):
        yield Hit("variable", "time_zone", f"is {value}; Cloud SQL's is UTC until the flag is set")


def events(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Events, which fire only where the scheduler is on."""
    state = catalog.variables.get("event_scheduler", "")
    for event in catalog.events:
        yield Hit("event", f"{event.database}.{event.name}", f"the source's event_scheduler is {state or 'unknown'}")


def charsets(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """A default character set of the server or of a database that is not UTF-8."""
    server = catalog.variables.get("character_set_server", "utf8mb4")
    if not server.startswith("utf8"):
        yield Hit("variable", "character_set_server", f"is {server}")
    for database in catalog.databases:
        if not database.charset.startswith("utf8"):
            yield Hit("database", database.name, f"its default character set is {database.charset}")


def custom_variables(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Variables that somebody set and that are, as far as is known, no flag of Cloud SQL."""
    for name, where in evidence.customised:
        if name.lower() not in CLOUD_SQL_FLAGS and name.lower() not in PLACES:
            yield Hit("variable", name, f"was set ({where}); it is not among the known flags")


def old_tls(value: str) -> bool:
    """Whether a list of TLS versions holds one before 1.2."""
    return bool({part.strip().lower() for part in value.split(",")} & {"tlsv1", "tlsv1.0", "tlsv1.1"})


def backup_admins(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Accounts with BACKUP_ADMIN."""
    return (
        Hit("account", account, "holds BACKUP_ADMIN")
        for account, held in evidence.dynamic_privileges
        if held.upper() == "BACKUP_ADMIN"
    )


def replication(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """What keeps changes from being captured out of the source."""
    held = catalog.variables
    off = held.get("log_bin", "ON").upper() in ("OFF", "0")
    retention = held.get("binlog_expire_logs_seconds", "0")
    wrong = (
        ("log_bin", off, "the binary log is off"),
        ("binlog_format", not off and held.get("binlog_format", "ROW").upper() != "ROW", "is {value}; changes are read as rows"),
        ("binlog_row_image", not off and held.get("binlog_row_image", "FULL").upper() != "FULL", "is {value}; whole rows are read"),
        ("gtid_mode", "PERMISSIVE" in held.get("gtid_mode", "").upper(), "is {value}; ON or OFF is wanted"),
        ("server_id", held.get("server_id") == "0", "is 0"),
        ("binlog_expire_logs_seconds", retention.isdigit() and 0 < int(retention) < 2 * 86_400,
         "is {value}: logs may be gone before they were read"),
    )  # fmt: skip
    for name, bad, says in wrong:
        if bad:
            yield Hit("variable", name, says.format(value=held.get(name)))


def limits(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Temporary tables in memory beyond Cloud SQL's limit of 64 MiB."""
    for name in ("tmp_table_size", "max_heap_table_size"):
        value = catalog.variables.get(name, "")
        if value.isdigit() and int(value) > 64 * _MEBIBYTE:
            yield Hit("variable", name, f"is {int(value) / _MEBIBYTE:,.0f} MiB; 64 MiB at most there")
