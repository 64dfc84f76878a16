"""The events of the tab Cost: handlers' values laid out as updates of its components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from mmreason.errors import MMReasonError
from mmreason.ui import measuring, racing
from mmreason.ui.cost_formula import recompute
from mmreason.ui.cost_results import Results, read_results
from mmreason.ui.cost_words import arm_bars, bars_here, canvas_table, frontier_table, headline
from mmreason.ui.frontier import frontier_figure
from mmreason.ui.solving import LINE, place_in_line, sentence
from mmreason.ui.watch_events import AT_ONCE, CHANGING, PRIVATE, SOLVING

if TYPE_CHECKING:
    from mmreason.ui.cost import Cost

DEFAULT_GENERATIONS = 8


def connect(cost: Cost, blocks: gr.Blocks) -> None:
    """Connect all events of the tab."""
    c = cost
    blocks.load(on_arrive, None, [c.head, c.arms, c.frontier_title, c.frontier, c.table, c.canvases], **PRIVATE)
    measure_buttons = [c.measure, c.measure_stop]
    c.measure.click(on_measure_begin, None, [c.measure_says, *measure_buttons], **AT_ONCE)
    run = c.measure.click(on_measure, c.count, [c.measure_says, c.arms, *measure_buttons], **SOLVING)
    run.then(on_measure_idle, None, measure_buttons, **AT_ONCE)
    c.measure_stop.click(on_measure_stop, None, measure_buttons, **AT_ONCE)
    race_buttons = [c.race_start, c.race_stop]
    c.race_start.click(on_race_begin, None, [c.race_says, *race_buttons], **AT_ONCE)
    puzzle = [c.task, c.difficulty, c.seed, c.rival]
    run = c.race_start.click(on_race, puzzle, [c.race_says, c.race, *race_buttons], **SOLVING)
    run.then(on_race_idle, None, race_buttons, **AT_ONCE)
    c.race_stop.click(on_race_stop, None, race_buttons, **AT_ONCE)
    changed = [slider.change for slider in c.sliders] + [c.model.change]
    gr.on(changed, on_sizes, [*c.sliders, c.model], [c.formula_says, c.formula_bars], **CHANGING)
    blocks.unload(on_unload)


def measured_view(results: Results | None, why_not: str) -> tuple[Any, ...]:
    """Headline, bars, frontier's title, figure and table, and larger canvases; without results, why there are none."""
    if results is None:
        return [["lead", why_not]], None, [], None, None, None
    figure = frontier_figure(results)
    table = frontier_table(results.frontier, results) if results.frontier else None
    return headline(results), arm_bars(results), frontier_title(figure), figure, table, canvas_table(results)


def frontier_title(figure: Any) -> list[list[str]]:
    """What stands above the frontier, where there is one."""
    if figure is None:
        return []
    return [["title", "The frontier"], ["plain", "Success against FLOPs as the sampler takes more steps or is surer."]]


def on_arrive() -> tuple[Any, ...]:
    """The results as they are now."""
    head, arms, title, figure, *tables = measured_view(*read_results())
    return head, arms, title, gr.Plot(figure, visible=figure is not None), *tables


# Measure here


def on_measure_begin(request: gr.Request) -> tuple[Any, ...]:
    """Join the line."""
    return _waiting(LINE.join(_key(request, "measure"))), *_buttons(busy=True)


def on_measure(count: Any, request: gr.Request):
    """Measure, and show the bars of this machine beside the shipped ones."""
    results, _ = read_results()
    generations = results.num_generations if results else DEFAULT_GENERATIONS
    for state in measuring.measure_here(count, generations, _key(request, "measure")):
        bars = gr.skip()
        if state.rows is not None:
            bars = arm_bars(results, state.rows, generations) if results else bars_here(state.rows, generations)
        yield state.notice, bars, *_buttons(state.busy)


def on_measure_stop(request: gr.Request) -> tuple[Any, ...]:
    """End the measurement after the arm that runs."""
    LINE.stop(_key(request, "measure"))
    return gr.skip(), gr.Button(interactive=False)


def on_measure_idle(request: gr.Request) -> tuple[Any, ...]:
    """Leave the line, however the measurement ended."""
    LINE.forget(_key(request, "measure"))
    return _buttons(busy=LINE.is_busy(_key(request, "measure")))


# The race


def on_race_begin(request: gr.Request) -> tuple[Any, ...]:
    """Join the line."""
    return _waiting(LINE.join(_key(request, "race"))), *_buttons(busy=True)


def on_race(task: Any, difficulty: Any, seed: Any, rival: Any, request: gr.Request):
    """Run the race that the controls name."""
    for state in racing.race_live(task, difficulty, seed, rival, _key(request, "race")):
        yield state.notice, gr.skip() if state.value is None else state.value, *_buttons(state.busy)


def on_race_stop(request: gr.Request) -> tuple[Any, ...]:
    """End the race at its next step."""
    LINE.stop(_key(request, "race"))
    return gr.skip(), gr.Button(interactive=False)


def on_race_idle(request: gr.Request) -> tuple[Any, ...]:
    """Leave the line, however the race ended."""
    LINE.forget(_key(request, "race"))
    return _buttons(busy=LINE.is_busy(_key(request, "race")))


# The formula


def on_sizes(*values: Any) -> tuple[Any, Any]:
    """The formula for the sliders' sizes, or what is wrong with one of them."""
    *sizes, model = values
    results, _ = read_results()
    try:
        bars, words = recompute(tuple(sizes), model, results.workload if results else {})
    except MMReasonError as error:
        return [["against", sentence(error)]], gr.skip()
    return words, bars


def on_unload(request: gr.Request) -> None:
    """Leave the lines, and end what runs."""
    for what in ("measure", "race"):
        LINE.forget(_key(request, what))
        LINE.stop(_key(request, what))


def _key(request: gr.Request, what: str) -> str:
    return f"{request.session_hash} {what}"


def _waiting(ahead: int) -> str:
    return place_in_line(ahead).replace("your puzzle is solved", "yours starts")


def _buttons(busy: bool) -> tuple[Any, Any]:
    """Updates of the button that starts and the one that stops."""
    return gr.Button(interactive=not busy), gr.Button(interactive=busy)
