"""The index of runs, and one page for each run with its phases and what changed since the run before."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from workbook import faces
from workbook.faces import Html
from workbook.site import latest, nights, pages, plots, shell, signatures, trends
from workbook.site import runs as history
from workbook.site.memory import Memory, read_all, read_run, remembered, run_before
from workbook.site.runs import Run

_NAMED_CHANGES = 6
# So many runs have cards on the index; older ones are rows of a month's page.
_CARDS = 60
_ARCHIVE = "archive"
_CALENDARS = 8


def build_index(reports: Path) -> Path:
    """Write `reports/index.html` from all runs there, and the page of each run that has none yet or an older one.

    Beside it: the pages of trends and of months gone by, and the latest verdict of each environment as JSON and badge.
    Raises TerminalError where it cannot be written.
    """
    memory = remembered(reports)
    runs = read_all(reports, memory)
    before = history.before(runs)
    for run in runs:
        # What was changed since it was signed shows on the page.
        shown = memory.shown(run.folder, repr(run.signed.changed)) or not run.signed.word
        if not run.broken and not (shown and _fresh(reports / run.folder)):
            _write_run(reports, run, before.get(run.folder))
    by_environment: dict[str, list[Run]] = {}
    for run in runs:
        if not run.broken:
            by_environment.setdefault(run.environment, []).append(run)
    # The one that ran last comes first.
    environments = sorted(by_environment, key=lambda name: by_environment[name][-1].order, reverse=True)
    verdicts = latest.publish(reports, by_environment)
    trends_page = _write_trends(reports, {name: by_environment[name] for name in environments})
    newest = runs[::-1]
    shown_runs, older = newest[:_CARDS], newest[_CARDS:]
    months = _write_archive(reports, older, memory)
    memory.save({*(run.folder for run in runs), *(str(month["page"]) for month in months)})
    shell.write(
        reports / "index.html",
        shell.page(
            "index.html.j2",
            assets="assets",
            title="Runs",
            failures=[_card(run, before.get(run.folder)) for run in shown_runs if not run.good],
            good=[_card(run, before.get(run.folder)) for run in shown_runs if run.good],
            months=months,
            total=len(runs),
            latest={name: by_environment[name][-1] for name in sorted(environments)},
            verdicts=verdicts,
            calendars={
                name: made for name in environments[:_CALENDARS] if (made := nights.calendar(by_environment[name]))
            },
            trends=trends_page,
            environments=sorted({run.environment for run in shown_runs if run.environment}),
            statuses=sorted({run.status for run in shown_runs}),
        ),
    )
    return reports / "index.html"


def render_run(folder: Path) -> Path:
    """Write the page of one run, `folder/index.html`, with what changed since the run before. Raises TerminalError.

    Of the other runs only that one is read, however many there are.
    """
    run = read_run(folder)
    return _write_run(folder.parent, run, None if run.broken else run_before(run, folder.parent))


def _write_trends(reports: Path, by_environment: dict[str, list[Run]]) -> bool:
    """Write the page of trends where an environment has more than one run; whether there is one."""
    sections = []
    number = 0
    for environment, runs in by_environment.items():
        drawn = []
        for figure in trends.figures(runs) if len(runs) > 1 else []:
            number += 1
            drawn.append(plots.figure(json.loads(figure.to_json()), number, environment))
        if drawn:
            sections.append({"environment": environment, "runs": len(runs), "figures": drawn})
    path = reports / "trends.html"
    if not sections:
        if path.exists():
            path.unlink()
        return False
    shell.publish_plotly(reports / "assets")
    shell.write(path, shell.page("trends.html.j2", assets="assets", with_plots=True, title="Trends", sections=sections))
    return True


def _write_archive(reports: Path, older: Sequence[Run], memory: Memory) -> list[dict[str, object]]:
    """Write a page for each month of the older runs, given newest first, where it changed; what the index says of each."""
    months: dict[str, list[Run]] = {}
    for run in older:
        months.setdefault(f"{run.order[0][:4]}-{run.order[0][4:6]}", []).append(run)
    found: list[dict[str, object]] = []
    for month, runs in months.items():
        name = f"{month if re.fullmatch('[0-9]{4}-[0-9]{2}', month) else 'undated'}.html"
        path = reports / _ARCHIVE / name
        state = json.dumps([(run.folder, run.status, run.signed.word) for run in runs])
        if not (memory.shown(f"{_ARCHIVE}/{name}", hashlib.sha256(state.encode()).hexdigest()) and path.exists()):
            text = shell.page("archive.html.j2", assets="../assets", title=f"Runs of {month}", month=month, runs=runs)
            shell.write(path, text)
        bad = sum(not run.good for run in runs)
        found.append({"month": month, "page": f"{_ARCHIVE}/{name}", "runs": len(runs), "bad": bad})
    kept = {Path(str(month["page"])).name for month in found}
    for path in (reports / _ARCHIVE).glob("*.html"):
        if path.name not in kept:
            path.unlink()
    return found


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
