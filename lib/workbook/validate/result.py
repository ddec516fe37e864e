"""The verdict of a validation, down to the column, with what each finding means."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.catalog import Table
from workbook.validate import drilldown, heatmap, table_face
from workbook.validate.again import SecondLook
from workbook.validate.alike import TableHops, by_table
from workbook.validate.criteria import NO_CRITERIA, Criteria
from workbook.validate.explain import TableDefect
from workbook.validate.front import chance, front
from workbook.validate.hops import COLUMN_STATES, HOP_TITLES, HOPS, worst_verdict
from workbook.validate.proof import Proof
from workbook.validate.relations_face import RelationVerdict, relations_face
from workbook.validate.replay_verdict import InteractionVerdict, counted, interactions_face
from workbook.validate.rows import Encoded, ListedRow, RowDifference
from workbook.validate.selftest import SelfTest
from workbook.validate.since import Since
from workbook.validate.statistics import TableStatistics
from workbook.validate.statistics_face import unlike_figures
from workbook.validate.tolerances import LetThrough, Tolerances

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Findings that validate.json holds, and characters of a value in it; all findings are in a file beside it.
MOST_FINDINGS, _MOST_CHARACTERS = 20_000, 1_000
_AGAIN = {"rows": "Looked at again", "agreed": "Then agreed", "wrong": "Wrong", "unsettled": "Unsettled"}


@dataclass(frozen=True)
class TableVerdict:
    """A table on one hop. `columns` holds the state of each; rows are counted on both ends of the hop.

    `similarity` is the share of rows alike among all rows of both ends (1.0 where both are empty); None where unknown.
    `classes` are the defects its differing rows show; `keys` the encoded keys of those rows, for their repair; `listed`
    those that were read, for the file of rows. `again` tells of rows that differed while something moved. `proof` is full,
    or delta: then `touched` rows were read now, and the others in the run `proven_in`. `behind` rows changed on Cloud SQL
    after the warehouse was loaded. `let_through` is what rules of the mapping changed or tolerated; `counted` False where
    more rows may differ.
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
    listed: tuple[ListedRow, ...] = ()
    again: SecondLook | None = None
    proof: str = "full"
    proven_in: str = ""
    touched: int | None = None
    behind: int = 0
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
    segments: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by table
    statistics: tuple[TableStatistics, ...] = ()
    proof: Proof = field(default_factory=Proof)
    criteria: Criteria = NO_CRITERIA

    @property
    def notes_when_good(self) -> dict[str, Any]:
        """What the ledger keeps after a good verdict: where a later validation goes on."""
        return {"proof": self.proof.cursor} if self.proof.cursor else {}

    @property
    def verdict(self) -> str:
        """different before incomparable before same: silence is never success.

        Code that cannot be replayed has its definition compared among the objects: of interactions a difference counts
        here, and the criteria say whether a proof was demanded.
        """
        return worst_verdict(
            [table.verdict for table in self.tables]
            + [item.verdict for item in self.objects]
            + [item.verdict for item in self.relations]
            + ([] if self.selftest.passed else ["incomparable"])
            + [item.verdict for item in self.interactions if item.verdict == "different"]
            + self.criteria.verdicts
        )

    def hop_verdict(self, hop: str) -> str:
        """The verdict of the tables on one hop."""
        return worst_verdict(table.verdict for table in self.tables if table.hop == hop)

    @cached_property
    def by_table(self) -> tuple[TableHops, ...]:
        """The tables with their hops, worst first."""
        return by_table(self.tables, self.segments)

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
            "probability_of_false_same": f"{chance(len(self.tables))}, for differences that are not made on purpose",
            "selftest": self.selftest.asdict(),
            "proof": self.proof.asdict(),
            "second_look": self._second_look(),
            "notes": list(self.notes),
            "resumed": self.resumed,
        }

    def _second_look(self) -> dict[str, Any]:
        """How many rows that differed while something moved were looked at again, and what came of them."""
        looks = [table.again for table in self.tables if table.again is not None]
        counts = {name: sum(getattr(look, name) for look in looks) for name in ("rows", "agreed", "wrong", "unsettled")}
        return {**counts, "tables": len(looks), "way": looks[0].way if looks else ""}

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
                    **_plain(table, "samples", "classes", "keys", "listed", "let_through"),
                    "segment": self.segments.get((table.database, table.table)),
                    "listed": len(table.listed),
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
                for item in self.findings[:MOST_FINDINGS]
            ],
            "findings_in_all": {"count": len(self.findings), "file": drilldown.FINDINGS if self.findings else None},
            "statistics": {
                "tables": len(self.statistics),
                "figures": sum(table.figures for table in self.statistics),
                "unlike": sum(table.unlike for table in self.statistics),
                "file": table_face.COLUMNS,
            },
            "repairs": list(self.repairs),
            "coverage": self.coverage,
            "snapshot": self.snapshot,
            "seconds": round(self.seconds, 1),
        }

    def _sample(self, row: RowDifference) -> dict[str, Any]:
        def shown(value: str | None) -> str | None:
            if value is None:
                return value
            return cut(value) if self.show_values else f"masked, {len(value)} characters"

        def cut(value: str | None) -> str | None:
            if value is None or len(value) <= _MOST_CHARACTERS:
                return value
            return f"{value[:_MOST_CHARACTERS]}… ({len(value):,} characters)"

        return {
            "kind": row.kind,
            "key": {name: shown(value) if row.keyless else cut(value) for name, value in row.key},
            "columns": {name: {"source": shown(before), "target": shown(after)} for name, before, after in row.columns},
        }

    def _repr_html_(self) -> str:
        return faces.stack(self.summary(), self.findings_table(), self.heat_map(), self.objects_table())

    def summary(self) -> faces.Html:
        """The page to sign: verdict, coverage, segments, proof."""
        page = front(self, self.by_table, table_face.anchors(self.by_table))
        return faces.stack(page, faces.text(f"Resumed {self.resumed}.")) if self.resumed else page

    def since(self, previous: tuple[str, Mapping[str, Any]] | None) -> Since:
        """What changed since the result of an earlier run, given its name and its content (Phase.previous)."""
        run, before = previous or ("", None)
        return Since(run, before, self.asdict())

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
        places = {".".join(path): anchor for path, anchor in table_face.anchors(self.by_table).items()}
        return drilldown.findings(self.findings, HOP_TITLES, self._sample, places)

    def heat_map(self) -> faces.Html:
        """Tables by columns, worst first, the others found by their names."""
        return heatmap.heat_map(self.by_table, table_face.anchors(self.by_table))

    def statistics_table(self) -> faces.Html:
        """The figures that are not the source's, the farthest off first."""
        return unlike_figures(self.statistics)

    def tables_in_detail(self) -> faces.Html:
        """Each table with its columns on every hop, statistics side by side, and rows that differ."""
        findings: dict[str, list[Finding]] = {}
        for item in self.findings:
            findings.setdefault(item.object, []).append(item)
        counted = {table.path: table for table in self.statistics}
        return table_face.drill_downs(self.by_table, counted, findings, self._sample)

    def proof_face(self) -> faces.Html:
        """How the tables were proven, and what came of rows that were looked at again or that the warehouse lacks yet."""
        rows: list[dict[str, object]] = [
            {
                "table": f"{table.database}.{table.table}",
                "hop": HOP_TITLES[table.hop],
                "verdict": faces.badge(table.verdict),
                "behind": table.behind,
                **({name: getattr(table.again, name) for name in _AGAIN} if table.again else {}),
            }
            for table in self.tables
            if table.again or table.behind
        ]
        if not rows:
            return faces.stack(
                faces.Html(self.proof._repr_html_()), faces.text("Nothing moved: no row was looked at twice.")
            )
        titles = {"table": "Table", "hop": "Hop", "verdict": "Verdict", **_AGAIN, "behind": "Newer than the warehouse"}
        looked = faces.table(rows, titles, caption="Rows that moved", limit=200)
        ways = {table.again.way for table in self.tables if table.again}
        how = faces.text(f"How far the target is, is known {next(iter(ways))}.") if ways else faces.Html("")
        return faces.stack(faces.Html(self.proof._repr_html_()), looked, how)

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

    def interactions_table(self) -> faces.Html:
        """Triggers, routines, events and views by what they do, counted, then one by one, differences first."""
        return interactions_face(self.interactions)

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
