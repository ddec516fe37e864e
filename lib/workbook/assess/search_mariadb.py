"""Searches for what MariaDB has and MySQL has not."""

from collections.abc import Iterator

from workbook.assess.code import Token, phrase
from workbook.assess.evidence import Evidence
from workbook.assess.search import Code, Finder, Hit, all_code
from workbook.assess.search_upgrade import calls, columns, path_of
from workbook.catalog import Catalog
from workbook.catalog.mariadb import NATIVE_TYPES, ONLY_MARIADB


def words(*phrases: tuple[str, ...]) -> Finder:
    """Where one of `phrases` stands in a piece of code."""

    def find(piece: Code) -> Iterator[Token]:
        for found in (piece.tokens, piece.prepared):
            for one in phrases:
                yield from phrase(found, *one)

    return find


def sequences(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Sequences, and code that draws from one."""
    for database, name in catalog.sequences:
        yield Hit("sequence", f"{database}.{name}", "MySQL has no sequences")
    draws = words(("NEXT", "VALUE", "FOR"), ("PREVIOUS", "VALUE", "FOR"))
    for piece in all_code(catalog, evidence):
        for token in (*draws(piece), *calls(piece, ("NEXTVAL", "LASTVAL", "SETVAL"))):
            yield piece.said(token, "draws from a sequence")


def versioned(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """System-versioned tables, and code that asks for the past."""
    for name in evidence.versioned:
        yield Hit("table", name, "keeps its history WITH SYSTEM VERSIONING")
    asks = words(("FOR", "SYSTEM_TIME"), ("FOR", "PORTION", "OF"))
    for piece in all_code(catalog, evidence):
        for token in asks(piece):
            yield piece.said(token, "asks for another time")


def packages(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Packages and code of the Oracle mode."""
    for routine in catalog.routines:
        name = f"{routine.database}.{routine.name}"
        if "PACKAGE" in routine.kind.upper():
            yield Hit(routine.kind.lower(), name, "is a package")
        elif "ORACLE" in routine.sql_mode.upper().split(","):
            yield Hit(routine.kind.lower(), name, "was written under sql_mode ORACLE")


def aria(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Aria tables."""
    for table in catalog.tables:
        if table.engine.upper() == "ARIA":
            yield Hit("table", path_of(table), "its engine is Aria")


def native_types(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Columns of types that MySQL has not."""
    for table, column in columns(catalog):
        native = NATIVE_TYPES.get(column.native.partition(" ")[0].lower())
        if native:
            yield Hit("column", f"{path_of(table)}.{column.name}", f"{column.native} becomes {native.becomes}")


def json_text(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """JSON columns, which MariaDB keeps as text that is checked."""
    for table in catalog.tables:
        for check in table.checks:
            if "json_valid(" in check.clause.lower():
                yield Hit("table", path_of(table), f"check {check.name}: JSON that is kept as text")


def own_functions(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Calls of functions that MySQL has not."""
    own = {routine.name.upper() for routine in catalog.routines}
    for piece in all_code(catalog, evidence):
        for token in calls(piece, ONLY_MARIADB - own - {"NEXTVAL", "LASTVAL", "SETVAL"}):
            yield piece.said(token, f"{token.text}() is MariaDB's own")


def collations(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Tables with collations that become the nearest one of MySQL."""
    for table in catalog.tables:
        names = [column.name for column in table.columns if " COLLATE " in column.native]
        if names:
            yield Hit("table", path_of(table), f"another collation for {len(names)} columns: {', '.join(names[:5])}")


def socket_accounts(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Accounts that log in as MariaDB alone lets them."""
    for account in catalog.accounts or ():
        if account.plugin in ("ed25519", "unix_socket", "parsec", "gssapi", "pam"):
            yield Hit("account", account.name, f"logs in by {account.plugin}")
