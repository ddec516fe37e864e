"""Suggestions: what the profile shows that cleaning or another type rule could mend; never switched on by themselves."""

from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass
from typing import Any

from workbook.catalog import Column, Table
from workbook.mapping.objects import ColumnMap, TableMap, rule_name
from workbook.names import quote_mysql

# measure of the profile, the rule that would mend it, what was seen
_CLEANING = (
    ("spaces", "trim", "white space around the text"),
    ("placeholders", "null_tokens", "words for nothing"),
    ("folded", "lower", "other spellings of the same by case or accents alone"),
)
# What a mail address or a web address means does not depend on its letters' case; elsewhere it may.
_CASELESS = ("mail", "url", "domain", "host")


@dataclass(frozen=True)
class Suggestion:
    """Something to consider for a column: what to write in the mapping, why, and for how many rows (None: for all)."""

    database: str
    table: str
    column: str
    write: str
    why: str
    rows: int | None


class Figures:
    """The figures of a profile (its asdict, or None where there is none) by table; tables that could not be read have none."""

    def __init__(self, profile: ReadOnly[str, Any] | None):
        self.there = profile is not None
        self._tables: dict[tuple[str, str], ReadOnly[str, Any]] = {
            (table["database"], table["name"]): table
            for table in (profile or {}).get("tables", ())
            if not table.get("problem")
        }

    def table(self, path: tuple[str, str]) -> ReadOnly[str, Any]:
        """The figures of a table; empty where it was not profiled."""
        return self._tables.get(path, {})

    def columns(self, path: tuple[str, str]) -> ReadOnly[str, ReadOnly[str, Any]]:
        """The figures of a table's columns by name; empty where it was not profiled."""
        return dict(self.table(path).get("columns", {}))


def suggestions(table: Table, mapped: TableMap, profile: Figures) -> list[Suggestion]:
    """What the figures of `table` suggest beyond what the mapping does already."""
    figures = profile.columns(table.path)
    sampled = bool(profile.table(table.path).get("sampled"))
    # MariaDB's JSON is text with a check.
    checks = {check.clause.strip("()") + ")" for check in table.checks}
    made = []
    if not table.key and mapped.target.keyless == "keep":
        why = "the table has no key, by which changes find their row; Datastream cannot backfill an invisible one"
        made.append(Suggestion(table.database, table.name, "", "target: {keyless: invisible-key}", why, None))
    for column in table.columns:
        if column.name in mapped.column:
            document = column.data_type == "json" or f"json_valid({quote_mysql(column.name)})" in checks
            for write, why, rows in _for_column(
                column, mapped.column[column.name], figures.get(column.name), sampled, document
            ):
                made.append(Suggestion(table.database, table.name, column.name, write, why, rows))
    return made


def _for_column(
    column: Column, mapped: ColumnMap, figures: ReadOnly[str, Any] | None, sampled: bool, document: bool
) -> list[tuple[str, str, int | None]]:
    has = {rule_name(rule) for rule in mapped.clean}
    made: list[tuple[str, str, int | None]] = []
    if document and not has:
        made.append(("clean: [json]", "queries on its members need JSON, not text", None))
    if not figures or not figures.get("rows"):
        return made
    for measure, rule, why in _CLEANING:
        count = int(figures.get(measure) or 0)
        if measure == "folded":
            # A column with a binary collation has no such count: there, values are as distinct as they look.
            collated = figures.get("distinct_collated")
            count = 0 if collated is None else max(0, int(figures.get("distinct") or 0) - int(collated))
            if not any(word in column.name.lower() for word in _CASELESS):
                continue
        if count and rule not in has and mapped.rule in ("text", "long-text"):
            made.append((f"clean: [{rule}]", f"{why} (rows: {count:,})", count))
    lost = sum(int(figures.get(measure) or 0) for measure in ("zero_dates", "partial_dates", "impossible_dates"))
    if lost and mapped.rule in ("date", "datetime", "timestamp"):
        made.append(("rule: temporal-text", f"no calendar dates, which become NULL (rows: {lost:,})", lost))
    # A sample cannot prove that no other value is there.
    if not sampled and figures.get("rows", 0) > figures.get("nulls", 0):
        if column.type.lower().startswith("tinyint(1)") and figures.get("not_bool") == 0 and mapped.rule == "integer":
            made.append(("rule: bool", "every value is 0 or 1", None))
        long = (figures.get("negatives"), figures.get("over_24h"))
        if column.data_type == "time" and long == (0, 0) and mapped.rule == "time-micros":
            made.append(("rule: time", "every value lies between 00:00:00 and 23:59:59", None))
    return made
