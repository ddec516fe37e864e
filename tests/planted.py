"""Defects as they are planted: by number and variant a column's type with values before and after, for MySQL and BigQuery."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from workbook.names import mysql_string

Value = str | None


@dataclass(frozen=True)
class Planted:
    """One variant of a defect in one column: its MySQL type, and the values before and after of the rows it befalls.

    `hops`: t for Cloud SQL, w for BigQuery. `google` tells how the warehouse holds the value, where it is no text.
    """

    number: int
    variant: str
    type: str
    values: tuple[tuple[Value, Value], ...]
    google: str = "text"
    hops: str = "tw"


def _t(
    number: int, variant: str, *values: tuple[Value, Value], type: str = "VARCHAR(300)", hops: str = "tw"
) -> Planted:
    return Planted(number, variant, type, values, hops=hops)


def _n(
    number: int, variant: str, type: str, *values: tuple[Value, Value], google: str = "number", hops: str = "tw"
) -> Planted:
    return Planted(number, variant, type, values, google, hops)


_LONG = "Über den Wolken, 日本 " * 12
TEXTS = (
    _t(
        1,
        "at 10 characters",
        ("Maximilian Muster", "Maximilian"),
        ("Anna-Karenina", "Anna-Karen"),
        ("0123456789abc", "0123456789"),
    ),
    _t(
        1,
        "at 20 bytes",
        *(
            (text, text.encode()[:20].decode(errors="ignore"))
            for text in ("Straße der Öffnung und mehr", "äöüäöüäöüäöü", "a" * 30)
        ),
    ),
    _t(1, "a long text", (_LONG, _LONG[:200]), (_LONG * 2, (_LONG * 2)[:200]), ("x" * 900, "x" * 200), type="TEXT"),
    _t(2, "UTF-8 as latin1", ("Zoë", "ZoÃ«"), ("naïve", "naÃ¯ve"), ("Łódź", "Łódź".encode().decode("latin-1"))),
    _t(
        2,
        "UTF-8 as cp1251",
        ("Zoë", "Zoë".encode().decode("cp1251")),
        ("один", "один".encode().decode("cp1251")),
        ("ключ", "ключ".encode().decode("cp1251")),
    ),
    _t(
        2,
        "twice",
        ("Zoë", "Zoë".encode().decode("latin-1").encode().decode("latin-1")),
        ("é", "é".encode().decode("latin-1").encode().decode("latin-1")),
        ("ñandú", "ñandú".encode().decode("latin-1").encode().decode("latin-1")),
        type="LONGTEXT",
    ),
    _t(3, "to a question mark", ("ok 😀", "ok ?"), ("🎉🎉", "??"), ("a😀b", "a?b")),
    _t(3, "to four question marks", ("ok 😀", "ok ????"), ("x🎉y", "x????y"), ("𝒳 is", "???? is"), type="TEXT"),
    _t(3, "beyond latin1", ("日本", "??"), ("Zoë ключ", "Zoë ????"), ("Ωmega", "?mega")),
    _t(4, "a space", ("abc ", "abc"), ("x y ", "x y"), ("  z ", "  z")),
    _t(4, "a tab and a line", ("abc\t", "abc"), ("x\n", "x"), ("z\t\t ", "z"), type="TEXT"),
    _t(4, "spaces come", ("abc", "abc   "), ("de", "de    "), ("f", "f     ")),
    _t(5, "lower case", ("Hello", "hello"), ("ÄRGER", "ärger"), ("ID-X", "id-x")),
    _t(5, "no accents", ("Zoë", "Zoe"), ("Ångström", "Angstrom"), ("piñata", "pinata")),
    _t(
        5,
        "upper case in a long text",
        ("Hello " * 50, "HELLO " * 50),
        ("ça va", "ÇA VA"),
        ("straße", "STRASSE"),
        type="LONGTEXT",
    ),
    _t(6, "NFC to NFD", ("Zoë", "Zoe\u0308"), ("Å", "A\u030a"), ("é", "e\u0301")),
    _t(6, "NFD to NFC", ("Zoe\u0308", "Zoë"), ("n\u0303", "ñ"), ("u\u0308ber", "über")),
    _t(6, "compatibility", ("ﬁne", "fine"), ("①", "1"), ("Ⅳ", "IV"), type="TEXT"),
    _t(7, "NULL to empty", (None, ""), (None, ""), (None, "")),
    _t(7, "empty to NULL", ("", None), ("", None), ("", None)),
    _n(7, "NULL to 0", "INT", (None, "0"), (None, "0"), (None, "0")),
    _t(8, "NULL", ("NULL", None), ("null", None), ("Null", None)),
    _t(8, "\\N", ("\\N", None), ("\\N", None), ("\\N", None)),
    _t(8, "NULL as a word", (None, "NULL"), (None, "None"), (None, "nan")),
)
NUMBERS = (
    _n(11, "to cents", "DECIMAL(12,4)", ("1.2345", "1.23"), ("99.9999", "100"), ("-5.5551", "-5.56"), google="numeric"),
    _n(11, "cut to whole", "DECIMAL(10,2)", ("7.99", "7"), ("-3.75", "-3"), ("0.5", "0"), google="numeric"),
    _n(
        11,
        "a double to two places",
        "DOUBLE",
        ("3.14159", "3.14"),
        ("2.71828", "2.72"),
        ("-1.41421", "-1.41"),
        google="float",
    ),
    _n(
        12,
        "a decimal",
        "DECIMAL(28,8)",
        ("12345678901234567.12345678", "12345678901234568"),
        ("99999999999999999.5", "100000000000000000"),
        ("10000000000000001.25", "10000000000000002"),
        google="numeric",
    ),
    _n(
        12,
        "a BIGINT",
        "BIGINT",
        ("9007199254740993", "9007199254740992"),
        ("1234567890123456789", "1234567890123456768"),
        ("-9007199254740995", "-9007199254740996"),
    ),
    _n(
        12,
        "a BIGINT UNSIGNED",
        "BIGINT UNSIGNED",
        ("18446744073709550000", "18446744073709549568"),
        ("12345678901234567891", "12345678901234567168"),
        ("9223372036854775809", "9223372036854775808"),
        google="numeric",
    ),
    _n(
        13,
        "up",
        "DOUBLE",
        ("0.1", "0.10000000000000002"),
        ("1.1", "1.1000000000000003"),
        ("1e300", "1.0000000000000002e300"),
        google="float",
    ),
    _n(
        13,
        "down",
        "DOUBLE",
        ("0.3", "0.29999999999999993"),
        ("100.5", "100.49999999999999"),
        ("2.5", "2.4999999999999996"),
        google="float",
    ),
    _n(
        13,
        "negative and small",
        "DOUBLE",
        ("-0.1", "-0.10000000000000002"),
        ("5e-300", repr(math.nextafter(5e-300, 1))),
        ("-7.7", repr(math.nextafter(-7.7, -8))),
        google="float",
    ),
    _n(
        14,
        "single precision",
        "DOUBLE",
        ("0.1", "0.10000000149011612"),
        ("1.7", "1.7000000476837158"),
        ("12345.678", "12345.677734375"),
        google="float",
    ),
    _n(
        14,
        "six digits",
        "DOUBLE",
        ("3.14159265358979", "3.14159"),
        ("123456.789", "123457"),
        ("0.000123456789", "0.000123457"),
        google="float",
    ),
    _n(
        14,
        "a FLOAT",
        "FLOAT",
        ("0.123456", "0.123457"),
        ("7654.32", "7654.33"),
        ("1.23457e10", "1.23456e10"),
        google="float",
    ),
    _n(
        15,
        "clamped",
        "BIGINT",
        ("3000000000", "2147483647"),
        ("99999999999", "2147483647"),
        ("2147483648", "2147483647"),
    ),
    _n(15, "wrapped", "INT UNSIGNED", ("70000", "4464"), ("65537", "1"), ("131072", "0")),
    _n(
        15,
        "nines",
        "DECIMAL(12,2)",
        ("12345.67", "999.99"),
        ("1000", "999.99"),
        ("77777.7", "999.99"),
        google="numeric",
    ),
    _n(22, "0000", "YEAR", ("0", "2000"), ("0", "2000"), ("0", "2000"), google="number"),
    _n(22, "two digits", "YEAR", ("1999", "2099"), ("1985", "2085"), ("1971", "2071"), google="number"),
    _n(22, "0000 to NULL", "YEAR", ("0", None), ("0", None), ("0", None), google="number"),
    _n(23, "reversed", "BIT(8)", ("13", "176"), ("1", "128"), ("7", "224")),
    _n(23, "truth value", "BIT(4)", ("13", "1"), ("6", "1"), ("9", "1")),
    _n(23, "other bits", "BIT(40)", ("1099511627775", "4294967295"), ("549755813889", "1"), ("300", "44")),
    _n(24, "2 to 1", "TINYINT(1)", ("2", "1"), ("7", "1"), ("-1", "1")),
    _n(24, "TINYINT", "TINYINT", ("5", "1"), ("100", "1"), ("-128", "1")),
    _n(24, "UNSIGNED", "TINYINT UNSIGNED", ("200", "1"), ("3", "1"), ("99", "1")),
)
TIMES = (
    _n(
        16,
        "to seconds",
        "DATETIME(6)",
        ("2024-05-01 10:20:30.123456", "2024-05-01 10:20:30"),
        ("2024-05-02 11:00:00.999999", "2024-05-02 11:00:00"),
        ("1999-12-31 23:59:59.5", "1999-12-31 23:59:59"),
        google="datetime",
    ),
    _n(
        16,
        "to milliseconds",
        "TIMESTAMP(6) NULL",
        ("2024-05-01 10:20:30.123456", "2024-05-01 10:20:30.123"),
        ("2024-05-02 11:00:00.987654", "2024-05-02 11:00:00.988"),
        ("2020-01-01 00:00:00.000999", "2020-01-01 00:00:00.001"),
        google="timestamp",
    ),
    _n(
        16,
        "of a TIME",
        "TIME(6)",
        ("10:20:30.123456", "10:20:30"),
        ("01:02:03.5", "01:02:04"),
        ("23:00:00.000001", "23:00:00"),
        google="time",
    ),
    _n(
        17,
        "two hours",
        "TIMESTAMP NULL",
        ("2024-07-01 10:00:00", "2024-07-01 12:00:00"),
        ("2024-07-02 22:30:00", "2024-07-03 00:30:00"),
        ("2024-08-03 05:00:01", "2024-08-03 07:00:01"),
        google="timestamp",
    ),
    _n(
        17,
        "summer time",
        "TIMESTAMP NULL",
        ("2024-07-01 10:00:00", "2024-07-01 08:00:00"),
        ("2024-01-02 22:30:00", "2024-01-02 21:30:00"),
        ("2024-12-03 05:00:01", "2024-12-03 04:00:01"),
        google="timestamp",
    ),
    _n(
        17,
        "half an hour",
        "TIMESTAMP(3) NULL",
        ("2024-07-01 10:00:00.25", "2024-07-01 15:30:00.25"),
        ("2023-03-02 20:30:00", "2023-03-03 02:00:00"),
        ("2024-08-03 05:00:01", "2024-08-03 10:30:01"),
        google="timestamp",
    ),
    _n(
        18,
        "one hour",
        "DATETIME",
        ("2024-07-01 10:00:00", "2024-07-01 09:00:00"),
        ("2024-07-02 00:30:00", "2024-07-01 23:30:00"),
        ("2024-08-03 05:00:01", "2024-08-03 04:00:01"),
        google="datetime",
    ),
    _n(
        18,
        "summer time",
        "DATETIME(3)",
        ("2024-07-01 10:00:00", "2024-07-01 06:00:00"),
        ("2024-01-02 22:30:00", "2024-01-02 17:30:00"),
        ("2024-12-03 05:00:01", "2024-12-03 00:00:01"),
        google="datetime",
    ),
    _n(
        18,
        "ten hours",
        "DATETIME(6)",
        ("2024-07-01 10:00:00.5", "2024-07-01 20:00:00.5"),
        ("2023-03-02 20:30:00", "2023-03-03 06:30:00"),
        ("1960-08-03 05:00:01", "1960-08-03 15:00:01"),
        google="datetime",
    ),
    _n(
        19, "zero date to NULL", "DATE", ("0000-00-00", None), ("0000-00-00", None), ("0000-00-00", None), google="text"
    ),
    _n(
        19,
        "partial date to another",
        "DATE",
        ("2019-00-00", "2019-01-01"),
        ("2020-05-00", "2020-05-01"),
        ("2021-02-31", "2021-03-03"),
        google="text",
    ),
    _n(
        19,
        "zero datetime to 1970",
        "DATETIME",
        ("0000-00-00 00:00:00", "1970-01-01 00:00:00"),
        ("0000-00-00 00:00:00", "1970-01-01 00:00:00"),
        ("2001-00-00 00:00:00", "1970-01-01 00:00:00"),
        google="text",
    ),
    _n(
        20,
        "pandas",
        "DATETIME",
        ("9999-12-31 23:59:59", "2262-04-11 23:47:16"),
        ("3000-01-01 00:00:00", "2262-04-11 23:47:16"),
        ("2500-06-01 00:00:00", "2262-04-11 23:47:16"),
        google="datetime",
    ),
    _n(
        20,
        "2038",
        "DATETIME",
        ("2040-01-01 00:00:00", "2038-01-19 03:14:07"),
        ("2155-01-01 00:00:00", "2038-01-19 03:14:07"),
        ("9000-01-01 00:00:00", "2038-01-19 03:14:07"),
        google="datetime",
    ),
    _n(
        20,
        "first date",
        "DATE",
        ("0150-03-01", "1000-01-01"),
        ("0900-12-31", "1000-01-01"),
        ("0001-01-01", "1000-01-01"),
        google="date",
    ),
    _n(
        21,
        "negative",
        "TIME",
        ("-01:30:00", "01:30:00"),
        ("-12:00:00", "12:00:00"),
        ("-00:00:01", "00:00:01"),
        google="time",
    ),
    _n(
        21,
        "over 24 hours",
        "TIME",
        ("25:00:00", "01:00:00"),
        ("100:10:10", "04:10:10"),
        ("838:59:59", "22:59:59"),
        google="time",
    ),
    _n(21, "NULL", "TIME(3)", ("-01:30:00", None), ("30:00:00.5", None), ("48:00:00", None), google="time"),
)
_ENUM = "ENUM('small','medium','large','größe')"
_SET = "SET('read','write','run','größe')"
OTHERS = (
    _t(25, "the next member", ("small", "medium"), ("medium", "large"), ("large", "größe"), type=_ENUM),
    _t(25, "empty", ("small", ""), ("medium", ""), ("large", ""), type=_ENUM),
    _t(25, "the number", ("small", "1"), ("medium", "2"), ("large", "3"), type=_ENUM, hops="w"),
    _t(25, "the first", ("medium", "small"), ("large", "small"), ("größe", "small"), type=_ENUM, hops="t"),
    _t(26, "one lost", ("read,write", "read"), ("read,run", "run"), ("write,run,größe", "write,run"), type=_SET),
    _t(26, "all lost", ("read,write", ""), ("run", ""), ("größe", ""), type=_SET),
    _t(26, "other members", ("read", "write"), ("run", "größe"), ("read,run", "write,run"), type=_SET),
    _n(27, "a value", "JSON", ('{"a": 1, "b": [1, 2]}', '{"a": 1, "b": [1, 3]}'), ('["x"]', '["y"]'), ('{"k": null}', '{"k": 0}'), google="text"),
    _n(27, "a key lost", "JSON", ('{"a": 1, "b": 2}', '{"a": 1}'), ('{"a": {"b": 1}}', '{"a": {}}'), ("[1, 2, 3]", "[1, 2]"), google="text"),
    _n(27, "text for a number", "JSON", ('{"a": 1}', '{"a": "1"}'), ("[true]", '["true"]'), ("[7]", '["7"]'), google="text"),
    _n(28, "1.0 to 1", "JSON", ('{"a": 1.0}', '{"a": 1}'), ("[2.0, 3]", "[2, 3]"), ("5.0", "5"), google="text"),
    _n(28, "1 to 1.0", "JSON", ('{"a": 1}', '{"a": 1.0}'), ("[2, 3]", "[2.0, 3]"), ("5", "5.0"), google="text"),
    _n(28, "a large number", "JSON", ('{"a": 9007199254740993}', '{"a": 9007199254740992.0}'), ("[12345678901234567]", "[12345678901234568.0]"), ("[1, 20]", "[1, 20.0]"), google="text"),
    _n(29, "padding", "VARBINARY(20)", ("ab00", "ab"), ("ff01", "ff010000"), ("0c", "0c20"), google="bytes"),
    _n(29, "through text", "BLOB", ("ff00ab", "efbfbd00efbfbd"), ("80", "efbfbd"), ("41c3", "41efbfbd"), google="bytes"),
    _n(29, "cut", "BLOB", ("00" + "ab" * 40, "00" + "ab" * 30), ("cd" * 50, "cd" * 31), ("0102030405", "010203"), google="bytes"),
    _n(30, "SRID lost", "GEOMETRY", ("POINT(1 2) 4326", "POINT(2 1) 0"), ("POINT(3 4) 4326", "POINT(4 3) 0"), ("LINESTRING(1 2,3 4) 4326", "LINESTRING(2 1,4 3) 0"), google="geometry"),
    _n(30, "axes", "GEOMETRY", ("POINT(1 2) 0", "POINT(2 1) 0"), ("POINT(3 4) 0", "POINT(4 3) 0"), ("LINESTRING(1 2,3 4) 0", "LINESTRING(2 1,4 3) 0"), google="geometry"),
    _n(30, "rounded", "GEOMETRY", ("POINT(1.123456789 2) 0", "POINT(1.12346 2) 0"), ("POINT(3 4.987654321) 0", "POINT(3 4.98765) 0"), ("LINESTRING(1.00001234 2,3 4) 0", "LINESTRING(1.00001 2,3 4) 0"), google="geometry"),
    _n(33, "exchanged", "INT", ("10", "20"), ("20", "30"), ("30", "10")),
    _n(33, "moved from one to the other", "DECIMAL(10,2)", ("10.5", "11.75"), ("20.25", "18.99"), ("30", "30.01"), google="numeric"),
    _t(33, "exchanged texts", ("one", "two"), ("two", "three"), ("three", "one")),
)  # fmt: skip
TABLES = {"texts": TEXTS, "numbers": NUMBERS, "times": TIMES, "others": OTHERS}
ROWS = 72


def places(column: int, planted: Planted) -> list[int]:
    """The ids of the rows that a column's defect befalls; no two columns of a table share any."""
    return [column * 3 + number + 1 for number in range(len(planted.values))]


def mysql_value(planted: Planted, value: Value) -> str:
    """A value as MySQL takes it."""
    if value is None:
        return "NULL"
    if planted.google == "geometry":
        shape, srid = value.rsplit(" ", 1)
        return f"ST_GeomFromText('{shape}', {srid})"
    if planted.google == "bytes":
        return f"x'{value}'"
    if planted.type.startswith(("BIT", "TINYINT", "INT", "BIGINT", "DECIMAL", "DOUBLE", "FLOAT", "YEAR")):
        return f"'{value.zfill(4)}'" if planted.type == "YEAR" else value
    return mysql_string(value)


def fill(name: str, columns: tuple[Planted, ...]) -> Iterator[str]:
    """The statements that make a table of columns, and fill it with the values before."""
    defined = ", ".join(f"c{number} {column.type}" for number, column in enumerate(columns))
    yield f"CREATE TABLE `{name}` (id INT PRIMARY KEY, {defined})"
    lines = []
    for row in range(1, ROWS + 1):
        values = []
        for number, column in enumerate(columns):
            here = places(number, column)
            before = column.values[here.index(row)][0] if row in here else column.values[0][0]
            values.append(mysql_value(column, before))
        lines.append(f"({row}, {', '.join(values)})")
    yield f"INSERT INTO `{name}` VALUES {', '.join(lines)}"


def damage(name: str, columns: tuple[Planted, ...]) -> Iterator[str]:
    """The statements that put the values after in their places, in MySQL."""
    for number, column in enumerate(columns):
        if "t" in column.hops:
            for row, (_, after) in zip(places(number, column), column.values, strict=True):
                # MySQL leaves a value as it is where the new one counts as equal: 1.0 and 1 in a document do.
                yield f"UPDATE `{name}` SET c{number} = NULL WHERE id = {row}"
                yield f"UPDATE `{name}` SET c{number} = {mysql_value(column, after)} WHERE id = {row}"


def google_value(planted: Planted, value: Value, mysql_hex: str = "") -> str:
    """A value as the raw table of the warehouse holds it; of a geometry, MySQL's bytes in hexadecimal are given."""
    if value is None:
        return "NULL"
    if planted.google == "number":
        return value
    if planted.google == "numeric":
        return f"NUMERIC '{value}'"
    if planted.google == "float":
        return f"CAST('{value}' AS FLOAT64)"
    if planted.google in ("date", "datetime"):
        return f"{planted.google.upper()} '{value}'"
    if planted.google == "timestamp":
        return f"TIMESTAMP '{value}+00:00'"
    if planted.google == "time":
        sign, digits = ("-", value[1:]) if value.startswith("-") else ("", value)
        hours, minutes, seconds = digits.split(":")
        micros = (int(hours) * 60 + int(minutes)) * 60_000_000 + round(float(seconds) * 1_000_000)
        return f"{sign}{micros}"
    if planted.google in ("bytes", "geometry"):
        return f"FROM_HEX('{mysql_hex or value}')"
    escaped = "".join(
        letter if letter > "\x1f" and letter not in "\\'" else f"\\U{ord(letter):08x}" for letter in value
    )
    return f"'{escaped}'"
