"""One reverse step of masked diffusion, as pure functions.

The order of commitment depends on predicted distributions only, never on sampled tokens, so the
log-probability of a segment is exactly the sum of its tokens' log-probabilities in the states in which
they were committed.

Axes: B rows, L positions of a segment, V vocabulary.
"""

from __future__ import annotations

import math

import torch

from mmreason.errors import DistributionError

TIE = 5e-4  # relative: a score this close to the best counts as the best


def log_distribution(logits_BLV: torch.Tensor, allowed_V: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probabilities over the allowed ids at ``temperature``; at 0 those of temperature 1.

    The one function behind sampling, confidence, likelihood, KL and entropy.  Raises DistributionError
    where they are not numbers: what would be drawn from them is not what the policy says.
    """
    wide = torch.promote_types(logits_BLV.dtype, torch.float32)  # bfloat16 is too coarse for log-probabilities
    logits_BLV = logits_BLV.to(wide).masked_fill(~allowed_V, -torch.inf)
    logp_BLV = (logits_BLV / (temperature or 1.0)).log_softmax(dim=-1)
    if bool(logp_BLV.isnan().any()):
        raise DistributionError(
            f"the policy's probabilities must be finite at temperature {temperature:g}, got some that are not: "
            "its weights are damaged or overflow"
        )
    return logp_BLV


def certainty(logp_BLV: torch.Tensor, order: str) -> torch.Tensor:
    """(B, L) score in (0, 1] by which positions are committed: top probability, or e to the minus entropy."""
    if order == "confidence":
        return logp_BLV.max(dim=-1).values.exp()
    return (logp_BLV.exp() * logp_BLV.clamp_min(-1e4)).sum(dim=-1).exp()  # what is not allowed adds 0 · −1e4


def choose_positions(
    score_BL: torch.Tensor,
    masked_BL: torch.Tensor,
    quota_B: torch.Tensor,
    sure_BL: torch.Tensor | None = None,
    tie: float = TIE,
) -> torch.Tensor:
    """Boolean (B, L): the masked positions to commit now.

    The ``quota_B`` best-scored masks of each row, and every mask in ``sure_BL``.  Scores within ``tie`` of the
    best are tied and taken by position, then those tied with the best of the rest, and so on: rounding errors,
    which differ between machines and runs, do not choose among positions that are as good as each other.
    """
    chosen_BL = torch.zeros_like(masked_BL)
    left_BL, quota_B = masked_BL, quota_B.minimum(masked_BL.sum(dim=-1))
    while bool((quota_B > 0).any()):
        best_B1 = score_BL.masked_fill(~left_BL, 0.0).amax(dim=-1, keepdim=True)
        tied_BL = left_BL & (score_BL >= best_B1 * (1 - tie))
        taken_BL = tied_BL & (tied_BL.cumsum(dim=-1) <= quota_B[:, None])
        chosen_BL = chosen_BL | taken_BL
        left_BL, quota_B = left_BL & ~tied_BL, quota_B - taken_BL.sum(dim=-1)
    if sure_BL is not None:
        chosen_BL = chosen_BL | (sure_BL & masked_BL)
    return chosen_BL


def sample_tokens(logp_BLV: torch.Tensor, uniform_BL: torch.Tensor, temperature: float) -> torch.Tensor:
    """(B, L) token ids by inversion of the cumulative distribution; the most likely ones at temperature 0."""
    if temperature == 0:
        return logp_BLV.argmax(dim=-1)
    cumulative_BLV = logp_BLV.double().exp().cumsum(dim=-1)
    target_BL1 = (uniform_BL.double() * cumulative_BLV[..., -1])[..., None]
    return torch.searchsorted(cumulative_BLV, target_BL1, right=True).squeeze(-1)


def runners_up(logp_BLV: torch.Tensor, sampled_BL: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids of the ``count`` likeliest besides those sampled, and their log-probabilities: (B, L, count) each."""
    others_BLV = logp_BLV.scatter(-1, sampled_BL[..., None], -torch.inf)
    logprobs, ids = others_BLV.topk(min(count, others_BLV.shape[-1]), dim=-1)
    return ids, logprobs


def quota(num_masked_B: torch.Tensor, step: int, num_steps: int | None, schedule: str = "equal") -> torch.Tensor:
    """How many of the masks that are left step ``step`` (from 0) of ``num_steps`` must commit, at least one.

    ``equal`` shares, or few at first: ``cosine`` leaves the share that MaskGIT's schedule does (arXiv 2202.04200).
    """
    if num_steps is None:
        return torch.ones_like(num_masked_B)
    left = max(1, num_steps - step)
    if schedule == "cosine" and left > 1:
        now, then = (math.cos(math.pi / 2 * each / num_steps) for each in (step, step + 1))
        return (num_masked_B - (num_masked_B * (then / now)).floor().long()).clamp_min(1)
    return (num_masked_B + left - 1) // left
