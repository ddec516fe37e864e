"""What a bulk load came to: rows and bytes by table, the snapshot, and the timeline of its chunks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import plotly.graph_objects as go

from workbook import faces
from workbook.bulk.crew import Copied
from workbook.bulk.defer import Built
from workbook.bulk.snapshot import Snapshot
from workbook.bulk.throttle import Change


@dataclass(frozen=True)
class LoadedTable:
    """A table as it was loaded; `resumed_rows` were on the target already, from a load that was interrupted."""

    database: str
    table: str
    rows: int
    resumed_rows: int
    bytes: int
    chunks: int
    seconds: float


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

    @property
    def verdict(self) -> str:
        """A load that ends has loaded everything: what it cannot load exactly it refuses."""
        return "ok"

    @property
    def rows(self) -> int:
        """Rows on the target after the load."""
        return sum(table.rows + table.resumed_rows for table in self.tables)

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
        }

    def _repr_html_(self) -> str:
        size = sum(table.bytes for table in self.tables)
        return faces.stack(
            faces.boxes(
                ("Rows", faces.human_count(self.rows)),
                ("Sent", faces.human_bytes(size)),
                ("Rows took", faces.human_seconds(self.row_seconds)),
                ("Indexes, keys, triggers", faces.human_seconds(self.index_seconds)),
                ("Snapshot", self.snapshot.taken),
                ("Binlog position", f"{self.snapshot.file}:{self.snapshot.position}"),
            ),
            faces.table(
                [
                    {**asdict(table), "size": faces.human_bytes(table.bytes), "seconds": round(table.seconds, 2)}
                    for table in sorted(self.tables, key=lambda table: -table.rows)
                ],
                {
                    "database": "Database",
                    "table": "Table",
                    "rows": "Rows loaded",
                    "resumed_rows": "Rows kept from before",
                    "chunks": "Chunks",
                    "size": "Sent",
                    "seconds": "Seconds",
                },
                caption="Tables, most rows first",
            ),
            faces.table(
                [{"name": name} for name in self.not_in_snapshot],
                {"name": "Read outside the snapshot, because its storage engine knows no transactions"},
            )
            if self.not_in_snapshot
            else faces.Html(""),
        )

    def timeline(self) -> go.Figure:
        """Which worker loaded which table when: one bar a chunk."""
        return _timeline(self.copied)


def _timeline(copied: Sequence[Copied]) -> go.Figure:
    start = min((item.started for item in copied), default=0.0)
    figure = go.Figure()
    largest = sorted(
        {item.chunk.path for item in copied}, key=lambda path: -sum(i.bytes for i in copied if i.chunk.path == path)
    )
    for path in largest:
        items = [item for item in copied if item.chunk.path == path]
        named = path in largest[:8]
        figure.add_bar(
            orientation="h",
            y=[f"worker {item.worker}" for item in items],
            base=[item.started - start for item in items],
            x=[max(item.ended - item.started, 0.005) for item in items],
            name=path[1] if named else "other tables",
            legendgroup=path[1] if named else "other",
            showlegend=named or path == largest[8],
            marker_color=None if named else "#9a9a9a",
            marker_line_width=0.5,
            hovertext=[f"{path[1]}: {item.rows:,} rows, {faces.human_bytes(item.bytes)}" for item in items],
            hoverinfo="text",
        )
    figure.update_layout(
        title="Who loaded what, when",
        barmode="overlay",
        xaxis_title="seconds since the first chunk",
        yaxis_title="",
        height=320,
    )
    return figure
