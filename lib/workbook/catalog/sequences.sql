-- Sequences. Parameter: the databases. MariaDB 10.6 and later.
SELECT TABLE_SCHEMA AS `database`, TABLE_NAME AS name FROM information_schema.TABLES
WHERE TABLE_TYPE = 'SEQUENCE' AND TABLE_SCHEMA IN %s ORDER BY TABLE_SCHEMA, TABLE_NAME
