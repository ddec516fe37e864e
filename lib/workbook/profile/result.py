"""What a profile holds: a figure for every column, keys, references and sizes, as values and as a face."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from workbook import faces

_TABLES_SHOWN = 150

# What deserves a look before a mapping is written: measure, label, what it means for the move.
DIRT: tuple[tuple[str, str, str], ...] = (
    ("zero_dates", "Zero dates", "0000-00-00 has no home in BigQuery: it becomes NULL, or the column text"),
    ("partial_dates", "Partial dates", "a date without year, month or day has no home in BigQuery"),
    ("impossible_dates", "Impossible dates", "a day that its month does not have"),
    ("negatives_of_time", "Negative TIME", "BigQuery's TIME starts at 00:00:00"),
    ("over_24h", "TIME of a day or more", "BigQuery's TIME ends before 24:00:00"),
    ("not_bool", "TINYINT(1) beyond 0 and 1", "would be lost as BOOL"),
    ("choice_errors", "ENUM with the error value", "the empty value of index 0 that a wrong insert left"),
    ("spaces", "Spaces around text", "equal values look different"),
    ("placeholders", "Words for nothing", "'N/A', 'null', '-' where NULL is meant"),
    ("empty", "Empty text", "may mean NULL"),
    ("folded", "Equal only to the collation", "values that MySQL takes for equal and BigQuery does not"),
)


@dataclass(frozen=True)
class Value:
    """A frequent value and how often it was seen; a shape, where the column is masked."""

    value: Any
    count: int


@dataclass(frozen=True)
class Histogram:
    """Counts between edges; edges are numbers, or dates as text."""

    edges: tuple[Any, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ColumnProfile:
    """The figures of a column over the `rows` that were read; None where a measure does not suit its kind.

    Decimals, dates and times are text, bytes hexadecimal text of their first 32 bytes. `minimum` and `maximum` of
    dates are over dates that a calendar has. `distinct` counts bytes, `distinct_collated` what the collation tells
    apart. `deviation` is that of the population; mean and deviation of FLOAT and DOUBLE leave out values of 1e150 and
    more. `quantiles`, `histogram` and `top` come from `sampled_values` values. A personal column shows shapes only.
    """

    name: str
    type: str
    kind: str
    rows: int
    sampled: bool
    nulls: int
    personal: str | None = None
    distinct: int | None = None
    distinct_collated: int | None = None
    minimum: Any = None
    maximum: Any = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: Mapping[str, Any] = field(default_factory=dict)
    histogram: Histogram | None = None
    top: tuple[Value, ...] = ()
    sampled_values: int = 0
    min_chars: int | None = None
    max_chars: int | None = None
    mean_chars: float | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None
    mean_bytes: float | None = None
    non_ascii: int | None = None
    empty: int | None = None
    spaces: int | None = None
    placeholders: int | None = None
    zero_dates: int | None = None
    partial_dates: int | None = None
    impossible_dates: int | None = None
    negatives: int | None = None
    over_24h: int | None = None
    not_bool: int | None = None
    choice_errors: int | None = None

    @property
    def null_share(self) -> float:
        """The share of NULLs, 0 for a table without rows."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def folded(self) -> int:
        """How many values differ only in what the collation ignores (case, accents, trailing spaces)."""
        if self.distinct is None or self.distinct_collated is None:
            return 0
        return max(0, self.distinct - self.distinct_collated)

    @property
    def negatives_of_time(self) -> int:
        """Negative values of a TIME column, which BigQuery's TIME cannot hold."""
        return (self.negatives or 0) if self.kind == "time" else 0

    def asdict(self) -> dict[str, Any]:
        """Plain values; `min` and `max` beside the long names, as the mapping's proofs call them."""
        plain = asdict(self)
        return {**plain, "min": self.minimum, "max": self.maximum, "masked": self.personal is not None}


@dataclass(frozen=True)
class Reference:
    """A foreign key, declared or one that columns look like, with the rows whose parent is not there.

    `rows` counts the rows without a NULL in the columns. `orphans` is None where it could not be counted, and `why` says so.
    """

    database: str
    table: str
    columns: tuple[str, ...]
    parent_database: str
    parent_table: str
    parent_columns: tuple[str, ...]
    declared: bool
    name: str | None
    rows: int = 0
    orphans: int | None = None
    sampled: bool = False
    why: str = ""

    @property
    def text(self) -> str:
        """The reference in words."""
        child = f"{self.database}.{self.table} ({', '.join(self.columns)})"
        parent = f"{self.parent_database}.{self.parent_table} ({', '.join(self.parent_columns)})"
        return f"{child} → {parent}"


@dataclass(frozen=True)
class TableProfile:
    """The figures of a table. `rows` is exact unless `sampled`, where it is the server's estimate; `rows_read` were read.

    `problem` says why a table could not be read at all; it has no columns then.
    """

    database: str
    name: str
    engine: str
    rows: int
    rows_read: int
    sampled: bool
    data_bytes: int
    index_bytes: int
    columns: Mapping[str, ColumnProfile]
    declared_key: tuple[str, ...]
    candidate_keys: tuple[tuple[str, ...], ...]
    references: tuple[Reference, ...]
    seconds: float
    problem: str = ""

    @property
    def path(self) -> tuple[str, str]:
        """Database and name."""
        return self.database, self.name

    @property
    def label(self) -> str:
        """database.table, as reports write it."""
        return f"{self.database}.{self.name}"

    @property
    def bytes(self) -> int:
        """Size on disk, as the server estimates it."""
        return self.data_bytes + self.index_bytes

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON; columns by name."""
        plain = {name: getattr(self, name) for name in ("database", "name", "engine", "rows", "rows_read", "sampled")}
        return {
            **plain,
            "table": self.name,
            "data_bytes": self.data_bytes,
            "index_bytes": self.index_bytes,
            "declared_key": list(self.declared_key),
            "candidate_keys": [list(key) for key in self.candidate_keys],
            "columns": {name: column.asdict() for name, column in self.columns.items()},
            "references": [asdict(reference) for reference in self.references],
            "seconds": round(self.seconds, 3),
            "problem": self.problem,
        }

    def _repr_html_(self) -> str:
        note = (
            f"A sample: {self.rows_read:,} of about {self.rows:,} rows were read; every figure below is of the sample."
            if self.sampled
            else None
        )
        return faces.stack(
            faces.text(note) if note else None,
            faces.text(self.problem) if self.problem else None,
            faces.table(
                [_column_row(column) for column in self.columns.values()],
                {
                    "name": "Column",
                    "type": "Type",
                    "nulls": "NULL",
                    "distinct": "Distinct",
                    "values": "Values",
                    "top": "Frequent",
                    "marks": "To look at",
                },
                caption=self.label,
                limit=500,
            ),
        )


@dataclass(frozen=True)
class ProfileResult:
    """The profile of a source: its tables in order of their names."""

    server: str
    version: str
    sample_above: int
    tables: tuple[TableProfile, ...]
    seconds: float

    @property
    def verdict(self) -> str:
        """ok, or incomparable where a table could not be read: what was not seen cannot be judged."""
        return "incomparable" if any(table.problem for table in self.tables) else "ok"

    @cached_property
    def table(self) -> Mapping[tuple[str, str], TableProfile]:
        """Tables by (database, name)."""
        return {table.path: table for table in self.tables}

    @property
    def references(self) -> tuple[Reference, ...]:
        """All references, those with orphans first."""
        found = [reference for table in self.tables for reference in table.references]
        return tuple(sorted(found, key=lambda item: (not item.orphans, not item.declared, item.text)))

    def asdict(self) -> dict[str, Any]:
        """The profile as plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "server": self.server,
            "version": self.version,
            "sample_above": self.sample_above,
            "seconds": round(self.seconds, 3),
            "tables": [table.asdict() for table in self.tables],
        }

    def overview(self) -> faces.Html:
        """The tables, largest first."""
        return faces.table(
            [_table_row(table) for table in self._largest()],
            {
                "table": "Table",
                "rows": "Rows",
                "data": "Data",
                "indexes": "Indexes",
                "columns": "Columns",
                "key": "Key",
                "candidates": "Would serve as a key",
                "read": "Read",
            },
            caption="Tables, largest first",
        )

    def dirt(self) -> faces.Html:
        """What deserves a look before the mapping is written: the columns of each kind of dirt, with their rows."""
        parts: list[object] = []
        for measure, label, meaning in DIRT:
            found = [
                (getattr(column, measure), table, column)
                for table in self.tables
                for column in table.columns.values()
                if getattr(column, measure)
            ]
            found.sort(key=lambda it: (-it[0], it[1].label, it[2].name))
            rows = [
                {
                    "column": _breakable(f"{table.label}.{column.name}"),
                    "count": count,
                    "share": faces.bar(count / column.rows) if column.rows else "",
                    "read": faces.badge("sampled") if column.sampled else "whole",
                }
                for count, table, column in found
            ]
            if rows:
                columns = {"column": "Column", "count": "Rows", "share": "Share", "read": "Read"}
                many = f"{len(rows):,} columns" if len(rows) > 1 else "1 column"
                parts.append(
                    faces.details(f"{label}: {many}", faces.stack(faces.text(meaning), faces.table(rows, columns)))
                )
        return faces.stack(*parts) if parts else faces.text("Nothing of the kind was found.")

    def reference_table(self) -> faces.Html:
        """Foreign keys and what looks like one, with the rows that have no parent."""
        return faces.table(
            [
                {
                    "reference": reference.text,
                    "what": f"foreign key {reference.name}" if reference.declared else "looks like a reference",
                    "rows": reference.rows,
                    "orphans": f"not counted: {reference.why}" if reference.orphans is None else reference.orphans,
                    "read": faces.badge("sampled") if reference.sampled else "whole",
                }
                for reference in self.references
            ],
            {"reference": "Reference", "what": "What", "rows": "Rows", "orphans": "Orphans", "read": "Read"},
            caption="References, those with orphans first",
            limit=400,
        )

    def _largest(self) -> list[TableProfile]:
        return sorted(self.tables, key=lambda table: (-table.bytes, table.label))

    def _repr_html_(self) -> str:
        columns = [column for table in self.tables for column in table.columns.values()]
        sampled = sum(table.sampled for table in self.tables)
        orphans = sum(bool(reference.orphans) for reference in self.references)
        unread = [table for table in self.tables if table.problem]
        largest = self._largest()
        shown = largest[:_TABLES_SHOWN]
        return faces.stack(
            faces.boxes(
                ("Profile", faces.human_seconds(self.seconds), self.verdict),
                ("Tables", len(self.tables)),
                ("Rows", ("about " if sampled else "") + faces.human_count(sum(table.rows for table in self.tables))),
                ("Columns", len(columns)),
                ("Size on disk", faces.human_bytes(sum(table.bytes for table in self.tables))),
                ("Masked columns", sum(column.personal is not None for column in columns)),
                ("References with orphans", orphans),
                ("Tables without a key", sum(not table.declared_key for table in self.tables)),
            ),
            faces.text(
                f"{sampled} of {len(self.tables)} tables hold more than {self.sample_above:,} rows: their figures are of "
                "a sample and prove nothing about the rows that were not read."
                if sampled
                else f"No table holds more than {self.sample_above:,} rows: every figure is over all rows; quantiles, "
                "histograms and frequent values are of a sample of values.",
                muted=True,
            ),
            faces.table([{"table": table.label, "why": table.problem} for table in unread], caption="Could not be read")
            if unread
            else None,
            self.overview(),
            faces.details(
                f"Columns, table by table ({len(columns):,})",
                faces.stack(
                    *(
                        faces.details(f"{table.label}: {table.rows:,} rows", faces.Html(table._repr_html_()))
                        for table in shown
                    )
                ),
            )
            if shown
            else None,
            faces.text(
                f"The columns of the {len(shown)} largest of {len(largest):,} tables are shown; all are in profile.json."
            )
            if len(largest) > len(shown)
            else None,
        )


def _table_row(table: TableProfile) -> dict[str, object]:
    return {
        "table": _breakable(table.label),
        "rows": table.rows,
        "data": faces.human_bytes(table.data_bytes),
        "indexes": faces.human_bytes(table.index_bytes),
        "columns": len(table.columns),
        "key": ", ".join(table.declared_key) or faces.badge("none"),
        "candidates": "; ".join(", ".join(key) for key in table.candidate_keys if key != table.declared_key),
        "read": faces.badge("error") if table.problem else faces.badge("sampled") if table.sampled else "whole",
    }


def _column_row(column: ColumnProfile) -> dict[str, object]:
    marks = [f"{label.lower()}: {getattr(column, name):,}" for name, label, _ in DIRT if getattr(column, name)]
    if column.non_ascii:
        marks.append(f"beyond ASCII: {column.non_ascii:,}")
    return {
        "name": _breakable(column.name),
        "type": _short(column.type, 20),
        "nulls": faces.bar(column.null_share),
        "distinct": "" if column.distinct is None else column.distinct,
        "values": _values(column),
        "top": ", ".join(f"{_short(item.value)} ({item.count:,})" for item in column.top[:3]),
        "marks": "; ".join(marks),
    }


def _values(column: ColumnProfile) -> object:
    """In words: from, to, mean and deviation, the median, lengths; of a personal column the kind and lengths only."""
    said = []
    if column.personal:
        said.append(f"masked, {column.personal}")
    elif column.minimum is not None:
        said.append(f"{_short(column.minimum)} to {_short(column.maximum)}")
    if column.mean is not None and column.deviation is not None:
        said.append(f"mean {_real(column.mean)} ± {_real(column.deviation)}")
    if "p50" in column.quantiles:
        said.append(f"median {_short(column.quantiles['p50'])}")
    if column.min_chars is not None and column.max_chars is not None:
        said.append(f"{column.min_chars:,} to {column.max_chars:,} characters")
    elif column.min_bytes is not None and column.max_bytes is not None:
        said.append(f"{column.min_bytes:,} to {column.max_bytes:,} bytes")
    return "; ".join(said)


def _breakable(name: str) -> faces.Html:
    """A long name that may break at its underscores and points, so that it does not push the figures away."""
    shown = faces.escape(name)
    return faces.Html(shown.replace("_", "_<wbr>").replace(".", ".<wbr>")) if len(name) > 28 else shown


def _real(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e15 else f"{value:,.6g}"


def _short(value: object, limit: int = 28) -> str:
    text = _real(value) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
