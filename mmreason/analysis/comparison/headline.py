"""From the files of single runs to the comparison: means, intervals, paired differences, gains.

Intervals are percentiles of a bootstrap over seeds and, within each task, over problems; all arms solve the same
problems with the same sampling seeds, and a resample takes the same ones in every arm.

Axes: S seeds, T tasks, N problems of a task, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mmreason.analysis.comparison.protocol import ARMS, CONTROLS, Protocol
from mmreason.analysis.paper import GAINS
from mmreason.analysis.statistics import FEWEST_SEEDS, RESAMPLES, interval, resampled_means, sign_flip
from mmreason.errors import ConfigError
from mmreason.rewards.assignment import GRANULARITIES
from mmreason.seeds import numpy_generator

CURVES = ("success", "text_reward", "image_reward")


def solved_tasks(outcomes: Mapping[str, Any]) -> np.ndarray:
    """(T, N) of 0 and 1: what an evaluation's ``solved`` strings say."""
    rows = [[int(mark) for mark in marks] for _, marks in sorted(outcomes["solved"].items())]
    if len({len(row) for row in rows}) != 1:
        raise ConfigError("solved must hold as many problems for every task")
    return np.array(rows, dtype=np.float64)


def who_is_ahead(ci95: Sequence[float], num_seeds: int, second_look: bool = False) -> str:
    """What the interval of factorized − joint over ``num_seeds`` paired seeds says, in words.

    Below three seeds it says nothing: a resample of one seed knows nothing of how much seeds differ.
    ``second_look``: seeds were added because an interval of fewer did not tell.
    """
    if num_seeds < FEWEST_SEEDS:
        return "too few seeds to tell"
    low, high = ci95
    if low <= 0 <= high:
        return "no clear difference"
    return ("factorized" if low > 0 else "joint") + " is ahead" + " at the second look" * second_look


def unlearnt(by_task: Mapping[str, Mapping[str, Any]], arms: Sequence[str] = ARMS) -> list[str]:
    """Which of ``arms`` lost a task, below half of what base solves, in how many of its seeds; in words."""
    said = []
    for task, row in by_task.items():
        for arm in arms:
            lost = sum(rate < row["base"] / 2 for rate in row[arm])
            if lost:
                said.append(f"{arm} unlearnt {task} in {lost} of {len(row[arm])} seeds")
    return said


def compare(base: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], protocol: Protocol) -> dict[str, Any]:
    """The results file for the finished ``runs``; both arms need a common seed.

    ``gain_over_joint`` and ``gain_over_base`` are relative, of mean success at temperature 1.  ``own_turn`` sets
    both arms by turn against joint by trace, one reward for everything in a trace: what judging each turn on its
    own brings, without and with factorizing.  ``first_look`` is the difference of the seeds planned first, where
    more were added after it, and ``added`` that of these.
    """
    result: dict[str, Any] = {"protocol": asdict(protocol), "paper": GAINS}
    result |= {"granularity": protocol.granularity, "difficulty": dict(protocol.difficulties)}
    by_arm = {arm: _of(runs, arm, protocol.granularity) for arm in ARMS}
    result |= _paired(base, by_arm)
    seeds, planned = result["paired_seeds"], protocol.first_seed + protocol.first_look
    both = {arm: {seed: runs[seed] for seed in seeds} for arm, runs in by_arm.items()}
    first, added = ([seed for seed in seeds if (seed < planned) == early] for early in (True, False))
    if first and added:
        for name, part in (("first_look", first), ("added", added)):
            some = {arm: {seed: runs[seed] for seed in part} for arm, runs in both.items()}
            result[name] = _paired(base, some)["difference"]
    result["greedy"] = _paired(base, by_arm, "greedy")
    (other,) = (g for g in GRANULARITIES if g != protocol.granularity)
    by_arm_other = {arm: _of(runs, arm, other) for arm in ARMS}
    if _shared_seeds(by_arm_other):
        result["other_granularity"] = _paired(base, by_arm_other) | {"granularity": other}
    result["controls"] = {
        arm: _paired(base, pair)
        for arm in CONTROLS
        if _shared_seeds(pair := {"joint": by_arm["joint"], arm: _of(runs, arm, protocol.granularity)})
    }
    pairs = [{"joint_trace": _of(runs, "joint", "trace"), f"{arm}_turn": _of(runs, arm, "turn")} for arm in ARMS]
    result["own_turn"] = {list(pair)[1]: _paired(base, pair) for pair in pairs if _shared_seeds(pair)}
    result["apart"] = {
        difficulty: {"base": _mean(base["end"][difficulty])}
        | {arm: float(np.mean([_mean(run["end"][difficulty]) for run in both[arm].values()])) for arm in ARMS}
        for difficulty in protocol.difficulties_apart
    }
    result["curves"] = {arm: _curves(base, both[arm]) for arm in ARMS}
    result["task_curves"] = {task: {arm: _curves(base, both[arm], task) for arm in ARMS} for task in protocol.tasks}
    result["by_task"] = {
        task: {"base": base["end"]["sampled"]["success"][task]}
        | {arm: [both[arm][seed]["end"]["sampled"]["success"][task] for seed in seeds] for arm in ARMS}
        for task in protocol.tasks
    }
    return result


def _of(runs: Sequence[Mapping[str, Any]], arm: str, granularity: str) -> dict[int, Mapping[str, Any]]:
    """Runs of one arm by seed, in order."""
    found = {run["seed"]: run for run in runs if (run["arm"], run["granularity"]) == (arm, granularity)}
    return dict(sorted(found.items()))


def _mean(outcomes: Mapping[str, Any]) -> float:
    return float(solved_tasks(outcomes).mean())


def _shared_seeds(arms: Mapping[str, Mapping[int, Any]]) -> list[int]:
    """The seeds that all of ``arms`` have."""
    return sorted(set.intersection(*(set(runs) for runs in arms.values())))


def _paired(
    base: Mapping[str, Any], arms: Mapping[str, Mapping[int, Mapping[str, Any]]], how: str = "sampled"
) -> dict[str, Any]:
    """Means, intervals and the difference of two arms (runs by seed), the second's against the first's."""
    (first, second), seeds = arms, _shared_seeds(arms)
    if not seeds:
        raise ConfigError(f"{first} and {second} have no finished seed in common yet")
    solved = {"base": solved_tasks(base["end"][how])[None]}
    solved |= {arm: np.stack([solved_tasks(runs[seed]["end"][how]) for seed in seeds]) for arm, runs in arms.items()}
    means_R = resampled_means(solved)
    found: dict[str, Any] = {}
    for arm, solved_STN in solved.items():
        found[arm] = {
            "mean": float(solved_STN.mean()),
            "ci95": interval(means_R[arm]),
            "seeds": [float(value) for value in solved_STN.mean(axis=(1, 2))],
        }
    found["difference"] = {
        "mean": found[second]["mean"] - found[first]["mean"],
        "ci95": interval(means_R[second] - means_R[first]),
        "seeds": [b - a for a, b in zip(found[first]["seeds"], found[second]["seeds"], strict=True)],
    }
    found["difference"] |= sign_flip(found["difference"]["seeds"])
    for below in (first, "base"):
        gains_R = means_R[second] / np.maximum(means_R[below], 1e-9) - 1
        gain = found[second]["mean"] / max(found[below]["mean"], 1e-9) - 1
        found[f"gain_over_{below}"] = {"mean": gain, "ci95": interval(gains_R)}
    return found | {"paired_seeds": seeds}


def _curves(base: Mapping[str, Any], runs: Mapping[int, Mapping[str, Any]], task: str | None = None) -> dict[str, Any]:
    """Success and rewards over steps and FLOPs: a curve a seed, and their mean with its interval over seeds."""
    start = {"step": 0, "flops": 0.0} | _point(base["start"], task)
    seeds = [
        {
            "seed": seed,
            "points": [start]
            + [{"step": p["step"], "flops": p["flops"]} | _point(p["sampled"], task) for p in run["points"]],
        }
        for seed, run in runs.items()
    ]
    mean = []
    for column in zip(*(curve["points"] for curve in seeds), strict=True):
        row: dict[str, Any] = {"step": column[0]["step"], "flops": float(np.mean([p["flops"] for p in column]))}
        for name in CURVES:
            values = [p[name] for p in column if p[name] is not None]
            row[name] = float(np.mean(values)) if values else None
            row[f"{name}_ci95"] = _over_seeds(values) if values else None
        mean.append(row)
    return {"seeds": seeds, "mean": mean}


def _over_seeds(values: Sequence[float]) -> list[float]:
    """Percentile interval of the mean of ``values`` when they are drawn again."""
    rng = numpy_generator("bootstrap seeds", len(values))
    return interval(rng.choice(np.array(values), size=(RESAMPLES, len(values))).mean(axis=1))


def _point(outcomes: Mapping[str, Any], task: str | None) -> dict[str, Any]:
    """Success and rewards over all tasks, or of one."""
    if task is None:
        return {name: outcomes[name] for name in CURVES[1:]} | {"success": outcomes["success"]["mean"]}
    return outcomes["rewards"][task] | {"success": outcomes["success"][task]}
