"""Carrying a cutover out, or the way back: step after step, each noted before it acts; taken back where one says no."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from workbook.catalog import Catalog
from workbook.cdc import STANDS_ON, drop_triggers, noted_snapshot
from workbook.cutover import wake
from workbook.cutover.counters import Counter, raise_counters
from workbook.cutover.course import Course, backward, forward, refuse_lossy
from workbook.cutover.drain import Drained, drain, prepare, refuse_refused, standing
from workbook.cutover.events import Handover
from workbook.cutover.gate import (
    Gate,
    close,
    end_writers,
    open_again,
    open_up,
    plan_gate,
    plan_handover,
    refuse_foreign,
    refuse_hidden_writers,
)
from workbook.cutover.prove import Proven, prove, refuse_different
from workbook.cutover.result import CutoverResult
from workbook.cutover.state import HELD, NONE, STREAM_OF, Notes, State
from workbook.cutover.steps import NO_RETURN, STEPS
from workbook.errors import Refused, TerminalError, TransientError, UsageError, WorkbookError
from workbook.mapping import Mapping as DataMapping
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.plan import Journal, Step
from workbook.servers import Server
from workbook.validate.delta import Earlier
from workbook.warehouse.streamed import Streamed

_START_SECONDS, _NEAR_SECONDS, _TRIES = 240.0, 1.0, 5


class Streams(Protocol):
    """Who applies changes: a process that runs already, or one of our own."""

    def start(self, course: Course) -> None:
        """Have changes flow along this course, unless they do already."""

    def ended(self) -> str:
        """Why they do not flow any more; nothing while they do."""

    def stop(self) -> None:
        """End what was started here."""


class Movers(Protocol):
    """The pipelines around the database."""

    def check(self, to: str) -> list[str]:
        """Whether they can move to that side; their names. Raises Refused."""

    def smoke(self) -> list[str]:
        """What their smoke queries answer otherwise on the two sides, in words."""

    def move(self, to: str) -> list[str]:
        """Give them their settings towards that side; a line for each."""

    def prove(self) -> list[str]:
        """Wait until they are seen at work there; a line for each. Raises VerdictFailed."""


@dataclass
class Tools:
    """What a cutover works with."""

    source: Server
    target: Server
    catalog: Catalog
    mapping: DataMapping
    settings: Settings
    notes: Notes
    journal: Journal
    folder: Path
    run: str
    streams: Streams
    pipelines: Movers
    earlier: Callable[[], Earlier]
    say: Callable[[str], None]


@dataclass
class Cutover:
    """One cutover or cutback on its way."""

    tools: Tools
    state: State = field(default_factory=State)
    proven: Proven | None = None
    counters: tuple[Counter, ...] = ()
    courses: dict[str, Course] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    _triggers: tuple[Step, ...] = ()
    _handover: Handover | None = None
    _drained: Drained | None = None
    _gates: dict[str, Gate] = field(default_factory=dict)

    def carry_out(self) -> CutoverResult:
        """Do all steps, or those that are left of one that was cut off. What stops it is in the result.

        Before the destination is opened whatever stops it takes everything back.
        """
        tools = self.tools
        self.state = State.read(tools.notes)
        error: WorkbookError | None = None
        begun = False
        try:
            self._begin()
            begun = True
            self._know()
            for step in STEPS:
                if self.state.opened and step.name not in _AFTER:
                    continue
                self._step(step.name)
            self._end("done")
        except WorkbookError as stopped:
            error = stopped
        except BaseException:
            if self.state.under_way and not self.state.opened:
                self._safely_back()
            raise
        finally:
            tools.streams.stop()
        if error is not None and self.state.under_way and not self.state.opened:
            error = self._safely_back() or error
        return self._result(error, begun)

    def take_back(self) -> None:
        """Take back all that was done before the destination was opened: the origin is open again, as before."""
        state, tools = self.state, self.tools
        attempt = state.attempt
        steps = attempt.get("steps", {})
        if not self.courses:
            self._know()
        if "wake" in steps:
            if self.to == "target":
                drop_triggers(self.destination, [item.target_path for item in tools.mapping.in_scope], tools.journal)
            else:
                wake.take_away(self.destination, [wake.step_of(item) for item in state.triggers])
        if "stream" in steps and self.to == "target":
            self.back.forget()
        for role in (self.origin.role, self.destination.role):
            if role in attempt.get("closed", []) and role in state.gates:
                open_again(self._server(role), Gate.of(state.gates[role]))
                del state.gates[role]
                state.save(tools.notes)
                tools.say(f"The {role} is open again as it was.")
        self._end("taken back")

    @property
    def to(self) -> str:
        """The role of the destination."""
        return str(self.state.attempt.get("to") or self.tools.settings.cutover.to)

    @property
    def destination(self) -> Server:
        """The server that applications are moved to."""
        return self._server(self.to)

    @property
    def origin(self) -> Server:
        """The server that they leave."""
        return self._server("target" if self.to == "source" else "source")

    @property
    def along(self) -> Course:
        """The course of changes until the destination opens."""
        return self.courses[self.to]

    @property
    def back(self) -> Course:
        """The course of changes after it."""
        return self.courses["target" if self.to == "source" else "source"]

    @property
    def _has_way_back(self) -> bool:
        return self.to == "source" or self.tools.settings.cutover.reverse != "none"

    def _server(self, role: str) -> Server:
        return self.tools.target if role == "target" else self.tools.source

    def _begin(self) -> None:
        state, tools = self.state, self.tools
        to = tools.settings.cutover.to
        if state.finished:
            raise Refused(
                "The cutover is finished: the way back was given up.",
                "The source is no longer kept up.",
                "A new migration needs an environment of its own.",
            )
        if state.under_way:
            if state.attempt["to"] != to:
                raise Refused(
                    f"A cutover to the {state.attempt['to']} was begun and has not ended.",
                    "Two ways at once would lose writes.",
                    f"Run it again with cutover.to: {state.attempt['to']}, or take it back: workbook cutover abort",
                )
            tools.say(f"Going on with the cutover to the {to} that was cut off.")
            return
        if state.master == to:
            way = "workbook run cutover --set cutover.to=source" if to == "target" else "workbook run cutover"
            raise Refused(
                f"The {to} is what applications write to already.",
                "There is nothing to cut over.",
                f"The other way is: {way} -p FILE",
            )
        if to == "source" and state.stream == NONE:
            raise Refused(
                "The cutover was made without a way back (cutover.reverse: none).",
                "The source has nothing of what was written since.",
                "Load the target's rows into the source by other means.",
            )
        if state.attempt:
            state.past.append(state.attempt)
        state.attempt = {"to": to, "run": tools.run, "began": time.time(), "steps": {}, "closed": [], "outcome": ""}
        state.save(tools.notes)

    def _know(self) -> None:
        """Both courses, and what the way back leaves out."""
        tools = self.tools
        ahead = forward(tools.source, tools.target, tools.catalog, tools.mapping, tools.settings, tools.folder)
        behind, left_out = backward(tools.source, tools.target, tools.mapping, tools.settings, tools.folder)
        self.courses = {"target": ahead, "source": behind}
        if self.to == "target":
            self.left_out = left_out if tools.settings.cutover.reverse != "none" else {}
        else:
            self.left_out = self.state.left_out

    def _step(self, name: str) -> None:
        state, tools = self.state, self.tools
        noted = state.attempt["steps"].setdefault(name, {"began": time.time()})
        began = state.attempt["steps"].get("freeze", {}).get("began")
        kind = next(step for step in STEPS if step.name == name)
        if kind.window and began and name != "freeze" and not state.opened:
            spent = time.time() - began
            if spent > tools.settings.cutover.window_s:
                raise TransientError(
                    f"Nobody could write for {spent:.0f} s, and cutover.window_s allows {tools.settings.cutover.window_s:g}.",
                    "A window that overruns is worse than another night.",
                    "Shorten it (validate.mode: delta after a full proof), or allow more, then run again.",
                )
        if name == NO_RETURN:
            # From the next moment on writes may land there.
            state.master, state.stream = self.to, HELD
        state.save(tools.notes)
        started = time.monotonic()
        said = getattr(self, f"_{name}")()
        # Noted durably with the next step: each note costs a moment of the window.
        noted.update(ended=time.time(), seconds=time.monotonic() - started, said=said)
        tools.say(f"{name}: {said} ({noted['seconds']:.2f} s)")

    def _end(self, outcome: str) -> None:
        self.state.attempt.update(outcome=outcome, ended=time.time())
        self.state.save(self.tools.notes)

    def _safely_back(self) -> WorkbookError | None:
        """Take everything back; what stopped that, where something did."""
        self.tools.say("Taking it back")
        try:
            self.take_back()
            return None
        except WorkbookError as error:
            return TerminalError(
                f"The cutover could not be taken back: {error.found}",
                f"Perhaps nobody can write now. {error.why}",
                "Mend it, then at once: workbook cutover abort -p FILE",
            )

    # Each step answers with what it did, in words.

    def _check(self) -> str:
        tools, settings = self.tools, self.tools.settings
        if tools.catalog.flavour != "mysql":
            raise Refused(
                "The source is MariaDB, whose changes cannot be followed here.",
                "Without a stream the copy is that of the bulk load.",
                "Stop the applications, load once more, validate, and move the pipelines.",
            )
        if not self.along.ledger.exists(self.destination) or self.along.ledger.position(self.destination) is None:
            raise UsageError(
                "Change capture was never set up in this environment.",
                "Without it the destination lacks what changed since the load.",
                "Run the phase first: workbook run cdc -p FILE",
            )
        refuse_refused(self.along.ledger, self.destination)
        refuse_hidden_writers(self.origin)
        names: dict[str, list[str]] = {
            server.role: self._databases(server) for server in (self.origin, self.destination)
        }
        self._gates = {server.role: plan_gate(server, names[server.role]) for server in (self.origin, self.destination)}
        words = []
        if not self._has_way_back:
            words.append("there will be no way back")
        else:
            if self.to == "target":
                refuse_lossy(self.left_out, settings.cutover.reverse)
            self.back.ready(standing(self.destination)).refuse()
        left: frozenset[tuple[str, str]] = frozenset()
        if self.to == "target":
            about = tools.source, tools.target, tools.catalog, tools.mapping
            self._triggers, left = wake.triggers_for_target(*about)
            if self._has_way_back:
                # Those of the source go when changes come back, so that they must be known by heart before.
                held = wake.triggers_there(
                    tools.source,
                    tools.catalog,
                    [item.path for item in tools.mapping.in_scope if self._goes_back(item.path)],
                )
                self.state.triggers = wake.plain(held)
                self.state.left_out = self.left_out
        else:
            self._triggers = tuple(wake.step_of(item) for item in self.state.triggers)
        closed = {role: Gate.of(gate) for role, gate in self.state.gates.items()}
        self._handover = plan_handover(self.to, self.origin, self.destination, names, closed)
        words += self._handover.refuse(left, settings.cutover.despite)
        for server in (self.origin, self.destination):
            gate = self._gates[server.role].joined(closed.get(server.role))
            refuse_foreign(server, gate.opening(self._handover) if server is self.destination else gate)
        moving = tools.pipelines.check(self.to)
        words.append(f"{len(moving)} pipelines move" if moving else "no pipeline is registered to move")
        return "; ".join(("nothing speaks against it", *words))

    def _earlier_gate(self, server: Server) -> Gate | None:
        """How a server is closed by now."""
        noted = self.state.gates.get(server.role)
        return Gate.of(noted) if noted else None

    def _stream(self) -> str:
        for server in (self.origin, self.destination):
            prepare(server)
        if self._has_way_back:
            self.back.make_ledger(self.tools.journal)
        self.tools.streams.start(self.along)
        # An engine that starts first reads all definitions, then what has gathered.
        seconds, began = max(_START_SECONDS, self.tools.settings.cutover.drain_s), time.monotonic()
        for tries in itertools.count():
            drained = drain(self.origin, self.destination, self.along.ledger, seconds, self.tools.streams.ended)
            # As long as this takes now, nobody can write later: it gets a few chances to come near.
            if drained.seconds < _NEAR_SECONDS or tries >= _TRIES or time.monotonic() - began > seconds:
                break
        return f"a change arrives after {drained.seconds:.2f} s"

    def _close(self) -> str:
        server = self.destination
        earlier = self._earlier_gate(server)
        if earlier is None or server.role in self.state.attempt["closed"]:
            return self._shut(server, self._gates[server.role])
        assert self._handover is not None
        # What fires may be another choice by now than when it was closed.
        gate = earlier.opening(self._handover)
        self.state.gates[server.role] = gate.asdict()
        return f"it stayed closed since: {gate.said}"

    def _freeze(self) -> str:
        return self._shut(self.origin, self._gates[self.origin.role])

    def _shut(self, server: Server, gate: Gate) -> str:
        state = self.state
        gate = gate.joined(self._earlier_gate(server))
        if server is self.destination:
            assert self._handover is not None
            gate = gate.opening(self._handover)
        state.gates[server.role] = gate.asdict()
        if server.role not in state.attempt["closed"]:
            state.attempt["closed"].append(server.role)
        state.save(self.tools.notes)
        close(server, gate, self.tools.settings.cutover.grace_s, lambda text: None)
        return gate.said

    def _drain(self) -> str:
        self._drained = self._drained_now()
        return f"all {self._drained.changes:,} changes have arrived"

    def _drained_now(self) -> Drained:
        cutover = self.tools.settings.cutover
        return drain(self.origin, self.destination, self.along.ledger, cutover.drain_s, self.tools.streams.ended)

    def _prove(self) -> str:
        tools = self.tools
        left_out = self.left_out if self.to == "source" else ()
        self.proven = prove(
            tools.source, tools.target, tools.catalog, tools.mapping, tools.settings, tools.earlier(), left_out
        )
        refuse_different(self.proven)
        odd = tools.pipelines.smoke()
        if odd:
            raise TerminalError(
                f"Smoke queries of pipelines answer otherwise on the two sides: {'; '.join(odd)}.",
                "The rows are the same, so it is code, settings or the query itself.",
                "Mend it, or pass over it (cutover.despite: [smoke]), then run again.",
            )
        return f"{len(self.proven.tables)} tables, {self.proven.rows:,} rows, the same: {self.proven.how}"

    def _wake(self) -> str:
        return f"{wake.make(self.destination, self._triggers)} triggers made, {len(self._triggers)} in all"

    def _count(self) -> str:
        pairs = [(item.path, item.target_path) for item in self.tools.mapping.in_scope]
        if self.to == "source":
            pairs = [(there, here) for here, there in pairs]
        catalog = self.tools.catalog if self.to == "source" else self.courses["source"].catalog
        self.counters = raise_counters(
            self.origin, self.destination, catalog, pairs, self.tools.settings.cutover.headroom
        )
        return f"{len(self.counters)} counters raised"

    def _arm(self) -> str:
        if not self._has_way_back:
            return "there is no way back, as the params say"
        snapshot = dict(standing(self.destination))
        if self.to == "source":
            snapshot[STANDS_ON] = noted_snapshot(self.tools.target, self.tools.settings)
        self.back.begin(snapshot)
        return f"changes come back from {snapshot['file']}:{snapshot['position']} on"

    def _still(self) -> str:
        now = self._drained_now()
        assert self._drained is not None
        if now.changes != self._drained.changes:
            raise TerminalError(
                f"{now.changes - self._drained.changes} changes came from the {self.origin.role} after it was closed.",
                "Somebody writes past the lock; after the opening such writes would be lost.",
                "Find who it is (the workbook's own login, a replica, SUPER), keep them out, then run again.",
            )
        return "no change came since"

    def _open(self) -> str:
        state = self.state
        role = self.destination.role
        gate = self._earlier_gate(self.destination)
        if gate is not None:
            open_up(self.destination, gate)
            del state.gates[role]
        words = [f"the {role} is open"]
        words += [f"{len(gate.fires)} events woken"] if gate and gate.fires else []
        words += [f"{len(gate.rests)} events disabled"] if gate and gate.rests else []
        return ", ".join(words)

    def _move(self) -> str:
        lines = self.tools.pipelines.move(self.to)
        gate = self._earlier_gate(self.origin)
        ended = end_writers(self.origin, gate) if gate else 0
        words = "; ".join(lines) or f"point the applications to {self.destination.host}:{self.destination.port}"
        return words + (f"; {ended} sessions on the {self.origin.role} ended" if ended else "")

    def _flow(self) -> str:
        state, tools = self.state, self.tools
        tools.streams.stop()
        streamed = Streamed(tools.target, tools.settings.environment)
        if self.to == "target" and streamed.exists():
            streamed.stop("applications write to Cloud SQL themselves since the cutover: load the warehouse from there")
        if not self._has_way_back:
            state.stream = NONE
            return "nothing flows back, as the params say"
        if self.to == "target":
            wake.take_away(self.origin, [wake.step_of(item) for item in state.triggers])
        else:
            drop_triggers(self.origin, [item.target_path for item in tools.mapping.in_scope], tools.journal)
        state.stream = STREAM_OF[self.to]
        state.save(tools.notes)
        tools.streams.start(self.back)
        drained = drain(self.destination, self.origin, self.back.ledger, _START_SECONDS, tools.streams.ended)
        return f"a change of the {self.destination.role} is on the {self.origin.role} after {drained.seconds:.2f} s"

    def _work(self) -> str:
        return "; ".join(self.tools.pipelines.prove()) or "none is registered"

    def _databases(self, server: Server) -> list[str]:
        names = self.tools.settings.source.databases
        return [self.tools.mapping.target_database(name) for name in names] if server.role == "target" else list(names)

    def _goes_back(self, path: tuple[str, str]) -> bool:
        return mysql_path(*path) not in self.left_out

    def _result(self, error: WorkbookError | None, begun: bool) -> CutoverResult:
        return CutoverResult(
            state=self.state,
            error=error,
            proven=self.proven,
            counters=self.counters,
            left_out=dict(self.left_out),
            destination=f"{self.destination.host}:{self.destination.port}",
            begun=begun,
        )


_AFTER = [step.name for step in STEPS][[step.name for step in STEPS].index(NO_RETURN) :]
