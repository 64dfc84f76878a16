"""The diffusers scheduler of masked discrete diffusion with an exact likelihood.

Axes: B rows, L positions of a segment, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.sampling.unmask import ORDERS, certainty, choose_positions, log_distribution, quota, sample_tokens

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


def positions_to_commit(
    logp_BLV: torch.Tensor, step: int, masked_BL: torch.Tensor, config: SamplingConfig
) -> torch.Tensor:
    """Boolean (B, L): the masks that step ``step`` (from 0) commits, by the distributions alone."""
    share_B = quota(masked_BL.sum(dim=-1), step, config.num_steps)
    sure_BL = None
    if config.threshold is not None:
        sure_BL = certainty(logp_BLV, "confidence") >= config.threshold
    return choose_positions(certainty(logp_BLV, config.order), masked_BL, share_B, sure_BL)


@dataclass
class UnmaskOutput(BaseOutput):
    """``tokens_BL`` after the step, which positions were ``committed_BL``, and their ``logprob_BL``."""

    tokens_BL: torch.Tensor
    committed_BL: torch.Tensor
    logprob_BL: torch.Tensor


class MaskedDiffusionScheduler(SchedulerMixin, ConfigMixin):
    """Commits tokens by the certainty of their distributions."""

    order = 1

    @register_to_config
    def __init__(
        self,
        num_steps: int | None = 4,
        threshold: float | None = None,
        commit_order: str = "confidence",
    ) -> None: ...

    def sampling_config(self, **changes) -> SamplingConfig:
        """This scheduler's defaults with ``changes``."""
        defaults = {
            "num_steps": self.config["num_steps"],
            "threshold": self.config["threshold"],
            "order": self.config["commit_order"],
        }
        return SamplingConfig(**(defaults | changes))

    def step(
        self,
        logits_BLV: torch.Tensor,
        step: int,
        tokens_BL: torch.Tensor,
        masked_BL: torch.Tensor,
        allowed_V: torch.Tensor,
        uniform_BL: torch.Tensor,
        config: SamplingConfig,
    ) -> UnmaskOutput:
        """Commit this step's share of the masks, sampled at ``config.temperature``."""
        logp_BLV = log_distribution(logits_BLV, allowed_V, config.temperature)
        chosen_BL = positions_to_commit(logp_BLV, step, masked_BL, config)
        sampled_BL = sample_tokens(logp_BLV, uniform_BL, config.temperature)
        logprob_BL = logp_BLV.gather(-1, sampled_BL[..., None]).squeeze(-1)
        return UnmaskOutput(
            tokens_BL=torch.where(chosen_BL, sampled_BL, tokens_BL),
            committed_BL=chosen_BL,
            logprob_BL=logprob_BL.masked_fill(~chosen_BL, 0.0),
        )
