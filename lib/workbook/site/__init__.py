"""Executed notebooks as HTML pages, and the index of runs: static files that ask no other host for anything."""

from workbook.site.index import build_index, render_run
from workbook.site.pages import render_page

__all__ = ["build_index", "render_page", "render_run"]
