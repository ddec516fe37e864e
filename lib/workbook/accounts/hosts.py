"""Hosts of accounts: which of them never match on a server that looks up no names, and the addresses chosen for them."""

import dataclasses
import difflib
import ipaddress
import re
from collections.abc import Mapping

from workbook.accounts.objects import AccountDefinition, AccountKey, Accounts, Grant
from workbook.errors import UsageError
from workbook.names import mysql_account
from workbook.schema.privileges import pattern_matches


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


def host_matches(pattern: str, host: str) -> bool:
    """Whether an account's host part means a client that comes from `host`."""
    if pattern in ("", "%") or pattern.lower() == host.lower():
        return True
    if {pattern, host} <= {"localhost", "127.0.0.1", "::1"}:
        return True
    address, slash, mask = pattern.partition("/")
    if slash:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(f"{address}/{mask}", strict=False)
        except ValueError:
            return False
    return pattern_matches(pattern.lower(), host.lower())


def covers(wide: str, narrow: str, looks_up_names: bool) -> bool | None:
    """Whether every client of the host pattern `narrow` is one of `wide` too; None where that is so of some, or not known.

    False as well where `wide` is a name on a server that looks up none.
    """
    if wide in ("", "%"):
        return True
    if not looks_up_names and host_never_matches(wide):
        return False
    networks = [_network(host) for host in (wide, narrow)]
    if networks[0] and networks[1]:
        one, other = networks[0], networks[1]
        if one.version != other.version or not one.overlaps(other):
            return False
        return other.prefixlen >= one.prefixlen or None
    if host_never_matches(wide) != host_never_matches(narrow):
        # A name and an address: who knows.
        return None
    if networks[0] or networks[1]:
        return host_matches(wide, narrow) or (None if re.search("[%_]", wide + narrow) else False)
    # The wildcards of the narrow one are letters for the wide one, which its own wildcards mean too.
    if pattern_matches(wide.lower(), narrow.lower()):
        return True
    heads = [re.split("[%_]", host.lower())[0] for host in (wide, narrow)]
    apart = not re.search("[%_]", wide + narrow) or not any(
        one.startswith(other) for one, other in (heads, reversed(heads))
    )
    return False if apart else None


def _network(host: str) -> "ipaddress.IPv4Network | ipaddress.IPv6Network | None":
    """The network that an address, a netmask or a pattern of whole numbers (10.1.%) means."""
    numbers = host.split(".")
    if 2 <= len(numbers) <= 4 and numbers[-1] == "%":
        host = f"{'.'.join((*numbers[:-1], *['0'] * (5 - len(numbers))))}/{8 * (len(numbers) - 1)}"
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        return None


def moved(accounts: Accounts, hosts: Mapping[str, str]) -> Accounts:
    """The accounts of the source under the hosts that the mapping chooses, wherever they are named.

    Raises UsageError for a host that no account has, one that would never match, and where two accounts would be one.
    """
    if not hosts:
        return accounts
    known = {host for _, host in accounts.names}
    for host, chosen in hosts.items():
        if host not in known:
            near = difflib.get_close_matches(host, known, n=1, cutoff=0.5)
            raise UsageError(
                f"accounts.hosts of the mapping names {host!r}, and no account of the source comes from there."
                + (f" Did you mean {near[0]!r}?" if near else ""),
                "A host that is not found would silently change nothing.",
                "Write it as SELECT User, Host FROM mysql.user shows it, or take the line out.",
            )
        if host_never_matches(chosen):
            raise UsageError(
                f"accounts.hosts of the mapping turns {host!r} into {chosen!r}, which is a name too.",
                "Cloud SQL looks up no names: nobody would ever come from there.",
                "Write an address, a network or a pattern of addresses, as 10.0.0.5, 10.0.0.0/255.255.255.0 or 10.0.0.%.",
            )

    def new(key: AccountKey) -> AccountKey:
        return key[0], hosts.get(key[1], key[1])

    taken: dict[AccountKey, AccountKey] = {}
    for key in sorted(accounts.names):
        other = taken.setdefault(new(key), key)
        if other != key:
            raise UsageError(
                f"accounts.hosts of the mapping makes {mysql_account(*other)} and {mysql_account(*key)}"
                f" one account, {mysql_account(*new(key))}.",
                "Each would get the privileges of the other, and one of two passwords would be lost.",
                "Choose another host for one of them, or drop the one that is no longer needed on the source.",
            )
    return dataclasses.replace(
        accounts,
        login=new(accounts.login),
        names=frozenset(new(key) for key in accounts.names),
        mandatory_roles=tuple(new(key) for key in accounts.mandatory_roles),
        accounts=tuple(
            dataclasses.replace(
                account,
                host=new(account.key)[1],
                was=account.host if account.host in hosts else "",
                default_roles=tuple(new(key) for key in account.default_roles),
                grants=frozenset(_moved(grant, hosts) for grant in account.grants),
            )
            for account in accounts.accounts
        ),
    )


def _moved(grant: Grant, hosts: Mapping[str, str]) -> Grant:
    if grant.level not in ("role", "proxy"):
        return grant
    user, host = grant.object
    return dataclasses.replace(grant, object=(user, hosts.get(host, host)))


def remarks_on_host(account: AccountDefinition, source: Accounts, looks_up_names: bool) -> list[str]:
    """What a person should know of where an account comes from on the target."""
    remarks = []
    others = [mysql_account(*key) for key in sorted(source.names) if key[0] == account.user and key != account.key]
    beside = f"; who came from there is {' or '.join(others)} now, if the password fits" if others else ""
    if account.was:
        remarks.append(
            f"its host {account.was!r} becomes {account.host!r}, as the mapping chooses: it can log in from wherever"
            " that means" + (f", also who was {' or '.join(others)} before" if others else "")
        )
    if not looks_up_names and host_never_matches(account.host):
        remarks.append(f"the target looks up no names, so nobody ever comes from the host {account.host!r}{beside}")
    return remarks
