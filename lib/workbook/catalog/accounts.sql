-- Accounts and roles. A role is granted to somebody (mysql.role_edges), or is locked, expired and without a password.
SELECT u.User AS user, u.Host AS host, u.plugin AS plugin, u.account_locked = 'Y' AS locked,
       u.authentication_string <> '' AS password_set, u.password_expired = 'Y' AS password_expired,
       EXISTS (SELECT 1 FROM mysql.role_edges AS e WHERE e.FROM_USER = u.User AND e.FROM_HOST = u.Host)
         OR (u.account_locked = 'Y' AND u.authentication_string = '' AND u.password_expired = 'Y') AS is_role
FROM mysql.user AS u ORDER BY u.User, u.Host
