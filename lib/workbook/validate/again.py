"""The second look at rows that differ while something moves: by key, in fresh pictures, until each agrees or stands still.

A row is wrong when it differs in the same way in looks that follow each other, the target's picture being taken only when
it had applied all that the source's shows. A row that agrees at any look was in flight. What does neither is unsettled.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbook.bulk.chunks import Chunk
from workbook.catalog import Table
from workbook.mapping.flow import Flow, carried_table
from workbook.validate.encoding import Kind
from workbook.validate.fence import WAYS, Fence
from workbook.validate.keys import any_row
from workbook.validate.locate import MOST_ROWS, End, MysqlEnd, Region, Search, first_bits
from workbook.validate.masked import MaskedEnd, has_tokens
from workbook.validate.rows import Encoded
from workbook.validate.sums import Reading, Side

if TYPE_CHECKING:
    from workbook.validate.result import TableVerdict

_LOOKS = 6
# Seconds before each look after the first: where the fence tells, and where patience must.
_PAUSES, _PATIENCE = (0.1, 0.2, 0.4, 0.8, 1.6), (0.5, 1.0, 2.0)
_KEYS_A_QUERY = 500
State = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class SecondLook:
    """Rows that differed at first and were looked at again: how many then agreed, were wrong, and could not be settled.

    `more` where further rows differed at first, too many to look at one by one.
    """

    rows: int
    agreed: int
    wrong: int
    unsettled: int
    looks: int
    way: str
    why: str = ""
    more: bool = False

    @property
    def said(self) -> str:
        """What came of it, in words."""
        words = [
            f"{self.rows:,} rows that differed while something moved were looked at again ({self.looks} times at most)"
        ]
        words.append(f"{self.agreed:,} agreed")
        words += [f"{self.wrong:,} stood still and differ"] if self.wrong else []
        words += [f"{self.unsettled:,} could not be settled"] if self.unsettled else []
        return ", ".join(words) + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class BothEnds:
    """Both ends of the first hop: how each is read, its table there, and its side as the first look saw it."""

    readings: tuple[Reading, Reading]
    tables: tuple[Table, Table]
    sides: tuple[Side, Side]
    kind: Kind
    conditions: bool  # whether rows can be asked for by the keys that were read

    @classmethod
    def of(
        cls, readings: tuple[Reading, Reading], table: Table, flow: Flow, sides: tuple[Side, Side], kind: Kind
    ) -> BothEnds:
        """The ends of a table; a key that is masked names no row of the source."""
        masked = {name for name, _ in flow.masks}.intersection(table.key)
        return cls(readings, (table, carried_table(table, flow)), sides, kind, bool(table.key) and not masked)


def look_again(fence: Fence, ends: BothEnds, first: Search) -> tuple[Search, SecondLook]:
    """The rows that are wrong, out of those that differed at first, and what came of the others."""
    open_keys, more = _odd(first)
    found = Search(first.names, first.key, first.samples)
    total, wrong, looks, why = len(open_keys), 0, 0, ""
    pauses = _PAUSES if fence.way else _PATIENCE if not fence.idle else _PATIENCE[:1]
    before: dict[int, State] = {}
    steady = set(open_keys)  # those that no look saw to change
    while open_keys and looks < min(_LOOKS, len(pauses) + 1):
        if looks:
            time.sleep(pauses[looks - 1])
        looks += 1
        with fence.snapshots() as (here, there, late):
            readings = tuple(
                replace(reading, session=session) for reading, session in zip(ends.readings, (here, there), strict=True)
            )
            for session in (here, there):
                if session.flavour == "mariadb":
                    session.execute("SET SESSION optimizer_switch = 'derived_merge=off'")
            now = _differing(replace(ends, readings=(readings[0], readings[1])), open_keys)
            open_keys = {key: open_keys[key] for key in now}
            steady &= {key for key in now if looks == 1 or before.get(key) == now[key]}
            why = late
            if late or looks == 1 or (not fence.way and looks <= len(pauses)):
                settled: set[int] = set()
            else:
                settled = steady if not fence.way else {key for key in now if before.get(key) == now[key]}
            if settled:
                chosen = {key: open_keys.pop(key) for key in settled}
                wrong += len(chosen)
                _read(replace(ends, readings=(readings[0], readings[1])), chosen, found)
            before = now
    agreed = total - wrong - len(open_keys)
    fence.idle = not fence.way and not agreed
    if open_keys and not why:
        why = "they never stood still"
    if more and wrong:
        found.all_counted = found.all_read = False
    said = SecondLook(total, agreed, wrong, len(open_keys), looks, WAYS[fence.way], why, more)
    return found, said


def without_wrong(base: TableVerdict, states: dict[str, str], again: SecondLook, words: Iterable[str]) -> TableVerdict:
    """The verdict where no row that was looked at again is wrong: the same, unless some could not be settled."""
    why = "; ".join(filter(None, (again.said, *words)))
    if again.unsettled or again.more:
        more = "; more rows were in flight than can be looked at one by one" if again.more else ""
        columns = {name: "sampled" if state == "proven" else state for name, state in states.items()}
        return replace(base, verdict="incomparable", columns=columns, why=why + more, again=again)
    return replace(base, verdict="same", columns=states, similarity=1.0, why=why, again=again)


def _odd(first: Search) -> tuple[dict[int, Encoded | None], bool]:
    """The rows that differed, by the hashes of their keys: the key where it was read; whether there are more."""
    places = sorted(first.names.index(name) for name in first.key) or list(range(len(first.names)))
    in_order = [first.names.index(name) for name in first.key] or places
    known = {
        first_bits(row, places): tuple(row[place] for place in in_order)
        for item in first.located().differences
        for row in (item.before, item.after)
        if row is not None
    }
    every = first.odd.tolist()
    chosen = every if len(every) <= MOST_ROWS else [key for key in every if key in known] or every[:MOST_ROWS]
    return {key: known.get(key) for key in chosen}, len(chosen) < len(every) or not first.all_counted


def _differing(ends: BothEnds, keys: Mapping[int, Encoded | None]) -> dict[int, State]:
    """Those of the keys whose rows differ now: the hashes of their rows on both ends."""
    import numpy as np

    states: dict[int, tuple[list[int], list[int]]] = {}
    wanted = np.array(sorted(keys), dtype=np.uint64)
    for pair, regions in _ends_of(ends, list(keys.values())):
        for side, (end, region) in enumerate(zip(pair, regions, strict=True)):
            pairs = end.pairs(region)
            for key, row in pairs[np.isin(pairs[:, 0], wanted)].tolist():
                states.setdefault(key, ([], []))[side].append(row)
    found = {key: (tuple(sorted(one)), tuple(sorted(other))) for key, (one, other) in states.items()}
    return {key: state for key, state in found.items() if state[0] != state[1]}


def _read(ends: BothEnds, keys: Mapping[int, Encoded | None], into: Search) -> None:
    import numpy as np

    into.only = np.array(sorted(keys), dtype=np.uint64)
    for (before, after), (region, _) in _ends_of(ends, list(keys.values())):
        into.look(before, after, region)


def _ends_of(ends: BothEnds, keys: Sequence[Encoded | None]) -> list[tuple[tuple[End, End], tuple[Region, Region]]]:
    """Both ends narrowed to the rows of the keys, some at a time; whole where rows cannot be asked for by key."""
    found: list[tuple[tuple[End, End], tuple[Region, Region]]] = []
    known = [key for key in keys if key is not None]
    if ends.conditions and len(known) == len(keys):
        for first in range(0, len(keys), _KEYS_A_QUERY):
            part = known[first : first + _KEYS_A_QUERY]
            tests = [any_row(table, part, ends.kind) for table in ends.tables]
            if None in tests:
                break
            narrowed = [
                replace(reading, only=f"({reading.only}) AND ({test})" if reading.only else str(test))
                for reading, test in zip(ends.readings, tests, strict=True)
            ]
            regions = [Region(Chunk(*reading.path, 1, (), None, None)) for reading in narrowed]
            pair = [MysqlEnd(reading, ends.kind, ()) for reading in narrowed]
            found.append(((pair[0], pair[1]), (regions[0], regions[1])))
        else:
            return found
    whole: list[End] = []
    for reading, side in zip(ends.readings, ends.sides, strict=True):
        chunks = [(chunk, digest.rows) for chunk, digest in side.chunks.values()]
        whole.append(
            MaskedEnd(reading, ends.kind) if has_tokens(reading.fields) else MysqlEnd(reading, ends.kind, chunks)
        )
    return [((whole[0], whole[1]), (Region(), Region()))]
