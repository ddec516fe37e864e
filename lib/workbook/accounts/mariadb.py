"""Reading the accounts of a MariaDB server as MySQL's: roles get the host %, options MySQL's words, plugins their names."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from workbook.accounts.grants import grants_of
from workbook.accounts.objects import AccountDefinition, AccountKey, Grant
from workbook.names import mysql_account, mysql_string
from workbook.schema.tokens import code_of, tokens_of
from workbook.servers import Session

# What ALL means on everything and MySQL has under the same name.
_EVERYTHING = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "SHUTDOWN", "PROCESS", "FILE", "REFERENCES",
    "INDEX", "ALTER", "SHOW DATABASES", "SUPER", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE",
    "REPLICATION SLAVE", "REPLICATION CLIENT", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE",
    "CREATE USER", "EVENT", "TRIGGER", "CREATE TABLESPACE",
)  # fmt: skip
# MariaDB 10.5 split REPLICATION CLIENT; only who holds both halves held what MySQL means by it.
_HALVES = ("BINLOG MONITOR", "SLAVE MONITOR", "REPLICA MONITOR")
_LIMITS = (
    ("max_questions", "MAX_QUERIES_PER_HOUR"),
    ("max_updates", "MAX_UPDATES_PER_HOUR"),
    ("max_connections", "MAX_CONNECTIONS_PER_HOUR"),
    ("max_user_connections", "MAX_USER_CONNECTIONS"),
)
_NATIVE = "mysql_native_password"
_REST = "PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT PASSWORD REQUIRE CURRENT DEFAULT"
_OWN = "mariadb.sys"


def read_mariadb(session: Session, only: Collection[AccountKey] | None) -> tuple[AccountDefinition, ...]:
    """All accounts and roles, those in `only` where it is given; a role's key is (name, %)."""
    rows = session.rows("SELECT User AS user, Host AS host, Priv AS priv FROM mysql.global_priv ORDER BY User, Host")
    held = [(str(row["user"]), str(row["host"]), json.loads(row["priv"])) for row in rows if row["user"] != _OWN]
    # In MySQL a role is an account; one named as the user user@% would be that user.
    users = {(user, host) for user, host, priv in held if not priv.get("is_role")}
    doubled = {user for user, _, priv in held if priv.get("is_role") and (user, "%") in users}
    found = []
    for user, host, priv in held:
        if priv.get("is_role") and user in doubled:
            continue
        key = (user, "%") if priv.get("is_role") else (user, host)
        if only is None or key in only:
            found.append(_account(session, user, host, priv, doubled))
    # Once anything was granted to it, PUBLIC stays in the table though it holds nothing any more.
    return tuple(account for account in found if account.key != ("PUBLIC", "%") or account.grants)


def _account(session: Session, user: str, host: str, priv: Mapping[str, Any], doubled: set[str]) -> AccountDefinition:
    is_role = bool(priv.get("is_role"))
    plugin, password, notes = ("", "", []) if is_role else _authentication(priv)
    if user in doubled:
        notes.append("a role of the same name is left out: in MySQL it would be this account")
    if priv.get("max_statement_time"):
        notes.append(f"MAX_STATEMENT_TIME {priv['max_statement_time']:g}: MySQL limits no account's statements")
    role = priv.get("default_role")
    return AccountDefinition(
        user=user,
        host="%" if is_role else host,
        plugin=plugin,
        password=password,
        options=f"REQUIRE NONE PASSWORD EXPIRE ACCOUNT LOCK {_REST}" if is_role else _options(priv),
        default_roles=((str(role), "%"),) if role and role not in doubled else (),
        grants=frozenset(_grants(session, user, host, is_role, doubled)),
        notes=tuple(notes),
    )


def _authentication(priv: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """The plugin that moves, with its password as MySQL stores it, and what is said of the others."""
    own = {"plugin": priv.get("plugin") or _NATIVE, "authentication_string": priv.get("authentication_string", "")}
    # An empty object stands in the list for the account's own plugin.
    ways = [way or own for way in priv.get("auth_or", [{}])]
    chosen = next((way for way in ways if way["plugin"] == _NATIVE), ways[0])
    others = [way["plugin"] for way in ways if way is not chosen]
    notes = [f"may also log in by {', '.join(others)} on the source, and not on the target"] if others else []
    if chosen["plugin"] != _NATIVE:
        return chosen["plugin"], "", notes
    text = chosen.get("authentication_string", "")
    good = re.fullmatch(r"\*[0-9A-Fa-f]{40}", text)
    return _NATIVE, "0x" + text.encode().hex().upper() if good else "", notes


def _options(priv: Mapping[str, Any]) -> str:
    """TLS, limits, expiry and lock, as MySQL's SHOW CREATE USER writes them."""
    kind = int(priv.get("ssl_type", 0))
    require = {0: "NONE", 1: "SSL", 2: "X509"}.get(kind, "")
    if kind == 3:
        named = (("SUBJECT", "x509_subject"), ("ISSUER", "x509_issuer"), ("CIPHER", "ssl_cipher"))
        require = " ".join(f"{word} {mysql_string(priv[name])}" for word, name in named if priv.get(name))
    limits = " ".join(f"{word} {int(priv[name])}" for name, word in _LIMITS if int(priv.get(name, 0)) > 0)
    lifetime = int(priv.get("password_lifetime", -1))
    expiry = {-1: " DEFAULT", 0: " NEVER"}.get(lifetime, f" INTERVAL {lifetime} DAY")
    if priv.get("password_last_changed") == 0:
        expiry = ""
    lock = "LOCK" if priv.get("account_locked") else "UNLOCK"
    return " ".join(
        part
        for part in (
            f"REQUIRE {require}",
            f"WITH {limits}" if limits else "",
            f"PASSWORD EXPIRE{expiry}",
            f"ACCOUNT {lock}",
            _REST,
        )
        if part
    )


def _grants(session: Session, user: str, host: str, is_role: bool, doubled: set[str]) -> Iterator[Grant]:
    name = "PUBLIC" if user == "PUBLIC" else mysql_string(user) if is_role else mysql_account(user, host)
    found: set[Grant] = set()
    for row in session.rows(f"SHOW GRANTS FOR {name}".replace("%", "%%"), ()):
        line = str(next(iter(row.values())))
        if _grantee(line) == user:
            found |= {grant for grant in grants_of(line) if grant.level != "role" or grant.object[0] not in doubled}
    everything = {grant for grant in found if grant.level == "global" and grant.privilege == "ALL PRIVILEGES"}
    found -= everything
    if everything:
        found |= {Grant("global", (), privilege) for privilege in _EVERYTHING}
    halves = {grant.privilege for grant in found if grant.level == "global" and grant.privilege in _HALVES}
    if "BINLOG MONITOR" in halves and len(halves) > 1:
        found = {grant for grant in found if grant.privilege not in _HALVES} | {
            Grant("global", (), "REPLICATION CLIENT")
        }
    yield from found


def _grantee(line: str) -> str | None:
    """Who a line of SHOW GRANTS is about: that of a role shows what it holds through other roles too."""
    code = code_of(tokens_of(line))
    if code[0].word != "GRANT" or "PACKAGE" in [token.word for token in code[:8]]:
        return None
    depth = 0
    for place, token in enumerate(code):
        if token.kind == "symbol":
            depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.word == "TO":
            grantee = code[place + 1]
            return grantee.text[1:-1].replace("''", "'") if grantee.kind == "string" else grantee.identifier
    return None
