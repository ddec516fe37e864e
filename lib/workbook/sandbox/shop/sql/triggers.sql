-- Triggers: they keep history and tidy what comes in. Made after the rows, which they have never seen.
-- None reads a clock of its own, so the same changes leave the same rows. MySQL 8.0 and later.

DELIMITER //

CREATE DEFINER = 'shop_owner'@'localhost' TRIGGER customers_tidy BEFORE INSERT ON customers FOR EACH ROW
BEGIN
  SET NEW.email = LOWER(TRIM(NEW.email));
  IF NEW.phone IN ('N/A', '-') THEN SET NEW.phone = NULL; END IF;
END//

CREATE DEFINER = 'shop_owner'@'localhost' TRIGGER orders_status_noted AFTER UPDATE ON orders FOR EACH ROW
  IF NOT (NEW.status <=> OLD.status) THEN
    INSERT INTO order_status_history (order_id, status, changed_at, changed_by) VALUES (NEW.id, NEW.status, NEW.updated_at, 'trigger "orders_status_noted"');
  END IF//

CREATE DEFINER = CURRENT_USER TRIGGER products_price_noted AFTER UPDATE ON products FOR EACH ROW
  IF NEW.price <> OLD.price THEN
    INSERT INTO product_price_history (product_id, old_price, new_price, changed_at) VALUES (NEW.id, OLD.price, NEW.price, NEW.updated_at);
  END IF//

CREATE DEFINER = 'shop_owner'@'localhost' TRIGGER `order items: take from "stock"` AFTER INSERT ON order_items FOR EACH ROW
  UPDATE stock_levels SET quantity = quantity - CAST(NEW.quantity AS SIGNED) WHERE product_id = NEW.product_id AND `variant no` = NEW.`variant no`//

-- Two triggers of the same moment, in an order that matters.
CREATE DEFINER = 'shop_owner'@'localhost' TRIGGER b_items_price BEFORE INSERT ON order_items FOR EACH ROW
  SET NEW.discount = LEAST(NEW.discount, 0.9999)//

CREATE DEFINER = 'shop_owner'@'localhost' TRIGGER a_items_free BEFORE INSERT ON order_items FOR EACH ROW FOLLOWS b_items_price
  SET NEW.unit_price = IF(NEW.discount > 0.99, 0, NEW.unit_price)//

CREATE DEFINER = 'shop_owner'@'localhost' TRIGGER customers_forgotten BEFORE DELETE ON customers FOR EACH ROW
  DELETE FROM newsletter_import WHERE customer_id = OLD.id//
