"""Checksums of a whole table in buckets: one query a side, so that equal tables cost no more and a difference has an address.

A bucket is chosen by the hash of the key, not by its order: orders differ between collations and engines, hashes do not.
Hashes are summed in four pieces of 32 bits, so that neither duplicates nor swaps cancel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.cloud import bigquery

from workbook.bulk.chunks import Chunk
from workbook.errors import TerminalError
from workbook.names import mysql_path, quote_bigquery, quote_mysql, with_values
from workbook.servers import Session
from workbook.validate.encoding import PIECES, Field, Kind, google_hash, mysql_hash, same_for_both

Sums = tuple[int, ...]  # rows, then the pieces
_ROWS_A_BUCKET = 500
_MOST_BUCKETS = 4096


@dataclass(frozen=True)
class Side:
    """The checksums of one table on one server: by kind of encoding, by bucket; and how many rows a rule changes by column."""

    rows: int
    buckets: Mapping[Kind, Mapping[int, Sums]]
    losses: Mapping[str, int] = field(default_factory=dict)


def bucket_count(rows: int) -> int:
    """How many buckets a table of about `rows` rows gets: about 500 rows each, 4,096 at most."""
    return max(1, min(_MOST_BUCKETS, rows // _ROWS_A_BUCKET))


def key_fields(fields: Sequence[Field]) -> tuple[Field, ...]:
    """The columns whose hash chooses the bucket: the key, or the whole row where there is none."""
    return tuple(item for item in fields if item.key) or tuple(fields)


def with_filter(bounds: str, only: str) -> str:
    """The WHERE clause of a chunk with the mapping's filter."""
    if not only:
        return bounds
    return f"{bounds} AND ({only})" if bounds else f" WHERE ({only})"


def mysql_inner(path: tuple[str, str], fields: Sequence[Field], buckets: int, where: str = "") -> str:
    """The rows of a MySQL table as bucket, hashes and losses."""
    key = f"CONV(HEX(LEFT({mysql_hash(key_fields(fields), 'shared')}, 4)), 16, 10) MOD {buckets}"
    hashes = [f"{mysql_hash(fields, 'exact')} AS h_exact"]
    if not same_for_both(fields):
        hashes.append(f"{mysql_hash(fields, 'shared')} AS h_shared")
    losses = [
        f"({item.rule.proof.replace('{c}', item.stands or quote_mysql(item.name))}) AS l{number}"
        for number, item in enumerate(fields)
        if item.rule.proof
    ]
    return f"SELECT {', '.join([f'{key} AS bucket', *hashes, *losses])} FROM {mysql_path(*path)}{where}"


def mysql_side(
    session: Session,
    path: tuple[str, str],
    fields: Sequence[Field],
    buckets: int,
    chunks: Sequence[Chunk],
    only: str = "",
) -> Side:
    """The checksums of a table on source or target; `chunks` cut the work into queries of bearable length, `only` is the
    mapping's filter.

    Raises TerminalError where the server could not compute a hash (a value beyond max_allowed_packet becomes NULL
    there): such a table is not compared, never called the same.
    """
    kinds: list[Kind] = ["exact"] if same_for_both(fields) else ["exact", "shared"]
    outer = ["CAST(bucket AS SIGNED) AS bucket", "COUNT(*) AS n"]
    for kind in kinds:
        outer.append(f"COUNT(h_{kind}) AS n_{kind}")
        outer += [
            f"SUM(CAST(CONV(HEX(SUBSTR(h_{kind}, {1 + 4 * piece}, 4)), 16, 10) AS UNSIGNED)) AS {kind}{piece}"
            for piece in range(PIECES)
        ]
    lossy = [(number, item.name) for number, item in enumerate(fields) if item.rule.proof]
    outer += [f"SUM(l{number}) AS l{number}" for number, _ in lossy]
    totals: dict[Kind, dict[int, Sums]] = {kind: {} for kind in kinds}
    losses = {name: 0 for _, name in lossy}
    rows = 0
    for chunk in chunks:
        where, values = chunk.where()
        inner = mysql_inner(path, fields, buckets)
        # Without the hint the server would merge the query and compute every hash once for each of its pieces.
        head, tail = f"SELECT /*+ NO_MERGE(r) */ {', '.join(outer)} FROM ({inner}", ") AS r GROUP BY bucket"
        where = with_filter(where, with_values(only) if values else only)
        statement = with_values(head) + where + tail if values else head + where + tail
        for row in session.rows(statement, values or None):
            for kind in kinds:
                if row[f"n_{kind}"] != row["n"]:
                    raise TerminalError(
                        f"{row['n'] - row[f'n_{kind}']} rows of {mysql_path(*path)} on the {session.server.role} have no hash.",
                        "A value may be larger than max_allowed_packet; what is not hashed is not compared.",
                        "Raise max_allowed_packet on both servers above the largest value, then validate again.",
                    )
                piece = (int(row["n"]), *(int(row[f"{kind}{number}"]) for number in range(PIECES)))
                known = totals[kind].get(int(row["bucket"]), (0,) * (PIECES + 1))
                totals[kind][int(row["bucket"])] = tuple(a + b for a, b in zip(known, piece, strict=True))
            for number, name in lossy:
                losses[name] += int(row[f"l{number}"] or 0)
            rows += int(row["n"])
    if "shared" not in totals:
        totals["shared"] = totals["exact"]
    return Side(rows, totals, losses)


def google_bucket(key: Sequence[str], buckets: int) -> str:
    """The bucket of a row of the warehouse, by the hash of its encoded key."""
    return "0" if buckets == 1 else f"MOD(CAST(CONCAT('0x', SUBSTR({google_hash(key)}, 1, 8)) AS INT64), {buckets})"


def google_sides(
    client: bigquery.Client,
    sources: Sequence[str],
    columns: Sequence[str],
    key: Sequence[str],
    values: Sequence[str],
    buckets: int,
) -> list[Side]:
    """The checksums of warehouse tables, or of queries in parentheses, that have the same `columns`: one job for all.

    `key` and `values` are encoded columns (encoding.google_value). Raises TerminalError where a row has no hash.
    """
    side = "side"
    while side in {name.lower() for name in columns}:
        side += "_"
    listed = ", ".join(quote_bigquery(name) for name in columns)
    rows = " UNION ALL ".join(
        f"SELECT {number} AS {side}, {listed} FROM {source}" for number, source in enumerate(sources)
    )
    pieces = ", ".join(
        f"SUM(CAST(CONCAT('0x', SUBSTR(h, {1 + 8 * piece}, 8)) AS INT64)) AS p{piece}" for piece in range(PIECES)
    )
    found = client.query(
        f"SELECT {side} AS side, bucket, COUNT(*) AS n, COUNT(h) AS n_h, {pieces} FROM"
        f" (SELECT {side}, {google_bucket(key, buckets)} AS bucket, {google_hash(values)} AS h FROM ({rows}))"
        f" GROUP BY {side}, bucket"
    ).result()
    totals: list[dict[int, Sums]] = [{} for _ in sources]
    for row in found:
        if row["n"] != row["n_h"]:
            raise TerminalError(
                f"{row['n'] - row['n_h']} rows of {sources[row['side']][:200]} have no hash.",
                "What is not hashed is not compared.",
                "Look for values that the warehouse cannot encode, then validate again.",
            )
        totals[row["side"]][int(row["bucket"])] = (int(row["n"]), *(int(row[f"p{piece}"]) for piece in range(PIECES)))
    return [Side(sum(sums[0] for sums in of_side.values()), {"shared": of_side}) for of_side in totals]


def differing(one: Mapping[int, Sums], other: Mapping[int, Sums]) -> list[int]:
    """The buckets that are not the same."""
    return sorted(bucket for bucket in one.keys() | other.keys() if one.get(bucket) != other.get(bucket))
