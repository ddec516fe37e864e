"""A plotly figure as a page shows it: its data for the page's script, a description, and its numbers as a table."""

import base64
import html
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy

from workbook import faces
from workbook.faces import Html

MIMETYPE = "application/vnd.plotly.v1+json"
_ROWS = 100
_KINDS = {"scatter": "line or point plot", "scattergl": "line or point plot", "bar": "bar chart", "pie": "pie chart"}
_HEIGHT = 400.0


def figure(content: Mapping[str, Any], number: int, section: str) -> Html:
    """The figure `content` (plotly's JSON) as the `number`th of its page, under the heading `section`."""
    layout = content.get("layout") or {}
    traces = [trace for trace in content.get("data") or [] if isinstance(trace, Mapping)]
    caption = _plain(layout.get("title"))
    title = caption or section or "Plot"
    rows, columns = _numbers(traces, layout)
    asked = layout.get("height")
    height = float(asked) if isinstance(asked, int | float) else _HEIGHT
    if caption:
        # As text of the page it wraps on a phone, and is read out.
        layout = {**layout, "title": {"text": ""}, "margin": {"t": 24, **(layout.get("margin") or {})}}
    # Only < can end the script element that holds the data; & and > are written so too for readers of other kinds.
    data = json.dumps({"data": traces, "layout": layout})
    data = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    table = ""
    if rows:
        body = faces.bare(faces.table(rows, columns, limit=_ROWS, caption=title))
        table = f'<details class="plot-numbers"><summary>The numbers</summary>{body}</details>'
    return Html(
        f'<figure class="plot" aria-label="{faces.attribute(_described(traces, title))}">'
        + (f"<figcaption>{faces.escape(caption)}</figcaption>" if caption else "")
        + f'<div class="plot-area" id="plot-{number}" style="height:{height:.0f}px"></div>'
        f'<script type="application/json">{data}</script>'
        f'<noscript><p class="wb-muted">This plot is drawn by JavaScript.</p></noscript>{table}</figure>'
    )


def _described(traces: list[Mapping[str, Any]], title: str) -> str:
    kinds = {_KINDS.get(str(trace.get("type", "scatter")), f"{trace.get('type')} plot") for trace in traces}
    names = [_plain(trace.get("name")) for trace in traces if trace.get("name")]
    shown = f", with {', '.join(names[:8])}{' and more' if len(names) > 8 else ''}" if names else ""
    return f"{title}: {' and '.join(sorted(kinds)) or 'empty plot'}{shown}"


def _numbers(
    traces: list[Mapping[str, Any]], layout: Mapping[str, Any]
) -> tuple[list[dict[str, object]], dict[str, str]]:
    """The plotted points as rows and their headings: one row a point where the traces share their axis, else one each."""
    series = []
    for place, trace in enumerate(traces):
        kind = trace.get("type", "scatter")
        if kind == "pie":
            points = _values(trace.get("labels")), _values(trace.get("values"))
        elif kind in ("bar", "scatter", "scattergl"):
            points = _values(trace.get("x")), _values(trace.get("y"))
            if trace.get("orientation") == "h":
                points = points[1], points[0]
        else:
            continue
        if points[0] and len(points[0]) == len(points[1]):
            series.append((_plain(trace.get("name")) or f"series {place + 1}", *points))
    if not series:
        return [], {}
    sideways = any(trace.get("orientation") == "h" for trace in traces)
    across, up = (_plain((layout.get(axis) or {}).get("title")) for axis in ("xaxis", "yaxis"))
    if sideways:
        across, up = up, across
    if all(points == series[0][1] for _, points, _ in series):
        columns = {"point": across or "point"}
        columns |= {str(place): name if len(series) > 1 else up or "value" for place, (name, _, _) in enumerate(series)}
        return [
            {"point": _plain(point), **{str(place): values[row] for place, (_, _, values) in enumerate(series)}}
            for row, point in enumerate(series[0][1])
        ], columns
    return [
        {"series": name, "point": _plain(point), "value": value}
        for name, points, values in series
        for point, value in zip(points, values, strict=True)
    ], {"series": "series", "point": across or "point", "value": up or "value"}


def _values(packed: object) -> list[Any]:
    """A list of plotly's JSON, or its packed form {dtype, bdata, shape}; nothing where it is neither."""
    if isinstance(packed, list):
        return packed
    if isinstance(packed, Mapping) and "bdata" in packed and "shape" not in packed:
        return numpy.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed.get("dtype", "f8")).tolist()
    return []


def _plain(title: object) -> str:
    """The words of a plotly title or label, which may be an object and hold tags and entities."""
    if isinstance(title, Mapping):
        title = title.get("text")
    return html.unescape(re.sub(r"<[^>]*>", " ", str(title))).strip() if title not in (None, "") else ""
