CREATE TABLE `mem``bers` (
  `member id` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `full name` VARCHAR(80) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci NOT NULL,
  mail VARCHAR(120) CHARACTER SET latin1 DEFAULT NULL,
  joined DATE NOT NULL DEFAULT '0000-00-00',
  fines DECIMAL(12,4) NOT NULL DEFAULT 0,
  `select` JSON,
  initials VARCHAR(4) GENERATED ALWAYS AS (UPPER(LEFT(`full name`, 2))) STORED,
  PRIMARY KEY (`member id`), UNIQUE KEY one_mail (mail), KEY `k "quoted"` (`full name`(10)),
  CONSTRAINT no_debt_below CHECK (fines >= 0)
) COMMENT='Who may borrow; it''s <b>not</b> HTML'
;;
INSERT INTO `mem``bers` (`full name`, mail, joined, fines, `select`) VALUES
  ('<script>alert(1)</script>', 'script@example.org', '2020-02-29', 1.5, '{"b": 1, "a": [1.5, null]}'),
  ('Zoë 😀', ' Zoe@Example.org ', '0000-00-00', 0, NULL), ('tab\there', NULL, '1999-12-31', 99999999.9999, '[]')
;;
INSERT INTO `mem``bers` (`full name`, mail, joined, fines)
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900)
  SELECT CONCAT('Reader ', n, '.', k), CONCAT('reader', n, '.', k, '@example.org'), '2001-01-01' + INTERVAL n DAY, n / 3
  FROM c CROSS JOIN (SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6) AS six
;;
CREATE TABLE loans (
  isbn CHAR(13) CHARACTER SET ascii NOT NULL, copy SMALLINT NOT NULL, `member` INT UNSIGNED NOT NULL,
  `out` DATETIME(6) NOT NULL, back TIMESTAMP NULL, weight FLOAT, cover BLOB,
  PRIMARY KEY (isbn, copy, `out`), KEY by_member (`member`),
  CONSTRAINT borrowed_by FOREIGN KEY (`member`) REFERENCES `mem``bers` (`member id`) ON DELETE CASCADE
)
;;
INSERT INTO loans
  SELECT LPAD(`member id`, 13, '978'), `member id` MOD 7, `member id`, '2024-01-01 00:00:00.000001' + INTERVAL `member id` MINUTE,
         IF(`member id` MOD 5, '2024-02-01', NULL), `member id` / 9, UNHEX(SHA2(`member id`, 256)) FROM `mem``bers`
;;
CREATE TABLE `visits, raw` (at DATETIME, door ENUM('front','back') NOT NULL)
;;
INSERT INTO `visits, raw` VALUES ('2024-01-01', 'front'), ('2024-01-01', 'front'), (NULL, 'side')
;;
CREATE VIEW overdue AS SELECT m.`full name`, l.isbn FROM loans l JOIN `mem``bers` m ON m.`member id` = l.`member` WHERE l.back IS NULL
;;
CREATE TRIGGER tidy_mail BEFORE INSERT ON `mem``bers` FOR EACH ROW SET NEW.mail = TRIM(NEW.mail)
;;
CREATE PROCEDURE pay(IN who INT UNSIGNED) UPDATE `mem``bers` SET fines = 0 WHERE `member id` = who
;;
CREATE FUNCTION debts() RETURNS DECIMAL(20,4) READS SQL DATA RETURN (SELECT SUM(fines) FROM `mem``bers`)
;;
CREATE EVENT forget ON SCHEDULE EVERY 1 YEAR STARTS '2050-01-01' DO DELETE FROM `visits, raw`
;;
CREATE USER IF NOT EXISTS 'librarian'@'%' IDENTIFIED BY 'a long password'
;;
GRANT SELECT, UPDATE ON loans TO 'librarian'@'%'
