"""What a preset does over seeds, in numbers."""

import pytest

from mmreason.analysis.preset_gain import summary


def rows(*gains):
    return [
        {"seed": i, "before": 0.5, "after": 0.5 + gain, "clear": gain > 0.1, "seconds": 100.0 + i}
        for i, gain in enumerate(gains)
    ]


def test_the_gain_has_students_interval_over_seeds():
    found = summary(rows(0.1, 0.2, 0.3))
    assert found["gain"] == pytest.approx(0.2)
    assert found["gain_ci95"] == pytest.approx([0.2 - 4.303 * 0.1 / 3**0.5, 0.2 + 4.303 * 0.1 / 3**0.5])
    assert (found["clear"], found["longest_seconds"]) == (2, 102.0)


def test_one_seed_has_no_interval():
    assert summary(rows(0.1))["gain_ci95"] is None
