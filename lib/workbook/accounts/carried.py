"""The source's privileges in the target's names: on renamed tables, columns and databases, and not on what is left out.

Nothing may come to be allowed because a name is another's on the target: a grant that would reach a table or database
which took its name is left out, and the account's notes say so.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from workbook.accounts.expected import decisive, plain_name
from workbook.accounts.objects import AccountDefinition, Accounts, Grant
from workbook.catalog import Catalog
from workbook.mapping.flow import DIRECT
from workbook.mapping.objects import Mapping
from workbook.names import quote_mysql
from workbook.schema.privileges import pattern_matches
from workbook.schema.tokens import tokens_of


def carried(accounts: Accounts, catalog: Catalog, mapping: Mapping) -> Accounts:
    """`accounts` of the source, each privilege on the object that the target has in its place."""
    if not mapping.databases and all(table.flow == DIRECT for table in mapping.in_scope):
        return accounts
    way = _Way(accounts.partial_revokes, tuple(database.name for database in catalog.databases), mapping)
    return replace(accounts, accounts=tuple(_account(account, way) for account in accounts.accounts))


@dataclass(frozen=True)
class _Way:
    literal: bool
    databases: tuple[str, ...]
    mapping: Mapping

    def written(self, name: str) -> str:
        """A database's name as the source's grants would write it."""
        return name if self.literal else re.sub(r"([\\_%])", r"\\\1", name)

    def means(self, pattern: str, name: str) -> bool:
        """Whether the database name of a grant means a database."""
        return pattern == name if self.literal else pattern_matches(pattern, name)


def _account(account: AccountDefinition, way: _Way) -> AccountDefinition:
    grants: set[Grant] = set()
    notes = list(account.notes)
    patterns = {grant.object[0] for grant in account.grants if grant.level == "database" and not grant.revoked}
    for grant in sorted(account.grants):
        if grant.level in ("global", "role", "proxy"):
            grants.add(grant)
        elif grant.level == "database":
            made, why = _on_databases(grant, patterns, way)
            grants |= made
            notes += [f"{grant.words}: {why}"] if why else []
        else:
            carried_grant, why = _on_object(grant, way)
            grants |= {carried_grant} if carried_grant else set()
            notes += [f"{grant.words} is left out: {why}"] if why else []
    return replace(account, grants=frozenset(grants), notes=tuple(notes))


def _on_object(grant: Grant, way: _Way) -> tuple[Grant | None, str | None]:
    mapping = way.mapping
    database, name = grant.object
    mapped = mapping.tables.get((database, name)) if grant.level == "table" else None
    moving = mapped is not None and mapped in mapping.in_scope
    path = mapped.target_path if mapped and moving else (mapping.target_database(database), name)
    if grant.level == "table" and not moving and path in {table.target_path for table in mapping.in_scope}:
        return None, "another table has that name on the target"
    if database not in way.databases and path[0] in _new(mapping):
        return None, "another database has that name on the target"
    head, opening, column = grant.privilege.partition(" (")
    if mapped is None or not opening:
        return replace(grant, object=path), None
    named = next(token.identifier for token in tokens_of(column) if token.kind == "name")
    if named.lower() in map(str.lower, mapped.flow.excluded):
        return None, "the mapping excludes the column"
    lowered = {old.lower(): new for old, new in mapped.flow.renamed}
    return replace(grant, object=path, privilege=f"{head} ({quote_mysql(lowered.get(named.lower(), named))})"), None


def _new(mapping: Mapping) -> set[str]:
    return {new for _, new in mapping.databases}


def _on_databases(grant: Grant, patterns: Iterable[str], way: _Way) -> tuple[set[Grant], str | None]:
    mapping, pattern = way.mapping, grant.object[0]
    renamed = [name for name in way.databases if mapping.target_database(name) != name]
    meant = [name for name in way.databases if way.means(pattern, name)]
    taken = [new for new in _new(mapping) if way.means(pattern, new)]
    if not taken and not any(name in renamed for name in meant):
        return {grant}, None
    # Where several patterns mean a database one alone decides; by which of them is not carried over here.
    own = [
        name
        for name in meant
        if grant.revoked or way.literal or decisive(patterns, name, way.literal, roles=False) == {pattern}
    ]
    made = {replace(grant, object=(way.written(mapping.target_database(name)),)) for name in own}
    if plain_name(pattern) in meant and own == meant and len(meant) == 1:
        return made, None
    listed = ", ".join(quote_mysql(mapping.target_database(name)) for name in own) or "nothing"
    return made, f"databases it means are renamed, or took a name that it means: it becomes a grant on {listed} alone"
