"""The index of runs, and one page for each run with its phases and what changed since the run before."""

import json
from pathlib import Path

from workbook import faces
from workbook.faces import Html
from workbook.site import pages, shell, signatures
from workbook.site import runs as history
from workbook.site.runs import Run

_REMEMBERED = "validations.json"
_NAMED_CHANGES = 6


def build_index(reports: Path) -> Path:
    """Write `reports/index.html` from all runs there, and the page of each run that has none yet or an older one.

    Raises TerminalError where it cannot be written.
    """
    runs = _all(reports)
    before = history.before(runs)
    for run in runs:
        # A page that tells of a signature looks at the signed files again.
        if not run.broken and (run.signed.word or not _fresh(reports / run.folder)):
            _write_run(reports, run, before.get(run.folder))
    newest = runs[::-1]
    latest: dict[str, Run] = {}
    for run in newest:
        if not run.broken:
            latest.setdefault(run.environment, run)
    shell.write(
        reports / "index.html",
        shell.page(
            "index.html.j2",
            assets="assets",
            title="Runs",
            failures=[_card(run, before.get(run.folder)) for run in newest if not run.good],
            good=[_card(run, before.get(run.folder)) for run in newest if run.good],
            latest=latest,
            environments=sorted({run.environment for run in runs if run.environment}),
            statuses=sorted({run.status for run in runs}),
        ),
    )
    return reports / "index.html"


def render_run(folder: Path) -> Path:
    """Write the page of one run, `folder/index.html`, with what changed since the run before. Raises TerminalError."""
    runs = _all(folder.parent)
    run = next((run for run in runs if run.folder == folder.name), None)
    if run is None:
        run = Run(folder.name, folder.name, broken="The folder holds no run.json.")
    return _write_run(folder.parent, run, history.before(runs).get(run.folder))


def _write_run(reports: Path, run: Run, then: Run | None) -> Path:
    path = reports / run.folder / "index.html"
    pages.refresh_phases(run, path.parent)
    shell.write(
        path,
        shell.page(
            "run.html.j2",
            assets="../assets",
            title=f"Run {run.run_id}",
            run=run,
            before=then,
            changes=history.changes(then, run) if then else [],
            phases=_phases(run),
            unlike=_unlike(run),
            files=[name for name in ("run.json", "run.log", signatures.FILE) if (path.parent / name).is_file()],
        ),
    )
    return path


def _all(reports: Path) -> list[Run]:
    """All runs; what their validations say in short is kept beside the shared files, for they grow large."""
    path = reports / "assets" / _REMEMBERED
    try:
        remembered = json.loads(path.read_bytes())
    except (OSError, ValueError):
        remembered = {}
    if not isinstance(remembered, dict):
        remembered = {}
    known = json.dumps(remembered)
    runs = history.read_all(reports, remembered)
    if json.dumps(remembered) != known:
        shell.write(path, json.dumps(remembered))
    return runs


def _fresh(folder: Path) -> bool:
    page = folder / "index.html"
    sources = [path for path in (folder / "run.json", folder / "validate.json") if path.exists()]
    return page.exists() and all(page.stat().st_mtime_ns >= path.stat().st_mtime_ns for path in sources)


def _card(run: Run, then: Run | None) -> dict[str, object]:
    found = history.changes(then, run) if then else []
    return {"run": run, "before": then, "changes": found[:_NAMED_CHANGES], "more": max(0, len(found) - _NAMED_CHANGES)}


def _phases(run: Run) -> Html:
    longest = max((phase.seconds or 0 for phase in run.phases), default=0)
    rows = [
        {
            "name": _link(phase.page, phase.label),
            "verdict": faces.badge(phase.says),
            "seconds": faces.human_seconds(phase.seconds) if phase.seconds is not None else "–",
            "share": Html(
                f'<span class="wb-track" aria-hidden="true"><span style="width:{(phase.seconds or 0) / longest:.1%}"></span></span>'
                if longest
                else ""
            ),
            "files": Html(
                # Two files keep to one line; the table scrolls on a phone.
                "&nbsp;· ".join(
                    _link(name, words)
                    for name, words in ((phase.notebook, "notebook"), (phase.result, "JSON"))
                    if name is not None
                )
            ),
        }
        for phase in run.phases
    ]
    columns = {"name": "phase", "verdict": "verdict", "seconds": "duration", "share": "share of time", "files": "files"}
    return faces.bare(faces.table(rows, columns, caption="Phases"))


def _unlike(run: Run) -> Html:
    if run.validation is None or not run.validation.unlike:
        return Html("")
    rows = [{"table": table, "verdict": faces.badge(verdict)} for table, verdict in run.validation.unlike.items()]
    return faces.bare(
        faces.table(rows, {"table": "table and hop", "verdict": "verdict"}, caption="Tables that are not the same")
    )


def _link(name: str | None, words: str) -> Html:
    if name is None:
        return faces.escape(words)
    return Html(f'<a href="{shell.quote(name)}">{faces.escape(words)}</a>')
