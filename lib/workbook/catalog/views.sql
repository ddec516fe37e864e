-- Views. Parameter: the databases.
SELECT TABLE_SCHEMA AS `database`, TABLE_NAME AS name, VIEW_DEFINITION AS definition, CHECK_OPTION AS check_option,
       DEFINER AS definer, SECURITY_TYPE AS security, CHARACTER_SET_CLIENT AS charset_client,
       COLLATION_CONNECTION AS collation_connection
FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN %s ORDER BY TABLE_SCHEMA, TABLE_NAME
