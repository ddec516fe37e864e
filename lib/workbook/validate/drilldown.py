"""The findings on the page: one line each, and folded under it what was seen, why, what mends it, and the broken rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.validate.rows import RowDifference

if TYPE_CHECKING:
    from workbook.validate.result import Finding

# More findings than this are in validate.json alone, so that the page stays quick.
MOST = 200
_WIDE = 6  # columns of a key that are shown
Plain = Callable[[RowDifference], Mapping[str, Any]]


def findings(found: Sequence["Finding"], titles: Mapping[str, str], plain: Plain) -> faces.Html:
    """All findings as a table, then each with its rows; `titles` names the hops, `plain` masks a row as it is to be shown."""
    lines = [
        {
            "id": item.id,
            "defect": item.defect,
            "hop": titles.get(item.hop, item.hop),
            "object": item.object,
            "column": item.column or "",
            "rows": "" if item.rows is None else item.rows,
            "share": "" if item.share is None else faces.bar(item.share),
        }
        for item in found
    ]
    heads = {
        "defect": "What",
        "id": "No.",
        "hop": "Hop",
        "object": "Where",
        "column": "Column",
        "rows": "Rows",
        "share": "Of the changed rows",
    }
    more = f"{len(found) - MOST:,} more are in validate.json." if len(found) > MOST else ""
    return faces.stack(
        faces.table(lines, heads, caption="Findings", limit=MOST),
        faces.text("Each with what was seen, the likely cause, what mends it, and rows that show it:"),
        *(_one(item, titles, plain) for item in found[:MOST]),
        faces.text(more) if more else None,
    )


def _one(item: "Finding", titles: Mapping[str, str], plain: Plain) -> faces.Html:
    where = f"{item.object}, column {item.column}" if item.column else item.object
    count = "" if item.rows is None else f": {item.rows:,} row{'s' if item.rows != 1 else ''}"
    facts = [("Evidence", item.evidence or item.explanation), ("Likely cause", item.cause), ("Mended by", item.mend)]
    if item.total is not None and item.looked is not None and item.looked < item.total:
        facts.append(("Looked at", f"{item.looked:,} of {item.total:,} rows that differ here"))
    if item.repair:
        facts.append(("Repair file", item.repair))
    return faces.details(
        f"{item.id}. {item.defect} · {titles.get(item.hop, item.hop)} · {where}{count}",
        faces.stack(
            faces.table([{"what": what, "text": text} for what, text in facts if text], {"what": "", "text": ""}),
            _rows(item, plain) if item.samples else None,
        ),
    )


def _rows(item: "Finding", plain: Plain) -> faces.Html:
    lines = []
    for row in item.samples:
        shown = plain(row)
        line: dict[str, object] = {
            "row": row.kind,
            **{f"key {name}": value for name, value in list(shown["key"].items())[:_WIDE]},
        }
        for name, values in shown["columns"].items():
            line |= {f"{name} before": _value(values["source"]), f"{name} after": _value(values["target"])}
        lines.append(line)
    heads = {key: "Row is" if key == "row" else key for line in lines for key in line}
    return faces.table(lines, heads, caption=f"Rows that show it ({len(lines):,} of {item.rows or 0:,})", limit=1000)


def _value(text: str | None) -> object:
    return "NULL" if text is None else text
