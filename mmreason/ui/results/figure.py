"""Held-out curves of the comparison as a plotly figure: every seed thin, the mean thick with its interval."""

from __future__ import annotations

import plotly.graph_objects as go

from mmreason.analysis.comparison.results import Comparison
from mmreason.ui.shell.figure import ACCENT, AXIS, GREY, error_bars, frame

METRICS = {"success": "Solved, %", "text_reward": "Text reward", "image_reward": "Image reward"}
AXES = {"step": "Step", "flops": "FLOPs of training and rollouts"}
STYLES = {"factorized": (ACCENT, "solid", "circle"), "joint": (GREY, "dash", "diamond-open")}


def comparison_figure(
    found: Comparison | None, metric: str = "success", axis: str = "step", task: str | None = None
) -> go.Figure | None:
    """Curves of one metric over steps or FLOPs, of all tasks or one; arms differ in colour, dash and mark."""
    if found is None:
        return None
    curves = found.curves if task is None else found.task_curves[task]
    figure = go.Figure()
    factor = 100 if metric == "success" else 1
    for arm, (colour, dash, mark) in STYLES.items():
        for curve in curves[arm].seeds:
            points = [p for p in curve.points if getattr(p, metric) is not None]
            figure.add_trace(
                go.Scatter(
                    x=[getattr(p, axis) for p in points],
                    y=[factor * getattr(p, metric) for p in points],
                    mode="lines",
                    line={"color": colour, "width": 1, "dash": dash},
                    opacity=0.5,
                    showlegend=False,
                    hoverinfo="text",
                    text=[
                        f"{arm}, seed {curve.seed}, step {p.step}: {factor * getattr(p, metric):.3g}" for p in points
                    ],
                )
            )
        mean = [p for p in curves[arm].mean if getattr(p, metric) is not None]
        heights = [factor * getattr(p, metric) for p in mean]
        bounds = [getattr(p, f"{metric}_ci95") for p in mean]
        figure.add_trace(
            go.Scatter(
                x=[getattr(p, axis) for p in mean],
                y=heights,
                error_y=error_bars([getattr(p, metric) for p in mean], bounds, colour, factor),
                mode="lines+markers",
                name=f"{arm}, mean",
                line={"color": colour, "width": 3, "dash": dash},
                marker={"symbol": mark, "size": 9, "color": colour},
                hoverinfo="text",
                text=[f"{arm}, mean at step {p.step}: {y:.3g}" for p, y in zip(mean, heights, strict=True)],
            )
        )
    figure.update_layout(
        **frame(400, (56, 16, 16, 48), -0.2),
        xaxis=AXIS | {"title": AXES[axis], "exponentformat": "SI"},
        yaxis=AXIS | {"title": METRICS[metric]},
    )
    return figure
