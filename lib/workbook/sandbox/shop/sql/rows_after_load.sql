-- The next keys of the tables whose awkward rows sit far up: applications go on counting from there.
-- Run last of the rows. MySQL 8.0 and later.

ALTER TABLE customers AUTO_INCREMENT = 2000001000;
ALTER TABLE products AUTO_INCREMENT = 3000001000;
ALTER TABLE orders AUTO_INCREMENT = 4000000001000;
ALTER TABLE departments AUTO_INCREMENT = 900;
