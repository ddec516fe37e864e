"""The heat map: a mark for every table, and a line of marks, one a column, for those that are worst off.

A mark says its state by a sign as well as by its colour; a column that differs is filled by the share of its rows that do.
Plain HTML: it prints, wraps on a phone and stays small with thousands of tables.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from workbook import faces
from workbook.validate.alike import Alike, TableHops, differing_share
from workbook.validate.hops import HOP_TITLES, SHORT_TITLES, WORST_STATES

# Marks of a segment, folded lines of the heat map, its open lines, and marks of columns in these; what is more is counted.
MOST_MARKS, MOST_FOLDED, MOST_LINES, MOST_CELLS = 40, 4_000, 60, 3_000
# The file that holds every table on every hop.
TABLES = "validate/tables.csv"
_SIGNS = {"different": "×", "incomparable": "?", "sampled": "…", "tolerated": "~", "proven": ""}
_SAID = {
    "different": "different",
    "incomparable": "not comparable",
    "sampled": "sampled",
    "tolerated": "changed by a rule",
    "proven": "proven",
}


def marks(tables: Sequence[TableHops], anchors: Mapping[tuple[str, str], str]) -> faces.Html:
    """A mark for each table of a segment, worst first, and how many more there are; those that are not the same lead to the table's part of the page (`anchors`)."""
    shown = []
    for table in tables[:MOST_MARKS]:
        about = faces.attribute(_about(table))
        anchor = anchors.get(table.path) if table.verdict != "same" else None
        tag = f'a href="#{anchor}" aria-label="{about}"' if anchor else "i"
        shown.append(
            f'<{tag} class="wb-sq {_class(table.state)}" title="{about}">{_SIGNS.get(_state(table.state), "")}</{tag[0]}>'
        )
    rest = Counter(table.verdict for table in tables[MOST_MARKS:])
    said = ", ".join(f"{count:,} more {verdict}" for verdict, count in rest.items())
    more = f'<div class="wb-muted">and {said}</div>' if rest else ""
    return faces.block(f'<span class="wb-marks">{"".join(shown)}</span>{more}')


def heat_map(tables: Sequence[TableHops], anchors: Mapping[tuple[str, str], str]) -> faces.Html:
    """Tables by columns, worst first: one mark a hop, then one a column at its worst hop; the others folded, without theirs.

    What is left out is counted.
    """
    lines: list[str] = []
    cells = 0
    for table in tables[:MOST_LINES]:
        cells += len(table.states)
        if lines and cells > MOST_CELLS:
            break
        columns = "".join(_column(table, name, state) for name, state in table.states.items())
        lines.append(_line(table, anchors.get(table.path), f'<span class="wb-marks">{columns}</span>'))
    rest = tables[len(lines) :]
    folded = "".join(
        _line(table, anchors.get(table.path), f'<span class="wb-muted">{_columns(table)}</span>', marked=False)
        for table in rest[:MOST_FOLDED]
    )
    counts = Counter(state for table in rest for state in table.states.values())
    states = ", ".join(f"{counts[state]:,} {_SAID[state]}" for state in WORST_STATES if counts[state])
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in Counter(table.verdict for table in rest).items())
    more = (
        f'<details class="wb-details"><summary>The other {len(rest):,} tables: {verdicts}; their columns: {states}</summary>'
        f'<div class="wb-heat">{folded}</div></details>'
        if rest
        else ""
    )
    left = (
        f"{len(rest) - MOST_FOLDED:,} more tables are in"
        if len(rest) > MOST_FOLDED
        else "All tables, with every hop, are in"
    )
    return faces.block(
        f"<div class=wb-stack>{legend()}"
        '<p class="wb-filter" hidden><label>Find a table <input type="search" autocomplete="off"></label>'
        '<span role="status"></span></p>'
        f'<div class="wb-heat">{"".join(lines)}</div>{more}'
        f'<p class="wb-more">{left} <a href="{TABLES}">{TABLES}</a>.</p></div>'
    )


def legend() -> str:
    """What the marks mean."""
    items = "".join(
        f'<span><i class="wb-sq {_class(state)}">{_SIGNS[state]}</i> {_SAID[state]}</span>'
        for state in reversed(WORST_STATES)
    )
    return f'<p class="wb-legend">{items}<span class="wb-muted">the fuller the red, the more rows differ</span></p>'


def cell(state: str, share: float | None, about: str, label: str = "") -> str:
    """The mark of a column; with a label it says that in place of the state's sign."""
    fill = f' style="--fill:{max(0.08, share):.0%}"' if state == "different" and share is not None else ""
    sign = label or _SIGNS.get(state, "")
    return f'<i class="wb-sq {_class(state)}"{fill} title="{faces.attribute(about)}">{sign}</i>'


def _line(table: TableHops, anchor: str | None, columns: str, marked: bool = True) -> str:
    name = faces.escape(table.name, limit=150)
    link = f'<a href="#{anchor}">{name}</a>' if anchor else str(name)
    hops = "".join(
        f'<i class="wb-sq {_class(found.verdict)}" title="{HOP_TITLES[hop]}: {found.verdict}">{SHORT_TITLES[hop]}</i>'
        for hop, found in table.hops.items()
        # Folded lines are many: of those that are the same the words say it all.
        if marked or table.verdict != "same"
    )
    about = faces.attribute(f"{table.name}: {table.verdict}; columns: {_columns(table)}")
    return (
        f'<div class="wb-line" role="group" aria-label="{about}"><span class="wb-name">{link}</span>'
        f'<span class="wb-hops">{hops}</span><span class="wb-alike">{faces.escape(rows_alike(table.alike))}</span>{columns}</div>'
    )


def _columns(table: TableHops) -> str:
    counts = Counter(table.states.values())
    return ", ".join(f"{counts[state]:,} {_SAID[state]}" for state in WORST_STATES if counts[state])


def _column(table: TableHops, name: str, state: str) -> str:
    shares = [share for found in table.hops.values() if (share := differing_share(found, name)) is not None]
    share = max(shares, default=None)
    where = ", ".join(SHORT_TITLES[hop] for hop, found in table.hops.items() if found.columns.get(name) == state)
    said = f", {faces.percent(share)} of the rows" if share is not None else ""
    return cell(state, share, f"{name}: {_SAID[state]}{f' on {where}' if state != 'proven' else ''}{said}")


def rows_alike(alike: Alike | None) -> str:
    """How alike the rows are, with the denominator."""
    if alike is None:
        return "rows not known"
    if alike.rows == alike.of:
        return f"all {alike.of:,} rows alike" if alike.of else "no rows"
    return f"{alike.of - alike.rows:,} of {alike.of:,} rows differ"


def _about(table: TableHops) -> str:
    return f"{table.name}: {table.verdict}, {rows_alike(table.alike)}"


def _state(state: str) -> str:
    return "proven" if state == "same" else state


def _class(state: str) -> str:
    return f"wb-is-{_state(state)}"
