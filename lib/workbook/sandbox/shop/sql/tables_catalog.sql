-- The tables of the segment "catalog": what is sold, at what price, where it lies and where it can be bought.
-- Run after tables_customers.sql. MySQL 8.0 and later.

CREATE TABLE categories (
  id        SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  parent_id SMALLINT UNSIGNED NULL,
  name      VARCHAR(60) NOT NULL,
  position  TINYINT NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY one_name_a_parent (parent_id, name),
  CONSTRAINT category_in_category FOREIGN KEY (parent_id) REFERENCES categories (id)
);

CREATE TABLE suppliers (
  id            MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT,
  name          VARCHAR(100) CHARACTER SET utf8mb3 NOT NULL,
  contact_email VARCHAR(190) NULL,
  phone         VARCHAR(40) NULL,
  vat_number    CHAR(14) CHARACTER SET ascii NULL,
  country_code  CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  rating        FLOAT NULL,
  supplier_since YEAR NULL,
  PRIMARY KEY (id),
  CONSTRAINT supplier_in_country FOREIGN KEY (country_code) REFERENCES countries (code)
);

CREATE TABLE products (
  id           INT UNSIGNED NOT NULL AUTO_INCREMENT,
  sku          VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name         VARCHAR(160) NOT NULL,
  category_id  SMALLINT UNSIGNED NOT NULL,
  supplier_id  MEDIUMINT UNSIGNED NULL,
  price        DECIMAL(10,2) NOT NULL,
  cost         DECIMAL(12,4) NOT NULL,
  margin       DECIMAL(13,4) GENERATED ALWAYS AS (price - cost) STORED,
  weight_kg    DOUBLE NULL,
  released     YEAR NULL,
  discontinued BIT(1) NOT NULL DEFAULT b'0',
  tags         JSON NULL,
  updated_at   TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  internal_note VARCHAR(200) NULL /*!80023 INVISIBLE */,
  PRIMARY KEY (id),
  UNIQUE KEY by_sku (sku),
  KEY by_price (category_id, price DESC),
  KEY by_weight (weight_kg) INVISIBLE,
  KEY by_change (updated_at),
  CONSTRAINT product_in_category FOREIGN KEY (category_id) REFERENCES categories (id),
  CONSTRAINT product_from_supplier FOREIGN KEY (supplier_id) REFERENCES suppliers (id) ON DELETE SET NULL,
  CONSTRAINT product_price_is_not_negative CHECK (price >= 0)
);

CREATE TABLE `product variants` (
  product_id     INT UNSIGNED NOT NULL,
  `variant no`   TINYINT UNSIGNED NOT NULL,
  colour         ENUM('black','white','red','green','blue','natural') NOT NULL,
  size           VARCHAR(8) NOT NULL DEFAULT 'one size',
  `price change` DECIMAL(7,2) NOT NULL DEFAULT 0.00,
  barcode        BIGINT(13) UNSIGNED ZEROFILL NOT NULL,
  PRIMARY KEY (product_id, `variant no`),
  UNIQUE KEY `by barcode` (barcode),
  CONSTRAINT `variant of product` FOREIGN KEY (product_id) REFERENCES products (id) ON DELETE CASCADE
);

CREATE TABLE product_descriptions (
  product_id INT UNSIGNED NOT NULL,
  locale     VARCHAR(5) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title      VARCHAR(200) NOT NULL,
  body       TEXT NOT NULL,
  PRIMARY KEY (product_id, locale),
  FULLTEXT KEY words (title, body),
  FULLTEXT KEY pairs_of_characters (title) /*!50700 WITH PARSER ngram */,
  CONSTRAINT description_of_product FOREIGN KEY (product_id) REFERENCES products (id) ON DELETE CASCADE
);

CREATE TABLE product_photos (
  id         INT UNSIGNED NOT NULL AUTO_INCREMENT,
  product_id INT UNSIGNED NULL,
  file_name  VARCHAR(255) NOT NULL,
  media_type VARCHAR(60) CHARACTER SET ascii NOT NULL DEFAULT 'image/jpeg',
  content    LONGBLOB NOT NULL,
  bytes      BIGINT UNSIGNED GENERATED ALWAYS AS (LENGTH(content)) VIRTUAL,
  PRIMARY KEY (id),
  KEY first_bytes (content(8)),
  CONSTRAINT photo_of_product FOREIGN KEY (product_id) REFERENCES products (id) ON DELETE SET NULL
);

CREATE TABLE stock_levels (
  warehouse    ENUM('north','east','south','west') NOT NULL,
  product_id   INT UNSIGNED NOT NULL,
  `variant no` TINYINT UNSIGNED NOT NULL,
  quantity     INT NOT NULL COMMENT 'below zero where more was sold than counted',
  counted_at   DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (warehouse, product_id, `variant no`),
  CONSTRAINT stock_of_variant FOREIGN KEY (product_id, `variant no`) REFERENCES `product variants` (product_id, `variant no`) ON DELETE CASCADE
);

CREATE TABLE product_price_history (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  product_id INT UNSIGNED NOT NULL,
  old_price  DECIMAL(10,2) NULL,
  new_price  DECIMAL(10,2) NOT NULL,
  changed_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  KEY by_product (product_id, changed_at DESC)
);

CREATE TABLE stores (
  id            SMALLINT NOT NULL,
  name          VARCHAR(80) NOT NULL,
  location      POINT NOT NULL SRID 4326,
  delivery_area POLYGON NOT NULL SRID 4326,
  floor_plan    GEOMETRY NULL COMMENT 'metres from the front door, no earth: SRID 0',
  opened        DATE NULL,
  PRIMARY KEY (id),
  SPATIAL KEY by_location (location),
  SPATIAL KEY by_area (delivery_area)
);

-- No primary key, but a unique one that would serve.
CREATE TABLE store_hours (
  store_id SMALLINT NOT NULL,
  weekday  TINYINT UNSIGNED NOT NULL COMMENT '0 is Monday',
  opens    TIME NULL,
  closes   TIME NULL COMMENT '26:00:00 is two in the morning of the next day',
  UNIQUE KEY one_line_a_day (store_id, weekday),
  CONSTRAINT hours_of_store FOREIGN KEY (store_id) REFERENCES stores (id),
  CONSTRAINT a_week_has_seven_days CHECK (weekday BETWEEN 0 AND 6)
);

CREATE TABLE `größen & 尺寸` (
  `größe`       VARCHAR(20) NOT NULL,
  `尺寸`        DECIMAL(6,2) NOT NULL,
  `länge in cm` DOUBLE NULL,
  PRIMARY KEY (`größe`)
) COMMENT = 'Größentabelle, 尺寸表';
