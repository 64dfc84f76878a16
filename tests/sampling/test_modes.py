"""What holds in every mode of the small model: attention in blocks or full, turns interleaved or joint."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmreason.errors import ConfigError
from mmreason.records import Trace
from mmreason.rewards.verify import Verifier
from mmreason.sampling import scheduler
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.sampler import Sampler
from mmreason.sampling.unmask import quota
from mmreason.sampling.views.schedule import cosine_left
from mmreason.tasks import make_problem
from mmreason.training.rl.likelihood import pack_traces, score_tokens
from mmreason.training.rl.order import changed_orders
from tests.helpers.policies import pipeline_of, random_policy, talking_policy, vocabulary

MODES = [("blocks", "interleaved"), ("full", "interleaved"), ("blocks", "joint"), ("full", "joint")]
CONFIG = SamplingConfig(num_steps=3, temperature=0.8, threshold=0.6, max_turns=2)
PROBLEMS = [make_problem("maze", "easy", 3), make_problem("sudoku", "easy", 3)]
mode = pytest.mark.parametrize(("attention", "turn"), MODES)


@cache
def pipe(attention: str, turn: str) -> InterleavedReasoningPipeline:
    return pipeline_of(talking_policy(1, attention=attention, turn=turn))


@cache
def traces(attention: str, turn: str) -> list[Trace]:
    return pipe(attention, turn)(PROBLEMS, CONFIG, [5, 6], 3).traces


def tokens(trace: Trace) -> list[tuple[int, ...]]:
    return [segment.tokens for segment in trace.segments]


@mode
def test_a_trace_says_in_which_mode_it_was_sampled(attention, turn):
    for trace in traces(attention, turn):
        assert (trace.settings["attention"], trace.settings["turn"]) == (attention, turn)
        if turn == "joint":
            assert trace.settings["default_region"] == "all"
            kinds = [segment.kind for segment in trace.segments]
            assert kinds[1::2] == ["edit"] * (len(kinds) // 2) and len(kinds) % 2 == 0
            assert all(len(segment.cells) == 64 for segment in trace.segments[1::2])
            assert all(len(segment.boxes) == 1 for segment in trace.segments[1::2])


@mode
def test_a_rollout_that_is_scored_while_it_is_denoised_keeps_all_its_segments(attention, turn):
    one, unfinished = pipe(attention, turn), set()
    judge = Verifier(one.words, one.sheet)
    for (trace,) in one.stream(PROBLEMS[:1], CONFIG, [5]):
        scored = judge.score(trace)
        assert tokens(scored) == tokens(trace)
        unfinished.add(sum(segment.verdict is None for segment in scored.segments))
    assert max(unfinished) == (2 if turn == "joint" else 1)


@mode
def test_the_log_probability_that_was_noted_is_the_one_that_is_scored(attention, turn):
    one, sampled = pipe(attention, turn), traces(attention, turn)
    noted = sum(segment.logprob for trace in sampled for segment in trace.segments)
    scored, tokens_scored = 0.0, 0
    for batch in pack_traces(sampled, one.layout, max_tokens=600):
        with torch.no_grad():
            scored += float(score_tokens(one.transformer, batch, one.layout, 0.8).sum())
        tokens_scored += len(batch.token_N)
        assert changed_orders(one.transformer, batch, one.layout, CONFIG)[0] == 0
    assert tokens_scored == sum(len(segment.tokens) for trace in sampled for segment in trace.segments)
    assert scored == pytest.approx(noted, abs=1e-2 * len(sampled))


@mode
def test_only_wanted_segments_are_scored_and_as_in_the_whole(attention, turn):
    one, sampled = pipe(attention, turn), traces(attention, turn)[:2]
    wanted = [[s % 2 == 1 for s in range(len(trace.segments))] for trace in sampled]

    def by_place(**more) -> dict[tuple[int, ...], list[float]]:
        found: dict[tuple[int, ...], list[float]] = {}
        for batch in pack_traces(sampled, one.layout, **more):
            with torch.no_grad():
                logp_N = score_tokens(one.transformer, batch, one.layout, 0.8).tolist()
            for t, s, logp in zip(batch.trace_N.tolist(), batch.segment_N.tolist(), logp_N, strict=True):
                found.setdefault((t, s), []).append(logp)
        return {where: sorted(values) for where, values in found.items()}

    everything, some = by_place(), by_place(wanted=wanted)
    assert set(some) == {(t, s) for t, s in everything if s % 2}
    for where, values in some.items():
        assert values == pytest.approx(everything[where], abs=1e-4)


@mode
def test_a_running_batch_and_a_resumed_rollout_give_the_same_trace(attention, turn):
    one, sampled = pipe(attention, turn), traces(attention, turn)
    batch = one.running_batch()
    rows = [batch.join(problem, CONFIG, seed) for problem, seed in zip(PROBLEMS, [5, 6], strict=True)]
    while batch.rows:
        batch.step()
    for row, trace in zip(rows, sampled[::3], strict=True):
        assert row.error is None and tokens(row.trace()) == tokens(trace)
        assert row.trace().settings == trace.settings
    whole = max(sampled[:3], key=lambda trace: len(trace.segments))
    generation = sampled.index(whole)
    for count in range(2 if turn == "joint" else 1, len(whole.segments), 2 if turn == "joint" else 1):
        if whole.segments[count - 1].kind == "answer" or whole.segments[count - 2].kind == "answer":
            continue
        *_, last = one.resume(PROBLEMS[0], whole.segments[:count], CONFIG, 5, generation)
        assert tokens(last[0]) == tokens(whole)


@mode
def test_flops_by_formula_are_those_that_torch_counts(attention, turn):
    """With eager attention: torch counts nothing for the fused one on a CPU."""
    one = pipeline_of(talking_policy(1, attention=attention, turn=turn))
    one.transformer.set_attn_implementation("eager")
    (warm,) = one(PROBLEMS[:1], CONFIG, [5]).traces
    with FlopCounterMode(display=False) as counter:
        (trace,) = one(PROBLEMS[:1], CONFIG, [5]).traces
    assert tokens(trace) == tokens(warm)
    assert trace.cost.flops == pytest.approx(counter.get_total_flops(), rel=1e-6)
    for batch in pack_traces([trace], one.layout):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            score_tokens(one.transformer, batch, one.layout, 0.8)
        assert batch.flops(one.transformer.config) == pytest.approx(counter.get_total_flops(), rel=1e-6)


@mode
def test_the_probabilities_of_all_that_may_be_drawn_sum_to_one(attention, turn, monkeypatch):
    """Two words at two places and three codes in two cells, every assignment once, through the real sampler."""
    model = random_policy(6, attention=attention, turn=turn, max_text_tokens=2).requires_grad_(False)
    words, codes = [40, 41], [vocabulary().num_text + code for code in (3, 60, 141)]
    size = 4 if turn == "joint" else 2
    choices = [words, words, codes, codes] if turn == "joint" else [codes, codes]
    every = list(product(*choices))
    config = SamplingConfig(num_steps=2, temperature=0.7, default_region="r2c2:r2c3", threshold=0.55)
    sampler = Sampler(pipeline_of(model), PROBLEMS[:1], config, [1], len(every))
    for modality, ids in (("text", words), ("image", codes)):
        sampler.allowed[modality] = torch.isin(torch.arange(vocabulary().size), torch.tensor(ids))
    drawn = torch.tensor(every)
    monkeypatch.setattr(
        Sampler,
        "_uniform",
        lambda self, active, width, lengths: torch.tensor(
            [[float([r is one for r in self.rollouts].index(True))] * width for one in active]
        ),
    )
    monkeypatch.setattr(scheduler, "sample_tokens", lambda logp, rows_BL, temperature: drawn[rows_BL[:, 0].long()])
    sampler._encode_problems()
    if turn == "joint":
        steps = sampler._denoise_turns(sampler.rollouts, 1)
    else:
        steps = sampler._denoise_edits(sampler.rollouts, 1, [np.array([9, 10])] * len(every))
    for _ in steps:
        pass
    logprobs = [sum(segment.logprob for segment in rollout.segments) for rollout in sampler.rollouts]
    assert len({round(logprob, 4) for logprob in logprobs}) > size
    assert np.exp(logprobs).sum() == pytest.approx(1, abs=1e-5)


def test_a_joint_turn_s_region_is_decided_before_its_words():
    one = pipe("full", "joint")
    for default, count in (("r2c2:r3c4", 6), ("confidence", 16), ("all", 64)):
        (trace,) = one(PROBLEMS[:1], replace(CONFIG, default_region=default), [5]).traces
        assert {len(segment.cells) for segment in trace.segments if segment.kind == "edit"} == {count}
        assert trace.settings["default_region"] == default
    with pytest.raises(ConfigError, match="8 × 8 cells of the canvas, got 'r2c2:r9c9'"):
        one(PROBLEMS[:1], replace(CONFIG, default_region="r2c2:r9c9"), [5])
    with pytest.raises(ConfigError, match="whole turns"):
        list(one.resume(PROBLEMS[0], traces("full", "joint")[0].segments[:1], CONFIG, 5))


def test_a_thought_that_names_no_region_draws_the_default_one():
    one = pipeline_of(random_policy(2))  # its thoughts name nothing
    problem, config = PROBLEMS[:1], SamplingConfig(num_steps=2, temperature=0, max_turns=2)
    (ended,) = one(problem, config, [5]).traces
    assert len(ended.segments) == 1 and "<edit> is missing" in ended.end_reason
    for default, count in (("all", 64), ("confidence", 16), ("r1c1:r2c8", 16)):
        (trace,) = one(problem, replace(config, default_region=default), [5]).traces
        assert [len(segment.cells) for segment in trace.segments if segment.kind == "edit"] == [count] * 2
        assert trace.end_reason == "out of turns"


@pytest.mark.parametrize(("slots", "steps"), [(64, 8), (12, 4), (5, 3), (1, 4)])
def test_the_cosine_schedule_begins_slowly_and_leaves_nothing(slots, steps):
    left, counts = slots, []
    for step in range(steps):
        share = int(quota(torch.tensor([left]), step, steps, "cosine"))
        left -= min(share, left)
        counts.append(left)
    assert counts[-1] == 0
    assert all(abs(a - b) <= 2 for a, b in zip(counts, cosine_left(slots, steps), strict=False))
    if slots > 2 * steps:
        assert slots - counts[0] < slots // steps
