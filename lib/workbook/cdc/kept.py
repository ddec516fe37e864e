"""The rows as the bulk load left them, kept beside the ledger on the target, so that a rollback of the stream has them back."""

from collections.abc import Sequence
from dataclasses import dataclass

from workbook.bulk.ledger import SCHEMA
from workbook.catalog import Catalog, Table
from workbook.names import mysql_path, mysql_string, quote_mysql
from workbook.plan import Journal
from workbook.progress import Progress
from workbook.schema import Scope, read_definitions
from workbook.servers import Server, Session

Path = tuple[str, str]


@dataclass(frozen=True)
class Copy:
    """A table of the target, the copy of its rows, and what makes the table as it was."""

    path: Path
    name: str
    definition: str
    columns: str

    @property
    def statements(self) -> tuple[str, ...]:
        """What brings the table and its rows back, however it is now, foreign keys unchecked."""
        table = mysql_path(*self.path)
        fill = f"INSERT INTO {table} ({self.columns}) SELECT {self.columns} FROM {mysql_path(SCHEMA, self.name)}"
        return f"DROP TABLE IF EXISTS {table}", self.definition, fill


class Kept:
    """The copies of one stream. The register names them once all of them are whole: before that there are none."""

    def __init__(self, target: Server, stream: str):
        self._target, self._stream = target, stream
        self._name = f"cdc_kept_{stream}"
        self.register = mysql_path(SCHEMA, self._name)

    def keep(self, catalog: Catalog, paths: Sequence[Path], journal: Journal) -> None:
        """Copy the rows of these tables on the target, whose catalog is `catalog`, within the server.

        Nobody may write them meanwhile. Copies from before are made anew.
        """
        databases = tuple(sorted({database for database, _ in paths}))
        definitions = read_definitions(self._target, catalog, Scope(databases, tuple(paths)))
        tables = [catalog.table[path] for path in paths if path in catalog.table]
        with self._target.session() as session:
            self._make(
                session,
                journal,
                self._name,
                "(number INT PRIMARY KEY, base VARCHAR(64) COLLATE utf8mb4_bin NOT NULL, tab VARCHAR(64) COLLATE"
                " utf8mb4_bin NOT NULL, definition LONGTEXT NOT NULL, fields LONGTEXT NOT NULL)",
            )
            with Progress(
                "Keeping the rows as they are", sum(table.data_bytes for table in tables), "bytes"
            ) as progress:
                for number, table in enumerate(tables, 1):
                    name = self._copy_name(number)
                    self._make(session, journal, name, f"LIKE {mysql_path(*table.path)}")
                    fields = _fields(table)
                    session.execute(
                        f"INSERT INTO {mysql_path(SCHEMA, name)} ({fields}) SELECT {fields} FROM {mysql_path(*table.path)}"
                    )
                    progress.advance(table.data_bytes, table.name)
            rows = [
                (number, *table.path, definitions.split[table.path].create(table.database), _fields(table))
                for number, table in enumerate(tables, 1)
            ]
            session.execute("START TRANSACTION")
            for row in rows:
                session.execute(f"INSERT INTO {self.register} VALUES (%s, %s, %s, %s, %s)", row)
            session.execute("COMMIT")

    def copies(self) -> tuple[Copy, ...]:
        """The copies that there are, all of them whole."""
        if not self._there():
            return ()
        rows = self._target.rows(f"SELECT * FROM {self.register} ORDER BY number")
        return tuple(
            Copy((row["base"], row["tab"]), self._copy_name(row["number"]), row["definition"], row["fields"])
            for row in rows
        )

    def size(self) -> int:
        """Bytes that the copies take, as the target estimates them."""
        listed = ", ".join(mysql_string(copy.name) for copy in self.copies()) or "NULL"
        return int(
            self._target.scalar(
                "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES"
                f" WHERE TABLE_SCHEMA = {mysql_string(SCHEMA)} AND TABLE_NAME IN ({listed})"
            )
        )

    def bring_back(self) -> int:
        """Make each table and its rows as they were; how many statements it took. One that was cut off is begun anew."""
        done = 0
        with self._target.session() as session:
            session.execute("SET SESSION foreign_key_checks = 0")
            copies = self.copies()
            with Progress("Bringing the rows back", len(copies), "tables") as progress:
                for copy in copies:
                    for statement in copy.statements:
                        session.execute(statement)
                        done += 1
                    progress.advance(1, copy.path[1])
            # From here on the copies may go, one by one: none of them is to be brought back any more.
            if copies:
                session.execute(f"DELETE FROM {self.register}")
        return done

    def forget(self) -> None:
        """Drop the copies: the rows have become others, which they are none of."""
        with self._target.session() as session:
            copies = self.copies()
            if copies:
                session.execute(f"DELETE FROM {self.register}")
            for copy in copies:
                session.execute(f"DROP TABLE IF EXISTS {mysql_path(SCHEMA, copy.name)}")

    def _make(self, session: Session, journal: Journal, name: str, body: str) -> None:
        path = mysql_path(SCHEMA, name)
        number = journal.intend(f"table {path}", f"DROP TABLE IF EXISTS {path}")
        session.execute(f"DROP TABLE IF EXISTS {path}")
        session.execute(f"CREATE TABLE {path} {body}")
        journal.confirm(number)

    def _copy_name(self, number: int) -> str:
        return f"{self._name}_{number}"

    def _there(self) -> bool:
        return bool(
            self._target.scalar(
                "SELECT COUNT(*) FROM information_schema.TABLES"
                f" WHERE TABLE_SCHEMA = {mysql_string(SCHEMA)} AND TABLE_NAME = {mysql_string(self._name)}"
            )
        )


def _fields(table: Table) -> str:
    return ", ".join(quote_mysql(column.name) for column in table.stored_columns)
