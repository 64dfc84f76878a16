"""The results of ``compute`` as the tab Cost reads them: checked, or one sentence that says what is wrong."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmreason.analysis import results_file
from mmreason.analysis.cost.workload import ARMS
from mmreason.analysis.results_file import Finite, Positive, Share
from mmreason.wording import counted

COMMAND = "python -m mmreason compute --problems 64 --seed 0"
FILE = "compute.json"


class Row(BaseModel):
    """One arm."""

    flops: Positive
    forward_passes: Positive
    tokens_forwarded: Positive
    seconds: Positive
    seconds_single: Positive
    success: Share
    ci95: tuple[Share, Share]


class Point(BaseModel):
    """One setting of a diffusion arm on the frontier."""

    arm: str
    num_steps: int | None
    threshold: Share | None
    flops: Positive
    forward_passes: Positive
    success: Share
    ci95: tuple[Share, Share]

    @model_validator(mode="after")
    def _has_a_setting(self) -> Point:
        if self.arm not in ARMS:
            raise ValueError(f"arm must be one of {', '.join(ARMS)}")
        if self.num_steps is None and self.threshold is None:
            raise ValueError("needs num_steps or threshold")
        return self

    @property
    def setting(self) -> str:
        """The setting in words."""
        if self.num_steps is None:
            return f"threshold {self.threshold:g}"
        return counted(self.num_steps, "step")


class TimedArm(BaseModel):
    """One arm on a larger canvas."""

    seconds: Positive
    flops: Positive
    forward_passes: Positive


class TimedCanvas(BaseModel):
    """Seconds of each arm on one canvas at one region share."""

    canvas: int = Field(ge=1)
    turns: int = Field(ge=1)
    region_share: Share
    arms: dict[str, TimedArm]


class Results(BaseModel):
    """``assets/results/compute.json``, what the page uses of it."""

    model_config = ConfigDict(extra="ignore")

    arms: dict[str, Row]
    flops_reduction: Finite
    time_ratio: Positive
    time_ratio_single: Positive
    success_difference: Finite
    workload: dict[str, Finite] = {}
    frontier: list[Point] = []
    scaling_measured: list[TimedCanvas] = []
    notes: dict[str, str] = {}
    machine: dict[str, Any] = {}
    batch_size: int = 64
    num_generations: int = Field(8, ge=1, le=64)
    command: str = COMMAND
    attention: str = "blocks"  # of the diffusion arms

    @model_validator(mode="after")
    def _has_four_arms(self) -> Results:
        missing = [name for name in ARMS if name not in self.arms]
        if missing:
            raise ValueError(f"arms must hold {', '.join(missing)}")
        return self


def read_results() -> tuple[Results | None, str]:
    """The results, or None and a sentence that says why not and which command makes them."""
    return results_file.read_results(Results, FILE, COMMAND, "the four arms")
