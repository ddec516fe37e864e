"""Keeping the warehouse as it stands: a snapshot of each table of ours, before a run that may replace them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from google.cloud import bigquery

from workbook.errors import Refused, TerminalError, TransientError
from workbook.incremental import state as states
from workbook.params import Settings
from workbook.plan import Journal
from workbook.points import statements
from workbook.points.point import PHASE, Book, Held, Kept, Point, Register, said
from workbook.servers import Server, retried
from workbook.warehouse.dialect import dialect_of
from workbook.warehouse.ground import Ground, table_object
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.streamed import Streamed

# Each is a job of a second or two, and BigQuery runs many at once.
WORKERS = 8
_LOCK_SECONDS = 600
# So many days for each night that is kept, and one more: enough where the load runs once a week.
_DAYS_A_NIGHT = 7
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Left:
    """The run that left the warehouse as it stands: whether it ended well, and its result."""

    run: str
    good: bool
    result: str | None


def keep(
    client: bigquery.Client,
    target: Server,
    settings: Settings,
    book: Book,
    journal: Journal,
    run: str,
    left: Callable[[str], Left | None],
) -> Kept:
    """Keep the warehouse as it stands before `run` writes it, as `warehouse.keep_nights` says; older points go.

    Only what a run left that ended well is kept: after one that did not, the point before it stays the latest. `left`
    tells who left what stands now, given the run that last went on to write (may be empty). Raises Refused where a way
    back is under way, and where a snapshot cannot be taken: without it nothing is to be written.
    """
    return _Keeper(client, target, settings, book, journal).keep(run, left)


class _Keeper:
    def __init__(self, client: bigquery.Client, target: Server, settings: Settings, book: Book, journal: Journal):
        self._book, self._target, self._settings = book, target, settings
        self._register = Register(book)
        self._jobs = Jobs(client, settings.warehouse.location)
        self._journal = journal
        self._project, self._dataset = client.project, settings.warehouse.points_dataset

    def keep(self, run: str, left: Callable[[str], Left | None]) -> Kept:
        number, half_way = self._settings.warehouse.keep_nights, self._register.under_way
        usable = self._register.usable(self._dataset)
        if half_way and number and any(point.run == half_way for point in usable):
            raise Refused(
                "The warehouse is half-way back to an earlier night: the command that brings it back did not end.",
                "A load on top of that would mix two nights.",
                "Run it again first: workbook rollback previous-warehouse -p FILE. Where that cannot be, --set"
                " warehouse.keep_nights=0 gives the earlier nights up and loads all tables whole.",
            )
        if mine := [point for point in self._register.points if point.run == run and point.state == "kept"]:
            return Kept(number, mine[0], "it was kept already when this run began")
        if half_way:
            # Given up: whatever the tables hold, they are loaded whole.
            forget_states(self._jobs, self._settings)
        author = left(self._register.written_by)
        kept = Kept(number, usable[-1] if usable else None)
        if number == 0:
            kept = Kept(0, why="warehouse.keep_nights is 0")
        elif half_way:
            kept = replace(kept, why="it was half-way back to an earlier night")
        elif author is not None and not author.good:
            kept = replace(kept, why=f"the run {author.run} did not end well: what it left is not kept")
        else:
            with alone(self._target, self._settings):
                point = self._take(run, author)
            kept = Kept(number, point, "" if point else "there is nothing in it yet")
        self._register.writes(run)
        return replace(kept, dropped=self._rotate(number))

    def _take(self, run: str, author: Left | None) -> Point | None:
        # What a run before this one began to take, and did not end, is nobody's.
        self._register.drop([one.run for one in self._register.points if one.state != "kept"])
        sweep(self._jobs, self._book, self._register, self._settings)
        owned = self._book.owned(PHASE)
        ground = Ground(self._jobs, self._journal, owned)
        held = self._standing(ours(self._jobs, self._settings, owned), run)
        if not held:
            return None
        now = datetime.now(UTC).replace(microsecond=0)
        point = Point(
            run=run,
            left_by=author.run if author else run,
            result=author.result if author else None,
            at=now.isoformat(),
            expires=(now + timedelta(days=_DAYS_A_NIGHT * (self._settings.warehouse.keep_nights + 1))).isoformat(),
            tables=tuple(held),
        )
        self._register.put(point)
        try:
            if ground.look((self._dataset,), ()):
                ground.make_dataset(self._dataset, "Earlier nights of the migration workbook's warehouse")
            side_by_side(partial(self._snapshot, ground, point), held)
        except TerminalError as error:
            raise Refused(
                f"The warehouse cannot be kept as it stands: {error.found}",
                "Without it there would be no way back from this run, so nothing is loaded.",
                "Mend the cause (snapshots that expire need roles/bigquery.dataOwner on the datasets, which the account"
                " that made them has), or set warehouse.keep_nights to 0.",
            ) from None
        return self._register.put(replace(point, state="kept"))

    def _standing(self, names: Sequence[str], run: str) -> list[Held]:
        """The tables of these names as they stand now, each with the name that its snapshot will have."""
        warehouse, dialect = self._settings.warehouse, dialect_of(self._settings.warehouse)
        # A view under the name of a table that was ours is somebody else's.
        tables = {
            name: table
            for name, table in zip(names, side_by_side(self._jobs.table, names), strict=True)
            if table.table_type == "TABLE"
        }
        rows = {
            int(row["place"]): int(row["number"])
            for sql in statements.count_rows(self._project, list(tables))
            for row in self._jobs.run(sql, "counting rows of the warehouse")
        }
        return [
            Held(
                name,
                statements.snapshot_name(warehouse, name, run),
                rows[place],
                said(table),
                dialect.cost(table.num_bytes),
            )
            for place, (name, table) in enumerate(tables.items())
        ]

    def _snapshot(self, ground: Ground, point: Point, held: Held) -> None:
        name = f"{self._dataset}.{held.snapshot}"
        sql = statements.take(self._project, self._dataset, held, point)
        undo = statements.drop_snapshot(self._project, self._dataset, held.snapshot)
        during = f"keeping {held.name}"
        ground.make(table_object(name), undo, partial(retried, lambda: self._jobs.run(sql, during)))
        rows = int(self._jobs.table(name).num_rows or 0)
        if rows != held.rows:
            raise TransientError(
                f"The snapshot of {held.name} holds {rows:,} rows, and the table {held.rows:,}.",
                "Somebody has written to it in between, so the snapshots would not go together.",
                "Find out who writes to the workbook's tables; then run again.",
            )

    def _rotate(self, number: int) -> tuple[str, ...]:
        """Let go of points beyond those to keep, and of those that nobody can go back to any more."""
        usable = self._register.usable(self._dataset)
        stay = {point.run for point in usable[-number:]} if number else set()
        going = tuple(point.run for point in self._register.points if point.run not in stay)
        self._register.drop(going)
        sweep(self._jobs, self._book, self._register, self._settings)
        return going


def sweep(jobs: Jobs, book: Book, register: Register, settings: Settings) -> None:
    """Drop the snapshots of ours that belong to no point any more."""
    dataset = settings.warehouse.points_dataset
    known = {table_object(f"{dataset}.{held.snapshot}") for point in register.points for held in point.tables}
    start = table_object(f"{dataset}.")
    names = [name.removeprefix(start) for name in book.owned(PHASE) - known if name.startswith(start)]
    drops = [statements.drop_snapshot(jobs.client.project, dataset, name) for name in sorted(names)]
    side_by_side(lambda sql: retried(lambda: jobs.run(sql, "letting go of an earlier night")), drops)
    if drops:
        book.mark_taken_back(PHASE, "warehouse", drops)


def ours(jobs: Jobs, settings: Settings, owned: Collection[str]) -> list[str]:
    """The tables that stand in the datasets of the warehouse and are `owned`, as dataset.table."""
    names = settings.warehouse
    datasets = [
        name for name in (names.raw_dataset, names.dataset, names.marts_dataset) if jobs.dataset(name) is not None
    ]
    there = [f"{dataset}.{table}" for dataset in datasets for table in jobs.tables(dataset)]
    return sorted(name for name in there if table_object(name) in owned)


def forget_states(jobs: Jobs, settings: Settings) -> None:
    """Forget what tables were loaded from, so that the next night loads all of them whole."""
    raw = settings.warehouse.raw_dataset
    if jobs.dataset(raw) is not None and states.NAME in jobs.tables(raw):
        sql = statements.forget_all(jobs.client.project, f"{raw}.{states.NAME}")
        jobs.run(sql, "forgetting what was loaded")


def side_by_side(action: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What the action makes of each item, in their order, several at a time."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(action, items))


@contextmanager
def alone(target: Server, settings: Settings) -> Iterator[Streamed | None]:
    """Hold the lock that every load and merge holds; the stream's marks, or None where no stream goes into the warehouse."""
    streamed = Streamed(target, settings.environment)
    if not streamed.exists():
        yield None
        return
    with streamed.held(_LOCK_SECONDS):
        yield streamed
