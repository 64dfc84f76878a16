"""Stones: a task that the shipped checkpoints were never shown, all of it in this file.

Problem file, one JSON object: ``{"task": "stones", "rows": ["o.o.....", ...]}``: 8 strings of 8 characters, ``o`` a
stone and ``.`` none; 1 to 8 stones, all in the left half.  Each turn puts down the mirror image of one, a thought
reads ``place r2c7 <edit> r2c7 r2c7``, the answer ``<answer> 3 stones``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mmreason.errors import ProblemError
from mmreason.records import (
    ANSWER,
    CELL_PX,
    EDIT,
    GRID,
    Box,
    Demonstration,
    Difficulty,
    Step,
    Verdict,
    cell_word,
    parse_cell,
)
from mmreason.tasks.board import Board, Mark
from mmreason.tasks.task import NO_HINT, Spec, Task, checked_object, shown, spoiled, verdict

EMPTY, STONE, PLACED = range(3)
MAX_STONES = 8
HALF = GRID // 2


class Stones(Task):
    """Mirror images of stones, one a turn."""

    name = "stones"
    question = "How many stones make the picture symmetric?"
    words = ("place", "stones")
    cells = ("empty", "stone", "placed")
    turns: Mapping[Difficulty, tuple[int, int]] = {"easy": (2, 3), "medium": (4, 5), "hard": (6, 8)}
    example: Mapping[str, Any] = {"task": "stones", "rows": ["o.......", ".o......", "...o....", *["........"] * 5]}
    board = Board("rows", GRID, (Mark(".", "empty"), Mark("o", "stone", "●")), click="put")
    num_hints = 2

    def draw_cell(self, name: str) -> Image.Image:
        """A dark stone, or a framed one that was put down."""
        image = Image.new("RGB", (CELL_PX, CELL_PX), "#d8b878")
        draw = ImageDraw.Draw(image)
        if name != "empty":
            draw.ellipse((2, 2, 13, 13), fill="#101010" if name == "stone" else "#f4f4ff", outline="#101010")
        return image

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> Spec:
        """Stones at random places."""
        low, high = self.turns[difficulty]
        places = rng.permutation(GRID * HALF)[: rng.integers(low, high + 1)].tolist()
        rows = [["."] * GRID for _ in range(GRID)]
        for place in places:
            rows[place // HALF][place % HALF] = "o"
        return {"task": self.name, "rows": ["".join(row) for row in rows]}

    def parse(self, data: Mapping[str, Any]) -> Spec:
        """Check a user's stones; raises ProblemError."""
        rows = checked_object(self.name, data, "rows")["rows"]
        if not isinstance(rows, list) or len(rows) != GRID:
            raise ProblemError(f"rows must be a list of {GRID} strings, got {shown(rows)}")
        for number, row in enumerate(rows, 1):
            if not isinstance(row, str) or len(row) != GRID or set(row) - {"o", "."}:
                raise ProblemError(f"rows: row {number} must be {GRID} of o and '.', got {shown(row)}")
            if "o" in row[HALF:]:
                raise ProblemError(f"rows: row {number} must hold stones in its left half only, got {shown(row)}")
        count = "".join(rows).count("o")
        if not 1 <= count <= MAX_STONES:
            raise ProblemError(f"rows must hold 1 to {MAX_STONES} stones, got {count}")
        return {"task": self.name, "rows": list(rows)}

    def canvas(self, spec: Spec) -> np.ndarray:
        """The start canvas, (H, W) cell ids."""
        return np.array([[STONE if mark == "o" else EMPTY for mark in row] for row in spec["rows"]], dtype=np.int16)

    def turns_needed(self, spec: Spec) -> int:
        """One turn for each stone."""
        return len(self._due(spec, self.canvas(spec)))

    def demonstrate(self, spec: Spec) -> Demonstration:
        """In reading order."""
        canvas_HW, steps = self.canvas(spec), []
        for row, column in self._due(spec, canvas_HW):
            canvas_HW = self._placed(canvas_HW, row, column)
            word = cell_word(row, column)
            steps.append(Step(f"place {word} {EDIT} {word} {word}", canvas_HW))
        return Demonstration(tuple(steps), f"{ANSWER} {len(steps)} stones")

    def hints(self, spec: Spec) -> np.ndarray:
        """In the right half: is a stone due?"""
        hints_HW = np.full((GRID, GRID), NO_HINT, dtype=np.int16)
        hints_HW[:, HALF:] = 0
        for row, column in self._due(spec, self.canvas(spec)):
            hints_HW[row - 1, column - 1] = 1
        return hints_HW

    def check_thought(
        self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], boxes: Sequence[Box], turn: int
    ) -> Verdict:
        """Is a stone due at the cell, and does the box name it?"""
        at = parse_cell(words[1]) if len(words) == 2 and words[0] == "place" else None
        if at is None or len(boxes) != 1:
            return verdict("a thought reads: place, cell; and has one box", well_formed=False)
        due = at in self._due(spec, canvas_HW)
        if not due:
            return verdict(f"no stone is due at {words[1]}")
        fits = boxes[0] == Box.between(at, at)
        return verdict("true" if fits else f"the box is not {words[1]}", true=fits, useful=True)

    def carry_out(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], turn: int) -> np.ndarray | None:
        """The canvas with a stone at the cell that the thought names."""
        at = parse_cell(words[1]) if len(words) == 2 else None
        return None if at is None else self._placed(canvas_HW, *at)

    def accepted_edits(self, spec: Spec, canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int) -> list[np.ndarray]:
        """The canvas with each stone that is due inside the region."""
        due = self._due(spec, canvas_HW)
        return [self._placed(canvas_HW, row, column) for row, column in due if region_HW[row - 1, column - 1]]

    def check_answer(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """Is the picture symmetric, and is that the number of stones?"""
        if len(words) != 2 or words[1] != "stones":
            return verdict("an answer reads: number, stones", well_formed=False)
        due = self._due(spec, canvas_HW)
        false = f"a stone is due at {cell_word(*due[0])}" if due else self._changed(spec, canvas_HW)
        needed = self.turns_needed(spec)
        wrong = None if words[0] == str(needed) else f"there are {needed} stones, not {words[0]}"
        return verdict(false or wrong or "true", true=not (false or wrong), useful=false is None)

    def is_solved(self, spec: Spec, canvas_HW: np.ndarray) -> bool:
        """Is every stone there, and nothing else changed?"""
        return not self._due(spec, canvas_HW) and self._changed(spec, canvas_HW) is None

    def _due(self, spec: Spec, canvas_HW: np.ndarray) -> list[tuple[int, int]]:
        """Row and column, from 1, of the mirror images that are not shown yet."""
        missing_HW = (self.canvas(spec)[:, ::-1] == STONE) & (canvas_HW != PLACED)
        return [(row + 1, column + 1) for row, column in np.argwhere(missing_HW).tolist()]

    def _placed(self, canvas_HW: np.ndarray, row: int, column: int) -> np.ndarray:
        after_HW = canvas_HW.copy()
        after_HW[row - 1, column - 1] = PLACED
        return after_HW

    def _changed(self, spec: Spec, canvas_HW: np.ndarray) -> str | None:
        start_HW = self.canvas(spec)
        return spoiled(canvas_HW, start_HW, start_HW[:, ::-1] == STONE)
