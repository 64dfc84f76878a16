"""What holds of the scheduler: visible tokens stay, and sampled tokens never decide the order.

Axes: B rows, L positions, V vocabulary.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ConfigError
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.sampling.unmask import log_distribution

B, L, V, MASK = 3, 6, 11, 10


def a_step(seed: int, config: SamplingConfig, step: int = 0, noise: int = 0):
    """One step on random logits with some tokens visible; returns inputs and output."""
    generator = torch_generator("step", seed)
    logits = 2 * torch.randn(B, L, V, generator=generator)
    masked = torch.rand(B, L, generator=generator) < 0.7
    tokens = torch.randint(0, V - 1, (B, L), generator=generator).masked_fill(masked, MASK)
    allowed = torch.ones(V, dtype=torch.bool)
    allowed[[0, MASK]] = False
    uniform = torch.rand(B, L, generator=torch_generator("uniform", seed, noise))
    output = MaskedDiffusionScheduler().step(logits, step, tokens, masked, allowed, uniform, config)
    return logits, tokens, masked, allowed, output


CONFIGS = st.sampled_from(
    [
        SamplingConfig(num_steps=3),
        SamplingConfig(num_steps=3, temperature=0),
        SamplingConfig(num_steps=4, threshold=0.4, temperature=0.7),
        SamplingConfig(num_steps=None, threshold=0.6, order="entropy"),
    ]
)


@given(st.integers(0, 10**6), CONFIGS)
@settings(deadline=None, max_examples=50)
def test_only_masks_are_filled_with_allowed_ids_and_visible_tokens_stay(seed, config):
    _, tokens, masked, allowed, output = a_step(seed, config)
    committed = output.committed_BL
    assert not (committed & ~masked).any()
    assert torch.equal(output.tokens_BL[~committed], tokens[~committed])
    assert allowed[output.tokens_BL[committed]].all()
    assert (committed.any(-1) == masked.any(-1)).all()  # every unfinished row gets on


@given(st.integers(0, 10**6), CONFIGS)
@settings(deadline=None, max_examples=50)
def test_the_log_probability_is_that_of_the_committed_token_at_the_sampling_temperature(seed, config):
    logits, _, _, allowed, output = a_step(seed, config)
    logp = log_distribution(logits, allowed, config.temperature)
    for b, position in output.committed_BL.nonzero().tolist():
        assert output.logprob_BL[b, position] == logp[b, position, output.tokens_BL[b, position]]
    assert not output.logprob_BL[~output.committed_BL].any()


@given(st.integers(0, 10**6), CONFIGS)
@settings(deadline=None, max_examples=50)
def test_the_committed_positions_do_not_depend_on_the_sampled_tokens(seed, config):
    first = a_step(seed, config, noise=0)[-1]
    assert all(torch.equal(a_step(seed, config, noise=n)[-1].committed_BL, first.committed_BL) for n in (1, 2))


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=50)
def test_a_threshold_fills_just_what_is_that_sure_or_the_share_if_that_is_more(seed):
    logits, _, masked, allowed, output = a_step(seed, SamplingConfig(num_steps=4, threshold=0.4, temperature=0.7))
    top = (logits[..., allowed] / 0.7).softmax(-1).amax(-1)
    sure = masked & (top > 0.4)
    assert not (sure & ~output.committed_BL).any()
    for b in range(B):
        share = -(-int(masked[b].sum()) // 4)
        assert output.committed_BL[b].sum() == max(share, int(sure[b].sum()))


def test_a_threshold_fills_what_is_surer_beyond_the_share():
    logits = torch.zeros(1, 4, V)
    logits[0, :, 1] = torch.tensor([9.0, 0.0, 9.0, 9.0])
    masked = torch.ones(1, 4, dtype=torch.bool)
    inputs = (logits, 0, torch.full((1, 4), MASK), masked, torch.ones(V, dtype=torch.bool), torch.zeros(1, 4))
    committed = []
    for config in (
        SamplingConfig(num_steps=4),
        SamplingConfig(num_steps=4, threshold=0.9),
        SamplingConfig(num_steps=None, threshold=1.0),
    ):
        committed.append(MaskedDiffusionScheduler().step(*inputs, config).committed_BL[0].tolist())
    assert committed == [
        [True, False, False, False],
        [True, False, True, True],
        [True, False, False, False],  # nothing is that sure: the best one
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 0),
        ("num_steps", 65),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("threshold", -0.1),
        ("temperature", 1e-40),
        ("temperature", True),
        ("threshold", 1.5),
        ("order", "random"),
        ("region", "half"),
        ("max_turns", 0),
        ("max_turns", 17),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name_and_value(field, value):
    with pytest.raises(ConfigError, match=f"^{field} must be .*got '{value}'$"):
        SamplingConfig(**{field: value})


def test_without_steps_a_threshold_is_needed():
    with pytest.raises(ConfigError, match="only with a threshold"):
        SamplingConfig(num_steps=None)


def test_a_saved_scheduler_keeps_its_defaults(tmp_path):
    MaskedDiffusionScheduler(num_steps=6, threshold=0.9, commit_order="entropy").save_pretrained(tmp_path)
    loaded = MaskedDiffusionScheduler.from_pretrained(tmp_path)
    expected = SamplingConfig(num_steps=6, threshold=0.9, order="entropy", temperature=0.5)
    assert loaded.sampling_config(temperature=0.5) == expected


def test_a_threshold_of_zero_is_off():
    assert SamplingConfig(threshold=0) == SamplingConfig()
    with pytest.raises(ConfigError, match="num_steps may be None only with a threshold"):
        SamplingConfig(num_steps=None, threshold=0.0)
