"""Where a pipeline stands, as the ledger keeps it, and what must not happen while pipelines work on the target."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbook.errors import Refused


@dataclass(frozen=True)
class Standing:
    """Where a pipeline stands: its state, whether that is proven, and the restore point of the move that led there.

    `before` holds the state it came from and what it had run on each side when the move began.
    """

    state: str = "source"
    proven: bool = True
    before: Mapping[str, Any] = field(default_factory=dict)
    at: str | None = None
    proof: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The state, and that it is not proven where it is not."""
        return self.state if self.proven else f"{self.state} (not proven)"


def refuse_under_pipelines(standings: Mapping[str, Standing], what: str) -> None:
    """Raise Refused where pipelines work on the target: `what` says how their work would be lost."""
    there = sorted(name for name, standing in standings.items() if standing.state == "target")
    if there:
        raise Refused(
            f"On the target these pipelines are at work: {', '.join(there)}.",
            f"{what}: what they have written would be lost.",
            f"Move them back first: workbook pipelines move {' '.join(there)} --to source -p FILE",
        )
