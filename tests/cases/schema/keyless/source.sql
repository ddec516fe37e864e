CREATE TABLE visits (at datetime, door enum('front','back'), KEY by_at (at));
CREATE TABLE counted (n int NOT NULL AUTO_INCREMENT, KEY (n));
CREATE TABLE taken (`My_Row_Id` int);
CREATE TABLE parted (day date) PARTITION BY HASH (YEAR(day)) PARTITIONS 2;
CREATE TABLE nullable (a int, UNIQUE KEY (a));
CREATE TABLE has_one (a int NOT NULL, UNIQUE KEY (a));
CREATE TABLE logged (line text) ENGINE=MyISAM
