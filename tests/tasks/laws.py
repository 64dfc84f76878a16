"""Laws that every task keeps, and how its thoughts are read; the tests of each task say on which of its puzzles."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from mmreason.records import ANSWER, EDIT, MAX_TEXT_TOKENS, Box, Difficulty, Verdict, parse_cell, region_mask
from mmreason.tasks.task import NO_HINT, Spec, Task


def boxes_of(words: Sequence[str]) -> list[Box] | None:
    """Boxes that pairs of cell words name, or None where they name none."""
    corners = [parse_cell(word) for word in words]
    if len(corners) % 2 or None in corners:
        return None
    return [Box.between(a, b) for a, b in zip(corners[::2], corners[1::2], strict=True) if a and b]


def split_thought(text: str) -> tuple[list[str], list[Box]] | None:
    """Words before ``<edit>`` and boxes after it, or None where its boxes do not parse."""
    said, _, boxed = text.partition(f" {EDIT} ")
    boxes = boxes_of(boxed.split())
    return None if boxes is None else (said.split(), boxes)


def is_solved_by_its_demonstration(task: Task, spec: Spec) -> None:
    """Each step is accepted in thought and edit, nothing is solved before the last, and the answer is right then."""
    canvas_HW, demonstration = task.canvas(spec), task.demonstrate(spec)
    word, *answer = demonstration.answer.split()
    assert word == ANSWER
    assert len(demonstration.steps) == task.turns_needed(spec)
    for turn, step in enumerate(demonstration.steps, 1):
        assert len(step.thought.split()) + 1 <= MAX_TEXT_TOKENS
        parts = split_thought(step.thought)
        assert parts is not None
        words, boxes = parts
        verdict = task.check_thought(spec, canvas_HW, words, boxes, turn)
        assert verdict == Verdict(True, "true", {"well_formed": 1.0, "true": 1.0, "useful": 1.0})
        accepted = task.accepted_edits(spec, canvas_HW, region_mask(boxes), turn)
        assert any(np.array_equal(step.canvas, after_HW) for after_HW in accepted)
        carried_HW = task.carry_out(spec, canvas_HW, words, turn)
        assert carried_HW is not None and np.array_equal(carried_HW, step.canvas)
        assert step.thought in task.candidates(spec, canvas_HW)
        canvas_HW = step.canvas
    assert task.is_solved(spec, canvas_HW)
    assert task.check_answer(spec, canvas_HW, answer).right


def is_pure_and_normal(task: Task, difficulty: Difficulty) -> None:
    """A spec is a function of the generator's seed, stays itself in a file, and draws the same canvas each time."""
    spec = task.generate(difficulty, np.random.default_rng(4))
    assert spec is not None and spec == task.generate(difficulty, np.random.default_rng(4))
    assert task.parse(json.loads(json.dumps(spec))) == spec
    assert next(iter(spec)) == "task"
    assert np.array_equal(task.canvas(spec), task.canvas(spec))
    assert task.canvas(spec).dtype == np.int16


def has_uniform_turns(task: Task, difficulty: Difficulty, draws: int = 900) -> None:
    """Turns needed fill the range of the difficulty evenly."""
    (low, high), rng = task.turns[difficulty], np.random.default_rng(4)
    made = [spec for _ in range(draws) if (spec := task.generate(difficulty, rng)) is not None]
    counts = Counter(task.turns_needed(spec) for spec in made)
    assert set(counts) == set(range(low, high + 1))
    expected = len(made) / (high - low + 1)
    assert all(abs(count - expected) < 4.5 * expected**0.5 for count in counts.values())


def has_drawings_that_differ(task: Task, least: float) -> None:
    """Drawings are small and RGB, and any two differ by ``least`` (root mean squared difference of a byte)."""
    drawings = [np.asarray(task.draw_cell(name), dtype=float) for name in task.cells]
    assert all(drawing.shape == (16, 16, 3) for drawing in drawings)
    assert all(np.sqrt(((a - b) ** 2).mean()) >= least for a, b in combinations(drawings, 2))


def has_hints_in_range(task: Task, spec: Spec) -> None:
    """Hints are labels below ``num_hints``, or none."""
    hints = task.hints(spec)
    given = hints[hints != NO_HINT]
    assert given.size == 0 or 0 <= given.min() <= given.max() < task.num_hints


def shows_an_example(task: Task) -> None:
    """The first puzzle is one, fits the board if there is one, and can be written as JSON."""
    example: Mapping[str, Any] = json.loads(json.dumps(dict(task.example)))
    assert task.parse(example) == dict(task.example)
    assert task.board is None or task.board.holds(example)
