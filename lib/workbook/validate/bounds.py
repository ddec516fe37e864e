"""What a validation keeps of the rows that differ: bounded over all tables, so that neither memory nor the page grows with them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbook.validate.result import TableVerdict

# Over all tables and hops: keys for repair files, rows for the file of rows, rows to show.
MOST_KEYS, MOST_LISTED, MOST_SHOWN = 200_000, 100_000, 20_000


@dataclass
class Kept:
    """Hands tables on and takes away what is beyond the bounds; the counts of rows are never touched."""

    keys: int = MOST_KEYS
    listed: int = MOST_LISTED
    shown: int = MOST_SHOWN

    def held(self, tables: Sequence[TableVerdict]) -> list[TableVerdict]:
        """The verdicts of a table on its hops, with as much of the rows as there is room for."""
        return [self._one(table) for table in tables]

    def _one(self, table: TableVerdict) -> TableVerdict:
        if table.verdict == "same":
            return table
        if len(table.keys) > self.keys:
            # Keys in part would mend in part: the table is loaded again instead.
            table = replace(table, keys=())
        table = replace(table, listed=table.listed[: self.listed])
        rows = len(table.samples) + sum(len(item.samples) for item in table.classes)
        if rows > self.shown:
            # One row of each class still shows what it means.
            classes = tuple(replace(item, samples=item.samples[:1]) for item in table.classes)
            table = replace(table, samples=table.samples[:1], classes=classes)
        self.keys -= len(table.keys)
        self.listed -= len(table.listed)
        self.shown -= min(rows, self.shown)
        return table
