-- Columns of tables and views of the named databases. Parameter: the databases. MySQL 8.0 and later.
SELECT TABLE_SCHEMA AS `database`, TABLE_NAME AS `table`, COLUMN_NAME AS name, ORDINAL_POSITION AS position,
       DATA_TYPE AS data_type, COLUMN_TYPE AS type, IS_NULLABLE AS nullable, COLUMN_DEFAULT AS `default`,
       EXTRA AS extra, CHARACTER_SET_NAME AS charset, COLLATION_NAME AS collation,
       GENERATION_EXPRESSION AS expression, CHARACTER_MAXIMUM_LENGTH AS length, CHARACTER_OCTET_LENGTH AS octets,
       NUMERIC_PRECISION AS `precision`, NUMERIC_SCALE AS scale, DATETIME_PRECISION AS fraction,
       COLUMN_COMMENT AS comment, {srid} AS srid
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA IN %s
ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION
