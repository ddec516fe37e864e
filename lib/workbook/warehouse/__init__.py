"""Cloud SQL to BigQuery: one consistent snapshot as Parquet, an exact raw copy, and clean tables by the mapping."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbook.warehouse.load import load_warehouse
    from workbook.warehouse.result import WarehouseResult
    from workbook.warehouse.trial import cleaning_samples, try_cleaning

__all__ = ["WarehouseResult", "cleaning_samples", "load_warehouse", "try_cleaning"]
# Imported when they are asked for: BigQuery's client takes a second or two, and few who come here need it.
_PARTS = {
    "load_warehouse": "load",
    "WarehouseResult": "result",
    "cleaning_samples": "trial",
    "try_cleaning": "trial",
}


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PARTS[name]}"), name)
