"""The accounts as a picture: who lost how much of what it may do on the source, or gained, database by database."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbook import faces
from workbook.accounts.effective import Effect

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST_ROWS = 40
# From nothing left over some to everything; a gain stands apart.
_SCALE = [
    [0, "#8a4b00"],
    [0.01, "#8a4b00"],
    [0.01, "#f2b84b"],
    [0.7, "#fbe9c3"],
    [0.75, "#1b7f6b"],
    [0.9, "#1b7f6b"],
    [0.9, "#b3261e"],
    [1, "#b3261e"],
]
_GAINED, _WHOLE = 1.0, 0.8


def plot_effects(effects: Sequence[Effect]) -> "Figure":
    """A row for the accounts that are alike, a column for a database: how much of the source's privileges is there.

    Those that may do exactly the same share one row; of the others at most 40 rows are drawn, what gained and what lost
    most first. 3/8 +1: three of eight are there, and one that was not before.
    """
    import plotly.graph_objects as go

    faces.plot_theme()
    databases = list(dict.fromkeys(name for effect in effects for name in effect.counts))
    groups: dict[tuple[tuple[int, int, int], ...], list[Effect]] = defaultdict(list)
    same: list[Effect] = []
    for effect in effects:
        pattern = tuple(effect.counts.get(name, (0, 0, 0)) for name in databases)
        if any(lost or gained for _, lost, gained in pattern):
            groups[pattern].append(effect)
        else:
            same.append(effect)
    ordered = sorted(groups.items(), key=_worst_first)
    shown = ordered[:_MOST_ROWS]
    labels = [_label(alike) for _, alike in shown]
    shares = [[_share(*cell) for cell in pattern] for pattern, _ in shown]
    texts = [[_words(*cell) for cell in pattern] for pattern, _ in shown]
    names = ["<br>".join(faces.plot_text(effect.account) for effect in alike[:12]) for _, alike in shown]
    if same:
        held = [any(effect.counts.get(name, (0,))[0] for effect in same) for name in databases]
        labels.append(f"{len(same):,} others")
        shares.append([_WHOLE if any_held else None for any_held in held])
        texts.append(["all" if any_held else "" for any_held in held])
        names.append(f"{len(same):,} accounts")
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=[faces.plot_text(name) for name in databases],
            y=list(range(len(labels))),
            text=texts,
            customdata=[[name] * len(databases) for name in names],
            texttemplate="%{text}",
            textfont={"size": 11},
            hovertemplate="%{customdata}<br>on %{x}: %{text}<extra></extra>",
            zmin=0,
            zmax=1,
            colorscale=_SCALE,
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    rest = f"; {len(ordered) - len(shown):,} more rows stand in the table" if len(ordered) > len(shown) else ""
    figure.update_layout(
        title=f"Privileges there, of those on the source{rest}",
        height=130 + 26 * max(2, len(labels)),
        yaxis={
            "autorange": "reversed",
            "automargin": True,
            "tickmode": "array",
            "tickvals": list(range(len(labels))),
            "ticktext": labels,
            "tickfont": {"size": 11},
        },
        xaxis={"side": "top", "type": "category"},
    )
    return figure


def _worst_first(group: tuple[tuple[tuple[int, int, int], ...], list[Effect]]) -> tuple[int, float, str]:
    pattern, alike = group
    kept = [1 - lost / held for held, lost, _ in pattern if held]
    return -sum(gained for *_, gained in pattern), sum(kept) / len(kept) if kept else 1.0, alike[0].account


def _share(held: int, lost: int, gained: int) -> float | None:
    """Where a cell stands on the scale of colours; None where there is nothing on either side."""
    if gained:
        return _GAINED
    if not held:
        return None
    return _WHOLE if not lost else 0.7 * (held - lost) / held


def _words(held: int, lost: int, gained: int) -> str:
    if not held and not gained:
        return ""
    # Narrow enough for a phone.
    return f"{held - lost}/{held}" + (f" +{gained}" if gained else "")


def _label(alike: Sequence[Effect]) -> str:
    first, more = alike[0].account, f" +{len(alike) - 1:,}" if len(alike) > 1 else ""
    room = 20 - len(more)
    return faces.plot_text(first if len(first) <= room else first[: room - 1] + "…") + more
