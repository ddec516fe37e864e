"""Reading accounts: SHOW CREATE USER and SHOW GRANTS of each, hashes in hexadecimal."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from workbook.accounts.grants import grants_of
from workbook.accounts.mariadb import read_mariadb
from workbook.accounts.objects import AccountDefinition, AccountKey, Accounts
from workbook.catalog import Catalog
from workbook.errors import TerminalError
from workbook.names import mysql_account
from workbook.schema.privileges import effective_grants
from workbook.schema.tokens import Token, code_of, split_at_commas, text_of, tokens_of
from workbook.servers import Server, Session

# What decides on the roles and passwords of all accounts, where they say nothing of their own.
_SETTINGS = (
    "mandatory_roles",
    "activate_all_roles_on_login",
    "default_password_lifetime",
    "password_history",
    "password_reuse_interval",
    "password_require_current",
)


def read_accounts(server: Server, only: Collection[AccountKey] | None = None) -> Accounts:
    """The accounts of `server`, those in `only` where it is given.

    Raises TerminalError, with what to grant, where the login may not read the tables of accounts.
    """
    with server.session() as session:
        try:
            if session.flavour == "mariadb":
                accounts = read_mariadb(session, only)
                names = frozenset(account.key for account in accounts)
            else:
                accounts, names = _read_mysql(session, only)
        except TerminalError as error:
            if "lacks a privilege" not in error.found and "(1142)" not in error.found:
                raise
            raise TerminalError(
                f"The account {server.user!r} may not read the accounts of the {server.role}.",
                "Users, roles and grants that cannot be read would be left behind without a word.",
                f"Grant SELECT ON mysql.* to {server.user!r} on the {server.role} (or on *.*), then run again.",
            ) from None
        user, _, host = str(session.scalar("SELECT CURRENT_USER()")).rpartition("@")
        plugins = session.rows(
            "SELECT PLUGIN_NAME AS name FROM information_schema.PLUGINS"
            " WHERE PLUGIN_TYPE = 'AUTHENTICATION' AND PLUGIN_STATUS = 'ACTIVE'"
        )
        named = ", ".join(f"'{name}'" for name in (*_SETTINGS, "partial_revokes", "skip_name_resolve"))
        variables = {
            row["Variable_name"]: str(row["Value"])
            for row in session.rows(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({named})")
        }
        return Accounts(
            role=server.role,
            login=(user, host),
            names=names,
            plugins=frozenset(row["name"] for row in plugins),
            partial_revokes=variables.get("partial_revokes") == "ON",
            skip_name_resolve=variables.get("skip_name_resolve") == "ON",
            holds=frozenset(grant for line in effective_grants(session) for grant in grants_of(line)),
            accounts=accounts,
            mandatory_roles=roles_named(variables.get("mandatory_roles", "")),
            settings={name: variables[name] for name in _SETTINGS if name in variables},
        )


def read_with_roles(server: Server, keys: Collection[AccountKey]) -> Accounts:
    """The accounts `keys` that are on the server, with all that decides on what they may do.

    That is every role that they can make active, roles of roles included, and the other accounts of the same users.
    """
    accounts = read_accounts(server, keys)
    wanted = {*keys}
    more = {key for key in accounts.names if key[0] in {user for user, _ in keys}} - wanted
    while True:
        roles = {(it.object[0], it.object[1]) for one in accounts.accounts for it in one.grants if it.level == "role"}
        more |= {*roles, *accounts.mandatory_roles} - wanted
        if not more:
            return accounts
        wanted |= more
        accounts = replace(accounts, accounts=accounts.accounts + read_accounts(server, more).accounts)
        more = set()


def roles_named(text: str) -> tuple[AccountKey, ...]:
    """The roles that the variable mandatory_roles lists: names, quoted or not, with their host or without."""
    code = code_of(tokens_of(text))
    found = []
    for run in split_at_commas(code) if code else ():
        place = next((place for place, token in enumerate(run) if token.text == "@"), len(run))
        user, host = (
            "".join(token.text if token.kind in ("word", "symbol") else _plain(token) for token in part)
            for part in (run[:place], run[place + 1 :])
        )
        found.append((user, host or "%"))
    return tuple(found)


def _plain(token: Token) -> str:
    return token.text[1:-1].replace("''", "'") if token.kind == "string" else token.identifier


def _read_mysql(
    session: Session, only: Collection[AccountKey] | None
) -> tuple[tuple[AccountDefinition, ...], frozenset[AccountKey]]:
    """The accounts that were asked for, and the names of all."""
    rows = session.rows(
        "SELECT User AS user, Host AS host,"
        " COALESCE(JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password'), 0) AS second"
        " FROM mysql.user ORDER BY User, Host"
    )
    session.execute("SET SESSION print_identified_with_as_hex = ON")
    chosen = [row for row in rows if only is None or (row["user"], row["host"]) in only]
    accounts = tuple(_account(session, row["user"], row["host"], bool(row["second"])) for row in chosen)
    return accounts, frozenset((row["user"], row["host"]) for row in rows)


def relations_of(catalog: Catalog) -> frozenset[tuple[str, str]]:
    """The tables and views of a catalog."""
    return frozenset(table.path for table in catalog.tables) | frozenset(view.path for view in catalog.views)


def routines_of(catalog: Catalog) -> frozenset[tuple[str, str, str]]:
    """The routines of a catalog, as (procedure or function, database, name)."""
    return frozenset((routine.kind.lower(), routine.database, routine.name) for routine in catalog.routines)


def _account(session: Session, user: str, host: str, second: bool) -> AccountDefinition:
    name = mysql_account(user, host).replace("%", "%%")
    created = str(next(iter(session.rows(f"SHOW CREATE USER {name}", ())[0].values())))
    grants = session.rows(f"SHOW GRANTS FOR {name}", ())
    plugin, password, options, roles, factors = split_create_user(created)
    return AccountDefinition(
        user=user,
        host=host,
        plugin=plugin,
        password=password,
        options=options,
        default_roles=roles,
        grants=frozenset(grant for row in grants for grant in grants_of(str(next(iter(row.values()))))),
        factors=factors,
        second_password=second,
    )


def split_create_user(statement: str) -> tuple[str, str, str, tuple[AccountKey, ...], int]:
    """Plugin, hash, remaining options, default roles and the number of factors of a SHOW CREATE USER."""
    tokens = tokens_of(statement)
    words = [token.word for token in tokens]
    factors = words.count("IDENTIFIED")
    plugin = password = ""
    if factors:
        first = words.index("IDENTIFIED")
        strings = [token for token in code_of(tokens[first:]) if token.kind == "string"]
        plugin = strings[0].text[1:-1] if strings else ""
        # The first factor ends where the next begins, or where the options do.
        stop = words.index("IDENTIFIED", first + 1) if factors > 1 else words.index("REQUIRE")
        place = next((place for place in range(first, stop) if words[place] == "AS"), None)
        if place is not None:
            password = code_of(tokens[place + 1 :])[0].text
    require = words.index("REQUIRE")
    roles: tuple[AccountKey, ...] = ()
    if "ROLE" in words[:require]:
        roles = _roles(code_of(tokens[words.index("ROLE") + 1 : require]))
    return plugin, password, text_of(tokens[require:]).strip(), roles, factors


def _roles(code: Sequence[Token]) -> tuple[AccountKey, ...]:
    # Each role is `user`@`host`, and a comma before the next.
    return tuple((code[place].identifier, code[place + 2].identifier) for place in range(0, len(code), 4))
