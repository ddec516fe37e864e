"""The order of the pipelines as a picture: step by step from left to right, who moves together in one frame."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbook import faces
from workbook.pipelines.order import Order
from workbook.pipelines.register import STATES, Register

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_COLORS = {"source": "#0072b2", "shadow": "#c98500", "target": "#009e73", "retired": "#8a8d91"}
_SYMBOLS = {"reads": "circle-open", "writes": "square", "both": "diamond"}


def plot_order(order: Order, register: Register, states: Mapping[str, str]) -> "Figure":
    """Each pipeline at the step in which it can move; an arrow leads to whoever must not move before it."""
    import plotly.graph_objects as go

    faces.plot_theme()
    place: dict[str, tuple[int, float]] = {}
    rows: dict[int, float] = {}
    figure = go.Figure()
    for group, depth in zip(order.groups, order.depths, strict=True):
        first = rows.get(depth, 0.0)
        for number, name in enumerate(group):
            place[name] = (depth + 1, first + number)
        rows[depth] = first + len(group) + 0.6
        if len(group) > 1:
            figure.add_shape(
                type="rect",
                x0=depth + 0.72,
                x1=depth + 1.28,
                y0=first - 0.55,
                y1=first + len(group) - 0.45,
                line={"color": "#8a8d91", "width": 1.5, "dash": "dot"},
                fillcolor="rgba(128,138,150,0.10)",
                layer="below",
            )
    arrows = {(rule.first, rule.then) for rule in order.rules}
    for first_name, then_name in sorted(arrows):
        (x, y), (to_x, to_y) = place[first_name], place[then_name]
        # What follows from other arrows would only cross them.
        steps_between = (name for name, (step, _) in place.items() if x < step < to_x)
        if x == to_x or any({(first_name, name), (name, then_name)} <= arrows for name in steps_between):
            continue
        figure.add_annotation(
            x=to_x, y=to_y, ax=x, ay=y, xref="x", yref="y", axref="x", ayref="y", text="", showarrow=True,
            arrowhead=2, arrowwidth=1.3, arrowcolor="rgba(128,138,150,0.75)", standoff=11, startstandoff=9,
        )  # fmt: skip
    for state in STATES:
        shown = [pipeline for pipeline in register.pipelines if states.get(pipeline.name, "source") == state]
        if not shown:
            continue
        figure.add_trace(
            go.Scatter(
                name=f"works on the {state}" if state in ("source", "target") else state,
                x=[place[pipeline.name][0] for pipeline in shown],
                y=[place[pipeline.name][1] for pipeline in shown],
                mode="markers+text",
                text=[faces.plot_text(pipeline.name) for pipeline in shown],
                textposition="top center",
                marker={
                    "size": 16,
                    "color": _COLORS[state],
                    "symbol": [_SYMBOLS[pipeline.direction] for pipeline in shown],
                    "line": {"width": 2, "color": _COLORS[state]},
                },
                customdata=[[_reasons(order, pipeline.name), ", ".join(pipeline.segments)] for pipeline in shown],
                hovertemplate="%{text}<br>segments: %{customdata[1]}%{customdata[0]}<extra></extra>",
            )
        )
    steps = max(order.depths, default=0) + 1
    figure.update_layout(
        title="In which order they can move",
        height=200 + 70 * max(2, round(max(rows.values(), default=1))),
        showlegend=True,
        xaxis={
            "range": [0.3, steps + 0.7],
            "tickvals": list(range(1, steps + 1)),
            "title": {"text": "step"},
            "showgrid": False,
        },
        yaxis={"range": [max(rows.values(), default=1), -1.0], "visible": False},
    )
    return figure


def _reasons(order: Order, name: str) -> str:
    rules = [f"before {rule.then}: {rule.why}" for rule in order.rules if rule.first == name]
    return "".join(f"<br>{faces.plot_text(rule)}" for rule in rules[:6])
