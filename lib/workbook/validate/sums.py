"""Digests of rows: how many, and their hashes added up, computed by the servers; equal digests are equal rows.

Where the rows are a set (a key is enforced on one side at least) their hashes are added by XOR, the cheapest way: two
lists of the same number of rows and the same XOR are the same set. Where a row may be there twice, XOR would cancel it,
and four pieces of 32 bits are summed instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from workbook.bulk.chunks import Chunk
from workbook.errors import TerminalError
from workbook.names import bigquery_rows, mysql_path, quote_bigquery, quote_mysql, with_values
from workbook.servers import Session
from workbook.validate.encoding import (
    PIECES,
    Field,
    Kind,
    google_hash,
    losing,
    mysql_digest,
    mysql_hash,
    needs_both,
)

if TYPE_CHECKING:
    from google.cloud import bigquery

_ROWS_A_BUCKET = 500
_MOST_BUCKETS = 4096


class NotHashed(TerminalError):
    """Rows have no hash, so they cannot be compared."""


@dataclass(frozen=True)
class Digest:
    """A number of rows and their hashes added up, in pieces of 32 bits."""

    rows: int = 0
    pieces: tuple[int, ...] = (0,) * PIECES

    def plus(self, other: "Digest", keyed: bool, sign: int = 1) -> "Digest":
        """Both together; with `sign` -1, this one without the other."""
        pairs = zip(self.pieces, other.pieces, strict=True)
        pieces = tuple(one ^ two for one, two in pairs) if keyed else tuple(one + sign * two for one, two in pairs)
        return Digest(self.rows + sign * other.rows, pieces)


@dataclass(frozen=True)
class Reading:
    """A table as it is read on source or target: its columns there, and the mapping's filter (empty for all rows)."""

    session: Session
    path: tuple[str, str]
    fields: Sequence[Field]
    only: str = ""

    def rows(
        self, columns: str, chunk: Chunk, test: str = "", outer: tuple[str, str] = ("", "")
    ) -> list[dict[str, object]]:
        """SELECT `columns` of the rows of a chunk that pass the filter and `test`, between the two halves of `outer`."""
        bounds, values = chunk.where()
        fixed: Callable[[str], str] = with_values if values else str
        where = with_filter(with_filter(bounds, fixed(self.only)), fixed(test))
        query = fixed(f"{outer[0]}SELECT {columns} FROM {mysql_path(*self.path)}") + where + fixed(outer[1])
        return self.session.rows(query, values or None)

    def not_hashed(self, count: int) -> NotHashed:
        """The error for rows without a hash."""
        return NotHashed(
            f"{count} rows of {mysql_path(*self.path)} on the {self.session.server.role} have no hash.",
            "A value may be larger than max_allowed_packet; what is not hashed is not compared.",
            "Raise max_allowed_packet on both servers above the largest value, then validate again.",
        )


@dataclass(frozen=True)
class Side:
    """What is known of one table on one server.

    `total` by kind of encoding; `chunks` by the number of the chunk (exact, MySQL alone); `buckets` by the hash of the
    row (shared, warehouse alone); `losses`: how many values of a column a rule of the warehouse changes.
    """

    total: Mapping[Kind, Digest]
    chunks: Mapping[int, tuple[Chunk, Digest]] = field(default_factory=dict)
    buckets: Mapping[int, Digest] = field(default_factory=dict)
    losses: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.total["shared"].rows


def bucket_count(rows: int) -> int:
    """How many buckets a table of about `rows` rows gets: about 500 rows each, 4,096 at most."""
    return max(1, min(_MOST_BUCKETS, rows // _ROWS_A_BUCKET))


def key_fields(fields: Sequence[Field]) -> tuple[Field, ...]:
    """The columns that name a row: the key, or the whole row where there is none."""
    return tuple(item for item in fields if item.key) or tuple(fields)


def with_filter(bounds: str, only: str) -> str:
    """The WHERE clause of a chunk with the mapping's filter."""
    if not only:
        return bounds
    return f"{bounds} AND ({only})" if bounds else f" WHERE ({only})"


def mysql_sums(
    reading: Reading, keyed: bool, chunk: Chunk, shared: bool = True
) -> tuple[dict[Kind, Digest], dict[str, int]]:
    """The digests of the rows of a chunk on source or target, and how many values of each column a rule changes.

    Without `shared`, for a hop between two MySQL servers, no losses are counted. Raises NotHashed where the server could
    not compute a hash (a value beyond max_allowed_packet becomes NULL there) and says so; where it does not (a set of
    rows in one pass), that row's hash is random, so that the chunk never is the same.
    """
    fields = reading.fields
    kinds: tuple[Kind, ...] = ("exact", "shared") if shared and needs_both(fields) else ("exact",)
    proofs = {
        f"l{number}": item.rule.proof.replace("{c}", item.stands or quote_mysql(item.name))
        for number, item in enumerate(fields)
        if shared and item.rule.proof
    }
    row = _digest_row(reading, keyed, kinds, chunk, proofs)
    digests = {kind: _digest(row, kind) for kind in kinds}
    losses = {item.name: _whole(row[f"l{number}"]) for number, item in enumerate(fields) if f"l{number}" in proofs}
    if "shared" not in digests:
        digests["shared"] = digests["exact"]
        condition = losing(fields)
        if condition and any(losses.values()):
            # Only these rows are another in the shared encoding: they are taken out and put in again.
            few = _digest_row(reading, keyed, ("exact", "shared"), chunk, {}, condition)
            without = digests["exact"].plus(_digest(few, "exact"), keyed, -1)
            digests["shared"] = without.plus(_digest(few, "shared"), keyed)
    return digests, losses


def _digest_row(
    reading: Reading, keyed: bool, kinds: Sequence[Kind], chunk: Chunk, counted: Mapping[str, str], test: str = ""
) -> dict[str, object]:
    """One query over a chunk: the digests by kind, and how many rows meet each condition of `counted`."""
    fields = reading.fields
    if keyed and _knows_binary_xor(reading.session):
        wanted = [f"HEX(BIT_XOR({mysql_hash(fields, kind, 'RAND()')})) AS d_{kind}" for kind in kinds]
        wanted += [f"IFNULL(SUM({condition}), 0) AS {name}" for name, condition in counted.items()]
        return reading.rows(", ".join(["COUNT(*) AS n", *wanted]), chunk, test)[0]
    inner = [f"{mysql_digest(fields, kind)} AS h_{kind}" for kind in kinds]
    inner += [f"({condition}) AS {name}" for name, condition in counted.items()]
    outer = ["COUNT(*) AS n", *(f"IFNULL(SUM({name}), 0) AS {name}" for name in counted)]
    for kind in kinds:
        outer += [f"COUNT(h_{kind}) AS n_{kind}", *_pieces(f"h_{kind}", kind, keyed)]
    # Without the hint the server would merge the query and compute every hash once for each of its pieces.
    head = f"SELECT /*+ NO_MERGE(r) */ {', '.join(outer)} FROM ("
    (row,) = reading.rows(", ".join(inner), chunk, test, (head, ") AS r"))
    for kind in kinds:
        if row[f"n_{kind}"] != row["n"]:
            raise reading.not_hashed(_whole(row["n"]) - _whole(row[f"n_{kind}"]))
    return row


def _pieces(column: str, name: str, keyed: bool) -> list[str]:
    """The aggregates over the pieces of hashes in hexadecimal."""
    add = "BIT_XOR" if keyed else "SUM"
    return [
        f"{add}(CAST(CONV(SUBSTR({column}, {1 + 8 * piece}, 8), 16, 10) AS UNSIGNED)) AS {name}{piece}"
        for piece in range(PIECES)
    ]


def _digest(row: Mapping[str, object], kind: str) -> Digest:
    rows = _whole(row["n"])
    if rows == 0:
        return Digest()
    if f"d_{kind}" in row:
        text = _text(row[f"d_{kind}"])
        return Digest(rows, tuple(int(text[8 * piece : 8 * piece + 8], 16) for piece in range(PIECES)))
    return Digest(rows, tuple(int(str(row[f"{kind}{piece}"])) for piece in range(PIECES)))


def _whole(value: object) -> int:
    return int(str(value))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _knows_binary_xor(session: Session) -> bool:
    """MySQL's BIT_XOR takes bytes since 8.0; MariaDB's takes numbers alone."""
    return session.flavour == "mysql" and int(session.version.split(".")[0]) >= 8


def mysql_bucket(fields: Sequence[Field], kind: Kind, buckets: int) -> str:
    """The bucket of a row in MySQL, by its hash."""
    return f"CONV(LEFT({mysql_digest(fields, kind)}, 8), 16, 10) MOD {buckets}"


def mysql_buckets(
    reading: Reading, keyed: bool, kind: Kind, chunks: Sequence[Chunk], buckets: int
) -> dict[int, Digest]:
    """The digests of the rows of some chunks by the bucket of their hash."""
    found: dict[int, Digest] = {}
    head = (
        f"SELECT /*+ NO_MERGE(r) */ CAST(CONV(LEFT(h, 8), 16, 10) MOD {buckets} AS SIGNED) AS bucket, COUNT(*) AS n,"
        f" COUNT(h) AS n_h, {', '.join(_pieces('h', 'h', keyed))} FROM ("
    )
    for chunk in chunks:
        inner = f"{mysql_digest(reading.fields, kind)} AS h"
        for row in reading.rows(inner, chunk, outer=(head, ") AS r GROUP BY bucket")):
            if row["n_h"] != row["n"]:
                raise reading.not_hashed(_whole(row["n"]) - _whole(row["n_h"]))
            bucket = _whole(row["bucket"])
            found[bucket] = found.get(bucket, Digest()).plus(_digest(row, "h"), keyed)
    return found


def google_bucket(row_hash: str, buckets: int) -> str:
    """The bucket of a row of the warehouse, by its hash in hexadecimal."""
    return f"MOD(CAST(CONCAT('0x', SUBSTR({row_hash}, 1, 8)) AS INT64), {buckets})"


def google_sides(
    client: "bigquery.Client",
    sources: Sequence[str],
    columns: Sequence[str],
    values: Sequence[str],
    keyed: bool,
    buckets: int,
) -> list[Side]:
    """The digests of warehouse tables, or of queries in parentheses, that have the same `columns`: one job for all.

    `values` are encoded columns (encoding.google_value). Raises NotHashed where a row has no hash.
    """
    side = "side"
    while side in {name.lower() for name in columns}:
        side += "_"
    listed = ", ".join(quote_bigquery(name) for name in columns)
    rows = " UNION ALL ".join(
        f"SELECT {number} AS {side}, {listed} FROM {bigquery_rows(source)}" for number, source in enumerate(sources)
    )
    add = "BIT_XOR" if keyed else "SUM"
    pieces = ", ".join(
        f"{add}(CAST(CONCAT('0x', SUBSTR(h, {1 + 8 * piece}, 8)) AS INT64)) AS h{piece}" for piece in range(PIECES)
    )
    found = client.query(
        f"SELECT {side} AS side, {google_bucket('h', buckets)} AS bucket, COUNT(*) AS n, COUNT(h) AS n_h, {pieces} FROM"
        f" (SELECT {side}, {google_hash(values)} AS h FROM ({rows})) GROUP BY {side}, bucket"
    ).result()
    digests: list[dict[int, Digest]] = [{} for _ in sources]
    for row in found:
        if row["n"] != row["n_h"]:
            raise NotHashed(
                f"{row['n'] - row['n_h']} rows of {sources[row['side']][:200]} have no hash.",
                "What is not hashed is not compared.",
                "Look for values that the warehouse cannot encode, then validate again.",
            )
        digests[row["side"]][int(row["bucket"])] = _digest(row, "h")
    return [
        Side({"shared": reduce(lambda one, two: one.plus(two, keyed), by.values(), Digest())}, buckets=by)
        for by in digests
    ]


def differing(one: Mapping[int, Digest], other: Mapping[int, Digest]) -> list[int]:
    """The buckets that are not the same."""
    return sorted(bucket for bucket in one.keys() | other.keys() if one.get(bucket) != other.get(bucket))
