"""Users, roles and privileges: carried over with their password hashes, less what Cloud SQL gives to nobody."""

from workbook.accounts.objects import AccountDefinition, Accounts, Grant
from workbook.accounts.phase import AccountsResult, check_accounts, compare_accounts, plan_accounts
from workbook.accounts.planning import AccountsPlan
from workbook.accounts.plots import plot_effects
from workbook.accounts.read import read_accounts

__all__ = [
    "AccountDefinition",
    "Accounts",
    "AccountsPlan",
    "AccountsResult",
    "Grant",
    "check_accounts",
    "compare_accounts",
    "plan_accounts",
    "plot_effects",
    "read_accounts",
]
