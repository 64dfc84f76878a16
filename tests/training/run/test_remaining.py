"""What holds of the time that a training still takes: of constant steps and evaluations it is known to the second."""

from __future__ import annotations

from typing import Any

import pytest

from mmreason.training.run.progress import left_words
from mmreason.training.run.remaining import Countdown, Left, Plan, left_of

STEP, EVALUATION, MEASUREMENT = 2.0, 9.0, 3.0
PLANS = [
    (Plan(16, 8, 8), 1),
    (Plan(7, 3, 3), 2),
    (Plan(5, 10), 1),
    (Plan(4, 1, 1), 2),
    (Plan(6, 4, 2), 1),
    (Plan(5, 0, 2), 2),
]
Parts = list[tuple[str, float]]  # what goes on, one after the other, and for how many seconds


def training(plan: Plan, arms: int, slow: float = 1.0) -> list[tuple[str, Parts, dict[str, Any]]]:
    """The rows of a made-up run in the order in which its arms write them, each with what led to it."""
    names = ["joint", "factorized"][:arms]
    evaluated = {"success": {"mean": 0.5}, "eval_seconds": slow * EVALUATION}
    told: list[tuple[str, Parts, dict[str, Any]]] = [
        (arm, [("evaluations", slow * EVALUATION)], {"step": 0} | evaluated) for arm in names if plan.eval_steps
    ]
    for step in range(1, plan.steps + 1):
        measured = slow * MEASUREMENT * (plan.leak_steps > 0 and (step == 1 or step % plan.leak_steps == 0))
        row: dict[str, Any] = {"step": step, "seconds": slow * STEP + measured}
        row |= {"measure_seconds": measured} if measured else {}
        parts = [("steps", row["seconds"])]
        if plan.eval_steps and (step % plan.eval_steps == 0 or step == plan.steps):
            row, parts = row | evaluated, [*parts, ("evaluations", slow * EVALUATION)]
        told += [(arm, parts, row) for arm in names]
    return told


def truth(told: list[tuple[str, Parts, dict[str, Any]]], passed: float) -> tuple[dict[str, float], str]:
    """Seconds of either kind after ``passed`` of all that is ``told``, and the kind that goes on then."""
    left, going = {"steps": 0.0, "evaluations": 0.0}, ""
    for _, parts, _ in told:
        for kind, seconds in parts:
            left[kind] += max(0.0, seconds - passed)
            going = going or (kind if passed < seconds else "")
            passed = max(0.0, passed - seconds)
    return left, going


@pytest.mark.parametrize(("plan", "arms"), PLANS)
def test_at_every_look_after_the_first_step_it_is_the_truth_and_never_jumps(plan: Plan, arms: int) -> None:
    told = training(plan, arms)
    rows: dict[str, list[dict[str, Any]]] = {arm: [] for arm, _, _ in told}
    before, looks = None, 0
    for number, (arm, parts, row) in enumerate(told):
        for passed in [0.25 + look for look in range(int(sum(seconds for _, seconds in parts)))]:
            found = left_of(rows, plan, passed=passed)
            if not any("seconds" in each for own in rows.values() for each in own):
                assert found is None, "half of it is not told as the whole"
                continue
            assert found is not None
            left, going = truth(told[number:], passed)
            assert (found.steps, found.evaluations) == pytest.approx((left["steps"], left["evaluations"]))
            assert found.evaluates == (going == "evaluations")
            assert before is None or 0 < before - found.seconds <= STEP
            before, looks = found.seconds, looks + 1
        rows[arm].append(row)
    assert left_of(rows, plan) == Left(0.0, 0.0) and looks > 10


@pytest.mark.parametrize(("plan", "arms"), PLANS)
@pytest.mark.parametrize("slow", [1.0, 3.0])
def test_what_was_expected_holds_until_it_is_known_better_at_the_pace_of_this_machine(
    plan: Plan, arms: int, slow: float
) -> None:
    told = training(plan, arms, slow)
    whole, _ = truth(training(plan, arms), 0.0)
    before = Left(whole["steps"], whole["evaluations"])
    rows: dict[str, list[dict[str, Any]]] = {arm: [] for arm, _, _ in told}
    nothing = left_of(rows, plan, before)
    assert nothing is not None and nothing.seconds == pytest.approx(before.seconds)
    for number, (arm, _, row) in enumerate(told[:arms]):
        rows[arm].append(row)
        left, _ = truth(told[number + 1 :], 0.0)
        found = left_of(rows, plan, before)
        assert found is not None and found.seconds == pytest.approx(sum(left.values()))


@pytest.mark.parametrize(("plan", "arms"), PLANS)
def test_the_command_tells_the_same_when_it_is_killed_and_resumed(plan: Plan, arms: int) -> None:
    told = training(plan, arms)
    countdown = Countdown(plan, {arm: [] for arm, _, _ in told})
    at = len(told) // 2
    for number, (arm, _, row) in enumerate(told[: at + 1]):
        found = countdown.add(arm, row)
        left, _ = truth(told[number + 1 :], 0.0)
        assert found is None or found.seconds == pytest.approx(sum(left.values()))
    kept: dict[str, list[dict[str, Any]]] = {arm: [] for arm, _, _ in told}
    for arm, _, row in told[: at + 1]:
        kept[arm].append(row)
    countdown, lost = Countdown(plan, kept), at - arms + 1  # of each arm the last row comes again
    for number, (arm, _, row) in enumerate(told[lost:], start=lost):
        found = countdown.add(arm, row)
        if number >= at:
            left, _ = truth(told[number + 1 :], 0.0)
            assert found is not None and found.seconds == pytest.approx(sum(left.values()))


def test_an_evaluation_that_was_broken_off_is_still_to_come() -> None:
    plan, done = Plan(4, 2), [row for _, _, row in training(Plan(4, 2), 1)]
    broken = {name: value for name, value in done[2].items() if name not in ("success", "eval_seconds")}
    found = left_of({"joint": [*done[:2], broken]}, plan, passed=4.0)
    assert found == Left(2 * STEP, 2 * EVALUATION - 4.0, evaluates=True)


def test_rows_of_earlier_versions_count_what_they_measured_as_part_of_a_step() -> None:
    rows = [{"step": 0, "success": {}, "eval_seconds": 9.0}, {"step": 1, "seconds": 5.0}, {"step": 2, "seconds": 2.0}]
    assert left_of({"joint": rows}, Plan(4, 4, 4)) == Left(2 * 3.5, 9.0)


def test_in_words_each_kind_has_its_time_and_what_is_done_has_none() -> None:
    assert left_words(Left(90.0, 30.0)) == "1 min 30 s + 30 s evaluating left"
    assert left_words(Left(0.0, 7200.0)) == "2.0 h evaluating left"
    assert left_words(None) == left_words(Left(0.0, 0.0)) == ""
