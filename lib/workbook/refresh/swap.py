"""The swap: everything that could stop it is looked at first, then one RENAME, then triggers come back."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from workbook.catalog import Catalog
from workbook.errors import Refused, TransientError, WorkbookError
from workbook.mapping import Mapping
from workbook.names import mysql_path, mysql_string
from workbook.plan import Journal, Step, carry_out
from workbook.refresh.copies import POST, Copies, Copy, Path, post_database, tables_of
from workbook.refresh.gate import Passage, pass_through
from workbook.schema import read_wanted
from workbook.schema.code import adapted_code
from workbook.schema.definitions import Definitions
from workbook.servers import Server

# A statement that waits for a table holds up those who come after it.
_LOCK_WAIT_SECONDS = 2
_SOON_SECONDS = 60.0


def swap(
    target: Server,
    copies: Copies,
    copy: Copy,
    journal: Journal,
    patience: float,
    since: str,
    say: Callable[[str], None],
) -> tuple[Passage, Copy]:
    """Carry out the RENAME of `copy`, which then holds what was read before; how it went.

    Raises Refused where a table outside of the copies points at one that leaves, TransientError where readers were in
    the way for all of `patience` (seconds). Then all is as it was.
    """
    refuse_pointing(target, copy)
    claimed = copies.claim(replace(copy, state="swapping"), journal)
    # A table cannot take its triggers into another database (error 1435).
    # Nor may it keep them at its gate, which would be locked with all the tables that they name.
    drops = [f"DROP TRIGGER IF EXISTS {mysql_path(*path)}" for path in _triggers(target, copy.left)]
    try:
        with _post(target, copies, copy, journal) as post:
            passage = pass_through(target, copy.statement, copy.left, post, drops, patience, since, say)
    except Exception:
        # What cannot be put right now is found by the next run: the error that stopped the swap counts.
        with contextlib.suppress(WorkbookError):
            copies.settle()
            restore(target, [step for step in copy.triggers if _missing(target, step)], patience)
        raise
    return passage, copies.put(replace(claimed, state="kept"))


@contextlib.contextmanager
def _post(target: Server, copies: Copies, copy: Copy, journal: Journal) -> Iterator[Path]:
    """The table that the gates stand before."""
    database = post_database([path[0] for path in copy.came])
    post = copies.claim(Copy(POST, "post", {"": database}), journal)
    try:
        target.execute(f"CREATE TABLE IF NOT EXISTS {mysql_path(database, POST)} (id INT PRIMARY KEY)")
        yield database, POST
    finally:
        copies.drop(post)


def restore(target: Server, steps: Sequence[Step], patience: float) -> None:
    """Make triggers and other code, each at a moment when its table is free. Raises TransientError after `patience`."""
    for step in steps:
        deadline = time.monotonic() + patience
        while True:
            try:
                with target.session() as session:
                    session.execute(f"SET SESSION lock_wait_timeout = {_LOCK_WAIT_SECONDS}")
                    carry_out(session, step)
                break
            except TransientError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


def restore_triggers(source: Server, target: Server, catalog: Catalog, mapping: Mapping) -> None:
    """Bring back the triggers that are missing on tables of the target."""
    wanted = read_wanted(source, catalog, mapping)
    there = tables_of(target, wanted.scope.databases)
    account = str(target.scalar("SELECT CURRENT_USER()"))
    code = tuple(item for item in wanted.code if not item.held and not item.refused)
    made = replace(wanted, account=account, code=code)
    steps = triggers_of(made, [path for path in wanted.tables if path in there])
    restore(target, [step for step in steps if _missing(target, step)], _SOON_SECONDS)


def triggers_of(definitions: Definitions, paths: Sequence[Path]) -> tuple[Step, ...]:
    """The steps that make the triggers of these tables as they are now, in the order in which they fire."""
    found = [item for item in definitions.code if item.kind == "trigger" and (item.database, item.table) in paths]
    steps = []
    for item in sorted(found, key=lambda item: (item.database, item.table or "", item.moment or "", item.order)):
        made = adapted_code(item, definitions.account)
        name = mysql_path(item.database, item.name)
        undo = f"DROP TRIGGER IF EXISTS {name}"
        steps.append(Step("trigger", name, made.statement, undo, made.settings, item.database))
    return tuple(steps)


def refuse_pointing(target: Server, copy: Copy) -> None:
    """Raise Refused where a foreign key from elsewhere would follow its parent out of the databases that are read."""
    leaving = set(copy.left)
    databases = ", ".join(mysql_string(name) for name in sorted({path[0] for path in leaving})) or "NULL"
    rows = target.rows(
        "SELECT TABLE_SCHEMA AS d, TABLE_NAME AS t, CONSTRAINT_NAME AS k, REFERENCED_TABLE_SCHEMA AS pd,"
        " REFERENCED_TABLE_NAME AS pt FROM information_schema.KEY_COLUMN_USAGE"
        f" WHERE REFERENCED_TABLE_SCHEMA IN ({databases})"
    )
    found = sorted({(r["d"], r["t"], r["k"], r["pt"]) for r in rows if (r["pd"], r["pt"]) in leaving})
    outside = [item for item in found if item[:2] not in leaving]
    if outside:
        database, table, key, parent = outside[0]
        raise Refused(
            f"The foreign key {mysql_path(database, table, key)} points at {parent!r}, which is to be swapped, and its"
            " table is not.",
            "A foreign key follows its parent: it would point into the copy before, and go wrong unseen.",
            "Take its table into the scope of the mapping, or drop that key; then run again.",
        )


def _triggers(target: Server, paths: Sequence[Path]) -> list[Path]:
    """The triggers of these tables, as database and name."""
    listed = ", ".join(mysql_string(name) for name in sorted({path[0] for path in paths})) or "NULL"
    rows = target.rows(
        "SELECT EVENT_OBJECT_SCHEMA AS d, EVENT_OBJECT_TABLE AS t, TRIGGER_NAME AS n"
        f" FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA IN ({listed})"
    )
    return [(row["d"], row["n"]) for row in rows if (row["d"], row["t"]) in set(paths)]


def _missing(target: Server, step: Step) -> bool:
    rows = target.rows("SELECT TRIGGER_SCHEMA AS d, TRIGGER_NAME AS n FROM information_schema.TRIGGERS")
    return step.name not in {mysql_path(row["d"], row["n"]) for row in rows}
