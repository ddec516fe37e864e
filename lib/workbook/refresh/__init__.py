"""The nightly full refresh: a copy aside, proven there, swapped in at one moment; the copy before it is kept."""

from workbook.refresh.back import go_back
from workbook.refresh.run import load_or_refresh, refresh

__all__ = ["go_back", "load_or_refresh", "refresh"]
