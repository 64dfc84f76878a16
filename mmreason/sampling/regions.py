"""Which cells an edit draws anew.

Axes: B rollouts, C canvas cells, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def least_likely(logp_BCV: torch.Tensor, shown_BC: torch.Tensor, counts: Sequence[int]) -> list[np.ndarray]:
    """Flat indices of as many cells as ``counts`` says, of each canvas, where ``shown_BC`` is least likely."""
    likely_BC = logp_BCV.gather(-1, shown_BC[..., None]).squeeze(-1)
    order_BC = likely_BC.argsort(dim=-1, stable=True).cpu().numpy()
    return [np.sort(order_C[:count]) for order_C, count in zip(order_BC, counts, strict=True)]
