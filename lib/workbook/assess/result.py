"""What an assessment found: findings by severity, the checks that ran, and those that could not and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from workbook import faces

SEVERITIES = ("blocker", "mend", "decide", "note")
MEANING = {
    "blocker": "stops the move",
    "mend": "a phase of the workbook changes it on the way",
    "decide": "a person must decide or change something",
    "note": "good to know",
}


@dataclass(frozen=True)
class Finding:
    """One object that a check names. `mended_by` is the phase that takes care of it, or None."""

    check: str
    severity: str
    object: str
    detail: str
    mended_by: str | None

    @property
    def kind(self) -> str:
        """The kind of the object: table, view, account, …"""
        return self.object.partition(" ")[0]

    @property
    def blocks(self) -> bool:
        """Whether nothing in the workbook gets past it."""
        return self.severity == "blocker" and self.mended_by is None


@dataclass(frozen=True)
class Skipped:
    """A check that could not look at all it should, and why."""

    check: str
    why: str


@dataclass(frozen=True)
class AssessResult:
    """Findings in order of severity; `titles` and `advice` by check, and how many objects there are of each kind."""

    findings: tuple[Finding, ...]
    checks_run: tuple[str, ...]
    checks_skipped: tuple[Skipped, ...]
    flavour: str
    titles: Mapping[str, str] = field(default_factory=dict)
    advice: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # check → why, what to do
    objects: Mapping[str, int] = field(default_factory=dict)
    statements_cut: int = 0

    @property
    def verdict(self) -> str:
        """ok, unless a blocker was found that no phase mends."""
        return "blocker" if any(finding.blocks for finding in self.findings) else "ok"

    def count(self, severity: str) -> int:
        """How many findings have a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def worst(self) -> Mapping[str, str]:
        """The worst severity found for each object."""
        worst: dict[str, str] = {}
        for finding in self.findings:
            known = worst.get(finding.object)
            if known is None or SEVERITIES.index(finding.severity) < SEVERITIES.index(known):
                worst[finding.object] = finding.severity
        return worst

    def readiness(self) -> Mapping[str, Mapping[str, int]]:
        """For each kind of object how many are ready (nothing found) and how many have which worst severity."""
        counted: dict[str, dict[str, int]] = {kind: {"ready": total} for kind, total in self.objects.items() if total}
        for name, severity in self.worst().items():
            kind = name.partition(" ")[0]
            line = counted.setdefault(kind, {"ready": 0})
            line[severity] = line.get(severity, 0) + 1
            line["ready"] = max(0, line["ready"] - 1)
        return counted

    def asdict(self) -> dict[str, Any]:
        """The assessment as plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
            "checks_run": list(self.checks_run),
            "checks_skipped": [asdict(skipped) for skipped in self.checks_skipped],
        }

    def _repr_html_(self) -> str:
        left = sum(finding.mended_by is None and finding.severity != "note" for finding in self.findings)
        return faces.stack(
            faces.boxes(
                ("Assessment", "ready to map" if self.verdict == "ok" else "not yet", self.verdict),
                *((severity.capitalize(), self.count(severity)) for severity in SEVERITIES),
                ("Left for a person", left),
                ("Checks run", len(self.checks_run)),
                ("Checks skipped", len(self.checks_skipped)),
            ),
            *(self._group(severity) for severity in SEVERITIES if self.count(severity)),
            faces.text("Nothing was found.") if not self.findings else None,
            faces.table(
                [
                    {"check": item.check, "title": self.titles.get(item.check, ""), "why": item.why}
                    for item in self.checks_skipped
                ],
                {"check": "Check", "title": "What it looks for", "why": "Why it could not look, or not everywhere"},
                caption="Skipped: these are not passed",
            )
            if self.checks_skipped
            else None,
            faces.text(
                f"Of {self.statements_cut:,} statements of applications the server kept only the beginning; what stands "
                "further on was not searched.",
                muted=True,
            )
            if self.statements_cut
            else None,
        )

    def _group(self, severity: str) -> faces.Html:
        checks = list(dict.fromkeys(finding.check for finding in self.findings if finding.severity == severity))
        parts: list[object] = []
        for check in checks:
            found = [finding for finding in self.findings if (finding.check, finding.severity) == (check, severity)]
            why, todo = self.advice.get(check, ("", ""))
            parts.append(
                faces.details(
                    faces.Html(f"{faces.escape(self.titles.get(check, check))} ({len(found):,})"),
                    faces.stack(
                        faces.text(why),
                        faces.text(todo),
                        faces.table(
                            [
                                {
                                    "object": item.object,
                                    "detail": item.detail,
                                    "mended": item.mended_by or "by a person",
                                }
                                for item in found
                            ],
                            {"object": "Object", "detail": "What was found", "mended": "Mended"},
                        ),
                    ),
                    opened=severity in ("blocker", "decide"),
                )
            )
        head = faces.Html(f"{faces.badge(severity)} {faces.escape(MEANING[severity])}")
        return faces.stack(faces.text(head), *parts)
