"""What each account should be and hold on the target: the source's privileges less what Cloud SQL gives to nobody."""

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from workbook.accounts.objects import AccountDefinition, AccountKey, Accounts, Grant
from workbook.names import quote_mysql
from workbook.plan import Left
from workbook.schema.privileges import pattern_matches

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
        """Whether the target's login holds a global privilege and may give it on."""
        held = self.accounts.holds
        if grant.dynamic:
            return Grant("global", (), grant.privilege, True) in held
        option = Grant("global", (), "GRANT OPTION")
        # A privilege on columns is given by whoever holds it on all.
        whole = Grant("global", (), grant.privilege.partition(" (")[0])
        return option in held and (grant.privilege == "GRANT OPTION" or whole in held)


def stays(source: Accounts, key: AccountKey) -> str | None:
    """Why an account of the source is none of the workbook's business, if so."""
    return next((why for matches, why in _STAYING if matches(source, key)), None)


_STAYING: tuple[tuple[Callable[[Accounts, AccountKey], bool], str], ...] = (
    (lambda source, key: key[0].startswith("mysql."), "belongs to the server itself"),
    (lambda source, key: key == ("PUBLIC", "%"), "MySQL has nothing that is granted to everybody"),
    (lambda source, key: len(key[0]) > 32, "MySQL takes no more than 32 characters of a user's name"),
    (lambda source, key: key[0] == "root", "the target has an administrator of its own"),
    (lambda source, key: key == source.login, "is the login that this workbook uses on the source"),
    (lambda source, key: key[0].startswith("cloudsql"), "names of this form belong to Cloud SQL"),
)


def expected_grants(
    account: AccountDefinition, source: Accounts, target: Target
) -> tuple[frozenset[Grant], tuple[Left, ...]]:
    """The privileges that `account` gets on the target, and those left out or changed, with the reason."""
    kept: set[Grant] = set()
    # Without its partial revokes a global privilege would reach further than on the source.
    restricted = set() if target.accounts.partial_revokes else {it.privilege for it in account.grants if it.revoked}
    reasons: dict[str, list[str]] = defaultdict(list)
    for grant in sorted(account.grants):
        given, why = _on_target(grant, account, source, target)
        if grant.level == "global" and grant.privilege in restricted:
            given, why = set(), "it is revoked on some database, and the target knows no partial revokes"
        kept |= given
        if why:
            reasons[why].append(grant.words)
    # A right to give on means nothing where there is nothing left to give.
    useful = {(grant.level, grant.object) for grant in kept if grant.privilege != "GRANT OPTION"}
    kept = {grant for grant in kept if grant.privilege != "GRANT OPTION" or (grant.level, grant.object) in useful}
    # A partial revoke takes from what is held globally, and can only take that.
    held = {grant.privilege for grant in kept if grant.level == "global"}
    kept = {grant for grant in kept if not grant.revoked or grant.privilege in held}
    left = tuple(Left("grant", f"{', '.join(texts)} TO {account.name}", why) for why, texts in reasons.items())
    return frozenset(kept), left


def _on_target(
    grant: Grant, account: AccountDefinition, source: Accounts, target: Target
) -> tuple[set[Grant], str | None]:
    """What becomes of one privilege of the source: the target's privileges, and the reason where it changes."""
    if grant.level == "role":
        if grant.object in target.moving:
            return {grant}, None
        return set(), "that account does not move, so what it holds on the target is not known"
    if grant.level == "proxy":
        return set(), "PROXY needs a privilege that Cloud SQL gives to nobody"
    if grant.level == "global":
        if target.may_give(grant):
            return {grant}, None
        return set(), "the administrator of the target may not give this"
    if grant.revoked:
        if target.accounts.partial_revokes:
            return {grant}, None
        return set(), "the target knows no partial revokes"
    if not target.may_give(grant):
        return set(), "the administrator of the target may not give this"
    if grant.level == "database":
        return _on_databases(grant, account, source, target)
    database = grant.object[0]
    if database.lower() in _SYSTEM_SCHEMAS:
        return set(), "system schemas of the target are Cloud SQL's"
    there = (
        grant.object in target.relations if grant.level == "table" else (grant.level, *grant.object) in target.routines
    )
    return ({grant}, None) if there else (set(), f"that {grant.level} is not on the target")


def _on_databases(
    grant: Grant, account: AccountDefinition, source: Accounts, target: Target
) -> tuple[set[Grant], str | None]:
    written = grant.object[0]
    if source.partial_revokes:
        matching, wild = [name for name in target.databases if name == written], False
    else:
        matching = [name for name in target.databases if pattern_matches(written, name)]
        wild = bool(re.search(r"(?<!\\)[%_]", written))
    if plain_name(written).lower() in _SYSTEM_SCHEMAS and not matching:
        return set(), "system schemas of the target are Cloud SQL's"
    if not matching:
        return set(), "no database in scope has that name"
    # MySQL adds nothing up: of the patterns that match, one alone decides, so the others give nothing on the source.
    patterns = {other.object[0] for other in account.grants if other.level == "database" and not other.revoked}
    deciding = {name: decisive(patterns, name, source.partial_revokes, False) for name in matching}
    hidden = [
        name for name in matching if not _gives(grant, account, deciding[name]) or _by_chance(account, source, name)
    ]
    matching = [name for name in matching if name not in hidden]
    given = {Grant("database", (_written_for(name, target),), grant.privilege) for name in matching}
    if hidden:
        names = ", ".join(quote_mysql(name) for name in hidden)
        return given, (
            f"on {names} other grants by pattern apply too, of the account or beside this role; the source reads one of"
            " them alone, so this one might give more than before: grant it yourself where it is wanted"
        )
    if wild and matching != [written]:
        names = ", ".join(quote_mysql(name) for name in matching)
        return given, f"% and _ are wildcards on the source and letters on the target: becomes a grant on {names}"
    return given, None


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
    if literal:
        return frozenset(pattern for pattern in patterns if pattern == database)
    matching = {pattern for pattern in patterns if pattern_matches(pattern, database)}
    if roles:
        return frozenset(matching if len(matching) == 1 else ())
    exact = {pattern for pattern in matching if _first_wildcard(pattern) is None}
    if exact or not matching:
        return frozenset(exact)
    latest = max(_first_wildcard(pattern) or 0 for pattern in matching)
    return frozenset(pattern for pattern in matching if _first_wildcard(pattern) == latest)


def _first_wildcard(pattern: str) -> int | None:
    found = re.search(r"(?<!\\)[%_]", pattern)
    return found.start() if found else None


def host_never_matches(host: str) -> bool:
    """Whether a host is a name, which a server with skip_name_resolve never looks up."""
    if host in ("", "%"):
        return False
    address = host.partition("/")[0]
    try:
        ipaddress.ip_address(address)
        return False
    except ValueError:
        # Wildcards and netmasks over addresses hold digits, dots, colons and wildcards alone.
        return not re.fullmatch(r"[0-9a-fA-F%_]*[.:][0-9a-fA-F:.%_]*", address)
