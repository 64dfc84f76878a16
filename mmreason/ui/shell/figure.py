"""What the page's plotly figures share: colours that are readable on light and on dark, frame, error bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ACCENT, GREY = "#2a8f87", "#7b8190"
AXIS: dict[str, Any] = {"showline": False, "zeroline": False, "fixedrange": True}


def frame(height: int, margin: tuple[int, int, int, int], legend_y: float, font_size: int = 14) -> dict[str, Any]:
    """Arguments of ``update_layout``; ``margin`` is left, right, top, bottom in pixels."""
    return {
        "height": height,
        "margin": dict(zip("lrtb", margin, strict=True)),
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": font_size},
        "legend": {"orientation": "h", "y": legend_y, "x": 0, "itemclick": False, "itemdoubleclick": False},
    }


def error_bars(
    values: Sequence[float], bounds: Sequence[Sequence[float]], colour: str, factor: float = 1.0
) -> dict[str, Any]:
    """Bars from the (low, high) ``bounds`` around ``values``, all times ``factor``."""
    return {
        "type": "data",
        "array": [factor * (high - value) for value, (_, high) in zip(values, bounds, strict=True)],
        "arrayminus": [factor * (value - low) for value, (low, _) in zip(values, bounds, strict=True)],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }
