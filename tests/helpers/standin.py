"""Stand-ins for a trained policy: traces built from demonstrations, and a pipeline that returns them.

Image codes equal the ids of the atlas, whose drawings are the sheet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from mmreason.layouts.vocabulary import vocabulary
from mmreason.records import (
    END,
    MASK,
    MAX_TEXT_TOKENS,
    NUM_CELLS,
    Cost,
    Frame,
    Problem,
    Segment,
    SegmentKind,
    Trace,
    parse_boxes,
    region_mask,
)
from mmreason.sampling.config import SamplingConfig
from mmreason.tasks import TASKS, atlas

WORDS = vocabulary()
SHEET = atlas().pixels


def _frames(tokens: Sequence[int], mask: int, steps: int = 3) -> tuple[Frame, ...]:
    """``tokens`` committed from the left in ``steps`` equal shares."""
    shares = np.array_split(np.arange(len(tokens)), min(steps, len(tokens)))
    frames, shown = [], [mask] * len(tokens)
    for step, share in enumerate(shares, start=1):
        for i in share.tolist():
            shown[i] = tokens[i]
        frames.append(Frame(step, tuple(shown), tuple(share.tolist()), (math.log(0.9),) * len(share)))
    return tuple(frames)


def _text_segment(kind: SegmentKind, turn: int, text: str) -> Segment:
    words = [*text.split(), END]
    words += [END] * (MAX_TEXT_TOKENS - len(words))
    tokens = tuple(WORDS.index(word) for word in words)
    return Segment(kind, turn, tokens, _frames(tokens, WORDS.index(MASK)), text=text)


def stand_in_trace(problem: Problem, answer: str | None = None, num_turns: int | None = None) -> Trace:
    """An unscored trace of the demonstration, cut to ``num_turns`` and with another ``answer`` if given."""
    demonstration = TASKS[problem.task].demonstrate(problem.spec)
    canvas = (atlas().global_ids(problem.task, problem.canvas) + len(WORDS)).reshape(NUM_CELLS)
    segments: list[Segment] = []
    steps = demonstration.steps[:num_turns]
    for turn, step in enumerate(steps, start=1):
        segments.append(_text_segment("thought", turn, step.thought))
        boxes = parse_boxes(step.thought.split())
        assert not isinstance(boxes, str)
        cells = np.flatnonzero(region_mask(boxes))
        after = (atlas().global_ids(problem.task, step.canvas) + len(WORDS)).reshape(NUM_CELLS)
        tokens = tuple(after[cells].tolist())
        frames = _frames(tokens, WORDS.index(MASK))
        places = tuple(cells.tolist())
        segments.append(Segment("edit", turn, tokens, frames, boxes=tuple(boxes), cells=places))
    segments.append(_text_segment("answer", len(steps) + 1, answer or demonstration.answer))
    settings = {"temperature": 0.0, "num_steps": 3, "threshold": None, "order": "confidence"}
    settings |= {"region": "stated", "max_turns": 16}
    start, cost = tuple(canvas.tolist()), Cost(9, 300, 1e6, 0.1)
    return Trace(problem, start, tuple(segments), "answered", False, cost, settings)


def partial(trace: Trace) -> Trace:
    """``trace`` as a stream shows it in the middle of its last segment but one, an edit."""
    *done, edit, _ = trace.segments
    frames = edit.frames[:1]
    unscored = {"reward": None, "verdict": None, "transition": None}
    unfinished = replace(edit, tokens=frames[0].tokens, frames=frames, **unscored)
    return replace(trace, segments=(*done, unfinished), end_reason="", success=False)


class StandInPipe:
    """Solves a problem when ``solves(problem, seed)`` says so, and else gives a wrong answer at once."""

    words, sheet, fingerprint = WORDS, SHEET, "0123456789ab"

    def __init__(self, solves=lambda problem, seed: True) -> None:
        self.solves = solves
        self.batches: list[int] = []

    def __call__(self, problems: Sequence[Problem], config: SamplingConfig, seeds: Sequence[int]):
        self.batches.append(len(problems))
        traces = [
            stand_in_trace(p) if self.solves(p, seed) else stand_in_trace(p, "<answer> 63 moves", num_turns=0)
            for p, seed in zip(problems, seeds, strict=True)
        ]
        return SimpleNamespace(traces=traces)
