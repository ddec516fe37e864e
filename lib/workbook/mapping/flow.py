"""What becomes of a table on its way to the target: rows left out, columns left out, renamed or masked, another name."""

import re
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Any

from workbook.catalog import Column, ForeignKey, Index, Table

KINDS = ("sha256", "null", "constant")
TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
BINARIES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
# Character sets whose letters are not the bytes of ASCII.
_WIDE_LETTERS = ("ucs2", "utf16", "utf16le", "utf32")
# Two of so many values may have one token with this probability at most.
COLLISION, _LEAST_VALUES = 1e-9, 1_000_000
_NAMES = re.compile(r"`((?:[^`]|``)+)`|(\w+)")
_DIGITS = {True: 16, False: 32}  # of a token, by default: bytes of a binary column, hexadecimal digits of a text
_MOST = {True: 32, False: 64}


@dataclass(frozen=True)
class Mask:
    """How a column's values are hidden. `sha256` makes tokens of `length` hexadecimal digits (bytes, in a binary column)
    by HMAC-SHA-256 under the salt that `salt` refers to; `constant` puts `value` in place of each."""

    kind: str
    salt: str = ""
    length: int = 0
    value: str = ""

    @property
    def said(self) -> str:
        """The mask in words."""
        return {"null": "becomes NULL", "constant": "becomes one constant"}.get(
            self.kind, f"becomes a token of {self.length}"
        )


@dataclass(frozen=True)
class Flow:
    """The choices for one table; names are the source's, `database` and `table` its names on the target where they are
    others. `where` keeps the rows for which it is true."""

    database: str | None = None
    table: str | None = None
    where: str | None = None
    excluded: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    masks: tuple[tuple[str, Mask], ...] = ()

    @property
    def tokens(self) -> ReadOnly[str, Mask]:
        """The columns that become tokens, with their masks."""
        return {name: mask for name, mask in self.masks if mask.kind == "sha256"}

    def column(self, name: str) -> str:
        """The name of a column on the target."""
        return dict(self.renamed).get(name, name)

    @property
    def said(self) -> tuple[str, ...]:
        """The choices in words."""
        words = (
            [f"becomes {'.'.join(filter(None, (self.database, self.table)))}"] if self.database or self.table else []
        )
        words += [f"rows where {self.where}"] if self.where else []
        words += [f"without {name!r}" for name in self.excluded]
        words += [f"{old!r} becomes {new!r}" for old, new in self.renamed]
        return (*words, *(f"{name!r} {mask.said}" for name, mask in self.masks))

    def asdict(self) -> dict[str, Any]:
        """Plain values; salts as references."""
        return {
            "database": self.database,
            "table": self.table,
            "where": self.where,
            "excluded": list(self.excluded),
            "renamed": dict(self.renamed),
            "masks": {name: vars(mask) for name, mask in self.masks},
        }


# Nothing becomes otherwise.
DIRECT = Flow()


def kept_table(table: Table, flow: Flow) -> Table:
    """The catalog entry of a table without its excluded columns and what stands on them."""
    gone = set(flow.excluded)
    if not gone:
        return table
    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name not in gone),
        indexes=tuple(index for index in table.indexes if not _stands_on(index, flow.excluded)),
        foreign_keys=tuple(key for key in table.foreign_keys if not gone.intersection(key.columns)),
    )


def _stands_on(index: Index, names: tuple[str, ...]) -> bool:
    return any(
        part.column == name or (part.column is None and uses(part.expression, name))
        for part in index.parts
        for name in names
    )


def carried_table(table: Table, flow: Flow) -> Table:
    """The catalog entry of a table as the target is to hold it, but for its foreign keys' parents and its expressions."""
    kept = kept_table(table, flow)
    return replace(
        kept,
        database=flow.database or kept.database,
        name=flow.table or kept.name,
        columns=tuple(replace(column, name=flow.column(column.name)) for column in kept.columns),
        indexes=tuple(_carried_index(index, flow) for index in kept.indexes),
        foreign_keys=tuple(carried_key(key, flow, DIRECT) for key in kept.foreign_keys),
    )


def carried_key(key: ForeignKey, child: Flow, parent: Flow) -> ForeignKey:
    """A foreign key in the target's names."""
    return replace(
        key,
        columns=tuple(child.column(name) for name in key.columns),
        parent_database=parent.database or key.parent_database,
        parent_table=parent.table or key.parent_table,
        parent_columns=tuple(parent.column(name) for name in key.parent_columns),
    )


def _carried_index(index: Index, flow: Flow) -> Index:
    parts = tuple(replace(part, column=part.column and flow.column(part.column)) for part in index.parts)
    return replace(index, parts=parts)


def collision(values: int, digits: int, binary: bool) -> float:
    """About how likely two of so many values have one token."""
    return min(1.0, values**2 / 2 ** (digits * (8 if binary else 4) + 1))


def why_not_masked(mask: Mask, column: Column, table: Table, moved: bool) -> str | None:
    """Why a mask does not suit its column, in words; `moved` where the column becomes utf8mb4."""
    name = column.name
    keys = [index for index in table.indexes if index.unique and name in index.columns]
    text, binary = column.data_type in TEXTS, column.data_type in BINARIES
    if column.generated:
        return "it is computed from others: mask those, and exclude it"
    if any(uses(part.expression, name) for part in table.partitions):
        return "the table is partitioned by it, and rows would go elsewhere or nowhere"
    if mask.kind == "null":
        return None if column.nullable else "it takes no NULL"
    if mask.kind == "constant" and keys:
        return f"the unique key {keys[0].name!r} would refuse the second row"
    if not text and not (binary and mask.kind == "sha256"):
        return f"a {column.type} cannot hold what the mask makes"
    if text and column.charset in _WIDE_LETTERS and not moved:
        return f"its letters in {column.charset} are not those of the mask"
    if mask.kind == "constant":
        if not mask.value.isascii() or len(mask.value) > (column.length or 0):
            return f"{mask.value!r} is not of ASCII letters alone, or is longer than {column.type}"
        return None
    return _too_short(mask, column, table, keys, binary)


def why_not_computed(flow: Flow, table: Table) -> str | None:
    """A generated column that would be computed from what is masked or excluded, in words; None where there is none."""
    masked = {name for name, _ in flow.masks}
    for column in table.columns:
        used = next((name for name in (*masked, *flow.excluded) if uses(column.expression, name)), None)
        if column.generated and used and column.name not in flow.excluded:
            what = "masked" if used in masked else "excluded"
            return f"column {column.name!r} is computed from {used!r}, which is {what}: exclude it too"
    return None


def uses(expression: str | None, name: str) -> bool:
    """Whether an expression as the catalogue prints it names a column."""
    if expression is None:
        return False
    # The names of partitions' columns are printed with quotes or without.
    names = [quoted.replace("``", "`") or word for quoted, word in _NAMES.findall(expression)]
    return name.lower() in (found.lower() for found in names)


def _too_short(mask: Mask, column: Column, table: Table, keys: list[Index], binary: bool) -> str | None:
    room = column.length or 0
    values = max(table.rows_estimate, _LEAST_VALUES)
    prefixes = [part.prefix for index in keys for part in index.parts if part.column == column.name and part.prefix]
    counted = min([mask.length, *prefixes])
    what = "bytes" if binary else "digits"
    if mask.length > _MOST[binary]:
        return f"a token has {_MOST[binary]} {what} at most, and {mask.length} are asked for"
    if mask.length <= room and collision(values, counted, binary) <= COLLISION:
        return None
    needed = ceil((log2(values**2 / COLLISION) - 1) / (8 if binary else 4))
    fits = min(room, counted)
    return (
        f"it has room for {room} {what}, and the token takes {mask.length}; by {fits} of them two of {values:,} values"
        f" would be one with a probability of {collision(values, fits, binary):.1e}: {needed} must fit and count"
    )


def token_length(column: Column) -> int:
    """How many digits (bytes, in a binary column) a token has where the mapping says nothing."""
    return _DIGITS[column.data_type in BINARIES]


ROWS = (
    ("`target: {databases: {old: new}}`", "the file", "the database has another name on the target"),
    ("`target: {name: new}`", "a table", "the table has another name on the target"),
    ("`where: condition`", "a table", "only rows for which it is true move: one condition over the table's own columns,"
     " of functions that answer the same at any time"),
    ("`exclude: true`", "a column", "it does not move, nor indexes and foreign keys that hold it; not of a primary key"),
    ("`target: new`", "a column", "the column has another name on the target"),
    ("`mask: {kind: sha256, salt: env:NAME, length: 32}`", "a column of text or bytes", "tokens: HMAC-SHA-256 under the"
     " salt (16 letters or more, by reference), hexadecimal, cut to `length`; equal values have equal tokens"),
    ("`mask: {kind: null}`", "a column that takes NULL", "every value becomes NULL"),
    ("`mask: {kind: constant, value: text}`", "a column of text in no unique key", "every value but NULL becomes the text"),
)  # fmt: skip


def markdown() -> str:
    """What can be changed on the way as a Markdown table, for the README."""
    lines = ["| write | under | what it does |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {key} | {under} | {what} |" for key, under, what in ROWS)])
