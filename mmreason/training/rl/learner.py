"""What GRPO asks of a policy that learns: its parameters, and the log-probabilities of what it sampled.

``CellsLearner`` is our own checkpoints', ``ViewsLearner`` (``views.py``) that of public ones.

Axes: N scored tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from mmreason.errors import ConfigError
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Trace
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.training.hardware import half_precision
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.likelihood import ScoredTokens, check_policy, pack_traces, score_tokens, token_budget
from mmreason.training.rl.loss import constant_lengths
from mmreason.training.rl.order import changed_orders
from mmreason.training.validation import rollouts_at_once


class Scored(Protocol):
    """Tokens that are scored in one forward, and whose they are."""

    @property
    def trace_N(self) -> torch.Tensor: ...

    @property
    def segment_N(self) -> torch.Tensor: ...

    @property
    def is_image_N(self) -> torch.Tensor: ...


class Learner(Protocol):
    """A policy that GRPO updates."""

    @property
    def policy(self) -> nn.Module: ...

    @property
    def at_once(self) -> int:
        """Rollouts of a batch."""
        ...

    @property
    def device(self) -> torch.device: ...

    @property
    def lengths(self) -> Mapping[str, int]:
        """The ``constant_lengths`` of its texts and canvases."""
        ...

    def parameters(self) -> list[nn.Parameter]:
        """What is trained."""
        ...

    def half(self) -> AbstractContextManager[None]:
        """In which rollouts and updates are computed."""
        ...

    def meet(self) -> None:
        """Wait until all processes have forwarded what they had to; before they exchange anything."""
        ...

    def batches(
        self, traces: Sequence[Trace], rngs: Sequence[np.random.Generator], live: Sequence[Sequence[bool]] | None
    ) -> list[Any]:
        """The tokens of ``traces`` in ``Scored`` batches, those of the segments that are ``live`` (default: all)."""
        ...

    def shares(self, batch: Any) -> torch.Tensor:
        """(N,) how many tokens each scored one stands for, where only some are scored."""
        ...

    def score(self, batch: Any) -> torch.Tensor:
        """(N,) log-probabilities, with gradients."""
        ...

    def score_reference(self, reference: Any, batch: Any) -> torch.Tensor:
        """(N,) those of the policy that the run began with."""
        ...

    def flops(self, batch: Any, asks: bool) -> float:
        """Of an update by ``batch``, which ``asks`` the reference too or not."""
        ...

    def changed_orders(self, batch: Any) -> tuple[int, int, float]:
        """(denoising steps that would now commit other positions, steps looked at, FLOPs of finding out)."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """What has to be kept to go on."""
        ...

    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from ``state``."""
        ...

    def export(self, folder: Path) -> None:
        """Write a checkpoint that every command takes."""
        ...


class CellsLearner:
    """Our own small policies: a trace is one packed row."""

    def __init__(self, pipe: InterleavedReasoningPipeline, config: GRPOConfig) -> None:
        check_policy(pipe.transformer)
        if config.score_steps != 1:
            raise ConfigError(
                "score_steps must be 1 for checkpoints of our own, of which one forward scores all steps, "
                f"got {config.score_steps:g}"
            )
        for task in config.tasks:
            pipe.vocabulary.task_token(task)
        self.pipe, self.config, self.policy = pipe, config, pipe.transformer
        self.at_once = rollouts_at_once(pipe)

    @property
    def device(self) -> torch.device:
        return self.policy.device

    @property
    def lengths(self) -> Mapping[str, int]:
        return constant_lengths(self.pipe.layout.text_length, self.pipe.layout.num_cells)

    def parameters(self) -> list[nn.Parameter]:
        return [each for each in self.policy.parameters() if each.requires_grad]

    def half(self) -> AbstractContextManager[None]:
        return half_precision(self.device, self.config.bf16)

    def meet(self) -> None:
        pass  # each process has the whole model

    def batches(
        self, traces: Sequence[Trace], rngs: Sequence[np.random.Generator], live: Sequence[Sequence[bool]] | None
    ) -> list[ScoredTokens]:
        config = self.config
        budget = config.max_tokens or token_budget(self.device)
        packing = (config.likelihood, budget, rngs, live, config.mask_share)
        return list(pack_traces(traces, self.pipe.layout, *packing))

    def shares(self, batch: ScoredTokens) -> torch.Tensor:
        return torch.ones(len(batch.trace_N))

    def score(self, batch: ScoredTokens) -> torch.Tensor:
        return score_tokens(self.policy, batch, self.pipe.layout, self.config.sampling.temperature)

    def score_reference(self, reference: InterleavedDiffusionModel, batch: ScoredTokens) -> torch.Tensor:
        with torch.no_grad():
            return score_tokens(reference, batch, self.pipe.layout, self.config.sampling.temperature)

    def flops(self, batch: ScoredTokens, asks: bool) -> float:
        once = batch.flops(self.policy.config)
        return (3 + bool(self.config.gradient_checkpointing) + asks) * once  # a backward pass counts as two

    def changed_orders(self, batch: ScoredTokens) -> tuple[int, int, float]:
        return changed_orders(self.policy, batch, self.pipe.layout, self.config.sampling)

    def state(self) -> dict[str, torch.Tensor]:
        return self.policy.state_dict()

    def load(self, state: dict[str, torch.Tensor]) -> None:
        self.policy.load_state_dict(state)

    def export(self, folder: Path) -> None:
        self.pipe.save_pretrained(folder)
