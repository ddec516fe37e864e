"""The bulk load against what people use today, and against what the target's own disk and CPU allow."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from bench.contest import Case, Contender, Measured, Options
from bench.measure import Memory, clocked, ended
from bench.tables import SHAPES, Shape
from workbook.errors import WorkbookError
from workbook.sandbox import lifecycle
from workbook.sandbox.binaries import find_program

GOALS = {
    "mysqldump piped into mysql": 0.40,
    "mydumper, then myloader": 0.45,
    "floor: LOAD DATA INFILE, then indexes": 1.0,
}
# Of a table so many times as large, each row may cost a tenth more; so may the memory in all.
GROWTH, GROWTH_GOAL = 4, 1.10
_GROWTH_CASE = "growth"
# A limit in MB/s, raised to the second after some seconds; how long the second may take to be felt.
_THROTTLE_CASE = "throttle"
# Both below what the servers take: else the second would not be what is felt.
LIMIT, RAISED_TO, RAISED_AFTER, FELT_WITHIN = 6.0, 12.0, 6.0, 5.0
THROTTLE_GOAL = 1.15


def cases(options: Options, say: Callable[[str], None]) -> Iterator[Case]:
    """One case for each shape of table, on two servers of the bench's own."""
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as name:
        folder = Path(name) / "sandbox"
        state = lifecycle.up(folder, sample=False, say=say)
        try:
            for shape in SHAPES:
                if not options.cases or shape.name in options.cases:
                    with _Ground(state, folder, shape, options, say) as ground:
                        yield ground.case()
            if not options.cases or _GROWTH_CASE in options.cases:
                with (
                    _Ground(state, folder, SHAPES[0], options, say) as small,
                    _Ground(state, folder, SHAPES[0], options, say, GROWTH) as large,
                ):
                    yield small.growth(large)
            if not options.cases or _THROTTLE_CASE in options.cases:
                with _Ground(state, folder, SHAPES[0], options, say) as ground:
                    yield from ground.throttled()
        finally:
            lifecycle.down(folder)


class _Ground:
    """The table of one case on the source, and each contender's way of getting it to the target."""

    def __init__(
        self,
        state: dict[str, Any],
        folder: Path,
        shape: Shape,
        options: Options,
        say: Callable[[str], None],
        times: int = 1,
    ):
        self._state = state
        self._times = times
        self._answer: dict[str, Any] = {}
        self._database = f"bench{times}"
        self._folder = folder
        self._shape = shape
        self._options = options
        self._say = say
        self._servers = [entry["pid"] for entry in state["processes"] if entry["name"] in ("source", "target")]
        self._rows = shape.rows(options.rows) * times
        self._file = folder / "target" / "files" / f"rows{times}.txt"
        self._dump = folder / "dump"

    def __enter__(self) -> "_Ground":
        self._say(f"{self._shape.name}: making {self._rows:,} rows")
        self._sql("source", f"CREATE DATABASE {self._database}")
        for statement in self._shape.statements(self._rows):
            self._sql("source", statement, self._database)
        self._sql("source", "ANALYZE TABLE t", self._database)
        outfile = self._folder / "source" / "files" / self._file.name
        self._sql(
            "source", f"SELECT * FROM t ORDER BY id INTO OUTFILE '{outfile}' CHARACTER SET binary", self._database
        )
        outfile.rename(self._file)
        self._settle()
        return self

    def __exit__(self, *_: object) -> None:
        for role in ("source", "target"):
            self._sql(role, f"DROP DATABASE IF EXISTS {self._database}")
        self._sql("target", "DROP DATABASE IF EXISTS _workbook")
        self._file.unlink()

    def case(self) -> Case:
        """Ours and the peers on this table."""
        return Case(
            "bulk load",
            self._shape.name,
            Contender(f"ours, {self._options.workers} workers", self._ours),
            (
                self._peer("mysqldump piped into mysql", self._mysqldump, "mysql", "mysqldump", "mysql"),
                self._peer("mydumper, then myloader", self._mydumper, "mydumper", "mydumper", "myloader"),
                Contender(
                    "floor: LOAD DATA INFILE, then indexes", self._floor, GOALS["floor: LOAD DATA INFILE, then indexes"]
                ),
                Contender("INSERT … SELECT inside one server", self._insert_select),
            ),
            self._rows,
            self._file.stat().st_size,
        )

    def growth(self, large: "_Ground") -> Case:
        """Ours on this table against ours on one that is `GROWTH` times as large: seconds for the same number of rows."""

        def of_a_share() -> Measured:
            run = large._ours()
            return replace(run, seconds=run.seconds / GROWTH, client_cpu=run.client_cpu / GROWTH)

        return Case(
            "bulk load",
            _GROWTH_CASE,
            Contender(f"ours, {large._rows:,} rows, as for {self._rows:,}", of_a_share),
            (Contender(f"ours, {self._rows:,} rows", self._ours, GROWTH_GOAL),),
            large._rows,
            large._file.stat().st_size,
        )

    def _peer(
        self, name: str, run: Callable[[dict[str, tuple[str, ...]]], Measured], flavour: str, *programs: str
    ) -> Contender:
        try:
            found = {program: find_program(flavour, program, self._say) for program in programs}
        except WorkbookError as error:
            return Contender(name, lambda: Measured(0), GOALS[name], missing=error.found)
        return Contender(name, lambda: run(found), GOALS[name])

    def throttled(self) -> Iterator[Case]:
        """The rows at a limit against the time that the limit gives them, and a change of the limit until it is felt."""

        def held() -> Measured:
            run = self._ours(limit_mb_s=LIMIT)
            pace = self._answer["bytes"] / 1e6 / self._answer["stream_seconds"]
            if pace > LIMIT * THROTTLE_GOAL:
                raise RuntimeError(f"{pace:.1f} MB/s went through a limit of {LIMIT:g}")
            return replace(run, seconds=self._answer["stream_seconds"])

        def given() -> Measured:
            return Measured(self._answer["bytes"] / 1e6 / LIMIT)

        def felt() -> Measured:
            changed: list[float] = []

            def change(file: Path) -> None:
                time.sleep(RAISED_AFTER)
                file.write_text(f"limit_mb_s: {RAISED_TO}\n")
                changed.append(time.time())

            run = self._ours(change, limit_mb_s=LIMIT)
            # What the first limit let through, and what the second, add up to all that was sent.
            answer = self._answer
            first = (RAISED_TO * answer["stream_seconds"] - answer["bytes"] / 1e6) / (RAISED_TO - LIMIT)
            return replace(run, seconds=max(first - (changed[0] - answer["stream_started"]), 0.0))

        limit, goal = f"{self._file.stat().st_size / 1e6:,.0f} MB at {LIMIT:g} MB/s", f"felt within {FELT_WITHIN:g} s"
        size = self._file.stat().st_size
        yield Case(
            "bulk load",
            _THROTTLE_CASE,
            Contender(f"ours, held to {LIMIT:g} MB/s", held),
            (Contender(limit, given, THROTTLE_GOAL),),
            self._rows,
            size,
        )
        yield Case(
            "bulk load",
            _THROTTLE_CASE,
            Contender(f"a limit raised to {RAISED_TO:g} MB/s by the file, until it is felt", felt),
            (Contender(goal, lambda: Measured(FELT_WITHIN), 1.0),),
            self._rows,
            size,
        )

    def _ours(self, meanwhile: Callable[[Path], None] | None = None, **bulk: float) -> Measured:
        content = yaml.safe_load(Path(self._state["params"]).read_text())
        content["source"]["databases"] = [self._database]
        content["environment"] = "bench"
        content["bulk"] = {"workers": self._options.workers, **bulk}
        file = Path(self._state["params"]).with_name("bench.yaml")
        file.write_text(yaml.safe_dump(content))
        limits = file.with_name("bench.throttle.yaml")
        limits.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-m", "bench.ours", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("BENCH_VERBOSE") else None,
            text=True,
            cwd=Path(__file__).parents[1],
        ) as process:
            assert process.stdin
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("our load did not get ready")
            self._settle()
            with Memory(process.pid) as memory, clocked(self._servers) as said:
                process.stdin.write("go\n")
                process.stdin.flush()
                if meanwhile is not None:
                    meanwhile(limits)
                answer = yaml.safe_load(process.stdout.readline() or "null")
                if answer is None:
                    raise RuntimeError("our load failed")
                measured = said(answer["cpu"], memory)
        self._answer = answer
        self._say(f"           rows {answer['row_seconds']:.2f} s, indexes {answer['index_seconds']:.2f} s")
        assert answer["rows"] == self._rows
        self._proven("ours")
        return measured

    def _mysqldump(self, programs: dict[str, tuple[str, ...]]) -> Measured:
        with self._clean() as said:
            read = subprocess.Popen(
                [
                    *programs["mysqldump"],
                    "--no-defaults",
                    *self._address("source"),
                    "--single-transaction",
                    "--set-gtid-purged=OFF",
                    "--no-tablespaces",
                    self._database,
                ],
                stdout=subprocess.PIPE,
                env=self._environment("source", programs["mysqldump"]),
            )
            write = subprocess.Popen(
                [*programs["mysql"], "--no-defaults", *self._address("target"), self._database],
                stdin=read.stdout,
                env=self._environment("target", programs["mysql"]),
            )
            assert read.stdout
            read.stdout.close()
            with Memory(read.pid, write.pid) as memory:
                cpu = ended(read) + ended(write)
            measured = said(cpu, memory)
        self._proven("mysqldump")
        return measured

    def _mydumper(self, programs: dict[str, tuple[str, ...]]) -> Measured:
        shutil.rmtree(self._dump, ignore_errors=True)
        threads = str(self._options.workers)
        # Split, since myloader's threads work by file.
        split = ["--rows", str(max(self._rows // 16, 1)), "--outputdir", str(self._dump), "--verbose", "0"]
        with self._clean() as said:
            cpu = 0.0
            read = [*programs["mydumper"], *self._address("source"), "--threads", threads, "--database", self._database]
            # With the binlog, as a server that has replicas or point-in-time recovery needs it.
            write = [*programs["myloader"], *self._address("target"), "--threads", threads, "--enable-binlog"]
            write += ["--overwrite-tables", "--verbose", "0", "--directory", str(self._dump)]
            highest = None
            for role, command in (("source", [*read, *split]), ("target", write)):
                process = subprocess.Popen(
                    command, stderr=subprocess.PIPE, env=self._environment(role, tuple(command[:4]))
                )
                with Memory(process.pid) as memory:
                    cpu += ended(process)
                highest = memory if highest is None or memory.highest > highest.highest else highest
            measured = said(cpu, highest)
        shutil.rmtree(self._dump, ignore_errors=True)
        self._proven("mydumper")
        return measured

    def _floor(self) -> Measured:
        with self._clean() as said:
            self._sql("target", self._shape.create(indexes=False), self._database)
            self._sql("target", f"LOAD DATA INFILE '{self._file}' INTO TABLE t CHARACTER SET binary", self._database)
            if self._shape.indexes:
                added = ", ".join(f"ADD {index}" for index in self._shape.indexes)
                self._sql("target", f"ALTER TABLE t {added}", self._database)
            measured = said()
        self._proven("floor")
        return measured

    def _insert_select(self) -> Measured:
        self._settle()
        with clocked(self._servers) as said:
            self._sql("source", self._shape.create(indexes=True).replace("TABLE t", "TABLE copy"), self._database)
            self._sql("source", "INSERT INTO copy SELECT * FROM t ORDER BY id", self._database, log=True)
            measured = said()
        self._sql("source", "DROP TABLE copy", self._database)
        return measured

    @contextlib.contextmanager
    def _clean(self) -> Iterator[Callable[..., Measured]]:
        self._empty()
        self._settle()
        with clocked(self._servers) as said:
            yield said

    def _empty(self) -> None:
        self._sql("target", f"DROP DATABASE IF EXISTS {self._database}")
        self._sql("target", f"CREATE DATABASE {self._database}")

    def _proven(self, who: str) -> None:
        """A run counts only if every row and every index arrived."""
        there = self._sql("target", "SELECT COUNT(*) FROM t", self._database)[0][0]
        indexes = len({row[2] for row in self._sql("target", "SHOW INDEX FROM t", self._database)})
        if there != self._rows or indexes != 1 + len(self._shape.indexes):
            raise RuntimeError(f"{who} left {there:,} of {self._rows:,} rows and {indexes} indexes")
        self._sql("target", f"DROP DATABASE {self._database}")

    def _settle(self) -> None:
        """What one contender left to be written must not cost the next: start with clean pages and short logs."""
        for role in ("source", "target"):
            self._sql(role, "RESET BINARY LOGS AND GTIDS")
            self._sql(role, "FLUSH TABLES")
        os.sync()

    def _sql(self, role: str, statement: str, database: str | None = None, log: bool = False) -> list[tuple[Any, ...]]:
        with (
            lifecycle.root_connection(self._state, role, database=database) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SET SESSION cte_max_recursion_depth = 4294967295, net_read_timeout = 3600")
            if role == "source" and not log:
                cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.execute(statement)
            return list(cursor.fetchall())

    def _address(self, role: str) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(self._state["servers"][role]["port"]), "--user", "root"]

    def _environment(self, role: str, command: tuple[str, ...]) -> dict[str, str]:
        # A password in an argument would stand in the process list.
        values = {**os.environ, "MYSQL_PWD": self._state["servers"][role]["root_password"]}
        # A fetched program looks for its login plugins where its package would have put them.
        root = re.match(r"(.*)/usr/", command[-1] if len(command) < 4 else command[3])
        plugins = sorted(Path(root[1]).glob("usr/lib/*/libmariadb3/plugin")) if root else []
        return {**values, "MARIADB_PLUGIN_DIR": str(plugins[0])} if plugins else values
