"""The order of the public checkpoints' image samplers, for watching only: by the probability of what was drawn.

It depends on sampled tokens, so a likelihood that holds the order fixed is not that of this sampler
(MaskGIT, arXiv 2202.04200); training refuses it.

Axes: B views, K slots, W columns of an alphabet.
"""

from __future__ import annotations

import torch


def drawn_certainty(logp_BKW: torch.Tensor, drawn_BK: torch.Tensor) -> torch.Tensor:
    """(B, K) score of each slot: the probability of its draw."""
    return logp_BKW.gather(-1, drawn_BK[..., None]).squeeze(-1).exp()
