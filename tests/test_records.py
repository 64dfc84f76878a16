"""What holds of cells, boxes, segments and costs.  Rows and columns count from 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmreason.records import FULL_BOX, GRID, Box, Cost, Frame, Segment, cell_word, parse_cell, region_mask

NUMBER = st.integers(1, GRID)
CELL = st.tuples(NUMBER, NUMBER)
BOX = st.builds(Box.between, CELL, CELL)


@given(CELL)
def test_a_cell_is_named_and_read_back(cell):
    assert parse_cell(cell_word(*cell)) == cell


@pytest.mark.parametrize(
    "word", ["", "r0c1", "r1c0", "r9c1", "r1c9", "r01c1", "r1c1 ", "R1C1", "r1c1\n", "c1r1", "r-1c1", "r１c1", "7"]
)
def test_what_is_no_cell_of_the_canvas_is_none(word):
    assert parse_cell(word) is None


def test_tiles_are_cells_of_a_smaller_grid():
    assert parse_cell("r4c4", size=4) == (4, 4)
    assert parse_cell("r4c5", size=4) is None


@given(CELL, CELL)
def test_a_box_between_two_corners_does_not_depend_on_their_order(a, b):
    box = Box.between(a, b)
    assert box == Box.between(b, a)
    assert box == Box.between((a[0], b[1]), (b[0], a[1]))
    first, last = (parse_cell(word) for word in box.words.split())
    assert first <= last
    assert Box.between(first, last) == box


@given(BOX, CELL)
def test_a_box_covers_its_corners_and_what_lies_between(box, cell):
    inside = box.top <= cell[0] <= box.bottom and box.left <= cell[1] <= box.right
    assert box.mask()[cell[0] - 1, cell[1] - 1] == inside


@given(st.lists(BOX, max_size=4))
def test_a_region_is_the_union_of_its_boxes(boxes):
    union = np.zeros((GRID, GRID), dtype=bool)
    for box in boxes:
        union |= box.mask()
    assert np.array_equal(region_mask(boxes), union)


def test_the_full_box_covers_the_canvas():
    assert FULL_BOX.mask().all()
    assert not region_mask([]).any()


def test_a_segments_log_probability_is_the_sum_over_its_frames():
    frames = (Frame(1, (5, 0), (0,), (math.log(0.5),)), Frame(2, (5, 6), (1,), (math.log(0.25),)))
    assert Segment("thought", 1, (5, 6), frames).logprob == pytest.approx(math.log(0.125))


def test_edits_are_images_and_the_rest_is_text():
    kinds = {kind: Segment(kind, 1, (), ()).modality for kind in ("thought", "edit", "answer")}
    assert kinds == {"thought": "text", "edit": "image", "answer": "text"}


def test_costs_add_up():
    assert Cost(1, 20, 3.0, 0.5) + Cost(2, 30, 4.0, 0.25) == Cost(3, 50, 7.0, 0.75)
    assert Cost() + Cost(1, 2, 3.0, 4.0) == Cost(1, 2, 3.0, 4.0)
