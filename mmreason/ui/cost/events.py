"""The events of the tab Cost: handlers' values laid out as updates of its components."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mmreason import limits
from mmreason.analysis.cost.results import Results, read_results
from mmreason.errors import MMReasonError
from mmreason.ui.cost import measuring, racing
from mmreason.ui.cost.formula import recompute
from mmreason.ui.cost.frontier import frontier_chart
from mmreason.ui.cost.words import arm_bars, bars_here, canvas_table, cheapest, frontier_table, headline
from mmreason.ui.shell.events import AS_TYPED, AT_ONCE, CHANGING, HEAVY, PRIVATE
from mmreason.ui.shell.field import at_field
from mmreason.ui.shell.parts import Parts
from mmreason.ui.shell.words import sentence
from mmreason.ui.solve.line import LINE, in_line

DEFAULT_GENERATIONS = 8
SEED = {"seed": "cost-seed"}  # what a reason calls the field, and its id


@dataclass(slots=True)
class Cost(Parts):
    """The components of the tab, by name; ``sliders`` in the order of ``formula.sliders``."""

    sliders: list[Any]


def connect(cost: Cost, blocks: gr.Blocks, tab: gr.Tab) -> None:
    """Connect all events of ``tab``."""
    c = cost
    tab.select(on_arrive, c.arms, [c.title, c.head, c.arms, c.frontier, c.table, c.canvases], **PRIVATE)
    measure_buttons = [c.measure, c.measure_stop]
    run = c.measure.click(on_measure, c.count, [c.measure_says, c.arms, *measure_buttons], **HEAVY)
    run.then(on_measure_idle, None, measure_buttons, **AT_ONCE)
    c.measure_stop.click(on_measure_stop, None, [c.measure_says, *measure_buttons], **AT_ONCE)
    race_buttons = [c.race_start, c.race_stop]
    puzzle = [c.task, c.difficulty, c.seed, c.rival]
    c.seed.change(on_race_typed, c.seed, [c.race_says, c.race_start], **CHANGING, **AS_TYPED)
    run = c.race_start.click(on_race, puzzle, [c.race_says, c.race, *race_buttons], **HEAVY)
    run.then(on_race_idle, None, race_buttons, **AT_ONCE)
    c.race_stop.click(on_race_stop, None, race_buttons, **AT_ONCE)
    changed = [slider.change for slider in c.sliders] + [c.model.change]
    gr.on(changed, on_sizes, [*c.sliders, c.model], [c.formula_says, c.sizes], **CHANGING)
    blocks.unload(on_unload)


def measured_view(results: Results | None, why_not: str) -> tuple[Any, ...]:
    """Title, headline, bars, frontier as a figure and a table, and larger canvases; without results, the reason."""
    if results is None:
        return [], [["lead", why_not]], None, None, None, None
    found = frontier_chart(results)
    frontier = None if found is None else {"charts": [found]}
    table = frontier_table(results.frontier, results) if results.frontier else None
    return cheapest(results), headline(results), arm_bars(results), frontier, table, canvas_table(results)


def on_arrive(arms: Any) -> tuple[Any, ...]:
    """The results as they are now; the bars stay where there are any, as some may have been measured here."""
    title, head, shipped, *others = measured_view(*read_results())
    return title, head, gr.skip() if arms else shipped, *others


# Measure here


async def on_measure(count: Any, request: gr.Request):
    """Measure, and show this machine's bars next to the shipped ones."""
    async with aclosing(
        in_line("measure", request, lambda is_stopped: _measured(count, is_stopped), *_SAYS)
    ) as states:
        async for state in states:
            yield state


def _measured(count: Any, is_stopped: Any) -> Iterator[tuple[Any, ...]]:
    results, _ = read_results()
    generations = results.num_generations if results else DEFAULT_GENERATIONS
    for state in measuring.measure_here(count, generations, is_stopped):
        bars = gr.skip()
        if state.rows is not None:
            bars = arm_bars(results, state.rows, generations) if results else bars_here(state.rows, generations)
        yield state.notice, bars, *_buttons(state.busy)


def on_measure_stop(request: gr.Request) -> tuple[Any, ...]:
    """End the measurement after the arm that runs, and say that this is being done."""
    session = str(request.session_hash)
    says = "Stopping …" if LINE.is_busy(session, "measure") else gr.skip()
    LINE.stop(session, "measure")
    return says, gr.skip(), gr.Button(interactive=False)


def on_measure_idle(request: gr.Request) -> tuple[Any, ...]:
    """Free the buttons, however the measurement ended."""
    return _buttons(busy=LINE.is_busy(str(request.session_hash), "measure"))


# The race


def on_race_typed(seed: Any, request: gr.Request) -> tuple[Any, Any]:
    """Say at once at its field what is wrong with the seed, and take it back when it is right."""
    if LINE.is_busy(str(request.session_hash), "race"):
        return gr.skip(), gr.skip()
    try:
        limits.SEED.check(seed, "seed")
    except MMReasonError as error:
        return at_field(sentence(error), SEED), gr.Button(interactive=False)
    return "", gr.Button(interactive=True)


async def on_race(task: Any, difficulty: Any, seed: Any, rival: Any, request: gr.Request):
    """Run the race that the controls name."""

    def raced(is_stopped: Any) -> Iterator[tuple[Any, ...]]:
        for state in racing.race_live(task, difficulty, seed, rival, is_stopped):
            # of the race before nothing is left to be taken for the one that runs
            shown = None if state.busy else state.value or racing.bundled_race()
            yield state.notice, shown, *_buttons(state.busy)

    async with aclosing(in_line("race", request, raced, *_SAYS)) as states:
        async for state in states:
            yield state


def on_race_stop(request: gr.Request) -> tuple[Any, ...]:
    """End the race at its next step."""
    LINE.stop(str(request.session_hash), "race")
    return gr.skip(), gr.Button(interactive=False)


def on_race_idle(request: gr.Request) -> tuple[Any, ...]:
    """Free the buttons, however the race ended."""
    return _buttons(busy=LINE.is_busy(str(request.session_hash), "race"))


# The formula


def on_sizes(*values: Any) -> tuple[Any, Any]:
    """The formula for the sliders' sizes, or what is wrong with one of them."""
    *sizes, model = values
    results, _ = read_results()
    try:
        chart, words = recompute(tuple(sizes), model, results.workload if results else {})
    except MMReasonError as error:
        return [["against", sentence(error)]], gr.skip()
    return words, {"charts": [chart]}


def on_unload(request: gr.Request) -> None:
    """Whatever heavy work the visitor has is off."""
    LINE.stop(str(request.session_hash))


def _buttons(busy: bool) -> tuple[Any, Any]:
    """Updates of the button that starts and the one that stops."""
    return gr.Button(interactive=not busy), gr.Button(interactive=busy)


def _says(busy: bool) -> Any:
    return lambda words: (at_field(words, SEED), gr.skip(), *_buttons(busy))


_SAYS = (_says(busy=True), _says(busy=False))  # to who waits, and to who is refused
