"""The stream goes on into the warehouse: what is merged is what a load of that moment would bring, to the byte, once and no more."""

from __future__ import annotations

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
from workbook.catalog import read_catalog
from workbook.cdc import Merged, merge
from workbook.cdc import merge_statements as statements
from workbook.errors import Refused
from workbook.mapping import Dedupe, Reject, cleaning, generate
from workbook.warehouse import load_warehouse
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.statements import place_of
from workbook.warehouse.streamed import Leg

MORE = """
CREATE TABLE days (id INT PRIMARY KEY, day DATE, v VARCHAR(20));
CREATE TABLE stamps (id INT, at DATETIME(6), v INT, PRIMARY KEY (id, at));
CREATE TABLE dirty (id INT PRIMARY KEY, email VARCHAR(30), doc JSON);
CREATE TABLE rivals (id INT PRIMARY KEY, email VARCHAR(30));
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
        stream.caught_up()
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
        stream.caught_up()
        found = merged(stream)
        assert {table.how for table in found.tables if table.table in ("emptied", "days")} == {"emptied, merged"}
        assert not apart(stream, but=keyless)
        assert held(scratch, datasets[1], "days") == []
        run(scratch, database, DEFINITIONS)
        stream.caught_up()
        assert "emptied" in {table.table for table in merged(stream).left}
        stream.migration.warehouse()
        run(scratch, database, "INSERT INTO emptied VALUES (77, 77);\nDELETE FROM parent WHERE id = 4;")
        stream.caught_up()
        assert {table.table for table in merged(stream).left} == {"keyless"}
        assert not apart(stream)
    finally:
        stream.stop()


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
