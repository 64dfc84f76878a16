"""Maze: walk from the start to the goal along a shortest path, one straight leg a turn.

Problem file, one JSON object::

    {"task": "maze", "rows": ["S.#.....", ...]}

``rows`` holds 8 strings of 8 characters: ``S`` start, ``G`` goal (exactly one each), ``D`` decoy goal
(none to four), ``#`` wall, ``.`` free.  Walls and decoys block; the goal must be reachable in at most
16 legs.  ``task`` may be left out.

A thought reads ``right 3 total 7 <edit> r2c2 r2c5``: direction, moves in this leg, moves made in all after
it, and the leg's two ends.  The answer reads ``<answer> 7 moves``.

Axes: H W canvas rows and columns.  Inside, a place is one integer, ``10 * row + column``, on a grid with a
border of one blocked cell all round.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
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
)
from mmreason.tasks.board import Board, Mark
from mmreason.tasks.task import NO_HINT, Spec, Task, checked_object, shown, spoiled, verdict

CELLS = ("floor", "wall", "agent", "goal", "decoy", "trail", "agent_on_goal")
FLOOR, WALL, AGENT, GOAL, DECOY, TRAIL, AGENT_ON_GOAL = range(len(CELLS))
SYMBOLS = {".": FLOOR, "#": WALL, "S": AGENT, "G": GOAL, "D": DECOY}

DIRECTIONS = ("right", "down", "left", "up")  # in the order that the demonstration prefers
STEPS = (1, 10, -1, -10)
FAR = 99  # the distance of blocked and unreachable places

MAX_LEGS = 16
MAX_DECOYS = 4
MAX_LAYOUTS = 8192  # wall layouts that one call of generate may try

_PLACES = tuple(10 * row + column for row in range(1, GRID + 1) for column in range(1, GRID + 1))
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,2})\Z")


@dataclass(frozen=True, slots=True)
class MazeConfig:
    """What one difficulty asks for; ranges are inclusive."""

    legs: tuple[int, int]
    walls: float  # fraction of the canvas
    decoys: tuple[int, int]


CONFIGS: Mapping[Difficulty, MazeConfig] = {
    "easy": MazeConfig(legs=(2, 3), walls=0.20, decoys=(1, 1)),
    "medium": MazeConfig(legs=(3, 5), walls=0.25, decoys=(1, 2)),
    "hard": MazeConfig(legs=(5, 8), walls=0.30, decoys=(2, 2)),
}


# Drawing

_FLOOR, _SEAM, _WHITE, _GLOW = (246, 243, 236), (226, 221, 210), (255, 255, 255), (250, 232, 130)
_WALL, _WALL_TOP, _WALL_LOW = (62, 68, 82), (98, 106, 124), (40, 44, 55)
_BLUE, _DEEP_BLUE, _SKY = (0, 114, 178), (0, 70, 120), (86, 180, 233)
_GREEN, _DEEP_GREEN, _ORANGE, _DEEP_ORANGE = (0, 158, 115), (0, 96, 70), (226, 110, 10), (150, 62, 0)
_SUPERSAMPLE = 8


def draw_cell(name: str) -> Image.Image:
    """The 16 × 16 RGB drawing of one of ``CELLS``."""
    side = CELL_PX * _SUPERSAMPLE
    image = Image.new("RGB", (side, side), _FLOOR)
    draw = ImageDraw.Draw(image)

    def px(*values: float) -> list[int]:
        return [round(value * _SUPERSAMPLE) for value in values]

    def disc(x: float, y: float, radius: float, ink: tuple[int, int, int]) -> None:
        draw.ellipse(px(x - radius, y - radius, x + radius, y + radius), fill=ink)

    def star(radius: float, ink: tuple[int, int, int]) -> None:
        turns = [(math.pi * k / 5, radius if k % 2 == 0 else radius * 0.5) for k in range(10)]
        draw.polygon([tuple(px(8 + r * math.sin(a), 8.3 - r * math.cos(a))) for a, r in turns], fill=ink)

    def walker(x: float, y: float, size: float) -> None:
        disc(x, y, 5.2 * size, _DEEP_BLUE)
        disc(x, y, 4.2 * size, _BLUE)
        for side in (-1, 1):
            disc(x + side * 1.8 * size, y - 0.8 * size, 1.15 * size, _WHITE)

    if name == "wall":
        draw.rectangle(px(0, 0, 16, 16), fill=_WALL)
        draw.rectangle(px(0, 0, 16, 2), fill=_WALL_TOP)
        draw.rectangle(px(0, 14, 16, 16), fill=_WALL_LOW)
        return image.resize((CELL_PX, CELL_PX), Image.Resampling.BOX)
    if name == "agent_on_goal":
        draw.rectangle(px(0, 0, 16, 16), fill=_GLOW)
    draw.line(px(0, 15.5, 16, 15.5), fill=_SEAM, width=_SUPERSAMPLE)
    draw.line(px(15.5, 0, 15.5, 16), fill=_SEAM, width=_SUPERSAMPLE)
    if name == "agent":
        walker(7.5, 7.5, 1.1)
    elif name == "goal":
        star(7.6, _DEEP_GREEN)
        star(6.0, _GREEN)
    elif name == "agent_on_goal":
        star(8.2, _DEEP_GREEN)
        star(7.0, _GREEN)
        walker(8, 8.3, 0.85)
    elif name == "decoy":
        for radius, ink in ((6.6, _DEEP_ORANGE), (5.2, _ORANGE), (2.2, _FLOOR)):
            x, y = 7.5, 7.5
            corners = [(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)]
            draw.polygon([tuple(px(*corner)) for corner in corners], fill=ink)
    elif name == "trail":
        disc(7.5, 7.5, 2.9, _BLUE)
        disc(7.5, 7.5, 2.1, _SKY)
    elif name != "floor":
        raise ValueError(f"cell must be one of {', '.join(CELLS)}, got {name!r}")
    return image.resize((CELL_PX, CELL_PX), Image.Resampling.BOX)


# Solving


def _search(blocked: list[bool], goal: int) -> tuple[list[int], list[int]]:
    """Moves to ``goal`` from every place (``FAR`` if there is no path), and the places by distance."""
    distance = [FAR] * 100
    distance[goal] = 0
    order = [goal]
    for place in order:
        near = distance[place] + 1
        for step in STEPS:
            after = place + step
            if distance[after] == FAR and not blocked[after]:
                distance[after] = near
                order.append(after)
    return distance, order


@lru_cache(maxsize=4096)
def _distances(text: str) -> tuple[int, ...]:
    """Moves to the goal from every place of the maze whose rows, joined, are ``text``."""
    blocked = [True] * 100
    for place, symbol in zip(_PLACES, text, strict=True):
        blocked[place] = symbol in "#D"
    return tuple(_search(blocked, _PLACES[text.index("G")])[0])


def _canonical_leg(distance: Sequence[int], place: int) -> tuple[int, int, int] | None:
    """Direction, moves and end of the leg that the demonstration takes from ``place``; None at the goal."""
    for direction, step in enumerate(STEPS):
        end = place + step
        if distance[end] == distance[place] - 1:
            length = 1
            while distance[end + step] == distance[end] - 1:
                end += step
                length += 1
            return direction, length, end
    return None


def _text(spec: Spec) -> str:
    return "".join(spec["rows"])


def _start(spec: Spec) -> int:
    return _PLACES[_text(spec).index("S")]


def _goal(spec: Spec) -> int:
    return _PLACES[_text(spec).index("G")]


def _legs(distance: Sequence[int], place: int) -> list[tuple[int, int, int]]:
    """The canonical legs from ``place`` to the goal."""
    legs = []
    while (leg := _canonical_leg(distance, place)) is not None:
        legs.append(leg)
        place = leg[2]
    return legs


def _name(place: int) -> str:
    return cell_word(*divmod(place, 10))


def _walk(canvas_HW: np.ndarray, start: int, step: int, length: int, goal: int) -> np.ndarray:
    """The canvas after a leg: trail where the agent was, the agent where it ends."""
    after_HW = canvas_HW.copy()
    for k in range(length):
        row, column = divmod(start + k * step, 10)
        after_HW[row - 1, column - 1] = TRAIL
    end = start + length * step
    row, column = divmod(end, 10)
    after_HW[row - 1, column - 1] = AGENT_ON_GOAL if end == goal else AGENT
    return after_HW


def _places_of(canvas_HW: np.ndarray, *cells: int) -> list[int]:
    """Places where the canvas shows one of ``cells``."""
    return [place for place, cell in zip(_PLACES, canvas_HW.ravel().tolist(), strict=True) if cell in cells]


# Reading a user's file


def _checked_rows(data: Any) -> list[str]:
    """The eight rows of a user's object, each of the right length and characters."""
    rows = checked_object("maze", data, "rows")["rows"]
    if not isinstance(rows, list | tuple) or len(rows) != GRID:
        raise ProblemError(f"rows must be a list of 8 strings, got {shown(rows)}")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, str) or len(row) != GRID:
            raise ProblemError(f"rows: row {number} must be a string of 8 characters, got {shown(row)}")
        for column, symbol in enumerate(row, 1):
            if symbol not in SYMBOLS:
                where = cell_word(number, column)
                raise ProblemError(f"rows: {where} must be one of S, G, D, # and '.', got {symbol!r}")
    return [str(row) for row in rows]


class Maze(Task):
    """Shortest paths in a walled grid, one straight leg a turn; see ``mmreason.tasks.task.Task``."""

    name = "maze"
    question = "How many moves does a shortest path to the goal take?"
    words = ("up", "down", "left", "right", "total", "moves")
    example: Mapping[str, Any] = {
        "task": "maze",
        "rows": [
            "S.#.....",
            "..#..##.",
            ".....#..",
            ".##..#.#",
            "...D.#..",
            ".#...##.",
            ".#.#...G",
            "....#...",
        ],
    }
    board = Board(
        field="rows",
        side=GRID,
        marks=(
            Mark(".", "floor"),
            Mark("#", "wall", ground="#3e4452"),
            Mark("S", "start", "●", ink="#0072b2"),
            Mark("G", "goal", "★", ink="#009e73"),
            Mark("D", "decoy", "◎", ink="#d26608"),
        ),
        click="put",
        single=("S", "G"),
    )
    cells: tuple[str, ...] = CELLS
    turns: Mapping[Difficulty, tuple[int, int]] = {key: config.legs for key, config in CONFIGS.items()}
    num_hints = len(DIRECTIONS) * (GRID - 1)

    def draw_cell(self, name: str) -> Image.Image:
        """The 16 × 16 RGB drawing of one cell."""
        return draw_cell(name)

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> Spec | None:
        """A maze whose canonical solution has a uniformly drawn number of legs.

        The number of legs comes first; then random layouts follow until one has such a start.
        """
        config = CONFIGS[difficulty]
        legs = int(rng.integers(config.legs[0], config.legs[1] + 1))
        num_decoys = int(rng.integers(config.decoys[0], config.decoys[1] + 1))
        num_walls = round(config.walls * GRID * GRID)
        num_blocked = num_walls + num_decoys
        num_tried, batch = 0, 4
        while num_tried < MAX_LAYOUTS:
            for shuffled in rng.permuted(np.tile(_PLACES, (batch, 1)), axis=1).tolist():
                blocked = [True] * 100
                for place in shuffled[num_blocked:]:
                    blocked[place] = False
                goal = shuffled[num_blocked]
                distance, order = _search(blocked, goal)
                num_legs = [0] * 100
                for place in order:
                    if leg := _canonical_leg(distance, place):
                        num_legs[place] = num_legs[leg[2]] + 1
                starts = [place for place in order if num_legs[place] == legs]
                if starts:
                    start = starts[int(rng.integers(len(starts)))]
                    symbols = dict.fromkeys(shuffled[:num_walls], "#")
                    symbols |= dict.fromkeys(shuffled[num_walls:num_blocked], "D")
                    symbols |= {goal: "G", start: "S"}
                    text = "".join(symbols.get(place, ".") for place in _PLACES)
                    return {"task": "maze", "rows": [text[k : k + GRID] for k in range(0, GRID * GRID, GRID)]}
            num_tried += batch
            batch = min(2 * batch, 64)
        return None

    def parse(self, data: Mapping[str, Any]) -> Spec:
        """Check a user's maze; raises ProblemError with one sentence that says what is wrong."""
        rows = _checked_rows(data)
        text = "".join(rows)
        for symbol, what in (("S", "start"), ("G", "goal")):
            if text.count(symbol) != 1:
                raise ProblemError(f"rows must hold exactly one {what} {symbol}, got {text.count(symbol)}")
        if text.count("D") > MAX_DECOYS:
            raise ProblemError(f"rows may hold at most {MAX_DECOYS} decoys D, got {text.count('D')}")
        spec = {"task": "maze", "rows": rows}
        distance, start = _distances(text), _start(spec)
        if distance[start] == FAR:
            raise ProblemError(f"rows: no free path leads from the start at {_name(start)} to the goal")
        legs = len(_legs(distance, start))
        if legs > MAX_LEGS:
            raise ProblemError(f"rows: the way to the goal takes {legs} straight legs, at most {MAX_LEGS} fit")
        return spec

    def canvas(self, spec: Spec) -> np.ndarray:
        """The start canvas, (H, W) cell ids."""
        return np.array([[SYMBOLS[symbol] for symbol in row] for row in spec["rows"]], dtype=np.int16)

    def turns_needed(self, spec: Spec) -> int:
        """Legs of the canonical solution."""
        return len(_legs(_distances(_text(spec)), _start(spec)))

    def demonstrate(self, spec: Spec) -> Demonstration:
        """Always the first of right, down, left, up that comes nearer, and as far as it does."""
        distance, place, goal = _distances(_text(spec)), _start(spec), _goal(spec)
        canvas_HW, total, steps = self.canvas(spec), 0, []
        for direction, length, end in _legs(distance, place):
            total += length
            canvas_HW = _walk(canvas_HW, place, STEPS[direction], length, goal)
            box = f"{_name(place)} {_name(end)}"
            steps.append(Step(f"{DIRECTIONS[direction]} {length} total {total} {EDIT} {box}", canvas_HW))
            place = end
        return Demonstration(tuple(steps), f"{ANSWER} {total} moves")

    def hints(self, spec: Spec) -> np.ndarray:
        """Direction and length of the canonical leg from every free cell that has one."""
        distance = _distances(_text(spec))
        hints_HW = np.full((GRID, GRID), NO_HINT, dtype=np.int16)
        for place in _PLACES:
            if distance[place] != FAR and (leg := _canonical_leg(distance, place)) is not None:
                row, column = divmod(place, 10)
                hints_HW[row - 1, column - 1] = leg[0] * (GRID - 1) + leg[1] - 1
        return hints_HW

    def candidates(self, spec: Spec, canvas_HW: np.ndarray) -> Iterator[str]:
        """The canonical leg from where the agent is shown, wherever that is, then those of the demonstration."""
        distance, agents = _distances(_text(spec)), _places_of(canvas_HW, AGENT, AGENT_ON_GOAL)
        if len(agents) == 1 and distance[agents[0]] != FAR and (leg := _canonical_leg(distance, agents[0])):
            direction, length, end = leg
            total = len(_places_of(canvas_HW, TRAIL)) + length
            yield f"{DIRECTIONS[direction]} {length} total {total} {EDIT} {_name(agents[0])} {_name(end)}"
        yield from super().candidates(spec, canvas_HW)

    def check_thought(
        self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], boxes: Sequence[Box], turn: int
    ) -> Verdict:
        """Does the leg fit the canvas shown, with the right total and box, on a shortest path?"""
        match list(words), list(boxes):
            case [direction, moves, "total", total], [box] if (
                direction in DIRECTIONS and _NUMBER.match(moves) and _NUMBER.match(total) and moves != "0"
            ):
                step, length = STEPS[DIRECTIONS.index(direction)], int(moves)
            case _, [_]:
                return verdict("a thought reads: direction, number, total, number", well_formed=False)
            case _, others:
                return verdict(f"a leg has one box, got {len(others)}", well_formed=False)
        agents = _places_of(canvas_HW, AGENT, AGENT_ON_GOAL)
        if len(agents) != 1:
            return verdict(f"the canvas shows {len(agents) or 'no'} agent{'s' * (len(agents) > 1)}")
        distance, start, text = _distances(_text(spec)), agents[0], _text(spec)
        obstacle = nearer = None
        for k in range(1, length + 1):
            place = start + k * step
            if place not in _PLACES:
                obstacle = f"the leg leaves the maze at {_name(place - step)}"
                break
            symbol = text[_PLACES.index(place)]
            if symbol in "#D":
                obstacle = f"{'wall' if symbol == '#' else 'decoy'} at {_name(place)}"
                break
            if nearer is None and distance[place] != distance[place - step] - 1:
                nearer = f"{_name(place)} is no nearer to the goal"
        end, shown_total = start + length * step, len(_places_of(canvas_HW, TRAIL)) + length
        false = obstacle
        if false is None and int(total) != shown_total:
            false = f"the total is {shown_total}, not {total}"
        if false is None and box != Box.between(divmod(start, 10), divmod(end, 10)):
            false = "box does not match the leg"
        useful = obstacle is None and nearer is None
        return verdict(false or nearer or "true", true=false is None, useful=useful)

    def carry_out(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], turn: int) -> np.ndarray | None:
        """The canvas after the leg that the thought names, wherever it leads inside the maze."""
        agents = _places_of(canvas_HW, AGENT, AGENT_ON_GOAL)
        if len(words) < 2 or words[0] not in DIRECTIONS or not _NUMBER.match(words[1]) or len(agents) != 1:
            return None
        step, length = STEPS[DIRECTIONS.index(words[0])], int(words[1])
        if not all(agents[0] + k * step in _PLACES for k in range(min(length, 10) + 1)):
            return None
        return _walk(canvas_HW, agents[0], step, length, _goal(spec))

    def accepted_edits(self, spec: Spec, canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int) -> list[np.ndarray]:
        """The canvas after every useful leg, of any length, whose cells all lie inside the region."""
        agents = _places_of(canvas_HW, AGENT, AGENT_ON_GOAL)
        if len(agents) != 1:
            return []
        distance, goal, start = _distances(_text(spec)), _goal(spec), agents[0]
        inside = {place for place, is_in in zip(_PLACES, region_HW.ravel().tolist(), strict=True) if is_in}
        edits = []
        for step in STEPS:
            place, length = start, 0
            while place in inside and place + step in inside and distance[place + step] == distance[place] - 1:
                place += step
                length += 1
                edits.append(_walk(canvas_HW, start, step, length, goal))
        return edits

    def check_answer(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """Is the goal reached by a shortest path, and is that its number of moves?"""
        match list(words):
            case [number, "moves"] if _NUMBER.match(number):
                moves = int(number)
            case _:
                return verdict("an answer reads: number, moves", well_formed=False)
        unsolved = self._unsolved(spec, canvas_HW)
        total = len(_places_of(canvas_HW, TRAIL))
        false = unsolved or (None if moves == total else f"{total} moves are shown, not {moves}")
        return verdict(false or "true", true=false is None, useful=unsolved is None)

    def is_solved(self, spec: Spec, canvas_HW: np.ndarray) -> bool:
        """Does the canvas show the agent on the goal behind a shortest trail from the start?"""
        return self._unsolved(spec, canvas_HW) is None

    def _unsolved(self, spec: Spec, canvas_HW: np.ndarray) -> str | None:
        """Why the maze is not finished, or None when it is."""
        distance, goal = _distances(_text(spec)), _goal(spec)
        if _places_of(canvas_HW, AGENT_ON_GOAL) != [goal] or _places_of(canvas_HW, AGENT):
            return "the goal is not reached"
        path = sorted([*_places_of(canvas_HW, TRAIL), goal], key=lambda place: -distance[place])
        joined = all(b - a in STEPS and distance[b] == distance[a] - 1 for a, b in pairwise(path))
        if not joined or path[0] != _start(spec):
            return "the trail is not a shortest path"
        return spoiled(canvas_HW, self.canvas(spec), np.isin(canvas_HW, (TRAIL, AGENT_ON_GOAL)))
