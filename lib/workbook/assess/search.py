"""The searches behind the checks: functions from catalog and evidence to the objects that a check names."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from workbook.assess.code import Token, dynamic, line_of, phrase, statements, tokens
from workbook.assess.evidence import Evidence
from workbook.catalog import Catalog, Table

# Dynamic privileges of Cloud SQL's administrator, which it can grant on; the accounts phase leaves out all others.
# https://cloud.google.com/sql/docs/mysql/users#mysql-80-user-privileges-cloudsqlsuperuser
GRANTABLE = frozenset(
    [
        "APPLICATION_PASSWORD_ADMIN",
        "CONNECTION_ADMIN",
        "REPLICATION_APPLIER",
        "ROLE_ADMIN",
        "XA_RECOVER_ADMIN",
        "FLUSH_OPTIMIZER_COSTS",
        "FLUSH_STATUS",
        "FLUSH_TABLES",
        "FLUSH_USER_RESOURCES",
    ]
)
# Their rows can be copied into an InnoDB table of the same columns.
_COPIED = ("MYISAM", "MEMORY", "ARCHIVE", "CSV", "ARIA")
_PROTOCOLS = {"mysqlx": "the X protocol", "daemon_memcached": "memcached", "clone": "cloning"}


@dataclass(frozen=True)
class Hit:
    """An object that a check names: its kind, its name, and what was found."""

    kind: str
    name: str
    detail: str


@dataclass(frozen=True)
class Code:
    """A piece of code: the object it belongs to, the tokens of its text, and those of statements it prepares."""

    kind: str
    name: str
    text: str
    tokens: tuple[Token, ...]
    prepared: tuple[Token, ...]
    count: int | None = None  # how often an application's statement was seen

    def said(self, token: Token, what: str) -> Hit:
        """A hit at `token`, with its line."""
        line = line_of(self.text, self.tokens, token)
        if self.count is not None:
            return Hit(
                self.kind, self.name, f"{what}, seen {'once' if self.count == 1 else f'{self.count:,} times'}: {line}"
            )
        inside = " in a string that is prepared" if token in self.prepared else ""
        return Hit(self.kind, self.name, f"{what}{inside}, line {token.line}: {line}")


Finder = Callable[[Code], Iterable[Token]]
Search = Callable[[Catalog, Evidence], Iterable[Hit]]


def other_engines(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Tables of an engine whose rows InnoDB can take over."""
    for table in catalog.tables:
        if table.engine.upper() in _COPIED and not _stray_counter(table):
            yield Hit("table", _path(table), f"its engine is {table.engine}")


def impossible_engines(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Tables that cannot become InnoDB tables as they are."""
    for table in catalog.tables:
        if table.engine.upper() not in (*_COPIED, "INNODB"):
            yield Hit("table", _path(table), f"its engine is {table.engine or 'not available on this server'}")
        elif _stray_counter(table):
            yield Hit(
                "table",
                _path(table),
                f"its engine is {table.engine}, and no index begins with its AUTO_INCREMENT column",
            )


def static_privilege(name: str) -> Search:
    """Accounts with the static privilege `name`."""
    return lambda catalog, evidence: (
        Hit("account", account, f"holds {name}") for account, held in evidence.static_privileges if held == name
    )


def dynamic_privileges(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Accounts with dynamic privileges that Cloud SQL's administrator cannot grant: one hit an account."""
    held: dict[str, list[str]] = {}
    for account, name in evidence.dynamic_privileges:
        if name.upper() not in GRANTABLE:
            held.setdefault(account, []).append(name)
    for account, names in held.items():
        yield Hit("account", account, f"holds {', '.join(names)}")


def wildcard_grants(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Grants on a database that hold %, _ or an escaped one, while they mean more than letters on the source."""
    if catalog.variables.get("partial_revokes", "OFF").upper() == "ON":
        return
    for account, granted in evidence.schema_grants:
        if re.search(r"[%_]", granted):
            wild = re.sub(r"\\.", "", granted)
            said = "matches by wildcard" if re.search(r"[%_]", wild) else "escapes what is a letter there"
            yield Hit("account", account, f"a grant on {granted!r} {said}")


def missing_definers(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Views, routines, triggers and events whose definer is no account of the source."""
    known = {account.name for account in catalog.accounts or ()}
    defined: list[tuple[str, str, str]] = []
    defined += [("view", f"{it.database}.{it.name}", it.definer) for it in catalog.views]
    defined += [(it.kind.lower(), f"{it.database}.{it.name}", it.definer) for it in catalog.routines]
    defined += [("trigger", f"{it.database}.{it.name}", it.definer) for it in catalog.triggers]
    defined += [("event", f"{it.database}.{it.name}", it.definer) for it in catalog.events]
    for kind, name, definer in defined:
        if catalog.accounts is not None and definer not in known:
            yield Hit(kind, name, f"its definer {definer} is no account")


def code(what: str, finder: Finder) -> Search:
    """Objects and statements in whose code `finder` finds a place; one hit a place, `what` in its text."""

    def find(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
        for piece in all_code(catalog, evidence):
            for token in finder(piece):
                yield piece.said(token, what)

    return find


def load_data(piece: Code) -> Iterator[Token]:
    """LOAD DATA and LOAD XML that read the server's disk."""
    for found in (piece.tokens, piece.prepared):
        for statement in statements(found):
            for token in phrase(statement, "LOAD", "DATA|XML"):
                if any(other.word == "INFILE" for other in statement) and not any(
                    other.word == "LOCAL" for other in statement
                ):
                    yield token


def into_file(piece: Code) -> Iterator[Token]:
    """SELECT … INTO OUTFILE and DUMPFILE."""
    for found in (piece.tokens, piece.prepared):
        yield from phrase(found, "INTO", "OUTFILE|DUMPFILE")


def load_file(piece: Code) -> Iterator[Token]:
    """Calls of LOAD_FILE; in an application's statement the server writes the function as a quoted name."""
    for found in (piece.tokens, piece.prepared):
        for token, following in itertools.pairwise(found):
            named = token.kind == "word" or (token.kind == "name" and piece.count is not None)
            if named and token.text.upper() == "LOAD_FILE" and following.word == "(":
                yield token


def create_select(piece: Code) -> Iterator[Token]:
    """CREATE TABLE … SELECT, but for temporary tables."""
    for found in (piece.tokens, piece.prepared):
        for statement in statements(found):
            for token in phrase(statement, "CREATE", "TABLE"):
                # A generated column or a check can hold no subquery, so any SELECT is the one that fills the table.
                if any(other.word == "SELECT" and other.start >= token.start for other in statement):
                    yield token


def temporary_tables(piece: Code) -> Iterator[Token]:
    """CREATE or DROP TEMPORARY TABLE between the start and the end of a transaction, or in a function or trigger."""
    inside = always = piece.kind in ("function", "trigger")
    for statement in statements(piece.tokens):
        words = [token.word for token in statement]
        if words[:2] == ["START", "TRANSACTION"] or words[:2] == ["BEGIN", "WORK"] or _autocommit_off(statement):
            inside = True
        elif words[0] in ("COMMIT", "ROLLBACK") and "TO" not in words:
            inside = always
        elif inside:
            yield from phrase(statement, "CREATE|DROP", "TEMPORARY", "TABLE")


def mixed_engines(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Routines, triggers and events that write to InnoDB tables and to tables of other engines."""
    if all(table.engine.upper() == "INNODB" for table in catalog.tables):
        return
    triggered = {f"{it.database}.{it.name}": (it.database, it.table) for it in catalog.triggers}
    folded = {(database.lower(), name.lower()): table for (database, name), table in catalog.table.items()}
    for piece in all_code(catalog, Evidence()):
        if piece.kind == "view":
            continue
        database = _database_of(piece, catalog)
        written = [triggered[piece.name]] if piece.kind == "trigger" else []
        written += list(_written(piece.tokens, database))
        tables = {found.path: found for path in written if (found := folded.get((path[0].lower(), path[1].lower())))}
        other = sorted(_path(table) for table in tables.values() if table.engine.upper() != "INNODB")
        inno = sorted(_path(table) for table in tables.values() if table.engine.upper() == "INNODB")
        if other and inno:
            yield Hit(piece.kind, piece.name, f"writes to {', '.join(inno)} (InnoDB) and to {', '.join(other)}")


def installed_plugins(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Active plugins that came from a library, and code that installs one."""
    for plugin in evidence.plugins:
        special = plugin.name.lower() in _PROTOCOLS or plugin.name.lower().startswith("validate_password")
        if plugin.library and plugin.status.upper() == "ACTIVE" and not special:
            yield Hit("plugin", plugin.name, f"loaded from {plugin.library}")
    for piece in all_code(catalog, evidence):
        for found in (piece.tokens, piece.prepared):
            for token in phrase(found, "INSTALL", "PLUGIN|COMPONENT|SONAME"):
                yield piece.said(token, "INSTALL PLUGIN")


def protocol_plugins(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """The X, memcached and clone plugins where they are active."""
    for plugin in evidence.plugins:
        if plugin.name.lower() in _PROTOCOLS and plugin.status.upper() == "ACTIVE":
            yield Hit("plugin", plugin.name, f"serves {_PROTOCOLS[plugin.name.lower()]} on the source")


def validate_password(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """The validate_password component, or the plugin that it once was."""
    for urn in evidence.components:
        if "validate_password" in urn.lower():
            yield Hit("component", urn, "is installed")
    for plugin in evidence.plugins:
        if plugin.name.lower() == "validate_password" and plugin.status.upper() == "ACTIVE":
            yield Hit("plugin", plugin.name, "is active")


def all_code(catalog: Catalog, evidence: Evidence) -> Iterator[Code]:
    """Every piece of code: bodies of routines, triggers, events and views, then the statements of applications."""
    for routine in catalog.routines:
        yield _code(routine.kind.lower(), f"{routine.database}.{routine.name}", routine.body or "", routine.sql_mode)
    for trigger in catalog.triggers:
        yield _code("trigger", f"{trigger.database}.{trigger.name}", trigger.body, trigger.sql_mode)
    for event in catalog.events:
        yield _code("event", f"{event.database}.{event.name}", event.body, event.sql_mode)
    for view in catalog.views:
        yield _code("view", f"{view.database}.{view.name}", view.definition, "")
    for seen in evidence.statements:
        yield _code("statement", f"of an application in {seen.database or 'no database'}", seen.text, "", seen.count)


@lru_cache(maxsize=4096)
def _code(kind: str, name: str, text: str, sql_mode: str, count: int | None = None) -> Code:
    found = tokens(text, sql_mode)
    return Code(kind, name, text, tuple(found), tuple(dynamic(found, sql_mode)), count)


def _path(table: Table) -> str:
    return f"{table.database}.{table.name}"


def _stray_counter(table: Table) -> bool:
    """Whether the AUTO_INCREMENT column leads no index, as MyISAM allows and InnoDB does not."""
    counter = next((column.name for column in table.columns if column.auto_increment), None)
    return counter is not None and all(index.columns[0] != counter for index in table.indexes)


def _autocommit_off(statement: Sequence[Token]) -> bool:
    words = [(token.word or token.text.upper()) for token in statement]
    return words[0] == "SET" and any(word.endswith("AUTOCOMMIT") for word in words) and words[-1] in ("0", "OFF")


def _database_of(piece: Code, catalog: Catalog) -> str:
    """The database that names without one belong to: that of the object."""
    return next((it.name for it in catalog.databases if piece.name.startswith(f"{it.name}.")), "")


_WRITE_OPTIONS = {"LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IGNORE", "INTO", "FROM", "TABLE"}


def _written(found: Sequence[Token], database: str) -> Iterator[tuple[str, str]]:
    """The tables that INSERT, REPLACE, UPDATE, DELETE FROM and TRUNCATE name first."""
    for place, token in enumerate(found):
        if token.word not in ("INSERT", "REPLACE", "UPDATE", "DELETE", "TRUNCATE"):
            continue
        before = found[place - 1].word if place else ""
        # ON DUPLICATE KEY UPDATE and FOR UPDATE write nothing of their own; INSERT( and REPLACE( are functions.
        if before in ("KEY", "FOR") or (place + 1 < len(found) and found[place + 1].word == "("):
            continue
        ahead = place + 1
        while ahead < len(found) and found[ahead].word in _WRITE_OPTIONS:
            ahead += 1
        if ahead < len(found) and found[ahead].kind in ("word", "name"):
            if ahead + 2 < len(found) and found[ahead + 1].word == ".":
                yield found[ahead].text, found[ahead + 2].text
            else:
                yield database, found[ahead].text
