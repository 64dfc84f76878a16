"""Crop sizes are those of Lumina-DiMOO's scripts."""

from __future__ import annotations

import numpy as np
import pytest

from mmreason.codecs.crop import crop_size, crop_sizes, cropped
from tests.helpers import golden

GIVEN = {int(side): facts for side, facts in golden.facts("layouts")["crop_sizes"].items() if side.isdigit()}


@pytest.mark.parametrize("side", GIVEN)
def test_sizes_and_choices_are_the_references(side: int) -> None:
    assert [list(size) for size in crop_sizes(side)] == GIVEN[side]["candidates"]
    assert len(GIVEN[side]["chosen_width_height"]) >= 5
    for given, chosen in GIVEN[side]["chosen_width_height"].items():
        width, height = map(int, given.split("x"))
        assert list(crop_size(width, height, side)) == chosen


@pytest.mark.parametrize("size", [(480, 640), (100, 100), (37, 911), (1024, 333)])
def test_a_picture_is_scaled_and_cropped_at_its_centre(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    image[size[0] // 2, size[1] // 2] = 255
    out = cropped(image, 256)
    assert (out.shape[1], out.shape[0]) == crop_size(size[1], size[0], 256)
    row, column = np.unravel_index(out.sum(axis=-1).argmax(), out.shape[:2])
    assert abs(row - out.shape[0] / 2) <= 8 and abs(column - out.shape[1] / 2) <= 8
