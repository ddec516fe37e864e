"""Source to destination: segments, types, cleaning rules and what is lost."""

from workbook.mapping.file import load_mapping
from workbook.mapping.generate import generate
from workbook.mapping.objects import ColumnMap, Dedupe, Mapping, Reject, Requirements, Segment, TableMap

__all__ = [
    "ColumnMap",
    "Dedupe",
    "Mapping",
    "Reject",
    "Requirements",
    "Segment",
    "TableMap",
    "generate",
    "load_mapping",
]
