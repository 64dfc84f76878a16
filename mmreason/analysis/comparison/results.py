"""``reproduce.json`` as the tab Results reads it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmreason.analysis import results_file
from mmreason.analysis.comparison.protocol import ARMS
from mmreason.analysis.results_file import Finite, Share

COMMAND = "python -m mmreason reproduce"


class Estimate(BaseModel):
    """A mean with its 95 % interval, and the value of each seed."""

    mean: Finite
    ci95: tuple[Finite, Finite]
    seeds: list[Finite] = []
    sign_flip_p: Share | None = None


class CurvePoint(BaseModel):
    """Held-out figures at one step."""

    step: int = Field(ge=0)
    flops: Finite = Field(ge=0)
    success: Share
    text_reward: Finite
    image_reward: Finite | None


class MeanPoint(CurvePoint):
    """The mean of the seeds at one step."""

    success_ci95: tuple[Finite, Finite]
    text_reward_ci95: tuple[Finite, Finite]
    image_reward_ci95: tuple[Finite, Finite] | None


class SeedCurve(BaseModel):
    """One run."""

    seed: int
    points: list[CurvePoint]


class Curves(BaseModel):
    """All runs of one arm and their mean."""

    seeds: list[SeedCurve]
    mean: list[MeanPoint]


class Gain(BaseModel):
    """What factorizing gained in a task; without an interval below three seeds."""

    mean: Finite
    ci95: tuple[Finite, Finite] | None
    seeds: list[Finite]


class RelationPoint(BaseModel):
    """Interference at the start, and what factorizing gained in a task; null while that is not known."""

    comparison: str
    task: str
    leak_to_signal: Finite | None
    gain: Gain | None


class Correlation(BaseModel):
    """Spearman's rank correlation, over all points and within comparisons."""

    spearman: Finite
    within: Finite | None = None  # a file of an earlier version does not have it
    points: int = Field(ge=1)


class Spread(BaseModel):
    """How far gains lie apart, and their own standard error."""

    sd: Finite
    standard_error: Finite


class Relation(BaseModel):
    """Whether what was predicted and what was gained agree, by predictor."""

    spread: Spread | None = None
    points: list[RelationPoint]
    correlations: dict[str, Correlation | None]


class Comparison(BaseModel):
    """A file that ``reproduce`` wrote, what the page uses of it."""

    model_config = ConfigDict(extra="ignore")

    base: Estimate
    joint: Estimate
    factorized: Estimate
    difference: Estimate
    first_look: Estimate | None = None
    added: Estimate | None = None
    gain_over_joint: Estimate
    gain_over_base: Estimate
    granularity: str
    difficulty: dict[str, Finite]
    paired_seeds: list[int] = Field(min_length=1)
    greedy: dict[str, Any] = {}
    other_granularity: dict[str, Any] = {}
    apart: dict[str, dict[str, Finite]] = {}
    curves: dict[str, Curves]
    task_curves: dict[str, dict[str, Curves]] = {}
    protocol: dict[str, Any]
    by_task: dict[str, dict[str, Any]] = {}
    controls: dict[str, dict[str, Any]] = {}
    own_turn: dict[str, dict[str, Any]] = {}
    missing: list[str] = []
    setups: dict[str, dict[str, Any]] = {}
    relation: Relation | None = None
    registered: str | None = None
    paper: dict[str, Finite]
    command: str = COMMAND

    @model_validator(mode="after")
    def _has_both_arms(self) -> Comparison:
        for curves in (self.curves, *self.task_curves.values()):
            lacking = [arm for arm in ARMS if arm not in curves]
            if lacking:
                raise ValueError(f"curves must hold {', '.join(lacking)}")
        return self


class Place(BaseModel):
    """Factorized less joint at one setting of the map."""

    place: str
    difference: Finite
    ci95: tuple[Finite, Finite]
    seeds: int = Field(ge=1)


class Map(BaseModel):
    """The differences at settings around those of the comparison, one short run or a few each."""

    places: list[Place] = Field(min_length=1)


def read_map() -> Map | None:
    """The map as it was measured, or None."""
    return results_file.read_results(Map, "earlier/map.json", COMMAND, "a map")[0]


def read_comparison() -> tuple[Comparison | None, str]:
    """The comparison, or None and why not."""
    return results_file.read_results(Comparison, "reproduce.json", COMMAND, "joint against factorized rewards")
