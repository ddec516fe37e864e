"""The applier by itself: whatever the order and however often changes are delivered, the rows are those of the source."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from stream import Stream
from workbook.cdc import follow, status
from workbook.cdc.apply import Outcome
from workbook.cdc.change import Change, Mark, read
from workbook.cdc.ddl import wanted
from workbook.cdc.ledger import Position
from workbook.cdc.properties import SINKS, name_pattern, render
from workbook.cdc.status import Report
from workbook.errors import UsageError
from workbook.gtids import GtidSet
from workbook.mapping import TableMap
from workbook.mapping.flow import Flow, Mask
from workbook.params import Settings
from workbook.sandbox import lifecycle

TABLES = """
CREATE TABLE seats (id INT PRIMARY KEY, seat INT UNIQUE, v INT);
CREATE TABLE words (word VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, part INT, v INT, PRIMARY KEY (word, part))
"""
WORDS = ("a", "A", "ä", "b", "B ", "b", "ß", "ss")


class Source:
    """The source's side of a history: each change is made there, and kept as an event."""

    def __init__(self, scratch: Scratch, database: str, seed: int):
        self.connection = lifecycle.root_connection(scratch.state, "source", database=database)
        self.database = database
        self.dice = random.Random(seed)
        self.events: list[Change] = []

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        return self.run(f"SELECT * FROM {table}")

    def run(self, sql: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def note(self, table: str, before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> None:
        names = ("id", "seat", "v") if table == "seats" else ("word", "part", "v")
        place = (1 + len(self.events) // 100, 100 * len(self.events), 1)
        images = [None if row is None else dict(zip(names, row, strict=True)) for row in (before, after)]
        op = "c" if before is None else "d" if after is None else "u"
        self.events.append(Change(op, (self.database, table), place, *images, "x:1", 1.0))

    def step(self) -> None:
        """One random change: a row made, changed, given another key, or gone; seats are swapped over a free one."""
        table = self.dice.choice(("seats", "words"))
        rows = self.rows(table)
        fresh = (
            (self.dice.randrange(12), self.dice.randrange(12), self.dice.randrange(1000))
            if table == "seats"
            else (self.dice.choice(WORDS), self.dice.randrange(2), self.dice.randrange(1000))
        )
        old = self.dice.choice(rows) if rows else None
        kind = self.dice.choice(("make", "change", "change", "key", "drop")) if old else "make"
        names = ("id", "seat") if table == "seats" else ("word", "part")
        where = "id = %s" if table == "seats" else "word = %s AND part = %s"
        key = (old or ())[:1] if table == "seats" else (old or ())[:2]
        try:
            if kind == "make":
                self.run(f"INSERT INTO {table} VALUES (%s, %s, %s)", fresh)
                self.note(table, None, fresh)
            elif kind == "drop":
                self.run(f"DELETE FROM {table} WHERE {where}", key)
                self.note(table, old, None)
            else:
                assert old is not None
                after = (fresh[0], *fresh[1:]) if kind == "key" else (*key, *fresh[len(key) :])
                sets = f"{names[0]} = %s, {names[1]} = %s, v = %s"
                self.run(f"UPDATE {table} SET {sets} WHERE {where}", (*after, *key))
                if after[: len(key)] == key:
                    self.note(table, old, after)
                else:
                    self.note(table, old, None)
                    self.note(table, None, after)
        except Exception as error:
            if "Duplicate" not in str(error):
                raise


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 21))])
def test_delivery_shuffled_and_repeated_leaves_the_rows_of_the_source(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    database = scratch.database()
    scratch.script(TABLES.strip() + "\n", database)
    stream = Stream.of(scratch, [database])
    source = Source(scratch, database, seed)
    for _ in range(250):
        source.step()
    delivered = source.events + source.dice.sample(source.events, len(source.events) // 2)
    source.dice.shuffle(delivered)
    follower = stream.make()
    applier = follower.applier()
    stale = 0
    while delivered:
        size = source.dice.randrange(1, 30)
        stale += applier.apply(delivered[:size]).stale
        delivered = delivered[size:]
    follower.disconnect()
    assert stale > 0
    # What was refused while a later change had not come yet is applied or overtaken by now.
    assert [letter.error for letter in stream.ledger.letters(stream.target)] == []
    assert not stream.differences()
    for table in ("seats", "words"):
        there = stream.target.rows(f"SELECT * FROM {database}.{table}")
        assert sorted(tuple(row.values()) for row in there) == sorted(source.rows(table))
    source.connection.close()


FAMILY = """
CREATE TABLE parent (id INT PRIMARY KEY);
CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO parent VALUES (1), (2), (3);
INSERT INTO child VALUES (10, 1), (20, 2), (30, 3)
"""


def test_cascades_that_the_source_does_not_log_are_repeated_or_stop_their_tables(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events as a server writes them whose cascades are its storage engine's own."""
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setattr(follow, "silent_cascades", lambda version, variables: True)
    database = scratch.database()
    scratch.script(FAMILY.strip() + "\n", database)
    stream = Stream.of(scratch, [database])
    follower = stream.make()
    applier = follower.applier()
    parent, child = (database, "parent"), (database, "child")
    moved = Change("u", child, (1, 10, 1), {"id": 20, "p": 2}, {"id": 20, "p": 1})
    applier.apply([moved, Change("d", parent, (1, 11, 1), {"id": 1})])
    assert stream.target.rows(f"SELECT id, p FROM {database}.child") == [{"id": 30, "p": 3}]
    applier.apply([Change("d", parent, (1, 20, 1), {"id": 3}), Change("c", parent, (1, 20, 2), None, {"id": 4})])
    follower.disconnect()
    assert stream.target.rows(f"SELECT id, p FROM {database}.child") == [{"id": 30, "p": 3}]
    assert {item.path for item in stream.ledger.stopped(stream.target)} == {parent, child}


def test_gtids_are_added_as_the_server_writes_sets(scratch: Scratch) -> None:
    one, other = "a4e66e79-e828-11f1-ab4f-02fc00000001", "b4e66e79-e828-11f1-ab4f-02fc00000001"
    dice = random.Random(3)
    for _ in range(20):
        numbers = [f"{dice.choice((one, other, one + ':tag'))}:{dice.randrange(1, 25)}" for _ in range(20)]
        cut = dice.randrange(20)
        start = str(GtidSet({}).plus(numbers[:cut]))
        both = str(GtidSet.parse(start).plus(numbers[cut:]))
        assert scratch.execute("SELECT GTID_SUBTRACT(%s, %s), GTID_SUBTRACT(%s, %s)", None, (both, ",".join(numbers), ",".join(numbers), both))[0] == ("", "")  # fmt: skip
    assert str(GtidSet.parse(f"{one}:1-5").plus([f"{one}:6", f"{one}:8", f"{one}:7"])) == f"{one}:1-8"


def test_messages_become_changes_and_marks() -> None:
    source = (
        '"source":{"ts_ms":2000,"snapshot":"false","db":"d","table":"t","gtid":"u-1:5","file":"binlog.000012","pos":34}'
    )
    row = read(f'{{"before":null,"after":{{"id":1}},{source},"transaction":{{"id":"u-1:5","total_order":7}},"op":"c"}}')
    assert row == Change("c", ("d", "t"), (12, 34, 7), None, {"id": 1}, "u-1:5", 2.0)
    assert read('{"status":"END","id":"u-1:5","event_count":3,"ts_ms":1000}') == Mark("end", "u-1:5", 3, 1.0)
    assert read('{"ts_ms":1000}') == Mark("beat", at=1.0)
    statement = read(f'{{{source},"ts_ms":1,"databaseName":"d","ddl":"ALTER TABLE t ADD x INT","tableChanges":[]}}')
    assert isinstance(statement, Change)
    assert (statement.op, statement.statement, statement.barrier) == ("ddl", "ALTER TABLE t ADD x INT", True)
    assert read(f'{{{source.replace("false", "true")},"databaseName":"d","ddl":"CREATE TABLE t (id INT)"}}') is None


FLOW = Flow(
    database="new",
    table="named",
    excluded=("gone",),
    renamed=(("old", "fre`sh"),),
    masks=(("hidden", Mask("null")),),
)
MAPPED = {
    ("d", "t"): TableMap("d", "t", "main", "t", ()),
    ("d", "f"): TableMap("d", "f", "main", "f", (), flow=FLOW),
}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("ALTER TABLE t ADD COLUMN x INT", "ALTER TABLE `d`.`t` ADD COLUMN x INT"),
        ("alter table `d`.`t` add x varchar(9) default 'a,b', drop key k", "ALTER TABLE `d`.`t` add x varchar(9) default 'a,b', drop key k"),
        ("ALTER TABLE f MODIFY `old` BIGINT, ADD gone2 INT", "ALTER TABLE `new`.`named` MODIFY `fre``sh` BIGINT, ADD gone2 INT"),
        ("ALTER TABLE f DROP COLUMN gone", None),
        ("CREATE UNIQUE INDEX i ON f (old, x)", "CREATE UNIQUE INDEX i ON `new`.`named` (`fre``sh`, x)"),
        ("DROP INDEX i ON d.t", "DROP INDEX i ON `d`.`t`"),
        ("DROP TABLE IF EXISTS t, elsewhere /* generated by server */", "DROP TABLE IF EXISTS `d`.`t`"),
        ("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE `d`.`t` (id INT PRIMARY KEY)"),
        ("ALTER TABLE elsewhere ADD x INT", None),
        ("TRUNCATE TABLE t", None),
    ],
)  # fmt: skip
def test_ddl_runs_in_the_names_of_the_target(statement: str, expected: str | None) -> None:
    found = wanted(statement, "d", MAPPED)
    assert (found.statements, found.stops) == ((expected,) if expected else (), ())


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("RENAME TABLE t TO u", "renamed it"),
        ("ALTER TABLE t RENAME TO u", "another name"),
        ("ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b)", "key that names a row"),
        ("ALTER TABLE t ADD u CHAR(36) DEFAULT (UUID())", "UUID"),
        ("ALTER TABLE t DROP PARTITION p", "without naming them"),
        ("ALTER TABLE t CONVERT TO CHARACTER SET latin1", "not followed"),
        ("ALTER TABLE f MODIFY hidden TEXT", "masks"),
        ("CREATE TABLE t LIKE u", "another table"),
        ("DROP DATABASE d", "dropped"),
    ],
)
def test_ddl_that_is_not_followed_stops_its_table_and_says_why(statement: str, words: str) -> None:
    found = wanted(statement, "d", MAPPED)
    assert found.statements == ()
    assert words in found.stops[0][1]


def settings(**cdc: Any) -> Settings:
    servers = {"url": "mysql://u@db:3306", "databases": ["d"]}
    keys = {"target": {"url": "mysql://u@other:3306"}, "warehouse": {"project": "some-project", "dataset": "d"}}
    return Settings.model_validate({"environment": "prod", "source": servers, **keys, "cdc": cdc})


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("form", ["json", "avro"])
def test_properties_name_no_secret_and_what_each_sink_needs(sink: Any, form: Any) -> None:
    about = {"sink_address": "broker:1", "sink_region": "eu-north-1", "registry_url": "http://registry"}
    text = render(settings(sink=sink, format=form, **about), ("db", 3306, "u"), [("d", "t"), ("d", "ü,.x")]).text
    assert "debezium.source.database.password=${WORKBOOK_SOURCE_PASSWORD}\n" in text
    assert f"debezium.sink.type={sink}\n" in text
    assert (
        "debezium.source.table.include.list=d\\\\.t,d\\\\.\\\\u00fc\\\\u002c\\\\u002ex,_workbook\\\\.cutover_sentinel\n"
        in text
    )
    assert name_pattern("ü,.x") == "\\u00fc\\u002c\\u002ex"
    if sink != "pubsub" or form == "avro":
        with pytest.raises(UsageError, match=r"not cdc\.(registry_url|sink_address|sink_region)"):
            render(settings(sink=sink, format=form), ("db", 1, "u"), [])


@pytest.mark.parametrize("apart", [False, True])
def test_a_transaction_that_waits_is_none_of_the_stream_only_when_the_engine_was_heard_twice_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    """However long an engine takes to start: it has not caught up. `apart`: a pipeline elsewhere applies, seen in the ledger alone."""
    clock = [1000.0]
    monkeypatch.setattr(status.time, "time", lambda: clock[0])
    report = Report(tmp_path, "x")
    offset: dict[str, Any] = {"file": "b.1", "pos": 4, "gtids": "u:1"}
    report.started(1)

    def later(number: int, seconds: float = 20, behind: str = "u:2") -> bool:
        clock[0] += seconds
        told = {**offset, "epoch": 7, "number": number} if apart else offset
        if number and not apart:
            report.applied([], Outcome(), told, clock[0])
        report.looked(Position(told), 0, (), behind, 0)
        return report.caught_up

    assert not later(0)
    assert not later(0, 300)
    if not apart:
        report.applied([], Outcome(), {**offset, "snapshot": "INITIAL"}, clock[0])
        report.applied([], Outcome(), {**offset, "snapshot": "INITIAL"}, clock[0])
        assert not later(0, 300)
    assert not later(1)
    assert later(2)
    assert not later(3, behind="u:2-3")
    # Another engine has to be heard anew.
    report.started(2)
    assert not later(0 if not apart else 3, 300)
    assert not later(4)
    assert later(5)


def test_dead_letters_that_are_still_refused_keep_no_later_one_from_being_replayed(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    database = scratch.database()
    scratch.script("CREATE TABLE a (id INT PRIMARY KEY);\nCREATE TABLE b (id INT PRIMARY KEY)\n", database)
    stream = Stream.of(scratch, [database])
    for table in "ab":
        scratch.execute_target_root(f"ALTER TABLE {table} ADD CONSTRAINT low_{table} CHECK (id < 0)", database)
    follower = stream.make()
    changes = [Change("c", (database, "a"), (1, number, 1), None, {"id": number}) for number in range(510)]
    changes += [Change("c", (database, "b"), (2, number, 1), None, {"id": number}) for number in range(3)]
    assert follower.applier().apply(changes).dead == 513
    scratch.execute_target_root("ALTER TABLE b DROP CHECK low_b", database)
    outcome = follower.replay()
    assert outcome.applied == 3
    assert stream.target.scalar(f"SELECT COUNT(*) FROM {database}.b") == 3
    assert stream.ledger.dead_count(stream.target) == 510
    assert len(stream.ledger.letters(stream.target, 5)) == 5
