"""Back to a restore point: its snapshots in the place of the tables, what came since away, and the proof of both."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from google.cloud import bigquery
from google.cloud.bigquery.table import TableConstraints

from workbook.errors import Refused
from workbook.incremental import state as states
from workbook.params import Settings
from workbook.points import statements
from workbook.points.keep import alone, forget_states, ours, side_by_side
from workbook.points.point import PHASE, Book, Held, Point, Register, laid_out, said
from workbook.servers import Server, retried
from workbook.warehouse.jobs import Jobs


@dataclass(frozen=True)
class WayBack:
    """What going back came to: the tables put back, those that came since and went; `wrong` is not as it was, in words."""

    point: Point
    dropped: tuple[str, ...]
    wrong: tuple[str, ...]


def bring_back(
    client: bigquery.Client, target: Server, settings: Settings, book: Book, point: Point, say: Callable[[str], None]
) -> WayBack:
    """Make the warehouse what it was at a point; once cut off, the same again ends it.

    What earlier loads noted is forgotten first and put back last, so that in between nothing is taken for known. The
    stream leaves all tables to the next load. Raises Refused before anything is touched where a snapshot is gone.
    """
    return _Back(client, target, settings, book, point, say).run()


class _Back:
    def __init__(
        self,
        client: bigquery.Client,
        target: Server,
        settings: Settings,
        book: Book,
        point: Point,
        say: Callable[[str], None],
    ):
        self._target, self._settings, self._point, self._say = target, settings, point, say
        self._jobs = Jobs(client, settings.warehouse.location)
        self._register, self._owned = Register(book), book.owned(PHASE)
        self._project, self._dataset = client.project, settings.warehouse.points_dataset
        self._states = f"{settings.warehouse.raw_dataset}.{states.NAME}"

    def run(self) -> WayBack:
        """All of it."""
        point = self._point
        self._refuse_lost()
        with alone(self._target, self._settings) as streamed:
            self._register.going_back(point.run)
            there = set(self._ours())
            if streamed is not None:
                streamed.taken_back(f"the warehouse was taken back to what {point.left_by} left: load it")
            forget_states(self._jobs, self._settings)
            first = [held for held in point.tables if held.name != self._states]
            last = [held for held in point.tables if held.name == self._states]
            self._say(f"Putting back {len(point.tables)} tables")
            side_by_side(partial(self._put_back, there), first)
            dropped = sorted(there - {held.name for held in point.tables})
            drops = [statements.drop_table(self._project, name) for name in dropped]
            side_by_side(partial(self._jobs.run, during="dropping what came since"), drops)
            side_by_side(partial(self._put_back, there), last)
            self._say("Proving the state")
            return WayBack(point, tuple(dropped), tuple(self._wrong()))

    def _ours(self) -> list[str]:
        # The journal of the stream holds tables too, its log: what happened stays true.
        return ours(self._jobs, self._settings, self._owned)

    def _refuse_lost(self) -> None:
        """Refuse where not all snapshots are there and hold what they held."""
        there = self._jobs.tables(self._dataset) if self._jobs.dataset(self._dataset) is not None else set()

        def whole(held: Held) -> bool:
            if held.snapshot not in there:
                return False
            return int(self._jobs.table(f"{self._dataset}.{held.snapshot}").num_rows or 0) == held.rows

        tables = self._point.tables
        lost = [held for held, good in zip(tables, side_by_side(whole, tables), strict=True) if not good]
        if lost:
            raise Refused(
                f"The snapshot of {lost[0].name} in {self._dataset} is gone, or not the one that was taken"
                + (f", and {len(lost) - 1} more." if len(lost) > 1 else "."),
                f"The warehouse cannot become what {self._point.left_by} left; nothing has been touched.",
                "A snapshot that was dropped can be had back within seven days (bq cp, by its name at a moment before). Else"
                " load all tables whole: workbook run warehouse --set warehouse.keep_nights=0",
            )

    def _put_back(self, there: Collection[str], held: Held) -> None:
        jobs, name = self._jobs, held.name
        if name in there and laid_out(said(jobs.table(name))) != laid_out(held.said):
            jobs.run(statements.drop_table(self._project, name), f"laying out {name} as it was")
        sql = statements.bring_back(self._project, self._dataset, held)
        retried(lambda: jobs.run(sql, f"putting back {name}"))
        made = jobs.table(name)
        if fields := _set(made, held):
            jobs.update(made, fields)

    def _wrong(self) -> list[str]:
        """What is not as it was, in words: tables, what is said of them, their rows, every value in them."""
        there, wanted = set(self._ours()), {held.name for held in self._point.tables}
        lines = [f"{name} is there and was not" for name in sorted(there - wanted)]
        lines += [f"{name} is missing" for name in sorted(wanted - there)]
        kept = [held for held in self._point.tables if held.name in there]
        return lines + [line for found in side_by_side(self._compared, kept) for line in found]

    def _compared(self, held: Held) -> list[str]:
        table = self._jobs.table(held.name)
        now = said(table)
        odd = sorted(name for name in {*now, *held.said} if now.get(name) != held.said.get(name))
        lines = [f"{held.name} has another {', '.join(odd)}"] if odd else []
        if table.expires is not None:
            lines.append(f"{held.name} would expire")
        rows = self._jobs.run(statements.digests(self._project, self._dataset, held), f"comparing {held.name}")
        one, other = ({name: value for name, value in row.items() if name != "which"} for row in rows)
        if one != other or int(one["number"]) != held.rows:
            lines.append(f"{held.name} holds other rows")
        return lines


def _set(made: bigquery.Table, held: Held) -> list[str]:
    """Set on a clone what it did not take along; the properties set."""
    now, wanted = said(made), held.said
    fields = []
    if made.expires is not None:
        made.expires = None
        fields.append("expires")
    if now.get("schema") != wanted.get("schema"):
        made.schema = [bigquery.SchemaField.from_api_repr(field) for field in wanted["schema"]["fields"]]
        fields.append("schema")
    if now.get("description") != wanted.get("description"):
        made.description = wanted.get("description")
        fields.append("description")
    if now.get("labels") != wanted.get("labels"):
        # A label that is not named stays: one without a value goes.
        made.labels = {**dict.fromkeys(now.get("labels", {})), **wanted.get("labels", {})}
        fields.append("labels")
    if now.get("clustering") != wanted.get("clustering"):
        made.clustering_fields = wanted.get("clustering", {}).get("fields")
        fields.append("clustering_fields")
    if now.get("tableConstraints") != wanted.get("tableConstraints"):
        made.table_constraints = TableConstraints.from_api_repr(wanted.get("tableConstraints", {}))
        fields.append("table_constraints")
    return fields
