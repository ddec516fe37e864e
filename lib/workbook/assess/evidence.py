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
RESERVED = ("mysql.session", "mysql.sys", "mysql.infoschema", "mariadb.sys")


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
class Evidence:
    """What was read beside the catalog. `missing` names each part that could not be read, and says why."""

    static_privileges: tuple[tuple[str, str], ...] = ()  # account, SUPER or FILE
    dynamic_privileges: tuple[tuple[str, str], ...] = ()  # account, privilege
    schema_grants: tuple[tuple[str, str], ...] = ()  # account, database as it was granted
    plugins: tuple[Plugin, ...] = ()
    components: tuple[str, ...] = ()
    statements: tuple[Seen, ...] = ()
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
            dynamic_privileges=part("dynamic_privileges", _dynamic_privileges),
            schema_grants=part("schema_grants", _schema_grants),
            plugins=part("plugins", _plugins),
            components=part("components", _components),
            statements=() if reasons else part("statements", lambda it: _statements(it, catalog)),
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
