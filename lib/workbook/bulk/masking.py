"""Masks on the way: values become tokens in the worker, between the two servers, so that the salt is told to neither.

A worker imports this and little else.
"""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from workbook.wire import Row, Wire


@dataclass(frozen=True)
class Token:
    """How the values of one column become tokens: `length` hexadecimal digits, or bytes where `raw`, cut from
    HMAC-SHA-256 of the value's bytes (text in UTF-8) under the salt; `fill` is what a BINARY column is filled up to."""

    length: int
    raw: bool
    fill: int
    salt: bytes = field(repr=False)

    def of(self, value: bytes) -> bytes:
        """The token of a value."""
        digest = hmac.digest(self.salt, value, "sha256")
        return digest[: self.length].ljust(self.fill, b"\0") if self.raw else digest.hex()[: self.length].encode()


class _Masked:
    """A connection whose long answers come with tokens in some places."""

    def __init__(self, wire: Wire, tokens: Sequence[tuple[int, Token]]):
        self._wire, self._tokens = wire, tokens

    def run(self, sql: str) -> int:
        return self._wire.run(sql)

    def rows(self, sql: str) -> list[Row]:
        return self._wire.rows(sql)

    def stream(self, sql: str, batch: int) -> Iterator[Sequence[Row]]:
        for rows in self._wire.stream(sql, batch):
            yield [self._row(row) for row in rows]

    def close(self) -> None:
        self._wire.close()

    def _row(self, row: Row) -> Row:
        values = list(row)
        for place, token in self._tokens:
            value = values[place]
            if value is not None:
                values[place] = token.of(value)
        return tuple(values)


def masked(wire: Wire, tokens: Sequence[tuple[int, Token]]) -> Wire:
    """The connection with tokens in the given places of each row; itself where there are none."""
    return _Masked(wire, tokens) if tokens else wire
