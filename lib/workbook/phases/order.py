"""The order of the phases, as a table."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from workbook.errors import UsageError
from workbook.params import CHECKOUT


@dataclass(frozen=True)
class PhaseKind:
    """One phase: its notebook, what it answers, and which servers it writes to.

    `by_default` are the phases that lead to a validated copy: they run where none is named.
    """

    number: int
    name: str
    title: str
    writes_target: bool = False
    writes_warehouse: bool = False
    by_default: bool = True

    @property
    def stem(self) -> str:
        """The file name of its notebook, without the ending."""
        return f"{self.number:02d}_{self.name}"

    @property
    def notebook(self) -> Path:
        """Its notebook."""
        return CHECKOUT / "notebooks" / f"{self.stem}.ipynb"

    @property
    def changes_target(self) -> bool:
        """Whether the target is another after it: a cutover too, which has a way back of its own."""
        return self.writes_target or self.name == "cutover"

    @property
    def writes(self) -> bool:
        """Whether there is something to undo."""
        return self.writes_target or self.writes_warehouse


PHASES = (
    PhaseKind(1, "profile", "What the source's data looks like"),
    PhaseKind(2, "assess", "What Cloud SQL will refuse or change"),
    PhaseKind(3, "map", "Where each segment, table and column goes"),
    PhaseKind(4, "schema", "Databases, tables, views, routines, triggers, events", writes_target=True),
    PhaseKind(5, "accounts", "Users, roles and privileges", writes_target=True),
    PhaseKind(6, "bulk_load", "All rows, from one consistent picture of the source", writes_target=True),
    PhaseKind(7, "warehouse", "From Cloud SQL, cleaned, into BigQuery", writes_warehouse=True),
    PhaseKind(8, "validate", "Proof that nothing was lost or changed"),
    PhaseKind(9, "cdc", "Every change since the bulk load, applied to Cloud SQL", writes_target=True, by_default=False),
    PhaseKind(10, "pipelines", "The jobs and applications: who they are, and whether they can move", by_default=False),
    PhaseKind(11, "cutover", "Applications go over to Cloud SQL in one short window, or back", by_default=False),
)
START = "start"
# A place to go back to that is no phase: the copy before the last refresh.
PREVIOUS_COPY = "previous-copy"
# And another: the warehouse before the last load.
PREVIOUS_WAREHOUSE = "previous-warehouse"
# No notebook of its own: it mends what the validation found, so it stands right behind it when phases are taken back.
REPAIR = PhaseKind(8, "repair", "Rows and objects mended after a validation", writes_target=True, by_default=False)
IN_ORDER = (*(kind for kind in PHASES if kind.number <= 8), REPAIR, *(kind for kind in PHASES if kind.number > 8))
# Not one of the order: it goes over and comes back, so that nothing of it is left to undo.
REHEARSAL = PhaseKind(11, "rehearsal", "The cutover and the way back on the stand-ins, under writers", by_default=False)


def phase_named(name: str) -> PhaseKind:
    """The phase of that name. Raises UsageError, naming the nearest, where there is none."""
    plain = name.strip().lower().replace("-", "_")
    for phase in (*PHASES, REHEARSAL):
        if plain in (phase.name, phase.stem):
            return phase
    names = [phase.name for phase in PHASES]
    near = difflib.get_close_matches(plain, names, n=1, cutoff=0.4)
    raise UsageError(
        f"There is no phase {name!r}." + (f" Did you mean {near[0]}?" if near else ""),
        "Nothing was run.",
        f"The phases are, in order: {', '.join(names)}.",
    )
