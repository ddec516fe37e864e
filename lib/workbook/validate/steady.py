"""Relations under a running workload: counts that moved while they were taken are taken again, or follow from the rows."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from workbook.validate.binlog import Path
from workbook.validate.delta import Since
from workbook.validate.fence import Fence
from workbook.validate.relations_face import Cardinality, RelationVerdict
from workbook.validate.result import HOPS, TableVerdict

_PAUSES = (0.2, 0.5, 1.0)


class Steady:
    """What is known of the tables when their relations are counted."""

    def __init__(self, fence: Fence, known: Since, tables: Sequence[TableVerdict]):
        self._fence, self._known = fence, known
        self._tables = {((table.database, table.table), table.hop): table for table in tables}

    def judge(self, child: Path, parent: Path, name: str, count: Callable[[], RelationVerdict]) -> RelationVerdict:
        """The verdict on a relation: counted, counted again while it moves, or as it was where nothing can have changed it."""
        both = [self._tables.get((path, HOPS[0])) for path in (child, parent)]
        same = all(table is not None and table.verdict == "same" for table in both)
        if same and all(table is not None and table.proof == "delta" for table in both):
            carried = self._carried(child, parent, name)
            if carried is not None:
                return carried
        found = count()
        for pause in _PAUSES:
            if found.verdict != "different" or self._fence.still:
                return found
            time.sleep(pause)
            self._fence.wait(self._fence.mark().source)
            before, found = found, count()
            if found.verdict == "different" and replace(found, detail="") == replace(before, detail=""):
                return self._behind(found, child, parent)
        if found.verdict != "different":
            return found
        why = f"the counts moved each time they were taken ({found.detail})"
        if same:
            return replace(
                found, verdict="same", detail=f"{why}; the rows of both tables are the same on source and Cloud SQL"
            )
        return replace(found, verdict="incomparable", detail=why)

    def _carried(self, child: Path, parent: Path, name: str) -> RelationVerdict | None:
        before = self._known.relations.get((".".join(child), ".".join(parent), name))
        if before is None or before["verdict"] != "same":
            return None
        counts: dict[str, Any] = {
            key: Cardinality(**value) if isinstance(value, dict) else value
            for key, value in before.items()
            if key in RelationVerdict.__dataclass_fields__
        }
        return RelationVerdict(
            **{**counts, "detail": f"counted in the run {self._known.run}; its rows are the same since"}
        )

    def _behind(self, found: RelationVerdict, child: Path, parent: Path) -> RelationVerdict:
        """A relation that is alike on source and Cloud SQL, while the warehouse is known to be behind."""
        alike = (found.orphans_source, found.children_source) == (found.orphans_target, found.children_target)
        hops = [self._tables.get((path, hop)) for path in (child, parent) for hop in HOPS[1:]]
        if alike and any(table is not None and table.behind for table in hops):
            return replace(found, verdict="incomparable", detail=f"the warehouse is behind: {found.detail}")
        return found
