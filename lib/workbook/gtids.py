"""GTID sets: what a server has executed, as it writes them, as intervals, and as the replication protocol wants them."""

import struct
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Interval = tuple[int, int]


@dataclass(frozen=True)
class GtidSet:
    """Transactions by who numbered them: the first and the last number of each run, both included.

    Of MySQL that is a server's UUID (with its tag), of MariaDB a domain, whose position stands for all up to it.
    """

    runs: Mapping[str, tuple[Interval, ...]]

    @classmethod
    def parse(cls, text: str) -> "GtidSet":
        """The set that a server writes as `uuid:1-5:7,…` (MySQL) or `domain-server-number,…` (MariaDB)."""
        found: dict[str, list[Interval]] = {}
        for part in "".join(text.split()).lower().split(","):
            if not part:
                continue
            if ":" not in part:
                domain, _, number = part.split("-")
                found.setdefault(domain, []).append((1, int(number)))
                continue
            origin, *rest = part.split(":")
            name = origin
            for piece in rest:
                if not piece[0].isdigit():
                    name = f"{origin}:{piece}"
                    continue
                first, _, last = piece.partition("-")
                found.setdefault(name, []).append((int(first), int(last or first)))
        return cls({name: _joined(runs) for name, runs in found.items()})

    def __bool__(self) -> bool:
        return bool(self.runs)

    def plus(self, transactions: Iterable[str]) -> "GtidSet":
        """With further transactions (`uuid:5`, `uuid:tag:5`) in it; what is no such name is passed over."""
        named = (name for name in transactions if name.rpartition(":")[2].isdigit())
        return GtidSet.parse(",".join((str(self), *named)))

    def without(self, other: "GtidSet") -> "GtidSet":
        """Those that the other set has not."""
        left = {name: _cut(runs, other.runs.get(name, ())) for name, runs in self.runs.items()}
        return GtidSet({name: runs for name, runs in left.items() if runs})

    def has(self, transaction: str) -> bool:
        """Whether one transaction (`uuid:5`, `uuid:tag:5`) is among them."""
        name, _, number = transaction.lower().rpartition(":")
        runs = self.runs.get(name, ()) if number.isdigit() else ()
        return any(first <= int(number) <= last for first, last in runs)

    def holds(self, other: "GtidSet") -> bool:
        """Whether all of the other set are in this one."""
        return not other.without(self)

    def among(self, names: set[str]) -> "GtidSet":
        """Those that were numbered by some of `names` alone."""
        return GtidSet({name: runs for name, runs in self.runs.items() if name in names})

    def beyond(self, other: "GtidSet") -> "GtidSet":
        """Those with numbers above the highest that the other set has of the same origin: what is still to come there."""
        left = {
            name: _cut(runs, ((1, other.runs[name][-1][1]),) if name in other.runs else ())
            for name, runs in self.runs.items()
        }
        return GtidSet({name: runs for name, runs in left.items() if runs})

    @property
    def tagged(self) -> bool:
        """Whether a transaction carries a tag (MySQL 8.3 and later), which the older form of the protocol cannot say."""
        return any(":" in name for name in self.runs)

    def wire(self) -> bytes:
        """The set as COM_BINLOG_DUMP_GTID takes it; without tags."""
        parts = [struct.pack("<Q", len(self.runs))]
        for name, runs in sorted(self.runs.items()):
            parts.append(uuid.UUID(name).bytes + struct.pack("<Q", len(runs)))
            parts += [struct.pack("<QQ", first, last + 1) for first, last in runs]
        return b"".join(parts)

    def __str__(self) -> str:
        return ",".join(
            ":".join([name, *(f"{first}-{last}" if last > first else str(first) for first, last in runs)])
            for name, runs in sorted(self.runs.items())
        )


def _joined(runs: list[Interval]) -> tuple[Interval, ...]:
    found: list[Interval] = []
    for first, last in sorted(runs):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def _cut(runs: tuple[Interval, ...], other: tuple[Interval, ...]) -> tuple[Interval, ...]:
    left = list(runs)
    for begin, end in other:
        left = [
            piece
            for first, last in left
            for piece in ((first, min(last, begin - 1)), (max(first, end + 1), last))
            if piece[0] <= piece[1]
        ]
    return tuple(sorted(set(left)))
