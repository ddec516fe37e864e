-- The rows of the segment "customers" that grow with the scale, and the small tables they name.
-- Run after rows_numbers.sql on the same connection. Parameters: @customers. MySQL 8.0 and later.

INSERT INTO countries (code, name, native_name, calling_code, vat_rate) VALUES
  ('AT','Austria','Österreich',43,20.00), ('BE','Belgium','België / Belgique',32,21.00), ('CH','Switzerland','Schweiz',41,8.10),
  ('CZ','Czechia','Česko',420,21.00), ('DE','Germany','Deutschland',49,19.00), ('DK','Denmark','Danmark',45,25.00),
  ('ES','Spain','España',34,21.00), ('FR','France','France',33,20.00), ('GB','United Kingdom','United Kingdom',44,20.00),
  ('GR','Greece','Ελλάδα',30,24.00), ('IE','Ireland','Éire',353,23.00), ('IT','Italy','Italia',39,22.00),
  ('JP','Japan','日本',81,10.00), ('NL','Netherlands','Nederland',31,21.00), ('PL','Poland','Polska',48,23.00),
  ('SE','Sweden','Sverige',46,25.00), ('US','United States','United States',1,0.00);

-- 0 is a key like any other here, which AUTO_INCREMENT would not give.
INSERT INTO loyalty_tiers (id, name, discount) VALUES (0,'none',0), (1,'bronze',0.0200), (2,'silver',0.0500), (3,'gold',0.1000);

INSERT INTO customers (id, name, email, phone, birth_date, gender, interests, tier_id, marketing_consent, referred_by, remark,
                       password_hash, registered_at, updated_at)
SELECT /*+ NO_MERGE(person) */ n, CONCAT(IF(dirt = 1, '  ', ''), given, ' ', family, IF(dirt = 2, ' ', '')),
       CASE WHEN dirt IN (3, 4) THEN NULL
            WHEN dirt = 5 THEN 'N/A'
            WHEN dirt IN (6, 7, 8) THEN CONCAT(' ', CONCAT(UPPER(LEFT(plain_given, 1)), SUBSTRING(plain_given, 2)), '.', UPPER(plain_family), '@Example.COM')
            WHEN dirt = 9 THEN CONCAT(plain_given, n, '@example.org  ')
            ELSE CONCAT(plain_given, '.', plain_family, IF(n > 900, n, ''), '@', ELT(1 + dice % 6, 'example.com', 'example.com', 'example.org', 'example.net', 'mail.example', 'post.example')) END,
       CASE dice % 11 WHEN 0 THEN NULL WHEN 1 THEN 'N/A' WHEN 2 THEN '' WHEN 3 THEN '-'
            WHEN 4 THEN CONCAT('+1 (555) 01', LPAD(dice % 100, 2, '0'))
            WHEN 5 THEN CONCAT('0049-30-23125', LPAD(dice % 1000, 3, '0'))
            ELSE CONCAT('+44 20 7946 0', LPAD(dice % 1000, 3, '0')) END,
       CASE WHEN dice % 13 = 0 THEN NULL WHEN dice % 29 = 1 THEN '0000-00-00'
            WHEN dice % 31 = 2 THEN CONCAT(1940 + dice % 65, '-00-00')
            ELSE DATE('2005-12-31') - INTERVAL FLOOR(9000 * (fate_1 + fate_2 + fate_3)) DAY END,
       CASE WHEN dice % 17 = 0 THEN NULL WHEN dice % 19 = 0 THEN '' ELSE gender END,
       (dice >> 3) & (dice >> 13) & 255,
       CASE WHEN fate_1 < 0.60 THEN 0 WHEN fate_1 < 0.85 THEN 1 WHEN fate_1 < 0.96 THEN 2 ELSE 3 END,
       ELT(1 + dice % 12, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 2, -1),
       IF(n > 20 AND dice % 9 = 0, 1 + dice % FLOOR(n / 2), NULL),
       CASE dice % 40 WHEN 0 THEN 'prefers to be called in the evening' WHEN 1 THEN 'pays late, pays always'
                      WHEN 2 THEN 'Grüße an die Frau Mama' WHEN 3 THEN 'two lines:\nthe second\twith a tab' ELSE NULL END,
       UNHEX(SHA2(n, 224)),
       TIMESTAMP('2019-01-07 08:00:00') + INTERVAL FLOOR(POW((n - fate_2) / @customers, 0.7) * 125000000) SECOND + INTERVAL dice % 1000 * 1000 MICROSECOND,
       TIMESTAMP('2023-01-01 00:00:00') + INTERVAL FLOOR(fate_3 * 63000000) SECOND + INTERVAL dice % 1000000 MICROSECOND
FROM (
  SELECT /*+ NO_MERGE(people) */ people.n, given_names.name AS given, given_names.plain AS plain_given, gender, family_names.name AS family, family_names.plain AS plain_family,
         dice, dice % 100 AS dirt,
         CRC32(people.n * 15485863) / 4294967296e0 AS fate_1, CRC32(people.n * 32452843) / 4294967296e0 AS fate_2, CRC32(people.n * 49979687) / 4294967296e0 AS fate_3
  FROM (SELECT numbers.n, CRC32(numbers.n * 104729) AS dice, 1 + CRC32(numbers.n * 7919) % 44 AS given_no, CAST(1 + FLOOR(51 * POW(CRC32(numbers.n * 1299709) / 4294967296e0, 1.4)) AS UNSIGNED) AS family_no
        FROM numbers WHERE numbers.n <= @customers) AS people
  JOIN given_names ON given_names.n = given_no
  JOIN family_names ON family_names.n = family_no
) AS person
ORDER BY n;

-- One in eighty registered again: the same name and mail address, written a little differently.
INSERT INTO customers (id, name, email, phone, birth_date, gender, tier_id, registered_at, updated_at)
SELECT 1000000000 + id, name, UPPER(email), phone, birth_date, gender, 0, registered_at + INTERVAL 400 DAY, updated_at
FROM customers WHERE id % 80 = 7 AND id <= @customers;

INSERT INTO addresses (customer_id, kind, line1, line2, postcode, city, country_code)
SELECT /*+ NO_MERGE(homes) */ id, kinds.kind,
       CONCAT_WS(' ', ELT(1 + dice % 8, 'High Street', 'Hauptstraße', 'Rue de l''Église', 'Via Roma', 'Calle Mayor', 'Kirchweg', 'Mill Lane', 'Dorpsstraat'), 1 + dice % 140),
       ELT(1 + dice % 9, '', '', '', '', '', '', 'c/o Smith & Sons', '2. Stock links', '  Flat 3 '),
       IF(dice % 50 = 0, 'N/A', IF(place IN (4, 5), CONCAT(ELT(place - 3, 'SE', 'EH'), 1 + dice % 17, ' ', dice % 9, 'AB'), 10000 + dice % 89000)),
       ELT(place, 'Berlin', 'München', 'Köln', 'London', 'Edinburgh', 'Paris', 'Orléans', 'Roma', 'Málaga', 'Wien', 'Zürich', 'Amsterdam', 'Malmö', 'København', 'Dublin', 'Bruxelles'),
       ELT(place, 'DE', 'DE', 'DE', 'GB', 'GB', 'FR', 'FR', 'IT', 'ES', 'AT', 'CH', 'NL', 'SE', 'DK', 'IE', 'BE')
FROM (
  SELECT id, CRC32(id * 6700417) AS dice, 1 + FLOOR(16 * POW(CRC32(id * 86028121) / 4294967296e0, 1.5)) AS place
  FROM customers WHERE id <= @customers
) AS homes
JOIN (SELECT 'billing' AS kind UNION ALL SELECT 'shipping') AS kinds ON kinds.kind = 'billing' OR homes.dice % 6 = 0;

INSERT INTO customer_preferences (customer_id, settings)
SELECT /*+ NO_MERGE(some) */ id, JSON_OBJECT('language', ELT(1 + dice % 7, 'de', 'en', 'en', 'fr', 'it', 'es', 'nl'),
                       'newsletter', CAST(IF(dice % 3 = 0, 'true', 'false') AS JSON),
                       'favourites', JSON_ARRAY(1 + dice % 90, 1 + (dice >> 8) % 90),
                       'theme', JSON_OBJECT('dark', CAST(IF(dice % 5 < 2, 'true', 'false') AS JSON), 'scale', ELT(1 + dice % 3, 1.0, 1.25, 1.5) + 0e0),
                       'note', ELT(1 + dice % 5, NULL, '', 'größer', '😀', 'a "quoted" note'))
FROM (SELECT id, CRC32(id * 67867967) AS dice FROM customers WHERE id <= @customers AND id % 2 = 0) AS some;

INSERT INTO newsletter_import (customer_id, email, full_name, joined, country, score)
SELECT IF(dice % 12 = 0, 900000000 + n, 1 + dice % @customers),
       CONCAT(ELT(1 + dice % 4, '', ' ', '', ''), ELT(1 + dice % 3, 'Reader', 'reader', 'READER'), n - (n % 9 = 0), '@', ELT(1 + dice % 3, 'example.com', 'Example.org', 'EXAMPLE.NET')),
       ELT(1 + dice % 6, 'N/A', 'n/a', '', 'Jörg Weiß', 'Müller, Anna', ' Reader '),
       ELT(1 + dice % 4, DATE_FORMAT(DATE('2022-01-01') + INTERVAL dice % 1000 DAY, '%d.%m.%Y'), DATE_FORMAT(DATE('2022-01-01') + INTERVAL dice % 1000 DAY, '%Y-%m-%d'),
           DATE_FORMAT(DATE('2022-01-01') + INTERVAL dice % 1000 DAY, '%m/%d/%y'), ''),
       ELT(1 + dice % 8, 'Germany', 'germany', 'GERMANY ', 'Deutschland', 'DE', 'U.K.', 'N/A', NULL),
       ELT(1 + dice % 5, '0.5', '0,5', '7', 'N/A', NULL)
FROM (SELECT m - (m % 11 = 0) AS n, CRC32((m - (m % 11 = 0)) * 982451653) AS dice FROM (SELECT n AS m FROM numbers WHERE n <= GREATEST(@customers DIV 6, 40)) AS lines_) AS records;

INSERT INTO departments (id, name, head_id) VALUES (1,'Board',1), (2,'Sales',2), (3,'Warehouse',3), (4,'Accounts',4), (5,'Web & "Data"',5), (6,'Nobody yet',NULL);

INSERT INTO employees (id, department_id, manager_id, name, salary, hired_on, badge)
SELECT numbers.n, IF(numbers.n <= 5, numbers.n, 2 + CRC32(numbers.n * 7919) % 4),
       CASE WHEN numbers.n = 1 THEN 1 WHEN numbers.n <= 5 THEN 1 ELSE 2 + CRC32(numbers.n * 7919) % 4 END,
       CONCAT(given_names.name, ' ', family_names.name), 28000 + ROUND(CRC32(numbers.n * 104729) / 4294967296e0 * 52000 / numbers.n * 8, 2),
       DATE('2008-03-03') + INTERVAL CRC32(numbers.n * 1299709) % 5500 DAY, 700 + numbers.n * 37
FROM numbers
JOIN given_names ON given_names.n = 1 + numbers.n * 5 % 44
JOIN family_names ON family_names.n = 1 + numbers.n * 7 % 51
WHERE numbers.n <= 60;
