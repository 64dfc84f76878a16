"""Which cells an edit draws anew.

Axes: B rollouts, C canvas cells, L positions of a segment, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from mmreason.errors import ConfigError
from mmreason.layouts.cells import CellsLayout
from mmreason.records import Box, parse_box
from mmreason.sampling.config import DEFAULT_REGIONS, WATCHED_ORDER, SamplingConfig

LEAST_CERTAIN = 4  # one cell in so many is drawn anew where the least certain are, and no thought says how many


def settled(config: SamplingConfig, layout: CellsLayout) -> SamplingConfig:
    """``config``, checked for the small model; a joint turn, which draws while it speaks, needs a region before.

    Raises ConfigError.
    """
    if config.order == WATCHED_ORDER:
        raise ConfigError(f"order {WATCHED_ORDER} is for watching checkpoints of public families; not for this one")
    if layout.joint and config.default_region == "end":
        config = replace(config, default_region="all")
    if config.default_region not in DEFAULT_REGIONS:
        _of_box(config.default_region, layout)
    return config


def wanted_region(config: SamplingConfig, layout: CellsLayout, stated: Sequence[Box]) -> np.ndarray | int:
    """Flat indices of the cells to draw anew, or of how many cells: the least certain ones.

    ``stated`` are the boxes that a thought names; without any the default region counts.
    """
    everywhere = np.arange(layout.num_cells)
    if config.region == "full":
        return everywhere
    if stated:
        cells = layout.tokens_in(stated)
    elif config.default_region == "confidence":
        return max(1, layout.num_cells // LEAST_CERTAIN)
    else:
        cells = everywhere if config.default_region == "all" else _of_box(config.default_region, layout)
    return len(cells) if config.region == "confidence" else cells


def _of_box(words: str, layout: CellsLayout) -> np.ndarray:
    height, width = layout.cells
    box = parse_box(words, layout.cells)
    if box is None:
        raise ConfigError(f"default_region must lie on the {height} × {width} cells of the canvas, got {words!r}")
    return layout.tokens_in([box])


def least_likely(logp_BCV: torch.Tensor, shown_BC: torch.Tensor, counts: Sequence[int]) -> list[np.ndarray]:
    """Flat indices of as many cells as ``counts`` says, of each canvas, where ``shown_BC`` is least likely."""
    likely_BC = logp_BCV.gather(-1, shown_BC[..., None]).squeeze(-1)
    order_BC = likely_BC.argsort(dim=-1, stable=True).cpu().numpy()
    return [np.sort(order_C[:count]) for order_C, count in zip(order_BC, counts, strict=True)]


def allowed_slots(allowed: Mapping[str, torch.Tensor], words: int, length: int) -> torch.Tensor:
    """Boolean (V,), or (L, V) where ``words`` words and then codes make up the ``length`` positions."""
    if not words:
        return allowed["image"]
    if words >= length:
        return allowed["text"]
    return torch.cat((allowed["text"].expand(words, -1), allowed["image"].expand(length - words, -1)))
