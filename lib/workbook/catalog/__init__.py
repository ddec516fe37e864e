"""What a MySQL server holds, read once into frozen objects."""

from workbook.catalog.objects import (
    Account,
    Catalog,
    Check,
    Column,
    Database,
    Event,
    ForeignKey,
    Index,
    IndexPart,
    Partition,
    Routine,
    Table,
    Trigger,
    View,
)
from workbook.catalog.read import read_catalog

__all__ = [
    "Account",
    "Catalog",
    "Check",
    "Column",
    "Database",
    "Event",
    "ForeignKey",
    "Index",
    "IndexPart",
    "Partition",
    "Routine",
    "Table",
    "Trigger",
    "View",
    "read_catalog",
]
