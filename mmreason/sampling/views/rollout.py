"""One rollout of a public checkpoint while it is generated: its canvas, its segments, and why it ended.

A text that begins with ``<answer>`` is the answer.  Where the picture is a user's own, so is the last text, as
checkpoints that were never shown our puzzles do not know that mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from mmreason.codecs.codec import Codec
from mmreason.layouts.layout import Layout, State
from mmreason.layouts.view import View
from mmreason.records import ANSWER, Box, Cost, Frame, Problem, Segment, SegmentKind, Trace
from mmreason.sampling.rollout import ANSWERED, OUT_OF_TURNS
from mmreason.sampling.views.canvas import Canvas, start_canvas
from mmreason.sampling.views.region import boxes_in


@dataclass(slots=True)
class Draft:
    """The segment that is being denoised."""

    kind: SegmentKind
    turn: int
    length: int
    boxes: tuple[Box, ...] = ()
    cells: tuple[int, ...] = ()
    frames: list[Frame] = field(default_factory=list)


def asked(problem: Problem) -> str:
    """What the model is told of ``problem``, in words."""
    return "\n".join(filter(None, (problem.question, problem.prompt)))


def plain_thought(text: str, layout: Layout) -> str:
    """``text`` without what marks a part of a prompt: a thought must not be taken for one."""
    for mark in layout.prompt_marks:
        text = text.replace(mark, " ")
    return text.strip()


class ViewRollout:
    """Mutable while it runs; ``trace`` freezes what there is."""

    def __init__(
        self, problem: Problem, layout: Layout, codec: Codec, pixels: int | None, generator: torch.Generator
    ) -> None:
        self.problem, self.layout, self.codec, self.generator = problem, layout, codec, generator
        self.canvas: Canvas = start_canvas(problem, codec, pixels)
        self.start_codes = self.canvas.codes_HW.ravel() + layout.first_code
        self.segments: list[Segment] = []
        self.thoughts: list[str] = []
        self.draft: Draft | None = None
        self.end_reason = ""
        self.cost = Cost()

    @property
    def is_puzzle(self) -> bool:
        """True where the problem's cells are its own, not the codec's."""
        return bool(self.problem.canvas.size)

    def view(self, kind: SegmentKind, cells: np.ndarray | None = None) -> View:
        """What the model is shown for the next segment."""
        state = State(asked(self.problem), self.canvas.codes_HW, tuple(self.thoughts))
        return self.layout.view(state, kind, cells)

    def begin_text(self, turn: int, length: int) -> None:
        """Start a text; whether thought or answer shows when it is done."""
        self.draft = Draft("thought", turn, length)

    def begin_edit(self, turn: int, cells: np.ndarray, boxes: Sequence[Box]) -> None:
        """Start an edit of flat code indices; ``boxes`` if the thought named them."""
        self.draft = Draft("edit", turn, len(cells), tuple(boxes), tuple(cells.tolist()))

    def add_frame(self, frame: Frame, turn_limit: int) -> None:
        """Note a denoising step; the one that fills the last slot ends the segment."""
        draft = self.draft
        assert draft is not None
        draft.frames.append(frame)
        if sum(len(each.committed) for each in draft.frames) < draft.length:
            return
        segment = self._segment(draft, turn_limit)
        if segment.kind == "edit":
            codes = np.array(segment.tokens) - self.layout.first_code
            self.canvas.edit(np.array(segment.cells), codes, self.codec)
            segment = replace(segment, picture=self.canvas.pixels)
        else:
            self.thoughts.append(plain_thought(segment.text, self.layout))
        self.segments.append(segment)
        self.draft = None

    def follow(self, turn: int, turn_limit: int) -> None:
        """Read the text just finished: end here, or go on to an edit."""
        if self.segments[-1].kind == "answer":
            self.end_reason = ANSWERED
        elif turn > turn_limit:
            self.end_reason = OUT_OF_TURNS

    def stated(self) -> list[Box]:
        """The boxes that the last thought names; none where it names none."""
        return boxes_in(self.segments[-1].text, self.canvas.cells)

    def trace(self, settings: Mapping[str, Any]) -> Trace:
        """The rollout so far; an unfinished segment comes last."""
        segments = list(self.segments)
        if self.draft is not None and self.draft.frames:
            segments.append(self._segment(self.draft, 0))
        start = tuple(self.start_codes.tolist())
        return Trace(
            self.problem, start, tuple(segments), self.end_reason, False, self.cost, settings, self.canvas.grid
        )

    def _segment(self, draft: Draft, turn_limit: int) -> Segment:
        kind, text, tokens = draft.kind, "", draft.frames[-1].tokens
        if kind == "thought" and self.layout.mask not in tokens:
            text = self.layout.read(list(tokens)).strip()
            is_last = turn_limit > 0 and draft.turn > turn_limit and not self.is_puzzle
            kind = "answer" if is_last or text.startswith(ANSWER) else "thought"
        return Segment(kind, draft.turn, tokens, tuple(draft.frames), text, draft.boxes, draft.cells)


def views_of(trace: Trace, layout: Layout) -> Iterator[View]:
    """The view of every segment of ``trace``: a pure function of its problem and the segments before."""
    codes_HW = np.array(trace.canvas_tokens).reshape(trace.grid) - layout.first_code
    thoughts: list[str] = []
    for segment in trace.segments:
        state = State(asked(trace.problem), codes_HW, tuple(thoughts))
        yield layout.view(state, segment.kind, np.array(segment.cells) if segment.kind == "edit" else None)
        if segment.kind == "edit":
            codes_HW = codes_HW.copy()
            codes_HW.ravel()[list(segment.cells)] = np.array(segment.tokens) - layout.first_code
        else:
            thoughts.append(plain_thought(segment.text, layout))
