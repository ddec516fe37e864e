"""What every page shares: stylesheet, scripts and frame, and being written without halves."""

import os
import secrets
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import jinja2

from workbook import faces, looks
from workbook.errors import TerminalError
from workbook.faces import Html


@dataclass(frozen=True)
class Asset:
    """A file that pages share; its name holds its version, so that old pages keep the one they were made for."""

    name: str
    content: str


@cache
def stylesheet() -> str:
    """The site's rules with the palette and the rules of the fragments."""
    palette = (
        f":root{{color-scheme:light;{looks.LIGHT}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{looks.DARK}}}}}"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{looks.DARK}}}}}"
    )
    return palette + looks.RULES + "\n" + _static("site.css")


@cache
def script() -> str:
    """The site's script: theme, folding of code, plots, filters."""
    return _static("site.js")


@cache
def plotly() -> Asset:
    """plotly.js as the installed plotly package carries it: too large (5 MB) for a copy in each page."""
    from plotly.offline import get_plotlyjs, get_plotlyjs_version

    return Asset(f"plotly-{get_plotlyjs_version()}.min.js", get_plotlyjs())


@cache
def environment() -> jinja2.Environment:
    """The templates of the site, in which everything is escaped that is not Html."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("workbook.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # faces.escape makes control characters visible too; a template's own text is not touched by it.
        finalize=lambda value: value if isinstance(value, Html) or hasattr(value, "__html__") else _shown(value),
    )
    made.filters["seconds"] = lambda value: faces.human_seconds(value) if value is not None else "–"
    made.filters["attribute"] = lambda value: Html(faces.attribute(str(value)))
    made.globals.update(badge=lambda word: faces.bare(faces.badge(word)), tone=faces.tone, icon=faces.icon)
    return made


def page(template: str, *, assets: str, with_plots: bool = False, single_file: bool = False, **values: object) -> str:
    """A whole page from `template`; `assets` is the way from the page to the folder of shared files.

    Stylesheet and script are in each page (30 kB), so that a page without plots can be sent or moved by itself.
    """
    return (
        environment()
        .get_template(template)
        .render(
            # Scripts run only with this page's number, so none that a value smuggles in does.
            nonce=secrets.token_urlsafe(16),
            stylesheet=stylesheet(),
            script=script(),
            plotly=plotly() if with_plots else None,
            assets=quote(assets),
            single_file=single_file,
            inline=Html,
            **values,
        )
    )


def publish_plotly(folder: Path) -> None:
    """Put plotly.js into `folder` unless it is there, whole."""
    path = folder / plotly().name
    if not path.exists() or path.stat().st_size != len(plotly().content.encode()):
        write(path, plotly().content)


def write(path: Path, content: str) -> None:
    """Write `content` in one step: a reader sees the old file or the new one. Raises TerminalError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(content, encoding="utf-8", errors="backslashreplace")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise TerminalError(
            f"The page {path.name} could not be written in {path.parent}: {error.strerror or error}.",
            "Without its page the run is hard to read; its results in JSON are not touched by this.",
            "Make room or grant access to that folder, then rebuild the index with: workbook site",
        ) from error


def _shown(value: object) -> object:
    return faces.escape(value, limit=500) if isinstance(value, str) or value is None else value


def _static(name: str) -> str:
    return files("workbook.site").joinpath("static", name).read_text(encoding="utf-8")
