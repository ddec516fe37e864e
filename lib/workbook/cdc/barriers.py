"""TRUNCATE and DDL on the target: carried out once, alone, with everything before them applied."""

from collections.abc import Callable, Mapping

from workbook.cdc.apply import Applier
from workbook.cdc.change import Change, Path
from workbook.cdc.ddl import Wanted, wanted
from workbook.cdc.ledger import Ledger
from workbook.cdc.tables import TablePlan
from workbook.mapping import TableMap
from workbook.names import mysql_path
from workbook.wire import Wire, WireError

# Errors that say that a statement was carried out before: the column, key or table is there, or gone.
_DONE_BEFORE = {1050, 1051, 1054, 1060, 1061, 1091, 1146, 3822, 1826, 121}


class Barriers:
    """Carries out barriers. `replan` reads the definitions again and gives the plans by them."""

    def __init__(
        self,
        ledger: Ledger,
        tables: Mapping[Path, TableMap],
        replan: Callable[[], Mapping[Path, TablePlan]],
        intent: str | None,
    ):
        self._ledger, self._tables, self._replan = ledger, tables, replan
        self._intent = intent

    def __call__(self, applier: Applier, change: Change) -> str | None:
        """Carry out a barrier; why its table cannot be followed any more, or None."""
        found = self._wanted(
            change, {path: table for path, table in self._tables.items() if path not in applier.stopped}
        )
        if not found.statements and not found.stops:
            return None
        wire = applier.target
        wire.run("START TRANSACTION")
        highest = self._ledger.lock(wire)
        for path, why in found.stops:
            applier.stop(path, why)
        self._ledger.note(wire, highest, 0, 0, 0.0, intent=_named(change))
        wire.run("COMMIT")
        reason: str | None = None
        for statement in found.statements:
            try:
                self._run(wire, statement, change)
            except WireError as error:
                again = self._intent == _named(change) and error.code in _DONE_BEFORE
                if error.passing:
                    raise
                if not again:
                    reason = f"the target refuses {statement[:200]}: {error.text} ({error.code})"
                    break
        self._intent = None
        if change.op == "ddl":
            applier.replan(self._replan())
        stopped = next((why for path, why in found.stops if path == change.path), None)
        return reason or stopped

    def _wanted(self, change: Change, tables: Mapping[Path, TableMap]) -> Wanted:
        if change.op == "t":
            table = tables.get(change.path)
            return Wanted((f"TRUNCATE TABLE {mysql_path(*table.target_path)}",) if table else ())
        return wanted(change.statement, change.path[0], tables)

    def _run(self, wire: Wire, statement: str, change: Change) -> None:
        # A default of the present moment fills existing rows with the moment of the source's statement.
        wire.run(f"SET SESSION timestamp = {change.at:.3f}")
        try:
            wire.run(statement)
        finally:
            wire.run("SET SESSION timestamp = DEFAULT")


def _named(change: Change) -> str:
    return f"{change.order} {change.transaction}"
