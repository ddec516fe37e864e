"""A validation as a process that kills itself: reads lines of JSON, forks for each, prints how each ended.

A line names `params` and `run_dir`, and where it shall die: after so many statements of MySQL (`after`), so many
milliseconds later (`late`). Without `after` it runs to its end. Answered: the status, the number of statements.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from typing import Any

from workbook import faces
from workbook.errors import VerdictFailed
from workbook.phases import open_phase
from workbook.servers import Server
from workbook.validate import resume, walk
from workbook.validate.run import validate_copy

_counting = threading.Lock()
_sent = 0


def counting(after: int | None, late: float) -> None:
    """Count the statements of all servers, and die at one of them."""
    record = Server.record

    def counted(self: Server, sql: str, started: float) -> None:
        global _sent
        record(self, sql, started)
        with _counting:
            _sent += 1
            if _sent == after:
                # As by the out-of-memory killer: no handler runs, nothing is closed.
                threading.Timer(late / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()

    Server.record = counted  # type: ignore[method-assign]


def validate(order: dict[str, Any]) -> None:
    # Several chunks in small tables, noted soon.
    walk._MOST = walk._FEWEST = 1000
    resume._WRITE_SECONDS = 0.1
    counting(order.get("after"), order.get("late", 0.0))
    phase = open_phase("validate", {"params_file": order["params"], "run_dir": order["run_dir"]})
    found = validate_copy(
        phase.source,
        phase.target,
        phase.warehouse,
        phase.catalog,
        phase.mapping,
        phase.settings,
        phase.owned(),
        phase.notes(),
    )
    with contextlib.suppress(VerdictFailed):
        phase.finish(found)
    (phase.run_dir / "statements").write_text(str(_sent))


def main() -> None:
    # Imported once, before anything is forked.
    import google.cloud.bigquery  # noqa: F401

    faces.plot_theme()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                validate(json.loads(line))
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
