"""The studio: what Watch shows while a public checkpoint is chosen, in place of the board and its controls."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason.records import DIFFICULTIES
from mmreason.sampling.config import ORDERS
from mmreason.sampling.views.config import ATTENTIONS, NUM_STEPS, OWN_TURNS
from mmreason.tasks import TASKS
from mmreason.ui.host import checkpoints, public
from mmreason.ui.shell.component import component
from mmreason.ui.solve.picture import KINDS, MAX_LETTERS, OWN, SIZES
from mmreason.ui.watch.events import Watch
from mmreason.ui.watch.studio.events import Studio, connect
from mmreason.ui.watch.studio.samples import SAMPLES, thumbnails

REGION_SAYS = "r2c2:r5c6 by cells, or 16,32:128,96 by pixels; empty lets all of it change"


def build_studio(watch: Watch, blocks: gr.Blocks) -> Studio | None:
    """Lay it out below the controls of Watch, on a host that has public checkpoints, and connect its events."""
    there = public.public_checkpoints()
    if not there:
        return None
    first = next(iter([*checkpoints.checkpoint_names(), *public.public_names()]), "")
    sample = SAMPLES[0] if SAMPLES else None
    parts: dict[str, Any] = {
        "picture": gr.State(str(sample.path) if sample else None),
        "filmed": gr.State(None),
    }
    with gr.Column(visible=first in public.public_names(), elem_id="studio") as parts["column"]:
        parts["about"] = component("prose", value=[], elem_id="studio-about")
        with gr.Row(elem_id="studio-form"):
            with gr.Column(elem_id="studio-what"):
                parts["kind"] = gr.Radio(list(KINDS), value=OWN, label="What to work on", elem_id="studio-kind")
                parts |= _own(sample.name if sample else None, sample.instruction if sample else "")
                parts |= _puzzle()
            with gr.Column(elem_id="studio-how"):
                parts |= _go()
        parts["notice"] = component("notice", value="", elem_id="studio-notice")
        parts["film"] = component("film", value=None, elem_id="film")
        with gr.Row(elem_id="studio-take", visible=False) as parts["take"]:
            parts["trace_file"] = gr.DownloadButton("Trace (JSON)", elem_id="film-trace")
            parts["replay_file"] = gr.DownloadButton("Replay (GIF)", elem_id="film-replay")
            parts["picture_file"] = gr.DownloadButton("Picture (PNG)", elem_id="film-picture")
            parts["inspect"] = gr.Button("Inspect this", elem_id="film-inspect")
    faults = [["quiet", f"{each.name} cannot be chosen: {each.fault}."] for each in there if each.fault]
    if faults:
        component("prose", value=faults, elem_id="studio-faults")
    studio = Studio(parts)
    connect(studio, watch, blocks)
    return studio


def _own(sample: str | None, instruction: str) -> dict[str, Any]:
    """A picture, what to do with it, and where."""
    with gr.Column(elem_id="studio-own") as column:
        with gr.Row(elem_id="studio-pictures"):
            parts: dict[str, Any] = {
                "own": column,
                "sample": component(
                    "picker", value=sample, pictures=thumbnails(), label="Picture", elem_id="sample-picture"
                ),
                "file": gr.UploadButton(
                    "Upload a picture", file_types=["image"], type="filepath", elem_id="studio-file"
                ),
            }
        parts["picture_says"] = component("notice", value="", elem_id="picture-says", elem_classes="field-says")
        parts["instruction"] = gr.Textbox(
            instruction, label="Instruction", lines=2, max_length=MAX_LETTERS + 1, elem_id="studio-instruction"
        )
        parts["instruction_says"] = component(
            "notice", value="", elem_id="instruction-says", elem_classes="field-says"
        )
        parts["region"] = gr.Textbox(label="Region", info=REGION_SAYS, max_length=200, elem_id="studio-region")
        parts["region_says"] = component("notice", value="", elem_id="region-says", elem_classes="field-says")
    return parts


def _puzzle() -> dict[str, Any]:
    with gr.Column(visible=False, elem_id="studio-puzzle") as column:
        with gr.Row(elem_classes="source-row"):
            parts: dict[str, Any] = {
                "puzzle": column,
                "task": gr.Dropdown(
                    [(task.label, name) for name, task in TASKS.items()], value=next(iter(TASKS)), label="Task"
                ),
                "difficulty": gr.Dropdown(list(DIFFICULTIES), value=DIFFICULTIES[0], label="Difficulty"),
                "seed": gr.Number(7, label="Seed", elem_id="studio-seed"),
            }
        parts["puzzle_says"] = component("notice", value="", elem_id="puzzle-says", elem_classes="field-says")
    return parts


def _go() -> dict[str, Any]:
    """Attention, the settings, and the buttons."""
    small = checkpoints.device() == "cpu"
    parts: dict[str, Any] = {
        "attention": gr.Radio(
            [("full, native", ATTENTIONS[0]), ("prefix, not native", ATTENTIONS[1])],
            value=ATTENTIONS[0],
            label="Attention",
            elem_id="studio-attention",
        )
    }
    with gr.Accordion("More settings", open=False, elem_id="studio-more", elem_classes="folded"):
        with gr.Row(elem_classes="studio-numbers"):
            parts["pixels"] = gr.Dropdown(
                list(SIZES), value=SIZES[1] if small else SIZES[-1], label="Size in pixels", elem_id="studio-pixels"
            )
            parts["max_turns"] = gr.Number(OWN_TURNS, label="Turns", elem_id="studio-max_turns")
            parts["num_steps"] = gr.Number(NUM_STEPS, label="Steps per segment", elem_id="studio-num_steps")
            parts["text_length"] = gr.Number(public.text_length(), label="Text length", elem_id="studio-text_length")
            parts["guidance"] = gr.Number(0, label="Guidance", step=0.5, elem_id="studio-guidance")
            parts["temperature"] = gr.Number(1.0, label="Temperature", step=0.1, elem_id="studio-temperature")
            parts["sampling_seed"] = gr.Number(0, label="Sampling seed", elem_id="studio-sampling_seed")
        parts["order"] = gr.Radio(
            list(ORDERS),
            value=ORDERS[0],
            label="Order",
            info="which tokens come first; maskgit as the checkpoints' own samplers do it, for watching",
        )
    parts["settings_says"] = component("notice", value="", elem_id="studio-settings-says", elem_classes="field-says")
    with gr.Row(elem_id="studio-buttons"):
        parts["solve"] = gr.Button("Solve it", variant="primary", elem_id="studio-solve")
        parts["stop"] = gr.Button("Stop", elem_id="studio-stop")
    return parts
