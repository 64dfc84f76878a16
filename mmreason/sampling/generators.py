"""Random generators of torch, built from names and numbers, and the seeds of several rollouts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.records import Problem
from mmreason.seeds import derive_seed


def torch_generator(*keys: int | str) -> torch.Generator:
    """A torch generator on the CPU that is a pure function of ``keys``."""
    return torch.Generator().manual_seed(derive_seed(*keys))


def problem_seed(use: str, seed: int, problem: Problem) -> int:
    """The seed of a problem's rollouts, whatever else is rolled out; another ``use`` of it has others."""
    return derive_seed(use, seed, problem.task, problem.difficulty, problem.index or 0)


def seeds_of(problems: Sequence[Problem], seeds: Sequence[int] | None, num_generations: int) -> list[int]:
    """The seed of each problem, 0 for all if none is given; raises ConfigError, also for too many generations."""
    found = [0] * len(problems) if seeds is None else list(seeds)
    if len(found) != len(problems):
        raise ConfigError(f"seeds must hold one number a problem ({len(problems)}), got {len(found)}")
    limits.ROLLOUTS.check(num_generations, "num_generations")
    return found
