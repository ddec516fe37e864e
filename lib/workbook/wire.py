"""Raw connections: values as the bytes that the server holds or prints, read by mysqlclient where it is installed, by
PyMySQL otherwise, and written by PyMySQL, in large packets.

A worker imports this and little else, because each worker is a fresh interpreter.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol

Row = tuple[bytes | None, ...]
Driver = Literal["mysqlclient", "pymysql"]
# A pause of the throttle must not look like a dead client to the servers, nor a long statement like a dead server to us.
_PATIENCE_SECONDS = 7200
_SESSION = (
    f"SET SESSION time_zone = '+00:00', wait_timeout = 86400, net_read_timeout = {_PATIENCE_SECONDS},"
    f" net_write_timeout = {_PATIENCE_SECONDS}, lock_wait_timeout = 120,"
    " sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION'"
)
_READS = ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",)
_AS_STORED = "SET SESSION character_set_results = NULL"
# Checks off that the source has already passed.
_WRITES = ("SET SESSION foreign_key_checks = 0, unique_checks = 0, innodb_lock_wait_timeout = 600",)
# The connection is gone, or the server is going.
_LOST = {0, 1053, 1152, 1158, 1159, 1160, 1161, 1184, 2000, 2001, 2002, 2003, 2005, 2006, 2012, 2013, 2014, 2055, 4031}
_AGAIN = {1205, 1213}
# The client libraries send a LOAD DATA LOCAL in packets of 4 or 16 KB; fewer cost less.
_PACKET_BYTES = 1 << 18


@dataclass(frozen=True)
class Address:
    """How to log in to a server; the password shows nowhere."""

    role: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    encrypted: bool = True
    instance: str | None = None  # `project:region:instance`: by the Cloud SQL connector, instead of host and port
    public: bool = False


class WireError(Exception):
    """What a server or the way to it answered: role, error code, text. `lost` where the connection is gone."""

    def __init__(self, role: str, code: int, text: str):
        super().__init__(role, code, text)
        self.role, self.code, self.text = role, code, text

    @property
    def lost(self) -> bool:
        """Whether the connection is gone; a new one may do."""
        return self.code in _LOST

    @property
    def passing(self) -> bool:
        """Whether the same statement may succeed when it is tried again."""
        return self.lost or self.code in _AGAIN


class Wire(Protocol):
    """One raw connection."""

    def run(self, sql: str) -> int:
        """Run a statement; how many rows it touched."""

    def rows(self, sql: str) -> list[Row]:
        """All rows of a short answer."""

    def stream(self, sql: str, batch: int) -> Iterator[Sequence[Row]]:
        """The rows of a long answer, at most `batch` at a time, none of them held."""

    def close(self) -> None:
        """End the connection, whatever it is doing."""


class Loader(Wire, Protocol):
    """A raw connection that can load rows."""

    def load(self, sql: str, pieces: Iterable[bytes]) -> int:
        """Run a LOAD DATA LOCAL with the pieces as its file; how many rows it stored."""


def drivers() -> tuple[Driver, ...]:
    """The drivers that are installed, the faster first."""
    try:
        import MySQLdb._mysql  # noqa: F401
    except ImportError:
        return ("pymysql",)
    return ("mysqlclient", "pymysql")


def reader(address: Address, driver: Driver) -> Wire:
    """A connection that hands every value on as the bytes the source stores."""
    # The connector hands over a socket, which mysqlclient does not take.
    fast = driver == "mysqlclient" and address.instance is None
    wire: Wire = _MySQLClient(address) if fast else _PyMySQL(address)
    for statement in (_SESSION, *_READS, _AS_STORED):
        wire.run(statement)
    return wire


def text_reader(address: Address) -> Wire | None:
    """A connection that hands every value on as the server prints it, text in UTF-8; None without mysqlclient."""
    if "mysqlclient" not in drivers() or address.instance is not None:
        return None
    wire = _MySQLClient(address)
    for statement in (_SESSION, *_READS):
        wire.run(statement)
    return wire


def writer(address: Address) -> Loader:
    """A connection for LOAD DATA LOCAL; it commits when told."""
    wire = _PyMySQL(address)
    for statement in (_SESSION, *_WRITES):
        wire.run(statement)
    return wire


def _translated(role: str, error: Exception) -> WireError:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    return WireError(role, code, str(error.args[1]) if len(error.args) > 1 else str(error))


class _MySQLClient:
    """mysqlclient's low level: rows as tuples of bytes, made in C, without its converters and cursors."""

    def __init__(self, address: Address):
        from MySQLdb import _mysql

        self._role, self._error = address.role, _mysql.MySQLError
        try:
            self._connection = _mysql.connect(
                host=address.host,
                port=address.port,
                user=address.user,
                password=address.password,
                conv={},
                connect_timeout=10,
                read_timeout=_PATIENCE_SECONDS,
                write_timeout=_PATIENCE_SECONDS,
                ssl_mode="PREFERRED" if address.encrypted else "DISABLED",
            )
            self._connection.set_character_set("utf8mb4")
        except _mysql.MySQLError as error:
            raise _translated(self._role, error) from None

    def run(self, sql: str) -> int:
        try:
            self._connection.query(sql.encode())
            result = self._connection.store_result()
            return int(result.num_rows() if result is not None else self._connection.affected_rows())
        except self._error as error:
            raise _translated(self._role, error) from None

    def rows(self, sql: str) -> list[Row]:
        try:
            self._connection.query(sql.encode())
            return list(self._connection.store_result().fetch_row(0, 0))
        except self._error as error:
            raise _translated(self._role, error) from None

    def stream(self, sql: str, batch: int) -> Iterator[Sequence[Row]]:
        try:
            # Bytes among PyMySQL's literals are surrogates.
            self._connection.query(sql.encode("utf-8", "surrogateescape"))
            result = self._connection.use_result()
            while rows := result.fetch_row(batch, 0):
                yield rows
        except self._error as error:
            raise _translated(self._role, error) from None

    def close(self) -> None:
        with contextlib.suppress(self._error):
            self._connection.close()


@cache
def _connector(public: bool) -> Any:
    from google.cloud.sql.connector import Connector

    return Connector(ip_type="public" if public else "private", refresh_strategy="lazy")


def _by_connector(address: Address, options: dict[str, Any]) -> Any:
    """A PyMySQL connection through Google's connector, which encrypts it and asks for the instance's address."""
    import pymysql

    try:
        return _connector(address.public).connect(str(address.instance), "pymysql", **options)
    except pymysql.MySQLError:
        raise
    except Exception as error:
        raise WireError(address.role, 2003, f"{address.instance}: {type(error).__name__}: {error}") from None


class _PyMySQL:
    """PyMySQL without its decoders: slower, in Python throughout, and everywhere to be had."""

    def __init__(self, address: Address):
        import pymysql
        from pymysql.converters import conversions

        self._role, self._errors = address.role, (pymysql.MySQLError, OSError)
        try:
            options: dict[str, Any] = {
                "user": address.user,
                "password": address.password.encode(),  # of a str it takes the Latin-1
                "charset": "utf8mb4",
                "use_unicode": False,
                "conv": {kind: encoder for kind, encoder in conversions.items() if not isinstance(kind, int)},
                "autocommit": None,
                "local_infile": True,
                "max_allowed_packet": 1 << 30,
                "program_name": "migration workbook",  # servers.PROGRAM, which a worker does not import
                "connect_timeout": 10,
                "read_timeout": _PATIENCE_SECONDS,
                "write_timeout": _PATIENCE_SECONDS,
            }
            self._connection: Any = (
                pymysql.connect(host=address.host, port=address.port, ssl_disabled=not address.encrypted, **options)
                if address.instance is None
                else _by_connector(address, options)
            )
        except self._errors as error:
            raise _translated(self._role, error) from None

    def run(self, sql: str) -> int:
        try:
            return int(self._connection.query(sql))
        except self._errors as error:
            raise _translated(self._role, error) from None

    def rows(self, sql: str) -> list[Row]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        except self._errors as error:
            raise _translated(self._role, error) from None

    def stream(self, sql: str, batch: int) -> Iterator[Sequence[Row]]:
        from pymysql.cursors import SSCursor

        try:
            with self._connection.cursor(SSCursor) as cursor:
                cursor.execute(sql)
                while rows := cursor.fetchmany(batch):
                    yield rows
        except self._errors as error:
            raise _translated(self._role, error) from None

    def load(self, sql: str, pieces: Iterable[bytes]) -> int:
        from pymysql.constants import COMMAND
        from pymysql.protocol import OKPacketWrapper

        connection = self._connection
        try:
            # What PyMySQL does with a file, which it would read itself, in small packets. The name that the server asks
            # for is not looked at: it gets these rows and no file of this machine.
            connection._execute_command(COMMAND.COM_QUERY, sql)
            if not connection._read_packet().is_load_local_packet():
                raise WireError(self._role, 2027, "it did not ask for the rows of LOAD DATA LOCAL")
            try:
                for piece in pieces:
                    for start in range(0, len(piece), _PACKET_BYTES):
                        connection.write_packet(piece[start : start + _PACKET_BYTES])
            except BaseException:
                # The statement ends here, so that what stopped the rows can be followed by a rollback.
                with contextlib.suppress(*self._errors):
                    connection.write_packet(b"")
                    connection._read_packet()
                raise
            connection.write_packet(b"")
            return int(OKPacketWrapper(connection._read_packet()).affected_rows)
        except self._errors as error:
            raise _translated(self._role, error) from None

    def close(self) -> None:
        with contextlib.suppress(*self._errors):
            self._connection.close()
