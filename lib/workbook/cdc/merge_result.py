"""What a merge into the warehouse did, table by table, for the notebook and the command."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbook import faces
from workbook.params import Settings
from workbook.servers import Server
from workbook.warehouse.streamed import Streamed


@dataclass(frozen=True)
class MergedTable:
    """One table of the target: changes that went into its log, rows that its merge changed, and the bytes that it read by
    BigQuery's own estimate. `why` it is left to the next load, where it is."""

    database: str
    table: str
    how: str
    logged: int = 0
    rows: int = 0
    bytes: int = 0
    why: str = ""


@dataclass(frozen=True)
class Merged:
    """A merge: the tables, the changes that no log could take by the reason, and the state of the target that it shows."""

    tables: tuple[MergedTable, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    gtids: str = ""
    seconds: float = 0.0

    @property
    def bytes(self) -> int:
        """What BigQuery said that it would read."""
        return sum(table.bytes for table in self.tables)

    @property
    def left(self) -> tuple[MergedTable, ...]:
        """The tables that wait for the next load of the warehouse."""
        return tuple(table for table in self.tables if table.why)

    @property
    def said(self) -> str:
        """The same in a line, and one for each table that is left."""
        logged, rows = (sum(getattr(table, name) for table in self.tables) for name in ("logged", "rows"))
        lines = [
            f"Warehouse: {logged:,} changes into the log, {rows:,} rows changed in {sum(bool(table.rows) for table in self.tables)}"
            f" tables, {self.bytes / 1e6:,.1f} MB read by BigQuery's estimate, {self.seconds:.1f} s"
        ]
        lines += [f"  {table.database}.{table.table} is left to the next load: {table.why}" for table in self.left]
        lines += [f"  {count:,} changes are in no log: {why}" for why, count in self.skipped.items()]
        return "\n".join(lines)

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "tables": [asdict(table) for table in self.tables],
            "skipped": dict(self.skipped),
            "gtids": self.gtids,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
        }

    def _repr_html_(self) -> str:
        rows = [
            {
                "table": f"{table.database}.{table.table}",
                "how": table.how,
                "logged": table.logged,
                "rows": table.rows,
                "bytes": faces.human_bytes(table.bytes),
                "why": table.why,
            }
            for table in self.tables
        ]
        columns = {
            "table": "Table",
            "how": "What was done",
            "logged": "Changes into the log",
            "rows": "Rows changed",
            "bytes": "Read, by BigQuery's estimate",
            **({"why": "Why it is left to the next load"} if self.left else {}),
        }
        return faces.stack(
            faces.boxes(
                ("Into the warehouse", faces.human_seconds(self.seconds)),
                ("Changes into the log", sum(table.logged for table in self.tables)),
                ("Rows changed", sum(table.rows for table in self.tables)),
                ("Read by BigQuery", faces.human_bytes(self.bytes)),
                ("Tables left to the next load", len(self.left)),
            ),
            *(faces.text(f"{count:,} changes are in no log: {why}.") for why, count in self.skipped.items()),
            faces.table(rows, columns, caption="Tables of the stream", limit=300) if rows else None,
        )


@dataclass(frozen=True)
class WarehouseStatus:
    """How far the warehouse is behind Cloud SQL: in seconds since the first change committed on the source that it lacks, and in
    changes. `failure` is why the last merge failed, `left` are the tables that wait for the next load."""

    lag_seconds: float
    waiting: int
    merged_at: float
    failure: str = ""
    left: tuple[Mapping[str, str], ...] = ()

    @property
    def said(self) -> str:
        """The same in a line."""
        left = f"; left to the next load: {', '.join(item['table'] for item in self.left)}" if self.left else ""
        return f"warehouse {self.lag_seconds:,.1f} s behind, {self.waiting:,} changes wait{left}"


def warehouse_status(target: Server, settings: Settings, failed: Path) -> WarehouseStatus | None:
    """How far the warehouse is; None where changes do not go on into it. `failed` is the file of a merge's failure."""
    streamed = Streamed(target, settings.environment)
    if not settings.cdc.warehouse or not streamed.exists():
        return None
    with target.session() as session:
        (outbox,) = session.rows(f"SELECT COUNT(*) AS number, MIN(committed) AS first FROM {streamed.outbox}")
        (drain,) = session.rows(f"SELECT merged_at FROM {streamed.drain}")
        legs = streamed.read(session)
    moments = [leg.first for leg in legs if leg.waiting and not leg.stopped and leg.first is not None]
    if outbox["first"] is not None:
        moments.append(outbox["first"])
    return WarehouseStatus(
        lag_seconds=max(0.0, time.time() - min(moments)) if moments else 0.0,
        waiting=int(outbox["number"]),
        merged_at=drain["merged_at"],
        failure=failed.read_text(encoding="utf-8") if failed.exists() else "",
        left=tuple({"table": ".".join(leg.path), "reason": leg.stopped} for leg in legs if leg.stopped),
    )
