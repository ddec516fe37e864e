"""Whether a statement parses and plans on a server, without running it, and what it answers where it only reads."""

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pymysql

from workbook.pipelines.register import only_reads
from workbook.pipelines.statements import CHANGES, READS
from workbook.schema.tokens import code_of, tokens_of
from workbook.servers import Server

MOST_ROWS = 20_000
_MILLISECONDS = 20_000
_READ_ONLY, _NOT_PREPARED, _TIMED_OUT = 1792, 1295, 3024


@dataclass(frozen=True)
class Trial:
    """How a statement fared: planned, parsed (its kind has no plan), failed, or untried, and why."""

    verdict: str
    detail: str = ""


@dataclass(frozen=True)
class Answer:
    """What a query answered: its rows as texts, its columns; or the reason why there is no whole answer."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    problem: str = ""


@dataclass(frozen=True)
class Comparison:
    """The answers of both sides set against each other. No value is kept: rows are counted, columns are named."""

    verdict: str  # same, different or incomparable
    rows_source: int
    rows_target: int
    detail: str = ""


def plan_on(server: Server, sample: str, database: str | None, changes: bool = True) -> Trial:
    """Plan a statement by EXPLAIN (in a transaction that is rolled back), or parse it by PREPARE where it has no plan.

    What only reads is planned in a read-only transaction, so that a function which EXPLAIN evaluates cannot write; with
    `changes` off, whatever would need another kind of transaction is only parsed.
    """
    code = code_of(tokens_of(sample))
    first = next((token.word for token in code if token.text != "("), "")
    body = sample[code[0].start :] if code else ""
    try:
        with _as_an_application(server, database) as cursor:
            if first not in READS and not (changes and first in CHANGES):
                return _parsed(cursor, body)
            cursor.execute("START TRANSACTION READ ONLY" if first in READS else "START TRANSACTION")
            try:
                cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {body}")
                cursor.fetchall()
            except pymysql.MySQLError as error:
                cursor.execute("ROLLBACK")
                if error.args[0] == _READ_ONLY:
                    return _parsed(cursor, body)
                raise
            cursor.execute("ROLLBACK")
    except pymysql.MySQLError as error:
        return Trial("failed", _reason(error))
    return Trial("planned")


def ask(server: Server, query: str, database: str | None, at: float) -> Answer:
    """What a query that only reads answers on a server, run in a read-only transaction that is rolled back.

    The clock of the session stands at `at` (Unix seconds), so that NOW() is the same on both sides.
    """
    try:
        query = only_reads(query)
    except ValueError as error:
        return Answer((), (), str(error))
    try:
        with _as_an_application(server, database) as cursor:
            limits = at, _MILLISECONDS, MOST_ROWS + 1
            cursor.execute("SET SESSION timestamp = %s, max_execution_time = %s, sql_select_limit = %s", limits)
            cursor.execute("START TRANSACTION READ ONLY")
            try:
                cursor.execute(query)
                columns = tuple(str(item[0]) for item in cursor.description or ())
                rows = cursor.fetchall()
            finally:
                cursor.execute("ROLLBACK")
        if len(rows) > MOST_ROWS:
            return Answer((), (), f"more than {MOST_ROWS:,} rows")
        return Answer(columns, tuple(tuple(_text(value) for value in row) for row in rows))
    except pymysql.MySQLError as error:
        late = f"no answer within {_MILLISECONDS // 1000} s"
        return Answer((), (), late if error.args and error.args[0] == _TIMED_OUT else _reason(error))


def compare(source: Server, target: Server, query: str, database: str | None) -> Comparison:
    """Whether a query answers the same on both sides, in any order unless it orders its rows.

    The source is asked before and after the target: what changes in between is told from what differs.
    """
    at = time.time()
    before, there, after = (ask(server, query, database, at) for server in (source, target, source))
    counts = len(before.rows), len(there.rows)
    for side, answer in (("source", before), ("target", there), ("source", after)):
        if answer.problem:
            bad = side == "target" and not before.problem
            return Comparison("different" if bad else "incomparable", *counts, f"on the {side}: {answer.problem}")
    ordered = _orders(query)
    if _alike(before, there, ordered) or _alike(after, there, ordered):
        return Comparison("same", *counts)
    if not _alike(before, after, ordered):
        return Comparison("incomparable", *counts, "the source answers differently from one moment to the next")
    if "LIMIT" in [token.word for token in code_of(tokens_of(query))] and not ordered:
        return Comparison("incomparable", *counts, "LIMIT without ORDER BY: either side may choose its rows")
    return Comparison("different", *counts, _difference(before, there, ordered))


@contextmanager
def _as_an_application(server: Server, database: str | None) -> Any:
    """A cursor in a session that has what a pipeline's session would have from this server: its own defaults."""
    connection = server.raw(autocommit=True, read_timeout=_MILLISECONDS / 1000 + 10)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SET SESSION sql_mode = @@GLOBAL.sql_mode, time_zone = @@GLOBAL.time_zone,"
                " group_concat_max_len = @@GLOBAL.group_concat_max_len, lock_wait_timeout = 5"
            )
            if database is not None:
                connection.select_db(database)
            yield cursor
    finally:
        connection.close()


def _parsed(cursor: Any, statement: str) -> Trial:
    # The literal is read under the server's own sql_mode: hexadecimal needs no escapes.
    cursor.execute(f"SET @workbook_statement = CONVERT(0x{statement.encode().hex()} USING utf8mb4)")
    try:
        cursor.execute("PREPARE workbook_statement FROM @workbook_statement")
    except pymysql.MySQLError as error:
        if error.args[0] == _NOT_PREPARED:
            return Trial("parsed", "its kind has no plan")
        return Trial("failed", _reason(error))
    return Trial("parsed", "its kind has no plan, or its plan would write")


def _reason(error: pymysql.MySQLError) -> str:
    """Code and first words of an error, without the piece of the statement that a syntax error repeats."""
    code = error.args[0] if error.args else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    if code == 1064:
        text = "this version does not understand its syntax"
    elif code not in (1044, 1046, 1049, 1051, 1054, 1109, 1142, 1143, 1146, 1227, 1305, 1356, 1370):
        # Other messages may quote values.
        text = text.partition("'")[0].strip() or "refused"
    return f"{text} ({code})"


def _orders(query: str) -> bool:
    """Whether the query orders its answer: ORDER BY outside of all brackets."""
    depth, words = 0, []
    for token in code_of(tokens_of(query)):
        depth += (token.text == "(") - (token.text == ")") if token.kind == "symbol" else 0
        if depth == 0:
            words.append(token.word)
    return any(pair == ("ORDER", "BY") for pair in pairwise(words))


def _alike(one: Answer, other: Answer, ordered: bool) -> bool:
    if len(one.columns) != len(other.columns):
        return False
    return one.rows == other.rows if ordered else Counter(one.rows) == Counter(other.rows)


def _difference(source: Answer, target: Answer, ordered: bool) -> str:
    if len(source.columns) != len(target.columns):
        return f"{len(source.columns)} columns on the source, {len(target.columns)} on the target"
    gone, come = Counter(source.rows) - Counter(target.rows), Counter(target.rows) - Counter(source.rows)
    if not gone and not come:
        return "the same rows in another order"
    parts = [f"{sum(gone.values()):,} rows only on the source, {sum(come.values()):,} only on the target"]
    columns = [
        name
        for place, name in enumerate(source.columns)
        if Counter(row[place] for row in gone.elements()) != Counter(row[place] for row in come.elements())
    ]
    return f"{parts[0]}; columns that differ: {', '.join(columns)}"


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
