"""How alike the schemas of source and target are: a verdict for every object, with the part that differs."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from workbook.names import mysql_path, quote_mysql
from workbook.schema.choices import moved_collation
from workbook.schema.code import adapted_code, same_account, same_code, setting_differences
from workbook.schema.columns import column_differences
from workbook.schema.definitions import Code, Definitions, TablePath
from workbook.schema.order import ordered_views
from workbook.schema.planning import expected_foreign_keys, never_made
from workbook.schema.rules import COUNTER_INDEX, same_collation
from workbook.schema.table import Part, TableDefinition
from workbook.schema.wanted import CLOUD_SQL, MAPPING, Wanted, wanted


@dataclass(frozen=True)
class ObjectDifference:
    """An object's verdict: same, different, or tolerated by a rule that `detail` names; `by` says whose rule it is.

    `parts`: each of its differences is an object of its own, too. `mend` are statements that make it as it is wanted,
    and `undo` those that take that back; empty where it takes more.
    """

    kind: str
    name: str
    verdict: str
    detail: str = ""
    by: str = ""
    parts: bool = False
    mend: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def compare(source: Definitions, target: Definitions) -> tuple[ObjectDifference, ...]:
    """Every object in the source's scope: databases, tables, their indexes, keys, checks and counters, and all code.

    Columns are named only where they differ. What the target holds beyond the scope is not looked at; what it adds to
    a table in scope is a difference.
    """
    left = [
        ObjectDifference(item.kind, item.name, "tolerated", f"left out: {item.why}", item.by) for item in source.left
    ]
    return (*_databases(source, target), *_tables(source, target), *_code(source, target), *left)


def _databases(source: Definitions, target: Definitions) -> Iterable[ObjectDifference]:
    there = {database.name: database for database in target.catalog.databases}
    for database in source.catalog.databases:
        if database.name not in source.scope.databases:
            continue
        found = there.get(database.name)
        name = quote_mysql(database.name)
        if found is None:
            yield ObjectDifference("database", name, "different", "is missing on the target")
        elif same_collation(database.collation, found.collation):
            yield ObjectDifference("database", name, "same")
        elif same_collation(moved_collation(database.collation, source.default), found.collation):
            detail = f"default {database.collation} became {found.collation}"
            yield ObjectDifference("database", name, "tolerated", detail, MAPPING)
        else:
            detail = f"default {database.collation} became {found.collation}; tables and columns state their own"
            yield ObjectDifference("database", name, "tolerated", detail)


def _tables(source: Definitions, target: Definitions) -> Iterable[ObjectDifference]:
    for path in source.tables:
        name = mysql_path(*path)
        if path not in target.tables:
            yield ObjectDifference("table", name, "different", "is missing on the target")
            continue
        table = wanted(source, path)
        there = target.split[path]
        columns = column_differences(source, target, path, table.facts.columns)
        options = _option_differences(target, path, table, there)
        differences = [f"column {column!r} {what}" for column, what in columns] + options
        verdict = "different" if differences else "tolerated" if table.changes else "same"
        detail = "; ".join(differences or [change for change, _ in table.changes])
        yield ObjectDifference("table", name, verdict, detail, "" if differences else table.by, bool(differences))
        here, after = ({part.name: part.text for part in side.columns} for side in (table.table, there))
        for column, what in columns:
            mend, undo = (
                _modify(name, here.get(column), after.get(column)),
                _modify(name, after.get(column), here.get(column)),
            )
            yield ObjectDifference("column", mysql_path(*path, column), "different", what, mend=mend, undo=undo)
        for what in options:
            yield ObjectDifference("option", name, "different", what)
        yield from _parts(source, path, table.table, there)
        if there.auto_increment < table.table.auto_increment:
            detail = (
                f"the next value {table.table.auto_increment} became {there.auto_increment}: values would come again"
            )
            mend = (f"ALTER TABLE {name} AUTO_INCREMENT = {table.table.auto_increment}",)
            yield ObjectDifference("counter", name, "different", detail, mend=mend)


def _modify(table: str, wanted: str | None, there: str | None) -> tuple[str, ...]:
    """The statement that gives a column its wanted definition; none where that would take a column away."""
    if wanted is None:
        return ()
    return (f"ALTER TABLE {table} {'ADD' if there is None else 'MODIFY'} COLUMN {wanted}",)


def _option_differences(target: Definitions, path: TablePath, table: Wanted, there: TableDefinition) -> list[str]:
    found = []
    wanted = table.table
    if wanted.engine.lower() != there.engine.lower():
        found.append(f"engine {wanted.engine} became {there.engine}")
    here_collation, there_collation = table.facts.collation, target.catalog.table[path].collation
    if not same_collation(here_collation, there_collation):
        found.append(f"default collation {here_collation} became {there_collation}")
    for option in sorted({*wanted.normal_options, *there.normal_options}):
        if wanted.normal_options.get(option) != there.normal_options.get(option):
            one, other = wanted.option.get(option, "none"), there.option.get(option, "none")
            found.append(f"{option} {one[:120]} became {other[:120]}")
    if wanted.normal_partitioning != there.normal_partitioning:
        found.append("partitions differ")
    return found


def _parts(
    source: Definitions, path: TablePath, wanted: TableDefinition, there: TableDefinition
) -> Iterable[ObjectDifference]:
    primary = (wanted.primary_key,) if wanted.primary_key else ()
    primary_there = (there.primary_key,) if there.primary_key else ()
    kept, without_parent = expected_foreign_keys(source, path)
    own = source.split[path]
    origin = {part.text for part in (*own.indexes, *own.foreign_keys, *own.checks, *filter(None, (own.primary_key,)))}
    for kind, parts, found in (
        ("index", (*primary, *wanted.indexes), (*primary_there, *there.indexes)),
        ("foreign key", kept, there.foreign_keys),
        ("check", wanted.checks, there.checks),
    ):
        yield from _compared(kind, path, parts, found, there, origin)
    for left in without_parent:
        yield ObjectDifference(left.kind, left.name, "tolerated", left.why)


def _compared(
    kind: str,
    path: TablePath,
    wanted: Iterable[Part],
    there: Iterable[Part],
    table: TableDefinition,
    origin: Collection[str],
) -> Iterable[ObjectDifference]:
    extra = {part.name.lower(): part for part in there}
    missing = []
    for part in wanted:
        name = mysql_path(*path, part.name)
        found = extra.pop(part.name.lower(), None)
        if found is None:
            missing.append(part)
        elif part.same_as(found):
            if part.text in origin:
                yield ObjectDifference(kind, name, "same")
            elif part.name == COUNTER_INDEX:
                yield ObjectDifference(kind, name, "tolerated", "added for the AUTO_INCREMENT column", CLOUD_SQL)
            else:
                yield ObjectDifference(kind, name, "tolerated", f"as it is wanted: {part.text}", MAPPING)
        else:
            # A foreign key is not dropped and added under its name by one statement.
            alter = f"ALTER TABLE {mysql_path(*path)}"
            mend = (f"{alter} {_drop(kind, found)}", f"{alter} ADD {part.text}")
            undo = (f"{alter} {_drop(kind, part)}", f"{alter} ADD {found.text}")
            yield ObjectDifference(kind, name, "different", f"{part.text} became {found.text}", mend=mend, undo=undo)
    for part in missing:
        name = mysql_path(*path, part.name)
        twin = next((other for other in extra.values() if other.definition == part.definition), None)
        if twin is not None and kind != "index" and _automatic(part, path[1]) and _automatic(twin, path[1]):
            del extra[twin.name.lower()]
            yield ObjectDifference(kind, name, "tolerated", f"is named {twin.name!r}: the name is an automatic one")
        else:
            yield ObjectDifference(
                kind,
                name,
                "different",
                f"is missing on the target ({part.text})",
                mend=(f"ALTER TABLE {mysql_path(*path)} ADD {part.text}",),
                undo=(f"ALTER TABLE {mysql_path(*path)} {_drop(kind, part)}",),
            )
    keys = {key.name for key in table.foreign_keys}
    for part in extra.values():
        name = mysql_path(*path, part.name)
        if kind == "index" and part.name in keys:
            yield ObjectDifference(kind, name, "tolerated", "made by the server for the foreign key of that name")
        else:
            yield ObjectDifference(kind, name, "different", f"is on the target only ({part.text})")


def _drop(kind: str, part: Part) -> str:
    if part.name == "PRIMARY":
        return "DROP PRIMARY KEY"
    return f"DROP {kind.upper()} {quote_mysql(part.name)}"


def _automatic(part: Part, table: str) -> bool:
    """Whether the server made the name up: table_ibfk_1, table_chk_1."""
    return part.name.lower().startswith((f"{table}_ibfk_".lower(), f"{table}_chk_".lower()))


def _code(source: Definitions, target: Definitions) -> Iterable[ObjectDifference]:
    _, left_views = ordered_views(source)
    left_out = {left.name: left.why for left in left_views}
    triggers_there: dict[tuple[str | None, ...], list[str]] = {}
    for item in sorted(target.code, key=lambda item: item.order):
        if item.kind == "trigger":
            triggers_there.setdefault((item.database, item.table, item.moment), []).append(item.name)
    for code in source.code:
        name = mysql_path(code.database, code.name)
        found = target.code_by_key.get(code.key)
        why = left_out.get(name) if code.kind == "view" else never_made(code, target)
        if found is None:
            detail = f"left out: {why}" if why else "is missing on the target"
            by = MAPPING if code.held else ""
            yield ObjectDifference(code.kind, name, "tolerated" if why else "different", detail, by)
            continue
        differences, rules = _code_differences(code, found, target.account)
        if code.kind == "trigger" and _fires_otherwise(code, source, triggers_there):
            differences.append("fires in another order")
        verdict = "different" if differences else "tolerated" if rules else "same"
        by = CLOUD_SQL if verdict == "tolerated" else ""
        yield ObjectDifference(code.kind, name, verdict, "; ".join(differences or rules), by)
    known = {code.key for code in source.code}
    for item in target.code:
        if item.kind == "trigger" and item.key not in known:
            yield ObjectDifference(
                "trigger", mysql_path(item.database, item.name), "different", "is on the target only"
            )


def _code_differences(code: Code, found: Code, account: str) -> tuple[list[str], list[str]]:
    made = adapted_code(code, account)
    differences = setting_differences(code, made.settings, found)
    rules = []
    if not same_code(code, found):
        differences.append("its text differs")
    if not same_account(code.definer, found.definer):
        if same_account(found.definer, account):
            rules.append(f"definer {code.definer} became {found.definer}")
        else:
            differences.append(f"definer {code.definer} became {found.definer}")
    if code.status != found.status:
        if found.status == "DISABLED":
            rules.append(f"{code.status} became DISABLED: events wait for the cutover")
        else:
            differences.append(f"{code.status} became {found.status}")
    return differences, rules


def _fires_otherwise(code: Code, source: Definitions, there: dict[tuple[str | None, ...], list[str]]) -> bool:
    group = (code.database, code.table, code.moment)
    names = there.get(group, [])
    here = [
        item.name
        for item in sorted(source.code, key=lambda item: item.order)
        if item.kind == "trigger" and (item.database, item.table, item.moment) == group and item.name in names
    ]
    known = [name for name in names if name in here]
    return here.index(code.name) != known.index(code.name)
