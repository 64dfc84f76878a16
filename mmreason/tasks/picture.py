"""A task on free pictures, judged on pixels.  Axes: H W cells, S pixels along a side.

What is a canvas of cell ids elsewhere is here an (S, S, 3) uint8 picture, and a region a boolean (S, S).  A small
policy sees and draws it in cells of 16 pixels at 128 × 128, a public one at the size of its codec; either way the
verifier is given the picture at the task's own size.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from mmreason.records import CANVAS_PX, GRID
from mmreason.tasks.task import Task


class PictureTask(Task):
    """A task whose canvas is a picture: ``canvas``, ``carry_out``, ``accepted_edits`` and steps give pixels.

    A verifier compares by cells of an 8 × 8 grid: one differs where the mean difference of its pixels is more than
    ``tolerance``, of 255.
    """

    cells: tuple[str, ...] = ()
    side: int = CANVAS_PX  # a multiple of 8
    tolerance: float = 16.0

    def draw_cell(self, name: str) -> Image.Image:
        """It has no cell drawings."""
        raise NotImplementedError(f"{self.name} draws pictures, not cells")

    def differs(self, canvas_HW: np.ndarray, other_HW: np.ndarray) -> np.ndarray:
        """Boolean (H, W): cells whose pixels differ by more than ``tolerance`` on average."""
        return self.unlike(canvas_HW, other_HW) > self.tolerance

    def unlike(self, canvas_HW: np.ndarray, other_HW: np.ndarray) -> np.ndarray:
        """(H, W): by how much the pixels of each cell differ on average, of 255."""
        return unlike(canvas_HW, other_HW)

    def region(self, cells_HW: np.ndarray) -> np.ndarray:
        """Boolean (S, S): the pixels of the cells."""
        cell = self.side // GRID
        return np.repeat(np.repeat(np.asarray(cells_HW, dtype=bool), cell, axis=0), cell, axis=1)

    def image(self, canvas_HW: np.ndarray) -> np.ndarray:
        """The picture at 128 × 128."""
        return resized(canvas_HW, CANVAS_PX)


def unlike(picture: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(H, W): by how much the pixels of each cell of two (S, S, 3) uint8 pictures differ on average, of 255."""
    apart = np.abs(picture.astype(np.int16) - other.astype(np.int16))
    cell = len(picture) // GRID
    return apart.reshape(GRID, cell, GRID, cell, 3).mean(axis=(1, 3, 4))


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    """A square (S, S, 3) uint8 picture at ``side`` pixels; smaller ones are averaged, larger ones repeat pixels."""
    if len(picture) == side:
        return np.ascontiguousarray(picture, dtype=np.uint8)
    way = Image.Resampling.BOX if side < len(picture) else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture, dtype=np.uint8)).resize((side, side), way))
