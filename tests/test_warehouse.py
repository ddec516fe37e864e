"""The warehouse load on real servers: exact raw copies, clean tables, nothing replaced that is not ours, killed and run again."""

import io
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from google.cloud import bigquery

from values import BOUNDARIES
from workbook.catalog import Catalog, read_catalog
from workbook.errors import Refused, TerminalError, TransientError, UsageError
from workbook.mapping import Dedupe, Mapping, Reject, cleaning, generate
from workbook.mapping.types import RULES
from workbook.params import Settings
from workbook.servers import connect_target, connect_warehouse
from workbook.warehouse import WarehouseResult, cleaning_samples, extract, jobs, load_warehouse, try_cleaning
from workbook.warehouse.extract import snapshot

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


def test_every_type_at_its_boundaries_arrives_exactly(case: Callable[[str], Case]) -> None:
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


def test_all_readers_see_one_moment_while_the_target_is_written_to(case: Callable[[str], Case]) -> None:
    made = case(READERS)
    with snapshot(made.scratch.target, 2) as taken:
        made.scratch.execute_target_root("DELETE FROM readers WHERE id > 1", made.database)
        counts = []
        for connection in taken.connections:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT COUNT(*) FROM `{made.database}`.readers")
                counts.append(cursor.fetchone())
    assert counts == [(b"5",), (b"5",)]
    assert taken.gtid_executed


def test_large_values_go_in_small_batches_and_several_files_and_all_rows_arrive(
    case: Callable[[str], Case], monkeypatch: pytest.MonkeyPatch
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
    batches = extract._batches

    def watched(*arguments: Any) -> Any:
        for batch in batches(*arguments):
            sizes.append(sum(len(value or b"") for row in batch for value in row))
            yield batch

    monkeypatch.setattr(extract, "_BATCH_BYTES", 3 << 20)
    monkeypatch.setattr(extract, "_BATCH_ROWS", 100)
    monkeypatch.setattr(extract, "_FILE_BYTES", 2_000)
    monkeypatch.setattr(extract, "_batches", watched)
    result = made.load()
    files = {table.table: (table.rows_clean, table.files) for table in result.tables}
    assert files["photos"] == (12, 3)
    assert files["small"][0] == 900
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
