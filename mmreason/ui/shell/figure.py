"""The page's figures as plain data, which ``components/shared/chart.js`` draws: axes, lines, charts.

A point is (x, y), (x, y, low, high) or (x, y, low, high, says).  A colour is the name of one of the page's variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

Point = tuple[Any, ...]
Data = dict[str, Any]

WORDS, PICTURES, QUIET = "words", "picture", "quiet"
ARM_LOOKS: dict[str, Data] = {  # colour, dash and mark of whatever an assignment has trained
    "base": {"colour": QUIET, "dash": "dot", "mark": "square-open"},
    "joint": {"colour": "arm-joint", "dash": "dash", "mark": "diamond-open"},
    "factorized": {"colour": "arm-factorized", "dash": "solid", "mark": "circle"},
}


def axis(says: str, low: float, high: float, **more: Any) -> Data:
    """``more``: ``log``, ``unit`` after its numbers, ``ticks`` as (value, text)."""
    return {"says": says, "low": low, "high": high, **more}


def line(name: str, points: Iterable[Point], **look: Any) -> Data:
    """``look``: ``colour``, ``dash``, ``mark``, ``size``, ``weight``, ``faint``, ``unnamed``, ``tags``."""
    return {"name": name, "points": [list(point) for point in points], "colour": QUIET, **look}


def chart(
    file: str, title: str, x: Data, y: Data, lines: Sequence[Data], columns: tuple[str, str], **more: Any
) -> Data:
    """A figure, ``file`` the name of what it is saved as and ``columns`` the headings of x and y there.

    ``more``: ``says``, ``across``, ``labels``, ``rules``, ``drag``, ``height``, ``span``.
    """
    made = {"file": file, "title": title, "x": x, "y": y, "lines": list(lines), "columns": list(columns)}
    return made | {"height": 280, **more}


def around(values: Iterable[float], least: float = 0.0) -> tuple[float, float]:
    """A range that holds all ``values`` with a margin, at least ``least`` wide; (0, 1) of none."""
    found = [value for value in values if math.isfinite(value)]
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    margin = max(0.08 * (high - low), (least - (high - low)) / 2, 1e-9)
    return low - margin, high + margin
