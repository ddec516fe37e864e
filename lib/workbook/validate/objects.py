"""Objects: definitions, accounts and grants on source and target."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from workbook.accounts import compare_accounts
from workbook.catalog import Catalog
from workbook.errors import WorkbookError
from workbook.mapping import Mapping
from workbook.schema import Definitions, ObjectDifference, compare, read_source, read_target
from workbook.schema.carried import carried
from workbook.servers import Server
from workbook.validate.replay_verdict import InteractionVerdict
from workbook.validate.result import ObjectVerdict
from workbook.validate.settings import compare_settings

Compared = TypeVar("Compared", ObjectVerdict, InteractionVerdict)
_LACKING = "is missing on the target"


def compare_objects(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    owned: Collection[str],
    definitions: Callable[[], tuple[Definitions, Definitions]],
) -> list[ObjectVerdict]:
    """Every object of the schema, every account in scope, every setting that changes behaviour; what could not be looked
    at is incomparable.

    `owned` are the objects that the workbook made: an account that was on the target before is not compared.
    `definitions` gives those of source and target.
    """
    found = []
    looks: tuple[tuple[str, Callable[[], Iterable[ObjectDifference]]], ...] = (
        ("schema", lambda: compare(*definitions())),
        ("accounts", lambda: compare_accounts(source, target, catalog, mapping, owned)),
        ("settings", lambda: compare_settings(source, target, mapping.target)),
    )
    for what, look in looks:
        try:
            found += [
                ObjectVerdict(item.kind, item.name, item.verdict, _detail(item), item.parts, item.mend, item.undo)
                for item in look()
            ]
        except WorkbookError as error:
            found.append(ObjectVerdict(what, "all", "incomparable", error.found))
    return found


def at_rest(items: Sequence[Compared], objects: Sequence[ObjectVerdict]) -> list[Compared]:
    """The items, with the triggers tolerated that the target lacks, and code that works through them: what triggers do
    comes with the source's changes meanwhile."""
    dropped = {item.name for item in objects if item.kind == "trigger" and item.detail == _LACKING}
    off = "off while change capture brings what it does on the source; the cutover makes it again"
    result = []
    for item in items:
        if item.verdict in ("different", "incomparable"):
            if item.kind == "trigger" and item.name in dropped:
                item = replace(item, verdict="tolerated", detail=off)
            elif any(f"trigger {name}" in item.detail for name in dropped):
                item = replace(item, verdict="tolerated", detail=f"{item.detail}; that trigger is {off}")
        result.append(item)
    return result


def _detail(item: ObjectDifference) -> str:
    """What differs, and by whose rules where it is by any."""
    return f"{item.detail} (by {item.by})" if item.by else item.detail


def read_definitions(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping
) -> tuple[Definitions, Definitions]:
    """What both servers define in scope, as the target names it. Raises WorkbookError where it cannot be read."""
    definitions = carried(read_source(source, catalog, mapping), mapping)
    return definitions, read_target(target, definitions)
