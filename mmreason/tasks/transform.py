"""Transform: a 3 × 3 pattern and a row of operations; apply each in turn.  Axes: H W canvas rows, columns.

Problem file, one JSON object: ``{"task": "transform", "pattern": [[0, 2, 1], ...], "operations": ["rotate90",
...]}``.

``pattern`` is 3 rows of 3 integers: 0 empty, 1 red, 2 blue, 3 yellow, at least one of them not empty.
``operations`` holds 1 to 6 of ``rotate90`` (clockwise), ``rotate180``, ``rotate270``, ``mirror_horizontal``
(left and right change places), ``mirror_vertical`` (top and bottom do) and ``recolour`` (red becomes blue,
blue yellow, yellow red; ``recolor`` is understood as well).

The canvas shows the pattern as it is now, and always all operations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mmreason.errors import ProblemError
from mmreason.records import CELL_PX, GRID, Box, Demonstration, Difficulty, Step, Verdict, region_mask
from mmreason.tasks.board import Board, Mark, Row
from mmreason.tasks.task import NO_HINT, Task, checked_object, shown, spoiled, verdict

TURNS: dict[Difficulty, tuple[int, int]] = {"easy": (1, 2), "medium": (3, 4), "hard": (5, 6)}
MAX_OPERATIONS = 6
FILLED = (4, 7)  # cells of a generated pattern that are not empty, inclusive range
TRIES = 200  # draws of one problem before giving up

SIDE = 3  # pattern cells along one side
PATTERN_BOX = Box(2, 3, 4, 5)
PATTERN = PATTERN_BOX.slices
OPERATION_ROW, FIRST_COLUMN = 6, 1  # of the first operation, counted from 0 as arrays are
COLOURS = ("red", "blue", "yellow")  # of the pattern values 1, 2 and 3

# A pattern is a tuple of nine values in reading order.  A geometric operation says which old place each
# new place copies; recolour maps values.
GATHER = {
    "rotate90": (6, 3, 0, 7, 4, 1, 8, 5, 2),
    "rotate180": (8, 7, 6, 5, 4, 3, 2, 1, 0),
    "rotate270": (2, 5, 8, 1, 4, 7, 0, 3, 6),
    "mirror_horizontal": (2, 1, 0, 5, 4, 3, 8, 7, 6),
    "mirror_vertical": (6, 7, 8, 3, 4, 5, 0, 1, 2),
}
NEXT_COLOUR = (0, 2, 3, 1)
OPERATIONS = (*GATHER, "recolour")
OPERATION_WORDS = {
    "rotate90": "↻ 90°",
    "rotate180": "↻ 180°",
    "rotate270": "↻ 270°",
    "mirror_horizontal": "⇆ mirror",
    "mirror_vertical": "⇅ mirror",
    "recolour": "recolour",
}
SPELLINGS = {"recolor": "recolour"}

FRAME = ("top_left", "top", "top_right", "left", "right", "bottom_left", "bottom", "bottom_right")
CELLS = (
    "background",
    "pattern_empty",
    *(f"pattern_{colour}" for colour in COLOURS),
    "slot",
    *(f"operation_{name}" for name in OPERATIONS),
    *(f"frame_{side}" for side in FRAME),
)
CELL_ID = {name: index for index, name in enumerate(CELLS)}
FIRST_VALUE = CELL_ID["pattern_empty"]  # pattern value v is drawn as cell FIRST_VALUE + v
NUMBERS = {str(number): number for number in range(65)}

BACKGROUND, INK, PALE, WOOD = "#e9e4d8", "#24344d", "#fffdf7", "#8a6f4d"
RED, BLUE, YELLOW = "#d55e00", "#0072b2", "#f0e442"


def apply_operation(pattern: Sequence[int], operation: str) -> tuple[int, ...]:
    """The pattern after one operation."""
    if operation == "recolour":
        return tuple(NEXT_COLOUR[value] for value in pattern)
    return tuple(pattern[place] for place in GATHER[operation])


def history(pattern: Sequence[int], operations: Sequence[str]) -> list[tuple[int, ...]]:
    """The pattern before the first and after each operation."""
    patterns = [tuple(pattern)]
    for operation in operations:
        patterns.append(apply_operation(patterns[-1], operation))
    return patterns


def _spec_history(spec: Mapping[str, Any]) -> list[tuple[int, ...]]:
    return history([value for row in spec["pattern"] for value in row], spec["operations"])


def _read(canvas_HW: np.ndarray) -> tuple[int, ...] | None:
    """The pattern that a canvas shows, or None when a cell of it is no pattern cell."""
    values = (np.asarray(canvas_HW)[PATTERN].astype(int) - FIRST_VALUE).ravel().tolist()
    return tuple(values) if all(0 <= value <= len(COLOURS) for value in values) else None


def _write(canvas_HW: np.ndarray, pattern: Sequence[int]) -> np.ndarray:
    """A copy of the canvas that shows ``pattern``."""
    copy_HW = np.array(canvas_HW)
    copy_HW[PATTERN] = np.array(pattern).reshape(SIDE, SIDE) + FIRST_VALUE
    return copy_HW


def _empty_canvas() -> np.ndarray:
    canvas_HW = np.full((GRID, GRID), CELL_ID["background"], dtype=np.int16)
    top, left, bottom, right = (
        PATTERN_BOX.top - 2,
        PATTERN_BOX.left - 2,
        PATTERN_BOX.bottom,
        PATTERN_BOX.right,
    )
    canvas_HW[top, left + 1 : right], canvas_HW[bottom, left + 1 : right] = (
        CELL_ID["frame_top"],
        CELL_ID["frame_bottom"],
    )
    canvas_HW[top + 1 : bottom, left], canvas_HW[top + 1 : bottom, right] = (
        CELL_ID["frame_left"],
        CELL_ID["frame_right"],
    )
    for row, side in ((top, "top"), (bottom, "bottom")):
        canvas_HW[row, left], canvas_HW[row, right] = (
            CELL_ID[f"frame_{side}_left"],
            CELL_ID[f"frame_{side}_right"],
        )
    canvas_HW[OPERATION_ROW, FIRST_COLUMN : FIRST_COLUMN + MAX_OPERATIONS] = CELL_ID["slot"]
    return canvas_HW


EMPTY_CANVAS = _empty_canvas()


ARROW = ((4.4, 0.0), (-0.4, 3.4), (-0.4, -3.4))  # corners: ahead and aside


class _Pen:
    """Draws one cell in units of its pixels, enlarged so that shrinking it again smooths the edges."""

    SCALE = 8

    def __init__(self, ground: str) -> None:
        side = CELL_PX * self.SCALE
        self.image = Image.new("RGB", (side, side), ground)
        self._draw = ImageDraw.Draw(self.image)

    def _up(self, *numbers: float) -> list[float]:
        return [number * self.SCALE for number in numbers]

    def rounded(self, left: float, top: float, right: float, bottom: float, radius: float, fill: str) -> None:
        box = self._up(left, top, right, bottom)
        self._draw.rounded_rectangle((*box[:2], box[2] - 1, box[3] - 1), radius * self.SCALE, fill)

    def dot(self, x: float, y: float, radius: float, fill: str) -> None:
        self.rounded(x - radius, y - radius, x + radius, y + radius, radius, fill)

    def polygon(self, corners: Sequence[tuple[float, float]], fill: str) -> None:
        self._draw.polygon([tuple(self._up(x - 0.06, y - 0.06)) for x, y in corners], fill)

    def shape(self, colour: str, x: float, y: float, radius: float, fill: str) -> None:
        """The sign of a colour: circle for red, square for blue, triangle for yellow."""
        if colour == "red":
            self.dot(x, y, radius, fill)
        elif colour == "blue":
            half = 0.86 * radius
            self.rounded(x - half, y - half, x + half, y + half, 0, fill)
        else:
            up, down = y - 1.1 * radius, y + 0.8 * radius
            self.polygon([(x, up), (x + 1.15 * radius, down), (x - 1.15 * radius, down)], fill)

    def arc(self, start: float, end: float, width: float, fill: str) -> None:
        """Around the middle, clockwise, in degrees from the top."""
        self._draw.arc(self._up(2.9, 2.9, 13.1, 13.1), start - 90, end - 90, fill, round(width * self.SCALE))

    def done(self) -> Image.Image:
        return self.image.resize((CELL_PX, CELL_PX), Image.Resampling.BOX)


def _name(operation: str) -> str:
    """As a person reads it, such as ``rotate 270°`` and ``mirror vertical``."""
    turned = operation.removeprefix("rotate")
    return f"rotate {turned}°" if turned.isdecimal() else operation.replace("_", " ")


def _draw_operation(pen: _Pen, operation: str) -> None:
    pen.rounded(0.5, 0.5, 15.5, 15.5, 3, INK)
    if operation.startswith("rotate"):
        degrees = int(operation.removeprefix("rotate"))
        pen.arc(degrees, 360, 1.8, "#4a5a75")
        pen.arc(0, degrees, 2.2, PALE)
        ahead_x, ahead_y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        x, y = 8 + 4 * ahead_y, 8 - 4 * ahead_x
        corners = [(x + f * ahead_x + s * ahead_y, y + f * ahead_y - s * ahead_x) for f, s in ARROW]
        pen.polygon(corners, YELLOW)
    elif operation.startswith("mirror"):
        upright = operation == "mirror_horizontal"
        for start in (2, 7, 12):
            bar = (7.4, start, 8.6, start + 2) if upright else (start, 7.4, start + 2, 8.6)
            pen.rounded(*bar, 0, YELLOW)
        for sign in (-1, 1):
            corners = [(8 + sign * 2, 4.2), (8 + sign * 2, 11.8), (8 + sign * 6, 8)]
            pen.polygon(corners if upright else [(y, x) for x, y in corners], PALE)
    else:
        for colour, fill, (x, y) in zip(
            COLOURS, (RED, BLUE, YELLOW), ((4.9, 10.8), (8, 4.8), (11.1, 10.8)), strict=True
        ):
            pen.shape(colour, x, y, 3.0, PALE)
            pen.shape(colour, x, y, 2.2, fill)


def _draw_frame(pen: _Pen, side: str) -> None:
    """A band along the pattern's edge; ``side`` says where the cell lies, seen from the pattern."""
    wide, beyond = 5, CELL_PX  # it runs on beyond the cell, so that only outer corners show round
    left = CELL_PX - wide if "left" in side else -beyond
    right = wide if "right" in side else CELL_PX + beyond
    top = CELL_PX - wide if "top" in side else -beyond
    bottom = wide if "bottom" in side else CELL_PX + beyond
    pen.rounded(left, top, right, bottom, 3, WOOD)


class Transform(Task):
    """Operations on a small pattern; turn k applies operation k, the answer counts a colour in the end."""

    name = "transform"
    question = "What does the pattern become, one operation after the other?"
    words = ("step", *OPERATIONS, *COLOURS)
    example: Mapping[str, Any] = {
        "task": "transform",
        "pattern": [[0, 2, 1], [0, 0, 3], [1, 0, 0]],
        "operations": ["rotate90", "mirror_horizontal"],
    }
    board = Board(
        field="pattern",
        side=SIDE,
        marks=(
            Mark(0, "empty"),
            Mark(1, "red", "●", ink=RED),
            Mark(2, "blue", "■", ink=BLUE),
            Mark(3, "yellow", "▲", ink="#8a7d00"),
        ),
        click="count",
        row=Row(
            "operations", "Operations", tuple((name, OPERATION_WORDS[name]) for name in OPERATIONS), MAX_OPERATIONS
        ),
        nothing="no operation is chosen",
    )
    cells = CELLS
    turns: Mapping[Difficulty, tuple[int, int]] = TURNS
    num_hints = len(COLOURS) + 1

    def draw_cell(self, name: str) -> Image.Image:
        """Coloured tiles that carry a shape each, dark tiles with pictograms, and a wooden frame."""
        kind, _, rest = name.partition("_")
        pen = _Pen(PALE if kind == "pattern" else BACKGROUND)
        if kind == "pattern" and rest == "empty":
            pen.dot(8, 8, 1.5, "#c9c3b4")
        elif kind == "pattern":
            pen.rounded(0.5, 0.5, 15.5, 15.5, 3, {"red": RED, "blue": BLUE, "yellow": YELLOW}[rest])
            pen.shape(rest, 8, 8, 4, INK if rest == "yellow" else PALE)
        elif kind == "slot":
            pen.rounded(0.5, 0.5, 15.5, 15.5, 3, "#cdc5b3")
            pen.rounded(2, 2, 14, 14, 2, "#dcd6c8")
        elif kind == "operation":
            _draw_operation(pen, rest)
        elif kind == "frame":
            _draw_frame(pen, rest)
        return pen.done()

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> dict[str, Any] | None:
        """A random pattern that each operation changes, and that looks finished only in the end."""
        low, high = self.turns[difficulty]
        num_operations = int(rng.integers(low, high + 1))
        for _ in range(TRIES):
            filled = int(rng.integers(FILLED[0], FILLED[1] + 1))
            values = rng.integers(1, len(COLOURS) + 1, size=SIDE * SIDE)
            values[rng.permutation(SIDE * SIDE)[filled:]] = 0
            operations = [OPERATIONS[i] for i in rng.integers(len(OPERATIONS), size=num_operations).tolist()]
            patterns = history(values.tolist(), operations)
            changes = all(before != after for before, after in pairwise(patterns))
            if changes and patterns.index(patterns[-1]) == num_operations:
                return {
                    "task": self.name,
                    "pattern": values.reshape(SIDE, SIDE).tolist(),
                    "operations": operations,
                }
        return None

    def parse(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Check a user's JSON object; raises ProblemError with one sentence that says what is wrong."""
        checked_object(self.name, data, "pattern", "operations")
        pattern, operations = data["pattern"], data["operations"]
        if not isinstance(pattern, list) or len(pattern) != SIDE:
            got = f"{len(pattern)} rows" if isinstance(pattern, list) else shown(pattern)
            raise ProblemError(f"pattern must be a list of 3 rows, got {got}")
        for number, row in enumerate(pattern, 1):
            if not isinstance(row, list) or len(row) != SIDE:
                raise ProblemError(f"pattern row {number} must be a list of 3 integers, got {shown(row)}")
            for value in row:
                if type(value) is not int or not 0 <= value <= len(COLOURS):
                    raise ProblemError(f"pattern row {number} must hold integers from 0 to 3, got {shown(value)}")
        if not any(value for row in pattern for value in row):
            raise ProblemError("pattern must have at least one cell from 1 to 3, got only 0")
        if not isinstance(operations, list) or not 1 <= len(operations) <= MAX_OPERATIONS:
            got = f"{len(operations)} of them" if isinstance(operations, list) else shown(operations)
            raise ProblemError(f"operations must be a list of 1 to {MAX_OPERATIONS} names, got {got}")
        names = [SPELLINGS.get(name, name) if isinstance(name, str) else name for name in operations]
        for number, name in enumerate(names, 1):
            if not isinstance(name, str) or name not in OPERATIONS:
                raise ProblemError(f"operation {number} must be one of {', '.join(OPERATIONS)}, got {shown(name)}")
        return {"task": self.name, "pattern": [list(row) for row in pattern], "operations": names}

    def canvas(self, spec: Mapping[str, Any]) -> np.ndarray:
        """The pattern in its frame above the row of operations, (H, W) local cell ids."""
        return self._drawn(spec, _spec_history(spec)[0])

    def turns_needed(self, spec: Mapping[str, Any]) -> int:
        """One turn for each operation."""
        return len(spec["operations"])

    def demonstrate(self, spec: Mapping[str, Any]) -> Demonstration:
        """Apply the operations in order; turns count red, blue and yellow by turns."""
        patterns = _spec_history(spec)
        steps = []
        for turn, operation in enumerate(spec["operations"], 1):
            colour = (turn - 1) % len(COLOURS)
            claim = f"{patterns[turn - 1].count(colour + 1)} {COLOURS[colour]}"
            thought = f"step {turn} {operation} {claim} <edit> {PATTERN_BOX.words}"
            steps.append(Step(thought, self._drawn(spec, patterns[turn])))
        colour = len(steps) % len(COLOURS)
        return Demonstration(tuple(steps), f"<answer> {patterns[-1].count(colour + 1)} {COLOURS[colour]}")

    def riddle(self, spec: Mapping[str, Any]) -> tuple[str, str]:
        """The number of cells that have the answer's colour in the end."""
        _, answer = super().riddle(spec)
        colour = answer.split()[-1]
        return f"After all operations, how many cells of the pattern are {colour}?", answer

    def hints(self, spec: Mapping[str, Any]) -> np.ndarray:
        """For each pattern cell, its value after the first operation."""
        hints_HW = np.full((GRID, GRID), NO_HINT)
        hints_HW[PATTERN] = np.array(_spec_history(spec)[1]).reshape(SIDE, SIDE)
        return hints_HW

    def check_thought(
        self,
        spec: Mapping[str, Any],
        canvas_HW: np.ndarray,
        words: Sequence[str],
        boxes: Sequence[Box],
        turn: int,
    ) -> Verdict:
        """``step <k> <operation> <n> <colour>``: operation k is next, the pattern shows n of the colour."""
        operations = spec["operations"]
        if (
            len(words) != 5
            or words[0] != "step"
            or words[1] not in NUMBERS
            or words[2] not in OPERATIONS
            or words[3] not in NUMBERS
            or words[4] not in COLOURS
        ):
            return verdict("not of the form: step number operation number colour", False, False, False)
        if len(boxes) != 1:
            return verdict(f"a step needs one box, not {len(boxes)}", False, False, False)
        step, operation, count, colour = NUMBERS[words[1]], words[2], NUMBERS[words[3]], words[4]
        pattern = _read(canvas_HW)
        useful = step == turn and 1 <= turn <= len(operations) and pattern is not None
        reason = "true"
        if not 1 <= step <= len(operations):
            reason = f"there is no operation {step}"
        elif operation != operations[step - 1]:
            reason = f"operation {step} is {_name(operations[step - 1])}"
        elif pattern is None:
            reason = "the pattern cannot be read"
        elif count != (shown := pattern.count(COLOURS.index(colour) + 1)):
            reason = f"the pattern shows {shown} {colour}, not {count}"
        elif boxes[0] != PATTERN_BOX:
            reason = "the box is not the pattern"
        if reason != "true":
            return verdict(reason, True, False, useful)
        return verdict("true" if useful else f"this is turn {turn}, not {step}", True, True, useful)

    def carry_out(
        self, spec: Mapping[str, Any], canvas_HW: np.ndarray, words: Sequence[str], turn: int
    ) -> np.ndarray | None:
        """The canvas with the named operation applied to the pattern shown."""
        pattern = _read(canvas_HW)
        if pattern is None or len(words) < 3 or words[2] not in OPERATIONS:
            return None
        return _write(canvas_HW, apply_operation(pattern, words[2]))

    def accepted_edits(
        self, spec: Mapping[str, Any], canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int
    ) -> list[np.ndarray]:
        """The canvas after operation ``turn``, if the whole pattern lies inside the region."""
        pattern = _read(canvas_HW)
        if pattern is None or not 1 <= turn <= len(spec["operations"]) or not np.asarray(region_HW)[PATTERN].all():
            return []
        return [_write(canvas_HW, apply_operation(pattern, spec["operations"][turn - 1]))]

    def check_answer(self, spec: Mapping[str, Any], canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """``<n> <colour>``: all operations are done, and the pattern shows n of the colour."""
        if len(words) != 2 or words[0] not in NUMBERS or words[1] not in COLOURS:
            return verdict("not of the form: number colour", False, False, False)
        pattern = _read(canvas_HW)
        if pattern is None:
            return verdict("the pattern cannot be read", True, False, False)
        changed = self._changed(spec, canvas_HW)
        if changed:
            return verdict(changed, True, False, False)
        shown, useful = pattern.count(COLOURS.index(words[1]) + 1), self.is_solved(spec, canvas_HW)
        if shown != NUMBERS[words[0]]:
            return verdict(f"the pattern shows {shown} {words[1]}, not {words[0]}", True, False, useful)
        return verdict("true" if useful else "the pattern is not finished", True, True, useful)

    def is_solved(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> bool:
        """Does the canvas show the pattern after all operations?"""
        return _read(canvas_HW) == _spec_history(spec)[-1] and self._changed(spec, canvas_HW) is None

    def _changed(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> str | None:
        """What of the frame and the operations is no longer there, in words."""
        return spoiled(canvas_HW, self.canvas(spec), region_mask([PATTERN_BOX]))

    def _drawn(self, spec: Mapping[str, Any], pattern: Sequence[int]) -> np.ndarray:
        canvas_HW = _write(EMPTY_CANVAS, pattern)
        icons = [CELL_ID[f"operation_{operation}"] for operation in spec["operations"]]
        canvas_HW[OPERATION_ROW, FIRST_COLUMN : FIRST_COLUMN + len(icons)] = icons
        return canvas_HW
