"""What each account may do in effect on either side, computed from what it holds there and not from the plan.

MySQL does not add up its grants on databases. Without an active role it reads one grant alone, the most specific of those
whose pattern matches; with active roles chance decides between patterns (measured on 9.7.4). What an account may do is
what it may do for certain in one of its ways to work, since it can change its roles itself: so nothing that comes on the
target can hide behind what the source might have allowed.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from workbook.accounts.expected import Target, decisive, expected_grants, plain_name, stays
from workbook.accounts.grants import ALL_PRIVILEGES
from workbook.accounts.objects import AccountDefinition, Accounts
from workbook.names import mysql_path, quote_mysql

_OBJECTS = ("table", "procedure", "function")
Place = tuple[str, ...]  # nothing for everywhere; a database; or kind, database and name of a table or routine


@dataclass(frozen=True)
class Effect:
    """One account: by place (`*.*`, a database, a table, a routine) what it lost and what it gained, and why it lost.

    `held` counts the privileges by database on both sides, for the picture.
    """

    account: str
    held: Mapping[str, tuple[int, int]]
    lost: tuple[tuple[str, str], ...]
    gained: tuple[tuple[str, str], ...]
    reasons: tuple[tuple[str, str], ...]  # the privileges left out by a rule, and why

    @property
    def verdict(self) -> str:
        """same; tolerated where each loss has a reason; different where something was gained or lost without one."""
        if self.gained or not all(self._explained(item) for _, item in self.lost):
            return "different"
        return "tolerated" if self.lost else "same"

    def _explained(self, item: str) -> bool:
        """Whether that privilege is among those left out by a rule; a right to give on goes with what it could give."""
        return item == "GRANT OPTION" or any(f" {item} ON " in f" {named}" for named, _ in self.reasons)

    @property
    def why(self) -> str:
        """The reasons in words."""
        return "; ".join(dict.fromkeys(why for _, why in self.reasons))


def effects(source: Accounts, target: Target, databases: Sequence[str]) -> tuple[Effect, ...]:
    """Each account that moves, both sides set side by side on `databases` and everywhere."""
    found = []
    for account in source.accounts:
        other = target.accounts.by_key.get(account.key)
        if account.is_role or account.key not in target.moving or other is None or stays(source, account.key):
            continue
        before, after = _able(account, source, databases), _able(other, target.accounts, databases)
        left = expected_grants(account, source, target)[1]
        roles = source.roles_of(account)
        for role in source.accounts:
            if role.key in roles:
                left += expected_grants(role, source, target)[1]
        found.append(
            Effect(
                account=account.name,
                held={name: (len(before.get((name,), ())), len(after.get((name,), ()))) for name in databases},
                lost=_beyond(before, after),
                gained=_beyond(after, before),
                reasons=tuple(dict.fromkeys((item.name, item.why) for item in left)),
            )
        )
    return tuple(found)


def _beyond(one: Mapping[Place, set[str]], other: Mapping[Place, set[str]]) -> tuple[tuple[str, str], ...]:
    """What `one` may do and `other` may not, by place in words; what a database gives, it gives on all that is in it."""
    found = []
    for place, held in one.items():
        above = other.get((place[1],), set()) if len(place) > 1 else set()
        granted = other.get(place, set())
        found += [
            (_words(place), item)
            for item in held - granted
            # A privilege on columns is within the same one on the whole table.
            if item.partition(" (")[0] not in granted | above
        ]
    return tuple(sorted(found))


def _words(place: Place) -> str:
    if not place:
        return "*.*"
    return quote_mysql(place[0]) if len(place) == 1 else f"{place[0]} {mysql_path(*place[1:])}"


def _able(account: AccountDefinition, server: Accounts, databases: Collection[str]) -> dict[Place, set[str]]:
    """By place what an account may do, without roles, with its default roles, or with all of them."""
    roles = server.roles_of(account)
    by_key = server.by_key
    # Each way to work is the account with the roles that are active in it.
    ways: list[list[AccountDefinition]] = [[account]]
    for active in ({key for key in account.default_roles if key in roles}, roles):
        if active:
            reached = {inner for key in active if key in by_key for inner in server.roles_of(by_key[key])} | active
            ways.append([account, *(by_key[key] for key in sorted(reached) if key in by_key)])
    able: dict[Place, set[str]] = defaultdict(set)
    for way in ways:
        for place, held in _way(way, server.partial_revokes, databases).items():
            able[place] |= held
    return {place: held for place, held in able.items() if held}


def _way(holders: Sequence[AccountDefinition], literal: bool, databases: Collection[str]) -> dict[Place, set[str]]:
    roles = len(holders) > 1
    everywhere = {grant.privilege for one in holders for grant in one.grants if grant.level == "global"}
    able: dict[Place, set[str]] = {(): set(everywhere)}
    of_database: dict[str, set[str]] = defaultdict(set)
    objects: dict[Place, set[str]] = defaultdict(set)
    for grant in (grant for one in holders for grant in one.grants):
        if grant.level == "database" and not grant.revoked:
            of_database[grant.object[0]].add(grant.privilege)
        elif grant.level in _OBJECTS:
            objects[grant.level, *grant.object].add(grant.privilege)
    static = everywhere & set(ALL_PRIVILEGES["database"])
    for name in databases:
        kept = {item for item in static if any(_unrestricted(one, item, name, literal) for one in holders)}
        deciding = decisive(of_database, name, literal, roles)
        able[name,] = kept | set.intersection(*(of_database[pattern] for pattern in deciding or [""]))
    able |= {place: held for place, held in objects.items() if place[1] in databases}
    return able


def _unrestricted(account: AccountDefinition, privilege: str, database: str, literal: bool) -> bool:
    """Whether an account holds a global privilege in a database too: no partial revoke takes it away there."""
    if not any(grant.level == "global" and grant.privilege == privilege for grant in account.grants):
        return False
    return not any(
        grant.revoked and grant.privilege == privilege and plain_name(grant.object[0]) == database
        for grant in account.grants
        if grant.level == "database"
    )
