"""The frozen objects of accounts: what an account is, and each single privilege it holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from workbook.names import mysql_account, mysql_path, quote_mysql

AccountKey = tuple[str, str]


@dataclass(frozen=True, order=True)
class Grant:
    """One privilege on one object.

    `level` is global, database, table, procedure, function, proxy or role; `object` the names that lead to it: none,
    database, database and name, or user and host of a role or of whom the account may stand for. `option` is true of a
    dynamic privilege and of a proxy that may be given on, and of a role with admin option; for all others the right to
    give on is the privilege GRANT OPTION of its own.
    `revoked` is true of a partial revoke: the privilege is held globally and not on this database.
    """

    level: str
    object: tuple[str, ...]
    privilege: str
    option: bool = False
    revoked: bool = False

    @property
    def on(self) -> str:
        """The object as SQL writes it behind ON, or the role."""
        if self.level in ("role", "proxy"):
            return mysql_account(*self.object)
        if self.level == "global":
            return "*.*"
        if self.level == "database":
            return f"{quote_mysql(self.object[0])}.*"
        kind = "" if self.level == "table" else f"{self.level.upper()} "
        return f"{kind}{mysql_path(*self.object)}"

    @property
    def words(self) -> str:
        """The privilege for reports: SELECT ON `shop`.* WITH GRANT OPTION."""
        if self.level == "role":
            return f"ROLE {self.on}" + (" WITH ADMIN OPTION" if self.option else "")
        verb = "NOT " if self.revoked else ""
        return f"{verb}{self.privilege} ON {self.on}" + (" WITH GRANT OPTION" if self.option else "")

    def text(self, account: str) -> str:
        """The privilege and who holds it."""
        return f"{self.words} TO {account}"

    @property
    def dynamic(self) -> bool:
        """Whether it is one of the privileges that a server's components bring: their names hold underscores."""
        return self.level == "global" and "_" in self.privilege


@dataclass(frozen=True)
class AccountDefinition:
    """An account with its attributes and privileges.

    `password` is the stored hash as a hexadecimal literal, empty where there is none; it stands in no repr and is
    never shown. `options` is what SHOW CREATE USER says behind the password: TLS, limits, expiry, lock, attribute.
    `notes` are what a person should know of it; `was` is its host on the source where the mapping gives it another.
    """

    user: str
    host: str
    plugin: str
    password: str = field(repr=False)
    options: str
    default_roles: tuple[AccountKey, ...]
    grants: frozenset[Grant]
    factors: int = 1
    second_password: bool = False
    notes: tuple[str, ...] = ()
    was: str = ""

    @property
    def key(self) -> AccountKey:
        """User and host."""
        return self.user, self.host

    @property
    def name(self) -> str:
        """The account as SQL writes it."""
        return mysql_account(self.user, self.host)

    @property
    def locked(self) -> bool:
        """Whether nobody can log in with it."""
        return "ACCOUNT LOCK" in self.options

    @property
    def is_role(self) -> bool:
        """Whether it is what CREATE ROLE makes: locked, without a password, expired."""
        expired = "PASSWORD EXPIRE ACCOUNT" in self.options
        return self.locked and not self.password and expired

    @property
    def kind(self) -> str:
        """role or user."""
        return "role" if self.is_role else "user"


@dataclass(frozen=True)
class Accounts:
    """The accounts of one server that were asked for; `login` is the account the workbook itself uses there.

    `names` are all accounts of the server, `plugins` its authentication plugins; `holds` is what the login holds
    itself; `partial_revokes` says whether % and _ in database names of grants are letters. `mandatory_roles` are
    granted to everybody, `settings` the server's variables that decide on roles and passwords.
    """

    role: str
    login: AccountKey
    names: frozenset[AccountKey]
    plugins: frozenset[str]
    partial_revokes: bool
    skip_name_resolve: bool
    holds: frozenset[Grant] = field(repr=False)
    accounts: tuple[AccountDefinition, ...] = field(repr=False)
    mandatory_roles: tuple[AccountKey, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def activates_all(self) -> bool:
        """Whether a login makes every role active that the account holds, its default roles or not."""
        return self.settings.get("activate_all_roles_on_login") == "ON"

    @cached_property
    def by_key(self) -> dict[AccountKey, AccountDefinition]:
        """Accounts by user and host."""
        return {account.key: account for account in self.accounts}

    @cached_property
    def by_user(self) -> dict[str, list[AccountDefinition]]:
        """The accounts of each user name, whatever their host."""
        found: dict[str, list[AccountDefinition]] = {}
        for account in self.accounts:
            found.setdefault(account.user, []).append(account)
        return found

    def roles_of(self, account: AccountDefinition) -> set[AccountKey]:
        """The roles that an account can make active: those granted to it, and those that everybody has."""
        granted = {(grant.object[0], grant.object[1]) for grant in account.grants if grant.level == "role"}
        return granted | (set() if account.is_role else set(self.mandatory_roles) - {account.key})

    def login_roles_of(self, account: AccountDefinition) -> set[AccountKey]:
        """The roles that are active right after a login; those that everybody has are among them (9.7.4).

        A default role that is no longer granted brings nothing.
        """
        roles = self.roles_of(account)
        return roles if self.activates_all else roles & {*account.default_roles, *self.mandatory_roles}

    def reached(self, roles: Iterable[AccountKey]) -> set[AccountKey]:
        """Roles with all the roles that these hold: what is active when `roles` are."""
        waiting = list(roles)
        found = set(waiting)
        while waiting:
            role = self.by_key.get(waiting.pop())
            for grant in role.grants if role else ():
                key = (grant.object[0], grant.object[1]) if grant.level == "role" else None
                if key is not None and key not in found:
                    found.add(key)
                    waiting.append(key)
        return found

    @cached_property
    def patterns_beside(self) -> dict[AccountKey, set[frozenset[str]]]:
        """For each role the database names of grants that stand beside its own, one set for each user who holds it."""
        found: dict[AccountKey, set[frozenset[str]]] = {}
        for account in self.accounts:
            roles = set() if account.is_role else self.reached(self.roles_of(account))
            holders = [account, *(self.by_key[key] for key in roles if key in self.by_key)]
            patterns = frozenset(
                grant.object[0]
                for holder in holders
                for grant in holder.grants
                if grant.level == "database" and not grant.revoked
            )
            for key in roles:
                found.setdefault(key, set()).add(patterns)
        return found
