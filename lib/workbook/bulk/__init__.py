"""The bulk load: every row from one consistent picture of the source, exact to the byte, resumable."""

from workbook.bulk.load import load
from workbook.bulk.result import BulkResult

__all__ = ["BulkResult", "load"]
