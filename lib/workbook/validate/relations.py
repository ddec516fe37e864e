"""Relations: foreign keys on all three servers, rows without a parent and how many children parents have, one query a side."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from google.cloud import bigquery
from google.cloud.exceptions import GoogleCloudError

from workbook.catalog import Catalog, ForeignKey, Table
from workbook.errors import WorkbookError
from workbook.mapping import Mapping
from workbook.mapping.flow import carried_key, kept_table
from workbook.mapping.objects import TableMap
from workbook.mapping.types import rule_named
from workbook.names import bigquery_path, mysql_path, quote_bigquery, quote_mysql
from workbook.params import Settings
from workbook.schema.rows import selected
from workbook.servers import Server
from workbook.validate.relations_face import Cardinality, RelationVerdict

# Types that two tables may be joined by in the warehouse.
_JOINABLE = {"INT64", "NUMERIC", "STRING", "BYTES", "DATE", "DATETIME", "TIMESTAMP"}
Judge = Callable[[tuple[str, str], tuple[str, str], str, Callable[[], RelationVerdict]], RelationVerdict]
_SIDES = ("the source", "Cloud SQL", "BigQuery")


def compare_relations(
    source: Server,
    target: Server,
    warehouse: bigquery.Client,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    judge: Judge = lambda child, parent, name, count: count(),
) -> list[RelationVerdict]:
    """Foreign keys in scope: target and warehouse must have as many orphans as the source, its baseline, and as many
    parents with no child, one, some and many. `judge` may count one again, or not at all (steady.py)."""
    found = []
    in_scope = {item.path for item in mapping.in_scope}
    for item in mapping.in_scope:
        table = kept_table(catalog.table[item.path], item.flow)
        for key in table.foreign_keys:
            parent = catalog.table.get((key.parent_database, key.parent_table))
            if parent is not None and parent.path in in_scope and not _lost(item, mapping.tables[parent.path], key):
                count = partial(_relation, source, target, warehouse, table, parent, key, mapping, settings)
                found.append(judge(table.path, parent.path, key.name, count))
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
    child, above = (".".join(path) for path in (table.path, parent.path))
    hidden = {*key.columns} - one.column.keys() | {*key.parent_columns} - other.column.keys()
    if hidden:
        why = f"the source does not show {', '.join(sorted(hidden))}"
        return RelationVerdict(key.name, child, above, None, None, None, "incomparable", why)
    carried = carried_key(key, one.flow, other.flow)
    statements = (
        _mysql_counts(one, other, key),
        _mysql_counts(one.on_target(), other.on_target(), carried),
    )
    google = _google_counts(warehouse.project, table, parent, key, mapping, settings)
    try:
        if google is not None and _loses(source, table, parent, key, mapping):
            google = None
        counts = [
            _counted(server.rows(statement)[0].values())
            for server, statement in zip((source, target), statements, strict=True)
        ]
        if google is not None:
            counts.append(_counted(next(iter(warehouse.query(google).result())).values()))
    except (WorkbookError, GoogleCloudError) as error:
        text = error.found if isinstance(error, WorkbookError) else str(error)[:300]
        return RelationVerdict(key.name, child, above, None, None, None, "incomparable", text)
    orphans = [count for count, _ in counts]
    children = [cardinality for _, cardinality in counts]
    detail = "; ".join(filter(None, (_told("orphans", orphans), *_differences(children))))
    return RelationVerdict(
        key.name,
        child,
        above,
        orphans[0],
        orphans[1],
        orphans[2] if google is not None else None,
        "different" if detail else "same",
        detail,
        children[0],
        children[1],
        children[2] if google is not None else None,
    )


def _loses(source: Server, table: Table, parent: Table, key: ForeignKey, mapping: Mapping) -> bool:
    """Whether a value of the key becomes NULL in the warehouse, which points at nothing there: a zero date."""
    found = []
    for side, columns in ((table, key.columns), (parent, key.parent_columns)):
        for name in columns:
            rule = rule_named(mapping.tables[side.path].column[name].rule, side.column[name])
            if rule.proof and rule.loss == "value":
                condition = rule.proof.replace("{c}", quote_mysql(name))
                found.append(f"EXISTS (SELECT 1 FROM {mysql_path(*side.path)} WHERE {condition})")
    return bool(found and source.scalar(f"SELECT {' OR '.join(found)}"))


def _counted(values: Iterable[Any]) -> tuple[int, Cardinality]:
    """Orphans and cardinalities from the row of a query; sums over nothing are NULL."""
    orphans, *numbers = [int(value or 0) for value in values]
    return orphans, Cardinality(*numbers)


def _differences(sides: Sequence[Cardinality]) -> list[str]:
    return [_told(said, [getattr(side, name) for side in sides]) for name, said in Cardinality.SAID.items()]


def _told(what: str, counts: Sequence[int]) -> str:
    """A count that is not the same everywhere, in words; empty where it is."""
    if len(set(counts)) == 1:
        return ""
    return f"{what}: " + ", ".join(f"{count:,} on {side}" for count, side in zip(counts, _SIDES, strict=False))


# MySQL and GoogleSQL share these words: `g` are the children counted by the key that they point with.
_COUNTS = (
    "COUNT(*) AS parents, SUM(CASE WHEN g.n IS NULL THEN 1 ELSE 0 END) AS none, SUM(CASE WHEN g.n = 1 THEN 1 ELSE 0 END) AS one,"
    " SUM(CASE WHEN g.n BETWEEN 2 AND 5 THEN 1 ELSE 0 END) AS few, SUM(CASE WHEN g.n > 5 THEN 1 ELSE 0 END) AS many,"
    " MAX(g.n) AS most"
)


def _mysql_counts(child: TableMap, parent: TableMap, key: ForeignKey) -> str:
    return _counts(
        selected(child, key.columns), selected(parent, key.parent_columns), key.columns, key.parent_columns, quote_mysql
    )


def _counts(child: str, parent: str, columns: Sequence[str], above: Sequence[str], quote: Callable[[str], str]) -> str:
    """One row: children without a parent, then how many parents have how many children. A key with a NULL points at nothing."""
    pairs = list(zip(map(quote, columns), map(quote, above), strict=True))
    orphan = " AND ".join(f"c.{one} = p.{other}" for one, other in pairs)
    grouped = " AND ".join(f"g.k{number} = p.{other}" for number, (_, other) in enumerate(pairs))
    known = " AND ".join(f"c.{one} IS NOT NULL" for one, _ in pairs)
    keys = ", ".join(f"c.{one} AS k{number}" for number, (one, _) in enumerate(pairs))
    places = ", ".join(f"k{number}" for number in range(len(pairs)))
    # In MySQL a zero date in a NOT NULL column IS NULL as well, and by this operator alone it is not.
    missing = f"p.{pairs[0][1]} {'<=> NULL' if quote is quote_mysql else 'IS NULL'}"
    return (
        f"SELECT (SELECT COUNT(*) FROM {child} AS c LEFT JOIN {parent} AS p ON {orphan}"
        f" WHERE {known} AND {missing}) AS orphans, {_COUNTS}"
        f" FROM {parent} AS p LEFT JOIN (SELECT {places}, COUNT(*) AS n FROM (SELECT {keys} FROM {child} AS c WHERE {known}) AS k"
        f" GROUP BY {places}) AS g ON {grouped}"
    )


def _google_counts(
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
    return _counts(
        bigquery_path(project, dataset, child_map.warehouse_name),
        bigquery_path(project, dataset, parent_map.warehouse_name),
        [one for one, _ in names],
        [other for _, other in names],
        quote_bigquery,
    )
