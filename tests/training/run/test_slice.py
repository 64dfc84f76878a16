"""A slice of a training knows when another step would end too late."""

import pytest

from mmreason.training.run.slice import Slice


def test_a_slice_ends_when_the_longest_step_so_far_would_not_fit():
    times = iter([0.0, 4.0, 6.0, 7.0])  # a first step of 4 s, loading included, then of 2 s and 1 s
    part = Slice(10.5, clock=lambda: next(times))
    assert [part.is_over() for _ in range(3)] == [False, False, True]  # 7 + 4 > 10.5


@pytest.mark.parametrize(("known", "is_over"), [(2.0, False), (8.0, True)])
def test_a_long_evaluation_is_known_from_the_rows_before(known, is_over):
    times = iter([0.0, 1.0])
    rows = [{"step": 0, "eval_seconds": known}, {"step": 1, "seconds": None}]
    assert Slice(8.0, rows, clock=lambda: next(times)).is_over() == is_over
