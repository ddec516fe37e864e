"""What slows a load down is taken away before the rows and comes back after them: triggers, foreign keys, secondary indexes."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from workbook.bulk.landing import IN_PLACE, Landing
from workbook.catalog import Catalog
from workbook.errors import Refused, TransientError
from workbook.mapping import Mapping
from workbook.names import mysql_path
from workbook.plan import Step, apply, carry_out
from workbook.schema import SchemaPlan, plan_again, plan_deferral, plan_schema
from workbook.servers import Server

# Sorting an index in memory: the default of 1 MB means many passes. A session's own, taken only while it builds.
_BUILD_SETTINGS = {"innodb_ddl_buffer_size": 64 << 20}


class Unjournaled:
    """A journal that keeps nothing: these steps restore what the schema phase has journaled already."""

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        """Nothing to note."""
        return 0

    def confirm(self, number: int) -> None:
        """Nothing to note."""

    def cancel(self, number: int) -> None:
        """Nothing to note."""


@dataclass(frozen=True)
class Built:
    """Secondary indexes of a table as they were built: when (Unix seconds)."""

    path: str
    started: float
    ended: float


def defer_hindrances(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping, owned: set[str], landing: Landing = IN_PLACE
) -> tuple[tuple[str, ...], SchemaPlan]:
    """Drop triggers, foreign keys and secondary indexes of the tables in scope; what was dropped, and the plan of all
    that has to come back.

    Raises Refused where the schema phase has not made all tables.
    """
    planned = plan_schema(source, target, catalog, mapping, owned, aside=landing.databases, only=landing.only)
    missing = [step for step in planned.steps if step.kind in ("database", "table")]
    if missing:
        raise Refused(
            f"{len(missing)} objects are missing on the target, the first of them {missing[0].object}.",
            "There is nowhere to load their rows.",
            "Run the phase schema first, then this one again.",
        )
    tables = [landing.path(table.target_path) for table in mapping.in_scope if landing.takes(table.path)]
    deferred = plan_deferral(planned, target, tables)
    if deferred.steps:
        apply(deferred, target, Unjournaled())
        planned = plan_again(planned, target, owned)
    return tuple(step.object for step in deferred.steps), planned


class Restoring:
    """Brings back what was put off: the indexes of a table as soon as its rows are there, beside the tables that are
    still loading; the rest at the end."""

    def __init__(self, target: Server, planned: SchemaPlan, builders: int):
        self.built: list[Built] = []
        self._target, self._planned = target, planned
        self._steps: dict[str, list[Step]] = {}
        for step in planned.steps:
            if step.kind == "indexes":
                self._steps.setdefault(step.name, []).append(step)
        self._pool = ThreadPoolExecutor(builders, thread_name_prefix="indexes")
        self._running: list[Future[None]] = []
        self._extra: tuple[tuple[str, str], ...] | None = None

    def __enter__(self) -> "Restoring":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for all that was begun. Raises what stopped it, unless something else has."""
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for future in self._running:
                future.result()

    def table_loaded(self, path: tuple[str, str]) -> None:
        """Begin with the indexes of a table, which has all its rows now."""
        steps = self._steps.pop(mysql_path(*path), [])
        if steps:
            self._running.append(self._pool.submit(self._build, steps))

    def _build(self, steps: list[Step]) -> None:
        started = time.time()
        try:
            with self._target.session() as session:
                if self._extra is None:
                    known = {row["Variable_name"] for row in session.rows("SHOW VARIABLES LIKE 'innodb_ddl%'")}
                    self._extra = tuple((name, str(size)) for name, size in _BUILD_SETTINGS.items() if name in known)
                for step in steps:
                    carry_out(session, replace(step, settings=(*step.settings, *self._extra)))
        except TransientError:
            # The server may have finished the statement or not; the plan made at the end sees what is missing.
            return
        self.built.append(Built(steps[0].name, started, time.time()))

    def restore_all(self, owned: set[str]) -> None:
        """Bring back whatever is missing still. Raises Refused where something is missing even then."""
        _restore(plan_again(self._planned, self._target, owned), self._target, owned)


def restore_hindrances(source: Server, target: Server, catalog: Catalog, mapping: Mapping, owned: set[str]) -> None:
    """Bring back whatever the schema's plan finds missing; planning once more afterwards must find nothing.

    Raises Refused where something is still missing then.
    """
    # The way back must not depend on rows of the source.
    _restore(plan_schema(source, target, catalog, mapping, owned, rows=False), target, owned)


def _restore(planned: SchemaPlan, target: Server, owned: set[str]) -> None:
    if planned.empty:
        return
    apply(planned, target, Unjournaled())
    again = plan_again(planned, target, owned)
    if again.steps:
        raise Refused(
            f"After the load {again.steps[0].object} is still missing on the target, and {len(again.steps) - 1} more.",
            "The target would answer differently from the source.",
            "Look at the statement in the log of the schema phase, mend the cause, and run the phase again.",
        )
