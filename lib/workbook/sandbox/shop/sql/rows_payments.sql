-- The rows of the segment "payments" that follow the orders. currencies come from rows_currencies.sql, before the orders.
-- Run after rows_orders.sql on the same connection. Parameters: @orders. MySQL 8.0 and later.

INSERT INTO exchange_rates (currency, quoted_on, rate)
SELECT currencies.code, DATE('2023-01-01') + INTERVAL 7 * (numbers.n - 1) DAY,
       CAST(ELT(FIELD(currencies.code, 'EUR', 'GBP', 'CHF', 'SEK', 'USD', 'JPY'), 1, 0.86, 0.97, 11.4, 1.08, 155) AS DECIMAL(10,2))
       * IF(currencies.code = 'EUR', 1, 0.98 + CRC32(numbers.n * 7919 + ASCII(currencies.code)) % 4000 / 100000 + 0.000000000000000001)
FROM currencies JOIN numbers ON numbers.n <= 105
WHERE currencies.code IN ('EUR', 'GBP', 'CHF', 'SEK', 'USD', 'JPY');

INSERT INTO payments (id, order_id, method, amount, currency, paid_at, bank_reference, answer)
SELECT /*+ NO_MERGE(paid) */ UNHEX(LEFT(SHA2(CONCAT('payment', id), 256), 32)), id, 1 + FLOOR(5 * POW(dice % 1000 / 1000e0, 1.8)), total, currency,
       IF(dice % 30 = 0, NULL, ordered_at + INTERVAL FLOOR(POW(dice % 500 / 500e0, 6) * 400000) SECOND), IF(dice % 3 = 0, NULL, CONCAT('RF', 10 + dice % 89, LPAD(id, 10, '0'))),
       IF(dice % 4 = 0, JSON_OBJECT('ok', CAST('true' AS JSON), 'risk', dice % 100, 'network', ELT(1 + dice % 3, 'visa', 'mastercard', 'girocard')), NULL)
FROM (SELECT id, total, currency, ordered_at, CRC32(id * 32452843) AS dice FROM orders WHERE status <> 'cancelled' AND id % 12 > 0) AS paid;

INSERT INTO refunds (id, payment_id, amount, reason, refunded_on)
SELECT UNHEX(LEFT(SHA2(CONCAT('refund', payments.order_id), 256), 32)), payments.id, ROUND(payments.amount / 2, 2), CONCAT('returned: ', `returns`.reasons), `returns`.returned
FROM `returns` JOIN payments ON payments.order_id = `returns`.order_id ORDER BY `returns`.id;

INSERT INTO invoices (region, number, order_id, net, vat, issued_on, document)
SELECT ELT(1 + FIELD(currency, 'EUR', 'GBP', 'CHF', 'SEK', 'USD'), '', 'eu', 'rest', 'EEA', 'EEA', 'americas'), id, id,
       ROUND(total / 1.19, 2), total - ROUND(total / 1.19, 2), DATE(ordered_at) + INTERVAL 1 DAY,
       IF(id % 4 = 0, CONCAT('Invoice ', id, '\n\nTo be paid within 14 days.\n', REPEAT('-', 40), '\nTotal\t', total, ' ', currency), NULL)
FROM orders WHERE id % 3 = 0 AND status <> 'cancelled';

INSERT INTO gift_cards (code, balance, pin, expires)
SELECT CONCAT(ELT(1 + n % 3, 'GIFT-', 'gift-', 'Gift-'), LPAD(n DIV 3, 6, '0')), 5 * (1 + CRC32(n * 7919) % 20), UNHEX(LPAD(HEX(CRC32(n * 104729)), 8, '0')),
       IF(n % 40 = 0, '0000-00-00', DATE('2025-01-01') + INTERVAL n % 700 DAY)
FROM numbers WHERE n <= 300;

INSERT INTO bank_export (booked, purpose, amount, iban)
SELECT DATE_FORMAT(DATE('2024-01-01') + INTERVAL n % 366 DAY, '%d.%m.%Y'), CONCAT(ELT(1 + n % 4, 'RECHNUNG ', 'Zahlung Nr. ', 'GEBÜHR ', 'invoice '), n),
       IF(n % 50 = 0, 'N/A', REPLACE(FORMAT(CRC32(n * 7919) / 4294967296e0 * 3000, 2, 'de_DE'), ' ', '')), IF(n % 9 = 0, '', CONCAT('DE', LPAD(n % 97, 2, '0'), LPAD(CRC32(n * 104729), 18, '1')))
FROM numbers WHERE n <= GREATEST(@orders DIV 15, 20);

INSERT INTO `in/out` VALUES
  (-9223372036854775808, 'the least', -99.9999, '2023-01-01 00:00:00.25', 'a;b', '-- no comment'),
  (0, '100% {sure} :x ?', 0, NULL, ';', '/* nor this */'), (9223372036854775807, 'the most', 9999999999999999.9999, '0000-00-00 00:00:00', NULL, '#');
