"""The outline of a mask: it goes around what is white and around nothing else."""

from __future__ import annotations

import io
import math
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from mmreason.traces.picture import Nowhere, Shelf
from mmreason.ui.group.outline import MAX_EDGES, outline_of


def outlined(white: np.ndarray) -> dict:
    data = io.BytesIO()
    Image.fromarray(white.astype(np.uint8) * 255).save(data, "PNG")
    return outline_of(Shelf(Nowhere()).picture(data.getvalue()))


def filled(path: str, height: int, width: int) -> np.ndarray:
    """What the path encloses, by how often a line to the left of each cell's middle crosses it."""
    crossed = np.zeros((height, width), int)
    x = y = start_x = start_y = 0
    for step, numbers in re.findall(r"([MHVZ])([\d ]*)", path):
        before = y
        if step == "M":
            x, y = start_x, start_y = tuple(map(int, numbers.split()))
            continue
        if step == "Z":
            assert x == start_x or y == start_y, "the last side is straight"
            x, y = start_x, start_y
        elif step == "H":
            x = int(numbers)
        else:
            y = int(numbers)
        if y != before:
            crossed[min(before, y) : max(before, y), x:] += 1
    return crossed % 2 == 1


@settings(deadline=None, max_examples=100)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=st.booleans()))
def test_the_path_encloses_the_white_cells_exactly(white: np.ndarray) -> None:
    found = outlined(white)
    assert (found["height"], found["width"]) == white.shape
    assert np.array_equal(filled(found["path"], *white.shape), white)
    assert found["share"] == pytest.approx(white.mean(), abs=1e-3)


def test_a_large_mask_is_traced_on_a_coarser_grid_and_noise_stays_small() -> None:
    y, x = np.mgrid[:700, :1000]
    disc = (x - 400) ** 2 + (y - 300) ** 2 < 200**2
    found = outlined(disc)
    assert (found["width"], found["height"]) == (250, 175) and len(found["path"]) < 3000
    assert filled(found["path"], 175, 250).mean() == pytest.approx(disc.mean(), abs=0.01)
    noise = outlined(np.random.default_rng(0).random((1024, 1024)) > 0.5)
    assert len(noise["path"]) < 10 * MAX_EDGES and noise["share"] == pytest.approx(0.5, abs=0.01)
    line = np.zeros((1024, 1024), bool)
    line[500] = True
    assert outlined(line)["path"], "a thin line is not lost"


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (3, 70_000)])
def test_a_thin_mask_takes_no_more_memory_than_its_pixels(shape: tuple[int, int]) -> None:
    white = np.zeros(shape, bool)
    white[: -(-shape[0] // 2), : -(-shape[1] // 2)] = True
    tracemalloc.start()
    found = outlined(white)
    assert tracemalloc.get_traced_memory()[1] < 32 * white.size
    tracemalloc.stop()
    assert max(found["width"], found["height"]) <= 256 and min(found["width"], found["height"]) == 1
    assert filled(found["path"], math.ceil(found["height"]), math.ceil(found["width"])).any()
