"""The sample shop on MariaDB: a small table of what is written otherwise there, or left out because MariaDB has it not."""

import re

# Files that take the place of others.
FILES = {"accounts": "accounts_mariadb"}
COLLATION = "utf8mb4_uca1400_nopad_ai_ci"

# All are applied, in order, to the text of a file. What is left out has an empty replacement.
VARIANTS: tuple[tuple[str, str], ...] = (
    (r"utf8mb4_0900_ai_ci", COLLATION),
    (r"utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"),
    (r"/\*!80023 INVISIBLE \*/", "INVISIBLE"),
    (r"(KEY \w+ \([^()]*\)) INVISIBLE", r"\1 IGNORED"),
    # No index on an expression or on the elements of a list, no constraint that is not enforced.
    (r"\n  KEY by_clean_email [^\n]*", ""),
    (r"\n  KEY by_favourite [^\n]*", ""),
    (r",\n  CONSTRAINT customer_email_has_an_at [^\n]*", ""),
    (r" SRID \d+", ""),
    (r"CAST\((IF\([^()]*\)|'true') AS JSON\)", r"JSON_COMPACT(\1)"),
    # A JSON true is text there, and no number.
    (r"JSON_EXTRACT\(settings, '\$\.newsletter'\) = TRUE", "JSON_UNQUOTE(JSON_EXTRACT(settings, '$.newsletter')) = 'true'"),
    (r"AS \(BIN_TO_UUID\(id\)\)", "AS (LOWER(HEX(id)))"),
    (r"BIN_TO_UUID\((UNHEX\(LEFT\(SHA2\(CONCAT\('\w+', \w+\), 256\), 32\)\))\)", r"CAST(\1 AS UUID)"),
    (r"UUID_TO_BIN\(UUID\(\)\)", "UNHEX(REPLACE(UUID(), '-', ''))"),
    (r"cte_max_recursion_depth", "max_recursive_iterations"),
    (r"transaction_isolation", "tx_isolation"),
    # It takes no deeper JSON, and no event beyond 2038.
    (r"REPEAT\('(.)', 90\)", r"REPEAT('\1', 30)"),
    (r"'2099-", "'2037-"),
)  # fmt: skip


def for_mariadb(text: str) -> str:
    """A file of the shop as MariaDB takes it."""
    for pattern, replacement in VARIANTS:
        text = re.sub(pattern, replacement, text)
    return text
