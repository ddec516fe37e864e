"""What an account holds in effect, its roles included, and whether that covers what statements need."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from workbook.accounts import Accounts, Grant, read_accounts
from workbook.accounts.objects import AccountKey
from workbook.pipelines.statements import Need
from workbook.schema.privileges import pattern_matches
from workbook.servers import Server

EVERY_COLUMN = frozenset(("*",))


@dataclass(frozen=True)
class Held:
    """The privileges of one account on one server, those of its active roles among them."""

    grants: frozenset[Grant] = field(repr=False)
    literal_names: bool  # whether % and _ in database names are letters (partial_revokes)

    def columns(self, need: Need) -> frozenset[str]:
        """The columns on which a need is met: EVERY_COLUMN, some, or none at all."""
        if need.routine:
            levels = ("procedure", "function")
            whole = any(
                g.level in levels and self._same(g, need) and g.privilege == need.privilege for g in self.grants
            )
            return EVERY_COLUMN if whole or self._above(need) else frozenset()
        if self._above(need):
            return EVERY_COLUMN
        found: set[str] = set()
        for grant in self.grants:
            if grant.level != "table" or not self._same(grant, need):
                continue
            if grant.privilege == need.privilege:
                return EVERY_COLUMN
            kind, bracket, rest = grant.privilege.partition(" (")
            if bracket and kind == need.privilege:
                found.add(rest.rstrip(")"))
        return frozenset(found)

    def _above(self, need: Need) -> bool:
        """Whether the need is met for the whole database, or everywhere and not taken away here."""
        on_database = [g for g in self.grants if g.level == "database" and g.privilege == need.privilege]
        here = [g for g in on_database if self._means(g.object[0], need.database)]
        if any(not grant.revoked for grant in here):
            return True
        everywhere = any(g.level == "global" and g.privilege == need.privilege for g in self.grants)
        return everywhere and not here

    def _means(self, written: str, database: str) -> bool:
        return written == database if self.literal_names else pattern_matches(written, database)

    @staticmethod
    def _same(grant: Grant, need: Need) -> bool:
        return grant.object == (need.database, need.name)


def read_with_roles(server: Server, keys: Collection[AccountKey]) -> Accounts:
    """The accounts `keys` that are on the server, and every role that is granted to them, roles of roles included."""
    wanted = set(keys)
    while True:
        accounts = read_accounts(server, wanted)
        roles = {grant.object for account in accounts.accounts for grant in account.grants if grant.level == "role"}
        more = {(role[0], role[1]) for role in roles} - wanted
        if not more:
            return accounts
        wanted |= more


def held_by(accounts: Accounts, key: AccountKey, every_role: bool) -> Held:
    """What an account holds right after login: its own grants and those of its default roles (`every_role`: of all)."""
    by_key = accounts.by_key
    account = by_key[key]
    granted = {(grant.object[0], grant.object[1]) for grant in account.grants if grant.level == "role"}
    # A default role that is no longer granted brings nothing.
    waiting = list(granted if every_role else granted & set(account.default_roles))
    grants, done = set(account.grants), set(waiting)
    while waiting:
        role = by_key.get(waiting.pop())
        for grant in role.grants if role else ():
            grants.add(grant)
            inner = (grant.object[0], grant.object[1]) if grant.level == "role" else None
            if inner is not None and inner not in done:
                done.add(inner)
                waiting.append(inner)
    return Held(frozenset(grants), accounts.partial_revokes)


def lost(needs: Iterable[Need], source: Held, target: Held) -> tuple[Need, ...]:
    """The needs that the account meets on the source and not, or on fewer columns, on the target."""
    found = []
    for need in needs:
        before, after = source.columns(need), target.columns(need)
        if before and after != EVERY_COLUMN and (before == EVERY_COLUMN or before - after):
            found.append(need)
    return tuple(sorted(found))
