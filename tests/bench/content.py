"""The comparison of every value of two equal tables, and of tables with ten changed rows, against what people use today."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from bench.contest import Case, Contender, Measured, Options
from bench.measure import Memory, clocked, ended
from bench.peers import program
from bench.tables import SHAPES
from workbook.sandbox import lifecycle

# What `--rows` asks for is meant for the bulk load; a comparison is measured on half of it: a million rows.
_SHARE = 0.5
RELADIFF, DVT = "reladiff, hashdiff", "DVT, row hash"
GOALS = {RELADIFF: 1.0, DVT: 0.1}
CHANGED, CHANGED_GOAL = 10, 1.5
GROWTH, GROWTH_GOAL = 4, 1.10
# Of so many rows one is touched after the full proof, in so many transactions.
TOUCHED, TOUCHED_TRANSACTIONS, DELTA_GOAL = 100, 200, 0.05
# Every so many rows one, so that every page of the table is read; or as many side by side, as a day's orders lie.
_SCATTERED, _TOGETHER = f"id MOD {TOUCHED} = 7", f"id > {{rows}} - {{rows}} DIV {TOUCHED}"
_CASES = ("equal", "changed", "growth", "delta", "delta together")


def cases(options: Options, say: Callable[[str], None]) -> Iterator[Case]:
    """Equal tables, ten changed rows, a table so many times as large, and what was touched since a full proof, on two
    servers of the bench's own."""
    wanted = [name for name in _CASES if not options.cases or f"content {name}" in options.cases]
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as name:
        folder = Path(name) / "sandbox"
        state = lifecycle.up(folder, sample=False, say=say)
        try:
            ground = _Ground(state, folder, int(options.rows * _SHARE), say)
            if "equal" in wanted:
                yield ground.equal()
            if "changed" in wanted:
                yield ground.changed()
            if "growth" in wanted:
                yield ground.growth(_Ground(state, folder, int(options.rows * _SHARE) * GROWTH, say))
            if "delta" in wanted:
                yield ground.delta("delta", _SCATTERED)
            if "delta together" in wanted:
                yield ground.delta("delta together", _TOGETHER)
        finally:
            lifecycle.down(folder)


class _Ground:
    """The same table on both servers, and each contender's way of comparing them."""

    def __init__(self, state: dict[str, Any], folder: Path, rows: int, say: Callable[[str], None]):
        self._state, self._folder, self._rows, self._say = state, folder, rows, say
        self._servers = [entry["pid"] for entry in state["processes"] if entry["name"] in ("source", "target")]
        self._database = f"content{rows}"
        say(f"content: making {rows:,} rows on both servers")
        for role in ("source", "target"):
            self._sql(role, f"CREATE DATABASE {self._database}")
            for statement in (*SHAPES[0].statements(rows), "ANALYZE TABLE t"):
                self._sql(role, statement, self._database)
        (self._bytes,) = self._sql(
            "source", f"SELECT DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{self._database}'"
        )[0]
        content = yaml.safe_load(Path(state["params"]).read_text())
        content["source"]["databases"] = [self._database]
        content["environment"] = "bench"
        self._params = Path(state["params"]).with_name(f"{self._database}.yaml")
        self._params.write_text(yaml.safe_dump(content))

    def equal(self) -> Case:
        """All rows alike: the whole process of everybody, from its start."""
        peers = (self._peer(RELADIFF, "reladiff", self._reladiff), self._peer(DVT, "dvt", self._dvt))
        return self._case("equal", Contender("ours", self._ours), peers)

    def changed(self) -> Case:
        """Ten changed rows, spread over the table, against the time for equal tables."""
        ours = Contender(f"ours, {CHANGED} changed rows", lambda: self._with_changes(lambda: self._ours(CHANGED)))
        its = self._peer(RELADIFF, "reladiff", lambda tool: self._with_changes(lambda: self._reladiff(tool, CHANGED)))
        return self._case(
            "changed", ours, (Contender("ours, equal", self._ours, CHANGED_GOAL), replace(its, goal=GOALS[RELADIFF]))
        )

    def growth(self, large: "_Ground") -> Case:
        """A table so many times as large, in seconds for the same number of rows."""

        def of_a_share() -> Measured:
            run = large._ours()
            return replace(run, seconds=run.seconds / GROWTH, client_cpu=run.client_cpu / GROWTH)

        name = f"ours, {large._rows:,} rows, as for {self._rows:,}"
        return self._case(
            "growth", Contender(name, of_a_share), (Contender(f"ours, {self._rows:,} rows", self._ours, GROWTH_GOAL),)
        )

    def delta(self, name: str, touched: str) -> Case:
        """After a full proof a hundredth of the rows is touched on both sides; what the proof by delta takes of the full one.

        Seconds are those from the first statement to the verdict: the start of Python is the same for both. Before it is
        timed a defect among the touched rows and one elsewhere on the target must be found.
        """
        notes = self._folder / "proof.json"
        self._proof("full", notes)
        for number in range(TOUCHED_TRANSACTIONS):
            low, high = (self._rows * place // TOUCHED_TRANSACTIONS for place in (number, number + 1))
            for role in ("source", "target"):
                change = "UPDATE t SET c2 = c2 + 1, c4 = CONCAT('touched ', id)"
                where = touched.replace("{rows}", str(self._rows))
                self._sql(role, f"{change} WHERE id > {low} AND id <= {high} AND {where}", self._database, True)
        # One among the touched rows, one elsewhere.
        planted = {"107" if touched == _SCATTERED else str(self._rows - 7), "50"}
        change = f"UPDATE t SET c2 = c2 + %s WHERE id IN ({', '.join(sorted(planted))})"
        self._sql("target", change % "1", self._database, True)
        found = self._proof("delta", notes)[0]
        if found["verdict"] != "different" or set(found["keys"]) != planted:
            raise RuntimeError(f"the planted defects were not found: {found}")
        self._sql("target", change % "-1", self._database, True)

        def run(mode: str, to: Path) -> Measured:
            found, run = self._proof(mode, to)
            if (found["verdict"], found["proof"], found["rows"]) != ("same", mode, self._rows):
                raise RuntimeError(f"ours found {found}")
            return replace(run, seconds=found["seconds"])

        lie = "1 in" if touched == _SCATTERED else "the last of"
        ours = Contender(f"ours, the rows touched since ({lie} {TOUCHED})", lambda: run("delta", notes))
        again = self._folder / "again.json"
        return self._case(name, ours, (Contender("ours, in full", lambda: run("full", again), DELTA_GOAL),))

    def _proof(self, mode: str, notes: Path) -> tuple[dict[str, Any], Measured]:
        command = [sys.executable, "-m", "bench.ours_delta", mode, str(self._params), str(notes)]
        answer, run = self._timed(command)
        return yaml.safe_load(answer), run

    def _case(self, name: str, ours: Contender, peers: tuple[Contender, ...]) -> Case:
        return Case("content", f"content {name}", ours, peers, self._rows, int(self._bytes))

    def _peer(self, name: str, environment: str, run: Callable[[Path], Measured]) -> Contender:
        try:
            found = program(environment, self._say)
        except (RuntimeError, OSError) as error:
            return Contender(name, lambda: Measured(0), GOALS[name], missing=str(error))
        return Contender(name, lambda: run(found), GOALS[name])

    def _with_changes(self, run: Callable[[], Measured]) -> Measured:
        step = self._rows // CHANGED
        chosen = f"WHERE id MOD {step} = {step // 2}"
        self._sql("target", f"UPDATE t SET c4 = CONCAT('was ', c4), c2 = -c2 {chosen}", self._database)
        try:
            return run()
        finally:
            values = dict(enumerate(expression for _, expression in SHAPES[0].columns))
            back = ", ".join(f"c{n} = {values[n].replace('n ', 'id ').replace('(n,', '(id,')}" for n in (2, 4))
            self._sql("target", f"UPDATE t SET {back} {chosen}", self._database)

    def _ours(self, changed: int = 0) -> Measured:
        answer, run = self._timed([sys.executable, "-m", "bench.ours_content", str(self._params)])
        found = yaml.safe_load(answer)
        verdict = "different" if changed else "same"
        if (found["verdict"], found["rows"], found["changed"]) != (verdict, self._rows, changed):
            raise RuntimeError(f"ours found {found}")
        return run

    def _reladiff(self, tool: Path, changed: int = 0) -> Measured:
        # It needs MD5, which newer servers have as a component alone.
        for role in ("source", "target"):
            if not self._sql(role, "SELECT 1 FROM mysql.component WHERE component_urn LIKE '%classic_hashing'"):
                self._sql(role, "INSTALL COMPONENT 'file://component_classic_hashing'")
        urls = [part for role in ("source", "target") for part in (self._url(role), "t")]
        answer, run = self._timed([str(tool), *urls, "-k", "id", "-c", "%", "-a", "hashdiff", "-j", "2", "--json"])
        lines = answer.count('["-", ') + answer.count('["+", ')
        if lines != 2 * changed:
            raise RuntimeError(f"it wrote {lines} lines: {answer[-200:]}")
        return run

    def _dvt(self, tool: Path) -> Measured:
        home = self._folder / "dvt"
        environment = {**os.environ, "PSO_DV_CONN_HOME": str(home), "PSO_DV_CONFIG_HOME": str(home)}
        home.mkdir(exist_ok=True)
        for role in ("source", "target"):
            # It sets its sessions to the zone UTC by name.
            if not self._sql(role, "SELECT 1 FROM mysql.time_zone_name WHERE Name = 'UTC'"):
                self._sql(role, "INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (1, 'N')")
                self._sql(role, "INSERT INTO mysql.time_zone_name VALUES ('UTC', 1)")
                self._sql(role, "INSERT INTO mysql.time_zone_transition_type VALUES (1, 0, 0, 0, 'UTC')")
            server = self._state["servers"][role]
            words = ["connections", "add", "--connection-name", role, "MySQL", "--host", "127.0.0.1"]
            words += ["--port", str(server["port"]), "--user", "root", f"--password={server['root_password']}"]
            added = subprocess.run(
                [str(tool), *words, "--database", self._database], env=environment, capture_output=True, text=True
            )
            if added.returncode:
                raise RuntimeError(added.stderr[-300:])
        answer, run = self._timed(
            [str(tool), "validate", "row", "-sc", "source", "-tc", "target", "-tbls", f"{self._database}.t={self._database}.t",
             "--primary-keys", "id", "--hash", "*", "--filter-status", "fail", "--format", "csv"],
            environment,
        )  # fmt: skip
        if "fail" in answer.replace("validation_status", ""):
            raise RuntimeError(f"it found differences: {answer[-200:]}")
        return run

    def _timed(self, command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[str, Measured]:
        """The answer of a process, and what all of it took: its start too."""
        output = self._folder / "answer.txt"
        with output.open("w") as out, clocked(self._servers) as said:
            process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[1]
            )
            with Memory(process.pid) as memory:
                cpu = ended(process)
            run = said(cpu, memory)
        return output.read_text(), run

    def _url(self, role: str) -> str:
        server = self._state["servers"][role]
        return f"mysql://root:{server['root_password']}@127.0.0.1:{server['port']}/{self._database}"

    def _sql(
        self, role: str, statement: str, database: str | None = None, logged: bool = False
    ) -> list[tuple[Any, ...]]:
        with (
            lifecycle.root_connection(self._state, role, database=database) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SET SESSION cte_max_recursion_depth = 4294967295, net_read_timeout = 3600")
            cursor.execute(f"SET SESSION sql_log_bin = {logged:d}")
            cursor.execute(statement)
            return list(cursor.fetchall())
