-- The rows of the segment "orders": two years of orders with the rhythm of the week and the year.
-- Run after rows_catalog.sql on the same connection. Parameters: @orders, @customers, @products. MySQL 8.0 and later.

INSERT INTO coupons (code, percent, valid_from, valid_to) VALUES
  ('', 0, '0000-00-00', '9999-12-31'), ('SPRING', 10, '2023-03-01', '2023-05-31'), ('SPRING ', 5, '2023-03-01', '2023-05-31'),
  ('Sommer-24', 15, '2024-06-01', '2024-08-31'), ('O''CLOCK "5"', 5, '2024-00-00', '2024-12-31'), ('tab\there', 1, '2023-01-01', '2023-12-31'),
  ('back\\slash', 1, '2023-01-01', '2023-12-31'), ('100%_off', 100, '2023-04-01', '2023-04-01'), ('Zürich', 20, '0000-00-00', '9999-12-31'),
  ('straße', 20, '0000-00-00', '9999-12-31'), ('😀', 3, '0000-00-00', '9999-12-31'), ('10', 10, '0000-00-00', '9999-12-31'), ('9', 9, '0000-00-00', '9999-12-31');

-- An order needs its total and an item its order: the items are made first.

INSERT INTO order_items (order_id, line_no, product_id, `variant no`, quantity, unit_price, discount)
SELECT /*+ NO_MERGE(lines_of_orders) */ order_id, line_no, products.id, 1 + dice % (1 + products.id % 4), ELT(1 + dice % 9, 1, 1, 1, 1, 1, 2, 2, 3, 1 + dice % 12),
       products.price, ELT(1 + (dice >> 9) % 12, 0, 0, 0, 0, 0, 0, 0, 0, 0.05, 0.10, 0.15, 0.3333)
FROM (
  SELECT numbers.n AS order_id, lines_.n AS line_no, CRC32(numbers.n * 15485863 + lines_.n * 7919) AS dice,
         CAST(1 + FLOOR(@products * POW(CRC32(numbers.n * 104729 + lines_.n * 1299709) / 4294967296e0, 2.2)) AS UNSIGNED) AS product_no
  FROM numbers
  JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6) AS lines_
    ON lines_.n <= 1 + FLOOR(6 * POW(CRC32(numbers.n * 32452843) / 4294967296e0, 2.8))
  WHERE numbers.n <= @orders
) AS lines_of_orders
JOIN products ON products.id = product_no
ORDER BY order_id, line_no;

INSERT INTO orders (id, customer_id, status, ordered_at, currency, total, coupon_code, wished_for, comment, taken_by, updated_at)
SELECT /*+ NO_MERGE(placed) */ n, 1 + FLOOR(@customers * POW(CRC32(n * 7919) / 4294967296e0, 1.7)),
       CASE WHEN dice % 33 = 0 THEN 'cancelled' WHEN n > @orders * 0.995 THEN 1 + dice % 4 ELSE 'delivered' END,
       ordered_at, ELT(1 + dice % 10, 'EUR', 'EUR', 'EUR', 'EUR', 'EUR', 'GBP', 'GBP', 'CHF', 'SEK', 'USD'), total,
       ELT(1 + dice % 60, 'SPRING', 'SPRING ', 'Sommer-24', 'O''CLOCK "5"', 'Zürich', '😀', '10'),
       CASE WHEN dice % 17 = 0 THEN '0000-00-00' WHEN dice % 5 = 0 THEN DATE(ordered_at) + INTERVAL 2 + dice % 9 DAY END,
       ELT(1 + dice % 90, 'Please ring twice.', 'Für Oma 💐', 'leave it with the neighbour\r\n(the one with the dog)', '<b>URGENT</b> & "fragile"', 'N/A', '', 'C:\\Users\\me\\order.txt', '\\N'),
       IF(dice % 14 = 0, 2 + dice % 58, NULL),
       ordered_at + INTERVAL 1 + dice % 9 DAY
FROM (
  SELECT numbers.n, CRC32(numbers.n * 982451653) AS dice,
         TIMESTAMP(calendar.day) + INTERVAL FLOOR(86399 * LEAST(0.999, 0.22 + 0.37 * (CRC32(numbers.n * 67867967) + CRC32(numbers.n * 86028121)) / 4294967296e0)) SECOND
           + INTERVAL CRC32(numbers.n * 49979687) % 1000000 MICROSECOND AS ordered_at,
         (SELECT SUM(line_total) FROM order_items WHERE order_items.order_id = numbers.n) AS total
  FROM calendar JOIN numbers ON numbers.n BETWEEN calendar.first_order AND calendar.last_order
) AS placed
ORDER BY n;

INSERT INTO order_status_history (order_id, status, changed_at, changed_by)
SELECT id, status, updated_at, ELT(1 + id % 4, 'shop_app@%', 'warehouse', NULL, 'Søren') FROM orders WHERE id % 5 < 2 ORDER BY id;

-- The key is no help here: these orders never were, or are no more.
INSERT INTO order_status_history (order_id, status, changed_at, changed_by)
SELECT 800000000 + n, 'lost', TIMESTAMP('2022-11-01 10:00:00') + INTERVAL n HOUR, 'import' FROM numbers WHERE n <= 25;

INSERT INTO shipments (id, order_id, carrier, tracking_no, shipped_at, delivered_at, weight_kg)
SELECT /*+ NO_MERGE(sent) */ BIN_TO_UUID(UNHEX(LEFT(SHA2(CONCAT('shipment', id), 256), 32))), id, ELT(1 + dice % 5, 'DHL', 'DPD', 'Royal Mail', 'dhl ', 'La Poste'),
       IF(dice % 12 = 0, NULL, CONCAT('TR', LPAD(dice, 10, '0'))), ordered_at + INTERVAL 20 + dice % 30 HOUR,
       IF(status = 'delivered', ordered_at + INTERVAL 60 + FLOOR(POW(dice % 1000 / 1000e0, 3) * 300) HOUR + INTERVAL dice % 3600 SECOND, NULL),
       0.1 + (dice % 4000) / 250
FROM (SELECT id, ordered_at, status, CRC32(id * 6700417) AS dice FROM orders WHERE status IN ('shipped', 'delivered') AND id % 3 > 0) AS sent;

INSERT INTO `returns` (order_id, line_no, reasons, note, returned)
SELECT order_id, line_no, 1 + CRC32(order_id * 7919) % 31, IF(order_id % 3, NULL, 'box was open'), DATE('2023-02-01') + INTERVAL order_id * 680 DIV @orders DAY
FROM order_items WHERE line_no = 1 AND order_id % 23 = 5 ORDER BY order_id;

INSERT INTO `order` (`group`, `select`, `from`, `to`, `desc`, `values`)
SELECT ELT(1 + n % 4, 'table', 'where', 'having', 'limit'), n % 2, DATE('2003-01-01') + INTERVAL n DAY, IF(n % 3, DATE('2003-02-01') + INTERVAL n DAY, NULL),
       CONCAT('no. ', n, ' paid in ', ELT(1 + n % 3, '€', '£', 'cash – or not')), ROUND(CRC32(n * 7919) / 4294967, 2)
FROM numbers WHERE n <= 200;
