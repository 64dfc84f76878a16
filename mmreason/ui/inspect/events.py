"""The events of the tab Inspect: handlers' values laid out as updates of its components."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from mmreason.errors import ConfigError, MMReasonError
from mmreason.ui.group import branch
from mmreason.ui.group.opened import Opened
from mmreason.ui.group.whatif import config_of, first_rollouts, group_value
from mmreason.ui.host import checkpoints
from mmreason.ui.inspect import leak, sources
from mmreason.ui.runs.choices import choices_of
from mmreason.ui.runs.samples import run_samples
from mmreason.ui.shell.component import said
from mmreason.ui.shell.events import CHANGING, HEAVY, PRIVATE
from mmreason.ui.shell.parts import Parts
from mmreason.ui.shell.words import sentence
from mmreason.ui.solve.line import in_line, side_by_side
from mmreason.ui.solve.request import checked

SOURCES = ("Sample", "Roll out", "Training run", "File")
SOURCE_ROWS = ("from_sample", "from_rollout", "from_run", "from_file")


@dataclass(slots=True)
class Inspect(Parts):
    """The components of the tab, by name."""


def connect(i: Inspect, blocks: gr.Blocks) -> None:
    """Connect all events of the tab."""
    what_if = [i.assignment, i.granularity, i.scale, i.text_weight, i.image_weight]
    shown = [i.opened, i.group, i.first, i.notice]
    i.source.change(on_source, i.source, [i.parts[name] for name in SOURCE_ROWS], **PRIVATE)
    i.sample.input(on_sample, [i.opened, i.sample, *what_if], shown, **PRIVATE)
    i.open_run.click(on_run, [i.run, *what_if], shown, **PRIVATE)
    i.file.upload(on_upload, [i.file, *what_if], shown, **PRIVATE)
    rolled = [i.task, i.difficulty, i.seed, i.checkpoint, i.temperature, i.sampling_seed, i.size]
    i.roll_out.click(on_roll_out, [*rolled, *what_if], [*shown, i.roll_out], **HEAVY)
    changed = [control.change for control in what_if] + [i.first.release, i.first.input]
    gr.on(changed, on_what_if, [i.opened, *what_if, i.first], [i.group, i.notice], **CHANGING)
    i.group.go_on(on_go_on, [i.opened, i.checkpoint], [i.duet, i.notice], **HEAVY)
    sides = [i.left, i.left_temperature, i.right, i.right_temperature]
    i.run_compare.click(on_compare, [i.opened, *sides], [i.duet, i.compare_says], **HEAVY)
    leaks = [i.leak, i.measure_says, i.measure]
    i.measure.click(on_measure, [i.checkpoint, i.task, i.difficulty], leaks, **HEAVY)
    blocks.load(on_arrival, i.visitor, [i.run, i.checkpoint, i.left, i.right], **PRIVATE)


# Opening a group


def on_source(source: str) -> tuple[Any, ...]:
    """Show the controls of the chosen source."""
    return tuple(gr.Row(visible=source == name) for name in SOURCES)


def on_sample(opened: Opened | None, name: Any, *what_if: Any) -> tuple[Any, ...]:
    """Open a bundled group, if it is another: who only passes by with the Tab key keeps the focus."""
    if opened is not None and opened.sample == name:
        return tuple(gr.skip() for _ in range(4))
    return show_group(lambda: sources.open_bundled(name), what_if)


def on_run(name: Any, *what_if: Any) -> tuple[Any, ...]:
    """Open the samples of a training run."""
    return show_group(lambda: sources.open_run(name), what_if)


def on_upload(paths: list[str] | None, *what_if: Any) -> tuple[Any, ...]:
    """Open uploaded files."""
    return show_group(lambda: sources.open_upload(paths), what_if)


async def on_roll_out(request: gr.Request, *values: Any):
    """Roll out a group, with words about how far it is."""

    def says(busy: bool) -> Callable[[str], tuple[Any, ...]]:
        return lambda words: (gr.skip(), gr.skip(), gr.skip(), words, gr.Button(interactive=not busy))

    work = in_line("roll out", request, lambda _: _rolled_out(values[:7], values[7:]), says(True), says(False))
    async with aclosing(work) as states:
        async for state in states:
            yield state


def _rolled_out(asked: tuple[Any, ...], what_if: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    request, size = sources.group_request(*asked)
    yield gr.skip(), gr.skip(), gr.skip(), "Rolling out …", gr.Button(interactive=False)
    for progress in sources.roll_out(request, size):
        found = progress.opened
        if found is None:
            yield gr.skip(), gr.skip(), gr.skip(), progress.notice, gr.skip()
            continue
        yield *show_group(lambda found=found: found, what_if), gr.Button(interactive=True)


def show_group(opening: Callable[[], Opened], what_if: tuple[Any, ...]) -> tuple[Any, ...]:
    """Opened group, value of the grid, group size and notice; a user's error is a notice alone."""
    try:
        opened = opening()
        value = group_value(opened, config_of(*what_if), len(opened.traces))
    except MMReasonError as error:
        return gr.skip(), gr.skip(), gr.skip(), sentence(error)
    size = len(opened.traces)
    return opened, value, gr.Slider(maximum=max(2, size), value=size, interactive=size > 1), ""


# What if


def on_what_if(opened: Opened | None, *values: Any) -> tuple[Any, Any]:
    """The same group under other assignments, weights, scaling or size."""
    *what_if, first = values
    if opened is None:
        return gr.skip(), "Open a group first."
    try:
        size = first_rollouts(first, len(opened.traces))
        return group_value(opened, config_of(*what_if), size), ""
    except MMReasonError as error:
        return gr.skip(), sentence(error)


# Side by side


async def on_go_on(opened: Opened | None, checkpoint: Any, event: gr.EventData, request: gr.Request):
    """Change a segment and let the model go on; both branches are shown."""
    change = {key: said(event, key) for key in ("g", "s", "text", "cell", "drawing")}
    work = side_by_side("go on", request, lambda: branch.go_on(_open_one(opened), change, checkpoint))
    async with aclosing(work) as states:
        async for state in states:
            yield state


async def on_compare(
    opened: Opened | None,
    left: Any,
    left_temperature: Any,
    right: Any,
    right_temperature: Any,
    request: gr.Request,
):
    """Solve the open group's puzzle twice."""
    sides = (left, left_temperature, right, right_temperature)
    async with aclosing(side_by_side("compare", request, lambda: _compared(_open_one(opened), *sides))) as states:
        async for state in states:
            yield state


def _open_one(opened: Opened | None) -> Opened:
    if opened is None:
        raise ConfigError("open a group first")
    return opened


def _compared(opened: Opened, *sides: Any) -> Iterator[str | dict[str, Any]]:
    problem, seed = opened.problem, opened.seeds[0][0] if opened.seeds else 0
    origin = {"task": problem.task, "difficulty": "medium", "seed": 0}  # of no matter: the problem is given
    a, b = (
        replace(checked(**origin, checkpoint=name, temperature=temperature), sampling_seed=seed)
        for name, temperature in (sides[:2], sides[2:])
    )
    yield from branch.compare(a, b, problem)


# Measuring


async def on_measure(checkpoint: Any, task: Any, difficulty: Any, request: gr.Request):
    """Leak against signal of the chosen checkpoint, now."""

    def says(busy: bool) -> Callable[[str], tuple[Any, Any, Any]]:
        return lambda words: (gr.skip(), words, gr.Button(interactive=not busy))

    def measured(_: Callable[[], bool]) -> Iterator[tuple[Any, Any, Any]]:
        yield says(True)("Measuring 4 groups of 6 rollouts; this takes about half a minute.")
        yield leak.measure_here(checkpoint, task, difficulty), "", gr.Button(interactive=True)

    async with aclosing(in_line("leak", request, measured, says(True), says(False))) as states:
        async for state in states:
            yield state


# Arriving, and from tab to tab


def on_arrival(visitor: Any, request: gr.Request) -> tuple[Any, ...]:
    """What checkpoints and samples are here now, the visitor's own among them."""
    linked = dict(request.query_params).get("run")
    runs, names = run_samples(visitor, linked), checkpoints.checkpoint_names()
    choices = choices_of(visitor)
    first = names[0] if names else None
    second = names[1] if len(names) > 1 else first
    return (
        gr.Dropdown(choices=runs, value=runs[0][1] if runs else None),
        *(gr.Dropdown(choices=choices, value=name) for name in (first, first, second)),
    )
