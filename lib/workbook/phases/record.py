"""The record of a run: its folder and run.json, true at every moment, also after a crash."""

import json
import platform
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workbook import params
from workbook.errors import TerminalError, WorkbookError
from workbook.phases.ledger import now
from workbook.phases.order import PhaseKind
from workbook.phases.schedule import due_before

_PACKAGES = ("migration-workbook", "papermill", "pandas", "SQLAlchemy", "PyMySQL", "google-cloud-bigquery", "pyarrow")


class RunRecord:
    """A run folder with its run.json. Until the end the status reads `error`, which is the truth if nobody ends it."""

    def __init__(self, folder: Path, content: dict[str, Any]):
        self.folder = folder
        self.content = content

    @classmethod
    def start(
        cls, settings: params.Settings, reports: Path, kinds: Sequence[PhaseKind], due: str | None = None
    ) -> "RunRecord":
        """Make the folder of a new run; `due` is when its schedule wanted it to start (HH:MM [ZONE]).

        Raises TerminalError, and leaves nothing, where it cannot be written.
        """
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = reports / f"{stamp}-{settings.environment}-{secrets.token_hex(2)}"
        content: dict[str, Any] = {
            "run_id": folder.name,
            "environment": settings.environment,
            "status": "error",
            "started": now(),
            "ended": None,
            "git_commit": _git_commit(),
            "params_sha256": settings.sha256(),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
            "phases": [
                {
                    "name": kind.name,
                    "status": "pending",
                    "verdict": None,
                    "seconds": None,
                    "notebook": None,
                    "html": None,
                    "result": None,
                }
                for kind in kinds
            ],
        }
        if due is not None:
            moment = datetime.now(UTC)
            wanted = due_before(due, moment)
            content["due"] = wanted.isoformat(timespec="seconds").replace("+00:00", "Z")
            content["late_seconds"] = max(0, round((moment - wanted).total_seconds()))
        record = cls(folder, content)
        try:
            folder.mkdir(parents=True)
            record.write()
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise unwritable(folder.parent, error) from None
        return record

    def write(self) -> None:
        """Write run.json in one step."""
        part = self.folder / "run.json.part"
        part.write_text(json.dumps(self.content, indent=1), encoding="utf-8")
        part.rename(self.folder / "run.json")

    def phase_ended(
        self, kind: PhaseKind, verdict: str | None, seconds: float, status: str, error: WorkbookError | None = None
    ) -> None:
        """Note how a phase ended, and the files that it left; `error` where its notebook cannot say what stopped it."""
        entry = next(entry for entry in self.content["phases"] if entry["name"] == kind.name)
        files = {"notebook": f"{kind.stem}.ipynb", "html": f"{kind.stem}.html", "result": f"{kind.name}.json"}
        entry.update(status=status, verdict=verdict, seconds=round(seconds, 1))
        entry.update({key: name if (self.folder / name).exists() else None for key, name in files.items()})
        if error is not None:
            entry["error"] = _parts(error)
        self.write()

    def end(self, status: str, error: WorkbookError | None = None) -> None:
        """Note how the run ended, and what ended it before its time; phases that never began are skipped."""
        for entry in self.content["phases"]:
            if entry["status"] == "pending":
                entry["status"] = "skipped"
        self.content.update(status=status, ended=now())
        if error is not None:
            self.content["error"] = _parts(error)
        self.write()


def unwritable(folder: Path, error: OSError) -> TerminalError:
    """The error for a reports folder that takes no more."""
    return TerminalError(
        f"The reports folder {folder} cannot be written: {error.strerror}.",
        "A run without its report proves nothing.",
        "Make room or mend the folder's rights, or name another folder with --reports; then run again.",
    )


def _parts(error: WorkbookError) -> dict[str, str]:
    return {"found": error.found, "why": error.why, "todo": error.todo}


def _git_commit() -> str | None:
    answer = subprocess.run(
        ["git", "-C", str(params.CHECKOUT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None
