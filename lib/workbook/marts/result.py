"""What a night made of the marts: which are new, which stay as they were and why, what they cost and where they come from."""

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.marts.files import Mart, Marts, MartTest
from workbook.marts.lineage import Lineage, Origin
from workbook.warehouse.result import WarehouseResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_HEADINGS = {
    "name": "Mart",
    "status": "In place",
    "why": "Why",
    "rows": "Rows",
    "change": "Before",
    "versions": "Versions",
    "tests": "Tests passed",
    "said": "Dry run",
    "read": "Read",
    "size": "Size",
    "seconds": "Time",
}


@dataclass(frozen=True)
class Failing:
    """A test of a mart that finds rows, with the query that lists them."""

    what: str
    sql: str
    rows: int


@dataclass(frozen=True)
class Tested:
    """A test of one's own: how many rows it finds (None: it could not run, and `why`)."""

    test: MartTest
    rows: int | None
    why: str = ""
    sql: str = ""

    @property
    def status(self) -> str:
        """passed, failed, error or skipped."""
        if self.rows is not None:
            return "failed" if self.rows else "passed"
        return "error" if self.sql else "skipped"


@dataclass(frozen=True)
class Built:
    """A mart of the night. `status` is ok, failed (a test finds rows), error (it could not be built) or held back.

    Only one that is ok took the place of the one before. `began` and `ended` are versions of a history. Bytes are None
    where the warehouse does not tell.
    """

    mart: Mart
    status: str = "ok"
    why: str = ""
    rows: int = 0
    rows_before: int | None = None
    began: int | None = None
    ended: int | None = None
    tests: int = 0
    failing: tuple[Failing, ...] = ()
    bytes: int | None = None
    bytes_estimated: int | None = None
    bytes_read: int | None = None
    seconds: float = 0.0

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("mart", "failing")}
        return {"name": self.mart.name, **values, "failing": [asdict(one) for one in self.failing]}


@dataclass(frozen=True)
class Night:
    """The load of a night and the marts built of it; `left` are marts that no file makes any more."""

    loaded: WarehouseResult
    marts: Marts
    built: tuple[Built, ...]
    tested: tuple[Tested, ...]
    lineage: Lineage
    dataset: str
    seconds: float
    left: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """ok, or failed where a row of the load is unaccounted for or a mart or a test is not right."""
        good = all(one.status == "ok" for one in self.built) and all(one.status == "passed" for one in self.tested)
        return "ok" if self.loaded.verdict == "ok" and good else "failed"

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON: those of the load, and the marts."""
        return {
            **self.loaded.asdict(),
            "verdict": self.verdict,
            "marts": {
                "dataset": self.dataset,
                "seconds": round(self.seconds, 3),
                "left": list(self.left),
                "built": [{**one.asdict(), "columns": self._columns(one.mart)} for one in self.built],
                "tests": [
                    {
                        "name": one.test.name,
                        "description": one.test.description,
                        "status": one.status,
                        "rows": one.rows,
                        "why": one.why,
                    }
                    for one in self.tested
                ],
                "lineage_unknown": dict(self.lineage.unknown),
            },
        }

    def _columns(self, mart: Mart) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "description": text,
                "reads": list(map(str, self.lineage.of(mart.name, name).read)),
                "source": list(map(str, self.lineage.of(mart.name, name).source)),
            }
            for name, text in mart.columns.items()
        ]

    def plot_lineage(self) -> "Figure | faces.Html":
        """Tables of the source, clean tables and marts, joined by the columns that flow from one to the next."""
        import plotly.graph_objects as go

        if not self.built:
            return faces.text("There are no marts.")
        faces.plot_theme()
        nodes, links = self._flows
        kinds = {"source": "#8a8d91", "raw": "#3a9bd6", "clean": "#0072b2", "marts": "#009e73"}
        places = {name: number for number, name in enumerate(nodes)}
        figure = go.Figure(
            go.Sankey(
                arrangement="snap",
                node={
                    "label": [faces.plot_text(name.split(" ", 1)[1]) for name in nodes],
                    "color": [kinds[name.split(" ", 1)[0]] for name in nodes],
                    "customdata": [name.split(" ", 1)[0] for name in nodes],
                    "hovertemplate": "%{customdata}: %{label}<extra></extra>",
                    "pad": 14,
                    "thickness": 14,
                },
                link={
                    "source": [places[one] for one, _ in links],
                    "target": [places[other] for _, other in links],
                    "value": list(links.values()),
                    "color": "rgba(128,138,150,0.35)",
                    "hovertemplate": "%{source.label} → %{target.label}: %{value:.0f} columns<extra></extra>",
                },
            )
        )
        figure.update_layout(
            title="From the source through the clean tables to the marts, by columns",
            height=max(360, 140 + 30 * sum(name.startswith("clean ") for name in nodes)),
        )
        return figure

    @cached_property
    def _flows(self) -> tuple[list[str], Counter[tuple[str, str]]]:
        """The nodes of the lineage's plot and how many columns flow from one to another."""
        links: Counter[tuple[str, str]] = Counter()
        into: set[tuple[str, str, str]] = set()
        for (mart, _), origin in self.lineage.origins.items():
            for place in origin.read:
                links[f"{place.layer} {place.table}", f"marts {mart}"] += 1
                if place.layer != "marts":
                    into.add((place.layer, place.table, place.column))
        named = {table.clean.split(".", 1)[1]: f"source {table.database}.{table.table}" for table in self.loaded.tables}
        for layer, table, _ in sorted(into):
            if table in named:
                links[named[table], f"{layer} {table}"] += 1
        nodes = list(dict.fromkeys(name for link in links for name in link))
        return nodes, links

    def _repr_html_(self) -> str:
        if not self.built:
            return faces.text("The params name no folder of marts (`warehouse.marts`): none were built.")
        passed = sum(one.tests - len(one.failing) for one in self.built) + sum(
            one.status == "passed" for one in self.tested
        )
        tests = sum(one.tests for one in self.built) + len(self.tested)
        said = [one.bytes_estimated for one in self.built if one.bytes_estimated is not None]
        read = [one.bytes_read for one in self.built if one.bytes_read is not None]
        good = [one for one in self.built if one.status == "ok"]
        kept = [one for one in self.built if one.status != "ok"]
        rows = [self._row(one) for one in self.built]
        # What no mart has to say needs no column.
        headings = {name: heading for name, heading in _HEADINGS.items() if any(row[name] != "" for row in rows)}
        return faces.stack(
            faces.boxes(
                ("Marts", faces.human_seconds(self.seconds), "ok" if not kept else "failed"),
                ("New tonight", f"{len(good)} of {len(self.built)}"),
                ("Rows", faces.human_count(sum(one.rows for one in good))),
                ("Tests passed", f"{passed} of {tests}", "ok" if passed == tests else "failed"),
                ("Read", faces.human_bytes(sum(read)) if read else "not told here"),
                *([("By dry run before", faces.human_bytes(sum(said)))] if said else []),
            ),
            faces.text(
                f"Not in place: {', '.join(one.mart.name for one in kept)}. Analysts go on reading the tables of the night"
                " before, where there are such; the reasons stand below."
            )
            if kept
            else faces.text(f"All are in {self.dataset}, in the place of those before.", muted=True),
            faces.table(rows, headings, caption="Marts in the order in which they are built", limit=300),
            faces.table(
                [
                    {
                        "name": one.test.name,
                        "text": one.test.description,
                        "status": faces.badge(one.status),
                        "rows": faces.Html("") if one.rows is None else one.rows,
                        "why": one.why,
                    }
                    for one in self.tested
                ],
                {"name": "Test", "text": "What it holds", "status": "Outcome", "rows": "Rows found", "why": "Why"},
                caption="Tests of your own",
                limit=300,
            )
            if self.tested
            else None,
            *(
                faces.details(
                    f"{one.mart.name}: {failing.what} – not so in {failing.rows:,} rows", faces.code(failing.sql)
                )
                for one in self.built
                for failing in one.failing
            ),
            *(
                faces.details(f"{one.test.name}: the query", faces.code(one.sql))
                for one in self.tested
                if one.status in ("failed", "error")
            ),
            faces.text(
                f"From earlier nights, and made by no file any more: {', '.join(self.left)}. They are as old as they are:"
                " drop them, or bring their files back."
            )
            if self.left
            else None,
            *(self._documented(one.mart) for one in self.built),
        )

    def _row(self, one: Built) -> dict[str, Any]:
        history = one.began is not None
        return {
            "name": one.mart.name,
            "status": faces.badge(one.status),
            "why": one.why,
            "rows": one.rows if one.status in ("ok", "failed") else faces.Html(""),
            "change": faces.Html("") if one.rows_before is None else one.rows_before,
            "versions": f"{one.began:,} began, {one.ended:,} ended" if history else "",
            "tests": f"{one.tests - len(one.failing)} of {one.tests}" if one.tests else "none",
            "said": _bytes(one.bytes_estimated),
            "read": _bytes(one.bytes_read),
            "size": _bytes(one.bytes),
            "seconds": faces.human_seconds(one.seconds),
        }

    def _documented(self, mart: Mart) -> faces.Html:
        unknown = self.lineage.unknown.get(mart.name)
        rows = [
            {"column": name, "text": text, **_origin(self.lineage.of(mart.name, name))}
            for name, text in mart.columns.items()
        ]
        laid_out = [
            f"key {', '.join(mart.key)}" if mart.key else "",
            f"partitioned by the {mart.header.partition_unit} of {mart.header.partition_by}"
            if mart.header.partition_by
            else "",
            f"clustered by {', '.join(mart.header.cluster_by)}" if mart.header.cluster_by else "",
            *(f"{column} leads to {place}" for column, place in mart.header.references.items()),
        ]
        return faces.details(
            f"{mart.name}: {len(mart.columns)} columns and where they come from",
            faces.stack(
                faces.text(mart.header.description),
                faces.text("; ".join(filter(None, laid_out)), muted=True),
                faces.text(unknown) if unknown else None,
                faces.table(
                    rows,
                    {"column": "Column", "text": "What it is", "read": "Read from", "source": "On the source"},
                    limit=500,
                ),
            ),
            anchor=f"mart-{mart.name}",
        )


def _origin(origin: Origin) -> dict[str, Any]:
    computed = faces.Html("")
    return {
        "read": list(map(str, origin.read)) or computed,
        "source": [f"{one} ({', '.join(one.rules)})" if one.rules else str(one) for one in origin.source] or computed,
    }


def _bytes(count: int | None) -> str:
    return "" if count is None else faces.human_bytes(count)
