"""Being told to stop, by a time limit, a shutdown or a person: the run ends its kernel and its record, then itself."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

from workbook.errors import TransientError
from workbook.faces import human_seconds

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PATIENCE_SECONDS = 5


class Stopped(SystemExit):
    """Raised in the main thread where the process is told to stop; of this kind, so that an event loop lets it through."""

    def __init__(self, explained: TransientError):
        super().__init__(explained.exit_status)
        self.explained = explained


@contextmanager
def stoppable() -> Iterator[None]:
    """Have the first SIGTERM, Ctrl-C or hang-up raise Stopped; a further one is not heard, so that the end is reached.

    What nobody has caught inside leaves as the error that explains it.
    """
    began = time.monotonic()

    def stop(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(
            TransientError(
                f"The run was told to stop ({signal.Signals(number).name}) after {human_seconds(time.monotonic() - began)}.",
                "What comes after the phase that was under way was not done.",
                "Run again: it goes on from what is done. If the limit of its schedule ended it, look at which phase took"
                " longer than on other nights (trends in the index of runs), and raise --limit where the data has grown.",
            )
        )

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    except Stopped as stopped:
        raise stopped.explained from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_children() -> None:
    """End what this process has started and what these have: a kernel that was just starting outlives its notebook."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.Error):
            child.terminate()
    for child in psutil.wait_procs(children, timeout=_PATIENCE_SECONDS)[1]:
        with suppress(psutil.Error):
            child.kill()
