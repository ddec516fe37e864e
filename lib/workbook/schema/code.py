"""Views, routines, triggers and events as the target takes them: definers rewritten, events put to sleep."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

from pymysql.charset import charset_by_name

from workbook.names import quote_mysql
from workbook.schema.alike import alike_views
from workbook.schema.definitions import Code
from workbook.schema.tokens import Token, code_of, normal, normal_name, tokens_of

_KEYWORDS = ("VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT")


@dataclass(frozen=True)
class AdaptedCode:
    """A statement as the target takes it, with its settings, and each change in words."""

    statement: str
    settings: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]


def adapted_code(code: Code, account: str, before: str | None = None) -> AdaptedCode:
    """`code` with its definer rewritten to `account` (user@host), an event disabled, a trigger before trigger `before`.

    A definer other than the login needs SET_ANY_DEFINER, which Cloud SQL's administrator does not hold, and the
    accounts come only after the schema.
    """
    statement = code.statement
    changes: list[str] = []
    edits: list[tuple[int, int, str]] = []
    tokens = code_of(tokens_of(statement, code.sql_mode))
    definer = _definer(tokens)
    if definer is not None and not same_account(code.definer, account):
        edits.append((*definer, f"DEFINER={quoted_account(account)}"))
        changes.append(
            f"definer {code.definer} becomes {account}: another account's name may not be used on Cloud SQL;"
            " with SQL SECURITY DEFINER it runs with the rights of the new one"
        )
    status = _status(tokens) if code.kind == "event" else None
    if status is not None and code.status != "DISABLED":
        edits.append((*status, "DISABLE"))
        changes.append(
            f"created disabled, so that it does not fire before the cutover; on the source it is {code.status}"
        )
    order = _order(tokens) if code.kind == "trigger" else None
    if order is not None:
        edits.append((*order, ""))
    if before is not None:
        place = order[0] if order else _row_end(tokens)
        edits.append((place, place, f" PRECEDES {quote_mysql(before)} "))
    for start, end, text in sorted(edits, reverse=True):
        statement = statement[:start] + text + statement[end:]
    settings = dict(code.settings)
    if not _has_codec(settings["character_set_client"]):
        changes.append(f"written in {settings['character_set_client']}, which is sent as utf8mb4")
        settings["character_set_client"] = "utf8mb4"
    return AdaptedCode(statement, tuple(settings.items()), tuple(changes))


def normal_code(code: Code) -> tuple[str, ...]:
    """What two definitions of the same object are compared by: all but definer, order, status, and layout."""
    tokens = code_of(tokens_of(code.statement, code.sql_mode))
    left_out = [_definer(tokens)]
    if code.kind == "event":
        left_out.append(_status(tokens))
    if code.kind == "trigger":
        left_out.append(_order(tokens))
    spans = [span for span in left_out if span is not None]
    kept = [token for token in tokens if not any(start <= token.start < end for start, end in spans)]
    return normal(kept)


def same_code(source: Code, target: Code) -> bool:
    """Whether two definitions of the same object are alike, whoever printed them."""
    if normal_code(source) == normal_code(target):
        return True
    return source.loose and source.kind == "view" and alike_views(source.statement, target.statement)


def setting_differences(source: Code, settings: tuple[tuple[str, str], ...], target: Code) -> list[str]:
    """How the settings of `target` differ from `settings` and from the source's database collation, in words."""
    differences = []
    target_settings = dict(target.settings)
    for name, value in settings:
        there = target_settings.get(name, "")
        modes = name == "sql_mode" and set(value.split(",")) == set(there.split(","))
        if not modes and normal_name(value) != normal_name(there):
            differences.append(f"{name} {value or 'empty'} became {there or 'empty'}")
    collation, other = source.database_collation, target.database_collation
    if collation and other and normal_name(collation) != normal_name(other):
        differences.append(f"database collation {collation} became {other}")
    return differences


def same_account(left: str, right: str) -> bool:
    """Whether two accounts written as user@host are the same; host names know no case."""
    user, _, host = left.rpartition("@")
    other_user, _, other_host = right.rpartition("@")
    return user == other_user and host.lower() == other_host.lower()


def quoted_account(account: str) -> str:
    """user@host with both parts as quoted names."""
    user, _, host = account.rpartition("@")
    # An empty user is the anonymous account, and no identifier.
    return f"{quote_mysql(user) if user else '``'}@{quote_mysql(host)}"


def _definer(tokens: tuple[Token, ...]) -> tuple[int, int] | None:
    """Where DEFINER=user@host stands in the heading."""
    for place, token in enumerate(tokens):
        if token.word in _KEYWORDS:
            return None
        if token.word == "DEFINER" and tokens[place + 1].text == "=":
            last = place + 2
            if tokens[last + 1].text == "@":
                last += 2
            return token.start, tokens[last].end
    return None


def _status(tokens: tuple[Token, ...]) -> tuple[int, int] | None:
    """Where an event's ENABLE or DISABLE [ON SLAVE] stands: behind ON COMPLETION [NOT] PRESERVE."""
    for place, token in enumerate(tokens):
        if token.word == "DO":
            return None
        if token.word in ("ENABLE", "DISABLE") and tokens[place - 1].word == "PRESERVE":
            last = place + 2 if tokens[place + 1].word == "ON" else place
            return token.start, tokens[last].end
    return None


def _order(tokens: tuple[Token, ...]) -> tuple[int, int] | None:
    """Where a trigger's FOLLOWS or PRECEDES with its name stands: behind FOR EACH ROW."""
    place = _row(tokens)
    if (
        place is not None
        and tokens[place + 1].word in ("FOLLOWS", "PRECEDES")
        and tokens[place + 2].kind in ("name", "word")
    ):
        return tokens[place + 1].start, tokens[place + 2].end
    return None


def _row(tokens: tuple[Token, ...]) -> int | None:
    for place in range(len(tokens) - 3):
        if [token.word for token in tokens[place : place + 3]] == ["FOR", "EACH", "ROW"]:
            return place + 2
    return None


def _row_end(tokens: tuple[Token, ...]) -> int:
    place = _row(tokens)
    assert place is not None
    return tokens[place].end


def _has_codec(charset: str) -> bool:
    special: Mapping[str, bool] = {"binary": True, "utf8": True}
    if charset in special:
        return True
    try:
        codecs.lookup(charset_by_name(charset).encoding)
    except (LookupError, KeyError):
        return False
    return True
