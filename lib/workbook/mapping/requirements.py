"""What the copy of a segment must meet, written down before anything moves: the acceptance criteria of its destination."""

import difflib
import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from workbook.mapping.nodes import Reader

HOPS = ("source-target", "target-warehouse", "source-warehouse")
PROOFS = {
    "content": "every value of every row, on the hops named",
    "objects": "definitions, accounts, grants and settings",
    "relations": "foreign keys: rows without a parent, children of each parent",
    "interactions": "triggers, routines, events and views do the same when they are called",
}
# What belongs to no segment has no rows of its own.
REST_PROOFS = ("objects", "interactions")
ACCEPTED = {
    "unproven": "may stay without a proof; where it turns out to be different that still counts",
    "different": "may differ, or stay without a proof",
}
_KINDS = (
    "account", "check", "column", "counter", "database", "event", "foreign key", "function", "grant", "index", "option",
    "procedure", "relation", "role", "setting", "table", "trigger", "user", "view",
)  # fmt: skip
_UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
DAY = 86_400.0


@dataclass(frozen=True)
class Accepted:
    """A thing, named as the report names it (`procedure shop.close_day`), that may be `different` or `unproven`, and why."""

    what: str
    state: str
    why: str

    def covers(self, name: str, verdict: str) -> bool:
        """Whether it speaks of the thing of that name, and of that verdict."""
        states = ("incomparable",) if self.state == "unproven" else ("incomparable", "different")
        return verdict in states and plain_name(self.what) == plain_name(name)


@dataclass(frozen=True)
class Requirements:
    """What a segment's destination must meet.

    `hops` are to be proven by the validation, by the `proofs` named; `losses` are the type rules whose loss is accepted,
    and may hold the word `representation` for all that change the form of a value alone; `similarity` is the least share
    (0 to 1) of equal rows on every hop; `freshness` is how old, in seconds, the compared picture may be when it is signed.
    """

    hops: tuple[str, ...] = HOPS
    losses: tuple[str, ...] = ()
    similarity: float = 1.0
    proofs: tuple[str, ...] = tuple(PROOFS)
    freshness: float = DAY
    accept: tuple[Accepted, ...] = ()

    def asdict(self) -> dict[str, Any]:
        """Plain values, as the mapping file holds them."""
        accepted = {
            state: {item.what: item.why for item in self.accept if item.state == state}
            for state in ACCEPTED
            if any(item.state == state for item in self.accept)
        }
        return {
            "hops": list(self.hops),
            "proofs": list(self.proofs),
            "losses": list(self.losses),
            "similarity": self.similarity,
            "freshness": spelled(self.freshness),
            "accept": accepted,
        }


# What a segment must meet where the mapping says nothing.
STRICT = Requirements()
# What views, routines, events, accounts and settings must meet where the mapping says nothing of them.
REST = Requirements(hops=("source-target",), proofs=REST_PROOFS)


def requirements(reader: Reader, segment: CommentedMap, where: str, losses: tuple[str, ...]) -> Requirements:
    """What stands under `requires` of a segment; the strict default of each key that is not there."""
    node = reader.mapping(segment, "requires", where)
    reader.known_keys(node, "requires", f"requires of {where}")
    none = node.get("losses") == "none"
    return Requirements(
        hops=reader.texts(node, "hops", where, HOPS) if "hops" in node else HOPS,
        losses=() if none else reader.texts(node, "losses", where, losses),
        similarity=reader.number(node, "similarity", where, 1.0, 0, 1),
        proofs=reader.texts(node, "proofs", where, tuple(PROOFS)) if "proofs" in node else tuple(PROOFS),
        freshness=_freshness(reader, node, where),
        accept=_accept(reader, node, where),
    )


def rest_requirements(reader: Reader, content: CommentedMap) -> Requirements:
    """What stands under `requires` above the segments, for what belongs to none."""
    where = "the mapping"
    node = reader.mapping(content, "requires", where)
    reader.known_keys(node, "rest requires", f"requires of {where}")
    return Requirements(
        hops=REST.hops,
        proofs=reader.texts(node, "proofs", where, REST_PROOFS) if "proofs" in node else REST_PROOFS,
        freshness=_freshness(reader, node, where),
        accept=_accept(reader, node, where),
    )


def written(needs: Requirements) -> CommentedMap:
    """Requirements as the node of a new mapping file."""

    def flow(values: tuple[str, ...]) -> CommentedSeq:
        sequence = CommentedSeq(values)
        sequence.fa.set_flow_style()
        return sequence

    return CommentedMap(
        hops=flow(needs.hops),
        proofs=flow(needs.proofs),
        losses=flow(needs.losses) if needs.losses else "none",
        similarity=needs.similarity,
        freshness=spelled(needs.freshness),
    )


def written_rest(needs: Requirements) -> CommentedMap:
    """The same for what belongs to no segment."""
    node = written(needs)
    for key in ("hops", "losses", "similarity"):
        del node[key]
    return node


def plain_name(name: str) -> str:
    """A name as people write it: `shop`.`orders` without its backticks."""
    return re.sub(r"`((?:[^`]|``)*)`", lambda found: found[1].replace("``", "`"), name.strip())


def spelled(seconds: float) -> str:
    """A duration as the mapping writes it: 24 h, 90 min."""
    unit = next((unit for unit in ("d", "h", "min") if seconds % _UNITS[unit] == 0 and seconds), "s")
    return "24 h" if seconds == DAY else f"{seconds / _UNITS[unit]:g} {unit}"


def _freshness(reader: Reader, node: CommentedMap, where: str) -> float:
    value = node.get("freshness", "24 h")
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?(s|min|h|d)", value) if isinstance(value, str) else None
    if not found or not float(found[1]):
        reader.fail(
            node,
            "freshness",
            f"freshness of {where} is {str(value)[:60]!r}",
            "It says how old the compared picture may be when somebody signs for it.",
            "Write a number with its unit (s, min, h, d), for example 24 h.",
        )
    return float(found[1]) * _UNITS[found[2]]


def _accept(reader: Reader, node: CommentedMap, where: str) -> tuple[Accepted, ...]:
    groups = reader.mapping(node, "accept", where)
    reader.known_keys(groups, "accept", f"accept of {where}")
    made = []
    for state in groups:
        names = reader.mapping(groups, state, f"accept of {where}")
        for name in names:
            why = reader.text(names, name, f"accept of {where}")
            if why is None:
                reader.fail(
                    names,
                    name,
                    f"accept of {where} gives no reason for {name!r}",
                    "Whoever signs must be able to read why it is accepted.",
                    f"Write the reason behind it: {name}: it sends mail.",
                )
            if not any(name.startswith(f"{kind} ") for kind in _KINDS):
                near = difflib.get_close_matches(name.partition(" ")[0], _KINDS, n=1, cutoff=0.5)
                reader.fail(
                    names,
                    name,
                    f"accept of {where} names {name!r}, whose kind is not known"
                    + (f" (did you mean {near[0]}?)" if near else ""),
                    "It would speak of nothing, and the report would go on to count the thing.",
                    f"Write the kind and the name, as the report shows them; kinds: {', '.join(_KINDS)}.",
                )
            made.append(Accepted(name, state, why))
    return tuple(made)


def markdown() -> str:
    """What can stand under `requires` as a Markdown table, for the README."""
    proofs = "; ".join(f"`{name}`: {what}" for name, what in PROOFS.items())
    accept = "; ".join(f"`{name}`: {what}" for name, what in ACCEPTED.items())
    return "\n".join(
        (
            "| key under `requires` | what it demands | values | default |",
            "| --- | --- | --- | --- |",
            f"| `hops` | the hops on which content must be proven | a list of {', '.join(f'`{hop}`' for hop in HOPS)} | all |",
            f"| `proofs` | what must be proven | {proofs} | all |",
            "| `losses` | nothing is lost but what is named | type rules, `representation`, or `none` | `none` |",
            "| `similarity` | the least share of rows alike on each hop, rows let through by a tolerance among them | 0 to 1 | `1.0` |",
            "| `freshness` | how old the compared picture may be when it is signed | a number with s, min, h or d | `24 h` |",
            f"| `accept` | things named as the report names them, each with the reason | {accept} | none |",
        )
    )
