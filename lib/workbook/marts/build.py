"""Building marts: each aside, tested there, and only what is right takes the place of what analysts read."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from google.cloud import bigquery

from workbook.errors import TerminalError
from workbook.mapping import Mapping as TableMapping
from workbook.marts import statements
from workbook.marts.files import Mart, Marts, MartTest
from workbook.marts.lineage import lineage
from workbook.marts.result import Built, Failing, Night, Tested
from workbook.marts.statements import Places
from workbook.params import Settings
from workbook.plan import Journal
from workbook.progress import Progress
from workbook.warehouse import WarehouseResult
from workbook.warehouse.dialect import dialect_of
from workbook.warehouse.ground import Ground, table_object
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.statements import Layout


def build_marts(
    client: bigquery.Client,
    settings: Settings,
    mapping: TableMapping,
    journal: Journal,
    owned: Collection[str],
    marts: Marts,
    loaded: WarehouseResult,
) -> Night:
    """Build the marts of the clean tables that `loaded` tells of; what became of both.

    A mart that fails, and all that need it, stay as they were. `owned` are the objects in the journal that were not taken
    back. Raises Refused before anything is written where a table of a mart's name is there that the workbook did not make.
    """
    started = time.monotonic()
    origins = lineage(marts, mapping)
    if not marts.marts:
        return Night(loaded, marts, (), (), origins, "", 0.0)
    builder = Builder(client, settings, journal, owned, marts)
    if loaded.verdict != "ok":
        built = tuple(Built(mart, status="held back", why="the tables below are not right") for mart in marts.marts)
        return Night(loaded, marts, built, (), origins, builder.dataset, 0.0)
    built, tested = builder.run()
    left = builder.left()
    return Night(loaded, marts, built, tested, origins, builder.dataset, time.monotonic() - started, left)


class Builder:
    """Carries the parts of one night's building."""

    def __init__(
        self,
        client: bigquery.Client,
        settings: Settings,
        journal: Journal,
        owned: Collection[str],
        marts: Marts,
    ):
        self.marts = marts
        self.jobs = Jobs(client, settings.warehouse.location)
        self.dialect = dialect_of(settings.warehouse)
        self.ground = Ground(self.jobs, journal, owned)
        self.places = Places(client.project, settings.warehouse)
        self.dataset = settings.warehouse.marts_dataset
        self.moment = datetime.now(UTC)
        self._built: dict[str, Built] = {}

    def run(self) -> tuple[tuple[Built, ...], tuple[Tested, ...]]:
        """Build and test all marts, then put those that are right into their places; the tests of one's own beside them."""
        raw = self.places.warehouse.raw_dataset
        wanted = [
            name for mart in self.marts.marts for name in (self.places.mart(mart.name), self.places.built(mart.name))
        ]
        for name in self.ground.look((raw, self.dataset), wanted):
            self.ground.make_dataset(name, "Tables for analysis, made by the migration workbook")
        with Progress("Building the marts", len(self.marts.marts), "marts") as progress:
            for mart in self.marts.marts:
                self._built[mart.name] = self._tried(mart)
                progress.advance(1, mart.name)
            tested = tuple(map(self._own_test, self.marts.tests))
            self._hold_back()
            for mart in self.marts.marts:
                if self._built[mart.name].status == "ok":
                    self._built[mart.name] = self._put_in_place(mart, self._built[mart.name])
        return tuple(self._built[mart.name] for mart in self.marts.marts), tested

    def left(self) -> tuple[str, ...]:
        """The marts of earlier nights that no file makes any more."""
        ours = {name for name in self.ground.existing if table_object(name) in self.ground.owned}
        wanted = {self.places.mart(mart.name) for mart in self.marts.marts}
        return tuple(sorted(name for name in ours - wanted if name.startswith(f"{self.dataset}.")))

    def _tried(self, mart: Mart) -> Built:
        began = time.monotonic()
        wrong = [name for name in sorted(mart.needs) if self._built[name].status != "ok"]
        if wrong:
            return Built(mart, status="held back", why=f"{wrong[0]} is not right, which it needs")
        try:
            built = self._build(mart)
        except TerminalError as error:
            # One mart's query is at fault, not the night: the others are built, and the page says what BigQuery said.
            built = Built(mart, status="error", why=" ".join(error.found.split()))
        return replace(built, seconds=time.monotonic() - began)

    def _build(self, mart: Mart) -> Built:
        places, during = self.places, f"building {mart.name}"
        said, schema = self.jobs.dry_run(statements.query(mart, places), during)
        if why := _other_columns(mart, schema):
            return Built(mart, status="error", why=why)
        live = self.jobs.table(places.mart(mart.name)) if places.mart(mart.name) in self.ground.existing else None
        held = [field.name for field in live.schema] if live is not None else None
        if live is not None and mart.header.history is not None and (why := _breaks(mart, live)):
            return Built(mart, status="error", why=why)
        select = statements.rows_of(mart, places, self.moment, held)
        if mart.header.history is not None:
            said, schema = self.jobs.dry_run(select, during)
        types = {field.name.lower(): field.field_type for field in schema}
        name = places.built(mart.name)
        create = statements.create(mart, places, select, types)
        self._drop_other_layout(mart, name)
        _, read = self.ground.make(
            table_object(name), statements.drop(places, name), partial(self.jobs.measured, create, during)
        )
        made = self.jobs.table(name)
        made.schema = statements.described(mart, made.schema)
        layout = Layout(statements.all_labels(mart), statements.partitioning(mart), mart.header.cluster_by)
        self.jobs.update(made, ["schema", *self.dialect.forgotten(made, layout)])
        self.places = replace(places, aside=places.aside | {mart.name})
        built = Built(
            mart,
            rows=int(made.num_rows or 0),
            rows_before=None if live is None else int(live.num_rows or 0),
            bytes=self.dialect.cost(made.num_bytes),
            bytes_estimated=self.dialect.cost(said),
        )
        if mart.header.history is not None:
            row = self.jobs.run(statements.count_versions(mart, self.places, self.moment), during)[0]
            built = replace(built, began=built.rows if live is None else int(row["began"]), ended=int(row["ended"]))
        return self._tests(built, read)

    def _tests(self, built: Built, read: int) -> Built:
        """Run the tests that the header declares, all in one statement."""
        tests = statements.tests(built.mart, self.places)
        failing: dict[int, int] = {}
        if tests:
            sql = statements.count_failing([sql for _, sql in tests])
            rows, more = self.jobs.measured(sql, f"testing {built.mart.name}")
            read += more
            failing = {int(row["number"]): int(row["failing"]) for row in rows if row["failing"]}
        found = tuple(Failing(*tests[number], count) for number, count in sorted(failing.items()))
        return replace(
            built,
            status="failed" if found else "ok",
            why=f"{found[0].what}: not so in {found[0].rows:,} rows" if found else "",
            tests=len(tests),
            failing=found,
            bytes_read=self.dialect.cost(read),
        )

    def _own_test(self, test: MartTest) -> Tested:
        unbuilt = [name for name in sorted(test.marts) if name not in self.places.aside]
        if unbuilt:
            return Tested(test, None, f"{unbuilt[0]} was not built")
        sql = statements.query(test, self.places)
        try:
            count = int(self.jobs.run(statements.count_failing([sql]), f"testing {test.name}")[0]["failing"])
        except TerminalError as error:
            return self._fails(test, Tested(test, None, error.found, sql))
        return Tested(test, 0) if not count else self._fails(test, Tested(test, count, "", sql))

    def _fails(self, test: MartTest, tested: Tested) -> Tested:
        for name in test.marts:
            built = self._built[name]
            if built.status == "ok":
                self._built[name] = replace(built, status="failed", why=f"the test {test.name} fails")
        return tested

    def _hold_back(self) -> None:
        """What needs a mart that a test of one's own has failed is not right either."""
        for mart in self.marts.marts:
            wrong = [name for name in sorted(mart.needs) if self._built[name].status != "ok"]
            if wrong and self._built[mart.name].status == "ok":
                why = f"{wrong[0]} is not right, which it needs"
                self._built[mart.name] = replace(self._built[mart.name], status="held back", why=why)

    def _put_in_place(self, mart: Mart, built: Built) -> Built:
        """Let a mart take the place of yesterday's at one moment; what is only said of it follows."""
        places, name = self.places, self.places.mart(mart.name)
        self._drop_other_layout(mart, name)
        if name in self.ground.existing:
            fresh = self.jobs.table(places.built(mart.name)).schema
            if self.dialect.in_the_way(self.jobs.table(name), fresh):
                self.jobs.run(statements.drop(places, name), f"making way for {name}")
        self.ground.make(
            table_object(name),
            statements.drop(places, name),
            partial(self.jobs.copy, places.built(mart.name), name),
        )
        made = self.jobs.table(name)
        made.description, made.labels = mart.header.description, statements.all_labels(mart)
        self.jobs.update(made, ["description", "labels"])
        self.jobs.run(statements.drop(places, places.built(mart.name)), f"tidying up after {mart.name}")
        keys = statements.keys(mart, self.marts, places)
        if keys is not None:
            made.table_constraints = keys
            try:
                self.jobs.update(made, ["table_constraints"])
            except TerminalError as error:
                # They hold nothing together: the tests have shown that the rows do.
                return replace(built, why=f"in place, but its keys are not noted: {error.found}")
        return built

    def _drop_other_layout(self, mart: Mart, name: str) -> None:
        """Drop our table where it is laid out otherwise: BigQuery replaces none such."""
        if name in self.ground.existing and not _laid_out(self.jobs.table(name), mart):
            self.jobs.run(statements.drop(self.places, name), f"laying out {name} anew")
            self.ground.existing.discard(name)


def _laid_out(table: bigquery.Table, mart: Mart) -> bool:
    """Whether a table is laid out as a mart is to be."""
    now, wanted = table.time_partitioning, statements.partitioning(mart)
    same = (now and (now.field, now.type_)) == (wanted and (wanted.field, wanted.type_))
    return same and list(table.clustering_fields or []) == list(mart.header.cluster_by)


def _breaks(mart: Mart, live: bigquery.Table) -> str:
    """Why the past of a history could not be kept; nothing where it can."""
    gone = {field.name.lower() for field in live.schema} - {name.lower() for name in mart.columns}
    if gone:
        return f"its history holds {', '.join(sorted(gone))}, which the query does not give any more: give it as NULL"
    if not _laid_out(live, mart):
        return "its history is partitioned or clustered otherwise, and a new layout would begin without its past"
    return ""


def _other_columns(mart: Mart, schema: Sequence[bigquery.SchemaField]) -> str:
    """What of the query's columns the header does not say, or the other way round; nothing where they agree."""
    given = {field.name.lower() for field in schema}
    said = {name.lower() for name in mart.header.columns}
    lines = [f"its query gives {name}, which `columns` does not describe" for name in sorted(given - said)]
    lines += [f"`columns` describes {name}, which its query does not give" for name in sorted(said - given)]
    return "; ".join(lines)
