"""What the mapping does on the way (filters, exclusions, renames, masks), through every phase on real servers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Scratch
from migration import Migration
from workbook.accounts import check_accounts, plan_accounts
from workbook.bulk.defer import restore_hindrances
from workbook.bulk.salts import tokens_of
from workbook.catalog import read_catalog
from workbook.errors import Refused, UsageError
from workbook.mapping import Mapping, load_mapping
from workbook.mapping.filters import why_refused
from workbook.names import mysql_path, quote_mysql
from workbook.plan import undo
from workbook.schema import compare_schema, plan_schema
from workbook.validate.content import Servers, compare_table
from workbook.validate.result import TableVerdict

NEVER_SEEN = secrets.token_hex(12)
SALT = f"a salt: €'\"`%s\\ {NEVER_SEEN}"
LOSSES = {"losses": ["representation", "datetime"]}
PEOPLE, ORDERS, LETTERS, PLAIN = "leu`te %s", "bestellung", "brief'e", "unberührt"
MAIL, NOTE, INNER, LAND = 'e-mail "%"', "no`te", "intern", "land"

TABLES = f"""
CREATE TABLE {quote_mysql(PEOPLE)} (
  id INT PRIMARY KEY, {quote_mysql(MAIL)} VARCHAR(100) NOT NULL, name VARCHAR(60) CHARACTER SET latin1,
  {quote_mysql(NOTE)} TEXT, {INNER} VARCHAR(20), {LAND} CHAR(2) NOT NULL, token BINARY(20), gone TINYINT NOT NULL,
  phrase VARCHAR(30), upper_land CHAR(2) AS (UPPER({LAND})) VIRTUAL, UNIQUE KEY mails ({quote_mysql(MAIL)}),
  KEY intern_land ({INNER}, {LAND}), KEY {LAND} ({LAND}), CONSTRAINT land_check CHECK ({LAND} <> 'XX'),
  CONSTRAINT mail_check CHECK ({quote_mysql(MAIL)} LIKE '%@%'), CONSTRAINT inner_check CHECK ({INNER} <> '?'));
CREATE TABLE {ORDERS} (id INT AUTO_INCREMENT PRIMARY KEY, person INT, gone TINYINT NOT NULL, total FLOAT,
  made DATETIME(6), state ENUM('a','b') NOT NULL, CONSTRAINT who FOREIGN KEY (person) REFERENCES {quote_mysql(PEOPLE)} (id));
CREATE TABLE {quote_mysql(LETTERS)} (mail VARCHAR(120) NOT NULL, no INT NOT NULL, gone TINYINT NOT NULL, body BLOB,
  PRIMARY KEY (mail, no),
  CONSTRAINT `to whom` FOREIGN KEY (mail) REFERENCES {quote_mysql(PEOPLE)} ({quote_mysql(MAIL)}));
CREATE TABLE {quote_mysql(PLAIN)} (id INT PRIMARY KEY, v VARCHAR(20), KEY v (v))
"""
CODE = f"""
CREATE VIEW of_people AS SELECT p.{LAND} FROM {quote_mysql(PEOPLE)} p
;;
CREATE VIEW on_view AS SELECT * FROM of_people
;;
CREATE VIEW of_orders AS SELECT o.id, o.total FROM {ORDERS} o JOIN {quote_mysql(PLAIN)} x ON x.id = o.id
;;
CREATE VIEW of_letters AS SELECT mail FROM {quote_mysql(LETTERS)}
;;
CREATE TRIGGER on_people BEFORE INSERT ON {quote_mysql(PEOPLE)} FOR EACH ROW SET NEW.{INNER} = 'x'
;;
CREATE TRIGGER on_orders BEFORE INSERT ON {ORDERS} FOR EACH ROW SET NEW.total = NEW.total + 0
;;
CREATE PROCEDURE by_text() BEGIN SET @s = 'SELECT COUNT(*) FROM {PEOPLE.replace("`", "``").join("``")}'; END
;;
CREATE PROCEDURE calls_it() CALL by_text()
;;
CREATE FUNCTION harmless(i INT) RETURNS INT DETERMINISTIC RETURN i + 1
"""


class Route:
    """A source with people, their orders and letters, and a mapping that hides and renames."""

    def __init__(self, scratch: Scratch, folder: Path, monkeypatch: pytest.MonkeyPatch, **keys: Any):
        self.scratch = scratch
        # The target gets a database of another name.
        self.database = scratch.database(f"from_{secrets.token_hex(3)}")
        self.new = f"to `{secrets.token_hex(3)}"
        scratch._databases.append(self.new)
        self.folder = folder
        # Stands in all that the target must not see.
        self.mark = secrets.token_hex(8)
        monkeypatch.setenv("FLOW_SALT", SALT)
        scratch.script(TABLES.strip(), self.database)
        self.fill()
        self.migration = Migration.of(scratch, [self.database], **keys)

    def fill(self) -> None:
        rows = []
        for number in range(1, 400):
            text = ["ä€😀", "", "x'\\\t\n", "\\N"][number % 4]
            rows.append(
                (number, f"P{number}\\{text}@{self.mark}", None if number % 7 == 0 else f"Münz {number % 50} {self.mark}",
                 text + self.mark, self.mark[:8] + str(number), ["DE", "FR"][number % 2], secrets.token_bytes(20),
                 number % 3 == 0, self.mark if number % 2 else None)
            )  # fmt: skip
        columns = f"(id, {quote_mysql(MAIL)}, name, {quote_mysql(NOTE)}, {INNER}, {LAND}, token, gone, phrase)"
        self.many(f"INSERT INTO {quote_mysql(PEOPLE)} {columns} VALUES".replace("%", "%%"), rows)
        self.many(
            f"INSERT INTO {ORDERS} (id, person, gone, total, made, state) VALUES",
            [(n, n if n < 400 else None, n % 3 == 0, n / 7, "2024-02-29 01:02:03.000004", "a") for n in range(1, 420)],
        )
        self.many(
            f"INSERT INTO {quote_mysql(LETTERS)} (mail, no, gone, body) VALUES",
            [(row[1], n, row[7], bytes(range(256))) for row in rows for n in range(2)],
        )
        self.many(f"INSERT INTO {quote_mysql(PLAIN)} (id, v) VALUES", [(1, "a"), (2, None)])

    def many(self, head: str, rows: list[tuple[Any, ...]]) -> None:
        places = "(" + ", ".join(["%s"] * len(rows[0])) + ")"
        values = [value for row in rows for value in row]
        self.scratch.execute(f"{head} {', '.join([places] * len(rows))}", self.database, values)

    def tables(self) -> dict[str, Any]:
        """The tables of the mapping file."""
        token = {"kind": "sha256", "salt": "env:FLOW_SALT"}
        return {
            PEOPLE: {
                "target": {"name": "people`s"},
                "where": "gone = 0 AND `intern` NOT LIKE '%;--'",
                "columns": {
                    MAIL: {"target": "mail %", "mask": token},
                    "name": {"mask": {**token, "length": 20}, "name": "name_token"},
                    NOTE: {"mask": {"kind": None}},
                    INNER: {"exclude": True},
                    LAND: {"target": "country"},
                    "token": {"mask": {**token, "length": 12}},
                    "phrase": {"mask": {"kind": "constant", "value": "it's \\ %s"}},
                },
            },
            ORDERS: {"where": "gone = 0"},
            LETTERS: {"where": "gone = 0", "columns": {"mail": {"mask": token}}},
            PLAIN: {},
        }

    def read(self, tables: dict[str, Any] | None = None, **top: Any) -> Mapping:
        """The mapping with these tables, read from a file."""
        content = {
            "version": 1,
            "target": {"databases": {self.database: self.new}},
            "segments": {
                "all": {
                    "scope": "in",
                    "requires": {"losses": ["representation", "datetime"]},
                    "tables": {self.database: tables if tables is not None else self.tables()},
                }
            },
            **top,
        }
        path = self.folder / f"{secrets.token_hex(3)}.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
        return load_mapping(path, self.migration.catalog, True)

    def there(self, table: str, what: str = "*") -> list[tuple[Any, ...]]:
        return self.scratch.execute_target_root(f"SELECT {what} FROM {mysql_path(self.new, table)}")


@pytest.fixture
def route(scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Route:
    return Route(scratch, tmp_path, monkeypatch)


def token_of(text: str | bytes, length: int = 32) -> str:
    """What a token is, said another way than the workbook does."""
    value = text.encode() if isinstance(text, str) else text
    return hmac.new(SALT.encode(), value, hashlib.sha256).hexdigest()[:length]


@pytest.mark.parametrize("driver", ["mysqlclient", "pymysql"])
def test_rows_and_columns_arrive_filtered_renamed_and_masked_and_are_proven_so(
    scratch: Scratch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    said: dict[str, Callable[[], list[str]]],
    driver: str,
) -> None:
    route = Route(scratch, tmp_path, monkeypatch, bulk={"driver": driver})
    scratch.script(CODE, route.database)
    migration = route.migration
    migration.catalog = read_catalog(scratch.source, [route.database])
    migration.mapping = route.read()
    migration.schema()
    loaded = migration.bulk()
    migration.warehouse()
    result = migration.validate()
    assert result.verdict == "same", [*result.findings]
    # The rows themselves, computed apart from all that the workbook does.
    source = scratch.execute(
        f"SELECT id, {quote_mysql(MAIL)}, CONVERT(name USING utf8mb4), {quote_mysql(NOTE)}, {LAND}, token, gone, phrase,"
        f" upper_land FROM {quote_mysql(PEOPLE)} WHERE gone = 0",
        route.database,
    )
    wanted = {
        (
            row[0], token_of(row[1]), None if row[2] is None else token_of(row[2], 20), None, row[4],
            bytes.fromhex(token_of(row[5], 24)).ljust(20, b"\0"), 0, None if row[7] is None else "it's \\ %s", row[8],
        )
        for row in source
    }  # fmt: skip
    assert {tuple(row) for row in route.there("people`s")} == wanted
    assert {row[0] for row in route.there(LETTERS, "mail")} <= {row[1] for row in wanted}
    assert {table.table: table.left_out for table in loaded.tables}[PEOPLE] == 133
    people = next(table for table in result.tables if table.table == PEOPLE and table.hop == "source-target")
    assert people.columns["name"] == "tolerated"
    assert people.columns["gone"] == "proven"
    assert "133 rows left out by the filter; left out by the mapping: intern" in people.why
    assert [relation.verdict for relation in result.relations] == ["same", "same"]
    # The salt is told to no server, not even for a moment, and the hidden values not to the target.
    for role in ("source", "target"):
        assert len(said[role]()) > 100
        assert not [text for text in said[role]() if NEVER_SEEN in text]
    assert not [text for text in said["target"]() if route.mark in text]
    home = Path(scratch.state["params"]).parent
    assert [path.name for path in files_with(home, NEVER_SEEN)] == []
    assert files_with(home / "source", route.mark)
    assert [path.name for path in files_with(home / "target", route.mark)] == []
    # Nor is it in what people read.
    shown = "".join(
        [str(loaded.asdict()), loaded._repr_html_(), str(result.asdict()), result._repr_html_(),
         repr(migration.mapping), migration.mapping._repr_html_(), str(migration.mapping.asdict()), *capfd.readouterr()]
    )  # fmt: skip
    assert NEVER_SEEN not in shown
    assert "FLOW_SALT" in shown
    assert route.mark not in loaded._repr_html_() + result._repr_html_() + str(result.asdict())


@pytest.fixture
def said(scratch: Scratch) -> Iterator[dict[str, Callable[[], list[str]]]]:
    """What each server was told while its general log ran, and what its statement history holds."""
    runs = {"source": scratch.execute, "target": scratch.execute_target_root}
    for run in runs.values():
        run("SET GLOBAL log_output = 'TABLE'")
        run("TRUNCATE mysql.general_log")
        run("SET GLOBAL general_log = ON")

    def heard(run: Callable[..., list[tuple[Any, ...]]]) -> list[str]:
        found = [bytes(row[0]).decode("utf-8", "replace") for row in run("SELECT argument FROM mysql.general_log")]
        for table in ("events_statements_history_long", "events_statements_history", "prepared_statements_instances"):
            found += [str(row[0]) for row in run(f"SELECT SQL_TEXT FROM performance_schema.{table}")]
        return found

    yield {role: partial(heard, run) for role, run in runs.items()}
    for run in runs.values():
        run("SET GLOBAL general_log = OFF")
        run("SET GLOBAL log_output = 'FILE'")
        run("TRUNCATE mysql.general_log")


def files_with(folder: Path, text: str) -> list[Path]:
    """The files below a folder that hold a text: tables, logs of all kinds, temporary files."""
    words = [
        "grep",
        "--recursive",
        "--files-with-matches",
        "--fixed-strings",
        "--binary-files=text",
        "-s",
        text,
        str(folder),
    ]
    return [Path(line) for line in subprocess.run(words, capture_output=True, text=True).stdout.splitlines()]


def test_code_and_parts_that_would_break_are_held_back_and_named(route: Route, scratch: Scratch) -> None:
    scratch.script(CODE, route.database)
    migration = route.migration
    migration.catalog = read_catalog(scratch.source, [route.database])
    migration.mapping = route.read()
    planned = plan_schema(scratch.source, scratch.target, migration.catalog, migration.mapping, set())
    held = {item.name: item.why for item in planned.left if item.why.startswith("held back")}
    assert set(held) == {
        mysql_path(route.new, name) for name in ("of_people", "on_view", "on_people", "by_text", "calls_it")
    }
    assert "which is held back" in held[mysql_path(route.new, "calls_it")]
    parts = {item.name.rpartition(".")[2] for item in planned.left if item.kind in ("index", "check", "foreign key")}
    assert parts == {"`intern_land`", "`inner_check`", "`mail_check`"}
    migration.schema()
    assert plan_schema(
        scratch.source, scratch.target, migration.catalog, migration.mapping, migration.notes.objects
    ).empty
    found = compare_schema(scratch.source, scratch.target, migration.catalog, migration.mapping)
    assert {item.verdict for item in found} == {"same", "tolerated"}
    scratch.execute_target_root("INSERT INTO `bestellung` (id, gone, state) VALUES (1, 0, 'a')", route.new)
    assert scratch.execute_target_root("SELECT id FROM of_orders", route.new) == []
    # Something that changed on the target by itself still shows.
    scratch.execute_target_root("ALTER TABLE `people``s` MODIFY country CHAR(3) NOT NULL", route.new)
    found = compare_schema(scratch.source, scratch.target, migration.catalog, migration.mapping)
    assert [item.name for item in found if item.verdict == "different" and item.kind == "column"] == [
        mysql_path(route.new, "people`s", "country")
    ]


def test_a_column_that_is_renamed_holds_back_code_that_names_it_and_no_other(route: Route, scratch: Scratch) -> None:
    scratch.script(CODE, route.database)
    route.migration.catalog = read_catalog(scratch.source, [route.database])
    tables = {PEOPLE: {}, ORDERS: {"columns": {"total": {"target": "sum"}}}, LETTERS: {}, PLAIN: {}}
    mapping = route.read(tables, target={})
    planned = plan_schema(scratch.source, scratch.target, route.migration.catalog, mapping, set())
    held = {item.name for item in planned.left if item.why.startswith("held back")}
    assert held == {mysql_path(route.database, "of_orders"), mysql_path(route.database, "on_orders")}


def test_a_difference_behind_masks_is_found_and_shows_no_hidden_value(route: Route, scratch: Scratch) -> None:
    migration = route.migration
    migration.mapping = route.read()
    migration.schema()
    migration.bulk()
    servers = Servers(scratch.source, scratch.target, scratch.warehouse)

    def compared(table: str) -> TableVerdict:
        path = (route.database, table)
        return compare_table(
            servers, migration.catalog.table[path], migration.mapping.tables[path], migration.settings
        )[0]

    people, letters = "`people``s`", quote_mysql(LETTERS)
    for table, change, counts, column in (
        (PEOPLE, f"UPDATE {people} SET token = REVERSE(token) WHERE id = 5", (0, 0, 1), ["token"]),
        (PEOPLE, f"UPDATE {people} SET gone = 1 WHERE id = 7", (0, 0, 2), ["gone", "token"]),
        (PEOPLE, f"UPDATE {people} SET `no``te` = 'seen' WHERE id = 7", (0, 0, 2), ["gone", NOTE, "token"]),
        (LETTERS, f"DELETE FROM {letters} LIMIT 1", (1, 0, 0), []),
        (ORDERS, "INSERT INTO bestellung (id, gone, state) VALUES (9999, 0, 'a')", (0, 1, 0), []),
    ):
        scratch.execute_target_root(change, route.new)
        found = compared(table)
        assert (found.missing, found.extra, found.changed) == counts, change
        assert sorted(name for name, state in found.columns.items() if state == "different") == sorted(column)
        assert route.mark not in str(found)


def test_a_load_by_a_masked_key_goes_on_where_it_stopped_and_its_ledger_tells_no_key(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(scratch, tmp_path, monkeypatch, bulk={"chunk_rows": 60, "workers": 2})
    migration = route.migration
    migration.mapping = route.read()
    migration.schema()
    whole = migration.bulk()
    chunks = f"`_workbook`.`chunks_{migration.settings.environment}`"
    kept = scratch.execute_target_root(f"SELECT bounds FROM {chunks}")
    assert len(kept) > 6
    assert "sealed" in str(kept)
    assert route.mark not in str(kept)
    rows = set(route.there(LETTERS))
    # As if it had been cut off before the last chunks.
    load_state = f"`_workbook`.`load_{migration.settings.environment}`"

    def cut_off() -> None:
        scratch.execute_target_root(f"UPDATE {load_state} SET state = 'loading'")
        scratch.execute_target_root(
            f"UPDATE {chunks} SET loaded_rows = NULL, loaded_at = NULL WHERE source_table = %s", values=(LETTERS,)
        )
        scratch.execute_target_root(f"DELETE FROM {quote_mysql(LETTERS)}", route.new)

    cut_off()
    again = migration.bulk()
    assert again.resumed
    assert again.rows == whole.rows
    assert set(route.there(LETTERS)) == rows
    cut_off()
    monkeypatch.setenv("FLOW_SALT", "another salt of enough letters")
    other = migration.bulk()
    assert not other.resumed
    assert "have changed" in other.why
    assert len(route.there(LETTERS)) == len(rows)
    assert not rows & set(route.there(LETTERS))


def test_a_salt_does_not_travel_to_other_machines(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(scratch, tmp_path, monkeypatch, bulk={"runner": "beam"})
    route.migration.mapping = route.read()
    with pytest.raises(Refused, match=r"masks .* with a salt, and bulk\.runner is beam"):
        route.migration.bulk()
    assert route.migration.notes.objects == set()


def test_children_of_rows_that_a_filter_leaves_out_are_refused_before_anything_is_written(
    route: Route, scratch: Scratch
) -> None:
    tables = route.tables()
    del tables[ORDERS]["where"]
    with pytest.raises(Refused, match=r"133 rows of .*`bestellung` by the foreign key 'who'"):
        plan_schema(scratch.source, scratch.target, route.migration.catalog, route.read(tables), set())
    # A child that the collation finds its parent for, and a mask does not.
    scratch.execute(f"UPDATE {quote_mysql(LETTERS)} SET mail = UPPER(mail) WHERE no = 0 AND gone = 0", route.database)
    with pytest.raises(Refused, match=r"266 rows of .* by the foreign key 'to whom'"):
        plan_schema(scratch.source, scratch.target, route.migration.catalog, route.read(), set())


def test_grants_follow_what_they_were_given_on_and_reach_nothing_else(route: Route, scratch: Scratch) -> None:
    old, new = route.database, route.new
    accounts = [scratch.account(f"'{name}_{secrets.token_hex(2)}'@'%'") for name in ("cols", "pattern", "taken")]
    for account in accounts:
        scratch.execute(f"CREATE USER {account} IDENTIFIED BY 'A password, 1'")
    people, orders = (f"`{old}`.{quote_mysql(name)}" for name in (PEOPLE, ORDERS))
    scratch.execute(f"GRANT SELECT (id, {LAND}, {INNER}), UPDATE ({quote_mysql(MAIL)}) ON {people} TO {accounts[0]}")
    scratch.execute(f"GRANT INSERT ON {orders} TO {accounts[0]}")
    wild = old[:-1].replace("_", r"\_") + "%"
    scratch.execute(f"GRANT SELECT, EXECUTE ON `{wild}`.* TO {accounts[1]}")
    # On the source this reaches nothing, and on the target it would reach everything.
    scratch.execute(f"GRANT SELECT ON {quote_mysql(new)}.* TO {accounts[2]}")
    scratch.execute(f"GRANT DELETE ON `{old}`.* TO {accounts[2]}")
    migration = route.migration
    migration.mapping = route.read()
    migration.schema()
    planned = plan_accounts(
        scratch.source, scratch.target, migration.catalog, migration.mapping, migration.notes.objects
    )
    migration.accounts()
    held = [
        {str(row[0]) for row in scratch.execute_target_root(f"SHOW GRANTS FOR {account}") if "USAGE" not in row[0]}
        for account in accounts
    ]
    there = quote_mysql(new)
    assert {line.replace(" TO ", "|").partition("|")[0] for line in held[0]} == {
        f"GRANT SELECT (`country`, `id`), UPDATE (`mail %`) ON {there}.`people``s`",
        f"GRANT INSERT ON {there}.`bestellung`",
    }
    assert [line.partition(" TO ")[0].partition("GRANT ")[2].partition(" ON ")[0] for line in held[1]] == [
        "SELECT, EXECUTE"
    ]
    assert [line.partition(" ON ")[0] for line in held[2]] == ["GRANT DELETE"]
    assert any("excludes the column" in item.why for item in planned.left)
    result = check_accounts(planned, scratch.target, migration.catalog, migration.mapping, migration.notes.objects)
    own = [account.replace("'", "`") for account in accounts]
    assert not [item for item in result.objects if item.verdict == "different" and any(a in item.name for a in own)]
    assert not [effect for effect in result.effects if effect.gained and effect.account in accounts]


def test_the_way_back_takes_the_renamed_database_away(route: Route, scratch: Scratch) -> None:
    migration = route.migration
    migration.mapping = route.read()
    migration.schema()
    migration.bulk()
    # Back to the end of the schema phase, after the source has moved on.
    scratch.execute(f"UPDATE {ORDERS} SET gone = 0", route.database)
    undo([text for _, text in reversed(migration.notes.undo) if text.startswith("TRUNCATE")], scratch.target)
    restore_hindrances(scratch.source, scratch.target, migration.catalog, migration.mapping, migration.notes.objects)
    assert route.there("people`s") == []
    undo([text for _, text in reversed(migration.notes.undo)], scratch.target)
    known = {row[0] for row in scratch.execute_target_root("SHOW DATABASES")}
    assert not known & {route.new, route.database}


KINDS = """
CREATE TABLE kinds (a CHAR(40) CHARACTER SET latin1, b VARCHAR(40) CHARACTER SET utf16, c TINYTEXT, d TEXT, e MEDIUMTEXT,
  f LONGTEXT CHARACTER SET gbk, g BINARY(16), h VARBINARY(64), i TINYBLOB, j BLOB, k MEDIUMBLOB, l LONGBLOB,
  m VARCHAR(40) CHARACTER SET latin1, n INT, boss INT, UNIQUE KEY n (n), KEY boss (boss),
  CONSTRAINT above FOREIGN KEY (boss) REFERENCES kinds (n));
CREATE TABLE one (id INT PRIMARY KEY, v INT);
CREATE TABLE two (id INT PRIMARY KEY, w INT)
"""


def test_every_type_that_can_be_masked_holds_the_token_of_its_text_or_bytes(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOW_SALT", SALT)
    database = scratch.database()
    scratch.script(KINDS.strip(), database)
    columns, value = "abcdefghijklm", "Zü\t \\ müde"
    raw = [value.encode() if name in "ghijkl" else value for name in columns]
    raw[6] = bytes(range(16))
    places = ", ".join(["%s"] * 15)
    for number, values in enumerate((raw, [None] * 13, [b"" if isinstance(item, bytes) else "" for item in raw])):
        scratch.execute(f"INSERT INTO kinds VALUES ({places})", database, [*values, number, 0 if number == 2 else None])
    scratch.execute("INSERT INTO one VALUES (1, 10)", database)
    scratch.execute("INSERT INTO two VALUES (2, 20)", database)
    migration = Migration.of(scratch, [database])
    token = {"kind": "sha256", "salt": "env:FLOW_SALT"}
    rules = {"to_utf8mb4": ["latin1"]}
    tables = {
        "kinds": {
            "target": rules,
            "where": "n < 5",
            "columns": {name: {"mask": token} for name in columns if name != "b"} | {"b": {"mask": {"kind": "null"}}},
        },
        # Two tables that swap their names.
        "one": {"target": {"name": "two"}},
        "two": {"target": {"name": "one"}},
    }
    path = tmp_path / "mapping.yaml"
    content = {"version": 1, "segments": {"all": {"scope": "in", "requires": LOSSES, "tables": {database: tables}}}}
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    migration.mapping = load_mapping(path, migration.catalog, True)
    migration.schema()
    migration.bulk()
    rows = scratch.execute_target_root("SELECT * FROM kinds ORDER BY n", database)
    empty = scratch.execute("SELECT g FROM kinds WHERE n = 2", database)[0][0]
    for row, values in ((rows[0], raw), (rows[2], ["" if isinstance(item, str) else b"" for item in raw])):
        for name, found, given in zip(columns, row, values, strict=False):
            given = empty if name == "g" and not given else given
            whole = token_of(given, 32)
            wanted = bytes.fromhex(whole) if name in "ghijkl" else whole
            assert found == (None if name == "b" else wanted), name
    assert rows[1][:13] == (None,) * 13
    assert scratch.execute_target_root("SELECT id, v FROM two", database) == [(1, 10)]
    assert scratch.execute_target_root("SELECT id, w FROM one", database) == [(2, 20)]
    migration.warehouse()
    result = migration.validate()
    assert result.verdict == "same", result.findings


TOKEN = {"kind": "sha256", "salt": "env:FLOW_SALT"}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("unknown column", {PEOPLE: {"columns": {"lend": {"exclude": True}}}}, r"does not have \(did you mean land"),
    ("filter that does not parse", {PEOPLE: {"where": "gone ="}}, "the filter of .* cannot be read"),
    ("filter with a subquery", {PEOPLE: {"where": "id IN (SELECT 1)"}}, "only the row itself"),
    ("filter by the clock", {ORDERS: {"where": "made < NOW()"}}, r"calls NOW\(\)"),
    ("number masked", {ORDERS: {"columns": {"person": {"mask": TOKEN}}}}, "int cannot hold"),
    ("too short", {PEOPLE: {"columns": {LAND: {"mask": TOKEN}}}}, r"room for 2 digits.*probability of 1\.0e\+00: 18"),
    ("too few digits", {PEOPLE: {"columns": {"name": {"mask": {**TOKEN, "length": 12}}}}}, r"probability of 1\.8e-03"),
    ("computed from a mask", {PEOPLE: {"columns": {LAND: {"mask": {"kind": "constant", "value": "X"}}}}},
     "'upper_land' is computed from 'land', which is masked"),
    ("computed from nothing", {PEOPLE: {"columns": {LAND: {"exclude": True}}}}, "which is excluded: exclude it too"),
    ("one end masked", {PEOPLE: {"columns": {MAIL: {"mask": TOKEN}}}}, "not masked alike"),
    ("NULL where none may be", {PEOPLE: {"columns": {"gone": {"mask": {"kind": "null"}}}}}, "takes no NULL"),
    ("constant in a unique key", {PEOPLE: {"columns": {MAIL: {"mask": {"kind": "constant", "value": "x"}}}}},
     "'mails' would refuse"),
    ("key excluded", {PEOPLE: {"columns": {"id": {"exclude": True}}}}, "part of the primary key"),
    ("column names alike", {PEOPLE: {"columns": {"name": {"target": "GONE"}}}}, "are both"),
    ("table names alike", {PEOPLE: {"target": {"name": "BeStellung"}}}, "which the table .* is called"),
    ("name too long", {PEOPLE: {"target": {"name": "x" * 65}}}, "1 to 64 letters"),
    ("exclude beside another", {PEOPLE: {"columns": {"name": {"exclude": True, "target": "x"}}}}, "does not stand alone"),
    ("unknown kind", {PEOPLE: {"columns": {"name": {"mask": {"kind": "md5"}}}}}, "one of sha256, null, constant"),
]  # fmt: skip


def test_a_mapping_that_cannot_be_is_refused_on_reading_with_its_line(route: Route) -> None:
    for what, tables, message in BAD:
        with pytest.raises(UsageError, match=message) as caught:
            route.read({**{name: {} for name in (PEOPLE, ORDERS, LETTERS, PLAIN)}, **tables})
        assert ", line " in caught.value.found, what
        assert caught.value.exit_status == 2
    for name in ("nowhere", route.database):
        with pytest.raises(UsageError, match=r"becomes 'mysql'|does not have"):
            route.read(target={"databases": {name: "mysql"}})


def test_a_salt_that_is_written_out_missing_or_short_is_refused_and_not_repeated(
    route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"mask": {"kind": "sha256", "salt": "pepper and salt, written out"}}
    with pytest.raises(UsageError, match="no salt by reference") as caught:
        route.read({PEOPLE: {"columns": {"name": plain}}})
    assert "pepper" not in str(caught.value)
    mapping = route.read()
    item = mapping.tables[route.database, PEOPLE]
    table = route.migration.catalog.table[item.path]
    monkeypatch.setenv("FLOW_SALT", "pepper")
    with pytest.raises(UsageError, match="fewer than 16 letters") as caught:
        tokens_of(table, item, route.migration.settings)
    assert "pepper" not in str(caught.value)
    monkeypatch.delenv("FLOW_SALT")
    route.migration.mapping = mapping
    with pytest.raises(UsageError, match="FLOW_SALT is not set"):
        route.migration.bulk()


def test_filters_that_are_one_steady_condition_pass_and_others_do_not() -> None:
    columns = ("id", "a b", "it's", "made", "j")
    good = [
        "id > 5", "`a b` LIKE '%;-- @ ? /*'", "made BETWEEN '2020-01-01' AND DATE_ADD('2020-01-01', INTERVAL 1 DAY)",
        "j->>'$.a' = 1", "`it's` <=> 'x'", "NOT id", "id % 2 = 0", "LEFT(`a b`, 2) IN ('a', \"b\")", "ID IS NOT NULL",
    ]  # fmt: skip
    bad = [
        "", "1 = 1", "id = 1; SELECT 2", "id = 1 -- x", "id = 1 # x", "id = 1 /*! OR 1 */", "id = 1) OR (id = 2",
        "id = @x", "id = @@port", "id := 3", "id IN (SELECT 1)", "EXISTS (SELECT 1)", "COUNT(id) > 1", "RAND() < id",
        "SLEEP(id)", "`sleep`(id)", "mine(id)", "db.mine(id)", "made > CURRENT_DATE", "USER() = `a b`", "other = 1",
        "t.id = 1", "id = ?", "id, 1", "id AS x", "SELECT id",
    ]  # fmt: skip
    assert [text for text in good if why_refused(text, columns) is not None] == []
    assert [text for text in bad if why_refused(text, columns) is None] == []
