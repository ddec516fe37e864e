-- Procedures and functions. Parameter: the databases.
SELECT ROUTINE_SCHEMA AS `database`, ROUTINE_NAME AS name, ROUTINE_TYPE AS kind, DEFINER AS definer,
       SECURITY_TYPE AS security, ROUTINE_BODY AS language, IS_DETERMINISTIC AS `deterministic`,
       SQL_DATA_ACCESS AS data_access, SQL_MODE AS sql_mode, CHARACTER_SET_CLIENT AS charset_client,
       COLLATION_CONNECTION AS collation_connection, DATABASE_COLLATION AS `database_collation`,
       ROUTINE_DEFINITION AS body, ROUTINE_COMMENT AS comment
FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN %s ORDER BY ROUTINE_SCHEMA, ROUTINE_TYPE, ROUTINE_NAME
