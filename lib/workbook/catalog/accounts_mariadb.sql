-- Accounts and roles. MariaDB 10.6 and later; a role has no host.
SELECT u.User AS user, u.Host AS host, u.plugin AS plugin,
       COALESCE(JSON_VALUE(p.Priv, '$.account_locked'), 0) = 1 AS locked,
       u.authentication_string <> '' AS password_set, u.password_expired = 'Y' AS password_expired,
       u.is_role = 'Y' AS is_role
FROM mysql.user AS u JOIN mysql.global_priv AS p ON p.User = u.User AND p.Host = u.Host
WHERE u.User NOT IN ('mariadb.sys', 'PUBLIC') ORDER BY u.User, u.Host
