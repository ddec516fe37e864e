"""Holding the comparison up between chunks while the throttle says so: its pauses are the bulk load's, and its file too."""

import sys
import threading
import time

from workbook.bulk.throttle import Change, Throttle
from workbook.params import Settings
from workbook.servers import Server, connect_replica

_LOOK_SECONDS = 0.1


class Pace:
    """`wait` returns when the throttle lets the work go on; a limit in MB/s holds no comparison up, as no rows travel."""

    def __init__(self, settings: Settings, source: Server):
        self._lock = threading.Lock()
        self._rate: float | None = None
        self._throttle = Throttle(settings, source, connect_replica(settings), self._hold_to, _say)

    @property
    def changes(self) -> list[Change]:
        """When the work was held up and let go, and why."""
        return self._throttle.changes

    def wait(self) -> None:
        """Wait while the work is paused."""
        while True:
            with self._lock:
                self._throttle.beat()
                paused = self._rate == 0
            if not paused:
                return
            time.sleep(_LOOK_SECONDS)

    def _hold_to(self, rate: float | None) -> None:
        self._rate = rate


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
