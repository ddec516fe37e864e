CREATE TABLE languages (
  language_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name CHAR(20) NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
)
;;
INSERT INTO languages (name, last_update) VALUES ('English', '2006-02-15 05:02:19'), ('Italiano', '2006-02-15 05:02:19'), ('日本語', '2006-02-15 05:02:19')
;;
CREATE TABLE genres (genre_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(25) NOT NULL, UNIQUE KEY (name))
;;
INSERT INTO genres (name) VALUES ('Action'), ('Animation'), ('Children'), ('Classics'), ('Documentary'), ('Film noir'), ('Sci-Fi')
;;
CREATE TABLE performers (
  performer_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, first_name VARCHAR(45) NOT NULL, last_name VARCHAR(45) NOT NULL,
  KEY idx_last_name (last_name)
)
;;
INSERT INTO performers (first_name, last_name)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
  SELECT ELT(1 + i MOD 7, 'PENÉLOPE', 'Nick', 'Ed', 'Jennifer', 'Zoë', 'Renée', 'Bo'), CONCAT(ELT(1 + i MOD 5, 'O''HARA', 'Wahlberg', 'CHASE', 'Kilmer', 'Ødegård'), ' ', i) FROM n
;;
CREATE TABLE films (
  film_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, title VARCHAR(128) NOT NULL, description TEXT, release_year YEAR,
  language_id TINYINT UNSIGNED NOT NULL, original_language_id TINYINT UNSIGNED DEFAULT NULL,
  rental_duration TINYINT UNSIGNED NOT NULL DEFAULT 3, rental_rate DECIMAL(4,2) NOT NULL DEFAULT 4.99, length SMALLINT UNSIGNED,
  replacement_cost DECIMAL(5,2) NOT NULL DEFAULT 19.99, rating ENUM('G','PG','PG-13','R','NC-17') DEFAULT 'G',
  extras SET('Trailers','Commentaries','Deleted Scenes','Behind the Scenes'),
  hours DECIMAL(5,2) GENERATED ALWAYS AS (length / 60) VIRTUAL, letter CHAR(1) AS (LEFT(title, 1)) STORED,
  KEY idx_title (title), KEY by_letter (letter, release_year DESC), KEY original (original_language_id), KEY spoken ((LOWER(title))),
  CONSTRAINT film_language FOREIGN KEY (language_id) REFERENCES languages (language_id) ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT film_language_original FOREIGN KEY (original_language_id) REFERENCES languages (language_id) ON DELETE RESTRICT ON UPDATE CASCADE
)
;;
CREATE TABLE film_text (
  film_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY, title VARCHAR(255) NOT NULL, description TEXT, FULLTEXT KEY idx_title_description (title, description)
)
;;
CREATE TRIGGER film_added AFTER INSERT ON films FOR EACH ROW INSERT INTO film_text VALUES (NEW.film_id, NEW.title, NEW.description)
;;
CREATE TRIGGER film_changed AFTER UPDATE ON films FOR EACH ROW
BEGIN
  IF OLD.title <> NEW.title OR NOT OLD.description <=> NEW.description THEN
    UPDATE film_text SET title = NEW.title, description = NEW.description WHERE film_id = OLD.film_id;
  END IF;
END
;;
CREATE TRIGGER film_gone AFTER DELETE ON films FOR EACH ROW DELETE FROM film_text WHERE film_id = OLD.film_id
;;
INSERT INTO films (title, description, release_year, language_id, original_language_id, rental_duration, rental_rate, length, rating, extras)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
  SELECT CONCAT(ELT(1 + i MOD 6, 'ACADEMY', 'Bikini', 'Çelik', 'DRAGON', 'Émile', 'FIDDLER'), ' ', ELT(1 + i MOD 4, 'Dinosaur', 'Borrowers', 'STRANGER', 'Wall'), ' ', i),
    IF(i MOD 11, CONCAT('A ', ELT(1 + i MOD 3, 'Fateful', 'Boring', 'Touching'), ' Tale of a Robot and a "Dentist" who must\tfight a ', i, ' in The Rockies\n'), NULL),
    IF(i MOD 50, 1960 + i MOD 60, NULL), 1 + i MOD 3, IF(i MOD 9, NULL, 1), 3 + i MOD 5, 0.99 + i MOD 5, 46 + i MOD 140,
    ELT(1 + i MOD 5, 'G', 'PG', 'PG-13', 'R', 'NC-17'), i MOD 16 FROM n
;;
CREATE TABLE film_performers (
  performer_id SMALLINT UNSIGNED NOT NULL, film_id SMALLINT UNSIGNED NOT NULL, PRIMARY KEY (performer_id, film_id), KEY by_film (film_id),
  CONSTRAINT cast_performer FOREIGN KEY (performer_id) REFERENCES performers (performer_id) ON UPDATE CASCADE,
  CONSTRAINT cast_film FOREIGN KEY (film_id) REFERENCES films (film_id) ON UPDATE CASCADE
)
;;
INSERT INTO film_performers SELECT performer_id, film_id FROM performers CROSS JOIN films WHERE (performer_id * 7 + film_id) MOD 61 = 0
;;
CREATE TABLE film_genres (
  film_id SMALLINT UNSIGNED NOT NULL, genre_id TINYINT UNSIGNED NOT NULL, PRIMARY KEY (film_id, genre_id),
  CONSTRAINT genre_film FOREIGN KEY (film_id) REFERENCES films (film_id), CONSTRAINT genre_genre FOREIGN KEY (genre_id) REFERENCES genres (genre_id)
)
;;
INSERT INTO film_genres SELECT film_id, 1 + film_id MOD 7 FROM films
;;
CREATE TABLE places (
  place_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, street VARCHAR(50) NOT NULL, street2 VARCHAR(50), district VARCHAR(20) NOT NULL,
  phone VARCHAR(20) NOT NULL, location GEOMETRY NOT NULL SRID 0, SPATIAL KEY idx_location (location)
)
;;
INSERT INTO places (street, street2, district, phone, location)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
  SELECT CONCAT(i, ' MySakiță Drive'), NULLIF('', IF(i MOD 3, '', 'x')), ELT(1 + i MOD 3, 'Alberta', 'QLD', ''), LPAD(i * 7919, 12, '0'),
    IF(i MOD 10, ST_GeomFromText(CONCAT('POINT(', i, '.5 -', i, ')')), ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')) FROM n
;;
CREATE TABLE clerks (
  clerk_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(45) NOT NULL, place_id SMALLINT UNSIGNED NOT NULL, picture BLOB,
  shop_id TINYINT UNSIGNED NOT NULL, active BOOLEAN NOT NULL DEFAULT TRUE, password VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  CONSTRAINT clerk_place FOREIGN KEY (place_id) REFERENCES places (place_id)
)
;;
CREATE TABLE shops (
  shop_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, manager_id TINYINT UNSIGNED NOT NULL, place_id SMALLINT UNSIGNED NOT NULL, UNIQUE KEY one_manager (manager_id),
  CONSTRAINT shop_manager FOREIGN KEY (manager_id) REFERENCES clerks (clerk_id), CONSTRAINT shop_place FOREIGN KEY (place_id) REFERENCES places (place_id)
)
;;
INSERT INTO clerks VALUES (1, 'Mike', 3, 0x89504E470D0A5C0900, 1, 1, '8cb2237d0679'), (2, 'Jøn', 4, NULL, 2, 0, NULL)
;;
INSERT INTO shops VALUES (1, 1, 1), (2, 2, 2)
;;
ALTER TABLE clerks ADD CONSTRAINT clerk_shop FOREIGN KEY (shop_id) REFERENCES shops (shop_id)
;;
CREATE TABLE customers (
  customer_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, shop_id TINYINT UNSIGNED NOT NULL, name VARCHAR(45) NOT NULL, email VARCHAR(50),
  place_id SMALLINT UNSIGNED NOT NULL, active BOOLEAN NOT NULL DEFAULT TRUE, create_date DATETIME NOT NULL, UNIQUE KEY (email),
  CONSTRAINT customer_shop FOREIGN KEY (shop_id) REFERENCES shops (shop_id), CONSTRAINT customer_place FOREIGN KEY (place_id) REFERENCES places (place_id)
)
;;
CREATE TRIGGER customer_dated BEFORE INSERT ON customers FOR EACH ROW SET NEW.create_date = COALESCE(NEW.create_date, NOW())
;;
INSERT INTO customers (shop_id, name, email, place_id, active, create_date)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
  SELECT 1 + i MOD 2, CONCAT(ELT(1 + i MOD 4, 'MARY', 'Łukasz', 'Ngọc', 'José'), ' ', i), CONCAT('c', i, '@example.org'), 1 + i MOD 150, i MOD 20 > 0, '2006-02-14 22:04:36' + INTERVAL i HOUR FROM n
;;
CREATE TABLE stock (
  stock_id MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, film_id SMALLINT UNSIGNED NOT NULL, shop_id TINYINT UNSIGNED NOT NULL, KEY by_shop_and_film (shop_id, film_id),
  CONSTRAINT stock_film FOREIGN KEY (film_id) REFERENCES films (film_id), CONSTRAINT stock_shop FOREIGN KEY (shop_id) REFERENCES shops (shop_id)
)
;;
INSERT INTO stock (film_id, shop_id) SELECT film_id, shop_id FROM films CROSS JOIN shops
;;
CREATE TABLE rentals (
  rental_id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, rental_date DATETIME NOT NULL, stock_id MEDIUMINT UNSIGNED NOT NULL, customer_id SMALLINT UNSIGNED NOT NULL,
  return_date DATETIME, clerk_id TINYINT UNSIGNED NOT NULL, UNIQUE KEY (rental_date, stock_id, customer_id),
  CONSTRAINT rental_stock FOREIGN KEY (stock_id) REFERENCES stock (stock_id) ON UPDATE CASCADE,
  CONSTRAINT rental_customer FOREIGN KEY (customer_id) REFERENCES customers (customer_id),
  CONSTRAINT rental_clerk FOREIGN KEY (clerk_id) REFERENCES clerks (clerk_id)
)
;;
INSERT INTO rentals (rental_date, stock_id, customer_id, return_date, clerk_id)
  SELECT '2005-05-24 22:53:30' + INTERVAL (s.stock_id * 37 + k) MINUTE, s.stock_id, 1 + (s.stock_id * 13 + k) MOD 250, IF(s.stock_id MOD 17, '2005-06-01' + INTERVAL s.stock_id HOUR, NULL), 1 + k MOD 2
  FROM stock AS s CROSS JOIN (SELECT 1 AS k UNION ALL SELECT 2) AS twice
;;
CREATE TABLE payments (
  payment_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id SMALLINT UNSIGNED NOT NULL, rental_id INT, amount DECIMAL(5,2) NOT NULL, paid DATETIME NOT NULL,
  CONSTRAINT payment_rental FOREIGN KEY (rental_id) REFERENCES rentals (rental_id) ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT payment_customer FOREIGN KEY (customer_id) REFERENCES customers (customer_id)
)
;;
INSERT INTO payments (customer_id, rental_id, amount, paid) SELECT customer_id, IF(rental_id MOD 99, rental_id, NULL), 0.99 + rental_id MOD 11, rental_date + INTERVAL 3 DAY FROM rentals
;;
CREATE FUNCTION stock_held(p_stock INT) RETURNS INT READS SQL DATA
BEGIN
  DECLARE who INT;
  DECLARE EXIT HANDLER FOR NOT FOUND RETURN NULL;
  SELECT customer_id INTO who FROM rentals WHERE return_date IS NULL AND stock_id = p_stock LIMIT 1;
  RETURN who;
END
;;
CREATE PROCEDURE film_in_stock(IN p_film INT, IN p_shop INT, OUT p_count INT) READS SQL DATA SQL SECURITY INVOKER
BEGIN
  SELECT stock_id FROM stock WHERE film_id = p_film AND shop_id = p_shop AND stock_held(stock_id) IS NULL;
  SELECT COUNT(*) FROM stock WHERE film_id = p_film AND shop_id = p_shop AND stock_held(stock_id) IS NULL INTO p_count;
END
;;
CREATE VIEW customer_list AS SELECT c.customer_id AS ID, c.name, p.street AS `address`, p.phone, IF(c.active, 'active', '') AS notes, c.shop_id AS SID FROM customers AS c JOIN places AS p ON p.place_id = c.place_id
;;
CREATE VIEW film_list AS SELECT f.film_id AS FID, f.title, g.name AS category, GROUP_CONCAT(CONCAT(p.first_name, _utf8mb4' ', p.last_name) ORDER BY p.last_name SEPARATOR ', ') AS actors
  FROM films AS f LEFT JOIN film_genres AS fg ON fg.film_id = f.film_id LEFT JOIN genres AS g ON g.genre_id = fg.genre_id
  LEFT JOIN film_performers AS fp ON fp.film_id = f.film_id LEFT JOIN performers AS p ON p.performer_id = fp.performer_id GROUP BY f.film_id, g.name
;;
CREATE DEFINER = CURRENT_USER SQL SECURITY INVOKER VIEW nicer_list AS SELECT FID, UPPER(LEFT(title, 1)) AS `first`, actors, stock_held(FID) AS held FROM film_list
;;
CREATE VIEW sales_by_genre AS SELECT g.name AS category, SUM(p.amount) AS total FROM payments AS p JOIN rentals AS r ON r.rental_id = p.rental_id JOIN stock AS s ON s.stock_id = r.stock_id
  JOIN film_genres AS fg ON fg.film_id = s.film_id JOIN genres AS g ON g.genre_id = fg.genre_id GROUP BY g.name ORDER BY total DESC
;;
CREATE EVENT close_the_day ON SCHEDULE EVERY 1 DAY STARTS '2050-01-01 03:00:00' ON COMPLETION PRESERVE DO UPDATE customers SET active = 0 WHERE create_date < NOW() - INTERVAL 30 YEAR
