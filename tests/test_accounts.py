"""The accounts phase: accounts log in as before, hold what they held and no more, and no hash is ever seen."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest

from test_schema import Journal, mapping_of
from workbook import accounts, schema, servers
from workbook.accounts.grants import grants_of, statements
from workbook.accounts.hosts import host_never_matches
from workbook.accounts.objects import Grant
from workbook.accounts.read import split_create_user
from workbook.catalog import read_catalog
from workbook.errors import TerminalError
from workbook.plan import Plan, Step, apply, undo
from workbook.schema.privileges import pattern_matches


class Move:
    """Accounts on their way, after the schema of their databases."""

    def __init__(self, scratch: Any, *databases: str):
        self.scratch = scratch
        self.catalog = read_catalog(scratch.source, databases)
        self.mapping = mapping_of(table.path for table in self.catalog.tables)
        self.journal = Journal()
        planned = schema.plan_schema(scratch.source, scratch.target, self.catalog, self.mapping, set())
        apply(planned, scratch.target, self.journal)
        self.before = {account for (account,) in self._target("SELECT CONCAT(User, '@', Host) FROM mysql.user")}

    def _target(self, sql: str) -> Any:
        return self.scratch.execute_target_root(sql)

    def plan(self) -> accounts.AccountsPlan:
        return accounts.plan_accounts(
            self.scratch.source, self.scratch.target, self.catalog, self.mapping, self.journal.owned()
        )

    def apply(self) -> accounts.AccountsPlan:
        planned = self.plan()
        apply(planned, self.scratch.target, self.journal)
        return planned

    def check(self, planned: accounts.AccountsPlan) -> accounts.AccountsResult:
        return accounts.check_accounts(planned, self.scratch.target, self.catalog, self.mapping, self.journal.owned())

    def different(self) -> dict[str, str]:
        found = accounts.compare_accounts(
            self.scratch.source, self.scratch.target, self.catalog, self.mapping, self.journal.owned()
        )
        return {item.name: item.detail for item in found if item.verdict == "different"}

    def undo(self) -> None:
        undo([statement for _, statement in reversed(self.journal.steps) if statement], self.scratch.target)


@pytest.fixture
def move_of(scratch: Any) -> Iterator[Callable[..., Move]]:
    """Makes a Move, which is taken back after the test: the accounts phase moves whatever accounts the source holds."""
    made: list[Move] = []

    def make(*databases: str) -> Move:
        made.append(Move(scratch, *databases))
        return made[-1]

    yield make
    for move in made:
        move.undo()


@pytest.fixture
def database(scratch: Any) -> str:
    """A database with a table, a view and a routine."""
    name: str = scratch.database()
    scratch.execute("CREATE TABLE t (id int PRIMARY KEY, `na``me, (x)` varchar(9), secret int)", name)
    scratch.execute("CREATE VIEW v AS SELECT id FROM t", name)
    scratch.execute("CREATE PROCEDURE `p``1`() SELECT 1", name)
    return name


def login(scratch: Any, user: str, password: str) -> "pymysql.Connection[Any]":
    port = scratch.state["servers"]["target"]["port"]
    return pymysql.connect(host="127.0.0.1", port=port, user=user, password=password, autocommit=True)


def test_accounts_log_in_with_their_old_password_and_hold_the_same(
    scratch: Any, database: str, move_of: Callable[..., Move]
) -> None:
    reader, app, odd = (
        scratch.account("'wb reader'"),
        scratch.account("'wb_app'@'%'"),
        scratch.account("'wb o''dd \"100%\" `x`'@'127.0.0.%'"),
    )
    scratch.execute(f"CREATE ROLE {reader}")
    scratch.execute(f"GRANT SELECT ON {database}.* TO {reader}")
    scratch.execute(
        f"CREATE USER {app} IDENTIFIED BY 'Old pass''word 1' DEFAULT ROLE {reader}"
        " WITH MAX_USER_CONNECTIONS 7 PASSWORD EXPIRE INTERVAL 90 DAY COMMENT 'an \"app\"'"
    )
    scratch.execute(f"GRANT {reader} TO {app} WITH ADMIN OPTION")
    scratch.execute(f"GRANT INSERT, UPDATE (`na``me, (x)`) ON {database}.t TO {app}")
    scratch.execute(f"GRANT EXECUTE ON PROCEDURE {database}.`p``1` TO {app} WITH GRANT OPTION")
    scratch.execute(f"CREATE USER {odd} IDENTIFIED BY 'x' REQUIRE SSL ACCOUNT LOCK")
    scratch.execute(f"GRANT SELECT (id, `na``me, (x)`) ON {database}.t TO {odd}")
    scratch.execute(f"GRANT ALL PRIVILEGES ON {database}.* TO {odd} WITH GRANT OPTION")
    move = move_of(database)
    result = move.check(move.apply())
    assert [item for item in result.objects if item.verdict == "different"] == []
    assert result.second.steps == ()
    with login(scratch, "wb_app", "Old pass'word 1") as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {database}.v")
        cursor.execute(f"INSERT INTO {database}.t (id) VALUES (1)")
        with pytest.raises(pymysql.err.OperationalError, match="DELETE command denied"):
            cursor.execute(f"DELETE FROM {database}.t")
    move.undo()
    after = {account for (account,) in scratch.execute_target_root("SELECT CONCAT(User, '@', Host) FROM mysql.user")}
    assert after == move.before


def test_a_revoked_and_a_gained_privilege_are_named(scratch: Any, database: str, move_of: Callable[..., Move]) -> None:
    role, app = scratch.account("'wb_role'"), scratch.account("'wb_app'@'%'")
    scratch.execute(f"CREATE ROLE {role}")
    scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'x' DEFAULT ROLE {role}")
    scratch.execute(f"GRANT {role} TO {app}")
    scratch.execute(f"GRANT SELECT, DELETE ON {database}.* TO {app}")
    move = move_of(database)
    move.apply()
    assert move.different() == {}
    scratch.execute_target_root(f"REVOKE DELETE ON {database}.* FROM {app}")
    scratch.execute_target_root(f"GRANT DROP ON {database}.* TO {app}")
    scratch.execute_target_root(f"SET DEFAULT ROLE NONE TO {app}")
    scratch.execute_target_root(f"REVOKE {role} FROM {app}")
    assert move.different() == {
        f"DELETE ON `{database}`.* TO 'wb_app'@'%'": "is missing on the target",
        f"DROP ON `{database}`.* TO 'wb_app'@'%'": "is held on the target only",
        "ROLE 'wb_role'@'%' TO 'wb_app'@'%'": "is missing on the target",
        "'wb_app'@'%'": "its default roles differ",
    }
    # What is missing is given again; what was gained is for a person to judge.
    move.apply()
    assert list(move.different().values()) == ["is held on the target only"]


def test_what_cloud_sql_gives_to_nobody_is_left_out_and_said(
    scratch: Any, database: str, move_of: Callable[..., Move]
) -> None:
    dba = scratch.account("'wb_dba'@'%'")
    scratch.execute(f"CREATE USER {dba} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT SUPER, FILE, SHUTDOWN, CREATE TABLESPACE, PROCESS ON *.* TO {dba} WITH GRANT OPTION")
    scratch.execute(f"GRANT BINLOG_ADMIN, CONNECTION_ADMIN, SYSTEM_USER ON *.* TO {dba}")
    scratch.execute(f"GRANT SELECT, INSERT ON *.* TO {dba}")
    scratch.execute(f"GRANT SELECT ON mysql.user TO {dba}")
    scratch.execute(f"GRANT PROXY ON root@localhost TO {dba}")
    move = move_of(database)
    planned = move.apply()
    assert move.different() == {}
    left = {item.why: item.name for item in planned.left if "wb_dba" in item.name}
    outside = next(name for why, name in left.items() if "administrator of the target" in why)
    for privilege in ("SUPER", "FILE", "SHUTDOWN", "CREATE TABLESPACE", "BINLOG_ADMIN", "SYSTEM_USER"):
        assert privilege in outside
    assert "PROCESS" not in outside
    assert "CONNECTION_ADMIN" not in outside
    assert any("system schemas" in why for why in left)
    assert any("PROXY" in why for why in left)
    given = " ".join(row[0] for row in scratch.execute_target_root(f"SHOW GRANTS FOR {dba}"))
    assert "SUPER" not in given
    assert "FILE" not in given


def test_wildcard_grants_become_grants_on_the_databases_they_mean(scratch: Any, move_of: Callable[..., Move]) -> None:
    first = scratch.database("wb_wild_1")
    scratch.database("wbxwild_2")
    for name in ("wb_wild_1", "wbxwild_2"):
        scratch.execute("CREATE TABLE t (id int)", name)
    app = scratch.account("'wb_app'@'%'")
    scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT SELECT ON `wb\\_wild%`.* TO {app}")
    scratch.execute(f"GRANT INSERT ON `wb_wild\\__`.* TO {app}")
    scratch.execute(f"GRANT DELETE ON `wb\\_wild\\_1`.* TO {app}")
    scratch.execute(f"GRANT UPDATE ON `elsewhere%`.* TO {app}")
    move = move_of(first, "wbxwild_2")
    planned = move.apply()
    assert move.check(planned).verdict == "ok"
    given = {row[0] for row in scratch.execute_target_root(f"SHOW GRANTS FOR {app}")}
    # The server adds nothing up: the exact name decides on the first, the pattern with the later wildcard on the second.
    assert "GRANT DELETE ON `wb_wild_1`.* TO `wb_app`@`%`" in given
    assert "GRANT INSERT ON `wbxwild_2`.* TO `wb_app`@`%`" in given
    assert any("reads one of them alone" in item.why for item in planned.left)
    assert not any("UPDATE" in line for line in given)
    assert any("elsewhere" in item.name for item in planned.left)


def test_an_account_that_was_there_before_is_left_alone(
    scratch: Any, database: str, move_of: Callable[..., Move]
) -> None:
    app = scratch.account("'wb_app'@'%'")
    scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'source'")
    scratch.execute(f"GRANT SELECT ON {database}.* TO {app}")
    scratch.execute_target_root(f"CREATE USER {app} IDENTIFIED BY 'theirs'")
    move = move_of(database)
    planned = move.apply()
    assert not [step for step in planned.steps if "wb_app" in step.name]
    said = [item.why for item in planned.left if "wb_app" in item.name]
    assert any("left alone" in why for why in said)
    assert any("grant it yourself" in why for why in said)
    move.undo()
    login(scratch, "wb_app", "theirs").close()


def test_an_account_without_a_usable_password_is_locked_and_listed(
    scratch: Any, database: str, move_of: Callable[..., Move]
) -> None:
    empty, app = scratch.account("'wb_empty'@'%'"), scratch.account("'wb_sha'@'%'")
    scratch.execute(f"CREATE USER {empty}")
    scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'x'")
    move = move_of(database)
    planned = move.apply()
    result = move.check(planned)
    assert result.verdict == "ok"
    assert "'wb_empty'@'%'" in result.to_reset
    assert "'wb_sha'@'%'" not in result.to_reset
    with pytest.raises(pymysql.err.OperationalError):
        login(scratch, "wb_empty", "")
    # Once a person has given it a password, it is not taken back.
    scratch.execute_target_root(f"ALTER USER {empty} IDENTIFIED BY 'new' ACCOUNT UNLOCK")
    assert move.plan().steps == ()
    assert "'wb_empty'@'%'" not in move.different()


def test_no_hash_and_no_password_is_seen_anywhere(scratch: Any, database: str, move_of: Callable[..., Move]) -> None:
    app = scratch.account("'wb_app'@'%'")
    scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'planted-password'")
    stored = scratch.execute("SELECT HEX(authentication_string) FROM mysql.user WHERE User = 'wb_app'")[0][0]
    move = move_of(database)
    planned = move.apply()
    result = move.check(planned)
    seen = "".join(
        [
            repr(planned),
            repr(result),
            planned._repr_html_(),
            result._repr_html_(),
            json.dumps(result.asdict(), default=str),
            *(statement.sql for server in (scratch.source, scratch.target) for statement in server.statements),
        ]
    )
    assert "wb_app" in seen
    assert stored not in seen
    assert "planted-password" not in seen
    # Nor in the message of a server that does not understand the statement.
    step = Step("user", app, f"CREATE USER {app} IDENTIFED WITH 'x' AS 0x{stored}", None, shown="CREATE USER …")
    with pytest.raises(TerminalError) as caught:
        apply(Plan("accounts", (step,)), scratch.target, Journal())
    assert not re.search("[0-9A-F]{16}", str(caught.value))


def test_an_administrator_who_holds_everything_through_a_role_may_give_it(
    scratch: Any, database: str, move_of: Callable[..., Move]
) -> None:
    scratch.execute_target_root("DROP ROLE IF EXISTS wb_super")
    boss, app = scratch.account("'wb_boss'@'%'"), scratch.account("'wb_app'@'%'")
    scratch.execute_target_root("CREATE ROLE wb_super")
    try:
        scratch.execute_target_root(
            "GRANT SELECT, INSERT, PROCESS, CREATE USER, SHOW VIEW ON *.* TO wb_super WITH GRANT OPTION"
        )
        scratch.execute_target_root("GRANT CONNECTION_ADMIN, ROLE_ADMIN ON *.* TO wb_super WITH GRANT OPTION")
        scratch.execute_target_root(f"CREATE USER {boss} IDENTIFIED BY 'boss' DEFAULT ROLE wb_super")
        scratch.execute_target_root(f"GRANT wb_super TO {boss}")
        scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'x'")
        scratch.execute(f"GRANT SELECT, DELETE ON {database}.* TO {app}")
        scratch.execute(f"GRANT PROCESS, RELOAD, CONNECTION_ADMIN ON *.* TO {app}")
        move = move_of(database)
        port = scratch.state["servers"]["target"]["port"]
        target = servers.Server("target", "127.0.0.1", port, "wb_boss", "boss")
        planned = accounts.plan_accounts(scratch.source, target, move.catalog, move.mapping, move.journal.owned())
        apply(planned, target, move.journal)
        given = {row[0] for row in scratch.execute_target_root(f"SHOW GRANTS FOR {app}")}
        assert given == {
            "GRANT PROCESS ON *.* TO `wb_app`@`%`",
            "GRANT CONNECTION_ADMIN ON *.* TO `wb_app`@`%`",
            f"GRANT SELECT ON `{database}`.* TO `wb_app`@`%`",
        }
        left = " ".join(item.name for item in planned.left if "wb_app" in item.name)
        assert "RELOAD" in left
        assert "DELETE" in left
    finally:
        scratch.execute_target_root("DROP ROLE wb_super")


def test_a_login_that_may_not_read_accounts_is_told_what_to_grant(scratch: Any, database: str) -> None:
    poor = scratch.account("'wb_poor'@'%'")
    scratch.execute(f"CREATE USER {poor} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT SELECT ON {database}.* TO {poor}")
    server = servers.Server("source", "127.0.0.1", scratch.state["servers"]["source"]["port"], "wb_poor", "x")
    with pytest.raises(TerminalError, match=r"Grant SELECT ON mysql\.\*"):
        accounts.read_accounts(server)


def test_grants_are_taken_apart_and_put_together() -> None:
    lines = [
        "GRANT USAGE ON *.* TO `a`@`%`",
        "GRANT SELECT, REPLICATION SLAVE ON *.* TO `a`@`%` WITH GRANT OPTION",
        "GRANT BINLOG_ADMIN,ROLE_ADMIN ON *.* TO `a`@`%` WITH GRANT OPTION",
        "GRANT SELECT (`a,``b`, `on`), UPDATE ON `d``b`.`t (x)` TO `a`@`%`",
        "GRANT `r``1`@`%`,`r2`@`h` TO `a`@`%` WITH ADMIN OPTION",
        "GRANT EXECUTE ON FUNCTION `d`.`f` TO `a`@`%`",
        "REVOKE INSERT ON `mysql`.* FROM `a`@`%`",
    ]
    grants = {grant for line in lines for grant in grants_of(line)}
    assert grants == {
        Grant("global", (), "SELECT"),
        Grant("global", (), "REPLICATION SLAVE"),
        Grant("global", (), "GRANT OPTION"),
        Grant("global", (), "BINLOG_ADMIN", True),
        Grant("global", (), "ROLE_ADMIN", True),
        Grant("table", ("d`b", "t (x)"), "SELECT (`a,``b`)"),
        Grant("table", ("d`b", "t (x)"), "SELECT (`on`)"),
        Grant("table", ("d`b", "t (x)"), "UPDATE"),
        Grant("role", ("r`1", "%"), "ROLE", True),
        Grant("role", ("r2", "h"), "ROLE", True),
        Grant("function", ("d", "f"), "EXECUTE"),
        Grant("database", ("mysql",), "INSERT", revoked=True),
    }
    made = [statement for _, statement in statements("'a'@'%'", grants)]
    roles = [statement for statement in made if statement.startswith("GRANT 'r")]
    assert roles == [
        "GRANT 'r2'@'h' TO 'a'@'%' WITH ADMIN OPTION",
        "GRANT 'r`1'@'%' TO 'a'@'%' WITH ADMIN OPTION",
    ]
    again = {grant for statement in made if statement not in roles for grant in grants_of(statement)}
    assert again == {grant for grant in grants if grant.level != "role"}


def test_create_user_is_split_without_losing_an_option() -> None:
    plugin, password, options, roles, factors = split_create_user(
        "CREATE USER `a b`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x2441 DEFAULT ROLE `r``1`@`%`,`r2`@`h`"
        ' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3 PASSWORD EXPIRE NEVER ACCOUNT LOCK ATTRIBUTE \'{"a": "AS 0x1"}\''
    )
    assert (plugin, password, factors) == ("caching_sha2_password", "0x2441", 1)
    assert roles == (("r`1", "%"), ("r2", "h"))
    assert options.startswith("REQUIRE SSL WITH MAX_USER_CONNECTIONS 3")
    assert options.endswith('ATTRIBUTE \'{"a": "AS 0x1"}\'')


@pytest.mark.parametrize(
    ("pattern", "name", "means"),
    [
        ("shop", "shop", True),
        ("sh%", "shop", True),
        ("shop_", "shop", False),
        ("shop_", "shops", True),
        ("shop\\_", "shops", False),
        ("shop\\_", "shop_", True),
        ("s.op", "shop", False),
        ("%", "any\nthing", True),
    ],
)
def test_database_patterns_mean_what_mysql_means(pattern: str, name: str, means: bool) -> None:
    assert pattern_matches(pattern, name) is means


@pytest.mark.parametrize(
    ("host", "never"),
    [
        ("%", False),
        ("10.1.%", False),
        ("192.168.0.0/255.255.0.0", False),
        ("10.0.0.0/8", False),
        ("::1", False),
        ("localhost", True),
        ("till-%.shop.example", True),
        ("%.shop.example", True),
    ],
)
def test_hosts_by_name_never_match_where_names_are_not_looked_up(host: str, never: bool) -> None:
    assert host_never_matches(host) is never
