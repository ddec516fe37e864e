"""What only reads, called where it is: on source and target, in read-only transactions, with the same arguments."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.converters import encoders

from workbook.names import mysql_path, quote_mysql
from workbook.servers import Server
from workbook.validate.replay_calls import Parameter, routine_calls
from workbook.validate.replay_run import answered, limited, told
from workbook.validate.replay_verdict import Outcome
from workbook.validate.replay_words import Key

_CALLS = 12
Statements = Sequence[tuple[str, tuple[Any, ...]]]
_TEXT = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set")
_PLAIN = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year", "date", "datetime",
          "timestamp", "time", "json")  # fmt: skip


@dataclass(frozen=True)
class Places:
    """The objects to call in place, and why others are not. `loose`: MariaDB, which prints some values otherwise.

    `names` gives the source's name of a database that has another one on the target.
    """

    keys: tuple[Key, ...]
    reasons: Mapping[Key, str]
    loose: bool = False
    names: Mapping[str, str] = field(default_factory=dict)


def call_in_place(
    servers: tuple[Server, Server], places: Places, seconds: float, show_values: bool, since: str
) -> dict[Key, Outcome]:
    """What each object answers on both servers. `since` is the state of the source in which the rows were compared."""
    found = {key: Outcome(why=why) for key, why in places.reasons.items()}
    if not places.keys:
        return found
    with ExitStack() as stack:
        sides = [_Reader(server, seconds) for server in servers]
        for side in sides:
            stack.callback(side.close)
        for key in places.keys:
            found[key] = _compared(sides, key, places.names, show_values)
        if not since or sides[0].server_state() != since:
            # What moved meanwhile may be why.
            why = "the source changed meanwhile" if since else "whether the source stood still is not known"
            found |= {key: Outcome(why=why) for key in places.keys if found[key].difference}
    if places.loose:
        why = "MariaDB answers otherwise, or prints it otherwise"
        found |= {key: Outcome(why=why) for key, one in found.items() if one.difference}
    return found


def _compared(sides: Sequence["_Reader"], key: Key, names: Mapping[str, str], show_values: bool) -> Outcome:
    here = (key[0], names.get(key[1], key[1]), key[2])
    try:
        calls: list[tuple[str, list[Statements]]] = []
        if key[0] == "view":
            sums = [sides[1].summing(key, here[1]), sides[1].summing(key, key[1])]
            calls.append(("all its rows", [((statement, ()),) for statement in sums]))
        else:
            parameters = sides[1].parameters(key)
            if any(parameter.mode != "IN" for parameter in parameters):
                return Outcome(why="it has parameters that it writes to")
            made = [routine_calls(own, parameters, ())[:_CALLS] for own in (here, key)]
            calls += [(one.said, [one.statements, other.statements]) for one, other in zip(*made, strict=True)]
        good = 0
        for said, statements in calls:
            answers = [side.answers(own) for side, own in zip(sides, statements, strict=True)]
            for path in sorted(answers[0].keys() | answers[1].keys()):
                if answers[0].get(path) != answers[1].get(path):
                    shown = " on the source, ".join(
                        _value(answer.get(path), show_values or path[0] == "count") for answer in answers
                    )
                    return Outcome(f"{said}: {' '.join(path)}: {shown} on the target", good)
            good += any(path[0] == "answer" and value is not None for path, value in answers[0].items())
    except pymysql.MySQLError as error:
        return Outcome(why=f"error {told(error)[0]}: {told(error)[1]}")
    except _Late:
        return Outcome(why="it ran longer than a call may")
    return Outcome(told=good, why="" if good else "no call answered anything")


class _Late(Exception):
    """The time of a call was over."""


class _Reader:
    """One server, in sessions that can only read."""

    def __init__(self, server: Server, seconds: float):
        self._server = server
        self._seconds = seconds
        self._connection: pymysql.Connection[Any] | None = None

    def close(self) -> None:
        """Leave the connection."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def server_state(self) -> str:
        """What names the state of the server."""
        with self._server.session() as session:
            return session.gtids()

    def answers(self, statements: Statements) -> dict[tuple[str, ...], str | None]:
        """What the statements answer; an error is an answer, unless it is one of the account's."""
        connection = self._open()
        found: dict[tuple[str, ...], str | None] = {}
        with connection.cursor() as cursor:
            cursor.execute("START TRANSACTION READ ONLY")
        with limited(self._server, connection, self._seconds) as late:
            try:
                for place, (statement, values) in enumerate(statements):
                    found.update(answered(connection, place, statement, values, True))
            except pymysql.MySQLError as error:
                if late:
                    self.close()
                    raise _Late from None
                if told(error)[0] in (1264, 1265, 1292, 1366, 1406, 1644, 1690):
                    found["error",] = str(told(error)[0])
                else:
                    self.close()
                    raise
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
        return found

    def parameters(self, key: Key) -> tuple[Parameter, ...]:
        """The parameters of a routine."""
        rows = self._server.rows(
            "SELECT PARAMETER_NAME AS p, PARAMETER_MODE AS m, DATA_TYPE AS t FROM information_schema.PARAMETERS"
            " WHERE SPECIFIC_SCHEMA = %s AND SPECIFIC_NAME = %s AND ROUTINE_TYPE = %s AND ORDINAL_POSITION > 0"
            " ORDER BY ORDINAL_POSITION",
            (key[1], key[2], key[0].upper()),
        )
        return tuple(Parameter(str(row["p"]), str(row["m"] or "IN"), str(row["t"]).lower()) for row in rows)

    def summing(self, key: Key, database: str) -> str:
        """The statement that counts and sums a view's rows, as its columns are on the target."""
        rows = self._server.rows(
            "SELECT COLUMN_NAME AS n, DATA_TYPE AS t FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (key[1], key[2]),
        )
        values = []
        for row in rows:
            name, kind = quote_mysql(row["n"]), str(row["t"]).lower()
            if kind in _TEXT:
                text = f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"
            elif kind in _PLAIN:
                text = f"CAST(CAST({name} AS CHAR) AS BINARY)"
            else:
                text = f"HEX({name})"
            values.append(f"IFNULL(CONCAT('=', LENGTH({text}), ':', {text}, ';'), '~;')")
        hashed = f"UNHEX(SHA2(CONCAT({', '.join(values)}), 256))"
        pieces = ", ".join(
            f"SUM(CAST(CONV(HEX(SUBSTR({hashed}, {1 + 4 * n}, 4)), 16, 10) AS UNSIGNED))" for n in range(4)
        )
        return f"SELECT COUNT(*), {pieces} FROM {mysql_path(database, key[2])}".replace("%", "%%")

    def _open(self) -> "pymysql.Connection[Any]":
        if self._connection is None:
            self._connection = self._server.raw(autocommit=True, conv=dict(encoders))
            with self._connection.cursor() as cursor:
                # For all that follows, whatever a routine ends or begins.
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
        return self._connection


def _value(value: str | None, show: bool) -> str:
    if value is None:
        return "nothing"
    return value if show else f"masked, {len(value)} characters"
