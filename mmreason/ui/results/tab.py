"""The tab Results: the two claims, our figures beside the paper's."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason.analysis.comparison.results import Comparison, read_comparison
from mmreason.analysis.cost.results import read_results
from mmreason.ui.results.figure import AXES, METRICS, comparison_figure
from mmreason.ui.results.words import DIFFERS, cost_claim, reward_claim, task_table
from mmreason.ui.shell.component import component
from mmreason.ui.shell.events import CHANGING, PRIVATE

METRIC_CHOICES = [("solved", "success"), ("text reward", "text_reward"), ("image reward", "image_reward")]
ALL = "all tasks"
AXIS_CHOICES = [("steps", "step"), ("FLOPs", "flops")]


def build_results(blocks: gr.Blocks) -> None:
    """Lay out the tab inside ``blocks`` and connect its events."""
    choices, cost, rewards, figure, tasks = _view()
    with gr.Column(elem_id="results"):
        component("prose", value=[["title", "Claim 1: drawing only what changes is cheaper"]])
        parts: list[Any] = [component("prose", value=cost, elem_id="results-cost")]
        component("prose", value=[["title", "Claim 2: rewarding words and pictures separately trains better"]])
        parts.append(component("prose", value=rewards, elem_id="results-rewards"))
        with gr.Row(elem_id="results-axes", visible=figure is not None):
            metric = gr.Radio(METRIC_CHOICES, value="success", label="Curve", elem_id="results-metric")
            axis = gr.Radio(AXIS_CHOICES, value="step", label="Over", elem_id="results-axis")
            task = gr.Radio(choices, value=ALL, label="Of", elem_id="results-task")
        plot = gr.Plot(figure, show_label=False, visible=figure is not None, elem_id="results-curves")
        parts += [plot, component("table", value=tasks, elem_id="results-tasks")]
        component("prose", value=[["title", "What differs from the paper"], ["plain", DIFFERS]])
    chosen = [metric, axis, task]
    gr.on([choice.change for choice in chosen], on_curve, chosen, plot, **CHANGING)
    blocks.load(on_arrive, chosen, [task, *parts], **PRIVATE)


def _view(metric: Any = None, axis: Any = None, task: Any = None) -> tuple[Any, ...]:
    """What each part shows, of the files as they are now."""
    comparison, no_comparison = read_comparison()
    return (
        [ALL, *_tasks(comparison)],
        cost_claim(*read_results()),
        reward_claim(comparison, no_comparison),
        _figure(comparison, metric, axis, task),
        task_table(comparison),
    )


def on_arrive(metric: Any, axis: Any, task: Any) -> tuple[Any, ...]:
    """The results as they are now."""
    choices, cost, rewards, figure, tasks = _view(metric, axis, task)
    return gr.Radio(choices), cost, rewards, gr.Plot(figure, visible=figure is not None), tasks


def on_curve(metric: Any, axis: Any, task: Any) -> Any:
    """The chosen curve."""
    return _figure(read_comparison()[0], metric, axis, task)


def _tasks(found: Comparison | None) -> list[str]:
    return list(found.task_curves) if found is not None else []


def _figure(found: Comparison | None, metric: Any, axis: Any, task: Any) -> Any:
    """The chosen curve, the first choice in place of what is none."""
    return comparison_figure(
        found,
        metric if metric in METRICS else "success",
        axis if axis in AXES else "step",
        task if task in _tasks(found) else None,
    )
