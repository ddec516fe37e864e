-- Privileges on routines, once these are there. Run after routines.sql. MySQL 8.0 and later.

GRANT EXECUTE ON FUNCTION shop.net_price TO 'report_reader'@'%';
GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE shop.`it's a "search"` TO 'o''brien "100%" `x` ü'@'%';
GRANT EXECUTE ON PROCEDURE shop.close_stale_orders TO 'shop_app'@'%', 'till'@'till-%.shop.example' WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION shop.customer_turnover TO 'analyst'@'10.1.%';
