"""Quoting of names, once per dialect, and the names that another dialect can hold."""

import re
import unicodedata
from collections.abc import Iterable

from workbook.errors import Refused

# https://cloud.google.com/bigquery/docs/schemas#column_names: letters, digits and underscores are valid everywhere;
# these prefixes are reserved.
_RESERVED_PREFIXES = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_")
_BIGQUERY_NAME_LENGTH = 300


def quote_mysql(name: str) -> str:
    """`name` as a MySQL identifier: in backticks, with backticks doubled."""
    if not name or "\0" in name:
        raise Refused(
            f"{name!r} is no MySQL name.",
            "A name that cannot be quoted could be read as other SQL.",
            "Rename the object on the source or leave it out of the mapping.",
        )
    return "`" + name.replace("`", "``") + "`"


def mysql_path(*parts: str) -> str:
    """Names joined by dots, each quoted: database and table, or database, table and column."""
    return ".".join(quote_mysql(part) for part in parts)


def with_values(sql: str) -> str:
    """A piece of SQL for a statement that also binds values: the driver would read a lone % in a name as a place."""
    return sql.replace("%", "%%")


def mysql_account(user: str, host: str) -> str:
    """An account name as MySQL's account statements take it: 'user'@'host'."""
    return f"{mysql_string(user)}@{mysql_string(host)}"


def mysql_string(value: str) -> str:
    """A MySQL string literal, for statements that take no bound values.

    Backslashes are doubled, so the session must not run with NO_BACKSLASH_ESCAPES; `servers` sets the mode.
    """
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"


def bigquery_rows(source: str) -> str:
    """A table, or a query in parentheses, in a FROM: in GoogleSQL the name of a table hides a column that has it too."""
    return f"{source} AS workbook_rows_"


def quote_bigquery(name: str) -> str:
    """`name` as a GoogleSQL identifier: in backticks, with backslash and backtick escaped."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def bigquery_path(*parts: str) -> str:
    """Project, dataset and table joined by dots, each quoted."""
    return ".".join(quote_bigquery(part) for part in parts)


def bigquery_names(names: Iterable[str]) -> dict[str, str]:
    """A name valid in BigQuery for each source name, in the given order; unique without regard to case.

    Letters, digits and underscores stay; everything else becomes an underscore; a clash gets a number. The result is
    written to the mapping, where a person can change it: a name is mapped in the open, never guessed later.
    """
    taken: set[str] = set()
    result = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", unicodedata.normalize("NFKD", name).encode("ascii", "replace").decode())
        if not re.search(r"[A-Za-z0-9]", plain):
            plain = "u_" + "_".join(f"{ord(letter):x}" for letter in name)[:200]
        if plain[0].isdigit() or plain.lower().startswith(_RESERVED_PREFIXES):
            plain = "c_" + plain.lstrip("_")
        plain = plain[: _BIGQUERY_NAME_LENGTH - 5]
        candidate, number = plain, 2
        while candidate.lower() in taken:
            candidate, number = f"{plain}_{number}", number + 1
        taken.add(candidate.lower())
        result[name] = candidate
    return result
