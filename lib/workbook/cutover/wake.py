"""What was held until the cutover: triggers made again, and which events were left out on the way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from workbook.catalog import Catalog
from workbook.errors import Refused
from workbook.mapping import Mapping as DataMapping
from workbook.names import mysql_account, mysql_path
from workbook.plan import Step
from workbook.refresh.swap import restore, triggers_of
from workbook.schema import Definitions, read_definitions, read_wanted, scope_of
from workbook.schema.code import same_account
from workbook.schema.privileges import effective_grants
from workbook.servers import Server

Path = tuple[str, str]
_PATIENCE_SECONDS = 30.0
#: One of these lets a login make triggers in the name of others.
_ANY_DEFINER = {"SET_ANY_DEFINER", "SET_USER_ID", "SUPER"}


def triggers_for_target(
    source: Server, target: Server, catalog: Catalog, mapping: DataMapping
) -> tuple[tuple[Step, ...], frozenset[Path]]:
    """The steps that make the source's triggers on the target, in its names, and the events that were left out on purpose.

    The schema phase has said of each of these why it is not made: the mapping, MySQL, or a time that has passed.
    """
    wanted = read_wanted(source, catalog, mapping)
    account = str(target.scalar("SELECT CURRENT_USER()"))
    code = tuple(item for item in wanted.code if not item.held and not item.refused)
    steps = triggers_of(replace(wanted, account=account, code=code), list(wanted.tables))
    left = [item for item in wanted.code if item.kind == "event" and (item.held or item.refused or item.over)]
    return steps, frozenset((item.database, item.name) for item in left)


def triggers_there(server: Server, catalog: Catalog, paths: Iterable[Path]) -> tuple[Step, ...]:
    """The steps that make the triggers of these tables again exactly as they stand, definers included.

    Raises Refused where the login could not make one of them again.
    """
    definitions = read_definitions(server, catalog, scope_of(catalog, list(paths)))
    steps = tuple(
        replace(step, statement=_own(definitions, step)) for step in triggers_of(definitions, list(definitions.tables))
    )
    foreign = sorted(
        {
            item.definer
            for item in definitions.code
            if item.kind == "trigger"
            and (item.database, item.table) in definitions.tables
            and not same_account(item.definer, definitions.account)
        }
    )
    if foreign:
        _refuse_unable(server, foreign)
    return steps


def make(server: Server, steps: Sequence[Step]) -> int:
    """Make the triggers that are missing; how many."""
    there = _there(server)
    missing = [step for step in steps if step.name not in there]
    restore(server, missing, _PATIENCE_SECONDS)
    return len(missing)


def take_away(server: Server, steps: Sequence[Step]) -> int:
    """Drop these triggers; how many there were."""
    there = _there(server)
    chosen = [step for step in steps if step.name in there]
    with server.session() as session:
        for step in chosen:
            session.execute(f"DROP TRIGGER IF EXISTS {step.name}")
    return len(chosen)


def plain(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Steps as plain values, for the ledger."""
    return [{**asdict(step), "settings": [list(pair) for pair in step.settings]} for step in steps]


def step_of(values: Mapping[str, Any]) -> Step:
    """A step from its plain values."""
    return Step(**{**values, "settings": tuple((name, value) for name, value in values["settings"])})


def _own(definitions: Definitions, step: Step) -> str:
    return next(
        item.statement
        for item in definitions.code
        if item.kind == "trigger" and mysql_path(item.database, item.name) == step.name
    )


def _there(server: Server) -> set[str]:
    rows = server.rows("SELECT TRIGGER_SCHEMA AS d, TRIGGER_NAME AS n FROM information_schema.TRIGGERS")
    return {mysql_path(row["d"], row["n"]) for row in rows}


def _refuse_unable(server: Server, definers: Sequence[str]) -> None:
    with server.session() as session:
        held = " ".join(effective_grants(session))
    if any(name in held for name in _ANY_DEFINER):
        return
    user, _, host = str(server.scalar("SELECT CURRENT_USER()")).rpartition("@")
    raise Refused(
        f"Triggers on the {server.role} belong to {', '.join(definers[:3])}, and the workbook's login may not make such.",
        "While changes come back they must be away, and they could not be made again as they were.",
        f"GRANT SET_ANY_DEFINER ON *.* TO {mysql_account(user, host)} (SET_USER_ID before MySQL 8.2), or set"
        f" cutover.reverse to none; then run again.",
    )
