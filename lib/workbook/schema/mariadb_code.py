"""Views, routines, triggers and events of a MariaDB source: what of their settings and words is put into MySQL's."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from pymysql.charset import charset_by_name

from workbook.catalog.mariadb import ONLY_MARIADB, collation_of
from workbook.names import quote_mysql
from workbook.schema.tokens import Token, code_of, tokens_of

if TYPE_CHECKING:
    from workbook.schema.definitions import Code

# https://mariadb.com/kb/en/sql-mode/: modes that MySQL 8 has not. The first two change nothing in a stored program.
_SILENT_MODES = {
    "NO_AUTO_CREATE_USER", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS", "IGNORE_BAD_TABLE_OPTIONS",
    "MYSQL40", "MYSQL323", "TIME_ROUND_FRACTIONAL",
}  # fmt: skip
_RENAMED_MODES = {"INVALID_DATES": "ALLOW_INVALID_DATES"}
_OTHER_MODES = {"ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL", "EMPTY_STRING_IS_NULL", "SIMULTANEOUS_ASSIGNMENT"}


def as_mysql(code: "Code") -> "Code":
    """`code` under settings and collations that MySQL knows; `refused` says why it cannot be made there as it stands."""
    settings = {name: _setting(name, value) for name, value in code.settings}
    tokens = code_of(tokens_of(code.statement, code.sql_mode))
    statement = code.statement
    edits = [*_collations(tokens), *(_trigger_heading(code, tokens) if code.kind == "trigger" else ())]
    for start, end, text in sorted(edits, reverse=True):
        statement = statement[:start] + text + statement[end:]
    modes = set(code.sql_mode.upper().split(",")) & _OTHER_MODES
    refused = (
        f"it was written under sql_mode {', '.join(sorted(modes))}, which MySQL has not" if modes else foreign(tokens)
    )
    return replace(
        code,
        statement=statement,
        settings=tuple(settings.items()),
        database_collation=collation_of(code.database_collation)[0] if code.database_collation else None,
        refused=refused,
        loose=True,
    )


def _setting(name: str, value: str) -> str:
    if name == "sql_mode":
        return ",".join(
            _RENAMED_MODES.get(mode, mode) for mode in value.split(",") if mode.upper() not in _SILENT_MODES
        )
    return collation_of(value)[0] if name == "collation_connection" else value


def _collations(tokens: Sequence[Token]) -> Iterator[tuple[int, int, str]]:
    """Where collations are named that MySQL has under other names, and what it has instead."""
    for place, (token, following) in enumerate(pairwise(tokens)):
        if token.word == "COLLATE" and following.kind == "word":
            nearest = collation_of(following.text.lower())[0]
            charset = tokens[place - 1].text.lower() if tokens[place - 2].word == "CHARSET" else ""
            if charset and nearest == _default_collation(charset):
                # Of the type that a function returns MySQL does not print the default.
                yield token.start, following.end, ""
            elif nearest != following.text.lower():
                yield following.start, following.end, nearest


def _default_collation(charset: str) -> str:
    if charset == "utf8mb4":
        return "utf8mb4_0900_ai_ci"
    try:
        return str(vars(charset_by_name(charset))["collation"])
    except KeyError:
        return ""


def _trigger_heading(code: "Code", tokens: Sequence[Token]) -> Iterator[tuple[int, int, str]]:
    """The heading of a trigger as MySQL prints it: MariaDB keeps it as it was typed, OR REPLACE and all."""
    words = [token.word for token in tokens]
    trigger, on = words.index("TRIGGER"), words.index("ON")
    timing = next(place for place in range(trigger, on) if words[place] in ("BEFORE", "AFTER"))
    each = words.index("FOR", on)
    if words[1] == "OR":
        yield tokens[1].start, tokens[2].end, ""
    yield tokens[trigger + 1].start, tokens[timing - 1].end, quote_mysql(code.name)
    yield tokens[on + 1].start, tokens[each - 1].end, quote_mysql(code.table or "")


def foreign(tokens: Sequence[Token]) -> str | None:
    """What MySQL would not understand of a statement, in words."""
    found = next((why for holds, why in _FOREIGN if holds(tokens)), None)
    if found:
        return found
    for place in range(1, len(tokens) - 1):
        # A name behind a dot is a column or a routine of somebody's own.
        if tokens[place].word in ONLY_MARIADB and tokens[place + 1].text == "(" and tokens[place - 1].text != ".":
            return f"it calls {tokens[place].word}(), which MySQL has not"
    return None


def _phrase(*words: str) -> Callable[[Sequence[Token]], bool]:
    """Whether the words follow one another somewhere; `|` stands between words that may stand there, `*` for any token."""
    wanted = [frozenset(word.split("|")) for word in words]

    def holds(tokens: Sequence[Token]) -> bool:
        return any(
            all("*" in one or tokens[place + step].word in one for step, one in enumerate(wanted))
            for place in range(len(tokens) - len(wanted) + 1)
        )

    return holds


def _takes_native(tokens: Sequence[Token]) -> bool:
    """Whether a parameter has a type that MySQL has not: a name, the type, and a comma or bracket."""
    return any(
        one.text in ("(", ",") and type_.word in ("UUID", "INET4", "INET6") and end.text in (",", ")")
        for one, _, type_, end in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
    )


# https://mariadb.com/kb/en/incompatibilities-and-feature-differences-between-mariadb-and-mysql/
_FOREIGN: tuple[tuple[Callable[[Sequence[Token]], bool], str], ...] = (
    (_phrase("FOR", "SYSTEM_TIME"), "it reads the history of a system-versioned table"),
    (_phrase("NEXT|PREVIOUS", "VALUE", "FOR"), "it draws from a sequence, which MySQL has not"),
    (_phrase("AGGREGATE", "FUNCTION"), "MySQL has no stored aggregate functions"),
    (_phrase("PACKAGE"), "MySQL has no packages"),
    (_phrase("EXECUTE", "IMMEDIATE"), "EXECUTE IMMEDIATE is MariaDB's: PREPARE and EXECUTE do the same"),
    (_phrase("TYPE", "OF"), "TYPE OF is MariaDB's: name the type itself"),
    (_phrase("FOR", "*", "IN"), "FOR … IN is MariaDB's loop: a WHILE or a cursor does the same"),
    (_phrase("RETURNING"), "RETURNING is MariaDB's: select the rows before"),
    (_phrase("RETURNS", "UUID|INET4|INET6"), "it gives a type that MySQL has not"),
    (_phrase("DECLARE", "*", "UUID|INET4|INET6"), "it declares a variable of a type that MySQL has not"),
    (_phrase("IN|OUT|INOUT", "*", "UUID|INET4|INET6"), "it takes a type that MySQL has not"),
    (_takes_native, "it takes a type that MySQL has not"),
    (_phrase("INSERT|UPDATE|DELETE", "OR", "INSERT|UPDATE|DELETE"), "a trigger of several events: write one for each"),
    (_phrase("MINUS"), "MINUS is Oracle's: EXCEPT does the same"),
)  # fmt: skip
