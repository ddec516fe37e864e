"""The verdict on a relation, and its line on the page: how many children parents have, as a bar for each side that differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from workbook import faces

_CLASSES = (("none", "no child"), ("one", "one"), ("few", "2 to 5"), ("many", "more than 5"))


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
                "bars": _bars(item),
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
        "bars": "Children of a parent: none, one, 2–5, more",
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


def _bars(item: RelationVerdict) -> faces.Html:
    """The share of parents with no child, one, some and many: one bar where the sides are alike, else one a side."""
    sides = item.sides
    if len({found for _, found in sides}) == 1:
        sides = (("", sides[0][1]),)
    drawn = []
    for side, found in sides:
        pieces = "".join(
            f'<span class="wb-{name}" style="width:{getattr(found, name) / found.parents:.2%}"></span>'
            for name, _ in _CLASSES
            if found.parents and getattr(found, name)
        )
        said = ", ".join(f"{getattr(found, name):,} with {words}" for name, words in _CLASSES)
        about = faces.attribute(f"{side or 'every side'}: of {found.parents:,} parents {said}")
        label = f"<small>{faces.escape(side)}</small>" if side else ""
        drawn.append(
            f'<div class="wb-kin">{label}<span class="wb-track" role="img" aria-label="{about}" title="{about}">{pieces}</span></div>'
        )
    return faces.Html("".join(drawn))


def _worst_first(relations: Sequence[RelationVerdict]) -> list[RelationVerdict]:
    return sorted(relations, key=lambda item: ("different", "incomparable", "tolerated", "same").index(item.verdict))


def _alike(counts: Sequence[int]) -> str:
    """One number where all sides have it, else each side's."""
    if len(set(counts)) == 1:
        return f"{counts[0]:,}"
    return " / ".join(f"{count:,}" for count in counts)
