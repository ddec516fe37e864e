"""What each account may do in effect on both sides, from what it holds there and not from the plan, set side by side.

A loss is what the source allows for certain and the target does not, or what it may allow where it chooses between
patterns and the target never does; a gain is the same the other way round. So nothing that comes for certain hides behind
what might have been.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbook.accounts.able import Able, Place, at_login, beside, in_any_way, more_than, privileges_at, words
from workbook.accounts.expected import OBJECTS, Target, Withheld, expected_grants, matching, stays
from workbook.accounts.grants import ALL_PRIVILEGES
from workbook.accounts.hosts import host_never_matches
from workbook.accounts.objects import AccountDefinition, Accounts

AT_LOGIN = "until it activates its roles"


@dataclass(frozen=True, order=True)
class Loss:
    """A privilege that an account has no more at a place (`*.*`, a database, a table or routine, an account).

    `why` is the reason, empty where no rule gives one. `certain`: the source gave it for certain, not by its choice
    between patterns. `moment` is empty, or says that it is missing right after the login alone.
    """

    place: str
    privilege: str
    why: str
    certain: bool = True
    moment: str = ""

    @property
    def where(self) -> str:
        """The place, and when it is missing there."""
        return f"{self.place} {self.moment}".strip()


@dataclass(frozen=True)
class Effect:
    """One account: what it lost, each with its reason, and what it gained, as (place, privilege).

    `counts` are, by database, the privileges on the source, those lost and those gained.
    """

    account: str
    counts: Mapping[str, tuple[int, int, int]]
    lost: tuple[Loss, ...]
    gained: tuple[tuple[str, str], ...]

    @property
    def verdict(self) -> str:
        """same; tolerated where each loss has a reason; different where something was gained or lost without one."""
        if self.gained or not all(loss.why for loss in self.lost):
            return "different"
        return "tolerated" if self.lost else "same"


def effects(source: Accounts, target: Target, databases: Sequence[str]) -> tuple[Effect, ...]:
    """Each account that moves, both sides set side by side on `databases` and everywhere."""
    known: dict[tuple[str, str], tuple[Withheld, ...]] = {}

    def withheld(account: AccountDefinition) -> tuple[Withheld, ...]:
        if account.key not in known:
            known[account.key] = expected_grants(account, source, target)[1]
        return known[account.key]

    found = []
    for account in source.accounts:
        other = target.accounts.by_key.get(account.key)
        if account.is_role or account.key not in target.moving or other is None or stays(source, account.key):
            continue
        before, after = in_any_way(account, source, databases), in_any_way(other, target.accounts, databases)
        first = at_login(account, source, databases), at_login(other, target.accounts, databases)
        reasons = _reasons(account, other, source, target, withheld)
        lost = more_than(before, after)
        losses = [*_losses(lost, reasons, source, before)]
        at_first = more_than(*first) - lost
        late = "the source activates all roles at login and the target its default roles alone"
        otherwise = late if source.activates_all and not target.accounts.activates_all else ""
        losses += _losses(at_first, reasons, source, first[0], AT_LOGIN, otherwise)
        gained = more_than(after, before)
        counted = [privileges_at(one, databases) for one in (before.perhaps, lost, gained)]
        found.append(
            Effect(
                account=account.name,
                counts={name: (counted[0][name], counted[1][name], counted[2][name]) for name in databases},
                lost=tuple(sorted(losses)),
                gained=tuple(sorted((words(place), item) for place, item in gained)),
            )
        )
    return tuple(found)


def _losses(
    lost: Collection[tuple[Place, str]],
    reasons: Sequence[Withheld],
    source: Accounts,
    before: Able,
    moment: str = "",
    otherwise: str = "",
) -> Iterable[Loss]:
    for place, item in lost:
        why = dict.fromkeys(one.why for one in reasons if _is_about(one, place, item, source.partial_revokes))
        certain = item in before.certain.get(place, ())
        yield Loss(words(place), item, "; ".join(why) or otherwise, certain, moment)


def _is_about(withheld: Withheld, place: Place, item: str, literal: bool) -> bool:
    """Whether what was withheld gave that privilege at that place on the source."""
    grant = withheld.grant
    if grant.privilege != item or grant.revoked:
        return False
    if grant.level == "global":
        return place == () or (len(place) == 1 and item in ALL_PRIVILEGES["database"])
    if grant.level == "database":
        here = withheld.databases is None or (place[:1] and place[0] in withheld.databases)
        return len(place) == 1 and bool(here) and bool(matching(grant.object, place[0], literal))
    return place == (grant.level, *grant.object) and grant.level in (*OBJECTS, "proxy")


def _reasons(
    account: AccountDefinition,
    other: AccountDefinition,
    source: Accounts,
    target: Target,
    withheld: Callable[[AccountDefinition], tuple[Withheld, ...]],
) -> list[Withheld]:
    """All that is withheld from an account, from the roles that it has on the source, and from its user's others."""
    found = list(withheld(account))
    there = target.accounts.reached(target.accounts.roles_of(other))
    roles = source.reached(source.roles_of(account))
    staying = source.reached(key for key in roles if key not in target.moving)
    everybody = source.reached(source.mandatory_roles)
    for role in source.accounts:
        if role.key not in roles:
            continue
        why = ""
        if role.key in staying:
            why = f"it came through the role {role.name}, which does not move"
        elif role.key in everybody and role.key not in there:
            why = f"everybody has the role {role.name} on the source (mandatory_roles), and not on the target"
        found += [Withheld(grant, why) for grant in role.grants] if why else withheld(role)
    for one, _ in beside(account, source):
        why = ""
        if one.key not in target.moving:
            why = f"it came from the grants of {one.name}, which does not move"
        elif target.accounts.skip_name_resolve and host_never_matches(one.host):
            why = f"it came from the grants of {one.name}, whose host the target does not look up"
        elif one.was or account.was:
            why = f"it came from the grants of {one.name}, and the mapping changes the host of one of the two"
        found += [Withheld(grant, why) for grant in one.grants] if why else withheld(one)
    return found
