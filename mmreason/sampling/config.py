"""How segments are denoised; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.records import MAX_RUNNERS_UP
from mmreason.settings import Control, cells, check, choice, number

WATCHED_ORDER = "maskgit"  # of the public checkpoints' own samplers: it hangs on what was drawn, and is not exact
ORDERS = ("confidence", "entropy", WATCHED_ORDER)
REGIONS = ("stated", "full", "confidence")
DEFAULT_REGIONS = ("end", "all", "confidence")
SCHEDULES = ("equal", "cosine")
CHECKPOINTS = "the checkpoint's"
RUNNERS_UP = limits.Whole(
    "runners_up", 0, MAX_RUNNERS_UP, "likeliest other tokens that frames keep of each committed one"
)
RECORDED = (
    *("temperature", "num_steps", "threshold", "order", "schedule"),
    *("region", "default_region", "max_turns"),
)  # of a config, in a trace


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How segments are denoised.

    ``num_steps`` bounds the forward passes of a segment, shared out by ``schedule``; ``threshold``
    commits everything surer than it at once.  With ``num_steps=None`` only the threshold decides.
    ``default_region`` is drawn where a thought names no region: ``end`` ends the rollout there.
    """

    num_steps: int | None = number(4, limits.NUM_STEPS, "denoising steps of a segment", left=CHECKPOINTS)
    temperature: float = number(1.0, limits.TEMPERATURE)
    threshold: float | None = number(None, limits.THRESHOLD, left=CHECKPOINTS)  # 0 is None
    order: Literal["confidence", "entropy", "maskgit"] = choice(
        "confidence",
        ORDERS,
        "which tokens are committed first; maskgit is for watching public checkpoints",
        left=CHECKPOINTS,
    )
    region: Literal["stated", "full", "confidence"] = choice("stated", REGIONS, "cells that an edit draws anew")
    default_region: str = cells("end", DEFAULT_REGIONS, "cells drawn where a thought names none")
    schedule: Literal["equal", "cosine"] = choice("equal", SCHEDULES, "how many masks each denoising step fills")
    max_turns: int = number(
        16,
        limits.MAX_TURNS,
        left=CHECKPOINTS,
        page=Control("Turns", "Of thought and edit, before a rollout ends.", place="public"),
    )
    runners_up: int = 0  # see RUNNERS_UP; what is sampled stays the same

    def __post_init__(self) -> None:
        if self.threshold is not None and not limits.THRESHOLD.check(self.threshold):
            object.__setattr__(self, "threshold", None)
        if self.num_steps is None and self.threshold is None:
            raise ConfigError("num_steps may be None only with a threshold")
        RUNNERS_UP.check(self.runners_up)
        check(self)

    def recorded(self) -> dict[str, Any]:
        """What a trace records of these settings."""
        return {name: getattr(self, name) for name in RECORDED}
