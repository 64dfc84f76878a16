"""What holds of the checkpoint that is shipped: small files, a tokenizer without errors, puzzles solved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.scheduler import SamplingConfig
from mmreason.tasks import TASKS, atlas
from mmreason.tokenizers.image import encode_cells
from mmreason.training.validation import held_out, solve_problems, success_by_task
from mmreason.training.vqvae import evaluate_vqvae

FOLDER = Path(__file__).parents[1] / "checkpoints" / "base"
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def pipe() -> InterleavedReasoningPipeline:
    return InterleavedReasoningPipeline.from_pretrained(FOLDER)


def test_every_file_is_small_enough_for_the_hub_and_none_is_a_pickle():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 10 * MEGABYTE
    assert {path.suffix for path in files} <= {".json", ".md", ".safetensors"}


def test_every_drawing_has_a_code_of_its_own_that_decodes_to_it(pipe):
    codes = encode_cells(pipe.vqvae, atlas().pixels)
    assert len(set(codes.tolist())) == len(codes)
    assert np.array_equal(atlas().nearest(pipe.sheet[codes]), np.arange(len(codes)))


def test_every_cell_of_held_out_drawings_is_recognised(pipe):
    assert evaluate_vqvae(pipe.vqvae, problems_per_task=2).recognised == 1.0


def test_most_easy_held_out_problems_of_every_task_are_solved(pipe):
    problems = held_out(list(TASKS), ["easy"], 32, 3, "test")
    success = success_by_task(solve_problems(pipe, problems, SamplingConfig(), seed=0))
    assert success["mean"] >= 0.8
    assert min(success.values()) >= 0.5
