-- The tables of the segment "telemetry": what visitors do on the site and what the stores' devices report.
-- Run last of the tables. MySQL 8.0 and later.

CREATE TABLE devices (
  id       BIGINT UNSIGNED NOT NULL COMMENT 'half of them above 2^63',
  serial   CHAR(36) CHARACTER SET ascii NOT NULL,
  secret   BINARY(16) NOT NULL,
  store_id SMALLINT NULL,
  firmware VARCHAR(20) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY by_serial (serial)
);

CREATE TABLE device_readings (
  device_id   BIGINT UNSIGNED NOT NULL,
  read_at     DATETIME(6) NOT NULL,
  temperature FLOAT NULL,
  humidity    DOUBLE NULL,
  flags       BIT(8) NOT NULL DEFAULT b'0',
  raw         VARBINARY(64) NULL,
  PRIMARY KEY (device_id, read_at)
)
PARTITION BY HASH (device_id) PARTITIONS 4;

CREATE TABLE page_views (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  viewed_on   DATE NOT NULL,
  viewed_at   TIME(3) NOT NULL,
  customer_id INT UNSIGNED NULL COMMENT 'no key; some customers are gone',
  path        VARCHAR(300) NOT NULL,
  referrer    VARCHAR(300) NULL,
  agent       VARCHAR(200) NULL,
  milliseconds MEDIUMINT UNSIGNED NULL,
  address     VARBINARY(16) NULL COMMENT 'IPv4 in 4 bytes, IPv6 in 16',
  PRIMARY KEY (id, viewed_on),
  KEY by_customer (customer_id)
)
PARTITION BY RANGE (TO_DAYS(viewed_on)) (
  PARTITION first_half_2023 VALUES LESS THAN (TO_DAYS('2023-07-01')),
  PARTITION second_half_2023 VALUES LESS THAN (TO_DAYS('2024-01-01')),
  PARTITION first_half_2024 VALUES LESS THAN (TO_DAYS('2024-07-01')),
  PARTITION second_half_2024 VALUES LESS THAN (TO_DAYS('2025-01-01')),
  PARTITION later VALUES LESS THAN MAXVALUE
);

-- Keyless, with equal rows: a click is logged as often as it arrives.
CREATE TABLE click_log (
  clicked_at DATETIME(3) NULL,
  session    CHAR(12) CHARACTER SET ascii NULL,
  element    VARCHAR(60) NULL,
  x          SMALLINT NULL,
  y          SMALLINT NULL,
  payload    JSON NULL
);

CREATE TABLE live_sessions (
  session     CHAR(12) CHARACTER SET ascii NOT NULL,
  customer_id INT UNSIGNED NULL,
  started_at  DATETIME NOT NULL,
  PRIMARY KEY (session) USING HASH,
  KEY by_start (started_at) USING BTREE
) ENGINE = MEMORY;

-- Its primary key does not show in SELECT *.
CREATE TABLE search_terms (
  row_id      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,
  term        VARCHAR(120) NOT NULL,
  hits        INT UNSIGNED NOT NULL DEFAULT 0,
  searched_on DATE NOT NULL,
  PRIMARY KEY (row_id),
  KEY by_term (term(20))
);

CREATE TABLE archive_of_the_first_shop_before_it_was_moved_in_october_of_2021 (
  id INT NOT NULL,
  this_column_has_a_name_of_sixty_four_characters_as_mysql_permits VARCHAR(30) CHARACTER SET utf8mb3 NULL,
  PRIMARY KEY (id)
) ROW_FORMAT = COMPRESSED;
