"""From a differing bucket to the rows and columns in it: keys that are missing or extra, and the columns that changed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud import bigquery

from workbook.names import mysql_path
from workbook.servers import Session
from workbook.validate.encoding import Field, Kind, mysql_hash, mysql_value
from workbook.validate.sums import google_bucket, key_fields, with_filter

# About as many rows are looked at one by one; where more differ, the counts say "at least".
MOST_ROWS = 100_000
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


def mysql_rows(
    session: Session,
    path: tuple[str, str],
    fields: Sequence[Field],
    buckets: int,
    chosen: Sequence[int],
    kind: Kind,
    only: str = "",
) -> list[Encoded]:
    """The encoded columns of the rows in the chosen buckets of a MySQL table; `only` is the mapping's filter."""
    values = ", ".join(f"{mysql_value(item, kind)} AS c{number}" for number, item in enumerate(fields))
    bucket = f"CONV(HEX(LEFT({mysql_hash(key_fields(fields), 'shared')}, 4)), 16, 10) MOD {buckets}"
    where = with_filter(f" WHERE CAST({bucket} AS SIGNED) IN ({', '.join(map(str, chosen))})", only)
    found = session.rows(f"SELECT {values} FROM {mysql_path(*path)}{where}")
    return [tuple(text(value) for value in row.values()) for row in found]


def google_rows(
    client: bigquery.Client, source: str, key: Sequence[str], values: Sequence[str], buckets: int, chosen: Sequence[int]
) -> list[Encoded]:
    """The encoded columns of the rows in the chosen buckets of a warehouse table or query."""
    named = ", ".join(f"CONCAT({value}) AS c{number}" for number, value in enumerate(values))
    bucket = google_bucket(key, buckets)
    found = client.query(f"SELECT {named} FROM {source} WHERE {bucket} IN ({', '.join(map(str, chosen))})").result()
    return [tuple(text(value) for value in row.values()) for row in found]


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


def text(value: Any) -> str:
    """An encoded value as the servers answer it, as text."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
