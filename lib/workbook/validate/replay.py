"""Interactions replayed: triggers, routines, events' bodies and views called alike with both sides' definitions.

A scratch copy on the target is made from the source's definitions, driven, made anew under the same names from the
target's, and driven again; nothing is written anywhere else. What only reads is called in place on both servers too.
"""

import time
from collections.abc import Callable, Collection, Sequence
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, replace

from workbook.errors import WorkbookError
from workbook.mapping import Mapping
from workbook.mapping.flow import DIRECT
from workbook.mapping.target import UNCHANGED
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.schema import Definitions
from workbook.schema.code import adapted_code, same_code, setting_differences
from workbook.schema.definitions import TablePath
from workbook.schema.order import ordered_views
from workbook.schema.planning import never_made
from workbook.schema.tokens import code_of, tokens_of
from workbook.servers import Server
from workbook.validate.replay_calls import Call, Parameter, Sample, routine_calls, table_calls, view_call
from workbook.validate.replay_place import Places, call_in_place
from workbook.validate.replay_run import Driver, Effect
from workbook.validate.replay_samples import read_samples
from workbook.validate.replay_scratch import Built, Side, Stage, source_side, stage, target_side
from workbook.validate.replay_verdict import (
    Group,
    Heard,
    InteractionVerdict,
    Judged,
    Outcome,
    differing,
    outcome,
    verdict,
)
from workbook.validate.replay_words import Key, Words
from workbook.validate.result import TableVerdict

Names = ReadOnly[str, str]
_TOTAL_SECONDS = 300.0
_REBUILDS = 6
_COMPUTING_CALLS = 16
_PATIENCE = 3  # times the limit of one call, for all calls of an object


@dataclass(frozen=True)
class Limits:
    """Seconds for one call, and until when calls are made at all (monotonic); whether values may be shown."""

    seconds: float
    until: float
    show_values: bool


def compare_interactions(
    servers: tuple[Server, Server],
    definitions: Callable[[], tuple[Definitions, Definitions]],
    mapping: Mapping,
    tables: Sequence[TableVerdict],
    since: str,
    settings: Settings,
) -> list[InteractionVerdict]:
    """The verdicts on all interactions in scope, as the params want them; `tables` are those of the content."""
    chosen = settings.validate_
    try:
        source, target = definitions()
    except WorkbookError as error:
        return [InteractionVerdict("all", "all", "incomparable", error.found)]
    if not chosen.replay:
        why = "not replayed: the params say validate: {replay: false}"
        return [
            InteractionVerdict(code.kind, mysql_path(code.database, code.name), "incomparable", why)
            for code in source.code
        ]
    proven = {
        (table.database, table.table) for table in tables if table.hop == "source-target" and table.verdict == "same"
    }
    same = {
        item.target_path
        for item in mapping.in_scope
        # Rows that the mapping changes on the way answer otherwise on purpose.
        if item.flow == DIRECT and item.target == UNCHANGED and item.path in proven
    }
    names = {new: old for old, new in mapping.databases}
    return replay(servers, source, target, same.__contains__, since, chosen.replay_seconds, chosen.show_values, names)


def replay(
    servers: tuple[Server, Server],
    source: Definitions,
    target: Definitions,
    alike: Callable[[TablePath], bool],
    since: str,
    seconds: float = 5.0,
    show_values: bool = False,
    names: Names | None = None,
) -> list[InteractionVerdict]:
    """A verdict on each object of the source that does something. `source` and `target` name things as the target does.

    `alike` tells of a table whether its rows are known to be the same on both servers, `since` in which state of the
    source that was; `names` gives the source's name of a database that has another on the target. Where the scratch copy cannot be
    made, the verdicts say why.
    """
    limits = Limits(seconds, time.monotonic() + _TOTAL_SECONDS, show_values)
    words = Words(source), Words(target)
    plan = _Plan(source, target, *words)
    if not plan.keys:
        return []
    try:
        groups, heard, failed = _on_scratch(servers[1], plan, limits)
    except WorkbookError as error:
        groups, heard, failed = [], [], (dict.fromkeys(plan.keys, error.found), {})
    places = call_in_place(servers, plan.in_place(alike, names or {}), limits.seconds, limits.show_values, since)
    return [_judged(plan, key, groups, heard, failed, places, limits) for key in plan.keys]


@dataclass
class _Plan:
    """What is to be replayed: the objects, what each comes to on either side, and the tables of the scratch copy."""

    source: Definitions
    target: Definitions
    words: Words
    words_there: Words

    def __post_init__(self) -> None:
        _, left = ordered_views(self.source)
        self.left = {item.name: item.why for item in left}
        code = [item.key for item in self.source.code]
        code += [item.key for item in self.target.code if item.kind == "trigger" and item.key not in set(code)]
        triggered = {(item.database, item.table) for side in (self.source, self.target) for item in side.code}
        computing = [("table", *path) for path in self.source.tables if path not in triggered and self._computes(path)]
        self.keys: tuple[Key, ...] = (*code, *computing)
        self.reached: dict[Key, tuple[frozenset[Key], frozenset[TablePath]]] = {}
        for key in self.keys:
            pairs = [self._reach(words, key) for words in (self.words, self.words_there)]
            self.reached[key] = pairs[0][0] | pairs[1][0], pairs[0][1] | pairs[1][1]
        self.tables = frozenset(path for _, tables in self.reached.values() for path in tables)
        self.refused = {key: self._refused(key) for key in self.keys}
        self.differing = {
            key for key in self.source.code_by_key.keys() | self.target.code_by_key.keys() if self._differs(key)
        }

    def _computes(self, path: TablePath) -> bool:
        table = self.source.catalog.table[path]
        return bool(table.checks) or any(
            column.generated or column.on_update or column.default_is_expression for column in table.columns
        )

    def _reach(self, words: Words, key: Key) -> tuple[frozenset[Key], frozenset[TablePath]]:
        if key[0] == "table":
            return frozenset(), frozenset([(key[1], key[2])])
        code, tables = words.reach(key)
        trigger = words.definitions.code_by_key.get(key)
        if trigger is not None and trigger.kind == "trigger":
            more, others = words.reach_of_table((trigger.database, trigger.table or ""))
            return code | more, tables | others
        return code, tables

    def _refused(self, key: Key) -> str:
        for words in (self.words, self.words_there):
            why = words.refused([other for other in self.reached[key][0] if other in words.tokens])
            if why:
                return why
        return ""

    def _differs(self, key: Key) -> bool:
        one, other = self.source.code_by_key.get(key), self.target.code_by_key.get(key)
        if one is None or other is None:
            return not (other is None and one is not None and self.missing(key))
        made = adapted_code(one, self.target.account)
        return not same_code(one, other) or bool(setting_differences(one, made.settings, other))

    def missing(self, key: Key) -> str:
        """Why an object of the source is meant not to be on the target; empty where it should be there."""
        code = self.source.code_by_key.get(key)
        if code is None or key in self.target.code_by_key:
            return ""
        return (
            self.left.get(mysql_path(code.database, code.name), "")
            if code.kind == "view"
            else never_made(code, self.target) or ""
        )

    def differs(self, key: Key) -> bool:
        """Whether an object's own definition is another one on the target."""
        return self.table_differs((key[1], key[2])) if key[0] == "table" else key in self.differing

    def table_differs(self, path: TablePath) -> bool:
        """Whether a column or a check of a table is another one on the target."""
        sides = [source_side(self.source, [path]).tables.get(path), target_side(self.target, [path]).tables.get(path)]
        parts = [
            sorted(part.normal for part in (*side[0].columns, *side[0].checks)) if side else None for side in sides
        ]
        return parts[0] != parts[1]

    def databases(self) -> list[str]:
        """The databases that the scratch copy stands for."""
        return sorted({key[1] for key in self.keys} | {path[0] for path in self.tables})

    def known(self) -> frozenset[tuple[str, str]]:
        """All names that may stand behind a database and a dot."""
        return frozenset(
            pair
            for side in (self.source, self.target)
            for pair in (
                *((path[0], path[1].lower()) for path in side.tables),
                *((item.database, item.name.lower()) for item in side.code),
            )
        )

    def in_place(self, alike: Callable[[TablePath], bool], names: Names) -> Places:
        """What may be called where it is: it only reads, answers alike at all times, from rows that are alike."""
        views, reasons = [], {}
        for key in self.keys:
            code = self.reached[key][0]
            if (
                key[0] not in ("view", "function", "procedure")
                or self.missing(key)
                or key not in self.target.code_by_key
            ):
                continue
            sides = [(words, [k for k in code if k in words.tokens]) for words in (self.words, self.words_there)]
            if self.refused[key] or any(words.writes(own) for words, own in sides):
                continue
            if any(words.varies(own) for words, own in sides):
                reasons[key] = "it asks for the time, the server or the account"
            elif not all(alike(path) for path in self.reached[key][1]):
                reasons[key] = "the rows it reads are not known to be the same"
            else:
                views.append(key)
        return Places(tuple(views), reasons, self.source.loose, names)


def _on_scratch(
    target: Server, plan: _Plan, limits: Limits
) -> tuple[list[Group], list[Heard], tuple[ReadOnly[Key, str], ReadOnly[Key, str]]]:
    events = {key: f"workbook event {number}" for number, key in enumerate(plan.keys) if key[0] == "event"}
    sides = source_side(plan.source, plan.tables), target_side(plan.target, plan.tables)
    with stage(target, plan.databases(), plan.known()) as made:
        both = {
            path: (facts, sides[1].tables[path][1])
            for path, (_, facts) in sides[0].tables.items()
            if path in sides[1].tables
        }
        with target.session() as session:
            samples = {
                path: replace(sample, table=replace(sample.table, database=made.names[path[0]]))
                for path, sample in read_samples(session, both).items()
            }
        scene = _Scene(made, samples, events, limits)
        built = scene.build(sides[0])
        groups = _groups(plan, made, built, samples, events)
        heard = [Heard(effects, stopped=why) for effects, why in scene.drive(sides[0], groups, [])]
        failed = dict(built.failed)
        built = scene.build(sides[1])
        there = scene.drive(sides[1], groups, [one.source for one in heard])
        heard = [
            replace(one, target=effects, stopped=one.stopped or why)
            for one, (effects, why) in zip(heard, there, strict=True)
        ]
        odd = [number for number, one in enumerate(heard) if differing(one)]
        failed_there = dict(built.failed)
        if odd:
            scene.build(sides[0])
            again = scene.drive(sides[0], [groups[number] for number in odd], [heard[number].source for number in odd])
            for number, (effects, _) in zip(odd, again, strict=True):
                heard[number] = replace(heard[number], again=effects)
    return groups, heard, (failed, failed_there)


@dataclass
class _Scene:
    """The stage with the rows for it, on which one side after the other is driven."""

    stage: Stage
    samples: ReadOnly[TablePath, Sample]
    events: ReadOnly[Key, str]
    limits: Limits
    built: Built | None = None

    def build(self, side: Side) -> Built:
        """The scratch copy, made anew of one side."""
        self.built = self.stage.build(side, self.samples, self.events)
        return self.built

    def drive(
        self, side: Side, groups: Sequence[Group], asked: Sequence[Sequence[Effect | None]]
    ) -> list[tuple[tuple[Effect | None, ...], str]]:
        """The effects of each group's calls on the scratch copy as it was built; of those calls alone that told
        something where `asked`."""
        assert self.built is not None
        driver = Driver(self.stage.server, self.built.tables, self.limits.seconds)
        held = self.stage.objects()
        rebuilds = 0
        found: list[tuple[tuple[Effect | None, ...], str]] = [((), "")] * len(groups)
        try:
            # What commits comes last: after it the copy is made anew.
            for number in sorted(range(len(groups)), key=lambda place: groups[place].commits):
                group = groups[number]
                if time.monotonic() > self.limits.until or rebuilds > _REBUILDS:
                    why = "the time of the replay was used up" if rebuilds <= _REBUILDS else "too many calls commit"
                    found[number] = (None,) * len(group.calls), why
                    continue
                known = asked[number] if asked else [Effect()] * len(group.calls)
                effects = self._called(driver, group, known)
                found[number] = effects, ""
                wrote = any(effect is not None and effect.wrote for effect in effects)
                settled = driver.settle(group.tables, wrote)
                if not settled or (group.commits and self.stage.objects() != held):
                    driver.close()
                    rebuilds += 1
                    driver = Driver(self.stage.server, self.build(side).tables, self.limits.seconds)
        finally:
            driver.close()
        return found

    def _called(self, driver: Driver, group: Group, asked: Sequence[Effect | None]) -> tuple[Effect | None, ...]:
        began = time.monotonic()
        effects: list[Effect | None] = []
        for call, known in zip(group.calls, asked, strict=True):
            late = time.monotonic() - began > _PATIENCE * self.limits.seconds
            if known is None or known.unheard or late:
                effects.append(None if known is None or late else known)
                continue
            effects.append(driver.run(call, group.tables))
            if group.commits:
                driver.close()
        return tuple(effects)


def _groups(
    plan: _Plan, made: Stage, built: Built, samples: ReadOnly[TablePath, Sample], events: ReadOnly[Key, str]
) -> list[Group]:
    parameters = _parameters(made)
    groups: list[Group] = []
    fired: dict[tuple[TablePath, str], list[Key]] = {}
    for key in plan.keys:
        if plan.refused[key] or plan.missing(key) or key in built.failed:
            continue
        reached, tables = plan.reached[key]
        commits = any(
            words.commits([k for k in reached if k in words.tokens]) for words in (plan.words, plan.words_there)
        )
        ordered = tuple(sorted(tables))
        writes = any(
            words.writes([k for k in reached if k in words.tokens]) for words in (plan.words, plan.words_there)
        )
        calls: Sequence[Call] = ()
        if key[0] == "trigger":
            code = plan.source.code_by_key.get(key) or plan.target.code_by_key[key]
            event = (code.moment or "").split()[1]
            fired.setdefault(((code.database, code.table or ""), event), []).append(key)
            continue
        if key[0] == "table":
            path = key[1], key[2]
            if path in samples:
                calls = [
                    call
                    for event in ("INSERT", "UPDATE")
                    for call in table_calls(event, samples[path], _COMPUTING_CALLS)
                ]
        elif key[0] == "view":
            statement = plan.source.code_by_key[key].statement
            calls = [view_call(made.key(key), any(token.word == "ORDER" for token in code_of(tokens_of(statement))))]
        elif key[0] == "event":
            code = plan.source.code_by_key[key]
            settings = tuple(("time_zone", v) for n, v in code.settings if n == "time_zone" and v != "SYSTEM")
            named = ("procedure", made.names[key[1]], events[key])
            calls = routine_calls(named, (), (), settings)
        else:
            near = [samples[path] for path in ordered if path in samples]
            calls = routine_calls(made.key(key), parameters.get(made.key(key), ()), near)
        groups.append(Group((key,), tuple(calls), ordered if writes or key[0] == "table" else (), commits))
    for (path, event), keys in fired.items():
        tables = frozenset(table for key in keys for table in plan.reached[key][1]) | {path}
        if path in samples:
            groups.append(Group(tuple(keys), tuple(table_calls(event, samples[path])), tuple(sorted(tables))))
    return groups


def _parameters(made: Stage) -> dict[Key, tuple[Parameter, ...]]:
    """The parameters of all routines on the stage, by their scratch names."""
    found: dict[Key, list[Parameter]] = {}
    rows = made.server.rows(
        "SELECT ROUTINE_TYPE AS kind, SPECIFIC_SCHEMA AS d, SPECIFIC_NAME AS n, PARAMETER_NAME AS p, PARAMETER_MODE AS m,"
        " DATA_TYPE AS t FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA IN %s AND ORDINAL_POSITION > 0"
        " ORDER BY SPECIFIC_SCHEMA, SPECIFIC_NAME, ROUTINE_TYPE, ORDINAL_POSITION",
        (tuple(made.names.values()),),
    )
    for row in rows:
        parameter = Parameter(str(row["p"]), str(row["m"] or "IN"), str(row["t"]).lower())
        found.setdefault((str(row["kind"]).lower(), row["d"], row["n"]), []).append(parameter)
    return {key: tuple(parameters) for key, parameters in found.items()}


def _judged(
    plan: _Plan,
    key: Key,
    groups: Sequence[Group],
    heard: Sequence[Heard],
    failed: tuple[ReadOnly[Key, str], ReadOnly[Key, str]],
    places: ReadOnly[Key, Outcome],
    limits: Limits,
) -> InteractionVerdict:
    kind, name = key[0], mysql_path(key[1], key[2])
    missing = plan.missing(key)
    if missing:
        return InteractionVerdict(kind, name, "incomparable", f"left out: {missing}")
    if kind != "table" and key not in plan.target.code_by_key:
        return InteractionVerdict(kind, name, "different", "it is missing on the target, so it does nothing there")
    if kind == "trigger" and key not in plan.source.code_by_key:
        return InteractionVerdict(kind, name, "different", "it is on the target only, and acts there")
    here, there = failed
    found = Outcome(why=plan.refused[key] or here.get(key, "") or "nothing could be called")
    companions: Collection[Key] = ()
    if key in there and key not in here and not plan.refused[key]:
        found = Outcome(difference=f"the target's definition cannot be made there: {there[key]}")
    else:
        for group, one in zip(groups, heard, strict=True):
            if key in group.keys:
                found, companions = outcome(group, one, limits.show_values), group.keys
    reached, tables = plan.reached[key]
    through: list[str] = []
    beside: list[str] = []
    if found.difference:
        own = {key} if kind != "trigger" else _fired_by(plan, key)
        through = [f"{other[0]} {mysql_path(other[1], other[2])}" for other in own - {key} if plan.differs(other)]
        through += [f"table {mysql_path(*path)}" for path in tables if plan.table_differs(path)]
        if kind != "trigger":
            through += [f"{o[0]} {mysql_path(o[1], o[2])}" for o in reached - {key} if plan.differs(o)]
        beside = [f"{o[0]} {mysql_path(o[1], o[2])}" for o in (*companions, *reached) if o != key and plan.differs(o)]
    judged = Judged(found, plan.differs(key), through, sorted(set(beside)), places.get(key, Outcome()))
    return verdict(kind, name, judged)


def _fired_by(plan: _Plan, key: Key) -> frozenset[Key]:
    """What a trigger itself comes to, without the other triggers of its table."""
    return frozenset(k for words in (plan.words, plan.words_there) for k in words.reach(key)[0])
