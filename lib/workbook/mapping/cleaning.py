"""Cleaning: a table of named rules, and the GoogleSQL that makes a clean table of a raw one.

The clean table is by definition what `clean_select` yields over the raw table: the load creates it so, and the
validation computes it again. Rows that the table's own rules set aside are what `rejected_select` yields; clean and
rejected rows together are as many as the raw ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbook.errors import UsageError
from workbook.mapping.objects import CleanRule, ColumnMap, TableMap, rule_name
from workbook.mapping.types import RULES as TYPE_RULES
from workbook.names import quote_bigquery

NULL_TOKENS = ("", "-", "N/A", "n/a", "NA", "NULL", "null", "None", "unknown")
# ASCII white space and the no-break space, written out: TRIM without a set means another one in each engine.
_SPACES = " \t\n\r\f\v\u00a0"
_TYPES = {rule.name: rule.warehouse_type for rule in TYPE_RULES}
# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types: what PARTITION BY in a window can hold.
_GROUPABLE = {"STRING", "INT64", "NUMERIC", "BIGNUMERIC", "BOOL", "BYTES", "DATE", "DATETIME", "TIMESTAMP", "TIME"}


@dataclass(frozen=True)
class CleaningRule:
    """One row of the table of cleaning rules: all take a STRING; `gives` is the type that comes out.

    `expression` makes GoogleSQL of the inner expression and the checked options.
    """

    name: str
    what: str
    expression: Callable[[str, Any], str]
    options: str = "none"  # none, list or mapping
    gives: str = "STRING"


def _null_tokens(inner: str, tokens: Sequence[str] | None) -> str:
    listed = ", ".join(google_string(token) for token in (NULL_TOKENS if tokens is None else tokens))
    return f"IF({inner} IN ({listed}), NULL, {inner})"


def _map(inner: str, values: Mapping[str, str | None]) -> str:
    pairs = " ".join(
        f"WHEN {google_string(old)} THEN {'NULL' if new is None else google_string(new)}" for old, new in values.items()
    )
    return f"CASE {inner} {pairs} ELSE {inner} END"


RULES: tuple[CleaningRule, ...] = (
    CleaningRule("trim", "spaces, tabs, line ends and no-break spaces at both ends go",
                 lambda inner, _: f"TRIM({inner}, {google_string(_SPACES)})"),
    CleaningRule("collapse_spaces", "runs of white space become one space",
                 lambda inner, _: f"REGEXP_REPLACE({inner}, {google_string(f'[{_SPACES}]+')}, ' ')"),
    CleaningRule("lower", "letters become lower case", lambda inner, _: f"LOWER({inner})"),
    CleaningRule("upper", "letters become upper case", lambda inner, _: f"UPPER({inner})"),
    CleaningRule("null_tokens", "words that stand for nothing become NULL: those given, else "
                 + ", ".join(token or "the empty text" for token in NULL_TOKENS), _null_tokens, "list"),
    CleaningRule("map", "the given values become others, all else stays", _map, "mapping"),
    CleaningRule("json", "the text becomes JSON; what is no JSON becomes NULL, numbers become doubles",
                 lambda inner, _: f"SAFE.PARSE_JSON({inner}, wide_number_mode=>'round')", gives="JSON"),
)  # fmt: skip
_RULE = {rule.name: rule for rule in RULES}


@dataclass(frozen=True)
class CleanCount:
    """A number that `counts_select` yields under the name `label`: what a rule changed in a column."""

    label: str
    column: str
    rule: str
    what: str


def checked(rule: Any, where: str) -> CleanRule:
    """A rule as written in the mapping, its name and options known. Raises UsageError naming `where` otherwise."""
    name: Any = rule if isinstance(rule, str) else None
    options: Any = None
    if isinstance(rule, Mapping) and len(rule) == 1:
        name, options = next(iter(rule.items()))
    known = _RULE.get(str(name))
    if known is None:
        raise UsageError(
            f"{where}: {str(rule)[:80]!r} is no cleaning rule.",
            "It would change nothing without a word.",
            f"Write one of {', '.join(_RULE)}, or one with its options, as {{null_tokens: ['N/A', '?']}}.",
        )
    if options is None and known.options != "mapping":
        return known.name
    texts = isinstance(options, list | tuple) and bool(options) and all(isinstance(item, str) for item in options)
    if known.options == "list" and texts:
        return {known.name: tuple(str(item) for item in options)}
    pairs = isinstance(options, Mapping) and bool(options)
    pairs = pairs and all(isinstance(old, str) and isinstance(new, str | type(None)) for old, new in options.items())
    if known.options == "mapping" and pairs:
        return {known.name: {str(old): None if new is None else str(new) for old, new in options.items()}}
    wanted = {"none": "no options", "list": "a list of texts", "mapping": "pairs of texts, old: new"}[known.options]
    raise UsageError(
        f"{where}: the cleaning rule {known.name} takes {wanted}.",
        "With other options it would clean something else than is meant.",
        "Mend it; a text that looks like a number needs quotes.",
    )


def check_column(column: ColumnMap, where: str) -> None:
    """Raise UsageError where a cleaning rule of `column` does not suit the type it meets."""
    kind = _TYPES[column.rule]
    for rule in column.clean:
        if kind != "STRING":
            raise UsageError(
                f"{where}: the cleaning rule {rule_name(rule)} meets a {kind}.",
                "Cleaning rules work on text.",
                "Take it away, put `json` last, or choose a type rule that yields text.",
            )
        kind = _RULE[rule_name(rule)].gives


def clean_type(column: ColumnMap) -> str:
    """The BigQuery type of a column in the clean table."""
    return _RULE[rule_name(column.clean[-1])].gives if column.clean else _TYPES[column.rule]


def raw_type(column: ColumnMap) -> str:
    """The BigQuery type of a column in the raw table."""
    return _TYPES[column.rule]


def groupable(column: ColumnMap) -> bool:
    """Whether rows can be told apart by the clean column."""
    return clean_type(column) in _GROUPABLE


def clean_expression(column: ColumnMap) -> str:
    """The clean value of a column as GoogleSQL over the raw table."""
    inner = quote_bigquery(column.warehouse_name)
    for rule in column.clean:
        inner = _applied(rule, inner)
    return inner


def clean_select(table: TableMap, raw_table_path: str) -> str:
    """The GoogleSQL SELECT that yields the clean table from the raw table at the (quoted) path."""
    if not _sets_aside(table):
        return f"SELECT\n{_cleaned_columns(table)}\nFROM {raw_table_path}"
    mark = quote_bigquery(rejected_column(table))
    return f"{_judged(table, raw_table_path)}\nSELECT\n{_names(table)}\nFROM judged\nWHERE {mark} IS NULL"


def rejected_select(table: TableMap, raw_table_path: str) -> str | None:
    """The GoogleSQL SELECT of the rows set aside, cleaned, each with the rule that did it; None where no rule can."""
    if not _sets_aside(table):
        return None
    mark = quote_bigquery(rejected_column(table))
    return (
        f"{_judged(table, raw_table_path)}\nSELECT\n  {mark},\n{_names(table)}\nFROM judged\nWHERE {mark} IS NOT NULL"
    )


def rejected_column(table: TableMap) -> str:
    """The column of the table of rejected rows that names the rule."""
    taken = {column.warehouse_name.lower() for column in table.columns}
    name = "_rejected_by"
    while name in taken:
        name = f"_{name}"
    return name


def counts_select(table: TableMap, raw_table_path: str) -> tuple[str, tuple[CleanCount, ...]] | None:
    """The GoogleSQL SELECT of one row that counts what each column rule changes, and what its columns count.

    None where the table has no column rules. For `json` the count is of values that are no JSON and become NULL.
    """
    counts: list[CleanCount] = []
    expressions: list[str] = []
    # Each stage applies one more rule to every column that has one left, so that no expression is written twice.
    stages: list[list[str]] = [[]]
    for place, column in enumerate(table.columns):
        if column.clean:
            stages[0].append(f"{quote_bigquery(column.warehouse_name)} AS v{place}_0")
        for step, rule in enumerate(column.clean):
            before, after, name = f"v{place}_{step}", f"v{place}_{step + 1}", rule_name(rule)
            if len(stages) < step + 2:
                stages.append(["*"])
            stages[step + 1].append(f"{_applied(rule, before)} AS {after}")
            lost = _RULE[name].gives != "STRING"
            label = f"c{len(counts)}"
            counts.append(CleanCount(label, column.name, name, "became NULL" if lost else "changed"))
            differs = f"{before} IS NOT NULL AND {after} IS NULL" if lost else f"{before} IS DISTINCT FROM {after}"
            expressions.append(f"  COUNTIF({differs}) AS {label}")
    if not counts:
        return None
    froms = [raw_table_path, *(f"stage{number}" for number in range(len(stages) - 1))]
    clauses = [
        f"stage{number} AS (\n  SELECT {', '.join(columns)}\n  FROM {source}\n)"
        for number, (columns, source) in enumerate(zip(stages, froms, strict=True))
    ]
    counted = ",\n".join(expressions)
    return f"WITH {', '.join(clauses)}\nSELECT\n{counted}\nFROM stage{len(stages) - 1}", tuple(counts)


def google_string(value: str) -> str:
    """A GoogleSQL string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    for character, written in (("\n", "\\n"), ("\r", "\\r"), ("\0", "\\x00")):
        escaped = escaped.replace(character, written)
    return f"'{escaped}'"


def markdown() -> str:
    """The cleaning rules as a Markdown table, for the README."""
    lines = ["| rule | what it does | options |", "| --- | --- | --- |"]
    options = {"none": "", "list": "a list of texts", "mapping": "pairs `old: new`"}
    lines += [f"| `{rule.name}` | {rule.what} | {options[rule.options]} |" for rule in RULES]
    lines.append("| `dedupe` (of a table) | rows alike in the columns `by` count as one | `by`, `keep`, `order_by` |")
    lines.append("| `reject` (of a table) | rows for which `where` holds are set aside | `name`, `where` |")
    return "\n".join(lines)


def _applied(rule: CleanRule, inner: str) -> str:
    return _RULE[rule_name(rule)].expression(inner, None if isinstance(rule, str) else rule[rule_name(rule)])


def _sets_aside(table: TableMap) -> bool:
    return bool(table.reject or table.dedupe)


def _cleaned_columns(table: TableMap, indent: str = "  ") -> str:
    lines = []
    for column in table.columns:
        name = quote_bigquery(column.warehouse_name)
        lines.append(f"{indent}{clean_expression(column)} AS {name}" if column.clean else f"{indent}{name}")
    return ",\n".join(lines)


def _names(table: TableMap) -> str:
    return ",\n".join(f"  {quote_bigquery(column.warehouse_name)}" for column in table.columns)


def _judged(table: TableMap, raw_table_path: str) -> str:
    """WITH clauses up to `judged`: the cleaned rows, each with the first rule that sets it aside, or NULL."""
    mark = quote_bigquery(rejected_column(table))
    # A condition stands on lines of its own, so that a comment at its end does not swallow what follows.
    conditions = "\n".join(
        f"    WHEN (\n{reject.where}\n) THEN {google_string(reject.name)}" for reject in table.reject
    )
    verdict = f"CASE\n{conditions}\n    END" if conditions else "CAST(NULL AS STRING)"
    parts = [
        f"WITH cleaned AS (\n  SELECT\n{_cleaned_columns(table, '    ')}\n  FROM {raw_table_path}\n)",
    ]
    if table.dedupe is None:
        parts.append(f"judged AS (\n  SELECT *, {verdict} AS {mark}\n  FROM cleaned\n)")
        return ",\n".join(parts)
    parts.append(f"checked AS (\n  SELECT *, {verdict} AS {mark}\n  FROM cleaned\n)")
    by = [quote_bigquery(table.column[name].warehouse_name) for name in table.dedupe.by]
    known = " AND ".join(f"{name} IS NOT NULL" for name in by)
    # Rows that are rejected already are no rivals of the others.
    rank = f"ROW_NUMBER() OVER (PARTITION BY {', '.join(by)}, {mark} IS NULL ORDER BY {_order(table)})"
    parts.append(
        f"judged AS (\n  SELECT * EXCEPT ({mark}),\n"
        f"    CASE WHEN {mark} IS NOT NULL THEN {mark} WHEN {known} AND {rank} > 1 THEN 'dedupe' END AS {mark}\n"
        "  FROM checked\n)"
    )
    return ",\n".join(parts)


def _order(table: TableMap) -> str:
    """ORDER BY that leaves no tie but between rows that are alike in every clean column."""
    assert table.dedupe is not None
    direction = "DESC" if table.dedupe.keep == "last" else "ASC"
    keys = [(table.column[name], direction) for name in table.dedupe.order_by]
    keys += [(column, "ASC") for column in table.columns if column.name not in table.dedupe.order_by]
    ordered = []
    for column, way in keys:
        name = quote_bigquery(column.warehouse_name)
        ordered.append(f"{f'TO_JSON_STRING({name})' if clean_type(column) == 'JSON' else name} {way} NULLS LAST")
    return ", ".join(ordered)
