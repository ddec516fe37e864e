"""Grants as SHOW GRANTS writes them, taken apart into single privileges, and put together as statements."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from workbook.accounts.objects import AccountKey, Grant
from workbook.names import mysql_account, quote_mysql
from workbook.schema.tokens import Token, code_of, split_at_commas, tokens_of

# https://dev.mysql.com/doc/refman/8.4/en/grant.html#grant-database-privileges and the sections behind it.
_ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES")
_TABLE = (*_ROWS, "CREATE", "DROP", "INDEX", "ALTER", "CREATE VIEW", "SHOW VIEW", "TRIGGER")
_DATABASE = (*_TABLE, "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT")
ALL_PRIVILEGES = {"table": _TABLE, "database": _DATABASE, "procedure": ("EXECUTE", "ALTER ROUTINE")}
ALL_PRIVILEGES["function"] = ALL_PRIVILEGES["procedure"]


def grants_of(line: str) -> Iterator[Grant]:
    """The single privileges of one line of SHOW GRANTS. USAGE alone is none."""
    code = code_of(tokens_of(line))
    revoked = code[0].word == "REVOKE"
    end = _place(code, "FROM" if revoked else "TO")
    option = any(token.word == "OPTION" for token in code[end:])
    if code[1].kind in ("name", "string"):
        for role in split_at_commas(code[1:end]):
            yield Grant("role", _account(role), "ROLE", option)
        return
    on = _place(code, "ON")
    level, path = _object(code[on + 1 : end])
    granted = False
    for run in split_at_commas(code[1:on]):
        for privilege in _privileges(run, level):
            dynamic = level == "global" and "_" in privilege
            granted = granted or not dynamic
            if privilege != "USAGE":
                yield Grant(level, path, privilege, option and (dynamic or level == "proxy"), revoked)
    if option and granted and level != "proxy":
        yield Grant(level, path, "GRANT OPTION")


def statements(account: str, grants: Iterable[Grant]) -> Iterator[tuple[str, str]]:
    """(what, statement) for each object: roles, then privileges in one GRANT an object, then partial revokes."""
    by_object = sorted(grants, key=lambda grant: (*_statement_key(grant), grant.privilege))
    for (revoked, level, _, _, option), group in groupby(by_object, key=_statement_key):
        items = list(group)
        on = items[0].on
        if level == "role":
            admin = " WITH ADMIN OPTION" if option else ""
            yield f"{on} to {account}", f"GRANT {on} TO {account}{admin}"
            continue
        privileges = [item.privilege for item in items if item.privilege != "GRANT OPTION"]
        listed = ", ".join(privileges) or "USAGE"
        if revoked:
            yield f"not on {on} to {account}", f"REVOKE {listed} ON {on} FROM {account}"
            continue
        on_option = option or len(privileges) < len(items)
        yield (
            f"on {on} to {account}",
            f"GRANT {listed} ON {on} TO {account}" + (" WITH GRANT OPTION" if on_option else ""),
        )


def _statement_key(grant: Grant) -> tuple[bool, str, tuple[str, ...], bool, bool]:
    """What must be alike for privileges to share a statement: WITH GRANT OPTION holds for all that it names."""
    return grant.revoked, grant.level, grant.object, grant.dynamic, grant.option


def _place(code: Sequence[Token], word: str) -> int:
    depth = 0
    for place, token in enumerate(code):
        if token.kind == "symbol":
            depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.word == word:
            return place
    raise ValueError(f"no {word} in a grant")


def _account(tokens: Sequence[Token]) -> AccountKey:
    return tokens[0].identifier, tokens[2].identifier if len(tokens) > 2 else "%"


def _object(tokens: Sequence[Token]) -> tuple[str, tuple[str, ...]]:
    level = "table"
    if tokens[0].word in ("PROCEDURE", "FUNCTION", "TABLE", "LIBRARY"):
        level, tokens = tokens[0].word.lower(), tokens[1:]
    if len(tokens) > 1 and tokens[1].text == "@":
        return "proxy", _account(tokens)
    if tokens[0].text == "*":
        return "global", ()
    if tokens[2].text == "*":
        return "database", (tokens[0].identifier,)
    return level, (tokens[0].identifier, tokens[2].identifier)


def _privileges(run: Sequence[Token], level: str) -> Iterator[str]:
    """The privileges of one entry: several where it names columns or means all."""
    opening = next((place for place, token in enumerate(run) if token.text == "("), len(run))
    name = " ".join(token.word for token in run[:opening])
    if opening < len(run):
        for token in run[opening:]:
            if token.kind in ("name", "word"):
                yield f"{name} ({quote_mysql(token.identifier)})"
    elif name in ("ALL", "ALL PRIVILEGES") and level in ALL_PRIVILEGES:
        yield from ALL_PRIVILEGES[level]
    else:
        yield name


def default_role_statement(account: str, roles: Iterable[AccountKey]) -> str:
    """The statement that makes `roles` active when `account` logs in."""
    return f"SET DEFAULT ROLE {', '.join(mysql_account(*role) for role in roles)} TO {account}"
