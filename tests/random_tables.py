"""Random tables with random rows, as SQL, the same again from the same dice: every type, key and shape the load must carry."""

import random
from collections.abc import Callable
from dataclasses import dataclass

Dice = random.Random
_SPECIAL = ["\t", "\n", "\\", "\\N", "\0", "'", '"', "`", "%s", "\r\n", "\x1a", "NULL", " ", "  "]


def _bytes(dice: Dice, most: int) -> str:
    value = dice.randbytes(dice.randrange(most + 1))
    if dice.random() < 0.3:
        value = (dice.choice(_SPECIAL).encode() * most)[:most]
    return f"_binary 0x{value.hex()}" if value else "''"


def _text(dice: Dice, most: int, alphabet: str) -> str:
    letters = [
        dice.choice(_SPECIAL) if dice.random() < 0.2 else dice.choice(alphabet) for _ in range(dice.randrange(most + 1))
    ]
    text = "".join(letters)[:most]
    return "CONVERT(0x" + text.encode().hex() + " USING utf8mb4)" if text else "''"


def _whole(low: int, high: int) -> Callable[[Dice], str]:
    return lambda dice: str(dice.choice([low, high, 0, dice.randrange(low, high + 1)]))


def _decimal(digits: int, scale: int) -> Callable[[Dice], str]:
    def make(dice: Dice) -> str:
        number = str(dice.randrange(10 ** dice.randrange(1, digits + 1))).zfill(scale + 1)
        text = f"{number[:-scale]}.{number[-scale:]}" if scale else number
        return dice.choice(["", "-"]) + text

    return make


def _float(dice: Dice) -> str:
    return dice.choice(["0", "-0.0", "1e38", "1.17549435e-38", repr(dice.uniform(-1e6, 1e6)), repr(dice.random())])


def _double(dice: Dice) -> str:
    return dice.choice(
        ["0", "-0.0", "5e-324", "1.7976931348623157e308", repr(dice.uniform(-1e12, 1e12)), repr(dice.random())]
    )


def _date(dice: Dice) -> str:
    return dice.choice(
        ["'0000-00-00'", "'2019-02-31'", "'9999-12-31'", "'2020-00-00'"]
        + [f"'{dice.randrange(1, 9999):04}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}'"] * 4
    )


def _moment(digits: int, low: int = 1, high: int = 9999) -> Callable[[Dice], str]:
    def make(dice: Dice) -> str:
        fraction = f".{dice.randrange(10**digits):0{digits}}" if digits else ""
        day = f"{dice.randrange(low, high):04}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"
        return f"'{day} {dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02}{fraction}'"

    return make


def _time(dice: Dice) -> str:
    sign = dice.choice(["", "-"])
    return (
        f"'{sign}{dice.randrange(839):02}:{dice.randrange(60):02}:{dice.randrange(60):02}.{dice.randrange(10**6):06}'"
    )


def _json(dice: Dice, depth: int = 2) -> str:
    def value(deep: int) -> str:
        kind = dice.randrange(7 if deep else 5)
        if kind == 0:
            return dice.choice(["null", "true", "false"])
        if kind == 1:
            return repr(dice.choice([0, -1, 2**63, dice.random(), 1e300, dice.randrange(-(2**60), 2**60)]))
        if kind < 5:
            return '"' + dice.choice(["", "ключ", "\\\\", "\\t", "\\u0000", "é\\n", "'", "😀", '\\"']) + '"'
        if kind == 5:
            return "[" + ", ".join(value(deep - 1) for _ in range(dice.randrange(4))) + "]"
        return "{" + ", ".join(f'"k{number}": {value(deep - 1)}' for number in range(dice.randrange(4))) + "}"

    return "CONVERT(0x" + value(depth).encode().hex() + " USING utf8mb4)"


def _geometry(dice: Dice) -> str:
    point = f"{dice.uniform(-80, 80)} {dice.uniform(-80, 80)}"
    return dice.choice(
        [
            f"ST_GeomFromText('POINT({point})', {dice.choice([0, 4326])})",
            f"ST_GeomFromText('MULTIPOINT({point}, 1 2, 3 4)')",
            f"ST_GeomFromText('GEOMETRYCOLLECTION(POINT({point}), LINESTRING(0 0, {point}))')",
        ]
    )


_LATIN = "abcXYZ äöüßéñ€¥ÿ"
_ANY = "abc äß 日本 ключ 😀\u0301~;=<>&"
TYPES: list[tuple[str, Callable[[Dice], str]]] = [
    ("TINYINT", _whole(-128, 127)),
    ("SMALLINT UNSIGNED", _whole(0, 65535)),
    ("MEDIUMINT", _whole(-(2**23), 2**23 - 1)),
    ("INT UNSIGNED ZEROFILL", _whole(0, 2**32 - 1)),
    ("BIGINT", _whole(-(2**63), 2**63 - 1)),
    ("BIGINT UNSIGNED", _whole(0, 2**64 - 1)),
    ("DECIMAL(65,30)", _decimal(60, 30)),
    ("DECIMAL(12,2)", _decimal(12, 2)),
    ("FLOAT", _float),
    ("DOUBLE", _double),
    ("BIT(1)", _whole(0, 1)),
    ("BIT(64)", _whole(0, 2**64 - 1)),
    ("YEAR", lambda dice: dice.choice(["'0000'", "1901", "2155", str(dice.randrange(1901, 2155))])),
    ("DATE", _date),
    ("DATETIME", _moment(0)),
    ("DATETIME(6)", _moment(6)),
    ("TIMESTAMP(3) NULL", _moment(3, 1971, 2037)),
    ("TIME(6)", _time),
    ("CHAR(7)", lambda dice: _text(dice, 7, _ANY)),
    ("VARCHAR(90)", lambda dice: _text(dice, 30, _ANY)),
    ("VARCHAR(40) COLLATE utf8mb4_bin", lambda dice: _text(dice, 40, _ANY)),
    ("VARCHAR(40) CHARACTER SET latin1", lambda dice: _text(dice, 40, _LATIN)),
    ("VARCHAR(40) CHARACTER SET utf16", lambda dice: _text(dice, 40, _ANY)),
    ("TEXT CHARACTER SET utf8mb3", lambda dice: _text(dice, 60, "äß日本ключ ab")),
    ("LONGTEXT", lambda dice: _text(dice, 300, _ANY)),
    ("BINARY(9)", lambda dice: _bytes(dice, 9)),
    ("VARBINARY(64)", lambda dice: _bytes(dice, 64)),
    ("BLOB", lambda dice: _bytes(dice, 300)),
    ("LONGBLOB", lambda dice: _bytes(dice, 2000)),
    ("ENUM('a','','größe','\\\\')", lambda dice: dice.choice(["1", "2", "3", "4", "'never'"])),
    ("SET('x','y','größe','')", lambda dice: str(dice.randrange(8))),
    ("JSON", _json),
    ("GEOMETRY", _geometry),
]
# What MariaDB has otherwise: text in place of the JSON type, no axis order, other collations.
_NOT_MARIADB = {"JSON", "GEOMETRY"}
# Columns of the key with the value of row n; None for a table without one.
KEYS: list[tuple[str, str, str] | None] = [
    ("k0 INT", "PRIMARY KEY (k0)", "{n} - 7"),
    ("k0 INT AUTO_INCREMENT", "PRIMARY KEY (k0)", "{n} - 1"),
    ("k0 BIGINT UNSIGNED", "PRIMARY KEY (k0)", "18446744073709551615 - {n} * 3"),
    ("k0 INT, k1 VARCHAR(20)", "PRIMARY KEY (k1, k0)", "{n}, CONCAT('k%', {n} MOD 5)"),
    ("k0 VARCHAR(40) COLLATE utf8mb4_0900_ai_ci", "PRIMARY KEY (k0)", "CONCAT('é\\\\\\t', {n})"),
    ("k0 VARCHAR(40) CHARACTER SET latin1", "PRIMARY KEY (k0)", "CONCAT('ü', {n})"),
    ("k0 BINARY(16)", "PRIMARY KEY (k0)", "UNHEX(LEFT(SHA2({n}, 256), 32))"),
    ("k0 VARBINARY(30)", "PRIMARY KEY (k0 DESC)", "UNHEX(LEFT(SHA2({n}, 256), 2 + 2 * ({n} MOD 14)))"),
    ("k0 DECIMAL(20,6)", "PRIMARY KEY (k0)", "{n} / 7 - 20"),
    ("k0 DATETIME(3)", "PRIMARY KEY (k0)", "'2020-01-01' + INTERVAL {n} MINUTE"),
    ("k0 DOUBLE", "PRIMARY KEY (k0)", "{n} / 3"),
    ("k0 ENUM('b','a'), k1 INT", "PRIMARY KEY (k0, k1)", "1 + {n} MOD 2, {n}"),
    ("k0 INT NOT NULL", "UNIQUE KEY (k0)", "{n}"),
    ("k0 INT NOT NULL", "KEY (k0)", "{n} MOD 9"),
    None,
]


@dataclass(frozen=True)
class RandomTable:
    """A table's definition and the statements that fill it."""

    create: str
    inserts: tuple[str, ...]
    keyless: bool


def random_table(dice: Dice, name: str, rows: int, flavour: str = "mysql") -> RandomTable:
    """One table named `name` (quoted already) with at most `rows` rows: doubles of a random key are left out."""
    key = dice.choice(KEYS)
    if key and flavour == "mariadb":
        key = (key[0].replace("utf8mb4_0900_ai_ci", "utf8mb4_unicode_ci"), *key[1:])
    types = [each for each in TYPES if flavour == "mysql" or each[0] not in _NOT_MARIADB]
    chosen = [dice.choice(types) for _ in range(dice.randrange(1, 12))]
    columns = [key[0]] if key else []
    required = [not kind.endswith(" NULL") and dice.random() < 0.3 for kind, _ in chosen]
    for number, (kind, _) in enumerate(chosen):
        hidden = dice.random() < 0.1 and not (required[number] and flavour == "mariadb")
        extra = (" NOT NULL" if required[number] else "") + (" INVISIBLE" if hidden else "")
        columns.append(f"`c{number} %s``` {kind}{extra}")
    # One that everybody sees, and one that is computed.
    columns.append("seen TINYINT DEFAULT 1")
    if dice.random() < 0.4:
        columns.append(f"made INT GENERATED ALWAYS AS (seen + 1) {dice.choice(['VIRTUAL', 'STORED'])}")
    if key:
        columns.append(key[1])
    names = [word.split()[0] for word in key[0].split(", ")] if key else []
    places = ", ".join([*names, *(f"`c{number} %s```" for number in range(len(chosen)))])
    inserts = []
    for start in range(0, rows, 50):
        lines = []
        for n in range(start, min(start + 50, rows)):
            values = [key[2].format(n=n)] if key else []
            values += [
                "NULL" if dice.random() < 0.15 and not needed else make(dice)
                for needed, (_, make) in zip(required, chosen, strict=True)
            ]
            lines.append(f"({', '.join(values)})")
        inserts.append(f"INSERT IGNORE INTO {name} ({places}) VALUES {', '.join(lines)}")
    return RandomTable(
        f"CREATE TABLE {name} ({', '.join(columns)})", tuple(inserts), key is None or key[1].startswith("KEY")
    )
