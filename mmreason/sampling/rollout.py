"""One rollout while it is generated: its canvas, its segments, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mmreason.layouts.cells import CellsLayout, Piece
from mmreason.records import (
    ANSWER,
    Box,
    Cost,
    Frame,
    Problem,
    Segment,
    SegmentKind,
    Trace,
    parse_boxes,
    region_mask,
)

ANSWERED = "answered"
OUT_OF_TURNS = "out of turns"


@dataclass(slots=True)
class Draft:
    """The segment that is being denoised."""

    kind: SegmentKind
    turn: int
    length: int
    boxes: tuple[Box, ...] = ()
    cells: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    frames: list[Frame] = field(default_factory=list)

    def piece(self, layout: CellsLayout, ids: np.ndarray, copy: int = 1) -> Piece:
        """The segment as it is forwarded while ``ids`` stand in it."""
        if self.kind == "edit":
            return layout.edit_piece(ids, self.cells, self.turn, copy)
        return layout.text_piece(ids, self.turn, copy)


class Rollout:
    """Mutable while it runs; ``trace`` freezes what there is."""

    def __init__(
        self, problem: Problem, canvas_tokens: np.ndarray, generator: torch.Generator, layout: CellsLayout
    ) -> None:
        self.problem, self.generator, self.layout = problem, generator, layout
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

    def begin_text(self, turn: int, length: int | None = None) -> None:
        """Start a text segment (of ``length`` tokens); whether thought or answer shows when it is done."""
        self.draft = Draft("thought", turn, length or self.layout.text_length)

    def begin_edit(self, turn: int, cells: np.ndarray, stated: bool) -> None:
        """Start an edit of the flat canvas indices ``cells``; ``stated`` if they are the thought's own boxes."""
        boxes = tuple(self.boxes)
        if not stated:
            height, width = self.layout.grid
            full = len(cells) == height * width
            singles = tuple(Box(*(2 * (c // width + 1, c % width + 1))) for c in cells.tolist())
            boxes = (Box(1, 1, height, width),) if full else singles
        self.draft = Draft("edit", turn, len(cells), boxes, tuple(cells.tolist()))

    def add_frame(self, step: int, tokens: list[int], committed: list[bool], logprobs: list[float]) -> None:
        """Note a denoising step; rows of a batch may be wider than this segment, and the rest is ignored."""
        draft = self.draft
        if draft is None:
            return
        chosen = tuple(i for i in range(draft.length) if committed[i])
        draft.tokens = tuple(tokens[: draft.length])
        draft.frames.append(Frame(step, draft.tokens, chosen, tuple(logprobs[i] for i in chosen)))
        if sum(len(frame.committed) for frame in draft.frames) == draft.length:
            self.segments.append(self._segment(draft))
            if draft.kind == "edit":
                self.canvas_tokens[list(draft.cells)] = draft.tokens
            self.draft = None

    def shorten(self, length: int) -> None:
        """End the segment that is being generated after ``length`` tokens."""
        assert self.draft is not None
        self.draft.length = length

    def follow(self, turn: int, turn_limit: int) -> None:
        """Read the text segment just finished: end here, or note the boxes that it names."""
        text = self.segments[-1]
        if text.kind == "answer":
            self.end_reason = ANSWERED
            return
        boxes = parse_boxes(text.text.split())
        if isinstance(boxes, str):
            self.end_reason = boxes
        elif turn > turn_limit:
            self.end_reason = OUT_OF_TURNS
        else:
            self.boxes = boxes

    def stated_cells(self) -> np.ndarray:
        """Flat canvas indices of the boxes that the last thought names."""
        return np.flatnonzero(region_mask(self.boxes))

    def trace(self, settings: Mapping[str, Any]) -> Trace:
        """The rollout so far; an unfinished segment comes last."""
        segments = list(self.segments)
        if self.draft is not None and self.draft.frames:
            segments.append(self._segment(self.draft))
        return Trace(self.problem, self.start_tokens, tuple(segments), self.end_reason, False, self.cost, settings)

    def _segment(self, draft: Draft) -> Segment:
        kind, text = draft.kind, ""
        if kind == "thought":
            text = self.layout.read(draft.tokens)
            kind = "answer" if self.layout.words[draft.tokens[0]] == ANSWER else "thought"
        return Segment(kind, draft.turn, draft.tokens, tuple(draft.frames), text, draft.boxes, draft.cells)
