"""From digests that differ to rows: pairs of key hash and row hash from both ends, set side by side, chunk by chunk.

A row is 16 bytes on its way here, whatever it holds, so that a million differing rows are counted in seconds and few
megabytes; only those that are shown are then read, by the hash of their key. numpy is imported where it is used: tables
that are equal never need it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from workbook.bulk.chunks import Chunk
from workbook.names import bigquery_rows
from workbook.validate.encoding import Kind, google_hash, mysql_digest, mysql_value
from workbook.validate.rows import Difference, Encoded, Located, compare, shown, text
from workbook.validate.sums import (
    Digest,
    Reading,
    differing,
    google_bucket,
    key_fields,
    mysql_bucket,
    mysql_buckets,
)
from workbook.validate.walk import joined

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from google.cloud import bigquery

    # One row a row: the first 64 bits of the key's hash and of the row's.
    Pairs = npt.NDArray[np.uint64]
    Keys = npt.NDArray[np.uint64]

Found = TypeVar("Found")
# So many rows are set side by side by their hashes, and so many are read with all their values; beyond them the counts
# say "at least", and columns that were not seen to differ are `sampled`.
MOST_PAIRS = 1_000_000
MOST_ROWS = 10_000
_PAIRS_A_QUERY = 100_000
_KEYS_A_QUERY = 500
_BUCKETS_A_PAGE = 200
# More pairs than this are set side by side in parts, by the first bits of their keys.
_AT_ONCE, _PART_BITS = 200_000, 4


@dataclass(frozen=True)
class Region:
    """Where to look: a chunk (None: the whole table), and in it the rows of some buckets (None: all)."""

    chunk: Chunk | None = None
    buckets: int = 1
    chosen: tuple[int, ...] | None = None


class End(Protocol):
    """One end of a hop."""

    def pairs(self, region: Region) -> Pairs:
        """The hashes of the keys and rows in a region."""
        ...

    def rows(self, region: Region, keys: Sequence[str]) -> list[Encoded]:
        """The encoded columns of the rows whose key's hash begins with one of `keys` (16 hexadecimal digits), once each."""
        ...


@dataclass(frozen=True)
class MysqlEnd:
    """A table on source or target; `chunks` with their rows hold it whole."""

    reading: Reading
    kind: Kind
    chunks: Sequence[tuple[Chunk, int]]

    def pairs(self, region: Region) -> Pairs:
        """The hashes of the keys and rows in a region, by queries of bounded answers."""
        import numpy as np

        fields = self.reading.fields
        key, row = (mysql_digest(chosen, self.kind) for chosen in (key_fields(fields), fields))
        # Rows without a hash are not in the answer: GROUP_CONCAT passes NULL over.
        pair = f"GROUP_CONCAT(UNHEX(LEFT({key}, 16)), UNHEX(LEFT({row}, 16)) SEPARATOR '')"
        test = ""
        if region.chosen is not None:
            bucket = mysql_bucket(fields, self.kind, region.buckets)
            test = f"CAST({bucket} AS SIGNED) IN ({', '.join(map(str, region.chosen))})"
        found = [unpacked(b"")]
        for chunk in self._chunks(region):
            (answer,) = self.reading.rows(f"COUNT(*) AS n, {pair} AS pairs", chunk, test)
            count, pairs = int(str(answer["n"])), answer["pairs"] or b""
            assert isinstance(pairs, bytes)
            if len(pairs) != 16 * count:
                raise self.reading.not_hashed(count - len(pairs) // 16)
            found.append(unpacked(pairs))
        return np.concatenate(found)

    def rows(self, region: Region, keys: Sequence[str]) -> list[Encoded]:
        """The encoded columns of the rows with these keys."""
        fields = self.reading.fields
        values = ", ".join(f"{mysql_value(item, self.kind)} AS c{number}" for number, item in enumerate(fields))
        wanted = ", ".join(f"'{key}'" for key in keys)
        test = f"LEFT({mysql_digest(key_fields(fields), self.kind)}, 16) IN ({wanted})"
        return [
            tuple(text(value) for value in row.values())
            for chunk in self._chunks(region)
            for row in self.reading.rows(f"DISTINCT {values}", chunk, test, ("", f" LIMIT {2 * len(keys)}"))
        ]

    def buckets(self, keyed: bool, buckets: int, chunk: Chunk | None = None) -> dict[int, Digest]:
        """The digests of the table, or of a chunk, by bucket."""
        chunks = [chunk] if chunk else joined(*self._apart(), 500_000)
        return mysql_buckets(self.reading, keyed, self.kind, chunks, buckets)

    def _chunks(self, region: Region) -> list[Chunk]:
        if region.chunk is not None:
            return [region.chunk]
        share = 1.0 if region.chosen is None else len(region.chosen) / region.buckets
        return joined(*self._apart(), int(_PAIRS_A_QUERY / max(share, 0.001)))

    def _apart(self) -> tuple[list[Chunk], list[int]]:
        return [chunk for chunk, _ in self.chunks], [rows for _, rows in self.chunks]


@dataclass(frozen=True)
class GoogleEnd:
    """A table of the warehouse, or a query in parentheses; `key` and `values` are encoded columns."""

    client: bigquery.Client
    source: str
    key: Sequence[str]
    values: Sequence[str]

    def pairs(self, region: Region) -> Pairs:
        """The hashes of the keys and rows in a region, one row of the answer a bucket."""
        import numpy as np

        bucket = google_bucket("h", region.buckets)
        test = "" if region.chosen is None else f" WHERE {bucket} IN ({', '.join(map(str, region.chosen))})"
        found = self.client.query(
            f"SELECT {bucket} AS bucket, STRING_AGG(CONCAT(SUBSTR(k, 1, 16), SUBSTR(h, 1, 16)), '') AS pairs FROM"
            f" (SELECT {google_hash(self.key)} AS k, {google_hash(self.values)} AS h FROM {bigquery_rows(self.source)}){test} GROUP BY bucket"
        ).result(page_size=_BUCKETS_A_PAGE)
        # Page by page, because the answer is several times as large as the pairs.
        return np.concatenate([unpacked(b""), *(unpacked(bytes.fromhex(row["pairs"])) for row in found)])

    def rows(self, region: Region, keys: Sequence[str]) -> list[Encoded]:
        """The encoded columns of the rows with these keys."""
        named = ", ".join(f"CONCAT({value}) AS c{number}" for number, value in enumerate(self.values))
        wanted = ", ".join(f"'{key}'" for key in keys)
        found = self.client.query(
            f"SELECT DISTINCT {named} FROM {bigquery_rows(self.source)} WHERE SUBSTR({google_hash(self.key)}, 1, 16) IN ({wanted})"
            f" LIMIT {2 * len(keys)}"
        ).result()
        return [tuple(text(value) for value in row.values()) for row in found]

    def some(self, most: int) -> list[Encoded]:
        """The encoded columns of some rows."""
        named = ", ".join(f"CONCAT({value}) AS c{number}" for number, value in enumerate(self.values))
        found = self.client.query(f"SELECT {named} FROM {bigquery_rows(self.source)} LIMIT {most}").result()
        return [tuple(text(value) for value in row.values()) for row in found]


@dataclass
class Search:
    """Looks into regions one after the other and adds up what it finds, within its bounds.

    `all_counted`: the counts are of all rows that differ; `all_read`: each of those that changed was read with its values.
    """

    names: Sequence[str]
    key: Sequence[str]
    samples: int
    most_rows: int = MOST_ROWS
    at_once: bool = True  # whether both ends may be read at the same time: not on one connection
    missing: int = 0
    extra: int = 0
    changed: int = 0
    all_counted: bool = True
    all_read: bool = True
    only: Keys | None = None  # nothing but rows of these keys is looked at
    _odd: list[Keys] = field(default_factory=list)
    _pairs: int = 0
    _read: int = 0
    _parts: list[Located] = field(default_factory=list)

    def look(self, before: End, after: End, region: Region) -> None:
        """Set both ends side by side in a region, unless enough was looked at."""
        import numpy as np

        if self._pairs >= MOST_PAIRS:
            self.all_counted = self.all_read = False
            return
        one, other = self._both(partial(before.pairs, region), partial(after.pairs, region))
        if self.only is not None:
            one, other = (pairs[np.isin(pairs[:, 0], self.only)] for pairs in (one, other))
        self._pairs += max(len(one), len(other))
        missing, extra, changed, counts = odd_keys(one, other)
        self.missing += counts[0]
        self.extra += counts[1]
        self.changed += counts[2]
        self._odd += [missing, extra, changed]
        # Some of every region, so that one kind of difference does not hide another.
        left = max(self.most_rows - self._read, self.samples)
        for first in range(0, left, _KEYS_A_QUERY):
            part = slice(first, min(first + _KEYS_A_QUERY, left))
            keys = np.unique(np.concatenate([changed[part], missing[part], extra[part]]))
            if not len(keys):
                break
            self._read += len(keys)
            rows = self._both(partial(_read, before, region, keys), partial(_read, after, region, keys))
            self._parts.append(
                self._compared(*rows, set(missing[part]) - set(changed[part]), set(extra[part]) - set(changed[part]))
            )
        self.all_read = self.all_read and len(changed) <= left

    def _compared(self, before: list[Encoded], after: list[Encoded], gone: set[int], come: set[int]) -> Located:
        """Rows of odd keys set side by side. A row that one end has too often is there once on both: it is a twin."""
        # As the servers hash a key: in the order of the columns.
        places = sorted(self.names.index(name) for name in self.key) or range(len(self.names))
        here, there = ([(first_bits(row, places), row) for row in rows] for rows in (before, after))
        known = {key for key, _ in here}, {key for key, _ in there}
        found = compare(
            self.names,
            self.key,
            [row for key, row in here if key not in come],
            [row for key, row in there if key not in gone],
            self.samples,
        )
        differences = tuple(self._with_twin(item, places, known) for item in found.differences)
        return replace(found, differences=differences)

    @staticmethod
    def _with_twin(item: Difference, places: Sequence[int], known: tuple[set[int], set[int]]) -> Difference:
        row = item.before or item.after
        assert row is not None
        if item.kind == "changed" or item.twin:
            return item
        return replace(item, twin=first_bits(row, places) in known[item.kind == "missing"])

    def _both(self, one: Callable[[], Found], other: Callable[[], Found]) -> tuple[Found, Found]:
        if not self.at_once:
            return one(), other()
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.submit(one), pool.submit(other)
            return first.result(), second.result()

    @property
    def odd(self) -> Keys:
        """The hashes of the keys of all rows that were seen to differ."""
        import numpy as np

        return np.unique(np.concatenate(self._odd)) if self._odd else np.array([], dtype=np.uint64)

    def without(self, keys: Keys) -> Located:
        """What was found, but for the rows of some keys: hashes as `odd` has them."""
        import numpy as np

        missing, extra, changed = (
            int(sum((~np.isin(part, keys)).sum() for part in self._odd[kind::3])) for kind in range(3)
        )
        places = sorted(self.names.index(name) for name in self.key) or range(len(self.names))
        gone = set(keys.tolist())
        kept = tuple(
            item
            for part in self._parts
            for item in part.differences
            if first_bits(item.before or item.after or (), places) not in gone
        )
        columns = {
            name
            for item in kept
            if item.before and item.after
            for name, one, other in zip(self.names, item.before, item.after, strict=True)
            if one != other
        }
        return Located(
            missing, extra, changed, tuple(sorted(columns)), shown(self.names, self.key, kept, self.samples), kept
        )

    def located(self) -> Located:
        """What was found: exact counts, the columns and samples of the rows that were read."""
        differences = tuple(item for part in self._parts for item in part.differences)
        columns = tuple(sorted({name for part in self._parts for name in part.columns}))
        rows = shown(self.names, self.key, differences, self.samples)
        return Located(self.missing, self.extra, self.changed, columns, rows, differences)


def odd_keys(before: Pairs, after: Pairs) -> tuple[Keys, Keys, Keys, tuple[int, int, int]]:
    """The keys of rows that are missing, extra and changed, each once, and how many rows those are: as multisets."""
    import numpy as np

    if len(before) + len(after) <= _AT_ONCE:
        return _odd_keys(before, after)
    shift = np.uint64(64 - _PART_BITS)
    found = [
        _odd_keys(before[before[:, 0] >> shift == part], after[after[:, 0] >> shift == part])
        for part in range(1 << _PART_BITS)
    ]
    missing, extra, changed = (np.concatenate([part[place] for part in found]) for place in range(3))
    counts = [part[3] for part in found]
    return missing, extra, changed, (sum(c[0] for c in counts), sum(c[1] for c in counts), sum(c[2] for c in counts))


def _odd_keys(before: Pairs, after: Pairs) -> tuple[Keys, Keys, Keys, tuple[int, int, int]]:
    import numpy as np

    both = np.concatenate([before, after])
    signs = np.repeat(np.array([1, -1]), [len(before), len(after)])
    order = np.lexsort((both[:, 1], both[:, 0]))
    both, signs = both[order], signs[order]
    first = np.ones(len(both), dtype=bool)
    first[1:] = (both[1:] != both[:-1]).any(axis=1)
    net = np.add.reduceat(signs, np.flatnonzero(first)) if len(both) else signs
    keys = both[first][:, 0][net != 0]
    net = net[net != 0]
    each, place = np.unique(keys, return_inverse=True)
    gone = np.bincount(place, weights=np.maximum(net, 0), minlength=len(each)).astype(np.int64)
    come = np.bincount(place, weights=np.maximum(-net, 0), minlength=len(each)).astype(np.int64)
    pair = np.minimum(gone, come)
    counts = int((gone - pair).sum()), int((come - pair).sum()), int(pair.sum())
    return each[gone > pair], each[come > pair], each[pair > 0], counts


def looked_at(chosen: Iterable[int], one: dict[int, Digest], other: dict[int, Digest]) -> tuple[int, ...]:
    """The differing buckets that are looked at: whole ones, the same on both ends, until they hold many rows."""
    looked: list[int] = []
    rows = [0, 0]
    for bucket in chosen:
        for end, digests in enumerate((one, other)):
            rows[end] += digests[bucket].rows if bucket in digests else 0
        if looked and max(rows) > MOST_PAIRS:
            break
        looked.append(bucket)
    return tuple(looked)


def in_buckets(
    search: Search, before: End, after: End, of: tuple[dict[int, Digest], dict[int, Digest]], region: Region
) -> None:
    """Look into the differing buckets of a region, given the digests of both ends by bucket."""
    chosen = differing(*of)
    looked = looked_at(chosen, *of)
    search.look(before, after, Region(region.chunk, region.buckets, looked))
    if len(looked) < len(chosen):
        search.all_counted = search.all_read = False


def _read(end: End, region: Region, keys: Keys) -> list[Encoded]:
    return end.rows(region, [f"{int(key):016x}" for key in keys]) if len(keys) else []


def first_bits(row: Encoded, places: Sequence[int]) -> int:
    """The first 64 bits of the hash of a row's key, as the servers know it."""
    key = "".join(row[place] for place in places).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big")


def unpacked(pairs: bytes) -> Pairs:
    """Pairs out of their bytes."""
    import numpy as np

    return np.frombuffer(pairs, dtype=">u8").astype(np.uint64).reshape(-1, 2)
