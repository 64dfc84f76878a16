"""A cell is drawn larger than it is shown, then averaged; lengths are in sixteenths of a cell."""

from __future__ import annotations

from PIL import Image

SCALE = 8  # drawn this much larger
SIDE = 16 * SCALE


def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
    """The corners of a rectangle in pixels, as Pillow takes them."""
    return left * SCALE, top * SCALE, right * SCALE - 1, bottom * SCALE - 1


def shrunk(image: Image.Image, cell_px: int) -> Image.Image:
    """The cell as it is shown."""
    return image.resize((cell_px, cell_px), Image.Resampling.BOX)
