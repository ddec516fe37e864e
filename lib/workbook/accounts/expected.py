"""What each account should be and hold on the target: the source's privileges less what Cloud SQL gives to nobody."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from workbook.accounts.objects import AccountDefinition, AccountKey, Accounts, Grant
from workbook.names import quote_mysql
from workbook.plan import Left
from workbook.schema.privileges import pattern_matches

OBJECTS = ("table", "procedure", "function")
_SYSTEM_SCHEMAS = ("mysql", "sys", "performance_schema", "information_schema", "_workbook")


@dataclass(frozen=True)
class Target:
    """What decides on privileges: the target's login and settings, what moves, and what is there."""

    accounts: Accounts
    databases: tuple[str, ...]
    relations: frozenset[tuple[str, str]] = field(repr=False)
    routines: frozenset[tuple[str, str, str]] = field(repr=False)
    moving: frozenset[AccountKey] = field(repr=False)

    def may_give(self, grant: Grant) -> bool:
        """Whether the target's login holds a privilege, for everything or to stand for somebody, and may give it on."""
        held = self.accounts.holds
        if grant.level == "proxy":
            return any(Grant("proxy", whom, "PROXY", True) in held for whom in (("", ""), grant.object))
        if grant.dynamic:
            return Grant("global", (), grant.privilege, True) in held
        option = Grant("global", (), "GRANT OPTION")
        # A privilege on columns is given by whoever holds it on all.
        whole = Grant("global", (), grant.privilege.partition(" (")[0])
        return option in held and (grant.privilege == "GRANT OPTION" or whole in held)


def stays(source: Accounts, key: AccountKey) -> str | None:
    """Why an account of the source is none of the workbook's business, if so."""
    return next((why for matches, why in _STAYING if matches(source, key)), None)


# Amazon RDS and Aurora (whose roles begin with AWS_), Azure, Oracle's HeatWave.
_MANAGED = (
    "rdsadmin",
    "rdsrepladmin",
    "rds_superuser_role",
    "rdsproxyadmin",
    "azure_superuser",
    "azure_sys",
    "ociadmin",
    "ocirpl",
)
_STAYING: tuple[tuple[Callable[[Accounts, AccountKey], bool], str], ...] = (
    (lambda source, key: key[0].startswith("mysql."), "belongs to the server itself"),
    (lambda source, key: key == ("PUBLIC", "%"), "MySQL has nothing that is granted to everybody"),
    (lambda source, key: len(key[0]) > 32, "MySQL takes no more than 32 characters of a user's name"),
    (lambda source, key: key[0] == "root", "the target has an administrator of its own"),
    (lambda source, key: key == source.login, "is the login that this workbook uses on the source"),
    (lambda source, key: key[0].startswith("cloudsql"), "names of this form belong to Cloud SQL"),
    (lambda source, key: key[0] in _MANAGED or key[0].startswith("AWS_"), "belongs to the source's provider"),
)


@dataclass(frozen=True)
class Withheld:
    """A privilege of the source that does not come, or comes changed, and why.

    `databases` are those in which it is withheld; None: wherever the grant reaches.
    """

    grant: Grant
    why: str
    databases: tuple[str, ...] | None = None


def said(account: AccountDefinition, withheld: Iterable[Withheld]) -> tuple[Left, ...]:
    """What is withheld from an account in words, one entry a reason."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for item in withheld:
        names = ", ".join(quote_mysql(name) for name in item.databases or ())
        reasons[f"on {names} {item.why}" if names else item.why].append(item.grant.words)
    return tuple(Left("grant", f"{', '.join(texts)} TO {account.name}", why) for why, texts in reasons.items())


def expected_grants(
    account: AccountDefinition, source: Accounts, target: Target
) -> tuple[frozenset[Grant], tuple[Withheld, ...]]:
    """The privileges that `account` gets on the target, and those withheld or changed."""
    kept: set[Grant] = set()
    # Without its partial revokes a global privilege would reach further than on the source.
    restricted = set() if target.accounts.partial_revokes else {it.privilege for it in account.grants if it.revoked}
    withheld: list[Withheld] = []
    for grant in sorted(account.grants):
        if grant.level == "global" and grant.privilege in restricted:
            why = "it is revoked on some database, and the target knows no partial revokes"
            withheld.append(Withheld(grant, why))
            continue
        given, changed = _on_target(grant, account, source, target)
        kept |= given
        withheld += changed
    # A right to give on means nothing where there is nothing left to give, there or below.
    useless = {
        grant for grant in kept if grant.privilege == "GRANT OPTION" and not any(_below(it, grant) for it in kept)
    }
    withheld += [Withheld(grant, "nothing is left there that could be given on") for grant in sorted(useless)]
    kept -= useless
    # A partial revoke takes from what is held globally, and can only take that.
    held = {grant.privilege for grant in kept if grant.level == "global"}
    kept = {grant for grant in kept if not grant.revoked or grant.privilege in held}
    return frozenset(kept), tuple(withheld)


def _below(other: Grant, option: Grant) -> bool:
    """Whether a right to give on reaches another privilege: one of the same place, or in it."""
    if other.privilege == "GRANT OPTION" or other.revoked or other.level == "role":
        return False
    if other.level == "proxy":
        # Who may give PROXY on is written down as GRANT OPTION on everything too (9.7.4).
        return option.level == "global" and other.option
    if option.level == "global" or (other.level, other.object) == (option.level, option.object):
        return True
    return option.level == "database" and other.level in OBJECTS and other.object[0] == plain_name(option.object[0])


def _on_target(
    grant: Grant, account: AccountDefinition, source: Accounts, target: Target
) -> tuple[set[Grant], tuple[Withheld, ...]]:
    """What becomes of one privilege of the source: the target's privileges, and what of it is withheld or changed."""
    if grant.level == "database" and not grant.revoked and target.may_give(grant):
        return _on_databases(grant, account, source, target)
    why = next((why for applies, why in _WITHHELD if applies(grant, target)), None)
    return (set(), (Withheld(grant, why),)) if why else ({grant}, ())


_NOT_GIVEN = "the administrator of the target may not give this"
# What a privilege other than on a whole database is withheld for; the first that applies is said.
_WITHHELD: tuple[tuple[Callable[[Grant, Target], bool], str], ...] = (
    (
        lambda grant, target: grant.level == "proxy" and not target.may_give(grant),
        "PROXY is given by who holds it with the right to give it on; the administrator of the target does not",
    ),
    (
        lambda grant, target: grant.level in ("role", "proxy") and grant.object not in target.moving,
        "that account does not move, so what it holds on the target is not known",
    ),
    (
        lambda grant, target: grant.revoked and not target.accounts.partial_revokes,
        "the target knows no partial revokes",
    ),
    (lambda grant, target: grant.level != "role" and not grant.revoked and not target.may_give(grant), _NOT_GIVEN),
    (
        lambda grant, target: grant.level in OBJECTS and grant.object[0].lower() in _SYSTEM_SCHEMAS,
        "system schemas of the target are Cloud SQL's",
    ),
    (
        lambda grant, target: grant.level == "table" and grant.object not in target.relations,
        "that table is not on the target",
    ),
    (
        lambda grant, target: grant.level in OBJECTS[1:] and (grant.level, *grant.object) not in target.routines,
        "that routine is not on the target",
    ),
)


_HIDDEN = (
    "other grants by pattern apply too, of the account or beside this role; the source reads one of them alone, so this"
    " one might give more than before: grant it yourself where it is wanted"
)


def _on_databases(
    grant: Grant, account: AccountDefinition, source: Accounts, target: Target
) -> tuple[set[Grant], tuple[Withheld, ...]]:
    written = grant.object[0]
    if source.partial_revokes:
        meant, wild = [name for name in target.databases if name == written], False
    else:
        meant = [name for name in target.databases if pattern_matches(written, name)]
        wild = bool(re.search(r"(?<!\\)[%_]", written))
    if not meant:
        system = plain_name(written).lower() in _SYSTEM_SCHEMAS
        why = "system schemas of the target are Cloud SQL's" if system else "no database in scope has that name"
        return set(), (Withheld(grant, why),)
    # MySQL adds nothing up: of the patterns that match, one alone decides, so the others give nothing on the source.
    patterns = {other.object[0] for other in account.grants if other.level == "database" and not other.revoked}
    deciding = {name: decisive(patterns, name, source.partial_revokes, False) for name in meant}
    hidden = [name for name in meant if not _gives(grant, account, deciding[name]) or _by_chance(account, source, name)]
    meant = [name for name in meant if name not in hidden]
    given = {Grant("database", (_written_for(name, target),), grant.privilege) for name in meant}
    withheld = []
    if hidden:
        withheld.append(Withheld(grant, _HIDDEN, tuple(hidden)))
    if wild and meant and meant != [written]:
        names = ", ".join(quote_mysql(name) for name in meant)
        why = f"% and _ are wildcards on the source and letters on the target: becomes a grant on {names}"
        withheld.append(Withheld(grant, why, ()))
    return given, tuple(withheld)


def _gives(grant: Grant, account: AccountDefinition, deciding: Iterable[str]) -> bool:
    """Whether a privilege holds by whichever of the equally specific patterns the server reads."""
    held = {(other.object[0], other.privilege) for other in account.grants if other.level == "database"}
    own = list(deciding)
    return grant.object[0] in own and all((pattern, grant.privilege) in held for pattern in own)


def _by_chance(role: AccountDefinition, source: Accounts, database: str) -> bool:
    """Whether some user holds patterns beside those of a role, so that chance decides what the role gives there."""
    return not source.partial_revokes and any(
        sum(pattern_matches(pattern, database) for pattern in patterns) > 1
        for patterns in source.patterns_beside.get(role.key, ())
    )


def _written_for(name: str, target: Target) -> str:
    """A database name as a grant on the target must write it."""
    if target.accounts.partial_revokes:
        return name
    return re.sub(r"([\\_%])", r"\\\1", name)


def plain_name(pattern: str) -> str:
    """The database name of a grant without its escapes."""
    return re.sub(r"\\(.)", r"\1", pattern)


def decisive(patterns: Iterable[str], database: str, literal: bool, roles: bool) -> frozenset[str]:
    """Which of the database names in an account's grants decides on `database`; several where they are equal.

    `literal`: the server runs with partial_revokes, so that % and _ are letters. `roles`: a role is active; then which
    of several patterns decides is the server's chance (measured on 9.7.4), and none is named.
    """
    found = matching(patterns, database, literal)
    if literal:
        return found
    if roles:
        return found if len(found) == 1 else frozenset()
    exact = {pattern for pattern in found if _first_wildcard(pattern) is None}
    if exact or not found:
        return frozenset(exact)
    latest = max(_first_wildcard(pattern) or 0 for pattern in found)
    return frozenset(pattern for pattern in found if _first_wildcard(pattern) == latest)


def matching(patterns: Iterable[str], database: str, literal: bool) -> frozenset[str]:
    """Which of the database names in an account's grants mean `database`."""
    if literal:
        return frozenset(pattern for pattern in patterns if pattern == database)
    return frozenset(pattern for pattern in patterns if pattern_matches(pattern, database))


def _first_wildcard(pattern: str) -> int | None:
    found = re.search(r"(?<!\\)[%_]", pattern)
    return found.start() if found else None
