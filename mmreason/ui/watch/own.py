"""The visitor's own puzzle: a board to click for maze and sudoku, JSON for all four tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mmreason.errors import MMReasonError
from mmreason.records import GRID, Problem
from mmreason.tasks import TASKS, atlas, problem_from_json
from mmreason.tasks.maze import SYMBOLS
from mmreason.tasks.sudoku import SIDE
from mmreason.ui.solve.request import parse_puzzle

KINDS = ("maze", "sudoku", "JSON")

BOARDS: dict[str, tuple[str, int, tuple[Any, ...]]] = {  # field, side, and what a cell may hold
    "maze": ("rows", GRID, tuple(SYMBOLS)),
    "sudoku": ("grid", SIDE, tuple(range(SIDE + 1))),
}
FIRST: dict[str, dict[str, Any]] = {
    "maze": {
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
    },
    "sudoku": {"task": "sudoku", "grid": [[1, 2, 3, 4], [3, 4, 1, 0], [2, 0, 4, 3], [0, 3, 0, 1]]},
}
FIRST_TEXT = json.dumps({"task": "jigsaw", "picture_seed": 7, "swaps": [["r1c1", "r2c4"], ["r3c2", "r4c3"]]})


def own_puzzle(kind: str, board: Any, text: str) -> dict[str, Any]:
    """The puzzle as JSON, from the board or from the text; raises ProblemError."""
    if kind == "JSON":
        return parse_puzzle(text)
    return dict(board) if isinstance(board, Mapping) else {"task": kind}


def check(kind: str, board: Any, text: str) -> tuple[Problem | None, str]:
    """The problem if it can be solved, and a sentence that says so or why not."""
    try:
        problem = problem_from_json(own_puzzle(kind, board, text))
    except MMReasonError as error:
        return None, f"✗ This cannot be solved: {_on_a_board(str(error))}."
    turns = "1 turn" if problem.turns == 1 else f"{problem.turns} turns"
    return problem, f"✓ This {problem.task} can be solved, in {turns}."


def as_it_stands(kind: str, board: Any) -> Problem | None:
    """What the visitor has put on the board, to be looked at only: it may be no puzzle yet, and needs no turns."""
    name, side, marks = BOARDS.get(kind, ("", 0, ()))
    lines = board.get(name) if isinstance(board, Mapping) else None
    if not isinstance(lines, list) or len(lines) != side:
        return None
    if any(not isinstance(line, str | list) or len(line) != side for line in lines):
        return None
    if any(mark not in marks for line in lines for mark in line):
        return None
    task = TASKS[kind]
    canvas_HW = task.canvas(board)
    return Problem(kind, dict(board), canvas_HW, atlas().draw(kind, canvas_HW), task.question, turns=0)


def _on_a_board(reason: str) -> str:
    """A reason without the names of the problem file's fields."""
    for field, instead in (("rows: ", ""), ("grid: ", ""), ("rows ", "the maze "), ("grid ", "the grid ")):
        if reason.startswith(field):
            return instead + reason.removeprefix(field)
    return reason
