"""Numbers as they are said."""

from __future__ import annotations

import pytest

from mmreason.wording import change, counted, formatted, percent, points, signed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (percent(0.2691), "26.9 %"),
        (percent(0.2691, 0), "27 %"),
        (change(0.112), "+11.2 %"),
        (change(-0.0044), "−0.4 %"),
        (change(-0.0001), "+0.0 %"),
        (points(-0.0044), "−0.4"),
        (signed(-0.251), "−0.25"),
        (formatted(-1.5e-7, ".3g"), "−1.5e−07"),
        (counted(1, "seed"), "1 seed"),
        (counted(0, "seed"), "0 seeds"),
        (counted(4200, "seed"), "4,200 seeds"),
    ],
)
def test_a_minus_is_one_a_zero_has_no_side_and_the_per_cent_sign_has_its_space(said, expected):
    assert said == expected
