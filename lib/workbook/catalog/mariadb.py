"""What MariaDB holds as MySQL would hold it: types, collations and defaults under MySQL's names.

The catalog of a MariaDB source speaks MySQL's language, so that every later phase sets like against like; what was
translated stands in `Column.native`. Nothing is lost in values: a uuid or an address travels as the text it shows,
JSON as the text it is stored as (MySQL's own JSON type would sort its keys and rewrite its numbers).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from workbook.catalog.objects import Column

# UCA 14.0.0 by MariaDB's name of the language, and the language of MySQL's UCA 9.0.0 collations; None: MySQL has none.
LANGUAGES = {
    "croatian": "hr", "czech": "cs", "danish": "da", "esperanto": "eo", "estonian": "et", "german2": "de_pb",
    "hungarian": "hu", "icelandic": "is", "latvian": "lv", "lithuanian": "lt", "persian": None, "polish": "pl",
    "roman": "la", "romanian": "ro", "sinhala": None, "slovak": "sk", "slovenian": "sl", "spanish": "es",
    "spanish2": "es_trad", "swedish": "sv", "turkish": "tr", "vietnamese": "vi",
}  # fmt: skip
_UCA1400 = re.compile(
    r"(?:(?P<charset>utf8mb3|utf8mb4|utf16|utf32|ucs2)_)?uca1400(?:_(?!nopad)(?P<language>[a-z0-9]+?))?(?P<nopad>_nopad)?"
    r"_(?P<accents>ai|as)_(?P<case>ci|cs)"
)
_STRING = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.S)
_HEX = re.compile(r"[xX]'([0-9A-Fa-f]*)'")
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_NOW = re.compile(r"(?:current_timestamp|now)(?:\((\d*)\))?", re.I)
_ESCAPES = {"0": "\0", "n": "\n", "t": "\t", "r": "\r", "b": "\b", "Z": "\x1a"}
# https://mariadb.com/kb/en/function-differences-between-mariadb-and-mysql/: functions that MySQL has not.
ONLY_MARIADB = {
    "ADD_MONTHS", "BINLOG_GTID_POS", "CHR", "COLUMN_ADD", "COLUMN_CHECK", "COLUMN_CREATE", "COLUMN_DELETE",
    "COLUMN_EXISTS", "COLUMN_GET", "COLUMN_JSON", "COLUMN_LIST", "CRC32C", "DECODE_ORACLE", "ENCODE", "DECODE",
    "DES_ENCRYPT", "DES_DECRYPT", "ENCRYPT", "JSON_ARRAY_INTERSECT", "JSON_COMPACT", "JSON_DETAILED", "JSON_EQUALS",
    "JSON_EXISTS", "JSON_KEY_VALUE", "JSON_LOOSE", "JSON_NORMALIZE", "JSON_OBJECT_FILTER_KEYS", "JSON_OBJECT_TO_ARRAY",
    "JSON_QUERY", "KDF", "LASTVAL", "LENGTHB", "MEDIAN", "NATURAL_SORT_KEY", "NEXTVAL", "NVL", "NVL2",
    "OLD_PASSWORD", "PASSWORD", "PERCENTILE_CONT", "PERCENTILE_DISC", "REGEXP_REPLACE_ORACLE", "SETVAL", "SFORMAT",
    "SYS_GUID", "TO_CHAR", "TO_NUMBER", "TRIM_ORACLE", "TRUNC", "UUID_V4", "UUID_V7", "VEC_DISTANCE",
    "VEC_DISTANCE_COSINE", "VEC_DISTANCE_EUCLIDEAN", "VEC_FROMTEXT", "VEC_TOTEXT",
}  # fmt: skip
# Defaults that MariaDB takes and MySQL does not: what it has no function for, sequences, the server's own state.
_NO_DEFAULT = re.compile(rf"\b(?:VERSION|{'|'.join(sorted(ONLY_MARIADB))})\s*\(|@@", re.I)
_LONG = ("text", "blob", "json", "geometry", "point")


@dataclass(frozen=True)
class Native:
    """A type that MySQL has not: what stands for it, the characters that hold any value, and what changes."""

    becomes: str
    length: int
    why: str


# As text in ASCII, compared without regard to case, as MariaDB takes and shows it.
NATIVE_TYPES = {
    "uuid": Native("char(36)", 36, "MySQL has no uuid: the text that SELECT shows; it sorts by its text"),
    "inet4": Native("varchar(15)", 15, "MySQL has no inet4: the address as text; it sorts by its text"),
    "inet6": Native("varchar(39)", 39, "MySQL has no inet6: the address as text; it sorts by its text"),
}
# The rest, for the documentation: what is done by schema/mariadb.py and accounts/mariadb.py.
OTHERWISE = (
    ("`JSON`", "`LONGTEXT` with `CHECK (json_valid(…))`", "nothing: MySQL's JSON would sort keys, drop doubled ones and rewrite numbers"),
    ("sequences", "left out", "columns lose the default that drew from one"),
    ("`WITH SYSTEM VERSIONING`", "a plain table", "the rows of today move, the history stays; `ROW START` and `ROW END` become columns with defaults"),
    ("`PERIOD`, `WITHOUT OVERLAPS`", "two columns, `CHECK` that one is before the other", "the key is unique by the period's ends; overlaps are no longer refused"),
    ("Aria and MyISAM", "InnoDB", "read outside of the snapshot, and said so"),
    ("`IGNORED`, `COMPRESSED`, `PAGE_CHECKSUM`, `TRANSACTIONAL`", "`INVISIBLE`, or nothing", "nothing that a query could see"),
    ("`CHECK` names", "kept, or `<table>_chk_<n>`", "in MySQL a name may stand once in a database"),
    ("`UNIQUE` on a whole `TEXT` or `BLOB`", "unique by `sha2(…, 256)`", "unique by its bytes, not by its collation"),
    ("code with MariaDB's own syntax or functions", "left out, with the reason", "`FOR … IN`, `RETURNING`, `EXECUTE IMMEDIATE`, packages, `FOR SYSTEM_TIME`, sql_mode `ORACLE`, …"),
    ("roles", "roles at `%`", "one named as the user `user@%` is left out"),
    ("`ed25519`, `unix_socket`, several ways to log in", "locked, on the reset list", "a `mysql_native_password` hash moves where the target has the plugin"),
)  # fmt: skip
NATIVE_COLLATION = ("ascii", "ascii_general_ci")


def collation_of(name: str) -> tuple[str, str]:
    """The nearest collation of MySQL, and what is different about it; empty where it is the same one."""
    for matches, chosen in _COLLATIONS:
        found = matches.fullmatch(name)
        if found:
            nearest, why = chosen(found)
            return nearest, why
    return name, ""


def _uca1400(found: "re.Match[str]") -> tuple[str, str]:
    charset, language = found["charset"] or "utf8mb4", found["language"] or ""
    why = [] if found["nopad"] else ["a trailing space counts in it"]
    if charset != "utf8mb4":
        # Only utf8mb4 has collations of UCA 9.0.0; these pad, whatever MariaDB's did.
        why = ["trailing spaces do not count in it"] if found["nopad"] else []
        return f"{charset}_unicode_520_ci", "; ".join(["the order of UCA 5.2.0", *why])
    tag = LANGUAGES.get(language) if language else None
    if language and tag is None:
        why.append(f"MySQL has no rules for {language}")
    # Neither accents without case, nor case without accents, has rules of a language.
    strength = "ai_ci" if (found["accents"], found["case"]) == ("ai", "ci") else "as_cs"
    if not tag and (found["accents"], found["case"]) == ("as", "ci"):
        strength = "as_ci"
    if strength != f"{found['accents']}_{found['case']}":
        why.append("accents and case both count in it")
    return f"utf8mb4_{tag + '_' if tag else ''}0900_{strength}", "; ".join(["the order of UCA 9.0.0", *why])


def _nopad(found: "re.Match[str]") -> tuple[str, str]:
    charset, kind = found["charset"], found["kind"]
    if charset == "utf8mb4":
        nearest = "utf8mb4_0900_bin" if kind == "bin" else "utf8mb4_0900_ai_ci"
        return nearest, "" if kind == "bin" else "the order of UCA 9.0.0"
    return f"{charset}_{kind}", "trailing spaces do not count in it"


def _other(nearest: str, why: str) -> Callable[["re.Match[str]"], tuple[str, str]]:
    return lambda found: (found.expand(nearest), why)


# First match.
_COLLATIONS: tuple[tuple["re.Pattern[str]", Callable[["re.Match[str]"], tuple[str, str]]], ...] = (
    (_UCA1400, _uca1400),
    (re.compile(r"(?P<charset>[a-z0-9]+)_(?:(?:general|unicode|unicode_520)_nopad_ci)"),
     lambda found: ("utf8mb4_0900_ai_ci", "the order of UCA 9.0.0") if found["charset"] == "utf8mb4"
     else (found[0].replace("_nopad", ""), "trailing spaces do not count in it")),
    (re.compile(r"(?P<charset>[a-z0-9]+)_(?:(?P<any>\w+_)?)nopad_(?P<kind>bin)"), _nopad),
    (re.compile(r"(\w+)_nopad_(ci|cs)"), _other(r"\1_\2", "trailing spaces do not count in it")),
    (re.compile(r"utf8mb4_general1400_as_ci"), _other("utf8mb4_0900_as_ci", "the order of UCA 9.0.0")),
    (re.compile(r"(\w+)_general1400_as_ci"), _other(r"\1_general_ci", "accents do not count in it")),
    (re.compile(r"utf8mb4_(?:myanmar_ci|thai_520_w2)"), _other("utf8mb4_0900_ai_ci", "MySQL has no rules for the language")),
    (re.compile(r"(utf8mb3|utf8|ucs2|utf16|utf32)_(?:myanmar_ci|thai_520_w2)"),
     _other(r"\1_unicode_520_ci", "MySQL has no rules for the language")),
    (re.compile(r"(\w+)_croatian_mysql561_ci"), _other(r"\1_croatian_ci", "")),
    (re.compile(r"latin1_swedish_nopad_ci"), _other("latin1_swedish_ci", "trailing spaces do not count in it")),
)  # fmt: skip


def as_mysql(column: Column, version: tuple[int, int, int] = (10, 6, 0)) -> Column:
    """A column read from the information_schema of a MariaDB of `version` as MySQL's would show it on the target."""
    kind = re.sub(r"\s*/\*M!\d+ .*?\*/", "", column.type)
    made = replace(column, type=kind)
    native = NATIVE_TYPES.get(column.data_type)
    if native:
        made = replace(
            made,
            data_type=native.becomes.partition("(")[0],
            type=native.becomes,
            charset=NATIVE_COLLATION[0],
            collation=NATIVE_COLLATION[1],
            length=native.length,
            octets=native.length,
        )
    elif column.data_type == "geometrycollection":
        made = replace(made, data_type="geomcollection", type="geomcollection")
    if made.collation:
        made = replace(made, collation=collation_of(made.collation)[0])
    if (made.type, made.collation) != (column.type, column.collation) and (column.data_type != "geometrycollection"):
        shown = f" COLLATE {column.collation}" if made.collation != column.collation and not native else ""
        made = replace(made, native=column.type + shown)
    made = replace(made, **_default(made), on_update=_now(made.on_update))
    if column.generated and (column.expression or "").upper() in ("ROW START", "ROW END"):
        made = replace(
            made, generated=None, expression=None, native=f"{column.type} {column.expression}", **_row(column, version)
        )
    return made


def _default(column: Column) -> dict[str, Any]:
    """The default as MySQL shows it: text without quotes, and whether it is an expression."""
    text = column.default
    if text is None or text.upper() == "NULL" or refused_default(text):
        return {"default": None, "default_is_expression": False}
    literal = _STRING.fullmatch(text) or _HEX.fullmatch(text)
    if literal and not column.data_type.endswith(_LONG):
        value = to_bytes(text).decode("utf-8", "surrogateescape")
        if column.data_type in ("binary", "varbinary"):
            # MySQL shows them in hexadecimal, up to the first byte 0.
            value = "0x" + to_bytes(text).partition(b"\0")[0].hex().upper()
        return {"default": value, "default_is_expression": False}
    now = _NOW.fullmatch(text)
    if now:
        return {"default": _now(text), "default_is_expression": True}
    plain = _NUMBER.fullmatch(text) or re.fullmatch(r"b'[01]*'", text)
    if plain and not column.data_type.endswith(_LONG):
        return {"default": text, "default_is_expression": False}
    return {"default": text, "default_is_expression": True}


def refused_default(text: str) -> bool:
    """Whether MySQL takes no such default."""
    return _STRING.fullmatch(text) is None and _NO_DEFAULT.search(text) is not None


@dataclass(frozen=True)
class RowTime:
    """What a ROW START or ROW END column becomes that the server no longer keeps."""

    type: str
    default: str
    on_update: str | None


def row_time(data_type: str, which: str, version: tuple[int, int, int]) -> RowTime:
    """The start follows every change; the end is the end of time, which MySQL's TIMESTAMP does not reach since 11.5."""
    if data_type != "timestamp":
        return RowTime("bigint(20) unsigned", "0" if which == "ROW START" else "18446744073709551615", None)
    if which == "ROW START":
        return RowTime("timestamp(6)", "CURRENT_TIMESTAMP(6)", "CURRENT_TIMESTAMP(6)")
    return RowTime(
        "datetime(6)", "2106-02-07 06:28:15.999999" if version >= (11, 5, 0) else "2038-01-19 03:14:07.999999", None
    )


def _row(column: Column, version: tuple[int, int, int]) -> dict[str, Any]:
    made = row_time(column.data_type, (column.expression or "").upper(), version)
    return {
        "type": made.type,
        "data_type": made.type.partition("(")[0],
        "default": made.default,
        "default_is_expression": made.default.startswith("CURRENT"),
        "on_update": made.on_update,
    }


def _now(text: str | None) -> str | None:
    found = _NOW.fullmatch(text.strip()) if text else None
    if found is None:
        return text
    return "CURRENT_TIMESTAMP" + (f"({found[1]})" if found[1] and found[1] != "0" else "")


def to_bytes(literal: str) -> bytes:
    """The bytes of a string literal, those among them that are no text; since 11.5 these are printed as x'…'."""
    found = _HEX.fullmatch(literal)
    if found:
        return bytes.fromhex(found[1])
    return unquoted(literal).encode("utf-8", "surrogateescape")


def unquoted(literal: str) -> str:
    """The text of a string literal."""
    inner = literal[1:-1].replace("''", "'")
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), inner, flags=re.S)


def markdown() -> str:
    """What MariaDB has under other names than MySQL, as a Markdown table, for the README."""
    lines = ["| MariaDB | Cloud SQL | what changes |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | `{native.becomes}` | {native.why} |" for name, native in NATIVE_TYPES.items()]
    examples = (
        "utf8mb4_uca1400_ai_ci", "utf8mb4_uca1400_nopad_as_cs", "utf8mb4_uca1400_swedish_ai_ci", "utf8mb3_uca1400_ai_ci",
        "utf8mb4_general_nopad_ci", "latin1_nopad_bin",
    )  # fmt: skip
    for name in examples:
        nearest, why = collation_of(name)
        lines.append(f"| `{name}` | `{nearest}` | {why} |")
    lines += [f"| {what} | {becomes} | {why} |" for what, becomes, why in OTHERWISE]
    return "\n".join(lines)
