"""A phase that changes the target begins with a backup that Cloud SQL takes of the instance, where the params want one."""

from typing import TYPE_CHECKING

from workbook.params import Settings
from workbook.phases.ledger import Ledger
from workbook.phases.order import IN_ORDER, PhaseKind

if TYPE_CHECKING:
    from workbook.backups.backup import Taken


def backed_up(settings: Settings, ledger: Ledger, kind: PhaseKind, run: str) -> "Taken | None":
    """The backup before this phase of that run, taken now where there is none yet; None where none is wanted.

    None either for a cutover that goes on where it was cut off, since nobody can write meanwhile, nor for the way back,
    which must not wait. Raises Refused where the backup does not come about.
    """
    if not wanted(settings, kind):
        return None
    # Imported where they are needed: kernels of other phases need not pay for it.
    from workbook.backups.take import back_up
    from workbook.cutover.state import State

    if kind.name == "cutover" and (State.read(ledger).under_way or settings.cutover.to == "source"):
        return None

    writers = ledger.standing([other.name for other in IN_ORDER if other.changes_target])
    return back_up(settings, ledger, run, kind.name, writers)


def wanted(settings: Settings, kind: PhaseKind) -> bool:
    """Whether the params want a backup before that phase."""
    return settings.cloud_sql.backups and kind.changes_target
