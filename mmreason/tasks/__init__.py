"""The tasks, and problems drawn from them or read from a file."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from mmreason.disk import one_line
from mmreason.errors import ConfigError, MMReasonError, ProblemError, TaskError
from mmreason.handed import Handed
from mmreason.records import DIFFICULTIES, GRID, SPLITS, Difficulty, Problem, Split
from mmreason.seeds import MAX_SEED, numpy_generator
from mmreason.tasks.atlas import Atlas
from mmreason.tasks.chart_refocus import ChartRefocus
from mmreason.tasks.jigsaw import Jigsaw
from mmreason.tasks.maze import Maze
from mmreason.tasks.sudoku import Sudoku
from mmreason.tasks.task import NO_HINT, Demonstration, Spec, Task
from mmreason.tasks.transform import Transform
from mmreason.tasks.visual_search import VisualSearch

TASKS: dict[str, Task] = {
    task.name: task for task in (Maze(), Jigsaw(), Sudoku(), Transform(), VisualSearch(), ChartRefocus())
}
FIRST_TASKS = ("maze", "jigsaw", "sudoku", "transform")  # of the shipped checkpoints, in the order of their tokens

HANDED = Handed("problem file", 64 * 2**10, ProblemError)
_MAX_DRAWS = 10_000


@cache
def atlas() -> Atlas:
    """The sheet of the cell drawings of all tasks, made once; later tasks come last."""
    return Atlas.of(list(TASKS.values()))


@cache
def atlas_for(task: str) -> Atlas:
    """The sheet in which cells of ``task`` are recognised: that of the first tasks, and its own drawings.

    What a decoded cell shows must not depend on which other tasks somebody has added.
    """
    return Atlas.of([TASKS[name] for name in dict.fromkeys((*FIRST_TASKS, task))])


def register(task: Task) -> None:
    """Make ``task`` known to all that draws, solves, trains, measures and shows problems, after the others."""
    TASKS[task.name] = task
    atlas.cache_clear()
    atlas_for.cache_clear()


def task_named(name: str) -> Task:
    """The task called ``name``; raises ConfigError if there is none."""
    if name not in TASKS:
        raise ConfigError(f"task must be one of {', '.join(TASKS)}, got {str(name)[:40]!r}")
    return TASKS[name]


def split_of(task: str, canvas_HW: np.ndarray, prompt: str = "") -> Split:
    """The split that a problem belongs to: a hash of what is drawn and asked, 80 % train and 10 % of each other."""
    content = task.encode() + np.ascontiguousarray(canvas_HW, dtype=np.int16).tobytes() + prompt.encode()
    share = int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "big") % 10
    return "test" if share == 0 else "validation" if share == 1 else "train"


def split_of_problem(problem: Problem) -> Split:
    """The split that ``problem`` belongs to, whoever made it."""
    own = task_named(problem.task).own_split(problem.spec)
    return own or split_of(problem.task, problem.canvas, problem.prompt)


def make_problem(
    task: str, difficulty: Difficulty | str, seed: int, split: Split | str = "test", index: int = 0
) -> Problem:
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
    with blamed_on(maker):
        for _ in range(_MAX_DRAWS):
            spec = maker.draw(cast(Difficulty, difficulty), cast(Split, split), seed, index, rng)
            if spec is None:
                continue
            problem = _problem(maker, spec, difficulty=difficulty, seed=seed, split=split, index=index)
            if split_of_problem(problem) == split:
                return problem
    raise TaskError(f"the task {task} gave no {difficulty} problem of the {split} split in {_MAX_DRAWS} draws")


def num_hints(tasks: Iterable[str] = FIRST_TASKS) -> int:
    """How many labels the hints of ``tasks`` have together."""
    return sum(TASKS[task].num_hints for task in tasks)


def hint_labels(name: str, spec: Spec, tasks: Iterable[str] = FIRST_TASKS) -> np.ndarray:
    """The (H, W) hints of a problem as labels that no other task's hints have, ``NO_HINT`` elsewhere.

    ``tasks`` are those of the checkpoint in their order, in which the labels follow one another; raises ConfigError
    where one before ``name`` is not here, so that its number of labels is not known.
    """
    hints_HW = TASKS[name].hints(spec)
    before = list(itertools.takewhile(lambda other: other != name, tasks))
    for other in before:
        task_named(other)
    return np.where(hints_HW == NO_HINT, NO_HINT, hints_HW + num_hints(before))


@contextlib.contextmanager
def blamed_on(task: Task) -> Iterator[None]:
    """Whatever ``task`` fails with meanwhile is a TaskError that names it; errors of ours stay what they are."""
    try:
        yield
    except MMReasonError:
        raise
    except (Exception, SystemExit) as error:  # a task of the user's may fail in any way
        raise TaskError(f"the task {task.name} failed: {type(error).__name__}: {one_line(str(error), 200)}") from error


def demonstrated(task: str, spec: Spec) -> Demonstration:
    """The canonical solution that ``task`` shows; raises TaskError where it fails."""
    with blamed_on(TASKS[task]):
        return TASKS[task].demonstrate(spec)


def picture_of(task: str, canvas_HW: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8: a canvas of ``task`` with its cells drawn, or the picture that it is."""
    image = TASKS[task].image(canvas_HW)
    return atlas().draw(task, canvas_HW) if image is None else image


def finer_picture(task: str, spec: Spec, canvas_HW: np.ndarray, side: int) -> np.ndarray | None:
    """(side, side, 3) uint8: a canvas of ``task`` as it draws it there itself; None where it does not."""
    return TASKS[task].drawn_of(spec, canvas_HW, side // GRID) if task in TASKS else None


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
    with blamed_on(maker):
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
        image=picture_of(maker.name, canvas_HW),
        question=maker.asked(spec),
        turns=maker.turns_needed(spec),
        prompt=maker.prompt(spec),
        **origin,
    )
