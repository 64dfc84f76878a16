"""What samplers need of whatever holds the networks: ``InterleavedReasoningPipeline`` is one.

Axes: H W canvas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Problem, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.tokenizers.layout import Vocabulary


class Policy(Protocol):
    """Networks, their vocabulary and their scheduler."""

    transformer: InterleavedDiffusionModel
    scheduler: MaskedDiffusionScheduler
    vocabulary: Vocabulary

    @cached_property
    def words(self) -> list[str]:
        """Text id → word."""
        ...

    def encode_image(self, image: np.ndarray) -> np.ndarray:
        """(128, 128, 3) uint8 → (H·W) image-token ids."""
        ...

    def stream(
        self,
        problems: Sequence[Problem],
        config: SamplingConfig | None = None,
        seeds: Sequence[int] | None = None,
        num_generations: int = 1,
    ) -> Iterator[list[Trace]]:
        """The traces after every denoising step."""
        ...
