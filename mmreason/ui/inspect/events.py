"""The events of the tab Inspect: handlers' values laid out as updates of its components."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from mmreason.disk import one_line
from mmreason.errors import ConfigError, MMReasonError
from mmreason.tasks import TASKS
from mmreason.traces.opening import ENDINGS
from mmreason.ui.group import branch
from mmreason.ui.group.held import SHELF, Group
from mmreason.ui.group.opened import Opened
from mmreason.ui.host import checkpoints
from mmreason.ui.inspect import leak, sources
from mmreason.ui.inspect.bundled import bundled, open_bundled
from mmreason.ui.runs.choices import Choice, choices_of, is_among, small_choices_of, with_linked
from mmreason.ui.runs.samples import run_samples
from mmreason.ui.shell.component import said
from mmreason.ui.shell.events import AS_TYPED, CHANGING, CHECKING, HEAVY, PRIVATE
from mmreason.ui.shell.field import at_field
from mmreason.ui.shell.parts import Parts
from mmreason.ui.shell.words import sentence
from mmreason.ui.solve.line import HANDED_IN, LINE, in_line, in_turn, side_by_side
from mmreason.ui.solve.playback import run_number
from mmreason.ui.solve.request import checked

SOURCES = ("Sample", "Roll out", "Training run", "File")
SOURCE_ROWS = ("from_sample", "from_rollout", "from_run", "from_file")
CALLED = {  # what a reason calls a number of Roll out, and the field's id
    "seed": "roll-seed",
    "temperature": "roll-temperature",
    "sampling seed": "roll-sampling-seed",
    "rollouts": "roll-size",
}
NO_RUNS = "No training run has kept samples here yet: start one in Train, and its groups are listed here."
BY_MAP = ("name prompt=COLUMN and completion=COLUMN by --map", "call two of them prompt and completion")
KEEP, KEEP_ROLLED = (gr.skip(),) * 3, (gr.skip(),) * 7
Place = tuple[int, int | None, int]  # prompt, rollout or none in particular, segment
OPENED = (*ENDINGS, ".ndjson", ".txt", ".zip", "image")
FILE = "Rollouts of any system: JSON, JSON lines or parquet, with their pictures, or a zip of both"

# What was open before is no longer what was asked for: it stands back until a group comes.
STALE_JS = "(...said) => { document.querySelector('#group .mm-group')?.toggleAttribute('data-stale', %s); }"


@dataclass(slots=True)
class Inspect(Parts):
    """The components of the tab, by name."""

    @property
    def opens(self) -> list[Any]:
        """What a visitor does to open another group."""
        clicked = [self.parts[name].click for name in ("open_run", "open_path", "roll_out")]
        return [self.parts["sample"].input, self.parts["file"].upload, *clicked]


def connect(i: Inspect, blocks: gr.Blocks) -> None:
    """Connect all events of the tab."""
    shown = [i.opened, i.group, i.notice]
    i.source.change(on_source, i.source, [i.parts[name] for name in SOURCE_ROWS], **PRIVATE)
    i.source.input(None, None, i.notice, js="() => ''", **PRIVATE)  # what was said was said of the source before
    i.sample.input(on_sample, [i.opened, i.sample], shown, **PRIVATE)
    i.run.change(lambda run: gr.Button(interactive=bool(run)), i.run, i.open_run, **PRIVATE)
    i.open_run.click(on_run, i.run, shown, **PRIVATE)
    uploaded = i.file.upload(on_upload, i.file, [*shown, i.file], **CHECKING)
    uploaded.then(None, i.notice, None, js=STALE_JS % "Boolean(said[0])")
    i.open_path.click(on_path, i.path, shown, **PRIVATE)
    rolled = [i.task, i.difficulty, i.seed, i.checkpoint, i.temperature, i.sampling_seed, i.size]
    checked_roll = on_roll_typed, [i.source, *rolled], [i.roll_says, i.roll_out]
    gr.on([part.change for part in (i.source, *rolled)], *checked_roll, **CHANGING, **AS_TYPED)
    i.roll_out.click(None, None, None, js=STALE_JS % "true")
    rolling = i.roll_out.click(on_roll_out, rolled, [*shown, i.roll_out], **HEAVY)
    rolling.then(None, None, None, js=STALE_JS % "false")
    gone_on = i.group.go_on(on_go_on, [i.opened, i.checkpoint], [i.duet, i.notice], **HEAVY)
    sides = [i.left, i.left_temperature, i.right, i.right_temperature]
    compared = i.run_compare.click(on_compare, [i.opened, i.group, *sides], [i.duet, i.compare_says], **HEAVY)
    ended = [rolling, gone_on, compared]  # they were to follow what was open
    opened = i.opened.change(on_opened, i.opened, [i.compare, i.duet, i.compare_says], cancels=ended, **PRIVATE)
    opened.then(*checked_roll, **PRIVATE, **AS_TYPED)
    i.checkpoint.change(on_checkpoint, [i.checkpoint, i.task], [i.measure, i.task], **PRIVATE)
    leaks = [i.leak, i.measure_says, i.measure]
    i.measure.click(on_measure, [i.checkpoint, i.task, i.difficulty], leaks, **HEAVY)
    blocks.load(on_arrival, i.visitor, [i.run, i.path, i.checkpoint, i.left, i.right], **PRIVATE)
    blocks.load(on_link, i.visitor, [*shown, *rolled, i.source, i.sample, i.path], **PRIVATE)


def on_checkpoint(name: Any, task: Any) -> tuple[Any, Any]:
    """Offer to measure the leak of our own kind only; list the tasks that it knows, keeping the chosen one."""
    known = checkpoints.tasks_of(str(name)) or list(TASKS)
    choices = [(TASKS[each].label, each) for each in known]
    tasks = gr.Dropdown(choices=choices, value=task if task in known else known[0])
    return gr.Button(visible=not checkpoints.is_public(str(name))), tasks


# Opening a group


def on_source(source: str) -> tuple[Any, ...]:
    """Show the controls of the chosen source."""
    return tuple(gr.Row(visible=source == name) for name in SOURCES)


def on_opened(token: Any) -> tuple[Any, None, str]:
    """Offer to solve the open puzzle again only where it is one of this page's own; what stood side by side goes.

    A roll-out that is still running ends, so that it does not replace what was opened meanwhile.
    """
    group = SHELF.get(token)
    return gr.Accordion(visible=group is None or bool(group.natives)), None, ""


def on_sample(opened: Any, name: Any) -> tuple[Any, ...]:
    """Open a bundled group, if it is another: who only passes by with the Tab key keeps the focus."""
    if opened == name:
        return tuple(gr.skip() for _ in range(3))
    return show_group(lambda: open_bundled(name))


def listed_runs(found: list[Choice], **more: Any) -> gr.Dropdown:
    """The list of what training runs have sampled; an empty one says where samples come from."""
    return gr.Dropdown(choices=found, info="" if found else NO_RUNS, **more)  # pyright: ignore[reportArgumentType]


def on_run(name: Any) -> tuple[Any, ...]:
    """Open the samples of a training run."""
    return show_group(lambda: sources.open_run(name))


async def on_upload(paths: list[str] | None, request: gr.Request) -> tuple[Any, ...]:
    """Open uploaded files; those that are refused leave the list, where they would spoil what is added to them."""

    def says(words: str) -> tuple[Any, ...]:
        return gr.skip(), gr.skip(), words, gr.skip()

    def opened() -> tuple[Any, ...]:
        shown = show_group(lambda: sources.open_upload(paths))
        return *shown, gr.skip() if isinstance(shown[0], str) else gr.update(value=None)

    return await in_turn("open", request, opened, says, HANDED_IN)


def on_path(name: Any) -> tuple[Any, ...]:
    """Open a file of the host's folder."""
    return show_group(lambda: sources.open_path(name))


def on_link(visitor: Any, request: gr.Request) -> tuple[Any, ...]:
    """Open what the page's address names: a group, and in it a rollout and a segment, counted from 1."""
    asked = dict(request.query_params)
    if not asked.get("group"):
        return (*KEEP, *KEEP_ROLLED, *KEEP)
    link = str(asked["group"])
    if link == next(iter(bundled()), None) and not asked.keys() & {"prompt", "rollout", "segment"}:
        return (*KEEP, *KEEP_ROLLED, *KEEP)  # it is what a page opens with
    if link.startswith(sources.ROLLED):
        return *KEEP[:2], *_asked_again(link, asked, visitor), SOURCES[1], *KEEP[:2]
    shown = show_group(lambda: sources.open_link(link), asked)
    if not isinstance(shown[0], str):
        return *shown, *KEEP_ROLLED, *KEEP
    source = SOURCES[3] if link.startswith("file:") else SOURCES[0] if ":" not in link else SOURCES[2]
    name, there = link.removeprefix("file:"), sources.files_of_host()
    listed = gr.Dropdown(choices=there, value=name) if source == SOURCES[3] and name in there else gr.skip()
    return *shown, *KEEP_ROLLED, source, link if source == SOURCES[0] else gr.skip(), listed


def _asked_again(link: str, asked: Mapping[str, str], visitor: Any) -> tuple[Any, ...]:
    """Notice, and the numbers of Roll out, that a link to a roll-out names."""
    try:
        request, size = sources.read_roll_link(link)
        name = request.checkpoint
        listed = with_linked(choices_of(visitor), name)
        if not is_among(listed, name):
            raise ConfigError(f"the link rolls out the checkpoint {one_line(name, 60)}, which is not here")
    except MMReasonError as error:
        return sentence(error), *KEEP_ROLLED
    place = ", ".join(f"{part} {one_line(asked[part], 10)}" for part in ("rollout", "segment") if part in asked)
    says = f"This link is to {size} rollouts that are not kept: Roll out makes the same ones again"
    asked_for = {part: getattr(request, part) for part in sources.ASKED}
    values = (asked_for | {"checkpoint": gr.Dropdown(choices=listed, value=name)}).values()
    return f"{says}{f'; it points to {place}' if place else ''}.", *values, size


def _named(asked: Mapping[str, str], group: Group) -> tuple[Place, str]:
    """The place that an address names, counted there from 1, as far as ``group`` has it, and what it has not."""
    prompt, says = _number(asked, "prompt", len(group.groups))
    rollouts = group.groups[prompt or 0]
    g, gone = (None, "") if says else _number(asked, "rollout", len(rollouts))
    s, missing = (None, "") if g is None else _number(asked, "segment", len(rollouts[g].parts))
    return (prompt or 0, g, s or 0), says or gone or missing


def _number(asked: Mapping[str, str], name: str, count: int) -> tuple[int | None, str]:
    """What ``asked`` says of ``name``, from 0; None, with words, where that is none of ``count``."""
    text = asked.get(name)
    if text is None:
        return None, ""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else 0
    if 1 <= number <= count:
        return number - 1, ""
    there = f"there are {count}, counted from 1" if count > 1 else "there is only 1"
    return None, f"The link names {name} {one_line(text, 20)}, which is not here: {there}."


def on_roll_typed(request: gr.Request, source: Any, *values: Any) -> tuple[Any, Any]:
    """Say at once at its field what is wrong with a roll-out; where anything is, Roll out is off."""
    try:
        sources.group_request(*values)
        says = ""
    except MMReasonError as error:
        says = at_field(sentence(error), CALLED)
    is_busy = LINE.is_busy(str(request.session_hash), "roll out")
    shown = says if source == SOURCES[1] else ""
    return shown, gr.Button(interactive=not says and not is_busy)


async def on_roll_out(request: gr.Request, *values: Any):
    """Roll out a group, with words about how far it is."""

    def says(busy: bool) -> Callable[[str], tuple[Any, ...]]:
        return lambda words: (gr.skip(), gr.skip(), words, gr.Button(interactive=not busy))

    work = in_line("roll out", request, lambda _: _rolled_out(values), says(True), says(False))
    async with aclosing(work) as states:
        async for state in states:
            yield state


def _rolled_out(asked: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    request, size = sources.group_request(*asked)
    yield gr.skip(), gr.skip(), "Rolling out …", gr.Button(interactive=False)
    for progress in sources.roll_out(request, size):
        found = progress.opened
        if found is None:
            yield gr.skip(), gr.skip(), progress.notice, gr.skip()
            continue
        yield *show_group(lambda found=found: SHELF.put(found)), gr.Button(interactive=True)


def show_group(opening: Callable[[], Group], asked: Mapping[str, str] | None = None) -> tuple[Any, ...]:
    """Token of the opened group, value of the grid at the place that is ``asked`` for, and notice; an error is a
    notice alone."""
    try:
        opened = opening()
    except MMReasonError as error:
        return gr.skip(), gr.skip(), sentence(error).replace(*BY_MAP)
    at, says = _named(asked, opened) if asked else (None, "")
    return opened.token, shown_group(opened, at), says


def shown_group(opened: Group, at: Place | None = None) -> dict[str, Any]:
    """The group component's value: what its script asks for, and the place to open."""
    return {"token": opened.token, "link": opened.link, "at": at, "opened": run_number()}


# Side by side


async def on_go_on(opened: Any, checkpoint: Any, event: gr.EventData, request: gr.Request):
    """Change a segment and let the model go on; both branches are shown."""
    change = {key: said(event, key) for key in ("p", "g", "s", "text", "cell", "drawing")}
    work = side_by_side("go on", request, lambda: branch.go_on(open_native(opened, change["p"]), change, checkpoint))
    async with aclosing(work) as states:
        async for state in states:
            yield state


async def on_compare(
    opened: Any,
    shown: Any,
    left: Any,
    left_temperature: Any,
    right: Any,
    right_temperature: Any,
    request: gr.Request,
):
    """Solve the puzzle of the open prompt twice; ``shown`` is the group component's value, which names it."""
    sides, prompt = (left, left_temperature, right, right_temperature), _open_prompt(opened, shown)
    work = side_by_side("compare", request, lambda: _compared(open_native(opened, prompt), *sides))
    async with aclosing(work) as states:
        async for state in states:
            yield state


def _open_prompt(opened: Any, shown: Any) -> Any:
    """The prompt that the component shows of the group ``opened``; None where it shows another, or none yet."""
    return shown.get("prompt") if isinstance(shown, dict) and shown.get("token") == opened else None


def open_native(token: Any, prompt: Any) -> Opened:
    """The traces of ours that are open; raises ConfigError."""
    group = SHELF.of(token)
    found = group.native(prompt if isinstance(prompt, int) else 0)
    if found is None:
        raise ConfigError("only rollouts of this page's own puzzles can be solved again here")
    return found


def _compared(opened: Opened, *sides: Any) -> Iterator[str | dict[str, Any]]:
    problem, seed = opened.problem, opened.seeds[0][0] if opened.seeds else 0
    origin = {"task": problem.task, "difficulty": "medium", "seed": 0}  # of no matter: the problem is given
    a, b = (
        replace(checked(**origin, checkpoint=name, temperature=temperature), sampling_seed=seed)
        for name, temperature in (sides[:2], sides[2:])
    )
    yield from branch.compare((a, b), problem)


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
    choices, small = choices_of(visitor), small_choices_of(visitor)
    first = names[0] if names else None
    chosen = first or (choices[0][1] if choices else None)
    again = sources.checkpoint_of_link(str(request.query_params.get("group", "")))
    listed = with_linked(choices, again)
    chosen = again if is_among(listed, again) else chosen
    second = names[1] if len(names) > 1 else first
    return (
        listed_runs(runs, value=runs[0][1] if runs else None),
        gr.Dropdown(choices=sources.files_of_host()),
        gr.Dropdown(choices=listed, value=chosen),
        *(gr.Dropdown(choices=small, value=name) for name in (first, second)),
    )
