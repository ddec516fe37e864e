-- Temporary tables that the other rows_*.sql files draw from: numbers, names, and how many orders fall on each day.
-- Parameters: @numbers (the largest number wanted), @orders. MySQL 8.0 and later.
-- Chance is CRC32(number * a prime): the same everywhere, and two primes give two independent dice.

-- The rows that grow are right by construction (a test looks for orphans); looking up every key again takes longer
-- than making them.
SET SESSION foreign_key_checks = 0;
-- INSERT ... SELECT locks no row that it reads.
SET SESSION transaction_isolation = 'READ-COMMITTED';
SET SESSION cte_max_recursion_depth = 100000000;

CREATE TEMPORARY TABLE numbers (n INT UNSIGNED NOT NULL PRIMARY KEY);

INSERT INTO numbers
WITH RECURSIVE counting (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counting WHERE n < @numbers)
SELECT n FROM counting;

CREATE TEMPORARY TABLE given_names (n TINYINT UNSIGNED NOT NULL PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), plain VARCHAR(40) CHARACTER SET ascii, gender VARCHAR(6));

INSERT INTO given_names (name, plain, gender) VALUES
  ('Anna','anna','female'), ('Zoë','zoe','female'), ('Maria','maria','female'), ('Françoise','francoise','female'),
  ('Ingrid','ingrid','female'), ('Aisha','aisha','female'), ('Sofia','sofia','female'), ('Małgorzata','malgorzata','female'),
  ('Mei','mei','female'), ('Hannah','hannah','female'), ('Chloe','chloe','female'), ('Elif','elif','female'),
  ('Nadia','nadia','female'), ('Jana','jana','female'), ('Charlotte','charlotte','female'), ('Siobhán','siobhan','female'),
  ('Lucía','lucia','female'), ('Emma','emma','female'), ('Olga','olga','female'), ('Priya','priya','female'),
  ('Anne-Marie','anne-marie','female'), ('Yuki','yuki','other'), ('Robin','robin','other'), ('Kim','kim','other'),
  ('Jürgen','juergen','male'), ('Thomas','thomas','male'), ('José','jose','male'), ('Liam','liam','male'),
  ('Noah','noah','male'), ('Søren','soeren','male'), ('Mehmet','mehmet','male'), ('Pavel','pavel','male'),
  ('Luca','luca','male'), ('Jean-Luc','jean-luc','male'), ('Oluwaseun','oluwaseun','male'), ('Hiroshi','hiroshi','male'),
  ('Arjun','arjun','male'), ('Piotr','piotr','male'), ('Samuel','samuel','male'), ('Björn','bjoern','male'),
  ('Omar','omar','male'), ('David','david','male'), ('Ahmed','ahmed','male'), ('Patrick','patrick','male');

CREATE TEMPORARY TABLE family_names (n TINYINT UNSIGNED NOT NULL PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), plain VARCHAR(40) CHARACTER SET ascii);

INSERT INTO family_names (name, plain) VALUES
  ('Müller','mueller'), ('Schmidt','schmidt'), ('Schneider','schneider'), ('Weiß','weiss'), ('Fischer','fischer'),
  ('Smith','smith'), ('Jones','jones'), ('Taylor','taylor'), ('O''Brien','obrien'), ('MacLeod','macleod'),
  ('García','garcia'), ('Martínez','martinez'), ('Núñez','nunez'), ('Dubois','dubois'), ('Lefèvre','lefevre'),
  ('Rossi','rossi'), ('Bianchi','bianchi'), ('D''Angelo','dangelo'), ('Kowalski','kowalski'), ('Wójcik','wojcik'),
  ('Novák','novak'), ('Dvořák','dvorak'), ('Nagy','nagy'), ('Andersson','andersson'), ('Jørgensen','joergensen'),
  ('Yılmaz','yilmaz'), ('Demir','demir'), ('Popescu','popescu'), ('Tanaka','tanaka'), ('Satō','sato'),
  ('Nguyễn','nguyen'), ('Li','li'), ('Wang','wang'), ('Chen','chen'), ('Patel','patel'), ('Singh','singh'),
  ('Okafor','okafor'), ('Mensah','mensah'), ('Silva','silva'), ('Ferreira','ferreira'), ('van der Berg','vandenberg'),
  ('de Vries','devries'), ('Haddad','haddad'), ('Cohen','cohen'), ('Kim','kim'), ('Park','park'), ('Ivanova','ivanova'),
  ('Smirnov','smirnov'), ('Brown','brown'), ('Wilson','wilson'), ('Murphy','murphy');

-- How much is ordered on a day: quiet Tuesdays, busy Saturdays, a slow summer, a rush before Christmas, and growth.
CREATE TEMPORARY TABLE calendar (day DATE NOT NULL PRIMARY KEY, first_order INT UNSIGNED NOT NULL, last_order INT UNSIGNED NOT NULL);

INSERT INTO calendar
SELECT day,
       COALESCE(ROUND(@orders * LAG(up_to) OVER (ORDER BY day) / everything), 0) + 1,
       ROUND(@orders * up_to / everything)
FROM (
  SELECT day, SUM(weight) OVER (ORDER BY day) AS up_to, SUM(weight) OVER () AS everything
  FROM (
    SELECT day,
           ELT(1 + WEEKDAY(day), 95, 85, 90, 100, 120, 150, 125)
           * (100 + ROUND(22 * COS(2 * PI() * (DAYOFYEAR(day) - 20) / 365))
              + ROUND(110 * EXP(-POW((DAYOFYEAR(day) - 344) / 13, 2)))
              - IF(DAYOFYEAR(day) > 358, 60, 0))
           * (1000 + FLOOR(DATEDIFF(day, '2023-01-01') * 0.8))
           * (900 + CRC32(DATEDIFF(day, '2023-01-01') * 7919) % 200) AS weight
    FROM (SELECT DATE('2023-01-01') + INTERVAL n - 1 DAY AS day FROM numbers WHERE n <= 731) AS days
  ) AS weights
) AS sums;
