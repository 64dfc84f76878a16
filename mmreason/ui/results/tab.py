"""The tab Results: what training on rewards brings, the two claims, what goes against them, and how it was found."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason.analysis.comparison.results import Comparison, read_comparison, read_map
from mmreason.analysis.cost.results import read_results
from mmreason.ui.results.figure import (
    AXES,
    METRICS,
    comparison_chart,
    forest,
    gains_chart,
    map_chart,
    relation_chart,
)
from mmreason.ui.results.words import DIFFERS, cost_claim, reward_claim, reward_title, task_table
from mmreason.ui.shell.component import component
from mmreason.ui.shell.events import CHANGING, PRIVATE

METRIC_CHOICES = [("solved", "success"), ("text reward", "text_reward"), ("image reward", "image_reward")]
ALL = "all tasks"
AXIS_CHOICES = [("steps", "step"), ("FLOPs", "flops")]


# The parts and their kind of component, from the top of the tab down, here and in the static page
PARTS = {
    **{"forest": "chart", "cost": "prose", "rewards": "prose", "gains": "chart"},
    **{"curves": "chart", "relation": "chart", "map": "chart", "tasks": "table", "how": "prose"},
}


def build_results(tab: gr.Tab) -> None:
    """Lay out ``tab`` and connect its events."""
    shown = results_view()
    parts: dict[str, gr.HTML] = {}
    axes: list[Any] = []
    with gr.Column(elem_id="results"):
        for name, kind in PARTS.items():
            if name == "curves":
                axes = _axes(shown["choices"], visible=shown[name] is not None)
            parts[name] = component(kind, value=shown[name], elem_id=f"results-{name}")
    row, *chosen = axes
    gr.on([choice.change for choice in chosen], on_curve, chosen, parts["curves"], **CHANGING)
    tab.select(on_arrive, chosen, [row, chosen[-1], *parts.values()], **PRIVATE)


def _axes(tasks: list[str], visible: bool) -> list[Any]:
    """The row that holds what the curves are of, and that: metric, axis, task."""
    with gr.Row(elem_id="results-axes", visible=visible) as row:
        metric = gr.Radio(METRIC_CHOICES, value="success", label="Curve", elem_id="results-metric")
        axis = gr.Radio(AXIS_CHOICES, value="step", label="Over", elem_id="results-axis")
        task = gr.Radio(tasks, value=ALL, label="Of", elem_id="results-task")
    return [row, metric, axis, task]


def results_view(metric: Any = None, axis: Any = None, task: Any = None) -> dict[str, Any]:
    """What each of PARTS shows, of the files as they are now; and ``choices``, the tasks to choose from."""
    comparison, no_comparison = read_comparison()
    cost, rewards = cost_claim(*read_results()), reward_claim(comparison, no_comparison)
    claims = [_first(said) for said in (cost, rewards)]
    how = [line for line in (*rewards, *cost) if line not in claims[0] + claims[1]]
    return {
        "choices": [ALL, *_tasks(comparison)],
        "forest": _figure(forest(comparison)),
        "cost": [["title", "Drawing only what changes is cheaper"], *claims[0]],
        "rewards": [["title", reward_title(comparison)], *claims[1]],
        "gains": _figure(gains_chart(comparison)),
        "curves": _curves(comparison, metric, axis, task),
        "relation": _figure(relation_chart(comparison)),
        "map": _figure(map_chart(read_map())),
        "tasks": task_table(comparison),
        "how": [["title", "How this was found"], *how, ["title", "What differs from the paper"], ["plain", DIFFERS]],
    }


def _first(said: list[list[str]]) -> list[list[str]]:
    """What is said of a claim before anything else: what it comes to, then what goes against that."""
    leads = [line for line in said if line[0] == "lead"] or said[:1]
    return leads + [line for line in said if line[0] == "against"]


def on_arrive(metric: Any, axis: Any, task: Any) -> tuple[Any, ...]:
    """Whether there are curves to choose, the tasks to choose from, then the parts as they are now."""
    shown = results_view(metric, axis, task)
    axes = gr.Row(visible=shown["curves"] is not None)
    return axes, gr.Radio(shown["choices"]), *(shown[name] for name in PARTS)


def on_curve(metric: Any, axis: Any, task: Any) -> Any:
    """The chosen curve."""
    return _curves(read_comparison()[0], metric, axis, task)


def _tasks(found: Comparison | None) -> list[str]:
    return list(found.task_curves) if found is not None else []


def _curves(found: Comparison | None, metric: Any, axis: Any, task: Any) -> dict[str, Any] | None:
    """The chosen curve, the first choice in place of what is none."""
    return _figure(
        comparison_chart(
            found,
            metric if metric in METRICS else "success",
            axis if axis in AXES else "step",
            task if task in _tasks(found) else None,
        )
    )


def _figure(chart: dict[str, Any] | None) -> dict[str, Any] | None:
    """As the component ``chart`` takes it."""
    return None if chart is None else {"charts": [chart]}
