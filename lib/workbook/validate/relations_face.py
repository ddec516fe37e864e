"""The verdict on a relation, its table and its plot: how many children parents have, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workbook import faces

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_PLOTTED = 40
_CLASSES = (
    ("none", "no child", "#d9d9d9"),
    ("one", "one", "#9ecae1"),
    ("few", "2 to 5", "#4292c6"),
    ("many", "more than 5", "#084594"),
)


@dataclass(frozen=True)
class Cardinality:
    """How many parents a relation has on one side, and how many of them have no child, one, 2 to 5, more; and the most."""

    parents: int
    none: int
    one: int
    few: int
    many: int
    most: int

    SAID: ClassVar[dict[str, str]] = {
        "parents": "parents",
        "none": "parents without a child",
        "one": "parents with one child",
        "few": "parents with 2 to 5 children",
        "many": "parents with more than 5 children",
        "most": "the most children of one parent",
    }


@dataclass(frozen=True)
class RelationVerdict:
    """A foreign key with the rows that have no parent, and how many children parents have, on each side (None: not looked at)."""

    name: str
    child: str
    parent: str
    orphans_source: int | None
    orphans_target: int | None
    orphans_warehouse: int | None
    verdict: str
    detail: str = ""
    children_source: Cardinality | None = None
    children_target: Cardinality | None = None
    children_warehouse: Cardinality | None = None

    @property
    def sides(self) -> tuple[tuple[str, Cardinality], ...]:
        """The sides that were looked at, each with its cardinalities."""
        named = (
            ("source", self.children_source),
            ("Cloud SQL", self.children_target),
            ("BigQuery", self.children_warehouse),
        )
        return tuple((name, found) for name, found in named if found is not None)


def relations_face(relations: Sequence[RelationVerdict]) -> faces.Html:
    """Foreign keys with their orphans and the children of their parents; where the sides differ, all are shown."""
    rows: list[dict[str, object]] = []
    for item in _worst_first(relations):
        orphans = [item.orphans_source, item.orphans_target, item.orphans_warehouse]
        rows.append(
            {
                "verdict": faces.badge(item.verdict),
                "name": item.name,
                "child": item.child,
                "parent": item.parent,
                "orphans": _alike([count for count in orphans if count is not None]),
                **{name: _alike([getattr(side, name) for _, side in item.sides]) for name in Cardinality.SAID},
                "detail": item.detail,
            }
        )
    titles = {
        "verdict": "Verdict",
        "name": "Foreign key",
        "child": "Child",
        "parent": "Parent",
        "orphans": "Orphans",
        "parents": "Parents",
        "none": "0 children",
        "one": "1",
        "few": "2–5",
        "many": "> 5",
        "most": "Most",
        "detail": "What differs",
    }
    return faces.table(rows, titles, caption="Foreign keys; source / Cloud SQL / BigQuery where they differ", limit=500)


def relations_figure(relations: Sequence[RelationVerdict]) -> "go.Figure":
    """The share of parents with no child, one, some and many, by relation and side: bars of one relation look alike."""
    import plotly.graph_objects as go

    chosen = [item for item in _worst_first(relations) if item.sides][:_MOST_PLOTTED]
    figure = go.Figure()
    bars = [
        (faces.plot_text(f"{item.child} → {item.parent}"), side, found) for item in chosen for side, found in item.sides
    ]
    for name, said, colour in _CLASSES:
        counts = [getattr(found, name) for _, _, found in bars]
        figure.add_bar(
            orientation="h",
            y=[[relation for relation, _, _ in bars], [side for _, side, _ in bars]],
            x=[
                count / found.parents if found.parents else 0 for count, (_, _, found) in zip(counts, bars, strict=True)
            ],
            customdata=counts,
            name=said,
            marker_color=colour,
            hovertemplate="%{y}<br>%{customdata:,} parents with " + said + "<extra></extra>",
        )
    left = len([item for item in relations if item.sides]) - len(chosen)
    title = "Children of each parent, by relation and side" + (f" ({left} more relations in the table)" if left else "")
    figure.update_layout(
        title=title,
        barmode="stack",
        xaxis_tickformat=".0%",
        xaxis_title="share of parents",
        yaxis_autorange="reversed",
        height=180 + 22 * max(len(bars), 1),
    )
    return figure


def _worst_first(relations: Sequence[RelationVerdict]) -> list[RelationVerdict]:
    return sorted(relations, key=lambda item: ("different", "incomparable", "tolerated", "same").index(item.verdict))


def _alike(counts: Sequence[int]) -> str:
    """One number where all sides have it, else each side's."""
    if len(set(counts)) == 1:
        return f"{counts[0]:,}"
    return " / ".join(f"{count:,}" for count in counts)
