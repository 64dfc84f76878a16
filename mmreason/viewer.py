"""Pictures as a viewer shows them: turned as the note beside their pixels says, on white, with 8 bits a channel."""

from __future__ import annotations

import contextlib

import numpy as np
from PIL import ExifTags, Image

_NOTES = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")  # that tell the orientation
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTERS = [_TURNS[orientation] for orientation in (5, 6, 7, 8)]


def as_shown(image: Image.Image) -> Image.Image:
    """``image`` upright, on white where it is transparent, greys of 16 bits as 8; itself if it is so already."""
    image = upright(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    shown = Image.new("RGB", rgba.size, "white")
    shown.paste(rgba, mask=rgba)
    return shown


def upright(image: Image.Image) -> Image.Image:
    """``image`` turned as its note says; itself where there is no note, or none that can be read."""
    turn = _turn(image)
    if turn is None:
        return image
    turned = image.transpose(turn)
    for note in _NOTES:
        turned.info.pop(note, None)
    return turned


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of ``image`` once it is upright; no pixel is decoded."""
    width, height = image.size
    return (height, width) if _turn(image) in _QUARTERS else (width, height)


def _turn(image: Image.Image) -> Image.Transpose | None:
    with contextlib.suppress(Exception):  # forged notes raise many kinds
        # Not the method of PNG files, which decodes the pixels to look for a note behind them.
        return _TURNS.get(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    return None
