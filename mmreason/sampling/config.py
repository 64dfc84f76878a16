"""How segments are denoised; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mmreason import limits
from mmreason.errors import ConfigError

ORDERS = ("confidence", "entropy")
REGIONS = ("stated", "full", "confidence")
RECORDED = ("temperature", "num_steps", "threshold", "order", "region", "max_turns")  # of a config, in a trace


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How segments are denoised.

    ``num_steps`` bounds the forward passes of a segment (equal shares of its positions); ``threshold``
    commits everything surer than it at once.  With ``num_steps=None`` only the threshold decides.
    """

    num_steps: int | None = 4
    temperature: float = 1.0  # 0 is greedy
    threshold: float | None = None  # 0 is None
    order: Literal["confidence", "entropy"] = "confidence"
    region: Literal["stated", "full", "confidence"] = "stated"
    max_turns: int = 16

    def __post_init__(self) -> None:
        if self.threshold is not None and not limits.THRESHOLD.check(self.threshold):
            object.__setattr__(self, "threshold", None)
        if self.num_steps is not None:
            limits.NUM_STEPS.check(self.num_steps)
        elif self.threshold is None:
            raise ConfigError("num_steps may be None only with a threshold")
        limits.TEMPERATURE.check(self.temperature)
        limits.MAX_TURNS.check(self.max_turns)
        if self.order not in ORDERS:
            raise ConfigError(f"order must be one of {', '.join(ORDERS)}, got {str(self.order)[:40]!r}")
        if self.region not in REGIONS:
            raise ConfigError(f"region must be one of {', '.join(REGIONS)}, got {str(self.region)[:40]!r}")

    def recorded(self) -> dict[str, Any]:
        """What a trace records of these settings."""
        return {name: getattr(self, name) for name in RECORDED}
