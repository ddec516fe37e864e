"""A check: one row of a table, with all that is said of it and the search that finds it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from workbook.assess.evidence import Evidence
from workbook.assess.search import Hit
from workbook.catalog import Catalog

Severity = Literal["blocker", "mend", "decide", "note"]
Effort = Literal["automatic", "minutes", "hours", "project"]
# The versions of a target that can be chosen, oldest first.
VERSIONS = ("8.0", "8.4", "9")


@dataclass(frozen=True)
class Check:
    """A difference that may matter: how bad, how much work, why, what to do, which phase mends it (None: a person).

    `number` is its place in the list of Cloud SQL's differences, 0 for checks of another origin. `needs` names the
    parts of the evidence without which it is not passed. It applies to targets of the `flavours`, from version
    `target_from` on, and to `sources`.
    """

    number: int
    id: str
    title: str
    severity: Severity
    effort: Effort
    why: str
    todo: str
    mended_by: str | None
    find: Callable[[Catalog, Evidence], Iterable[Hit]]
    needs: tuple[str, ...] = ()
    flavours: tuple[str, ...] = ("cloud-sql",)
    target_from: str = "8.0"
    sources: tuple[str, ...] = ("mysql", "mariadb")

    def applies(self, version: str, source: str) -> bool:
        """Whether there is anything to look at between a `source` flavour and a target of `version`."""
        return VERSIONS.index(version) >= VERSIONS.index(self.target_from) and source in self.sources
