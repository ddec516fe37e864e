-- The boundaries of every type: least, greatest, zero, NULL, and the values that tools are known to lose.
-- The sql_mode allows what old applications wrote: partial dates, days that no calendar has, ENUM errors. MySQL 8.0 and later.

SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';

INSERT INTO type_integers VALUES
  (0, 'zero', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'0', b'0', b'0'),
  (1, 'least', -128, 0, -1, -32768, 0, -8388608, 0, -2147483648, 0, 0, -9223372036854775808, 0, b'0', b'0', b'0'),
  (2, 'greatest', 127, 255, 2, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 4294967295, 9223372036854775807, 18446744073709551615, b'1', b'1111111111', 0xFFFFFFFFFFFFFFFF),
  (3, 'past what a double counts', 1, 1, 1, 1, 1, 1, 1, 1, 1, 42, 9007199254740993, 9223372036854775808, b'1', b'1000000001', 0x8000000000000000),
  (4, 'bits that look like text', 39, 39, 1, 10, 13, 9, 92, 34, 26, 7, -1, 9223372036854775807, b'1', b'100111', 0x275C0A0D09001A22),
  (9223372036854775808, 'key above 2^63', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (18446744073709551615, 'greatest key', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO type_fractions VALUES
  (0, 'zero', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  (1, 'least', -99999999999999999999999999999999999.999999999999999999999999999999, -99999999999999999999999999999999999999999999999999999999999999999, -99999999999999999999999999999.999999999, -99999999999999999999.999999999999999999, -0.999999999999999999999999999999, 0, -3.402823466e38, -1.7976931348623157e308, 0, -99999999.9999),
  (2, 'greatest', 99999999999999999999999999999999999.999999999999999999999999999999, 99999999999999999999999999999999999999999999999999999999999999999, 99999999999999999999999999999.999999999, 99999999999999999999.999999999999999999, 0.999999999999999999999999999999, 99999999.99, 3.402823466e38, 1.7976931348623157e308, 1.7976931348623157e308, 99999999.9999),
  (3, 'nearest to zero', 0.000000000000000000000000000001, 1, 0.000000001, 0.000000000000000001, 0.000000000000000000000000000001, 0.01, 1.175494351e-38, 2.2250738585072014e-308, 2.2250738585072014e-308, 0.0001),
  (4, 'denormal', -0.000000000000000000000000000001, -1, -0.000000001, -0.000000000000000001, -0.000000000000000000000000000001, 0.10, 1e-45, 5e-324, 5e-324, -0.0001),
  (5, 'long in binary', 0.1, 10, 0.100000001, 0.123456789012345678, 0.1, 1.10, 0.1, 0.1e0 + 0.2e0, 1e0 / 3, 0.3),
  (6, 'more digits than FLOAT shows', 16777217, 16777217, 16777217, 16777217, 0.5, 16777217, 16777216, 9007199254740993, 123456789.12345679, 1234567.1234),
  (7, 'negative zero', 0, 0, 0, 0, 0, 0, -0e0, -0e0, 0, 0),
  (8, 'digits at the end', 1.000000000000000000000000000001, 12345678901234567890123456789012345, 12345678901234567890123456789.123456789, 1.100000000000000000, 0.123456789012345678901234567890, 5.00, 3.1415927, 3.141592653589793, 2.718281828459045, 2.7183),
  (9, 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO type_times VALUES
  (0, 'zero', '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '00:00:00', '00:00:00', '00:00:00', '0000'),
  (1, 'least', '1000-01-01', '1000-01-01 00:00:00', '1000-01-01 00:00:00.0', '1000-01-01 00:00:00.000', '1000-01-01 00:00:00.000000', '1970-01-01 00:00:01', '1970-01-01 00:00:01.000', '1970-01-01 00:00:01.000000', '-838:59:59', '-838:59:59', '-838:59:59.000000', 1901),
  (2, 'greatest', '9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59.9', '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999', '2038-01-19 03:14:07.999999', '838:59:59', '838:59:59', '838:59:59.000000', 2155),
  (3, 'before the year 1000', '0001-01-01', '0001-01-01 00:00:00', '0099-12-31 23:59:59.9', '0500-06-15 12:00:00.001', '0999-12-31 23:59:59.999999', '1970-01-02 00:00:00', '1970-01-01 00:00:01.001', '1970-01-01 00:00:01.000001', '-00:00:01', '-00:00:00.01', '-00:00:00.000001', 1970),
  (4, 'no month or no day', '2019-00-00', '2019-00-00 00:00:00', '2019-02-00 12:30:00.5', '2019-00-15 00:00:00.001', '0000-07-00 23:59:59.000001', '2019-01-01 00:00:00', '2019-01-01 00:00:00.500', '2019-01-01 00:00:00.000005', '24:00:00', '838:59:58.99', '838:59:58.999999', 2000),
  (5, 'a day no calendar has', '2019-02-31', '2023-02-29 10:00:00', '2019-04-31 10:00:00.1', '2100-02-29 10:00:00.010', '2019-11-31 00:00:00.000001', '2000-02-29 00:00:00', '2000-02-29 00:00:00.001', '2000-02-29 00:00:00.000001', '25:59:59', '-838:59:58.99', '-838:59:58.999999', 1999),
  (6, 'the hour that summer time skips', '2024-03-31', '2024-03-31 02:30:00', '2024-03-31 02:30:00.5', '2024-03-31 02:30:00.500', '2024-03-31 02:30:00.500000', '2024-03-31 02:30:00', '2024-03-31 02:30:00.500', '2024-03-31 02:30:00.500000', '02:30:00', '02:30:00.50', '02:30:00.500000', 2024),
  (7, 'the hour that comes twice', '2024-10-27', '2024-10-27 02:30:00', '2024-10-27 02:30:00.1', '2024-10-27 02:30:00.120', '2024-10-27 02:30:00.123456', '2024-10-27 01:30:00', '2024-10-27 00:30:00.120', '2024-10-27 01:30:00.123456', '23:59:59', '23:59:59.99', '23:59:59.999999', 2069),
  (8, 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO type_texts VALUES
  (0, 'empty', '', '', '', '', '', '', '', '', '', '', '', ''),
  (1, 'spaces at both ends', ' x', ' x ', ' x ', ' x ', ' x ', ' x ', ' x ', ' x ', ' x ', ' x ', ' x ', ' x '),
  (2, 'control characters', 'a\tb\nc\rd', 'tab\t nl\n cr\r crlf\r\n nul\0 bs\b sub\Z esc\\', '\0', '\n', '\\N', '\\', '\t\0\n', '\t\0\n', '\t\0\n', '\t\0\n', '\t\0\n', '\t\0\n'),
  (3, 'words that are not NULL', 'NULL', '\\N', 'null', 'N/A', 'None', 'nan', 'NULL', '\\N', 'NULL', '-', 'NULL', 'NULL'),
  (4, 'quotes', '''"`', 'it''s "so" `much` \\''\\" \\\\', '''', '"', '`', '\\''', ''';--', ''';--', ''';--', ''';--', ''';--', ''';--'),
  (5, 'markup', '<b>&amp;</b>', '<script>alert(1)</script>', '</td>', '<!--', ']]>', '{{ 7*7 }} ${x} %s %(x)s', '&lt;', '<br>', '<br>', '<br>', '<br>', '<br>'),
  (6, 'letters of many scripts', 'ÄöüßéñŁ', '日本語 العربية עברית ไทย हिन्दी Ελληνικά Кириллица', 'ß', 'İıŞş', 'ﬀ', '한국어', 'Äöüß€œ…', 'Łódź 東京', '東京 Ω', 'plain', 'Straße', 'straße'),
  (7, 'emoji', '😀👩‍👩‍👧🇪🇺', '😀👍🏽👩‍👩‍👧‍👦🇩🇪𝒳', '😀', '😀', '😀', '😀', NULL, NULL, NULL, NULL, '😀', '😀'),
  (8, 'one letter, two spellings', CONVERT(0xC3A9 USING utf8mb4), CONVERT(0x65CC81 USING utf8mb4), CONVERT(0xE1BABFC3A5 USING utf8mb4), CONVERT(0xE284AB USING utf8mb4), 'e', 'é', 'é', CONVERT(0x65CC81 USING utf8mb3), 'é', 'e', 'É', 'e'),
  (9, 'marks of order and none', CONVERT(0xEFBBBF USING utf8mb4), CONVERT(0xE2808F6162E2808BC2A0E280A8 USING utf8mb4), CONVERT(0xEFBFBD USING utf8mb4), CONVERT(0xEFBFBF USING utf8mb4), CONVERT(0xF48FBFBF USING utf8mb4), CONVERT(0xC285 USING utf8mb4), 'a', 'a', 'a', 'a', 'a', 'a'),
  (10, 'the longest', REPEAT('ü', 20), REPEAT('😀', 400), REPEAT('t', 255), REPEAT('p', 65535), REPEAT('medium ', 30000), REPEAT('huge 😀\n', 40000), REPEAT('w', 80), REPEAT('ł', 80), REPEAT('Ω', 80), REPEAT('s', 80), REPEAT('😀', 80), REPEAT('x', 80)),
  (11, 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (12, 'looks like a number or a date', '007', '1e3', '0x1F', '2024-01-01', 'true', '1,234.50', '+1', '-0', '1.0', '.5', '00', '1_000');

-- All 256 bytes, once in order: what text handling breaks, it breaks here.
INSERT INTO type_bytes
WITH RECURSIVE counting (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counting WHERE n < 255),
     every (bytes) AS (SELECT UNHEX(GROUP_CONCAT(LPAD(HEX(n), 2, '0') ORDER BY n SEPARATOR '')) FROM counting)
SELECT 0, 'empty', '', '', '', '', '', '' FROM every
UNION ALL SELECT 1, 'every byte', LEFT(bytes, 16), bytes, SUBSTRING(bytes, 1, 255), bytes, CONCAT(bytes, bytes), REPEAT(bytes, 5) FROM every
UNION ALL SELECT 2, 'zeros', 0x00, 0x0000, 0x00, REPEAT(0x00, 300), 0x00, 0x00 FROM every
UNION ALL SELECT 3, 'ends with zeros and spaces', 0x4100200000, 0x41002000, 0x4120, 0x4100, 0x20, 0x2000 FROM every
UNION ALL SELECT 4, 'not UTF-8', 0xFFFE80C0AF, 0xC328A0A1E2, 0xFF, 0xEDA080, 0xF0288CBC, 0xFEFF FROM every
UNION ALL SELECT 5, 'the longest', REPEAT(0xFF, 16), REPEAT(0x5C27, 200), REPEAT(0x0A, 255), REPEAT(0x00FF0D0A5C, 13107), REPEAT(0x1F8B, 100000), REPEAT(bytes, 1000) FROM every
UNION ALL SELECT 6, 'null', NULL, NULL, NULL, NULL, NULL, NULL FROM every;

-- An unknown word becomes the error value: shown as '', counted as 0.
INSERT INTO type_choices VALUES
  (0, 'error value', 'no such mood', 'x', '', ''),
  (1, 'first', 'sad', 'x', 'one', 'm01'),
  (2, 'last', 'tab\there', 'X', '😀', 'm64'),
  (3, 'hostile', 'it''s "fine"', 'X', 'it''s three,größe', 'm01,m64'),
  (4, 'separator inside', 'a,b', 'x', 'two,one', 'm32,m33'),
  (5, 'backslash', 'back\\slash', 'x', 'größe,😀', 'm63'),
  (6, 'all of them', '😀', 'x', 31, 18446744073709551615),
  (7, 'null', NULL, 'x', NULL, NULL),
  (8, 'wide', 'größer', 'no such', 'one,no such', 'm02');

INSERT INTO type_documents VALUES
  (0, 'empty object', '{}'), (1, 'empty list', '[]'), (2, 'null inside', 'null'), (3, 'null', NULL), (4, 'true', 'true'), (5, 'empty text', '""'),
  (6, 'whole numbers', '[0, -1, 9223372036854775807, -9223372036854775808, 18446744073709551615, 9007199254740993]'),
  (7, 'fractions', '[1.0, 1, 0.1, 1e308, -1e-308, 2.5, 100.0]'),
  (8, 'text', JSON_ARRAY('quote " and \\ and / and \n\t\b\f', '😀', 'ß', '<script>alert(1)</script>', '')),
  (9, 'order and repetition of keys', '{"b": 1, "a": 2, "aa": 3, "": 4, "a": 5, "ü": 6, "a b.c": 7, "$": 8}'),
  (10, 'deep', CONCAT(REPEAT('[', 90), '1', REPEAT(']', 90))),
  (11, 'nested', '{"items": [{"sku": "AB-1", "n": 2, "tags": [null, true, false]}, {}], "none": null}'),
  -- Values that JSON text has no type for: they keep their text when copied as text, not their inner type.
  (12, 'inner types', JSON_OBJECT('price', CAST(12.99 AS DECIMAL(6,2)), 'day', DATE('2024-02-29'), 'at', TIMESTAMP('2024-02-29 12:00:00.5'), 'span', TIME('-12:00:00'))),
  (13, 'long', JSON_OBJECT('text', REPEAT('lorem ipsum ', 8000))),
  (14, 'looks like another type', '["2024-01-01", "12.50", "null", "0x1F"]');

INSERT INTO type_shapes (id, what, any_shape, point_flat, point_earth, line, area, points, lines_, areas, collection) VALUES
  (0, 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (1, 'flat', ST_GeomFromText('POINT(1 -2)'), ST_GeomFromText('POINT(0 0)'), ST_GeomFromText('POINT(0 0)', 4326), ST_GeomFromText('LINESTRING(0 0,1 1,2 0)'),
   ST_GeomFromText('POLYGON((0 0,0 4,4 4,4 0,0 0),(1 1,1 2,2 2,2 1,1 1))'), ST_GeomFromText('MULTIPOINT((0 0),(1 1))'), ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))'),
   ST_GeomFromText('MULTIPOLYGON(((0 0,0 1,1 1,1 0,0 0)),((5 5,5 6,6 6,6 5,5 5)))'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1),POLYGON((0 0,0 1,1 1,0 0)))')),
  (2, 'on the earth', ST_GeomFromText('POINT(48.2 16.37)', 4326), ST_GeomFromText('POINT(-1e300 1e-300)'), ST_GeomFromText('POINT(-90 180)', 4326), ST_GeomFromText('LINESTRING(0 179,0 -179)', 4326),
   ST_GeomFromText('POLYGON((10 10,10 20,20 20,20 10,10 10))', 4326), ST_GeomFromText('MULTIPOINT((90 0),(-90 0))', 4326), ST_GeomFromText('MULTILINESTRING((0 0,1 1))', 4326),
   ST_GeomFromText('MULTIPOLYGON(((10 10,10 11,11 11,11 10,10 10)))', 4326), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(52.5 13.4))', 4326)),
  (3, 'empty, long fractions', ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'), ST_GeomFromText('POINT(0.1 0.30000000000000004)'), ST_GeomFromText('POINT(52.520008 13.404954)', 4326),
   ST_GeomFromText('LINESTRING(0.1 0.2,0.30000000000000004 1e-17)'), NULL, ST_GeomFromText('MULTIPOINT((5 5))'), NULL, NULL, ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')),
  (4, 'another reference system', ST_GeomFromText('POINT(1489199.3 6894108.2)', 3857), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
