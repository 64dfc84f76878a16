"""One rollout of a public checkpoint while it is generated: its canvas, its segments, and why it ended.

A text that begins with ``<answer>`` is the answer.  Where the picture is a user's own, so is the last text, as
checkpoints that were never shown our puzzles do not know that mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from mmreason.backbones.backbone import Snapshot
from mmreason.backbones.family import AnyLayout
from mmreason.codecs.codec import Codec
from mmreason.layouts.layout import State
from mmreason.layouts.view import View
from mmreason.records import ANSWER, Box, Cost, Frame, Modality, Problem, Segment, SegmentKind, Trace, marked_words
from mmreason.sampling.rollout import ANSWERED, OUT_OF_TURNS, frames_within
from mmreason.sampling.views.canvas import Canvas
from mmreason.sampling.views.region import boxes_in
from mmreason.tasks.dataset.rows import words_of

Unit = Modality | Literal["turn"]  # what is denoised in one go: a text, an edit, or both of a joint turn


def words_in(snapshot: Snapshot, unit: Unit) -> np.ndarray:
    """(N,) bool: which of the tokens that ``snapshot`` of a ``unit`` commits are words."""
    is_word_K = snapshot.view.is_word if unit == "turn" else np.full(len(snapshot.tokens), unit == "text")
    return is_word_K[snapshot.places]


@dataclass(slots=True)
class Draft:
    """The segment that is being denoised, or the turn: its codes come first, then its words."""

    turn: int
    words: int
    boxes: tuple[Box, ...] = ()
    cells: tuple[int, ...] = ()
    frames: list[Frame] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.cells) + self.words

    @property
    def unit(self) -> Unit:
        """What is denoised."""
        return ("turn" if self.words else "image") if self.cells else "text"


def asked(problem: Problem) -> str:
    """What the model is told of ``problem``, in words; a prompt that only repeats the question is left out."""
    if problem.prompt and words_of(problem.question) == tuple(problem.prompt.split()):
        return problem.question
    return "\n".join(filter(None, (problem.question, problem.prompt)))


def plain_thought(text: str, layout: AnyLayout) -> str:
    """``text`` without what marks a part of a prompt: a thought must not be taken for one."""
    for mark in layout.prompt_marks:
        text = text.replace(mark, " ")
    return text.strip()


class ViewRollout:
    """Mutable while it runs; ``trace`` freezes what there is."""

    def __init__(
        self,
        problem: Problem,
        layout: AnyLayout,
        codec: Codec,
        canvas: Canvas,
        generator: torch.Generator,
        joint: bool = False,
    ) -> None:
        self.problem, self.layout, self.codec, self.generator = problem, layout, codec, generator
        self.joint = joint  # a turn's words and picture are denoised together
        self.canvas = canvas  # its own
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

    def edit_view(self, cells: np.ndarray) -> View:
        """What the model is shown for an edit of flat code indices."""
        return self.layout.view(self._state, "edit", cells)

    @property
    def _state(self) -> State:
        return State(asked(self.problem), self.canvas.codes_HW, tuple(self.thoughts))

    def view(self) -> View:
        """What the model is shown for what has begun."""
        assert self.draft is not None
        cells = np.array(self.draft.cells)
        if self.draft.unit == "turn":
            return self.layout.turn_view(self._state, cells)
        return self.edit_view(cells) if self.draft.cells else self.layout.view(self._state, "thought")

    def begin(
        self, turn: int, words: int = 0, cells: Sequence[int] | np.ndarray = (), boxes: Sequence[Box] = ()
    ) -> None:
        """Start a text of so many ``words``, an edit of flat code indices, or a turn of both.

        Whether a text is a thought or the answer shows when it is done; ``boxes`` are given if a thought named them.
        """
        self.draft = Draft(turn, words, tuple(boxes), tuple(int(cell) for cell in cells))

    def add_frame(self, frame: Frame, turn_limit: int) -> None:
        """Note a denoising step; the one that fills the last slot ends the segment."""
        draft = self.draft
        assert draft is not None
        draft.frames.append(frame)
        if sum(len(each.committed) for each in draft.frames) < draft.length:
            return
        for segment in self._segments(draft, turn_limit):
            if segment.kind == "edit":
                codes = np.array(segment.tokens) - self.layout.first_code
                self.canvas.edit(np.array(segment.cells), codes, self.codec)
                segment = replace(segment, picture=self.canvas.pixels)
            else:
                self.thoughts.append(plain_thought(segment.text, self.layout))
            self.segments.append(segment)
        self.draft = None

    def follow(self, turn: int, turn_limit: int) -> None:
        """Read the text just finished: end here, or go on."""
        if any(segment.kind == "answer" for segment in self.segments[-2:]):
            self.end_reason = ANSWERED
        elif turn > turn_limit:
            self.end_reason = OUT_OF_TURNS

    def stated(self) -> list[Box]:
        """The boxes that the last thought names; none where it names none, or drew its picture with it."""
        return [] if self.joint else boxes_in(self.segments[-1].text, self.canvas.cells)

    def trace(self, settings: Mapping[str, Any]) -> Trace:
        """The rollout so far; an unfinished segment comes last."""
        segments = list(self.segments)
        if self.draft is not None and self.draft.frames:
            segments += self._segments(self.draft, 0)
        start = tuple(self.start_codes.tolist())
        return Trace(
            self.problem, start, tuple(segments), self.end_reason, False, self.cost, settings, self.canvas.grid
        )

    def _segments(self, draft: Draft, turn_limit: int) -> list[Segment]:
        """A text, an edit, or both of a turn, each with the frames in which it changed."""
        frames, codes, found = draft.frames, len(draft.cells), list[Segment]()
        if draft.words:
            tokens = frames[-1].tokens[codes:]
            kind: SegmentKind = "thought"
            text = ""
            if self.layout.mask not in tokens:
                text = self.layout.read(list(tokens)).strip()
                kind = (
                    "answer"
                    if self._is_last(draft.turn, turn_limit) or marked_words(text)[:1] == [ANSWER]
                    else "thought"
                )
            found.append(Segment(kind, draft.turn, tokens, frames_within(frames, codes, draft.length), text))
        if codes:
            tokens, drawn = frames[-1].tokens[:codes], frames_within(frames, 0, codes)
            found.append(Segment("edit", draft.turn, tokens, drawn, "", draft.boxes, draft.cells))
        return found

    def _is_last(self, turn: int, turn_limit: int) -> bool:
        """Is a text the answer, whatever it says?  On a user's own picture it is that of the last turn."""
        return not self.is_puzzle and 0 < turn_limit < turn + self.joint


def views_of(trace: Trace, layout: AnyLayout) -> Iterator[tuple[Sequence[Segment], View]]:
    """What was denoised in one go, each segment or the text and the edit of a joint turn, and the view of it.

    A view is a pure function of the problem and of the segments before.
    """
    codes_HW = np.array(trace.canvas_tokens).reshape(trace.grid) - layout.first_code
    thoughts: list[str] = []
    size = 2 if trace.settings.get("turn") == "joint" else 1
    for start in range(0, len(trace.segments), size):
        unit = trace.segments[start : start + size]
        first, last = unit[0], unit[-1]
        state = State(asked(trace.problem), codes_HW, tuple(thoughts))
        edit = last if last.kind == "edit" else None
        cells = None if edit is None else np.array(edit.cells)
        view = layout.turn_view(state, cells) if len(unit) > 1 else layout.view(state, first.kind, cells)
        yield unit, view
        if edit is not None:
            codes_HW = codes_HW.copy()
            codes_HW.ravel()[list(edit.cells)] = np.array(edit.tokens) - layout.first_code
        if first.modality == "text":
            thoughts.append(plain_thought(first.text, layout))
