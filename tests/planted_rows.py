"""Defects of rows and objects as they are planted: tables with the statements that damage them on each hop."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class PlantedRows:
    """One variant of a defect in a table of its own: what fills it on the source, and what damages it on either hop.

    In the statements {t} is the table. `keys` are those of the rows befallen, as the report shows them (of a keyless
    table its first column); `column` where the defect is one of values. None: it does not occur on that hop.
    """

    number: int
    variant: str
    table: str
    create: str
    fill: str
    target: tuple[str, ...] | None
    warehouse: tuple[str, ...] | None
    keys: frozenset[str]
    column: str | None = None
    warehouse_keys: frozenset[str] | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of its primary key; none where it has none."""
        several = re.search(r"PRIMARY KEY \(([^)]*)\)", self.create)
        alone = re.search(r"[(,] *(\w+) [^,]*PRIMARY KEY", self.create)
        return tuple(several[1].split(", ")) if several else (alone[1],) if alone else ()


def _keys(*items: object) -> frozenset[str]:
    return frozenset(map(str, items))


def _numbers(values: str) -> str:
    return f"WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 90) SELECT {values} FROM c"


def _fill(values: str) -> str:
    return f"INSERT INTO {{t}} {_numbers(values)}"


_TEXT_KEY = "(k VARCHAR(40) COLLATE utf8mb4_bin PRIMARY KEY, v INT)"
_COUNTED = "(id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20))"
_PAIRS = "(id INT PRIMARY KEY, a VARCHAR(60), b VARCHAR(60), c TEXT, d TEXT, e INT, f INT, g DATE, h DATE)"
_PAIR_FILL = _fill(
    "n, CONCAT('left', n), CONCAT('right', n), CONCAT('ünten ', n), CONCAT('oben ', n), n, n * 7, '2020-01-01' + INTERVAL n DAY, '1999-12-31' - INTERVAL n DAY"
)
_STALE = "(id INT PRIMARY KEY, state VARCHAR(20), price DECIMAL(8,2), {})"


def _stale(variant: str, table: str, column: str, fill: str, sql: str, google: str) -> PlantedRows:
    damage = "UPDATE {t} SET state = 'open', price = price - 1, {} WHERE id IN (5, 6, 70)"
    return PlantedRows(
        48, variant, table, _STALE.format(column), _fill(f"n, CONCAT('done', n), n * 1.25, {fill}"),
        (damage.replace("{}", sql),), (damage.replace("{}", google),), _keys(5, 6, 70), "state",
    )  # fmt: skip


_WHOLE = _fill("n, CONCAT('v', n)")
ROWS: tuple[PlantedRows, ...] = (
    PlantedRows(31, "missing, by text", "r31a", _TEXT_KEY, _fill("CONCAT('k', n), n"), ("DELETE FROM {t} WHERE k IN ('k7', 'k70')",), ("DELETE FROM {t} WHERE k IN ('k7', 'k70')",), _keys("k7", "k70")),
    PlantedRows(31, "extra, two columns", "r31b", "(a INT, b DATE, v INT, PRIMARY KEY (a, b))", _fill("n MOD 7, '2020-01-01' + INTERVAL n DAY, n"), ("INSERT INTO {t} VALUES (100, '2021-01-01', 1), (101, '2021-01-01', 2)",), ("INSERT INTO {t} (a, b, v) VALUES (100, DATE '2021-01-01', 1), (101, DATE '2021-01-01', 2)",), _keys(100, 101)),
    PlantedRows(31, "missing, keyless", "r31c", "(a VARCHAR(30), v DOUBLE)", _fill("CONCAT('row', n), n / 3"), ("DELETE FROM {t} WHERE a IN ('row4', 'row44')",), ("DELETE FROM {t} WHERE a IN ('row4', 'row44')",), _keys("row4", "row44")),
    PlantedRows(32, "one too many", "r32a", "(a VARCHAR(30), v INT)", _fill("CONCAT('row', n), n"), ("INSERT INTO {t} VALUES ('row9', 9), ('row10', 10)",), ("INSERT INTO {t} (a, v) VALUES ('row9', 9), ('row10', 10)",), _keys("row9", "row10")),
    PlantedRows(32, "one too few", "r32b", "(a VARCHAR(30), v INT)", _fill("CONCAT('row', n DIV 2), n DIV 2"), ("DELETE FROM {t} WHERE a = 'row9' LIMIT 1",), None, _keys("row9")),
    PlantedRows(32, "of a keyed table", "r32c", _COUNTED, _WHOLE, None, ("INSERT INTO {t} SELECT * FROM {t} WHERE id IN (3, 33)",), _keys(3, 33)),
    PlantedRows(32, "three times", "r32d", "(seen DATETIME, v INT)", _fill("'2020-01-01' + INTERVAL n HOUR, n"), ("INSERT INTO {t} SELECT seen, v FROM (SELECT * FROM {t} WHERE v = 5) AS o, (SELECT 1 UNION ALL SELECT 2) AS p",), ("INSERT INTO {t} SELECT * FROM {t} WHERE v = 5 UNION ALL SELECT * FROM {t} WHERE v = 5",), _keys("2020-01-01 05:00:00"), warehouse_keys=_keys("1577854800000000")),
    PlantedRows(34, "case", "r34a", _TEXT_KEY, "INSERT INTO {t} VALUES ('a', 1), ('A', 2), ('b', 3), ('B', 4), ('c', 5)", ("DELETE FROM {t} WHERE k IN ('A', 'b')", "ALTER TABLE {t} MODIFY k VARCHAR(40) COLLATE utf8mb4_0900_ai_ci"), ("DELETE FROM {t} WHERE k IN ('A', 'b')",), _keys("A", "b")),
    PlantedRows(34, "accent", "r34b", _TEXT_KEY, "INSERT INTO {t} VALUES ('e', 1), ('é', 2), ('o', 3)", ("DELETE FROM {t} WHERE k = 'é'", "ALTER TABLE {t} MODIFY k VARCHAR(40) COLLATE utf8mb4_0900_ai_ci"), None, _keys("é")),
    PlantedRows(34, "space at the end", "r34c", "(k VARCHAR(40) COLLATE utf8mb4_0900_bin PRIMARY KEY, v INT)", "INSERT INTO {t} VALUES ('x', 1), ('x ', 2), ('y', 3)", ("DELETE FROM {t} WHERE k = 'x '", "ALTER TABLE {t} MODIFY k VARCHAR(40) COLLATE utf8mb4_bin"), ("DELETE FROM {t} WHERE k = 'x '",), _keys("x ")),
    PlantedRows(34, "two columns", "r34d", "(k VARCHAR(40) COLLATE utf8mb4_bin, l VARCHAR(9) COLLATE utf8mb4_bin, v INT, PRIMARY KEY (k, l))", "INSERT INTO {t} VALUES ('a', 'p', 1), ('A', 'p', 2), ('A', 'P', 3), ('c', 'q', 4)", None, ("DELETE FROM {t} WHERE k = 'A'",), _keys("A")),
    PlantedRows(35, "never, by number", "r35a", _COUNTED, _WHOLE, ("DELETE FROM {t} WHERE id BETWEEN 31 AND 60",), ("DELETE FROM {t} WHERE id BETWEEN 31 AND 60",), _keys(*range(31, 61))),
    PlantedRows(35, "never, by day", "r35b", "(k DATE PRIMARY KEY, v INT)", _fill("'2020-01-01' + INTERVAL n DAY, n"), ("DELETE FROM {t} WHERE v > 65",), ("DELETE FROM {t} WHERE v > 65",), _keys(*(f"2020-03-{day:02}" for day in range(7, 32)))),
    PlantedRows(35, "twice, keyless", "r35c", "(a VARCHAR(30), v INT)", _fill("CONCAT('row', n), n"), ("INSERT INTO {t} SELECT * FROM (SELECT * FROM {t}) AS o",), ("INSERT INTO {t} SELECT * FROM {t}",), _keys(*(f"row{n}" for n in range(1, 91)))),
    PlantedRows(35, "twice, by number", "r35d", "(id BIGINT PRIMARY KEY, v VARCHAR(20))", _WHOLE, None, ("INSERT INTO {t} SELECT * FROM {t} WHERE id BETWEEN 21 AND 45",), _keys(*range(21, 46))),
    PlantedRows(47, "here and there", "r47a", _COUNTED, _WHOLE, ("DELETE FROM {t} WHERE id IN (3, 17, 88)",), ("DELETE FROM {t} WHERE id IN (3, 17, 88)",), _keys(3, 17, 88)),
    PlantedRows(47, "one", "r47b", "(id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v DOUBLE)", _fill("n, n / 7"), ("DELETE FROM {t} WHERE id = 40",), ("DELETE FROM {t} WHERE id = 40",), _keys(40)),
    PlantedRows(47, "some in a row", "r47c", "(id SMALLINT AUTO_INCREMENT PRIMARY KEY, v DATE)", _fill("n, '2020-01-01' + INTERVAL n DAY"), ("DELETE FROM {t} WHERE id BETWEEN 50 AND 55",), ("DELETE FROM {t} WHERE id BETWEEN 50 AND 55",), _keys(*range(50, 56))),
    _stale("by its time of change", "r48a", "seen_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", "'2024-01-01' + INTERVAL n HOUR", "seen_at = '2023-12-01 00:00:00'", "seen_at = TIMESTAMP '2023-12-01 00:00:00+00:00'"),
    _stale("by its version", "r48b", "version INT", "n + 5", "version = 2", "version = 2"),
    PlantedRows(48, "a delete", "r48c", _COUNTED, "INSERT INTO {t} SELECT * FROM (" + _numbers("n, CONCAT('v', n)") + ") AS f WHERE n NOT IN (8, 80)", ("INSERT INTO {t} VALUES (8, 'old'), (80, 'old')",), ("INSERT INTO {t} (id, v) VALUES (8, 'old'), (80, 'old')",), _keys(8, 80)),
)  # fmt: skip


@dataclass(frozen=True)
class PlantedPair:
    """A defect between two columns of the table `pairs`: what damages it on either hop, and the rows and columns befallen."""

    number: int
    variant: str
    target: str
    warehouse: str
    keys: frozenset[str]
    columns: tuple[str, str]


PAIRS_CREATE, PAIRS_FILL = _PAIRS, _PAIR_FILL
# MySQL sees what it has set already in the same statement: values are exchanged through a join with the table itself.
_SWAP = "UPDATE {{t}} AS x JOIN {{t}} AS y USING (id) SET x.{0} = y.{1}, x.{1} = y.{0} WHERE x.id IN ({2})"
_GOOGLE = "UPDATE {{t}} SET {0} = {1}, {1} = {0} WHERE id IN ({2})"
_MOVE = "UPDATE {{t}} AS x JOIN {{t}} AS y USING (id) SET x.{0} = {3}, x.{1} = {4} WHERE x.id IN ({2})"
_GOOGLE_MOVE = "UPDATE {{t}} SET {0} = {3}, {1} = {4} WHERE id IN ({2})"
PAIRS: tuple[PlantedPair, ...] = (
    PlantedPair(9, "to the right", _MOVE.format("a", "b", "1, 2, 3", "LEFT(y.a, 4)", "CONCAT(SUBSTR(y.a, 5), y.b)"), _GOOGLE_MOVE.format("a", "b", "1, 2, 3", "SUBSTR(a, 1, 4)", "CONCAT(SUBSTR(a, 5), b)"), _keys(1, 2, 3), ("a", "b")),
    PlantedPair(9, "to the left", _MOVE.format("a", "b", "4, 5", "CONCAT(y.a, LEFT(y.b, 1))", "SUBSTR(y.b, 2)"), _GOOGLE_MOVE.format("a", "b", "4, 5", "CONCAT(a, SUBSTR(b, 1, 1))", "SUBSTR(b, 2)"), _keys(4, 5), ("a", "b")),
    PlantedPair(9, "of long texts", _MOVE.format("c", "d", "6, 7", "CONCAT(y.c, LEFT(y.d, 2))", "SUBSTR(y.d, 3)"), _GOOGLE_MOVE.format("c", "d", "6, 7", "CONCAT(c, SUBSTR(d, 1, 2))", "SUBSTR(d, 3)"), _keys(6, 7), ("c", "d")),
    PlantedPair(10, "texts", _SWAP.format("a", "b", "11, 12"), _GOOGLE.format("a", "b", "11, 12"), _keys(11, 12), ("a", "b")),
    PlantedPair(10, "numbers", _SWAP.format("e", "f", "13, 14"), _GOOGLE.format("e", "f", "13, 14"), _keys(13, 14), ("e", "f")),
    PlantedPair(10, "days", _SWAP.format("g", "h", "15, 16"), _GOOGLE.format("g", "h", "15, 16"), _keys(15, 16), ("g", "h")),
)  # fmt: skip


@dataclass(frozen=True)
class PlantedObject:
    """A defect of an object on the target: what damages it (statements between `;;`), and a word that its finding must hold."""

    number: int
    variant: str
    damage: str
    named: str
    mend: str = ""  # run at the end, for what outlives the database


OBJECTS_CREATE = (
    """CREATE TABLE parent (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL, UNIQUE KEY by_code (code))""",
    """CREATE TABLE objects (id INT AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL, b VARCHAR(80), c INT DEFAULT 7, d DECIMAL(10,4),
       e VARCHAR(20) DEFAULT 'x', f TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, g INT GENERATED ALWAYS AS (a + 1) STORED,
       h INT GENERATED ALWAYS AS (a * 2) VIRTUAL, i INT GENERATED ALWAYS AS (a - 1) VIRTUAL, j VARCHAR(30) COLLATE utf8mb4_bin, k VARCHAR(30) CHARACTER SET latin1,
       l BIGINT UNSIGNED, m VARCHAR(60), p1 INT, p2 INT, p3 INT, w DATETIME,
       KEY by_b (b), UNIQUE KEY by_a (a), KEY by_m (m(10)), KEY by_c (c),
       CONSTRAINT fk1 FOREIGN KEY (p1) REFERENCES parent (id) ON DELETE CASCADE,
       CONSTRAINT fk2 FOREIGN KEY (p2) REFERENCES parent (id),
       CONSTRAINT fk3 FOREIGN KEY (p3) REFERENCES parent (id) ON UPDATE CASCADE,
       CONSTRAINT ck1 CHECK (a > 0), CONSTRAINT ck2 CHECK (c < 100), CONSTRAINT ck3 CHECK (d >= 0)) COLLATE utf8mb4_0900_ai_ci""",
    "CREATE TABLE counted1 (id INT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT = 500",
    "CREATE TABLE counted2 (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT = 9000000000",
    "CREATE TABLE counted3 (id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT = 60000",
    "INSERT INTO parent WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20) SELECT n, CONCAT('c', n) FROM c",
    "INSERT INTO objects (a, d, p1, p2, p3) SELECT id, 1, id, id, id FROM parent",
    "CREATE TRIGGER tr1 BEFORE INSERT ON objects FOR EACH ROW SET NEW.c = 8",
    "CREATE VIEW vw1 AS SELECT id, a FROM objects",
    "CREATE PROCEDURE pr1() SELECT 1",
    "CREATE EVENT ev1 ON SCHEDULE EVERY 1 DAY DO SELECT 1",
)  # fmt: skip
OBJECTS: tuple[PlantedObject, ...] = (
    PlantedObject(37, "lost", "ALTER TABLE objects DROP FOREIGN KEY fk1", "fk1"),
    PlantedObject(37, "another action", "ALTER TABLE objects DROP FOREIGN KEY fk2;; ALTER TABLE objects ADD CONSTRAINT fk2 FOREIGN KEY (p2) REFERENCES parent (id) ON DELETE SET NULL", "fk2"),
    PlantedObject(37, "action lost", "ALTER TABLE objects DROP FOREIGN KEY fk3;; ALTER TABLE objects ADD CONSTRAINT fk3 FOREIGN KEY (p3) REFERENCES parent (id)", "fk3"),
    PlantedObject(38, "lost", "ALTER TABLE objects DROP INDEX by_b", "by_b"),
    PlantedObject(38, "not unique", "ALTER TABLE objects DROP INDEX by_a, ADD INDEX by_a (a)", "by_a"),
    PlantedObject(38, "another prefix", "ALTER TABLE objects DROP INDEX by_m, ADD INDEX by_m (m(20))", "by_m"),
    PlantedObject(38, "invisible", "ALTER TABLE objects ALTER INDEX by_c INVISIBLE", "by_c"),
    PlantedObject(39, "lost", "ALTER TABLE objects DROP CHECK ck1", "ck1"),
    PlantedObject(39, "not enforced", "ALTER TABLE objects ALTER CHECK ck2 NOT ENFORCED", "ck2"),
    PlantedObject(39, "another", "ALTER TABLE objects DROP CHECK ck3, ADD CONSTRAINT ck3 CHECK (d >= -1)", "ck3"),
    PlantedObject(40, "trigger lost", "DROP TRIGGER tr1", "tr1"),
    PlantedObject(40, "view changed", "ALTER VIEW vw1 AS SELECT id, a + 0 AS a FROM objects", "vw1"),
    PlantedObject(40, "procedure lost", "DROP PROCEDURE pr1", "pr1"),
    PlantedObject(40, "event changed", "ALTER EVENT ev1 ON SCHEDULE EVERY 2 DAY", "ev1"),
    PlantedObject(41, "as new", "ALTER TABLE counted1 AUTO_INCREMENT = 1", "counted1"),
    PlantedObject(41, "a little", "ALTER TABLE counted2 AUTO_INCREMENT = 8999999999", "counted2"),
    PlantedObject(41, "at a smaller number", "ALTER TABLE counted3 AUTO_INCREMENT = 300", "counted3"),
    PlantedObject(42, "default", "ALTER TABLE objects ALTER e SET DEFAULT 'y'", "`e`"),
    PlantedObject(42, "ON UPDATE", "ALTER TABLE objects MODIFY f TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP", "`f`"),
    PlantedObject(42, "NULL allowed", "ALTER TABLE objects MODIFY c INT NOT NULL DEFAULT 7", "`c`"),
    PlantedObject(43, "collation", "ALTER TABLE objects MODIFY j VARCHAR(30) COLLATE utf8mb4_0900_as_cs", "`j`"),
    PlantedObject(43, "character set", "ALTER TABLE objects MODIFY k VARCHAR(30) CHARACTER SET utf8mb4", "`k`"),
    PlantedObject(43, "default of the table", "ALTER TABLE parent DEFAULT COLLATE utf8mb4_bin", "parent"),
    PlantedObject(44, "plain", "ALTER TABLE objects MODIFY g INT", "`g`"),
    PlantedObject(44, "another rule", "ALTER TABLE objects MODIFY h INT GENERATED ALWAYS AS (a * 3) VIRTUAL", "`h`"),
    PlantedObject(44, "stored", "ALTER TABLE objects DROP COLUMN i, ADD COLUMN i INT GENERATED ALWAYS AS (a - 1) STORED AFTER h", "`i`"),
    PlantedObject(45, "narrower text", "ALTER TABLE objects MODIFY b VARCHAR(40)", "`b`"),
    PlantedObject(45, "signed", "ALTER TABLE objects MODIFY l BIGINT", "`l`"),
    PlantedObject(45, "fewer decimals", "ALTER TABLE objects MODIFY d DECIMAL(10,2)", "`d`"),
    PlantedObject(18, "a TIMESTAMP", "ALTER TABLE objects MODIFY w TIMESTAMP NULL", "`w`"),
    PlantedObject(46, "privilege lost", "REVOKE INSERT ON {d}.* FROM {u}1", "INSERT"),
    PlantedObject(46, "role not by default", "SET DEFAULT ROLE NONE TO {u}2", "{u}2"),
    PlantedObject(46, "privilege gained", "GRANT DELETE ON {d}.* TO {u}1", "DELETE"),
    PlantedObject(49, "sql_mode", "SET GLOBAL sql_mode = 'ANSI_QUOTES'", "sql_mode", "SET GLOBAL sql_mode = DEFAULT"),
    PlantedObject(49, "time_zone", "SET GLOBAL time_zone = '+02:00'", "time_zone", "SET GLOBAL time_zone = DEFAULT"),
    PlantedObject(49, "collation_server", "SET GLOBAL collation_server = 'utf8mb4_bin'", "collation_server", "SET GLOBAL collation_server = DEFAULT"),
)  # fmt: skip
# Rows without a parent, by the table they are in: one parent of each is deleted.
ORPHANS = ("orphans1", "orphans2", "orphans3")
ORPHANS_CREATE = (
    "CREATE TABLE above (id INT PRIMARY KEY, day DATE NOT NULL, UNIQUE KEY (id, day))",
    "INSERT INTO above WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 30) SELECT n, '2020-01-01' + INTERVAL n DAY FROM c",
    "CREATE TABLE orphans1 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES above (id))",
    "CREATE TABLE orphans2 (id INT PRIMARY KEY, p INT, q DATE, FOREIGN KEY (p, q) REFERENCES above (id, day))",
    "CREATE TABLE orphans3 (id INT PRIMARY KEY, p INT NOT NULL, FOREIGN KEY (p) REFERENCES above (id) ON DELETE CASCADE)",
    "INSERT INTO orphans1 SELECT id, id FROM above",
    "INSERT INTO orphans2 SELECT id, id, day FROM above",
    "INSERT INTO orphans3 SELECT id * 2, id FROM above",
)  # fmt: skip

# Columns of a raw table that get another type in the warehouse.
RETYPED = {"d": "FLOAT64", "l": "FLOAT64", "w": "DATE"}
