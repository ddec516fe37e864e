"""One consistent picture of the source for all workers, with the position that change capture goes on from."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from workbook.errors import Refused, WorkbookError
from workbook.servers import Server, Session

_NO_LOCK = (1044, 1045, 1142, 1227)
_LOCK_TIMED_OUT = 1205
# While the lock is waited for, all writers wait behind it: a short wait, a few times.
_LOCK_SECONDS, _LOCK_TRIES, _LOCK_PAUSE_SECONDS = 3, 3, 5.0
# Without the privilege PROCESS only one's own statements are seen.
_RUNS_LONG = (
    "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND IN ('Query', 'Execute') AND TIME > %s"
    " AND ID <> CONNECTION_ID() AND USER <> 'system user'"
)


@dataclass(frozen=True)
class Snapshot:
    """Where the source stood: binlog file and position, executed GTID set, and how the picture was taken."""

    file: str | None
    position: int | None
    gtids: str
    taken: str
    how: str

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def take(source: Server, open_transactions: Callable[[], None], tries: int = 20) -> Snapshot:
    """Have every worker open its transaction while nothing changes, and note the position.

    `open_transactions` returns when all have run START TRANSACTION WITH CONSISTENT SNAPSHOT. With the RELOAD privilege
    a global read lock of some milliseconds holds the writers. Without it, and where statements that run long keep it
    away, the position is read before and after and the transactions are opened again while it moves (`tries` times at
    most, then Refused).
    """
    with source.session() as session:
        unlocked = _locked(session)
        if not unlocked:
            try:
                open_transactions()
                return _noted(session, "under a global read lock", position(session))
            finally:
                session.execute("UNLOCK TABLES")
        for attempt in range(tries):
            before = position(session)
            if before[0] is None and not before[2]:
                raise Refused(
                    f"The account {source.user!r} sees neither the binlog position nor the GTID set of the source.",
                    "Without them nothing proves that the source stood still while the snapshot was taken.",
                    f"Grant RELOAD or REPLICATION CLIENT to {source.user!r}, then run again.",
                )
            open_transactions()
            if before == position(session):
                return _noted(session, f"without a lock ({unlocked}), at attempt {attempt + 1}", before)
            time.sleep(0.05)
    raise Refused(
        f"The source {source.host}:{source.port} changed during each of {tries} attempts to take a consistent picture"
        f" without a lock ({unlocked}).",
        "Tables read at different moments would not fit together.",
        f"Grant RELOAD to {source.user!r}, so that the writers can be held for a moment, or load at a quieter time, when"
        " no statement runs long.",
    )


def _locked(session: Session) -> str:
    """Take the global read lock; why it could not be had, or nothing where it is held."""
    session.execute(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
    for attempt in range(_LOCK_TRIES):
        if attempt:
            time.sleep(_LOCK_PAUSE_SECONDS)
        # A lock that is asked for while a statement runs long keeps everybody from its tables until that ends, even
        # when we have given up.
        if session.scalar(_RUNS_LONG, (_LOCK_SECONDS,)):
            continue
        try:
            session.execute("FLUSH TABLES WITH READ LOCK")
            return ""
        except WorkbookError as error:
            if error.code in _NO_LOCK:
                return "the privilege RELOAD is missing"
            if error.code != _LOCK_TIMED_OUT:
                raise
    return f"a statement runs longer than {_LOCK_SECONDS} s, seen {_LOCK_TRIES} times"


def position(session: Session) -> tuple[str | None, int | None, str]:
    """Binlog file, position and executed GTID set of the source, as far as the account may see them."""
    gtids = session.gtids()
    for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        try:
            rows = session.rows(statement)
        except Exception:  # the older name, or no privilege: the GTID set then stands alone
            continue
        if rows:
            return str(rows[0]["File"]), int(rows[0]["Position"]), gtids
    return None, None, gtids


def _noted(session: Session, how: str, at: tuple[str | None, int | None, str]) -> Snapshot:
    file, place, gtids = at
    return Snapshot(file, place, gtids, str(session.scalar("SELECT UTC_TIMESTAMP(6)")), how)
