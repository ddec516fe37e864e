"""The marts: tables for analysis, made of the clean ones by GoogleSQL files, tested before they take the place of yesterday's."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbook.marts.build import build_marts
    from workbook.marts.files import Marts, read_marts
    from workbook.marts.result import Night

__all__ = ["Marts", "Night", "build_marts", "read_marts"]
# Imported when they are asked for: BigQuery's client takes a second or two.
_PARTS = {"build_marts": "build", "Marts": "files", "read_marts": "files", "Night": "result"}


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PARTS[name]}"), name)
