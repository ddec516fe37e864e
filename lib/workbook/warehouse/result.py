"""What the warehouse load did: rows, bytes and seconds per table, and what each cleaning rule changed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from workbook import faces

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Changed:
    """How many values of a column a rule changed, as `what` says: changed, or became NULL."""

    column: str
    rule: str
    what: str
    rows: int


@dataclass(frozen=True)
class TableLoaded:
    """A table's way into the warehouse. `lost` are values per column that BigQuery cannot hold and that became NULL.

    `way` is how it was loaded and `why` so: full, or one of the incremental ways. There `rows_extracted` is how many rows
    the target holds in the snapshot, and of `rows_read`, `rows_written` and `rows_deleted` (in the raw table) each is few.
    `bytes` are those of the Parquet files; the three seconds are for reading with writing files, for loading them, and
    for making the clean table.
    """

    database: str
    table: str
    segment: str
    raw: str
    clean: str
    rows_extracted: int
    rows_raw: int
    rows_clean: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    changed: tuple[Changed, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    files: int = 0
    seconds_extract: float = 0.0
    seconds_load: float = 0.0
    seconds_clean: float = 0.0
    way: str = "full"
    why: str = ""
    rows_read: int | None = None
    rows_written: int = 0
    rows_deleted: int = 0

    @property
    def read(self) -> int:
        """The rows that were read from the target: all of them, but on an incremental night."""
        return self.rows_extracted if self.rows_read is None else self.rows_read

    @property
    def rows_rejected(self) -> int:
        """Rows that cleaning set aside, duplicates among them."""
        return sum(self.rejected.values())

    @property
    def verdict(self) -> str:
        """ok where no row is unaccounted for: extracted is raw, and raw is clean and rejected together."""
        whole = self.rows_extracted == self.rows_raw == self.rows_clean + self.rows_rejected
        return "ok" if whole else "failed"

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "rows_rejected": self.rows_rejected, "verdict": self.verdict}


@dataclass(frozen=True)
class WarehouseResult:
    """What a warehouse load did: tables in the order of the mapping, from the snapshot that `gtid_executed` names.

    `left` are tables in the warehouse that earlier nights loaded and this one did not: they are as old as they are.
    """

    project: str
    raw_dataset: str
    dataset: str
    gtid_executed: str
    tables: tuple[TableLoaded, ...]
    seconds: float
    left: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """ok, or failed where rows of a table are unaccounted for."""
        return "ok" if all(table.verdict == "ok" for table in self.tables) else "failed"

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "project": self.project,
            "raw_dataset": self.raw_dataset,
            "dataset": self.dataset,
            "snapshot": {"gtid_executed": self.gtid_executed},
            "seconds": round(self.seconds, 3),
            "left": list(self.left),
            "tables": [table.asdict() for table in self.tables],
        }

    def plot_size(self) -> "Figure":
        """Rows and bytes of each table, the largest at the top."""
        import plotly.graph_objects as go

        faces.plot_theme()
        tables = sorted(self.tables, key=lambda table: (table.rows_clean, table.bytes))
        names = [faces.plot_text(f"{table.database}.{table.table}") for table in tables]
        figure = go.Figure()
        figure.add_bar(
            name="rows",
            orientation="h",
            y=names,
            x=[table.rows_clean for table in tables],
            customdata=[faces.human_bytes(table.bytes) for table in tables],
            hovertemplate="%{y}: %{x:,} rows, %{customdata} of Parquet<extra></extra>",
        )
        figure.update_layout(title="Tables by rows", xaxis_title="rows", height=160 + 22 * len(names))
        return figure

    def plot_cleaning(self) -> "Figure":
        """What each cleaning rule changed, in values, and set aside, in rows."""
        import plotly.graph_objects as go

        faces.plot_theme()
        bars = [
            (f"{table.table}.{change.column}: {change.rule}", change.rows, change.what)
            for table in self.tables
            for change in table.changed
        ]
        bars += [
            (f"{table.table}: {rule}", count, "set aside")
            for table in self.tables
            for rule, count in table.rejected.items()
        ]
        # A rule that changed nothing stands in the table; here it would only push the others together.
        bars = sorted((bar for bar in bars if bar[1]), key=lambda bar: bar[1])
        figure = go.Figure()
        for what in ("changed", "became NULL", "set aside"):
            chosen = [bar for bar in bars if bar[2] == what]
            figure.add_bar(
                name=what,
                orientation="h",
                y=[faces.plot_text(label) for label, _, _ in chosen],
                x=[count for _, count, _ in chosen],
                hovertemplate="%{y}: %{x:,}<extra>" + what + "</extra>",
            )
        figure.update_layout(
            title="What each cleaning rule changed",
            barmode="stack",
            xaxis_title="values or rows",
            yaxis={"categoryorder": "array", "categoryarray": [faces.plot_text(label) for label, _, _ in bars]},
            height=160 + 24 * len(bars),
        )
        return figure

    def _repr_html_(self) -> str:
        rows = sum(table.rows_extracted for table in self.tables)
        lost = [
            {"table": f"{table.database}.{table.table}", "column": column, "rows": count}
            for table in self.tables
            for column, count in table.lost.items()
        ]
        cleaned = [
            {"table": f"{table.database}.{table.table}", **asdict(change)}
            for table in self.tables
            for change in table.changed
        ]
        cleaned += [
            {
                "table": f"{table.database}.{table.table}",
                "column": faces.Html(""),
                "rule": rule,
                "what": "set aside",
                "rows": count,
            }
            for table in self.tables
            for rule, count in table.rejected.items()
        ]
        return faces.stack(
            faces.boxes(
                ("Warehouse", faces.human_seconds(self.seconds), self.verdict),
                ("Tables", len(self.tables)),
                ("Rows", faces.human_count(rows)),
                ("Parquet", faces.human_bytes(sum(table.bytes for table in self.tables))),
                ("Rows set aside", sum(table.rows_rejected for table in self.tables)),
                ("Values changed by cleaning", sum(change.rows for table in self.tables for change in table.changed)),
            ),
            faces.text(
                f"Raw copies in {self.raw_dataset}, clean tables in {self.dataset}; the target's snapshot is GTID set "
                f"{self.gtid_executed or 'unknown (GTIDs are off)'}.",
                muted=True,
            ),
            faces.table(
                [
                    {
                        "table": f"{table.database}.{table.table}",
                        "clean": table.clean,
                        "extracted": table.rows_extracted,
                        "raw": table.rows_raw,
                        "clean_rows": table.rows_clean,
                        "rejected": table.rows_rejected,
                        "way": table.way,
                        "why": table.why,
                        "read": table.read,
                        "bytes": faces.human_bytes(table.bytes),
                        "seconds": faces.human_seconds(
                            table.seconds_extract + table.seconds_load + table.seconds_clean
                        ),
                        "verdict": faces.badge(table.verdict),
                    }
                    for table in self.tables
                ],
                {
                    "table": "Table",
                    "way": "Way",
                    "why": "Why",
                    "extracted": "Rows there",
                    "read": "Rows read",
                    "raw": "Rows raw",
                    "clean_rows": "Rows clean",
                    "rejected": "Set aside",
                    "verdict": "All rows there",
                    "bytes": "Parquet",
                    "seconds": "Time",
                    "clean": "Clean table",
                },
                caption="Tables in the order in which they moved",
                limit=300,
            ),
            faces.text(
                f"In the warehouse from earlier nights, and no longer loaded: {', '.join(self.left)}. They are as old as they"
                " are: drop them, or take their tables up in the mapping again."
            )
            if self.left
            else None,
            faces.table(
                cleaned,
                {"table": "Table", "column": "Column", "rule": "Rule", "what": "What it did", "rows": "Count"},
                caption="What cleaning did",
                limit=300,
            )
            if cleaned
            else None,
            faces.table(
                lost,
                {"table": "Table", "column": "Column", "rows": "Rows"},
                caption="Values that BigQuery cannot hold and that became NULL (dates that no calendar has)",
                limit=300,
            )
            if lost
            else None,
        )
