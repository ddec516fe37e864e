"""A table on its three ends: its columns as all of them encode them, and how the warehouse's two layers are read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from workbook.catalog import Table
from workbook.errors import WorkbookError
from workbook.mapping import TableMap
from workbook.mapping.cleaning import RawPath, by_name, clean_select, clean_type, raw_type
from workbook.params import Settings
from workbook.validate.encoding import CLEAN_CANONICAL, Field, google_value
from workbook.validate.sums import Side, google_sides

if TYPE_CHECKING:
    from google.cloud import bigquery

    from workbook.validate.locate import Keys

Found = TypeVar("Found")
# Names that BigQuery's API and its SQL have for one type.
_SAME_TYPE = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}


@dataclass
class TableEnds:
    """What is known of one table while it is compared; `raw_path` tells where the raw tables of its parents are."""

    table: Table
    mapped: TableMap
    fields: tuple[Field, ...]
    buckets: int
    raw: str
    clean: str
    raw_path: RawPath = by_name
    left_out: int | None = None  # rows of the source that the mapping's filter leaves out
    wrong: "Keys | None" = None  # the hashes of keys of rows in which source and target differ
    retyped: dict[str, str] = field(default_factory=dict)  # columns of the raw table that have another type

    @property
    def keyed(self) -> bool:
        """Whether the source holds each row once."""
        return bool(self.table.key)

    @property
    def plain(self) -> bool:
        """Whether no rule makes the clean table another than the raw one."""
        mapped = self.mapped
        return not (any(column.clean for column in mapped.columns) or mapped.dedupe or mapped.reject or mapped.orphans)

    @property
    def expected(self) -> str:
        """What the rules make of the raw table, as something to select from."""
        return self.raw if self.plain else f"({clean_select(self.mapped, self.raw, self.raw_path)})"


def attempted(read: Callable[[], Found]) -> Found | str:
    """What was read, or the reason why it could not be."""
    try:
        return read()
    except WorkbookError as error:
        return error.found
    except Exception as error:
        # Imported here, because the import costs seconds that a comparison without a warehouse need not pay.
        from google.cloud.exceptions import GoogleCloudError, NotFound

        if isinstance(error, NotFound):
            return f"it is not there: {error.message[:200]}"
        if isinstance(error, GoogleCloudError):
            return f"the warehouse answered: {str(error)[:300]}"
        raise


def warehouse_sides(
    client: "bigquery.Client", ends: TableEnds, settings: Settings
) -> tuple[Side | str, Side | str, Side | str]:
    """The checksums of the raw table, of what its rules make of it, and of the clean table.

    Where there are no rules the clean table is a copy of the raw one and is encoded as that. Tables of the same
    columns are read by one job; where that fails, one at a time, so that the one at fault is known.
    """
    names = [item.warehouse_name for item in ends.fields]
    raw_path = f"{client.project}.{settings.warehouse.raw_dataset}.{ends.mapped.warehouse_name}"
    odd = attempted(lambda: {field.name for field in client.get_table(raw_path).schema} ^ set(names))
    if odd:
        why = odd if isinstance(odd, str) else f"its columns are not the mapping's: {', '.join(sorted(odd)[:5])}"
        return why, why, why
    types = attempted(lambda: {item.name: item.field_type for item in client.get_table(raw_path).schema})
    if not isinstance(types, str):
        for column in ends.mapped.columns:
            here, there = raw_type(column), types[column.warehouse_name]
            if _SAME_TYPE.get(here, here) != _SAME_TYPE.get(there, there):
                ends.retyped[column.name] = f"the type {here} became {there}"
    if ends.retyped:
        why = "; ".join(f"{name}: {what}" for name, what in ends.retyped.items())
        return why, why, why

    def alone(source: str, values: list[str], keyed: bool) -> Side | str:
        found = attempted(lambda: google_sides(client, [source], names, values, keyed, ends.buckets))
        return found if isinstance(found, str) else found[0]

    def read(sources: list[str], values: list[str], keyed: bool) -> list[Side | str]:
        one_job = attempted(lambda: google_sides(client, sources, names, values, keyed, ends.buckets))
        if not isinstance(one_job, str):
            return list(one_job)
        return [alone(source, values, keyed) for source in sources]

    if ends.plain:
        raw, clean = read([ends.raw, ends.clean], google_columns(ends)[1], ends.keyed)
        return raw, raw, clean
    (raw,) = read([ends.raw], google_columns(ends)[1], ends.keyed)
    # What rules make of keys may be there twice.
    expected, clean = read([ends.expected, ends.clean], clean_columns(ends)[1], False)
    return raw, expected, clean


def google_columns(ends: TableEnds) -> tuple[list[str], list[str]]:
    """The encoded columns of the raw table: those of the key, and all."""
    values = [google_value(item.warehouse_name, item.rule.google, item.rule.free) for item in ends.fields]
    keyed = [value for value, item in zip(values, ends.fields, strict=True) if item.key]
    return keyed or values, values


def clean_columns(ends: TableEnds) -> tuple[list[str], list[str]]:
    """The encoded columns of the clean table: those of the key, and all."""
    values = [
        google_value(column.warehouse_name, CLEAN_CANONICAL[clean_type(column)]) for column in ends.mapped.columns
    ]
    keyed = [value for value, column in zip(values, ends.mapped.columns, strict=True) if column.name in ends.table.key]
    return keyed or values, values
