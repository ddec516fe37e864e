CREATE TABLE `a``b,c(d` (`id` int NOT NULL, `co``l,1(` varchar(40) DEFAULT 'it''s, (a) "x" \\ `y` 100%' COMMENT 'a, (b) ''c'' `d` -- e /* f */ # g', PRIMARY KEY (`id`), KEY `i,``(x` (`co``l,1(`(5), `id` DESC), CONSTRAINT `c``k, (1)` CHECK (`co``l,1(` <> ')),(`;' AND `co``l,1(` NOT LIKE '%100%%'));
CREATE TABLE `select` (`from` int PRIMARY KEY, `where` int, `a
new line` int, KEY `key` (`where`), CONSTRAINT `f``k` FOREIGN KEY (`where`) REFERENCES `a``b,c(d` (`id`) ON DELETE SET NULL) COMMENT='table''s, "comment"\n(two lines) 100% \\';
CREATE TABLE `größeok?` (`größe` int PRIMARY KEY, `übung` varchar(3) CHARACTER SET latin1 DEFAULT 'ä');
CREATE TABLE `100% sure %s %d` (`50%` int PRIMARY KEY, KEY `%` (`50%`));
CREATE TABLE aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg (hhhhhhhhhhiiiiiiiiiijjjjjjjjjjkkkkkkkkkkllllllllllmmmmmmmmmmnnnn int PRIMARY KEY);
CREATE TABLE `MixedCase` (`ID` int PRIMARY KEY, `Name` varchar(5));
CREATE TABLE `"quoted"` (`'` int, `"` int, `\\` int, `;` int, `--` int, `/*` int, PRIMARY KEY (`'`, `"`));
CREATE VIEW `v``1, (x) 50%` AS SELECT `co``l,1(` AS `x``y`, 'a``b' AS `%` FROM `a``b,c(d` WHERE `co``l,1(` LIKE '%(%';
CREATE VIEW `a view on "it"` AS SELECT * FROM `v``1, (x) 50%`;
CREATE PROCEDURE `p``1 (x), 50%`(IN `in``put` int, OUT `o%` varchar(10)) COMMENT 'it''s, 100%' SELECT 'a''b"c`d%' INTO `o%`;
CREATE TRIGGER `tr``1 50%` BEFORE INSERT ON `a``b,c(d` FOR EACH ROW SET NEW.`co``l,1(` = CONCAT('%', NEW.`co``l,1(`);
CREATE EVENT `e``1 50%` ON SCHEDULE EVERY 1 DAY STARTS '2031-01-01 00:00:00' DISABLE COMMENT 'DO ENABLE ''this'' 100%' DO DELETE FROM `select` WHERE `from` < 0 AND 'ENABLE' <> 'DISABLE'
