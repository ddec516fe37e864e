-- The rows that are there at every scale, whatever else is: what people and old programs really left behind.
-- The extremes of numbers and times are left to the type_ tables: here they would only flatten every plot.
-- Run after all rows that grow with the scale; the sql_mode is that of the old shop. MySQL 8.0 and later.

SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
SET SESSION group_concat_max_len = 1000000, cte_max_recursion_depth = 10000;

-- Two of them recommended each other.
SET FOREIGN_KEY_CHECKS = 0;

INSERT INTO customers (id, name, email, phone, birth_date, gender, interests, tier_id, marketing_consent, referred_by, remark, password_hash, registered_at, updated_at) VALUES
  (2000000001, '<script>alert(1)</script>', 'script@example.com', NULL, '1990-01-01', 'other', '', 0, 0, NULL, '<img src=x onerror=alert(2)>', NULL, '2023-02-03 04:05:06.789', '2023-02-03 04:05:06.789012'),
  (2000000002, 'Robert''); DROP TABLE students;--', 'bobby@example.com', '''', '2007-10-10', 'male', 'books', 0, 1, 2000000002, '"; DROP TABLE x; --', 0x00, '2023-03-01 00:00:00', '2023-03-01 00:00:00'),
  (2000000003, 'Zoë 😀 O''Neil-Ñandú', 'zoë@exämple.example', '+49 30 23125 000', '1985-00-00', 'no such value', 'it''s a gift,tea & coffee', 1, 2, 2000000004, 'ist drei Byte breit: 東京', 0xFF00FF, '2023-03-02 00:00:00.001', '2023-03-02 00:00:00.000001'),
  (2000000004, 'tab\there\nnew line \\ backslash \0 nul', ' Tab@Example.com\t', 'N/A', '0000-00-00', NULL, '', 0, -1, 2000000003, NULL, NULL, '2023-03-03 00:00:00', '2023-03-03 00:00:00'),
  (2000000005, 'NULL', 'null@example.com', 'NULL', NULL, '', '', 0, 0, NULL, 'NULL', NULL, '2023-03-04 00:00:00', '2023-03-04 00:00:00'),
  (2000000006, '\\N', 'N/A', '\\N', '2019-02-31', 'female', '', 0, 0, NULL, '\\N', NULL, '2023-03-05 00:00:00.999', '2023-03-05 00:00:00.999999'),
  (2000000007, '  Anna Müller ', 'ANNA.MUELLER@Example.COM ', '0049-30-23125007', '0001-01-01', 'female', '', 3, 1, NULL, '', NULL, '2023-04-01 00:00:00', '2023-04-01 00:00:00'),
  (2000000008, 'Anna Müller', 'anna.mueller@example.com', '+49 30 23125007', '9999-12-31', 'female', '', 3, 1, 2000000007, '', NULL, '2023-04-01 00:00:00', '2023-04-01 00:00:00'),
  (2000000009, REPEAT('長', 120), NULL, NULL, NULL, NULL, '', 0, 0, NULL, REPEAT('ł', 20000), REPEAT(0x5C, 60), '2023-05-01 00:00:00', '2023-05-01 00:00:00');

SET FOREIGN_KEY_CHECKS = 1;

INSERT INTO addresses VALUES
  (2000000001, 'billing', '<b>1</b> High Street', '', 'N/A', 'Łódź'  /* ł is not latin1: it was lost long ago */, 'PL'),
  (2000000003, 'billing', '東京都千代田区', 'c/o "Süß"', '100-0001', 'Tokio', 'JP'), (2000000003, 'other', '', '', NULL, 'Größenwahn €', 'DE');

INSERT INTO customer_preferences (customer_id, settings) VALUES
  (2000000001, '{"language": "<i>", "newsletter": true, "favourites": []}'), (2000000003, '{"language": null, "newsletter": "yes", "note": "😀"}'), (2000000004, '{}');

INSERT INTO newsletter_import VALUES (NULL, NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL), (0, '', '', '', '', ''), (4294967295, 'orphan@example.com', 'Nobody', '0000-00-00', '-', 'N/A');

INSERT INTO `customer "aliases"` VALUES (0, 'key zero', 0), (1, 'it''s "me"', 2000000001), (2, '`', 999999999), (3, DEFAULT, NULL), (4294967294, 'far away', 2000000003);

INSERT INTO products (id, sku, name, category_id, supplier_id, price, cost, weight_kg, released, discontinued, tags, updated_at, internal_note) VALUES
  (3000000001, 'XX-<&>"''`', '<em>Teapot</em> & "Söhne"', 113, NULL, 0.00, 12.3456, 1e-300, 0000, b'1', '[]', '2023-01-01 00:00:00', '\0'),
  (3000000002, '', '', 113, 1, 999.99, 0, NULL, 2155, b'0', 'null', '2023-01-01 00:00:00', NULL);

INSERT INTO `product variants` VALUES (3000000001, 0, 'natural', '', -9.99, 0), (3000000001, 255, 'black', 'XXXXXXXL', 99.99, 18446744073709551615);
INSERT INTO `product variants` VALUES (3000000002, 1, 'mauve', '😀', 0, 1);

INSERT INTO product_descriptions VALUES (3000000001, 'ja', '急須', 'お茶を入れるための急須です。'), (3000000001, 'en', '<script>alert(1)</script>', REPEAT('teapot ', 9000));

-- Photographs stand in for themselves: bytes that do not compress. The last is 16 MiB, one byte more than a MEDIUMBLOB holds.
INSERT INTO product_photos (id, product_id, file_name, media_type, content)
WITH RECURSIVE counting (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counting WHERE n < 1024),
     block (bytes) AS (SELECT CAST(GROUP_CONCAT(UNHEX(SHA2(n, 512)) ORDER BY n SEPARATOR '') AS BINARY) FROM counting)
SELECT n, IF(n % 5, 1 + n % 10, NULL), CONCAT('photo ', n, '.jpg'), 'image/jpeg', CONCAT(0xFFD8FFE0, LEFT(bytes, 200 + n * 97)) FROM counting JOIN block WHERE n <= 20
UNION ALL SELECT 21, 3000000001, 'C:\\photos\\größe "1"/../😀.png', 'image/png', '' FROM block
UNION ALL SELECT 22, NULL, 'sixteen megabytes.raw', 'application/octet-stream', REPEAT(bytes, 256) FROM block;

INSERT INTO orders (id, customer_id, status, ordered_at, currency, total, coupon_code, wished_for, comment, taken_by, updated_at) VALUES
  (4000000000001, 2000000001, 'paid', '2024-12-31 23:59:59.999999', 'EUR', 1999.99, '', '0000-00-00', '<script>alert(1)</script>', NULL, '2024-12-31 23:59:59.999999'),
  (4000000000002, 2000000003, 'new', '2023-01-01 00:00:00', 'BHD', 0, 'tab\there', '2024-02-30', 'nul \0 and tab \t and \\ and \r\n', 1, '2024-12-31 23:59:59.999999'),
  (4000000000003, 2000000004, 'cancelled', '2024-02-29 12:00:00.000001', 'XTS', 0.01, 'back\\slash', '2024-00-00', 'NULL', 60, '2024-12-31 23:59:59.999999');
INSERT INTO orders (id, customer_id, status, ordered_at, currency, total, coupon_code, wished_for, comment, taken_by, updated_at) VALUES
  (4000000000004, 2000000008, 'lost in the post', '0000-00-00 00:00:00', 'EUR', 1, '100%_off', NULL, NULL, NULL, '2024-12-31 23:59:59.999999');

INSERT INTO order_items VALUES
  (4000000000001, 1, 3000000001, 255, 2, 999.99, 0.0000, DEFAULT), (4000000000001, 65535, 3000000001, 0, 12, 0.01, 0.9999, DEFAULT), (4000000000002, 0, 3000000002, 1, 1, 0.00, 0.0000, DEFAULT);

INSERT INTO payments (id, order_id, method, amount, currency, paid_at, bank_reference, answer) VALUES
  (0x00000000000000000000000000000000, 4000000000001, 'card', 1999.99, 'EUR', '2023-01-01 00:00:00.000000', NULL, 'null'),
  (0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF, 4000000000002, 'barter', -0.01, 'BHD', '2024-12-31 23:59:59.999999', '', '{"ok": false}'),
  (0x275C0A0D091A22000000000000000000, 4000000000003, 'gift card', 0.01, 'XTS', '0000-00-00 00:00:00', '''', NULL);

INSERT INTO invoices (region, number, order_id, net, vat, issued_on, document) VALUES ('', 0, 4000000000001, 0, 0, '0000-00-00', '<h1>Invoice</h1>'), ('asia', 4294967295, 77, -1.00, -0.19, '2024-00-00', NULL);

INSERT INTO gift_cards VALUES ('aa', 1, 0x00000000, NULL), ('AA', 2, 0x41410000, '2024-00-00'), ('Aa ', 3, 0x20202020, '0000-00-00'), ('', 0, 0xFFFFFFFF, '9999-12-31'), ('ä', 4, 0x0A0D095C, NULL), ('😀', 5, 0x27222727, NULL);

INSERT INTO bank_export (line, booked, purpose, amount, iban) VALUES (0, '00.00.0000', 'key zero in MyISAM', '0,00', NULL), (4000000000, '31.02.2024', 'Größe „X“ … €\t<b>', '-', 'DE00 N/A');

INSERT INTO `order` (`key`, `group`, `select`, `from`, `to`, `desc`, `values`) VALUES (0, '', -1, '0000-00-00', '0000-00-00', 'zero', 0), (-7, 'by', 2, '2003-00-00', NULL, '<script>alert(1)</script>', -0.01);

INSERT INTO page_views (id, viewed_on, viewed_at, customer_id, path, referrer, agent, milliseconds, address) VALUES
  (9000000000, '0000-00-00', '838:59:59', 0, '', '', '', 0, ''), (9000000001, '2025-01-02', '-838:59:59', 4294967295, '/<script>alert(1)</script>', '\t\n\\', '😀', 0, 0x00000000);
