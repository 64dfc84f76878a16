"""The clipped loss against a slow reference, and the weights of tokens as documented.

Axes: N scored tokens.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmreason.errors import ConfigError
from mmreason.records import MAX_TEXT_TOKENS, NUM_CELLS
from mmreason.training.rl.config import LOSS_DENOMINATORS, LOSS_TYPES, LossConfig
from mmreason.training.rl.loss import POOLED, TokenCounts, constant_lengths, token_loss, token_weights

logps = st.floats(-8, 0, width=32)
advantages = st.floats(-3, 3, width=32)


def one(logp: float, old: float, advantage: float, config: LossConfig, ref: float | None = None):
    """Loss, KL and whether it was clipped of one token."""
    tensors = [torch.tensor([x], dtype=torch.float64) for x in (logp, old, advantage)]
    reference = None if ref is None else torch.tensor([ref], dtype=torch.float64)
    terms = token_loss(*tensors, config, reference)
    return float(terms.loss_N), float(terms.kl_N), bool(terms.clipped_N)


def slow(logp: float, old: float, advantage: float, low: float, high: float) -> float:
    """The clipped loss by cases: a good token gains nothing above 1 + high, a bad one nothing below 1 − low."""
    ratio = math.exp(logp - old)
    if advantage >= 0:
        return -advantage * min(ratio, 1 + high)
    return -advantage * max(ratio, 1 - low)


@given(logps, logps, advantages)
def test_the_loss_is_the_clipped_one_by_cases(logp, old, advantage):
    config = LossConfig(epsilon=0.2, epsilon_high=0.28)
    loss, kl, _ = one(logp, old, advantage, config)
    assert loss == pytest.approx(slow(logp, old, advantage, 0.2, 0.28), rel=1e-9, abs=1e-12)
    assert kl == 0


@given(logps, logps, advantages)
def test_a_token_counts_as_clipped_exactly_where_it_has_no_gradient(logp, old, advantage):
    logp_N = torch.tensor([logp], dtype=torch.float64, requires_grad=True)
    terms = token_loss(logp_N, torch.tensor([old]), torch.tensor([advantage]), LossConfig())
    terms.loss_N.sum().backward()
    if advantage:
        assert bool(terms.clipped_N) == (float(logp_N.grad) == 0)
    else:
        assert not terms.clipped_N


def test_epsilon_high_is_epsilon_unless_given():
    assert one(math.log(1.5), 0, 1, LossConfig(epsilon=0.2))[0] == pytest.approx(-1.2)
    assert one(math.log(1.5), 0, 1, LossConfig(epsilon=0.2, epsilon_high=0.4))[0] == pytest.approx(-1.4)
    assert one(math.log(0.5), 0, -1, LossConfig(epsilon=0.2, epsilon_high=0.4))[0] == pytest.approx(0.8)


def test_at_the_old_policy_the_gradient_is_minus_the_advantage():
    logp_N = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
    advantage_N = torch.tensor([1.0, -0.5, 0.0])
    token_loss(logp_N, logp_N.detach(), advantage_N, LossConfig()).loss_N.sum().backward()
    torch.testing.assert_close(logp_N.grad, -advantage_N)


# KL


@given(logps, logps)
def test_the_kl_estimate_is_never_negative_and_zero_where_policies_agree(logp, ref):
    _, kl, _ = one(logp, logp, 0.0, LossConfig(beta=0.5), ref)
    assert kl >= 0
    assert kl == pytest.approx(math.exp(ref - logp) - (ref - logp) - 1, abs=1e-12)
    assert one(logp, logp, 0.0, LossConfig(beta=0.5), logp)[1] == 0


def test_beta_weighs_the_kl_and_only_in_the_loss():
    loss, kl, _ = one(-1.0, -1.0, 0.7, LossConfig(beta=0.5), ref=-2.0)
    assert kl == pytest.approx(math.exp(-1) + 1 - 1)
    assert loss == pytest.approx(-0.7 + 0.5 * kl)


def test_the_expected_kl_estimate_is_the_kl():
    """k3 is unbiased for KL(π ‖ π_ref) under samples of π."""
    pi, ref = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    terms = token_loss(pi.log(), pi.log(), torch.zeros(3), LossConfig(beta=1.0), ref.log())
    assert float((pi * terms.kl_N).sum()) == pytest.approx(float((pi * (pi / ref).log()).sum()), abs=1e-6)


def test_the_kl_pulls_towards_the_reference():
    logp_N = torch.tensor([-1.0, -3.0], requires_grad=True)
    ref_N = torch.tensor([-2.0, -2.0])
    token_loss(logp_N, logp_N.detach(), torch.zeros(2), LossConfig(beta=1.0), ref_N).loss_N.sum().backward()
    assert logp_N.grad[0] > 0 > logp_N.grad[1]  # downhill is towards the reference


# Weights: rollout 0 has 24 text and 10 image tokens, rollout 1 has 12 text tokens and no edit

LENGTHS = ((24, 10), (12, 0))
IS_IMAGE_N = torch.tensor([m for text, image in LENGTHS for m in [False] * text + [True] * image])
OWN_N = torch.tensor([n for lengths in LENGTHS for n in (lengths[0],) * lengths[0] + (lengths[1],) * lengths[1]])
COUNTS = {"text": TokenCounts(36, 2, 2), "image": TokenCounts(10, 1, 2), POOLED: TokenCounts(46, 2, 2)}


SIZES = constant_lengths(MAX_TEXT_TOKENS, NUM_CELLS)


def weighed(*given) -> torch.Tensor:
    """The weights of a shipped policy's tokens."""
    return token_weights(*given, SIZES)


def weights(loss_type: str) -> torch.Tensor:
    return weighed(IS_IMAGE_N, OWN_N, COUNTS, LossConfig(loss_type=loss_type))


def pooled_weights(loss_type: str) -> torch.Tensor:
    all_N = torch.tensor([sum(lengths) for lengths in LENGTHS for _ in range(sum(lengths))])
    return weighed(IS_IMAGE_N, all_N, COUNTS, LossConfig(loss_type=loss_type, loss_denominator="pooled"))


def test_dapo_weighs_every_token_of_a_modality_the_same():
    assert weights("dapo")[~IS_IMAGE_N].tolist() == pytest.approx([1 / 36] * 36)
    assert weights("dapo")[IS_IMAGE_N].tolist() == pytest.approx([1 / 10] * 10)


def test_grpo_weighs_every_rollout_that_has_the_modality_the_same():
    weight_N = weights("grpo")
    assert weight_N[:24].tolist() == pytest.approx([1 / (24 * 2)] * 24)
    assert weight_N[34:].tolist() == pytest.approx([1 / (12 * 2)] * 12)
    assert weight_N[IS_IMAGE_N].tolist() == pytest.approx([1 / 10] * 10)  # the one rollout that drew


def test_dr_grpo_divides_by_constants():
    weight_N = weights("dr_grpo")
    assert weight_N[~IS_IMAGE_N].tolist() == pytest.approx([1 / (MAX_TEXT_TOKENS * 17 * 2)] * 36)
    assert weight_N[IS_IMAGE_N].tolist() == pytest.approx([1 / (NUM_CELLS * 2)] * 10)


@pytest.mark.parametrize("loss_type", ["dapo", "grpo"])
def test_many_image_tokens_do_not_drown_few_text_tokens(loss_type):
    """Each modality's weights sum to one, however many tokens it has."""
    weight_N = weights(loss_type)
    assert float(weight_N[IS_IMAGE_N].sum()) == pytest.approx(1)
    assert float(weight_N[~IS_IMAGE_N].sum()) == pytest.approx(1)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_a_modality_without_tokens_is_harmless(loss_type):
    counts = {"text": TokenCounts(12, 1, 1), "image": TokenCounts(0, 0, 1)}
    config = LossConfig(loss_type=loss_type)
    weight_N = weighed(torch.zeros(12, dtype=torch.bool), torch.full((12,), 12), counts, config)
    assert torch.isfinite(weight_N).all()


def test_pooled_is_one_mean_over_all_tokens_in_which_a_modality_weighs_as_much_as_it_has_tokens():
    assert pooled_weights("dapo").tolist() == pytest.approx([1 / 46] * 46)
    weight_N = pooled_weights("grpo")  # the mean over rollouts of the mean over a rollout's tokens
    assert weight_N[:34].tolist() == pytest.approx([1 / (34 * 2)] * 34)
    assert weight_N[34:].tolist() == pytest.approx([1 / (12 * 2)] * 12)
    constant = MAX_TEXT_TOKENS * 17 + NUM_CELLS
    assert pooled_weights("dr_grpo").tolist() == pytest.approx([1 / (constant * 2)] * 46)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize("modality", ["text", "image"])
def test_with_one_modality_only_both_denominators_agree(loss_type, modality):
    own_N, is_image_N = torch.tensor([7] * 7 + [5] * 5), torch.full((12,), modality == "image")
    nothing = TokenCounts(0, 0, 2)
    counts = {"text": nothing, "image": nothing, modality: TokenCounts(12, 2, 2), POOLED: TokenCounts(12, 2, 2)}
    both = [
        weighed(is_image_N, own_N, counts, LossConfig(loss_type=loss_type, loss_denominator=denominator))
        for denominator in LOSS_DENOMINATORS
    ]
    assert torch.equal(*both)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_a_share_of_the_batch_has_the_weights_that_it_has_in_the_whole(loss_type):
    """Counts are of the global batch, so processes and accumulation only split the sum."""
    share = slice(0, 20)
    part_N = weighed(IS_IMAGE_N[share], OWN_N[share], COUNTS, LossConfig(loss_type=loss_type))
    assert torch.equal(part_N, weights(loss_type)[share])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss_type": "bnpo"}, "loss_type must be one of dapo, grpo, dr_grpo, got 'bnpo'"),
        ({"loss_denominator": "all"}, "loss_denominator must be one of modality, pooled, got 'all'"),
        ({"epsilon": 0.0}, "epsilon must be a number from 0.001 to 1, got '0.0'"),
        ({"epsilon": math.nan}, "epsilon must be a number"),
        ({"epsilon": 0.2, "epsilon_high": 0.1}, r"epsilon_high must be at least epsilon \(0.2\), got 0.1"),
        ({"beta": -0.1}, "beta must be a number from 0 to 10, got '-0.1'"),
        ({"beta": math.nan}, "beta must be a number"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(settings, says):
    with pytest.raises(ConfigError, match=says):
        LossConfig(**settings)


# The KL (TRL's #5640: it pulls where a group has no spread, too)


@pytest.mark.parametrize("beta", [0.0, 0.04, 1.0])
def test_without_an_advantage_the_expected_gradient_is_that_of_beta_times_the_kl(beta):
    """Every token, exactly: k3 as a loss, at tokens of the policy, has the gradient of KL(reference ‖ policy)."""
    reference_V = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
    logits_V = torch.tensor([0.3, -1.0, 0.8], dtype=torch.float64, requires_grad=True)
    logp_V = logits_V.log_softmax(-1)
    terms = token_loss(logp_V, logp_V.detach(), torch.zeros(3), LossConfig(beta=beta), reference_V)
    expected_loss = (logp_V.detach().exp() * terms.loss_N).sum()
    (gradient_V,) = torch.autograd.grad(expected_loss, logits_V, retain_graph=True)
    kl = (reference_V.exp() * (reference_V - logp_V)).sum()
    (exact_V,) = torch.autograd.grad(beta * kl, logits_V)
    assert gradient_V.tolist() == pytest.approx(exact_V.tolist(), abs=1e-12)
    assert (float(gradient_V.abs().max()) > 0) == (beta > 0)


def test_at_the_reference_a_group_without_spread_moves_nothing():
    logits_V = torch.tensor([0.3, -1.0, 0.8], dtype=torch.float64, requires_grad=True)
    logp_V = logits_V.log_softmax(-1)
    terms = token_loss(logp_V, logp_V.detach(), torch.zeros(3), LossConfig(beta=1.0), logp_V.detach())
    (gradient_V,) = torch.autograd.grad((logp_V.detach().exp() * terms.loss_N).sum(), logits_V)
    assert gradient_V.tolist() == pytest.approx([0, 0, 0], abs=1e-12)
