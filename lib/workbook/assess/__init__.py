"""What Cloud SQL will refuse or change of a source, against standard MySQL."""

from workbook.assess.checks import CHECKS, Check
from workbook.assess.evidence import Evidence, read_evidence
from workbook.assess.plots import plot_readiness
from workbook.assess.result import AssessResult, Finding, Skipped
from workbook.assess.run import assess, judge

__all__ = [
    "CHECKS",
    "AssessResult",
    "Check",
    "Evidence",
    "Finding",
    "Skipped",
    "assess",
    "judge",
    "plot_readiness",
    "read_evidence",
]
