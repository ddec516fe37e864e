"""A rollback as a process of its own that kills itself: python rollback_process.py PARAMS TO WHERE.

WHERE is the number of undo statements that are run before it, or `proving`: all are run, and the proof has begun.
"""

import os
import signal
import sys

from workbook import params
from workbook.phases import rollback


def die() -> None:
    """As by the out-of-memory killer: no handler runs, nothing is closed."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(params_file: str, to: str, where: str) -> None:
    left = int(where) if where.isdigit() else -1
    original = rollback._Past.__call__

    def count(past: rollback._Past, statement: str) -> None:
        nonlocal left
        original(past, statement)
        if left == 0:
            die()
        left -= 1

    rollback._Past.__call__ = count  # type: ignore[method-assign]
    rollback.rollback(
        params.load(params_file), to, lambda line: die() if where == "proving" and line.startswith("Proving") else None
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
