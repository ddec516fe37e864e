CREATE SEQUENCE `plate no` START WITH 100 INCREMENT BY 5
;;
CREATE TABLE `instru``ments` (
  id UUID NOT NULL DEFAULT UUID(),
  name VARCHAR(80) NOT NULL COLLATE utf8mb4_uca1400_swedish_ai_ci,
  address4 INET4, address6 INET6,
  settings JSON DEFAULT '{"b": 1, "a": [1.0, 1e2]}',
  notes TEXT COMPRESSED DEFAULT 'it''s \\ empty',
  added DATE DEFAULT (CURDATE() + INTERVAL 1 DAY),
  state VARCHAR(20) NOT NULL DEFAULT CONCAT('n', 'ew') CHECK (state <> ''),
  hidden INT INVISIBLE DEFAULT 7,
  label VARCHAR(110) AS (CONCAT(name, ' / ', state)) PERSISTENT,
  doubled INT AS (hidden * 2 + 1) VIRTUAL,
  PRIMARY KEY (id), UNIQUE KEY `one "name"` (name), KEY slow (state) IGNORED, KEY newest (added DESC, name(10)),
  CONSTRAINT sane CHECK (hidden > 0 AND state NOT LIKE 'x%' AND (hidden < 1000 OR name IN ('a', 'b')))
) ENGINE=Aria PAGE_CHECKSUM=1 TRANSACTIONAL=1 COMMENT='Who looks; it''s <b>not</b> HTML'
;;
INSERT INTO `instru``ments` (id, name, address4, address6, settings, notes, added, hidden) VALUES
  ('00000000-0000-0000-0000-000000000000', '<script>alert(1)</script>', '0.0.0.0', '::', '{"z":1,"a":2,"a":3, "n":1.10, "u":"\\u00e9"}', REPEAT('é😀', 400), '0000-00-00', 1),
  ('FFFFFFFF-ffff-ffff-ffff-ffffffffffff', 'Åse 😀', '255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '  [ 1.0 , 1e2, 18446744073709551616, null ]  ', '', '2024-02-30', 999),
  ('123e4567-e89b-12d3-a456-426614174000', 'tab\there\\', NULL, '::ffff:192.0.2.1', 'null', NULL, NULL, 7)
;;
INSERT INTO `instru``ments` (name, settings, hidden) SELECT CONCAT('finder ', seq), JSON_OBJECT('n', seq, 'half', seq / 2), 1 + seq MOD 900 FROM seq_1_to_700
;;
CREATE TABLE plates (
  id BIGINT NOT NULL DEFAULT NEXTVAL(`plate no`) PRIMARY KEY,
  instrument UUID NOT NULL, seen DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  quality DECIMAL(5,2) NOT NULL DEFAULT 1.50, remark VARCHAR(60) DEFAULT NULL,
  CONSTRAINT sane CHECK (quality BETWEEN 0 AND 100),
  CHECK (remark IS NULL OR CHAR_LENGTH(remark) > 1)
) DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_uca1400_ai_ci
;;
INSERT INTO plates (instrument, seen, quality, remark) SELECT id, '2024-01-01 00:00:00.000001' + INTERVAL hidden MINUTE, hidden MOD 100, IF(hidden MOD 3, 'ok', NULL) FROM `instru``ments`
;;
CREATE TABLE prices (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, item VARCHAR(40) NOT NULL, price DECIMAL(10,4) NOT NULL, KEY by_item (item)
) WITH SYSTEM VERSIONING AUTO_INCREMENT=1000
;;
INSERT INTO prices (item, price) SELECT CONCAT('item ', seq), seq / 7 FROM seq_1_to_900
;;
UPDATE prices SET price = price + 1 WHERE id MOD 3 = 0
;;
DELETE FROM prices WHERE id MOD 5 = 0
;;
CREATE TABLE staff (
  id INT NOT NULL, name VARCHAR(40) NOT NULL, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START, until TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE,
  PRIMARY KEY (id), PERIOD FOR SYSTEM_TIME (since, until)
) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION past HISTORY, PARTITION present CURRENT)
;;
INSERT INTO staff (id, name) VALUES (1, 'Vera'), (2, 'Cecilia'), (-3, 'Annie')
;;
UPDATE staff SET name = 'Vera R.' WHERE id = 1
;;
CREATE TABLE shifts (
  id INT NOT NULL, begins DATE NOT NULL, ends DATE NOT NULL, PERIOD FOR shift (begins, ends),
  PRIMARY KEY (id, shift WITHOUT OVERLAPS)
)
;;
INSERT INTO shifts VALUES (1, '2024-01-01', '2024-02-01'), (1, '2024-02-01', '2024-03-01'), (2, '0001-01-01', '9999-12-31')
;;
CREATE TABLE boundaries (
  id INT NOT NULL PRIMARY KEY,
  tiny TINYINT, tiny_plus TINYINT UNSIGNED, truth BOOLEAN, big BIGINT, big_plus BIGINT UNSIGNED, padded INT(8) UNSIGNED ZEROFILL, bits BIT(64), bit_1 BIT(1),
  widest DECIMAL(65,30), money DECIMAL(12,4) UNSIGNED, single FLOAT, twice DOUBLE, fixed_single FLOAT(7,3),
  day DATE, moment DATETIME(6), instant TIMESTAMP(6) NULL, span TIME(6), years YEAR,
  fixed CHAR(20), `varying` VARCHAR(400), huge LONGTEXT, west VARCHAR(40) CHARACTER SET latin1, bin VARCHAR(40) COLLATE utf8mb4_bin,
  uca VARCHAR(40) COLLATE utf8mb4_uca1400_nopad_as_cs, old_bin VARCHAR(40) COLLATE utf8mb4_nopad_bin, japanese VARCHAR(40) CHARACTER SET sjis,
  raw BINARY(8) DEFAULT X'41FF004200000000', var_raw VARBINARY(300) DEFAULT X'4142', blob_raw LONGBLOB, mood ENUM('sad', 'it''s', '😀', 'a,b') DEFAULT 'sad', extras SET('one', 'two', 'größe'),
  shape GEOMETRY, point_earth POINT REF_SYSTEM_ID=4326, document JSON,
  UNIQUE KEY whole (huge), CHECK (JSON_VALID(document))
)
;;
INSERT INTO boundaries VALUES
  (0, 0, 0, 0, 0, 0, 0, 0, b'0', 0, 0, 0, 0, 0, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '00:00:00', 0000, '', '', '', '', '', '', '', '', '', '', '', '', '', NULL, NULL, '{}'),
  (1, -128, 0, -1, -9223372036854775808, 0, 1, 1, b'1', -99999999999999999999999999999999999.999999999999999999999999999999, 0.0001, -3.402823466e38, -1.7976931348623157e308, -9999.999, '0001-01-01', '0001-01-01 00:00:00.000001', '1970-01-01 00:00:01.000001', '-838:59:59', 1901, ' x', ' x ', 'spaces ', ' x ', 'x ', 'x ', 'x ', '表ソ', 0x00, 0x20, 0x5C, 'it''s', 'one,größe', ST_GeomFromText('POINT(1 -2)'), ST_GeomFromText('POINT(16.37 48.2)', 4326), '[]'),
  (2, 127, 255, 1, 9223372036854775807, 18446744073709551615, 99999999, 0xFFFFFFFFFFFFFFFF, b'1', 99999999999999999999999999999999999.999999999999999999999999999999, 99999999.9999, 3.402823466e38, 1.7976931348623157e308, 9999.999, '9999-12-31', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999999', '838:59:59', 2155, 'NULL', '\\N', 'NULL', 'é€', 'É', 'É', 'É', 'ﾊﾟ', REPEAT(0xFF, 8), REPEAT(0xFF, 300), 0x00090A0D5C27, '😀', 'one,two,größe', ST_GeomFromText('POLYGON((0 0,0 4,4 4,4 0,0 0),(1 1,1 2,2 2,2 1,1 1))'), ST_GeomFromText('POINT(-180 -90)', 4326), '"😀"'),
  (3, 1, 1, 2, 9007199254740993, 9223372036854775808, 7, 0x275C0A0D09001A22, b'0', 0.000000000000000000000000000001, 1.1, 1.175494351e-38, 2.2250738585072014e-308, 0.001, '2019-02-31', '2019-02-00 12:30:00.5', '2024-03-31 02:30:00', '-00:00:00.000001', 1970, 'a\tb\nc\rd', 'tab\t nl\n nul\0 esc\\ sub\Z', CONCAT(REPEAT('huge 😀\n', 20000), '1'), 'ÄöüßŒ', 'ß', 'ß', 'ß', NULL, '\0', '\t\n\\', '', 'a,b', '', ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'), NULL, '{"deep": [[[[1]]]], "t": "\\t\\u0000"}'),
  (4, 39, 39, 0, -1, 42, 42, 42, b'1', 0.1, 0.1, 0.1, 0.30000000000000004, 0.1, '2024-00-00', '2024-02-29 23:59:59.9', '2000-02-29 00:00:00.1', '838:59:58.999999', 2069, '😀', '<b>&amp;</b>', '''"`', '''', '😀', '😀', '😀', '', 'abc', 'abc', 'abc', 'no such', 'no such', ST_GeomFromText('MULTIPOINT(0 0,1 1)', 3857), NULL, '1.0'),
  (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
;;
INSERT INTO boundaries (id, twice, single, money, var_raw, moment) SELECT 10 + seq, EXP(CAST(seq AS SIGNED) - 128) * IF(seq MOD 2, 1, -1), EXP((CAST(seq AS SIGNED) - 128) / 4), seq * 1234.5678, LEFT(UNHEX(SHA2(seq, 512)), seq MOD 64), '2000-01-01' + INTERVAL POW(seq, 6) MICROSECOND FROM seq_1_to_255
;;
CREATE TABLE `log, %s & 尺寸` (at DATETIME, door ENUM('front','back') NOT NULL, what INET6 DEFAULT '::1') ENGINE=MyISAM
;;
INSERT INTO `log, %s & 尺寸` VALUES ('2024-01-01', 'front', '::'), ('2024-01-01', 'front', '::'), (NULL, 'side', NULL)
;;
CREATE TABLE children (id INT PRIMARY KEY, plate BIGINT, again INT, KEY (plate), CONSTRAINT of_plate FOREIGN KEY (plate) REFERENCES plates (id) ON DELETE SET NULL ON UPDATE CASCADE, CHECK (again IS NULL OR again <> id))
;;
INSERT INTO children SELECT seq, 100 + 5 * seq, NULL FROM seq_1_to_50
;;
CREATE VIEW `busy; "instruments"` AS SELECT i.name, COUNT(*) AS plates, MAX(p.quality) + 1 * 2 AS best FROM `instru``ments` i JOIN plates p ON p.instrument = i.id WHERE p.quality > 10 AND i.name NOT LIKE 'x%' AND NOT (p.remark IS NULL AND i.hidden <> 7) GROUP BY i.name HAVING COUNT(*) > 0
;;
CREATE VIEW nights AS SELECT DATE(seen) AS night, IF(quality > 50, 'good', 'poor') AS verdict, CASE WHEN remark IS NULL THEN 1 ELSE 2 END AS n FROM plates WHERE quality IN (1, 2, 3) OR seen BETWEEN '2024-01-01' AND '2025-01-01' ORDER BY seen DESC LIMIT 5
;;
CREATE VIEW before_today AS SELECT id, price FROM prices FOR SYSTEM_TIME ALL
;;
CREATE OR REPLACE TRIGGER tidy BEFORE INSERT ON plates FOR EACH ROW SET NEW.remark = TRIM(NEW.remark)
;;
CREATE FUNCTION best(which CHAR(36)) RETURNS VARCHAR(80) READS SQL DATA RETURN (SELECT name FROM `instru``ments` WHERE id = which)
;;
CREATE PROCEDURE clean_up(IN before_day DATE) DELETE FROM plates WHERE seen < before_day
;;
CREATE PROCEDURE counts() BEGIN FOR i IN 1..3 DO SELECT i; END FOR; END
;;
CREATE EVENT forget ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01' DO DELETE FROM `log, %s & 尺寸`
;;
CREATE ROLE watchers
;;
GRANT SELECT ON nights TO watchers
;;
CREATE USER 'astronomer'@'%' IDENTIFIED BY 'a long password' REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 10
;;
GRANT SELECT (id, name), UPDATE (notes), DELETE HISTORY ON `instru``ments` TO 'astronomer'@'%' WITH GRANT OPTION
;;
GRANT watchers TO 'astronomer'@'%'
;;
SET DEFAULT ROLE watchers FOR 'astronomer'@'%'
;;
CREATE USER 'night_job'@'localhost' IDENTIFIED VIA unix_socket
;;
GRANT EXECUTE ON PROCEDURE clean_up TO 'night_job'@'localhost'
