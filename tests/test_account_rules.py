"""What is decided about accounts beside their grants: hosts by choice, roles of everybody, passwords, who stays behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest

from test_accounts import Move, database, login, move_of  # noqa: F401 - the fixtures
from workbook.accounts import read_accounts
from workbook.accounts.expected import stays
from workbook.accounts.hosts import covers, moved
from workbook.accounts.objects import Accounts, Grant
from workbook.accounts.read import roles_named
from workbook.catalog import read_catalog
from workbook.errors import UsageError
from workbook.mapping import merge
from workbook.mapping.file import mapping_from
from workbook.mapping.nodes import parse


def said(planned: Any, name: str) -> str:
    """What a plan says of an account or setting."""
    return " | ".join(item.why for item in planned.left if item.name == name)


def with_hosts(move: Move, **hosts: str) -> Move:
    move.mapping = dataclasses.replace(move.mapping, hosts={old.replace("__", "."): new for old, new in hosts.items()})
    return move


def test_a_host_that_is_never_looked_up_becomes_the_address_that_the_mapping_chooses(
    scratch: Any,
    database: str,  # noqa: F811
    move_of: Callable[..., Move],  # noqa: F811
) -> None:
    app, role = scratch.account("'wb_app'@'app.internal'"), scratch.account("'wb_role'@'app.internal'")
    chosen, other = scratch.account("'wb_app'@'127.0.0.%'"), scratch.account("'wb_app'@'10.9.%'")
    till = scratch.account("'wb_till'@'till.internal'")
    scratch.account("'wb_role'@'127.0.0.%'")
    scratch.execute(f"CREATE ROLE {role}")
    scratch.execute(f"GRANT INSERT ON {database}.* TO {role}")
    scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'old password' DEFAULT ROLE {role}")
    scratch.execute(f"CREATE USER {other} IDENTIFIED BY 'x'")
    scratch.execute(f"CREATE USER {till} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT {role} TO {app}")
    scratch.execute(f"GRANT SELECT ON {database}.* TO {app}")
    move = with_hosts(move_of(database), app__internal="127.0.0.%")
    planned = move.apply()
    result = move.check(planned)
    assert result.verdict == "ok"
    # It is stated, with who could have come from there before, and it is no silence where nothing was chosen.
    assert "'app.internal' becomes '127.0.0.%', as the mapping chooses" in said(planned, chosen)
    assert "'wb_app'@'10.9.%'" in said(planned, chosen)
    assert "nobody ever comes from the host 'till.internal'" in said(planned, till)
    [judged] = [item for item in result.objects if item.name == chosen]
    assert (judged.verdict, judged.detail) == (
        "tolerated",
        "host 'app.internal' became '127.0.0.%', as the mapping chooses",
    )
    with login(scratch, "wb_app", "old password") as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {database}.t (id) SELECT id FROM {database}.t")
    assert not scratch.execute_target_root("SELECT 1 FROM mysql.user WHERE Host = 'app.internal'")


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ({"app__internal": "10.9.%"}, r"makes 'wb_app'@'10\.9\.%' and 'wb_app'@'app\.internal' one account"),
        ({"app__internal": "10.8.%", "till__internal": "10.8.%"}, "Each would get the privileges of the other"),
        ({"app__internal": "till.other"}, "which is a name too"),
        ({"ap__internal": "10.8.%"}, r"Did you mean 'app\.internal'\?"),
    ],
)
def test_a_choice_of_hosts_that_would_mix_accounts_or_change_nothing_is_refused(
    hosts: dict[str, str], words: str
) -> None:
    names = frozenset([("wb_app", "app.internal"), ("wb_app", "till.internal"), ("wb_app", "10.9.%")])
    side = Accounts("source", ("root", "%"), names, frozenset(), False, False, frozenset(), ())
    with pytest.raises(UsageError, match=words):
        moved(side, {old.replace("__", "."): new for old, new in hosts.items()})


def test_the_mapping_file_holds_the_choice_of_hosts_and_keeps_it(scratch: Any, database: str) -> None:  # noqa: F811
    catalog = read_catalog(scratch.source, [database])
    hosts = """accounts: {hosts: {App.Internal: "10.0.0.%"}}"""
    text = merge(None, catalog, None, True).replace("version: 1", f"version: 1\n{hosts}", 1)
    scratch.execute("CREATE TABLE later (id INT PRIMARY KEY)", database)
    merged = merge(text, read_catalog(scratch.source, [database]), None, True)
    assert hosts in merged
    assert "later" in merged
    assert mapping_from(parse(merged, "case"), "case", catalog, True).hosts == {"app.internal": "10.0.0.%"}
    for wrong, words in (
        ("accounts: {host: {}}", r"unknown key 'host' .*did you mean hosts"),
        ("accounts: {hosts: {app.internal: }}", "names no host for 'app.internal'"),
        ("accounts: {hosts: [app.internal]}", "keys with values below it"),
    ):
        with pytest.raises(UsageError, match=words):
            mapping_from(parse(text.replace(hosts, wrong), "case"), "case", catalog, True)


@pytest.mark.parametrize(
    ("wide", "narrow", "looked_up", "not_looked_up"),
    [
        ("%", "10.0.0.1", True, True),
        ("10.%", "10.0.0.%", True, True),
        ("10.%", "10.1.2.0/24", True, True),
        ("10.0.0.0/255.0.0.0", "10.1.2.3", True, True),
        ("192.168.%", "10.%", False, False),
        ("10.%.1", "10.1.%", None, None),
        ("10.1.%", "192.168.0.0/255.255.0.0", False, False),
        ("10.1.%", "10.0.0.0/255.0.0.0", None, None),
        ("10.0.0.1", "10.0.0.2", False, False),
        ("app.internal", "10.0.0.1", None, False),
        ("%.internal", "app.internal", True, False),
    ],
)
def test_which_host_covers_another(wide: str, narrow: str, looked_up: bool | None, not_looked_up: bool | None) -> None:
    assert covers(wide, narrow, True) is looked_up
    assert covers(wide, narrow, False) is not_looked_up


def test_what_an_account_gains_through_another_of_its_user_is_found(
    scratch: Any,
    database: str,  # noqa: F811
    move_of: Callable[..., Move],  # noqa: F811
) -> None:
    app, there_before = scratch.account("'wb_app'@'127.0.0.1'"), scratch.account("'wb_app'@'%'")
    scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT PROCESS ON *.* TO {app}")
    move = move_of(database)
    scratch.execute_target_root(f"CREATE USER {there_before} IDENTIFIED BY 'y'")
    scratch.execute_target_root(f"GRANT DELETE ON {database}.* TO {there_before}")
    result = move.check(move.apply())
    # MySQL gives 'wb_app'@'127.0.0.1' what 'wb_app'@'%' was granted on a database.
    with login(scratch, "wb_app", "x") as connection, connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {database}.t")
    [effect] = [effect for effect in result.effects if effect.account == app]
    assert effect.gained == ((f"`{database}`", "DELETE"),)
    assert result.verdict == "different"


@pytest.fixture
def everybodys_role(scratch: Any) -> Iterator[str]:
    """A role that everybody has on the source."""
    role: str = scratch.account("'wb everybody''s'@'%'")
    scratch.execute(f"CREATE ROLE {role}")
    scratch.execute("SET GLOBAL mandatory_roles = %s", values=("`wb everybody's`",))
    try:
        yield role
    finally:
        for run in (scratch.execute, scratch.execute_target_root):
            run("SET GLOBAL mandatory_roles = ''")
            run("SET GLOBAL activate_all_roles_on_login = OFF")


def test_roles_of_everybody_and_their_activation_are_compared_and_counted(
    scratch: Any,
    database: str,  # noqa: F811
    move_of: Callable[..., Move],  # noqa: F811
    everybodys_role: str,
) -> None:
    app, role = scratch.account("'wb_app'@'%'"), scratch.account("'wb_role'@'%'")
    scratch.execute(f"CREATE ROLE {role}")
    scratch.execute(f"CREATE USER {app} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT {role} TO {app}")
    scratch.execute(f"GRANT SELECT ON {database}.t TO {everybodys_role}")
    scratch.execute(f"GRANT DELETE ON {database}.t TO {role}")
    scratch.execute("SET GLOBAL activate_all_roles_on_login = ON")
    move = move_of(database)
    planned = move.apply()
    assert "everybody has 'wb everybody''s'@'%' on the source and no role" in said(planned, "mandatory_roles")
    assert "ON on the source, OFF on the target" in said(planned, "activate_all_roles_on_login")

    def lost() -> dict[tuple[str, str], str]:
        [effect] = [effect for effect in move.check(planned).effects if effect.account == app]
        assert effect.verdict != "different", effect
        return {(loss.privilege, loss.moment): loss.why for loss in effect.lost}

    found = lost()
    assert set(found) == {("SELECT", ""), ("DELETE", "until it activates its roles")}
    assert "everybody has the role" in found["SELECT", ""]
    assert "activates all roles at login" in found["DELETE", "until it activates its roles"]
    scratch.execute_target_root("SET GLOBAL activate_all_roles_on_login = ON")
    scratch.execute_target_root("SET GLOBAL mandatory_roles = %s", values=("`wb everybody's`",))
    assert lost() == {}
    with login(scratch, "wb_app", "x") as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {database}.t")
        cursor.execute(f"DELETE FROM {database}.t")


def test_roles_of_everybody_are_read_as_the_variable_writes_them() -> None:
    found = roles_named("r3, `r 4`@`10.%`,'r''5'@localhost, a@10.1.%")
    assert found == (("r3", "%"), ("r 4", "10.%"), ("r'5", "localhost"), ("a", "10.1.%"))
    assert roles_named("") == ()


def test_what_becomes_of_passwords_is_said_and_who_waits_for_one_is_listed(
    scratch: Any,
    database: str,  # noqa: F811
    move_of: Callable[..., Move],  # noqa: F811
) -> None:
    old, empty = scratch.account("'wb_old'@'%'"), scratch.account("'wb_locked'@'%'")
    scratch.execute(
        f"CREATE USER {old} IDENTIFIED BY 'x' PASSWORD EXPIRE INTERVAL 90 DAY PASSWORD HISTORY 5"
        " PASSWORD REUSE INTERVAL 365 DAY ACCOUNT LOCK"
    )
    scratch.execute(f"CREATE USER {empty} ACCOUNT LOCK")
    scratch.execute("SET GLOBAL password_history = 3")
    try:
        move = move_of(database)
        planned = move.apply()
    finally:
        scratch.execute("SET GLOBAL password_history = DEFAULT")
    assert "90 days after which its password ends are counted anew" in said(planned, old)
    assert "history of its password starts anew" in said(planned, old)
    assert "no password on the source" in said(planned, empty)
    assert (empty in planned.to_reset, old in planned.to_reset) == (True, False)
    assert "3 on the source, 0 on the target" in said(planned, "password_history")
    shown = scratch.execute_target_root(f"SHOW CREATE USER {old}")[0][0]
    for option in ("INTERVAL 90 DAY", "HISTORY 5", "REUSE INTERVAL 365 DAY", "ACCOUNT LOCK"):
        assert option in shown
    with pytest.raises(pymysql.err.OperationalError):
        login(scratch, "wb_locked", "")


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("rdsadmin", "belongs to the source's provider"),
        ("rds_superuser_role", "belongs to the source's provider"),
        ("AWS_LAMBDA_ACCESS", "belongs to the source's provider"),
        ("azure_superuser", "belongs to the source's provider"),
        ("cloudsqlsuperuser", "names of this form belong to Cloud SQL"),
        ("rdsadmin_reports", None),
    ],
)
def test_accounts_of_a_provider_stay_behind(user: str, why: str | None) -> None:
    side = Accounts("source", ("w", "%"), frozenset(), frozenset(), False, False, frozenset(), ())
    assert stays(side, (user, "%")) == why


def test_proxy_is_carried_where_the_administrator_may_give_it(
    scratch: Any,
    database: str,  # noqa: F811
    move_of: Callable[..., Move],  # noqa: F811
) -> None:
    app, boss = scratch.account("'wb_app'@'%'"), scratch.account("'wb''boss'@'127.0.0.1'")
    for name in (app, boss):
        scratch.execute(f"CREATE USER {name} IDENTIFIED BY 'x'")
    scratch.execute(f"GRANT PROXY ON {app} TO {boss} WITH GRANT OPTION")
    scratch.execute(f"GRANT PROXY ON 'nobody'@'%' TO {boss}")
    move = move_of(database)

    def lost(planned: Any) -> set[str]:
        [effect] = [effect for effect in move.check(planned).effects if effect.account == boss]
        assert effect.verdict == "tolerated"
        return {loss.place for loss in effect.lost}

    # Who may give PROXY on holds GRANT OPTION on everything.
    assert lost(move.apply()) == {app, "'nobody'@'%'", "*.*"}
    admin = scratch.target.user
    scratch.execute_target_root(f"GRANT PROXY ON {app} TO '{admin}'@'%' WITH GRANT OPTION")
    try:
        planned = move.apply()
        assert f"GRANT PROXY ON {app} TO {boss} WITH GRANT OPTION" in [step.statement for step in planned.steps]
        assert move.check(planned).verdict == "ok"
        [there] = read_accounts(scratch.target, {("wb'boss", "127.0.0.1")}).accounts
        assert Grant("proxy", ("wb_app", "%"), "PROXY", True) in there.grants
        assert lost(planned) == {"'nobody'@'%'"}
    finally:
        scratch.execute_target_root(f"REVOKE PROXY ON {app} FROM '{admin}'@'%'")
