"""Change capture on real servers: the real engine reads the source, and the target must hold the same to the byte."""

from __future__ import annotations

from pathlib import Path

from conftest import Scratch
from stream import Stream

MOST = """
CREATE TABLE kinds (id INT PRIMARY KEY AUTO_INCREMENT, tiny TINYINT, ub BIGINT UNSIGNED, dec1 DECIMAL(65,30), f FLOAT,
 db DOUBLE, b1 BIT(1), b64 BIT(64), y YEAR, d DATE, dn DATE NOT NULL, dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP NULL,
 ts3 TIMESTAMP(3) NULL, tm TIME, tm6 TIME(6), c CHAR(5), v VARCHAR(100), l1 VARCHAR(20) CHARACTER SET latin1,
 sj VARCHAR(20) CHARACTER SET sjis, t LONGTEXT, bi BINARY(5), vb VARBINARY(20), bl LONGBLOB,
 e ENUM('','ü','b,c','it''s'), s SET('x','y z','ü'), j JSON, g GEOMETRY, p POINT SRID 4326, vec VECTOR(3),
 gen INT GENERATED ALWAYS AS (tiny + 1) STORED, inv INT INVISIBLE DEFAULT 5);
CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(20));
CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id)
 ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE grandchild (id INT PRIMARY KEY, child_id INT, FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE SET NULL);
CREATE TABLE seats (id INT PRIMARY KEY, seat VARCHAR(10) UNIQUE, other INT);
CREATE TABLE words (word VARCHAR(50) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, n INT);
CREATE TABLE padded (word VARCHAR(50) COLLATE utf8mb4_general_ci, part BINARY(3), n INT, PRIMARY KEY (word, part));
CREATE TABLE keyless (a INT, b VARCHAR(20), f FLOAT, j JSON);
CREATE TABLE emptied (id INT PRIMARY KEY, v INT);
CREATE TABLE `grö ße,n & %s "x" ``尺` (`select` INT PRIMARY KEY, `ä %d ``` VARCHAR(20));
INSERT INTO kinds (id, dn) VALUES (1, '2020-01-01');
INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO child VALUES (10, 1), (11, 1), (20, 2), (30, 3);
INSERT INTO grandchild VALUES (100, 10), (200, 20), (300, 30);
INSERT INTO seats VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0);
INSERT INTO words VALUES ('Abc', 1), ('straße', 2);
INSERT INTO padded VALUES ('a ', 0x610000, 1);
INSERT INTO keyless VALUES (1, 'x', 0.1, '{"a": 1}'), (1, 'x', 0.1, '{"a": 1}'), (2, 'X', -0.0, NULL);
INSERT INTO emptied VALUES (1, 1), (2, 2);
"""

CHANGES = r"""
INSERT INTO kinds (tiny, ub, dec1, f, db, b1, b64, y, d, dn, dt, dt6, ts, ts3, tm, tm6, c, v, l1, sj, t, bi, vb, bl, e, s, j, g, p, vec, inv)
 VALUES (-128, 18446744073709551615, '12345678901234567890123456789012345.123456789012345678901234567891', 3.4028235e38,
 1.7976931348623157e308, 1, 18446744073709551615, 2155, '9999-12-31', '1000-01-01', '9999-12-31 23:59:59',
 '0001-01-01 00:00:00.000001', '2038-01-19 03:14:07', '1970-01-01 00:00:01.001', '-838:59:59', '838:59:58.999999', 'a  ',
 'tab\there ''quote'' "double" \\ back 💐 ', 'é€Ÿ', '表示ソ', REPEAT('ü', 70000), 0x0100, 0x00ff00, REPEAT(0x00ff27225c, 20000),
 'it''s', 'x,ü', '{"ü": [1, 2.5, 1e10, -0.0, "2020-01-01", "x", null, true, 123456789012345], "a": {"b": []}}',
 ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))'), ST_GeomFromText('POINT(45 90)', 4326),
 TO_VECTOR('[1.5,-0.25,3e-5]'), NULL);
INSERT INTO kinds (y, d, dn, dt, dt6, ts, ts3, tm, c, v, bi, vb, bl, e, s, b1, b64, f, db)
 VALUES (0, '0000-00-00', '0000-00-00', '0000-00-00 00:00:00', '2020-00-10 00:00:00.5', '0000-00-00', '0000-00-00 00:00:00', '00:00:00', '', '',
 '', '', '', 0, '', 0, 0, 1.1754944e-38, -0e0);
INSERT INTO kinds (d, dn, dt, e, f, db, v) VALUES ('1970-01-01', '1970-01-01', '1970-01-01', '', 16777217, 4.9e-324, NULL);
INSERT INTO kinds (id, dn, j) VALUES (0, '2020-01-01', JSON_OBJECT('d', CAST('2020-01-01' AS DATE), 'big', 1e15, 'f', 1.0));
UPDATE kinds SET id = 1000 WHERE id = 1;
UPDATE kinds SET t = CONCAT(t, '!'), j = JSON_SET(j, '$.z', 1) WHERE t IS NOT NULL;
BEGIN;
UPDATE parent SET id = 4 WHERE id = 1;
DELETE FROM parent WHERE id = 2;
INSERT INTO parent VALUES (2, 'again');
INSERT INTO child VALUES (21, 2);
UPDATE child SET parent_id = 3 WHERE id = 21;
DELETE FROM parent WHERE id = 3;
COMMIT;
BEGIN;
UPDATE seats SET seat = 'x', other = 1 WHERE id = 1;
UPDATE seats SET seat = 'a', other = 1 WHERE id = 2;
UPDATE seats SET seat = 'b', other = 1 WHERE id = 1;
DELETE FROM seats WHERE id = 3;
INSERT INTO seats VALUES (4, 'c', 2);
COMMIT;
UPDATE words SET word = 'ABC' WHERE word = 'Abc';
DELETE FROM words WHERE word = 'straße';
INSERT INTO words VALUES ('STRASSE', 3);
UPDATE padded SET n = 2, word = 'A' WHERE word = 'a';
DELETE FROM keyless WHERE a = 1 LIMIT 1;
UPDATE keyless SET b = 'y', j = '[1.5]' WHERE BINARY b = 'X';
INSERT INTO keyless VALUES (3, NULL, NULL, NULL), (3, NULL, NULL, NULL);
DELETE FROM keyless WHERE a = 3 LIMIT 1;
INSERT INTO `grö ße,n & %s "x" ``尺` VALUES (1, '%s %d "x"'), (2, NULL);
UPDATE `grö ße,n & %s "x" ``尺` SET `select` = 3 WHERE `select` = 1;
"""

DEFINITIONS = """
TRUNCATE TABLE emptied;
INSERT INTO emptied VALUES (3, 3);
ALTER TABLE emptied ADD COLUMN w VARCHAR(10) NOT NULL DEFAULT 'new' AFTER id, ADD INDEX (w);
INSERT INTO emptied VALUES (4, 'x', 4);
ALTER TABLE emptied RENAME COLUMN w TO ww, MODIFY v BIGINT;
UPDATE emptied SET v = 1234567890123 WHERE id = 3;
ALTER TABLE emptied DROP COLUMN ww;
INSERT INTO emptied VALUES (5, 5);
"""


def run(scratch: Scratch, database: str, text: str) -> None:
    """Statements on one connection, so that transactions hold."""
    scratch.script(text.strip() + "\n", database)


def test_every_change_arrives_to_the_byte(scratch: Scratch, tmp_path: Path) -> None:
    database = scratch.database()
    run(scratch, database, MOST)
    stream = Stream.of(scratch, [database], tmp_path / "state")
    run(scratch, database, CHANGES)
    stream.start()
    try:
        stream.caught_up()
        assert [(letter.error, letter.path) for letter in stream.ledger.letters(stream.target)] == []
        assert not stream.differences()
        run(scratch, database, DEFINITIONS)
        stream.caught_up()
        assert not stream.differences()
        assert [letter.error for letter in stream.ledger.letters(stream.target)] == []
        assert stream.ledger.stopped(stream.target) == ()
    finally:
        stream.stop()
