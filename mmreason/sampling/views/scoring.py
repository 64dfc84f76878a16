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


def snapshots(view: View, mask: int, *parts: Sequence[Frame]) -> list[Snapshot]:
    """One snapshot a step: the slots as they stood before it, and what it committed.

    ``parts`` are the frames of the segment, or of a turn denoised together those of its picture and of its text.
    """
    committed: dict[int, list[tuple[int, int]]] = {}  # step → places and what came there
    start = 0
    for frames in parts:
        for frame in frames:
            found = committed.setdefault(frame.step, [])
            found += [(start + place, frame.tokens[place]) for place in frame.committed]
        start += len(frames[-1].tokens) if frames else 0
    copies, before = [], np.full(len(view.slots), mask)
    for step in sorted(committed):
        places, targets = np.array(committed[step], dtype=np.int64).reshape(-1, 2).T
        if len(places):
            copies.append(Snapshot(view, before, places, targets))
        before = before.copy()
        before[places] = targets
    return copies


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
    is_word_N = torch.from_numpy(np.concatenate([each.view.is_word[each.places] for each in chosen]))
    logp_NW = log_distribution(logits_NW, alphabet.to(logits_NW.device).at(is_word_N), temperature)
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
