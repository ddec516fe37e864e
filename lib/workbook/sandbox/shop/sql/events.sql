-- Events that do no harm: switched off, or due when nobody is looking any more.
-- Run after accounts.sql. MySQL 8.0 and later.

DELIMITER //

CREATE DEFINER = 'shop_owner'@'localhost' EVENT purge_sessions ON SCHEDULE EVERY 15 MINUTE STARTS '2023-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE
  COMMENT 'live_sessions older than a day; it''s off'
  DO DELETE FROM live_sessions WHERE started_at < NOW() - INTERVAL 1 DAY//

CREATE DEFINER = CURRENT_USER EVENT nightly_totals ON SCHEDULE EVERY 1 DAY STARTS '2099-01-01 02:30:00' ENDS '2099-12-31 02:30:00' ENABLE
  DO BEGIN
    UPDATE customers SET tier_id = 1 WHERE tier_id = 0 AND customer_turnover(id) > 1000;
    UPDATE customers SET tier_id = 2 WHERE tier_id = 1 AND customer_turnover(id) > 5000;
  END//

SET time_zone = '+02:00'//

CREATE DEFINER = 'gone_developer'@'%' EVENT `once; "far away"` ON SCHEDULE AT '2099-12-31 23:59:59' ON COMPLETION NOT PRESERVE
  DO INSERT INTO search_terms (term, searched_on) VALUES ('the end 😀', '2099-12-31')//

SET time_zone = '+00:00'//
