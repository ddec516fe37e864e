"""The findings on the page: a line each, and folded under it what was seen, why, what mends it, and the broken rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.validate.rows import RowDifference

if TYPE_CHECKING:
    from workbook.validate.result import Finding

# More findings than this, or than fit into so many characters, are in a file alone, so that the page stays quick.
FINDINGS = "validate/findings.csv"
MOST, MOST_CHARACTERS = 200, 1_000_000
_WIDE = 6  # columns of a key that are shown
_CHANGES = 12  # columns of a row that are shown
Plain = Callable[[RowDifference], Mapping[str, Any]]


def findings(
    found: Sequence["Finding"],
    titles: Mapping[str, str],
    plain: Plain,
    tables: Mapping[str, str],
) -> faces.Html:
    """A line for each finding, its rows folded under it; `titles` names the hops, `plain` masks a row as it is to be shown.

    `tables` are the anchors of the tables' own parts of the page, by their names.
    """
    shown = faces.fitting((_one(item, titles, plain, tables) for item in found[:MOST]), MOST_CHARACTERS)
    more = (
        faces.block(
            f'<p class="wb-more">The first {len(shown):,} of {len(found):,} findings; all are in '
            f'<a href="{FINDINGS}">{FINDINGS}</a>.</p>'
        )
        if len(found) > len(shown)
        else None
    )
    return faces.stack(faces.block(f'<div class="wb-findings">{"".join(shown)}</div>'), more)


def anchor(item: "Finding") -> str:
    """The id of a finding on the page."""
    return f"finding-{item.id}"


def _one(item: "Finding", titles: Mapping[str, str], plain: Plain, tables: Mapping[str, str]) -> faces.Html:
    where = f"{item.object}, column {item.column}" if item.column else item.object
    count = "" if item.rows is None else f"{item.rows:,} row{'s' if item.rows != 1 else ''}"
    if item.total is not None and item.looked is not None and item.looked < item.total:
        # Of very many rows some are looked at; their number alone would read as if it were all.
        count = f"{item.rows or 0:,} of {item.looked:,} looked at"
    share = "" if item.share is None else f"{faces.bare(faces.bar(item.share))} of what was looked at"
    facts: list[tuple[str, object]] = [
        ("Evidence", item.evidence or item.explanation),
        ("Likely cause", item.cause),
        ("Mended by", item.mend),
    ]
    if item.total is not None and item.looked is not None and item.looked < item.total:
        facts.append(("Looked at", f"{item.looked:,} of {item.total:,} rows that differ here"))
    if share:
        facts.append(("Share", faces.Html(share)))
    if item.repair:
        facts.append(
            ("Repair file", faces.Html(f'<a href="{faces.attribute(item.repair)}">{faces.escape(item.repair)}</a>'))
        )
    if item.object in tables:
        facts.append(("Table", faces.links([(tables[item.object], f"{item.object}: all its columns and figures")])))
    return faces.details(
        faces.Html(
            f"<span>{item.id}. {faces.escape(item.defect, limit=100)}</span><span>{faces.escape(where, limit=200)}</span>"
            f'<span class="wb-muted">{faces.escape(titles.get(item.hop, item.hop))}</span><span>{count}</span>'
        ),
        faces.stack(
            faces.table([{"what": what, "text": text} for what, text in facts if text], {"what": "", "text": ""}),
            rows_table(item.samples, plain, f"Rows that show it ({len(item.samples):,} of {item.rows or 0:,})")
            if item.samples
            else None,
        ),
        anchor=anchor(item),
    )


def rows_table(samples: Sequence[RowDifference], plain: Plain, caption: str) -> faces.Html:
    """Rows with their keys and, one under the other, what they hold before and after the hop."""
    lines = []
    for row in samples:
        shown = plain(row)
        key = list(shown["key"].items())
        changes = list(shown["columns"].items())
        lines.append(
            {
                "row": row.kind,
                "key": _lines([f"{name} = {_value(value)}" for name, value in key], _WIDE),
                "changes": _lines(
                    [f"{name}: {_value(one['source'])} → {_value(one['target'])}" for name, one in changes], _CHANGES
                ),
            }
        )
    heads = {"row": "Row is", "key": "Key", "changes": "Column: before → after"}
    if not any(line["changes"] for line in lines):
        del heads["changes"]
    return faces.table(lines, heads, caption=caption, limit=1000)


def _lines(texts: Sequence[str], most: int) -> faces.Html:
    more = f'<div class="wb-muted">and {len(texts) - most:,} more columns</div>' if len(texts) > most else ""
    return faces.Html("".join(f"<div>{faces.escape(text, limit=300)}</div>" for text in texts[:most]) + more)


def _value(text: str | None) -> str:
    return "NULL" if text is None else text
