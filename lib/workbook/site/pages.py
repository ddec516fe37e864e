"""One executed notebook as one HTML page."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from workbook.errors import TerminalError
from workbook.faces import Html
from workbook.site import cells, shell
from workbook.site.runs import Phase, Run, read

# No value can hold these marks: what is shown has its < escaped.
_PHASES = ("<!-- phases -->", "<!-- end of phases -->")
_SIGNATURES = ("<!-- signatures -->", "<!-- end of signatures -->")


def render_page(
    notebook: Path,
    html: Path,
    *,
    title: str,
    run: Mapping[str, Any] | None,
    show_code: bool = False,
    single_file: bool = False,
    assets: Path | None = None,
) -> None:
    """Write the executed `notebook` as the page `html`.

    `run` is what run.json holds or will hold, as far as it is known. plotly.js goes once to `assets`, by default beside
    the folder of the run; with `single_file` the page holds it itself (5 MB). Raises TerminalError.
    """
    try:
        content = nbformat.read(notebook, as_version=4)
    except Exception as error:  # nbformat raises whatever its parser and its validator raise
        raise TerminalError(
            f"The notebook {notebook.name} cannot be read: {error}",
            "Its page cannot be made, so its results are seen only in its JSON.",
            "Open the notebook in JupyterLab; if it is cut off, run the phase again.",
        ) from error
    body = cells.render(content, show_code=show_code)
    folder = assets or html.parent.parent / "assets"
    facts = read(run, html.parent) if run else None
    phase = _phase_of(facts, html.name, notebook.name)
    failure = body.failure or _silent_failure(content, phase)
    if body.plots and not single_file:
        shell.publish_plotly(folder)
    shell.write(
        html,
        shell.page(
            "page.html.j2",
            assets=_way(html.parent, folder),
            with_plots=body.plots > 0,
            single_file=single_file,
            title=title,
            body=body,
            failure=failure,
            facts=facts,
            phase=phase,
            phases=_phases(facts, phase.name if phase else ""),
            signatures=_signatures(facts, phase.name if phase else ""),
            seconds=phase.seconds if phase else content.metadata.get("papermill", {}).get("duration"),
            notebook=notebook.name if notebook.parent == html.parent else None,
            show_code=show_code,
        ),
    )


def refresh_phases(run: Run, folder: Path) -> None:
    """Bring the list of phases, and signatures, up to date in the run's pages: both come after the page was made."""
    for phase in run.phases:
        if phase.page is None:
            continue
        page = folder / phase.page
        old = new = page.read_text(encoding="utf-8", errors="replace")
        for marks, part in ((_PHASES, _phases(run, phase.name)), (_SIGNATURES, _signatures(run, phase.name))):
            before, mark, rest = new.partition(marks[0])
            _, end, after = rest.partition(marks[1])
            new = f"{before}{part}{after}" if mark and end else new
        if new != old:
            shell.write(page, new)


def _phases(facts: Run | None, current: str) -> Html:
    made = shell.environment().get_template("phases.html.j2").render(facts=facts, current=current)
    return Html(f"{_PHASES[0]}{made}{_PHASES[1]}")


def _signatures(facts: Run | None, current: str) -> Html:
    made = facts.signed.section() if facts and current == "validate" else ""
    return Html(f"{_SIGNATURES[0]}{made}{_SIGNATURES[1]}")


def _phase_of(facts: Run | None, page: str, notebook: str) -> Phase | None:
    for phase in facts.phases if facts else ():
        if phase.page == page or phase.notebook == notebook:
            return phase
    return None


def _silent_failure(content: nbformat.NotebookNode, phase: Phase | None) -> cells.Failure | None:
    """A kernel that died and a cell that ran out of time leave a notebook that looks finished: only the status tells."""
    said = content.metadata.get("papermill", {}).get("exception")
    if not said and (phase is None or phase.status not in ("failed", "error")):
        return None
    if phase and phase.error:
        return cells.Failure(*phase.error, bad_verdict=phase.status == "failed")
    if phase and phase.status == "failed" and not said:
        return cells.Failure(
            f"The verdict of {phase.label} is: {phase.says}.",
            "What the phase was to reach is not reached, and what builds on it would build on that.",
            "Read below what was found, mend it, and run the phase again.",
            bad_verdict=True,
        )
    return cells.Failure(
        "The notebook ended without finishing, and none of its cells says why.",
        "A kernel that was killed and a cell that ran out of time leave no message; what is below may be incomplete.",
        "Look at the end of run.log in the run's folder and at the machine's memory, then run the phase again.",
    )


def _way(start: Path, to: Path) -> str:
    return Path(os.path.relpath(to, start)).as_posix()
