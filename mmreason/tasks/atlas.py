"""All cell drawings of all tasks in one sheet: draw canvases, and recognise cells in pixels.

Axes: N drawings, H W canvas.  A global cell id indexes the sheet; each task owns a run of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mmreason.errors import TaskError
from mmreason.records import CANVAS_PX, CELL_PX, GRID
from mmreason.tasks.task import FOREIGN, Task


@dataclass(frozen=True, slots=True)
class Atlas:
    """The sheet: ``pixels`` is (N, 16, 16, 3) uint8, ``first`` the global id of each task's cell 0."""

    pixels: np.ndarray
    first: dict[str, int]
    count: dict[str, int]

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> Atlas:
        """Draw every cell of ``tasks`` once."""
        drawings, first, count = [], {}, {}
        for task in tasks:
            if not task.cells:  # it draws pictures
                continue
            first[task.name], count[task.name] = len(drawings), len(task.cells)
            drawings += [np.asarray(task.draw_cell(name).convert("RGB"), dtype=np.uint8) for name in task.cells]
        return cls(np.stack(drawings), first, count)

    def draw(self, task: str, canvas_HW: np.ndarray) -> np.ndarray:
        """The (128, 128, 3) uint8 picture of a canvas of local cell ids."""
        return join_cells(self.pixels[self.global_ids(task, canvas_HW)])

    def global_ids(self, task: str, canvas_HW: np.ndarray) -> np.ndarray:
        """Local cell ids of ``task`` → ids in the sheet; raises TaskError where one is ``FOREIGN`` or of no cell."""
        local, count = np.asarray(canvas_HW, dtype=np.int64), self.count[task]
        wrong = local[(local < 0) | (local >= count)]
        if wrong.size:
            raise TaskError(f"a canvas of the task {task} must hold cells from 0 to {count - 1}, got {wrong[0]}")
        return local + self.first[task]

    def local_ids(self, task: str, global_HW: np.ndarray) -> np.ndarray:
        """Ids in the sheet → local ids of ``task``, ``FOREIGN`` where the drawing is another task's."""
        local = np.asarray(global_HW) - self.first[task]
        return np.where((local >= 0) & (local < self.count[task]), local, FOREIGN)

    def nearest(self, patches: np.ndarray) -> np.ndarray:
        """(…, 16, 16, 3) pixels → (…) ids of the drawings with the least squared difference."""
        flat = patches.reshape(-1, CELL_PX * CELL_PX * 3).astype(np.float32)
        sheet = self.pixels.reshape(len(self.pixels), -1).astype(np.float32)
        distance = (sheet**2).sum(1) - 2 * flat @ sheet.T  # up to a constant per patch
        return distance.argmin(1).reshape(patches.shape[:-3])


def drawn_at(names: Sequence[str], canvas_HW: np.ndarray, draw: Callable[[str], Image.Image]) -> np.ndarray:
    """The (S, S, 3) uint8 picture of a canvas of local cell ids, each of ``names`` as ``draw`` draws it."""
    present: list[int] = np.unique(canvas_HW).tolist()
    cells = {cell: np.asarray(draw(names[cell]), dtype=np.uint8) for cell in present}
    return np.concatenate([np.concatenate([cells[cell] for cell in row], axis=1) for row in canvas_HW.tolist()])


def split_cells(image: np.ndarray) -> np.ndarray:
    """(128, 128, 3) pixels → (H, W, 16, 16, 3) patches."""
    return image.reshape(GRID, CELL_PX, GRID, CELL_PX, 3).swapaxes(1, 2)


def join_cells(patches: np.ndarray) -> np.ndarray:
    """(H, W, 16, 16, 3) patches → (128, 128, 3) pixels."""
    return np.ascontiguousarray(patches.swapaxes(1, 2).reshape(CANVAS_PX, CANVAS_PX, 3))
