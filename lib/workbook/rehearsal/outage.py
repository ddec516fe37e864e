"""What a switch was like for a writer, from its log: how long it waited, and which of its writes are where."""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_BIN_SECONDS = 0.5


@dataclass(frozen=True)
class Acknowledged:
    """A write that the writer was told is done: when (monotonic seconds), its number, on which port, under which id."""

    at: float
    number: int
    port: int
    id: int


@dataclass(frozen=True)
class Log:
    """What a writer noted, in its order; refused writes by the moment (monotonic seconds)."""

    acknowledged: tuple[Acknowledged, ...] = ()
    refused: tuple[float, ...] = ()

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of its acknowledged writes."""
        return frozenset(item.number for item in self.acknowledged)


@dataclass(frozen=True)
class Outage:
    """How a writer came over a switch, in seconds.

    `gap` is the longest time between two acknowledged writes, from `began` to `ended` (monotonic); `refused` from the
    first refusal to the first success on the other side, None where nothing was refused: then it was kept waiting.
    """

    gap: float
    began: float
    ended: float
    refused: float | None

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Tally:
    """Acknowledged writes of a writer, held against the rows on a server: those not there, and those there more than once."""

    acknowledged: int
    lost: tuple[int, ...]
    doubled: tuple[int, ...]


def read_log(path: Path) -> Log:
    """The log of a writer that may be at work: a last line that is not whole yet is left out."""
    acknowledged, refused = [], []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    for line in lines:
        kind, at, *rest = line.split()
        if kind == "a":
            number, port, place = map(int, rest)
            acknowledged.append(Acknowledged(float(at), number, port, place))
        else:
            refused.append(float(at))
    return Log(tuple(acknowledged), tuple(refused))


def outage(log: Log, port: int, since: float) -> Outage | None:
    """How the writer came over the switch to `port` that began at `since`; None where it has not arrived there."""
    known = log.acknowledged
    arrived = next((place for place, item in enumerate(known) if place and item.port == port and item.at > since), None)
    if arrived is None:
        return None
    # A second of the switch may lie behind the arrival: sessions end, triggers go.
    pairs = [(one, other) for one, other in itertools.pairwise(known) if other.at > since]
    one, other = max(pairs, key=lambda pair: pair[1].at - pair[0].at)
    first = next((at for at in log.refused if since < at < known[arrived].at), None)
    return Outage(other.at - one.at, one.at, other.at, None if first is None else known[arrived].at - first)


def tally(numbers: Iterable[int], found: Counter[int]) -> Tally:
    """Acknowledged `numbers` against the numbers that were `found` in rows."""
    wanted = set(numbers)
    return Tally(
        len(wanted),
        tuple(sorted(wanted - found.keys())),
        tuple(sorted(number for number, times in found.items() if times > 1)),
    )


def per_second(logs: Iterable[Log], start: float) -> tuple[list[float], list[float]]:
    """Acknowledged writes a second of all writers together, in steps of half a second since `start` (monotonic)."""
    moments = sorted(item.at - start for log in logs for item in log.acknowledged)
    counts = Counter(int(at // _BIN_SECONDS) for at in moments)
    last = max(counts, default=0)
    return (
        [number * _BIN_SECONDS for number in range(last + 1)],
        [counts[number] / _BIN_SECONDS for number in range(last + 1)],
    )
