"""The tab Cost: what a rollout costs, measured, raced, by formula, and measured on this machine."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason.analysis.cost.results import Results, read_results
from mmreason.records import DIFFICULTIES
from mmreason.tasks import TASKS
from mmreason.ui.cost import measuring, racing
from mmreason.ui.cost.attention import attention_words
from mmreason.ui.cost.events import Cost, connect, measured_view
from mmreason.ui.cost.formula import MODEL_NAMES, recompute, sliders
from mmreason.ui.cost.real import real_table, real_words
from mmreason.ui.shell.component import component


def build_cost(blocks: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out ``tab`` inside ``blocks`` and connect its events."""
    results, why_not = read_results()
    title, head, arms, frontier, table, canvases = measured_view(results, why_not)
    with gr.Column(elem_id="cost"):
        parts: dict[str, Any] = {"title": component("prose", value=title, elem_id="cost-title")}
        parts |= _race()
        parts["arms"] = component("bars", value=arms, elem_id="cost-arms")
        parts |= _here()
        parts["head"] = component("prose", value=head, elem_id="cost-head")
        parts["frontier"] = component("chart", value=frontier, elem_id="cost-frontier")
        parts["table"] = component("table", value=table, elem_id="cost-table")
        component("prose", value=[["title", "Other sizes, by formula"]])
        cost = Cost(parts, _sizes(parts, results))
        parts["canvases"] = component("table", value=canvases, elem_id="cost-canvases")
    connect(cost, blocks, tab)


def _here() -> dict[str, Any]:
    """Measure here."""
    with gr.Row(elem_id="cost-here"):
        parts = {
            "count": gr.Radio(list(measuring.COUNTS), value=4, label="Problems", elem_id="cost-count"),
            "measure": gr.Button("Measure here", elem_id="cost-measure"),
            "measure_stop": gr.Button("Stop", interactive=False, elem_id="cost-measure-stop"),
        }
    return parts | {"measure_says": component("notice", value="", elem_id="cost-measure-says")}


def _race() -> dict[str, Any]:
    """Its two canvases, and under them what another race is run with."""
    tasks = [(TASKS[task].label, task) for task in measuring.both_know()]
    parts: dict[str, Any] = {"race": component("race", value=racing.bundled_race(), elem_id="cost-race")}
    with gr.Row(elem_id="cost-race-controls"):
        parts |= {
            "task": gr.Dropdown(tasks, value=tasks[0][1] if tasks else None, label="Task", elem_id="cost-task"),
            "difficulty": gr.Radio(list(DIFFICULTIES), value="medium", label="Difficulty", elem_id="cost-difficulty"),
            "seed": gr.Number(0, label="Seed", elem_id="cost-seed"),
            "rival": gr.Dropdown(
                list(racing.RIVAL_CHOICES), value="ar_full", label="Against the full redraw of", elem_id="cost-rival"
            ),
            "race_start": gr.Button("Race", elem_id="cost-race-start"),
            "race_stop": gr.Button("Stop", interactive=False, elem_id="cost-race-stop"),
        }
    return parts | {"race_says": component("notice", value="", elem_id="cost-race-says")}


def _sizes(parts: dict[str, Any], results: Results | None) -> list[Any]:
    workload = results.workload if results else {}
    described = sliders(workload)
    sizes, words = recompute(tuple(slider.start for slider in described), MODEL_NAMES[0], workload)
    parts["sizes"] = component("chart", value={"charts": [sizes]}, elem_id="cost-sizes")
    parts["formula_says"] = component("prose", value=words, elem_id="cost-formula-says")
    if said := real_words():
        with gr.Accordion(
            "At the size of a real checkpoint (8 B)", open=False, elem_id="cost-real", elem_classes="folded"
        ):
            component("table", value=real_table(), elem_id="cost-real-table")
            component("prose", value=said, elem_id="cost-real-says")
    with gr.Accordion("Without the exact cache", open=False, elem_id="cost-attention", elem_classes="folded"):
        component("prose", value=attention_words(), elem_id="cost-attention-says")
    with gr.Accordion("Model, steps, turns, canvas", open=False, elem_id="cost-formula", elem_classes="folded"):
        parts["model"] = gr.Dropdown(
            [(name if name == MODEL_NAMES[0] else f"{name} parameters", name) for name in MODEL_NAMES],
            value=MODEL_NAMES[0],
            label="Model",
            elem_id="cost-model",
        )
        with gr.Row(elem_id="cost-sliders"):
            return [gr.Slider(s.low, s.high, s.start, step=s.step, label=s.label) for s in described]
