"""What the validation cannot see: objects that a login is not shown, tables that the source no longer shows, types without a rule.

Each is said, and keeps the verdict from being `same`: what is not seen is not compared.
"""

from collections.abc import Iterator

from workbook.catalog import Catalog
from workbook.errors import Refused, WorkbookError
from workbook.mapping import Mapping
from workbook.mapping.generate import UNDECIDED
from workbook.mapping.types import rule_for
from workbook.names import mysql_path
from workbook.schema.privileges import refuse_hidden
from workbook.servers import Server
from workbook.validate.result import ObjectVerdict


def blind_spots(source: Server, target: Server, catalog: Catalog, mapping: Mapping) -> Iterator[ObjectVerdict]:
    """What could not be looked at, with the reason."""
    here = [database.name for database in catalog.databases]
    for server, databases in ((source, here), (target, [mapping.target_database(name) for name in here])):
        try:
            with server.session() as session:
                refuse_hidden(session, databases)
        except WorkbookError as error:
            yield ObjectVerdict("objects", f"of the {server.role}", "incomparable", f"{error.found} {error.why}")
    for path in mapping.unseen:
        kind = "table" if len(path) == 2 else "column"
        why = "the mapping names it and the source does not show it: it is gone, or may not be seen"
        yield ObjectVerdict(kind, mysql_path(*path), "incomparable", why)
    for segment in mapping.segments:
        # Whoever moves it to another segment has decided that it stays behind.
        if segment.name == UNDECIDED:
            for path in segment.tables:
                if why := _without_rule(catalog, path):
                    yield ObjectVerdict("table", mysql_path(*path), "incomparable", why)


def half_seen(catalog: Catalog, mapping: Mapping) -> dict[tuple[str, str], str]:
    """Tables in scope of which the source does not show every column, with the reason why they are not compared."""
    hidden: dict[tuple[str, str], list[str]] = {}
    for path in mapping.unseen:
        if len(path) == 3:
            hidden.setdefault(path[:2], []).append(path[2])
    found = {
        path: f"source: it does not show {', '.join(names[:5])}, which the mapping names"
        for path, names in hidden.items()
    }
    nothing = {item.path: "source: it shows none of its columns" for item in mapping.in_scope if not item.columns}
    return found | nothing


def _without_rule(catalog: Catalog, path: tuple[str, str]) -> str:
    try:
        for column in catalog.table[path].columns:
            rule_for(column, False)
    except Refused as error:
        return f"{error.found} Nobody has decided what becomes of the table: it is in the segment {UNDECIDED!r}."
    return ""
