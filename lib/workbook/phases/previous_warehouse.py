"""Earlier nights of the warehouse: kept before each load, and back to the latest of them, proven."""

from collections.abc import Callable
from dataclasses import dataclass

from workbook.errors import UsageError, VerdictFailed
from workbook.params import Settings
from workbook.phases.context import Phase
from workbook.phases.fingerprint import warehouse_fingerprint
from workbook.phases.ledger import Ledger, reports_folder
from workbook.phases.run import only_one
from workbook.points.back import WayBack, bring_back
from workbook.points.keep import Left, keep, sweep
from workbook.points.point import PHASE, Kept, Point, Register
from workbook.servers import connect_target, connect_warehouse
from workbook.warehouse.jobs import Jobs


@dataclass(frozen=True)
class PreviousWarehouse:
    """What going back came to, and how many earlier nights are left to go back to from there."""

    back: WayBack
    left: int


def keep_night(phase: Phase) -> Kept:
    """Keep the warehouse as it stands before this phase writes it, where `warehouse.keep_nights` says so.

    Once a run: called again, it answers what was kept. Raises Refused where it cannot be kept.
    """
    ledger, run = phase.ledger, phase.run_dir.name

    def left(wrote: str) -> Left | None:
        # A run that was refused before it came here has written nothing.
        entry = ledger.of_run(PHASE, wrote) if wrote else ledger.before(PHASE, run)
        return None if entry is None else Left(entry.run_id, entry.status == "done", entry.result)

    return keep(phase.warehouse, phase.target, phase.settings, ledger, phase.journal, run, left)


def to_previous_warehouse(settings: Settings, say: Callable[[str], None] = print) -> PreviousWarehouse:
    """Bring the warehouse back to what it was before the latest run that was kept, and prove it.

    The same again goes one night further back. Raises UsageError where none is kept, VerdictFailed with each table that
    is not as it was.
    """
    with only_one(reports_folder(), settings.environment):
        ledger = Ledger(settings.environment)
        register, dataset = Register(ledger), settings.warehouse.points_dataset
        point = _chosen(register, dataset)
        client = connect_warehouse(settings)
        back = bring_back(client, connect_target(settings), settings, ledger, point, say)
        if back.wrong:
            raise VerdictFailed(
                f"The warehouse of {point.left_by} is back, and is not proven to be as it was: {'; '.join(back.wrong[:5])}"
                + (f"; and {len(back.wrong) - 5} more." if len(back.wrong) > 5 else "."),
                "Somebody may have written to it while it was brought back; until it is proven no run loads it.",
                "Look at the tables named, then run the same command again: the snapshots are still there.",
            )
        # All that asks who left the warehouse as it is (the validation, the next night) finds that run again.
        entry = ledger.begin(PHASE, point.left_by, {})
        ledger.end(entry, "done", {"warehouse": warehouse_fingerprint(client, settings)}, point.result)
        register = Register(ledger)
        register.drop([point.run], written_by="", under_way="")
        sweep(Jobs(client, settings.warehouse.location), ledger, register, settings)
        return PreviousWarehouse(back, len(register.usable(dataset)))


def _chosen(register: Register, dataset: str) -> Point:
    """The point that is being gone back to, else the latest."""
    usable = register.usable(dataset)
    if not usable:
        raise UsageError(
            "No earlier night of the warehouse is kept.",
            "There is nothing to bring back.",
            "Set warehouse.keep_nights: the next run then keeps what stands before it loads.",
        )
    return next((point for point in usable if point.run == register.under_way), usable[-1])
