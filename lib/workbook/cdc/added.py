"""Tables that come later: their rows from one picture of the source, the stream brought to that very picture, and from there
on they are followed like all others. Nothing is loaded again but these tables."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from workbook.bulk.landing import Landing
from workbook.bulk.ledger import ChunkLedger
from workbook.bulk.load import load
from workbook.bulk.result import BulkResult
from workbook.bulk.salts import tokens_of
from workbook.bulk.snapshot import Snapshot
from workbook.catalog import Catalog, read_catalog
from workbook.cdc.change import Path as TablePath
from workbook.cdc.follow import Follower
from workbook.cdc.history import HISTORY, add_definitions, without_counter
from workbook.cdc.ledger import Ledger
from workbook.cdc.partial import READ_SO_FAR
from workbook.cdc.readiness import silent_cascades
from workbook.cdc.setup import drop_triggers
from workbook.cdc.tables import plans, target_catalog
from workbook.cdc.until import Until
from workbook.cdc.waiting import Waiting
from workbook.errors import Refused, TerminalError, UsageError, WorkbookError
from workbook.mapping import Mapping as MappingInForce
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.plan import Journal, apply
from workbook.schema import SchemaPlan, converted_columns, plan_schema
from workbook.servers import Server
from workbook.warehouse.streamed import Streamed

_ACTING = {"CASCADE", "SET NULL"}
_LATE_LEG = "its rows came beside the stream: load the warehouse"


def chosen(words: Iterable[str], catalog: Catalog, mapping: MappingInForce) -> tuple[TablePath, ...]:
    """The tables that `words` name, as database.table or with each name in backticks.

    Raises UsageError where there is no such table, or two of them; Refused where one is not in scope.
    """
    found: list[TablePath] = []
    scope = {item.path for item in mapping.in_scope}
    for word in words:
        paths = [path for path in catalog.table if word in (".".join(path), mysql_path(*path))]
        if not paths:
            near = get_close_matches(word, [".".join(path) for path in catalog.table], n=1, cutoff=0.5)
            raise UsageError(
                f"The source has no table {word!r}." + (f" Did you mean {near[0]}?" if near else ""),
                "Nothing was added.",
                "Name tables as database.table, in databases that the params name under source.databases.",
            )
        if len(paths) > 1:
            raise UsageError(
                f"{word!r} may mean {' or '.join(mysql_path(*path) for path in paths)}.",
                "Nothing was added.",
                "Put both names in backticks, and the whole in quotes for the shell.",
            )
        if paths[0] not in scope:
            raise Refused(
                f"The table {mysql_path(*paths[0])} is not in the scope of the mapping.",
                "Where it goes, and what becomes of its rows on the way, is for the mapping to say.",
                "Have it taken in (workbook run map), or write it under a segment whose scope is in; then add it again.",
            )
        found += paths
    return tuple(dict.fromkeys(found))


@dataclass
class Adding:
    """One addition of some tables, the stream standing still and nobody else at work on it."""

    source: Server
    target: Server
    catalog: Catalog
    mapping: MappingInForce
    settings: Settings
    journal: Journal
    owned: set[str]
    folder: Path
    tables: tuple[TablePath, ...]
    say: Callable[[str], None]

    def carry_out(self) -> BulkResult:
        """Load the tables and have them followed; one that was cut off is finished by carrying it out again.

        Until the last step nothing of them is followed. Raises Refused before a row is written, and where a definition
        changes on the way.
        """
        self._refuse()
        before = self._definitions()
        # Read once more behind the definitions: if these are the same at the end, they are those of the load.
        self.catalog = read_catalog(self.source, self.settings.source.databases)
        self._make()
        self._refuse_blocked()
        streamed = Streamed(self.target, self.settings.environment)
        if streamed.exists():
            streamed.leave({self.mapping.tables[path].target_path: _LATE_LEG for path in self.tables})
        if self.settings.cdc.transport == "pubsub":
            # What a pipeline elsewhere still has of the last start counts no more.
            Waiting(self.settings.environment).begin_epoch(self.target)
        bulk = self.settings.bulk.model_copy(update={"runner": "local"})
        loaded = load(
            self.source,
            self.target,
            self.catalog,
            self.mapping,
            self.settings.model_copy(update={"bulk": bulk}),
            self.journal,
            self.owned,
            Landing(only=frozenset(self.tables), landed=self._catch_up),
        )
        if self._definitions() != before:
            raise Refused(
                f"The definition of {self._named} has changed on the source while it was loaded.",
                "The changes that follow could be read by the wrong columns.",
                "Add it again; nothing of it is followed yet.",
            )
        add_definitions(self.folder / HISTORY, before)
        (self.folder / READ_SO_FAR).unlink(missing_ok=True)
        drop_triggers(self.target, [self.mapping.tables[path].target_path for path in self.tables], self.journal)
        self._ledger.take_up(self.target, self.tables)
        return loaded

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.settings.environment)

    @property
    def _named(self) -> str:
        return ", ".join(mysql_path(*path) for path in self.tables)

    def _refuse(self) -> None:
        followed = self._ledger.followed(self.target)
        for path in self.tables:
            if path in followed:
                raise Refused(
                    f"The table {mysql_path(*path)} is followed already.",
                    "Its rows are those of the source as far as the stream is.",
                    "To load everything anew: workbook run bulk_load cdc -p FILE",
                )
        if silent_cascades(self.catalog.version, self.catalog.variables):
            for table in self.catalog.tables:
                for key in table.foreign_keys:
                    parent = key.parent_database, key.parent_table
                    acting = {key.on_delete.upper(), key.on_update.upper()} & _ACTING
                    if acting and parent in self.tables and table.path in followed:
                        raise Refused(
                            f"Rows of {mysql_path(*table.path)} follow the keys of {mysql_path(*parent)}, which was not"
                            " followed so far, and the source does not log what its foreign keys do.",
                            f"What they did to {mysql_path(*table.path)} since the load is not known.",
                            "Load again: workbook run schema bulk_load cdc -p FILE",
                        )
        for path in self.tables:
            there = self.mapping.tables[path].target_path
            foreign = self._exists(there) and f"rows of {mysql_path(*there)}" not in self.owned
            if foreign and self.target.rows(f"SELECT 1 AS one FROM {mysql_path(*there)} LIMIT 1"):
                raise Refused(
                    f"The table {mysql_path(*there)} on the target holds rows that the workbook did not bring.",
                    "They would be replaced by the source's.",
                    "Empty it, or move it away, on the target; then add it again.",
                )

    def _exists(self, path: TablePath) -> bool:
        return bool(
            self.target.scalar(
                "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s", path
            )
        )

    def _definitions(self) -> dict[TablePath, str]:
        """How the source defines the tables now, but for their counters."""
        found = {}
        with self.source.session() as session:
            for path in self.tables:
                (row,) = session.rows(f"SHOW CREATE TABLE {mysql_path(*path)}")
                found[path] = without_counter(str(row["Create Table"]))
        return found

    def _make(self) -> None:
        """Make the tables on the target where they are not there as the mapping wants them."""
        planned = self._planned()
        apply(planned, self.target, _NotAgain(self.journal, self.owned))
        self.owned |= {step.object for step in planned.steps}

    def _planned(self) -> SchemaPlan:
        about = self.source, self.target, self.catalog, self.mapping, self.owned
        try:
            return plan_schema(*about, only=self.tables)
        except Refused:
            ends = [self.mapping.tables[path].target_path for path in self.tables]
            ours = [path for path in ends if self._exists(path) and f"table {mysql_path(*path)}" in self.owned]
            if not ours:
                raise
            # What would be in the way of new ones, too, is refused here.
            plan_schema(*about, only=self.tables, anew=True)
            # Others than the source's now, as those that a change of definition has stopped: their rows go in any case.
            self._forget_load()
            with self.target.session() as session:
                session.execute("SET SESSION foreign_key_checks = 0")
                for path in ours:
                    session.execute(f"DROP TABLE IF EXISTS {mysql_path(*path)}")
            return plan_schema(*about, only=self.tables)

    def _forget_load(self) -> None:
        """An addition that was cut off cannot go on: its tables are made anew."""
        name = Landing(only=frozenset(self.tables)).ledger(self.settings.environment)
        try:
            self.target.execute(f"DELETE FROM {ChunkLedger(self.target, name).loads}")
        except WorkbookError as error:
            if error.code not in (1049, 1146):
                raise

    def _refuse_blocked(self) -> None:
        items = {path: self.mapping.tables[path] for path in self.tables}
        found = plans(
            self.catalog,
            target_catalog(self.target, self.mapping),
            self.mapping,
            dict.fromkeys(self.tables, 0),
            {path: tokens_of(self.catalog.table[path], item, self.settings) for path, item in items.items()},
            lambda item: converted_columns(self.catalog.table[item.path], item.target),
            silent_cascades(self.catalog.version, self.catalog.variables),
        )
        for path in self.tables:
            if found[path].blocked:
                raise Refused(
                    f"The table {mysql_path(*path)} cannot be followed: {found[path].blocked}.",
                    "Its rows would stay those of one moment.",
                    "Mend it on the source or in the mapping, or take it out of scope; then add it again.",
                )

    def _catch_up(self, snapshot: Snapshot) -> None:
        """Bring all other tables to the picture that these were loaded from, and not a change further.

        The foreign keys of these tables are away still, so that what is done to their parents on the way leaves them.
        """
        if snapshot.file is None or not snapshot.gtids:
            raise Refused(
                "The source shows no binlog position or no GTID set at the moment of the picture.",
                "The stream could not be brought to it.",
                f"Grant REPLICATION CLIENT to {self.source.user!r} on the source, then add it again.",
            )
        until = Until(snapshot.asdict())
        if until.passed(self._applied):
            self._refuse_passed()
        cdc = self.settings.cdc.model_copy(update={"transport": "direct", "apply": "local"})
        self.say("Bringing the other tables to the same picture")
        Follower(
            self.source,
            self.target,
            self.catalog,
            self.mapping,
            self.settings.model_copy(update={"cdc": cdc}),
            self.folder,
            self.say,
        ).run(lambda: False, until=until)
        if not until.at(self._applied):
            self._refuse_passed()

    @property
    def _applied(self) -> str:
        position = self._ledger.position(self.target)
        assert position is not None
        return position.gtids

    def _refuse_passed(self) -> None:
        raise TerminalError(
            f"Changes were applied that the picture of {self._named} does not show.",
            "Its rows and those of the other tables would not fit together.",
            "End whoever applies them (a pipeline that still reads the subscription), then add it again.",
        )


@dataclass(frozen=True)
class _NotAgain:
    """A journal for tables of which some are the workbook's already: whoever made those first takes them away."""

    journal: Journal
    owned: Collection[str]

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        return -1 if object in self.owned else self.journal.intend(object, undo, server)

    def confirm(self, number: int) -> None:
        if number != -1:
            self.journal.confirm(number)

    def cancel(self, number: int) -> None:
        if number != -1:
            self.journal.cancel(number)
