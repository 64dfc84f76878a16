"""The frontier as a plotly figure: success against FLOPs, each arm with its own mark and line."""

from __future__ import annotations

import plotly.graph_objects as go

from mmreason.analysis.cost.results import Point, Results
from mmreason.ui.cost.words import arm_words
from mmreason.ui.shell.figure import ACCENT, AXIS, GREY, error_bars, frame
from mmreason.ui.shell.words import flops

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
                error_y=error_bars([row.success], [row.ci95], GREY, 100),
                mode="markers",
                name=arm_words(arm),
                marker=mark,
                text=[f"{arm_words(arm)}: {flops(row.flops)}, {100 * row.success:.0f} %"],
                hoverinfo="text",
            )
        )
    figure.update_layout(
        **frame(440, (48, 16, 16, 48), -0.22),
        xaxis=AXIS | {"title": "FLOPs a rollout", "rangemode": "tozero", "exponentformat": "SI"},
        yaxis=AXIS | {"title": "Solved, %", "range": [0, 104]},
    )
    return figure


def _curve(arm: str, kind: str, points: list[Point]) -> go.Scatter:
    colour = ACCENT if arm == "diffusion_local" else GREY
    rates = [point.success for point in points]
    return go.Scatter(
        x=[point.flops for point in points],
        y=[100 * rate for rate in rates],
        error_y=error_bars(rates, [point.ci95 for point in points], colour, 100),
        mode="lines+markers",
        name=f"{arm_words(arm)}, by {kind}",
        line={"color": colour, "dash": "solid" if kind == "steps" else "dash", "width": 2},
        marker={"symbol": MARKS[arm], "size": 9, "color": colour},
        text=[f"{arm_words(arm)}, {p.setting}: {flops(p.flops)}, {100 * p.success:.0f} %" for p in points],
        hoverinfo="text",
    )
