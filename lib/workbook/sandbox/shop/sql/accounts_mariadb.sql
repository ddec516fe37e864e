-- Accounts, roles and privileges of the shop on MariaDB. {password:NAME} is filled in as a string literal; no password
-- stands in this file. Run when the tables exist (column privileges name them). MariaDB 10.6 and later.

CREATE ROLE shop_reader;
CREATE ROLE shop_writer;
CREATE ROLE shop_manager;
CREATE ROLE `unused role`;

CREATE USER 'shop_owner'@'localhost' IDENTIFIED BY {password:shop_owner};
CREATE USER 'shop_app'@'%' IDENTIFIED BY {password:shop_app} WITH MAX_USER_CONNECTIONS 200;
CREATE USER 'report_reader'@'%' IDENTIFIED BY {password:report_reader} WITH MAX_STATEMENT_TIME 3600;
CREATE USER 'analyst'@'10.1.%' IDENTIFIED BY {password:analyst} REQUIRE SSL PASSWORD EXPIRE NEVER;
CREATE USER 'analyst'@'192.168.0.0/255.255.0.0' IDENTIFIED BY {password:analyst};
CREATE USER 'till'@'till-%.shop.example' IDENTIFIED BY {password:till} WITH MAX_QUERIES_PER_HOUR 100000;
CREATE USER 'auditor'@'%' IDENTIFIED BY {password:auditor} ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 90 DAY;
CREATE USER 'file_importer'@'%' IDENTIFIED VIA unix_socket;
CREATE USER 'old_dba'@'%' IDENTIFIED BY {password:old_dba};
CREATE USER 'o''brien "100%" `x` ü'@'%' IDENTIFIED BY {password:obrien};
CREATE USER 'two roles'@'%' IDENTIFIED BY {password:two_roles};

GRANT SELECT ON shop.* TO shop_reader;
GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON shop.* TO shop_writer;
GRANT shop_reader TO shop_manager WITH ADMIN OPTION;
GRANT shop_writer TO shop_manager WITH ADMIN OPTION;
GRANT CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER, EVENT, CREATE ROUTINE, ALTER ROUTINE ON shop.* TO shop_manager;

GRANT ALL PRIVILEGES ON shop.* TO 'shop_owner'@'localhost' WITH GRANT OPTION;
GRANT shop_writer TO 'shop_app'@'%';
SET DEFAULT ROLE shop_writer FOR 'shop_app'@'%';
GRANT shop_reader TO 'report_reader'@'%';
SET DEFAULT ROLE shop_reader FOR 'report_reader'@'%';
GRANT SELECT, UPDATE ON shop.* TO 'report_reader'@'%';
GRANT shop_reader TO 'two roles'@'%';
GRANT shop_manager TO 'two roles'@'%';
SET DEFAULT ROLE shop_reader FOR 'two roles'@'%';

GRANT SELECT ON `sh%`.* TO 'analyst'@'10.1.%';
GRANT SELECT, SHOW VIEW ON `shop\_archive`.* TO 'analyst'@'192.168.0.0/255.255.0.0';
GRANT SELECT ON `shop_`.* TO 'auditor'@'%';

GRANT SELECT (id, name, tier_id), UPDATE (tier_id) ON shop.customers TO 'till'@'till-%.shop.example';
GRANT SELECT, INSERT, DELETE HISTORY ON shop.orders TO 'till'@'till-%.shop.example';
GRANT SELECT (`it's`, `back``tick`), REFERENCES (`it's`) ON shop.`customer "aliases"` TO 'o''brien "100%" `x` ü'@'%';
GRANT SELECT ON shop.`product variants` TO 'o''brien "100%" `x` ü'@'%' WITH GRANT OPTION;

-- What Cloud SQL gives to no one.
GRANT FILE, PROCESS ON *.* TO 'file_importer'@'%';
GRANT SELECT, INSERT ON shop.* TO 'file_importer'@'%';
GRANT SUPER, SHUTDOWN, RELOAD, REPLICATION SLAVE, BINLOG ADMIN, SET USER ON *.* TO 'old_dba'@'%' WITH GRANT OPTION;
GRANT ALL PRIVILEGES ON shop.* TO 'old_dba'@'%';
GRANT SELECT ON mysql.user TO 'old_dba'@'%';
