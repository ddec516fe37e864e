"""Masked columns compared as masked: the source's rows are read here and their tokens made here, as the bulk load did, so
that no server is told the salt. Checksums are those that `sums` has a server compute.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from workbook.bulk.chunks import Chunk
from workbook.names import mysql_path, quote_mysql, with_values
from workbook.servers import Session
from workbook.validate.encoding import Field, Kind, mysql_value
from workbook.validate.sums import Side, Sums, key_fields, with_filter

_KINDS: tuple[Kind, Kind] = ("exact", "shared")


def has_tokens(fields: Sequence[Field]) -> bool:
    """Whether the source's side must be made here."""
    return any(item.token is not None for item in fields)


def masked_side(
    session: Session, path: tuple[str, str], fields: Sequence[Field], buckets: int, chunks: Sequence[Chunk], where: str
) -> Side:
    """The checksums of a table of the source with its masks applied."""
    totals: dict[Kind, dict[int, Sums]] = {"exact": {}, "shared": {}}
    lossy = [item.name for item in fields if item.rule.proof and not item.stands]
    losses = dict.fromkeys(lossy, 0)
    count = 0
    for bucket, encoded, lost in _rows(session, path, fields, buckets, chunks, where):
        count += 1
        for kind in _KINDS:
            digest = hashlib.sha256(b"".join(encoded[kind])).digest()
            pieces = (1, *(int.from_bytes(digest[place : place + 4], "big") for place in range(0, 16, 4)))
            known = totals[kind].get(bucket)
            totals[kind][bucket] = pieces if known is None else tuple(a + b for a, b in zip(known, pieces, strict=True))
        for name, value in zip(lossy, lost, strict=True):
            losses[name] += int(value or 0)
    return Side(count, totals, losses)


def masked_rows(
    session: Session,
    path: tuple[str, str],
    fields: Sequence[Field],
    buckets: int,
    chosen: Collection[int],
    kind: Kind,
    where: str,
) -> list[tuple[str, ...]]:
    """The encoded columns of the source's rows in the chosen buckets, masks applied."""
    whole = [Chunk(*path, 1, (), None, None)]
    wanted = set(chosen)
    return [
        tuple(value.decode("utf-8", "backslashreplace") for value in encoded[kind])
        for bucket, encoded, _ in _rows(session, path, fields, buckets, whole, where)
        if bucket in wanted
    ]


def _rows(
    session: Session, path: tuple[str, str], fields: Sequence[Field], buckets: int, chunks: Sequence[Chunk], where: str
) -> Iterator[tuple[int, Mapping[Kind, list[bytes]], Sequence[Any]]]:
    """Each row's bucket, its encoded columns of both kinds, and which of its columns lose something."""
    size = len(fields)
    selected = [_raw(item) if item.token else mysql_value(item, "exact") for item in fields]
    selected += [_raw(item) if item.token else mysql_value(item, "shared") for item in fields]
    selected += [
        item.rule.proof.replace("{c}", quote_mysql(item.name)) for item in fields if item.rule.proof and not item.stands
    ]
    named = ", ".join(f"{text} AS c{number}" for number, text in enumerate(selected))
    keys = [fields.index(item) for item in key_fields(fields)]
    for chunk in chunks:
        bounds, values = chunk.where()
        condition = with_filter(bounds, with_values(where) if values else where)
        text = f"SELECT {named} FROM {mysql_path(*path)}"
        for row in session.stream((with_values(text) if values else text) + condition, values or None):
            encoded: dict[Kind, list[bytes]] = {
                kind: [
                    _token(item, value) if item.token else bytes(value)
                    for item, value in zip(fields, row[start : start + size], strict=True)
                ]
                for kind, start in zip(_KINDS, (0, size), strict=True)
            }
            key = hashlib.sha256(b"".join(encoded["shared"][place] for place in keys)).digest()
            yield int.from_bytes(key[:4], "big") % buckets, encoded, row[2 * size :]


def _raw(item: Field) -> str:
    """The bytes that a token is made of, as the bulk load reads them."""
    name = quote_mysql(item.name)
    return f"CAST({name} AS BINARY)" if item.charset is None else f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"


def _token(item: Field, value: bytes | None) -> bytes:
    """The encoded token, as the target encodes what it holds."""
    if value is None:
        return b"~;"
    assert item.token is not None
    token = item.token.of(bytes(value))
    if item.rule.name == "text":
        return b"=%d:%s;" % (len(token), token)
    if item.rule.name == "bytes":
        return token.hex().encode() + b";"
    return hashlib.sha256(token).hexdigest().encode() + b";"
