"""Cleaning: a table of named rules, and the GoogleSQL that makes a clean table of a raw one.

The clean table is by definition what `clean_select` yields over the raw table, and over those of its parents where it has
orphan rules: the load creates it so, and the validation computes it again. Rows that the table's own rules set aside are
what `rejected_select` yields; clean and rejected rows together are as many as the raw ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbook.errors import UsageError
from workbook.mapping import mending
from workbook.mapping.objects import CleanRule, ColumnMap, Orphans, TableMap, rule_name
from workbook.mapping.types import RULES as TYPE_RULES
from workbook.names import quote_bigquery

NULL_TOKENS = ("", "-", "N/A", "n/a", "NA", "NULL", "null", "None", "unknown")
# ASCII white space and the no-break space, written out: TRIM without a set means another one in each engine.
_SPACES = " \t\n\r\f\v\u00a0"
_TYPES = {rule.name: rule.warehouse_type for rule in TYPE_RULES}
# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types: what PARTITION BY in a window can hold.
GROUPABLE = {"STRING", "INT64", "NUMERIC", "BIGNUMERIC", "BOOL", "BYTES", "DATE", "DATETIME", "TIMESTAMP", "TIME"}

# The (quoted) path of a table's raw copy.
RawPath = Callable[[TableMap], str]


@dataclass(frozen=True)
class CleaningRule:
    """One row of the table of cleaning rules: all take a STRING; `gives` is the type that comes out.

    `expression` makes GoogleSQL of the inner expression and the checked options.
    """

    name: str
    what: str
    expression: Callable[[str, Any], str]
    options: str = "none"  # none, list, mapping or keys
    gives: str = "STRING"
    keys: Mapping[str, mending.Option] = field(default_factory=dict)

    @property
    def gives_up(self) -> bool:
        """Whether it yields NULL for a value that it cannot mend."""
        return "else" in self.keys or self.gives == "JSON"


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
    CleaningRule("title", "each word begins with a capital, and goes on in small letters", lambda inner, _: f"INITCAP({inner})"),
    CleaningRule("nfc", "letters and their accents become one character (Unicode NFC)", lambda inner, _: f"NORMALIZE({inner}, NFC)"),
    CleaningRule("email", "the domain of a mail address becomes lower case", mending.email, "keys", keys=mending.EMAIL),
    CleaningRule("phone", "a telephone number becomes one of E.164: `+`, the country's code, the number", mending.phone, "keys", keys=mending.PHONE),
    CleaningRule("country", "a country's code or English name becomes its two letters of ISO 3166", mending.country, "keys", keys=mending.COUNTRY),
    CleaningRule("date", "the text becomes a DATE by the first format that it has", mending.date, "keys", "DATE", mending.DATE),
    CleaningRule("number", "the text becomes a NUMERIC; groups, spaces and currency signs go", mending.number, "keys", "NUMERIC", mending.NUMBER),
    CleaningRule("redact", "all but the first characters become `*`; tokens that can be joined on: `mask` (On the way)", mending.redact, "keys", keys=mending.REDACT),
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
    if known.options == "keys":
        return {known.name: _checked_keys(known, options, where)}
    if options is None and known.options != "mapping":
        return known.name
    texts = isinstance(options, list | tuple) and bool(options) and all(isinstance(item, str) for item in options)
    if known.options == "list" and texts:
        return {known.name: tuple(str(item) for item in options)}
    pairs = isinstance(options, Mapping) and bool(options)
    pairs = pairs and all(isinstance(old, str) and isinstance(new, str | type(None)) for old, new in options.items())
    if known.options == "mapping" and pairs:
        return {known.name: {str(old): None if new is None else str(new) for old, new in options.items()}}
    wanted = {"keys": "", "none": "no options", "list": "a list of texts", "mapping": "pairs of texts, old: new"}[
        known.options
    ]
    raise UsageError(
        f"{where}: the cleaning rule {known.name} takes {wanted}.",
        "With other options it would clean something else than is meant.",
        "Mend it; a text that looks like a number needs quotes.",
    )


def _checked_keys(rule: CleaningRule, options: Any, where: str) -> dict[str, Any]:
    """The options of a rule, each with its default where it is not given."""
    given: dict[str, Any] = dict(options) if isinstance(options, Mapping) else {}
    found = {name: given.get(name, option.default) for name, option in rule.keys.items()}
    # YAML reads a bare null as nothing.
    found |= {"else": "null"} if "else" in found and found["else"] is None else {}
    strange = [name for name in given if name not in rule.keys]
    wrong = [name for name, option in rule.keys.items() if not option.fits(found[name])]
    if strange or wrong or not isinstance(options, Mapping | None):
        takes = ", ".join(f"{name}: {option.what}" for name, option in rule.keys.items())
        raise UsageError(
            f"{where}: the cleaning rule {rule.name} takes {takes.replace('`', '')}"
            + (f", and not {str((strange or wrong)[0])[:40]!r} as it stands." if strange or wrong else "."),
            "With other options it would clean something else than is meant.",
            "Mend it; params/README.md lists the rules with their options.",
        )
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


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
    return clean_type(column) in GROUPABLE


def clean_expression(column: ColumnMap) -> str:
    """The clean value of a column as GoogleSQL over the raw table."""
    inner = quote_bigquery(column.warehouse_name)
    for rule in column.clean:
        inner = _applied(rule, inner)
    return inner


def by_name(table: TableMap) -> str:
    """The raw copy under its name alone."""
    return quote_bigquery(table.warehouse_name)


def clean_select(table: TableMap, raw_table_path: str, parent_path: RawPath = by_name) -> str:
    """The GoogleSQL SELECT that yields the clean table from the raw table at the (quoted) path, and from its parents'."""
    if not sets_aside(table) and not table.orphans:
        return f"SELECT\n{_cleaned_columns(table)}\nFROM {_rows_of(table, raw_table_path)}"
    if not sets_aside(table):
        parts, last = _with_parents(table, raw_table_path, parent_path)
        return f"WITH {_listed(parts)}\nSELECT\n{_names(table)}\nFROM {last}"
    mark = quote_bigquery(rejected_column(table))
    judged = _judged(table, raw_table_path, parent_path)
    return f"{judged}\nSELECT\n{_names(table)}\nFROM {_free(table, 'judged')}\nWHERE {mark} IS NULL"


def rejected_select(table: TableMap, raw_table_path: str, parent_path: RawPath = by_name) -> str | None:
    """The GoogleSQL SELECT of the rows set aside, cleaned, each with the rule that did it; None where no rule can."""
    if not sets_aside(table):
        return None
    listed = ",\n".join(f"  {quote_bigquery(name)}" for name in rejected_columns(table))
    mark = quote_bigquery(rejected_column(table))
    judged = _judged(table, raw_table_path, parent_path)
    return f"{judged}\nSELECT\n{listed}\nFROM {_free(table, 'judged')}\nWHERE {mark} IS NOT NULL"


def rejected_column(table: TableMap) -> str:
    """The column of the table of rejected rows that names the rule."""
    return _free(table, "_rejected_by")


def rejected_columns(table: TableMap) -> tuple[str, ...]:
    """The columns of the table of rejected rows; with rules that set aside what they cannot mend, that value too."""
    value = (_free(table, "_rejected_value"),) if _givers(table) else ()
    return (rejected_column(table), *value, *(column.warehouse_name for column in table.columns))


def _rows_of(table: TableMap, path: str) -> str:
    """A table in a FROM, under a name that no column has: in GoogleSQL the name of a table hides a column that has it too."""
    return f"{path} AS {_free(table, 'rows_')}"


def _free(table: TableMap, name: str) -> str:
    taken = {column.warehouse_name.lower() for column in table.columns}
    while name in taken:
        name = f"_{name}"
    return name


def counts_select(
    table: TableMap, raw_table_path: str, parent_path: RawPath = by_name
) -> tuple[str, tuple[CleanCount, ...]] | None:
    """The GoogleSQL SELECT of one row that counts what each column rule changes, and what its columns count.

    None where no rule changes a column. For `json` the count is of values that are no JSON and become NULL.
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
            for what, condition in _counted(rule, before, after):
                label = f"c{len(counts)}"
                counts.append(CleanCount(label, column.name, name, what))
                expressions.append(f"  COUNTIF({condition}) AS {label}")
    nulled = _nulled_select(table, raw_table_path, parent_path, counts)
    if not expressions:
        return (nulled, tuple(counts)) if nulled else None
    froms = [_rows_of(table, raw_table_path), *(f"stage{number}" for number in range(len(stages) - 1))]
    clauses = [
        f"stage{number} AS (\n  SELECT {', '.join(columns)}\n  FROM {source}\n)"
        for number, (columns, source) in enumerate(zip(stages, froms, strict=True))
    ]
    counted = ",\n".join(expressions)
    sql = f"WITH {', '.join(clauses)}\nSELECT\n{counted}\nFROM stage{len(stages) - 1}"
    # A row each.
    return f"SELECT *\nFROM (\n{sql}\n)\nCROSS JOIN (\n{nulled}\n)" if nulled else sql, tuple(counts)


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
    for rule in RULES:
        keys = "; ".join(f"`{name}`: {option.what}" for name, option in rule.keys.items())
        lines.append(f"| `{rule.name}` | {rule.what} | {keys or options[rule.options]} |")
    lines.append("| `dedupe` (of a table) | rows alike in the columns `by` count as one | `by`, `keep`, `order_by` |")
    lines.append("| `reject` (of a table) | rows for which `where` holds are set aside | `name`, `where` |")
    lines.append(
        "| `orphans` (of a table) | rows whose `columns`, none of them NULL, no row of `parent` has are set aside, or get NULL"
        " there | `columns`, `parent`, `parent_columns`: its key where none are named, `policy`: `reject` or `null` |"
    )
    return "\n".join(lines)


def _applied(rule: CleanRule, inner: str) -> str:
    core = _core(rule, inner)
    return f"IFNULL({core}, {inner})" if _policy(rule) == "keep" else core


def _core(rule: CleanRule, inner: str) -> str:
    known = _RULE[rule_name(rule)]
    given = None if isinstance(rule, str) else rule[known.name]
    if known.options == "keys":
        given = {name: option.default for name, option in known.keys.items()} | dict(given or {})
    if known.options == "keys" and not inner.startswith("`") and not inner.isidentifier():
        # What such a rule repeats is worked out once.
        return f"(SELECT {known.expression('x', given)} FROM (SELECT {inner} AS x))"
    return known.expression(inner, given)


def _policy(rule: CleanRule) -> str:
    """What becomes of a value that the rule cannot mend; nothing where it mends all or yields another type than text."""
    known = _RULE[rule_name(rule)]
    if "else" not in known.keys:
        return ""
    return str("null" if isinstance(rule, str) else rule[known.name].get("else", "null"))


def _counted(rule: CleanRule, before: str, after: str) -> list[tuple[str, str]]:
    """What is counted of a rule in words, and the condition for it."""
    known, policy = _RULE[rule_name(rule)], _policy(rule)
    given_up = f"{before} IS NOT NULL AND {after} IS NULL"
    if not known.gives_up:
        return [("changed", f"{before} IS DISTINCT FROM {after}")]
    changed = [("changed", f"{before} != {after}")] if known.gives == "STRING" else []
    if policy == "keep":
        return [*changed, ("kept as it was", f"{before} IS NOT NULL AND {_core(rule, before)} IS NULL")]
    return [*changed, ("became NULL", given_up)] if policy != "reject" else changed


def sets_aside(table: TableMap) -> bool:
    """Whether a rule of the table may set a row aside."""
    return bool(table.reject or table.dedupe or _givers(table) or _rejecting(table))


def _givers(table: TableMap) -> list[tuple[ColumnMap, int]]:
    """The rules that set a row aside where they cannot mend its value: the column, and the place of the rule."""
    return [
        (column, place)
        for column in table.columns
        for place, rule in enumerate(column.clean)
        if _policy(rule) == "reject"
    ]


def _rejecting(table: TableMap) -> list[Orphans]:
    return [rule for rule in table.orphans if rule.policy == "reject"]


def _cleaned_columns(table: TableMap, indent: str = "  ") -> str:
    lines = []
    for column in table.columns:
        name = quote_bigquery(column.warehouse_name)
        lines.append(f"{indent}{clean_expression(column)} AS {name}" if column.clean else f"{indent}{name}")
    return ",\n".join(lines)


def _names(table: TableMap) -> str:
    return ",\n".join(f"  {quote_bigquery(column.warehouse_name)}" for column in table.columns)


def _listed(parts: Sequence[tuple[str, str]]) -> str:
    return ",\n".join(f"{name} AS (\n{select}\n)" for name, select in parts)


def _cleaned(table: TableMap, raw_table_path: str) -> str:
    """The SELECT of the cleaned rows; with rules that set aside what they cannot mend, their first and the value too."""
    givers, extra = _givers(table), ""
    if givers:
        unmended, value = (quote_bigquery(_free(table, name)) for name in ("_unmended", "_rejected_value"))
        lost = [(column, _given_up(column, place)) for column, place in givers]
        names = [google_string(f"{column.name}: {rule_name(column.clean[place])}") for column, place in givers]
        said = " ".join(f"WHEN {condition} THEN {name}" for (_, condition), name in zip(lost, names, strict=True))
        raws = " ".join(f"WHEN {condition} THEN {quote_bigquery(column.warehouse_name)}" for column, condition in lost)
        extra = f",\n    CASE {said} END AS {unmended},\n    CASE {raws} END AS {value}"
    return f"  SELECT\n{_cleaned_columns(table, '    ')}{extra}\n  FROM {_rows_of(table, raw_table_path)}"


def _joined(table: TableMap, raw_table_path: str, parent_path: RawPath) -> tuple[list[tuple[str, str]], str, list[str]]:
    """WITH clauses of the cleaned rows and of the keys that their parents' own rules keep; a FROM that joins them; the
    condition of each orphan rule there. A row is there once, whatever its parents hold."""
    row = _free(table, "cleaned")
    parts, joined, conditions = [(row, _cleaned(table, raw_table_path))], f"  FROM {row}", []
    for number, rule in enumerate(table.orphans):
        name = _free(table, f"parent{number}")
        keys = [
            f"{quote_bigquery(rule.parent.column[column].warehouse_name)} AS key{place}"
            for place, column in enumerate(rule.parent_columns)
        ]
        kept = clean_select(rule.parent, parent_path(rule.parent), parent_path)
        parts.append((name, f"  SELECT DISTINCT {', '.join(keys)}\n  FROM (\n{kept}\n  )"))
        mine = [f"{row}.{quote_bigquery(table.column[column].warehouse_name)}" for column in rule.columns]
        equal = " AND ".join(f"{column} = {name}.key{place}" for place, column in enumerate(mine))
        joined += f"\n  LEFT JOIN {name} ON {equal}"
        conditions.append(" AND ".join([*(f"{column} IS NOT NULL" for column in mine), f"{name}.key0 IS NULL"]))
    return parts, joined, conditions


def _with_parents(table: TableMap, raw_table_path: str, parent_path: RawPath) -> tuple[list[tuple[str, str]], str]:
    """WITH clauses of the cleaned rows, orphans' columns NULL or their rule named, and the name of the last one."""
    if not table.orphans:
        name = _free(table, "cleaned")
        return [(name, _cleaned(table, raw_table_path))], name
    parts, joined, conditions = _joined(table, raw_table_path, parent_path)
    row, lines = parts[0][0], []
    for column in table.columns:
        name = quote_bigquery(column.warehouse_name)
        nulled = [
            f"({condition})"
            for rule, condition in zip(table.orphans, conditions, strict=True)
            if rule.policy == "null" and column.name in rule.columns
        ]
        lines.append(f"    IF({' OR '.join(nulled)}, NULL, {row}.{name}) AS {name}" if nulled else f"    {row}.{name}")
    if _givers(table):
        lines += [f"    {row}.{quote_bigquery(_free(table, name))}" for name in ("_unmended", "_rejected_value")]
    if _rejecting(table):
        cases = " ".join(
            f"WHEN {condition} THEN {google_string(rule.name)}"
            for rule, condition in zip(table.orphans, conditions, strict=True)
            if rule.policy == "reject"
        )
        lines.append(f"    CASE {cases} END AS {quote_bigquery(_free(table, '_orphan'))}")
    last = _free(table, "related")
    return [*parts, (last, "  SELECT\n" + ",\n".join(lines) + f"\n{joined}")], last


def _nulled_select(table: TableMap, raw_table_path: str, parent_path: RawPath, counts: list[CleanCount]) -> str | None:
    """The SELECT of one row that counts the values of orphans that become NULL; noted in `counts`. None without such rules."""
    if all(rule.policy != "null" for rule in table.orphans):
        return None
    parts, joined, conditions = _joined(table, raw_table_path, parent_path)
    expressions = []
    for rule, condition in zip(table.orphans, conditions, strict=True):
        for column in rule.columns if rule.policy == "null" else ():
            label = f"c{len(counts)}"
            counts.append(CleanCount(label, column, rule.name, "became NULL"))
            expressions.append(f"  COUNTIF({condition}) AS {label}")
    return f"WITH {_listed(parts)}\nSELECT\n" + ",\n".join(expressions) + f"\n{joined}"


def _judged(table: TableMap, raw_table_path: str, parent_path: RawPath) -> str:
    """WITH clauses up to `judged`: the cleaned rows, each with the first rule that sets it aside, or NULL."""
    mark = quote_bigquery(rejected_column(table))
    # A condition stands on lines of its own, so that a comment at its end does not swallow what follows.
    conditions = "\n".join(
        f"    WHEN (\n{reject.where}\n) THEN {google_string(reject.name)}" for reject in table.reject
    )
    unmended, orphan = (quote_bigquery(_free(table, name)) for name in ("_unmended", "_orphan"))
    if _givers(table):
        conditions = f"    WHEN {unmended} IS NOT NULL THEN {unmended}\n{conditions}"
    if _rejecting(table):
        conditions += f"\n    WHEN {orphan} IS NOT NULL THEN {orphan}"
    verdict = f"CASE\n{conditions}\n    END" if conditions else "CAST(NULL AS STRING)"
    parts, last = _with_parents(table, raw_table_path, parent_path)
    judged, checked = (_free(table, name) for name in ("judged", "checked"))
    parts.append((judged if table.dedupe is None else checked, f"  SELECT *, {verdict} AS {mark}\n  FROM {last}"))
    if table.dedupe is None:
        return f"WITH {_listed(parts)}"
    by = [quote_bigquery(table.column[name].warehouse_name) for name in table.dedupe.by]
    known = " AND ".join(f"{name} IS NOT NULL" for name in by)
    # Rows that are rejected already are no rivals of the others.
    rank = f"ROW_NUMBER() OVER (PARTITION BY {', '.join(by)}, {mark} IS NULL ORDER BY {_order(table)})"
    parts.append(
        (
            judged,
            f"  SELECT * EXCEPT ({mark}),\n"
            f"    CASE WHEN {mark} IS NOT NULL THEN {mark} WHEN {known} AND {rank} > 1 THEN 'dedupe' END AS {mark}\n"
            f"  FROM {checked}",
        )
    )
    return f"WITH {_listed(parts)}"


def _given_up(column: ColumnMap, place: int) -> str:
    """The condition that a rule of a column cannot mend the value that it gets."""
    inner = quote_bigquery(column.warehouse_name)
    for rule in column.clean[:place]:
        inner = _applied(rule, inner)
    return f"{inner} IS NOT NULL AND {_core(column.clean[place], inner)} IS NULL"


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
