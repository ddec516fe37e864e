"""The warehouse load: one snapshot of the target into raw tables, and clean tables of them, two tables at a time."""

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from google.cloud import bigquery

from workbook.catalog import Catalog, Table
from workbook.errors import Refused
from workbook.mapping import cleaning
from workbook.mapping.objects import Mapping, TableMap
from workbook.params import Settings
from workbook.plan import Journal
from workbook.progress import Progress
from workbook.servers import Server
from workbook.warehouse import statements
from workbook.warehouse.dialect import dialect_of
from workbook.warehouse.extract import ParquetFile, Reader, Snapshot, count_losses, extract, snapshot
from workbook.warehouse.ground import Ground, table_object
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.result import Changed, TableLoaded, WarehouseResult
from workbook.warehouse.statements import Place, place_of
from workbook.warehouse.streamed import load_marks

WORKERS = 2
Result = TypeVar("Result")


def load_warehouse(
    target: Server,
    client: bigquery.Client,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    journal: Journal,
    owned: Collection[str] = (),
) -> WarehouseResult:
    """Load the tables in scope from `target` (whose catalog is `catalog`) into the warehouse of `settings`.

    Tables of an earlier load are replaced, so a load that was killed is finished by running it again. `owned` are the
    objects in the journal that were not taken back. Raises Refused before anything is written where a table of the
    mapping is not on the target, or one of its name that the workbook did not make is in the warehouse.
    """
    return Loader(target, client, settings, journal, owned).run(catalog, mapping)


def clean_again(
    target: Server,
    client: bigquery.Client,
    settings: Settings,
    journal: Journal,
    owned: Collection[str],
    mapped: TableMap,
    table: Table,
) -> int:
    """Make a clean table anew of its raw one (and its parents'), which is there; its rows."""
    loader = Loader(target, client, settings, journal, owned)
    place = loader.place(mapped)
    loader.expect(place.wanted)
    nothing = TableLoaded(table.database, table.name, mapped.segment, place.raw, place.clean, 0, 0, 0)
    return loader.clean(nothing, place, table).rows_clean


def checked(catalog: Catalog, mapping: Mapping) -> list[tuple[TableMap, Table]]:
    """The tables in scope with what the target holds under their names."""
    pairs = []
    for mapped in mapping.in_scope:
        table = catalog.table.get(mapped.path)
        lacking = [column.name for column in mapped.columns if table and column.name not in table.column]
        if table is None or lacking:
            what = f"column {lacking[0]!r}" if lacking else "table"
            raise Refused(
                f"The target holds no {what} of {mapped.database}.{mapped.name}, which the mapping has in scope.",
                "The warehouse would lack it without a word.",
                "Run the phases schema and bulk_load first, or take the table out of scope in the mapping.",
            )
        pairs.append((mapped, table))
    return pairs


class Loader:
    """Carries the parts of one load: its client, its journal and what it may replace."""

    def __init__(
        self, target: Server, client: bigquery.Client, settings: Settings, journal: Journal, owned: Collection[str]
    ):
        self.target, self.settings = target, settings
        self.warehouse = settings.warehouse
        # Merges read only partitions in which something changed.
        self.laid_out = settings.cdc.warehouse
        self.jobs = Jobs(client, settings.warehouse.location)
        self.dialect = dialect_of(settings.warehouse)
        self.project = client.project
        self.journal = journal
        self.ground = Ground(self.jobs, journal, owned)

    def run(self, catalog: Catalog, mapping: Mapping) -> WarehouseResult:
        """Load all tables in scope of one snapshot."""
        started = time.monotonic()
        pairs = checked(catalog, mapping.on_target())
        self.prepare([mapped for mapped, _ in pairs])
        with (
            tempfile.TemporaryDirectory(prefix="warehouse-") as folder,
            load_marks(self.target, self.settings, self.journal, pairs) as marks,
            snapshot(self.target, min(WORKERS, max(1, len(pairs)))) as taken,
        ):
            marks.seen(taken)
            self.begin(pairs, taken)
            total = sum(table.rows_estimate for _, table in pairs)
            with Progress("Loading the warehouse", total, "rows") as progress:
                tables = self.load_all(pairs, taken, Path(folder), progress)
            left = self.end(tables, taken)
            marks.loaded(taken.gtid_executed)
        return WarehouseResult(
            project=self.project,
            raw_dataset=self.warehouse.raw_dataset,
            dataset=self.warehouse.dataset,
            gtid_executed=taken.gtid_executed,
            tables=tables,
            seconds=time.monotonic() - started,
            left=left,
        )

    def begin(self, pairs: Sequence[tuple[TableMap, Table]], taken: Snapshot) -> None:
        """What is to be known of all tables before the first is loaded."""

    def end(self, tables: Sequence[TableLoaded], taken: Snapshot) -> tuple[str, ...]:
        """What is to be noted once all are loaded; the tables of earlier loads that are not loaded any more."""
        return ()

    def prepare(self, mapped: Sequence[TableMap]) -> None:
        """Refuse what must not be replaced, then make the datasets that are not there."""
        names = (self.warehouse.raw_dataset, self.warehouse.dataset)
        for name in self.ground.look(names, [name for item in mapped for name in self.wanted(self.place(item))]):
            kind = "Raw" if name == self.warehouse.raw_dataset else "Clean"
            self.ground.make_dataset(name, f"{kind} tables of the migration workbook")

    def expect(self, names: Collection[str]) -> None:
        """Know that these tables are there."""
        self.ground.existing |= set(names)

    def wanted(self, place: Place) -> tuple[str, ...]:
        """The tables that a load makes for one of the mapping."""
        return place.wanted

    def load_all(
        self, pairs: Sequence[tuple[TableMap, Table]], taken: Snapshot, folder: Path, progress: Progress
    ) -> tuple[TableLoaded, ...]:
        """Load every pair, as many at a time as the snapshot has readers, in the given order."""
        waiting: queue.SimpleQueue[tuple[int, TableMap, Table]] = queue.SimpleQueue()
        for place, (mapped, table) in enumerate(pairs):
            waiting.put((place, mapped, table))
        done: dict[int, TableLoaded] = {}
        stop = threading.Event()

        def work(number: int, reader: Reader) -> None:
            own = folder / str(number)
            own.mkdir()
            while not stop.is_set():
                try:
                    place, mapped, table = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    done[place] = self.load(mapped, table, reader, own, progress)
                except BaseException:
                    stop.set()
                    raise

        with ThreadPoolExecutor(len(taken.readers)) as pool:
            futures = [pool.submit(work, number, reader) for number, reader in enumerate(taken.readers)]
        for future in futures:
            future.result()
        return self.clean_related(pairs, [done[place] for place in sorted(done)])

    def clean_related(
        self, pairs: Sequence[tuple[TableMap, Table]], tables: Sequence[TableLoaded]
    ) -> tuple[TableLoaded, ...]:
        """Make the clean tables with orphan rules, now that the raw tables of all parents are there."""

        def one(pair: tuple[TableMap, Table], loaded: TableLoaded) -> TableLoaded:
            return self.relate(*pair, loaded) if pair[0].orphans else loaded

        with ThreadPoolExecutor(WORKERS) as pool:
            return tuple(pool.map(one, pairs, tables))

    def relate(self, mapped: TableMap, table: Table, loaded: TableLoaded) -> TableLoaded:
        """Make a clean table with orphan rules; all raw tables are there."""
        return self.clean(loaded, self.place(mapped), table)

    def load(self, mapped: TableMap, table: Table, reader: Reader, folder: Path, progress: Progress) -> TableLoaded:
        """Load a table whole: its raw copy from the snapshot of `reader`, its clean table of that.

        With orphan rules the clean table is left to `clean_related`.
        """
        place = self.place(mapped)
        note = f"{table.database}.{table.name}"
        loaded = TableLoaded(table.database, table.name, mapped.segment, place.raw, place.clean, 0, 0, 0)
        clock, loading = time.monotonic(), list[Future[tuple[int, float]]]()
        # One file is loaded while the next is read; they are loaded in order, because the first makes the table.
        with ThreadPoolExecutor(1) as loader:
            counting = loader.submit(count_losses, reader.connection, self.target, table, mapped)
            if not reader.two:
                counting.result()
            for file in extract(reader, self.target, table, mapped, folder):
                loaded = replace(
                    loaded,
                    rows_extracted=loaded.rows_extracted + file.rows,
                    bytes=loaded.bytes + file.bytes,
                    files=loaded.files + 1,
                    seconds_extract=loaded.seconds_extract + time.monotonic() - clock,
                )
                # What the counting refuses replaces nothing.
                (loading[-1] if loading else counting).result()
                loading.append(loader.submit(self._load_file, file, place, table, first=not loading))
                clock = time.monotonic()
                progress.advance(file.rows, note)
        done = [one.result() for one in loading]
        loaded = replace(
            loaded,
            rows_raw=sum(rows for rows, _ in done),
            seconds_load=sum(seconds for _, seconds in done),
            lost=counting.result(),
        )
        return loaded if mapped.orphans else self.clean(loaded, place, table)

    def clean(self, loaded: TableLoaded, place: Place, table: Table) -> TableLoaded:
        """Make the clean table and the one of rows set aside, and count what the rules did."""
        started = time.monotonic()
        mapped = place.mapped
        self._drop_other_layout(place, place.clean, True)
        during = f"cleaning {table.database}.{table.name}"
        self._replaced(place, place.clean, lambda: self.jobs.run(statements.create_clean(place, table), during))
        rows = self._describe(place, table)
        rejected: dict[str, int] = {}
        create_rejected = statements.create_rejected(place, table)
        if create_rejected is not None:
            self._replaced(place, place.rejected, lambda: self.jobs.run(create_rejected, during))
            rejected = {
                row["rule"]: int(row["number"]) for row in self.jobs.run(statements.count_rejected(place), during)
            }
        elif place.rejected in self.ground.existing and table_object(place.rejected) in self.ground.owned:
            # An earlier mapping set rows aside; what it left would look like this load's.
            self.jobs.run(statements.drop_table(place, place.rejected), during)
        changed: list[Changed] = []
        counted = cleaning.counts_select(mapped, place.quoted(place.raw), place.raw_path)
        if counted is not None:
            sql, counts = counted
            row = self.jobs.run(sql, during)[0]
            changed = [Changed(count.column, count.rule, count.what, int(row[count.label])) for count in counts]
        return replace(
            loaded,
            rows_clean=rows,
            rejected=rejected,
            changed=tuple(changed),
            seconds_clean=time.monotonic() - started,
        )

    def _describe(self, place: Place, table: Table) -> int:
        """Describe the columns of the clean table, which a statement that selects cannot; its rows."""
        made = self.jobs.table(place.clean)
        texts = statements.column_texts(place.mapped, table)
        made.schema = [
            bigquery.SchemaField.from_api_repr({**field.to_api_repr(), "description": texts[field.name]})
            for field in made.schema
        ]
        self.jobs.update(made, ["schema", *self.dialect.forgotten(made, statements.layout(place.mapped))])
        return int(made.num_rows or 0)

    def make_way(self, place: Place, name: str, table: Table) -> None:
        """Drop a table of ours that the service could not replace by one of the columns of `place`."""
        schema = statements.raw_schema(place.mapped, table)
        if name in self.ground.existing and self.dialect.in_the_way(self.jobs.table(name), schema):
            self.jobs.run(statements.drop_table(place, name), f"making way for {name}")
            self.ground.existing.discard(name)

    def _drop_other_layout(self, place: Place, name: str, laid_out: bool) -> None:
        """Drop our table of an earlier load where it is laid out otherwise: BigQuery replaces none such."""
        if name not in self.ground.existing:
            return
        there = self.jobs.table(name)
        wanted = statements.partitioning(place.mapped) if laid_out else None
        now = there.time_partitioning
        same = (now and (now.field, now.type_)) == (wanted and (wanted.field, wanted.type_))
        if not same or list(there.clustering_fields or []) != (statements.clustering(place.mapped) if laid_out else []):
            self.jobs.run(statements.drop_table(place, name), f"laying out {name} anew")

    def _load_file(self, file: ParquetFile, place: Place, table: Table, first: bool) -> tuple[int, float]:
        """A file into the raw table, and away with it; the rows loaded, and the seconds that it took."""
        began = time.monotonic()
        rows = self._load_first(file, place, table) if first else self.jobs.load(file, place, table, first=False)
        file.path.unlink()
        return rows, time.monotonic() - began

    def _load_first(self, file: ParquetFile, place: Place, table: Table) -> int:
        """The first file into the raw table, in the place of all that it held."""
        self.make_way(place, place.raw, table)
        self._drop_other_layout(place, place.raw, self.laid_out)
        load = partial(self.jobs.load, file, place, table, first=True, laid_out=self.laid_out)
        rows = self._replaced(place, place.raw, load)
        if self.laid_out:
            made = self.jobs.table(place.raw)
            if forgotten := self.dialect.forgotten(made, statements.layout(place.mapped)):
                self.jobs.update(made, forgotten)
        return rows

    def _replaced(self, place: Place, name: str, action: Callable[[], Result]) -> Result:
        return self.ground.make(table_object(name), statements.drop_table(place, name), action)

    def place(self, mapped: TableMap) -> Place:
        """Where a table goes."""
        return place_of(mapped, self.project, self.warehouse)
