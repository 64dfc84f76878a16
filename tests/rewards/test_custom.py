"""Users' own rewards, by import path: added to the verifier's, and refused in one sentence if malformed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreason.__main__ import main
from mmreason.errors import ConfigError, RewardError
from mmreason.records import Segment, Trace, Verdict
from mmreason.rewards.custom import add_rewards, load_reward
from mmreason.tasks import make_problem
from tests.helpers.policies import demonstrated_trace, pipeline_of, talking_policy


@pytest.fixture
def trace() -> Trace:
    segments = (
        Segment("thought", 1, (5, 6), (), reward=1.0),
        Segment("edit", 1, (7,), (), reward=None),
        Segment("answer", 2, (8,), (), reward=0.0),
    )
    return Trace(make_problem("maze", "easy", 0), (), segments, "answered")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a user's module with a good function and things that are none."""
    (tmp_path / "rewards_of_a_user.py").write_text(
        "def length(trace):\n    return [len(s.tokens) for s in trace.segments]\n\nnumber = 3\n"
    )
    (tmp_path / "broken_rewards.py").write_text("def length(trace:\n")
    (tmp_path / "failing_rewards.py").write_text("1 / 0\n")
    (tmp_path / "leaving_rewards.py").write_text("raise SystemExit('needs a license')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "rewards_of_a_user"


def rewards(trace: Trace) -> list[float | None]:
    return [segment.reward for segment in trace.segments]


def test_a_function_named_by_module_and_name_adds_its_scores(trace, module):
    scored = add_rewards(trace, [load_reward(f"{module}:length")])
    assert rewards(scored) == [3.0, 1.0, 1.0]
    assert rewards(trace) == [1.0, None, 0.0]  # the trace given is left as it was


def test_several_functions_add_up_and_each_sees_the_trace_as_verified(trace):
    seen = []

    def one(trace: Trace) -> list[float]:
        seen.append(rewards(trace))
        return [1.0, 1.0, 1.0]

    assert rewards(add_rewards(trace, [one, one])) == [3.0, 2.0, 2.0]
    assert seen == [[1.0, None, 0.0]] * 2


def test_none_leaves_a_segment_as_it_is_and_no_function_changes_nothing(trace):
    assert rewards(add_rewards(trace, [lambda trace: [None, None, 2]])) == [1.0, None, 2.0]
    assert add_rewards(trace, []) == trace


def test_scores_may_come_in_any_sequence_and_from_any_callable(trace):
    class Scorer:
        def __call__(self, trace: Trace) -> np.ndarray:
            return np.ones(3)

    assert rewards(add_rewards(trace, [Scorer()])) == [2.0, 1.0, 1.0]
    assert all(type(reward) is float for reward in rewards(add_rewards(trace, [Scorer()])))


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([1.0], r"one score a segment \(3\), got 1"),
        ([1.0, math.nan, 1.0], "finite scores, got nan"),
        ([1.0, math.inf, 1.0], "finite scores, got inf"),
        ([1.0, -math.inf, 1.0], "finite scores, got -inf"),
        ([1.0, 1e308, 1.0], r"scores of at most 1e\+06 in size, got 1e\+308"),
        ([1.0, 10**400, 1.0], "numbers or None, got 1000"),
        ([1.0, True, 1.0], "numbers or None, got True"),
        (np.array([True, False, True]), "numbers or None, got "),
        ([1.0, "1.0", 1.0], "numbers or None, got '1.0'"),
        ([1.0, torch.ones(2), 1.0], r"numbers or None, got tensor"),
        ("abc", "numbers or None, got 'a'"),
        ([1.0, "high", 1.0], "numbers or None, got 'high'"),
        (1.0, "a list of scores, got 1.0"),
        (None, "a list of scores, got None"),
    ],
)
def test_scores_that_cannot_be_used_are_refused_by_the_name_of_their_function(trace, scores, says):
    def mine(trace: Trace):
        return scores

    with pytest.raises(ConfigError, match=rf"reward mine must give {says}.* on maze \(easy, seed 0, "):
        add_rewards(trace, [mine])


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), KeyError("x"), SystemExit(3), RecursionError()])
def test_a_function_that_fails_is_named_with_the_problem_and_its_error(trace, error):
    def mine(trace: Trace):
        raise error

    def late(trace: Trace):
        yield 1.0
        raise error

    for function in (mine, late):
        said = rf"reward {function.__name__} failed on maze \(easy, seed 0, .*\): {type(error).__name__}"
        with pytest.raises(RewardError, match=said) as caught:
            add_rewards(trace, [function])
        assert caught.value.__cause__ is error


def test_several_functions_stay_within_what_a_trace_holds_together(trace):
    def much(trace: Trace) -> list[float]:
        return [9e5, 0.0, 0.0]

    assert rewards(add_rewards(trace, [much]))[0] == 900_001.0
    with pytest.raises(ConfigError, match=r"reward much must give scores of at most 1e\+06"):
        add_rewards(trace, [much, much])


def test_the_command_line_says_what_failed_and_shows_its_author_where(tmp_path, capsys, monkeypatch):
    (tmp_path / "rewards_of_another_user.py").write_text("def broken(trace):\n    return trace.nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    pipeline_of(talking_policy()).save_pretrained(tmp_path / "start")
    sizes = {"num_problems": 1, "num_generations": 2, "eval_problems": 1, "steps": 1}
    flags = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    command = ["train", "--checkpoint", str(tmp_path / "start"), "--output", str(tmp_path / "run"), *flags]
    assert main([*command, "--reward", "rewards_of_another_user:broken"]) == 2
    said, _, trail = capsys.readouterr().err.partition("Traceback")
    assert "train: reward broken failed on " in said.splitlines()[-1] and "no attribute 'nothing'" in said
    assert "return trace.nothing" in trail


def test_a_callable_without_a_name_is_refused_all_the_same(trace):
    class Scorer:
        def __call__(self, trace: Trace) -> list[float]:
            return []

    with pytest.raises(ConfigError, match="Scorer"):
        add_rewards(trace, [Scorer()])


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("length", "must read module:function, got 'length'"),
        (":length", "must read module:function"),
        ("rewards_of_a_user:", "must read module:function"),
        ("no_such_module:length", "'no_such_module:length' cannot be imported"),
        (".relative:length", "cannot be imported"),
        ("rewards_of_a_user:width", "cannot be imported"),
        ("broken_rewards:length", "cannot be imported"),
        ("failing_rewards:length", "cannot be imported: division by zero"),
        ("leaving_rewards:length", "cannot be imported: needs a license"),
        ("rewards_of_a_user:number", "must be a function of a trace, got int"),
    ],
)
def test_a_path_that_names_no_function_is_refused_in_one_sentence(module, path, says):
    with pytest.raises(ConfigError, match=says):
        load_reward(path)


def test_a_reward_of_ones_own_counts_where_the_verifier_left_a_text_out():
    trace = demonstrated_trace(make_problem("maze", "easy", 0))
    left_out = Verdict(False, "", {"true": 0.0, "nothing_to_say": 1.0})
    first = replace(trace.segments[0], reward=0.0, verdict=left_out)
    trace = replace(trace, segments=(first, *trace.segments[1:]))
    others = [None] * (len(trace.segments) - 1)
    scored = add_rewards(trace, [lambda trace: [0.25, *others]])
    assert scored.segments[0].reward == 0.25 and scored.segments[0].verdict.components == {"true": 0.0}
    assert add_rewards(trace, [lambda trace: [None, *others]]) == trace
