"""What the checks need beyond the catalog, read once: privileges, plugins, components, and the statements of applications."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbook.catalog import Catalog
from workbook.errors import TerminalError
from workbook.servers import Server, Session

# The catalog holds these with their bodies; the statement that once made them says nothing new.
_MADE_CODE = re.compile(
    r"(CREATE|ALTER)\b(?!\s+(TEMPORARY\s+)?TABLE\b).*?\b(PROCEDURE|FUNCTION|TRIGGER|EVENT|VIEW)\b", re.DOTALL
)
# What every session of the workbook sets for itself.
_OWN_SESSION = {
    "time_zone", "sql_mode", "group_concat_max_len", "net_read_timeout", "net_write_timeout", "lock_wait_timeout",
    "autocommit", "character_set_client", "character_set_connection", "character_set_results", "collation_connection",
    "information_schema_stats_expiry", "transaction_isolation",
}  # fmt: skip
# The servers' own accounts, and root, whom the target has of its own: none of them moves.
RESERVED = ("mysql.session", "mysql.sys", "mysql.infoschema", "mariadb.sys", "root")


@dataclass(frozen=True)
class Seen:
    """A statement that applications ran, its values as ?, in the database that was theirs by default."""

    database: str | None
    text: str
    count: int

    @property
    def cut(self) -> bool:
        """Whether the server kept only the beginning."""
        return self.text.rstrip().endswith("...")


@dataclass(frozen=True)
class Plugin:
    """A plugin of the server; `library` is None for one that is built in."""

    name: str
    status: str
    library: str | None


@dataclass(frozen=True)
class Tablespace:
    """A general tablespace, or a table's own file where it lies outside of the data folder or is encrypted."""

    name: str
    general: bool
    path: str
    encrypted: bool


@dataclass(frozen=True)
class Evidence:
    """What was read beside the catalog. `missing` names each part that could not be read, and says why."""

    static_privileges: tuple[tuple[str, str], ...] = ()  # account, SUPER or FILE
    dynamic_privileges: tuple[tuple[str, str], ...] = ()  # account, privilege
    schema_grants: tuple[tuple[str, str], ...] = ()  # account, database as it was granted
    plugins: tuple[Plugin, ...] = ()
    components: tuple[str, ...] = ()
    statements: tuple[Seen, ...] = ()
    functions: tuple[str, ...] = ()  # loaded from libraries
    tablespaces: tuple[Tablespace, ...] = ()
    resource_groups: tuple[str, ...] = ()  # made by somebody
    customised: tuple[tuple[str, str], ...] = ()  # global variables that somebody set, and where
    databases: tuple[str, ...] = ()  # all of the server, its own left out
    versioned: tuple[str, ...] = ()  # MariaDB's system-versioned tables, as database.name
    missing: Mapping[str, str] = field(default_factory=dict)


def read_evidence(source: Server, catalog: Catalog) -> Evidence:
    """The evidence for the checks. A part that the account may not read, or that the server has not, is in `missing`.

    Of the statements those count that ran in a database of the catalog, or name one; they are what
    performance_schema has kept since the server started, their values left out.
    """
    missing: dict[str, str] = {}
    with source.session() as session:

        def part(name: str, read: Callable[[Session], tuple[Any, ...]]) -> tuple[Any, ...]:
            try:
                return read(session)
            except TerminalError as error:
                missing[name] = error.found
                return ()

        reasons = _statements_missing(catalog, session)
        if reasons:
            missing["statements"] = reasons
        return Evidence(
            static_privileges=part("static_privileges", _static_privileges),
            dynamic_privileges=part("dynamic_privileges", _dynamic_privileges) if catalog.flavour == "mysql" else (),
            schema_grants=part("schema_grants", _schema_grants),
            plugins=part("plugins", _plugins),
            components=part("components", _components) if catalog.flavour == "mysql" else (),
            statements=() if reasons else part("statements", lambda it: _statements(it, catalog)),
            functions=part("functions", _functions),
            tablespaces=part("tablespaces", _tablespaces) if catalog.flavour == "mysql" else (),
            resource_groups=part("resource_groups", _resource_groups) if catalog.flavour == "mysql" else (),
            customised=part("customised", _customised_mariadb if catalog.flavour == "mariadb" else _customised),
            databases=part("databases", _databases),
            versioned=part("versioned", _versioned) if catalog.flavour == "mariadb" else (),
            missing=missing,
        )


def _static_privileges(session: Session) -> tuple[tuple[str, str], ...]:
    # information_schema.USER_PRIVILEGES would show an account without rights on mysql.* its own privileges alone.
    rows = session.rows(
        "SELECT User AS u, Host AS h, Super_priv AS s, File_priv AS f FROM mysql.user ORDER BY User, Host"
    )
    return tuple(
        (f"{_text(row['u'])}@{_text(row['h'])}", name)
        for row in rows
        for name, held in (("SUPER", row["s"]), ("FILE", row["f"]))
        if held == "Y" and _text(row["u"]) not in RESERVED
    )


def _dynamic_privileges(session: Session) -> tuple[tuple[str, str], ...]:
    rows = session.rows("SELECT USER AS u, HOST AS h, PRIV AS p FROM mysql.global_grants ORDER BY USER, HOST, PRIV")
    return tuple(
        (f"{_text(row['u'])}@{_text(row['h'])}", _text(row["p"])) for row in rows if _text(row["u"]) not in RESERVED
    )


def _schema_grants(session: Session) -> tuple[tuple[str, str], ...]:
    rows = session.rows("SELECT User AS u, Host AS h, Db AS d FROM mysql.db ORDER BY User, Host, Db")
    return tuple(
        (f"{_text(row['u'])}@{_text(row['h'])}", _text(row["d"])) for row in rows if _text(row["u"]) not in RESERVED
    )


def _plugins(session: Session) -> tuple[Plugin, ...]:
    rows = session.rows(
        "SELECT PLUGIN_NAME AS n, PLUGIN_STATUS AS s, PLUGIN_LIBRARY AS l FROM information_schema.PLUGINS ORDER BY PLUGIN_NAME"
    )
    return tuple(
        Plugin(_text(row["n"]), _text(row["s"]), None if row["l"] is None else _text(row["l"])) for row in rows
    )


def _components(session: Session) -> tuple[str, ...]:
    return tuple(_text(row["c"]) for row in session.rows("SELECT component_urn AS c FROM mysql.component ORDER BY 1"))


def _functions(session: Session) -> tuple[str, ...]:
    return tuple(_text(row["n"]) for row in session.rows("SELECT name AS n FROM mysql.func ORDER BY 1"))


def _tablespaces(session: Session) -> tuple[Tablespace, ...]:
    # Joined here: the server would read the list of files once for each tablespace.
    files = {
        _text(row["s"]): _text(row["p"])
        for row in session.rows("SELECT SPACE AS s, PATH AS p FROM information_schema.INNODB_DATAFILES")
    }
    rows = session.rows(
        "SELECT SPACE AS s, NAME AS n, SPACE_TYPE AS k, ENCRYPTION AS e FROM information_schema.INNODB_TABLESPACES"
        " WHERE SPACE_TYPE IN ('General', 'Single')"
    )
    found = (
        Tablespace(_text(row["n"]), row["k"] == "General", files.get(_text(row["s"]), ""), row["e"] == "Y")
        for row in rows
        if not _text(row["n"]).startswith(("mysql", "sys/"))
    )
    return tuple(it for it in found if it.general or it.encrypted or it.path.startswith("/"))


def table_of(name: str) -> tuple[str, str]:
    """Database and table of a tablespace's name: InnoDB writes all but letters and digits as @ and four hexadecimal digits."""
    read = (
        re.sub(r"@([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), part, flags=re.I)
        for part in re.split(r"#p#", name, flags=re.I)[0].split("/", 1)
    )
    database, table = (*read, "")[:2]
    return database, table


def _resource_groups(session: Session) -> tuple[str, ...]:
    rows = session.rows("SELECT RESOURCE_GROUP_NAME AS n FROM information_schema.RESOURCE_GROUPS ORDER BY 1")
    return tuple(_text(row["n"]) for row in rows if _text(row["n"]) not in ("USR_default", "SYS_default"))


def _customised(session: Session) -> tuple[tuple[str, str], ...]:
    rows = session.rows(
        "SELECT VARIABLE_NAME AS n, VARIABLE_SOURCE AS s FROM performance_schema.variables_info"
        " WHERE VARIABLE_SOURCE <> 'COMPILED' ORDER BY 1"
    )
    # What this session set for itself is not the server's.
    return tuple(
        (_text(row["n"]), _text(row["s"]).lower())
        for row in rows
        if not (row["s"] == "DYNAMIC" and _text(row["n"]) in _OWN_SESSION)
    )


def _customised_mariadb(session: Session) -> tuple[tuple[str, str], ...]:
    rows = session.rows(
        "SELECT LOWER(VARIABLE_NAME) AS n, GLOBAL_VALUE_ORIGIN AS s FROM information_schema.SYSTEM_VARIABLES"
        " WHERE GLOBAL_VALUE_ORIGIN IN ('CONFIG', 'COMMAND-LINE', 'SQL') ORDER BY 1"
    )
    return tuple((_text(row["n"]), _text(row["s"]).lower()) for row in rows)


def _databases(session: Session) -> tuple[str, ...]:
    system = ("mysql", "sys", "information_schema", "performance_schema", "_workbook")
    rows = session.rows("SELECT SCHEMA_NAME AS n FROM information_schema.SCHEMATA ORDER BY 1")
    return tuple(_text(row["n"]) for row in rows if _text(row["n"]).lower() not in system)


def _versioned(session: Session) -> tuple[str, ...]:
    rows = session.rows(
        "SELECT TABLE_SCHEMA AS d, TABLE_NAME AS n FROM information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED'"
    )
    return tuple(f"{_text(row['d'])}.{_text(row['n'])}" for row in rows)


def _statements_missing(catalog: Catalog, session: Session) -> str:
    """Why the server keeps no statements; empty where it does."""
    if catalog.variables.get("performance_schema", "OFF").upper() != "ON":
        return "performance_schema is off, so the server keeps no statements of applications"
    try:
        enabled = session.scalar(
            "SELECT ENABLED FROM performance_schema.setup_consumers WHERE NAME = 'statements_digest'"
        )
    except TerminalError as error:
        return error.found
    return "" if enabled == "YES" else "the consumer statements_digest of performance_schema is off"


def _statements(session: Session, catalog: Catalog) -> tuple[Seen, ...]:
    databases = {database.name for database in catalog.databases}
    quoted = tuple("`" + name.replace("`", "``") + "`" for name in sorted(databases))
    rows = session.rows(
        "SELECT SCHEMA_NAME AS d, DIGEST_TEXT AS t, COUNT_STAR AS n"
        " FROM performance_schema.events_statements_summary_by_digest WHERE DIGEST_TEXT IS NOT NULL"
    )
    return tuple(
        Seen(row["d"], _text(row["t"]), int(row["n"]))
        for row in rows
        if not _MADE_CODE.match(row["t"])
        and (row["d"] in databases or any(f"{name} ." in row["t"] or f"{name}." in row["t"] for name in quoted))
    )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
