"""The way back: undoing phases in reverse, and proving that the state asked for is met again."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbook import plan
from workbook.bulk.defer import restore_hindrances
from workbook.bulk.ledger import SCHEMA
from workbook.catalog import Catalog, read_catalog
from workbook.cdc.kept import Kept
from workbook.cdc.ledger import APPLIED
from workbook.cdc.ledger import Ledger as ChangeLedger
from workbook.cdc.pubsub import take_away
from workbook.cutover import refuse_after_cutover
from workbook.errors import Refused, UsageError, VerdictFailed
from workbook.mapping import Mapping as MappingInForce
from workbook.mapping import load_mapping
from workbook.names import mysql_string, quote_mysql
from workbook.params import Settings
from workbook.phases.cdc import refuse_while_following
from workbook.phases.context import mapping_file
from workbook.phases.fingerprint import differences, target_fingerprint, warehouse_fingerprint
from workbook.phases.ledger import PROVING, UNDOING, Done, Ledger, now, reports_folder
from workbook.phases.order import IN_ORDER, PHASES, REPAIR, START, phase_named
from workbook.phases.run import only_one
from workbook.pipelines.standing import refuse_under_pipelines
from workbook.refresh.swap import restore_triggers
from workbook.servers import Server, connect_source, connect_target, connect_warehouse
from workbook.validate.replay_scratch import sweep_leftovers

# Under this name the ledger keeps a rollback that has not ended.
_UNDER_WAY = "rollback under way"


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did: the phases undone, latest first, and the number of statements run."""

    to: str
    phases: tuple[str, ...]
    statements: int


def rollback(settings: Settings, to: str, say: Callable[[str], None] = print) -> RolledBack:
    """Take back every phase after `to` ("start": all of them), latest first.

    Only what the journal says the workbook made is touched. Afterwards the fingerprint of target and warehouse must be
    the one noted at the end of `to`: VerdictFailed names each object that is not as it was. Raises UsageError for a
    phase that was never done in this environment.
    """
    with only_one(reports_folder(), settings.environment):
        return _roll_back(settings, to, say)


def _roll_back(settings: Settings, to: str, say: Callable[[str], None]) -> RolledBack:
    ledger = Ledger(settings.environment)
    done = ledger.phases()
    cut_off = _cut_off(ledger, to, done)
    # A validation with a bad verdict has ended all the same, and it is what a repair is taken back to.
    ended = {"done"}, {"done", "failed"}
    finished = [
        phase.name for phase in PHASES if phase.name in done and done[phase.name].status in ended[not phase.writes]
    ]
    if not done and cut_off is None:
        raise UsageError(
            f"Nothing was done yet in the environment {settings.environment!r}.",
            "There is nothing to take back.",
            "See workbook status.",
        )
    if to != START and phase_named(to).name not in finished:
        raise UsageError(
            f"The phase {phase_named(to).name!r} was never done in the environment {settings.environment!r}.",
            "There is no state at its end to go back to.",
            f"Name one of: {', '.join([START, *finished])}.",
        )
    kept = 0 if to == START else IN_ORDER.index(phase_named(to)) + 1
    undoing = [phase for phase in reversed(IN_ORDER[kept:]) if phase.name in done]
    if any(phase.writes_target for phase in undoing):
        refuse_after_cutover(ledger, "The rollback takes tables and accounts away that applications work with")
        refuse_under_pipelines(ledger.pipelines(), "The rollback takes tables and accounts away that they work with")
    if "cdc" in [phase.name for phase in undoing]:
        refuse_while_following(settings, "the rollback takes its ledger away")
        if cut_off is None:
            _refuse_applied(settings, to, [phase.name for phase in undoing])
    states = cut_off or {server: _expected(server, kept, done) for server in ("target", "warehouse")}
    # What a rollback that is cut off has taken back already, the one that goes on no longer finds in the ledger.
    ledger.note(_UNDER_WAY, {"to": to, "at": now(), "states": states})
    source, target, warehouse = connect_source(settings), connect_target(settings), connect_warehouse(settings)
    sweep_leftovers(target)
    restored: tuple[Catalog, MappingInForce] | None = None
    names = {phase.name for phase in undoing}
    if {"bulk_load", "cdc"} & names and "schema" not in names:
        # Read before anything is undone: what cannot be read must not leave the tables without their indexes.
        catalog = read_catalog(source, settings.source.databases)
        emulated = settings.warehouse.endpoint is not None
        restored = catalog, load_mapping(mapping_file(settings, ledger), catalog, emulated=emulated)
    undone, statements = [], 0
    for phase in undoing:
        say(f"Undoing {phase.name}")
        began, before = time.monotonic(), statements
        for statement in ledger.to_undo(phase.name, "warehouse"):
            warehouse.query(statement).result()
            statements += 1
        take_away(settings, ledger.to_undo(phase.name, "pubsub"))
        if phase.name == "cdc" and "bulk_load" not in names:
            statements += Kept(target, settings.environment).bring_back()
        steps = ledger.to_undo(phase.name, "target")
        if phase is REPAIR and "bulk_load" in done and done["bulk_load"].started > done[REPAIR.name].started:
            # All rows were loaded anew since: those kept from before are of no use any more.
            steps = [statement for statement in steps if statement.startswith("DROP TABLE")]
        statements += plan.undo(steps, target, _Past(ledger, phase.name))
        if phase.name in ("bulk_load", "cdc") and restored is not None:
            _restore(source, target, (restored[0], _there(target, restored[1])), ledger, say)
        ledger.mark_undone(phase.name)
        undone.append(phase.name)
        ledger.note(UNDOING.format(phase.name), [statements - before, round(time.monotonic() - began, 3)])
    _drop_own_schema(target)
    say("Proving the state")
    began = time.monotonic()
    wrong = []
    for server, (written, state) in states.items():
        if not written:
            continue
        if state is None:
            wrong.append(f"the state of the {server} at the end of {to} was never noted")
        elif server == "target":
            wrong += differences(state, target_fingerprint(target))
        else:
            wrong += differences(state, warehouse_fingerprint(warehouse, settings))
    ledger.note(PROVING, round(time.monotonic() - began, 3))
    ledger.note(_UNDER_WAY, None)
    if wrong:
        raise VerdictFailed(
            f"After the rollback to {to}, the state is not proven to be as it was: {'; '.join(wrong[:5])}"
            + (f"; and {len(wrong) - 5} more." if len(wrong) > 5 else "."),
            "Someone else may have changed it since, or the rollback is not complete.",
            "Look at the objects named; what the workbook had made is gone.",
        )
    return RolledBack(to, tuple(undone), statements)


class _Past:
    """Notes what is taken back on the way, so that a rollback that is cut off goes on behind it.

    Rows come back from tables that are dropped afterwards: once a DROP begins, what came before must not be run again.
    Until then it can be, for rows go before they come.
    """

    def __init__(self, ledger: Ledger, phase: str):
        self._ledger = ledger
        self._phase = phase
        self._past: list[str] = []

    def __call__(self, statement: str) -> None:
        if statement.startswith("DROP") and self._past:
            self._ledger.mark_taken_back(self._phase, "target", self._past)
            self._past = []
        self._past.append(statement)


def _cut_off(ledger: Ledger, to: str, done: Mapping[str, Done]) -> dict[str, Any] | None:
    """The states that a rollback to the same place, which was cut off, was to meet; None where nothing of it is left to do."""
    noted = ledger.noted(_UNDER_WAY)
    if noted is None or noted["to"] != to or any(entry.started > noted["at"] for entry in done.values()):
        return None
    return {server: tuple(state) for server, state in noted["states"].items()}


def _restore(
    source: Server, target: Server, restored: tuple[Catalog, MappingInForce], ledger: Ledger, say: Callable[[str], None]
) -> None:
    try:
        restore_hindrances(source, target, *restored, ledger.owned())
    except Refused as error:
        # The source has changed since, so triggers come back alone; whether all is as it was is for the proof to say.
        say(error.found)
        restore_triggers(source, target, *restored)


def _there(target: Server, mapping: MappingInForce) -> MappingInForce:
    """The mapping without the tables that the target does not hold: one that was added to the stream later is gone again."""
    rows = target.rows("SELECT TABLE_SCHEMA AS base, TABLE_NAME AS name FROM information_schema.TABLES")
    there = {(row["base"], row["name"]) for row in rows}
    segments = tuple(
        replace(segment, tables=tuple(path for path in segment.tables if mapping.tables[path].target_path in there))
        for segment in mapping.segments
    )
    return replace(mapping, segments=segments)


def _refuse_applied(settings: Settings, to: str, undoing: list[str]) -> None:
    """Refuse to go back to rows that are not kept: those of the bulk load, where changes were applied to them since."""
    target, ledger = connect_target(settings), ChangeLedger(settings.environment)
    if "bulk_load" in undoing or not ledger.exists(target):
        return
    position = ledger.position(target)
    if position is not None and position.applied and not Kept(target, settings.environment).copies():
        raise Refused(
            f"{position.applied:,} changes of the source were applied to the rows since {to}.",
            "The rows as they were before were not kept (cdc.keep_rows), so that state cannot be had back.",
            "Go back to before the load (workbook rollback schema) and load again: the copy is then of that moment.",
        )


def _drop_own_schema(target: Server) -> None:
    """Take the workbook's own schema away once nothing of any environment is left in it."""
    name = mysql_string(SCHEMA)
    if target.scalar(
        f"SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {name} AND TABLE_NAME = 'cdc_applied'"
    ) and not target.scalar(f"SELECT COUNT(*) FROM {APPLIED}"):
        target.execute(f"DROP TABLE {APPLIED}")
    there = target.scalar(f"SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {name}")
    used = target.scalar(f"SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {name}")
    if there and not used:
        target.execute(f"DROP DATABASE {quote_mysql(SCHEMA)}")


def _expected(server: str, kept: int, done: Mapping[str, Done]) -> tuple[bool, dict[str, str] | None]:
    """Whether any phase has written to the server, and its fingerprint at the end of the first `kept` (None: not noted).

    That is what the first writer after it found when it first ran; where there is none, what the last writer up to it
    left behind. A phase that runs again over a whole copy leaves more behind than its own work.
    """
    writers = [phase for phase in IN_ORDER if phase.name in done and getattr(phase, f"writes_{server}")]
    later = [phase for phase in writers if phase in IN_ORDER[kept:]]
    if later:
        return True, (done[later[0].name].before or {}).get(server)
    if writers:
        return True, (done[writers[-1].name].after or {}).get(server)
    return False, None
