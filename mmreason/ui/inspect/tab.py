"""The tab Inspect: a group of rollouts, why each segment is pushed up or down, and by whose reward."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason.records import DIFFICULTIES
from mmreason.tasks import TASKS
from mmreason.ui.host import checkpoints
from mmreason.ui.host.web.addresses import offer
from mmreason.ui.inspect import questions, sources
from mmreason.ui.inspect.bundled import bundled, first_group
from mmreason.ui.inspect.events import FILE, OPENED, SOURCES, Inspect, connect, listed_runs, shown_group
from mmreason.ui.inspect.leak import bundled_leak
from mmreason.ui.runs.samples import run_samples
from mmreason.ui.shell.component import component


def build_inspect(blocks: gr.Blocks, visitor: gr.BrowserState) -> Inspect:
    """Lay out the tab inside ``blocks`` and connect its events."""
    offer(questions.PREFIX, questions.answer)
    opened = first_group()
    parts: dict[str, Any] = {"visitor": visitor, "opened": gr.State(opened.token if opened else "")}
    with gr.Column(elem_id="inspect"):
        parts |= _sources(opened.token if opened else None)
        parts["roll_says"] = component("notice", value="", elem_id="roll-says")
        parts["notice"] = component("notice", value="", elem_id="inspect-notice")
        parts["group"] = component("group", value=shown_group(opened) if opened else None, elem_id="group")
        parts["duet"] = component("duet", value=None, elem_id="duet")
        parts |= _compare()
        parts["leak"] = component("leak", value=bundled_leak(), elem_id="leak")
        parts["measure"] = gr.Button("Measure the chosen checkpoint here", elem_id="measure")
        parts["measure_says"] = component("notice", value="", elem_id="measure-says")
    inspect = Inspect(parts)
    connect(inspect, blocks)
    return inspect


def _sources(first_sample: str | None) -> dict[str, Any]:
    """Where the group comes from, with the controls of each source."""
    names, runs = checkpoints.checkpoint_names(), run_samples()
    samples = [(one.name, token) for token, one in bundled().items()]
    first = names[0] if names else None
    parts: dict[str, Any] = {
        "source": gr.Radio(list(SOURCES), value=SOURCES[0], label="Rollouts from", elem_id="source"),
    }
    with gr.Row(elem_id="from-sample", elem_classes="source-row") as parts["from_sample"]:
        parts["sample"] = gr.Dropdown(samples, value=first_sample, label="Shipped sample", elem_id="sample")
    with gr.Row(elem_id="from-rollout", elem_classes="source-row", visible=False) as parts["from_rollout"]:
        known = checkpoints.tasks_of(first or "") or list(TASKS)
        first_task = "sudoku" if "sudoku" in known else known[0]
        parts["task"] = gr.Dropdown([(TASKS[each].label, each) for each in known], value=first_task, label="Task")
        parts["difficulty"] = gr.Dropdown(list(DIFFICULTIES), value="hard", label="Difficulty")
        parts["seed"] = gr.Number(7, label="Seed", precision=0, elem_id="roll-seed")
        parts["checkpoint"] = gr.Dropdown(names, value=first, label="Checkpoint")
        parts["temperature"] = gr.Number(1.0, label="Temperature", step=0.1, elem_id="roll-temperature")
        parts["sampling_seed"] = gr.Number(0, label="Sampling seed", precision=0, elem_id="roll-sampling-seed")
        parts["size"] = gr.Number(8, label="Rollouts", precision=0, elem_id="roll-size")
        parts["roll_out"] = gr.Button("Roll out", variant="primary", elem_id="roll-out")
    with gr.Row(elem_id="from-run", elem_classes="source-row", visible=False) as parts["from_run"]:
        parts["run"] = listed_runs(
            runs, value=runs[0][1] if runs else None, label="Samples of a training run", elem_id="run-samples"
        )
        parts["open_run"] = gr.Button("Open", variant="primary", elem_id="open-run", interactive=bool(runs))
    with gr.Row(elem_id="from-file", elem_classes="source-row", visible=False) as parts["from_file"]:
        parts["file"] = gr.File(
            label=FILE, file_count="multiple", file_types=list(OPENED), height=160, elem_id="upload"
        )
        there = sources.files_of_host()
        parts["path"] = gr.Dropdown(
            there,
            value=there[0] if there else None,
            label="File on this server",
            elem_id="server-file",
            visible=bool(sources.allows_paths()),
        )
        parts["open_path"] = gr.Button(
            "Open", variant="primary", elem_id="open-path", visible=bool(sources.allows_paths())
        )
    return parts


def _compare() -> dict[str, Any]:
    """Two solutions of one puzzle by two checkpoints, or by one at two temperatures."""
    names = checkpoints.checkpoint_names()
    first, second = (names[0] if names else None), names[1] if len(names) > 1 else names[0] if names else None
    with gr.Accordion("Compare two checkpoints on this puzzle", open=False, elem_id="compare") as compare:
        with gr.Row(elem_classes="source-row"):
            parts: dict[str, Any] = {
                "compare": compare,
                "left": gr.Dropdown(names, value=first, label="Left"),
                "left_temperature": gr.Number(1.0, label="Left temperature", step=0.1),
                "right": gr.Dropdown(names, value=second, label="Right"),
                "right_temperature": gr.Number(
                    0.0 if second == first else 1.0,
                    label="Right temperature",
                    step=0.1,
                ),
                "run_compare": gr.Button("Solve side by side", elem_id="run-compare"),
            }
        parts["compare_says"] = component("notice", value="", elem_id="compare-says")
    return parts
