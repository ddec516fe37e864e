"""What the workers of a Beam pipeline are to do, kept on the target beside the chunk ledger: the pipeline carries numbers
of shards and nothing else, neither names of tables nor keys of rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from workbook.beam.login import Login
from workbook.bulk.crew import Task
from workbook.bulk.ledger import SCHEMA, ChunkLedger
from workbook.bulk.pump import Job
from workbook.bulk.standing import Standing
from workbook.errors import Refused
from workbook.names import mysql_path
from workbook.plan import Journal
from workbook.servers import Server, Session
from workbook.wire import Driver

Path = tuple[str, str]
_AT_ONCE = 200


@dataclass(frozen=True)
class Orders:
    """What every worker is told. Nothing of it is secret; `orders`, `shards` and `chunks` are tables on the target."""

    source: Login
    target: Login
    orders: str
    shards: str
    chunks: str
    count: int
    driver: Driver
    patience: float
    standing: Standing

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def orders_of(values: Mapping[str, Any]) -> Orders:
    """The orders that `asdict` gave."""
    standing = Standing(values["standing"]["question"], tuple(values["standing"]["values"]))
    return Orders(
        **{**values, "source": Login(**values["source"]), "target": Login(**values["target"]), "standing": standing}
    )


def shared_out(paths: Sequence[Path], sizes: Mapping[Path, int], shards: int) -> list[int]:
    """The shard of each chunk, given the table of each and the tables' sizes: each to the shard with the least so far."""
    count: dict[Path, int] = {}
    for path in paths:
        count[path] = count.get(path, 0) + 1
    loads = [0.0] * shards
    chosen = []
    for path in paths:
        shard = loads.index(min(loads))
        # A transaction has a price of its own, however small.
        loads[shard] += sizes.get(path, 0) / count[path] + 1
        chosen.append(shard)
    return chosen


class OrderBook:
    """The orders of one load on the target: which shard copies which chunks, who works on it, at what pace."""

    def __init__(self, target: Server, ledger: ChunkLedger):
        self._target, self._ledger = target, ledger
        name = ledger.environment
        self.orders = mysql_path(SCHEMA, f"orders_{name}")
        self.shards = mysql_path(SCHEMA, f"shards_{name}")

    def announce(self, journal: Journal) -> None:
        """Tell the journal of the tables, so that a rollback takes them away."""
        for table in (self.orders, self.shards):
            journal.confirm(journal.intend(f"table {table}", f"DROP TABLE IF EXISTS {table}"))

    def write(self, tasks: Sequence[Task], chosen: Sequence[int], shards: int) -> None:
        """Write the orders of a pipeline in the place of those before it.

        Raises Refused for a chunk whose copying needs something that must not be kept there.
        """
        fence = self._fence()
        with self._target.session() as session:
            for table in (self.orders, self.shards):
                session.execute(f"DROP TABLE IF EXISTS {table}")
            session.execute(
                f"CREATE TABLE {self.orders} (shard INT, place INT, source_database VARCHAR(64) COLLATE utf8mb4_bin,"
                " source_table VARCHAR(64) COLLATE utf8mb4_bin, number INT, job LONGTEXT NOT NULL,"
                " PRIMARY KEY (shard, place)) CHARACTER SET utf8mb4"
            )
            session.execute(
                f"CREATE TABLE {self.shards} (shard INT PRIMARY KEY, worker VARCHAR(255), begun_at DATETIME(3),"
                " tries INT NOT NULL DEFAULT 0, pace DOUBLE, error JSON) CHARACTER SET utf8mb4"
            )
            _insert(session, self.shards, "shard", [(number,) for number in range(shards)])
            rows = [
                (shard, place, *task.chunk.path, task.chunk.number, written(task.job, fence))
                for place, (task, shard) in enumerate(zip(tasks, chosen, strict=True))
            ]
            _insert(session, self.orders, "shard, place, source_database, source_table, number, job", rows)

    def hold_to(self, rate: float | None, shards: int) -> None:
        """Hold all shards together to so many bytes a second; each takes it up with its next chunk."""
        share = rate / shards if rate else rate
        self._target.execute(f"UPDATE {self.shards} SET pace = %s", (share,))

    def workers(self) -> dict[int, dict[str, Any]]:
        """The shards as they are now."""
        return {row["shard"]: row for row in self._target.rows(f"SELECT * FROM {self.shards}")}

    def begun(self) -> dict[int, float]:
        """When the shards that have a worker were begun, in Unix seconds."""
        rows = self._target.rows(f"SELECT shard, UNIX_TIMESTAMP(begun_at) AS at FROM {self.shards} WHERE tries > 0")
        return {row["shard"]: float(row["at"]) for row in rows}

    def forget(self) -> None:
        """Drop the orders, which are carried out."""
        with self._target.session() as session:
            for table in (self.orders, self.shards):
                session.execute(f"DROP TABLE IF EXISTS {table}")

    def _fence(self) -> str:
        """For a worker that outlives its load: no chunk counts once the target knows another load."""
        taken = self._target.scalar(f"SELECT JSON_UNQUOTE(JSON_EXTRACT(snapshot, '$.taken')) FROM {self._ledger.loads}")
        known = f"SELECT 1 FROM {self._ledger.loads} WHERE JSON_UNQUOTE(JSON_EXTRACT(snapshot, '$.taken')) = '{taken}'"
        return f" AND EXISTS ({known})"


def written(job: Job, fence: str = "") -> str:
    """A job as text. Raises Refused where it holds more than statements, places and numbers."""
    values = {}
    for field in fields(job):
        value = getattr(job, field.name)
        items = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(item, str | int | None) for item in items):
            raise Refused(
                f"{job.label} needs {field.name} on its way, which may be secret.",
                "Orders for workers on other machines are kept on the target, where no secret belongs.",
                "Load from one machine (bulk.runner: local), or take that out of the mapping.",
            )
        values[field.name] = value
    if job.noted is not None:
        values["noted"] = (job.noted[0], job.noted[1] + fence)
    return json.dumps(values)


def read(text: str | bytes) -> Job:
    """The job that `written` wrote."""
    values: dict[str, Any] = json.loads(text)
    for name, value in values.items():
        values[name] = tuple(value) if isinstance(value, list) else value
    return Job(**values)


def _insert(session: Session, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        places = ", ".join("(" + ", ".join(["%s"] * len(row)) + ")" for row in part)
        session.execute(f"INSERT INTO {table} ({columns}) VALUES {places}", [value for row in part for value in row])
