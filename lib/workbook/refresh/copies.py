"""The copies beside the one that is read: their databases, and the register on the target that says they are ours."""

import hashlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from workbook.bulk.ledger import SCHEMA
from workbook.errors import Refused
from workbook.names import mysql_path, mysql_string, quote_mysql
from workbook.plan import Journal, Step
from workbook.refresh.gate import mark
from workbook.servers import Server

Path = tuple[str, str]
# The mark of the copy that is being made, and of the post that the gates stand before; copies that are kept are marked
# by the moment of their swap.
NEW, POST = "new", "post"
_NAME_LENGTH = 64


@dataclass(frozen=True)
class Copy:
    """A copy aside. `databases` gives its database by the one that is read; `origin` where the tables in its place
    came from.

    `left` are the tables that went into it and `came` those that took their place, by their paths in the databases that
    are read; `triggers` fire on those of `left` when they are read. `state` is making, swapping or kept.
    """

    mark: str
    state: str
    databases: Mapping[str, str]
    origin: Mapping[str, str] = field(default_factory=dict)
    left: tuple[Path, ...] = ()
    came: tuple[Path, ...] = ()
    triggers: tuple[Step, ...] = ()
    taken: str = ""  # when the source's picture was taken, of the copy that came
    at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")  # by the clock of the ledger

    @property
    def moves(self) -> list[tuple[Path, Path]]:
        """Each table with its new path, in the order of the one RENAME: what leaves makes room for what comes."""
        leaving = [(path, (self.databases[path[0]], path[1])) for path in self.left]
        return leaving + [((self.origin[path[0]], path[1]), path) for path in self.came]

    @property
    def statement(self) -> str:
        """The RENAME TABLE that swaps all tables at one moment."""
        return "RENAME TABLE " + ", ".join(f"{mysql_path(*old)} TO {mysql_path(*new)}" for old, new in self.moves)


def aside_name(database: str, mark: str) -> str:
    """The database of a copy; one whose name would be too long is cut, and told apart by a hash."""
    suffix = f"__{mark}"
    if len(database) + len(suffix) <= _NAME_LENGTH:
        return database + suffix
    suffix = f"_{hashlib.sha256(database.encode()).hexdigest()[:8]}{suffix}"
    return database[: _NAME_LENGTH - len(suffix)] + suffix


def post_database(databases: Collection[str]) -> str:
    """A name that comes after all `databases` in the order of their bytes."""
    last = max(databases, key=lambda name: name.encode())
    plain = f"{last}__{POST}"
    # The last of all characters that a name may hold, nearly.
    return plain if len(plain) <= _NAME_LENGTH else f"{last[:40]}\uffee__{POST}"


class Copies:
    """The register of one environment's copies, in the schema `_workbook` of the target."""

    def __init__(self, target: Server, environment: str):
        self._target = target
        self.table = mysql_path(SCHEMA, f"copies_{environment}")
        self._name = f"copies_{environment}"

    def create(self, journal: Journal) -> None:
        """Make the register where it is not there."""
        for name, statement, undo in (
            (f"database {mysql_path(SCHEMA)}", f"CREATE DATABASE IF NOT EXISTS {mysql_path(SCHEMA)}", None),
            (
                f"table {self.table}",
                f"CREATE TABLE IF NOT EXISTS {self.table} (mark VARCHAR(32) CHARACTER SET ascii PRIMARY KEY,"
                " content LONGTEXT CHARACTER SET ascii NOT NULL)",
                f"DROP TABLE IF EXISTS {self.table}",
            ),
        ):
            number = journal.intend(name, undo)
            self._target.execute(statement)
            journal.confirm(number)

    def all(self) -> list[Copy]:
        """The copies in the register, the latest first; none where there is no register."""
        there = self._target.scalar(
            "SELECT COUNT(*) FROM information_schema.TABLES"
            f" WHERE TABLE_SCHEMA = {mysql_string(SCHEMA)} AND TABLE_NAME = {mysql_string(self._name)}"
        )
        rows = self._target.rows(f"SELECT content FROM {self.table} ORDER BY mark DESC") if there else []
        return [_read(json.loads(row["content"])) for row in rows]

    def kept(self) -> list[Copy]:
        """The copies that one can go back to, the latest first."""
        return [copy for copy in self.all() if copy.state == "kept"]

    def put(self, copy: Copy) -> Copy:
        """Note a copy, in the place of what was noted under its mark."""
        self._target.execute(f"REPLACE INTO {self.table} VALUES (%s, %s)", (copy.mark, json.dumps(asdict(copy))))
        return copy

    def forget(self, mark: str) -> None:
        """Take a copy out of the register."""
        self._target.execute(f"DELETE FROM {self.table} WHERE mark = %s", (mark,))

    def new_mark(self) -> str:
        """This moment as the mark of a copy, or the next one that no other copy has: two swaps may share a second."""
        taken = {copy.mark for copy in self.all()}
        while (now := mark(self._target)) in taken:
            time.sleep(0.1)
        return now

    def databases(self) -> set[str]:
        """All databases in the register."""
        return {name for copy in self.all() for name in copy.databases.values()}

    def claim(self, copy: Copy, journal: Journal) -> Copy:
        """Put a copy into the register and make its databases. Raises Refused where one is there that is not ours."""
        wanted = set(copy.databases.values())
        there = databases_among(self._target, wanted)
        foreign = sorted(there - self.databases())
        if foreign:
            raise Refused(
                f"The target already holds a database {foreign[0]!r}, which is not one of this workbook's copies.",
                "The refresh would put tables into it and drop it later; nothing has been written.",
                "Rename or drop it on the target yourself, then run again.",
            )
        self.put(copy)
        for name in sorted(wanted):
            quoted = quote_mysql(name)
            number = journal.intend(f"database {quoted}", f"DROP DATABASE IF EXISTS {quoted}")
            self._target.execute(f"CREATE DATABASE IF NOT EXISTS {quoted}")
            journal.confirm(number)
        return copy

    def drop(self, copy: Copy, also: Collection[str] = ()) -> None:
        """Drop a copy's databases and take it out of the register."""
        with self._target.session() as session:
            session.execute("SET SESSION foreign_key_checks = 0")
            for name in sorted({*copy.databases.values(), *also}):
                session.execute(f"DROP DATABASE IF EXISTS {quote_mysql(name)}")
        self.forget(copy.mark)

    def settle(self) -> list[str]:
        """Bring the register up to date after a run that was cut off; what was found, in words.

        The RENAME is atomic: where the first of the tables that were to come is still where it came from, nothing was
        swapped, and the databases that were to take the copy before are empty.
        """
        said = []
        for copy in self.all():
            if copy.state != "swapping":
                continue
            first = (copy.origin[copy.came[0][0]], copy.came[0][1])
            taken = tables_of(self._target, sorted(copy.databases.values()))
            if first in tables_of(self._target, [first[0]]) and not taken:
                self.drop(copy)
                said.append("a run before this one was cut off before its swap")
            else:
                self.put(replace(copy, state="kept"))
                said.append("a run before this one was cut off behind its swap")
        return said


def databases_among(target: Server, names: Collection[str]) -> set[str]:
    """Those of the databases that are on the target."""
    there = {row["name"] for row in target.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")}
    return there & set(names)


def tables_of(target: Server, databases: Sequence[str]) -> set[Path]:
    """The tables in these databases of the target."""
    listed = ", ".join(mysql_string(name) for name in databases) or "NULL"
    rows = target.rows(
        "SELECT TABLE_SCHEMA AS d, TABLE_NAME AS t FROM information_schema.TABLES"
        f" WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN ({listed})"
    )
    return {(row["d"], row["t"]) for row in rows}


def _read(content: dict[str, Any]) -> Copy:
    steps = tuple(
        Step(**{**step, "settings": tuple((name, value) for name, value in step["settings"])})
        for step in content["triggers"]
    )
    paths = {key: tuple((database, name) for database, name in content[key]) for key in ("left", "came")}
    return Copy(**{**content, **paths, "triggers": steps})
