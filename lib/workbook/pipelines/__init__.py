"""The jobs and applications around the database: who they are, whether they are ready, in which order they move, and moving them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbook.pipelines.discovery import discover
    from workbook.pipelines.readiness import PipelinesResult, check_pipelines
    from workbook.pipelines.register import Pipeline, Register, load_register

__all__ = ["Pipeline", "PipelinesResult", "Register", "check_pipelines", "discover", "load_register"]
# Imported when they are asked for: every phase asks where the applications work, few look at their statements.
_PARTS = {
    "discover": "discovery",
    "PipelinesResult": "readiness",
    "check_pipelines": "readiness",
    "Pipeline": "register",
    "Register": "register",
    "load_register": "register",
}


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PARTS[name]}"), name)
