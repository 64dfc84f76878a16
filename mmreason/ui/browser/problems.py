"""Held-out puzzles for a browser to solve, each with what a finished one shows and answers.

Axes: H W canvas, C codes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from mmreason.records import ANSWER, DIFFICULTIES, NUM_CELLS, Problem, region_mask
from mmreason.rewards.advice import Codes, expected_solution
from mmreason.rewards.verify import Verifier
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import TASKS, make_problem, task_named
from mmreason.tasks.transform import COLOURS, FIRST_VALUE, PATTERN_BOX
from mmreason.ui.solve.playback import shown_problem

A_DIFFICULTY = 14  # puzzles of each difficulty of each task
WALKS = {"maze": ("floor", "trail", "agent", "agent_on_goal")}  # tasks whose finished picture is any shortest walk
ALONE = ("jigsaw",)  # tasks whose answer is right whatever the picture shows
MAX_COUNT = 16  # that an answer of several may say


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A problem, with the text that says how a browser is given it."""

    problem: Problem
    stored: dict[str, Any]


def puzzles(pipe: InterleavedReasoningPipeline, each: int = A_DIFFICULTY) -> list[Puzzle]:
    """``each`` distinct puzzles of every task and difficulty that the checkpoint knows, of the test split."""
    codes = Codes(pipe.sheet)
    return [
        Puzzle(problem, _stored(pipe, problem, codes))
        for task in pipe.vocabulary.known(TASKS)
        for difficulty in DIFFICULTIES
        for problem in _distinct(task, difficulty, each)
    ]


def cell_tables(pipe: InterleavedReasoningPipeline) -> dict[str, list[int]]:
    """By task, the drawing that each code shows, as its verifier sees it."""
    verifier, first = Verifier(pipe.words, pipe.sheet), pipe.first_code
    rest = -len(pipe.sheet) % NUM_CELLS  # a canvas is looked at whole
    codes = np.concatenate([np.arange(len(pipe.sheet)), np.zeros(rest, int)]).reshape(-1, NUM_CELLS) + first
    return {
        task: np.concatenate([verifier.shown(task, canvas).ravel() for canvas in codes])[: len(pipe.sheet)].tolist()
        for task in pipe.vocabulary.known(TASKS)
    }


def walk_cells() -> dict[str, dict[str, int]]:
    """By task of ``WALKS``, the ids of the drawings that a walk is made of."""
    return {task: {name: TASKS[task].cells.index(name) for name in names} for task, names in WALKS.items()}


def counted_cells() -> dict[str, dict[str, Any]]:
    """By task whose answer counts what the picture shows, finished or not: where, and the drawing of each word."""
    cells = np.flatnonzero(region_mask([PATTERN_BOX])).tolist()
    drawings = {colour: FIRST_VALUE + value for value, colour in enumerate(COLOURS, 1)}
    return {"transform": {"cells": cells, "empty": FIRST_VALUE, "drawings": drawings}}


def stand_ins(problems: Iterable[Problem]) -> dict[str, dict[int, list[int]]]:
    """By task and drawing, those that may stand where it was placed: a digit may look as if it had been given."""
    found: dict[str, dict[int, list[int]]] = {}
    for problem in problems:
        task, known = task_named(problem.task), found.setdefault(problem.task, {})
        final_HW = task.demonstrate(problem.spec).steps[-1].canvas
        for cell in np.flatnonzero(final_HW != problem.canvas).tolist():
            placed = int(final_HW.flat[cell])
            if placed not in known:
                others = (drawing for drawing in range(len(task.cells)) if drawing != placed)
                known[placed] = [
                    other for other in others if task.is_solved(problem.spec, _with(final_HW, cell, other))
                ]
    return found


def _with(canvas_HW: np.ndarray, cell: int, drawing: int) -> np.ndarray:
    changed_HW = canvas_HW.copy()
    changed_HW.flat[cell] = drawing
    return changed_HW


def _distinct(task: str, difficulty: str, wanted: int) -> Iterator[Problem]:
    seen: set[bytes] = set()
    for seed in count(1):
        if len(seen) == wanted:
            return
        problem = make_problem(task, difficulty, seed)
        if (shown := problem.canvas.tobytes()) not in seen:
            seen.add(shown)
            yield problem


def _stored(pipe: InterleavedReasoningPipeline, problem: Problem, codes: Codes) -> dict[str, Any]:
    task = task_named(problem.task)
    final_HW = task.demonstrate(problem.spec).steps[-1].canvas
    expected = expected_solution(problem, codes)
    assert expected is not None, "tasks with a vocabulary of their own demonstrate"
    return {
        "problem": shown_problem(problem),
        "prompt": pipe.vocabulary.prompt(problem),
        "canvas": _packed(pipe.encode_image(problem.image) - pipe.first_code),
        "expected": {
            "steps": [[step["thought"], _packed(step["codes"])] for step in expected["steps"]],
            "answer": expected["answer"],
        },
        "final": _packed(final_HW),
        "answers": _answers(problem, final_HW, expected["answer"]),
    }


def _packed(numbers: Any) -> str:
    """Numbers below 256, as base64 of a byte each."""
    return base64.b64encode(np.asarray(numbers, np.int64).astype(np.uint8).tobytes()).decode()


def _answers(problem: Problem, final_HW: np.ndarray, expected: str) -> list[str]:
    """Every answer that is right for the finished picture, the demonstration's first."""
    task = task_named(problem.task)
    several = [f"{ANSWER} {number} {word}" for number in range(MAX_COUNT + 1) for word in task.words]
    right = [said for said in several if task.check_answer(problem.spec, final_HW, said.split()[1:]).right]
    return list(dict.fromkeys([expected, *right]))
