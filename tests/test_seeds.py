"""What holds of seeds: pure functions of their keys, unrelated for neighbours."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from mmreason.sampling.generators import torch_generator
from mmreason.seeds import derive_seed, numpy_generator

KEYS = st.lists(st.one_of(st.integers(-(10**6), 10**6), st.text(max_size=5)), min_size=1, max_size=4)


@given(KEYS, KEYS)
def test_equal_keys_give_equal_seeds_and_other_keys_others(a, b):
    assert (derive_seed(*a) == derive_seed(*b)) == (a == b)
    assert 0 <= derive_seed(*a) < 2**63


def test_a_number_and_its_spelling_are_different_keys():
    assert derive_seed(1) != derive_seed("1")
    assert derive_seed("a", "b") != derive_seed("ab")
    assert derive_seed(1, 2) != derive_seed(12)


def test_seeds_stay_what_they_are_from_version_to_version():
    assert derive_seed("maze", "easy", 0, "train", 0) == 13768238355033591


def test_half_of_all_bits_change_from_one_seed_to_the_next():
    changed = [bin(derive_seed("x", i) ^ derive_seed("x", i + 1)).count("1") for i in range(200)]
    assert 29 < sum(changed) / len(changed) < 34


def test_generators_are_pure_functions_of_their_keys():
    assert numpy_generator("a", 1).random() == numpy_generator("a", 1).random()
    assert numpy_generator("a", 1).random() != numpy_generator("a", 2).random()
    one, same, other = (torch.rand(4, generator=torch_generator("a", i)) for i in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
