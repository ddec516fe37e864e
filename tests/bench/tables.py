"""The tables of the benches: narrow, wide, with many indexes, with large values; made on the server, the same every time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A table: its columns beside `id` with the expression of n that fills each, and its secondary indexes.

    `share` is how many rows it has for each row asked for: large values come in fewer rows.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    indexes: tuple[str, ...] = ()
    share: float = 1.0

    def rows(self, asked: int) -> int:
        """How many rows the table has when `asked` are asked for."""
        return max(1, int(asked * self.share))

    def create(self, indexes: bool) -> str:
        """The CREATE TABLE, with its secondary indexes or without them."""
        columns = [f"c{number} {kind}" for number, (kind, _) in enumerate(self.columns)]
        parts = ["id BIGINT UNSIGNED NOT NULL PRIMARY KEY", *columns, *(self.indexes if indexes else ())]
        return f"CREATE TABLE t ({', '.join(parts)})"

    def statements(self, rows: int) -> list[str]:
        """The statements that make and fill the table."""
        values = ", ".join(expression for _, expression in self.columns)
        return [
            self.create(indexes=True),
            "INSERT INTO t WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
            f" WHERE n < {rows}) SELECT n, {values} FROM numbers",
        ]


_ORDER = (
    ("INT NOT NULL", "CRC32(n) MOD 100000"),
    ("VARCHAR(12) NOT NULL", "ELT(1 + n MOD 4, 'new', 'paid', 'shipped', 'returned')"),
    ("DECIMAL(12,2)", "(n MOD 100000) / 7"),
    ("DATETIME(3) NOT NULL", "'2020-01-01' + INTERVAL n SECOND"),
    ("VARCHAR(200)", "IF(n MOD 5 = 0, NULL, CONCAT(SHA2(n, 256), ' überall'))"),
    ("TINYINT", "n MOD 2"),
    ("DOUBLE", "n / 3"),
)
SHAPES = (
    Shape("usual", _ORDER, ("KEY k0 (c0)", "KEY k1 (c3, c1)")),
    Shape("narrow", (("INT NOT NULL", "CRC32(n) MOD 100000"), ("INT", "n MOD 77")), ("KEY k0 (c0)",)),
    Shape(
        "wide",
        tuple(column for _ in range(4) for column in _ORDER),
        ("KEY k0 (c0)", "KEY k1 (c3, c1)"),
    ),
    Shape(
        "many indexes",
        (*_ORDER, ("BINARY(16) NOT NULL", "UNHEX(LEFT(SHA2(n, 256), 32))")),
        (
            "KEY k0 (c0)",
            "KEY k1 (c3, c1)",
            "KEY k2 (c2)",
            "KEY k3 (c6)",
            "KEY k4 (c1, c0)",
            "UNIQUE KEY k5 (c7)",
            "KEY k6 (c4)",
        ),
    ),
    Shape(
        "large values",
        (
            ("MEDIUMTEXT", "REPEAT(SHA2(n, 512), 1 + CRC32(n) MOD 300)"),
            ("MEDIUMBLOB", "REPEAT(UNHEX(SHA2(n, 512)), 1 + CRC32(n) MOD 200)"),
            ("INT NOT NULL", "CRC32(n) MOD 1000"),
        ),
        ("KEY k0 (c2)",),
        share=0.01,
    ),
)
