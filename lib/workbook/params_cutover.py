"""The section `cutover` of a params file: how applications go over to the target, and back."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Cutover(BaseModel):
    """How the cutover, and the way back from it, is done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: Literal["target", "source"] = Field(
        "target", description="target: the cutover; source: the way back, once the target has taken over"
    )
    reverse: Literal["full", "lossy", "none"] = Field(
        "full",
        description="the way back: full: refused where a table could not go back whole; lossy: such tables are left out of"
        " it, by name; none: there is no way back",
    )
    grace_s: float = Field(
        5.0, ge=0, le=3600, description="seconds that transactions under way get to commit before writes end"
    )
    drain_s: float = Field(60.0, gt=0, le=3600, description="seconds in which the last changes must arrive")
    window_s: float = Field(
        600.0, gt=0, le=86400, description="seconds that nobody can write at most: longer, and it is taken back"
    )
    prove_s: float = Field(60.0, ge=0, le=3600, description="seconds in which moved pipelines must be seen at work")
    rehearse_s: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="seconds that the writers of a rehearsal write before, between and after the switches",
    )
    headroom: int = Field(100, ge=0, le=1_000_000, description="AUTO_INCREMENT values left free above the highest")
    despite: tuple[str, ...] = Field(
        (), description="what to pass over, by name: checks of the pipelines; events that would not fire any more"
    )
