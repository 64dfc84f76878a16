"""What the comparison says of made-up runs: means, paired differences, gains, and intervals that cover.

Axes: S seeds, T tasks, N problems of a task.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmreason.analysis.comparison.headline import compare, solved_tasks, unlearnt
from mmreason.analysis.comparison.protocol import ARMS, CONTROLS, DOUBLE, HEADLINE, QUICK, planned_runs
from mmreason.analysis.paper import GAINS
from mmreason.analysis.statistics import FEWEST_FLIPPED, interval, resampled_means, sign_flip_p
from mmreason.errors import ConfigError
from mmreason.rewards.assignment import SWAPPED
from mmreason.sampling.config import SamplingConfig
from tests.helpers.comparison import BASE, PROTOCOL, RUNS, made_run


def mean_of(run: dict, how: str = "sampled") -> float:
    return float(np.mean([int(mark) for marks in run["end"][how]["solved"].values() for mark in marks]))


@pytest.fixture(scope="module")
def result() -> dict:
    return compare(BASE, RUNS, PROTOCOL)


def test_means_are_over_seeds_tasks_and_problems(result):
    for arm in ARMS:
        own = [mean_of(run) for run in RUNS if run["arm"] == arm]
        assert result[arm]["seeds"] == pytest.approx(own)
        assert result[arm]["mean"] == pytest.approx(np.mean(own))
        assert result[arm]["ci95"][0] <= result[arm]["mean"] <= result[arm]["ci95"][1]
    assert result["base"]["mean"] == pytest.approx(mean_of(BASE))
    assert result["greedy"]["joint"]["mean"] == pytest.approx(np.mean([mean_of(r, "greedy") for r in RUNS[::2]]))


def test_gains_are_relative_and_differences_paired(result):
    joint, factorized, base = (result[arm]["mean"] for arm in (*ARMS, "base"))
    assert result["gain_over_joint"]["mean"] == pytest.approx(factorized / joint - 1)
    assert result["gain_over_base"]["mean"] == pytest.approx(factorized / base - 1)
    pairs = [b - a for a, b in zip(result["joint"]["seeds"], result["factorized"]["seeds"], strict=True)]
    assert result["difference"]["seeds"] == pytest.approx(pairs)
    assert result["paper"] == GAINS


def test_arms_with_the_same_outcomes_differ_by_nothing_at_all():
    runs = [made_run(arm, seed, 0.5) for seed in range(3) for arm in ARMS]
    found = compare(BASE, runs, PROTOCOL)
    assert found["difference"]["mean"] == 0 and found["difference"]["ci95"] == [0, 0]
    assert found["gain_over_joint"]["ci95"] == [0, 0]


def test_only_seeds_that_both_arms_have_are_compared():
    found = compare(BASE, RUNS[:-1], PROTOCOL)  # the last factorized run is missing
    assert {len(row[arm]) for row in found["by_task"].values() for arm in ARMS} == {len(found["paired_seeds"])}
    assert found["paired_seeds"] == [0, 1] and len(found["joint"]["seeds"]) == 2
    assert [[curve["seed"] for curve in found["curves"][arm]["seeds"]] for arm in ARMS] == [[0, 1], [0, 1]]
    alone = [made_run("swapped", 7, 0.2), *RUNS[:-1]]  # a control whose partner is missing
    assert compare(BASE, alone, PROTOCOL)["controls"] == compare(BASE, RUNS[:-1], PROTOCOL)["controls"]
    with pytest.raises(ConfigError, match="no finished seed in common"):
        compare(BASE, RUNS[:1], PROTOCOL)


def test_the_first_look_is_the_comparison_of_the_seeds_planned_first():
    runs = [made_run(arm, seed, rate) for seed in range(4) for arm, rate in zip(ARMS, (0.5, 0.6), strict=True)]
    two = replace(PROTOCOL, first_look=2)
    assert compare(BASE, runs, two)["first_look"] == compare(BASE, runs[:4], two)["difference"]
    assert "first_look" not in compare(BASE, runs[:4], two)  # nothing was added
    lost = [run for run in runs if run["seed"] != 1]
    found = compare(BASE, lost, two)
    assert len(found["first_look"]["seeds"]) == 1 and len(found["added"]["seeds"]) == 2  # by seed, not by place


def test_a_sign_flip_test_is_exact():
    assert sign_flip_p([0.01] * 6) == 2 / 2**6
    assert sign_flip_p([0.01, -0.01]) == 1.0
    assert sign_flip_p([3.0, 1.0, -1.0]) == 6 / 8  # |3 1 -1|, |3 -1 1| and |3 1 1|, each with both signs
    rng = np.random.default_rng(3)
    rejected = np.mean([sign_flip_p(rng.normal(size=7)) <= 0.05 for _ in range(600)])
    assert 0.02 < rejected < 0.08  # nothing is there


def test_the_difference_of_enough_seeds_has_a_p_value():
    runs = [made_run(arm, seed, 0.5) for seed in range(FEWEST_FLIPPED) for arm in ARMS]
    difference = compare(BASE, runs, PROTOCOL)["difference"]
    assert difference["sign_flip_p"] == sign_flip_p(difference["seeds"])
    assert "sign_flip_p" not in compare(BASE, runs[:-2], PROTOCOL)["difference"]


def test_what_goes_against_factorized_is_below_zero():
    runs = [made_run(arm, seed, rate) for seed in range(3) for arm, rate in zip(ARMS, (0.7, 0.4), strict=True)]
    found = compare(BASE, runs, PROTOCOL)
    assert found["difference"]["ci95"][1] < 0 and found["gain_over_joint"]["mean"] < 0


def test_the_interval_of_independent_seeds_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(40):
        solved = (rng.random((5, 2, 60)) < 0.5).astype(float)
        low, high = interval(resampled_means({"joint": solved}, seed=trial)["joint"])
        covered += low <= 0.5 <= high
    assert covered >= 34


def test_seeds_that_disagree_widen_the_interval():
    alike = np.repeat((np.arange(100) % 2)[None, None], 4, axis=0).astype(float)
    apart = alike.copy()
    apart[:2] = 0
    widths = []
    for solved in (alike, apart):
        low, high = interval(resampled_means({"joint": solved})["joint"])
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_controls_and_the_other_granularity_are_set_apart():
    runs = [*RUNS, *(made_run(arm, 0, 0.3) for arm in CONTROLS), *(made_run(arm, 0, 0.5, "turn") for arm in ARMS)]
    found = compare(BASE, runs, PROTOCOL)
    assert found["joint"] == compare(BASE, RUNS, PROTOCOL)["joint"]
    assert set(found["controls"]) == set(CONTROLS)
    assert found["controls"][SWAPPED][SWAPPED]["mean"] < found["joint"]["mean"]
    assert found["other_granularity"]["granularity"] == "turn"


def test_judging_each_turn_on_its_own_is_measured_against_joint_by_trace():
    found = compare(
        BASE, [*RUNS, *(made_run(arm, 1, rate, "turn") for arm, rate in zip(ARMS, (0.7, 0.8), strict=True))], PROTOCOL
    )
    by_trace = mean_of(RUNS[2])  # joint of seed 1, the only seed that has both
    for arm in ARMS:
        row = found["own_turn"][f"{arm}_turn"]
        assert row["paired_seeds"] == [1] and row["joint_trace"]["mean"] == pytest.approx(by_trace)
        assert row["gain_over_joint_trace"]["mean"] == pytest.approx(row[f"{arm}_turn"]["mean"] / by_trace - 1)
    assert compare(BASE, RUNS, PROTOCOL)["own_turn"] == {}


def test_tasks_with_unlike_numbers_of_problems_are_refused():
    with pytest.raises(ConfigError, match="as many problems"):
        solved_tasks({"solved": {"maze": "01", "sudoku": "011"}})


def test_the_plan_pairs_the_arms_seed_by_seed():
    runs = planned_runs(PROTOCOL)
    assert [(run.arm, run.seed) for run in runs[:6]] == [(arm, seed) for seed in range(3) for arm in ARMS]
    assert len({run.name for run in runs}) == len(runs)
    assert len(planned_runs(HEADLINE)) == 10 * 2 + 2 * 2 + 2 * 2 and len(planned_runs(QUICK)) == 2


def test_arms_of_a_seed_differ_in_their_assignment_alone():
    by_arm = {run.arm: PROTOCOL.training(run, SamplingConfig()) for run in planned_runs(PROTOCOL) if run.seed == 0}
    joint, factorized = by_arm["joint"], by_arm["factorized"]
    differing = [name for name in joint.__slots__ if getattr(joint, name) != getattr(factorized, name)]
    assert differing == ["assignment"]
    assert by_arm[DOUBLE].num_problems == 2 * joint.num_problems
    assert by_arm[DOUBLE].assignment.assignment == "joint"


def test_a_task_that_an_arm_lost_in_a_seed_is_said():
    rows = {"maze": {"base": 0.4, "joint": [0.5, 0.6], "factorized": [0.5, 0.3]}}
    assert unlearnt(rows) == []
    rows["sudoku"] = {"base": 0.2, "joint": [0.3, 0.4], "factorized": [0.01, 0.3]}
    assert unlearnt(rows) == ["factorized unlearnt sudoku in 1 of 2 seeds"]
