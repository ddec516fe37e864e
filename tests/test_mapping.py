"""The mapping: a file that people edit, cleaning that zetasql and the emulator agree on, gaps that are named."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from ruamel.yaml import YAML

from googlesql import analyzer, evaluated
from workbook.catalog import Catalog, read_catalog
from workbook.errors import UsageError
from workbook.mapping import GapReport, Mapping, TableMap, cleaning, gaps, generate, load_mapping, merge
from workbook.mapping.objects import ColumnMap, Dedupe, Orphans, Reject
from workbook.mapping.types import RULES
from workbook.params import CHECKOUT, Settings
from workbook.sandbox import shop
from workbook.sandbox.shop.statements import split_statements
from workbook.warehouse import statements
from workbook.warehouse.trial import samples_select

NBSP = "\u00a0"
SHOP_YAML = CHECKOUT / "params" / "mapping" / "shop.yaml"
HOSTILE = """
CREATE TABLE `plain` (id INT PRIMARY KEY, name VARCHAR(20), at DATETIME, flag TINYINT(1), born DATE, doc JSON);
CREATE TABLE `it's "a" ``tick``` (`a.b` INT, `{brace}: x` VARCHAR(5), `- dash` INT, `# hash` INT, PRIMARY KEY (`a.b`));
CREATE TABLE `größe 尺寸` (`größe` INT PRIMARY KEY, `尺寸` INT, `grö\nße` INT, `null` INT, `1e3` INT, `true` INT);
CREATE TABLE `order` (`select` INT PRIMARY KEY, `from` DATE, `Select2` INT);
CREATE TABLE `123` (`1` INT PRIMARY KEY, `_partition_x` INT, `2020-01-01` INT);
"""


@pytest.fixture
def read(scratch: Any) -> Callable[[str], Catalog]:
    """Makes a scratch database of a script and reads its catalog."""

    def make(script: str) -> Catalog:
        database = scratch.database()
        scratch.script(script, database)
        return read_catalog(scratch.source, [database])

    return make


@pytest.fixture
def shop_tables(scratch: Any) -> Catalog:
    """The catalog of the sample shop's tables, without rows."""
    database = scratch.database()
    segments = ("customers", "catalog", "payments", "orders", "telemetry", "types")
    connection_script = [
        statement
        for name in (*(f"tables_{segment}" for segment in segments), "payments_keys")
        for statement in split_statements(
            files("workbook.sandbox.shop").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
        )
    ]
    scratch.script("\n;;\n".join(connection_script) + "\n;;\n", database)
    return read_catalog(scratch.source, [database])


def shop_mapping(catalog: Catalog, folder: Path, emulated: bool) -> Mapping:
    """params/mapping/shop.yaml for the database that `catalog` was read from."""
    database = catalog.databases[0].name
    path = folder / "shop.yaml"
    path.write_text(SHOP_YAML.read_text().replace("      shop:\n", f"      {database}:\n"))
    return load_mapping(path, catalog, emulated)


# --- GoogleSQL, judged by Google's own analyzer and evaluator ---------------------------------------------------------


def text_table(*rows: tuple[str | None, ...], names: tuple[str, ...]) -> str:
    """A parenthesized SELECT of text rows, to stand for a raw table."""
    selects = []
    for row in rows:
        cells = (
            f"CAST({'NULL' if value is None else cleaning.google_string(value)} AS STRING) AS `{name}`"
            for name, value in zip(names, row, strict=True)
        )
        selects.append(f"SELECT {', '.join(cells)}")
    return f"({' UNION ALL '.join(selects)})"


def text_column(name: str, *clean: Any) -> ColumnMap:
    return ColumnMap(name, name, "text", tuple(clean))


CLEANING_CASES: list[tuple[tuple[Any, ...], str | None, str | None]] = [
    (("trim",), f" \t\r\n{NBSP}a  b{NBSP}\f\v ", "a  b"),
    (("trim",), "\\N 'x' \" `", "\\N 'x' \" `"),
    (("trim",), "", ""),
    (("trim",), None, None),
    (("collapse_spaces",), f"a \t{NBSP}b\n\nc", "a b c"),
    (("lower",), "MÜLLER@Example.COM", "müller@example.com"),
    (("upper",), "grösste é", "GRÖSSTE É"),
    (("null_tokens",), "N/A", None),
    (("null_tokens",), " N/A", " N/A"),
    (("trim", "null_tokens"), " N/A ", None),
    (("trim", "null_tokens"), "  ", None),
    (({"null_tokens": ("it's", "back\\slash", "\n")},), "it's", None),
    (({"null_tokens": ("it's", "back\\slash", "\n")},), "back\\slash", None),
    (({"null_tokens": ("it's", "back\\slash", "\n")},), "\n", None),
    (({"null_tokens": ("it's",)},), "its", "its"),
    (("upper", {"map": {"DEUTSCHLAND": "DE", "?": None}}), "Deutschland", "DE"),
    (({"map": {"DEUTSCHLAND": "DE", "?": None}},), "?", None),
    (({"map": {"DEUTSCHLAND": "DE", "?": None}},), "else", "else"),
    (("lower", "trim"), " 😀 <B>", "😀 <b>"),
    (("title",), "ada de LOVELACE", "Ada De Lovelace"),
    (("nfc",), "Zoe\u0308", "Zoë"),
    (("trim", "email"), " Ada.L@Example.COM ", "Ada.L@example.com"),
    (("email",), "zoë@müller.de", "zoë@müller.de"),
    (("email",), "ada@localhost", None),
    (("email",), "a..b@c.com", None),
    (("email",), "two@at@c.com", None),
    (({"email": {"else": "keep"}},), "nobody", "nobody"),
    (({"phone": {"country": "DE"}},), "089 / 12 34 56", "+4989123456"),
    (("trim", {"phone": {"country": "DE"}}), " +49 (0)89 123456", "+4989123456"),
    (({"phone": {"country": "DE"}},), "0049-89-123456", "+4989123456"),
    (({"phone": {"country": "DE"}},), "+44 20 7946 0958", "+442079460958"),
    (({"phone": {"country": "US"}},), "(212) 555-0123", "+12125550123"),
    (({"phone": {"country": "IT"}},), "06 1234 5678", "+390612345678"),
    (({"phone": {"country": "DE"}},), "12", None),
    (({"phone": {"country": "DE"}},), "+999 1234567", None),
    (({"phone": {"country": "DE"}},), "ask the porter", None),
    (("country",), "Germany", "DE"),
    (("country",), "deu", "DE"),
    (("country",), "Côte d'Ivoire", "CI"),
    (("country",), "UK", "GB"),
    (({"map": {"Deutschland": "DE"}}, "country"), "Deutschland", "DE"),
    (("country",), "Atlantis", None),
    (({"redact": {"keep": 2}},), "Müller", "Mü****"),
    (("redact",), "Ada", "***"),
]
TYPED_CASES: list[tuple[Any, str | None, str | None]] = [
    ({"date": {"formats": ["%d.%m.%Y", "%Y-%m-%d"]}}, "31.12.2020", "2020-12-31"),
    ({"date": {"formats": ["%d.%m.%Y", "%Y-%m-%d"]}}, "2020-02-29", "2020-02-29"),
    ({"date": {"formats": ["%d.%m.%Y", "%Y-%m-%d"]}}, "31.02.2020", None),
    ("date", "2020-1-5", "2020-01-05"),
    ({"number": {"decimal": ",", "group": "."}}, "1.234.567,50 €", "1234567.5"),
    ({"number": {"decimal": ",", "group": "."}}, "-0,5", "-0.5"),
    ({"number": {"decimal": ",", "group": "."}}, "1.23", None),
    ("number", "$1,234", "1234"),
    ("number", "0,5", None),
    ("number", "twelve", None),
]


def all_cases() -> str:
    """One query over all cases, in their order, all values as text."""
    parts = []
    typed = [((rule,), value, expected) for rule, value, expected in TYPED_CASES]
    for number, (clean, value, _) in enumerate([*CLEANING_CASES, *typed]):
        rules = tuple(cleaning.checked(rule, "here") for rule in clean)
        sql = cleaning.clean_select(
            TableMap("d", "t", "s", "t", (text_column("v", *rules),)), text_table((value,), names=("v",))
        )
        parts.append(f"SELECT {number} AS n, CAST(v AS STRING) AS v FROM ({sql})")
    return " UNION ALL ".join(parts)


def assert_argued(rows: list[tuple[Any, ...]]) -> None:
    expected = [(one[1], one[2]) for one in [*CLEANING_CASES, *TYPED_CASES]]
    found = dict(rows)
    for number, (value, wanted) in enumerate(expected):
        got = found[number]
        if wanted is not None and got is not None and number >= len(CLEANING_CASES) and "." in got:
            # The emulator keeps the zeros of a NUMERIC.
            got = got.rstrip("0").rstrip(".")
        assert got == wanted, (number, value)


def test_every_cleaning_rule_gives_the_argued_value_in_zetasql() -> None:
    assert_argued(evaluated(all_cases()))


def test_every_cleaning_rule_gives_the_same_value_in_the_emulator(scratch: Any) -> None:
    assert_argued(scratch.google(all_cases()))


def test_the_normal_forms_are_those_of_the_libraries_that_know_them() -> None:
    for clean, value, expected in CLEANING_CASES:
        rule = clean[-1]
        if rule == "email":
            try:
                judged = validate_email(
                    str(value).strip(), check_deliverability=False, test_environment=True
                ).normalized
            except EmailNotValidError:
                judged = None
            assert judged == expected, value
        elif isinstance(rule, dict) and "phone" in rule and expected:
            number = phonenumbers.parse(str(value), rule["phone"]["country"])
            assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == expected


SHEET = text_table(
    ("1", "ada@x.com", "1.5"),
    ("2", "nobody", "2"),
    ("3", "NOBODY", "x"),
    ("4", None, None),
    ("5", "ada@X.com", "3"),
    names=("k", "email", "score"),
)


def test_what_cannot_be_mended_is_set_aside_with_its_value_and_no_row_is_unaccounted_for() -> None:
    rules = [cleaning.checked({name: {"else": "reject"}}, "here") for name in ("email", "number")]
    columns = (text_column("k"), text_column("email", rules[0]), text_column("score", rules[1]))
    table = TableMap("d", "t", "s", "t", columns, dedupe=Dedupe(("email",), "first", ("k",)))
    clean = evaluated(f"SELECT k, email FROM ({cleaning.clean_select(table, SHEET)}) ORDER BY k")
    assert clean == [("1", "ada@x.com"), ("4", None)]
    select = cleaning.rejected_select(table, SHEET)
    aside = evaluated(f"SELECT _rejected_by, _rejected_value, k FROM ({select}) ORDER BY k")
    assert aside == [("email: email", "nobody", "2"), ("email: email", "NOBODY", "3"), ("dedupe", None, "5")]
    assert cleaning.rejected_columns(table) == ("_rejected_by", "_rejected_value", "k", "email", "score")
    kept = TableMap(
        "d",
        "t",
        "s",
        "t",
        (text_column("k"), text_column("email", cleaning.checked({"email": {"else": "keep"}}, "here"))),
    )
    made = cleaning.counts_select(kept, SHEET)
    assert made is not None
    assert [(count.what, number) for count, number in zip(made[1], evaluated(made[0])[0], strict=True)] == [
        ("changed", 1), ("kept as it was", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        {"phone": {}},
        {"phone": {"country": "Germany"}},
        {"date": {"else": "keep"}},
        {"email": {"other": 1}},
        {"number": ["x"]},
    ],
)
def test_options_of_a_rule_that_would_clean_something_else_are_refused(rule: Any) -> None:
    with pytest.raises(UsageError, match=f"the cleaning rule {next(iter(rule))} takes"):
        cleaning.checked(rule, "here")


def test_json_text_becomes_json_and_what_is_none_becomes_null() -> None:
    table = TableMap("d", "t", "s", "t", (text_column("k"), ColumnMap("v", "v", "json-text", ("json",))))
    assert cleaning.clean_type(table.columns[1]) == "JSON"
    raw = text_table(("1", '{"b": 1.0, "a": 12345678901234567890123}'), ("2", "{broken"), ("3", None), names=("k", "v"))
    sql = cleaning.clean_select(table, raw)
    rows = evaluated(f"SELECT k, TO_JSON_STRING(v), v IS NULL FROM ({sql}) ORDER BY k")
    assert [(key, null) for key, _, null in rows] == [("1", False), ("2", True), ("3", True)]
    made = cleaning.counts_select(table, raw)
    assert made is not None
    assert evaluated(made[0]) == [(1,)]
    assert made[1][0].what == "became NULL"


READERS = text_table(
    ("1", " A@x.example", "old"),
    ("2", "a@X.example ", "new"),
    ("3", "N/A", "none"),
    ("4", None, "none"),
    ("5", "b@x.example", "spam"),
    ("6", "B@x.example", "fine"),
    ("7", "c@x.example", "alone"),
    names=("k", "email", "note"),
)


def readers(keep: str = "first", order_by: tuple[str, ...] = ("k",)) -> TableMap:
    return TableMap(
        "d",
        "readers",
        "s",
        "readers",
        (text_column("k"), text_column("email", "trim", "lower", "null_tokens"), text_column("note")),
        dedupe=Dedupe(("email",), keep, order_by),
        reject=(Reject("spam", "note = 'spam' -- a comment at the end"), Reject("second", "note IN ('spam', 'x')")),
    )


def test_duplicates_count_after_cleaning_null_is_no_duplicate_and_rejected_rows_are_no_rivals() -> None:
    table = readers()
    rows = evaluated(f"{cleaning.clean_select(table, READERS)} ORDER BY k")
    assert rows == [
        ("1", "a@x.example", "old"),
        ("3", None, "none"),
        ("4", None, "none"),
        ("6", "b@x.example", "fine"),
        ("7", "c@x.example", "alone"),
    ]
    rejected = cleaning.rejected_select(table, READERS)
    assert rejected is not None
    assert sorted(evaluated(rejected)) == [("dedupe", "2", "a@x.example", "new"), ("spam", "5", "b@x.example", "spam")]


def test_the_last_of_duplicates_can_be_kept_and_a_tie_is_decided_by_the_other_columns() -> None:
    last = evaluated(cleaning.clean_select(readers("last"), READERS))
    assert ("2", "a@x.example", "new") in last
    tie = evaluated(cleaning.clean_select(readers("first", ()), READERS))
    assert ("1", "a@x.example", "old") in tie


def test_dedupe_and_reject_are_the_same_in_the_emulator(scratch: Any) -> None:
    table = readers()
    for select in (cleaning.clean_select(table, READERS), cleaning.rejected_select(table, READERS)):
        assert sorted(scratch.google(str(select)), key=str) == sorted(evaluated(str(select)), key=str)


def test_what_each_rule_changes_is_counted_one_rule_after_the_other() -> None:
    made = cleaning.counts_select(readers(), READERS)
    assert made is not None
    sql, counts = made
    assert [count.rule for count in counts] == ["trim", "lower", "null_tokens"]
    assert evaluated(sql) == [(2, 4, 1)]


def test_a_column_named_like_ours_gets_out_of_the_way() -> None:
    table = replace(readers(), columns=(*readers().columns, text_column("_rejected_by")))
    assert cleaning.rejected_column(table) == "__rejected_by"


BUYERS = (("1", "a@x"), ("2", "A@x"), ("3", "bad"), ("4", "d@x"), (" 5 ", None), (None, "e@x"))
CITIES = (("DE", "Ulm"), ("FR", "Lyon"), ("FR", None))
SALES = (  # id, buyer, country, city, boss
    ("1", "1", "de", "Ulm", None), ("2", "2", "DE", "Lyon", "1"), ("3", "3", None, "Lyon", "1"), ("4", "9", "FR", "Lyon", "77"),
    ("5", None, "FR", None, "spam"), ("6", "5", "XX", "Ulm", "6"), ("spam", "4", "FR", "Lyon", "1"), ("8", "4", " fr", "Lyon", "4"),
    ("9", "8", "DE", "Ulm", "1"), ("10", "4", "DE", "Ulm", "9"),
)  # fmt: skip
FAMILY = {
    "buyers": text_table(*BUYERS, names=("id", "email")),
    "cities": text_table(*CITIES, names=("country", "name")),
    "cleaned": text_table(*SALES, names=("id", "cleaned", "country", "parent1", "boss")),
}


def sales() -> TableMap:
    """Columns and table named like what our own statements name; one of its parents sets rows aside, one is itself."""
    buyers = TableMap(
        "d", "buyers", "s", "buyers", (text_column("id", "trim"), text_column("email", "lower")),
        dedupe=Dedupe(("email",), "first", ("id",)), reject=(Reject("bad", "email = 'bad' -- spam"),),
    )  # fmt: skip
    cities = TableMap("d", "cities", "s", "cities", (text_column("country"), text_column("name")))
    columns = tuple(
        text_column(name, *(("trim", "upper") if name == "country" else ()))
        for name in ("id", "cleaned", "country", "parent1", "boss")
    )
    plain = TableMap("d", "cleaned", "s", "cleaned", columns, reject=(Reject("spam", "id = 'spam'"),))
    return replace(
        plain,
        dedupe=Dedupe(("country", "parent1"), "first", ("id",)),
        orphans=(
            Orphans(("cleaned",), buyers, ("id",), "reject"),
            Orphans(("country", "parent1"), cities, ("country", "name"), "null"),
            Orphans(("boss",), plain, ("id",), "null"),
        ),
    )


def family() -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[int]]:
    """What the rules of `sales` make of SALES, worked out without SQL: clean rows, rejected ones, values that become NULL."""
    emails: set[str] = set()
    buyers: set[str] = set()
    for key, email in sorted((key.strip(), email) for key, email in BUYERS if key is not None):
        low = email and email.lower()
        if low != "bad" and low not in emails:
            buyers.add(key)
            emails |= {low} if low else set()
    cities = {city for city in CITIES if None not in city}
    known = {key for key, *_ in SALES if key != "spam"}
    clean: list[tuple[Any, ...]] = []
    rejected: list[tuple[Any, ...]] = []
    nulled, taken = [0, 0], set()
    for key, buyer, country, city, boss in sorted(SALES):
        country = country and country.strip().upper()
        if country and city and (country, city) not in cities:
            country, city, nulled[0] = None, None, nulled[0] + 1
        if boss is not None and boss not in known:
            boss, nulled[1] = None, nulled[1] + 1
        row = key, buyer, country, city, boss
        if key == "spam":
            rejected.append(("spam", *row))
        elif buyer is not None and buyer not in buyers:
            rejected.append(("orphan: cleaned not in buyers", *row))
        elif country and city and (country, city) in taken:
            rejected.append(("dedupe", *row))
        else:
            clean.append(row)
            taken.add((country, city))
    return clean, rejected, [nulled[0], nulled[0], nulled[1]]


def test_orphans_are_rows_whose_values_no_row_of_the_parent_has_that_its_own_rules_keep() -> None:
    table, path = sales(), FAMILY["cleaned"]
    clean, rejected, nulled = family()
    assert len(clean) + len(rejected) == len(SALES)
    assert {row[0] for row in rejected} == {"spam", "orphan: cleaned not in buyers", "dedupe"}
    assert nulled == [2, 2, 2]
    assert sorted(evaluated(cleaning.clean_select(table, path, parent_raw)), key=str) == sorted(clean, key=str)
    select = cleaning.rejected_select(table, path, parent_raw)
    assert sorted(evaluated(str(select)), key=str) == sorted(rejected, key=str)
    made = cleaning.counts_select(table, path, parent_raw)
    assert made is not None
    assert [(count.column, count.rule, count.what) for count in made[1]] == [
        ("country", "trim", "changed"),
        ("country", "upper", "changed"),
        ("country", "orphan: country, parent1 not in cities", "became NULL"),
        ("parent1", "orphan: country, parent1 not in cities", "became NULL"),
        ("boss", "orphan: boss not in cleaned", "became NULL"),
    ]
    assert evaluated(made[0]) == [(1, 2, *nulled)]
    # Without a rule that sets rows aside, or one of a column.
    bare = replace(table, reject=(), dedupe=None, orphans=table.orphans[2:])
    bare = replace(bare, columns=tuple(replace(column, clean=()) for column in bare.columns))
    assert not cleaning.sets_aside(bare)
    assert cleaning.rejected_select(bare, path, parent_raw) is None
    bosses = {row[0]: row[4] for row in evaluated(cleaning.clean_select(bare, path, parent_raw))}
    assert bosses == {row[0]: None if row[4] in ("77", "spam") else row[4] for row in SALES}
    made = cleaning.counts_select(bare, path, parent_raw)
    assert made is not None
    assert evaluated(made[0]) == [(2,)]


def parent_raw(parent: TableMap) -> str:
    return FAMILY[parent.warehouse_name]


def test_orphan_rules_are_the_same_in_the_emulator(scratch: Any) -> None:
    table, path = sales(), FAMILY["cleaned"]
    counts = cleaning.counts_select(table, path, parent_raw)
    assert counts is not None
    for select in (
        cleaning.clean_select(table, path, parent_raw),
        str(cleaning.rejected_select(table, path, parent_raw)),
        counts[0],
    ):
        assert sorted(scratch.google(select), key=str) == sorted(evaluated(select), key=str)


def test_every_statement_of_the_shops_mapping_is_valid_googlesql(shop_tables: Catalog, tmp_path: Path) -> None:
    assert every_statement_analyzed(shop_tables, shop_mapping(shop_tables, tmp_path, emulated=False)) > 100


def test_every_statement_of_a_generated_mapping_of_hostile_names_is_valid_googlesql(
    read: Callable[[str], Catalog],
) -> None:
    catalog = read(HOSTILE)
    for emulated in (False, True):
        mapping = generate(catalog, None, emulated)
        tables = {
            path: replace(
                table,
                dedupe=Dedupe((table.columns[0].name,)),
                reject=(Reject("it's `bad`\n", "TRUE"),),
                partition_by=next((c.name for c in table.columns if c.rule in ("date", "datetime")), None),
                columns=tuple(
                    replace(c, clean=("trim", "null_tokens", {"map": {"a'": 'b"\n`'}})) if c.rule == "text" else c
                    for c in table.columns
                ),
            )
            for path, table in mapping.tables.items()
        }
        # Each table is its own parent, by two columns where they can be compared, and the next one's.
        for path, table in tables.items():
            keys = tuple(column.name for column in table.columns if cleaning.groupable(column))[:2]
            other = next(one for one in tables.values() if one.name != table.name and one.columns[0].rule == "integer")
            rules = [Orphans(keys, replace(table, orphans=()), keys, "null")]
            rules += [Orphans(keys[:1], replace(other, orphans=()), (other.columns[0].name,), "reject")]
            tables[path] = replace(table, orphans=tuple(rules))
        assert every_statement_analyzed(catalog, replace(mapping, tables=tables)) > 15


def every_statement_analyzed(catalog: Catalog, mapping: Mapping) -> int:
    """Analyze all that the warehouse would run for `mapping`; the number of statements."""
    settings = Settings.model_validate(
        {
            "environment": "x",
            "source": {"url": "mysql://a@h", "databases": ["d"]},
            "target": {"url": "mysql://b@h"},
            "warehouse": {"project": "local-project", "dataset": "shop"},
        }
    )
    number = 0
    for mapped in mapping.in_scope:
        table = catalog.table[mapped.path]
        place = statements.place_of(mapped, "local-project", settings.warehouse)
        clean = [(column.warehouse_name, cleaning.clean_type(column)) for column in mapped.columns]
        # A catalog of these tables alone: the analyzer reads all of its catalog anew for each statement.
        parents = [rule.parent for rule in mapped.orphans]
        judge = analyzer(
            {
                f"{place.raw_dataset}.{one.warehouse_name}": [
                    (field.name, field.field_type) for field in statements.raw_schema(one, catalog.table[one.path])
                ]
                for one in parents
            }
            | {
                place.raw: [(field.name, field.field_type) for field in statements.raw_schema(mapped, table)],
                place.clean: clean,
                place.rejected: [(cleaning.rejected_column(mapped), "STRING"), *clean],
            }
        )
        made = [statements.create_clean(place, table)]
        rejected = statements.create_rejected(place, table)
        made += [rejected, statements.count_rejected(place)] if rejected else []
        counts = cleaning.counts_select(mapped, place.quoted(place.raw), place.raw_path)
        made += [counts[0]] if counts else []
        samples = samples_select(mapped, place.quoted(place.raw))
        made += [samples] if samples else []
        made.append(f"SELECT {', '.join(_canonical(mapped))} FROM {place.quoted(place.raw)}")
        if number == 0:
            made += [statements.drop_table(place, name) for name in place.wanted]
            made.append(statements.drop_dataset("local-project", "shop_raw"))
        for sql in made:
            number += 1
            try:
                judge.analyze_statement(sql)
            except Exception as error:
                raise AssertionError(f"{error}\n{sql}") from error
    return number


def _canonical(mapped: TableMap) -> Iterator[str]:
    rules = {rule.name: rule for rule in RULES}
    for column in mapped.columns:
        quoted = statements.quote_bigquery(column.warehouse_name)
        yield rules[column.rule].google.replace("{c}", quoted)


# --- the file -----------------------------------------------------------------------------------------------------------


def test_a_generated_mapping_is_the_same_after_its_way_through_the_file(
    read: Callable[[str], Catalog], tmp_path: Path
) -> None:
    catalog = read(HOSTILE)
    text = merge(None, catalog, None, True)
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    loaded, made = load_mapping(path, catalog, True), generate(catalog, None, True)
    assert (loaded.segments, loaded.tables) == (made.segments, made.tables)
    assert (loaded.unlisted, loaded.vanished) == ((), ())
    assert merge(path, catalog, None, True) == text
    names = [column.warehouse_name for table in loaded.tables.values() for column in table.columns]
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in names)


def test_the_shops_mapping_names_every_table_of_the_shop_in_its_segment(shop_tables: Catalog, tmp_path: Path) -> None:
    mapping = shop_mapping(shop_tables, tmp_path, True)
    found = {segment.name: [name for _, name in segment.tables] for segment in mapping.segments}
    there = {table.name for table in shop_tables.tables}
    assert found == {name: [table for table in tables if table in there] for name, tables in shop.SEGMENTS.items()}
    assert mapping.unlisted == ()
    assert [path[1:] for path in mapping.vanished] in ([], [("type_vectors",)])
    assert {segment.scope for segment in mapping.segments} == {"in"}


EDITED = """# mine
version: 1   # keep
segments:
  all:
    priority: 3
    requires:
      losses: none   # sign first
    tables:
      {database}:
        plain:    # the plain one
          warehouse: {{name: simple}}
          columns:
            name: {{clean: [trim]}}  # dirty
          orphans:
            - {{columns: [id], parent: plain, policy: null}}  # itself
          by_default: [id, at, flag, born, doc]
"""


def test_merging_adds_new_tables_and_columns_with_the_day_and_keeps_every_edit_and_comment(
    read: Callable[[str], Catalog], scratch: Any
) -> None:
    catalog = read(HOSTILE.split(";\n")[0] + ";\n")
    database = catalog.databases[0].name
    text = EDITED.format(database=database)
    assert merge(text, catalog, None, True) == text
    scratch.execute("ALTER TABLE plain ADD COLUMN `new``col` INT, DROP COLUMN flag", database)
    scratch.execute("CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES plain (id))", database)
    scratch.execute('CREATE TABLE `a: "lone" #one` (id INT PRIMARY KEY)', database)
    scratch.execute("CREATE TABLE bare (v INT, w INT)", database)
    catalog = read_catalog(scratch.source, [database])
    merged = merge(text, catalog, None, True)
    kept = [line for line in text.splitlines() if line not in merged.splitlines()]
    assert kept == []
    added = f"# added {datetime.now(UTC):%Y-%m-%d}"
    assert re.search(rf"new`col.*{added}", merged)
    assert re.search(rf"child:\s*{added}", merged)
    # One that there is something to say of, too.
    assert re.search(rf"bare:\s*{added}\n *# to consider", merged), merged
    content = YAML(typ="safe").load(merged)
    tables = content["segments"]["all"]["tables"][database]
    assert "child" in tables, "a table goes to the segment that its foreign key points at"
    assert 'a: "lone" #one' in {
        name for segment in content["segments"].values() for name in segment["tables"][database]
    }
    again = merge(merged, catalog, None, True)
    assert again == merged
    report = gaps(_loaded(merged, catalog), catalog, None)
    assert [(gap.table, gap.column) for gap in report.gaps if gap.kind == "vanished"] == [(f"{database}.plain", "flag")]
    (rule,) = _loaded(merged, catalog).tables[database, "plain"].orphans
    assert (rule.columns, rule.parent.name, rule.parent_columns, rule.policy) == (("id",), "plain", ("id",), "null")


def _loaded(text: str, catalog: Catalog) -> Mapping:
    from workbook.mapping.file import mapping_from
    from workbook.mapping.nodes import parse

    return mapping_from(parse(text, "test"), "test", catalog, True)


ORPHANS = (
    "version: 1\nsegments:\n  a:\n    tables: {{DB: {{plain: {{orphans: [{}]}}, order: {{}}, keyless: {{}}}}}}\n"
    "  b: {{scope: later, tables: {{DB: {{gone: {{}}}}}}}}\n"
)
BROKEN = [
    ("segments:\n  a: {priority: 1}\n", 1, "version is None"),
    ("version: 2\nsegments: {}\n", 1, "version is 2"),
    ("version: 1\nsegment: {}\n", 2, "did you mean segments"),
    ("version: 1\nsegments:\n  a:\n    scop: in\n", 4, "did you mean scope"),
    ("version: 1\nsegments:\n  a:\n    scope: maybe\n", 4, "in, later, out"),
    ("version: 1\nsegments:\n  a:\n    priority: high\n", 4, "a number"),
    ("version: 1\nsegments:\n  a:\n    requires: {hops: [source-targt]}\n", 4, "did you mean source-target"),
    ("version: 1\nsegments:\n  a:\n    requires: {losses: [dates]}\n", 4, "did you mean date"),
    ("version: 1\nsegments:\n  a:\n    requires: {similarity: 2}\n", 4, "from 0 to 1"),
    ("version: 1\nsegments:\n  a:\n    tables: [plain]\n", 4, "keys with values"),
    ("version: 1\nsegments:\n  a:\n    tables:\n      DB:\n        123: {}\n", 6, "quotes"),
    (
        "version: 1\nsegments:\n  a:\n    tables:\n      DB:\n        plain: {wherehouse: {}}\n",
        6,
        "did you mean warehouse",
    ),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {}}}}\n  b:\n    tables: {DB: {plain: {}}}\n", 5, "twice"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {columns: {name: {rule: tex}}}}}}\n", 3, "tex"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {columns: {name: {rule: bool}}}}}}\n", 3, "bool"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {columns: {name: {clean: [trimm]}}}}}}\n", 3, "trimm"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {columns: {name: {clean: [{map: [a]}]}}}}}}\n", 3, "pairs"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {columns: {id: {clean: [trim]}}}}}}\n", 3, "INT64"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {columns: {doc: {clean: [json, trim]}}}}}}\n", 3, "JSON"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {columns: {name: {name: a b}}}}}}\n", 3, "a_b"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {columns: {name: {name: ID}}}}}}\n", 3, "same name"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {warehouse: {partition_by: att}}}}}\n", 3, "did you mean at"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {warehouse: {partition_by: name}}}}}\n", 3, "a STRING"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {warehouse: {cluster_by: [id, id]}}}}}\n", 3, "twice"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {dedupe: {keep: first}}}}}\n", 3, "no columns"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {reject: [{where: TRUE}]}}}}\n", 3, "reject"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {reject: [{name: dedupe, where: 'TRUE'}]}}}}\n", 3, "taken"),
    (ORPHANS.format("{columns: [id], parent: plain, policy: drop}"), 4, "'drop'"),
    (ORPHANS.format("{columns: [id], parent: plain}"), 4, "no safe guess"),
    (ORPHANS.format("{column: [id], parent: plain, policy: null}"), 4, "did you mean columns"),
    (ORPHANS.format("plain"), 4, "columns: [customer_id]"),
    (ORPHANS.format("{columns: id, parent: plain, policy: null}"), 4, "list of column names"),
    (ORPHANS.format("{columns: [idd], parent: plain, policy: null}"), 4, "did you mean id"),
    (ORPHANS.format("{columns: [id], parent: plane, policy: null}"), 4, "did you mean plain"),
    (ORPHANS.format("{columns: [id], parent: gone, policy: null}"), 4, "in scope"),
    (ORPHANS.format("{columns: [id], parent: DB.order, parent_columns: [form], policy: null}"), 4, "did you mean from"),
    (ORPHANS.format("{columns: [id], parent: order, parent_columns: [from], policy: null}"), 4, "a DATE"),
    (ORPHANS.format("{columns: [name], parent: plain, policy: null}"), 4, "a STRING"),
    (ORPHANS.format("{columns: [id, flag], parent: plain, policy: null}"), 4, "2 columns against 1"),
    (ORPHANS.format("{columns: [id], parent: keyless, policy: null}"), 4, "has no key"),
    (
        ORPHANS.format("{columns: [id], parent: plain, policy: null}, {columns: [id], parent: plain, policy: reject}"),
        4,
        "twice",
    ),
    ("version: 1\ntarget: {to_utf8: [utf8mb3]}\nsegments: {}\n", 2, "did you mean to_utf8mb4"),
    ("version: 1\ntarget:\n  to_utf8mb4: [gbk]\nsegments: {}\n", 3, "ascii, latin1, utf8mb3"),
    ("version: 1\ntarget:\n  collations: {latin1_bin: latin1_bin}\nsegments: {}\n", 3, "one of utf8mb4"),
    ("version: 1\nsegments:\n  a: {tables: {DB: {plain: {target: {keyless: drop}}}}}\n", 3, "keep, invisible-key"),
    ("version: 1\nsegments:\n  a: {b: [}\n", 3, "not YAML"),
    ("version: 1\nversion: 1\nsegments: {}\n", 2, "not YAML"),
    ("just text\n", 0, "no keys"),
]


def test_a_malformed_mapping_is_refused_with_its_line_and_the_nearest_key(
    read: Callable[[str], Catalog], tmp_path: Path
) -> None:
    catalog = read(HOSTILE + "CREATE TABLE keyless (x INT);\nCREATE TABLE gone (id INT PRIMARY KEY);\n")
    database = catalog.databases[0].name
    for text, line, said in BROKEN:
        path = tmp_path / "broken.yaml"
        path.write_text(text.replace("DB", database))
        with pytest.raises(UsageError) as caught:
            load_mapping(path, catalog, True)
        message = str(caught.value)
        assert said in message, (text, message)
        assert line == 0 or f"line {line}" in message, (text, message)
        assert caught.value.exit_status == 2


def test_orphan_rules_name_tables_of_other_databases_and_follow_new_names_to_the_target(
    scratch: Any, tmp_path: Path
) -> None:
    one, other = scratch.database(), scratch.database(f"dotted.{scratch.database()}")
    scratch.script("CREATE TABLE child (id INT PRIMARY KEY, a INT, b BIGINT UNSIGNED);\n", one)
    scratch.script("CREATE TABLE `par.ent` (y INT, x INT, PRIMARY KEY (x, y));\n", other)
    catalog = read_catalog(scratch.source, [one, other])
    path = tmp_path / "mapping.yaml"
    path.write_text(f"""
version: 1
segments:
  first:
    tables:
      {one}:
        child:
          orphans: {{columns: [b, a], parent: {other}.par.ent, policy: reject}}  # of the second segment
          columns: {{a: {{target: new_a}}}}
  second:
    tables:
      {other}:
        par.ent: {{target: {{name: parents}}, columns: {{x: {{target: new_x}}}}}}
  third: {{scope: later, tables: {{}}}}
""")
    mapping = load_mapping(path, catalog, True)
    (rule,) = mapping.tables[one, "child"].orphans
    assert (rule.columns, rule.parent.path, rule.parent_columns) == (("b", "a"), (other, "par.ent"), ("x", "y"))
    (moved,) = mapping.on_target().tables[one, "child"].orphans
    assert (moved.columns, moved.parent.path) == (("b", "new_a"), (other, "parents"))
    assert moved.parent_columns == ("new_x", "y")
    assert mapping.asdict()["segments"][0]["tables"][0]["orphans"] == [
        {"columns": ["b", "a"], "parent": f"{other}.par.ent", "parent_columns": ["x", "y"], "policy": "reject"}
    ]
    assert "orphan: b, a not in" in mapping._repr_html_()


def test_what_is_chosen_for_the_target_holds_for_all_tables_unless_one_says_otherwise(
    read: Callable[[str], Catalog],
) -> None:
    catalog = read(HOSTILE)
    database = catalog.databases[0].name
    mapping = _loaded(
        "version: 1\ntarget: {to_utf8mb4: [utf8mb3], collations: {utf8mb3_bin: utf8mb4_0900_bin}}\nsegments:\n  a:\n"
        f"    tables:\n      {database}:\n        plain: {{target: {{to_utf8mb4: []}}}}\n"
        "        order: {target: {keyless: invisible-key}}\n",
        catalog,
    )
    plain, order = (mapping.tables[database, name].target for name in ("plain", "order"))
    assert mapping.target.collation("utf8mb3", "utf8mb3_general_ci") == "utf8mb4_general_ci"
    assert mapping.target.collation("utf8", "utf8_bin") == "utf8mb4_0900_bin"
    assert plain.collation("utf8mb3", "utf8mb3_bin") == "utf8mb3_bin"
    assert (order.to_utf8mb4, order.keyless) == (("utf8mb3",), "invisible-key")
    shown = mapping._repr_html_()
    assert "utf8mb3 becomes utf8mb4" in shown
    assert "keyless tables get an invisible primary key" in shown
    assert mapping.asdict()["target"]["to_utf8mb4"] == ["utf8mb3"]


def test_a_keyless_table_is_suggested_an_invisible_key(read: Callable[[str], Catalog]) -> None:
    catalog = read("CREATE TABLE log (line text);\n")
    text = merge(None, catalog, None, True)
    assert "# to consider: target: {keyless: invisible-key}" in text
    assert "Datastream cannot backfill" in text
    assert _loaded(text, catalog).tables == generate(catalog, None, True).tables


def test_a_missing_mapping_file_is_refused_by_name(read: Callable[[str], Catalog], tmp_path: Path) -> None:
    catalog = read(HOSTILE)
    for action in (load_mapping, lambda path, catalog: merge(path, catalog, None, True)):
        with pytest.raises(UsageError, match=r"nowhere\.yaml"):
            action(tmp_path / "nowhere.yaml", catalog)


def test_two_tables_with_one_name_in_the_warehouse_are_refused(read: Callable[[str], Catalog]) -> None:
    catalog = read(HOSTILE)
    database = catalog.databases[0].name
    text = f"version: 1\nsegments:\n  a:\n    tables:\n      {database}:\n        plain: {{warehouse: {{name: Order}}}}\n        order: {{}}\n"
    with pytest.raises(UsageError, match="same name"):
        _loaded(text, catalog)


def test_several_databases_share_a_dataset_by_prefixed_names(scratch: Any) -> None:
    names = [scratch.database() for _ in range(2)]
    for name in names:
        scratch.execute("CREATE TABLE t (id INT PRIMARY KEY)", name)
    mapping = generate(read_catalog(scratch.source, names), None, True)
    assert sorted(table.warehouse_name for table in mapping.in_scope) == sorted(f"{name}__t" for name in names)


# --- the first guess ------------------------------------------------------------------------------------------------------


def test_segments_follow_names_and_foreign_keys_and_what_others_refer_to_moves_first(shop_tables: Catalog) -> None:
    mapping = generate(shop_tables, None, True)
    segment = {path[1]: table.segment for path, table in mapping.tables.items()}
    assert segment["order_items"] == segment["orders"] == segment["order"]
    assert segment["product_photos"] == segment["products"] == segment["categories"]
    assert segment["customer_preferences"] == segment["customers"] == segment["addresses"]
    order = [name for name, _ in sorted(((s.name, s.priority) for s in mapping.segments), key=lambda item: item[1])]
    assert order.index(segment["customers"]) < order.index(segment["orders"])
    assert len(mapping.in_scope) == len(shop_tables.tables)


def test_a_large_table_is_partitioned_by_the_day_its_rows_came_to_be_and_clustered_by_its_key(
    read: Callable[[str], Catalog],
) -> None:
    catalog = read(
        "CREATE TABLE visits (id INT, born DATE NOT NULL, created_at DATETIME NOT NULL, updated_at TIMESTAMP NOT NULL,"
        " token BINARY(4) NOT NULL, PRIMARY KEY (token, id));"
    )
    database = catalog.databases[0].name
    day = {"rows": 4_000_000, "nulls": 0, "zero_dates": 0, "min": "2024-01-01 00:00:00", "max": "2024-03-31 00:00:00"}
    figures = {"database": database, "name": "visits", "rows": 4_000_000, "columns": {"created_at": day}}
    table = generate(catalog, {"tables": [figures]}, False).tables[database, "visits"]
    assert (table.partition_by, table.partition_unit) == ("created_at", "day")
    assert table.cluster_by == ("id",), "BYTES cannot cluster"
    small = generate(catalog, None, False).tables[database, "visits"]
    assert small.partition_by is None


# --- gaps -----------------------------------------------------------------------------------------------------------------


def column_figures(**measures: Any) -> dict[str, Any]:
    return {"rows": 10, "nulls": 0, "sampled": False, **measures}


def gap_report(catalog: Catalog, text: str, profile: dict[str, Any] | None) -> GapReport:
    return gaps(_loaded(text, catalog), catalog, profile)


def test_gaps_are_named_and_judged_by_what_the_segment_accepts_and_the_profile_proves(
    read: Callable[[str], Catalog],
) -> None:
    catalog = read(HOSTILE.split(";\n")[0] + ";\n")
    database = catalog.databases[0].name
    text = (
        "version: 1\nsegments:\n  a:\n    requires: {{losses: [{losses}]}}\n"
        f"    tables: {{{{{database}: {{{{plain: {{{{columns: {{{{flag: {{{{rule: bool}}}}}}}}}}}}}}}}}}}}\n"
    )
    strict, lenient = text.format(losses="representation"), text.format(losses="representation, date, datetime")
    clean = {name: column_figures() for name in ("id", "name", "doc")}
    clean |= {
        "at": column_figures(zero_dates=0, partial_dates=0, impossible_dates=0),
        "born": column_figures(zero_dates=0, partial_dates=0, impossible_dates=0),
        "flag": column_figures(not_bool=0),
    }
    table = {"database": database, "name": "plain", "rows": 10, "sampled": False, "columns": clean}

    report = gap_report(catalog, strict, {"tables": [table]})
    assert (report.verdict, [gap.kind for gap in report.gaps]) == ("ok", ["lossy"])

    without = gap_report(catalog, strict, None)
    assert without.verdict == "failed"
    assert {gap.column for gap in without.gaps if gap.kind == "unproven"} == {"at", "born", "flag"}

    sampled = gap_report(catalog, strict, {"tables": [{**table, "sampled": True}]})
    assert {gap.column for gap in sampled.gaps if gap.kind == "unproven"} == {"at", "born", "flag"}

    dirty = {**clean, "born": column_figures(zero_dates=3, partial_dates=1), "flag": column_figures(not_bool=2)}
    lost = gap_report(catalog, strict, {"tables": [{**table, "columns": dirty}]})
    assert {(gap.column, gap.rows) for gap in lost.gaps if gap.kind == "not accepted"} == {("born", 4), ("flag", 2)}
    taken = gap_report(catalog, lenient, {"tables": [{**table, "columns": dirty}]})
    assert [(gap.column, gap.kind) for gap in taken.gaps if gap.rows] == [("flag", "not accepted"), ("born", "lossy")]


def test_a_table_that_no_segment_names_is_a_gap_and_one_that_stays_behind_is_none(
    read: Callable[[str], Catalog],
) -> None:
    catalog = read("CREATE TABLE a (id INT PRIMARY KEY);\nCREATE TABLE b (id INT PRIMARY KEY);\n")
    database = catalog.databases[0].name
    text = f"version: 1\nsegments:\n  x: {{tables: {{{database}: {{a: {{}}}}}}}}\n"
    report = gap_report(catalog, text, None)
    assert (report.verdict, [gap.table for gap in report.gaps]) == ("failed", [f"{database}.b"])
    report = gap_report(catalog, text + f"  y: {{scope: out, tables: {{{database}: {{b: {{}}}}}}}}\n", None)
    assert (report.verdict, [gap.kind for gap in report.gaps]) == ("ok", ["out of scope"])
    assert report.tables_in_scope == 1


def test_a_generated_mapping_has_no_open_gap(shop_tables: Catalog) -> None:
    report = gaps(generate(shop_tables, None, True), shop_tables, None)
    assert report.verdict == "ok"
    assert report.asdict()["columns"]
    assert report.plot().data


def test_suggestions_come_from_the_profile_and_change_nothing_by_themselves(read: Callable[[str], Catalog]) -> None:
    catalog = read(HOSTILE.split(";\n")[0] + ";\n")
    database = catalog.databases[0].name
    columns = {
        "name": column_figures(spaces=2, placeholders=1),
        "flag": column_figures(not_bool=0),
        "born": column_figures(zero_dates=3),
    }
    profile = {"tables": [{"database": database, "name": "plain", "rows": 10, "sampled": False, "columns": columns}]}
    text = merge(None, catalog, profile, True)
    for suggestion in ("name: {clean: [trim]}", "flag: {rule: bool}", "born: {rule: temporal-text}"):
        assert re.search(rf"# to consider: {re.escape(suggestion)}", text), text
    assert _loaded(text, catalog).tables == generate(catalog, None, True).tables


def test_results_show_hostile_names_as_text(read: Callable[[str], Catalog]) -> None:
    catalog = read("CREATE TABLE `<script>alert(1)</script>` (`<b>` VARCHAR(3), `</td>` DATE);\n")
    mapping = generate(catalog, None, True)
    for shown in (mapping._repr_html_(), gaps(mapping, catalog, None)._repr_html_()):
        assert "<script>alert" not in shown
        assert "&lt;script&gt;" in shown
