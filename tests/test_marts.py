"""The marts on real servers: their figures are those of plain SQL on the source, and only what is right takes the place of yesterday's."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
import zetasql.types as zetatypes
from google.cloud import bigquery

from conftest import Scratch
from googlesql import analyzer
from migration import Notes
from workbook.catalog import read_catalog
from workbook.errors import Refused, UsageError, VerdictFailed
from workbook.incremental import load_night
from workbook.mapping import Mapping, cleaning, generate, load_mapping
from workbook.marts import Marts, Night, build_marts, read_marts, statements
from workbook.marts.lineage import lineage
from workbook.marts.references import put_in_place, references, without_end
from workbook.marts.statements import Places
from workbook.params import CHECKOUT, Settings
from workbook.phases import open_phase
from workbook.phases.context import settings_from
from workbook.phases.rollback import rollback
from workbook.sandbox.shop.statements import split_statements
from workbook.warehouse.jobs import Jobs

SHOP_MARTS = CHECKOUT / "params" / "marts" / "shop"
TABLES = ("tables_customers", "tables_catalog", "tables_payments", "tables_orders", "payments_keys")
ROWS = ("numbers", "catalog", "currencies", "customers", "orders", "payments", "awkward")
MISSING = ("type_", "page_views", "devices", "readings", "click", "search", "archive", "live_", "product_photos")
SIZES = {"numbers": 2000, "customers": 60, "products": 48, "orders": 200}
BEGINNING, END = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


class Nights:
    """A database on the target, its mapping and its marts, built night after night."""

    def __init__(self, scratch: Scratch, folder: Path, mapping_file: Path | None = None):
        self.scratch, self.folder = scratch, folder
        self.database = scratch.database()
        scratch.execute_target_root(f"CREATE DATABASE `{self.database}`")
        self.settings: Settings = scratch.settings([self.database])
        changes = {"mode": "incremental", "marts": str(folder)}
        self.settings = self.settings.model_copy(
            update={"warehouse": self.settings.warehouse.model_copy(update=changes)}
        )
        self.notes = Notes()
        self.mapping_file = mapping_file

    def mysql(self, sql: str, values: Any = None) -> list[tuple[Any, ...]]:
        return self.scratch.execute_target_root(sql, self.database, values)

    def scripts(self, *names: str, missing: tuple[str, ...] = ()) -> None:
        """Run files of the sample shop on one connection, but for statements about tables that are `missing`."""
        with self.scratch.target_root_connection(self.database) as cursor:
            cursor.execute("SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci")
            cursor.execute(
                "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES', autocommit = 1, time_zone = '+00:00'"
            )
            for key, value in SIZES.items():
                cursor.execute(f"SET @{key} = %s", (value,))
            for name in names:
                text = files("workbook.sandbox.shop").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
                for statement in split_statements(text):
                    if not any(name in statement.split("(")[0] for name in missing):
                        cursor.execute(statement)

    def mapping(self) -> Mapping:
        catalog = read_catalog(self.scratch.target, [self.database])
        if self.mapping_file is None:
            return generate(catalog, None, True)
        file = self.scratch.folder / "shop.yaml"
        file.write_text(self.mapping_file.read_text().replace("      shop:\n", f"      {self.database}:\n"))
        return load_mapping(file, catalog, True)

    def night(self) -> Night:
        mapping = self.mapping()
        marts = read_marts(self.settings, mapping)
        needed = {one.table for item in (*marts.marts, *marts.tests) for one in item.reads if one.layer != "marts"}
        segments = tuple(
            replace(one, tables=tuple(path for path in one.tables if mapping.tables[path].warehouse_name in needed))
            for one in mapping.segments
        )
        mapping = replace(mapping, segments=segments)
        scratch, notes = self.scratch, self.notes
        catalog = read_catalog(scratch.target, [self.database])
        loaded = load_night(scratch.target, scratch.warehouse, catalog, mapping, self.settings, notes, notes.objects)
        return build_marts(scratch.warehouse, self.settings, mapping, notes, notes.objects, marts, loaded)

    def mart(self, name: str, columns: str = "*", rest: str = "") -> list[tuple[Any, ...]]:
        path = self.scratch.table_path(self.settings.warehouse.marts_dataset, name)
        return self.scratch.google(f"SELECT {columns} FROM {path} {rest}")

    def table(self, name: str) -> bigquery.Table:
        warehouse = self.settings.warehouse
        return self.scratch.warehouse.get_table(f"{warehouse.project}.{warehouse.marts_dataset}.{name}")


# --- The sample shop: its figures, by plain SQL on MySQL ---------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("marts"))
    try:
        made = Nights(scratch, SHOP_MARTS, CHECKOUT / "params" / "mapping" / "shop.yaml")
        made.scratch.execute_target_root(f"ALTER DATABASE `{made.database}` COLLATE utf8mb4_0900_ai_ci")
        made.scripts(*TABLES, *(f"rows_{name}" for name in ROWS), missing=MISSING)
        yield made
    finally:
        scratch.close()


@pytest.fixture(scope="module")
def first(shop: Nights) -> Night:
    return shop.night()


MYSQL_CUSTOMERS = """
SELECT c.id, t.name, t.discount, a.country_code, n.name, a.city, c.email_domain, IF(c.gender = '', NULL, c.gender),
  NULLIF(YEAR(c.birth_date), 0), IF(c.marketing_consent = 1, TRUE, FALSE), DATE(c.registered_at)
FROM customers AS c JOIN loyalty_tiers AS t ON t.id = c.tier_id
LEFT JOIN addresses AS a ON a.customer_id = c.id AND a.kind = 'billing' LEFT JOIN countries AS n ON n.code = a.country_code
"""
MYSQL_REVENUE = """
SELECT CAST(DATE_FORMAT(o.ordered_at, '%%Y-%%m-01') AS DATE), COALESCE(a.country_code, '--'), COUNT(*),
  COUNT(DISTINCT o.customer_id), COALESCE(SUM(ROUND(o.total / r.rate, 2)), 0), SUM(r.rate IS NULL)
FROM orders AS o LEFT JOIN addresses AS a ON a.customer_id = o.customer_id AND a.kind = 'billing'
LEFT JOIN exchange_rates AS r ON r.currency = o.currency AND r.quoted_on = COALESCE(
  (SELECT MAX(q.quoted_on) FROM exchange_rates AS q WHERE q.currency = o.currency AND q.quoted_on <= DATE(o.ordered_at)),
  (SELECT MIN(q.quoted_on) FROM exchange_rates AS q WHERE q.currency = o.currency))
WHERE o.status <> 'cancelled' AND o.ordered_at > '1000-01-01' GROUP BY 1, 2
"""


def test_revenue_by_month_and_country_is_what_plain_sql_finds_on_the_source(shop: Nights, first: Night) -> None:
    assert first.verdict == "ok", first.asdict()["marts"]
    assert {one.rows_before for one in first.built} == {None}
    wanted = shop.mysql(MYSQL_REVENUE, ())
    columns = "month, country_code, orders, customers, revenue_eur, unquoted_orders"
    found = shop.mart("revenue_by_month", columns)
    assert len(found) > 100
    assert sorted(found) == sorted(wanted)
    assert sum(row[-1] for row in found) > 0, "some orders are in currencies that nobody quotes"


def test_orders_by_customer_and_status_are_what_plain_sql_finds_on_the_source(shop: Nights, first: Night) -> None:
    wanted = shop.mysql("SELECT customer_id, status, COUNT(*), SUM(total) FROM orders GROUP BY 1, 2")
    found = shop.mart("fact_order", "customer_id, status, COUNT(*), SUM(total)", "GROUP BY 1, 2")
    assert len(found) > 60
    assert sorted(found) == sorted(wanted)


def test_lines_and_payments_are_what_plain_sql_finds_on_the_source(shop: Nights, first: Night) -> None:
    wanted = shop.mysql(
        "SELECT c.name, SUM(i.quantity), SUM(i.line_total), SUM(r.id IS NOT NULL) FROM order_items AS i JOIN products AS p"
        " ON p.id = i.product_id JOIN categories AS c ON c.id = p.category_id"
        " LEFT JOIN `returns` AS r ON r.order_id = i.order_id AND r.line_no = i.line_no GROUP BY c.id"
    )
    products = shop.scratch.table_path(shop.settings.warehouse.marts_dataset, "dim_product")
    found = shop.mart(
        "fact_order_line",
        "category, SUM(quantity), SUM(line_total), COUNTIF(is_returned)",
        f"JOIN {products} USING (product_id) GROUP BY 1",
    )
    assert sorted(found) == sorted(wanted)
    wanted = shop.mysql(
        "SELECT p.method, SUM(p.amount), COALESCE(SUM(r.amount), 0), COUNT(IF(p.paid_at = 0, NULL, p.paid_at)) FROM payments AS p"
        " LEFT JOIN refunds AS r ON r.payment_id = p.id GROUP BY p.method"
    )
    assert sorted(
        shop.mart("fact_payment", "method, SUM(amount), SUM(refunded), COUNT(paid_on)", "GROUP BY 1")
    ) == sorted(wanted)


def test_a_mart_is_laid_out_and_described_as_its_file_says(shop: Nights, first: Night) -> None:
    made = shop.table("fact_order")
    assert (made.time_partitioning.field, made.time_partitioning.type_) == ("ordered_on", "MONTH")
    assert made.clustering_fields == ["customer_id", "status"]
    assert made.labels == {"area": "sales", "made_by": "migration-workbook"}
    assert made.description.startswith("An order, with the customer as known")
    assert {field.name: field.description for field in made.schema} == first.marts.named["fact_order"].columns
    history = {field.name: field.description for field in shop.table("dim_customer").schema}
    assert history == first.marts.named["dim_customer"].columns
    left = [item.table_id for item in shop.scratch.warehouse.list_tables(shop.settings.warehouse.raw_dataset)]
    assert not [name for name in left if name.endswith("__mart")], "what was built aside is gone"


def test_the_history_of_customers_is_kept_from_night_to_night(shop: Nights, first: Night, tmp_path: Path) -> None:
    # Half of the marts will do for the second night.
    for name in ("dim_customer", "dim_date", "dim_exchange_rate", "fact_order"):
        shutil.copy(SHOP_MARTS / f"{name}.sql", tmp_path)
    warehouse = shop.settings.warehouse.model_copy(update={"marts": str(tmp_path)})
    shop.settings = shop.settings.model_copy(update={"warehouse": warehouse})
    before = {row[0]: row for row in shop.mysql(MYSQL_CUSTOMERS)}
    rich, moved, quiet = 5, 7, 11
    for statement in (
        f"UPDATE customers SET tier_id = IF(tier_id = 3, 2, 3) WHERE id = {rich}",
        f"UPDATE addresses SET country_code = 'JP', city = 'Kyoto' WHERE customer_id = {moved}",
        f"UPDATE customers SET phone = 'another', updated_at = NOW() WHERE id = {quiet}",
        "DELETE FROM customers WHERE id = 2000000009",
        "INSERT INTO customers (id, name, birth_date, registered_at) VALUES (7000, 'new', NULL, '2024-05-05')",
        f"INSERT INTO orders (id, customer_id, ordered_at, total) VALUES (7001, {rich}, '2024-12-01', 5),"
        f" (7002, {rich}, '2998-12-01', 5), (7003, 7000, '2024-05-06', 1)",
    ):
        shop.mysql(statement)
    began = datetime.now(UTC)
    second = shop.night()
    assert second.verdict == "ok", second.asdict()["marts"]
    after = {row[0]: row for row in shop.mysql(MYSQL_CUSTOMERS)}
    names = ", ".join(second.marts.named["dim_customer"].header.columns)
    rows = shop.mart("dim_customer", f"{names}, valid_from, valid_to, is_current, customer_key")
    moments = {row[-4] for row in rows} - {BEGINNING}
    assert len(moments) == 1
    (moment,) = moments
    assert began <= moment <= datetime.now(UTC)
    changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
    assert changed == {rich, moved}
    wanted = [(*after[key], BEGINNING, END, True) for key in after.keys() - changed]
    wanted += [(*before[key], BEGINNING, moment, False) for key in changed | (before.keys() - after.keys())]
    wanted += [(*after[key], moment, END, True) for key in changed]
    assert Counter(row[:-1] for row in rows) == Counter(map(booleans, wanted))
    assert len({row[-1] for row in rows}) == len(rows)
    built = next(one for one in second.built if one.mart.name == "dim_customer")
    assert (built.began, built.ended) == (2, 3), "a key seen for the first time is so from the beginning"
    keys = {(row[0], row[-2]): row[-1] for row in rows}
    facts = dict(shop.mart("fact_order", "order_id, customer_key", "WHERE order_id BETWEEN 7001 AND 7003"))
    assert facts == {7001: keys[rich, False], 7002: keys[rich, True], 7003: keys[7000, True]}


def booleans(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:9], bool(row[9]), *row[10:])


def test_the_lineage_of_the_shop_leads_through_clean_tables_to_the_source(shop: Nights, first: Night) -> None:
    assert first.lineage.unknown == {}
    found = {
        (mart, column): {str(one) for one in first.lineage.of(mart, column).source}
        for mart, column in (
            ("revenue_by_month", "revenue_eur"), ("fact_order_line", "variant_no"), ("fact_order", "customer_key"),
            ("fact_order", "order_lines"),
        )
    }  # fmt: skip
    at = f"{shop.database}."
    assert found == {
        ("revenue_by_month", "revenue_eur"): {f"{at}orders.total", f"{at}exchange_rates.rate"},
        ("fact_order_line", "variant_no"): {f"{at}order_items.variant no"},
        ("fact_order", "customer_key"): {f"{at}customers.id"},
        ("fact_order", "order_lines"): set(),
    }
    computed = {
        (one.mart.name, column)
        for one in first.built
        for column in one.mart.columns
        if not first.lineage.of(one.mart.name, column).source
    }
    assert computed == {
        *(("dim_customer", name) for name in ("valid_from", "valid_to", "is_current")),
        ("fact_order", "order_lines"), ("revenue_by_month", "orders"),
    }  # fmt: skip
    page = first._repr_html_()
    assert "order_items.variant no" in page
    assert "in the place of those before" in page
    figure: Any = first.plot_lineage()
    labels = figure.data[0].node.label
    links = {
        (labels[one], labels[other])
        for one, other in zip(figure.data[0].link.source, figure.data[0].link.target, strict=True)
    }
    assert {(f"{at}orders", "orders"), ("orders", "fact_order"), ("fact_order", "revenue_by_month")} <= links


def test_googles_own_analyzer_accepts_every_statement_of_the_shops_marts(shop: Nights, first: Night) -> None:
    names = {kind.value: kind.name.removeprefix("TYPE_") for kind in zetatypes.TypeKind}
    names |= {zetatypes.TypeKind.TYPE_DOUBLE.value: "FLOAT64"}
    settings = shop.settings.warehouse.model_copy(update={"dataset": "shop"})
    # The types of the real service, not those of the emulator.
    catalog = read_catalog(shop.scratch.target, [shop.database])
    mapping = load_mapping(shop.scratch.folder / "shop.yaml", catalog, False)
    tables = {
        f"shop.{table.warehouse_name}": [
            (column.warehouse_name, cleaning.clean_type(column)) for column in table.columns
        ]
        for table in mapping.in_scope
    }
    places, moment, analyzed = Places("local-project", settings), datetime(2026, 1, 2, tzinfo=UTC), 0

    def judge(item: Any) -> Any:
        read = {places.of(one).replace("`", "").removeprefix("local-project.") for one in item.reads}
        own = {places.mart(item.name), places.built(item.name)} & tables.keys()
        held = {
            name for mart in first.marts.named for name in (places.built(mart), places.mart(mart)) if name in tables
        }
        return analyzer({name: tables[name] for name in read | own | (held if own else set())})

    for mart in first.marts.marts:
        select = statements.rows_of(mart, places, moment, None)
        answer = judge(mart).analyze_statement(select)
        types = [(one.name, names[one.column.type.type_kind]) for one in answer.output_column_list]
        made = [statements.create(mart, places, select, {name.lower(): kind for name, kind in types})]
        tables[places.mart(mart.name)] = tables[places.built(mart.name)] = types
        if mart.header.history is not None:
            known = [name for name, _ in types]
            assert known == list(mart.columns)
            for held in (known, [name for name in known if name != "city"]):
                made.append(statements.rows_of(mart, places, moment, held))
            made.append(statements.count_versions(mart, places, moment))
        places = replace(places, aside=places.aside | {mart.name})
        made += [
            statements.count_failing([sql for _, sql in statements.tests(mart, places)]),
            statements.drop(places, places.mart(mart.name)),
        ]
        for sql in made:
            judge(mart).analyze_statement(sql)
            analyzed += 1
    for test in first.marts.tests:
        judge(test).analyze_statement(statements.count_failing([statements.query(test, places)]))
        analyzed += 1
    assert analyzed >= 3 * len(first.marts.marts) + len(first.marts.tests)


def test_keys_are_noted_and_lead_to_the_keys_of_other_marts(shop: Nights, first: Night) -> None:
    found = statements.keys(first.marts.named["fact_order"], first.marts, Places("p-1234", shop.settings.warehouse))
    assert found is not None
    assert found.primary_key.columns == ["order_id"]
    leads = {(key.column_references[0].referencing_column, key.referenced_table.table_id) for key in found.foreign_keys}
    assert leads == {("customer_key", "dim_customer"), ("ordered_on", "dim_date")}


# --- Small marts: what fails stays away -------------------------------------------------------------------------------

SMALL = 'CREATE TABLE `it\'s "a" table` (id INT PRIMARY KEY, `größe` VARCHAR(20), n INT)'


@pytest.fixture(scope="module")
def small(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    folder = tmp_path_factory.mktemp("small")
    scratch = Scratch(sandbox, folder)
    try:
        made = Nights(scratch, folder / "marts")
        (folder / "marts" / "tests").mkdir(parents=True)
        made.mysql(SMALL)
        made.mysql("INSERT INTO `it's \"a\" table` VALUES (1, 'a', 10), (2, 'ü😀', NULL)")
        yield made
    finally:
        scratch.close()


def write(made: Nights, name: str, header: str, sql: str) -> None:
    (made.folder / f"{name}.sql").write_text(f"/*\n{header}\n*/\n{sql}", encoding="utf-8")


def statuses(night: Night) -> dict[str, str]:
    return {one.mart.name: one.status for one in night.built}


SIZE = "description: 'What it''s about: \"größe\" 😀'\ncolumns: {id: The id., size: 'Its größe.', n: A number.}\nkey: [id]\nhistory: size_key"
SIZE_SQL = "SELECT id, gro__e AS size, n FROM clean.it_s__a__table -- no marts.here, 'clean.nothing'\n;"


def test_a_night_cut_off_between_two_marts_is_finished_by_running_it_again(
    small: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(small, "sizes", SIZE, SIZE_SQL)
    write(small, "total", "description: d\ncolumns: {n: all}", "SELECT SUM(n) AS n FROM marts.sizes WHERE is_current")
    copy = Jobs.copy

    def cut(jobs: Jobs, name: str, to: str) -> None:
        if to.endswith(".total"):
            raise KeyboardInterrupt
        copy(jobs, name, to)

    with monkeypatch.context() as patched:
        patched.setattr(Jobs, "copy", cut)
        with pytest.raises(KeyboardInterrupt):
            small.night()
    sizes = small.mart("sizes", rest="ORDER BY id")
    assert [row[1] for row in sizes] == [1, 2]
    night = small.night()
    assert statuses(night) == {"sizes": "ok", "total": "ok"}
    assert (small.mart("sizes", rest="ORDER BY id"), small.mart("total")) == (sizes, [(10,)])


def test_what_fails_leaves_the_table_of_yesterday_and_so_does_what_needs_it(small: Nights) -> None:
    write(small, "sizes", SIZE, SIZE_SQL)
    write(
        small,
        "total",
        "description: d\ncolumns: {n: all}\nvalues: {n: [10, 20]}",
        "SELECT SUM(n) AS n FROM marts.sizes WHERE is_current",
    )
    write(small, "of_total", "description: d\ncolumns: {n: all}", "SELECT n FROM marts.total")
    write(small, "alone", "description: d\ncolumns: {n: all}", "SELECT COUNT(*) AS n FROM `clean.it_s__a__table`")
    write(small, "tests/all_there", "description: Nothing is beyond 90.", "SELECT id FROM marts.sizes WHERE n > 90")
    night = small.night()
    assert statuses(night) == dict.fromkeys(("sizes", "total", "of_total", "alone"), "ok"), night.asdict()["marts"]
    assert [(one.began, one.ended) for one in night.built if one.began is not None] == [(0, 0)]
    small.mysql("INSERT INTO `it's \"a\" table` VALUES (3, 'new', 7)")
    night = small.night()
    assert night.verdict == "failed"
    assert statuses(night) == {"sizes": "ok", "total": "failed", "of_total": "held back", "alone": "ok"}
    assert (small.mart("total"), small.mart("of_total"), small.mart("alone")) == ([(10,)], [(10,)], [(3,)])
    page = night._repr_html_()
    assert "n is one of 10, 20" in page
    assert "total__mart" in page, "the query that lists the rows reads what was built aside, which is still there"
    (failing,) = next(one.failing for one in night.built if one.mart.name == "total")
    assert small.scratch.google(failing.sql) == [(17,)]
    small.mysql('UPDATE `it\'s "a" table` SET n = IF(id = 3, 100, -80) WHERE id <> 2')
    night = small.night()
    assert statuses(night) == {"sizes": "failed", "total": "held back", "of_total": "held back", "alone": "ok"}
    assert [(one.status, one.rows) for one in night.tested] == [("failed", 1)]
    assert [row[0] for row in small.mart("sizes", "n", "WHERE id = 3")] == [7], (
        "the version that was not right is not there"
    )


def test_a_query_that_bigquery_refuses_is_named_and_the_others_are_built(small: Nights) -> None:
    (small.folder / "tests" / "all_there.sql").unlink()
    write(small, "total", "description: d\ncolumns: {n: all}", "SELECT SUM(nn) AS n FROM marts.sizes")
    write(small, "of_total", "description: d\ncolumns: {n: all, m: more}", "SELECT 1 AS n, 2 AS other")
    night = small.night()
    assert statuses(night) == {"sizes": "ok", "total": "error", "of_total": "error", "alone": "ok"}
    why = {one.mart.name: one.why for one in night.built}
    assert "nn" in why["total"]
    assert (
        why["of_total"]
        == "its query gives other, which `columns` does not describe; `columns` describes m, which its query does not give"
    )
    assert small.mart("total") == [(10,)]


def test_a_history_goes_back_and_forth_gets_columns_and_loses_none(small: Nights) -> None:
    for name in ("total", "of_total"):
        (small.folder / f"{name}.sql").unlink()

    def versions(key: int, columns: str = "n") -> list[tuple[Any, ...]]:
        return small.mart("sizes", f"{columns}, is_current", f"WHERE id = {key} ORDER BY valid_from")

    assert versions(3) == [(7, False), (100, True)]
    assert versions(1) == [(10, False), (-80, True)]
    small.mysql('UPDATE `it\'s "a" table` SET n = 7 WHERE id = 3')
    small.mysql('DELETE FROM `it\'s "a" table` WHERE id = 1')
    night = small.night()
    assert night.left == tuple(f"{small.settings.warehouse.marts_dataset}.{name}" for name in ("of_total", "total"))
    assert versions(3) == [(7, False), (100, False), (7, True)]
    assert versions(1) == [(10, False), (-80, False)]
    small.mysql("INSERT INTO `it's \"a\" table` VALUES (1, 'back', 10)")
    write(
        small,
        "sizes",
        SIZE.replace("n: A number.", "n: A number., twice: It doubled."),
        SIZE_SQL.replace("n FROM", "n, n * 2 AS twice FROM"),
    )
    night = small.night()
    assert statuses(night)["sizes"] == "ok", night.asdict()["marts"]
    rows = small.mart("sizes", "size, twice, valid_from, valid_to, is_current", "WHERE id = 1 ORDER BY valid_from")
    assert [(row[0], row[1], row[4]) for row in rows] == [("a", None, False), ("a", None, False), ("back", 20, True)]
    assert rows[0][3] == rows[1][2]
    assert rows[1][3] < rows[2][2], "nobody was there in between"
    assert versions(3, "twice") == [(None, False), (None, False), (14, True)], (
        "no version began for a column that is new"
    )
    write(small, "sizes", SIZE, SIZE_SQL)
    night = small.night()
    assert (statuses(night)["sizes"], night.verdict) == ("error", "failed")
    assert "its history holds twice" in next(one.why for one in night.built if one.mart.name == "sizes")
    assert versions(3, "twice")[-1] == (14, True)


def test_marts_are_not_built_of_tables_that_are_not_right(small: Nights) -> None:
    before = small.mart("alone")
    mapping = small.mapping()
    night = small.night()
    bad = replace(night.loaded, tables=tuple(replace(table, rows_raw=999) for table in night.loaded.tables))
    night = build_marts(
        small.scratch.warehouse, small.settings, mapping, small.notes, small.notes.objects, night.marts, bad
    )
    assert (night.verdict, set(statuses(night).values())) == ("failed", {"held back"})
    assert small.mart("alone") == before


def test_the_phase_fails_by_a_mart_and_its_rollback_leaves_what_was_in_the_dataset(
    sandbox: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Scratch(sandbox, tmp_path)
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    try:
        made = Nights(scratch, tmp_path / "marts")
        (tmp_path / "marts").mkdir()
        made.mysql("CREATE TABLE t (id INT PRIMARY KEY)")
        content = yaml.safe_load(scratch.params([made.database]).read_text())
        content["warehouse"] |= {"marts": "marts", "dataset": made.settings.warehouse.dataset}
        file = tmp_path / "params.yaml"
        file.write_text(yaml.safe_dump(content))
        dataset = f"{scratch.warehouse.project}.{made.settings.warehouse.marts_dataset}"
        scratch.warehouse.create_dataset(dataset)
        mine, alone = (scratch.table_path(made.settings.warehouse.marts_dataset, name) for name in ("mine", "alone"))
        for table in (mine, alone):
            scratch.google(f"CREATE TABLE {table} AS SELECT 7 AS n")

        def run() -> None:
            phase = open_phase("warehouse", {"params_file": str(file)})
            phase.mapping = made.mapping()  # type: ignore[misc]
            marts = read_marts(phase.settings, phase.mapping)
            assert "clean.t" in marts._repr_html_()
            loaded = load_night(
                phase.target, phase.warehouse, phase.target_catalog(), phase.mapping, phase.settings, phase.journal,
                phase.owned(),
            )  # fmt: skip
            phase.finish(
                build_marts(phase.warehouse, phase.settings, phase.mapping, phase.journal, phase.owned(), marts, loaded)
            )

        header = "description: d\ncolumns: {n: all}\nvalues: {n: [1]}"
        write(made, "alone", header, "SELECT COUNT(*) AS n FROM clean.t")
        with pytest.raises(Refused, match="the workbook did not make it"):
            run()
        (tmp_path / "marts" / "alone.sql").rename(tmp_path / "marts" / "single.sql")
        with pytest.raises(VerdictFailed) as failed:
            run()
        assert failed.value.exit_status == 1
        assert {item.table_id for item in scratch.warehouse.list_tables(dataset)} == {"mine", "alone"}
        made.mysql("INSERT INTO t VALUES (5)")
        run()
        result = json.loads(max((tmp_path / "reports").glob("*/warehouse.json")).read_text())
        (told,) = result["marts"]["built"]
        assert (told["name"], told["rows"], told["tests"], told["status"]) == ("single", 1, 1, "ok")
        assert made.mart("single") == [(1,)]
        rollback(settings_from({"params_file": str(file)}), "start", say=lambda line: None)
        assert {item.table_id for item in scratch.warehouse.list_tables(dataset)} == {"mine", "alone"}
        assert made.mart("mine") == made.mart("alone") == [(7,)]
        left = {item.dataset_id for item in scratch.warehouse.list_datasets()}
        assert not left & {made.settings.warehouse.dataset, made.settings.warehouse.raw_dataset}
    finally:
        scratch.close()


# --- Files, without a server ------------------------------------------------------------------------------------------


def test_tables_of_the_layers_are_found_where_they_are_tables() -> None:
    sql = "SELECT '😀 clean.a', x.clean.b, `clean.c`, clean.`d e`.f, marts.order /* raw.g */ FROM raw.h -- clean.i\n"
    assert list(map(str, references(sql))) == ["clean.c", "clean.d e", "marts.order", "raw.h"]
    placed = put_in_place(sql, lambda one: f"<{one}>")
    assert (
        placed
        == "SELECT '😀 clean.a', x.clean.b, <clean.c>, <clean.d e>.f, <marts.order> /* raw.g */ FROM <raw.h> -- clean.i\n"
    )
    assert without_end(" SELECT ';' ; -- end\n ; ") == "SELECT ';'  -- end"
    for wrong in ("SELECT 1; SELECT 2", "DROP TABLE clean.x", "DELETE FROM clean.x WHERE TRUE", ""):
        with pytest.raises(ValueError, match="must be one query"):
            without_end(wrong)


def folder_of(small: Nights, tmp_path: Path, **texts: str) -> Marts:
    for name, text in texts.items():
        path = tmp_path / f"{name.replace('__', '/')}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    warehouse = small.settings.warehouse.model_copy(update={"marts": str(tmp_path)})
    return read_marts(small.settings.model_copy(update={"warehouse": warehouse}), small.mapping())


GOOD = "/* {{description: d, columns: {{id: x, n: y}}, {more}}} */ SELECT id, n FROM {table}"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"a": "SELECT 1"}, "does not begin with a header"),
        ({"a": "/* description: [ */ SELECT 1"}, "is not YAML at line 1"),
        ({"a": "/* {columns: {n: x}} */ SELECT 1 AS n"}, "description is missing"),
        ({"a": GOOD.format(more="cluster: [id]", table="clean.it_s__a__table")}, "unknown key cluster. Did you mean cluster_by?"),
        ({"a": GOOD.format(more="key: [idd]", table="clean.it_s__a__table")}, "the column idd, which `columns` does not list. Did you mean id?"),
        ({"a": GOOD.format(more="history: k", table="clean.it_s__a__table")}, "a history needs a `key`"),
        ({"a": GOOD.format(more="", table="clean.its_a_table")}, "reads clean.its_a_table, and there is no such table in that layer. Did you mean it_s__a__table?"),
        ({"a": GOOD.format(more="", table="marts.b")}, "reads marts.b, and there is no such table"),
        ({"a": GOOD.format(more="references: {id: b.id}", table="clean.it_s__a__table")}, "refers to b.id, which there is not"),
        ({"a": GOOD.format(more="", table="marts.b"), "b": GOOD.format(more="references: {id: a.id}", table="clean.it_s__a__table")}, "round in a circle: "),
        ({"a": GOOD.format(more="", table="clean.it_s__a__table") + "; DROP TABLE x"}, "must be one query"),
        ({"a b": GOOD.format(more="", table="clean.it_s__a__table")}, "its name 'a b' is the table's"),
        ({"a": GOOD.format(more="", table="clean.it_s__a__table"), "A": GOOD.format(more="", table="clean.it_s__a__table")}, "two marts are called a"),
        ({"tests__t": "/* description: d */ SELECT 1 FROM clean.it_s__a__table"}, "it reads no mart"),
    ],
)  # fmt: skip
def test_a_file_that_could_not_be_built_is_refused_by_name(
    small: Nights, tmp_path: Path, texts: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError) as error:
        folder_of(small, tmp_path, **texts)
    assert said in error.value.found
    assert str(tmp_path) in error.value.found


def test_marts_are_built_after_what_they_need_and_what_cannot_be_followed_is_built_all_the_same(
    small: Nights, tmp_path: Path
) -> None:
    marts = folder_of(
        small,
        tmp_path,
        a=GOOD.format(more="references: {id: z.id}", table="marts.b"),
        b=GOOD.format(more="", table="clean.it_s__a__table |> WHERE TRUE |> NOTHING THAT A PARSER KNOWS"),
        z=GOOD.format(more="", table="raw.it_s__a__table"),
    )
    assert [mart.name for mart in marts.marts] == ["b", "z", "a"]
    found = lineage(marts, small.mapping())
    assert "could not be followed" in found.unknown["b"]
    assert [str(one) for one in found.of("z", "n").read] == ["raw.it_s__a__table.n"]
    assert [str(one) for one in found.of("a", "n").read] == ["marts.b.n"]


def test_a_mart_is_never_built_over_a_raw_table_nor_of_one_that_is_not_in_scope(small: Nights, tmp_path: Path) -> None:
    mapping = small.mapping()
    ((path, table),) = mapping.tables.items()
    clash = replace(mapping, tables={path: replace(table, warehouse_name="A__mart")})
    (tmp_path / "a.sql").write_text("/* {description: d, columns: {n: x}} */ SELECT 1 AS n")
    warehouse = small.settings.warehouse.model_copy(update={"marts": str(tmp_path)})
    settings = small.settings.model_copy(update={"warehouse": warehouse})
    with pytest.raises(UsageError, match="built as a__mart, and the mapping has a table of that name"):
        read_marts(settings, clash)
    (tmp_path / "a.sql").write_text("/* {description: d, columns: {n: x}} */ SELECT n FROM clean.A__mart")
    later = replace(clash, segments=tuple(replace(one, scope="later") for one in clash.segments))
    with pytest.raises(UsageError, match="whose segment the mapping does not have in scope"):
        read_marts(settings, later)


def test_no_folder_in_the_params_is_no_mart_and_a_missing_one_is_refused(small: Nights, tmp_path: Path) -> None:
    warehouse = small.settings.warehouse
    without = small.settings.model_copy(update={"warehouse": warehouse.model_copy(update={"marts": None})})
    assert read_marts(without, small.mapping()) == Marts(None)
    missing = small.settings.model_copy(update={"warehouse": warehouse.model_copy(update={"marts": "nowhere"})})
    with pytest.raises(UsageError, match="There is no folder"):
        read_marts(missing, small.mapping())
