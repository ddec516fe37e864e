-- Every MySQL type that 8.0 knows, in tables of the segment "telemetry"; rows_types.sql puts the boundaries into them.
-- Run after tables_telemetry.sql. MySQL 8.0 and later (VECTOR has its own file).

CREATE TABLE type_integers (
  id           BIGINT UNSIGNED NOT NULL,
  what         VARCHAR(40) NOT NULL,
  tiny         TINYINT NULL,
  tiny_plus    TINYINT UNSIGNED NULL,
  truth        BOOLEAN NULL,
  small        SMALLINT NULL,
  small_plus   SMALLINT UNSIGNED NULL,
  medium       MEDIUMINT NULL,
  medium_plus  MEDIUMINT UNSIGNED NULL,
  plain        INT NULL,
  plain_plus   INT UNSIGNED NULL,
  padded       INT(10) UNSIGNED ZEROFILL NULL,
  big          BIGINT NULL,
  big_plus     BIGINT UNSIGNED NULL,
  bit_1        BIT(1) NULL,
  bit_10       BIT(10) NULL,
  bit_64       BIT(64) NULL,
  PRIMARY KEY (id)
);

CREATE TABLE type_fractions (
  id           INT NOT NULL,
  what         VARCHAR(40) NOT NULL,
  widest       DECIMAL(65,30) NULL,
  whole        DECIMAL(65,0) NULL,
  numeric_38_9 DECIMAL(38,9) NULL,
  digits_38    DECIMAL(38,18) NULL,
  all_behind   DECIMAL(30,30) NULL,
  money_plus   DECIMAL(10,2) UNSIGNED NULL,
  single       FLOAT NULL,
  double_one   DOUBLE NULL,
  double_plus  DOUBLE UNSIGNED NULL,
  fixed_double DOUBLE(12,4) NULL,
  PRIMARY KEY (id)
);

CREATE TABLE type_times (
  id          INT NOT NULL,
  what        VARCHAR(40) NOT NULL,
  day         DATE NULL,
  moment      DATETIME NULL,
  moment_1    DATETIME(1) NULL,
  moment_3    DATETIME(3) NULL,
  moment_6    DATETIME(6) NULL,
  instant     TIMESTAMP NULL,
  instant_3   TIMESTAMP(3) NULL,
  instant_6   TIMESTAMP(6) NULL,
  span        TIME NULL,
  span_2      TIME(2) NULL,
  span_6      TIME(6) NULL,
  year_only   YEAR NULL,
  PRIMARY KEY (id)
);

CREATE TABLE type_texts (
  id         INT NOT NULL,
  what       VARCHAR(40) NOT NULL,
  fixed      CHAR(20) NULL,
  `varying`    VARCHAR(400) NULL,
  tiny       TINYTEXT NULL,
  plain      TEXT NULL,
  medium     MEDIUMTEXT NULL,
  huge       LONGTEXT NULL,
  old_west   VARCHAR(80) CHARACTER SET latin1 NULL,
  three_byte VARCHAR(80) CHARACTER SET utf8mb3 NULL,
  two_byte   VARCHAR(80) CHARACTER SET ucs2 NULL,
  seven_bit  VARCHAR(80) CHARACTER SET ascii NULL,
  exact_case VARCHAR(80) COLLATE utf8mb4_0900_as_cs NULL,
  padded     VARCHAR(80) COLLATE utf8mb4_general_ci NULL,
  PRIMARY KEY (id)
);

CREATE TABLE type_bytes (
  id      INT NOT NULL,
  what    VARCHAR(40) NOT NULL,
  fixed   BINARY(16) NULL,
  `varying` VARBINARY(400) NULL,
  tiny    TINYBLOB NULL,
  plain   BLOB NULL,
  medium  MEDIUMBLOB NULL,
  huge    LONGBLOB NULL,
  PRIMARY KEY (id)
);

CREATE TABLE type_choices (
  id       INT NOT NULL,
  what     VARCHAR(40) NOT NULL,
  mood     ENUM('sad','ok','it''s "fine"','a,b','größer','😀','back\\slash','tab\there') NULL,
  strict   ENUM('x','X') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'x',
  extras   SET('one','two','it''s three','größe','😀') NULL,
  many     SET('m01','m02','m03','m04','m05','m06','m07','m08','m09','m10','m11','m12','m13','m14','m15','m16',
               'm17','m18','m19','m20','m21','m22','m23','m24','m25','m26','m27','m28','m29','m30','m31','m32',
               'm33','m34','m35','m36','m37','m38','m39','m40','m41','m42','m43','m44','m45','m46','m47','m48',
               'm49','m50','m51','m52','m53','m54','m55','m56','m57','m58','m59','m60','m61','m62','m63','m64') NULL,
  PRIMARY KEY (id)
);

CREATE TABLE type_documents (
  id       INT NOT NULL,
  what     VARCHAR(40) NOT NULL,
  document JSON NULL,
  PRIMARY KEY (id)
);

CREATE TABLE type_shapes (
  id             INT NOT NULL,
  what           VARCHAR(40) NOT NULL,
  any_shape      GEOMETRY NULL,
  point_flat     POINT NULL SRID 0,
  point_earth    POINT NULL SRID 4326,
  line           LINESTRING NULL,
  area           POLYGON NULL,
  points         MULTIPOINT NULL,
  lines_         MULTILINESTRING NULL,
  areas          MULTIPOLYGON NULL,
  collection     GEOMETRYCOLLECTION NULL,
  PRIMARY KEY (id)
);
