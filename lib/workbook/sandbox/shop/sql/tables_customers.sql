-- The tables of the segment "customers": people, where they live, what they like, and the staff that serves them.
-- Run in the empty database shop with a permissive sql_mode (zero dates stand as defaults). MySQL 8.0 and later.

CREATE TABLE countries (
  code         CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name         VARCHAR(80) NOT NULL,
  native_name  VARCHAR(80) COLLATE utf8mb4_bin NOT NULL,
  calling_code SMALLINT UNSIGNED NOT NULL,
  vat_rate     DECIMAL(4,2) NOT NULL DEFAULT 0.00,
  PRIMARY KEY (code),
  UNIQUE KEY by_name (name)
) COMMENT = 'ISO 3166; the shop''s "own" spelling of names';

CREATE TABLE loyalty_tiers (
  id       TINYINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT '0 is a real row: no tier',
  name     VARCHAR(30) NOT NULL,
  discount DECIMAL(5,4) NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE customers (
  id                INT UNSIGNED NOT NULL AUTO_INCREMENT,
  name              VARCHAR(120) NOT NULL,
  family_name       VARCHAR(120) GENERATED ALWAYS AS (SUBSTRING_INDEX(name, ' ', -1)) VIRTUAL,
  email             VARCHAR(190) NULL,
  email_domain      VARCHAR(190) GENERATED ALWAYS AS (LOWER(SUBSTRING_INDEX(TRIM(email), '@', -1))) STORED,
  phone             VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci NULL,
  birth_date        DATE NULL DEFAULT '0000-00-00' COMMENT 'the old shop wrote 0000-00-00 for unknown, 1985-00-00 for a year alone',
  gender            ENUM('female','male','other','') NULL,
  interests         SET('books','games','garden','kitchen','music','sports','tea & coffee','it''s a gift') NOT NULL DEFAULT '',
  tier_id           TINYINT UNSIGNED NOT NULL DEFAULT 0,
  marketing_consent TINYINT(1) NOT NULL DEFAULT 0 COMMENT '0 no, 1 yes, 2 asked twice, -1 withdrawn',
  referred_by       INT UNSIGNED NULL,
  remark            TEXT CHARACTER SET utf8mb3 NULL,
  password_hash     VARBINARY(60) NULL /*!80023 INVISIBLE */,
  registered_at     TIMESTAMP(3) NOT NULL,
  updated_at        TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY by_email (email),
  KEY by_clean_email ((LOWER(TRIM(email)))),
  KEY by_family_name (family_name, name(12)),
  KEY by_domain (email_domain) INVISIBLE,
  KEY newest_first (registered_at DESC, id),
  KEY by_change (updated_at),
  CONSTRAINT customer_tier FOREIGN KEY (tier_id) REFERENCES loyalty_tiers (id) ON UPDATE CASCADE,
  CONSTRAINT customer_referred_by FOREIGN KEY (referred_by) REFERENCES customers (id) ON DELETE SET NULL,
  CONSTRAINT customer_has_a_name CHECK (CHAR_LENGTH(name) > 0),
  CONSTRAINT customer_email_has_an_at CHECK (email LIKE '%@%') NOT ENFORCED
) COMMENT = 'People who registered; some twice';

CREATE TABLE addresses (
  customer_id  INT UNSIGNED NOT NULL,
  kind         ENUM('billing','shipping','other') NOT NULL DEFAULT 'billing',
  line1        VARCHAR(160) NOT NULL,
  line2        VARCHAR(160) NOT NULL DEFAULT '',
  postcode     VARCHAR(12) CHARACTER SET latin1 NULL,
  city         VARCHAR(80) CHARACTER SET latin1 COLLATE latin1_german2_ci NOT NULL,
  country_code CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (customer_id, kind),
  KEY by_city (country_code, city(20)),
  CONSTRAINT address_of_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT address_in_country FOREIGN KEY (country_code) REFERENCES countries (code) ON UPDATE CASCADE
);

CREATE TABLE customer_preferences (
  customer_id INT UNSIGNED NOT NULL,
  settings    JSON NOT NULL DEFAULT (JSON_OBJECT()),
  language    VARCHAR(8) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(settings, '$.language'))) VIRTUAL,
  newsletter  TINYINT(1) GENERATED ALWAYS AS (COALESCE(JSON_EXTRACT(settings, '$.newsletter') = TRUE, FALSE)) STORED,
  PRIMARY KEY (customer_id),
  KEY by_language (language),
  KEY by_favourite ((CAST(JSON_EXTRACT(settings, '$.favourites') AS UNSIGNED ARRAY))),
  CONSTRAINT preferences_of_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE
);

-- A keyless table: what a newsletter tool once exported, twice, with its dirt.
CREATE TABLE newsletter_import (
  customer_id INT UNSIGNED NULL,
  email       VARCHAR(190) NULL,
  full_name   VARCHAR(120) NULL,
  joined      VARCHAR(20) NULL COMMENT 'dates in three notations',
  country     VARCHAR(60) NULL,
  score       VARCHAR(12) NULL,
  KEY by_customer (customer_id)
) DEFAULT CHARACTER SET latin1;

CREATE TABLE departments (
  id      SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  name    VARCHAR(60) NOT NULL,
  head_id INT UNSIGNED NULL,
  PRIMARY KEY (id)
);

CREATE TABLE employees (
  id            INT UNSIGNED NOT NULL AUTO_INCREMENT,
  department_id SMALLINT UNSIGNED NOT NULL,
  manager_id    INT UNSIGNED NULL,
  name          VARCHAR(120) NOT NULL,
  salary        DECIMAL(9,2) UNSIGNED NOT NULL,
  hired_on      DATE NOT NULL,
  badge         INT(8) UNSIGNED ZEROFILL NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY by_badge (badge),
  CONSTRAINT employee_in_department FOREIGN KEY (department_id) REFERENCES departments (id),
  CONSTRAINT employee_has_manager FOREIGN KEY (manager_id) REFERENCES employees (id)
);

-- Closes the circle: a department has a head, who is in a department.
ALTER TABLE departments ADD CONSTRAINT department_has_head FOREIGN KEY (head_id) REFERENCES employees (id) ON DELETE SET NULL;

CREATE TABLE `customer "aliases"` (
  `it's`       INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `back``tick` VARCHAR(60) NOT NULL DEFAULT 'it''s a \\ default "text"',
  `group`      INT UNSIGNED NULL COMMENT 'points at customers, but no key says so',
  PRIMARY KEY (`it's`),
  KEY `an "index" with a ``tick```  (`back``tick`)
) COMMENT = 'Names with `backticks`, "quotes" and \'apostrophes\'';
