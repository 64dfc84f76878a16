"""The tab Train: start a fine-tune, watch it learn, stop it, go on, compare two arms, take the checkpoint away."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason.records import DIFFICULTIES
from mmreason.settings import ChoiceSetting, NumberSetting, Setting
from mmreason.training.rl.presets import PRESETS, SETTINGS
from mmreason.ui.host import checkpoints, public
from mmreason.ui.runs.estimate import words
from mmreason.ui.shell.component import component
from mmreason.ui.train import push
from mmreason.ui.train.dataset import build_dataset
from mmreason.ui.train.events import EMPTY, START, Train, connect
from mmreason.ui.train.form import (
    ASSIGNMENT_CHOICES,
    CUSTOM,
    FEW,
    MORE,
    PUBLIC,
    PUBLIC_START,
    filled,
    known_of,
    task_choices,
)
from mmreason.ui.train.words import claim, kept_words

POLL_SECONDS = 1.5


def build_train(blocks: gr.Blocks, tab: gr.Tab, visitor: gr.BrowserState, kept: gr.BrowserState) -> Train:
    """Lay out ``tab`` inside ``blocks`` and connect its events; ``kept`` is the form as it was left."""
    parts: dict[str, Any] = {
        "visitor": visitor,
        "kept_form": kept,
        "chosen": gr.State(None),
        "asked_about": gr.State(None),  # the run that Delete asks about
        "is_open": gr.State(False),
        "seen": gr.State({}),
        "trained": gr.State([]),
        "ready": gr.State(""),
        "timer": gr.Timer(POLL_SECONDS, active=False),
    }
    with gr.Row(elem_id="train"):
        with gr.Column(elem_id="train-form"):
            parts |= _form(visitor)
        with gr.Column(elem_id="train-view"):
            parts |= _run()
            parts["verdict"] = component("prose", value=[], elem_id="train-verdict")
            parts |= _next()
            parts |= _curves()
            parts["held_out"] = component("held_out", value=None, elem_id="train-held-out")
            parts |= _results()
    train = Train(parts)
    connect(train, blocks, tab)
    return train


def _form(visitor: gr.BrowserState) -> dict[str, Any]:
    """What most runs need: preset, start, tasks, arm, Start; all other settings are folded."""
    first = next(iter(PRESETS))
    start, names = filled(PRESETS[first]), checkpoints.checkpoint_names()
    begin = names[0] if names else None
    parts: dict[str, Any] = {
        "preset": gr.Radio([*PRESETS, CUSTOM], value=first, label="Preset", elem_id="train-preset"),
        "preset_says": component("prose", value=claim(first, begin), elem_id="train-preset-says"),
        "checkpoint": gr.Dropdown(
            names,
            value=begin,
            label="Start from",
            elem_id="train-checkpoint",
        ),
        "tasks": gr.CheckboxGroup(
            task_choices(begin),
            value=known_of(start["tasks"], begin),
            label=_says("tasks")["label"],
            info="Those that the checkpoint was taught.",
            elem_id="train-tasks",
        ),
        "assignment": gr.Radio(
            list(ASSIGNMENT_CHOICES),
            value=start["assignment"],
            **_says("assignment"),
            elem_id="train-assignment",
        ),
        **_public(),
        "start": gr.Button(START, variant="primary", elem_id="train-start"),
        "going": gr.Button("", variant="stop", visible=False, elem_id="train-going"),
        "form_says": component("notice", value="", elem_id="train-form-says"),
        "estimate": component("prose", value=[["quiet", words(PRESETS[first].but(assignment=start["assignment"]))]],
            elem_id="train-estimate"),
    }  # fmt: skip
    with gr.Accordion("More settings", open=False, elem_id="train-more", elem_classes="folded"):
        mix = _says("difficulties")
        component("prose", value=[["plain", mix["label"]], ["quiet", mix["info"]]], elem_id="train-mix")
        with gr.Row(elem_classes="train-numbers"):
            for name in DIFFICULTIES:
                key = f"weight_{name}"
                parts[key] = gr.Number(start[key], label=f"{name.capitalize()} ×", elem_id=f"train-{key}")
        numbers = [each for each in (*FEW, *MORE) if isinstance(each, NumberSetting)]
        with gr.Row(elem_classes="train-numbers"):
            parts |= {each.name: _control(each, start) for each in numbers}
        parts |= {each.name: _control(each, start) for each in MORE if each not in numbers}
    parts["upload"] = build_dataset(parts["checkpoint"], visitor)
    component("prose", value=[["quiet", kept_words()]], elem_id="train-lost")
    return parts


def _public() -> dict[str, Any]:
    """What is asked of checkpoints of public families only."""
    start = PUBLIC_START | {"text_length": public.text_length()}
    with gr.Column(visible=False, elem_id="train-public") as column:
        numbers = [each for each in PUBLIC if isinstance(each, NumberSetting)]
        parts: dict[str, Any] = {each.name: _control(each, start) for each in PUBLIC if each not in numbers}
        with gr.Row(elem_classes="train-numbers"):
            parts |= {each.name: _control(each, start) for each in numbers}
    return parts | {"public": column}


def _control(setting: Setting, start: dict[str, Any]) -> gr.Component:
    """What asks for ``setting``."""
    said = {**_says(setting.name), "value": start[setting.name], "elem_id": f"train-{setting.name}"}
    if isinstance(setting, NumberSetting):
        return gr.Number(step=setting.limit.step(start[setting.name]), **said)
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
    parts: dict[str, Any] = {"run": gr.Dropdown([], label="Run", elem_id="train-run")}
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
        parts["figures"] = component("chart", value=None, elem_id="train-figures")
        with gr.Row(elem_id="train-lines"):
            parts["smoothing"] = gr.Slider(0, 0.95, 0.5, step=0.05, label="Smoothing", elem_id="train-smoothing")
            parts["earlier"] = gr.Dropdown([], multiselect=True, label="Overlay earlier runs", elem_id="train-earlier")
    return parts


def _next() -> dict[str, Any]:
    """What one does with a trained checkpoint."""
    parts: dict[str, Any] = {}
    with gr.Row(visible=False, elem_id="train-take") as parts["take"]:
        parts["to_watch"] = gr.Button("Watch it solve", elem_id="train-to-watch")
        parts["to_inspect"] = gr.Button("Inspect its groups", elem_id="train-to-inspect")
        parts["to_compare"] = gr.Button("Side by side", elem_id="train-to-compare")
        parts["archive"] = gr.DownloadButton("Download (zip)", interactive=False, elem_id="train-archive")
    with gr.Row(visible=False, elem_id="train-hub") as parts["hub"]:
        parts |= push.build_hub()
    return parts


def _results() -> dict[str, Any]:
    """What is left of a run: the command that repeats it, and its link."""
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
            label="Anyone with this link can watch, not act",
            lines=1,
            interactive=False,
            buttons=["copy"],
            elem_id="train-link",
        )
    return parts
