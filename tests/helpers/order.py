"""Which files come first: those that take longest, so that two processes that share them end together."""

from __future__ import annotations

from collections import Counter

import pytest

SLOW, BROWSER, QUICK = 12.0, 3.0, 0.1  # seconds that a test takes, as far as its marks tell


def pytest_configure(config: pytest.Config) -> None:
    """With ``--dist loadfile`` files go out in the order of their tests, not the ones with many tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def longest_first(items: list[pytest.Item]) -> None:
    """Put the files whose marks promise most work first; the order of tests within a file stays."""
    work: Counter[str] = Counter()
    for item in items:
        work[str(item.path)] += seconds_of(item)
    items.sort(key=lambda item: -work[str(item.path)])


def seconds_of(item: pytest.Item) -> float:
    """What a test takes, about."""
    if item.get_closest_marker("slow"):
        return SLOW
    return BROWSER if item.get_closest_marker("browser") else QUICK
