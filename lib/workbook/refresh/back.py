"""The way back from a refresh: the copy before it is swapped in again, and the one that was read takes its place aside."""

from collections.abc import Callable
from dataclasses import dataclass

from workbook.catalog import read_catalog
from workbook.errors import UsageError
from workbook.params import Settings
from workbook.plan import Journal
from workbook.refresh.copies import Copies, Copy, aside_name, tables_of
from workbook.refresh.gate import Passage
from workbook.refresh.swap import restore, swap, triggers_of
from workbook.schema import Scope, read_definitions
from workbook.servers import Server

# A copy that was read before is older than any transaction that could not read it.
_ANY_TIME = "1970-01-01 00:00:00"


@dataclass(frozen=True)
class Back:
    """What going back did: the copy that is read again, by the moment when it left (`mark`), how the swap went, and
    where the other one is now. `read` are the databases whose tables were exchanged."""

    mark: str
    at: str  # when it left, by the clock of the ledger
    passage: Passage
    aside: tuple[str, ...]
    aside_mark: str
    read: tuple[str, ...]


def go_back(target: Server, settings: Settings, journal: Journal, say: Callable[[str], None]) -> Back:
    """Swap the copy before the last refresh back in, by one RENAME; doing it again brings the refresh back.

    Raises UsageError where no copy is kept, and as `swap` does.
    """
    copies = Copies(target, settings.environment)
    for found in copies.settle():
        say(found)
    kept = copies.kept()
    if not kept:
        raise UsageError(
            f"No copy before the one that is read is kept in the environment {settings.environment!r}.",
            "There is nothing to go back to.",
            "A refresh (bulk.mode: refresh) keeps as many as bulk.keep_copies says; `workbook rollback PHASE` undoes phases.",
        )
    before = kept[0]
    databases = sorted({path[0] for path in (*before.left, *before.came)})
    there = tables_of(target, databases)
    left = tuple(path for path in before.came if path in there)
    now = copies.new_mark()
    catalog = read_catalog(target, databases)
    definitions = read_definitions(target, catalog, Scope(tuple(databases), left))
    copy = Copy(
        now,
        "making",
        {path[0]: aside_name(path[0], now) for path in left},
        dict(before.databases),
        left,
        before.left,
        triggers_of(definitions, left),
    )
    patience = settings.bulk.swap_patience_s
    passage, copy = swap(target, copies, copy, journal, patience, _ANY_TIME, say)
    restore(target, before.triggers, patience)
    copies.drop(before)
    return Back(before.mark, before.at, passage, tuple(sorted(set(copy.databases.values()))), now, tuple(databases))
