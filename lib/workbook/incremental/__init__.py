"""The nightly warehouse: of each table only what changed since the last night is read, where that can be known."""

from workbook.incremental.load import load_night

__all__ = ["load_night"]
