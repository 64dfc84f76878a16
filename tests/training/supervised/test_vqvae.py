"""What holds of the image tokenizer's training: every drawing has a code of its own.  Axes: N cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmreason.codecs.cells import encode_cells
from mmreason.errors import ConfigError
from mmreason.tasks import FIRST_TASKS, TASKS, atlas, make_problem
from mmreason.tasks.atlas import split_cells
from mmreason.training.supervised.vqvae import VQTrainConfig, codes_needed, drawn_cells, evaluate_vqvae, train_vqvae

CONFIG = VQTrainConfig(autoencode_steps=3, quantize_steps=2, problems_per_task=2)


@pytest.fixture(scope="module")
def trained():
    steps = []
    return train_vqvae(CONFIG, lambda step, total, loss: steps.append((step, total, loss))), steps


def test_every_cell_of_start_canvases_and_edits_is_looked_at_once():
    pixels = drawn_cells(CONFIG)
    assert len({cell.tobytes() for cell in pixels}) == len(pixels)
    known = {cell.tobytes() for cell in pixels}
    for task in FIRST_TASKS:
        problem = make_problem(task, "hard", CONFIG.seed, "train", 1)
        last = TASKS[task].demonstrate(problem.spec).steps[-1].canvas
        for image in (problem.image, atlas().draw(task, last)):
            assert {cell.tobytes() for cell in split_cells(image).reshape(64, 16, 16, 3)} <= known


def test_even_after_a_few_steps_every_drawing_has_a_code_of_its_own(trained):
    vqvae, steps = trained
    codes = encode_cells(vqvae, drawn_cells(CONFIG))
    assert codes.tolist() == list(range(len(codes)))
    assert [step for step, _, _ in steps] == [1, 2, 3, 4, 5]
    assert {total for _, total, _ in steps} == {5}
    assert not vqvae.training
    assert not any(p.requires_grad for p in vqvae.parameters())


def test_training_is_a_pure_function_of_its_config(trained):
    again = train_vqvae(CONFIG).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in trained[0].state_dict().items())


def test_the_report_counts_recognised_cells_of_held_out_drawings(trained):
    report = evaluate_vqvae(trained[0], problems_per_task=1)
    assert 0 <= report.recognised <= 1
    assert np.isfinite(report.psnr)


def test_a_codebook_of_all_built_in_tasks_has_room_for_every_drawing():
    assert codes_needed(FIRST_TASKS) == codes_needed(["visual_search", "chart_refocus"]) == 256
    assert codes_needed(list(TASKS)) == 448 >= sum(len(task.cells) for task in TASKS.values())


def test_fewer_codes_than_drawings_are_refused():
    with pytest.raises(ConfigError, match=r"num_codes must be at least the [0-9]+ distinct cells, got 8"):
        train_vqvae(VQTrainConfig(num_codes=8, problems_per_task=1))
    with pytest.raises(ConfigError, match="must be a whole number from 1"):
        VQTrainConfig(quantize_steps=0)
