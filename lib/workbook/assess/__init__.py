"""What Cloud SQL will refuse or change of a source, against standard MySQL."""

from workbook.assess.check import VERSIONS, Check
from workbook.assess.checks import checks_for
from workbook.assess.evidence import Evidence, read_evidence
from workbook.assess.plots import plot_readiness, plot_segments
from workbook.assess.result import AssessResult, Finding, Skipped
from workbook.assess.run import assess, judge

__all__ = [
    "VERSIONS",
    "AssessResult",
    "Check",
    "Evidence",
    "Finding",
    "Skipped",
    "assess",
    "checks_for",
    "judge",
    "plot_readiness",
    "plot_segments",
    "read_evidence",
]
