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


EFFORTS = ("automatic", "minutes", "hours", "project")
_MEANING_OF_EFFORT = {
    "automatic": "nothing to do: a phase does it",
    "minutes": "a setting or a word for each",
    "hours": "code or clients change",
    "project": "something must be written anew",
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
    """Findings in order of severity; `titles`, `advice` and `efforts` by check, and how many objects there are of each kind.

    `segments` names the segment of each table and trigger, by database.name.
    """

    findings: tuple[Finding, ...]
    checks_run: tuple[str, ...]
    checks_skipped: tuple[Skipped, ...]
    flavour: str
    version: str = "8.4"
    titles: Mapping[str, str] = field(default_factory=dict)
    advice: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # check → why, what to do
    efforts: Mapping[str, str] = field(default_factory=dict)
    segments: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, int] = field(default_factory=dict)
    statements_cut: int = 0

    @property
    def verdict(self) -> str:
        """ok, unless a blocker was found that no phase mends."""
        return "blocker" if any(finding.blocks for finding in self.findings) else "ok"

    def count(self, severity: str) -> int:
        """How many findings have a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def segment_of(self, finding: Finding) -> str:
        """The segment of what a finding names; for what belongs to no table: code, accounts or server."""
        name = finding.object.partition(" ")[2]
        if finding.kind in ("foreign",):
            name = name.partition(" ")[2]
        while name:
            if segment := self.segments.get(name):
                return segment
            name = name.rpartition(".")[0]
        if finding.kind in ("view", "procedure", "function", "event", "trigger", "statement"):
            return "code"
        return "accounts" if finding.kind == "account" else "server" if finding.kind != "table" else "tables"

    def by_segment(self) -> Mapping[str, Mapping[str, int]]:
        """How many findings of each severity each segment has."""
        counted: dict[str, dict[str, int]] = {name: {} for name in dict.fromkeys(self.segments.values()) if name}
        for finding in self.findings:
            line = counted.setdefault(self.segment_of(finding), {})
            line[finding.severity] = line.get(finding.severity, 0) + 1
        return counted

    def work(self) -> Mapping[str, Mapping[str, int]]:
        """By effort: how many checks found something, and how many findings that are; notes left out."""
        counted: dict[str, dict[str, int]] = {effort: {"checks": 0, "findings": 0} for effort in EFFORTS}
        seen = set()
        for finding in self.findings:
            if finding.severity == "note":
                continue
            line = counted[self.efforts.get(finding.check, "hours")]
            line["findings"] += 1
            line["checks"] += finding.check not in seen
            seen.add(finding.check)
        return counted

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
            if kind not in counted:
                # Settings, columns and keys are not counted, so there is no share of them.
                continue
            line = counted[kind]
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
            "target_version": self.version,
            "segments": {name: dict(counts) for name, counts in self.by_segment().items()},
            "work": {effort: dict(counts) for effort, counts in self.work().items()},
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
                ("Target", f"MySQL {self.version}"),
            ),
            self._summary(),
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

    def _summary(self) -> faces.Html:
        """What a lead reads in a minute: for each effort what there is to do, and who does it."""
        lines = []
        for effort in reversed(EFFORTS):
            found = [it for it in self.findings if it.severity != "note" and self.efforts.get(it.check) == effort]
            for check in dict.fromkeys(it.check for it in found):
                own = [it for it in found if it.check == check]
                places = sorted({self.segment_of(it) for it in own})
                lines.append(
                    {
                        "what": f"{self.titles.get(check, check)} ({len(own):,})",
                        "severity": faces.badge(own[0].severity),
                        "work": effort,
                        "who": f"the phase {own[0].mended_by}" if own[0].mended_by else "a person",
                        "where": ", ".join(places[:4]) + (", …" if len(places) > 4 else ""),
                    }
                )
        lines.sort(key=lambda it: it["who"] != "a person")
        if not lines:
            return faces.text("Nothing blocks, nothing is to be mended, nothing is to be decided.")
        return faces.stack(
            faces.table(
                lines,
                {"what": "What", "severity": "Severity", "work": "Work", "who": "Who does it", "where": "Where"},
                caption="In a minute: what is to do, the most work first",
            ),
            faces.text(
                "Work: " + "; ".join(f"{effort} - {meaning}" for effort, meaning in _MEANING_OF_EFFORT.items()) + ".",
                muted=True,
            ),
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
                    opened=severity == "blocker",
                )
            )
        head = faces.Html(f"{faces.badge(severity)} {faces.escape(MEANING[severity])}")
        return faces.stack(faces.text(head), *parts)
