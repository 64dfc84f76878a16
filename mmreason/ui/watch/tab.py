"""The tab Watch: pick a puzzle, watch it being solved, play it back."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason import limits
from mmreason.records import DIFFICULTIES
from mmreason.sampling.config import REGIONS
from mmreason.ui.host import checkpoints
from mmreason.ui.shell.component import component
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.watch import own
from mmreason.ui.watch.events import Watch, connect
from mmreason.ui.watch.handlers import SEEDED, example_value, thumbnails


def build_watch(blocks: gr.Blocks, visitor: gr.BrowserState) -> Watch:
    """Lay out the tab inside ``blocks`` and connect its events."""
    value, finished = example_value()
    parts: dict[str, Any] = {"visitor": visitor, "finished": gr.State(finished), "asked": gr.State(None)}
    parts["set_up"] = gr.State("")  # another each time that a puzzle of the visitor's own is to be looked at
    parts["origin"] = gr.Textbox(SEEDED, visible=False)  # the browser keeps it
    parts |= _controls(SolveRequest() if finished is None or finished.request is None else finished.request)
    parts["notice"] = component("notice", value="", elem_id="notice")
    parts["daily"] = component("daily", value=None, elem_id="daily")
    with gr.Column(elem_id="theatre"):
        parts |= _own_panel()
        parts["player"] = component("player", value=value, elem_id="player")
    with gr.Row(elem_id="downloads"):
        parts["take_file"] = gr.DownloadButton("", elem_id="take-file")  # the Share menu presses it
        parts["inspect"] = gr.Button("Inspect this", elem_id="inspect-this")
    watch = Watch(parts)
    connect(watch, blocks, is_empty=value is None)
    return watch


def _controls(default: SolveRequest) -> dict[str, Any]:
    """Puzzle, checkpoint, settings, Solve and Stop."""
    names = checkpoints.checkpoint_names()
    with gr.Row(elem_id="controls"):
        parts: dict[str, Any] = {
            "task": component("picker", value=default.task, pictures=thumbnails(), elem_id="task"),
            "today": gr.Button("Today’s puzzle", elem_id="today", elem_classes="tile"),
            "own_open": gr.Button("Your own puzzle", elem_id="own-open", elem_classes="tile"),
            "difficulty": gr.Radio(
                list(DIFFICULTIES), value=default.difficulty, label="Difficulty", elem_id="difficulty"
            ),
            "seed": gr.Number(default.seed, label="Seed", elem_id="seed"),
            "surprise": gr.Button("⚄", elem_id="surprise"),
            "checkpoint": gr.Dropdown(
                names, value=names[0] if names else None, label="Checkpoint", elem_id="checkpoint"
            ),
        }
        parts |= _settings(default)
        return parts | {
            "solve": gr.Button("Solve", variant="primary", elem_id="solve"),
            "stop": gr.Button("Stop", elem_id="stop"),
            "controls_say": component("notice", value="", elem_id="controls-say"),
            "expect": component("notice", value="", elem_id="expect"),
        }


def _settings(default: SolveRequest) -> dict[str, Any]:
    """How it is sampled."""
    with gr.Accordion("More settings", open=False, elem_id="more"):
        return {
            "temperature": gr.Slider(
                *(0, limits.TEMPERATURE.high, default.temperature),
                step=0.1,
                label="Temperature",
                elem_id="temperature",
                info="0 always takes the likeliest token",
            ),
            "num_steps": gr.Slider(
                *(limits.NUM_STEPS.low, limits.NUM_STEPS.high, default.num_steps),
                step=1,
                label="Steps per segment",
                elem_id="num-steps",
                info="forward passes for one thought or one edit",
            ),
            "threshold": gr.Slider(
                *(0, 1, 0),
                step=0.05,
                label="Threshold",
                elem_id="threshold",
                info="commit every token more certain than this at once; 0 is off",
            ),
            "sampling_seed": gr.Number(
                default.sampling_seed,
                label="Sampling seed",
                elem_id="sampling-seed",
                info="the same seed gives the same solution",
            ),
            "region": gr.Radio(
                list(REGIONS),
                value=default.region,
                label="Region",
                elem_id="region",
                info="an edit redraws the stated cells, the full canvas, or as many of the least certain cells",
            ),
        }


def _own_panel() -> dict[str, Any]:
    """The visitor's own puzzle, beside the canvas."""
    with gr.Column(visible=False, elem_id="own") as panel, gr.Row():
        with gr.Column(elem_id="own-board"):
            first = own.KINDS[0]
            kind = gr.Radio(list(own.KINDS), value=first, label="Your own puzzle", elem_id="own-kind")
            board = component("board", value=own.first_board(first), elem_id="board")
            text = gr.Textbox(
                own.as_text(first),
                lines=12,
                max_lines=16,
                label="A puzzle of any task",
                elem_id="own-text",
                visible=False,
            )
        with gr.Column(elem_id="own-side"):
            return {
                "own_panel": panel,
                "board": board,
                "text": text,
                "kind": kind,
                "own_says": component("notice", value="", elem_id="own-says"),
                "own_close": gr.Button("Close", elem_id="own-close"),
            }
