"""Settings of the servers that change what the same statement does or answers, source against target."""

from collections.abc import Iterable, Mapping

from workbook.mapping.target import TargetRules
from workbook.schema import ObjectDifference
from workbook.servers import Server

# What each changes, in words. Sizes, logs and caches change how fast a server answers, not what.
SETTINGS: dict[str, str] = {
    "sql_mode": "what is refused, cut, rounded or taken for a zero date",
    "time_zone": "what NOW() answers, and how a TIMESTAMP is read and written",
    "lower_case_table_names": "whether names of tables are told apart by their case",
    "character_set_server": "the character set of new databases",
    "collation_server": "the collation of new databases, so what is equal and how it sorts",
    "default_collation_for_utf8mb4": "the collation where utf8mb4 is named alone",
    "explicit_defaults_for_timestamp": "defaults and NULL of TIMESTAMP columns in new tables",
    "auto_increment_increment": "which numbers a counter gives",
    "auto_increment_offset": "which numbers a counter gives",
    "autocommit": "whether a statement is its own transaction",
    "transaction_isolation": "what a transaction sees of others",
    "transaction_read_only": "whether a session may write",
    "completion_type": "what follows a COMMIT",
    "div_precision_increment": "the digits of a division",
    "default_week_format": "the number of a week",
    "lc_time_names": "names of days and months",
    "block_encryption_mode": "what AES_ENCRYPT answers",
    "sql_auto_is_null": "what IS NULL finds after an INSERT",
    "sql_safe_updates": "whether an UPDATE without a key is refused",
    "sql_select_limit": "how many rows a SELECT answers",
    "foreign_key_checks": "whether foreign keys are checked",
    "unique_checks": "whether unique keys are checked",
    "innodb_strict_mode": "whether an impossible definition is refused",
    "innodb_autoinc_lock_mode": "which numbers a counter gives to several sessions",
    "innodb_rollback_on_timeout": "what a lock that is waited for too long takes back",
    "innodb_ft_min_token_size": "which words a full-text search finds",
    "innodb_ft_max_token_size": "which words a full-text search finds",
    "ngram_token_size": "which words a full-text search finds",
    "ft_min_word_len": "which words a full-text search finds",
    "cte_max_recursion_depth": "how deep a recursion goes before it fails",
    "max_sp_recursion_depth": "how deep a procedure calls itself before it fails",
    "windowing_use_high_precision": "the last digits of window functions",
    "updatable_views_with_limit": "which updates through views are refused",
    "local_infile": "whether LOAD DATA LOCAL is refused",
    "init_connect": "what every session does first",
    "sql_require_primary_key": "whether a table without a primary key is refused",
    "sql_generate_invisible_primary_key": "whether a table without a primary key gets a column",
    "restrict_fk_on_non_standard_key": "which foreign keys are refused",
}
# Where a value below the source's changes what is refused; a higher one does not.
LEAST: dict[str, str] = {
    "group_concat_max_len": "where GROUP_CONCAT is cut",
    "max_allowed_packet": "how large a value may be",
    "max_execution_time": "after how long a SELECT is ended",
}
# A sql_mode's words that only one of two products or versions knows say nothing of the other.
_GONE = {"NO_AUTO_CREATE_USER", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS"}


def compare_settings(source: Server, target: Server, rules: TargetRules) -> tuple[ObjectDifference, ...]:
    """Every setting of the tables above that both servers have; those that the mapping names may differ."""
    return tuple(compared(_read(source), _read(target), rules.settings))


def compared(
    source: Mapping[str, str], target: Mapping[str, str], expected: Iterable[str]
) -> Iterable[ObjectDifference]:
    """The settings of two servers by name, set side by side."""
    other_product = "mariadb" in source.get("version", "").lower()
    for name, what in (SETTINGS | LEAST).items():
        if name not in source or name not in target:
            continue
        here, there = _meant(name, source), _meant(name, target)
        if here == there or (name in LEAST and _no_less(here, there)):
            yield ObjectDifference("setting", name, "same")
            continue
        detail = f"{here or 'nothing'} became {there or 'nothing'}: it decides {what}"
        if name in expected:
            yield ObjectDifference("setting", name, "tolerated", f"{detail}; the mapping expects it", "the mapping")
        elif other_product:
            yield ObjectDifference("setting", name, "tolerated", f"{detail}; the source is another product", "MariaDB")
        else:
            yield ObjectDifference("setting", name, "different", detail)


def _read(server: Server) -> dict[str, str]:
    rows = server.rows("SHOW GLOBAL VARIABLES")
    return {str(row["Variable_name"]).lower(): str(row["Value"]) for row in rows}


def _meant(name: str, variables: Mapping[str, str]) -> str:
    value = variables[name]
    if name == "sql_mode":
        return ",".join(sorted({word for word in value.split(",") if word and word not in _GONE}))
    if name == "time_zone":
        zone = variables.get("system_time_zone", value) if value == "SYSTEM" else value
        return "UTC" if zone in ("+00:00", "UTC", "Etc/UTC", "GMT", "Universal") else zone
    return value


def _no_less(here: str, there: str) -> bool:
    # 0 is no limit.
    one, other = (int(value) if value.isdigit() else 0 for value in (here, there))
    return other == 0 or (one != 0 and other >= one)


def markdown() -> str:
    """The settings as a Markdown table, for the README."""
    lines = ["| setting | decides |", "| --- | --- |"]
    lines += [f"| `{name}` | {what} |" for name, what in SETTINGS.items()]
    lines += [f"| `{name}`, where it is less | {what} |" for name, what in LEAST.items()]
    return "\n".join(lines)
