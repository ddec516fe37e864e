"""How the changes of one table are applied: its columns' ways, the key that names a row, and what must be read again."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from workbook.bulk.copy import Way as BulkWay
from workbook.bulk.copy import literal, select_expression
from workbook.bulk.masking import Token
from workbook.catalog import Catalog, Column, Table, read_catalog
from workbook.cdc.change import Path, Row
from workbook.cdc.values import KEY_CHARSETS, Undecodable, Way, never, way
from workbook.mapping import Mapping as MappingInForce
from workbook.mapping import TableMap
from workbook.mapping.flow import kept_table
from workbook.mapping.target import INVISIBLE_KEY
from workbook.names import mysql_path, quote_mysql
from workbook.servers import Server

_TEMPORAL = {"date", "datetime", "timestamp"}
_TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
#: Actions of a foreign key that change rows of the child.
_ACTING = {"CASCADE", "SET NULL"}


@dataclass(frozen=True)
class TablePlan:
    """How a table's changes are applied; column names are the source's.

    `others` says that it has unique keys beside the one that names a row, `cascades` that deletions of its rows change
    rows of other tables without a word in the binlog, `rekeyed` are the tables in which new keys of its rows do so, and
    `where` is what the mapping's filter keeps.
    """

    number: int
    path: Path
    target: Path
    ways: tuple[Way, ...]
    key: tuple[str, ...]
    others: bool
    cascades: bool
    where: str | None
    collated: Mapping[str, tuple[str, str]]  # key columns of text: their character set and collation on the target
    source: Table
    bulk: BulkWay
    blocked: str = ""
    types: Mapping[str, str] | None = None
    rekeyed: tuple[Path, ...] = ()

    @cached_property
    def way(self) -> Mapping[str, Way]:
        """The ways of columns by their source name."""
        return {item.name: item for item in self.ways}

    @cached_property
    def columns(self) -> str:
        """The columns that are written, for a statement on the target."""
        return ", ".join(quote_mysql(item.target) for item in self.ways)

    @cached_property
    def upsert(self) -> str:
        """What follows the rows of an INSERT that puts them in the place of those of the same key."""
        names = [quote_mysql(item.target) for item in self.ways]
        row = "fresh" if self.target[1].lower() != "fresh" else "new_row"  # no name of the table itself
        return f" AS {row} ON DUPLICATE KEY UPDATE " + ", ".join(f"{name} = {row}.{name}" for name in names)

    @cached_property
    def enums(self) -> tuple[int, ...]:
        """The places of ENUM columns among the ways."""
        types = self.types or {}
        return tuple(place for place, item in enumerate(self.ways) if types.get(item.name) == "enum")

    def keyed(self, keys: Sequence[Sequence[str]], target: bool = True) -> str:
        """The condition for the rows of these keys (SQL of their values), on the target or on the source."""
        names = [quote_mysql(self.way[name].target if target else name) for name in self.key]
        types = self.types or {}
        if any(types.get(name) == "float" for name in self.key):
            # As a DOUBLE the number in an event, which is short, is another one.
            floats = [types.get(name) == "float" for name in self.key]
            keys = [
                [f"CAST({v} AS FLOAT)" if is_float else v for v, is_float in zip(key, floats, strict=True)]
                for key in keys
            ]
        if len(names) > 1 and any(types.get(name) in ("enum", "set") for name in self.key):
            # In a list of rows the server takes an ENUM for its text, and finds none that is written as its number.
            return " OR ".join(
                "(" + " AND ".join(f"{name} = {value}" for name, value in zip(names, key, strict=True)) + ")"
                for key in keys
            )
        return f"({', '.join(names)}) IN ({', '.join('(' + ', '.join(key) + ')' for key in keys)})"

    @property
    def name(self) -> str:
        """The table on the target, quoted."""
        return mysql_path(*self.target)

    def values(self, row: Row) -> tuple[str, ...]:
        """The SQL of a row's values, in the order of `columns`. Raises Undecodable."""
        try:
            return tuple([item.encode(row[item.name]) for item in self.ways])
        except KeyError as error:
            raise Undecodable(f"the event has no column {error.args[0]!r}") from None
        except Undecodable:
            raise
        except (TypeError, ValueError, AttributeError) as error:
            raise Undecodable(f"{type(error).__name__}: {error}") from None

    def key_values(self, row: Row) -> tuple[str, ...]:
        """The SQL of the values that name a row."""
        return tuple(self.way[name].encode(row[name]) for name in self.key)

    def doubtful(self, row: Row) -> bool:
        """Whether an image holds what an event cannot carry exactly."""
        return self.where is not None or any(item.doubtful(row.get(item.name)) for item in self._watched)

    @cached_property
    def _watched(self) -> tuple[Way, ...]:
        return tuple(item for item in self.ways if item.doubtful is not never)

    def doubtful_key(self, row: Row) -> bool:
        """Whether not even the row's name is certain: a date in the key that may have been a zero date."""
        return any(
            self.way[name].doubtful(row.get(name))
            for name in self.key
            if self.types and self.types.get(name) in _TEMPORAL
        )


def plans(
    source: Catalog,
    target: Catalog,
    mapping: MappingInForce,
    numbers: Mapping[Path, int],
    tokens: Mapping[Path, Mapping[str, Token]],
    converted: Callable[[TableMap], Iterable[str]],
    silent_cascades: bool,
) -> dict[Path, TablePlan]:
    """The plans of all tables in scope that are on both sides.

    Column facts are the target's, in the source's names: the target stands where the stream stands, while the source
    may be some definitions further on.
    """
    deleting = _acting_parents(target, "on_delete") if silent_cascades else {}
    rekeying = _acting_parents(target, "on_update") if silent_cascades else {}
    back = {item.target_path: item.path for item in mapping.in_scope}
    found = {}
    for item in mapping.in_scope:
        there, here = target.table.get(item.target_path), source.table.get(item.path)
        if there is None or here is None or item.path not in numbers:
            continue
        made = _plan(
            here,
            there,
            item,
            numbers[item.path],
            tokens.get(item.path, {}),
            tuple(converted(item)),
            there.path in deleting,
        )
        children = tuple(back[path] for path in rekeying.get(there.path, ()) if path in back)
        found[item.path] = replace(made, rekeyed=children)
    return found


def target_catalog(target: Server, mapping: MappingInForce) -> Catalog:
    """What the target holds now in the databases of the mapping."""
    names = sorted({item.target_path[0] for item in mapping.in_scope})
    there = {row["name"] for row in target.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")}
    return read_catalog(target, [name for name in names if name in there])


def _acting_parents(target: Catalog, event: str) -> dict[Path, tuple[Path, ...]]:
    """Tables whose rows others follow when they go (`on_delete`) or get new keys (`on_update`), with those others."""
    found: dict[Path, tuple[Path, ...]] = {}
    for table in target.tables:
        for key in table.foreign_keys:
            if str(getattr(key, event)).upper() in _ACTING:
                parent = key.parent_database, key.parent_table
                found[parent] = (*found.get(parent, ()), table.path)
    return found


def _plan(
    here: Table,
    there: Table,
    item: TableMap,
    number: int,
    tokens: Mapping[str, Token],
    converted: tuple[str, ...],
    cascades: bool,
) -> TablePlan:
    names = {item.flow.column(column.name): column.name for column in kept_table(here, item.flow).columns}
    masks = dict(item.flow.masks)
    table = _without_invisible_key(there, here)
    back: Callable[[str], str] = lambda name: names.get(name, name)  # noqa: E731
    key = tuple(back(name) for name in table.key)
    columns = [replace(column, name=back(column.name)) for column in table.stored_columns]
    blocked, ways = "", []
    for column in columns:
        try:
            ways.append(way(column, item.flow.column(column.name), masks.get(column.name), tokens.get(column.name)))
        except Undecodable as error:
            blocked = f"column {column.name!r}: {error}"
    facts = {column.name: column for column in columns}
    if item.flow.where and not key:
        blocked = "it has a filter and no key: whether a changed row was inside cannot be told"
    if any(name not in facts for name in key):
        blocked = "its key holds a generated column"
    for name in key:
        text = here.column.get(name)
        if text is not None and text.data_type in _TEXTS and text.charset not in KEY_CHARSETS:
            blocked = f"its key holds text in {text.charset}, which events do not carry exactly"
    return TablePlan(
        number=number,
        path=here.path,
        target=there.path,
        ways=tuple(ways),
        key=key,
        others=sum(index.unique for index in table.indexes) > 1,
        cascades=cascades,
        where=item.flow.where,
        collated={
            name: (facts[name].charset or "", facts[name].collation or "")
            for name in key
            if name in facts and facts[name].data_type in _TEXTS and name not in tokens
        },
        source=here,
        bulk=BulkWay(item.flow, converted, there.path, tokens),
        blocked=blocked,
        types={column.name: column.data_type for column in columns},
    )


def _without_invisible_key(there: Table, here: Table) -> Table:
    """Without the key that the mapping gave a keyless table on the target."""
    if INVISIBLE_KEY in here.column or INVISIBLE_KEY not in there.column:
        return there
    return replace(
        there,
        columns=tuple(column for column in there.columns if column.name != INVISIBLE_KEY),
        indexes=tuple(index for index in there.indexes if INVISIBLE_KEY not in index.columns),
    )


def key_hash(plan: TablePlan, values: Sequence[str], weights: Mapping[tuple[str, str], bytes]) -> bytes:
    """What names a row in the shadow table: alike exactly where the target takes two keys for one.

    `weights` holds, for texts of the key, what the target sorts them by.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, value in zip(plan.key, values, strict=True):
        part = weights[plan.collated[name][1], value] if name in plan.collated else value.encode()
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


def weight_query(wanted: Sequence[tuple[str, str, str]]) -> str:
    """The SELECT that asks the target what it sorts texts by: (character set, collation, literal) each.

    Trailing spaces mean nothing under the collations that pad.
    """
    parts = []
    for charset, collation, text in wanted:
        plain = text if "_0900_" in collation or collation == "binary" else f"TRIM(TRAILING ' ' FROM {text})"
        parts.append(f"SELECT WEIGHT_STRING(CONVERT({plain} USING {charset}) COLLATE {collation})")
    return " UNION ALL ".join(parts)


def reread_query(plan: TablePlan, rows: Sequence[Row]) -> str:
    """The SELECT that reads rows from the source by their key, each value as the bulk load reads it."""
    facts: Mapping[str, Column] = plan.source.column
    expressions = ", ".join(select_expression(facts[item.name], plan.bulk) for item in plan.ways)
    bare = {name: way(facts[name], name, None, None) for name in plan.key}
    keys = [[bare[name].encode(row[name]) for name in plan.key] for row in rows]
    where = f" AND ({plan.where})" if plan.where else ""
    return f"SELECT {expressions} FROM {mysql_path(*plan.path)} WHERE ({plan.keyed(keys, False)}){where}"


def reread_values(plan: TablePlan, row: Sequence[bytes | None]) -> tuple[str, ...]:
    """The SQL of a row that was read again, in the order of the plan's columns."""
    found: list[str] = []
    for item, value in zip(plan.ways, row, strict=True):
        token = plan.bulk.tokens.get(item.name)
        if token is not None and value is not None:
            value = token.of(value)
        found.append(item.from_bytes(value) if token is None or value is None else literal(value))
    return tuple(found)


def same_row(plan: TablePlan, row: Row) -> str:
    """The condition that finds rows of a keyless table that are the image to the byte. Raises Undecodable."""
    types = plan.types or {}
    return " AND ".join(
        _same(types.get(item.name, ""), quote_mysql(item.target), value)
        for item, value in zip(plan.ways, plan.values(row), strict=True)
    )


def _same(kind: str, name: str, value: Any) -> str:
    if value == "NULL":
        return f"{name} IS NULL"
    if kind in _TEXTS:
        return f"CONVERT({name} USING utf8mb4) COLLATE utf8mb4_0900_bin = {value}"
    if kind == "float":
        return f"{name} = CAST({value} AS FLOAT)"
    if kind == "json":
        return f"{name} = CAST({value} AS JSON)"
    if kind in ("enum", "set"):
        return f"{name} + 0 = {value}"
    if kind == "vector":
        return f"CAST({name} AS BINARY) = {value}"
    return f"{name} = {value}"
