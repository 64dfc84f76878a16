"""What holds of the evaluation: an even split, and results that depend on the problems alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.analysis.evaluate import evaluate, summary
from mmreason.analysis.statistics import wilson
from mmreason.commands.evaluate import readable
from mmreason.errors import ConfigError
from mmreason.sampling.config import SamplingConfig
from mmreason.tasks import TASKS, make_problem
from mmreason.training.validation import solve_problems
from tests.helpers.standin import StandInPipe

CONFIG = SamplingConfig(num_steps=3)
TIMES = ("seconds",)


def results(pipe, tasks, difficulties, count, seed=0, **changes):
    found = evaluate(pipe, tasks, difficulties, count, seed, CONFIG, **changes)
    return {name: value for name, value in found.items() if name not in TIMES}


def by_luck(problem, seed) -> bool:
    """An outcome that depends on the problem and its sampling seed only."""
    return (seed + problem.index) % 3 == 0


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.sampled_from(list(TASKS)), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["easy", "medium"]), min_size=1, unique=True),
    st.integers(1, 13),
)
def test_problems_are_split_evenly_over_tasks_and_difficulties(tasks, difficulties, count) -> None:
    seen = []
    evaluate(StandInPipe(lambda p, s: seen.append(p) or False), tasks, difficulties, count, 0, CONFIG)
    shares = Counter((p.task, p.difficulty) for p in seen)
    cells = len(tasks) * len(difficulties)
    assert sum(shares.values()) == count == len(seen)
    assert max(shares.values()) - min([*shares.values(), *[0] * (cells > len(shares))]) <= 1
    assert {p.split for p in seen} == {"test"}
    for share, n in shares.items():
        assert sorted(p.index for p in seen if (p.task, p.difficulty) == share) == list(range(n))


def test_results_do_not_depend_on_the_batch_size() -> None:
    pipes = [StandInPipe(by_luck) for _ in range(3)]
    found = [
        results(pipe, ["maze", "sudoku"], ["easy"], 10, 4, batch_size=size)
        for pipe, size in zip(pipes, (1, 3, 64), strict=True)
    ]
    assert found[0] == found[1] == found[2]
    assert pipes[1].batches == [3, 3, 3, 1]


def test_a_real_pipeline_gives_the_same_numbers_in_any_batch(tiny_pipe) -> None:
    config = SamplingConfig(num_steps=2)
    tasks = ["maze", "jigsaw"]
    one, all_ = (evaluate(tiny_pipe, tasks, ["easy"], 4, 0, config, batch_size=n) for n in (1, 4))
    for name in ("success", "text_reward", "image_reward", "end_reasons", "by_task"):
        assert one[name] == all_[name]


def test_the_mean_is_over_tasks() -> None:
    found = results(StandInPipe(lambda p, s: p.task == "maze"), ["maze", "jigsaw"], ["easy"], 5)
    assert found["success"] == {"maze": 1.0, "jigsaw": 0.0, "mean": 0.5}
    assert found["by_task"]["maze"]["problems"] == 3 and found["problems"] == 5
    assert found["ci95"][0] < 0.5 < found["ci95"][1]


def test_demonstrations_score_one_and_stopping_at_once_does_not_pay() -> None:
    right = results(StandInPipe(), ["transform"], ["easy"], 3)
    assert (right["text_reward"], right["image_reward"]) == (1.0, 1.0)
    wrong = results(StandInPipe(lambda p, s: False), ["transform"], ["easy"], 3)
    assert (wrong["text_reward"], wrong["image_reward"]) == (0.0, None)
    assert wrong["end_reasons"] == {"answered": 3}


def test_answers_count_apart_from_what_happened_on_the_way() -> None:
    problems = [make_problem("maze", "easy", 0, "test", index) for index in range(2)]
    solved, other = solve_problems(StandInPipe(), problems, CONFIG, 0, batch_size=2)
    stumbled, unanswered = replace(solved, success=False), replace(other, success=False, segments=other.segments[:-1])
    found = summary([stumbled, unanswered])
    assert found["success"]["mean"] == 0 and found["answer_accuracy"] == {"maze": 0.5, "mean": 0.5}
    assert found["by_task"]["maze"]["answer_accuracy"] == 0.5
    wrong = results(StandInPipe(lambda p, s: False), ["maze"], ["easy"], 3)
    assert wrong["answer_accuracy"]["mean"] == 0
    assert "answer" in readable(wrong | {"seconds": 1.0})


def test_difficulties_are_reported_apart() -> None:
    found = results(StandInPipe(lambda p, s: p.difficulty == "easy"), ["maze"], ["easy", "hard"], 4)
    rates = {name: row["success"]["mean"] for name, row in found["by_difficulty"].items()}
    assert rates == {"easy": 1.0, "hard": 0.0}


def test_costs_add_up_and_progress_reaches_the_end() -> None:
    told: list[tuple[int, int]] = []
    found = results(StandInPipe(), ["maze"], ["easy"], 5, batch_size=2, on_progress=lambda *n: told.append(n))
    assert told == [(2, 5), (4, 5), (5, 5)] and found["cost"]["forward_passes"] == 5 * 9


def test_names_given_twice_count_once() -> None:
    twice = results(StandInPipe(by_luck), ["maze", "maze"], ["easy", "easy"], 3)
    assert twice == results(StandInPipe(by_luck), ["maze"], ["easy"], 3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tasks": ["mazes"]}, "'mazes'"),
        ({"tasks": []}, "at least one"),
        ({"difficulties": ["extreme"]}, "'extreme'"),
        ({"num_problems": 0}, "got '0'"),
        ({"seed": -1}, "got '-1'"),
        ({"batch_size": 0}, "got '0'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(changes, says) -> None:
    asked = {"tasks": ["maze"], "difficulties": ["easy"], "num_problems": 1, "seed": 0, "config": CONFIG}
    with pytest.raises(ConfigError, match=says):
        evaluate(StandInPipe(), **(asked | changes))


def test_the_interval_holds_the_rate_narrows_with_problems_and_is_symmetric() -> None:
    for rate in (0.0, 0.01, 0.5, 0.9, 1.0):
        widths = []
        for count in (1, 10, 100, 10_000):
            low, high = wilson(rate, count)
            assert 0 <= low <= rate <= high <= 1
            assert wilson(1 - rate, count) == pytest.approx((1 - high, 1 - low))
            widths.append(high - low)
        assert all(a > b for a, b in pairwise(widths))
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)


def test_problems_drawn_again_are_counted_and_said() -> None:
    drawn = [make_problem("jigsaw", "easy", 0, "test", i).canvas.tobytes() for i in range(100)]
    found = evaluate(StandInPipe(), ["jigsaw"], ["easy"], 100, 0, CONFIG)
    assert (found["problems"], found["distinct_problems"]) == (100, len(set(drawn)))
    assert len(set(drawn)) < 100
    assert f"{len(set(drawn))} of the problems are distinct" in readable(found)
    apart = evaluate(StandInPipe(), ["maze"], ["medium"], 5, 0, CONFIG)
    assert apart["distinct_problems"] == 5 and "distinct" not in readable(apart)


def test_two_questions_about_one_picture_are_two_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem("maze", "easy", 0)
    asked = [replace(problem, prompt=word) for word in ("left", "right", "left")]
    monkeypatch.setattr("mmreason.analysis.evaluate.held_out", lambda *_: asked)
    assert evaluate(StandInPipe(), ["maze"], ["easy"], 3, 0, CONFIG)["distinct_problems"] == 2
