"""Every error the workbook raises on purpose, each with what was found, why it matters and what to do next.

WorkbookError                 exit status 3: could not be carried out
├── UsageError                exit status 2: the command or the params are wrong; nothing was touched
├── Refused                   exit status 3: a check said no before anything was written
├── TransientError            exit status 3: tried again and still failing (network, lock, server away)
├── TerminalError             exit status 3: failing for good (missing privilege, full disk)
└── VerdictFailed             exit status 1: carried out, and the result is bad
"""

import traceback
from pathlib import Path


class WorkbookError(Exception):
    """A failure in three parts: `found` (what, with names), `why` (it matters), `todo` (what to do next).

    `code` is the error number of the server that answered with it, 0 where none did.
    """

    exit_status = 3
    code = 0

    def __init__(self, found: str, why: str, todo: str):
        super().__init__(found, why, todo)
        self.found = found
        self.why = why
        self.todo = todo

    def __str__(self) -> str:
        return f"{self.found}\n  Why it matters: {self.why}\n  What to do: {self.todo}"

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython shows of it in a notebook: screens of our code would hide what is to be done."""
        raised = traceback.extract_tb(self.__traceback__)[-1]
        return [f"{type(self).__name__}: {self}", f"  Raised in: {Path(raised.filename).name}, line {raised.lineno}"]


class UsageError(WorkbookError):
    """The command line or the params file is wrong; nothing was touched."""

    exit_status = 2


class Refused(WorkbookError):
    """A check refused to go on before anything was written."""


class TransientError(WorkbookError):
    """A failure that may pass by itself: it was tried again and still failed."""


class TerminalError(WorkbookError):
    """A failure that another try cannot mend."""


class VerdictFailed(WorkbookError):
    """The work was carried out and its verdict is bad."""

    exit_status = 1
