"""The drill-down of a table: its hops, its columns with their states and statistics side by side, and rows that differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.validate import drilldown, heatmap
from workbook.validate.alike import TableHops, alike_rows, differing_share
from workbook.validate.hops import HOP_TITLES, HOPS, SHORT_TITLES
from workbook.validate.statistics import TableStatistics
from workbook.validate.statistics_face import HEADS, figures_of

if TYPE_CHECKING:
    from workbook.validate.result import Finding

# Tables and characters of all drill-downs together, and columns of one; what is more is in files beside the result.
MOST_TABLES, MOST_CHARACTERS, MOST_COLUMNS = 80, 1_500_000, 100
COLUMNS = "validate/columns.csv"
ROWS = "validate/rows.csv"


def anchors(tables: Sequence[TableHops]) -> dict[tuple[str, str], str]:
    """The ids of the drill-downs on the page, for the tables that have one at most."""
    return {table.path: f"table-{number}" for number, table in enumerate(tables[:MOST_TABLES], 1)}


def drill_downs(
    tables: Sequence[TableHops],
    statistics: Mapping[tuple[str, str], TableStatistics],
    findings: "Mapping[str, Sequence[Finding]]",
    plain: drilldown.Plain,
) -> faces.Html:
    """One table after the other, worst first, each folded; what does not fit is said."""
    places = anchors(tables)

    def made() -> Iterator[faces.Html]:
        for table in tables[:MOST_TABLES]:
            yield _one(table, places[table.path], statistics.get(table.path), findings.get(table.name, ()), plain)

    shown = faces.fitting(made(), MOST_CHARACTERS)
    left = len(tables) - len(shown)
    more = faces.block(
        f'<p class="wb-more">The worst {len(shown):,} of {len(tables):,} tables; the columns of all are in '
        f'<a href="{COLUMNS}">{COLUMNS}</a>.</p>'
    )
    return faces.stack(*shown, more if left else None)


def _one(
    table: TableHops,
    anchor: str,
    statistics: TableStatistics | None,
    findings: "Sequence[Finding]",
    plain: drilldown.Plain,
) -> faces.Html:
    segment = f" · segment {table.segment}" if table.segment else ""
    title = faces.Html(
        f"{faces.bare(faces.badge(table.verdict))} {faces.escape(table.name, limit=150)} "
        f'<span class="wb-muted">{faces.escape(heatmap.rows_alike(table.alike) + segment)}</span>'
    )
    links = faces.links([(f"finding-{item.id}", f"{item.id}. {item.defect}") for item in findings[:20]])
    return faces.details(
        title,
        faces.stack(
            _hops(table),
            faces.Html(f"Findings: {links}") if findings else None,
            _columns(table, statistics),
            _samples(table, plain),
        ),
        anchor=anchor,
    )


def _hops(table: TableHops) -> faces.Html:
    rows = []
    for hop, found in table.hops.items():
        alike = alike_rows(found)
        rows.append(
            {
                "hop": HOP_TITLES[hop],
                "verdict": faces.badge(found.verdict),
                "before": found.rows_source,
                "after": found.rows_target,
                "missing": found.missing,
                "extra": found.extra,
                "changed": found.changed,
                "alike": f"{alike.rows:,} of {alike.of:,}" if alike else "not known",
            }
        )
    heads = {
        "hop": "Hop",
        "verdict": "Verdict",
        "before": "Before",
        "after": "After",
        "missing": "Missing",
        "extra": "Extra",
        "changed": "Changed",
        "alike": "Rows alike",
    }
    said = [
        faces.text(f"{HOP_TITLES[hop]}: {found.why}.", muted=True) for hop, found in table.hops.items() if found.why
    ]
    return faces.stack(faces.table(rows, heads), *said)


def _columns(table: TableHops, statistics: TableStatistics | None) -> faces.Html:
    counted = {column.name: column for column in statistics.columns} if statistics else {}
    names = sorted(table.states, key=lambda name: heatmap.WORST_STATES.index(table.states[name]))
    rows: list[dict[str, object]] = []
    for name in names[:MOST_COLUMNS]:
        marks = "".join(_mark(table, hop, name) for hop in HOPS if hop in table.hops)
        tolerated = {
            side: any(
                found.columns.get(name) in ("tolerated", "proven")
                for hop, found in table.hops.items()
                if hop == f"source-{side}"
            )
            for side in ("target", "warehouse")
        }
        rows.append(
            {
                "column": name,
                "hops": faces.Html(f'<span class="wb-hops">{marks}</span>'),
                **(figures_of(counted[name], tolerated) if name in counted else {}),
            }
        )
    heads = {"column": "Column", "hops": "Hops", **(HEADS if counted else {})}
    left = len(table.states) - len(rows)
    return faces.stack(
        faces.table(
            rows,
            heads,
            limit=MOST_COLUMNS,
            caption="Columns; where a figure is not the same on all sides: S source, C Cloud SQL, B BigQuery",
        ),
        faces.text(f"{left:,} more columns are in {COLUMNS}.", muted=True) if left else None,
        faces.text(f"Statistics: {statistics.why}.", muted=True) if statistics and statistics.why else None,
    )


def _mark(table: TableHops, hop: str, name: str) -> str:
    found = table.hops[hop]
    state = found.columns.get(name, "incomparable")
    share = differing_share(found, name)
    said = f", {faces.percent(share)} of the rows" if share is not None else ""
    return heatmap.cell(state, share, f"{HOP_TITLES[hop]}: {state}{said}", SHORT_TITLES[hop])


def _samples(table: TableHops, plain: drilldown.Plain) -> faces.Html | None:
    parts = []
    for hop, found in table.hops.items():
        odd = found.missing + found.extra + found.changed
        if not found.samples:
            continue
        parts.append(
            drilldown.rows_table(
                found.samples, plain, f"{HOP_TITLES[hop]}: {len(found.samples):,} of {odd:,} rows that differ"
            )
        )
        if len(found.samples) < odd:
            parts.append(listed(found.listed, odd))
    return faces.stack(*parts) if parts else None


def listed(lines: Sequence[Any], odd: int) -> faces.Html:
    """Where more of the rows that differ are."""
    all_of = "All" if len(lines) >= odd else f"{len(lines):,} of them"
    more = "" if len(lines) >= odd else "; more with a larger validate.listed in the params"
    return faces.block(
        f'<p class="wb-more">{all_of} are listed by key in <a href="{ROWS}">{ROWS}</a>{more}.</p>' if lines else ""
    )
