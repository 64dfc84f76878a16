"""Answers that transfer: pass@k without bias, and what is left of them when a policy's pictures are replaced."""

from __future__ import annotations

import itertools
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from mmreason.__main__ import main
from mmreason.analysis.evaluate import evaluate
from mmreason.analysis.pictures import says_the_answer
from mmreason.analysis.statistics import mean_interval, pass_at, wilson
from mmreason.errors import ConfigError
from mmreason.places import ROOT
from mmreason.rewards.verify import Verifier
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import TASKS, make_problem
from mmreason.training.validation import answered_right
from tests.helpers.policies import demonstrated_trace, edit_segment, sheet, words

HOT = SamplingConfig(max_turns=6)


@pytest.mark.parametrize("outcomes", [(1, 0, 0, 0, 1), (0, 0, 0, 0, 0), (1, 1, 1, 1, 1), (0, 1, 1, 1, 1)])
@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_pass_at_k_is_the_mean_over_all_choices_of_k_rollouts(outcomes, k):
    wanted = fmean(any(chosen) for chosen in itertools.combinations(outcomes, k))
    assert pass_at(sum(outcomes), len(outcomes), k) == pytest.approx(wanted)


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(60):
        low, high = mean_interval(rng.beta(2, 3, size=40), seed)
        inside += low <= 0.4 <= high
    assert inside >= 51


@pytest.mark.parametrize("count", [1, 3, 40])
def test_the_interval_of_values_that_are_all_0_or_all_1_is_no_point(count):
    for value in (0, 1, 0.0, 1.0):
        low, high = mean_interval([value] * count)
        assert (low, high) == wilson(value, count)
        assert low <= value <= high and high - low > 1 / (count + 4)


def test_an_answer_is_judged_by_its_words_on_the_finished_puzzle():
    trace = Verifier(words(), sheet()).score(demonstrated_trace(make_problem("maze", "easy", 0)))
    assert says_the_answer(trace)
    unfinished = replace(trace, segments=trace.segments[-1:])
    assert says_the_answer(unfinished)
    wrong = replace(trace.segments[-1], text="<answer> 64 moves")
    assert not says_the_answer(replace(trace, segments=(*trace.segments[:-1], wrong)))
    assert not says_the_answer(replace(trace, segments=trace.segments[:-1]))


def test_an_answer_counts_that_a_joint_turns_picture_follows():
    problem = make_problem("maze", "easy", 0)
    trace = demonstrated_trace(problem)
    assert trace.answer == trace.segments[-1] and replace(trace, segments=trace.segments[:-1]).answer is None
    finished = TASKS["maze"].demonstrate(problem.spec).steps[-1].canvas
    kept = edit_segment(problem, finished, np.arange(64), [], trace.segments[-1].turn)
    judge = Verifier(words(), sheet())
    joint = judge.score(replace(trace, segments=(*trace.segments, kept)))
    assert joint.success and answered_right(joint) and says_the_answer(joint)
    assert joint.answer is not None and joint.answer.text == trace.segments[-1].text
    wrong = replace(joint.answer, text="<answer> 64 moves", verdict=None)
    off = judge.score(replace(joint, segments=(*joint.segments[:-2], wrong, kept)))
    assert not answered_right(off) and not says_the_answer(off)


@pytest.fixture(scope="module")
def base() -> InterleavedReasoningPipeline:
    return InterleavedReasoningPipeline.from_pretrained(ROOT / "checkpoints" / "base")


def test_the_shipped_policy_reads_its_own_pictures(base):
    found = {
        pictures: evaluate(base, ["maze"], ["medium"], 24, 0, HOT, pictures=pictures)
        for pictures in ("own", "hidden", "shuffled", "true")
    }
    says = {pictures: result["says_answer"]["mean"] for pictures, result in found.items()}
    assert says["own"] > 0.6 > 0.3 > max(says["hidden"], says["shuffled"])
    assert says["true"] >= says["own"] - 0.1
    assert found["own"]["pictures"] == "own" and found["own"]["ci95_method"].startswith("Wilson")


@pytest.mark.parametrize("pictures", ["hidden", "shuffled", "true"])
def test_replaced_pictures_do_not_depend_on_the_batch(base, pictures):
    """A puzzle alone in its batch is given another one's picture, too."""
    found = [evaluate(base, ["maze"], ["medium"], 5, 0, HOT, size, pictures=pictures) for size in (1, 5)]
    assert found[0]["says_answer"] == found[1]["says_answer"]
    if pictures == "shuffled":
        assert found[0]["says_answer"]["mean"] < 0.5


def test_pass_at_k_rolls_out_each_problem_that_often_and_rises_with_k(base):
    found = evaluate(base, ["sudoku"], ["easy"], 4, 0, SamplingConfig(temperature=1.5, max_turns=4), pass_at=(4, 1, 2))
    rates = [found["pass_at"][str(k)]["success"]["mean"] for k in (1, 2, 4)]
    assert (
        found["problems"] == found["by_task"]["sudoku"]["problems"] == found["by_difficulty"]["easy"]["problems"] == 4
    )
    assert rates == sorted(rates) and rates[0] == pytest.approx(found["success"]["mean"])
    assert (found["problems"], found["generations"]) == (4, 4)
    assert all(
        low <= rate <= high
        for rate, (low, high) in zip(
            rates, (found["pass_at"][str(k)]["success"]["ci95"] for k in (1, 2, 4)), strict=True
        )
    )


def test_an_autoregressive_policy_and_unknown_words_are_refused_in_a_sentence(base, capsys):
    for more, said in (
        (["--pictures", "seen"], "pictures must be one of own, hidden, shuffled, true, got 'seen'"),
        (
            ["--pass_at", "1", "4", "--temperature", "0"],
            "pass_at must be 1 at temperature 0, where all rollouts of a problem are one, got 4",
        ),
        (["--pass_at", "0"], "must be a whole number from 1 to 1024, got '0'"),
        (
            ["--checkpoint", str(ROOT / "checkpoints" / "ar"), "--pictures", "true"],
            "pictures must be own for this kind of policy",
        ),
    ):
        try:
            code = main(["evaluate", "--problems", "1", "--tasks", "maze", *more])
        except SystemExit as left:
            code = left.code
        assert code == 2 and said in capsys.readouterr().err
    with pytest.raises(ConfigError):
        evaluate(base, ["maze"], ["easy"], 1, 0, HOT, pass_at=(2000,))
    with pytest.raises(ConfigError, match="pass_at must be 1 at temperature 0"):
        evaluate(base, ["maze"], ["easy"], 1, 0, replace(HOT, temperature=0.0), pass_at=(1, 2))
