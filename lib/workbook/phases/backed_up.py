"""A phase that changes the target begins with a backup that Cloud SQL takes of the instance, where the params want one."""

from typing import TYPE_CHECKING

from workbook.params import Settings
from workbook.phases.ledger import Ledger
from workbook.phases.order import IN_ORDER, PhaseKind

if TYPE_CHECKING:
    from workbook.backups.backup import Taken


def backed_up(settings: Settings, ledger: Ledger, kind: PhaseKind, run: str) -> "Taken | None":
    """The backup before this phase of that run, taken now where there is none yet; None where none is wanted.

    Raises Refused where it does not come about.
    """
    if not wanted(settings, ledger, kind):
        return None
    from workbook.backups.take import back_up

    writers = ledger.standing([other.name for other in IN_ORDER if other.changes_target])
    return back_up(settings, ledger, run, kind.name, writers)


def wanted(settings: Settings, ledger: Ledger, kind: PhaseKind) -> bool:
    """Whether a backup is to be taken before that phase.

    Not where a cutover goes on that was cut off, since nobody can write meanwhile; nor before the way back, which must not
    wait.
    """
    if not (settings.cloud_sql.backups and kind.changes_target):
        return False
    # Imported where it is needed: kernels of other phases need not pay for it.
    from workbook.cutover.state import State

    return kind.name != "cutover" or not (State.read(ledger).under_way or settings.cutover.to == "source")
