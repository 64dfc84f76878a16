"""Sizes to which a picture is cropped so that its codes stay within a budget, as Lumina-DiMOO's scripts choose them.

Axes: pictures are (height, width, 3) uint8; sizes are (width, height) in pixels.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

PATCH = 32  # pixels; sides are multiples of it
MOST_UNEQUAL = 4.0  # width to height, or height to width


@cache
def crop_sizes(side: int) -> list[tuple[int, int]]:
    """Every size within the area of ``side`` × ``side`` to which nothing can be added, from wide to tall."""
    budget = (side // PATCH) ** 2
    sizes, wide, high = [], budget, 1
    while wide:
        if max(wide / high, high / wide) <= MOST_UNEQUAL:
            sizes.append((wide * PATCH, high * PATCH))
        if wide * (high + 1) <= budget:
            high += 1
        else:
            wide -= 1
    return sizes


def crop_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Of ``crop_sizes`` the one that keeps most of a picture of ``width`` × ``height``."""

    def kept(size: tuple[int, int]) -> float:
        across, down = size[0] / width, size[1] / height
        return min(across, down) / max(across, down)

    return max(crop_sizes(side), key=kept)


def cropped(image: np.ndarray, side: int) -> np.ndarray:
    """``image`` scaled and cropped at its centre to the size that suits it best."""
    width, height = crop_size(image.shape[1], image.shape[0], side)
    scale = max(width / image.shape[1], height / image.shape[0])
    full = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
    scaled = Image.fromarray(image).resize(full, Image.Resampling.LANCZOS)
    left, top = (full[0] - width) // 2, (full[1] - height) // 2
    return np.asarray(scaled.crop((left, top, left + width, top + height)))
