"""A picture and its words are denoised in one view, by the published schedule, and scored exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreason.backbones.loading import load_llama
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.sampling.views.schedule import joint_image_left
from mmreason.sampling.views.scoring import log_likelihood, snapshots
from mmreason.sampling.views.together import both, denoise_together, joint_shares
from tests.helpers import golden

CODES = Alphabet(128, torch.ones(64, dtype=torch.bool))
WORDS = Alphabet.of(torch.tensor([10 <= i < 120 and i != 50 for i in range(golden.VOCAB)]))


def test_every_slot_is_committed_and_codes_follow_the_published_counts() -> None:
    shares = joint_shares(64, 32, 16, 8)
    assert sum(codes for codes, _ in shares) == 64 and sum(words for _, words in shares) == 32
    left = joint_image_left(64, 16, 8)
    taken = np.cumsum([codes for codes, _ in shares])
    assert (64 - taken)[:-1].tolist() == left[:-1] and left[-1] == 1
    assert all(any(pair) for pair in joint_shares(16, 4, 128, 8))


def test_the_alphabet_of_both_allows_what_either_allows() -> None:
    union = both(WORDS, CODES)
    ids = (union.allowed_W.nonzero()[:, 0] + union.first).tolist()
    assert ids == [i for i in range(10, 120) if i != 50] + list(range(128, 192))


@pytest.mark.parametrize("mode", ["full", "prefix"])
def test_codes_and_words_are_drawn_from_their_own_ids_and_recorded_exactly(mode, tmp_path: Path) -> None:
    backbone = load_llama(golden.write_reference(tmp_path), mode)
    view = View.of([5, 6, 193, *[golden.MASK] * 12, 194, *[golden.MASK] * 8, 7], golden.MASK)
    generator = torch.Generator().manual_seed(0)

    def uniform(_: int, width: int) -> torch.Tensor:
        return torch.rand(1, width, generator=generator)

    session = backbone.open([view], both(WORDS, CODES))
    frames = list(denoise_together(session, 12, 8, CODES, WORDS, golden.MASK, (8, 4), 0.9, uniform))
    tokens = frames[-1].tokens
    assert all(128 <= token < 192 for token in tokens[:12])
    assert all(10 <= token < 120 and token != 50 for token in tokens[12:])
    found = snapshots(view, golden.MASK, frames)
    for alphabet, inside in ((CODES, lambda place: place < 12), (WORDS, lambda place: place >= 12)):
        parts, recorded = [], []
        for snapshot, frame in zip(found, frames, strict=True):
            keep = np.array([inside(place) for place in frame.committed])
            if keep.any():
                parts.append(replace(snapshot, places=snapshot.places[keep], targets=snapshot.targets[keep]))
                recorded += [x for x, kept in zip(frame.logprobs, keep, strict=True) if kept]
        logp = log_likelihood(backbone, parts, alphabet, 0.9)
        np.testing.assert_allclose(logp.detach().numpy(), recorded, atol=1e-4)
