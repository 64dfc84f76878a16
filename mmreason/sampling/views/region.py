"""Where an edit goes: the boxes that a thought or a user names, on a grid of any size."""

from __future__ import annotations

import re

from mmreason.errors import ConfigError
from mmreason.records import Box, marked_words, parse_boxes, parse_cell

_BOX = re.compile(r"(r[1-9]\d{0,4}c[1-9]\d{0,4})(?:[: ](r[1-9]\d{0,4}c[1-9]\d{0,4}))?", re.ASCII)


def boxes_in(thought: str, cells: tuple[int, int]) -> list[Box]:
    """The boxes of cells that ``thought`` names after ``<edit>``; none where one is no pair of cells of the grid."""
    found = parse_boxes(marked_words(thought), cells)
    return [] if isinstance(found, str) else found


def boxes_of(text: str, cells: tuple[int, int]) -> list[Box]:
    """The boxes of a user's ``r2c2:r5c6``, several with commas, a cell alone too; raises ConfigError."""
    boxes = []
    for word in text.split(","):
        match = _BOX.fullmatch(word.strip())
        if match is None:
            raise ConfigError(f"region must be two cells like r2c2:r5c6, several with commas, got {word[:40]!r}")
        corners = [parse_cell(match[1], cells), parse_cell(match[2] or match[1], cells)]
        first, last = corners
        if first is None or last is None:
            raise ConfigError(
                f"region must lie inside the picture, which has {cells[0]} rows and {cells[1]} columns of cells; "
                f"got {word.strip()!r}"
            )
        boxes.append(Box.between(first, last))
    return boxes
