-- Views: on tables, on each other, on a routine; with both kinds of security, a check option and hostile names.
-- Run after routines.sql and accounts.sql, whose function and definers they name. MySQL 8.0 and later.

CREATE DEFINER = 'shop_owner'@'localhost' SQL SECURITY DEFINER VIEW order_totals AS
  SELECT orders.id AS order_id, orders.customer_id, orders.ordered_on, orders.currency, COUNT(order_items.line_no) AS line_count, COALESCE(SUM(order_items.line_total), 0) AS total
  FROM orders LEFT JOIN order_items ON order_items.order_id = orders.id
  GROUP BY orders.id;

-- Its name sorts before the one that it needs.
CREATE DEFINER = 'shop_owner'@'localhost' SQL SECURITY INVOKER VIEW a_month_of_sales AS
  SELECT DATE_FORMAT(ordered_on, '%Y-%m') AS month, currency, COUNT(*) AS orders, SUM(total) AS turnover
  FROM order_totals GROUP BY month, currency;

CREATE ALGORITHM = MERGE DEFINER = 'report_reader'@'%' SQL SECURITY DEFINER VIEW customer_contacts (id, `full name`, `e-mail`) AS
  SELECT id, name, LOWER(TRIM(email)) FROM customers WHERE email IS NOT NULL AND email <> 'N/A';

CREATE DEFINER = CURRENT_USER SQL SECURITY INVOKER VIEW german_addresses AS
  SELECT customer_id, kind, line1, line2, postcode, city, country_code FROM addresses WHERE country_code = 'DE' WITH CASCADED CHECK OPTION;

CREATE ALGORITHM = TEMPTABLE DEFINER = 'shop_owner'@'localhost' VIEW `best "sellers" of ``all`` time's` AS
  SELECT products.id, products.name AS `it's name`, SUM(order_items.quantity) AS `how many?`, net_price(SUM(order_items.line_total), 19.00) AS `net %s`
  FROM products JOIN order_items ON order_items.product_id = products.id GROUP BY products.id;

-- Its definer left and was dropped; with the caller's rights it works all the same.
CREATE DEFINER = 'gone_developer'@'%' SQL SECURITY INVOKER VIEW z_open_orders AS
  SELECT a.order_id, a.total, customer_contacts.`e-mail` FROM order_totals AS a JOIN orders ON orders.id = a.order_id LEFT JOIN customer_contacts ON customer_contacts.id = a.customer_id
  WHERE orders.status IN ('new', 'paid', 'packed');
