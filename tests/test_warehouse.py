"""The warehouse load on real servers: exact raw copies, clean tables, nothing replaced that is not ours, killed and run again."""

import io
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from migration import Migration
from values import BOUNDARIES
from workbook.catalog import Catalog, read_catalog
from workbook.errors import Refused, TerminalError, TransientError, UsageError
from workbook.mapping import Dedupe, Mapping, Orphans, Reject, cleaning, generate
from workbook.mapping.types import RULES
from workbook.params import Settings
from workbook.servers import connect_target, connect_warehouse
from workbook.warehouse import WarehouseResult, cleaning_samples, extract, jobs, load_warehouse, try_cleaning
from workbook.warehouse.extract import snapshot
from workbook.wire import drivers

SCRIPT = """
CREATE TABLE `all types` (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, small TINYINT, truth TINYINT(1), big BIGINT, yr YEAR, bits BIT(10), bits64 BIT(64),
  money DECIMAL(38,9), wide DECIMAL(65,30), single FLOAT, dbl DOUBLE, day DATE, moment DATETIME(6), instant TIMESTAMP(6) NULL,
  span TIME(6), word VARCHAR(60) CHARACTER SET latin1, long_text LONGTEXT, mood ENUM('a','ü'), extras SET('x','y'),
  bytes VARBINARY(8), blob_ LONGBLOB, doc JSON, place POINT SRID 4326,
  twice BIGINT GENERATED ALWAYS AS (small * 2) VIRTUAL, `it's 100%s {sure}` INT INVISIBLE
) COMMENT 'the "types"'
;;
INSERT INTO `all types` (id, small, truth, big, yr, bits, bits64, money, wide, single, dbl, day, moment, instant, span, word,
  long_text, mood, extras, bytes, blob_, doc, place, `it's 100%s {sure}`) VALUES
 (18446744073709551615, -128, 2, -9223372036854775808, 0, 1023, 18446744073709551615,
  -99999999999999999999999999999.999999999, 12345678901234567890123456789012345.012345678901234567890123456789,
  0.1, 1.7976931348623157e308, '9999-12-31', '0001-01-01 00:00:00.000001', '2038-01-19 03:14:07.999999',
  '-838:59:58.999999', 'é ', '\\0<b>\\t😀', 'ü', 'x,y', 0x00FF275C, 0x00, '{"a": [1.0, 1]}',
  ST_GeomFromText('POINT(52.5 13.4)', 4326), 7),
 (0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL),
 (1, 0, 0, 0, 1901, 0, 0, 0.000000001, -0.5, -0, 5e-324, '0000-00-00', '2024-00-00 00:00:00', '0000-00-00 00:00:00',
  '00:00:00', '', '', 99, '', '', '', 'null', ST_GeomFromText('POINT(0 0)', 4326), 0)
;;
CREATE TABLE `empty one` (id INT PRIMARY KEY, `select` VARCHAR(5))
"""


class Notes:
    """A journal in memory, as the ledger keeps it on disk; `after` ends the load at that many notes."""

    def __init__(self, after: int | None = None, action: Callable[[], None] | None = None):
        self.notes: list[tuple[str, str, str]] = []
        self.cancelled: set[int] = set()
        self.after = after
        self.action = action

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        self.notes.append((object, str(undo), server))
        if self.after is not None and len(self.notes) > self.after:
            assert self.action is not None
            self.action()
        return len(self.notes)

    def confirm(self, number: int) -> None:
        assert 1 <= number <= len(self.notes)

    def cancel(self, number: int) -> None:
        self.cancelled.add(number)

    @property
    def owned(self) -> set[str]:
        return {name for number, (name, _, _) in enumerate(self.notes, 1) if number not in self.cancelled}


class Case:
    """A database on the target, its mapping, and the settings to load it by."""

    def __init__(self, scratch: Any, script: str):
        self.scratch = scratch
        self.database = scratch.database()
        scratch.execute_target_root(f"CREATE DATABASE `{self.database}`")
        for statement in script.split("\n;;\n"):
            scratch.execute_target_root(statement, self.database)
        self.settings: Settings = scratch.settings([self.database])
        self.journal = Notes()

    def catalog(self) -> Catalog:
        return read_catalog(self.scratch.target, [self.database])

    def mapping(self, **changes: dict[str, Any]) -> Mapping:
        """The generated mapping, with `changes` to tables by name."""
        made = generate(self.catalog(), None, True)
        tables = {path: replace(table, **changes.get(path[1], {})) for path, table in made.tables.items()}
        return replace(made, tables=tables)

    def load(self, mapping: Mapping | None = None, owned: set[str] | None = None) -> WarehouseResult:
        return load_warehouse(
            self.scratch.target,
            self.scratch.warehouse,
            self.catalog(),
            mapping or self.mapping(),
            self.settings,
            self.journal,
            self.journal.owned if owned is None else owned,
        )

    def path(self, table: str, raw: bool = False) -> str:
        names = self.settings.warehouse
        return self.scratch.table_path(names.raw_dataset if raw else names.dataset, table)

    def rows(self, table: str, raw: bool = False, columns: str = "*") -> list[dict[str, Any]]:
        job = self.scratch.warehouse.query(f"SELECT {columns} FROM {self.path(table, raw)}")
        return [dict(row) for row in job.result()]

    def tables(self) -> set[str]:
        found = set()
        for dataset in (self.settings.warehouse.dataset, self.settings.warehouse.raw_dataset):
            found |= {f"{dataset}.{item.table_id}" for item in self.scratch.warehouse.list_tables(dataset)}
        return found


@pytest.fixture
def case(scratch: Any) -> Callable[[str], Case]:
    return lambda script: Case(scratch, script)


@pytest.fixture(params=["mysqlclient", "pymysql"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the drivers reads the rows of extractions."""
    if request.param == "pymysql":
        monkeypatch.setattr(extract, "text_reader", lambda address: None)
    elif "mysqlclient" not in drivers():
        pytest.skip("mysqlclient is not installed")
    return str(request.param)


def test_every_type_at_its_boundaries_arrives_exactly(case: Callable[[str], Case], driver: str) -> None:
    made = case(SCRIPT)
    result = made.load()
    assert result.verdict == "ok"
    assert {table.table: table.rows_raw for table in result.tables} == {"all types": 3, "empty one": 0}
    for raw in (True, False):
        most, one, nothing = sorted(made.rows("all_types", raw), key=lambda row: (row["id"] == 0, -row["id"]))
        assert {name for name, value in nothing.items() if value is not None} == {"id"}
        expected: dict[str, tuple[Any, Any]] = {
            "id": (Decimal(2**64 - 1), Decimal(1)),
            "small": (-128, 0),
            "truth": (2, 0),
            "big": (-(2**63), 0),
            "yr": (0, 1901),
            "bits": (1023, 0),
            "bits64": (Decimal(2**64 - 1), Decimal(0)),
            "money": (Decimal("-99999999999999999999999999999.999999999"), Decimal("0.000000001")),
            "single": (0.10000000149011612, 0.0),
            "dbl": (1.7976931348623157e308, 5e-324),
            "day": (date(9999, 12, 31), None),
            "moment": (datetime(1, 1, 1, 0, 0, 0, 1), None),
            "instant": (datetime(2038, 1, 19, 3, 14, 7, 999999, tzinfo=UTC), None),
            "span": (-(838 * 3600 + 59 * 60 + 58) * 1_000_000 - 999_999, 0),
            "word": ("é ", ""),
            "long_text": ("\0<b>\t😀", ""),
            "mood": ("ü", ""),
            "extras": ("x,y", ""),
            "bytes": (b"\x00\xff'\\", b""),
            "blob_": (b"\x00", b""),
            "doc": ('{"a": [1.0, 1]}', "null"),
            "twice": (-256, 0),
            "it_s_100_s__sure_": (7, 0),
        }
        for name, (first, second) in expected.items():
            assert (most[name], one[name]) == (first, second), name
        assert Decimal(most["wide"]) == Decimal("12345678901234567890123456789012345.012345678901234567890123456789")
        assert most["place"][:4] == (4326).to_bytes(4, "little")
    (table, _) = result.tables
    assert table.lost == {"day": 1, "moment": 1, "instant": 1}


def test_the_shared_encoding_is_the_same_on_both_sides_for_every_boundary(case: Callable[[str], Case]) -> None:
    tables = {f"t{number}": (kind, values) for number, (kind, values) in enumerate(BOUNDARIES.items())}
    made = case(
        "\n;;\n".join(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, v {kind})\n;;\nINSERT IGNORE INTO {name} VALUES (-1, NULL), "
            + ", ".join(f"({number}, {value})" for number, value in enumerate(values))
            for name, (kind, values) in tables.items()
        )
    )
    made.load()
    rules = {rule.name: rule for rule in RULES}
    for table in made.mapping().in_scope:
        rule = rules[table.column["v"].rule]
        here = made.scratch.execute_target_root(
            f"SELECT id, {rule.shared.replace('{c}', 'v')} FROM {table.name} ORDER BY id", made.database
        )
        google = f"SELECT id, {rule.google.replace('{c}', 'v')} FROM {made.path(table.name, raw=True)} ORDER BY id"
        there = made.scratch.google(google)
        decoded = [(key, value.decode() if isinstance(value, bytes) else value) for key, value in here]
        assert decoded == there, tables[table.name]


def test_tables_are_described_partitioned_and_clustered_by_the_mapping(case: Callable[[str], Case]) -> None:
    made = case(SCRIPT)
    made.load(made.mapping(**{"all types": {"partition_by": "moment", "cluster_by": ("id", "word")}}))
    client = made.scratch.warehouse
    clean = client.get_table(f"{client.project}.{made.settings.warehouse.dataset}.all_types")
    assert (clean.time_partitioning.field, clean.time_partitioning.type_) == ("moment", "MONTH")
    assert clean.clustering_fields == ["id", "word"]
    assert clean.description == f'the "types" [MySQL table {made.database}.all types]'
    assert {field.name: field.description for field in clean.schema}["twice"].startswith(f"[{made.database}.all types")
    # Laid out otherwise, the table of before is no obstacle.
    made.load(made.mapping(**{"all types": {"partition_by": "day", "partition_unit": "year", "cluster_by": ()}}))
    again = client.get_table(f"{client.project}.{made.settings.warehouse.dataset}.all_types")
    assert (again.time_partitioning.field, again.time_partitioning.type_) == ("day", "YEAR")
    assert len(made.rows("all_types")) == 3


READERS = """
CREATE TABLE readers (id INT PRIMARY KEY, email VARCHAR(60), score VARCHAR(9), doc JSON)
;;
INSERT INTO readers VALUES (1, ' A@X.example', 'N/A', '{"b": 1}'), (2, 'a@x.example', '7', 'null'), (3, NULL, '1', NULL),
 (4, 'bad', '2', '[]'), (5, 'c@x.example', '', '{}')
"""


def cleaned(mapping: Mapping) -> Mapping:
    (path, table), *_ = mapping.tables.items()
    rules = {"email": ("trim", "lower"), "score": ("null_tokens",), "doc": ("json",)}
    table = replace(
        table,
        columns=tuple(replace(column, clean=rules.get(column.name, ())) for column in table.columns),
        dedupe=Dedupe(("email",)),
        reject=(Reject("no address", "NOT IFNULL(email LIKE '%@%', TRUE)"),),
    )
    return replace(mapping, tables={path: table})


def test_the_clean_table_is_exactly_what_the_rules_make_of_the_raw_one(case: Callable[[str], Case]) -> None:
    made = case(READERS)
    mapping = cleaned(made.mapping())
    result = made.load(mapping)
    (table,) = result.tables
    assert result.verdict == "ok"
    assert (table.rows_raw, table.rows_clean, dict(table.rejected)) == (5, 3, {"dedupe": 1, "no address": 1})
    counts = {(change.column, change.rule): change.rows for change in table.changed}
    assert counts == {("email", "trim"): 1, ("email", "lower"): 1, ("score", "null_tokens"): 2, ("doc", "json"): 0}
    rows = sorted(made.rows("readers", columns="id, email, score"), key=lambda row: row["id"])
    assert rows == [
        {"id": 1, "email": "a@x.example", "score": None},
        {"id": 3, "email": None, "score": "1"},
        {"id": 5, "email": "c@x.example", "score": None},
    ]
    select = cleaning.clean_select(mapping.in_scope[0], made.path("readers", raw=True))
    as_text = "TO_JSON_STRING(STRUCT(id AS id, email AS email, score AS score, TO_JSON_STRING(doc) AS doc))"
    again = made.scratch.google(f"SELECT {as_text} FROM ({select})")
    assert sorted(again) == sorted(made.scratch.google(f"SELECT {as_text} FROM {made.path('readers')}"))
    aside = made.rows("readers__rejected", raw=True, columns="_rejected_by, id")
    assert {(row["_rejected_by"], row["id"]) for row in aside} == {("dedupe", 2), ("no address", 4)}
    # Without the rules, what an earlier load set aside goes as well.
    made.load()
    assert not any(name.endswith("__rejected") for name in made.tables())
    assert len(made.rows("readers")) == 5


# The child comes first, the parents after it, and one of them refers back to the child.
FAMILY = """
CREATE TABLE `a child's` (id INT PRIMARY KEY, owner VARCHAR(9), place VARCHAR(9), lot BIGINT UNSIGNED, above INT)
;;
CREATE TABLE owners (id INT PRIMARY KEY, name VARCHAR(9), first INT)
;;
CREATE TABLE places (lot INT, name VARCHAR(9), PRIMARY KEY (name, lot))
;;
INSERT INTO owners VALUES (1, ' Ann', 1), (2, 'bob ', 2), (3, 'BOB', 99), (4, 'eve', NULL)
;;
INSERT INTO places VALUES (1, 'x'), (2, 'x'), (18, 'y')
;;
INSERT INTO `a child's` VALUES (1, 'ann', 'x', 1, NULL), (2, 'Eve', 'x', 2, 1), (3, NULL, 'x', 3, 2), (4, 'bob', 'y', NULL, 3),
 (5, 'eve ', NULL, 18, 77), (6, 'zoe', 'y', 18, 6), (7, 'ANN', 'y', 18, 6), (8, 'ann', 'z', 18, 8),
 (9, 'ann', NULL, NULL, 77)
"""


def related(mapping: Mapping, aside: str = "eve") -> Mapping:
    """Of `bob` the second row is a duplicate; one owner is set aside, so that their children are orphans."""
    named: dict[str, Any] = {table.name: table for table in mapping.in_scope}

    def cleaned(name: str, *columns: str) -> Any:
        rules = tuple(
            replace(one, clean=("trim", "lower") if one.name in columns else ()) for one in named[name].columns
        )
        return replace(named[name], columns=rules)

    owners = replace(
        cleaned("owners", "name"), dedupe=Dedupe(("name",)), reject=(Reject("aside", f"name = '{aside}'"),)
    )
    child = cleaned("a child's", "owner")
    rules = (
        Orphans(("owner",), owners, ("name",), "reject"),
        Orphans(("place", "lot"), named["places"], ("name", "lot"), "null"),
        Orphans(("above",), child, ("id",), "reject"),
    )
    first = Orphans(("first",), child, ("id",), "null")
    tables = [replace(child, orphans=rules), replace(owners, orphans=(first,)), named["places"]]
    return replace(mapping, tables={table.path: table for table in tables})


def family(
    child: Iterable[Any], owners: Iterable[Any], places: Iterable[Any], aside: str
) -> dict[str, list[tuple[Any, ...]]]:
    """What the rules of `related` keep of these rows of the target, and what they set aside, worked out without SQL."""
    known, ids, lots = {}, {row[0] for row in child}, {(name, lot) for lot, name in places}
    rejected: list[tuple[Any, ...]] = []
    for key, name, first in sorted(owners):
        row = key, name.strip().lower(), first if first in ids else None
        if row[1] == aside or row[1] in known:
            rejected.append(("aside" if row[1] == aside else "dedupe", *row))
        else:
            known[row[1]] = row
    kept, orphans = [], []
    for key, owner, place, lot, above in child:
        owner = owner and owner.strip().lower()
        if place is not None and lot is not None and (place, lot) not in lots:
            place = lot = None
        row = key, owner, place, lot, above
        if owner is not None and owner not in known:
            orphans.append(("orphan: owner not in owners", *row))
        elif above is not None and above not in ids:
            orphans.append(("orphan: above not in a_child_s", *row))
        else:
            kept.append(row)
    return {
        "a_child_s": kept,
        "a_child_s__rejected": orphans,
        "owners": list(known.values()),
        "owners__rejected": rejected,
    }


def told(rows: Iterable[Iterable[Any]]) -> list[str]:
    return sorted(repr(tuple(int(value) if isinstance(value, Decimal) else value for value in row)) for row in rows)


def assert_family(made: Case, aside: str = "eve") -> dict[str, list[tuple[Any, ...]]]:
    """The clean tables and those of rejected rows hold what `family` makes of the target's rows; that."""
    tables = [
        made.scratch.execute_target_root(f"SELECT * FROM `{name}`", made.database)
        for name in ("a child's", "owners", "places")
    ]
    wanted = family(*tables, aside)
    for name, rows in wanted.items():
        assert told(row.values() for row in made.rows(name, raw="__" in name)) == told(rows), name
    return wanted


def test_orphans_are_set_aside_or_lose_their_reference_whatever_is_loaded_first(case: Callable[[str], Case]) -> None:
    made = case(FAMILY)
    mapping = related(made.mapping())
    assert mapping.in_scope[0].name == "a child's"
    result = made.load(mapping)
    wanted = assert_family(made)
    assert {name: len(rows) for name, rows in wanted.items()} == {
        "a_child_s": 5, "a_child_s__rejected": 4, "owners": 2, "owners__rejected": 2,
    }  # fmt: skip
    child, owners, _ = result.tables
    assert (result.verdict, child.rows_raw, child.rows_clean) == ("ok", 9, 5)
    assert dict(child.rejected) == {"orphan: owner not in owners": 3, "orphan: above not in a_child_s": 1}
    counts = {(change.column, change.rule): (change.what, change.rows) for change in child.changed}
    assert counts["place", "orphan: place, lot not in places"] == ("became NULL", 2)
    assert counts["lot", "orphan: place, lot not in places"] == ("became NULL", 2)
    assert [
        (one.column, one.rule, one.rows) for one in owners.changed if one.rule != "trim" and one.rule != "lower"
    ] == [("first", "orphan: first not in a_child_s", 1)]
    client = made.scratch.warehouse
    schema = client.get_table(f"{client.project}.{made.settings.warehouse.dataset}.a_child_s").schema
    assert "orphan: place, lot not in places" in {field.name: field.description for field in schema}["place"]
    made.load()
    assert not any(name.endswith("__rejected") for name in made.tables())


def test_orphan_rules_are_tried_on_some_rows_against_all_rows_of_the_parent(case: Callable[[str], Case]) -> None:
    made = case(FAMILY)
    made.load()
    args = made.scratch.warehouse, made.settings, made.catalog()
    name = f"{made.database}.a child's"
    trial = try_cleaning(*args, related(made.mapping()), name)
    assert (trial.verdict, trial.rows, trial.rows_clean) == ("ok", 9, 5)
    rules: list[dict[str, Any]] = [
        {"columns": ["owner"], "parent": "owners", "parent_columns": ["name"], "policy": "null"},
        {"columns": ["above"], "parent": "a child's", "policy": "reject"},
    ]
    lower = {"owner": ["trim", "lower"]}
    trial = try_cleaning(*args, made.mapping(), name, lower, orphans=rules, rows=5)
    assert (trial.verdict, trial.rows, dict(trial.rejected)) == ("ok", 5, {"orphan: above not in a_child_s": 1})
    # The parent has no rules here: of `bob` and `eve` only `eve` is written as in the child's clean rows.
    assert [change.rows for change in trial.changed if change.what == "became NULL"] == [2]
    with pytest.raises(UsageError, match="in scope"):
        try_cleaning(
            *args, made.mapping(), name, orphans=[{"columns": ["owner"], "parent": "nobody", "policy": "null"}]
        )


def test_the_validation_works_out_orphans_again_and_sees_a_row_that_is_none(scratch: Any) -> None:
    database = scratch.database()
    scratch.script(FAMILY, database)
    made = Migration.of(scratch, [database])
    made.mapping = related(made.mapping)
    made.whole()
    found = made.validate()
    assert {(table.table, table.hop): table.verdict for table in found.tables if table.verdict != "same"} == {}
    (clean,) = [one for one in found.tables if one.table == "a child's" and one.hop == "target-warehouse"]
    assert (clean.columns["place"], clean.columns["id"]) == ("tolerated", "proven")
    assert "4 rows set aside by the rules" in clean.why
    path = scratch.table_path(made.settings.warehouse.dataset, "a_child_s")
    scratch.google(f"UPDATE {path} SET place = 'z' WHERE id = 8")
    assert {(one.table, one.hop) for one in made.validate().tables if one.verdict != "same"} == {
        ("a child's", "target-warehouse")
    }


def test_a_table_that_is_not_ours_stops_the_load_before_anything_is_written(case: Callable[[str], Case]) -> None:
    made = case(READERS)
    client = made.scratch.warehouse
    dataset = bigquery.Dataset(f"{client.project}.{made.settings.warehouse.dataset}")
    dataset.location = made.settings.warehouse.location
    client.create_dataset(dataset)
    client.create_table(bigquery.Table(f"{dataset.project}.{dataset.dataset_id}.readers"))
    with pytest.raises(Refused, match=r"readers"):
        made.load()
    assert made.journal.notes == []
    with pytest.raises(Exception, match="Not found"):
        client.get_dataset(made.settings.warehouse.raw_dataset)
    client.delete_table(f"{dataset.dataset_id}.readers")
    made.load()
    assert f"dataset {dataset.dataset_id}" not in made.journal.owned, "the dataset was there before"


def test_undoing_in_reverse_leaves_the_warehouse_as_it_was_and_a_second_load_notes_nothing_new(
    case: Callable[[str], Case],
) -> None:
    made = case(READERS)
    mapping = cleaned(made.mapping())
    made.load(mapping)
    noted = list(made.journal.notes)
    made.load(mapping)
    assert made.journal.notes == noted
    assert {server for _, _, server in noted} == {"warehouse"}
    for _, undo, _ in reversed(noted):
        for _ in range(2):
            made.scratch.warehouse.query(undo).result()
    for dataset in (made.settings.warehouse.dataset, made.settings.warehouse.raw_dataset):
        with pytest.raises(Exception, match="Not found"):
            made.scratch.warehouse.get_dataset(dataset)


@pytest.mark.parametrize("after", [1, 4])
def test_a_load_that_was_killed_is_finished_by_running_it_again(case: Callable[[str], Case], after: int) -> None:
    made = case(SCRIPT + "\n;;\n" + READERS)
    context = multiprocessing.get_context("spawn")
    noted = context.Manager().list()
    values = made.settings.model_dump(by_alias=True, mode="json")
    child = context.Process(target=killed_load, args=(values, str(made.settings.folder), after, noted))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    result = made.load(owned=set(noted))
    assert result.verdict == "ok"
    assert {table.table: table.rows_clean for table in result.tables} == {"all types": 3, "empty one": 0, "readers": 5}


def killed_load(values: dict[str, Any], folder: str, after: int, noted: Any) -> None:
    """In a process of its own: load, note what is intended with the parent, and be killed at the given note."""

    class Told(Notes):
        def intend(self, object: str, undo: str | None, server: str = "target") -> int:
            noted.append(object)
            return super().intend(object, undo, server)

    settings = Settings.model_validate({**values, "folder": folder})
    target, client = connect_target(settings), connect_warehouse(settings)
    catalog = read_catalog(target, settings.source.databases)
    journal = Told(after, lambda: os.kill(os.getpid(), signal.SIGKILL))
    load_warehouse(target, client, catalog, generate(catalog, None, True), settings, journal)


def test_all_readers_see_one_moment_while_the_target_is_written_to(case: Callable[[str], Case], driver: str) -> None:
    made = case(READERS)
    with snapshot(made.scratch.target, 2) as taken:
        made.scratch.execute_target_root("DELETE FROM readers WHERE id > 1", made.database)
        counts = []
        counted = f"SELECT COUNT(*) FROM `{made.database}`.readers"
        for reader in taken.readers:
            counts += [rows for (rows,) in reader.stream(counted, None, 10)]
            with reader.connection.cursor() as cursor:
                cursor.execute(counted)
                counts.append(cursor.fetchone())
    assert counts == [(b"5",)] * 4
    assert taken.gtid_executed


def test_a_server_with_little_patience_does_not_end_a_picture_that_waits(
    case: Callable[[str], Case], driver: str
) -> None:
    made = case(READERS)
    made.scratch.execute_target_root("SET GLOBAL wait_timeout = 1")
    try:
        with snapshot(made.scratch.target, 1) as taken:
            time.sleep(2.5)
            (reader,) = taken.readers
            counted = reader.stream(f"SELECT COUNT(*) FROM `{made.database}`.readers", None, 10)
            assert [tuple(rows) for rows in counted] == [((b"5",),)]
            with reader.connection.cursor() as cursor:
                assert cursor.execute("SELECT 1") == 1
    finally:
        made.scratch.execute_target_root("SET GLOBAL wait_timeout = DEFAULT")


def test_large_values_go_in_small_batches_and_several_files_and_all_rows_arrive(
    case: Callable[[str], Case], driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case(
        "CREATE TABLE photos (id INT PRIMARY KEY, content LONGBLOB)\n;;\n"
        "INSERT INTO photos WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12)"
        " SELECT n, RANDOM_BYTES(1024) FROM n\n;;\n"
        "UPDATE photos SET content = REPEAT(content, 1000)\n;;\n"
        "CREATE TABLE small (id INT PRIMARY KEY)\n;;\n"
        "INSERT INTO small WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 900) SELECT n FROM n"
    )
    sizes: list[int] = []
    made_of = extract.record_batch

    def watched(rows: Any, *arguments: Any) -> Any:
        sizes.append(sum(len(value or b"") for row in rows for value in row))
        return made_of(rows, *arguments)

    monkeypatch.setattr(extract, "_BATCH_BYTES", 3 << 20)
    monkeypatch.setattr(extract, "_BATCH_ROWS", (100, 100))
    monkeypatch.setattr(extract, "_GROUP_BYTES", 1)
    monkeypatch.setattr(extract, "_FILE_BYTES", (2_000, 2_000))
    monkeypatch.setattr(extract, "record_batch", watched)
    result = made.load()
    files = {table.table: (table.rows_clean, table.files) for table in result.tables}
    assert files["photos"] == (12, 3)
    assert files["small"][0] == 900
    assert result.verdict == "ok", [(table.rows_extracted, table.rows_raw) for table in result.tables]
    assert max(sizes) < 5 << 20
    same = made.scratch.google(f"SELECT COUNT(DISTINCT id), SUM(LENGTH(content)) FROM {made.path('photos')}")
    assert same == [(12, 12 * 1024 * 1000)]


def test_a_narrowing_that_the_data_refutes_is_refused_with_its_column(case: Callable[[str], Case]) -> None:
    made = case(
        "CREATE TABLE flags (id INT PRIMARY KEY, flag TINYINT(1))\n;;\nINSERT INTO flags VALUES (1, 1), (2, -1)"
    )
    mapping = made.mapping()
    (path, table), *_ = mapping.tables.items()
    columns = tuple(replace(column, rule="bool") if column.name == "flag" else column for column in table.columns)
    mapping = replace(mapping, tables={path: replace(table, columns=columns)})
    with pytest.raises(Refused, match=r"1 rows of .*flags hold in 'flag'"):
        made.load(mapping)
    made.scratch.execute_target_root("UPDATE flags SET flag = 0 WHERE id = 2", made.database)
    made.load(mapping)
    assert sorted(row["flag"] for row in made.rows("flags")) == [False, True]


def test_a_table_that_the_target_lacks_is_refused_by_name(case: Callable[[str], Case]) -> None:
    made = case(READERS)
    mapping = made.mapping()
    made.scratch.execute_target_root("ALTER TABLE readers DROP COLUMN score", made.database)
    with pytest.raises(Refused, match="'score'"):
        made.load(mapping)
    made.scratch.execute_target_root("DROP TABLE readers", made.database)
    with pytest.raises(Refused, match="readers"):
        made.load(mapping)


def test_a_condition_that_is_no_googlesql_fails_with_the_table_and_the_cause(case: Callable[[str], Case]) -> None:
    made = case(READERS)
    mapping = made.mapping(readers={"reject": (Reject("broken", "no_such_column = 1"),)})
    with pytest.raises(TerminalError, match=r"cleaning .*readers.*no_such_column"):
        made.load(mapping)
    assert made.tables() == {name.removeprefix("warehouse table ") for name in made.journal.owned if " table " in name}


def test_an_unreachable_warehouse_is_explained(case: Callable[[str], Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_REACH_SECONDS", 1.0)
    made = case(READERS)
    made.settings = made.settings.model_copy(
        update={"warehouse": made.settings.warehouse.model_copy(update={"endpoint": "http://127.0.0.1:9"})}
    )
    client = connect_warehouse(made.settings)
    with pytest.raises(TransientError, match="looking for the dataset"):
        load_warehouse(made.scratch.target, client, made.catalog(), made.mapping(), made.settings, made.journal)


def test_the_result_counts_in_plain_values_and_shows_hostile_names_as_text(case: Callable[[str], Case]) -> None:
    made = case(
        "CREATE TABLE `<script>alert(1)</script>` (id INT PRIMARY KEY, day DATE)\n;;\nINSERT INTO `<script>alert(1)</script>` VALUES (1, '0000-00-00')"
    )
    result = made.load()
    assert "<script>alert" not in result._repr_html_()
    plain = result.asdict()
    assert (plain["verdict"], plain["tables"][0]["lost"], plain["tables"][0]["rows_clean"]) == ("ok", {"day": 1}, 1)
    assert plain["snapshot"]["gtid_executed"]
    assert "<script>" not in str(result.plot_size().to_json())
    assert result.plot_cleaning() is not None


def test_rules_are_tried_on_rows_without_writing_and_personal_values_show_their_shape(
    case: Callable[[str], Case],
) -> None:
    made = case(READERS)
    made.load()
    there = made.tables()
    mail: list[Any] = ["trim", "lower", {"email": {"else": "reject"}}]
    args = made.scratch.warehouse, made.settings, made.catalog(), made.mapping(), f"{made.database}.readers"
    trial = try_cleaning(*args, {"email": mail, "score": ["null_tokens"]}, dedupe=Dedupe(("email",)))
    assert (trial.verdict, trial.rows, trial.rows_clean, dict(trial.rejected)) == (
        "ok",
        5,
        3,
        {"dedupe": 1, "email: email": 1},
    )
    samples = {(one.column, one.before, one.after) for one in trial.samples}
    assert ("score", "N/A", None) in samples
    assert ("email", " A@A.a+", "a@a.a+") in samples
    assert "X.example" not in trial._repr_html_()
    assert made.tables() == there
    with pytest.raises(UsageError, match="no column 'mail'"):
        try_cleaning(*args, {"mail": mail})
    trials = cleaning_samples(*args[:3], cleaned(made.mapping()))
    assert [trial.table for trial in trials.tables] == [f"{made.database}.readers"]
    assert "personal ones as their shape" in trials._repr_html_()


def test_the_emulator_takes_a_small_file_that_googles_client_sends_in_one_piece(scratch: Any) -> None:
    dataset, lines = scratch.dataset(), b'{"n": 1}\n{"n": 2}\n'
    scratch.warehouse.create_dataset(dataset)
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON, schema=[bigquery.SchemaField("n", "INTEGER")]
    )
    # Of a file whose size is known the client sends both parts of a request at once.
    scratch.warehouse.load_table_from_file(
        io.BytesIO(lines), f"{dataset}.t", size=len(lines), job_config=config
    ).result()
    assert scratch.google(f"SELECT n FROM {dataset}.t ORDER BY n") == [(1,), (2,)]


def test_the_emulator_takes_a_transaction_back_whole_and_says_that_it_keeps_no_past(scratch: Any) -> None:
    dataset = scratch.dataset()
    scratch.warehouse.create_dataset(dataset)
    scratch.google(f"CREATE TABLE {dataset}.t AS SELECT 1 AS n")
    change = f"BEGIN TRANSACTION; DELETE FROM {dataset}.t WHERE TRUE; INSERT INTO {dataset}.t (n) SELECT {{}}; COMMIT TRANSACTION;"
    with pytest.raises(BadRequest):
        scratch.google(change.format("CAST(word AS INT64) FROM UNNEST(['no']) AS word"))
    assert scratch.google(f"SELECT n FROM {dataset}.t") == [(1,)]
    scratch.google(change.format("2"))
    assert scratch.google(f"SELECT n FROM {dataset}.t") == [(2,)]
    caught = "BEGIN {} SELECT ERROR('no'); EXCEPTION WHEN ERROR THEN SELECT 1; END;"
    scratch.google(caught.format(f"BEGIN TRANSACTION; INSERT INTO {dataset}.t (n) SELECT 3;"))
    assert scratch.google(f"SELECT COUNT(*) FROM {dataset}.t") == [(2,)]
    with pytest.raises(BadRequest, match="keeps no past"):
        scratch.google(
            f"SELECT n FROM {dataset}.t FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 SECOND)"
        )
