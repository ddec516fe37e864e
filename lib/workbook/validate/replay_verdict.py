"""What the effects of a replay say: same, different with the first effect that differs, or not to be told, and why."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from workbook import faces
from workbook.schema.definitions import TablePath
from workbook.validate.replay_calls import Call
from workbook.validate.replay_run import Effect, Path
from workbook.validate.replay_words import Key


@dataclass(frozen=True)
class InteractionVerdict:
    """A trigger, routine, event's body or view, or what a table computes by itself: its effects on both sides.

    `proof` says where it was called: on the scratch copy, in place on both servers, or both; empty where no call told
    anything. `calls` counts those that did.
    """

    kind: str
    name: str
    verdict: str  # same, different or incomparable; tolerated where the mapping accepts it by name
    detail: str = ""
    calls: int = 0
    proof: str = ""


@dataclass(frozen=True)
class Group:
    """Calls that are made together: an object's own, or the changes of a table that fire several triggers.

    `tables` are those whose rows are looked at after each call.
    """

    keys: tuple[Key, ...]
    calls: tuple[Call, ...]
    tables: tuple[TablePath, ...]
    commits: bool = False


@dataclass(frozen=True)
class Heard:
    """The effects of a group's calls with the source's definitions and with the target's; None where not called."""

    source: tuple[Effect | None, ...]
    target: tuple[Effect | None, ...] = ()
    # With the source's definitions once more, where something differed.
    again: tuple[Effect | None, ...] = ()
    stopped: str = ""
    # Whether something differed when the calls were first made, in which rows were not read one by one.
    odd: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a group's calls gave: the first difference in words, or how many calls told something, or why none did."""

    difference: str = ""
    told: int = 0
    why: str = ""


# The order in which differences are looked for: what an application would notice first.
_FIRST = ("error", "row", "row without a key", "answer", "columns", "count", "sum")


def outcome(group: Group, heard: Heard, show_values: bool) -> Outcome:
    """Compare call by call; what the source's own definition does otherwise each time counts for nothing."""
    told, whys, wavering = 0, Counter[str](), ""
    for number, (call, one, other) in enumerate(zip(group.calls, heard.source, heard.target, strict=False)):
        if one is None or other is None or one.unheard or other.unheard:
            why = next((effect.unheard for effect in (one, other) if effect is not None and effect.unheard), "")
            if one is not None and other is not None and bool(one.unheard) != bool(other.unheard):
                why += f" (with the {'target' if other.unheard else 'source'}'s definition alone)"
            whys[why or heard.stopped or "it was not called"] += 1
            continue
        places = [path for path in one.values.keys() | other.values.keys() if _differ(path, one, other)]
        if places:
            again = heard.again[number] if number < len(heard.again) else None
            loose = _wavers(one, again)
            steady = [path for path in places if path not in loose and path[:2] not in loose]
            if steady:
                first = min(steady, key=lambda path: (_FIRST.index(path[0]), path))
                return Outcome(f"{call.said}: {_said(first, one, other, show_values)}", told)
            wavering = f"it answers otherwise each time it is called ({call.said}: {_place(places[0])})"
            continue
        if one.through and _seen(one):
            told += 1
        else:
            error = one.values.get(("error",))
            whys[
                f"every call ends in error {error.partition(':')[0]}" if error else "no call had an effect that shows"
            ] += 1
    if heard.odd and not wavering:
        wavering = "it answered otherwise once, and alike when it was called again"
    if wavering:
        return Outcome(told=told, why=wavering)
    return Outcome(told=told, why="" if told else _most(whys) or heard.stopped or "nothing could be called")


def differing(heard: Heard) -> bool:
    """Whether any call gave something else, so that it is worth asking whether it always does."""
    return any(
        one is not None
        and other is not None
        and not one.unheard
        and not other.unheard
        and any(_differ(path, one, other) for path in one.values.keys() | other.values.keys())
        for one, other in zip(heard.source, heard.target, strict=False)
    )


def _differ(path: Path, one: Effect, other: Effect) -> bool:
    return path not in one.values or path not in other.values or one.values[path] != other.values[path]


def _wavers(one: Effect, again: Effect | None) -> set[Path]:
    """The places, or whole tables and results, at which the same definition did two things."""
    if again is None or again.unheard:
        return set()
    found: set[Path] = set()
    for path in one.values.keys() | again.values.keys():
        if path not in one.values or path not in again.values:
            # Rows under other keys: nothing of this table can be set side by side.
            found.add(path[:2])
        elif one.values[path] != again.values[path]:
            found.add(path)
    return found


def _seen(effect: Effect) -> bool:
    """Whether a call left anything that another definition could have left otherwise."""
    return (
        effect.wrote
        or any(path[0] == "answer" and value is not None for path, value in effect.values.items())
        or ("error",) in effect.values
    )


def _most(whys: Mapping[str, int]) -> str:
    return max(whys, key=lambda why: whys[why]) if whys else ""


def _place(path: Path) -> str:
    if path[0] == "row":
        column = f", column {path[3]!r}" if path[3] else ""
        return f"row {path[2]} of {path[1]!r}{column}"
    if path[0] == "row without a key":
        return f"a row of {path[1]!r}" + (f", column {path[3]!r}" if path[3] else "")
    if path[0] == "answer":
        return f"{path[1]}, {path[2]}, column {path[3].partition(': ')[2]!r}"
    if path[0] == "error":
        return "how it ends"
    return f"{'the columns' if path[0] == 'columns' else 'the number of rows'} of {path[1]}"


def _said(path: Path, one: Effect, other: Effect, show_values: bool) -> str:
    """The place of a difference with what is there on both sides; values are masked unless they may be shown."""

    def value(effect: Effect) -> str:
        if path not in effect.values:
            return "nothing"
        found = effect.values[path]
        if found is None:
            return "NULL"
        if path[0] == "error" and not show_values:
            return f"error {found.partition(':')[0]}"
        if show_values or path[0] in ("count", "columns") or (len(path) > 3 and path[3] == ""):
            return found
        return f"masked, {len(found)} characters"

    return f"{_place(path)}: {value(one)} with the source's definition, {value(other)} with the target's"


@dataclass(frozen=True)
class Judged:
    """What is known of one object before its verdict: its own calls' outcome, whose definitions differ, what else proved it.

    `own` whether its own definition differs; `through` differing objects that it comes to; `beside` differing triggers
    that the same statements fire.
    """

    outcome: Outcome
    own: bool = False
    through: Collection[str] = ()
    beside: Collection[str] = ()
    in_place: Outcome = field(default_factory=Outcome)


def verdict(kind: str, name: str, known: Judged) -> InteractionVerdict:
    """The verdict on one object: a difference before a proof, a proof before a reason why there is none."""
    one, place = known.outcome, known.in_place
    if one.difference:
        if not known.own and not known.through and known.beside:
            why = f"the same statements fire {_listed(known.beside)}, whose definition differs: {one.difference}"
            return InteractionVerdict(kind, name, "incomparable", why)
        by = f" (by way of {_listed(known.through)})" if known.through and not known.own else ""
        return InteractionVerdict(kind, name, "different", f"{one.difference}{by}", one.told + 1, "scratch copy")
    if place.difference:
        why = f"called in place on both servers, {place.difference}"
        return InteractionVerdict(kind, name, "different", why, place.told + 1, "in place")
    proofs = [where for where, found in (("scratch copy", one), ("in place", place)) if found.told]
    if not proofs:
        why = "; in place: ".join(filter(None, (one.why, place.why)))
        return InteractionVerdict(kind, name, "incomparable", why or "nothing could be called")
    # Some calls told enough, others did not.
    notes = [f"{'left aside' if one.told else 'not on the scratch copy'}: {one.why}" if one.why else ""]
    return InteractionVerdict(
        kind, name, "same", "; ".join(filter(None, notes)), one.told + place.told, " and ".join(proofs)
    )


def _listed(names: Collection[str]) -> str:
    found: Sequence[str] = sorted(names)
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def counted(verdicts: Sequence[InteractionVerdict]) -> dict[str, dict[str, int]]:
    """How many interactions have which verdict, by kind."""
    counts: dict[str, Counter[str]] = {}
    for item in verdicts:
        counts.setdefault(item.kind, Counter())[item.verdict] += 1
    return {kind: {state: found[state] for state in _STATES} for kind, found in sorted(counts.items())}


def interactions_face(verdicts: Sequence[InteractionVerdict]) -> faces.Html:
    """Interactions counted by kind and verdict, then each with what proved it, differences first."""
    if not verdicts:
        return faces.text(
            "Nothing acts by itself in scope: no trigger, routine, event or view, and no table that computes."
        )
    counts = [{"kind": _KINDS.get(kind, kind), **found} for kind, found in counted(verdicts).items()]
    order = {"different": 0, "incomparable": 1, "tolerated": 2, "same": 3}
    rows = [
        {
            "verdict": faces.badge(item.verdict),
            "kind": item.kind,
            "name": item.name,
            "calls": item.calls,
            "proof": item.proof,
            "detail": item.detail,
        }
        for item in sorted(verdicts, key=lambda item: order[item.verdict])
    ]
    titles = {
        "verdict": "Verdict",
        "kind": "Kind",
        "name": "Name",
        "calls": "Calls",
        "proof": "Called",
        "detail": "What differs, or why not",
    }
    return faces.stack(
        faces.table(
            counts,
            {
                "kind": "Kind",
                "same": "Same effects",
                "tolerated": "Accepted",
                "different": "Different",
                "incomparable": "Not replayed",
            },
            caption="Interactions",
        ),
        faces.table(rows, titles, caption="Each with its calls, differences first", limit=500),
    )


_STATES = ("same", "tolerated", "different", "incomparable")
_KINDS = {"table": "table that computes or checks"}
