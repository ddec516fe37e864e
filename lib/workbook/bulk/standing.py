"""A source that stands still: many machines share no snapshot, so that nothing changes has to be proven instead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbook.errors import Refused, WorkbookError
from workbook.servers import Session

Ask = Callable[[str], Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Standing:
    """A question whose answer changes with every transaction, and its answer: `values` are the first columns of its row."""

    question: str
    values: tuple[str, ...]

    def holds(self, ask: Ask) -> bool:
        """Whether the server answers as it did."""
        return _answer(ask, self.question, len(self.values)) == self.values


def standing(session: Session) -> Standing:
    """Where the source stands, by what can prove it: its GTIDs where every transaction has one, else the binlog position.

    Raises Refused for a replica that goes on applying changes, and where nothing would show a change.
    """
    _refuse_applying(session)

    def ask(sql: str) -> Sequence[Sequence[Any]]:
        return [tuple(row.values()) for row in session.rows(sql)]

    mariadb = session.flavour == "mariadb"
    if mariadb and session.scalar("SELECT @@GLOBAL.log_bin"):
        # What a replica applies shows in the second, whether it writes a binlog of it or not.
        return _at(ask, "SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_slave_pos", 2)
    logged = "SELECT @@GLOBAL.log_bin AND @@GLOBAL.gtid_mode IN ('ON', 'ON_PERMISSIVE')"
    # Without a binlog what is written here gets no GTID.
    if not mariadb and session.scalar(logged):
        return _at(ask, "SELECT @@GLOBAL.gtid_executed", 1)
    for question in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        try:
            if ask(question):
                return _at(ask, question, 2)
        except WorkbookError:  # the name of another version, or no privilege
            continue
    raise Refused(
        f"The source {session.server.host}:{session.server.port} shows neither GTIDs nor a binlog position.",
        "Workers on many machines read it at different moments, and nothing would prove that it stood still meanwhile.",
        "Grant REPLICATION CLIENT and switch its binlog on, or load from one machine (bulk.runner: local).",
    )


def moved() -> Refused:
    """The source has changed while many machines read it."""
    return Refused(
        "The source has changed since the load began.",
        "Workers on many machines share no snapshot: rows of two moments would not fit together.",
        "Read from a source that stands still: a replica after STOP REPLICA SQL_THREAD, a clone of the instance, or the"
        " source itself with its applications stopped. Or load from one machine, which needs none of that"
        " (bulk.runner: local). Then run the phase again.",
    )


def _at(ask: Ask, question: str, width: int) -> Standing:
    return Standing(question, _answer(ask, question, width))


def _answer(ask: Ask, question: str, width: int) -> tuple[str, ...]:
    rows = ask(question)
    values = list(rows[0])[:width] if rows else []
    texts = [value.decode() if isinstance(value, bytes) else str(value or "") for value in values]
    return tuple(text.replace("\n", "") for text in texts)


def _refuse_applying(session: Session) -> None:
    for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
        try:
            rows = session.rows(statement)
        except (
            WorkbookError
        ):  # the name of another version; or it may not be seen, and what is applied shows all the same
            continue
        for row in rows:
            if "Yes" in (row.get("Replica_SQL_Running"), row.get("Slave_SQL_Running")):
                raise Refused(
                    f"The source {session.server.host}:{session.server.port} is a replica that applies changes.",
                    "Workers on many machines share no snapshot: rows of two moments would not fit together.",
                    "Run STOP REPLICA SQL_THREAD on it for the time of the load, or load from one machine"
                    " (bulk.runner: local).",
                )
        return
