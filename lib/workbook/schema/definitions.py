"""Reading how everything was created: SHOW CREATE of all that is in scope, with the session settings of its time."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from workbook import faces
from workbook.catalog import Catalog, read_catalog
from workbook.errors import TerminalError
from workbook.mapping.target import UNCHANGED, TargetRules
from workbook.names import mysql_path, mysql_string, quote_mysql
from workbook.plan import Left, settle
from workbook.progress import Progress
from workbook.schema.mariadb import Dialect, mariadb_members
from workbook.schema.mariadb_code import as_mysql
from workbook.schema.shown import shown_tables
from workbook.schema.table import TableDefinition, split_table
from workbook.schema.tokens import code_of, tokens_of
from workbook.servers import Server, Session

TablePath = tuple[str, str]


@dataclass(frozen=True)
class Scope:
    """What moves: tables, and the databases whose views, routines and events move with them."""

    databases: tuple[str, ...]
    tables: tuple[TablePath, ...]


@dataclass(frozen=True)
class Code:
    """A view, routine, trigger or event: the statement that makes it and the settings under which it was written.

    `uses` names the tables, views and functions a view stands on, as (kind, database, name); `broken` says why a view
    does not work; `over` is true of an event whose time has passed for good.
    """

    kind: str  # view, procedure, function, trigger, event
    database: str
    name: str
    statement: str
    settings: tuple[tuple[str, str], ...]
    definer: str
    database_collation: str | None = None
    table: str | None = None
    moment: str | None = None  # of a trigger: BEFORE INSERT and the like
    order: int = 0
    status: str | None = None
    over: bool = False
    uses: tuple[tuple[str, str, str], ...] = ()
    broken: str | None = None
    refused: str | None = None  # why MySQL could not take it as it stands
    loose: bool = False  # printed by MariaDB, which sets other brackets than MySQL
    held: str | None = None  # why the mapping's renames and exclusions hold it back

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, database and name."""
        return self.kind, self.database, self.name

    @property
    def sql_mode(self) -> str:
        """The sql_mode it was written under; empty for a view, which has none."""
        return dict(self.settings).get("sql_mode", "")


@dataclass(frozen=True)
class Definitions:
    """All definitions of one server within a scope.

    `tables` holds SHOW CREATE TABLE by path; `members` the true ENUM and SET members of columns whose members the
    server prints with question marks, by (database, table, column); `account` is the login as the server knows it;
    `zones` are the time zones it knows of those that were asked for, `collations` all that it knows. `choices` are
    those of the mapping by table, and `default` is the one for databases; `carried` says in words what else the mapping
    changed, and then all names are the target's. `beside` are tables that move too and are no part of these definitions:
    foreign keys may point at them. Of a MariaDB server all is in MySQL's
    language; `changes` and `left` say what became otherwise or stays behind.
    """

    role: str
    account: str
    scope: Scope
    catalog: Catalog = field(repr=False)
    tables: Mapping[TablePath, str] = field(repr=False)
    members: Mapping[tuple[str, str, str], tuple[str, ...]] = field(repr=False)
    code: tuple[Code, ...] = field(repr=False)
    zones: frozenset[str] = frozenset()
    changes: Mapping[TablePath, tuple[str, ...]] = field(default_factory=dict, repr=False)
    left: tuple[Left, ...] = field(default=(), repr=False)

    @property
    def loose(self) -> bool:
        """Whether MariaDB printed them, in MySQL's words by now, but not with its brackets."""
        return self.catalog.flavour == "mariadb"

    collations: frozenset[str] = frozenset()
    choices: Mapping[TablePath, TargetRules] = field(default_factory=dict, repr=False)
    default: TargetRules = UNCHANGED
    carried: Mapping[TablePath, tuple[str, ...]] = field(default_factory=dict, repr=False)
    beside: frozenset[TablePath] = frozenset()

    @cached_property
    def split(self) -> Mapping[TablePath, TableDefinition]:
        """The tables taken apart, by path."""
        return {
            path: split_table(statement, self.loose, self.changes.get(path, ()))
            for path, statement in self.tables.items()
        }

    @cached_property
    def code_by_key(self) -> Mapping[tuple[str, str, str], Code]:
        """Views, routines, triggers and events by kind, database and name."""
        return {item.key: item for item in self.code}

    def members_of(self, path: TablePath) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The columns of a table with their true members, for those that need it."""
        return tuple((key[2], members) for key, members in self.members.items() if key[:2] == path)

    def _repr_html_(self) -> str:
        kinds = ("view", "procedure", "function", "trigger", "event")
        return faces.boxes(
            ("Databases", len(self.scope.databases)),
            ("Tables", len(self.tables)),
            *((kind.capitalize() + "s", sum(item.kind == kind for item in self.code)) for kind in kinds),
        )


def scope_of(catalog: Catalog, tables: Collection[TablePath]) -> Scope:
    """The scope that `tables` draw: their databases, and those that hold no tables but only code."""
    with_tables = {table.database for table in catalog.tables}
    chosen = {database for database, _ in tables}
    databases = tuple(
        database.name for database in catalog.databases if database.name in chosen or database.name not in with_tables
    )
    return Scope(databases, tuple(path for path in tables if path in catalog.table))


def read_definitions(server: Server, catalog: Catalog, scope: Scope) -> Definitions:
    """The definitions of everything in `scope` that `catalog` holds on `server`.

    Raises TerminalError where the account may not see a definition.
    """
    wanted = set(scope.databases)
    tables = [path for path in scope.tables if path in catalog.table]
    code: list[Code] = []
    total = len(tables) + sum(
        len(found) for found in (catalog.views, catalog.routines, catalog.triggers, catalog.events)
    )
    with (
        server.session() as session,
        Progress(f"Reading definitions of the {server.role}", total, "definitions") as progress,
    ):
        dialect = Dialect(catalog) if catalog.flavour == "mariadb" else None
        if dialect:
            texts = {}
            for path in tables:
                texts[path] = dialect.table(path, _shown_bytes(session, "TABLE", path))
                progress.advance()
        else:
            texts = shown_tables(server, tables, progress)
        usage = _view_usage(session, catalog)
        for view in catalog.views:
            if view.database in wanted:
                code.append(_view(session, view, usage))
        for routine in catalog.routines:
            if routine.database in wanted:
                code.append(_routine(session, routine))
        for trigger in catalog.triggers:
            if (trigger.database, trigger.table) in texts:
                code.append(_trigger(session, trigger))
        over = _events_over(session)
        for event in catalog.events:
            if event.database in wanted:
                code.append(_event(session, event, (event.database, event.name) in over))
        progress.advance(len(code))
        return Definitions(
            role=server.role,
            account=str(session.scalar("SELECT CURRENT_USER()")),
            scope=scope,
            catalog=catalog,
            tables=texts,
            members=_read_members(session, catalog, tables),
            code=tuple(as_mysql(item) for item in code) if dialect else tuple(code),
            changes=dialect.changes if dialect else {},
            left=dialect.left() if dialect else (),
        )


def read_target(server: Server, source: Definitions) -> Definitions:
    """What the target holds of the databases in the source's scope: its names all, its definitions where they overlap."""
    settle(server)
    scope = source.scope
    zones = {dict(item.settings).get("time_zone", "SYSTEM") for item in source.code}
    with server.session() as session:
        present = {row["name"] for row in session.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")}
        known = frozenset(
            zone
            for zone in zones
            if zone == "SYSTEM" or session.scalar("SELECT CONVERT_TZ('2024-01-01', '+00:00', %s)", (zone,)) is not None
        )
        collations = frozenset(
            row["name"].lower()
            for row in session.rows("SELECT COLLATION_NAME AS name FROM information_schema.COLLATIONS")
        )
    folded = {name.lower(): name for name in present}
    databases = [name for name in scope.databases if name in present or name.lower() in folded]
    catalog = read_catalog(server, [name if name in present else folded[name.lower()] for name in databases])
    read = read_definitions(server, catalog, scope)
    return replace(read, zones=known, collations=collations)


def _shown(session: Session, kind: str, path: TablePath) -> dict[str, Any]:
    """The row of SHOW CREATE."""
    # With values, even none, every % is doubled: names hold it too.
    row = session.rows(f"SHOW CREATE {kind} {mysql_path(*path)}".replace("%", "%%"), ())[0]
    if any(value is None for name, value in row.items() if name.lower().startswith("create ")):
        raise TerminalError(
            f"The account {session.server.user!r} may not read the body of {kind.lower()} {mysql_path(*path)}"
            f" on the {session.server.role}.",
            "An object whose body is hidden would be lost.",
            "Grant SHOW_ROUTINE or SELECT on *.*, then run again.",
        )
    return row


def _shown_bytes(session: Session, kind: str, path: TablePath) -> str:
    """What SHOW CREATE prints, as it is stored: literals of other character sets or none are no text in any one of them."""
    session.execute("SET SESSION character_set_results = binary")
    statement = _shown(session, kind, path)[f"Create {kind.capitalize()}"]
    session.execute("SET SESSION character_set_results = 'utf8mb4'")
    return statement.decode("utf-8", "surrogateescape") if isinstance(statement, bytes) else str(statement)


def _view(session: Session, view: Any, usage: Mapping[TablePath, tuple[tuple[str, str, str], ...]]) -> Code:
    statement = _shown_bytes(session, "VIEW", view.path)
    return Code(
        kind="view",
        database=view.database,
        name=view.name,
        statement=statement,
        settings=(
            ("character_set_client", view.charset_client),
            ("collation_connection", view.collation_connection),
        ),
        definer=view.definer,
        uses=usage.get(view.path, ()) if usage else _uses_in(statement),
        broken=_why_broken(session, view.path),
    )


def _why_broken(session: Session, path: TablePath) -> str | None:
    try:
        session.rows(f"SELECT * FROM {mysql_path(*path)} LIMIT 0".replace("%", "%%"), ())
    except TerminalError as error:
        # Any other error (a definer that is gone, a missing privilege) says nothing of the view itself.
        known = re.search(r"with error (?:1049|1051|1054|1109|1146|1305|1356) while [^:]*: (.*)", error.found)
        return known[1] if known else None
    return None


def _view_usage(session: Session, catalog: Catalog) -> dict[TablePath, tuple[tuple[str, str, str], ...]]:
    """What each view stands on, as MySQL 8.0.13 and later keep it; empty for other servers."""
    if catalog.flavour != "mysql" or not catalog.views:
        return {}
    views = {view.path for view in catalog.views}
    found: dict[TablePath, list[tuple[str, str, str]]] = {path: [] for path in views}
    for row in session.rows(
        "SELECT VIEW_SCHEMA AS d, VIEW_NAME AS n, TABLE_SCHEMA AS ud, TABLE_NAME AS un"
        " FROM information_schema.VIEW_TABLE_USAGE"
    ):
        if (row["d"], row["n"]) in found:
            used = (row["ud"], row["un"])
            found[row["d"], row["n"]].append(("view" if used in views else "table", *used))
    for row in session.rows(
        "SELECT TABLE_SCHEMA AS d, TABLE_NAME AS n, SPECIFIC_SCHEMA AS ud, SPECIFIC_NAME AS un"
        " FROM information_schema.VIEW_ROUTINE_USAGE"
    ):
        if (row["d"], row["n"]) in found:
            found[row["d"], row["n"]].append(("function", row["ud"], row["un"]))
    return {path: tuple(uses) for path, uses in found.items()}


def _uses_in(statement: str) -> tuple[tuple[str, str, str], ...]:
    """Pairs of names joined by a dot, for servers that keep no list: the planner picks those that exist."""
    code = code_of(tokens_of(statement))
    return tuple(
        ("view", code[place].identifier, code[place + 2].identifier)
        for place in range(len(code) - 2)
        if code[place].kind == "name" and code[place + 1].text == "." and code[place + 2].kind == "name"
    )


def _routine(session: Session, routine: Any) -> Code:
    kind = routine.kind.capitalize()
    shown = _shown(session, routine.kind, (routine.database, routine.name))[f"Create {kind}"]
    return Code(
        kind=routine.kind.lower(),
        database=routine.database,
        name=routine.name,
        statement=_with_comment(shown, routine.sql_mode, routine.comment),
        settings=_settings(routine),
        definer=routine.definer,
        database_collation=routine.database_collation,
    )


def _trigger(session: Session, trigger: Any) -> Code:
    row = _shown(session, "TRIGGER", (trigger.database, trigger.name))
    return Code(
        kind="trigger",
        database=trigger.database,
        name=trigger.name,
        statement=row["SQL Original Statement"],
        settings=_settings(trigger),
        definer=trigger.definer,
        database_collation=row["Database Collation"],
        table=trigger.table,
        moment=f"{trigger.timing} {trigger.event}",
        order=int(trigger.order),
    )


def _event(session: Session, event: Any, over: bool) -> Code:
    row = _shown(session, "EVENT", (event.database, event.name))
    return Code(
        kind="event",
        database=event.database,
        name=event.name,
        statement=_with_comment(row["Create Event"], event.sql_mode, event.comment),
        settings=(*_settings(event), ("time_zone", event.time_zone)),
        definer=event.definer,
        database_collation=row["Database Collation"],
        status=event.status,
        over=over,
    )


def _with_comment(statement: str, sql_mode: str, comment: str) -> str:
    """The statement with its comment as it is: the server writes it with backslashes even where they escape nothing."""
    if "NO_BACKSLASH_ESCAPES" not in sql_mode or not comment:
        return statement
    tokens = code_of(tokens_of(statement, sql_mode))
    for token, following in pairwise(tokens):
        if token.word == "COMMENT" and following.kind == "string":
            literal = "'" + comment.replace("'", "''") + "'"
            return statement[: following.start] + literal + statement[following.end :]
    return statement


def _settings(item: Any) -> tuple[tuple[str, str], ...]:
    return (
        ("sql_mode", item.sql_mode),
        ("character_set_client", item.charset_client),
        ("collation_connection", item.collation_connection),
    )


def _events_over(session: Session) -> set[TablePath]:
    """Events that will never fire again and that the server would drop at once when they are made anew."""
    rows = session.rows(
        "SELECT EVENT_SCHEMA AS d, EVENT_NAME AS n FROM information_schema.EVENTS WHERE ON_COMPLETION = 'NOT PRESERVE'"
        " AND CONVERT_TZ(COALESCE(EXECUTE_AT, ENDS), IF(TIME_ZONE = 'SYSTEM', @@GLOBAL.time_zone, TIME_ZONE), '+00:00')"
        " < UTC_TIMESTAMP()"
    )
    return {(row["d"], row["n"]) for row in rows}


def _read_members(
    session: Session, catalog: Catalog, tables: Collection[TablePath]
) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """The members of ENUM and SET columns that hold a question mark in print.

    MySQL prints definitions in three-byte UTF-8 and puts ? for anything beyond, an emoji for one; the true members
    show only in values, so a temporary table of the same type (MariaDB: a variable) is asked for each.
    """
    found = {}
    for path in tables:
        for column in catalog.table[path].columns:
            if column.data_type in ("enum", "set") and "?" in column.type:
                found[(*path, column.name)] = _members(session, path, column.name, column.type, column.data_type)
    return found


def _members(session: Session, path: TablePath, name: str, column_type: str, data_type: str) -> tuple[str, ...]:
    count = sum(token.kind == "string" for token in tokens_of(column_type))
    if session.flavour == "mariadb":
        return mariadb_members(session, mysql_path(*path, name), data_type, count)
    scratch = mysql_path(path[0], "_workbook_members")
    column = quote_mysql(name)
    values = (f"({place + 1})" if data_type == "enum" else f"({1 << place})" for place in range(count))
    statements = (
        f"CREATE TEMPORARY TABLE {scratch} ENGINE=InnoDB SELECT {column} FROM {mysql_path(*path)} LIMIT 0",
        f"INSERT INTO {scratch} ({column}) VALUES {', '.join(values)}",
    )
    session.execute(f"DROP TEMPORARY TABLE IF EXISTS {scratch}".replace("%", "%%"), ())
    try:
        for statement in statements:
            session.execute(statement.replace("%", "%%"), ())
        rows = session.rows(f"SELECT {column} AS m FROM {scratch} ORDER BY {column} + 0".replace("%", "%%"), ())
    except TerminalError as error:
        raise TerminalError(
            f"The members of {data_type} column {mysql_path(*path, name)} cannot be read: {error.found}",
            f"The server prints them with question marks ({column_type[:80]}), so they must be asked for one by one.",
            f"Grant CREATE TEMPORARY TABLES ON {quote_mysql(path[0])}.* to {mysql_string(session.server.user)}"
            " on the source, then run again.",
        ) from None
    session.execute(f"DROP TEMPORARY TABLE {scratch}".replace("%", "%%"), ())
    return tuple(row["m"] for row in rows)
