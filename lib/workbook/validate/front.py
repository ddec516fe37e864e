"""The page that a lead signs: the verdict in a sentence, what proves it, what was covered, and each segment on a line."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workbook import faces
from workbook.validate import heatmap
from workbook.validate.alike import SegmentHops, TableHops, by_segment
from workbook.validate.hops import HOP_TITLES, HOPS, SIDE_TITLES

if TYPE_CHECKING:
    from workbook.validate.result import Validation

# Segments that get a line; databases rarely have more.
_MOST_SEGMENTS = 100
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def front(found: "Validation", tables: Sequence[TableHops], anchors: Mapping[tuple[str, str], str]) -> faces.Html:
    """All of it."""
    columns = Counter(state for table in found.tables for state in table.columns.values())
    compared = sum(table.rows("source") or 0 for table in tables)
    findings = faces.links([("at-what-is-wrong", f"{len(found.findings):,}")]) if found.findings else 0
    page = faces.stack(
        faces.block(f'<p class="wb-lead">{faces.bare(faces.badge(found.verdict))} {_sentence(found, tables)}</p>'),
        faces.boxes(
            *((HOP_TITLES[hop], faces.badge(found.hop_verdict(hop))) for hop in HOPS),
            ("Rows compared", faces.human_count(compared)),
            ("Columns proven", f"{columns['proven']:,} of {sum(columns.values()):,}"),
            ("Findings", findings),
        ),
        _segments(tables, anchors),
        _proof(found),
        faces.block(
            '<div class="wb-sign" aria-hidden="true"><span>Accepted by</span><span>On behalf of</span>'
            "<span>Date and signature</span></div>"
        ),
    )
    return faces.block(f'<div class="wb-whole">{faces.bare(page)}</div>')


def chance(tables: int) -> str:
    """The probability that a `same` is wrong, in words: each comparison of a table may be, once in 2^128."""
    power = math.floor(math.log10(max(tables, 1)) - 128 * math.log10(2)) + 1
    return f"below 10{str(power).translate(_RAISED)} ({max(tables, 1):,} comparisons, each 2⁻¹²⁸)"


def _sentence(found: "Validation", tables: Sequence[TableHops]) -> str:
    """The verdict in words, with the way to what is wrong."""
    verdicts = Counter(table.verdict for table in tables)
    many = f"{len(tables):,} table{'s' if len(tables) != 1 else ''}"
    if found.verdict == "same":
        return f"Every row and every column of {many} is the same on every hop, and so are the objects and the foreign keys."
    parts = []
    if verdicts["different"]:
        first = next(
            (
                HOP_TITLES[hop]
                for hop in HOPS
                if any(t.hops[hop].verdict == "different" for t in tables if hop in t.hops)
            ),
            "",
        )
        broke = f", first on the hop {first}" if first else ""
        parts.append(f"{verdicts['different']:,} of {many} differ{'s' if verdicts['different'] == 1 else ''}{broke}")
    elif verdicts["incomparable"] != len(tables):
        parts.append(f"no table of {many} differs")
    if verdicts["incomparable"]:
        parts.append(f"{verdicts['incomparable']:,} could not be compared")
    objects = Counter([item.verdict for item in found.objects] + [item.verdict for item in found.relations])
    for verdict, words in (("different", "objects or foreign keys differ"), ("incomparable", "could not be compared")):
        if objects[verdict]:
            parts.append(
                f"{objects[verdict]:,} {words if verdict == 'different' else f'objects or foreign keys {words}'}"
            )
    behave = sum(item.verdict == "different" for item in found.interactions)
    if behave:
        parts.append(
            f"{behave:,} of the triggers, routines, events and views {'does' if behave == 1 else 'do'} something else"
        )
    unmet = sum(verdict != "same" for verdict in found.criteria.verdicts)
    if unmet:
        many_unmet = "criterion of the mapping is" if unmet == 1 else "criteria of the mapping are"
        parts.append(f"{unmet:,} {many_unmet} not met, or could not be judged")
    if not found.selftest.passed:
        parts.append("the self-test did not find all that was planted, so that nothing is proven")
    said = "; ".join(parts) or "something is not as it should be"
    link = faces.links([("at-what-is-wrong", "what is wrong, by finding")]) if found.findings else ""
    return f"{said[0].upper()}{said[1:]}. {link}"


def _segments(tables: Sequence[TableHops], anchors: Mapping[tuple[str, str], str]) -> faces.Html:
    segments = by_segment(tables)
    rows = [_segment(segment, anchors) for segment in segments[:_MOST_SEGMENTS]]
    heads = {
        "segment": "Segment",
        "verdict": "Verdict",
        "tables": "Tables alike",
        "rows": "Rows",
        "alike": "Rows alike",
        "marks": "Its tables and columns",
    }
    return faces.stack(
        faces.table(rows, heads, caption="Segments, worst first", limit=_MOST_SEGMENTS),
        faces.block(heatmap.legend()),
    )


def _segment(segment: SegmentHops, anchors: Mapping[tuple[str, str], str]) -> dict[str, object]:
    known = [found for hop in HOPS if (found := segment.alike(hop)) is not None]
    worst = min(known, key=lambda found: found.share, default=None)
    columns = ", ".join(f"{count:,} {state}" for state, count in segment.states.items() if count)
    return {
        "segment": segment.name or "all tables",
        "verdict": faces.badge(segment.verdict),
        "tables": f"{sum(table.verdict == 'same' for table in segment.tables):,} of {len(segment.tables):,}",
        "rows": _rows(segment),
        "alike": faces.Html(
            f'{faces.bare(faces.bar(worst.share))}<div class="wb-muted">{worst.rows:,} of {worst.of:,}</div>'
            if worst
            else "not known"
        ),
        "marks": faces.Html(
            f'{faces.bare(heatmap.marks(segment.tables, anchors))}<div class="wb-muted">{columns} columns</div>'
        ),
    }


def _rows(segment: SegmentHops) -> faces.Html:
    """The rows of all sides: one number where they are as many, else one a side."""
    counts = {title: rows for side, title in SIDE_TITLES.items() if (rows := segment.rows(side)) is not None}
    if len(set(counts.values())) == 1:
        return faces.Html(f'{next(iter(counts.values())):,}<div class="wb-muted wb-short">on every side</div>')
    return faces.Html(
        "".join(
            f'<div class="wb-short">{rows:,} <span class="wb-muted">{title}</span></div>'
            for title, rows in counts.items()
        )
    )


def _proof(found: "Validation") -> faces.Html:
    planted = len(found.selftest.planted)
    seen = planted - len(found.selftest.missed)
    rows = [
        (
            "How",
            f"every value of every row hashed on each side, SHA-256 cut to {found.coverage['hash_bits']} bits, compared by table",
        ),
        ("A wrong “same”", f"{chance(len(found.tables))}, for differences that are not made on purpose"),
        ("Self-test", f"{seen:,} of {planted:,} damages planted in this run were found"),
        *(
            (f"State of the {role}", str(found.snapshot[role]))
            for role in ("source", "target")
            if found.snapshot.get(role)
        ),
        *(("Note", note) for note in found.notes),
    ]
    return faces.table(
        [{"what": what, "text": text} for what, text in rows], {"what": "", "text": ""}, caption="What proves it"
    )
