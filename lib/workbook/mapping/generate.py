"""A first mapping from the catalog: guessed segments, requirements in the open, partitions and clusters; a person edits it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from collections.abc import Mapping as ReadOnly
from datetime import date
from typing import Any

from workbook.catalog import Catalog, Column, Table
from workbook.errors import Refused
from workbook.mapping import cleaning
from workbook.mapping.file import CLUSTER_COLUMNS, CLUSTER_TYPES, PARTITION_TYPES, default_names
from workbook.mapping.objects import ColumnMap, Mapping, Requirements, Segment, TableMap
from workbook.mapping.suggest import Figures
from workbook.mapping.types import RULES, rule_for
from workbook.names import bigquery_names

MAIN = "main"
UNDECIDED = "undecided"
_FEW_TABLES = 8
# Below this many rows partitions only cost; a partition wants this many rows at least.
_PARTITIONED_ROWS = 1_000
_ROWS_A_PARTITION = 10_000
_MOST_PARTITIONS = 4_000
_BIRTH_WORDS = (
    r"create|insert|order|plac|happen|occur|log|book|issu|record|receiv|register|paid|chang|read|view|click|event|start"
)
_OTHER_WORDS = r"birth|expir|valid|until|due|updat|modif|delet|wish|deliver|end"
_RULE = {rule.name: rule for rule in RULES}

Path = tuple[str, str]


def generate(catalog: Catalog, profile: ReadOnly[str, Any] | None, emulated: bool) -> Mapping:
    """A mapping of every table of `catalog`, all in scope.

    A table with a type that no rule knows goes to the segment "undecided", scope later. `profile` (a profile's asdict,
    or None) decides on partitions; cleaning is never switched on.
    """
    names, figures = default_names(catalog), Figures(profile)
    tables: dict[Path, TableMap] = {}
    of_table = guess_segments(catalog)
    for table in catalog.tables:
        columns = _columns(table, emulated)
        if not columns:
            of_table[table.path] = UNDECIDED
        tables[table.path] = mapped_table(table, names[table.path], of_table[table.path], columns, figures)
    order = _by_dependency(catalog, of_table)
    segments = [
        Segment(
            name=name,
            priority=place,
            scope="later" if name == UNDECIDED else "in",
            tables=tuple(path for path in tables if of_table[path] == name),
            requirements=Requirements(
                losses=losses_of(table for path, table in tables.items() if of_table[path] == name)
            ),
        )
        for place, name in enumerate(order, 1)
    ]
    return Mapping(tuple(segments), tables)


def losses_of(tables: Iterable[TableMap]) -> tuple[str, ...]:
    """What a segment's requirements must accept for its tables to move by their rules."""
    used = {_RULE[column.rule] for table in tables for column in table.columns}
    form = ("representation",) if any(rule.loss == "representation" for rule in used) else ()
    return (*form, *sorted(rule.name for rule in used if rule.loss == "value"))


def mapped_table(
    table: Table, warehouse_name: str, segment: str, columns: tuple[ColumnMap, ...], figures: Figures
) -> TableMap:
    """A table by default: partitioned by the day its rows came to be where one can tell, clustered by its key."""
    partition, unit = _partition(table, columns, figures)
    fits = {column.name for column in columns if cleaning.clean_type(column) in CLUSTER_TYPES}
    return TableMap(
        database=table.database,
        name=table.name,
        segment=segment,
        warehouse_name=warehouse_name,
        columns=columns,
        partition_by=partition,
        partition_unit=unit,
        cluster_by=tuple(name for name in table.key if name in fits and name != partition)[:CLUSTER_COLUMNS],
    )


def guess_segments(catalog: Catalog) -> dict[Path, str]:
    """A segment for each table: by first word of the name where two tables share it, else by foreign keys, else main."""
    if len(catalog.tables) < _FEW_TABLES:
        return {table.path: MAIN for table in catalog.tables}
    words: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for table in catalog.tables:
        words[table.database, _first_word(table.name)].append(table.path)
    found: dict[Path, str] = {}
    taken: set[str] = set()
    for (database, word), paths in words.items():
        if len(paths) > 1 and word:
            whole = [name for _, name in paths if _first_word(name) == name.lower().rstrip("s")]
            name = whole[0].lower() if whole else word
            name = name if name not in taken else f"{database} {name}"
            taken.add(name)
            found.update(dict.fromkeys(paths, name))
    neighbours = neighbours_of(catalog)
    while True:
        joined = {}
        for table in catalog.tables:
            near = nearest_segment(table.path, found, neighbours)
            if table.path not in found and near:
                joined[table.path] = near
        if not joined:
            break
        found.update(joined)
    for table in catalog.tables:
        found.setdefault(table.path, MAIN)
    return found


def nearest_segment(path: Path, segments: ReadOnly[Path, str], neighbours: ReadOnly[Path, Counter[Path]]) -> str | None:
    """The segment that holds most of a table's neighbours by foreign key; None where it has none."""
    votes: Counter[str] = Counter()
    for neighbour, weight in neighbours[path].items():
        if neighbour in segments and neighbour != path:
            votes[segments[neighbour]] += weight
    return min(votes, key=lambda name: (-votes[name], name)) if votes else None


def neighbours_of(catalog: Catalog) -> dict[Path, Counter[Path]]:
    """The tables that foreign keys join to each table; a parent weighs twice as much as a child."""
    found: dict[Path, Counter[Path]] = defaultdict(Counter)
    for table in catalog.tables:
        for key in table.foreign_keys:
            parent = (key.parent_database, key.parent_table)
            found[table.path][parent] += 2
            found[parent][table.path] += 1
    return found


def _first_word(name: str) -> str:
    word = re.split(r"[\W_]+", name.strip().lower(), maxsplit=1)[0]
    return word[:-1] if word.endswith("s") and len(word) > 3 else word


def _by_dependency(catalog: Catalog, of_table: ReadOnly[Path, str]) -> list[str]:
    """Segments, those that others refer to first."""
    needs: dict[str, Counter[str]] = {name: Counter() for name in of_table.values()}
    for table in catalog.tables:
        for key in table.foreign_keys:
            parent = of_table.get((key.parent_database, key.parent_table))
            if parent and parent != of_table[table.path]:
                needs[of_table[table.path]][parent] += 1
    order: list[str] = []
    open_needs = {name: sum(counted.values()) for name, counted in needs.items()}
    while open_needs:
        chosen = min(open_needs, key=lambda name: (open_needs[name], name))
        order.append(chosen)
        del open_needs[chosen]
        for name in open_needs:
            open_needs[name] -= needs[name][chosen]
    return order


def _columns(table: Table, emulated: bool) -> tuple[ColumnMap, ...]:
    names = bigquery_names(column.name for column in table.columns)
    try:
        return tuple(
            ColumnMap(column.name, names[column.name], rule_for(column, emulated).name) for column in table.columns
        )
    except Refused:
        return ()


def _partition(table: Table, columns: tuple[ColumnMap, ...], figures: Figures) -> tuple[str | None, str]:
    rows = int(figures.table(table.path).get("rows") or table.rows_estimate)
    if rows < _PARTITIONED_ROWS:
        return None, "month"
    of_column = figures.columns(table.path)
    split_by = " ".join(partition.expression or "" for partition in table.partitions)
    best: tuple[int, str] | None = None
    for mapped in columns:
        column = table.column[mapped.name]
        if cleaning.clean_type(mapped) not in PARTITION_TYPES or column.on_update:
            continue
        score = _score(column, split_by, table.key, of_column.get(column.name, {}))
        if score >= 2 and (best is None or score > best[0]):
            best = score, column.name
    if best is None:
        return None, "month"
    return best[1], _unit(of_column.get(best[1], {}), rows)


def _score(column: Column, split_by: str, key: tuple[str, ...], figures: ReadOnly[str, Any]) -> int:
    name = column.name.lower()
    lost = sum(int(figures.get(measure) or 0) for measure in ("zero_dates", "partial_dates", "impossible_dates"))
    nothing = lost + int(figures.get("nulls") or 0)
    return (
        5 * (f"`{column.name}`" in split_by)
        + 3 * bool(re.search(_BIRTH_WORDS, name))
        - 5 * bool(re.search(_OTHER_WORDS, name))
        + 2 * (not column.nullable)
        + 1 * bool(re.search(r"_(at|on|date|time|day)$", name))
        + 1 * (column.name in key)
        - 3 * (nothing * 10 > int(figures.get("rows") or 0) > 0)
    )


def _unit(figures: ReadOnly[str, Any], rows: int) -> str:
    """Day, month or year, so that partitions are neither too small nor too many."""
    try:
        first, last = (date.fromisoformat(str(figures[end])[:10]) for end in ("min", "max"))
    except (KeyError, ValueError):
        return "month"
    days = (last - first).days + 1
    if days <= _MOST_PARTITIONS and rows / days >= _ROWS_A_PARTITION:
        return "day"
    return "month" if days / 30 <= _MOST_PARTITIONS else "year"
