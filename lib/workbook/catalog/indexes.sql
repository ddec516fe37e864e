-- Index parts of the named databases. Parameter: the databases. MySQL 8.0 and later.
SELECT TABLE_SCHEMA AS `database`, TABLE_NAME AS `table`, INDEX_NAME AS name, NON_UNIQUE AS non_unique,
       SEQ_IN_INDEX AS place, COLUMN_NAME AS `column`, SUB_PART AS prefix, COLLATION AS direction,
       INDEX_TYPE AS kind, INDEX_COMMENT AS comment, {visible} AS visible, {expression} AS expression
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA IN %s
ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
