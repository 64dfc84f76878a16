"""The picture that a rollout edits: its pixels, its codes, and the cells that regions are named in.

Axes: H W rows and columns of codes; pictures are (height, width, 3) uint8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmreason.codecs.codec import Codec
from mmreason.codecs.crop import cropped
from mmreason.errors import ConfigError
from mmreason.records import GRID, Box, Problem, region_mask
from mmreason.sampling.views.config import OWN_PIXELS, PUZZLE_PIXELS
from mmreason.tasks import finer_picture


@dataclass(slots=True, eq=False)
class Canvas:
    """Pixels and codes; a cell of ``cells`` (rows, columns) is a rectangle of codes.

    Codes are carried from turn to turn, never read off the pixels again: a picture that was drawn and encoded once
    more is another one.
    """

    pixels: np.ndarray
    codes_HW: np.ndarray
    cells: tuple[int, int]
    given_HW: np.ndarray | None = None  # bool: the codes that the user wants redrawn

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of codes."""
        return self.codes_HW.shape[0], self.codes_HW.shape[1]

    def codes_of(self, boxes: list[Box]) -> np.ndarray:
        """Flat indices of the codes inside boxes of cells."""
        return np.flatnonzero(self.spread(region_mask(boxes, self.cells)))

    def spread(self, region_RC: np.ndarray) -> np.ndarray:
        """Boolean (H, W): the codes of a region of cells."""
        return region_RC.repeat(self.grid[0] // self.cells[0], axis=0).repeat(self.grid[1] // self.cells[1], axis=1)

    def least(self, likely_HW: np.ndarray, count: int) -> np.ndarray:
        """Flat indices of the codes of the ``count`` cells whose codes have the least mean of ``likely_HW``."""
        rows, columns = self.cells
        means = likely_HW.reshape(rows, self.grid[0] // rows, columns, self.grid[1] // columns).mean(axis=(1, 3))
        chosen = np.argsort(means.ravel(), kind="stable")[:count]
        region_RC = np.zeros(rows * columns, dtype=bool)
        region_RC[chosen] = True
        return np.flatnonzero(self.spread(region_RC.reshape(self.cells)))

    def edit(self, cells: np.ndarray, codes: np.ndarray, codec: Codec) -> None:
        """Put ``codes`` at flat indices; outside them every pixel stays as it is."""
        region_HW = np.zeros(self.codes_HW.size, dtype=bool)
        region_HW[cells] = True
        region_HW = region_HW.reshape(self.grid)
        self.codes_HW = self.codes_HW.copy()
        self.codes_HW[region_HW] = codes  # both in the order of flat indices
        self.pixels = codec.decode(self.codes_HW, self.pixels, region_HW)


def start_canvas(problem: Problem, codec: Codec, pixels: int | None = None) -> Canvas:
    """The canvas that a problem begins with; raises ConfigError where its cells are no whole codes.

    A puzzle of H × W cells is drawn larger, to a side of ``pixels``; any other picture is cropped to as many, and
    its cells are its codes.
    """
    step = codec.pixels_per_code
    picture, cells = start_picture(problem, codec, pixels)
    codes_HW = codec.encode(picture)
    if problem.canvas.size:
        return Canvas(picture, codes_HW, cells, _region(problem, picture.shape[:2], step))
    mask = problem.region
    if mask is not None and mask.shape != picture.shape[:2]:
        drawn = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=-1)
        mask = fitted(drawn, pixels or OWN_PIXELS, codec)[..., 0] > 127
    given_HW = None if mask is None else codes_under(mask, step)
    return Canvas(picture, codes_HW, cells, given_HW)


def start_picture(problem: Problem, codec: Codec, pixels: int | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """The same canvas without its codes: its pixels, and how many cells it has; raises ConfigError."""
    step = codec.pixels_per_code
    if problem.canvas.size:  # cells of a puzzle, or the pixels of a task on pictures
        return puzzle_at(problem, problem.canvas, problem.image, pixels, step), (GRID, GRID)
    picture = fitted(problem.image, pixels or OWN_PIXELS, codec)
    return picture, (picture.shape[0] // step, picture.shape[1] // step)


def puzzle_at(
    problem: Problem, canvas_HW: np.ndarray, small: np.ndarray, pixels: int | None = None, step: int = 1
) -> np.ndarray:
    """A canvas of a puzzle at a side of ``pixels``: as its task draws it there, else its ``small`` picture enlarged.

    Raises ConfigError where its cells are no whole codes of ``step`` pixels.
    """
    picture = _enlarged(small, (GRID, GRID), pixels or PUZZLE_PIXELS, step)
    finer = finer_picture(problem.task, problem.spec, canvas_HW, len(picture))
    return picture if finer is None else finer


def fitted(picture: np.ndarray, pixels: int, codec: Codec) -> np.ndarray:
    """``picture`` scaled and cropped to at most ``pixels`` squared, its sides whole codes; raises ConfigError.

    For a codec of square pictures its middle.
    """
    step, (height, width) = codec.pixels_per_code, picture.shape[:2]
    if codec.square and height != width:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        picture, height, width = picture[top : top + side, left : left + side], side, side
    if height * width > pixels * pixels:
        return cropped(picture, pixels)
    if height < step or width < step:
        raise ConfigError(f"a picture must be at least {step} × {step} pixels, got {width} × {height}")
    if height % step == 0 and width % step == 0:
        return picture
    from PIL import Image

    size = (width - width % step, height - height % step)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def codes_under(mask: np.ndarray, step: int) -> np.ndarray:
    """Boolean (H, W): the codes of which more than half is masked; where there is none, those that are touched."""
    height, width = mask.shape
    share_HW = mask.reshape(height // step, step, width // step, step).mean(axis=(1, 3))
    most_HW = share_HW > 0.5
    return most_HW if most_HW.any() else share_HW > 0


def _enlarged(picture: np.ndarray, cells: tuple[int, int], pixels: int, step: int) -> np.ndarray:
    """A puzzle's picture at a height of ``pixels``, its drawings as sharp as before."""
    height, width = picture.shape[:2]
    wanted = (pixels, pixels * width // height)
    if any(side % (count * step) for side, count in zip(wanted, cells, strict=True)):
        least = cells[0] * step
        raise ConfigError(f"pixels must be a multiple of {least} for puzzles of {cells[0]} rows, got {pixels}")
    if wanted[0] % height or wanted[1] % width:
        from PIL import Image

        return np.asarray(Image.fromarray(picture).resize((wanted[1], wanted[0]), Image.Resampling.LANCZOS))
    return picture.repeat(wanted[0] // height, axis=0).repeat(wanted[1] // width, axis=1)


def _region(problem: Problem, size: tuple[int, int], step: int) -> np.ndarray | None:
    """The user's region of a puzzle, enlarged as its picture is."""
    if problem.region is None:
        return None
    height, width = problem.region.shape
    rows = np.arange(size[0]) * height // size[0]
    columns = np.arange(size[1]) * width // size[1]
    return codes_under(problem.region[rows][:, columns], step)
