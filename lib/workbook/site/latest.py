"""The latest verdict of each environment for others: as JSON to poll, and as a badge to show."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbook import faces
from workbook.faces import human_seconds
from workbook.site import shell
from workbook.site.runs import Run

FOLDER = "latest"
# White on these has a contrast of at least 4.5.
_COLOURS = {"good": "#1a7f37", "bad": "#c4232b", "warn": "#8a6100", "info": "#0a5aa8", "plain": "#5b6570"}
_LABEL = "#3a434d"
_WIDE = 6.9


def validated(run: Run) -> bool:
    """Whether a run has come to a verdict of its own."""
    return run.validation is not None and any(phase.name == "validate" for phase in run.phases)


def describe(runs: Sequence[Run]) -> dict[str, Any]:
    """What is the latest of an environment: its last run, and the last that came to a verdict. `runs` are oldest first."""
    last = runs[-1]
    judged = next((run for run in reversed(runs) if validated(run)), None)
    return {
        "environment": last.environment,
        "run": _short(last),
        "verdict": None if judged is None or judged.validation is None else judged.validation.verdict,
        "validation": None
        if judged is None or judged.validation is None
        else {
            **_short(judged),
            "tables": judged.validation.tables,
            "not_same": judged.validation.unlike_count,
            "rows": {hop: list(rows) for hop, rows in judged.validation.rows.items()},
            "similarity": dict(judged.validation.similarity),
            "signed": judged.signed.word or None,
            "signed_by": judged.signed.by or None,
        },
    }


def badge(latest: dict[str, Any]) -> str:
    """A badge with the verdict and its day, as SVG."""
    verdict = latest["verdict"] or "not validated"
    day = str((latest["validation"] or {}).get("started") or "")[:10]
    message = f"{verdict} · {day}" if day else verdict
    label = latest["environment"]
    left, right = (round(len(words) * _WIDE + 20) for words in (label, message))
    whole = faces.attribute(f"{label}: {message}")

    def text(words: str, start: int, width: int) -> str:
        inner = f'x="{start + width / 2}" y="14" textLength="{width - 18}" lengthAdjust="spacingAndGlyphs"'
        return f"<text {inner}>{faces.attribute(words)}</text>"

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{whole}">'
        f'<title>{whole}</title><clipPath id="r"><rect width="{left + right}" height="20" rx="4"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="{_LABEL}"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[faces.tone(latest["verdict"])]}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{text(label, 0, left)}{text(message, left, right)}</g></svg>\n"
    )


def publish(reports: Path, by_environment: dict[str, list[Run]]) -> dict[str, dict[str, Any]]:
    """Write `latest/ENVIRONMENT.json` and `.svg` for each; what they say, for those whose name can be one of a file."""
    found = {}
    for environment, runs in by_environment.items():
        if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", environment):
            found[environment] = describe(runs)
            text = json.dumps(found[environment], indent=1, ensure_ascii=False)
            shell.write(reports / FOLDER / f"{environment}.json", text)
            shell.write(reports / FOLDER / f"{environment}.svg", badge(found[environment]))
    for path in (reports / FOLDER).glob("*.*"):
        if path.suffix in (".json", ".svg") and path.stem not in found:
            path.unlink()
    return found


def _short(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "started": run.started.isoformat().replace("+00:00", "Z") if run.started else None,
        "seconds": run.seconds,
        "took": human_seconds(run.seconds) if run.seconds is not None else None,
        "late_seconds": run.late_seconds,
        "page": f"../{shell.quote(run.folder)}/index.html",
    }
