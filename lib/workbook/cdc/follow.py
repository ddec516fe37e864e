"""Following the source: engine, applier and watch together, from the noted position until they are stopped."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from workbook.bulk.load import driver_of
from workbook.bulk.salts import tokens_of
from workbook.catalog import Catalog, read_catalog
from workbook.cdc.apply import Applier, Outcome
from workbook.cdc.barriers import Barriers
from workbook.cdc.change import Change, Mark, read
from workbook.cdc.engine import SKIPPED, Batch, Engine, EngineEnded
from workbook.cdc.history import COMPLETE, HISTORY, definitions, mend_history, without_counter
from workbook.cdc.ledger import PERMANENT, RETRYABLE, Ledger, Position
from workbook.cdc.outbox import Outbox
from workbook.cdc.properties import PASSWORD, engine_properties, render
from workbook.cdc.pubsub import PubSub, place
from workbook.cdc.readiness import silent_cascades
from workbook.cdc.relay import Published, Relay, Unread
from workbook.cdc.status import Report
from workbook.cdc.tables import TablePlan, plans, target_catalog
from workbook.cdc.until import Until
from workbook.cdc.waiting import Waiting
from workbook.cdc.watch import Watch
from workbook.errors import Refused, TerminalError, TransientError, WorkbookError
from workbook.gtids import GtidSet
from workbook.mapping import Mapping as MappingInForce
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.schema import converted_columns
from workbook.servers import Server
from workbook.warehouse.streamed import Streamed
from workbook.wire import Wire, WireError, drivers, reader, writer

# A heartbeat comes every four seconds; a start takes long on a busy machine, and the first reads all definitions.
_SILENCE_SECONDS, _START_SECONDS = 30.0, 180.0
_ENGINE_STARTS = 5  # in a row, without a batch in between
Result = TypeVar("Result")
_LOCK_SECONDS = 60
_HALF_SECONDS = 1.0
_KEPT = ("file", "pos", "gtids", "server_id", "ts_sec")


class Follower:
    """Applies the source's changes until `stop` says so, or until the target has caught up or the time is over.

    Raises TerminalError with the reason where the engine cannot go on, TransientError where a server stays away.
    """

    def __init__(
        self,
        source: Server,
        target: Server,
        catalog: Catalog,
        mapping: MappingInForce,
        settings: Settings,
        folder: Path,
        say: Callable[[str], None],
    ):
        self._source, self._target = source, target
        self._catalog, self._mapping, self._settings = catalog, mapping, settings
        self._folder, self._say = folder, say
        self._ledger = Ledger(settings.environment)
        self._waiting = Waiting(settings.environment)
        self._tables = {item.path: item for item in mapping.in_scope}
        self._tokens = {
            item.path: tokens_of(catalog.table[item.path], item, settings)
            for item in mapping.in_scope
            if item.path in catalog.table
        }
        self._driver = driver_of(settings) or drivers()[0]
        self._applier: Applier | None = None
        self._wires: tuple[Wire, ...] = ()
        self._left: Position | None = None
        self._binlog = ""
        self._silent = False
        self._until: Until | None = None
        self.report = Report(folder, settings.environment)
        self._watch = Watch(source, target, self._ledger, mapping, catalog, self.report, folder)

    def run(
        self,
        stop: Callable[[], bool],
        until_caught_up: bool = False,
        seconds: float | None = None,
        until: Until | None = None,
    ) -> Report:
        """Follow the source; what came of it. With `until` to that point and not a change further."""
        self._until = until
        ends = None if seconds is None else time.monotonic() + seconds
        starts, failing = 0, 0.0
        engine: Engine | Published | None = None
        try:
            if self._settings.cdc.apply == "local":
                self._insisting(self.applier)
            while not stop() and (ends is None or time.monotonic() < ends):
                try:
                    if engine is None:
                        engine = self.engine()
                    batches = engine.take(0.2, self._settings.cdc.batch_rows)
                    if not batches and engine.silent() > (_SILENCE_SECONDS if engine.spoke else _START_SECONDS):
                        raise EngineEnded("it has sent no heartbeat")
                    self._plan_anew(batches)
                    batches = self._whole(engine, batches) if batches else batches
                    if isinstance(engine, Published) and (unread := engine.unread()):
                        self._put_aside(engine, unread)
                except EngineEnded as ended:
                    failing = failing or time.monotonic()
                    starts += 1
                    self._ended(engine, ended, starts, time.monotonic() - failing)
                    engine = None
                    continue
                if batches or (self._settings.cdc.apply == "beam" and engine.spoke):
                    starts, failing = 0, 0.0
                if engine.past_history and not self._complete.exists():
                    self._prove_history()
                    self._complete.touch()
                if batches:
                    self.apply(batches)
                    engine.done(batches)
                self._watch.look()
                if until is not None and until.reached and self._complete.exists():
                    break
                if until_caught_up and self.report.caught_up and self._watch.proven and not batches:
                    break
            self.report.end("stopped", "")
        except BaseException as error:
            self.report.end("failed", str(error))
            raise
        finally:
            if engine is not None:
                engine.end()
            self.disconnect()
        return self.report

    def replay(self) -> Outcome:
        """Try all dead letters once more; no engine is needed."""
        try:
            return self._patiently(lambda applier: applier.replay((RETRYABLE, PERMANENT)))
        finally:
            self.disconnect()

    @property
    def _complete(self) -> Path:
        return self._folder / COMPLETE

    def _prove_history(self) -> None:
        """Raise Refused where the first start may have read columns that are not those of the load: it would misread changes."""
        now = self._insisting(lambda: read_catalog(self._source, sorted({path[0] for path in self._tables})))
        followed = self._tables.keys() & self._insisting(lambda: self._ledger.followed(self._target))
        known, changed = definitions(self._folder / HISTORY), []
        for path, table in self._catalog.table.items():
            if path not in followed or (path in now.table and now.table[path].columns == table.columns):
                continue
            names = tuple(column.name for column in table.columns)
            # What changed after it was read comes as a change of definition, in its place among the others.
            read_before = path in known and known[path][0] == names and known[path][1] != self._shown(path)
            if not read_before:
                changed.append(mysql_path(*path))
        if changed:
            raise Refused(
                f"Definitions have changed while the stream was started: {', '.join(changed[:5])}.",
                "The engine may have read the later ones, by which changes before them would land in the wrong columns.",
                "Start again: workbook cdc run -p FILE. It says whether the load must be repeated.",
            )

    def _shown(self, path: tuple[str, str]) -> str | None:
        """How the source says now that a table is made; None where it is gone."""
        try:
            (row,) = self._insisting(lambda: self._source.rows(f"SHOW CREATE TABLE {mysql_path(*path)}"))
        except WorkbookError as error:
            if error.code in (1049, 1146):
                return None
            raise
        return without_counter(str(row["Create Table"]))

    def engine(self) -> Engine | Published:
        """An engine, started where the ledger says that the target is."""
        epoch = self._begin_epoch() if self._settings.cdc.transport == "pubsub" else 0
        position = self._insisting(lambda: self._ledger.position(self._target))
        assert position is not None
        _role, host, port, user, password = self._source.login()
        tables = self._tables.keys() & self._insisting(lambda: self._ledger.followed(self._target))
        lines = render(self._settings, (host, port, user), tables)
        first = not self._complete.exists()
        if first:
            (self._folder / HISTORY).unlink(missing_ok=True)
        mend_history(self._folder / HISTORY, self._tables)
        batch = self._settings.cdc.message_changes if epoch else None
        properties = engine_properties(lines, self._folder, first, {PASSWORD: password}, batch)
        offset = {name: value for name, value in position.offset.items() if name in _KEPT}
        engine = Engine(properties, offset, self._folder / "engine.log")
        self._binlog = str(offset.get("file"))
        self.report.started(engine.pid)
        self._say(
            f"The engine starts at {offset.get('file')}:{offset.get('pos')}"
            + (", reading definitions" if first else "")
        )
        return self._relay(engine, epoch) if epoch else engine

    def _begin_epoch(self) -> int:
        return self._insisting(lambda: self._waiting.begin_epoch(self._target))

    def _relay(self, engine: Engine, epoch: int) -> Published:
        cdc, stream = self._settings.cdc, self._settings.environment
        most_bytes = int(cdc.waiting_mb * (1 << 20))
        try:
            pubsub = PubSub(place(self._settings), cdc.patience_s, self._say)
            pubsub.ensure()
            about = engine, pubsub, self._waiting, self._target, stream, epoch, cdc.patience_s
            if cdc.apply == "local":
                return Relay(*about, most_bytes)
            if self._settings.beam.runner == "dataflow":
                return Published(*about)
            from workbook.cdc.pipeline import Bundles

            return Bundles(*about, 4 * most_bytes, self._settings)
        except TransientError as error:
            engine.end()
            raise EngineEnded(error.found) from None
        except BaseException:
            engine.end()
            raise

    def _put_aside(self, relay: Published, unread: list[Unread]) -> None:
        """Note messages that cannot be read on the target, and only then let Pub/Sub forget them."""
        for item in unread:
            self.bury(item.name, item.data, item.why)
        try:
            relay.put_aside(unread)
        except TransientError as error:
            raise EngineEnded(error.found) from None

    def bury(self, name: str, data: bytes, why: str) -> None:
        """Note what cannot be read as a dead letter."""
        text = data.decode("utf-8", "backslashreplace")
        self._insisting(lambda: self.applier().bury_unread(name, text, why))

    def _ended(self, engine: Engine | Published | None, ended: EngineEnded, starts: int, since: float) -> None:
        if engine is not None:
            engine.end()
        reason = str(ended)
        final = next((why for word, why in _FINAL.items() if word in reason), None)
        if final or (starts >= _ENGINE_STARTS and since > self._settings.cdc.patience_s):
            raise TerminalError(
                f"Debezium's engine cannot go on: {reason[:600]}.",
                final or f"It ended {starts} times in a row; nothing that was applied is lost.",
                f"Its log is {self._folder / 'engine.log'}; mend the cause, then `workbook cdc run` goes on where it was.",
            )
        self._say(f"The engine ended ({reason[:300]}); it is started again")
        time.sleep(min(2.0**starts, 20) / 4)

    def _plan_anew(self, batches: list[Batch]) -> None:
        """Forget the plans where another file of the binlog begins: the source may have been started anew, and not log
        any more what its foreign keys do."""
        file = str(batches[-1].offset.get("file")) if batches else self._binlog
        if file != self._binlog:
            self.disconnect()
            self._binlog = file

    def _whole(self, engine: Engine | Published, batches: list[Batch]) -> list[Batch]:
        """The batches, with the next one where they end between the two halves of a new key."""
        while self.halved(batches):
            batches += engine.take(_HALF_SECONDS, 1)
        return batches

    def halved(self, batches: Sequence[Batch]) -> bool:
        """Whether batches end between the two halves of a new key that other tables follow silently: apply no such."""
        plans = self._insisting(self.applier).plans
        last = self._read(batches[-1].lines[-1]) if batches and batches[-1].lines else None
        return isinstance(last, Change) and last.op == "d" and last.path in plans and bool(plans[last.path].rekeyed)

    def apply(self, batches: Sequence[Batch]) -> Outcome:
        """Apply batches, waiting for servers that are away: nothing of a batch is applied twice."""
        changes: list[Change] = []
        marks: list[Mark] = []
        for batch in batches:
            for line in batch.lines:
                item = self._read(line)
                if isinstance(item, Change):
                    changes.append(item)
                elif item is not None:
                    marks.append(item)
        # A transaction's own GTID is in the source's offset only after the next one has begun.
        whole = [mark.transaction for mark in marks if mark.kind == "end"]
        whole += [change.transaction for change in changes if change.barrier]
        gtids = GtidSet.parse(str(batches[-1].offset.get("gtids") or "")).plus(whole)
        offset: Mapping[str, Any] = {**batches[-1].offset, "gtids": str(gtids)}
        if self._until is not None:
            changes, offset = self._until.held(changes, offset)
        outcome = self._patiently(lambda applier: applier.apply(changes, offset))
        self.report.applied(changes, outcome, offset, batches[-1].read_at)
        return outcome

    def _read(self, line: bytes) -> Change | Mark | None:
        """What a line says; one that cannot be read is put aside, and the rest goes on."""
        try:
            return read(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"it is no event of Debezium: {error!r}"
            self.bury(hashlib.sha256(line).hexdigest()[:16], line, why)
            return None

    def _patiently(self, action: Callable[[Applier], Outcome]) -> Outcome:
        return self._insisting(lambda: action(self.applier()))

    def _insisting(self, action: Callable[[], Result]) -> Result:
        """The result of `action`, tried again while a server is away, for as long as the params have patience."""
        began = time.monotonic()
        while True:
            try:
                return action()
            except TransientError:
                self.disconnect()
                if time.monotonic() - began > self._settings.cdc.patience_s:
                    raise
            except WireError as error:
                if not error.passing or time.monotonic() - began > self._settings.cdc.patience_s:
                    server = self._source if error.role == "source" else self._target
                    raise TransientError(
                        f"The {error.role} at {server.host}:{server.port} answered with error {error.code} while changes"
                        f" were applied: {error.text[:300]}",
                        "The batch under way was taken back as a whole.",
                        "Mend the cause; `workbook cdc run` goes on where it was.",
                    ) from None
                if error.lost:
                    self.disconnect()
            time.sleep(0.5)

    def applier(self) -> Applier:
        """The applier, with new connections and plans where the old ones are gone."""
        if self._applier is not None:
            return self._applier
        target = writer(self._target.address())
        source = reader(self._source.address(), self._driver)
        self._wires = (target, source)
        self._lock(target)
        target.run("SET SESSION unique_checks = 1, innodb_lock_wait_timeout = 50, sql_notes = 0")
        position = self._ledger.position(self._target)
        assert position is not None
        stopped = [item.path for item in self._ledger.stopped(self._target)]
        barriers = Barriers(self._ledger, self._tables, self._plans, position.intent)
        self._applier = Applier(target, source, self._ledger, self._plans(), stopped, barriers, self._outbox(target))
        self._stop_blocked(self._applier)
        self.report.tables(self._ledger.stopped(self._target), self._ledger.dead_count(self._target), position)
        return self._applier

    def _stop_blocked(self, applier: Applier) -> None:
        """Follow no table whose changes cannot be told from events."""
        blocked = {path: plan.blocked for path, plan in applier.plans.items() if plan.blocked}
        if blocked.keys() <= applier.stopped:
            return
        applier.target.run("START TRANSACTION")
        self._ledger.lock(applier.target)
        for path in sorted(blocked.keys() - applier.stopped):
            applier.stop(path, blocked[path])
        applier.target.run("COMMIT")

    def _outbox(self, wire: Wire) -> Outbox | None:
        """The way on into the warehouse, where the params want it; where they do not, the warehouse must not miss it."""
        streamed = Streamed(self._target, self._settings.environment)
        if not streamed.exists():
            return None
        if not self._settings.cdc.warehouse:
            streamed.stop("changes were applied without cdc.warehouse: load the warehouse again")
            return None
        wire.rows(f"SELECT GET_LOCK('{streamed.writer_lock}', 0)")
        tables = {item.path: item for item in self._mapping.on_target().in_scope}
        return Outbox(
            wire,
            self._target,
            self._settings,
            tables,
            lambda: target_catalog(self._target, self._mapping),
            self._silent,
        )

    def _lock(self, target: Wire) -> None:
        # The transaction of an applier that was killed may be ending still.
        if target.rows(f"SELECT GET_LOCK('{self._lock_name}', {_LOCK_SECONDS})")[0][0] not in (b"1", 1):
            raise TerminalError(
                "Another process applies changes of this environment to the target.",
                "Two at once would wait for each other without end.",
                "Look for it with SHOW PROCESSLIST on the target, and stop it there.",
            )

    @property
    def _lock_name(self) -> str:
        return f"workbook_cdc_{self._settings.environment}"

    @contextlib.contextmanager
    def alone(self) -> Iterator[Position]:
        """Be the only one who applies, for the block; where the target is. What another has applied meanwhile is taken up."""
        if self._applier is not None:
            self._insisting(lambda: self._lock(self.applier().target))
            if self._insisting(lambda: self._ledger.position(self._target)) != self._left:
                self.disconnect()
        self._insisting(self.applier)
        position = self._insisting(lambda: self._ledger.position(self._target))
        assert position is not None
        try:
            yield position
        finally:
            self._left = self._insisting(lambda: self._ledger.position(self._target))
            with contextlib.suppress(WireError):
                self.applier().target.rows(f"SELECT RELEASE_LOCK('{self._lock_name}')")

    def _plans(self) -> Mapping[tuple[str, str], TablePlan]:
        """How each table's changes are applied, by the definitions as they are now on both sides."""
        here = {row["name"] for row in self._source.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")}
        source = read_catalog(self._source, [name for name in self._settings.source.databases if name in here])
        # What was written before the server began to log cascades may come after that still.
        self._silent = self._silent or silent_cascades(source.version, source.variables)
        return plans(
            source,
            target_catalog(self._target, self._mapping),
            self._mapping,
            self._ledger.numbers(self._target),
            self._tokens,
            lambda item: converted_columns(source.table[item.path], item.target),
            self._silent,
        )

    def disconnect(self) -> None:
        """Let both servers go."""
        self._applier = None
        for wire in self._wires:
            with contextlib.suppress(Exception):
                wire.close()
        self._wires = ()


#: Words of the engine's last message after which another start would end alike, and what they mean.
_FINAL: Mapping[str, str] = {
    "internal schema size": "Columns changed between the bulk load and the first start, which reads definitions as they are"
    " now: load again. Or a session of the source writes minimal row images: set binlog_row_image = FULL there.",
    "whose schema isn't known": "A table was made or renamed between the bulk load and the first start: load again.",
    "purged": "The source has purged binlog that was not read yet: load again.",
    "no longer available": "The source has purged binlog that was not read yet: load again.",
    "Access denied": "The account may not read the binlog.",
    "binlog_row_image": "The source writes minimal row images.",
    **dict.fromkeys(
        SKIPPED, "The engine cannot read an event of the source's binlog, whose changes would be lost: load again."
    ),
}
