"""The copy that is being made: its databases, its tables as the source defines them now, and whether there is room."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from workbook.bulk.defer import Unjournaled
from workbook.bulk.landing import Landing
from workbook.bulk.ledger import SCHEMA
from workbook.catalog import Catalog
from workbook.errors import Refused
from workbook.mapping import Mapping
from workbook.names import mysql_path, mysql_string, quote_mysql
from workbook.params import Settings
from workbook.plan import Journal, apply
from workbook.refresh.copies import NEW, Copies, Copy, Path, aside_name, databases_among, tables_of
from workbook.schema import Definitions, SchemaPlan, plan, plan_schema, read_target, read_wanted
from workbook.schema.planning import object_name, refuse_taken
from workbook.servers import Server

# What rows take on the target beside what they took on the source: pages are filled less by chance than by years of use,
# and the logs of one night come on top.
_ROOM = 1.1


@dataclass(frozen=True)
class Live:
    """What is read now: the definitions that are wanted, and the target's own of the same databases."""

    wanted: Definitions
    there: Definitions

    @property
    def code_plan(self) -> SchemaPlan:
        """The plan of all but the tables, which come in by the swap. Raises Refused for code that was changed, and for
        what would stand on tables or columns that are no more."""
        held = {item.key: item.held for item in self.wanted.code if item.held and item.kind != "trigger"}
        broken = next((item for item in self.there.code if item.key in held), None)
        if broken is not None:
            raise Refused(
                f"The {broken.kind} {mysql_path(broken.database, broken.name)} is on the target, and the mapping holds it"
                f" back since: {held[broken.key]}.",
                "It would be left standing on what the swap takes away.",
                f"Drop it on the target (DROP {broken.kind.upper()}), or take the mapping's change back; then run again.",
            )
        code = tuple(item for item in self.there.code if item.kind != "trigger")
        catalog = replace(self.there.catalog, tables=(), triggers=())
        bare = replace(self.there, tables={}, code=code, catalog=catalog)
        ours = {object_name(item.kind, item.database, item.name) for item in code}
        planned = plan(self.wanted, bare, ours)
        return replace(planned, steps=tuple(step for step in planned.steps if step.kind not in ("table", "counter")))


def read_live(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping, owned: Collection[str]
) -> tuple[Live, tuple[Path, ...]]:
    """What is read now, and the tables of ours that no table of the source goes to any more.

    Raises Refused, before anything is written, where the target holds what is not ours or was changed there.
    """
    wanted = read_wanted(source, catalog, mapping)
    there = read_target(target, wanted)
    refuse_taken(wanted, there, owned)
    live = Live(wanted, there)
    _ = live.code_plan
    ends = {item.target_path for item in mapping.tables.values()}
    gone = tuple(
        table.path
        for table in there.catalog.tables
        if table.path not in ends and object_name("table", *table.path) in owned
    )
    # The definitions of what is in scope only; those that are gone are read with them.
    scope = replace(wanted.scope, tables=(*wanted.scope.tables, *gone))
    return Live(wanted, read_target(target, replace(wanted, scope=scope))) if gone else live, gone


def make_aside(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    copies: Copies,
    journal: Journal,
    say: Callable[[str], None],
) -> Copy:
    """The databases and tables of the new copy, empty or as a run before this one left them.

    What such a run left is taken up where it fits to what the source defines now, and made anew otherwise.
    """
    databases = {item.target_path[0]: aside_name(item.target_path[0], NEW) for item in mapping.in_scope}
    copy = Copy(NEW, "making", databases)
    before = next((item for item in copies.all() if item.mark == NEW), None)
    if before is not None and not _fits(source, target, catalog, mapping, copy, before):
        say("What an interrupted refresh left does not fit to the source any more, and is made anew")
        forget_load(target, copy, settings)
        copies.drop(before)
    # Looked at before there is a database of that name: afterwards only the register tells.
    for name in sorted(set(databases.values())):
        if name not in databases_among(target, [name]) and before is not None:
            forget_load(target, copy, settings)
    copies.claim(copy, journal)
    planned = plan_schema(source, target, catalog, mapping, owned_aside(target, copy), aside=databases)
    apply(planned, target, Unjournaled())
    return copy


def owned_aside(target: Server, copy: Copy) -> set[str]:
    """Everything in the databases of a copy is ours."""
    names = sorted(set(copy.databases.values()))
    found = {object_name("table", *path) for path in tables_of(target, names)}
    return found | {f"database {quote_mysql(name)}" for name in names}


def forget_load(target: Server, copy: Copy, settings: Settings) -> None:
    """Forget which chunks were loaded into a copy that is no more."""
    name = f"load_{Landing(copy.databases).ledger(settings.environment)}"
    if (SCHEMA, name) in tables_of(target, [SCHEMA]):
        target.execute(f"DELETE FROM {mysql_path(SCHEMA, name)}")


def refuse_full_disk(target: Server, catalog: Catalog, mapping: Mapping, settings: Settings) -> int:
    """Bytes that the new copy will take. Raises Refused where the params name a disk and it has no room for them."""
    need = int(
        _ROOM * sum(catalog.table[t.path].data_bytes + catalog.table[t.path].index_bytes for t in mapping.in_scope)
    )
    if settings.bulk.target_disk_gb is None:
        return need
    new = [aside_name(name, NEW) for name in {item.target_path[0] for item in mapping.in_scope}]
    with target.session() as session:
        session.execute("SET SESSION information_schema_stats_expiry = 0")
        listed = ", ".join(mysql_string(name) for name in new)
        used = int(
            session.scalar(
                "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH + DATA_FREE), 0) FROM information_schema.TABLES"
                f" WHERE TABLE_SCHEMA NOT IN ({listed})"
            )
        )
    size = settings.bulk.target_disk_gb * 1e9
    if used + need > size:
        raise Refused(
            f"The new copy needs about {need / 1e9:,.2f} GB; {used / 1e9:,.2f} of the target's"
            f" {settings.bulk.target_disk_gb:g} GB are in use.",
            "A refresh holds the new copy beside the one that is read and those that are kept; a full disk would stop both.",
            "Make the disk larger (and bulk.target_disk_gb with it), or keep fewer copies (bulk.keep_copies).",
        )
    return need


def _fits(source: Server, target: Server, catalog: Catalog, mapping: Mapping, copy: Copy, before: Copy) -> bool:
    if dict(copy.databases) != dict(before.databases):
        return False
    names = sorted(set(copy.databases.values()))
    ends = [item.target_path for item in mapping.in_scope]
    wanted = {(copy.databases[database], name) for database, name in ends}
    if not tables_of(target, names) <= wanted:
        return False
    try:
        plan_schema(source, target, catalog, mapping, owned_aside(target, copy), False, copy.databases)
    except Refused:
        return False
    return True
