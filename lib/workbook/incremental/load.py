"""The night: each table goes its way, its state is forgotten before its rows are touched and noted once they are right."""

import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from google.cloud import bigquery

from workbook.catalog import Catalog, Table
from workbook.errors import Refused, WorkbookError
from workbook.incremental import state as states
from workbook.incremental.gone import counts, stretches, unlike
from workbook.incremental.keys import keys_file, matching, ordered_alike, within
from workbook.incremental.reading import (
    SnapshotSession,
    beyond,
    changed_ranges,
    count,
    sums_of,
    watermark_of,
    where_of,
)
from workbook.incremental.state import TableState, read_state, state_of
from workbook.incremental.statements import Staging, count_new, count_rows, replacing, row_by_row
from workbook.incremental.ways import Known, Way, way_of, why_odd, why_whole
from workbook.mapping import Mapping, TableMap, cleaning
from workbook.names import bigquery_path
from workbook.params import Settings
from workbook.plan import Journal
from workbook.progress import Progress
from workbook.servers import Server
from workbook.validate.binlog import Touched
from workbook.validate.binlog_rows import Unreadable
from workbook.validate.keyed import keyed_chunks
from workbook.validate.touched import cascades_told, place, touched_since
from workbook.warehouse import statements as whole
from workbook.warehouse.extract import EVERYWHERE, Reader, Snapshot, Where, count_losses, extract
from workbook.warehouse.ground import table_object
from workbook.warehouse.load import Loader
from workbook.warehouse.result import Changed, TableLoaded, WarehouseResult
from workbook.warehouse.statements import Place

# Where so many of the rows are to be replaced, replacing the table is quicker.
_MOST_SHARE = 0.5
TablePath = tuple[str, str]


def load_night(
    target: Server,
    client: bigquery.Client,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    journal: Journal,
    owned: Collection[str] = (),
) -> WarehouseResult:
    """Bring the warehouse to what `target` holds now, each table by the mode of the mapping, else of the params.

    What was loaded when is noted in the warehouse; a night that was killed is finished by running it again. Otherwise as
    `load_warehouse`, which is what every table gets whose way is full.
    """
    return NightLoader(target, client, settings, journal, owned).run(catalog, mapping)


class _NotThisWay(Exception):
    """The way turned out not to lead there; its text says why."""


class NightLoader(Loader):
    """A loader that goes by what is known of the last load."""

    def __init__(
        self, target: Server, client: bigquery.Client, settings: Settings, journal: Journal, owned: Collection[str]
    ):
        super().__init__(target, client, settings, journal, owned)
        # What was noted of each table when the night began, by its name in the warehouse.
        self._kept: dict[str, TableState | None] = {}
        self._known: dict[TablePath, Known] = {}
        self._ways: dict[TablePath, Way] = {}
        self._states: dict[TablePath, TableState] = {}
        self._same: list[str] = []
        self._left: tuple[str, ...] = ()
        self._staged: dict[TablePath, list[str]] = {}
        # Tables whose raw rows were written to tonight, and the states of those whose clean table waits for their parents'.
        self._touched: set[TablePath] = set()
        self._waiting: dict[TablePath, TableState] = {}
        # BigQuery ends one of two statements that change the table of states at once.
        self._writing = threading.Lock()

    def wanted(self, place: Place) -> tuple[str, ...]:
        """The tables that a night makes for one of the mapping."""
        staging = Staging(place)
        return (*place.wanted, staging.rows, staging.keys)

    def prepare(self, mapped: Sequence[TableMap]) -> None:
        """Refuse what must not be replaced, then make the datasets and the table of states where they are not there."""
        raw = self.warehouse.raw_dataset
        taken = {name.lower() for item in mapped for name in self.place(item).wanted}
        own = {f"{raw}.{states.NAME}", *(name for item in mapped for name in self.wanted(self.place(item))[-2:])}
        if clash := next((name for name in own if name.lower() in taken), None):
            raise Refused(
                f"A table of the mapping is called {clash} in the warehouse.",
                "The nightly load keeps its own notes under that name.",
                "Give the table another name in the mapping: warehouse: {name: …}.",
            )
        super().prepare(mapped)
        name = f"{raw}.{states.NAME}"
        if name in self.ground.existing and table_object(name) not in self.ground.owned:
            raise Refused(
                f"The warehouse already holds {name}, and the workbook did not make it.",
                "A table that was there before is never written to.",
                "Move it away, or name another dataset under `warehouse` in the params.",
            )
        self.ground.make(
            table_object(name),
            f"DROP TABLE IF EXISTS {bigquery_path(self.project, raw, states.NAME)}",
            partial(self.jobs.make_table, states.described(self.project, raw)),
        )

    def begin(self, pairs: Sequence[tuple[TableMap, Table]], taken: Snapshot) -> None:
        """Find the way of each table. The binlog is read after the snapshot was taken, so that it tells of all that it shows."""
        stands = place(self.target)
        raw = self.warehouse.raw_dataset
        if f"{raw}.{states.NAME}" in self.ground.existing:
            self._kept = {
                str(row["name"]): read_state(row["state"], row["gtids"] or "")
                for row in self.jobs.run(states.read_statement(self.project, raw), "reading what was loaded")
            }
        kept = self._kept
        listed = {mapped.warehouse_name for mapped, _ in pairs}
        left = {name: kept[name] for name in kept if name not in listed and f"{raw}.{name}" in self.ground.existing}
        self._left = tuple(f"{self.warehouse.dataset}.{name}" for name in left)
        counted = self._counted([self.place(mapped) for mapped, _ in pairs if mapped.warehouse_name in kept])
        for mapped, table in pairs:
            name = mapped.warehouse_name
            now = state_of(mapped, table, stands.server, "" if stands.why else taken.gtid_executed)
            renamed = next((".".join(one.path) for one in left.values() if one and one.columns == now.columns), "")
            before = kept.get(name)
            unread = stands.why or (
                "" if before is None or before.gtids else "where the target stood then is not known"
            )
            self._states[mapped.path] = now
            rows, rows_clean = counted.get(name, (None, None))
            self._known[mapped.path] = Known(before, rows, rows_clean, None, unread, renamed)
        self._read_binlog(pairs, taken)
        for mapped, table in pairs:
            self._ways[mapped.path] = way_of(
                mapped, table, self._mode(mapped), self._known[mapped.path], self._states[mapped.path]
            )
        for mapped, _ in pairs:
            self._doubt(mapped)

    def _doubt(self, mapped: TableMap) -> None:
        """Note of a clean table with orphan rules that it is to be made anew, before a parent changes: whatever becomes of
        this night, the next one then does it."""
        before = self._known[mapped.path].before
        family = {self._ways[path].name for path in (mapped.path, *(rule.parent.path for rule in mapped.orphans))}
        if mapped.orphans and before is not None and family != {"unchanged"}:
            self._note(mapped, replace(before, clean=""))

    def _mode(self, mapped: TableMap) -> str:
        return mapped.mode or self.warehouse.mode

    def _counted(self, places: Sequence[Place]) -> dict[str, tuple[int, int]]:
        there = [one for one in places if {one.raw, one.clean} <= self.ground.existing]
        found: dict[str, tuple[int, int]] = {}
        for sql in count_rows(there):
            for row in self.jobs.run(sql, "counting rows of the warehouse"):
                found[there[int(row["number"])].mapped.warehouse_name] = int(row["raw_rows"]), int(row["clean_rows"])
        return found

    def _read_binlog(self, pairs: Sequence[tuple[TableMap, Table]], taken: Snapshot) -> None:
        """Ask the binlog for the rows of tables that go by it, all that were loaded from the same state at once."""
        asked: dict[str, dict[TablePath, Table]] = {}
        for mapped, table in pairs:
            known = self._known[mapped.path]
            if self._mode(mapped) != "incremental" or mapped.watermark or known.unread or known.before is None:
                continue
            if why_whole(mapped, table, known, self._states[mapped.path]) or known.before.gtids == taken.gtid_executed:
                continue
            asked.setdefault(known.before.gtids, {})[table.path] = table
        for gtids, tables in asked.items():
            found: dict[TablePath, Touched] = {}
            why = ""
            try:
                found, _ = touched_since(self.target, tables, gtids, cascades_told(self.target))
            except (Unreadable, WorkbookError) as error:
                why = str(error) if isinstance(error, Unreadable) else error.found
            for path in tables:
                self._known[path] = replace(self._known[path], touched=found.get(path), unread=why)

    def load(self, mapped: TableMap, table: Table, reader: Reader, folder: Path, progress: Progress) -> TableLoaded:
        """Load a table its way; where that turns out not to lead there, whole."""
        way = self._ways[mapped.path]
        session = SnapshotSession(self.target, reader)
        ways = {
            "unchanged": self._unchanged,
            "watermark": self._by_watermark,
            "binlog": self._by_binlog,
            "checksums": self._by_sums,
        }
        if way.name != "full":
            try:
                loaded = ways[way.name](mapped, table, session, folder)
                progress.advance(table.rows_estimate, f"{table.database}.{table.name}")
                return loaded
            except _NotThisWay as why:
                way = Way("full", str(why), sums=way.name == "checksums")
            finally:
                self._tidy(mapped)
        return self._whole(mapped, table, session, folder, progress, way)

    def _whole(
        self, mapped: TableMap, table: Table, session: SnapshotSession, folder: Path, progress: Progress, way: Way
    ) -> TableLoaded:
        self._forget(mapped)
        self._touched.add(mapped.path)
        loaded = super().load(mapped, table, session.reader, folder, progress)
        fresh = replace(self._states[mapped.path], rows=loaded.rows_raw)
        if self._mode(mapped) != "full":
            if mapped.watermark:
                fresh = replace(fresh, watermark=watermark_of(session, table, mapped.watermark))
            elif way.sums:
                fresh = replace(fresh, ranges=sums_of(session, table, mapped))
        if mapped.orphans:
            self._waiting[mapped.path] = fresh
        elif loaded.verdict == "ok":
            self._remember(mapped, fresh, loaded)
        return replace(loaded, why=way.why, rows_written=loaded.rows_raw)

    def _finish(
        self, mapped: TableMap, table: Table, fresh: TableState, loaded: TableLoaded, anew: bool
    ) -> TableLoaded:
        """Make the clean table `anew` where it must be, and note the state; with orphan rules both wait for the parents."""
        if mapped.orphans:
            self._waiting[mapped.path] = fresh
            return loaded
        if anew:
            loaded = self.clean(loaded, self.place(mapped), table)
        self._remember(mapped, fresh, loaded)
        return loaded

    def relate(self, mapped: TableMap, table: Table, loaded: TableLoaded) -> TableLoaded:
        """Make a clean table with orphan rules anew where it or a parent changed tonight, and note its state."""
        changed = sorted({rule.parent.name for rule in mapped.orphans if rule.parent.path in self._touched})
        if mapped.path in self._touched or changed or self._other_clean(mapped):
            loaded = super().relate(mapped, table, loaded)
        if changed and mapped.path not in self._touched:
            loaded = replace(loaded, why=f"{loaded.why}; orphans were looked for again in {', '.join(changed)}")
        if loaded.verdict == "ok":
            self._remember(mapped, self._waiting[mapped.path], loaded)
        return loaded

    def _unchanged(self, mapped: TableMap, table: Table, session: SnapshotSession, folder: Path) -> TableLoaded:
        before = self._known[mapped.path].before
        assert before is not None
        loaded, now = self._begun(mapped, table, before), self._states[mapped.path]
        if mapped.orphans or self._other_clean(mapped):
            return self._finish(mapped, table, replace(before, gtids=now.gtids, clean=now.clean), loaded, True)
        self._same.append(mapped.warehouse_name)
        return loaded

    def _by_binlog(self, mapped: TableMap, table: Table, session: SnapshotSession, folder: Path) -> TableLoaded:
        touched = self._known[mapped.path].touched
        assert touched is not None
        try:
            gone = keys_file(touched, mapped, table, folder / "keys.parquet")
        except (Unreadable, UnicodeDecodeError) as error:
            raise _NotThisWay(f"its keys cannot be told from the binlog: {error}") from None
        staging = Staging(self.place(mapped))
        self._stage(mapped, table, staging.keys, [gone], keys=True)
        wheres = [chunk.where() for chunk in keyed_chunks(table, [touched])]
        condition = matching(mapped, table, staging.place.quoted(staging.keys))
        return self._replaced_rows(mapped, table, session, folder, wheres, [condition])

    def _by_watermark(self, mapped: TableMap, table: Table, session: SnapshotSession, folder: Path) -> TableLoaded:
        before, name = self._known[mapped.path].before, mapped.watermark
        assert before is not None
        assert name is not None
        if before.watermark is None and before.rows:
            raise _NotThisWay("no watermark of it was kept")
        fresh = replace(self._states[mapped.path], watermark=watermark_of(session, table, name))
        self._states[mapped.path] = fresh
        where = beyond(table, name, before.watermark, mapped.lookback)
        return self._replaced_rows(mapped, table, session, folder, [where], None)

    def _by_sums(self, mapped: TableMap, table: Table, session: SnapshotSession, folder: Path) -> TableLoaded:
        before = self._known[mapped.path].before
        assert before is not None
        now = sums_of(session, table, mapped, list(before.ranges))
        changed = changed_ranges(before.ranges, now)
        rows, many = sum(found[0] for found in now.values()), sum(now[bounds][0] for bounds in changed)
        why = f"{len(changed):,} of {len(now):,} key ranges are not as they were ({self._ways[mapped.path].why})"
        fresh = replace(self._states[mapped.path], ranges=now)
        self._states[mapped.path] = fresh
        if not changed and self._known[mapped.path].rows != rows:
            raise _NotThisWay(why_odd(self._known[mapped.path]))
        if not changed:
            loaded = replace(self._begun(mapped, table, before), why=why, rows_extracted=rows)
            return self._finish(mapped, table, replace(fresh, rows=rows), loaded, self._other_clean(mapped))
        if many > rows * _MOST_SHARE:
            raise _NotThisWay(f"{why}, and so much is read quicker whole")
        if not ordered_alike(mapped, table):
            raise _NotThisWay(f"{why}, and BigQuery does not order its keys as MySQL does")
        with self._writing:
            self._note(
                mapped, before.without([bounds for bounds in before.ranges if bounds not in now or bounds in changed])
            )
        wheres = where_of(table, changed)
        loaded = self._replaced_rows(mapped, table, session, folder, wheres, [within(mapped, table, changed)], rows)
        return replace(loaded, why=why)

    def _replaced_rows(
        self,
        mapped: TableMap,
        table: Table,
        session: SnapshotSession,
        folder: Path,
        wheres: Sequence[Where],
        conditions: list[str] | None,
        rows: int | None = None,
    ) -> TableLoaded:
        """Read the rows of `wheres`, put them in the place of those that meet a condition, bring the clean table along.

        Without conditions the rows that were read take the place of those of their keys, and keys that are in excess by
        count are looked for.
        """
        before = self._known[mapped.path].before
        assert before is not None
        one, staging, clock = self.place(mapped), Staging(self.place(mapped)), time.monotonic()
        had = self._known[mapped.path].rows or 0
        during = f"bringing {table.database}.{table.name} up to date"
        with ThreadPoolExecutor(1) as beside:
            counted = beside.submit(lambda: count(session, table) if rows is None else rows)
            # The server has the pages of these rows at hand once they were read.
            lost = beside.submit(count_losses, session.connection, self.target, table, mapped, wheres)
            if not session.reader.two:
                lost.result()
            read = extract(session.reader, self.target, table, mapped, folder, wheres)
            files, size = self._stage(mapped, table, staging.rows, read)
            loaded = replace(
                self._begun(mapped, table, before),
                lost=lost.result(),
                bytes=size,
                rows_read=files,
                seconds_extract=time.monotonic() - clock,
            )
            if any(name in loaded.lost for name in table.key):
                raise _NotThisWay("its key holds dates that BigQuery has not")
            clock = time.monotonic()
            if conditions is None:
                known = matching(mapped, table, one.quoted(staging.rows))
                conditions = [known]
                new = self.jobs.run(count_new(one, matching(mapped, table, one.quoted(one.raw))), during)[0]["n"]
                if had + int(new) != counted.result():
                    conditions.append(self._gone(mapped, table, session, folder, known, counted.result()))
            alone = row_by_row(mapped, table) and not self._other_clean(mapped)
            self._touched.add(mapped.path)
            self.jobs.run(replacing(one, conditions, alone), during)
            rows = counted.result()
        ((raw, clean),) = self._counted([one]).values()
        if raw != rows:
            raise _NotThisWay(
                f"after the way of the {self._ways[mapped.path].name} its raw table held {raw:,} rows, and the target {rows:,}"
            )
        loaded = replace(
            loaded,
            rows_extracted=rows,
            rows_raw=raw,
            rows_written=files,
            rows_deleted=max(had + files - raw, 0),
            seconds_load=time.monotonic() - clock,
        )
        if alone:
            loaded = self._cleaned(loaded, one, clean, during)
        fresh = replace(self._states[mapped.path], rows=raw)
        return self._finish(mapped, table, fresh, loaded, not alone or loaded.verdict != "ok")

    def _gone(
        self, mapped: TableMap, table: Table, session: SnapshotSession, folder: Path, known: str, rows: int
    ) -> str:
        """Stage the keys that the target holds where some are gone; the condition of the rows to take out.

        `known` is that of the rows that the night's replace, `rows` how many the target has.
        """
        one, staging = self.place(mapped), Staging(self.place(mapped))
        wheres, inside = [EVERYWHERE], ""
        if (cut := stretches(session, table, mapped, rows)) is not None:
            asked = cut.in_warehouse(one.quoted(one.raw), one.quoted(staging.rows), known)
            there = counts(self.jobs.run(asked, f"looking for rows of {one.raw} that are gone"))
            if some := unlike(cut.on_target(session), there):
                wheres, inside = list(cut.wheres(some)), f"{cut.condition(some)} AND "
        keyed = replace(mapped, columns=tuple(mapped.column[name] for name in table.key))
        keys = extract(session.reader, self.target, table, keyed, folder, wheres)
        self._stage(keyed, table, staging.keys, keys, keys=True)
        return f"{inside}NOT {matching(mapped, table, one.quoted(staging.keys))}"

    def _cleaned(self, loaded: TableLoaded, one: Place, rows: int, during: str) -> TableLoaded:
        """What cleaning did to the rows of the night."""
        rejected, changed = {}, []
        if cleaning.rejected_select(one.mapped, one.quoted(one.raw)) is not None:
            rejected = {row["rule"]: int(row["number"]) for row in self.jobs.run(whole.count_rejected(one), during)}
        counted = cleaning.counts_select(one.mapped, one.quoted(Staging(one).rows))
        if counted is not None:
            sql, counts = counted
            row = self.jobs.run(sql, during)[0]
            changed = [Changed(item.column, item.rule, item.what, int(row[item.label])) for item in counts]
        return replace(loaded, rows_clean=rows, rejected=rejected, changed=tuple(changed))

    def _stage(self, mapped: TableMap, table: Table, name: str, files: Any, keys: bool = False) -> tuple[int, int]:
        """Load files into a table beside the raw one; their rows and bytes. With `keys`, of the key's columns alone."""
        if keys:
            mapped = replace(mapped, columns=tuple(mapped.column[column] for column in table.key))
        one, rows, size = self.place(mapped), 0, 0
        for number, file in enumerate(files):
            load = partial(self.jobs.load, file, one, table, first=number == 0, name=name)
            if number == 0:
                self._staged.setdefault(mapped.path, []).append(name)
                self.make_way(one, name, table)
                self._replaced(one, name, load)
            else:
                load()
            file.path.unlink()
            rows, size = rows + file.rows, size + file.bytes
        return rows, size

    def _tidy(self, mapped: TableMap) -> None:
        one = self.place(mapped)
        for name in self._staged.pop(mapped.path, ()):
            self.jobs.run(whole.drop_table(one, name), f"tidying up after {one.raw}")

    def _begun(self, mapped: TableMap, table: Table, before: TableState) -> TableLoaded:
        """The result of a table of which nothing was done yet."""
        one, way = self.place(mapped), self._ways[mapped.path]
        return TableLoaded(
            table.database,
            table.name,
            mapped.segment,
            one.raw,
            one.clean,
            before.rows,
            before.rows,
            before.rows_clean,
            before.rejected,
            way=way.name,
            why=way.why,
            rows_read=0,
        )

    def _other_clean(self, mapped: TableMap) -> bool:
        """Whether the clean table is to be made otherwise than it was, or is not as it was left."""
        known = self._known[mapped.path]
        assert known.before is not None
        # A merge of the stream changes both; somebody else's hand, the clean table alone.
        touched = known.rows == known.before.rows and known.before.rows_clean != known.rows_clean
        return touched or known.before.clean != self._states[mapped.path].clean

    def _forget(self, mapped: TableMap) -> None:
        if mapped.warehouse_name not in self._kept:
            return
        sql = states.forget_statement(self.project, self.warehouse.raw_dataset)
        with self._writing:
            self.jobs.run(sql, "forgetting what was loaded", {"name": mapped.warehouse_name})

    def _remember(self, mapped: TableMap, fresh: TableState, loaded: TableLoaded) -> None:
        with self._writing:
            self._note(mapped, replace(fresh, rows_clean=loaded.rows_clean, rejected=loaded.rejected))

    def _note(self, mapped: TableMap, fresh: TableState) -> None:
        sql = states.remember_statement(self.project, self.warehouse.raw_dataset)
        values = {"name": mapped.warehouse_name, "gtids": fresh.gtids, "state": fresh.text()}
        self.jobs.run(sql, "noting what was loaded", values)

    def end(self, tables: Sequence[TableLoaded], taken: Snapshot) -> tuple[str, ...]:
        """Note where the target stands for tables that are as they were; the tables that no night loads any more."""
        if self._same:
            sql = states.advance_statement(self.project, self.warehouse.raw_dataset)
            self.jobs.run(sql, "noting what was loaded", {"gtids": taken.gtid_executed, "names": self._same})
        return self._left
