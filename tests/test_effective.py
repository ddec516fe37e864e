"""What 200 accounts with random grants may do: the same on both sides but for what Cloud SQL refuses, and never more."""

from __future__ import annotations

import dataclasses
import random
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest

from test_accounts import Move, move_of  # noqa: F401 - the fixture
from workbook import accounts
from workbook.accounts.effective import Effect
from workbook.accounts.expected import Target, decisive, expected_grants
from workbook.accounts.objects import AccountDefinition, Accounts, Grant

DATABASES = ("wbe_one", "wbe_two", "wbextwo")
STATEMENTS = {
    "SELECT": "SELECT id FROM t LIMIT 0",
    "INSERT": "INSERT INTO t (id) SELECT 1 FROM DUAL WHERE FALSE",
    "UPDATE": "UPDATE t SET a = 1 WHERE FALSE",
    "DELETE": "DELETE FROM t WHERE FALSE",
    "EXECUTE": "CALL p()",
}
GLOBAL = [
    "SELECT",
    "INSERT",
    "PROCESS",
    "RELOAD",
    "SUPER",
    "FILE",
    "SHOW DATABASES",
    "CONNECTION_ADMIN",
    "BACKUP_ADMIN",
]
DATABASE = ["SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE", "CREATE", "DROP", "TRIGGER", "CREATE VIEW"]
PATTERNS = ["wbe_one", "wbe\\_one", "wbe\\_two", "wbe%", "wbe\\_%", "wbext__", "wb%", "elsewhere%"]
REFUSED = {"SUPER", "FILE", "BACKUP_ADMIN"}


def random_grants(chooser: random.Random, account: str) -> list[str]:
    """Grants at all levels for one account."""
    made = []
    if chooser.random() < 0.2:
        made.append(f"GRANT {', '.join(chooser.sample(GLOBAL, 2))} ON *.* TO {account}")
    for pattern in chooser.sample(PATTERNS, chooser.randint(0, 3)):
        option = " WITH GRANT OPTION" if chooser.random() < 0.1 else ""
        made.append(
            f"GRANT {', '.join(chooser.sample(DATABASE, chooser.randint(1, 4)))} ON `{pattern}`.* TO {account}{option}"
        )
    for name in chooser.sample(DATABASES, chooser.randint(0, 2)):
        made.append(
            chooser.choice(
                [
                    f"GRANT SELECT, DELETE ON `{name}`.t TO {account}",
                    f"GRANT SELECT (id), UPDATE (a) ON `{name}`.t TO {account}",
                    f"GRANT EXECUTE ON PROCEDURE `{name}`.p TO {account}",
                    f"GRANT SELECT ON `{name}`.v TO {account}",
                ]
            )
        )
    return made


@pytest.fixture
def population(scratch: Any) -> Iterator[tuple[list[tuple[str, str]], str]]:
    """Three databases, 20 roles of which some hold others, and 180 users, made from a fixed seed."""
    chooser = random.Random(20261124)
    password = secrets.token_urlsafe(12)
    for name in DATABASES:
        scratch.database(name)
        scratch.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT)", name)
        scratch.execute("CREATE VIEW v AS SELECT id FROM t", name)
        scratch.execute("CREATE PROCEDURE p() SELECT 1", name)
    roles = [f"'wbe_role_{number}'@'%'" for number in range(20)]
    names = list(roles)
    users = [(f"wbe'user {number}", chooser.choice(["%", "127.0.0.%", "127.0.0.1"])) for number in range(180)]
    statements = [f"CREATE ROLE {', '.join(roles)}"]
    for place, role in enumerate(roles):
        statements += random_grants(chooser, role)
        if place > 4 and chooser.random() < 0.3:
            statements.append(f"GRANT {roles[place - 5]} TO {role}")
    for user, host in users:
        name = "'" + user.replace("'", "''") + f"'@'{host}'"
        names.append(name)
        # Hashing a password takes its time; all have the same one.
        statements.append(f"CREATE USER {name} IDENTIFIED BY '{password}'")
        statements += random_grants(chooser, name)
        own = chooser.sample(roles, chooser.choice([0, 0, 1, 2]))
        if own:
            statements.append(f"GRANT {', '.join(own)} TO {name}")
            if chooser.random() < 0.5:
                statements.append(f"SET DEFAULT ROLE {own[0]} TO {name}")
    gone = f"DROP USER IF EXISTS {', '.join(names)}"
    for run in (scratch.execute, scratch.execute_target_root):
        run(gone)
    try:
        with scratch.source.session() as session:
            for statement in statements:
                session.execute(statement)
        yield users, password
    finally:
        for run in (scratch.execute, scratch.execute_target_root):
            run(gone)


def allowed(port: int, user: str, password: str, database: str, role: str) -> set[str]:
    """The statements that the server lets an account run, tried."""
    connection = pymysql.connect(host="127.0.0.1", port=port, user=user, password=password, autocommit=True)
    may = set()
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}")
        for privilege, statement in STATEMENTS.items():
            qualified = statement.replace(" t ", f" `{database}`.t ").replace(" p()", f" `{database}`.p()")
            try:
                cursor.execute(qualified)
                may.add(privilege)
            except pymysql.MySQLError as error:
                if error.args[0] not in (1044, 1142, 1143, 1370):
                    raise
    return may


def test_two_hundred_accounts_may_do_the_same_and_never_more(
    scratch: Any,
    move_of: Callable[..., Move],  # noqa: F811
    population: tuple[list[tuple[str, str]], str],
) -> None:
    users, password = population
    move = move_of(*DATABASES)
    planned = move.apply()
    result = move.check(planned)
    assert result.second.empty
    mine = [effect for effect in result.effects if "wbe" in effect.account]
    assert len(mine) == 180
    assert [(effect.account, effect.gained) for effect in mine if effect.gained] == []
    # What is lost everywhere is exactly what Cloud SQL gives to nobody.
    source = {account.key: account for account in accounts.read_accounts(scratch.source).accounts}
    for effect in mine:
        everywhere = {item for place, item in effect.lost if place == "*.*"}
        assert everywhere <= REFUSED, effect
        assert effect.verdict != "different", effect
    refused = {grant.privilege for account in source.values() for grant in account.grants if grant.level == "global"}
    lost = {item for effect in mine for place, item in effect.lost if place == "*.*"}
    assert lost == refused & REFUSED
    # The server itself says the same: everybody logs in with the old password, and what a sample may do is tried.
    ports = {side: scratch.state["servers"][side]["port"] for side in ("source", "target")}
    for user, _ in users:
        pymysql.connect(host="127.0.0.1", port=ports["target"], user=user, password=password).close()
    for user, _ in random.Random(7).sample(users, 12):
        for database in DATABASES:
            tried = {
                side: {role: allowed(port, user, password, database, role) for role in ("NONE", "ALL")}
                for side, port in ports.items()
            }
            able = {side: tried[side]["NONE"] | tried[side]["ALL"] for side in ports}
            assert able["target"] <= able["source"], (user, database, tried)
    assert result.verdict == "ok"


def test_an_account_that_gained_is_named(scratch: Any, move_of: Callable[..., Move]) -> None:  # noqa: F811
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY)", database)
    name = scratch.account("'wbe_gains'@'%'")
    scratch.execute(f"CREATE USER {name} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT SELECT ON `{database}`.t TO {name}")
    move = move_of(database)
    planned = move.apply()
    scratch.execute_target_root(f"GRANT DROP ON `{database}`.* TO {name}")
    result = move.check(planned)
    assert result.verdict == "different"
    [effect] = [effect for effect in result.effects if "wbe_gains" in effect.account]
    assert effect.gained == ((f"`{database}`", "DROP"),)
    assert "May do now and could not" in result._repr_html_()


def test_a_global_privilege_with_exceptions_stays_behind_where_the_target_knows_none() -> None:
    everywhere, not_there = Grant("global", (), "SELECT"), Grant("database", ("pay",), "SELECT", revoked=True)
    held = frozenset([everywhere, not_there, Grant("global", (), "INSERT")])
    account = AccountDefinition("a", "%", "caching_sha2_password", "", "", (), held)
    give = frozenset(Grant("global", (), name) for name in ("SELECT", "INSERT", "GRANT OPTION"))

    def kept(partial_revokes: bool) -> frozenset[Grant]:
        side = Accounts("source", ("root", "%"), frozenset(), frozenset(), True, False, give, (account,))
        there = dataclasses.replace(side, role="target", partial_revokes=partial_revokes)
        target = Target(there, ("pay",), frozenset(), frozenset(), frozenset())
        return expected_grants(account, side, target)[0]

    assert kept(True) == held
    assert kept(False) == {Grant("global", (), "INSERT")}


def test_a_loss_needs_a_reason_of_its_own() -> None:
    refused = (("FILE ON *.* TO 'a'@'%'", "the administrator of the target may not give this"),)
    effect = Effect("'a'@'%'", {}, (("*.*", "FILE"),), (), refused)
    assert effect.verdict == "tolerated"
    assert dataclasses.replace(effect, lost=(*effect.lost, ("`shop`", "DELETE"))).verdict == "different"


@pytest.mark.parametrize(
    ("patterns", "database", "roles", "decides"),
    [
        (["shop%", "shop\\_eu", "s%"], "shop_eu", False, {"shop\\_eu"}),
        (["shop%", "s%"], "shop_eu", False, {"shop%"}),
        (["shop%", "s%"], "shop_eu", True, set()),
        (["shop%", "crm%"], "shop_eu", True, {"shop%"}),
        (["shop%", "shop_"], "shopx", False, {"shop%", "shop_"}),
        (["other"], "shop", False, set()),
    ],
)
def test_one_grant_alone_decides_on_a_database(
    patterns: list[str], database: str, roles: bool, decides: set[str]
) -> None:
    assert decisive(patterns, database, False, roles) == decides
