"""A merge: what waits in the outbox goes into the log of changes, and from there into the raw and clean tables of BigQuery."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from google.cloud import bigquery

from workbook.catalog import Catalog
from workbook.cdc import merge_statements as statements
from workbook.cdc.drain import Drain, Way
from workbook.cdc.ledger import Ledger
from workbook.cdc.merge_result import Merged, MergedTable
from workbook.errors import Refused
from workbook.mapping import Mapping
from workbook.params import Settings
from workbook.plan import Journal
from workbook.servers import Server, Session
from workbook.warehouse.dialect import dialect_of
from workbook.warehouse.ground import table_object
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.load import clean_again
from workbook.warehouse.statements import LABEL, create_clean, create_rejected, drop_table, place_of, table_text
from workbook.warehouse.streamed import Leg, Streamed, layout

_LOCK_SECONDS = 5
_GB = 1 << 30
_LEFT = "left"


@dataclass(frozen=True)
class _Task:
    """What is to be done for one leg: its statements, and the bytes that BigQuery says they read."""

    way: Way
    leg: Leg
    merges: tuple[str, ...]
    anew: bool
    bytes: int


def merge(
    target: Server,
    client: bigquery.Client,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    journal: Journal,
    owned: Collection[str],
) -> Merged:
    """Bring the warehouse to where the target (whose catalog is `catalog`) is now.

    A second time is nothing. Raises Refused where BigQuery would read more than `cdc.merge_gb`: the log then has the changes
    all the same.
    """
    return _Merge(target, client, catalog, mapping.on_target(), settings, journal, owned).run()


class _Merge:
    def __init__(
        self,
        target: Server,
        client: bigquery.Client,
        catalog: Catalog,
        mapping: Mapping,
        settings: Settings,
        journal: Journal,
        owned: Collection[str],
    ):
        self._target, self._client, self._settings = target, client, settings
        self._journal, self._owned = journal, set(owned)
        self._jobs = Jobs(client, settings.warehouse.location)
        self._streamed = Streamed(target, settings.environment)
        self._dialect = dialect_of(settings.warehouse)
        self._ways = {
            item.path: Way(place_of(item, client.project, settings.warehouse), catalog.table[item.path])
            for item in mapping.in_scope
            if item.path in catalog.table
        }
        self._names = {item.warehouse_name.lower() for item in mapping.in_scope}
        self._tables = {item.path: item for item in mapping.in_scope}
        self._logs: dict[tuple[str, str], str] = {}

    def run(self) -> Merged:
        started = time.monotonic()
        if not self._streamed.exists():
            raise Refused(
                "Nothing was put aside for the warehouse yet.",
                "Changes go on into it from a load of it on, and while a stream runs that was started with cdc.warehouse.",
                "Run `workbook run cdc warehouse`, then go on.",
            )
        with self._streamed.held(_LOCK_SECONDS) as session:
            # In this order: what the state shows is in the outbox, which may hold more already.
            gtids = session.gtids()
            position = Ledger(self._settings.environment).position(self._target)
            drain = Drain(session, self._streamed, self._jobs, self._settings.environment, self._ways, self._ready)
            drained = drain.run()
            legs = [self._sound(leg) for leg in self._streamed.read(session)]
            tasks = [self._task(leg) for leg in legs if leg.waiting and not leg.stopped]
            tasks += self._children(legs, {task.leg.path for task in tasks})
            self._refuse(sum(task.bytes for task in tasks))
            done = {
                number: made for group in self._groups(tasks) for number, made in self._carry_out(session, group, gtids)
            }
            for leg in legs:
                if not leg.stopped and leg.number not in done:
                    self._note(session, leg, gtids)
            merged = Merged(
                tables=tuple(
                    replace(
                        done.get(leg.number) or MergedTable(*leg.path, how=_LEFT if leg.stopped else "nothing new"),
                        logged=drained.changes.get(leg.number, 0),
                        why=leg.stopped,
                    )
                    for leg in legs
                ),
                skipped=drained.skipped,
                gtids=gtids,
                seconds=time.monotonic() - started,
            )
            session.execute(
                f"UPDATE {self._streamed.drain} SET skipped = skipped + %s, committed = %s, merged_at = %s",
                (sum(drained.skipped.values()), position.committed if position else 0.0, time.time()),
            )
            return merged

    def _sound(self, leg: Leg) -> Leg:
        """The leg, stopped where the table is another than the one that was loaded."""
        way = self._ways.get(leg.path)
        if leg.stopped or (way is not None and layout(way.mapped, way.table) == leg.layout):
            return leg
        why = "its definition or its mapping has changed since it was loaded"
        self._streamed.stop(why, leg.number)
        return replace(leg, stopped=why)

    def _task(self, leg: Leg) -> _Task:
        way = self._ways[leg.path]
        place, table = way.place, way.table
        whole = statements.mergeable(way.mapped, table)
        merges = [statements.merge(place, table, leg, clean) for clean in ((False, True) if whole else (False,))]
        read = [statements.log_name(place), place.raw, place.clean]
        size = sum(self._dialect.estimate(self._jobs, sql, read, f"estimating {place.raw}") for sql in merges)
        return _Task(way, leg, tuple(merges), not whole, size if whole else size + self._size_anew(way))

    def _children(self, legs: Sequence[Leg], merged: Collection[tuple[str, str]]) -> list[_Task]:
        """Tables without a change of their own whose orphans are looked for among rows that are `merged`. One that is left to
        the load is among them where its raw table is as it was mapped."""
        children = []
        for leg in legs:
            way = self._ways.get(leg.path)
            loaded = leg.gtids or not leg.stopped
            if way is None or leg.path in merged or not loaded or layout(way.mapped, way.table) != leg.layout:
                continue
            if any(rule.parent.path in merged for rule in way.mapped.orphans):
                children.append(_Task(way, leg, (), True, self._size_anew(way)))
        return children

    def _size_anew(self, way: Way) -> int:
        place = way.place
        read = list(dict.fromkeys((place.raw, *(replace(place, mapped=one.parent).raw for one in way.mapped.orphans))))
        making = create_clean(place, way.table), create_rejected(place, way.table)
        return sum(self._dialect.estimate(self._jobs, sql, read, f"estimating {place.clean}") for sql in making if sql)

    def _groups(self, tasks: Sequence[_Task]) -> list[list[_Task]]:
        """What is carried out together: a table alone; those with orphan rules with all their parents."""
        family = {
            path
            for way in self._ways.values()
            for rule in way.mapped.orphans
            for path in (way.mapped.path, rule.parent.path)
        }
        together = [task for task in tasks if task.leg.path in family]
        return [*([task] for task in tasks if task.leg.path not in family), together]

    def _refuse(self, size: int) -> None:
        most = self._settings.cdc.merge_gb * _GB
        if size > most:
            raise Refused(
                f"The merge would have BigQuery read {size / _GB:,.6f} GB, and cdc.merge_gb allows {most / _GB:,.6g}.",
                "Reading is what BigQuery bills. The changes are in the log, and nothing was merged.",
                "Raise cdc.merge_gb, merge less often, or partition the tables by a column that changes keep to.",
            )

    def _carry_out(self, session: Session, tasks: Sequence[_Task], gtids: str) -> list[tuple[int, MergedTable]]:
        """Merge into all raw tables, make clean tables anew of them, and note that only then; what was done, by leg."""
        done = []
        for task in tasks:
            changed = [self._jobs.change(sql, f"merging into {task.way.place.raw}") for sql in task.merges]
            how = "emptied, merged" if task.leg.truncated > task.leg.merged else "merged"
            how = how if task.merges else _LEFT if task.leg.stopped else "no change of its own"
            how = f"{how}, clean table made anew" if task.anew else how
            rows = changed[0] if changed else 0
            done.append((task.leg.number, MergedTable(*task.leg.path, how=how, rows=rows, bytes=task.bytes)))
        for task in tasks:
            if task.anew:
                mapped, table = task.way.mapped, task.way.table
                clean_again(self._target, self._client, self._settings, self._journal, self._owned, mapped, table)
        for task in tasks:
            self._note(session, task.leg, gtids)
        return done

    def _note(self, session: Session, leg: Leg, gtids: str) -> None:
        session.execute(
            f"UPDATE {self._streamed.legs} SET merged = GREATEST(merged, pending), gtids = %s, first_at = NULL,"
            " last_at = NULL, low = NULL, high = NULL, nulls = FALSE WHERE leg = %s AND stopped IS NULL",
            (gtids, leg.number),
        )

    def _ready(self, way: Way) -> str:
        """Make the log of a table where it is not there; why it cannot be."""
        if way.mapped.path not in self._logs:
            self._logs[way.mapped.path] = self._made(way)
        return self._logs[way.mapped.path]

    def _made(self, way: Way) -> str:
        place, name = way.place, statements.log_name(way.place)
        if name.split(".", 1)[1].lower() in self._names:
            return f"its log {name} would have the name of another table: give that one another in the mapping"
        wanted = statements.log_schema(way.mapped, way.table)
        if name.split(".", 1)[1] not in self._jobs.tables(place.raw_dataset):
            self._make(way, name, wanted)
            return ""
        if table_object(name) not in self._owned:
            return f"its log {name} is there already, and the workbook did not make it: move it away"
        there = self._jobs.table(name)
        known = {field.name: field for field in there.schema}
        odd = [
            field.name
            for field in wanted
            if field.name in known
            and _KIND.get(known[field.name].field_type, known[field.name].field_type) != field.field_type
        ]
        if odd:
            return f"the column {odd[0]!r} has another type in its log {name}: move that away"
        added = [field for field in wanted if field.name not in known]
        if added:
            there.schema = [*there.schema, *added]
            self._jobs.update(there, ["schema"])
        return ""

    def _make(self, way: Way, name: str, schema: Sequence[bigquery.SchemaField]) -> None:
        place = way.place
        made = bigquery.Table(f"{place.project}.{name}", schema=schema)
        made.time_partitioning = bigquery.TimePartitioning("DAY", statements.marks(way.mapped).at)
        made.clustering_fields = statements.log_clusters(way.mapped, way.table) or None
        made.description = f"Every change that reached {table_text(way.table)}"
        made.labels = dict([LABEL])
        number = self._journal.intend(table_object(name), drop_table(place, name), "warehouse")
        self._jobs.make_table(made)
        self._journal.confirm(number)
        self._owned.add(table_object(name))


# Names that BigQuery's API and its SQL have for one type.
_KIND = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
