"""What every codec can do: pixels to codes and back.

Axes: H W rows and columns of codes, C codes; pictures are (height, width, 3) uint8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from mmreason.errors import CheckpointError, ConfigError


class Codec(Protocol):
    """A tokenizer of pictures."""

    grid: tuple[int, int] | None  # the only rows and columns of codes that it knows; None: any
    square: bool  # as many rows as columns, always

    @property
    def pixels_per_code(self) -> int: ...

    @property
    def num_codes(self) -> int: ...

    @property
    def local(self) -> bool:
        """True if the pixels of a code depend on it alone, wherever it is."""
        ...

    def encode(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 → (H, W) codes."""
        ...

    def decode(
        self, codes_HW: np.ndarray, before: np.ndarray | None = None, region_HW: np.ndarray | None = None
    ) -> np.ndarray:
        """(height, width, 3) uint8 pixels; outside ``region_HW`` those of ``before``, if given."""
        ...

    def sheet(self) -> np.ndarray | None:
        """(C, p, p, 3) uint8: what each code looks like; None where that hangs on its neighbours."""
        ...


def as_loaded(device: torch.device) -> torch.autocast:
    """In the type of a codec's own weights, on ``device``, whatever autocast goes on around it."""
    return torch.autocast(device.type, enabled=False)


def check_files(folder: Path, *names: str) -> None:
    """Raises CheckpointError for the first of ``names`` that a codec's ``folder`` lacks."""
    for name in names:
        if not (folder / name).is_file():
            raise CheckpointError(f"codec {str(folder)!r} lacks {name}")


def fit(image: np.ndarray, step: int) -> np.ndarray:
    """``image``, its sides rounded down to whole codes of ``step`` pixels by resampling (Lanczos).

    Raises ConfigError where it is smaller than one.
    """
    height, width = (side - side % step for side in image.shape[:2])
    if not height or not width:
        raise ConfigError(
            f"a picture must be at least {step} × {step} pixels, got {image.shape[1]} × {image.shape[0]}"
        )
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def check_codes(codes_HW: np.ndarray, num_codes: int) -> torch.Tensor:
    """(H, W) codes as a tensor; raises ConfigError for what are none."""
    codes = torch.as_tensor(codes_HW, dtype=torch.long)
    if codes.ndim != 2 or not codes.numel():
        raise ConfigError(f"codes must be rows and columns, got a shape of {list(codes.shape)}")
    if int(codes.min()) < 0 or int(codes.max()) >= num_codes:
        raise ConfigError(f"codes must be from 0 to {num_codes - 1}, got {int(codes.min())} to {int(codes.max())}")
    return codes


def spread(region_HW: np.ndarray, pixels: int) -> np.ndarray:
    """Boolean (height, width): the pixels of a region of codes."""
    return region_HW.repeat(pixels, axis=0).repeat(pixels, axis=1)


def shown(raw_3HW: torch.Tensor, before: np.ndarray | None, region_HW: np.ndarray | None, pixels: int) -> np.ndarray:
    """(height, width, 3) uint8 of what a decoder gave, clipped to [0, 1]; composited if both are given."""
    raw = raw_3HW.clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    drawn = (raw * 255).round().astype(np.uint8)
    if before is None or region_HW is None:
        return drawn
    return composite(drawn, before, region_HW, pixels)


def composite(drawn: np.ndarray, before: np.ndarray, region_HW: np.ndarray, pixels: int) -> np.ndarray:
    """``drawn`` inside the region, bit for bit ``before`` outside.  Raises ConfigError where sizes differ."""
    inside = spread(np.asarray(region_HW, dtype=bool), pixels)
    if drawn.shape != before.shape or inside.shape != drawn.shape[:2]:
        sizes = f"{drawn.shape[:2]}, {before.shape[:2]} and {inside.shape}"
        raise ConfigError(f"picture, picture before and region must have one size, got {sizes}")
    return np.where(inside[..., None], drawn, before)


def is_local(decode: Callable[[np.ndarray], np.ndarray], num_codes: int, pixels: int) -> bool:
    """True if changing one code moves no pixel of another; ``decode`` maps (H, W) codes to (height, width, 3).

    Tried, not asked: most codecs look at neighbours through norms and convolutions.
    """
    codes_HW = np.arange(16).reshape(4, 4) % num_codes
    changed_HW = codes_HW.copy()
    changed_HW[1, 2] = num_codes - 1 - codes_HW[1, 2]
    centre = np.zeros((4, 4), dtype=bool)
    centre[1, 2] = True
    moved = (decode(codes_HW) != decode(changed_HW)).any(axis=-1)
    return not bool(moved[~spread(centre, pixels)].any())
