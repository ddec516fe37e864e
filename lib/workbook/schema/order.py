"""The order of views: each after the views and functions it stands on."""

from workbook.names import mysql_path
from workbook.plan import Left
from workbook.schema.definitions import Code, Definitions

_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


def ordered_views(source: Definitions) -> tuple[list[Code], list[Left]]:
    """The views in an order in which each can be made, and those that cannot: broken, or standing on what stays behind."""
    waiting = {item.key: item for item in source.code if item.kind == "view"}
    # Some servers do not say what kind of thing a view uses; every known view of that name counts.
    known_views = {(item.database, item.name) for item in waiting.values()}
    everything = {table.path for table in source.catalog.tables} | {view.path for view in source.catalog.views}
    functions = {(item.database, item.name) for item in source.code if item.kind == "function" and not item.held}
    ready: list[Code] = []
    left: list[Left] = []
    gone: dict[tuple[str, str], str] = {}

    def leave(code: Code, why: str) -> None:
        left.append(Left("view", mysql_path(code.database, code.name), why))
        gone[code.database, code.name] = why
        del waiting[code.key]

    for code in list(waiting.values()):
        if code.held:
            leave(code, f"held back: {code.held}")
            continue
        if code.refused:
            leave(code, f"MySQL cannot take it as it stands: {code.refused}")
            continue
        if code.broken:
            leave(code, f"does not work on the source: {code.broken}")
            continue
        for kind, database, name in code.uses:
            path = (database, name)
            if database.lower() in _SYSTEM:
                continue
            if kind == "function":
                missing = path not in functions
            else:
                # A pair of names that is no table at all is an alias and a column.
                missing = path not in known_views and path not in source.tables
                missing = missing and (kind == "table" or path in everything)
            if missing:
                leave(code, f"stands on {kind} {mysql_path(*path)}, which is out of scope")
                break
    while waiting:
        before = len(waiting)
        for code in list(waiting.values()):
            uses = [(database, name) for kind, database, name in code.uses if kind != "function"]
            lost = next((path for path in uses if path in gone), None)
            if lost is not None:
                leave(code, f"stands on view {mysql_path(*lost)}, which is left out")
            elif not any(
                path in known_views and ("view", *path) in waiting and path != (code.database, code.name)
                for path in uses
            ):
                ready.append(code)
                del waiting[code.key]
        if len(waiting) == before:
            for code in list(waiting.values()):
                leave(code, "stands on itself through other views")
    return ready, left
