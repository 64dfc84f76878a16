"""Interference at the start against what factorizing gained: which points count, and what a correlation says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mmreason.analysis.comparison import prediction
from mmreason.analysis.comparison.prediction import KEPT
from mmreason.analysis.comparison.protocol import Run
from mmreason.analysis.comparison.relation import PREDICTORS, relation
from mmreason.analysis.comparison.reproduce import Reproduction
from mmreason.analysis.comparison.setups import SETUPS, P
from mmreason.analysis.comparison.tables import relation_table
from mmreason.analysis.statistics import rank_correlation
from mmreason.errors import ConfigError
from tests.helpers.learning import fresh_pipe

TASKS = ("maze", "jigsaw", "sudoku", "transform")


def predicted(leak: float | None) -> dict:
    rest = {"sign_conflict": 0.1, "idle_push": 0.2, "snr_joint": 1.0, "snr_factorized": 1.5}
    return {"leak_to_signal": leak, "progress_joint": 0.5, "progress_factorized": 0.25} | rest


def result(leaks: dict[str, float | None], gains: dict[str, float], seeds: int = 5) -> dict:
    """What ``reproduce.json`` holds of two set-ups by trace and by turn, with the same leaks and gains in each."""
    arms = {
        task: {
            f"{arm}_{granularity}": {"seeds": [0.5 + (arm == "factorized") * gain] * seeds}
            for arm in ("joint", "factorized")
            for granularity in ("trace", "turn")
        }
        for task, gain in gains.items()
    }
    row = {
        "interference": {arm: {t: predicted(leaks[t]) for t in TASKS} for arm in ("joint_trace", "joint_turn")},
        "by_task": arms,
    }
    return {"setups": {"X": row, "waits": row | {"interference": None}}}


LEAKS = dict(zip(TASKS, (0.1, 0.5, 0.9, 1.3), strict=True))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_gain_that_follows_the_prediction_correlates_whole_and_one_against_it_inversely(sign):
    found = relation(result(LEAKS, {task: sign * leak / 10 for task, leak in LEAKS.items()}))
    assert [point["comparison"] for point in found["points"][::4]] == ["set-up X, by trace", "set-up X, by turn"]
    assert len(found["points"]) == 8
    leak = found["correlations"]["leak_to_signal"]
    assert leak["spearman"] == pytest.approx(sign) and "ci95" not in leak
    assert leak["within"] == pytest.approx(sign) and leak["points"] == 8
    assert found["correlations"]["sign_conflict"]["spearman"] == 0.0  # the same everywhere: it tells nothing
    assert found["points"][0]["snr_ratio"] == 1.5
    assert found["points"][0]["progress"] == -0.25
    gains = [point["gain"]["mean"] for point in found["points"]]
    assert found["spread"] == {
        "sd": pytest.approx(np.std(gains, ddof=1)),
        "standard_error": pytest.approx(0, abs=1e-9),
    }


def test_a_point_counts_from_three_seeds_on_and_is_listed_before_its_gain_is_known():
    gains = {task: leak / 10 for task, leak in LEAKS.items()}
    few = relation(result(LEAKS, gains, seeds=2))
    assert [point["gain"]["ci95"] for point in few["points"]] == [None] * 8
    assert few["correlations"] == dict.fromkeys(PREDICTORS)
    waiting = result(LEAKS, gains)
    for arms in waiting["setups"]["X"]["by_task"].values():
        del arms["factorized_turn"]
    found = relation(waiting)
    assert [point["gain"] is None for point in found["points"]] == [False] * 4 + [True] * 4
    assert found["correlations"]["leak_to_signal"] is None  # four points are too few
    table = relation_table(found)
    assert table.count("not known yet") == 4 and "Spearman" not in table
    assert "Spearman" in relation_table(relation(result(LEAKS, gains)))


def test_a_task_without_signal_has_no_leak_and_counts_for_the_other_predictors():
    found = relation(result(LEAKS | {"maze": None}, {task: 0.01 for task in TASKS}))
    counted = {name: row["points"] for name, row in found["correlations"].items()}
    others = dict.fromkeys(("sign_conflict", "idle_push", "snr_ratio", "progress"), 8)
    assert counted == {"leak_to_signal": 6} | others
    json.dumps(found, allow_nan=False)


def test_the_comparison_has_points_of_its_own_granularity():
    rows = {task: {"joint": [0.4, 0.5, 0.6], "factorized": [0.5, 0.6, 0.7]} for task in ("maze", "sudoku")}
    arms = {arm: {task: predicted(0.3) for task in rows} for arm in ("joint_turn", "joint_trace")}
    found = relation({"granularity": "turn", "by_task": rows, "interference": arms})
    known = [point for point in found["points"] if point["gain"]]
    assert {point["comparison"] for point in known} == {"before the set-ups, by turn"} and len(known) == 2
    assert all(point["gain"]["mean"] == pytest.approx(0.1) for point in known)


def test_ranks_are_spearmans_and_equal_values_share_one():
    assert rank_correlation([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(0.9486833)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 12))
    distances = np.argsort(np.argsort(x)) - np.argsort(np.argsort(y))
    assert rank_correlation(x, y) == pytest.approx(1 - 6 * (distances**2).sum() / (12 * (144 - 1)))
    assert rank_correlation(np.exp(x), y) == pytest.approx(rank_correlation(x, y))
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == 0.0


def test_ranks_within_groups_know_nothing_of_what_differs_between_them():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 12))
    group = [0, 1, 2] * 4
    within = rank_correlation(x, y, group)
    assert rank_correlation(x, y, [0] * 12) == rank_correlation(x, y) != pytest.approx(within)
    apart = 10 * np.array(group)
    assert rank_correlation(x + apart, y + apart) > 0.8  # a relation between groups alone
    assert rank_correlation(x + apart, y + apart, group) == pytest.approx(within)
    order = rng.permutation(12)
    assert rank_correlation(x[order], y[order], [group[i] for i in order]) == pytest.approx(within)
    assert rank_correlation([1, 2, 11, 12], [1, 2, 0, 1], [0, 0, 1, 1]) == 1.0
    assert rank_correlation([1, 2, 3], [1, 2, 3], [0, 1, 2]) == 0.0  # nothing to rank


def test_partners_differ_in_the_assignment_alone():
    pairs = {name: [(a.key, b.key) for a, b in setup.pairs] for name, setup in SETUPS.items()}
    assert pairs["A"] == [("joint_trace", "factorized_trace"), ("joint_turn", "factorized_turn")]
    assert set(pairs["P"]) == {("joint_pooled_trace", "factorized_pooled_trace"), ("joint_trace", "factorized_trace")}


@pytest.mark.slow
def test_interference_is_measured_once_on_the_same_rollouts_for_all_arms(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "GROUPS", 2)
    folder = tmp_path / "start"
    fresh_pipe().save_pretrained(folder)
    protocol = replace(
        P.protocol, checkpoint=str(folder), tasks=("maze",), difficulties={"easy": 1.0}, num_generations=3
    )
    joints = {f"{arm}_trace": Run(arm, "trace", 1) for arm in ("joint", "joint_pooled")}
    found = Reproduction(protocol, tmp_path, tmp_path / "work").interference(joints)
    assert {*found} == {*joints} and {*found["joint_trace"]} == {"maze"} and {*found["joint_trace"]["maze"]} == {*KEPT}
    apart, pooled = (found[key]["maze"] for key in joints)
    assert [apart[name] == pooled[name] for name in ("success", "sign_conflict", "idle_push")] == [True] * 3
    assert apart["groups"] == 2
    with monkeypatch.context() as patch:
        patch.setattr(prediction, "roll_out", lambda *args: pytest.fail("measured twice"))
        assert Reproduction(protocol, tmp_path, tmp_path / "work").interference(joints) == found
    another = fresh_pipe()
    next(another.transformer.parameters()).data.add_(1.0)
    another.save_pretrained(tmp_path / "other")
    moved = Reproduction(replace(protocol, checkpoint=str(tmp_path / "other")), tmp_path, tmp_path / "work")
    with pytest.raises(ConfigError, match="of other problems or another checkpoint"):
        moved.interference(joints)
