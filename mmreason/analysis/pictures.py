"""Are the pictures that a policy draws used at all?  Its edits, as drawn or replaced, and what the answers are then.

After each turn's edit the policy goes on from one of: its own picture; the canvas as it was before (``hidden``); what
another puzzle shows in those cells after as many right turns (``shuffled``); or a right one (``true``).  A policy
whose answers do not change does not read its own pictures.  Answers are judged by their words on the finished puzzle,
since the canvas in between is not what the policy drew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmreason.errors import ConfigError
from mmreason.records import ANSWER, EDIT, GRID, NUM_CELLS, Problem, Trace
from mmreason.rewards.advice import Codes
from mmreason.rewards.verify import Verifier
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.rollout import Rollout
from mmreason.tasks import make_problem, task_named

MOST_ALIKE = 100  # puzzles in a row that look the same
PICTURES = ("own", "hidden", "shuffled", "true")


class Replaced:
    """Redraws the edits of rollouts, one of ``PICTURES`` but ``own``."""

    def __init__(self, pipe: InterleavedReasoningPipeline, pictures: str) -> None:
        """Raises ConfigError for a policy whose codes are no cells, which cannot be drawn for it."""
        if not pipe.one_code_a_cell:
            rows, columns = pipe.layout.grid
            raise ConfigError(
                f"pictures must be own for a checkpoint that draws {rows} × {columns} tokens, got {pictures!r}: "
                f"others are drawn for {GRID} × {GRID} cells of one token each"
            )
        self.pictures = pictures
        self.verifier, self.codes = Verifier(pipe.words, pipe.sheet), Codes(pipe.sheet)
        self.first_code = len(pipe.words)
        self._others: dict[tuple[Any, ...], Problem] = {}

    def __call__(self, rollouts: list[Rollout]) -> None:
        for rollout in rollouts:
            cells = list(rollout.segments[-1].cells)
            if self.pictures == "hidden":
                rollout.redraw(rollout.before[cells].tolist())
            elif self.pictures == "shuffled":
                rollout.redraw(self._of_another(rollout)[cells].tolist())
            elif (right := self._right(rollout)) is not None:
                rollout.redraw(right[cells].tolist())

    def _of_another(self, rollout: Rollout) -> np.ndarray:
        """The canvas of the next other puzzle of its kind, after as many right turns; it depends on no batch."""
        problem, turn = rollout.problem, rollout.segments[-2].turn
        key = (problem.task, problem.difficulty, problem.seed, problem.split, problem.index)
        if key not in self._others:
            self._others[key] = _another(problem)
        other = self._others[key]
        task = task_named(other.task)
        steps = task.demonstrate(other.spec).steps[:turn] if task.demonstrates else ()
        codes = self.codes.of(other, steps[-1].canvas if steps else other.canvas)
        assert codes is not None, "a right canvas can be drawn"
        return np.array(codes) + self.first_code

    def _right(self, rollout: Rollout) -> np.ndarray | None:
        """The canvas after a right edit of the region, else as the thought says; None where it says nothing."""
        problem, thought, before = rollout.problem, rollout.segments[-2], rollout.before
        task, turn = task_named(problem.task), thought.turn
        canvas_HW = self.verifier.shown(problem.task, before)
        inside = np.isin(np.arange(NUM_CELLS), rollout.segments[-1].cells).reshape(GRID, GRID)
        said_HW = task.carry_out(problem.spec, canvas_HW, thought.text.partition(f" {EDIT}")[0].split(), turn)
        accepted = task.accepted_edits(problem.spec, canvas_HW, task.region(inside), turn)
        accepted.sort(key=lambda after_HW: said_HW is None or bool(task.differs(after_HW, said_HW).any()))
        chosen = accepted[0] if accepted else said_HW
        codes = None if chosen is None else self.codes.of(problem, chosen)
        return None if codes is None else np.array(codes) + self.first_code


def _another(problem: Problem) -> Problem:
    """The next problem by index that looks unlike ``problem``; raises ConfigError where many in a row do not."""
    first = 1 + (problem.index or 0)
    for index in range(first, first + MOST_ALIKE):
        other = make_problem(problem.task, problem.difficulty, problem.seed or 0, problem.split or "test", index)
        if not np.array_equal(other.canvas, problem.canvas):
            return other
    raise ConfigError(f"pictures shuffled must be of a task with different pictures, got {problem.task}")


def says_the_answer(trace: Trace) -> bool:
    """Are the words of the answer right for the finished puzzle, whatever the canvas shows?

    Of a task without demonstrations, for the canvas in the end.
    """
    answer = trace.answer
    if answer is None or answer.verdict is None:
        return False
    task, spec = task_named(trace.problem.task), trace.problem.spec
    if not task.demonstrates:
        return answer.verdict.right
    demonstration = task.demonstrate(spec)
    canvas_HW = demonstration.steps[-1].canvas if demonstration.steps else trace.problem.canvas
    return task.check_answer(spec, canvas_HW, answer.text.removeprefix(ANSWER).split()).right
