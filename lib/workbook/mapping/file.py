"""Reading a mapping file: the YAML that a person edits becomes a checked Mapping, every complaint with its line."""

import difflib
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from workbook.catalog import Catalog, Table
from workbook.errors import Refused, UsageError
from workbook.mapping import cleaning, flow_nodes, orphans
from workbook.mapping.flow import Flow, kept_table
from workbook.mapping.nodes import Reader, parse
from workbook.mapping.objects import (
    LOOKBACK,
    MODES,
    SCOPES,
    ColumnMap,
    Dedupe,
    Mapping,
    Reject,
    Segment,
    TableMap,
)
from workbook.mapping.requirements import requirements, rest_requirements
from workbook.mapping.target import UNCHANGED, TargetRules, target_rules
from workbook.mapping.tolerances import tolerances
from workbook.mapping.types import RULES, rule_for, rule_named
from workbook.names import bigquery_names

VERSION = 1
PARTITION_TYPES = ("DATE", "DATETIME", "TIMESTAMP")
# https://cloud.google.com/bigquery/docs/clustered-tables#cluster_column_types
CLUSTER_TYPES = ("BIGNUMERIC", "BOOL", "DATE", "DATETIME", "INT64", "NUMERIC", "STRING", "TIMESTAMP")
CLUSTER_COLUMNS = 4
PARTITION_UNITS = ("day", "month", "year")
WATERMARK_TYPES = ("INT64", "DATETIME", "TIMESTAMP")
_LOSSES = ("representation", *(rule.name for rule in RULES if rule.loss != "none"))


def load_mapping(path: str | Path, catalog: Catalog, emulated: bool = False) -> Mapping:
    """The mapping in the file at `path` for the source of `catalog`; `emulated` where the warehouse is the emulator.

    Raises UsageError for a file that is missing or malformed, and Refused for a type that no rule knows.
    """
    return mapping_of(read_text(path), catalog, emulated, str(path))


def mapping_of(text: str, catalog: Catalog, emulated: bool = False, origin: str = "the mapping") -> Mapping:
    """The mapping in the text of a mapping file; messages name its `origin`."""
    found = mapping_from(parse(text, origin), origin, catalog, emulated)
    return replace(found, sha256=hashlib.sha256(text.encode()).hexdigest())


def read_text(path: str | Path) -> str:
    """The text of the mapping file at `path`. Raises UsageError where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The mapping file {path} cannot be read: {getattr(error, 'strerror', None) or error}.",
            "It says what moves and what becomes of it.",
            "Name an existing file under `mapping` in the params, or leave the key out to have one generated.",
        ) from None


def default_names(catalog: Catalog) -> dict[tuple[str, str], str]:
    """The warehouse name of every table: its own, or `<database>__<table>` where there are several databases."""
    several = len({table.database for table in catalog.tables}) > 1
    plain: dict[str, tuple[str, str]] = {}
    for table in sorted(catalog.tables, key=lambda table: table.path):
        wanted = name = f"{table.database}__{table.name}" if several else table.name
        while name in plain:
            # `a__b`.`c` and `a`.`b__c`
            name += "_"
        plain[name] = table.path
        assert name.startswith(wanted)
    return {plain[name]: found for name, found in bigquery_names(plain).items()}


def mapping_from(content: CommentedMap, origin: str, catalog: Catalog, emulated: bool) -> Mapping:
    """The Mapping that a parsed file stands for. Raises UsageError with the line of what is wrong."""
    reader = Reader(origin)
    reader.known_keys(content, "file", "the mapping")
    if content.get("version") != VERSION:
        reader.fail(
            content,
            "version",
            f"version is {content.get('version')!r}",
            "This workbook reads version 1; another may mean other things by the same keys.",
            "Write `version: 1` if the file was written for it.",
        )
    target = target_rules(reader, content, "the mapping", UNCHANGED)
    databases = flow_nodes.databases(reader, content, catalog)
    builder = _Builder(reader, catalog, emulated, default_names(catalog), target, databases)
    segments = reader.mapping(content, "segments", "the mapping")
    made = [builder.segment(segments, name) for name in segments]
    builder.relate()
    builder.refuse_clashes(segments)
    flow_nodes.refuse_clashes(
        reader,
        segments,
        catalog,
        [table for segment in made if segment.scope == "in" for table in segment.tables],
        builder.tables,
    )
    return Mapping(
        segments=tuple(sorted(made, key=lambda segment: (segment.priority, segment.name))),
        tables=builder.tables,
        unlisted=tuple(builder.unlisted),
        vanished=tuple(builder.vanished),
        unseen=tuple(builder.unseen),
        target=target,
        databases=tuple(databases.items()),
        hosts=_hosts(reader, content),
        rest=rest_requirements(reader, content),
    )


def _hosts(reader: Reader, content: CommentedMap) -> dict[str, str]:
    """The hosts that accounts get in the place of others."""
    node = reader.mapping(content, "accounts", "the mapping")
    reader.known_keys(node, "accounts", "accounts of the mapping")
    hosts = reader.mapping(node, "hosts", "accounts of the mapping")
    found = {}
    for old in hosts:
        chosen = reader.text(hosts, old, "hosts of accounts")
        if chosen is None:
            reader.fail(
                hosts,
                old,
                f"hosts of accounts names no host for {old!r}",
                "Nothing would mean everywhere.",
                'Write the addresses that its accounts come from, as "10.0.0.%".',
            )
        found[old.lower()] = chosen.lower()
    return found


@dataclass
class _Builder:
    """Makes the objects of a mapping from its nodes, and notes what differs from the catalog."""

    reader: Reader
    catalog: Catalog
    emulated: bool
    names: dict[tuple[str, str], str]
    target: TargetRules
    databases: dict[str, str]

    def __post_init__(self) -> None:
        self.tables: dict[tuple[str, str], TableMap] = {}
        self.unlisted: list[tuple[str, str, str]] = []
        self.vanished: list[tuple[str, ...]] = []
        self.unseen: list[tuple[str, ...]] = []
        self._seen: set[tuple[str, str]] = set()
        self._children: list[tuple[tuple[str, str], CommentedMap, str]] = []
        self._scopes: dict[str, str] = {}
        self._modes: dict[str, str | None] = {}

    def segment(self, nodes: CommentedMap, name: str) -> Segment:
        where = f"segment {name!r}"
        node = self.reader.mapping(nodes, name, where)
        self.reader.known_keys(node, "segment", where)
        scope = self.reader.text(node, "scope", where, SCOPES) or "in"
        self._scopes[name] = scope
        warehouse = self.reader.mapping(node, "warehouse", where)
        self.reader.known_keys(warehouse, "segment warehouse", f"warehouse of {where}")
        self._modes[name] = self.reader.text(warehouse, "mode", where, MODES)
        paths = []
        databases = self.reader.mapping(node, "tables", where)
        for database in databases:
            for table in (nested := self.reader.mapping(databases, database, f"{where}, database {database!r}")):
                path = (database, table)
                if path in self._seen:
                    self.reader.fail(
                        nested,
                        table,
                        f"table {database}.{table} stands in the mapping twice",
                        "It would be loaded twice, by two sets of rules.",
                        "Leave it in one segment.",
                    )
                self._seen.add(path)
                if path not in self.catalog.table:
                    self.vanished.append(path)
                    self.unseen += [path] if scope == "in" else []
                    continue
                self.tables[path] = self.table(nested, name, self.catalog.table[path])
                paths.append(path)
        return Segment(
            name=name,
            priority=int(self.reader.number(node, "priority", where, 1, -1e6, 1e6)),
            scope=scope,
            tables=tuple(paths),
            requirements=requirements(self.reader, node, where, _LOSSES),
        )

    def table(self, nodes: CommentedMap, segment: str, table: Table) -> TableMap:
        where = f"table {table.database}.{table.name}"
        reader = self.reader
        node = reader.mapping(nodes, table.name, where)
        reader.known_keys(node, "table", where)
        warehouse = reader.mapping(node, "warehouse", where)
        reader.known_keys(warehouse, "warehouse", f"warehouse of {where}")
        target = target_rules(reader, node, where, self.target, "table target")
        flow = flow_nodes.flow(reader, node, table, where, self.databases, target)
        columns = self.columns(node, table, where, self._scopes[segment] == "in", flow)
        dedupe = reader.mapping(node, "dedupe", where)
        reader.known_keys(dedupe, "dedupe", f"dedupe of {where}")
        made = TableMap(
            database=table.database,
            name=table.name,
            segment=segment,
            warehouse_name=self.warehouse_name(warehouse, self.names[table.path], where),
            columns=columns,
            partition_by=reader.text(warehouse, "partition_by", where),
            partition_unit=reader.text(warehouse, "partition_unit", where, PARTITION_UNITS) or "month",
            cluster_by=reader.texts(warehouse, "cluster_by", where),
            dedupe=self.dedupe(node, dedupe, where) if node.get("dedupe") is not None else None,
            reject=self.rejects(node, where),
            target=target,
            flow=flow,
            mode=reader.text(warehouse, "mode", where, MODES) or self._modes[segment],
            watermark=reader.text(warehouse, "watermark", where),
            lookback=reader.number(warehouse, "lookback", where, LOOKBACK, 0, 1e12),
        )
        if columns:
            self.check_columns(made, warehouse, dedupe, where)
        if node.get("orphans") is not None:
            self._children.append((table.path, node, where))
        return made

    def relate(self) -> None:
        """Give the tables in scope their orphan rules, now that all parents are known."""
        in_scope = {path: table for path, table in self.tables.items() if self._scopes[table.segment] == "in"}

        def key_of(parent: TableMap) -> tuple[str, ...]:
            return kept_table(self.catalog.table[parent.path], parent.flow).key

        for path, node, where in self._children:
            if path in in_scope:
                at = f"The mapping {self.reader.origin}, line {self.reader.line(node, 'orphans')}: {where}"
                rules = orphans.checked(node["orphans"], in_scope[path], in_scope, key_of, at)
                self.tables[path] = replace(in_scope[path], orphans=rules)

    def columns(
        self, node: CommentedMap, table: Table, where: str, in_scope: bool, flow: Flow
    ) -> tuple[ColumnMap, ...]:
        nodes = self.reader.mapping(node, "columns", where)
        listed = self.reader.texts(node, "by_default", where)
        for name in (*listed, *nodes):
            if name not in table.column:
                self.vanished.append((*table.path, name))
                self.unseen += [(*table.path, name)] if in_scope else []
        defaults = bigquery_names(column.name for column in table.columns)
        made: list[ColumnMap] = []
        for column in table.columns:
            place = f"column {column.name!r} of {where}"
            if column.name in flow.excluded:
                continue
            if listed and column.name not in listed and column.name not in nodes:
                self.unlisted.append((*table.path, column.name))
            inner = self.reader.mapping(nodes, column.name, place)
            self.reader.known_keys(inner, "column", place)
            rule = self.reader.text(inner, "rule", place)
            try:
                chosen = rule_named(rule, column) if rule else rule_for(column, self.emulated)
            except UsageError as error:
                self.reader.fail(inner, "rule", f"{place}: {error.found.rstrip('.')}", error.why, error.todo)
            except Refused:
                if in_scope:
                    raise
                # A table that does not move may hold what has no type in the warehouse.
                return ()
            name = self.warehouse_name(inner, defaults[column.name], place)
            clean = inner.get("clean")
            if clean is not None and not isinstance(clean, CommentedSeq):
                clean = [clean]
            at = f"The mapping {self.reader.origin}, line {self.reader.line(inner, 'clean')}: {place}"
            rules = tuple(cleaning.checked(item, at) for item in clean or ())
            tolerated = tolerances(self.reader, inner, column, table, kept_table(table, flow).key, place)
            made.append(ColumnMap(column.name, name, chosen.name, rules, tolerated))
            cleaning.check_column(made[-1], at)
        taken: dict[str, str] = {}
        for mapped in made:
            if other := taken.get(mapped.warehouse_name.lower()):
                self.reader.fail(
                    nodes,
                    mapped.name,
                    f"columns {other!r} and {mapped.name!r} of {where} have the same name {mapped.warehouse_name!r}",
                    "BigQuery holds a name once, however its letters are written.",
                    "Give one of them another `name`.",
                )
            taken[mapped.warehouse_name.lower()] = mapped.name
        return tuple(made)

    def warehouse_name(self, node: CommentedMap, default: str, where: str) -> str:
        name = self.reader.text(node, "name", where) or default
        if bigquery_names([name])[name] != name:
            self.reader.fail(
                node,
                "name",
                f"the name {name!r} of {where} cannot be used in BigQuery",
                "Names there hold letters, digits and underscores, begin with no digit and with no reserved prefix.",
                f"Write for example {bigquery_names([name])[name]}.",
            )
        return name

    def dedupe(self, table: CommentedMap, node: CommentedMap, where: str) -> Dedupe:
        by = self.reader.texts(node, "by", f"dedupe of {where}")
        if not by:
            self.reader.fail(
                table,
                "dedupe",
                f"dedupe of {where} names no columns in `by`",
                "Without them no two rows are alike.",
                "Write for example dedupe: {by: [email]}.",
            )
        keep = self.reader.text(node, "keep", f"dedupe of {where}", ("first", "last")) or "first"
        return Dedupe(by, keep, self.reader.texts(node, "order_by", f"dedupe of {where}"))

    def rejects(self, node: CommentedMap, where: str) -> tuple[Reject, ...]:
        items = node.get("reject")
        if items is None:
            return ()
        made: list[Reject] = []
        for item in items if isinstance(items, CommentedSeq) else [items]:
            if not isinstance(item, CommentedMap):
                self.reader.fail(
                    node,
                    "reject",
                    f"reject of {where} is no list of name and where",
                    "It could not be told what to set aside.",
                    "Write for example reject: [{name: no email, where: email IS NULL}].",
                )
            self.reader.known_keys(item, "reject", f"reject of {where}")
            name, condition = (self.reader.text(item, key, f"reject of {where}") for key in ("name", "where"))
            if name is None or condition is None or name == "dedupe" or name in [other.name for other in made]:
                self.reader.fail(
                    item,
                    "name",
                    f"a reject of {where} lacks its name or where, or has a name that is taken",
                    "Rows set aside are counted and kept under the name of their rule.",
                    "Give each its own `name` (but not dedupe) and a GoogleSQL condition `where`.",
                )
            made.append(Reject(name, condition))
        return tuple(made)

    def check_columns(self, table: TableMap, warehouse: CommentedMap, dedupe: CommentedMap, where: str) -> None:
        partition = (table.partition_by,) if table.partition_by else ()
        watermark = (table.watermark,) if table.watermark else ()
        uses = [
            (warehouse, "partition_by", partition, lambda column: cleaning.clean_type(column) in PARTITION_TYPES),
            (warehouse, "cluster_by", table.cluster_by, lambda column: cleaning.clean_type(column) in CLUSTER_TYPES),
            (warehouse, "watermark", watermark, lambda column: cleaning.raw_type(column) in WATERMARK_TYPES),
        ]
        if table.dedupe:
            uses += [
                (dedupe, "by", table.dedupe.by, cleaning.groupable),
                (dedupe, "order_by", table.dedupe.order_by, lambda column: cleaning.clean_type(column) != "JSON"),
            ]
        for node, key, names, fits in uses:
            for name in names:
                if name not in table.column:
                    near = difflib.get_close_matches(name, table.column, n=1, cutoff=0.5)
                    self.reader.fail(
                        node,
                        key,
                        f"{key} of {where} names the column {name!r}" + (f" (did you mean {near[0]}?)" if near else ""),
                        "The table has no such column on the source, or excludes it; names are the source's, also here.",
                        "Name one of its columns.",
                    )
                if not fits(table.column[name]):
                    self.reader.fail(
                        node,
                        key,
                        f"{key} of {where} names {name!r}, a {cleaning.clean_type(table.column[name])}",
                        "BigQuery cannot do that with this type.",
                        "Name another column, or leave the key out.",
                    )
        if len(table.cluster_by) > CLUSTER_COLUMNS:
            self.reader.fail(
                warehouse,
                "cluster_by",
                f"cluster_by of {where} names {len(table.cluster_by)} columns",
                f"BigQuery clusters by {CLUSTER_COLUMNS} at most.",
                "Keep those that queries filter by.",
            )

    def refuse_clashes(self, segments: CommentedMap) -> None:
        taken: dict[str, str] = {}
        for table in self.tables.values():
            own = [table.warehouse_name]
            if cleaning.sets_aside(table):
                own.append(table.rejected_name)
            for name in own:
                path = f"{table.database}.{table.name}"
                if other := taken.get(name.lower()):
                    self.reader.fail(
                        segments,
                        table.segment,
                        f"tables {other} and {path} have the same name {name!r} in the warehouse",
                        "One would overwrite the other.",
                        "Give one of them another name: warehouse: {name: …}.",
                    )
                taken[name.lower()] = path
