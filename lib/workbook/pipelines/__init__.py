"""The jobs and applications around the database: who they are, whether they are ready, in which order they move, and moving them."""

from workbook.pipelines.discovery import discover
from workbook.pipelines.readiness import PipelinesResult, check_pipelines
from workbook.pipelines.register import Pipeline, Register, load_register

__all__ = ["Pipeline", "PipelinesResult", "Register", "check_pipelines", "discover", "load_register"]
