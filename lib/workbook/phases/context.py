"""What a notebook works with: the settings, the servers, the catalog, the mapping, and where its result goes."""

import difflib
import json
import os
import time
from collections.abc import Mapping as Keys
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from workbook import faces, params
from workbook.catalog import Catalog, read_catalog
from workbook.errors import TerminalError, UsageError, VerdictFailed, WorkbookError
from workbook.mapping import Mapping, load_mapping
from workbook.mapping.generate import guess_segments
from workbook.phases.backed_up import backed_up
from workbook.phases.fingerprint import target_fingerprint, warehouse_fingerprint
from workbook.phases.ledger import LEDGER, Ledger, LedgerJournal, reports_folder
from workbook.phases.order import IN_ORDER, PHASES, PhaseKind, phase_named
from workbook.phases.record import RunRecord
from workbook.servers import Server, connect_source, connect_target, connect_warehouse
from workbook.site.signatures import digest
from workbook.validate.delta import Earlier
from workbook.validate.replay_scratch import sweep_leftovers
from workbook.validate.resume import Notes
from workbook.warehouse.streamed import Streamed

if TYPE_CHECKING:
    from google.cloud import bigquery

GOOD = ("ok", "same")
# The keys that a notebook's parameters cell holds beside those of a params file.
_OWN_KEYS = ("params_file", "run_dir", "overrides")
_NOT_PARAMETERS = {"In", "Out", "exit", "quit", "open", "get_ipython", "open_phase"}


class Phase:
    """One phase of one environment, opened in a notebook.

    `settings`, `source`, `target`, `warehouse` (a BigQuery client), `catalog` (of the source), `mapping`, `journal`
    and `run_dir` are what its cells work with; `finish` ends it. `backup` is the one that Cloud SQL took before it.
    """

    def __init__(self, kind: PhaseKind, settings: params.Settings, run_dir: Path | None):
        self.kind = kind
        self.settings = settings
        self.source: Server = connect_source(settings)
        self.target: Server = connect_target(settings)
        self.ledger = Ledger(settings.environment)
        self.journal: LedgerJournal = self.ledger.journal(kind.name)
        self._started = time.monotonic()
        self._record: RunRecord | None = None
        if run_dir is None:
            # Opened by hand: the result still lands in a run of its own.
            self._record = RunRecord.start(settings, reports_folder(), (kind,))
            run_dir = self._record.folder
        self.run_dir = run_dir
        # Before the fingerprint, which sweeps the target: nothing at all is written without it.
        self.backup = backed_up(settings, self.ledger, kind, run_dir.name)
        self._entry = self.ledger.begin(kind.name, run_dir.name, self._fingerprint())

    @cached_property
    def warehouse(self) -> "bigquery.Client":
        """A client for BigQuery or its emulator."""
        return connect_warehouse(self.settings)

    @cached_property
    def catalog(self) -> Catalog:
        """What the source holds in the databases of the params, read once."""
        # The validation says itself what it may not see, and goes on.
        return read_catalog(self.source, self.settings.source.databases, bodies=self.kind.name != "validate")

    def target_catalog(self) -> Catalog:
        """What the target holds now, in the databases of the params that are there."""
        there = {row["name"] for row in self.target.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")}
        names = map(self.mapping.target_database, self.settings.source.databases)
        return read_catalog(self.target, [name for name in names if name in there])

    @cached_property
    def mapping(self) -> Mapping:
        """The mapping of this environment: the file that the params name, or the one that the map phase wrote.

        Raises UsageError where there is none yet.
        """
        return load_mapping(self.mapping_path, self.catalog, emulated=self.emulated)

    @cached_property
    def segments(self) -> Keys[tuple[str, str], str]:
        """The segment of each table: the mapping's where there is one, else as the map phase would guess it."""
        guessed = guess_segments(self.catalog)
        try:
            return {**guessed, **{path: table.segment for path, table in self.mapping.tables.items()}}
        except UsageError:
            return guessed

    @property
    def mapping_path(self) -> Path:
        """The file of the mapping in force."""
        return mapping_file(self.settings, self.ledger)

    def keep_mapping(self, text: str) -> Path:
        """Write a generated or merged mapping beside the run and make it the one in force; its path.

        The one in force lies beside the ledger too, so that removing an old run does not take it away.
        """
        path = self.run_dir / "mapping.yaml"
        path.write_text(text, encoding="utf-8")
        if self.settings.mapping_path is None:
            kept = reports_folder() / f"{self.settings.environment}.mapping.yaml"
            kept.write_text(text, encoding="utf-8")
            self.ledger.note("mapping", str(kept))
        return path

    @property
    def emulated(self) -> bool:
        """Whether the warehouse is the local emulator."""
        return self.settings.warehouse.endpoint is not None

    def owned(self) -> set[str]:
        """The objects on target and warehouse that the workbook made in this environment."""
        return self.ledger.owned()

    def notes(self) -> Notes:
        """What a validation of this environment that did not end has read, and where this one notes what it reads."""
        return Notes(reports_folder() / LEDGER, self.settings.environment, self.run_dir.name)

    def result_of(self, phase: str) -> dict[str, Any] | None:
        """The result of an earlier phase of this environment, as its JSON holds it; None where it was never finished."""
        done = self.ledger.phases().get(phase_named(phase).name)
        if done is None or done.result is None or not Path(done.result).exists():
            return None
        result: dict[str, Any] = json.loads(Path(done.result).read_text(encoding="utf-8"))
        return result

    def previous(self) -> tuple[str, dict[str, Any]] | None:
        """The name and the result of this phase in the latest earlier run of this environment that left one; None for the first."""
        pattern = f"*-{self.settings.environment}-????/{self.kind.name}.json"
        for path in sorted(self.run_dir.parent.glob(pattern), reverse=True):
            if path.parent.name >= self.run_dir.name:
                continue
            try:
                record = json.loads((path.parent / "run.json").read_text(encoding="utf-8"))
                # The name of one environment may end as another's does.
                if record["environment"] == self.settings.environment:
                    return path.parent.name, json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, KeyError):
                continue
        return None

    def earlier_proof(self) -> Earlier:
        """The last good verdict of this environment and where a delta goes on from it; or why there is none.

        Whatever wrote to the target since, or was taken back there, ends it.
        """
        cursor = self.ledger.noted("proof")
        merged = Streamed(self.target, self.settings.environment).states()
        loaded = (self.result_of("warehouse") or {}).get("snapshot", {}).get("gtid_executed", "")
        if cursor is None:
            return Earlier(loaded=loaded, merged=merged)
        if cursor["after"] != self._writers():
            return Earlier(
                why="a phase has written to the target since, or was taken back", loaded=loaded, merged=merged
            )
        path = Path(cursor["result"])
        if not path.exists():
            return Earlier(why=f"the result of the run {cursor['run']} is gone", loaded=loaded, merged=merged)
        return Earlier(cursor, json.loads(path.read_text(encoding="utf-8")), "", loaded, merged)

    def _writers(self) -> list[list[str | None]]:
        """What has written to the target, as the ledger knows it now."""
        return self.ledger.standing([kind.name for kind in IN_ORDER if kind.writes_target])

    def finish(self, result: Any) -> Any:
        """Save the result as `<phase>.json` (and the `files` it has beside it), note the state that a rollback to this phase must meet, then judge.

        Raises VerdictFailed for a bad verdict, after everything is saved, so that the report exists when the run is red.
        """
        verdict = str(result.verdict)
        path = self.run_dir / f"{self.kind.name}.json"
        content = {"phase": self.kind.name, "verdict": verdict, **result.asdict()}
        part = path.with_suffix(".json.part")
        part.write_text(json.dumps(content, indent=1, default=str, ensure_ascii=False), encoding="utf-8")
        part.rename(path)
        self.ledger.note(result_note(self.kind.name, self.run_dir.name), digest(path))
        for name, text in getattr(result, "files", {}).items():
            (self.run_dir / name).parent.mkdir(exist_ok=True)
            (self.run_dir / name).write_text(text, encoding="utf-8")
        good = verdict in GOOD
        if good:
            for name, value in getattr(result, "notes_when_good", {}).items():
                self.ledger.note(
                    name, {**value, "run": self.run_dir.name, "result": str(path), "after": self._writers()}
                )
        self.ledger.end(self._entry, "done" if good else "failed", self._fingerprint(), str(path))
        if self._record is not None:
            self._record.phase_ended(self.kind, verdict, time.monotonic() - self._started, "ok" if good else "failed")
            self._record.end("ok" if good else "failed")
        error = getattr(result, "error", None)
        if isinstance(error, WorkbookError):
            # What stopped the phase tells more than its verdict, and has an exit status of its own.
            raise error
        if not good:
            raise VerdictFailed(
                f"The phase {self.kind.name} ended with the verdict {verdict}.",
                "What follows would build on something that is not right.",
                f"Read the findings above; they are also in {path.name} of the run.",
            )
        return faces.stack(
            faces.boxes(("Phase", self.kind.name), ("Verdict", faces.badge(verdict)), ("Result", path.name)),
            # Whoever works by hand goes on by clicking; a page of a run has links of its own.
            _onwards(self.kind) if self._record is not None else None,
        )

    def _fingerprint(self) -> dict[str, Any]:
        """The state, by server, of what this phase writes to: its restore point before, its mark after."""
        found = {}
        if self.kind.writes_target:
            # What a killed validation has left is no part of the state.
            sweep_leftovers(self.target)
            found["target"] = target_fingerprint(self.target)
        if self.kind.writes_warehouse:
            found["warehouse"] = warehouse_fingerprint(self.warehouse, self.settings)
        return found

    def _repr_html_(self) -> str:
        warehouse = self.settings.warehouse
        place = "BigQuery" if warehouse.endpoint is None else "BigQuery emulator"
        return faces.stack(
            faces.boxes(
                ("Environment", self.settings.environment),
                ("Source", f"{self.source.host}:{self.source.port}"),
                ("Databases", ", ".join(self.settings.source.databases)),
                ("Target", f"{self.target.host}:{self.target.port} ({self.settings.target.flavour})"),
                ("Warehouse", f"{warehouse.project}.{warehouse.dataset} ({place})"),
            ),
            faces.Html(self.backup._repr_html_()) if self.backup is not None else None,
        )


def _onwards(kind: PhaseKind) -> faces.Html:
    """Links to the start and to the next phase's notebook."""
    after = next((other for other in PHASES if other.number == kind.number + 1), None)
    following = f"Next: {notebook_link(after)} · " if after is not None else ""
    return faces.block(f'<p class="wb-lead">{following}<a href="00_start.ipynb">Where we are</a></p>')


def notebook_link(kind: PhaseKind) -> str:
    """A link to a phase's notebook, for what is shown in the folder of notebooks."""
    return f'<a href="{kind.stem}.ipynb">{faces.escape(kind.name.replace("_", " "))}</a>'


def result_note(phase: str, run_id: str) -> str:
    """The name under which the ledger keeps the hash of a result as it was written."""
    return f"result of {phase} in {run_id}"


def open_phase(name: str, values: Keys[str, Any]) -> Phase:
    """The phase `name`, opened with the parameters of a notebook: pass `globals()`.

    `params_file` names a params file, or the other variables hold its keys (papermill -f FILE gives them); both empty
    means params/local.yaml. Raises UsageError for a parameter that no notebook knows, and as params.load does.
    """
    kind = phase_named(name)
    settings = settings_from(values)
    run_dir = values.get("run_dir")
    faces.plot_theme()
    return Phase(kind, settings, Path(run_dir) if run_dir else None)


def settings_from(values: Keys[str, Any]) -> params.Settings:
    """The settings that the parameters of a notebook give; as open_phase takes them."""
    known = {field.alias or key for key, field in params.Settings.model_fields.items() if key != "folder"}
    _refuse_unknown(values, known | set(_OWN_KEYS))
    given = {key: values[key] for key in known if values.get(key)}
    file = values.get("params_file") or ("" if given else str(params.CHECKOUT / "params" / "local.yaml"))
    if file:
        return params.load(file, {**given, **values.get("overrides", {})})
    return params.from_values(given, _params_folder(), "The notebook's parameters", values.get("overrides", {}))


def mapping_file(settings: params.Settings, ledger: Ledger) -> Path:
    """The file of the mapping in force: the one that the params name, or the one that the map phase wrote last.

    Raises UsageError where there is none.
    """
    path = settings.mapping_path
    if path is not None:
        if not path.exists():
            raise UsageError(
                f"There is no mapping file {path}.",
                "It says where each table goes.",
                "Take `mapping` out of the params to have one generated, or mend the path (relative to the params file).",
            )
        return path
    noted = ledger.noted("mapping")
    if noted is None or not Path(noted).exists():
        raise UsageError(
            f"No mapping has been made yet for the environment {settings.environment!r}.",
            "It says where each table goes.",
            "Run the phase map first (workbook run profile assess map -p FILE).",
        )
    return Path(noted)


def _refuse_unknown(values: Keys[str, Any], known: set[str]) -> None:
    for name, value in values.items():
        literal = isinstance(value, str | int | float | bool | list | dict | None)
        if name in known or name.startswith("_") or name in _NOT_PARAMETERS or not literal:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise UsageError(
            f"Unknown parameter {name!r}." + (f" Did you mean {near[0]}?" if near else ""),
            "A key that is not understood would silently change nothing.",
            "Mend it; params/README.md lists every key.",
        )


def _params_folder() -> Path:
    """The folder of the file that papermill was given with -f, which relative paths are relative to.

    papermill hands on the values but not where they came from; its command line tells. Elsewhere: the current folder.
    """
    try:
        papermill = psutil.Process(os.getppid())
        words = papermill.cmdline()
        for flag, value in pairwise(words):
            if flag in ("-f", "--parameters_file"):
                return (Path(papermill.cwd()) / value).resolve().parent
    except psutil.Error:
        pass
    return Path.cwd()


def require_free_space(folder: Path, megabytes: int = 32) -> None:
    """Raise TerminalError where the disk of the reports has less room than that."""
    usage = os.statvfs(folder if folder.exists() else folder.parent)
    if usage.f_bavail * usage.f_frsize < megabytes << 20:
        raise TerminalError(
            f"The disk of the reports folder {folder} has less than {megabytes} MB left.",
            "The run's report and its way back could not be kept.",
            "Make room, or name a folder on another disk with --reports; then run again.",
        )
