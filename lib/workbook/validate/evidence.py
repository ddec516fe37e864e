"""What the classifier asks the servers: values of which only the hash is known, and the neighbourhood of missing rows."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from google.cloud import bigquery

from workbook.catalog import Table
from workbook.names import mysql_path, quote_bigquery, quote_mysql
from workbook.servers import Session
from workbook.validate.cells import DAY, moment, number
from workbook.validate.encoding import Field, Kind, mysql_hash
from workbook.validate.keys import any_row, literal, one_row
from workbook.validate.rows import Difference, Encoded, Located, decoded
from workbook.validate.sums import key_fields

# Rows of which long values are read, and the characters read of each; the rest of a class is told by these.
_ROWS = 200
_CHARACTERS = 100_000
# Keys that are looked up one by one.
_KEYS = 50
Plain = dict[Encoded, tuple[str | None, ...]]


class Reader(Protocol):
    """One end of a hop, asked by encoded keys."""

    def plain(self, keys: Sequence[Encoded], places: Sequence[int]) -> Plain:
        """The values themselves of the columns at `places`, by key."""

    def between(self, low: str, high: str) -> int | None:
        """How many rows have a key between two canonical texts, both included; None where that cannot be asked."""

    def alike(self, key: Encoded) -> bool:
        """Whether there is a row whose key this end calls equal."""


@dataclass(frozen=True)
class Evidence:
    """What was asked. `hashed` are the places of columns of which the canonical text is a hash."""

    hashed: frozenset[int] = frozenset()
    before: Plain = field(default_factory=dict)
    after: Plain = field(default_factory=dict)
    gone_between: int | None = None
    twice_between: int | None = None
    alike: frozenset[Encoded] = frozenset()


@dataclass(frozen=True)
class MysqlReader:
    """A table on source or target."""

    session: Session
    table: Table
    fields: tuple[Field, ...]
    kind: Kind

    def plain(self, keys: Sequence[Encoded], places: Sequence[int]) -> Plain:
        """The values themselves of the columns at `places`, by key."""
        chosen = key_fields(self.fields)
        hashes = ", ".join(f"x'{_digest(key)[:32]}'" for key in keys)
        narrow = any_row(self.table, keys, self.kind, exactly=False) if self.table.key else None
        where = f"{mysql_hash(chosen, self.kind)} IN ({hashes})" + (f" AND ({narrow})" if narrow else "")
        values = ", ".join(
            f"{_mysql_plain(self.fields[place])} AS p{number}" for number, place in enumerate(places)
        )
        found = self.session.rows(
            f"SELECT HEX({mysql_hash(chosen, self.kind)}) AS k, {values} FROM {mysql_path(*self.table.path)} WHERE {where}"
        )
        by_hash = {_digest(key)[:32]: key for key in keys}
        return {by_hash[row.pop("k").lower()]: tuple(map(_read, row.values())) for row in found}

    def between(self, low: str, high: str) -> int | None:
        """How many rows have a key between two canonical texts, both included; None where that cannot be asked."""
        if len(self.table.key) != 1:
            return None
        column = self.table.column[self.table.key[0]]
        bounds = [literal(column, text, self.kind) for text in (low, high)]
        if None in bounds:
            return None
        where = f"{quote_mysql(column.name)} BETWEEN {bounds[0]} AND {bounds[1]}"
        return int(self.session.scalar(f"SELECT COUNT(*) FROM {mysql_path(*self.table.path)} WHERE {where}"))

    def alike(self, key: Encoded) -> bool:
        """Whether there is a row whose key this end calls equal."""
        condition = one_row(self.table, key, self.kind, exactly=False)
        if condition is None:
            return False
        return bool(self.session.scalar(f"SELECT COUNT(*) FROM {mysql_path(*self.table.path)} WHERE {condition}"))


@dataclass(frozen=True)
class GoogleReader:
    """A table, or a query in parentheses, in the warehouse; `columns` are names and types in the order of the rows."""

    client: bigquery.Client
    source: str
    key: tuple[str, ...]  # encoded, as of encoding.google_value
    columns: tuple[tuple[str, str], ...]
    texts: tuple[str, ...] = ()  # the columns of the key by their warehouse names, where all of them are text

    def plain(self, keys: Sequence[Encoded], places: Sequence[int]) -> Plain:
        """The values themselves of the columns at `places`, by key."""
        hashed = f"TO_HEX(SHA256(CONCAT({', '.join(self.key)})))"
        values = ", ".join(f"{_google_plain(*self.columns[place])} AS p{n}" for n, place in enumerate(places))
        wanted = ", ".join(f"'{_digest(key)}'" for key in keys)
        found = self.client.query(f"SELECT {hashed} AS k, {values} FROM {self.source} WHERE {hashed} IN ({wanted})").result()
        by_hash = {_digest(key): key for key in keys}
        return {by_hash[row["k"]]: tuple(map(_read, row.values()[1:])) for row in found}

    def between(self, low: str, high: str) -> int | None:
        """Not asked here: the ends before the warehouse know it."""
        return None

    def alike(self, key: Encoded) -> bool:
        """Whether there is a row whose key differs in the case of its letters alone, or in spaces at the end."""
        if not self.texts:
            return False
        values = [decoded(item) for item in key]
        where = " AND ".join(
            f"LOWER(RTRIM({quote_bigquery(name)})) = LOWER(RTRIM(@k{n}))" for n, name in enumerate(self.texts)
        )
        config = bigquery.QueryJobConfig(
            query_parameters=[bigquery.ScalarQueryParameter(f"k{n}", "STRING", value) for n, value in enumerate(values)]
        )
        found = self.client.query(f"SELECT COUNT(*) AS n FROM {self.source} WHERE {where}", job_config=config).result()
        return bool(next(iter(found))["n"])


def gather(table: Table, names: Sequence[str], hashed: frozenset[int], located: Located, before: Reader, after: Reader) -> Evidence:
    """Ask both ends what the differences alone do not tell; nothing is asked that no difference needs."""
    places = [names.index(name) for name in table.key]
    key_of: Callable[[Encoded], Encoded] = lambda row: tuple(row[place] for place in places)  # noqa: E731
    changed = [item for item in located.differences if item.before is not None and item.after is not None]
    asked = sorted({place for item in changed for place in hashed if item.before[place] != item.after[place]})  # type: ignore[index]
    plain: tuple[Plain, Plain] = ({}, {})
    if asked and places:
        chosen = [item for item in changed if any(item.before[place] != item.after[place] for place in asked)]  # type: ignore[index]
        keys = [key_of(item.before) for item in chosen[:: max(1, len(chosen) // _ROWS)][:_ROWS]]  # type: ignore[arg-type]
        width = len(names)
        plain = tuple(  # type: ignore[assignment]
            {key: _spread(values, asked, width) for key, values in reader.plain(keys, asked).items()}
            for reader in (before, after)
        )
    gone = [item for item in located.differences if item.kind == "missing" and not item.twin]
    twice = [item for item in located.differences if item.kind == "extra" and item.twin]
    alike = frozenset(
        key for key in (key_of(item.before) for item in gone[:_KEYS]) if places and _textual(table) and after.alike(key)  # type: ignore[arg-type]
    )
    return Evidence(
        hashed=hashed,
        before=plain[0],
        after=plain[1],
        gone_between=_between(table, names, gone, before),
        twice_between=_between(table, names, twice, before),
        alike=alike,
    )


def _between(table: Table, names: Sequence[str], found: Sequence[Difference], reader: Reader) -> int | None:
    """The rows of the first end between the lowest and the highest key of some; None where keys are not put in order here."""
    if len(found) < 2 or len(table.key) != 1:
        return None
    place = names.index(table.key[0])
    ordered = sorted(
        (order, text)
        for text in (decoded((item.before or item.after or ())[place]) for item in found)
        if (order := in_order(table, text)) is not None
    )
    if len(ordered) < len(found):
        return None
    return reader.between(str(ordered[0][1]), str(ordered[-1][1]))


def in_order(table: Table, text: str | None) -> float | int | None:
    """What a key of one column is ordered by; None where Python does not know the order."""
    data_type = table.column[table.key[0]].data_type
    if text is None:
        return None
    if data_type in ("date", "datetime", "timestamp"):
        return moment(text, DAY if data_type == "date" else 1)
    found = number(text) if data_type in ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal") else None
    return None if found is None else (int(found) if found == int(found) else float(found))


def _textual(table: Table) -> bool:
    return any(table.column[name].data_type in ("char", "varchar") for name in table.key)


def _spread(values: Sequence[str | None], places: Sequence[int], width: int) -> tuple[str | None, ...]:
    row: list[str | None] = [None] * width
    for place, value in zip(places, values, strict=True):
        row[place] = value
    return tuple(row)


def _digest(key: Encoded) -> str:
    return hashlib.sha256("".join(key).encode("utf-8", "surrogateescape")).hexdigest()


def _mysql_plain(item: Field) -> str:
    name = quote_mysql(item.name)
    if item.rule.name in ("long-bytes", "geometry-bytes", "bytes"):
        return f"LOWER(HEX(LEFT(CAST({name} AS BINARY), {_CHARACTERS})))"
    text = f"CAST({name} AS CHAR)" if item.rule.name == "json-text" else f"CONVERT({name} USING utf8mb4)"
    return f"LEFT({text}, {_CHARACTERS})"


def _google_plain(name: str, kind: str) -> str:
    column = quote_bigquery(name)
    if kind == "BYTES":
        return f"TO_HEX(SUBSTR({column}, 1, {_CHARACTERS}))"
    return f"SUBSTR({f'TO_JSON_STRING({column})' if kind == 'JSON' else column}, 1, {_CHARACTERS})"


def _read(value: object) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
