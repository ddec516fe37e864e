-- Functions and procedures, with the definers, rights, sql_modes and bodies that make them hard to move.
-- Run after the tables and accounts. MySQL 8.0 and later.

DELIMITER //

CREATE DEFINER = 'shop_owner'@'localhost' FUNCTION net_price(gross DECIMAL(14,2), vat_rate DECIMAL(4,2)) RETURNS DECIMAL(14,2)
  DETERMINISTIC NO SQL SQL SECURITY INVOKER
  COMMENT 'what is left without VAT; it''s rounded'
  RETURN ROUND(gross / (1 + vat_rate / 100), 2)//

CREATE DEFINER = 'shop_owner'@'localhost' FUNCTION customer_turnover(customer INT UNSIGNED) RETURNS DECIMAL(14,2)
  READS SQL DATA
BEGIN
  DECLARE result DECIMAL(14,2) DEFAULT 0;
  SELECT COALESCE(SUM(total), 0) INTO result FROM orders WHERE customer_id = customer AND status <> 'cancelled';
  RETURN result;
END//

CREATE DEFINER = 'report_reader'@'%' PROCEDURE close_stale_orders(IN before_day DATE, OUT closed INT)
  MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE done BOOLEAN DEFAULT FALSE;
  DECLARE one BIGINT UNSIGNED;
  DECLARE stale CURSOR FOR SELECT id FROM orders WHERE status = 'new' AND ordered_at < before_day;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
  SET closed = 0;
  OPEN stale;
  every_order: LOOP
    FETCH stale INTO one;
    IF done THEN LEAVE every_order; END IF;
    UPDATE orders SET status = 'cancelled' WHERE id = one;
    SET closed = closed + 1;
  END LOOP;
  CLOSE stale;
END//

-- Cloud SQL has neither FILE nor a place for the file; nobody calls this in the sandbox.
CREATE DEFINER = 'file_importer'@'%' PROCEDURE export_orders(IN day DATE)
  READS SQL DATA
BEGIN
  /* written for a server with a disk of its own; kept for the record */
  SELECT id, total FROM orders WHERE ordered_on = day INTO OUTFILE '/tmp/orders.csv';
  SELECT LOAD_FILE('/etc/shop/header.txt') AS header;
END//

CREATE DEFINER = 'shop_owner'@'localhost' PROCEDURE `it's a "search"`(IN `what?` VARCHAR(60) CHARACTER SET utf8mb4)
  READS SQL DATA
  COMMENT 'Suche; ünïcode 😀'
BEGIN
  -- A statement made of text; 'quotes'; and a delimiter; inside.
  SET @statement = CONCAT('SELECT id, name FROM products WHERE name LIKE ', QUOTE(CONCAT('%', `what?`, '%')), '; ');
  PREPARE search FROM @statement;
  EXECUTE search;
  DEALLOCATE PREPARE search;
  SELECT 'größer als 😀' AS `done; really`;
END//

-- The mode in which a routine was made is part of it: here "x" is a name and || joins.
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'//

CREATE DEFINER = 'gone_developer'@'%' FUNCTION label_of("first" VARCHAR(60), "second" VARCHAR(60)) RETURNS VARCHAR(130)
  DETERMINISTIC NO SQL
  RETURN "first" || ' \ ' || "second"//

SET sql_mode = DEFAULT//
