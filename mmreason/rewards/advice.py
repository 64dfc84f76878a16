"""What would have been right: the expected solution, and the first wrong turn of a failure.

Axes: H W canvas, N drawings, C codes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmreason.records import EDIT, GRID, NUM_CELLS, Problem, Segment, Step, Trace, parse_boxes
from mmreason.rewards.verify import Verifier
from mmreason.tasks import TASKS, atlas


def code_of_cell(sheet: np.ndarray) -> np.ndarray:
    """(N,) code whose decoded pixels come nearest to each drawing of the atlas; ``sheet`` is (C, 16, 16, 3)."""
    cells = atlas().pixels.reshape(len(atlas().pixels), -1).astype(np.float32)
    codes = sheet.reshape(len(sheet), -1).astype(np.float32)
    return ((codes**2).sum(1) - 2 * cells @ codes.T).argmin(1)


def codes_of(problem: Problem, canvas_HW: np.ndarray, code_N: np.ndarray) -> list[int]:
    """The 64 codes that draw a canvas of local cell ids."""
    return code_N[atlas().global_ids(problem.task, canvas_HW)].ravel().tolist()


def expected_solution(problem: Problem, code_N: np.ndarray) -> dict[str, Any]:
    """The demonstration as the player shows it: ``steps`` of thought and canvas codes, and the ``answer``."""
    demonstration = TASKS[problem.task].demonstrate(problem.spec)
    steps = [{"thought": s.thought, "codes": codes_of(problem, s.canvas, code_N)} for s in demonstration.steps]
    return {"steps": steps, "answer": demonstration.answer}


def first_wrong(trace: Trace, verifier: Verifier, code_N: np.ndarray) -> dict[str, Any] | None:
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
            right = _right_there(trace.problem, segment, thought, canvas_HW, code_N)
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
    problem: Problem, segment: Segment, thought: str, canvas_HW: np.ndarray, code_N: np.ndarray
) -> dict[str, Any]:
    """What was right instead of ``segment``, given the canvas that was shown and an edit's ``thought``."""
    task = TASKS[problem.task]
    if segment.kind == "edit":
        region_HW = np.isin(np.arange(NUM_CELLS), segment.cells).reshape(GRID, GRID)
        accepted = task.accepted_edits(problem.spec, canvas_HW, region_HW, segment.turn)
        said_HW = task.carry_out(problem.spec, canvas_HW, thought.partition(f" {EDIT}")[0].split(), segment.turn)
        if said_HW is not None and not accepted:  # a region that holds no useful drawing; the thought was right
            accepted = [said_HW]
        accepted.sort(key=lambda after_HW: said_HW is not None and np.array_equal(after_HW, said_HW))
        drawable = [after_HW for after_HW in accepted if (after_HW >= 0).all()]
        codes = codes_of(problem, drawable[-1], code_N) if drawable else None
        return {"right": None, "codes": codes, "from_start": False}
    demonstration = task.demonstrate(problem.spec)
    if task.is_solved(problem.spec, canvas_HW):
        return {"right": demonstration.answer, "codes": None, "from_start": False}
    for thought in task.candidates(problem.spec, canvas_HW):
        words = thought.split()
        boxes = parse_boxes(words)
        said = words[: words.index(EDIT)]
        if not isinstance(boxes, str):
            verdict = task.check_thought(problem.spec, canvas_HW, said, boxes, segment.turn)
            if verdict.right:
                after_HW = task.carry_out(problem.spec, canvas_HW, said, segment.turn)
                codes = None if after_HW is None or (after_HW < 0).any() else codes_of(problem, after_HW, code_N)
                return {"right": thought, "codes": codes, "from_start": False}
    steps: tuple[Step, ...] = demonstration.steps
    if segment.turn <= len(steps):
        step = steps[segment.turn - 1]
        return {"right": step.thought, "codes": codes_of(problem, step.canvas, code_N), "from_start": True}
    return {"right": demonstration.answer, "codes": None, "from_start": True}
