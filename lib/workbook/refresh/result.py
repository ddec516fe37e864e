"""What a refresh came to: what was proven, what was swapped and how long that took, and the way back."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.bulk.result import BulkResult
from workbook.names import mysql_path
from workbook.refresh.copies import Copy, Path
from workbook.refresh.gate import Passage
from workbook.schema import ObjectDifference
from workbook.validate.result import TableVerdict

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WAY_BACK = "workbook rollback previous-copy -p FILE"


@dataclass(frozen=True)
class RefreshResult:
    """A refresh. `objects` are those of the new copy that differ from the source's; `passage` and `swapped` are None
    where it was not swapped in. `missing` could not be made after the swap.
    """

    loaded: BulkResult
    proof: tuple[TableVerdict, ...]
    objects: tuple[ObjectDifference, ...]
    needed_bytes: int
    keep: int
    notes: tuple[str, ...] = ()
    passage: Passage | None = None
    swapped: Copy | None = None
    changed: tuple[Path, ...] = ()
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """ok, or different where the new copy is not the source's picture, or something is missing behind the swap."""
        wrong = [table for table in self.proof if table.verdict != "same"]
        return "different" if wrong or self.objects or self.missing else "ok"

    @property
    def appeared(self) -> list[Path]:
        """Tables that were not read before."""
        return [path for path in self.swapped.came if path not in self.swapped.left] if self.swapped else []

    @property
    def vanished(self) -> list[Path]:
        """Tables that the source no longer has: they are in the copy before."""
        return [path for path in self.swapped.left if path not in self.swapped.came] if self.swapped else []

    def timeline(self) -> "Figure":
        """Throughput by table, and which worker loaded what when."""
        return self.loaded.timeline()

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        swapped = self.swapped
        return {
            **self.loaded.asdict(),
            "refresh": {
                "proof": [{**asdict(table), "samples": len(table.samples)} for table in self.proof],
                "objects": [asdict(item) for item in self.objects],
                "needed_bytes": self.needed_bytes,
                "notes": list(self.notes),
                "swap": None if self.passage is None else asdict(self.passage),
                "swapped_at": None if swapped is None else swapped.at,
                "copy_before": None if swapped is None else dict(swapped.databases),
                "appeared": [list(path) for path in self.appeared],
                "vanished": [list(path) for path in self.vanished],
                "changed": [list(path) for path in self.changed],
                "dropped": list(self.dropped),
                "missing": list(self.missing),
                "way_back": WAY_BACK if swapped is not None and swapped.left else None,
            },
        }

    def _repr_html_(self) -> str:
        return faces.stack(self._summary(), self._tables(), self._in_the_way(), self.loaded)

    def _summary(self) -> faces.Html:
        passage, swapped = self.passage, self.swapped
        if passage is None or swapped is None:
            return faces.stack(
                faces.boxes(("Swapped in", faces.badge("no")), ("Proof", faces.badge(self.verdict))),
                faces.text(
                    "The new copy is not the source's picture, so it was not swapped in: what is read is as it was."
                    " The next refresh makes it anew."
                ),
            )
        return faces.stack(
            faces.boxes(
                ("Refresh", faces.badge(self.verdict)),
                ("Tables swapped", len(swapped.came)),
                ("Swapped at", swapped.at),
                ("The swap took", faces.human_seconds(passage.rename_seconds)),
                ("Readers were held for", faces.human_seconds(passage.held_seconds)),
                ("Waited for the moment", faces.human_seconds(passage.waited_seconds)),
                ("Copies kept, at most", self.keep),
            ),
            faces.text(
                f"The copy before is kept as {', '.join(sorted(set(swapped.databases.values())))}. Back to it, in one"
                f" RENAME as well: {WAY_BACK}"
                if swapped.left and self.keep
                else "There was no copy before this one."
                if not swapped.left
                else "The copy before is not kept (bulk.keep_copies is 0)."
            ),
            faces.text(
                f"There were no gates, because {passage.unguarded}: a transaction that read several of the tables at the"
                " moment of the swap may have been asked to try again (error 1213)."
            )
            if passage.unguarded
            else None,
            faces.details("The statement", faces.code(swapped.statement)),
        )

    def _tables(self) -> faces.Html | None:
        verdicts = Counter(table.verdict for table in self.proof)
        rows: list[dict[str, object]] = [
            {"what": what, "name": mysql_path(*path)}
            for what, paths in (
                ("is new", self.appeared),
                ("came in with another definition", self.changed),
                ("is gone from the source; it is in the copy before", self.vanished),
            )
            for path in paths
        ]
        rows += [{"what": "was dropped, as the oldest copy", "name": name} for name in self.dropped]
        rows += [{"what": "is missing after the swap", "name": name} for name in self.missing]
        rows += [{"what": f"differs from the source: {item.detail}", "name": item.name} for item in self.objects]
        rows += [
            {
                "what": f"{table.verdict}: {table.missing} rows missing, {table.extra} extra, {table.changed} changed",
                "name": mysql_path(table.database, table.table),
            }
            for table in self.proof
            if table.verdict != "same"
        ]
        rows += [{"what": "was found", "name": note} for note in self.notes]
        return faces.stack(
            faces.boxes(
                *((f"Tables {verdict}, in the snapshot", count) for verdict, count in sorted(verdicts.items())),
                ("Rows proven", sum(table.rows_source or 0 for table in self.proof)),
                ("Room for the new copy", faces.human_bytes(self.needed_bytes)),
            ),
            faces.table(rows, {"name": "Table", "what": "What happened"}, caption="Not as the night before")
            if rows
            else None,
        )

    def _in_the_way(self) -> faces.Html | None:
        if self.passage is None or not self.passage.waited_for:
            return None
        rows = [{"who": who} for who in self.passage.waited_for]
        return faces.table(rows, {"who": "Connection"}, caption="Whom the swap waited for")
