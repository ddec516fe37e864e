"""The cells of an executed notebook as HTML: prose, folded code, results; and what stopped it."""

import html
import re
from dataclasses import dataclass, field
from typing import Any

import jinja2
import mistune
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.ansi import ansi2html, strip_ansi
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode

from workbook import faces
from workbook.faces import Html
from workbook.site import plots

_WHY, _TODO = "Why it matters:", "What to do:"
# papermill adds cells of its own at the top and before the failing cell; the page has a banner that says more.
_NOT_SHOWN = {"papermill-error-cell-tag"}
_FOLDED_NAMES = {"parameters": "Default parameters", "injected-parameters": "Parameters of this run"}
# Characters of printed text or log that a page shows of one cell.
_PRINTED = 200_000
_TABLES = ["table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "colgroup", "col"]
_PLAIN_TAGS = [
    "div",
    "span",
    "p",
    "br",
    "hr",
    "pre",
    "h3",
    "h4",
    "h5",
    "h6",
    "sub",
    "sup",
    "small",
    "details",
    "summary",
]


@dataclass(frozen=True)
class Heading:
    """A heading for the contents: `level` 2 or 3, `anchor` its id, `words` its text."""

    level: int
    anchor: str
    words: str


@dataclass(frozen=True)
class Failure:
    """What stopped the notebook, in three parts; `bad_verdict` where it was carried out and the result is bad."""

    found: str
    why: str
    todo: str
    bad_verdict: bool = False
    anchor: str = ""


@dataclass
class Body:
    """The cells as HTML, with what the page around them needs to know."""

    html: Html = field(default_factory=Html)
    title: Html = field(default_factory=Html)
    headings: list[Heading] = field(default_factory=list)
    failure: Failure | None = None
    plots: int = 0
    code_cells: int = 0


def render(notebook: NotebookNode, *, show_code: bool = False) -> Body:
    """The cells of `notebook` in order. Its first heading of the first level becomes the title and is left out."""
    body = Body()
    maker = _Maker(body)
    exporter = TemplateExporter(
        extra_loaders=[jinja2.PackageLoader("workbook.site")],
        template_file="cells.html.j2",
        preprocessors=[CoalesceStreamsPreprocessor],
    )
    exporter.register_filter("prose", maker.prose)
    exporter.register_filter("code", maker.code)
    exporter.register_filter("results", maker.results)
    exporter.register_filter("code_name", maker.code_name)
    notebook.cells = [cell for cell in notebook.cells if not _NOT_SHOWN & set(cell.metadata.get("tags", []))]
    made, _ = exporter.from_notebook_node(notebook, {"show_code": show_code})
    body.html = Html(made)
    return body


class _Maker:
    """Renders one cell after the other, and keeps what the page needs on the way."""

    def __init__(self, body: Body):
        self.body = body
        self.section = ""
        self.anchors: set[str] = set()
        self.highlight = Highlight2HTML(pygments_lexer="python3")
        self.markdown = mistune.create_markdown(
            renderer=_Prose(self), plugins=["table", "strikethrough", "task_lists", "url"]
        )
        self.sanitizer = SanitizeHTML()
        self.sanitizer.tags = [*self.sanitizer.tags, *_TABLES, *_PLAIN_TAGS]
        self.sanitizer.attributes = {
            "*": ["class", "style", "title", "scope", "colspan", "rowspan", "role", "aria-label"],
            "a": ["href"],
        }
        self.sanitizer.strip = True

    def prose(self, source: str) -> str:
        return str(self.markdown(faces.spelled(source)))

    def code(self, source: str) -> str:
        self.body.code_cells += 1
        # A box that scrolls must be reachable by keyboard.
        return self.highlight(faces.spelled(source)).replace("<pre>", '<pre tabindex="0">', 1)

    def code_name(self, cell: NotebookNode) -> str:
        tags = cell.metadata.get("tags", [])
        return next((name for tag, name in _FOLDED_NAMES.items() if tag in tags), "Code")

    def results(self, outputs: list[NotebookNode]) -> str:
        """The outputs of a cell; everything it wrote to stderr comes last, folded."""
        shown, log = [], []
        for output in outputs:
            if output.output_type == "stream":
                if output.name == "stderr":
                    log.append(output.text)
                else:
                    shown.append(f'<pre class="printed" tabindex="0">{_terminal(output.text)}</pre>')
            elif output.output_type == "error":
                shown.append(self._error(output))
            else:
                shown.append(self._data(output.data))
        parts = [f'<div class="result">{part}</div>' for part in shown if part]
        if log:
            text = "".join(log)
            lines = text.strip().count("\n") + 1
            parts.append(
                f'<details class="fold log"><summary>Log, {lines:,} {"line" if lines == 1 else "lines"}</summary>'
                f'<pre class="printed" tabindex="0">{_terminal(text)}</pre></details>'
            )
        return "\n".join(parts)

    def _data(self, data: dict[str, Any]) -> str:
        if plots.MIMETYPE in data:
            self.body.plots += 1
            return str(plots.figure(data[plots.MIMETYPE], self.body.plots, self.section))
        if "text/html" in data:
            markup = _joined(data["text/html"])
            # Our own fragments have escaped their values already; what other libraries make is stripped to plain tags.
            if markup.startswith(faces.STYLE_MARK):
                return faces.without_style(markup)
            # Stripping a tag leaves its content, which for these two would then stand there as text.
            markup = re.sub(r"(?is)<(style|script)\b.*?</\1\s*>", "", markup)
            return f'<div class="foreign" tabindex="0">{self.sanitizer.sanitize_html_tags(markup)}</div>'
        for kind in ("image/png", "image/jpeg"):
            if kind in data:
                picture = re.sub(r"[^A-Za-z0-9+/=]", "", _joined(data[kind]))
                about = faces.attribute(_joined(data.get("text/plain", "Picture")))
                return f'<img src="data:{kind};base64,{picture}" alt="{about}">'
        if "text/markdown" in data:
            return f'<div class="prose">{self.prose(_joined(data["text/markdown"]))}</div>'
        if "text/plain" in data:
            return f'<pre class="printed" tabindex="0">{_terminal(_joined(data["text/plain"]))}</pre>'
        return ""

    def _error(self, output: NotebookNode) -> str:
        words = strip_ansi(output.get("evalue", ""))
        anchor = ""
        if self.body.failure is None:
            anchor = "stopped-here"
            self.body.failure = _failure(output.get("ename", "Error"), words, anchor)
        trace = _terminal("\n".join(output.get("traceback", [])))
        return (
            f'<div class="stop"{f" id={anchor}" if anchor else ""}><p><strong>It stopped here.</strong> '
            f"{faces.escape(words.splitlines()[0] if words else output.get('ename', 'Error'))}</p>"
            f'<details class="fold"><summary>All that it said</summary><pre class="printed" tabindex="0">{trace}</pre></details></div>'
        )


class _Prose(mistune.HTMLRenderer):
    """Markdown in which raw HTML is shown as text, pictures come from nowhere else, and headings have anchors."""

    def __init__(self, maker: _Maker):
        super().__init__(escape=True)
        self.maker = maker

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        if level == 1 and not self.maker.body.title and not self.maker.body.headings:
            self.maker.body.title = Html(text)
            return ""
        level = max(level, 2)
        words = html.unescape(re.sub(r"<[^>]*>", "", text)).strip()
        anchor = self._anchor(words)
        if level <= 3:
            self.maker.section = words
            self.maker.body.headings.append(Heading(level, anchor, words))
        return (
            f'<h{level} id="{anchor}">{text} <a class="anchor" href="#{anchor}" '
            f'aria-label="Link to {faces.attribute(words)}">#</a></h{level}>\n'
        )

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if re.match(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$", url):
            return f'<img src="{url}" alt="{faces.attribute(html.unescape(text))}">'
        return f"<em>{text}</em>"

    def table(self, text: str) -> str:
        return f'<div class="prose-table" tabindex="0"><table>{text}</table></div>\n'

    def _anchor(self, words: str) -> str:
        stem = "at-" + (re.sub(r"[^\w]+", "-", words.lower()).strip("-")[:60] or "section")
        anchor, number = stem, 2
        while anchor in self.maker.anchors:
            anchor, number = f"{stem}-{number}", number + 1
        self.maker.anchors.add(anchor)
        return anchor


def _failure(kind: str, words: str, anchor: str) -> Failure:
    """The three parts of one of our errors, as its text has them; for any other error, what can be said about it."""
    if _WHY in words and _TODO in words:
        found, rest = words.split(_WHY, 1)
        why, todo = rest.split(_TODO, 1)
        return Failure(found.strip(), why.strip(), todo.strip(), kind == "VerdictFailed", anchor)
    return Failure(
        f"{kind}: {words.strip()}" if words.strip() else kind,
        "The notebook ended at this cell, and what follows it was not run.",
        "Open the traceback at that cell; once its cause is mended, run the phase again: it goes on from what is done.",
        kind == "VerdictFailed",
        anchor,
    )


def _joined(text: str | list[str]) -> str:
    return "".join(text) if isinstance(text, list) else str(text)


def _terminal(text: str) -> str:
    """What a program printed, with its colours; of very much of it the end."""
    cut = len(text) - _PRINTED
    # The escape character stays, for it begins the colours of a terminal.
    kept = faces.spelled(text[max(0, cut) :], keep="\n\t\x1b")
    shown = str(ansi2html(kept)).replace("\x1b", "U+001B")
    return (
        f'<span class="wb-muted">… {cut:,} characters before this are in the notebook.</span>\n{shown}'
        if cut > 0
        else shown
    )
