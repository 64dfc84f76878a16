"""What holds of the sheet of drawings: every cell is recognised, also when it is drawn a little off.

Axes: N drawings, H W canvas.
"""

from __future__ import annotations

import numpy as np
import pytest

from mmreason.records import CELL_PX, GRID
from mmreason.seeds import numpy_generator
from mmreason.tasks import TASKS, atlas, make_problem
from mmreason.tasks.atlas import join_cells, split_cells
from mmreason.tasks.task import FOREIGN


def test_each_task_owns_a_run_of_the_sheet_and_the_runs_fill_it():
    owned = []
    for name, task in TASKS.items():
        assert atlas().count[name] == len(task.cells) == len(set(task.cells))
        owned += range(atlas().first[name], atlas().first[name] + atlas().count[name])
    assert owned == list(range(len(atlas().pixels)))


def test_no_two_drawings_look_alike():
    flat = atlas().pixels.reshape(len(atlas().pixels), -1).astype(np.float64)
    squared = ((flat[:, None] - flat[None]) ** 2).mean(-1)
    np.fill_diagonal(squared, np.inf)
    assert squared.min() > 50  # mean squared difference of a byte


def test_every_drawing_is_recognised_under_noise():
    noise = numpy_generator("noise").normal(0, 8, atlas().pixels.shape)
    noisy = np.clip(atlas().pixels + noise, 0, 255).astype(np.uint8)
    assert atlas().nearest(noisy).tolist() == list(range(len(atlas().pixels)))


def test_nearest_is_the_least_squared_difference():
    patches = numpy_generator("patches").integers(0, 256, (5, 3, CELL_PX, CELL_PX, 3)).astype(np.uint8)
    difference = patches[:, :, None].astype(np.float64) - atlas().pixels
    assert np.array_equal(atlas().nearest(patches), (difference**2).sum((-1, -2, -3)).argmin(-1))


def test_cutting_a_picture_into_cells_and_joining_them_are_inverse():
    image = numpy_generator("image").integers(0, 256, (GRID * CELL_PX, GRID * CELL_PX, 3)).astype(np.uint8)
    cells = split_cells(image)
    assert cells.shape == (GRID, GRID, CELL_PX, CELL_PX, 3)
    assert np.array_equal(cells[1, 2], image[CELL_PX : 2 * CELL_PX, 2 * CELL_PX : 3 * CELL_PX])
    assert np.array_equal(join_cells(cells), image)


@pytest.mark.parametrize("task", TASKS)
def test_a_drawn_canvas_is_read_back_cell_by_cell(task):
    problem = make_problem(task, "hard", 2)
    seen = atlas().nearest(split_cells(problem.image))
    assert np.array_equal(atlas().local_ids(task, seen), problem.canvas)
    assert np.array_equal(atlas().global_ids(task, problem.canvas), seen)


def test_another_tasks_drawing_is_foreign():
    for task in TASKS:
        local = atlas().local_ids(task, np.arange(len(atlas().pixels)))
        assert (local != FOREIGN).sum() == atlas().count[task]
        assert local[local != FOREIGN].tolist() == list(range(atlas().count[task]))
