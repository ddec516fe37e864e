"""What a cutover, or the way back, came to: its steps on one time line, how long nobody could write, and what comes next."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.cutover.counters import Counter
from workbook.cutover.prove import Proven
from workbook.cutover.state import NONE, State
from workbook.cutover.steps import STEPS
from workbook.errors import VerdictFailed, WorkbookError
from workbook.names import mysql_path

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class CutoverResult:
    """The attempt as it stands. `error` is what stopped it: `Phase.finish` raises it once the page can be made."""

    state: State
    error: WorkbookError | None
    proven: Proven | None
    counters: tuple[Counter, ...]
    left_out: Mapping[str, str]
    destination: str
    begun: bool = True
    origin: str = field(default="")

    @property
    def verdict(self) -> str:
        """ok; different where a proof failed; error where it could not be carried out."""
        if self.error is None:
            return "ok"
        return "different" if isinstance(self.error, VerdictFailed) else "error"

    @property
    def steps(self) -> Mapping[str, Mapping[str, Any]]:
        """What is noted of each step that was begun."""
        return self.state.attempt.get("steps", {}) if self.begun else {}

    @property
    def window(self) -> float | None:
        """Seconds from the origin's closing until the pipelines had their settings towards the destination.

        Where it was taken back: until the origin was open again.
        """
        closed = self.steps.get("freeze", {}).get("began")
        ends = self.steps.get("move", {}).get("ended")
        if ends is None and self.outcome == "taken back":
            ends = self.state.attempt.get("ended")
        return ends - closed if closed and ends else None

    @property
    def outcome(self) -> str:
        """done, taken back, or stopped where it waits to be run again."""
        if not self.begun:
            return "not begun"
        return str(self.state.attempt.get("outcome") or "stopped")

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "to": self.state.attempt.get("to"),
            "outcome": self.outcome,
            "master": self.state.master,
            "stream": self.state.stream,
            "window_s": self.window,
            "steps": [{"name": name, **noted} for name, noted in self.steps.items()],
            "proven": self.proven.asdict() if self.proven else None,
            "counters": [asdict(item) for item in self.counters],
            "left_out": dict(self.left_out),
            "error": str(self.error) if self.error else None,
        }

    @property
    def next(self) -> str:
        """What comes next, in words."""
        if not self.begun:
            return "Nothing was touched."
        to = str(self.state.attempt.get("to"))
        if self.outcome == "taken back":
            return "All is as before; the stream goes on. Mend what stopped it, then run it again."
        if self.outcome == "stopped":
            return "It waits: run it again, and it goes on; workbook cutover status tells more."
        if self.state.stream == NONE:
            return "There is no way back: this cutover was made without one."
        if to == "target":
            return (
                "Keep the way back open: workbook cdc run -p FILE now brings what is written on the target to the source."
                " Back: workbook run cutover --set cutover.to=source -p FILE. When nobody wants back any more:"
                " workbook cutover finish -p FILE."
            )
        return "The source is the truth again; workbook cdc run -p FILE follows it. The next try: workbook run cutover -p FILE."

    def plot(self) -> "Figure | faces.Html":
        """The steps on one time line; those while nobody can write stand out."""
        import plotly.graph_objects as go

        if len(self.steps) < 2:
            return faces.text("It stopped at its first step.", muted=True)
        began = self.state.attempt.get("began", 0.0)
        figure = go.Figure()
        for closed, name, colour in ((False, "writers at work", "#97bbf5"), (True, "nobody can write", "#ff725c")):
            chosen = [
                (step, self.steps[step.name])
                for step in STEPS
                if step.name in self.steps and (step.window or step.name == "move") == closed
            ]
            figure.add_bar(
                y=[step.name for step, _ in chosen],
                x=[max(noted.get("seconds", 0.0), 0.005) for _, noted in chosen],
                base=[noted["began"] - began for _, noted in chosen],
                orientation="h",
                name=name,
                marker_color=colour,
                customdata=[noted.get("seconds", 0.0) for _, noted in chosen],
                hovertemplate="%{y}: %{customdata:.2f} s<extra></extra>",
            )
        figure.update_yaxes(categoryorder="array", categoryarray=[step.name for step in reversed(STEPS)])
        figure.update_xaxes(title_text="seconds since it began")
        figure.update_layout(height=420, title="The steps in time", barmode="overlay", legend_orientation="h")
        return figure

    def _repr_html_(self) -> str:
        to = str(self.state.attempt.get("to", ""))
        window = "none yet" if self.window is None else faces.human_seconds(self.window)
        names = {step.name: step for step in STEPS}
        return faces.stack(
            faces.boxes(
                ("Cutover to the target" if to == "target" else "Back to the source", faces.badge(self.verdict)),
                ("It is", self.outcome),
                ("Nobody could write for", window),
                ("Applications write to", self.state.master),
                (
                    "Changes flow",
                    {"forward": "to the target", "reverse": "back to the source"}.get(self.state.stream, "nowhere"),
                ),
                ("Tables proven", len(self.proven.tables) if self.proven else 0),
                ("Rows proven", self.proven.rows if self.proven else 0),
            ),
            faces.text(f"{self.error.found} {self.error.why} {self.error.todo}") if self.error else None,
            faces.text(self.next),
            faces.table(
                [
                    {
                        "step": name,
                        "question": names[name].question,
                        "said": noted.get("said") or ("this is where it stopped" if self.error else "under way"),
                        "at": datetime.fromtimestamp(noted["began"], UTC).strftime("%H:%M:%S.%f")[:-3],
                        "seconds": f"{noted['seconds']:.2f}" if "seconds" in noted else "",
                    }
                    for name, noted in self.steps.items()
                ],
                {
                    "step": "Step",
                    "question": "What it answers",
                    "said": "Answer",
                    "at": "At (UTC)",
                    "seconds": "Seconds",
                },
                caption="Step by step",
            )
            if self.steps
            else None,
            self._gates(),
            faces.table(
                [{"table": name, "why": why} for name, why in self.left_out.items()],
                {"table": "Table of the source", "why": "Why it does not come back"},
                caption="Left out of the way back",
            )
            if self.left_out
            else None,
            faces.details(
                f"{len(self.counters)} counters raised",
                faces.table(
                    [
                        {"table": mysql_path(*item.path), "here": item.here, "there": item.there, "wanted": item.wanted}
                        for item in self.counters
                    ],
                    {"table": "Table", "here": "Next there before", "there": "Next here before", "wanted": "Next now"},
                ),
            )
            if self.counters
            else None,
        )

    def _gates(self) -> faces.Html | None:
        lines = []
        for role, gate in self.state.gates.items():
            lines.append(
                {
                    "server": role,
                    "way": gate["way"],
                    "locks": [f"{user}@{host}" for user, host in gate["locks"]] or "none",
                    "events": [f"{item['database']}.{item['name']}" for item in gate["events"]] or "none",
                    "passing": gate["passing"] or "nobody",
                }
            )
        if not lines:
            return None
        heads = {
            "server": "Closed now", "way": "How", "locks": "Accounts locked", "events": "Events off",
            "passing": "Cannot be kept out",
        }  # fmt: skip
        return faces.table(lines, heads, caption="What is closed, and how")
