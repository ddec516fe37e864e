"""Cleaning rules tried on rows of the raw tables before or after they run: counts, and values before and after. Writes nothing."""

from collections.abc import Mapping as Keys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from google.cloud import bigquery

from workbook import faces
from workbook.catalog import Catalog, Table
from workbook.errors import UsageError
from workbook.mapping import Dedupe, Mapping, Reject, TableMap, cleaning
from workbook.mapping import orphans as orphan_rules
from workbook.mapping.objects import rule_name
from workbook.names import bigquery_rows, quote_bigquery
from workbook.params import Settings
from workbook.profile.personal import looks_personal, personal_by_name, shape
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.result import Changed
from workbook.warehouse.statements import place_of

SAMPLES = 5


@dataclass(frozen=True)
class Sample:
    """A value of a column before and after all of its rules, and in how many rows it stood; as shapes where it is personal."""

    column: str
    before: str | None
    after: str | None
    rows: int


@dataclass(frozen=True)
class Trial:
    """What the rules of a table do to rows of its raw table: each row is clean, or set aside by a rule with a name."""

    table: str
    rows: int
    rows_clean: int
    rejected: Keys[str, int]
    changed: tuple[Changed, ...]
    samples: tuple[Sample, ...]

    @property
    def verdict(self) -> str:
        """ok where no row is unaccounted for."""
        return "ok" if self.rows == self.rows_clean + sum(self.rejected.values()) else "failed"

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "verdict": self.verdict}

    def _repr_html_(self) -> str:
        aside = [{"rule": rule, "rows": count} for rule, count in self.rejected.items()]
        return faces.stack(
            faces.boxes(
                ("Table", self.table),
                ("Rows tried", self.rows),
                ("Clean", self.rows_clean),
                ("Set aside", sum(self.rejected.values())),
                ("All rows there", faces.badge(self.verdict)),
            ),
            faces.table(
                [asdict(change) for change in self.changed],
                {"column": "Column", "rule": "Rule", "what": "What it did", "rows": "Count"},
            ),
            faces.table(aside, {"rule": "Set aside by", "rows": "Rows"}) if aside else None,
            samples_table([(self.table, self.samples)]),
        )


@dataclass(frozen=True)
class Trials:
    """The trials of several tables."""

    tables: tuple[Trial, ...]

    def _repr_html_(self) -> str:
        if not self.tables:
            return faces.text("No column has a cleaning rule.")
        return faces.stack(samples_table([(trial.table, trial.samples) for trial in self.tables]))


def samples_table(tables: Sequence[tuple[str, Sequence[Sample]]]) -> faces.Html:
    """Values before and after, the most frequent first; NULL is written out."""
    return faces.table(
        [
            {
                "table": table,
                "column": one.column,
                "before": "NULL" if one.before is None else repr(one.before),
                "after": "NULL" if one.after is None else repr(one.after),
                "rows": one.rows,
            }
            for table, samples in tables
            for one in samples
        ],
        {"table": "Table", "column": "Column", "before": "Before", "after": "After", "rows": "Rows"},
        caption="Values that the rules change, the most frequent of each column; personal ones as their shape",
        limit=300,
    )


def try_cleaning(
    client: bigquery.Client,
    settings: Settings,
    catalog: Catalog,
    mapping: Mapping,
    table: str,
    rules: Keys[str, Sequence[Any]] | None = None,
    dedupe: Dedupe | None = None,
    reject: Sequence[Reject] = (),
    rows: int = 10_000,
    orphans: Sequence[Keys[str, Any]] = (),
) -> Trial:
    """What rules do to at most `rows` rows of the raw table of `table` (database.table on the target, as in `catalog`).

    `rules` by column and `orphans`, each written as in the mapping; those of the mapping where none are given. Parents are
    looked for among all rows of their raw tables. Raises UsageError for a table, column or rule that there is not.
    """
    known = {f"{one.database}.{one.name}": one for one in mapping.on_target().in_scope}
    if table not in known:
        raise UsageError(
            f"The mapping has no table {table} in scope.",
            "There are no rows to try the rules on.",
            f"Name one of {', '.join(list(known)[:20])}.",
        )
    mapped = known[table]
    if rules is not None or dedupe is not None or reject or orphans:
        mapped = _ruled(mapped, rules or {}, dedupe, reject)
        in_scope = {one.path: one for one in (*known.values(), mapped)}
        related = orphan_rules.checked(orphans, mapped, in_scope, lambda one: catalog.table[one.path].key, table)
        mapped = replace(mapped, orphans=related)
    return _tried(client, settings, catalog.table[mapped.path], mapped, rows)


def cleaning_samples(
    client: bigquery.Client, settings: Settings, catalog: Catalog, mapping: Mapping, rows: int = 10_000
) -> Trials:
    """What the mapping's own rules do to rows of every table that has some."""
    chosen = [one for one in mapping.on_target().in_scope if any(column.clean for column in one.columns)]
    return Trials(tuple(_tried(client, settings, catalog.table[one.path], one, rows) for one in chosen))


def _ruled(
    mapped: TableMap, rules: Keys[str, Sequence[Any]], dedupe: Dedupe | None, reject: Sequence[Reject]
) -> TableMap:
    if strange := [name for name in rules if name not in mapped.column]:
        raise UsageError(
            f"{mapped.database}.{mapped.name} has no column {strange[0]!r} in the mapping.",
            "Its rules would be tried on nothing.",
            f"Name one of {', '.join(mapped.column)}.",
        )
    columns = []
    for column in mapped.columns:
        where = f"column {column.name!r}"
        column = replace(column, clean=tuple(cleaning.checked(rule, where) for rule in rules.get(column.name, ())))
        cleaning.check_column(column, where)
        columns.append(column)
    return replace(mapped, columns=tuple(columns), dedupe=dedupe, reject=tuple(reject), orphans=())


def _tried(client: bigquery.Client, settings: Settings, table: Table, mapped: TableMap, rows: int) -> Trial:
    jobs, place = Jobs(client, settings.warehouse.location), place_of(mapped, client.project, settings.warehouse)
    during = f"trying the rules of {mapped.database}.{mapped.name}"
    # One and the same rows for every question: in the order of the raw table's columns, which no two rows share in full.
    raw = f"(SELECT * FROM {bigquery_rows(place.quoted(place.raw))}{_order(mapped, table)} LIMIT {int(rows)})"
    select = cleaning.clean_select(mapped, raw, place.raw_path)
    (counted,) = jobs.run(
        f"SELECT (SELECT COUNT(*) FROM {raw}) AS tried, (SELECT COUNT(*) FROM ({select})) AS clean", during
    )
    rejected: dict[str, int] = {}
    aside = cleaning.rejected_select(mapped, raw, place.raw_path)
    if aside is not None:
        mark = quote_bigquery(cleaning.rejected_column(mapped))
        found = jobs.run(
            f"SELECT {mark} AS rule, COUNT(*) AS number FROM ({aside}) GROUP BY rule ORDER BY rule", during
        )
        rejected = {row["rule"]: int(row["number"]) for row in found}
    changed: list[Changed] = []
    counts = cleaning.counts_select(mapped, raw, place.raw_path)
    if counts is not None:
        row = jobs.run(counts[0], during)[0]
        changed = [Changed(one.column, one.rule, one.what, int(row[one.label])) for one in counts[1]]
    return Trial(
        f"{mapped.database}.{mapped.name}",
        int(counted["tried"]),
        int(counted["clean"]),
        rejected,
        tuple(changed),
        tuple(_samples(jobs, mapped, table, raw, during)),
    )


def _order(mapped: TableMap, table: Table) -> str:
    names = [quote_bigquery(mapped.column[name].warehouse_name) for name in table.key if name in mapped.column]
    return f" ORDER BY {', '.join(names)}" if names else ""


def samples_select(mapped: TableMap, raw: str) -> str | None:
    """The SELECT of (place of the column, before, after, number) over the values that change; None without rules."""
    parts = []
    for place, column in enumerate(mapped.columns):
        if not column.clean:
            continue
        after = cleaning.clean_expression(column)
        after = f"TO_JSON_STRING({after})" if cleaning.clean_type(column) == "JSON" else f"CAST({after} AS STRING)"
        inner = f"SELECT {quote_bigquery(column.warehouse_name)} AS before_, {after} AS after_ FROM {raw}"
        parts.append(
            f"(SELECT {place} AS place, before_, after_, COUNT(*) AS number FROM ({inner})\n"
            f"WHERE before_ IS DISTINCT FROM after_ GROUP BY before_, after_ ORDER BY number DESC, before_ LIMIT {SAMPLES})"
        )
    return "\nUNION ALL\n".join(parts) or None


def _samples(jobs: Jobs, mapped: TableMap, table: Table, raw: str, during: str) -> list[Sample]:
    sql = samples_select(mapped, raw)
    rows = [] if sql is None else jobs.run(sql, during)
    found = []
    for row in sorted(rows, key=lambda row: (row["place"], -row["number"], row["before_"] or "")):
        column = mapped.columns[row["place"]]
        values = row["before_"], row["after_"]
        hidden = personal_by_name(table.column[column.name]) or any(map(looks_personal, values))
        before, after = (None if value is None else shape(value) if hidden else value[:80] for value in values)
        rules = [rule_name(rule) for rule in column.clean]
        # A document is only laid out otherwise: no sample worth a line.
        if rules[-1] != "json" or after is None:
            found.append(Sample(column.name, before, after, int(row["number"])))
    return found
