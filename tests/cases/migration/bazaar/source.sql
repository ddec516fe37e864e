CREATE TABLE store (store_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, code VARCHAR(32) DEFAULT NULL, name VARCHAR(255) NOT NULL, sort_order SMALLINT UNSIGNED NOT NULL DEFAULT 0, PRIMARY KEY (store_id), UNIQUE KEY STORE_CODE (code)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COMMENT='Stores'
;;
INSERT INTO store VALUES (0, 'admin', 'Admin', 0), (1, 'default', 'English Store View', 0), (2, 'de', 'Deutsche Ansicht ß', 1)
;;
CREATE TABLE eav_attribute (
  attribute_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, entity_type_id SMALLINT UNSIGNED NOT NULL DEFAULT 0, attribute_code VARCHAR(255) NOT NULL, backend_type VARCHAR(8) NOT NULL DEFAULT 'static', frontend_label VARCHAR(255), is_required SMALLINT UNSIGNED NOT NULL DEFAULT 0, default_value TEXT,
  PRIMARY KEY (attribute_id), UNIQUE KEY EAV_ATTRIBUTE_ENTITY_TYPE_ID_ATTRIBUTE_CODE (entity_type_id, attribute_code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COMMENT='Eav Attribute'
;;
INSERT INTO eav_attribute (entity_type_id, attribute_code, backend_type, frontend_label, is_required) VALUES (4, 'name', 'varchar', 'Product Name', 1), (4, 'description', 'text', 'Description', 0), (4, 'price', 'decimal', 'Price', 1), (4, 'status', 'int', 'Enable', 0), (4, 'news_from_date', 'datetime', NULL, 0), (4, 'url_key', 'varchar', 'URL', 0)
;;
CREATE TABLE catalog_product_entity (
  entity_id INT UNSIGNED NOT NULL AUTO_INCREMENT, attribute_set_id SMALLINT UNSIGNED NOT NULL DEFAULT 0, type_id VARCHAR(32) NOT NULL DEFAULT 'simple', sku VARCHAR(64) DEFAULT NULL, has_options SMALLINT NOT NULL DEFAULT 0,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (entity_id), KEY CATALOG_PRODUCT_ENTITY_SKU (sku)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COMMENT='Catalog Product Table'
;;
CREATE TABLE catalog_product_cl (version_id INT UNSIGNED NOT NULL AUTO_INCREMENT, entity_id INT UNSIGNED NOT NULL DEFAULT 0, PRIMARY KEY (version_id), UNIQUE KEY uq (version_id, entity_id)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3
;;
CREATE TRIGGER trg_catalog_product_entity_after_insert AFTER INSERT ON catalog_product_entity FOR EACH ROW BEGIN INSERT IGNORE INTO `catalog_product_cl` (`entity_id`) VALUES (NEW.`entity_id`); END
;;
CREATE TRIGGER trg_catalog_product_entity_after_update AFTER UPDATE ON catalog_product_entity FOR EACH ROW BEGIN IF (NEW.`sku` <=> OLD.`sku` OR NEW.`type_id` <=> OLD.`type_id`) THEN INSERT IGNORE INTO `catalog_product_cl` (`entity_id`) VALUES (NEW.`entity_id`); END IF; END
;;
CREATE TRIGGER trg_catalog_product_entity_after_delete AFTER DELETE ON catalog_product_entity FOR EACH ROW BEGIN INSERT IGNORE INTO `catalog_product_cl` (`entity_id`) VALUES (OLD.`entity_id`); END
;;
INSERT INTO catalog_product_entity (attribute_set_id, type_id, sku, created_at, updated_at) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
  SELECT 4, ELT(1 + i MOD 3, 'simple', 'configurable', 'virtual'), IF(i MOD 70, CONCAT('24-MB', LPAD(i, 2, '0')), NULL), '2016-03-27 02:30:00' + INTERVAL i HOUR, '2038-01-19 03:14:07' FROM n
;;
CREATE TABLE catalog_product_entity_varchar (
  value_id INT NOT NULL AUTO_INCREMENT, attribute_id SMALLINT UNSIGNED NOT NULL DEFAULT 0, store_id SMALLINT UNSIGNED NOT NULL DEFAULT 0, entity_id INT UNSIGNED NOT NULL DEFAULT 0, value VARCHAR(255) DEFAULT NULL, PRIMARY KEY (value_id),
  UNIQUE KEY CATALOG_PRODUCT_ENTITY_VARCHAR_ENTITY_ID_ATTRIBUTE_ID_STORE_ID (entity_id, attribute_id, store_id), KEY CATALOG_PRODUCT_ENTITY_VARCHAR_ATTRIBUTE_ID (attribute_id), KEY CATALOG_PRODUCT_ENTITY_VARCHAR_STORE_ID (store_id),
  CONSTRAINT CAT_PRD_ENTT_VCHR_ATTR_ID_EAV_ATTR_ATTR_ID FOREIGN KEY (attribute_id) REFERENCES eav_attribute (attribute_id) ON DELETE CASCADE,
  CONSTRAINT CAT_PRD_ENTT_VCHR_ENTT_ID_CAT_PRD_ENTT_ENTT_ID FOREIGN KEY (entity_id) REFERENCES catalog_product_entity (entity_id) ON DELETE CASCADE,
  CONSTRAINT CATALOG_PRODUCT_ENTITY_VARCHAR_STORE_ID_STORE_STORE_ID FOREIGN KEY (store_id) REFERENCES store (store_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COMMENT='Catalog Product Varchar Attribute Backend Table'
;;
INSERT INTO catalog_product_entity_varchar (attribute_id, store_id, entity_id, value) SELECT a.attribute_id, s.store_id, p.entity_id, IF((p.entity_id + s.store_id) MOD 7, CONCAT(a.attribute_code, ' ', ELT(1 + s.store_id, 'Joust Duffle Bag', 'Bag', 'Tasche für Männer'), ' ', p.entity_id), NULL)
  FROM catalog_product_entity AS p CROSS JOIN store AS s CROSS JOIN eav_attribute AS a WHERE a.backend_type = 'varchar' AND (s.store_id = 0 OR p.entity_id MOD 4 = s.store_id)
;;
CREATE TABLE catalog_product_entity_decimal (
  value_id INT NOT NULL AUTO_INCREMENT, attribute_id SMALLINT UNSIGNED NOT NULL DEFAULT 0, store_id SMALLINT UNSIGNED NOT NULL DEFAULT 0, entity_id INT UNSIGNED NOT NULL DEFAULT 0, value DECIMAL(20,6) DEFAULT NULL, PRIMARY KEY (value_id),
  UNIQUE KEY CATALOG_PRODUCT_ENTITY_DECIMAL_ENTITY_ID_ATTRIBUTE_ID_STORE_ID (entity_id, attribute_id, store_id),
  CONSTRAINT CAT_PRD_ENTT_DEC_ENTT_ID_CAT_PRD_ENTT_ENTT_ID FOREIGN KEY (entity_id) REFERENCES catalog_product_entity (entity_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3
;;
INSERT INTO catalog_product_entity_decimal (attribute_id, entity_id, value) SELECT 3, entity_id, IF(entity_id MOD 50, entity_id * 1.333333, 99999999999999.999999) FROM catalog_product_entity
;;
CREATE TABLE catalog_product_entity_text (value_id INT NOT NULL AUTO_INCREMENT, attribute_id SMALLINT UNSIGNED NOT NULL, store_id SMALLINT UNSIGNED NOT NULL, entity_id INT UNSIGNED NOT NULL, value MEDIUMTEXT, PRIMARY KEY (value_id), UNIQUE KEY uq (entity_id, attribute_id, store_id),
  CONSTRAINT CAT_PRD_ENTT_TEXT_ENTT_ID FOREIGN KEY (entity_id) REFERENCES catalog_product_entity (entity_id) ON DELETE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3
;;
INSERT INTO catalog_product_entity_text (attribute_id, store_id, entity_id, value) SELECT 2, 0, entity_id, CONCAT('<ul>\n<li>', REPEAT('Schönes “Ding” ', entity_id MOD 30), '</li>\r\n</ul>') FROM catalog_product_entity
;;
CREATE TABLE catalog_product_entity_datetime (value_id INT NOT NULL AUTO_INCREMENT, attribute_id SMALLINT UNSIGNED NOT NULL, store_id SMALLINT UNSIGNED NOT NULL, entity_id INT UNSIGNED NOT NULL, value DATETIME, PRIMARY KEY (value_id), UNIQUE KEY uq (entity_id, attribute_id, store_id)) ENGINE=InnoDB
;;
INSERT INTO catalog_product_entity_datetime (attribute_id, store_id, entity_id, value) SELECT 5, 0, entity_id, IF(entity_id MOD 3, '2016-01-01', NULL) FROM catalog_product_entity WHERE entity_id MOD 5 = 0
;;
CREATE TABLE sequence_order_1 (sequence_value INT UNSIGNED NOT NULL AUTO_INCREMENT, PRIMARY KEY (sequence_value)) ENGINE=InnoDB AUTO_INCREMENT=2001
;;
CREATE TABLE sales_order (
  entity_id INT UNSIGNED NOT NULL AUTO_INCREMENT, state VARCHAR(32) DEFAULT NULL, protect_code VARCHAR(255), store_id SMALLINT UNSIGNED DEFAULT NULL, customer_email VARCHAR(128), base_grand_total DECIMAL(20,4), tax_rate DECIMAL(12,4) DEFAULT 0.1900, increment_id VARCHAR(50),
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, gift_message JSON, total_with_tax DECIMAL(22,4) AS (ROUND(base_grand_total * (1 + tax_rate), 4)) STORED, PRIMARY KEY (entity_id), UNIQUE KEY SALES_ORDER_INCREMENT_ID_STORE_ID (increment_id, store_id), KEY SALES_ORDER_TOTAL (total_with_tax),
  CONSTRAINT SALES_ORDER_STORE_ID_STORE_STORE_ID FOREIGN KEY (store_id) REFERENCES store (store_id) ON DELETE SET NULL, CONSTRAINT not_negative CHECK (base_grand_total >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8
;;
INSERT INTO sales_order (state, protect_code, store_id, customer_email, base_grand_total, increment_id, created_at, gift_message) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
  SELECT ELT(1 + i MOD 4, 'new', 'processing', 'complete', 'canceled'), LEFT(SHA2(i, 256), 32), IF(i MOD 25, i MOD 3, NULL), CONCAT(' Buyer', i MOD 97, '@EXAMPLE.org'), i * 12.3456, LPAD(i, 9, '0'), '2019-10-27 00:30:00' + INTERVAL i * 13 MINUTE, IF(i MOD 6, NULL, JSON_OBJECT('to', 'Zoë', 'n', i)) FROM n
;;
CREATE TABLE sales_order_item (
  item_id INT UNSIGNED NOT NULL AUTO_INCREMENT, order_id INT UNSIGNED NOT NULL DEFAULT 0, parent_item_id INT UNSIGNED, product_id INT UNSIGNED, qty_ordered DECIMAL(12,4) DEFAULT 0.0000, price DECIMAL(12,4) NOT NULL DEFAULT 0.0000, weee TEXT, is_virtual BIT(1) NOT NULL DEFAULT b'0', PRIMARY KEY (item_id), KEY SALES_ORDER_ITEM_ORDER_ID (order_id),
  CONSTRAINT SALES_ORDER_ITEM_ORDER_ID_SALES_ORDER_ENTITY_ID FOREIGN KEY (order_id) REFERENCES sales_order (entity_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3
;;
INSERT INTO sales_order_item (order_id, product_id, qty_ordered, price, is_virtual) SELECT entity_id, 1 + (entity_id * k) MOD 500, k, 10.0001 * k, k MOD 2 FROM sales_order CROSS JOIN (SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3) AS three
;;
CREATE VIEW inventory_stock_1 AS SELECT DISTINCT p.entity_id AS product_id, p.sku, COALESCE(i.qty, 0) AS quantity, IF(i.qty > 0, 1, 0) AS is_salable FROM catalog_product_entity AS p LEFT JOIN (SELECT product_id, SUM(qty_ordered) AS qty FROM sales_order_item GROUP BY product_id) AS i ON i.product_id = p.entity_id
;;
CREATE VIEW product_flat AS SELECT p.entity_id, n.value AS name, d.value AS price FROM catalog_product_entity AS p LEFT JOIN catalog_product_entity_varchar AS n ON n.entity_id = p.entity_id AND n.attribute_id = 1 AND n.store_id = 0 LEFT JOIN catalog_product_entity_decimal AS d ON d.entity_id = p.entity_id
;;
CREATE PROCEDURE next_order(OUT number INT) MODIFIES SQL DATA BEGIN INSERT INTO sequence_order_1 VALUES (NULL); SET number = LAST_INSERT_ID(); END
