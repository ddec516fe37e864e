"""What a load of many bytes takes on Dataflow: hours, machines and money, from the pace of one connection."""

from collections.abc import Sequence
from dataclasses import dataclass

TERABYTE = 10**12
# Measured once (a table as the bench's "usual": 2 M rows, 266 MB as sent, two secondary indexes) on two cores that also ran
# both servers: 17 to 20 s with two connections, indexes included. 266 MB / 19 s / 2.
MEASURED_MB_S = 7.0
# Published for Cloud SQL with 8 vCPU: 20 GB in 12 min 51 s in parallel, flat beyond ten connections.
SMALL_TARGET_MB_S = 26.0
# Published for MySQL Shell on a server of 44 cores with its redo log off. Nothing here has measured it.
LARGE_TARGET_MB_S = 200.0


@dataclass(frozen=True)
class Machine:
    """A worker machine of Dataflow: cores (one connection each), GB of memory, GB of disk."""

    cores: int = 2
    memory_gb: float = 8.0
    disk_gb: float = 25.0


@dataclass(frozen=True)
class Prices:
    """List prices of Dataflow's batch workers in USD an hour, us-central1, as Google listed them in 2025; put in yours."""

    core: float = 0.056
    memory_gb: float = 0.003557
    disk_gb: float = 0.000054

    def hour(self, machine: Machine) -> float:
        """USD for an hour of a machine."""
        return machine.cores * self.core + machine.memory_gb * self.memory_gb + machine.disk_gb * self.disk_gb


@dataclass(frozen=True)
class Estimate:
    """A load as it would be: machines, MB/s of all connections together, hours, USD for the workers alone."""

    connections: int
    machines: int
    mb_s: float
    hours: float
    usd: float


def estimate(
    size: float,
    connections: int,
    connection_mb_s: float = MEASURED_MB_S,
    target_mb_s: float = LARGE_TARGET_MB_S,
    machine: Machine = Machine(),
    prices: Prices = Prices(),
) -> Estimate:
    """What `size` bytes take: connections add up until the target takes no more."""
    pace = min(connections * connection_mb_s, target_mb_s)
    hours = size / 1e6 / pace / 3600
    machines = -(-connections // machine.cores)
    return Estimate(connections, machines, pace, hours, machines * hours * prices.hour(machine))


def markdown(connections: Sequence[int] = (2, 4, 8, 16, 32)) -> str:
    """1 TB by the number of connections, for a small and a large target, as a Markdown table."""
    lines = [
        "| connections | machines | small target: MB/s | hours | USD | large target: MB/s | hours | USD |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for count in connections:
        small = estimate(TERABYTE, count, target_mb_s=SMALL_TARGET_MB_S)
        large = estimate(TERABYTE, count)
        cells = [f"{each.mb_s:.0f} | {each.hours:.1f} | {each.usd:.2f}" for each in (small, large)]
        lines.append(f"| {count} | {small.machines} | {' | '.join(cells)} |")
    return "\n".join(lines)
