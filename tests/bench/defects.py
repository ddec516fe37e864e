"""Which of the planted defects of values and rows each tool finds between two servers: ours, reladiff, DVT's three ways."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import planted_rows
from bench.matrix import Line, Matrix
from bench.peers import program
from planted import TABLES, damage, fill, places
from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.params import load
from workbook.sandbox import lifecycle
from workbook.servers import SESSION_SQL_MODE, connect_source, connect_target
from workbook.validate.content import Servers, compare_table
from workbook.validate.defects import defect_of

OURS, RELADIFF = "ours", "reladiff"
DVT = {"DVT row": "row", "DVT column": "column", "DVT schema": "schema"}
TOOLS = (OURS, RELADIFF, *DVT)
_DATABASE = "defects"
_MEANWHILE = 2  # peers that run at once: two cores


@dataclass(frozen=True)
class Planting:
    """One variant as it stands on the target: its table and column (None: whole rows), the keys of its rows by the
    first column of the key, and all columns of the key (none: a keyless table)."""

    number: int
    variant: str
    table: str
    column: str | None
    keys: frozenset[str]
    key: tuple[str, ...]


def plantings() -> Iterator[Planting]:
    """All that can occur between two MySQL servers."""
    for table, columns in TABLES.items():
        for place, column in enumerate(columns):
            if "t" in column.hops:
                keys = frozenset(map(str, places(place, column)))
                yield Planting(column.number, column.variant, table, f"c{place}", keys, ("id",))
    for item in planted_rows.ROWS:
        if item.target:
            yield Planting(item.number, item.variant, item.table, item.column, item.keys, item.key)
    for pair in planted_rows.PAIRS:
        yield Planting(pair.number, pair.variant, "pairs", pair.columns[0], pair.keys, ("id",))


def found(say: Callable[[str], None]) -> Matrix:
    """Plant everything once, let every tool look, and say who found what."""
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as name:
        folder = Path(name) / "sandbox"
        state = lifecycle.up(folder, sample=False, say=say)
        try:
            ground = _Ground(state, folder)
            ground.plant()
            return ground.looked_at(say)
        finally:
            lifecycle.down(folder)


class _Ground:
    """Two servers with the same tables, those of the target damaged."""

    def __init__(self, state: dict[str, Any], folder: Path):
        self._state, self._folder = state, folder
        self._all = list(plantings())

    def plant(self) -> None:
        for role in ("source", "target"):
            self._run(role, None, f"CREATE DATABASE {_DATABASE}")
            for name, columns in TABLES.items():
                self._run(role, _DATABASE, *fill(name, columns))
                # For a tool that cannot take the whole table.
                views = (f"CREATE VIEW {name}_c{n} AS SELECT id, c{n} FROM {name}" for n in range(len(columns)))
                self._run(role, _DATABASE, *views)
            for item in planted_rows.ROWS:
                self._run(
                    role, _DATABASE, f"CREATE TABLE {item.table} {item.create}", item.fill.replace("{t}", item.table)
                )
            self._run(role, _DATABASE, f"CREATE TABLE pairs {planted_rows.PAIRS_CREATE}")
            self._run(role, _DATABASE, planted_rows.PAIRS_FILL.replace("{t}", "pairs"))
            self._run(role, _DATABASE, *(f"ANALYZE TABLE `{table}`" for table in {item.table for item in self._all}))
        for name, columns in TABLES.items():
            self._run("target", _DATABASE, *damage(name, columns))
        for item in planted_rows.ROWS:
            self._run("target", _DATABASE, *(statement.replace("{t}", item.table) for statement in item.target or ()))
        for pair in planted_rows.PAIRS:
            self._run("target", _DATABASE, pair.target.replace("{t}", "pairs"))

    def looked_at(self, say: Callable[[str], None]) -> Matrix:
        answers: dict[str, dict[Planting, str]] = {}
        missing: dict[str, str] = {}
        say(f"{len(self._all)} variants planted; {OURS} looks")
        answers[OURS] = self._ours()
        for environment, tools in ((RELADIFF, {RELADIFF: self._reladiff}), ("dvt", self._dvt())):
            try:
                command = program(environment, say)
            except (RuntimeError, OSError) as error:
                missing |= dict.fromkeys(tools, str(error))
                continue
            if environment == "dvt":
                self._connect(command)
            for tool, look in tools.items():
                say(f"{tool} looks")
                answers[tool] = look(command)
        numbers = sorted({item.number for item in self._all})
        lines = []
        for number in numbers:
            own = [item for item in self._all if item.number == number]
            seen = {
                tool: {item.variant: answers[tool][item] for item in own} if tool in answers else {} for tool in TOOLS
            }
            lines.append(Line(number, defect_of(number).name, seen))
        return Matrix("Defects between two MySQL servers", TOOLS, tuple(lines), missing)

    # Each tool answers for each variant: nothing where it was found with all its rows, else why it was not.

    def _ours(self) -> dict[Planting, str]:
        content = yaml.safe_load(Path(self._state["params"]).read_text())
        content["source"]["databases"] = [_DATABASE]
        content["environment"] = "bench"
        content["validate"] = {"samples": 1000}
        file = Path(self._state["params"]).with_name("defects.yaml")
        file.write_text(yaml.safe_dump(content))
        settings = load(file)
        source, target = connect_source(settings), connect_target(settings)
        catalog = read_catalog(source, [_DATABASE])
        mapping = generate(catalog, None, True)
        classes: dict[tuple[str, str | None, int], set[str]] = {}
        for item in mapping.in_scope:
            (verdict,) = compare_table(Servers(source, target, None), catalog.table[item.path], item, settings)
            for found in verdict.classes:
                rows = classes.setdefault((item.name, found.column, found.number), set())
                rows |= {str(row.key[0][1]) for row in found.samples}
        return {
            item: _judged(item, classes.get((item.table, item.column, item.number), set()), "not named")
            for item in self._all
        }

    def _reladiff(self, command: Path) -> dict[Planting, str]:
        # It needs MD5, which newer servers have as a component alone.
        for role in ("source", "target"):
            self._run(role, None, "INSTALL COMPONENT 'file://component_classic_hashing'")

        def look(item: Planting) -> str:
            if not item.key:
                return "it needs a key"
            words = [part for role in ("source", "target") for part in (self._url(role), item.table)]
            words += [word for name in item.key for word in ("-k", name)]
            words += ["-c", item.column or "%", "-a", "hashdiff", "--json", "--skip-sort-results"]
            answer = _answer([str(command), *words])
            # A line is no JSON where a value is none: what is asked for is the first, the key.
            keys = {
                json.loads(found[1]) for found in re.finditer(r'^\["[-+]", \[("(?:[^"\\]|\\.)*")', answer.stdout, re.M)
            }
            return _judged(item, keys, _last(answer.stderr) or "it says nothing differs")

        with ThreadPoolExecutor(_MEANWHILE) as pool:
            return dict(zip(self._all, pool.map(look, self._all), strict=True))

    def _dvt(self) -> dict[str, Callable[[Path], dict[Planting, str]]]:
        return {
            "DVT row": lambda command: self._by_table(lambda items: self._dvt_row(command, items)),
            "DVT column": lambda command: self._by_table(lambda items: self._dvt_other(command, items, "column")),
            "DVT schema": lambda command: self._by_table(lambda items: self._dvt_other(command, items, "schema")),
        }

    def _by_table(self, look: Callable[[Sequence[Planting]], dict[Planting, str]]) -> dict[Planting, str]:
        tables: dict[str, list[Planting]] = {}
        for item in self._all:
            tables.setdefault(item.table, []).append(item)
        with ThreadPoolExecutor(_MEANWHILE) as pool:
            return {item: why for part in pool.map(look, tables.values()) for item, why in part.items()}

    def _dvt_row(self, command: Path, items: Sequence[Planting]) -> dict[Planting, str]:
        if not items[0].key:
            return dict.fromkeys(items, "it needs a key")
        words = ["row", "--primary-keys", ",".join(items[0].key), "--hash", "*"]
        rows = self._validated(command, items[0].table, words)
        if isinstance(rows, str) and len(items) > 1:
            # One column that it stumbles over must not hide what it sees in the others.
            return {
                item: self._dvt_row_of(self._validated(command, f"{item.table}_{item.column}", words), [item])[0]
                for item in items
            }
        return dict(zip(items, self._dvt_row_of(rows, items), strict=True))

    @staticmethod
    def _dvt_row_of(rows: list[dict[str, Any]] | str, items: Sequence[Planting]) -> list[str]:
        if isinstance(rows, str):
            return [rows for _ in items]
        first = {str(json.loads(row["group_by_columns"] or "{}").get(items[0].key[0])) for row in rows}
        return [_judged(item, first, "it says nothing differs") for item in items]

    def _dvt_other(self, command: Path, items: Sequence[Planting], way: str) -> dict[Planting, str]:
        words = ["column", "--count", "*", "--min", "*", "--max", "*", "--sum", "*", "-wis", "-wit"]
        words = words if way == "column" else ["schema"]
        rows = self._validated(command, items[0].table, words)
        if isinstance(rows, str) and len(items) > 1:
            alone = {item: self._validated(command, f"{item.table}_{item.column}", words) for item in items}
            return {item: self._dvt_other_of(alone[item], [item])[0] for item in items}
        return dict(zip(items, self._dvt_other_of(rows, items), strict=True))

    @staticmethod
    def _dvt_other_of(rows: list[dict[str, Any]] | str, items: Sequence[Planting]) -> list[str]:
        if isinstance(rows, str):
            return [rows for _ in items]
        # By column it can say that something differs, but not where: that counts as found.
        columns = {str(row["source_column_name"] or "") for row in rows}
        seen = [item.column in columns if item.column else bool(rows) for item in items]
        return ["" if found else "it says nothing differs" for found in seen]

    def _validated(self, command: Path, table: str, words: Sequence[str]) -> list[dict[str, Any]] | str:
        """The rows of its answer that failed, or why it has none."""
        path = f"{_DATABASE}.{table}={_DATABASE}.{table}"
        rest = ["-sc", "source", "-tc", "target", "-tbls", path, "--filter-status", "fail", "--format", "json"]
        answer = _answer([str(command), "validate", *words, *rest], self._environment)
        line = next((line for line in answer.stdout.splitlines() if line.startswith("{")), None)
        return list(json.loads(line).values()) if line else _last(answer.stderr) or "it gave no answer"

    def _connect(self, command: Path) -> None:
        home = self._folder / "dvt"
        home.mkdir()
        self._environment = {**os.environ, "PSO_DV_CONN_HOME": str(home), "PSO_DV_CONFIG_HOME": str(home)}
        for role in ("source", "target"):
            # It sets its sessions to the zone UTC by name.
            self._run(
                role,
                None,
                "INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (1, 'N')",
                "INSERT INTO mysql.time_zone_name VALUES ('UTC', 1)",
                "INSERT INTO mysql.time_zone_transition_type VALUES (1, 0, 0, 0, 'UTC')",
            )
            server = self._state["servers"][role]
            words = ["connections", "add", "--connection-name", role, "MySQL", "--host", "127.0.0.1"]
            words += ["--port", str(server["port"]), "--user", "root", "--password", server["root_password"]]
            _answer([str(command), *words, "--database", _DATABASE], self._environment)

    def _url(self, role: str) -> str:
        server = self._state["servers"][role]
        return f"mysql://root:{server['root_password']}@127.0.0.1:{server['port']}/{_DATABASE}"

    def _run(self, role: str, database: str | None, *statements: str) -> None:
        with (
            lifecycle.root_connection(self._state, role, database=database) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET SESSION sql_mode = '{SESSION_SQL_MODE}', foreign_key_checks = 0, time_zone = '+00:00'")
            for statement in statements:
                cursor.execute(statement)


def _judged(item: Planting, seen: set[str], otherwise: str) -> str:
    """Nothing where all rows of a variant were seen; else how many, or what else there is to say."""
    there = len(item.keys & seen)
    if there == len(item.keys):
        return ""
    return f"{there} of {len(item.keys)} rows" if there else otherwise


def _answer(command: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def _last(text: str) -> str:
    """The last words of a program, without what it says on its way."""
    lines = [line for line in text.splitlines() if line.strip() and "WARNING" not in line and "INFO" not in line]
    return lines[-1][-160:] if lines else ""
