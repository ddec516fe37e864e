"""What the classifier asks the servers: values of which only the hash is known, and the neighbourhood of missing rows."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from workbook.catalog import Table
from workbook.names import bigquery_rows, mysql_path, quote_bigquery, quote_mysql
from workbook.servers import Session
from workbook.validate.cells import DAY, moment, number
from workbook.validate.encoding import Field, Kind, mysql_hash
from workbook.validate.keys import any_row, literal, one_row
from workbook.validate.rows import Difference, Encoded, Located, decoded
from workbook.validate.sums import key_fields, with_filter

if TYPE_CHECKING:
    from google.cloud import bigquery

# Rows of which long values are read, and the characters read of each; the rest of a class is told by these.
_ROWS = 200
CHARACTERS = 100_000
# Keys that are looked up one by one.
_KEYS = 50
Plain = dict[Encoded, tuple[str | None, ...]]


class Reader(Protocol):
    """One end of a hop, asked by encoded keys."""

    def plain(self, keys: Sequence[Encoded], places: Sequence[int]) -> Plain:
        """The values themselves of the columns at `places`, by key."""

    def between(self, low: str, high: str) -> int | None:
        """How many rows have a key between two canonical texts, both included; None where that cannot be asked."""

    def alike(self, keys: Sequence[Encoded]) -> frozenset[Encoded]:
        """Those of the keys for which there is a row that this end calls equal."""


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
    """A table on source or target, with the names it has there; `only` is the mapping's filter."""

    session: Session
    table: Table
    fields: tuple[Field, ...]
    kind: Kind
    only: str = ""

    def _where(self, condition: str) -> str:
        return with_filter(f" WHERE ({condition})", self.only)

    def plain(self, keys: Sequence[Encoded], places: Sequence[int]) -> Plain:
        """The values themselves of the columns at `places`, by key."""
        chosen = key_fields(self.fields)
        hashes = ", ".join(f"x'{digest(key)[:32]}'" for key in keys)
        narrow = any_row(self.table, keys, self.kind, exactly=False) if self.table.key else None
        where = self._where(f"{mysql_hash(chosen, self.kind)} IN ({hashes})" + (f" AND ({narrow})" if narrow else ""))
        values = ", ".join(f"{_mysql_plain(self.fields[place])} AS p{number}" for number, place in enumerate(places))
        found = self.session.rows(
            f"SELECT HEX({mysql_hash(chosen, self.kind)}) AS k, {values} FROM {mysql_path(*self.table.path)}{where}"
        )
        by_hash = {digest(key)[:32]: key for key in keys}
        return {by_hash[row.pop("k").lower()]: tuple(map(_read, row.values())) for row in found}

    def between(self, low: str, high: str) -> int | None:
        """How many rows have a key between two canonical texts, both included; None where that cannot be asked."""
        if len(self.table.key) != 1:
            return None
        column = self.table.column[self.table.key[0]]
        bounds = [literal(column, text, self.kind) for text in (low, high)]
        if None in bounds:
            return None
        where = self._where(f"{quote_mysql(column.name)} BETWEEN {bounds[0]} AND {bounds[1]}")
        return int(self.session.scalar(f"SELECT COUNT(*) FROM {mysql_path(*self.table.path)}{where}"))

    def alike(self, keys: Sequence[Encoded]) -> frozenset[Encoded]:
        """Those of the keys for which there is a row that this end calls equal."""
        conditions = {key: one_row(self.table, key, self.kind, exactly=False) for key in keys}
        path = mysql_path(*self.table.path)
        return frozenset(
            key
            for key, condition in conditions.items()
            if condition is not None and self.session.scalar(f"SELECT COUNT(*) FROM {path}{self._where(condition)}")
        )


@dataclass(frozen=True)
class GoogleReader:
    """A table, or a query in parentheses, in the warehouse; `columns` are names and types in the order of the rows."""

    client: "bigquery.Client"
    source: str
    key: tuple[str, ...]  # encoded, as of encoding.google_value
    columns: tuple[tuple[str, str], ...]
    texts: tuple[str, ...] = ()  # the columns of the key by their warehouse names, where all of them are text

    def plain(self, keys: Sequence[Encoded], places: Sequence[int]) -> Plain:
        """The values themselves of the columns at `places`, by key."""
        hashed = f"TO_HEX(SHA256(CONCAT({', '.join(self.key)})))"
        values = ", ".join(f"{_google_plain(*self.columns[place])} AS p{n}" for n, place in enumerate(places))
        wanted = ", ".join(f"'{digest(key)}'" for key in keys)
        found = self.client.query(
            f"SELECT {hashed} AS k, {values} FROM {bigquery_rows(self.source)} WHERE {hashed} IN ({wanted})"
        ).result()
        by_hash = {digest(key): key for key in keys}
        return {by_hash[row["k"]]: tuple(map(_read, row.values()[1:])) for row in found}

    def between(self, low: str, high: str) -> int | None:
        """Not asked here: the ends before the warehouse know it."""
        return None

    def alike(self, keys: Sequence[Encoded]) -> frozenset[Encoded]:
        """Those for which a row's key differs in the case of its letters alone, or in spaces at the end."""
        if not self.texts:
            return frozenset()
        # Imported here, because the import costs seconds that a comparison without a warehouse need not pay.
        from google.cloud import bigquery

        folded = {key: tuple((decoded(item) or "").rstrip(" ").lower() for item in key) for key in keys}
        columns = [f"LOWER(RTRIM({quote_bigquery(name)}, ' '))" for name in self.texts]
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ArrayQueryParameter(
                    f"k{number}", "STRING", sorted({values[number] for values in folded.values()})
                )
                for number in range(len(columns))
            ]
        )
        chosen = ", ".join(f"{column} AS k{number}" for number, column in enumerate(columns))
        where = " AND ".join(f"{column} IN UNNEST(@k{number})" for number, column in enumerate(columns))
        sql = f"SELECT DISTINCT {chosen} FROM {bigquery_rows(self.source)} WHERE {where}"
        there = {tuple(row.values()) for row in self.client.query(sql, job_config=config).result()}
        return frozenset(key for key, values in folded.items() if values in there)


def gather(
    table: Table, names: Sequence[str], hashed: frozenset[int], located: Located, before: Reader, after: Reader
) -> Evidence:
    """Ask both ends what the differences alone do not tell; nothing is asked that no difference needs."""
    places = [names.index(name) for name in table.key]
    key_of: Callable[[Encoded], Encoded] = lambda row: tuple(row[place] for place in places)  # noqa: E731
    changed = [
        (item.before, item.after) for item in located.differences if item.before is not None and item.after is not None
    ]
    asked = sorted({place for one, other in changed for place in hashed if one[place] != other[place]})
    plain: list[Plain] = [{}, {}]
    if asked and places:
        chosen = [one for one, other in changed if any(one[place] != other[place] for place in asked)]
        keys = [key_of(row) for row in chosen[:: max(1, len(chosen) // _ROWS)][:_ROWS]]
        plain = [
            {key: _spread(values, asked, len(names)) for key, values in reader.plain(keys, asked).items()}
            for reader in (before, after)
        ]
    gone = [item for item in located.differences if item.kind == "missing" and not item.twin]
    twice = [item for item in located.differences if item.kind == "extra" and item.twin]
    textual = any(table.column[name].data_type in ("char", "varchar") for name in table.key)
    missing = [key_of(item.before) for item in gone[:_KEYS] if item.before is not None]
    alike = after.alike(missing) if textual and missing else frozenset()
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
        if (order := in_order(table, text)) is not None and text is not None
    )
    if len(ordered) < len(found):
        return None
    return reader.between(ordered[0][1], ordered[-1][1])


def in_order(table: Table, text: str | None) -> float | int | None:
    """What a key of one column is ordered by; None where Python does not know the order."""
    data_type = table.column[table.key[0]].data_type
    if text is None:
        return None
    if data_type in ("date", "datetime", "timestamp"):
        return moment(text, DAY if data_type == "date" else 1)
    found = number(text) if data_type in ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal") else None
    return None if found is None else (int(found) if found == int(found) else float(found))


def _spread(values: Sequence[str | None], places: Sequence[int], width: int) -> tuple[str | None, ...]:
    row: list[str | None] = [None] * width
    for place, value in zip(places, values, strict=True):
        row[place] = value
    return tuple(row)


def digest(key: Encoded) -> str:
    """The hash of an encoded key, in hexadecimal; a MySQL server is asked by its first half."""
    return hashlib.sha256("".join(key).encode("utf-8", "surrogateescape")).hexdigest()


def _mysql_plain(item: Field) -> str:
    if item.token is not None:
        # What a mask hides is not looked at.
        return "NULL"
    name = item.stands or quote_mysql(item.name)
    if item.rule.name in ("long-bytes", "geometry-bytes", "bytes"):
        return f"LOWER(HEX(LEFT(CAST({name} AS BINARY), {CHARACTERS // 2})))"
    text = f"CAST({name} AS CHAR)" if item.rule.name == "json-text" else f"CONVERT({name} USING utf8mb4)"
    return f"LEFT({text}, {CHARACTERS})"


def _google_plain(name: str, kind: str) -> str:
    column = quote_bigquery(name)
    text = {"BYTES": f"TO_HEX({column})", "JSON": f"TO_JSON_STRING({column})"}.get(kind, column)
    return f"SUBSTR({text}, 1, {CHARACTERS})"


def _read(value: object) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
