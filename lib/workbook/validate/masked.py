"""Masked columns compared as masked: the source's rows are read here and their tokens made here, as the bulk load did, so
that no server is told the salt. Checksums are those that `sums` has a server compute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbook.names import mysql_path, quote_mysql
from workbook.validate.encoding import Field, Kind, mysql_value
from workbook.validate.locate import Region, unpacked
from workbook.validate.rows import Encoded, text
from workbook.validate.sums import Digest, Reading, Side, key_fields, with_filter

if TYPE_CHECKING:
    from workbook.validate.locate import Pairs

_KINDS: tuple[Kind, Kind] = ("exact", "shared")


def has_tokens(fields: Sequence[Field]) -> bool:
    """Whether the source's side must be made here."""
    return any(item.token is not None for item in fields)


def masked_side(reading: Reading, keyed: bool) -> Side:
    """The digests of a table of the source with its masks applied."""
    totals: dict[Kind, Digest] = {kind: Digest() for kind in _KINDS}
    lossy = [item.name for item in reading.fields if item.rule.proof and not item.stands]
    losses = dict.fromkeys(lossy, 0)
    for encoded, lost in _rows(reading):
        for kind in _KINDS:
            totals[kind] = totals[kind].plus(_digest(b"".join(encoded[kind])), keyed)
        for name, value in zip(lossy, lost, strict=True):
            losses[name] += int(value or 0)
    return Side(totals, losses=losses)


@dataclass(frozen=True)
class MaskedEnd:
    """The source as it is once masked: read here, for each look."""

    reading: Reading
    kind: Kind

    def pairs(self, region: Region) -> Pairs:
        """The hashes of the keys and rows in the buckets of a region."""
        wanted = None if region.chosen is None else set(region.chosen)
        found = bytearray()
        for key, row, _ in self._hashed():
            if wanted is None or int.from_bytes(row[:4], "big") % region.buckets in wanted:
                found += key[:8] + row[:8]
        return unpacked(bytes(found))

    def rows(self, region: Region, keys: Sequence[str]) -> list[Encoded]:
        """The encoded columns of the rows with these keys, once each."""
        wanted = {bytes.fromhex(key) for key in keys}
        found = {tuple(map(text, encoded)): None for key, _, encoded in self._hashed() if key[:8] in wanted}
        return list(found)

    def buckets(self, keyed: bool, buckets: int) -> dict[int, Digest]:
        """The digests of the table by bucket."""
        found: dict[int, Digest] = {}
        for _, row, encoded in self._hashed():
            bucket = int.from_bytes(row[:4], "big") % buckets
            found[bucket] = found.get(bucket, Digest()).plus(_digest(b"".join(encoded)), keyed)
        return found

    def _hashed(self) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
        """Each row's key and row as hashes, and its encoded columns."""
        fields = self.reading.fields
        keys = [fields.index(item) for item in key_fields(fields)]
        for rows, _ in _rows(self.reading):
            encoded = rows[self.kind]
            key = hashlib.sha256(b"".join(encoded[place] for place in keys)).digest()
            yield key, hashlib.sha256(b"".join(encoded)).digest(), encoded


def _digest(encoded: bytes) -> Digest:
    hashed = hashlib.sha256(encoded).digest()
    return Digest(1, tuple(int.from_bytes(hashed[place : place + 4], "big") for place in range(0, 16, 4)))


def _rows(reading: Reading) -> Iterator[tuple[Mapping[Kind, list[bytes]], Sequence[Any]]]:
    """Each row's encoded columns of both kinds, and which of its columns lose something."""
    fields = reading.fields
    size = len(fields)
    selected = [_raw(item) if item.token else mysql_value(item, "exact") for item in fields]
    selected += [_raw(item) if item.token else mysql_value(item, "shared") for item in fields]
    selected += [
        item.rule.proof.replace("{c}", quote_mysql(item.name)) for item in fields if item.rule.proof and not item.stands
    ]
    named = ", ".join(f"{text} AS c{number}" for number, text in enumerate(selected))
    query = f"SELECT {named} FROM {mysql_path(*reading.path)}" + with_filter("", reading.only)
    for row in reading.session.stream(query):
        encoded: dict[Kind, list[bytes]] = {
            kind: [
                _token(item, value) if item.token else bytes(value)
                for item, value in zip(fields, row[start : start + size], strict=True)
            ]
            for kind, start in zip(_KINDS, (0, size), strict=True)
        }
        yield encoded, row[2 * size :]


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
