"""The stream goes on into the warehouse: what is merged is what a load of that moment would bring, to the byte, once and no more."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from googlesql import analyzer
from migration import Migration
from stream import Stream
from test_cdc import CHANGES, DEFINITIONS, MOST, run
from test_cdc_apply import TABLES, Source
from workbook.catalog import read_catalog
from workbook.cdc import Merged, drain, follow
from workbook.cdc import merge_statements as statements
from workbook.cdc.change import Change
from workbook.cdc.merge import merge
from workbook.errors import Refused
from workbook.mapping import Dedupe, Orphans, Reject, cleaning, generate
from workbook.phases import open_phase
from workbook.phases.rollback import rollback
from workbook.validate.delta import Earlier
from workbook.warehouse import load_warehouse
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.load import clean_again
from workbook.warehouse.statements import place_of
from workbook.warehouse.streamed import Leg, Streamed

MORE = """
CREATE TABLE days (id INT PRIMARY KEY, day DATE, v VARCHAR(20));
CREATE TABLE stamps (id INT, at DATETIME(6), v INT, PRIMARY KEY (id, at));
CREATE TABLE dirty (id INT PRIMARY KEY, email VARCHAR(30), doc JSON);
CREATE TABLE rivals (id INT PRIMARY KEY, email VARCHAR(30));
CREATE TABLE sizes (id INT, size ENUM('s','','1','l'), tags SET('x','1'), v INT, PRIMARY KEY (id, size, tags));
INSERT INTO sizes VALUES (1, 's', 'x', 1), (1, '1', 'x,1', 1), (2, '', '', 1), (2, 'l', '1', 1), (3, '1', '1', 1);
INSERT INTO dirty VALUES (1, ' A@x', '{"a": 1}');
INSERT INTO rivals VALUES (1, 'a@x'), (2, 'bad');
INSERT INTO days VALUES (1, '2024-01-15', 'stays'), (2, '2024-02-15', 'moves'), (3, NULL, 'x'), (4, '2024-05-01', 'goes');
INSERT INTO stamps VALUES (1, '2024-01-01 00:00:00.5', 1), (2, '2025-01-01', 2);
"""
MORE_CHANGES = """
UPDATE days SET day = '2025-03-01' WHERE id = 2;
DELETE FROM days WHERE id = 4;
UPDATE days SET day = '2024-06-01', v = 'y' WHERE id = 3;
INSERT INTO days VALUES (5, '0000-00-00', 'zero'), (6, '2024-01-16', 'six');
UPDATE stamps SET at = '2026-01-01' WHERE id = 2;
UPDATE stamps SET v = 7 WHERE id = 1;
UPDATE sizes SET v = 2 WHERE id = 1;
UPDATE sizes SET size = 's' WHERE id = 2 AND size = 'l';
DELETE FROM sizes WHERE id = 3;
UPDATE dirty SET email = ' B@x ' WHERE id = 1;
INSERT INTO dirty VALUES (2, ' NEW@x', 'null');
INSERT INTO rivals VALUES (3, 'a@x'), (4, 'c@x');
DELETE FROM rivals WHERE id = 1;
"""


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "reports"


def target_catalog(made: Migration) -> Any:
    return read_catalog(
        made.scratch.target, [made.mapping.target_database(name) for name in made.settings.source.databases]
    )


def merged(stream: Stream, **keys: Any) -> Merged:
    made = stream.migration
    settings = made.settings.model_copy(update={"cdc": made.settings.cdc.model_copy(update=keys)})
    return merge(
        made.scratch.target, made.scratch.warehouse, target_catalog(made), made.mapping, settings, made.notes,
        made.notes.objects,
    )  # fmt: skip


def held(scratch: Scratch, dataset: str, table: str) -> list[str]:
    """All rows of a table of the warehouse, each as text."""
    rows = scratch.warehouse.list_rows(scratch.warehouse.get_table(f"{scratch.warehouse.project}.{dataset}.{table}"))
    return sorted(repr(dict(row)) for row in rows)


def apart(stream: Stream, but: Collection[str] = ()) -> dict[str, Any]:
    """Tables that hold something else than a load into other datasets, made now, with what only one of both holds."""
    made, found = stream.migration, {}
    scratch, dataset = made.scratch, made.scratch.dataset()
    warehouse = made.settings.warehouse.model_copy(update={"dataset": dataset})
    cdc = made.settings.cdc.model_copy(update={"warehouse": False})
    other = made.settings.model_copy(update={"warehouse": warehouse, "cdc": cdc, "environment": "another"})
    load_warehouse(scratch.target, scratch.warehouse, target_catalog(made), made.mapping, other, made.notes)
    for item in made.mapping.in_scope:
        for here, there in (
            (made.settings.warehouse.raw_dataset, other.warehouse.raw_dataset),
            (made.settings.warehouse.dataset, dataset),
        ):
            mine, its = (held(scratch, name, item.warehouse_name) for name in (here, there))
            if mine != its and f"{here}.{item.warehouse_name}" not in but:
                only = [row for row in mine if row not in its], [row for row in its if row not in mine]
                found[f"{here}.{item.warehouse_name}"] = (len(mine), len(its), only)
    return found


def laid_out(stream: Stream) -> None:
    """Partitions by a column that is not in the key, and by one that is; rules of columns, and rules that set rows aside."""
    changes: dict[str, dict[str, Any]] = {
        "days": {"partition_by": "day"},
        "stamps": {"partition_by": "at", "partition_unit": "day", "cluster_by": ("id",)},
        "dirty": {"clean": {"email": ("trim", "lower"), "doc": ("json",)}},
        "rivals": {"dedupe": Dedupe(("email",)), "reject": (Reject("no address", "email NOT LIKE '%@%'"),)},
    }
    tables = {}
    for path, table in stream.migration.mapping.tables.items():
        wanted = dict(changes.get(path[1], {}))
        clean = wanted.pop("clean", {})
        columns = tuple(replace(column, clean=clean.get(column.name, ())) for column in table.columns)
        tables[path] = replace(table, columns=columns, **wanted)
    stream.migration.mapping = replace(stream.migration.mapping, tables=tables)


def log_of(stream: Stream, table: str) -> list[tuple[Any, ...]]:
    path = stream.migration.scratch.table_path(stream.settings.warehouse.raw_dataset, f"{table}__changes")
    columns = "_cdc_seq, _cdc_op, _cdc_file, _cdc_pos, _cdc_within, _cdc_gtid, _cdc_at"
    return stream.migration.scratch.google(f"SELECT {columns} FROM {path} ORDER BY _cdc_seq")


def test_what_is_merged_is_what_a_load_would_bring(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """All types, new keys, deletions, TRUNCATE; twice, cut off in between, too dear; and DDL waits for the next load."""
    database = scratch.database()
    run(scratch, database, MOST + MORE)
    stream = Stream.of(scratch, [database], cdc={"warehouse": True})
    laid_out(stream)
    datasets = stream.settings.warehouse.dataset, stream.settings.warehouse.raw_dataset
    keyless = {f"{name}.keyless" for name in datasets}
    stream.migration.warehouse()
    run(scratch, database, CHANGES + MORE_CHANGES)
    stream.start()
    try:
        stream.caught_up(300)
        # Cut off when the changes are in the log, and before that is noted: nothing is there twice afterwards.
        append = Jobs.append

        def killed(jobs: Jobs, *about: Any) -> int:
            append(jobs, *about)
            raise RuntimeError("killed")

        with monkeypatch.context() as patched:
            patched.setattr(Jobs, "append", killed)
            with pytest.raises(RuntimeError, match="killed"):
                merged(stream)
        with pytest.raises(Refused, match="GB"):
            merged(stream, merge_gb=1e-9)
        before = held(scratch, datasets[0], "days")
        assert any("moves" in row and "2, 15" in row for row in before), "nothing was merged"
        found = merged(stream)
        assert {table.table: table.why for table in found.left} == {"keyless": "it has no key"}
        assert not apart(stream, but=keyless)
        how = {table.table: table.how for table in found.tables}
        assert (how["days"], how["dirty"], how["rivals"]) == ("merged", "merged", "merged, clean table made anew")
        log = log_of(stream, "kinds")
        assert [row[0] for row in log] == sorted({row[0] for row in log})
        assert [row[2:5] for row in log] == sorted(row[2:5] for row in log)
        assert {row[1] for row in log} == {"upsert", "delete"}
        assert all(row[5] for row in log)
        again = merged(stream)
        assert {table.how for table in again.tables if not table.why} == {"nothing new"}
        assert not apart(stream, but=keyless)
        # TRUNCATE, and rows after it; then a definition changes, and the table waits for the next load of the warehouse.
        run(scratch, database, "TRUNCATE TABLE emptied;\nINSERT INTO emptied VALUES (9, 9);\nTRUNCATE TABLE days;")
        stream.caught_up(300)
        found = merged(stream)
        assert {table.how for table in found.tables if table.table in ("emptied", "days")} == {"emptied, merged"}
        assert not apart(stream, but=keyless)
        assert held(scratch, datasets[1], "days") == []
        run(scratch, database, DEFINITIONS)
        stream.caught_up(300)
        assert "emptied" in {table.table for table in merged(stream).left}
        stream.migration.warehouse()
        run(scratch, database, "INSERT INTO emptied VALUES (77, 77);\nDELETE FROM parent WHERE id = 4;")
        stream.caught_up(300)
        assert {table.table for table in merged(stream).left} == {"keyless"}
        assert not apart(stream)
    finally:
        stream.stop()


FAMILY = """
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(20));
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, after INT);
CREATE TABLE remarks (customer INT, word VARCHAR(9));
INSERT INTO customers VALUES (1, 'Ann'), (2, 'Bob'), (3, 'spam');
INSERT INTO orders VALUES (1, 1, NULL), (2, 2, 1), (3, 3, 2), (4, 9, 8), (5, NULL, 8);
INSERT INTO remarks VALUES (1, 'a'), (2, 'b'), (2, 'b'), (3, 'c'), (NULL, 'd');
"""


def test_orphans_are_looked_for_again_where_a_merge_changed_a_parent_alone(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = scratch.database()
    run(scratch, database, FAMILY)
    stream = Stream.of(scratch, [database], cdc={"warehouse": True})
    tables = {table.name: table for table in stream.migration.mapping.in_scope}
    customers = replace(tables["customers"], reject=(Reject("spam", "name = 'spam'"),))
    of_customer = Orphans(("customer",), customers, ("id",), "reject")
    orders = replace(tables["orders"], orphans=(of_customer, Orphans(("after",), tables["orders"], ("id",), "null")))
    remarks = replace(tables["remarks"], orphans=(replace(of_customer, policy="null"),))
    stream.migration.mapping = replace(
        stream.migration.mapping, tables={table.path: table for table in (customers, orders, remarks)}
    )
    dataset = stream.settings.warehouse.dataset
    stream.migration.warehouse()

    def rows(table: str) -> list[tuple[Any, ...]]:
        return sorted(scratch.google(f"SELECT * FROM {scratch.table_path(dataset, table)}"), key=str)

    assert rows("orders") == [(1, 1, None), (2, 2, 1), (5, None, None)]
    run(scratch, database, "DELETE FROM customers WHERE id = 2;\nUPDATE customers SET name = 'Eve' WHERE id = 3;")
    stream.start()
    try:
        stream.caught_up(300)
        # Cut off before the orphans were looked for: the next merge does it.
        with monkeypatch.context() as patched:
            patched.setattr(sys.modules["workbook.cdc.merge"], "clean_again", cut_off)
            with pytest.raises(RuntimeError, match="cut off"):
                merged(stream)
        found = {table.table: table for table in merged(stream).tables}
        assert found["customers"].how == "merged, clean table made anew"
        assert found["orders"].how == "no change of its own, clean table made anew"
        assert (found["remarks"].how, found["remarks"].why) == ("left, clean table made anew", "it has no key")
        assert rows("orders") == [(1, 1, None), (3, 3, 2), (5, None, None)]
        assert rows("remarks") == [(1, "a"), (3, "c"), (None, "b"), (None, "b"), (None, "d")]
        assert not apart(stream)
        run(
            scratch,
            database,
            "INSERT INTO orders VALUES (8, 2, NULL), (9, 1, 7);\nINSERT INTO customers VALUES (2, 'Bob');",
        )
        stream.caught_up(300)
        found = {table.table: table for table in merged(stream).tables}
        assert found["orders"].how == "merged, clean table made anew"
        assert rows("orders") == [(1, 1, None), (2, 2, 1), (3, 3, 2), (5, None, 8), (8, 2, None), (9, 1, None)]
        assert not apart(stream)
        assert {table.how for table in merged(stream).tables} == {"nothing new", "left"}
        states = Streamed(scratch.target, stream.settings.environment).states()
        assert {item.verdict for item in stream.migration.validate(Earlier(merged=states)).tables} == {"same"}
    finally:
        stream.stop()


def cut_off(*about: Any) -> int:
    """In the place of `clean_again`: ends at the tables that have orphan rules."""
    if about[5].orphans:
        raise RuntimeError("cut off")
    return clean_again(*about)


HOSTILE = """
CREATE TABLE `it's "a" ``tick``` (`a.b` INT, `_cdc_x` VARCHAR(5), day DATE, PRIMARY KEY (`a.b`, `_cdc_x`));
CREATE TABLE `order` (`select` BINARY(4) PRIMARY KEY, at DATETIME(6), stamp TIMESTAMP, doc JSON, big DECIMAL(50, 20));
CREATE TABLE keys_alone (id BIGINT UNSIGNED, t TIME, b BIT(64), PRIMARY KEY (id, t, b));
"""


def test_every_statement_of_a_merge_is_valid_googlesql(scratch: Scratch) -> None:
    database = scratch.database()
    run(scratch, database, HOSTILE)
    catalog = read_catalog(scratch.source, [database])
    settings = scratch.settings([database])
    for item in generate(catalog, None, False).in_scope:
        partition = next(
            (column.name for column in item.columns if column.rule in ("date", "datetime", "timestamp")), None
        )
        cleaned = tuple(replace(c, clean=("json",)) if c.rule == "json-text" else c for c in item.columns)
        mapped, table = replace(item, partition_by=partition, columns=cleaned), catalog.table[item.path]
        place = place_of(mapped, "local-project", settings.warehouse)
        raw = [(column.warehouse_name, cleaning.raw_type(column)) for column in mapped.columns]
        judge = analyzer(
            {
                place.raw: raw,
                place.clean: [(column.warehouse_name, cleaning.clean_type(column)) for column in mapped.columns],
                statements.log_name(place): [(f.name, f.field_type) for f in statements.log_schema(mapped, table)],
            }
        )
        leg = Leg(1, table.path, "", True, "", 5, "", 9, 0, 1e9, 1.1e9, -719162, 2932896, True)
        for state in (leg, replace(leg, truncated=7), replace(leg, low=None, high=None)):
            for clean in (False, True):
                sql = statements.merge(place, table, state, clean)
                judge.analyze_statement(sql)
                emptied = state.truncated > state.merged
                assert ("NOT MATCHED BY SOURCE" in sql) is emptied
                assert (" IS NULL)" in sql) is (partition is not None and not emptied), "only what changed is read"
        judge.analyze_statement(statements.loaded_since(place, 1, 9, (0.0, 1.0)))
        assert statements.mergeable(mapped, table)
        assert not {statements.marks(mapped).op, statements.marks(mapped).seq} & set(mapped.column)


def test_the_command_merges_and_the_rollback_takes_the_log_back(scratch: Scratch) -> None:
    database = scratch.database()
    run(scratch, database, "CREATE TABLE t (id INT PRIMARY KEY, v INT);\nINSERT INTO t VALUES (1, 1)")
    stream = Stream.of(scratch, [database], cdc={"warehouse": True})
    made = stream.migration
    open_phase("bulk_load", {"params_file": str(stream.file)})
    phase = open_phase("cdc", {"params_file": str(stream.file)})
    made.warehouse()
    notes, made.notes = made.notes, phase.journal  # type: ignore[assignment]
    stream.start()
    made.notes = notes
    try:
        run(scratch, database, "INSERT INTO t VALUES (2, 2);\nUPDATE t SET v = 3 WHERE id = 1;")
        stream.caught_up(300)
        command = stream.command("cdc", "merge", "--set", "cdc.merge_gb=0.000000001")
        said = command.communicate()[0]
        assert command.returncode == 3, said
        assert "cdc.merge_gb" in said
        command = stream.command("cdc", "merge")
        said = command.communicate()[0]
        assert command.returncode == 0, said
        assert "2 rows changed" in said
        # The validation takes what was merged for what the warehouse must hold: what differs in it is no row that is only late.
        states = Streamed(scratch.target, stream.settings.environment).states()
        changed = f"UPDATE {scratch.table_path(stream.settings.warehouse.dataset, 't')} SET v = 4 WHERE id = 1"
        for verdict, statement in (
            ("same", "SELECT 1"),
            ("different", changed),
            ("same", changed.replace("= 4", "= 3")),
        ):
            scratch.google(statement)
            found = made.validate(Earlier(merged=states))
            assert {item.verdict for item in found.tables} == {"same", verdict}
        run(scratch, database, "DELETE FROM t WHERE id = 2;\nUPDATE t SET v = 1 WHERE id = 1;")
        stream.caught_up(300)
        told = json.loads(stream.command("cdc", "status", "--json").communicate()[0])["warehouse"]
        assert (told["waiting"], told["failure"], told["left"]) == (2, "", [])
        assert told["lag_seconds"] > 0
        assert stream.command("cdc", "merge").wait() == 0
        assert [row[1] for row in log_of(stream, "t")] == ["upsert", "upsert", "delete", "upsert"]
    finally:
        stream.stop()
    rollback(stream.settings, "start", lambda text: None)
    names = {item.table_id for item in scratch.warehouse.list_tables(stream.settings.warehouse.raw_dataset)}
    assert names == {"t"}


def test_changes_that_come_late_and_again_leave_the_warehouse_as_cloud_sql_is(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivered in any order and twice, merged at random moments; keys that the target takes for one are several there."""
    monkeypatch.setattr(drain, "_PART_ROWS", 7)
    monkeypatch.setattr(drain, "_CHUNK_ROWS", 60)
    database = scratch.database()
    run(scratch, database, TABLES)
    stream = Stream.of(scratch, [database], cdc={"warehouse": True})
    stream.migration.warehouse()
    source = Source(scratch, database, 2)
    for _ in range(150):
        source.step()
    delivered = source.events + source.dice.sample(source.events, len(source.events) // 2)
    source.dice.shuffle(delivered)
    follower = stream.make()
    applier = follower.applier()
    while delivered:
        size = source.dice.randrange(1, 60)
        applier.apply(delivered[:size])
        delivered = delivered[size:]
        if source.dice.random() < 0.2:
            assert not merged(stream).left
    assert not merged(stream).left
    for table in ("seats", "words"):
        rows = stream.target.rows(f"SELECT * FROM {database}.{table}")
        assert sorted(tuple(row.values()) for row in rows) == sorted(source.rows(table))
        there = sorted(map(repr, rows))
        for dataset in (stream.settings.warehouse.raw_dataset, stream.settings.warehouse.dataset):
            assert held(scratch, dataset, table) == there
    source.connection.close()
    follower.disconnect()


ODD = """
CREATE TABLE parent (id INT PRIMARY KEY);
CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE);
CREATE TABLE measured (at DOUBLE PRIMARY KEY, v INT);
CREATE TABLE flags (id INT PRIMARY KEY, flag TINYINT(1));
CREATE TABLE plain (id INT PRIMARY KEY, v INT);
"""


def test_a_table_that_cannot_be_followed_is_left_to_the_load_by_name_and_the_others_go_on(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "silent_cascades", lambda version, variables: True)
    database = scratch.database()
    run(scratch, database, ODD)
    stream = Stream.of(scratch, [database], cdc={"warehouse": True, "outbox_rows": 1000})
    tables = dict(stream.migration.mapping.tables)
    flags = tables[database, "flags"]
    bools = tuple(replace(column, rule="bool") if column.name == "flag" else column for column in flags.columns)
    tables[database, "flags"] = replace(flags, columns=bools)
    stream.migration.mapping = replace(stream.migration.mapping, tables=tables)
    stream.migration.warehouse()
    follower = stream.make()
    applier = follower.applier()

    def change(table: str, place: int, **row: Any) -> Change:
        return Change("c", (database, table), (1, place, 1), None, row, f"x:{place}", 1.7e9)

    applier.apply([change("plain", 10, id=1, v=1), change("flags", 11, id=1, flag=1), change("child", 12, id=1, p=1)])
    found = merged(stream)
    assert {table.table: table.why.split(" of ")[0] for table in found.left} == {
        "child": "its rows follow the foreign keys",
        "measured": "the column 'at'",
    }
    # A value that the mapping's rule cannot hold becomes no other value in silence.
    applier.apply([change("plain", 20, id=2, v=2), change("flags", 21, id=2, flag=2)])
    found = merged(stream)
    assert "does not fit the rule bool" in next(table.why for table in found.left if table.table == "flags")
    assert sum(found.skipped.values()) == 1
    assert len(held(scratch, stream.settings.warehouse.dataset, "plain")) == 2
    # More than may wait: all wait for a load, and the stream goes on.
    applier.apply([change("plain", 100 + number, id=number, v=number) for number in range(10, 1100)])
    found = merged(stream)
    assert "cdc.outbox_rows" in next(table.why for table in found.left if table.table == "plain")
    wrong = Change("d", (database, "flags"), (1, 5001, 1), {"id": 2, "flag": 2})
    applier.apply([change("plain", 5000, id=5000, v=1), wrong])
    follower.disconnect()
    stream.migration.warehouse()
    assert {table.table for table in merged(stream).left} == {"measured"}
    assert not apart(stream)
