"""A contest: ours against its peers on one case, run in turn, repeatedly; what each took, and the ratio."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One run: seconds by the clock, seconds of CPU of clients and servers, and the clients' memory at its highest."""

    seconds: float
    client_cpu: float = 0.0
    server_cpu: float = 0.0
    memory_mb: float | None = None


@dataclass(frozen=True)
class Contender:
    """Someone who does the work of a case. `goal` is the share of its time that ours may take, where there is a goal.

    `missing` says why it cannot run here; it is then shown as missing and never counted as met.
    """

    name: str
    run: Callable[[], Measured]
    goal: float | None = None
    missing: str = ""


@dataclass(frozen=True)
class Case:
    """One set of data, ours and the peers. `memory_goal_mb` is what ours may hold at the highest, where there is a goal."""

    bench: str
    name: str
    ours: Contender
    peers: tuple[Contender, ...]
    rows: int
    bytes: int
    memory_goal_mb: float | None = None


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    rows: int
    repetitions: int
    cases: tuple[str, ...]
    workers: int = 2


@dataclass
class Outcome:
    """All runs of a case, by contender; ours under its name."""

    case: Case
    runs: dict[str, list[Measured]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def seconds(self, name: str) -> list[float]:
        """The seconds of each run of a contender, in the order they were run."""
        return [round(run.seconds, 3) for run in self.runs.get(name, [])]

    def ratios(self, peer: str) -> list[float]:
        """Ours over the peer, repetition by repetition: both ran under the same load of the machine."""
        pairs = zip(self.runs.get(self.case.ours.name, []), self.runs.get(peer, []), strict=False)
        return [ours.seconds / its.seconds for ours, its in pairs]

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row a peer, as reports/bench.json holds it."""
        own = self.runs.get(self.case.ours.name, [])
        memory = max((run.memory_mb or 0 for run in own), default=None)
        failed = self.failures.get(self.case.ours.name, "")
        small = self.case.memory_goal_mb is None or (memory is not None and memory <= self.case.memory_goal_mb)
        for peer in self.case.peers:
            ratios = self.ratios(peer.name)
            ratio = statistics.median(ratios) if ratios else None
            its = self.runs.get(peer.name, [])
            yield {
                "name": self.case.bench,
                "case": self.case.name,
                "rows": self.case.rows,
                "bytes": self.case.bytes,
                "ours_s": self.seconds(self.case.ours.name),
                "peer": peer.name,
                "peer_s": self.seconds(peer.name),
                "ratio": None if ratio is None else round(ratio, 3),
                "spread": [round(min(ratios), 3), round(max(ratios), 3)] if ratios else None,
                "goal": peer.goal,
                "met": None if ratio is None or peer.goal is None else not failed and ratio <= peer.goal and small,
                "missing": peer.missing or failed or self.failures.get(peer.name, "") or None,
                "memory_mb": memory,
                "memory_goal_mb": self.case.memory_goal_mb,
                "peer_memory_mb": max((run.memory_mb or 0 for run in its), default=None),
                "ours_cpu_s": _cpu(own),
                "peer_cpu_s": _cpu(its),
            }


def hold(case: Case, repetitions: int, say: Callable[[str], None]) -> Outcome:
    """Run everybody in turn; who goes first moves on by one each repetition, so that nobody always finds a warm cache."""
    outcome = Outcome(case)
    present = [one for one in (case.ours, *case.peers) if not one.missing]
    for peer in case.peers:
        if peer.missing:
            say(f"  MISSING  {peer.name}: {peer.missing}")
    for repetition in range(repetitions):
        first = repetition % len(present)
        for one in present[first:] + present[:first]:
            if one.name in outcome.failures:
                continue
            try:
                run = one.run()
            except Exception as error:
                # Who cannot do the work is shown as such, and takes no other case along.
                outcome.failures[one.name] = f"{one.name} failed: {str(error)[-300:]}"
                say(f"  FAILED   {one.name}: {str(error)[-300:]}")
                if one is case.ours:
                    return outcome
                continue
            outcome.runs.setdefault(one.name, []).append(run)
            memory = "" if run.memory_mb is None else f", {run.memory_mb:.0f} MB"
            say(
                f"  {run.seconds:8.2f} s  {one.name} (CPU {run.client_cpu:.1f} s client, {run.server_cpu:.1f} s servers{memory})"
            )
    return outcome


def _cpu(runs: list[Measured]) -> dict[str, float] | None:
    if not runs:
        return None
    parts = [{key: value for key, value in asdict(run).items() if key.endswith("_cpu")} for run in runs]
    return {key.removesuffix("_cpu"): round(statistics.median(part[key] for part in parts), 2) for key in parts[0]}
