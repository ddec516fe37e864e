"""Source to destination: segments, types, cleaning rules and what is lost."""

from workbook.mapping.file import load_mapping, mapping_of
from workbook.mapping.gaps import GapReport, gaps
from workbook.mapping.generate import generate
from workbook.mapping.merge import additions, merge
from workbook.mapping.objects import ColumnMap, Dedupe, Mapping, Orphans, Reject, Requirements, Segment, TableMap
from workbook.mapping.target import TargetRules

__all__ = [
    "ColumnMap",
    "Dedupe",
    "GapReport",
    "Mapping",
    "Orphans",
    "Reject",
    "Requirements",
    "Segment",
    "TableMap",
    "TargetRules",
    "additions",
    "gaps",
    "generate",
    "load_mapping",
    "mapping_of",
    "merge",
]
