"""A checkpoint may say how many slots the texts of a task have; all else is as with all slots."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmreason.errors import CheckpointError
from mmreason.layouts.cells import CellsLayout
from mmreason.records import MAX_TEXT_TOKENS, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import FIRST_TASKS, make_problem
from mmreason.training.rl.likelihood import pack_traces, score_tokens
from tests.helpers.policies import NUM_CODES, layout, pipeline_of, talking_policy, text_tokenizer

SLOTS = {"maze": 5, "jigsaw": 8, "transform": 1}  # a sudoku's texts have all
SAMPLING = SamplingConfig(num_steps=3, temperature=1.2, threshold=0.6, max_turns=3)


@pytest.fixture(scope="module")
def pipe() -> InterleavedReasoningPipeline:
    return pipeline_of(talking_policy(text_slots=SLOTS).requires_grad_(False))


@pytest.fixture(scope="module")
def problems():
    return [make_problem(task, "easy", seed) for seed in range(3) for task in FIRST_TASKS]


@pytest.fixture(scope="module")
def traces(pipe, problems) -> list[Trace]:
    return pipe(problems, SAMPLING, seeds=range(len(problems)), num_generations=2).traces


def drawn(trace: Trace) -> list[tuple]:
    return [(s.kind, s.tokens, s.cells, [f.committed for f in s.frames]) for s in trace.segments]


def test_a_text_has_the_slots_of_its_task(traces):
    lengths = {task: {len(s.tokens) for t in traces if t.problem.task == task for s in t.segments if not s.cells}
               for task in FIRST_TASKS}  # fmt: skip
    assert lengths == {task: {SLOTS.get(task, MAX_TEXT_TOKENS)} for task in FIRST_TASKS}
    assert {len(trace.segments) for trace in traces} > {1, 3}


def test_a_rollout_does_not_depend_on_others_with_more_or_fewer_slots(pipe, problems, traces):
    for i, problem in enumerate(problems):
        (alone,) = pipe([problem], SAMPLING, seeds=[i]).traces
        assert drawn(alone) == drawn(traces[2 * i])


def test_a_running_batch_draws_the_same(pipe, problems, traces):
    batch = pipe.running_batch()
    rows = [batch.join(problem, SAMPLING, i) for i, problem in enumerate(problems)]
    while batch.rows:
        batch.step()
    assert [drawn(row.trace()) for row in rows] == [drawn(trace) for trace in traces[::2]]


def test_going_on_from_its_segments_gives_the_same_trace(pipe, problems, traces):
    for i, problem in enumerate(problems):
        given = traces[2 * i].segments[:2]
        if len(given) == 2:
            *_, (again,) = pipe.resume(problem, given, SAMPLING, seed=i)
            assert drawn(again) == drawn(traces[2 * i])


def test_the_packed_likelihood_is_what_the_sampler_recorded(pipe, traces):
    recorded = [sum(p for s in trace.segments for f in s.frames for p in f.logprobs) for trace in traces]
    scored = torch.zeros(len(traces), dtype=torch.float64)
    for batch in pack_traces(traces, pipe.layout, "trajectory", 65536):
        logp_N = score_tokens(pipe.transformer, batch, pipe.layout, SAMPLING.temperature)
        scored.index_add_(0, batch.trace_N, logp_N.double())
    assert scored.tolist() == pytest.approx(recorded, abs=2e-3)


def test_positions_are_those_of_the_first_slots():
    few = CellsLayout(text_tokenizer(), NUM_CODES, text_slots=SLOTS)
    for turn in (1, 4):
        text = [each.text_piece(range(5), turn).positions for each in (few, layout())]
        assert np.array_equal(*text)
        assert np.array_equal(few.image_positions(turn), layout().image_positions(turn))


def test_saved_and_loaded_a_checkpoint_keeps_its_slots(pipe, problems, traces, tmp_path):
    pipe.save_pretrained(tmp_path / "few")
    again = InterleavedReasoningPipeline.from_pretrained(tmp_path / "few")
    assert again.layout.text_slots == SLOTS
    assert drawn(again(problems[:1], SAMPLING, seeds=[0]).traces[0]) == drawn(traces[0])


@pytest.mark.parametrize(
    ("slots", "turn", "says"),
    [
        ({"maze": 0}, "interleaved", "text_slots must be from 1 to 12 for each task, got maze=0"),
        ({"jigsaw": 8, "maze": 13}, "interleaved", "text_slots must be from 1 to 12 for each task, got maze=13"),
        ({"maze": 8}, "joint", "text_slots must be left out where turns are joint, got maze"),
    ],
)
def test_slots_that_no_text_can_have_are_refused(slots, turn, says):
    with pytest.raises(CheckpointError, match=says):
        CellsLayout(text_tokenizer(), NUM_CODES, turn=turn, text_slots=slots)
