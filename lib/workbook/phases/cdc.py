"""Change capture for the command line and the notebook: run, stop, status, dead letters, under a lock of its own."""

import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from workbook.bulk.load import say as log
from workbook.catalog import Catalog, read_catalog
from workbook.cdc import (
    STANDS_ON,
    Adding,
    Followed,
    Follower,
    Ledger,
    Merged,
    Properties,
    Status,
    chosen,
    cloud,
    noted_snapshot,
    set_up,
    shown,
)
from workbook.cdc.ledger import UNREAD
from workbook.cdc.letters import READ, Letters
from workbook.cdc.merge_result import warehouse_status
from workbook.cdc.tables import target_catalog
from workbook.cutover import FORWARD, HELD, NONE, REVERSE, Course, State, backward, forward, refuse_after_cutover
from workbook.errors import Refused, TransientError, UsageError, WorkbookError
from workbook.mapping import Mapping, load_mapping
from workbook.mapping.file import read_text
from workbook.params import Settings
from workbook.phases.context import Phase, mapping_file
from workbook.phases.ledger import Ledger as PhaseLedger
from workbook.phases.ledger import reports_folder
from workbook.servers import Server, connect_source, connect_target, connect_warehouse

_STOP_SECONDS = 90


def state_folder(settings: Settings) -> Path:
    """Where the engine keeps its schema history and its log, beside the ledger."""
    return reports_folder() / f"{settings.environment}.cdc"


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Follow the source until SIGTERM, Ctrl-C or `workbook cdc stop`; raises what ends it otherwise."""
    stopping = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not stopping.is_set():
            if not _follow_once(settings, stopping, say):
                break
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    say("Stopped; `workbook cdc run` goes on where it was.")


def _follow_once(settings: Settings, stopping: threading.Event, say: Callable[[str], None]) -> bool:
    """Follow the way that changes flow now, until it is another one; whether there is one to follow."""
    ledger = PhaseLedger(settings.environment)
    state = State.read(ledger)
    way = state.stream
    if way == NONE:
        say("Nothing is followed: the way back was given up.")
        return False
    if way == HELD or (state.under_way and runner(settings) is not None):
        # Between two courses nobody applies anything; and a cutover that sees to the stream itself leaves it at its end.
        stopping.wait(0.1)
        return True
    turned, over = Turned(ledger, way), threading.Event()
    with following(settings):
        course = _ready(settings, stopping, say)
        if way == FORWARD:
            start_merging(settings, over, say)
        say(f"Following the {course.origin.role}; Ctrl-C, SIGTERM or `workbook cdc stop` ends it.")
        try:
            course.follower(say).run(lambda: stopping.is_set() or turned())
        finally:
            over.set()
    return True


def _ready(settings: Settings, stopping: threading.Event, say: Callable[[str], None]) -> Course:
    """The course of now, set up; a server that is away is waited for as it is later on."""
    ends = time.monotonic() + settings.cdc.patience_s
    while True:
        try:
            course = course_of(settings)
            make_ready(course, settings, say)
            return course
        except TransientError as error:
            if stopping.is_set() or time.monotonic() > ends:
                raise
            say(f"{error.found} It is waited for.")
            stopping.wait(1)


class Turned:
    """Whether changes flow another way now than when it was asked first; looked up a few times a second at most."""

    def __init__(self, ledger: PhaseLedger, way: str):
        self._ledger, self._way = ledger, way
        self._looked = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._looked < 0.3:
            return False
        self._looked = time.monotonic()
        return State.read(self._ledger).stream != self._way


def course_of(settings: Settings) -> Course:
    """The course of the stream as it is now: from the source, or back to it after a cutover."""
    source, target, catalog, mapping = _opened(settings)
    if State.read(PhaseLedger(settings.environment)).stream == REVERSE:
        return backward(source, target, mapping, settings, state_folder(settings))[0]
    return forward(source, target, catalog, mapping, settings, state_folder(settings))


def make_ready(course: Course, settings: Settings, say: Callable[[str], None] = log) -> None:
    """Set the stream up where it goes forward; the way back was set up by the cutover."""
    if course.way == FORWARD:
        journal = PhaseLedger(settings.environment).journal("cdc")
        about = course.origin, course.destination, course.catalog, course.mapping, settings
        set_up(*about, journal, course.folder, _mapping_text(settings), say)


def catch_up(phase: Phase, properties: Properties, seconds: float = 600) -> Followed:
    """Set the stream up, and follow the source until the target has caught up, for so many seconds at most."""
    refuse_after_cutover(phase.ledger, "The stream from the source would overwrite the target's rows")
    began = time.monotonic()
    with following(phase.settings):
        folder = state_folder(phase.settings)
        about = phase.source, phase.target, phase.catalog, phase.mapping, phase.settings
        readiness = set_up(*about, phase.journal, folder, _mapping_text(phase.settings), log)
        report = Follower(*about, folder, log).run(lambda: False, until_caught_up=True, seconds=seconds)
    merged = merge_now(phase.settings, log) if phase.settings.cdc.warehouse else None
    ledger, shown = Ledger(phase.settings.environment), phase.settings.validate_.show_values
    return Followed(
        report.status,
        readiness,
        properties,
        time.monotonic() - began,
        phase.settings.cdc.max_lag_s,
        {"application.properties": properties.text, **cloud(phase.settings).files},
        merged,
        Letters.read(ledger, phase.target, phase.catalog, phase.mapping, shown),
    )


def add(settings: Settings, words: Sequence[str], say: Callable[[str], None]) -> None:
    """Load tables that came into scope after the load, and have the stream follow them from there; not while it runs."""
    phases = PhaseLedger(settings.environment)
    refuse_after_cutover(phases, "The tables would be loaded from the source")
    with following(settings):
        course = course_of(settings)
        tables = chosen(words, course.catalog, course.mapping)
        make_ready(course, settings)
        about = course.origin, course.destination, course.catalog, course.mapping, settings
        loaded = Adding(*about, phases.journal("cdc"), phases.owned(), course.folder, tables, say).carry_out()
    for table in loaded.tables:
        say(f"{table.database}.{table.table}: {table.rows + table.resumed_rows:,} rows")
    at = loaded.snapshot
    say(
        f"The stream stands at their picture of the source, {at.file}:{at.position}; `workbook cdc run` goes on from there."
    )
    if settings.cdc.warehouse:
        say("In BigQuery they are after the next load: workbook run warehouse -p FILE")


def _opened(settings: Settings) -> tuple[Server, Server, Catalog, Mapping]:
    ledger = PhaseLedger(settings.environment)
    if "cdc" not in ledger.phases():
        raise UsageError(
            f"Change capture was never set up in the environment {settings.environment!r}.",
            "Without its restore point nothing could be taken back.",
            "Run the phase first: workbook run cdc -p FILE",
        )
    source, target = connect_source(settings), connect_target(settings)
    catalog = read_catalog(source, settings.source.databases)
    emulated = settings.warehouse.endpoint is not None
    return source, target, catalog, load_mapping(mapping_file(settings, ledger), catalog, emulated=emulated)


def _mapping_text(settings: Settings) -> str:
    return read_text(mapping_file(settings, PhaseLedger(settings.environment)))


def merge_now(settings: Settings, say: Callable[[str], None]) -> Merged:
    """Bring the warehouse to where Cloud SQL is. Raises Refused where it would cost too much, or where a load must come first."""
    if not settings.cdc.warehouse:
        raise UsageError(
            "The params do not have changes go on into the warehouse.",
            "Nothing was put aside for it.",
            "Set cdc.warehouse to true, start the stream anew (workbook cdc run), and load the warehouse once.",
        )
    _source, target, _catalog, mapping = _opened(settings)
    ledger, snapshot = Ledger(settings.environment), noted_snapshot(target, settings)
    position = ledger.position(target) if ledger.exists(target) else None
    if position is None or snapshot not in (position.snapshot, position.snapshot.get(STANDS_ON)):
        raise Refused(
            "The rows on Cloud SQL were loaded anew since the stream was set up.",
            "What came with that load is no change that could be merged.",
            "Run `workbook run cdc warehouse`, then go on.",
        )
    phases = PhaseLedger(settings.environment)
    # Imported here, because BigQuery's client takes a second or two.
    from workbook.cdc.merge import merge

    found = merge(
        target,
        connect_warehouse(settings),
        target_catalog(target, mapping),
        mapping,
        settings,
        phases.journal("cdc"),
        phases.owned(),
    )
    say(found.said)
    return found


def start_merging(settings: Settings, stopping: threading.Event, say: Callable[[str], None]) -> None:
    """Merge every `cdc.merge_seconds` beside the stream. A merge that fails is said and tried again the next time; one that is
    cut off is finished by the next."""

    def work() -> None:
        failure = state_folder(settings) / "merge.failed"
        while not stopping.wait(settings.cdc.merge_seconds):
            try:
                merge_now(settings, say)
                failure.unlink(missing_ok=True)
            except WorkbookError as error:
                failure.write_text(error.found, encoding="utf-8")
                say(f"The merge into the warehouse: {error}")

    if settings.cdc.warehouse:
        threading.Thread(target=work, name="merge", daemon=True).start()


@contextmanager
def following(settings: Settings) -> Iterator[None]:
    """Hold the lock of the stream; Refused where another process follows this environment."""
    path = _lock_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"The source of {settings.environment!r} is being followed already.",
                "Two at once would wait for each other.",
                "See `workbook cdc status`, or end it with `workbook cdc stop`.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def refuse_while_following(settings: Settings, what: str) -> None:
    """Raise Refused where the source is being followed now."""
    if runner(settings) is not None:
        raise Refused(
            f"The source of {settings.environment!r} is being followed, and {what}.",
            "The changes that flow meanwhile would meet other tables.",
            "End it first: workbook cdc stop -p FILE",
        )


def stop(settings: Settings, say: Callable[[str], None]) -> None:
    """End the process that follows the source, and wait until it has ended."""
    pid = runner(settings)
    if pid is None:
        say("Nobody follows the source.")
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while runner(settings) is not None:
        if time.monotonic() > deadline:
            raise TransientError(
                f"Process {pid} has not ended within {_STOP_SECONDS} s.",
                "It may be waiting for a server.",
                "Look at `workbook cdc status`; ending it by force loses nothing either.",
            )
        time.sleep(0.1)
    say("Stopped.")


def status(settings: Settings) -> Status:
    """How the stream stands: from the running process where there is one, from the target otherwise."""
    target = connect_target(settings)
    found = _stream(settings)
    return replace(found, warehouse=warehouse_status(target, settings, state_folder(settings) / "merge.failed"))


def _stream(settings: Settings) -> Status:
    origin, target = connect_source(settings), connect_target(settings)
    way = State.read(PhaseLedger(settings.environment)).stream
    if way == REVERSE:
        origin, target = target, origin
    ledger = Ledger(settings.environment)
    if way == NONE or not ledger.exists(target) or (position := ledger.position(target)) is None:
        return Status("none", False, None, 0, 0, 0, {"file": None, "pos": None, "gtids": ""})
    told = _told(course_folder(settings, way))
    if runner(settings) is not None and told is not None:
        return told
    reason = ""
    state = "stopped"
    if told is not None and told.state != "stopped":
        state = "failed"
        reason = told.reason or "its process was ended from outside"
    try:
        behind = str(origin.scalar("SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, %s)", (position.gtids,)) or "")
    except WorkbookError:
        behind = "unknown"
    lag = 0.0 if not behind else max(0.0, time.time() - position.committed) if position.committed else None
    return Status(
        state=state,
        caught_up=not behind,
        lag_seconds=lag,
        applied=position.applied,
        stale=position.stale,
        dead=ledger.dead_count(target),
        position={name: position.offset.get(name) for name in ("file", "pos", "gtids")},
        reason=reason,
        behind=behind,
        stopped_tables=shown(ledger.stopped(target)),
        history=told.history if told else (),
    )


def print_status(settings: Settings, as_json: bool) -> int:
    """Print the status; 1 where it is behind, refuses changes, or does not run."""
    found = status(settings)
    troubles = found.troubles(settings.cdc.max_lag_s)
    if as_json:
        content = found.asdict()
        del content["history"]
        print(json.dumps({**content, "troubles": troubles}))
    else:
        lag = "unknown" if found.lag_seconds is None else f"{found.lag_seconds:.1f} s"
        print(f"{settings.environment}: {found.state}, {'caught up' if found.caught_up else 'behind'}, lag {lag}")
        print(f"  applied {found.applied:,}, stale {found.stale:,}, dead letters {found.dead:,}")
        print(f"  at {found.position['file']}:{found.position['pos']}")
        if found.warehouse:
            print(f"  {found.warehouse.said}")
        for trouble in troubles:
            print(f"  ! {trouble}", file=sys.stderr)
    return 1 if troubles else 0


def course_folder(settings: Settings, way: str) -> Path:
    """Where the engine of a course keeps its files."""
    folder = state_folder(settings)
    return folder.with_name(f"{folder.name}.reverse") if way == REVERSE else folder


def _told(folder: Path) -> Status | None:
    """The last status that a following process wrote."""
    try:
        content = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fields = {name: content[name] for name in Status.__dataclass_fields__ if name in content}
    fields["stopped_tables"] = tuple(fields.get("stopped_tables", ()))
    fields["history"] = tuple(tuple(point) for point in fields.get("history", ()))
    return Status(**fields)


def runner(settings: Settings) -> int | None:
    """The process that follows the source, where there is one."""
    try:
        with _lock_path(settings).open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdigit() else None
    except OSError:
        return None


def _lock_path(settings: Settings) -> Path:
    return reports_folder() / f".{settings.environment}.cdc.lock"


def dead_letters(settings: Settings, show_values: bool) -> Letters:
    """The changes that the target refused, and the messages that could not be read."""
    course = course_of(settings)
    return Letters.read(course.ledger, course.destination, course.catalog, course.mapping, show_values)


def replay(settings: Settings, say: Callable[[str], None]) -> int:
    """Try all dead letters again, retryable and permanent; how many are left. Not while the source is followed."""
    with following(settings):
        course = course_of(settings)
        if not course.ledger.exists(course.destination):
            say("There are no dead letters.")
            return 0
        outcome = course.follower(say).replay()
        left = course.ledger.dead_count(course.destination)
    say(f"{outcome.applied} applied, {outcome.stale} overtaken by later changes, {left} left.")
    if left:
        say(f"To read them: {READ}")
    return left


def forget(settings: Settings, numbers: Sequence[int], say: Callable[[str], None]) -> int:
    """Let dead letters go, for good; how many are left. Raises UsageError where one is not there: then none is let go."""
    with following(settings):
        course = course_of(settings)
        ledger, target = course.ledger, course.destination
        there = {letter.number: letter for letter in ledger.letters(target)} if ledger.exists(target) else {}
        if missing := [str(number) for number in numbers if number not in there]:
            raise UsageError(
                f"There is no dead letter {', '.join(missing)}.",
                "None was let go.",
                f"Their numbers are shown by: {READ}",
            )
        ledger.dismiss(target, numbers)
        left = ledger.dead_count(target)
    refused = [str(number) for number in numbers if there[number].kind != UNREAD]
    say(f"{len(numbers)} let go, {left} left.")
    if refused:
        say(
            f"Of {', '.join(refused)} the change is missing on the target now: workbook run validate, then workbook repair."
        )
    return left
