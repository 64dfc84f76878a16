"""My task: mark every gem, one a turn, and say how many there were.  Change this into a task of your own.

Problem file, one JSON object: ``{"task": "my_task", "rows": ["*.......", ...]}``: 8 strings of 8 characters, ``*`` a
gem and ``.`` none.  A thought reads ``mark r2c7 <edit> r2c7 r2c7``, the answer ``<answer> 3 gems``.

What a policy sees is a canvas of 8 × 8 cells, each one of the drawings in ``cells``.  In each turn it thinks aloud,
names a region after ``<edit>``, and redraws the cells of that region; an ``<answer>`` ends the rollout.  Rewards come
from the verifier below: ``check_thought``, ``accepted_edits`` and ``check_answer``, each from what the canvas shows.

    python -m mmreason check-task FILE              which laws of tasks it keeps, and which it breaks
    python -m mmreason pretrain --tasks FILE ...    a policy that imitates its demonstrations
    python -m mmreason train --tasks FILE ...       and learns from its rewards
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mmreason.errors import ProblemError
from mmreason.records import CELL_PX, GRID, Box, Demonstration, Difficulty, Step, Verdict, cell_word, parse_cell
from mmreason.tasks.board import Board, Mark
from mmreason.tasks.task import Spec, Task, checked_object, shown, spoiled, verdict

FLOOR, GEM, MARKED = range(3)  # indices into ``cells``
MAX_GEMS = 8


class MyTask(Task):
    """Gems to be marked and counted."""

    name = "my_task"  # lower-case letters, digits and _; the policy reads it as the token <my_task>
    question = "How many gems are there?"
    words = ("mark", "gems")  # all that is said besides numbers up to 64, cells such as r2c7, <edit> and <answer>
    cells = ("floor", "gem", "marked")  # up to 256 drawings
    turns: Mapping[Difficulty, tuple[int, int]] = {"easy": (1, 2), "medium": (3, 4), "hard": (5, 8)}  # inclusive
    example: Mapping[str, Any] = {"task": "my_task", "rows": ["*.......", "...*....", *["........"] * 6]}
    board = Board("rows", GRID, (Mark(".", "floor"), Mark("*", "gem", "◆", ink="#7a2fa8")), click="put")  # or None

    def draw_cell(self, name: str) -> Image.Image:
        """16 × 16 pixels.  Any two drawings must differ clearly, or a blurred one is taken for another."""
        image = Image.new("RGB", (CELL_PX, CELL_PX), "#efe9dc")
        draw = ImageDraw.Draw(image)
        if name != "floor":
            draw.polygon([(8, 1), (14, 8), (8, 14), (2, 8)], fill="#7a2fa8")
        if name == "marked":
            draw.rectangle((0, 0, 15, 15), outline="#111111", width=3)
        return image

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> Spec | None:
        """A problem that needs a uniformly drawn number of turns; all chance comes from ``rng``."""
        low, high = self.turns[difficulty]
        places = rng.permutation(GRID * GRID)[: int(rng.integers(low, high + 1))].tolist()
        text = ["*" if place in places else "." for place in range(GRID * GRID)]
        return {"task": self.name, "rows": ["".join(text[k : k + GRID]) for k in range(0, GRID * GRID, GRID)]}

    def parse(self, data: Mapping[str, Any]) -> Spec:
        """A user's problem; what is wrong with it is one sentence that names field, value and what would be right."""
        rows = checked_object(self.name, data, "rows")["rows"]
        if not isinstance(rows, list) or len(rows) != GRID:
            raise ProblemError(f"rows must be a list of {GRID} strings, got {shown(rows)}")
        for number, row in enumerate(rows, 1):
            if not isinstance(row, str) or len(row) != GRID or set(row) - set("*."):
                raise ProblemError(f"rows: row {number} must be {GRID} of * and '.', got {shown(row)}")
        count = "".join(rows).count("*")
        if not 1 <= count <= MAX_GEMS:
            raise ProblemError(f"rows must hold 1 to {MAX_GEMS} gems, got {count}")
        return {"task": self.name, "rows": list(rows)}

    def canvas(self, spec: Spec) -> np.ndarray:
        """The start canvas, (8, 8) indices into ``cells``."""
        return np.array([[GEM if mark == "*" else FLOOR for mark in row] for row in spec["rows"]], dtype=np.int16)

    def turns_needed(self, spec: Spec) -> int:
        """Turns of a shortest solution."""
        return len(_gems(self.canvas(spec)))

    def demonstrate(self, spec: Spec) -> Demonstration:
        """The one canonical solution, for pretraining; leave the method out if there is none."""
        canvas_HW, steps = self.canvas(spec), []
        for row, column in _gems(canvas_HW):
            canvas_HW, word = _marked(canvas_HW, row, column), cell_word(row, column)
            steps.append(Step(f"mark {word} <edit> {word} {word}", canvas_HW))
        return Demonstration(tuple(steps), f"<answer> {len(steps)} gems")

    def check_thought(
        self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], boxes: Sequence[Box], turn: int
    ) -> Verdict:
        """Well-formed, true of what the canvas shows, and useful?  Every right one counts."""
        at = parse_cell(words[1]) if len(words) == 2 and words[0] == "mark" else None
        if at is None or len(boxes) != 1:
            return verdict("a thought reads: mark, cell; and has one box", well_formed=False)
        if at not in _gems(canvas_HW):
            return verdict(f"no gem is left at {words[1]}")
        fits = boxes[0] == Box.between(at, at)
        return verdict("true" if fits else f"the box is not {words[1]}", true=fits, useful=True)

    def carry_out(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], turn: int) -> np.ndarray | None:
        """What the thought says will be drawn, right or not; None if it says nothing that can be."""
        at = parse_cell(words[1]) if len(words) == 2 and words[0] == "mark" else None
        return None if at is None else _marked(canvas_HW, *at)

    def accepted_edits(self, spec: Spec, canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int) -> list[np.ndarray]:
        """Every canvas that one useful action inside the region yields; none where nothing useful can be drawn."""
        return [_marked(canvas_HW, r, c) for r, c in _gems(canvas_HW) if region_HW[r - 1, c - 1]]

    def check_answer(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """Is the answer right, and is the canvas finished?"""
        if len(words) != 2 or words[1] != "gems":
            return verdict("an answer reads: number, gems", well_formed=False)
        left, needed = _gems(canvas_HW), self.turns_needed(spec)
        false = f"a gem is left at {cell_word(*left[0])}" if left else self._changed(spec, canvas_HW)
        wrong = None if words[0] == str(needed) else f"there are {needed} gems, not {words[0]}"
        return verdict(false or wrong or "true", true=not (false or wrong), useful=false is None)

    def is_solved(self, spec: Spec, canvas_HW: np.ndarray) -> bool:
        """Does the canvas show the finished problem, and nothing else?"""
        return not _gems(canvas_HW) and self._changed(spec, canvas_HW) is None

    def _changed(self, spec: Spec, canvas_HW: np.ndarray) -> str | None:
        """What is neither as at the start nor a marked gem, in words."""
        start_HW = self.canvas(spec)
        return spoiled(canvas_HW, start_HW, (start_HW == GEM) & (canvas_HW == MARKED))


def _gems(canvas_HW: np.ndarray) -> list[tuple[int, int]]:
    """Rows and columns, from 1, of the gems that are not marked yet."""
    return [(row + 1, column + 1) for row, column in np.argwhere(canvas_HW == GEM).tolist()]


def _marked(canvas_HW: np.ndarray, row: int, column: int) -> np.ndarray:
    after_HW = canvas_HW.copy()
    after_HW[row - 1, column - 1] = MARKED
    return after_HW
