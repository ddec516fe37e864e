"""The proof in the window: while nobody writes, every table in scope must be the same on both sides, and code must be there."""

import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from workbook.catalog import Catalog
from workbook.errors import VerdictFailed
from workbook.mapping import Mapping as DataMapping
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.servers import Server
from workbook.validate.content import Servers
from workbook.validate.delta import Earlier, compare_since, cursor_of, since
from workbook.validate.result import TableVerdict
from workbook.validate.touched import place


@dataclass(frozen=True)
class Proven:
    """The verdicts of all tables, and how they were proven."""

    tables: tuple[TableVerdict, ...]
    how: str
    seconds: float

    @property
    def bad(self) -> tuple[TableVerdict, ...]:
        """Tables that are not the same."""
        return tuple(item for item in self.tables if item.verdict != "same")

    @property
    def rows(self) -> int:
        """Rows that were proven, on the source."""
        return sum(item.rows_source or 0 for item in self.tables)

    def asdict(self) -> dict[str, Any]:
        """Plain values, for the ledger."""
        return {
            "tables": len(self.tables),
            "rows": self.rows,
            "how": self.how,
            "seconds": self.seconds,
            "bad": [f"{mysql_path(item.database, item.table)}: {item.verdict} {item.why}".strip() for item in self.bad],
        }


def prove(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: DataMapping,
    settings: Settings,
    earlier: Earlier,
    left_out: Collection[str] = (),
) -> Proven:
    """Compare the content of every table in scope, but for those `left_out` of the way back. Nothing is written."""
    began = time.monotonic()
    cursor, unknown = None, ""
    if settings.validate_.mode == "delta":
        cursor, unknown = cursor_of((place(source), place(target)), catalog, mapping, None, settings)
        # The warehouse says nothing of this hop.
        cursor = cursor and {**cursor, "warehouse": earlier.cursor.get("warehouse", cursor["warehouse"])}
    known = since(earlier, cursor, unknown, source, target, catalog, mapping, settings)
    servers = Servers(source, target, None)
    items = [item for item in mapping.in_scope if mysql_path(*item.path) not in left_out]
    with ThreadPoolExecutor(settings.validate_.workers) as pool:
        found = list(
            pool.map(
                lambda item: compare_since(known, servers, catalog.table[item.path], item, settings)[0][0],
                sorted(items, key=lambda item: -catalog.table[item.path].data_bytes),
            )
        )
    touched = known.asked == "delta" and not known.why
    how = "rows touched since the last good verdict" if touched else "every row"
    return Proven(tuple(found), how + (f" ({known.why})" if known.why else ""), time.monotonic() - began)


def refuse_different(proven: Proven) -> None:
    """Raise VerdictFailed where a table is not the same on both sides."""
    bad = proven.bad
    if bad:
        named = "; ".join(f"{mysql_path(item.database, item.table)}: {item.verdict}{_why(item)}" for item in bad[:5])
        raise VerdictFailed(
            f"While nobody wrote, {len(bad)} of {len(proven.tables)} tables were not the same: {named}.",
            "What opened now would not be what was closed.",
            "Find out what differs (workbook run validate names each row), mend it, then run the cutover again.",
        )


def _why(item: TableVerdict) -> str:
    counts: Mapping[str, int] = {"missing": item.missing, "extra": item.extra, "changed": item.changed}
    words = [f"{count} {name}" for name, count in counts.items() if count]
    return f" ({'; '.join(filter(None, (', '.join(words), item.why)))})" if words or item.why else ""
