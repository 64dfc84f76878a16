"""Pictures of the two tasks that are drawn at any size: what a 256-pixel codec is given, and what is read off it."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from mmreason.__main__ import main
from mmreason.records import CELL_PX, DIFFICULTIES, GRID, region_mask
from mmreason.sampling.views.canvas import start_canvas
from mmreason.tasks import make_problem
from mmreason.tasks.atlas import Atlas, split_cells
from mmreason.tasks.chart_refocus import ChartRefocus
from mmreason.tasks.laws import split_thought
from mmreason.tasks.visual_search import VisualSearch
from tests.helpers import public

TASKS = [VisualSearch(), ChartRefocus()]
SIDE = 256
both = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def picture(task, canvas_HW, cell_px):
    """The canvas in cells of ``cell_px`` pixels."""
    return Image.fromarray(task.drawn(canvas_HW, cell_px))


def decoded(image):
    """What a lossy codec makes of a picture."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=60)
    return Image.open(file).convert("RGB")


def recognised(task, image):
    """Local cell ids of a picture of any size, by its pixels."""
    small = np.asarray(image.resize((GRID * CELL_PX, GRID * CELL_PX), Image.Resampling.BOX))
    atlas = Atlas.of([task])
    return atlas.local_ids(task.name, atlas.nearest(split_cells(small)))


@both
@pytest.mark.parametrize("cell_px", [16, 32, 64])
def test_a_larger_drawing_is_the_small_one_with_more_detail(task, cell_px):
    for name in task.cells:
        drawing = task.draw_cell(name, cell_px)
        assert drawing.size == (cell_px, cell_px) and drawing.mode == "RGB"
        small = np.asarray(drawing.resize((CELL_PX, CELL_PX), Image.Resampling.BOX), dtype=float)
        assert np.abs(small - np.asarray(task.draw_cell(name), dtype=float)).mean() < 3


@both
def test_a_problem_is_solved_on_what_a_codec_of_256_pixels_leaves_of_it(task):
    rng = np.random.default_rng(7)
    for difficulty in DIFFICULTIES:
        spec = task.generate(difficulty, rng)
        demonstration, shown_HW = task.demonstrate(spec), None
        for turn, step in enumerate(demonstration.steps, 1):
            before_HW = task.canvas(spec) if turn == 1 else demonstration.steps[turn - 2].canvas
            shown_HW = recognised(task, decoded(picture(task, before_HW, SIDE // GRID)))
            words, boxes = split_thought(step.thought)
            assert task.check_thought(spec, shown_HW, words, boxes, turn).right
            after_HW = recognised(task, decoded(picture(task, step.canvas, SIDE // GRID)))
            accepted = task.accepted_edits(spec, shown_HW, region_mask(boxes), turn)
            assert any(np.array_equal(after_HW, each_HW) for each_HW in accepted)
            assert not any(np.array_equal(shown_HW, each_HW) for each_HW in accepted)
        assert task.check_answer(spec, after_HW, demonstration.answer.split()[1:]).right
        assert not task.check_answer(spec, shown_HW, demonstration.answer.split()[1:]).right


@both
def test_a_blank_or_foreign_picture_is_judged_and_nothing_is_right_on_it(task):
    spec = task.parse(dict(task.example))
    words, boxes = split_thought(task.demonstrate(spec).steps[-1].thought)
    for level in (0, 128, 255):
        shown_HW = recognised(task, Image.new("RGB", (SIDE, SIDE), (level, level, level)))
        assert not task.check_thought(spec, shown_HW, words, boxes, 1).right
        assert not task.check_answer(spec, shown_HW, task.demonstrate(spec).answer.split()[1:]).right


@both
def test_a_public_checkpoint_is_given_a_picture_of_256_pixels_that_was_drawn_at_that_size(task, tmp_path, capsys):
    out = tmp_path / "trace.json"
    asked = ["--task", task.name, "--difficulty", "easy", "--max_turns", "1", "--text_length", "4", "--num_steps", "1"]
    assert main(["solve", "--checkpoint", str(public.folder()), *asked, "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["segments"][0]["reward"] == 0
    problem = make_problem(task.name, "easy", 0)
    canvas = start_canvas(problem, public.pipeline().model.codec)
    assert canvas.pixels.shape == (SIDE, SIDE, 3)
    assert np.array_equal(canvas.pixels, np.asarray(picture(task, problem.canvas, SIDE // GRID)))
    assert not np.array_equal(canvas.pixels, problem.image.repeat(2, axis=0).repeat(2, axis=1))
