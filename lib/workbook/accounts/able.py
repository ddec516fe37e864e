"""What an account may do on one server, computed from the grants that it and its roles hold, as the server reads them.

MySQL does not add up its grants on databases. Without an active role it reads one grant alone, the most specific of those
whose pattern matches, and of equal ones any; with active roles its hash order decides between patterns. And where the
account itself holds nothing on a database or an object and no role is active, another account of the same user decides,
if its host means the client too: 'app'@'10.0.0.1' has what 'app'@'%' was granted on a database. All of it was measured
on 9.7.4. So there is what an account may do for certain, and what it may do perhaps.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from workbook.accounts.expected import OBJECTS, decisive, matching, plain_name
from workbook.accounts.grants import ALL_PRIVILEGES
from workbook.accounts.hosts import covers
from workbook.accounts.objects import AccountDefinition, AccountKey, Accounts
from workbook.names import mysql_account, mysql_path, quote_mysql

# Nothing for everywhere; a database; kind, database and name of a table or routine; proxy, user and host.
Place = tuple[str, ...]
EVERY_COLUMN = frozenset(("*",))


@dataclass(frozen=True)
class Able:
    """Privileges by place: those that are certain, and with them those that the server's choice of a pattern decides on."""

    certain: Mapping[Place, frozenset[str]] = field(repr=False)
    perhaps: Mapping[Place, frozenset[str]] = field(repr=False)


def at_login(account: AccountDefinition, server: Accounts, databases: Collection[str]) -> Able:
    """What an account may do right after its login, in `databases` and everywhere."""
    return _able(account, server, databases, server.login_roles_of(account))


def in_any_way(account: AccountDefinition, server: Accounts, databases: Collection[str]) -> Able:
    """What an account may do in one of its ways to work: without roles, with one alone, after its login, with all."""
    roles = server.roles_of(account)
    ways = {
        frozenset(),
        frozenset(roles),
        frozenset(server.login_roles_of(account)),
        frozenset(account.default_roles) & roles,
    }
    ways |= {frozenset((key,)) for key in roles}
    found = [_able(account, server, databases, way) for way in ways]
    return Able(_together(one.certain for one in found), _together(one.perhaps for one in found))


def beyond(one: Mapping[Place, frozenset[str]], other: Mapping[Place, frozenset[str]]) -> frozenset[tuple[Place, str]]:
    """What `one` holds and `other` does not; what a database gives, it gives on all that is in it."""
    found = set()
    for place, held in one.items():
        above = other.get((place[1],), frozenset()) if place and place[0] in OBJECTS else frozenset()
        granted = other.get(place, frozenset()) | above
        # A privilege on columns is within the same one on the whole table.
        found |= {(place, item) for item in held - granted if item.partition(" (")[0] not in granted}
    return frozenset(found)


def more_than(one: Able, other: Able) -> frozenset[tuple[Place, str]]:
    """What is certain of `one` alone, or possible of it alone. A doubt that both share is no difference."""
    return beyond(one.certain, other.certain) | beyond(one.perhaps, other.perhaps)


def columns_of(held: Mapping[Place, frozenset[str]], privilege: str, place: Place) -> frozenset[str]:
    """The columns of a table on which a privilege is held; EVERY_COLUMN where it is held on all of it, or on a routine."""
    here = held.get(place, frozenset())
    if privilege in here or privilege in held.get((place[1],), ()):
        return EVERY_COLUMN
    parts = (item.partition(" (") for item in here)
    return frozenset(column.rstrip(")") for name, bracket, column in parts if bracket and name == privilege)


def words(place: Place) -> str:
    """A place as reports write it."""
    if not place:
        return "*.*"
    if place[0] == "proxy":
        return mysql_account(*place[1:])
    return quote_mysql(place[0]) if len(place) == 1 else f"{place[0]} {mysql_path(*place[1:])}"


def database_of(place: Place) -> str | None:
    """The database that a place is, or is in."""
    return place[1] if place and place[0] in OBJECTS and len(place) > 1 else place[0] if len(place) == 1 else None


def _able(
    account: AccountDefinition, server: Accounts, databases: Collection[str], active: Collection[AccountKey]
) -> Able:
    reached = server.reached(active)
    holders = [account, *(server.by_key[key] for key in sorted(reached) if key in server.by_key)]
    everywhere = {grant.privilege for one in holders for grant in one.grants if grant.level == "global"}
    certain: dict[Place, set[str]] = defaultdict(set, {(): everywhere})
    # Who logs in is who stands for another; roles do not count then.
    for grant in account.grants:
        if grant.level == "proxy":
            certain["proxy", *grant.object].add(grant.privilege)
    perhaps: dict[Place, set[str]] = defaultdict(set, {place: set(held) for place, held in certain.items()})
    static = everywhere & set(ALL_PRIVILEGES["database"])
    for name in databases:
        kept = {item for item in static if any(_unrestricted(one, item, name) for one in holders)}
        certain[name,] |= kept
        perhaps[name,] |= kept
    # With active roles no other account of the user counts; else the first that holds anything at a place decides there.
    chain = (
        [(holders, True)] if active else [([account], True), *(([one], sure) for one, sure in beside(account, server))]
    )
    decided: set[Place] = set()
    doubtful: set[Place] = set()
    for several, sure in chain:
        for place, (given, maybe) in _granted(several, server.partial_revokes, bool(active), databases).items():
            if place in decided:
                continue
            perhaps[place] |= maybe
            if sure and place not in doubtful:
                certain[place] |= given
            (decided if sure else doubtful).add(place)
    return Able(_together([certain]), _together([perhaps]))


def _granted(
    holders: Sequence[AccountDefinition], literal: bool, roles: bool, databases: Collection[str]
) -> dict[Place, tuple[set[str], set[str]]]:
    """By place what accounts together are granted there, for certain and perhaps; no place where nothing is."""
    of_database: dict[str, set[str]] = defaultdict(set)
    found: dict[Place, tuple[set[str], set[str]]] = {}
    for grant in (grant for one in holders for grant in one.grants):
        if grant.level == "database" and not grant.revoked:
            of_database[grant.object[0]].add(grant.privilege)
        elif grant.level in OBJECTS and grant.object[0] in databases:
            held = found.setdefault((grant.level, *grant.object), (set(), set()))
            for one in held:
                one.add(grant.privilege)
    for name in databases:
        possible = matching(of_database, name, literal)
        deciding = decisive(of_database, name, literal, roles)
        if possible:
            certain = set.intersection(*(of_database[pattern] for pattern in deciding)) if deciding else set()
            perhaps = set().union(*(of_database[pattern] for pattern in (possible if roles else deciding)))
            found[name,] = (certain, perhaps)
    return found


def beside(account: AccountDefinition, server: Accounts) -> list[tuple[AccountDefinition, bool]]:
    """The other accounts of the user whose host means its clients too, the most specific host first; and if for certain."""
    names = not server.skip_name_resolve
    host = account.was or account.host
    found = []
    for other in server.by_user.get(account.user, ()):
        its = other.was or other.host
        if other.key == account.key or covers(host, its, names):
            # Clients of a narrower host log in as that account.
            continue
        sure = covers(its, host, names)
        if sure is not False:
            found.append((other, bool(sure)))
    return sorted(found, key=lambda pair: -_specific(pair[0].host))


def _specific(host: str) -> int:
    """How specific a host is for the server: the later the first wildcard, the more; without one most."""
    place = re.search("[%_]", host)
    return place.start() if place else 1_000


def _unrestricted(account: AccountDefinition, privilege: str, database: str) -> bool:
    """Whether an account holds a global privilege in a database too: no partial revoke takes it away there."""
    if not any(grant.level == "global" and grant.privilege == privilege for grant in account.grants):
        return False
    return not any(
        grant.revoked and grant.privilege == privilege and plain_name(grant.object[0]) == database
        for grant in account.grants
        if grant.level == "database"
    )


def _together(several: Iterable[Mapping[Place, Collection[str]]]) -> dict[Place, frozenset[str]]:
    found: dict[Place, frozenset[str]] = {}
    for one in several:
        for place, held in one.items():
            if held:
                found[place] = found.get(place, frozenset()).union(held)
    return found


def privileges_at(
    places: Mapping[Place, frozenset[str]] | Iterable[tuple[Place, str]], databases: Sequence[str]
) -> dict[str, int]:
    """How many privileges there are in each database, whatever the level."""
    pairs = (
        ((place, item) for place, held in places.items() for item in held) if isinstance(places, Mapping) else places
    )
    counts = dict.fromkeys(databases, 0)
    for place, _ in pairs:
        name = database_of(place)
        if name in counts:
            counts[name] += 1
    return counts
