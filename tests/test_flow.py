"""What the mapping does on the way (filters, exclusions, renames, masks), through every phase on real servers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Scratch
from migration import Migration
from workbook.bulk.salts import mark, tokens_of
from workbook.catalog import read_catalog
from workbook.errors import Refused, UsageError
from workbook.mapping import Mapping, load_mapping
from workbook.mapping.filters import why_refused
from workbook.names import mysql_path, quote_mysql
from workbook.schema import compare_schema, plan_schema
from workbook.validate.run import validate_copy

SALT = "a salt that nobody may see: €'\"`%s\\"
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
        monkeypatch.setenv("FLOW_SALT", SALT)
        scratch.script(TABLES.strip(), self.database)
        self.fill()
        self.migration = Migration.of(scratch, [self.database], **keys)

    def fill(self) -> None:
        rows = []
        for number in range(1, 400):
            text = ["ä€😀", "", "x'\\\t\n", "\\N"][number % 4]
            rows.append(
                (number, f"P{number}\\{text}@x.y", None if number % 7 == 0 else f"Münz {number % 50}", text,
                 f"i{number}", ["DE", "FR"][number % 2], secrets.token_bytes(20), number % 3 == 0, "secret" if number % 2 else None)
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
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str, capfd: pytest.CaptureFixture[str]
) -> None:
    route = Route(scratch, tmp_path, monkeypatch, bulk={"driver": driver})
    scratch.script(CODE, route.database)
    migration = route.migration
    migration.catalog = read_catalog(scratch.source, [route.database])
    migration.mapping = route.read()
    before = {role: heard(scratch, role) for role in ("source", "target")}
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
    assert people.columns["name"] == "tolerated" and people.columns["gone"] == "proven"
    assert "133 rows left out by the filter" in people.why and "left out by the mapping: intern" in people.why
    assert all(relation.verdict == "same" for relation in result.relations) and len(result.relations) == 2
    # The salt is told to no server and stands in nothing that is kept.
    for role, old in before.items():
        said = heard(scratch, role)
        assert len(said) > len(old)
        assert not any(SALT[:20] in text for text in said)
    shown = "".join(
        [str(loaded.asdict()), loaded._repr_html_(), str(result.asdict()), result._repr_html_(),
         repr(migration.mapping), migration.mapping._repr_html_(), str(migration.mapping.asdict()), *capfd.readouterr()]
    )  # fmt: skip
    assert SALT[:20] not in shown and "FLOW_SALT" in shown


def heard(scratch: Scratch, role: str) -> list[str]:
    """Every statement that a server keeps the text of: its general log, its history, its binary log."""
    run = scratch.execute if role == "source" else scratch.execute_target_root
    run("SET GLOBAL log_output = 'TABLE'")
    run("SET GLOBAL general_log = ON")
    found = [bytes(row[0]).decode("utf-8", "replace") for row in run("SELECT argument FROM mysql.general_log")]
    for table in ("events_statements_history_long", "events_statements_history", "events_statements_summary_by_digest"):
        column = "DIGEST_TEXT" if "digest" in table else "SQL_TEXT"
        found += [str(row[0]) for row in run(f"SELECT {column} FROM performance_schema.{table}")]
    return found
