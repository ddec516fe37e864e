-- VECTOR, the type that MySQL 9.0 added, with its boundary rows. Segment "telemetry".
-- MySQL 9.0 and later only.

CREATE TABLE type_vectors (
  id        INT NOT NULL,
  what      VARCHAR(40) NOT NULL,
  embedding VECTOR(4) NULL,
  PRIMARY KEY (id)
);

INSERT INTO type_vectors VALUES
  (1, 'plain', STRING_TO_VECTOR('[1, 2.5, -3, 0]')),
  (2, 'shorter than declared', STRING_TO_VECTOR('[0.1]')),
  (3, 'largest and smallest', STRING_TO_VECTOR('[3.4028235e38, -3.4028235e38, 1.17549435e-38, 0.1]')),
  (4, 'null', NULL);
