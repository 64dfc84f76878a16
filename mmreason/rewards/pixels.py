"""Scores traces of codecs whose codes are no pictures of their own: by the pixels of every canvas.

A canvas is scaled to the size at which tasks draw, and its cells stand in for codes, one drawing each.

Axes: H W cells of the canvas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from PIL import Image

from mmreason.records import CANVAS_PX, CELL_PX, GRID, NUM_CELLS, Frame, Segment, Trace
from mmreason.rewards.verify import Verifier


class Judge(Protocol):
    """What scores traces."""

    def score(self, trace: Trace) -> Trace:
        """The trace with rewards, verdicts and success."""
        ...


class Judged(Protocol):
    """A policy, as far as its judge has to know it: without a ``sheet`` its pictures are judged by pixels."""

    @property
    def words(self) -> Sequence[str]: ...

    @property
    def sheet(self) -> np.ndarray | None: ...


def judge_of(policy: Judged) -> Judge:
    """What scores the traces of ``policy``."""
    sheet = policy.sheet
    return PixelVerifier() if sheet is None else Verifier(policy.words, sheet)


class PixelVerifier:
    """Scores what has ``picture`` in its edits; a picture of one's own has no verifier, and stays as it is."""

    def score(self, trace: Trace) -> Trace:
        """The trace with rewards, verdicts and transition scores of all finished segments, and success."""
        if not trace.problem.canvas.size:
            return trace
        canvases = [at_drawing_size(trace.problem.image)]
        canvases += [at_drawing_size(s.picture) for s in trace.segments if s.picture is not None]
        sheet = np.concatenate([_cells(canvas) for canvas in canvases])
        scored = Verifier((), sheet).score(_in_cells(trace))
        segments = tuple(
            replace(own, reward=judged.reward, verdict=judged.verdict, transition=judged.transition)
            for own, judged in zip(trace.segments, scored.segments, strict=True)
        )
        return replace(trace, segments=segments, success=scored.success)


def at_drawing_size(picture: np.ndarray) -> np.ndarray:
    """(128, 128, 3) uint8: ``picture`` as tasks draw it, each pixel the mean of those it stands for."""
    if picture.shape[:2] == (CANVAS_PX, CANVAS_PX):
        return picture
    return np.asarray(Image.fromarray(picture).resize((CANVAS_PX, CANVAS_PX), Image.Resampling.BOX))


def _cells(picture: np.ndarray) -> np.ndarray:
    """(64, 16, 16, 3)."""
    patches = picture.reshape(GRID, CELL_PX, GRID, CELL_PX, 3).swapaxes(1, 2)
    return patches.reshape(NUM_CELLS, CELL_PX, CELL_PX, 3)


def _in_cells(trace: Trace) -> Trace:
    """``trace`` on a canvas of 8 × 8 cells: after its n-th edit, cell c shows drawing 64 n + c."""
    number, segments = 0, []
    for segment in trace.segments:
        if segment.kind != "edit":
            segments.append(segment)
            continue
        cells = _touched(segment, trace.grid)
        done = segment.picture is not None
        number += done
        tokens = tuple(NUM_CELLS * number + cell for cell in cells)
        frames = (Frame(1, tokens, tuple(range(len(cells))), (0.0,) * len(cells)),) if done else ()
        segments.append(replace(segment, cells=cells, tokens=tokens, frames=frames))
    return replace(trace, canvas_tokens=tuple(range(NUM_CELLS)), segments=tuple(segments), grid=(GRID, GRID))


def _touched(segment: Segment, grid: tuple[int, int]) -> tuple[int, ...]:
    """The cells in which a code of the edit lies."""
    rows, columns = np.divmod(np.array(segment.cells), grid[1])
    return tuple(np.unique(rows * GRID // grid[0] * GRID + columns * GRID // grid[1]).tolist())
