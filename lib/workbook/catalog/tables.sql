-- Base tables of the named databases. Parameter: the databases. MySQL 8.0 and later, MariaDB 10.6 and later.
SELECT TABLE_SCHEMA AS `database`, TABLE_NAME AS name, ENGINE AS engine, ROW_FORMAT AS row_format,
       TABLE_ROWS AS table_rows, DATA_LENGTH AS data_bytes, INDEX_LENGTH AS index_bytes,
       AUTO_INCREMENT AS auto_increment, TABLE_COLLATION AS collation, CREATE_OPTIONS AS options,
       TABLE_COMMENT AS comment
FROM information_schema.TABLES
WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND TABLE_SCHEMA IN %s
ORDER BY TABLE_SCHEMA, TABLE_NAME
