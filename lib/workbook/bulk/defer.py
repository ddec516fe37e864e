"""What slows a load down is taken away before the rows and comes back after them: triggers, foreign keys, secondary indexes."""

from workbook.catalog import Catalog
from workbook.errors import Refused
from workbook.mapping import Mapping
from workbook.plan import apply
from workbook.schema import plan_again, plan_deferral, plan_schema
from workbook.servers import Server


class Unjournaled:
    """A journal that keeps nothing: these steps restore what the schema phase has journaled already."""

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        """Nothing to note."""
        return 0

    def confirm(self, number: int) -> None:
        """Nothing to note."""

    def cancel(self, number: int) -> None:
        """Nothing to note."""


def defer_hindrances(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping, owned: set[str]
) -> tuple[str, ...]:
    """Drop triggers, foreign keys and secondary indexes of the tables in scope; what was dropped.

    Raises Refused where the schema phase has not made all tables.
    """
    planned = plan_schema(source, target, catalog, mapping, owned)
    missing = [step for step in planned.steps if step.kind in ("database", "table")]
    if missing:
        raise Refused(
            f"{len(missing)} objects are missing on the target, the first of them {missing[0].object}.",
            "There is nowhere to load their rows.",
            "Run the phase schema first, then this one again.",
        )
    deferred = plan_deferral(planned, target, [table.path for table in mapping.in_scope])
    apply(deferred, target, Unjournaled())
    return tuple(step.object for step in deferred.steps)


def restore_hindrances(source: Server, target: Server, catalog: Catalog, mapping: Mapping, owned: set[str]) -> None:
    """Bring back whatever the schema's plan finds missing; planning once more afterwards must find nothing.

    Raises Refused where something is still missing then.
    """
    planned = plan_schema(source, target, catalog, mapping, owned)
    apply(planned, target, Unjournaled())
    again = plan_again(planned, target, owned)
    if again.steps:
        raise Refused(
            f"After the load {again.steps[0].object} is still missing on the target, and {len(again.steps) - 1} more.",
            "The target would answer differently from the source.",
            "Look at the statement in the log of the schema phase, mend the cause, and run the phase again.",
        )
