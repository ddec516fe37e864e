"""The chunk ledger on the target: which chunk of which snapshot is loaded, committed together with its rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cryptography.fernet import Fernet

from workbook.bulk.chunks import Chunk, Key
from workbook.bulk.snapshot import Snapshot
from workbook.names import mysql_path, mysql_string
from workbook.plan import Journal
from workbook.servers import Server, Session

SCHEMA = "_workbook"


@dataclass(frozen=True)
class Noted:
    """A chunk as the ledger knows it: whether it is loaded, with how many rows, and the checksum of what was sent."""

    chunk: Chunk
    loaded: bool
    rows: int
    checksum: str | None


class ChunkLedger:
    """The chunks of one environment's load, in the schema `_workbook` of the target.

    `seals` are tables whose keys are masked: the bounds of their chunks are encrypted, since the target must not see them.
    """

    def __init__(self, target: Server, environment: str, seals: Mapping[tuple[str, str], Fernet] | None = None):
        self._target = target
        self.environment = environment
        self._seals = seals or {}
        self.chunks = mysql_path(SCHEMA, f"chunks_{environment}")
        self.loads = mysql_path(SCHEMA, f"load_{environment}")

    def create(self, journal: Journal) -> None:
        """Make the schema and the two tables where they are not there."""
        with self._target.session() as session:
            for name, statement, undo in (
                (f"database {mysql_path(SCHEMA)}", f"CREATE DATABASE IF NOT EXISTS {mysql_path(SCHEMA)}", None),
                (
                    f"table {self.loads}",
                    f"CREATE TABLE IF NOT EXISTS {self.loads} (id TINYINT PRIMARY KEY, snapshot JSON NOT NULL,"
                    " state VARCHAR(10) NOT NULL)",
                    f"DROP TABLE IF EXISTS {self.loads}",
                ),
                (
                    f"table {self.chunks}",
                    f"CREATE TABLE IF NOT EXISTS {self.chunks} (source_database VARCHAR(64) COLLATE utf8mb4_bin,"
                    " source_table VARCHAR(64) COLLATE utf8mb4_bin, number INT, bounds JSON NOT NULL,"
                    " loaded_rows BIGINT, loaded_bytes BIGINT, checksum CHAR(32) CHARACTER SET ascii, loaded_at DATETIME(3),"
                    " PRIMARY KEY (source_database, source_table, number))",
                    f"DROP TABLE IF EXISTS {self.chunks}",
                ),
            ):
                number = journal.intend(name, undo)
                session.execute(statement)
                journal.confirm(number)

    def state(self) -> tuple[str, dict[str, Any]] | None:
        """`loading` or `complete`, and the snapshot of the load that the ledger knows; None where there is none."""
        rows = self._target.rows(f"SELECT state, snapshot FROM {self.loads}")
        return (str(rows[0]["state"]), json.loads(rows[0]["snapshot"])) if rows else None

    def begin(self, snapshot: Snapshot, mark: str = "") -> None:
        """Forget the chunks of an earlier load and start one of this snapshot; `mark` names the mapping's choices."""
        with self._target.session() as session:
            session.execute(f"DELETE FROM {self.chunks}")
            session.execute(
                f"REPLACE INTO {self.loads} VALUES (1, %s, 'loading')",
                (json.dumps({**snapshot.asdict(), "mark": mark}),),
            )

    def plan(self, chunks: Sequence[Chunk]) -> None:
        """Note chunks before they are loaded: all of them, or none. What is noted already stays as it is."""
        with self._target.session() as session:
            session.execute("START TRANSACTION")
            for chunk in chunks:
                session.execute(
                    f"INSERT INTO {self.chunks} (source_database, source_table, number, bounds) VALUES (%s, %s, %s, %s)"
                    " ON DUPLICATE KEY UPDATE number = number",
                    (*chunk.path, chunk.number, self._sealed(chunk)),
                )
            session.execute("COMMIT")

    def _sealed(self, chunk: Chunk) -> str:
        bounds = json.dumps(_bounds(chunk))
        seal = self._seals.get(chunk.path)
        return bounds if seal is None else json.dumps({"sealed": seal.encrypt(bounds.encode()).decode()})

    def noted(self, chunk: Chunk) -> tuple[str, str]:
        """The statement that notes a chunk as loaded, before and after the values set; for the rows' transaction."""
        return f"UPDATE {self.chunks} SET loaded_at = UTC_TIMESTAMP(3), ", (
            f" WHERE {self._one(chunk)} AND loaded_rows IS NULL"
        )

    def known(self, chunk: Chunk) -> str:
        """The statement that asks what is noted of a chunk: rows, bytes, checksum; no row unless it is loaded."""
        return (
            f"SELECT loaded_rows, loaded_bytes, checksum FROM {self.chunks}"
            f" WHERE {self._one(chunk)} AND loaded_rows IS NOT NULL"
        )

    def _one(self, chunk: Chunk) -> str:
        database, table = (mysql_string(name) for name in chunk.path)
        return f"source_database = {database} AND source_table = {table} AND number = {chunk.number}"

    def planned(self) -> dict[tuple[str, str], list[Noted]]:
        """The chunks noted, by table and in order."""
        found: dict[tuple[str, str], list[Noted]] = {}
        for row in self._target.rows(f"SELECT * FROM {self.chunks} ORDER BY source_database, source_table, number"):
            path = (row["source_database"], row["source_table"])
            bounds = json.loads(row["bounds"])
            if "sealed" in bounds:
                bounds = json.loads(self._seals[path].decrypt(bounds["sealed"]))
            chunk = Chunk(
                *path,
                row["number"],
                tuple(bounds["key"]),
                key_of(bounds["lower"]),
                key_of(bounds["upper"]),
                bounds["partition"],
            )
            done = row["loaded_rows"] is not None
            found.setdefault(path, []).append(Noted(chunk, done, int(row["loaded_rows"] or 0), row["checksum"]))
        return found

    def loaded_since(self, moment: float) -> list[dict[str, Any]]:
        """Chunks noted as loaded since a moment (Unix seconds) or a minute before it, the first first; `at` in Unix seconds."""
        return self._target.rows(
            "SELECT source_database, source_table, number, loaded_rows, loaded_bytes, checksum,"
            f" UNIX_TIMESTAMP(loaded_at) AS at FROM {self.chunks} WHERE loaded_at > FROM_UNIXTIME(%s) - INTERVAL 1 MINUTE"
            " ORDER BY loaded_at",
            (moment,),
        )

    def complete(self, session: Session) -> None:
        """Note that rows, indexes, foreign keys and triggers are all in place."""
        session.execute(f"UPDATE {self.loads} SET state = 'complete'")


def _bounds(chunk: Chunk) -> dict[str, Any]:
    return {
        "key": list(chunk.key),
        "lower": plain_key(chunk.lower),
        "upper": plain_key(chunk.upper),
        "partition": chunk.partition,
    }


def plain_key(key: Key | None) -> list[Any] | None:
    """A bound of a chunk as JSON holds it."""
    if key is None:
        return None
    return [
        {"bytes": value.hex()}
        if isinstance(value, bytes)
        else value
        if isinstance(value, int | str)
        else {"text": str(value)}
        for value in key
    ]


def key_of(values: list[Any] | None) -> Key | None:
    """The bound of a chunk that `plain_key` wrote."""
    if values is None:
        return None
    return tuple(
        bytes.fromhex(value["bytes"])
        if isinstance(value, dict) and "bytes" in value
        else Decimal(value["text"])
        if isinstance(value, dict)
        else value
        for value in values
    )
