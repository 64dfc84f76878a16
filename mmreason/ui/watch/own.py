"""The visitor's own puzzle: a board to click for tasks that have one, JSON for every task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mmreason.errors import MMReasonError
from mmreason.records import Problem
from mmreason.tasks import TASKS, atlas, problem_from_json
from mmreason.ui.solve.request import parse_puzzle
from mmreason.wording import counted

JSON = "JSON"
BOARDS = {name: task.board for name, task in TASKS.items() if task.board is not None}
KINDS = (*BOARDS, JSON)
UNDRAWN = "Your own puzzle has no difficulty and no seed: choosing either brings back a random puzzle"


def on_board(puzzle: Mapping[str, Any]) -> dict[str, Any]:
    """The value of the board's component: a puzzle, and the board that its task has."""
    return {"puzzle": dict(puzzle), "board": BOARDS[puzzle["task"]].plain}


def first_board(kind: str) -> dict[str, Any] | None:
    """The board of ``kind`` as it is ``first``: what was set up before takes its place; None where there is none."""
    return on_board(TASKS[kind].example) | {"first": True} if kind in BOARDS else None


def kind_for(task: Any) -> str:
    """How a puzzle of ``task`` is set up."""
    return task if isinstance(task, str) and task in BOARDS else JSON


def as_text(task: Any, board: Any = None) -> str:
    """A puzzle as JSON: what is on the board, else the first of ``task``."""
    puzzle = _puzzle(board)
    if not isinstance(puzzle, Mapping):
        puzzle = TASKS[task].example if isinstance(task, str) and task in TASKS else {}
    return json.dumps(dict(puzzle))


def own_puzzle(kind: str, board: Any, text: str) -> dict[str, Any]:
    """The puzzle as JSON, from the board or from the text; raises ProblemError."""
    if kind == JSON:
        return parse_puzzle(text)
    puzzle = _puzzle(board)
    return dict(puzzle) if isinstance(puzzle, Mapping) else {"task": kind}


def check(kind: str, board: Any, text: str) -> tuple[Problem | None, str]:
    """The problem if it can be solved, and a sentence that says so or why not."""
    try:
        problem = problem_from_json(own_puzzle(kind, board, text))
    except MMReasonError as error:
        return None, f"✗ This cannot be solved: {_on_a_board(kind, str(error), _puzzle(board))}."
    turns = counted(problem.turns, "turn")
    return problem, f"✓ This {TASKS[problem.task].label} can be solved, in {turns}."


def told(kind: str, says: str) -> str | dict[str, Any]:
    """What the page shows of such a sentence: what is wrong is red, in one place for boards and text."""
    if not says.startswith("✗"):
        return says
    return {"says": says, "wrong": True} | ({"at": "own-text", "here": True} if kind == JSON else {})


def as_it_stands(kind: str, board: Any) -> Problem | None:
    """What the visitor has put on the board, to be looked at only: it may be no puzzle yet, and needs no turns."""
    puzzle = _puzzle(board)
    if not isinstance(kind, str) or kind not in BOARDS or not BOARDS[kind].holds(puzzle):
        return None
    task = TASKS[kind]
    canvas_HW = task.canvas(puzzle)
    return Problem(kind, dict(puzzle), canvas_HW, atlas().draw(kind, canvas_HW), task.question, turns=0)


def _puzzle(board: Any) -> Any:
    """What is on the board, as the component says it."""
    return board.get("puzzle") if isinstance(board, Mapping) else None


def _on_a_board(kind: str, reason: str, puzzle: Any) -> str:
    """A reason without the name of the problem file's field, which a board does not show."""
    if not isinstance(kind, str) or kind not in BOARDS:
        return reason
    if BOARDS[kind].nothing and BOARDS[kind].lacks(puzzle):
        return f"{BOARDS[kind].nothing} yet"
    field = BOARDS[kind].field
    for begins, instead in ((f"{field}: ", ""), (f"{field} ", f"the {kind} ")):
        if reason.startswith(begins):
            return instead + reason.removeprefix(begins)
    return reason
