"""A phase as a process of its own, which may kill itself: python apply_phase.py PHASE PARAMS RUN_DIR [SHARE MOMENT].

SHARE (0 to 1) says at which of the plan's steps, MOMENT where: `before` the statement, `after` it, or so many
milliseconds `inside` it.
"""

import os
import signal
import sys
import threading

from workbook.accounts import check_accounts, plan_accounts
from workbook.phases import open_phase
from workbook.plan import Journal, apply
from workbook.schema import apply_schema, check_schema, plan_schema


def die() -> None:
    """As by the out-of-memory killer: no handler runs, nothing is closed."""
    os.kill(os.getpid(), signal.SIGKILL)


class Killing:
    """A journal that ends the process at its step number `at`."""

    def __init__(self, journal: Journal, at: int, moment: str):
        self._journal = journal
        self._left = at
        self._moment = moment

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        number = self._journal.intend(object, undo, server)
        if self._left == 0:
            if self._moment == "before":
                die()
            if self._moment not in ("before", "after"):
                threading.Timer(float(self._moment) / 1000, die).start()
        return number

    def confirm(self, number: int) -> None:
        if self._left == 0 and self._moment == "after":
            die()
        self._journal.confirm(number)
        self._left -= 1

    def cancel(self, number: int) -> None:
        self._journal.cancel(number)


def main(name: str, params_file: str, run_dir: str, share: str = "", moment: str = "") -> None:
    phase = open_phase(name, {"params_file": params_file, "run_dir": run_dir})
    source, target, about = phase.source, phase.target, (phase.catalog, phase.mapping)
    journal: Journal = phase.journal
    if name == "schema":
        schema = plan_schema(source, target, *about, phase.owned())
        apply_schema(schema, target, killing(journal, len(schema.steps), share, moment), phase.owned())
        phase.finish(check_schema(schema, target, phase.owned()))
    else:
        accounts = plan_accounts(source, target, *about, phase.owned())
        apply(accounts, target, killing(journal, len(accounts.steps), share, moment))
        phase.finish(check_accounts(accounts, target, *about, phase.owned()))


def killing(journal: Journal, steps: int, share: str, moment: str) -> Journal:
    """The journal, or one that ends the process where a share of the steps is done."""
    return Killing(journal, int(float(share) * steps), moment) if share else journal


if __name__ == "__main__":
    main(*sys.argv[1:])
