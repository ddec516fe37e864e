"""The criteria that the mapping set before the migration, each judged: met, not met, or not to be judged, with the figure."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.catalog import Catalog
from workbook.mapping import Mapping, Requirements, Segment
from workbook.mapping.requirements import HOPS, Accepted, plain_name, spelled
from workbook.mapping.types import RULES

if TYPE_CHECKING:
    from workbook.validate.relations_face import RelationVerdict
    from workbook.validate.replay_verdict import InteractionVerdict
    from workbook.validate.result import ObjectVerdict, TableVerdict
    from workbook.validate.selftest import SelfTest

MET, NOT_MET, UNJUDGED = "met", "not met", "could not be judged"
REST = "everything else"
_NAMED = 3
_OF_TABLES = ("table", "option", "counter", "column", "index", "foreign key", "check")
_LOSS = {rule.name: rule.loss for rule in RULES}
# What the criteria are about, in the order of the page.
_TITLES = {
    **{hop: f"content {hop.replace('-', ' → ')}" for hop in HOPS},
    "similarity": "similarity",
    "losses": "losses",
    "objects": "objects",
    "relations": "relations",
    "interactions": "interactions",
    "self-test": "self-test",
    "freshness": "freshness",
}


@dataclass(frozen=True)
class Criterion:
    """One demand on a segment's copy (or on what belongs to none), what was found, and where."""

    segment: str
    criterion: str  # a key of _TITLES
    wanted: str
    status: str  # met, not met, could not be judged
    figure: str
    evidence: str = ""
    limit: float | None = None  # of the freshness, in seconds


@dataclass(frozen=True)
class Acceptance:
    """A thing that the mapping accepts by name, and how many verdicts that was about: 0 where it let nothing through."""

    what: str
    state: str
    why: str
    times: int
    near: str = ""


@dataclass(frozen=True)
class Criteria:
    """All criteria of a validation, and what was accepted by name."""

    items: tuple[Criterion, ...] = ()
    accepted: tuple[Acceptance, ...] = ()

    @property
    def verdicts(self) -> list[str]:
        """What they say of the copy: what could not be judged is incomparable, what is not met is different.

        A picture that became too old is no difference: nothing is known of the copy as it is now. Code that cannot be
        replayed goes by its definition; that nobody saw it work stands against a signature alone.
        """
        bad = [item for item in self.items if item.status != MET]
        bad = [item for item in bad if (item.criterion, item.status) != ("interactions", UNJUDGED)]
        return [
            "different" if item.status == NOT_MET and item.criterion != "freshness" else "incomparable" for item in bad
        ]

    @property
    def open(self) -> tuple[Criterion, ...]:
        """Those that are not met or could not be judged, in this order."""
        return tuple(item for status in (NOT_MET, UNJUDGED) for item in self.items if item.status == status)

    def aged(self, seconds: float) -> "Criteria":
        """The same with the freshness judged anew, `seconds` after the picture was taken."""
        return replace(
            self,
            items=tuple(
                item if item.limit is None else _fresh(item.segment, item.limit, seconds) for item in self.items
            ),
        )

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Criteria":
        """The criteria that a validate.json holds."""
        return cls(
            tuple(Criterion(**item) for item in content["criteria"]),
            tuple(Acceptance(**item) for item in content["accepted"]),
        )

    def asdict(self) -> dict[str, Any]:
        """Plain values, as validate.json holds them."""
        return {"criteria": [asdict(item) for item in self.items], "accepted": [asdict(item) for item in self.accepted]}

    def _repr_html_(self) -> str:
        if not self.items:
            return faces.text("The mapping sets no criteria, so there is nothing to sign against.")
        counts = Counter(item.status for item in self.items)
        segments = list(dict.fromkeys(item.segment for item in self.items))
        present = [name for name in _TITLES if any(item.criterion == name for item in self.items)]
        states = {(item.segment, item.criterion): item.status for item in self.items}
        titles = {"status": "Status", "segment": "Segment", "criterion": "Criterion", "wanted": "Wanted"}
        titles |= {"figure": "Found", "evidence": "Where"}
        return faces.stack(
            faces.boxes(
                ("Criteria met", f"{counts[MET]} of {len(self.items)}", MET if not self.open else self.open[0].status),
                *((status.capitalize(), counts[status]) for status in (NOT_MET, UNJUDGED) if counts[status]),
                *((("Accepted by name", len(self.accepted)),) if self.accepted else ()),
            ),
            faces.table([_row(item) for item in self.open], titles, caption="What stands in the way of a signature")
            if self.open
            else faces.text("Every criterion is met: the verdict can be signed (workbook sign)."),
            faces.table(
                [
                    {
                        "segment": segment,
                        **{
                            name: faces.badge(states[segment, name])
                            if (segment, name) in states
                            else faces.Html("<span>–</span>")
                            for name in present
                        },
                    }
                    for segment in segments
                ],
                {"segment": "Segment", **{name: _TITLES[name][0].upper() + _TITLES[name][1:] for name in present}},
                caption="Criteria by segment",
            ),
            faces.details(
                f"All {len(self.items)} criteria with their figures",
                faces.table([_row(item) for item in self.items], titles, limit=1_000),
            ),
            faces.table(
                [
                    {
                        **asdict(item),
                        "times": f"{item.times:,} verdict{'s' if item.times > 1 else ''}"
                        if item.times
                        else "nothing: it can be taken out" + (f"; did you mean {item.near}?" if item.near else ""),
                    }
                    for item in self.accepted
                ],
                {"what": "Accepted by name", "state": "May be", "times": "Let through", "why": "Why"},
                caption="What the mapping accepts",
            )
            if self.accepted
            else None,
        )


NO_CRITERIA = Criteria()


def name_of(item: "ObjectVerdict | RelationVerdict | InteractionVerdict") -> str:
    """A thing as the report and the mapping name it."""
    child = getattr(item, "child", None)
    return f"relation {child}.{item.name}" if child else f"{getattr(item, 'kind', '')} {item.name}"


def accept(mapping: Mapping, groups: Sequence[Sequence[Any]]) -> tuple[list[list[Any]], tuple[Acceptance, ...]]:
    """The verdicts with those that the mapping accepts by name made `tolerated`, and what each acceptance let through."""
    wanted = [
        item
        for needs in (mapping.rest, *(segment.requirements for segment in mapping.segments if segment.scope == "in"))
        for item in needs.accept
    ]
    times = Counter[Accepted]()
    # What is left out on purpose is said among the objects, by whose rule; nothing of it can be called.
    left = {
        plain_name(name_of(thing))
        for group in groups
        for thing in group
        if thing.verdict == "tolerated" and thing.detail.startswith("left out")
    }
    result: list[list[Any]] = []
    for group in groups:
        made = []
        for thing in group:
            found = next((item for item in wanted if item.covers(name_of(thing), thing.verdict)), None)
            if found is not None:
                times[found] += 1
                detail = "; ".join(filter(None, (thing.detail, f"accepted as {found.state}: {found.why}")))
                thing = replace(thing, verdict="tolerated", detail=detail)
            elif thing.verdict == "incomparable" and plain_name(name_of(thing)) in left:
                thing = replace(thing, verdict="tolerated")
            made.append(thing)
        result.append(made)
    known = {plain_name(name_of(thing)): None for group in groups for thing in group}
    return result, tuple(
        Acceptance(item.what, item.state, item.why, times[item], "" if times[item] else _near(item.what, known))
        for item in dict.fromkeys(wanted)
    )


def _near(what: str, known: dict[str, None]) -> str:
    if plain_name(what) in known:
        return ""
    return next(iter(difflib.get_close_matches(plain_name(what), known, n=1, cutoff=0.8)), "")


@dataclass(frozen=True)
class Facts:
    """What a validation found; `age` is how many seconds ago its picture was taken."""

    tables: Sequence["TableVerdict"]
    objects: Sequence["ObjectVerdict"]
    relations: Sequence["RelationVerdict"]
    interactions: Sequence["InteractionVerdict"]
    selftest: "SelfTest"
    age: float


def judge(facts: Facts, mapping: Mapping, catalog: Catalog) -> tuple[Criterion, ...]:
    """Every criterion of every segment in scope, and of what belongs to none."""
    place = _places(mapping, catalog)
    found: list[Criterion] = []
    for segment in sorted(mapping.segments, key=lambda segment: segment.priority):
        if segment.scope == "in":
            found += _of_segment(facts, segment, mapping, place)
    needs = mapping.rest
    for name, things in (("objects", facts.objects), ("interactions", facts.interactions)):
        if name in needs.proofs:
            found.append(_things(REST, name, [thing for thing in things if not _place(thing, place)]))
    planted = len(facts.selftest.planted)
    missed = "; ".join(
        [*facts.selftest.why, *(f"{item.what}: {item.table}" for item in facts.selftest.missed[:_NAMED])]
    )
    found.append(
        Criterion(
            REST,
            "self-test",
            "what is damaged on purpose in a copy is found",
            MET if facts.selftest.passed else UNJUDGED,
            f"{planted - len(facts.selftest.missed)} of {planted} found",
            missed,
        )
    )
    found.append(_fresh(REST, needs.freshness, facts.age))
    return tuple(found)


def _of_segment(facts: Facts, segment: Segment, mapping: Mapping, place: dict[str, str]) -> Iterable[Criterion]:
    needs, paths = segment.requirements, set(segment.tables)
    tables = [table for table in facts.tables if (table.database, table.table) in paths]
    if "content" in needs.proofs:
        for hop in needs.hops:
            on_hop = [table for table in tables if table.hop == hop]
            yield _content(segment, hop, on_hop, len(paths))
        yield _similarity(segment.name, needs, [table for table in tables if table.hop in needs.hops])
        if any("warehouse" in hop for hop in needs.hops):
            yield _losses(segment, mapping, [table for table in tables if "warehouse" in table.hop])
    for name, things in (
        ("objects", facts.objects),
        ("relations", facts.relations),
        ("interactions", facts.interactions),
    ):
        if name in needs.proofs:
            own = [thing for thing in things if _place(thing, place) == segment.name]
            # Where a whole server could not be looked at, that is said of every segment.
            own += [
                thing for thing in things if thing.name == "all" and getattr(thing, "kind", "") in ("all", "schema")
            ]
            yield _things(segment.name, name, own)
    yield _fresh(segment.name, needs.freshness, facts.age)


def _content(segment: Segment, hop: str, tables: Sequence["TableVerdict"], wanted: int) -> Criterion:
    floor = segment.requirements.similarity
    odd = [table for table in tables if table.verdict == "different"]
    # Rows that differ are allowed as far as the floor goes, where all of them are counted.
    wrong = [
        table for table in odd if not (table.counted and _alike(table) is not None and (_alike(table) or 0) >= floor)
    ]
    unknown = [
        table for table in tables if table not in wrong and (table.verdict == "incomparable" or _sees_part(table))
    ]
    missing = wanted - len(tables)
    rows = sum(table.rows_source or 0 for table in tables)
    figure = f"{len(tables)} of {wanted} tables, {rows:,} rows"
    differing = sum(table.missing + table.extra + table.changed for table in odd)
    figure += f", {differing:,} of them differ" if odd else ""
    return Criterion(
        segment.name,
        hop,
        "every value of every row compared"
        + (", all alike" if floor == 1 else f", {faces.percent(floor)} alike at least"),
        NOT_MET if wrong else UNJUDGED if unknown or missing else MET,
        figure,
        _listed([f"{table.database}.{table.table} ({_said(table)})" for table in wrong or unknown]),
    )


def _sees_part(table: "TableVerdict") -> bool:
    return bool({"sampled", "incomparable"} & set(table.columns.values()))


def _said(table: "TableVerdict") -> str:
    counts = {"changed": table.changed, "missing": table.missing, "extra": table.extra}
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or table.why or table.verdict


def _alike(table: "TableVerdict") -> float | None:
    """The share of rows that are alike, those among them that a tolerance let through."""
    return 1.0 if table.verdict == "same" else table.similarity


def _similarity(segment: str, needs: Requirements, tables: Sequence["TableVerdict"]) -> Criterion:
    known = [(share, table) for table in tables if (share := _alike(table)) is not None]
    low = min(known, key=lambda item: item[0], default=None)
    under = [table for share, table in known if share < needs.similarity]
    counted = all(table.counted for _, table in known)
    by_hop = Counter[str]()
    for table in tables:
        by_hop[table.hop] += sum(item.rows or 0 for item in table.let_through if item.used)
    let = max(by_hop.values(), default=0)
    figure = "no table" if low is None else f"{_exact(low[0])} alike at least"
    return Criterion(
        segment,
        "similarity",
        f"{faces.percent(needs.similarity)} of the rows of each table alike",
        NOT_MET if under else UNJUDGED if len(known) < len(tables) or not counted else MET,
        figure + (f", up to {let:,} values of these by tolerance" if let else ""),
        _listed([f"{table.database}.{table.table} on {table.hop}" for table in under])
        or _listed([f"{table.database}.{table.table}: {table.why}" for table in tables if _alike(table) is None]),
    )


def _exact(share: float) -> str:
    return faces.percent(share) if share in (0, 1) else f"{share:.6%}"


def _losses(segment: Segment, mapping: Mapping, tables: Sequence["TableVerdict"]) -> Criterion:
    """Losses by type rules, those that happened; by the form of values alone, those that the mapping takes on."""
    accepted = set(segment.requirements.losses)
    rules = {(*path, column.name): column.rule for path in segment.tables for column in mapping.tables[path].columns}
    form = {rule for rule in rules.values() if _LOSS[rule] == "representation"}
    refused = set() if "representation" in accepted else form - accepted
    lost: dict[tuple[str, str, str], int] = {}
    for table in tables:
        for item in table.let_through:
            if item.kind == "type":
                key = table.database, table.table, item.column
                lost[key] = max(lost.get(key, 0), item.rows or 0)
    wrong = {key: count for key, count in lost.items() if rules.get(key) not in accepted}
    unread = [table for table in tables if table.rows_source is None]
    values = sum(lost.values())
    figure = f"{values:,} values in {len(lost)} columns became NULL by rule" if lost else "no value was lost"
    return Criterion(
        segment.name,
        "losses",
        f"none but {', '.join(segment.requirements.losses)}" if accepted else "none",
        NOT_MET if wrong or refused else UNJUDGED if unread else MET,
        figure,
        _listed([f"{'.'.join(key)}: {count:,} by {rules.get(key)}" for key, count in wrong.items()])
        or _listed([f"the form of values changes by {rule}" for rule in sorted(refused)])
        or _listed([f"{table.database}.{table.table}: {table.why}" for table in unread]),
    )


def _things(segment: str, name: str, things: Sequence[Any]) -> Criterion:
    counts = Counter(thing.verdict for thing in things)
    wrong = [thing for thing in things if thing.verdict == "different"]
    unknown = [thing for thing in things if thing.verdict == "incomparable"]
    said = {
        "objects": "each the same, or changed as the mapping says",
        "relations": "as many orphans and children on all sides",
        "interactions": "each called on both sides, with the same effects",
    }
    figure = ", ".join(
        f"{counts[state]} {word}"
        for state, word in (
            ("same", "the same"),
            ("tolerated", "accepted or changed on purpose"),
            ("different", "different"),
            ("incomparable", "without a proof"),
        )
        if counts[state]
    )
    return Criterion(
        segment,
        name,
        said[name],
        NOT_MET if wrong else UNJUDGED if unknown else MET,
        figure or "none is there",
        _listed([f"{plain_name(name_of(thing))}: {thing.detail}" for thing in wrong or unknown]),
    )


def _fresh(segment: str, limit: float, age: float) -> Criterion:
    return Criterion(
        segment,
        "freshness",
        f"the picture is {spelled(limit)} old at most",
        MET if age <= limit else NOT_MET,
        f"{faces.human_seconds(age)} old",
        limit=limit,
    )


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _NAMED
    return "; ".join(word[:200] for word in words[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _row(item: Criterion) -> dict[str, object]:
    return {**asdict(item), "status": faces.badge(item.status), "criterion": _TITLES[item.criterion]}


def _places(mapping: Mapping, catalog: Catalog) -> dict[str, str]:
    """The segment of each table in scope, by its plain name on source and target, and of each trigger."""
    found = {}
    for item in mapping.in_scope:
        for path in (item.path, item.target_path):
            found[".".join(path)] = item.segment
    for trigger in catalog.triggers:
        segment = found.get(f"{trigger.database}.{trigger.table}")
        if segment:
            for database in (trigger.database, mapping.target_database(trigger.database)):
                found[f"trigger {database}.{trigger.name}"] = segment
    return found


def _place(thing: Any, place: dict[str, str]) -> str:
    """The segment that a thing belongs to; empty for none."""
    child = getattr(thing, "child", None)
    if child:
        return place.get(child, "")
    if thing.kind == "trigger":
        return place.get(f"trigger {plain_name(thing.name)}", "")
    if thing.kind in _OF_TABLES:
        # A part's name stands behind that of its table, and any of them may hold a point.
        return place.get(".".join(plain_name(name) for name in re.findall(r"`(?:[^`]|``)*`", thing.name)[:2]), "")
    return ""
