"""The law of the sampler: probabilities of all traces of a segment sum to one, and frequencies match.

The real sampler runs: cache, scheduler, temperature and threshold.  To enumerate, only the last draw
(``sample_tokens`` and its random numbers) is replaced, so that row ``b`` gets the ``b``-th of all token
assignments; which
positions are committed when, and how likely that was, is for the sampler to say.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Segment
from mmreason.sampling import scheduler
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.sampler import Sampler
from mmreason.tasks import make_problem
from tests.helpers.policies import layout, pipeline_of, random_policy, vocabulary

CELLS = np.array([9, 10, 27])  # the edited region
CODES = [vocabulary().num_text + code for code in (3, 60, 141)]  # the image tokens that it may hold
THOUGHT = [40, 41, 42]  # a finished thought, forwarded together with the first step of the edit


WORDS = 8  # length of the text segment that is enumerated


def coupled_policy() -> InterleavedDiffusionModel:
    """A policy whose certainty at a cell depends strongly on the codes that are drawn already.

    The last eight of 48 dimensions hold nothing but which code a token is, and the first layer
    hands their sum to every position.
    """
    model = random_policy(seed=6).requires_grad_(False)
    generator = torch.Generator().manual_seed(6)
    for table in (model.tokens, model.rows, model.columns, model.turns, model.slots):
        table.weight[:, 40:] = 0
    model.tokens.weight[CODES, 40:] = torch.randn(3, 8, generator=generator)
    attention = model.blocks[0].attention
    attention.qkv.weight.zero_()
    attention.qkv.weight[96 + 40 :, 40:] = torch.eye(8)
    attention.out.weight.copy_(2 * torch.randn(48, 48, generator=generator))
    return model


def a_sampler(config: SamplingConfig, num_rows: int) -> Sampler:
    problem = make_problem("maze", "easy", 0)
    sampler = Sampler(pipeline_of(coupled_policy()), [problem], config, [11], num_rows)
    sampler._encode_problems()
    return sampler


def only(ids: list[int]) -> torch.Tensor:
    allowed_V = torch.zeros(vocabulary().size, dtype=torch.bool)
    allowed_V[ids] = True
    return allowed_V


def an_edit(config: SamplingConfig, num_rows: int) -> list[Segment]:
    """The edit segments of ``num_rows`` rollouts that share problem and thought."""
    sampler = a_sampler(config, num_rows)
    sampler.allowed["image"] = only(CODES)
    for row in range(num_rows):
        sampler.rows.add(row, [layout().text_piece(THOUGHT, 1)])
    for _ in sampler._denoise_edits(sampler.rollouts, 1, [CELLS] * num_rows):
        pass
    return [rollout.segments[-1] for rollout in sampler.rollouts]


def a_text(config: SamplingConfig, num_rows: int, ids: list[int]) -> list[Segment]:
    """Text segments of ``WORDS`` tokens out of ``ids``."""
    sampler = a_sampler(config, num_rows)
    sampler.allowed["text"] = only(ids)
    for rollout in sampler.rollouts:
        rollout.begin_text(1, WORDS)
    for _ in sampler._denoise(sampler.rollouts):
        pass
    return [rollout.segments[-1] for rollout in sampler.rollouts]


def forced(monkeypatch, assignments: list[tuple[int, ...]]) -> None:
    tokens_BL = torch.tensor(assignments)

    def row_numbers(sampler: Sampler, active, width: int, lengths) -> torch.Tensor:
        rows = {id(rollout): float(b) for b, rollout in enumerate(sampler.rollouts)}
        return torch.tensor([[rows[id(rollout)]] * width for rollout in active])

    monkeypatch.setattr(Sampler, "_uniform", row_numbers)
    monkeypatch.setattr(scheduler, "sample_tokens", lambda logp, rows_BL, temperature: tokens_BL[rows_BL[:, 0].long()])


EDITS = list(product(CODES, repeat=len(CELLS)))
CONFIGS = {
    "threshold": SamplingConfig(num_steps=3, temperature=0.7, threshold=0.5),
    "two steps": SamplingConfig(num_steps=2, temperature=0.7),
    "entropy": SamplingConfig(num_steps=3, temperature=1.6, order="entropy"),
    "threshold alone": SamplingConfig(num_steps=None, temperature=0.7, threshold=0.5),
}


def critical(dof: int) -> float:
    """The value that a chi-square variable exceeds once in a thousand times (Wilson and Hilferty 1931)."""
    return dof * (1 - 2 / (9 * dof) + 3.0902 * (2 / (9 * dof)) ** 0.5) ** 3


@pytest.mark.parametrize("name", CONFIGS)
def test_the_probabilities_of_all_edits_sum_to_one_and_sampled_frequencies_match_them(name, monkeypatch):
    config, draws = CONFIGS[name], 4000
    with monkeypatch.context() as patch:
        forced(patch, EDITS)
        every = an_edit(config, len(EDITS))
    assert [segment.tokens for segment in every] == EDITS
    probability = np.exp([segment.logprob for segment in every])
    assert probability.sum() == pytest.approx(1, abs=1e-5)
    assert probability.max() < 0.5  # a law of one certain trace would say little

    sampled = [segment.tokens for segment in an_edit(config, draws)]
    counts = np.array([sampled.count(tokens) for tokens in EDITS])
    assert counts.sum() == draws
    rare = probability * draws < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(probability[~rare], probability[rare].sum()) * draws
    observed, expected = observed[expected > 0], expected[expected > 0]
    assert len(expected) > 10
    assert ((observed - expected) ** 2 / expected).sum() < critical(len(expected) - 1)


def test_the_threshold_of_the_law_above_sometimes_holds_and_the_order_depends_on_what_was_drawn(monkeypatch):
    forced(monkeypatch, EDITS)
    every = an_edit(CONFIGS["threshold"], len(EDITS))
    assert {len(segment.frames) for segment in every} == {2, 3}
    assert len({tuple(frame.committed for frame in segment.frames) for segment in every}) >= 3


def test_the_probabilities_of_all_texts_out_of_two_words_sum_to_one(monkeypatch):
    ids = [vocabulary().end, vocabulary().first_cell]
    every = list(product(ids, repeat=WORDS))
    forced(monkeypatch, every)
    segments = a_text(SamplingConfig(num_steps=3, temperature=0.7, threshold=0.95), len(every), ids)
    assert [segment.tokens for segment in segments] == every  # what follows <end> is sampled, too
    assert sum(np.exp(segment.logprob) for segment in segments) == pytest.approx(1, abs=1e-5)


def test_a_sampled_edit_has_the_probability_that_the_enumeration_gives_it(monkeypatch):
    config = CONFIGS["threshold"]
    sampled = an_edit(config, 20)
    forced(monkeypatch, EDITS)
    by_tokens = {segment.tokens: segment for segment in an_edit(config, len(EDITS))}
    for segment in sampled:
        same = by_tokens[segment.tokens]
        assert segment.logprob == pytest.approx(same.logprob, abs=1e-5)
        assert [f.committed for f in segment.frames] == [f.committed for f in same.frames]
