"""What a restore point is: the tables of the warehouse as they stood before a run, and the register that knows them all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from workbook import faces
from workbook.faces import human_bytes

if TYPE_CHECKING:
    from google.cloud import bigquery

# The phase whose journal holds what nights make, and snapshots of it.
PHASE = "warehouse"
COMMAND = "workbook rollback previous-warehouse -p FILE"
# Under this name the ledger keeps the register.
_NOTE = "warehouse points"
# What BigQuery's API says of a table beside its rows, as far as somebody has decided on it.
_SAID = ("schema", "description", "labels", "timePartitioning", "rangePartitioning", "clustering", "tableConstraints")


class Book(Protocol):
    """What a restore point needs of the ledger."""

    def note(self, name: str, value: Any) -> None:
        """Keep a small value under a name."""

    def noted(self, name: str) -> Any:
        """The value kept under a name, or None."""

    def owned(self, phase: str | None = None) -> set[str]:
        """The objects that the workbook made, in that phase, and that were not taken back."""

    def mark_taken_back(self, phase: str, server: str, statements: Sequence[str]) -> None:
        """Note that steps with these undo statements were taken back."""


@dataclass(frozen=True)
class Held:
    """One table as it stood: dataset.table, its snapshot in the dataset of points, its rows, what was said of it.

    `bytes` are those of the whole table; None where the service does not tell.
    """

    name: str
    snapshot: str
    rows: int
    said: Mapping[str, Any]
    bytes: int | None = None


@dataclass(frozen=True)
class Point:
    """The warehouse before `run`, as the run `left_by` had left it, whose result is at `result`.

    `state` is taking or kept; moments are ISO 8601 in UTC. At `expires` BigQuery drops the snapshots by itself.
    """

    run: str
    left_by: str
    result: str | None
    at: str
    expires: str
    state: str = "taking"
    tables: tuple[Held, ...] = ()

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(held.rows for held in self.tables)

    @property
    def bytes(self) -> int | None:
        """The bytes of all tables; None where the service does not tell."""
        known = [held.bytes for held in self.tables if held.bytes is not None]
        return sum(known) if len(known) == len(self.tables) else None

    @property
    def cost(self) -> str:
        """What it costs, in words."""
        if self.bytes is None:
            return "the emulator does not say"
        return f"at most {human_bytes(self.bytes)}: BigQuery bills what the tables do not hold any more"

    def expired(self, now: datetime) -> bool:
        """Whether BigQuery has dropped its snapshots by then."""
        return datetime.fromisoformat(self.expires) <= now


@dataclass(frozen=True)
class Kept:
    """What was kept before a night: the point (None: none), why no other, and the runs whose points went."""

    keep: int
    point: Point | None = None
    why: str = ""
    dropped: tuple[str, ...] = field(default=())

    def _repr_html_(self) -> str:
        if self.point is None:
            return faces.text(f"No way back to the warehouse as it stands now: {self.why}.", muted=True)
        point = self.point
        return faces.stack(
            faces.boxes(
                ("Kept", f"the warehouse as {point.left_by} left it"),
                ("Tables", len(point.tables)),
                ("Rows", f"{point.rows:,}"),
                ("Costs", point.cost),
                ("Until", point.expires),
                ("Nights kept", self.keep),
            ),
            faces.text(self.why) if self.why else None,
            faces.text(f"Back: {COMMAND}", muted=True),
        )


class Register:
    """The points of one environment, oldest first, in its ledger.

    `written_by` is the run that last went on to write the warehouse; nothing where what stands is a point that was gone
    back to. `under_way` is the run whose point is being gone back to.
    """

    def __init__(self, book: Book):
        self._book = book
        self._content: dict[str, Any] = {"points": [], "written_by": "", "under_way": "", **(book.noted(_NOTE) or {})}

    @property
    def points(self) -> tuple[Point, ...]:
        """All that are noted, whether whole or not."""
        return tuple(_point(content) for content in self._content["points"])

    def usable(self, dataset: str, now: datetime | None = None) -> tuple[Point, ...]:
        """Those that one can go back to: whole, not taken back with the phase, not expired."""
        if not self.points:
            return ()
        # Imported where there is a point to look at: BigQuery's client takes a second or two.
        from workbook.warehouse.ground import table_object

        owned = self._book.owned(PHASE)
        now = now or datetime.now(UTC)
        return tuple(
            point
            for point in self.points
            if point.state == "kept"
            and not point.expired(now)
            and all(table_object(f"{dataset}.{held.snapshot}") in owned for held in point.tables)
        )

    @property
    def written_by(self) -> str:
        """The run that last went on to write."""
        return str(self._content["written_by"])

    @property
    def under_way(self) -> str:
        """The run whose point is being gone back to; empty where none is."""
        return str(self._content["under_way"])

    def put(self, point: Point) -> Point:
        """Note a point, in the place of what was noted of its run."""
        others = [content for content in self._content["points"] if content["run"] != point.run]
        self._note(points=[*others, asdict(point)])
        return point

    def drop(self, runs: Collection[str], **also: str) -> None:
        """Forget the points of these runs; `also` is noted in the same moment."""
        self._note(points=[content for content in self._content["points"] if content["run"] not in runs], **also)

    def writes(self, run: str) -> None:
        """Note that a run goes on to write."""
        self._note(written_by=run, under_way="")

    def going_back(self, run: str) -> None:
        """Note that the point of this run is being gone back to."""
        self._note(under_way=run)

    def _note(self, **values: Any) -> None:
        self._content = {**self._content, **values}
        self._book.note(_NOTE, self._content)


def said(table: "bigquery.Table") -> dict[str, Any]:
    """What is said of a table beside its rows, as the API has it."""
    resource = table.to_api_repr()
    return {name: resource[name] for name in _SAID if resource.get(name)}


def laid_out(said: Mapping[str, Any]) -> tuple[Any, ...]:
    """How a table is laid out: one that is laid out otherwise takes no other's place."""
    return said.get("timePartitioning"), said.get("rangePartitioning"), said.get("clustering")


def _point(content: Mapping[str, Any]) -> Point:
    return Point(**{**content, "tables": tuple(Held(**held) for held in content["tables"])})
