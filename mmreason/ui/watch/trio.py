"""Base, joint and factorized side by side, in the tab Watch: one puzzle, the same random numbers, in step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import gradio as gr

from mmreason.errors import ConfigError
from mmreason.tasks import TASKS
from mmreason.ui.group import branch
from mmreason.ui.host import checkpoints
from mmreason.ui.shell.component import component
from mmreason.ui.shell.events import HEAVY
from mmreason.ui.solve.line import side_by_side
from mmreason.ui.watch.events import Watch
from mmreason.ui.watch.handlers import on_board, share_words

THREE = ("base", "joint", "factorized")


def build_trio(watch: Watch) -> None:
    """Lay it out below the player, where the three are here, and connect its event."""
    if not set(THREE) <= set(checkpoints.checkpoint_names()):
        return
    with gr.Accordion("Side by side: base, joint, factorized", open=False, elem_id="trio"):
        go = gr.Button("Solve this puzzle with all three", elem_id="trio-go")
        says = component("notice", value="", elem_id="trio-says")
        duet = component("duet", value=None, elem_id="trio-duet")
    go.click(on_trio, watch.shown, [duet, says], **HEAVY)


def proportion(difficulty: str, task: str, own: bool = False) -> str:
    """What one puzzle says of the three: how many such each solved when it was measured, where it was."""
    said = {} if own else {name: share_words(name, difficulty, task) for name in THREE}
    several = f"{difficulty} {TASKS[task].several}"
    rates = [f"{name} {'solves ' if not i else ''}{share}" for i, (name, share) in enumerate(said.items())]
    if not rates or not all(said.values()):
        return "This is one puzzle: who solves it says little of who solves more."
    return f"This is one puzzle. Of {several}, {', '.join(rates[:-1])} and {rates[-1]}."


async def on_trio(request: gr.Request, *values: Any):
    """Solve the puzzle that is shown with each of the three."""

    def solved() -> Iterator[str | dict[str, Any]]:
        asked = on_board(*values)
        there = set(checkpoints.checkpoint_names())
        if missing := [name for name in THREE if name not in there]:
            raise ConfigError(f"checkpoint {missing[0]} is not here any more")
        own = asked.own is not None
        for state in branch.compare([replace(asked, checkpoint=name) for name in THREE], asked.problem()):
            yield state if isinstance(state, str) else state | {"note": proportion(asked.difficulty, asked.task, own)}

    async with aclosing(side_by_side("side by side", request, solved)) as states:
        async for state in states:
            yield state
