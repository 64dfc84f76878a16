"""The order of the public checkpoints' image samplers, for watching only: by the probability of what was drawn.

It depends on sampled tokens, so a likelihood that holds the order fixed is not that of this sampler
(MaskGIT, arXiv 2202.04200); training refuses it.

Axes: B views, K slots, W columns of an alphabet.
"""

from __future__ import annotations

import torch


def drawn_certainty(
    logp_BKW: torch.Tensor,
    drawn_BK: torch.Tensor,
    uniform_BK: torch.Tensor | None = None,
    noise: float = 0.0,
) -> torch.Tensor:
    """(B, K) positive score of each slot: e to the log-probability of its draw plus ``noise`` times Gumbel noise.

    ``uniform_BK`` in (0, 1) gives the noise; without it there is no noise.
    """
    score_BK = logp_BKW.gather(-1, drawn_BK[..., None]).squeeze(-1)
    if uniform_BK is not None and noise:
        score_BK = score_BK - noise * (-uniform_BK.clamp(1e-20, 1.0).log()).clamp_min(1e-20).log()
    return score_BK.exp()
