"""The section `warehouse` of a params file: where the warehouse lies, how it is loaded, and how many nights of it are kept."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Warehouse(BaseModel):
    """BigQuery, or its emulator when `endpoint` is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str = Field(description="the Google Cloud project")
    dataset: str = Field(description="the dataset of clean tables; the exact copy lands in `<dataset>_raw`")
    location: str = Field("US", description="where the datasets are made")
    endpoint: str | None = Field(None, description="address of an emulator, or `sandbox:warehouse`; none: BigQuery")
    mode: Literal["full", "incremental", "checksums"] = Field(
        "full", description="full: all rows; incremental: what changed; checksums: that, by reading every row to see"
    )

    marts: str | None = Field(
        None, description="a folder of marts, relative to the params file: GoogleSQL, built into `<dataset>_marts`"
    )
    keep_nights: int = Field(
        0,
        ge=0,
        le=90,
        description="earlier nights of the warehouse that are kept as snapshots in `<dataset>_points`, for"
        " `rollback previous-warehouse`; 0: none",
    )

    @field_validator("project")
    @classmethod
    def _project(cls, project: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", project):
            raise ValueError("must be 6 to 30 lower-case letters, digits and hyphens, a letter first")
        return project

    @field_validator("dataset")
    @classmethod
    def _dataset(cls, dataset: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_]{1,1000}", dataset):
            raise ValueError("may hold letters, digits and underscores only")
        return dataset

    @property
    def raw_dataset(self) -> str:
        """The dataset of the exact copy, before cleaning."""
        return f"{self.dataset}_raw"

    @property
    def marts_dataset(self) -> str:
        """The dataset of the marts."""
        return f"{self.dataset}_marts"

    @property
    def points_dataset(self) -> str:
        """The dataset of the snapshots of earlier nights."""
        return f"{self.dataset}_points"
