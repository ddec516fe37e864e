"""What load and stream of the warehouse share, in `_workbook` on the target: the outbox, and how far each table has come.

The applier writes each row that it changed into the outbox, in the transaction that changed it. A *leg* is the way of one
table from there into the warehouse: `wanted` tells the applier to write it, and while it is `stopped` nothing is merged. A
load begins every leg anew: it has it written first, waits for the transaction under way, and then takes its picture.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbook.catalog import Table
from workbook.errors import Refused
from workbook.mapping import cleaning
from workbook.mapping.objects import TableMap
from workbook.mapping.types import RULES
from workbook.names import mysql_path, mysql_string
from workbook.params import Settings
from workbook.plan import Journal
from workbook.servers import Server, Session

if TYPE_CHECKING:
    from workbook.warehouse.extract import Snapshot

# The schema of the workbook's own tables on the target (bulk/ledger.py, which stands on this room's level).
SCHEMA = "_workbook"
_RULE = {rule.name: rule for rule in RULES}
_LOCK_SECONDS = 600
_UNLOADED = "a load of the warehouse began and has not ended"
_UNHEARD = "the running stream was started without cdc.warehouse: stop it, start it again, then load the warehouse"


@dataclass(frozen=True)
class Leg:
    """The way of one table of the target into the warehouse.

    `merged` is the number of the last change that the warehouse's table holds, and `gtids` the state of the target that it
    shows. Changes up to `pending` are in the log; those not merged were committed on the source between `first` and `last`
    (Unix seconds), touch partitions from `low` to `high` (`nulls`: and that of NULL), and follow the last TRUNCATE, number
    `truncated`.
    """

    number: int
    path: tuple[str, str]
    layout: str
    wanted: bool
    stopped: str
    merged: int
    gtids: str
    pending: int
    truncated: int
    first: float | None
    last: float | None
    low: int | None
    high: int | None
    nulls: bool

    @property
    def waiting(self) -> bool:
        """Whether the log holds changes that were not merged."""
        return self.pending > self.merged and self.first is not None


class Streamed:
    """The outbox and the legs of one environment."""

    def __init__(self, target: Server, environment: str):
        self.target = target
        self.outbox = mysql_path(SCHEMA, f"cdc_outbox_{environment}")
        self.legs = mysql_path(SCHEMA, f"cdc_legs_{environment}")
        self.drain = mysql_path(SCHEMA, f"cdc_drain_{environment}")
        self._chunks = mysql_path(SCHEMA, f"chunks_{environment}")
        self._applied = f"{mysql_path(SCHEMA, 'cdc_applied')} WHERE stream = {mysql_string(environment)}"
        self._names = [f"cdc_{kind}_{environment}" for kind in ("outbox", "legs", "drain")]
        self._lock = f"workbook_warehouse_{environment}"
        self.applier_lock = f"workbook_cdc_{environment}"
        self.writer_lock = f"workbook_outbox_{environment}"

    def exists(self) -> bool:
        """Whether the tables are on the target."""
        found = self.target.scalar(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN (%s, %s, %s)",
            (SCHEMA, *self._names),
        )
        return int(found) == 3

    def create(self, journal: Journal) -> None:
        """Make the tables where they are not there."""
        if self.exists():
            return
        statements = (
            (f"database {mysql_path(SCHEMA)}", f"CREATE DATABASE IF NOT EXISTS {mysql_path(SCHEMA)}", None),
            (
                f"table {self.outbox}",
                f"CREATE TABLE IF NOT EXISTS {self.outbox} (seq BIGINT AUTO_INCREMENT PRIMARY KEY, leg SMALLINT UNSIGNED NOT"
                " NULL, layout CHAR(16) NOT NULL, op CHAR(1) NOT NULL, file BIGINT NOT NULL, pos BIGINT NOT NULL,"
                " within BIGINT NOT NULL, committed DOUBLE NOT NULL, gtid VARCHAR(120) NOT NULL, old VARBINARY(24) NOT NULL,"
                " image LONGBLOB)",
                f"DROP TABLE IF EXISTS {self.outbox}",
            ),
            (
                f"table {self.drain}",
                f"CREATE TABLE IF NOT EXISTS {self.drain} (one TINYINT PRIMARY KEY, epoch CHAR(16) NOT NULL, intended BIGINT,"
                " skipped BIGINT NOT NULL, committed DOUBLE NOT NULL, merged_at DOUBLE NOT NULL, told LONGTEXT NOT NULL)",
                f"DROP TABLE IF EXISTS {self.drain}",
            ),
            (
                f"table {self.legs}",
                f"CREATE TABLE IF NOT EXISTS {self.legs} (leg SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,"
                " base VARCHAR(64) COLLATE utf8mb4_bin NOT NULL, name VARCHAR(64) COLLATE utf8mb4_bin NOT NULL,"
                " layout CHAR(16) NOT NULL, wanted BOOLEAN NOT NULL, stopped TEXT, armed_at DATETIME(3) NOT NULL, merged BIGINT NOT NULL DEFAULT 0,"
                " gtids LONGTEXT NOT NULL, pending BIGINT NOT NULL DEFAULT 0, truncated BIGINT NOT NULL DEFAULT 0,"
                " first_at DOUBLE, last_at DOUBLE, low BIGINT, high BIGINT, nulls BOOLEAN NOT NULL DEFAULT FALSE,"
                " UNIQUE KEY (base, name))",
                f"DROP TABLE IF EXISTS {self.legs}",
            ),
        )
        with self.target.session() as session:
            for name, statement, undo in statements:
                number = journal.intend(name, undo)
                session.execute(statement)
                journal.confirm(number)
            # The epoch tells what this outbox numbers from what one before it numbered.
            session.execute(f"INSERT IGNORE INTO {self.drain} VALUES (1, HEX(RANDOM_BYTES(8)), NULL, 0, 0, 0, '')")

    @contextmanager
    def held(self, seconds: int) -> Iterator[Session]:
        """The lock that every load and merge of this warehouse holds. Raises Refused where another has it so long."""
        with self.target.session() as session:
            if session.scalar("SELECT GET_LOCK(%s, %s)", (self._lock, seconds)) != 1:
                raise Refused(
                    "Another process is at work on this warehouse: a load or a merge.",
                    "Two at once would each take the other's rows for old ones.",
                    "Wait until it has ended; on the target SHOW PROCESSLIST shows who holds the lock.",
                )
            yield session

    def read(self, session: Session) -> tuple[Leg, ...]:
        """All legs as they stand."""
        rows = session.rows(f"SELECT * FROM {self.legs} ORDER BY leg")
        return tuple(
            Leg(
                number=row["leg"],
                path=(row["base"], row["name"]),
                layout=row["layout"],
                wanted=bool(row["wanted"]),
                stopped=row["stopped"] or "",
                merged=row["merged"],
                gtids=row["gtids"],
                pending=row["pending"],
                truncated=row["truncated"],
                first=row["first_at"],
                last=row["last_at"],
                low=row["low"],
                high=row["high"],
                nulls=bool(row["nulls"]),
            )
            for row in rows
        )

    def states(self) -> dict[tuple[str, str], str]:
        """The state of the target (a GTID set) that the warehouse shows of each table which the stream has brought up to it."""
        if not self.exists():
            return {}
        rows = self.target.rows(f"SELECT base, name, gtids FROM {self.legs} WHERE gtids <> ''")
        return {(row["base"], row["name"]): row["gtids"] for row in rows}

    def stop(self, reason: str, leg: int | None = None) -> None:
        """Stop a leg, or all, until the next load; at once and for good, whatever becomes of a transaction under way."""
        only = "wanted" if leg is None else f"leg = {leg:d}"
        self.target.execute(f"UPDATE {self.legs} SET wanted = FALSE, stopped = %s WHERE {only}", (reason,))

    def taken_back(self, reason: str) -> None:
        """The warehouse shows an earlier state of all tables: leave them to the next load, and forget what they showed."""
        self.target.execute(
            f"UPDATE {self.legs} SET stopped = IF(wanted OR stopped IS NULL, %s, stopped), wanted = FALSE, gtids = ''",
            (reason,),
        )

    def leave(self, tables: Mapping[tuple[str, str], str]) -> None:
        """Leave tables of the target to the next load, each with the reason: their rows did not come by changes."""
        with self.target.session() as session:
            for (base, name), why in tables.items():
                session.execute(
                    f"INSERT INTO {self.legs} (base, name, layout, wanted, stopped, armed_at, gtids) VALUES (%s, %s, '', FALSE,"
                    " %s, UTC_TIMESTAMP(3), '') AS fresh ON DUPLICATE KEY UPDATE wanted = FALSE, stopped = fresh.stopped",
                    (base, name, why),
                )

    def begin_anew(self) -> None:
        """The stream begins at a new bulk load: forget what waits, and stop the legs that were loaded before it."""
        with self.target.session() as session:
            session.execute(f"DELETE FROM {self.outbox}")
            last = session.scalar(f"SELECT COALESCE(MAX(loaded_at), UTC_TIMESTAMP(3)) FROM {self._chunks}")
            session.execute(
                f"UPDATE {self.legs} SET wanted = FALSE, stopped = %s WHERE armed_at <= %s",
                ("the rows on Cloud SQL were loaded anew: load the warehouse too", last),
            )


@contextmanager
def load_marks(
    target: Server, settings: Settings, journal: Journal, pairs: Sequence[tuple[TableMap, Table]]
) -> Iterator["LoadMarks"]:
    """Hold the warehouse's lock for a load of these tables, and have the applier write their legs from now on."""
    streamed = Streamed(target, settings.environment)
    if settings.cdc.warehouse:
        streamed.create(journal)
    if not streamed.exists():
        yield LoadMarks(streamed, None, [])
        return
    with streamed.held(_LOCK_SECONDS) as session:
        marks = LoadMarks(streamed, session, pairs)
        marks.arm()
        yield marks


class LoadMarks:
    """What a load notes of itself for the stream; nothing where no stream goes on into the warehouse."""

    def __init__(self, streamed: Streamed, session: Session | None, pairs: Sequence[tuple[TableMap, Table]]):
        self._streamed, self._session, self._pairs = streamed, session, pairs
        self._seen = 0

    def arm(self) -> None:
        """Have the applier write the legs of these tables, and wait for the transaction that it has under way."""
        assert self._session is not None
        session, legs = self._session, self._streamed.legs
        there = {leg.path: leg for leg in self._streamed.read(session)}
        for mapped, table in self._pairs:
            shape, why = layout(mapped, table), unfit(mapped, table)
            known = there.get(table.path)
            # A leg that was followed so far stays good if this load does not end: what it replaced is only newer.
            good = known is not None and known.wanted and known.layout == shape and not known.stopped
            session.execute(
                f"INSERT INTO {legs} (base, name, layout, wanted, stopped, armed_at, gtids) VALUES (%s, %s, %s, %s, %s,"
                " UTC_TIMESTAMP(3), '') AS fresh ON DUPLICATE KEY UPDATE layout = fresh.layout, wanted = fresh.wanted,"
                " stopped = fresh.stopped, armed_at = fresh.armed_at",
                (*table.path, shape, not why, why or (None if good else _UNLOADED)),
            )
        session.execute("START TRANSACTION")
        if session.scalar(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'cdc_applied'",
            (SCHEMA,),
        ):
            session.rows(f"SELECT stream FROM {self._streamed._applied} FOR UPDATE")
        session.execute("COMMIT")

    def seen(self, taken: "Snapshot") -> None:
        """Note how many changes of the outbox the picture shows."""
        if self._session is None:
            return
        with taken.readers[0].connection.cursor() as cursor:
            cursor.execute(f"SELECT COALESCE(MAX(seq), 0) FROM {self._streamed.outbox}")
            self._seen = int((cursor.fetchone() or (0,))[0])

    def loaded(self, gtids: str) -> None:
        """Note that the warehouse's tables are those of the picture."""
        if self._session is None:
            return
        applier = self._session.scalar("SELECT IS_USED_LOCK(%s)", (self._streamed.applier_lock,))
        writer = self._session.scalar("SELECT IS_USED_LOCK(%s)", (self._streamed.writer_lock,))
        unheard = _UNHEARD if applier is not None and writer != applier else None
        for _, table in self._pairs:
            # What is in the log was taken from the outbox before this load held the lock.
            self._session.execute(
                f"UPDATE {self._streamed.legs} SET merged = GREATEST(merged, pending, %s), gtids = %s, first_at = NULL,"
                " last_at = NULL, low = NULL, high = NULL, nulls = FALSE, stopped = IF(wanted, %s, stopped)"
                " WHERE base = %s AND name = %s",
                (self._seen, gtids, unheard, *table.path),
            )


def layout(mapped: TableMap, table: Table) -> str:
    """What names the columns of a leg and how they travel: another is another table in the warehouse."""
    parts: tuple[Any, ...] = (
        mapped.warehouse_name,
        [(column.name, column.warehouse_name, column.rule, column.clean) for column in mapped.columns],
        (mapped.partition_by, mapped.partition_unit, mapped.cluster_by, mapped.dedupe, mapped.reject),
        [(name, table.column[name].type, table.column[name].charset) for name in mapped.column if name in table.column],
        table.key,
    )
    if mapped.orphans:
        parts += (cleaning.clean_select(mapped, "raw"),)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def unfit(mapped: TableMap, table: Table) -> str:
    """Why the rows of a table cannot be found again in the warehouse by their key; empty where they can."""
    if not table.key:
        return "it has no key"
    for name in table.key:
        if name not in mapped.column:
            return f"the column {name!r} of its key is not in the warehouse"
        if _RULE[mapped.column[name].rule].warehouse_type == "FLOAT64":
            return f"the column {name!r} of its key is a FLOAT or DOUBLE"
    return ""
