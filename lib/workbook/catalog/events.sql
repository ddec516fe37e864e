-- Events of the scheduler. Parameter: the databases.
SELECT EVENT_SCHEMA AS `database`, EVENT_NAME AS name, DEFINER AS definer, STATUS AS status, TIME_ZONE AS time_zone,
       SQL_MODE AS sql_mode, CHARACTER_SET_CLIENT AS charset_client, COLLATION_CONNECTION AS collation_connection,
       CONCAT_WS(' ', EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS) AS schedule,
       ON_COMPLETION AS on_completion, EVENT_DEFINITION AS body, EVENT_COMMENT AS comment
FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN %s ORDER BY EVENT_SCHEMA, EVENT_NAME
