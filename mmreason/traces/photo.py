"""Pictures of one's own as they are handed in: PNG, JPEG or WebP, checked before they are decoded."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mmreason.disk import one_line
from mmreason.errors import ConfigError, TraceError
from mmreason.handed import Handed
from mmreason.traces.picture import FORMATS, decoded
from mmreason.viewer import as_shown

MAX_BYTES = 32 * 2**20


def read_picture(path: str | Path, called: str = "") -> np.ndarray:
    """(height, width, 3) uint8, as a viewer shows it: upright, on white where it is transparent; raises ConfigError.

    Errors call the file ``called``, by default its path.
    """
    return np.asarray(as_shown(_opened("picture", path, called)).convert("RGB"))


def read_mask(path: str | Path) -> np.ndarray:
    """(height, width) bool: True where the picture is white; raises ConfigError."""
    return np.asarray(_opened("mask", path).convert("L")) > 127


def _opened(what: str, path: str | Path, called: str = "") -> Image.Image:
    """The decoded picture; raises ConfigError."""
    content = Handed(what, MAX_BYTES, ConfigError, "a PNG, JPEG or WebP picture").read(path)
    name = called or f"{what} {str(path)!r}"
    try:
        decoded(content, name)
        return ImageOps.exif_transpose(Image.open(io.BytesIO(content), formats=FORMATS))
    except TraceError as error:
        raise ConfigError(str(error)) from None
    except Exception as error:  # of what stands beside the pixels
        raise ConfigError(f"{name} is damaged: {one_line(str(error), 120)}") from None
