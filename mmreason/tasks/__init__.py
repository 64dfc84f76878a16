"""The tasks, and problems drawn from them or read from a file."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mmreason.errors import ConfigError, ProblemError
from mmreason.handed import Handed
from mmreason.records import DIFFICULTIES, SPLITS, Problem
from mmreason.seeds import MAX_SEED, numpy_generator
from mmreason.tasks.atlas import Atlas
from mmreason.tasks.jigsaw import Jigsaw
from mmreason.tasks.maze import Maze
from mmreason.tasks.sudoku import Sudoku
from mmreason.tasks.task import NO_HINT, Spec, Task
from mmreason.tasks.transform import Transform

TASKS: dict[str, Task] = {task.name: task for task in (Maze(), Jigsaw(), Sudoku(), Transform())}

HANDED = Handed("problem file", 64 * 2**10, ProblemError)
_MAX_DRAWS = 10_000


@cache
def atlas() -> Atlas:
    """The sheet of all cell drawings, made once."""
    return Atlas.of(list(TASKS.values()))


def task_named(name: str) -> Task:
    """The task called ``name``; raises ConfigError if there is none."""
    if name not in TASKS:
        raise ConfigError(f"task must be one of {', '.join(TASKS)}, got {str(name)[:40]!r}")
    return TASKS[name]


def split_of(task: str, canvas_HW: np.ndarray) -> str:
    """The split that a problem belongs to: a hash of what is drawn, 80 % train and 10 % each of the others."""
    content = task.encode() + np.ascontiguousarray(canvas_HW, dtype=np.int16).tobytes()
    share = int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "big") % 10
    return "test" if share == 0 else "validation" if share == 1 else "train"


def make_problem(task: str, difficulty: str, seed: int, split: str = "test", index: int = 0) -> Problem:
    """The problem that is a pure function of (task, difficulty, seed, split, index)."""
    maker = task_named(task)
    if difficulty not in DIFFICULTIES:
        raise ConfigError(f"difficulty must be one of {', '.join(DIFFICULTIES)}, got {str(difficulty)[:40]!r}")
    if split not in SPLITS:
        raise ConfigError(f"split must be one of {', '.join(SPLITS)}, got {str(split)[:40]!r}")
    for name, number in (("seed", seed), ("index", index)):
        if not 0 <= number <= MAX_SEED:
            raise ConfigError(f"{name} must be from 0 to {MAX_SEED}, got {number}")
    rng = numpy_generator(task, difficulty, seed, split, index)
    for _ in range(_MAX_DRAWS):
        spec = maker.generate(difficulty, rng)
        if spec is None:
            continue
        problem = _problem(maker, spec, difficulty=difficulty, seed=seed, split=split, index=index)
        if split_of(task, problem.canvas) == split:
            return problem
    raise AssertionError(f"no {difficulty} {task} found in {_MAX_DRAWS} draws")


def num_hints() -> int:
    """How many labels the hints of all tasks have together."""
    return sum(task.num_hints for task in TASKS.values())


def hint_labels(name: str, spec: Spec) -> np.ndarray:
    """The (H, W) hints of a problem as labels that no other task's hints have, ``NO_HINT`` elsewhere.

    Tasks follow one another in the order of ``TASKS``, so that a new one leaves the labels of the others alone.
    """
    before = itertools.takewhile(lambda other: other != name, TASKS)
    hints_HW = TASKS[name].hints(spec)
    return np.where(hints_HW == NO_HINT, NO_HINT, hints_HW + sum(TASKS[other].num_hints for other in before))


def problem_from_json(data: Any) -> Problem:
    """A user's problem; raises ProblemError with one sentence that says why it is refused."""
    if not isinstance(data, Mapping):
        raise ProblemError(f"a problem must be a JSON object with a 'task', got {type(data).__name__}")
    name = data.get("task")
    if not isinstance(name, str) or name not in TASKS:
        got = repr(name[:40]) if isinstance(name, str) else f"a {type(name).__name__}"
        got = got if "task" in data else "nothing"
        raise ProblemError(f"'task' must be one of {', '.join(TASKS)}, got {got}")
    maker = TASKS[name]
    return _problem(maker, maker.parse(data))


def load_problem(path: str | Path) -> Problem:
    """Read a problem file, or standard input for ``-``: one JSON object; raises ProblemError."""
    return problem_from_json(HANDED.load(path))


def _problem(maker: Task, spec: Spec, **origin: Any) -> Problem:
    canvas_HW = maker.canvas(spec)
    return Problem(
        task=maker.name,
        spec=spec,
        canvas=canvas_HW,
        image=atlas().draw(maker.name, canvas_HW),
        question=maker.question,
        turns=maker.turns_needed(spec),
        **origin,
    )
