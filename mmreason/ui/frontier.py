"""The frontier as a plotly figure: success against FLOPs, each arm with a mark and a line of its own."""

from __future__ import annotations

import plotly.graph_objects as go

from mmreason.ui.cost_results import Point, Results
from mmreason.ui.cost_words import arm_words, flops

ACCENT, GREY = "#2a8f87", "#7b8190"  # both readable on light and on dark
MARKS = {"ar_full": "x", "ar_local": "diamond-open", "diffusion_full": "square-open", "diffusion_local": "circle"}


def frontier_figure(results: Results | None) -> go.Figure | None:
    """Curves by steps (solid) and by threshold (dashed), the autoregressive arms as single marks."""
    if results is None or not results.frontier:
        return None
    figure = go.Figure()
    for arm in ("diffusion_full", "diffusion_local"):
        for kind in ("steps", "threshold"):
            points = [p for p in results.frontier if p.arm == arm and (p.threshold is None) == (kind == "steps")]
            if points:
                figure.add_trace(_curve(arm, kind, sorted(points, key=lambda point: point.flops)))
    for arm in ("ar_full", "ar_local"):
        row = results.arms[arm]
        mark = {"symbol": MARKS[arm], "size": 11, "color": GREY}
        figure.add_trace(
            go.Scatter(
                x=[row.flops],
                y=[100 * row.success],
                error_y=_error([100 * row.success], [row.ci95], GREY),
                mode="markers",
                name=arm_words(arm),
                marker=mark,
                text=[f"{arm_words(arm)}: {flops(row.flops)}, {100 * row.success:.0f} %"],
                hoverinfo="text",
            )
        )
    axis = {"showline": False, "zeroline": False, "fixedrange": True}
    figure.update_layout(
        height=440,
        margin={"l": 48, "r": 16, "t": 16, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 14},
        legend={"orientation": "h", "y": -0.22, "x": 0, "itemclick": False, "itemdoubleclick": False},
        xaxis=axis | {"title": "FLOPs a rollout", "rangemode": "tozero", "exponentformat": "SI"},
        yaxis=axis | {"title": "Solved, %", "range": [0, 104]},
    )
    return figure


def _curve(arm: str, kind: str, points: list[Point]) -> go.Scatter:
    colour = ACCENT if arm == "diffusion_local" else GREY
    heights = [100 * point.success for point in points]
    return go.Scatter(
        x=[point.flops for point in points],
        y=heights,
        error_y=_error(heights, [point.ci95 for point in points], colour),
        mode="lines+markers",
        name=f"{arm_words(arm)}, by {kind}",
        line={"color": colour, "dash": "solid" if kind == "steps" else "dash", "width": 2},
        marker={"symbol": MARKS[arm], "size": 9, "color": colour},
        text=[f"{arm_words(arm)}, {p.setting}: {flops(p.flops)}, {100 * p.success:.0f} %" for p in points],
        hoverinfo="text",
    )


def _error(heights: list[float], bounds: list[tuple[float, float]], colour: str) -> dict:
    return {
        "type": "data",
        "array": [100 * high - height for (_, high), height in zip(bounds, heights, strict=True)],
        "arrayminus": [height - 100 * low for (low, _), height in zip(bounds, heights, strict=True)],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }
