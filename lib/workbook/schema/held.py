"""What does not fire before the cutover, and the statement that wakes it there."""

from dataclasses import dataclass

from workbook.names import mysql_path
from workbook.schema.definitions import Definitions


@dataclass(frozen=True)
class Held:
    """Something that would act by itself: how it is held, and what wakes it (None: nothing needs to)."""

    kind: str
    name: str
    how: str
    wake: str | None


def held(source: Definitions, target: Definitions) -> tuple[Held, ...]:
    """Events and triggers of the source that are on the target, each with how it is held."""
    found = []
    for code in source.code:
        there = target.code_by_key.get(code.key)
        name = mysql_path(code.database, code.name)
        if there is None:
            continue
        if code.kind == "event" and there.status == "DISABLED" and code.status != "DISABLED":
            if code.status == "ENABLED":
                found.append(Held("event", name, "disabled until the cutover", f"ALTER EVENT {name} ENABLE"))
            else:
                how = f"disabled; on the source it is {code.status}, so it does not fire there either"
                found.append(Held("event", name, how, None))
        elif code.kind == "trigger":
            table = mysql_path(code.database, code.table or "")
            found.append(Held("trigger", name, f"taken away while rows are loaded into {table}, back after it", None))
    # What a person has to wake comes first.
    return tuple(sorted(found, key=lambda item: item.wake is None))
