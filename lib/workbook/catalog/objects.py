"""The frozen objects of a catalog: databases, tables and their parts, code, accounts."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from workbook import faces


@dataclass(frozen=True)
class Database:
    """A database with its defaults."""

    name: str
    charset: str
    collation: str


@dataclass(frozen=True)
class Column:
    """A column. `type` is the whole type as MySQL prints it; `data_type` its first word, in lower case."""

    name: str
    position: int
    data_type: str
    type: str
    nullable: bool
    default: str | None
    default_is_expression: bool
    on_update: str | None
    charset: str | None
    collation: str | None
    generated: str | None  # None, VIRTUAL or STORED
    expression: str | None
    invisible: bool
    auto_increment: bool
    srid: int | None
    length: int | None  # characters, for text; bytes, for binary types
    octets: int | None  # bytes at most
    precision: int | None
    scale: int | None
    fraction: int | None  # digits of the fraction of a second
    comment: str
    native: str = ""  # the type (and collation) on a MariaDB source, where MySQL's stands in its place

    @property
    def unsigned(self) -> bool:
        """Whether a number cannot be negative."""
        return " unsigned" in self.type.lower()


@dataclass(frozen=True)
class IndexPart:
    """One part of an index: a column, or an expression; with its prefix length (characters or bytes)."""

    column: str | None
    expression: str | None
    prefix: int | None
    descending: bool


@dataclass(frozen=True)
class Index:
    """An index; the primary key is named PRIMARY. `kind` is BTREE, HASH, FULLTEXT or SPATIAL."""

    name: str
    unique: bool
    kind: str
    visible: bool
    parts: tuple[IndexPart, ...]
    comment: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the index; empty names stand for expressions."""
        return tuple(part.column or "" for part in self.parts)


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key from `columns` to columns of another table."""

    name: str
    columns: tuple[str, ...]
    parent_database: str
    parent_table: str
    parent_columns: tuple[str, ...]
    on_update: str
    on_delete: str


@dataclass(frozen=True)
class Check:
    """A CHECK constraint."""

    name: str
    clause: str
    enforced: bool


@dataclass(frozen=True)
class Partition:
    """A partition or subpartition."""

    name: str
    subpartition: str | None
    method: str
    expression: str | None
    description: str | None


@dataclass(frozen=True)
class Table:
    """A base table with all its parts. Row and byte counts are the server's estimates."""

    database: str
    name: str
    engine: str
    row_format: str
    rows_estimate: int
    data_bytes: int
    index_bytes: int
    auto_increment: int | None
    collation: str
    options: str
    comment: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    foreign_keys: tuple[ForeignKey, ...]
    checks: tuple[Check, ...]
    partitions: tuple[Partition, ...]

    @property
    def path(self) -> tuple[str, str]:
        """Database and name."""
        return self.database, self.name

    @cached_property
    def column(self) -> Mapping[str, Column]:
        """Columns by name."""
        return {column.name: column for column in self.columns}

    @property
    def primary_key(self) -> Index | None:
        """The primary key, if there is one."""
        return next((index for index in self.indexes if index.name == "PRIMARY"), None)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns that name a row: the primary key, else the first unique key without NULLs, prefixes or expressions."""
        for index in sorted(self.indexes, key=lambda index: index.name != "PRIMARY"):
            whole = all(part.column and part.prefix is None for part in index.parts)
            if index.unique and whole and not any(self.column[name].nullable for name in index.columns):
                return index.columns
        return ()

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns whose values travel: all but the generated ones."""
        return tuple(column for column in self.columns if column.generated is None)


@dataclass(frozen=True)
class View:
    """A view."""

    database: str
    name: str
    definition: str
    check_option: str
    definer: str
    security: str
    charset_client: str
    collation_connection: str
    columns: tuple[str, ...]

    @property
    def path(self) -> tuple[str, str]:
        """Database and name."""
        return self.database, self.name


@dataclass(frozen=True)
class Routine:
    """A procedure or function. `body` is None where the account may not see it."""

    database: str
    name: str
    kind: str  # PROCEDURE or FUNCTION
    definer: str
    security: str
    language: str
    deterministic: bool
    data_access: str
    sql_mode: str
    charset_client: str
    collation_connection: str
    database_collation: str
    body: str | None
    comment: str


@dataclass(frozen=True)
class Trigger:
    """A trigger."""

    database: str
    name: str
    table: str
    timing: str
    event: str
    order: int
    definer: str
    sql_mode: str
    charset_client: str
    collation_connection: str
    body: str


@dataclass(frozen=True)
class Event:
    """An event of the server's scheduler."""

    database: str
    name: str
    definer: str
    status: str
    time_zone: str
    sql_mode: str
    charset_client: str
    collation_connection: str
    schedule: str
    on_completion: str
    body: str
    comment: str


@dataclass(frozen=True)
class Account:
    """An account or role; a role is an account that is granted to others or that is locked without a password."""

    user: str
    host: str
    plugin: str
    locked: bool
    password_set: bool
    password_expired: bool
    is_role: bool

    @property
    def name(self) -> str:
        """user@host, as definers are written."""
        return f"{self.user}@{self.host}"


def version_number(version: str) -> tuple[int, int, int]:
    """The three numbers that a server's version begins with."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)


@dataclass(frozen=True)
class Catalog:
    """Everything of interest on one server, as it was at one moment.

    `accounts` is None where the login may not read them; `variables` holds global variables by name, in lower case.
    Of a MariaDB server types, collations and defaults are MySQL's (catalog/mariadb.py); `gtid_executed` is its binlog's
    position, and `sequences` (database, name) is MariaDB's alone.
    """

    server: str
    version: str
    flavour: str  # mysql or mariadb
    variables: Mapping[str, str]
    gtid_executed: str
    databases: tuple[Database, ...]
    tables: tuple[Table, ...]
    views: tuple[View, ...]
    routines: tuple[Routine, ...]
    triggers: tuple[Trigger, ...]
    events: tuple[Event, ...]
    accounts: tuple[Account, ...] | None
    sequences: tuple[tuple[str, str], ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @cached_property
    def table(self) -> Mapping[tuple[str, str], Table]:
        """Tables by (database, name)."""
        return {table.path: table for table in self.tables}

    @property
    def version_number(self) -> tuple[int, int, int]:
        """The version as three numbers."""
        return version_number(self.version)

    def asdict(self) -> dict[str, Any]:
        """The catalog as plain values, for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        return faces.stack(
            faces.boxes(
                (self.server.partition(" ")[0], f"{self.flavour} {self.version}"),
                ("Tables", len(self.tables)),
                ("Rows (estimate)", faces.human_count(sum(table.rows_estimate for table in self.tables))),
                ("Size", faces.human_bytes(sum(table.data_bytes + table.index_bytes for table in self.tables))),
                ("Views", len(self.views)),
                ("Routines", len(self.routines)),
                ("Triggers", len(self.triggers)),
                ("Events", len(self.events)),
                ("Accounts", "not readable" if self.accounts is None else len(self.accounts)),
            )
        )
