CREATE TABLE airport (
  airport_id SMALLINT NOT NULL AUTO_INCREMENT, iata CHAR(3) CHARACTER SET ascii COLLATE ascii_bin, icao CHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, name VARCHAR(50) NOT NULL, geolocation POINT NOT NULL SRID 4326, elevation SMALLINT,
  PRIMARY KEY (airport_id), UNIQUE KEY icao_unq (icao), KEY iata_idx (iata), SPATIAL KEY geolocation_spt (geolocation)
) COMMENT='Where planes land'
;;
INSERT INTO airport (iata, icao, name, geolocation, elevation) WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
  SELECT IF(i MOD 8, CONCAT(CHAR(65 + i DIV 26), CHAR(65 + i MOD 26), 'X'), NULL), CONCAT('K', LPAD(i, 3, '0')), CONCAT(ELT(1 + i MOD 3, 'Zürich ', 'Kraków ', 'Tôkyô '), i), ST_GeomFromText(CONCAT('POINT(', i MOD 90, '.25 ', i MOD 180, '.125)'), 4326), i * 13 - 400 FROM n
;;
CREATE TABLE airline (airline_id SMALLINT NOT NULL AUTO_INCREMENT, iata CHAR(2) NOT NULL, airlinename VARCHAR(30), base_airport SMALLINT NOT NULL, PRIMARY KEY (airline_id), UNIQUE KEY iata_unq (iata), CONSTRAINT airline_base FOREIGN KEY (base_airport) REFERENCES airport (airport_id))
;;
INSERT INTO airline (iata, airlinename, base_airport) VALUES ('AF', 'Afghanistan Airlines', 1), ('AL', 'Albania Airlines', 2), ('ÅÅ', 'Åland Airlines', 3), ('P3', 'Polonia ✈', 4)
;;
CREATE TABLE airplane_type (type_id INT NOT NULL AUTO_INCREMENT, identifier VARCHAR(50), description TEXT, PRIMARY KEY (type_id), FULLTEXT KEY description_full (identifier, description))
;;
INSERT INTO airplane_type (identifier, description) VALUES ('Airbus A340', 'Four engines.'), ('Boeing 767', NULL), ('Tu-154', 'Трёхдвигательный самолёт')
;;
CREATE TABLE airplane (airplane_id INT NOT NULL AUTO_INCREMENT, capacity MEDIUMINT UNSIGNED NOT NULL, type_id INT NOT NULL, airline_id SMALLINT NOT NULL, PRIMARY KEY (airplane_id), KEY type_id (type_id), CONSTRAINT plane_type FOREIGN KEY (type_id) REFERENCES airplane_type (type_id), CONSTRAINT plane_airline FOREIGN KEY (airline_id) REFERENCES airline (airline_id))
;;
INSERT INTO airplane (capacity, type_id, airline_id) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) SELECT 100 + i * 7, 1 + i MOD 3, 1 + i MOD 4 FROM n
;;
CREATE TABLE flightschedule (
  flightno CHAR(8) NOT NULL, `from` SMALLINT NOT NULL, `to` SMALLINT NOT NULL, departure TIME NOT NULL, arrival TIME(3) NOT NULL, airline_id SMALLINT NOT NULL, weekdays BIT(7) NOT NULL DEFAULT b'1111111', monday TINYINT(1) DEFAULT 0, utc_offset TIME NOT NULL DEFAULT '00:00:00',
  PRIMARY KEY (flightno), KEY from_idx (`from`), KEY to_idx (`to`), CONSTRAINT schedule_from FOREIGN KEY (`from`) REFERENCES airport (airport_id) ON DELETE RESTRICT, CONSTRAINT schedule_to FOREIGN KEY (`to`) REFERENCES airport (airport_id), CONSTRAINT schedule_airline FOREIGN KEY (airline_id) REFERENCES airline (airline_id),
  CONSTRAINT elsewhere CHECK (`from` <> `to`)
)
;;
INSERT INTO flightschedule WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT CONCAT('AF', LPAD(i, 4, '0')), 1 + i MOD 200, 1 + (i + 1) MOD 200, SEC_TO_TIME(i * 60), CONCAT(24 + i MOD 10, ':15:00.125'), 1 + i MOD 4, i MOD 128, i MOD 2, IF(i MOD 2, '-03:30:00', '05:45:00') FROM n
;;
CREATE TABLE flight (
  flight_id INT UNSIGNED NOT NULL AUTO_INCREMENT, flightno CHAR(8) NOT NULL, departure DATETIME NOT NULL, arrival DATETIME NOT NULL, airplane_id INT NOT NULL, minutes INT AS (TIMESTAMPDIFF(MINUTE, departure, arrival)) VIRTUAL, PRIMARY KEY (flight_id, departure), KEY by_number (flightno, departure), KEY by_minutes (minutes)
) PARTITION BY RANGE COLUMNS (departure) (PARTITION before_2015 VALUES LESS THAN ('2015-01-01'), PARTITION q1 VALUES LESS THAN ('2015-04-01') COMMENT = 'winter', PARTITION q2 VALUES LESS THAN ('2015-07-01'), PARTITION later VALUES LESS THAN (MAXVALUE))
;;
INSERT INTO flight (flightno, departure, arrival, airplane_id) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT CONCAT('AF', LPAD(1 + i MOD 300, 4, '0')), '2014-12-01' + INTERVAL i * 5 HOUR, '2014-12-01 01:40:00' + INTERVAL i * 5 HOUR, 1 + i MOD 60 FROM n
;;
CREATE TABLE passenger (passenger_id INT NOT NULL AUTO_INCREMENT, passportno CHAR(9) NOT NULL, firstname VARCHAR(100) NOT NULL, lastname VARCHAR(100) NOT NULL, birthdate DATE, miles DECIMAL(65,10) NOT NULL DEFAULT 0, balance DECIMAL(38,9), PRIMARY KEY (passenger_id), UNIQUE KEY pass_unq (passportno))
;;
INSERT INTO passenger (passportno, firstname, lastname, birthdate, miles, balance) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
  SELECT CONCAT('P', LPAD(i, 6, '0')), ELT(1 + i MOD 4, 'Ana María', 'Nguyễn', '😀', 'Bob'), CONCAT('Family ', i), IF(i MOD 9, '1940-01-01' + INTERVAL i * 31 DAY, NULL), IF(i MOD 100, i * 1.0000000001, '1234567890123456789012345678901234567890123456789012345.0123456789'), -i * 1000000000.000000001 FROM n
;;
CREATE TABLE booking (
  flight_id INT UNSIGNED NOT NULL, seat CHAR(4) NOT NULL, booked DATE NOT NULL, passenger_id INT NOT NULL, price DECIMAL(10,2) NOT NULL, extras SET('wifi','meal','bag') NOT NULL DEFAULT '', PRIMARY KEY (flight_id, seat, booked), KEY passenger_idx (passenger_id)
) PARTITION BY RANGE (TO_DAYS(booked)) SUBPARTITION BY HASH (flight_id) SUBPARTITIONS 2 (PARTITION early VALUES LESS THAN (TO_DAYS('2014-11-15')), PARTITION late VALUES LESS THAN MAXVALUE)
;;
INSERT INTO booking SELECT f.flight_id, CONCAT(k, CHAR(64 + k USING ascii)), '2014-11-01' + INTERVAL f.flight_id MOD 30 DAY, 1 + (f.flight_id * k) MOD 700, 50 + f.flight_id * k / 7, (f.flight_id + k) MOD 8 FROM flight AS f CROSS JOIN (SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3) AS three
;;
CREATE TABLE employee (employee_id INT NOT NULL AUTO_INCREMENT, name VARCHAR(60) NOT NULL, sex CHAR(1), salary DECIMAL(8,2), department ENUM('Marketing','Buchhaltung','Management','Logistik','Flugfeld'), username VARCHAR(20) COLLATE utf8mb4_bin, secret CHAR(64) CHARACTER SET ascii, PRIMARY KEY (employee_id), KEY by_user (username)) PARTITION BY KEY () PARTITIONS 2
;;
INSERT INTO employee (name, sex, salary, department, username, secret) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) SELECT CONCAT('Employee ', i), IF(i MOD 2, 'm', NULL), 1500 + i / 3, ELT(1 + i MOD 5, 'Marketing', 'Buchhaltung', 'Management', 'Logistik', 'Flugfeld'), IF(i MOD 2, CONCAT('User', i), CONCAT('USER', i)), SHA2(i, 256) FROM n
;;
CREATE TABLE flight_log (log_date DATETIME(6) NOT NULL, user VARCHAR(100) NOT NULL, flight_id INT UNSIGNED NOT NULL, old_and_new JSON, comment VARCHAR(200))
;;
INSERT INTO flight_log SELECT departure, 'someone@10.0.0.1', flight_id, JSON_ARRAY(flightno, NULL, minutes, 1.5e0), NULLIF(flight_id MOD 4, 0) FROM flight WHERE flight_id MOD 3 = 0
;;
CREATE TABLE weatherdata (log_date DATE NOT NULL, time TIME NOT NULL, station INT NOT NULL, temp DECIMAL(3,1) NOT NULL, airpressure DOUBLE, wind FLOAT, weather ENUM('Nebel-Schneefall','Schneefall','Regen','Gewitter'), PRIMARY KEY (log_date, time, station)) PARTITION BY LIST (station) (PARTITION north VALUES IN (1, 3, 5), PARTITION south VALUES IN (2, 4, 6))
;;
INSERT INTO weatherdata WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT '2005-01-01' + INTERVAL i DAY, SEC_TO_TIME(i * 90), 1 + i MOD 6, -40 + i / 15, 1013.25 + i / 7, i / 3, ELT(1 + i MOD 5, 'Nebel-Schneefall', 'Schneefall', 'Regen', 'Gewitter', NULL) FROM n
;;
CREATE TRIGGER flight_upd AFTER UPDATE ON flight FOR EACH ROW INSERT INTO flight_log (log_date, user, flight_id, old_and_new) VALUES (NOW(6), CURRENT_USER(), NEW.flight_id, JSON_ARRAY(OLD.departure, NEW.departure))
;;
CREATE FUNCTION distance_km(a SMALLINT, b SMALLINT) RETURNS DOUBLE READS SQL DATA RETURN (SELECT ST_Distance_Sphere(x.geolocation, y.geolocation) / 1000 FROM airport AS x JOIN airport AS y ON y.airport_id = b WHERE x.airport_id = a)
;;
CREATE VIEW busiest AS SELECT f.flightno, COUNT(*) AS seats, RANK() OVER (ORDER BY COUNT(*) DESC) AS place, SUM(SUM(b.price)) OVER (ORDER BY f.flightno) AS running FROM flight AS f JOIN booking AS b USING (flight_id) GROUP BY f.flightno
;;
CREATE VIEW routes AS SELECT s.flightno, a.iata AS origin, z.iata AS destination, distance_km(s.`from`, s.`to`) AS km FROM flightschedule AS s JOIN airport AS a ON a.airport_id = s.`from` JOIN airport AS z ON z.airport_id = s.`to`
;;
CREATE EVENT purge_log ON SCHEDULE EVERY 1 WEEK STARTS '2050-01-02 04:05:06' ENDS '2060-01-01' DO DELETE FROM flight_log WHERE log_date < NOW() - INTERVAL 2 YEAR
