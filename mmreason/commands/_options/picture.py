"""Pictures that a command reads: PNG, JPEG or WebP, checked before they are decoded."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mmreason.errors import ConfigError
from mmreason.handed import Handed

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 32 * 2**20


def read_picture(path: str) -> np.ndarray:
    """(height, width, 3) uint8, as a viewer shows it: upright, on white where it is transparent."""
    import numpy as np
    from PIL import Image

    upright = _opened("picture", path)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(upright.convert("RGB"))


def read_mask(path: str) -> np.ndarray:
    """(height, width) bool: True where the picture is white."""
    import numpy as np

    return np.asarray(_opened("mask", path).convert("L")) > 127


def _opened(what: str, path: str):
    """The decoded picture; raises ConfigError."""
    from PIL import Image, ImageOps

    from mmreason.errors import TraceError
    from mmreason.traces.picture import FORMATS, decoded

    content = Handed(what, MAX_BYTES, ConfigError, "a PNG, JPEG or WebP picture").read(path)
    try:
        decoded(content, f"{what} {path!r}")
        return ImageOps.exif_transpose(Image.open(io.BytesIO(content), formats=FORMATS))
    except TraceError as error:
        raise ConfigError(str(error)) from None
