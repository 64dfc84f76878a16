"""What every task offers.  Axes: H W canvas rows and columns; canvases hold cell ids local to the task."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from mmreason.errors import ProblemError
from mmreason.records import ANSWER, GRID, Box, Demonstration, Difficulty, Split, Verdict, cell_word
from mmreason.tasks.board import Board

Spec = Mapping[str, Any]  # a problem as a JSON object, in the file format of its task
FOREIGN = -1  # a recognised cell that is none of the task's own drawings
NO_HINT = -1


def label_of(task: str) -> str:
    """A task's name in words, as people read it."""
    return task.replace("_", " ")


def shown(value: Any) -> str:
    """A short, safe picture of any value for an error message."""
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a huge number"
    return reprlib.repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def checked_object(task: str, data: Any, *keys: str) -> Mapping[str, Any]:
    """``data`` if it is a JSON object with all of ``keys``, and ``task`` at most besides; raises ProblemError."""
    if not isinstance(data, Mapping):
        raise ProblemError(f"a {task} must be a JSON object, got {shown(data)}")
    for key in data:
        if key not in ("task", *keys):
            named = ", ".join(("task", *keys[:-1])) + f" and {keys[-1]}"
            raise ProblemError(f"key {shown(key)} is unknown: a {task} has the keys {named}")
    if data.get("task", task) != task:
        raise ProblemError(f"task must be {task!r}, got {shown(data['task'])}")
    for key in keys:
        if key not in data:
            raise ProblemError(f"{key} is missing; a {task} needs {' and '.join(keys)}")
    return data


def verdict(reason: str, well_formed: bool = True, true: bool = False, useful: bool = False) -> Verdict:
    """A verdict with the three components that every task has; right means all of them."""
    components = {"well_formed": float(well_formed), "true": float(true), "useful": float(useful)}
    return Verdict(well_formed and true and useful, reason, components)


def spoiled(canvas_HW: np.ndarray, start_HW: np.ndarray, free_HW: np.ndarray) -> str | None:
    """The first cell outside ``free_HW`` (bool) that is not as at the start, in words; None if all are."""
    wrong = np.argwhere(~free_HW & (canvas_HW != start_HW)).tolist()
    return f"{cell_word(wrong[0][0] + 1, wrong[0][1] + 1)} is not as at the start" if wrong else None


class Task(ABC):
    """A family of puzzles: generator, solver, demonstration, drawing and verifier.

    One file holds a task.  The built-in ones are named in ``mmreason.tasks``; whoever writes another names its
    file where a task is asked for (``--tasks my_task.py:MyTask``).  Its canvas is a grid of drawn cells; a task
    on free pictures is a ``mmreason.tasks.picture.PictureTask``.

    Canvases that come *in* to a verifier were recognised from decoded pixels and may hold any local
    cell id at any place, or ``FOREIGN``; a verifier never raises on them.
    """

    name: str
    question: str  # what is asked, one short sentence
    words: tuple[str, ...]  # what thoughts and answers say besides numbers up to 64, cells and marks
    cells: tuple[str, ...]  # names of the cell drawings; a local id indexes this
    turns: Mapping[Difficulty, tuple[int, int]]  # turns needed, inclusive range, by difficulty from the easiest
    example: Spec  # a puzzle as a file has it, the first that a visitor sees who sets up one
    board: Board | None = None  # to set up puzzles by clicks; without one they are written as JSON
    riddle_range: tuple[int, int] = (0, 99)  # what a number that ``riddle`` asks for may be, inclusive
    num_hints: int = 0  # labels that ``hints`` gives
    graded: bool = True  # are problems of one difficulty others than those of the next?
    too_long: str = ""  # why no small policy can be told of its problems, in a sentence
    notes: tuple[str, ...] = ()  # what ``check-task`` says besides, in sentences

    @abstractmethod
    def draw_cell(self, name: str) -> Image.Image:
        """The 16 × 16 RGB drawing of one cell."""

    @abstractmethod
    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> Spec | None:
        """A spec that needs a uniformly drawn number of turns, or None when this draw failed."""

    @abstractmethod
    def parse(self, data: Mapping[str, Any]) -> Spec:
        """Check a user's JSON object; raises ProblemError with one sentence that says what is wrong."""

    @abstractmethod
    def canvas(self, spec: Spec) -> np.ndarray:
        """The start canvas, (H, W) local cell ids."""

    @abstractmethod
    def turns_needed(self, spec: Spec) -> int:
        """Turns that a shortest solution needs."""

    @property
    def label(self) -> str:
        """Its name in words, as people read it."""
        return label_of(self.name)

    def cell_label(self, name: str) -> str:
        """One of ``cells`` in words, as people read it."""
        return name.replace("_", " ")

    @property
    def several(self) -> str:
        """More than one of its puzzles, in words."""
        return f"{self.label}s"

    @property
    def demonstrates(self) -> bool:
        """Has it demonstrations?  Without them it can be trained by rewards, and not be pretrained."""
        return type(self).demonstrate is not Task.demonstrate

    def demonstrate(self, spec: Spec) -> Demonstration:
        """The canonical solution: a pure function of what the canvas shows."""
        raise ProblemError(f"the task {self.name} has no demonstrations")

    def longest(self, length: Callable[[str], int] = len) -> tuple[str, Spec] | None:
        """The problem whose question is longest, and what errors call it; None where all ask about as much."""
        return None

    def riddle(self, spec: Spec) -> tuple[str, str]:
        """What a person is asked who solves it by eye, and the one short answer; raises ProblemError without one."""
        return self.asked(spec), self.demonstrate(spec).answer.removeprefix(ANSWER).strip()

    def replied(self, spec: Spec, texts: Sequence[str]) -> str:
        """What a run that said ``texts``, in their order, replies to the riddle; empty if nothing."""
        said = [text for text in texts if text.startswith(ANSWER)]
        return said[-1].removeprefix(ANSWER).strip() if said else ""

    def draw(
        self, difficulty: Difficulty, split: Split, seed: int, index: int, rng: np.random.Generator
    ) -> Spec | None:
        """A spec of ``split``, or None for another draw: what ``generate`` gives, whatever the split."""
        return self.generate(difficulty, rng)

    def own_split(self, spec: Spec) -> Split | None:
        """The split of a problem, if the task decides it by a hash of the content; None leaves it to what is drawn."""
        return None

    def prompt(self, spec: Spec) -> str:
        """Words that a policy is told besides the task's name; those of a question that differs by problem."""
        return ""

    def asked(self, spec: Spec) -> str:
        """The question of one problem, as people read it."""
        return self.question

    def differs(self, canvas_HW: np.ndarray, other_HW: np.ndarray) -> np.ndarray:
        """Boolean (H, W): the cells in which two canvases show something else."""
        return canvas_HW != other_HW

    def region(self, cells_HW: np.ndarray) -> np.ndarray:
        """Boolean (H, W) cells in the shape that ``accepted_edits`` takes."""
        return cells_HW

    def image(self, canvas_HW: np.ndarray) -> np.ndarray | None:
        """The canvas as (S, S, 3) pixels; None where it is drawn cell by cell."""
        return None

    def drawn(self, canvas_HW: np.ndarray, cell_px: int) -> np.ndarray | None:
        """The canvas as pixels with cells of ``cell_px``; None where there is nothing finer than its small picture."""
        return None

    def drawn_of(self, spec: Spec, canvas_HW: np.ndarray, cell_px: int) -> np.ndarray | None:
        """The same of a canvas of ``spec``, of which a task may know more than the canvas holds."""
        return self.drawn(canvas_HW, cell_px)

    def solvable(self, spec: Spec, canvas_HW: np.ndarray, turn: int) -> bool:
        """Can something right still be said or drawn on the canvas shown?"""
        everywhere = self.region(np.ones((GRID, GRID), dtype=bool))
        return self.is_solved(spec, canvas_HW) or bool(self.accepted_edits(spec, canvas_HW, everywhere, turn))

    @abstractmethod
    def check_thought(
        self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], boxes: Sequence[Box], turn: int
    ) -> Verdict:
        """Is the thought well-formed, true and useful in the state that the canvas shows?

        ``words`` are those before ``<edit>``; components are ``well_formed``, ``true``, ``useful``
        (0.0 or 1.0 each); right means all three.  ``turn`` counts from 1.
        """

    @abstractmethod
    def carry_out(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], turn: int) -> np.ndarray | None:
        """The canvas that the thought, taken literally, says will be drawn; None if it says none.

        The thought need not be useful: a leg that walks away from the goal or a wrong digit is carried
        out too, if it can be.
        """

    @abstractmethod
    def accepted_edits(self, spec: Spec, canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int) -> list[np.ndarray]:
        """Every canvas that one useful correct action inside ``region_HW`` (bool) yields; may be empty."""

    @abstractmethod
    def check_answer(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """Is the answer right for what the canvas shows?  ``words`` follow ``<answer>``.

        What no edit may touch (walls, given digits, frame, operations) must be as at the start.
        """

    @abstractmethod
    def is_solved(self, spec: Spec, canvas_HW: np.ndarray) -> bool:
        """Does the canvas show the finished puzzle?"""

    def hints(self, spec: Spec) -> np.ndarray:
        """(H, W) labels from 0 to ``num_hints`` - 1, or ``NO_HINT``.

        Dense labels of the start canvas, an auxiliary target in supervised training and never an input.
        """
        return np.full((GRID, GRID), NO_HINT, dtype=np.int16)

    def candidates(self, spec: Spec, canvas_HW: np.ndarray) -> Iterator[str]:
        """Thoughts that may be right on the canvas shown, for advice; the caller checks each of them."""
        for step in self.demonstrate(spec).steps if self.demonstrates else ():
            yield step.thought
