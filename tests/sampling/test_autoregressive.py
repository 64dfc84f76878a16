"""The autoregressive sampler: its cache is exact, its account is honest, and a trace has its likelihood."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from mmreason.errors import ConfigError
from mmreason.layouts.cells import clean_length
from mmreason.layouts.packing import pack
from mmreason.models.flops import forward_flops
from mmreason.records import NUM_CELLS, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.unmask import log_distribution
from mmreason.tasks import FIRST_TASKS, make_problem
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.grpo import GRPO
from mmreason.training.rl.likelihood import pack_traces, score_tokens
from tests.helpers.policies import layout, pipeline_of, scripted_policy, vocabulary, words

CONFIG = SamplingConfig(temperature=0.7, max_turns=3)


@pytest.fixture(scope="module")
def pipe() -> InterleavedReasoningPipeline:
    return pipeline_of(scripted_policy(causal=True))


@pytest.fixture(scope="module")
def traces(pipe) -> list[Trace]:
    problems = [make_problem(task, "easy", 5) for task in FIRST_TASKS]
    return pipe(problems, CONFIG, [1, 2, 3, 4]).traces


def generated(trace: Trace) -> list[int]:
    return [token for segment in trace.segments for token in segment.tokens]


def test_rollouts_take_turns_of_thought_and_edit(traces):
    assert all([s.kind for s in trace.segments[:4]] == ["thought", "edit", "thought", "edit"] for trace in traces)
    assert {len(s.tokens) for trace in traces for s in trace.segments if s.kind == "edit"} == {3}


def test_a_text_ends_with_its_end_word(traces):
    for segment in (s for trace in traces for s in trace.segments if s.modality == "text"):
        assert len(segment.tokens) == clean_length(segment.tokens, vocabulary().end) <= 12


def test_every_token_has_the_probability_that_one_forward_of_the_whole_sequence_gives_it(pipe, traces):
    """Cached, a token at a time, equals uncached and packed: at the temperature of sampling."""
    words = {word: i for i, word in enumerate(pipe.words)}
    for trace in traces:
        pieces = [layout().problem_piece(words[f"<{trace.problem.task}>"], trace.canvas_tokens)]
        for s in trace.segments:
            pieces.append(layout().clean_piece(s))
        packed = pack([pieces], vocabulary().pad).with_next()
        hidden = pipe.transformer(packed.ids_BL, packed.positions_BLP, packed.causal_mask()).hidden_BLD
        start = 1 + NUM_CELLS
        for segment in trace.segments:
            here = slice(start - 1, start - 1 + len(segment.tokens))
            logp = log_distribution(
                pipe.transformer.logits(hidden[0, here]), vocabulary().allowed(segment.modality), CONFIG.temperature
            )
            expected = logp.gather(-1, torch.tensor(segment.tokens)[:, None])[:, 0].tolist()
            assert [frame.logprobs[0] for frame in segment.frames] == pytest.approx(expected, abs=1e-4)
            start += len(segment.tokens)


def test_a_token_sees_none_after_it_but_the_problem_sees_all_of_itself(pipe):
    problem = layout().problem_piece(9, np.arange(200, 264))
    rows = [[problem, layout().text_piece([40, 41, 42], 1)], [problem, layout().text_piece([40, 41, 50], 1)]]
    packed = pack(rows, vocabulary().pad).with_next()
    hidden = pipe.transformer(packed.ids_BL, packed.positions_BLP, packed.causal_mask()).hidden_BLD
    assert torch.allclose(hidden[0, :-1], hidden[1, :-1], atol=1e-6)
    assert not torch.allclose(hidden[0, -1], hidden[1, -1], atol=1e-3)
    changed = packed.ids_BL.clone()
    changed[1] = changed[0]
    changed[1, NUM_CELLS] += 1  # the last cell
    hidden = pipe.transformer(changed, packed.positions_BLP, packed.causal_mask()).hidden_BLD
    assert not torch.allclose(hidden[0, 1], hidden[1, 1], atol=1e-5)


def test_a_trace_does_not_depend_on_its_batch_nor_on_its_group(pipe, traces):
    alone = pipe([make_problem("sudoku", "easy", 5)], CONFIG, [3]).traces[0]
    assert generated(alone) == generated(traces[list(FIRST_TASKS).index("sudoku")])
    group = pipe([make_problem("sudoku", "easy", 5)], CONFIG, [3], 3).traces
    assert generated(group[0]) == generated(alone)
    assert generated(group[1]) != generated(group[0])


def test_full_redraws_every_cell_and_costs_that_many_forwards_more(pipe):
    problem = make_problem("maze", "easy", 5)
    (local,) = pipe([problem], SamplingConfig(max_turns=1), [0]).traces
    (full,) = pipe([problem], SamplingConfig(max_turns=1, region="full"), [0]).traces
    assert [len(s.tokens) for s in full.segments if s.kind == "edit"] == [NUM_CELLS]
    for trace in (local, full):
        assert trace.cost.forward_passes == 1 + len(generated(trace))
        assert trace.cost.tokens_forwarded == 1 + NUM_CELLS + len(generated(trace))


def test_the_account_of_a_rollout_alone_is_the_formula_token_by_token(pipe):
    (trace,) = pipe([make_problem("maze", "easy", 5)], CONFIG, [0]).traces
    config = pipe.transformer.config
    expected = forward_flops(config, 1, 1 + NUM_CELLS, 0, 0, wanted=0)
    expected += sum(forward_flops(config, 1, 1, NUM_CELLS + i, 1) for i in range(len(generated(trace))))
    assert trace.cost.flops == pytest.approx(expected)


@pytest.fixture(scope="module")
def uneven() -> InterleavedReasoningPipeline:
    """A policy whose texts are of many lengths: where one may end, it often names a cell more."""
    model = scripted_policy(causal=True)
    end, word = vocabulary().end, words().index("r2c2")
    model.output.weight[word, 5] = model.output.weight[end, 5] - 0.05
    return pipeline_of(model)


def test_a_row_that_is_done_is_not_forwarded_until_the_longest_is(uneven):
    problems, seeds = [make_problem(task, "easy", 5) for task in FIRST_TASKS] * 3, list(range(12))
    together = uneven(problems, CONFIG, seeds).traces
    assert len({len(trace.segments[0].tokens) for trace in together}) > 2
    assert any(len(trace.segments) > 2 for trace in together)  # what was cached of a row that left is read again
    for trace, problem, seed in zip(together, problems, seeds, strict=True):
        (alone,) = uneven([problem], CONFIG, [seed]).traces
        assert generated(trace) == generated(alone)
        logprobs = [frame.logprobs for s in trace.segments for frame in s.frames]
        assert np.allclose(logprobs, [frame.logprobs for s in alone.segments for frame in s.frames], atol=1e-4)
        assert trace.cost.forward_passes == 1 + len(generated(trace)) == alone.cost.forward_passes
        assert trace.cost.tokens_forwarded == alone.cost.tokens_forwarded


def test_confidence_has_no_meaning_for_it(pipe):
    with pytest.raises(ConfigError, match="region must be stated or full for an autoregressive model"):
        pipe([make_problem("maze", "easy", 5)], SamplingConfig(region="confidence"))


def test_it_is_no_policy_to_train_by_rewards_nor_to_go_on_from_changed_thoughts(pipe, traces):
    with pytest.raises(ConfigError, match="checkpoint must be a diffusion policy"):
        GRPO(pipe, GRPOConfig(), Accelerator(cpu=True))
    (batch,) = pack_traces(traces[:1], layout())
    with pytest.raises(ConfigError, match="checkpoint must be a diffusion policy"):
        score_tokens(pipe.transformer, batch, layout(), 1.0)
    with pytest.raises(ConfigError, match="checkpoint must be a diffusion policy"):
        next(pipe.resume(traces[0].problem, traces[0].segments[:1], CONFIG))
