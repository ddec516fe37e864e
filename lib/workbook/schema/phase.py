"""The schema phase for a notebook: plan, look again after apply, and judge."""

from collections import Counter
from collections.abc import Collection
from collections.abc import Mapping as ReadOnly
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbook import faces
from workbook.catalog import Catalog
from workbook.errors import Refused
from workbook.mapping.objects import Mapping
from workbook.mapping.target import UNCHANGED
from workbook.plan import Applied, Journal, Plan, apply
from workbook.schema.carried import carried
from workbook.schema.choices import moved_collation
from workbook.schema.collisions import refuse_collisions
from workbook.schema.compare import ObjectDifference, compare
from workbook.schema.definitions import Definitions, TablePath, read_definitions, read_target, scope_of
from workbook.schema.held import Held, held
from workbook.schema.loading import deferral_plan
from workbook.schema.narrowed import narrowed
from workbook.schema.planning import SchemaPlan, plan
from workbook.schema.privileges import refuse_hidden
from workbook.schema.relocated import relocated
from workbook.schema.rows import refuse_rows
from workbook.schema.wanted import MAPPING
from workbook.servers import Server


@dataclass(frozen=True)
class SchemaResult:
    """What the schema phase did, and whether nothing is left to do. `verdict` is ok or different.

    `held` is what does not fire before the cutover.
    """

    verdict: str
    planned: Plan
    second: Plan
    objects: tuple[ObjectDifference, ...]
    held: tuple[Held, ...] = ()

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "plan": self.planned.asdict(),
            "second_plan": self.second.asdict(),
            "objects": [asdict(item) for item in self.objects],
            "held": [asdict(item) for item in self.held],
        }

    def _repr_html_(self) -> str:
        counts = Counter(item.verdict for item in self.objects)
        chosen = sum(MAPPING in item.by for item in self.objects)
        # What nobody wanted comes first.
        worth = sorted(
            (item for item in self.objects if item.verdict != "same"), key=lambda item: item.verdict != "different"
        )
        return faces.stack(
            faces.boxes(
                ("Schema", faces.badge(self.verdict)),
                ("Steps applied", len(self.planned.steps)),
                ("Steps still missing", len(self.second.steps)),
                ("Objects the same", counts["same"]),
                ("Changed by the mapping", chosen),
                ("Changed by another rule", counts["tolerated"] - chosen),
                ("Different", counts["different"]),
            ),
            faces.table(
                [
                    {
                        **asdict(item),
                        "verdict": faces.stack(
                            faces.badge(item.verdict), faces.text(f"by {item.by}", muted=True) if item.by else None
                        ),
                    }
                    for item in worth
                ],
                {
                    "kind": "Kind",
                    "name": "Name",
                    "verdict": "Verdict",
                    "detail": "What differs, and why",
                },
                caption="Objects that are not exactly the same",
            )
            if worth
            else faces.text("Every object is exactly the same on both sides."),
            faces.table(
                [{**asdict(item), "wake": item.wake or ""} for item in self.held],
                {"kind": "Kind", "name": "Name", "how": "How it is held", "wake": "What wakes it at the cutover"},
                caption="Held until the cutover",
            )
            if self.held
            else None,
        )


def read_source(source: Server, catalog: Catalog, mapping: Mapping) -> Definitions:
    """The source's definitions of all that the mapping has in scope, in the source's names.

    Raises Refused where the login lacks a privilege without which objects are hidden from it.
    """
    scope = scope_of(catalog, [table.path for table in mapping.in_scope])
    with source.session() as session:
        refuse_hidden(session, scope.databases)
    return with_choices(read_definitions(source, catalog, scope), mapping)


def read_wanted(source: Server, catalog: Catalog, mapping: Mapping) -> Definitions:
    """The source's definitions as the mapping carries them over, in the target's names. Raises Refused as `carried` and
    `read_source` do."""
    return carried(read_source(source, catalog, mapping), mapping)


def with_choices(definitions: Definitions, mapping: Mapping) -> Definitions:
    """The source's definitions with what the mapping has changed by choice.

    A database's default follows the mapping, and with it the code that was written under that default.
    """
    default = mapping.target
    code = tuple(
        replace(item, database_collation=moved_collation(item.database_collation, default))
        if item.database_collation
        else item
        for item in definitions.code
    )
    choices = {table.path: table.target for table in mapping.in_scope if table.target != UNCHANGED}
    return replace(definitions, choices=choices, default=default, code=code)


def plan_schema(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    owned: Collection[str],
    rows: bool = True,
    aside: ReadOnly[str, str] | None = None,
    only: Collection[TablePath] | None = None,
    anew: bool = False,
) -> SchemaPlan:
    """The plan from the servers as they are; of the tables alone, in the databases `aside`, where that gives them by
    those of the target, or of the source's tables `only`; `anew` as if the target had none of them.

    Raises Refused where the target holds what is not ours, and where `rows` of the source would not fit together after
    what the mapping does to them.
    """
    here = read_source(source, catalog, mapping)
    definitions = carried(here, mapping)
    if aside:
        definitions = relocated(definitions, aside)
    if only is not None:
        definitions = narrowed(definitions, {mapping.tables[path].target_path for path in only})
    there = read_target(target, definitions)
    if anew:
        there = _without(there, definitions.tables)
    planned = plan(definitions, there, owned)
    if rows:
        ends = {path: mapping.tables[path].target_path for path in (here.tables if only is None else only)}
        new = [path for path, (base, name) in ends.items() if ((aside or {}).get(base, base), name) not in there.tables]
        refuse_collisions(source, here, new)
        refuse_rows(source, catalog, mapping, only)
    return planned


def _without(target: Definitions, tables: Collection[TablePath]) -> Definitions:
    kept = tuple(table for table in target.catalog.tables if table.path not in tables)
    return replace(
        target,
        catalog=replace(target.catalog, tables=kept),
        tables={path: text for path, text in target.tables.items() if path not in tables},
    )


def plan_again(planned: SchemaPlan, target: Server, owned: Collection[str]) -> SchemaPlan:
    """A further plan from the same source definitions and the target as it is now: empty when all is done."""
    source = _source_of(planned)
    return plan(source, read_target(target, source), owned)


def apply_schema(planned: SchemaPlan, target: Server, journal: Journal, owned: Collection[str]) -> Applied:
    """Carry out what of the plan is still to be done on the target as it is now: a second time that is nothing."""
    return apply(plan_again(planned, target, owned), target, journal)


def check_schema(planned: SchemaPlan, target: Server, owned: Collection[str]) -> SchemaResult:
    """The result after apply: a second plan, which must be empty, and every object compared."""
    source = _source_of(planned)
    there = read_target(target, source)
    second = plan(source, there, owned)
    objects = compare(source, there)
    good = second.empty and all(item.verdict != "different" for item in objects)
    return SchemaResult("ok" if good else "different", planned, second, objects, held(source, there))


def compare_schema(source: Server, target: Server, catalog: Catalog, mapping: Mapping) -> tuple[ObjectDifference, ...]:
    """Every object in scope compared between the servers as they are."""
    definitions = read_wanted(source, catalog, mapping)
    return compare(definitions, read_target(target, definitions))


def plan_deferral(planned: SchemaPlan, target: Server, tables: Collection[TablePath]) -> Plan:
    """The steps that clear empty tables of what hinders a load; `plan_again` gives the steps that bring it back."""
    return deferral_plan(read_target(target, _source_of(planned)), tables)


def _source_of(planned: SchemaPlan) -> Definitions:
    if planned.source is None:
        raise Refused(
            "The plan holds no source definitions.",
            "Another reading of the source could differ by what happened since.",
            "Make the plan with plan_schema.",
        )
    return planned.source
