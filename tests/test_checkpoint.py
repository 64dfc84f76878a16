"""What holds of the checkpoints that are shipped: small files, a tokenizer without errors, puzzles solved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmreason.codecs.cells import encode_cells
from mmreason.sampling.config import RECORDED, SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import FIRST_TASKS, TASKS, problem_from_json
from mmreason.tasks.atlas import Atlas
from mmreason.traces.file import load, to_json
from mmreason.training.supervised.vqvae import evaluate_vqvae
from mmreason.training.validation import held_out, solve_problems, success_by_task

FOLDER = Path(__file__).parents[1] / "checkpoints" / "base"
SCENES = FOLDER.parent / "scenes"
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def pipe() -> InterleavedReasoningPipeline:
    return InterleavedReasoningPipeline.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def looking() -> InterleavedReasoningPipeline:
    """The policy of the two looking tasks."""
    return InterleavedReasoningPipeline.from_pretrained(SCENES)


@pytest.mark.parametrize("folder", [FOLDER, SCENES], ids=lambda folder: folder.name)
def test_every_file_is_small_enough_for_the_hub_and_none_is_a_pickle(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 10 * MEGABYTE
    assert {path.suffix for path in files} <= {".json", ".md", ".safetensors"}


def test_every_drawing_has_a_code_of_its_own_that_decodes_to_it(pipe):
    drawings = Atlas.of([TASKS[name] for name in FIRST_TASKS])
    codes = encode_cells(pipe.vqvae, drawings.pixels)
    assert len(set(codes.tolist())) == len(codes)
    assert np.array_equal(drawings.nearest(pipe.sheet[codes]), np.arange(len(codes)))


def test_every_cell_of_held_out_drawings_is_recognised(pipe):
    assert evaluate_vqvae(pipe.vqvae, problems_per_task=2).recognised == 1.0


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_the_shipped_example_is_what_its_settings_give_frame_for_frame(pipe, task):
    data = load(FOLDER.parents[1] / "assets" / "examples" / f"{task}.json")
    assert data["settings"]["checkpoint_hash"] == pipe.fingerprint
    config = SamplingConfig(**{name: data["settings"][name] for name in RECORDED if name in data["settings"]})
    (trace,) = pipe([problem_from_json(data["problem"]["spec"])], config, [data["settings"]["seed"]]).traces
    again = to_json(trace, pipe.words, pipe.sheet)

    def happened(segment):
        frames = [(frame["committed"], frame["tokens"]) for frame in segment["frames"]]
        return segment["kind"], segment.get("text"), segment.get("region"), frames

    assert [happened(s) for s in again["segments"]] == [happened(s) for s in data["segments"]]


def test_most_easy_held_out_problems_of_every_task_are_solved(pipe):
    problems = held_out(list(FIRST_TASKS), ["easy"], 32, 3, "test")
    success = success_by_task(solve_problems(pipe, problems, SamplingConfig(), seed=0))
    assert success["mean"] >= 0.8
    assert min(success.values()) >= 0.5


def test_most_easy_held_out_scenes_are_solved_by_the_policy_that_was_trained_on_them(looking):
    tasks = looking.vocabulary.known(TASKS)
    assert tasks == [name for name in TASKS if name not in FIRST_TASKS]
    assert evaluate_vqvae(looking.vqvae, problems_per_task=2, tasks=tasks).recognised == 1.0
    success = success_by_task(
        solve_problems(looking, held_out(tasks, ["easy"], 32, 3, "test"), SamplingConfig(), seed=0)
    )
    assert success["mean"] >= 0.7 and min(success.values()) >= 0.5
