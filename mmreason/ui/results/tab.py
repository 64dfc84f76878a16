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


def build_results(tab: gr.Tab) -> None:
    """Lay out ``tab`` and connect its events."""
    choices, *shown, gains, curves, related, places, tasks = results_view()
    with gr.Column(elem_id="results"):
        parts: list[Any] = [
            component("chart", value=shown[0], elem_id="results-forest"),
            *(
                component("prose", value=said, elem_id=f"results-{name}")
                for name, said in zip(("cost", "rewards", "caveats"), shown[1:4], strict=True)
            ),
            component("chart", value=gains, elem_id="results-gains"),
        ]
        with gr.Row(elem_id="results-axes", visible=curves is not None):
            metric = gr.Radio(METRIC_CHOICES, value="success", label="Curve", elem_id="results-metric")
            axis = gr.Radio(AXIS_CHOICES, value="step", label="Over", elem_id="results-axis")
            task = gr.Radio(choices, value=ALL, label="Of", elem_id="results-task")
        plot = component("chart", value=curves, elem_id="results-curves")
        parts += [
            plot,
            component("chart", value=related, elem_id="results-relation"),
            component("chart", value=places, elem_id="results-map"),
            component("table", value=tasks, elem_id="results-tasks"),
            component("prose", value=shown[4], elem_id="results-how"),
        ]
    chosen = [metric, axis, task]
    gr.on([choice.change for choice in chosen], on_curve, chosen, plot, **CHANGING)
    tab.select(on_arrive, chosen, [task, *parts], **PRIVATE)


def results_view(metric: Any = None, axis: Any = None, task: Any = None) -> tuple[Any, ...]:
    """What each part shows, of the files as they are now: the tasks to choose from, then the parts in their order."""
    comparison, no_comparison = read_comparison()
    cost, rewards = cost_claim(*read_results()), reward_claim(comparison, no_comparison)
    caveats = [line for line in (*cost, *rewards) if line[0] == "against"]
    claims = [[line for line in said if line[0] == "lead"] or said[:1] for said in (cost, rewards)]
    told = [line for said in claims for line in said] + caveats
    how = [line for line in (*rewards, *cost) if line not in told]
    how = [["title", "How this was found"], *how, ["title", "What differs from the paper"], ["plain", DIFFERS]]
    return (
        [ALL, *_tasks(comparison)],
        _figure(forest(comparison)),
        [["title", "Drawing only what changes is cheaper"], *claims[0]],
        [["title", reward_title(comparison)], *claims[1]],
        caveats,
        how,
        _figure(gains_chart(comparison)),
        _curves(comparison, metric, axis, task),
        _figure(relation_chart(comparison)),
        _figure(map_chart(read_map())),
        task_table(comparison),
    )


def on_arrive(metric: Any, axis: Any, task: Any) -> tuple[Any, ...]:
    """The results as they are now."""
    choices, *said, how, gains, curves, related, places, tasks = results_view(metric, axis, task)
    return gr.Radio(choices), *said, gains, curves, related, places, tasks, how


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
