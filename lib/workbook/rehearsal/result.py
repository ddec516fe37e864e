"""What a rehearsal came to: seconds without a write each way, writes lost or doubled, and where the environment stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.cutover.result import CutoverResult
from workbook.cutover.steps import STEPS
from workbook.errors import VerdictFailed, WorkbookError
from workbook.names import mysql_path
from workbook.rehearsal.outage import Log, Outage, Tally, per_second
from workbook.rehearsal.places import Place

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_WAYS = {"target": "over", "source": "back"}
_NAMED = 10


@dataclass(frozen=True)
class Switch:
    """One way of the rehearsal: the cutover's own result, how each writer came over, and its writes on the side that opened.

    `side` is the server that is open after it. `outages` and `tallies` are by the writer's name; one that has not arrived
    has no outage.
    """

    to: str
    side: str
    cutover: CutoverResult
    outages: Mapping[str, Outage | None]
    tallies: Mapping[str, Tally]

    @property
    def worst(self) -> Outage | None:
        """The outage of the writer that waited longest; None where one has not arrived."""
        known = [item for item in self.outages.values() if item is not None]
        return max(known, key=lambda item: item.gap) if known and len(known) == len(self.outages) else None

    @property
    def refused(self) -> float | None:
        """Seconds from the first refusal to the first success, of the writer for which it took longest."""
        return max((item.refused for item in self.outages.values() if item and item.refused is not None), default=None)

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        worst = self.worst
        return {
            "to": self.to,
            "side": self.side,
            "outage_s": worst.gap if worst else None,
            "refused_s": self.refused,
            "window_s": self.cutover.window,
            "outcome": self.cutover.outcome,
            "steps": [{"name": name, **noted} for name, noted in self.cutover.steps.items()],
            "writers": {name: item.asdict() if item else None for name, item in self.outages.items()},
            **_counted(self.tallies),
        }


@dataclass(frozen=True)
class RehearsalResult:
    """A rehearsal as it went. `error` is what stopped it, or the verdict; `stands` says in words where all stands now.

    `places` and `logs` are by the writers' names, `start` is when the first of them began (monotonic seconds). `unlike`
    is what is not as it was before, `remarks` is what the figures do not say.
    """

    places: Mapping[str, Place]
    logs: Mapping[str, Log]
    start: float
    switches: tuple[Switch, ...]
    window_s: float
    stands: str
    error: WorkbookError | None = None
    unlike: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    way_back: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> str:
        """ok; different where a write was lost or doubled, or a proof failed; error where it could not be carried out."""
        if self.error is None:
            return "ok"
        return "different" if isinstance(self.error, VerdictFailed) else "error"

    @property
    def said(self) -> tuple[str, ...]:
        """The figures in a few lines."""
        lines = []
        for switch in self.switches:
            way = _WAYS[switch.to]
            if switch.worst is None:
                lines.append(f"{way}: {switch.cutover.outcome}; not every writer arrived on the {switch.to}")
                continue
            refused = "nothing was refused" if switch.refused is None else f"refused for {switch.refused:.2f} s"
            clock = switch.cutover.window
            lines.append(
                f"{way}: {switch.worst.gap:.2f} s without a write, as the writers saw it ({refused}; by our clock"
                f" {'unknown' if clock is None else f'{clock:.2f} s'} of {self.window_s:g} s allowed)"
            )
            steps = [
                f"{name} {noted['seconds']:.2f}" for name, noted in switch.cutover.steps.items() if "seconds" in noted
            ]
            lines.append(f"  {' · '.join(steps)}")
        for switch in self.switches:
            counted = _counted(switch.tallies)
            lines.append(
                f"on the {switch.side}: {counted['acknowledged']:,} writes acknowledged until then, {counted['lost']} lost,"
                f" {counted['doubled']} doubled"
            )
        return (*lines, *self.remarks, *self.unlike, self.stands, *self.way_back)

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "said": list(self.said),
            "switches": [item.asdict() for item in self.switches],
            "writers": [
                {
                    "name": name,
                    "table": list(place.path),
                    "acknowledged": len(self.logs[name].acknowledged),
                    "refused": len(self.logs[name].refused),
                }
                for name, place in self.places.items()
            ],
            "as_before": not self.unlike and not self.way_back,
            "unlike": list(self.unlike),
            "remarks": list(self.remarks),
            "stands": self.stands,
            "way_back": list(self.way_back),
            "error": str(self.error) if self.error else None,
        }

    def plot(self) -> "Figure":
        """Writes a second of all writers together; between them, shaded, the longest time without one."""
        import plotly.graph_objects as go

        seconds, pace = per_second(self.logs.values(), self.start)
        figure = go.Figure()
        figure.add_scatter(
            x=seconds, y=pace, mode="lines", line_shape="hv", fill="tozeroy", line_color="#4269d0",
            name="writes a second", hovertemplate="%{y:,.0f} writes/s at %{x:.1f} s<extra></extra>",
        )  # fmt: skip
        for switch in self.switches:
            if (worst := switch.worst) is not None:
                figure.add_vrect(
                    x0=worst.began - self.start, x1=worst.ended - self.start, fillcolor="#ff725c", opacity=0.35,
                    line_width=0, annotation_text=f"{_WAYS[switch.to]}: {worst.gap:.2f} s",
                    annotation_position="top left",
                )  # fmt: skip
        figure.update_yaxes(title_text="acknowledged writes a second", rangemode="tozero")
        figure.update_xaxes(title_text="seconds since the writers began")
        figure.update_layout(height=420, showlegend=False, title="Writes a second over the two switches")
        return figure

    def _repr_html_(self) -> str:
        by_way = {switch.to: switch for switch in self.switches}
        last = self.switches[-1].tallies if self.switches else {}
        counted = _counted(last)
        return faces.stack(
            faces.boxes(
                ("Rehearsal", faces.badge(self.verdict)),
                *((f"Without a write, {_WAYS[to]}", _gap(switch)) for to, switch in by_way.items()),
                ("Writes acknowledged", counted["acknowledged"]),
                ("Lost", counted["lost"]),
                ("Doubled", counted["doubled"]),
                ("As before", "yes" if not self.unlike and not self.way_back else "no"),
            ),
            faces.text(f"{self.error.found} {self.error.why} {self.error.todo}") if self.error else None,
            faces.text(self.stands),
            *(faces.text(line) for line in (*self.way_back, *self.unlike, *self.remarks)),
            faces.table(
                [
                    {
                        "writer": name,
                        "table": mysql_path(*place.path),
                        "acknowledged": len(self.logs[name].acknowledged),
                        "refused": len(self.logs[name].refused),
                        **{to: _of_writer(switch, name) for to, switch in by_way.items()},
                    }
                    for name, place in self.places.items()
                ],
                {
                    "writer": "Writer",
                    "table": "Adds rows to",
                    "acknowledged": "Acknowledged",
                    "refused": "Refused",
                    **{to: f"Longest wait {_WAYS[to]}" for to in by_way},
                },
                caption="As the writers saw it",
            ),
            faces.table(
                [
                    {
                        "step": step.name,
                        "question": step.question,
                        **{to: _seconds(switch, step.name) for to, switch in by_way.items()},
                        "window": "nobody can write" if step.window else "",
                    }
                    for step in STEPS
                ],
                {
                    "step": "Step",
                    "question": "What it answers",
                    **{to: f"Seconds {_WAYS[to]}" for to in by_way},
                    "window": "Meanwhile",
                },
                caption="Each step's clock",
            )
            if by_way
            else None,
        )


def judged(switches: tuple[Switch, ...]) -> VerdictFailed | None:
    """The bad verdict on writes that are lost or doubled on a side that was opened; None where there is none."""
    words = []
    for switch in switches:
        for name, found in switch.tallies.items():
            for kind, numbers in (("lost", found.lost), ("there more than once", found.doubled)):
                if numbers:
                    more = " and more" if len(numbers) > _NAMED else ""
                    named = ", ".join(map(str, numbers[:_NAMED]))
                    words.append(
                        f"{len(numbers)} writes of {name} are {kind} on the {switch.side} (number {named}{more})"
                    )
    if not words:
        return None
    return VerdictFailed(
        f"After the switch not every acknowledged write is there exactly once: {'; '.join(words)}.",
        "On the night an application would be told that something is done which is not.",
        "Do not cut over. See who else writes or deletes there, and workbook run validate for what differs; then rehearse again.",
    )


def _counted(tallies: Mapping[str, Tally]) -> dict[str, int]:
    return {
        "acknowledged": sum(item.acknowledged for item in tallies.values()),
        "lost": sum(len(item.lost) for item in tallies.values()),
        "doubled": sum(len(item.doubled) for item in tallies.values()),
    }


def _gap(switch: Switch) -> str:
    return "not all arrived" if switch.worst is None else faces.human_seconds(switch.worst.gap)


def _of_writer(switch: Switch, name: str) -> str:
    found = switch.outages.get(name)
    return "has not arrived" if found is None else faces.human_seconds(found.gap)


def _seconds(switch: Switch, step: str) -> str:
    noted = switch.cutover.steps.get(step, {})
    return f"{noted['seconds']:.2f}" if "seconds" in noted else "–"
