"""What filters and masks would do to the source's rows, asked before anything moves: children that would lose their parent."""

from collections.abc import Collection

from workbook.catalog import Catalog, ForeignKey
from workbook.errors import Refused, TerminalError
from workbook.mapping.flow import kept_table
from workbook.mapping.objects import Mapping, TableMap
from workbook.names import mysql_path, quote_mysql
from workbook.servers import Server, Session


def refuse_rows(
    source: Server, catalog: Catalog, mapping: Mapping, only: Collection[tuple[str, str]] | None = None
) -> None:
    """Raise Refused where a filter does not run on the source, or rows that move would lose the parent they have there.
    With `only`, of these tables.

    Rows without a parent on the source are no matter: they have none on the target either.
    """
    moving = {table.path: table for table in mapping.in_scope}
    chosen = [table for path, table in moving.items() if only is None or path in only]
    if not any(table.flow.where or table.flow.tokens for table in moving.values()):
        return
    orphans = []
    with source.session() as session:
        for table in chosen:
            if table.flow.where:
                _try(session, table)
        for table in chosen:
            for key in kept_table(catalog.table[table.path], table.flow).foreign_keys:
                parent = moving.get((key.parent_database, key.parent_table))
                if parent is None or set(parent.flow.excluded) & set(key.parent_columns):
                    continue
                if parent.flow.where or set(key.columns) & set(table.flow.tokens):
                    count = int(session.scalar(_count(table, parent, key)))
                    if count:
                        path, above = mysql_path(*table.path), mysql_path(*parent.path)
                        orphans.append(f"{count:,} rows of {path} by the foreign key {key.name!r} to {above}")
    if orphans:
        raise Refused(
            f"Rows that move would lose their parent: {orphans[0]}"
            + (f"; and {len(orphans) - 1} more foreign keys ({'; '.join(orphans[1:5])})." if len(orphans) > 1 else "."),
            "The parent is left out by its filter, or is found by letters that a mask tells apart; the target would hold"
            " rows that belong to nothing.",
            "Give the child a `where` that leaves them out too, widen the parent's, or exclude the child's column.",
        )


def selected(table: TableMap, columns: tuple[str, ...]) -> str:
    """The rows of a table that move, as something to select from."""
    where = f" WHERE ({table.flow.where})" if table.flow.where else ""
    return f"(SELECT {', '.join(map(quote_mysql, dict.fromkeys(columns)))} FROM {mysql_path(*table.path)}{where})"


def _try(session: Session, table: TableMap) -> None:
    try:
        session.rows(f"SELECT 1 FROM {mysql_path(*table.path)} WHERE ({table.flow.where}) LIMIT 1")
    except TerminalError as error:
        raise Refused(
            f"The source refuses the filter of {mysql_path(*table.path)}: {error.found}",
            "Which rows move cannot be told.",
            "Mend `where` in the mapping; it runs with the privileges of the source's account.",
        ) from None


def _count(child: TableMap, parent: TableMap, key: ForeignKey) -> str:
    pairs = list(zip(key.columns, key.parent_columns, strict=True))
    equal = [f"c.{quote_mysql(one)} = p.{quote_mysql(other)}" for one, other in pairs]
    same = [
        f"CAST(CONVERT(c.{quote_mysql(one)} USING utf8mb4) AS BINARY)"
        f" = CAST(CONVERT(p.{quote_mysql(other)} USING utf8mb4) AS BINARY)"
        for one, other in pairs
        if one in child.flow.tokens
    ]
    known = " AND ".join(f"c.{quote_mysql(one)} IS NOT NULL" for one, _ in pairs)
    moved = selected(parent, key.parent_columns)
    return (
        f"SELECT COUNT(*) FROM {selected(child, key.columns)} AS c WHERE {known}"
        f" AND EXISTS (SELECT 1 FROM {mysql_path(*parent.path)} AS p WHERE {' AND '.join(equal)})"
        f" AND NOT EXISTS (SELECT 1 FROM {moved} AS p WHERE {' AND '.join([*equal, *same])})"
    )
