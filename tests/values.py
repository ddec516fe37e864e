"""Values at the boundaries of every MySQL type, as SQL: the tests of the bulk load, the encoding and the warehouse share them."""

# Column definition → values as SQL literals.
BOUNDARIES: dict[str, list[str]] = {
    "TINYINT": ["-128", "127", "0"],
    "TINYINT UNSIGNED": ["255", "0"],
    "INT(6) UNSIGNED ZEROFILL": ["0", "42", "4294967295"],
    "BIGINT": ["-9223372036854775808", "9223372036854775807"],
    "BIGINT UNSIGNED": ["18446744073709551615", "9223372036854775808", "0"],
    "DECIMAL(10,2)": ["1.50", "-0.01", "99999999.99", "0.00", "100"],
    "DECIMAL(38,9)": ["-12345678901234567890123456789.123456789", "0.000000001"],
    "DECIMAL(65,30)": ["12345678901234567890123456789012345.123456789012345678901234567890", "-1.5"],
    "DECIMAL(20,0)": ["100", "12345678901234567890"],
    "FLOAT": ["0.1", "3.4028235e38", "-1.17549435e-38", "16777217", "0"],
    "DOUBLE": ["0.1", "1e308", "-2.2250738585072014e-308", "5e-324", "0.30000000000000004", "9007199254740993", "-0.0", "1024"],
    "DATE": ["'0000-00-00'", "'2019-00-00'", "'2019-02-31'", "'1000-01-01'", "'9999-12-31'", "'0001-01-01'"],
    "DATETIME(6)": ["'0000-00-00'", "'9999-12-31 23:59:59.999999'", "'2019-02-31 01:02:03.000004'", "'1000-01-01'"],
    "DATETIME": ["'2024-02-29 23:59:59'"],
    "TIMESTAMP(3) NULL": ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999'", "'0000-00-00'"],
    "TIME(6)": ["'-838:59:59'", "'838:59:59'", "'-00:00:00.5'", "'23:59:59.999999'"],
    "YEAR": ["'0000'", "1901", "2155"],
    "CHAR(5)": ["'ab   '", "''", "'é'"],
    "VARCHAR(40)": [r"'tab\tline\nback\\slash'", r"'nul\0in'", "'~;'", "'NULL'", "'  spaces  '", "'😀 e\u0301'", "'=3:abc;'"],
    "VARCHAR(20) CHARACTER SET latin1": ["'café €'", "''"],
    "VARCHAR(20) CHARACTER SET utf8mb3": ["'größe'"],
    "VARCHAR(20) CHARACTER SET utf16": ["'日本'"],
    "VARCHAR(20) CHARACTER SET sjis": [r"'ソ\\表'"],
    "ENUM('a','','<b>')": ["'a'", "''", "'never a member'", "'<b>'"],
    "SET('x','y','größe')": ["''", "'x,größe'", "'y'"],
    "TEXT": ["'<script>alert(1)</script>'", "''"],
    "LONGTEXT CHARACTER SET latin1": ["REPEAT('ä', 100000)"],
    "JSON": ["""'{"b": 1.0, "a": [1, 2, null], "ключ": "\\\\u0000"}'""", "'null'", "CAST(DATE'2020-02-02' AS JSON)"],
    "BINARY(4)": ["0x0001", "''"],
    "VARBINARY(300)": ["0x00ff0a095c", "''"],
    "BLOB": ["UNHEX('" + bytes(range(256)).hex() + "')", "''"],
    "BIT(1)": ["0", "1"],
    "BIT(64)": ["18446744073709551615", "0"],
    "GEOMETRY": ["ST_GeomFromText('POINT(1 2)', 4326)", "ST_GeomFromText('LINESTRING(0 0,1 1)')"],
}  # fmt: skip


def table_of_boundaries(name: str = "`boundaries`") -> list[str]:
    """Statements that make a table of every type and fill it: one value at a time, the others NULL, and all NULL."""
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(BOUNDARIES))
    statements = [f"CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, {columns})"]
    for number, values in enumerate(BOUNDARIES.values()):
        statements += [f"INSERT IGNORE INTO {name} (c{number}) VALUES ({value})" for value in values]
    return [*statements, f"INSERT INTO {name} () VALUES ()", f"INSERT INTO {name} (id, c0) VALUES (0, 1)"]
