"""Proof that the copy is the source: content, objects, relations, on every hop."""

from workbook.validate.result import Validation
from workbook.validate.run import validate_copy

__all__ = ["Validation", "validate_copy"]
