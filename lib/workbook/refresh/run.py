"""The refresh from its beginning to its end: made aside, loaded, proven, swapped in, the copy before it kept."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from workbook.bulk.landing import Landing
from workbook.bulk.load import load, say
from workbook.bulk.result import BulkResult
from workbook.catalog import Catalog
from workbook.errors import Refused, TransientError
from workbook.mapping import Mapping
from workbook.names import mysql_path, quote_mysql
from workbook.params import Settings
from workbook.plan import Journal, apply
from workbook.refresh.copies import Copies, Copy, Path, aside_name
from workbook.refresh.gate import clock
from workbook.refresh.making import Live, make_aside, owned_aside, read_live, refuse_full_disk
from workbook.refresh.result import RefreshResult
from workbook.refresh.swap import restore, swap, triggers_of
from workbook.schema import Definitions, SchemaPlan, compare, plan_again, read_target
from workbook.schema.planning import object_name
from workbook.schema.relocated import relocated
from workbook.schema.table import TableDefinition
from workbook.servers import Server
from workbook.validate.aside import Witnesses, compare_aside


def load_or_refresh(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    journal: Journal,
    owned: set[str],
) -> BulkResult | RefreshResult:
    """Load all rows the way `bulk.mode` says: into the tables in place, or into a copy aside that is swapped in."""
    if settings.bulk.mode == "refresh":
        return refresh(source, target, catalog, mapping, settings, journal, owned)
    return load(source, target, catalog, mapping, settings, journal, owned)


def refresh(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    journal: Journal,
    owned: set[str],
) -> RefreshResult:
    """Make a whole new copy aside, prove it against the picture of the source that it was made from, swap it in.

    Readers see the copy before until one moment, and the new one from then on. A copy that is not proven is not swapped
    in: the verdict is `different`, and what is read stays as it is. What a run that was cut off left is taken up.
    """
    if not mapping.in_scope:
        raise Refused(
            "The mapping has no table in scope.",
            "There is nothing to make a copy of, and what is read would be left without its tables.",
            "Give a segment the scope `in` in the mapping, then run again.",
        )
    copies = Copies(target, settings.environment)
    copies.create(journal)
    notes = copies.settle()
    live, gone = read_live(source, target, catalog, mapping, owned)
    need = refuse_full_disk(target, catalog, mapping, settings)
    new = make_aside(source, target, catalog, mapping, settings, copies, journal, say)
    witnesses = Witnesses(source, settings.validate_.workers)
    try:
        landing = Landing(new.databases, witnesses.open)
        loaded = load(source, target, catalog, mapping, settings, journal, owned_aside(target, new), landing)
        say("Proving the copy in the snapshot that it was made from")
        proof = compare_aside(witnesses, target, catalog, mapping, settings, landing.path)
    finally:
        witnesses.close()
    wanted = relocated(live.wanted, new.databases)
    made = read_target(target, wanted)
    objects = tuple(item for item in compare(wanted, made) if item.verdict == "different")
    result = RefreshResult(loaded, proof, objects, need, settings.bulk.keep_copies, tuple(notes))
    if result.verdict != "ok":
        return result
    swapped, changed = _exchange(copies, live, made, new, gone, loaded.snapshot.taken)
    _note_ways_back(swapped, live, changed, journal, owned)
    for step in live.code_plan.steps:
        if step.kind == "database":
            apply(SchemaPlan("refresh", (step,)), target, journal)
    patience = settings.bulk.swap_patience_s
    passage, swapped = swap(target, copies, swapped, journal, patience, clock(target), say)
    say(f"Swapped in {passage.rename_seconds:.3f} s; readers were held for {passage.held_seconds:.3f} s")
    known = owned | {object_name("table", *path) for path in swapped.came}
    code = plan_again(SchemaPlan("schema", (), (), live.wanted), target, known)
    _make_code(target, code, patience, journal, known)
    copies.drop(new)
    dropped = tuple(_rotate(copies, settings.bulk.keep_copies, say))
    left = plan_again(code, target, known | {step.object for step in code.steps}).steps
    return replace(
        result,
        passage=passage,
        swapped=swapped,
        changed=changed,
        dropped=dropped,
        missing=tuple(step.object for step in left),
    )


def _exchange(
    copies: Copies, live: Live, made: Definitions, new: Copy, gone: tuple[Path, ...], taken: str
) -> tuple[Copy, tuple[Path, ...]]:
    """The swap that is to be done, and the tables that come in with another definition than they had."""
    now = copies.new_mark()
    came = tuple(live.wanted.tables)
    left = (*(path for path in came if path in live.there.tables), *gone)
    copy = Copy(
        now,
        "making",
        {path[0]: aside_name(path[0], now) for path in left},
        dict(new.databases),
        left,
        came,
        triggers_of(live.there, left),
        taken,
    )
    names = {quote_mysql(aside): quote_mysql(name) for name, aside in new.databases.items()}
    changed = tuple(
        path
        for path in came
        if path in live.there.tables
        and _bare(live.there.split[path], {}) != _bare(made.split[new.databases[path[0]], path[1]], names)
    )
    return copy, changed


def _bare(table: TableDefinition, names: dict[str, str]) -> TableDefinition:
    """A definition without its counter, and with its parents under the names that they will have."""

    def renamed(text: str) -> str:
        for old, new in names.items():
            text = text.replace(f"REFERENCES {old}.", f"REFERENCES {new}.")
        return text

    options = tuple(option for option in table.options if option[0] != "AUTO_INCREMENT")
    keys = tuple(replace(key, text=renamed(key.text)) for key in table.foreign_keys)
    return replace(table, options=options, foreign_keys=keys)


def _note_ways_back(copy: Copy, live: Live, changed: tuple[Path, ...], journal: Journal, owned: set[str]) -> None:
    """Journal what a rollback of the phase has to do: empty the tables that never changed, make the others as they were.

    A table that changed, came or went has its definition noted the first time, as it was before any refresh, and from
    then on it is dropped: whichever copy is read when all is taken back, the table may be there or not.
    """

    def note(what: str, undo: str | None) -> None:
        journal.confirm(journal.intend(what, undo))

    for path in dict.fromkeys((*copy.left, *copy.came)):
        name = mysql_path(*path)
        first = f"definition of {name}" not in owned
        if first and path in copy.left and path in copy.came and path not in changed:
            note(f"rows of {name}", f"TRUNCATE TABLE {name}")
            continue
        if first:
            note(f"definition of {name}", live.there.split[path].create(path[0]) if path in copy.left else None)
        # Undone in reverse: what is there goes first, then the table of before is made.
        note(f"table {name}", f"DROP TABLE IF EXISTS {name}")


def _make_code(target: Server, planned: SchemaPlan, patience: float, journal: Journal, owned: set[str]) -> None:
    """Make triggers, and code that is new on the source; each at a moment when its table is free."""
    for step in planned.steps:
        # What a phase before this one made, and only comes back here, is that phase's to undo.
        number = None if step.object in owned else journal.intend(step.object, step.undo)
        restore(target, [step], patience)
        if number is not None:
            journal.confirm(number)


def _rotate(copies: Copies, keep: int, say: Callable[[str], None]) -> Iterable[str]:
    """Drop the oldest copies beyond those to keep; the names of their databases."""
    for copy in copies.kept()[keep:]:
        try:
            copies.drop(copy)
        except TransientError as error:
            say(f"The copy of {copy.mark} could not be dropped, the next refresh tries again: {error.found}")
            continue
        yield from sorted(copy.databases.values())
