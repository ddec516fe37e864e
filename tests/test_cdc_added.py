"""Tables that come after the load are taken up by the stream, while applications write to them and to all others."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
import yaml

from conftest import Scratch
from outages import kill_server
from stream import Stream
from test_cdc import BUSY, Writer, run
from test_cdc_beam import line
from test_cdc_warehouse import apart, merged
from workbook.catalog import read_catalog
from workbook.cdc import Adding, chosen, orders
from workbook.cdc import added as added_module
from workbook.cdc.change import Change
from workbook.cdc.engine import Batch
from workbook.cdc.ledger import LATE
from workbook.cdc.sequence import attributes, pieces
from workbook.cdc.until import Until
from workbook.cdc.waiting import Waiting
from workbook.errors import Refused, UsageError
from workbook.gtids import GtidSet
from workbook.mapping import load_mapping, merge
from workbook.names import mysql_path
from workbook.phases import open_phase
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.rollback import rollback
from workbook.warehouse.streamed import Streamed

HOSTILE = 'say "x".`y`, \'\'%s ü"'
LATER = f"""
CREATE TABLE later (id INT PRIMARY KEY AUTO_INCREMENT, order_id INT, born DATE NOT NULL, e ENUM('','ü','b'), j JSON,
 note VARCHAR(200), KEY (note), FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE bare (at DATETIME(3), what VARCHAR(20), n INT);
CREATE TABLE {mysql_path(HOSTILE)} (`sel ect` VARCHAR(40) PRIMARY KEY, `ä %d ``` INT UNIQUE, day DATE);
"""


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "reports"


class LaterWriter(Writer):
    """The same application, and what it does to the tables that were made later."""

    def _write(self, connection: pymysql.Connection) -> None:
        cursor = connection.cursor()
        odd = mysql_path(HOSTILE).replace("%", "%%")
        cursor.execute("SET SESSION sql_mode = ''")
        while not self._ended.is_set():
            n = self.transactions = self.transactions + 1
            connection.begin()
            cursor.execute("SELECT MAX(id) FROM orders")
            order = cursor.fetchone()[0]
            cursor.execute(
                "INSERT INTO later (order_id, born, e, j, note) VALUES (%s, '0000-00-00', 'ü', %s, %s), (NULL, '2020-02-29', '', NULL, 'x')",
                (order, json.dumps({"n": n, "é": [n / 3]}), f"ü {n}"),
            )
            cursor.execute(
                "UPDATE later SET note = CONCAT(note, '.') WHERE id %% 11 = %s ORDER BY id DESC LIMIT 20", (n % 11,)
            )
            if n % 3 == 0:
                cursor.execute("DELETE FROM later ORDER BY id LIMIT 1")
            if n % 7 == 0:
                cursor.execute("UPDATE later SET id = id + 10000000 WHERE id < 10000000 ORDER BY id DESC LIMIT 1")
            cursor.execute("INSERT INTO bare VALUES (NOW(3), 'a', 1), (NOW(3), 'a', 1), ('2020-01-01', 'same', 1)")
            cursor.execute("UPDATE bare SET n = n + 1 ORDER BY at DESC LIMIT 1")
            cursor.execute("DELETE FROM bare ORDER BY at DESC LIMIT 1")
            cursor.execute(
                f"REPLACE INTO {odd} (`sel ect`, `ä %%d ```, day) VALUES (%s, %s, '2020-02-29')", (f"k {n % 50}", n)
            )
            connection.commit()
            time.sleep(0.005)


def taken_in(stream: Stream, edit: Callable[[str], str] = lambda text: text) -> Stream:
    """The mapping covers what the source got since, as the phase map writes it."""
    made, path = stream.migration, stream.settings.mapping_path
    assert path is not None
    made.catalog = read_catalog(made.scratch.source, made.settings.source.databases)
    path.write_text(edit(merge(path, made.catalog, None, True)))
    made.mapping = load_mapping(path, made.catalog, emulated=True)
    return stream


def adding(stream: Stream, *words: str) -> Adding:
    """An addition of these tables of the stream's database, in this process."""
    made = stream.migration
    stream.set_up()
    tables = chosen([f"{stream.settings.source.databases[0]}.{word}" for word in words], made.catalog, made.mapping)
    about = made.scratch.source, stream.target, made.catalog, made.mapping, stream.settings
    return Adding(*about, made.notes, set(made.notes.objects), stream.folder, tables, stream.said.append)


def sound(stream: Stream) -> None:
    """The target has all of the source: nothing was refused, and nothing stands still."""
    stream.caught_up(180)
    assert [(letter.error, letter.path) for letter in stream.ledger.letters(stream.target)] == []
    assert stream.ledger.stopped(stream.target) == ()
    assert not stream.differences()


def test_tables_that_are_written_all_the_time_are_added_by_the_command_also_after_a_kill(scratch: Scratch) -> None:
    """Keyed, keyless and of a hostile name; refused while the stream runs, killed in the middle of their load, finished."""
    database = scratch.database()
    run(scratch, database, BUSY)
    stream = Stream.of(scratch, [database])
    writers: list[Writer] = [Writer(scratch.state, database)]
    words = [f"{database}.later", f"{database}.bare", mysql_path(database, HOSTILE)]
    try:
        open_phase("cdc", {"params_file": str(stream.file)})
        process = stream.command("cdc", "run")
        stream.wait_for(lambda: stream.told().get("applied", 0) > 0, 120)
        run(scratch, database, LATER)
        many = "), (".join("NULL, '1970-01-01', NULL, NULL, REPEAT('x', 200)" for _ in range(500))
        for _ in range(60):
            scratch.execute(f"INSERT INTO later (order_id, born, e, j, note) VALUES ({many})", database)
        scratch.execute("ANALYZE TABLE later", database)
        writers.append(LaterWriter(scratch.state, database))
        taken_in(stream)
        refused = stream.command("cdc", "add", words[0])
        assert "is being followed already" in refused.communicate(timeout=60)[0]
        assert refused.returncode == 3
        assert stream.command("cdc", "stop").wait(120) == 0
        process.wait(30)
        # Killed when some rows are there.
        slow = ("--set", "bulk.chunk_rows=1000", "--set", "bulk.limit_mb_s=1")
        process = stream.command("cdc", "add", *words, *slow)
        rows = f"SELECT COUNT(*) FROM {mysql_path(database, 'later')}"
        made = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'later'"
        stream.wait_for(
            lambda: (
                process.poll() is not None
                or (stream.target.scalar(made, (database,)) and stream.target.scalar(rows) > 1000)
            ),
            120,
        )
        assert process.poll() is None, process.communicate()[0]
        process.kill()
        process.wait()
        assert 0 < stream.target.scalar(rows) < 30_000
        # Nothing is half followed: the stream goes on without them, and says so.
        process = stream.command("cdc", "run")
        applied = stream.told()["applied"]
        stream.wait_for(lambda: stream.told()["applied"] > applied + 300 or process.poll() is not None, 120)
        assert process.poll() is None, process.communicate()[0]
        told = json.loads(stream.command("cdc", "status", "--json").communicate()[0])
        assert {item["table"] for item in told["stopped_tables"]} == {
            f"{database}.later", f"{database}.bare", f"{database}.{HOSTILE}",
        }  # fmt: skip
        assert {item["reason"] for item in told["stopped_tables"]} == {LATE}
        assert any("workbook cdc add" in trouble for trouble in told["troubles"])
        assert stream.command("cdc", "stop").wait(120) == 0
        process.wait(30)
        before = stream.target.scalar(rows)
        process = stream.command("cdc", "add", *words)
        said = process.communicate(timeout=300)[0]
        assert process.returncode == 0, said
        assert stream.target.scalar(rows) != before
        assert f"{database}.later: " in said
        again = stream.command("cdc", "add", words[0])
        assert "followed already" in again.communicate(timeout=60)[0]
        process = stream.command("cdc", "run")
        applied = stream.told()["applied"]
        stream.wait_for(lambda: stream.told()["applied"] > applied + 300 or process.poll() is not None, 120)
        assert process.poll() is None, process.communicate()[0]
        # Their definitions are followed like those of all others.
        scratch.execute("TRUNCATE TABLE bare", database)
        run(scratch, database, "ALTER TABLE later ADD COLUMN w VARCHAR(10) NOT NULL DEFAULT 'new' AFTER id;")
    finally:
        for writer in writers:
            writer.end()
    sound(stream)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, process.communicate()[0]
    keys = "SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = %s AND TABLE_NAME = 'later'"
    assert stream.target.scalar(keys, (database,)) == 1


SMALL = "CREATE TABLE t (id INT PRIMARY KEY, v INT);\nINSERT INTO t VALUES (1, 1), (2, 2);"


def test_what_cannot_be_added_is_refused_with_what_to_do(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    database = scratch.database()
    run(scratch, database, SMALL)
    stream = Stream.of(scratch, [database])
    stream.set_up()
    run(
        scratch,
        database,
        "CREATE TABLE fresh (id INT PRIMARY KEY, v INT);\nINSERT INTO fresh VALUES (1, 1);\nCREATE TABLE taken (id INT PRIMARY KEY);\n"
        "CREATE TABLE russian (k VARCHAR(20) CHARACTER SET koi8u PRIMARY KEY);\nCREATE TABLE held (id INT PRIMARY KEY)",
    )
    made = stream.migration
    catalog = read_catalog(scratch.source, [database])
    with pytest.raises(Refused, match="not in the scope"):
        chosen([f"{database}.fresh"], catalog, made.mapping)
    with pytest.raises(UsageError, match=r"no table .* Did you mean"):
        chosen([f"{database}.frsh"], catalog, made.mapping)
    taken_in(stream)
    with pytest.raises(Refused, match="followed already"):
        adding(stream, "t").carry_out()
    scratch.execute_target_root("CREATE TABLE taken (id INT PRIMARY KEY)", database)
    with pytest.raises(Refused, match="did not make"):
        adding(stream, "taken").carry_out()
    with pytest.raises(Refused, match="koi8u"):
        adding(stream, "russian").carry_out()
    scratch.execute_target_root("DROP TABLE taken", database)
    made.schema()
    scratch.execute_target_root("INSERT INTO held VALUES (7)", database)
    with pytest.raises(Refused, match="did not bring"):
        adding(stream, "held").carry_out()
    assert scratch.execute_target_root("SELECT id FROM held", database) in ([(7,)], ((7,),))

    # A definition that changes while its rows are loaded would be read by the wrong columns.
    def changed(*about: Any) -> None:
        scratch.execute("ALTER TABLE fresh ADD COLUMN w INT", database)

    with monkeypatch.context() as patched:
        patched.setattr(added_module, "load", changed)
        with pytest.raises(Refused, match="has changed on the source"):
            adding(stream, "fresh").carry_out()
    assert (database, "fresh") not in stream.ledger.followed(stream.target)
    # It is made anew by its definition of now.
    taken_in(stream)
    adding(stream, "fresh").carry_out()
    assert {item.path[1]: item.reason for item in stream.ledger.stopped(stream.target)} == dict.fromkeys(
        ("taken", "russian", "held"), LATE
    )
    rows = "SELECT * FROM fresh ORDER BY id"
    assert scratch.execute(rows, database) == scratch.execute_target_root(rows, database)


PEOPLE = """
CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(60) UNIQUE, born DATE, note VARCHAR(20), code CHAR(4) CHARACTER SET
 latin1, secret VARCHAR(20));
INSERT INTO people VALUES (1, 'a@x', '2000-01-01', 'keep', 'é', 's'), (2, 'b@x', '0000-00-00', 'drop', 'b', 's');
"""


def test_the_mapping_holds_for_tables_that_come_later_and_one_that_was_stopped_is_taken_up_again(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filter, mask, exclusion and names; a trigger that must not fire twice; a name that the engine misreads."""
    monkeypatch.setenv("SALT_OF_CDC", "0123456789abcdef0123")
    database = scratch.database()
    odd = mysql_path(HOSTILE)
    run(
        scratch,
        database,
        SMALL + f"\nCREATE TABLE {odd} (id INT PRIMARY KEY, v INT);\nINSERT INTO {odd} VALUES (1, 1);",
    )
    stream = Stream.of(scratch, [database])
    stream.start()
    run(scratch, database, f"ALTER TABLE {odd} PARTITION BY HASH (id) PARTITIONS 2;\nINSERT INTO {odd} VALUES (5, 5);")
    stream.caught_up()
    stream.stop()
    assert [item.path for item in stream.ledger.stopped(stream.target)] == [(database, HOSTILE)]
    run(scratch, database, PEOPLE)
    scratch.execute("CREATE TRIGGER `twice %s` BEFORE INSERT ON people FOR EACH ROW SET NEW.id = NEW.id * 2", database)

    def edit(text: str) -> str:
        return text.replace(
            "        people:",
            "        people:\n          where: note = 'keep'\n          target: {name: persons}\n          columns:\n"
            "            email: {mask: {kind: sha256, salt: 'env:SALT_OF_CDC', length: 32}}\n"
            "            secret: {exclude: true}\n            note: {target: remark}",
            1,
        ).replace("by_default: [id, email, born, note, code, secret]", "by_default: [id, born, code]")

    taken_in(stream, edit)
    adding(stream, "people", HOSTILE).carry_out()
    triggers = "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s"
    assert stream.target.scalar(triggers, (database,)) == 0
    run(
        scratch,
        database,
        "INSERT INTO people VALUES (3, 'c@x', '0000-00-00', 'keep', 'ü', 's'), (4, 'd@x', NULL, 'drop', NULL, NULL);\n"
        "UPDATE people SET note = 'keep' WHERE id = 2;\nUPDATE people SET note = 'drop' WHERE id = 1;\n"
        f"ALTER TABLE {odd} ADD COLUMN late INT DEFAULT 7;\nUPDATE {odd} SET v = v + 1;\nDELETE FROM t WHERE id = 1;",
    )
    for number in range(2):
        stream.start()
        try:
            sound(stream)
        finally:
            stream.stop()
        # The engine's history has the definition of before and of after.
        run(scratch, database, f"UPDATE {odd} SET late = {number};")
    rows = scratch.execute_target_root("SELECT id, remark, LENGTH(email) FROM persons ORDER BY id", database)
    assert [tuple(row) for row in rows] == [(2, "keep", 32), (6, "keep", 32)]


def test_a_table_that_left_the_scope_is_told_and_comes_back_by_being_added(scratch: Scratch) -> None:
    database = scratch.database()
    run(
        scratch,
        database,
        SMALL + "\nCREATE TABLE other (id INT PRIMARY KEY, v INT);\nINSERT INTO other VALUES (1, 1), (2, 2)",
    )
    stream = Stream.of(scratch, [database])
    path = stream.settings.mapping_path
    assert path is not None
    whole = path.read_text()

    def out(*names: str) -> str:
        content = yaml.safe_load(whole)
        tables = [segment["tables"][database] for segment in content["segments"].values() if segment.get("tables")]
        moved = {name: tables[0].pop(name) for name in names}
        content["segments"]["left"] = {"scope": "out", "tables": {database: moved}}
        return yaml.safe_dump(content, allow_unicode=True)

    for text in (whole, out("other"), whole):
        path.write_text(text)
        stream.migration.mapping = load_mapping(path, stream.migration.catalog, emulated=True)
        run(scratch, database, "UPDATE other SET v = v + 10;\nUPDATE t SET v = v + 1")
        stream.start()
        stream.caught_up()
        stream.stop()
    assert [line for line in stream.said if "left the mapping" in line and f"`{database}`.`other`" in line]
    assert [item.path for item in stream.ledger.stopped(stream.target)] == [(database, "other")]
    adding(stream, "other").carry_out()
    run(scratch, database, "DELETE FROM other WHERE id = 1")
    stream.start()
    sound(stream)
    stream.stop()
    assert scratch.execute_target_root("SELECT * FROM other", database) == [(2, 32)]
    path.write_text(out("other", "t"))
    stream.migration.mapping = load_mapping(path, stream.migration.catalog, emulated=True)
    with pytest.raises(Refused, match="None of the 2 tables"):
        stream.set_up()


def test_a_rollback_takes_a_table_that_was_added_away_and_forward_again_it_is_there(scratch: Scratch) -> None:
    database = scratch.database()
    run(scratch, database, SMALL)
    stream = Stream.of(scratch, [database], cdc={"keep_rows": True})
    before = target_fingerprint(stream.target)
    phase = open_phase("cdc", {"params_file": str(stream.file)})
    notes, stream.migration.notes = stream.migration.notes, phase.journal  # type: ignore[assignment]
    for name in notes.objects:
        phase.journal.confirm(phase.journal.intend(name, None))
    stream.set_up()
    run(
        scratch,
        database,
        "UPDATE t SET v = 5;\nCREATE TABLE fresh (id INT PRIMARY KEY, v INT);\nINSERT INTO fresh VALUES (1, 1)",
    )
    taken_in(stream)
    process = stream.command("cdc", "add", f"{database}.fresh")
    assert process.wait(180) == 0, process.communicate()[0]
    run(scratch, database, "UPDATE fresh SET v = 2")
    stream.start()
    sound(stream)
    stream.stop()
    rollback(stream.settings, "start", lambda text: None)
    assert differences(before, target_fingerprint(stream.target)) == []
    # Forward again, with everything.
    stream.migration.notes = notes
    stream.migration.schema()
    stream.migration.bulk()
    stream.set_up()
    assert stream.ledger.followed(stream.target) == {(database, "t"), (database, "fresh")}
    assert not stream.differences()


def test_in_the_warehouse_a_table_that_was_added_waits_for_the_next_load(scratch: Scratch) -> None:
    database = scratch.database()
    run(scratch, database, SMALL)
    stream = Stream.of(scratch, [database], cdc={"warehouse": True})
    stream.migration.warehouse()
    stream.set_up()
    run(scratch, database, "CREATE TABLE fresh (id INT PRIMARY KEY, v INT);\nINSERT INTO fresh VALUES (1, 1);")
    taken_in(stream)
    adding(stream, "fresh").carry_out()
    run(scratch, database, "UPDATE fresh SET v = 2;\nUPDATE t SET v = 7;")
    stream.start()
    try:
        sound(stream)
        left = {table.table: table.why for table in merged(stream).left}
        assert left == {"fresh": "its rows came beside the stream: load the warehouse"}
        stream.migration.warehouse()
        run(scratch, database, "INSERT INTO fresh VALUES (2, 2);\nUPDATE t SET v = 8;")
        stream.caught_up()
        assert merged(stream).left == ()
        assert not apart(stream)
    finally:
        stream.stop()
    assert Streamed(stream.target, stream.settings.environment).states().keys() >= {(database, "fresh")}


@pytest.mark.parametrize("apply", ["local", pytest.param("beam", marks=pytest.mark.soak)])
def test_over_pubsub_the_added_table_is_followed_too(scratch: Scratch, sandbox: dict[str, Any], apply: str) -> None:
    endpoint = sandbox["pubsub"]["endpoint"]
    if endpoint is None:
        pytest.skip("no Pub/Sub emulator: the Google Cloud CLI with pubsub-emulator is not on PATH")
    database = scratch.database()
    run(scratch, database, SMALL)
    stream = Stream.of(scratch, [database], cdc={"transport": "pubsub", "apply": apply, "pubsub_endpoint": endpoint})
    stream.start()
    run(scratch, database, "UPDATE t SET v = 5;")
    stream.caught_up()
    stream.stop()
    run(
        scratch,
        database,
        "CREATE TABLE fresh (v INT, w INT);\nINSERT INTO fresh VALUES (1, 1), (1, 1);\nUPDATE t SET v = 6;",
    )
    taken_in(stream)
    adding(stream, "fresh").carry_out()
    run(
        scratch,
        database,
        "INSERT INTO fresh VALUES (2, 2);\nDELETE FROM fresh WHERE v = 1 LIMIT 1;\nUPDATE t SET v = 7;",
    )
    stream.start()
    try:
        sound(stream)
    finally:
        stream.stop()


def test_a_pipeline_that_runs_on_takes_up_the_added_table(scratch: Scratch, sandbox: dict[str, Any]) -> None:
    """Its worker has the mapping of before, until the stream is started again."""
    from workbook.cdc import pipeline

    endpoint = sandbox["pubsub"]["endpoint"]
    if endpoint is None:
        pytest.skip("no Pub/Sub emulator: the Google Cloud CLI with pubsub-emulator is not on PATH")
    database = scratch.database()
    run(scratch, database, SMALL)
    stream = Stream.of(scratch, [database], cdc={"transport": "pubsub", "apply": "beam", "pubsub_endpoint": endpoint})
    stream.set_up()
    waiting, told = Waiting(stream.settings.environment), orders.orders(stream.settings)

    def deliver(change: Change) -> None:
        position = stream.ledger.position(stream.target)
        assert position is not None
        batch = Batch((line(change),), {**position.offset}, 1.0)
        sent = pieces(batch, waiting.begin_epoch(stream.target), 1)
        elements = [(f"m{each.number}", each.data, attributes(each, stream.settings.environment)) for each in sent]
        list(pipeline.bundle(told, elements))

    try:
        deliver(Change("u", (database, "t"), (1, 1, 1), {"id": 1, "v": 1}, {"id": 1, "v": 10}))
        run(scratch, database, "CREATE TABLE fresh (id INT PRIMARY KEY, v INT);\nINSERT INTO fresh VALUES (1, 1);")
        taken_in(stream)
        adding(stream, "fresh").carry_out()
        deliver(Change("u", (database, "fresh"), (999_999, 1, 1), {"id": 1, "v": 1}, {"id": 1, "v": 11}))
    finally:
        pipeline.close(told)
    for table, value in (("t", 10), ("fresh", 11)):
        assert stream.target.scalar(f"SELECT v FROM {mysql_path(database, table)} WHERE id = 1") == value


FAMILY = """
CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(20));
INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (3, 'three');
"""
CHILD = """
CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO child VALUES (10, 1), (20, 2), (30, 3);
DELETE FROM parent WHERE id = 1;
INSERT INTO parent VALUES (1, 'again');
INSERT INTO child VALUES (11, 1);
UPDATE parent SET id = 22 WHERE id = 2;
"""


def test_what_foreign_keys_did_to_an_added_table_before_its_picture_is_not_done_again(scratch: Scratch) -> None:
    """On a source that does not log it: the target repeats it for tables that are followed."""
    variable = "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'"
    if not scratch.execute(variable):
        pytest.skip("this server has one kind of foreign keys: MySQL before 9.6")
    database = scratch.database()
    run(scratch, database, FAMILY)
    kill_server(scratch.state, "source", "--innodb-native-foreign-keys=ON")
    try:
        stream = Stream.of(scratch, [database])
        stream.set_up()
        run(scratch, database, CHILD)
        taken_in(stream)
        adding(stream, "child").carry_out()
        run(scratch, database, "DELETE FROM parent WHERE id = 3;")
        stream.start()
        sound(stream)
        assert [tuple(row) for row in scratch.execute_target_root("SELECT * FROM child ORDER BY id", database)] == [
            (11, 1), (20, 22),
        ]  # fmt: skip
        stream.stop()
    finally:
        kill_server(scratch.state, "source", "--innodb-native-foreign-keys=OFF")


def test_a_stream_is_held_at_a_point_to_the_transaction() -> None:
    here = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    until = Until({"file": "binlog.000009", "position": 400, "gtids": f"{here}:1-7:9"})
    changes = [Change("c", ("d", "t"), (9, n * 50, 1), transaction=f"{here}:{n}") for n in (6, 7, 8, 9, 10)]
    early = {"file": "binlog.000009", "pos": 350, "gtids": f"{here}:1-7"}
    assert until.held(changes[:2], early) == (changes[:2], early)
    assert not until.reached
    kept, offset = until.held(changes, {"file": "binlog.000010", "pos": 4, "gtids": f"{here}:1-10"})
    assert [change.transaction for change in kept] == [f"{here}:{n}" for n in (6, 7, 9)]
    assert offset == {"file": "binlog.000009", "pos": 400, "gtids": f"{here}:1-7:9"}
    assert until.reached
    assert until.at(f"{here.upper()}:1-7:9")
    assert not until.at(f"{here}:1-9")
    assert until.passed(f"{here}:1-9")
    assert not until.passed(f"{here}:1-5")
    # An idle source names its last transaction by the place alone.
    idle = Until({"file": "binlog.000009", "position": 400, "gtids": f"{here}:1-7"})
    assert idle.held([], {"file": "binlog.000009", "pos": 400, "gtids": f"{here}:1-6"})[1] == idle.offset
    tagged = GtidSet.parse(f"{here}:1-3,{here}:tag:5-6")
    assert tagged.has(f"{here}:tag:5")
    assert not tagged.has(f"{here}:tag:2")
    assert not tagged.has(f"{here}:5")
    assert not tagged.has("")
