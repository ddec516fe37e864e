"""What following the source for a while came to, for the notebook and its page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.cdc.letters import Letters
from workbook.cdc.merge_result import Merged
from workbook.cdc.properties import Properties
from workbook.cdc.readiness import Readiness
from workbook.cdc.status import Status

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Followed:
    """The stream after a bounded run. `verdict` is ok where the target had caught up and nothing was refused."""

    status: Status
    readiness: Readiness
    properties: Properties
    seconds: float
    max_lag: float
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    merged: Merged | None = None
    letters: Letters = field(default_factory=lambda: Letters((), 0))

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is not as it should be, in words; that the bounded run has ended is no trouble."""
        found = [text for text in self.status.troubles(self.max_lag) if not text.startswith("it is stopped")]
        return (*found, *(() if self.status.caught_up else ("the target had not caught up when the time was over",)))

    @property
    def verdict(self) -> str:
        return "different" if self.troubles else "ok"

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "status": self.status.asdict(),
            "readiness": self.readiness.asdict(),
            "seconds": self.seconds,
            "troubles": list(self.troubles),
            "warehouse": self.merged and self.merged.asdict(),
            "dead_letters": self.letters.asdict(),
        }

    def into_warehouse(self) -> Merged | faces.Html:
        """What the merge did, or why there was none."""
        return self.merged or faces.text(
            "Changes do not go on into the warehouse: cdc.warehouse is not set.", muted=True
        )

    def plot(self) -> "Figure | faces.Html":
        """How far the target was behind, and under it how many changes a second were applied."""
        from plotly.subplots import make_subplots

        if not self.status.history:
            return faces.text("Nothing changed on the source meanwhile.", muted=True)
        start = self.status.history[0][0]
        seconds = [at - start for at, _, _ in self.status.history]
        figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
        figure.add_scatter(
            x=seconds, y=[lag for _, lag, _ in self.status.history], mode="lines", name="lag", fill="tozeroy",
            line_color="#ff725c", hovertemplate="%{y:.2f} s behind", row=1, col=1,
        )  # fmt: skip
        figure.add_scatter(
            x=seconds, y=[pace for _, _, pace in self.status.history], mode="lines", name="pace", fill="tozeroy",
            line_color="#4269d0", hovertemplate="%{y:,.0f} changes/s", row=2, col=1,
        )  # fmt: skip
        figure.update_yaxes(title_text="seconds behind", rangemode="tozero", row=1, col=1)
        figure.update_yaxes(title_text="changes a second", rangemode="tozero", row=2, col=1)
        figure.update_xaxes(title_text="seconds since the engine was heard first", row=2, col=1)
        figure.update_layout(height=420, showlegend=False, title="How far behind, and how fast")
        return figure

    def _repr_html_(self) -> str:
        return faces.stack(
            faces.boxes(
                ("Change capture", faces.badge(self.verdict)),
                ("Seconds", f"{self.seconds:,.0f}"),
                ("From the source to the engine", faces.human_seconds(self.status.lag_source)),
                ("From there to the commit", faces.human_seconds(self.status.lag_target)),
            ),
            *(faces.text(trouble) for trouble in self.troubles),
            self.status._repr_html_(),
        )
