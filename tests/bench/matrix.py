"""Defects by tools: who finds what, as a table for the terminal, for JSON and for the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbook.faces import escape

_GOOD, _SOME, _BAD = "#d5efe4", "#fdf0cf", "#f7d4cf"


@dataclass(frozen=True)
class Line:
    """A defect: by tool the variants that were planted, each with why it was not found (nothing: it was)."""

    number: int
    defect: str
    seen: Mapping[str, Mapping[str, str]]

    def counts(self, tool: str) -> tuple[int, int]:
        """How many variants a tool found, and how many there are."""
        return sum(not why for why in self.seen[tool].values()), len(self.seen[tool])


@dataclass(frozen=True)
class Matrix:
    """All defects by all tools; `missing` says of a tool why it could not be had."""

    title: str
    tools: tuple[str, ...]
    lines: tuple[Line, ...]
    missing: Mapping[str, str]

    @property
    def good(self) -> bool:
        """Whether the first tool, ours, found everything, and no other was missing."""
        return not self.missing and all(
            line.counts(self.tools[0])[0] == line.counts(self.tools[0])[1] for line in self.lines
        )

    def totals(self, tool: str) -> tuple[int, int]:
        """Variants found and planted."""
        counts = [line.counts(tool) for line in self.lines]
        return sum(found for found, _ in counts), sum(planted for _, planted in counts)

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "title": self.title,
            "missing": dict(self.missing),
            "totals": {tool: self.totals(tool) for tool in self.tools if tool not in self.missing},
            "defects": [
                {
                    "number": line.number,
                    "defect": line.defect,
                    "seen": {tool: dict(of) for tool, of in line.seen.items()},
                }
                for line in self.lines
            ],
        }

    def text(self) -> str:
        """One line a defect: how many of its variants each tool found."""
        head = "".join(f"{tool:>12}" for tool in self.tools)
        rows = [f"{'found of the variants planted':48}{head}"]
        for line in self.lines:
            rows.append(
                f"{line.number:>2} {line.defect[:44]:45}" + "".join(f"{self._cell(line, t):>12}" for t in self.tools)
            )
        totals = ("MISSING" if tool in self.missing else "{} of {}".format(*self.totals(tool)) for tool in self.tools)
        rows.append(f"{'all':48}" + "".join(f"{total:>12}" for total in totals))
        rows += [f"MISSING: {tool}: {why}" for tool, why in self.missing.items()]
        return "\n".join(rows)

    def html(self) -> str:
        """The same as a table, each cell in the colour of what was found, why not in its title."""
        head = "".join(f"<th>{escape(tool)}</th>" for tool in ("", "Defect", *self.tools))
        rows = []
        for line in self.lines:
            cells = "".join(self._td(line, tool) for tool in self.tools)
            rows.append(f"<tr><td>{line.number}</td><td>{escape(line.defect)}</td>{cells}</tr>")
        missing = "".join(f"<p><b>MISSING: {escape(tool)}</b>: {escape(why)}</p>" for tool, why in self.missing.items())
        return (
            f"<h2>{escape(self.title)}</h2><p>Variants found with all their rows, of those planted; by column and by schema a"
            " tool cannot say which rows: that it names the column counts. Point at a cell to see why something was"
            f" missed.</p>{missing}<table><tr>{head}</tr>{''.join(rows)}</table>"
        )

    def _cell(self, line: Line, tool: str) -> str:
        return "-" if tool in self.missing else "{} of {}".format(*line.counts(tool))

    def _td(self, line: Line, tool: str) -> str:
        if tool in self.missing:
            return "<td>missing</td>"
        found, planted = line.counts(tool)
        colour = _GOOD if found == planted else _SOME if found else _BAD
        why = "; ".join(f"{variant}: {said}" for variant, said in line.seen[tool].items() if said)
        return f'<td style="background:{colour}" title="{escape(why)}">{found} of {planted}</td>'
