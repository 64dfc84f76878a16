"""Pairs of outcomes: the exact test against a count of all signs, and how often the interval holds the truth."""

from itertools import product

import numpy as np
import pytest

from mmreason.analysis.statistics import paired


@pytest.mark.parametrize(("gained", "lost", "same"), [(0, 0, 5), (1, 0, 3), (6, 1, 10), (5, 5, 0), (0, 8, 40)])
def test_the_p_value_is_the_share_of_signs_at_least_as_far_from_even(gained, lost, same):
    first = [False] * gained + [True] * lost + [True] * same
    second = [True] * gained + [False] * lost + [True] * same
    found = paired(first, second)
    signs = list(product((-1, 1), repeat=gained + lost))
    far = sum(abs(sum(each)) >= abs(gained - lost) for each in signs) / len(signs)
    assert (found.gained, found.lost) == (gained, lost)
    assert found.p == pytest.approx(far)
    assert found.difference == pytest.approx((gained - lost) / len(first))
    assert found.ci95[0] <= found.difference <= found.ci95[1]


def test_swapping_the_two_turns_the_sign_alone():
    rng = np.random.default_rng(0)
    first, second = rng.random(60) < 0.4, rng.random(60) < 0.7
    one, other = paired(first.tolist(), second.tolist()), paired(second.tolist(), first.tolist())
    assert one.p == other.p and one.ci95 == pytest.approx((-other.ci95[1], -other.ci95[0]))


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held, tries = 0, 2000
    for _ in range(tries):
        first = rng.random(150) < 0.6
        second = np.where(rng.random(150) < 0.7, first, rng.random(150) < 0.8)  # 0.7 × 0.6 + 0.3 × 0.8 = 0.66
        low, high = paired(first.tolist(), second.tolist()).ci95
        held += low <= 0.06 <= high
    assert 0.93 <= held / tries <= 0.985
