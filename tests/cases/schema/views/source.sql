CREATE TABLE t (id int PRIMARY KEY, name varchar(20), n int)
;;
CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC RETURN x * 2
;;
CREATE VIEW z_base AS SELECT id, name, n FROM t
;;
CREATE VIEW m_middle (a, b) AS SELECT z.id, twice(z.n) FROM z_base AS z WHERE z.name LIKE '%x%'
;;
CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW a_top AS SELECT m.a, t.name FROM m_middle AS m JOIN t ON t.id = m.a WITH LOCAL CHECK OPTION
;;
CREATE VIEW b_same_alias AS SELECT a_top.name AS z_base, `a_top`.`a` AS t FROM a_top
;;
CREATE ALGORITHM=TEMPTABLE VIEW literal AS SELECT 'a\\b''c"d`e' AS x, '😀 é' AS emoji, DATE '2020-01-01' AS d, _latin1 0xE4 AS l, 1 || 0 AS o, 5 DIV 2 AS i
;;
CREATE VIEW updatable AS SELECT id, n FROM t WHERE n > 0 WITH CASCADED CHECK OPTION
;;
CREATE VIEW with_cte AS WITH RECURSIVE c (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM c WHERE k < 3) SELECT k, ROW_NUMBER() OVER (ORDER BY k) AS r FROM c
;;
CREATE TABLE gone (x int)
;;
CREATE VIEW broken AS SELECT x FROM gone
;;
CREATE VIEW on_broken AS SELECT x FROM broken
;;
CREATE VIEW asks_the_server AS SELECT SCHEMA_NAME AS s FROM information_schema.SCHEMATA
;;
DROP TABLE gone
