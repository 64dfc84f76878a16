"""Sudoku, 4 × 4 with 2 × 2 boxes: fill the empty cells one a turn, each by a single.

Problem file, one JSON object::

    {"task": "sudoku", "grid": [[1, 0, 0, 4], ...]}

``grid`` holds 4 rows of 4 integers from 0 to 4; 0 is empty, and at least one cell is.  There must be exactly
one solution; on 4 × 4, naked singles alone then always reach it (a test goes through all cases), so no grid
is refused for needing a guess.  ``task`` may be left out.

A digit cell covers 2 × 2 canvas cells, each a quarter of the drawing: cell ``r1c3`` covers canvas cells
``r1c5`` to ``r2c6``.  A thought reads ``r1c3 is 4 row lacks 4 <edit> r1c5 r2c6``; its reason is one of

- ``row lacks 4``, ``column lacks 4``, ``box lacks 4``: the other three cells hold the other three digits;
- ``only 4 fits``: every other digit stands in the cell's row, column or box, and 4 does not.

The answer reads ``<answer> solved``.  Axes: H W canvas rows and columns.  Inside, a grid is 16 digits in
reading order, and a place is an index into it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
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
    region_mask,
)
from mmreason.tasks.board import Board, Mark
from mmreason.tasks.task import NO_HINT, Spec, Task, checked_object, shown, spoiled, verdict

SIDE = 4
DIGITS = frozenset(range(1, SIDE + 1))
UNREADABLE = -1  # the digit of a place whose four quarters do not agree
MAX_DRAWS = 2000  # grids that one call of generate may try

EMPTY_CELLS: Mapping[Difficulty, tuple[int, int]] = {"easy": (2, 3), "medium": (4, 6), "hard": (7, 9)}

_KINDS = ("empty", *(f"given{d}" for d in range(1, 5)), *(f"placed{d}" for d in range(1, 5)))
CELLS = tuple(
    f"{shade}_{kind}_{quarter}"
    for shade in ("light", "dark")
    for kind in _KINDS
    for quarter in ("tl", "tr", "bl", "br")
)

_PLACES = range(SIDE * SIDE)
_ROWS = tuple(tuple(range(4 * k, 4 * k + 4)) for k in range(4))
_COLUMNS = tuple(tuple(range(k, 16, 4)) for k in range(4))
_BOXES = tuple(tuple(8 * (k // 2) + 2 * (k % 2) + j for j in (0, 1, 4, 5)) for k in range(4))
_UNITS = {"row": _ROWS, "column": _COLUMNS, "box": _BOXES}
# the other places of each place's row, column and box, in this order
_OTHERS = tuple(
    {name: tuple(q for q in next(u for u in units if p in u) if q != p) for name, units in _UNITS.items()}
    for p in _PLACES
)
_PEERS = tuple(tuple(sorted(set().union(*_OTHERS[p].values()))) for p in _PLACES)
_SHADE = tuple(int(p in _BOXES[1] or p in _BOXES[2]) for p in _PLACES)


# Drawing

_PAPER = {"light": (252, 250, 244), "dark": (226, 220, 206)}
_FRAME = {"light": (150, 145, 135), "dark": (128, 122, 112)}
_GIVEN, _PLACED = (34, 34, 40), (0, 100, 190)
_SUPERSAMPLE = 8


def _arc(x: float, y: float, radius: float, start: int, stop: int) -> list[tuple[float, float]]:
    """Points on a circle, from ``start`` to ``stop`` degrees (clockwise from three o'clock)."""
    angles = np.radians(np.linspace(start, stop, 25)).tolist()
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


# the strokes of each digit, on 32 × 32 pixels; every quarter of every digit holds some ink
_STROKES = {
    1: [[(10.5, 10.5), (16.5, 6), (16.5, 25)], [(12, 25), (21, 25)]],
    2: [[*_arc(16, 11.5, 6, -170, 30), (9.5, 25), (23, 25)]],
    3: [[(9.5, 6), (22, 6), (15.5, 13.5), *_arc(15.5, 19.2, 5.8, -90, 150)]],
    4: [[(19.5, 26), (19.5, 6), (8.5, 19.5), (24, 19.5)]],
}


@lru_cache(maxsize=32)
def _draw_digit_cell(shade: str, kind: str) -> Image.Image:
    """The 32 × 32 drawing of a whole digit cell, on its shade, with its frame."""
    scale, side = _SUPERSAMPLE, 2 * CELL_PX * _SUPERSAMPLE
    image = Image.new("RGB", (side, side), _PAPER[shade])
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, side - 1, side - 1), outline=_FRAME[shade], width=scale)
    if kind != "empty":
        placed = kind.startswith("placed")
        ink, width, size = (_PLACED, 3.8, 0.84) if placed else (_GIVEN, 3.2, 1.0)
        for stroke in _STROKES[int(kind[-1])]:
            points = [(16 * scale + (x - 16) * size * scale, 2 * scale + (y - 2) * size * scale) for x, y in stroke]
            draw.line(points, fill=ink, width=round(width * scale), joint="curve")
            for x, y in (points[0], points[-1]):
                r = width * scale / 2
                draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)
        if placed:
            draw.rectangle((7 * scale, 26 * scale, 25 * scale, 28 * scale), fill=ink)
    return image.resize((2 * CELL_PX, 2 * CELL_PX), Image.Resampling.BOX)


# Solving


def _fits(grid: Sequence[int], units: Sequence[Sequence[int]]) -> bool:
    return all(len({grid[p] for p in unit}) == SIDE for unit in units)


@lru_cache(maxsize=1)
def _solutions() -> tuple[tuple[int, ...], ...]:
    """All 288 filled grids."""
    rows = list(itertools.permutations(range(1, SIDE + 1)))
    halves = [a + b for a in rows for b in rows if _fits(a + b, _BOXES[:2])]
    return tuple(a + b for a in halves for b in halves if _fits(a + b, _COLUMNS))


def _solutions_of(grid: Sequence[int]) -> list[tuple[int, ...]]:
    """Every filled grid that agrees with the digits of ``grid``."""
    found = list(_solutions())
    for place, digit in enumerate(grid):
        if digit:
            found = [full for full in found if full[place] == digit]
    return found


@lru_cache(maxsize=4096)
def _solution(grid: tuple[int, ...]) -> tuple[int, ...]:
    return _solutions_of(grid)[0]


def _reasons(grid: Sequence[int], place: int, digit: int) -> list[str]:
    """The sound reasons, as words, why an empty ``place`` must hold ``digit``; the demonstration's first."""
    rest = DIGITS - {digit}
    reasons = [f"{unit} lacks {digit}" for unit, q in _OTHERS[place].items() if {grid[p] for p in q} == rest]
    if {grid[p] for p in _PEERS[place]} & DIGITS == rest:
        reasons.append(f"only {digit} fits")
    return reasons


def _deductions(grid: Sequence[int], full: Sequence[int]) -> list[tuple[int, int, str]]:
    """Place, digit and one reason, for every step of the canonical deduction; stops where it is stuck."""
    grid, steps = list(grid), []
    while True:
        for place in _PLACES:
            if grid[place] == 0 and (reasons := _reasons(grid, place, full[place])):
                steps.append((place, full[place], reasons[0]))
                grid[place] = full[place]
                break
        else:
            return steps


def _solved_by_singles(grid: Sequence[int], full: Sequence[int]) -> bool:
    """Do naked singles alone lead from ``grid`` to ``full``?  (Their order does not matter.)"""
    grid = list(grid)
    left = [p for p in _PLACES if grid[p] == 0]
    while left:
        stuck = []
        for place in left:
            if DIGITS - {grid[p] for p in _PEERS[place]} == {full[place]}:
                grid[place] = full[place]
            else:
                stuck.append(place)
        if len(stuck) == len(left):
            return False
        left = stuck
    return True


# Canvas


def _box(place: int) -> Box:
    top, left = 2 * (place // 4) + 1, 2 * (place % 4) + 1
    return Box(top, left, top + 1, left + 1)


def _name(place: int) -> str:
    return cell_word(place // 4 + 1, place % 4 + 1)


def _draw(canvas_HW: np.ndarray, place: int, kind: int) -> None:
    """Put the four quarters of ``kind`` (an index of ``_KINDS``) on the canvas, in place."""
    first, box = (_SHADE[place] * len(_KINDS) + kind) * 4, _box(place)
    canvas_HW[box.slices] = ((first, first + 1), (first + 2, first + 3))


def _read(canvas_HW: np.ndarray) -> list[int]:
    """The digit shown at each place: 0 is empty, ``UNREADABLE`` where the quarters do not agree."""
    rows = canvas_HW.tolist()
    digits = []
    for place in _PLACES:
        box, shown = _box(place), set()
        for quarter in range(4):
            cell = rows[box.top - 1 + quarter // 2][box.left - 1 + quarter % 2]
            kind, which = divmod(cell - _SHADE[place] * 4 * len(_KINDS), 4)
            is_own = which == quarter and 0 <= kind < len(_KINDS)
            shown.add((kind - 1) % 4 + 1 if is_own and kind else 0 if is_own else UNREADABLE)
        digits.append(shown.pop() if len(shown) == 1 else UNREADABLE)
    return digits


def _digits(spec: Spec) -> tuple[int, ...]:
    return tuple(digit for row in spec["grid"] for digit in row)


# Reading a user's file


def _checked_grid(data: Any) -> list[list[int]]:
    """The grid of a user's object: 4 rows of 4 integers from 0 to 4."""
    grid = checked_object("sudoku", data, "grid")["grid"]
    if not isinstance(grid, list | tuple) or len(grid) != SIDE:
        raise ProblemError(f"grid must be a list of 4 rows, got {shown(grid)}")
    for number, row in enumerate(grid, 1):
        if not isinstance(row, list | tuple) or len(row) != SIDE:
            raise ProblemError(f"grid: row {number} must be a list of 4 integers, got {shown(row)}")
        for column, digit in enumerate(row, 1):
            if type(digit) is not int or not 0 <= digit <= SIDE:
                where = cell_word(number, column)
                raise ProblemError(f"grid: {where} must be an integer from 0 to 4, got {shown(digit)}")
    return [list(row) for row in grid]


class Sudoku(Task):
    """4 × 4 sudoku by naked singles, one cell a turn; see ``mmreason.tasks.task.Task``."""

    name = "sudoku"
    riddle_range = (1, SIDE)
    question = "Which digits complete every row, column and box?"
    words = ("is", "row", "column", "box", "lacks", "only", "fits", "solved")
    example: Mapping[str, Any] = {"task": "sudoku", "grid": [[1, 2, 3, 4], [3, 4, 1, 0], [2, 0, 4, 3], [0, 3, 0, 1]]}
    board = Board(
        field="grid",
        side=SIDE,
        marks=(Mark(0, "empty"), *(Mark(digit, str(digit), str(digit)) for digit in range(1, SIDE + 1))),
        click="count",
        blocks=2,
    )
    cells = CELLS
    turns: Mapping[Difficulty, tuple[int, int]] = EMPTY_CELLS
    num_hints = SIDE

    def cell_label(self, name: str) -> str:
        """Such as ``given 3 on light, top left quarter``."""
        shade, kind, quarter = name.split("_")
        shown = kind if kind == "empty" else f"{kind[:-1]} {kind[-1]}"
        where = f"{'top' if quarter[0] == 't' else 'bottom'} {'left' if quarter[1] == 'l' else 'right'}"
        return f"{shown} on {shade}, {where} quarter"

    def draw_cell(self, name: str) -> Image.Image:
        """The 16 × 16 RGB drawing of one quarter of a digit cell."""
        if name not in CELLS:
            raise ValueError(f"cell must be a sudoku cell such as {CELLS[0]!r}, got {name!r}")
        shade, kind, quarter = name.split("_")
        x, y = CELL_PX * (quarter[1] == "r"), CELL_PX * (quarter[0] == "b")
        return _draw_digit_cell(shade, kind).crop((x, y, x + CELL_PX, y + CELL_PX))

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> Spec | None:
        """A grid with a uniformly drawn number of empty cells, solvable by naked singles alone."""
        low, high = EMPTY_CELLS[difficulty]
        num_empty = int(rng.integers(low, high + 1))
        solutions = _solutions()
        for _ in range(MAX_DRAWS):
            full = solutions[int(rng.integers(len(solutions)))]
            empty = set(rng.permutation(SIDE * SIDE)[:num_empty].tolist())
            grid = [0 if p in empty else full[p] for p in _PLACES]
            if _solved_by_singles(grid, full):
                return {"task": "sudoku", "grid": [grid[k : k + SIDE] for k in range(0, SIDE * SIDE, SIDE)]}
        return None

    def parse(self, data: Mapping[str, Any]) -> Spec:
        """Check a user's grid; raises ProblemError with one sentence that says what is wrong."""
        spec = {"task": "sudoku", "grid": _checked_grid(data)}
        grid = _digits(spec)
        if 0 not in grid:
            raise ProblemError("grid has no empty cell: at least one must be 0")
        for unit, groups in _UNITS.items():
            for number, group in enumerate(groups, 1):
                digits = [grid[p] for p in group if grid[p]]
                twice = next((d for d in digits if digits.count(d) > 1), None)
                if twice is not None:
                    raise ProblemError(f"grid: {unit} {number} holds {twice} more than once, at most once is right")
        solutions = _solutions_of(grid)
        if len(solutions) != 1:
            trouble = f"more than one solution ({len(solutions)})" if solutions else "no solution"
            raise ProblemError(f"grid has {trouble}: exactly one is right")
        return spec

    def canvas(self, spec: Spec) -> np.ndarray:
        """The start canvas, (H, W) cell ids."""
        canvas_HW = np.zeros((GRID, GRID), dtype=np.int16)
        for place, digit in enumerate(_digits(spec)):
            _draw(canvas_HW, place, digit)
        return canvas_HW

    def turns_needed(self, spec: Spec) -> int:
        """One turn for each empty cell."""
        return _digits(spec).count(0)

    def demonstrate(self, spec: Spec) -> Demonstration:
        """Always the first cell in reading order that has a reason; row before column, box and only."""
        grid, canvas_HW, steps = _digits(spec), self.canvas(spec), []
        for place, digit, reason in _deductions(grid, _solution(grid)):
            canvas_HW = canvas_HW.copy()
            _draw(canvas_HW, place, SIDE + digit)
            thought = f"{_name(place)} is {digit} {reason} {EDIT} {_box(place).words}"
            steps.append(Step(thought, canvas_HW))
        return Demonstration(tuple(steps), f"{ANSWER} solved")

    def riddle(self, spec: Spec) -> tuple[str, str]:
        """The digit of the cell that is deduced last."""
        place, digit, _ = _deductions(_digits(spec), _solution(_digits(spec)))[-1]
        row, column = place // SIDE + 1, place % SIDE + 1
        return f"Which digit belongs in row {row}, column {column} of the {SIDE} × {SIDE} squares?", str(digit)

    def replied(self, spec: Spec, texts: Sequence[str]) -> str:
        """The digit that the last thought about that cell puts there."""
        place, _, _ = _deductions(_digits(spec), _solution(_digits(spec)))[-1]
        said = [text.split()[2] for text in texts if re.match(rf"{_name(place)} is \d", text)]
        return said[-1] if said else ""

    def hints(self, spec: Spec) -> np.ndarray:
        """The solution's digit on all four canvas cells of each empty digit cell."""
        grid = _digits(spec)
        hints_HW = np.full((GRID, GRID), NO_HINT, dtype=np.int16)
        for place, digit in enumerate(_solution(grid)):
            if grid[place] == 0:
                hints_HW[_box(place).slices] = digit - 1
        return hints_HW

    def check_thought(
        self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], boxes: Sequence[Box], turn: int
    ) -> Verdict:
        """Is the cell empty, the reason sound in the state shown, and the digit the solution's?"""
        match list(words), list(boxes):
            case [[name, "is", digit_word, *why], [box]] if (at := parse_cell(name, SIDE)) and digit_word in (
                "1",
                "2",
                "3",
                "4",
            ):
                place, digit, reason = 4 * (at[0] - 1) + at[1] - 1, int(digit_word), " ".join(why)
            case [_, [_]]:
                return verdict("a thought reads: cell, is, digit, reason", well_formed=False)
            case [_, others]:
                return verdict(f"a thought has one box, got {len(others)}", well_formed=False)
        if len(why) != 3 or reason not in (
            *(f"{unit} lacks {digit}" for unit in _UNITS),
            f"only {digit} fits",
        ):
            return verdict(f"the reason must be row, column or box lacks {digit}, or only {digit} fits", False)
        grid = _read(canvas_HW)
        sound = _reasons(grid, place, digit) if grid[place] == 0 else []
        is_solution = digit == _solution(_digits(spec))[place]
        false = None
        if grid[place] == UNREADABLE:
            false = f"{name} cannot be read"
        elif grid[place]:
            false = f"{name} already holds {grid[place]}"
        elif reason not in sound:
            false = f"it does not hold at {name} that {reason}"
        elif box != _box(place):
            false = f"box does not match {name}"
        useful = bool(sound) and is_solution
        wrong = None if useful else f"{name} is not {digit} in the solution"
        return verdict(false or wrong or "true", true=false is None, useful=useful)

    def carry_out(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], turn: int) -> np.ndarray | None:
        """The canvas with the digit that the thought names in the cell that it names."""
        at = parse_cell(words[0], SIDE) if len(words) >= 3 else None
        if at is None or words[2] not in {"1", "2", "3", "4"}:
            return None
        canvas_HW = canvas_HW.copy()
        _draw(canvas_HW, 4 * (at[0] - 1) + at[1] - 1, SIDE + int(words[2]))
        return canvas_HW

    def accepted_edits(self, spec: Spec, canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int) -> list[np.ndarray]:
        """The canvas after placing each digit inside the region that is a sound deduction and right."""
        grid, full = _read(canvas_HW), _solution(_digits(spec))
        edits = []
        for place in _PLACES:
            inside = region_HW[_box(place).slices].all()
            if inside and grid[place] == 0 and _reasons(grid, place, full[place]):
                edits.append(canvas_HW.copy())
                _draw(edits[-1], place, SIDE + full[place])
        return edits

    def check_answer(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """Does it say ``solved``, and is it?"""
        if list(words) != ["solved"]:
            return verdict("an answer reads: solved", well_formed=False)
        shown, full = _read(canvas_HW), _solution(_digits(spec))
        wrong = next((p for p in _PLACES if shown[p] != full[p]), None)
        if wrong is None:
            changed = _changed(spec, self.canvas(spec), canvas_HW)
            return verdict(changed or "true", true=changed is None, useful=changed is None)
        trouble = {0: "is empty", UNREADABLE: "cannot be read"}
        return verdict(f"{_name(wrong)} {trouble.get(shown[wrong], f'is not {shown[wrong]} in the solution')}")

    def is_solved(self, spec: Spec, canvas_HW: np.ndarray) -> bool:
        """Do all sixteen places show the solution?"""
        right = tuple(_read(canvas_HW)) == _solution(_digits(spec))
        return right and _changed(spec, self.canvas(spec), canvas_HW) is None


def _changed(spec: Spec, start_HW: np.ndarray, canvas_HW: np.ndarray) -> str | None:
    """Which given digit is no longer drawn as one, in words."""
    free_HW = region_mask([_box(place) for place, digit in enumerate(_digits(spec)) if not digit])
    return spoiled(canvas_HW, start_HW, free_HW)
