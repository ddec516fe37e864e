"""What a person should know of passwords and of the servers' own rules for them and for roles."""

import re

from workbook.accounts.objects import AccountDefinition, Accounts
from workbook.names import mysql_account
from workbook.plan import Left

# Server-wide rules -> what they decide, for a message about two values of them.
_DECIDES = {
    "activate_all_roles_on_login": "whether a login makes all roles active or the default roles alone",
    "default_password_lifetime": "after how many days a password ends, where the account does not say",
    "password_history": "how many old passwords may not come back, where the account does not say",
    "password_reuse_interval": "for how many days a password may not come back, where the account does not say",
    "password_require_current": "whether the old password is asked for, where the account does not say",
}


def remarks_on_password(account: AccountDefinition, target: Accounts) -> list[str]:
    """What becomes of the password of an account that moves."""
    if account.is_role:
        return []
    remarks = []
    if account.plugin not in target.plugins:
        remarks.append(f"the target has no plugin {account.plugin}: locked, with a random password, until it is reset")
    elif account.factors > 1:
        remarks.append("logs in with several factors: locked, with a random password, until it is set up again")
    elif not account.password:
        remarks.append("has no password on the source: locked, with a random password, until it gets one")
    if account.second_password:
        remarks.append("has a second password, which MySQL does not show: only the present one moves")
    days = re.search(r"\bPASSWORD EXPIRE INTERVAL (\d+) DAY\b", account.options)
    if days:
        remarks.append(f"the {days.group(1)} days after which its password ends are counted anew, from the move on")
    if re.search(r"\bPASSWORD (HISTORY|REUSE INTERVAL) [1-9]", account.options):
        remarks.append("the history of its password starts anew: passwords from before the move may come back once")
    return remarks


def remarks_on_servers(source: Accounts, target: Accounts) -> list[Left]:
    """Where the servers' own rules for all accounts are not the same."""
    found = []
    before, after = (", ".join(mysql_account(*key) for key in side.mandatory_roles) for side in (source, target))
    if set(source.mandatory_roles) != set(target.mandatory_roles):
        found.append(
            Left(
                "setting",
                "mandatory_roles",
                f"everybody has {before or 'no role'} on the source and {after or 'no role'} on the target: set the same"
                " on the target, or grant the roles to whom needs them",
            )
        )
    for name, decides in _DECIDES.items():
        one, other = source.settings.get(name), target.settings.get(name)
        if one is not None and other is not None and one != other:
            found.append(Left("setting", name, f"{one} on the source, {other} on the target; it decides {decides}"))
    return found
