"""The rehearsal of a cutover for the notebook and the command line: over to the target, back, and all put back as it was.

It switches for real, so it takes only the servers of the sandbox. The writers are registered as the pipelines of a register
of its own, so that the cutover moves, closes out and proves them as it would any application, while the settings files of
the real ones are not touched.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workbook.bulk.load import say as log
from workbook.cutover import FORWARD, Cutover, CutoverResult, State, Tools, backward
from workbook.errors import Refused, TerminalError, UsageError, WorkbookError
from workbook.names import mysql_account, mysql_path, with_values
from workbook.params import Settings
from workbook.phases import cdc, pipelines
from workbook.phases.context import Phase
from workbook.phases.cutover import tools_of
from workbook.phases.ledger import Ledger
from workbook.phases.order import REHEARSAL
from workbook.phases.rehearsed import NOTE, refuse_elsewhere, take_away, way_back
from workbook.phases.run import run
from workbook.rehearsal.outage import Log, Tally, outage, read_log, tally
from workbook.rehearsal.places import Place, choose
from workbook.rehearsal.result import RehearsalResult, Switch, judged
from workbook.rehearsal.standing import differences, standing
from workbook.rehearsal.writer import Job, command
from workbook.servers import Server

_PASSWORD = "WORKBOOK_REHEARSAL_PASSWORD"
_FEWEST, _MOST = 2, 6
_PATIENCE_SECONDS = 60.0


def rehearse(phase: Phase) -> RehearsalResult:
    """Rehearse the cutover and the way back under writers that never stop; what stops it is in the result.

    Raises Refused, before anything is touched, where this is no sandbox or where a cutover could not begin.
    """
    refuse_elsewhere(phase.settings)
    refuse_unready(phase.settings)
    if phase.ledger.noted(NOTE) is not None:
        _say("Taking away what an earlier rehearsal has left")
        take_away(phase.settings, phase.ledger)
    with _workshop() as folder:
        return _Rehearsal(phase, folder).carry_out()


def refuse_unready(settings: Settings) -> None:
    """Raise Refused where a cutover could not begin now, or would have no way back."""
    ledger = Ledger(settings.environment)
    state = State.read(ledger)
    if state.finished or state.under_way or state.master != "source":
        raise Refused(
            "The cutover is finished." if state.finished else "The source is not what applications write to just now.",
            "A rehearsal begins where the night begins: the source is open and changes flow to the target.",
            "A new environment is needed." if state.finished else " ".join(way_back(state)),
        )
    if settings.cutover.reverse == "none":
        raise Refused(
            "The params want a cutover without a way back (cutover.reverse: none).",
            "The rehearsal could not come back, so that it would be the cutover itself.",
            "Rehearse with --set cutover.reverse=full (or lossy).",
        )
    try:
        course = cdc.course_of(settings)
    except UsageError as error:
        raise Refused(error.found, error.why, error.todo) from None
    if not course.ledger.exists(course.destination) or course.ledger.position(course.destination) is None:
        raise Refused(
            "Change capture was never set up in this environment.",
            "Without it the target lacks what changed since the load, and nothing could go over.",
            "Run the phase first: workbook run cdc -p FILE",
        )


def run_rehearsal(
    settings: Settings, params_file: Path, overrides: dict[str, Any], as_json: bool, say: Callable[[str], None]
) -> int:
    """Rehearse headlessly, with a report; the figures are printed. The exit status of the run."""
    refuse_elsewhere(settings)
    refuse_unready(settings)
    ledger = Ledger(settings.environment)
    before = ledger.phases().get(REHEARSAL.name)
    say(
        "Cut off, it leaves notes: workbook cutover status -p FILE says how far it went; the same command again, the way back."
    )
    status = run(settings, params_file, overrides, [REHEARSAL.name], say)
    done = ledger.phases().get(REHEARSAL.name)
    if done is not None and done.result is not None and (before is None or done.run_id != before.run_id):
        content = json.loads(Path(done.result).read_text(encoding="utf-8"))
        print(json.dumps(content) if as_json else "\n".join(content["said"]))
    elif ledger.noted(NOTE) is not None:
        for line in way_back(State.read(ledger)):
            say(line)
    return status


@contextmanager
def _workshop() -> Iterator[Path]:
    """A folder for settings and jobs, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="workbook-rehearsal-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Rehearsal:
    """One rehearsal on its way."""

    phase: Phase
    folder: Path
    places: dict[str, Place] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    start: float = 0.0
    _mark: str = field(default_factory=lambda: f"wbr-{secrets.token_hex(4)}-")

    def carry_out(self) -> RehearsalResult:
        settings, ledger = self.phase.settings, self.phase.ledger
        opening = tools_of(settings, ledger, self.phase.run_dir.name, _say, self.phase.earlier_proof)
        remarks = _remarks(opening)
        before, followed = _standings(opening), cdc.runner(settings) is not None
        error: WorkbookError | None = None
        switches: list[Switch] = []
        try:
            self._employ(opening)
            self._stay("source")
            for to in ("target", "source"):
                switches.append(self._switch(to))
                if (error := switches[-1].cutover.error) is not None:
                    break
        except WorkbookError as stopped:
            error = stopped
        finally:
            self._end()
        unlike: list[str] = []
        state = State.read(ledger)
        back = state.master == "source" and not state.under_way
        if back:
            try:
                _say("Taking the rehearsal's rows and accounts away")
                take_away(settings, ledger)
                for role, now in _standings(opening).items():
                    unlike += differences(role, before[role], now)
            except WorkbookError as stopped:
                error = error or stopped
        if followed and cdc.runner(settings) is None:
            unlike.append("workbook cdc run was at work before, and is not any more")
        if unlike and error is None:
            error = _unlike(unlike)
        return RehearsalResult(
            places=self.places,
            logs=self._logs(),
            start=self.start,
            switches=tuple(switches),
            window_s=settings.cutover.window_s,
            stands=_stands(State.read(ledger), settings),
            # Whatever else went wrong, a lost write is the worst.
            error=judged(tuple(switches)) or error,
            unlike=tuple(unlike),
            remarks=(*remarks, *_left(switches, settings)),
            way_back=() if ledger.noted(NOTE) is None else tuple(way_back(State.read(ledger))),
        )

    def _employ(self, tools: Tools) -> None:
        """Choose the tables, make the accounts and the register, and put the writers to work on the source."""
        settings, ledger = self.phase.settings, self.phase.ledger
        registered = [] if settings.pipelines_path is None else list(pipelines.registered(settings).pipelines)
        count = min(_MOST, max(_FEWEST, len(registered)))
        left_out = backward(tools.source, tools.target, tools.mapping, settings, tools.folder)[1]
        chosen = choose(
            tools.source, tools.target, tools.catalog, tools.mapping, [mysql_path(*path) for path in left_out], count
        )
        self.places = {f"rehearsal-{number}": chosen[(number - 1) % len(chosen)] for number in range(1, count + 1)}
        # Where the mapping gives accounts another host, those of applications get it too.
        host = tools.mapping.hosts.get("%", "%")
        writers = {
            name: {
                "user": f"workbook_{name.replace('-', '_')}",
                "mark": f"{self._mark}{number}-",
                "place": place.asdict(),
            }
            for number, (name, place) in enumerate(self.places.items(), 1)
        }
        closed = "target" in State.read(ledger).gates
        ledger.note(NOTE, {"writers": writers, "host": host, "target_closed": closed, "run": self.phase.run_dir.name})
        password = secrets.token_urlsafe(18)
        entries = []
        for place_in, (name, place) in enumerate(self.places.items()):
            for server, at in ((tools.source, "%"), (tools.target, host)):
                _make_account(server, str(writers[name]["user"]), at, place, password)
            entries.append(self._entry(name, str(writers[name]["user"]), place, registered[place_in : place_in + 1]))
        text = yaml.safe_dump({"pipelines": entries}, allow_unicode=True)
        (self.folder / "pipelines.yaml").write_text(text, encoding="utf-8")
        logs = self.phase.run_dir / "rehearsal"
        logs.mkdir(exist_ok=True)
        self.start = time.monotonic()
        for name, place in self.places.items():
            path = self.folder / f"{name}.env"
            path.write_text(pipelines.settings_of(self._settings("target"), name, "source").text, encoding="utf-8")
            job = Job(
                path,
                logs / f"{name}.log",
                self.folder / "ended",
                (place.insert,),
                place.find,
                str(writers[name]["mark"]),
                name,
            )
            words = command(job.save(self.folder / f"{name}.json"))
            with (self.folder / f"{name}.errors").open("wb") as errors:
                self.processes[name] = subprocess.Popen(
                    words,
                    env={**os.environ, _PASSWORD: password},
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                )
        _say(f"{count} writers at work on {len(chosen)} tables: {', '.join(mysql_path(*item.path) for item in chosen)}")

    def _entry(self, name: str, user: str, place: Place, stands_for: list[Any]) -> dict[str, Any]:
        """A writer as a pipeline. It brings the smoke query of the pipeline that it stands for, which is part of the window."""
        smoke = next(
            (item.smoke for item in stands_for if item.connection.database in (None, place.path[0])), "SELECT 1 AS one"
        )
        return {
            "name": name,
            "owner": "the rehearsal",
            "account": user,
            "kind": "application",
            "direction": "writes",
            "segments": [place.segment],
            "connection": {
                "form": "env",
                "file": str(self.folder / f"{name}.env"),
                "database": place.path[0],
                "password": f"env:{_PASSWORD}",
            },
            "smoke": smoke,
        }

    def _settings(self, to: str) -> Settings:
        """The settings of a cutover to that side, with the rehearsal's own register."""
        settings = self.phase.settings
        # What the writers send was tried on both sides; the check would judge them by what others sent to their tables.
        despite = tuple(dict.fromkeys((*settings.cutover.despite, "statements")))
        cutover = settings.cutover.model_copy(update={"to": to, "despite": despite})
        return settings.model_copy(update={"cutover": cutover, "pipelines": str(self.folder / "pipelines.yaml")})

    def _switch(self, to: str) -> Switch:
        phase = self.phase
        _say(f"Going {'over to the target' if to == 'target' else 'back to the source'}, as workbook run cutover does")
        since = time.monotonic()
        tools = tools_of(self._settings(to), phase.ledger, phase.run_dir.name, _say, phase.earlier_proof)
        result: CutoverResult = Cutover(tools).carry_out()
        if result.error is None:
            self._stay(to)
        logs = self._logs()
        port = (tools.target if to == "target" else tools.source).port
        side = State.read(phase.ledger).master
        server = tools.target if side == "target" else tools.source
        outages = {name: outage(found, port, since) for name, found in logs.items()}
        return Switch(to, side, result, outages, self._tallies(server, logs))

    def _stay(self, side: str) -> None:
        """Wait until every writer has written on that side, then let them write there for a while."""
        port = (self.phase.target if side == "target" else self.phase.source).port
        since, deadline = time.monotonic(), time.monotonic() + _PATIENCE_SECONDS
        while not all(_wrote(found, port, since) for found in self._logs().values()):
            if gone := next((name for name, process in self.processes.items() if process.poll() is not None), None):
                lines = (self.folder / f"{gone}.errors").read_text(errors="replace").splitlines()
                raise TerminalError(
                    f"The writer {gone} has ended by itself: {lines[-1][:200] if lines else 'it says nothing'}",
                    "What it would have seen is not known.",
                    "Mend the cause, then rehearse again.",
                )
            if time.monotonic() > deadline:
                raise TerminalError(
                    f"Not every writer has written on the {side} within {_PATIENCE_SECONDS:g} s.",
                    "An application would not get on there either.",
                    "Their logs in the run's folder rehearsal/ tell the server's code of each refused write.",
                )
            time.sleep(0.1)
        _say(f"Writing on the {side} for {self.phase.settings.cutover.rehearse_s:g} s")
        time.sleep(self.phase.settings.cutover.rehearse_s)

    def _tallies(self, server: Server, logs: Mapping[str, Log]) -> dict[str, Tally]:
        """Each writer's acknowledged writes until then against the rows on a server."""
        writers = (self.phase.ledger.noted(NOTE) or {"writers": {}})["writers"]
        with server.session() as session:
            return {
                name: tally(found.numbers, self.places[name].rows_of(session, writers[name]["mark"]))
                for name, found in logs.items()
            }

    def _logs(self) -> dict[str, Log]:
        folder = self.phase.run_dir / "rehearsal"
        return {name: read_log(folder / f"{name}.log") for name in self.places}

    def _end(self) -> None:
        """Have the writers stop after the write that they are at."""
        with suppress(OSError):
            (self.folder / "ended").touch()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _say(text: str) -> None:
    """A line for the log of the notebook, and at once for whoever waits for the run."""
    log(text)
    if path := os.environ.get("WORKBOOK_LOG"):
        with suppress(OSError), open(path, "a", encoding="utf-8", errors="backslashreplace") as lines:
            lines.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _wrote(found: Log, port: int, since: float) -> bool:
    return any(item.at > since and item.port == port for item in reversed(found.acknowledged))


def _make_account(server: Server, user: str, host: str, place: Place, password: str) -> None:
    account = mysql_account(user, host)
    with server.session() as session:
        session.execute(f"DROP USER IF EXISTS {account}")
        # Bound, so that what is recorded of the statement does not hold it.
        session.execute(f"CREATE USER {with_values(account)} IDENTIFIED BY %s", (password,))
        session.execute(f"GRANT SELECT, INSERT ON {mysql_path(*place.path)} TO {account}")


def _standings(tools: Tools) -> dict[str, Mapping[str, str]]:
    names = tools.settings.source.databases
    there = [tools.mapping.target_database(name) for name in names]
    return {"source": standing(tools.source, names), "target": standing(tools.target, there)}


def _unlike(lines: list[str]) -> TerminalError:
    return TerminalError(
        f"After the rehearsal not all is as before: {'; '.join(lines[:5])}.",
        "The next cutover would begin from another place.",
        "Mend what is named; somebody else may have changed it meanwhile.",
    )


def _stands(state: State, settings: Settings) -> str:
    flows = "changes flow to the target" if state.stream == FORWARD else "changes flow back to the source"
    runs = "workbook cdc run is at work" if cdc.runner(settings) is not None else "workbook cdc run is not at work"
    under = "; a cutover is under way" if state.under_way else ""
    return f"Now applications write to the {state.master}, {flows} ({runs}){under}."


def _remarks(tools: Tools) -> list[str]:
    """What the night would say to the pipelines of the register, which the writers stand for."""
    if tools.settings.pipelines_path is None:
        return [
            "The params name no register of pipelines: how the applications themselves are moved was not rehearsed."
        ]
    try:
        names = tools.pipelines.check("target")
    except WorkbookError as error:
        return [f"On the night the check would say no to a pipeline of the register: {error.found}"]
    return [
        f"Of the register {len(names)} pipelines are ready to move; writers stood for them, nothing of theirs was moved."
    ]


def _left(switches: list[Switch], settings: Settings) -> list[str]:
    """What a rehearsal leaves, which no way back takes away."""
    raised = sum(len(switch.cutover.counters) for switch in switches)
    lines = [f"{raised} AUTO_INCREMENT counters were raised, and stay so."] if raised else []
    if switches:
        lines.append("The schema _workbook is on the source now too, as after any cutback.")
        if settings.cdc.warehouse:
            lines.append("The stream began anew: load the warehouse again (workbook run warehouse).")
        if left := switches[0].cutover.left_out:
            lines.append(f"{len(left)} tables are left out of the way back, so nothing was written to them.")
    return lines
