"""The clipped policy-gradient loss, each modality divided by its own token count or all by one.

    l = −min(ρ A, clip(ρ, 1 − ε, 1 + ε_high) A) + β KL,   ρ = exp(log π − log π_old),
    KL = exp(log π_ref − log π) − (log π_ref − log π) − 1                      (k3, Schulman 2020)

The KL is of every token, those of groups without spread included: they say nothing of which answer is better, but
the policy has left the reference there as elsewhere (as in TRL).  In expectation it has the gradient of
β KL(π_ref ‖ π) where the tokens were drawn from the scored distribution (the exact likelihood, at the first
update of a batch); elsewhere its direction, not its length.

Denominators (``loss_type``), with n tokens of modality m and R rollouts in the global batch (processes,
accumulation and tokens of zero advantage included):

    dapo     1 / n_m                            every token of a modality weighs the same
    grpo     1 / (n_m of its rollout · R_m)     every rollout weighs the same; R_m have tokens of m
    dr_grpo  1 / (C_m · R)                      C_m a constant of the policy: the text tokens of the longest rollout
                                                (12 · 17 of the shipped ones), the image tokens of one canvas (64)

With ``loss_denominator="pooled"`` n and C are sums over both modalities, or of one where the other has no tokens, and
R_m counts rollouts with any tokens: one mean over all tokens, in which a modality weighs as much as it has tokens.  Of
a batch with one modality both are the same.  A likelihood that scores some of the tokens takes its share of a mean.

Axes: N scored tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from mmreason import limits
from mmreason.records import MODALITIES, Trace
from mmreason.training.rl.config import LossConfig

POOLED = "pooled"  # both modalities, among the counts


def constant_lengths(text_length: int, canvas: int) -> dict[str, int]:
    """What ``dr_grpo`` divides by, of a policy whose texts and canvases have so many tokens."""
    return {"text": text_length * (int(limits.MAX_TURNS.high) + 1), "image": canvas}


@dataclass(frozen=True, slots=True)
class TokenLoss:
    """Per-token terms, (N,) each: the loss, its KL part before ``beta``, and which ratios were clipped."""

    loss_N: torch.Tensor
    kl_N: torch.Tensor
    clipped_N: torch.Tensor


def token_loss(
    logp_N: torch.Tensor,
    old_logp_N: torch.Tensor,
    advantage_N: torch.Tensor,
    config: LossConfig,
    ref_logp_N: torch.Tensor | None = None,
) -> TokenLoss:
    """The terms of each token, not yet weighted."""
    ratio_N = (logp_N - old_logp_N).exp()
    high = config.epsilon if config.epsilon_high is None else config.epsilon_high
    clipped_ratio_N = ratio_N.clamp(1 - config.epsilon, 1 + high)
    gain_N = torch.minimum(ratio_N * advantage_N, clipped_ratio_N * advantage_N)
    clipped_N = ((ratio_N < 1 - config.epsilon) & (advantage_N < 0)) | ((ratio_N > 1 + high) & (advantage_N > 0))
    kl_N = torch.zeros_like(logp_N)
    if ref_logp_N is not None:
        away_N = ref_logp_N - logp_N
        kl_N = away_N.exp() - away_N - 1
    return TokenLoss(config.beta * kl_N - gain_N, kl_N.detach(), clipped_N)


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Of one modality, or of both, in the global batch: tokens, rollouts that have any, rollouts in all."""

    tokens: float
    rollouts_with: float
    rollouts: float


def tokens_in(trace: Trace) -> dict[str, int]:
    """Generated tokens of ``trace`` by modality, and of both."""
    found = {m: sum(len(s.tokens) for s in trace.segments if s.modality == m) for m in MODALITIES}
    return found | {POOLED: sum(found.values())}


def token_counts(
    traces: Sequence[Trace], total: Callable[[torch.Tensor], torch.Tensor] = lambda mine: mine
) -> dict[str, TokenCounts]:
    """The denominators of the loss over ``traces``, by modality and of both; ``total`` sums over all processes."""
    found = [tokens_in(trace) for trace in traces]
    names = (*MODALITIES, POOLED)
    mine = [[sum(n[name] for n in found), sum(n[name] > 0 for n in found), len(found)] for name in names]
    counts = total(torch.tensor(mine, dtype=torch.float64)).tolist()
    return {name: TokenCounts(*each) for name, each in zip(names, counts, strict=True)}


def sharing_tokens(segments: Sequence[tuple[Trace, int]], config: LossConfig) -> torch.Tensor:
    """(N,): of each token's (trace, index of its segment), the tokens of that trace that share its mean."""
    lengths = {id(trace): tokens_in(trace) for trace, _ in segments}
    if config.loss_denominator == "pooled":
        return torch.tensor([lengths[id(trace)][POOLED] for trace, _ in segments])
    return torch.tensor([lengths[id(trace)][trace.segments[s].modality] for trace, s in segments])


def token_weights(
    is_image_N: torch.Tensor,
    tokens_of_rollout_N: torch.Tensor,
    counts: dict[str, TokenCounts],
    config: LossConfig,
    lengths: Mapping[str, int],
) -> torch.Tensor:
    """(N,) weight of each token; ``tokens_of_rollout_N`` counts those of its rollout that share its mean.

    ``lengths`` are the policy's ``constant_lengths``.
    """
    weight_N = torch.zeros(len(is_image_N), dtype=torch.float32)
    for modality, chosen_N in (("text", ~is_image_N), ("image", is_image_N)):
        count, length = counts[modality], lengths[modality]
        if config.loss_denominator == "pooled":
            count, length = counts[POOLED], sum(lengths[m] for m in MODALITIES if counts[m].tokens)
        if config.loss_type == "dapo":
            weight_N[chosen_N] = 1.0 / max(count.tokens, 1.0)
        elif config.loss_type == "grpo":
            weight_N[chosen_N] = 1.0 / (tokens_of_rollout_N[chosen_N].float() * max(count.rollouts_with, 1.0))
        else:
            weight_N[chosen_N] = 1.0 / (length * max(count.rollouts, 1.0))
    return weight_N
