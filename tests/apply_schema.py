"""The schema phase as a process of its own, which may kill itself: python apply_schema.py PARAMS RUN_DIR [SHARE MOMENT].

SHARE (0 to 1) says at which of the plan's steps, MOMENT where: `before` the statement, `after` it, or so many
milliseconds `inside` it.
"""

import os
import signal
import sys
import threading

from workbook.phases import open_phase
from workbook.plan import Journal
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


def main(params_file: str, run_dir: str, share: str = "", moment: str = "") -> None:
    phase = open_phase("schema", {"params_file": params_file, "run_dir": run_dir})
    planned = plan_schema(phase.source, phase.target, phase.catalog, phase.mapping, phase.owned())
    journal: Journal = phase.journal
    if share:
        journal = Killing(journal, int(float(share) * len(planned.steps)), moment)
    apply_schema(planned, phase.target, journal, phase.owned())
    phase.finish(check_schema(planned, phase.target, phase.owned()))


if __name__ == "__main__":
    main(*sys.argv[1:])
