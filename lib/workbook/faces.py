"""How results look in a notebook and on a page: small HTML fragments in which every value is escaped.

A fragment carries its own <style>, so that it looks right in JupyterLab (light and dark) without the site; fragments
put into one another share one, and the site replaces it by its stylesheet (`RULES`, `LIGHT`, `DARK`).
"""

import datetime
import decimal
import html
import math
import numbers
import re
from collections.abc import Mapping, Sequence

# One palette for fragments and site. Every pair of ink and ground below has a contrast of at least 4.5 to 1.
LIGHT = (
    "--wb-page:#ffffff;--wb-surface:#f5f7f9;--wb-ink:#1a2028;--wb-muted:#57616d;--wb-line:#d8dee5;--wb-accent:#0a5aa8;"
    "--wb-good:#0b6447;--wb-good-ground:#e2f4eb;--wb-bad:#a3211a;--wb-bad-ground:#fdebe9;"
    "--wb-warn:#724c00;--wb-warn-ground:#fcf1d3;--wb-info:#0b4f8f;--wb-info-ground:#e5f0fb;"
    "--wb-plain:#454e59;--wb-plain-ground:#e9edf1"
)
DARK = (
    "--wb-page:#13171c;--wb-surface:#1b2027;--wb-ink:#e5e9ee;--wb-muted:#9da8b4;--wb-line:#353d47;--wb-accent:#74b6ff;"
    "--wb-good:#74d6ac;--wb-good-ground:#12352a;--wb-bad:#ffa39a;--wb-bad-ground:#45201d;"
    "--wb-warn:#f1c869;--wb-warn-ground:#3a2d0d;--wb-info:#93c7ff;--wb-info-ground:#15304c;"
    "--wb-plain:#c3cbd3;--wb-plain-ground:#2a3139"
)
RULES = """
.wb{color:var(--wb-ink);font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-size:14px;line-height:1.5;text-align:left}
.wb .wb{font-size:inherit}.wb dd:not(.wb-mark) .wb-badge{font-size:.56em}
.wb-stack>*{margin:0 0 1rem}.wb-stack>*:last-child{margin-bottom:0}
.wb .wb-muted,.wb .wb-null,.wb .wb-more{color:var(--wb-muted)}.wb .wb-null{font-style:italic}
.wb .wb-ctl{color:var(--wb-muted);border:1px solid var(--wb-line);border-radius:3px;padding:0 2px;font-size:.85em;
font-style:normal;unicode-bidi:isolate}
.wb .wb-badge{display:inline-flex;align-items:center;gap:.35em;padding:.1em .6em .1em .45em;border-radius:999px;
font-size:.86em;font-weight:600;line-height:1.6;white-space:nowrap;color:var(--wb-plain);
background:var(--wb-plain-ground);border:1px solid transparent}
.wb .wb-badge svg{width:1em;height:1em;flex:none;fill:none;stroke:currentColor;stroke-width:1.8;
stroke-linecap:round;stroke-linejoin:round}
.wb .wb-good{color:var(--wb-good);background:var(--wb-good-ground)}
.wb .wb-bad{color:var(--wb-bad);background:var(--wb-bad-ground)}
.wb .wb-warn{color:var(--wb-warn);background:var(--wb-warn-ground)}
.wb .wb-info{color:var(--wb-info);background:var(--wb-info-ground)}
.wb .wb-boxes{display:flex;flex-wrap:wrap;gap:.75rem;padding:0}
.wb .wb-box{flex:1 1 9.5rem;max-width:19rem;display:flex;flex-direction:column;gap:.2rem;margin:0;padding:.8rem 1rem;border:1px solid var(--wb-line);
border-radius:10px;background:var(--wb-surface);min-width:0}
.wb .wb-box dt{float:none;width:auto;margin:0;font-size:.86em;font-weight:500;color:var(--wb-muted)}
.wb .wb-box dd{float:none;width:auto;margin:0;padding:0;font-size:1.55em;font-weight:650;line-height:1.25;letter-spacing:-.01em;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.wb .wb-box dd.wb-mark{font-size:1em;font-weight:500;letter-spacing:0;padding-top:.2rem}
.wb .wb-box dd+dd.wb-mark{margin-top:auto}
.wb .wb-box dd.wb-long{font-size:1.05em;letter-spacing:0}
.wb .wb-scroll{overflow-x:auto;max-width:100%;border:1px solid var(--wb-line);border-radius:10px}
.wb .wb-scroll:focus-visible,.wb pre.wb-code:focus-visible{outline:2px solid var(--wb-accent);outline-offset:2px}
.wb table.wb-table{border-collapse:separate;border-spacing:0;width:100%;margin:0;border:0;font-size:.95em;
color:inherit;background:transparent;table-layout:auto}
.wb .wb-table caption{caption-side:top;padding:.65rem .9rem;text-align:left;font-weight:650;color:var(--wb-ink)}
.wb .wb-table th,.wb .wb-table td{padding:.42rem .9rem;border:0;border-top:1px solid var(--wb-line);text-align:left;
vertical-align:top;font-variant-numeric:tabular-nums;max-width:40rem;overflow-wrap:break-word;white-space:normal;
background:transparent}
.wb .wb-table thead th{font-size:.9em;font-weight:600;color:var(--wb-muted);background:var(--wb-surface);
white-space:nowrap;border-top:0;border-bottom:1px solid var(--wb-line);vertical-align:bottom}
.wb .wb-table caption~thead th{border-top:1px solid var(--wb-line)}
.wb .wb-table tbody tr:nth-child(n){background:transparent}
.wb .wb-table tbody tr:first-child>*{border-top:0}
.wb .wb-table tbody th{font-weight:600}
.wb .wb-table tbody tr:hover>*{background:var(--wb-surface)}
.wb .wb-table th.wb-number,.wb .wb-table td.wb-number{text-align:right;white-space:nowrap}
.wb .wb-table .wb-short{white-space:nowrap}.wb .wb-table .wb-long{min-width:17rem}
.wb .wb-bytes{overflow-wrap:anywhere;font-size:.92em;background:none;padding:0;color:inherit}
.wb .wb-more{margin:.4rem 0 0;font-size:.92em}
.wb .wb-bar{display:inline-flex;align-items:center;gap:.5em;white-space:nowrap;font-variant-numeric:tabular-nums}
.wb .wb-track{display:inline-block;width:5rem;height:.5rem;border-radius:999px;background:var(--wb-plain-ground);
overflow:hidden}
.wb .wb-track>span{display:block;height:100%;background:var(--wb-accent);border-radius:999px}
.wb details.wb-details{border:1px solid var(--wb-line);border-radius:10px;padding:0 .9rem}
.wb .wb-details>summary{cursor:pointer;padding:.55rem 0;font-weight:600}
.wb .wb-details>summary:focus-visible{outline:2px solid var(--wb-accent);outline-offset:2px;border-radius:4px}
.wb .wb-details[open]{padding-bottom:.9rem}
.wb pre.wb-code{margin:0;padding:.8rem 1rem;overflow-x:auto;border:1px solid var(--wb-line);border-radius:10px;
background:var(--wb-surface);color:var(--wb-ink);font:.92em/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,
"Liberation Mono",monospace;white-space:pre;tab-size:4}
.wb pre.wb-code code{font:inherit;color:inherit;background:none;padding:0}
.wb .wb-progress{display:flex;flex-wrap:wrap;align-items:center;gap:.3rem .8rem}
.wb .wb-progress strong{font-weight:600}
.wb .wb-progress progress{flex:1 1 10rem;max-width:24rem;height:.7rem;accent-color:var(--wb-accent)}
.wb .wb-progress span{color:var(--wb-muted);font-variant-numeric:tabular-nums}
""".replace("\n", "")
# Every fragment begins with this.
STYLE_MARK = '<style data-wb="1">'
STYLE = (
    f'{STYLE_MARK}.wb{{{LIGHT}}}[data-jp-theme-light="false"] .wb,.vscode-dark .wb{{{DARK}}}'
    # JupyterLab lays out definition lists and tables in cells its own way; the rules above undo that.
    f".jp-RenderedHTMLCommon .wb .wb-boxes{{margin:0}}{RULES}</style>"
)

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
        ("same", "ok", "proven", "done", "passed", "yes", "mended", "met", "signed", "in", "registered"),
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
    **dict.fromkeys(("mend", "warning", "lossy", "stopped", "extra"), ("warn", "warning")),
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
    more = f'<p class="wb-more">The first {limit:,} of {len(rows):,} rows.</p>' if len(rows) > limit else ""
    return _whole(
        f'<div class="wb-scroll" role="group" aria-label="{attribute(caption or "Table")}" tabindex="0"><table class="wb-table">{title}'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>{more}"
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


def details(summary: object, body: object, *, opened: bool = False) -> Html:
    """`body` folded under `summary`."""
    state = " open" if opened else ""
    return _whole(f'<details class="wb-details"{state}><summary>{escape(summary)}</summary>{escape(body)}</details>')


def code(sql: str, *, limit: int = 20_000) -> Html:
    """Program text as it is, in a box that scrolls: line breaks and tabs stay, other control characters are shown."""
    return _whole(f'<pre class="wb-code" tabindex="0"><code>{_text(sql, limit, keep=chr(9) + chr(10))}</code></pre>')


def text(value: object, *, muted: bool = False) -> Html:
    """A paragraph."""
    return _whole(f"<p{' class=' + chr(34) + 'wb-muted' + chr(34) if muted else ''}>{escape(value)}</p>")


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
