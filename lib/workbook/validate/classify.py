"""The classifier: the differing rows of a table on a hop become named defects, each with what was seen and in which rows.

Rows are looked at first (columns swapped, a character moved over a border, an update not applied), then cells column by
column (signs.py, most specific first), then what the changes of a column come to together, and last whole rows.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from workbook.catalog import Column, Table
from workbook.validate.cells import Cell
from workbook.validate.defects import UNKNOWN
from workbook.validate.evidence import Evidence, in_order
from workbook.validate.rows import Difference, Encoded, Located, decoded
from workbook.validate.signs import GENERAL, signs_of

# Changed rows that are looked at, spread over all that were found; wider rows are not looked through pair by pair.
LOOKED = 2_000
_WIDE = 12
# So many rows in one piece are a chunk, fewer are single rows.
CHUNK = 20
# A class of fewer cells than this share of another joins it where the other explains them all.
_FEW = 0.1
_VERSIONS = re.compile(r"updated|modified|changed|last_?(update|change|mod)|mtime|revision|version", re.I)
_SUMMED = ("date", "moment", "time", "int", "decimal")


@dataclass(frozen=True)
class Classified:
    """A defect in one column (or in whole rows) of a table: `rows` of the `looked` show it, of `total` that differ so."""

    number: int
    column: str | None
    rows: int
    looked: int
    total: int
    evidence: str
    differences: tuple[Difference, ...]
    kind: str = "changed"  # or missing, extra


@dataclass(frozen=True)
class _Seen:
    """A changed cell in its row, with every defect it shows."""

    difference: Difference
    cell: Cell
    signs: dict[int, str]


def classify(
    table: Table, names: Sequence[str], located: Located, evidence: Evidence, rows_before: int | None
) -> tuple[Classified, ...]:
    """The defects of the differing rows of `table`, whose encoded columns are `names`; the commonest first."""
    columns = [table.column[name] for name in names]
    changed = [item for item in located.differences if item.kind == "changed"]
    gone = [item for item in located.differences if item.kind == "missing"]
    come = [item for item in located.differences if item.kind == "extra"]
    pairs, gone, come = _paired(table, names, columns, gone, come)
    step = max(1, len(changed) // LOOKED)
    looked = [*changed[::step][:LOOKED], *pairs]
    found = [
        *_cells(table, names, columns, looked, evidence, len(changed) + len(pairs)),
        *_missing(table, names, gone, evidence),
        *_extra(table, names, come, evidence, rows_before),
    ]
    return tuple(sorted(found, key=lambda item: -item.rows))


def _cells(
    table: Table,
    names: Sequence[str],
    columns: Sequence[Column],
    looked: Sequence[Difference],
    evidence: Evidence,
    total: int,
) -> Iterable[Classified]:
    by_column: dict[int, list[tuple[Difference, Cell]]] = {}
    settled: dict[tuple[int, int], list[tuple[Difference, str]]] = {}
    for item in looked:
        cells = _changed_cells(table, names, columns, item, evidence)
        taken = _in_context(columns, cells)
        for place, cell in cells.items():
            if place in taken:
                number, shown = taken[place]
                settled.setdefault((place, number), []).append((item, shown))
            by_column.setdefault(place, []).append((item, cell))
    for place, found in by_column.items():
        taken_here = {id(item) for (at, _), items in settled.items() if at == place for item, _ in items}
        rest = [(item, cell) for item, cell in found if id(item) not in taken_here]
        groups = {number: items for (at, number), items in settled.items() if at == place}
        for number, items in _grouped(rest).items():
            groups.setdefault(number, []).extend(items)
        if columns[place].generated is not None and UNKNOWN in groups:
            _computed(columns, groups)
        seen = sum(cell.seen for _, cell in found) or len(found)
        everywhere = total if len(found) == len(looked) else len(found)
        for number, items in groups.items():
            yield Classified(
                number,
                names[place],
                len(items),
                seen,
                everywhere,
                _in_words([shown for _, shown in items], seen),
                tuple(item for item, _ in items),
            )


def _computed(columns: Sequence[Column], groups: dict[int, list[tuple[Difference, str]]]) -> None:
    """Of a generated column, take what is unknown for another rule in those rows where nothing it could stand on changed."""
    alone = [
        (item, "computed otherwise from the same values")
        for item, _ in groups[UNKNOWN]
        if item.before is not None
        and item.after is not None
        and all(
            column.generated is not None or one == other
            for column, one, other in zip(columns, item.before, item.after, strict=True)
        )
    ]
    if alone:
        known = {id(item) for item, _ in alone}
        groups[UNKNOWN] = [found for found in groups[UNKNOWN] if id(found[0]) not in known]
        if not groups[UNKNOWN]:
            del groups[UNKNOWN]
        groups.setdefault(44, []).extend(alone)


def _changed_cells(
    table: Table, names: Sequence[str], columns: Sequence[Column], item: Difference, evidence: Evidence
) -> dict[int, Cell]:
    assert item.before is not None
    assert item.after is not None
    places = [names.index(name) for name in table.key]
    key = tuple(item.before[place] for place in places)
    found = {}
    for place, (one, other) in enumerate(zip(item.before, item.after, strict=True)):
        if one == other:
            continue
        if place not in evidence.hashed or (
            "~;" in (one, other) and not (key in evidence.before and key in evidence.after)
        ):
            found[place] = Cell(columns[place], decoded(one), decoded(other), place not in evidence.hashed)
        elif key in evidence.before and key in evidence.after:
            here, there = evidence.before[key][place], evidence.after[key][place]
            # Alike as far as they were read: the difference lies further behind.
            found[place] = Cell(columns[place], here, there, here != there)
        else:
            found[place] = Cell(columns[place], decoded(one), decoded(other), seen=False)
    return found


def _in_context(columns: Sequence[Column], cells: dict[int, Cell]) -> dict[int, tuple[int, str]]:
    """What the neighbours of a cell tell: place → defect and what was seen."""
    found: dict[int, tuple[int, str]] = {}
    if 2 <= len(cells) <= _WIDE:
        places = sorted(cells)
        for left in places:
            for right in places:
                if left >= right or left in found or right in found:
                    continue
                one, other = cells[left], cells[right]
                if one.before == other.after and one.after == other.before:
                    found[left] = 10, f"has the value of {other.column.name!r}, and that has its value"
                    found[right] = 10, f"has the value of {one.column.name!r}, and that has its value"
                elif _moved(one, other):
                    found[left] = 9, f"the border towards {other.column.name!r} is at another place"
                    found[right] = 9, f"the border towards {one.column.name!r} is at another place"
    if not found and len(cells) > 1:
        older = next((cell for cell in cells.values() if _older(cell)), None)
        if older is not None and not _all_shifted(cells.values()):
            return dict.fromkeys(cells, (48, f"the row is older: see {older.column.name!r}"))
    return found


def _moved(one: Cell, other: Cell) -> bool:
    texts = (one.before, other.before, one.after, other.after)
    if None in texts or one.family != "text" or other.family != "text" or not (one.seen and other.seen):
        return False
    return f"{one.before}{other.before}" == f"{one.after}{other.after}"


def _older(cell: Cell) -> bool:
    """Whether the column tells when its row was changed, and the row of this end is the older one."""
    if not (cell.column.on_update or _VERSIONS.search(cell.column.name)):
        return False
    one, other = cell.numbers if cell.family == "int" else cell.moments if cell.family == "moment" else (None, None)
    return one is not None and other is not None and other < one


def _all_shifted(cells: Iterable[Cell]) -> bool:
    """Whether all changed columns of a row moved in time by the same step."""
    steps = {
        None if None in cell.moments else cell.moments[1] - cell.moments[0] if cell.family == "moment" else None  # type: ignore[operator]
        for cell in cells
    }
    return len(steps) == 1 and None not in steps


def _grouped(cells: Sequence[tuple[Difference, Cell]]) -> dict[int, list[tuple[Difference, str]]]:
    """The cells of one column by defect."""
    seen = [_Seen(item, cell, signs_of(cell)) for item, cell in cells if cell.seen]
    groups: dict[int, list[_Seen]] = {}
    for one in seen:
        groups.setdefault(next(iter(one.signs), UNKNOWN), []).append(one)
    if len(seen) > 1 and (UNKNOWN in groups or len(groups) > 1) and _exchanged(seen):
        return {33: [(one.difference, "the same values stand in other rows") for one in seen]}
    _absorb(groups)
    found = {
        number: [(one.difference, one.signs[number]) for one in items]
        for number, items in groups.items()
        if number != UNKNOWN
    }
    for number, items in _together(groups.get(UNKNOWN, [])).items():
        found.setdefault(number, []).extend(items)
    hidden = [item for item, cell in cells if not cell.seen]
    if hidden and not seen:
        found[UNKNOWN] = [(item, "the values could not be looked at, or differ far behind") for item in hidden]
    return found


def _absorb(groups: dict[int, list[_Seen]]) -> None:
    for small in sorted(groups, key=lambda number: len(groups[number])):
        for large in groups:
            few = len(groups[small]) <= _FEW * len(groups[large])
            if small != large and few and all(large in one.signs for one in groups[small]):
                groups[large] += groups.pop(small)
                break


def _exchanged(seen: Sequence[_Seen]) -> bool:
    return Counter(one.cell.before for one in seen) == Counter(one.cell.after for one in seen)


def _together(rest: Sequence[_Seen]) -> dict[int, list[tuple[Difference, str]]]:
    """What cells without a sign of their own are together: changes whose sum is none, or what their type makes of them."""
    found: dict[int, list[tuple[Difference, str]]] = {}
    steps = [_step(one.cell) for one in rest]
    if len(rest) > 1 and None not in steps and sum(steps) == 0:  # type: ignore[arg-type]
        return {33: [(one.difference, "the changes add up to nothing") for one in rest]}
    for one in rest:
        general = signs_of(one.cell, GENERAL)
        number, shown = next(iter(general.items()), (UNKNOWN, _plainly(one.cell)))
        found.setdefault(number, []).append((one.difference, shown))
    return found


def _step(cell: Cell) -> Fraction | None:
    if cell.family not in _SUMMED:
        return None
    one, other = cell.numbers if cell.family in ("int", "decimal") else cell.moments
    return None if one is None or other is None else Fraction(other) - Fraction(one)


def _plainly(cell: Cell) -> str:
    if cell.after is None:
        return "the value became NULL"
    return "NULL became a value" if cell.before is None else "another value"


def _paired(
    table: Table, names: Sequence[str], columns: Sequence[Column], gone: list[Difference], come: list[Difference]
) -> tuple[list[Difference], list[Difference], list[Difference]]:
    """Missing and extra rows that are one row with a changed key, or in a keyless table a changed value: only where the
    change shows the sign of a defect."""
    lone_gone = [item for item in gone if not item.twin][:LOOKED]
    lone_come = [item for item in come if not item.twin][:LOOKED]
    if not lone_gone or not lone_come:
        return [], gone, come
    keyed = tuple(names.index(name) for name in table.key)
    # The columns that may differ: those of the key, or one at a time.
    apart = [keyed] if keyed else [(place,) for place in range(len(names))]
    pairs: list[Difference] = []
    used: set[int] = set()
    for free in apart:
        rest: dict[Encoded, list[Difference]] = {}
        for item in lone_come:
            if id(item) not in used:
                rest.setdefault(_without(item.after, free), []).append(item)
        for item in lone_gone:
            if id(item) in used:
                continue
            for other in rest.get(_without(item.before, free), []):
                if id(other) not in used and _explained(columns, free, item.before, other.after):
                    used |= {id(item), id(other)}
                    pairs.append(Difference(item.before, other.after))
                    break
    return pairs, [item for item in gone if id(item) not in used], [item for item in come if id(item) not in used]


def _without(row: Encoded | None, places: Sequence[int]) -> Encoded:
    return tuple(value for place, value in enumerate(row or ()) if place not in places)


def _explained(columns: Sequence[Column], places: Sequence[int], one: Encoded | None, other: Encoded | None) -> bool:
    assert one is not None
    assert other is not None
    cells = [
        Cell(columns[place], decoded(one[place]), decoded(other[place]))
        for place in places
        if one[place] != other[place]
    ]
    return all(signs_of(cell) for cell in cells)


def _missing(
    table: Table, names: Sequence[str], gone: Sequence[Difference], evidence: Evidence
) -> Iterable[Classified]:
    places = [names.index(name) for name in table.key]
    lone = [item for item in gone if not item.twin]
    equal = [item for item in lone if tuple((item.before or ())[place] for place in places) in evidence.alike]
    if equal:
        yield _whole(34, "missing", equal, "the other end has a row whose key its collation calls equal")
    lone = [item for item in lone if item not in equal] if equal else lone
    unbroken = evidence.gone_between is not None and evidence.gone_between == len(lone)
    counted = len(places) == 1 and table.column[names[places[0]]].auto_increment
    if len(lone) >= CHUNK and unbroken:
        yield _whole(35, "missing", lone, "all rows of one range of the key are missing")
    elif lone and counted and not (_newest(table, names, lone) and (unbroken or len(lone) == 1)):
        yield _whole(47, "missing", lone, "numbers are missing that the source has")
    elif lone:
        yield _whole(31, "missing", lone, "the row is on the first end of the hop only")
    if twins := [item for item in gone if item.twin]:
        yield _whole(32, "missing", twins, "one of several rows alike is missing")


def _newest(table: Table, names: Sequence[str], gone: Sequence[Difference]) -> bool:
    """Whether the last number that was given away is among the rows."""
    place = names.index(table.key[0])
    orders = [in_order(table, decoded((item.before or ())[place])) for item in gone]
    return table.auto_increment is not None and max(order or 0 for order in orders) + 1 >= table.auto_increment


def _extra(
    table: Table, names: Sequence[str], come: Sequence[Difference], evidence: Evidence, rows_before: int | None
) -> Iterable[Classified]:
    twins = [item for item in come if item.twin]
    whole = rows_before is not None and len(twins) == rows_before
    keys = {tuple((item.after or ())[names.index(name)] for name in table.key) for item in twins}
    if len(twins) >= CHUNK and (whole or (table.key and evidence.twice_between == len(keys))):
        yield _whole(35, "extra", twins, "all rows of one range of the key are there twice")
    elif twins:
        yield _whole(32, "extra", twins, "the row is there more often than on the first end of the hop")
    lone = [item for item in come if not item.twin]
    stale = [item for item in lone if _given_away(table, names, item)]
    if stale:
        yield _whole(48, "extra", stale, "the source has given the number away and has no such row any more")
    if others := [item for item in lone if item not in stale] if stale else lone:
        yield _whole(31, "extra", others, "the row is on the second end of the hop only")


def _given_away(table: Table, names: Sequence[str], item: Difference) -> bool:
    if len(table.key) != 1 or not table.column[table.key[0]].auto_increment or table.auto_increment is None:
        return False
    order = in_order(table, decoded((item.after or ())[names.index(table.key[0])]))
    return order is not None and 0 < order < table.auto_increment


def _whole(number: int, kind: str, found: Sequence[Difference], evidence: str) -> Classified:
    words = f"{evidence}: {len(found):,} rows" if len(found) != 1 else f"{evidence}: 1 row"
    return Classified(number, None, len(found), len(found), len(found), words, tuple(found), kind)


def _in_words(shown: Sequence[str], looked: int) -> str:
    """What was seen in how many of the rows looked at, the commonest first."""
    counts = Counter(shown).most_common()
    listed = [f"{what} in {count:,}" for what, count in counts[:3]]
    more = f", {len(counts) - 3} other things in {sum(count for _, count in counts[3:]):,}" if len(counts) > 3 else ""
    hours = {what for what, _ in counts if what.startswith("shifted by")}
    summer = "; two steps an hour apart are a zone with summer time" if len(hours) == 2 else ""
    return f"{', '.join(listed)}{more} of {looked:,} changed rows looked at{summer}"
