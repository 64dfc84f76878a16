"""Weighted choices on the command line: ``maze=2 sudoku`` → weights by name."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmreason.errors import ConfigError


def weights(items: Sequence[str]) -> dict[str, float]:
    """``["maze=2", "sudoku"]`` → ``{"maze": 2.0, "sudoku": 1.0}``; raises ConfigError."""
    chosen = {}
    for item in items:
        name, _, weight = item.partition("=")
        try:
            chosen[name] = float(weight or 1)
        except ValueError:
            raise ConfigError(f"the weight of {name!r} must be a number, got {weight!r}") from None
        if not chosen[name] > 0 or not math.isfinite(chosen[name]):
            raise ConfigError(f"the weight of {name!r} must be above 0, got {weight!r}")
    return chosen
