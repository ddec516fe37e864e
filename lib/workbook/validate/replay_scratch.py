"""The scratch copy on the target: databases and an account of its own, filled with a few rows, gone afterwards.

The account may touch nothing but the scratch databases, so that code which writes elsewhere (by a name in a text, by
another database) is refused by the server itself. What a killed run left is swept away by the next one.
"""

import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from workbook.catalog import Table
from workbook.errors import TransientError, WorkbookError
from workbook.names import mysql_account, mysql_string, quote_mysql
from workbook.plan import Step, carry_out
from workbook.schema.code import adapted_code
from workbook.schema.definitions import Code, Definitions, TablePath
from workbook.schema.order import ordered_views
from workbook.schema.planning import expected_foreign_keys
from workbook.schema.table import TableDefinition
from workbook.schema.wanted import wanted
from workbook.servers import Server, Session
from workbook.validate.replay_calls import Sample, insert
from workbook.validate.replay_words import Key, event_body, renamed

ACCOUNT = "_workbook-replay"
_PREFIX = "_workbook-replay-"
_LOCK = "workbook_replay"


@dataclass(frozen=True)
class Side:
    """One side's definitions as they stand, or will stand at the cutover, on the target; `keys` is the code of it to make."""

    definitions: Definitions
    tables: Mapping[TablePath, tuple[TableDefinition, Table]]
    keys: frozenset[Key]

    def only(self, keys: Collection[Key], tables: Collection[TablePath]) -> "Side":
        """As much of it as some of the code comes to."""
        kept = {path: table for path, table in self.tables.items() if path in tables}
        return replace(self, tables=kept, keys=self.keys & frozenset(keys))


@dataclass(frozen=True)
class Built:
    """A scratch copy as it was made: its tables under their scratch names, what could not be made and why."""

    tables: Mapping[TablePath, Table]
    failed: Mapping[Key, str] = field(default_factory=dict)


def source_side(source: Definitions, tables: Collection[TablePath]) -> Side:
    """What the source's definitions make on the target."""
    made = {}
    for path in source.tables:
        if path in tables:
            table = wanted(source, path)
            keys, _ = expected_foreign_keys(source, path)
            made[path] = (replace(table.table, foreign_keys=keys), table.facts)
    return Side(source, made, frozenset(source.code_by_key))


def target_side(target: Definitions, tables: Collection[TablePath]) -> Side:
    """What stands on the target."""
    made = {path: (target.split[path], target.catalog.table[path]) for path in target.tables if path in tables}
    return Side(target, made, frozenset(target.code_by_key))


@dataclass
class Stage:
    """The scratch databases by the databases they stand for, and the account that works in them."""

    server: Server
    names: Mapping[str, str]
    known: frozenset[tuple[str, str]]

    def path(self, path: TablePath) -> TablePath:
        """A table under its scratch name."""
        return self.names[path[0]], path[1]

    def key(self, key: Key) -> Key:
        """An object under its scratch name."""
        return key[0], self.names[key[1]], key[2]

    def text(self, text: str, sql_mode: str = "") -> str:
        """A statement with databases under their scratch names."""
        return renamed(text, self.names, self.known, sql_mode)

    def build(self, side: Side, samples: Mapping[TablePath, Sample], events: Mapping[Key, str]) -> Built:
        """Make the scratch copy anew from one side's definitions. `events` names the procedure for each event's body."""
        failed: dict[Key, str] = {}
        collations = {item.name: item.collation for item in side.definitions.catalog.databases}
        with self.server.session() as session:
            for database, name in self.names.items():
                session.execute(f"DROP DATABASE IF EXISTS {quote_mysql(name)}")
                session.execute(
                    f"CREATE DATABASE {quote_mysql(name)} COLLATE {collations.get(database, 'utf8mb4_0900_ai_ci')}"
                )
            session.execute("SET SESSION foreign_key_checks = 0")
            tables = {}
            for path, (definition, facts) in side.tables.items():
                why = self._table(session, path, definition, facts, side.tables)
                if why:
                    failed["table", *path] = why
                else:
                    tables[path] = replace(facts, database=self.names[path[0]])
            self._fill(session, tables, samples)
            for code in self._in_order(side.definitions, failed):
                if code.key not in side.keys:
                    continue
                why = self._code(session, code, collations.get(code.database), events)
                if why:
                    failed[code.key] = why
            for database, name in self.names.items():
                collation = collations.get(database)
                if collation:
                    session.execute(f"ALTER DATABASE {quote_mysql(name)} COLLATE {collation}")
        return Built(tables, failed)

    def _table(
        self,
        session: Session,
        path: TablePath,
        definition: TableDefinition,
        facts: Table,
        tables: Collection[TablePath],
    ) -> str:
        parents = {key.name: (key.parent_database, key.parent_table) for key in facts.foreign_keys}
        keys = tuple(part for part in definition.foreign_keys if parents.get(part.name) in tables)
        # Counters begin behind the rows of the copy, on both sides alike.
        options = tuple(option for option in definition.options if option[0] != "AUTO_INCREMENT")
        why = ""
        for own in (keys, ()):
            made = replace(definition, foreign_keys=own, options=options)
            step = Step("table", path[1], self.text(made.create(self.names[path[0]])), None)
            why = _tried(session, step)
            if not why:
                break
        return why

    def _fill(self, session: Session, tables: Mapping[TablePath, Table], samples: Mapping[TablePath, Sample]) -> None:
        for path, table in tables.items():
            there = {column.name for column in table.stored_columns}
            rows = samples[path].filled if path in samples else ()
            kept = [{name: value for name, value in row.items() if name in there} for row in rows]
            if kept and not _inserted(session, table, kept):
                for row in kept:
                    # A row that the copy does not take is missing there on both sides.
                    _inserted(session, table, [row])

    def objects(self) -> tuple[tuple[str, str, str], ...]:
        """What the scratch databases hold, by kind and name."""
        names = tuple(self.names.values())
        rows = self.server.rows(
            "SELECT TABLE_TYPE AS k, TABLE_SCHEMA AS d, TABLE_NAME AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA IN %s"
            " UNION ALL SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME FROM information_schema.ROUTINES"
            " WHERE ROUTINE_SCHEMA IN %s ORDER BY 1, 2, 3",
            (names, names),
        )
        return tuple((row["k"], row["d"], row["n"]) for row in rows)

    def _in_order(self, definitions: Definitions, failed: dict[Key, str]) -> Iterator[Code]:
        views, without = ordered_views(definitions)
        reasons = {left.name: left.why for left in without}
        for kind in ("function", "procedure", "view", "trigger", "event"):
            if kind == "view":
                yield from views
                ready = {code.key for code in views}
                for code in definitions.code:
                    if code.kind == "view" and code.key not in ready:
                        failed[code.key] = reasons.get(
                            f"{quote_mysql(code.database)}.{quote_mysql(code.name)}", "left out"
                        )
                continue
            found = [code for code in definitions.code if code.kind == kind]
            yield from sorted(found, key=lambda code: (code.database, code.table or "", code.order, code.name))

    def _code(self, session: Session, code: Code, collation: str | None, events: Mapping[Key, str]) -> str:
        if code.refused:
            return f"MySQL cannot take it as it stands: {code.refused}"
        made = adapted_code(code, f"{ACCOUNT}@%")
        database = self.names[code.database]
        if code.kind == "event":
            heading = f"CREATE PROCEDURE {quote_mysql(events[code.key])}() MODIFIES SQL DATA "
            statement = heading + self.text(event_body(code), code.sql_mode)
        else:
            statement = self.text(made.statement, code.sql_mode)
        settings = tuple(setting for setting in made.settings if setting[0] != "time_zone")
        written = code.database_collation or collation
        if written:
            session.execute(f"ALTER DATABASE {quote_mysql(database)} COLLATE {written}")
        return _tried(session, Step(code.kind, code.name, statement, None, settings, database))


def _inserted(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the copy took all of these rows."""
    statement, values = insert(table, rows)
    try:
        session.execute(statement, values)
    except WorkbookError:
        return False
    return True


def _tried(session: Session, step: Step) -> str:
    """Why the server refuses a statement; empty where it took it."""
    try:
        carry_out(session, step)
    except TransientError:
        raise
    except WorkbookError as error:
        return error.found
    return ""


@contextmanager
def stage(target: Server, databases: Sequence[str], known: frozenset[tuple[str, str]]) -> Iterator[Stage]:
    """An empty stage on the target, swept before and after. Raises WorkbookError where it cannot be set up."""
    with target.session() as admin:
        if admin.scalar("SELECT GET_LOCK(%s, 5)", (_LOCK,)) != 1:
            raise TransientError(
                f"Another validation is at its replay on the target {target.host}:{target.port}.",
                "Both would use the same scratch databases.",
                "Wait for its end, then validate again.",
            )
        sweep(target)
        names = {database: f"{_PREFIX}{number}" for number, database in enumerate(databases)}
        # Every kind of character, since a target may ask for it.
        password = secrets.token_urlsafe(24) + "aA1!"
        role, host, port, _, _ = target.login()
        try:
            with target.raw(autocommit=True) as connection, connection.cursor() as cursor:
                started = time.time()
                account = mysql_account(ACCOUNT, "%")
                cursor.execute(f"CREATE USER {account} IDENTIFIED BY {mysql_string(password)}")
                target.record(f"CREATE USER {account} IDENTIFIED BY …", started)
                for name in names.values():
                    cursor.execute(f"GRANT ALL ON {quote_mysql(name)}.* TO {account}")
            yield Stage(Server(role, host, port, ACCOUNT, password), names, known)
        except (WorkbookError, GeneratorExit):
            raise
        except Exception as error:
            if getattr(error, "args", None) and isinstance(error.args[0], int):
                raise target.explained(error, "setting up the scratch copy") from None
            raise
        finally:
            sweep(target)


def sweep_leftovers(target: Server) -> int:
    """Take away what a killed run has left, where there is any and no other run is at its replay; how many databases."""
    with target.session() as session:
        there = session.scalar(
            "SELECT (SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE %s)"
            " + (SELECT COUNT(*) FROM information_schema.USER_ATTRIBUTES WHERE USER = %s)",
            (_PREFIX.replace("_", "\\_") + "%", ACCOUNT),
        )
        # A DROP of nothing would be written to the binlog, as if the target had changed.
        if not there or session.scalar("SELECT GET_LOCK(%s, 10)", (_LOCK,)) != 1:
            return 0
        return sweep(target)


def sweep(target: Server) -> int:
    """Take away the scratch databases and the account, also those of a run that was killed; how many databases there were."""
    with target.session() as session:
        # A killed run may have left a statement at work.
        for row in session.rows("SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = %s", (ACCOUNT,)):
            try:
                session.execute(f"KILL {int(row['id'])}")
            except WorkbookError:
                # It has ended by itself.
                continue
        found = session.rows(
            "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE %s",
            (_PREFIX.replace("_", "\\_") + "%",),
        )
        for row in found:
            session.execute(f"DROP DATABASE IF EXISTS {quote_mysql(row['name'])}")
        session.execute(f"DROP USER IF EXISTS {mysql_account(ACCOUNT, '%')}".replace("%", "%%"), ())
    return len(found)
