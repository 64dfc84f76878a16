"""What holds of validation: problems split evenly, results that do not depend on the batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from mmreason.records import DIFFICULTIES
from mmreason.sampling.config import SamplingConfig
from mmreason.tasks import FIRST_TASKS, make_problem
from mmreason.training.validation import held_out, solve_problems, success_by_task
from tests.helpers.policies import demonstrated_trace, pipeline_of, talking_policy, verifier


@pytest.mark.parametrize("count", [4, 12, 23])
def test_problems_are_split_evenly_over_tasks_and_difficulties(count):
    problems = held_out(list(FIRST_TASKS), DIFFICULTIES[:2], count, 5, "test")
    assert len(problems) == count
    shares = Counter((p.task, p.difficulty) for p in problems)
    cells = [shares[task, difficulty] for difficulty in DIFFICULTIES[:2] for task in FIRST_TASKS]
    assert max(cells) - min(cells) <= 1
    assert {p.split for p in problems} == {"test"}
    assert len({(p.task, p.difficulty, p.index) for p in problems}) == count


def test_results_do_not_depend_on_the_batch_size_and_come_in_order():
    pipe = pipeline_of(talking_policy().requires_grad_(False))
    problems = held_out(list(FIRST_TASKS), ["easy"], 7, 1, "validation")
    told = []
    config = SamplingConfig(max_turns=2)
    together = solve_problems(pipe, problems, config, 9)
    by_twos = solve_problems(pipe, problems, config, 9, batch_size=2, on_progress=lambda *done: told.append(done))
    assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]
    assert [trace.problem for trace in by_twos] == problems
    for one, other in zip(together, by_twos, strict=True):
        assert [s.tokens for s in one.segments] == [s.tokens for s in other.segments]
        assert [s.reward for s in one.segments] == [s.reward for s in other.segments]
        assert all(s.verdict is not None for s in one.segments)


def test_another_seed_samples_other_traces_of_the_same_problems():
    pipe = pipeline_of(talking_policy().requires_grad_(False))
    problems = held_out(["maze"], ["easy"], 3, 1, "validation")
    one, other = (solve_problems(pipe, problems, SamplingConfig(max_turns=2), seed) for seed in (1, 2))
    assert [t.segments[0].tokens for t in one] != [t.segments[0].tokens for t in other]


def test_the_mean_success_weighs_tasks_and_not_problems():
    right = [demonstrated_trace(make_problem("maze", "easy", 0, index=i)) for i in range(3)]
    wrong = demonstrated_trace(make_problem("sudoku", "easy", 0))
    traces = [verifier().score(t) for t in (*right, replace(wrong, segments=wrong.segments[:1]))]
    assert success_by_task(traces) == {"maze": 1.0, "sudoku": 0.0, "mean": 0.5}
