-- CHECK constraints, those of columns among them, whose name is the column's. Parameter: the databases. MariaDB 10.6 and later.
SELECT CONSTRAINT_SCHEMA AS `database`, TABLE_NAME AS `table`, CONSTRAINT_NAME AS name,
       CHECK_CLAUSE AS clause, 'YES' AS enforced
FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA IN %s
ORDER BY CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME
