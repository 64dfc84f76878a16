"""The page's actions for programs: named endpoints with types; every wrong value is answered in one sentence.

Gradio reads the types off the functions, so that they stand here as objects, not as text.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from mmreason.analysis.review import review_all
from mmreason.errors import MMReasonError
from mmreason.records import Difficulty
from mmreason.tasks import TASKS
from mmreason.traces.file import png_url
from mmreason.traces.group import parse_group
from mmreason.traces.versions.ours import two_of
from mmreason.ui import health as healthy
from mmreason.ui.host.visitor import address_of
from mmreason.ui.shell.words import OUR_FAULT, sentence
from mmreason.ui.solve import solving
from mmreason.ui.solve.request import SolveRequest, checked, link_query, parse_puzzle
from mmreason.ui.watch import daily as daily_puzzles

if TYPE_CHECKING:
    Task = str
else:  # gradio reads the names off this, for the page that documents the endpoints
    Task = Literal[tuple(TASKS)]
Region = Literal["stated", "full", "confidence"]

MAX_TRACE_CHARS = 8 * 1024 * 1024


async def solve(
    request: gr.Request,
    task: Task = "maze",
    difficulty: Difficulty = "medium",
    seed: int = 7,
    puzzle: str = "",
    checkpoint: str = "base",
    temperature: float = 1.0,
    num_steps: int = 4,
    region: Region = "stated",
    threshold: float = 0.0,
    sampling_seed: int = 0,
) -> AsyncGenerator[dict[str, Any], None]:
    """Solve a puzzle; yields progress and finally the trace.

    task: one of those that the page shows; difficulty: easy, medium or hard; seed: 0 to 9007199254740991.
    puzzle: your own puzzle as JSON, in place of the three before.
    temperature: 0 (greedy) or 0.01 to 2; num_steps: 1 to 64; region: stated, full or confidence;
    threshold: 0 (off) to 1; sampling_seed: 0 to 9007199254740991.
    Returns {"state", "committed", "ahead", "trace"}: the content of a trace file (version 2), at the end only.
    """
    asked = await asyncio.to_thread(
        _told,
        lambda: _request(
            task, difficulty, seed, puzzle, checkpoint, temperature, num_steps, region, threshold, sampling_seed
        ),
    )
    session = f"api {request.session_hash or id(request)}"
    async with aclosing(solving.solve(asked, session, address=address_of(request))) as states:
        async for state in states:
            yield _progress(state)


def _request(task, difficulty, seed, puzzle, checkpoint, temperature, num_steps, region, threshold, sampling_seed):
    own = None if puzzle in (None, "") else parse_puzzle(str(puzzle))
    request = checked(
        task=task if own is None else str(own.get("task")),
        difficulty=difficulty,
        seed=seed,
        own=own,
        checkpoint=checkpoint,
        temperature=temperature,
        num_steps=num_steps,
        region=region,
        threshold=threshold,
        sampling_seed=sampling_seed,
    )
    request.problem()
    return request


def _progress(state: solving.Shown) -> dict[str, Any]:
    if state.finished is not None:
        data = state.finished.data
        ended = "finished" if data["end_reason"] else "stopped"
        return {"state": ended, "committed": _committed(data["segments"]), "ahead": "", "trace": two_of([data])}
    if not state.busy:
        raise gr.Error(state.notice or OUR_FAULT, print_exception=False)
    segments = state.value["segments"] if state.value else []
    says = state.notice or ""
    return {
        "state": "running" if segments else "waiting",
        "committed": _committed(segments),
        "ahead": says,
        "trace": None,
    }


def _committed(segments: list[dict[str, Any]]) -> int:
    return sum(len(frame["committed"]) for segment in segments for frame in segment["frames"])


def preview(task: Task = "maze", difficulty: Difficulty = "medium", seed: int = 7, puzzle: str = "") -> dict[str, Any]:
    """A puzzle without its solution: {"task", "question", "turns", "spec", "image"}, the image as PNG data URL."""
    request = _told(lambda: _request(task, difficulty, seed, puzzle, "base", 1, 4, "stated", 0, 0))
    problem = request.problem()
    return {
        "task": problem.task,
        "question": problem.question,
        "turns": problem.turns,
        "spec": problem.plain_spec,
        "image": png_url(problem.image),
    }


def inspect_trace(trace: str) -> dict[str, Any]:
    """Check a trace file's content, given as JSON text, and score it again: {"valid", "problems_found", "rewards"}."""
    if not isinstance(trace, str) or len(trace) > MAX_TRACE_CHARS:
        raise gr.Error(f"Trace must be JSON text of at most {MAX_TRACE_CHARS} characters.", print_exception=False)
    return _told(lambda: review_all(parse_group(trace)))


def daily(date: str = "") -> dict[str, Any]:
    """The puzzle of a day (YYYY-MM-DD; today, by UTC, if empty): {"date", "task", "difficulty", "seed", "link"}."""
    puzzle = _told(lambda: daily_puzzles.daily_puzzle(daily_puzzles.parse_day(date)))
    asked: SolveRequest = puzzle.request
    return {
        "date": puzzle.day.isoformat(),
        "task": asked.task,
        "difficulty": asked.difficulty,
        "seed": asked.seed,
        "link": link_query(asked, ""),
    }


def health() -> dict[str, Any]:
    """What runs here: {"status", "versions", "checkpoints", "solves", "uptime_seconds"}."""
    return _told(healthy.health)


def _told(work: Callable[[], Any]) -> Any:
    """What ``work`` gives; raises gr.Error with a sentence, and no details of what is our own fault."""
    try:
        return work()
    except MMReasonError as error:
        raise gr.Error(sentence(error), print_exception=False) from None
    except Exception:
        logging.getLogger(__name__).exception("an endpoint failed")
        raise gr.Error(OUR_FAULT, print_exception=False) from None


ENDPOINTS = {"solve": solve, "preview": preview, "inspect": inspect_trace, "daily": daily, "health": health}


def connect_api() -> None:
    """Open the endpoints; to be called inside the page's blocks."""
    for name, run in ENDPOINTS.items():
        line = {"concurrency_id": "api-solve", "concurrency_limit": None} if run is solve else {}
        gr.api(run, api_name=name, **line)
