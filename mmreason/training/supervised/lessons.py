"""Demonstrations as views of a public checkpoint: noisy copies of every text and edit, and what belongs there.

Axes: K slots of a view, H W rows and columns of codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mmreason.backbones.backbone import Snapshot
from mmreason.disk import one_line
from mmreason.errors import ConfigError, TaskError
from mmreason.layouts.layout import State
from mmreason.layouts.view import View
from mmreason.records import Problem
from mmreason.sampling.views.canvas import puzzle_at, start_canvas
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.sampling.views.region import boxes_in
from mmreason.sampling.views.rollout import Unit, asked, plain_thought
from mmreason.seeds import numpy_generator
from mmreason.tasks import TASKS, demonstrated, picture_of
from mmreason.tasks.dataset.task import DataTask
from mmreason.training.supervised.config import LessonsConfig
from mmreason.training.supervised.corpus import drawn


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What the model is shown for a segment of a demonstration, or a joint turn, and what belongs in its slots."""

    unit: Unit
    view: View
    target_K: np.ndarray


def lessons_of(problem: Problem, pipe: ViewsPipeline, full_region: bool = False) -> Iterator[Lesson]:
    """The canonical solution of ``problem``, segment by segment, each seen as it is when it is sampled.

    Edits fill the boxes that their thought names, or with ``full_region`` the whole canvas, as joint turns do; the
    answer's picture is then the canvas as it is.  Raises TaskError, and ConfigError where a text does not fit.
    """
    layout, codec, pixels = pipe.model.layout, pipe.model.codec, pipe.views.pixels
    demonstration = demonstrated(problem.task, problem.spec)
    canvas = start_canvas(problem, codec, pixels)
    codes_HW, thoughts = canvas.codes_HW, list[str]()

    joint, everywhere = pipe.views.turn == "joint", np.arange(codes_HW.size)

    def ids(said: str) -> np.ndarray:
        return np.array(_ids(said, problem.task, pipe))

    def lesson(unit: Unit, target: np.ndarray, cells: np.ndarray = everywhere) -> Lesson:
        state = State(asked(problem), codes_HW, tuple(thoughts))
        if unit == "turn":
            return Lesson(unit, layout.turn_view(state, cells), target)
        return Lesson(unit, layout.view(state, "thought" if unit == "text" else "edit", cells), target)

    for step in demonstration.steps:
        small = picture_of(problem.task, step.canvas)
        after_HW = codec.encode(puzzle_at(problem, step.canvas, small, pixels, codec.pixels_per_code))
        cells = everywhere if full_region or joint else canvas.codes_of(boxes_in(step.thought, canvas.cells))
        if not len(cells):
            said = one_line(step.thought, 120)
            raise TaskError(f"the demonstration {said!r} of {problem.task} names no region that can be followed")
        drawn = after_HW.ravel()[cells] + layout.first_code
        if joint:
            yield lesson("turn", np.concatenate((drawn, ids(step.thought))))
        else:
            yield lesson("text", ids(step.thought))
        thoughts.append(plain_thought(step.thought, layout))
        if not joint:
            yield lesson("image", drawn, cells)
        codes_HW = codes_HW.copy()
        codes_HW.ravel()[cells] = after_HW.ravel()[cells]
    if joint:
        yield lesson("turn", np.concatenate((codes_HW.ravel() + layout.first_code, ids(demonstration.answer))))
    else:
        yield lesson("text", ids(demonstration.answer))


def check_said(tasks: Iterable[str], pipe: ViewsPipeline) -> None:
    """Refuse a dataset one of whose demonstrated texts does not fit, be it short in letters; raises ConfigError."""
    for name in tasks:
        task = TASKS[name]
        if isinstance(task, DataTask):
            for said in dict.fromkeys(task.texts()):
                _ids(said, name, pipe)


def _ids(said: str, task: str, pipe: ViewsPipeline) -> list[int]:
    try:
        return pipe.model.layout.segment(said)
    except ConfigError as error:
        raise ConfigError(f"the demonstration {one_line(said, 120)!r} of {task}: {error}") from None


def noisy_copies(
    lesson: Lesson, mask: int, count: int, rng: np.random.Generator, block: int | None = None
) -> list[Snapshot]:
    """``count`` copies with some slots masked, which should be filled; in the first all of them are.

    Of a text in blocks of ``block`` slots a copy is in one block, as when it is sampled: earlier ones are there, later
    ones are masked and not asked for.
    """
    length, is_word_K = len(lesson.target_K), lesson.view.is_word
    size = block if block is not None and lesson.unit == "text" else length
    copies = []
    for copy in range(count):
        start = size * int(rng.integers(length // size))
        hidden_K = np.arange(length) >= start
        asked_K = hidden_K & (np.arange(length) < start + size)
        if copy:  # a turn's picture and words are each filled at a pace of their own
            for kind in (False, True):
                here = np.flatnonzero(asked_K & (is_word_K == kind))
                if len(here):
                    hidden_K[here] = rng.random(len(here)) < rng.random()
                    hidden_K[here[rng.integers(len(here))]] = True
        places = np.flatnonzero(hidden_K & asked_K)
        tokens_K = np.where(hidden_K, mask, lesson.target_K)
        copies.append(Snapshot(lesson.view, tokens_K, places, lesson.target_K[places]))
    return copies


def lesson_batch(config: LessonsConfig, pipe: ViewsPipeline, index: int) -> Mapping[Unit, list[Snapshot]]:
    """Batch ``index``, a pure function of it, the settings and the checkpoint: a resumed run sees the same."""
    rng = numpy_generator("lessons", config.seed, index)
    found: dict[Unit, list[Snapshot]] = {"text": [], "image": [], "turn": []}
    for problem, full in drawn(config, config.full_region_share, "train", index, rng):
        for lesson in lessons_of(problem, pipe, full):
            copies = noisy_copies(lesson, pipe.mask, config.num_copies, rng, pipe.views.block_length)
            found[lesson.unit] += copies
    return found
