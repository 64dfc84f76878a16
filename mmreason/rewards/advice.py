"""What would have been right: the expected solution, and the first wrong turn of a failure.

Axes: H W canvas, N drawings, C codes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmreason.records import (
    CELL_PX,
    GRID,
    NUM_CELLS,
    Problem,
    Segment,
    Step,
    Trace,
    claim_words,
    marked_words,
    parse_boxes,
)
from mmreason.rewards.verify import Verifier
from mmreason.tasks import TASKS, atlas, blamed_on, demonstrated, task_named
from mmreason.tasks.atlas import split_cells
from mmreason.tasks.picture import PictureTask


def code_of_cell(sheet: np.ndarray) -> np.ndarray:
    """(N,) code whose decoded pixels come nearest to each drawing of the atlas; ``sheet`` is (C, 16, 16, 3)."""
    return _nearest(atlas().pixels, sheet)


def _nearest(cells: np.ndarray, sheet: np.ndarray) -> np.ndarray:
    flat = cells.reshape(len(cells), -1).astype(np.float32)
    codes = sheet.reshape(len(sheet), -1).astype(np.float32)
    return ((codes**2).sum(1) - 2 * flat @ codes.T).argmin(1)


class Codes:
    """Canvases as codes of a (C, 16, 16, 3) ``sheet``, for showing what was right."""

    def __init__(self, sheet: np.ndarray) -> None:
        self.sheet = sheet
        self._of_cell: np.ndarray | None = None

    def of(self, problem: Problem, canvas_HW: np.ndarray) -> list[int] | None:
        """The 64 codes that draw a canvas; None for one of cells that are none of the task's."""
        task = TASKS[problem.task]
        if isinstance(task, PictureTask):
            return _nearest(
                split_cells(task.image(canvas_HW)).reshape(NUM_CELLS, CELL_PX, CELL_PX, 3), self.sheet
            ).tolist()
        if (canvas_HW < 0).any():
            return None
        globals_HW = atlas().global_ids(problem.task, canvas_HW)
        if self._of_cell is None or len(self._of_cell) <= globals_HW.max():
            self._of_cell = code_of_cell(self.sheet)
        return self._of_cell[globals_HW].ravel().tolist()


def expected_solution(problem: Problem, codes: Codes) -> dict[str, Any] | None:
    """The demonstration as the player shows it: ``steps`` of thought and canvas codes, and the ``answer``.

    None of a task that has no demonstrations.
    """
    if not TASKS[problem.task].demonstrates:
        return None
    demonstration = demonstrated(problem.task, problem.spec)
    steps = [{"thought": s.thought, "codes": codes.of(problem, s.canvas)} for s in demonstration.steps]
    return {"steps": steps, "answer": demonstration.answer}


def parts_right(trace: Trace, verifier: Verifier) -> dict[str, bool]:
    """Of a run that ended: does its last ``picture`` solve the puzzle, and is what it said as ``answer`` true?

    Both may be, and the trace no success: that asks for every thought and every edit on the way to be right.
    """
    tokens = np.array(trace.canvas_tokens)
    for segment in trace.segments:
        if segment.kind == "edit" and segment.verdict is not None:
            tokens[list(segment.cells)] = segment.tokens
    problem = trace.problem
    task = task_named(problem.task)
    with blamed_on(task):
        picture = task.is_solved(problem.spec, verifier.shown(problem.task, tokens))
    said = [s.verdict for s in trace.segments if s.kind == "answer" and s.verdict is not None]
    answer = bool(said) and bool(said[-1].components.get("true", said[-1].right))
    return {"picture": bool(picture), "answer": answer}


def first_wrong(trace: Trace, verifier: Verifier, codes: Codes) -> dict[str, Any] | None:
    """The first wrong segment of a finished failure: its place, why, and what was right there.

    Keys: ``segment`` (from 0), ``turn``, ``kind``, ``why``, ``right`` (words, or None), ``codes`` (the
    canvas that was right, or None) and ``from_start`` (no move could be derived from the canvas shown, so
    ``right`` is the canonical solution's step of that turn, from the start).
    """
    if trace.success or not trace.segments:
        return None
    tokens = np.array(trace.canvas_tokens)
    for index, segment in enumerate(trace.segments):
        if segment.verdict is not None and not segment.verdict.right:
            canvas_HW = verifier.shown(trace.problem.task, tokens.tolist())
            thought = trace.segments[index - 1].text if segment.kind == "edit" else ""
            with blamed_on(task_named(trace.problem.task)):
                right = _right_there(trace.problem, segment, thought, canvas_HW, codes)
            return {
                "segment": index,
                "turn": segment.turn,
                "kind": segment.kind,
                "why": segment.verdict.reason,
                **right,
            }
        if segment.kind == "edit":
            tokens[list(segment.cells)] = segment.tokens
    last = len(trace.segments) - 1
    why = trace.end_reason or "it ended too early"
    return {
        "segment": last,
        "turn": trace.segments[last].turn,
        "kind": "end",
        "why": why,
        "right": None,
        "codes": None,
        "from_start": False,
    }


def _right_there(
    problem: Problem, segment: Segment, thought: str, canvas_HW: np.ndarray, codes: Codes
) -> dict[str, Any]:
    """What was right instead of ``segment``, given the canvas that was shown and an edit's ``thought``."""
    task = TASKS[problem.task]
    if segment.kind == "edit":
        region_HW = task.region(np.isin(np.arange(NUM_CELLS), segment.cells).reshape(GRID, GRID))
        accepted = task.accepted_edits(problem.spec, canvas_HW, region_HW, segment.turn)
        said_HW = task.carry_out(problem.spec, canvas_HW, claim_words(thought), segment.turn)
        if said_HW is not None and not accepted:  # a region that holds no useful drawing; the thought was right
            accepted = [said_HW]
        accepted.sort(key=lambda after_HW: said_HW is not None and np.array_equal(after_HW, said_HW))
        drawn = [found for after_HW in accepted if (found := codes.of(problem, after_HW)) is not None]
        return {"right": None, "codes": drawn[-1] if drawn else None, "from_start": False}
    if not task.demonstrates:
        return {"right": None, "codes": None, "from_start": False}
    demonstration = task.demonstrate(problem.spec)
    if task.is_solved(problem.spec, canvas_HW):
        return {"right": demonstration.answer, "codes": None, "from_start": False}
    for thought in task.candidates(problem.spec, canvas_HW):
        boxes = parse_boxes(marked_words(thought))
        if not isinstance(boxes, str):
            said = claim_words(thought)
            verdict = task.check_thought(problem.spec, canvas_HW, said, boxes, segment.turn)
            if verdict.right:
                after_HW = task.carry_out(problem.spec, canvas_HW, said, segment.turn)
                drawn = None if after_HW is None else codes.of(problem, after_HW)
                return {"right": thought, "codes": drawn, "from_start": False}
    steps: tuple[Step, ...] = demonstration.steps
    if segment.turn <= len(steps):
        step = steps[segment.turn - 1]
        return {"right": step.thought, "codes": codes.of(problem, step.canvas), "from_start": True}
    return {"right": demonstration.answer, "codes": None, "from_start": True}
