"""The events of the tab Train: handlers' values laid out as updates of its components."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from mmreason.errors import MMReasonError
from mmreason.training.rl.presets import PRESETS
from mmreason.ui.host import gpu
from mmreason.ui.host.visitor import address_of
from mmreason.ui.runs import queue
from mmreason.ui.runs.archive import write_archive
from mmreason.ui.runs.choices import choices_of, trained_by
from mmreason.ui.runs.estimate import words
from mmreason.ui.runs.samples import run_samples
from mmreason.ui.runs.slices import drive
from mmreason.ui.runs.store import EXAMPLE, EXAMPLE_COMMAND, EXAMPLE_PRESET, Run, find, new_token, owner_of, runs_of
from mmreason.ui.shell.events import AT_ONCE, CHANGING, PRIVATE, WRITING
from mmreason.ui.shell.field import at_fields
from mmreason.ui.shell.parts import Parts
from mmreason.ui.shell.words import sentence
from mmreason.ui.solve.line import TAKEN_AWAY, in_turn
from mmreason.ui.train import push
from mmreason.ui.train.form import (
    CALLED,
    CONTROLS,
    CUSTOM,
    PUBLIC,
    filled,
    known_of,
    preset_of,
    public_fields,
    read_form,
    task_choices,
    with_upload,
)
from mmreason.ui.train.kept import values_at_arrival
from mmreason.ui.train.upload import keep
from mmreason.ui.train.view import RunView, Seen, look
from mmreason.ui.train.words import claim, label

START, STARTING = "Start training", "Starting …"
LINK_JS = """(id) => {
  if (!id) return '';
  const place = new URL(location.href);
  place.search = '?run=' + encodeURIComponent(id);
  if (document.getElementById('train')?.offsetParent) history.replaceState(history.state, '', place);
  return place.href;
}"""
# Said in the browser, before the server has answered.
STARTING_JS = f"() => '{STARTING}'"

# The run that was started comes into view; where nothing was started, the reason stands at the button.
# Its head may be a moment away.
TO_HEAD_JS = """(says) => {
  if (says) return;
  const until = Date.now() + 10_000;
  const look = () => {
    const head = document.getElementById('train-head');
    if (head?.checkVisibility()) head.scrollIntoView({ block: 'start' });
    else if (Date.now() < until) setTimeout(look, 100);
  };
  look();
}"""
# So does the run of a link where it stands below the window, for who has not moved on meanwhile.
TO_LINKED_HEAD_JS = """() => {
  if (!new URLSearchParams(location.search).has('run')) return;
  const until = Date.now() + 20_000;
  const look = () => {
    const head = document.getElementById('train-head');
    if (scrollY > 0 || Date.now() > until) return;
    if (!head?.checkVisibility()) setTimeout(look, 100);
    else if (head.getBoundingClientRect().top > innerHeight / 2) head.scrollIntoView({ block: 'start' });
  };
  look();
}"""

ASKED_OF_ANOTHER = "Another run is shown now than the one that was asked about: nothing was deleted."
EMPTY = [["lead", "No run yet."], ["plain", "Start one, and its curves grow here while it learns."]]
EXAMPLE_WORDS = [
    ["lead", "An example, until you start a run of your own"],
    ["plain", f"Both arms of the preset “{EXAMPLE_PRESET}”, trained by this command:"],
    ["code", EXAMPLE_COMMAND],
]
DRIVING = {**PRIVATE, "trigger_mode": "multiple", "concurrency_id": "slices", "concurrency_limit": None}
SHOWN = (  # the components of a view
    *("seen", "empty", "head", "start", "going", "actions", "stop", "resume", "delete", "curves", "figures"),
    *("verdict", "held_out", "results", "command", "take", "archive", "to_compare", "hub", "timer", "trained"),
    "ready",
)


@dataclass(slots=True)
class Train(Parts):
    """The components of the tab, by name; ``controls`` in the order of ``form.CONTROLS``."""

    @property
    def controls(self) -> list[Any]:
        return [self.parts[name] for name in CONTROLS]


def connect(t: Train, blocks: gr.Blocks, tab: gr.Tab) -> None:
    """Connect all events of ``tab``, and look after the queue."""
    queue.keep_going()
    asked = [t.chosen, t.visitor, t.earlier, t.smoothing, t.seen]
    shown = [t.parts[name] for name in SHOWN]
    lists = [t.run, t.earlier]

    def then_look(event: Any) -> Any:
        return event.then(on_look, asked, shown, **PRIVATE)

    blocks.load(None, None, None, js=TO_LINKED_HEAD_JS)
    arrived = [t.visitor, t.chosen, t.says, *lists, *t.controls]
    arrival = blocks.load(on_arrive, [t.visitor, t.kept_form], arrived, **PRIVATE)
    arrival.then(on_first_look, [t.is_open, *asked], shown, **PRIVATE)
    then_look(tab.select(lambda: True, None, t.is_open, **PRIVATE))
    t.checkpoint.change(on_kind, t.checkpoint, [t.public, t.preset], **PRIVATE)
    t.checkpoint.input(on_public, t.checkpoint, t.controls[1:], **PRIVATE)
    t.preset.input(on_preset, [t.preset, t.checkpoint], t.controls[1:], **PRIVATE)
    offers = [t.checkpoint, t.tasks, t.upload, t.visitor]
    gr.on([t.checkpoint.change, t.upload.change], on_checkpoint, offers, t.tasks, **PRIVATE)
    changed = [control.change for control in t.controls]
    said = [t.estimate, t.form_says, t.start, t.preset, t.preset_says, t.kept_form]
    gr.on(changed, on_form, [t.visitor, t.upload, *t.controls], said, **CHANGING)
    started = [t.form_says, t.says, t.sure, t.chosen, *lists]
    t.start.click(None, None, t.start, js=STARTING_JS)
    start = t.start.click(on_start, [t.visitor, t.upload, *t.controls], started, **PRIVATE)
    then_look(start).then(None, t.form_says, None, js=TO_HEAD_JS)
    then_look(t.run.input(on_choose, [t.run, t.visitor], [t.chosen, t.says, t.sure], **PRIVATE))
    t.timer.tick(on_look, asked, shown, **PRIVATE)
    gr.on([t.smoothing.change, t.earlier.change], on_look, asked, shown, **CHANGING)
    for button in (t.stop, t.going):
        then_look(button.click(on_stop, [t.chosen, t.visitor], [t.says, t.sure], **PRIVATE))
    resume = t.resume.click(on_resume, [t.chosen, t.visitor], [t.says, t.sure], **PRIVATE)
    then_look(resume)
    if gpu.is_lent():
        for begun in (start, resume):
            begun.then(on_drive, [t.chosen, t.visitor], t.says, **DRIVING)
    t.delete.click(lambda chosen: (chosen, gr.Row(visible=True)), t.chosen, [t.asked_about, t.sure], **AT_ONCE)
    t.keep.click(lambda: gr.Row(visible=False), None, t.sure, **AT_ONCE)
    deleted = [t.says, t.sure, t.chosen, *lists]
    then_look(t.really.click(on_delete, [t.chosen, t.visitor, t.asked_about], deleted, **PRIVATE))
    t.run.change(None, t.run, t.link, js=LINK_JS)
    t.ready.change(on_archive, [t.chosen, t.visitor], t.archive, **WRITING)
    if push.can_sign_in():
        t.push.click(on_push, [t.chosen, t.visitor, t.repository], t.says, **PRIVATE)


# Arriving


def on_arrive(visitor: Any, kept: Any, request: gr.Request) -> tuple[Any, ...]:
    """Recognise a returning visitor or give a token; open the run of a link, else the visitor's last one.

    The form is that of their run that goes on, else as they left it.
    """
    known = owner_of(visitor) is not None
    token = visitor if known else new_token()
    asked = dict(request.query_params).get("run")
    own, run = runs_of(token), find(asked)
    chosen = run.id if run else _first(own)
    says = _whose(run, token) if run or asked is None else _instead(asked, chosen)
    form, choices = values_at_arrival(kept, find(chosen), token), choices_of(token)
    start = form.get("checkpoint", choices[0][1] if choices else None)
    fields = form | {"checkpoint": gr.Dropdown(choices=choices, value=start)}
    if form:
        fields["tasks"] = gr.CheckboxGroup(choices=task_choices(start), value=form["tasks"])
    controls = [fields.get(name, gr.skip()) for name in CONTROLS]
    return gr.skip() if known else token, chosen, says, *_lists(chosen, own), *controls


def _first(own: list[Run]) -> str | None:
    """What is shown where nobody has chosen: the visitor's last run, or the example."""
    return own[0].id if own else EXAMPLE if find(EXAMPLE) else None


def _instead(asked: str, chosen: str | None) -> str:
    """What became of the run that a link asks for, and what is shown in its place."""
    shown = "" if chosen is None else f"; this is {'the example' if chosen == EXAMPLE else 'your last run'}"
    return f"The run {asked[:40]} is not here (deleted, or the server was restarted){shown}."


def _whose(run: Run | None, token: Any) -> str:
    if run is None or run.id == EXAMPLE or run.is_of(token):
        return ""
    return "This run belongs to another visitor: you can watch it, only they can stop, resume, delete or download it."


def _lists(chosen: str | None, own: list[Run]) -> tuple[Any, Any]:
    """The visitor's runs and the example, with the one that is shown whoever it belongs to."""
    found = {run.id: run for run in (find(chosen), *own, find(EXAMPLE)) if run is not None}
    choices = [(label(run), run.id) for run in found.values()]
    return gr.Dropdown(choices=choices, value=chosen), gr.Dropdown(choices=choices, value=[])


# The form


def on_checkpoint(name: Any, tasks: Any, upload: Any = None, visitor: Any = None) -> Any:
    """List the tasks that it knows; of those that were chosen it keeps what it can, of a dataset handed over that."""
    choices, chosen = with_upload(tasks, upload, name, visitor)
    return gr.CheckboxGroup(choices=choices, value=chosen)


def on_preset(name: Any, checkpoint: Any) -> tuple[Any, ...]:
    """Fill the fields; the checkpoint stays, and all of them where the fields themselves are the preset."""
    if name not in PRESETS:
        return tuple([gr.skip()] * (len(CONTROLS) - 1))
    values = filled(PRESETS[name]) | {setting.name: gr.skip() for setting in PUBLIC}  # presets are for our own kind
    values["tasks"] = known_of(values["tasks"], checkpoint)
    return tuple(values[control] for control in CONTROLS[1:])


def on_kind(name: Any) -> tuple[Any, ...]:
    """Show the fields that only a public checkpoint has, and hide the presets, which are of our own kind."""
    own = public_fields(name) is None
    return gr.Column(visible=not own), gr.Radio(visible=own)


def on_public(name: Any) -> tuple[Any, ...]:
    """Fill in what is sensible for a public checkpoint; for others the fields stay as they are."""
    values = public_fields(name) or {}
    return tuple(values.get(control, gr.skip()) for control in CONTROLS[1:])


def on_form(visitor: Any, upload: Any, *values: Any) -> tuple[Any, ...]:
    """The estimate, or what is wrong with which fields and no Start; and which preset the fields are."""
    settings, wrong = read_form(dict(zip(CONTROLS, values, strict=True)), visitor, upload)
    if settings is None:
        told = at_fields([sentence(each) for each in wrong], CALLED)
        return [], told, gr.Button(interactive=False), CUSTOM, [], gr.skip()
    name = preset_of(settings)
    estimate = [["quiet", words(settings)]]
    return estimate, "", gr.Button(interactive=True), name, claim(name, settings.checkpoint), settings.stored()


def on_start(request: gr.Request, visitor: Any, upload: Any, *values: Any) -> tuple[Any, ...]:
    """Put a run in the queue and show it; a dataset that it learns from goes into its folder."""
    settings, wrong = read_form(dict(zip(CONTROLS, values, strict=True)), visitor, upload)
    if settings is None:
        return at_fields([sentence(each) for each in wrong], CALLED, focus=True), *[gr.skip()] * 5
    try:
        fill = partial(keep, upload) if settings.datasets else None
        run = queue.submit(settings, visitor, address_of(request), fill)
    except MMReasonError as error:
        return sentence(error), *[gr.skip()] * 5
    return "", "", gr.Row(visible=False), run.id, *_lists(run.id, runs_of(visitor))


# Looking


def on_choose(name: Any, visitor: Any) -> tuple[Any, ...]:
    """Show another run."""
    return name, _whose(find(name), visitor), gr.Row(visible=False)


def on_look(chosen: Any, visitor: Any, earlier: Any, smoothing: Any, seen: Seen | None) -> tuple[Any, ...]:
    """What has changed of the run that is shown."""
    view = look(chosen, visitor, earlier, smoothing, seen)
    return outputs_of(view, visitor)


def on_first_look(is_open: bool, chosen: Any, *asked: Any) -> Any:
    """The same on arrival; the example waits until the tab is opened."""
    if chosen == EXAMPLE and not is_open:
        return gr.skip()  # of all parts
    return on_look(chosen, *asked)


def outputs_of(view: RunView, visitor: Any) -> tuple[Any, ...]:
    """A view as updates of ``SHOWN``; what has not changed is left alone."""
    updates = updates_of(view, visitor)
    return tuple(updates.get(name, gr.skip()) for name in SHOWN)


def updates_of(view: RunView, visitor: Any) -> dict[str, Any]:
    """What is to be changed, by the component's name."""
    return _of_run(view, visitor) | _start_or_stop(view)


def _of_run(view: RunView, visitor: Any) -> dict[str, Any]:
    """The same, without the buttons that start and stop."""
    if not view.is_here:
        hidden = {"curves": gr.Column(visible=False), "results": gr.Column(visible=False)}
        hidden |= {name: gr.Row(visible=False) for name in ("actions", "take", "hub")}
        empty = {"seen": {}, "empty": EMPTY, "head": None, "figures": None, "verdict": [], "held_out": None}
        return hidden | empty | {"command": "", "timer": gr.Timer(active=False), "ready": ""}
    timer = gr.Timer(active=view.is_active)
    if not view.changed:
        return {"head": view.head, "timer": timer}
    can_take = view.is_mine and view.has_checkpoint
    updates = {
        "seen": view.seen,
        "empty": EXAMPLE_WORDS if view.seen["run"] == EXAMPLE else [],
        "head": view.head,
        "actions": gr.Row(visible=view.is_mine),
        "stop": gr.Button(interactive=view.state in ("queued", "running")),
        "resume": gr.Button(interactive=view.state in ("stopped", "failed")),
        "delete": gr.Button(interactive=not view.is_active or view.state == "queued"),
        "curves": gr.Column(visible=view.has_rows or view.is_active),
        "verdict": list(view.verdict),
        "results": gr.Column(visible=True),
        "take": gr.Row(visible=can_take),
        "to_compare": gr.Button(visible=not view.is_public),
        "hub": gr.Row(visible=can_take and push.can_sign_in()),
        "timer": timer,
        "trained": [trained_by(visitor), run_samples(visitor, view.seen["run"])],
        "ready": f"{view.seen['run']} {view.seen['state']}",
    }
    if view.figures is not None:
        updates["figures"] = view.figures
    if "held_out" in view.changed:
        updates["held_out"] = view.held_out
    if "run" in view.changed:
        updates |= {"command": view.command, "archive": gr.DownloadButton(interactive=False)}  # until it is written
    return updates


def _start_or_stop(view: RunView) -> dict[str, Any]:
    """Start; while the visitor's own run is shown and goes on, the button that stops it in its place."""
    goes_on = view.is_mine and bool(view.going)
    can_stop = view.state in ("queued", "running")
    going = gr.Button(view.going, visible=goes_on, interactive=can_stop)
    return {"start": gr.Button(START, visible=not goes_on), "going": going}


# Acting


def on_stop(chosen: Any, visitor: Any) -> tuple[str, Any]:
    """Stop within a step, with a checkpoint; whether to delete the run is asked no more."""
    return _try(lambda: queue.stop(chosen, visitor)), gr.Row(visible=False)


def on_resume(chosen: Any, visitor: Any) -> tuple[str, Any]:
    """Go on from what was saved last; whether to delete the run is asked no more."""
    return _try(lambda: queue.resume(chosen, visitor)), gr.Row(visible=False)


def on_drive(chosen: Any, visitor: Any) -> Iterator[Any]:
    """Where a GPU is lent: train slice by slice for as long as this tab is there."""
    try:
        with closing(drive(chosen, visitor)) as slices:
            for _ in slices:
                yield gr.skip()
    except MMReasonError as error:
        yield sentence(error)


def on_delete(chosen: Any, visitor: Any, asked_about: Any) -> tuple[Any, ...]:
    """Remove the run, if it is the one that was asked about, and show another one of the visitor's."""
    if asked_about != chosen:
        return ASKED_OF_ANOTHER, gr.Row(visible=False), *[gr.skip()] * 3
    says = _try(lambda: queue.delete(chosen, visitor))
    own = runs_of(visitor)
    if not says:
        chosen = _first(own)
    return says, gr.Row(visible=False), chosen, *_lists(chosen, own)


async def on_archive(chosen: Any, visitor: Any, request: gr.Request) -> Any:
    """The zip of the checkpoint, for its owner and once nothing writes to it."""

    def refused(words: str) -> gr.DownloadButton:
        gr.Warning(words)
        return nothing

    def written() -> gr.DownloadButton:
        path = write_archive(chosen, visitor)
        return nothing if path is None else gr.DownloadButton(value=path, interactive=True)

    run, nothing = find(chosen), gr.DownloadButton(interactive=False)
    if run is None or not run.is_of(visitor):
        return nothing
    return await in_turn("archive", request, written, refused, TAKEN_AWAY)


def on_push(chosen: Any, visitor: Any, repository: Any, oauth: gr.OAuthToken | None) -> str:
    """Push the checkpoint to the visitor's account."""
    try:
        return push.push(chosen, visitor, repository, oauth and oauth.token)
    except MMReasonError as error:
        return sentence(error)


def _try(act: Any) -> str:
    try:
        act()
    except MMReasonError as error:
        return sentence(error)
    return ""
