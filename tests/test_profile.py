"""The profile: figures of every kind of column on a real server, masked values, hostile names, samples, plots."""

import json
from typing import Any

import pytest

from workbook import params
from workbook.catalog import Column, Index, IndexPart, Table, read_catalog
from workbook.profile import (
    ProfileResult,
    plot_dirt,
    plot_distributions,
    plot_nulls,
    plot_references,
    plot_sizes,
    profile_tables,
)
from workbook.profile.measures import MEASURES, kind_of, measures_of, plain
from workbook.profile.personal import looks_personal, personal_by_content, personal_by_name, shape
from workbook.profile.sample import frequent, histogram, quantiles

PLOTS = (plot_sizes, plot_nulls, plot_distributions, plot_dirt, plot_references)


def column(name: str, type: str = "varchar(100)", **given: Any) -> Column:
    """A column for tests that need no server."""
    values: dict[str, Any] = {
        "name": name, "position": 1, "data_type": type.split("(")[0].split()[0], "type": type, "nullable": True,
        "default": None, "default_is_expression": False, "on_update": None, "charset": None, "collation": None,
        "generated": None, "expression": None, "invisible": False, "auto_increment": False, "srid": None,
        "length": None, "octets": None, "precision": None, "scale": None, "fraction": None, "comment": "",
    }  # fmt: skip
    return Column(**{**values, **given})


def profiled(scratch: Any, database: str, **settings: Any) -> ProfileResult:
    """The profile of one scratch database."""
    return profile_tables(scratch.source, read_catalog(scratch.source, [database]), params.Profile(**settings))


@pytest.mark.parametrize(
    ("name", "type", "kind"),
    [
        ("email", "varchar(190)", "mail address"),
        ("contactEmail", "varchar(190)", "mail address"),
        ("E-Mail Address", "varchar(190)", "mail address"),
        ("name", "varchar(10)", "person's name"),
        ("family_name", "varchar(10)", "person's name"),
        ("phone", "bigint", "phone number"),
        ("birth_date", "date", "birth date"),
        ("ip", "varbinary(16)", "network address"),
        ("line1", "varchar(160)", "postal address"),
        ("postcode", "varchar(12)", "postal address"),
        ("iban", "char(34)", "bank account"),
        ("card_number", "bigint", "payment card"),
        ("password_hash", "varbinary(60)", "secret"),
        ("api_token", "char(32)", "secret"),
        ("salary", "decimal(9,2)", "pay"),
        ("changed_by", "varchar(80)", "person's name"),
        ("file_name", "varchar(255)", None),
        ("product_id", "int", None),
        ("email_id", "int", None),
        ("marketing_consent", "tinyint(1)", None),
        ("gender", "enum('f','m')", None),
        ("status", "varchar(12)", None),
        ("total", "decimal(12,2)", None),
    ],
)
def test_a_column_is_taken_for_personal_by_its_name(name: str, type: str, kind: str | None) -> None:
    assert personal_by_name(column(name, type)) == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["x", "write to anna.b@example.co.uk now"], "mail address"),
        (["+49 30 1234567", "030/1234567", "(030) 123456-7"], "phone number"),
        (["DE89 3704 0044 0532 0130 00", "x"], "bank account"),
        (["10.0.0.1", "192.168.1.77", "8.8.8.8"], "network address"),
        (["4111111111111111", "5500005555555559", "340000000000009", "4012888888881881", "6011000990139424"], "payment card"),
        (["2024-01-31", "01.02.2024", "2023-12-01"], None),
        (["DE12 3456 7890 1234 5678", "no account"], None),
        (["12.5", "1e9", "1000000"], None),
        (["a@b", "@", "5 @ 3.20"], None),
        ([], None),
        ([None, "", " "], None),
    ],
)  # fmt: skip
def test_a_column_is_taken_for_personal_by_its_content(values: list[Any], kind: str | None) -> None:
    assert personal_by_content(values) == kind


def test_a_shape_keeps_no_letter_and_no_digit() -> None:
    assert shape("Anna-Lena O'Neill") == "Aa+-Aa+ A'Aa+"
    assert shape("anna@example.com") == "a+@a+.a+"
    assert shape("+49 30 1234") == "+9+ 9+ 9+"
    assert shape("Zoë 尺寸") == "Aa* *+"
    assert shape(b"\x00\x01") == "2 bytes"
    assert looks_personal("mail to a.b@example.com")
    assert not looks_personal("2024-01-01")


def test_quantiles_and_histograms_hold_at_the_ends_of_the_types() -> None:
    assert quantiles("number", [3, 1, None, 2])["p50"] == 2
    assert quantiles("time", ["-838:59:59", "10:00:00", "00:00:00"])["p50"] == "00:00:00"
    assert quantiles("date", ["0000-00-00", "2023-00-01", "2024-02-29"])["p05"] == "2024-02-29"
    wide = histogram("float", [-1.7e308, 0.0, 1.7e308])
    assert wide is not None
    assert sum(wide.counts) == 3
    assert json.dumps(wide.edges, allow_nan=False)
    assert histogram("number", [5, 5, 5]) is None
    dates = histogram("date", ["1000-01-01", "2024-02-29", "9999-12-31 23:59:59.999999", "2023-02-31"])
    assert dates is not None
    assert sum(dates.counts) == 3


def test_frequent_values_of_a_masked_column_are_shapes() -> None:
    assert [(it.value, it.count) for it in frequent("text", ["Ann", "Bob", "ann"], True)] == [("Aa+", 2), ("a+", 1)]
    assert frequent("text", [f"value {number}" for number in range(50)], False) == ()
    assert plain(b"\xff" * 40) == "ff" * 32 + "…"


def test_every_kind_has_a_measure_of_nulls_and_no_measure_twice() -> None:
    for type in ("int", "double", "bit(1)", "year", "date", "time", "enum('a')", "char(1)", "binary(1)", "text", "blob",
                 "json", "vector(3)", "point", "inet6"):  # fmt: skip
        assert "nulls" in measures_of(column("c", type))
    for kind in {kind for measure in MEASURES for kind in measure.kinds}:
        names = [measure.name for measure in MEASURES if kind in measure.kinds]
        assert len(names) == len(set(names)), kind
    assert kind_of(column("c", "uuid")) == "other"


def test_the_figures_of_every_type_are_right(scratch: Any) -> None:
    database = scratch.database()
    scratch.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, n BIGINT UNSIGNED, d DECIMAL(65,30), f FLOAT, x DOUBLE, b BIT(64), y YEAR,"
        " da DATE, dt DATETIME(6), ts TIMESTAMP NULL, ti TIME(6), flag TINYINT(1), e ENUM('a','b'), s VARCHAR(40),"
        " l VARCHAR(40) CHARACTER SET latin1, bin VARBINARY(100), te TEXT, bl BLOB, j JSON, g POINT,"
        " v INT GENERATED ALWAYS AS (id * 2) VIRTUAL, h INT INVISIBLE)",
        database,
    )
    scratch.execute(
        "INSERT INTO t (id, n, d, f, x, b, y, da, dt, ts, ti, flag, e, s, l, bin, te, bl, j, g, h) VALUES"
        " (1, 18446744073709551615, -99999999999999999999999999999999999.999999999999999999999999999999, 1.1, 1.7e308,"
        "  ~0, 0, '0000-00-00', '0000-00-00 10:00:00', '0000-00-00 00:00:00', '-838:59:59', 2, 'a', ' x ', 'grün', x'00ff',"
        "  '😀', x'00', '{}', ST_GeomFromText('POINT(1 2)'), 1),"
        " (2, 0, 1, -2, 1.7e308, 1, 2155, '2023-02-31', '2023-00-01 00:00:00', '2023-01-01 00:00:00', '24:00:00', 1, '',"
        "  'n/A', 'a', '', '', '', '[1]', NULL, 2),"
        " (3, 5, 2, 3, -1.7e308, 0, 1999, '2024-02-29', '9999-12-31 23:59:59.999999', NULL, '23:59:59.999999', 0, 'b',"
        "  'ä', 'b', x'01', 'abc', x'0102', NULL, NULL, 3),"
        " (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Ä', NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        database,
    )
    result = profiled(scratch, database)
    assert result.verdict == "ok"
    table = result.table[database, "t"]
    assert (table.rows, table.sampled, table.declared_key) == (4, False, ("id",))
    c = table.columns
    assert (c["n"].minimum, c["n"].maximum, c["n"].nulls, c["n"].distinct) == (0, 2**64 - 1, 1, 3)
    assert c["d"].minimum == "-99999999999999999999999999999999999.999999999999999999999999999999"
    assert c["f"].maximum == 3.0
    assert (c["f"].minimum, c["f"].negatives) == (-2.0, 1)
    assert (c["x"].minimum, c["x"].maximum, c["x"].mean) == (-1.7e308, 1.7e308, None)
    assert (c["b"].minimum, c["b"].maximum) == (0, 2**64 - 1)
    assert (c["y"].minimum, c["y"].maximum) == (0, 2155)
    assert (c["da"].zero_dates, c["da"].partial_dates, c["da"].impossible_dates) == (1, 0, 1)
    assert (c["da"].minimum, c["da"].maximum) == ("2024-02-29", "2024-02-29")
    assert (c["dt"].zero_dates, c["dt"].partial_dates, c["dt"].maximum) == (0, 2, "9999-12-31 23:59:59.999999")
    assert (c["ts"].zero_dates, c["ts"].minimum) == (1, "2023-01-01 00:00:00")
    assert (c["ti"].negatives, c["ti"].over_24h, c["ti"].minimum) == (1, 1, "-838:59:59.000000")
    assert c["flag"].not_bool == 1
    assert (c["e"].choice_errors, c["e"].distinct) == (1, 3)
    assert (c["s"].spaces, c["s"].placeholders, c["s"].non_ascii, c["s"].max_chars) == (1, 1, 2, 3)
    # ä and Ä are one value to the collation and two in BigQuery.
    assert (c["s"].distinct, c["s"].distinct_collated, c["s"].folded) == (4, 3, 1)
    assert (c["l"].non_ascii, c["l"].max_bytes) == (1, 4)
    assert (c["bin"].empty, c["bin"].minimum, c["bin"].max_bytes) == (1, "", 2)
    assert (c["te"].empty, c["te"].non_ascii, c["te"].max_chars, c["te"].max_bytes) == (1, 1, 3, 4)
    assert (c["bl"].max_bytes, c["j"].nulls, c["g"].nulls) == (2, 2, 3)
    assert (c["v"].maximum, c["h"].maximum) == (8, 3)
    assert json.loads(json.dumps(result.asdict(), allow_nan=False))["tables"][0]["columns"]["da"]["zero_dates"] == 1


def test_hostile_names_and_values_are_profiled_and_shown_as_text(scratch: Any) -> None:
    odd = 'it\'s `odd` "%s" <b>'
    database = scratch.database(odd)
    long = "x" * 60 + "尺寸`%"
    scratch.execute(
        "CREATE TABLE `ta``ble %d <i>` (`select` INT PRIMARY KEY, `a``b %s'\";--` VARCHAR(100), `%(x)s` DATE, `"
        + long.replace("`", "``")
        + "` ENUM('a''b', '<script>', '`%s'), `尺 寸` TEXT)".replace("%", "%"),
        database,
    )
    scratch.execute(
        "INSERT INTO `ta``ble %%d <i>` VALUES (1, %s, '0000-00-00', '<script>', %s), (2, %s, '2024-01-01', 'a''b', 'x')",
        database,
        ("<script>alert(1)</script>", "\t\0%s", "tab\there\0NUL 😀 %d"),
    )
    result = profiled(scratch, database)
    table = result.table[database, "ta`ble %d <i>"]
    assert table.problem == ""
    assert table.columns["%(x)s"].zero_dates == 1
    assert table.columns["a`b %s'\";--"].non_ascii == 1
    assert table.columns[long].distinct == 2
    shown = "".join([result._repr_html_(), result.dirt(), result.reference_table(), table._repr_html_()])
    assert "<script>alert" not in shown
    assert "<i>" not in shown
    for plot in PLOTS:
        drawn = plot(result).to_json()
        assert "<script>" not in drawn
        assert "<i>" not in drawn


def test_values_of_personal_columns_are_nowhere_in_the_result(scratch: Any) -> None:
    database = scratch.database()
    scratch.execute(
        "CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(80), born DATE, info VARCHAR(80), code VARCHAR(30), salary DECIMAL(9,2))",
        database,
    )
    scratch.execute(
        "INSERT INTO people VALUES (1, 'Grace Hopper', '1906-12-09', 'reach me: grace@navy.example.mil', 'A1', 12345.67),"
        " (2, 'Ada Lovelace', '1815-12-10', 'none', 'B2', 76543.21), (3, 'Ada Lovelace', NULL, NULL, 'zed@example.com', 76543.21)",
        database,
    )
    result = profiled(scratch, database)
    columns = result.table[database, "people"].columns
    assert {name: columns[name].personal for name in ("name", "born", "info", "code", "salary")} == {
        "name": "person's name", "born": "birth date", "info": "mail address", "code": "mail address", "salary": "pay",
    }  # fmt: skip
    assert [(it.value, it.count) for it in columns["name"].top] == [("Aa+ Aa+", 3)]
    assert columns["name"].distinct == 2
    told = json.dumps(result.asdict()) + result._repr_html_() + "".join(plot(result).to_json() for plot in PLOTS)
    for secret in ("Grace", "Lovelace", "1906", "1815", "navy", "zed@", "12345", "76543"):
        assert secret not in told, secret


def test_keys_references_and_orphans_are_found(scratch: Any) -> None:
    database = scratch.database()
    scratch.script(
        """
        CREATE TABLE customers (id INT UNSIGNED PRIMARY KEY, parent_id INT UNSIGNED);
        CREATE TABLE countries (code CHAR(2) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY);
        CREATE TABLE orders (id INT PRIMARY KEY, line INT, customer_id INT UNSIGNED, billingCustomerId INT UNSIGNED,
          country_code CHAR(2) CHARACTER SET ascii COLLATE ascii_bin, supplier_id INT,
          CONSTRAINT c FOREIGN KEY (customer_id) REFERENCES customers (id));
        CREATE TABLE `order` (`key` INT PRIMARY KEY);
        CREATE TABLE invoices (number INT PRIMARY KEY, order_id INT);
        CREATE TABLE keyless (a INT NOT NULL, b INT NOT NULL, c INT);
        CREATE TABLE doubles (a INT, b INT);
        INSERT INTO customers VALUES (1, NULL), (2, 1), (3, 1);
        INSERT INTO countries VALUES ('DE'), ('FR');
        INSERT INTO orders VALUES (1, 1, 1, 1, 'DE', 7), (2, 1, 2, 2, 'FR', 8), (3, 1, 3, 9, 'XX', 9), (4, 1, NULL, 3, 'DE', 7);
        INSERT INTO invoices VALUES (1, 1), (2, 2), (3, 7);
        INSERT INTO keyless VALUES (1, 1, 1), (1, 2, 1), (2, 1, NULL), (2, 2, 1);
        INSERT INTO doubles VALUES (1, 1), (1, 1)
        """,
        database,
    )
    for statement in (
        "ALTER TABLE orders DROP FOREIGN KEY c",
        "INSERT INTO orders VALUES (5, 1, 99, NULL, NULL, NULL)",
    ):
        scratch.execute(statement, database)
    result = profiled(scratch, database)
    tables = {table.name: table for table in result.tables}
    assert tables["keyless"].candidate_keys == (("a", "b"),)
    assert tables["keyless"].declared_key == ()
    assert tables["doubles"].candidate_keys == ()
    assert tables["orders"].candidate_keys == (("id",),)
    found = {(it.columns[0], it.parent_table): (it.declared, it.rows, it.orphans) for it in tables["orders"].references}
    assert found == {
        ("customer_id", "customers"): (False, 4, 1),
        ("billingCustomerId", "customers"): (False, 4, 1),
        ("country_code", "countries"): (False, 4, 1),
    }
    # Not to the table `order`, whose key has another name.
    assert [(it.parent_table, it.orphans) for it in tables["invoices"].references] == [("orders", 1)]
    assert [(it.columns, it.orphans) for it in tables["customers"].references] == [(("parent_id",), 0)]


def test_a_declared_foreign_key_counts_the_orphans_that_unchecked_inserts_left(scratch: Any) -> None:
    database = scratch.database()
    scratch.script(
        """
        CREATE TABLE parents (a INT, b INT, PRIMARY KEY (a, b));
        CREATE TABLE children (id INT PRIMARY KEY, a INT, b INT, CONSTRAINT `its parent's` FOREIGN KEY (a, b) REFERENCES parents (a, b));
        INSERT INTO parents VALUES (1, 1);
        SET foreign_key_checks = 0;
        INSERT INTO children VALUES (1, 1, 1), (2, 1, 2), (3, 1, NULL)
        """,
        database,
    )
    [reference] = profiled(scratch, database).references
    assert (reference.declared, reference.name) == (True, "its parent's")
    # A NULL in any part makes no reference.
    assert (reference.rows, reference.orphans) == (2, 1)


@pytest.mark.parametrize("key", ["id BIGINT PRIMARY KEY", "id BIGINT", "id BIGINT UNSIGNED PRIMARY KEY"])
def test_a_large_table_is_sampled_and_says_so(scratch: Any, key: str) -> None:
    database = scratch.database()
    scratch.execute(f"CREATE TABLE big (`%` INT, {key}, t VARCHAR(10))", database)
    scratch.execute(
        "INSERT INTO big SELECT n % 10, n, n FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000)"
        " SELECT n + 1000 * m AS n FROM s, (SELECT 0 AS m UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) x) y",
        database,
    )
    if "UNSIGNED" in key:
        # One lonely high value must not leave the sample nearly empty.
        scratch.execute("INSERT INTO big VALUES (1, 18446744073709551615, 'x')", database)
    scratch.execute("ANALYZE TABLE big", database)
    result = profiled(scratch, database, sample_above=1000, sample_rows=500)
    table = result.table[database, "big"]
    assert table.sampled
    assert 250 <= table.rows_read <= 1000
    assert table.rows > 4000
    assert table.columns["t"].sampled
    assert table.columns["t"].rows == table.rows_read
    assert table.columns["%"].distinct == 10
    assert "of a sample" in result._repr_html_().replace("sample of", "")
    low, high = table.columns["id"].quantiles["p05"], table.columns["id"].quantiles["p95"]
    assert low < 1500 < 3500 < high


def test_an_empty_table_and_an_empty_database_are_profiled(scratch: Any) -> None:
    database = scratch.database()
    assert profiled(scratch, database).tables == ()
    scratch.execute("CREATE TABLE `empty` (a INT, b TEXT, c DATE, d POINT)", database)
    result = profiled(scratch, database)
    [table] = result.tables
    assert (table.rows, table.columns["a"].nulls, table.columns["c"].zero_dates, table.candidate_keys) == (0, 0, 0, ())
    for plot in PLOTS:
        assert plot(result).to_json()
    assert result._repr_html_()


def test_a_table_that_cannot_be_read_is_named_and_the_verdict_is_not_ok(scratch: Any) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE fine (a INT)", database)
    scratch.execute("CREATE TABLE gone (a INT)", database)
    catalog = read_catalog(scratch.source, [database])
    scratch.execute("DROP TABLE gone", database)
    result = profile_tables(scratch.source, catalog, params.Profile())
    assert result.verdict == "incomparable"
    assert [(table.name, bool(table.problem)) for table in result.tables] == [("fine", False), ("gone", True)]
    assert "Could not be read" in result._repr_html_()


def test_a_table_takes_few_statements_however_many_columns_it_has(scratch: Any) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE wide (" + ", ".join(f"c{n} VARCHAR(5)" for n in range(300)) + ")", database)
    scratch.execute("CREATE TABLE narrow (id INT PRIMARY KEY, a VARCHAR(20))", database)
    scratch.execute("INSERT INTO narrow VALUES (1, 'x')", database)
    scratch.source.statements.clear()
    catalog = read_catalog(scratch.source, [database])
    before = len(scratch.source.statements)
    profile_tables(scratch.source, catalog, params.Profile())
    sent = [statement.sql for statement in list(scratch.source.statements)[before:]]
    assert sum("`narrow`" in sql for sql in sent) == 2
    assert sum("`wide`" in sql for sql in sent) == 13


def test_a_name_rule_is_never_reached_past_a_table_of_another_database() -> None:
    from workbook.profile.keys import references_of

    def table(database: str, name: str, *columns: Column) -> Table:
        key = Index("PRIMARY", True, "BTREE", True, (IndexPart(columns[0].name, None, None, False),), "")
        return Table(database, name, "InnoDB", "", 0, 0, 0, None, "", "", "", columns, (key,), (), (), ())

    other = table("other", "customers", column("id", "int"))
    orders = table("shop", "orders", column("id", "int"), column("customer_id", "int"))
    assert references_of(orders, {"other": {"customer": [other]}}) == []
    assert len(references_of(orders, {"shop": {"customer": [other]}})) == 1
