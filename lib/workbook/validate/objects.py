"""Objects and relations: definitions, accounts and grants on source and target, and foreign keys on all three servers."""

from collections.abc import Callable, Collection, Iterable

from google.cloud import bigquery
from google.cloud.exceptions import GoogleCloudError

from workbook.accounts import compare_accounts
from workbook.catalog import Catalog, ForeignKey, Table
from workbook.errors import WorkbookError
from workbook.mapping import Mapping
from workbook.mapping.flow import carried_key, kept_table
from workbook.mapping.objects import TableMap
from workbook.mapping.types import rule_named
from workbook.names import bigquery_path, quote_bigquery, quote_mysql
from workbook.params import Settings
from workbook.schema import Definitions, ObjectDifference, compare, read_source, read_target
from workbook.schema.carried import carried
from workbook.schema.rows import selected
from workbook.servers import Server
from workbook.validate.result import ObjectVerdict, RelationVerdict

# Types that two tables may be joined by in the warehouse.
_JOINABLE = {"INT64", "NUMERIC", "STRING", "BYTES", "DATE", "DATETIME", "TIMESTAMP"}


def compare_objects(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    owned: Collection[str],
    definitions: Callable[[], tuple[Definitions, Definitions]],
) -> list[ObjectVerdict]:
    """Every object of the schema and every account in scope; what could not be looked at is incomparable.

    `owned` are the objects that the workbook made: an account that was on the target before is not compared.
    `definitions` gives those of source and target.
    """
    found = []
    looks: tuple[tuple[str, Callable[[], Iterable[ObjectDifference]]], ...] = (
        ("schema", lambda: compare(*definitions())),
        ("accounts", lambda: compare_accounts(source, target, catalog, mapping, owned)),
    )
    for what, look in looks:
        try:
            found += [ObjectVerdict(item.kind, item.name, item.verdict, _detail(item)) for item in look()]
        except WorkbookError as error:
            found.append(ObjectVerdict(what, "all", "incomparable", error.found))
    return found


def _detail(item: ObjectDifference) -> str:
    """What differs, and by whose rules where it is by any."""
    return f"{item.detail} (by {item.by})" if item.by else item.detail


def read_definitions(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping
) -> tuple[Definitions, Definitions]:
    """What both servers define in scope, as the target names it. Raises WorkbookError where it cannot be read."""
    definitions = carried(read_source(source, catalog, mapping), mapping)
    return definitions, read_target(target, definitions)


def compare_relations(
    source: Server, target: Server, warehouse: bigquery.Client, catalog: Catalog, mapping: Mapping, settings: Settings
) -> list[RelationVerdict]:
    """Foreign keys in scope with their orphans: the target and the warehouse must have as many as the source, its baseline."""
    found = []
    in_scope = {item.path for item in mapping.in_scope}
    for item in mapping.in_scope:
        table = kept_table(catalog.table[item.path], item.flow)
        for key in table.foreign_keys:
            parent = catalog.table.get((key.parent_database, key.parent_table))
            if parent is not None and parent.path in in_scope and not _lost(item, mapping.tables[parent.path], key):
                found.append(_relation(source, target, warehouse, table, parent, key, mapping, settings))
    return found


def _lost(child: TableMap, parent: TableMap, key: ForeignKey) -> bool:
    """Whether the mapping leaves nothing of a foreign key to compare: its parent's end is excluded, or the child's is
    masked with NULL."""
    emptied = {name for name, mask in child.flow.masks if mask.kind == "null"}
    return bool(set(parent.flow.excluded) & set(key.parent_columns) or emptied & set(key.columns))


def _relation(
    source: Server,
    target: Server,
    warehouse: bigquery.Client,
    table: Table,
    parent: Table,
    key: ForeignKey,
    mapping: Mapping,
    settings: Settings,
) -> RelationVerdict:
    one, other = mapping.tables[table.path], mapping.tables[parent.path]
    carried = carried_key(key, one.flow, other.flow)
    statements = (
        _mysql_orphans(one, other, key),
        _mysql_orphans(one.on_target(), other.on_target(), carried),
    )
    google = _google_orphans(warehouse.project, table, parent, key, mapping, settings)
    child, above = (".".join(path) for path in (table.path, parent.path))
    try:
        counts = [int(server.scalar(statement)) for server, statement in zip((source, target), statements, strict=True)]
        there = None if google is None else int(next(iter(warehouse.query(google).result()))[0])
    except (WorkbookError, GoogleCloudError) as error:
        text = error.found if isinstance(error, WorkbookError) else str(error)[:300]
        return RelationVerdict(key.name, child, above, None, None, None, "incomparable", text)
    same = counts[0] == counts[1] and there in (None, counts[0])
    return RelationVerdict(key.name, child, above, counts[0], counts[1], there, "same" if same else "different")


def _mysql_orphans(child: TableMap, parent: TableMap, key: ForeignKey) -> str:
    pairs = list(zip(key.columns, key.parent_columns, strict=True))
    joined = " AND ".join(f"c.{quote_mysql(one)} = p.{quote_mysql(above)}" for one, above in pairs)
    known = " AND ".join(f"c.{quote_mysql(one)} IS NOT NULL" for one in key.columns)
    return (
        f"SELECT COUNT(*) FROM {selected(child, key.columns)} AS c WHERE {known}"
        f" AND NOT EXISTS (SELECT 1 FROM {selected(parent, key.parent_columns)} AS p WHERE {joined})"
    )


def _google_orphans(
    project: str, table: Table, parent: Table, key: ForeignKey, mapping: Mapping, settings: Settings
) -> str | None:
    """The same count over the raw tables; None where MySQL compares in a way that the warehouse does not (collations)."""
    child_map, parent_map = mapping.tables[table.path], mapping.tables[parent.path]
    for child in key.columns:
        column = table.column[child]
        rule = rule_named(child_map.column[child].rule, column)
        collated = column.collation is not None and not column.collation.endswith("_bin")
        if rule.warehouse_type not in _JOINABLE or collated:
            return None
    dataset = settings.warehouse.raw_dataset
    names = [
        (child_map.column[child].warehouse_name, parent_map.column[above].warehouse_name)
        for child, above in zip(key.columns, key.parent_columns, strict=True)
    ]
    joined = " AND ".join(f"c.{quote_bigquery(child)} = p.{quote_bigquery(above)}" for child, above in names)
    known = " AND ".join(f"c.{quote_bigquery(child)} IS NOT NULL" for child, _ in names)
    return (
        f"SELECT COUNT(*) FROM {bigquery_path(project, dataset, child_map.warehouse_name)} AS c"
        f" LEFT JOIN {bigquery_path(project, dataset, parent_map.warehouse_name)} AS p ON {joined}"
        f" WHERE {known} AND p.{quote_bigquery(names[0][1])} IS NULL"
    )
