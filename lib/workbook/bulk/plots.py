"""The load as a picture: throughput by table above, who did what when below, on one axis of time."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbook import faces
from workbook.bulk.crew import Copied
from workbook.bulk.defer import Built
from workbook.bulk.throttle import Change

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_NAMED = 8
_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5")
_OTHER = "#9a9a9a"
_STEPS = 200


def timeline(copied: Sequence[Copied], indexes: Sequence[Built] = (), changes: Sequence[Change] = ()) -> "Figure":
    """MB/s by table, stacked; under it a lane for each worker with its chunks, and one for the indexes."""
    from plotly.subplots import make_subplots

    times = [item.started for item in copied] + [item.ended for item in copied] + [item.ended for item in indexes]
    start, end = min(times, default=0.0), max(times, default=1.0)
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.55, 0.45],
    )  # fmt: skip
    sizes: dict[tuple[str, str], int] = {}
    for item in copied:
        sizes[item.chunk.path] = sizes.get(item.chunk.path, 0) + item.bytes
    largest = sorted(sizes, key=lambda path: -sizes[path])
    groups = [[path] for path in largest[:_NAMED]] + ([largest[_NAMED:]] if largest[_NAMED:] else [])
    for paths, colour in zip(groups, itertools.chain(_COLOURS, [_OTHER]), strict=False):
        items = [item for item in copied if item.chunk.path in paths]
        name = faces.plot_text(paths[0][1]) if colour != _OTHER else f"{len(paths)} smaller tables"
        grid, pace = throughput(items, start, end)
        figure.add_scatter(
            x=grid, y=pace, name=name, legendgroup=name, stackgroup="pace", mode="lines", line_width=0, line_shape="hv",
            fillcolor=colour, hovertemplate="%{y:.1f} MB/s", row=1, col=1,
        )  # fmt: skip
        figure.add_bar(
            orientation="h", y=[f"worker {item.worker}" for item in items], base=[item.started - start for item in items],
            x=[max(item.ended - item.started, 0.005) for item in items], legendgroup=name, showlegend=False,
            marker_color=colour, marker_line_width=0.5, hoverinfo="text",
            hovertext=[
                f"{faces.plot_text(item.chunk.table)} {item.chunk.number}: {item.rows:,} rows,"
                f" {faces.human_bytes(item.bytes)} in {faces.human_seconds(item.ended - item.started)}"
                for item in items
            ],
            row=2, col=1,
        )  # fmt: skip
    if indexes:
        figure.add_bar(
            orientation="h", y=["indexes"] * len(indexes), base=[item.started - start for item in indexes],
            x=[item.ended - item.started for item in indexes], name="indexes", marker_color="#33415c", hoverinfo="text",
            hovertext=[f"indexes of {faces.plot_text(item.path)}: {faces.human_seconds(item.ended - item.started)}" for item in indexes],
            opacity=0.75, row=2, col=1,
        )  # fmt: skip
    for change in changes:
        if change.at >= start:
            figure.add_vline(
                x=change.at - start, line_dash="dot", line_color="#a3211a", row="all", col=1,
                annotation_text=faces.plot_text(change.why), annotation_font_size=11,
            )  # fmt: skip
    figure.update_layout(barmode="overlay", height=520, hovermode="closest", title="How fast, and who did what when")
    figure.update_yaxes(title_text="MB/s", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(autorange="reversed", categoryorder="category ascending", row=2, col=1)
    figure.update_xaxes(title_text="seconds since the first chunk", row=2, col=1)
    return figure


def throughput(items: Sequence[Copied], start: float, end: float) -> tuple[list[float], list[float]]:
    """Moments (seconds after `start`) and the MB/s at each: a chunk's bytes spread evenly over its time."""
    width = max(end - start, 0.001) / _STEPS
    sums = [0.0] * _STEPS
    for item in items:
        # Where in the grid the chunk lies; its bytes are shared out by how much of each step it covers.
        first, last = (
            (item.started - start) / width,
            max((item.ended - start) / width, (item.started - start) / width + 0.01),
        )
        for step in range(int(first), min(int(last), _STEPS - 1) + 1):
            covered = max(0.0, min(last, step + 1) - max(first, step))
            sums[step] += item.bytes * covered / (last - first)
    return [step * width for step in range(_STEPS)], [total / width / 1e6 for total in sums]
