"""Which tables the writers of a rehearsal may write to, and how.

A table of their own would not be in the mapping: no stream, no proof and no way back would know it, so that the rehearsal
would say nothing. They write to tables in scope, as an application does, and only where every row that they add can be told
from others and taken away again without a trace: InnoDB, a primary key of one AUTO_INCREMENT number, no trigger on INSERT
or DELETE (what it did elsewhere would stay), nothing that the mapping changes on the way (an application that is only
pointed elsewhere could not write there), and a text column that takes a mark. A new row is a copy of one that is there, so
that it meets the table's foreign keys and checks, with the mark in that column. Each choice is tried on both servers under
an application's own sql_mode, and rolled back. The largest tables come first: they are what applications write to.
"""

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import pymysql

from workbook.catalog import Catalog, Table
from workbook.errors import Refused
from workbook.mapping import Mapping
from workbook.mapping.flow import TEXTS
from workbook.mapping.objects import TableMap
from workbook.names import mysql_path, quote_mysql, with_values
from workbook.servers import Server, Session

Path = tuple[str, str]
#: Letters of a mark at most; LIKE reads none of them otherwise.
MARK = 24
# Numbers of these would run out under writers.
_NARROW = ("tinyint", "smallint")


@dataclass(frozen=True)
class Place:
    """A table that can be written to: its key `id`, the column `mark`, and the id of the row that is copied, if there is one.

    `since` is the highest id that was there before.
    """

    path: Path
    segment: str
    id: str
    mark: str
    columns: tuple[str, ...]
    template: int | None
    since: int

    @property
    def insert(self) -> str:
        """The statement that adds a row; it binds %(mark)s."""
        return self._insert("%(mark)s")

    @property
    def find(self) -> str:
        """The statement that counts the rows of one write; it binds %(id)s and %(mark)s."""
        return f"SELECT COUNT(*) FROM {self._table} WHERE {self._name(self.id)} = %(id)s AND {self._name(self.mark)} = %(mark)s"

    def rows_of(self, session: Session, mark: str) -> Counter[int]:
        """How often each number is there whose mark begins so."""
        sql = f"SELECT {self._name(self.mark)} AS m FROM {self._table} WHERE {self._added}"
        rows = session.rows(sql, (self.since, f"{mark}%"))
        return Counter(int(str(row["m"]).strip().removeprefix(mark)) for row in rows)

    def take_away(self, session: Session, mark: str) -> int:
        """Delete the rows whose mark begins so; how many there were."""
        return session.execute(f"DELETE FROM {self._table} WHERE {self._added}", (self.since, f"{mark}%"))

    def asdict(self) -> dict[str, Any]:
        """Plain values, for the ledger."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Place":
        """A place from its plain values."""
        database, name = plain["path"]
        return cls(**{**plain, "path": (database, name), "columns": tuple(plain["columns"])})

    def _insert(self, value: str) -> str:
        names = ", ".join(map(self._name, (self.mark, *self.columns)))
        if self.template is None:
            return f"INSERT INTO {self._table} ({self._name(self.mark)}) VALUES ({value})"
        copied = ", ".join((value, *map(self._name, self.columns)))
        return (
            f"INSERT INTO {self._table} ({names}) SELECT {copied} FROM {self._table}"
            f" WHERE {self._name(self.id)} = {self.template}"
        )

    @property
    def _table(self) -> str:
        return with_values(mysql_path(*self.path))

    @property
    def _added(self) -> str:
        return f"{self._name(self.id)} > %s AND {self._name(self.mark)} LIKE %s"

    @staticmethod
    def _name(name: str) -> str:
        return with_values(quote_mysql(name))


def choose(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping, left_out: Collection[str], most: int
) -> tuple[Place, ...]:
    """Up to `most` tables for writers, those `left_out` of the way back not among them. Raises Refused where there is none."""
    found: list[Place] = []
    why: dict[str, str] = {}
    triggers = {(item.database, item.table) for item in catalog.triggers if item.event in ("INSERT", "DELETE")}
    for item in sorted(mapping.in_scope, key=lambda item: -catalog.table[item.path].rows_estimate):
        name = mysql_path(*item.path)
        table = catalog.table[item.path]
        reason = "it does not come back" if name in left_out else why_not(table, item, item.path in triggers)
        if not reason:
            place, reason = _tried(source, target, table, item)
            if place is not None:
                found.append(place)
        if len(found) == most:
            break
        why[name] = reason
    if not found:
        named = "; ".join(f"{name}: {reason}" for name, reason in list(why.items())[:5])
        raise Refused(
            f"None of {len(why)} tables in scope can take the rows of a rehearsal: {named}.",
            "Rows that cannot be taken away again without a trace are not written, not even for a rehearsal.",
            "Bring one table like that to the stand-in (an AUTO_INCREMENT key, a text column, no trigger on INSERT), load it,"
            " then rehearse.",
        )
    return tuple(found)


def why_not(table: Table, item: TableMap, triggered: bool) -> str:
    """Why a table cannot take the rows of a rehearsal; nothing where nothing speaks against it."""
    flow = item.flow
    key = table.primary_key
    column = table.column[key.columns[0]] if key is not None and len(key.parts) == 1 and key.columns[0] else None
    if table.engine.lower() != "innodb":
        return f"{table.engine} takes no write back"
    if item.target_path != item.path or flow.renamed or flow.masks or flow.excluded or flow.where:
        return "the mapping changes it on the way"
    if triggered:
        return "what its triggers do elsewhere would stay"
    if column is None or not column.auto_increment:
        return "its key is not one AUTO_INCREMENT number"
    if column.data_type in _NARROW:
        return f"the numbers of its {column.data_type} could run out"
    return "" if marks(table) else "it has no text column for a mark"


def marks(table: Table) -> tuple[str, ...]:
    """The columns that can hold a mark; first those of a unique index, which a copied value would not satisfy."""
    related = {name for key in table.foreign_keys for name in key.columns}
    unique = {name for index in table.indexes if index.unique for name in index.columns}
    able = [
        column.name
        for column in table.stored_columns
        if column.data_type in TEXTS and (column.length or 0) >= MARK and column.name not in related
    ]
    return tuple(sorted(able, key=lambda name: name not in unique))


def _tried(source: Server, target: Server, table: Table, item: TableMap) -> tuple[Place | None, str]:
    """The first way to write to a table that both servers take; or why they take none."""
    key = table.primary_key
    assert key is not None
    own = key.columns[0]
    ends = source.rows(
        f"SELECT MIN({quote_mysql(own)}) AS a, MAX({quote_mysql(own)}) AS b FROM {mysql_path(*table.path)}"
    )
    first, last = ends[0]["a"], ends[0]["b"]
    reason = ""
    for mark in marks(table):
        columns = tuple(column.name for column in table.stored_columns if column.name not in (own, mark))
        for template in dict.fromkeys((last, first)):
            place = Place(table.path, item.segment, own, mark, columns, template, max(0, last or 0))
            reason = _refused(source, place) or _refused(target, place)
            if not reason:
                return place, ""
    return None, reason


def _refused(server: Server, place: Place) -> str:
    """What a server says to a row of this kind; nothing where it takes it. It is rolled back."""
    mark = "m" * MARK
    connection, began = server.raw(autocommit=False, read_timeout=30), time.time()
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SET SESSION sql_mode = @@GLOBAL.sql_mode, lock_wait_timeout = 5, innodb_lock_wait_timeout = 5"
            )
            written = cursor.execute(place.insert, {"mark": mark})
            kept = cursor.execute(place.find, {"id": cursor.lastrowid, "mark": mark}) and cursor.fetchone()
        connection.rollback()
    except pymysql.MySQLError as error:
        # A message may quote a value.
        return f"the {server.role} refuses a copy of its row ({error.args[0] if error.args else 0})"
    finally:
        connection.close()
        server.record(place.insert, began)
    return "" if written == 1 and kept and kept[0] == 1 else f"the {server.role} does not keep a row as it was written"
