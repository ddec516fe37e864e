"""Moving a pipeline: what a move takes (planned without a server), the settings written, and the proof afterwards."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbook.errors import Refused, TerminalError, UsageError
from workbook.pipelines.order import Order
from workbook.pipelines.readiness import Check, Inspection
from workbook.pipelines.register import STATES, Pipeline, Register
from workbook.pipelines.settings import FORMS, MARK, Rendered
from workbook.pipelines.standing import Standing
from workbook.pipelines.statements import READS, is_certain
from workbook.pipelines.traffic import READING, WRITING, Traffic, read_traffic
from workbook.pipelines.trial import compare
from workbook.servers import Server

# From a state to the states that it can be left for. Once writes land on the target, the source is no truth to shadow.
TRANSITIONS: Mapping[str, tuple[str, ...]] = {
    "source": ("shadow", "target", "retired"),
    "shadow": ("source", "target", "retired"),
    "target": ("source", "retired"),
    "retired": ("source", "target"),
}
_QUIET_SECONDS = 1.0
_MOST_READS = 30


@dataclass(frozen=True)
class Move:
    """A pipeline on its way from one state to another; the same state again means that only the proof is sought."""

    pipeline: Pipeline
    origin: str
    to: str

    @property
    def renders(self) -> bool:
        """Whether the pipeline gets new connection settings."""
        return self.to in ("source", "target") and (self.to, self.origin) != ("source", "shadow")


@dataclass(frozen=True)
class Proof:
    """What was seen after a move: lines for a person, and whether they prove it."""

    pipeline: str
    good: bool
    lines: tuple[str, ...]

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def plan_moves(
    names: Sequence[str], to: str, register: Register, standings: Mapping[str, Standing]
) -> tuple[Move, ...]:
    """The moves of the named pipelines. Raises UsageError for a name, a state or a way that does not exist."""
    if to not in STATES:
        raise UsageError(f"There is no state {to!r}.", "Nothing was moved.", f"The states are: {', '.join(STATES)}.")
    moves = []
    for name in dict.fromkeys(names):
        pipeline = register.pipeline(name)
        state = standings.get(name, Standing()).state
        if to != state and to not in TRANSITIONS[state]:
            raise UsageError(
                f"The pipeline {name!r} works on the {state}: it cannot go to {to}.",
                "The source no longer is the truth that reads on the target could be compared with.",
                f"From here it can go to: {', '.join(TRANSITIONS[state])}.",
            )
        moves.append(Move(pipeline, state, to))
    return tuple(moves)


def order_check(move: Move, together: Collection[str], order: Order, standings: Mapping[str, Standing]) -> Check:
    """Whether the order lets a pipeline move now, together with the others named in the same command."""
    name = move.pipeline.name

    def there(other: str) -> bool:
        return other in together or standings.get(other, Standing()).state in (move.to, "retired")

    problems = [f"{other} moves together with it" for other in order.group_of(name) if not there(other)]
    rules = order.first(name) if move.to == "target" else order.then(name)
    for rule in rules:
        other = rule.first if move.to == "target" else rule.then
        if not there(other):
            problems.append(f"{other} must be on the {move.to} first ({rule.why})")
    problems = list(dict.fromkeys(problems))
    return Check("order", "failed" if problems else "ok", "; ".join(problems) or "its turn")


def refuse_unready(move: Move, checks: Sequence[Check], despite: Collection[str]) -> None:
    """Raise Refused where a check does not pass and is not passed over by name."""
    bad = [check for check in checks if not check.passed and check.name not in despite]
    if bad:
        raise Refused(
            f"The pipeline {move.pipeline.name} is not ready for the {move.to}: "
            + "; ".join(f"{check.name}: {check.detail}" for check in bad)
            + ".",
            "Moved like this it would fail, or read and write something else than before.",
            "Mend it (notebook 10 shows every detail), or pass over it by name: "
            + " ".join(f"--despite {check.name}" for check in bad),
        )


def refuse_left_behind(move: Move, standing: Standing, target: Traffic, leave_writes: bool) -> int:
    """How much the pipeline has written on the target since it came. Raises Refused where that would be left there unsaid."""
    arrived = standing.before.get("arrived")
    if move.to != "source" or arrived is None or not move.pipeline.writes:
        return 0
    ran = _since(target.statements_of_account(move.pipeline), arrived)
    written = sum(count for kind, count in ran.items() if kind in WRITING)
    if written and not leave_writes:
        raise Refused(
            f"The pipeline {move.pipeline.name} has run {written:,} writing statements on the target since it moved there.",
            "The source does not have what they wrote; back on the source the pipeline would not see it.",
            "Bring these rows to the source first (workbook run validate names them), or leave them: --leave-writes",
        )
    return written


def restore_point(move: Move, standing: Standing, source: Traffic, target: Traffic) -> dict[str, Any]:
    """What the way back and the proof must know: the state before, and what had run on each side until now.

    `arrived` is what its account had run on the target when it came there, kept until it is back on the source. A move
    that is proven again keeps the restore point of its first attempt.
    """
    if move.to == move.origin and standing.before:
        return dict(standing.before)
    arrived = standing.before.get("arrived")
    if move.to == "target" and arrived is None:
        arrived = dict(target.statements_of_account(move.pipeline))
    return {
        "state": move.origin,
        "source": dict(source.statements_of(move.pipeline)),
        "target": dict(target.statements_of(move.pipeline)),
        "arrived": None if move.to in ("source", "shadow") else arrived,
    }


def settings_file(pipeline: Pipeline, register: Register, reports: Path, environment: str) -> Path:
    """The file that a move writes: the one of the register, else one beside the ledger."""
    if pipeline.connection.file is not None:
        return (register.folder / pipeline.connection.file).resolve()
    ending = FORMS[pipeline.connection.form].ending
    return reports / f"{environment}.pipelines" / f"{pipeline.name}.{ending}"


def refuse_foreign(path: Path, rendered: Rendered | None) -> None:
    """Raise Refused where settings would be written over a file that no move wrote."""
    if rendered is None or not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        if file.readline().rstrip("\n") == MARK:
            return
    raise Refused(
        f"The file {path} was not written by a move.",
        "What else stands in it, passwords perhaps, would be gone.",
        "Give the pipeline a file of its own in the register, and have it include that file.",
    )


def write_settings(rendered: Rendered, path: Path) -> None:
    """Write the settings in one step."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(rendered.text)
            # The pipeline's own user must be able to read it, as before; there is no secret in it.
            os.fchmod(file.fileno(), 0o644)
        Path(part).replace(path)
    except OSError as error:
        raise TerminalError(
            f"The settings of {rendered.pipeline} cannot be written to {path}: {error.strerror}.",
            "The pipeline would go on where it is.",
            "Mend the folder's rights or name another file in the register, then move again.",
        ) from None


def prove(
    move: Move, before: Mapping[str, Any], source: Server, target: Server, seconds: float, say: Callable[[str], None]
) -> Proof:
    """Look at both servers until the move is proven, at most `seconds` long (and once, however short that is)."""
    deadline = time.monotonic() + seconds
    last: tuple[Traffic, Traffic] | None = None
    while True:
        now = read_traffic(source), read_traffic(target)
        if last is not None:
            lines = _seen(move, before, last, now)
            if all(good for good, _ in lines) or time.monotonic() >= deadline:
                proof = Proof(
                    move.pipeline.name,
                    all(good for good, _ in lines),
                    tuple(f"{'proven' if good else 'missing'}: {text}" for good, text in lines),
                )
                for line in proof.lines:
                    say(f"  {move.pipeline.name}: {line}")
                return proof
        last = now
        # Short-lived connections show as statements that were run between two looks.
        time.sleep(_QUIET_SECONDS)


def shadow(move: Move, seen: Inspection, say: Callable[[str], None]) -> Proof:
    """Compare what the pipeline reads on both sides: its smoke query, and the reads of which the source kept a text.

    Its smoke query and the reads of its own sessions decide; a read that may be another's is named where it differs.
    """
    pipeline = move.pipeline
    smoke = compare(seen.source, seen.target, pipeline.smoke, pipeline.connection.database)
    found = [("its smoke query", True, smoke)]
    reads = [sent for sent in seen.statements_of(pipeline) if sent.first in READS]
    reads.sort(key=lambda sent: not is_certain(pipeline, sent))
    for sent in [sent for sent in reads if sent.sample is not None][:_MOST_READS]:
        assert sent.sample is not None
        text = sent.text if len(sent.text) <= 80 else f"{sent.text[:79]}…"
        comparison = compare(seen.source, seen.target, sent.sample, sent.database)
        found.append((text, is_certain(pipeline, sent), comparison))
    counts = Counter(comparison.verdict for _, _, comparison in found)
    lines = [
        f"reads compared: {len(found):,}; same {counts['same']:,}, different {counts['different']:,}, not comparable"
        f" {counts['incomparable']:,}; without a text {sum(sent.sample is None for sent in reads):,}"
    ]
    for text, certain, comparison in found:
        if comparison.verdict != "same":
            whose = "" if certain else " (perhaps not its own)"
            lines.append(f"{comparison.verdict}{whose}: {text}: {comparison.detail}")
    for line in lines:
        say(f"  {pipeline.name}: {line}")
    # What cannot be compared is said and proves nothing; the smoke query must be the same.
    good = smoke.verdict == "same" and not any(own and item.verdict == "different" for _, own, item in found)
    return Proof(pipeline.name, good, tuple(lines))


def _seen(
    move: Move, before: Mapping[str, Any], last: tuple[Traffic, Traffic], now: tuple[Traffic, Traffic]
) -> list[tuple[bool, str]]:
    pipeline = move.pipeline
    if move.to == "retired":
        return [_left(pipeline, last[side], now[side]) for side in (0, 1)]
    stays = 1 if move.to == "target" else 0
    return [
        _left(pipeline, last[1 - stays], now[1 - stays]),
        _active(pipeline, before.get(now[stays].role, {}), now[stays]),
    ]


def _left(pipeline: Pipeline, last: Traffic, now: Traffic) -> tuple[bool, str]:
    sessions = now.sessions_of(pipeline)
    ran = sum(_since(now.statements_of(pipeline), last.statements_of(pipeline)).values())
    hosts = sorted({session.host for session in sessions})
    more = f" from {', '.join(hosts[:3])}" if hosts else ""
    if not sessions and ran:
        return False, f"no connection on the {now.role} now, but {ran:,} statements run in the last moment"
    return not sessions, f"{len(sessions) or 'no'} connections on the {now.role}{more}"


def _active(pipeline: Pipeline, before: Mapping[str, int], now: Traffic) -> tuple[bool, str]:
    ran = _since(now.statements_of(pipeline), Counter(before))
    kinds = WRITING if pipeline.writes else READING | {"call_procedure", "execute_sql"}
    counted = sum(count for kind, count in ran.items() if kind in kinds)
    verb = "write" if pipeline.writes else "read"
    sessions = len(now.sessions_of(pipeline))
    return (
        counted > 0,
        f"{counted:,} statements that {verb} on the {now.role} since the move, {sessions} connections now",
    )


def _since(now: Mapping[str, int], before: Mapping[str, int]) -> Counter[str]:
    """What was run since; a server that was restarted meanwhile counts from nothing again."""
    restarted = any(now.get(kind, 0) < count for kind, count in before.items())
    return Counter(now) if restarted else Counter(now) - Counter(before)
