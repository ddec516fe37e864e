"""What 200 accounts with random grants may do: the same on both sides but for an exact list of losses, and never more."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import pymysql
import pytest

from account_population import DATABASES, Holder, people_on, population
from account_population import Move as Oracle
from test_accounts import Move, move_of  # noqa: F401 - the fixture
from workbook.accounts.effective import Effect, Loss
from workbook.accounts.expected import Target, decisive, expected_grants
from workbook.accounts.objects import AccountDefinition, Accounts, Grant

# What a statement needs, and the statement.
STATEMENTS = {
    "SELECT": "SELECT id FROM {}.t LIMIT 0",
    "INSERT": "INSERT INTO {}.t (id) SELECT 1 FROM DUAL WHERE FALSE",
    "UPDATE": "UPDATE {}.t SET a = 1",
    "DELETE": "DELETE FROM {}.t",
    "EXECUTE": "CALL {}.p()",
}
# The first letter of a place -> why something is lost there.
REASONS = {"*": "administrator of the target", "'": "PROXY", "`": "other grants by pattern", "t": "table is not on",
           "p": "routine is not on"}  # fmt: skip
DENIED = (1044, 1142, 1143, 1370)


def tried(port: int, person: Holder, password: str) -> dict[str, set[tuple[str, str]]]:
    """What the server lets an account do, by the roles that are active: database and privilege."""
    connection = pymysql.connect(host="127.0.0.1", port=port, user=person.user, password=password, autocommit=True)
    may: dict[str, set[tuple[str, str]]] = {}
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        [(who,)] = cursor.fetchall()
        assert who == f"{person.user}@{person.host}"
        for active in ("", "NONE", "ALL", *(role.name for role in person.roles)):
            if active:
                cursor.execute(f"SET ROLE {active}")
            may[active] = set()
            for database in DATABASES:
                for privilege, statement in STATEMENTS.items():
                    try:
                        cursor.execute(statement.format(f"`{database}`"))
                        may[active].add((database, privilege))
                    except pymysql.MySQLError as error:
                        if error.args[0] not in DENIED:
                            raise
    return may


def agrees_with_the_servers(scratch: Any, people: Sequence[Holder], password: str, effects: Sequence[Effect]) -> None:
    """Each of the people tries everything on both sides: the same, but for what is listed as lost."""
    ports = [scratch.state["servers"][side]["port"] for side in ("source", "target")]
    listed = {effect.account: effect for effect in effects}
    for person in people:
        source, target = (tried(port, person, password) for port in ports)
        lost = {
            (database, loss.privilege.partition(" (")[0], loss.moment)
            for loss in listed[person.name].lost
            for database in DATABASES
            if f"`{database}`" in loss.place
        }
        before, after = (set().union(*side.values()) for side in (source, target))
        assert after <= before, (person, after - before)
        assert before - after <= {(database, item) for database, item, moment in lost if not moment}, person
        # At its login an application has what its default roles bring.
        assert source[""] - target[""] <= {(database, item) for database, item, _ in lost}, person


def without_the_away(scratch: Any, move: Move) -> Move:
    """A move whose target lacks some of the tables and routines, as those have that are not in scope."""
    for name in DATABASES:
        scratch.execute_target_root("DROP TABLE away", name)
        scratch.execute_target_root("DROP PROCEDURE far", name)
    return move


def listed(effects: Sequence[Effect]) -> set[tuple[str, str, str, str]]:
    return {
        (effect.account, loss.place, loss.privilege, loss.moment)
        for effect in effects
        if "wbe" in effect.account
        for loss in effect.lost
    }


def test_two_hundred_accounts_lose_exactly_what_the_rules_say_and_gain_nothing(
    scratch: Any,
    move_of: Callable[..., Move],  # noqa: F811
) -> None:
    roles, people = population(20261124, roles=20, users=160, twins=10)
    with people_on(scratch, roles, people) as password:
        move = without_the_away(scratch, move_of(*DATABASES))
        result = move.check(move.apply())
        assert result.second.empty
        mine = [effect for effect in result.effects if "wbe" in effect.account]
        assert len(mine) == 180
        assert [(effect.account, effect.gained) for effect in mine if effect.gained] == []
        expected = Oracle(roles, people).losses()
        assert listed(mine) == expected
        assert {place.partition(" ")[0] for _, place, _, _ in expected} > {"*.*", "`wbe_one`", "table", "procedure"}
        assert any("(`" in privilege for _, _, privilege, _ in expected)
        for effect in mine:
            for loss in effect.lost:
                assert REASONS[loss.place[0]] in loss.why or "given on" in loss.why, loss
        assert any(not loss.certain for effect in mine for loss in effect.lost)
        assert result.verdict == "ok"
        shown = result._repr_html_()
        assert "may not give this" in shown
        assert "perhaps SELECT" in shown
        # Everybody logs in with the old password, and what the servers let a sample do is the same.
        reachable = [person for person in people if "example" not in person.host and "twin" not in person.user]
        port = scratch.state["servers"]["target"]["port"]
        for person in reachable:
            pymysql.connect(host="127.0.0.1", port=port, user=person.user, password=password).close()
        twins = [person for person in people if "twin" in person.user and person.host != "%"]
        sample = [*random.Random(7).sample(reachable, 14), *twins[:5]]
        agrees_with_the_servers(scratch, sample, password, mine)


def test_a_source_with_partial_revokes_keeps_its_exceptions_and_its_proxies(
    scratch: Any,
    move_of: Callable[..., Move],  # noqa: F811
) -> None:
    roles, people = population(7, roles=6, users=40, twins=2, partial=True)
    admin = scratch.target.user
    scratch.execute("SET GLOBAL partial_revokes = ON")
    scratch.execute_target_root(f"GRANT PROXY ON ''@'' TO '{admin}'@'%' WITH GRANT OPTION")
    try:
        with people_on(scratch, roles, people) as password:
            move = without_the_away(scratch, move_of(*DATABASES))
            result = move.check(move.apply())
            mine = [effect for effect in result.effects if "wbe" in effect.account]
            assert any(person.revoked for person in people)
            assert any(person.proxies for person in people)
            assert listed(mine) == Oracle(roles, people, partial=True, proxies=True).losses()
            assert [effect.account for effect in mine if effect.verdict == "different"] == []
            assert result.verdict == "ok"
            reachable = [person for person in people if "example" not in person.host and "twin" not in person.user]
            agrees_with_the_servers(scratch, random.Random(7).sample(reachable, 12), password, mine)
            for person in people:
                given = {row[0] for row in scratch.execute_target_root(f"SHOW GRANTS FOR {person.name}")}
                assert sum("PROXY" in line for line in given) == len(person.proxies)
            move.undo()
    finally:
        scratch.execute_target_root(f"REVOKE PROXY ON ''@'' FROM '{admin}'@'%'")
        scratch.execute("SET GLOBAL partial_revokes = OFF")


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
    refused = Loss("*.*", "FILE", "the administrator of the target may not give this")
    effect = Effect("'a'@'%'", {}, (refused,), ())
    assert effect.verdict == "tolerated"
    assert dataclasses.replace(effect, lost=(refused, Loss("`shop`", "FILE", ""))).verdict == "different"


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
