"""Kept on the target: the epoch that counts, and messages of it that came before their turn and are too many for memory."""

from collections.abc import Iterable

from workbook.bulk.ledger import SCHEMA
from workbook.cdc.sequence import Piece
from workbook.names import mysql_path
from workbook.plan import Journal
from workbook.servers import Server

_READ_BYTES = 16 << 20


class Waiting:
    """The table of one stream (an environment). The line with number 0 says which epoch counts."""

    def __init__(self, stream: str):
        self.table = mysql_path(SCHEMA, f"cdc_waiting_{stream}")

    def create(self, target: Server, journal: Journal) -> None:
        """Make the table where it is not there."""
        number = journal.intend(f"table {self.table}", f"DROP TABLE IF EXISTS {self.table}")
        target.execute(
            f"CREATE TABLE IF NOT EXISTS {self.table} (epoch BIGINT, number BIGINT, more BOOLEAN NOT NULL,"
            " data LONGBLOB NOT NULL, PRIMARY KEY (epoch, number))"
        )
        journal.confirm(number)

    def begin_epoch(self, target: Server) -> int:
        """Begin an epoch, after which messages of those before count no more.

        It is at least the time in milliseconds, so that messages from before the table was made count no more either.
        """
        with target.session() as session:
            session.execute("START TRANSACTION")
            epoch = int(
                session.scalar(
                    f"SELECT GREATEST(COALESCE(MAX(epoch), 0) + 1, FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)) FROM {self.table}"
                    " FOR UPDATE"
                )
            )
            session.execute(f"DELETE FROM {self.table}")
            session.execute(f"INSERT INTO {self.table} VALUES (%s, 0, FALSE, '')", (epoch,))
            session.execute("COMMIT")
        return epoch

    def epoch(self, target: Server) -> int:
        """The epoch that counts; 0 where none was begun."""
        return int(target.scalar(f"SELECT COALESCE(MAX(epoch), 0) FROM {self.table} WHERE number = 0"))

    def first(self, target: Server, epoch: int) -> int | None:
        """The lowest number that waits, or None."""
        found = target.scalar(f"SELECT MIN(number) FROM {self.table} WHERE epoch = %s AND number > 0", (epoch,))
        return None if found is None else int(found)

    def store(self, target: Server, pieces: Iterable[Piece]) -> None:
        """Keep pieces; those that are there already are passed over."""
        with target.session() as session:
            for piece in pieces:
                session.execute(f"INSERT IGNORE INTO {self.table} VALUES (%s, %s, %s, %s)", tuple(piece))

    def read(self, target: Server, epoch: int, start: int) -> list[Piece]:
        """Pieces without a gap from the number `start` on, as many as fit into memory well."""
        found: list[Piece] = []
        size = 0
        with target.session() as session:
            while size < _READ_BYTES:
                rows = session.rows(
                    f"SELECT more, data FROM {self.table} WHERE epoch = %s AND number = %s", (epoch, start)
                )
                if not rows:
                    break
                found.append(Piece(epoch, start, bool(rows[0]["more"]), bytes(rows[0]["data"])))
                size += len(found[-1].data)
                start += 1
        return found

    def forget(self, target: Server, epoch: int, number: int) -> None:
        """Take away pieces that are applied, up to this number."""
        target.execute(f"DELETE FROM {self.table} WHERE epoch = %s AND number BETWEEN 1 AND %s", (epoch, number))
