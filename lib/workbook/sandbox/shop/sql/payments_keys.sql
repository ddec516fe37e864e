-- The foreign keys from payments to orders; the two segments point at each other, so one must wait.
-- Run after tables_orders.sql. MySQL 8.0 and later.

ALTER TABLE payments ADD CONSTRAINT payment_of_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE;
