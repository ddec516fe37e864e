"""Back to the copy before the last refresh, and the proof that it is the one that was read before."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from workbook.errors import VerdictFailed
from workbook.names import quote_mysql
from workbook.params import Settings
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.ledger import Ledger, reports_folder
from workbook.phases.ledger import now as moment
from workbook.phases.run import only_one
from workbook.pipelines.standing import refuse_under_pipelines
from workbook.refresh import go_back
from workbook.refresh.back import Back
from workbook.servers import connect_target

_PHASE = "bulk_load"
# Under this name the ledger keeps when another copy was last swapped in.
SWAPPED_BACK = "previous copy read since"
# What a swap exchanges; all else in a database stays where it is.
_KINDS = ("table", "rows of", "trigger")


@dataclass(frozen=True)
class PreviousCopy:
    """What going back came to: the swap, and how many tables, contents and triggers were proven to be as before."""

    back: Back
    proven: int


def to_previous_copy(settings: Settings, say: Callable[[str], None] = print) -> PreviousCopy:
    """Swap the copy before the last refresh back in, and prove it against the restore point of that refresh.

    Raises UsageError where none is kept, VerdictFailed with each object that is not as it was then.
    """
    with only_one(reports_folder(), settings.environment):
        ledger = Ledger(settings.environment)
        refuse_under_pipelines(ledger.pipelines(), "Going back takes the copy away that they work with")
        target = connect_target(settings)
        say("Noting what is read now")
        now = target_fingerprint(target)
        back = go_back(target, settings, ledger.journal(_PHASE), say)
        say("Proving the state")
        state = target_fingerprint(target)
        latest = ledger.latest(_PHASE, back.at)
        expected = ledger.noted(f"copy {back.mark}") or ((latest and latest.before) or {}).get("target")
        ledger.note(f"copy {back.aside_mark}", _exchanged(now, back.read))
        ledger.stands_at(_PHASE, {"target": state})
        ledger.note(SWAPPED_BACK, moment())
        wanted = _exchanged(expected or {}, back.read)
        wrong = differences(wanted, _exchanged(state, back.read))
        if expected is None:
            wrong = ["the state before the refresh was never noted"]
    if wrong:
        raise VerdictFailed(
            f"The copy before is read again, and is not proven to be as it was: {'; '.join(wrong[:5])}"
            + (f"; and {len(wrong) - 5} more." if len(wrong) > 5 else "."),
            "Someone may have changed it in the copy that was kept, or since the refresh began.",
            "Look at the objects named; the same command again brings the refreshed copy back.",
        )
    return PreviousCopy(back, len(wanted))


def _exchanged(fingerprint: dict[str, str], databases: Collection[str]) -> dict[str, str]:
    starts = tuple(f"{kind} {quote_mysql(name)}." for kind in _KINDS for name in databases)
    return {name: value for name, value in fingerprint.items() if name.startswith(starts)}
