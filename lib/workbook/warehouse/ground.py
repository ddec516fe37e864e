"""The ground that a phase builds on: what stands in its datasets, what of it is ours, and making more with the undo noted first."""

import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from workbook.errors import Refused, TerminalError
from workbook.plan import Journal
from workbook.warehouse import statements
from workbook.warehouse.jobs import Jobs

Result = TypeVar("Result")


def table_object(name: str) -> str:
    """How the journal names a table of the warehouse, given as dataset.table."""
    return f"warehouse table {name}"


def dataset_object(name: str) -> str:
    """How the journal names a dataset of the warehouse."""
    return f"dataset {name}"


class Ground:
    """Datasets of one project. `owned` are the objects in the journal that were not taken back."""

    def __init__(self, jobs: Jobs, journal: Journal, owned: Collection[str]):
        self.jobs, self.journal, self.owned = jobs, journal, set(owned)
        self.existing: set[str] = set()  # dataset.table
        self._lock = threading.Lock()

    def look(self, datasets: Sequence[str], wanted: Sequence[str]) -> list[str]:
        """See what stands in the datasets; those that are not there.

        Raises Refused where one lies elsewhere, or where a `wanted` table (dataset.table) is there and not ours.
        """
        missing = []
        for name in datasets:
            dataset = self.jobs.dataset(name)
            if dataset is None:
                missing.append(name)
                continue
            if (dataset.location or "").lower() != self.jobs.location.lower():
                raise Refused(
                    f"The dataset {name} lies in {dataset.location}, and the params say {self.jobs.location}.",
                    "Data does not move between locations by a query.",
                    "Set warehouse.location to where it lies, or name another dataset.",
                )
            self.existing |= {f"{name}.{table}" for table in self.jobs.tables(name)}
        # Names are told apart by their case in BigQuery, but by few people.
        foreign = [name for name in wanted if name in self.existing and table_object(name) not in self.owned]
        if foreign:
            raise Refused(
                f"The warehouse already holds {foreign[0]}"
                + (f" and {len(foreign) - 1} more tables that are to be made" if len(foreign) > 1 else "")
                + ", and the workbook did not make it.",
                "A table that was there before is never replaced.",
                "Move it away, or name another dataset under `warehouse` in the params.",
            )
        return missing

    def make_dataset(self, name: str, description: str) -> None:
        """Make a dataset that is not there."""
        undo = statements.drop_dataset(self.jobs.client.project, name)
        self.make(dataset_object(name), undo, partial(self.jobs.make_dataset, name, description))

    def make(self, name: str, undo: str, action: Callable[[], Result]) -> Result:
        """Do what makes an object, its undo noted first; an object of ours is noted already."""
        if name in self.owned:
            return action()
        with self._lock:
            number = self.journal.intend(name, undo, "warehouse")
        try:
            result = action()
        except TerminalError:
            # Jobs are all or nothing: one that BigQuery refused has made no table.
            with self._lock:
                self.journal.cancel(number)
            raise
        with self._lock:
            self.journal.confirm(number)
        return result
