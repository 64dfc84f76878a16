"""What the tab Watch does: plain functions, values in and values out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from mmreason import places
from mmreason.analysis.results_file import stored_or_none
from mmreason.errors import MMReasonError, TraceError
from mmreason.records import DIFFICULTIES
from mmreason.tasks import TASKS, make_problem, problem_from_json
from mmreason.traces.file import webp_url
from mmreason.traces.sheet import load_with_sheet, sheet_pixels
from mmreason.ui.host import checkpoints
from mmreason.ui.shell.field import at_field
from mmreason.ui.shell.words import sentence
from mmreason.ui.solve import solving
from mmreason.ui.solve.playback import value_of_file
from mmreason.ui.solve.request import SolveRequest, checked, is_link, link_query, parse_puzzle, read_link
from mmreason.ui.solve.solving import Finished, Shown
from mmreason.ui.solve.worker import WORKER
from mmreason.ui.watch import daily, own

CONTROLS = (
    *("task", "difficulty", "seed"),
    *("checkpoint", "temperature", "num_steps", "region", "threshold", "sampling_seed"),
)
SEEDED, TODAY, OWN = "seeded", "today", "own"  # where the puzzle that is shown comes from
SHOWN = (*CONTROLS, "origin", "kind", "board", "text")
MOSTLY = 0.5  # share of solved puzzles from which on a difficulty is offered by itself

CALLED = {  # what a reason calls a field, and the field's id
    **{name: name for name in ("seed", "temperature", "threshold", "region")},
    "steps per segment": "num-steps",
    "sampling seed": "sampling-seed",
}


def on_board(*values: Any) -> SolveRequest:
    """What the player shows, by the values of ``SHOWN``, to be solved; raises ConfigError or ProblemError."""
    settings = dict(zip(SHOWN, values, strict=True))
    origin, *puzzle = (settings.pop(name) for name in ("origin", "kind", "board", "text"))
    if origin == OWN:
        problem = problem_from_json(own.own_puzzle(*puzzle))
        settings |= {"task": problem.task, "own": problem.spec}
    return checked(**settings)


async def solve_shown(*values: Any, session: str, address: str | None = None) -> AsyncGenerator[Shown, None]:
    """Solve the puzzle that is shown: that of the controls, or the visitor's own."""
    try:
        request = await asyncio.to_thread(on_board, *values)
    except MMReasonError as error:
        WORKER.forget(session)
        yield Shown(notice=sentence(error), busy=False)
        return
    async with aclosing(solving.solve(request, session, address=address)) as states:
        async for state in states:
            yield state


def retry(finished: Finished | None) -> SolveRequest | None:
    """The request of the last run again, with another sampling seed."""
    if finished is None or finished.request is None:
        return None
    request = finished.request
    return replace(request, sampling_seed=solving.other_seed(request.sampling_seed))


def daily_result(finished: Finished | None) -> dict[str, Any] | None:
    """The row of today's puzzle and its link, or None if the run was of another or did not end."""
    day = daily.today()
    if finished is None or not finished.data["end_reason"] or not daily.is_daily(finished.request, day):
        return None
    assert finished.request is not None
    told = daily.answers(finished.data, finished.request)
    return {"row": daily.result_row(finished.data, day), "link": f"?{daily.LINK}=today", "day": day.isoformat()} | told


def open_link(params: dict[str, str]) -> tuple[SolveRequest | None, str, bool]:
    """The request of a link, what to tell the visitor, and whether to solve at once."""
    if not is_link(params):
        return None, "", False
    try:
        request = read_link(params)
    except MMReasonError as error:
        return None, f"This link cannot be followed: {error}.", False
    found = checkpoints.find_checkpoint(request.checkpoint, request.checkpoint_hash)
    if found is not None:
        return replace(request, checkpoint=found), "", True
    names = checkpoints.checkpoint_names()
    wanted = f"{request.checkpoint[:40]} ({(request.checkpoint_hash or 'any weights')[:12]})"
    if not names:
        return None, f"This link was made with the checkpoint {wanted}; there is no checkpoint here.", False
    instead = request.checkpoint if request.checkpoint in names else names[0]
    filled_in = "Its puzzle is set up" if request.own else "The controls are filled in"
    return (
        replace(request, checkpoint=instead, checkpoint_hash=None),
        f"This link was made with the checkpoint {wanted}, which is no longer here. "
        f"{filled_in}; “Solve” uses {instead} as it is now, so the solution may differ.",
        False,
    )


def preview_link(wish: SolveRequest) -> Any:
    """The player's value for a link's puzzle, or None."""
    try:
        return solving.preview(wish.problem(), wish.checkpoint)
    except MMReasonError:
        return None


def preview_controls(task: str, difficulty: str, seed: Any, checkpoint: Any) -> tuple[Any, str]:
    """The player's value for the puzzle that the controls name, or None, and a notice of what is of no field."""
    try:
        request = checked(task=task, difficulty=difficulty, seed=seed, checkpoint=fitting(checkpoint, task))
        return solving.preview(request.problem(), request.checkpoint), ""
    except MMReasonError as error:
        wrong = at_field(sentence(error), CALLED)
        return None, wrong if isinstance(wrong, str) else ""


def fitting(checkpoint: Any, task: Any) -> Any:
    """The chosen checkpoint if it knows ``task``, else the first that does, else the chosen one."""
    names = [str(checkpoint), *checkpoints.checkpoint_names()]
    return next((name for name in names if task in checkpoints.tasks_of(name)), checkpoint)


def task_for(checkpoint: Any, task: str) -> str:
    """``task`` if the chosen checkpoint knows it, else the first that it knows."""
    known = checkpoints.tasks_of(str(checkpoint))
    return task if task in known or not known else known[0]


def check_controls(*values: Any) -> str | dict[str, str]:
    """What is wrong with the controls' values, at its field, or nothing."""
    try:
        checked(**dict(zip(CONTROLS, values, strict=True)))
    except MMReasonError as error:
        return at_field(sentence(error), CALLED)
    return ""


def is_ready(*values: Any) -> bool:
    """Can what the values of ``SHOWN`` say be solved?"""
    try:
        on_board(*values)
    except MMReasonError:
        return False
    return True


def check_own(kind: str, board: Any, text: str, checkpoint: Any) -> tuple[Any, str]:
    """The player's value for the visitor's puzzle, or None; and a sentence that says whether it can be solved."""
    problem, says = own.check(kind, board, text)
    seen = problem or own.as_it_stands(kind, board)
    if seen is None:
        return None, says
    try:
        return solving.preview(seen, str(checkpoint)), says
    except MMReasonError:
        return None, says


def example_value() -> tuple[dict[str, Any] | None, Finished | None]:
    """The bundled trace that plays on arrival, as the player's value and as a finished run."""
    return next(example_values(), (None, None))


def example_values() -> Iterator[tuple[dict[str, Any], Finished]]:
    """The same of every bundled trace that is whole."""
    for data in example_traces():
        with contextlib.suppress(MMReasonError, KeyError, TypeError):
            yield _example(data)


def _example(data: dict[str, Any]) -> tuple[dict[str, Any], Finished]:
    origin, settings = data["problem"], data["settings"]
    known = {name: origin[name] for name in ("difficulty", "seed", "split", "index")}
    problem = replace(problem_from_json(origin["spec"]), **known)
    request = checked(
        task=problem.task,
        difficulty=problem.difficulty,
        seed=problem.seed,
        sampling_seed=settings["seed"],
        **{name: settings[name] for name in ("checkpoint", "temperature", "num_steps", "region", "threshold")},
    )
    value = value_of_file(data, problem) | {"link": link_query(request, settings["checkpoint_hash"])}
    plain = {key: part for key, part in data.items() if key != "sheet"}
    return value, Finished(plain, sheet_pixels(data["sheet"]), request, is_example=True)


def filled(wish: SolveRequest) -> list[Any]:
    """The controls' values in the order of ``CONTROLS``; None leaves one as it is."""
    own_names = ("difficulty", "seed") if wish.own is not None else ()
    values = [None if name in own_names else getattr(wish, name) for name in CONTROLS]
    return [value if name != "threshold" else value or 0 for name, value in zip(CONTROLS, values, strict=True)]


def own_filled(puzzle: str) -> tuple[str, Any, str | None]:
    """Kind, board and text that show a visitor's puzzle, given as JSON; None leaves a part as it is."""
    data = parse_puzzle(puzzle)
    if data.get("task") in own.BOARDS:
        return str(data["task"]), own.on_board(data), None
    return own.JSON, None, puzzle


def expect(checkpoint: Any, difficulty: str, task: str, origin: str = SEEDED) -> str:
    """What to expect of the checkpoint here, in words; of a visitor's own puzzle, that it has no difficulty."""
    return own.UNDRAWN if origin == OWN else expected_success(str(checkpoint), difficulty, task)


def thumbnails() -> list[list[str]]:
    """Name, small picture and label of each task that a checkpoint here knows; of all where there is none.

    One of the Hub may know any of them: it is not fetched to find out.
    """
    names = [] if checkpoints.hub_names() else checkpoints.checkpoint_names()
    known = {task for name in names for task in checkpoints.tasks_of(name)} or set(TASKS)
    return [
        [name, webp_url(make_problem(name, "easy", 1).image[::2, ::2]), task.label]
        for name, task in TASKS.items()
        if name in known
    ]


def solved_share(checkpoint: str, difficulty: str, task: str) -> float | None:
    """The share of such puzzles that the checkpoint solved when it was measured, as its card has it, if it was."""
    try:
        results = stored_or_none("evaluate") or {}
        return float(results[checkpoint]["by_difficulty"][difficulty]["success"][task])
    except (ValueError, KeyError, TypeError):
        return None


def fitting_difficulty(checkpoint: str, difficulty: str, task: str) -> str:
    """The chosen difficulty where the checkpoint solves most such puzzles, else the hardest at which it does."""
    shares: dict[str, float | None] = {name: solved_share(checkpoint, name, task) for name in DIFFICULTIES}
    if (share := shares.get(difficulty)) is None or share >= MOSTLY:
        return difficulty
    return next((name for name in reversed(DIFFICULTIES) if (shares[name] or 0) >= MOSTLY), difficulty)


def expected_success(checkpoint: str, difficulty: str, task: str) -> str:
    """What to expect, in words, from the results file; empty where nothing is known."""
    share = share_words(checkpoint, difficulty, task)
    return f"{checkpoint} solves {share} {difficulty} {TASKS[task].several}" if share else ""


def share_words(checkpoint: str, difficulty: str, task: str) -> str:
    """The share of such puzzles that it solves, in words; empty where nothing is known."""
    rate = solved_share(checkpoint, difficulty, task)
    if rate is None:
        return ""
    return "hardly any" if rate <= 0.05 else "nearly all" if rate >= 0.95 else f"about {int(10 * rate + 0.5)} in 10"


def example_traces() -> list[dict[str, Any]]:
    """The bundled finished traces, the one that plays on arrival first."""
    examples = []
    for path in sorted((places.ASSETS / "examples").glob("*.json")):
        try:
            examples.append(load_with_sheet(path))
        except TraceError as error:
            logging.getLogger(__name__).warning("example %s cannot be opened: %s", path, error)
    return sorted(examples, key=lambda example: example["problem"]["task"] != "maze")
