"""In which order pipelines can move: who must not move later than whom, and so who moves together."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from workbook.catalog import Catalog
from workbook.mapping import Mapping as DataMapping
from workbook.pipelines.register import Pipeline, Register


@dataclass(frozen=True)
class Before:
    """`first` must be on the target no later than `then`, and why."""

    first: str
    then: str
    why: str


@dataclass(frozen=True)
class Order:
    """The groups in the order in which they can move: within a group all move together."""

    groups: tuple[tuple[str, ...], ...]
    rules: tuple[Before, ...]
    depths: tuple[int, ...]  # of each group: how many others must have moved before it, in the longest chain

    def group_of(self, name: str) -> tuple[str, ...]:
        """The pipelines that move together with this one, itself among them."""
        return next(group for group in self.groups if name in group)

    def first(self, name: str) -> tuple[Before, ...]:
        """The rules that name who must move before this pipeline, those of its own group left out."""
        group = self.group_of(name)
        return tuple(rule for rule in self.rules if rule.then in group and rule.first not in group)

    def then(self, name: str) -> tuple[Before, ...]:
        """The rules that name who must not be on the target once this pipeline is back on the source."""
        group = self.group_of(name)
        return tuple(rule for rule in self.rules if rule.first in group and rule.then not in group)


def order_of(register: Register, mapping: DataMapping, catalog: Catalog) -> Order:
    """The order of the register's pipelines.

    Readers of a segment before its writers, or they would read what is no longer written; writers of a segment
    together, or it would have two truths; writers of a child segment no later than those of its parents, or rows would
    be written whose parents are on the other side.
    """
    rules: list[Before] = []
    references = _references(mapping, catalog)
    for one in register.pipelines:
        for other in register.pipelines:
            if one.name == other.name:
                continue
            rules += _rules(one, other, references)
    names = [pipeline.name for pipeline in register.pipelines]
    later: dict[str, set[str]] = {name: {rule.then for rule in rules if rule.first == name} for name in names}
    reach = {name: _reached(name, later) for name in names}
    groups: list[tuple[str, ...]] = []
    for name in names:
        if not any(name in group for group in groups):
            groups.append(
                tuple(other for other in names if other == name or (other in reach[name] and name in reach[other]))
            )
    place = {name: number for number, group in enumerate(groups) for name in group}
    needs: dict[int, set[int]] = {number: set() for number in range(len(groups))}
    for rule in rules:
        if place[rule.first] != place[rule.then]:
            needs[place[rule.then]].add(place[rule.first])
    depth: dict[int, int] = {}
    for number in TopologicalSorter(needs).static_order():
        depth[number] = 1 + max((depth[before] for before in needs[number]), default=-1)
    ordered = sorted(depth, key=lambda number: (depth[number], number))
    return Order(tuple(groups[number] for number in ordered), tuple(rules), tuple(depth[number] for number in ordered))


def _rules(one: Pipeline, other: Pipeline, references: Mapping[tuple[str, str], str]) -> list[Before]:
    found = []
    for segment in one.reads_in:
        if segment in other.writes_in and segment not in one.writes_in:
            found.append(Before(one.name, other.name, f"it reads {segment}, which {other.name} writes"))
    for segment in one.writes_in:
        if segment in other.writes_in:
            found.append(Before(one.name, other.name, f"both write {segment}"))
        for parent in other.writes_in:
            if (segment, parent) in references:
                found.append(Before(one.name, other.name, references[segment, parent]))
    return found


def _references(mapping: DataMapping, catalog: Catalog) -> dict[tuple[str, str], str]:
    """(segment, segment it refers to) → a foreign key that says so."""
    found: dict[tuple[str, str], str] = {}
    for table in catalog.tables:
        for key in table.foreign_keys:
            parent = (key.parent_database, key.parent_table)
            if table.path not in mapping.tables or parent not in mapping.tables:
                continue
            child_segment, parent_segment = mapping.tables[table.path].segment, mapping.tables[parent].segment
            if child_segment != parent_segment:
                why = f"{child_segment}.{table.name} refers to {parent_segment}.{parent[1]}"
                found.setdefault((child_segment, parent_segment), why)
    return found


def _reached(name: str, later: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        for other in later[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
