"""The four figures of a training: words indigo, pictures amber, and each arm with its own dash and mark."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmreason.analysis.statistics import wilson
from mmreason.training.rl.metrics import PANELS, Panel
from mmreason.ui.runs.state import Rows
from mmreason.ui.shell.figure import ACCENT, AXIS, GREY, error_bars, frame

WORDS, PICTURES = "#6f72f2", "#d18a16"  # both readable on light and on dark
STYLES = (("solid", "circle"), ("dash", "square-open"))  # of this run's arms
EARLIER = (("dot", "x"), ("dashdot", "diamond-open"), ("longdash", "triangle-up-open"), ("longdashdot", "star-open"))
TITLES = ("Reward by modality", "Solved of the held-out problems", "Interference", "The update")

Value = Callable[[dict[str, Any]], float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One arm of one run."""

    name: str
    rows: Rows
    eval_problems: int
    dash: str
    mark: str


def lines_of(arms: Sequence[tuple[str, Rows, int]], earlier: Sequence[tuple[str, Rows, int]]) -> list[Line]:
    """Names, rows and held-out problems as lines, none like another."""
    styles = [*STYLES[: len(arms)], *(EARLIER[i % len(EARLIER)] for i in range(len(earlier)))]
    return [Line(*line, *style) for line, style in zip([*arms, *earlier], styles, strict=True)]


def smoothed(values: Sequence[float], smoothing: float) -> list[float]:
    """An exponential mean without the bias of its start; 0 leaves the values as they are."""
    found, mean, weight = [], 0.0, 0.0
    for value in values:
        mean = smoothing * mean + (1 - smoothing) * value
        weight = smoothing * weight + (1 - smoothing)
        found.append(mean / weight)
    return found


def figures(lines: Sequence[Line], steps: int, smoothing: float) -> list[go.Figure]:
    """Reward, held-out success, interference, and the update, in the order of ``TITLES``."""
    return [
        _reward(lines, steps, smoothing),
        _success(lines, steps),
        *(_stacked(lines, steps, smoothing, figure) for figure in ("interference", "update")),
    ]


def curves_value(lines: Sequence[Line], steps: int, smoothing: float) -> dict[str, Any]:
    """The value of the component ``curves``."""
    made = [json.loads(figure.to_json() or "{}") for figure in figures(lines, steps, smoothing)]
    return {
        "figures": [
            {
                "title": title,
                "data": figure["data"],
                "layout": {k: v for k, v in figure["layout"].items() if k != "template"},
            }
            for title, figure in zip(TITLES, made, strict=True)
        ]
    }


def _reward(lines: Sequence[Line], steps: int, smoothing: float) -> go.Figure:
    figure = go.Figure()
    for line in lines:
        for name, key, colour in (
            ("words", "rewards/text/mean", WORDS),
            ("pictures", "rewards/image/mean", PICTURES),
        ):
            _add(figure, line, name, lambda row, key=key: row.get(key), colour, smoothing)
    return _finished(figure, steps, {"range": [0, 1.04]})


def _success(lines: Sequence[Line], steps: int) -> go.Figure:
    """With the 95 % interval of each evaluation."""
    figure = go.Figure()
    for i, line in enumerate(lines):
        points = [(row["step"], row["success"]["mean"]) for row in line.rows if "success" in row]
        colour = ACCENT if i < 2 else GREY
        bounds = [wilson(rate, line.eval_problems) for _, rate in points]
        figure.add_trace(
            go.Scatter(
                x=[step for step, _ in points],
                y=[100 * rate for _, rate in points],
                error_y=error_bars([rate for _, rate in points], bounds, colour, 100),
                mode="lines+markers",
                name=line.name,
                showlegend=len(lines) > 1,
                line={"color": colour, "dash": line.dash, "width": 2},
                marker={"symbol": line.mark, "size": 8, "color": colour},
                hovertemplate="step %{x}: %{y:.1f} %<extra></extra>",
            )
        )
    return _finished(figure, steps, {"range": [0, 104], "ticksuffix": " %"})


def _stacked(lines: Sequence[Line], steps: int, smoothing: float, name: str) -> go.Figure:
    """Quantities of unlike size, one below the other; the first always, others only once they are not zero."""
    rows = [row for line in lines for row in line.rows]
    first, *others = (panel for panel in PANELS if panel.figure == name)
    panels = [first, *(each for each in others if any(row.get(key) for row in rows for _, key, _ in _series(each)))]
    titles = [panel.title for panel in panels]
    figure = make_subplots(rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.12, subplot_titles=titles)
    for place, panel in enumerate(panels, start=1):
        factor = 100.0 if panel.title.endswith("%") else 1.0
        for line in lines:
            for series, key, colour in _series(panel, ACCENT if place == 1 else GREY):

                def value(row: dict[str, Any], key: str = key, factor: float = factor) -> float | None:
                    found = row.get(key)
                    return None if found is None else factor * found

                amount = smoothing if panel.smooth else 0.0
                _add(figure, line, series, value, colour, amount, place, show=place == 1)
    figure.update_annotations(x=0, xanchor="left", font={"size": 12})
    return _finished(figure, steps, {"rangemode": "tozero", "nticks": 4})


def _series(panel: Panel, colour: str = GREY) -> list[tuple[str, str, str]]:
    """Name, metric and colour of a panel's curves."""
    if not panel.by_modality:
        return [("", panel.name, colour)]
    return [("words", f"{panel.name}/text", WORDS), ("pictures", f"{panel.name}/image", PICTURES)]


def _add(
    figure: go.Figure,
    line: Line,
    name: str,
    value: Value,
    colour: str,
    smoothing: float,
    place: int | None = None,
    show: bool = True,
) -> None:
    """A curve; smoothed, its points stay as faint marks."""
    points = [(row["step"], found) for row in line.rows if (found := value(row)) is not None]
    steps, raw = [step for step, _ in points], [found for _, found in points]
    where: dict[str, Any] = {} if place is None else {"row": place, "col": 1}
    shown = " ".join(part for part in (line.name, name) if part)
    if smoothing:
        figure.add_trace(
            go.Scatter(
                x=steps,
                y=raw,
                mode="markers",
                marker={"symbol": line.mark, "size": 4, "color": colour, "opacity": 0.35},
                showlegend=False,
                hoverinfo="skip",
            ),
            **where,
        )
    figure.add_trace(
        go.Scatter(
            x=steps,
            y=smoothed(raw, smoothing),
            mode="lines+markers",
            name=shown or "all",
            showlegend=show and bool(shown),
            line={"color": colour, "dash": line.dash, "width": 2},
            marker={"symbol": line.mark, "size": 5 if len(points) <= 60 else 2, "color": colour},
            hovertemplate="step %{x}: %{y:.3g}<extra></extra>",
        ),
        **where,
    )


def _finished(figure: go.Figure, steps: int, vertical: dict[str, Any]) -> go.Figure:
    figure.update_layout(**frame(288, (44, 8, 24, 32), -0.14, font_size=12), uirevision="kept")
    figure.update_xaxes(**AXIS, range=[-0.02 * steps, 1.02 * steps], nticks=6)
    figure.update_yaxes(**AXIS, **vertical)
    return figure
