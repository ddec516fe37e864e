"""A source that changes its ways in mid-stream: compressed transactions, foreign keys of either kind, rows written in part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Scratch
from outages import kill_server
from stream import Stream
from workbook.cdc import partial
from workbook.errors import Refused, TerminalError

TABLES = r"""
CREATE TABLE `pa``rent, %s` (id INT PRIMARY KEY, name VARCHAR(40));
CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES `pa``rent, %s` (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE grandchild (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES child (id) ON DELETE SET NULL);
CREATE TABLE `do cs.ü` (id INT PRIMARY KEY, j JSON, note VARCHAR(20) DEFAULT 'as it was', n INT);
CREATE TABLE keyless (a INT, b VARCHAR(20));
INSERT INTO `pa``rent, %s` VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five');
INSERT INTO child VALUES (10, 1), (20, 2), (30, 3), (40, 4), (50, 5);
INSERT INTO grandchild VALUES (100, 10), (200, 20), (300, 30), (400, 40), (500, 50);
INSERT INTO `do cs.ü` (id, j) VALUES (1, '{"a": 1, "long": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}'), (2, '[1, 2, 3]');
INSERT INTO keyless VALUES (1, 'x'), (1, 'x');
"""


@pytest.fixture(scope="module")
def stream(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stream]:
    """A stream for all tests of this module; each begins where the one before it ended, or by itself."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("sources"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
        made = None
        try:
            database = scratch.database()
            scratch.script(TABLES.strip() + "\n", database)
            made = Stream.of(scratch, [database])
            made.start()
            yield made
        finally:
            if made is not None:
                made.stop()
            scratch.close()


def write(stream: Stream, settings: str, *statements: str) -> None:
    """One transaction of a session that has these settings, and is gone right after it."""
    with stream.migration.scratch.source_root_connection(stream.settings.source.databases[0]) as cursor:
        cursor.execute(f"SET SESSION {settings}")
        cursor.execute("BEGIN")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("COMMIT")


def same(stream: Stream) -> None:
    """All has arrived, and the whole content is that of the source."""
    stream.caught_up(300)
    assert stream.ledger.letters(stream.target) == ()
    assert not stream.differences()


def ended(stream: Stream) -> str:
    """What the stream says where it has ended by itself."""
    assert stream._thread is not None
    stream._thread.join(300)
    assert isinstance(stream.error, TerminalError), stream.error
    return str(stream.error)


def load_again(stream: Stream) -> None:
    """The documented way on from rows that did not arrive."""
    stream.migration.bulk()
    stream.start()


def test_transactions_that_are_compressed_from_one_moment_to_another_arrive(stream: Stream) -> None:
    for number, compressed in enumerate(("ON", "OFF", "ON"), 1):
        write(
            stream,
            f"binlog_transaction_compression = {compressed}",
            f"INSERT INTO `do cs.ü` (id, j, n) VALUES ({number}0, '{{\"ü\": [{number}.5]}}', {number})",
            f"UPDATE `do cs.ü` SET id = id + 1, note = REPEAT('é', 20) WHERE id = {number}0",
            f"INSERT INTO keyless VALUES ({number}, 'y'), ({number}, 'y')",
            "DELETE FROM keyless WHERE a = 1 LIMIT 1",
            "UPDATE `pa``rent, %s` SET name = CONCAT(name, '!')",
            f"UPDATE `pa``rent, %s` SET id = id + 100 WHERE id = {number}",
        )
    same(stream)
    assert stream.ledger.stopped(stream.target) == ()


def test_cascades_of_either_kind_of_foreign_keys_reach_the_target(stream: Stream) -> None:
    """SQL-layer foreign keys write what they do to the binlog; native ones, after a start with that option, do not."""
    scratch = stream.migration.scratch
    variable = "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'"
    if not scratch.execute(variable):
        pytest.skip("this server has one kind of foreign keys: MySQL before 9.6")
    parent = "DELETE FROM `pa``rent, %s` WHERE name LIKE"
    write(stream, "sql_mode = ''", f"{parent} 'four%'")
    same(stream)
    kill_server(scratch.state, "source", "--innodb-native-foreign-keys=ON")
    try:
        assert scratch.execute(variable)[0][1] == "ON"
        write(stream, "sql_mode = ''", f"{parent} 'five%'", "INSERT INTO `pa``rent, %s` VALUES (5, 'again')")
        same(stream)
        orphans = "SELECT id FROM child WHERE id IN (40, 50)"
        assert not scratch.execute_target_root(orphans, stream.settings.source.databases[0])
        # A new key that others follow without a word is not guessed at.
        write(stream, "sql_mode = ''", "UPDATE `pa``rent, %s` SET id = 333 WHERE name LIKE 'three%'")
        stream.caught_up(300)
        stopped = {item.path[1]: item.reason for item in stream.ledger.stopped(stream.target)}
        assert set(stopped) == {"pa`rent, %s", "child"}
        assert "innodb_native_foreign_keys" in stopped["child"]
    finally:
        kill_server(scratch.state, "source", "--innodb-native-foreign-keys=OFF")
    stream.caught_up(300)


def test_json_that_is_written_in_part_ends_the_stream_until_all_is_loaded_again(stream: Stream) -> None:
    """The session is gone before anybody could see its setting, and its transaction brings another row that does arrive."""
    for compressed in ("ON", "OFF"):
        write(
            stream,
            f"binlog_row_value_options = PARTIAL_JSON, binlog_transaction_compression = {compressed}",
            f"INSERT INTO `do cs.ü` (id, n) VALUES ({1000 + len(compressed)}, 1)",
            "UPDATE `do cs.ü` SET j = JSON_SET(j, '$.a', 7) WHERE id = 1",
        )
    said = ended(stream)
    assert "do cs.ü in part (PARTIAL_JSON)" in said
    assert "Set binlog_row_value_options = ''" in said
    assert "load again" in said
    # It stays so: what comes after would hide it.
    stream.start()
    assert ended(stream) == said
    load_again(stream)
    write(stream, "sql_mode = ''", "UPDATE `do cs.ü` SET j = JSON_SET(j, '$.a', 8) WHERE id = 1")
    same(stream)
    assert stream.ledger.stopped(stream.target) == ()


def test_rows_of_minimal_images_end_the_stream_until_all_is_loaded_again(stream: Stream) -> None:
    write(
        stream,
        "binlog_row_image = MINIMAL",
        "UPDATE `do cs.ü` SET n = 5 WHERE id = 2",
        "DELETE FROM `do cs.ü` WHERE id = 1",
    )
    said = ended(stream)
    assert "minimal row images: set binlog_row_image = FULL" in said
    assert "load again" in said
    load_again(stream)
    write(stream, "sql_mode = ''", "UPDATE `do cs.ü` SET n = 6 WHERE id = 2")
    same(stream)


def test_a_session_that_leaves_something_out_of_its_rows_is_named_before_it_has_written(stream: Stream) -> None:
    with stream.migration.scratch.source_root_connection(stream.settings.source.databases[0]) as cursor:
        cursor.execute("SET SESSION binlog_row_image = NOBLOB")
        said = ended(stream)
    assert "has binlog_row_image = NOBLOB" in said
    assert "workbook cdc run" in said


def test_the_list_of_events_is_read_on_over_pages_files_and_compressed_transactions(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "_PAGE", 3)
    database = scratch.database()
    scratch.execute("CREATE TABLE `o (d).d` (id INT PRIMARY KEY, j JSON)", database)
    scratch.execute("CREATE TABLE other (id INT PRIMARY KEY, j JSON)", database)
    scratch.execute("FLUSH BINARY LOGS")
    (first,) = scratch.execute("SHOW BINARY LOGS")[-1:]
    change = "UPDATE `o (d).d` SET j = JSON_SET(j, '$.a', {}) WHERE id = 1"

    def write(settings: str, *statements: str) -> None:
        with scratch.source_root_connection(database) as cursor:
            cursor.execute(f"SET SESSION {settings}")
            cursor.execute("BEGIN")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("COMMIT")

    def reader(*tables: str) -> partial.PartialJson:
        return partial.PartialJson(scratch.source, [(database, table) for table in tables], scratch.folder)

    fresh = ['REPLACE INTO `o (d).d` VALUES (1, \'{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}\')']
    write("binlog_transaction_compression = ON", *fresh, *(change.format(number) for number in range(20)))
    scratch.execute("FLUSH BINARY LOGS")
    whole = reader("o (d).d")
    whole.look({"file": first[0], "pos": 4}, idle=True)
    assert whole.current
    options = "binlog_row_value_options = PARTIAL_JSON, binlog_transaction_compression = {}"
    others = ["INSERT INTO other SELECT id + 1, j FROM `o (d).d`", "UPDATE other SET j = JSON_SET(j, '$.a', 5)"]
    write(options.format("OFF"), *others)
    # Of a table that is not followed it does not matter; a start goes on behind what was read.
    again = reader("o (d).d")
    again.look({"file": first[0], "pos": 4}, idle=True)
    assert again.current
    write(
        options.format("ON"),
        *(f"INSERT INTO other VALUES ({number}, NULL)" for number in range(10, 20)),
        change.format(77),
    )
    for found in (again, reader("o (d).d")):
        with pytest.raises(TerminalError, match=r"JSON of .*\.o \(d\)\.d in part"):
            found.look({"file": first[0], "pos": 4}, idle=True)
    reader().look({"file": "nowhere", "pos": 4}, idle=True)


SWAPPED = "CREATE TABLE swapped (id INT PRIMARY KEY, a INT, b INT COMMENT 'a\u2028line');\n"
SWAP = "INSERT INTO swapped VALUES (1, 10, 20);\nALTER TABLE swapped MODIFY a INT AFTER b;\nINSERT INTO swapped VALUES (2, 20, 10);\n"


@pytest.mark.parametrize("looked", [True, False], ids=["while it starts", "before it starts again"])
def test_columns_that_change_before_the_first_start_is_through_misplace_no_value(
    looked: bool, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
    database = scratch.database()
    scratch.script(SWAPPED, database)
    begun = Stream.of(scratch, [database])
    begun.set_up()
    # A start that was killed before it had all definitions leaves no more than that.
    follower = begun.make() if looked else None
    scratch.script(SWAP, database)
    with pytest.raises(Refused, match="efinitions"):
        (follower or begun.make()).run(lambda: False, until_caught_up=True, seconds=120)
    assert begun.target.rows(f"SELECT COUNT(*) AS n FROM `{database}`.swapped") == [{"n": 0}]
