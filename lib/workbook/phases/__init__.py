"""The phases of a migration: their order, the ledger of what was done, running their notebooks, and the way back."""

from workbook.phases.context import Phase, open_phase

__all__ = ["Phase", "open_phase"]
