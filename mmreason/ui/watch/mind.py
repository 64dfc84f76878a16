"""Change its mind, in the tab Watch: edit a thought of a finished run and let the model go on from there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import gradio as gr

from mmreason.errors import ConfigError
from mmreason.ui.group import branch
from mmreason.ui.group.opened import open_finished
from mmreason.ui.shell.component import component
from mmreason.ui.shell.events import HEAVY, PRIVATE
from mmreason.ui.solve.line import side_by_side
from mmreason.ui.solve.solving import Finished
from mmreason.ui.watch.events import Watch


def build_mind(watch: Watch, blocks: gr.Blocks) -> None:
    """Lay it out below the player and connect its events."""
    with gr.Accordion("Change its mind", open=False, elem_id="mind"):
        with gr.Row(elem_classes="source-row"):
            thought = gr.Dropdown([], label="Thought", elem_id="mind-thought")
            words = gr.Textbox(label="New thought", max_length=200, elem_id="mind-words")
            go = gr.Button("Go on from here", elem_id="mind-go")
        says = component("notice", value="", elem_id="mind-says")
    duet = component("duet", value=None, elem_id="mind-duet")
    filled = [thought, words, duet, says]
    blocks.load(on_finished, watch.finished, filled, **PRIVATE)
    thought.input(on_thought, [watch.finished, thought], words, **PRIVATE)
    gone_on = go.click(on_go, [watch.finished, thought, words, watch.checkpoint], [duet, says], **HEAVY)
    watch.finished.change(on_finished, watch.finished, filled, cancels=[gone_on], **PRIVATE)


def thoughts(finished: Finished | None) -> dict[str, tuple[int, str]]:
    """The thoughts of a run by name: their number among the segments, and their words."""
    segments = enumerate(finished.data["segments"] if finished is not None else [])
    return {f"turn {s['turn']}": (i, s["text"]) for i, s in segments if s["kind"] == "thought" and s["text"]}


def on_finished(finished: Finished | None) -> tuple[Any, ...]:
    """Offer the thoughts of a new run; the last comparison goes."""
    there = thoughts(finished)
    first = next(iter(there), None)
    return gr.Dropdown(choices=list(there), value=first), there[first][1] if first else "", None, ""


def on_thought(finished: Finished | None, name: Any) -> Any:
    """The words of the chosen thought."""
    there = thoughts(finished)
    return there[name][1] if name in there else gr.skip()


async def on_go(finished: Finished | None, name: Any, text: Any, checkpoint: Any, request: gr.Request):
    """Let the model go on from the changed thought; both branches are shown."""

    def gone_on() -> Iterator[str | dict[str, Any]]:
        there = thoughts(finished)
        if finished is None or name not in there:
            raise ConfigError("solve a puzzle first, then choose one of its thoughts")
        opened = open_finished(finished)
        return branch.go_on(opened, {"g": 0, "s": there[name][0], "text": text}, checkpoint)

    async with aclosing(side_by_side("change its mind", request, gone_on)) as states:
        async for state in states:
            yield state
