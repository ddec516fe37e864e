CREATE TABLE wl_users (
  ID bigint(20) unsigned NOT NULL auto_increment, user_login varchar(60) NOT NULL default '', user_pass varchar(255) NOT NULL default '', user_nicename varchar(50) NOT NULL default '',
  user_email varchar(100) NOT NULL default '', user_registered datetime NOT NULL default '0000-00-00 00:00:00', user_status int(11) NOT NULL default '0', display_name varchar(250) NOT NULL default '',
  PRIMARY KEY (ID), KEY user_login_key (user_login), KEY user_nicename (user_nicename), KEY user_email (user_email)
) ENGINE=MyISAM DEFAULT CHARSET=latin1 PACK_KEYS=0
;;
INSERT INTO wl_users (user_login, user_pass, user_nicename, user_email, user_registered, display_name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
  SELECT CONCAT('user', i), CONCAT('$P$B', LEFT(SHA2(i, 256), 30)), CONCAT('user-', i), CONCAT('User', i, '@Example.org '), IF(i MOD 5, '2004-05-01' + INTERVAL i DAY, '0000-00-00 00:00:00'), ELT(1 + i MOD 5, 'Jürgen', 'Renée €', 'plain', 'ÿ·¶', 'O''Neill\\') FROM n
;;
CREATE TABLE wl_usermeta (umeta_id bigint(20) unsigned NOT NULL auto_increment, user_id bigint(20) unsigned NOT NULL default '0', meta_key varchar(255) default NULL, meta_value longtext, PRIMARY KEY (umeta_id), KEY user_id (user_id), KEY meta_key (meta_key(191))) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3
;;
INSERT INTO wl_usermeta (user_id, meta_key, meta_value) SELECT ID, k, IF(k = 'caps', 'a:1:{s:10:"subscriber";b:1;}', IF(ID MOD 3, '', NULL)) FROM wl_users CROSS JOIN (SELECT 'caps' AS k UNION ALL SELECT 'nickname' UNION ALL SELECT 'rich_editing') AS keys_
;;
CREATE TABLE wl_posts (
  ID bigint(20) unsigned NOT NULL auto_increment, post_author bigint(20) unsigned NOT NULL default '0', post_date datetime NOT NULL default '0000-00-00 00:00:00', post_date_gmt datetime NOT NULL default '0000-00-00 00:00:00',
  post_content longtext NOT NULL, post_title text NOT NULL, post_excerpt text NOT NULL, post_status varchar(20) NOT NULL default 'publish', comment_status enum('open','closed','registered_only') NOT NULL default 'open',
  post_name varchar(200) NOT NULL default '', to_ping text NOT NULL, post_modified timestamp NOT NULL default '0000-00-00 00:00:00', post_parent bigint(20) unsigned NOT NULL default '0', guid varchar(255) NOT NULL default '',
  menu_order int(11) NOT NULL default '0', post_type varchar(20) NOT NULL default 'post', post_mime_type varchar(100) NOT NULL default '', comment_count bigint(20) NOT NULL default '0',
  PRIMARY KEY (ID), KEY post_name (post_name(191)), KEY type_status_date (post_type, post_status, post_date, ID), KEY post_parent (post_parent), FULLTEXT KEY post_related (post_title, post_content)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci AUTO_INCREMENT=5001 COMMENT='posts, pages, attachments'
;;
INSERT INTO wl_posts (post_author, post_date, post_date_gmt, post_content, post_title, post_excerpt, post_status, post_name, to_ping, post_modified, guid, post_type, comment_count)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
  SELECT 1 + i MOD 120, IF(i MOD 30, '2005-01-01 08:00:00' + INTERVAL i * 3 HOUR, '0000-00-00 00:00:00'), IF(i MOD 30, '2005-01-01 07:00:00' + INTERVAL i * 3 HOUR, '0000-00-00 00:00:00'),
    CONCAT('<p>Hello “world” — ', REPEAT(ELT(1 + i MOD 3, 'lorem ', 'ipsum\r\n', 'dólor\t'), i MOD 40), i, '</p><!--more--> C:\\temp'), CONCAT(ELT(1 + i MOD 3, 'Über ', 'About ', '日記 '), i), '',
    ELT(1 + i MOD 4, 'publish', 'draft', 'inherit', 'trash'), CONCAT('post-', i), '', IF(i MOD 10, '2010-10-31 01:30:00', 0), CONCAT('http://example.org/?p=', i), ELT(1 + i MOD 3, 'post', 'page', 'attachment'), i MOD 3 FROM n
;;
CREATE TABLE wl_comments (
  comment_ID bigint(20) unsigned NOT NULL auto_increment, comment_post_ID int(11) NOT NULL default '0', comment_author tinytext NOT NULL, comment_author_email varchar(100) NOT NULL default '', comment_author_IP varchar(100) NOT NULL default '',
  comment_date datetime NOT NULL default '0000-00-00 00:00:00', comment_content text NOT NULL, comment_karma int(11) NOT NULL default '0', comment_approved enum('0','1','spam') NOT NULL default '1', comment_parent bigint(20) NOT NULL default '0',
  PRIMARY KEY (comment_ID), KEY comment_approved (comment_approved), KEY comment_post_ID (comment_post_ID)
) ENGINE=MyISAM DEFAULT CHARSET=latin1 COLLATE latin1_general_ci
;;
INSERT INTO wl_comments (comment_post_ID, comment_author, comment_author_email, comment_author_IP, comment_date, comment_content, comment_approved)
  SELECT ID, ELT(1 + ID MOD 4, 'Mr Comment', 'François', '', '<b>spam</b>'), ' someone@example.net', CONCAT('10.0.0.', ID MOD 256), post_date, REPEAT('sí señor ¡ñ! ', 1 + (ID + k) MOD 200), ELT(1 + (ID + k) MOD 3, '0', '1', 'spam') FROM wl_posts CROSS JOIN (SELECT 1 AS k UNION ALL SELECT 2) AS two
;;
CREATE TABLE wl_options (option_id bigint(20) NOT NULL auto_increment, blog_id int(11) NOT NULL default '0', option_name varchar(64) NOT NULL default '', option_value longtext NOT NULL, autoload enum('yes','no') NOT NULL default 'yes', PRIMARY KEY (option_id, blog_id, option_name), UNIQUE KEY option_name (option_name)) ENGINE=MyISAM DEFAULT CHARSET=latin1
;;
INSERT INTO wl_options (option_name, option_value, autoload) VALUES ('siteurl', 'http://example.org', 'yes'), ('blogname', 'Café Zürich', 'yes'), ('gmt_offset', '-3.5', 'yes'), ('cron', 'a:0:{}', 'no'), ('Ærø', CONVERT(_utf8mb4'‰€' USING latin1), '')
;;
CREATE TABLE wl_terms (term_id bigint(20) NOT NULL auto_increment, name varchar(55) NOT NULL default '', slug varchar(200) NOT NULL default '', term_group bigint(10) NOT NULL default '0', PRIMARY KEY (term_id), UNIQUE KEY slug (slug)) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3
;;
INSERT INTO wl_terms (name, slug) VALUES ('Uncategorized', 'uncategorized'), ('Blogroll', 'blogroll'), ('Öl & Gas', 'oel'), ('ελληνικά', 'greek')
;;
CREATE TABLE wl_term_relationships (object_id bigint(20) NOT NULL default '0', term_taxonomy_id bigint(20) NOT NULL default '0', PRIMARY KEY (object_id, term_taxonomy_id), KEY term_taxonomy_id (term_taxonomy_id)) ENGINE=MyISAM DEFAULT CHARSET=latin1
;;
INSERT INTO wl_term_relationships SELECT ID, 1 + ID MOD 4 FROM wl_posts
;;
CREATE TABLE wl_referer_log (seen date NOT NULL default '0000-00-00', url varchar(255) binary default NULL, hits mediumint(8) unsigned zerofill NOT NULL default '00000001', ratio float(7,4) default NULL) ENGINE=MyISAM DEFAULT CHARSET=latin1
;;
INSERT INTO wl_referer_log SELECT IF(ID MOD 4, '2005-00-00' + INTERVAL 0 DAY, '2005-06-07'), CONCAT('http://élan.example/', ID MOD 50), ID MOD 9, ID / 7 FROM wl_posts WHERE ID MOD 4 = 0
;;
INSERT INTO wl_referer_log (seen, url) VALUES ('2005-00-00', NULL), ('0000-00-00', ''), ('0000-00-00', '')
;;
CREATE TABLE wl_sessions (session_key char(32) NOT NULL, session_expiry int unsigned NOT NULL, session_value varchar(500) NOT NULL, PRIMARY KEY (session_key)) ENGINE=MEMORY DEFAULT CHARSET=latin1
;;
INSERT INTO wl_sessions VALUES (LEFT(SHA2('a', 256), 32), 1700000000, 'a:0:{} é')
;;
CREATE VIEW wl_recent AS SELECT p.ID, p.post_title, u.display_name FROM wl_posts AS p JOIN wl_users AS u ON u.ID = p.post_author WHERE p.post_status = 'publish' AND p.post_date > '2005-01-01' ORDER BY p.post_date DESC
