"""Watching what a long snapshot costs the source: row versions that it must keep until the load has read them."""

import time
from collections.abc import Callable

from workbook.errors import WorkbookError
from workbook.servers import Server

_LOOK_SECONDS = 10.0
# Above a million versions reads and writes of the source begin to suffer visibly.
_WORTH_SAYING = 1_000_000


class Watch:
    """Looks every ten seconds at the source's history list; `history_highest` is None where it may not be seen."""

    def __init__(self, source: Server, say: Callable[[str], None]):
        self._source, self._say = source, say
        self._looked = 0.0
        self._said = _WORTH_SAYING
        self.history_highest: int | None = None

    def beat(self) -> None:
        """Look, where the last look is long enough ago."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            length = self._source.scalar(
                "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'"
            )
        except WorkbookError:  # no PROCESS privilege, or the source is away: others will say so
            return
        if length is None:
            return
        self.history_highest = max(self.history_highest or 0, int(length))
        if int(length) >= self._said:
            self._said = 2 * int(length)
            self._say(
                f"The snapshot holds {int(length):,} row versions on the source; they go when the load has read its rows"
            )
