"""What passes from tab to tab: a run, a rollout, what a training has made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import gradio as gr

from mmreason.errors import MMReasonError
from mmreason.records import DIFFICULTIES
from mmreason.tasks import TASKS
from mmreason.traces.opening import open_rollouts
from mmreason.ui.group.gather import group_of, group_of_members
from mmreason.ui.group.held import SHELF
from mmreason.ui.group.opened import finished_of
from mmreason.ui.host import public
from mmreason.ui.inspect.events import SOURCES, Inspect, listed_runs, on_run, open_native, show_group
from mmreason.ui.inspect.sources import roll_out
from mmreason.ui.runs.choices import Choice, choices_of, is_among, small_choices_of, with_linked
from mmreason.ui.runs.samples import run_samples
from mmreason.ui.runs.state import status_of
from mmreason.ui.runs.store import find
from mmreason.ui.shell.component import said
from mmreason.ui.shell.events import HEAVY, PRIVATE
from mmreason.ui.solve.film import Filmed
from mmreason.ui.solve.line import in_line
from mmreason.ui.solve.playback import Playback
from mmreason.ui.solve.request import checked
from mmreason.ui.solve.solving import Finished, surprise
from mmreason.ui.train.events import Train
from mmreason.ui.watch.events import Watch, come_from, own_shown
from mmreason.ui.watch.handlers import SEEDED, expect
from mmreason.ui.watch.studio.events import Studio

TO_COMPARE_JS = """() => {
  const compare = document.getElementById('compare');
  compare?.querySelector('button[aria-expanded=false], .label-wrap:not(.open)')?.click();
  compare?.scrollIntoView({ block: 'start' });
}"""
# The address names the tab that is open, and a group, a run or a puzzle as long as that is what is looked at: it may
# be copied from the browser, opened again, and gone back to.
NAME_TAB_JS = """async () => {
  await new Promise((shown) => setTimeout(shown)); // where an answer of the server has opened it
  const open = document.querySelector('[role=tab][aria-selected=true]')?.textContent.trim().toLowerCase();
  const address = open && mm.addressOfTab(location.href, open);
  if (!address || address === location.href) return;
  const shown = { by: performance.timeOrigin };
  history.replaceState(shown, '');
  history.pushState(shown, '', address);
}"""
# By the browser as soon as the page is there: an answer of the server might come when the visitor has moved on.
# What an earlier load of the page showed, it has to open again.
OPEN_TAB_JS = """() => {
  const open = (event) => {
    const named = mm.tabOf(location.href);
    const tabs = [...document.querySelectorAll('[role=tab][aria-selected=false]')];
    const chosen = tabs.filter((tab) => tab.textContent.trim().toLowerCase() === named);
    const isMore = location.search && !new URLSearchParams(location.search).has('tab');
    const isOld = event && event.state?.by !== performance.timeOrigin;
    if (chosen.length && isMore && isOld) location.reload();
    else for (const tab of chosen) tab.click();
  };
  addEventListener('popstate', open);
  open();
}"""
NAME_NOTHING_JS = "() => { if (location.search) history.replaceState(history.state, '', location.pathname); }"
NAME_AND_TOP_JS = f"() => {{ window.scrollTo({{ top: 0 }}); ({NAME_TAB_JS})(); }}"
KEEP = (gr.skip(),) * 16  # all that ``on_to_watch`` updates
GROUP_SIZE = 8  # rollouts, the one that is looked at among them


def connect_tabs(blocks: gr.Blocks, tabs: gr.Tabs, watch: Watch, inspect: Inspect) -> None:
    """Open the tab that the address names, and name there what is open.

    Hand a run of Watch to Inspect, and a rollout of Inspect to Watch.
    """
    i = inspect
    asked = [i.task, i.difficulty, i.seed, i.checkpoint, i.temperature, i.sampling_seed]
    group = [i.opened, i.group, i.notice]
    blocks.load(None, None, None, js=OPEN_TAB_JS)
    tabs.select(None, None, None, js=NAME_TAB_JS)
    watch.solve.click(None, None, None, js=NAME_NOTHING_JS)
    shown = watch.inspect.click(
        on_inspect_this, [watch.finished, watch.visitor], [*group, *asked, i.source, tabs], **PRIVATE
    )
    shown.then(None, None, None, js=NAME_AND_TOP_JS)
    more = shown.then(on_seven_more, watch.finished, group, **HEAVY)
    gr.on(i.opens, None, None, None, cancels=[more])  # so that they do not replace what was opened meanwhile
    puzzle = [watch.task, watch.difficulty, watch.seed, *watch.own_shown]
    watched = [watch.player, watch.finished, watch.notice, tabs, *puzzle]
    watched_on = i.group.to_watch(on_to_watch, i.opened, watched, **PRIVATE)
    watched_on.then(None, None, None, js=NAME_AND_TOP_JS)
    watched_on.then(expect, watch.expected, watch.expect, **PRIVATE)


def connect_studio(tabs: gr.Tabs, studio: Studio, inspect: Inspect) -> None:
    """Hand the run of a public checkpoint to Inspect."""
    shown = [inspect.opened, inspect.group, inspect.notice, inspect.source, tabs]
    studio.inspect.click(on_inspect_film, studio.filmed, shown, **PRIVATE).then(None, None, None, js=NAME_AND_TOP_JS)


def on_inspect_film(filmed: Filmed | None) -> tuple[Any, ...]:
    """Open the run's trace as a group of one; Roll out makes groups of such a checkpoint."""
    if filmed is None:
        return gr.skip(), gr.skip(), "Solve something in Watch first.", gr.skip(), gr.skip()
    shown = show_group(lambda: group_of(open_rollouts(filmed.trace), "the run from Watch"))
    return *shown, SOURCES[1], gr.Tabs(selected="inspect")


def on_inspect_this(finished: Finished | None, visitor: Any) -> tuple[Any, ...]:
    """Open the run of Watch as a group of one, and make the roll-out controls say how to get the others."""
    keep: list[Any] = [gr.skip()] * 6
    if finished is None:
        return gr.skip(), gr.skip(), "Solve a puzzle in Watch first.", *keep, gr.skip(), gr.skip()
    request = finished.request
    if request is not None and request.own is None:
        listed = with_linked(choices_of(visitor), request.checkpoint)
        checkpoint = gr.Dropdown(choices=listed, value=request.checkpoint)
        keep = [
            *(request.task, request.difficulty, request.seed),
            checkpoint if is_among(listed, request.checkpoint) else gr.skip(),
            *(request.temperature, request.sampling_seed),
        ]
    shown = show_group(lambda: group_of_members([finished.data], "the run from Watch"))
    return *shown, *keep, SOURCES[1], gr.Tabs(selected="inspect")


async def on_seven_more(request: gr.Request, finished: Finished | None):
    """Roll out seven more of the same puzzle, as a rollout alone has nothing to be compared with; it comes first."""
    if finished is None or finished.request is None:
        return
    asked = finished.request

    def says(words: str) -> tuple[Any, ...]:
        return gr.skip(), gr.skip(), words

    def rolled(_: Callable[[], bool]) -> Iterator[tuple[Any, ...]]:
        yield says(f"Rolling out {GROUP_SIZE - 1} more of this puzzle …")
        for progress in roll_out(asked, GROUP_SIZE):
            if progress.opened is None:
                yield says(progress.notice)
            else:
                *shown, trouble = show_group(lambda opened=progress.opened: SHELF.put(opened))
                whose = f"Rollout 1 is yours; {GROUP_SIZE - 1} more of the same puzzle stand beside it."
                yield *shown, trouble or whose

    async with aclosing(in_line("roll out", request, rolled, says, says)) as states:
        async for state in states:
            yield state


def on_to_watch(token: Any, event: gr.EventData) -> tuple[Any, ...]:
    """Show a rollout in the player, and its puzzle in the controls."""
    g = said(event, "g")
    try:
        opened = open_native(token, said(event, "p"))
    except MMReasonError:
        return KEEP
    if not isinstance(g, int) or not 0 <= g < len(opened.traces):
        return KEEP
    finished = finished_of(opened, g)
    _, value = Playback(opened.words, opened.sheet).update(opened.traces[g], "opened")
    problem = opened.problem
    if problem.seed is None or problem.difficulty not in DIFFICULTIES:
        puzzle = problem.task, gr.skip(), gr.skip(), *own_shown(json.dumps(dict(problem.spec)), is_open=False)
    else:
        puzzle = problem.task, problem.difficulty, problem.seed, *[gr.skip()] * 4, *come_from(SEEDED)
    return value, finished, "", gr.Tabs(selected="watch"), *puzzle


def connect_checkpoints(train: Train, watch: Watch, inspect: Inspect) -> None:
    """Offer what a visitor's runs have trained and sampled in the other tabs, as soon as it is there."""
    offered = [inspect.run, train.checkpoint, watch.checkpoint, inspect.checkpoint, inspect.left, inspect.right]
    train.trained.change(on_trained, [train.visitor, train.chosen, *offered], offered, **PRIVATE)


def connect_trained(tabs: gr.Tabs, train: Train, watch: Watch, inspect: Inspect) -> None:
    """Hand what a run has trained to Watch and to Inspect."""
    asked = [train.visitor, train.chosen]
    solved = [watch.checkpoint, tabs, watch.task, watch.difficulty, watch.seed, *watch.origins, watch.asked]
    named = {"fn": None, "inputs": None, "outputs": None, "js": NAME_TAB_JS}
    train.to_watch.click(on_watch_it, asked, solved, **PRIVATE).then(**named)
    train.to_inspect.click(on_inspect_it, asked, [inspect.source, inspect.run, tabs], **PRIVATE).then(
        on_run, inspect.run, [inspect.opened, inspect.group, inspect.notice], **PRIVATE
    ).then(**named)
    train.to_compare.click(on_compare_it, asked, [inspect.left, inspect.right, tabs], **PRIVATE).then(
        None, None, None, js=TO_COMPARE_JS
    ).then(**named)


def on_watch_it(visitor: Any, chosen: Any) -> tuple[Any, ...]:
    """Choose the last checkpoint of the run in Watch, and have it solve a puzzle of the kind it learnt from."""
    own, run = _checkpoints(visitor, chosen), find(chosen)
    shown = [gr.Dropdown(value=own[-1]) if own else gr.skip(), gr.Tabs(selected="watch")]
    if not own or run is None or run.settings.tasks[0] not in TASKS or public.usable(own[-1]):
        return *shown, *[gr.skip()] * 9
    task, difficulties = run.settings.tasks[0], run.settings.difficulties
    difficulty = max(difficulties, key=difficulties.__getitem__)
    wish = checked(task=task, difficulty=difficulty, seed=surprise(), checkpoint=own[-1])
    return *shown, task, difficulty, wish.seed, *come_from(SEEDED), wish


def on_inspect_it(visitor: Any, chosen: Any) -> tuple[Any, ...]:
    """Choose the newest group that the run has kept in Inspect."""
    samples = [name for _, name in run_samples(visitor, chosen) if name.startswith(f"run:{chosen}/")]
    return "Training run", (gr.Dropdown(value=samples[0]) if samples else gr.skip()), gr.Tabs(selected="inspect")


def on_compare_it(visitor: Any, chosen: Any) -> tuple[Any, ...]:
    """Choose both arms, or the start and what became of it, to be compared on one puzzle."""
    own, run = _checkpoints(visitor, chosen), find(chosen)
    if not own or run is None:
        return gr.skip(), gr.skip(), gr.skip()
    left = own[0] if len(own) > 1 else run.settings.checkpoint
    is_there = is_among(small_choices_of(visitor), left)
    return gr.Dropdown(value=left) if is_there else gr.skip(), gr.Dropdown(value=own[-1]), gr.Tabs(selected="inspect")


def _checkpoints(visitor: Any, chosen: Any) -> list[str]:
    """Names of the checkpoints of the visitor's own run."""
    run = find(chosen)
    return list(status_of(run).checkpoints.values()) if run is not None and run.is_of(visitor) else []


def on_trained(visitor: Any, chosen: Any, *values: Any) -> tuple[Any, ...]:
    """The samples and, five times, the checkpoints that can be chosen now; what is chosen stays if it is there still.

    ``values`` are those that are chosen, in the same order.
    """
    every, small, samples = choices_of(visitor), small_choices_of(visitor), run_samples(visitor, chosen)
    sample, start, watched, rolled, *compared = values
    in_tabs = ((every, start), (with_linked(every, watched), watched), (with_linked(every, rolled), rolled))
    listed = (*in_tabs, *((small, side) for side in compared))
    updates = (gr.Dropdown(choices=choices, **_instead(choices, name)) for choices, name in listed)
    return listed_runs(samples, **_instead(samples, sample)), *updates


def _instead(choices: list[Choice], name: Any) -> dict[str, Any]:
    """The value of a list whose chosen ``name`` is gone: its first; nothing where it is there."""
    return {} if is_among(choices, name) else {"value": choices[0][1] if choices else None}
