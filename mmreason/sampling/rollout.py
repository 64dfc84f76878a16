"""One rollout while it is generated: its canvas, its segments, and why it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import numpy as np
import torch

from mmreason.layouts.cells import CellsLayout, Piece
from mmreason.records import (
    ANSWER,
    EDIT,
    Box,
    Cost,
    Frame,
    Problem,
    Segment,
    SegmentKind,
    Trace,
    parse_boxes,
)
from mmreason.sampling.config import SamplingConfig

ANSWERED = "answered"
OUT_OF_TURNS = "out of turns"


@dataclass(slots=True)
class Draft:
    """The segment that is being denoised, or the joint turn: its first ``words`` tokens are text."""

    turn: int
    length: int
    words: int
    boxes: tuple[Box, ...] = ()
    cells: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    frames: list[Frame] = field(default_factory=list)

    def piece(self, layout: CellsLayout, ids: np.ndarray) -> Piece:
        """The segment as it is forwarded, a noisy copy, while ``ids`` stand in it."""
        return layout.blank_piece(ids, self.words, self.cells, self.turn, copy=1)


class Rollout:
    """Mutable while it runs; ``trace`` freezes what there is."""

    def __init__(
        self,
        problem: Problem,
        canvas_tokens: np.ndarray,
        generator: torch.Generator,
        layout: CellsLayout,
        draw: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """``draw`` makes a picture of (H·W) image tokens, where edits are to keep theirs."""
        self.problem, self.generator, self.layout, self.draw = problem, generator, layout, draw
        self.start_tokens = tuple(int(t) for t in canvas_tokens)
        self.canvas_tokens = np.array(canvas_tokens)
        self.segments: list[Segment] = []
        self.draft: Draft | None = None
        self.boxes: list[Box] = []
        self.end_reason = ""
        self.cost = Cost()

    def take(self, segments: Sequence[Segment]) -> None:
        """Start after ``segments``: their edits are on the canvas."""
        self.segments = list(segments)
        for segment in segments:
            if segment.kind == "edit":
                self.canvas_tokens[list(segment.cells)] = segment.tokens

    @property
    def before(self) -> np.ndarray:
        """The canvas before the last segment, which is an edit, (H·W) ids."""
        tokens = np.array(self.start_tokens)
        for segment in self.segments[:-1]:
            if segment.kind == "edit":
                tokens[list(segment.cells)] = segment.tokens
        return tokens

    def redraw(self, tokens: Sequence[int]) -> None:
        """Put ``tokens`` in place of those of the last segment, an edit: whatever follows sees these."""
        edit = replace(self.segments[-1], tokens=tuple(int(token) for token in tokens))
        self.canvas_tokens[list(edit.cells)] = edit.tokens
        picture = edit.picture if self.draw is None else self.draw(self.canvas_tokens)
        self.segments[-1] = replace(edit, picture=picture)

    def begin_text(self, turn: int, length: int | None = None) -> None:
        """Start a text segment (of ``length`` tokens); whether thought or answer shows when it is done."""
        length = length or self.layout.slots(self.problem.task)
        self.draft = Draft(turn, length, length)

    def begin_edit(self, turn: int, cells: np.ndarray, stated: bool) -> None:
        """Start an edit of the flat canvas indices ``cells``; ``stated`` if they are the thought's own boxes."""
        boxes = tuple(self.boxes) if stated and self.boxes else self.layout.boxes_around(cells)
        self.draft = Draft(turn, len(cells), 0, boxes, tuple(cells.tolist()))

    def begin_turn(self, turn: int, cells: np.ndarray) -> None:
        """Start a joint turn: a text, and an edit of the flat canvas indices ``cells``."""
        words = self.layout.slots(self.problem.task)
        self.draft = Draft(turn, words + len(cells), words, self.layout.boxes_around(cells), tuple(cells.tolist()))

    def add_frame(
        self,
        step: int,
        tokens: list[int],
        committed: list[bool],
        logprobs: list[float],
        others: Sequence[Sequence[tuple[int, float]]] = (),
    ) -> None:
        """Note a denoising step; rows of a batch may be wider than this segment, and the rest is ignored.

        ``others`` are runners-up by position, those that are not allowed among them.
        """
        draft = self.draft
        if draft is None:
            return
        chosen = tuple(i for i in range(draft.length) if committed[i])
        draft.tokens = tuple(tokens[: draft.length])
        runners_up = tuple(tuple(pair for pair in others[i] if pair[1] > -inf) for i in chosen) if others else ()
        draft.frames.append(Frame(step, draft.tokens, chosen, tuple(logprobs[i] for i in chosen), runners_up))
        if sum(len(frame.committed) for frame in draft.frames) == draft.length:
            self.canvas_tokens[list(draft.cells)] = draft.tokens[draft.words :]
            self.segments += self._segments(draft, done=True)
            self.draft = None

    def shorten(self, length: int) -> None:
        """End the text that is being generated after ``length`` tokens."""
        assert self.draft is not None
        self.draft.length = self.draft.words = length

    def follow(self, turn: int, config: SamplingConfig) -> None:
        """Read the text segment just finished: end here, or note the boxes that it names.

        Where it names none, there are none if there is a default region; a joint turn has its region already.
        """
        text = next(segment for segment in reversed(self.segments) if segment.modality == "text")
        said = text.text.split()
        boxes: list[Box] | str = []
        if not self.layout.joint and (EDIT in said or config.default_region == "end"):
            boxes = parse_boxes(said, self.layout.cells)
        if text.kind == "answer":
            self.end_reason = ANSWERED
        elif isinstance(boxes, str):
            self.end_reason = boxes
        elif turn > config.max_turns:
            self.end_reason = OUT_OF_TURNS
        else:
            self.boxes = boxes

    def trace(self, settings: Mapping[str, Any]) -> Trace:
        """The rollout so far; what is unfinished comes last."""
        segments = list(self.segments)
        if self.draft is not None and self.draft.frames:
            segments += self._segments(self.draft)
        settings = {**settings, **self.layout.recorded}
        return Trace(
            self.problem,
            self.start_tokens,
            tuple(segments),
            self.end_reason,
            False,
            self.cost,
            settings,
            self.layout.grid,
        )

    def _segments(self, draft: Draft, done: bool = False) -> list[Segment]:
        """A text, an edit, or both of a joint turn, each with the frames in which it changed."""
        found = []
        if draft.words:
            tokens, frames = draft.tokens[: draft.words], frames_within(draft.frames, 0, draft.words)
            kind: SegmentKind = "answer" if self.layout.words[tokens[0]] == ANSWER else "thought"
            found.append(Segment(kind, draft.turn, tokens, frames, self.layout.read(tokens)))
        if draft.cells:
            tokens, frames = draft.tokens[draft.words :], frames_within(draft.frames, draft.words, draft.length)
            picture = self.draw(self.canvas_tokens) if done and self.draw is not None else None
            found.append(Segment("edit", draft.turn, tokens, frames, "", draft.boxes, draft.cells, picture=picture))
        return found


def frames_within(whole: Sequence[Frame], start: int, stop: int) -> tuple[Frame, ...]:
    """The frames in which some of the tokens from ``start`` to ``stop`` were committed, cut to these.

    Of all tokens all frames.
    """
    if start == 0 and stop == len(whole[-1].tokens):
        return tuple(whole)
    frames = []
    for frame in whole:
        inside = [n for n, i in enumerate(frame.committed) if start <= i < stop]
        if inside:
            committed = tuple(frame.committed[n] - start for n in inside)
            logprobs = tuple(frame.logprobs[n] for n in inside)
            runners_up = tuple(frame.runners_up[n] for n in inside) if frame.runners_up else ()
            frames.append(Frame(frame.step, frame.tokens[start:stop], committed, logprobs, runners_up))
    return tuple(frames)
