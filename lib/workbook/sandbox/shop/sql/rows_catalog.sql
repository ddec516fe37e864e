-- The rows of the segment "catalog": about 1,500 products at scale 1, with variants, words, stock and shops.
-- Run after rows_customers.sql on the same connection. Parameters: @products. MySQL 8.0 and later.

INSERT INTO categories (id, parent_id, name, position) VALUES
  (1,NULL,'Home',1), (2,NULL,'Outdoors',2), (3,NULL,'Books & music',3), (4,NULL,'Gifts',4),
  (11,1,'Kitchen',1), (12,1,'Lighting',2), (13,1,'Textiles',3), (14,1,'Furniture',4),
  (21,2,'Garden',1), (22,2,'Cycling',2), (23,2,'Camping',3), (31,3,'Novels',1), (32,3,'Cook books',2), (33,3,'Vinyl',3),
  (41,4,'Cards',1), (42,4,'Toys',2), (111,11,'Knives',1), (112,11,'Pots & pans',2), (113,11,'Tea & coffee',3), (211,21,'Seeds',1);

INSERT INTO suppliers (id, name, contact_email, phone, vat_number, country_code, rating, supplier_since)
SELECT n, CONCAT(ELT(1 + n % 12, 'Nordlicht', 'Green & Sons', 'Atelier Dubois', 'Fratelli Rossi', 'Casa Núñez', 'Kowalski', 'Tanaka', 'Haus am See', 'O''Malley''s', 'Blue "Star"', 'Söderberg', 'Český Porcelán'), ' ',
                 ELT(1 + n % 5, 'GmbH', 'Ltd', 'S.A.', 's.r.o.', 'AB'), IF(n > 30, CONCAT(' ', n), '')),
       ELT(1 + n % 5, CONCAT('sales@supplier', n, '.example'), CONCAT('Sales@Supplier', n, '.Example '), 'n/a', NULL, CONCAT('office@supplier', n, '.example')),
       ELT(1 + n % 4, 'N/A', CONCAT('+44 20 7946 0', 100 + n), '', NULL),
       IF(n % 6 = 0, NULL, CONCAT(ELT(1 + n % 5, 'DE', 'GB', 'FR', 'IT', 'CZ'), LPAD(CRC32(n * 7919) % 1000000000, 9, '0'))),
       ELT(1 + n % 5, 'DE', 'GB', 'FR', 'IT', 'CZ'),
       IF(n % 7 = 0, NULL, 1 + 4 * SQRT(CRC32(n * 104729) / 4294967296e0)),
       IF(n % 9 = 0, 0000, 1990 + n % 33)
FROM numbers WHERE n <= 48;

INSERT INTO products (id, sku, name, category_id, supplier_id, price, cost, weight_kg, released, discontinued, tags, updated_at, internal_note)
SELECT /*+ NO_MERGE(things) */ n, CONCAT(UPPER(LEFT(thing, 2)), '-', LPAD(n, 6, '0')), CONCAT(style, ' ', thing, IF(n > 96, CONCAT(' no. ', n), '')), category,
       IF(dice % 25 = 0, NULL, 1 + dice % 48), price, ROUND(price * (0.35 + 0.4 * CRC32(n * 49979687) / 4294967296e0), 4),
       IF(dice % 15 = 0, NULL, ROUND(EXP(-1.5 + 3 * CRC32(n * 67867967) / 4294967296e0), 3)),
       2005 + FLOOR(19 * SQRT(CRC32(n * 86028121) / 4294967296e0)), dice % 14 = 0,
       IF(dice % 10 = 0, NULL, JSON_ARRAY(style, IF(dice % 2, 'new', 'classic'))),
       TIMESTAMP('2023-01-02 06:30:00') + INTERVAL dice % 60000000 SECOND + INTERVAL dice % 1000000 MICROSECOND,
       IF(dice % 20 = 0, 'ask <b>Ingrid</b> & Søren first', NULL)
FROM (
  SELECT n, CRC32(n * 15485863) AS dice,
         ELT(1 + n % 8, 'Old', 'Simple', 'Copper', 'Nordic', 'Grand', 'Little', 'Blue', 'Hand-made') AS style,
         ELT(1 + n % 12, 'Kettle', 'Lamp', 'Blanket', 'Bread knife', 'Watering can', 'Bicycle bell', 'Lantern', 'Teapot', 'Frying pan', 'Wooden train', 'Greeting card', 'Packet of seeds') AS thing,
         ELT(1 + n % 12, 11, 12, 13, 111, 21, 22, 23, 113, 112, 42, 41, 211) AS category,
         GREATEST(ROUND(EXP(1.6 + (CRC32(n * 7919) + CRC32(n * 104729) + CRC32(n * 1299709)) / 4294967296e0 * 1.3)
                        * ELT(1 + n % 12, 1.2, 1.5, 1.3, 0.9, 0.7, 0.25, 0.8, 0.9, 1.4, 0.6, 0.08, 0.07)) - ELT(1 + n % 4, 0.01, 0.05, 0.10, 0.50), 0.49) AS price
  FROM numbers WHERE n <= @products
) AS things;

INSERT INTO `product variants` (product_id, `variant no`, colour, size, `price change`, barcode)
SELECT id, lines_.n, 1 + (id + lines_.n) % 6, ELT(lines_.n, 'one size', 'S', 'M', 'XL'), ELT(lines_.n, 0, -1.00, 0, 2.50),
       (4000000 + id) * 100000 + lines_.n * 7
FROM products JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) AS lines_ ON lines_.n <= 1 + id % 4;

INSERT INTO product_descriptions (product_id, locale, title, body)
SELECT id, locale, IF(locale = 'en', name, CONCAT(name, ' – schön & gut')),
       CONCAT(IF(locale = 'en', 'This ', 'Dieses Stück: '), LOWER(name), IF(locale = 'en', ' is made to last. ', ' hält ein Leben lang. '),
              ELT(1 + id % 5, 'Wash by hand.', 'Comes in a box of <em>recycled</em> card.', 'Größe nach Wahl; Farbe wie abgebildet.', 'Weight\tand size\tmay vary.\nSee the label.', '☕ Perfect for mornings 😀'))
FROM products JOIN (SELECT 'en' AS locale UNION ALL SELECT 'de') AS locales;

INSERT INTO stock_levels (warehouse, product_id, `variant no`, quantity, counted_at)
SELECT 1 + (product_id * 7 + `variant no` * 3) % 4, product_id, `variant no`, CAST(CRC32(barcode * 7) % 160 AS SIGNED) - 6,
       IF(product_id % 21 = 0, '0000-00-00 00:00:00', TIMESTAMP('2024-12-28 05:00:00') + INTERVAL product_id % 9000 SECOND)
FROM `product variants`;

INSERT INTO product_price_history (product_id, old_price, new_price, changed_at)
SELECT id, ROUND(price * ELT(1 + id % 3, 0.9, 0.95, 1.1), 2), price, updated_at FROM products WHERE id % 3 = 0 ORDER BY updated_at, id;

-- Axis order of SRID 4326 is latitude, longitude.
INSERT INTO stores (id, name, location, delivery_area, floor_plan, opened)
SELECT id, name, ST_GeomFromText(CONCAT('POINT(', latitude, ' ', longitude, ')'), 4326),
       ST_GeomFromText(CONCAT('POLYGON((', latitude - 0.1, ' ', longitude - 0.1, ',', latitude - 0.1, ' ', longitude + 0.1, ',',
                              latitude + 0.1, ' ', longitude + 0.1, ',', latitude + 0.1, ' ', longitude - 0.1, ',', latitude - 0.1, ' ', longitude - 0.1, '))'), 4326),
       ST_GeomFromText('POLYGON((0 0,0 12.5,30 12.5,30 0,0 0),(10 4,10 6,12 6,12 4,10 4))'), opened
FROM (
  SELECT 1 AS id, 'Berlin Mitte' AS name, 52.520008 AS latitude, 13.404954 AS longitude, '2009-05-04' AS opened
  UNION ALL SELECT 2, 'London Bridge', 51.507351, -0.127758, '2012-09-01'
  UNION ALL SELECT 3, 'Île de la Cité', 48.856613, 2.352222, '2015-03-20'
  UNION ALL SELECT 4, 'Wien Südtirolerplatz', 48.208176, 16.373819, '0000-00-00'
  UNION ALL SELECT -5, '東京', 35.689487, 139.691711, NULL
) AS places;

INSERT INTO store_hours (store_id, weekday, opens, closes)
SELECT stores.id, numbers.n - 1, IF(numbers.n = 7, NULL, '09:30:00'), IF(numbers.n = 7, NULL, IF(numbers.n = 6, '26:00:00', '18:30:00'))
FROM stores JOIN numbers ON numbers.n <= 7;

INSERT INTO `größen & 尺寸` VALUES ('klein', 36.50, 22.5), ('groß', 44.00, 28), ('übergroß', 50.25, 33.333333333333336), ('大', 46.00, NULL);
