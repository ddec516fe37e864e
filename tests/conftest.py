"""Real servers for the tests: one sandbox for the session, and scratch databases that each test makes and leaves."""

from __future__ import annotations

import importlib.util
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest
import yaml

from workbook import params, servers
from workbook.names import bigquery_path, quote_mysql
from workbook.sandbox import lifecycle

_numbers = itertools.count(1)
# Here the engine is started often and reads little: code that is compiled well would never be paid back.
os.environ.setdefault("WORKBOOK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
# The files that take minutes: begun last, one of them would keep a worker busy long after the other has nothing to do.
_LONG = (
    "test_documentation.py", "test_migration.py", "test_mariadb.py", "test_demo.py", "test_defects.py", "test_cdc.py",
    "test_cutover.py", "test_cutover_rehearse.py", "test_cdc_warehouse.py", "test_bad_input.py", "test_flow.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, otherwise as they stand."""
    items.sort(key=lambda item: _LONG.index(item.path.name) if item.path.name in _LONG else len(_LONG))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A bare sandbox: two MySQL servers and the warehouse, without the sample. WORKBOOK_TEST_SANDBOX names one that is up."""
    given = os.environ.get("WORKBOOK_TEST_SANDBOX")
    if given:
        state = lifecycle.read_state(Path(given))
        assert state, f"no sandbox in {given}"
        yield state
        return
    folder = tmp_path_factory.mktemp("sandbox") / "sb"
    try:
        yield lifecycle.up(folder, sample=False)
    finally:
        lifecycle.down(folder)


class Scratch:
    """Databases and datasets of one test, gone after it."""

    def __init__(self, state: dict[str, Any], folder: Path):
        self.state = state
        self.folder = folder
        self.settings_file = params.load(state["params"])
        self.source = servers.connect_source(self.settings_file)
        self.target = servers.connect_target(self.settings_file)
        self.warehouse = servers.connect_warehouse(self.settings_file)
        self._databases: list[str] = []
        self._datasets: list[str] = []
        self._accounts: list[str] = []

    def database(self, name: str | None = None) -> str:
        """A new, empty database on the source; dropped on both servers after the test."""
        name = name or f"scratch_{next(_numbers)}_{secrets.token_hex(2)}"
        self.drop_database(name)
        self.execute(f"CREATE DATABASE {quote_mysql(name)}")
        self._databases.append(name)
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database on both servers."""
        self.execute(f"DROP DATABASE IF EXISTS {quote_mysql(name)}")
        self.execute_target_root(f"DROP DATABASE IF EXISTS {quote_mysql(name)}")

    def account(self, account: str) -> str:
        """An account written as SQL writes it ('u'@'h'); dropped on both servers after the test, and now."""
        for run in (self.execute, self.execute_target_root):
            run(f"DROP USER IF EXISTS {account}")
        self._accounts.append(account)
        return account

    def dataset(self) -> str:
        """A dataset name that nobody uses; it and those that are named after it are removed after the test."""
        name = f"scratch_{next(_numbers)}_{secrets.token_hex(2)}"
        self._datasets += [name, *(f"{name}_{kind}" for kind in ("raw", "marts", "points"))]
        return name

    def execute(self, sql: str, database: str | None = None, values: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement on the source as root; its rows."""
        return self._run("source", sql, database, values)

    def execute_target_root(self, sql: str, database: str | None = None, values: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement on the target as the stand-in's root; its rows."""
        return self._run("target", sql, database, values)

    def _run(self, role: str, sql: str, database: str | None, values: Any) -> list[tuple[Any, ...]]:
        connection = lifecycle.root_connection(self.state, role, database=database)
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION sql_mode = '{servers.SESSION_SQL_MODE}'")
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    @contextmanager
    def source_root_connection(self, database: str) -> Iterator[Any]:
        """A cursor of a session of the source's root, for statements that belong together."""
        with (
            lifecycle.root_connection(self.state, "source", database=database) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET SESSION sql_mode = '{servers.SESSION_SQL_MODE}'")
            yield cursor

    @contextmanager
    def target_root_connection(self, database: str) -> Iterator[Any]:
        """The same on the target."""
        with (
            lifecycle.root_connection(self.state, "target", database=database) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    def script(self, text: str, database: str | None = None) -> None:
        """Run a script on the source as root, statements separated by lines that hold `;;` alone or by `;` at line ends."""
        connection: pymysql.Connection[Any] = lifecycle.root_connection(self.state, "source", database=database)
        separator = "\n;;\n" if "\n;;\n" in text else ";\n"
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION sql_mode = '{servers.SESSION_SQL_MODE}'")
            for statement in (text + "\n").split(separator):
                if statement.strip():
                    cursor.execute(statement)

    def params(self, databases: list[str], **keys: Any) -> Path:
        """A params file for `databases` against this sandbox, with a dataset of its own."""
        content = yaml.safe_load(Path(self.state["params"]).read_text())
        home = Path(self.state["params"]).parent
        for role in ("source", "target"):
            content[role]["password"] = f"file:{home / (role + '.password')}"
        content["source"]["databases"] = databases
        content["warehouse"]["dataset"] = self.dataset()
        content["environment"] = f"test-{next(_numbers)}-{secrets.token_hex(2)}"
        content.update(keys)
        path = self.folder / f"params-{next(_numbers)}.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return path

    def settings(self, databases: list[str], **keys: Any) -> params.Settings:
        """Settings for `databases` against this sandbox, with a dataset of its own."""
        return params.load(self.params(databases, **keys))

    def close(self) -> None:
        """Drop what the test made."""
        for name in self._databases:
            self.drop_database(name)
        for account in self._accounts:
            for run in (self.execute, self.execute_target_root):
                run(f"DROP USER IF EXISTS {account}")
        for name in self._datasets:
            self.warehouse.delete_dataset(f"{self.warehouse.project}.{name}", delete_contents=True, not_found_ok=True)

    def google(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement on the warehouse."""
        return [tuple(row.values()) for row in self.warehouse.query(sql).result()]

    def table_path(self, dataset: str, table: str) -> str:
        """A quoted path of a warehouse table."""
        return bigquery_path(self.warehouse.project, dataset, table)


@pytest.fixture
def scratch(sandbox: dict[str, Any], tmp_path: Path) -> Iterator[Scratch]:
    """Servers and databases for one test."""
    made = Scratch(sandbox, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def source_server(scratch: Scratch) -> Any:
    """The source with `.root()`, a fresh root connection."""

    class Root:
        def root(self) -> Any:
            return lifecycle.root_connection(scratch.state, "source")

    return Root()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium on PATH: the pages were not opened")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed: the pages were not opened")
    from playwright.sync_api import sync_playwright

    flags = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=flags.split())
        yield opened
        opened.close()
