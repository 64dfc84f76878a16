"""What else a token might have been: the likeliest others when it was committed, by the policy's own distribution.

Axes: B rows, L positions, N scored tokens, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mmreason.errors import ConfigError
from mmreason.records import Frame, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.sampling.unmask import log_distribution
from mmreason.tasks import make_problem
from mmreason.training.rl.likelihood import pack_traces, score_tokens
from tests.helpers.learning import SAMPLING, shared_pipe

ASKED = replace(SAMPLING, runners_up=3)


def sampled(config: SamplingConfig) -> Trace:
    return list(shared_pipe().stream([make_problem("maze", "medium", 5)], config, [5]))[-1][0]


def frames(trace: Trace) -> list[Frame]:
    return [frame for segment in trace.segments for frame in segment.frames]


@torch.no_grad()
def test_their_probabilities_are_those_of_the_likelihood_in_the_state_in_which_the_token_was_committed():
    trace, pipe = sampled(ASKED), shared_pipe()
    (scored,) = pack_traces([trace], pipe.layout, "trajectory", 65536)
    told = [others for frame in frames(trace) for others in frame.runners_up]
    assert len(told) == len(scored.token_N) > 40 and {len(others) for others in told} == {3}
    for place in range(3):
        instead = replace(scored, token_N=torch.tensor([others[place][0] for others in told]))
        logp_N = score_tokens(pipe.transformer, instead, pipe.layout, ASKED.temperature)
        torch.testing.assert_close(logp_N, torch.tensor([others[place][1] for others in told]), atol=2e-3, rtol=0)


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.6])
def test_with_the_committed_token_and_the_rest_they_sum_to_one_and_nothing_in_the_rest_is_likelier(temperature):
    generator = torch.Generator().manual_seed(3)
    logits_BLV = 3 * torch.randn(2, 5, 9, generator=generator)
    allowed_V = torch.arange(9) != 4
    config = SamplingConfig(num_steps=2, temperature=temperature, runners_up=3)
    masked_BL, uniform_BL = torch.ones(2, 5, dtype=torch.bool), torch.rand(2, 5, generator=generator)
    output = MaskedDiffusionScheduler().step(
        logits_BLV, 0, torch.full((2, 5), 4), masked_BL, allowed_V, uniform_BL, config
    )
    logp_BLV = log_distribution(logits_BLV, allowed_V, temperature)
    for b, i in output.committed_BL.nonzero().tolist():
        token, others = int(output.tokens_BL[b, i]), dict(output.others()[b][i])
        rest = {v: float(logp_BLV[b, i, v].exp()) for v in range(9) if v not in others and v != token}
        assert token not in others and 4 not in others and len(others) == 3
        shares = [math.exp(output.logprob_BL[b, i]), *map(math.exp, others.values()), *rest.values()]
        assert math.fsum(shares) == pytest.approx(1, abs=1e-5)
        assert min(map(math.exp, others.values())) >= max(rest.values())
        assert list(others.values()) == sorted(others.values(), reverse=True)


def test_what_is_sampled_and_recorded_is_the_same_whether_they_are_asked_for_or_not():
    asked, not_asked = sampled(ASKED), sampled(SAMPLING)
    assert [replace(frame, runners_up=()) for frame in frames(asked)] == frames(not_asked)
    assert asked.settings == not_asked.settings


def test_a_batch_that_visitors_join_and_leave_tells_the_same_of_each():
    pipe, problem = shared_pipe(), make_problem("maze", "medium", 5)
    batch = pipe.running_batch()
    row = batch.join(problem, ASKED, 5)
    batch.join(make_problem("sudoku", "easy", 1), SAMPLING, 9)
    while not row.ended:
        batch.step()
    for here, alone in zip(frames(row.trace()), frames(sampled(ASKED)), strict=True):
        assert here.tokens == alone.tokens
        for these, those in zip(here.runners_up, alone.runners_up, strict=True):
            assert [sure for _, sure in these] == pytest.approx([sure for _, sure in those], abs=2e-3)


def test_where_few_tokens_are_allowed_there_are_fewer_of_them():
    allowed_V = torch.arange(9) < 2
    config = SamplingConfig(num_steps=1, runners_up=3)
    output = MaskedDiffusionScheduler().step(
        torch.zeros(1, 1, 9),
        0,
        torch.full((1, 1), 4),
        torch.ones(1, 1, dtype=torch.bool),
        allowed_V,
        torch.zeros(1, 1),
        config,
    )
    assert [sure > -math.inf for _, sure in output.others()[0][0]] == [True, False, False]


@pytest.mark.parametrize("wrong", [-1, 9, 1.5, True])
def test_how_many_is_a_whole_number_within_limits(wrong):
    with pytest.raises(ConfigError, match="runners_up must be a whole number from 0 to 8"):
        SamplingConfig(runners_up=wrong)
