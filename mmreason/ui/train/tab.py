"""The tab Train: start a fine-tune, watch it learn, stop it, go on, compare two arms, take the checkpoint away."""

from __future__ import annotations

from typing import Any

import gradio as gr
import plotly.graph_objects as go

from mmreason.records import DIFFICULTIES
from mmreason.settings import ChoiceSetting, NumberSetting, Setting
from mmreason.tasks import TASKS
from mmreason.training.rl.presets import PRESETS, SETTINGS
from mmreason.ui.host import checkpoints
from mmreason.ui.runs.estimate import words
from mmreason.ui.shell.component import component
from mmreason.ui.train import push
from mmreason.ui.train.events import EMPTY, Train, connect
from mmreason.ui.train.form import ASSIGNMENT_CHOICES, FEW, MORE, filled
from mmreason.ui.train.words import kept_words, preset_words

POLL_SECONDS = 1.5


def build_train(blocks: gr.Blocks, visitor: gr.BrowserState) -> Train:
    """Lay out the tab inside ``blocks`` and connect its events."""
    parts: dict[str, Any] = {
        "visitor": visitor,
        "chosen": gr.State(None),
        "seen": gr.State({}),
        "trained": gr.State([]),
        "ready": gr.State(""),
        "timer": gr.Timer(POLL_SECONDS, active=False),
    }
    with gr.Row(elem_id="train"):
        with gr.Column(elem_id="train-form"):
            parts |= _form()
        with gr.Column(elem_id="train-view"):
            parts |= _run()
            parts |= _curves()
            parts["verdict"] = component("prose", value=[], elem_id="train-verdict")
            parts["held_out"] = component("held_out", value=None, elem_id="train-held-out")
            parts |= _results()
    train = Train(parts)
    connect(train, blocks)
    return train


def _form() -> dict[str, Any]:
    """Presets, the few fields that matter, the rest, the estimate, Start."""
    first = next(iter(PRESETS))
    start, names = filled(PRESETS[first]), checkpoints.checkpoint_names()
    parts: dict[str, Any] = {
        "preset": gr.Radio(
            list(PRESETS), value=first, label="Preset", info="Fills all fields below.", elem_id="train-preset"
        ),
        "preset_says": component("notice", value=preset_words(first), elem_id="train-preset-says"),
        "checkpoint": gr.Dropdown(
            names,
            value=names[0] if names else None,
            label="Start from",
            info="Training starts from this checkpoint. Yours are listed too.",
        ),
        "tasks": gr.CheckboxGroup(
            list(TASKS),
            value=start["tasks"],
            **_says("tasks"),
            elem_id="train-tasks",
        ),
    }
    mix = _says("difficulties")
    component("prose", value=[["plain", mix["label"]], ["quiet", mix["info"]]], elem_id="train-mix")
    with gr.Row(elem_classes="train-numbers"):
        for name in DIFFICULTIES:
            key = f"weight_{name}"
            parts[key] = gr.Number(start[key], label=f"{name.capitalize()} ×", elem_id=f"train-{key}")
    parts["assignment"] = gr.Radio(
        list(ASSIGNMENT_CHOICES),
        value=start["assignment"],
        **_says("assignment"),
        elem_id="train-assignment",
    )
    with gr.Row(elem_classes="train-numbers"):
        parts |= {setting.name: _control(setting, start) for setting in FEW}
    with gr.Accordion("More settings", open=False, elem_id="train-more"):
        with gr.Row(elem_classes="train-numbers"):
            parts |= {each.name: _control(each, start) for each in MORE if isinstance(each, NumberSetting)}
        parts |= {each.name: _control(each, start) for each in MORE if not isinstance(each, NumberSetting)}
    parts["estimate"] = component("notice", value=words(PRESETS[first]), elem_id="train-estimate")
    parts["start"] = gr.Button("Start training", variant="primary", elem_id="train-start")
    parts["form_says"] = component("notice", value="", elem_id="train-form-says")
    component("prose", value=[["quiet", kept_words()]], elem_id="train-lost")
    return parts


def _control(setting: Setting, start: dict[str, Any]) -> gr.Component:
    """What asks for ``setting``."""
    said = {**_says(setting.name), "value": start[setting.name], "elem_id": f"train-{setting.name}"}
    if isinstance(setting, NumberSetting):
        return gr.Number(**said)
    if isinstance(setting, ChoiceSetting):
        return gr.Radio(list(setting.choices), **said)
    return gr.Checkbox(**said)


def _says(name: str) -> dict[str, Any]:
    """Label and help of the setting ``name``."""
    page = SETTINGS[name].page
    assert page is not None
    return {"label": page.label, "info": page.info}


def _run() -> dict[str, Any]:
    """Which run is shown, its state, and what its owner may do."""
    with gr.Row(elem_id="train-choose"):
        parts: dict[str, Any] = {
            "run": gr.Dropdown([], label="Run", elem_id="train-run"),
            "earlier": gr.Dropdown([], multiselect=True, label="Overlay earlier runs", elem_id="train-earlier"),
        }
    parts["empty"] = component(
        "prose",
        value=EMPTY,
        elem_id="train-empty",
    )
    parts["head"] = component("run_head", value=None, elem_id="train-head")
    with gr.Row(visible=False, elem_id="train-actions") as parts["actions"]:
        parts["stop"] = gr.Button("Stop", elem_id="train-stop")
        parts["resume"] = gr.Button("Resume", elem_id="train-resume")
        parts["delete"] = gr.Button("Delete", elem_id="train-delete")
    with gr.Row(visible=False, elem_id="train-sure") as parts["sure"]:
        component("prose", value=[["plain", "Delete this run, its curves and its checkpoint for good?"]])
        parts["really"] = gr.Button("Delete it", variant="stop", elem_id="train-really")
        parts["keep"] = gr.Button("Keep it", elem_id="train-keep")
    parts["says"] = component("notice", value="", elem_id="train-says")
    return parts


def _curves() -> dict[str, Any]:
    parts: dict[str, Any] = {}
    with gr.Column(visible=False, elem_id="train-curves") as parts["curves"]:
        parts["smoothing"] = gr.Slider(0, 0.95, 0.5, step=0.05, label="Smoothing", elem_id="train-smoothing")
        parts["figures"] = component("curves", value=None, elem_id="train-figures")
        gr.Plot(go.Figure(), show_label=False, elem_id="train-plotly")  # only brings in the library
    return parts


def _results() -> dict[str, Any]:
    """What is left of a run: link, command, archive, Hub."""
    parts: dict[str, Any] = {}
    with gr.Column(visible=False, elem_id="train-results") as parts["results"]:
        parts["command"] = gr.Textbox(
            label="The command that repeats this run",
            lines=2,
            max_lines=6,
            interactive=False,
            buttons=["copy"],
            elem_id="train-command",
        )
        parts["link"] = gr.Textbox(
            label="Link: anyone with it can watch, only the owner can act",
            lines=1,
            interactive=False,
            buttons=["copy"],
            elem_id="train-link",
        )
        with gr.Row(visible=False, elem_id="train-take") as parts["take"]:
            parts["archive"] = gr.DownloadButton("Checkpoint (zip)", interactive=False, elem_id="train-archive")
        with gr.Row(visible=False, elem_id="train-hub") as parts["hub"]:
            parts |= push.build_hub()
    return parts
