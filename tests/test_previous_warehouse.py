"""Back to an earlier night of the warehouse: all is as it was, the next night is right, and a kill anywhere is mended by running again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from conftest import Scratch
from googlesql import analyzer
from stream import Stream
from test_cdc import run
from test_cdc_warehouse import apart, merged
from workbook import params
from workbook.catalog import read_catalog
from workbook.cli import main
from workbook.errors import Refused, UsageError, VerdictFailed
from workbook.incremental import load_night
from workbook.mapping import Mapping, Reject, generate
from workbook.marts import build_marts, read_marts
from workbook.names import quote_mysql
from workbook.params_warehouse import Warehouse
from workbook.phases import open_phase
from workbook.phases.ledger import Ledger
from workbook.phases.previous_warehouse import keep_night, to_previous_warehouse
from workbook.phases.rollback import rollback
from workbook.phases.standing import standing
from workbook.phases.status import print_status
from workbook.points import statements
from workbook.points.point import Held, Kept, Point, Register, said
from workbook.warehouse import load_warehouse
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.streamed import Streamed

TABLES = r"""
CREATE TABLE readers (id INT PRIMARY KEY, email VARCHAR(60) COMMENT 'it''s `"\\', seen DATE NOT NULL) COMMENT 'who, "reads" ü\\'
;;
CREATE TABLE `it's "lo``ans" %s` (reader INT, `no "x"` SMALLINT, fee DECIMAL(8,2), raw VARBINARY(9), PRIMARY KEY (reader, `no "x"`))
;;
CREATE TABLE visits (at DATETIME(6), who VARCHAR(20))
;;
INSERT INTO readers VALUES (1, 'Ada@X.example', '2024-01-01'), (2, 'nobody', '2024-02-01'), (3, NULL, '2024-03-01')
;;
INSERT INTO `it's "lo``ans" %s` VALUES (1, 1, 2.50, 0x00FF), (1, 2, NULL, NULL), (2, -1, -0.01, '')
;;
INSERT INTO visits VALUES ('2024-01-01 00:00:00.000001', 'Zoë 😀'), (NULL, 'twice'), (NULL, 'twice')
"""
HISTORY = "/*\ndescription: What readers said.\ncolumns: {id: The id., email: 'The \"address\".'}\nkey: [id]\nhistory: reader_key\n*/\n"
TOTAL = "/*\ndescription: How many.\ncolumns: {n: All of them.}\nlabels: {team: desk}\n*/\nSELECT COUNT(*) AS n FROM clean.readers"


class Library:
    """A database on the target that is loaded night after night, by a good mapping or a wrong one."""

    def __init__(self, scratch: Scratch, tables: str, marts: bool):
        self.scratch = scratch
        self.database = scratch.database(f'it\'s `{os.getpid()}` "%s"')
        scratch.execute_target_root(f"CREATE DATABASE {quote_mysql(self.database)}")
        for statement in tables.split("\n;;\n"):
            self.sql(statement)
        (scratch.folder / "marts").mkdir()
        (scratch.folder / "marts" / "past.sql").write_text(f"{HISTORY}SELECT id, email FROM clean.readers")
        (scratch.folder / "marts" / "total.sql").write_text(TOTAL)
        self.file = scratch.params([self.database])
        self.set(keep_nights=2, mode="incremental", **({"marts": "marts"} if marts else {}))
        self.kept = Kept(0)

    def set(self, **values: Any) -> None:
        content = yaml.safe_load(self.file.read_text())
        content["warehouse"] |= values
        self.file.write_text(yaml.safe_dump(content, allow_unicode=True))
        self.settings = params.load(self.file)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.environment)

    def sql(self, statement: str) -> None:
        self.scratch.execute_target_root(statement, self.database)

    def mapping(self, wrong: bool = False) -> Mapping:
        made = generate(read_catalog(self.scratch.target, [self.database]), None, True)
        path = self.database, "readers"
        if path not in made.tables:
            return made
        rules = {} if wrong else {"email": ("trim", "lower")}
        table = made.tables[path]
        columns = tuple(replace(column, clean=rules.get(column.name, ())) for column in table.columns)
        reject = () if wrong else (Reject("no address", "email NOT LIKE '%@%'"),)
        table = replace(table, columns=columns, reject=reject, partition_by="seen" if not wrong else None)
        return replace(made, tables={**made.tables, path: table})

    def night(self, wrong: bool = False) -> dict[str, str]:
        phase = open_phase("warehouse", {"params_file": str(self.file)})
        phase.mapping = self.mapping(wrong)  # type: ignore[misc]
        marts = read_marts(phase.settings, phase.mapping)
        self.kept = keep_night(phase)
        loaded = load_night(
            phase.target, phase.warehouse, phase.target_catalog(), phase.mapping, phase.settings, phase.journal,
            phase.owned(),
        )  # fmt: skip
        phase.finish(
            build_marts(phase.warehouse, phase.settings, phase.mapping, phase.journal, phase.owned(), marts, loaded)
        )
        return {table.table: table.way for table in loaded.tables}

    def idle(self) -> None:
        """A run that keeps what stands, and ends without a load."""
        phase = open_phase("warehouse", {"params_file": str(self.file)})
        self.kept = keep_night(phase)
        phase.ledger.end(phase._entry, "done", {}, None)

    def bad_night(self) -> None:
        """Wrong rules, another layout, a table more, and marts that are made of all that."""
        self.sql("INSERT INTO readers VALUES (4, 'EVE@z.example', '2025-01-01')")
        self.sql("UPDATE readers SET email = 'CHANGED@x' WHERE id = 1")
        self.sql("CREATE TABLE fresh (id INT PRIMARY KEY)")
        self.night(wrong=True)
        assert self.rows("marts", "total") == ["{'n': 4}"]

    def back(self) -> Any:
        return to_previous_warehouse(self.settings, say=lambda line: None)

    def dataset(self, layer: str) -> str:
        name = self.settings.warehouse.dataset
        return f"{self.scratch.warehouse.project}.{name if layer == 'clean' else f'{name}_{layer}'}"

    def names(self, layer: str) -> set[str]:
        return {item.table_id for item in self.scratch.warehouse.list_tables(self.dataset(layer), max_results=None)}

    def rows(self, layer: str, table: str) -> list[str]:
        client = self.scratch.warehouse
        return sorted(
            str(dict(row)) for row in client.query(f"SELECT * FROM `{self.dataset(layer)}`.`{table}`").result()
        )

    def state(self) -> dict[str, Any]:
        """Every table with its rows, and all that is said of it."""
        client = self.scratch.warehouse
        return {
            f"{layer}.{name}": (said(client.get_table(f"{self.dataset(layer)}.{name}")), self.rows(layer, name))
            for layer in ("raw", "clean", "marts")
            for name in self.names(layer)
        }

    def demanded(self) -> dict[str, list[str]]:
        """The rows of raw and clean tables by a whole load of this moment into other datasets."""
        scratch, other = self.scratch, self.scratch.dataset()
        warehouse = self.settings.warehouse.model_copy(update={"dataset": other})
        settings, client = self.settings.model_copy(update={"warehouse": warehouse}), scratch.warehouse
        catalog = read_catalog(scratch.target, [self.database])
        journal = self.ledger.journal("other")
        load_warehouse(scratch.target, client, catalog, self.mapping(), settings, journal)
        found = {}
        for layer, dataset in (("raw", warehouse.raw_dataset), ("clean", other)):
            for item in client.list_tables(f"{client.project}.{dataset}"):
                sql = f"SELECT * FROM `{client.project}`.`{dataset}`.`{item.table_id}`"
                found[f"{layer}.{item.table_id}"] = sorted(str(dict(row)) for row in client.query(sql).result())
        return found

    def assert_right(self) -> None:
        now = {name: rows for name, (_, rows) in self.state().items() if not name.startswith("marts.")}
        now.pop("raw._workbook_loaded")
        assert now == self.demanded()


@pytest.fixture
def library(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
    return Library(scratch, TABLES, marts=True)


@pytest.fixture
def small(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> Library:
    """One table, which nobody makes marts of."""
    monkeypatch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
    return Library(
        scratch, "CREATE TABLE t (id INT PRIMARY KEY, v INT)\n;;\nINSERT INTO t VALUES (1, 1), (2, 2)", marts=False
    )


def killed(action: Callable[[], Any], at: int, method: str = "run") -> None:
    """Do something in a process of its own that ends as by the out-of-memory killer, at that call of a method of Jobs."""
    child = os.fork()
    if child == 0:
        original, left = getattr(Jobs, method), [at]

        def counted(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*given, **named)

        setattr(Jobs, method, counted)
        try:
            action()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "it came to its end before"


def test_after_a_bad_night_all_is_as_it_was_and_the_next_night_is_right(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    library.night()
    assert library.kept.point is None
    assert library.kept.why == "there is nothing in it yet"
    good, first = library.state(), library.ledger.phases()["warehouse"]
    library.bad_night()
    assert library.kept.point is not None
    assert library.kept.point.left_by == first.run_id
    assert "fresh" in library.names("clean")
    assert "readers__rejected" not in library.names("raw")
    with pytest.raises(SystemExit) as ended:
        main(["rollback", "previous-warehouse", "-p", str(library.file)])
    assert ended.value.code == 0
    assert f"as the run {first.run_id} left it" in capsys.readouterr().err
    assert library.state() == good
    now = library.ledger.phases()["warehouse"]
    assert (now.run_id, now.status, now.result) == (first.run_id, "done", first.result)
    # Read from where that night stood: what came since arrives, whatever the bad night had noted.
    library.sql('UPDATE `it\'s "lo``ans" %s` SET fee = 9 WHERE reader = 1')
    ways = library.night()
    assert ways == {"readers": "binlog", 'it\'s "lo`ans" %s': "binlog", "visits": "unchanged", "fresh": "full"}
    library.assert_right()
    past = library.rows("marts", "past")
    assert len([row for row in past if "'id': 1," in row]) == 2
    assert not any("CHANGED" in row or "nobody" in row for row in past), "a history knows nothing of the bad night"
    rollback(library.settings, "start", say=lambda line: None)
    left = {item.dataset_id for item in library.scratch.warehouse.list_datasets()}
    assert not {name for name in left if name.startswith(library.settings.warehouse.dataset)}


def test_cut_off_anywhere_it_goes_on_where_it_is_run_again_and_no_night_loads_until_then(library: Library) -> None:
    library.night()
    good = library.state()
    library.bad_night()
    for at in (0, 5, 11, 14):
        killed(library.back, at)
    with pytest.raises(Refused, match="half-way back"):
        library.night()
    library.back()
    assert library.state() == good
    with pytest.raises(UsageError, match="No earlier night"):
        library.back()


def test_a_night_that_is_killed_keeps_the_point_before_it_and_one_killed_while_keeping_leaves_nothing(
    library: Library,
) -> None:
    library.night()
    good = library.state()
    # While snapshots are taken: the point of before is not whole, and the warehouse untouched.
    killed(library.night, 9)
    assert library.names("points")
    library.sql("INSERT INTO visits VALUES (NULL, 'new')")
    library.sql("UPDATE readers SET email = 'bad@x' WHERE id = 1")
    killed(library.night, 2, method="load")
    (point,) = Register(library.ledger).usable(library.settings.warehouse.points_dataset)
    assert library.names("points") == {held.snapshot for held in point.tables}
    library.sql("DELETE FROM visits LIMIT 1")
    library.night(wrong=True)
    assert library.kept.point == point
    assert "did not end well" in library.kept.why
    library.back()
    assert library.state() == good


def test_nights_beyond_those_to_keep_are_let_go_and_each_has_its_end(
    small: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    states = []
    for number in range(3):
        small.sql(f"INSERT INTO t VALUES ({number + 7}, 7)")
        small.night()
        states.append(small.state())
    small.idle()
    points = Register(small.ledger).usable(small.settings.warehouse.points_dataset)
    assert len(points) == 2
    assert small.names("points") == {held.snapshot for point in points for held in point.tables}
    one = small.scratch.warehouse.get_table(f"{small.dataset('points')}.{points[1].tables[0].snapshot}")
    assert (one.table_type, one.labels["made_by"]) == ("SNAPSHOT", "migration-workbook")
    assert points[1].left_by in one.description
    assert points[1].run in one.description
    assert timedelta(days=20) < one.expires - datetime.now(UTC) < timedelta(days=22)
    # The ledger's own undo statements do not pile up.
    undo = small.ledger.to_undo("warehouse", "warehouse")
    assert len([sql for sql in undo if "SNAPSHOT" in sql]) == len(small.names("points"))
    shown = standing(small.settings).restore_points()
    assert f"the warehouse as {points[1].left_by} left it" in shown
    assert "the emulator does not say" in shown
    print_status(small.settings)
    assert "previous-warehouse" in capsys.readouterr().out
    # Once more is one night further back; what one goes back to expires no more.
    assert small.back().left == 1
    assert small.state() == states[2]
    assert small.back().left == 0
    assert small.state() == states[1]
    for layer in ("raw", "clean"):
        for name in small.names(layer):
            assert small.scratch.warehouse.get_table(f"{small.dataset(layer)}.{name}").expires is None
    small.idle()
    assert small.names("points")
    small.set(keep_nights=0)
    small.idle()
    assert small.names("points") == set()


def test_what_cannot_be_proven_is_said_and_what_is_gone_is_refused_before_anything_is_touched(small: Library) -> None:
    small.night()
    small.sql("UPDATE t SET v = 9")
    small.night()
    client, dataset = small.scratch.warehouse, small.settings.warehouse.points_dataset

    def meddle(line: str) -> None:
        if line.startswith("Proving"):
            client.query(f"UPDATE `{small.dataset('clean')}`.`t` SET v = 8 WHERE id = 1").result()

    with pytest.raises(VerdictFailed, match=r"\.t holds other rows"):
        to_previous_warehouse(small.settings, meddle)
    with pytest.raises(Refused, match="half-way back"):
        small.night()
    (point,) = Register(small.ledger).usable(dataset)
    client.query(statements.drop_snapshot(client.project, dataset, point.tables[1].snapshot)).result()
    before = small.state()
    with pytest.raises(Refused, match="is gone"):
        small.back()
    assert small.state() == before
    # What the refusal says to do: the points are given up, and nothing is taken for known.
    small.set(keep_nights=0)
    assert small.night() == {"t": "full"}
    small.assert_right()


def test_what_the_stream_knows_of_the_warehouse_is_forgotten_until_the_next_load(small: Library) -> None:
    content = yaml.safe_load(small.file.read_text())
    small.file.write_text(yaml.safe_dump({**content, "cdc": {"warehouse": True}}, allow_unicode=True))
    small.settings = params.load(small.file)
    streamed = Streamed(small.scratch.target, small.settings.environment)

    def leg() -> tuple[bool, str, bool]:
        with small.scratch.target.session() as session:
            (one,) = streamed.read(session)
        return one.wanted, one.stopped, bool(one.gtids)

    small.night()
    assert leg() == (True, "", True)
    small.night()
    small.back()
    wanted, stopped, shown = leg()
    assert (wanted, shown) == (False, False), "nothing is merged into rows of another night"
    assert "was taken back to what" in stopped
    assert streamed.states() == {}
    small.night()
    assert leg() == (True, "", True)


@pytest.mark.soak
def test_the_stream_leaves_all_to_the_next_load_and_follows_from_there(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(scratch.folder / "reports"))
    database = scratch.database()
    run(scratch, database, "CREATE TABLE t (id INT PRIMARY KEY, v INT);\nINSERT INTO t VALUES (1, 1), (2, 2)")
    stream = Stream.of(scratch, [database], cdc={"warehouse": True})
    overrides = {"warehouse.keep_nights": 1, "warehouse.mode": "incremental"}

    def night() -> None:
        phase = open_phase("warehouse", {"params_file": str(stream.file), "overrides": overrides})
        keep_night(phase)
        phase.finish(
            load_night(
                phase.target, phase.warehouse, phase.target_catalog(), phase.mapping, phase.settings, phase.journal,
                phase.owned(),
            )
        )  # fmt: skip

    def held() -> list[tuple[Any, ...]]:
        dataset = stream.settings.warehouse.dataset
        return sorted(scratch.google(f"SELECT id, v FROM {scratch.table_path(dataset, 't')}"))

    night()
    stream.start()
    try:
        run(scratch, database, "UPDATE t SET v = 10 WHERE id = 1;")
        stream.caught_up(300)
        merged(stream)
        assert held() == [(1, 10), (2, 2)]
        night()
        run(scratch, database, "DELETE FROM t WHERE id = 2;\nINSERT INTO t VALUES (3, 3);")
        stream.caught_up(300)
        merged(stream)
        assert held() == [(1, 10), (3, 3)]
        to_previous_warehouse(params.load(stream.file, overrides), lambda line: None)
        assert held() == [(1, 10), (2, 2)], "with what was merged before the night that was taken back"
        assert Streamed(scratch.target, stream.settings.environment).states() == {}
        run(scratch, database, "INSERT INTO t VALUES (4, 4);")
        stream.caught_up(300)
        (left,) = merged(stream).left
        assert "was taken back to what" in left.why
        assert held() == [(1, 10), (2, 2)]
        night()
        assert held() == [(1, 10), (3, 3), (4, 4)]
        run(scratch, database, "UPDATE t SET v = 5;")
        stream.caught_up(300)
        assert not merged(stream).left
        assert not apart(stream)
    finally:
        stream.stop()


def test_googles_own_analyzer_accepts_every_statement() -> None:
    settings = Warehouse(project="local-project", dataset="shop")  # type: ignore[call-arg]
    columns = [("id", "INT64"), ("workbook_rows", "STRING"), ("at", "TIMESTAMP"), ("f", "FLOAT64"), ("b", "BYTES")]
    text = 'it\'s "quoted" \\ `x`\n😀'
    run = "20260101T000000Z-night-00ab"
    for said_of in ({"description": text, "labels": {"made_by": "x", "team": "ü"}}, {}):
        name = statements.snapshot_name(settings, "shop_raw.odd-one", run)
        assert name != statements.snapshot_name(settings, "shop_raw.odd-one", run.lower())
        held = Held("shop_raw.odd-one", name, 1, said_of)
        point = Point(run, text, None, "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00", tables=(held,))
        judge = analyzer({held.name: columns, f"shop_points.{name}": columns})
        for sql in (
            statements.take("local-project", "shop_points", held, point),
            statements.bring_back("local-project", "shop_points", held),
            statements.drop_snapshot("local-project", "shop_points", name),
            statements.drop_table("local-project", held.name),
            statements.forget_all("local-project", held.name),
            statements.digests("local-project", "shop_points", held),
            *statements.count_rows("local-project", [held.name, held.name]),
        ):
            judge.analyze_statement(sql)
