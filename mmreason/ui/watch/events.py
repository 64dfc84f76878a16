"""The events of the tab Watch: handlers' values laid out as updates of its components."""

from __future__ import annotations

import json
import secrets
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mmreason.errors import MMReasonError
from mmreason.ui.host.visitor import address_of
from mmreason.ui.runs.choices import choices_of, with_linked
from mmreason.ui.shell.component import said
from mmreason.ui.shell.events import AS_TYPED, AT_ONCE, CHANGING, PRIVATE, WATCHING, WRITING
from mmreason.ui.shell.parts import Parts
from mmreason.ui.shell.words import place_in_line
from mmreason.ui.solve import solving
from mmreason.ui.solve.line import TAKEN_AWAY, in_turn
from mmreason.ui.solve.playback import run_number
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.solve.solving import Finished, Shown
from mmreason.ui.solve.worker import WORKER
from mmreason.ui.watch import daily, handlers, own
from mmreason.ui.watch.files import write_file
from mmreason.ui.watch.handlers import CONTROLS, OWN, SEEDED, TODAY

# The die has a name, a checkpoint's name can be read whole, and the settings close as menus do.
ON_ARRIVAL_JS = """() => {
  const die = document.getElementById('surprise');
  die.title = 'Surprise me: another puzzle';
  die.setAttribute('aria-label', 'Surprise me');
  const checkpoint = document.getElementById('checkpoint');
  const name = () => { for (const box of checkpoint.querySelectorAll('input')) box.title = box.value; };
  for (const kind of ['pointerover', 'focusin']) checkpoint.addEventListener(kind, name);
  const gear = () => document.querySelector('#more > button.label-wrap');
  const close = (focus) => {
    if (!gear()?.classList.contains('open')) return;
    gear().click();
    if (focus) gear().focus();
  };
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(true); });
  document.addEventListener('pointerdown', (event) => { if (!event.target.closest('#more')) close(false); });
}"""


@dataclass(slots=True)
class Watch(Parts):
    """The components of the tab, by name; ``controls`` in the order of ``handlers.CONTROLS``."""

    @property
    def seen(self) -> list[Any]:
        """What shows a puzzle: the player, and what is wrong with it."""
        return [self.parts[name] for name in ("player", "notice")]

    @property
    def named(self) -> list[Any]:
        """What names a puzzle that is drawn from a seed, and whether it is that which is chosen."""
        return [self.parts[name] for name in ("origin", "task", "difficulty", "seed", "checkpoint")]

    @property
    def controls(self) -> list[Any]:
        return [self.parts[name] for name in CONTROLS]

    @property
    def shown(self) -> list[Any]:
        """What says which puzzle is shown, in the order of ``handlers.SHOWN``."""
        return [*self.controls, *(self.parts[name] for name in ("origin", "kind", "board", "text"))]

    @property
    def origins(self) -> list[Any]:
        """What tells where the shown puzzle comes from: ``come_from`` gives their updates."""
        return [self.parts[name] for name in ("origin", "today", "own_open", "daily", "own_panel")]

    @property
    def own_shown(self) -> list[Any]:
        """What ``own_shown`` updates."""
        return [*(self.parts[name] for name in ("kind", "board", "text", "own_says")), *self.origins]

    @property
    def checked(self) -> tuple[Any, ...]:
        """The check of what is typed: its handler, inputs and outputs."""
        return on_typed, self.shown, [self.parts["controls_say"], self.parts["solve"]]

    @property
    def expected(self) -> list[Any]:
        return [self.parts[name] for name in ("checkpoint", "difficulty", "task", "origin")]


def connect(watch: Watch, blocks: gr.Blocks, is_empty: bool) -> None:
    """Connect all events; with ``is_empty`` the page shows a puzzle on arrival, for want of an example."""
    _connect_solving(watch)
    _connect_origin(watch)
    _connect_puzzle(watch)
    _connect_own(watch)
    _connect_daily(watch)
    w = watch
    filled = [w.notice, w.asked, w.player, *w.controls, *w.own_shown]
    loaded = blocks.load(on_load, w.visitor, filled, **PRIVATE)
    loaded.then(handlers.expect, w.expected, w.expect, **PRIVATE)
    if is_empty:
        blocks.load(on_preview, w.named, w.seen, **PRIVATE)
    blocks.load(None, None, None, js=ON_ARRIVAL_JS)
    blocks.unload(on_unload)


def _connect_solving(w: Watch) -> None:
    shown = [w.player, w.notice, w.finished, w.solve]
    gr.on([w.solve.click, w.asked.change], on_begin, None, [w.notice, w.solve], **AT_ONCE)
    runs = [
        w.solve.click(on_solve, w.shown, shown, **WATCHING),
        w.asked.change(on_asked, w.asked, shown, **WATCHING),
    ]
    for run in runs:  # after a run that broke off, too
        run.then(on_idle, w.shown, w.solve, **AT_ONCE, **AS_TYPED)
    w.stop.click(on_stop, None, w.solve, **AT_ONCE)
    w.player.take(on_take, w.finished, w.take_file, **WRITING)
    w.player.again(handlers.retry, w.finished, w.asked, **PRIVATE)


def _connect_origin(w: Watch) -> None:
    """Say in the browser where the puzzle comes from: of two quick choices the last counts, at any pace."""
    seeded = (w.task.pick, w.difficulty.input, w.seed.input, w.surprise.click, w.own_close.click)
    said = {SEEDED: seeded, TODAY: (w.today.click,), OWN: (w.own_open.click,)}
    for origin, choices in said.items():
        told = json.dumps(come_from(origin, is_open=origin == OWN))
        for choice in choices:
            choice(None, None, w.origins, js=f"() => {told}", **PRIVATE)


def _connect_puzzle(w: Watch) -> None:
    puzzle, seen = [w.task, w.difficulty, w.seed, w.checkpoint], w.seen
    picked = w.task.pick(on_pick, puzzle, [w.checkpoint, w.difficulty], **CHANGING)
    picked = picked.then(on_preview, w.named, seen, **PRIVATE)
    changed = gr.on([w.difficulty.input, w.seed.input, w.own_close.click], on_preview, w.named, seen, **CHANGING)
    typed = [part.change for part in (w.seed, w.sampling_seed, w.temperature, w.num_steps, w.threshold)]
    gr.on(typed, *w.checked, **CHANGING, **AS_TYPED)
    known = w.checkpoint.input(on_checkpoint, puzzle, [w.task, w.player, *w.origins], **CHANGING)
    known.then(*w.checked, **PRIVATE, **AS_TYPED)
    drawn = w.surprise.click(solving.surprise, None, w.seed, **PRIVATE).then(on_preview, w.named, seen, **PRIVATE)
    for shown in (picked, changed, drawn):  # it may have been one of the visitor's own before, that cannot be solved
        shown.then(handlers.expect, w.expected, w.expect, **PRIVATE).then(*w.checked, **PRIVATE, **AS_TYPED)
    gr.on([w.difficulty.change, w.checkpoint.change], handlers.expect, w.expected, w.expect, **CHANGING)


def _connect_daily(w: Watch) -> None:
    chosen = w.today.click(on_today, None, [w.task, w.difficulty, w.seed, w.sampling_seed], **PRIVATE)
    chosen.then(handlers.fitting, [w.checkpoint, w.task], w.checkpoint, **PRIVATE)
    shown = chosen.then(on_preview, w.named, w.seen, **PRIVATE)
    shown.then(on_today_shown, w.origin, [w.notice, *w.origins], **PRIVATE).then(
        handlers.expect, w.expected, w.expect, **PRIVATE
    ).then(*w.checked, **PRIVATE, **AS_TYPED)
    w.finished.change(on_daily_result, w.finished, w.daily, **PRIVATE)


def _connect_own(w: Watch) -> None:
    puzzle = [w.origin, w.kind, w.board, w.text, w.checkpoint]
    seen = [w.player, w.own_says, w.task, w.checkpoint, w.expect]
    set_up = [w.board, w.text, w.set_up]
    opened = w.own_open.click(on_open, [w.task, w.kind], [w.kind, *set_up], **PRIVATE)
    w.kind.input(on_kind, [w.kind, w.board], set_up, cancels=[opened], **PRIVATE)  # whose late answer chose another
    w.solve.click(on_close, None, w.own_panel, **AT_ONCE)
    w.board.put(on_put, None, w.set_up, **CHANGING)
    # One event for all, so that no answer to an earlier puzzle comes after that to a later one.
    looked_at = gr.on([w.text.change, w.set_up.change], on_own, puzzle, seen, **CHANGING)
    looked_at.then(*w.checked, **PRIVATE, **AS_TYPED)


# Solving


def on_begin(request: gr.Request) -> tuple[Any, ...]:
    """Say who is ahead, if the batch is full."""
    ahead = WORKER.announce(_session(request))
    return place_in_line(ahead), _button(busy=True)


async def on_solve(request: gr.Request, *values: Any):
    """Stream the solution of the puzzle that is shown."""
    states = handlers.solve_shown(*values, session=_session(request), address=address_of(request))
    async with aclosing(states):
        async for state in states:
            yield _outputs(state)


async def on_asked(wish: SolveRequest | None, request: gr.Request):
    """Stream the solution of what a link or Try again asks for."""
    if wish is None:
        WORKER.forget(_session(request))
        yield _outputs(Shown(busy=False))
        return
    async with aclosing(solving.solve(wish, _session(request), address=address_of(request))) as states:
        async for state in states:
            yield _outputs(state)


def on_stop(request: gr.Request) -> Any:
    """End the visitor's run at its next step."""
    WORKER.stop(_session(request))
    return _button(busy=False)


def on_idle(request: gr.Request, *values: Any) -> Any:
    """Free the button after a run, however it ended, where what is set up meanwhile can be solved."""
    WORKER.forget(_session(request))
    return _button(busy=WORKER.is_busy(_session(request)) or not handlers.is_ready(*values))


async def on_take(finished: Finished | None, event: gr.EventData, request: gr.Request) -> Any:
    """A file of the finished run, under the name that the menu asked by; or why there is none, after that name."""
    name, host = str(said(event, "name"))[:16], str(request.headers.get("host", ""))

    def refused(words: str) -> gr.DownloadButton:
        return gr.DownloadButton(f"{name} {words}", value=None)

    if finished is None:
        return refused("There is no finished run here: solve a puzzle first.")
    if finished.is_example and said(event, "state") == "finished":  # the page shows what the server has let go
        return refused("This run is not on the server any more: solve it again to take it away.")

    def taken(run: Finished = finished) -> gr.DownloadButton:
        return gr.DownloadButton(name, value=write_file(run, said(event, "kind"), host))

    return await in_turn("take", request, taken, refused, TAKEN_AWAY)


# Arriving and leaving


def on_load(visitor: Any, request: gr.Request) -> tuple[Any, ...]:
    """Fill the controls from a link, and solve what it asks for, or show it if its checkpoint is gone.

    A link to today's puzzle shows it and asks the visitor first.
    """
    params = dict(request.query_params)
    wish, says, at_once = handlers.open_link(params)
    choices = choices_of(visitor)
    player, *shown = [gr.skip()] * 10
    controls: list[Any] = [gr.skip() for _ in handlers.CONTROLS]
    chosen = choices[0][1] if choices else None
    if wish is None and daily.LINK in params:
        task, difficulty, seed, sampling_seed = on_today()
        controls[:3], controls[-1] = (task, difficulty, seed), sampling_seed
        says, *shown[4:] = on_today_shown(TODAY, request)
        player = handlers.preview_controls(task, difficulty, seed, chosen)[0] or player
    elif wish is not None:
        controls = [gr.skip() if value is None else value for value in handlers.filled(wish)]
        chosen = wish.checkpoint
        if wish.own is not None:
            shown = own_shown(wish.own, is_open=not at_once)
        if not at_once:
            player = handlers.preview_link(wish) or player
    listed = with_linked(choices, chosen)
    controls[handlers.CONTROLS.index("checkpoint")] = gr.Dropdown(choices=listed, value=chosen)
    return says, wish if at_once else None, player, *controls, *shown


def on_unload(request: gr.Request) -> None:
    """Free the row, or leave the line."""
    WORKER.leave(_session(request))


# The puzzle


def on_preview(request: gr.Request, origin: str, *values: Any) -> tuple[Any, Any]:
    """Show the puzzle that the controls name; what is of a field is told there.

    All stays as it is where a run is being shown, or where the visitor's own puzzle was chosen meanwhile.
    """
    began = run_number()
    if origin == OWN or WORKER.is_busy(_session(request)):
        return gr.skip(), gr.skip()
    value, says = handlers.preview_controls(*values)
    return _unless_a_run_began(value, began), says


def on_pick(task: str, difficulty: str, _: Any, checkpoint: Any) -> tuple[Any, Any]:
    """A checkpoint that knows the picked task, and a difficulty that it mostly masters."""
    knows = handlers.fitting(checkpoint, task)
    return knows, handlers.fitting_difficulty(str(knows), str(difficulty), str(task))


def on_checkpoint(task: str, difficulty: str, seed: Any, checkpoint: Any, request: gr.Request) -> tuple[Any, ...]:
    """A task that the chosen checkpoint knows, and its puzzle, where it does not know the one that is chosen."""
    instead = handlers.task_for(checkpoint, task)
    if instead == task or WORKER.is_busy(_session(request)):
        return (gr.skip(),) * 7
    began = run_number()
    value, _ = handlers.preview_controls(instead, difficulty, seed, checkpoint)
    return instead, _unless_a_run_began(value, began), *come_from(SEEDED)


def on_today() -> tuple[Any, ...]:
    """Task, difficulty, seed and sampling seed of today's puzzle; they stay where the clock is far off."""
    try:
        asked = daily.daily_puzzle(daily.today()).request
    except MMReasonError:
        return tuple(gr.skip() for _ in range(4))
    return asked.task, asked.difficulty, asked.seed, asked.sampling_seed


def on_today_shown(origin: str, request: gr.Request) -> tuple[Any, ...]:
    """Ask for the visitor's answer to it, unless another was chosen meanwhile or a run is being shown."""
    if origin != TODAY or WORKER.is_busy(_session(request)):
        return (gr.skip(),) * 6
    try:
        return "", *come_from(TODAY, daily.question(daily.daily_puzzle(daily.today())))
    except MMReasonError as error:
        says = f"There is no puzzle today, because this server's clock is wrong: {error}."
        return says, *come_from(SEEDED)


def on_daily_result(finished: Finished | None) -> Any:
    """The result to copy if the run was of today's puzzle, else nothing."""
    return handlers.daily_result(finished)


def on_typed(request: gr.Request, *values: Any) -> tuple[Any, Any]:
    """Say at once at its field what is wrong; where anything is, also in the visitor's own puzzle, Solve is off."""
    says = handlers.check_controls(*values[: len(CONTROLS)])
    busy = WORKER.is_busy(_session(request))
    return says, gr.skip() if busy else _button(busy=not handlers.is_ready(*values))


def on_open(task: Any, kind: Any) -> tuple[Any, ...]:
    """Set up the visitor's own puzzle in the chosen task; the last value makes it be looked at."""
    wanted = own.kind_for(task)
    if wanted == kind:
        return *(gr.skip(),) * 3, on_put()
    text = own.as_text(task) if wanted == own.JSON else None
    return *_own_parts(wanted, own.first_board(wanted), text), on_put()


def on_close() -> Any:
    """Close it."""
    return gr.Column(visible=False)


def on_own(request: gr.Request, origin: str, *values: Any) -> tuple[Any, ...]:
    """Say whether the visitor's puzzle can be solved, and show it, its task and a checkpoint that knows it.

    Nobody has measured how many such puzzles are solved: instead it says so of difficulty and seed.  All stays as
    it is where another puzzle was chosen meanwhile.
    """
    if origin != OWN:
        return (gr.skip(),) * 5
    began = run_number()
    value, says = handlers.check_own(*values)
    says = own.told(values[0], says)
    if value is None:
        return gr.skip(), says, gr.skip(), gr.skip(), own.UNDRAWN
    task, checkpoint = value["problem"]["task"], values[-1]
    seen = gr.skip() if WORKER.is_busy(_session(request)) else _unless_a_run_began(value, began)
    return seen, says, task, handlers.fitting(checkpoint, task), own.UNDRAWN


def on_kind(kind: str, board: Any) -> tuple[Any, Any, str]:
    """Board or text for the chosen kind of puzzle, to be looked at; as text, the puzzle that was on the board."""
    text = own.as_text(None, board) if kind == own.JSON else None
    return *_own_parts(kind, own.first_board(kind), text)[1:], on_put()


def on_put() -> str:
    """Another value than ever before, that has the visitor's puzzle looked at."""
    return secrets.token_hex(8)


def _own_parts(kind: str, board: Any, text: str | None) -> tuple[Any, Any, Any]:
    """Updates of kind, board and text; of the last two the one in use is visible."""
    is_text = kind == own.JSON
    shown = gr.HTML(visible=not is_text) if board is None else gr.HTML(board, visible=not is_text)
    return kind, shown, gr.Textbox(visible=is_text) if text is None else gr.Textbox(text, visible=is_text)


def own_shown(puzzle: str, *, is_open: bool) -> tuple[Any, ...]:
    """Updates of ``Watch.own_shown`` for a visitor's own puzzle as JSON."""
    kind, board, text = handlers.own_filled(puzzle)
    says = own.told(kind, own.check(kind, board, text or "")[1])
    return *_own_parts(kind, board, text), says, *come_from(OWN, is_open=is_open)


def come_from(origin: str, asks: dict[str, Any] | None = None, *, is_open: bool = False) -> tuple[Any, ...]:
    """Updates of ``Watch.origins``: the tile that is lit, what the day asks, whether the own board is open."""
    today, own_open = (
        gr.update(elem_classes=["tile", "chosen"] if origin == name else ["tile"]) for name in (TODAY, OWN)
    )
    return origin, today, own_open, asks, gr.update(visible=is_open)


def _unless_a_run_began(value: dict[str, Any] | None, began: int) -> Any:
    """A bare puzzle that counts as shown when its making began, so that a run begun meanwhile is not hidden."""
    return gr.skip() if value is None else value | {"run": began}


def _session(request: gr.Request) -> str:
    return str(request.session_hash)


def _button(busy: bool) -> Any:
    """Update of Solve; Stop stays, as what moves can be stopped after the run has ended."""
    return gr.Button(interactive=not busy)


def _outputs(state: Shown) -> tuple[Any, ...]:
    """A state as updates of player, notice, finished run and Solve."""
    parts = (state.value, state.notice, state.finished)
    return *(gr.skip() if part is None else part for part in parts), _button(state.busy)
