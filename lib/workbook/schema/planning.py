"""The plan of the schema phase: the steps that make the target's schema what the source's is, less what is there."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from workbook.catalog import ForeignKey, Table
from workbook.errors import Refused
from workbook.names import mysql_path, quote_mysql
from workbook.plan import Left, Plan, Step
from workbook.schema.choices import moved_collation
from workbook.schema.code import adapted_code, same_code, setting_differences
from workbook.schema.columns import column_differences
from workbook.schema.definitions import Code, Definitions, TablePath
from workbook.schema.order import ordered_views
from workbook.schema.rules import same_collation
from workbook.schema.table import Part, TableDefinition
from workbook.schema.wanted import CLOUD_SQL, MAPPING, Wanted, refuse_choices, refuse_keyless, wanted

PHASE = "schema"
# Views stand on functions and tables; triggers come last, so that nothing fires while the rest is made.
_CODE_ORDER = ("function", "procedure", "view", "trigger", "event")


@dataclass(frozen=True)
class SchemaPlan(Plan):
    """A plan with the source's definitions it was made from, so that a second plan is made from the same."""

    source: Definitions | None = field(default=None, repr=False)


def plan(source: Definitions, target: Definitions, owned: Collection[str]) -> SchemaPlan:
    """The steps that bring what `source` defines to the target, in order; what is there already needs none.

    `owned` holds the objects the workbook made, as `Step.object` writes them. Raises Refused, before anything is
    written, where an object of that name is on the target and not ours, or is ours and was changed there.
    """
    refuse_folded(source, target)
    refuse_taken(source, target, owned)
    steps: list[Step] = []
    left: list[Left] = list(source.left)
    tables = {path: wanted(source, path) for path in source.tables}
    refuse_choices(source, target, tables)
    refuse_keyless(target, tables)
    _databases(source, target, owned, steps, left)
    _tables(source, target, tables, steps, left)
    _code(source, target, owned, steps, left)
    return SchemaPlan(PHASE, tuple(steps), tuple(left), source)


def object_name(kind: str, *path: str) -> str:
    """An object as `Step.object` writes it."""
    return f"{kind} {mysql_path(*path)}"


def refuse_folded(source: Definitions, target: Definitions) -> None:
    """Raise Refused where the target would write the names of databases, tables or views in lower case."""
    setting = "lower_case_table_names"
    here, there = (side.catalog.variables.get(setting, "0") for side in (source, target))
    if there == "0" or here == there == "1":
        return
    names = [*source.scope.databases, *(name for _, name in source.tables)]
    names += [item.name for item in source.code if item.kind == "view"]
    capitals = [name for name in names if name != name.lower()]
    if capitals:
        raise Refused(
            f"The target runs with {setting}={there} and would write {capitals[0]!r} in lower case"
            + (f", and {len(capitals) - 1} more names." if len(capitals) > 1 else "."),
            "Applications that name it as it is written would no longer find it, and two names could become one.",
            f"Create the target instance with {setting}=0; it cannot be changed later.",
        )


def refuse_taken(source: Definitions, target: Definitions, owned: Collection[str]) -> None:
    """Raise Refused where the target holds objects of the source's names that the workbook did not make."""
    there = {("table", *table.path) for table in target.catalog.tables}
    there |= {("view", *view.path) for view in target.catalog.views}
    there |= {(routine.kind.lower(), routine.database, routine.name) for routine in target.catalog.routines}
    there |= {("trigger", trigger.database, trigger.name) for trigger in target.catalog.triggers}
    there |= {("event", event.database, event.name) for event in target.catalog.events}
    wanted = [("table", *path) for path in source.tables]
    wanted += [item.key for item in source.code]
    taken = []
    for kind, database, name in wanted:
        # Tables and views share their names.
        kinds = ("table", "view") if kind in ("table", "view") else (kind,)
        taken += [
            object_name(other, database, name)
            for other in kinds
            if (other, database, name) in there and object_name(other, database, name) not in owned
        ]
    if taken:
        more = f" and {len(taken) - 1} more objects ({', '.join(taken[1:6])}{', …' if len(taken) > 6 else ''})"
        raise Refused(
            f"The target already holds {taken[0]}{more if len(taken) > 1 else ''}, which this workbook did not make.",
            "What was on the target before is never changed or dropped; nothing has been written.",
            "Rename or drop it on the target yourself, or take it out of scope in the mapping; then run again.",
        )


def expected_foreign_keys(source: Definitions, path: TablePath) -> tuple[tuple[Part, ...], tuple[Left, ...]]:
    """The foreign keys of a table that can hold on the target, and those whose parent is out of scope."""
    kept, left = [], []
    known = {key.name: key for key in source.catalog.table[path].foreign_keys}
    for part in source.split[path].foreign_keys:
        key = known.get(part.name)
        parent = (key.parent_database, key.parent_table) if key else None
        if parent is not None and parent not in source.tables and parent not in source.beside:
            left.append(
                Left(
                    "foreign key",
                    mysql_path(*path, part.name),
                    f"its parent table {mysql_path(*parent)} is out of scope; it comes when the parent does",
                )
            )
        else:
            kept.append(part)
    return tuple(kept), tuple(left)


def _databases(
    source: Definitions, target: Definitions, owned: Collection[str], steps: list[Step], left: list[Left]
) -> None:
    there = {database.name: database for database in target.catalog.databases}
    for database in source.catalog.databases:
        if database.name not in source.scope.databases:
            continue
        found = there.get(database.name)
        name = quote_mysql(database.name)
        collation = moved_collation(database.collation, source.default)
        if collation != database.collation:
            left.append(Left("database", name, f"default {database.collation} becomes {collation}", by=MAPPING))
        if found is None:
            # Not IF NOT EXISTS: a database that somebody made in between is not ours to drop.
            statement = f"CREATE DATABASE {name} CHARACTER SET {collation.partition('_')[0]} COLLATE {collation}"
            steps.append(Step("database", name, statement, f"DROP DATABASE IF EXISTS {name}"))
        elif same_collation(found.collation, collation):
            continue
        elif f"database {name}" in owned:
            # A run that was cut off between two steps may have left the collation of a piece of code behind.
            steps.append(Step("collation", name, f"ALTER DATABASE {name} COLLATE {collation}", None))
        else:
            left.append(
                Left(
                    "database",
                    name,
                    f"was there before, with {found.collation} as its default where the source has"
                    f" {collation}; tables state their own, later ones would not",
                    expected=False,
                )
            )


def _tables(
    source: Definitions,
    target: Definitions,
    tables: Mapping[TablePath, Wanted],
    steps: list[Step],
    left: list[Left],
) -> None:
    indexes: list[Step] = []
    keys: list[Step] = []
    counters: list[Step] = []
    restricted = target.catalog.variables.get("restrict_fk_on_non_standard_key", "OFF").upper() == "ON"
    for path, table in tables.items():
        left += [Left("table", mysql_path(*path), change, by=by) for change, by in table.changes]
        foreign_keys, without_parent = expected_foreign_keys(source, path)
        left += without_parent
        definition = replace(table.table, foreign_keys=foreign_keys)
        settings = _key_settings(source, path, foreign_keys) if restricted else ()
        name = mysql_path(*path)
        if path not in target.tables:
            undo = f"DROP TABLE IF EXISTS {name}"
            steps.append(Step("table", name, definition.create(path[0]), undo, settings))
            continue
        there = target.split[path]
        _refuse_changed(path, source, target, replace(table, table=definition), there)
        indexes += _index_steps(name, definition, there)
        missing = _missing(definition.foreign_keys, there.foreign_keys)
        if missing:
            keys.append(_alter("foreign keys", name, missing, settings))
        if definition.auto_increment > there.auto_increment:
            statement = f"ALTER TABLE {name} AUTO_INCREMENT = {definition.auto_increment}"
            counters.append(Step("counter", name, statement, None))
    steps += [*indexes, *keys, *counters]


def _index_steps(name: str, wanted: TableDefinition, there: TableDefinition) -> Iterator[Step]:
    """One ALTER TABLE for all that is missing, and one for each further full-text index: InnoDB makes one at a time."""
    primary = _missing(
        [wanted.primary_key] if wanted.primary_key else [], [there.primary_key] if there.primary_key else []
    )
    missing = [*primary, *_missing(wanted.indexes, there.indexes)]
    fulltext = [part for part in missing if part.normal[0] == "fulltext"]
    together = [part for part in missing if part not in fulltext[1:]] + _missing(wanted.checks, there.checks)
    if together:
        yield _alter("indexes", name, together)
    for part in fulltext[1:]:
        yield _alter("indexes", name, [part])


def _alter(kind: str, name: str, parts: Iterable[Part], settings: tuple[tuple[str, str], ...] = ()) -> Step:
    """An ALTER TABLE that adds to a table of ours. It has no undo: the parts go with the table."""
    added = ", ".join(f"ADD {part.text}" for part in parts)
    return Step(kind, name, f"ALTER TABLE {name} {added}", None, settings)


def _missing(wanted: Iterable[Part], there: Iterable[Part]) -> list[Part]:
    present = {part.name.lower() for part in there}
    return [part for part in wanted if part.name.lower() not in present]


def _key_settings(source: Definitions, path: TablePath, parts: tuple[Part, ...]) -> tuple[tuple[str, str], ...]:
    """The setting that lets a foreign key point at columns without a unique key, where one does."""
    names = {part.name for part in parts}
    keys = [key for key in source.catalog.table[path].foreign_keys if key.name in names]
    if all(_points_at_unique(source.catalog.table[key.parent_database, key.parent_table], key) for key in keys):
        return ()
    return (("restrict_fk_on_non_standard_key", "OFF"),)


def _points_at_unique(parent: Table, key: ForeignKey) -> bool:
    return any(
        index.unique and index.columns == key.parent_columns and not any(part.prefix for part in index.parts)
        for index in parent.indexes
    )


def _refuse_changed(
    path: TablePath, source: Definitions, target: Definitions, table: Wanted, there: TableDefinition
) -> None:
    """Raise Refused where a table of ours has other columns, or parts of the same name with another definition."""
    wanted = table.table
    columns = column_differences(source, target, path, table.facts.columns)
    changed = [f"column {name!r}: {what}" for name, what in columns]
    pairs = (
        ("index", [*wanted.indexes, *([wanted.primary_key] if wanted.primary_key else [])]),
        ("foreign key", wanted.foreign_keys),
        ("check", wanted.checks),
    )
    present = {
        part.name.lower(): part for part in (*there.indexes, *((there.primary_key,) if there.primary_key else ()))
    }
    parts_there = {
        "index": present,
        "foreign key": {part.name.lower(): part for part in there.foreign_keys},
        "check": {part.name.lower(): part for part in there.checks},
    }
    for kind, parts in pairs:
        for part in parts:
            found = parts_there[kind].get(part.name.lower())
            if found is not None and not part.same_as(found):
                changed.append(f"{kind} {part.name!r} is defined otherwise")
    if wanted.normal_partitioning != there.normal_partitioning:
        changed.append("its partitions differ")
    if changed:
        raise Refused(
            f"The table {mysql_path(*path)}, which the workbook made, differs from the source now: {changed[0]}"
            + (f" (and {len(changed) - 1} more)." if len(changed) > 1 else "."),
            "A changed table may hold rows, so it is not made again by itself.",
            "Change it on the target with ALTER TABLE, or run `workbook rollback map` and then the schema phase again.",
        )


def _code(
    source: Definitions, target: Definitions, owned: Collection[str], steps: list[Step], left: list[Left]
) -> None:
    views, without = ordered_views(source)
    left += without
    _refuse_untrusted(source, target)
    databases = {item.name: moved_collation(item.collation, source.default) for item in source.catalog.databases}
    for kind in _CODE_ORDER:
        items = views if kind == "view" else [item for item in source.code if item.kind == kind]
        for code in sorted(items, key=_firing_order) if kind == "trigger" else items:
            why = never_made(code, target)
            if why:
                by = MAPPING if code.held else ""
                left.append(Left(kind, mysql_path(code.database, code.name), why, by=by))
                continue
            before = _next_trigger(code, source, target) if kind == "trigger" else None
            made = adapted_code(code, target.account, before)
            name = mysql_path(code.database, code.name)
            left += [Left(kind, name, change, by=CLOUD_SQL) for change in made.changes]
            there = target.code_by_key.get(code.key)
            if there is not None:
                _refuse_changed_code(code, made.settings, there)
                continue
            undo = f"DROP {kind.upper()} IF EXISTS {name}"
            # Made inside its database: a view names its tables with theirs, but not always its functions.
            shown = _printable(made.statement)
            step = Step(kind, name, made.statement, undo, made.settings, code.database, shown=shown)
            steps += _under_collation(code, step, databases[code.database], owned, steps, left)


def _printable(statement: str) -> str | None:
    """What stands for a statement that holds bytes which are no text."""
    shown = statement.encode("utf-8", "replace").decode()
    return shown if shown != statement else None


def _firing_order(trigger: Code) -> tuple[str, str, str, int]:
    return trigger.database, trigger.table or "", trigger.moment or "", trigger.order


def never_made(code: Code, target: Definitions) -> str | None:
    """Why an object is not made at all."""
    if code.held:
        return f"held back: {code.held}"
    if code.refused:
        return f"MySQL cannot take it as it stands: {code.refused}"
    if code.over:
        return "its time has passed: the server would drop it as soon as it is made"
    zone = dict(code.settings).get("time_zone", "SYSTEM")
    if code.kind == "event" and target.zones and zone not in target.zones:
        return f"the target does not know the time zone {zone}"
    return None


def _under_collation(
    code: Code, step: Step, collation: str, owned: Collection[str], steps: list[Step], left: list[Left]
) -> list[Step]:
    """The step, between two that give its database the default collation under which the code was written."""
    wanted = code.database_collation
    database = quote_mysql(code.database)
    if wanted is None or same_collation(wanted, collation):
        return [step]
    ours = f"database {database}" in owned or any(made.object == f"database {database}" for made in steps)
    if not ours:
        why = f"was written when its database had {wanted}; the database there is not the workbook's to change"
        left.append(Left(code.kind, step.name, why, expected=False))
        return [step]
    before = Step("collation", database, f"ALTER DATABASE {database} COLLATE {wanted}", None)
    after = Step("collation", database, f"ALTER DATABASE {database} COLLATE {collation}", None)
    return [before, step, after]


def _next_trigger(code: Code, source: Definitions, target: Definitions) -> str | None:
    """The trigger that fires next after `code` and is on the target already."""
    later = [
        item
        for item in source.code
        if item.kind == "trigger"
        and (item.database, item.table, item.moment) == (code.database, code.table, code.moment)
        and item.order > code.order
        and item.key in target.code_by_key
    ]
    return min(later, key=lambda item: item.order).name if later else None


def _refuse_changed_code(code: Code, settings: tuple[tuple[str, str], ...], there: Code) -> None:
    differences = setting_differences(code, settings, there)
    if not same_code(code, there):
        differences.append("its text differs")
    if differences and not all(item.startswith("database collation") for item in differences):
        raise Refused(
            f"The {code.kind} {mysql_path(code.database, code.name)}, which the workbook made, differs from the source"
            f" now: {differences[0]}.",
            "It was changed on one side since; which of the two is right is for a person to say.",
            f"Drop it on the target (DROP {code.kind.upper()}) and run again, or take the source's change back.",
        )


def _refuse_untrusted(source: Definitions, target: Definitions) -> None:
    """Raise Refused where the target would not let its administrator make triggers and functions."""
    variables = target.catalog.variables
    untrusted = (
        variables.get("log_bin", "OFF").upper() == "ON"
        and variables.get("log_bin_trust_function_creators", "ON").upper() == "OFF"
    )
    code = next((item for item in source.code if item.kind in ("trigger", "function")), None)
    if untrusted and code is not None and code.key not in target.code_by_key:
        raise Refused(
            f"The target keeps a binary log and would refuse {code.kind} {mysql_path(code.database, code.name)} (1419).",
            "Without SUPER, which Cloud SQL gives nobody, triggers and functions need log_bin_trust_function_creators.",
            "Set the flag log_bin_trust_function_creators=on on the target instance, then run again.",
        )
