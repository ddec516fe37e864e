-- The tables of the segment "payments": money in, money out, and what the bank says of it.
-- Run before tables_orders.sql; payments_keys.sql adds the key that points at orders. MySQL 8.0 and later.

CREATE TABLE currencies (
  code        CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name        VARCHAR(60) NOT NULL,
  symbol      VARCHAR(4) NOT NULL,
  minor_units TINYINT UNSIGNED NOT NULL DEFAULT 2,
  PRIMARY KEY (code)
);

CREATE TABLE exchange_rates (
  currency  CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  quoted_on DATE NOT NULL,
  rate      DECIMAL(38,18) NOT NULL COMMENT 'units of the currency for one euro',
  PRIMARY KEY (currency, quoted_on),
  CONSTRAINT rate_of_currency FOREIGN KEY (currency) REFERENCES currencies (code)
);

CREATE TABLE payments (
  id           BINARY(16) NOT NULL COMMENT 'a UUID in 16 bytes',
  order_id     BIGINT UNSIGNED NOT NULL,
  method       ENUM('card','transfer','wallet','gift card','invoice') NOT NULL,
  amount       DECIMAL(12,2) NOT NULL,
  currency     CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  paid_at      TIMESTAMP(6) NULL,
  bank_reference VARCHAR(35) CHARACTER SET ascii NULL,
  answer       JSON NULL,
  id_text      CHAR(36) CHARACTER SET ascii GENERATED ALWAYS AS (BIN_TO_UUID(id)) VIRTUAL /*!80023 INVISIBLE */,
  PRIMARY KEY (id),
  KEY of_order (order_id),
  KEY by_time (paid_at),
  CONSTRAINT payment_in_currency FOREIGN KEY (currency) REFERENCES currencies (code)
);

CREATE TABLE refunds (
  id         BINARY(16) NOT NULL DEFAULT (UUID_TO_BIN(UUID())),
  payment_id BINARY(16) NOT NULL,
  amount     DECIMAL(12,2) NOT NULL,
  reason     VARCHAR(200) NULL,
  refunded_on DATE NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT refund_of_payment FOREIGN KEY (payment_id) REFERENCES payments (id) ON DELETE CASCADE
);

CREATE TABLE invoices (
  region    VARCHAR(10) NOT NULL,
  number    INT UNSIGNED NOT NULL,
  order_id  BIGINT UNSIGNED NOT NULL,
  net       DECIMAL(12,2) NOT NULL,
  vat       DECIMAL(12,2) NOT NULL,
  gross     DECIMAL(12,2) GENERATED ALWAYS AS (net + vat) VIRTUAL,
  issued_on DATE NOT NULL,
  document  MEDIUMTEXT NULL,
  PRIMARY KEY (region, number),
  KEY by_order (order_id)
)
PARTITION BY LIST COLUMNS (region) (
  PARTITION union_of_europe VALUES IN ('eu', 'EEA'),
  PARTITION americas VALUES IN ('americas'),
  PARTITION elsewhere VALUES IN ('asia', 'rest', '')
);

CREATE TABLE gift_cards (
  code    VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'aa and AA are two cards',
  balance DECIMAL(8,2) NOT NULL,
  pin     BINARY(4) NOT NULL,
  expires DATE NULL,
  PRIMARY KEY (code)
);

-- MyISAM: the bank's file importer of long ago wanted it so.
CREATE TABLE bank_export (
  line      INT UNSIGNED NOT NULL AUTO_INCREMENT,
  booked    CHAR(10) NOT NULL,
  purpose   VARCHAR(140) NOT NULL,
  amount    VARCHAR(20) NOT NULL COMMENT '1.234,56 with a comma, and sometimes N/A',
  iban      CHAR(34) NULL,
  PRIMARY KEY (line),
  FULLTEXT KEY words (purpose)
) ENGINE = MyISAM DEFAULT CHARACTER SET latin1;

CREATE TABLE `in/out` (
  `a.b`         BIGINT NOT NULL,
  `100%s sure?` VARCHAR(40) NOT NULL DEFAULT '100% {sure} :x ?',
  `{brace}`     DECIMAL(20,4) NULL,
  ` leading`    DATETIME(2) NULL,
  `semi;colon`  VARCHAR(40) NULL,
  `emp-ty --`   VARCHAR(40) NULL,
  PRIMARY KEY (`a.b`)
) COMMENT = 'Names that mislead formatters, paths and statement splitters; -- and /* this */';
