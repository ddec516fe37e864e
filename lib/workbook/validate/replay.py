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
from workbook.schema.definitions import TablePath
from workbook.servers import Server
from workbook.validate.replay_calls import Sample
from workbook.validate.replay_place import call_in_place
from workbook.validate.replay_plan import Names, ReplayPlan, fired_by, groups_of
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

_TOTAL_SECONDS = 300.0
_REBUILDS = 6
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
    proven = {(table.database, table.table) for table in tables if table.hop == "source-target" and table.equal}
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
    plan = ReplayPlan(source, target, *words)
    if not plan.keys:
        return []
    try:
        groups, heard, failed = _on_scratch(servers[1], plan, limits)
    except WorkbookError as error:
        groups, heard, failed = [], [], (dict.fromkeys(plan.keys, error.found), {})
    places = call_in_place(servers, plan.in_place(alike, names or {}), limits.seconds, limits.show_values, since)
    return [_judged(plan, key, groups, heard, failed, places, limits) for key in plan.keys]


def _on_scratch(
    target: Server, plan: ReplayPlan, limits: Limits
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
        groups = groups_of(plan, made, built, samples, events)
        failed = dict(built.failed)
        one = scene.drive(sides[0], groups, [(Effect(),) * len(group.calls) for group in groups])
        built = scene.build(sides[1])
        other = scene.drive(sides[1], groups, [effects for effects, _ in one])
        heard = [
            Heard(effects, there, stopped=why or why_there)
            for (effects, why), (there, why_there) in zip(one, other, strict=True)
        ]
        odd = [number for number, found in enumerate(heard) if differing(found)]
        if odd:
            for number, found in zip(odd, _in_detail(scene, plan, sides, odd, groups, heard), strict=True):
                heard[number] = found
    return groups, heard, (failed, dict(built.failed))


def _in_detail(
    scene: "_Scene",
    plan: ReplayPlan,
    sides: tuple[Side, Side],
    odd: Sequence[int],
    groups: Sequence[Group],
    heard: Sequence[Heard],
) -> list[Heard]:
    """The groups in which something differed, called once more with every row read, and the source's twice."""
    chosen = [groups[number] for number in odd]
    asked = [heard[number].source for number in odd]
    keys = {key for group in chosen for key in group.keys}
    code = keys | {other for key in keys for other in plan.reached[key][0]}
    tables = {path for key in keys for path in plan.reached[key][1]}
    here, there = (side.only(code, tables) for side in sides)
    scene.build(here)
    one, again = (scene.drive(here, chosen, asked, True) for _ in range(2))
    scene.build(there)
    other = scene.drive(there, chosen, asked, True)
    return [
        Heard(first[0], target[0], second[0], first[1] or target[1], odd=True)
        for first, target, second in zip(one, other, again, strict=True)
    ]


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
        self, side: Side, groups: Sequence[Group], asked: Sequence[Sequence[Effect | None]], detailed: bool = False
    ) -> list[tuple[tuple[Effect | None, ...], str]]:
        """The effects of those calls of each group of which `asked` holds one that told something, on the copy as built."""
        assert self.built is not None
        driver = Driver(self.stage.server, self.built.tables, self.limits.seconds, detailed)
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
                effects = self._called(driver, group, asked[number])
                found[number] = effects, ""
                wrote = any(effect is not None and effect.wrote for effect in effects)
                settled = driver.settle(group.tables, wrote)
                if not settled or (group.commits and self.stage.objects() != held):
                    driver.close()
                    rebuilds += 1
                    driver = Driver(self.stage.server, self.build(side).tables, self.limits.seconds, detailed)
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


def _judged(
    plan: ReplayPlan,
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
        own = {key} if kind != "trigger" else fired_by(plan, key)
        through = [f"{other[0]} {mysql_path(other[1], other[2])}" for other in own - {key} if plan.differs(other)]
        through += [f"table {mysql_path(*path)}" for path in tables if plan.table_differs(path)]
        if kind != "trigger":
            through += [f"{o[0]} {mysql_path(o[1], o[2])}" for o in reached - {key} if plan.differs(o)]
        beside = [f"{o[0]} {mysql_path(o[1], o[2])}" for o in (*companions, *reached) if o != key and plan.differs(o)]
    judged = Judged(found, plan.differs(key), through, sorted(set(beside)), places.get(key, Outcome()))
    return verdict(kind, name, judged)
