"""The GoogleSQL that brings the tables of the warehouse up to date; nothing here connects."""

from collections.abc import Sequence
from dataclasses import dataclass

from workbook.catalog import Table
from workbook.mapping import TableMap, cleaning
from workbook.names import bigquery_rows, quote_bigquery
from workbook.warehouse.statements import Place

_COUNTED = 40


@dataclass(frozen=True)
class Staging:
    """The tables beside the raw one that hold a night's rows, and keys of rows: those that go, or those that are there."""

    place: Place

    @property
    def rows(self) -> str:
        """dataset.table of the rows that were read."""
        return f"{self.place.raw}__night"

    @property
    def keys(self) -> str:
        """dataset.table of the keys."""
        return f"{self.place.raw}__keys"


def row_by_row(mapped: TableMap, table: Table) -> bool:
    """Whether the clean rows of some raw rows can be told without the others, and found by the key."""
    if mapped.dedupe is not None or mapped.orphans:
        return False
    return not any(mapped.column[name].clean for name in table.key if name in mapped.column)


def replacing(place: Place, conditions: Sequence[str], clean: bool) -> str:
    """The script that takes out the rows (of tables `t`) that meet a condition and puts in those of the night, at once.

    With `clean` it does so in the clean table and the rows set aside too.
    """
    mapped, night = place.mapped, place.quoted(Staging(place).rows)
    names = ", ".join(quote_bigquery(column.warehouse_name) for column in mapped.columns)
    tables = [(place.raw, names, f"SELECT {names} FROM {bigquery_rows(night)}")]
    if clean:
        tables.append((place.clean, names, cleaning.clean_select(mapped, night)))
        rejected = cleaning.rejected_select(mapped, night)
        if rejected is not None:
            listed = ", ".join(map(quote_bigquery, cleaning.rejected_columns(mapped)))
            tables.append((place.rejected, listed, rejected))
    statements = ["BEGIN TRANSACTION"]
    for name, columns, select in tables:
        statements += [f"DELETE FROM {place.quoted(name)} AS t WHERE {condition}" for condition in conditions]
        statements.append(f"INSERT INTO {place.quoted(name)} ({columns})\n{select}")
    return ";\n".join([*statements, "COMMIT TRANSACTION"]) + ";"


def count_new(place: Place, known: str) -> str:
    """How many rows of the night the raw table lacks: `known` is the condition on `t` that it has the key."""
    return f"SELECT COUNT(*) AS n FROM {place.quoted(Staging(place).rows)} AS t WHERE NOT {known}"


def count_rows(places: Sequence[Place]) -> list[str]:
    """The statements that count the raw and clean rows of tables, by their place in the list."""
    parts = [
        f"SELECT {number} AS number, (SELECT COUNT(*) FROM {place.quoted(place.raw)}) AS raw_rows,"
        f" (SELECT COUNT(*) FROM {place.quoted(place.clean)}) AS clean_rows"
        for number, place in enumerate(places)
    ]
    return [" UNION ALL\n".join(parts[at : at + _COUNTED]) for at in range(0, len(parts), _COUNTED)]
