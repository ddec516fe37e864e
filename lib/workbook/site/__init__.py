"""Executed notebooks as HTML pages, and the index of runs: static files that ask no other host for anything."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbook.site.index import build_index, render_run
    from workbook.site.pages import render_page

__all__ = ["build_index", "render_page", "render_run"]
# Imported when they are asked for: a notebook that only signs its result need not wait a second for all that makes pages.
_PARTS = {"build_index": "index", "render_run": "index", "render_page": "pages"}


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PARTS[name]}"), name)
