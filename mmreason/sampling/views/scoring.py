"""The exact log-probability of denoised segments on any backbone, whole or a share of their steps.

Axes: N scored tokens, W columns of an alphabet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mmreason.backbones.backbone import Backbone, Snapshot
from mmreason.errors import ConfigError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.records import Frame
from mmreason.sampling.unmask import log_distribution


def snapshots(view: View, mask: int, frames: Sequence[Frame]) -> list[Snapshot]:
    """One snapshot a step: the slots as they stood before it, and what it committed."""
    found = []
    before = np.full(len(view.slots), mask)
    for frame in frames:
        after, places = np.array(frame.tokens), np.array(frame.committed, dtype=np.int64)
        if len(places):
            found.append(Snapshot(view, before, places, after[places]))
        before = after
    return found


def log_likelihood(
    backbone: Backbone,
    chosen: Sequence[Snapshot],
    alphabet: Alphabet,
    temperature: float,
    guidance: Sequence[float] = (),
) -> torch.Tensor:
    """(N,) log-probability (nats) of every committed token, snapshots in order, with gradients.

    Guided as they were sampled.  Temperature 0 has no likelihood; raises ConfigError.
    """
    if temperature <= 0:
        raise ConfigError(f"temperature must be above 0 for a likelihood, got {temperature}")
    logits_NW = backbone.scored(chosen, alphabet, guidance)
    logp_NW = log_distribution(logits_NW, alphabet.allowed_W.to(logits_NW.device), temperature)
    target_N = torch.from_numpy(np.concatenate([each.targets for each in chosen])).to(logits_NW.device)
    return logp_NW.gather(-1, (target_N - alphabet.first)[:, None]).squeeze(-1)


def share_of_steps(steps: int, share: float, rng: np.random.Generator) -> tuple[list[int], float]:
    """A random share of a segment's denoising steps, and the weight of each that leaves the sum without bias.

    Each of ``steps`` is as likely as any other, and at least one is taken: the weighted sum over the chosen ones
    has the whole sum as its mean.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"score_steps must be above 0 and at most 1, got {share}")
    count = max(1, round(share * steps))
    chosen = sorted(rng.choice(steps, size=min(count, steps), replace=False).tolist()) if steps else []
    return chosen, steps / len(chosen) if chosen else 1.0
