"""A point of the source at which a stream is held: what was committed up to it is applied, and nothing further."""

from collections.abc import Mapping, Sequence
from typing import Any

from workbook.cdc.change import Change, file_number
from workbook.gtids import GtidSet


class Until:
    """The point of a bulk load's snapshot. `reached` says whether the stream stands there."""

    def __init__(self, snapshot: Mapping[str, Any]):
        self._gtids = GtidSet.parse(str(snapshot["gtids"]))
        self._place = file_number(str(snapshot["file"])), int(snapshot["position"])
        self.offset: Mapping[str, Any] = {
            "file": snapshot["file"],
            "pos": snapshot["position"],
            "gtids": snapshot["gtids"],
        }
        self.reached = False

    def held(self, changes: Sequence[Change], offset: Mapping[str, Any]) -> tuple[list[Change], Mapping[str, Any]]:
        """Of a batch that ends at `offset` what belongs to the point, and where the stream stands after it.

        The engine names the last transaction before it is idle only when the next one has begun: then its place tells.
        """
        place = file_number(str(offset.get("file"))), int(offset.get("pos") or 0)
        if place < self._place and not GtidSet.parse(str(offset.get("gtids") or "")).holds(self._gtids):
            return list(changes), offset
        self.reached = True
        return [change for change in changes if self._gtids.has(change.transaction)], self.offset

    def at(self, gtids: str) -> bool:
        """Whether a stream that has applied this set stands there, neither before nor behind."""
        return GtidSet.parse(gtids) == self._gtids

    def passed(self, gtids: str) -> bool:
        """Whether it has applied what does not belong to the point."""
        return not self._gtids.holds(GtidSet.parse(gtids))
