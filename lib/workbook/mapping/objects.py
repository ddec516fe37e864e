"""The frozen objects of a mapping: segments with their requirements, and where each table and column goes."""

from collections.abc import Mapping as ReadOnly
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from workbook import faces
from workbook.mapping.flow import DIRECT, Flow
from workbook.mapping.requirements import REST, STRICT, Requirements, spelled
from workbook.mapping.target import UNCHANGED, TargetRules, plain
from workbook.mapping.tolerances import Tolerance

SCOPES = ("in", "later", "out")
# How a table is loaded: all of it, what changed, or what changed by reading every row on the target.
MODES = ("full", "incremental", "checksums")
# The name of a cleaning rule, or a rule with its options: {name: {option: value}}.
CleanRule = str | ReadOnly[str, Any]
LOOKBACK = 3_600.0


@dataclass(frozen=True)
class ColumnMap:
    """Where a column goes: its name and type rule in the warehouse, and the cleaning rules in the order they apply.

    `tolerate`: the defects of its values that the validation lets through.
    """

    name: str
    warehouse_name: str
    rule: str
    clean: tuple[CleanRule, ...] = ()
    tolerate: tuple[Tolerance, ...] = ()


@dataclass(frozen=True)
class Dedupe:
    """Rows that agree in the columns `by` after cleaning, none of them NULL, count as one.

    Of them the first (or last) in the order of `order_by` stays; the other columns in their order decide a tie.
    """

    by: tuple[str, ...]
    keep: str = "first"  # first or last
    order_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reject:
    """Rows for which `where` is true go to the table of rejected rows under the name `name`.

    `where` is a GoogleSQL condition over the cleaned columns by their warehouse names.
    """

    name: str
    where: str


@dataclass(frozen=True)
class Orphans:
    """Rows whose `columns`, none of them NULL after cleaning, no row of the parent has in its `parent_columns`.

    `parent` has no such rules itself: its rows are those that its other rules keep. `policy`: reject sets orphans aside,
    null makes NULL of their columns.
    """

    columns: tuple[str, ...]
    parent: "TableMap"
    parent_columns: tuple[str, ...]
    policy: str

    @property
    def name(self) -> str:
        """What the rule is called where rows are counted."""
        return f"orphan: {', '.join(self.columns)} not in {self.parent.warehouse_name}"


@dataclass(frozen=True)
class TableMap:
    """Where a table goes. `partition_by` and `cluster_by` hold source column names, as do `dedupe` and `orphans`.

    `target` says what is changed on the target by choice, `flow` what becomes of rows and columns on the way there:
    columns that it excludes are not among `columns`. `mode` is one of MODES, None for that of the params; `watermark` a
    column that grows with every change of a row, below whose highest value `lookback` (seconds, or numbers) is read again.
    """

    database: str
    name: str
    segment: str
    warehouse_name: str
    columns: tuple[ColumnMap, ...]
    partition_by: str | None = None
    partition_unit: str = "month"  # day, month or year
    cluster_by: tuple[str, ...] = ()
    dedupe: Dedupe | None = None
    reject: tuple[Reject, ...] = ()
    orphans: tuple[Orphans, ...] = ()
    target: TargetRules = UNCHANGED
    flow: Flow = DIRECT
    mode: str | None = None
    watermark: str | None = None
    lookback: float = LOOKBACK

    @property
    def path(self) -> tuple[str, str]:
        """Database and name on the source."""
        return self.database, self.name

    @property
    def target_path(self) -> tuple[str, str]:
        """Database and name on the target."""
        return self.flow.database or self.database, self.flow.table or self.name

    def on_target(self) -> "TableMap":
        """The same for who reads from the target: all names are the target's, and nothing is left to do on the way."""
        renamed, dedupe = self.flow.column, self.dedupe
        return replace(
            self,
            database=self.target_path[0],
            name=self.target_path[1],
            columns=tuple(replace(column, name=renamed(column.name)) for column in self.columns),
            partition_by=self.partition_by and renamed(self.partition_by),
            watermark=self.watermark and renamed(self.watermark),
            cluster_by=tuple(map(renamed, self.cluster_by)),
            dedupe=dedupe
            and replace(dedupe, by=tuple(map(renamed, dedupe.by)), order_by=tuple(map(renamed, dedupe.order_by))),
            orphans=tuple(
                replace(
                    rule,
                    columns=tuple(map(renamed, rule.columns)),
                    parent=rule.parent.on_target(),
                    parent_columns=tuple(map(rule.parent.flow.column, rule.parent_columns)),
                )
                for rule in self.orphans
            ),
            flow=DIRECT,
        )

    @property
    def rejected_name(self) -> str:
        """The name of the table that holds the rows which cleaning set aside, in the raw dataset."""
        return f"{self.warehouse_name}__rejected"

    def cleaned(self, column: ColumnMap) -> tuple[str, ...]:
        """The names of the rules that may change values of a column."""
        nulled = (rule.name for rule in self.orphans if rule.policy == "null" and column.name in rule.columns)
        return (*map(rule_name, column.clean), *nulled)

    @cached_property
    def column(self) -> ReadOnly[str, ColumnMap]:
        """Columns by their source name."""
        return {column.name: column for column in self.columns}


@dataclass(frozen=True)
class Segment:
    """A named group of tables that moves together; those of the lowest `priority` move first."""

    name: str
    priority: int
    scope: str  # in, later or out
    tables: tuple[tuple[str, str], ...]
    requirements: Requirements = STRICT


@dataclass(frozen=True)
class Mapping:
    """Where everything goes: segments in order of priority, and tables by (database, name).

    `unlisted` are columns that the source got since the mapping was written: they travel by default. `vanished` are
    tables and columns that the mapping file still names and the source no longer shows, `unseen` those of them in scope. `target` is what is changed on
    the target by choice where a table says nothing of its own; databases take it for their default. `databases` are
    those that have another name on the target, `hosts` what accounts of the source get in the place of their host.
    `rest` is what must be met by what belongs to no segment; `sha256` is the hash of the file's text.
    """

    segments: tuple[Segment, ...]
    tables: ReadOnly[tuple[str, str], TableMap] = field(default_factory=dict)
    unlisted: tuple[tuple[str, str, str], ...] = ()
    vanished: tuple[tuple[str, ...], ...] = ()
    unseen: tuple[tuple[str, ...], ...] = ()
    target: TargetRules = UNCHANGED
    databases: tuple[tuple[str, str], ...] = ()
    hosts: ReadOnly[str, str] = field(default_factory=dict)
    rest: Requirements = REST
    sha256: str = ""

    def target_database(self, name: str) -> str:
        """The name of a database on the target."""
        return dict(self.databases).get(name, name)

    def on_target(self) -> "Mapping":
        """The same for who reads from the target: all names are the target's."""
        tables = {path: table.on_target() for path, table in self.tables.items()}
        segments = tuple(
            replace(segment, tables=tuple(tables[path].path for path in segment.tables)) for segment in self.segments
        )
        return replace(self, segments=segments, tables={table.path: table for table in tables.values()}, databases=())

    @cached_property
    def in_scope(self) -> tuple[TableMap, ...]:
        """The tables that move now, segment after segment in order of priority."""
        ordered = sorted(
            (segment for segment in self.segments if segment.scope == "in"), key=lambda segment: segment.priority
        )
        return tuple(self.tables[path] for segment in ordered for path in segment.tables)

    @cached_property
    def segment(self) -> ReadOnly[str, Segment]:
        """Segments by name."""
        return {segment.name: segment for segment in self.segments}

    def requirements_of(self, path: tuple[str, str]) -> Requirements:
        """What the destination of a table must meet."""
        return self.segment[self.tables[path].segment].requirements

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "requires": self.rest.asdict(),
            "target": plain(self.target),
            "hosts": dict(self.hosts),
            "segments": [
                {
                    "name": segment.name,
                    "priority": segment.priority,
                    "scope": segment.scope,
                    "requires": segment.requirements.asdict(),
                    "tables": [_plain(self.tables[path]) for path in segment.tables],
                }
                for segment in self.segments
            ],
        }

    def _repr_html_(self) -> str:
        return faces.stack(
            faces.boxes(
                ("Segments", len(self.segments)),
                ("Tables in scope", len(self.in_scope)),
                ("Tables later or out", len(self.tables) - len(self.in_scope)),
                ("Columns cleaned", sum(bool(table.cleaned(one)) for table in self.in_scope for one in table.columns)),
            ),
            faces.text(f"On the target, by choice: {'; '.join(self.target.said)}.") if self.target.said else None,
            faces.text(f"Accounts from {', '.join(f'{old} come from {new}' for old, new in self.hosts.items())}.")
            if self.hosts
            else None,
            faces.table(
                [
                    {
                        "segment": segment.name,
                        "priority": segment.priority,
                        "scope": faces.badge(segment.scope),
                        "tables": len(segment.tables),
                        "hops": needs.hops or "none",
                        "proofs": needs.proofs or "none",
                        "losses": needs.losses or "none",
                        "similarity": faces.percent(needs.similarity),
                        "freshness": spelled(needs.freshness),
                        "accept": [f"{item.what} ({item.state}: {item.why})" for item in needs.accept] or "nothing",
                    }
                    for segment in self.segments
                    for needs in (segment.requirements,)
                ],
                {
                    "segment": "Segment",
                    "priority": "Priority",
                    "scope": "Scope",
                    "tables": "Tables",
                    "hops": "Hops to prove",
                    "proofs": "Proofs",
                    "losses": "Losses accepted",
                    "similarity": "Rows alike, at least",
                    "freshness": "Picture at most as old as",
                    "accept": "Accepted by name",
                },
                caption="Segments and what their destination must meet",
            ),
            *(
                faces.details(
                    f"{segment.name}: {len(segment.tables)} tables",
                    faces.table(
                        [_shown(self.tables[path]) for path in segment.tables],
                        {
                            "table": "Table",
                            "warehouse": "In the warehouse",
                            "partition": "Partitioned by",
                            "cluster": "Clustered by",
                            "target": "Changed on the way or on the target",
                            "clean": "Cleaning and tolerances",
                        },
                    ),
                )
                for segment in self.segments
            ),
        )


def rule_name(rule: CleanRule) -> str:
    """The name of a cleaning rule, written with options or without."""
    return rule if isinstance(rule, str) else next(iter(rule))


def _plain(table: TableMap) -> dict[str, Any]:
    return {
        "database": table.database,
        "table": table.name,
        "warehouse_name": table.warehouse_name,
        "partition_by": table.partition_by,
        "partition_unit": table.partition_unit if table.partition_by else None,
        "cluster_by": list(table.cluster_by),
        "mode": table.mode,
        "watermark": table.watermark,
        "lookback": table.lookback if table.watermark else None,
        "target": plain(table.target),
        "flow": table.flow.asdict() if table.flow != DIRECT else None,
        "dedupe": table.dedupe and asdict(table.dedupe),
        "reject": [{"name": reject.name, "where": reject.where} for reject in table.reject],
        "orphans": [
            {
                "columns": list(rule.columns),
                "parent": ".".join(rule.parent.path),
                "parent_columns": list(rule.parent_columns),
                "policy": rule.policy,
            }
            for rule in table.orphans
        ],
        "columns": [
            {
                "name": column.name,
                "warehouse_name": column.warehouse_name,
                "rule": column.rule,
                "clean": [rule if isinstance(rule, str) else dict(rule) for rule in column.clean],
                "tolerate": [item.asdict() for item in column.tolerate],
            }
            for column in table.columns
        ],
    }


def _shown(table: TableMap) -> dict[str, object]:
    cleaned = [
        f"{column.name}: {' then '.join(rule_name(rule) for rule in column.clean)}"
        for column in table.columns
        if column.clean
    ]
    if table.dedupe:
        cleaned.append(f"duplicates by {', '.join(table.dedupe.by)}")
    cleaned += [f"rejected: {reject.name}" for reject in table.reject]
    cleaned += [f"{rule.name}: {'rejected' if rule.policy == 'reject' else 'NULL'}" for rule in table.orphans]
    cleaned += [f"tolerated in {column.name}: {rule.said}" for column in table.columns for rule in column.tolerate]
    return {
        "table": f"{table.database}.{table.name}",
        "warehouse": table.warehouse_name,
        "partition": f"{table.partition_by}, a {table.partition_unit} each" if table.partition_by else "",
        "cluster": table.cluster_by,
        "target": "; ".join((*table.target.said, *table.flow.said)),
        "clean": "; ".join(cleaned),
    }
