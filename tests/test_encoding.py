"""The canonical encoding: MySQL, Google's own evaluator, the emulator and Python give the same bytes for every value."""

import hashlib
import json
import math
import os
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from conftest import Scratch
from googlesql import evaluated
from values import table_of_boundaries
from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.mapping.types import RULES, TypeRule, rule_for
from workbook.names import mysql_path, quote_bigquery
from workbook.sandbox import lifecycle
from workbook.servers import SESSION_SQL_MODE
from workbook.validate.canonical import FORMS, encode, encode_row, row_hash
from workbook.validate.encoding import (
    Field,
    Kind,
    fields,
    google_hash,
    google_value,
    mysql_digest,
    mysql_hash,
    mysql_text,
    mysql_value,
)
from workbook.validate.rows import decoded
from workbook.warehouse import load_warehouse

KINDS: tuple[Kind, ...] = ("exact", "shared")
RULE = {rule.name: rule for rule in RULES}
Dice = random.Random


class NoJournal:
    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        return 0

    def confirm(self, number: int) -> None:
        pass

    def cancel(self, number: int) -> None:
        pass


def test_every_value_of_every_type_is_encoded_alike_by_mysql_and_the_warehouse(scratch: Scratch) -> None:
    database = scratch.database()
    for statement in table_of_boundaries():
        scratch.execute(statement, database)
    configured = scratch.settings([database])
    catalog = read_catalog(scratch.source, [database])
    mapping = generate(catalog, None, True)
    # The extraction reads whichever MySQL it is given; here it reads the source itself.
    load_warehouse(scratch.source, scratch.warehouse, catalog, mapping, configured, NoJournal(), set())
    table, mapped = catalog.table[database, "boundaries"], mapping.tables[database, "boundaries"]
    chosen = fields(table, mapped)
    here = scratch.source.rows(
        f"SELECT {', '.join(f'{mysql_value(item, KINDS[1])} AS v{number}' for number, item in enumerate(chosen))}"
        f" FROM {mysql_path(*table.path)} ORDER BY id"
    )
    path = scratch.table_path(configured.warehouse.raw_dataset, mapped.warehouse_name)
    there = scratch.google(
        f"SELECT {', '.join(f'CONCAT({google_value(item.warehouse_name, item.rule.google, item.rule.free)})' for item in chosen)}"
        f" FROM {path} ORDER BY {quote_bigquery(mapped.column['id'].warehouse_name)}"
    )
    assert len(here) == len(there) > 80
    different = [
        (item.name, table.column[item.name].type, left, right)
        for row, other in zip(here, there, strict=True)
        for item, left, right in zip(chosen, row.values(), other, strict=True)
        if (left.decode() if isinstance(left, bytes) else left) != right
    ]
    assert different == []


def test_every_rule_of_the_type_map_is_reached_by_the_boundaries_or_by_name(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute(table_of_boundaries()[0], database)
    table = read_catalog(scratch.source, [database]).table[database, "boundaries"]
    reached = {rule_for(column, emulated).name for column in table.columns for emulated in (True, False)}
    assert {rule.name for rule in RULES} - reached == {"bool", "time", "temporal-text"}


def test_every_rule_has_one_form_in_python_and_a_class_of_random_values() -> None:
    names = [rule for form in FORMS for rule in form.rules]
    assert sorted(names) == sorted(rule.name for rule in RULES)
    assert {item.rule for item in CLASSES} == set(names)


def test_a_null_is_none_of_the_texts() -> None:
    assert decoded("~;") is None
    assert decoded("=2:~;;") == "~;"
    assert decoded("=0:;") == ""
    assert decoded("42;") == "42"


def test_no_two_rows_have_the_same_bytes() -> None:
    text = ["text", "text"]
    pairs = [
        (("12", "3"), ("1", "23")),
        ((None, "~;"), ("~;", None)),
        (("", "a"), ("a", "")),
        (("=1:a;", ""), ("=1:a", ";")),
        (("a;=1:b", "c"), ("a", "b;=1:c")),
    ]
    for one, other in pairs:
        assert encode_row(text, one) != encode_row(text, other)


# --- Random values of every type class through all implementations ----------------------------------------------------


@dataclass(frozen=True)
class Class:
    """A class of types: its MySQL column, its rule, a random value, and how GoogleSQL makes it of a text `raw`."""

    name: str
    column: str
    rule: str
    value: Callable[[Dice], Any]
    google: str
    charset: str | None = None
    raw: Callable[[Any], str] = str

    @property
    def field(self) -> Field:
        return Field("v", "v", RULE[self.rule], False, self.charset)


def whole(low: int, high: int) -> Callable[[Dice], int]:
    def make(dice: Dice) -> int:
        # As many small numbers as large ones.
        small = dice.randrange(-(2 ** dice.randrange(1, 64)), 2 ** dice.randrange(1, 64))
        return dice.choice([low, high, dice.randrange(low, high + 1), min(max(small, low), high)])

    return make


def decimals(before: int, after: int) -> Callable[[Dice], Decimal]:
    def make(dice: Dice) -> Decimal:
        digits = dice.randrange(10 ** dice.randrange(1, before + after + 1)) * 10 ** dice.choice([0, 0, 0, after])
        digits %= 10 ** (before + after)
        return Decimal((dice.randrange(2), tuple(map(int, str(digits))), -after))

    return make


def doubles(dice: Dice) -> float:
    kind = dice.randrange(8)
    if kind == 0:
        return dice.choice([0.0, -0.0, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, 9007199254740993.0])
    if kind == 1:  # powers of two and their neighbours, where logarithms are least sure
        power = math.ldexp(dice.choice([1.0, -1.0]), dice.randrange(-1074, 1024))
        return dice.choice([power, math.nextafter(power, 0.0), math.nextafter(power, math.copysign(math.inf, power))])
    if kind == 2:
        return float(dice.randrange(10**6)) / 100
    if kind == 3:
        return dice.uniform(-1e6, 1e6)
    while True:
        value = struct.unpack("<d", dice.randbytes(8))[0]
        if math.isfinite(value):
            return float(value)


def finite(dice: Dice) -> float:
    """A double that is no neighbour of infinity's."""
    while True:
        value = doubles(dice)
        if math.isfinite(value):
            return value


def floats(dice: Dice) -> float:
    while True:
        value = struct.unpack("<f", dice.randbytes(4))[0]
        if math.isfinite(value):
            return float(dice.choice([value, struct.unpack("<f", struct.pack("<f", dice.uniform(-1e4, 1e4)))[0]]))


def dates(low: date, high: date, invalid: bool) -> Callable[[Dice], str]:
    def make(dice: Dice) -> str:
        if invalid and dice.random() < 0.1:
            return dice.choice(
                ["0000-00-00", "2019-02-31", "2023-02-29", "0000-05-05", "2020-00-00", "2020-12-00", "0001-00-01"]
            )
        return (low + timedelta(dice.randrange((high - low).days + 1))).isoformat()

    return make


def moments(low: date, high: date, digits: int, invalid: bool) -> Callable[[Dice], str]:
    day = dates(low, high, invalid)

    def make(dice: Dice) -> str:
        fraction = f".{dice.randrange(10**digits):0{digits}}" if digits else ""
        return f"{day(dice)} {dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02}{fraction}"

    return make


def instants(dice: Dice) -> str:
    if dice.random() < 0.05:
        return "0000-00-00 00:00:00.000"
    return moments(date(1970, 1, 2), date(2038, 1, 18), 3, False)(dice)


_LONGEST = (838 * 3600 + 59 * 60 + 59) * 10**6


def durations(low: int, high: int) -> Callable[[Dice], timedelta]:
    return lambda dice: timedelta(microseconds=dice.choice([low, high, 0, dice.randrange(low, high + 1)]))


_LETTERS = "ab;:=~ \t\n\\'\"%_\x00é\u0301ßЖ日本😀\u200d"


def texts(letters: str, most: int) -> Callable[[Dice], str]:
    return lambda dice: "".join(dice.choice(letters) for _ in range(dice.randrange(most + 1)))


def documents(dice: Dice, deep: int = 2) -> str:
    """JSON as MySQL prints it: keys by length and bytes, a space after colon and comma."""

    def value(depth: int) -> Any:
        kind = dice.randrange(6 if depth else 4)
        if kind < 4:
            return (None, dice.random() < 0.5, whole(-(2**63), 2**64 - 1)(dice), texts('ab é"\\日😀\n', 8)(dice))[kind]
        if kind == 4:
            return [value(depth - 1) for _ in range(dice.randrange(4))]
        return {f"k{number}": value(depth - 1) for number in range(dice.randrange(4))}

    return json.dumps(value(deep), ensure_ascii=False)


def octets(most: int) -> Callable[[Dice], bytes]:
    return lambda dice: dice.randbytes(dice.randrange(most + 1))


def _micros(value: timedelta) -> str:
    return str(value // timedelta(microseconds=1))


def _plain(value: Decimal) -> str:
    # As MySQL prints it: a zero has no sign.
    return format(abs(value) if value == 0 else value, "f")


def _dated(value: str) -> str:
    # The emulator has a year 0.
    return "none" if value.startswith("0000-") else value


def _hex(value: str | bytes) -> str:
    return (value.encode() if isinstance(value, str) else value).hex()


_FROM_HEX = "SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(raw))"
_FIRST, _LAST = date(1, 1, 1), date(9999, 12, 31)
_SHOWN = "SAFE_CAST(raw AS {})"
CLASSES = [
    Class("TINYINT", "TINYINT", "integer", whole(-128, 127), "CAST(raw AS INT64)"),
    Class("BIGINT", "BIGINT", "integer", whole(-(2**63), 2**63 - 1), "CAST(raw AS INT64)"),
    Class("ZEROFILL", "INT(8) UNSIGNED ZEROFILL", "integer", whole(0, 2**32 - 1), "CAST(raw AS INT64)"),
    Class("BIGINT UNSIGNED", "BIGINT UNSIGNED", "unsigned-64", whole(0, 2**64 - 1), "CAST(raw AS NUMERIC)"),
    Class("YEAR", "YEAR", "year", lambda dice: dice.choice([0, dice.randrange(1901, 2156)]), "CAST(raw AS INT64)"),
    Class("BOOL", "TINYINT(1)", "bool", whole(0, 1), "CAST(CAST(raw AS INT64) AS BOOL)"),
    Class("BIT", "BIT(63)", "bits", whole(0, 2**63 - 1), "CAST(raw AS INT64)"),
    Class("BIT(64)", "BIT(64)", "bits-64", whole(0, 2**64 - 1), "CAST(raw AS NUMERIC)"),
    Class("NUMERIC", "DECIMAL(38,9)", "numeric", decimals(29, 9), "CAST(raw AS NUMERIC)", raw=_plain),
    Class("BIGNUMERIC", "DECIMAL(65,30)", "bignumeric", decimals(35, 30), "CAST(raw AS BIGNUMERIC)", raw=_plain),
    Class("DECIMAL as text", "DECIMAL(65,20)", "decimal-text", decimals(45, 20), "raw", raw=_plain),
    Class("FLOAT", "FLOAT", "float", floats, "CAST(raw AS FLOAT64)", raw=repr),
    Class("DOUBLE", "DOUBLE", "float", finite, "CAST(raw AS FLOAT64)", raw=repr),
    Class("DATE", "DATE", "date", dates(_FIRST, _LAST, True), _SHOWN.format("DATE"), raw=_dated),
    Class("DATETIME", "DATETIME(6)", "datetime", moments(_FIRST, _LAST, 6, True), _SHOWN.format("DATETIME"), raw=_dated),
    Class("TIMESTAMP", "TIMESTAMP(3) NULL", "timestamp", instants, "SAFE_CAST(CONCAT(raw, '+00') AS TIMESTAMP)"),
    Class("TIME", "TIME(6)", "time-micros", durations(-_LONGEST, _LONGEST), "CAST(raw AS INT64)", raw=_micros),
    Class("TIME of a day", "TIME(6)", "time", durations(0, 86_400 * 10**6 - 1),
          "TIME_ADD(TIME '00:00:00', INTERVAL CAST(raw AS INT64) MICROSECOND)", raw=_micros),
    Class("DATE as text", "DATE", "temporal-text", dates(_FIRST, _LAST, True), "raw"),
    Class("VARCHAR", "VARCHAR(60)", "text", texts(_LETTERS, 30), _FROM_HEX, "utf8mb4", _hex),
    Class("VARCHAR latin1", "VARCHAR(60) CHARACTER SET latin1", "text", texts("ab; äöüß€ÿ\\", 30), _FROM_HEX, "latin1", _hex),
    Class("VARCHAR utf16", "VARCHAR(60) CHARACTER SET utf16", "text", texts(_LETTERS, 30), _FROM_HEX, "utf16", _hex),
    Class("ENUM", "ENUM('a','größe',';','<b>')", "text", lambda dice: dice.choice(["a", "größe", ";", "<b>"]), _FROM_HEX, "utf8mb4", _hex),
    Class("TEXT", "TEXT", "long-text", texts(_LETTERS, 200), _FROM_HEX, "utf8mb4", _hex),
    Class("JSON", "JSON", "json-text", documents, _FROM_HEX, None, _hex),
    Class("VARBINARY", "VARBINARY(60)", "bytes", octets(60), "FROM_HEX(raw)", None, _hex),
    Class("BLOB", "BLOB", "long-bytes", octets(300), "FROM_HEX(raw)", None, _hex),
    # The bytes of a point: four of the SRID, then WKB.
    Class("POINT", "POINT", "geometry-bytes",
          lambda dice: struct.pack("<IBIdd", 0, 1, 1, dice.uniform(-90, 90), dice.uniform(-90, 90)), "FROM_HEX(raw)", None, _hex),
]  # fmt: skip
# What the emulator cannot do, by class: shown as skipped.
_SHORT_CAST = "it casts text to NUMERIC with 18 digits; the values of its tables are compared by the boundaries"
EMULATOR_GAPS = {
    "BIGNUMERIC": "DuckDB has 38 digits; on the emulator such columns travel as text",
    "BIGINT UNSIGNED": _SHORT_CAST,
    "BIT(64)": _SHORT_CAST,
    "NUMERIC": _SHORT_CAST,
}


def drawn(item: Class, count: int, seed: int) -> list[Any]:
    """Random values of a class, every fiftieth of them NULL."""
    dice = Dice(f"{item.name} {seed}")
    return [None if dice.random() < 0.02 else item.value(dice) for _ in range(count)]


def bound(value: Any) -> Any:
    """A value as it is sent to MySQL: exactly, where the driver would not."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, timedelta):
        micros = abs(value) // timedelta(microseconds=1)
        seconds = (
            f"{micros // 3_600_000_000}:{micros // 60_000_000 % 60:02}:{micros // 10**6 % 60:02}.{micros % 10**6:06}"
        )
        return f"-{seconds}" if value < timedelta(0) else seconds
    return value


@pytest.fixture(scope="module")
def cursor(sandbox: dict[str, Any]) -> Iterator[Any]:
    """A cursor in a database of its own on the source."""
    with lifecycle.root_connection(sandbox, "source") as connection, connection.cursor() as made:
        made.execute("SET SESSION sql_mode = %s, time_zone = '+00:00', sql_log_bin = 0", (SESSION_SQL_MODE,))
        made.execute("CREATE DATABASE encoded")
        made.execute("USE encoded")
        try:
            yield made
        finally:
            made.execute("DROP DATABASE encoded")


def by_mysql(cursor: Any, item: Class, values: list[Any]) -> dict[Kind, list[bytes]]:
    """The encoded values of a column that holds them."""
    found: dict[Kind, list[bytes]] = {}
    cursor.execute("DROP TABLE IF EXISTS t")
    cursor.execute(f"CREATE TABLE t (id INT PRIMARY KEY, v {item.column})")
    cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(n, bound(value)) for n, value in enumerate(values)])
    for kind in KINDS:
        cursor.execute(f"SELECT {mysql_value(item.field, kind)}, {mysql_hash([item.field], kind)} FROM t ORDER BY id")
        rows = [(text if isinstance(text, bytes) else text.encode(), digest) for text, digest in cursor.fetchall()]
        assert [digest for _, digest in rows] == [row_hash(text) for text, _ in rows]
        found[kind] = [text for text, _ in rows]
    return found


def google_query(item: Class, values: list[Any]) -> str:
    """A query that makes the values out of one literal, and encodes them."""
    raws = "\\n".join("~" if value is None else item.raw(value) for value in values)
    encoded = google_value("v", RULE[item.rule].google, RULE[item.rule].free)
    made = item.google.replace("raw", "NULLIF(raw, '~')")
    return (
        f"SELECT CONCAT({encoded}), {google_hash([encoded])}, ordinal FROM (SELECT {made} AS v, place AS ordinal FROM"
        f" UNNEST(SPLIT('{raws}', '\\n')) AS raw WITH OFFSET AS place)"
    )


def compared(item: Class, values: list[Any], places: dict[str, list[bytes]], kind: Kind) -> None:
    """Fails with the first value that one of the places encodes otherwise than Python."""
    expected = [encode(item.rule, value, kind) for value in values]
    for place, found in places.items():
        assert len(found) == len(expected), place
        wrong = next(((v, e, f) for v, e, f in zip(values, expected, found, strict=True) if e != f), None)
        assert wrong is None, f"{place} of {item.name}: value, Python, {place}: {wrong}"


def by_google(rows: list[tuple[Any, ...]]) -> list[bytes]:
    """The encoded values in their order, their hashes checked."""
    assert all(hashlib.sha256(text.encode()).hexdigest() == digest for text, digest, _ in rows)
    return [text.encode() for text, _, _ in sorted(rows, key=lambda row: row[2])]


@pytest.mark.parametrize("item", CLASSES, ids=lambda item: item.name)
def test_random_values_are_encoded_alike_by_mysql_google_and_python(cursor: Any, item: Class) -> None:
    values = drawn(item, 300, seed=1)
    here = by_mysql(cursor, item, values)
    compared(item, values, {"MySQL": here["exact"]}, "exact")
    google = by_google(evaluated(google_query(item, values)))
    compared(item, values, {"MySQL": here["shared"], "zetasql": google}, "shared")


@pytest.mark.parametrize("item", CLASSES, ids=lambda item: item.name)
def test_random_values_are_encoded_alike_by_the_emulator(scratch: Scratch, item: Class) -> None:
    if item.name in EMULATOR_GAPS:
        pytest.skip(EMULATOR_GAPS[item.name])
    values = drawn(item, 100, seed=2)
    compared(item, values, {"the emulator": by_google(scratch.google(google_query(item, values)))}, "shared")


@pytest.mark.soak
@pytest.mark.parametrize("item", CLASSES, ids=lambda item: item.name)
def test_a_hundred_thousand_random_values_are_encoded_alike(scratch: Scratch, cursor: Any, item: Class) -> None:
    for batch, values in enumerate(batches(item, int(os.environ.get("VALUES", "100000")))):
        here = by_mysql(cursor, item, values)
        compared(item, values, {"MySQL": here["exact"]}, "exact")
        places = {"MySQL": here["shared"], "zetasql": by_google(evaluated(google_query(item, values)))}
        if item.name not in EMULATOR_GAPS and batch == 0:
            # It takes its time for large statements.
            some = values[:2000]
            compared(item, some, {"the emulator": by_google(scratch.google(google_query(item, some)))}, "shared")
        compared(item, values, places, "shared")


def batches(item: Class, count: int) -> Iterator[list[Any]]:
    size = 10_000
    for number in range(0, count, size):
        yield drawn(item, min(size, count - number), seed=1000 + number)


def test_where_nothing_is_lost_the_exact_text_is_the_shared_one() -> None:
    def needs_two(rule: TypeRule) -> bool:
        return rule.exact != rule.shared and rule.proof is None

    assert [rule.name for rule in RULES if needs_two(rule)] == []


@pytest.mark.parametrize("item", [item for item in CLASSES if RULE[item.rule].alone], ids=lambda item: item.name)
def test_the_text_for_mysql_alone_tells_every_value_from_every_other(cursor: Any, item: Class) -> None:
    values = [value for value in drawn(item, int(os.environ.get("VALUES", "5000")), seed=3) if value is not None]
    dice = Dice(item.name)
    if item.name == "DOUBLE":
        values += [dice.choice((-1, 1)) * 10 ** dice.uniform(-2, 17) for _ in values]
    by_mysql(cursor, item, values)
    alone = replace(item.field, rule=replace(item.field.rule, exact=item.field.rule.alone))
    cursor.execute(
        f"SELECT {mysql_text(item.field, 'exact')}, {mysql_text(alone, 'exact')},"
        f" {mysql_digest([replace(item.field, alone=True)], 'exact')} FROM t ORDER BY id"
    )
    told: dict[str, str] = {}
    for value, (exact, text, digest) in zip(values, cursor.fetchall(), strict=True):
        assert told.setdefault(text, exact) == exact
        assert digest == hashlib.sha256(f"{text};".encode()).hexdigest()
        if item.name == "DOUBLE":
            mantissa, _, exponent = text.partition("p")
            assert (math.ldexp(int(mantissa), int(exponent)) if exponent else float(text)) == value
    assert len(told) == len(set(told.values()))


def test_columns_of_several_collations_go_into_one_hash_with_the_bytes_that_they_have(cursor: Any) -> None:
    kinds = [
        ("VARCHAR(9)", "utf8mb4"), ("VARCHAR(9) COLLATE utf8mb4_bin", "utf8mb4"), ("CHAR(9) CHARACTER SET ascii", "ascii"),
        ("VARCHAR(9) COLLATE utf8mb4_unicode_ci", "utf8mb4"), ("VARCHAR(9) CHARACTER SET utf8mb3", "utf8mb3"),
        ("ENUM('a', 'ab') COLLATE utf8mb4_icelandic_ci", "utf8mb4"), ("TEXT CHARACTER SET utf8mb3", "utf8mb3"),
    ]  # fmt: skip
    columns = ", ".join(f"c{number} {kind}" for number, (kind, _) in enumerate(kinds))
    cursor.execute("DROP TABLE IF EXISTS m")
    cursor.execute(f"CREATE TABLE m (id INT PRIMARY KEY, {columns})")
    rows = [("é 😀 ", "ß", "a b", "日", "äö", "ab", "ключ"), ("", None, "", "x", None, "a", ""), (None,) * 7]
    marks = ", ".join(["%s"] * len(kinds))
    for number, row in enumerate(rows):
        cursor.execute(f"INSERT INTO m VALUES ({number}, {marks})", row)
    rules = [RULE["long-text" if kind.startswith("TEXT") else "text"] for kind, _ in kinds]
    of = [
        Field(f"c{number}", "", rule, False, charset, True)
        for number, (rule, (_, charset)) in enumerate(zip(rules, kinds, strict=True))
    ]
    cursor.execute(f"SELECT {mysql_digest(of, 'exact')} FROM m ORDER BY id")
    found = [digest for (digest,) in cursor.fetchall()]
    assert found == [hashlib.sha256(encode_row([rule.name for rule in rules], row)).hexdigest() for row in rows]
