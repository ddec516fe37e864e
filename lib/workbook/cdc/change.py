"""A change of the source as every transport hands it to the applier, read from Debezium's JSON."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

Row = Mapping[str, Any]
Path = tuple[str, str]
#: Number in the binlog's file name, position, number within the transaction. Compared as numbers, never as text.
Order = tuple[int, int, int]
NOWHERE: Order = (0, 0, 0)


class Change(NamedTuple):
    """One change: `op` is c (row made), u (changed), d (gone), t (TRUNCATE) or ddl.

    `before` and `after` are the row's images as Debezium writes them, by the source's column names. `order` is total
    over all changes of a source. `transaction` is the GTID, `at` when the source committed (Unix seconds).
    """

    op: str
    path: Path
    order: Order
    before: Row | None = None
    after: Row | None = None
    transaction: str = ""
    at: float = 0.0
    statement: str = ""

    @property
    def barrier(self) -> bool:
        """Whether it touches a table as a whole: what came before is applied first, what comes after waits."""
        return self.op in ("t", "ddl")

    def asdict(self) -> dict[str, Any]:
        """Plain values, from which `from_dict` makes the change again."""
        return self._asdict()


def from_dict(values: Mapping[str, Any]) -> Change:
    """A change from its plain values."""
    content = dict(values)
    content["path"], content["order"] = tuple(content["path"]), tuple(content["order"])
    return Change(**content)


class Mark(NamedTuple):
    """What is no change of a row: `begin` and `end` of a transaction, and the `beat` of a heartbeat."""

    kind: str
    transaction: str = ""
    events: int = 0
    at: float = 0.0


def file_number(name: str) -> int:
    """The number that a binlog file's name ends with; 0 where there is none."""
    digits = name.rpartition(".")[2]
    return int(digits) if digits.isdigit() else 0


def read(text: str | bytes) -> Change | Mark | None:
    """What one message of Debezium says; None for a message that says nothing of rows (of its own bookkeeping)."""
    content = json.loads(text)
    if content is None:
        return None
    source = content.get("source")
    if source is None:
        if "status" in content:
            kind = "begin" if content["status"] == "BEGIN" else "end"
            return Mark(kind, _gtid(content["id"]), int(content.get("event_count") or 0), content["ts_ms"] / 1000)
        return Mark("beat", at=content.get("ts_ms", 0) / 1000)
    at = (source.get("ts_ms") or 0) / 1000
    place = file_number(source.get("file") or ""), int(source.get("pos") or 0)
    if source.get("snapshot") not in (None, "false", False):
        return None  # the schema history that the first start makes
    if "ddl" in content:
        table = source.get("table") or ""
        return Change(
            "ddl",
            (content.get("databaseName") or source.get("db") or "", table.split(",")[0]),
            (*place, 0),
            transaction=source.get("gtid") or "",
            at=at,
            statement=content["ddl"] or "",
        )
    op = content["op"]
    within = content.get("transaction") or {}
    return Change(
        "c" if op == "r" else op,
        (source["db"], source["table"]),
        (*place, int(within.get("total_order") or 0)),
        content.get("before"),
        content.get("after"),
        source.get("gtid") or "",
        at,
    )


def _gtid(identity: str) -> str:
    # Without GTIDs Debezium names a transaction by file and position.
    return identity if ":" in identity and "-" in identity else ""
