"""What changed since the previous validation of the same environment: findings new, gone and still there, verdicts, rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbook import faces
from workbook.validate.hops import COLUMN_STATES, HOP_TITLES, HOPS

# Lines of each list on the page; both results have all of them.
_MOST = 50
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Since:
    """Two results of validations set side by side, as their JSON holds them; `before` is None for the first."""

    run: str
    before: Mapping[str, Any] | None
    now: Mapping[str, Any]

    @property
    def new(self) -> tuple[Mapping[str, Any], ...]:
        """Findings that were not there."""
        known = _findings(self.before)
        return tuple(item for key, item in _findings(self.now).items() if key not in known)

    @property
    def gone(self) -> tuple[Mapping[str, Any], ...]:
        """Findings that are not there any more."""
        known = _findings(self.now)
        return tuple(item for key, item in _findings(self.before).items() if key not in known)

    @property
    def still(self) -> tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...]:
        """Findings that are there yet, before and now."""
        known = _findings(self.before)
        return tuple((known[key], item) for key, item in _findings(self.now).items() if key in known)

    @property
    def tables(self) -> tuple[dict[str, Any], ...]:
        """Tables with another verdict, or another number of rows on the source; those farthest apart first."""
        then, now = _tables(self.before), _tables(self.now)
        found = []
        for name in dict.fromkeys([*now, *then]):
            one, other = then.get(name), now.get(name)
            if one == other:
                continue
            rows = [table["rows"] if table else None for table in (one, other)]
            verdicts = [table["verdict"] if table else "not compared" for table in (one, other)]
            apart = (rows[1] or 0) - (rows[0] or 0)
            found.append({"table": name, "then": verdicts[0], "now": verdicts[1], "rows": rows, "apart": apart})
        return tuple(sorted(found, key=lambda item: (item["then"] == item["now"], -abs(item["apart"]), item["table"])))

    def _repr_html_(self) -> str:
        if self.before is None:
            return faces.text("This is the first validation of this environment whose result is still there.")
        return faces.stack(
            faces.text(f"Compared with the run {self.run}."),
            faces.boxes(
                ("Verdict then", faces.badge(self.before.get("verdict", "unknown"))),
                ("Verdict now", faces.badge(self.now["verdict"])),
                ("Findings new", len(self.new)),
                ("Gone", len(self.gone)),
                ("Still there", len(self.still)),
            ),
            self._findings_table(),
            self._coverage_table(),
            self._tables_table(),
        )

    def _findings_table(self) -> faces.Html | None:
        lines: list[dict[str, object]] = []
        for word, items in (("new", self.new), ("gone", self.gone), ("still there", [now for _, now in self.still])):
            then = {id(now): before for before, now in self.still}
            for item in items[:_MOST]:
                before = (
                    then[id(item)].get("rows") if word == "still there" else item["rows"] if word == "gone" else None
                )
                lines.append(
                    {
                        "is": faces.badge(word),
                        "what": faces.Html(f'<div class="wb-words">{_leading(item, word)}</div>'),
                        "hop": HOP_TITLES.get(item["hop"], item["hop"]),
                        "where": ".".join(filter(None, (item["object"], item["column"]))),
                        "then": "–" if before is None else before,
                        "now": "–" if word == "gone" or item["rows"] is None else item["rows"],
                    }
                )
        if not lines:
            return None
        heads = {
            "is": "Finding is", "what": "What", "hop": "Hop", "where": "Where", "then": "Rows then", "now": "Rows now",
        }  # fmt: skip
        left = sum(max(0, len(items) - _MOST) for items in (self.new, self.gone, self.still))
        more = faces.text(f"{left:,} more are in the validate.json of both runs.", muted=True) if left else None
        return faces.stack(faces.table(lines, heads, caption="Findings, then and now", limit=3 * _MOST), more)

    def _coverage_table(self) -> faces.Html | None:
        then, now = ((result or {}).get("coverage", {}).get("columns", {}) for result in (self.before, self.now))
        lines = [
            {"hop": HOP_TITLES[hop], "state": state, "then": one, "now": other, "apart": f"{other - one:+,}"}
            for hop in HOPS
            for state in COLUMN_STATES
            if (one := then.get(hop, {}).get(state, 0)) != (other := now.get(hop, {}).get(state, 0))
        ]
        if not lines:
            return faces.text("The coverage is as it was: as many columns in each state on every hop.", muted=True)
        heads = {"hop": "Hop", "state": "Columns", "then": "Then", "now": "Now", "apart": "Change"}
        return faces.table(lines, heads, caption="Coverage, then and now")

    def _tables_table(self) -> faces.Html:
        changed = self.tables
        if not changed:
            return faces.text("Every table has the verdict and the number of rows that it had.", muted=True)
        most = max(abs(item["apart"]) for item in changed) or 1
        lines = [
            {
                "table": item["table"],
                "then": faces.badge(item["then"]),
                "now": faces.badge(item["now"]),
                "before": item["rows"][0],
                "after": item["rows"][1],
                "apart": faces.Html(f"{faces.bare(faces.diverging(item['apart'] / most, 'info'))} {item['apart']:+,}"),
            }
            for item in changed
        ]
        heads = {
            "table": "Table", "then": "Verdict then", "now": "Now", "before": "Rows then", "after": "Rows now", "apart": "Change",
        }  # fmt: skip
        return faces.table(lines, heads, caption="Tables with another verdict or other rows", limit=_MOST)


def _leading(item: Mapping[str, Any], word: str) -> faces.Html:
    """What is wrong; where it is on the page, the way to it."""
    return faces.escape(item["defect"]) if word == "gone" else faces.links([(f"finding-{item['id']}", item["defect"])])


def _findings(result: Mapping[str, Any] | None) -> dict[Key, Mapping[str, Any]]:
    """Findings by what they say is wrong, and where: their numbers are those of one run."""
    items: Sequence[Mapping[str, Any]] = (result or {}).get("findings") or ()
    return {(item["defect"], item["hop"], item["object"], item["column"] or ""): item for item in items}


def _tables(result: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """By table its rows on the source and the worst of its verdicts."""
    order = ("different", "incomparable", "same")
    found: dict[str, dict[str, Any]] = {}
    for table in (result or {}).get("tables") or ():
        of_it = found.setdefault(f"{table['database']}.{table['table']}", {"rows": None, "verdict": "same"})
        if table["hop"] == "source-target":
            of_it["rows"] = table["rows_source"]
        of_it["verdict"] = min(
            of_it["verdict"], table["verdict"], key=lambda word: order.index(word) if word in order else 0
        )
    return found
