"""Cloud SQL to BigQuery: one consistent snapshot as Parquet, an exact raw copy, and clean tables by the mapping."""

from workbook.warehouse.load import load_warehouse
from workbook.warehouse.result import WarehouseResult

__all__ = ["WarehouseResult", "load_warehouse"]
