"""Runs of a comparison, made up."""

from __future__ import annotations

import numpy as np

from mmreason.analysis.comparison.protocol import ARMS, Protocol

PROTOCOL = Protocol(
    tasks=("maze", "sudoku"),
    difficulties={"medium": 1.0, "hard": 1.0},
    granularity="trace",
    num_seeds=3,
    first_seed=0,
    other_seeds=1,
    points=(2, 4),
)


def outcomes(rate: float, seed: int, problems: int = 200) -> dict:
    rng = np.random.default_rng(seed)
    marks = {task: "".join(str(int(x < rate)) for x in rng.random(problems)) for task in PROTOCOL.tasks}
    success = {task: row.count("1") / problems for task, row in marks.items()}
    success["mean"] = sum(success.values()) / len(success)
    rewards = {"text_reward": rate, "image_reward": None}
    by_task = {task: rewards | {"text_reward": rate + 0.1 * i} for i, task in enumerate(PROTOCOL.tasks)}
    return {"success": success, **rewards, "rewards": by_task, "solved": marks}


def end(rate: float, seed: int) -> dict:
    return {how: outcomes(rate, seed + i) for i, how in enumerate(("sampled", "greedy", "easy"))}


def made_run(arm: str, seed: int, rate: float, granularity: str = "trace") -> dict:
    points = [{"step": 2, "flops": 1e9, "sampled": outcomes(rate, seed), "greedy": outcomes(rate, seed)}]
    return {"arm": arm, "granularity": granularity, "seed": seed, "points": points, "end": end(rate, 10 * seed)}


BASE = {"start": outcomes(0.4, 0), "end": end(0.4, 99)}
RUNS = [made_run(arm, seed, rate) for seed in range(3) for arm, rate in zip(ARMS, (0.5, 0.6), strict=True)]
