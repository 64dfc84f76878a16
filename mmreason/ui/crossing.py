"""What passes from tab to tab: a run, a rollout, what a training has made."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason.ui.group.opened import Opened, finished_of, open_finished
from mmreason.ui.inspect.events import Inspect, show_group
from mmreason.ui.runs.choices import Choice, choices_of
from mmreason.ui.runs.samples import run_samples
from mmreason.ui.shell.component import said
from mmreason.ui.shell.events import PRIVATE
from mmreason.ui.solve.playback import Playback
from mmreason.ui.solve.solving import Finished
from mmreason.ui.train.events import Train
from mmreason.ui.watch.events import Watch


def connect_tabs(tabs: gr.Tabs, watch: Watch, inspect: Inspect) -> None:
    """Hand a run of Watch to Inspect, and a rollout of Inspect to Watch."""
    i = inspect
    what_if = [i.assignment, i.granularity, i.scale, i.text_weight, i.image_weight]
    asked = [i.task, i.difficulty, i.seed, i.checkpoint, i.temperature, i.sampling_seed]
    watch.inspect.click(
        on_inspect_this, [watch.finished, *what_if], [i.opened, i.group, i.first, i.notice, *asked, i.source, tabs],
        **PRIVATE,
    )  # fmt: skip
    i.group.to_watch(on_to_watch, i.opened, [watch.player, watch.finished, watch.notice, tabs], **PRIVATE)


def on_inspect_this(finished: Finished | None, *what_if: Any) -> tuple[Any, ...]:
    """Open the run of Watch as a group of one, and make the roll-out controls say how to get the others."""
    keep = [gr.skip()] * 6
    if finished is None:
        return gr.skip(), gr.skip(), gr.skip(), "Solve a puzzle in Watch first.", *keep, gr.skip(), gr.skip()
    request = finished.request
    if request is not None and request.own is None:
        keep = [
            *(request.task, request.difficulty, request.seed, request.checkpoint),
            *(request.temperature, request.sampling_seed),
        ]
    shown = show_group(lambda: open_finished(finished), what_if)
    return *shown, *keep, "Roll out", gr.Tabs(selected="inspect")


def on_to_watch(opened: Opened | None, event: gr.EventData) -> tuple[Any, ...]:
    """Show a rollout in the player."""
    g = said(event, "g")
    if opened is None or not isinstance(g, int) or not 0 <= g < len(opened.traces):
        return gr.skip(), gr.skip(), gr.skip(), gr.skip()
    finished = finished_of(opened, g)
    _, value = Playback(opened.words, opened.sheet).update(opened.traces[g], "opened")
    return value, finished, "", gr.Tabs(selected="watch")


def connect_checkpoints(train: Train, watch: Watch, inspect: Inspect) -> None:
    """Offer what a visitor's runs have trained and sampled in the other tabs, as soon as it is there."""
    offered = [inspect.run, train.checkpoint, watch.checkpoint, inspect.checkpoint, inspect.left, inspect.right]
    train.trained.change(on_trained, [train.visitor, train.chosen], offered, **PRIVATE)


def on_trained(visitor: Any, chosen: Any) -> tuple[Any, ...]:
    """The samples and, five times, the checkpoints that can be chosen now; what is chosen stays."""
    choices: list[Choice] = choices_of(visitor)
    return gr.Dropdown(choices=run_samples(visitor, chosen)), *(gr.Dropdown(choices=choices) for _ in range(5))
