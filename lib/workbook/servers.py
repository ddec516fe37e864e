"""Connections: the MySQL source and target, and BigQuery, with every statement recorded and every failure explained."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from workbook import params
from workbook.errors import TerminalError, TransientError, WorkbookError
from workbook.wire import Address, WireError

if TYPE_CHECKING:
    from google.cloud import bigquery

Role = Literal["source", "target", "replica"]
Result = TypeVar("Result")

# What sessions call themselves, so that a cutover tells them from those of others with the same login.
PROGRAM = "migration workbook"
# Zero and invalid dates pass, nothing is rounded into place, backslashes escape and " quotes text.
SESSION_SQL_MODE = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
_UNREACHABLE = {2002, 2003, 2005, 2006, 2013, 2055}
_TRY_AGAIN = {1205, 1213, *_UNREACHABLE}
_NO_PRIVILEGE = {1044, 1142, 1143, 1227, 1370, 1410, 3619, 4169}


@dataclass(frozen=True)
class Statement:
    """A statement as it was sent: to whom, what, when (Unix seconds) and how long it took (seconds)."""

    role: str
    sql: str
    at: float
    seconds: float


class Server:
    """A MySQL server in the role of source or target.

    The password lives in one closure and shows nowhere: not in the repr, not in SQLAlchemy's URL, not in an error.
    """

    def __init__(self, role: Role, host: str, port: int, user: str, password: str):
        self.role = role
        self.host = host
        self.port = port
        self.user = user
        self.statements: deque[Statement] = deque(maxlen=5000)
        self._connect: Callable[..., pymysql.Connection[Any]] = lambda **options: pymysql.connect(
            host=host,
            port=port,
            user=user,
            password=password.encode(),  # of a str it would take the Latin-1
            charset="utf8mb4",
            connect_timeout=10,
            read_timeout=options.pop("read_timeout", None),
            local_infile=True,
            max_allowed_packet=1 << 30,
            client_flag=CLIENT.FOUND_ROWS,
            program_name=PROGRAM,
            # Elsewhere TLS is used where the server has it; on loopback it would cost a tenth of a second a connection.
            ssl_disabled=host in params.LOOPBACK,
            **options,
        )
        self._engine: Engine | None = None
        # For worker processes: pickled through a pipe, never to a file.
        self._arguments: Callable[[], tuple[Role, str, int, str, str]] = lambda: (role, host, port, user, password)

    def __reduce__(self) -> tuple[Any, ...]:
        return Server, self._arguments()

    def login(self) -> tuple[Role, str, int, str, str]:
        """Role, host, port, user and password, for connections that are not made here; never to be written down."""
        return self._arguments()

    def address(self) -> Address:
        """How raw connections log in; never to be written down."""
        role, host, port, user, password = self.login()
        return Address(role, host, port, user, password, host not in params.LOOPBACK)

    def __repr__(self) -> str:
        return f"{self.role} {self.user}@{self.host}:{self.port}"

    def raw(self, **options: Any) -> "pymysql.Connection[Any]":
        """A PyMySQL connection of its own, in UTC and with the workbook's sql_mode; the caller closes it."""
        try:
            connection = self._connect(**options)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SET SESSION time_zone = '+00:00', sql_mode = %s, group_concat_max_len = 1073741824,"
                    # Some wait for long while others work: on a server with little patience they would be ended.
                    " wait_timeout = 86400, net_read_timeout = 600, net_write_timeout = 600, lock_wait_timeout = 120",
                    (SESSION_SQL_MODE,),
                )
        except pymysql.MySQLError as error:
            raise self.explained(error, "connecting") from None
        return connection

    @property
    def engine(self) -> Engine:
        """A SQLAlchemy engine over the same connections, without a pool, in autocommit."""
        if self._engine is None:
            engine = create_engine(
                "mysql+pymysql://",
                creator=lambda: self.raw(autocommit=True),
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",
            )
            event.listen(engine, "before_cursor_execute", self._started)
            event.listen(engine, "after_cursor_execute", self._ended)
            self._engine = engine
        return self._engine

    @contextmanager
    def session(self) -> Iterator["Session"]:
        """A connection for several statements; closed at the end."""
        try:
            with self.engine.connect() as connection:
                yield Session(self, connection)
        except (pymysql.MySQLError, DBAPIError) as error:
            # Between statements too: what ends a session talks to the server once more.
            raise self.explained(error, "a session") from None

    def rows(self, sql: str, values: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """The rows of one statement on a connection of its own."""
        with self.session() as session:
            return session.rows(sql, values)

    def scalar(self, sql: str, values: Sequence[Any] | None = None) -> Any:
        """The first value of the first row, or None."""
        with self.session() as session:
            return session.scalar(sql, values)

    def execute(self, sql: str, values: Sequence[Any] | None = None) -> int:
        """Run one statement; the number of rows it touched."""
        with self.session() as session:
            return session.execute(sql, values)

    def explained(self, error: Exception, during: str) -> WorkbookError:
        """A MySQL error in three parts, without the statement's values."""
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, WireError):
            cause = pymysql.err.OperationalError(cause.code, cause.text)
        code = cause.args[0] if cause.args and isinstance(cause.args[0], int) else 0
        told = self._told(cause, code, during)
        told.code = code
        return told

    def _told(self, cause: Exception, code: int, during: str) -> WorkbookError:
        text = str(cause.args[1]) if len(cause.args) > 1 else str(cause)
        if code in (1045, 1698) or "caching_sha2" in text:
            return TerminalError(
                f"The {self.role} at {self.host}:{self.port} refuses the login of {self.user!r} ({code}).",
                "Nothing can be read or written without it.",
                "Check the user, the password reference in the params and from which hosts the account may connect.",
            )
        if code in _UNREACHABLE or isinstance(cause, OSError):
            return TransientError(
                f"The {self.role} at {self.host}:{self.port} cannot be reached while {during} ({code}: {text[:200]}).",
                "Nothing can be read or written without it.",
                "Check that the server runs and that address, port and firewall are right; then run again.",
            )
        if code in _NO_PRIVILEGE:
            return TerminalError(
                f"The account {self.user!r} on the {self.role} lacks a privilege while {during}: {text[:300]} ({code}).",
                "The step needs it; without it something would be left out silently.",
                "Grant what the message names (params/README.md lists what each phase needs), then run again.",
            )
        kind = TransientError if code in _TRY_AGAIN else TerminalError
        return kind(
            f"The {self.role} at {self.host}:{self.port} answered with error {code} while {during}: {text[:400]}",
            "The step did not finish.",
            "Mend the cause named above, then run the phase again; it goes on where it stopped.",
        )

    def _started(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        connection.info["started"] = time.time()

    def _ended(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        self.record(statement, connection.info.get("started", time.time()))

    def record(self, sql: str, started: float) -> None:
        """Note a statement that was sent on a raw connection, begun at `started`."""
        self.statements.append(Statement(self.role, sql, started, time.time() - started))


class Session:
    """Statements on one connection, so that session variables, locks and transactions hold between them."""

    def __init__(self, server: Server, connection: Connection):
        self.server = server
        self.connection = connection

    @cached_property
    def version(self) -> str:
        """The server's version as it names it."""
        return str(self.scalar("SELECT VERSION()"))

    @property
    def flavour(self) -> str:
        """mysql or mariadb."""
        return "mariadb" if "mariadb" in self.version.lower() else "mysql"

    def gtids(self) -> str:
        """What names the state of the server: the executed GTID set, or MariaDB's GTID position of the binlog."""
        variable = "gtid_executed" if self.flavour == "mysql" else "gtid_binlog_pos"
        return str(self.scalar(f"SELECT @@GLOBAL.{variable}") or "").replace("\n", "")

    def rows(self, sql: str, values: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """All rows as dictionaries, keyed by the column names as the statement gives them."""
        result = self._run(sql, values)
        names = list(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]

    def stream(self, sql: str, values: Sequence[Any] | None = None) -> Iterator[Sequence[Any]]:
        """The rows of a long answer as they come, none of them held."""
        options = {"yield_per": 2000, **({"no_parameters": True} if values is None else {})}
        try:
            result = self.connection.exec_driver_sql(sql, None if values is None else tuple(values), options)
            for row in result:
                yield tuple(row)
        except Exception as error:
            if isinstance(getattr(error, "orig", error), pymysql.MySQLError):
                raise self.server.explained(getattr(error, "orig", error), "reading rows") from None
            raise

    def scalar(self, sql: str, values: Sequence[Any] | None = None) -> Any:
        """The first value of the first row, or None."""
        row = self._run(sql, values).first()
        return None if row is None else row[0]

    def execute(self, sql: str, values: Sequence[Any] | None = None) -> int:
        """Run one statement; the number of rows it touched."""
        result = self._run(sql, values)
        count = result.rowcount
        result.close()
        return count

    def _run(self, sql: str, values: Sequence[Any] | None) -> Any:
        try:
            if values is None:
                # Without this a % in a name would be read as the place of a value.
                return self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
            return self.connection.exec_driver_sql(sql, tuple(values))
        except Exception as error:
            if isinstance(getattr(error, "orig", None), pymysql.MySQLError):
                raise self.server.explained(error, "running a statement") from None
            raise


def retried(action: Callable[[], Result], tries: int = 4, wait: float = 0.5) -> Result:
    """The result of `action`, tried again with doubling waits (seconds) while it fails in a way that may pass."""
    for attempt in range(tries):
        try:
            return action()
        except TransientError:
            if attempt == tries - 1:
                raise
            time.sleep(wait * 2**attempt)
    raise AssertionError("unreachable")


def connect_source(settings: params.Settings) -> Server:
    """The source of the settings; no connection is made yet. Raises UsageError for a missing secret."""
    return Server("source", *params.mysql_address(settings.source, settings.folder))


def connect_target(settings: params.Settings) -> Server:
    """The target of the settings; no connection is made yet. Raises UsageError for a missing secret."""
    return Server("target", *params.mysql_address(settings.target, settings.folder))


def connect_replica(settings: params.Settings) -> Server | None:
    """The replica that the bulk load watches, where the settings name one. Raises UsageError for a missing secret."""
    bulk = settings.bulk
    if bulk.replica_url is None:
        return None
    section = params.Replica(url=bulk.replica_url, password=bulk.replica_password)
    return Server("replica", *params.mysql_address(section, settings.folder))


def connect_warehouse(settings: params.Settings) -> "bigquery.Client":
    """A BigQuery client for the warehouse: the emulator where `endpoint` is given, the real service otherwise."""
    # The client's import costs seconds, which the workers of the bulk load need not pay.
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    endpoint = settings.warehouse.endpoint
    if endpoint is None:
        try:
            return bigquery.Client(project=settings.warehouse.project, location=settings.warehouse.location)
        except Exception as error:
            raise TerminalError(
                f"No credentials for BigQuery: {error}",
                "The warehouse cannot be reached without them.",
                "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
            ) from None
    if endpoint == "sandbox:warehouse":
        endpoint = params.sandbox_state(endpoint)["warehouse"]["endpoint"]
    return bigquery.Client(
        project=settings.warehouse.project,
        location=settings.warehouse.location,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=endpoint),
    )
