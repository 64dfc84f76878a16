"""What every task offers.  Axes: H W canvas rows and columns; canvases hold cell ids local to the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

from mmreason.records import Box, Demonstration, Difficulty, Verdict, cell_word

Spec = Mapping[str, Any]  # a problem as a JSON object, in the file format of its task
FOREIGN = -1  # a recognised cell that is none of the task's own drawings

# Dense labels for the start canvas, an auxiliary target in supervised training only (never an input):
# each task owns a range of one shared label space.
HINT_RANGES = {"maze": (0, 28), "jigsaw": (28, 16), "sudoku": (44, 4), "transform": (48, 4)}
NUM_HINTS = 52
NO_HINT = -1


def spoiled(canvas_HW: np.ndarray, start_HW: np.ndarray, free_HW: np.ndarray) -> str | None:
    """The first cell outside ``free_HW`` (bool) that is not as at the start, in words; None if all are."""
    wrong = np.argwhere(~free_HW & (canvas_HW != start_HW)).tolist()
    return f"{cell_word(wrong[0][0] + 1, wrong[0][1] + 1)} is not as at the start" if wrong else None


class Task(Protocol):
    """A family of puzzles: generator, solver, demonstration, drawing and verifier.

    Canvases that come *in* to a verifier were recognised from decoded pixels and may hold any local
    cell id at any place, or ``FOREIGN``; a verifier never raises on them.
    """

    name: str
    question: str  # what is asked, one short sentence
    cells: tuple[str, ...]  # names of the cell drawings; a local id indexes this
    turns: Mapping[Difficulty, tuple[int, int]]  # turns needed, inclusive range

    def draw_cell(self, name: str) -> Image.Image:
        """The 16 × 16 RGB drawing of one cell."""
        ...

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> Spec | None:
        """A spec that needs a uniformly drawn number of turns, or None when this draw failed."""
        ...

    def parse(self, data: Mapping[str, Any]) -> Spec:
        """Check a user's JSON object; raises ProblemError with one sentence that says what is wrong."""
        ...

    def canvas(self, spec: Spec) -> np.ndarray:
        """The start canvas, (H, W) local cell ids."""
        ...

    def turns_needed(self, spec: Spec) -> int: ...

    def demonstrate(self, spec: Spec) -> Demonstration:
        """The canonical solution: a pure function of what the canvas shows."""
        ...

    def hints(self, spec: Spec) -> np.ndarray:
        """(H, W) labels in the task's range of ``HINT_RANGES``, or ``NO_HINT``."""
        ...

    def check_thought(
        self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], boxes: Sequence[Box], turn: int
    ) -> Verdict:
        """Is the thought well-formed, true and useful in the state that the canvas shows?

        ``words`` are those before ``<edit>``; components are ``well_formed``, ``true``, ``useful``
        (0.0 or 1.0 each); right means all three.  ``turn`` counts from 1.
        """
        ...

    def carry_out(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], turn: int) -> np.ndarray | None:
        """The canvas that the thought, taken literally, says will be drawn; None if it says none.

        The thought need not be useful: a leg that walks away from the goal or a wrong digit is carried
        out too, if it can be.
        """
        ...

    def accepted_edits(self, spec: Spec, canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int) -> list[np.ndarray]:
        """Every canvas that one useful correct action inside ``region_HW`` (bool) yields; may be empty."""
        ...

    def check_answer(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """Is the answer right for what the canvas shows?  ``words`` follow ``<answer>``.

        What no edit may touch (walls, given digits, frame, operations) must be as at the start.
        """
        ...

    def is_solved(self, spec: Spec, canvas_HW: np.ndarray) -> bool:
        """Does the canvas show the finished puzzle?"""
        ...
