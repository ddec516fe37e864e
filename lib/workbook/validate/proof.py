"""How the tables of a validation were proven: in full now, or in full in an earlier run and by the rows touched since."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbook import faces


@dataclass(frozen=True)
class Proof:
    """How the tables were proven, for the report; `cursor` is where a later validation goes on, if the verdict is good."""

    asked: str = "full"
    run: str = ""
    why: str = ""
    whole: tuple[tuple[str, str], ...] = ()
    touched: int = 0
    events: int = 0
    seconds: float = 0.0
    cursor: Mapping[str, Any] | None = None
    no_cursor: str = ""

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "whole": [{"table": table, "why": why} for table, why in self.whole]}

    @property
    def said(self) -> str:
        """How it was proven, in words."""
        if self.asked == "full":
            later = (
                "a later one can go on from here"
                if self.cursor
                else f"a later one cannot go on from here: {self.no_cursor}"
            )
            return f"Every row was read in this run; {later}."
        if self.why:
            return f"Every row was read in this run, although a delta was asked for: {self.why}."
        words = (
            f"Proven in full in the run {self.run}; of the rows touched since on either side {self.touched:,} were read now,"
            f" as {self.events:,} events of the binlogs name them."
        )
        if self.whole:
            listed = "; ".join(f"{table}: {why}" for table, why in self.whole[:20])
            more = f"; and {len(self.whole) - 20} more" if len(self.whole) > 20 else ""
            words += f" Read in full all the same: {listed}{more}."
        return words

    def _repr_html_(self) -> str:
        boxes = faces.boxes(
            ("Asked for", self.asked),
            ("Proven in full", self.run if self.asked == "delta" and not self.why else "in this run"),
            ("Touched rows read", f"{self.touched:,}"),
            ("Events of the binlogs", f"{self.events:,}"),
        )
        rows: list[dict[str, object]] = [{"table": table, "why": why} for table, why in self.whole]
        titles = {"table": "Table", "why": "Why it was read in full"}
        listed = faces.table(rows, titles, caption="Read in full all the same", limit=100) if rows else faces.Html("")
        return faces.stack(boxes, faces.text(self.said), listed)
