"""Measuring a run: the clock, the CPU of clients and servers, and the clients' memory."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil

from bench.contest import Measured

_SAMPLE_SECONDS = 0.05


class Memory:
    """Watches how much memory the given processes and all their children hold together, at the highest.

    Counted is the proportional share (PSS): pages that workers share count once.
    """

    def __init__(self, *pids: int):
        self.highest = 0
        self._roots = [psutil.Process(pid) for pid in pids]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_SAMPLE_SECONDS):
            held = 0
            for root in self._roots:
                with contextlib.suppress(psutil.Error):
                    for process in (root, *root.children(recursive=True)):
                        with contextlib.suppress(psutil.Error):
                            held += process.memory_full_info().pss
            self.highest = max(self.highest, held)


@contextlib.contextmanager
def clocked(servers: Sequence[int]) -> Iterator[Callable[..., Measured]]:
    """Gives a function that says what the block took so far: call it at the end with the client's CPU and memory."""
    before, started = cpu_of(servers), time.monotonic()

    def said(client_cpu: float = 0.0, memory: Memory | None = None) -> Measured:
        seconds = time.monotonic() - started
        return Measured(seconds, client_cpu, cpu_of(servers) - before, memory.highest / (1 << 20) if memory else None)

    yield said


def cpu_of(pids: Sequence[int]) -> float:
    """Seconds of CPU that the processes have used in all."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def ended(process: Any) -> float:
    """Wait for a child of ours; the CPU seconds it and its children used. Raises RuntimeError with its last words."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = process.stderr.read().decode(errors="replace")[-600:] if process.stderr else ""
        raise RuntimeError(f"{process.args[-1] if said == '' else ''}{said} (exit status {process.returncode})")
    return usage.ru_utime + usage.ru_stime
