"""The verdict of a validation, down to the column, with what each finding means."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.catalog import Table
from workbook.validate import drilldown
from workbook.validate.criteria import NO_CRITERIA, Criteria
from workbook.validate.explain import TableDefect
from workbook.validate.relations_face import RelationVerdict, relations_face, relations_figure
from workbook.validate.replay_verdict import InteractionVerdict, counted, interactions_face
from workbook.validate.rows import Encoded, RowDifference
from workbook.validate.selftest import SelfTest
from workbook.validate.tolerances import LetThrough, Tolerances

if TYPE_CHECKING:
    import plotly.graph_objects as go

HOPS = ("source-target", "target-warehouse", "source-warehouse")
HOP_TITLES = {
    "source-target": "Source → Cloud SQL",
    "target-warehouse": "Cloud SQL → BigQuery",
    "source-warehouse": "Source → BigQuery",
}
COLUMN_STATES = ("proven", "tolerated", "sampled", "different", "incomparable")


@dataclass(frozen=True)
class TableVerdict:
    """A table on one hop. `columns` holds the state of each; rows are counted on both ends of the hop.

    `similarity` is the share of rows alike among all rows of both ends (1.0 where both are empty); None where unknown.
    `classes` are the defects its differing rows show; `keys` the encoded keys of those rows, for their repair.
    `let_through` is what rules of the mapping changed or tolerated; `counted` False where more rows may differ.
    """

    database: str
    table: str
    hop: str
    verdict: str  # same, different or incomparable
    rows_source: int | None
    rows_target: int | None
    columns: dict[str, str]
    missing: int = 0
    extra: int = 0
    changed: int = 0
    samples: tuple[RowDifference, ...] = ()
    similarity: float | None = None
    why: str = ""
    seconds: float = 0.0
    classes: tuple[TableDefect, ...] = ()
    keys: tuple[Encoded, ...] = ()
    let_through: tuple[LetThrough, ...] = ()
    counted: bool = True

    @property
    def equal(self) -> bool:
        """Whether it is the same without any tolerance of the mapping."""
        return self.verdict == "same" and not any(item.used for item in self.let_through)


def unread(table: Table, hops: Sequence[str], why: str) -> list[TableVerdict]:
    """The verdicts of a table that no server can be asked for."""
    columns = {column.name: "incomparable" for column in table.columns}
    return [TableVerdict(*table.path, hop, "incomparable", None, None, columns, why=why) for hop in hops]


@dataclass(frozen=True)
class ObjectVerdict:
    """A table definition, index, view, routine, account or grant, source against target.

    `parts`, `mend` and `undo` are those of schema.ObjectDifference.
    """

    kind: str
    name: str
    verdict: str  # same, tolerated, different or incomparable
    detail: str = ""
    parts: bool = False
    mend: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the defect (`number` of defects.py; None where nothing was compared), where, and what it means.

    `rows` show it of the `looked` rows that were looked at; `total` differ in this place. `repair` is the file, beside
    the result, with the statement that mends it.
    """

    defect: str
    hop: str
    object: str
    column: str | None
    rows: int | None
    explanation: str
    id: int = 0
    number: int | None = None
    looked: int | None = None
    total: int | None = None
    evidence: str = ""
    cause: str = ""
    mend: str = ""
    repair: str | None = None
    samples: tuple[RowDifference, ...] = ()

    @property
    def share(self) -> float | None:
        """The share of the rows looked at that show it."""
        return None if self.rows is None or not self.looked else self.rows / self.looked


@dataclass(frozen=True)
class Validation:
    """The whole verdict: `same` only where every table, column, object and relation in scope was compared and is alike."""

    tables: tuple[TableVerdict, ...]
    objects: tuple[ObjectVerdict, ...]
    relations: tuple[RelationVerdict, ...]
    findings: tuple[Finding, ...]
    snapshot: dict[str, Any]
    show_values: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())
    resumed: str = ""  # what was taken up of a validation that did not end
    repairs: tuple[dict[str, Any], ...] = ()
    files: dict[str, str] = field(default_factory=dict)  # what lies beside the result: repair/1.sql, …
    selftest: SelfTest = field(default_factory=lambda: SelfTest(()))
    interactions: tuple[InteractionVerdict, ...] = ()
    criteria: Criteria = NO_CRITERIA

    @property
    def verdict(self) -> str:
        """different before incomparable before same: silence is never success.

        Code that cannot be replayed has its definition compared among the objects: of interactions a difference counts
        here, and the criteria say whether a proof was demanded.
        """
        return _worst(
            [table.verdict for table in self.tables]
            + [item.verdict for item in self.objects]
            + [item.verdict for item in self.relations]
            + ([] if self.selftest.passed else ["incomparable"])
            + [item.verdict for item in self.interactions if item.verdict == "different"]
            + self.criteria.verdicts
            or ["incomparable"]
        )

    def hop_verdict(self, hop: str) -> str:
        """The verdict of the tables on one hop."""
        return _worst([table.verdict for table in self.tables if table.hop == hop] or ["incomparable"])

    @property
    def coverage(self) -> dict[str, Any]:
        """How many columns are in which state by hop, and the chance that a `same` is wrong."""
        states = {
            hop: Counter(state for t in self.tables if t.hop == hop for state in t.columns.values()) for hop in HOPS
        }
        return {
            "columns": {
                hop: {state: counts.get(state, 0) for state in COLUMN_STATES} for hop, counts in states.items()
            },
            "interactions": counted(self.interactions),
            "hash_bits": 128,
            "probability_of_false_same": f"below {max(len(self.tables), 1)} x 2^-128 for differences that are not made on purpose",
            "selftest": self.selftest.asdict(),
            "notes": list(self.notes),
            "resumed": self.resumed,
        }

    def asdict(self) -> dict[str, Any]:
        """Plain values, as validate.json holds them."""
        return {
            "verdict": self.verdict,
            **self.criteria.asdict(),
            "hops": [
                {
                    "hop": hop,
                    "verdict": self.hop_verdict(hop),
                    "tables": sum(table.hop == hop for table in self.tables),
                    "rows_source": sum(table.rows_source or 0 for table in self.tables if table.hop == hop),
                    "rows_target": sum(table.rows_target or 0 for table in self.tables if table.hop == hop),
                }
                for hop in HOPS
            ],
            "tables": [
                {
                    **_plain(table, "samples", "classes", "keys", "let_through"),
                    "samples": [self._sample(row) for row in table.samples],
                    "tolerated": [
                        {**_plain(item, "samples"), "samples": [self._sample(row) for row in item.samples]}
                        for item in table.let_through
                    ],
                    "seconds": round(table.seconds, 3),
                }
                for table in self.tables
            ],
            "objects": [_plain(item, "parts", "mend", "undo") for item in self.objects],
            "relations": [asdict(item) for item in self.relations],
            "interactions": [asdict(item) for item in self.interactions],
            "findings": [
                {
                    **_plain(item, "samples"),
                    "share": item.share,
                    "samples": [self._sample(row) for row in item.samples],
                }
                for item in self.findings
            ],
            "repairs": list(self.repairs),
            "coverage": self.coverage,
            "snapshot": self.snapshot,
            "seconds": round(self.seconds, 1),
        }

    def _sample(self, row: RowDifference) -> dict[str, Any]:
        def shown(value: str | None) -> str | None:
            if value is None or self.show_values:
                return value
            return f"masked, {len(value)} characters"

        return {
            "kind": row.kind,
            "key": {name: shown(value) if row.keyless else value for name, value in row.key},
            "columns": {name: {"source": shown(before), "target": shown(after)} for name, before, after in row.columns},
        }

    def _repr_html_(self) -> str:
        return faces.stack(self.summary(), self.findings_table(), self.hops_table(), self.objects_table())

    def summary(self) -> faces.Html:
        """The verdict in boxes."""
        columns = Counter(state for table in self.tables for state in table.columns.values())
        rows = sum(table.rows_source or 0 for table in self.tables if table.hop == "source-target")
        boxes = faces.boxes(
            ("Verdict", faces.badge(self.verdict)),
            *((HOP_TITLES[hop], faces.badge(self.hop_verdict(hop))) for hop in HOPS),
            ("Rows compared", faces.human_count(rows)),
            ("Columns proven", f"{columns['proven']:,} of {sum(columns.values()):,}"),
            ("Findings", len(self.findings)),
        )
        return faces.stack(boxes, faces.text(f"Resumed {self.resumed}.")) if self.resumed else boxes

    @property
    def tolerances(self) -> Tolerances:
        """What rules of the mapping let through."""
        return Tolerances(
            tuple(
                (f"{table.database}.{table.table}", HOP_TITLES[table.hop], item)
                for table in self.tables
                for item in table.let_through
            )
        )

    def findings_table(self) -> faces.Html:
        """What is wrong: a line for each finding, and its rows folded under it."""
        if not self.findings:
            return faces.text("Nothing was found to be different.")
        return drilldown.findings(self.findings, HOP_TITLES, self._sample)

    def hops_table(self) -> faces.Html:
        """Every table with its verdict on each hop, differences first."""
        order = {"different": 0, "incomparable": 1, "same": 2}
        found: dict[tuple[str, str], dict[str, TableVerdict]] = {}
        for table in self.tables:
            found.setdefault((table.database, table.table), {})[table.hop] = table
        rows: list[dict[str, object]] = []
        for (database, name), hops in sorted(
            found.items(), key=lambda item: min(order[t.verdict] for t in item[1].values())
        ):
            first = next(iter(hops.values()))
            states = Counter(state for table in hops.values() for state in table.columns.values())
            rows.append(
                {
                    "table": f"{database}.{name}",
                    **{hop: faces.badge(hops[hop].verdict) if hop in hops else "" for hop in HOPS},
                    "rows": first.rows_source,
                    "similarity": faces.bar(min((t.similarity or 0.0) for t in hops.values())),
                    "states": ", ".join(f"{count} {state}" for state, count in sorted(states.items())),
                }
            )
        titles = {
            "table": "Table",
            **HOP_TITLES,
            "rows": "Rows",
            "similarity": "Rows alike",
            "states": "Columns on all hops",
        }
        return faces.table(rows, titles, caption="Tables, differences first", limit=500)

    def samples_table(self) -> faces.Html:
        """Rows that differ, with their keys; values are masked unless the params ask for them."""
        rows: list[dict[str, object]] = []
        for table in self.tables:
            for row in table.samples:
                plain = self._sample(row)
                rows.append(
                    {
                        "table": f"{table.database}.{table.table}",
                        "hop": HOP_TITLES[table.hop],
                        "kind": row.kind,
                        "key": ", ".join(f"{name} = {value}" for name, value in list(plain["key"].items())[:6]),
                        "columns": "; ".join(
                            f"{name}: {values['source']} → {values['target']}"
                            for name, values in plain["columns"].items()
                        ),
                    }
                )
        if not rows:
            return faces.text("No row differs.")
        titles = {"table": "Table", "hop": "Hop", "kind": "Row is", "key": "Key", "columns": "Columns: before → after"}
        return faces.table(rows, titles, caption="Rows that differ")

    def objects_table(self) -> faces.Html:
        """Objects by kind and verdict, then each that is not simply the same."""
        kinds = sorted({item.kind for item in self.objects})
        counts = [
            {
                "kind": kind,
                **{
                    verdict: sum(item.kind == kind and item.verdict == verdict for item in self.objects)
                    for verdict in ("same", "tolerated", "different", "incomparable")
                },
            }
            for kind in kinds
        ]
        titles = {
            "kind": "Kind",
            "same": "Same",
            "tolerated": "Changed on purpose",
            "different": "Different",
            "incomparable": "Not compared",
        }
        order = {"different": 0, "incomparable": 1, "tolerated": 2}
        rest = sorted((item for item in self.objects if item.verdict != "same"), key=lambda item: order[item.verdict])
        return faces.stack(
            faces.table(counts, titles, caption="Objects"),
            faces.table(
                [{**asdict(item), "verdict": faces.badge(item.verdict)} for item in rest],
                {"verdict": "Verdict", "kind": "Kind", "name": "Name", "detail": "Detail"},
                caption="Objects that are not simply the same",
            )
            if rest
            else faces.Html(""),
        )

    def relations_table(self) -> faces.Html:
        """Foreign keys with their orphans and the children of their parents; where the sides differ, all are shown."""
        return relations_face(self.relations)

    def relations_plot(self) -> "go.Figure":
        """The share of parents with no child, one, some and many, by relation and side."""
        return relations_figure(self.relations)

    def interactions_table(self) -> faces.Html:
        """Triggers, routines, events and views by what they do, counted, then one by one, differences first."""
        return interactions_face(self.interactions)

    def similarity_plot(self) -> "go.Figure":
        """Rows of each table on both ends of each hop, so that a difference jumps to the eye."""
        import plotly.graph_objects as go

        names = sorted({f"{table.database}.{table.table}" for table in self.tables})
        figure = go.Figure()
        shares = [
            [
                next((t.similarity for t in self.tables if f"{t.database}.{t.table}" == name and t.hop == hop), None)
                for hop in HOPS
            ]
            for name in names
        ]
        figure.add_heatmap(
            z=shares,
            x=[HOP_TITLES[hop] for hop in HOPS],
            y=[faces.plot_text(name) for name in names],
            zmin=0.0,
            zmax=1.0,
            # The last hundredth gets half of the colours: one row in a thousand must show.
            colorscale=[[0, "#8c2d04"], [0.5, "#d95f0e"], [0.99, "#fec44f"], [0.9999999, "#ffe8a3"], [1, "#1b7f6b"]],
            # Where not all rows are alike, the cell says how many are.
            text=[["" if share in (None, 1.0) else f"{share:.4%}" for share in row] for row in shares],
            texttemplate="%{text}",
            showscale=False,
            xgap=3,
            ygap=2,
            hovertemplate="%{y}<br>%{x}<br>%{z:.6%} of rows alike<extra></extra>",
        )
        figure.update_layout(
            title="Rows alike, by table and hop", height=140 + 18 * len(names), yaxis_autorange="reversed"
        )
        return figure

    def coverage_plot(self) -> "go.Figure":
        """How many columns are proven, tolerated, sampled, different or not comparable on each hop."""
        import plotly.graph_objects as go

        figure = go.Figure()
        colours = {
            "proven": "#1b7f6b",
            "tolerated": "#6aa9d8",
            "sampled": "#b8b8b8",
            "different": "#c0392b",
            "incomparable": "#d98e04",
        }
        columns = self.coverage["columns"]
        for state in COLUMN_STATES:
            figure.add_bar(
                orientation="h",
                y=[HOP_TITLES[hop] for hop in HOPS],
                x=[columns[hop][state] for hop in HOPS],
                name=state,
                marker_color=colours[state],
            )
        figure.update_layout(title="Columns by state", barmode="stack", xaxis_title="columns", height=260)
        return figure


def _plain(item: Any, *without: str) -> dict[str, Any]:
    """A dataclass as plain values without some of its fields."""
    kept = {part.name: getattr(item, part.name) for part in fields(item) if part.name not in without}
    return {name: asdict(value) if hasattr(value, "__dataclass_fields__") else value for name, value in kept.items()}


def _worst(verdicts: Sequence[str]) -> str:
    if "different" in verdicts:
        return "different"
    return "incomparable" if "incomparable" in verdicts else "same"
