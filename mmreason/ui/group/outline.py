"""The outline of a mask, as a path that the page draws over the picture.

Axes: H W cells of the grid on which the mask is traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmreason.traces.picture import Picture

MAX_SIDE = 256  # cells along the longer side
MAX_EDGES = 6000  # sides of cells in all outlines; a mask with more is traced on a coarser grid


def outline_of(mask: Picture) -> dict[str, Any]:
    """``{"width", "height", "path", "share"}``: an SVG path in cells, and which share of the mask is white.

    Raises TraceError if the mask is damaged.
    """
    white = mask.mask()
    block = -(-max(white.shape) // MAX_SIDE)
    while True:
        cells_HW = _coarser(white, block)
        edges = _edges(cells_HW)
        if len(edges) <= MAX_EDGES or max(cells_HW.shape) <= 8:
            break
        block *= 2
    height, width = (round(n / side, 3) for n, side in zip(white.shape, _sides(white, block), strict=True))
    return {"width": width, "height": height, "path": _path(edges), "share": round(float(white.mean()), 4)}


def _coarser(white: np.ndarray, block: int) -> np.ndarray:
    """Each cell is white where at least half of its pixels are, or any, if it is a thin line."""
    if block == 1:
        return white
    down, across = _sides(white, block)
    height, width = -(-white.shape[0] // down) * down, -(-white.shape[1] // across) * across
    padded = np.zeros((height, width), dtype=bool)
    padded[: white.shape[0], : white.shape[1]] = white
    blocks = padded.reshape(height // down, down, width // across, across)
    half = np.asarray(blocks.mean(axis=(1, 3)) >= 0.5)
    return half if half.any() else np.asarray(blocks.any(axis=(1, 3)))


def _sides(white: np.ndarray, block: int) -> tuple[int, int]:
    """Pixels of a cell down and across: ``block``, or all there are where the mask is thinner than that."""
    return min(block, white.shape[0]), min(block, white.shape[1])


def _edges(cells_HW: np.ndarray) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """From each corner (x, y) to those that its edges lead to; white lies to the right of an edge."""
    framed = np.pad(cells_HW, 1)
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def add(starts: Sequence[np.ndarray], ends: Sequence[np.ndarray]) -> None:
        for y, x, v, u in zip(*(side.tolist() for side in (*starts, *ends)), strict=True):
            found.setdefault((x, y), []).append((u, v))

    top = np.nonzero(framed[1:, 1:-1] & ~framed[:-1, 1:-1])
    add(top, (top[0], top[1] + 1))
    bottom = np.nonzero(framed[:-1, 1:-1] & ~framed[1:, 1:-1])
    add((bottom[0], bottom[1] + 1), bottom)
    left = np.nonzero(framed[1:-1, 1:] & ~framed[1:-1, :-1])
    add((left[0] + 1, left[1]), left)
    right = np.nonzero(framed[1:-1, :-1] & ~framed[1:-1, 1:])
    add(right, (right[0] + 1, right[1]))
    return found


def _path(edges: dict[tuple[int, int], list[tuple[int, int]]]) -> str:
    """The edges joined to closed lines, of which the corners are said."""
    said: list[str] = []
    while edges:
        start = at = next(iter(edges))
        steps = [f"M{start[0]} {start[1]}"]
        while at in edges:
            ends = edges[at]
            x, y = ends.pop()
            if not ends:
                del edges[at]
            step = f"H{x}" if y == at[1] else f"V{y}"
            if step[0] == steps[-1][0]:  # straight on
                steps[-1] = step
            else:
                steps.append(step)
            at = (x, y)
        said += [*steps[:-1], "Z"]
    return "".join(said)
