"""Incremental nights on real servers: each table its way, what arrives is what the target holds, killed and run again."""

import itertools
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from googlesql import analyzer
from test_warehouse import FAMILY, Case, Notes, assert_family, related
from workbook.catalog import read_catalog
from workbook.incremental import load, load_night, state
from workbook.incremental.gone import Stretches
from workbook.incremental.keys import matching, within
from workbook.incremental.statements import Staging, count_new, count_rows, replacing
from workbook.mapping import ColumnMap, Dedupe, Mapping, Reject, TableMap, generate
from workbook.params import Settings
from workbook.servers import connect_target, connect_warehouse
from workbook.warehouse import WarehouseResult
from workbook.warehouse.statements import Place

NUMBERS = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows}) SELECT"
ORDERS = f"""
CREATE TABLE orders (id INT PRIMARY KEY, word VARCHAR(40), day DATE, changed_at DATETIME(3) NOT NULL, KEY (changed_at))
;;
INSERT INTO orders {NUMBERS.format(rows=900)} n, CONCAT(' w', n), '2024-01-01' + INTERVAL n DAY, '2026-01-01' + INTERVAL n SECOND FROM n
"""
LINES = """
CREATE TABLE `it's "lines"` (`the order` VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, part BINARY(4), price DECIMAL(10,2), at DATETIME(6),
  note TEXT, PRIMARY KEY (`the order`, part, price, at))
;;
INSERT INTO `it's "lines"` VALUES ('a', 0x0100, 1, '2024-01-01', 'x'), ('é', 0x00, 1.5, '2024-01-01 00:00:00.000001', NULL),
  ('B', 'abcd', -3, '1000-01-01', '')
"""
KEYLESS = "CREATE TABLE keyless (x INT, y VARCHAR(9))\n;;\nINSERT INTO keyless VALUES (1, 'a'), (1, 'a')"


class Nights(Case):
    """A case that is loaded night after night in one mode."""

    def __init__(self, scratch: Any, script: str):
        super().__init__(scratch, script)
        warehouse = self.settings.warehouse.model_copy(update={"mode": "incremental"})
        self.settings = self.settings.model_copy(update={"warehouse": warehouse})

    def change(self, *statements: str) -> None:
        for statement in statements:
            self.scratch.execute_target_root(statement, self.database)

    def night(self, mapping: Mapping | None = None) -> dict[str, tuple[str, str]]:
        """A night; the way and the reason of each table."""
        self.result = load_night(
            self.scratch.target, self.scratch.warehouse, self.catalog(), mapping or self.mapping(), self.settings,
            self.journal, self.journal.owned,
        )  # fmt: skip
        assert self.result.verdict == "ok"
        return {table.table: (table.way, table.why) for table in self.result.tables}

    def ways(self, mapping: Mapping | None = None) -> dict[str, str]:
        return {name: way for name, (way, _) in self.night(mapping).items()}

    def assert_same(self, *tables: str) -> None:
        """Raw and clean hold the very rows of the target (columns of types that need no translation)."""
        for table in tables:
            quoted = table.replace("`", "``")
            wanted = told(self.scratch.execute_target_root(f"SELECT * FROM `{quoted}`", self.database))
            name = self.mapping().tables[self.database, table].warehouse_name
            for raw in (True, False):
                assert told(row.values() for row in self.rows(name, raw)) == wanted, (table, raw)


def told(rows: Iterable[Iterable[Any]]) -> list[str]:
    return sorted(repr([value.normalize() if isinstance(value, Decimal) else value for value in row]) for row in rows)


@pytest.fixture
def nights(scratch: Any) -> Callable[[str], Nights]:
    return lambda script: Nights(scratch, script)


def test_by_the_binlog_only_touched_rows_are_read_and_all_that_happened_arrives(
    nights: Callable[[str], Nights],
) -> None:
    made = nights("\n;;\n".join((ORDERS, LINES, KEYLESS)))
    assert set(made.ways().values()) == {"full"}
    made.change(
        "UPDATE orders SET word = 'other' WHERE id MOD 100 = 3",
        "DELETE FROM orders WHERE id = 5",
        "INSERT INTO orders VALUES (-7, NULL, NULL, '2026-02-01')",
        "UPDATE orders SET id = 10000 WHERE id = 8",
        "INSERT INTO orders VALUES (20000, 'short lived', NULL, '2026-02-01')",
        "DELETE FROM orders WHERE id = 20000",
        "UPDATE `it's \"lines\"` SET `the order` = 'b' WHERE part = 'abcd'",
        'DELETE FROM `it\'s "lines"` WHERE part = 0x0100',
        "INSERT INTO `it's \"lines\"` VALUES ('é', 0x0102, 0, '9999-12-31 23:59:59.999999', '😀')",
    )
    assert made.ways() == {"orders": "binlog", 'it\'s "lines"': "binlog", "keyless": "unchanged"}
    made.assert_same("orders", 'it\'s "lines"', "keyless")
    (orders,) = [table for table in made.result.tables if table.table == "orders"]
    assert (orders.rows_read, orders.rows_written, orders.rows_extracted) == (11, 11, 900)
    made.change("UPDATE keyless SET x = 2 LIMIT 1")
    ways = made.night()
    assert {name: way for name, (way, _) in ways.items()} == {
        "orders": "unchanged", "it's \"lines\"": "unchanged", "keyless": "full",
    }  # fmt: skip
    assert "no key" in ways["keyless"][1]
    made.assert_same("keyless")
    assert set(made.ways().values()) == {"unchanged"}
    assert made.tables() == {name.removeprefix("warehouse table ") for name in made.journal.owned if " table " in name} - {
        name for name in (n.removeprefix("warehouse table ") for n in made.journal.owned) if name.endswith(("__night", "__keys"))
    }  # fmt: skip


def test_by_checksums_only_ranges_that_changed_are_read(
    nights: Callable[[str], Nights], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FEWEST", "_MOST"):
        monkeypatch.setattr(f"workbook.validate.walk.{name}", 50)
    monkeypatch.setattr("workbook.validate.walk._FIRST_BYTES", 5_000)
    made = nights("\n;;\n".join((ORDERS, LINES)))
    made.change("ANALYZE TABLE orders")

    def mapping() -> Mapping:
        return made.mapping(**{name: {"mode": "checksums"} for name in ("orders", 'it\'s "lines"')})

    assert set(made.ways(mapping()).values()) == {"full"}
    assert set(made.ways(mapping()).values()) == {"checksums"}
    made.change(
        "UPDATE orders SET word = 'other' WHERE id IN (3, 9)",
        "DELETE FROM orders WHERE id = 5",
        f"INSERT INTO orders {NUMBERS.format(rows=90)} 2000 + n, 'new', NULL, '2026-02-01' FROM n",
    )
    ways = made.night(mapping())
    assert ways["orders"][0] == "checksums", ways
    made.assert_same("orders", 'it\'s "lines"')
    (orders,) = [table for table in made.result.tables if table.table == "orders"]
    assert 90 < orders.rows_written < 500
    assert orders.rows_extracted == orders.rows_raw == 989
    # Two rows change places: what a sum of the rows' parts would not see.
    made.change("UPDATE orders SET word = ELT(id - 99, 'one', 'two') WHERE id IN (100, 101)")
    made.night(mapping())
    made.change("UPDATE orders SET word = ELT(id - 99, 'two', 'one') WHERE id IN (100, 101)")
    assert made.ways(mapping())["orders"] == "checksums"
    made.assert_same("orders")
    # A key that BigQuery orders otherwise: the whole table, and said so.
    made.change("UPDATE `it's \"lines\"` SET note = 'z' WHERE part = 'abcd'")
    assert made.night(mapping())['it\'s "lines"'][0] == "full"
    made.assert_same('it\'s "lines"')


def test_by_a_watermark_new_and_changed_rows_are_read_and_deleted_ones_are_found(
    nights: Callable[[str], Nights],
) -> None:
    made = nights(ORDERS)

    def mapping(**more: Any) -> Mapping:
        return made.mapping(orders={"watermark": "changed_at", "lookback": 10.0, **more})

    assert made.ways(mapping()) == {"orders": "full"}
    made.change(
        "UPDATE orders SET word = 'other', changed_at = '2026-03-01' WHERE id IN (3, 700)",
        "DELETE FROM orders WHERE id IN (5, 6, 899)",
        "INSERT INTO orders VALUES (2000, 'new', NULL, '2026-03-02'), (2001, 'ahead of time', NULL, '9999-12-31')",
    )
    assert made.ways(mapping()) == {"orders": "watermark"}
    made.assert_same("orders")
    (orders,) = made.result.tables
    assert (orders.rows_deleted, orders.rows_extracted) == (3 + orders.rows_read - 2, 899)
    assert orders.rows_read < 20
    made.change("INSERT INTO orders VALUES (3000, 'after that', NULL, UTC_TIMESTAMP(3))")
    assert made.ways(mapping()) == {"orders": "watermark"}
    made.assert_same("orders")
    # A watermark that lies about an insert is found by the count, and the table is loaded whole.
    made.change("INSERT INTO orders VALUES (4000, 'lie', NULL, '2020-01-01')")
    way, why = made.night(mapping())["orders"]
    assert way == "full"
    assert "its raw table held" in why
    made.assert_same("orders")


@pytest.mark.parametrize("kind", ["BIGINT", "INT", "BIGINT UNSIGNED", "SMALLINT UNSIGNED"])
def test_where_few_keys_are_gone_few_are_read_and_every_one_is_found(
    nights: Callable[[str], Nights], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # The ends of the type, both sides of zero, and some hundred between.
    bits = {"BIGINT": 63, "INT": 31, "BIGINT UNSIGNED": 64, "SMALLINT UNSIGNED": 16}[kind]
    low = 0 if "UNSIGNED" in kind else -(2**bits)
    ends = sorted({key for key in (low, low + 1, -2, -1, 0, 1, 2, 2**bits - 2, 2**bits - 1) if key >= low})
    keys = sorted({*ends, *(n * 2**bits // 400 for n in range(1, 400)), *range(100, 300)})
    made = nights(
        f"CREATE TABLE `a%d``b` (`it's %s` {kind} PRIMARY KEY, word VARCHAR(9), seen INT NOT NULL)\n;;\n"
        f"INSERT INTO `a%d``b` VALUES {', '.join(f'({key}, NULL, 1)' for key in keys)}"
    )
    monkeypatch.setattr("workbook.incremental.gone._ROWS", 0)
    monkeypatch.setattr("workbook.incremental.gone._STRETCHES", 100)
    read: list[int] = []
    extract = load.extract

    def watched(reader: Any, server: Any, table: Any, mapped: Any, *more: Any) -> Any:
        for file in extract(reader, server, table, mapped, *more):
            read.extend([file.rows] if len(mapped.columns) == 1 else [])
            yield file

    monkeypatch.setattr(load, "extract", watched)
    table = "a%d`b"
    mapping = made.mapping(**{table: {"watermark": "seen"}})
    name = made.mapping().tables[made.database, table].warehouse_name

    def same() -> None:
        wanted = sorted(made.scratch.execute_target_root("SELECT * FROM `a%d``b`", made.database))
        for raw in (True, False):
            rows = [tuple(row.values()) for row in made.rows(name, raw)]
            assert sorted((int(key), *rest) for key, *rest in rows) == wanted, raw

    assert made.ways(mapping) == {table: "full"}
    for number, gone in enumerate((ends[:2], ends[2:4], [keys[90], ends[-1]], [keys[40]]), 2):
        listed = ", ".join(map(str, gone))
        made.change(
            f"DELETE FROM `a%d``b` WHERE `it's %s` IN ({listed})",
            f"UPDATE `a%d``b` SET word = 'new', seen = {number} WHERE `it's %s` = {keys[60]}",
        )
        assert made.ways(mapping) == {table: "watermark"}
        same()
    assert len(read) == 4
    assert all(rows < len(keys) / 2 for rows in read), read
    # So many stretches that all keys are read.
    monkeypatch.setattr("workbook.incremental.gone._MOST", 1)
    made.change(f"DELETE FROM `a%d``b` WHERE `it's %s` IN ({keys[20]}, {keys[-20]}, {keys[300]})")
    assert made.ways(mapping) == {table: "watermark"}
    same()
    assert read[-1] > len(keys) / 2


def test_rows_whose_watermark_is_the_zero_date_are_read_each_night(nights: Callable[[str], Nights]) -> None:
    made = nights(
        "CREATE TABLE old (id INT PRIMARY KEY, word VARCHAR(9), u DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00')\n;;\n"
        "INSERT INTO old VALUES (1, 'a', DEFAULT), (2, 'b', DEFAULT), (3, 'c', '2026-01-01')"
    )
    mapping = made.mapping(old={"watermark": "u"})
    assert made.ways(mapping) == {"old": "full"}
    made.change("UPDATE old SET word = 'z' WHERE id = 1")
    assert made.ways(mapping) == {"old": "watermark"}
    assert sorted((row["id"], row["word"]) for row in made.rows("old")) == [(1, "z"), (2, "b"), (3, "c")]


CHANGES = [
    ("ALTER TABLE orders ADD COLUMN more INT", "column more is new"),
    (
        "ALTER TABLE orders MODIFY word VARCHAR(400)",
        "column word became varchar(400) utf8mb4, from varchar(40) utf8mb4",
    ),
    ("ALTER TABLE orders DROP COLUMN day", "column day is gone"),
    ("RENAME TABLE orders TO sales", "it was renamed: it was loaded as {database}.orders"),
]


def test_a_table_that_became_another_is_loaded_whole_and_the_reason_is_said(nights: Callable[[str], Nights]) -> None:
    made = nights(ORDERS)
    made.night()
    for statement, why in CHANGES:
        made.change(statement)
        ((name, found),) = made.night().items()
        assert found == ("full", why.format(database=made.database)), statement
        made.assert_same(name)
    assert made.result.left == (f"{made.settings.warehouse.dataset}.orders",)
    assert "sales" in made.result._repr_html_()
    assert "no longer loaded" in made.result._repr_html_()


def test_clean_tables_and_rejected_rows_follow_row_by_row_or_are_made_anew(nights: Callable[[str], Nights]) -> None:
    made = nights(ORDERS)
    trimmed = tuple(
        column
        if column.name != "word"
        else type(column)(column.name, column.warehouse_name, column.rule, ("trim", "upper"))
        for column in made.mapping().in_scope[0].columns
    )
    rows = Reject("no word", "word IS NULL")

    def check(**more: Any) -> None:
        self_made = made.mapping(orders={"columns": trimmed, "reject": (rows,), **more})
        made.night(self_made)
        (orders,) = made.result.tables
        words = [word for (word,) in made.scratch.execute_target_root("SELECT word FROM orders", made.database)]
        wanted = [word.strip().upper() for word in words if word is not None]
        if "dedupe" in more:
            wanted = list(set(wanted))
        assert sorted(row["word"] for row in made.rows("orders", columns="word")) == sorted(wanted)
        assert len(made.rows("orders__rejected", raw=True)) == len(words) - len(wanted) == orders.rows_rejected

    check()
    made.change("UPDATE orders SET word = NULL WHERE id = 3", "UPDATE orders SET word = ' neu ' WHERE id IN (7, 8)")
    check()
    assert {(one.rule, one.rows) for one in made.result.tables[0].changed} == {("trim", 2), ("upper", 2)}
    made.change("UPDATE orders SET word = 'back' WHERE id = 3", "DELETE FROM orders WHERE id = 9")
    check()
    check(dedupe=Dedupe(("word",)))
    assert made.result.tables[0].way == "unchanged"
    made.change("UPDATE orders SET word = 'back' WHERE id = 4")
    check(dedupe=Dedupe(("word",)))
    assert made.result.tables[0].way == "binlog"


@pytest.mark.parametrize("mode", ["incremental", "checksums"])
def test_orphans_appear_and_disappear_with_their_parents_while_their_own_table_stays_as_it_is(
    nights: Callable[[str], Nights], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = nights(FAMILY)
    warehouse = made.settings.warehouse.model_copy(update={"mode": mode})
    made.settings = made.settings.model_copy(update={"warehouse": warehouse})

    def night(*changes: str, aside: str = "eve") -> tuple[Any, int]:
        """The night of the child after these changes, and how many orphans the target's rows demand."""
        made.change(*changes)
        made.night(related(made.mapping(), aside))
        (child,) = [table for table in made.result.tables if table.table == "a child's"]
        return child, len(assert_family(made, aside)["a_child_s__rejected"])

    assert night()[1] == 4
    child, orphans = night()
    assert (orphans, child.seconds_clean, child.rows_rejected) == (4, 0.0, 4)
    child, orphans = night("DELETE FROM owners WHERE id = 1")
    assert (orphans, child.rows_rejected, child.rows_written) == (7, 7, 0)
    assert "orphans were looked for again in owners" in child.why
    child, orphans = night("INSERT INTO owners VALUES (1, 'ANN', 1)")
    assert (orphans, child.rows_read, child.rows_written) == (4, 0, 0)
    child, orphans = night(
        "UPDATE places SET lot = 3 WHERE lot = 18", "UPDATE `a child's` SET owner = 'zoe' WHERE id = 4"
    )
    assert (orphans, child.rows_rejected) == (5, 5)
    # A night that ends after the parent's state was noted, and before the orphans were looked for.
    with monkeypatch.context() as patched:
        patched.setattr(load.NightLoader, "relate", ended)
        made.change("UPDATE places SET lot = 4 WHERE lot = 1")
        with pytest.raises(RuntimeError, match="ended"):
            made.night(related(made.mapping()))
    child, orphans = night()
    assert (orphans, child.rows_rejected, child.rows_written) == (5, 5, 0)
    # Other rules of the parent make other orphans.
    child, orphans = night(aside="bob")
    assert (orphans, child.rows_rejected, child.rows_written) == (4, 4, 0)


def ended(*_: Any) -> None:
    raise RuntimeError("ended")


@pytest.mark.parametrize("mode", ["incremental", "checksums"])
def test_a_night_that_was_killed_after_the_rows_were_written_is_mended_by_the_next(
    nights: Callable[[str], Nights], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = nights(ORDERS)
    made.change(
        f"INSERT /*+ SET_VAR(cte_max_recursion_depth = 9999) */ INTO orders {NUMBERS.format(rows=9000)} 1000 + n, 'more', NULL, '2026-02-01' FROM n",
        "ANALYZE TABLE orders",
    )
    warehouse = made.settings.warehouse.model_copy(update={"mode": mode})
    made.settings = made.settings.model_copy(update={"warehouse": warehouse})
    monkeypatch.setattr("workbook.validate.walk._FIRST_BYTES", 50_000)
    made.night()
    made.change("UPDATE orders SET word = 'first' WHERE id = 700")
    killed(made)
    assert made.rows("orders", columns="word", raw=True) != []
    # What the killed night brought is taken back on the target: by the notes of the night before nothing would have changed.
    made.change("UPDATE orders SET word = ' w700' WHERE id = 700")
    assert made.ways()["orders"] in ("binlog", "checksums")
    made.assert_same("orders")


def killed(made: Nights) -> None:
    context = multiprocessing.get_context("spawn")
    noted = context.Manager().list()
    values = made.settings.model_dump(by_alias=True, mode="json")
    arguments = (values, str(made.settings.folder), sorted(made.journal.owned), noted)
    child = context.Process(target=killed_night, args=arguments)
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    for name in noted:
        made.journal.intend(name, None, "warehouse")


def killed_night(values: dict[str, Any], folder: str, owned: list[str], noted: Any) -> None:
    """In a process of its own: a night that is killed when it is about to note what it loaded."""

    class Told(Notes):
        def intend(self, object: str, undo: str | None, server: str = "target") -> int:
            noted.append(object)
            return super().intend(object, undo, server)

    def remember(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    load.NightLoader._remember = remember  # type: ignore[method-assign]
    settings = Settings.model_validate({**values, "folder": folder})
    target, client = connect_target(settings), connect_warehouse(settings)
    catalog = read_catalog(target, settings.source.databases)
    load_night(target, client, catalog, generate(catalog, None, True), settings, Told(), set(owned))


def test_rows_that_somebody_took_out_of_the_raw_table_bring_a_full_load(nights: Callable[[str], Nights]) -> None:
    made = nights(ORDERS)
    made.night()
    made.scratch.google(f"DELETE FROM {made.path('orders', raw=True)} WHERE id < 4")
    made.scratch.google(f"DELETE FROM {made.path('orders')} WHERE id < 4")
    assert made.night()["orders"] == ("full", "its raw table holds 897 rows, and 900 were loaded")
    made.scratch.google(f"DELETE FROM {made.path('orders')} WHERE id < 4")
    made.night()
    made.assert_same("orders")


def test_a_range_of_a_compound_key_is_the_same_rows_on_both_sides(nights: Callable[[str], Nights]) -> None:
    made = nights(
        "CREATE TABLE pairs (a INT, b BIGINT UNSIGNED, c DATE, PRIMARY KEY (a, b, c))\n;;\nINSERT INTO pairs VALUES "
        + ", ".join(
            f"({a}, {b}, '{c}')" for a in (-2, 0, 7) for b in (0, 2**64 - 1) for c in ("1999-12-31", "2024-02-29")
        )
    )
    made.night()
    (mapped,), table = made.mapping().in_scope, made.catalog().tables[0]
    edges = [None, (-2, 2**64 - 1, "1999-12-31"), (0, 5, "2024-01-01"), None]
    for low, high in itertools.pairwise(edges):
        condition = within(mapped, table, [(low, high)])
        there = made.scratch.google(f"SELECT a, b, c FROM {made.path('pairs', raw=True)} AS t WHERE {condition}")
        sql = "SELECT a, b, c FROM pairs WHERE TRUE"
        sql += f" AND (a, b, c) > ({low[0]}, {low[1]}, '{low[2]}')" if low else ""
        sql += f" AND (a, b, c) <= ({high[0]}, {high[1]}, '{high[2]}')" if high else ""
        here = made.scratch.execute_target_root(sql, made.database)
        assert sorted((a, int(b), c) for a, b, c in there) == sorted(here) != []


def test_the_result_of_a_night_is_plain_values(nights: Callable[[str], Nights]) -> None:
    made = nights(ORDERS)
    made.night()
    result: WarehouseResult = made.result
    (plain,) = result.asdict()["tables"]
    assert (plain["way"], plain["why"], plain["rows_written"]) == ("full", "it is not in the warehouse yet", 900)


def test_googles_own_analyzer_accepts_every_statement_of_a_night() -> None:
    columns = (
        ColumnMap("id", "id", "unsigned-64"),
        ColumnMap("it's", "its", "text", ("trim",)),
        ColumnMap("at", "at", "timestamp"),
    )
    mapped = TableMap("shop", "odd`one", "main", "odd_one", columns, reject=(Reject("none", "its IS NULL -- why"),))
    place = Place("local-project", "shop_raw", "shop", mapped)
    kinds = [("id", "NUMERIC"), ("its", "STRING"), ("at", "TIMESTAMP")]
    tables = {f"shop_raw.odd_one{end}": kinds for end in ("", "__night", "__keys")} | {"shop.odd_one": kinds}
    tables["shop_raw.odd_one__rejected"] = [("_rejected_by", "STRING"), *kinds]
    tables |= {f"shop_raw.whole{end}": [("id", "INT64")] for end in ("", "__night")}
    tables[f"shop_raw.{state.NAME}"] = [("name", "STRING"), ("gtids", "STRING"), ("state", "STRING")]
    judge = analyzer(tables)
    table: Any = SimpleNamespace(key=("id", "at"))
    known = matching(mapped, table, place.quoted(Staging(place).keys))
    ranges = within(
        mapped, table, [(None, (5, "2024-01-01 00:00:00.000001")), ((2**64 - 1, "2024-01-01 00:00:00"), None)]
    )
    script = replacing(place, [known, f"NOT {known}", ranges], True)
    begin, *statements, commit = script.removesuffix(";").split(";\n")
    assert (begin, len(statements), commit) == ("BEGIN TRANSACTION", 12, "COMMIT TRANSACTION")
    statements += [count_new(place, matching(mapped, table, place.quoted(place.raw))), *count_rows([place, place])]
    for made in (
        state.read_statement,
        state.remember_statement,
        state.forget_statement,
        state.advance_statement,
    ):
        sql = made("local-project", "shop_raw").replace("@names", "['a']")
        statements.append(re.sub(r"@\w+", "'value'", sql))
    for path, rule in (("odd_one", "unsigned-64"), ("whole", "integer")):
        one = replace(mapped, columns=(ColumnMap("id", "id", rule),))
        cut = Stretches(SimpleNamespace(key=("id",)), one, 7)  # type: ignore[arg-type]
        raw, night = (f"`local-project`.`shop_raw`.`{path}{end}`" for end in ("", "__night"))
        statements.append(cut.in_warehouse(raw, night, matching(one, cut.table, night)))
        statements.append(f"DELETE FROM {raw} AS t WHERE {cut.condition([-14, 0, 7])} AND NOT FALSE")
    for sql in statements:
        judge.analyze_statement(sql)
