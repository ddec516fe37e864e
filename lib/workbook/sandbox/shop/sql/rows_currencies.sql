-- Currencies, which orders and payments both name. Run before rows_orders.sql. MySQL 8.0 and later.

INSERT INTO currencies (code, name, symbol, minor_units) VALUES
  ('EUR','Euro','€',2), ('GBP','Pound sterling','£',2), ('CHF','Swiss franc','CHF',2), ('SEK','Swedish krona','kr',2), ('USD','US dollar','$',2),
  ('JPY','Yen','¥',0), ('BHD','Bahraini dinar','د.ب',3), ('XTS','For testing','🧪',0);
