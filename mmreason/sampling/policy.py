"""What samplers need of whatever holds the networks: ``InterleavedReasoningPipeline`` is one.

Axes: H W canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from mmreason.backbones.cells import CellBackbone
from mmreason.layouts.cells import CellsLayout
from mmreason.layouts.vocabulary import Vocabulary
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Problem, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.scheduler import MaskedDiffusionScheduler


class Streaming(Protocol):
    """Whatever solves problems step by step."""

    def stream(
        self,
        problems: Sequence[Problem],
        config: SamplingConfig | None = None,
        seeds: Sequence[int] | None = None,
        num_generations: int = 1,
    ) -> Iterator[list[Trace]]:
        """The traces after every denoising step."""
        ...


class Policy(Streaming, Protocol):
    """Networks, their vocabulary and their scheduler."""

    transformer: InterleavedDiffusionModel
    scheduler: MaskedDiffusionScheduler
    layout: CellsLayout

    @property
    def backbone(self) -> CellBackbone: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def words(self) -> list[str]:
        """Text id → word."""
        ...

    @property
    def draw(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """Makes a picture of (H·W) image tokens; None where a code is a cell of a puzzle, drawn by a sheet."""
        ...

    def encode_image(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 → (H·W) image-token ids."""
        ...
