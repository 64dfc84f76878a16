"""Weighted choices on the command line: ``maze=2 sudoku`` → weights by name."""

from __future__ import annotations

from collections.abc import Sequence

from mmreason.errors import ConfigError
from mmreason.limits import WEIGHT


def weights(items: Sequence[str]) -> dict[str, float]:
    """``["maze=2", "sudoku"]`` → ``{"maze": 2.0, "sudoku": 1.0}``; raises ConfigError."""
    chosen = {}
    for item in items:
        name, _, weight = item.partition("=")
        chosen[name] = WEIGHT.check(weight or 1, f"the weight of {name[:40]!r}")
        if not chosen[name]:
            raise ConfigError(f"the weight of {name[:40]!r} must be above 0, got {weight!r}")
    return chosen
