"""The diffusers scheduler of masked discrete diffusion with an exact likelihood.

Axes: B rows, L positions of a segment, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput

from mmreason.sampling.config import ORDERS, WATCHED_ORDER, SamplingConfig
from mmreason.sampling.unmask import (
    certainty,
    choose_positions,
    log_distribution,
    quota,
    runners_up,
    sample_tokens,
)
from mmreason.settings import ChoiceSetting, settings_of

_SETTINGS = settings_of(SamplingConfig)
STORED = {
    "num_steps": _SETTINGS["num_steps"],
    "threshold": _SETTINGS["threshold"],
    "commit_order": replace(
        cast(ChoiceSetting, _SETTINGS["order"]), choices=tuple(each for each in ORDERS if each != WATCHED_ORDER)
    ),
}
"""The setting that each of a scheduler's defaults is of."""


def positions_to_commit(
    logp_BLV: torch.Tensor, step: int, masked_BL: torch.Tensor, config: SamplingConfig, words: int = 0
) -> torch.Tensor:
    """Boolean (B, L): the masks that step ``step`` (from 0) commits, by the distributions alone.

    The first ``words`` positions and those after them have orders and shares of their own.
    """
    if 0 < words < masked_BL.shape[1]:
        parts = [slice(None, words), slice(words, None)]
        chosen = [positions_to_commit(logp_BLV[:, part], step, masked_BL[:, part], config) for part in parts]
        return torch.cat(chosen, dim=1)
    share_B = quota(masked_BL.sum(dim=-1), step, config.num_steps, config.schedule)
    sure_BL = None
    if config.threshold is not None:
        sure_BL = certainty(logp_BLV, "confidence") >= config.threshold
    return choose_positions(certainty(logp_BLV, config.order), masked_BL, share_B, sure_BL)


@dataclass
class UnmaskOutput(BaseOutput):
    """``tokens_BL`` after the step, which positions were ``committed_BL``, and their ``logprob_BL``.

    Where ``runners_up`` were asked for: ids and log-probabilities (B, L, R) of the likeliest other tokens.
    """

    tokens_BL: torch.Tensor
    committed_BL: torch.Tensor
    logprob_BL: torch.Tensor
    runners_up: tuple[torch.Tensor, torch.Tensor] | None = None

    def others(self) -> list[list[list[tuple[int, float]]]]:
        """The runners-up as pairs by row and position; of no position where they were not asked for."""
        if self.runners_up is None:
            return [[] for _ in self.tokens_BL]
        ids, logprobs = (each.tolist() for each in self.runners_up)
        return [
            [list(zip(*at, strict=True)) for at in zip(*row, strict=True)] for row in zip(ids, logprobs, strict=True)
        ]


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

    def check(self) -> None:
        """Raise ConfigError, which names the field, where a default is none that segments are denoised with."""
        for name, setting in STORED.items():
            value = self.config[name]
            if value is not None or name == "commit_order":
                replace(setting, name=name).read(value)
                setting.check(value, name)
        self.sampling_config()

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
        words: int = 0,
    ) -> UnmaskOutput:
        """Commit this step's share of the masks, sampled at ``config.temperature``.

        ``allowed_V`` may be (L, V), of each position its own; see ``positions_to_commit`` for ``words``.
        """
        logp_BLV = log_distribution(logits_BLV, allowed_V, config.temperature)
        chosen_BL = positions_to_commit(logp_BLV, step, masked_BL, config, words)
        sampled_BL = sample_tokens(logp_BLV, uniform_BL, config.temperature)
        logprob_BL = logp_BLV.gather(-1, sampled_BL[..., None]).squeeze(-1)
        return UnmaskOutput(
            tokens_BL=torch.where(chosen_BL, sampled_BL, tokens_BL),
            committed_BL=chosen_BL,
            logprob_BL=logprob_BL.masked_fill(~chosen_BL, 0.0),
            runners_up=runners_up(logp_BLV, sampled_BL, config.runners_up) if config.runners_up else None,
        )
