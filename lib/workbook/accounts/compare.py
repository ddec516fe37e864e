"""How alike the accounts of source and target are: each account, each privilege, by name."""

from collections.abc import Collection, Iterable

from workbook.accounts.expected import Target, expected_grants, said, stays
from workbook.accounts.objects import AccountDefinition, Accounts, Grant
from workbook.accounts.planning import default_roles, is_foreign, is_usable
from workbook.schema.compare import ObjectDifference


def compare(source: Accounts, target: Target, owned: Collection[str]) -> tuple[ObjectDifference, ...]:
    """Every account and privilege of the source on the target: same, different, or tolerated by a rule.

    A privilege that is missing, and one that an account of ours gained, are named one by one.
    """
    return tuple(item for account in source.accounts for item in _account(account, source, target, owned))


def _account(
    account: AccountDefinition, source: Accounts, target: Target, owned: Collection[str]
) -> Iterable[ObjectDifference]:
    kind, name = account.kind, account.name
    why = stays(source, account.key)
    if why:
        yield ObjectDifference(kind, name, "tolerated", f"stays behind: {why}")
        return
    found = target.accounts.by_key.get(account.key)
    if found is None:
        yield ObjectDifference(kind, name, "different", "is missing on the target")
        return
    wanted, withheld = expected_grants(account, source, target)
    if is_foreign(account, target, owned):
        yield ObjectDifference(kind, name, "tolerated", "was on the target before and is left alone")
        for grant in sorted(wanted - found.grants):
            yield ObjectDifference(
                "grant", grant.text(name), "tolerated", "missing, on an account that was there before"
            )
        return
    differences, rules = _attributes(account, found, target)
    verdict = "different" if differences else "tolerated" if rules else "same"
    yield ObjectDifference(kind, name, verdict, "; ".join(differences or rules))
    yield from _grants(account, found, wanted, target)
    for item in said(account, withheld):
        yield ObjectDifference("grant", item.name, "tolerated", item.why)


def _attributes(account: AccountDefinition, found: AccountDefinition, target: Target) -> tuple[list[str], list[str]]:
    differences: list[str] = []
    rules: list[str] = []
    if account.was:
        rules.append(f"host {account.was!r} became {account.host!r}, as the mapping chooses")
    if not is_usable(account, target):
        rules.append("locked until its password is reset" if found.locked else "its password was reset on the target")
    elif account.plugin != found.plugin and not account.is_role:
        differences.append(f"plugin {account.plugin} became {found.plugin}")
    elif account.password != found.password:
        differences.append("its password hash differs")
    elif account.options != found.options:
        differences.append(f"options {account.options} became {found.options}")
    if set(default_roles(account, target)) != set(found.default_roles):
        differences.append("its default roles differ")
    return differences, rules


def _grants(
    account: AccountDefinition, found: AccountDefinition, wanted: frozenset[Grant], target: Target
) -> Iterable[ObjectDifference]:
    for grant in sorted(wanted):
        if grant in found.grants:
            yield ObjectDifference("grant", grant.text(account.name), "same")
        else:
            yield ObjectDifference("grant", grant.text(account.name), "different", "is missing on the target")
    for grant in sorted(found.grants - wanted):
        if grant.revoked and grant in target.accounts.holds:
            # Whoever gives a global privilege passes his own restrictions on.
            detail = "the administrator who gave the privilege is restricted in the same way"
            yield ObjectDifference("grant", grant.text(account.name), "tolerated", detail)
        else:
            yield ObjectDifference("grant", grant.text(account.name), "different", "is held on the target only")
