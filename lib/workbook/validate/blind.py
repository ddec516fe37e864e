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


def _without_rule(catalog: Catalog, path: tuple[str, str]) -> str:
    try:
        for column in catalog.table[path].columns:
            rule_for(column, False)
    except Refused as error:
        return f"{error.found} Nobody has decided what becomes of the table: it is in the segment {UNDECIDED!r}."
    return ""
