"""What each table was loaded from last, kept in the warehouse beside the rows, so that it lives and dies with them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from google.cloud import bigquery

from workbook.bulk.chunks import Key
from workbook.bulk.ledger import key_of, plain_key
from workbook.catalog import Table
from workbook.mapping import TableMap, cleaning
from workbook.mapping.types import ENCODING_VERSION
from workbook.names import bigquery_path

NAME = "_workbook_loaded"
_VERSION = 1
Bounds = tuple[Key | None, Key | None]
Sum = tuple[int, tuple[int, ...]]  # rows, and the pieces of their hash


@dataclass(frozen=True)
class TableState:
    """What the warehouse holds of a table: its definition then, the state of the target (a GTID set) that it was read from.

    `ranges` are the checksums of key ranges where they are known; None for one that was being replaced. `clean` is what
    the clean table was made by.
    """

    path: tuple[str, str]
    columns: tuple[tuple[str, str, str, str], ...]  # name, type, type rule, name in the warehouse
    key: tuple[str, ...]
    clean: str
    server: str
    gtids: str
    rows: int
    rows_clean: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    ranges: Mapping[Bounds, Sum | None] = field(default_factory=dict)
    watermark: str | None = None

    def without(self, ranges: Sequence[Bounds]) -> "TableState":
        """The same before these ranges are replaced: whatever becomes of that, they are read again."""
        return replace(self, ranges={**self.ranges, **dict.fromkeys(ranges)})

    def text(self) -> str:
        """As JSON, without the GTID set."""
        return json.dumps(
            {
                "version": [_VERSION, ENCODING_VERSION],
                "path": self.path,
                "columns": self.columns,
                "key": self.key,
                "clean": self.clean,
                "server": self.server,
                "rows": self.rows,
                "rows_clean": self.rows_clean,
                "rejected": dict(self.rejected),
                "ranges": [[plain_key(low), plain_key(high), found] for (low, high), found in self.ranges.items()],
                "watermark": self.watermark,
            },
            ensure_ascii=False,
        )


def read_state(text: str, gtids: str) -> TableState | None:
    """The state that `TableState.text` wrote; None where another version did."""
    kept: dict[str, Any] = json.loads(text)
    if kept.pop("version", None) != [_VERSION, ENCODING_VERSION]:
        return None
    kept["ranges"] = {
        (key_of(low), key_of(high)): None if found is None else (found[0], tuple(found[1]))
        for low, high, found in kept["ranges"]
    }
    kept |= {"path": tuple(kept["path"]), "columns": tuple(map(tuple, kept["columns"])), "key": tuple(kept["key"])}
    return TableState(gtids=gtids, **kept)


def state_of(mapped: TableMap, table: Table, server: str, gtids: str) -> TableState:
    """The state of a table that is loaded now, as far as its definition tells it; `table` as it is on the target."""
    return TableState(
        path=table.path,
        columns=tuple(
            (column.name, _type(table, column.name), column.rule, column.warehouse_name) for column in mapped.columns
        ),
        key=table.key,
        clean=_made_by(mapped),
        server=server,
        gtids=gtids,
        rows=0,
        rows_clean=0,
    )


def why_other(before: TableState, now: TableState) -> str:
    """Why rows of before do not go together with those of now, in words; nothing where they do."""
    if before.path != now.path:
        return f"it was renamed: it was loaded as {'.'.join(before.path)}"
    then, new = ({column[0]: column[1:] for column in state.columns} for state in (before, now))
    if fresh := [name for name in new if name not in then]:
        return f"column {fresh[0]} is new"
    if gone := [name for name in then if name not in new]:
        return f"column {gone[0]} is gone"
    for name, (kind, rule, warehouse_name) in new.items():
        if then[name][0] != kind:
            return f"column {name} became {kind}, from {then[name][0]}"
        if then[name][1:] != (rule, warehouse_name):
            return f"column {name} is mapped otherwise"
    if before.key != now.key:
        return "its key is another"
    return "" if before.columns == now.columns else "its columns are in another order"


def described(project: str, dataset: str) -> bigquery.Table:
    """The table of states, to be made."""
    columns = [bigquery.SchemaField(name, "STRING") for name in ("name", "gtids", "state")]
    return bigquery.Table(f"{project}.{dataset}.{NAME}", schema=columns)


def read_statement(project: str, dataset: str) -> str:
    """The statement that reads all states."""
    return f"SELECT name, gtids, state FROM {_path(project, dataset)}"


def remember_statement(project: str, dataset: str) -> str:
    """The statement that notes the @state of the table @name, read from @gtids."""
    return (
        f"MERGE INTO {_path(project, dataset)} AS kept\n"
        "USING (SELECT @name AS name, @gtids AS gtids, @state AS state) AS one\nON kept.name = one.name\n"
        "WHEN MATCHED THEN UPDATE SET gtids = one.gtids, state = one.state\n"
        "WHEN NOT MATCHED THEN INSERT (name, gtids, state) VALUES (one.name, one.gtids, one.state)"
    )


def forget_statement(project: str, dataset: str) -> str:
    """The statement that forgets the state of the table @name."""
    return f"DELETE FROM {_path(project, dataset)} WHERE name = @name"


def advance_statement(project: str, dataset: str) -> str:
    """The statement that notes that the tables @names are at @gtids what they were."""
    return f"UPDATE {_path(project, dataset)} SET gtids = @gtids WHERE name IN UNNEST(@names)"


def _path(project: str, dataset: str) -> str:
    return bigquery_path(project, dataset, NAME)


def _type(table: Table, name: str) -> str:
    column = table.column[name]
    return f"{column.type} {column.charset}" if column.charset else column.type


def _made_by(mapped: TableMap) -> str:
    """What decides on the clean table beside the raw one: the statements that make it, and its layout."""
    layout = (
        [mapped.partition_by, mapped.partition_unit, list(mapped.cluster_by)]
        if mapped.partition_by or mapped.cluster_by
        else []
    )
    return json.dumps([cleaning.clean_select(mapped, "raw"), layout])
