"""Change capture on real servers: the real engine reads the source, and the target must hold the same to the byte."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from conftest import Scratch
from outages import kill_server, killed
from stream import Stream
from workbook.catalog import read_catalog
from workbook.cdc import look
from workbook.errors import Refused
from workbook.phases import open_phase
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.rollback import rollback
from workbook.phases.standing import where_we_are
from workbook.sandbox import lifecycle
from workbook.servers import Session

KINDS = """
CREATE TABLE kinds (id INT PRIMARY KEY AUTO_INCREMENT, tiny TINYINT, ub BIGINT UNSIGNED, dec1 DECIMAL(65,30), f FLOAT,
 db DOUBLE, b1 BIT(1), b64 BIT(64), y YEAR, d DATE, dn DATE NOT NULL, dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP NULL,
 ts3 TIMESTAMP(3) NULL, tm TIME, tm6 TIME(6), c CHAR(5), v VARCHAR(100), l1 VARCHAR(20) CHARACTER SET latin1,
 sj VARCHAR(20) CHARACTER SET sjis, t LONGTEXT, bi BINARY(5), vb VARBINARY(20), bl LONGBLOB,
 e ENUM('','ü','b,c','it''s'), s SET('x','y z','ü'), j JSON, g GEOMETRY, p POINT SRID 4326, vec VECTOR(3),
 gen INT GENERATED ALWAYS AS (tiny + 1) STORED, inv INT INVISIBLE DEFAULT 5);
INSERT INTO kinds (id, dn) VALUES (1, '2020-01-01');
"""

MOST = (
    KINDS
    + """
CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(20));
CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id)
 ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE grandchild (id INT PRIMARY KEY, child_id INT, FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE SET NULL);
CREATE TABLE seats (id INT PRIMARY KEY, seat VARCHAR(10) UNIQUE, other INT);
CREATE TABLE words (word VARCHAR(50) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, n INT);
CREATE TABLE padded (word VARCHAR(50) COLLATE utf8mb4_general_ci, part BINARY(3), n INT, PRIMARY KEY (word, part));
CREATE TABLE keyless (a INT, b VARCHAR(20), f FLOAT, j JSON);
CREATE TABLE emptied (id INT PRIMARY KEY, v INT);
CREATE TABLE `grö ße,n & %s "x" ``尺` (`select` INT PRIMARY KEY, `ä %d ``` VARCHAR(20));
INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO child VALUES (10, 1), (11, 1), (20, 2), (30, 3);
INSERT INTO grandchild VALUES (100, 10), (200, 20), (300, 30);
INSERT INTO seats VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0);
INSERT INTO words VALUES ('Abc', 1), ('straße', 2);
INSERT INTO padded VALUES ('a ', 0x610000, 1);
INSERT INTO keyless VALUES (1, 'x', 0.1, '{"a": 1}'), (1, 'x', 0.1, '{"a": 1}'), (2, 'X', -0.0, NULL);
INSERT INTO emptied VALUES (1, 1), (2, 2);
"""
)

KINDS_CHANGES = r"""
INSERT INTO kinds (tiny, ub, dec1, f, db, b1, b64, y, d, dn, dt, dt6, ts, ts3, tm, tm6, c, v, l1, sj, t, bi, vb, bl, e, s, j, g, p, vec, inv)
 VALUES (-128, 18446744073709551615, '12345678901234567890123456789012345.123456789012345678901234567891', 3.4028235e38,
 1.7976931348623157e308, 1, 18446744073709551615, 2155, '9999-12-31', '1000-01-01', '9999-12-31 23:59:59',
 '0001-01-01 00:00:00.000001', '2038-01-19 03:14:07', '1970-01-01 00:00:01.001', '-838:59:59', '838:59:58.999999', 'a  ',
 'tab\there ''quote'' "double" \\ back 💐 ', 'é€Ÿ', '表示ソ', REPEAT('ü', 70000), 0x0100, 0x00ff00, REPEAT(0x00ff27225c, 20000),
 'it''s', 'x,ü', '{"ü": [1, 2.5, 1e10, -0.0, "2020-01-01", "x", null, true, 123456789012345], "a": {"b": []}}',
 ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))'), ST_GeomFromText('POINT(45 90)', 4326),
 TO_VECTOR('[1.5,-0.25,3e-5]'), NULL);
INSERT INTO kinds (y, d, dn, dt, dt6, ts, ts3, tm, c, v, bi, vb, bl, e, s, b1, b64, f, db)
 VALUES (0, '0000-00-00', '0000-00-00', '0000-00-00 00:00:00', '2020-00-10 00:00:00.5', '0000-00-00', '0000-00-00 00:00:00', '00:00:00', '', '',
 '', '', '', 0, '', 0, 0, 1.1754944e-38, -0e0);
INSERT INTO kinds (d, dn, dt, e, f, db, v) VALUES ('1970-01-01', '1970-01-01', '1970-01-01', '', 16777217, 4.9e-324, NULL);
INSERT INTO kinds (id, dn, j) VALUES (0, '2020-01-01', JSON_OBJECT('d', CAST('2020-01-01' AS DATE), 'big', 1e15, 'f', 1.0));
UPDATE kinds SET id = 1000 WHERE id = 1;
UPDATE kinds SET t = CONCAT(t, '!'), j = JSON_SET(j, '$.z', 1) WHERE t IS NOT NULL;
"""

CHANGES = (
    KINDS_CHANGES
    + r"""
BEGIN;
UPDATE parent SET id = 4 WHERE id = 1;
DELETE FROM parent WHERE id = 2;
INSERT INTO parent VALUES (2, 'again');
INSERT INTO child VALUES (21, 2);
UPDATE child SET parent_id = 3 WHERE id = 21;
DELETE FROM parent WHERE id = 3;
COMMIT;
BEGIN;
UPDATE seats SET seat = 'x', other = 1 WHERE id = 1;
UPDATE seats SET seat = 'a', other = 1 WHERE id = 2;
UPDATE seats SET seat = 'b', other = 1 WHERE id = 1;
DELETE FROM seats WHERE id = 3;
INSERT INTO seats VALUES (4, 'c', 2);
COMMIT;
UPDATE words SET word = 'ABC' WHERE word = 'Abc';
DELETE FROM words WHERE word = 'straße';
INSERT INTO words VALUES ('STRASSE', 3);
UPDATE padded SET n = 2, word = 'A' WHERE word = 'a';
DELETE FROM keyless WHERE a = 1 LIMIT 1;
UPDATE keyless SET b = 'y', j = '[1.5]' WHERE BINARY b = 'X';
INSERT INTO keyless VALUES (3, NULL, NULL, NULL), (3, NULL, NULL, NULL);
DELETE FROM keyless WHERE a = 3 LIMIT 1;
INSERT INTO `grö ße,n & %s "x" ``尺` VALUES (1, '%s %d "x"'), (2, NULL);
UPDATE `grö ße,n & %s "x" ``尺` SET `select` = 3 WHERE `select` = 1;
"""
)

DEFINITIONS = """
TRUNCATE TABLE emptied;
INSERT INTO emptied VALUES (3, 3);
ALTER TABLE emptied ADD COLUMN w VARCHAR(10) NOT NULL DEFAULT 'new' AFTER id, ADD INDEX (w);
INSERT INTO emptied VALUES (4, 'x', 4);
ALTER TABLE emptied RENAME COLUMN w TO ww, MODIFY v BIGINT;
UPDATE emptied SET v = 1234567890123 WHERE id = 3;
ALTER TABLE emptied DROP COLUMN ww;
INSERT INTO emptied VALUES (5, 5);
"""


def run(scratch: Scratch, database: str, text: str) -> None:
    """Statements on one connection, so that transactions hold."""
    scratch.script(text.strip() + "\n", database)


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for runs, the ledger and the engine's files."""
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "reports"


def test_every_change_arrives_to_the_byte(scratch: Scratch) -> None:
    database = scratch.database()
    run(scratch, database, MOST)
    stream = Stream.of(scratch, [database])
    run(scratch, database, CHANGES)
    stream.start()
    try:
        stream.caught_up()
        assert [(letter.error, letter.path) for letter in stream.ledger.letters(stream.target)] == []
        assert not stream.differences()
        run(scratch, database, DEFINITIONS)
        stream.caught_up()
        assert not stream.differences()
        assert [letter.error for letter in stream.ledger.letters(stream.target)] == []
        assert stream.ledger.stopped(stream.target) == ()
    finally:
        stream.stop()


# Of each type two values that a key may hold beside another column.
KEYS = {
    "ENUM('','ü','2','b,c')": ("'2'", "'ü'"), "SET('x','y z','1')": ("'x,1'", "'y z'"), "BIT(5)": ("b'10'", "b'11111'"),
    "YEAR": ("2000", "0"), "DATE": ("'2020-02-29'", "'9999-12-31'"), "DATETIME(3)": ("'2020-01-01 00:00:00.001'", "'1000-01-01'"),
    "TIMESTAMP(2)": ("'2020-01-01 00:00:00.01'", "'2038-01-19 03:14:07'"), "TIME(2)": ("'-838:59:59'", "'00:00:00.01'"),
    "DECIMAL(10,3)": ("-1.5", "1.500"), "DOUBLE": ("-0.1", "1e300"), "FLOAT": ("CAST(0.1 AS FLOAT)", "16777217"), "TINYINT(1)": ("-128", "1"),
    "BIGINT UNSIGNED": ("18446744073709551615", "0"), "CHAR(3) CHARACTER SET latin1": ("'é'", "'1'"),
    "VARCHAR(9) COLLATE utf8mb4_0900_as_ci": ("'ß'", "'1 '"), "VARBINARY(4)": ("0x00FF", "''"), "BINARY(2)": ("0x6100", "0x0000"),
}  # fmt: skip


def test_a_column_of_any_type_may_be_part_of_a_key(scratch: Scratch) -> None:
    """Many rows in one batch: read again, changed, given another key and taken away."""
    database = scratch.database()
    made, changed = [], []
    for number, (kind, (one, other)) in enumerate(KEYS.items()):
        made.append(
            f"CREATE TABLE k{number} (a INT, x {kind} NOT NULL, v INT, z DATE, PRIMARY KEY (a, x));\nINSERT INTO k{number}"
            f" VALUES {', '.join(f'({a}, {x}, 1, NULL)' for a in range(6) for x in (one, other))};"
        )
        changed.append(
            f"BEGIN;\nUPDATE k{number} SET v = a, z = '0000-00-00' WHERE a < 2;\nUPDATE k{number} SET v = 9 WHERE a = 2;\n"
            f"DELETE FROM k{number} WHERE a = 3 OR (a = 4 AND x = {one});\nUPDATE k{number} SET x = {one} WHERE a = 4;\n"
            f"UPDATE k{number} SET a = 7 WHERE a = 5;\nCOMMIT;"
        )
    run(scratch, database, "\n".join(made))
    stream = Stream.of(scratch, [database])
    run(scratch, database, "\n".join(changed))
    stream.start()
    try:
        stream.caught_up()
    finally:
        stream.stop()
    assert [(letter.error, letter.path) for letter in stream.ledger.letters(stream.target)] == []
    assert not stream.differences()
    rows = [scratch.execute_target_root(f"SELECT COUNT(*), SUM(v) FROM k{n}", database)[0] for n in range(len(KEYS))]
    assert set(rows) == {(9, 23)}


OTHER_KEYS = """
CREATE TABLE a (b INT NULL, v INT, UNIQUE b (b));
CREATE TABLE b (z INT NOT NULL, b INT NOT NULL, v INT, UNIQUE z (z), UNIQUE b (b));
CREATE TABLE c (zeta INT NOT NULL, beta INT NOT NULL, v INT, UNIQUE z (zeta), UNIQUE b (beta));
CREATE TABLE d (name VARCHAR(30), b INT NOT NULL, v INT, PRIMARY KEY (name(10)), UNIQUE b (b));
CREATE TABLE russian (k VARCHAR(10) CHARACTER SET koi8u PRIMARY KEY, v INT);
INSERT INTO a VALUES (10, 1), (20, 1);
INSERT INTO b VALUES (1, 10, 1), (2, 20, 1);
INSERT INTO c VALUES (1, 10, 1), (2, 20, 1);
INSERT INTO d VALUES ('one', 10, 1), ('two', 20, 1);
INSERT INTO russian VALUES ('Київ', 1);
"""


def test_a_row_that_gets_another_key_than_the_engine_knows_of_leaves_its_old_one(scratch: Scratch) -> None:
    """Debezium takes the key that it finds first, and keeps it through DDL; ours is that of the target."""
    database = scratch.database()
    run(scratch, database, OTHER_KEYS)
    stream = Stream.of(scratch, [database])
    moved = "UPDATE b SET b = 11, v = 2 WHERE b = 10;\nUPDATE c SET beta = 11, v = 2 WHERE beta = 10;\nUPDATE d SET b = 11 WHERE b = 10"
    run(scratch, database, f"{moved};\nUPDATE russian SET v = 2")
    stream.start()
    try:
        stream.caught_up()
        run(
            scratch,
            database,
            "ALTER TABLE a MODIFY b INT NOT NULL;\nALTER TABLE b DROP INDEX z;\nUPDATE a SET b = 11 WHERE b = 10;\n"
            "UPDATE b SET b = 12 WHERE b = 11;\nUPDATE c SET zeta = 3 WHERE zeta = 2;\nDELETE FROM d WHERE b = 20;\n"
            "UPDATE b SET z = 1, v = 3;",
        )
        stream.caught_up()
    finally:
        stream.stop()
    assert [(letter.error, letter.path) for letter in stream.ledger.letters(stream.target)] == []
    assert {item.path[1]: item.reason for item in stream.ledger.stopped(stream.target)} == {
        "russian": "its key holds text in koi8u, which events do not carry exactly"
    }
    assert list(stream.differences()) == [f"`{database}`.`russian`"]


UNCERTAIN = (
    "ADD c DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)", "ADD c DATETIME DEFAULT CURRENT_TIMESTAMP",
    "ADD c TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00'", "MODIFY ts DATETIME", "CHANGE dt dt TIMESTAMP NULL",
    "ADD c REAL", "ADD c VARCHAR(8) CHARACTER SET binary", "ADD c CHAR(4) BYTE", "ADD c VARCHAR(20) AS (a || b) STORED",
    "ADD c FLOAT8 NULL",
)  # fmt: skip
CERTAIN = (
    "ADD c TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP", "ADD active BOOL NOT NULL DEFAULT 1", "MODIFY ts TIMESTAMP(3) NULL",
    "ADD byte INT", "ADD c DATETIME DEFAULT '2020-01-01 00:00:00'", "ADD c TIMESTAMP NULL DEFAULT NULL",
)  # fmt: skip


def test_definitions_that_mean_one_thing_or_another_by_the_session_stop_their_table(scratch: Scratch) -> None:
    """The session on the source has another time zone and sql_mode than the applier's on the target."""
    database = scratch.database()
    all_of_them = [*UNCERTAIN, *CERTAIN]
    made = "CREATE TABLE s{0} (id INT PRIMARY KEY, a INT, b INT, ts TIMESTAMP NULL, dt DATETIME);\nINSERT INTO s{0} VALUES (1, 0, 1, '2020-06-01', '2020-06-01')"
    run(scratch, database, ";\n".join(made.format(number) for number in range(len(all_of_them))))
    stream = Stream.of(scratch, [database])
    stream.start()
    try:
        stream.caught_up()
        statements = ["SET time_zone = '+02:00'"]
        for number, part in enumerate(all_of_them):
            statements += [
                f"ALTER TABLE s{number} {part}",
                f"UPDATE s{number} SET a = 2",
                f"INSERT INTO s{number} (id) VALUES (2)",
            ]
            if "BOOL" in part:
                statements.append(f"UPDATE s{number} SET active = 7 WHERE id = 1")
        run(scratch, database, ";\n".join(statements))
        stream.caught_up()
    finally:
        stream.stop()
    assert [(letter.error, letter.path) for letter in stream.ledger.letters(stream.target)] == []
    stopped = {item.path[1] for item in stream.ledger.stopped(stream.target)}
    assert stopped == {f"s{number}" for number in range(len(UNCERTAIN))}
    differing = {path.rpartition("`.`")[2].rstrip("`") for path in stream.differences()}
    assert differing <= stopped


ODD = r"""
CREATE TABLE `say "x"."y", ''a"` (id INT PRIMARY KEY, day DATE, at DATETIME(3), never DATE NOT NULL);
CREATE TABLE `""` (id INT PRIMARY KEY, day DATE);
INSERT INTO `""` VALUES (1, '2020-02-31'), (2, '2020-04-31');
INSERT INTO `say "x"."y", ''a"` VALUES (1, '2020-02-31', '2019-02-30 10:00:00.5', '2021-06-31'), (2, NULL, NULL, '2020-01-01');
"""


def test_dates_that_no_calendar_has_arrive_and_a_quote_in_a_name_outlasts_a_restart(scratch: Scratch) -> None:
    database = scratch.database('od"d ``x')
    run(scratch, database, ODD)
    stream = Stream.of(scratch, [database])
    table = '`say "x"."y", \'\'a"`'
    for number in range(1, 4):
        changes = (
            f"INSERT INTO {table} (id, day, at, never) VALUES ({9 + number}, '2020-11-31', '2020-11-31', '2020-11-31');\n"
            f"UPDATE {table} SET at = '2020-02-31 00:00:00.00{number}' WHERE id < 3;\n"
            f'UPDATE {table} SET id = -id WHERE id = {8 + number};\nDELETE FROM `""` WHERE id = {number};\n'
        )
        # The first start makes the history of the definitions of now, the others read it.
        added = f'ALTER TABLE {table} ADD COLUMN `c" {number}` INT DEFAULT {number}' if number > 1 else "DO 1"
        run(scratch, database, changes + added)
        stream.start()
        try:
            stream.caught_up()
        finally:
            stream.stop()
        assert [(letter.error, letter.path) for letter in stream.ledger.letters(stream.target)] == []
        assert not stream.differences()


FLOWING = """
CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(60) UNIQUE, born DATE, note VARCHAR(20), code CHAR(4) CHARACTER SET
 latin1, secret VARCHAR(20));
CREATE TABLE plain (id INT PRIMARY KEY, v INT, doubled INT AS (v * 2) VIRTUAL);
CREATE TABLE other (id INT PRIMARY KEY, v INT);
CREATE TABLE numbered (id INT PRIMARY KEY, v INT, CONSTRAINT small CHECK (v < 100));
INSERT INTO people VALUES (1, 'a@x', '2000-01-01', 'keep', 'é', 's'), (2, 'b@x', '0000-00-00', 'drop', 'b', 's');
INSERT INTO plain (id, v) VALUES (1, 1);
INSERT INTO other VALUES (1, 1);
"""
FLOWS = """
INSERT INTO people VALUES (3, 'c@x', '0000-00-00', 'keep', 'ü', 's'), (4, 'd@x', NULL, 'drop', NULL, NULL);
UPDATE people SET note = 'keep' WHERE id = 2;
UPDATE people SET note = 'drop' WHERE id = 1;
UPDATE people SET id = 30, email = 'cc@x' WHERE id = 3;
INSERT INTO plain (id, v) VALUES (2, 2);
"""


def test_what_the_mapping_does_on_the_way_is_done_to_changes_and_a_refused_change_waits(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters, masks, exclusions and names; then DDL that is not followed, and a dead letter that is mended and replayed."""
    monkeypatch.setenv("SALT_OF_CDC", "0123456789abcdef0123")
    database = scratch.database()
    run(scratch, database, FLOWING)

    def edit(text: str) -> str:
        return text.replace(
            "        people:\n",
            "        people:\n          where: note = 'keep'\n          target: {name: persons}\n          columns:\n"
            "            email: {mask: {kind: sha256, salt: 'env:SALT_OF_CDC', length: 32}}\n"
            "            secret: {exclude: true}\n            note: {target: remark}\n",
            1,
        ).replace("by_default: [id, email, born, note, code, secret]", "by_default: [id, born, code]")

    stream = Stream.of(scratch, [database], edit)
    run(scratch, database, FLOWS)
    stream.start()
    try:
        stream.caught_up()
        assert not stream.differences()
        rows = scratch.execute_target_root("SELECT id, remark FROM persons ORDER BY id", database)
        assert rows == ((2, "keep"), (30, "keep")) or rows == [(2, "keep"), (30, "keep")]
        # What the target refuses waits as a dead letter, and the others go on.
        scratch.execute_target_root("ALTER TABLE plain ADD CONSTRAINT low CHECK (v < 50)", database)
        run(
            scratch,
            database,
            "INSERT INTO plain (id, v) VALUES (3, 60), (4, 4);\nALTER TABLE other PARTITION BY HASH (id) PARTITIONS 2;\n"
            "INSERT INTO other VALUES (5, 5);\nINSERT INTO plain (id, v) VALUES (5, 5);",
        )
        stream.caught_up()
        (letter,) = stream.ledger.letters(stream.target)
        assert letter.kind == "permanent"
        assert "low" in letter.error
        assert letter.change.after == {"id": 3, "v": 60, "doubled": 120}
        (stopped,) = stream.ledger.stopped(stream.target)
        assert stopped.path == (database, "other")
        assert "PARTITION" in stopped.reason
        assert list(stream.differences()) == [f"`{database}`.`other`", f"`{database}`.`plain`"]
    finally:
        stream.stop()
    follower = stream.make()
    assert follower.replay().applied == 0
    scratch.execute_target_root("ALTER TABLE plain DROP CONSTRAINT low", database)
    assert follower.replay().applied == 1
    assert stream.ledger.letters(stream.target) == ()
    assert list(stream.differences()) == [f"`{database}`.`other`"]


BUSY = """
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, ref VARCHAR(40) UNIQUE, state ENUM('new','päid'), total DECIMAL(12,2),
 placed DATETIME(6) NULL, doc JSON);
CREATE TABLE items (order_id INT, line INT, note TEXT, PRIMARY KEY (order_id, line),
 FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE clicks (at DATETIME(3), what VARCHAR(20));
CREATE TABLE queue (id INT PRIMARY KEY, v INT);
"""


class Writer:
    """An application that writes to the source until it is ended, and comes back when the server does."""

    def __init__(self, state: dict, database: str):
        self._state, self._database = state, database
        self._ended = threading.Event()
        self.transactions = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with lifecycle.root_connection(self._state, "source", database=self._database) as connection:
                    self._write(connection)
            except (pymysql.MySQLError, OSError):
                time.sleep(0.1)

    def _write(self, connection: pymysql.Connection) -> None:
        cursor = connection.cursor()
        while not self._ended.is_set():
            n = self.transactions = self.transactions + 1
            connection.begin()
            cursor.execute(
                "INSERT INTO orders (ref, state, total, placed, doc) VALUES (%s, 'päid', %s, NOW(6), %s), (%s, 'new', 0, NULL, NULL)",
                (f"r{n}", n / 7, json.dumps({"n": n, "é": [n / 3]}), f"s{n}"),
            )
            first = cursor.lastrowid
            cursor.executemany(
                "INSERT INTO items VALUES (%s, %s, %s)", [(first, line, f"line {n}") for line in range(5)]
            )
            cursor.execute(
                "UPDATE orders SET total = total + 1, ref = CONCAT(ref, '.') WHERE id %% 7 = %s ORDER BY id DESC LIMIT 20",
                (n % 7,),
            )
            if n % 5 == 0:
                cursor.execute("UPDATE orders SET id = id + 10000000 WHERE id = %s", (first,))
            if n % 3 == 0:
                cursor.execute("DELETE FROM orders WHERE id < 10000000 ORDER BY id LIMIT 1")
            cursor.execute("INSERT INTO clicks VALUES (NOW(3), 'a'), (NOW(3), 'a')")
            cursor.execute("DELETE FROM clicks LIMIT 1")
            connection.commit()
            if n % 40 == 0:
                cursor.execute("TRUNCATE TABLE queue")
            cursor.execute("REPLACE INTO queue VALUES (%s, %s)", (n % 9, n))
            time.sleep(0.01)


def test_nothing_is_lost_or_doubled_when_engine_applier_source_and_target_are_killed(scratch: Scratch) -> None:
    """The command line: the phase, `cdc run`, every part of it killed under a writer, `cdc status` and `cdc stop`."""
    database = scratch.database()
    run(scratch, database, BUSY)
    stream = Stream.of(scratch, [database])
    writer = Writer(scratch.state, database)
    try:
        open_phase("cdc", {"params_file": str(stream.file)})
        process = stream.command("cdc", "run")
        stream.wait_for(lambda: stream.told().get("applied", 0) > 0, 120)
        os.kill(stream.told()["engine"][0], signal.SIGKILL)
        applied = stream.told()["applied"]
        stream.wait_for(lambda: stream.told()["applied"] > applied + 500, 120)
        process.kill()
        process.wait()
        process = stream.command("cdc", "run")
        applied = stream.told()["applied"]
        stream.wait_for(lambda: stream.told()["applied"] > applied + 200, 120)
        kill_server(scratch.state, "target")
        kill_server(scratch.state, "source")
        applied = stream.told()["applied"]
        stream.wait_for(lambda: stream.told()["applied"] > applied + 200 or process.poll() is not None, 120)
        assert process.poll() is None, process.communicate()[0]
        # One that begins while a server is away waits for it as well.
        process.kill()
        process.wait()
        with killed(scratch.state, "target"):
            process = stream.command("cdc", "run")
            told = iter(process.stdout.readline, "")
            assert any("It is waited for" in line for line in told)
        applied = stream.told()["applied"]
        stream.wait_for(lambda: stream.told()["applied"] > applied + 200 or process.poll() is not None, 120)
        assert process.poll() is None, process.communicate()[0]
    finally:
        writer.end()
    stream.caught_up(120)
    assert not stream.differences()
    assert stream.ledger.letters(stream.target) == ()
    stream.wait_for(lambda: stream.told()["caught_up"], 20)
    status = stream.command("cdc", "status", "--json")
    told = json.loads(status.communicate()[0])
    assert status.returncode == 0, told
    assert told["state"] == "running"
    assert told["caught_up"]
    assert told["lag_seconds"] == 0
    assert told["dead"] == 0
    assert set(told["position"]) == {"file", "pos", "gtids"}
    assert told["applied"] > 1000
    ending = stream.command("cdc", "stop")
    assert (ending.wait(120), process.wait(10)) == (0, 0), (ending.stdout.read(), process.stdout.read())
    status = stream.command("cdc", "status")
    assert status.wait(60) == 1
    assert "stopped" in status.stdout.read()
    with pytest.raises(Refused, match="changes of the source were applied"):
        rollback(stream.settings, "start", lambda text: None)


@pytest.mark.soak
def test_random_kills_leave_the_rows_of_the_source(scratch: Scratch) -> None:
    """Engine, applier, source and target killed at random moments under a writer; the whole content compared after it."""
    dice = random.Random(int(os.environ.get("SEED", "1")))
    database = scratch.database()
    run(scratch, database, BUSY)
    stream = Stream.of(scratch, [database])
    writer = Writer(scratch.state, database)
    open_phase("cdc", {"params_file": str(stream.file)})
    process = stream.command("cdc", "run", "--set", "cdc.patience_s=300")
    ends = time.monotonic() + 60 * float(os.environ.get("MINUTES", "30")) / 5
    kills = 0
    try:
        while time.monotonic() < ends:
            applied = stream.told().get("applied", 0)
            deadline = time.monotonic() + 300
            while stream.told().get("applied", 0) <= applied and process.poll() is None:
                assert time.monotonic() < deadline, stream.told()
                time.sleep(0.1)
            assert process.poll() is None, process.communicate()[0]
            time.sleep(dice.uniform(0, 3))
            part = dice.choice(("engine", "applier", "target", "source"))
            kills += 1
            if part == "engine":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stream.told()["engine"][0], signal.SIGKILL)
            elif part == "applier":
                process.kill()
                process.wait()
                process = stream.command("cdc", "run", "--set", "cdc.patience_s=300")
            else:
                kill_server(scratch.state, part)
    finally:
        writer.end()
    stream.caught_up(300)
    process.terminate()
    assert process.wait(60) == 0
    print(f"{kills} kills, {writer.transactions} transactions")
    assert stream.ledger.letters(stream.target) == ()
    assert not stream.differences()


def test_the_rollback_of_a_stream_that_has_applied_nothing_is_proven(scratch: Scratch) -> None:
    database = scratch.database()
    run(scratch, database, "CREATE TABLE t (id INT PRIMARY KEY, v INT);\nINSERT INTO t VALUES (1, 1)")
    scratch.execute("CREATE TRIGGER doubles BEFORE INSERT ON t FOR EACH ROW SET NEW.v = NEW.v * 2", database)
    stream = Stream.of(scratch, [database])
    phase = open_phase("cdc", {"params_file": str(stream.file)})
    notes, stream.migration.notes = stream.migration.notes, phase.journal  # type: ignore[assignment]
    stream.set_up()
    stream.migration.notes = notes
    triggers = "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s"
    assert stream.target.scalar(triggers, (database,)) == 0
    # A validation knows why they are gone.
    found = stream.migration.validate()
    known = {item.name: item.verdict for item in (*found.objects, *found.interactions) if item.kind == "trigger"}
    assert known == {f"`{database}`.`doubles`": "tolerated"}
    assert "different" not in {item.verdict for item in (*found.objects, *found.interactions)}
    done = rollback(stream.settings, "start", lambda text: None)
    assert done.phases == ("cdc",)
    assert stream.target.scalar(triggers, (database,)) == 1


def test_a_rollback_to_the_end_of_the_load_brings_back_rows_that_were_kept(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All kinds of changes, definitions too, are taken back; a rollback that is cut off at any statement goes on."""
    database = scratch.database()
    run(scratch, database, MOST)
    scratch.execute("CREATE TRIGGER `doubles %s` BEFORE INSERT ON child FOR EACH ROW SET NEW.id = NEW.id * 2", database)
    stream = Stream.of(scratch, [database], cdc={"keep_rows": True})
    phase = open_phase("cdc", {"params_file": str(stream.file)})
    stream.migration.notes = phase.journal  # type: ignore[assignment]
    before = target_fingerprint(stream.target)
    run(scratch, database, CHANGES)
    stream.start()
    try:
        stream.caught_up()
        run(scratch, database, DEFINITIONS + "DROP TABLE seats;\nALTER TABLE parent ADD COLUMN w INT;")
        stream.caught_up()
    finally:
        stream.stop()
    assert len(differences(before, target_fingerprint(stream.target))) > 8
    assert [point for point, *_ in where_we_are({"params_file": str(stream.file)}).copies or ()] == [
        "the rows before the first change"
    ]
    left = iter(range(0, 60, 7))
    execute = Session.execute

    def cut_off(session: Session, sql: str, values: Any = None) -> int:
        nonlocal steps
        if sql.startswith(("DROP TABLE", "CREATE TABLE", "INSERT INTO", "DELETE FROM `_workbook`.`cdc_kept")):
            steps -= 1
            if steps < 0:
                raise RuntimeError("killed")
        return execute(session, sql, values)

    killed = 0
    for allowed in left:
        steps = allowed
        with monkeypatch.context() as patched:
            patched.setattr(Session, "execute", cut_off)
            try:
                rollback(stream.settings, "start", lambda text: None)
                break
            except RuntimeError:
                killed += 1
    assert killed > 3
    assert differences(before, target_fingerprint(stream.target)) == []


def test_what_hinders_is_named_with_what_mends_it(scratch: Scratch) -> None:
    database = scratch.database()
    run(scratch, database, "CREATE TABLE t (id INT PRIMARY KEY, j JSON);\nCREATE TABLE bare (a INT)")
    stream = Stream.of(scratch, [database])
    made = stream.migration
    about = (scratch.source, scratch.target, made.catalog, made.mapping, made.settings)
    found = {item.check: item for item in look(*about).findings}
    # Of XA the server remembers what other tests have done.
    assert found.pop("XA").state in ("ok", "decide")
    assert {name: item.state for name, item in found.items() if item.state != "ok"} == {"keys": "decide"}
    assert "bare" in found["keys"].found
    assert found["keys"].mend.startswith("ALTER TABLE")
    session = lifecycle.root_connection(scratch.state, "source", database=database)
    with session, session.cursor() as cursor:
        cursor.execute("SET SESSION binlog_row_image = MINIMAL, binlog_row_value_options = PARTIAL_JSON")
        cursor.execute("ALTER TABLE t ADD COLUMN late INT")
        readiness = look(*about[:2], read_catalog(scratch.source, [database]), *about[3:])
        words = " ".join(item.found for item in readiness.findings if item.state == "blocked")
        assert readiness.verdict == "blocked"
        assert "MINIMAL" in words
        assert "PARTIAL_JSON" in words
        assert "late" in words
        with pytest.raises(Refused, match="cannot be followed"):
            stream.set_up()
    with lifecycle.root_connection(scratch.state, "source", database=database) as connection:
        cursor = connection.cursor()
        for statement in ("XA START 'w %s'", "INSERT INTO bare VALUES (1)", "XA END 'w %s'", "XA PREPARE 'w %s'"):
            cursor.execute(statement)
        states = [(item.state, item.found) for item in look(*about).findings if item.check == "XA"]
        assert [state for state, _ in states] == ["blocked", "decide"]
        assert "1 XA transactions are prepared" in states[0][1]
        cursor.execute("XA ROLLBACK 'w %s'")
    assert [item.state for item in look(*about).findings if item.check == "XA"] == ["decide"]
