"""What the mapping let through: rows whose every difference is of a class that it tolerates, counted against its bound.

A tolerance needs each differing row to be read: beyond that nothing is let through. Rows are never let through in part.
"""

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.catalog import Table
from workbook.mapping import TableMap
from workbook.mapping.tolerances import Tolerance
from workbook.validate.cells import Cell
from workbook.validate.evidence import CHARACTERS, Plain, Reader
from workbook.validate.rows import Difference, Located, RowDifference, decoded, shown
from workbook.validate.signs import SIGNS

if TYPE_CHECKING:
    from workbook.validate.result import TableVerdict

_KEYS_A_QUERY = 200


@dataclass(frozen=True)
class LetThrough:
    """A rule of the mapping on one column of a table on a hop, and in how many `rows` it let something through.

    `kind`: tolerance, type (a value that the warehouse's type cannot hold), mask or cleaning; the last two change what
    they change and are proven to give what their rule says, uncounted (None). `at_most` is a tolerance's bound in rows;
    `exceeded` where more would have to pass, or where not all rows could be looked at. `samples` are masked like all.
    """

    column: str
    kind: str
    rule: str
    rows: int | None = None
    at_most: int | None = None
    exceeded: bool = False
    note: str = ""
    samples: tuple[RowDifference, ...] = ()
    number: int | None = None  # of the defect that a tolerance is about

    @property
    def used(self) -> bool:
        """Whether a tolerance let something through."""
        return self.kind == "tolerance" and bool(self.rows) and not self.exceeded


def ruled(mapped: TableMap, losses: ReadOnly[str, int], masked: bool) -> tuple[LetThrough, ...]:
    """What type rules and masks of a table changed; `losses` counts values by column, `masked` where the hop begins before the mask."""
    types = [
        LetThrough(column.name, "type", f"type rule {column.rule}", losses[column.name])
        for column in mapped.columns
        if losses.get(column.name)
    ]
    masks = [LetThrough(name, "mask", f"mask {mask.kind}") for name, mask in mapped.flow.masks] if masked else []
    return (*types, *masks)


def not_needed(mapped: TableMap, rows: int | None) -> tuple[LetThrough, ...]:
    """The tolerances of a table whose rows are all alike: they let nothing through."""
    return tuple(
        LetThrough(column.name, "tolerance", rule.said, 0, rule.bound(rows or 0), number=rule.number)
        for column in mapped.columns
        for rule in column.tolerate
    )


def cleaned(mapped: TableMap) -> tuple[LetThrough, ...]:
    """The cleaning rules of a table, which were proven to give the clean table."""
    return tuple(
        LetThrough(column.name, "cleaning", f"cleaning {', '.join(rules)}")
        for column in mapped.columns
        if (rules := mapped.cleaned(column))
    )


def said(items: Sequence[LetThrough]) -> list[str]:
    """What type rules, masks and cleaning changed, in words; of masks and cleaning the columns together."""
    words = [
        f"{item.column}: {item.rows:,} values the warehouse's type cannot hold became NULL, by rule"
        for item in items
        if item.kind == "type"
    ]
    for kind, what in (
        ("mask", "compared as masked"),
        ("cleaning", "cleaned by rule, and proven to be what the rules give"),
    ):
        names = [item.column for item in items if item.kind == kind]
        words += [f"{what}: {', '.join(names)}"] if names else []
    return words


@dataclass(frozen=True)
class Ends:
    """What tells of both ends of a hop: the readers, and the places of columns that are known by their hash alone."""

    before: Reader
    after: Reader
    hashed: frozenset[int]


def tolerated(
    judged: "TableVerdict", table: Table, mapped: TableMap, located: Located, ends: Ends, whole: bool, samples: int
) -> "TableVerdict":
    """The verdict on a table that differs, after what the mapping tolerates was let through.

    `whole`: every row that differs is among `located`. The verdict becomes `same` where each difference of each row is
    tolerated and no bound is exceeded; the similarity stays the share of rows that are equal.
    """
    rules = {place: (column.name, column.tolerate) for place, column in enumerate(mapped.columns) if column.tolerate}
    if not rules:
        return judged
    changed = [item for item in located.differences if item.kind == "changed"]
    if not whole or len(changed) != judged.changed:
        why = "more rows differ than can be looked at one by one, so nothing is let through"
        entries = [replace(item, rows=None, exceeded=True, note=why) for item in not_needed(mapped, judged.rows_source)]
        return replace(judged, let_through=(*judged.let_through, *entries))
    found = _counted(table, [column.name for column in mapped.columns], rules, changed, ends)
    entries = list(_entries(judged, table, mapped, found, samples))
    open_columns = {item.column for item in entries if item.exceeded} | {
        mapped.columns[place].name for place, groups in found.items() if groups.get(0)
    }
    passed = {mapped.columns[place].name for place in found} - open_columns
    columns = {name: "tolerated" if name in passed else state for name, state in judged.columns.items()}
    let = (*judged.let_through, *entries)
    if judged.missing or judged.extra or "different" in columns.values():
        said = {item.column: item for item in entries if item.exceeded}
        # Of a column that differs in other ways too, what is within its bound is no finding.
        within = {(item.column, item.number) for item in entries if item.used}
        classes = (
            replace(item, evidence=f"{item.evidence}; {_exceeded(said[item.column])}") if item.column in said else item
            for item in judged.classes
            if item.column not in passed and (item.column, item.number) not in within
        )
        return replace(judged, columns=columns, classes=tuple(classes), let_through=let)
    words = [f"{item.column}: {item.rows:,} rows let through ({item.rule})" for item in entries if item.used]
    return replace(
        judged,
        verdict="same",
        columns=columns,
        classes=(),
        keys=(),
        samples=(),
        why="; ".join(filter(None, (judged.why, *words))),
        let_through=let,
    )


Groups = dict[int, list[Difference]]  # by number of the tolerated class; under 0 what nothing tolerates


def _counted(
    table: Table,
    names: Sequence[str],
    rules: ReadOnly[int, tuple[str, Sequence[Tolerance]]],
    changed: Sequence[Difference],
    ends: Ends,
) -> dict[int, Groups]:
    """The differing rows of each column that has tolerances, by the one that lets them through."""
    found: dict[int, Groups] = {}
    values = _read(table, names, [place for place in rules if place in ends.hashed], changed, ends)
    places = [names.index(name) for name in table.key]
    for item in changed:
        assert item.before is not None
        assert item.after is not None
        key = tuple(item.before[place] for place in places)
        for place, (name, tolerances) in rules.items():
            if item.before[place] == item.after[place]:
                continue
            cell = Cell(table.column[name], decoded(item.before[place]), decoded(item.after[place]))
            if place in ends.hashed:
                here, there = (side.get(key, {}).get(place) for side in values)
                # A value of which only the beginning was read may differ behind it.
                cut = any(text is not None and len(text) >= CHARACTERS for text in (here, there))
                cell = Cell(table.column[name], here, there, seen=here != there and not cut)
            number = next((rule.number for rule in tolerances if shows(rule, cell)), 0)
            found.setdefault(place, {}).setdefault(number, []).append(item)
    return found


def _read(
    table: Table, names: Sequence[str], hashed: Sequence[int], changed: Sequence[Difference], ends: Ends
) -> tuple[dict[Any, dict[int, str | None]], dict[Any, dict[int, str | None]]]:
    """The values themselves, on both ends, of columns of which the comparison knows the hash alone: by key and place."""
    places = [names.index(name) for name in table.key]
    keys = [
        tuple(item.before[place] for place in places)
        for item in changed
        if item.before is not None
        and item.after is not None
        and any(item.before[place] != item.after[place] for place in hashed)
    ]
    both: tuple[dict[Any, dict[int, str | None]], dict[Any, dict[int, str | None]]] = {}, {}
    for first in range(0, len(keys), _KEYS_A_QUERY):
        for values, reader in zip(both, (ends.before, ends.after), strict=True):
            read: Plain = reader.plain(keys[first : first + _KEYS_A_QUERY], hashed)
            values.update({key: dict(zip(hashed, row, strict=True)) for key, row in read.items()})
    return both


def shows(rule: Tolerance, cell: Cell) -> bool:
    """Whether a changed cell shows the defect that a rule tolerates, and no larger change than it allows."""
    if not cell.seen:
        return False
    sign = next((sign for number, families, sign in SIGNS if number == rule.number and cell.family in families), None)
    if sign is None or sign(cell) is None:
        return False
    return rule.within is None or _size(cell) <= rule.within


def _size(cell: Cell) -> float:
    """The size of a change in the unit of its type (mapping/tolerances.py); infinite where it has none."""
    if cell.family in ("date", "moment", "time"):
        one, other = cell.moments
        return abs(one - other) / 1_000_000 if one is not None and other is not None else float("inf")
    before, after = cell.numbers
    if before is None or after is None:
        return float("inf")
    if cell.family != "float":
        return float(abs(before - after))
    form = ("f", "i") if cell.column.data_type == "float" else ("d", "q")
    try:
        return abs(_step(float(before), *form) - _step(float(after), *form))
    except OverflowError:
        return float("inf")


def _step(value: float, form: str, whole: str) -> int:
    """The place of a floating-point number among all of its kind."""
    bits = int(struct.unpack(whole, struct.pack(form, value))[0])
    return bits if bits >= 0 else -(bits & ((1 << (31 if whole == "i" else 63)) - 1))


def _entries(
    judged: "TableVerdict", table: Table, mapped: TableMap, found: ReadOnly[int, Groups], samples: int
) -> Iterable[LetThrough]:
    names = [column.name for column in mapped.columns]
    for place, column in enumerate(mapped.columns):
        for rule in column.tolerate:
            rows = found.get(place, {}).get(rule.number, [])
            bound = rule.bound(judged.rows_source or 0)
            some = tuple(
                replace(row, columns=tuple(change for change in row.columns if change[0] == column.name))
                for row in shown(names, table.key, rows[:samples], samples)
            )
            yield LetThrough(
                column.name, "tolerance", rule.said, len(rows), bound, len(rows) > bound, "", some, rule.number
            )


def _exceeded(item: LetThrough) -> str:
    return f"the mapping tolerates {item.rule}, and that is {item.at_most:,} here" if item.at_most is not None else ""


@dataclass(frozen=True)
class Tolerances:
    """All that rules of the mapping let through, table by table and hop by hop."""

    items: tuple[tuple[str, str, LetThrough], ...]  # table, title of the hop, rule

    def _repr_html_(self) -> str:
        if not self.items:
            return faces.text("No rule of the mapping lets anything through: every column was compared as it is.")
        tolerances = [item for item in self.items if item[2].kind == "tolerance"]
        others = [item for item in self.items if item[2].kind != "tolerance"]
        counts = Counter(_said(item) for _, _, item in tolerances)
        order = {"exceeded": 0, "tolerated": 1, "not needed": 2}
        titles = {
            "said": "Verdict",
            "table": "Table",
            "column": "Column",
            "rule": "Rule",
            "rows": "Rows let through",
            "hop": "Hop",
            "keys": "For example",
        }
        return faces.stack(
            faces.boxes(*((word[0].upper() + word[1:], counts[word]) for word in order if counts[word]))
            if tolerances
            else faces.text("The mapping declares no tolerance."),
            faces.table(
                [
                    _row(*item)
                    for item in sorted(tolerances, key=lambda item: (order[_said(item[2])], item[0], item[2].column))
                ],
                titles,
                caption="Tolerances of the mapping, those that were exceeded first",
            )
            if tolerances
            else None,
            faces.details(
                f"{len(others)} columns changed by type rules, masks and cleaning",
                faces.table(
                    [_row(*item) for item in others],
                    {name: title for name, title in titles.items() if name not in ("said", "keys")},
                    limit=500,
                ),
            )
            if others
            else None,
        )


def _said(item: LetThrough) -> str:
    return "exceeded" if item.exceeded else "tolerated" if item.rows else "not needed"


def _row(table: str, hop: str, item: LetThrough) -> dict[str, object]:
    keys = ["; ".join(f"{name} = {value}" for name, value in row.key) for row in item.samples[:3]]
    return {
        "said": faces.badge(_said(item)),
        "table": table,
        "column": item.column,
        "rule": item.rule,
        "rows": f"{item.rows:,}" if item.rows is not None else item.note or "as its rule says",
        "hop": hop,
        "keys": ", ".join(keys),
    }
