"""What holds of a running batch: nobody notices who else is there, who comes, who goes, and who fails."""

from __future__ import annotations

import pytest

from mmreason.errors import ConfigError, DistributionError
from mmreason.records import Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.running import NARROW, RunningBatch, StreamBatch
from mmreason.tasks import FIRST_TASKS, make_problem
from tests.helpers.policies import pipeline_of, random_policy, talking_policy

CONFIGS = [
    SamplingConfig(max_turns=3),
    SamplingConfig(max_turns=2, temperature=0),
    SamplingConfig(max_turns=4, temperature=0.7, num_steps=3, threshold=0.5),
    SamplingConfig(max_turns=2, region="full", num_steps=2),
    SamplingConfig(max_turns=3, region="confidence", order="entropy"),
]


@pytest.fixture(scope="module")
def pipe():
    return pipeline_of(talking_policy().requires_grad_(False))


@pytest.fixture(scope="module")
def asked():
    """Thirty visitors: problem, settings and seed of each."""
    tasks = list(FIRST_TASKS)
    return [(make_problem(tasks[i % 4], "medium", i), CONFIGS[i % len(CONFIGS)], 50 + i) for i in range(30)]


@pytest.fixture(scope="module")
def alone(pipe, asked):
    return [list(pipe.stream([problem], config, [seed]))[-1][0] for problem, config, seed in asked]


def told(trace: Trace) -> tuple:
    """All that a trace says, without times; log-probabilities to four digits."""
    cost = trace.cost
    frames = [
        (s.kind, s.turn, s.text, s.boxes, s.cells, f.step, f.tokens, f.committed, [round(p, 4) for p in f.logprobs])
        for s in trace.segments
        for f in s.frames
    ]
    spent = (cost.forward_passes, cost.tokens_forwarded, cost.flops)
    return trace.canvas_tokens, frames, trace.end_reason, spent, dict(trace.settings)


def same(trace: Trace, other: Trace) -> bool:
    """Equal but for times and rounding of log-probabilities."""
    one, two = told(trace), told(other)
    pairs = zip(one[1], two[1], strict=True)
    close = len(one[1]) == len(two[1]) and all(
        a[:-1] == b[:-1] and a[-1] == pytest.approx(b[-1], abs=2e-3) for a, b in pairs
    )
    return close and one[0] == two[0] and one[2:] == two[2:]


def test_these_visitors_are_unlike(alone):
    assert len({len(trace.segments) for trace in alone}) > 3
    assert any(len(s.cells) > NARROW for trace in alone for s in trace.segments)


def test_thirty_at_once_get_what_each_would_get_alone_and_pay_the_same(pipe, asked, alone):
    batch = pipe.running_batch()
    rows = [batch.join(*one) for one in asked]
    while batch.rows:
        batch.step()
    assert all(row.ended and row.error is None for row in rows)
    assert all(same(row.trace(), trace) for row, trace in zip(rows, alone, strict=True))


def test_an_order_of_public_checkpoints_is_refused_as_it_is_alone(pipe, asked):
    batch, config = pipe.running_batch(), SamplingConfig(order="maskgit")
    for begin in (lambda: batch.join(asked[0][0], config, 1), lambda: next(pipe.stream([asked[0][0]], config, [1]))):
        with pytest.raises(ConfigError, match="order maskgit is for watching checkpoints of public families"):
            begin()
    assert not batch.rows


def test_visitors_come_and_go_while_others_go_on(pipe, asked, alone):
    batch, rows, coming = RunningBatch(pipe), {}, list(range(30))
    gone = {3, 8, 15, 22}
    while coming or batch.rows:
        for number in coming[:2]:
            rows[number] = batch.join(*asked[number])
        coming = coming[2:]
        batch.step()
        for number in gone & set(rows):
            if len(rows[number].rollout.segments) >= 1:
                batch.leave(rows[number])
                assert rows[number] not in batch.rows
    assert all(same(rows[i].trace(), alone[i]) for i in range(30) if i not in gone)
    assert len(batch.cells.cache.lengths) == 0


def test_every_step_shows_one_frame_more_of_every_row(pipe, asked):
    batch = RunningBatch(pipe)
    rows = [batch.join(*asked[number]) for number in (0, 1, 2)]
    batch.step()
    assert [row.trace().segments for row in rows] == [()] * 3
    for number in (1, 2, 3):
        batch.step()
        assert [len(row.trace().segments[0].frames) for row in rows] == [number] * 3


def test_a_row_that_fails_harms_no_other(pipe, asked, alone, monkeypatch):
    batch = RunningBatch(pipe)
    rows = [batch.join(*one) for one in asked[:6]]

    def breaks(turn, config):
        raise RuntimeError("this row only")

    monkeypatch.setattr(rows[2].rollout, "follow", breaks)
    while batch.rows:
        batch.step()
    assert str(rows[2].error) == "this row only"
    assert all(same(rows[i].trace(), alone[i]) for i in (0, 1, 3, 4, 5))


def test_a_forward_that_fails_is_tried_row_by_row(pipe, asked, alone):
    batch = RunningBatch(pipe)
    rows = [batch.join(*one) for one in asked[:6]]
    batch.step()
    ids = rows[4].ask.noisy[0].ids
    ids[0] = 10**6  # outside the vocabulary: whatever forward holds it fails
    while batch.rows:
        batch.step()
    assert isinstance(rows[4].error, IndexError)
    assert all(same(rows[i].trace(), alone[i]) for i in (0, 1, 2, 3, 5))


def test_a_row_whose_probabilities_are_no_numbers_fails_with_that_name_and_harms_no_other(pipe, asked, alone):
    batch = RunningBatch(pipe)
    rows = [batch.join(*one) for one in asked[:6]]
    batch.step()
    object.__setattr__(rows[3].config, "temperature", 1e-40)  # settings refuse it: as weights that overflow would
    try:
        while batch.rows:
            batch.step()
            for row in rows:
                row.trace()
    finally:
        object.__setattr__(rows[3].config, "temperature", 1.0)
    assert isinstance(rows[3].error, DistributionError)
    assert all(same(rows[i].trace(), alone[i]) for i in (0, 1, 2, 4, 5))


def test_policies_that_cannot_share_a_forward_take_steps_in_turn():
    pipe = pipeline_of(random_policy(3, causal=True).requires_grad_(False))
    batch = pipe.running_batch()
    assert isinstance(batch, StreamBatch)
    problems = [make_problem(task, "easy", 5) for task in FIRST_TASKS]
    config = SamplingConfig(max_turns=2)
    rows = [batch.join(problem, config, seed) for seed, problem in enumerate(problems)]
    gone = rows.pop()
    batch.step()
    batch.leave(gone)
    while batch.rows:
        batch.step()
    for seed, row in enumerate(rows):
        (alone,) = list(pipe.stream([problems[seed]], config, [seed]))[-1]
        assert same(row.trace(), alone)
    assert not gone.ended
