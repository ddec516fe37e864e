"""An assessment as plots: how much of each kind of object is ready, and what each segment has to do."""

from typing import TYPE_CHECKING

from workbook import faces
from workbook.assess.result import SEVERITIES, AssessResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_COLORS = {"ready": "#009e73", "note": "#3a9bd6", "mend": "#c98500", "decide": "#c5699b", "blocker": "#b3261e"}
_NAMES = {
    "ready": "nothing found",
    "note": "note",
    "mend": "mended by a phase",
    "decide": "to decide",
    "blocker": "blocker",
}


def plot_readiness(result: AssessResult) -> "Figure":
    """For each kind of object the share that is ready, and the worst that was found of the others."""
    import plotly.graph_objects as go

    faces.plot_theme()
    lines = result.readiness()
    kinds = list(lines)
    figure = go.Figure()
    for state in ("ready", *reversed(SEVERITIES)):
        counts = [lines[kind].get(state, 0) for kind in kinds]
        totals = [max(1, sum(lines[kind].values())) for kind in kinds]
        if not any(counts):
            continue
        figure.add_trace(
            go.Bar(
                name=_NAMES[state],
                y=[f"{kind} ({total:,})" for kind, total in zip(kinds, totals, strict=True)],
                x=[count / total for count, total in zip(counts, totals, strict=True)],
                orientation="h",
                text=[f"{count:,}" if count else "" for count in counts],
                textposition="inside",
                insidetextanchor="middle",
                hovertemplate="%{y}<br>%{text} %{fullData.name}<extra></extra>",
                marker={"color": _COLORS[state]},
            )
        )
    figure.update_layout(
        title="Readiness, by kind of object",
        barmode="stack",
        height=130 + 36 * max(2, len(kinds)),
        xaxis={"title": {"text": "share of the objects"}, "tickformat": ".0%", "range": [0, 1]},
        yaxis={"autorange": "reversed"},
    )
    return figure


def plot_segments(result: AssessResult) -> "Figure":
    """For each segment how many findings there are of each severity; what belongs to no table stands apart."""
    import plotly.graph_objects as go

    faces.plot_theme()
    lines = result.by_segment()
    names = list(lines)
    figure = go.Figure()
    for severity in SEVERITIES:
        counts = [lines[name].get(severity, 0) for name in names]
        if any(counts):
            figure.add_trace(
                go.Bar(
                    name=_NAMES[severity],
                    y=names,
                    x=counts,
                    orientation="h",
                    text=[f"{count:,}" if count else "" for count in counts],
                    textposition="inside",
                    insidetextanchor="middle",
                    hovertemplate="%{y}<br>%{x:,} %{fullData.name}<extra></extra>",
                    marker={"color": _COLORS[severity]},
                )
            )
    figure.update_layout(
        title="Findings, by segment",
        barmode="stack",
        height=130 + 30 * max(2, len(names)),
        xaxis={"title": {"text": "findings"}},
        yaxis={"autorange": "reversed"},
    )
    return figure
