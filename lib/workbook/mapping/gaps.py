"""The gap report: what a mapping leaves out, what its rules lose, and what nothing proves yet."""

from collections import Counter
from collections.abc import Mapping as ReadOnly
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.catalog import Catalog
from workbook.mapping import cleaning
from workbook.mapping.objects import ColumnMap, Mapping, TableMap
from workbook.mapping.suggest import Figures, Suggestion, suggestions
from workbook.mapping.types import RULES, TypeRule

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Which figures of the profile count the rows that a rule's `proof` is about.
MEASURES = {
    **dict.fromkeys(("date", "datetime", "timestamp"), ("zero_dates", "partial_dates", "impossible_dates")),
    "bool": ("not_bool",),
    "time": ("negatives", "over_24h"),
}
# kind -> (what it means, whether it makes the verdict bad)
KINDS = {
    "not accepted": ("values are lost and the segment's requirements do not accept it", True),
    "unproven": ("the rule loses values unless the data is as it supposes, and no profile shows that", True),
    "unmapped": ("on the source and not in the mapping", True),
    "new column": ("came to the source after the mapping was written; it travels by default", False),
    "vanished": ("in the mapping and not on the source", False),
    "out of scope": ("does not move with this mapping", False),
    "on the way": ("left out, renamed or masked on the way to the target, as the mapping says", False),
    "lossy": ("something is lost, and the segment's requirements accept it", False),
}
_RULE = {rule.name: rule for rule in RULES}


@dataclass(frozen=True)
class Gap:
    """One gap: its kind (see KINDS), what it is about, the rule, and the rows affected (None: not known, or no rows)."""

    kind: str
    segment: str
    table: str
    column: str
    rule: str
    detail: str
    rows: int | None = None


@dataclass(frozen=True)
class GapReport:
    """What the mapping leaves out, loses or takes on trust; `profiled` says whether there was a profile to prove by."""

    gaps: tuple[Gap, ...]
    columns: tuple[tuple[str, str, str, int], ...]  # MySQL type, BigQuery type, loss, number of columns in scope
    suggestions: tuple[Suggestion, ...]
    tables_in_scope: int
    tables_in_all: int
    profiled: bool

    @property
    def verdict(self) -> str:
        """ok, or failed where something in scope is unmapped, unproven or lost without being accepted."""
        return "failed" if any(KINDS[gap.kind][1] for gap in self.gaps) else "ok"

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "profiled": self.profiled,
            "tables_in_scope": self.tables_in_scope,
            "tables_in_all": self.tables_in_all,
            "gaps": [asdict(gap) for gap in self.gaps],
            "columns": [
                {"mysql": source, "bigquery": target, "loss": loss, "columns": count}
                for source, target, loss, count in self.columns
            ],
            "suggestions": [asdict(item) for item in self.suggestions],
        }

    def plot(self) -> "go.Figure":
        """Columns in scope by MySQL type, coloured by what their rule loses."""
        faces.plot_theme()
        order = Counter[str]()
        for source, _, _, count in self.columns:
            order[source] += count
        names = [name for name, _ in sorted(order.items(), key=lambda item: (item[1], item[0]))]
        # Imported here, because the import costs seconds that workers and checks need not pay.
        import plotly.graph_objects as go

        figure = go.Figure()
        for loss, label in (("none", "nothing"), ("representation", "the form only"), ("value", "values may be lost")):
            counts = Counter[str]()
            for source, _, found, count in self.columns:
                counts[source] += count if found == loss else 0
            figure.add_bar(
                name=label,
                orientation="h",
                y=[faces.plot_text(name) for name in names],
                x=[counts[name] for name in names],
                hovertemplate="%{x} columns of type %{y}<extra>" + label + "</extra>",
            )
        figure.update_layout(
            title="Columns by type, and what the move to the warehouse loses",
            barmode="stack",
            xaxis_title="columns",
            height=140 + 24 * len(names),
        )
        return figure

    def _repr_html_(self) -> str:
        kinds = Counter(gap.kind for gap in self.gaps)
        shown = sorted(
            self.gaps, key=lambda gap: (list(KINDS).index(gap.kind), -(gap.rows or 0), gap.table, gap.column)
        )
        return faces.stack(
            faces.boxes(
                ("Gaps", "closed" if self.verdict == "ok" else "open", self.verdict),
                ("Tables in scope", f"{self.tables_in_scope:,} of {self.tables_in_all:,}"),
                *((kind[0].upper() + kind[1:], kinds[kind]) for kind in KINDS if kinds[kind]),
            ),
            None if self.profiled else faces.text("There is no profile yet: rows affected are not known.", muted=True),
            faces.table(
                [
                    {
                        "kind": faces.badge(gap.kind),
                        "segment": gap.segment,
                        "table": gap.table,
                        "column": gap.column,
                        "rule": gap.rule,
                        "rows": faces.Html("") if gap.rows is None else gap.rows,
                        "detail": gap.detail,
                    }
                    for gap in shown
                ],
                {
                    "kind": "Gap",
                    "segment": "Segment",
                    "table": "Table",
                    "column": "Column",
                    "rule": "Rule",
                    "rows": "Rows affected",
                    "detail": "What it means",
                },
                caption="Gaps, those that stop the migration first",
                limit=300,
            ),
            faces.details(
                f"{len(self.suggestions)} suggestions from catalog and profile",
                faces.table(
                    [asdict(item) for item in self.suggestions],
                    {"table": "Table", "column": "Column", "write": "In the mapping", "why": "Why"},
                    limit=300,
                ),
            )
            if self.suggestions
            else None,
        )


def gaps(mapping: Mapping, catalog: Catalog, profile: ReadOnly[str, Any] | None) -> GapReport:
    """What `mapping` leaves out of `catalog`, loses, or takes on trust; `profile` is a profile's asdict, or None."""
    figures = Figures(profile)
    found = [
        Gap("unmapped", "", _name(path), "", "", "write it into a segment, with scope out if it is to stay behind")
        for path in catalog.table
        if path not in mapping.tables
    ]
    found += [
        Gap(
            "new column",
            mapping.tables[database, table].segment,
            _name((database, table)),
            column,
            "",
            KINDS["new column"][0],
        )
        for database, table, column in mapping.unlisted
    ]
    found += [
        Gap("vanished", "", _name((path[0], path[1])), path[2] if len(path) > 2 else "", "", KINDS["vanished"][0])
        for path in mapping.vanished
    ]
    for segment in mapping.segments:
        if segment.scope != "in":
            found += [
                Gap("out of scope", segment.name, _name(path), "", "", f"its segment is {segment.scope}")
                for path in segment.tables
            ]
    advised: list[Suggestion] = []
    types = Counter[tuple[str, str, str]]()
    form_only = Counter[tuple[str, str]]()
    for mapped in mapping.in_scope:
        table = catalog.table[mapped.path]
        accepted = mapping.requirements_of(mapped.path).losses
        if mapped.flow.said:
            detail = "; ".join(mapped.flow.said)
            found.append(Gap("on the way", mapped.segment, _name(mapped.path), "", "", detail))
        advised += suggestions(table, mapped, figures)
        for column in mapped.columns:
            rule = _RULE[column.rule]
            types[table.column[column.name].data_type, cleaning.clean_type(column), rule.loss] += 1
            if rule.loss == "representation" and {rule.name, rule.loss} & set(accepted):
                form_only[mapped.segment, rule.name] += 1
            else:
                found += _losses(mapped, column, rule, accepted, figures)
    # Nearly every text column changes its form: one line a segment and rule says it.
    found += [
        Gap("lossy", segment, "", f"{count:,} columns", name, _RULE[name].loss_text)
        for (segment, name), count in form_only.items()
    ]
    return GapReport(
        gaps=tuple(found),
        columns=tuple((*key, count) for key, count in sorted(types.items())),
        suggestions=tuple(advised),
        tables_in_scope=len(mapping.in_scope),
        tables_in_all=len(catalog.tables),
        profiled=figures.there,
    )


def _losses(
    table: TableMap, column: ColumnMap, rule: TypeRule, accepted: tuple[str, ...], figures: Figures
) -> list[Gap]:
    """The gaps of one column: what its type rule loses or supposes."""
    name = _name(table.path)
    gap = lambda kind, detail, rows: Gap(kind, table.segment, name, column.name, rule.name, detail, rows)  # noqa: E731
    if rule.proof is None:
        if rule.loss == "none":
            return []
        return [gap("not accepted", rule.loss_text, None)]
    rows, whole = _affected(table, column, rule, figures)
    if rows == 0 and whole:
        return []
    if rule.loss == "none":
        # A narrowing that somebody chose: a counterexample refutes it, and only every row read proves it.
        if rows:
            return [gap("not accepted", f"{rule.what}, and these rows are not so", rows)]
        return [gap("unproven", f"{rule.what}: no profile of all its rows shows that", rows)]
    if rule.name in accepted:
        return [gap("lossy", rule.loss_text, rows)]
    if rows:
        return [gap("not accepted", rule.loss_text, rows)]
    return [gap("unproven", f"{rule.loss_text}; no profile of all its rows shows that there are none", rows)]


def _affected(table: TableMap, column: ColumnMap, rule: TypeRule, figures: Figures) -> tuple[int | None, bool]:
    """How many rows lose something by the profile (None: not counted), and whether it read all of them."""
    known = figures.columns(table.path).get(column.name)
    if known is None:
        return None, False
    counts = [known.get(measure) for measure in MEASURES.get(rule.name, ())]
    # A measure that does not suit the kind of column is None; all of them None means nobody counted.
    if all(count is None for count in counts):
        return None, False
    sampled = bool(known.get("sampled") or figures.table(table.path).get("sampled"))
    return sum(int(count or 0) for count in counts), not sampled


def _name(path: tuple[str, str]) -> str:
    return f"{path[0]}.{path[1]}"
