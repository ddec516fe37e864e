"""How alike the sides are, table by table and segment by segment: rows alike of all rows, worst first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from workbook.validate.hops import COLUMN_STATES, HOPS, WORST_VERDICTS, worst_state, worst_verdict

if TYPE_CHECKING:
    from workbook.validate.result import TableVerdict

Path = tuple[str, str]


@dataclass(frozen=True)
class Alike:
    """So many rows are alike `of` all rows of both ends, each that both have counted once; the denominator is shown."""

    rows: int
    of: int

    @property
    def share(self) -> float:
        """Between 0 and 1; of no rows all are alike."""
        return self.rows / self.of if self.of else 1.0

    def __add__(self, other: "Alike") -> "Alike":
        return Alike(self.rows + other.rows, self.of + other.of)


def alike_rows(table: "TableVerdict") -> Alike | None:
    """The rows alike of a table on a hop; None where nothing is known of them."""
    if table.similarity is None or (table.verdict != "same" and not table.columns):
        return None
    before, after = table.rows_source, table.rows_target
    if before is None or after is None:
        # An end that is not there has none of the rows.
        return Alike(0, before or after or 0)
    of = max(before, after) + min(table.missing, table.extra)
    if table.verdict == "same":
        # Rows that rules set aside on the way are no difference.
        return Alike(of, of)
    return Alike(max(0, round(table.similarity * of)), of)


def differing_share(table: "TableVerdict", column: str) -> float | None:
    """The share of a table's rows that differ in a column on a hop; None where it does not differ or is not known."""
    if table.columns.get(column) != "different":
        return None
    of_it = [item for item in table.classes if item.column == column and item.looked]
    rows = max(table.rows_source or 0, table.rows_target or 0)
    if not of_it or not rows:
        return None
    # Of the changed rows some were looked at; what they show is taken for all.
    changed = sum(item.rows for item in of_it) / max(item.looked for item in of_it) * table.changed
    return min(1.0, changed / rows)


@dataclass(frozen=True)
class TableHops:
    """A table with its verdicts by hop."""

    path: Path
    segment: str
    hops: "Mapping[str, TableVerdict]"

    @property
    def name(self) -> str:
        """As it is shown."""
        return ".".join(self.path)

    @cached_property
    def verdict(self) -> str:
        """The worst of its hops."""
        return worst_verdict(table.verdict for table in self.hops.values())

    @cached_property
    def states(self) -> dict[str, str]:
        """The worst state of each column over the hops, in the order of the columns."""
        names = dict.fromkeys(name for table in self.hops.values() for name in table.columns)
        return {
            name: worst_state(table.columns[name] for table in self.hops.values() if name in table.columns)
            for name in names
        }

    @cached_property
    def alike(self) -> Alike | None:
        """The rows alike on the hop where fewest are."""
        known = [found for table in self.hops.values() if (found := alike_rows(table)) is not None]
        return min(known, key=lambda found: found.share, default=None)

    @property
    def state(self) -> str:
        """One word for its mark: its verdict, and of what is the same the worst state of its columns."""
        return self.verdict if self.verdict != "same" else worst_state(self.states.values() or ("proven",))

    def rows(self, side: str) -> int | None:
        """How many rows a side holds."""
        for hop, table in self.hops.items():
            before, after = hop.split("-")
            if side == before and table.rows_source is not None:
                return table.rows_source
            if side == after and table.rows_target is not None:
                return table.rows_target
        return None


@dataclass(frozen=True)
class SegmentHops:
    """The tables of a segment, worst first."""

    name: str
    tables: tuple[TableHops, ...] = field(default=())

    @property
    def verdict(self) -> str:
        """The worst of its tables."""
        return worst_verdict(table.verdict for table in self.tables)

    def alike(self, hop: str) -> Alike | None:
        """The rows alike on a hop; None where it is known of no table."""
        known = [alike_rows(table.hops[hop]) for table in self.tables if hop in table.hops]
        found = [item for item in known if item is not None]
        return sum(found[1:], found[0]) if found else None

    def rows(self, side: str) -> int | None:
        """How many rows a side holds; None where it is known of no table."""
        known = [rows for table in self.tables if (rows := table.rows(side)) is not None]
        return sum(known) if known else None

    @property
    def states(self) -> dict[str, int]:
        """How many columns are in which state at worst."""
        counts = Counter(state for table in self.tables for state in table.states.values())
        return {state: counts[state] for state in COLUMN_STATES}


def by_table(tables: "Sequence[TableVerdict]", segments: Mapping[Path, str]) -> tuple[TableHops, ...]:
    """The tables with their hops, worst first, otherwise by name."""
    found: dict[Path, dict[str, TableVerdict]] = {}
    for table in tables:
        found.setdefault((table.database, table.table), {})[table.hop] = table
    made = [
        TableHops(path, segments.get(path, ""), {hop: hops[hop] for hop in HOPS if hop in hops})
        for path, hops in found.items()
    ]
    return tuple(sorted(made, key=_order))


def by_segment(tables: Sequence[TableHops]) -> tuple[SegmentHops, ...]:
    """The segments, worst first."""
    found: dict[str, list[TableHops]] = {}
    for table in tables:
        found.setdefault(table.segment, []).append(table)
    made = [SegmentHops(name, tuple(of_it)) for name, of_it in found.items()]
    return tuple(sorted(made, key=lambda segment: (WORST_VERDICTS.index(segment.verdict), segment.name)))


def _order(table: TableHops) -> tuple[int, float, Path]:
    share = table.alike.share if table.alike else 0.0
    return WORST_VERDICTS.index(table.verdict), share, table.path
