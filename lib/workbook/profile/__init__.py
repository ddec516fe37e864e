"""What the data on the source looks like: figures of every column, keys, references and sizes."""

from workbook.profile.plots import plot_dirt, plot_distributions, plot_nulls, plot_references, plot_sizes
from workbook.profile.result import ColumnProfile, ProfileResult, Reference, TableProfile
from workbook.profile.run import profile_tables

__all__ = [
    "ColumnProfile",
    "ProfileResult",
    "Reference",
    "TableProfile",
    "plot_dirt",
    "plot_distributions",
    "plot_nulls",
    "plot_references",
    "plot_sizes",
    "profile_tables",
]
