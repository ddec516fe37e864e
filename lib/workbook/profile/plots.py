"""A profile as plots: sizes, holes, distributions, dirt and orphans."""

import itertools
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.faces import human_bytes, human_count, percent, plot_text
from workbook.profile.result import DIRT, ColumnProfile, ProfileResult, TableProfile

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BARS = 25
_HEAT_TABLES = 60
_HEAT_COLUMNS = 80
# Grey that shows on white and on black, up to a red that does too.
_HOLES = [[0.0, "rgba(128,138,150,0.16)"], [0.000001, "#f2c14e"], [0.5, "#d55e00"], [1.0, "#8c1d18"]]


def plot_sizes(result: ProfileResult) -> "Figure":
    """The size on disk of each table, rows and indexes apart, largest on top; the small ones drawn together."""
    import plotly.graph_objects as go

    faces.plot_theme()
    largest = sorted(result.tables, key=lambda table: (-table.bytes, table.label))
    shown, rest = largest[:_BARS], largest[_BARS:]
    labels = _labels(result, shown)
    parts = {
        "Rows": [table.data_bytes for table in shown],
        "Indexes": [table.index_bytes for table in shown],
    }
    counts = [f"{human_count(table.rows)} rows" for table in shown]
    if rest:
        labels.append(f"{len(rest):,} smaller tables")
        parts["Rows"].append(sum(table.data_bytes for table in rest))
        parts["Indexes"].append(sum(table.index_bytes for table in rest))
        counts.append(f"{human_count(sum(table.rows for table in rest))} rows")
    figure = go.Figure(
        [
            go.Bar(
                name=name,
                y=labels,
                x=sizes,
                orientation="h",
                customdata=[[human_bytes(size), count] for size, count in zip(sizes, counts, strict=True)],
                hovertemplate="%{y}<br>%{customdata[0]}, %{customdata[1]}<extra>%{fullData.name}</extra>",
            )
            for name, sizes in parts.items()
        ]
    )
    figure.update_layout(
        title="Size on disk",
        barmode="stack",
        height=_height(len(labels)),
        xaxis={"title": {"text": "bytes"}, "tickformat": "~s"},
        yaxis={"autorange": "reversed"},
    )
    return figure


def plot_nulls(result: ProfileResult) -> "Figure":
    """The share of NULLs of every column: one line a table, one field a column in the table's order."""
    import plotly.graph_objects as go

    faces.plot_theme()
    holed = [table for table in result.tables if any(column.nulls for column in table.columns.values())]
    shown = sorted(holed, key=lambda table: -sum(column.null_share for column in table.columns.values()))[:_HEAT_TABLES]
    shown.sort(key=lambda table: table.label)
    width = min(_HEAT_COLUMNS, max((len(table.columns) for table in shown), default=1))
    shares: list[list[float | None]] = []
    texts: list[list[str]] = []
    for table in shown:
        columns = list(table.columns.values())[:width]
        gap = width - len(columns)
        shares.append([column.null_share for column in columns] + [None] * gap)
        texts.append([f"{_label(column.name)}: {percent(column.null_share)} NULL" for column in columns] + [""] * gap)
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(range(1, width + 1)),
            y=_labels(result, shown),
            text=texts,
            hovertemplate="%{y}<br>%{text}<extra></extra>",
            hoverongaps=False,
            zmin=0,
            zmax=1,
            colorscale=_HOLES,
            xgap=2,
            ygap=2,
            # Under the plot, where a phone has room for it.
            colorbar={
                "orientation": "h",
                "tickformat": ".0%",
                "thickness": 10,
                "len": 0.6,
                "x": 0,
                "xanchor": "left",
                "y": -44 / _height(len(shown)),
                "yanchor": "top",
            },
        )
    )
    title = "The share of NULLs in each column, in the table's order"
    figure.update_layout(
        title=title if shown else "No column holds a NULL",
        height=_height(len(shown)),
        xaxis={"showgrid": False, "zeroline": False, "dtick": 5},
        yaxis={"autorange": "reversed", "showgrid": False},
    )
    return figure


def plot_distributions(result: ProfileResult, database: str = "", table: str = "", limit: int = 24) -> "Figure":
    """How numbers, dates and times are spread: a small histogram each, of one table or of the largest ones.

    Masked columns and keys that only count up are left out; values are of a sample.
    """
    from plotly.subplots import make_subplots

    faces.plot_theme()
    chosen = _spread(result, database, table, limit)
    across = min(3, max(1, len(chosen)))
    lines = max(1, -(-len(chosen) // across))
    figure = make_subplots(
        rows=lines,
        cols=across,
        # Two lines, so that the titles of neighbours do not meet on a phone.
        subplot_titles=[
            f"{_label(owner.name, 17)}<br>{_label(column.name, 17)}{' (h)' if column.kind == 'time' else ''}"
            for owner, column in chosen
        ],
        vertical_spacing=min(0.3, 0.5 / lines),
        horizontal_spacing=0.06,
    )
    for place, (owner, column) in enumerate(chosen):
        figure.add_trace(
            _bars(_label(f"{owner.name}.{column.name}"), column), row=place // across + 1, col=place % across + 1
        )
    figure.update_annotations(font={"size": 11})
    figure.update_xaxes(showgrid=False, nticks=4, tickfont={"size": 10})
    figure.update_yaxes(showticklabels=False, showgrid=False, zeroline=False)
    figure.update_layout(
        title="How values are spread" if chosen else "No number or date is spread widely enough to draw",
        height=100 + 180 * lines if chosen else 120,
        showlegend=False,
        bargap=0.06,
    )
    return figure


def plot_dirt(result: ProfileResult) -> "Figure":
    """What a mapping must decide about or clean: how many columns hold each kind, and in how many rows."""
    import plotly.graph_objects as go

    faces.plot_theme()
    columns = [column for table in result.tables for column in table.columns.values()]
    labels, counts, rows = [], [], []
    for measure, label, _ in DIRT:
        found = [value for column in columns if (value := getattr(column, measure))]
        labels.append(label)
        counts.append(len(found))
        rows.append(sum(found))
    figure = go.Figure(
        go.Bar(
            name="columns",
            y=labels,
            x=counts,
            orientation="h",
            text=[f"{human_count(number)} rows" if number else "" for number in rows],
            textposition="auto",
            hovertemplate="%{y}<br>%{x} columns, %{text}<extra></extra>",
            marker={"color": "#d55e00"},
        )
    )
    figure.update_layout(
        title="Worth a look before mapping",
        height=_height(len(labels)),
        xaxis={"title": {"text": "columns"}, "rangemode": "tozero", **({} if any(counts) else {"range": [0, 1]})},
        yaxis={"autorange": "reversed"},
    )
    return figure


def plot_references(result: ProfileResult) -> "Figure":
    """The share of rows whose parent is missing, for each reference that has any; declared and likely ones apart."""
    import plotly.graph_objects as go

    faces.plot_theme()
    broken = [reference for reference in result.references if reference.orphans][:_BARS]
    figure = go.Figure()
    for declared, name in ((True, "Foreign key"), (False, "Looks like a reference")):
        shown = [reference for reference in broken if reference.declared is declared]
        figure.add_trace(
            go.Bar(
                name=name,
                orientation="h",
                y=[_label(f"{item.table} ({', '.join(item.columns)}) → {item.parent_table}", 46) for item in shown],
                x=[(item.orphans or 0) / max(1, item.rows) for item in shown],
                customdata=[[f"{item.orphans or 0:,}", f"{item.rows:,}"] for item in shown],
                hovertemplate="%{y}<br>%{customdata[0]} of %{customdata[1]} rows<extra>%{fullData.name}</extra>",
            )
        )
    figure.update_layout(
        title="Rows without their parent" if broken else "Every reference finds its parent",
        barmode="overlay",
        height=_height(len(broken)),
        xaxis={"title": {"text": "share of the rows that refer"}, "tickformat": ".1%", "rangemode": "tozero"},
        yaxis={"autorange": "reversed"},
        showlegend=bool(broken),
    )
    return figure


def _spread(result: ProfileResult, database: str, table: str, limit: int) -> list[tuple[TableProfile, ColumnProfile]]:
    owners = sorted(result.tables, key=lambda owner: (-owner.bytes, owner.label))
    if table:
        owners = [owner for owner in owners if owner.name == table and database in ("", owner.database)]
    chosen = []
    for owner in owners:
        drawn = [column for column in owner.columns.values() if _tells(owner, column)]
        # Dates first: they show gaps in time and wrong years.
        drawn.sort(key=lambda column: column.kind != "date")
        chosen += [(owner, column) for column in (drawn if table else drawn[:3])]
    return chosen[:limit]


def _tells(owner: TableProfile, column: ColumnProfile) -> bool:
    """Whether a histogram of `column` says something: not for keys and references, nor for few values."""
    names = {name for reference in owner.references for name in reference.columns} | set(owner.declared_key)
    return (
        column.histogram is not None
        and column.name not in names
        and not column.name.lower().endswith("_id")
        and (column.distinct or 0) > 7
        and column.sampled_values >= 30
    )


def _bars(name: str, column: ColumnProfile) -> Any:
    import plotly.graph_objects as go

    assert column.histogram is not None
    edges, counts = column.histogram.edges, column.histogram.counts
    spans = [f"{_edge(column, low)} to {_edge(column, high)}" for low, high in itertools.pairwise(edges)]
    color = "#0072b2" if column.kind in ("number", "float", "bits", "year") else "#009e73"
    # Times are told in hours.
    scale = 1 / 3600 if column.kind == "time" else 1.0
    middles = (
        edges[:-1]
        if column.kind == "date"
        else [(low + (high - low) / 2) * scale for low, high in itertools.pairwise(edges)]
    )
    return go.Bar(
        name=name,
        x=middles,
        y=counts,
        text=spans,
        textposition="none",
        hovertemplate="%{text}<br>%{y} of the sample<extra></extra>",
        marker={"color": color},
    )


def _edge(column: ColumnProfile, value: Any) -> str:
    if column.kind == "time":
        return f"{value / 3600:,.2f} h"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _labels(result: ProfileResult, tables: list[TableProfile]) -> list[str]:
    """Names for the axis: without the database where there is only one, which a phone has no room for."""
    several = len({table.database for table in result.tables}) > 1
    return [_label(table.label if several else table.name, 38 if several else 30) for table in tables]


def _label(name: str, length: int = 38) -> str:
    # plotly reads tags in a label and some entities, but not those of quotes.
    shown = plot_text(name if len(name) <= length else name[: length - 1] + "…")
    return shown.replace("&quot;", '"').replace("&#x27;", "'")


def _height(lines: int) -> int:
    return 130 + 24 * max(2, lines)
