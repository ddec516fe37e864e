"""Trends over the runs of an environment: how long phases take, how much there is, how alike the sides are, how far behind."""

from collections.abc import Sequence

import plotly.graph_objects as go

from workbook import faces
from workbook.site.runs import Run

# Beyond, the oldest are left out: more is no longer seen, and a page of it takes seconds to open.
_POINTS = 400


def figures(runs: Sequence[Run]) -> list[go.Figure]:
    """The plots of an environment, whose runs are given oldest first; those of which nothing is known are left out."""
    faces.plot_theme()
    dated = [run for run in runs if run.started is not None and not run.broken][-_POINTS:]
    made = (durations(dated), volumes(dated), similarity(dated), lag(dated))
    return [figure for figure in made if figure.data]


def durations(runs: Sequence[Run]) -> go.Figure:
    """Seconds of each phase in each run, stacked."""
    names = list(dict.fromkeys(phase.name for run in runs for phase in run.phases))
    seconds = [{phase.name: phase.seconds for phase in run.phases} for run in runs]
    figure = go.Figure()
    for name in names:
        _add(figure, runs, name.replace("_", " "), [of.get(name) for of in seconds], stackgroup="all")
    figure.update_layout(title="How long the phases took", yaxis_title="seconds")
    return figure


def volumes(runs: Sequence[Run]) -> go.Figure:
    """Rows loaded, and rows on each hop's first side."""
    figure = go.Figure()
    _add(figure, runs, "loaded", [run.rows_loaded for run in runs])
    for hop in _hops(runs):
        rows = [run.validation.rows[hop][0] if run.validation and hop in run.validation.rows else None for run in runs]
        _add(figure, runs, hop, rows)
    figure.update_layout(title="How many rows there were", yaxis_title="rows", yaxis_rangemode="tozero")
    return figure


def similarity(runs: Sequence[Run]) -> go.Figure:
    """The share of rows that are alike, by hop."""
    figure = go.Figure()
    for hop in _hops(runs):
        _add(figure, runs, hop, [run.validation.similarity.get(hop) if run.validation else None for run in runs])
    figure.update_layout(title="How alike the sides were", yaxis_title="rows alike", yaxis_tickformat=".3~%")
    return figure


def lag(runs: Sequence[Run]) -> go.Figure:
    """The greatest lag of change capture in each run that had it."""
    figure = go.Figure()
    _add(figure, runs, "lag", [run.lag_seconds for run in runs])
    figure.update_layout(
        title="How far change capture was behind at most", yaxis_title="seconds", yaxis_rangemode="tozero"
    )
    return figure


def _hops(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(hop for run in runs if run.validation for hop in run.validation.rows))


def _add(figure: go.Figure, runs: Sequence[Run], name: str, values: Sequence[float | None], **options: str) -> None:
    points = [(run.started, value) for run, value in zip(runs, values, strict=True) if value is not None]
    if points:
        figure.add_scatter(
            x=[f"{moment:%Y-%m-%d %H:%M}" for moment, _ in points],
            y=[round(value, 6) for _, value in points],
            name=faces.plot_text(name),
            # Of a few runs the points are seen, of many the line.
            mode="lines+markers" if len(points) < 60 else "lines",
            **options,
        )
