"""What holds of one reverse step: which masks are filled, with what, and how likely that was.

Axes: B rows, L positions, V vocabulary.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import DistributionError, MMReasonError
from mmreason.sampling.unmask import TIE, certainty, choose_positions, log_distribution, quota, sample_tokens

SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0])  # few values, so that ties are common


@st.composite
def rows(draw):
    length = draw(st.integers(1, 8))
    scores = draw(st.lists(SCORES, min_size=length, max_size=length))
    masked = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    sure = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    return scores, masked, sure, draw(st.integers(0, length + 1))


def choose(scores, masked, share, sure=None) -> list[int]:
    chosen = choose_positions(
        torch.tensor([scores]),
        torch.tensor([masked]),
        torch.tensor([share]),
        None if sure is None else torch.tensor([sure]),
    )
    return chosen[0].nonzero().flatten().tolist()


@given(rows())
@settings(deadline=None)
def test_the_best_scored_masks_are_chosen_and_ties_go_to_the_earlier_position(row):
    scores, masked, _, share = row
    hidden = [i for i, is_masked in enumerate(masked) if is_masked]
    assert choose(scores, masked, share) == sorted(sorted(hidden, key=lambda i: (-scores[i], i))[:share])


@given(rows())
@settings(deadline=None)
def test_every_sure_mask_is_chosen_besides_and_no_visible_token_ever_is(row):
    scores, masked, sure, share = row
    surely = {i for i in range(len(scores)) if masked[i] and sure[i]}
    assert set(choose(scores, masked, share, sure)) == surely | set(choose(scores, masked, share))


def test_each_row_of_a_batch_has_its_own_share():
    chosen = choose_positions(
        torch.tensor([[0.1, 0.9, 0.5]] * 3), torch.ones(3, 3, dtype=torch.bool), torch.tensor([0, 1, 2])
    )
    assert chosen.tolist() == [[False, False, False], [False, True, False], [False, True, True]]


@given(st.integers(1, 70), st.integers(1, 64))
@settings(deadline=None)
def test_the_shares_of_all_steps_are_equal_and_fill_the_segment(length, num_steps):
    left, shares = torch.tensor([length]), []
    for step in range(num_steps):
        shares.append(int(quota(left, step, num_steps)))
        left = left - shares[-1]
    assert int(left) == 0
    assert all(share >= 1 for share in shares[:length])
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


def test_without_a_number_of_steps_one_mask_at_least_is_filled():
    assert quota(torch.tensor([0, 1, 9]), 5, None).tolist() == [1, 1, 1]


def test_beyond_the_last_step_everything_is_filled():
    assert quota(torch.tensor([3, 0]), 4, 4).tolist() == [3, 0]


# Distributions


LOGITS = torch.tensor([[[1.0, 2.0, 0.5, 9.0], [0.0, 0.0, 0.0, 0.0]]])
ALLOWED = torch.tensor([True, True, True, False])


@pytest.mark.parametrize("temperature", [0.5, 0.7, 1.0, 2.0])
def test_the_distribution_is_a_softmax_over_the_allowed_ids_at_the_temperature(temperature):
    logp = log_distribution(LOGITS, ALLOWED, temperature)
    weights = np.exp(np.array([1.0, 2.0, 0.5]) / temperature)
    assert logp[0, 0, :3].exp().numpy() == pytest.approx(weights / weights.sum(), rel=1e-5)
    assert logp[0, 0, 3] == -torch.inf
    assert logp.exp().sum(-1).flatten().tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("logits", "temperature"),
    [
        ([1.0, math.nan, 0.5], 1.0),
        ([1.0, math.inf, 0.5], 1.0),
        ([-math.inf] * 3, 1.0),  # nothing left to draw
        ([1.0, 2.0, 0.5], 1e-40),  # overflows when divided
        ([1.0, 2.0, 0.5], math.nan),
    ],
)
def test_probabilities_that_are_no_numbers_are_an_error_with_a_name(logits, temperature):
    good = torch.tensor([[1.0, 2.0, 0.5]])
    logits_BLV = torch.stack([good, torch.tensor([logits])], dim=1)  # one bad position among good ones
    with pytest.raises(DistributionError, match="probabilities must be finite at temperature") as caught:
        log_distribution(logits_BLV[0], torch.ones(3, dtype=torch.bool), temperature)
    assert isinstance(caught.value, MMReasonError) and "\n" not in str(caught.value)


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_what_a_policy_says_of_ids_that_are_not_allowed_harms_nothing(logit):
    logits = LOGITS.clone()
    logits[..., 3] = logit
    assert torch.equal(log_distribution(logits, ALLOWED, 0.7), log_distribution(LOGITS, ALLOWED, 0.7))


def test_an_allowed_id_of_probability_zero_is_no_error():
    logp = log_distribution(torch.tensor([[[0.0, -math.inf, 0.0]]]), torch.ones(3, dtype=torch.bool), 1.0)
    assert logp[0, 0].exp().tolist() == pytest.approx([0.5, 0, 0.5])


def test_greedy_decoding_judges_certainty_at_temperature_one():
    assert torch.equal(log_distribution(LOGITS, ALLOWED, 0), log_distribution(LOGITS, ALLOWED, 1.0))


def test_half_precision_logits_are_normalised_in_full_precision():
    logp = log_distribution(LOGITS.bfloat16(), ALLOWED, 0.7)
    assert logp.dtype == torch.float32
    assert logp.exp().sum(-1).flatten().tolist() == pytest.approx([1, 1], abs=1e-6)


def test_confidence_is_the_top_probability_and_entropy_order_e_to_the_minus_entropy():
    logp = log_distribution(LOGITS, ALLOWED, 1.0)
    p = logp[0, 0, :3].exp().double().numpy()
    assert float(certainty(logp, "confidence")[0, 0]) == pytest.approx(p.max())
    assert float(certainty(logp, "entropy")[0, 0]) == pytest.approx(np.exp((p * np.log(p)).sum()), rel=1e-5)
    assert float(certainty(logp, "entropy")[0, 1]) == pytest.approx(1 / 3, rel=1e-5)


@pytest.mark.parametrize("order", ["confidence", "entropy"])
def test_rounding_errors_do_not_choose_among_positions_that_are_as_good_as_certain(order):
    nearly = torch.tensor([[[12.0, 0.0, 0.0], [13.0, 0.0, 0.0], [11.5, 0.0, 0.0]]])
    score = certainty(log_distribution(nearly, torch.ones(3, dtype=torch.bool), 1.0), order)
    assert score[0].argmax() == 1
    chosen = choose_positions(score, torch.ones(1, 3, dtype=torch.bool), torch.tensor([1]))
    assert chosen.tolist() == [[True, False, False]]


@pytest.mark.parametrize("best", [1.0, 0.5, 0.49955, 0.4995, 0.0123, 1e-6])
def test_scores_are_tied_within_a_width_relative_to_the_best_wherever_they_lie(best):
    near, far = best * (1 - 0.9 * TIE), best * (1 - 1.1 * TIE)
    assert choose([near, best], [True] * 2, 1) == [0]
    assert choose([best * (1 - 1e-6), best], [True] * 2, 1) == [0]
    assert choose([far, best], [True] * 2, 1) == [1]
    assert choose([far, near, best], [True] * 3, 2) == [1, 2]
    assert choose([near, best, best], [False, True, True], 1) == [1]  # what is visible is no rival


def test_a_chain_of_ties_does_not_make_its_ends_equal():
    step = 1 - 0.7 * TIE
    scores = [step**3, step**2, step, 1.0]  # each is tied with its neighbour
    assert [choose(scores, [True] * 4, n) for n in (1, 2, 3)] == [[2], [2, 3], [0, 2, 3]]


def test_the_two_orders_can_disagree():
    peaked = [0.5, 0.5, 1e-9, 1e-9]  # little entropy, small top probability
    spread = [0.52, 0.16, 0.16, 0.16]
    logp = torch.tensor([[peaked, spread]]).log()
    best = {order: int(certainty(logp, order).argmax()) for order in ("confidence", "entropy")}
    assert best == {"confidence": 1, "entropy": 0}


# Sampling


def test_tokens_are_drawn_in_proportion_to_their_probability():
    p = [0.0, 0.1, 0.0, 0.55, 0.35, 0.0]
    points = 2000
    logp = torch.tensor(p).log().expand(1, points, -1)
    uniform = (torch.arange(points)[None] + 0.5) / points
    counts = torch.bincount(sample_tokens(logp, uniform, 1.0)[0], minlength=6)
    assert (counts / points).tolist() == pytest.approx(p, abs=1 / points)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_the_ends_of_the_unit_interval_never_give_a_forbidden_token(uniform):
    logp = torch.tensor([[[0.0, 0.2, 0.8, 0.0]]]).log()
    assert int(sample_tokens(logp, torch.tensor([[uniform]]), 0.7)) in (1, 2)


@given(st.floats(0, 1 - 2**-24, width=32), st.integers(0, 100))
@settings(deadline=None, max_examples=50)
def test_a_token_of_probability_zero_is_never_drawn(uniform, seed):
    logits = torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(seed)) * 5
    allowed = torch.rand(40, generator=torch.Generator().manual_seed(seed + 1)) < 0.2
    allowed[7] = True
    token = int(sample_tokens(log_distribution(logits, allowed, 0.7), torch.tensor([[uniform]]), 0.7))
    assert allowed[token]


def test_at_temperature_zero_the_most_likely_token_is_taken_whatever_the_noise():
    logp = log_distribution(LOGITS, ALLOWED, 0)
    for uniform in (0.0, 0.5, 0.99):
        assert sample_tokens(logp, torch.full((1, 2), uniform), 0)[0, 0] == 1
