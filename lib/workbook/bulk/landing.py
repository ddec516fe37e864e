"""Where the rows of a load land: in the tables of their own names, or in databases aside, to be swapped in later."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _nobody() -> None:
    """Nobody else opens a transaction with the workers."""


@dataclass(frozen=True)
class Landing:
    """`databases` gives the database where rows land by the one where they are read, both of the target.

    `witness` is called at the moment of the snapshot, beside the workers' own transactions; it may be called again.
    """

    databases: Mapping[str, str] = field(default_factory=dict)
    witness: Callable[[], None] = _nobody

    @property
    def aside(self) -> bool:
        """Whether the rows land anywhere else than in the tables that are read."""
        return bool(self.databases)

    def path(self, path: tuple[str, str]) -> tuple[str, str]:
        """The table that takes the rows of the target's table `path`."""
        return self.databases.get(path[0], path[0]), path[1]

    def ledger(self, environment: str) -> str:
        """The name of the load's chunk ledger: an interrupted load in place and one aside know nothing of each other."""
        return f"{environment}~aside" if self.aside else environment


IN_PLACE = Landing()
