"""Pictures that come with the page, for those who have none at hand, and what may be asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmreason import places
from mmreason.traces.file import png_url

_FOLDER = places.ASSETS / "groups" / "photographs" / "images"
THUMB = 68  # pixels


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture, what it shows in a word, and an instruction."""

    name: str
    label: str
    path: Path
    instruction: str


SAMPLES = tuple(
    each
    for each in (
        Sample("lights", "Lights", _FOLDER / "photo-21-0.jpg", "Ring the brightest light in the picture."),
        Sample("screen", "Screen", _FOLDER / "screen-22-0.png", "Frame the button “Move”."),
    )
    if each.path.is_file()
)


def named(name: object) -> Sample | None:
    """The sample called ``name``; None of what is none."""
    return next((each for each in SAMPLES if each.name == name), None)


def thumbnails() -> list[list[str]]:
    """Name, small picture and label of each."""
    return [[each.name, png_url(_thumb(each.path)), each.label] for each in SAMPLES]


def _thumb(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        shown = image.convert("RGB")
    side = min(shown.size)
    left, top = (shown.width - side) // 2, (shown.height - side) // 2
    return np.asarray(shown.crop((left, top, left + side, top + side)).resize((THUMB, THUMB)))
