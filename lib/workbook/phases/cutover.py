"""The cutover for the notebook and the command line: carried out under the lock of the environment, told, taken back, ended."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workbook.bulk.ledger import SCHEMA
from workbook.bulk.load import say as log
from workbook.catalog import read_catalog
from workbook.cdc.ledger import APPLIED
from workbook.cdc.pubsub import take_away
from workbook.cutover import NONE, Course, Cutover, CutoverResult, State, Tools
from workbook.cutover.events import DESPITE as EVENTS
from workbook.cutover.steps import STEPS
from workbook.errors import Refused, TransientError, UsageError, WorkbookError
from workbook.mapping import load_mapping
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.phases import cdc, pipelines
from workbook.phases.context import Phase, mapping_file
from workbook.phases.ledger import Ledger, reports_folder
from workbook.phases.run import only_one
from workbook.pipelines.standing import Standing
from workbook.pipelines.trial import compare
from workbook.servers import Server, connect_source, connect_target
from workbook.validate.delta import Earlier

_LOCK_SECONDS = 60.0


def cut_over(phase: Phase) -> CutoverResult:
    """Go over to the side that the params name (`cutover.to`); what stops it is in the result."""
    tools = Tools(
        source=phase.source,
        target=phase.target,
        catalog=phase.catalog,
        mapping=phase.mapping,
        settings=phase.settings,
        notes=phase.ledger,
        journal=phase.journal,
        folder=cdc.state_folder(phase.settings),
        run=phase.run_dir.name,
        streams=_Streams(phase.settings, log),
        pipelines=_Movers(phase.settings, log),
        earlier=phase.earlier_proof,
        say=log,
    )
    return Cutover(tools).carry_out()


def tools_of(
    settings: Settings, ledger: Ledger, run: str, say: Callable[[str], None], earlier: Callable[[], Earlier]
) -> Tools:
    """What a cutover works with, all of it read now; `run` is the run that it is noted under."""
    source, target = connect_source(settings), connect_target(settings)
    catalog = read_catalog(source, settings.source.databases)
    emulated = settings.warehouse.endpoint is not None
    return Tools(
        source=source,
        target=target,
        catalog=catalog,
        mapping=load_mapping(mapping_file(settings, ledger), catalog, emulated=emulated),
        settings=settings,
        notes=ledger,
        journal=ledger.journal("cutover"),
        folder=cdc.state_folder(settings),
        run=run,
        streams=_Streams(settings, say),
        pipelines=_Movers(settings, say),
        earlier=earlier,
        say=say,
    )


def abort(settings: Settings, say: Callable[[str], None]) -> None:
    """Take back a cutover that was begun and has not opened its destination yet; the origin is open again as before.

    Raises UsageError where none is under way, Refused once the destination may hold writes of its own.
    """
    with only_one(reports_folder(), settings.environment):
        ledger = Ledger(settings.environment)
        state = State.read(ledger)
        if state.opened:
            to, back = (str(state.attempt["to"]), "source" if state.attempt["to"] == "target" else "target")
            raise Refused(
                f"The {to} was opened for writes, so there is no abort any more.",
                f"What was written there since would be lost to the {back}.",
                f"Go forward and back: workbook run cutover --set cutover.to={to} -p FILE to its end, then --set"
                f" cutover.to={back}.",
            )
        if not state.under_way:
            raise UsageError(
                f"No cutover is under way in the environment {settings.environment!r}.",
                "There is nothing to take back.",
                "See workbook cutover status.",
            )
        Cutover(tools_of(settings, ledger, str(state.attempt["run"]), say, _never), state).take_back()
    say("Taken back: all is as before the cutover.")


def finish(settings: Settings, say: Callable[[str], None]) -> None:
    """Give the way back up: the stream back to the source ends, and the workbook's own schema goes from both servers.

    The source stays closed. Raises UsageError where the target has not taken over, Refused where the stream runs still
    or other environments keep their ledger there.
    """
    with only_one(reports_folder(), settings.environment):
        ledger = Ledger(settings.environment)
        state = State.read(ledger)
        if state.under_way or state.master != "target" or state.finished:
            raise UsageError(
                f"In the environment {settings.environment!r} there is no cutover to finish.",
                "Only what has gone over to the target, to its last step, is finished.",
                "See workbook cutover status.",
            )
        cdc.refuse_while_following(settings, "with the way back its ledger goes")
        servers = (connect_target(settings), connect_source(settings))
        for server in servers:
            _refuse_others(server, settings.environment)
        state.finished, state.stream = True, NONE
        state.save(ledger)
        for server in servers:
            server.execute(f"DROP DATABASE IF EXISTS {mysql_path(SCHEMA)}")
            say(f"{SCHEMA} is gone from the {server.role}.")
        take_topics(settings, ledger, say)
    say("Finished: the target is the truth, the source stays closed, and there is no way back any more.")


def take_topics(settings: Settings, ledger: Ledger, say: Callable[[str], None]) -> None:
    """Take away what change capture has made at Pub/Sub, where no change travels any more; those of others stay."""
    made = ledger.to_undo("cdc", "pubsub")
    if made:
        try:
            take_away(settings, made)
            say(f"At Pub/Sub {', '.join(made)} are gone.")
        except WorkbookError as error:
            say(f"At Pub/Sub {', '.join(made)} are of no use any more; they could not be removed: {error.found}")


def print_status(settings: Settings, as_json: bool) -> int:
    """Print where the cutover stands; 1 where one was begun and waits."""
    state = State.read(Ledger(settings.environment))
    attempt = state.attempt
    if as_json:
        print(
            json.dumps(
                {
                    "master": state.master,
                    "stream": state.stream,
                    "finished": state.finished,
                    "under_way": state.under_way,
                    "closed": sorted(state.gates),
                    "left_out": state.left_out,
                    "attempt": attempt or None,
                }
            )
        )
        return int(state.under_way)
    console = Console()
    console.print(f"{settings.environment}: applications write to the {state.master}; {_flows(state)}")
    if attempt:
        word = attempt["outcome"] or "under way, or cut off: run it again, or workbook cutover abort"
        table = Table(title=f"The last one: to the {attempt['to']}, {word}", title_justify="left")
        for heading in ("Step", "Seconds", "Answer"):
            table.add_column(heading)
        for step in STEPS:
            noted = attempt["steps"].get(step.name)
            if noted is not None:
                seconds = f"{noted['seconds']:.2f}" if "seconds" in noted else ""
                table.add_row(step.name, seconds, escape(noted.get("said", "begun, not ended")))
        console.print(table)
    for role, gate in state.gates.items():
        console.print(f"The {role} is closed ({escape(gate['way'])}).")
    return int(state.under_way)


def _flows(state: State) -> str:
    if state.finished:
        return "the cutover is finished, there is no way back"
    return {
        "forward": "changes flow to the target",
        "reverse": "changes flow back to the source",
        "none": "nothing flows back",
    }.get(state.stream, "nothing flows just now")


def _refuse_others(server: Server, environment: str) -> None:
    try:
        others = [
            str(row["stream"])
            for row in server.rows(f"SELECT stream FROM {APPLIED} WHERE stream <> %s", (environment,))
        ]
    except WorkbookError as error:
        if error.code in (1049, 1146):  # no such database, no such table
            return
        raise
    if others:
        raise Refused(
            f"On the {server.role} other environments keep their ledger too: {', '.join(others[:5])}.",
            "With the workbook's schema theirs would go.",
            "Finish or roll back those first.",
        )


def _never() -> Any:
    raise AssertionError("nothing is proven while it is taken back")


class _Streams:
    """Changes are applied by `workbook cdc run` where that is at work, by a thread of ours otherwise."""

    def __init__(self, settings: Settings, say: Callable[[str], None]):
        self._settings, self._say = settings, say
        self._thread: threading.Thread | None = None
        self._outside = False
        self._stop = threading.Event()
        self._error: BaseException | None = None

    def start(self, course: Course) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        # A process that followed the other way turns by itself, which takes a moment.
        self._outside = self._outside or cdc.runner(self._settings) is not None
        if self._outside and self._turned_to(course):
            return
        self._stop.clear()
        self._error = None
        begun = threading.Event()

        def follow() -> None:
            try:
                with cdc.following(self._settings):
                    cdc.make_ready(course, self._settings)
                    begun.set()
                    course.follower(self._say).run(self._stop.is_set)
            except BaseException as error:
                self._error = error
            finally:
                begun.set()

        self._thread = threading.Thread(target=follow, daemon=True, name="stream")
        self._thread.start()
        begun.wait(_LOCK_SECONDS)
        if isinstance(self._error, Refused) and cdc.runner(self._settings) is not None:
            # A process that waited for the way to be free was quicker.
            self._thread.join(_LOCK_SECONDS)
            self._thread = self._error = None
            self.start(course)

    def ended(self) -> str:
        if self._error is not None:
            return self._error.found if isinstance(self._error, WorkbookError) else repr(self._error)
        if self._thread is None and cdc.runner(self._settings) is None:
            return "`workbook cdc run` does not run any more"
        return ""

    def stop(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join(_LOCK_SECONDS)
            self._thread = None

    def _turned_to(self, course: Course) -> bool:
        """Whether the process that follows has turned to this course: a moment passes until it has noticed."""
        status = course.folder / "status.json"
        deadline = time.monotonic() + _LOCK_SECONDS
        pid: int | None = None
        while time.monotonic() < deadline:
            pid = cdc.runner(self._settings)
            if pid is not None and _written_by(status, pid):
                return True
            time.sleep(0.1)
        if pid is None:
            return False
        raise TransientError(
            f"The process {pid} follows changes, but not along the way that is needed now.",
            "Changes would not arrive.",
            "Stop it (workbook cdc stop), then run the cutover again.",
        )


def _written_by(path: Path, pid: int) -> bool:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(told.get("pid") == pid and told.get("state") == "running")


class _Movers:
    """The pipelines of the register that are not where they are to go."""

    def __init__(self, settings: Settings, say: Callable[[str], None]):
        self._settings, self._say = settings, say
        self._planned: pipelines.Planned | None = None
        self._begun: Sequence[pipelines.Begun] = ()

    def check(self, to: str) -> list[str]:
        names = self._names(to)
        if names:
            # A locked account is no hindrance here: the cutover locked it, and unlocks it.
            # Smoke queries are compared when nobody writes.
            despite = {*self._settings.cutover.despite, "smoke"} - {EVENTS}
            self._planned = pipelines.check_moves(self._settings, names, to, despite)
        return names

    def smoke(self) -> list[str]:
        if self._planned is None or "smoke" in self._settings.cutover.despite:
            return []
        source, target = connect_source(self._settings), connect_target(self._settings)
        found = []
        for move in self._planned.moves:
            pipeline = move.pipeline
            answer = compare(source, target, pipeline.smoke, pipeline.connection.database)
            if answer.verdict != "same":
                found.append(f"{pipeline.name}: {answer.verdict} {answer.detail}".strip())
        return found

    def move(self, to: str) -> list[str]:
        names = self._names(to)
        if self._planned is None and names:
            # The cutover was cut off after the opening: what was checked then is checked no more.
            self._planned = pipelines.check_moves(self._settings, names, to, pipelines.CHECKS)
        if self._planned is None:
            return []
        # By now each side has what was written on the other, but for tables that are left out of the way back.
        carried = self._settings.cutover.reverse == "full"
        self._begun = pipelines.begin_moves(self._settings, self._planned, True, self._say, carried)
        return [f"{move.pipeline.name} has its settings" for move, _, _ in self._begun]

    def prove(self) -> list[str]:
        if self._planned is None:
            return []
        wait = self._settings.cutover.prove_s
        proofs = pipelines.prove_moves(self._settings, self._planned, self._begun, wait, self._say)
        return [f"{proof.pipeline}: {'; '.join(proof.lines)}" for proof in proofs]

    def _names(self, to: str) -> list[str]:
        if self._settings.pipelines_path is None:
            return []
        standings = Ledger(self._settings.environment).pipelines()
        states = {item.name: standings.get(item.name, Standing()) for item in self._registered()}
        return [
            name
            for name, standing in states.items()
            if standing.state != "retired" and (standing.state != to or not standing.proven)
        ]

    def _registered(self) -> Sequence[Any]:
        return pipelines.registered(self._settings).pipelines
