"""How results look in a notebook and on a page: small HTML fragments in which every value is escaped.

A fragment carries its own <style>, so that it looks right in JupyterLab (light and dark) without the site; fragments
put into one another share one, and the site replaces it by its stylesheet (looks.py).
"""

import datetime
import decimal
import html
import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbook.looks import STYLE, STYLE_MARK

_TEXT_LIMIT = 2_000
_BYTES_LIMIT = 200
_SHOWN_NAMES = {0: "NUL", 9: "TAB", 10: "LF", 13: "CR", 0x200B: "ZWSP", 0xFEFF: "BOM"}
# Controls, bidirectional marks that reorder what stands beside them, characters without width, and lone surrogates.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ud800-\udfff]"
)

_CIRCLE = '<circle cx="8" cy="8" r="6.5"/>'
_ICONS = {
    "check": _CIRCLE + '<path d="M5 8.2l2.1 2.1L11 6"/>',
    "cross": '<path d="M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z"/><path d="M5.8 5.8l4.4 4.4m0-4.4l-4.4 4.4"/>',
    "question": '<path d="M8 1.2L14.8 8 8 14.8 1.2 8z"/><path d="M6.6 6.6a1.4 1.4 0 1 1 1.9 1.3c-.4.2-.5.4-.5.9M8 11v.1"/>',
    "warning": '<path d="M8 1.8l6.8 12H1.2z"/><path d="M8 6.4v3.2M8 11.7v.1"/>',
    "info": _CIRCLE + '<path d="M8 7.4v3.4M8 5v.1"/>',
    "about": _CIRCLE + '<path d="M4.9 7.1c1-1 2-1 3.1-.1s2.1.9 3.1-.1M4.9 9.9c1-1 2-1 3.1-.1s2.1.9 3.1-.1"/>',
    "dash": _CIRCLE + '<path d="M5 8h6"/>',
    "clock": _CIRCLE + '<path d="M8 4.4V8l2.4 1.6"/>',
}
# verdict -> (tone, icon). A word that is not here is shown as it is, in a plain badge.
_VERDICTS = {
    **dict.fromkeys(
        ("same", "ok", "proven", "done", "passed", "yes", "mended", "met", "signed", "in", "registered", "gone"),
        ("good", "check"),
    ),
    **dict.fromkeys(
        (
            "different",
            "failed",
            "error",
            "blocker",
            "missing",
            "changed",
            "broken",
            "bad",
            "not met",
            "exceeded",
            "invalid",
        ),
        ("bad", "cross"),
    ),
    **dict.fromkeys(
        ("incomparable", "decide", "unknown", "unproven", "unmapped", "unregistered"), ("warn", "question")
    ),
    **dict.fromkeys(("mend", "warning", "lossy", "stopped", "extra", "still there", "held back"), ("warn", "warning")),
    **dict.fromkeys(("note", "info", "new", "own"), ("info", "info")),
    **dict.fromkeys(("tolerated", "sampled", "masked"), ("info", "about")),
    **dict.fromkeys(("skipped", "out", "no", "none", "undone", "ignored", "quiet", "not needed"), ("plain", "dash")),
    "could not be judged": ("plain", "question"),
    **dict.fromkeys(("running", "waiting", "pending", "planned", "later", "started"), ("info", "clock")),
}
_LEFT_TO_RIGHT_NUMBERS = (int, float, decimal.Decimal, numbers.Real)


class Html(str):
    """Markup that is safe to show as it stands; everything else is escaped before it is shown."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # A notebook keeps this beside the markup, which need not be in it twice.
        printer.text(f"<markup of {len(self):,} characters>")

    def __html__(self) -> str:
        """What Jinja and markupsafe ask for, so that a template keeps it as markup."""
        return str(self)


def bare(fragment: str) -> Html:
    """`fragment` without its own <style>: for putting it into another one, or on a page that has the rules."""
    return Html(fragment.replace(STYLE, ""))


def without_style(fragment: str) -> Html:
    """`fragment` without any <style> of ours, also one that an older version of the rules has left in a notebook."""
    return Html(re.sub(rf"{STYLE_MARK}[^<]*</style>", "", fragment))


def spelled(value: str, keep: str = "\n\t") -> str:
    """Plain text in which characters that are not seen where they stand are written out, as U+202E."""
    return _HIDDEN.sub(lambda found: found.group() if found.group() in keep else f"U+{ord(found.group()):04X}", value)


def escape(value: object, *, limit: int = _TEXT_LIMIT) -> Html:
    """`value` as inline HTML: text of at most `limit` characters (the true length is said), bytes as hex.

    NULL, control characters and marks that reorder or hide text are made visible. An Html value is kept.
    """
    if isinstance(value, Html):
        return bare(value)
    if value is None:
        return Html('<span class="wb-null">NULL</span>')
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value[: _BYTES_LIMIT // 2]), len(value))
    if isinstance(value, bool):
        return Html("yes" if value else "no")
    if isinstance(value, _LEFT_TO_RIGHT_NUMBERS):
        return Html(html.escape(_number(value)))
    if isinstance(value, datetime.datetime):
        return _text(value.isoformat(sep=" "), limit)
    if isinstance(value, Mapping):
        return _join([Html(f"{escape(key, limit=limit)}: {escape(item, limit=limit)}") for key, item in value.items()])
    if isinstance(value, list | tuple | set | frozenset):
        return _join(
            [
                escape(item, limit=limit)
                for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)
            ]
        )
    return _text(str(value), limit)


def attribute(value: str) -> str:
    """`value` for the inside of a quoted HTML attribute."""
    return html.escape(spelled(value, keep=""), quote=True)


def tone(verdict: object) -> str:
    """How a verdict is meant: good, bad, warn, info or plain (a word that is not known)."""
    return _VERDICTS.get(str(verdict).strip().lower(), ("plain", ""))[0]


def icon(verdict: object) -> Html:
    """The shape of a verdict, for beside its name; nothing for a word that is not known."""
    name = _VERDICTS.get(str(verdict).strip().lower(), ("plain", ""))[1]
    return Html(f'<svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">{_ICONS[name]}</svg>' if name else "")


def badge(verdict: object) -> Html:
    """A verdict or a severity as a word with a shape; the colour only repeats what they say."""
    word = _text(str(verdict), 80)
    return _whole(f'<span class="wb-badge wb-{tone(verdict)}">{icon(verdict)}{word}</span>', tag="span")


def boxes(*items: tuple[object, ...]) -> Html:
    """Value boxes side by side, each a (label, value) or a (label, value, verdict)."""
    drawn = []
    for label, value, *verdict in items:
        mark = f'<dd class="wb-mark">{bare(badge(verdict[0]))}</dd>' if verdict and verdict[0] is not None else ""
        # A long value in the type of a figure would break in the middle of its words.
        size = ' class="wb-long"' if not isinstance(value, Html) and len(str(value)) > 12 else ""
        shown = escape(value, limit=120)
        drawn.append(f'<div class="wb-box"><dt>{escape(label)}</dt><dd{size}>{shown}</dd>{mark}</div>')
    return _whole(f'<dl class="wb-boxes">{"".join(drawn)}</dl>')


def block(markup: str) -> Html:
    """Markup of one of our own modules as a fragment; every value in it has been escaped by its maker."""
    return _whole(bare(markup))


def table(
    rows: Sequence[Mapping[str, object]],
    columns: Mapping[str, str] | None = None,
    *,
    limit: int = 200,
    caption: str = "",
) -> Html:
    """A table of `rows`, the first `limit` of them; `columns` maps keys to headings and gives their order.

    The first column heads its row. Html values are kept, numbers stand at the right, everything else is escaped.
    """
    shown = rows[:limit]
    if columns is None:
        columns = {key: str(key).replace("_", " ") for row in shown for key in row}
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    if not rows or not columns:
        return _whole(
            (f"<p><strong>{escape(caption)}</strong></p>" if caption else "") + '<p class="wb-more">No rows.</p>'
        )
    right = {key for key in columns if _all_numbers([row.get(key) for row in shown])}
    head = "".join(
        f'<th scope="col"{_class("wb-number" if key in right else "")}>{escape(heading)}</th>'
        for key, heading in columns.items()
    )
    body = []
    first = next(iter(columns))
    for row in shown:
        cells = []
        for key in columns:
            tag, scope = ("th", ' scope="row"') if key == first else ("td", "")
            value = row.get(key, Html(""))
            kind = "wb-number" if key in right or _is_number(value) else _width(value)
            cells.append(f"<{tag}{scope}{_class(kind)}>{escape(value, limit=500)}</{tag}>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    heads = f"<thead><tr>{head}</tr></thead>" if any(columns.values()) else ""
    more = f'<p class="wb-more">The first {limit:,} of {len(rows):,} rows.</p>' if len(rows) > limit else ""
    return _whole(
        f'<div class="wb-scroll" role="group" aria-label="{attribute(caption or "Table")}" tabindex="0"><table class="wb-table">{title}'
        f"{heads}<tbody>{''.join(body)}</tbody></table></div>{more}"
    )


def bar(fraction: float | None) -> Html:
    """A small bar for a share between 0 and 1, with its percentage in words."""
    if fraction is None or not math.isfinite(fraction):
        return Html('<span class="wb-muted">no value</span>')
    width = min(1.0, max(0.0, float(fraction)))
    return _whole(
        f'<span class="wb-bar"><span class="wb-track" aria-hidden="true"><span style="width:{width:.1%}"></span></span>'
        f"{percent(fraction)}</span>",
        tag="span",
    )


def diverging(fraction: float, meaning: str = "bad") -> Html:
    """A small bar to the left or to the right of its middle, for how far something is off, from -1 to 1."""
    width = max(0.02, min(1.0, abs(fraction))) / 2
    start = 0.5 if fraction >= 0 else 0.5 - width
    return _whole(
        f'<span class="wb-track wb-off wb-off-{meaning}" aria-hidden="true"><span style="margin-left:{start:.1%};width:{width:.1%}"></span></span>',
        tag="span",
    )


def details(summary: object, body: object, *, opened: bool = False, anchor: str = "") -> Html:
    """`body` folded under `summary`; `anchor` is its id on the page, which a link unfolds."""
    state = (f' id="{attribute(anchor)}"' if anchor else "") + (" open" if opened else "")
    return _whole(f'<details class="wb-details"{state}><summary>{escape(summary)}</summary>{escape(body)}</details>')


def code(sql: str, *, limit: int = 20_000) -> Html:
    """Program text as it is, in a box that scrolls: line breaks and tabs stay, other control characters are shown."""
    return _whole(f'<pre class="wb-code" tabindex="0"><code>{_text(sql, limit, keep=chr(9) + chr(10))}</code></pre>')


def text(value: object, *, muted: bool = False) -> Html:
    """A paragraph."""
    return _whole(f"<p{' class=' + chr(34) + 'wb-muted' + chr(34) if muted else ''}>{escape(value)}</p>")


def links(items: Sequence[tuple[str, str]]) -> Html:
    """Words that lead to anchors of the same page."""
    return Html(" · ".join(f'<a href="#{attribute(anchor)}">{escape(words, limit=120)}</a>' for anchor, words in items))


def fitting(fragments: Iterable[Html], most: int) -> list[Html]:
    """The first of the fragments that fit into `most` characters together, one at least; the others are not even made."""
    kept: list[Html] = []
    size = 0
    for fragment in fragments:
        short = bare(fragment)
        size += len(short)
        if kept and size > most:
            break
        kept.append(short)
    return kept


def stack(*fragments: object) -> Html:
    """Fragments one under the other; None and empty ones are left out."""
    return _whole(
        "".join(f"<div>{escape(item)}</div>" for item in fragments if item is not None and item != ""), "wb wb-stack"
    )


def percent(fraction: float) -> str:
    """A share in per cent that never rounds up to all or down to nothing."""
    if 0.9995 <= fraction < 1:
        return "over 99.9%"
    if 0 < fraction < 0.001:
        return "under 0.1%"
    return f"{fraction * 100:.1f}".removesuffix(".0") + "%"


def human_bytes(count: float) -> str:
    """A number of bytes in kB, MB, GB or TB (powers of 1,000)."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB", "PB"))


def human_count(count: float) -> str:
    """A number in full below 100,000, then in thousands (k), millions (M) or billions (G)."""
    return f"{count:,.0f}" if abs(count) < 100_000 else _scaled(count, ("", "k", "M", "G", "T", "P"))


def human_seconds(seconds: float) -> str:
    """A duration: ms below a second, then s, min and s, h and min, d and h."""
    if seconds < 0:
        return "-" + human_seconds(-seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    for unit, part, part_size, parts, most in (("min", "s", 1, 60, 60), ("h", "min", 60, 60, 24)):
        whole, rest = divmod(round(seconds / part_size), parts)
        if whole < most:
            return f"{whole} {unit} {rest} {part}" if rest else f"{whole} {unit}"
    days, hours = divmod(round(seconds / 3_600), 24)
    return f"{days:,} d {hours} h" if hours else f"{days:,} d"


def plot_text(value: object) -> str:
    """`value` for a title, label or hover text of a plot, where plotly would read tags: escaped, at most 80 characters."""
    shown = str(value)
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    # Quotes stay as they are: plotly writes labels as text, but for its own tags.
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plot_theme() -> None:
    """Register the plotly template "workbook" and make it the default: legible on light and on dark ground."""
    import plotly.graph_objects as go
    import plotly.io as pio

    # A grey that reads on white and on black; the site sets the exact ink of its theme over it.
    ink, line = "#727d89", "rgba(128,138,150,0.28)"
    axis = {
        "gridcolor": line,
        "linecolor": line,
        "zerolinecolor": line,
        "automargin": True,
        "title": {"standoff": 12, "font": {"size": 13}},
        "ticks": "",
    }
    pio.templates["workbook"] = go.layout.Template(
        layout={
            "font": {
                "family": "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif",
                "size": 13,
                "color": ink,
            },
            "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 16}},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            # Okabe and Ito's palette for every kind of colour vision, its pale tones darkened until they show on white.
            "colorway": ["#0072b2", "#d55e00", "#009e73", "#c98500", "#c5699b", "#3a9bd6", "#8a8d91"],
            "colorscale": {"sequential": "Cividis", "sequentialminus": "Cividis", "diverging": "RdBu"},
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 16, "r": 16, "t": 56, "b": 16},
            "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
            "hoverlabel": {"font": {"size": 13}},
            "separators": ".,",
            "bargap": 0.25,
        }
    )
    pio.templates.default = "workbook"


def _whole(markup: str, classes: str = "wb", tag: str = "div") -> Html:
    return Html(f'{STYLE}<{tag} class="{classes}">{markup}</{tag}>')


def _text(value: str, limit: int, keep: str = "") -> Html:
    cut = value[:limit]
    # Escaping leaves control characters as they are, so they can be made visible afterwards.
    shown = _HIDDEN.sub(
        lambda found: found.group() if found.group() in keep else _visible(found.group()), html.escape(cut)
    )
    if len(value) > limit:
        shown += f'<span class="wb-muted">… ({len(value):,} characters)</span>'
    return Html(shown)


def _visible(character: str) -> str:
    point = ord(character)
    return f'<span class="wb-ctl">{_SHOWN_NAMES.get(point, f"U+{point:04X}")}</span>'


def _bytes(head: bytes, length: int) -> Html:
    more = f'<span class="wb-muted">… ({length:,} bytes)</span>' if length > len(head) else ""
    return Html(f'<code class="wb-bytes">0x{head.hex()}</code>{more}')


def _join(parts: list[Html]) -> Html:
    rest = f' <span class="wb-muted">and {len(parts) - 50:,} more</span>' if len(parts) > 50 else ""
    return Html(", ".join(parts[:50]) + rest)


def _is_number(value: object) -> bool:
    return isinstance(value, _LEFT_TO_RIGHT_NUMBERS) and not isinstance(value, bool)


def _all_numbers(values: list[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(_is_number(value) for value in known)


def _width(value: object) -> str:
    """How a cell may wrap: short words keep to one line, and long ones keep room, so that the table scrolls instead."""
    if isinstance(value, Html):
        return ""
    length = 2 * len(value) if isinstance(value, bytes | bytearray | memoryview) else len(str(value)[:100])
    return "wb-short" if length <= 28 else "wb-long" if length > 48 else ""


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _number(value: object) -> str:
    if isinstance(value, int | numbers.Integral):
        return f"{int(value):,}"
    if isinstance(value, decimal.Decimal):
        return f"{value:,}" if value.is_finite() and -20 < value.adjusted() < 70 else str(value)
    real = float(value)  # type: ignore[arg-type]
    if not math.isfinite(real):
        return str(real)
    if real.is_integer() and abs(real) < 1e15:
        return f"{real:,.0f}"
    return f"{real:,.2f}" if 1_000 <= abs(real) < 1e15 else f"{real:.6g}"


def _scaled(count: float, units: tuple[str, ...]) -> str:
    size, place = float(count), 0
    while abs(size) >= 999.5 and place < len(units) - 1:
        size, place = size / 1_000, place + 1
    digits = 0 if place == 0 or abs(size) >= 99.95 else 1
    return f"{size:,.{digits}f} {units[place]}".strip()
