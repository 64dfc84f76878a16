"""Users' own rewards, by import path: added to the verifier's, and refused in one sentence if malformed."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreason.__main__ import main
from mmreason.errors import ConfigError, RewardError
from mmreason.records import Segment, Trace, Verdict
from mmreason.rewards.custom import AT_ONCE, add_rewards_to, load_reward, load_rewards
from mmreason.tasks import make_problem
from tests.helpers.apart import run_apart
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
        "def length(trace):\n    return [len(s.tokens) for s in trace.segments]\n\nnumber = 3\ntext = image = length\n"
    )
    (tmp_path / "broken_rewards.py").write_text("def length(trace:\n")
    (tmp_path / "failing_rewards.py").write_text("1 / 0\n")
    (tmp_path / "leaving_rewards.py").write_text("raise SystemExit('needs a license')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "rewards_of_a_user"


def add_rewards(trace: Trace, functions) -> Trace:
    return add_rewards_to([trace], functions)[0]


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
        ({0: 1.0, 1: 1.0, 2: 1.0}, "a list of scores, got dict"),
        ({1.0, 2.0, 3.0}, "a list of scores, got set"),
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
    assert scored.segments[0].reward == 0.25
    assert scored.segments[0].verdict.components == {"true": 0.0, "rewards/<lambda>": 0.25}
    assert add_rewards(trace, [lambda trace: [None, *others]]) == trace


def test_rewards_are_weighted_and_each_is_kept_by_its_name(trace, module):
    scored = add_rewards(trace, [load_reward(f"{module}:length=0.5")])
    assert rewards(scored) == [2.0, 0.5, 0.5]
    assert [s.verdict.components["rewards/length"] for s in scored.segments] == [2.0, 1.0, 1.0]
    assert load_reward(f"{module}:length=0.5").source == f"{module}:length=0.5"
    assert load_reward(f"{module}:length").source == f"{module}:length"


def test_a_file_names_a_reward_as_well_and_is_told_from_another_of_its_name(trace, module, tmp_path):
    named = f"{tmp_path / 'rewards_of_a_user.py'}:length"
    assert rewards(add_rewards(trace, [load_reward(named)])) == [3.0, 1.0, 1.0]
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "rewards_of_a_user.py"
    other.write_text("def length(trace):\n    return [5.0 for _ in trace.segments]\n")
    assert rewards(add_rewards(trace, [load_reward(f"{other}:length=2")])) == [11.0, 10.0, 10.0]
    assert load_reward(named).source == named and load_reward(f"{other}:length=2").source == f"{other}:length=2"


def test_a_file_may_hold_whatever_a_module_may(trace, tmp_path):
    (tmp_path / "graded.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass Grade:\n"
        "    value: float\n\ndef grade(trace):\n    return [Grade(1.0).value for _ in trace.segments]\n"
    )
    assert rewards(add_rewards(trace, [load_reward(f"{tmp_path / 'graded.py'}:grade")])) == [2.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (["M:length=-1"], "the weight of reward 'length' must be a number from 0 to 100, got '-1'"),
        (["M:length=much"], "the weight of reward 'length' must be a number from 0 to 100, got 'much'"),
        (["M:length", "M:length=2"], "must name functions that are called differently, got 'length' twice"),
        (["M:text"], "must name functions that are not called text or image, as the verifier's .*, got 'text'"),
        (["M:length", "M:image=2"], "must name functions that are not called text or image, .*, got 'image'"),
        (["nowhere.py:length"], "'nowhere.py:length' cannot be imported: there is no file 'nowhere.py'"),
    ],
)
def test_several_rewards_have_weights_and_names_of_their_own(module, paths, says):
    with pytest.raises(ConfigError, match=says):
        load_rewards([path.replace("M:", f"{module}:") for path in paths])


def test_an_async_reward_judges_traces_at_the_same_time(trace):
    going, most = 0, 0

    async def judge(trace: Trace) -> list[float]:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0.01)
        going -= 1
        return [0.5] * len(trace.segments)

    scored = add_rewards_to([trace] * 40, [judge])
    assert [rewards(each) for each in scored] == [[1.5, 0.5, 0.5]] * 40
    assert most == AT_ONCE


def test_an_async_reward_judges_where_a_loop_runs_already(trace):
    async def judge(trace: Trace) -> list[float]:
        await asyncio.sleep(0)
        return [0.5] * len(trace.segments)

    async def cell() -> Trace:  # of a notebook
        return add_rewards(trace, [judge])

    assert rewards(run_apart(cell())) == [1.5, 0.5, 0.5]


def test_a_client_of_an_async_reward_keeps_its_connection_from_step_to_step(trace):
    seen, connection = [], []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer)
        while line := await reader.readline():
            writer.write(line)

    async def judge(trace: Trace) -> list[float]:
        if not connection:
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            connection.extend(await asyncio.open_connection(*server.sockets[0].getsockname()))
        reader, writer = connection
        writer.write(b"0.5\n")
        return [float(await reader.readline())] * len(trace.segments)

    for _ in range(3):
        assert rewards(add_rewards(trace, [judge])) == [1.5, 0.5, 0.5]
    assert len(seen) == 1


@pytest.mark.parametrize("error", [TimeoutError("no answer"), SystemExit(3)])
def test_the_awaited_scores_of_a_step_end_with_it_and_the_next_step_is_judged(trace, error):
    fails, dropped = [True], []

    async def judge(trace: Trace) -> list[float]:
        if fails and fails.pop():
            await asyncio.sleep(0)
            raise error
        try:
            await asyncio.sleep(0.01 if dropped else 60)
        except asyncio.CancelledError:
            dropped.append(trace)
            raise
        return [0.5] * len(trace.segments)

    with pytest.raises(RewardError, match=rf"reward judge failed on .*: {type(error).__name__}"):
        add_rewards_to([trace] * 3, [judge])
    assert len(dropped) == 2
    assert [rewards(each) for each in add_rewards_to([trace] * 3, [judge])] == [[1.5, 0.5, 0.5]] * 3


def test_a_batched_reward_is_given_all_traces_in_one_call(trace):
    calls = []

    def rank(traces: list[Trace]) -> list[list[float]]:
        calls.append(len(traces))
        return [[float(i)] * len(each.segments) for i, each in enumerate(traces)]

    async def rank_later(traces: list[Trace]) -> list[list[float]]:
        return rank(traces)

    for function in (rank, rank_later):
        function.batched = True
        scored = add_rewards_to([trace] * 3, [function])
        assert [each.segments[2].reward for each in scored] == [0.0, 1.0, 2.0]
    assert calls == [3, 3]


def test_an_async_or_batched_reward_that_fails_is_named(trace):
    async def judge(trace: Trace) -> list[float]:
        raise TimeoutError("no answer")

    def rank(traces: list[Trace]) -> list[list[float]]:
        return [[0.0] * 3]

    rank.batched = True
    with pytest.raises(RewardError, match=r"reward judge failed on maze \(easy, seed 0, .*TimeoutError: no answer"):
        add_rewards_to([trace] * 2, [judge])
    with pytest.raises(RewardError, match="reward rank must give scores for each of the 2 traces, got 1"):
        add_rewards_to([trace] * 2, [rank])
