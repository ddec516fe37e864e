"""The accounts as a picture: who may do how much of what it may do on the source, database by database."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbook import faces
from workbook.accounts.effective import Effect

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def plot_effects(effects: Sequence[Effect]) -> "Figure":
    """A cell for each account and database: the share of the source's privileges that it has on the target.

    Grey: none on either side. More than all is a gain.
    """
    import plotly.graph_objects as go

    faces.plot_theme()
    databases = list(dict.fromkeys(name for effect in effects for name in effect.held))
    shares: list[list[float | None]] = []
    texts = []
    for effect in effects:
        pairs = [effect.held.get(name, (0, 0)) for name in databases]
        shares.append([after / before if before else (2.0 if after else None) for before, after in pairs])
        texts.append([f"{after} of {before} privileges" for before, after in pairs])
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=databases,
            y=[effect.account for effect in effects],
            text=texts,
            hovertemplate="%{y} on %{x}<br>%{text}<extra></extra>",
            zmin=0,
            zmax=2,
            colorscale=[
                [0, "#b3261e"],
                [0.25, "#c98500"],
                [0.499, "#c98500"],
                [0.5, "#1b7f6b"],
                [0.501, "#b3261e"],
                [1, "#b3261e"],
            ],
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    figure.update_layout(
        title="What accounts may do on the target: all of it, less, or more",
        height=150 + 20 * max(3, len(effects)),
        yaxis={"autorange": "reversed", "automargin": True, "type": "category"},
        xaxis={"side": "top", "type": "category"},
    )
    return figure
