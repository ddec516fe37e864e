"""What a bulk load came to: rows and bytes by table, the snapshot, and the timeline of its chunks."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.beam.ran import Ran
from workbook.bulk import plots
from workbook.bulk.crew import Copied
from workbook.bulk.defer import Built
from workbook.bulk.snapshot import Snapshot
from workbook.bulk.throttle import Change

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class LoadedTable:
    """A table as it was loaded; `resumed_rows` were on the target already, from a load that was interrupted; `left_out`
    are rows that the mapping's filter keeps on the source (None: no filter)."""

    database: str
    table: str
    rows: int
    resumed_rows: int
    bytes: int
    chunks: int
    seconds: float
    left_out: int | None = None


@dataclass(frozen=True)
class BulkResult:
    """A finished bulk load. `seconds` are split into rows and what follows them (indexes, foreign keys, triggers)."""

    snapshot: Snapshot
    resumed: bool
    why: str
    tables: tuple[LoadedTable, ...]
    copied: tuple[Copied, ...]
    deferred: tuple[str, ...]
    not_in_snapshot: tuple[str, ...]
    row_seconds: float
    index_seconds: float
    driver: str = "pymysql"
    indexes: tuple[Built, ...] = ()
    throttled: tuple[Change, ...] = ()
    losses: tuple[str, ...] = ()
    history_highest: int | None = None
    pipeline: Ran | None = None

    @property
    def verdict(self) -> str:
        """A load that ends has loaded everything: what it cannot load exactly it refuses."""
        return "ok"

    @property
    def rows(self) -> int:
        """Rows on the target after the load."""
        return sum(table.rows + table.resumed_rows for table in self.tables)

    @property
    def _begun(self) -> float:
        return min((item.started for item in self.copied), default=0.0)

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "snapshot": self.snapshot.asdict(),
            "resumed": self.resumed,
            "why": self.why,
            "rows": self.rows,
            "tables": [asdict(table) for table in self.tables],
            "deferred": list(self.deferred),
            "not_in_snapshot": list(self.not_in_snapshot),
            "row_seconds": round(self.row_seconds, 3),
            "index_seconds": round(self.index_seconds, 3),
            "driver": self.driver,
            "throttled": [asdict(change) for change in self.throttled],
            "losses": list(self.losses),
            "history_highest": self.history_highest,
            "pipeline": self.pipeline and self.pipeline.asdict(),
        }

    def _repr_html_(self) -> str:
        size = sum(table.bytes for table in self.tables)
        return faces.stack(
            faces.boxes(
                ("Rows", faces.human_count(self.rows)),
                ("Sent", faces.human_bytes(size)),
                ("Rows took", faces.human_seconds(self.row_seconds)),
                ("Indexes, keys, triggers", faces.human_seconds(self.index_seconds)),
                ("Pace of the rows", f"{faces.human_bytes(size / max(self.row_seconds, 0.001))}/s"),
                ("Driver", self.driver),
                ("Snapshot", self.snapshot.taken),
                ("Taken", self.snapshot.how),
                ("Binlog position", f"{self.snapshot.file}:{self.snapshot.position}"),
            ),
            faces.table(
                [
                    {
                        **asdict(table),
                        "left_out": "" if table.left_out is None else table.left_out,
                        "size": faces.human_bytes(table.bytes),
                        "seconds": round(table.seconds, 2),
                    }
                    for table in sorted(self.tables, key=lambda table: -table.rows)
                ],
                {
                    "database": "Database",
                    "table": "Table",
                    "rows": "Rows loaded",
                    **({"left_out": "Left out by filter"} if any(t.left_out is not None for t in self.tables) else {}),
                    "resumed_rows": "Rows kept from before",
                    "chunks": "Chunks",
                    "size": "Sent",
                    "seconds": "Seconds",
                },
                caption="Tables, most rows first",
            ),
            faces.table(
                [
                    {"at": f"{change.at - self._begun:.1f} s", "limit": _spelled(change.limit_mb_s), "why": change.why}
                    for change in self.throttled
                ],
                {"at": "At", "limit": "Limit", "why": "Why"},
                caption="The throttle",
            )
            if self.throttled
            else faces.Html(""),
            self.pipeline._repr_html_() if self.pipeline else faces.Html(""),
            faces.table([{"loss": loss} for loss in self.losses], {"loss": "Lost on the way, and made good"})
            if self.losses
            else faces.Html(""),
            faces.table(
                [{"name": name} for name in self.not_in_snapshot],
                {"name": "Read outside the snapshot, because its storage engine knows no transactions"},
            )
            if self.not_in_snapshot
            else faces.Html(""),
        )

    def timeline(self) -> "Figure":
        """Throughput by table, and which worker loaded what when."""
        return plots.timeline(self.copied, self.indexes, self.throttled)


def _spelled(limit: float | None) -> str:
    return "none" if limit is None else "pause" if limit == 0 else f"{limit:g} MB/s"
