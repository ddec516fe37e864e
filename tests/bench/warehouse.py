"""The warehouse: a load of a table against what people use today, and a night in which 1% of it changed."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from google.api_core.exceptions import NotFound

from bench.contest import Case, Contender, Measured, Options
from bench.measure import Memory, clocked, ended
from bench.peers import program
from bench.tables import SHAPES
from workbook.params import load as read_params
from workbook.sandbox import lifecycle
from workbook.servers import connect_warehouse

LOAD_GOAL, MEMORY_GOAL_MB = 0.5, 300
PEERS = ("dlt", "pandas-gbq")
# What must be the same on MySQL and in the warehouse, in words of both. A peer may hold a decimal as a float.
_SUMS = (
    "SELECT COUNT(*), SUM(id), SUM(c0), SUM(CHAR_LENGTH(c1)), ROUND(SUM(c2), 2),"
    " SUM(60 * EXTRACT(MINUTE FROM c3) + EXTRACT(SECOND FROM c3)), COUNT(c4), SUM(CHAR_LENGTH(c4)), SUM(c5),"
    " ROUND(SUM(c6)) FROM {}"
)
NIGHT_GOAL = 0.10
# Of a thousand rows: changed here and there, taken out here and there, put in behind the last.
UPDATED, DELETED, INSERTED = 4, 1, 5
# How a night knows what changed, and how the rows lie that did: by themselves, or side by side.
NIGHTS = {"binlog": "scattered", "watermark": "scattered", "checksums": "together"}


def cases(options: Options, say: Callable[[str], None]) -> Iterator[Case]:
    """The load, and a case for each way of a night, on servers of the bench's own."""
    wanted = [name for name in ("load", *NIGHTS) if not options.cases or f"warehouse {name}" in options.cases]
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as name:
        folder = Path(name) / "sandbox"
        state = lifecycle.up(folder, sample=False, say=say)
        try:
            for way in wanted:
                ground = _Ground(state, folder, way, options.rows, say)
                yield ground.load() if way == "load" else ground.night(way)
        finally:
            lifecycle.down(folder)


class _Ground:
    """One table on the target, and each contender's way of bringing it into the emulator."""

    def __init__(self, state: dict[str, Any], folder: Path, way: str, rows: int, say: Callable[[str], None]):
        self._state, self._folder, self._rows, self._say = state, folder, rows, say
        self._servers = [one["pid"] for one in state["processes"] if one["name"] in ("target", "warehouse")]
        self._database, self._next, self._turn = f"bench_{way}", rows, 0
        say(f"warehouse: making {rows:,} rows on the target")
        self._sql(f"CREATE DATABASE {self._database}", None)
        for statement in (*SHAPES[0].statements(rows), "ANALYZE TABLE t"):
            self._sql(statement)
        ((self._bytes,),) = self._sql(
            f"SELECT DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{self._database}'"
        )
        content = yaml.safe_load(Path(state["params"]).read_text())
        content["source"]["databases"] = [self._database]
        content["environment"], content["warehouse"]["dataset"] = f"bench-{way}", self._database
        self._params = Path(state["params"]).with_name(f"{self._database}.yaml")
        self._params.write_text(yaml.safe_dump(content))
        self._warehouse = connect_warehouse(read_params(str(self._params)))

    def load(self) -> Case:
        """The whole process of everybody, from its start to rows that are the same in an emulator that held none."""
        case = self._case("load", Contender("ours", self._load), tuple(map(self._peer, PEERS)))
        return replace(case, memory_goal_mb=MEMORY_GOAL_MB)

    def _load(self) -> Measured:
        self._forget(self._database, f"{self._database}_raw")
        self._params.with_suffix(".notes").unlink(missing_ok=True)
        _, run = self._ours("full", whole=True)
        self._same(self._database)
        return run

    def _peer(self, name: str) -> Contender:
        def run() -> Measured:
            dataset = f"{self._database}_{name.replace('-', '_')}"
            self._forget(dataset)
            server = self._state["servers"]["target"]
            url = f"mysql+mysqldb://root:{server['root_password']}@127.0.0.1:{server['port']}/{self._database}"
            warehouse = self._state["warehouse"]
            with tempfile.TemporaryDirectory(prefix="workbook-bench-") as notes:
                _, run = self._timed(
                    [str(python), str(Path(__file__).with_name("theirs_warehouse.py")), name, url, warehouse["project"], dataset, notes],
                    {**os.environ, "BIGQUERY_EMULATOR_HOST": warehouse["endpoint"]},
                )  # fmt: skip
            self._same(dataset)
            return run

        try:
            python = program(name, self._say)
        except (RuntimeError, OSError) as error:
            return Contender(name, lambda: Measured(0), LOAD_GOAL, missing=str(error))
        return Contender(name, run, LOAD_GOAL)

    def _same(self, dataset: str) -> None:
        """Raise RuntimeError where the table of a dataset is not the one on the target."""
        (expected,) = self._sql(_SUMS.format("t"))
        (found,) = self._warehouse.query(_SUMS.format(f"{dataset}.t")).result()
        if list(map(float, found.values())) != list(map(float, expected)):
            raise RuntimeError(f"it loaded {found.values()}, not {expected}")

    def _forget(self, *datasets: str) -> None:
        """Drop datasets, table by table: with a table alone the emulator drops the copies that it keeps of its past."""
        for dataset in datasets:
            try:
                for table in list(self._warehouse.list_tables(dataset)):
                    self._warehouse.delete_table(table)
                self._warehouse.delete_dataset(dataset)
            except NotFound:
                continue

    def night(self, way: str) -> Case:
        """After 1% changed: what a night of that way takes of a full load, from the first statement to the last."""
        column = ["c3"] if way == "watermark" else []

        def run() -> Measured:
            self._change(NIGHTS[way])
            found, run = self._ours(way, *column)
            if found["way"] != way:
                raise RuntimeError(f"the night went another way: {found}")
            return run

        # What the night goes on from; a full load in between is known to it, too.
        self._ours("checksums" if way == "checksums" else "incremental", *column)
        full = Contender("ours, full load", lambda: self._ours("full", *column, elsewhere=True)[1], NIGHT_GOAL)
        return self._case(way, Contender(f"ours, 1% changed, by {way}", run), (full,))

    def _case(self, name: str, ours: Contender, peers: tuple[Contender, ...]) -> Case:
        return Case("warehouse", f"warehouse {name}", ours, peers, self._rows, int(self._bytes))

    def _ours(
        self, way: str, *column: str, elsewhere: bool = False, whole: bool = False
    ) -> tuple[dict[str, Any], Measured]:
        params, notes = self._params, self._params.with_suffix(".notes")
        if elsewhere:
            # Beside the tables of the nights, so that these go on from their own.
            content = yaml.safe_load(self._params.read_text())
            content["warehouse"]["dataset"] += "_full"
            params, notes = self._params.with_suffix(".full.yaml"), self._params.with_suffix(".full.notes")
            params.write_text(yaml.safe_dump(content))
        answer, run = self._timed([sys.executable, "-m", "bench.ours_warehouse", str(params), str(notes), way, *column])
        found = yaml.safe_load(answer)
        ((rows,),) = self._sql("SELECT COUNT(*) FROM t")
        if (found["verdict"], found["rows"]) != ("ok", rows):
            raise RuntimeError(f"ours loaded {found}")
        return found, run if whole else replace(run, seconds=found["seconds"])

    def _change(self, lie: str) -> None:
        """Change a hundredth of the rows."""
        self._turn += 1
        first = self._next + 1
        self._next += self._rows * INSERTED // 1000
        columns = ", ".join(expression for _, expression in SHAPES[0].columns)
        values = columns.replace("'2020-01-01' + INTERVAL n SECOND", "UTC_TIMESTAMP(3)")
        self._sql(
            f"INSERT INTO t WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers"
            f" WHERE n < {self._next}) SELECT n, {values} FROM numbers"
        )
        if lie == "scattered":
            updated, deleted = (
                f"id MOD 1000 IN ({', '.join(str(7 * n + self._turn) for n in range(UPDATED))})",
                (f"id MOD 1000 = {900 + self._turn}"),
            )
        else:
            low = self._rows * self._turn // 20
            middle, high = low + self._rows * UPDATED // 1000, low + self._rows * (UPDATED + DELETED) // 1000
            updated, deleted = f"id BETWEEN {low} AND {middle - 1}", f"id BETWEEN {middle} AND {high}"
        self._sql(f"UPDATE t SET c2 = c2 + 1, c3 = UTC_TIMESTAMP(3) WHERE {updated}")
        self._sql(f"DELETE FROM t WHERE {deleted}")

    def _timed(self, command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[str, Measured]:
        output, log = self._folder / "answer.txt", self._folder / "log.txt"
        with output.open("w") as out, log.open("wb") as err, log.open("rb") as read, clocked(self._servers) as said:
            # In a file: what a peer logs would fill a pipe, and it would wait for ever.
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=Path(__file__).parents[1])
            process.stderr = read
            with Memory(process.pid) as memory:
                cpu = ended(process)
            run = said(cpu, memory)
        return output.read_text(), run

    def _sql(self, statement: str, database: str | None = "") -> list[tuple[Any, ...]]:
        with (
            lifecycle.root_connection(
                self._state, "target", database=self._database if database == "" else database
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SET SESSION cte_max_recursion_depth = 4294967295, net_read_timeout = 3600")
            cursor.execute(statement)
            return list(cursor.fetchall())
