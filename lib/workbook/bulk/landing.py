"""Where the rows of a load land: in the tables of their own names, or in databases aside, to be swapped in later."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from workbook.bulk.snapshot import Snapshot


def _nobody() -> None:
    """Nobody else opens a transaction with the workers."""


def _nothing(snapshot: Snapshot) -> None:
    """Nothing is to be done between the rows and what comes back after them."""


@dataclass(frozen=True)
class Landing:
    """`databases` gives the database where rows land by the one where they are read, both of the target.

    `witness` is called at the moment of the snapshot, beside the workers' own transactions; it may be called again.
    `only` are the source's tables that are loaded where it is not all in scope; `landed` is called when all rows are
    there, before the foreign keys that were put off come back.
    """

    databases: Mapping[str, str] = field(default_factory=dict)
    witness: Callable[[], None] = _nobody
    only: frozenset[tuple[str, str]] | None = None
    landed: Callable[[Snapshot], None] = _nothing

    @property
    def aside(self) -> bool:
        """Whether the rows land anywhere else than in the tables that are read."""
        return bool(self.databases)

    def path(self, path: tuple[str, str]) -> tuple[str, str]:
        """The table that takes the rows of the target's table `path`."""
        return self.databases.get(path[0], path[0]), path[1]

    def takes(self, path: tuple[str, str]) -> bool:
        """Whether the rows of the source's table `path` are loaded."""
        return self.only is None or path in self.only

    def ledger(self, environment: str) -> str:
        """The name of the load's chunk ledger: loads of different kinds that were interrupted know nothing of each other."""
        kind = "~aside" if self.aside else "" if self.only is None else "~added"
        return f"{environment}{kind}"


IN_PLACE = Landing()
