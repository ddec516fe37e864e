"""Running phases headlessly: each notebook by papermill, its page rendered, the record kept, the exit status earned."""

import fcntl
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from google.api_core.retry import Retry
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from workbook import site
from workbook.cutover import refuse_after_cutover
from workbook.errors import Refused, UsageError, WorkbookError
from workbook.params import Settings
from workbook.phases.backed_up import wanted
from workbook.phases.cdc import refuse_while_following
from workbook.phases.context import GOOD, require_free_space
from workbook.phases.ledger import Ledger, reports_folder
from workbook.phases.notify import tell
from workbook.phases.order import PHASES, PhaseKind, phase_named
from workbook.phases.record import RunRecord, unwritable
from workbook.phases.schedule import due_before
from workbook.phases.stopping import Stopped, end_children, stoppable
from workbook.phases.tidy import tidy
from workbook.pipelines.standing import refuse_under_pipelines
from workbook.servers import connect_source, connect_target, connect_warehouse

# The kernel listens on loopback only; without this it warns about that at each start.
_QUIET = Config({"AsyncKernelManager": {"transport_encryption": "auto"}})
_EXIT = {"VerdictFailed": 1, "UsageError": 2}


def run(
    settings: Settings,
    params_file: Path,
    overrides: dict[str, Any],
    names: Sequence[str],
    say: Callable[[str], None] = print,
    due: str | None = None,
) -> int:
    """Run the named phases in their order (those that lead to a validated copy where none is named); the exit status.

    Before a folder is made, everything that can be known is checked: names, settings, secrets, servers, disk, and that
    no other run of this environment is under way. The first phase that does not end well ends the run, and so does
    SIGTERM, Ctrl-C or a terminal that closes. A scheduled run (`due`: HH:MM [ZONE]) that a check refuses is on record too.
    """
    chosen = {phase_named(name) for name in names} if names else {kind for kind in PHASES if kind.by_default}
    kinds = sorted(chosen, key=lambda kind: kind.number)
    reports = reports_folder()
    if due is not None:
        due_before(due, datetime.now(UTC))
    try:
        with only_one(reports, settings.environment), stoppable():
            _check(settings, kinds, reports)
            record = RunRecord.start(settings, reports, kinds, due)
            status = _run_recorded(settings, record, kinds, params_file, overrides, say)
    except WorkbookError as error:
        if due is not None:
            # Nobody looks at the terminal of a nightly run: without a record the night would seem to be missing.
            record = RunRecord.start(settings, reports, kinds, due)
            record.end("error", error)
            tell(settings, record, say)
            site.build_index(reports)
        raise
    say(f"{record.content['status']}: {reports / record.folder.name}")
    return status


def _run_recorded(
    settings: Settings,
    record: RunRecord,
    kinds: Sequence[PhaseKind],
    params_file: Path,
    overrides: dict[str, Any],
    say: Callable[[str], None],
) -> int:
    reports = record.folder.parent
    try:
        try:
            status = _run_phases(record, kinds, params_file, overrides, say)
        except Stopped as stop:
            # Between two notebooks, or while pages are made.
            say(str(stop.explained))
            record.end("error", stop.explained)
            status = stop.explained.exit_status
        tell(settings, record, say)
        _let_go(settings, say)
        site.build_index(reports)
    except OSError as error:
        # What a phase has done stays on record; a folder in which none has ended is taken away.
        if all(entry["status"] == "pending" for entry in record.content["phases"]):
            shutil.rmtree(record.folder, ignore_errors=True)
        raise unwritable(reports, error) from None
    return status


def _let_go(settings: Settings, say: Callable[[str], None]) -> None:
    try:
        tidy(settings, say)
    except OSError as error:
        # Old runs that stay are no reason for this one to be bad.
        say(f"Old runs could not be let go: {error.filename}: {error.strerror}")


def _run_phases(
    record: RunRecord,
    kinds: Sequence[PhaseKind],
    params_file: Path,
    overrides: dict[str, Any],
    say: Callable[[str], None],
) -> int:
    status, exit_status = "ok", 0
    stop: WorkbookError | None = None
    pages: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool, _followed(record.folder / "run.log", say):
        for kind in kinds:
            say(f"{kind.stem}: {kind.title}")
            started = time.monotonic()
            problem = _execute(kind, record.folder, params_file, overrides)
            seconds = time.monotonic() - started
            verdict = _verdict(record.folder / f"{kind.name}.json")
            if problem is None and verdict not in GOOD:
                # A kernel that died or a cell that timed out can look green: only the result tells.
                problem = _Problem(3, f"{kind.stem} left no result: its kernel ended before its last cell.")
            phase_status = "ok" if problem is None else "failed" if problem.exit_status == 1 else "error"
            stop = problem.stop if problem else None
            record.phase_ended(kind, verdict, seconds, phase_status, stop)
            pages.append(pool.submit(_render, record, kind))
            say(f"{kind.stem}: {verdict or phase_status} in {seconds:.0f} s")
            if problem is not None:
                exit_status, status = problem.exit_status, phase_status
                say(problem.message)
                break
        for page in pages:
            page.result()
    for kind in kinds:
        entry = next(entry for entry in record.content["phases"] if entry["name"] == kind.name)
        if (record.folder / f"{kind.stem}.html").exists():
            entry["html"] = f"{kind.stem}.html"
    record.end(status, stop)
    return exit_status


@dataclass(frozen=True)
class _Problem:
    """Why a phase did not go through; `stop` where the run was told to stop."""

    exit_status: int
    message: str
    stop: WorkbookError | None = None


def _execute(kind: PhaseKind, folder: Path, params_file: Path, overrides: dict[str, Any]) -> _Problem | None:
    """Run one notebook; None where it went through."""
    # The kernel inherits the place of the log from this process.
    os.environ["WORKBOOK_LOG"] = str(folder / "run.log")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            str(kind.notebook),
            str(folder / f"{kind.stem}.ipynb"),
            parameters={"params_file": str(params_file), "run_dir": str(folder), "overrides": overrides},
            kernel_name="python3",
            cwd=str(kind.notebook.parent),
            progress_bar=False,
            request_save_on_cell_execute=True,
            config=_QUIET,
        )
    except PapermillExecutionError as error:
        words = f"{error.evalue}" if error.ename in _known() else f"{error.ename}: {error.evalue}"
        return _Problem(_EXIT.get(error.ename, 3), words)
    except (CellExecutionError, DeadKernelError) as error:
        return _Problem(3, f"{kind.stem} ended early: {type(error).__name__}")
    except Stopped as stop:
        end_children()
        return _Problem(stop.explained.exit_status, str(stop.explained), stop.explained)
    return None


def _known() -> set[str]:
    def below(kind: type[WorkbookError]) -> Iterator[str]:
        yield kind.__name__
        for child in kind.__subclasses__():
            yield from below(child)

    return set(below(WorkbookError))


def _render(record: RunRecord, kind: PhaseKind) -> None:
    notebook = record.folder / f"{kind.stem}.ipynb"
    if notebook.exists():
        site.render_page(notebook, notebook.with_suffix(".html"), title=kind.title, run=record.content)


def _verdict(path: Path) -> str | None:
    try:
        verdict: str = json.loads(path.read_text(encoding="utf-8"))["verdict"]
    except (OSError, ValueError, KeyError):
        return None
    return verdict


def _check(settings: Settings, kinds: Sequence[PhaseKind], reports: Path) -> None:
    """Everything that can be known before a run folder is made."""
    reports.mkdir(parents=True, exist_ok=True)
    require_free_space(reports)
    for kind in kinds:
        if not kind.notebook.exists():
            raise UsageError(
                f"There is no notebook {kind.notebook.name}.",
                "The phase is its notebook.",
                "Restore it from version control.",
            )
        nbformat.read(str(kind.notebook), as_version=4)
    connect_source(settings).scalar("SELECT 1")
    connect_target(settings).scalar("SELECT 1")
    if any(kind.writes or kind.name == "validate" for kind in kinds):
        _reach_warehouse(settings)
    if settings.mapping_path is not None and not settings.mapping_path.exists() and kinds[0].number > 3:
        raise UsageError(
            f"There is no mapping file {settings.mapping_path}.",
            "It says where each table goes.",
            "Run the phase map first, or mend the path in the params (it is relative to the params file).",
        )
    ledger = Ledger(settings.environment)
    if any(wanted(settings, ledger, kind) for kind in kinds):
        from workbook.backups.take import reach

        reach(settings)
    if any(kind.writes_target for kind in kinds):
        refuse_after_cutover(ledger, "The phases put the source's objects and rows in the place of the target's")
    if any(kind.name == "schema" for kind in kinds):
        refuse_while_following(settings, "the schema phase brings triggers back, which would fire for its changes")
    if any(kind.name == "bulk_load" for kind in kinds):
        refuse_while_following(settings, "the bulk load puts other rows in the place of the target's")
        refuse_under_pipelines(ledger.pipelines(), "The bulk load puts the source's rows in the place of the target's")


def _reach_warehouse(settings: Settings) -> None:
    client = connect_warehouse(settings)
    try:
        next(iter(client.list_datasets(max_results=1, retry=Retry(timeout=20), timeout=20)), None)
    except WorkbookError:
        raise
    except Exception as error:
        place = settings.warehouse.endpoint or "BigQuery"
        raise Refused(
            f"The warehouse {settings.warehouse.project} at {place} cannot be reached: {type(error).__name__}: {str(error)[:200]}",
            "Every phase that writes notes the warehouse's state first, so that it can be taken back.",
            "Check project, endpoint, credentials and network; then run again.",
        ) from None


@contextmanager
def only_one(reports: Path, environment: str) -> Iterator[None]:
    """Hold the lock of an environment; a run that meets another one is refused."""
    try:
        reports.mkdir(parents=True, exist_ok=True)
        file = (reports / f".{environment}.lock").open("w")
    except OSError as error:
        raise unwritable(reports, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"Another run of the environment {environment!r} is under way.",
                "Two runs at once would write over each other.",
                "Wait for it to end (workbook status shows it), then run again.",
            ) from None
        yield


@contextmanager
def _followed(log: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Say the lines that the notebooks' kernels append to their log, while they run."""
    ended = threading.Event()
    log.touch()

    def follow() -> None:
        with log.open(encoding="utf-8", errors="replace") as lines:
            while True:
                last = ended.is_set()
                for line in lines:
                    say(f"    {line.rstrip()}")
                if last:
                    return
                ended.wait(0.5)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
