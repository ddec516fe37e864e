"""Encoded rows of both ends set side by side: keys that are missing or extra, and the columns that changed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
class Located:
    """The differing rows of a table on a hop, among those that were looked at."""

    missing: int
    extra: int
    changed: int
    columns: tuple[str, ...]
    rows: tuple[RowDifference, ...]


def compare(
    names: Sequence[str], key: Sequence[str], before: Sequence[Encoded], after: Sequence[Encoded], samples: int
) -> Located:
    """Set two lists of encoded rows against each other, by key; without a key, as multisets.

    `names` are the columns in the order of the rows; `before` and `after` are source and target of the hop.
    """
    places = [names.index(name) for name in key]
    rows: list[RowDifference] = []
    columns: set[str] = set()
    if not places:
        gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
        for kind, found in (("missing", gone), ("extra", come)):
            rows += [RowDifference(kind, _named(names, values), keyless=True) for values in found.elements()]
        missing, extra = sum(gone.values()), sum(come.values())
        return Located(missing, extra, 0, (), _sampled(rows, samples))
    old = {tuple(row[place] for place in places): row for row in before}
    new = {tuple(row[place] for place in places): row for row in after}
    # Two rows of one key can only be where the key is not enforced: in the warehouse, or after cleaning.
    doubled = (len(before) - len(old), len(after) - len(new))
    counts = {"missing": max(doubled[0], 0), "extra": max(doubled[1], 0), "changed": 0}
    for value in sorted(old.keys() | new.keys()):
        shown = _named(key, value)
        if value not in new:
            rows.append(RowDifference("missing", shown))
        elif value not in old:
            rows.append(RowDifference("extra", shown))
        elif old[value] != new[value]:
            changed = tuple(
                (name, decoded(a), decoded(b))
                for name, a, b in zip(names, old[value], new[value], strict=True)
                if a != b
            )
            columns.update(name for name, _, _ in changed)
            rows.append(RowDifference("changed", shown, changed))
    for row in rows:
        counts[row.kind] += 1
    if max(doubled) > 0:
        repeated = Counter(tuple(row[place] for place in places) for row in (after if doubled[1] else before))
        kind = "extra" if doubled[1] else "missing"
        for value in [value for value, count in repeated.items() if count > 1][:samples]:
            rows.append(RowDifference(kind, _named(key, value)))
    return Located(
        counts["missing"], counts["extra"], counts["changed"], tuple(sorted(columns)), _sampled(rows, samples)
    )


def _named(names: Sequence[str], values: Encoded) -> tuple[tuple[str, str | None], ...]:
    return tuple(zip(names, map(decoded, values), strict=True))


def decoded(encoded: str) -> str | None:
    """The canonical text of an encoded value; None for NULL."""
    if encoded == "~;":
        return None
    return (encoded.partition(":")[2] if encoded.startswith("=") else encoded)[:-1]


def _sampled(rows: Sequence[RowDifference], samples: int) -> tuple[RowDifference, ...]:
    """Some of each kind, so that one kind does not hide another."""
    chosen: list[RowDifference] = []
    for kind in ("changed", "missing", "extra"):
        chosen += [row for row in rows if row.kind == kind][:samples]
    return tuple(chosen)


def merged(parts: Sequence[Located], samples: int) -> Located:
    """Several looks as one: counts added up, samples of each kind."""
    columns = sorted({name for part in parts for name in part.columns})
    rows = [row for part in parts for row in part.rows]
    return Located(
        sum(part.missing for part in parts),
        sum(part.extra for part in parts),
        sum(part.changed for part in parts),
        tuple(columns),
        _sampled(rows, samples),
    )


def text(value: Any) -> str:
    """An encoded value as text; bytes that are no UTF-8 are escaped."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
