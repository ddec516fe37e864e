"""Encoded rows of both ends set side by side: keys that are missing or extra, and the columns that changed."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

# Where more rows of a table differ than this, loading it again is the better way to mend it.
MOST_MENDED = 20_000
Encoded = tuple[str, ...]


@dataclass(frozen=True)
class RowDifference:
    """A row that differs: its key (column, canonical text), what happened, and the columns with both canonical texts.

    `keyless` where the table has no key: then `key` is the whole row, and is shown as values are.
    """

    kind: str  # missing, extra or changed
    key: tuple[tuple[str, str | None], ...]
    columns: tuple[tuple[str, str | None, str | None], ...] = ()
    keyless: bool = False


@dataclass(frozen=True)
class ListedRow:
    """A row that differs, as the file of rows holds it: its key in words, and the columns that differ."""

    kind: str
    key: str
    columns: str


@dataclass(frozen=True)
class Difference:
    """A row on both ends, encoded; None where it is missing. `twin`: the end that lacks it has a row like it (or, with a
    key, of the same key), so that it is a copy too few or too many.
    """

    before: Encoded | None
    after: Encoded | None
    twin: bool = False

    @property
    def kind(self) -> str:
        """missing, extra or changed."""
        return "missing" if self.after is None else "extra" if self.before is None else "changed"


@dataclass(frozen=True)
class Located:
    """The differing rows of a table on a hop: how many there are; those that were read, and some of them to show."""

    missing: int
    extra: int
    changed: int
    columns: tuple[str, ...]
    rows: tuple[RowDifference, ...]
    differences: tuple[Difference, ...] = ()


def compare(
    names: Sequence[str], key: Sequence[str], before: Sequence[Encoded], after: Sequence[Encoded], samples: int
) -> Located:
    """Set two lists of encoded rows against each other, by key; without a key, as multisets.

    `names` are the columns in the order of the rows; `before` and `after` are source and target of the hop.
    """
    places = [names.index(name) for name in key]
    found = _by_key(places, before, after) if places else _as_multisets(before, after)
    counts = Counter(item.kind for item in found)
    columns = {
        name
        for item in found
        if item.before is not None and item.after is not None
        for name, a, b in zip(names, item.before, item.after, strict=True)
        if a != b
    }
    return Located(
        counts["missing"],
        counts["extra"],
        counts["changed"],
        tuple(sorted(columns)),
        shown(names, key, found, samples),
        tuple(found),
    )


def _as_multisets(before: Sequence[Encoded], after: Sequence[Encoded]) -> list[Difference]:
    old, new = Counter(before), Counter(after)
    found = [Difference(row, None, row in new) for row in (old - new).elements()]
    return found + [Difference(None, row, row in old) for row in (new - old).elements()]


def _by_key(places: Sequence[int], before: Sequence[Encoded], after: Sequence[Encoded]) -> list[Difference]:
    old: dict[Encoded, list[Encoded]] = {}
    new: dict[Encoded, list[Encoded]] = {}
    for rows, of_key in ((before, old), (after, new)):
        for row in rows:
            of_key.setdefault(tuple(row[place] for place in places), []).append(row)
    found: list[Difference] = []
    for key in sorted(old.keys() | new.keys()):
        here, there = old.get(key, []), new.get(key, [])
        if here == there:
            continue
        # Two rows of one key can only be where the key is not enforced: in the warehouse, or after cleaning.
        gone, come = (list((Counter(a) - Counter(b)).elements()) for a, b in ((here, there), (there, here)))
        pairs = min(len(gone), len(come))
        found += [Difference(a, b) for a, b in zip(gone, come, strict=False)]
        found += [Difference(row, None, bool(there)) for row in gone[pairs:]]
        found += [Difference(None, row, bool(here)) for row in come[pairs:]]
    return found


def shown(
    names: Sequence[str], key: Sequence[str], found: Sequence[Difference], samples: int
) -> tuple[RowDifference, ...]:
    """Some differences of each kind as rows to show, so that one kind does not hide another."""
    places = [names.index(name) for name in key]
    chosen: list[RowDifference] = []
    for kind in ("changed", "missing", "extra"):
        for item in [item for item in found if item.kind == kind][:samples]:
            row = item.before if item.before is not None else item.after
            assert row is not None
            named = _named(key, tuple(row[place] for place in places)) if places else _named(names, row)
            changed = (
                tuple(
                    (name, decoded(a), decoded(b))
                    for name, a, b in zip(names, item.before, item.after, strict=True)
                    if a != b
                )
                if item.before is not None and item.after is not None
                else ()
            )
            chosen.append(RowDifference(kind, named, changed, keyless=not places))
    return tuple(chosen)


def listed(names: Sequence[str], key: Sequence[str], found: Sequence[Difference]) -> tuple[ListedRow, ...]:
    """Differing rows for the file of rows; one without a key by the hash of its values, which are nobody's business there."""
    places = [names.index(name) for name in key]
    made = []
    for item in found:
        row = item.before if item.before is not None else item.after
        assert row is not None
        words = ", ".join(f"{names[place]} = {(decoded(row[place]) or 'NULL')[:200]}" for place in places)
        if not places:
            words = f"SHA-256 {hashlib.sha256(''.join(row).encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
        changed = item.before is not None and item.after is not None
        columns = [name for name, a, b in zip(names, item.before or (), item.after or (), strict=changed) if a != b]
        made.append(ListedRow(item.kind, words, ", ".join(columns)))
    return tuple(made)


def readable(row: RowDifference, rules: Mapping[str, str]) -> RowDifference:
    """A row as people write it: dates and times out of days and microseconds. `rules` are type rules by column."""

    def written(name: str, value: str | None) -> str | None:
        form = _WRITTEN.get(rules.get(name, ""))
        if not form or value is None or not re.fullmatch(r"-?\d+", value):
            return value
        try:
            return form(int(value))
        except OverflowError:
            # Beyond the years that Python knows: as it is.
            return value

    return replace(
        row,
        key=tuple((name, written(name, value)) for name, value in row.key),
        columns=tuple((name, written(name, one), written(name, other)) for name, one, other in row.columns),
    )


def _moment(micros: int) -> str:
    return str(datetime(1970, 1, 1) + timedelta(microseconds=micros))


def _duration(micros: int) -> str:
    seconds, fraction = divmod(abs(micros), 1_000_000)
    text = f"{'-' * (micros < 0)}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}" if fraction else text


_WRITTEN: dict[str, Callable[[int], str]] = {
    "date": lambda days: str(date(1970, 1, 1) + timedelta(days)),
    "datetime": _moment,
    "timestamp": _moment,
    "time-micros": _duration,
}


def keys_of(names: Sequence[str], key: Sequence[str], found: Sequence[Difference]) -> tuple[Encoded, ...]:
    """The encoded keys of differing rows (without a key: the rows); none where there are too many to mend one by one."""
    if len(found) > MOST_MENDED:
        return ()
    places = [names.index(name) for name in key] or range(len(names))
    return tuple(
        dict.fromkeys(
            tuple(row[place] for place in places)
            for item in found
            for row in (item.before, item.after)
            if row is not None
        )
    )


def _named(names: Sequence[str], values: Encoded) -> tuple[tuple[str, str | None], ...]:
    return tuple(zip(names, map(decoded, values), strict=True))


def decoded(encoded: str) -> str | None:
    """The canonical text of an encoded value; None for NULL."""
    if encoded == "~;":
        return None
    return (encoded.partition(":")[2] if encoded.startswith("=") else encoded)[:-1]


def text(value: Any) -> str:
    """An encoded value as the servers answer it, as text."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
