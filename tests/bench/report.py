"""What a bench leaves: a table for the terminal, reports/bench.json for machines, reports/bench.html to look at."""

import json
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import psutil

from bench.contest import Outcome
from bench.matrix import Matrix
from workbook.faces import badge, escape

_PACKAGES = ("PyMySQL", "mysqlclient-static", "pyarrow", "plotly")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The ratios as plain text, one line a peer."""
    lines = [
        f"{'case':14} {'peer':40} {'ours s':>8} {'peer s':>8} {'ratio':>6} {'spread':>13} {'goal':>5} {'memory':>13}"
    ]
    for row in rows:
        if row["ratio"] is None:
            lines.append(f"{row['case']:14} {row['peer']:40} MISSING: {row['missing']}")
            continue
        spread = f"{row['spread'][0]:.2f} to {row['spread'][1]:.2f}"
        goal = "" if row["goal"] is None else f"{row['goal']:.2f}"
        met = {True: "met", False: "NOT MET", None: ""}[row["met"]]
        lines.append(
            f"{row['case']:14} {row['peer']:40} {_middle(row['ours_s']):8.2f} {_middle(row['peer_s']):8.2f}"
            f" {row['ratio']:6.2f} {spread:>13} {goal:>5} {_memory(row):>13} {met}"
        )
    return "\n".join(lines)


def write(outcomes: Sequence[Outcome], matrices: Sequence[Matrix], folder: Path) -> None:
    """Write bench.json and bench.html."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for outcome in outcomes for row in outcome.rows()]
    found = [matrix.asdict() for matrix in matrices]
    content = {"results": rows, "found": found, "machine": machine(), "versions": versions()}
    (folder / "bench.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "bench.html").write_text(page(rows, matrices, content["machine"]), encoding="utf-8")


def machine() -> dict[str, Any]:
    """What it ran on, and how busy that was with other things."""
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / (1 << 30)),
        "system": platform.platform(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Python and the packages that matter."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def page(rows: Sequence[dict[str, Any]], matrices: Sequence[Matrix], ran_on: dict[str, Any]) -> str:
    """A page that needs no other file: the plot, the table, who found what."""
    measured = _measured(rows, ran_on) if rows else ""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Bench</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"
        "table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.25rem .6rem;text-align:left;"
        "border-bottom:1px solid #ddd}</style><h1>Ours against what others use</h1>"
        f"{measured}{''.join(matrix.html() for matrix in matrices)}</html>"
    )


def _measured(rows: Sequence[dict[str, Any]], ran_on: dict[str, Any]) -> str:
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in _cells(row)) + f"<td>{badge(_word(row))}</td></tr>"
        for row in rows
    )
    head = "".join(
        f"<th>{name}</th>"
        for name in (
            "Bench",
            "Case",
            "Rows",
            "Peer",
            "Ours, s",
            "Peer, s",
            "Ratio",
            "Spread",
            "Goal",
            "Memory",
            "CPU ours, s",
            "CPU peer, s",
            "Verdict",
        )
    )
    return (
        f"<p>Run in turn on {ran_on['cpus']} CPUs with {ran_on['memory_gb']} GB; the load of the machine at the end was"
        f" {ran_on['load_average'][0]}. A ratio under 1 means that ours took less time; the bar is the median, its"
        " whiskers the smallest and largest of the repetitions, the line the goal.</p>"
        f"{plot(rows).to_html(full_html=False, include_plotlyjs=True)}<table><tr>{head}</tr>{lines}</table>"
    )


def plot(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """The ratios by case, one colour a peer, with their spread and goals."""
    figure = go.Figure()
    measured = [row for row in rows if row["ratio"] is not None]
    colours = ("#4269d0", "#efb118", "#6cc5b0", "#9c6b4e", "#a463f2")
    for number, peer in enumerate(dict.fromkeys(row["peer"] for row in measured)):
        own = [row for row in measured if row["peer"] == peer]
        goal = own[0]["goal"]
        figure.add_bar(
            name=peer if goal is None else f"{peer} (goal {goal:g})",
            x=[row["case"] for row in own],
            y=[row["ratio"] for row in own],
            marker_color=colours[number % len(colours)],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [row["spread"][1] - row["ratio"] for row in own],
                "arrayminus": [row["ratio"] - row["spread"][0] for row in own],
            },
            hovertext=[f"ours {row['ours_s']} s, peer {row['peer_s']} s" for row in own],
        )
        if goal is not None:
            figure.add_hline(y=goal, line_dash="dot", line_color=colours[number % len(colours)])
    figure.update_layout(
        template="plotly_white",
        yaxis_title="our time / the peer's time",
        legend={"orientation": "h", "y": 1.15},
        height=460,
    )
    return figure


def _cells(row: dict[str, Any]) -> list[str]:
    def seconds(values: list[float]) -> str:
        return f"{_middle(values):.2f}" if values else ""

    def processor(value: dict[str, float] | None) -> str:
        return f"{value['client']:.1f} + {value['server']:.1f}" if value else ""

    spread = row["spread"]
    return [
        row["name"],
        row["case"],
        f"{row['rows']:,}",
        row["peer"],
        seconds(row["ours_s"]),
        seconds(row["peer_s"]),
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        f"{spread[0]:.2f} to {spread[1]:.2f}" if spread else "",
        "" if row["goal"] is None else f"{row['goal']:.2f}",
        _memory(row),
        processor(row["ours_cpu_s"]),
        processor(row["peer_cpu_s"]),
    ]


def _memory(row: dict[str, Any]) -> str:
    if not row["memory_mb"]:
        return ""
    goal = "" if row["memory_goal_mb"] is None else f" of {row['memory_goal_mb']:.0f}"
    return f"{row['memory_mb']:.0f}{goal} MB"


def _word(row: dict[str, Any]) -> str:
    if row["ratio"] is None:
        return f"missing: {row['missing']}"
    return {True: "met", False: "not met", None: "no goal"}[row["met"]]


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0
