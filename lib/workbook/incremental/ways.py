"""Which way a table takes tonight, and why: decided from what is known before a row is read, without a connection."""

from dataclasses import dataclass
from typing import Literal

from workbook.catalog import Table
from workbook.incremental.keys import why_not_equal
from workbook.incremental.state import TableState, why_other
from workbook.mapping import TableMap
from workbook.validate.binlog import Touched

Name = Literal["full", "unchanged", "watermark", "binlog", "checksums"]
# What each way does, for the README.
WAYS: dict[Name, str] = {
    "full": "every row is read and replaces what was there",
    "unchanged": "nothing is read",
    "watermark": "rows are read from the highest value of the declared column on; deleted ones are told by counting",
    "binlog": "rows are read by the keys that the target's binlog names since the last load",
    "checksums": "the target adds up the hashes of its rows by key ranges; ranges that are not as they were are read",
}


@dataclass(frozen=True)
class Way:
    """How a table is loaded and why so. `sums`: whether a full load notes the checksums that a later night compares."""

    name: Name
    why: str
    sums: bool = False


@dataclass(frozen=True)
class Known:
    """What is known of a table: its state of the last load, the rows that its raw table holds now (None: there is none).

    `touched` is what the binlog says since (None: nothing names its rows), `unread` why the binlog was not read.
    `renamed` is the table that the warehouse knows with the very same columns and that is not on the target any more.
    """

    before: TableState | None
    rows: int | None = None
    rows_clean: int | None = None
    touched: Touched | None = None
    unread: str = ""
    renamed: str = ""


def why_whole(mapped: TableMap, table: Table, known: Known, now: TableState) -> str:
    """Why a table must be loaded whole whatever changed; nothing where it need not."""
    before = known.before
    if known.renamed and before is None:
        return f"it was renamed: it was loaded as {known.renamed}"
    if known.rows is None or known.rows_clean is None:
        return "it is not in the warehouse yet"
    if before is None:
        return "it is not known from what the warehouse holds of it was loaded"
    if why := why_other(before, now):
        return why
    if before.server != now.server:
        return "the target is another server since"
    return ""


def why_odd(known: Known) -> str:
    """What is wrong where a table did not change and its raw table holds another number of rows."""
    assert known.before is not None
    return f"its raw table holds {known.rows:,} rows, and {known.before.rows:,} were loaded"


def way_of(mapped: TableMap, table: Table, mode: str, known: Known, now: TableState) -> Way:
    """The way of a table; `mode` is that of the mapping or the params."""
    if mode == "full":
        return Way("full", "the mode is full")
    read_all = mode == "checksums"
    if why := why_whole(mapped, table, known, now):
        return Way("full", why, sums=read_all or (not mapped.watermark and bool(known.unread)))
    assert known.before is not None
    if mapped.watermark:
        unknown = why_not_equal(mapped, table)
        if not unknown:
            return Way("watermark", f"{mapped.watermark} tells what changed")
        return Way("full", f"its watermark is of no use: {unknown}")
    if not read_all and not known.unread:
        if known.before.gtids == now.gtids:
            return _unchanged(known, "nothing was executed on the target since")
        if known.touched is None or not (known.touched.full or known.touched.keys):
            return _unchanged(known, "the target's binlog names none of its rows")
        if not known.touched.full:
            unknown = why_not_equal(mapped, table)
            if not unknown:
                return Way("binlog", f"the target's binlog names {len(known.touched.keys):,} of its rows")
            return _by_sums(known, unknown)
        return _by_sums(known, known.touched.full)
    return _by_sums(known, "the mode is checksums" if read_all else known.unread)


def _unchanged(known: Known, why: str) -> Way:
    assert known.before is not None
    return Way("unchanged", why) if known.rows == known.before.rows else Way("full", why_odd(known))


def _by_sums(known: Known, why: str) -> Way:
    assert known.before is not None
    if known.before.ranges:
        return Way("checksums", why)
    return Way("full", f"{why}, and no checksums of it were kept", sums=True)


def markdown() -> str:
    """The ways as a Markdown table, for the README."""
    return "\n".join(
        ["| way | what is read |", "| --- | --- |", *(f"| `{name}` | {what} |" for name, what in WAYS.items())]
    )
