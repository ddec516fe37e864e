-- The rows of the segment "telemetry" that grow with the scale.
-- Run after rows_orders.sql on the same connection. Parameters: @page_views, @clicks, @readings, @customers. MySQL 8.0 and later.

INSERT INTO devices (id, serial, secret, store_id, firmware)
SELECT IF(n % 2, n, 18446744073709551615 - n * 1000003), BIN_TO_UUID(UNHEX(LEFT(SHA2(CONCAT('device', n), 256), 32))), UNHEX(CONCAT(LEFT(SHA2(n, 256), 24), '00000000')),
       ELT(1 + n % 6, 1, 2, 3, 4, -5, 77), CONCAT('v', 1 + n % 3, '.', n % 10, IF(n % 7 = 0, '-βeta', ''))
FROM numbers WHERE n <= 20;

INSERT INTO device_readings (device_id, read_at, temperature, humidity, flags, raw)
SELECT devices.id, TIMESTAMP('2024-11-01') + INTERVAL numbers.n * 600 SECOND + INTERVAL numbers.n * 7 % 1000000 MICROSECOND,
       IF(numbers.n % 97 = 0, NULL, 18 + 4 * SIN(numbers.n * 600 / 86400 * 2 * PI()) + (CRC32(numbers.n * 7919 + devices.id % 1000) % 100) / 80),
       45.5 + (CRC32(numbers.n * 104729 + devices.id % 1000) % 1000) / 97, CRC32(numbers.n * 1299709 + devices.id % 1000) % 256, IF(numbers.n % 5 = 0, UNHEX(LEFT(SHA2(numbers.n, 256), 2 * (numbers.n % 33))), NULL)
FROM devices JOIN numbers ON numbers.n <= @readings DIV 20
ORDER BY devices.id, numbers.n;

INSERT INTO page_views (viewed_on, viewed_at, customer_id, path, referrer, agent, milliseconds, address)
SELECT /*+ NO_MERGE(views_) */ viewed_on,
       SEC_TO_TIME(FLOOR(86399 * LEAST(0.999, (CRC32(n * 67867967) + CRC32(n * 86028121)) / 8589934592e0))) + INTERVAL dice % 1000 * 1000 MICROSECOND,
       CASE WHEN dice % 3 = 0 THEN NULL WHEN dice % 100 = 1 THEN 700000000 + n ELSE 1 + FLOOR(@customers * POW(CRC32(n * 7919) / 4294967296e0, 1.7)) END,
       CONCAT(ELT(1 + dice % 5, '/', '/product/', '/suche?q=größe&page=', '/cart?x=%20', '/p/'), dice % 400),
       ELT(1 + dice % 5, NULL, '', 'https://search.example/?q=teapot', 'https://blog.example/\t', 'N/A'),
       ELT(1 + dice % 4, 'Mozilla/5.0 (X11; Linux x86_64)', 'Mozilla/5.0 (iPhone)', 'bot/1.0 (+https://bot.example)', NULL),
       IF(dice % 50 = 0, NULL, ROUND(EXP(3 + 5 * POW(CRC32(n * 49979687) / 4294967296e0, 2)))),
       INET6_ATON(IF(dice % 4 = 0, CONCAT('2001:db8::', HEX(dice % 65536)), CONCAT('192.0.2.', dice % 256)))
FROM (
  SELECT numbers.n, calendar.day AS viewed_on, CRC32(numbers.n * 104729) AS dice
  FROM calendar JOIN numbers ON numbers.n > (calendar.first_order - 1) * @page_views DIV @orders AND numbers.n <= calendar.last_order * @page_views DIV @orders
) AS views_
ORDER BY n;

-- Every seventeenth click arrived twice, every hundred-and-first three times.
INSERT INTO click_log (clicked_at, session, element, x, y, payload)
SELECT /*+ NO_MERGE(clicks) */ TIMESTAMP('2024-06-01') + INTERVAL click * 97 SECOND + INTERVAL dice % 1000 * 1000 MICROSECOND, LEFT(SHA2(click DIV 12, 224), 12),
       ELT(1 + dice % 6, 'button#buy', 'a.more', 'img', NULL, 'input[name="q"]', 'div>span'), dice % 1920, CAST(dice % 1200 AS SIGNED) - 20,
       IF(dice % 3 = 0, JSON_OBJECT('button', dice % 3, 'keys', JSON_ARRAY('shift')), NULL)
FROM (SELECT n AS click, CRC32(n * 15485863) AS dice FROM numbers WHERE n <= @clicks) AS clicks
JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) AS times
  ON times.n = 1 OR (times.n = 2 AND click % 17 = 0) OR (times.n >= 2 AND click % 101 = 0);

INSERT INTO click_log VALUES (NULL, NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO live_sessions (session, customer_id, started_at)
SELECT LEFT(SHA2(n, 224), 12), IF(n % 3, n, NULL), TIMESTAMP('2024-12-31 20:00:00') + INTERVAL n MINUTE FROM numbers WHERE n <= 120;

INSERT INTO search_terms (term, hits, searched_on)
SELECT CONCAT(ELT(1 + n % 8, 'teapot', 'Teapot', 'teapot ', 'größe', 'кофе', '茶', '"exact"', '%'), IF(n > 16, n % 40, '')), CRC32(n * 7919) % 500, DATE('2024-01-01') + INTERVAL n % 366 DAY
FROM numbers WHERE n <= 400;

INSERT INTO archive_of_the_first_shop_before_it_was_moved_in_october_of_2021 VALUES (-2147483648, 'lowest'), (-1, NULL), (0, ''), (2147483647, 'höchste');
