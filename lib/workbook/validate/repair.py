"""What would mend a finding: statements for a file, under the keys of the rows; planned here and run by nobody but `workbook repair`.

No value stands in the file. It names rows by their keys (of a keyless table by their hashes), because the values are the
source's to give: read when the repair runs, they are the newest, and no report carries data about.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbook.bulk.copy import Way, select_expression
from workbook.bulk.ledger import SCHEMA
from workbook.catalog import Catalog, Table
from workbook.mapping import Mapping, TableMap
from workbook.names import mysql_path, quote_mysql
from workbook.schema.choices import converted_columns
from workbook.validate.encoding import fields, mysql_hash
from workbook.validate.evidence import digest
from workbook.validate.keys import any_row
from workbook.validate.result import Finding, ObjectVerdict, TableVerdict
from workbook.validate.rows import Encoded
from workbook.validate.sums import key_fields

FOLDER = "repair"
# Rows of one statement.
_BATCH = 1_000


@dataclass(frozen=True)
class Repair:
    """One repair file: rows of a table copied again (`conditions`, one a batch), or statements for an object.

    `findings` are the numbers of the findings that it mends.
    """

    number: int
    kind: str  # rows or statements
    object: str
    findings: tuple[int, ...]
    database: str = ""
    table: str = ""
    rows: int = 0
    conditions: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Its file, in the folder of the run."""
        return f"{FOLDER}/{self.number}.sql"

    @property
    def path(self) -> tuple[str, str]:
        """Database and table."""
        return self.database, self.table

    def asdict(self) -> dict[str, Any]:
        """Plain values, for validate.json."""
        return {**asdict(self), "file": self.file}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Repair":
        """A repair from its plain values."""
        kept: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            kept[name] = tuple(plain[name]) if isinstance(plain[name], list) else plain[name]
        return cls(**kept)


def plan_repairs(
    tables: Sequence[TableVerdict],
    objects: Sequence[ObjectVerdict],
    findings: Sequence[Finding],
    catalog: Catalog,
    mapping: Mapping,
) -> tuple[tuple[Repair, ...], tuple[Finding, ...]]:
    """The repairs of the findings between source and Cloud SQL, and the findings with the file that mends each."""
    found: list[Repair] = []
    files: dict[int, str] = {}

    def add(repair: Repair) -> None:
        found.append(repair)
        files.update(dict.fromkeys(repair.findings, repair.file))

    for table in tables:
        name = f"{table.database}.{table.table}"
        of_it = tuple(item.id for item in findings if item.hop == table.hop == "source-target" and item.object == name)
        if table.keys and of_it:
            path = (table.database, table.table)
            conditions = _conditions(catalog.table[path], mapping.tables[path], table.keys)
            add(Repair(len(found) + 1, "rows", name, of_it, *path, len(table.keys), conditions))
    for thing in objects:
        name = f"{thing.kind} {thing.name}"
        of_it = tuple(item.id for item in findings if item.object == name and item.evidence == thing.detail)
        if thing.mend and of_it and thing.verdict == "different":
            add(Repair(len(found) + 1, "statements", name, of_it, statements=thing.mend, undo=thing.undo))
    return tuple(found), tuple(replace(item, repair=files.get(item.id)) for item in findings)


def _conditions(table: Table, mapped: TableMap, keys: Sequence[Encoded]) -> tuple[str, ...]:
    """The rows with these keys, as conditions that mean the same on both servers."""
    found = []
    known = sorted(set(keys))
    for start in range(0, len(known), _BATCH):
        batch = known[start : start + _BATCH]
        plain = any_row(table, batch, "exact") if table.key else None
        if plain is None:
            hashes = ", ".join(f"x'{digest(key)[:32]}'" for key in batch)
            plain = f"{mysql_hash(key_fields(fields(table, mapped)), 'exact')} IN ({hashes})"
        found.append(plain)
    return tuple(found)


def stored(table: Table) -> str:
    """The columns whose values are copied, as SQL lists them."""
    return ", ".join(quote_mysql(column.name) for column in table.stored_columns)


def read_rows(table: Table, mapped: TableMap, condition: str) -> str:
    """The statement that reads the rows of a condition on the source, exactly as the bulk load does."""
    way = Way(converted=converted_columns(table, mapped.target))
    chosen = ", ".join(select_expression(column, way) for column in table.stored_columns)
    return f"SELECT {chosen} FROM {mysql_path(*table.path)} WHERE {condition}"


def delete_rows(path: tuple[str, str], condition: str) -> str:
    """The statement that takes the rows of a condition away on the target."""
    return f"DELETE FROM {mysql_path(*path)} WHERE {condition}"


def insert_rows(table: Table, origin: str) -> str:
    """The statement that puts the rows of a table of the workbook's own schema into the target's."""
    return f"INSERT INTO {mysql_path(*table.path)} ({stored(table)}) SELECT {stored(table)} FROM {mysql_path(SCHEMA, origin)}"


def file_text(repair: Repair, table: Table | None, mapped: TableMap | None) -> str:
    """What a repair file holds: the statements that a repair runs, and where."""
    heading = [
        f"-- Repair {repair.number}: {_comment(repair.object)}; findings {', '.join(map(str, repair.findings))}.",
        f"-- Not run by itself. To run it: workbook repair -p FILE --findings {repair.findings[0]}",
    ]
    if repair.kind == "statements" or table is None or mapped is None:
        return "\n".join([*heading, "-- On Cloud SQL:", *(f"{statement};" for statement in repair.statements)]) + "\n"
    new = f"repair_{repair.number}_new"
    lines = [
        *heading,
        f"-- {repair.rows:,} rows that differ become the source's: missing ones come, extra ones go.",
        "-- No value stands here: they are read from the source when the repair runs. The rows that Cloud SQL holds now",
        "-- are kept until the repair is taken back or the cutover is over.",
    ]
    for condition in repair.conditions:
        lines += [
            f"-- On the source, into {mysql_path(SCHEMA, new)} on Cloud SQL, as the bulk load carries rows:",
            f"{read_rows(table, mapped, condition)};",
        ]
    lines.append("-- On Cloud SQL, in one transaction, foreign keys unchecked:")
    lines += [f"{delete_rows(repair.path, condition)};" for condition in repair.conditions]
    lines.append(f"{insert_rows(table, new)};")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """A name in a comment of one line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
