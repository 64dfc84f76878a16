"""The events of the studio: values of its controls in, updates of its components out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mmreason.sampling.views.config import MAX_TURNS, OWN_TURNS
from mmreason.ui.host import public
from mmreason.ui.host.visitor import address_of
from mmreason.ui.shell.component import said
from mmreason.ui.shell.events import AT_ONCE, CHANGING, PRIVATE, WATCHING
from mmreason.ui.shell.field import at_field
from mmreason.ui.shell.parts import Parts
from mmreason.ui.shell.words import place_in_line
from mmreason.ui.solve import film, picture, solving
from mmreason.ui.solve.picture import FIELDS, OWN, WORDS
from mmreason.ui.solve.playback import run_number
from mmreason.ui.solve.solving import Shown
from mmreason.ui.solve.worker import WORKER
from mmreason.ui.watch.events import Watch
from mmreason.ui.watch.studio.samples import SAMPLES, named

CONTROLS = (
    *("kind", "picture", "instruction", "region", "task", "difficulty", "seed"),
    *("attention", "pixels", "max_turns", "num_steps", "text_length", "guidance", "temperature"),
    *("sampling_seed", "order"),
)
CALLED = {  # what a reason calls a number, and the field's id
    **{words: f"studio-{name}" for name, words in WORDS.items()},
    **{name: f"studio-{name}" for name in ("temperature", "seed")},
    "sampling seed": "studio-sampling_seed",
}
LOADING = "Loading the checkpoint …"


@dataclass(slots=True)
class Studio(Parts):
    """Its components, by name."""

    @property
    def says(self) -> list[Any]:
        """What is wrong, at each field."""
        return [self.parts[f"{name}_says"] for name in FIELDS]


def connect(s: Studio, watch: Watch, blocks: gr.Blocks) -> None:
    """Connect all events."""
    values = [watch.checkpoint, *(s.parts[name] for name in CONTROLS)]
    looked = [s.film, *s.says, s.solve]
    told = [s.column, s.about, s.attention, s.text_length]
    watch.checkpoint.change(on_checkpoint, watch.checkpoint, told, **PRIVATE).then(on_look, values, looked, **PRIVATE)
    blocks.load(on_checkpoint, watch.checkpoint, told, **PRIVATE).then(on_look, values, looked, **PRIVATE)
    s.kind.input(on_kind, s.kind, [s.own, s.puzzle, s.max_turns], **PRIVATE).then(on_look, values, looked, **PRIVATE)
    taken = [s.picture, s.instruction, s.region]
    s.sample.pick(on_sample, [s.sample, s.instruction], taken, **PRIVATE).then(on_look, values, looked, **PRIVATE)
    s.file.upload(on_file, s.file, [s.picture, s.region, s.sample], **PRIVATE).then(on_look, values, looked, **PRIVATE)
    s.film.box(on_box, None, s.region, **PRIVATE)
    changed = [
        s.parts[name].change for name in CONTROLS if name not in ("kind", "picture")
    ]  # these are looked at above
    gr.on(changed, on_look, values, looked, **CHANGING)
    s.solve.click(on_begin, watch.checkpoint, [s.notice, s.solve, s.take, s.filmed], **AT_ONCE)
    run = s.solve.click(on_solve, values, [s.film, s.notice, s.filmed, *s.says, s.solve], **WATCHING)
    files = [s.take, s.trace_file, s.replay_file, s.picture_file]
    run.then(on_files, s.filmed, files, **PRIVATE).then(on_idle, None, s.solve, **AT_ONCE)
    s.stop.click(on_stop, None, s.solve, **AT_ONCE)


def on_checkpoint(checkpoint: Any) -> tuple[Any, ...]:
    """Open the studio for a public checkpoint, and say what it is; close it for any other."""
    found = public.usable(str(checkpoint))
    if found is None:
        return gr.Column(visible=False), gr.skip(), gr.skip(), gr.skip()
    return gr.Column(visible=True), [["quiet", found.words]], found.attention, public.text_length(found)


def on_kind(kind: str) -> tuple[Any, ...]:
    """The fields of a picture of one's own, or of a puzzle."""
    own = kind == OWN
    return gr.Column(visible=own), gr.Column(visible=not own), OWN_TURNS if own else MAX_TURNS


def on_sample(name: Any, instruction: Any) -> tuple[Any, ...]:
    """Take a picture that comes with the page; words of the visitor's own stay."""
    sample = named(name)
    if sample is None:
        return tuple(gr.skip() for _ in range(3))
    suggested = {each.instruction for each in SAMPLES} | {""}
    words = sample.instruction if str(instruction or "").strip() in suggested else gr.skip()
    return str(sample.path), words, ""


def on_file(path: Any) -> tuple[Any, ...]:
    """Take the visitor's picture."""
    return path, "", None


def on_box(event: gr.EventData) -> Any:
    """The region that was drawn on the picture, in pixels, as it would be typed."""
    box = said(event, "box")
    if box is None:
        return ""
    if not isinstance(box, list) or len(box) != 4 or not all(type(side) is int and 0 <= side < 10**5 for side in box):
        return gr.skip()
    return f"{box[0]},{box[1]}:{box[2]},{box[3]}"


def on_look(request: gr.Request, *values: Any) -> tuple[Any, ...]:
    """Show what is chosen, unless a run is being shown, and say at each field what is wrong there."""
    began = run_number()
    asked = _asked(values)
    if public.usable(str(asked["checkpoint"])) is None or WORKER.is_busy(_session(request)):
        return tuple(gr.skip() for _ in range(2 + len(FIELDS)))
    chosen, says = picture.look(asked)
    value: Any = gr.skip()
    if chosen is not None:
        settings = {"attention": asked["attention"], "order": asked["order"]}
        value = film.ready_value(chosen, asked["kind"] == OWN, settings) | {"run": began}
    return value, *_told(says), gr.Button(interactive=not any(says.values()))


def on_begin(checkpoint: Any, request: gr.Request) -> tuple[Any, ...]:
    """Say who is ahead, or that the weights are still to be read; the files of the run before go."""
    ahead = WORKER.announce(_session(request))
    says = place_in_line(ahead) or ("" if public.is_loaded(str(checkpoint)) else LOADING)
    return says, gr.Button(interactive=False), gr.Row(visible=False), None


async def on_solve(request: gr.Request, *values: Any):
    """Stream the solve of what the controls name, or say at the fields why there is none."""
    asked, session = _asked(values), _session(request)
    wish, says = await asyncio.to_thread(picture.read, asked)
    if wish is None:
        WORKER.forget(session)
        yield gr.skip(), "", gr.skip(), *_told(says), gr.Button(interactive=True)
        return
    states = solving.solve(wish, session, address=address_of(request), prepare=film.prepare)
    async with aclosing(states):
        async for state in states:
            yield _outputs(state)


def on_files(filmed: film.Filmed | None) -> tuple[Any, ...]:
    """The files of the run that ended, while they are there."""
    if filmed is None or not Path(filmed.trace).is_file():
        return gr.Row(visible=False), gr.skip(), gr.skip(), gr.skip()
    paths = (filmed.trace, filmed.replay, filmed.picture)
    return gr.Row(visible=True), *(gr.DownloadButton(value=path) for path in paths)


def on_idle(request: gr.Request) -> Any:
    """Free the button after a run, however it ended."""
    WORKER.forget(_session(request))
    return gr.Button(interactive=not WORKER.is_busy(_session(request)))


def on_stop(request: gr.Request) -> Any:
    """End the visitor's run at its next step."""
    WORKER.stop(_session(request))
    return gr.Button(interactive=True)


def _asked(values: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("checkpoint", *CONTROLS), values, strict=True))


def _told(says: Mapping[str, str]) -> list[Any]:
    """What is wrong, as the notices show it: of a number at its own field."""
    return [at_field(each, CALLED) for each in says.values()]


def _session(request: gr.Request) -> str:
    return str(request.session_hash)


def _outputs(state: Shown) -> tuple[Any, ...]:
    """A state as updates of film, notice, finished run, fields and button."""
    parts = [gr.skip() if part is None else part for part in (state.value, state.notice, state.finished)]
    return *parts, *[""] * len(FIELDS), gr.Button(interactive=not state.busy)
