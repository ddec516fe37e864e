-- The tables of the segment "orders": orders, their lines, their way to the customer and back.
-- Run after tables_payments.sql, whose currencies they name. MySQL 8.0 and later.

CREATE TABLE coupons (
  code       VARCHAR(40) NOT NULL COMMENT 'a text key: case and accents do not count, a trailing space does',
  percent    TINYINT UNSIGNED NOT NULL,
  valid_from DATE NOT NULL DEFAULT '0000-00-00',
  valid_to   DATE NOT NULL DEFAULT '9999-12-31',
  PRIMARY KEY (code),
  CONSTRAINT coupon_percent CHECK (percent <= 100)
);

CREATE TABLE orders (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  customer_id   INT UNSIGNED NOT NULL,
  status        ENUM('new','paid','packed','shipped','delivered','cancelled') NOT NULL DEFAULT 'new',
  ordered_at    DATETIME(6) NOT NULL,
  ordered_on    DATE GENERATED ALWAYS AS (CAST(ordered_at AS DATE)) VIRTUAL,
  currency      CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'EUR',
  total         DECIMAL(12,2) NOT NULL DEFAULT 0.00,
  coupon_code   VARCHAR(40) NULL,
  wished_for    DATE NULL COMMENT 'delivery day; 0000-00-00 for "as soon as can be" in the old shop',
  comment       TEXT NULL,
  taken_by      INT UNSIGNED NULL,
  updated_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY of_customer (customer_id, ordered_at DESC),
  KEY by_day (ordered_on, status),
  KEY by_change (updated_at),
  CONSTRAINT order_of_customer FOREIGN KEY (customer_id) REFERENCES customers (id),
  CONSTRAINT order_in_currency FOREIGN KEY (currency) REFERENCES currencies (code),
  CONSTRAINT order_with_coupon FOREIGN KEY (coupon_code) REFERENCES coupons (code) ON UPDATE CASCADE ON DELETE SET NULL,
  CONSTRAINT order_taken_by FOREIGN KEY (taken_by) REFERENCES employees (id) ON DELETE SET NULL,
  CONSTRAINT order_total_is_not_negative CHECK (total >= 0)
);

CREATE TABLE order_items (
  order_id     BIGINT UNSIGNED NOT NULL,
  line_no      SMALLINT UNSIGNED NOT NULL,
  product_id   INT UNSIGNED NOT NULL,
  `variant no` TINYINT UNSIGNED NOT NULL,
  quantity     SMALLINT UNSIGNED NOT NULL DEFAULT 1,
  unit_price   DECIMAL(10,2) NOT NULL,
  discount     DECIMAL(5,4) NOT NULL DEFAULT 0.0000,
  line_total   DECIMAL(12,2) GENERATED ALWAYS AS (ROUND(quantity * unit_price * (1 - discount), 2)) STORED,
  PRIMARY KEY (order_id, line_no),
  KEY by_variant (product_id, `variant no`),
  CONSTRAINT item_of_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
  CONSTRAINT item_is_variant FOREIGN KEY (product_id, `variant no`) REFERENCES `product variants` (product_id, `variant no`),
  CONSTRAINT item_quantity CHECK (quantity > 0)
);

-- Partitioned, so it can have no foreign key: some lines tell of orders that are gone.
CREATE TABLE order_status_history (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  order_id   BIGINT UNSIGNED NOT NULL,
  status     VARCHAR(12) NOT NULL,
  changed_at DATETIME(3) NOT NULL,
  changed_by VARCHAR(80) NULL,
  PRIMARY KEY (id, changed_at),
  KEY by_order (order_id)
)
PARTITION BY RANGE COLUMNS (changed_at) (
  PARTITION before_2023 VALUES LESS THAN ('2023-01-01'),
  PARTITION year_2023 VALUES LESS THAN ('2024-01-01'),
  PARTITION year_2024 VALUES LESS THAN ('2025-01-01'),
  PARTITION later VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE shipments (
  id           CHAR(36) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  order_id     BIGINT UNSIGNED NOT NULL,
  carrier      VARCHAR(30) NOT NULL,
  tracking_no  VARCHAR(30) CHARACTER SET ascii NULL,
  shipped_at   DATETIME NOT NULL,
  delivered_at DATETIME NULL,
  on_the_way   TIME GENERATED ALWAYS AS (TIMEDIFF(delivered_at, shipped_at)) VIRTUAL,
  weight_kg    FLOAT NULL,
  PRIMARY KEY (id),
  KEY of_order (order_id),
  CONSTRAINT shipment_of_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
);

CREATE TABLE `returns` (
  id       MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT,
  order_id BIGINT UNSIGNED NOT NULL,
  line_no  SMALLINT UNSIGNED NOT NULL,
  reasons  SET('too small','too large','broken','late','not as shown') NOT NULL DEFAULT '',
  note     TINYTEXT NULL,
  returned DATE NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY once (order_id, line_no),
  CONSTRAINT return_of_item FOREIGN KEY (order_id, line_no) REFERENCES order_items (order_id, line_no) ON DELETE CASCADE
);

-- The order book of the shop before the first: every column is a reserved word.
CREATE TABLE `order` (
  `key`    INT NOT NULL AUTO_INCREMENT,
  `group`  VARCHAR(30) NOT NULL,
  `select` TINYINT(1) NOT NULL DEFAULT 1,
  `from`   DATE NULL,
  `to`     DATE NULL,
  `desc`   TEXT CHARACTER SET latin1 NULL,
  `values` DECIMAL(12,2) NULL,
  `rank`   INT GENERATED ALWAYS AS (`select` * 10) VIRTUAL,
  PRIMARY KEY (`key`),
  KEY `index` (`group`, `from`),
  CONSTRAINT `check` CHECK (`to` IS NULL OR `from` IS NULL OR `to` >= `from`)
);
