"""A slice of a training: a number of seconds, ending before a step that would not fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class Slice:
    """``seconds`` from now on; ``rows`` are what the run measured before, so that a long step is known to come."""

    def __init__(
        self, seconds: float, rows: Iterable[Mapping[str, Any]] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._asked = clock, clock()
        self._end = self._asked + seconds
        known = ((row.get("seconds") or 0.0) + (row.get("eval_seconds") or 0.0) for row in rows)
        self._longest = max(known, default=0.0)

    def is_over(self) -> bool:
        """Would another step end too late?  To be asked after each."""
        now = self._clock()
        self._longest = max(self._longest, now - self._asked)
        self._asked = now
        return now + self._longest > self._end
