"""The plan of the accounts phase: accounts that are missing, with their hashes, and privileges that are missing."""

from collections.abc import Collection
from dataclasses import dataclass, field

from workbook.accounts.expected import Target, expected_grants, said, stays
from workbook.accounts.grants import default_role_statement, statements
from workbook.accounts.hosts import remarks_on_host
from workbook.accounts.objects import AccountDefinition, Accounts, Grant
from workbook.accounts.remarks import remarks_on_password, remarks_on_servers
from workbook.names import mysql_account
from workbook.plan import Left, Plan, Step

PHASE = "accounts"
HASH_SHOWN = "<the hash of the source>"


@dataclass(frozen=True)
class AccountsPlan(Plan):
    """A plan with what it was made from; `to_reset` are accounts that nobody can use before they get a password."""

    source: Accounts | None = field(default=None, repr=False)
    to_reset: tuple[str, ...] = ()


def plan(source: Accounts, target: Target, owned: Collection[str]) -> AccountsPlan:
    """The steps that bring the source's accounts to the target; no account gets more than it has on the source.

    `owned` holds the objects the workbook made. An account that was on the target before is left alone and reported.
    """
    made: list[Step] = []
    given: list[Step] = []
    left = remarks_on_servers(source, target.accounts)
    to_reset: list[str] = []
    there = target.accounts.by_key
    for account in source.accounts:
        why = stays(source, account.key)
        if why:
            left.append(Left(account.kind, account.name, f"stays behind: {why}"))
            continue
        wanted, without = expected_grants(account, source, target)
        found = there.get(account.key)
        if is_foreign(account, target, owned):
            left.append(Left(account.kind, account.name, "was on the target before and is left alone"))
            missing = wanted - found.grants if found else wanted
            texts = [grant.text(account.name) for grant in sorted(missing)]
            if texts:
                why = "the account was there before: grant it yourself if it should have it"
                left.append(Left("grant", "; ".join(texts), why, expected=False))
            continue
        left += said(account, without)
        left += _remarks(account, source, target)
        usable = is_usable(account, target)
        if not usable:
            to_reset.append(account.name)
        if found is None:
            made.append(_creation(account, usable))
        given += _giving(account, wanted - (found.grants if found else frozenset()))
        roles = default_roles(account, target)
        if roles and (found is None or set(roles) != set(found.default_roles)):
            statement = default_role_statement(account.name, roles)
            given.append(Step("default role", f"of {account.name}", statement, None))
    return AccountsPlan(PHASE, (*made, *given), tuple(left), source, tuple(to_reset))


def is_foreign(account: AccountDefinition, target: Target, owned: Collection[str]) -> bool:
    """Whether an account of that name is on the target and the workbook did not make it."""
    ours = f"user {account.name}" in owned or f"role {account.name}" in owned
    return account.key in target.accounts.names and not ours


def is_usable(account: AccountDefinition, target: Target) -> bool:
    """Whether the password can be carried over: the target has the plugin, and there is a password or none is needed."""
    if account.is_role:
        return True
    return account.plugin in target.accounts.plugins and bool(account.password) and account.factors == 1


def default_roles(account: AccountDefinition, target: Target) -> tuple[tuple[str, str], ...]:
    """The default roles that move."""
    return tuple(role for role in account.default_roles if role in target.moving)


def _remarks(account: AccountDefinition, source: Accounts, target: Target) -> list[Left]:
    """What a person should know of an account that moves."""
    remarks = [
        *account.notes,
        *remarks_on_password(account, target.accounts),
        *remarks_on_host(account, source, not target.accounts.skip_name_resolve),
    ]
    for user, host in account.default_roles:
        if (user, host) not in target.moving:
            remarks.append(f"default role {mysql_account(user, host)} does not move")
    return [Left(account.kind, account.name, remark) for remark in remarks]


def _creation(account: AccountDefinition, usable: bool) -> Step:
    name = account.name
    undo = f"DROP {account.kind.upper()} IF EXISTS {name}"
    if account.is_role:
        return Step("role", name, f"CREATE ROLE {name}", undo)
    if not usable:
        # The server makes the password up and tells it to nobody: the answer is not read.
        options = account.options.replace("ACCOUNT UNLOCK", "ACCOUNT LOCK")
        return Step("user", name, f"CREATE USER {name} IDENTIFIED BY RANDOM PASSWORD {options}", undo)
    plugin = account.plugin.replace("'", "''")
    head, tail = f"CREATE USER {name} IDENTIFIED WITH '{plugin}' AS ", f" {account.options}"
    return Step("user", name, head + account.password + tail, undo, shown=head + HASH_SHOWN + tail)


def _giving(account: AccountDefinition, grants: frozenset[Grant]) -> list[Step]:
    """The grants of one account. They have no undo: they go with the account, which is ours."""
    return [Step("grant", what, statement, None) for what, statement in statements(account.name, grants)]
