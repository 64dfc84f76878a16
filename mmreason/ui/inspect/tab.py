"""The tab Inspect: a group of rollouts, why each segment is pushed up or down, and by whose reward."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason import limits
from mmreason.records import DIFFICULTIES
from mmreason.rewards.assignment import ASSIGNMENTS, GRANULARITIES, SCALES, AssignmentConfig
from mmreason.tasks import TASKS
from mmreason.ui.group.whatif import group_value
from mmreason.ui.host import checkpoints
from mmreason.ui.inspect import sources
from mmreason.ui.inspect.events import SOURCES, Inspect, connect
from mmreason.ui.inspect.leak import bundled_leak
from mmreason.ui.runs.samples import run_samples
from mmreason.ui.shell.component import component

HOTTEST = limits.TEMPERATURE.high


def build_inspect(blocks: gr.Blocks, visitor: gr.BrowserState) -> Inspect:
    """Lay out the tab inside ``blocks`` and connect its events."""
    opened = sources.first_group()
    value = group_value(opened, AssignmentConfig("joint"), len(opened.traces)) if opened else None
    parts: dict[str, Any] = {"visitor": visitor, "opened": gr.State(opened)}
    with gr.Column(elem_id="inspect"):
        parts |= _sources()
        parts["notice"] = component("notice", value="", elem_id="inspect-notice")
        parts |= _what_if(len(opened.traces) if opened else 1)
        parts["group"] = component("group", value=value, elem_id="group")
        parts["duet"] = component("duet", value=None, elem_id="duet")
        parts |= _compare()
        parts["leak"] = component("leak", value=bundled_leak(), elem_id="leak")
        parts["measure"] = gr.Button("Measure the chosen checkpoint here", elem_id="measure")
        parts["measure_says"] = component("notice", value="", elem_id="measure-says")
    inspect = Inspect(parts)
    connect(inspect, blocks)
    return inspect


def _sources() -> dict[str, Any]:
    """Where the group comes from, with the controls of each source."""
    names, samples, runs = checkpoints.checkpoint_names(), list(sources.bundled()), run_samples()
    first = names[0] if names else None
    parts: dict[str, Any] = {
        "source": gr.Radio(list(SOURCES), value="Sample", label="Group", elem_id="source"),
    }
    with gr.Row(elem_id="from-sample", elem_classes="source-row") as parts["from_sample"]:
        parts["sample"] = gr.Dropdown(
            samples, value=samples[0] if samples else None, label="Bundled group", elem_id="sample"
        )
    with gr.Row(elem_id="from-rollout", elem_classes="source-row", visible=False) as parts["from_rollout"]:
        parts["task"] = gr.Dropdown([(task.label, name) for name, task in TASKS.items()], value="sudoku", label="Task")
        parts["difficulty"] = gr.Dropdown(list(DIFFICULTIES), value="hard", label="Difficulty")
        parts["seed"] = gr.Number(7, label="Seed", precision=0)
        parts["checkpoint"] = gr.Dropdown(names, value=first, label="Checkpoint")
        parts["temperature"] = gr.Number(1.0, label="Temperature", minimum=0, maximum=HOTTEST, step=0.1)
        parts["sampling_seed"] = gr.Number(0, label="Sampling seed", precision=0)
        parts["size"] = gr.Number(8, label="Rollouts", precision=0, minimum=1, maximum=limits.GROUP.high)
        parts["roll_out"] = gr.Button("Roll out", variant="primary", elem_id="roll-out")
    with gr.Row(elem_id="from-run", elem_classes="source-row", visible=False) as parts["from_run"]:
        parts["run"] = gr.Dropdown(
            runs, value=runs[0][1] if runs else None, label="Samples of a training run", elem_id="run-samples"
        )
        parts["open_run"] = gr.Button("Open", variant="primary", elem_id="open-run")
    with gr.Row(elem_id="from-file", elem_classes="source-row", visible=False) as parts["from_file"]:
        parts["file"] = gr.File(
            label="Trace or group files (JSON) of one puzzle", file_count="multiple", height=120, elem_id="upload"
        )
    return parts


def _what_if(size: int) -> dict[str, Any]:
    """How rewards become advantages."""
    with gr.Row(elem_id="what-if"):
        return {
            "assignment": gr.Radio(list(ASSIGNMENTS), value="joint", label="Assignment", elem_id="assignment"),
            "granularity": gr.Radio(list(GRANULARITIES), value="trace", label="Compared by", elem_id="granularity"),
            "scale": gr.Radio(list(SCALES), value="group", label="Scaled by", elem_id="scale"),
            "text_weight": gr.Number(1.0, label="Words ×", minimum=0, maximum=limits.REWARD_WEIGHT.high, step=0.5),
            "image_weight": gr.Number(1.0, label="Pictures ×", minimum=0, maximum=limits.REWARD_WEIGHT.high, step=0.5),
            "first": gr.Slider(1, max(2, size), value=size, step=1, label="Rollouts counted", elem_id="first"),
        }


def _compare() -> dict[str, Any]:
    """Two solutions of one puzzle by two checkpoints, or by one at two temperatures."""
    names = checkpoints.checkpoint_names()
    first, second = (names[0] if names else None), names[1] if len(names) > 1 else names[0] if names else None
    with gr.Accordion("Compare two checkpoints on this puzzle", open=False, elem_id="compare"):
        with gr.Row(elem_classes="source-row"):
            parts: dict[str, Any] = {
                "left": gr.Dropdown(names, value=first, label="Left"),
                "left_temperature": gr.Number(1.0, label="Temperature", minimum=0, maximum=HOTTEST, step=0.1),
                "right": gr.Dropdown(names, value=second, label="Right"),
                "right_temperature": gr.Number(
                    0.0 if second == first else 1.0,
                    label="Temperature",
                    minimum=0,
                    maximum=HOTTEST,
                    step=0.1,
                ),
                "run_compare": gr.Button("Solve side by side", elem_id="run-compare"),
            }
        parts["compare_says"] = component("notice", value="", elem_id="compare-says")
    return parts
